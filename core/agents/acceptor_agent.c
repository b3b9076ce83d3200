#include "core/agents/acceptor_agent.h"

#include "core/agents/effects.h"
#include "core/agents/progress.h"
#include "core/formats/configuration.h"
#include "core/paxos/acceptor.h"

/* All votes that the journal has before record `lsn` are for slots before `top`. */
struct vote_mark {
    uint64_t lsn;
    uint64_t top;
};
enum { VOTE_MARKS = 64 };

struct acceptor_agent {
    struct node_config config;
    struct acceptor *acceptor;
    struct configurations configurations;
    bool replaced;     /* another instance has taken this one's place: it is silent for good */
    uint64_t question; /* for a newer configuration: its number; 0: none is open */
    uint64_t asked_at;
    struct ballot promised;      /* as the acceptor said last: asking it is a call between components */
    struct ballot leader_ballot; /* of the leader last heard; none: it resigned, or none was heard in this life */
    struct leadership told;
    uint64_t leader_heard_at;
    uint64_t promised_at;               /* when this life last promised a higher ballot */
    struct progress progress;           /* of the learners */
    uint64_t floor;                     /* in force, as the acceptor said last */
    uint64_t floor_recorded;            /* in the journal */
    struct ballot promised_recorded;    /* in the last RECORD_PROMISED */
    uint64_t top;                       /* the journal has no vote at or above this slot */
    struct vote_mark marks[VOTE_MARKS]; /* rising */
    size_t mark_count;
    uint64_t voted;                 /* bytes of votes that the journal has since that record, or more */
    uint64_t answers, answer_bytes; /* of this step, in answers that contain votes */
    struct effects effects;
};

struct acceptor_agent *acceptor_agent_new(const struct node_config *config)
{
    struct acceptor_agent *agent = memory_new(1, sizeof *agent);
    agent->config = *config;
    agent->config.chunk_bytes_max = limits_chunk_bytes(&config->limits, config->chunk_bytes_max);
    agent->acceptor = acceptor_new(config);
    agent->floor = agent->floor_recorded = 1;
    agent->top = 1;
    configurations_init(&agent->configurations, config);
    progress_init(&agent->progress, &agent->configurations);
    return agent;
}

void acceptor_agent_free(struct acceptor_agent *agent)
{
    acceptor_free(agent->acceptor);
    effects_close(&agent->effects);
    free(agent);
}

/* Notes where the journal's votes are now, unless there is no room: then the next mark does. */
static void add_mark(struct acceptor_agent *agent, uint64_t lsn)
{
    if (agent->mark_count < VOTE_MARKS)
        agent->marks[agent->mark_count++] = (struct vote_mark){lsn, agent->top};
}

/* Forgets the marks whose votes all lie below the floor. The lsn of the last of them; 0: there is none. */
static uint64_t pass_marks(struct acceptor_agent *agent)
{
    size_t passed = 0;
    while (passed < agent->mark_count && agent->marks[passed].top <= agent->floor_recorded)
        passed++;
    const uint64_t lsn = passed > 0 ? agent->marks[passed - 1].lsn : 0;
    agent->mark_count -= passed;
    memmove(agent->marks, agent->marks + passed, agent->mark_count * sizeof *agent->marks);
    return lsn;
}

static void note_vote(struct acceptor_agent *agent, uint64_t slot)
{
    if (slot >= agent->top)
        agent->top = slot + 1;
}

static void recover(struct acceptor_agent *agent, const struct record_list *records)
{
    for (size_t i = 0; i < records->len; i++) {
        const struct log_record *r = &records->ptr[i];
        if (r->kind == RECORD_ACCEPTED)
            note_vote(agent, r->entry.slot);
        if (r->kind == RECORD_PROMISED && ballot_compare(r->entry.ballot, agent->promised_recorded) > 0)
            agent->promised_recorded = r->entry.ballot;
        acceptor_restore(agent->acceptor, r);
        bool has_ballot = r->kind == RECORD_PROMISED || r->kind == RECORD_ACCEPTED;
        if (has_ballot && ballot_compare(r->entry.ballot, agent->promised) > 0)
            agent->promised = r->entry.ballot;
        agent->voted += r->kind == RECORD_ACCEPTED ? r->entry.value.len : 0;
        if (r->kind == RECORD_FLOOR && r->entry.slot > agent->floor) {
            agent->floor = agent->floor_recorded = r->entry.slot;
            agent->voted = 0;
            pass_marks(agent);
            add_mark(agent, r->lsn);
        }
    }
}

