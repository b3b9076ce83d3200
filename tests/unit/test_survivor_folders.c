/* Data folders that are left of a cluster, and those of a new one that begins with them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/agents/execution.h"
#include "core/base/memory.h"
#include "core/formats/batch.h"
#include "core/formats/record.h"
#include "core/runners/ports.h"
#include "io/beginning.h"
#include "io/journal_store.h"
#include "io/kept_configurations.h"
#include "io/snapshot_store.h"
#include "io/survivor_folders.h"
#include "tests/unit/configuration_text.h"

enum { PATH_SIZE = 512, NODES = 5 };

static const char governed[] = "alpha 8\nphase1_quorum 3\nphase2_quorum 3\nstate_bytes_max 1000\n"
                               "node-1 coordinator\nnode-2 coordinator\nnode-3 coordinator\nnode-4 coordinator\n"
                               "node-5 coordinator\n";

static char place[PATH_SIZE], paths[NODES + 1][PATH_SIZE + 64], notice[2048];
static struct problem problem;

static void on_notice(void *context, const char *text)
{
    (void)context;
    snprintf(notice, sizeof notice, "%s", text);
}

static const struct backup_notices notices = {.on_notice = on_notice};

static int set_up(void **state)
{
    (void)state;
    snprintf(place, sizeof place, "/tmp/synod-test-survivors-XXXXXX");
    assert_non_null(mkdtemp(place));
    for (uint32_t node = 1; node <= NODES; node++)
        snprintf(paths[node], sizeof paths[node], "%s/old/node-%u", place, node);
    return 0;
}

static int tear_down(void **state)
{
    char command[PATH_SIZE + 32];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", place);
    return system(command);
}

/* ---- The old cluster ---- */

/* A node's folder that is being filled. */
struct old {
    struct data_folder *folder;
    struct journal_store *journal;
    struct journal_group group;
};

static struct old old_open(const char *cluster, uint32_t node, const uint8_t *instance)
{
    struct old o = {0};
    struct packet_list none;
    assert_true(data_folder_format(disk_posix(), paths[node], cluster, node, instance, governed, &problem));
    assert_true(data_folder_open(&o.folder, disk_posix(), paths[node], cluster, node, &problem));
    const struct journal_store_options options = {.disk = disk_posix(),
                                                  .folder = paths[node],
                                                  .identity = *data_folder_identity(o.folder),
                                                  .memory = {data_folder_newest_segment, o.folder},
                                                  .durability = DURABILITY_FSYNC,
                                                  .segment_bytes = 64 << 10};
    assert_true(journal_store_open(&o.journal, &options, &problem) && journal_store_recover(o.journal, &none, &problem));
    journal_group_begin(&o.group, 1);
    return o;
}

static void add(struct old *o, uint8_t kind, struct entry entry, uint64_t to)
{
    const struct log_record record = {.kind = kind, .entry = entry, .to = to};
    uint64_t *words = memory_new(record_size(&record) / sizeof(uint64_t), sizeof(uint64_t));
    struct packet packet;
    record_encode(&record, words, &packet);
    assert_true(journal_group_add(&o->group, &packet));
    free(words);
}

/* Ends a group. */
static void write_group(struct old *o)
{
    struct journal_written where;
    assert_true(journal_store_group(o->journal, &o->group, &where, &problem));
    journal_group_begin(&o->group, journal_store_last(o->journal) + 1);
}

static void old_close(struct old *o)
{
    write_group(o);
    journal_store_close(o->journal);
    journal_group_free(&o->group);
    data_folder_close(o->folder);
}

/* A vote for a batch of one command, which says what it is. */
static void vote(struct old *o, uint8_t kind, uint64_t slot, uint64_t round, struct batch_id id, const char *says)
{
    struct batch_builder b = {0};
    const struct bytes argument = {.ptr = (uint8_t *)(uintptr_t)says, .len = (uint32_t)strlen(says)};
    batch_begin(&b);
    batch_add(&b, &argument, 1);
    struct payload value = batch_end(&b);
    batch_header_stamp(&value, id, 2);
    batch_time_stamp(&value, (struct stamp){{77, 78}, {.round = 1, .node = 2, .incarnation = 3}});
    const struct entry entry = {
        .slot = slot, .ballot = {.round = round, .node = 2, .incarnation = 3}, .kind = ENTRY_COMMANDS, .value = value};
    add(o, kind, entry, 0);
    batch_builder_free(&b);
}

