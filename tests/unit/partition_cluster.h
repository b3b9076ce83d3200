/* A small cluster of agents on one clock, for tests of what lasts: messages take one tick, records are durable at the next
 * one, and any message between two nodes may be lost for as long as the test likes. Clients ask the node that says that it
 * leads. */
#ifndef SYNOD_TESTS_UNIT_PARTITION_CLUSTER_H
#define SYNOD_TESTS_UNIT_PARTITION_CLUSTER_H

#include "core/agents/acceptor_agent.h"
#include "core/agents/configurations.h"
#include "core/agents/learner_agent.h"
#include "core/agents/proposer_agent.h"
#include "core/base/memory.h"
#include "core/base/message.h"
#include "core/formats/batch.h"
#include "core/runners/coordinator.h"
#include "tests/unit/protocol.h"

enum { MEMBERS_MAX = 9, TICK_US = 5000, ASK_EVERY_US = 50000, SECOND_US = 1000000, CLIENTS = 3 };

enum cluster_role { ROLE_COORDINATOR, ROLE_PROPOSER, ROLE_ACCEPTOR, ROLE_LEARNER };

struct cluster_member {
    enum cluster_role role;
    void *agent;
    struct event *inbox; /* owns its messages */
    size_t inbox_count, inbox_capacity;
    struct log_record *journal; /* by lsn, from 1 */
    size_t journal_count, journal_capacity, durable;
    struct outgoing *held; /* messages that wait for a record */
    size_t held_count, held_capacity;
    struct read_range read; /* to be answered; from 0: none */
    uint32_t credit, waiting;
    uint64_t wake_at;
    bool down;
    struct node_status status;
};

struct cluster {
    uint32_t count;
    struct cluster_member members[MEMBERS_MAX + 1];
    uint64_t now;
    node_set cut[MEMBERS_MAX + 1];        /* by sender: who hears nothing of it */
    node_set black_hole[MEMBERS_MAX + 1]; /* by sender: who gets none of its ACCEPTs */
    uint64_t token;
    uint64_t served, served_at; /* commands executed and answered; when the last one was */
    uint64_t longest_gap;       /* since the last cluster_watch */
    uint64_t led;               /* leaderships that began since then */
    struct ballot last_led[MEMBERS_MAX + 1];
    uint32_t clients;                                                             /* of each node that takes requests */
    void (*tell)(const struct cluster *c, uint32_t node, const struct effect *e); /* may be NULL: each effect of a step */
};

static inline struct step_result member_step(struct cluster_member *m, uint64_t now, const struct event *events,
                                             size_t count)
{
    uint64_t lsn = m->journal_count + 1;
    switch (m->role) {
    case ROLE_PROPOSER:
        return proposer_agent_step(m->agent, now, lsn, events, count);
    case ROLE_ACCEPTOR:
        return acceptor_agent_step(m->agent, now, lsn, events, count);
    case ROLE_LEARNER:
        return learner_agent_step(m->agent, now, lsn, events, count);
    default:
        return coordinator_step(m->agent, now, lsn, events, count);
    }
}

static inline void member_hears(struct cluster *c, uint32_t to, const struct event *event)
{
    struct cluster_member *m = &c->members[to];
    m->inbox = memory_reserve(m->inbox, &m->inbox_capacity, m->inbox_count + 1, sizeof *m->inbox);
    m->inbox[m->inbox_count++] = *event;
}

static inline void cluster_send(struct cluster *c, uint32_t sender, const struct outgoing *out)
{
    for (node_set i = out->to; i != 0; i &= i - 1) {
        uint32_t to = node_set_first(i);
        bool hole = out->message.kind == MESSAGE_ACCEPT && node_set_has(c->black_hole[sender], to);
        if (to > c->count || c->members[to].down || node_set_has(c->cut[sender], to) || hole)
            continue;
        struct event e = from(sender, message_copy(&out->message));
        member_hears(c, to, &e);
    }
}

