/* `synod-lab crossings`: the cost of one call, and of one byte, across each boundary in a node. In this process, on one
 * thread.
 *
 *   1. A crossing is repeated until that takes long enough for the clock; the loop runs on the side that calls.
 *   2. Boundaries and sizes alternate, in several rounds; the median of the rounds counts.
 *   3. A straight line is fitted to the sizes of a boundary: fixed cost + bytes * cost of a byte. It minimizes the squares
 *      of the *relative* errors; otherwise the largest size alone would decide about both. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "lab/guest.h"
#include "lab/lab.h"
#include "lab/runs.h"
#include "lab/table.h"
#include "local/load_report.h"

enum { SIZES = 5, ROUNDS_MAX = 99 };

static const uint32_t sizes[SIZES] = {0, 64, 1024, 16 * 1024, 256 * 1024};
static const char *const size_names[SIZES] = {"0", "64", "1 KiB", "16 KiB", "256 KiB"};

static const struct lab_column columns[SIZES + 2] = {
    {"0 B", "ns", "bytes_0_ns", 1},         {"64 B", "ns", "bytes_64_ns", 1},        {"1 KiB", "ns", "bytes_1024_ns", 1},
    {"16 KiB", "ns", "bytes_16384_ns", 1},  {"256 KiB", "ns", "bytes_262144_ns", 1}, {"fixed", "ns/call", "fixed_ns", 1},
    {"each byte", "ns/byte", "byte_ns", 4},
};
enum { FIXED = SIZES, A_BYTE };

/* ---- The boundaries ---- */

struct crossings {
    struct lab_guest *guest;
    struct lab_idle *idle_native, *idle_wasm;
    uint64_t *words; /* of the largest size */
    struct packet packet;
    uint64_t rounds, millis;
    struct lab_output output;
};

/* Crosses `count` times with x->packet. */
typedef bool cross(struct crossings *x, uint64_t count, struct problem *problem);

static uint64_t take(const struct packet *packets, size_t count)
{
    uint64_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += packets[i].len;
    return len;
}
/* Called through a pointer that might change, because otherwise the compiler would remove the call. */
static uint64_t (*volatile take_native)(const struct packet *packets, size_t count) = take;
static volatile uint64_t result;

static bool cross_native(struct crossings *x, uint64_t count, struct problem *problem)
{
    (void)problem;
    for (uint64_t i = 0; i < count; i++)
        result = take_native(&x->packet, 1);
    return true;
}

static bool cross_native_copy(struct crossings *x, uint64_t count, struct problem *problem)
{
    (void)problem;
    for (uint64_t i = 0; i < count; i++) {
        struct payload copy = payload_copy(&(struct payload){x->packet.words, x->packet.len});
        const struct packet packet = {.len = copy.len, .words = copy.words};
        result = take_native(&packet, 1);
        payload_free(&copy);
    }
    return true;
}

static bool cross_to_guest(struct crossings *x, uint64_t count, struct problem *problem)
{
    return lab_guest_take(x->guest, count, &x->packet, problem);
}

#define THROUGH_GUEST(name, function)                                                                                       \
    static bool name(struct crossings *x, uint64_t count, struct problem *problem)                                          \
    {                                                                                                                       \
        return lab_guest_loop(x->guest, function, count, x->packet.len, problem);                                           \
    }
THROUGH_GUEST(cross_to_host, GUEST_TO_HOST)
THROUGH_GUEST(cross_bytes, GUEST_TO_SINK_BYTES)
THROUGH_GUEST(cross_words, GUEST_TO_SINK_WORDS)
THROUGH_GUEST(cross_blocks, GUEST_TO_SINK_BLOCKS)
THROUGH_GUEST(cross_serializer, GUEST_TO_SERIALIZER)
THROUGH_GUEST(cross_clock, GUEST_TO_CLOCK)

static bool cross_idle_native(struct crossings *x, uint64_t count, struct problem *problem)
{
    return lab_idle_turns(x->idle_native, count, problem);
}

static bool cross_idle_wasm(struct crossings *x, uint64_t count, struct problem *problem)
{
    return lab_idle_turns(x->idle_wasm, count, problem);
}

