/* io/journal_recover.c, journal_durability.c: what a start makes of what a crash, damage or a mistake left. */
#include "tests/unit/journal_fixture.h"

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
        {begin, begin, begin},        /* one byte of the header */
        {begin, begin, begin + 48},   /* the record's kind */
        {begin, begin, end - 1},      /* the padding */
        {begin + 512, end, 0},        /* one sector arrived */
        {begin + PAGE, end, 0},       /* one page */
        {begin + 2 * PAGE, end, 0},   /* two */
        {begin, begin + PAGE, 0},     /* all but the first */
        {begin, begin + 2 * PAGE, 0}, /* the last */
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

/* Records that were handed out count only when all the others are known to be sound. */
static void damage_after_sound_records_ends_the_life(void **state)
{
    struct fixture *f = *state;
    char path[PATH_SIZE];
    open_journal(f, f->folder);
    for (int i = 0; i < 5; i++) {
        append_long(f, 1, 600000);
        wait_durable(f);
    }
    crash(f);
    struct segments s = segments_of(f->image);
    segment_path(f->image, s.first_lsn[s.count - 2], path);
    flip(path, end_of(path) - PAGE);
    close_journal(f);
    f->options.folder = f->image;
    assert_true(journal_open(&f->j, &f->loop, &f->options, &f->problem));
    struct packet_list chunk;
    assert_true(journal_recover(f->j, &chunk));
    assert_true(chunk.len >= 1);
    check(chunk.ptr, 1);
    assert_int_equal(journal_durable(f->j), 0);
    assert_int_equal(journal_last(f->j), 0);
    while (journal_recover(f->j, &chunk))
        assert_true(chunk.len > 0);
    assert_int_equal(chunk.len, 0);
    assert_int_equal(f->failures, 1); /* it was told at once */
    assert_int_equal(f->problem.exit_code, EXIT_DATA);
    assert_non_null(strstr(f->problem.text, path));
    assert_int_equal(journal_durable(f->j), 0);
    assert_false(journal_recover(f->j, &chunk)); /* for good */
    close_journal(f);
    assert_int_equal(f->failures, 1);
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
    assert_refused(f, f->image, "journal-00000000000000000001.log is missing");
}

/* What is remembered outside of the journal: it has begun, and its newest segment. */
static bool remember(void *context, uint64_t first_lsn, struct problem *problem)
{
    (void)problem;
    ((struct fixture *)context)->options.identity.newest_segment = first_lsn;
    return true;
}

static void what_is_remembered_must_be_there(void **state)
{
    struct fixture *f = *state;
    char path[PATH_SIZE];
    f->options.memory = (struct journal_memory){remember, f};
    open_journal(f, f->folder);
    assert_int_equal(f->options.identity.newest_segment, 1);
    append_groups(f, 140);
    struct segments s = segments_of(f->folder);
    assert_true(s.count > 2);
    const uint64_t newest = s.first_lsn[s.count - 1];
    assert_int_equal(f->options.identity.newest_segment, newest);

    /* The newest one, all of them, all of the journal's files. */
    crash(f);
    segment_path(f->image, newest, path);
    unlink(path);
    assert_refused(f, f->image, strrchr(path, '/') + 1);
    for (size_t i = 0; i < s.count; i++) {
        segment_path(f->image, s.first_lsn[i], path);
        unlink(path);
    }
    assert_refused(f, f->image, "is missing");
    snprintf(path, sizeof path, "%.400s/journal-durability", f->image);
    unlink(path);
    assert_refused(f, f->image, "journal-durability is missing");
    f->options.durability = DURABILITY_MEMORY;
    assert_refused(f, f->image, "journal-durability is missing");

    /* That one alone. */
    f->options.durability = DURABILITY_FSYNC;
    crash(f);
    unlink(path);
    assert_refused(f, f->image, "journal-durability is missing");

    /* Where a crash came before the newest one was remembered, it is. */
    crash(f);
    f->options.identity.newest_segment = s.first_lsn[s.count - 2];
    open_journal(f, f->image);
    assert_int_equal(f->options.identity.newest_segment, newest);
}

static void memory_begins_once(void **state)
{
    struct fixture *f = *state;
    char path[PATH_SIZE];
    f->options.memory = (struct journal_memory){remember, f};
    f->options.durability = DURABILITY_MEMORY;
    open_journal(f, f->folder);
    assert_int_equal(f->options.identity.newest_segment, 1);
    crash(f);
    snprintf(path, sizeof path, "%.400s/journal-durability", f->image);
    unlink(path);
    assert_refused(f, f->image, "journal-durability is missing");
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
    /* After a restart of the machine it is unknown what is missing. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(torn_last_group_is_cut),
        with_fixture(damage_before_the_last_group_is_refused),
        with_fixture(damage_after_sound_records_ends_the_life),
        with_fixture(damage_before_a_mark_is_refused),
        with_fixture(missing_and_short_segments_are_refused),
        with_fixture(other_nodes_journal_is_refused),
        with_fixture(journal_that_is_gone_is_refused),
        with_fixture(what_is_remembered_must_be_there),
        with_fixture(memory_begins_once),
        with_fixture(killed_process_loses_nothing_durable),
        with_fixture(without_sync_the_files_are_the_same),
        with_fixture(memory_forgets_and_says_so),
        with_fixture(remains_of_a_spare_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