/* Whether the ballot is close enough to what was promised, so that promising it leaves enough rounds above it. A proposer
 * that is further above is told what was promised, and comes up to it in steps. */
static bool within_reach(const struct acceptor_agent *agent, struct ballot ballot)
{
    return ballot.round <= agent->promised.round + ROUND_JUMP_MAX;
}

/* Whether one more answer may contain votes in this step. A proposer or learner waits for one chunk at a time, so there is
 * room for one chunk to each. A node that asks more often is ignored; an honest one asks again. */
static bool may_tell_votes(const struct acceptor_agent *agent)
{
    const struct configurations *c = &agent->configurations;
    const uint64_t askers = node_set_count(configurations_proposers(c) | configurations_learners(c));
    return agent->answers < askers || agent->answer_bytes < askers * agent->config.chunk_bytes_max;
}

static struct acceptor_vote_chunk tell_votes(struct acceptor_agent *agent, uint64_t from)
{
    struct acceptor_vote_chunk chunk = acceptor_votes(agent->acceptor, from, agent->config.chunk_bytes_max);
    agent->answers++;
    for (size_t i = 0; i < chunk.entries.len; i++)
        agent->answer_bytes += sizeof(struct entry) + chunk.entries.ptr[i].value.len;
    return chunk;
}

/* The leader at `ballot` is alive, and says that a majority of the learners durably holds every slot below `floor`.
 *
 * Votes that are forgotten do not come back, and below its floor an acceptor does not vote. So the word of one other node is
 * not enough to forget. Either a majority of the learners must have said the same. Or this node's own learner must have said
 * it, and `ballot` must be one that this acceptor could vote at. The second way is for a node that hears few others in a
 * partition: it hears no majority, and without a rising floor it would have no room to vote. */
static void hear_leader(struct acceptor_agent *agent, struct ballot ballot, uint64_t floor, uint64_t now)
{
    const bool leads = ballot_compare(ballot, agent->promised) >= 0 && within_reach(agent, ballot);
    if (leads) {
        agent->leader_ballot = ballot;
        agent->leader_heard_at = now;
    }
    if (floor <= agent->floor)
        return;
    const uint64_t majority = progress_settled(&agent->progress), own = agent->progress.held[agent->config.node];
    const bool own_counts = leads && node_set_has(agent->progress.learners, agent->config.node);
    const uint64_t held = own_counts && own > majority ? own : majority;
    if (floor > held)
        floor = held;
    if (floor > agent->floor)
        agent->floor = acceptor_truncate(agent->acceptor, floor);
}

/* A vote may have promised its ballot. The record of a vote goes with its segment of the journal, so the promise gets one of
 * its own, which is repeated in later segments. */
static void record_promise(struct acceptor_agent *agent)
{
    if (ballot_compare(agent->promised, agent->promised_recorded) <= 0)
        return;
    effects_append(&agent->effects, RECORD_PROMISED, &(struct entry){.ballot = agent->promised}, 0);
    agent->promised_recorded = agent->promised;
}

/* Votes below the floor are not needed, once the floor is durable: before that, a restart would take them for votes that
 * were never cast. */
static void truncate_journal(struct acceptor_agent *agent)
{
    const uint64_t lsn = pass_marks(agent), after = agent->effects.lsn - 1;
    if (lsn != 0)
        effects_add(&agent->effects, EFFECT_TRUNCATE)->val.truncate = (struct truncation){.lsn = lsn, .after = after};
    add_mark(agent, agent->effects.lsn);
}

/* The floor's record may come late, because it only bounds how many votes recovery has to keep. But it must come before many
 * bytes of votes, because it also bounds their values. */
