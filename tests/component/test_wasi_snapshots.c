/* The component wasi-storage under Wasmtime: its snapshots, over real files, beside the same front linked in. What one of
 * the two has written, the other must load; and they write the same bytes. */
#include <unistd.h>

#include "io/snapshot_front.h"
#include "tests/component/storage_guest.h"
#include "tests/component/wasm_signals.h"

enum { PIECE = 200 << 10, PIECES = 40 };

static uint64_t body[PIECE / 8];

/* The body of a piece follows from its slot and number; the last one is shorter. */
static struct packet piece_of(uint64_t slot, uint32_t number)
{
    const uint32_t len = number + 1 < PIECES ? PIECE : 13;
    memset(body, 0, sizeof body);
    for (uint32_t i = 0; i < len; i++)
        ((uint8_t *)body)[i] = (uint8_t)(slot * 31 + number * 17 + i * (i >> 8));
    const uint32_t kind = number == 0 ? SNAPSHOT_LEARNER : number + 1 < PIECES ? SNAPSHOT_STATE : SNAPSHOT_STATE_LAST;
    return (struct packet){.id = kind, .kind = SNAPSHOT_PIECE, .len = len, .words = {body, words_for(len)}};
}

static int enter(void **state)
{
    char path[] = "/tmp/synod-wasi-snapshots-XXXXXX";
    struct config_node node;
    const struct config config = guest_config(&node, DURABILITY_FSYNC);
    char governed[GOVERNED_TEXT_MAX];
    wasm_signals_restore();
    if (mkdtemp(path) == NULL || chdir(path) != 0)
        return -1;
    *state = strdup(path);
    governed_print(&config, governed);
    return !data_folder_format(disk_posix(), "node-1", "demo", 1, instance, governed, &problem);
}

static int leave(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", (const char *)*state);
    free(*state);
    return chdir("/") != 0 || system(command) != 0;
}

/* ---- Either of the two ---- */

struct side {
    struct guest *guest; /* NULL: linked in */
    struct snapshot_front *front;
};

static struct side open_guest(void)
{
    struct side s = {.guest = guest_new(".", "node-1", true, DURABILITY_FSYNC)};
    guest_open(s.guest);
    return s;
}

static struct side open_native(void)
{
    const struct snapshot_front_options options = {.disk = disk_posix(),
                                                   .data_folder = "node-1",
                                                   .cluster = frame_cluster("demo", 4),
                                                   .keep = 2,
                                                   .use = SNAPSHOTS_LOADED};
    struct side s = {0};
    if (!snapshot_front_open(&s.front, &options, &problem))
        fail_msg("%s", problem.text);
    return s;
}

static void close_side(const struct side *s)
{
    if (s->guest != NULL)
        guest_end(s->guest);
    else
        snapshot_front_close(s->front);
}

static void ask(const struct side *s, const struct packet *p)
{
    if (s->guest != NULL)
        guest_call(s->guest, ASK, (struct typed_call){.packets = {(struct packet *)p, 1}});
    else
        snapshot_front_ask(s->front, p, 1);
}

static struct packet_list told(const struct side *s)
{
    if (s->guest != NULL)
        return guest_call(s->guest, TOLD, (struct typed_call){0}).result_packets;
    while (snapshot_front_next(s->front)) {
        snapshot_front_work(s->front);
        snapshot_front_done(s->front);
    }
    return snapshot_front_told(s->front);
}

