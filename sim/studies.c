#include "sim/studies.h"

#include <stdio.h>
#include <time.h>

#include "io/problem.h"
#include "sim/explore.h"
#include "sim/sweep.h"

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void say_explored(void *context, const struct explore_progress *p)
{
    (void)context;
    fprintf(stderr, "depth %u: %llu states, %llu transitions, %llu states to go on from\n", p->depth,
            (unsigned long long)p->states, (unsigned long long)p->transitions, (unsigned long long)p->waiting);
}

static bool explore(struct explore_options options, const char *what)
{
    options.progress = say_explored;
    static struct explore_result r;
    double began = seconds_now();
    printf("%s\n", what);
    bool sound = explore_run(&options, &r);
    double took = seconds_now() - began;
    printf("%llu states, %llu transitions, depth %u, %llu states of learners; %.1f s, %.0f states/s\n",
           (unsigned long long)r.states, (unsigned long long)r.transitions, r.depth, (unsigned long long)r.learnings, took,
           (double)r.states / took);
    if (!sound)
        printf("FAILED %s\n%s\n", r.failed != NULL ? r.failed : "to finish", r.path != NULL ? r.path : "");
    else
        printf("the search is complete, and every state keeps:");
    for (int i = 0; sound && i < EXPLORE_CHECKS; i++)
        printf(" %s%s", explore_check_name((enum explore_check)i), i + 1 < EXPLORE_CHECKS ? "" : "\n");
    explore_result_close(&r);
    return sound;
}

int sim_explore(void)
{
    const bool sound =
        explore(explore_standard(), "3 acceptors, 2 proposers, learners, 2 slots, 3 ballots, any message lost, 1 crash") &&
        explore(
            explore_change(EXPLORE_REPLACED),
            "a change from 3 acceptors to 2 of them and another one, 2 proposers, 2 slots, 3 ballots, any message lost") &&
        explore(explore_change(EXPLORE_ADDED),
                "a change from 3 acceptors to 4, 2 proposers, 2 slots, 3 ballots, any message lost");
    return sound ? EXIT_OK : EXIT_CHECK_FAILED;
}

static bool sweep_snapshots(const struct sweep_options *options, char *why, size_t size)
{
    static struct sweep_snapshots_result r;
    double began = seconds_now();
    bool sound = sweep_snapshots_run(options, &r, why, size);
    printf("three snapshots, of which %llu bytes are damaged; written by %llu calls; %.1f s\n", (unsigned long long)r.bytes,
           (unsigned long long)r.calls, seconds_now() - began);
    printf("%-12s %12s %12s %12s\n", "sweep", "cases", "as expected", "one before");
    for (int i = 0; i < SWEEP_KINDS; i++) {
        const struct sweep_counts *c = &r.counts[i];
        printf("%-12s %12llu %12llu %12llu\n", sweep_name((enum sweep_kind)i), (unsigned long long)c->cases,
               (unsigned long long)c->whole, (unsigned long long)c->cut);
    }
    return sound;
}

int sim_sweep(uint64_t seed, const char *folder)
{
    const struct sweep_options options = {.folder = folder, .seed = seed};
    static struct sweep_result r;
    char why[1024];
    double began = seconds_now();
    bool sound = sweep_run(&options, &r, why, sizeof why);
    if (!sound && r.calls == 0) {
        fprintf(stderr, "synod-sim: %s\n", why);
        return EXIT_BAD_INPUT;
    }
    printf(
        "a journal of %llu records; %llu groups in %llu segments are left, %llu bytes, and %llu segments were removed; written "
        "by %llu calls; %.1f s\n",
        (unsigned long long)r.records, (unsigned long long)r.groups, (unsigned long long)r.segments,
        (unsigned long long)r.bytes, (unsigned long long)r.removed, (unsigned long long)r.calls, seconds_now() - began);
    printf("%-12s %12s %12s %12s %12s\n", "sweep", "cases", "whole", "refused", "last cut");
    for (int i = 0; i < SWEEP_KINDS; i++) {
        const struct sweep_counts *c = &r.counts[i];
        printf("%-12s %12llu %12llu %12llu %12llu\n", sweep_name((enum sweep_kind)i), (unsigned long long)c->cases,
               (unsigned long long)c->whole, (unsigned long long)c->refused, (unsigned long long)c->cut);
    }
    printf("syncs before which not all subsets of the waiting sectors were tried, but a random sample: %llu\n",
           (unsigned long long)r.syncs_sampled);
    sound = sound && sweep_snapshots(&options, why, sizeof why);
    if (!sound)
        printf("FAILED %s\n", why);
    return sound ? EXIT_OK : EXIT_CHECK_FAILED;
}

int sim_mutants(const struct hunt_options *options)
{
    double began = seconds_now();
    if (mutants_count() == 0) {
        fprintf(stderr, "synod-sim: there are no mutants in this build; see `make mutants`\n");
        return EXIT_BAD_INPUT;
    }
    uint32_t got_away = hunt(options, stdout);
    bool all = options->sample == 0 || options->sample > mutants_count();
    printf("%u of %u mutants were not caught, in %.0f s\n", got_away, all ? mutants_count() : options->sample,
           seconds_now() - began);
    return got_away == 0 ? EXIT_OK : EXIT_CHECK_FAILED;
}
