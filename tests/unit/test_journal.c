/* host/journal*.c over real files and a real loop. A crash is a copy of the folder while the journal is open: what a
 * machine that stops right now would find. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h> /* cmocka wants these before it */

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/formats/journal_walk.h"
#include "core/formats/record.h"
#include "host/journal.h"

enum { PAGE = JOURNAL_PAGE, SEGMENT = 64 * PAGE, PATH_SIZE = 512 };

struct fixture {
    char folder[PATH_SIZE];
    char image[PATH_SIZE]; /* copies of the folder */
    uv_loop_t loop;
    struct journal *j;
    struct journal_options options;
    struct problem problem;
    unsigned durable_calls, failures, notices;
    char notice[1024];
};

static void on_durable(void *context) { ((struct fixture *)context)->durable_calls++; }

static void on_failure(void *context, const struct problem *problem)
{
    struct fixture *f = context;
    f->failures++;
    f->problem = *problem;
}

static void on_notice(void *context, const char *text)
{
    struct fixture *f = context;
    f->notices++;
    snprintf(f->notice, sizeof f->notice, "%s", text);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->folder, sizeof f->folder, "%s/synod-journal-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->image, sizeof f->image, "%.400s-image", f->folder);
    assert_int_equal(mkdir(f->image, 0700), 0);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->options = (struct journal_options){
        .folder = f->folder,
        .identity = {.cluster = "test", .node = 2, .instance = {9, 8, 7}, .incarnation = 1},
        .durability = DURABILITY_FSYNC,
        .segment_bytes = SEGMENT,
        .on_durable = on_durable,
        .on_failure = on_failure,
        .on_notice = on_notice,
        .context = f,
    };
    *state = f;
    return 0;
}

/* Calls `visit` for each file of a folder. */
static void each_file(const char *folder, void (*visit)(const char *path, const char *name, void *context), void *context)
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

static void remove_file(const char *path, const char *name, void *context)
{
    (void)name;
    (void)context;
    unlink(path);
}

static void close_journal(struct fixture *f)
{
    if (f->j != NULL)
        journal_close(f->j);
    f->j = NULL;
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    close_journal(f);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    umount2(f->image, MNT_DETACH); /* when full_disk_is_told_clearly did not get to it */
    each_file(f->folder, remove_file, NULL);
    each_file(f->image, remove_file, NULL);
    rmdir(f->folder);
    rmdir(f->image);
    free(f);
    return 0;
}

static bool try_open(struct fixture *f, const char *folder)
{
    close_journal(f);
    f->options.folder = folder;
    bool ok = journal_open(&f->j, &f->loop, &f->options, &f->problem);
    f->options.identity.incarnation++;
    return ok;
}

static void open_journal(struct fixture *f, const char *folder)
{
    if (!try_open(f, folder))
        fail_msg("%s", f->problem.text);
}

/* The content of a record follows from its lsn. */
static uint32_t length_of(uint64_t lsn) { return (uint32_t)(lsn * 37 % 301); }

static void append_long(struct fixture *f, uint32_t kind, uint32_t len)
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

static void append(struct fixture *f) { append_long(f, 1, length_of(journal_last(f->j) + 1)); }

static void check(const struct packet *record, uint64_t lsn)
{
    assert_int_equal(record->id, lsn);
    assert_int_equal(record->words.len, words_for(record->len));
    for (uint32_t i = 0; i < record->len; i++)
        assert_int_equal(((const uint8_t *)record->words.ptr)[i], (uint8_t)(lsn + i * 3));
}

