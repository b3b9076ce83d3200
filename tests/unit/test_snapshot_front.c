/* What a node is told about snapshots, whatever it asks and whatever their disk does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/snapshot_fixture.h"

#define WRITTEN       "written 1000, written 1000, written 1013, written 1517"
#define LOADED_PIECES "piece 1 (1000 bytes), piece 2, piece 2 (13 bytes), piece 3 (504 bytes)"

static int setup(void **state)
{
    (void)state;
    begin(&disk, 1);
    disk_sim_calm(disk.sim, true);
    open_front(SNAPSHOTS_LOADED);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    snapshot_front_close(front);
    disk_sim_free(disk.sim);
    return 0;
}

/* Another life of the process. */
static void again(uint8_t use)
{
    snapshot_front_close(front);
    open_front(use);
}

static void store(uint64_t slot)
{
    ask_whole(slot);
    assert_non_null(strstr(told(), "stored"));
}

static void written_and_loaded(void **state)
{
    (void)state;
    assert_string_equal(told(), "loaded 0");
    ask_whole(100);
    assert_string_equal(told(), WRITTEN ", stored 100 (1768 bytes)");
    store(200);
    store(300);
    assert_false(exists(path_of_snapshot(100, ""))); /* two are kept */
    again(SNAPSHOTS_LOADED);
    assert_string_equal(told(), "stored 200 (1768 bytes), stored 300 (1768 bytes), " LOADED_PIECES ", loaded 300");
    ask(SNAPSHOT_LOAD, 200, NULL, 0);
    assert_string_equal(told(), LOADED_PIECES ", loaded 200");
    ask(SNAPSHOT_LOAD, 100, NULL, 0);
    assert_string_equal(told(), "failed 100");
    again(SNAPSHOTS_STORED);
    assert_string_equal(told(), "stored 200 (1768 bytes), stored 300 (1768 bytes), loaded 0");
    again(SNAPSHOTS_NONE);
    assert_string_equal(told(), "loaded 0");
    assert_string_equal(noticed(), "");
}

/* With `durability: memory`, and in nodes that are no learners. */
static void none_are_stored(void **state)
{
    (void)state;
    again(SNAPSHOTS_NONE);
    assert_string_equal(told(), "loaded 0");
    ask_whole(100);
    ask_pair(SNAPSHOT_RECEIVE, 200, FILE_BYTES, 1);
    ask_pair(SNAPSHOT_READ, 100, 0, 100);
    ask(SNAPSHOT_BYTES, 0, "x", 1);
    ask(SNAPSHOT_LOAD, 100, NULL, 0);
    ask(SNAPSHOT_ABANDON, 100, NULL, 0);
    ask(SNAPSHOT_DISCARD, 100, NULL, 0);
    assert_string_equal(told(), "failed 100, failed 200, gone 100, failed 100");
    assert_false(exists("./snapshots"));
}

static void given_up(void **state)
{
    (void)state;
    told();
    ask(SNAPSHOT_BEGIN, 100, NULL, 0);
    ask_pieces(100);
    assert_string_equal(told(), WRITTEN);
    assert_true(exists(path_of_snapshot(100, ".part")));
    ask(SNAPSHOT_ABANDON, 200, NULL, 0); /* of another one */
    ask(SNAPSHOT_COMMIT, 200, NULL, 0);
    assert_string_equal(told(), "");
    assert_true(exists(path_of_snapshot(100, ".part")));
    ask(SNAPSHOT_ABANDON, 100, NULL, 0);
    ask_pieces(100);
    ask(SNAPSHOT_COMMIT, 100, NULL, 0);
    assert_string_equal(told(), ""); /* what was on its way means nothing */
    assert_false(exists(path_of_snapshot(100, ".part")));
    /* A new one takes the place of one that is not finished, and has nothing of it. */
    ask(SNAPSHOT_BEGIN, 100, NULL, 0);
    ask_pieces(100);
    ask_whole(200);
    assert_string_equal(told(), WRITTEN ", " WRITTEN ", stored 200 (1768 bytes)");
    assert_false(exists(path_of_snapshot(100, ".part")));
    again(SNAPSHOTS_LOADED);
    assert_string_equal(told(), "stored 200 (1768 bytes), " LOADED_PIECES ", loaded 200");
}

