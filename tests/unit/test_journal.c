/* host/journal.c, journal_write.c, journal_spare.c, journal_read.c: appending, segments, failures, reading back. */
#include "tests/unit/journal_fixture.h"

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

/* A segment with nothing but a mark in it, or nothing at all, has the name that a larger one needs. */
static void larger_segment_replaces_one_without_records(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append(f);
    wait_durable(f);
    for (uint64_t lsn = 2; lsn < 5; lsn++) {
        append_long(f, 1, 2 * SEGMENT); /* fills its segment, so the mark needs the next */
        wait_durable(f);
        check(journal_read(f->j, lsn, 1).ptr, lsn);
        open_journal(f, f->folder);
        assert_int_equal(segments_of(f->folder).count, lsn + 1);
        check_recovered(f, 1, lsn);
    }
    struct segments s = segments_of(f->folder);
    char path[PATH_SIZE];
    segment_path(f->folder, s.first_lsn[s.count - 1], path);
    close_journal(f);
    zero(path, PAGE, end_of(path)); /* as if the crash had come before its first group */
    open_journal(f, f->folder);
    append_long(f, 1, 2 * SEGMENT);
    append_groups(f, 3);
    open_journal(f, f->folder);
    check_recovered(f, 1, 11);
}

static void reads_back_any_range(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 200);
    uint64_t durable = journal_last(f->j);
    /* In flight, submitted after it, and gathered. */
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
    struct journal_owner owner = {
        .cluster = journal_cluster_hash("test", 4), .node = 2, .incarnation = 1, .instance = {9, 8, 7}};
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
    struct packet_list found = journal_result_packets(&f->found);
    check(&found.ptr[0], 2);
    check(&found.ptr[1], 3);
    assert_int_equal(found.len, 2 + last + 1 - first);
    for (uint64_t lsn = first; lsn <= last; lsn++)
        check(&found.ptr[2 + lsn - first], lsn);
    assert_int_equal(journal_read(f->j, first - 1, 100).len, 0);
}

/* What was appended by a life that breaks: in flight, submitted after that, and after that not submitted. */
static void append_and_break(struct fixture *f)
{
    append(f);
    journal_submit(f->j);
    append(f);
    append(f);
    journal_submit(f->j);
    uint64_t submitted = journal_last(f->j);
    append(f);                  /* where the last ones wait, unless they are on their way already */
    append_long(f, 1, 5 << 20); /* closes that buffer */
    append(f);
    journal_forsake(f->j);
    assert_int_equal(journal_last(f->j), submitted);
}

static void another_life_goes_on(void **state)
{
    struct fixture *f = *state;
    uint64_t last = 0;
    open_journal(f, f->folder);
    for (int life = 0; life < 20; life++) {
        append_groups(f, 10);
        append_and_break(f);
        last = journal_last(f->j);
        unsigned calls = f->durable_calls;
        while (!journal_settled(f->j))
            uv_run(&f->loop, UV_RUN_ONCE);
        assert_true(f->durable_calls > calls); /* it was told when it could go on */
        journal_reborn(f->j, f->options.identity.incarnation++);
        check_recovered(f, 1, last);
        check_recovered(f, last + 1, last); /* once */
        check(journal_read(f->j, last / 2, 1).ptr, last / 2);
    }
    assert_true(segments_of(f->folder).count > 2);
    append_groups(f, 3);
    last = journal_last(f->j);
    crash(f);
    open_journal(f, f->image);
    check_recovered(f, 1, last);
    assert_int_equal(journal_statistics(f->j).torn_tails, 0);
}

