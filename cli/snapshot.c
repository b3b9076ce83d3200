/* Snapshots in an operator's hands: shows them, copies one elsewhere, and begins a new cluster with it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/snapshot_inspect.h"
#include "cli/verbs.h"
#include "host/config.h"
#include "host/options.h"
#include "io/backup.h"

static void on_notice(void *context, const char *text)
{
    (void)context;
    fprintf(stderr, "warning: %s\n", text);
}

static bool save(const char *data_folder, const char *file, struct problem *problem)
{
    const struct backup_notices notices = {.on_notice = on_notice};
    struct snapshot_stored saved;
    if (!backup_save(disk_posix(), data_folder, file, &notices, &saved, problem))
        return false;
    printf("saved the state before slot %" PRIu64 " to %s: %" PRIu64 " bytes, checksum %016" PRIx64 "\n", saved.slot, file,
           saved.size, saved.checksum);
    return true;
}

/* Whether a node of this cluster could use a snapshot. */
static bool check_config(const struct config *config, uint64_t node, struct problem *problem)
{
    if (node != 0 && config_find(config, (uint32_t)node) == NULL)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: there is no node %" PRIu64, config->file, node);
    if (config->node_config.durability == DURABILITY_MEMORY || !config->load_snapshots)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: its nodes load no snapshots: %s", config->file,
                           config->load_snapshots ? "durability: memory" : "storage_load_snapshots: false");
    return true;
}

/* Restores into the folder of one node, or of all (0). */
static bool restore(const char *file, const struct config *config, uint64_t node, struct problem *problem)
{
    struct snapshot_stored found = {0};
    if (!check_config(config, node, problem) || !backup_check(disk_posix(), file, &found, problem))
        return false;
    for (size_t i = 0; i < config->node_count; i++) {
        const uint32_t id = config->nodes[i].id;
        if (node != 0 && id != node)
            continue;
        if (!backup_restore(disk_posix(), file, &found, config, id, problem))
            return false;
        printf("restored %s/node-%u for node %u of cluster '%s': its log begins at slot %" PRIu64 "\n", config->data, id, id,
               config->cluster, found.slot);
    }
    return true;
}

static bool restore_from(const char *file, const char *config_file, uint64_t node, struct problem *problem)
{
    struct config config;
    if (!config_load(&config, config_file, problem))
        return false;
    const bool ok = restore(file, &config, node, problem);
    config_close(&config);
    return ok;
}

static int wrong(const char *what)
{
    fprintf(stderr, "synod snapshot: %s; see synod snapshot --help\n", what);
    return EXIT_BAD_INPUT;
}

int verb_snapshot(int argc, char **argv)
{
    const char *config = NULL;
    uint64_t node = 0;
    bool all = false;
    const struct option_row rows[] = {
        {"config", 'c', OPTION_TEXT, .value = "FILE", .target = &config,
         .text = "restore: configuration of the new cluster"},
        {"node", 'n', OPTION_NUMBER, .value = "ID", .target = &node, .min = 1, .max = NODE_ID_MAX,
         .text = "restore: node whose folder to make"},
        {"all", 'a', OPTION_FLAG, .target = &all, .text = "restore: make the folders of all nodes on this machine"},
    };
    const struct command_help help = {
        .command = "synod snapshot",
        .operands = "inspect FILE|FOLDER | save FOLDER FILE | restore FILE",
        .operands_min = 2,
        .operands_max = 3,
        .description =
            "inspect  prints what is in a snapshot, piece by piece, checks all of it, and says where damage begins. Of a data\n"
            "         folder (<data>/node-<ID>) it prints all snapshots, the oldest first. It changes nothing, and needs no\n"
            "         configuration. While a node runs on the folder, a snapshot may be removed in between.\n"
            "save     copies the newest sound snapshot of a data folder to FILE, which must not exist, and checks all of it. The\n"
            "         node may run meanwhile. What was written after that snapshot is not in it.\n"
            "restore  makes the data folders of a NEW cluster, which begins with what FILE has, instead of `synod init`. The\n"
            "         cluster may have another name, other nodes and other settings than the old one; EACH of its nodes must be\n"
            "         restored, with --all or one by one, from the same FILE, and none may be formatted with `synod init`. A\n"
            "         folder that holds anything is never touched.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  what is there is sound; saved; restored\n  1  a file cannot be written\n"
                      "  2  wrong command line or configuration\n"
                      "  3  a snapshot is damaged, or not a snapshot; a folder that cannot be used\n",
        .examples = "  synod snapshot inspect data/node-1\n"
                    "  synod snapshot inspect data/node-1/snapshots/snapshot-00000000000000065536\n"
                    "  synod snapshot save data/node-1 /backup/synod-monday\n"
                    "  synod snapshot restore /backup/synod-monday --config new.yaml --all\n",
    };
    int first;
    struct problem problem;
    bool ok;
    const int code = options_parse(&help, argc, argv, &first);
    if (code != OPTIONS_GO_ON)
        return code;
    char **words = argv + first;
    const bool two = argc - first == 2, none = config == NULL && node == 0 && !all;
    if (strcmp(words[0], "inspect") == 0 && two && none)
        ok = snapshot_inspect(words[1], &problem);
    else if (strcmp(words[0], "save") == 0 && !two && none)
        ok = save(words[1], words[2], &problem);
    else if (strcmp(words[0], "restore") == 0 && two && config != NULL && all == (node == 0))
        ok = restore_from(words[1], config, node, &problem);
    else
        return wrong(
            "it wants inspect FILE|FOLDER, save FOLDER FILE, or restore FILE --config FILE and one of --node and --all");
    if (ok)
        return EXIT_OK;
    fflush(stdout);
    fprintf(stderr, "%s\n", problem.text);
    return problem.exit_code;
}