/* ---- Bounds ---- */

static void little_is_read_ahead(void **state)
{
    (void)state;
    told();
    store(100);
    again(SNAPSHOTS_LOADED);
    size_t steps = work();
    assert_in_range(steps, 3, 6);
    assert_int_equal(work(), 0); /* nothing more until it is fetched */
    struct packet_list list = snapshot_front_told(front);
    assert_int_equal(list.len, 2); /* 512 bytes, and one packet at least */
    assert_int_equal(list.ptr[0].kind, SNAPSHOT_STORED);
    assert_int_equal(list.ptr[1].len, 1000);
    assert_string_equal(told(), "piece 2, piece 2 (13 bytes), piece 3 (504 bytes), loaded 100");
}

static void a_flood_is_refused(void **state)
{
    (void)state;
    told();
    ask(SNAPSHOT_BEGIN, 100, NULL, 0);
    uint64_t *words = calloc(SNAPSHOT_PIECE_MAX / 8, 8);
    const struct packet p = {
        .id = SNAPSHOT_STATE, .kind = SNAPSHOT_PIECE, .len = SNAPSHOT_PIECE_MAX, .words = {words, SNAPSHOT_PIECE_MAX / 8}};
    for (int i = 0; i < 5; i++)
        snapshot_front_ask(front, &p, 1);
    assert_null(strstr(told(), "stored"));
    assert_non_null(strstr(noticed(), "too much at once; a snapshot is given up"));
    ask_whole(100);
    assert_non_null(strstr(told(), "stored 100"));
    free(words);
}

/* Bytes without a meaning, as a node that breaks may hand out. */
static void nonsense_gives_up(void **state)
{
    (void)state;
    uint64_t words[4] = {1, 2, 3, 4};
    const struct packet nonsense[] = {
        {.kind = SNAPSHOT_ITEM_KINDS},
        {.kind = SNAPSHOT_STORED, .len = 16, .words = {words, 2}},
        {.kind = SNAPSHOT_BEGIN, .len = 8, .words = {words, 1}},
        {.kind = SNAPSHOT_PIECE, .id = SNAPSHOT_END},
        {.kind = SNAPSHOT_PIECE, .id = SNAPSHOT_STATE, .len = 100, .words = {words, 4}},
        {.kind = SNAPSHOT_RECEIVE, .len = 8, .words = {words, 1}},
        {.kind = SNAPSHOT_READ, .len = 0},
        {.kind = UINT32_MAX, .id = UINT64_MAX, .len = 32, .words = {words, 4}},
    };
    told();
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        ask(SNAPSHOT_BEGIN, 100, NULL, 0);
        ask_pieces(100);
        assert_string_equal(told(), WRITTEN);
        snapshot_front_ask(front, &nonsense[i], 1);
        ask(SNAPSHOT_COMMIT, 100, NULL, 0);
        assert_string_equal(told(), "failed 100");
        assert_non_null(strstr(noticed(), "not understood"));
    }
    /* Sound ones that do not fit. */
    ask(SNAPSHOT_BYTES, 5, "abc", 3);
    ask_pair(SNAPSHOT_READ, 100, UINT64_MAX, UINT64_MAX);
    ask_pair(SNAPSHOT_RECEIVE, 100, 87, 1);
    ask(SNAPSHOT_LOAD, UINT64_MAX, NULL, 0);
    assert_string_equal(told(), "gone 100, failed 100, failed 18446744073709551615");
}

/* ---- Between peers ---- */

/* The file of a snapshot, as a peer reads it. */
static uint32_t read_for_peer(uint64_t slot, uint32_t chunk, uint8_t out[4096])
{
    uint32_t len = 0;
    do {
        ask_pair(SNAPSHOT_READ, slot, len, chunk);
        assert_non_null(strstr(told(), "read"));
        memcpy(out + len, bytes_read, bytes_read_len);
        len += bytes_read_len;
    } while (bytes_read_len > 0 && (bytes_read_len = 0, len < FILE_BYTES));
    return len;
}