static struct batch_id id_of(uint64_t number) { return (struct batch_id){.origin = 2, .incarnation = 9, .number = number}; }

static void chosen(struct old *o, uint64_t from, uint64_t to)
{
    uint64_t window = 32;
    add(o, RECORD_CHOSEN, (struct entry){.slot = from, .value = {.words = {&window, 1}, .len = sizeof window}}, to);
}

/* Slots 1 to 4 are known to be chosen, 5, 6 and 8 have votes. The batch of slot 3 was executed before. */
static void make_first(const char *cluster)
{
    struct old o = old_open(cluster, 1, NULL);
    vote(&o, RECORD_ACCEPTED, 1, 1, id_of(1), "one");
    vote(&o, RECORD_ACCEPTED, 2, 1, id_of(3), "two");
    vote(&o, RECORD_LEARNED, 3, 1, id_of(2), "three");
    add(&o, RECORD_ACCEPTED, (struct entry){.slot = 4, .ballot = {1, 2, 3}}, 0);
    write_group(&o);
    chosen(&o, 1, 5);
    vote(&o, RECORD_ACCEPTED, 5, 1, id_of(4), "five, at first");
    vote(&o, RECORD_ACCEPTED, 5, 4, id_of(5), "five");
    vote(&o, RECORD_ACCEPTED, 6, 4, id_of(6), "six");
    write_group(&o);
    vote(&o, RECORD_ACCEPTED, 8, 4, id_of(7), "eight");
    old_close(&o);
}

static struct survivor_folders *open_folders(uint32_t a, uint32_t b)
{
    struct survivor_folders *s;
    const char *const both[] = {paths[a], paths[b]};
    if (!survivor_folders_open(&s, disk_posix(), both, b != 0 ? 2 : 1, &notices, &problem))
        fail_msg("%s", problem.text);
    return s;
}

static void refuse(uint32_t a, uint32_t b, const char *why)
{
    struct survivor_folders *s;
    const char *const both[] = {paths[a], paths[b]};
    assert_false(survivor_folders_open(&s, disk_posix(), both, b != 0 ? 2 : 1, &notices, &problem));
    assert_int_equal(problem.exit_code, EXIT_DATA);
    if (strstr(problem.text, why) == NULL)
        fail_msg("%s", problem.text);
}

/* The entry of a slot must be this batch, with this number. */
static void expect(struct survivor_folders *s, uint64_t slot, const char *says, uint64_t number)
{
    struct entry entry;
    struct batch_header header;
    struct batch_commands commands = {0};
    assert_true(survivor_folders_entry(s, slot, &entry, &problem));
    assert_true(entry.slot == slot && entry.ballot.round > 0);
    if (says == NULL) {
        assert_true(entry.kind == ENTRY_NOOP && entry.value.len == 0);
        return;
    }
    assert_true(entry.kind == ENTRY_COMMANDS && batch_header_read(&entry.value, &header));
    assert_true(header.id.origin == 2 && header.id.incarnation == 0 && header.id.number == number);
    assert_true(header.stamp.moment.elapsed == 77 && header.stamp.moment.unix == 78 && header.answerer == 2);
    assert_int_equal(header.stamp.ballot.round, 0); /* ballots begin anew */
    assert_true(batch_commands_read(&commands, &entry.value) && commands.count == 1);
    const struct bytes *argument = &commands.commands[0].args.ptr[0];
    assert_int_equal(argument->len, strlen(says));
    assert_memory_equal(argument->ptr, says, strlen(says));
    batch_commands_free(&commands);
}

static void test_one_of_five(void **state)
{
    (void)state;
    make_first("old");
    struct survivor_folders *s = open_folders(1, 0);
    const struct survivor_findings *f = survivor_folders_findings(s);
    assert_true(f->found.begin == 1 && f->found.known == 5 && f->found.chosen == 5 && f->found.end == 9);
    assert_true(f->found.gaps == 1 && f->found.first_gap == 7 && f->found.lost_gaps == 0 && f->snapshot == NULL);
    assert_true(f->alpha == 8 && f->lost == (node_set_of(2) | node_set_of(3) | node_set_of(4) | node_set_of(5)));
    assert_true(!f->is_exact && f->lost_alone);
    for (int again = 0; again < 2; again++) {
        expect(s, 1, "one", 1);
        expect(s, 2, "two", 2);
        expect(s, 3, NULL, 0); /* it comes after a later one of its origin: no learner executes it */
        expect(s, 4, NULL, 0);
        expect(s, 5, "five", 3);
        expect(s, 6, "six", 4);
        expect(s, 7, NULL, 0);
        expect(s, 8, "eight", 5);
    }
    survivor_folders_close(s);
}