/* What recovery is given was there when the life began, though the life appends meanwhile. */
static void recovery_ends_where_the_life_began(void **state)
{
    struct fixture *f = *state;
    for (uint8_t durability = DURABILITY_FSYNC; durability <= DURABILITY_MEMORY; durability++) {
        f->options.durability = durability;
        f->options.folder = durability == DURABILITY_MEMORY ? f->image : f->folder;
        open_journal(f, f->options.folder);
        struct packet_list none;
        assert_true(journal_recover(f->j, &none));
        assert_int_equal(none.len, 0);
        append_groups(f, 10);
        append(f);
        journal_forsake(f->j);
        uint64_t last = journal_last(f->j);
        while (!journal_settled(f->j))
            uv_run(&f->loop, UV_RUN_ONCE);
        journal_reborn(f->j, f->options.identity.incarnation++);
        append(f);
        wait_durable(f);
        uint64_t lsn = 1;
        for (struct packet_list chunk; journal_recover(f->j, &chunk) && chunk.len > 0;)
            for (size_t i = 0; i < chunk.len; i++)
                check(&chunk.ptr[i], lsn++);
        assert_int_equal(lsn, last + 1);
        append_groups(f, 2);
        check(journal_read(f->j, last + 1, 1).ptr, last + 1);
        close_journal(f);
        assert_int_equal(f->failures, 0);
        each_file(f->folder, remove_file, NULL);
    }
}

static void nothing_is_forsaken_when_all_is_durable(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    journal_forsake(f->j);
    assert_true(journal_settled(f->j));
    journal_reborn(f->j, f->options.identity.incarnation++);
    check_recovered(f, 1, 0);
    append_groups(f, 4);
    while (!journal_settled(f->j))
        uv_run(&f->loop, UV_RUN_ONCE);
    journal_forsake(f->j);
    assert_true(journal_settled(f->j));
    assert_int_equal(journal_last(f->j), 7);
    journal_reborn(f->j, f->options.identity.incarnation++);
    check_recovered(f, 1, 7);
}

static void wait_failed(struct fixture *f)
{
    while (f->failures == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
}

/* What follows a failure that is final: nothing becomes durable any more, though the disk would do it. */
static void expect_final(struct fixture *f, const char *text)
{
    uint64_t durable = journal_durable(f->j);
    append(f);
    journal_submit(f->j);
    for (int i = 0; i < 100; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(journal_durable(f->j), durable);
    close_journal(f);
    assert_int_equal(f->failures, 1);
    assert_int_equal(f->problem.exit_code, EXIT_SYNC_FAILED);
    assert_non_null(strstr(f->problem.text, text));
}

static void failed_write_is_final_and_told_once(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 3);
    uint64_t durable = journal_durable(f->j);
    f->failing.write_error = EIO;
    append(f);
    journal_submit(f->j);
    wait_failed(f);
    f->failing.write_error = 0;
    expect_final(f, "Input/output error");
    open_journal(f, f->folder);
    assert_in_range(journal_last(f->j), durable, durable + 1); /* half of its page, and the other half is zeros */
    check_recovered(f, 1, journal_last(f->j));
}

/* Whatever the error says: what was written before may be gone. */
static void failed_sync_is_final(void **state)
{
    static const int errors[] = {EIO, ENOSPC, EDQUOT};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        open_journal(f, f->folder);
        f->failures = 0;
        f->failing.sync_error = errors[i];
        append(f);
        journal_submit(f->j);
        wait_failed(f);
        f->failing.sync_error = 0;
        expect_final(f, "cannot sync");
    }
}

static void wait_no_room(struct fixture *f)
{
    while (journal_has_room(f->j)) {
        append(f);
        journal_submit(f->j);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    while (strstr(f->notice, "until there is room") == NULL)
        uv_run(&f->loop, UV_RUN_ONCE);
    const unsigned refused = f->failing.refused;
    while (f->failing.refused > 0 && f->failing.refused < refused + 3) /* it goes on trying */
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->failures, 0);
    assert_true(journal_durable(f->j) < journal_last(f->j));
}

