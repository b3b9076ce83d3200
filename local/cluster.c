#include "local/cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/program.h"
#include "local/cluster_config.h"

enum { POLL_MS = 50, LOOK_TIMEOUT_MS = 500, STABLE_LOOKS = 4, LOG_TAIL_BYTES = 700 };

static void sleep_ms(uint32_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- Processes ---- */

/* Forks and runs `synod` with `argv`. Its output goes into `log`; it does not get the terminal's signals. */
static pid_t spawn(const struct cluster *c, char *const argv[], const char *log)
{
    fflush(NULL); /* otherwise both would write what is buffered */
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* a killed demo leaves no process running */
    if (getppid() != parent)
        _exit(EXIT_TROUBLE);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    int in = open("/dev/null", O_RDONLY), out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (in < 0 || out < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
        _exit(EXIT_TROUBLE);
    close_range(STDERR_FILENO + 1, ~0u, 0);
    if (c->nodes_folder != NULL)
        setenv("SYNOD_NODES", c->nodes_folder, 1);
    execv(c->executable, argv);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", c->executable, strerror(errno));
    _exit(EXIT_TROUBLE);
}

/* The end of a log, as an indented block. */
static void log_tail(const char *log, char *out, size_t size)
{
    char tail[LOG_TAIL_BYTES + 1] = "";
    int fd = open(log, O_RDONLY | O_CLOEXEC);
    out[0] = '\0';
    if (fd < 0)
        return;
    off_t end = lseek(fd, 0, SEEK_END), from = end > LOG_TAIL_BYTES ? end - LOG_TAIL_BYTES : 0;
    ssize_t n = pread(fd, tail, LOG_TAIL_BYTES, from);
    close(fd);
    tail[n > 0 ? n : 0] = '\0';
    char *text = tail, *rest = NULL;
    if (from > 0 && strchr(tail, '\n') != NULL && strchr(tail, '\n')[1] != '\0')
        text = strchr(tail, '\n') + 1; /* whole lines only */
    size_t used = 0;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        int written = snprintf(out + used, size - used, "\n    %s", line);
        if (written < 0 || (size_t)written >= size - used)
            return;
        used += (size_t)written;
    }
}

static void describe_end(int status, char *out, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(out, size, "was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(out, size, "ended with exit code %d", WEXITSTATUS(status));
}

/* Waits for a child (`flags` as in waitpid) and counts its processor time. False: it still runs. */
static bool reap(struct cluster *c, struct cluster_process *p, int flags, int *status)
{
    struct rusage usage;
    pid_t pid;
    do
        pid = wait4(p->pid, status, flags, &usage);
    while (pid < 0 && errno == EINTR);
    if (pid != p->pid)
        return false;
    c->cpu_seconds_ended += (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                            (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    p->pid = 0;
    return true;
}

bool cluster_alive(struct cluster *c, struct problem *problem)
{
    for (size_t i = 0; i < c->process_count; i++) {
        struct cluster_process *p = &c->processes[i];
        int status;
        if (p->pid != 0 && reap(c, p, WNOHANG, &status))
            describe_end(status, p->died, sizeof p->died);
        if (p->died[0] != '\0') {
            char tail[900];
            log_tail(p->log, tail, sizeof tail);
            return problem_set(problem, EXIT_CHECK_FAILED, "the process of %s %s; the end of its log:%s", p->name, p->died,
                               tail[0] != '\0' ? tail : " (it is empty)");
        }
    }
    return true;
}

bool cluster_start(struct cluster *c, struct problem *problem)
{
    for (size_t i = 0; i < c->process_count; i++) {
        struct cluster_process *p = &c->processes[i];
        char number[16];
        if (p->pid != 0)
            continue;
        snprintf(number, sizeof number, "%u", (unsigned)p->number);
        char *argv[] = {(char *)"synod",
                        (char *)"start",
                        (char *)"--config",
                        c->config_file,
                        p->by_group ? "--group" : "--node",
                        number,
                        c->native ? "--native" : NULL,
                        NULL};
        pid_t pid = spawn(c, argv, p->log);
        if (pid < 0)
            return problem_set(problem, EXIT_TROUBLE, "cannot start the process of %s: %s", p->name, strerror(errno));
        p->pid = pid;
    }
    return true;
}

void cluster_kill(struct cluster *c, uint32_t node)
{
    const struct config_group *group = config_group_of(&c->config, node);
    struct cluster_process *p = group != NULL ? &c->processes[group - c->config.groups] : NULL;
    int status;
    if (p == NULL || p->pid == 0)
        return;
    kill(p->pid, SIGKILL);
    reap(c, p, 0, &status);
}

static double cpu_seconds_of(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return 0;
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The second number of /proc/<pid>/statm, in pages. */
static uint64_t resident_bytes_of(pid_t pid)
{
    char path[64];
    unsigned long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

double cluster_cpu_seconds(const struct cluster *c)
{
    double sum = c->cpu_seconds_ended;
    for (size_t i = 0; i < c->process_count; i++)
        if (c->processes[i].pid != 0)
            sum += cpu_seconds_of(c->processes[i].pid);
    return sum;
}

uint64_t cluster_resident_bytes(const struct cluster *c)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < c->process_count; i++)
        if (c->processes[i].pid != 0)
            sum += resident_bytes_of(c->processes[i].pid);
    return sum;
}

/* Notes how a process ended that had been asked to end. */
static bool check_end(struct cluster_process *p, int status, struct problem *problem)
{
    char how[128], tail[700];
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    describe_end(status, how, sizeof how);
    log_tail(p->log, tail, sizeof tail);
    return problem_set(problem, EXIT_CHECK_FAILED,
                       "the process of %s did not stop as it should: it %s; the end of its log:%s", p->name, how, tail);
}

bool cluster_stop(struct cluster *c, uint32_t grace_ms, struct problem *problem)
{
    uint64_t deadline = now_ms() + grace_ms;
    bool ok = true, forced = false;
    size_t left = 0;
    for (size_t i = 0; i < c->process_count; i++) {
        if (c->processes[i].pid == 0)
            continue;
        kill(c->processes[i].pid, SIGTERM);
        left++;
    }
    while (left > 0) {
        for (size_t i = 0; i < c->process_count; i++) {
            struct cluster_process *p = &c->processes[i];
            int status;
            if (p->pid == 0 || !reap(c, p, WNOHANG, &status))
                continue;
            left--;
            if (ok)
                ok = check_end(p, status, problem);
        }
        if (left == 0)
            break;
        if (!forced && now_ms() > deadline) {
            for (size_t i = 0; i < c->process_count; i++)
                if (c->processes[i].pid != 0)
                    kill(c->processes[i].pid, SIGKILL);
            forced = true;
        }
        sleep_ms(POLL_MS / 5);
    }
    return ok;
}

/* ---- Status ---- */

size_t cluster_look(struct cluster *c, int timeout_ms)
{
    size_t answered = 0;
    for (size_t i = 0; i < c->config.node_count; i++) {
        const struct config_node *node = &c->config.nodes[i];
        struct node_info info;
        char error[400];
        c->answers[node->id] = info_fetch(node->client.host, node->client.port, timeout_ms, &info, error, sizeof error);
        if (c->answers[node->id]) {
            c->info[node->id] = info;
            answered++;
        }
    }
    return answered;
}

bool cluster_proposes(const struct config_node *node)
{
    return node->role == ROLE_COORDINATOR || node->role == ROLE_PROPOSER;
}

bool cluster_executes(const struct config_node *node)
{
    return node->role == ROLE_COORDINATOR || node->role == ROLE_LEARNER;
}

const struct config_node *cluster_leader(const struct cluster *c)
{
    const struct config_node *best = NULL;
    for (size_t i = 0; i < c->config.node_count; i++) {
        const struct config_node *node = &c->config.nodes[i];
        const struct node_info *info = &c->info[node->id];
        if (cluster_proposes(node) && c->answers[node->id] && info->leader == node->id &&
            strcmp(info->proposer_state, "leading") == 0 &&
            (best == NULL || ballot_compare(info->ballot, c->info[best->id].ballot) > 0))
            best = node;
    }
    return best;
}

size_t cluster_targets(const struct cluster *c, struct load_target *out)
{
    const struct config_node *leader = cluster_leader(c);
    size_t count = 0;
    for (size_t i = 0; i <= c->config.node_count; i++) {
        const struct config_node *node = i == 0 ? leader : &c->config.nodes[i - 1];
        if (node == NULL || !cluster_proposes(node) || (i > 0 && node == leader))
            continue;
        struct load_target *t = &out[count++];
        snprintf(t->host, sizeof t->host, "%s", node->client.host);
        t->port = node->client.port;
    }
    return count;
}

/* The leader, if all nodes answer and all proposers agree on it. */
static const struct config_node *agreed_leader(struct cluster *c)
{
    if (cluster_look(c, LOOK_TIMEOUT_MS) < c->config.node_count)
        return NULL;
    const struct config_node *leader = cluster_leader(c);
    for (size_t i = 0; leader != NULL && i < c->config.node_count; i++) {
        const struct config_node *node = &c->config.nodes[i];
        if (cluster_proposes(node) && c->info[node->id].leader != leader->id)
            return NULL;
    }
    return leader;
}

static void describe_waiting(const struct cluster *c, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < c->config.node_count; i++) {
        uint32_t id = c->config.nodes[i].id;
        const struct node_info *info = &c->info[id];
        int n = c->answers[id] ? snprintf(out + used, size - used, "; node %u: leader %u, %s", (unsigned)id,
                                          (unsigned)info->leader, info->proposer_state)
                               : snprintf(out + used, size - used, "; node %u does not answer", (unsigned)id);
        if (n < 0 || (size_t)n >= size - used)
            return;
        used += (size_t)n;
    }
}

bool cluster_wait_ready(struct cluster *c, uint32_t timeout_ms, const volatile int *interrupted, struct problem *problem)
{
    uint64_t deadline = now_ms() + timeout_ms;
    struct ballot ballot = {0};
    /* Several looks in a row: while nodes start one after another, the first leader may not be the last. */
    for (int stable = 0; stable < STABLE_LOOKS;) {
        if (!cluster_alive(c, problem))
            return false;
        if (*interrupted)
            return problem_set(problem, EXIT_TROUBLE, "interrupted");
        if (now_ms() > deadline) {
            char waiting[700] = "";
            describe_waiting(c, waiting, sizeof waiting);
            return problem_set(problem, EXIT_CHECK_FAILED, "no leader after %u ms%s", (unsigned)timeout_ms, waiting);
        }
        const struct config_node *leader = agreed_leader(c);
        bool same = leader != NULL && ballot_compare(c->info[leader->id].ballot, ballot) == 0;
        stable = leader == NULL ? 0 : same ? stable + 1 : 1;
        if (leader != NULL)
            ballot = c->info[leader->id].ballot;
        sleep_ms(POLL_MS);
    }
    return true;
}

/* ---- The whole ---- */

bool cluster_in_memory(const struct cluster *c) { return folder_in_memory(c->folder); }

static bool format_nodes(struct cluster *c, struct problem *problem)
{
    char log[sizeof c->folder + 16], tail[700];
    int status = 0;
    snprintf(log, sizeof log, "%s/init.log", c->folder);
    char *argv[] = {(char *)"synod", (char *)"init", (char *)"--config", c->config_file, (char *)"--all", NULL};
    pid_t pid = spawn(c, argv, log);
    if (pid < 0)
        return problem_set(problem, EXIT_TROUBLE, "cannot start synod init: %s", strerror(errno));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    log_tail(log, tail, sizeof tail);
    return problem_set(problem, EXIT_TROUBLE, "synod init --config %s --all failed:%s", c->config_file, tail);
}

/* One process for each group of the configuration. */
static void plan_processes(struct cluster *c, bool by_group)
{
    c->process_count = c->config.group_count;
    for (size_t i = 0; i < c->process_count; i++) {
        struct cluster_process *p = &c->processes[i];
        *p = (struct cluster_process){.by_group = by_group};
        p->number = by_group ? (uint32_t)i + 1 : c->config.groups[i].nodes[0];
        snprintf(p->name, sizeof p->name, "%s %u", by_group ? "group" : "node", (unsigned)p->number);
        snprintf(p->log, sizeof p->log, "%s/%s-%u.log", c->folder, by_group ? "group" : "node", (unsigned)p->number);
    }
}

/* The program `synod` in the folder of this executable, which may be that program itself or one beside it. */
static bool find_synod(struct cluster *c, struct problem *problem)
{
    char folder[sizeof c->executable - sizeof "/synod"];
    if (!program_folder(folder, sizeof folder))
        return problem_set(problem, EXIT_TROUBLE, "cannot find the folder of this executable");
    snprintf(c->executable, sizeof c->executable, "%s/synod", folder);
    return true;
}

bool cluster_create(struct cluster *c, const struct cluster_plan *plan, struct problem *problem)
{
    *c = (struct cluster){.native = plan->native, .nodes_folder = plan->nodes_folder};
    if (!find_synod(c, problem))
        return false;
    if (plan_node_count(plan) > NODE_ID_MAX)
        return problem_set(problem, EXIT_BAD_INPUT, "%u nodes are too many: at most %u in all",
                           (unsigned)plan_node_count(plan), NODE_ID_MAX);
    if (!folder_make(c->folder, sizeof c->folder, problem))
        return false;
    snprintf(c->config_file, sizeof c->config_file, "%s/cluster.yaml", c->folder);
    if (!config_write(c->config_file, plan, problem) || !config_load(&c->config, c->config_file, problem)) {
        folder_remove(c->folder);
        return false;
    }
    plan_processes(c, strcmp(plan->deployment, "shared") == 0);
    if (!format_nodes(c, problem)) {
        cluster_close(c, false);
        return false;
    }
    return true;
}

void cluster_close(struct cluster *c, bool keep)
{
    if (!keep)
        folder_remove(c->folder);
    config_close(&c->config);
}
