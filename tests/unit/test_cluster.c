/* Whole clusters in one process: native nodes around a seeded network that drops, doubles, delays and cuts, seeded disks that
 * stall and lose what was not synced, clocks that jump, machines that pause, crash, come back empty (a learner) or never.
 *
 * Checked while they run:
 *  - the same state before the same slot everywhere (Agreement), and never two values for one slot and ballot (OneValuePerBallot);
 *  - no promise and no vote leaves a machine before its record is durable (PromiseDurable, VoteDurable);
 *  - a machine comes back with all that it has ever called durably held.
 * At the end all faults stop, except that one machine of each role may stay dead: the rest must settle and serve, and the
 * state must hold each acknowledged command once, no refused one, and none twice (AtMostOnce).
 *
 * A run is a function of its seed: SEED=n begins there, RUNS=n makes so many, EVENTS=n makes them longer, VERBOSE=1 tells what
 * happened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/base/message.h"
#include "core/formats/batch.h"
#include "core/runners/node.h"

enum { NODES_MAX = 10, SLOTS_MAX = 100000, BATCHES_MAX = 6000, VALUES_KEPT = 4 };

static const uint64_t never = UINT64_MAX;

struct held {
    uint64_t after;
    node_set to;
    struct message message;
};

/* The last record of a vote for a slot. */
struct vote {
    struct ballot ballot;
    uint64_t lsn;
};

struct machine {
    uint32_t id;
    bool exists, up;
    uint32_t incarnation;
    struct node *node;
    struct node_config config;
    uint64_t skew; /* of its clock */
    uint64_t wake_at, restart_at, durable_at;
    uint64_t paused_until, paused_at;
    bool resumes; /* the next step happens with the time of before the pause */
    struct log_record *journal;
    size_t journal_count, journal_capacity;
    size_t durable, syncing; /* records */
    struct ballot durable_ballot;
    struct vote *votes; /* by slot */
    size_t votes_capacity;
    struct held *held;
    size_t held_count, held_capacity;
    uint64_t held_slots; /* the most it ever said to hold durably */
    struct read_range read;
    bool has_read;
    uint32_t credit, leader;
};

struct flight {
    uint64_t at;
    uint32_t from, to;
    struct message message;
};

struct value {
    struct ballot ballot;
    uint64_t hash;
};

enum fate { UNSENT, WAITING, ACKED, REFUSED, UNKNOWN };
enum fault { CRASH, CRASH_ALL, PAUSE, ISOLATE, DEAFEN, MUTE, STALL, JUMP, EMPTY, FAULTS };

struct world {
    uint64_t random, now, seed;
    bool standalone, rule_highest, one_stays_dead;
    struct machine machines[NODES_MAX];
    struct flight *flights;
    size_t flight_count, flight_capacity;
    uint32_t drop, twice, slow, load, faults; /* per mille; faults: per 20000 */
    node_set cut[NODES_MAX];                  /* whom a machine cannot reach, until cut_until */
    uint64_t cut_until;
    uint64_t hashes[SLOTS_MAX];
    struct value values[SLOTS_MAX][VALUES_KEPT];
    uint8_t fates[BATCHES_MAX + 1];
    uint32_t owner[BATCHES_MAX + 1];
    size_t batches, acked;
    bool verified;
};

static struct world w;

static uint64_t draw(uint64_t below)
{
    w.random ^= w.random << 13;
    w.random ^= w.random >> 7;
    w.random ^= w.random << 17;
    return w.random % below;
}
static bool chance(uint32_t per_mille) { return draw(1000) < per_mille; }

/* --- the rules that messages must keep ----------------------------------------------------------------------------- */