/* All of what there was no room for becomes durable, and comes back. */
static void expect_room(struct fixture *f, const char *folder)
{
    wait_durable(f);
    while (strncmp(f->notice, "there is room again", 19) != 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_true(journal_has_room(f->j));
    append_groups(f, 10);
    assert_int_equal(f->failures, 0);
    uint64_t last = journal_last(f->j);
    open_journal(f, folder);
    check_recovered(f, 1, last);
}

static void no_room_is_waited_for(void **state)
{
    static const int errors[] = {ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        open_journal(f, f->folder);
        uint64_t last = journal_last(f->j);
        append_groups(f, 3);
        f->failing.make_error = errors[i];
        f->notices = 0;
        f->notice[0] = '\0';
        wait_no_room(f);
        assert_in_range(f->notices, 1, 2); /* of the spare perhaps, before it was needed; and that it was missed */
        assert_non_null(strstr(f->notice, strerror(errors[i])));
        assert_true(journal_durable(f->j) > last);
        f->failing.make_error = 0;
        expect_room(f, f->folder);
    }
}

/* A file system that does not write in place has no room in the middle of a group. At each moment a crash loses nothing
 * durable. */
static void no_room_for_part_of_a_group(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 3);
    uint64_t durable = journal_durable(f->j);
    f->failing.write_error = ENOSPC;
    append_long(f, 1, 3 * PAGE);
    wait_no_room(f);
    assert_int_equal(journal_durable(f->j), durable);
    crash(f);
    f->failing.write_error = 0;
    expect_room(f, f->folder);
    open_journal(f, f->image);
    check_recovered(f, 1, durable);
}

/* The end does not wait for room; nothing relied on what was not written. */
static void closes_without_room(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 3);
    f->failing.make_error = ENOSPC;
    wait_no_room(f);
    uint64_t durable = journal_durable(f->j);
    close_journal(f);
    assert_int_equal(f->failures, 0);
    f->failing.make_error = 0;
    open_journal(f, f->folder);
    check_recovered(f, 1, durable);
}

/* A life that breaks meanwhile: the next one begins when what was submitted is durable. */
static void another_life_waits_for_room(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 3);
    f->failing.make_error = ENOSPC;
    wait_no_room(f);
    uint64_t submitted = journal_last(f->j);
    append(f);
    journal_forsake(f->j);
    assert_false(journal_settled(f->j));
    f->failing.make_error = 0;
    while (!journal_settled(f->j))
        uv_run(&f->loop, UV_RUN_ONCE);
    journal_reborn(f->j, f->options.identity.incarnation++);
    check_recovered(f, 1, submitted);
}

static bool remember(void *context, uint64_t first_lsn, struct problem *problem)
{
    struct fixture *f = context;
    int error = fails_with(&f->failing, &f->failing.remember_error);
    f->options.identity.newest_segment = error == 0 ? first_lsn : f->options.identity.newest_segment;
    return error == 0 || problem_set_error(problem, EXIT_SYNC_FAILED, error, "remembering: ");
}

/* A segment is made once, though it takes long until that can be remembered; before, nothing is written to it. */
static void no_room_to_remember_a_segment(void **state)
{
    struct fixture *f = *state;
    f->options.memory = (struct journal_memory){remember, f};
    open_journal(f, f->folder);
    append_groups(f, 3);
    f->failing.remember_error = EMFILE;
    wait_no_room(f);
    struct segments s = segments_of(f->folder);
    char path[PATH_SIZE];
    segment_path(f->folder, s.first_lsn[1], path);
    assert_int_equal(s.count, 2);
    assert_int_equal(end_of(path), PAGE);
    assert_int_equal(journal_durable(f->j), s.first_lsn[1] - 1);
    unsigned made = f->failing.made, refused = f->failing.refused;
    while (f->failing.refused < refused + 3)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->failing.made, made);
    f->failing.remember_error = 0;
    expect_room(f, f->folder);
    s = segments_of(f->folder);
    assert_int_equal(f->options.identity.newest_segment, s.first_lsn[s.count - 1]);
}

