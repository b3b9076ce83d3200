/* Learner agents that take snapshots, start from them, cut their journals, and send them to each other. */
#include "tests/unit/learner_machines.h"

#include "core/formats/configuration.h"
#include "core/paxos/learner.h"

static void equal_states_give_equal_snapshots(void **state)
{
    (void)state;
    for (uint32_t node = 1; node <= 2; node++)
        choose_all(machines[node], 1, 30);
    const struct machine *a = machines[1], *b = machines[2];
    assert_int_equal(a->begun, 3); /* after 8, 16 and 24 slots */
    assert_int_equal(a->file_count, 2);
    assert_true(a->files[0].slot == 17 && a->files[1].slot == 25);
    for (size_t i = 0; i < 2; i++)
        assert_true(a->files[i].size == b->files[i].size && a->files[i].checksum == b->files[i].checksum);
}

static void a_restart_goes_on_from_the_newest_snapshot(void **state)
{
    (void)state;
    struct machine *m = machines[1];
    choose_all(m, 1, 30);
    const struct node_status before = learner_agent_status(m->agent);
    restart(m);
    const struct node_status after = learner_agent_status(m->agent);
    assert_true(after.executed == before.executed && after.executed == 30);
    assert_true(after.state_hash == before.state_hash && after.commands_executed == before.commands_executed);
    choose_number(m, 30, 29); /* executed before: the snapshot and the journal know the last batch of each origin */
    assert_int_equal(learner_agent_status(m->agent).commands_executed, before.commands_executed);
    choose_all(m, 31, 34);
    assert_int_equal(m->files[m->file_count - 1].slot, 33);
    choose_all(machines[2], 1, 30);
    choose_number(machines[2], 30, 29);
    choose_all(machines[2], 31, 34);
    assert_int_equal(machines[2]->files[1].checksum, m->files[m->file_count - 1].checksum);
}

static void the_snapshot_alone_is_enough(void **state)
{
    (void)state;
    struct machine *m = machines[1];
    choose_all(m, 1, 30);
    m->journal_count = m->truncated = 0;
    restart(m);
    assert_int_equal(learner_agent_status(m->agent).executed, 25);
    assert_true(m->journal[0].kind == RECORD_CHOSEN && m->journal[0].to == 25); /* before that is durable, nothing is held */
    assert_int_equal(learner_agent_status(m->agent).held, 1);
    choose_all(m, 25, 30);
    choose_all(machines[2], 1, 30);
    assert_int_equal(learner_agent_status(m->agent).state_hash, learner_agent_status(machines[2]->agent).state_hash);
}

/* The journal is needed from the older of two snapshots on: the newer one may turn out to be damaged. */
static void the_journal_is_kept_from_the_oldest_snapshot_on(void **state)
{
    (void)state;
    struct machine *m = machines[1];
    choose_all(m, 1, 9);
    assert_int_equal(m->truncated, 0); /* no record below that of slot 1 */
    choose_all(m, 9, 200);
    const uint64_t oldest = m->files[0].slot;
    assert_true(oldest == 185 && m->truncated > 1);
    for (size_t i = 0; i < m->truncated - 1; i++)
        assert_true(m->journal[i].kind != RECORD_LEARNED || m->journal[i].entry.slot < oldest);
    const struct node_status before = learner_agent_status(m->agent);
    m->file_count = 1;
    restart(m);
    assert_int_equal(learner_agent_status(m->agent).executed, 200);
    assert_int_equal(learner_agent_status(m->agent).state_hash, before.state_hash);
}

/* A life knows which records there are from the slot of the snapshot on that it began with. As long as an older one is kept,
 * it lets go of nothing: that one would need what lies between. */
static void a_restart_cuts_nothing_that_an_older_snapshot_needs(void **state)
{
    (void)state;
    struct machine *m = machines[1];
    m->config.snapshots_max = 3;
    restart(m);
    choose_all(m, 1, 200);
    restart(m); /* with snapshots of slots 177, 185 and 193 */
    const uint64_t before = m->truncated;
    choose_all(m, 200, 204);
    assert_true(m->file_count == 3 && m->files[0].slot == 185 && m->files[2].slot == 201);
    assert_int_equal(m->truncated, before);
    choose_all(m, 204, 212);
    assert_true(m->files[0].slot == 193 && m->truncated > before);
}

/* The acceptor has voted for the snapshot's slot in the turn in which the snapshot was stored. The learner hears of both in
 * one step, of the snapshot first. */