/* Another acceptor has voted at a higher ballot, and at a lower one. With three of five, nothing can be missing. */
static void test_several_of_five(void **state)
{
    (void)state;
    make_first("old");
    struct old o = old_open("old", 3, NULL);
    vote(&o, RECORD_ACCEPTED, 5, 3, id_of(9), "not five");
    vote(&o, RECORD_ACCEPTED, 6, 5, id_of(8), "six, at last");
    vote(&o, RECORD_ACCEPTED, 7, 2, id_of(9), "seven");
    old_close(&o);
    struct survivor_folders *s = open_folders(3, 1);
    const struct survivor_findings *f = survivor_folders_findings(s);
    assert_true(f->found.end == 9 && f->found.gaps == 0 && !f->is_exact);
    for (uint64_t slot = 1; slot < 5; slot++)
        assert_true(survivor_folders_entry(s, slot, &(struct entry){0}, &problem));
    expect(s, 5, "five", 3);
    expect(s, 6, "six, at last", 4);
    expect(s, 7, "seven", 5);
    expect(s, 8, NULL, 0);
    survivor_folders_close(s);

    o = old_open("old", 4, NULL);
    add(&o, RECORD_PROMISED, (struct entry){.ballot = {1, 2, 3}}, 0);
    old_close(&o);
    const char *const three[] = {paths[4], paths[3], paths[1]};
    assert_true(survivor_folders_open(&s, disk_posix(), three, 3, &notices, &problem));
    assert_true(survivor_folders_findings(s)->is_exact);
    survivor_folders_close(s);
}

/* A no-op may have let time pass. One that fills a gap says nothing. */
static void test_a_no_op_keeps_its_stamp(void **state)
{
    (void)state;
    uint64_t words[STAMP_SIZE / 8];
    struct entry entry = {.slot = 7, .ballot = {.round = 2, .node = 2, .incarnation = 3}, .kind = ENTRY_NOOP};
    struct stamp stamp;
    make_first("old");
    struct old o = old_open("old", 3, NULL);
    entry.value = stamp_pack((struct stamp){{80, 90}, {.round = 1, .node = 2, .incarnation = 3}}, words);
    add(&o, RECORD_ACCEPTED, entry, 0);
    old_close(&o);
    struct survivor_folders *s = open_folders(3, 1);
    assert_true(survivor_folders_entry(s, 1, &entry, &problem));
    assert_true(survivor_folders_entry(s, 7, &entry, &problem));
    assert_true(entry.kind == ENTRY_NOOP && stamp_read(&entry, &stamp) && stamp.moment.elapsed == 80 &&
                stamp.moment.unix == 90);
    assert_int_equal(stamp.ballot.round, 0);
    expect(s, 8, "eight", 2);
    survivor_folders_close(s);
}

/* A later leader has stamped slot 7, so no learner executes what an earlier one has stamped after that (P25). */
static void test_what_a_leader_left_behind(void **state)
{
    (void)state;
    uint64_t words[STAMP_SIZE / 8];
    struct entry entry = {.slot = 7, .ballot = {.round = 2, .node = 1, .incarnation = 1}, .kind = ENTRY_NOOP};
    make_first("old");
    struct old o = old_open("old", 3, NULL);
    entry.value = stamp_pack((struct stamp){{80, 90}, entry.ballot}, words);
    add(&o, RECORD_ACCEPTED, entry, 0);
    old_close(&o);
    struct survivor_folders *s = open_folders(3, 1);
    for (int again = 0; again < 2; again++) {
        expect(s, 1, "one", 1);
        assert_true(survivor_folders_entry(s, 7, &entry, &problem) && entry.value.len == STAMP_SIZE);
        expect(s, 8, NULL, 0);
    }
    survivor_folders_close(s);
}