/* Newer ones take its place while a peer reads it, part by part. */
static void what_a_peer_reads_is_kept_a_while(void **state)
{
    (void)state;
    told();
    store(100);
    for (uint64_t slot = 200; slot <= 800; slot += 100) {
        ask_pair(SNAPSHOT_READ, 100, slot, 10);
        assert_non_null(strstr(told(), "read"));
        store(slot);
        assert_int_equal(exists(path_of_snapshot(100, "")), slot < 800);
        assert_int_equal(exists(path_of_snapshot(200, "")), slot < 400);
    }
    ask_pair(SNAPSHOT_READ, 100, 0, 10);
    assert_string_equal(told(), "gone 100");

    ask_pair(SNAPSHOT_READ, 700, 0, 10);
    told();
    store(900);
    assert_true(exists(path_of_snapshot(700, "")));
    store(1000); /* no peer has read it since */
    assert_false(exists(path_of_snapshot(700, "")));
}

static void ask_bytes(const uint8_t *file, uint32_t from, uint32_t to)
{
    for (uint32_t at = from; at < to; at += 500)
        ask(SNAPSHOT_BYTES, at, file + at, to - at < 500 ? to - at : 500);
}

static void from_peer_to_peer(void **state)
{
    (void)state;
    uint8_t file[4096];
    told();
    store(100);
    assert_int_equal(read_for_peer(100, 333, file), FILE_BYTES);
    ask_pair(SNAPSHOT_READ, 100, FILE_BYTES, 1);
    ask_pair(SNAPSHOT_READ, 200, 0, 1);
    assert_string_equal(told(), "read 1768, gone 200");
    const uint64_t sum = sums[1];
    teardown(NULL);
    setup(NULL);
    told();
    ask_pair(SNAPSHOT_RECEIVE, 100, FILE_BYTES, sum);
    assert_string_equal(told(), "wanted 0");
    ask_bytes(file, 0, 1000);
    ask_bytes(file, 500, 1000); /* doubled: left out */
    assert_string_equal(told(), "written 500, written 1000, wanted 1000");
    ask_bytes(file, 1000, FILE_BYTES);
    assert_string_equal(told(), "written 1500, written 1768, stored 100 (1768 bytes)");
    assert_true(sums[1] == sum);
    ask(SNAPSHOT_LOAD, 100, NULL, 0);
    assert_string_equal(told(), LOADED_PIECES ", loaded 100");
    ask_pair(SNAPSHOT_RECEIVE, 100, FILE_BYTES, sum); /* it is there */
    assert_string_equal(told(), "stored 100 (1768 bytes)");
}

/* What was received is gone on with, as far as it is sound, whichever life received it. */
static void received_in_two_lives(void **state)
{
    (void)state;
    uint8_t file[4096];
    char part[128];
    told();
    store(100);
    read_for_peer(100, 4000, file);
    const uint64_t sum = sums[1];
    for (uint32_t cut = 1; cut < FILE_BYTES; cut += 7) {
        teardown(NULL);
        setup(NULL);
        told();
        ask_pair(SNAPSHOT_RECEIVE, 100, FILE_BYTES, sum);
        ask_bytes(file, 0, cut);
        told();
        again(SNAPSHOTS_LOADED);
        assert_string_equal(told(), "received 100, loaded 0");
        if (cut > 1200 && cut % 2 == 0) { /* what the disk had of the end was not all of it */
            snprintf(part, sizeof part, "./snapshots/received-%020u-%u-%016llx.part", 100, FILE_BYTES,
                     (unsigned long long)sum);
            int open = disk_open(disk.disk, part, DISK_WRITE);
            disk_zero(disk.disk, open, 1180, cut - 1180);
            disk_close(disk.disk, open);
        }
        ask_pair(SNAPSHOT_RECEIVE, 100, FILE_BYTES, sum);
        unsigned wanted = 9999;
        assert_int_equal(sscanf(told(), "wanted %u", &wanted), 1);
        assert_true(wanted <= cut &&
                    (wanted == 0 || wanted == 40 || wanted == 1080 || wanted == 1120 || wanted == 1176 || wanted == 1720));
        assert_true(cut < 1180 || wanted >= 1120);
        ask_bytes(file, wanted, FILE_BYTES);
        assert_non_null(strstr(told(), "stored 100 (1768 bytes)"));
        ask(SNAPSHOT_LOAD, 100, NULL, 0);
        assert_string_equal(told(), LOADED_PIECES ", loaded 100");
    }
}

