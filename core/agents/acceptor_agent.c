#include "core/agents/acceptor_agent.h"

#include "core/agents/effects.h"
#include "core/paxos/acceptor.h"

struct acceptor_agent {
    struct node_config config;
    struct acceptor *acceptor;
    struct ballot promised;      /* as the acceptor said last: asking it is a call between components */
    struct ballot leader_ballot; /* of the leader last heard; none: it resigned, or none was heard in this life */
    struct leadership told;
    uint64_t leader_heard_at;
    uint64_t promised_at;           /* when this life last promised a higher ballot */
    uint64_t held[NODE_ID_MAX + 1]; /* first slot not durably held, as each learner said last */
    uint64_t floor;                 /* in force, as the acceptor said last */
    uint64_t floor_recorded;        /* in the journal */
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
    for (uint32_t n = 0; n <= NODE_ID_MAX; n++)
        agent->held[n] = 1;
    return agent;
}

void acceptor_agent_free(struct acceptor_agent *agent)
{
    acceptor_free(agent->acceptor);
    effects_close(&agent->effects);
    free(agent);
}

static void recover(struct acceptor_agent *agent, const struct record_list *records)
{
    for (size_t i = 0; i < records->len; i++) {
        const struct log_record *r = &records->ptr[i];
        acceptor_restore(agent->acceptor, r);
        bool has_ballot = r->kind == RECORD_PROMISED || r->kind == RECORD_ACCEPTED;
        if (has_ballot && ballot_compare(r->entry.ballot, agent->promised) > 0)
            agent->promised = r->entry.ballot;
        agent->voted += r->kind == RECORD_ACCEPTED ? r->entry.value.len : 0;
        if (r->kind == RECORD_FLOOR && r->entry.slot > agent->floor) {
            agent->floor = agent->floor_recorded = r->entry.slot;
            agent->voted = 0;
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
    const uint64_t askers = node_set_count(agent->config.proposers | agent->config.learners);
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

/* The first slot that a majority of the learners does not hold durably, by their own words. */
static uint64_t held_by_majority(const struct acceptor_agent *agent)
{
    const node_set learners = agent->config.learners;
    uint64_t best = 1;
    for (node_set i = learners; i != 0; i &= i - 1) {
        uint64_t slot = agent->held[node_set_first(i)];
        uint32_t reached = 0;
        for (node_set j = learners; j != 0; j &= j - 1)
            reached += agent->held[node_set_first(j)] >= slot;
        if (reached > node_set_count(learners) / 2 && slot > best)
            best = slot;
    }
    return best;
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
    const uint64_t majority = held_by_majority(agent), own = agent->held[agent->config.node];
    const bool own_counts = leads && node_set_has(agent->config.learners, agent->config.node);
    const uint64_t held = own_counts && own > majority ? own : majority;
    if (floor > held)
        floor = held;
    if (floor > agent->floor)
        agent->floor = acceptor_truncate(agent->acceptor, floor);
}

/* The floor's record may come late, because it only bounds how many votes recovery has to keep. But it must come before many
 * bytes of votes, because it also bounds their values. */
static void record_floor(struct acceptor_agent *agent, const struct entry_list *entries)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < entries->len; i++)
        bytes += entries->ptr[i].value.len;
    agent->voted += bytes;
    const bool near = agent->floor - agent->floor_recorded < agent->config.alpha;
    const bool small = agent->voted <= acceptor_bytes_max(&agent->config) / 4;
    if (agent->floor == agent->floor_recorded || (near && small))
        return;
    effects_append(&agent->effects, RECORD_FLOOR, &(struct entry){.slot = agent->floor}, 0);
    agent->floor_recorded = agent->floor;
    agent->voted = bytes;
}

static void refuse(struct acceptor_agent *agent, uint32_t sender, uint64_t slot)
{
    struct message nack = {.kind = MESSAGE_NACK, .ballot = agent->promised, .from = slot};
    effects_send_durable(&agent->effects, node_set_of(sender), &nack);
}

static void on_prepare(struct acceptor_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
    if (!may_tell_votes(agent))
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
        effects_append(&agent->effects, RECORD_PROMISED, &(struct entry){.ballot = r.promised}, 0);
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
        if (run->is_new)
            effects_append(&agent->effects, RECORD_ACCEPTED, &vote, 0);
    }
    return i;
}

static void on_accept(struct acceptor_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
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
    node_set listeners = agent->config.acceptors_send_learns ? agent->config.learners : 0;
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

static void on_message(struct acceptor_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
    if (sender > NODE_ID_MAX)
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
    case MESSAGE_LEARN_REQUEST:
        on_learn_request(agent, sender, m);
        break;
    case MESSAGE_PROGRESS:
        agent->held[sender] = m->floor;
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
    }
    effects_tell_leader(&agent->effects, &agent->told, (struct leadership){agent->leader_ballot.node, agent->leader_ballot});
    return effects_end(&agent->effects, UINT64_MAX, 0);
}

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