static void a_record_of_the_same_turn_is_not_cut(void **state)
{
    enum { SLOT = 64 }; /* the first of which the learner knows no record yet */
    (void)state;
    struct machine *m = machines[1];
    m->config.snapshot_slots = 7;
    m->config.snapshots_max = 1;
    restart(m);
    choose_all(m, 1, SLOT - 1);
    struct entry e = entry_of(SLOT, SLOT);
    const struct log_record vote = {.kind = RECORD_ACCEPTED, .lsn = m->journal_count + 1, .entry = e};
    keep_record(m, &vote);
    m->with_stored = (struct event){.tag = EVENT_APPENDED, .val.appended = {.lsn = vote.lsn, .slot = SLOT, .ballot = b1}};
    m->stored_slot = SLOT;
    choose_all(m, SLOT - 1, SLOT);
    assert_int_equal(m->with_stored.tag, 0);
    assert_int_equal(m->files[0].slot, SLOT);
    assert_in_range(m->truncated, 2, vote.lsn);
}

static void slots_before_the_oldest_snapshot_may_be_kept(void **state)
{
    (void)state;
    struct machine *m = machines[1];
    m->config.journal_keep_slots = 100;
    restart(m);
    choose_all(m, 1, 300);
    for (size_t i = 0; i < m->truncated - 1; i++)
        assert_true(m->journal[i].kind != RECORD_LEARNED || m->journal[i].entry.slot < m->files[0].slot - 100);
    assert_true(m->truncated > 1);
}

static void lost_snapshots_are_damage(void **state)
{
    (void)state;
    struct machine *m = machines[1];
    choose_all(m, 1, 200);
    m->file_count = 0;
    restart(m);
    assert_int_equal(m->damaged, 1);
}

static void a_snapshot_that_fails_costs_nothing(void **state)
{
    (void)state;
    struct machine *m = machines[1];
    m->fails = true;
    choose_all(m, 1, 20);
    assert_true(m->begun == 2 && m->file_count == 0 && m->truncated == 0);
    m->fails = false;
    choose_all(m, 20, 30);
    assert_true(m->file_count == 1 && m->files[0].slot == 25);
}

static void a_snapshot_that_cannot_be_loaded_stops_the_node(void **state)
{
    (void)state;
    struct machine *m = machines[1];
    choose_all(m, 1, 10);
    m->files[0].words[0] = SNAPSHOT_STATE; /* the first piece must be the learner's */
    restart(m);
    assert_int_equal(m->unloadable, 9);
}

/* A part of the only snapshot is in the state machine, and the rest cannot be read: no slot may be executed on that. */
static void half_a_snapshot_is_no_beginning(void **state)
{
    (void)state;
    struct machine *m = machines[1];
    const struct event none = {.tag = EVENT_SNAPSHOT, .val.snapshot = {.kind = SNAPSHOT_LOADED}};
    choose_all(m, 1, 10);
    learner_agent_free(m->agent);
    m->agent = learner_agent_new(&m->config);
    m->told_count = 0;
    tell_stored(m, &m->files[0]);
    load(m, &m->files[0]);
    m->told[m->told_count - 1].val.snapshot.kind = SNAPSHOT_FAILED;
    settle(m);
    assert_int_equal(m->unloadable, 0);
    step(m, &none, 1);
    assert_int_equal(m->unloadable, 9);
}

/* The newest snapshot was sound when it was checked, and cannot be read to its end a moment later. */
static void a_start_may_begin_with_one_snapshot_and_go_on_with_another(void **state)
{
    (void)state;
    struct machine *m = machines[1];
    choose_all(m, 1, 30);
    const struct node_status before = learner_agent_status(m->agent);
    learner_agent_free(m->agent);
    m->agent = learner_agent_new(&m->config);
    m->told_count = 0;
    tell_stored(m, &m->files[0]);
    tell_stored(m, &m->files[1]);
    load(m, &m->files[1]);
    m->told[m->told_count - 1].val.snapshot.kind = SNAPSHOT_FAILED;
    load(m, &m->files[0]);
    settle(m);
    assert_true(m->unloadable == 0 && learner_agent_status(m->agent).executed == m->files[0].slot);
    const struct event end[] = {{.tag = EVENT_RECORDS, .val.records = {m->journal, m->journal_count}},
                                {.tag = EVENT_RECOVERED},
                                durable(m->journal_count)};
    step(m, end, 3);
    assert_int_equal(learner_agent_status(m->agent).executed, before.executed);
    assert_int_equal(learner_agent_status(m->agent).state_hash, before.state_hash);
}

