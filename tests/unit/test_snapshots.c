/* host/snapshots.c: a thread beside a loop, on a real disk. What is asked and told is tested with its front
 * (test_snapshot_front.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "host/snapshots.h"
#include "tests/unit/random.h"

enum { PIECE = 256 << 10, PIECES = 64, CLUSTER = 7 };

struct fixture {
    char folder[64];
    uv_loop_t loop;
    struct snapshots *s;
    size_t calls, notices;
    char notice[1200];
    uint64_t *words; /* of a piece */
    /* What was told. */
    uint64_t stored, checksum, loaded, failed, written;
    size_t pieces;
    bool was_loaded;
};

static void on_told(void *context) { ((struct fixture *)context)->calls++; }

static void on_notice(void *context, const char *text)
{
    struct fixture *f = context;
    f->notices++;
    snprintf(f->notice, sizeof f->notice, "%s", text);
}

static void open_snapshots(struct fixture *f)
{
    struct problem problem;
    const struct snapshots_options options = {
        .front = {.disk = disk_posix(), .data_folder = f->folder, .cluster = CLUSTER, .keep = 2, .use = SNAPSHOTS_LOADED},
        .on_told = on_told,
        .on_notice = on_notice,
        .context = f,
    };
    f->stored = f->loaded = f->failed = f->written = 0;
    f->was_loaded = false;
    f->pieces = 0;
    if (!snapshots_open(&f->s, &f->loop, &options, &problem))
        fail_msg("%s", problem.text);
}

static void close_snapshots(struct fixture *f)
{
    snapshots_close(f->s);
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static int setup(void **state)
{
    struct fixture *f = memory_new(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/synod-snapshots-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    uv_loop_init(&f->loop);
    f->words = memory_new(PIECE, 1);
    open_snapshots(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    close_snapshots(f);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    assert_int_equal(system(command), 0);
    free(f->words);
    free(f);
    return 0;
}

/* The words of a piece of the snapshot before `slot`. */
static void fill(struct fixture *f, uint64_t slot, size_t number)
{
    uint64_t seed = slot * 1000 + number;
    for (size_t i = 0; i < PIECE / 8; i++)
        f->words[i] = random_next(&seed);
}

static void hear(struct fixture *f)
{
    struct packet_list list = snapshots_told(f->s);
    for (size_t i = 0; i < list.len; i++) {
        const struct packet *p = &list.ptr[i];
        switch (p->kind) {
        case SNAPSHOT_STORED:
            f->stored = p->id;
            f->checksum = p->words.ptr[1];
            break;
        case SNAPSHOT_WRITTEN:
            f->written = p->id;
            break;
        case SNAPSHOT_FAILED:
            f->failed = p->id;
            break;
        case SNAPSHOT_LOADED_PIECE:
            fill(f, f->stored, f->pieces++);
            assert_int_equal(p->len, PIECE);
            assert_memory_equal(p->words.ptr, f->words, PIECE);
            break;
        default:
            assert_int_equal(p->kind, SNAPSHOT_LOADED);
            f->loaded = p->id;
            f->was_loaded = true;
        }
    }
}

/* Turns of the loop, each of which comes because there is something to hear, until that is `*until`. */
static void run_until(struct fixture *f, const uint64_t *value, uint64_t until)
{
    hear(f);
    while (*value != until) {
        uv_run(&f->loop, UV_RUN_ONCE);
        hear(f);
    }
}

static void run_until_loaded(struct fixture *f)
{
    hear(f);
    while (!f->was_loaded) {
        uv_run(&f->loop, UV_RUN_ONCE);
        hear(f);
    }
}

static void ask(struct fixture *f, enum snapshot_item_kind kind, uint64_t id)
{
    const struct packet p = {.id = id, .kind = kind};
    snapshots_ask(f->s, &p, 1);
}

static void ask_piece(struct fixture *f, uint64_t slot, size_t number)
{
    fill(f, slot, number);
    const struct packet p = {.id = SNAPSHOT_STATE, .kind = SNAPSHOT_PIECE, .len = PIECE, .words = {f->words, PIECE / 8}};
    snapshots_ask(f->s, &p, 1);
}

static void store(struct fixture *f, uint64_t slot)
{
    ask(f, SNAPSHOT_BEGIN, slot);
    for (size_t i = 0; i < PIECES; i++)
        ask_piece(f, slot, i);
    ask(f, SNAPSHOT_COMMIT, slot);
    run_until(f, &f->stored, slot);
    assert_int_equal(f->written, (uint64_t)PIECES * PIECE);
}

static void stored_and_loaded(void **state)
{
    struct fixture *f = *state;
    run_until_loaded(f);
    assert_int_equal(f->loaded, 0);
    store(f, 100);
    const uint64_t first = f->checksum;
    store(f, 200);
    assert_true(f->checksum != first);
    close_snapshots(f);
    open_snapshots(f);
    run_until_loaded(f);
    assert_int_equal(f->stored, 200);
    assert_int_equal(f->loaded, 200);
    assert_int_equal(f->pieces, PIECES);
    assert_int_equal(f->notices, 0);
}

/* The end of the node, in the middle of everything: nothing hangs, and nothing of it is found. */
static void closed_in_the_middle(void **state)
{
    struct fixture *f = *state;
    run_until_loaded(f);
    store(f, 100);
    for (size_t i = 0; i < 20; i++) {
        ask(f, SNAPSHOT_BEGIN, 200 + i);
        for (size_t n = 0; n < i; n++)
            ask_piece(f, 200 + i, n);
        usleep((useconds_t)(100 * i));
        close_snapshots(f);
        open_snapshots(f);
        if (i % 2 == 0)
            continue; /* closed while it is loading */
        run_until_loaded(f);
        assert_int_equal(f->loaded, 100);
        assert_int_equal(f->pieces, PIECES);
    }
}

/* A life ends, and the next one hears all of it. */
static void reborn(void **state)
{
    struct fixture *f = *state;
    run_until_loaded(f);
    store(f, 100);
    for (size_t i = 0; i < 30; i++) {
        ask(f, SNAPSHOT_BEGIN, 200 + i);
        for (size_t n = 0; n < i % 7; n++)
            ask_piece(f, 200 + i, n);
        usleep((useconds_t)(50 * i));
        snapshots_reborn(f->s);
        f->was_loaded = false;
        f->pieces = 0;
        f->stored = 0;
        run_until_loaded(f);
        assert_int_equal(f->loaded, 100);
        assert_int_equal(f->stored, 100);
        assert_int_equal(f->pieces, PIECES);
    }
}

/* A folder that is none; one that may not be written. */
static void trouble_is_told(void **state)
{
    struct fixture *f = *state;
    char path[128];
    run_until_loaded(f);
    snprintf(path, sizeof path, "%s/snapshots", f->folder);
    FILE *file = fopen(path, "w");
    fclose(file);
    ask(f, SNAPSHOT_BEGIN, 100);
    run_until(f, &f->failed, 100);
    assert_int_equal(f->notices, 1);
    assert_non_null(strstr(f->notice, "this snapshot is given up"));
    unlink(path);
    store(f, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stored_and_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_in_the_middle, setup, teardown),
        cmocka_unit_test_setup_teardown(reborn, setup, teardown),
        cmocka_unit_test_setup_teardown(trouble_is_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