/* A learner went on with a snapshot that is not there any more. Of the slots that it leapt over are votes: they are no
 * values that are known to be chosen. */
static void test_a_leap(void **state)
{
    (void)state;
    struct old o = old_open("old", 1, NULL);
    for (uint64_t slot = 1; slot < 10; slot++)
        vote(&o, RECORD_ACCEPTED, slot, 1, id_of(slot), "a vote");
    chosen(&o, 1, 5);
    chosen(&o, 10, 10);
    old_close(&o);
    struct survivor_folders *s = open_folders(1, 0);
    const struct survivor_findings *f = survivor_folders_findings(s);
    assert_true(f->folders[0].journal.complete == 10 && f->folders[0].journal.chosen == 10);
    assert_true(f->found.known == 1 && f->found.chosen == 10 && f->found.end == 10 && !f->is_exact);
    survivor_folders_close(s);
}

static struct ballot led_then; /* who had led before a snapshot */

static void take_snapshot(uint32_t node, uint64_t slot)
{
    uint64_t *words = memory_new(EXECUTION_PIECE_MAX / 8, sizeof *words);
    struct execution_piece *says = memory_new(1, sizeof *says);
    const struct snapshot_store_options options = {.disk = disk_posix(),
                                                   .data_folder = paths[node],
                                                   .cluster = journal_cluster_hash("old", 3),
                                                   .keep = 2,
                                                   .on_notice = on_notice};
    struct snapshot_stored stored;
    struct snapshot_store *s;
    says->commands_executed = slot;
    says->last[2] = id_of(slot == 4 ? 3 : 100);
    says->reached.ballot = led_then;
    const struct payload first = execution_piece_write(says, words);
    assert_true(snapshot_store_open(&s, &options, &problem) && snapshot_store_begin(s, slot, &problem));
    assert_true(snapshot_store_add(s, SNAPSHOT_LEARNER, first.words.ptr, first.len, &problem));
    assert_true(snapshot_store_add(s, SNAPSHOT_SESSIONS_LAST, "few", 3, &problem));
    assert_true(snapshot_store_add(s, SNAPSHOT_STATE_LAST, "some", 4, &problem));
    assert_true(snapshot_store_commit(s, &stored, &problem));
    snapshot_store_close(s);
    free(says);
    free(words);
}

static void flip(const char *path, uint64_t offset)
{
    uint8_t byte;
    int file = disk_open(disk_posix(), path, DISK_WRITE);
    assert_int_equal(disk_read(disk_posix(), file, offset, &byte, 1), 1);
    byte ^= 1;
    assert_int_equal(disk_write(disk_posix(), file, offset, &byte, 1), 0);
    disk_close(disk_posix(), file);
}

/* The newest sound one; what it remembers decides which batches are executed. */
static void test_snapshots(void **state)
{
    char path[PATH_SIZE + 128];
    (void)state;
    make_first("old");
    struct old o = old_open("old", 2, NULL);
    old_close(&o);
    take_snapshot(1, 4);
    take_snapshot(2, 6);
    struct survivor_folders *s = open_folders(1, 2);
    const struct survivor_findings *f = survivor_folders_findings(s);
    assert_true(f->stored.slot == 6 && f->snapshot_of->identity.node == 2 && f->found.begin == 6 && f->found.known == 6);
    assert_int_equal(f->found.end, 9);
    expect(s, 6, NULL, 0); /* the snapshot has a later batch of that origin */
    survivor_folders_close(s);

    snprintf(path, sizeof path, "%s/snapshots/snapshot-%020u", paths[2], 6);
    flip(path, 90);
    s = open_folders(1, 2);
    f = survivor_folders_findings(s);
    assert_non_null(strstr(notice, "snapshot-00000000000000000006: at byte "));
    assert_true(f->stored.slot == 4 && f->snapshot_of->identity.node == 1 && f->found.known == 5);
    expect(s, 4, NULL, 0);
    expect(s, 5, "five", 1);
    survivor_folders_close(s);
}

static void test_a_leader_before_the_snapshot(void **state)
{
    (void)state;
    make_first("old");
    led_then = (struct ballot){.round = 2, .node = 1, .incarnation = 1};
    take_snapshot(1, 4);
    led_then = (struct ballot){0};
    struct survivor_folders *s = open_folders(1, 0);
    expect(s, 4, NULL, 0);
    expect(s, 5, NULL, 0);
    survivor_folders_close(s);
}