static void wait_durable(struct fixture *f)
{
    journal_submit(f->j);
    while (journal_durable(f->j) < journal_last(f->j) && f->failures == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    if (f->failures > 0)
        fail_msg("%s", f->problem.text);
}

/* `groups` groups of one to three records each, every one durable before the next. */
static void append_groups(struct fixture *f, unsigned groups)
{
    for (unsigned i = 0; i < groups; i++) {
        for (unsigned k = 0; k <= i % 3; k++)
            append(f);
        wait_durable(f);
    }
}

/* Recovers everything, and checks that it is the records from `from` up to `to`. */
static void check_recovered(struct fixture *f, uint64_t from, uint64_t to)
{
    uint64_t lsn = from;
    for (;;) {
        struct packet_list chunk = journal_recover(f->j);
        if (chunk.len == 0)
            break;
        for (size_t i = 0; i < chunk.len; i++)
            check(&chunk.ptr[i], lsn++);
    }
    assert_int_equal(lsn, to + 1);
    assert_int_equal(journal_durable(f->j), to);
    assert_int_equal(journal_last(f->j), to);
}

static void copy_file(const char *path, const char *name, void *context)
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
static void crash(struct fixture *f)
{
    each_file(f->image, remove_file, NULL);
    each_file(f->folder, copy_file, f->image);
}

struct segments {
    uint64_t first_lsn[64];
    size_t count;
};

static void note_segment(const char *path, const char *name, void *context)
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

static struct segments segments_of(const char *folder)
{
    struct segments s = {0};
    each_file(folder, note_segment, &s);
    return s;
}

static void segment_path(const char *folder, uint64_t first_lsn, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%.400s/journal-%020llu.log", folder, (unsigned long long)first_lsn);
}

/* Where the next group of a segment would go: behind the last page that is not zero. */
static uint64_t end_of(const char *path)
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

static void flip(const char *path, uint64_t at)
{
    int fd = open(path, O_RDWR);
    uint8_t byte = 0;
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

static void zero(const char *path, uint64_t from, uint64_t to)
{
    int fd = open(path, O_RDWR);
    static const char zeros[64 * PAGE];
    assert_int_equal(pwrite(fd, zeros, to - from, (off_t)from), to - from);
    close(fd);
}

/* ---- Tests ---- */

static void appends_become_durable_and_come_back(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    check_recovered(f, 1, 0);
    append_groups(f, 10);
    uint64_t last = journal_last(f->j);
    assert_int_equal(last, 19);
    assert_in_range(f->durable_calls, 1, 10);
    struct journal_statistics s = journal_statistics(f->j);
    assert_in_range(s.records, 1, 19);
    assert_int_equal(s.bytes, s.groups * PAGE);
    close_journal(f);

    for (int i = 0; i < 2; i++) {
        open_journal(f, f->folder);
        check_recovered(f, 1, last);
        assert_int_equal(journal_statistics(f->j).torn_tails, 0);
        close_journal(f);
    }
    open_journal(f, f->folder);
    append(f);
    wait_durable(f);
    close_journal(f);
    open_journal(f, f->folder);
    check_recovered(f, 1, last + 1);
    assert_int_equal(f->notices, 0);
}

static void nothing_is_durable_before_submit(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append(f);
    append(f);
    for (int i = 0; i < 10; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(journal_durable(f->j), 0);
    assert_int_equal(f->durable_calls, 0);
    wait_durable(f);
    while (f->durable_calls == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(journal_statistics(f->j).groups, 1);
    assert_int_equal(journal_statistics(f->j).records, 2);
}

static void what_is_submitted_meanwhile_is_one_group(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    for (int i = 0; i < 200; i++) {
        append(f);
        journal_submit(f->j);
    }
    wait_durable(f);
    crash(f);
    open_journal(f, f->image);
    check_recovered(f, 1, 200);
}

static void close_writes_what_was_gathered(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    for (int i = 0; i < 7; i++)
        append(f);
    close_journal(f);
    open_journal(f, f->folder);
    check_recovered(f, 1, 7);
}

static void goes_on_over_many_segments(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 300);
    uint64_t last = journal_last(f->j);
    struct segments s = segments_of(f->folder);
    assert_int_equal(s.count, 5);
    crash(f);
    close_journal(f);
    open_journal(f, f->image);
    check_recovered(f, 1, last);
    append_groups(f, 80);
    last = journal_last(f->j);
    close_journal(f);
    open_journal(f, f->image);
    check_recovered(f, 1, last);
    assert_int_equal(journal_statistics(f->j).torn_tails, 0);
}

static void records_larger_than_a_segment(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append(f);
    wait_durable(f);
    append_long(f, 1, 3 * SEGMENT);
    wait_durable(f);
    append(f);
    append_long(f, 1, 5 << 20); /* closes its buffer: the next record is in another group */
    append(f);
    wait_durable(f);
    close_journal(f);
    open_journal(f, f->folder);
    check_recovered(f, 1, 5);
    struct packet_list found = journal_read(f->j, 2, 1);
    assert_int_equal(found.len, 1);
    assert_int_equal(found.ptr[0].len, 3 * SEGMENT);
}

static void reads_back_any_range(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 200);
    uint64_t durable = journal_last(f->j);
    /* In flight, submitted behind it, and gathered. */
    append(f);
    append(f);
    journal_submit(f->j);
    append(f);
    journal_submit(f->j);
    append(f);
    append(f);
    uint64_t last = journal_last(f->j);
    assert_int_equal(last, durable + 5);
    for (uint64_t from = 1; from <= last; from += from < durable - 5 ? 13 : 1) {
        for (uint64_t bytes_max = 0; bytes_max < 5000; bytes_max = bytes_max * 5 + 1) {
            struct packet_list found = journal_read(f->j, from, bytes_max);
            assert_true(found.len > 0);
            uint64_t bytes = 0;
            for (size_t i = 0; i < found.len; i++) {
                check(&found.ptr[i], from + i);
                assert_int_equal(found.ptr[i].len, length_of(from + i));
                bytes += found.ptr[i].len;
            }
            /* It stops only at the limit, at the end, or where files end and memory begins. */
            assert_true(found.len == 1 || bytes - found.ptr[found.len - 1].len < bytes_max);
            assert_true(bytes >= bytes_max || found.ptr[found.len - 1].id == last);
        }
    }
    assert_int_equal(journal_read(f->j, last + 1, 1000).len, 0);
    assert_int_equal(journal_read(f->j, 0, 1000).len, 0);
    wait_durable(f);
    struct packet_list found = journal_read(f->j, durable, UINT64_MAX);
    assert_int_equal(found.len, 6);
}

static void torn_last_group_is_cut(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 4);
    uint64_t kept = journal_last(f->j);
    append_long(f, 1, 9000); /* three pages */
    wait_durable(f);
    crash(f);
    char path[PATH_SIZE];
    segment_path(f->folder, 1, path);
    uint64_t end = end_of(path), begin = end - 3 * PAGE;
    close_journal(f);
    segment_path(f->image, 1, path);
    struct {
        uint64_t from, to, flipped;
    } torn[] = {
        {begin, begin, begin},              /* one byte of the header */
        {begin, begin, begin + 48},         /* the record's kind */
        {begin, begin, end - 1},            /* the padding */
        {begin + 512, end, 0},              /* one sector arrived */
        {begin + PAGE, end, 0},             /* one page */
        {begin + 2 * PAGE, end, 0},         /* two */
        {begin, begin + PAGE, 0},           /* all but the first */
        {begin, begin + 2 * PAGE, 0},       /* the last */
        {end - PAGE, end, 0},
    };
    for (size_t i = 0; i < sizeof torn / sizeof *torn; i++) {
        crash(f);
        /* The folder was closed with a mark since; without it, this is what the crash left. */
        zero(path, end, end + PAGE);
        f->notices = 0;
        if (torn[i].to > torn[i].from)
            zero(path, torn[i].from, torn[i].to);
        if (torn[i].flipped > 0)
            flip(path, torn[i].flipped);
        open_journal(f, f->image);
        assert_int_equal(end_of(path), begin);
        assert_int_equal(journal_statistics(f->j).torn_tails, 1);
        assert_int_equal(f->notices, 1);
        assert_non_null(strstr(f->notice, path));
        check_recovered(f, 1, kept);
        /* The next group takes its place, and there is no trace of the cut. */
        append(f);
        wait_durable(f);
        close_journal(f);
        open_journal(f, f->image);
        check_recovered(f, 1, kept + 1);
        assert_int_equal(journal_statistics(f->j).torn_tails, 0);
        close_journal(f);
    }
}

static void assert_refused(struct fixture *f, const char *path, const char *what)
{
    if (try_open(f, f->image))
        fail_msg("%s: opened in spite of the damage", path);
    assert_int_equal(f->problem.exit_code, EXIT_DATA);
    if (strstr(f->problem.text, path) == NULL || strstr(f->problem.text, what) == NULL)
        fail_msg("'%s' does not name '%s' and '%s'", f->problem.text, path, what);
}

static void damage_before_the_last_group_is_refused(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 70);
    uint64_t last = journal_last(f->j);
    crash(f);
    struct segments s = segments_of(f->image);
    assert_int_equal(s.count, 2);
    for (size_t i = 0; i < s.count; i++) {
        char path[PATH_SIZE], offset[64];
        segment_path(f->image, s.first_lsn[i], path);
        uint64_t end = end_of(path) - (i + 1 == s.count ? PAGE : 0);
        for (uint64_t at = 0; at < end; at += 509) {
            flip(path, at);
            snprintf(offset, sizeof offset, "offset %llu: ", (unsigned long long)(at / PAGE * PAGE));
            assert_refused(f, path, offset);
            flip(path, at);
        }
    }
    open_journal(f, f->image);
    check_recovered(f, 1, last);
}

