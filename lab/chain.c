/* `synod-lab chain`: how long the chain of one client's write is, beside what none of its kind can save.
 *
 * A client that waits for each answer pays for one round trip to the leader, one from the leader to a follower, and one sync
 * of a follower's disk. The sum of the three is the *floor*. It is measured in the same run, beside the cluster that idles:
 *
 *   a sync: 4 KiB are written to a file that was filled with zeros and synced before, as segments of the journal are, in the
 *     folder of the cluster, and synced (fdatasync);
 *   a round trip: 64 bytes over loopback TCP between two threads that sleep until something comes.
 *
 * The hops of the chain are what nodes count all the time and say with INFO, before and after the load: turns, and of groups
 * of records how long they wait for the journal's thread, for the disk, and for the loop to hear of it. These are means, and
 * a write waits for the faster follower only: so their sum may be more than the median. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/disk.h"
#include "lab/lab.h"
#include "lab/runs.h"

enum { NODES = 3, PAGE = 4096, PAGES = 1024, MESSAGE = 64, SAMPLES_MAX = 100000, ROUND_TRIPS = 2, LOOK_TIMEOUT_MS = 1000 };

#define COORDINATORS .deployment = "coordinator", .nodes = NODES

static const struct lab_case kinds[] = {
    {"native", {COORDINATORS, .native = true}},
    {"node", {COORDINATORS, .granularity = "node"}},
    {"parts", {COORDINATORS}},
};

enum column {
    SYNC,
    TRIP,
    FLOOR,
    MEDIAN,
    P99,
    RATIO,
    LEADER_TURNS,
    LEADER_TURN,
    FOLLOWER_TURNS,
    FOLLOWER_TURN,
    WAIT,
    WRITE,
    TOLD,
    COLUMNS
};

static const struct lab_column columns[COLUMNS] = {
    [SYNC] = {"sync", "us", "sync_us", 1},
    [TRIP] = {"round trip", "us", "trip_us", 1},
    [FLOOR] = {"floor", "us", "floor_us", 1},
    [MEDIAN] = {"median", "us", "median_us", 1},
    [P99] = {"P99", "us", "p99_us", 1},
    [RATIO] = {"median", "x floor", "floor_ratio", 2},
    [LEADER_TURNS] = {"leader", "turns", "leader_turns", 2},
    [LEADER_TURN] = {"one", "us", "leader_turn_us", 1},
    [FOLLOWER_TURNS] = {"follower", "turns", "follower_turns", 2},
    [FOLLOWER_TURN] = {"one", "us", "follower_turn_us", 1},
    [WAIT] = {"to disk", "us", "wait_us", 1},
    [WRITE] = {"synced", "us", "write_us", 1},
    [TOLD] = {"told", "us", "told_us", 1},
};

struct chain {
    uint64_t rounds, requests, samples;
    struct lab_output output;
};

/* ---- A sync ---- */

/* The errno value of what failed; 0: `seconds` has `count` samples. */
static int sync_file(struct disk *d, int file, double *seconds, size_t count)
{
    static const char page[PAGE] = {1};
    int error = -disk_zero(d, file, 0, (uint64_t)PAGES * PAGE);
    if (error == 0)
        error = -disk_sync(d, file);
    for (size_t i = 0; i < count && error == 0; i++) {
        const double began = lab_now_s();
        error = -disk_write(d, file, i % PAGES * PAGE, page, PAGE);
        if (error == 0)
            error = -disk_sync_data(d, file);
        seconds[i] = lab_now_s() - began;
    }
    return error;
}

static bool measure_sync(const char *folder, double *seconds, size_t count, struct problem *problem)
{
    struct disk *d = disk_posix();
    char *path = disk_path(folder, "lab-sync");
    const int file = disk_open(d, path, DISK_MAKE);
    const int error = file < 0 ? -file : sync_file(d, file, seconds, count);
    if (file >= 0) {
        disk_close(d, file);
        disk_remove(d, path);
    }
    if (error != 0)
        problem_set(problem, EXIT_TROUBLE, "%s: %s", path, strerror(error));
    free(path);
    return error == 0;
}

