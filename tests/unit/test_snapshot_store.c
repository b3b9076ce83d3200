/* Snapshots on disk: what was saved is read again, byte for byte; damage is refused, wherever it is; power may go at any
 * moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "io/snapshot_store.h"
#include "tests/unit/random.h"
#include "tests/unit/sim_disk_fixture.h"

enum { CLUSTER = 77, KEEP = 2, PIECES = 4 };

static struct problem problem;

static char notices[2048];

static void on_notice(void *context, const char *text)
{
    (void)context;
    size_t at = strlen(notices);
    snprintf(notices + at, sizeof notices - at, "%s\n", text);
}

static struct snapshot_store *open_of_cluster(struct fixture *f, uint64_t cluster)
{
    const struct snapshot_store_options options = {
        .disk = f->disk, .data_folder = ".", .cluster = cluster, .keep = KEEP, .on_notice = on_notice};
    struct snapshot_store *s;
    notices[0] = '\0';
    if (!snapshot_store_open(&s, &options, &problem))
        fail_msg("%s", problem.text);
    return s;
}

static struct snapshot_store *open_store(struct fixture *f) { return open_of_cluster(f, CLUSTER); }

/* The body of a piece depends on the slot and on its number; lengths that are no multiple of 8, and none at all. */
static uint32_t body_of(uint64_t slot, uint32_t number, uint8_t out[1000])
{
    static const uint32_t lengths[PIECES] = {1000, 0, 13, 504};
    uint64_t seed = slot * 1000 + number;
    for (uint32_t i = 0; i < lengths[number]; i++)
        out[i] = (uint8_t)random_next(&seed);
    return lengths[number];
}

/* Writes all pieces. False: a problem. */
static bool write_pieces(struct snapshot_store *s, uint64_t slot)
{
    uint8_t body[1000];
    bool ok = snapshot_store_begin(s, slot, &problem);
    for (uint32_t i = 0; ok && i < PIECES; i++) {
        uint32_t len = body_of(slot, i, body);
        ok = snapshot_store_add(s, i == 0 ? SNAPSHOT_LEARNER : SNAPSHOT_STATE, body, len, &problem);
    }
    return ok;
}

static uint64_t save(struct snapshot_store *s, uint64_t slot)
{
    struct snapshot_stored stored = {0};
    if (!write_pieces(s, slot) || !snapshot_store_commit(s, &stored, &problem))
        fail_msg("%s", problem.text);
    assert_int_equal(stored.slot, slot);
    assert_memory_equal(snapshot_store_find(s, slot), &stored, sizeof stored);
    return stored.checksum;
}

/* Reads a snapshot. False: a problem. What is read is always what was written. */
static bool load(struct snapshot_store *s, uint64_t slot, uint64_t *checksum)
{
    uint8_t expected[1000];
    struct snapshot_reader r;
    struct snapshot_piece piece;
    const uint64_t *body;
    if (snapshot_store_read(s, slot, &r, &problem) != SNAPSHOT_READ_PIECE)
        return false;
    enum snapshot_read read;
    uint32_t number = 0;
    while ((read = snapshot_reader_next(&r, &piece, &body, &problem)) == SNAPSHOT_READ_PIECE) {
        assert_in_range(number, 0, PIECES - 1);
        assert_int_equal(piece.kind, number == 0 ? SNAPSHOT_LEARNER : SNAPSHOT_STATE);
        assert_int_equal(piece.len, body_of(slot, number++, expected));
        assert_memory_equal(body, expected, piece.len);
    }
    *checksum = r.place.checksum;
    snapshot_reader_close(&r);
    assert_true(read != SNAPSHOT_READ_ALL || number == PIECES);
    return read == SNAPSHOT_READ_ALL;
}

static void expect_slots(const struct snapshot_store *s, const char *expected)
{
    char text[128] = "";
    size_t count, at = 0;
    const struct snapshot_stored *list = snapshot_store_list(s, &count);
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%llu", i > 0 ? " " : "", (unsigned long long)list[i].slot);
    assert_string_equal(text, expected);
}