/* Configurations of the log: who the members are, and a change that may have been chosen. The new cluster gets none of
 * them. */
static void test_configurations(void **state)
{
    const uint8_t instance[16] = {1}, other[16] = {7};
    struct payload first = configuration_value(0, 0x3e), removed = configuration_value(2, 0x1e);
    (void)state;
    struct old o = old_open("old", 1, instance);
    vote(&o, RECORD_ACCEPTED, 1, 1, id_of(1), "one");
    add(&o, RECORD_ACCEPTED, (struct entry){.slot = 2, .ballot = {1, 2, 3}, .kind = ENTRY_CONFIGURATION, .value = first}, 0);
    for (uint64_t slot = 3; slot <= 10; slot++)
        vote(&o, RECORD_ACCEPTED, slot, 1, id_of(slot), "more");
    chosen(&o, 1, 10);
    add(&o, RECORD_ACCEPTED, (struct entry){.slot = 11, .ballot = {1, 2, 3}, .kind = ENTRY_CONFIGURATION, .value = removed},
        0);
    old_close(&o);
    struct survivor_folders *s = open_folders(1, 0);
    const struct survivor_findings *f = survivor_folders_findings(s);
    assert_true(f->newest.slot == 2 && f->newest.governs == 10 && f->members == 0x3e && f->voted.slot == 11);
    assert_true(f->lost == 0x3c && f->found.end == 12);
    expect(s, 1, "one", 1);
    expect(s, 2, NULL, 0);
    expect(s, 3, "more", 2);
    expect(s, 11, NULL, 0);
    survivor_folders_close(s);

    /* A disk that was replaced. */
    o = old_open("old", 4, other);
    old_close(&o);
    refuse(1, 4, "node-4 is of a disk of node 4 that was replaced: leave it out (the configuration of slot 2)");
    payload_free(&first);
    payload_free(&removed);
}

/* A configuration of all five; `first`: NULL, or what the size of the state was before it was set. */
static struct payload value_with_state(uint64_t replaces, const char *state, const char *first)
{
    struct configuration_text *t = memory_new(1, sizeof *t);
    configuration_begin(t, replaces, 0x3e);
    struct configuration_setting *s = &t->settings[t->setting_count++];
    *s = (struct configuration_setting){.key = "state_bytes_max"};
    snprintf(s->value, sizeof s->value, "%s", state);
    if (first != NULL) {
        s = &t->settings[t->setting_count++];
        *s = (struct configuration_setting){.key = "first_state_bytes_max"};
        snprintf(s->value, sizeof s->value, "%s", first);
    }
    const struct payload value = configuration_pack(t);
    free(t);
    return value;
}

/* The log from its first slot on, with changes in slots 2 and 20, of which the folder keeps the second one alone. */
static void keep_newest(const struct payload *in_2, const struct payload *in_20)
{
    const uint8_t instance[16] = {1};
    struct kept_configurations kept = {0};
    struct old o = old_open("old", 1, instance);
    for (uint64_t slot = 1; slot < 40; slot++)
        if (slot == 2 || slot == 20)
            add(&o, RECORD_ACCEPTED,
                (struct entry){
                    .slot = slot, .ballot = {1, 2, 3}, .kind = ENTRY_CONFIGURATION, .value = slot == 2 ? *in_2 : *in_20},
                0);
        else
            vote(&o, RECORD_ACCEPTED, slot, 1, id_of(slot), "some");
    chosen(&o, 1, 40);
    old_close(&o);
    const struct folder_files files = {.disk = disk_posix(), .path = paths[1]};
    kept.newest = (struct packet){.kind = CONFIGURATION_SETTLED, .id = 20, .words = in_20->words, .len = in_20->len};
    assert_true(kept_configurations_write(&files, &kept, &problem));
}

static void expect_state(bool changed, uint64_t bytes)
{
    struct survivor_folders *s = open_folders(1, 0);
    const struct survivor_findings *f = survivor_folders_findings(s);
    assert_true(f->newest.slot == 20 && f->found.known == 40 && f->found.end == 40);
    assert_true(f->state_changed == changed && f->state_bytes_max == bytes);
    survivor_folders_close(s);
}

