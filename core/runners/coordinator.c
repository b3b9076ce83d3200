/* One step calls the proposer agent, then the acceptor agent, then the learner agent. Each is called once, and only if there
 * is an event for it or its time has come. A message of an agent to its own node reaches the agents called later in the same
 * step, and the others in the next step. Messages that wait for a record to be durable wait here, exactly as sent ones wait
 * in the runner (P2).
 *
 * The proposer agent is called a second time, at the end, when the others have answered it and nothing of this step lies in
 * its memory any more, which its next call would free: so a client that is alone has its answer in the step that executes
 * its command. */
#include "core/runners/coordinator.h"

#include "core/agents/acceptor_agent.h"
#include "core/agents/effects.h"
#include "core/agents/learner_agent.h"
#include "core/agents/proposer_agent.h"
#include "core/base/assert.h"
#include "core/formats/batch.h"

enum role_bit { TO_PROPOSER = 1, TO_ACCEPTOR = 2, TO_LEARNER = 4, TO_ALL = 7 };
enum { AGENTS = 3 };

/* Which agents of this node hear a message of each kind. */
static const uint8_t hears[MESSAGE_KINDS] = {
    [MESSAGE_PREPARE] = TO_ACCEPTOR,
    [MESSAGE_PROMISE] = TO_PROPOSER,
    [MESSAGE_ACCEPT] = TO_ACCEPTOR | TO_LEARNER,
    [MESSAGE_ACCEPTED] = TO_PROPOSER | TO_LEARNER,
    [MESSAGE_NACK] = TO_PROPOSER,
    [MESSAGE_HEARTBEAT] = TO_ALL,
    [MESSAGE_ALIVE] = TO_PROPOSER,
    [MESSAGE_ASK] = TO_ACCEPTOR,
    [MESSAGE_LOST] = TO_PROPOSER,
    [MESSAGE_CHOSEN] = TO_LEARNER,
    [MESSAGE_LEARN_REQUEST] = TO_LEARNER,
    [MESSAGE_LEARN] = TO_LEARNER,
    [MESSAGE_RESULT_REQUEST] = TO_LEARNER,
    [MESSAGE_EXECUTED] = TO_PROPOSER,
    [MESSAGE_PROGRESS] = TO_ALL,
    [MESSAGE_FORWARD] = TO_PROPOSER,
    [MESSAGE_HANDOVER] = TO_PROPOSER,
    [MESSAGE_SNAPSHOT] = TO_LEARNER,
    [MESSAGE_SNAPSHOT_FETCH] = TO_LEARNER,
    [MESSAGE_SNAPSHOT_PART] = TO_LEARNER,
    [MESSAGE_CONFIGURATION] = TO_ALL,
    [MESSAGE_READ_ROUND] = TO_ACCEPTOR,
    [MESSAGE_READ_CONFIRMED] = TO_PROPOSER,
    [MESSAGE_QUERY] = TO_LEARNER,
    [MESSAGE_QUERY_ANSWER] = TO_PROPOSER,
    [MESSAGE_READ_INDEX] = TO_PROPOSER,
};

struct event_buffer {
    struct event *items;
    size_t count;
    size_t capacity;
};

/* A message of this node to itself. */
struct local_message {
    uint64_t after;
    uint8_t agents; /* those that have not heard it yet */
    bool heard;     /* in this step: effects may point into it until the next one */
    struct message message;
};

struct coordinator {
    struct node_config config;
    struct proposer_agent *proposer;
    struct acceptor_agent *acceptor;
    struct learner_agent *learner;
    bool recovered;
    struct configuration newest; /* that is known; slot 0: the first one */
    uint64_t durable;
    uint64_t wake_at[AGENTS];
    struct credit credit;
    struct truncation truncations[AGENTS]; /* what acceptor and learner said last */
    uint64_t truncated_lsn;
    struct event_buffer inbox[AGENTS];
    uint8_t to_call;              /* agents whose turn in this step comes yet: enum role_bit */
    bool proposer_is_free;        /* in this step: it may be called again */
    struct event_buffer answers;  /* what it hears then */
    struct local_message *locals; /* in order; those due are heard at the next step's start */
    size_t local_count, local_capacity;
    struct configured *configured; /* copies of what the learner has said in the step before, for the others */
    size_t configured_count, configured_capacity;
    struct effects effects;
};