static char *path_of_snapshot(uint64_t slot, const char *ending)
{
    static char path[128];
    snprintf(path, sizeof path, "./snapshots/snapshot-%020llu%s", (unsigned long long)slot, ending);
    return path;
}

static void saved_and_read(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t checksum, again;
    begin(&f, 1);
    disk_sim_calm(f.sim, true);
    struct snapshot_store *s = open_store(&f);
    expect_slots(s, "");
    uint64_t first = save(s, 100), second = save(s, 200);
    expect_slots(s, "200 100");
    assert_true(load(s, 100, &checksum) && checksum == first);
    assert_true(load(s, 200, &checksum) && checksum == second);
    save(s, 300);
    expect_slots(s, "300 200");
    assert_false(load(s, 100, &checksum));
    assert_non_null(strstr(problem.text, "No such file"));
    /* One that is not finished is never seen, also not by the next life. */
    assert_true(write_pieces(s, 400));
    assert_true(write_pieces(s, 500));
    assert_int_equal(disk_size(f.disk, path_of_snapshot(400, ".part")), -2);
    expect_slots(s, "300 200");
    snapshot_store_close(s);
    s = open_store(&f);
    expect_slots(s, "300 200");
    assert_int_equal(disk_size(f.disk, path_of_snapshot(500, ".part")), -2);
    /* The same state gives the same checksum, wherever it is written. */
    struct fixture other;
    begin(&other, 2);
    disk_sim_calm(other.sim, true);
    struct snapshot_store *t = open_store(&other);
    again = save(t, 300);
    assert_true(load(s, 300, &checksum) && checksum == again);
    snapshot_store_close(t);
    snapshot_store_close(s);
    disk_sim_free(other.sim);
    disk_sim_free(f.sim);
}

/* ---- Damage ---- */

enum { FILE_MAX = 4096 };

static size_t read_file(struct fixture *f, const char *path, uint8_t out[FILE_MAX])
{
    int file = disk_open(f->disk, path, DISK_READ);
    int64_t len = disk_read(f->disk, file, 0, out, FILE_MAX);
    disk_close(f->disk, file);
    assert_in_range(len, 1, FILE_MAX - 1);
    return (size_t)len;
}

static void write_file(struct fixture *f, const char *path, const uint8_t *bytes, size_t len)
{
    int file = disk_open(f->disk, path, DISK_MAKE);
    assert_int_equal(disk_write(f->disk, file, 0, bytes, len), 0);
    disk_close(f->disk, file);
}

/* Every byte changed, every cut, a byte too many, pieces in another order and twice: all refused, with the place. */
static void damage_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t sound[FILE_MAX], harmed[FILE_MAX];
    uint64_t checksum;
    begin(&f, 1);
    disk_sim_calm(f.sim, true);
    struct snapshot_store *s = open_store(&f);
    save(s, 100);
    char *path = path_of_snapshot(100, "");
    size_t len = read_file(&f, path, sound);
    for (size_t i = 0; i < len; i++) {
        static const uint8_t flips[] = {0x01, 0x80, 0xff};
        for (size_t k = 0; k < sizeof flips; k++) {
            memcpy(harmed, sound, len);
            harmed[i] ^= flips[k];
            write_file(&f, path, harmed, len);
            assert_false(load(s, 100, &checksum));
        }
        write_file(&f, path, sound, i);
        assert_false(load(s, 100, &checksum));
        assert_non_null(strstr(problem.text, "it ends at byte"));
    }
    memcpy(harmed, sound, len);
    harmed[len] = 0;
    write_file(&f, path, harmed, len + 1);
    assert_false(load(s, 100, &checksum));
    assert_non_null(strstr(problem.text, "it goes on after its end"));
    /* The two pieces without a body and with 13 bytes: 40 and 56 bytes long. */
    size_t at = SNAPSHOT_HEADER_SIZE + SNAPSHOT_PIECE_HEADER_SIZE + 1000;
    memcpy(harmed + at, sound + at + 40, 56);
    memcpy(harmed + at + 56, sound + at, 40);
    write_file(&f, path, harmed, len);
    assert_false(load(s, 100, &checksum));
    memcpy(harmed, sound, at + 40);
    memcpy(harmed + at + 40, sound + at, len - at);
    write_file(&f, path, harmed, len + 40);
    assert_false(load(s, 100, &checksum));
    assert_non_null(strstr(problem.text, "the header of a piece is damaged, or from another place"));
    /* Another slot's, and another cluster's. */
    write_file(&f, path_of_snapshot(101, ""), sound, len);
    assert_false(load(s, 101, &checksum));
    assert_non_null(strstr(problem.text, "the snapshot is of another slot"));
    write_file(&f, path_of_snapshot(100, ""), sound, len);
    snapshot_store_close(s);
    s = open_of_cluster(&f, CLUSTER + 1);
    expect_slots(s, "");
    assert_non_null(strstr(notices, "the snapshot belongs to another cluster; this snapshot is set aside"));
    assert_int_equal(disk_size(f.disk, path_of_snapshot(100, "")), -2);
    snapshot_store_close(s);
    disk_sim_free(f.sim);
}