/* When a change is over, a folder keeps no configuration before it: that one may have had another size of the state. */
static void test_the_state_was_set(void **state)
{
    struct payload in_2 = value_with_state(0, "70000", NULL), in_20 = value_with_state(2, "80000", "70000");
    (void)state;
    keep_newest(&in_2, &in_20);
    expect_state(true, 80000);
    payload_free(&in_2);
    payload_free(&in_20);
}

/* It was never set: whatever the configurations before were, they said the same. */
static void test_the_state_was_not_set(void **state)
{
    struct payload in_2 = value_with_state(0, "70000", NULL), in_20 = value_with_state(2, "70000", NULL);
    (void)state;
    keep_newest(&in_2, &in_20);
    expect_state(false, 70000);
    payload_free(&in_2);
    payload_free(&in_20);
}

/* Nodes 1, 2 and 3 of five are left, to whom a configuration of slot 2 is known. Node 2 has voted in slot 11 for `voted`;
 * NULL: it has not. */
static bool is_exact_with(const struct payload *voted)
{
    struct payload first = configuration_value(0, 0x3e);
    const char *const three[] = {paths[1], paths[2], paths[3]};
    struct survivor_folders *s;
    for (uint8_t node = 1; node <= 3; node++) {
        const uint8_t instance[16] = {node};
        struct old o = old_open("old", node, instance);
        vote(&o, RECORD_ACCEPTED, 1, 1, id_of(1), "one");
        add(&o, RECORD_ACCEPTED, (struct entry){.slot = 2, .ballot = {1, 2, 3}, .kind = ENTRY_CONFIGURATION, .value = first},
            0);
        for (uint64_t slot = 3; slot <= 10; slot++)
            vote(&o, RECORD_ACCEPTED, slot, 1, id_of(slot), "more");
        chosen(&o, 1, 11);
        if (voted != NULL && node == 2)
            add(&o, RECORD_ACCEPTED,
                (struct entry){.slot = 11, .ballot = {1, 2, 3}, .kind = ENTRY_CONFIGURATION, .value = *voted}, 0);
        old_close(&o);
    }
    if (!survivor_folders_open(&s, disk_posix(), three, 3, &notices, &problem))
        fail_msg("%s", problem.text);
    const struct survivor_findings *f = survivor_folders_findings(s);
    const bool exact = f->is_exact;
    assert_true(f->found.known == 11 && f->newest.slot == 2 && f->voted.slot == (voted != NULL ? 11 : 0));
    survivor_folders_close(s);
    payload_free(&first);
    return exact;
}

static void test_three_of_five(void **state)
{
    (void)state;
    assert_true(is_exact_with(NULL));
}

/* If the change was chosen, node 1 has another disk, and the votes of the one that is left do not count with it. */
static void test_a_new_disk_that_is_voted_for(void **state)
{
    struct payload voted = configuration_with_new_disk(2, 0x3e, 1);
    (void)state;
    assert_false(is_exact_with(&voted));
    payload_free(&voted);
}

static void test_what_is_refused(void **state)
{
    char path[PATH_SIZE + 128];
    (void)state;
    refuse(1, 0, "no data folder of a node");
    make_first("old");
    struct old o = old_open("another", 2, NULL);
    old_close(&o);
    refuse(1, 2, "node-2 is of cluster 'another', and ");
    refuse(1, 1, "are both of node 1");
    o = old_open("old", 3, NULL);
    old_close(&o);
    refuse(3, 0, "there is nothing to begin with: no folder has a sound snapshot, and no journal has a vote");
    o = old_open("old", 4, NULL);
    vote(&o, RECORD_ACCEPTED, 1, 1, id_of(1), "one");
    chosen(&o, 1, 3);
    old_close(&o);
    refuse(4, 0, "slot 2 is known to be chosen, and no journal has its value");
    snprintf(path, sizeof path, "%s/expelled", paths[3]);
    disk_close(disk_posix(), disk_open(disk_posix(), path, DISK_MAKE));
    refuse(1, 3, "there is a file expelled");
    snprintf(path, sizeof path, "%s/journal-00000000000000000001.log", paths[1]);
    flip(path, 4096 + 60);
    refuse(1, 0, "offset 4096");
}

