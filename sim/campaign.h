/* Many worlds, one for each seed, on all cores: one process for each core, each taking the next seed. */
#ifndef SYNOD_SIM_CAMPAIGN_H
#define SYNOD_SIM_CAMPAIGN_H

#include "sim/world.h"

/* Sums over worlds. */
struct campaign_totals {
    uint64_t seeds;
    uint64_t events, simulated_us, operations;
    uint64_t busy_us; /* simulated time of worlds with 100 or more client operations in a simulated second */
    uint64_t fired[FAULTS];
    uint64_t reached[REACHED_STATES];
    uint64_t refused, cut_silently, undecided; /* as in struct world_result */
};

struct campaign_options {
    struct world_options world; /* its seed is the first one; no files */
    uint64_t seeds;
    uint32_t jobs;
    bool wasm;      /* each process makes an engine of its own for world.nodes_folder */
    bool both;      /* each seed natively and as components; the traces must be equal (implies wasm) */
    FILE *progress; /* a line every few seconds; NULL: none */
};

struct campaign_result {
    struct campaign_totals totals;
    double seconds;
    bool failed;
    uint64_t failed_seed;
    bool died;                   /* the process itself died; `failure` says so */
    struct world_result failure; /* of that seed */
};

/* Runs all seeds, or up to the first failure. False: a problem that is not a world's. */
bool campaign_run(const struct campaign_options *options, struct campaign_result *result, struct problem *problem);

/* The tables of faults and of reached states. */
void campaign_print(const struct campaign_result *result, FILE *out);

#endif