static void a_peer_far_behind_gets_a_snapshot(void **state)
{
    (void)state;
    struct machine *a = machines[1], *b = machines[2];
    choose_all(a, 1, 300);
    choose_all(b, 1, 10);
    struct event heard = from(
        8, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = b1, .from = 1, .chosen = 300});
    step(b, &heard, 1);
    converse(a, b, 120);
    assert_int_equal(learner_agent_status(b->agent).executed, 300);
    assert_int_equal(learner_agent_status(b->agent).state_hash, learner_agent_status(a->agent).state_hash);
    assert_int_equal(b->files[b->file_count - 1].slot, 297);
    assert_true(b->truncated > 1);
    const struct node_status before = learner_agent_status(b->agent);
    restart(b);
    assert_int_equal(learner_agent_status(b->agent).executed, before.executed);
    assert_int_equal(learner_agent_status(b->agent).state_hash, before.state_hash);
}

/* The first configuration of these machines, or one that has another alpha in its place. It is chosen in this slot. */
static void choose_alpha(struct machine *m, uint64_t slot, uint64_t replaces, uint32_t alpha)
{
    const struct node_config *config = &m->config;
    struct configuration_text *t = memory_new(1, sizeof *t);
    const char *const keys[] = {"alpha", "phase1_quorum", "phase2_quorum", "first_alpha"};
    const uint32_t values[] = {alpha, config->phase1_quorum, config->phase2_quorum, config->alpha};
    t->replaces = replaces;
    t->delay = config->alpha;
    t->setting_count = alpha == config->alpha ? 3 : 4;
    for (size_t i = 0; i < t->setting_count; i++) {
        snprintf(t->settings[i].key, CONFIGURATION_WORD_MAX, "%s", keys[i]);
        snprintf(t->settings[i].value, CONFIGURATION_WORD_MAX, "%u", values[i]);
    }
    for (uint32_t node = 1; node <= 9; node++) {
        const uint8_t duties = (uint8_t)((node_set_has(config->proposers, node) ? DUTY_PROPOSES : 0) |
                                         (node_set_has(config->acceptors, node) ? DUTY_ACCEPTS : 0) |
                                         (node_set_has(config->learners, node) ? DUTY_LEARNS : 0));
        t->members[node] = (struct member){
            .node = node, .duties = duties, .instance = {(uint8_t)node}, .address = "10.0.0.1:7000", .client = "-"};
    }
    assert_null(configuration_check(t));
    struct entry e = {.slot = slot, .ballot = b1, .kind = ENTRY_CONFIGURATION, .value = configuration_pack(t)};
    choose_entry(m, &e);
    payload_free(&e.value);
    free(t);
}

/* A node that fetches a snapshot, and with it a larger alpha, has voted for a slot in the same turn. Recovery will count
 * that vote by the window of the mark before it, which is the narrow one. */
static void a_vote_before_a_wider_window_is_written_again(void **state)
{
    (void)state;
    struct machine *a = machines[1], *b = machines[2];
    const uint64_t narrow = learner_window(a->config.alpha), first = 3;
    choose_all(a, 1, first);
    choose_alpha(a, first, 0, a->config.alpha);
    choose_all(a, first + 1, first + 1 + a->config.alpha);
    const uint64_t second = first + 1 + a->config.alpha;
    choose_alpha(a, second, first, 4 * a->config.alpha);
    const uint64_t end = 8 * ((second + a->config.alpha) / 8 + 2) + 2; /* beyond the boundary, just after a snapshot */
    choose_all(a, second + 1, end);
    const uint64_t snapshot = a->files[a->file_count - 1].slot, far = snapshot + narrow;

    b->config.snapshot_slots = 0; /* a snapshot of its own would begin after that slot */
    restart(b);
    choose_all(b, 1, 3);
    struct entry e = entry_of(far, far);
    const struct log_record vote = {.kind = RECORD_ACCEPTED, .lsn = b->journal_count + 1, .entry = e};
    keep_record(b, &vote);
    b->with_loaded = (struct event){.tag = EVENT_APPENDED, .val.appended = {.lsn = vote.lsn, .slot = far, .ballot = b1}};
    struct event heard = from(
        8, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = b1, .from = 1, .chosen = end});
    step(b, &heard, 1);
    converse(a, b, 120);
    assert_int_equal(b->with_loaded.tag, 0);
    assert_true(far - 3 < learner_window(4 * a->config.alpha));
    choose_all(b, learner_agent_status(b->agent).executed, far + 2);
    restart(b);
    assert_int_equal(b->damaged, 0);
    assert_int_equal(learner_agent_status(b->agent).executed, far + 2);
}