/* Pieces of another snapshot of the same cluster, each sound in its own. */
static void pieces_of_another_do_not_fit(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t one[FILE_MAX], other[FILE_MAX];
    uint64_t checksum;
    begin(&f, 1);
    disk_sim_calm(f.sim, true);
    struct snapshot_store *s = open_store(&f);
    save(s, 100);
    save(s, 200);
    size_t len = read_file(&f, path_of_snapshot(100, ""), one);
    assert_int_equal(read_file(&f, path_of_snapshot(200, ""), other), len);
    size_t starts[] = {40, 1080, 1120, 1176, 1720, len};
    assert_int_equal(len, 1768);
    for (size_t i = 0; i + 1 < sizeof starts / sizeof *starts; i++) {
        uint8_t mixed[FILE_MAX];
        memcpy(mixed, one, len);
        memcpy(mixed + starts[i], other + starts[i], starts[i + 1] - starts[i]);
        write_file(&f, path_of_snapshot(100, ""), mixed, len);
        assert_false(load(s, 100, &checksum));
    }
    snapshot_store_close(s);
    disk_sim_free(f.sim);
}

/* What a peer could send: every checksum is right, but the bytes that no one reads are not zero. Then equal states would not
 * be equal files. */
static void padding_is_zeros(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t file[SNAPSHOT_HEADER_SIZE + SNAPSHOT_PIECE_HEADER_SIZE + 16 + SNAPSHOT_END_SIZE];
    uint8_t *piece = file + SNAPSHOT_HEADER_SIZE, *body = piece + SNAPSHOT_PIECE_HEADER_SIZE;
    uint64_t checksum;
    begin(&f, 1);
    disk_sim_calm(f.sim, true);
    struct snapshot_store *s = open_store(&f);
    save(s, 200);
    for (int i = 0; i < 2; i++) {
        struct snapshot_place place = snapshot_header_write(file, CLUSTER, 100);
        memset(body, 0, 16);
        body[12] = (uint8_t)i;
        snapshot_piece_write(piece, SNAPSHOT_STATE_LAST, body, 12, &place);
        snapshot_end_write(body + 16, &place);
        write_file(&f, path_of_snapshot(100, ""), file, sizeof file);
        struct snapshot_reader r;
        struct snapshot_piece read;
        const uint64_t *words;
        assert_int_equal(snapshot_store_read(s, 100, &r, &problem), SNAPSHOT_READ_PIECE);
        assert_int_equal(snapshot_reader_next(&r, &read, &words, &problem),
                         i == 0 ? SNAPSHOT_READ_PIECE : SNAPSHOT_READ_DAMAGED);
        snapshot_reader_close(&r);
    }
    assert_non_null(strstr(problem.text, "padded with something else than zeros"));
    assert_true(load(s, 200, &checksum));
    snapshot_store_close(s);
    disk_sim_free(f.sim);
}

