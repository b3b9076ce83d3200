/* A cluster that has lost so many disks that it cannot go on: a new one begins with what is left (decision 0043). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli/recover_words.h"
#include "cli/verbs.h"
#include "host/config.h"
#include "host/options.h"
#include "io/beginning.h"

struct wanted {
    const char *config, *yes_lose;
    uint64_t node; /* 0: all */
    bool all, from_survivors, dry_run;
    const char *const *folders;
    size_t count;
};

static void on_notice(void *context, const char *text)
{
    (void)context;
    fprintf(stderr, "warning: %s\n", text);
}

/* ---- What must not change meanwhile ---- */

/* Keeps nodes from a folder until this process ends, and changes nothing in it. A copy may have no lock file: no node uses
 * it. */
static bool keep_nodes_away(const char *folder, struct problem *problem)
{
    char path[4096], holder[32] = "";
    snprintf(path, sizeof path, "%s/lock", folder);
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return errno == ENOENT || problem_set_error(problem, EXIT_DATA, -errno, "%s: ", path);
    if (flock(file, LOCK_EX | LOCK_NB) == 0)
        return true;
    const ssize_t n = read(file, holder, sizeof holder - 1);
    holder[n > 0 ? (size_t)n : 0] = '\0';
    holder[strspn(holder, "0123456789")] = '\0';
    close(file);
    return problem_set(problem, EXIT_DATA, "%s is in use by process %s: stop that node first", folder,
                       holder[0] != '\0' ? holder : "unknown");
}

static bool keep_all_away(const struct wanted *w, struct problem *problem)
{
    for (size_t i = 0; i < w->count; i++)
        if (!keep_nodes_away(w->folders[i], problem))
            return false;
    return true;
}

/* ---- Whether it can be done ---- */

/* What the rest of the log is executed with decides what comes of it. Once a cluster has formed, state_bytes_max is in the
 * log. */
static bool check_limits(const struct config *config, const struct survivor_findings *f, struct problem *problem)
{
    struct governed_change changes[GOVERNED_CHANGES_MAX];
    char governed[GOVERNED_TEXT_MAX];
    const uint64_t state = config->node_config.state_bytes_max, logged = f->state_bytes_max;
    if (logged != 0 && logged != state)
        return problem_set(problem, EXIT_BAD_INPUT,
                           "%s: state_bytes_max is %" PRIu64 ", and was %" PRIu64
                           ": the rest of the log must be executed with the old value",
                           config->file, state, logged);
    governed_print(config, governed);
    for (size_t i = 0; i < f->count; i++) {
        const size_t count = governed_compare(f->folders[i].governed, governed, changes, GOVERNED_CHANGES_MAX);
        for (size_t k = 0; k < count; k++)
            if ((logged == 0 && strcmp(changes[k].key, "state_bytes_max") == 0) ||
                strcmp(changes[k].key, "memory_bytes_max") == 0)
                return problem_set(problem, EXIT_BAD_INPUT,
                                   "%s: %s is %s, and was %s: the rest of the log must be executed with the old value",
                                   config->file, changes[k].key, changes[k].now, changes[k].before);
    }
    return true;
}

static bool is_wanted(const struct wanted *w, uint32_t id) { return w->node == 0 || id == w->node; }

static bool check_config(const struct wanted *w, const struct config *config, const struct survivor_findings *f,
                         struct problem *problem)
{
    const char *old = f->folders[0].identity.cluster;
    if (w->node != 0 && config_find(config, (uint32_t)w->node) == NULL)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: there is no node %" PRIu64, config->file, w->node);
    if (strcmp(config->cluster, old) == 0)
        return problem_set(problem, EXIT_BAD_INPUT,
                           "%s: the new cluster must have another name than '%s', so that lost nodes that come back are no "
                           "members of it",
                           config->file, old);
    if (config->node_config.durability == DURABILITY_MEMORY || !config->load_snapshots)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: its nodes load no snapshots: %s", config->file,
                           config->load_snapshots ? "durability: memory" : "storage_load_snapshots: false");
    if (!check_limits(config, f, problem))
        return false;
    for (size_t i = 0; i < config->node_count; i++)
        if (is_wanted(w, config->nodes[i].id) && !beginning_check(disk_posix(), config, config->nodes[i].id, problem))
            return false;
    return true;
}

/* ---- The word ---- */

/* An operator says the name of the cluster that is given up. */
static bool is_confirmed(const struct wanted *w, const char *cluster, struct problem *problem)
{
    char line[128] = "";
    if (w->yes_lose != NULL)
        return strcmp(w->yes_lose, cluster) == 0 ||
               problem_set(problem, EXIT_BAD_INPUT,
                           "--yes-lose says '%s', and the folders are of cluster '%s': nothing was done", w->yes_lose,
                           cluster);
    if (!isatty(STDIN_FILENO))
        return problem_set(problem, EXIT_BAD_INPUT,
                           "nothing was done: there is no terminal to confirm it at; give --yes-lose with the name of the "
                           "cluster that is lost");
    printf("To go on, type the name of the cluster that is lost: ");
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) != NULL)
        line[strcspn(line, "\n")] = '\0';
    return strcmp(line, cluster) == 0 || problem_set(problem, EXIT_TROUBLE, "that is not its name: nothing was done");
}