/* The one that fetches goes down in the middle; what it has is still there. */
static void a_fetch_goes_on_after_a_restart(void **state)
{
    (void)state;
    struct machine *a = machines[1], *b = machines[2];
    choose_all(a, 1, 300);
    struct event heard = from(
        8, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = b1, .from = 1, .chosen = 300});
    step(b, &heard, 1);
    for (size_t left = 100; b->part.size < 128 && left > 0; left--)
        converse(a, b, 1);
    assert_in_range(b->part.size, 128, a->files[1].size - 1);
    const uint64_t had = b->part.size;
    restart(b);
    step(b, &heard, 1);
    converse(a, b, 120);
    assert_true(had > 0);
    assert_int_equal(learner_agent_status(b->agent).executed, 300);
}

/* The one that sends stores a newer snapshot meanwhile, and says so. It still has the one that is fetched. */
static void a_newer_snapshot_does_not_end_a_fetch(void **state)
{
    (void)state;
    struct machine *a = machines[1], *b = machines[2];
    choose_all(a, 1, 300);
    struct event heard = from(
        8, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = b1, .from = 1, .chosen = 300});
    step(b, &heard, 1);
    for (size_t left = 100; b->part.size < 128 && left > 0; left--)
        converse(a, b, 1);
    const uint64_t slot = b->part.slot;
    assert_int_equal(slot, a->files[1].slot);
    choose_all(a, 300, 306);
    const struct file *newer = &a->files[1];
    assert_true(newer->slot > slot && a->files[0].slot == slot);
    struct event announced = from(
        1,
        (struct message){.kind = MESSAGE_SNAPSHOT, .from = newer->slot, .to = newer->size, .batch.number = newer->checksum});
    step(b, &announced, 1);
    converse(a, b, 120);
    assert_true(b->file_count > 0 && b->files[0].slot == slot);
    assert_in_range(learner_agent_status(b->agent).executed, 300, 306);
}

/* A fetch ends in one of these ways, and then the slots come from the log. */
enum fetch_end { FETCH_IS_OVERTAKEN, FETCH_IS_GIVEN_UP, FETCH_IS_CUT_OFF, FETCH_ENDS };

static void nothing_is_left_of_a_fetch(void **state)
{
    (void)state;
    struct machine *a = machines[1], *b = machines[2];
    choose_all(a, 1, 300);
    b->config.snapshot_slots = 0; /* what it saves itself would take the place of what was received */
    for (enum fetch_end how = FETCH_IS_OVERTAKEN; how < FETCH_ENDS; how++) {
        b->journal_count = 0;
        restart(b);
        struct event heard = from(
            8,
            (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = b1, .from = 1, .chosen = 300});
        step(b, &heard, 1);
        for (size_t left = 100; b->part.size < 128 && left > 0; left--)
            converse(a, b, 1);
        const uint64_t slot = b->part.slot;
        assert_in_range(b->part.size, 128, a->files[1].size - 1);
        for (uint32_t tries = 0; how == FETCH_IS_GIVEN_UP && tries < 2 * TRANSFER_TRIES; tries++) {
            now += b->config.retry_interval;
            step(b, NULL, 0);
        }
        if (how == FETCH_IS_CUT_OFF)
            restart(b);
        choose_all(b, 1, slot - 1);
        assert_int_equal(b->part.slot, slot); /* it may still be gone on with */
        choose_all(b, slot - 1, slot + 1);
        assert_int_equal(learner_agent_status(b->agent).executed, slot + 1);
        assert_int_equal(b->part.slot, 0);
    }
}

/* A leader says how far it is; this learner asks for what it lacks. */
static void fall_behind(struct machine *m)
{
    struct event heard = from(
        8, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = b1, .from = 1, .chosen = 300});
    step(m, &heard, 1);
    now += 1000000;
    step(m, NULL, 0);
    assert_non_null(said(m, MESSAGE_LEARN_REQUEST));
}