/* The last group before a mark is protected by it: damage is not a silent cut. */
static void damage_before_a_mark_is_refused(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 2);
    close_journal(f);
    crash(f);
    char path[PATH_SIZE];
    segment_path(f->image, 1, path);
    assert_int_equal(end_of(path), 4 * PAGE);
    flip(path, 2 * PAGE + 60);
    assert_refused(f, path, "offset 8192: ");
    assert_non_null(strstr(f->problem.text, "offset 12288 proves"));
}

static void mark_follows_when_idle(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 1);
    char path[PATH_SIZE];
    segment_path(f->folder, 1, path);
    assert_int_equal(end_of(path), 2 * PAGE);
    while (journal_statistics(f->j).groups < 2) {
        uv_update_time(&f->loop);
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_int_equal(end_of(path), 3 * PAGE);
    assert_int_equal(journal_durable(f->j), 1);
    close_journal(f); /* no second mark */
    assert_int_equal(end_of(path), 3 * PAGE);
    open_journal(f, f->folder);
    check_recovered(f, 1, 1);
}

static void missing_and_short_segments_are_refused(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 200);
    struct segments s = segments_of(f->folder);
    assert_int_equal(s.count, 4);
    char path[PATH_SIZE], next[PATH_SIZE];
    for (size_t i = 0; i + 1 < s.count; i++) {
        crash(f);
        segment_path(f->image, s.first_lsn[i], path);
        segment_path(f->image, s.first_lsn[i + 1], next);
        assert_int_equal(unlink(path), 0);
        assert_refused(f, next, "missing");
        crash(f);
        assert_int_equal(truncate(path, SEGMENT - PAGE), 0);
        assert_refused(f, path, "shorter");
    }
    segment_path(f->image, s.first_lsn[3], path);
    for (int pages = 0; pages < 64; pages += 9) {
        crash(f);
        assert_int_equal(truncate(path, pages * PAGE), 0);
        assert_refused(f, path, "shorter");
    }
    crash(f);
    assert_int_equal(truncate(path, SEGMENT + PAGE), 0);
    assert_refused(f, path, "longer");
}