static inline void member_new_agent(struct cluster_member *m, const struct node_config *config, uint8_t duties)
{
    const bool proposes = (duties & DUTY_PROPOSES) != 0, accepts = (duties & DUTY_ACCEPTS) != 0;
    m->role = proposes && accepts ? ROLE_COORDINATOR : proposes ? ROLE_PROPOSER : accepts ? ROLE_ACCEPTOR : ROLE_LEARNER;
    m->agent = m->role == ROLE_COORDINATOR ? (void *)coordinator_new(config)
               : m->role == ROLE_PROPOSER  ? (void *)proposer_agent_new(config)
               : m->role == ROLE_ACCEPTOR  ? (void *)acceptor_agent_new(config)
                                           : (void *)learner_agent_new(config);
}

static inline void member_free_agent(struct cluster_member *m)
{
    if (m->role == ROLE_COORDINATOR)
        coordinator_free(m->agent);
    else if (m->role == ROLE_PROPOSER)
        proposer_agent_free(m->agent);
    else if (m->role == ROLE_ACCEPTOR)
        acceptor_agent_free(m->agent);
    else
        learner_agent_free(m->agent);
}

static inline void cluster_init(struct cluster *c, uint32_t count, const struct node_config *config)
{
    memset(c, 0, sizeof *c);
    c->count = count;
    c->clients = CLIENTS;
    c->now = SECOND_US;
    for (uint32_t i = 1; i <= count; i++) {
        struct cluster_member *m = &c->members[i];
        struct node_config own = *config;
        own.node = i;
        member_new_agent(m, &own, duties_of(&own));
        member_hears(c, i, &(struct event){.tag = EVENT_RECOVERED});
    }
}

static inline void member_clear_inbox(struct cluster_member *m, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (m->inbox[i].tag == EVENT_MESSAGE)
            message_free(&m->inbox[i].val.message.message);
    m->inbox_count -= count;
    memmove(m->inbox, m->inbox + count, m->inbox_count * sizeof *m->inbox);
}

static inline void cluster_close(struct cluster *c)
{
    for (uint32_t i = 1; i <= c->count; i++) {
        struct cluster_member *m = &c->members[i];
        member_free_agent(m);
        member_clear_inbox(m, m->inbox_count);
        for (size_t n = 0; n < m->journal_count; n++)
            payload_free(&m->journal[n].entry.value);
        for (size_t n = 0; n < m->held_count; n++)
            message_free(&m->held[n].message);
        free(m->inbox);
        free(m->journal);
        free(m->held);
    }
}

static inline void member_take_effect(struct cluster *c, uint32_t node, const struct effect *e)
{
    struct cluster_member *m = &c->members[node];
    if (c->tell != NULL)
        c->tell(c, node, e);
    if (e->tag == EFFECT_SEND) {
        m->held = memory_reserve(m->held, &m->held_capacity, m->held_count + 1, sizeof *m->held);
        m->held[m->held_count] = e->val.send;
        m->held[m->held_count++].message = message_copy(&e->val.send.message);
    } else if (e->tag == EFFECT_APPEND) {
        m->journal = memory_reserve(m->journal, &m->journal_capacity, m->journal_count + 1, sizeof *m->journal);
        m->journal[m->journal_count] = e->val.append;
        m->journal[m->journal_count++].entry.value = payload_copy(&e->val.append.entry.value);
    } else if (e->tag == EFFECT_READ) {
        m->read = e->val.read;
    } else if (e->tag == EFFECT_REPLY) {
        m->waiting--;
        if (e->val.reply.outcome == OUTCOME_EXECUTED) {
            c->longest_gap = c->now - c->served_at > c->longest_gap ? c->now - c->served_at : c->longest_gap;
            c->served_at = c->now;
            c->served++;
        }
    }
}