/* What has to be there to cross a boundary. */
enum need { NEEDS_NOTHING, NEEDS_GUEST, NEEDS_IDLE_NATIVE, NEEDS_IDLE_WASM };

static const struct boundary {
    const char *name;
    cross *cross;
    bool sized; /* otherwise it is crossed without bytes only */
    enum need need;
} boundaries[] = {
    {"native function", cross_native, true, NEEDS_NOTHING},
    {"native function, copied bytes", cross_native_copy, true, NEEDS_NOTHING},
    {"host to guest", cross_to_guest, true, NEEDS_GUEST},
    {"guest to host", cross_to_host, true, NEEDS_GUEST},
    {"guest to guest, list<u8>", cross_bytes, true, NEEDS_GUEST},
    {"guest to guest, list<u64>", cross_words, true, NEEDS_GUEST},
    {"guest to guest, list of eight u64", cross_blocks, true, NEEDS_GUEST},
    {"guest to host's serializer", cross_serializer, true, NEEDS_GUEST},
    {"guest to WASI's clock", cross_clock, false, NEEDS_GUEST},
    {"turn of an idle node, native", cross_idle_native, false, NEEDS_IDLE_NATIVE},
    {"turn of an idle node, wasm", cross_idle_wasm, false, NEEDS_IDLE_WASM},
};
enum { BOUNDARIES = sizeof boundaries / sizeof boundaries[0] };

/* ---- Measuring ---- */

/* Processor time of this thread: other processes do not count. */
static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds of one crossing, measured over at least half of the wanted time. */
static bool measure(struct crossings *x, const struct boundary *b, double *ns, struct problem *problem)
{
    double wanted = (double)x->millis * 1e6;
    for (uint64_t count = 1;;) {
        double begin = now_ns();
        if (!b->cross(x, count, problem))
            return false;
        double took = now_ns() - begin;
        if (took >= wanted / 2) {
            *ns = took / (double)count;
            return true;
        }
        count = took < wanted / 100 ? count * 10 : (uint64_t)((double)count * wanted / took) + 1;
    }
}

/* The line that is nearest to the values, weighted by 1 / value^2. */
static void fit(const double values[SIZES], double *fixed, double *a_byte)
{
    double w = 0, wx = 0, wy = 0, wxx = 0, wxy = 0;
    for (size_t i = 0; i < SIZES; i++) {
        double x = sizes[i], y = values[i], weight = 1 / (y * y);
        w += weight;
        wx += weight * x;
        wy += weight * y;
        wxx += weight * x * x;
        wxy += weight * x * y;
    }
    *a_byte = (w * wxy - wx * wy) / (w * wxx - wx * wx);
    *fixed = (wy - *a_byte * wx) / w;
}

/* One boundary at one size in one round. */
static void measure_into(struct crossings *x, struct lab_table *t, size_t row, size_t size, double *ns)
{
    struct problem problem;
    x->packet = (struct packet){.len = sizes[size], .words = {x->words, words_for(sizes[size])}};
    *ns = NAN;
    if (t->problems[row].exit_code == EXIT_OK && interrupted)
        problem_set(&t->problems[row], EXIT_TROUBLE, "interrupted");
    if (t->problems[row].exit_code == EXIT_OK && !measure(x, &boundaries[row], ns, &problem))
        t->problems[row] = problem;
}

static void measure_all(struct crossings *x, struct lab_table *t)
{
    static double all[BOUNDARIES][SIZES][ROUNDS_MAX];
    for (size_t round = 0; round < x->rounds; round++) {
        if (!x->output.quiet)
            fprintf(stderr, "round %zu of %u\n", round + 1, (unsigned)x->rounds);
        for (size_t row = 0; row < BOUNDARIES; row++)
            for (size_t size = 0; size < (boundaries[row].sized ? SIZES : 1); size++)
                measure_into(x, t, row, size, &all[row][size][round]);
    }
    for (size_t row = 0; row < BOUNDARIES; row++) {
        double values[SIZES];
        if (t->problems[row].exit_code != EXIT_OK)
            continue;
        for (size_t size = 0; size < (boundaries[row].sized ? SIZES : 1); size++)
            t->values[size][row] = values[size] = lab_median(all[row][size], x->rounds);
        if (boundaries[row].sized)
            fit(values, &t->values[FIXED][row], &t->values[A_BYTE][row]);
        else
            t->values[FIXED][row] = values[0];
    }
}