/* What is told up to the end of the loading: which snapshots there are, and that the newest one is what was written. */
static void expect_loaded(const struct side *s, const uint64_t *slots, size_t count)
{
    size_t stored = 0;
    for (uint32_t number = 0;;) {
        const struct packet_list list = told(s);
        for (size_t i = 0; i < list.len; i++) {
            const struct packet *p = &list.ptr[i];
            if (p->kind == SNAPSHOT_LOADED) {
                assert_int_equal(i + 1, list.len);
                assert_int_equal(stored, count);
                assert_int_equal(p->id, count > 0 ? slots[count - 1] : 0);
                assert_int_equal(number, count > 0 ? PIECES : 0);
                return;
            }
            if (p->kind == SNAPSHOT_STORED) {
                assert_in_range(stored, 0, count - 1);
                assert_int_equal(p->id, slots[stored++]);
                continue;
            }
            if (p->kind == SNAPSHOT_RECEIVED) {
                assert_int_equal(count, 0); /* of one that came from elsewhere, part by part */
                continue;
            }
            assert_int_equal(p->kind, SNAPSHOT_LOADED_PIECE);
            const struct packet expected = piece_of(slots[count - 1], number++);
            assert_int_equal(p->id, expected.id);
            assert_int_equal(p->len, expected.len);
            assert_memory_equal(p->words.ptr, expected.words.ptr, expected.len);
        }
    }
}

/* Pieces, as an agent gives them: some are on their way, and more follow when those are written. Returns the checksum. */
static uint64_t store(const struct side *s, uint64_t slot)
{
    const struct packet begin = {.kind = SNAPSHOT_BEGIN, .id = slot}, commit = {.kind = SNAPSHOT_COMMIT, .id = slot};
    uint32_t asked = 0, written = 0;
    ask(s, &begin);
    for (size_t turns = 0; turns < 10000; turns++) {
        for (; asked < PIECES && asked < written + 5; asked++) {
            const struct packet p = piece_of(slot, asked);
            ask(s, &p);
            if (asked + 1 == PIECES)
                ask(s, &commit);
        }
        const struct packet_list list = told(s);
        for (size_t i = 0; i < list.len; i++) {
            const struct packet *p = &list.ptr[i];
            if (p->kind == SNAPSHOT_STORED) {
                assert_int_equal(p->id, slot);
                assert_int_equal(written, PIECES);
                return p->words.ptr[1];
            }
            assert_int_equal(p->kind, SNAPSHOT_WRITTEN);
            written++;
        }
    }
    fail_msg("it is never stored");
    return 0;
}

static void alter(const char *path, long offset)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, offset, SEEK_SET);
    const int byte = fgetc(f);
    fseek(f, offset, SEEK_SET);
    fputc(byte ^ 4, f);
    assert_int_equal(fclose(f), 0);
}

/* ---- Tests ---- */

static void test_back_and_forth(void **state)
{
    (void)state;
    uint64_t slots[2] = {0};
    for (uint64_t life = 0; life < 6; life++) {
        struct side s = life % 2 == 0 ? open_guest() : open_native();
        const size_t count = life < 2 ? (size_t)life : 2;
        expect_loaded(&s, slots + 2 - count, count);
        slots[0] = slots[1];
        slots[1] = 100 + life;
        store(&s, slots[1]);
        if (s.guest != NULL)
            assert_string_equal(s.guest->log, "");
        close_side(&s);
    }
}

static void test_same_bytes(void **state)
{
    (void)state;
    struct side s = open_guest();
    expect_loaded(&s, NULL, 0);
    const uint64_t sum = store(&s, 100);
    close_side(&s);
    assert_int_equal(system("cp -r node-1/snapshots guest && rm node-1/snapshots/*"), 0);
    s = open_native();
    expect_loaded(&s, NULL, 0);
    assert_true(store(&s, 100) == sum);
    close_side(&s);
    assert_int_equal(system("cmp guest/snapshot-00000000000000000100 node-1/snapshots/snapshot-00000000000000000100"), 0);
}

/* It ends at some call. What was stored is there, and what was not is not. */
static void test_killed(void **state)
{
    (void)state;
    const uint64_t slots[] = {100};
    struct side s = open_guest();
    expect_loaded(&s, NULL, 0);
    store(&s, 100);
    close_side(&s);
    for (uint32_t pieces = 0; pieces < 12; pieces++) {
        const struct packet begin = {.kind = SNAPSHOT_BEGIN, .id = 200};
        s = open_guest();
        expect_loaded(&s, slots, 1);
        ask(&s, &begin);
        for (uint32_t i = 0; i < pieces; i++) {
            const struct packet p = piece_of(200, i);
            ask(&s, &p);
        }
        guest_drop(s.guest);
    }
    s = open_native();
    expect_loaded(&s, slots, 1);
    assert_int_not_equal(access("node-1/snapshots/snapshot-00000000000000000200.part", F_OK), 0);
    close_side(&s);
}

