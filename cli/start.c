/* Runs nodes: all of a group in this process, each in a thread of its own, until a signal or the first failure. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "cli/verbs.h"
#include "host/composition.h"
#include "host/descriptors.h"
#include "host/engine.h"
#include "host/limits.h"
#include "host/logger.h"
#include "host/node_host.h"
#include "host/options.h"
#include "local/demo_client.h"

/* Signals that end the nodes gracefully. */
static const struct stop_signal {
    int number;
    bool forces;      /* when they are ending already: ends them at once, because the operator insists */
    bool may_be_kept; /* stays ignored if it was ignored when the process was started (nohup) */
} stop_signals[] = {
    {SIGINT, true, false},
    {SIGTERM, true, false},
    {SIGHUP, false, true},   /* the terminal is gone; shell and kernel may both send it */
    {SIGXCPU, false, false}, /* ulimit -t: the soft limit, and again each second up to the hard one */
};
enum {
    STOP_SIGNALS = sizeof stop_signals / sizeof stop_signals[0],
    /* One that comes sooner counts as the same one: to the process, and to its group (timeout(1) sends both). */
    INSISTS_AFTER_MS = 200,
};

struct process {
    struct config config;
    struct logger *logger;
    struct engine *engine; /* NULL: native */
    uv_loop_t loop;
    uv_signal_t signals[STOP_SIGNALS];
    size_t signal_count;
    struct {
        struct process *process;
        struct node_host *host;
        uv_async_t ended;
    } nodes[NODE_ID_MAX];
    size_t node_count, running;
    bool stopping;
    uint64_t stopping_since; /* milliseconds of the loop's clock */
    int exit_code;
};

static void stop_all(struct process *p)
{
    p->stopping = true;
    for (size_t i = 0; i < p->node_count; i++)
        if (p->nodes[i].host != NULL)
            node_host_stop(p->nodes[i].host);
}

static bool forces(int number)
{
    for (size_t i = 0; i < STOP_SIGNALS; i++)
        if (stop_signals[i].number == number)
            return stop_signals[i].forces;
    return false;
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct process *p = handle->data;
    if (p->stopping && (!forces(number) || uv_now(&p->loop) < p->stopping_since + INSISTS_AFTER_MS))
        return;
    if (p->stopping) {
        logger_log(p->logger, LOG_WARNING, "process", "%s again: ended by force", strsignal(number));
        logger_flush(LAST_WORDS_MS);
        _Exit(EXIT_TROUBLE);
    }
    p->stopping_since = uv_now(&p->loop);
    logger_log(p->logger, LOG_INFO, "process", "%s: stopping", strsignal(number));
    stop_all(p);
}

static void close_signals(struct process *p)
{
    for (size_t i = 0; i < p->signal_count; i++)
        uv_close((uv_handle_t *)&p->signals[i], NULL);
    p->signal_count = 0;
}