static void other_nodes_journal_is_refused(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 1);
    crash(f);
    char path[PATH_SIZE];
    segment_path(f->image, 1, path);
    struct identity mine = f->options.identity;
    f->options.identity.node = 3;
    assert_refused(f, path, "another node");
    f->options.identity = mine;
    snprintf(f->options.identity.cluster, sizeof f->options.identity.cluster, "other");
    assert_refused(f, path, "another cluster");
    f->options.identity = mine;
    f->options.identity.instance[0]++;
    assert_refused(f, path, "another instance");
    f->options.identity = mine;
    f->options.identity.incarnation = 0;
    assert_refused(f, path, "later life");
}

static void journal_that_is_gone_is_refused(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 1);
    crash(f);
    char path[PATH_SIZE];
    segment_path(f->image, 1, path);
    unlink(path);
    assert_refused(f, f->image, "the segments are gone");
}

static void sticky_records_open_each_segment(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_long(f, 128, 40);
    append_long(f, 130, 16);
    wait_durable(f);
    append_long(f, 128, 50);
    append_groups(f, 70);
    struct segments s = segments_of(f->folder);
    assert_int_equal(s.count, 2);
    char path[PATH_SIZE];
    segment_path(f->folder, s.first_lsn[1], path);
    uint64_t header[PAGE / 8];
    int fd = open(path, O_RDONLY);
    assert_int_equal(pread(fd, header, sizeof header, 0), PAGE);
    close(fd);
    struct journal_segment segment;
    struct journal_owner owner = {.cluster = journal_cluster_hash("test", 4), .node = 2, .incarnation = 1, .instance = {9, 8, 7}};
    assert_int_equal(journal_segment_read(header, PAGE, &owner, s.first_lsn[1], SEGMENT, &segment), JOURNAL_SOUND);
    struct journal_sticky sticky = {0};
    journal_segment_sticky(header, &segment, &sticky);
    assert_int_equal(sticky.len, 2);
    check(&sticky.ptr[0], 2);
    assert_int_equal(sticky.ptr[0].kind, 130);
    check(&sticky.ptr[1], 3);
    assert_int_equal(sticky.ptr[1].kind, 128);
    assert_int_equal(sticky.ptr[1].len, 50);

    /* Without the older segment, which a header with a higher "oldest" allows, they come first. */
    uint64_t last = journal_last(f->j), first = s.first_lsn[1];
    segment.oldest_lsn = first;
    journal_segment_write(header, &owner, &segment, &sticky);
    journal_sticky_free(&sticky);
    crash(f);
    segment_path(f->image, 1, path);
    unlink(path);
    segment_path(f->image, first, path);
    fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, header, sizeof header, 0), PAGE);
    close(fd);
    close_journal(f);
    open_journal(f, f->image);
    struct packet_list inherited = journal_recover(f->j);
    assert_int_equal(inherited.len, 2);
    check(&inherited.ptr[0], 2);
    check(&inherited.ptr[1], 3);
    check_recovered(f, first, last);
    assert_int_equal(journal_read(f->j, first - 1, 100).len, 0);
}