/* All of it had come, but for the sync. */
static void received_and_not_finished(void **state)
{
    (void)state;
    uint8_t file[4096];
    char part[128];
    told();
    store(100);
    read_for_peer(100, 4000, file);
    snprintf(part, sizeof part, "./snapshots/received-%020u-%u-%016llx.part", 100, FILE_BYTES, (unsigned long long)sums[1]);
    assert_int_equal(disk_rename(disk.disk, path_of_snapshot(100, ""), part), 0);
    again(SNAPSHOTS_LOADED);
    assert_string_equal(told(), "received 100, loaded 0");
    ask_pair(SNAPSHOT_RECEIVE, 100, FILE_BYTES, sums[1]);
    assert_string_equal(told(), "stored 100 (1768 bytes)");
    assert_false(exists(part));
}

/* A chunk of another snapshot, a damaged one, another size or checksum than was announced: refused, and removed. */
static void a_false_file_is_refused(void **state)
{
    (void)state;
    uint8_t file[4096], other[4096];
    told();
    store(100);
    read_for_peer(100, 4000, file);
    store(200);
    read_for_peer(200, 4000, other);
    const uint64_t sum = sums[1];
    for (int i = 0; i < 4; i++) {
        teardown(NULL);
        setup(NULL);
        told();
        const uint64_t announced = i == 0 ? sum + 1 : sum;
        ask_pair(SNAPSHOT_RECEIVE, 100, i == 3 ? FILE_BYTES - 48 : FILE_BYTES, announced);
        ask_bytes(file, 0, 1000);
        if (i == 1)
            ask(SNAPSHOT_BYTES, 1000, other + 1000, 500);
        else if (i == 2)
            ask(SNAPSHOT_BYTES, 1000, file + 1001, 500);
        ask_bytes(file, i == 1 || i == 2 ? 1500 : 1000, i == 3 ? FILE_BYTES - 48 : FILE_BYTES);
        assert_non_null(strstr(told(), "failed 100"));
        assert_non_null(strstr(noticed(), "this snapshot is given up"));
        again(SNAPSHOTS_LOADED);
        assert_string_equal(told(), "loaded 0");
        ask_pair(SNAPSHOT_RECEIVE, 100, FILE_BYTES, sum);
        assert_string_equal(told(), "wanted 0");
        ask_bytes(file, 0, FILE_BYTES);
        assert_non_null(strstr(told(), "stored 100"));
    }
}

static void one_is_received_at_a_time(void **state)
{
    (void)state;
    told();
    ask_pair(SNAPSHOT_RECEIVE, 100, FILE_BYTES, 1);
    ask(SNAPSHOT_BYTES, 0, "abc", 3);
    ask_pair(SNAPSHOT_RECEIVE, 200, FILE_BYTES, 2);
    assert_string_equal(told(), "wanted 0, written 3, wanted 0");
    assert_false(exists("./snapshots/received-00000000000000000100-1768-0000000000000001.part"));
    assert_true(exists("./snapshots/received-00000000000000000200-1768-0000000000000002.part"));
    ask_whole(300);
    assert_non_null(strstr(told(), "stored 300"));
    assert_false(exists("./snapshots/received-00000000000000000200-1768-0000000000000002.part"));
}

/* What came of one that was given up stays, over a restart, too, until it is known to be of no use. */
static void what_was_received_is_discarded(void **state)
{
    static const char part[] = "./snapshots/received-00000000000000000100-1768-0000000000000001.part";
    (void)state;
    told();
    for (int restarts = 0; restarts < 2; restarts++) {
        ask_pair(SNAPSHOT_RECEIVE, 100, FILE_BYTES, 1);
        ask(SNAPSHOT_BYTES, 0, "abc", 3);
        ask(SNAPSHOT_DISCARD, 100, NULL, 0); /* not what is being received */
        ask(SNAPSHOT_BYTES, 3, "d", 1);
        assert_non_null(strstr(told(), "written 4"));
        ask(SNAPSHOT_ABANDON, 100, NULL, 0);
        assert_string_equal(told(), "");
        assert_true(exists(part));
        if (restarts == 1) {
            again(SNAPSHOTS_LOADED);
            assert_string_equal(told(), "received 100, loaded 0");
        }
        ask(SNAPSHOT_DISCARD, 100, NULL, 0);
        assert_string_equal(told(), "");
        assert_false(exists(part));
    }
    again(SNAPSHOTS_LOADED);
    assert_string_equal(told(), "loaded 0");
    ask(SNAPSHOT_BEGIN, 200, NULL, 0);
    ask_pieces(200);
    ask(SNAPSHOT_DISCARD, 100, NULL, 0); /* nor what this node writes */
    ask(SNAPSHOT_COMMIT, 200, NULL, 0);
    assert_string_equal(told(), WRITTEN ", stored 200 (1768 bytes)");
}