static bool listen_to(struct process *p, const struct stop_signal *signal, struct problem *problem)
{
    struct sigaction now;
    uv_signal_t *handle = &p->signals[p->signal_count];
    if (signal->may_be_kept && sigaction(signal->number, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
        return true;
    int error = uv_signal_init(&p->loop, handle);
    if (error == 0) {
        handle->data = p;
        p->signal_count++;
        error = uv_signal_start(handle, on_signal, signal->number);
    }
    return error == 0 || problem_set(problem, EXIT_TROUBLE, "cannot listen to signals: %s", uv_strerror(error));
}

/* On the node's thread. */
static void on_node_ended(void *context) { uv_async_send(context); }

static void on_ended(uv_async_t *handle)
{
    struct process *p = handle->data;
    for (size_t i = 0; i < p->node_count; i++) {
        if (&p->nodes[i].ended != handle || p->nodes[i].host == NULL)
            continue;
        int exit_code = node_host_join(p->nodes[i].host);
        p->nodes[i].host = NULL;
        p->running--;
        if (p->exit_code == EXIT_OK)
            p->exit_code = exit_code;
        uv_close((uv_handle_t *)handle, NULL);
        if (!p->stopping)
            stop_all(p); /* a process hosts its whole group or nothing, so that its supervisor sees one exit code */
    }
    if (p->running == 0)
        close_signals(p);
}

static bool start_node(struct process *p, uint32_t node, const char *nodes_folder, struct problem *problem)
{
    size_t i = p->node_count;
    p->nodes[i].ended.data = p;
    int error = uv_async_init(&p->loop, &p->nodes[i].ended, on_ended);
    if (error != 0)
        return problem_set(problem, EXIT_TROUBLE, "node %u: %s", node, uv_strerror(error));
    const struct node_host_options options = {&p->config,         node, p->engine, nodes_folder, on_node_ended,
                                              &p->nodes[i].ended, 0};
    if (!node_host_start(&p->nodes[i].host, &options, problem)) {
        uv_close((uv_handle_t *)&p->nodes[i].ended, NULL);
        return false;
    }
    p->node_count++;
    p->running++;
    return true;
}

static void on_notice(void *context, const char *text) { logger_log(context, LOG_WARNING, "engine", "%s", text); }

static bool start_engine(struct process *p, struct problem *problem)
{
    const struct engine_options options = {
        .turn_timeout = p->config.turn_timeout, .on_notice = on_notice, .context = p->logger};
    return engine_open(&p->engine, &options, problem);
}

static bool open_process(struct process *p, struct problem *problem)
{
    int error = uv_loop_init(&p->loop);
    if (error != 0)
        return problem_set(problem, EXIT_TROUBLE, "cannot wait for anything: %s", uv_strerror(error));
    bool sound = true;
    for (size_t i = 0; sound && i < STOP_SIGNALS; i++)
        sound = listen_to(p, &stop_signals[i], problem);
    return sound;
}

static void run_nodes(struct process *p, const struct config_group *group, bool native)
{
    struct problem problem = {0};
    char nodes_folder[4096];
    composition_folder(nodes_folder, sizeof nodes_folder);
    bool started = native || start_engine(p, &problem);
    for (size_t i = 0; started && i < group->count; i++)
        started = start_node(p, group->nodes[i], nodes_folder, &problem);
    if (!started) {
        logger_log(p->logger, LOG_ERROR, "process", "%s", problem.text);
        p->exit_code = problem.exit_code;
        stop_all(p);
    }
    if (p->running == 0)
        close_signals(p);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    uv_loop_close(&p->loop);
    if (p->engine != NULL && p->exit_code == EXIT_OK) /* after a failure a node may have been abandoned, with its store */
        engine_close(p->engine);
}

static int run_group(struct process *p, const struct config_group *group, bool native)
{
    struct problem problem;
    char notice[DESCRIPTORS_NOTICE_SIZE];
    p->logger = logger_new(0, p->config.log_level);
    if (descriptors_reserve(&p->config, group, native, notice, &problem) && limits_check(group->count, native, &problem) &&
        open_process(p, &problem)) {
        if (notice[0] != '\0')
            logger_log(p->logger, LOG_WARNING, "process", "%s", notice);
        run_nodes(p, group, native);
    } else {
        logger_log(p->logger, LOG_ERROR, "process", "%s", problem.text);
        p->exit_code = problem.exit_code;
    }
    logger_free(p->logger);
    logger_flush(FLUSH_MS);
    return p->exit_code;
}

static const struct config_group *find_group(const struct config *config, uint64_t node, uint64_t group)
{
    if (group != 0) {
        if (group <= config->group_count)
            return &config->groups[group - 1];
        fprintf(stderr, "%s: there is no group %" PRIu64 ", only %zu\n", config->file, group, config->group_count);
        return NULL;
    }
    if (config_find(config, (uint32_t)node) != NULL)
        return config_group_of(config, (uint32_t)node);
    fprintf(stderr, "%s: there is no node %" PRIu64 "\n", config->file, node);
    return NULL;
}

static int start(const char *file, uint64_t node, uint64_t number, bool native)
{
    static struct process process; /* large, and the only one */
    struct problem problem;
    if (!config_load(&process.config, file, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return problem.exit_code;
    }
    const struct config_group *group = find_group(&process.config, node, number);
    int code = EXIT_BAD_INPUT;
    if (group != NULL) {
        /* Writing to a peer that hung up is an error of the write. */
        signal(SIGPIPE, SIG_IGN);
        pid_t client = demo_client_start(&process.config, group); /* before there are threads */
        if (logger_start(&problem)) {
            code = run_group(&process, group, native);
        } else {
            fprintf(stderr, "%s\n", problem.text);
            code = problem.exit_code;
        }
        demo_client_stop(client);
    }
    config_close(&process.config);
    return code;
}

int verb_start(int argc, char **argv)
{
    const char *file = NULL;
    uint64_t node = 0, group = 0;
    bool native = false;
    const struct option_row rows[] = {
        {"config", 'c', OPTION_TEXT, .required = true, .value = "FILE", .target = &file,
         .text = "configuration of the cluster"},
        {"node", 'n', OPTION_NUMBER, .value = "ID", .target = &node, .min = 1, .max = NODE_ID_MAX,
         .text = "a node to run, with all others of its group"},
        {"group", 'g', OPTION_NUMBER, .value = "N", .target = &group, .min = 1, .max = NODE_ID_MAX,
         .text = "the group to run, counted from 1 in the order of the configuration"},
        {"native", 0, OPTION_FLAG, .target = &native, .text = "run the same parts as native code instead of WebAssembly"},
    };
    const struct command_help help = {
        .command = "synod start",
        .description =
            "Runs a node, and in the same process all nodes of its group, until SIGINT or SIGTERM (once: gracefully, within\n"
            "grace_period_ms; twice: at once) or until one of them fails, which ends them all. SIGHUP ends them gracefully,\n"
            "too, unless it is ignored when the process starts (nohup). The data folders must have been formatted with\n"
            "`synod init`. The log goes to standard error; lines that are not read in time are dropped and counted.\n"
            "\n"
            "A node that breaks (a trap, a turn that takes too long, no sign of life) is restarted within the process, up to\n"
            "restarts_max times in a row, and goes on with its journal as the next incarnation; its client port stays open. With\n"
            "--native there is nothing to restart: what would be a trap ends the process with a signal.\n"
            "\n"
            "The composed nodes are looked for in ../nodes beside the folder of this program, or in $SYNOD_NODES.\n"
            "Compiled code is kept in $XDG_CACHE_HOME/synod/compiled or ~/.cache/synod/compiled.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes =
            "  0  stopped as asked\n  1  a node failed, and restarting it did not help\n"
            "  2  wrong command line or configuration, or governed settings that changed or are not those of the other nodes;\n"
            "     a port in use, a component that cannot be used\n"
            "  3  data folder: not formatted, another node's, in use, corrupt\n"
            "  4  a sync to disk failed: final, do not restart the node on this disk\n"
            "  6  a node's state is not that of the others: final, do not restart it\n"
            "  7  the node was removed, or its disk was replaced: final, do not restart it on this data folder\n",
        .examples = "  synod start --config examples/coordinator.yaml --node 1\n"
                    "  synod start --config examples/shared.yaml --group 2\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    if (code != OPTIONS_GO_ON)
        return code;
    if ((node != 0) == (group != 0)) {
        fprintf(stderr, "synod start: give either --node or --group; see synod start --help\n");
        return EXIT_BAD_INPUT;
    }
    return start(file, node, group, native);
}
