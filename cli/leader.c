/* Moves leadership to another node. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/operator_call.h"
#include "cli/verbs.h"
#include "host/options.h"

static int move(const struct operator_call *call, const char *node)
{
    const char *const words[] = {"SYNOD", "LEADER", "MOVE", node};
    char answer[OPERATOR_ANSWER_MAX];
    const int code = operator_call(call, words, sizeof words / sizeof words[0], answer);
    if (code == EXIT_OK)
        printf("%s\n", answer);
    else
        fprintf(stderr, "synod leader move: %s\n", operator_answer_text(answer));
    return code;
}

static bool is_node(const char *text)
{
    char *end;
    const unsigned long node = strtoul(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && node >= 1 && node <= NODE_ID_MAX;
}

int verb_leader(int argc, char **argv)
{
    const char *file = NULL;
    struct operator_call call = {.timeout_ms = 10000};
    const struct option_row rows[] = {
        {"config", 'c', OPTION_TEXT, .value = "FILE", .target = &file, .text = "configuration of the cluster"},
        {"via", 0, OPTION_TEXT, .value = "HOST:PORT", .target = &call.via,
         .text = "client port of the node to ask, instead of those of the configuration"},
        {"timeout-ms", 't', OPTION_NUMBER, .value = "MS", .target = &call.timeout_ms, .min = 1, .max = 600000,
         .text = "how long to wait for the answer"},
    };
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
    if (!is_node(node) || (file == NULL) == (call.via == NULL)) {
        fprintf(stderr, "synod leader move: wants the number of a node (1 to %u), and one of --config and --via\n",
                NODE_ID_MAX);
        return EXIT_BAD_INPUT;
    }
    struct config config;
    struct problem problem;
    if (file == NULL)
        return move(&call, node);
    if (!config_load(&config, file, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return problem.exit_code;
    }
    call.config = &config;
    code = move(&call, node);
    config_close(&config);
    return code;
}