static void check_one_value_per_ballot(const struct message *m)
{
    for (size_t i = 0; i < m->entries.len; i++) {
        const struct entry *e = &m->entries.ptr[i];
        assert_true(e->slot < SLOTS_MAX);
        uint64_t hash = checksum(payload_bytes(&e->value), e->value.len, e->kind);
        struct value *values = w.values[e->slot];
        size_t k = 0;
        while (k < VALUES_KEPT - 1 && values[k].ballot.round != 0 && ballot_compare(values[k].ballot, e->ballot) != 0)
            k++;
        if (ballot_compare(values[k].ballot, e->ballot) == 0 && values[k].hash != hash)
            fail_msg("seed %llu: two values for slot %llu at one ballot", (unsigned long long)w.seed,
                     (unsigned long long)e->slot);
        values[k] = (struct value){e->ballot, hash};
    }
}

static void check_vote_is_durable(const struct machine *m, const struct message *accepted)
{
    for (uint64_t slot = accepted->from; slot < accepted->to; slot++) {
        assert_true(slot < m->votes_capacity);
        const struct vote *v = &m->votes[slot];
        assert_true(ballot_compare(v->ballot, accepted->ballot) >= 0);
        if (ballot_compare(v->ballot, accepted->ballot) == 0 && v->lsn > m->durable)
            fail_msg("seed %llu: node %u tells of a vote that is not durable", (unsigned long long)w.seed, m->id);
    }
}

static void check_rules(const struct machine *m, const struct message *message)
{
    if (message->kind == MESSAGE_ACCEPT)
        check_one_value_per_ballot(message);
    else if (message->kind == MESSAGE_ACCEPTED)
        check_vote_is_durable(m, message);
    else if (message->kind == MESSAGE_PROMISE && ballot_compare(m->durable_ballot, message->ballot) < 0)
        fail_msg("seed %llu: node %u tells of a promise that is not durable", (unsigned long long)w.seed, m->id);
}

static void note_vote(struct machine *m, const struct log_record *r)
{
    if (r->kind != RECORD_ACCEPTED)
        return;
    size_t before = m->votes_capacity;
    m->votes = memory_reserve(m->votes, &m->votes_capacity, (size_t)r->entry.slot + 1, sizeof *m->votes);
    memset(m->votes + before, 0, (m->votes_capacity - before) * sizeof *m->votes);
    m->votes[r->entry.slot] = (struct vote){r->entry.ballot, r->lsn};
}

/* Records [from, to) have become durable. */
static void note_durable(struct machine *m, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const struct log_record *r = &m->journal[i];
        bool promises = r->kind == RECORD_PROMISED || r->kind == RECORD_ACCEPTED;
        if (promises && ballot_compare(r->entry.ballot, m->durable_ballot) > 0)
            m->durable_ballot = r->entry.ballot;
    }
    m->durable = to;
}

static void check_status(struct machine *m)
{
    struct node_status s = node_status(m->node);
    if (s.held > m->held_slots)
        m->held_slots = s.held;
    if (s.executed <= 1)
        return;
    assert_true(s.executed < SLOTS_MAX);
    if (w.hashes[s.executed] == 0)
        w.hashes[s.executed] = s.state_hash;
    if (w.hashes[s.executed] != s.state_hash)
        fail_msg("seed %llu: node %u differs at slot %llu", (unsigned long long)w.seed, m->id,
                 (unsigned long long)s.executed);
}

/* --- the world's network, clients and disks ------------------------------------------------------------------------ */

static void fly(uint32_t from, uint32_t to, const struct message *m)
{
    if (chance(w.drop) || node_set_has(w.cut[from], to))
        return;
    w.flights = memory_reserve(w.flights, &w.flight_capacity, w.flight_count + 1, sizeof *w.flights);
    uint64_t delay = 50 + draw(200) + (chance(w.slow) ? draw(300000) : 0);
    w.flights[w.flight_count++] = (struct flight){w.now + delay, from, to, message_copy(m)};
}

static void launch(const struct machine *m, node_set to, const struct message *message)
{
    check_rules(m, message);
    for (node_set i = to & ~node_set_of(m->id); i != 0; i &= i - 1) {
        fly(m->id, node_set_first(i), message);
        if (chance(w.twice))
            fly(m->id, node_set_first(i), message);
    }
}

