/* `synod-sim`: whole clusters in a simulated world that a seed decides. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/composition.h"
#include "host/options.h"
#include "host/program.h"
#include "sim/campaign.h"
#include "sim/shrink.h"
#include "sim/studies.h"

enum { SHRINK_RUNS = 400, HUNT_SEEDS_MAX = 2500 };

struct sim {
    uint64_t seed, seeds, jobs, events, strikes;
    uint32_t deployment, port, network, granularity;
    uint64_t sample;
    uint64_t rounds;
    const char *only, *without, *trace_file, *history_file, *mutant, *folder;
    bool wasm, both, shrink, explore, sweep, mutants, changes, sessions, leases;
    char nodes_folder[4096];
    struct campaign_options campaign;
};

/* ---- options ---- */

/* A list of faults, or of their subjects (network, disk, ...), separated by commas. */
static bool read_faults(const char *text, uint64_t *set)
{
    *set = 0;
    for (const char *at = text; *at != '\0';) {
        size_t len = strcspn(at, ",");
        uint64_t before = *set;
        for (uint32_t i = 0; i < FAULTS; i++) {
            const struct fault_kind *k = &fault_kinds[i];
            if ((strlen(k->name) == len && memcmp(k->name, at, len) == 0) ||
                (strlen(k->subject) == len && memcmp(k->subject, at, len) == 0))
                *set |= UINT64_C(1) << i;
        }
        if (*set == before && !(len == 4 && memcmp(at, "none", 4) == 0)) {
            fprintf(stderr, "synod-sim: '%.*s' is not a fault; every run of several seeds lists them\n", (int)len, at);
            return false;
        }
        at += at[len] == ',' ? len + 1 : len;
    }
    return true;
}

static bool set_mutant(const char *name)
{
    uint32_t mutant = mutant_find(name);
    mutant_choose(mutant);
    if (mutants_count() == 0)
        fprintf(stderr, "synod-sim: there are no mutants in this build; see `make mutants`\n");
    else if (mutant == 0)
        fprintf(stderr, "synod-sim: '%s' is no mutant\n", name);
    return mutant != 0;
}

static bool set_up(struct sim *s)
{
    struct world_options *w = &s->campaign.world;
    uint64_t without = 0;
    w->plan = (struct plan_options){.seed = s->seed,
                                    .events = s->events,
                                    .deployment = s->deployment,
                                    .port = s->port,
                                    .network = s->network,
                                    .changes = s->changes,
                                    .sessions = s->sessions,
                                    .leases = s->leases,
                                    .faults = (UINT64_C(1) << FAULTS) - 1};
    if (s->only != NULL && !read_faults(s->only, &w->plan.faults))
        return false;
    if (s->without != NULL && !read_faults(s->without, &without))
        return false;
    w->plan.faults &= ~without;
    w->fault_budget = s->strikes;
    if (s->mutant != NULL && !set_mutant(s->mutant))
        return false;
    composition_folder(s->nodes_folder, sizeof s->nodes_folder);
    w->nodes_folder = s->nodes_folder;
    w->granularity = (uint8_t)s->granularity;
    const struct config_node node = {.role = ROLE_COORDINATOR, .serializer = PLACE_GUEST, .granularity = w->granularity};
    char file[sizeof s->nodes_folder + 32];
    composition_file(file, sizeof file, s->nodes_folder, &node, LEADER_STICKY);
    if ((s->wasm || s->both) && access(file, R_OK) != 0) {
        fprintf(stderr, "synod-sim: there is no %s; build the components, or set SYNOD_NODES\n", file);
        return false;
    }
    s->campaign.wasm = s->wasm;
    s->campaign.both = s->both;
    s->campaign.seeds = s->seeds;
    s->campaign.jobs = (uint32_t)(s->jobs < s->seeds ? s->jobs : s->seeds);
    return true;
}

static FILE *open_file(const char *path)
{
    if (path == NULL)
        return NULL;
    FILE *file = fopen(path, "w");
    if (file == NULL)
        fprintf(stderr, "synod-sim: cannot write %s\n", path);
    return file;
}

/* ---- failures ---- */

/* The one command that shows this failure again. */
static void print_command(const struct sim *s, const struct world_options *w)
{
    printf("replay: synod-sim --seed %llu", (unsigned long long)w->plan.seed);
    if (w->plan.deployment != DEPLOYMENT_ANY)
        printf(" --deployment %s", deployment_names[w->plan.deployment]);
    if (w->plan.port != TWIN_ANY)
        printf(" --port %s", twin_names[w->plan.port]);
    if (w->plan.network != WIRE_ANY)
        printf(" --network %s", wire_names[w->plan.network]);
    if (w->plan.events != 0 && w->plan.events != PLAN_EVENTS)
        printf(" --events %llu", (unsigned long long)w->plan.events);
    if (w->plan.changes)
        printf(" --changes");
    if (w->plan.sessions)
        printf(" --sessions");
    if (w->plan.leases)
        printf(" --leases");
    if (w->fault_budget != UINT64_MAX)
        printf(" --strikes %llu", (unsigned long long)w->fault_budget);
    if (w->plan.faults != (UINT64_C(1) << FAULTS) - 1) {
        const char *before = " --only ";
        for (uint32_t i = 0; i < FAULTS; i++) {
            if ((w->plan.faults >> i & 1) == 0)
                continue;
            printf("%s%s", before, fault_kinds[i].name);
            before = ",";
        }
        if (w->plan.faults == 0)
            printf("%snone", before);
    }
    if (s->mutant != NULL)
        printf(" --mutant %s", s->mutant);
    if (w->granularity != GRANULARITY_PARTS)
        printf(" --granularity %s", granularity_names[w->granularity]);
    printf("%s\n", s->both ? " --both" : s->wasm ? " --wasm" : "");
}

