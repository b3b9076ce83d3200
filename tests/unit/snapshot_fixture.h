/* A front of snapshots on a simulated disk. What it tells is compared as text:
 *
 *     stored 200 (1768 bytes), piece 1 (1000 bytes), piece 2 (13 bytes), loaded 200
 *
 * The bodies are those of body_of, which is checked. */
#ifndef SYNOD_TESTS_UNIT_SNAPSHOT_FIXTURE_H
#define SYNOD_TESTS_UNIT_SNAPSHOT_FIXTURE_H

#include <stdio.h>

#include "io/snapshot_front.h"
#include "tests/unit/random.h"
#include "tests/unit/sim_disk_fixture.h"

enum { CLUSTER = 77, KEEP = 2, PIECES = 4, BODY_MAX = 1000, FILE_BYTES = 1768, TEXT_MAX = 4096 };

static struct fixture disk;
static struct snapshot_front *front;
static struct problem problem;
static uint64_t sums[100];       /* by slot, as last told */
static uint8_t bytes_read[4096]; /* for a peer, the last ones */
static uint32_t bytes_read_len;

/* The body of a piece depends on the slot and on its number; lengths that are no multiple of 8, and none at all. */
static uint32_t body_of(uint64_t slot, uint32_t number, uint8_t out[BODY_MAX])
{
    static const uint32_t lengths[PIECES] = {BODY_MAX, 0, 13, 504};
    uint64_t seed = slot * 1000 + number;
    for (uint32_t i = 0; i < lengths[number]; i++)
        out[i] = (uint8_t)random_next(&seed);
    return lengths[number];
}

static void open_front(uint8_t use)
{
    const struct snapshot_front_options options = {.disk = disk.disk,
                                                   .data_folder = ".",
                                                   .cluster = CLUSTER,
                                                   .keep = KEEP,
                                                   .use = use,
                                                   .told_bytes = 512,
                                                   .ahead_bytes = 512,
                                                   .step_bytes = 512};
    if (!snapshot_front_open(&front, &options, &problem))
        fail_msg("%s", problem.text);
}

static void ask(enum snapshot_item_kind kind, uint64_t id, const void *bytes, uint32_t len)
{
    uint64_t words[BODY_MAX / 8 + 1] = {0};
    if (len > 0)
        memcpy(words, bytes, len);
    const struct packet p = {.id = id, .kind = kind, .len = len, .words = {words, words_for(len)}};
    snapshot_front_ask(front, &p, 1);
}

static void ask_pair(enum snapshot_item_kind kind, uint64_t id, uint64_t a, uint64_t b)
{
    const uint64_t words[] = {a, b};
    ask(kind, id, words, sizeof words);
}

static void ask_pieces(uint64_t slot)
{
    uint8_t body[BODY_MAX];
    for (uint32_t i = 0; i < PIECES; i++) {
        uint32_t len = body_of(slot, i, body);
        ask(SNAPSHOT_PIECE, i == 0 ? SNAPSHOT_LEARNER : i + 1 < PIECES ? SNAPSHOT_STATE : SNAPSHOT_STATE_LAST, body, len);
    }
}

static void ask_whole(uint64_t slot)
{
    ask(SNAPSHOT_BEGIN, slot, NULL, 0);
    ask_pieces(slot);
    ask(SNAPSHOT_COMMIT, slot, NULL, 0);
}

/* Does all the steps that there are. How many. */
static size_t work(void)
{
    size_t steps = 0;
    for (; snapshot_front_next(front); steps++) {
        snapshot_front_work(front);
        snapshot_front_done(front);
    }
    return steps;
}

/* A packet as text. */
static void print(const struct packet *p, char *text, size_t size)
{
    static const char *const names[] = {
        [SNAPSHOT_STORED] = "stored", [SNAPSHOT_RECEIVED] = "received",  [SNAPSHOT_WRITTEN] = "written",
        [SNAPSHOT_FAILED] = "failed", [SNAPSHOT_WANTED] = "wanted",      [SNAPSHOT_BYTES_READ] = "read",
        [SNAPSHOT_GONE] = "gone",     [SNAPSHOT_LOADED_PIECE] = "piece", [SNAPSHOT_LOADED] = "loaded"};
    assert_in_range(p->kind, SNAPSHOT_STORED, SNAPSHOT_LOADED);
    assert_int_equal(p->words.len, words_for(p->len));
    int n = snprintf(text, size, "%s %llu", names[p->kind], (unsigned long long)p->id);
    if (p->kind == SNAPSHOT_STORED) {
        assert_int_equal(p->len, 16);
        snprintf(text + n, size - (size_t)n, " (%llu bytes)", (unsigned long long)p->words.ptr[0]);
        sums[p->id / 100 % 100] = p->words.ptr[1];
    } else if (p->len > 0) {
        snprintf(text + n, size - (size_t)n, " (%u bytes)", p->len);
    }
    if (p->kind == SNAPSHOT_BYTES_READ) {
        bytes_read_len = p->len;
        memcpy(bytes_read, p->words.ptr, p->len);
    }
}

/* Whether a piece is one of those of these slots. */
static bool is_body(const struct packet *p)
{
    for (uint64_t slot = 100; slot <= 1000; slot += 100) {
        for (uint32_t number = 0; number < PIECES; number++) {
            uint8_t body[BODY_MAX];
            uint32_t len = body_of(slot, number, body);
            if (len == p->len && (len == 0 || memcmp(body, p->words.ptr, len) == 0))
                return true;
        }
    }
    return false;
}

/* Works and fetches until nothing is left, and gives all that was told as one line. */
static const char *told(void)
{
    static char text[TEXT_MAX];
    size_t at = 0;
    text[0] = '\0';
    for (;;) {
        work();
        bool any = snapshot_front_has_told(front);
        struct packet_list list = snapshot_front_told(front);
        for (size_t i = 0; i < list.len; i++) {
            char one[128];
            assert_true(list.ptr[i].kind != SNAPSHOT_LOADED_PIECE || is_body(&list.ptr[i]));
            print(&list.ptr[i], one, sizeof one);
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", at > 0 ? ", " : "", one);
        }
        assert_int_equal(any, list.len > 0);
        if (!any)
            return text;
    }
}

static const char *noticed(void)
{
    static char text[TEXT_MAX];
    size_t at = 0;
    text[0] = '\0';
    while (snapshot_front_notice(front, text + at, sizeof text - at))
        at = strlen(text);
    return text;
}

static char *path_of_snapshot(uint64_t slot, const char *ending)
{
    static char path[128];
    snprintf(path, sizeof path, "./snapshots/snapshot-%020llu%s", (unsigned long long)slot, ending);
    return path;
}

static bool exists(const char *path) { return disk_size(disk.disk, path) >= 0; }

#endif