/* ---- Damage ---- */

static void alter(const char *path, uint64_t offset)
{
    uint8_t byte;
    int file = disk_open(disk.disk, path, DISK_WRITE);
    assert_int_equal(disk_read(disk.disk, file, offset, &byte, 1), 1);
    byte ^= 1;
    disk_write(disk.disk, file, offset, &byte, 1);
    disk_close(disk.disk, file);
}

/* A damaged one is told of, kept under another name, and the one before is taken. */
static void the_one_before_is_taken(void **state)
{
    (void)state;
    static const uint64_t places[] = {0, 30, 50, 500, 1100, FILE_BYTES - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        teardown(NULL);
        setup(NULL);
        told();
        store(100);
        store(200);
        alter(path_of_snapshot(200, ""), places[i]);
        again(SNAPSHOTS_LOADED);
        assert_string_equal(told(), "stored 100 (1768 bytes), " LOADED_PIECES ", loaded 100");
        assert_non_null(strstr(noticed(), "snapshot-00000000000000000200: at byte "));
        assert_true(exists(path_of_snapshot(200, ".damaged")));
        assert_false(exists(path_of_snapshot(200, "")));
        alter(path_of_snapshot(100, ""), places[i]);
        again(SNAPSHOTS_LOADED);
        assert_string_equal(told(), "loaded 0");
        assert_true(exists(path_of_snapshot(100, ".damaged"))); /* one is kept */
        assert_false(exists(path_of_snapshot(200, ".damaged")));
    }
}

static void damaged_when_asked_for(void **state)
{
    (void)state;
    told();
    store(100);
    alter(path_of_snapshot(100, ""), 1500);
    ask(SNAPSHOT_LOAD, 100, NULL, 0);
    assert_string_equal(told(), "failed 100");
    ask(SNAPSHOT_LOAD, 100, NULL, 0);
    ask_pair(SNAPSHOT_READ, 100, 0, 100);
    assert_string_equal(told(), "failed 100, gone 100");
}

/* Damage that comes between the check and the telling. At start the node is told that it has to begin anew. */
static void damaged_while_it_is_told(void **state)
{
    (void)state;
    told();
    store(100);
    store(200);
    again(SNAPSHOTS_LOADED);
    work();
    alter(path_of_snapshot(200, ""), 1500);
    assert_string_equal(told(), "stored 100 (1768 bytes), stored 200 (1768 bytes), piece 1 (1000 bytes), piece 2, "
                                "piece 2 (13 bytes), failed 200, " LOADED_PIECES ", loaded 100");
}

/* A disk that cannot be read at the moment loses nothing. */
static void unreadable_for_a_while(void **state)
{
    (void)state;
    told();
    store(100);
    again(SNAPSHOTS_LOADED);
    disk_sim_calm(disk.sim, false);
    disk.faults.rate[FAULT_READ_ERROR] = ALWAYS;
    assert_string_equal(told(), "loaded 0");
    assert_true(snapshot_front_unread(front));
    assert_non_null(strstr(noticed(), "this snapshot does not count"));
    disk.faults.rate[FAULT_READ_ERROR] = 0;
    again(SNAPSHOTS_LOADED);
    assert_non_null(strstr(told(), "loaded 100"));
    assert_false(snapshot_front_unread(front));
}