static void print_failure(const struct world_result *r) { printf("FAILED %s: %s\n", check_name(r->check), r->why); }

/* ---- one seed ---- */

static void print_result(const struct world_result *r)
{
    printf("trace %016llx, %llu events, %.1f s simulated, %llu operations (%llu refused, %llu of unknown outcome), "
           "%llu strikes\n",
           (unsigned long long)r->trace_hash, (unsigned long long)r->events, (double)r->simulated_us / 1e6,
           (unsigned long long)r->clients.executed, (unsigned long long)r->clients.refused,
           (unsigned long long)r->clients.unknown, (unsigned long long)r->struck);
}

static void show_failure(struct sim *s, struct world_options *w, struct world_result *r)
{
    print_failure(r);
    if (s->shrink) {
        w->trace = w->history = w->report = NULL;
        uint32_t runs = shrink(w, r, SHRINK_RUNS);
        printf("made smaller in %u runs:\n", runs);
        w->report = stdout;
        world_run(w, r);
        print_failure(r);
    }
    print_command(s, w);
}

static int run_one(struct sim *s)
{
    struct world_options w = s->campaign.world;
    static struct world_result r;
    struct problem problem;
    struct plan plan;
    if (s->wasm) {
        const struct engine_options options = {.turn_timeout = WORLD_TURN_TIMEOUT_US};
        if (!engine_open(&w.engine, &options, &problem)) {
            fprintf(stderr, "synod-sim: %s\n", problem.text);
            return problem.exit_code;
        }
    }
    w.trace = open_file(s->trace_file);
    w.history = open_file(s->history_file);
    if ((s->trace_file != NULL && w.trace == NULL) || (s->history_file != NULL && w.history == NULL))
        return EXIT_BAD_INPUT;
    FILE *files[] = {w.trace, w.history};
    w.report = stdout;
    plan_draw(&plan, &w.plan);
    plan_print(&plan, stdout);
    world_run(&w, &r);
    print_result(&r);
    for (size_t i = 0; i < 2; i++)
        if (files[i] != NULL)
            fclose(files[i]);
    if (r.failed)
        show_failure(s, &w, &r);
    if (w.engine != NULL)
        engine_close(w.engine);
    return r.failed ? EXIT_CHECK_FAILED : EXIT_OK;
}

/* ---- many seeds ---- */

static int run_many(struct sim *s)
{
    static struct campaign_result result;
    struct problem problem;
    s->campaign.progress = stderr;
    if (!campaign_run(&s->campaign, &result, &problem)) {
        fprintf(stderr, "synod-sim: %s\n", problem.text);
        return problem.exit_code;
    }
    campaign_print(&result, stdout);
    if (!result.failed)
        return EXIT_OK;
    struct world_options w = s->campaign.world;
    w.plan.seed = result.failed_seed;
    if (!result.died) { /* natively: the events are the same as those of components */
        static struct world_result again;
        w.report = stdout;
        world_run(&w, &again);
    }
    printf("seed %llu: ", (unsigned long long)result.failed_seed);
    print_failure(&result.failure);
    print_command(s, &w);
    return EXIT_CHECK_FAILED;
}

static int hunt_mutants(const struct sim *s)
{
    const struct hunt_options options = {
        .world = s->campaign.world,
        .jobs = (uint32_t)s->jobs,
        .rounds = (uint32_t)s->rounds,
        .seeds_max = HUNT_SEEDS_MAX,
        .sample = (uint32_t)s->sample,
        .only = s->mutant != NULL ? mutant_find(s->mutant) : 0,
    };
    return sim_mutants(&options);
}