/* The answer to the last batch, which gets every key: each command in the state at most once, as its client was told. */
static void verify(const struct payload *replies)
{
    size_t offset = 0;
    struct reply_item item;
    for (size_t i = 0; i < w.batches; i++) {
        assert_true(replies_next(replies, &offset, &item));
        bool executed = item.tag == REPLY_BYTES;
        assert_true(executed || item.tag == REPLY_NIL);
        if (executed)
            assert_true(item.bytes.len == 1 && item.bytes.ptr[0] == '1');
        if (executed ? w.fates[i] == REFUSED : w.fates[i] == ACKED)
            fail_msg("seed %llu: batch %zu was %s", (unsigned long long)w.seed, i,
                     executed ? "refused, and executed all the same" : "acknowledged, and is lost");
    }
    w.verified = true;
}

/* Token t stands for batch t; its one command is INCR of a key of its own, so 1 is the only right answer. */
static void take_reply(const struct client_reply *r)
{
    assert_int_equal(w.fates[r->token], WAITING);
    if (r->outcome != OUTCOME_EXECUTED) {
        w.fates[r->token] = r->outcome == OUTCOME_UNKNOWN ? UNKNOWN : REFUSED;
        return;
    }
    w.fates[r->token] = ACKED;
    if (r->token == BATCHES_MAX) {
        verify(&r->replies);
        return;
    }
    size_t offset = 0;
    struct reply_item item;
    assert_true(replies_next(&r->replies, &offset, &item));
    assert_int_equal(item.tag, REPLY_INTEGER);
    assert_int_equal(item.integer, 1);
    w.acked++;
}

static void keep_record(struct machine *m, const struct log_record *r)
{
    assert_int_equal(r->lsn, m->journal_count + 1);
    m->journal = memory_reserve(m->journal, &m->journal_capacity, m->journal_count + 1, sizeof *m->journal);
    m->journal[m->journal_count] = *r;
    m->journal[m->journal_count++].entry.value = payload_copy(&r->entry.value);
    note_vote(m, r);
}

static void hold(struct machine *m, const struct outgoing *out)
{
    m->held = memory_reserve(m->held, &m->held_capacity, m->held_count + 1, sizeof *m->held);
    m->held[m->held_count++] = (struct held){out->after, out->to, message_copy(&out->message)};
}

static void take_effect(struct machine *m, const struct effect *e)
{
    switch (e->tag) {
    case EFFECT_APPEND:
        keep_record(m, &e->val.append);
        break;
    case EFFECT_REPLY:
        take_reply(&e->val.reply);
        break;
    case EFFECT_LEADER:
        m->leader = e->val.leader.leader;
        break;
    case EFFECT_READ:
        m->read = e->val.read;
        m->has_read = true;
        break;
    case EFFECT_SEND:
        if (e->val.send.after <= m->durable)
            launch(m, e->val.send.to, &e->val.send.message);
        else
            hold(m, &e->val.send);
        break;
    default:
        fail_msg("seed %llu: node %u says that its state differs", (unsigned long long)w.seed, m->id);
    }
}

static void step(struct machine *m, const struct event *events, size_t count)
{
    uint64_t now = (m->resumes ? m->paused_at : w.now) + m->skew;
    m->resumes = false;
    struct step_result r = node_step(m->node, now, m->journal_count + 1, events, count);
    for (size_t i = 0; i < r.effects.len; i++)
        take_effect(m, &r.effects.ptr[i]);
    m->wake_at = r.wake_at == never ? never : r.wake_at > w.now + m->skew ? r.wake_at - m->skew : w.now;
    m->credit = r.credit;
    if (m->syncing == 0 && m->journal_count > m->durable) {
        m->syncing = m->journal_count;
        m->durable_at = w.now + 100 + draw(400);
    }
    check_status(m);
}