static void parts_of_another_snapshot_are_not_taken(void **state)
{
    (void)state;
    struct machine *b = machines[2];
    fall_behind(b);
    struct event offer = from(
        1, (struct message){.kind = MESSAGE_SNAPSHOT, .flags = MESSAGE_FORGOTTEN, .from = 100, .to = 64, .batch.number = 7});
    step(b, &offer, 1);
    settle(b);
    struct entry entry = entry_at(0, (struct ballot){0}, "bytes");
    struct message part = {.kind = MESSAGE_SNAPSHOT_PART, .from = 100, .batch.number = 8, .entries = {&entry, 1}};
    struct event wrong = from(1, part);
    step(b, &wrong, 1);
    assert_int_equal(b->part.size, 0);
    part.batch.number = 7;
    part.to = 1; /* an offset that was not asked for */
    wrong = from(1, part);
    step(b, &wrong, 1);
    assert_int_equal(b->part.size, 0);
    part.to = 0;
    struct event right = from(1, part);
    step(b, &right, 1);
    assert_int_equal(b->part.size, 5);
}

/* More bytes than a snapshot of this cluster can have: a false peer must not fill the disk. */
static void a_snapshot_that_is_too_large_is_not_fetched(void **state)
{
    (void)state;
    struct machine *b = machines[2];
    fall_behind(b);
    struct event offer = from(
        1,
        (struct message){
            .kind = MESSAGE_SNAPSHOT, .flags = MESSAGE_FORGOTTEN, .from = 100, .to = UINT64_C(1) << 40, .batch.number = 7});
    step(b, &offer, 1);
    settle(b);
    assert_int_equal(b->part.slot, 0);
}

/* What a peer offers without being asked is not fetched: saving would never come to its end. */
static void only_an_answer_leads_to_a_fetch(void **state)
{
    (void)state;
    struct machine *b = machines[2];
    const struct event offer = from(
        1, (struct message){.kind = MESSAGE_SNAPSHOT, .flags = MESSAGE_FORGOTTEN, .from = 100, .to = 64, .batch.number = 7});
    step(b, &offer, 1);
    assert_int_equal(b->told_count, 0);
    fall_behind(b);
    step(b, &offer, 1);
    assert_true(b->told_count == 1 && b->told[0].val.snapshot.kind == SNAPSHOT_WANTED);
}

/* While a snapshot is fetched no slots are asked for, and the time at which they would be does not keep the node awake. */
static void a_fetch_sleeps_until_there_is_something_to_do(void **state)
{
    (void)state;
    struct machine *b = machines[2];
    const struct event offer = from(
        1, (struct message){.kind = MESSAGE_SNAPSHOT, .flags = MESSAGE_FORGOTTEN, .from = 100, .to = 64, .batch.number = 7});
    fall_behind(b);
    step(b, &offer, 1);
    settle(b);
    for (int i = 0; i < 100; i++) {
        const struct step_result r = step(b, NULL, 0);
        assert_true(r.wake_at > now);
        now = r.wake_at;
    }
}

/* Storage says first what it wants of a file that was given up meanwhile, then what it wants of this one. */
static void storage_says_last_where_a_fetch_goes_on(void **state)
{
    (void)state;
    struct machine *b = machines[2];
    struct event offer = from(
        1, (struct message){.kind = MESSAGE_SNAPSHOT, .flags = MESSAGE_FORGOTTEN, .from = 100, .to = 64, .batch.number = 7});
    fall_behind(b);
    step(b, &offer, 1);
    b->told_count = 0;
    for (uint64_t offset = 1000; offset != 0; offset = offset == 1000 ? 8 : 0) {
        const struct event wanted = {.tag = EVENT_SNAPSHOT, .val.snapshot = {.kind = SNAPSHOT_WANTED, .id = offset}};
        step(b, &wanted, 1);
        const struct outgoing *asked = said(b, MESSAGE_SNAPSHOT_FETCH);
        assert_true(asked != NULL && asked->message.to == offset);
    }
}

