#include "sim/hunt.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/assert.h"
#include "core/base/checksum.h"
#include "sim/sweep.h"

enum { MUTANTS_MAX = 1000, SEEDS_APART = 100000, PATIENCE_S = 120 };

/* What the process of a hunt leaves behind. */
struct trail {
    uint32_t seeds; /* seeds that it took, including the last one */
    bool caught;
    uint32_t by; /* enum check, MUTANT_SWEEP or MUTANT_TEST */
};

struct game {
    struct trail trails[MUTANTS_MAX + 1][HUNT_ROUNDS_MAX]; /* by number of the mutant */
};

static bool is_swept(uint32_t mutant) { return (mutant_kind(mutant)->checks >> MUTANT_SWEEP & 1) != 0; }

/* Whether the sweeps over a small journal find something wrong. */
static bool sweep_finds(uint64_t seed)
{
    const struct sweep_options options = {
        .seed = seed, .groups = 16, .segment_bytes = 16384, .stride = 419, .sectors_max = 4};
    static struct sweep_result result;
    char why[1024];
    return !sweep_run(&options, &result, why, sizeof why);
}

/* Whether a unit test, which was built beside this program, fails with the mutant. */
static bool test_finds(const struct mutant_kind *kind)
{
    char own[4096], path[sizeof own + 256];
    const ssize_t len = readlink("/proc/self/exe", own, sizeof own - 1);
    int status = 0;
    invariant(len > 0);
    own[len] = '\0';
    *strrchr(own, '/') = '\0'; /* build/mutants/bin */
    snprintf(path, sizeof path, "%s/../tests/unit/test_%s", own, kind->test);
    if (access(path, X_OK) != 0) {
        fprintf(stderr, "synod-sim: there is no %s\n", path);
        return false;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        const bool silent = freopen("/dev/null", "w", stdout) != NULL && freopen("/dev/null", "w", stderr) != NULL;
        setenv("SYNOD_MUTANT", kind->name, 1);
        if (silent)
            execl(path, path, (char *)NULL);
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status != 0;
}

/* Hunts one mutant until a check catches it. */
static void track(const struct hunt_options *o, uint32_t mutant, uint32_t round, struct trail *trail)
{
    struct world_options world = o->world;
    struct world_result *result = malloc(sizeof *result);
    invariant(result != NULL);
    mutant_choose(mutant);
    world.plan.seed += (uint64_t)round * SEEDS_APART;
    while (trail->seeds < o->seeds_max && !trail->caught) {
        trail->seeds++;
        trail->by = CHECK_TRAP; /* in case it ends the process */
        alarm(PATIENCE_S);      /* or never returns; a world takes much less than that */
        if (mutant_kind(mutant)->test[0] != '\0') {
            trail->caught = test_finds(mutant_kind(mutant));
            trail->by = MUTANT_TEST;
            break; /* it has no seeds */
        }
        if (is_swept(mutant)) {
            trail->caught = sweep_finds(world.plan.seed);
            trail->by = MUTANT_SWEEP;
        } else {
            world_run(&world, result);
            trail->caught = result->failed;
            trail->by = result->check;
        }
        world.plan.seed++;
    }
    free(result);
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* False: it was not caught in any round. */
static bool tell(const struct hunt_options *o, const struct game *game, uint32_t mutant, FILE *out)
{
    const struct trail *trails = game->trails[mutant];
    uint32_t seeds[HUNT_ROUNDS_MAX], caught = 0;
    uint64_t by = 0;
    for (uint32_t i = 0; i < o->rounds; i++) {
        seeds[i] = trails[i].caught ? trails[i].seeds : UINT32_MAX;
        caught += trails[i].caught;
        by |= trails[i].caught ? UINT64_C(1) << trails[i].by : 0;
    }
    qsort(seeds, o->rounds, sizeof seeds[0], ascending);
    uint32_t median = seeds[o->rounds / 2];
    const struct mutant_kind *kind = mutant_kind(mutant);
    fprintf(out, "%-32s ", kind->name);
    if (median == UINT32_MAX)
        fprintf(out, "%7s", "-");
    else
        fprintf(out, "%7u", median);
    fprintf(out, "  %u/%u ", caught, o->rounds);
    for (uint32_t i = 0; i < CHECKS; i++)
        if ((by >> i & 1) != 0)
            fprintf(out, " %s", check_name((enum check)i));
    if ((by >> MUTANT_SWEEP & 1) != 0)
        fprintf(out, " Sweep");
    if ((by >> MUTANT_TEST & 1) != 0)
        fprintf(out, " unit/%s", kind->test);
    if (caught == 0)
        fprintf(out, " GOT AWAY: %s", kind->what);
    else if ((by & kind->checks) == 0)
        fprintf(out, " (others than expected)");
    fputc('\n', out);
    fflush(out);
    return caught > 0;
}

static uint64_t rank_of(uint32_t mutant, uint64_t seed)
{
    const char *name = mutant_kind(mutant)->name;
    return checksum(name, strlen(name), seed);
}

/* The mutants to hunt. If it is a sample, seed and names decide: with a mutant more or less, one of them is another. */
static uint32_t pick(const struct hunt_options *o, uint32_t picked[MUTANTS_MAX])
{
    uint32_t count = mutants_count();
    invariant(count <= MUTANTS_MAX);
    picked[0] = o->only;
    if (o->only != 0)
        return 1;
    for (uint32_t i = 0; i < count; i++)
        picked[i] = i + 1;
    if (o->sample == 0 || o->sample >= count)
        return count;
    for (uint32_t i = 0; i < o->sample; i++) {
        uint32_t first = i;
        for (uint32_t j = i + 1; j < count; j++)
            if (rank_of(picked[j], o->world.plan.seed) < rank_of(picked[first], o->world.plan.seed))
                first = j;
        const uint32_t m = picked[i];
        picked[i] = picked[first];
        picked[first] = m;
    }
    return o->sample;
}

static pid_t send_out(const struct hunt_options *o, struct game *game, uint32_t mutant, uint32_t round)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    track(o, mutant, round, &game->trails[mutant][round]);
    _exit(0);
}

uint32_t hunt(const struct hunt_options *options, FILE *out)
{
    struct hunt_options o = *options;
    uint32_t picked[MUTANTS_MAX];
    struct out {
        pid_t pid;
        uint32_t hunt;
    } away[64] = {0};
    uint32_t left[MUTANTS_MAX], got_away = 0, next = 0, done = 0;
    invariant(o.rounds >= 1 && o.rounds <= HUNT_ROUNDS_MAX);
    o.jobs = o.jobs < 64 ? o.jobs : 64;
    uint32_t count = pick(&o, picked), hunts = count * o.rounds;
    struct game *game = mmap(NULL, sizeof *game, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    invariant(game != MAP_FAILED);
    for (uint32_t i = 0; i < count; i++)
        left[i] = o.rounds;
    fprintf(out, "%-32s %7s  caught by\n", "mutant", "seeds");
    while (done < hunts) {
        for (uint32_t i = 0; i < o.jobs && next < hunts; i++) {
            if (away[i].pid != 0)
                continue;
            away[i] = (struct out){send_out(&o, game, picked[next / o.rounds], next % o.rounds), next};
            next++;
        }
        int status;
        pid_t pid = wait(&status);
        for (uint32_t i = 0; i < o.jobs; i++) {
            if (pid <= 0 || away[i].pid != pid)
                continue;
            uint32_t which = away[i].hunt / o.rounds;
            if (WIFSIGNALED(status))
                game->trails[picked[which]][away[i].hunt % o.rounds].caught = true;
            away[i].pid = 0;
            done++;
            if (--left[which] == 0)
                got_away += !tell(&o, game, picked[which], out);
        }
    }
    munmap(game, sizeof *game);
    return got_away;
}