/* The same, when the node begins: not even its header can be read. */
static void unreadable_when_opened(void **state)
{
    (void)state;
    told();
    store(100);
    disk_sim_calm(disk.sim, false);
    disk.faults.rate[FAULT_READ_ERROR] = ALWAYS;
    again(SNAPSHOTS_LOADED);
    disk.faults.rate[FAULT_READ_ERROR] = 0;
    assert_string_equal(told(), "loaded 0");
    assert_true(snapshot_front_unread(front));
    assert_non_null(strstr(noticed(), "this snapshot does not count"));
    again(SNAPSHOTS_LOADED);
    assert_non_null(strstr(told(), "loaded 100"));
    assert_false(snapshot_front_unread(front));
}

/* A disk that fails costs the snapshot that is being written, once, and no other. */
static void errors_cost_one_snapshot(void **state)
{
    (void)state;
    static const enum fault faults[] = {FAULT_WRITE_ERROR, FAULT_FULL_DISK, FAULT_FAILED_SYNC};
    uint8_t file[4096];
    told();
    store(100);
    read_for_peer(100, 4000, file);
    store(200);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        disk_sim_calm(disk.sim, false);
        disk.faults.rate[faults[i]] = ALWAYS;
        ask_whole(300);
        const char *text = told();
        assert_non_null(strstr(text, "failed 300"));
        assert_null(strstr(strstr(text, "failed 300") + 1, "failed"));
        assert_non_null(strstr(noticed(), "this snapshot is given up"));
        ask_pair(SNAPSHOT_RECEIVE, 100, FILE_BYTES, 4711);
        ask_bytes(file, 0, FILE_BYTES);
        assert_non_null(strstr(told(), "failed 100"));
        disk.faults.rate[faults[i]] = 0;
        ask(SNAPSHOT_LOAD, 200, NULL, 0);
        assert_string_equal(told(), LOADED_PIECES ", loaded 200");
    }
    ask_whole(300);
    assert_non_null(strstr(told(), "stored 300"));
}

/* ---- Another life in the same process ---- */

static void reborn(void **state)
{
    (void)state;
    told();
    store(100);
    for (size_t steps = 0; steps <= 6; steps++) {
        ask_whole(200);
        for (size_t i = 0; i < steps && snapshot_front_next(front); i++) {
            snapshot_front_work(front);
            if (i + 1 == steps)
                snapshot_front_reborn(front); /* in the middle of a step */
            snapshot_front_done(front);
        }
        if (steps == 0)
            snapshot_front_reborn(front);
        assert_string_equal(told(), steps < 6 ? "stored 100 (1768 bytes), " LOADED_PIECES ", loaded 100"
                                              : "stored 100 (1768 bytes), stored 200 (1768 bytes), " LOADED_PIECES
                                                ", loaded 200");
        assert_false(exists(path_of_snapshot(200, ".part")));
    }
}

/* In the middle of being told. */
static void reborn_while_loading(void **state)
{
    (void)state;
    told();
    store(100);
    for (size_t steps = 0; steps < 12; steps++) {
        snapshot_front_reborn(front);
        for (size_t i = 0; i < steps && snapshot_front_next(front); i++) {
            snapshot_front_work(front);
            snapshot_front_done(front);
        }
        if (steps % 2 == 0)
            snapshot_front_told(front);
        snapshot_front_reborn(front);
        assert_string_equal(told(), "stored 100 (1768 bytes), " LOADED_PIECES ", loaded 100");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_and_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(none_are_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(little_is_read_ahead, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flood_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_gives_up, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_peer_reads_is_kept_a_while, setup, teardown),
        cmocka_unit_test_setup_teardown(from_peer_to_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(received_in_two_lives, setup, teardown),
        cmocka_unit_test_setup_teardown(received_and_not_finished, setup, teardown),
        cmocka_unit_test_setup_teardown(a_false_file_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(one_is_received_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_received_is_discarded, setup, teardown),
        cmocka_unit_test_setup_teardown(the_one_before_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_when_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_while_it_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(unreadable_for_a_while, setup, teardown),
        cmocka_unit_test_setup_teardown(unreadable_when_opened, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_cost_one_snapshot, setup, teardown),
        cmocka_unit_test_setup_teardown(reborn, setup, teardown),
        cmocka_unit_test_setup_teardown(reborn_while_loading, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
