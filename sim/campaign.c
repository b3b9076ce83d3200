#include "sim/campaign.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/memory.h"

enum { JOBS_MAX = 64, PROGRESS_S = 5, BUSY_PER_SECOND = 100 };

/* Shared by the processes. */
struct job {
    struct campaign_totals totals;
    uint64_t seed; /* at work */
    bool failed;
    struct world_result failure;
    struct problem problem; /* why it has no engine */
    bool broken;
};
struct shared {
    _Atomic uint64_t next; /* seed, counted from 0 */
    atomic_bool stop;
    struct job jobs[JOBS_MAX];
};

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add(struct campaign_totals *t, const struct world_result *r)
{
    uint64_t operations = r->clients.executed;
    t->seeds++;
    t->events += r->events;
    t->simulated_us += r->simulated_us;
    t->operations += operations;
    if (operations * 1000000 >= BUSY_PER_SECOND * r->simulated_us)
        t->busy_us += r->simulated_us;
    for (size_t i = 0; i < FAULTS; i++)
        t->fired[i] += r->fired[i];
    for (size_t i = 0; i < REACHED_STATES; i++)
        t->reached[i] += r->reached[i];
    t->refused += r->refused;
    t->cut_silently += r->cut_silently;
    t->undecided += r->undecided;
}

static void merge(struct campaign_totals *into, const struct campaign_totals *t)
{
    into->seeds += t->seeds;
    into->events += t->events;
    into->simulated_us += t->simulated_us;
    into->operations += t->operations;
    into->busy_us += t->busy_us;
    for (size_t i = 0; i < FAULTS; i++)
        into->fired[i] += t->fired[i];
    for (size_t i = 0; i < REACHED_STATES; i++)
        into->reached[i] += t->reached[i];
    into->refused += t->refused;
    into->cut_silently += t->cut_silently;
    into->undecided += t->undecided;
}

/* ---- a process ---- */

/* One seed, natively or as components, or both. */
static void run_seed(const struct campaign_options *o, struct engine *engine, uint64_t seed, struct job *job)
{
    struct world_options world = o->world;
    struct world_result *r = memory_new(2, sizeof *r);
    world.plan.seed = seed;
    world.engine = o->both ? NULL : engine;
    world_run(&world, &r[0]);
    if (o->both && !r[0].failed) {
        world.engine = engine;
        world_run(&world, &r[1]);
        if (!r[1].failed && r[0].trace_hash != r[1].trace_hash) {
            r[1].failed = true;
            r[1].check = CHECK_TRAP;
            snprintf(r[1].why, sizeof r[1].why, "the traces differ: native %016llx, wasm %016llx",
                     (unsigned long long)r[0].trace_hash, (unsigned long long)r[1].trace_hash);
        }
    }
    const struct world_result *last = r[0].failed || !o->both ? &r[0] : &r[1];
    add(&job->totals, last);
    if (last->failed) {
        job->failed = true;
        job->failure = *last;
    }
    free(r);
}

static void work(const struct campaign_options *o, struct shared *shared, struct job *job)
{
    struct engine *engine = NULL;
    const struct engine_options options = {.turn_timeout = WORLD_TURN_TIMEOUT_US};
    if ((o->wasm || o->both) && !engine_open(&engine, &options, &job->problem)) {
        job->broken = true;
        return;
    }
    while (!atomic_load(&shared->stop)) {
        uint64_t index = atomic_fetch_add(&shared->next, 1);
        if (index >= o->seeds)
            break;
        job->seed = o->world.plan.seed + index;
        run_seed(o, engine, job->seed, job);
        if (job->failed)
            break;
    }
    if (engine != NULL)
        engine_close(engine);
}

/* ---- all of them ---- */

static void sum_up(const struct shared *shared, uint32_t jobs, struct campaign_totals *totals)
{
    memset(totals, 0, sizeof *totals);
    for (uint32_t i = 0; i < jobs; i++)
        merge(totals, &shared->jobs[i].totals);
}

static void say_progress(const struct campaign_options *o, const struct shared *shared, uint32_t jobs, double since)
{
    struct campaign_totals t;
    sum_up(shared, jobs, &t);
    double took = seconds_now() - since;
    fprintf(o->progress, "%llu of %llu seeds, %.0f s, %.1f simulated cluster-hours a minute\n", (unsigned long long)t.seeds,
            (unsigned long long)o->seeds, took, (double)t.simulated_us / 3600e6 / (took / 60));
    fflush(o->progress);
}