/* Another survivor has heard of this life of node 3, and then of a later one: what is there is an older copy. */
static void test_an_older_copy(void **state)
{
    const uint8_t instance[16] = {3};
    struct frame_origin origin = {.sender = 3, .instance = {3}, .incarnation = 1, .nonce = 7};
    (void)state;
    make_first("old");
    struct old o = old_open("old", 3, instance);
    old_close(&o);
    for (origin.incarnation = 1; origin.incarnation <= 2; origin.incarnation++) {
        struct data_folder *folder;
        assert_true(data_folder_open(&folder, disk_posix(), paths[1], "old", 1, &problem));
        assert_int_equal(data_folder_accept_peer(folder, &origin), PEER_ACCEPTED);
        data_folder_close(folder);
        if (origin.incarnation == 1)
            survivor_folders_close(open_folders(1, 3));
    }
    refuse(1, 3, "node-3 is an older copy, or of a disk that was replaced: ");
    refuse(3, 1, "node-1 remembers a later life of node 3; leave it out");
}

/* ---- The new cluster ---- */

static struct config_node nodes[3] = {{.id = 1}, {.id = 2}, {.id = 3}};

/* Node 1 learns and votes, node 2 votes, node 3 learns. The window of learners is four times alpha. */
static struct config new_cluster(void)
{
    struct config config = {.cluster = "new", .data = place, .nodes = nodes, .node_count = 3, .segment_bytes = 1 << 20};
    config.node_config.alpha = 1;
    config.node_config.learners = node_set_of(1) | node_set_of(3);
    config.node_config.acceptors = node_set_of(1) | node_set_of(2);
    return config;
}

static void show(void *context, uint64_t offset, const struct journal_group *g)
{
    static const char *const words[RECORD_KINDS] = {
        [RECORD_LEARNED] = "learned", [RECORD_CHOSEN] = "chosen", [RECORD_FLOOR] = "floor"};
    uint32_t at = 0, index = 0;
    struct packet packet;
    struct log_record record;
    (void)offset;
    while (journal_group_next(g, &at, &index, &packet)) {
        const size_t len = strlen(context);
        assert_true(record_decode(&packet, &record) && words[record.kind] != NULL);
        snprintf((char *)context + len, sizeof notice - len, "%s %llu %llu;", words[record.kind],
                 (unsigned long long)record.entry.slot, (unsigned long long)record.to);
    }
}

static void no_segment(void *context, const char *name, uint64_t bytes) { (void)context, (void)name, (void)bytes; }

static void no_packet(void *context, const struct packet *record) { (void)context, (void)record; }

static void no_end(void *context, uint64_t next_lsn, uint64_t offset, uint64_t torn)
{
    (void)context, (void)next_lsn, (void)offset, (void)torn;
}

/* What the journal of a new node has, as text. */
static const char *journal_of(uint32_t node)
{
    char path[PATH_SIZE + 64];
    const struct journal_view view = {
        .segment = no_segment, .carried = no_packet, .group = show, .end = no_end, .context = notice};
    struct journal_store_options options = {.disk = disk_posix(), .folder = path};
    snprintf(path, sizeof path, "%s/node-%u", place, node);
    notice[0] = '\0';
    assert_true(data_folder_look(disk_posix(), path, &options.identity, &problem));
    if (!journal_store_look(&options, &view, &problem))
        fail_msg("%s", problem.text);
    return notice;
}

static struct beginning beginning_of(struct survivor_folders *s)
{
    const struct survivor_findings *f = survivor_folders_findings(s);
    return (struct beginning){
        .snapshot = f->snapshot, .found = f->stored, .end = f->found.end, .entry = survivor_folders_entry, .context = s};
}

static const char learned_from_1[] = "learned 1 0;learned 2 0;learned 3 0;learned 4 0;chosen 1 5;"
                                     "learned 5 0;learned 6 0;learned 7 0;learned 8 0;chosen 5 9;";

static void test_a_new_cluster(void **state)
{
    const struct config config = new_cluster();
    char text[sizeof learned_from_1 + 16];
    (void)state;
    make_first("old");
    struct survivor_folders *s = open_folders(1, 0);
    const struct beginning b = beginning_of(s);
    for (uint32_t node = 1; node <= 3; node++) {
        assert_true(beginning_check(disk_posix(), &config, node, &problem));
        if (!beginning_make(disk_posix(), &b, &config, node, &problem))
            fail_msg("%s", problem.text);
        assert_false(beginning_check(disk_posix(), &config, node, &problem));
    }
    snprintf(text, sizeof text, "floor 9 0;%s", learned_from_1);
    assert_string_equal(journal_of(1), text);
    assert_string_equal(journal_of(2), "floor 9 0;");
    assert_string_equal(journal_of(3), learned_from_1);
    survivor_folders_close(s);
}