static void become_durable(struct machine *m)
{
    note_durable(m, m->durable, m->syncing);
    m->syncing = 0;
    struct event e = {.tag = EVENT_DURABLE, .val.durable = m->durable};
    size_t kept = 0;
    for (size_t i = 0; i < m->held_count; i++) {
        if (m->held[i].after <= m->durable) {
            launch(m, m->held[i].to, &m->held[i].message);
            message_free(&m->held[i].message);
        } else
            m->held[kept++] = m->held[i];
    }
    m->held_count = kept;
    step(m, &e, 1);
}

static void read_back(struct machine *m)
{
    m->has_read = false;
    size_t from = m->read.from - 1, to = m->read.to - 1 < m->journal_count ? m->read.to - 1 : m->journal_count;
    size_t count = from < to ? to - from : 0;
    count = count > 5 ? 5 : count;
    struct event e = {.tag = EVENT_RECORDS, .val.records = {m->journal + from, count}};
    step(m, &e, 1);
}

static void submit(struct machine *m, uint64_t token, struct batch_builder *b)
{
    w.fates[token] = WAITING;
    w.owner[token] = m->id;
    struct event e = {.tag = EVENT_COMMANDS, .val.commands = {.token = token, .value = batch_end(b)}};
    step(m, &e, 1);
    batch_builder_free(b);
}

static void add_command(struct batch_builder *b, const char *name, size_t batch)
{
    char key[32];
    int len = snprintf(key, sizeof key, "key-%zu", batch);
    struct bytes args[2] = {{(uint8_t *)(uintptr_t)name, strlen(name)}, {(uint8_t *)key, (size_t)len}};
    batch_add(b, args, 2);
}

static struct machine *any_taker(void)
{
    node_set takers = 0;
    for (uint32_t i = 1; i < NODES_MAX; i++) {
        const struct machine *m = &w.machines[i];
        if (m->exists && m->up && m->credit > 0 && m->paused_until <= w.now)
            takers |= node_set_of(i);
    }
    if (takers == 0)
        return NULL;
    for (uint64_t skip = draw(node_set_count(takers)); skip > 0; skip--)
        takers &= takers - 1;
    return &w.machines[node_set_first(takers)];
}

static void maybe_submit(void)
{
    struct machine *m = any_taker();
    if (m == NULL || w.batches == BATCHES_MAX)
        return;
    struct batch_builder b = {0};
    batch_begin(&b);
    add_command(&b, "INCR", w.batches++);
    submit(m, w.batches - 1, &b);
}

/* Asks for all keys, again when the answer got lost. */
static void maybe_ask_for_all(void)
{
    struct machine *m = any_taker();
    if (m == NULL || w.fates[BATCHES_MAX] == WAITING)
        return;
    struct batch_builder b = {0};
    batch_begin(&b);
    for (size_t i = 0; i < w.batches; i++)
        add_command(&b, "GET", i);
    submit(m, BATCHES_MAX, &b);
}

/* --- faults --------------------------------------------------------------------------------------------------------- */

static void start(struct machine *m)
{
    m->up = true;
    m->config.incarnation = ++m->incarnation;
    m->node = node_new(&m->config);
    m->syncing = 0;
    m->leader = m->credit = 0;
    m->has_read = m->resumes = false;
    m->paused_until = 0;
    m->skew = draw(1u << 30);
    m->durable_ballot = (struct ballot){0};
    if (m->votes_capacity > 0)
        memset(m->votes, 0, m->votes_capacity * sizeof *m->votes);
    for (size_t i = 0; i < m->journal_count; i += 7) {
        size_t count = m->journal_count - i < 7 ? m->journal_count - i : 7;
        for (size_t k = i; k < i + count; k++)
            note_vote(m, &m->journal[k]);
        struct event e = {.tag = EVENT_RECORDS, .val.records = {m->journal + i, count}};
        struct step_result r = node_step(m->node, w.now + m->skew, i + count + 1, &e, 1);
        assert_int_equal(r.effects.len, 0);
    }
    note_durable(m, 0, m->journal_count);
    struct event events[2] = {{.tag = EVENT_RECOVERED}, {.tag = EVENT_DURABLE, .val.durable = m->durable}};
    step(m, events, 2);
    struct node_status s = node_status(m->node);
    if (s.executed != 0 && s.executed < m->held_slots)
        fail_msg("seed %llu: node %u held %llu slots and comes back with %llu", (unsigned long long)w.seed, m->id,
                 (unsigned long long)m->held_slots, (unsigned long long)s.executed);
}

