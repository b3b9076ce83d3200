/* A snapshot is saved elsewhere, and a new cluster begins with it: what the files of its nodes have. */
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
#include "core/formats/configuration.h"
#include "core/formats/record.h"
#include "io/backup.h"
#include "io/journal_store.h"
#include "io/snapshot_writer.h"

enum { SLOT = 4711, PATH_SIZE = 512 };

static char place[PATH_SIZE], text[4096];
static struct problem problem;

static const char *in_place(const char *name)
{
    static char path[PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", place, name);
    return path;
}

static void note(void *context, const char *notice)
{
    (void)context;
    snprintf(text, sizeof text, "%s", notice);
}

static const struct backup_notices notices = {.on_notice = note};

static void add(struct snapshot_store *s, enum snapshot_piece_kind kind, const void *body, uint32_t len)
{
    if (!snapshot_store_add(s, kind, body, len, &problem))
        fail_msg("%s", problem.text);
}

/* The configuration of a cluster of one node, chosen in slot 20. */
static struct payload old_configuration(void)
{
    struct configuration_text *t = memory_new(1, sizeof *t);
    *t = (struct configuration_text){
        .delay = 8, .settings = {{"alpha", "8"}, {"phase1_quorum", "1"}, {"phase2_quorum", "1"}}, .setting_count = 3};
    t->members[3] = (struct member){.node = 3, .duties = DUTY_ALL, .address = "10.0.0.3:7000", .client = "-"};
    t->members[3].instance[0] = 1;
    assert_null(configuration_check(t));
    const struct payload packed = configuration_pack(t);
    free(t);
    return packed;
}

/* Takes a snapshot in the data folder of an old cluster's node. */
static void take(uint64_t slot)
{
    uint64_t words[EXECUTION_PIECE_MAX / 8];
    struct payload configuration = old_configuration();
    struct execution_piece says = {.state_hash = 77,
                                   .commands_executed = slot,
                                   .seeded = true,
                                   .reached = {{5000, 6000}, {9, 8, 7}},
                                   .configurations = {{.configuration = {.slot = 20}, .text = configuration}},
                                   .configuration_count = 1};
    const struct snapshot_store_options options = {.disk = disk_posix(),
                                                   .data_folder = in_place("old"),
                                                   .cluster = journal_cluster_hash("old", 3),
                                                   .keep = 2,
                                                   .on_notice = note};
    struct snapshot_stored stored;
    struct snapshot_store *s;
    says.last[3] = (struct batch_id){.origin = 3, .incarnation = 9, .number = 1000};
    const struct payload first = execution_piece_write(&says, words);
    payload_free(&configuration);
    assert_true(execution_piece_read(&first, &says) && says.configuration_count == 1);
    assert_true(snapshot_store_open(&s, &options, &problem) && snapshot_store_begin(s, slot, &problem));
    add(s, SNAPSHOT_LEARNER, first.words.ptr, first.len);
    add(s, SNAPSHOT_SESSIONS, "many", 4);
    add(s, SNAPSHOT_SESSIONS_LAST, "few", 3);
    add(s, SNAPSHOT_STATE, "some", 4);
    add(s, SNAPSHOT_STATE_LAST, "more", 4);
    assert_true(snapshot_store_commit(s, &stored, &problem));
    snapshot_store_close(s);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(place, sizeof place, "/tmp/synod-test-backup-XXXXXX");
    assert_non_null(mkdtemp(place));
    assert_true(data_folder_format(disk_posix(), in_place("old"), "old", 3, NULL, NULL, &problem));
    take(SLOT - 1000);
    take(SLOT);
    return 0;
}

static int tear_down(void **state)
{
    char command[PATH_SIZE + 32];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", place);
    return system(command);
}

static bool save(struct snapshot_stored *saved)
{
    char file[PATH_SIZE + 64];
    snprintf(file, sizeof file, "%s/saved", place);
    return backup_save(disk_posix(), in_place("old"), file, &notices, saved, &problem);
}

static void look_for_part(void *context, const char *name)
{
    if (strstr(name, ".part") != NULL)
        *(bool *)context = false;
}

/* No file is there that is not whole. */
static bool is_clean(void)
{
    bool clean = true;
    assert_int_equal(disk_list(disk_posix(), place, look_for_part, &clean), 0);
    return clean;
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

static void test_saved_as_it_is(void **state)
{
    struct snapshot_stored saved, found;
    (void)state;
    assert_true(save(&saved) && backup_check(disk_posix(), in_place("saved"), &found, &problem));
    assert_memory_equal(&saved, &found, sizeof found);
    assert_int_equal(saved.slot, SLOT);
    assert_false(save(&found)); /* nothing is replaced */
    assert_int_equal(problem.exit_code, EXIT_BAD_INPUT);
    assert_true(is_clean());
}

/* The one before is taken, and the operator is told; without it there is nothing to save. */
static void test_damaged(void **state)
{
    struct snapshot_stored saved;
    (void)state;
    flip(in_place("old/snapshots/snapshot-00000000000000004711"), 90);
    assert_true(save(&saved));
    assert_int_equal(saved.slot, SLOT - 1000);
    assert_non_null(strstr(text, "snapshot-00000000000000004711: at byte "));
    assert_int_equal(disk_remove(disk_posix(), in_place("saved")), 0);
    flip(in_place("old/snapshots/snapshot-00000000000000003711"), 90);
    assert_false(save(&saved));
    assert_int_equal(problem.exit_code, EXIT_DATA);
    assert_true(disk_size(disk_posix(), in_place("saved")) < 0 && is_clean());
}

static void save_too(void *context, const char *notice)
{
    (void)notice;
    assert_true(save(context));
}

/* A second one to the same file begins later, and is done earlier. Nothing is replaced. */
static void test_two_at_once(void **state)
{
    char file[PATH_SIZE + 64];
    struct snapshot_stored first, second, found;
    const struct backup_notices in_between = {.on_notice = save_too, .context = &second};
    (void)state;
    flip(in_place("old/snapshots/snapshot-00000000000000004711"), 90);
    snprintf(file, sizeof file, "%s/saved", place);
    assert_false(backup_save(disk_posix(), in_place("old"), file, &in_between, &first, &problem));
    assert_int_equal(problem.exit_code, EXIT_BAD_INPUT);
    assert_true(backup_check(disk_posix(), file, &found, &problem) && is_clean());
    assert_memory_equal(&second, &found, sizeof found);
}

/* The one before is worth more than none. */
static void test_cannot_be_read(void **state)
{
    struct snapshot_stored saved;
    (void)state;
    assert_int_equal(disk_remove(disk_posix(), in_place("old/snapshots/snapshot-00000000000000004711")), 0);
    assert_int_equal(disk_make_folder(disk_posix(), in_place("old/snapshots/snapshot-00000000000000004711")), 0);
    if (!save(&saved))
        fail_msg("%s", problem.text);
    assert_int_equal(saved.slot, SLOT - 1000);
    assert_non_null(strstr(text, "snapshot-00000000000000004711: Is a directory"));
}

/* ---- Restoring ---- */

static struct config_node nodes[3] = {{.id = 1}, {.id = 2}, {.id = 3}};

/* A new cluster: node 1 learns and votes, node 2 votes, node 3 proposes. */
static struct config new_cluster(void)
{
    struct config config = {.cluster = "new", .data = place, .nodes = nodes, .node_count = 3, .segment_bytes = 1 << 20};
    config.node_config.alpha = 64;
    config.node_config.learners = node_set_of(1);
    config.node_config.acceptors = node_set_of(1) | node_set_of(2);
    config.node_config.proposers = node_set_of(3);
    return config;
}

static void show(void *context, uint64_t offset, const struct journal_group *g)
{
    uint32_t at = 0, index = 0;
    struct packet packet;
    struct log_record record;
    (void)offset;
    while (journal_group_next(g, &at, &index, &packet)) {
        assert_true(record_decode(&packet, &record));
        const size_t len = strlen(context);
        snprintf((char *)context + len, sizeof text - len, "%s %llu %llu;", record.kind == RECORD_FLOOR ? "floor" : "chosen",
                 (unsigned long long)record.entry.slot, (unsigned long long)record.to);
    }
}

static void nothing(void *context, const char *name, uint64_t bytes) { (void)context, (void)name, (void)bytes; }

static void no_packet(void *context, const struct packet *record) { (void)context, (void)record; }

static void no_end(void *context, uint64_t next_lsn, uint64_t offset, uint64_t torn)
{
    (void)context, (void)next_lsn, (void)offset, (void)torn;
}

/* What the journal of a node has, as text. */
static const char *journal_of(const char *name)
{
    const struct journal_view view = {
        .segment = nothing, .carried = no_packet, .group = show, .end = no_end, .context = text};
    struct journal_store_options options = {.disk = disk_posix(), .folder = in_place(name)};
    text[0] = '\0';
    assert_true(data_folder_look(disk_posix(), in_place(name), &options.identity, &problem));
    assert_string_equal(options.identity.cluster, "new");
    if (!journal_store_look(&options, &view, &problem))
        fail_msg("%s", problem.text);
    return text;
}

static bool restore(const struct config *config, uint32_t node)
{
    struct snapshot_stored found;
    return backup_check(disk_posix(), in_place("saved"), &found, &problem) &&
           backup_restore(disk_posix(), in_place("saved"), &found, config, node, &problem);
}

static void test_a_new_cluster(void **state)
{
    const struct config config = new_cluster();
    struct snapshot_stored saved;
    struct snapshot_reader r;
    struct snapshot_piece piece;
    struct execution_piece said;
    const uint64_t *body;
    (void)state;
    assert_true(save(&saved));
    for (uint32_t node = 1; node <= 3; node++)
        if (!restore(&config, node))
            fail_msg("%s", problem.text);
    assert_string_equal(journal_of("node-1"), "floor 4711 0;chosen 4711 4711;");
    assert_string_equal(journal_of("node-2"), "floor 4711 0;");
    assert_string_equal(journal_of("node-3"), "");
    assert_true(disk_size(disk_posix(), in_place("node-2/snapshots")) < 0);

    assert_int_equal(snapshot_reader_open(&r, disk_posix(), in_place("node-1/snapshots/snapshot-00000000000000004711"),
                                          journal_cluster_hash("new", 3), SLOT, &problem),
                     SNAPSHOT_READ_PIECE);
    assert_int_equal(snapshot_reader_next(&r, &piece, &body, &problem), SNAPSHOT_READ_PIECE);
    const struct payload first = {.words = {(uint64_t *)(uintptr_t)body, words_for(piece.len)}, .len = piece.len};
    assert_true(execution_piece_read(&first, &said));
    assert_true(said.state_hash == 77 && said.commands_executed == SLOT && said.seeded);
    /* Time goes on, because what is to end is in the state. Ballots begin anew. */
    assert_true(said.reached.moment.elapsed == 5000 && said.reached.moment.unix == 6000 && said.reached.ballot.round == 0);
    for (uint32_t origin = 0; origin <= NODE_ID_MAX; origin++)
        assert_true(said.last[origin].incarnation == 0 && said.last[origin].number == 0);
    assert_int_equal(said.configuration_count, 0);                       /* the new cluster forms anew */
    static const char *const bodies[] = {"many", "few", "some", "more"}; /* the same as before */
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(snapshot_reader_next(&r, &piece, &body, &problem), SNAPSHOT_READ_PIECE);
        assert_memory_equal(body, bodies[i], strlen(bodies[i]));
    }
    snapshot_reader_close(&r);
}

/* A folder that holds anything is not touched, and neither is what a restore has left that was cut short. */
static void test_not_into_what_is_there(void **state)
{
    const struct config config = new_cluster();
    struct snapshot_stored saved;
    (void)state;
    assert_true(save(&saved) && restore(&config, 1));
    assert_false(restore(&config, 1));
    assert_int_equal(problem.exit_code, EXIT_DATA);
    assert_int_equal(disk_make_folder(disk_posix(), in_place("node-2")), 0); /* empty: it may be there */
    assert_int_equal(disk_make_folder(disk_posix(), in_place("node-3.restoring")), 0);
    assert_int_equal(disk_make_folder(disk_posix(), in_place("node-3.restoring/snapshots")), 0);
    assert_true(restore(&config, 2));
    assert_false(restore(&config, 3));
    assert_non_null(strstr(problem.text, "node-3.restoring is left of a restore that was cut short"));
}

/* Files whose checksums are right, and that no learner has written: nothing is made of them. */
static void expect_refused(uint64_t slot, enum snapshot_piece_kind kind, const void *body, uint32_t len, const char *why)
{
    const struct config config = new_cluster();
    struct snapshot_writer w = {0};
    assert_int_equal(snapshot_writer_open(&w, disk_posix(), in_place("saved"), DISK_MAKE), 0);
    assert_int_equal(snapshot_writer_begin(&w, 1, slot), 0);
    assert_int_equal(snapshot_writer_add(&w, kind, body, len), 0);
    assert_int_equal(snapshot_writer_add(&w, SNAPSHOT_SESSIONS_LAST, "few", 3), 0);
    assert_int_equal(snapshot_writer_add(&w, SNAPSHOT_STATE_LAST, "some", 4), 0);
    assert_int_equal(snapshot_writer_end(&w), 0);
    snapshot_writer_close(&w);
    snapshot_writer_free(&w);
    assert_false(restore(&config, 1));
    assert_int_equal(problem.exit_code, EXIT_DATA);
    if (strstr(problem.text, why) == NULL)
        fail_msg("%s", problem.text);
    assert_true(disk_size(disk_posix(), in_place("node-1")) < 0);
    assert_true(disk_size(disk_posix(), in_place("node-1.restoring")) < 0);
}

static void test_not_a_learners(void **state)
{
    uint64_t words[EXECUTION_PIECE_MAX / 8];
    const struct execution_piece says = {.seeded = true};
    const struct payload first = execution_piece_write(&says, words);
    (void)state;
    expect_refused(SLOT, SNAPSHOT_STATE, "more", 4, "its pieces are not those of a learner");
    expect_refused(SLOT, SNAPSHOT_SESSIONS, "more", 4, "its pieces are not those of a learner");
    expect_refused(SLOT, SNAPSHOT_LEARNER, "more", 4, "its pieces are not those of a learner");
    expect_refused(SLOT, SNAPSHOT_LEARNER, first.words.ptr, first.len - 8, "its pieces are not those of a learner");
    expect_refused(0, SNAPSHOT_LEARNER, first.words.ptr, first.len, "a slot that no log has");
    expect_refused(SLOT_MAX, SNAPSHOT_LEARNER, first.words.ptr, first.len, "a slot that no log has");
    expect_refused(UINT64_MAX, SNAPSHOT_LEARNER, first.words.ptr, first.len, "a slot that no log has");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_saved_as_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cannot_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_new_cluster, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_into_what_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_a_learners, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