/* ---- The report ---- */

static int report(const struct crossings *x, const struct lab_table *t)
{
    static double values[BOUNDARIES][SIZES];
    struct plot_series lines[BOUNDARIES], bars[1];
    size_t count = 0;
    for (size_t row = 0; row < BOUNDARIES; row++) {
        for (size_t size = 0; size < SIZES; size++)
            values[row][size] = t->values[size][row];
        if (boundaries[row].sized)
            lines[count++] = (struct plot_series){boundaries[row].name, values[row]};
    }
    const struct plot_panel panels[] = {
        {.kind = PLOT_LINES,
         .title = "One crossing (ns)",
         .category_title = "bytes",
         .categories = size_names,
         .category_count = SIZES,
         .series = lines,
         .series_count = count,
         .logarithmic = true},
        lab_table_bars(t, "Fixed cost of one crossing (ns)", FIXED, 1, bars),
    };
    return lab_report(t, &x->output, "What it costs to cross a boundary", panels, sizeof panels / sizeof panels[0]);
}

static void refuse(struct lab_table *t, enum need lacking, const struct problem *problem)
{
    for (size_t row = 0; row < BOUNDARIES; row++)
        if (boundaries[row].need == lacking)
            t->problems[row] = *problem;
}

static int run(struct crossings *x)
{
    static struct lab_table table;
    struct problem problem = {0};
    x->words = memory_new(sizes[SIZES - 1] / 8, sizeof *x->words);
    lab_table_init(&table, "crossings", "boundary", columns, sizeof columns / sizeof columns[0]);
    lab_table_parameter(&table, "rounds", x->rounds);
    lab_table_parameter(&table, "millis", x->millis);
    for (size_t i = 0; i < BOUNDARIES; i++)
        lab_table_row(&table, boundaries[i].name);
    if (!lab_guest_open(&x->guest, &problem))
        refuse(&table, NEEDS_GUEST, &problem);
    if (!lab_idle_open(&x->idle_native, NULL, &problem))
        refuse(&table, NEEDS_IDLE_NATIVE, &problem);
    if (x->guest == NULL || !lab_idle_open(&x->idle_wasm, lab_guest_engine(x->guest), &problem))
        refuse(&table, NEEDS_IDLE_WASM, &problem);
    catch_interrupts();
    measure_all(x, &table);
    if (x->idle_wasm != NULL)
        lab_idle_close(x->idle_wasm);
    if (x->idle_native != NULL)
        lab_idle_close(x->idle_native);
    if (x->guest != NULL)
        lab_guest_close(x->guest);
    free(x->words);
    return report(x, &table);
}

int lab_crossings(int argc, char **argv)
{
    struct crossings x = {.rounds = 5, .millis = 20};
    const struct option_row rows[] = {
        {"rounds", 0, OPTION_NUMBER, .value = "N", .target = &x.rounds, .min = 1, .max = ROUNDS_MAX,
         .text = "interleaved repetitions, whose median counts"},
        {"millis", 0, OPTION_NUMBER, .value = "MS", .target = &x.millis, .min = 1, .max = 10000,
         .text = "how long each boundary is crossed in a round, at each size"},
        LAB_OUTPUT_OPTIONS(x.output),
    };
    const struct command_help help = {
        .command = "synod-lab crossings",
        .description =
            "Measures what a call costs across each boundary of a node, with 0 to 262144 bytes: between host and\n"
            "components, between components, into the host's serializer and WASI; for comparison a native function, which\n"
            "is lent the bytes or copies them. Also a whole turn of a node that has nothing to do. The last two columns are\n"
            "a straight line through the sizes.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes =
            "  0  all were measured\n  1  interrupted, or a component broke\n  2  wrong command line, or a component\n"
            "     that is not there or cannot be used\n",
        .examples = "  synod-lab crossings --plot crossings.svg\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    return code != OPTIONS_GO_ON ? code : run(&x);
}
