#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/options.h"
#include "cli/verbs.h"
#include "core/base/memory.h"
#include "host/config.h"
#include "io/data_folder.h"

static bool format_node(const struct config *config, uint32_t node, struct problem *problem)
{
    char *path;
    int len = asprintf(&path, "%s/node-%u", config->data, node);
    invariant(len > 0);
    const bool ok = data_folder_format(disk_posix(), path, config->cluster, node, NULL, problem);
    if (ok)
        printf("formatted %s for node %u of cluster '%s'\n", path, node, config->cluster);
    free(path);
    return ok;
}

static bool format_nodes(const struct config *config, uint64_t node, struct problem *problem)
{
    if (node != 0 && config_find(config, (uint32_t)node) == NULL)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: there is no node %" PRIu64, config->file, node);
    for (size_t i = 0; i < config->node_count; i++)
        if ((node == 0 || config->nodes[i].id == node) && !format_node(config, config->nodes[i].id, problem))
            return false;
    return true;
}

int verb_init(int argc, char **argv)
{
    const char *file = NULL;
    uint64_t node = 0;
    bool all = false;
    const struct option_row rows[] = {
        {"config", 'c', OPTION_TEXT, .required = true, .value = "FILE", .target = &file,
         .text = "configuration of the cluster"},
        {"node", 'n', OPTION_NUMBER, .value = "ID", .target = &node, .min = 1, .max = NODE_ID_MAX,
         .text = "node whose folder to format"},
        {"all", 'a', OPTION_FLAG, .target = &all, .text = "format the folders of all nodes on this machine"},
    };
    const struct verb_help help = {
        .name = "init",
        .description =
            "Formats the data folder of a node: makes <data>/node-<ID> and gives it a random instance id. Done once in a\n"
            "node's life; a folder that holds anything is never touched. A node that lost its disk must not simply be\n"
            "formatted again: the others know its instance id and refuse another.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  formatted\n  2  wrong command line or configuration\n"
                      "  3  already formatted, not empty, in use, or not writable\n  4  a sync failed\n",
        .examples = "  synod init --config examples/coordinator.yaml --node 1\n"
                    "  synod init --config examples/standalone.yaml --all\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    if (code != OPTIONS_GO_ON)
        return code;
    if (all == (node != 0)) {
        fprintf(stderr, "synod init: give either --node or --all; see synod init --help\n");
        return EXIT_BAD_INPUT;
    }
    struct config config;
    struct problem problem;
    if (!config_load(&config, file, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return problem.exit_code;
    }
    const bool ok = format_nodes(&config, node, &problem);
    if (!ok)
        fprintf(stderr, "%s\n", problem.text);
    config_close(&config);
    return ok ? EXIT_OK : problem.exit_code;
}
