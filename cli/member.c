/* Who belongs to a running cluster: shows it, and changes it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/known_configuration.h"
#include "cli/member_change.h"
#include "cli/operator_verb.h"
#include "cli/verbs.h"

enum { WORDS_MAX = 12 };

struct member_command {
    struct operator_verb verb;
    uint32_t node;
    const char *id; /* the same, as a word */
    const char *address, *client, *role;
    const char *instance; /* of the new disk; NULL: a random one */
    const char *disk;     /* number of the disk that is lost; NULL: that of the one it has now */
    bool dry_run, force;
};

/* ---- list ---- */

static int list(const struct member_command *c)
{
    static struct known_configuration known; /* large */
    const int code = known_configuration_ask(&c->verb.call, &known);
    if (code != EXIT_OK)
        return operator_tell(&c->verb, code, known.answer);
    printf("configuration of slot %" PRIu64 ", which governs from slot %" PRIu64 " on%s\n\n", known.slot, known.governs,
           known.settled ? "" : "; the one before is still needed");
    if (!known.is_leaders)
        printf("no leader answers: this is what a node knows, and there may be a newer one\n\n");
    printf("%-5s%-13s%-9s%-6s%-24s%s\n", "NODE", "ROLE", "STATE", "DISK", "ADDRESS", "CLIENTS");
    for (uint32_t id = 1; id <= NODE_ID_MAX; id++) {
        const struct member *m = &known.text.members[id];
        if (m->node != 0)
            printf("%-5u%-13s%-9s%-6u%-24s%s\n", id, configuration_role_name(m->duties), m->joining ? "joining" : "full",
                   m->number, m->address, m->client);
    }
    return EXIT_OK;
}

/* ---- add, remove, replace ---- */

/* The places and the role of a node to add: those of the options, otherwise those of the file. */
static int complete(struct member_command *c, char address[ENDPOINT_TEXT_MAX], char client[ENDPOINT_TEXT_MAX])
{
    const struct config *config = c->verb.call.config;
    const struct config_node *node = config != NULL ? config_find(config, c->node) : NULL;
    if (node != NULL) {
        endpoint_print(&node->address, address);
        endpoint_print(&node->client, client);
        c->address = c->address != NULL ? c->address : address;
        c->client = c->client != NULL ? c->client : client;
        c->role = c->role != NULL ? c->role : role_name(node->role);
    }
    if (c->address != NULL && c->role != NULL) {
        c->client = c->client != NULL ? c->client : "-";
        return EXIT_OK;
    }
    return operator_complain(
        &c->verb, "where is the node? It is not in the configuration file, so give --role, --address, and --client");
}

static int add_options(const struct member_command *c, const char **words, int count)
{
    if (c->dry_run)
        words[count++] = "DRY-RUN";
    if (c->force)
        words[count++] = "FORCE";
    return count;
}

/* Asks for a change that gives the node an instance, which it names: who hears no answer can ask about it. */
static int ask_for_instance(const struct member_command *c, const char *instance, const char **words, int count)
{
    static char answer[OPERATOR_ANSWER_MAX]; /* large */
    const struct operator_call *call = &c->verb.call;
    count = add_options(c, words, count);
    if (c->dry_run)
        return operator_tell(&c->verb, operator_call(call, words, count, answer), answer);
    printf("instance id of the new disk: %s\n", instance);
    fflush(stdout);
    return operator_tell(&c->verb, member_change(call, words, count, c->node, instance, answer), answer);
}

/* The instance id of the new disk. False: there is none. */
static bool choose_instance(const struct member_command *c, char instance[INSTANCE_TEXT])
{
    if (c->instance == NULL)
        return member_instance_make(instance);
    snprintf(instance, INSTANCE_TEXT, "%s", c->instance);
    return true;
}

static int add(struct member_command *c)
{
    char address[ENDPOINT_TEXT_MAX], client[ENDPOINT_TEXT_MAX], instance[INSTANCE_TEXT];
    const int code = complete(c, address, client);
    if (code != EXIT_OK)
        return code;
    if (!choose_instance(c, instance))
        return operator_complain(&c->verb, "no random bytes for an instance id");
    const char *words[WORDS_MAX] = {"SYNOD", "MEMBER", "ADD", c->id, c->address, c->client, c->role, instance};
    return ask_for_instance(c, instance, words, 8);
}

static int remove_node(struct member_command *c)
{
    static char answer[OPERATOR_ANSWER_MAX]; /* large */
    const char *words[WORDS_MAX] = {"SYNOD", "MEMBER", "REMOVE", c->id};
    const int code = operator_call(&c->verb.call, words, add_options(c, words, 4), answer);
    return operator_tell(&c->verb, code, answer);
}