/* ---- A round trip ---- */

static bool pass(int from, int to)
{
    char message[MESSAGE];
    return recv(from, message, MESSAGE, MSG_WAITALL) == MESSAGE && send(to, message, MESSAGE, MSG_NOSIGNAL) == MESSAGE;
}

static void *echo(void *context)
{
    const int fd = *(const int *)context;
    while (pass(fd, fd))
        continue;
    return NULL;
}

static bool trips(int fd, double *seconds, size_t count)
{
    char message[MESSAGE] = {0};
    for (size_t i = 0; i < count; i++) {
        const double began = lab_now_s();
        if (send(fd, message, MESSAGE, MSG_NOSIGNAL) != MESSAGE || recv(fd, message, MESSAGE, MSG_WAITALL) != MESSAGE)
            return false;
        seconds[i] = lab_now_s() - began;
    }
    return true;
}

static bool no_delay(int fd) { return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == 0; }

/* Both ends of a connection to this machine itself. False: errno says why; the caller closes what is not negative. */
static bool connect_ends(int ends[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        return false;
    ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = ends[0] >= 0 && bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 1) == 0 &&
              getsockname(listener, (struct sockaddr *)&address, &len) == 0 &&
              connect(ends[0], (struct sockaddr *)&address, len) == 0 && (ends[1] = accept(listener, NULL, NULL)) >= 0 &&
              no_delay(ends[0]) && no_delay(ends[1]);
    const int error = errno;
    close(listener);
    errno = error;
    return ok;
}

