#include "load/load.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load/load_worker.h"

struct load {
    const struct load_options *options;
    struct load_shared *shared;
    size_t shared_size;
    struct load_address *addresses;
    pid_t *pids;
    uint32_t started; /* processes */
    int alive[2];     /* a pipe; every process has its writing end open, so it ends when all have ended */
    uint32_t recoveries;
    uint64_t recovery_us; /* the longest of them */
};

void load_defaults(struct load_options *options)
{
    *options = (struct load_options){
        .processes = 1,
        .connections = 1,
        .pipeline = 1,
        .value_size = 64,
        .protocol = PROTOCOL_RESP,
        .command = COMMAND_SET,
        .request_timeout_ms = 5000,
        .stall_timeout_ms = 30000,
        .progress_interval_ms = 100,
    };
}

double load_throughput(const struct load_result *result)
{
    return result->seconds > 0 ? (double)result->counts.answered / result->seconds : 0;
}

/* From the last mark to the first answer after it; 0: there was none. */
static uint64_t last_recovery_us(const struct load *load)
{
    const uint64_t mark = atomic_load(&load->shared->mark_us);
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < load->started; i++) {
        struct load_share *s = &load->shared->shares[i];
        if (atomic_load_explicit(&s->recovered_mark, memory_order_acquire) != mark)
            continue;
        const uint64_t at = atomic_load_explicit(&s->recovered_us, memory_order_relaxed);
        first = at < first ? at : first;
    }
    return mark == 0 || first == UINT64_MAX ? 0 : first - mark;
}

static void count_recovery(struct load *load)
{
    const uint64_t last_us = last_recovery_us(load);
    load->recoveries += last_us > 0;
    load->recovery_us = last_us > load->recovery_us ? last_us : load->recovery_us;
}

void load_mark(struct load *load)
{
    count_recovery(load);
    atomic_store(&load->shared->mark_us, load_now_us());
}

bool load_recovered(const struct load *load) { return last_recovery_us(load) > 0; }

static bool check_options(const struct load_options *o, char *error, size_t error_size)
{
    const char *wrong = NULL;
    if (o->target_count == 0)
        wrong = "there is no address to connect to";
    else if (o->processes == 0 || o->processes > LOAD_PROCESSES_MAX)
        wrong = "processes must be from 1 to 256";
    else if (o->connections < o->processes)
        wrong = "there must be at least as many connections as processes";
    else if (o->pipeline == 0 || (o->oneshot && o->pipeline > 1))
        wrong = "the pipeline must be 1 at least, and 1 with a connection a request";
    else if (o->sessions && (o->pipeline > LOAD_SESSION_PIPELINE_MAX || o->protocol != PROTOCOL_RESP))
        wrong = "sessions are there over RESP only, and for a pipeline of at most 1024";
    else if (o->sessions && load_session_window(o) == 0)
        wrong = "so many connections with so long a pipeline have no room in sessions, which take 16 MiB at most";
    if (wrong != NULL)
        snprintf(error, error_size, "%s", wrong);
    return wrong == NULL;
}

/* Each process needs a file descriptor for each connection; the usual soft limit of 1024 is too low. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool prepare(struct load *load, char *error, size_t error_size)
{
    const struct load_options *o = load->options;
    load->shared_size = sizeof *load->shared + o->processes * sizeof load->shared->shares[0];
    load->addresses = calloc(o->target_count, sizeof *load->addresses);
    load->pids = calloc(o->processes, sizeof *load->pids);
    void *memory = mmap(NULL, load->shared_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    load->shared = memory == MAP_FAILED ? NULL : memory;
    if (load->addresses == NULL || load->pids == NULL || load->shared == NULL) {
        snprintf(error, error_size, "out of memory");
        return false;
    }
    for (size_t i = 0; i < o->target_count; i++)
        if (!load_resolve(o->targets[i].host, o->targets[i].port, &load->addresses[i], error, error_size))
            return false;
    if (pipe2(load->alive, O_CLOEXEC) != 0) {
        snprintf(error, error_size, "cannot make a pipe: %s", strerror(errno));
        return false;
    }
    raise_file_limit();
    return true;
}

static void release(struct load *load)
{
    for (int i = 0; i < 2; i++)
        if (load->alive[i] >= 0)
            close(load->alive[i]);
    if (load->shared != NULL)
        munmap(load->shared, load->shared_size);
    free(load->addresses);
    free(load->pids);
}

/* Never returns: the process that generates load. The parent handles signals from the terminal. */
static _Noreturn void child(struct load *load, uint32_t number, pid_t parent)
{
    const struct load_options *o = load->options;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    close(load->alive[0]);
    uint32_t connections = o->connections / o->processes + (number < o->connections % o->processes ? 1 : 0);
    struct load_share *share = &load->shared->shares[number];
    if (o->run != NULL)
        o->run(o, load->addresses, number, connections, load->shared, share);
    else
        load_worker_run(o, load->addresses, connections, load->shared, share);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    share->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    _exit(0);
}

