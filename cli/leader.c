/* Moves leadership to another node. */
#include "cli/operator_verb.h"
#include "cli/verbs.h"

static int move(const struct operator_verb *v, const char *node)
{
    const char *const words[] = {"SYNOD", "LEADER", "MOVE", node};
    char answer[OPERATOR_ANSWER_MAX];
    const int code = operator_call(&v->call, words, sizeof words / sizeof words[0], answer);
    return operator_tell(v, code, answer);
}

int verb_leader(int argc, char **argv)
{
    struct operator_verb v = {.name = "synod leader move", .call.timeout_ms = 10000};
    const struct option_row rows[] = {operator_config_row(&v), operator_via_row(&v), operator_timeout_row(&v)};
    const struct command_help help = {
        .command = "synod leader",
        .operands = "move ID",
        .operands_min = 2,
        .operands_max = 2,
        .description =
            "Moves leadership to node ID, without a failed request: the leader finishes what it has begun, and node ID takes over.\n"
            "Clients wait for some milliseconds, and are sent on. If node ID does not answer, is far behind, or does not take over\n"
            "in time, the leader goes on. Any node with a client port may be asked; it names the leader.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  node ID leads\n  1  it does not; the reason was printed\n"
                      "  2  wrong command line or configuration\n",
        .examples = "  synod leader move 2 --config examples/coordinator.yaml\n"
                    "  synod leader move 2 --via 127.0.0.1:6001\n",
    };
    const char *node;
    int code = options_parse_word(&help, "move", argc, argv, &node);
    if (code != OPTIONS_GO_ON)
        return code;
    if (operator_node(node) == 0 || !operator_has_place(&v))
        return operator_complain(&v, "wants the number of a node (1 to 63), and one of --config and --via");
    code = operator_begin(&v);
    if (code != EXIT_OK)
        return code;
    code = move(&v, node);
    operator_end(&v);
    return code;
}