static void record_floor(struct acceptor_agent *agent, const struct entry_list *entries)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < entries->len; i++)
        bytes += entries->ptr[i].value.len;
    agent->voted += bytes;
    const bool near = agent->floor - agent->floor_recorded < configurations_alpha(&agent->configurations);
    const bool small = agent->voted <= acceptor_bytes_max(&agent->config) / 4;
    if (agent->floor == agent->floor_recorded || (near && small))
        return;
    record_promise(agent);
    effects_append(&agent->effects, RECORD_FLOOR, &(struct entry){.slot = agent->floor}, 0);
    agent->floor_recorded = agent->floor;
    agent->voted = bytes;
    truncate_journal(agent);
}

static void refuse(struct acceptor_agent *agent, uint32_t sender, uint64_t slot)
{
    struct message nack = {.kind = MESSAGE_NACK, .ballot = agent->promised, .from = slot};
    effects_send_durable(&agent->effects, node_set_of(sender), &nack);
}

/* P11: what its node id may have promised or voted for under older configurations, on a disk that is lost, this instance
 * does not know. */
static bool is_before_admission(const struct acceptor_agent *agent, const struct message *m)
{
    return m->to < agent->config.admitted;
}

/* P11: another configuration governs one of the slots than the one under which the values are proposed. A proposer sees to
 * that itself; where this acceptor knows better, it does not vote. */
static bool is_governed_otherwise(const struct acceptor_agent *agent, const struct message *m)
{
    const struct configurations *c = &agent->configurations;
    bool otherwise = false;
    for (size_t i = 0; i < m->entries.len && !otherwise; i++) {
        const uint64_t slot = m->entries.ptr[i].slot;
        const struct configuration *governs = configurations_at(c, slot);
        const bool none_later = slot < c->newest.governs;
        otherwise = governs->acceptors != 0 && (m->to < governs->slot || (none_later && m->to > governs->slot));
    }
    return otherwise;
}

static void on_prepare(struct acceptor_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
    if (is_before_admission(agent, m) || !may_tell_votes(agent))
        return;
    if (!within_reach(agent, m->ballot)) {
        refuse(agent, sender, 0);
        return;
    }
    struct acceptor_prepare_result r = acceptor_prepare(agent->acceptor, m->ballot);
    agent->promised = r.promised;
    if (!r.granted) {
        refuse(agent, sender, 0);
        return;
    }
    if (r.is_new) {
        record_promise(agent);
        agent->promised_at = now;
    }
    struct acceptor_vote_chunk chunk = tell_votes(agent, m->from);
    struct message promise = {
        .kind = MESSAGE_PROMISE,
        .flags = chunk.last ? MESSAGE_LAST : 0,
        .ballot = m->ballot,
        .from = chunk.from,
        .to = chunk.to,
        .floor = chunk.floor,
        .entries = chunk.entries,
    };
    effects_send_durable(&agent->effects, node_set_of(sender), effects_keep(&agent->effects, &promise));
}

/* Appends the votes of a run, which begins at or after the entry number `i`; returns the number of the entry after them.
 * Runs are in the entries' order. */
static size_t append_votes(struct acceptor_agent *agent, const struct message *m, const struct acceptor_vote_run *run,
                           size_t i)
{
    for (uint64_t slot = run->from; slot < run->to && i < m->entries.len; i++) {
        struct entry vote = m->entries.ptr[i];
        if (vote.slot != slot)
            continue; /* it got no vote */
        slot++;
        vote.ballot = m->ballot;
        if (!run->is_new)
            continue;
        effects_append(&agent->effects, RECORD_ACCEPTED, &vote, 0);
        note_vote(agent, slot - 1);
    }
    return i;
}

static void on_accept(struct acceptor_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
    if (is_before_admission(agent, m) || is_governed_otherwise(agent, m))
        return;
    hear_leader(agent, m->ballot, m->floor, now);
    struct acceptor_accept_result r = {.granted = false};
    if (within_reach(agent, m->ballot)) {
        r = acceptor_accept(agent->acceptor, m->ballot, m->entries.ptr, m->entries.len);
        agent->promised = r.promised;
    }
    if (!r.granted) {
        refuse(agent, sender, m->entries.len > 0 ? m->entries.ptr[0].slot : 0);
        return;
    }
    record_floor(agent, &m->entries);
    const struct configurations *c = &agent->configurations;
    const bool tell = c->before.acceptors_send_learns || c->newest.acceptors_send_learns;
    node_set listeners = tell ? configurations_learners(c) : 0;
    size_t entry = 0;
    for (size_t i = 0; i < r.runs.len; i++) {
        struct acceptor_vote_run run = r.runs.ptr[i];
        entry = append_votes(agent, m, &run, entry);
        struct message accepted = {.kind = MESSAGE_ACCEPTED, .ballot = m->ballot, .from = run.from, .to = run.to};
        effects_send_durable(&agent->effects, node_set_of(sender) | listeners, &accepted);
    }
}