/* With one of the places the other one is needed, too: of the file, or none. */
static int replace(struct member_command *c)
{
    char address[ENDPOINT_TEXT_MAX], client[ENDPOINT_TEXT_MAX], instance[INSTANCE_TEXT];
    const bool moves = c->address != NULL || c->client != NULL;
    if (c->role != NULL)
        return operator_complain(&c->verb, "the role of a member does not change with its disk");
    c->role = "";
    if (moves && complete(c, address, client) != EXIT_OK)
        return EXIT_BAD_INPUT;
    if (!choose_instance(c, instance))
        return operator_complain(&c->verb, "no random bytes for an instance id");
    const char *words[WORDS_MAX] = {"SYNOD", "MEMBER", "REPLACE", c->id, instance, c->address, c->client};
    int count = moves ? 7 : 5;
    if (c->disk != NULL) {
        words[count++] = "DISK";
        words[count++] = c->disk;
    }
    return ask_for_instance(c, instance, words, count);
}

/* ---- the verb ---- */

static int run(struct member_command *c, const char *what, const char *id)
{
    static const struct {
        const char *name;
        int (*work)(struct member_command *c);
    } commands[] = {{"add", add}, {"remove", remove_node}, {"replace", replace}};
    if (strcmp(what, "list") == 0 && id == NULL)
        return list(c);
    if (c->instance != NULL && !member_instance_is(c->instance))
        return operator_complain(&c->verb, "an instance id is 32 digits of lower case hexadecimal");
    if (c->disk != NULL && (c->disk[0] == '\0' || c->disk[strspn(c->disk, "0123456789")] != '\0'))
        return operator_complain(&c->verb, "the number of a disk is that in synod member list");
    c->id = id;
    c->node = id != NULL ? operator_node(id) : 0;
    for (size_t i = 0; c->node != 0 && i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(what, commands[i].name) == 0)
            return commands[i].work(c);
    return operator_complain(
        &c->verb,
        "wants list, or one of add, remove and replace with the number of a node (1 to 63); see synod member --help");
}

int verb_member(int argc, char **argv)
{
    struct member_command c = {.verb = {.name = "synod member", .call.timeout_ms = 30000}};
    const struct option_row rows[] = {
        operator_config_row(&c.verb),
        operator_via_row(&c.verb),
        {"role", 0, OPTION_TEXT, .value = "ROLE", .target = &c.role,
         .text = "add: coordinator, proposer, acceptor or learner, instead of what the configuration says"},
        {"address", 0, OPTION_TEXT, .value = "HOST:PORT", .target = &c.address,
         .text = "add, replace: where other nodes reach it, instead of what the configuration says"},
        {"client", 0, OPTION_TEXT, .value = "HOST:PORT", .target = &c.client,
         .text = "add, replace: where clients reach it (-: nowhere), instead of what the configuration says"},
        {"instance", 0, OPTION_TEXT, .value = "ID", .target = &c.instance,
         .text = "add, replace: instance id of the new disk (32 hexadecimal digits), instead of a random one"},
        {"disk", 0, OPTION_TEXT, .value = "NUMBER", .target = &c.disk,
         .text = "replace: do nothing unless the node's disk has this number (see list)"},
        {"dry-run", 0, OPTION_FLAG, .target = &c.dry_run, .text = "say whether it would be done, and do nothing"},
        {"force", 0, OPTION_FLAG, .target = &c.force,
         .text = "do it even if the acceptors that answer now would be no quorum afterwards"},
        operator_timeout_row(&c.verb),
    };
    const struct command_help help = {
        .command = "synod member",
        .operands = "list | add ID | remove ID | replace ID",
        .operands_min = 1,
        .operands_max = 2,
        .description =
            "Shows the members of a running cluster, or changes them, one at a time, while it serves.\n"
            "\n"
            "add      node ID becomes a member: first it only learns, and it votes as soon as it has caught up. On its machine,\n"
            "         then: synod init --join, synod start.\n"
            "remove   node ID is none any more, dead or alive. If it runs, it ends with exit code 7 when it is not needed.\n"
            "replace  node ID has lost its disk, and gets another one. What the old one has promised counts as lost, and it is\n"
            "         never heard again. On its machine, then: synod init --join, synod start.\n"
            "\n"
            "Who gets no answer from `replace` may ask again with --disk and the number of the lost disk: it is replaced once.\n"
            "\n"
            "A change is refused while the one before is under way, and if the acceptors that answer now would be no quorum\n"
            "afterwards. Any node with a client port may be asked; it names the leader.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  done\n  1  not done, or not known; the reason was printed\n"
                      "  2  wrong command line or configuration\n",
        .examples = "  synod member list --config examples/coordinator.yaml\n"
                    "  synod member add 4 --config examples/coordinator.yaml --role coordinator --address 10.0.0.4:7104 \\\n"
                    "        --client 10.0.0.4:7004\n"
                    "  synod member replace 2 --via 127.0.0.1:7001 --dry-run\n",
    };
    int first, code = options_parse(&help, argc, argv, &first);
    if (code != OPTIONS_GO_ON)
        return code;
    code = operator_begin(&c.verb);
    if (code != EXIT_OK)
        return code;
    code = run(&c, argv[first], argv[first + 1]);
    operator_end(&c.verb);
    return code;
}