struct coordinator *coordinator_new(const struct node_config *config)
{
    struct coordinator *c = memory_new(1, sizeof *c);
    c->config = *config;
    c->newest.acceptors_send_learns = config->acceptors_send_learns;
    c->proposer = proposer_agent_new(config);
    c->acceptor = acceptor_agent_new(config);
    c->learner = learner_agent_new(config);
    return c;
}

static void forget_configured(struct coordinator *c)
{
    for (size_t i = 0; i < c->configured_count; i++)
        payload_free(&c->configured[i].text);
    c->configured_count = 0;
}

void coordinator_free(struct coordinator *c)
{
    proposer_agent_free(c->proposer);
    acceptor_agent_free(c->acceptor);
    learner_agent_free(c->learner);
    for (size_t i = 0; i < c->local_count; i++)
        message_free(&c->locals[i].message);
    free(c->locals);
    forget_configured(c);
    free(c->configured);
    for (int i = 0; i < AGENTS; i++)
        free(c->inbox[i].items);
    free(c->answers.items);
    effects_close(&c->effects);
    free(c);
}

static void add_event(struct event_buffer *b, const struct event *event)
{
    b->items = memory_reserve(b->items, &b->capacity, b->count + 1, sizeof *b->items);
    b->items[b->count++] = *event;
}

static void put(struct coordinator *c, uint8_t agents, const struct event *event)
{
    for (int i = 0; i < AGENTS; i++)
        if ((agents >> i & 1) != 0)
            add_event(&c->inbox[i], event);
}

static uint8_t agents_for(const struct coordinator *c, const struct message *m)
{
    uint8_t agents = hears[m->kind];
    /* A learner would count the few votes that it happens to get. So only the proposer hears votes, unless acceptors send
     * them to all learners. */
    if (m->kind == MESSAGE_ACCEPTED && !c->newest.acceptors_send_learns)
        agents = TO_PROPOSER;
    return agents;
}

static void note_configuration(struct coordinator *c, const struct configured *said)
{
    if (said->configuration.slot > c->newest.slot)
        c->newest = said->configuration;
}

static struct event heard_from(uint32_t sender, const struct message *m)
{
    return (struct event){.tag = EVENT_MESSAGE, .val.message = {.sender = sender, .message = *m}};
}

static void put_message(struct coordinator *c, uint8_t agents, uint32_t sender, const struct message *m)
{
    const struct event event = heard_from(sender, m);
    put(c, agents, &event);
}

/* Values that the acceptor remembers as votes and the learner until they are chosen are kept once for both. */
static void distribute_message(struct coordinator *c, uint32_t sender, const struct message *m)
{
    if (m->kind == MESSAGE_ACCEPT && acceptor_agent_is_near())
        m = effects_keep(&c->effects, m);
    put_message(c, agents_for(c, m), sender, m);
}

static void distribute(struct coordinator *c, const struct event *event)
{
    uint64_t age;
    switch (event->tag) {
    case EVENT_MESSAGE:
        distribute_message(c, event->val.message.sender, &event->val.message.message);
        break;
    case EVENT_READS: /* those that may be stale are answered by the learner */
        put(c, batch_may_be_stale(&event->val.reads.value, &age) ? TO_PROPOSER | TO_LEARNER : TO_PROPOSER, event);
        break;
    case EVENT_COMMANDS:
    case EVENT_STOP:
    case EVENT_WALL_CLOCK:
        put(c, TO_PROPOSER, event);
        break;
    case EVENT_REQUEST:
        put(c, TO_PROPOSER | TO_LEARNER, event);
        break;
    case EVENT_DURABLE:
        c->durable = event->val.durable;
        put(c, TO_PROPOSER | TO_LEARNER, event);
        break;
    case EVENT_RECORDS:
        put(c, c->recovered ? TO_LEARNER : TO_ACCEPTOR | TO_LEARNER, event);
        break;
    case EVENT_SNAPSHOT:
    case EVENT_WATCH:
        put(c, TO_LEARNER, event);
        break;
    case EVENT_CONFIGURATION:
        note_configuration(c, &event->val.configuration);
        put(c, TO_ALL, event);
        break;
    case EVENT_RECOVERED:
        c->recovered = true;
        put(c, TO_ALL, event);
        break;
    default:
        break;
    }
}

/* Hears what this node said to itself in earlier steps, if its records are durable by now. */
static void hear_locals(struct coordinator *c)
{
    for (size_t i = 0; i < c->local_count; i++) {
        c->locals[i].heard = c->locals[i].after <= c->durable;
        if (c->locals[i].heard)
            put_message(c, c->locals[i].agents, c->config.node, &c->locals[i].message);
    }
}

