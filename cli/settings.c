/* The governed settings of a running cluster: shows them, and changes those that may change. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/known_configuration.h"
#include "cli/operator_verb.h"
#include "cli/verbs.h"
#include "host/config_schema.h"

struct settings_command {
    struct operator_verb verb;
    bool dry_run, force;
};

static int get(const struct settings_command *c, const char *key)
{
    static struct known_configuration known; /* large */
    const int code = known_configuration_ask(&c->verb.call, &known);
    if (code != EXIT_OK)
        return operator_tell(&c->verb, code, known.answer);
    const char *value = key != NULL ? configuration_setting(&known.text, key) : "";
    if (value == NULL)
        return operator_complain(&c->verb, "there is no such governed setting; synod settings get shows them all");
    if (key != NULL)
        printf("%s\n", value);
    for (size_t i = 0; key == NULL && i < known.text.setting_count; i++)
        printf("%s %s\n", known.text.settings[i].key, known.text.settings[i].value);
    return EXIT_OK;
}

/* A value of the file's kinds as the log has it: "256 MiB" is a number of bytes. What is no such value is asked for as it
 * is; the leader says what is wrong with it. */
static void spell(const char *key, const char *value, char out[CONFIGURATION_WORD_MAX])
{
    char reason[256];
    uint64_t number;
    const int row = config_key_find(&config_setting_section, key);
    const struct config_key *of = row >= 0 ? config_key_at(&config_setting_section, (size_t)row) : NULL;
    if (of != NULL && of->kind == VALUE_BYTES && config_value_read(of, value, &number, reason, sizeof reason))
        snprintf(out, CONFIGURATION_WORD_MAX, "%" PRIu64, number);
    else
        snprintf(out, CONFIGURATION_WORD_MAX, "%s", value);
}

static int set(const struct settings_command *c, const char *key, const char *given)
{
    static char answer[OPERATOR_ANSWER_MAX]; /* large */
    char value[CONFIGURATION_WORD_MAX];
    spell(key, given, value);
    const char *words[7] = {"SYNOD", "SETTINGS", "SET", key, value};
    int count = 5;
    if (c->dry_run)
        words[count++] = "DRY-RUN";
    if (c->force)
        words[count++] = "FORCE";
    const int code = operator_call(&c->verb.call, words, count, answer);
    return operator_tell(&c->verb, code, answer);
}

static int run(const struct settings_command *c, int count, char **operands)
{
    if (strcmp(operands[0], "get") == 0 && count <= 2)
        return get(c, count == 2 ? operands[1] : NULL);
    if (strcmp(operands[0], "set") == 0 && count == 3)
        return set(c, operands[1], operands[2]);
    return operator_complain(&c->verb, "wants get, get KEY, or set KEY VALUE; see synod settings --help");
}

int verb_settings(int argc, char **argv)
{
    struct settings_command c = {.verb = {.name = "synod settings", .call.timeout_ms = 30000}};
    const struct option_row rows[] = {
        operator_config_row(&c.verb),
        operator_via_row(&c.verb),
        {"dry-run", 0, OPTION_FLAG, .target = &c.dry_run, .text = "say whether it would be done, and do nothing"},
        {"force", 0, OPTION_FLAG, .target = &c.force,
         .text = "do it even if the acceptors that answer now would be no quorum afterwards, or a node lacks memory"},
        operator_timeout_row(&c.verb),
    };
    const struct command_help help = {
        .command = "synod settings",
        .operands = "get [KEY] | set KEY VALUE",
        .operands_min = 1,
        .operands_max = 3,
        .description =
            "Shows the governed settings of a running cluster, which are in its log once it has formed, or changes one while it\n"
            "serves. Configuration files are only a reminder then; bring them up to date afterwards.\n"
            "\n"
            "phase1_quorum, phase2_quorum  any two quorums of the two kinds must meet, so one that grows is set before the one\n"
            "                              that shrinks\n"
            "alpha                         slots in flight; it governs after as many slots as the value before\n"
            "acceptors_send_learns         true or false\n"
            "state_bytes_max               a size, such as 256MiB: what keys and values may take. Refused where a node has no\n"
            "                              memory for it. If they take more already, only what needs more is refused (-OOM)\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  done\n  1  not done, or not known; the reason was printed\n"
                      "  2  wrong command line or configuration\n",
        .examples = "  synod settings get --config examples/coordinator.yaml\n"
                    "  synod settings set phase1_quorum 3 --config examples/coordinator.yaml\n"
                    "  synod settings set state_bytes_max 256MiB --config examples/coordinator.yaml --dry-run\n",
    };
    int first, code = options_parse(&help, argc, argv, &first);
    if (code != OPTIONS_GO_ON)
        return code;
    code = operator_begin(&c.verb);
    if (code != EXIT_OK)
        return code;
    code = run(&c, argc - first, argv + first);
    operator_end(&c.verb);
    return code;
}