/* Storage has not written what came before. */
static void parts_that_were_not_asked_for_are_not_taken(void **state)
{
    (void)state;
    static uint64_t words[TRANSFER_PART_MAX / 8];
    struct machine *b = machines[2];
    struct event offer = from(1, (struct message){.kind = MESSAGE_SNAPSHOT,
                                                  .flags = MESSAGE_FORGOTTEN,
                                                  .from = 100,
                                                  .to = UINT64_C(100) << 20,
                                                  .batch.number = 7});
    fall_behind(b);
    step(b, &offer, 1);
    const struct event wanted = {.tag = EVENT_SNAPSHOT, .val.snapshot = {.kind = SNAPSHOT_WANTED}};
    b->told_count = 0;
    step(b, &wanted, 1);
    size_t taken = 0;
    for (uint64_t offset = 0; offset < 10 * TRANSFER_PART_MAX; offset += TRANSFER_PART_MAX) {
        struct entry entry = {.value = {.words = {words, TRANSFER_PART_MAX / 8}, .len = TRANSFER_PART_MAX}};
        const struct event part = from(
            1, (struct message){
                   .kind = MESSAGE_SNAPSHOT_PART, .from = 100, .to = offset, .batch.number = 7, .entries = {&entry, 1}});
        const struct step_result r = learner_agent_step(b->agent, now, b->journal_count + 1, &part, 1);
        for (size_t i = 0; i < r.effects.len; i++)
            taken += r.effects.ptr[i].tag == EFFECT_SNAPSHOT && r.effects.ptr[i].val.snapshot.kind == SNAPSHOT_BYTES;
    }
    assert_int_equal(taken, TRANSFER_AHEAD_MAX / TRANSFER_PART_MAX);
}

/* A peer that sends byte by byte could keep this learner from asking for slots. */
static void short_parts_end_a_fetch(void **state)
{
    (void)state;
    uint64_t word = 0;
    struct machine *b = machines[2];
    struct event offer = from(
        1,
        (struct message){.kind = MESSAGE_SNAPSHOT, .flags = MESSAGE_FORGOTTEN, .from = 100, .to = 4096, .batch.number = 7});
    const struct event wanted = {.tag = EVENT_SNAPSHOT, .val.snapshot = {.kind = SNAPSHOT_WANTED}};
    fall_behind(b);
    step(b, &offer, 1);
    b->told_count = 0;
    step(b, &wanted, 1);
    uint64_t parts = 0;
    while (said(b, MESSAGE_SNAPSHOT_FETCH) != NULL && parts < 1000) {
        struct entry entry = {.value = {.words = {&word, 1}, .len = 1}};
        const struct event part = from(
            1, (struct message){
                   .kind = MESSAGE_SNAPSHOT_PART, .from = 100, .to = parts++, .batch.number = 7, .entries = {&entry, 1}});
        step(b, &part, 1);
    }
    assert_in_range(parts, 2, TRANSFER_TRIES + 1);
}

/* Whether what came in this step makes the learner ask for another part at once. Storage is not asked. */
static bool asks_for_more(struct machine *m, const struct event *part)
{
    const struct step_result r = learner_agent_step(m->agent, now, m->journal_count + 1, part, 1);
    bool asks = false;
    for (size_t i = 0; i < r.effects.len; i++)
        asks = asks ||
               (r.effects.ptr[i].tag == EFFECT_SEND && r.effects.ptr[i].val.send.message.kind == MESSAGE_SNAPSHOT_FETCH);
    return asks;
}

/* A false peer alone has the snapshot, and sends parts that are just long enough to count. But the fetch lasts long enough
 * for the longest piece there may be: a later try goes on after it. */
static void too_many_short_parts_end_a_fetch(void **state)
{
    (void)state;
    static uint64_t words[TRANSFER_PART_MIN / 8];
    struct machine *b = machines[2];
    struct event offer = from(1, (struct message){.kind = MESSAGE_SNAPSHOT,
                                                  .flags = MESSAGE_FORGOTTEN,
                                                  .from = 100,
                                                  .to = UINT64_C(100) << 20,
                                                  .batch.number = 7});
    const struct event wanted = {.tag = EVENT_SNAPSHOT, .val.snapshot = {.kind = SNAPSHOT_WANTED}};
    b->config.limits.part_bytes = 0; /* as in a cluster: longer than those that come */
    restart(b);
    fall_behind(b);
    step(b, &offer, 1);
    b->told_count = 0;
    step(b, &wanted, 1);
    uint64_t parts = 0;
    bool asks = said(b, MESSAGE_SNAPSHOT_FETCH) != NULL;
    for (; asks && parts < 2 * TRANSFER_SHORTS_MAX; parts++) {
        struct entry entry = {.value = {.words = {words, TRANSFER_PART_MIN / 8}, .len = TRANSFER_PART_MIN}};
        const struct event part = from(1, (struct message){.kind = MESSAGE_SNAPSHOT_PART,
                                                           .from = 100,
                                                           .to = parts * TRANSFER_PART_MIN,
                                                           .batch.number = 7,
                                                           .entries = {&entry, 1}});
        const struct event written = {.tag = EVENT_SNAPSHOT,
                                      .val.snapshot = {.kind = SNAPSHOT_WRITTEN, .id = parts * TRANSFER_PART_MIN}};
        step(b, &written, 1);
        asks = asks_for_more(b, &part);
    }
    assert_in_range(parts, TRANSFER_SHORTS_MAX, TRANSFER_SHORTS_MAX + TRANSFER_TRIES + 1);
    assert_true(parts * TRANSFER_PART_MIN > SNAPSHOT_PIECE_MAX);
}