static void stop(struct machine *m)
{
    node_free(m->node);
    m->up = false;
    for (size_t i = 0; i < m->held_count; i++)
        message_free(&m->held[i].message);
    m->held_count = 0;
}

static void shorten_journal(struct machine *m, size_t keep)
{
    while (m->journal_count > keep)
        payload_free(&m->journal[--m->journal_count].entry.value);
}

/* Kills a machine: of what was not synced some prefix survives. Its clients will never hear. */
static void crash(struct machine *m)
{
    if (!m->up)
        return;
    stop(m);
    shorten_journal(m, m->durable + draw(m->journal_count - m->durable + 1));
    m->restart_at = w.now + 1000 + draw(800000);
    for (size_t i = 0; i <= BATCHES_MAX; i++)
        if (w.fates[i] == WAITING && w.owner[i] == m->id)
            w.fates[i] = UNKNOWN;
}

static node_set everyone(void)
{
    node_set all = 0;
    for (uint32_t i = 1; i < NODES_MAX; i++)
        all |= w.machines[i].exists ? node_set_of(i) : 0;
    return all;
}

static void heal_network(void)
{
    memset(w.cut, 0, sizeof w.cut);
    w.cut_until = never;
}

static void cut_off(uint32_t node, bool out, bool in)
{
    heal_network();
    w.cut_until = w.now + draw(6000000);
    node_set all = everyone();
    for (uint32_t i = 1; i < NODES_MAX; i++) {
        bool other = chance(800) && i != node; /* mostly all links, sometimes only some */
        if (out && other)
            w.cut[node] |= node_set_of(i) & all;
        if (in && other)
            w.cut[i] |= node_set_of(node);
    }
}

static void pause(struct machine *m)
{
    m->paused_at = w.now;
    m->paused_until = w.now + draw(4000000);
    m->resumes = chance(500);
}

/* Leaders are the more interesting victims. */
static struct machine *victim(void)
{
    struct machine *m = &w.machines[1 + draw(NODES_MAX - 1)];
    if (m->exists && chance(500) && m->leader != 0)
        m = &w.machines[m->leader];
    return m->exists && m->up ? m : NULL;
}

static void strike(struct machine *m, enum fault fault)
{
    switch (fault) {
    case CRASH_ALL:
        for (size_t i = 1; i < NODES_MAX; i++)
            crash(&w.machines[i]);
        break;
    case PAUSE:
        pause(m);
        break;
    case ISOLATE:
    case DEAFEN:
    case MUTE:
        cut_off(m->id, fault != DEAFEN, fault != MUTE);
        break;
    case STALL:
        if (m->syncing != 0)
            m->durable_at = w.now + draw(4000000);
        break;
    case JUMP:
        m->skew += draw(5000000);
        break;
    case EMPTY:
        if (!w.standalone || w.one_stays_dead)
            break;
        m = &w.machines[1]; /* always the same learner: two would be a lost majority */
        crash(m);
        shorten_journal(m, 0);
        m->durable = 0;
        m->held_slots = 0;
        break;
    default:
        crash(m);
    }
}

static void maybe_fail(void)
{
    if (draw(20000) >= w.faults)
        return;
    enum fault fault = (enum fault)draw(FAULTS);
    struct machine *m = victim();
    if (m != NULL)
        strike(m, fault);
}