/* Drops what was heard in the step before. */
static void forget_heard(struct coordinator *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->local_count; i++) {
        if (c->locals[i].heard)
            message_free(&c->locals[i].message);
        else
            c->locals[kept++] = c->locals[i];
    }
    c->local_count = kept;
}

/* True when something said in this step can be heard in the next one at once. */
static bool local_is_due(const struct coordinator *c)
{
    for (size_t i = 0; i < c->local_count; i++)
        if (!c->locals[i].heard && c->locals[i].after <= c->durable)
            return true;
    return false;
}

static void keep_local(struct coordinator *c, uint64_t after, uint8_t agents, const struct message *m)
{
    c->locals = memory_reserve(c->locals, &c->local_capacity, c->local_count + 1, sizeof *c->locals);
    c->locals[c->local_count++] = (struct local_message){.after = after, .agents = agents, .message = message_copy(m)};
}

/* Acceptor and learner have one journal: what both do not need may go. */
static void take_truncation(struct coordinator *c, int from, struct truncation said)
{
    c->truncations[from] = said;
    const struct truncation acceptor = c->truncations[1], learner = c->truncations[2];
    const uint64_t lsn = acceptor.lsn < learner.lsn ? acceptor.lsn : learner.lsn;
    if (lsn <= c->truncated_lsn)
        return;
    c->truncated_lsn = lsn;
    effects_add(&c->effects, EFFECT_TRUNCATE)->val.truncate =
        (struct truncation){.lsn = lsn, .after = acceptor.after > learner.after ? acceptor.after : learner.after};
}

static void keep_configured(struct coordinator *c, const struct configured *said)
{
    c->configured = memory_reserve(c->configured, &c->configured_capacity, c->configured_count + 1, sizeof *c->configured);
    c->configured[c->configured_count] = *said;
    c->configured[c->configured_count++].text = payload_copy(&said->text);
}

static void tell_configured(struct coordinator *c)
{
    for (size_t i = 0; i < c->configured_count; i++) {
        const struct event event = {.tag = EVENT_CONFIGURATION, .val.configuration = c->configured[i]};
        put(c, TO_PROPOSER | TO_ACCEPTOR, &event);
    }
}

/* The others know of it before they hear anything that comes of it: what the proposer has asked for in this step, what the
 * learner has executed in the next one. */
static void take_configured(struct coordinator *c, int from, const struct configured *said)
{
    const struct event event = {.tag = EVENT_CONFIGURATION, .val.configuration = *said};
    note_configuration(c, said);
    invariant(from != 0 || c->to_call != 0); /* no proposer learns of one by an answer of its own learner */
    if (from == 0)
        put(c, TO_ACCEPTOR | TO_LEARNER, &event);
    else
        keep_configured(c, said);
}

/* Those that are still called in this step hear it then, the others in the next one. */
static void tell_own(struct coordinator *c, const struct outgoing *out)
{
    uint8_t left = agents_for(c, &out->message);
    if (out->after <= c->durable) {
        const uint8_t later = c->to_call & left;
        put_message(c, later, c->config.node, &out->message);
        left &= (uint8_t)~later;
        if (c->proposer_is_free && out->message.kind == MESSAGE_EXECUTED) {
            const struct event event = heard_from(c->config.node, &out->message);
            add_event(&c->answers, &event);
            left &= (uint8_t)~TO_PROPOSER;
        }
    }
    if (left != 0)
        keep_local(c, out->after, left, &out->message);
}

/* Takes over one effect of the agent number `from`; the part that concerns this node goes into inboxes. */
static void take_effect(struct coordinator *c, int from, const struct effect *effect)
{
    node_set self = node_set_of(c->config.node);
    if (effect->tag == EFFECT_SEND && (effect->val.send.to & self) != 0) {
        tell_own(c, &effect->val.send);
        if (effect->val.send.to == self)
            return;
    }
    if (effect->tag == EFFECT_LEADER && from != 0)
        return; /* the proposer agent knows best, because it also notices silence */
    if (effect->tag == EFFECT_TRUNCATE) {
        take_truncation(c, from, effect->val.truncate);
        return;
    }
    if (effect->tag == EFFECT_CONFIGURATION && !effect->val.configuration.settled)
        take_configured(c, from, &effect->val.configuration);
    struct effect *taken = effects_add(&c->effects, effect->tag);
    *taken = *effect;
    if (effect->tag == EFFECT_SEND)
        taken->val.send.to &= ~self;
    if (effect->tag != EFFECT_APPEND)
        return;
    c->effects.lsn++;
    if (from == 1 && effect->val.append.kind == RECORD_ACCEPTED) {
        const struct log_record *r = &effect->val.append;
        struct event event = {.tag = EVENT_APPENDED};
        event.val.appended = (struct appended){.lsn = r->lsn, .slot = r->entry.slot, .ballot = r->entry.ballot};
        put(c, TO_LEARNER, &event);
    }
}