/* Storage keeps it a while; until it says that it is gone, the peer goes on. */
static void a_snapshot_that_is_served_is_remembered(void **state)
{
    (void)state;
    struct machine *a = machines[1];
    choose_all(a, 1, 30);
    const struct file f = a->files[0];
    struct event ask = from(2, (struct message){.kind = MESSAGE_SNAPSHOT_FETCH, .from = f.slot, .batch.number = f.checksum});
    step(a, &ask, 1);
    settle(a);
    choose_all(a, 30, 60);
    assert_true(a->files[0].slot > f.slot);
    for (int gone = 0; gone <= 1; gone++) {
        const struct step_result r = learner_agent_step(a->agent, now, a->journal_count + 1, &ask, 1);
        size_t reads = 0;
        for (size_t i = 0; i < r.effects.len; i++)
            reads += r.effects.ptr[i].tag == EFFECT_SNAPSHOT && r.effects.ptr[i].val.snapshot.kind == SNAPSHOT_READ;
        assert_int_equal(reads, gone == 0);
        const struct event said = {.tag = EVENT_SNAPSHOT, .val.snapshot = {.kind = SNAPSHOT_GONE, .id = f.slot}};
        step(a, &said, 1);
    }
}

/* Storage has found it damaged, or cannot read it. */
static void a_snapshot_that_is_gone_is_not_offered(void **state)
{
    (void)state;
    struct machine *a = machines[1];
    choose_all(a, 1, 30);
    const struct event gone = {.tag = EVENT_SNAPSHOT,
                               .val.snapshot = {.kind = SNAPSHOT_GONE, .id = a->files[a->file_count - 1].slot}};
    const struct event ask = from(2, (struct message){.kind = MESSAGE_LEARN_REQUEST, .from = 1, .to = 5});
    step(a, &gone, 1);
    step(a, &ask, 1);
    const struct outgoing *offer = said(a, MESSAGE_SNAPSHOT);
    assert_true(offer != NULL && offer->message.from == a->files[0].slot);
}

/* It would be read for that peer over and over, and nothing come of it. */
static void a_question_beyond_the_end_costs_one_look(void **state)
{
    (void)state;
    struct machine *a = machines[1];
    choose_all(a, 1, 300);
    const struct file *f = &a->files[1];
    const struct event ask = from(
        2, (struct message){.kind = MESSAGE_SNAPSHOT_FETCH, .from = f->slot, .to = f->size, .batch.number = f->checksum});
    step(a, &ask, 1);
    settle(a);
}

static void who_asks_for_a_snapshot_that_is_gone_is_told_so(void **state)
{
    (void)state;
    struct machine *a = machines[1];
    choose_all(a, 1, 300);
    struct event ask = from(2, (struct message){.kind = MESSAGE_SNAPSHOT_FETCH, .from = 9, .batch.number = 1});
    step(a, &ask, 1);
    const struct outgoing *answer = said(a, MESSAGE_SNAPSHOT_PART);
    assert_true(answer != NULL && answer->message.entries.len == 0 && answer->message.from == 9);
}