/* A process that appends until it is killed; it writes to `out` what has become durable. */
static void append_until_killed(struct fixture *f, int out)
{
    uv_loop_init(&f->loop);
    if (!try_open(f, f->folder))
        _exit(1);
    for (;;) {
        append(f);
        append(f);
        journal_submit(f->j);
        uv_run(&f->loop, UV_RUN_NOWAIT);
        uint64_t durable = journal_durable(f->j);
        if (write(out, &durable, sizeof durable) != sizeof durable)
            _exit(1);
    }
}

static void killed_process_loses_nothing_durable(void **state)
{
    struct fixture *f = *state;
    uint64_t before = 0;
    for (int life = 0; life < 6; life++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0)
            append_until_killed(f, ends[1]);
        close(ends[1]);
        uint64_t durable = 0;
        while (durable < before + 20 + (uint64_t)life * 7)
            assert_int_equal(read(ends[0], &durable, sizeof durable), sizeof durable);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        uint64_t last;
        while (read(ends[0], &last, sizeof last) == sizeof last)
            durable = last;
        close(ends[0]);
        f->options.identity.incarnation++;
        open_journal(f, f->folder);
        before = journal_last(f->j);
        assert_true(before >= durable);
        check_recovered(f, 1, before);
        close_journal(f);
    }
}