/* Now and then clients have a few requests at each node that leads, and takes any. (The others take reads.) */
static inline void member_submit(struct cluster *c, uint32_t node)
{
    struct cluster_member *m = &c->members[node];
    struct bytes arg = {(uint8_t *)(uintptr_t)"DBSIZE", 6};
    const bool leads = m->status.leader == node;
    while (c->now % ASK_EVERY_US == 0 && leads && m->waiting < c->clients && m->credit > 0) {
        static struct batch_builder builders[CLIENTS];
        struct batch_builder *b = &builders[m->waiting];
        batch_begin(b);
        batch_add(b, &arg, 1);
        struct event e = {.tag = EVENT_COMMANDS, .val.commands = {.token = ++c->token, .value = batch_end(b)}};
        member_hears(c, node, &e);
        m->waiting++;
        m->credit--;
    }
}

/* Sends what the first `count` of the held messages are, and of the others those that wait for no record. */
static inline void member_send_held(struct cluster *c, uint32_t node, size_t count)
{
    struct cluster_member *m = &c->members[node];
    size_t kept = 0;
    for (size_t i = 0; i < m->held_count; i++) {
        if (i >= count && m->held[i].after > m->durable) {
            m->held[kept++] = m->held[i];
            continue;
        }
        cluster_send(c, node, &m->held[i]);
        message_free(&m->held[i].message);
    }
    m->held_count = kept;
}

static inline void member_note_leading(struct cluster *c, uint32_t node)
{
    struct cluster_member *m = &c->members[node];
    if (m->role != ROLE_COORDINATOR && m->role != ROLE_PROPOSER)
        return;
    m->status = m->role == ROLE_COORDINATOR ? coordinator_status(m->agent) : proposer_agent_status(m->agent);
    if (m->status.proposer_state == PROPOSER_LEADING && ballot_compare(m->status.ballot, c->last_led[node]) != 0) {
        c->last_led[node] = m->status.ballot;
        c->led++;
    }
}

/* What was appended in the turn before is durable now. A node that has nothing to do is let sleep. */
static inline void member_turn(struct cluster *c, uint32_t node)
{
    struct cluster_member *m = &c->members[node];
    struct event durable_to = durable(m->journal_count), records = {.tag = EVENT_RECORDS};
    size_t held = m->held_count;
    if (m->durable < m->journal_count) {
        m->durable = m->journal_count;
        member_hears(c, node, &durable_to);
    }
    if (m->read.from != 0) {
        uint64_t to = m->read.to - 1 < m->journal_count ? m->read.to - 1 : m->journal_count;
        if (m->read.from <= to)
            records.val.records = (struct record_list){m->journal + m->read.from - 1, (size_t)(to - m->read.from + 1)};
        m->read.from = 0;
        member_hears(c, node, &records);
    }
    member_submit(c, node);
    if (m->inbox_count > 0 || c->now >= m->wake_at) {
        size_t count = m->inbox_count;
        struct step_result r = member_step(m, c->now, m->inbox, count);
        for (size_t i = 0; i < r.effects.len; i++)
            member_take_effect(c, node, &r.effects.ptr[i]);
        m->credit = r.credit.commands;
        m->wake_at = r.wake_at;
        member_clear_inbox(m, count);
        member_note_leading(c, node);
    }
    member_send_held(c, node, held);
}

static inline void cluster_run(struct cluster *c, uint64_t time_us)
{
    for (uint64_t end = c->now + time_us; c->now < end;) {
        c->now += TICK_US;
        for (uint32_t i = 1; i <= c->count; i++)
            if (!c->members[i].down)
                member_turn(c, i);
    }
}

/* From here on gaps and leaderships count. */
static inline void cluster_watch(struct cluster *c)
{
    c->served_at = c->now;
    c->longest_gap = c->led = 0;
}

/* The longest time without an answer since cluster_watch. */
static inline uint64_t cluster_gap(const struct cluster *c)
{
    uint64_t open = c->now - c->served_at;
    return open > c->longest_gap ? open : c->longest_gap;
}

#endif