static struct step_result call_agent(struct coordinator *c, int agent, const struct event_buffer *b, uint64_t now)
{
    if (agent == 0)
        return proposer_agent_step(c->proposer, now, c->effects.lsn, b->items, b->count);
    if (agent == 1)
        return acceptor_agent_step(c->acceptor, now, c->effects.lsn, b->items, b->count);
    return learner_agent_step(c->learner, now, c->effects.lsn, b->items, b->count);
}

/* Nothing of it lies in the memory of the agent that said it. */
static bool is_flat(const struct effect *e)
{
    return e->tag == EFFECT_LEADER || (e->tag == EFFECT_SEND && e->val.send.message.entries.len == 0);
}

static void step_agent(struct coordinator *c, int agent, const struct event_buffer *heard, uint64_t now)
{
    const struct step_result r = call_agent(c, agent, heard, now);
    c->wake_at[agent] = r.wake_at;
    if (agent == 0)
        c->credit = r.credit;
    for (size_t i = 0; i < r.effects.len; i++) {
        c->proposer_is_free &= agent != 0 || is_flat(&r.effects.ptr[i]);
        take_effect(c, agent, &r.effects.ptr[i]);
    }
}

struct step_result coordinator_step(struct coordinator *c, uint64_t now, uint64_t lsn, const struct event *events,
                                    size_t count)
{
    effects_begin(&c->effects, lsn);
    forget_heard(c);
    for (int i = 0; i < AGENTS; i++)
        c->inbox[i].count = 0;
    c->answers.count = 0;
    c->proposer_is_free = true;
    tell_configured(c);
    for (size_t i = 0; i < count; i++)
        distribute(c, &events[i]);
    hear_locals(c);
    for (int agent = 0; agent < AGENTS; agent++) {
        c->to_call = (uint8_t)(TO_ALL << (agent + 1)) & TO_ALL;
        if (agent == AGENTS - 1)
            forget_configured(c);
        if (c->inbox[agent].count == 0 && now < c->wake_at[agent])
            continue;
        step_agent(c, agent, &c->inbox[agent], now);
    }
    c->proposer_is_free = false; /* what it says now is heard in the next step */
    if (c->answers.count > 0)
        step_agent(c, 0, &c->answers, now);
    uint64_t wake = local_is_due(c) || c->configured_count > 0 ? now : UINT64_MAX;
    for (int i = 0; i < AGENTS; i++)
        wake = c->wake_at[i] < wake ? c->wake_at[i] : wake;
    return effects_end(&c->effects, wake, c->credit);
}

struct node_status coordinator_status(struct coordinator *c)
{
    struct node_status status = proposer_agent_status(c->proposer);
    struct node_status learner = learner_agent_status(c->learner);
    status.promised = acceptor_agent_status(c->acceptor).promised;
    if (learner.chosen > status.chosen)
        status.chosen = learner.chosen;
    status.executed = learner.executed;
    status.held = learner.held;
    status.state_hash = learner.state_hash;
    status.commands_executed = learner.commands_executed;
    status.keys = learner.keys;
    status.state_bytes = learner.state_bytes;
    status.state_bytes_max = learner.state_bytes_max;
    status.moment = learner.moment;
    status.timed_keys = learner.timed_keys;
    status.time_left = learner.time_left;
    status.state_age_ms = learner.state_age_ms;
    status.slots_behind = learner.slots_behind;
    status.sessions = learner.sessions;
    status.session_bytes = learner.session_bytes;
    return status;
}

#ifndef __wasm__ /* as a component, what it calls is in other components */
void coordinator_audit(const struct coordinator *c)
{
    proposer_agent_audit(c->proposer);
    acceptor_agent_audit(c->acceptor);
    learner_agent_audit(c->learner);
}
#endif