static void parts_are_sent_at_a_bounded_rate(void **state)
{
    (void)state;
    struct machine *a = machines[1];
    a->config.transfer_rate = 1000;
    restart(a);
    choose_all(a, 1, 300);
    const struct file *f = &a->files[1];
    uint64_t sent = 0, began = now;
    for (size_t i = 0; i < 400; i++) {
        struct event ask =
            from(2, (struct message){.kind = MESSAGE_SNAPSHOT_FETCH, .from = f->slot, .to = 0, .batch.number = f->checksum});
        step(a, &ask, 1);
        struct event told[TOLD_MAX];
        const size_t count = a->told_count;
        memcpy(told, a->told, count * sizeof *told);
        a->told_count = 0;
        step(a, told, count);
        const struct outgoing *part = said(a, MESSAGE_SNAPSHOT_PART);
        sent += part != NULL ? part->message.entries.ptr[0].value.len : 0;
        now += 10000;
    }
    assert_in_range(sent, 3000, 1000 + 64 + (now - began) / 1000);
}

/* States that differ though their chained hashes do not: a fault of the machine, or of its memory. */
static void who_has_another_snapshot_than_the_others_stops(void **state)
{
    (void)state;
    struct machine *a = machines[1];
    choose_all(a, 1, 10);
    for (uint32_t node = 2; node <= 3; node++) {
        struct event theirs =
            from(node,
                 (struct message){
                     .kind = MESSAGE_SNAPSHOT, .from = 9, .to = a->files[0].size, .batch.number = a->files[0].checksum + 1});
        step(a, &theirs, 1);
    }
    step(a, NULL, 0);
    assert_int_equal(a->diverged, 9);
}

/* Learner 2 has another snapshot. Time passes: until learner 3 may have saved the same one, or the next, and said so. */
static struct message differ_from_one(struct machine *a, uint64_t us)
{
    choose_all(a, 1, 10);
    struct message theirs = {
        .kind = MESSAGE_SNAPSHOT, .from = 9, .to = a->files[0].size, .batch.number = a->files[0].checksum + 1};
    const struct event other = from(2, theirs);
    step(a, &other, 1);
    for (uint64_t passed = 0; passed < us; passed += a->config.exec_interval) {
        now += a->config.exec_interval;
        step(a, NULL, 0);
    }
    return theirs;
}

/* One false word must not end a node before the third one could have spoken. */
static void who_differs_from_one_waits_for_the_third(void **state)
{
    (void)state;
    struct machine *a = machines[1];
    const struct message theirs = differ_from_one(a, AGREEMENT_SNAPSHOT_US);
    assert_int_equal(a->diverged, 0);
    struct event third = from(3, theirs);
    step(a, &third, 1);
    step(a, NULL, 0);
    assert_int_equal(a->diverged, 9);
}

/* A node in doubt answers no client. It must not do that for ever, without a word. */
static void who_waits_in_vain_for_the_third_stops(void **state)
{
    (void)state;
    struct machine *a = machines[1];
    const uint64_t saving = saving_longest_us(&a->config), interval = a->config.exec_interval;
    differ_from_one(a, AGREEMENT_SNAPSHOT_US + 2 * saving + (AGREEMENT_PATIENCE + 2) * interval);
    assert_int_equal(a->diverged, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_states_give_equal_snapshots, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_restart_goes_on_from_the_newest_snapshot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_snapshot_alone_is_enough, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_journal_is_kept_from_the_oldest_snapshot_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_restart_cuts_nothing_that_an_older_snapshot_needs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_record_of_the_same_turn_is_not_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(slots_before_the_oldest_snapshot_may_be_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lost_snapshots_are_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(half_a_snapshot_is_no_beginning, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_snapshot_that_fails_costs_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_snapshot_that_cannot_be_loaded_stops_the_node, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_start_may_begin_with_one_snapshot_and_go_on_with_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_peer_far_behind_gets_a_snapshot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_vote_before_a_wider_window_is_written_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fetch_goes_on_after_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_newer_snapshot_does_not_end_a_fetch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_left_of_a_fetch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_of_another_snapshot_are_not_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_snapshot_that_is_too_large_is_not_fetched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_an_answer_leads_to_a_fetch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fetch_sleeps_until_there_is_something_to_do, set_up, tear_down),
        cmocka_unit_test_setup_teardown(storage_says_last_where_a_fetch_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_that_were_not_asked_for_are_not_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_question_beyond_the_end_costs_one_look, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_asks_for_a_snapshot_that_is_gone_is_told_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_are_sent_at_a_bounded_rate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_has_another_snapshot_than_the_others_stops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_differs_from_one_waits_for_the_third, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_waits_in_vain_for_the_third_stops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(short_parts_end_a_fetch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_short_parts_end_a_fetch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_snapshot_that_is_served_is_remembered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_snapshot_that_is_gone_is_not_offered, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