/* All faults stop. */
static void heal(void)
{
    w.drop = w.twice = w.slow = w.faults = 0;
    heal_network();
    uint32_t dead_of_three = (uint32_t)draw(3) + 1;
    for (uint32_t i = 1; i < NODES_MAX; i++) {
        struct machine *m = &w.machines[i];
        m->paused_until = 0;
        if (m->syncing != 0 && m->durable_at > w.now + 500)
            m->durable_at = w.now;
        if (w.one_stays_dead && i % 3 == dead_of_three % 3) {
            crash(m);
            m->exists = false;
        }
    }
}

/* --- a run ---------------------------------------------------------------------------------------------------------- */

static void deliver(size_t index)
{
    struct flight f = w.flights[index];
    w.flights[index] = w.flights[--w.flight_count];
    struct machine *m = &w.machines[f.to];
    struct event e = {.tag = EVENT_MESSAGE, .val.message = {f.from, f.message}};
    if (m->up)
        step(m, &e, 1);
    message_free(&f.message);
}

enum happening { NOTHING, DELIVERY, RESTART, DURABLE, READ, WAKE, HEAL };

struct next {
    uint64_t at;
    enum happening what;
    size_t which;
};

static void sooner(struct next *next, uint64_t at, enum happening what, size_t which)
{
    if (at < next->at)
        *next = (struct next){at, what, which};
}

static uint64_t unpaused(const struct machine *m, uint64_t at) { return at < m->paused_until ? m->paused_until : at; }

/* The earliest thing to happen; virtual time jumps there. */
static void happen(void)
{
    struct next next = {never, NOTHING, 0};
    sooner(&next, w.cut_until, HEAL, 0);
    for (size_t i = 0; i < w.flight_count; i++)
        sooner(&next, unpaused(&w.machines[w.flights[i].to], w.flights[i].at), DELIVERY, i);
    for (size_t i = 1; i < NODES_MAX; i++) {
        const struct machine *m = &w.machines[i];
        if (!m->exists)
            continue;
        if (!m->up) {
            sooner(&next, m->restart_at, RESTART, i);
            continue;
        }
        if (m->syncing != 0)
            sooner(&next, unpaused(m, m->durable_at), DURABLE, i);
        if (m->has_read)
            sooner(&next, unpaused(m, w.now), READ, i);
        sooner(&next, unpaused(m, m->wake_at), WAKE, i);
    }
    w.now = next.at > w.now ? next.at : w.now;
    struct machine *m = next.what == DELIVERY ? NULL : &w.machines[next.which];
    if (next.what == HEAL)
        heal_network();
    else if (next.what == DELIVERY)
        deliver(next.which);
    else if (next.what == RESTART)
        start(m);
    else if (next.what == DURABLE)
        become_durable(m);
    else if (next.what == READ)
        read_back(m);
    else
        step(m, NULL, 0);
}

static void create(uint32_t id, bool send_learns, bool forward)
{
    static const uint32_t alphas[] = {1, 2, 8, 8, 64, 512};
    struct machine *m = &w.machines[id];
    m->id = id;
    m->exists = true;
    m->config = (struct node_config){
        .node = id,
        .proposers = w.standalone ? 0x380 : 0xe,
        .acceptors = w.standalone ? 0x70 : 0xe,
        .learners = 0xe,
        .phase1_quorum = 2,
        .phase2_quorum = 2,
        .alpha = alphas[w.seed * 7 % 6],
        .batches_in_flight = 4,
        .bytes_in_flight_max = 1 << 20,
        .chunk_bytes_max = 100,
        .learn_gap_max = 5,
        .acceptors_send_learns = send_learns,
        .forward = forward,
        .leader_rule = w.rule_highest ? LEADER_HIGHEST : LEADER_STICKY,
        .heartbeat_interval = 100000,
        .suspect_timeout = 400000,
        .dead_timeout = 1000000,
        .prepare_timeout = 100000,
        .retry_interval = 100000,
        .exec_interval = 100000,
        .request_timeout = 5000000,
    };
    start(m);
}