static bool measure_trip(double *seconds, size_t count, struct problem *problem)
{
    int ends[2] = {-1, -1};
    pthread_t thread;
    bool ok = connect_ends(ends);
    if (!ok)
        problem_set(problem, EXIT_TROUBLE, "a connection over loopback: %s", strerror(errno));
    if (ok && pthread_create(&thread, NULL, echo, &ends[1]) != 0)
        ok = problem_set(problem, EXIT_TROUBLE, "no thread for the other end of a connection");
    else if (ok) {
        ok = trips(ends[0], seconds, count) || problem_set(problem, EXIT_TROUBLE, "a connection over loopback ended");
        shutdown(ends[0], SHUT_RDWR);
        pthread_join(thread, NULL);
    }
    for (size_t i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    return ok;
}

/* ---- The hops ---- */

/* What nodes have counted between two looks. */
struct counted {
    double turns, turn_us, syncs, sync_us, wait_us, told_us;
};

static void count(struct counted *sum, const struct node_info *before, const struct node_info *after)
{
    sum->turns += (double)(after->turns - before->turns);
    sum->turn_us += (double)(after->turn_us_total - before->turn_us_total);
    sum->syncs += (double)(after->journal_syncs - before->journal_syncs);
    sum->sync_us += (double)(after->journal_sync_us_total - before->journal_sync_us_total);
    sum->wait_us += (double)(after->journal_wait_us_total - before->journal_wait_us_total);
    sum->told_us += (double)(after->journal_told_us_total - before->journal_told_us_total);
}

static double mean(double sum, double count) { return count > 0 ? sum / count : 0; }

static void hops(const struct cluster *c, const struct node_info *before, uint64_t requests, double *values)
{
    const struct config_node *leader = cluster_leader(c);
    struct counted leading = {0}, following = {0};
    for (uint32_t node = 1; node <= NODES; node++)
        count(leader != NULL && leader->id == node ? &leading : &following, &before[node], &c->info[node]);
    values[LEADER_TURNS] = mean(leading.turns, (double)requests);
    values[LEADER_TURN] = mean(leading.turn_us, leading.turns);
    values[FOLLOWER_TURNS] = mean(following.turns, (double)requests * (NODES - 1));
    values[FOLLOWER_TURN] = mean(following.turn_us, following.turns);
    values[WAIT] = mean(following.wait_us, following.syncs);
    values[WRITE] = mean(following.sync_us, following.syncs);
    values[TOLD] = mean(following.told_us, following.syncs);
}

static bool look(struct cluster *c, struct problem *problem)
{
    return cluster_look(c, LOOK_TIMEOUT_MS) == NODES ||
           problem_set(problem, EXIT_CHECK_FAILED, "a node does not say what it has counted");
}

/* ---- The experiment ---- */

static bool measure(void *context, struct cluster *c, double *values, struct problem *problem)
{
    const struct chain *o = context;
    static struct load_result result; /* has a histogram: large */
    static double seconds[SAMPLES_MAX];
    struct node_info before[NODE_ID_MAX + 1];
    const struct lab_load one = {o->requests, 1, 64, 0};
    if (!measure_sync(c->folder, seconds, o->samples, problem))
        return false;
    values[SYNC] = lab_median(seconds, o->samples) * 1e6;
    if (!measure_trip(seconds, o->samples, problem))
        return false;
    values[TRIP] = lab_median(seconds, o->samples) * 1e6;
    values[FLOOR] = values[SYNC] + (double)ROUND_TRIPS * values[TRIP];
    if (!look(c, problem))
        return false;
    memcpy(before, c->info, sizeof before);
    if (!lab_load(c, &one, &result, NULL, problem) || !look(c, problem))
        return false;
    values[MEDIAN] = lab_percentile_ms(&result, 50) * 1000;
    values[P99] = lab_percentile_ms(&result, 99) * 1000;
    values[RATIO] = values[MEDIAN] / values[FLOOR];
    hops(c, before, o->requests, values);
    return true;
}

static int run(struct chain *o)
{
    static struct lab_table table;
    struct plot_series series[3];
    lab_table_init(&table, "chain", "nodes", columns, COLUMNS);
    lab_table_parameter(&table, "requests", o->requests);
    lab_table_parameter(&table, "samples", o->samples);
    const struct lab_run all = {kinds, sizeof kinds / sizeof kinds[0], o->rounds, measure, o, o->output.quiet};
    lab_run(&all, &table);
    const struct plot_panel panels[] = {
        lab_table_bars(&table, "A write of one client, and its floor (us)", FLOOR, 2, &series[0]),
        lab_table_bars(&table, "A write of one client (x floor)", RATIO, 1, &series[2]),
    };
    return lab_report(&table, &o->output, "One client's write, and what it cannot do without", panels,
                      sizeof panels / sizeof panels[0]);
}

int lab_chain(int argc, char **argv)
{
    struct chain o = {.rounds = 5, .requests = 2000, .samples = 1000};
    const struct option_row rows[] = {
        {"requests", 'n', OPTION_NUMBER, .value = "N", .target = &o.requests, .min = 1, .max = 100000000,
         .text = "SET requests of one connection"},
        {"samples", 0, OPTION_NUMBER, .value = "N", .target = &o.samples, .min = 1, .max = SAMPLES_MAX,
         .text = "syncs, and round trips, whose median counts"},
        {"rounds", 0, OPTION_NUMBER, .value = "N", .target = &o.rounds, .min = 1, .max = LAB_ROUNDS_MAX,
         .text = "interleaved repetitions, whose median counts"},
        LAB_OUTPUT_OPTIONS(o.output),
    };
    const struct command_help help = {
        .command = "synod-lab chain",
        .description =
            "Measures how long a client waits that sends one SET after the other to three coordinators: as native code, as\n"
            "one component a node, and of parts. Beside it, in the same run, the floor: one sync of this disk and two round\n"
            "trips over loopback. And its hops, as nodes count them: turns of the leader and of a follower for each request and\n"
            "what one takes; how long a follower's records wait for the journal's thread, for the disk, and for the loop to\n"
            "hear of it.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  all were measured\n  1  interrupted, or a cluster could not be run\n"
                      "  2  wrong command line, or no ports free\n"
                      "  5  requests were not answered, or a node failed (a composition that is not there, too)\n",
        .examples = "  synod-lab chain --plot chain.svg\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    return code != OPTIONS_GO_ON ? code : run(&o);
}