/* Until there are so many segments. */
static void wait_removed(struct fixture *f, size_t count)
{
    while (segments_of(f->folder).count > count)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void segments_are_removed_beside_the_work(void **state)
{
    struct fixture *f = *state;
    open_journal(f, f->folder);
    append_groups(f, 300);
    assert_int_equal(segments_of(f->folder).count, 5);
    uint64_t needed = journal_last(f->j) - 1;
    journal_truncate(f->j, needed);
    append_groups(f, 60);
    wait_removed(f, 2);
    struct segments s = segments_of(f->folder);
    assert_true(s.first_lsn[0] <= needed && needed < s.first_lsn[1]);
    assert_int_equal(journal_read(f->j, s.first_lsn[0] - 1, 1).len, 0);
    check(journal_read(f->j, s.first_lsn[0], 1).ptr, s.first_lsn[0]);
    uint64_t last = journal_last(f->j);
    open_journal(f, f->folder);
    check_recovered(f, s.first_lsn[0], last);
    assert_int_equal(f->notices, 0);
}

/* It is told and does no harm; a start removes what is left. */
static void segment_that_cannot_be_removed_is_left(void **state)
{
    struct fixture *f = *state;
    f->failing.remove_error = EACCES;
    open_journal(f, f->folder);
    append_groups(f, 200);
    size_t before = segments_of(f->folder).count;
    journal_truncate(f->j, journal_last(f->j));
    append_groups(f, 60);
    while (f->notices == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_non_null(strstr(f->notice, "cannot be removed: Permission denied"));
    append_groups(f, 60);
    assert_int_equal(f->notices, 1);
    assert_int_equal(f->failures, 0);
    assert_true(segments_of(f->folder).count > before);
    f->failing.remove_error = 0;
    open_journal(f, f->folder);
    append_groups(f, 1);
    wait_removed(f, 3);
}

static void full_disk_is_waited_for(void **state)
{
    struct fixture *f = *state;
    if (mount("tmpfs", f->image, "tmpfs", 0, "size=1m") != 0)
        skip();
    open_journal(f, f->image);
    append_groups(f, 3);
    wait_no_room(f);
    assert_non_null(strstr(f->notice, "No space left on device"));
    uint64_t durable = journal_durable(f->j);
    assert_true(durable > 0);
    for (int i = 0; i < 100; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(journal_durable(f->j), durable);
    assert_int_equal(mount("tmpfs", f->image, "tmpfs", MS_REMOUNT, "size=16m"), 0);
    expect_room(f, f->image);
    close_journal(f);
    assert_int_equal(umount2(f->image, MNT_DETACH), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(appends_become_durable_and_come_back),
        with_fixture(nothing_is_durable_before_submit),
        with_fixture(what_is_submitted_meanwhile_is_one_group),
        with_fixture(close_writes_what_was_gathered),
        with_fixture(goes_on_over_many_segments),
        with_fixture(records_larger_than_a_segment),
        with_fixture(larger_segment_replaces_one_without_records),
        with_fixture(reads_back_any_range),
        with_fixture(mark_follows_when_idle),
        with_fixture(sticky_records_open_each_segment),
        with_fixture(another_life_goes_on),
        with_fixture(recovery_ends_where_the_life_began),
        with_fixture(nothing_is_forsaken_when_all_is_durable),
        with_fixture(failed_write_is_final_and_told_once),
        with_fixture(failed_sync_is_final),
        with_fixture(no_room_is_waited_for),
        with_fixture(no_room_for_part_of_a_group),
        with_fixture(closes_without_room),
        with_fixture(another_life_waits_for_room),
        with_fixture(no_room_to_remember_a_segment),
        with_fixture(segments_are_removed_beside_the_work),
        with_fixture(segment_that_cannot_be_removed_is_left),
        with_fixture(full_disk_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