static void note_end(struct campaign_result *result, struct job *job, int status)
{
    bool died = WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) != 0);
    if (died) {
        job->failed = true;
        job->failure.failed = true;
        job->failure.check = CHECK_TRAP;
        snprintf(job->failure.why, sizeof job->failure.why, "the process ended with %s %d",
                 WIFSIGNALED(status) ? "signal" : "exit code", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    if (job->failed && (!result->failed || job->seed < result->failed_seed)) {
        result->failed = true;
        result->failed_seed = job->seed;
        result->died = died;
        result->failure = job->failure;
    }
}

static bool start_jobs(const struct campaign_options *o, struct shared *shared, pid_t *pids, uint32_t jobs,
                       const sigset_t *signals, struct problem *problem)
{
    fflush(NULL);
    for (uint32_t i = 0; i < jobs; i++) {
        pids[i] = fork();
        if (pids[i] < 0)
            return problem_set(problem, EXIT_TROUBLE, "cannot start a process: %s", strerror(errno));
        if (pids[i] == 0) {
            sigprocmask(SIG_SETMASK, signals, NULL);
            work(o, shared, &shared->jobs[i]);
            fflush(NULL);
            _exit(0);
        }
    }
    return true;
}

/* `ends` is SIGCHLD. It is blocked, so that no end is missed between looking and waiting. */
static void wait_for_jobs(const struct campaign_options *o, struct shared *shared, const pid_t *pids, uint32_t jobs,
                          const sigset_t *ends, struct campaign_result *result)
{
    const struct timespec patience = {PROGRESS_S, 0};
    double since = seconds_now(), said = since;
    uint32_t left = jobs;
    bool ended[JOBS_MAX] = {false};
    while (left > 0) {
        int status;
        for (uint32_t i = 0; i < jobs; i++) {
            if (ended[i] || waitpid(pids[i], &status, WNOHANG) != pids[i])
                continue;
            ended[i] = true;
            left--;
            note_end(result, &shared->jobs[i], status);
        }
        if (result->failed)
            atomic_store(&shared->stop, true);
        if (o->progress != NULL && seconds_now() - said >= (double)PROGRESS_S) {
            said = seconds_now();
            say_progress(o, shared, jobs, since);
        }
        if (left > 0)
            sigtimedwait(ends, NULL, &patience);
    }
    result->seconds = seconds_now() - since;
}

bool campaign_run(const struct campaign_options *o, struct campaign_result *result, struct problem *problem)
{
    uint32_t jobs = o->jobs < JOBS_MAX ? o->jobs : JOBS_MAX;
    pid_t pids[JOBS_MAX];
    memset(result, 0, sizeof *result);
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return problem_set(problem, EXIT_TROUBLE, "no memory to share: %s", strerror(errno));
    sigset_t ends, before;
    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ends, &before);
    bool ok = start_jobs(o, shared, pids, jobs, &before, problem);
    if (ok)
        wait_for_jobs(o, shared, pids, jobs, &ends, result);
    sigprocmask(SIG_SETMASK, &before, NULL);
    for (uint32_t i = 0; ok && i < jobs; i++) {
        if (shared->jobs[i].broken) {
            *problem = shared->jobs[i].problem;
            ok = false;
        }
    }
    sum_up(shared, jobs, &result->totals);
    munmap(shared, sizeof *shared);
    return ok;
}

void campaign_print(const struct campaign_result *result, FILE *out)
{
    static const char *const required[] = {"tolerated", "node refuses", "outside the promise"};
    const struct campaign_totals *t = &result->totals;
    fprintf(out, "%-20s %-10s %12s  %-20s %s\n", "fault", "of", "fired", "required", "at once on");
    for (size_t i = 0; i < FAULTS; i++)
        fprintf(out, "%-20s %-10s %12llu  %-20s %s\n", fault_kinds[i].name, fault_kinds[i].subject,
                (unsigned long long)t->fired[i], required[fault_kinds[i].required], fault_kinds[i].at_once);
    fprintf(out, "\n%-32s %12s\n", "reached state", "times");
    for (size_t i = 0; i < REACHED_STATES; i++)
        fprintf(out, "%-32s %12llu\n", reached_name((enum reached)i), (unsigned long long)t->reached[i]);
    double minutes = result->seconds / 60;
    fprintf(out, "\n%llu seeds in %.1f s: %llu events (%.0f/s), %llu client operations\n", (unsigned long long)t->seeds,
            result->seconds, (unsigned long long)t->events, (double)t->events / result->seconds,
            (unsigned long long)t->operations);
    fprintf(
        out, "simulated: %.2f cluster-hours, %.1f a minute; %.1f a minute of them with 100 or more operations a second\n",
        (double)t->simulated_us / 3600e6, (double)t->simulated_us / 3600e6 / minutes, (double)t->busy_us / 3600e6 / minutes);
    fprintf(
        out,
        "%llu nodes refused to go on with a harmed disk; harm to a last group that was cut: %llu; keys undecided: %llu\n",
        (unsigned long long)t->refused, (unsigned long long)t->cut_silently, (unsigned long long)t->undecided);
}