static void failed_write_is_final_and_told_once(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 3);
    uint64_t durable = journal_durable(f->j);
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    none = before;
    none.rlim_cur = PAGE;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    append(f);
    journal_submit(f->j);
    while (f->failures == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    /* It could write again, but nothing becomes durable any more. */
    append(f);
    journal_submit(f->j);
    for (int i = 0; i < 100; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(journal_durable(f->j), durable);
    close_journal(f);
    assert_int_equal(f->failures, 1);
    assert_int_equal(f->problem.exit_code, EXIT_SYNC_FAILED);
    assert_non_null(strstr(f->problem.text, "File too large"));
    open_journal(f, f->folder);
    check_recovered(f, 1, durable);
}

static void full_disk_is_told_clearly(void **state)
{
    struct fixture *f = *state;
    if (mount("tmpfs", f->image, "tmpfs", 0, "size=1m") != 0)
        skip();
    open_journal(f, f->image);
    while (f->failures == 0) {
        append(f);
        journal_submit(f->j);
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    uint64_t durable = journal_durable(f->j);
    assert_true(durable > 0);
    assert_int_equal(f->notices, 1); /* when the spare could not be made, before it was needed */
    assert_non_null(strstr(f->problem.text, "No space left on device"));
    assert_int_equal(f->problem.exit_code, EXIT_SYNC_FAILED);
    close_journal(f);
    assert_int_equal(f->failures, 1);
    open_journal(f, f->image);
    check_recovered(f, 1, durable);
    close_journal(f);
    assert_int_equal(umount2(f->image, MNT_DETACH), 0);
}

static void without_sync_the_files_are_the_same(void **state)
{
    struct fixture *f = *state;
    f->options.durability = DURABILITY_OS;
    open_journal(f, f->folder);
    append_groups(f, 100);
    uint64_t last = journal_last(f->j);
    open_journal(f, f->folder);
    assert_int_equal(journal_statistics(f->j).syncs, 0);
    check_recovered(f, 1, last);
    close_journal(f);
    /* After another start of the machine nobody knows what is missing. */
    crash(f);
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%.400s/journal-durability", f->image);
    flip(path, 5);
    assert_refused(f, f->image, "started again");
    f->options.durability = DURABILITY_FSYNC;
    open_journal(f, f->folder);
    check_recovered(f, 1, last);
}

static void memory_forgets_and_says_so(void **state)
{
    struct fixture *f = *state;
    f->options.durability = DURABILITY_MEMORY;
    open_journal(f, f->folder);
    check_recovered(f, 1, 0);
    append_groups(f, 50);
    uint64_t last = journal_last(f->j);
    for (uint64_t lsn = 1; lsn <= last; lsn++)
        check(journal_read(f->j, lsn, 1).ptr, lsn);
    assert_int_equal(journal_read(f->j, 1, UINT64_MAX).len, last);
    while (f->durable_calls == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(segments_of(f->folder).count, 0);
    crash(f);
    assert_int_equal(f->failures, 0);
    close_journal(f);
    assert_refused(f, f->image, "memory");
    f->options.durability = DURABILITY_FSYNC;
    assert_refused(f, f->image, "memory");
}

static void remains_of_a_spare_do_not_matter(void **state)
{
    struct fixture *f = *state;
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%.400s/journal-spare.tmp", f->folder);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(write(fd, "garbage", 7), 7);
    close(fd);
    open_journal(f, f->folder);
    append_groups(f, 100);
    uint64_t last = journal_last(f->j);
    close_journal(f);
    open_journal(f, f->folder);
    check_recovered(f, 1, last);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(appends_become_durable_and_come_back),
        with_fixture(nothing_is_durable_before_submit),
        with_fixture(what_is_submitted_meanwhile_is_one_group),
        with_fixture(close_writes_what_was_gathered),
        with_fixture(goes_on_over_many_segments),
        with_fixture(records_larger_than_a_segment),
        with_fixture(reads_back_any_range),
        with_fixture(torn_last_group_is_cut),
        with_fixture(damage_before_the_last_group_is_refused),
        with_fixture(damage_before_a_mark_is_refused),
        with_fixture(mark_follows_when_idle),
        with_fixture(missing_and_short_segments_are_refused),
        with_fixture(other_nodes_journal_is_refused),
        with_fixture(journal_that_is_gone_is_refused),
        with_fixture(sticky_records_open_each_segment),
        with_fixture(killed_process_loses_nothing_durable),
        with_fixture(failed_write_is_final_and_told_once),
        with_fixture(full_disk_is_told_clearly),
        with_fixture(without_sync_the_files_are_the_same),
        with_fixture(memory_forgets_and_says_so),
        with_fixture(remains_of_a_spare_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
