/* What the tests of host/journal*.c share: a journal over real files and a real loop. A crash is a copy of the folder
 * while the journal is open: what a machine that stops right now would find. */
#ifndef SYNOD_TESTS_UNIT_JOURNAL_FIXTURE_H
#define SYNOD_TESTS_UNIT_JOURNAL_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h> /* cmocka wants these before it */

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/formats/journal_walk.h"
#include "core/formats/record.h"
#include "host/journal.h"

enum { PAGE = JOURNAL_PAGE, SEGMENT = 64 * PAGE, PATH_SIZE = 512 };

/* This machine's disk, which fails when told to. What is set is an errno, and 0 for none. */
struct failing_disk {
    struct disk disk; /* first: the calls get it back */
    struct disk_operations operations;
    atomic_int make_error, write_error, sync_error, remember_error, remove_error;
    atomic_uint made, refused; /* files; calls that failed */
};

static inline int fails_with(struct failing_disk *d, atomic_int *error)
{
    int code = atomic_load(error);
    if (code != 0)
        atomic_fetch_add(&d->refused, 1);
    return -code;
}

static inline int failing_open(struct disk *disk, const char *path, enum disk_open how)
{
    struct failing_disk *d = (struct failing_disk *)disk;
    int error = how == DISK_MAKE ? fails_with(d, &d->make_error) : 0;
    if (error != 0)
        return error;
    atomic_fetch_add(&d->made, how == DISK_MAKE);
    return disk_open(disk_posix(), path, how);
}

/* Half of it is written. */
static inline int failing_write(struct disk *disk, int file, uint64_t offset, const void *from, size_t len)
{
    struct failing_disk *d = (struct failing_disk *)disk;
    int error = fails_with(d, &d->write_error);
    int written = disk_write(disk_posix(), file, offset, from, error != 0 ? len / 2 : len);
    return error != 0 ? error : written;
}

static inline int failing_sync(struct disk *disk, int file)
{
    struct failing_disk *d = (struct failing_disk *)disk;
    int error = fails_with(d, &d->sync_error);
    return error != 0 ? error : disk_sync_data(disk_posix(), file);
}

static inline int failing_remove(struct disk *disk, const char *path)
{
    struct failing_disk *d = (struct failing_disk *)disk;
    int error = fails_with(d, &d->remove_error);
    return error != 0 ? error : disk_remove(disk_posix(), path);
}

struct fixture {
    struct failing_disk failing;
    char folder[PATH_SIZE];
    char image[PATH_SIZE]; /* copies of the folder */
    uv_loop_t loop;
    struct journal *j;
    struct journal_options options;
    struct problem problem;
    unsigned durable_calls, failures, notices;
    char notice[1200];
    struct journal_result found; /* by the last opening */
    bool found_asked;            /* check_recovered has looked at it */
};

static inline void on_durable(void *context) { ((struct fixture *)context)->durable_calls++; }

static inline void on_failure(void *context, const struct problem *problem)
{
    struct fixture *f = context;
    f->failures++;
    f->problem = *problem;
}

static inline void on_notice(void *context, const char *text)
{
    struct fixture *f = context;
    f->notices++;
    snprintf(f->notice, sizeof f->notice, "%s", text);
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->folder, sizeof f->folder, "%s/synod-journal-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->image, sizeof f->image, "%.400s-image", f->folder);
    assert_int_equal(mkdir(f->image, 0700), 0);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->options = (struct journal_options){
        .disk = &f->failing.disk,
        .folder = f->folder,
        .identity = {.cluster = "test", .node = 2, .instance = {9, 8, 7}, .incarnation = 1},
        .durability = DURABILITY_FSYNC,
        .segment_bytes = SEGMENT,
        .on_durable = on_durable,
        .on_failure = on_failure,
        .on_notice = on_notice,
        .context = f,
    };
    f->failing.operations = *disk_posix()->operations;
    f->failing.operations.open = failing_open;
    f->failing.operations.write = failing_write;
    f->failing.operations.sync_data = failing_sync;
    f->failing.operations.remove = failing_remove;
    f->failing.disk.operations = &f->failing.operations;
    *state = f;
    return 0;
}

/* Calls `visit` for each file of a folder. */
static inline void each_file(const char *folder, void (*visit)(const char *path, const char *name, void *context),
                             void *context)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[PATH_SIZE + 256];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            visit(path, entry->d_name, context);
    }
    closedir(dir);
}

static inline void remove_file(const char *path, const char *name, void *context)
{
    (void)name;
    (void)context;
    unlink(path);
}

static inline void close_journal(struct fixture *f)
{
    if (f->j != NULL)
        journal_close(f->j);
    f->j = NULL;
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    close_journal(f);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    umount2(f->image, MNT_DETACH); /* when full_disk_is_waited_for did not get to it */
    each_file(f->folder, remove_file, NULL);
    each_file(f->image, remove_file, NULL);
    rmdir(f->folder);
    rmdir(f->image);
    journal_result_free(&f->found);
    free(f);
    return 0;
}

/* Opens the journal and reads it to its end. */
static inline bool try_open(struct fixture *f, const char *folder)
{
    struct packet_list chunk = {.len = 1};
    close_journal(f);
    f->options.folder = folder;
    bool ok = journal_open(&f->j, &f->loop, &f->options, &f->problem);
    f->options.identity.incarnation++;
    journal_result_clear(&f->found);
    f->found_asked = false;
    while (ok && chunk.len > 0) {
        ok = journal_recover(f->j, &chunk);
        for (size_t i = 0; i < chunk.len; i++)
            journal_result_add(&f->found, &chunk.ptr[i]);
    }
    if (!ok && f->j != NULL) {
        assert_int_equal(f->failures, 1);
        f->failures = 0;
        close_journal(f);
    }
    return ok;
}