int main(int argc, char **argv)
{
    program_prepare();
    static struct sim s = {.seed = 1, .seeds = 1, .strikes = UINT64_MAX, .rounds = 1};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    s.jobs = cores > 0 ? (uint64_t)cores : 1;
    const struct option_row options[] = {
        {"seed", 0, OPTION_NUMBER, .value = "S", .target = &s.seed, .max = UINT64_MAX, .text = "the (first) seed"},
        {"seeds", 0, OPTION_NUMBER, .value = "N", .target = &s.seeds, .min = 1, .max = UINT64_MAX, .text = "how many seeds"},
        {"jobs", 'j', OPTION_NUMBER, .value = "N", .target = &s.jobs, .min = 1, .max = 64, .text = "processes at once"},
        {"deployment", 0, OPTION_CHOICE, .value = "KIND", .target = &s.deployment, .choices = deployment_names,
         .text = "of the cluster"},
        {"port", 0, OPTION_CHOICE, .value = "KIND", .target = &s.port, .choices = twin_names,
         .text = "which client port nodes have: the one that ships, or a model"},
        {"network", 0, OPTION_CHOICE, .value = "KIND", .target = &s.network, .choices = wire_names,
         .text = "which network nodes have"},
        {"changes", 0, OPTION_FLAG, .target = &s.changes,
         .text = "members and settings change in all worlds in which they can, not only in some"},
        {"sessions", 0, OPTION_FLAG, .target = &s.sessions,
         .text = "clients have sessions in all worlds, not only in some, and send again what was not answered"},
        {"leases", 0, OPTION_FLAG, .target = &s.leases,
         .text = "some keys end by themselves in all worlds, not only in some"},
        {"events", 0, OPTION_NUMBER, .value = "N", .target = &s.events, .max = UINT32_MAX,
         .text = "turns of nodes before all faults stop (0: 20000)"},
        {"only", 0, OPTION_TEXT, .value = "LIST", .target = &s.only,
         .text = "no other faults than these (names or subjects; none)"},
        {"without", 0, OPTION_TEXT, .value = "LIST", .target = &s.without, .text = "none of these faults"},
        {"strikes", 0, OPTION_NUMBER, .value = "N", .target = &s.strikes, .max = UINT64_MAX,
         .text = "most faults that the world starts (without those of single messages and disk calls)"},
        {"wasm", 0, OPTION_FLAG, .target = &s.wasm, .text = "run the components instead of native nodes"},
        {"both", 0, OPTION_FLAG, .target = &s.both,
         .text = "run each seed natively and as components: the traces must be equal"},
        {"granularity", 0, OPTION_CHOICE, .value = "LEVEL", .target = &s.granularity, .choices = granularity_names,
         .text = "how much is one component: each part, each agent with all that it calls, or each whole node"},
        {"trace", 0, OPTION_TEXT, .value = "FILE", .target = &s.trace_file, .text = "write every event (of one seed)"},
        {"history", 0, OPTION_TEXT, .value = "FILE", .target = &s.history_file,
         .text = "write what clients did, one JSON object for each line (of one seed)"},
        {"explore", 0, OPTION_FLAG, .target = &s.explore,
         .text = "instead: every order of everything that can happen to a small cluster"},
        {"sweep", 0, OPTION_FLAG, .target = &s.sweep, .text = "instead: every damage to a small journal"},
        {"folder", 0, OPTION_TEXT, .value = "FOLDER", .target = &s.folder,
         .text = "with --sweep: the records of this node's journal"},
        {"mutants", 0, OPTION_FLAG, .target = &s.mutants,
         .text = "instead: hunt each mutant, or the one that --mutant names, until it is caught"},
        {"sample", 0, OPTION_NUMBER, .value = "N", .target = &s.sample, .max = 1000,
         .text = "only so many mutants (0: all)"},
        {"rounds", 0, OPTION_NUMBER, .value = "N", .target = &s.rounds, .min = 1, .max = HUNT_ROUNDS_MAX,
         .text = "hunts for each mutant; the median of their seeds is printed"},
        {"mutant", 0, OPTION_TEXT, .value = "NAME", .target = &s.mutant, .text = "switch this mutant on"},
        {"shrink", 0, OPTION_FLAG, .target = &s.shrink, .text = "make a failure smaller (of one seed)"},
    };
    const struct command_help help = {
        .command = "synod-sim",
        .description =
            "Runs whole clusters in a simulated world, with faulty networks, disks, clocks, processes and components, and\n"
            "checks every rule they must keep. A seed decides everything: the same seed gives the same run.\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .exit_codes =
            "  0  every rule was kept\n  1  something else failed\n  2  wrong command line\n  5  a rule was broken\n",
        .examples = "  synod-sim --seeds 1000\n  synod-sim --seed 17 --trace trace.txt\n  synod-sim --seed 17 --shrink\n"
                    "  synod-sim --seeds 50 --both\n  synod-sim --seeds 50 --both --granularity node\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    if (code != OPTIONS_GO_ON)
        return code;
    if (!set_up(&s))
        return EXIT_BAD_INPUT;
    if (s.explore)
        return sim_explore();
    if (s.sweep)
        return sim_sweep(s.seed, s.folder);
    if (s.mutants)
        return hunt_mutants(&s);
    bool one = s.seeds == 1 && !s.both;
    if (!one && (s.trace_file != NULL || s.history_file != NULL || s.shrink)) {
        fprintf(stderr, "synod-sim: --trace, --history and --shrink are of one seed, in one life\n");
        return EXIT_BAD_INPUT;
    }
    return one ? run_one(&s) : run_many(&s);
}