static void on_heartbeat(struct acceptor_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
    if (m->flags & MESSAGE_RESIGNED && agent->leader_ballot.node == sender)
        agent->leader_ballot = (struct ballot){0};
    if ((m->flags & MESSAGE_LEADING) == 0)
        return;
    hear_leader(agent, m->ballot, m->floor, now);
    if (ballot_compare(m->ballot, agent->promised) < 0 || !within_reach(agent, m->ballot)) {
        refuse(agent, sender, 0);
        return;
    }
    struct message alive = {.kind = MESSAGE_ALIVE, .ballot = m->ballot, .to = m->to};
    effects_send_durable(&agent->effects, node_set_of(sender), &alive);
}

/* A leader asks whether a higher ballot was promised (P9). That none was needs no record: a promise that would count is
 * durable. */
static void on_read_round(struct acceptor_agent *agent, uint32_t sender, const struct message *m)
{
    if (is_before_admission(agent, m))
        return;
    if (ballot_compare(m->ballot, agent->promised) < 0) {
        refuse(agent, sender, 0);
        return;
    }
    const struct message confirmed = {.kind = MESSAGE_READ_CONFIRMED, .ballot = m->ballot, .from = m->from};
    effects_send(&agent->effects, node_set_of(sender), &confirmed);
}

/* Answers whether this acceptor, too, has lost the leader, and has not just promised a ballot to a node that may be about to
 * lead (P15). Answering has no effect here. A claim (flag YES) is answered even if there is a leader. */
static void on_ask(struct acceptor_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
    bool led = agent->leader_ballot.round != 0 && agent->leader_ballot.node != sender &&
               now - agent->leader_heard_at < agent->config.suspect_timeout;
    bool promised = agent->promised_at != 0 && agent->promised.node != sender &&
                    ballot_compare(agent->promised, agent->leader_ballot) > 0 &&
                    now - agent->promised_at < agent->config.prepare_timeout;
    bool lost = (!led || (m->flags & MESSAGE_YES) != 0) && !promised;
    struct message answer = {.kind = MESSAGE_LOST, .flags = lost ? MESSAGE_YES : 0, .from = m->from};
    effects_send(&agent->effects, node_set_of(sender), &answer);
}

/* A learner that finds no other learner to ask gets the votes, and counts them itself. */
static void on_learn_request(struct acceptor_agent *agent, uint32_t sender, const struct message *m)
{
    if (!may_tell_votes(agent))
        return;
    struct acceptor_vote_chunk chunk = tell_votes(agent, m->from);
    while (chunk.entries.len > 0 && chunk.entries.ptr[chunk.entries.len - 1].slot >= m->to)
        chunk.entries.len--;
    struct message learn = {.kind = MESSAGE_LEARN, .entries = chunk.entries};
    if (chunk.entries.len > 0)
        effects_send_durable(&agent->effects, node_set_of(sender), effects_keep(&agent->effects, &learn));
}

/* ---- Configurations ---- */

/* A node that learns, too, hears of them from its learner, and tells its host through it. */
static bool is_alone(const struct acceptor_agent *agent) { return (duties_of(&agent->config) & DUTY_LEARNS) == 0; }

static void on_configuration(struct acceptor_agent *agent, const struct configured *said)
{
    const node_set forgotten = configurations_forgotten(&agent->configurations, &said->configuration);
    if (said->configuration.slot == 0 || !configurations_given(&agent->configurations, said))
        return;
    agent->replaced = agent->replaced || is_replaced_by(&agent->config, &said->text);
    acceptor_widen(agent->acceptor, said->configuration.alpha);
    progress_configure(&agent->progress, &agent->configurations, forgotten);
}