/* The one before is taken, the damaged one is kept, and the log says where the damage is. */
static void test_damage(void **state)
{
    (void)state;
    const uint64_t slots[] = {100};
    struct side s = open_guest();
    expect_loaded(&s, NULL, 0);
    store(&s, 100);
    store(&s, 200);
    close_side(&s);
    alter("node-1/snapshots/snapshot-00000000000000000200", 3000000);
    s = open_guest();
    expect_loaded(&s, slots, 1);
    assert_non_null(strstr(s.guest->log, "snapshots/snapshot-00000000000000000200: at byte 2"));
    assert_non_null(strstr(s.guest->log, "the body of a piece is damaged; this snapshot is set aside"));
    assert_int_equal(access("node-1/snapshots/snapshot-00000000000000000200.damaged", F_OK), 0);
    close_side(&s);
}

/* What one has received a part of, the other goes on with. */
static void test_received_by_both(void **state)
{
    (void)state;
    static uint8_t file[PIECE * (PIECES + 1)];
    const uint64_t slots[] = {100};
    struct side s = open_guest();
    expect_loaded(&s, NULL, 0);
    const uint64_t sum = store(&s, 100);
    close_side(&s);
    FILE *f = fopen("node-1/snapshots/snapshot-00000000000000000100", "rb");
    assert_non_null(f);
    const uint32_t size = (uint32_t)fread(file, 1, sizeof file, f);
    fclose(f);
    assert_int_equal(system("rm node-1/snapshots/*"), 0);
    uint32_t at = 0;
    for (size_t life = 0; at < size; life++) {
        uint64_t words[] = {size, sum};
        const struct packet receive = {.kind = SNAPSHOT_RECEIVE, .id = 100, .len = 16, .words = {words, 2}};
        s = life % 2 == 0 ? open_guest() : open_native();
        expect_loaded(&s, NULL, 0);
        ask(&s, &receive);
        struct packet_list list;
        while ((list = told(&s)).len == 0)
            ;
        assert_int_equal(list.ptr[0].kind, SNAPSHOT_WANTED);
        assert_true(list.ptr[0].id <= at && list.ptr[0].id + PIECE + 40 > at);
        at = (uint32_t)list.ptr[0].id;
        for (size_t i = 0; i < 7 && at < size; i++) {
            const uint32_t len = size - at < 320000 ? size - at : 320000;
            memcpy(body, file + at, len < sizeof body ? len : sizeof body);
            const uint32_t part = len < sizeof body ? len : (uint32_t)sizeof body;
            const struct packet p = {.kind = SNAPSHOT_BYTES, .id = at, .len = part, .words = {body, words_for(part)}};
            ask(&s, &p);
            at += part;
        }
        bool stored = false;
        for (size_t turns = 0; turns < 100; turns++) {
            list = told(&s);
            for (size_t i = 0; i < list.len; i++)
                stored = stored || list.ptr[i].kind == SNAPSHOT_STORED;
        }
        assert_true(stored == (at == size));
        close_side(&s);
    }
    s = open_guest();
    expect_loaded(&s, slots, 1);
    close_side(&s);
}

int main(void)
{
    static char file[4096];
    const char *build = getenv("BUILD");
    snprintf(file, sizeof file, "%s/components/wasi-storage.wasm", build != NULL ? build : "build");
    component_file = file;
    const struct engine_options options = {.turn_timeout = 1000000};
    if (!engine_open(&engine, &options, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return 1;
    }
    wasm_signals_keep();
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(test_back_and_forth), TEST(test_same_bytes), TEST(test_killed), TEST(test_damage), TEST(test_received_by_both),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    engine_close(engine);
    return failed;
}