/* ---- Doing it ---- */

static bool make(const struct wanted *w, const struct config *config, struct survivor_folders *s, struct problem *problem)
{
    const struct survivor_findings *f = survivor_folders_findings(s);
    const struct beginning beginning = {
        .snapshot = f->snapshot, .found = f->stored, .end = f->found.end, .entry = survivor_folders_entry, .context = s};
    for (size_t i = 0; i < config->node_count; i++) {
        const uint32_t id = config->nodes[i].id;
        if (!is_wanted(w, id))
            continue;
        if (!beginning_make(disk_posix(), &beginning, config, id, problem))
            return false;
        printf("made %s/node-%u for node %u of cluster '%s': its log begins at slot %" PRIu64 "\n", config->data, id, id,
               config->cluster, f->found.end);
    }
    return true;
}

static bool recover(const struct wanted *w, const struct config *config, struct problem *problem)
{
    const struct backup_notices notices = {.on_notice = on_notice};
    struct survivor_folders *s;
    if (!keep_all_away(w, problem) || !survivor_folders_open(&s, disk_posix(), w->folders, w->count, &notices, problem))
        return false;
    const struct survivor_findings *f = survivor_folders_findings(s);
    bool ok = check_config(w, config, f, problem);
    if (ok)
        recover_words(f);
    if (ok && w->dry_run)
        printf("nothing was done (--dry-run)\n");
    else
        ok = ok && is_confirmed(w, f->folders[0].identity.cluster, problem) && make(w, config, s, problem);
    survivor_folders_close(s);
    return ok;
}

static int run(const struct wanted *w)
{
    struct config config;
    struct problem problem;
    if (!config_load(&config, w->config, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return problem.exit_code;
    }
    const bool ok = recover(w, &config, &problem);
    config_close(&config);
    fflush(stdout);
    if (!ok)
        fprintf(stderr, "%s\n", problem.text);
    return ok ? EXIT_OK : problem.exit_code;
}

int verb_recover(int argc, char **argv)
{
    struct wanted w = {0};
    const struct option_row rows[] = {
        {"from-survivors", 0, OPTION_FLAG, .required = true, .target = &w.from_survivors,
         .text = "the folders are all that is left of the old cluster"},
        {"config", 'c', OPTION_TEXT, .required = true, .value = "FILE", .target = &w.config,
         .text = "configuration of the new cluster"},
        {"node", 'n', OPTION_NUMBER, .value = "ID", .target = &w.node, .min = 1, .max = NODE_ID_MAX,
         .text = "node of the new cluster whose folder to make"},
        {"all", 'a', OPTION_FLAG, .target = &w.all, .text = "make the folders of all nodes on this machine"},
        {"dry-run", 0, OPTION_FLAG, .target = &w.dry_run,
         .text = "say what is left and what may be missing, and do nothing"},
        {"yes-lose", 0, OPTION_TEXT, .value = "CLUSTER", .target = &w.yes_lose,
         .text = "the name of the old cluster, instead of asking for it at the terminal"},
    };
    const struct command_help help = {
        .command = "synod recover",
        .operands = "FOLDER...",
        .operands_min = 1,
        .operands_max = NODE_ID_MAX,
        .description =
            "Begins a NEW cluster with what is left of one that has lost the disks of a majority, and so answers nothing any more.\n"
            "Each FOLDER is the data folder (<data>/node-<ID>) of a node that survives, or a copy of it; give ALL of them. None may\n"
            "be in use. They are only read. It says which slots of the log are kept, and what may be missing: writes may be lost\n"
            "that clients were told are done. Then it asks for the name of the cluster that is lost, typed by hand.\n"
            "\n"
            "The new cluster must have another name; it may have other nodes and settings. EACH of its nodes must be made by this\n"
            "command, with --all or one by one, from the same folders, and none may be formatted with `synod init`. Before it\n"
            "starts, no node of the old cluster must be left that clients may find.\n"
            "\n"
            "As long as a majority can come back, do not use it. One lost disk is replaced with `synod member replace`.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes =
            "  0  the folders are made; with --dry-run: it could be done\n  1  not confirmed, or a file cannot be written\n"
            "  2  wrong command line or configuration, no terminal to confirm at\n"
            "  3  a folder is damaged, in use, or of another cluster, or they have nothing to begin with\n"
            "  4  a sync failed\n",
        .examples = "  synod recover --from-survivors data/node-1 --config new.yaml --all --dry-run\n"
                    "  synod recover --from-survivors data/node-1 --config new.yaml --all\n"
                    "  synod recover --from-survivors /saved/node-1 /saved/node-4 --config new.yaml --node 2\n",
    };
    int first;
    const int code = options_parse(&help, argc, argv, &first);
    if (code != OPTIONS_GO_ON)
        return code;
    if (w.all == (w.node != 0)) {
        fprintf(stderr, "synod recover: it wants one of --node and --all; see synod recover --help\n");
        return EXIT_BAD_INPUT;
    }
    w.folders = (const char *const *)(argv + first);
    w.count = (size_t)(argc - first);
    return run(&w);
}
