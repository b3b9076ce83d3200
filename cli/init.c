#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/join.h"
#include "cli/verbs.h"
#include "core/base/memory.h"
#include "host/config.h"
#include "host/options.h"
#include "io/data_folder.h"

static bool format_node(const struct config *config, uint32_t node, const char *path, const char *governed,
                        struct problem *problem)
{
    const bool ok = data_folder_format(disk_posix(), path, config->cluster, node, NULL, governed, problem);
    if (ok)
        printf("formatted %s for node %u of cluster '%s'\n", path, node, config->cluster);
    return ok;
}

/* What a change can do to the cluster, by the beginning of its key. */
static const struct danger {
    const char *key;
    const char *text;
} dangers[] = {
    {"phase", "a leader's quorum may now miss the nodes that hold an answered write, which is then lost"},
    {"node-", "a leader's quorum may now miss the nodes that hold an answered write, which is then lost"},
    {"memory_bytes_max",
     "the log is executed again with it: a write that was answered OK may now be refused, or the reverse"},
    {"state_bytes_max",
     "the log is executed again with it: a write that was answered OK may now be refused, or the reverse"},
};

static void print_change(const char *path, const struct governed_change *change)
{
    printf("%s: %s %s -> %s\n", path, change->key, change->before, change->now);
    for (size_t i = 0; i < sizeof dangers / sizeof dangers[0]; i++)
        if (strncmp(change->key, dangers[i].key, strlen(dangers[i].key)) == 0)
            printf("  DANGER: %s\n", dangers[i].text);
}

static bool regovern_node(const struct config *config, uint32_t node, const char *path, const char *governed,
                          struct problem *problem)
{
    struct governed_change changes[GOVERNED_CHANGES_MAX];
    size_t count;
    if (!data_folder_regovern(disk_posix(), path, config->cluster, node, governed, changes, &count, problem))
        return false;
    for (size_t i = 0; i < count; i++)
        print_change(path, &changes[i]);
    printf("%s: %s\n", path,
           count > 0 ? "accepted; no node may start before all nodes have done the same" : "nothing changed");
    return true;
}

/* What is done to the folders: one of these. */
struct work {
    bool regovern, join;
    const char *instance; /* with `join`; NULL: one that the folder makes */
};

static bool do_node(const struct config *config, uint32_t node, const struct work *work, struct problem *problem)
{
    char *path, governed[GOVERNED_TEXT_MAX];
    int len = asprintf(&path, "%s/node-%u", config->data, node);
    invariant(len > 0);
    governed_print(config, governed);
    const bool ok = work->join       ? join_node(config, node, path, governed, work->instance, problem)
                    : work->regovern ? regovern_node(config, node, path, governed, problem)
                                     : format_node(config, node, path, governed, problem);
    free(path);
    return ok;
}

static bool do_nodes(const struct config *config, uint64_t node, const struct work *work, struct problem *problem)
{
    if (node != 0 && config_find(config, (uint32_t)node) == NULL)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: there is no node %" PRIu64, config->file, node);
    for (size_t i = 0; i < config->node_count; i++)
        if ((node == 0 || config->nodes[i].id == node) && !do_node(config, config->nodes[i].id, work, problem))
            return false;
    return true;
}

int verb_init(int argc, char **argv)
{
    const char *file = NULL;
    uint64_t node = 0;
    bool all = false;
    struct work work = {0};
    const struct option_row rows[] = {
        {"config", 'c', OPTION_TEXT, .required = true, .value = "FILE", .target = &file,
         .text = "configuration of the cluster"},
        {"node", 'n', OPTION_NUMBER, .value = "ID", .target = &node, .min = 1, .max = NODE_ID_MAX,
         .text = "node whose folder to format"},
        {"all", 'a', OPTION_FLAG, .target = &all, .text = "format the folders of all nodes on this machine"},
        {"regovern", 0, OPTION_FLAG, .target = &work.regovern,
         .text = "accept the configuration's governed settings for a folder that is formatted"},
        {"join", 0, OPTION_FLAG, .target = &work.join,
         .text = "the node joins a running cluster: it was added, or its disk was replaced (synod member)"},
        {"instance", 0, OPTION_TEXT, .value = "ID", .target = &work.instance,
         .text = "with --join: the instance id that synod member gave the node, for this folder and never for another"},
    };
    const struct command_help help = {
        .command = "synod init",
        .description =
            "Formats the data folder of a node: makes <data>/node-<ID> and gives it a random instance id. Done once in a\n"
            "node's life; a folder that holds anything is never touched. A node that lost its disk must not simply be\n"
            "formatted again: the others know its instance id and refuse another. It joins instead: `synod member replace`, then\n"
            "`synod init --join`, which has the others, at their client ports, take the instance id that the folder makes. So does a\n"
            "node that is new in a running cluster, after `synod member add`. While acceptors that would be needed for that do not\n"
            "answer, --instance does without: then it is the operator who must never give an id to two folders.\n"
            "\n"
            "The folder remembers the governed settings (see `synod config`), and a node whose configuration has others does not\n"
            "start. While the cluster has not formed, they are changed so: stop ALL nodes, run `synod init --regovern` for EACH of them with the new\n"
            "configuration, and start none before. The name of the cluster and the number of a node do not change.\n"
            "Other quorums or members need not meet the old ones, so answered writes can be lost. Before the nodes are stopped,\n"
            "no client must write, and `synod status` must show all nodes, with the same slot executed on all learners. Other\n"
            "memory_bytes_max or state_bytes_max decide again about all writes of the log, which each start executes again.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes =
            "  0  formatted, or accepted\n  1  with --join: no node answers, or the node is not one that joins\n"
            "  2  wrong command line or configuration\n"
            "  3  already formatted (with --regovern: not formatted), not empty, in use, or not writable\n  4  a sync failed\n",
        .examples = "  synod init --config examples/coordinator.yaml --node 1\n"
                    "  synod init --config examples/standalone.yaml --all\n"
                    "  synod init --config examples/coordinator.yaml --regovern --all\n"
                    "  synod init --config examples/coordinator.yaml --node 2 --join\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    if (code != OPTIONS_GO_ON)
        return code;
    if (all == (node != 0) || (work.join && (all || work.regovern)) || (work.instance != NULL && !work.join)) {
        fprintf(
            stderr,
            "synod init: give either --node or --all, with --join a --node, and --instance only with --join; see synod init --help\n");
        return EXIT_BAD_INPUT;
    }
    struct config config;
    struct problem problem;
    if (!config_load(&config, file, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return problem.exit_code;
    }
    const bool ok = do_nodes(&config, node, &work, &problem);
    if (!ok)
        fprintf(stderr, "%s\n", problem.text);
    config_close(&config);
    return ok ? EXIT_OK : problem.exit_code;
}