static void destroy(void)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        struct machine *m = &w.machines[i];
        if (m->up)
            stop(m);
        shorten_journal(m, 0);
        free(m->journal);
        free(m->held);
        free(m->votes);
    }
    for (size_t i = 0; i < w.flight_count; i++)
        message_free(&w.flights[i].message);
    free(w.flights);
}

/* What every node knows, for a failure's report. */
static void show(void)
{
    for (size_t i = 1; i < NODES_MAX; i++) {
        struct machine *m = &w.machines[i];
        if (!m->exists || !m->up)
            continue;
        struct node_status s = node_status(m->node);
        printf(
            "node %zu: state %u leader %u ballot %llu.%u.%u promised %llu.%u chosen %llu executed %llu held %llu credit %u "
            "waiting %llu\n",
            i, s.proposer_state, s.leader, (unsigned long long)s.ballot.round, s.ballot.node, s.ballot.incarnation,
            (unsigned long long)s.promised.round, s.promised.node, (unsigned long long)s.chosen,
            (unsigned long long)s.executed, (unsigned long long)s.held, m->credit, (unsigned long long)s.batches_waiting);
    }
}

static bool converged(void)
{
    uint64_t executed = 0;
    for (size_t i = 1; i < NODES_MAX; i++) {
        struct machine *m = &w.machines[i];
        if (!m->exists || !node_set_has(m->config.learners, m->id))
            continue;
        if (!m->up)
            return false;
        uint64_t e = node_status(m->node).executed;
        if (executed != 0 && e != executed)
            return false;
        executed = e;
    }
    for (size_t i = 0; i < w.batches; i++)
        if (w.fates[i] == WAITING)
            return false;
    return true;
}

static void must_not_take_longer(uint64_t since, const char *what)
{
    if (w.now - since <= 30000000)
        return;
    show();
    fail_msg("seed %llu: no %s 30 s after all faults stopped", (unsigned long long)w.seed, what);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void run(uint64_t seed, bool standalone, bool send_learns, bool forward)
{
    memset(&w, 0, sizeof w);
    w.seed = seed;
    w.standalone = standalone;
    w.random = seed * 0x9e3779b97f4a7c15u + 1;
    w.now = 1000000;
    w.cut_until = never;
    draw(2); /* the first one still looks like the seed */
    w.rule_highest = chance(250);
    w.one_stays_dead = chance(500);
    w.drop = chance(500) ? (uint32_t)draw(100) : 0;
    w.twice = chance(500) ? (uint32_t)draw(100) : 0;
    w.slow = chance(500) ? (uint32_t)draw(50) : 0;
    w.faults = chance(750) ? (uint32_t)draw(30) + 1 : 0;
    w.load = chance(500) ? 20 : 100;
    for (uint32_t id = 1; id <= (standalone ? 9 : 3); id++)
        create(id, send_learns, forward);
    for (uint64_t i = 0, events = number_from("EVENTS", 20000); i < events; i++) {
        happen();
        if (chance(w.load))
            maybe_submit();
        maybe_fail();
    }
    heal();
    uint64_t healed_at = w.now;
    while (!converged()) {
        happen();
        must_not_take_longer(healed_at, "agreement");
    }
    healed_at = w.now;
    while (!w.verified) {
        happen();
        maybe_ask_for_all();
        must_not_take_longer(healed_at, "service");
    }
    if (getenv("VERBOSE"))
        printf("seed %llu: %zu of %zu batches acknowledged\n", (unsigned long long)seed, w.acked, w.batches);
    destroy();
}

static void run_all(bool standalone, uint64_t runs)
{
    uint64_t first = number_from("SEED", 1), count = number_from("RUNS", runs);
    for (uint64_t seed = first; seed < first + count; seed++)
        run(seed, standalone, seed % 2 == 0, seed % 3 == 0);
}

static void all_roles_in_every_node(void **state)
{
    (void)state;
    run_all(false, 45);
}

static void one_role_a_node(void **state)
{
    (void)state;
    run_all(true, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_roles_in_every_node), cmocka_unit_test(one_role_a_node)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