/* A learner says what this node has asked for. */
static void on_answer(struct acceptor_agent *agent, const struct message *m)
{
    struct configured said;
    if (!configurations_answered(&agent->configurations, &agent->question, m, &said))
        return;
    on_configuration(agent, &said);
    effects_configuration(&agent->effects, &said);
}

static void on_progress(struct acceptor_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
    struct configurations *c = &agent->configurations;
    progress_heard(&agent->progress, sender, m->to, m->floor);
    if (m->chosen > c->newest.slot && is_alone(agent) &&
        (agent->asked_at == 0 || now - agent->asked_at >= agent->config.retry_interval)) {
        agent->question = agent->question != 0 ? agent->question : now;
        agent->asked_at = now;
        const struct message ask = configurations_question(c->newest.slot, agent->question);
        effects_send(&agent->effects, node_set_of(sender), &ask);
    }
    if (!configurations_pending(c) || progress_held(&agent->progress, configuration_counted(&c->newest)) < c->newest.governs)
        return;
    configurations_settle(c);
    progress_configure(&agent->progress, c, 0);
    const struct configured settled = {.configuration = c->newest, .settled = true};
    if (is_alone(agent))
        effects_configuration(&agent->effects, &settled);
}

/* Whether some proposer may count what this acceptor says. */
static bool is_heard(const struct acceptor_agent *agent)
{
    return !agent->replaced && node_set_has(configurations_acceptors(&agent->configurations), agent->config.node);
}

static void on_message(struct acceptor_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
    const bool is_of_learner = m->kind == MESSAGE_PROGRESS || m->kind == MESSAGE_CONFIGURATION;
    if (sender > NODE_ID_MAX || (!is_of_learner && !is_heard(agent)))
        return;
    switch (m->kind) {
    case MESSAGE_PREPARE:
        on_prepare(agent, sender, m, now);
        break;
    case MESSAGE_ACCEPT:
        on_accept(agent, sender, m, now);
        break;
    case MESSAGE_HEARTBEAT:
        on_heartbeat(agent, sender, m, now);
        break;
    case MESSAGE_ASK:
        on_ask(agent, sender, m, now);
        break;
    case MESSAGE_READ_ROUND:
        on_read_round(agent, sender, m);
        break;
    case MESSAGE_LEARN_REQUEST:
        on_learn_request(agent, sender, m);
        break;
    case MESSAGE_PROGRESS:
        on_progress(agent, sender, m, now);
        break;
    case MESSAGE_CONFIGURATION:
        on_answer(agent, m);
        break;
    default:
        break; /* for another role */
    }
}

struct step_result acceptor_agent_step(struct acceptor_agent *agent, uint64_t now, uint64_t lsn, const struct event *events,
                                       size_t count)
{
    effects_begin(&agent->effects, lsn);
    agent->answers = agent->answer_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (events[i].tag == EVENT_MESSAGE)
            on_message(agent, events[i].val.message.sender, &events[i].val.message.message, now);
        else if (events[i].tag == EVENT_RECORDS)
            recover(agent, &events[i].val.records);
        else if (events[i].tag == EVENT_CONFIGURATION)
            on_configuration(agent, &events[i].val.configuration);
    }
    effects_tell_leader(&agent->effects, &agent->told, (struct leadership){agent->leader_ballot.node, agent->leader_ballot});
    return effects_end(&agent->effects, UINT64_MAX, (struct credit){0});
}

bool acceptor_agent_is_near(void) { return true; }

struct node_status acceptor_agent_status(struct acceptor_agent *agent)
{
    return (struct node_status){
        .node = agent->config.node,
        .incarnation = agent->config.incarnation,
        .leader = agent->leader_ballot.node,
        .ballot = agent->leader_ballot,
        .promised = agent->promised,
    };
}

#ifndef __wasm__ /* as a component, what it calls is in other components */
void acceptor_agent_audit(const struct acceptor_agent *agent)
{
    invariant(agent->floor_recorded <= agent->floor);
    acceptor_audit(agent->acceptor, agent->floor);
}
#endif