static void test_a_new_cluster_with_a_snapshot(void **state)
{
    const struct config config = new_cluster();
    (void)state;
    make_first("old");
    take_snapshot(1, 4);
    struct survivor_folders *s = open_folders(1, 0);
    const struct beginning b = beginning_of(s);
    assert_true(beginning_make(disk_posix(), &b, &config, 3, &problem));
    assert_string_equal(journal_of(3), "chosen 4 4;learned 4 0;learned 5 0;learned 6 0;learned 7 0;chosen 4 8;"
                                       "learned 8 0;chosen 8 9;");
    survivor_folders_close(s);
}

/* ---- Cut short ---- */

/* This machine's disk, on which nothing happens any more after so many calls that change it. */
static uint32_t calls_left;

static bool is_over(void) { return calls_left == 0 || --calls_left == 0; }

static int cut_open(struct disk *d, const char *path, enum disk_open how)
{
    (void)d;
    return how == DISK_MAKE && is_over() ? -EIO : disk_open(disk_posix(), path, how);
}

static int cut_write(struct disk *d, int file, uint64_t offset, const void *from, size_t len)
{
    (void)d;
    if (!is_over())
        return disk_write(disk_posix(), file, offset, from, len);
    (void)!disk_write(disk_posix(), file, offset, from, len / 2);
    return -EIO;
}

static int cut_zero(struct disk *d, int file, uint64_t offset, uint64_t len)
{
    (void)d;
    return is_over() ? -EIO : disk_zero(disk_posix(), file, offset, len);
}

static int cut_rename(struct disk *d, const char *from, const char *to)
{
    (void)d;
    return is_over() ? -EIO : disk_rename(disk_posix(), from, to);
}

static int cut_remove(struct disk *d, const char *path)
{
    (void)d;
    return is_over() ? -EIO : disk_remove(disk_posix(), path);
}

static int cut_make_folder(struct disk *d, const char *path)
{
    (void)d;
    return is_over() ? -EIO : disk_make_folder(disk_posix(), path);
}

/* Wherever it is cut short, there is no folder, or the whole one; and what is left keeps the next attempt from it. */
static void test_cut_short(void **state)
{
    const struct config config = new_cluster();
    struct disk_operations operations = *disk_posix()->operations;
    struct disk disk = {.operations = &operations};
    char text[sizeof learned_from_1 + 16], path[PATH_SIZE + 64], command[2 * PATH_SIZE + 64];
    uint32_t calls = 0;
    bool made = false;
    (void)state;
    operations.open = cut_open;
    operations.write = cut_write;
    operations.zero = cut_zero;
    operations.rename = cut_rename;
    operations.remove = cut_remove;
    operations.make_folder = cut_make_folder;
    make_first("old");
    snprintf(text, sizeof text, "floor 9 0;%s", learned_from_1);
    snprintf(path, sizeof path, "%s/node-1/identity", place);
    snprintf(command, sizeof command, "rm -rf %s/node-1 %s/node-1.restoring", place, place);
    struct survivor_folders *s = open_folders(1, 0);
    const struct beginning b = beginning_of(s);
    while (!made) {
        calls_left = ++calls;
        made = beginning_make(&disk, &b, &config, 1, &problem);
        const bool is_there = disk_size(disk_posix(), path) >= 0;
        assert_true(!made || is_there);
        if (is_there)
            assert_string_equal(journal_of(1), text);
        calls_left = UINT32_MAX;
        assert_int_equal(system(command), 0);
    }
    assert_in_range(calls, 10, 200);
    survivor_folders_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_of_five, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_several_of_five, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_no_op_keeps_its_stamp, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_a_leader_left_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_leap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_snapshots, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_leader_before_the_snapshot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_configurations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_state_was_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_state_was_not_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_three_of_five, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_new_disk_that_is_voted_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_older_copy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_new_cluster, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_new_cluster_with_a_snapshot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_short, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