static bool start_all(struct load *load, char *error, size_t error_size)
{
    pid_t parent = getpid();
    fflush(NULL); /* otherwise each process would write what is buffered */
    for (uint32_t i = 0; i < load->options->processes; i++) {
        pid_t pid = fork();
        if (pid == 0)
            child(load, i, parent);
        if (pid < 0) {
            snprintf(error, error_size, "cannot start process %u: %s", (unsigned)(i + 1), strerror(errno));
            atomic_store(&load->shared->stop, true);
            return false;
        }
        load->pids[load->started++] = pid;
    }
    return true;
}

static struct load_counts counts_now(const struct load *load)
{
    struct load_counts sum = {0};
    for (uint32_t i = 0; i < load->started; i++) {
        struct load_share *s = &load->shared->shares[i];
        sum.answered += atomic_load_explicit(&s->answered, memory_order_relaxed);
        sum.errors += atomic_load_explicit(&s->errors, memory_order_relaxed);
        sum.unknown += atomic_load_explicit(&s->unknown, memory_order_relaxed);
        sum.retried += atomic_load_explicit(&s->retried, memory_order_relaxed);
        sum.moved += atomic_load_explicit(&s->moved, memory_order_relaxed);
        sum.no_session += atomic_load_explicit(&s->no_session, memory_order_relaxed);
        sum.session_passed += atomic_load_explicit(&s->session_passed, memory_order_relaxed);
        sum.session_reply += atomic_load_explicit(&s->session_reply, memory_order_relaxed);
    }
    return sum;
}

/* Waits for the end of all processes and reports on the way. Returns false when it was told to stop. */
static bool follow(struct load *load, load_progress on_progress, void *context)
{
    uint64_t start = load_now_us();
    bool go_on = true;
    struct pollfd end = {.fd = load->alive[0], .events = POLLIN};
    while (poll(&end, 1, (int)load->options->progress_interval_ms) <= 0) {
        struct load_counts counts = counts_now(load);
        if (go_on && on_progress != NULL && !on_progress(context, load, &counts, (double)(load_now_us() - start) / 1e6)) {
            go_on = false;
            atomic_store(&load->shared->stop, true);
        }
    }
    return go_on;
}

/* Adds the shares. False: a process gave up or died. */
static bool collect(struct load *load, struct load_result *result, char *error, size_t error_size)
{
    uint64_t first = UINT64_MAX, last = 0;
    bool ok = true;
    for (uint32_t i = 0; i < load->started; i++) {
        struct load_share *s = &load->shared->shares[i];
        int status = 0;
        while (waitpid(load->pids[i], &status, 0) < 0 && errno == EINTR)
            ;
        if (ok && (s->problem[0] != '\0' || !s->finished)) {
            snprintf(error, error_size, "process %u of the load generator %s%s", (unsigned)(i + 1),
                     s->finished ? "gave up: " : "died", s->problem);
            ok = false;
        }
        histogram_merge(&result->latency, &s->latency);
        result->cpu_seconds += s->cpu_seconds;
        if (s->first_sent_us != 0 && s->first_sent_us < first)
            first = s->first_sent_us;
        if (s->last_answer_us > last)
            last = s->last_answer_us;
        if (result->first_error[0] == '\0')
            memcpy(result->first_error, s->first_error, sizeof result->first_error);
    }
    count_recovery(load);
    result->counts = counts_now(load);
    result->seconds = last > first ? (double)(last - first) / 1e6 : 0;
    result->recoveries = load->recoveries;
    result->recovery_us = load->recovery_us;
    return ok;
}

bool load_run(const struct load_options *options, load_progress on_progress, void *context, struct load_result *result,
              char *error, size_t error_size)
{
    struct load load = {.options = options, .alive = {-1, -1}};
    *result = (struct load_result){0};
    if (!check_options(options, error, error_size))
        return false;
    bool ok = prepare(&load, error, error_size);
    if (ok) {
        bool started = start_all(&load, error, error_size);
        close(load.alive[1]);
        load.alive[1] = -1;
        result->stopped = !follow(&load, on_progress, context);
        char reason[320];
        bool collected = collect(&load, result, reason, sizeof reason);
        if (started && !collected)
            snprintf(error, error_size, "%s", reason);
        ok = started && collected;
    }
    release(&load);
    return ok;
}