/* A process that is killed leaves what it was writing; the next one removes that. */
static void what_was_being_written_is_removed(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    disk_sim_calm(f.sim, true);
    struct snapshot_store *s = open_store(&f);
    save(s, 100);
    write_file(&f, path_of_snapshot(200, ".part"), (const uint8_t *)"x", 1);
    write_file(&f, "./snapshots/else", (const uint8_t *)"x", 1);
    snapshot_store_close(s);
    s = open_store(&f);
    expect_slots(s, "100");
    assert_int_equal(disk_size(f.disk, path_of_snapshot(200, ".part")), -2);
    assert_int_equal(disk_size(f.disk, "./snapshots/else"), 1);
    snapshot_store_close(s);
    disk_sim_free(f.sim);
}

/* ---- Faults of the disk ---- */

/* A disk that fails costs the snapshot that is being written, and no other. */
static void errors_cost_one_snapshot(void **state)
{
    (void)state;
    static const enum fault faults[] = {FAULT_WRITE_ERROR, FAULT_FULL_DISK, FAULT_FAILED_SYNC};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct fixture f;
        struct snapshot_stored stored;
        uint64_t checksum;
        begin(&f, i + 1);
        struct snapshot_store *s = open_store(&f);
        uint64_t first = save(s, 100);
        f.faults.rate[faults[i]] = ALWAYS;
        problem = (struct problem){0};
        assert_false(write_pieces(s, 200) && snapshot_store_commit(s, &stored, &problem));
        assert_int_equal(problem.no_room, faults[i] == FAULT_FULL_DISK);
        f.faults.rate[faults[i]] = 0;
        expect_slots(s, "100");
        assert_int_equal(disk_size(f.disk, path_of_snapshot(200, ".part")), -2);
        assert_true(load(s, 100, &checksum) && checksum == first);
        save(s, 200);
        expect_slots(s, "200 100");
        f.faults.rate[FAULT_READ_ERROR] = ALWAYS;
        assert_false(load(s, 200, &checksum));
        snapshot_store_close(s);
        disk_sim_free(f.sim);
    }
}

/* Power goes at any moment. What was over is there; what is there is sound, or refused. */
static void power_goes(void **state)
{
    (void)state;
    size_t whole = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct fixture f;
        uint64_t random = seed, over = 0;
        begin(&f, seed);
        f.faults.rate[FAULT_TORN_WRITE] = f.faults.rate[FAULT_REORDERED_WRITES] = f.faults.rate[FAULT_LOST_RENAME] =
            ALWAYS / 2;
        struct snapshot_store *s = open_store(&f);
        disk_sim_settle(f.sim);
        uint32_t commits = random_below(&random, 4);
        for (uint32_t i = 1; i <= commits; i++) {
            save(s, i * 100);
            if (random_below(&random, 2) == 0) {
                disk_sim_settle(f.sim);
                over = i * 100;
            }
        }
        if (random_below(&random, 2) == 0)
            write_pieces(s, 1000);
        disk_sim_power_loss(f.sim);
        snapshot_store_close(s);
        s = open_store(&f);
        size_t count;
        bool found = over == 0;
        const struct snapshot_stored *list = snapshot_store_list(s, &count);
        for (size_t i = 0; i < count; i++) {
            uint64_t checksum;
            bool sound = load(s, list[i].slot, &checksum);
            found = found || (list[i].slot >= over && sound);
            assert_true(sound || list[i].slot > over);
            assert_true(!sound || checksum == list[i].checksum);
            whole += sound;
        }
        assert_true(found);
        snapshot_store_close(s);
        disk_sim_free(f.sim);
    }
    assert_true(whole > SEEDS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_and_read),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(pieces_of_another_do_not_fit),
        cmocka_unit_test(padding_is_zeros),
        cmocka_unit_test(what_was_being_written_is_removed),
        cmocka_unit_test(errors_cost_one_snapshot),
        cmocka_unit_test(power_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