static inline void open_journal(struct fixture *f, const char *folder)
{
    if (!try_open(f, folder))
        fail_msg("%s", f->problem.text);
}

/* The content of a record follows from its lsn. */
static inline uint32_t length_of(uint64_t lsn) { return (uint32_t)(lsn * 37 % 301); }

static inline void append_long(struct fixture *f, uint32_t kind, uint32_t len)
{
    uint64_t lsn = journal_last(f->j) + 1;
    size_t count = words_for(len);
    uint64_t *words = calloc(count + 1, sizeof *words);
    for (uint32_t i = 0; i < len; i++)
        ((uint8_t *)words)[i] = (uint8_t)(lsn + i * 3);
    struct packet record = {.id = lsn, .kind = kind, .len = len, .words = {.ptr = words, .len = count}};
    journal_append(f->j, &record, 1);
    free(words); /* it was copied */
    assert_int_equal(journal_last(f->j), lsn);
}

static inline void append(struct fixture *f) { append_long(f, 1, length_of(journal_last(f->j) + 1)); }

static inline void check(const struct packet *record, uint64_t lsn)
{
    assert_int_equal(record->id, lsn);
    assert_int_equal(record->words.len, words_for(record->len));
    for (uint32_t i = 0; i < record->len; i++)
        assert_int_equal(((const uint8_t *)record->words.ptr)[i], (uint8_t)(lsn + i * 3));
}

static inline void wait_durable(struct fixture *f)
{
    journal_submit(f->j);
    while (journal_durable(f->j) < journal_last(f->j) && f->failures == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    if (f->failures > 0)
        fail_msg("%s", f->problem.text);
}

/* `groups` groups of one to three records each, every one durable before the next. */
static inline void append_groups(struct fixture *f, unsigned groups)
{
    for (unsigned i = 0; i < groups; i++) {
        for (unsigned k = 0; k <= i % 3; k++)
            append(f);
        wait_durable(f);
    }
}

/* Checks that what opening found, or what another life finds, are the records from `from` up to `to`. */
static inline void check_recovered(struct fixture *f, uint64_t from, uint64_t to)
{
    uint64_t lsn = from;
    struct packet_list chunk = {NULL, 0};
    if (!f->found_asked)
        chunk = journal_result_packets(&f->found);
    f->found_asked = true;
    do {
        for (size_t i = 0; i < chunk.len; i++)
            check(&chunk.ptr[i], lsn++);
        assert_true(journal_recover(f->j, &chunk));
    } while (chunk.len > 0);
    assert_int_equal(lsn, to + 1);
    assert_int_equal(journal_durable(f->j), to);
    assert_int_equal(journal_last(f->j), to);
}

static inline void copy_file(const char *path, const char *name, void *context)
{
    static char bytes[8 << 20];
    char to[PATH_SIZE + 256];
    snprintf(to, sizeof to, "%s/%s", (const char *)context, name);
    int in = open(path, O_RDONLY);
    if (in < 0)
        return; /* the spare, which has just got its name */
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t len = read(in, bytes, sizeof bytes);
    assert_true(out >= 0 && len >= 0 && len < (ssize_t)sizeof bytes);
    assert_int_equal(write(out, bytes, (size_t)len), len);
    close(in);
    close(out);
}

/* The folder as a crash would leave it now, in f->image. */
static inline void crash(struct fixture *f)
{
    each_file(f->image, remove_file, NULL);
    each_file(f->folder, copy_file, f->image);
}

struct segments {
    uint64_t first_lsn[64];
    size_t count;
};

static inline void note_segment(const char *path, const char *name, void *context)
{
    struct segments *s = context;
    unsigned long long lsn;
    (void)path;
    if (sscanf(name, "journal-%20llu.log", &lsn) != 1)
        return;
    size_t i = s->count++;
    for (; i > 0 && s->first_lsn[i - 1] > lsn; i--)
        s->first_lsn[i] = s->first_lsn[i - 1];
    s->first_lsn[i] = lsn;
}

static inline struct segments segments_of(const char *folder)
{
    struct segments s = {0};
    each_file(folder, note_segment, &s);
    return s;
}

static inline void segment_path(const char *folder, uint64_t first_lsn, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%.400s/journal-%020llu.log", folder, (unsigned long long)first_lsn);
}

/* Where the next group of a segment would go: after the last page that is not zero. */
static inline uint64_t end_of(const char *path)
{
    int fd = open(path, O_RDONLY);
    static const char zeros[PAGE];
    char page[PAGE];
    uint64_t end = 0;
    for (uint64_t at = 0; pread(fd, page, PAGE, (off_t)at) == PAGE; at += PAGE) {
        if (memcmp(page, zeros, PAGE) != 0)
            end = at + PAGE;
    }
    close(fd);
    return end;
}

static inline void flip(const char *path, uint64_t at)
{
    int fd = open(path, O_RDWR);
    uint8_t byte = 0;
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

static inline void zero(const char *path, uint64_t from, uint64_t to)
{
    int fd = open(path, O_RDWR);
    static const char zeros[64 * PAGE];
    assert_int_equal(pwrite(fd, zeros, to - from, (off_t)from), to - from);
    close(fd);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
