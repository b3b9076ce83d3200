/* Where a learner's values are kept. Every executed slot has a record of its value in this node's journal; of all its
 * records there, the one with the highest ballot carries the chosen value. A coordinator node gets most of these records
 * from its acceptor (EVENT_APPENDED). The learner appends the missing ones itself (RECORD_LEARNED). A RECORD_CHOSEN says up
 * to which slot this holds. So recovery executes again what the journal contains, and peers that lack slots get them read
 * back from the journal. Memory holds only the window and a sparse index.
 *
 * When recovery comes to a record, it has executed what the last RECORD_CHOSEN says, and keeps records of a window of slots
 * from there on (recovery.h). So a record counts only if it is in that window, and a new RECORD_CHOSEN is written before one
 * would not be. A RECORD_CHOSEN carries the window that is valid after it, because the next life may have another setting;
 * then that life begins with a RECORD_CHOSEN. If recovery does not find all that a RECORD_CHOSEN says, records are missing.
 * The node must not go on as if it had executed less.
 *
 * At most once: a batch is executed only if its number is above the last executed one of its origin (same or later life).
 * The log alone decides that, so all learners decide alike. */
#include "core/agents/learner_agent.h"

#include "core/agents/agreement.h"
#include "core/agents/catch_up.h"
#include "core/agents/effects.h"
#include "core/agents/execution.h"
#include "core/agents/recovery.h"
#include "core/agents/results.h"
#include "core/base/slot_ring.h"
#include "core/paxos/learner.h"

/* A RECORD_CHOSEN: slots below `to` are held once `lsn` is durable. */
struct holding {
    uint64_t to;
    uint64_t lsn;
    uint64_t bytes; /* of the values that this life executed before `to` */
};

struct learner_agent {
    struct node_config config;
    struct learner *learner;
    bool recovered;
    struct recovery recovery;
    uint64_t window;         /* packed: the value of a RECORD_CHOSEN */
    uint64_t window_written; /* the window in the last RECORD_CHOSEN; 0: there is none */
    bool found_records;
    uint64_t damaged_at; /* the slot whose value is missing; 0: the journal is sound */

    struct execution execution;
    uint64_t executed; /* first slot not executed */

    struct slot_ring recorded; /* of slots not executed yet: the highest ballot of their records in the journal, or none */
    struct holding held;       /* durably */
    struct holding *holdings;  /* those after it, which are not durable yet */
    size_t holding_count, holding_capacity;
    uint64_t chosen_recorded_at; /* when the last RECORD_CHOSEN was written */

    uint64_t progress_sent_at, progress_sent;
    uint64_t executed_bytes;                       /* of values, in this life */
    uint64_t executed_bytes_sent, held_bytes_sent; /* as they were at the last PROGRESS */
    struct ballot leader_ballot;                   /* of the leader last heard */
    struct leadership told;
    bool progress_wanted;

    struct results results;
    uint64_t results_told; /* bytes of replies in this step's answers to RESULT_REQUEST */
    struct catch_up catch_up;
    struct agreement agreement;
    bool ending; /* the others have been told; now this learner stops */
    struct effects effects;
};

struct learner_agent *learner_agent_new(const struct node_config *config)
{
    struct learner_agent *agent = memory_new(1, sizeof *agent);
    agent->config = *config;
    agent->config.limits = limits_effective(&config->limits);
    agent->learner = learner_new(config);
    execution_init(&agent->execution, &agent->config);
    recovery_init(&agent->recovery);
    agent->window = learner_window(config);
    agent->executed = agent->held.to = agent->progress_sent = 1;
    slot_ring_init(&agent->recorded, sizeof(struct ballot), learner_window(config), 1);
    results_init(&agent->results, (uint64_t)config->alpha * 4, agent->config.limits.results_bytes);
    catch_up_init(&agent->catch_up, config);
    agreement_init(&agent->agreement, config);
    return agent;
}

void learner_agent_free(struct learner_agent *agent)
{
    learner_free(agent->learner);
    recovery_close(&agent->recovery);
    execution_close(&agent->execution);
    slot_ring_close(&agent->recorded);
    results_close(&agent->results);
    catch_up_close(&agent->catch_up);
    effects_close(&agent->effects);
    free(agent->holdings);
    free(agent);
}

/* The end of the last RECORD_CHOSEN, durable or not. */
static uint64_t chosen_recorded(const struct learner_agent *agent)
{
    return agent->holding_count > 0 ? agent->holdings[agent->holding_count - 1].to : agent->held.to;
}

/* The journal has a record, at `lsn`, of the slot's value at `ballot`. If the slot is beyond the window of the next
 * RECORD_CHOSEN, the record does not count, and the value is written again: before the first RECORD_CHOSEN, recovery keeps a
 * larger window than that. */
static void note_recorded(struct learner_agent *agent, uint64_t slot, struct ballot ballot, uint64_t lsn)
{
    const uint64_t base = agent->recovered ? chosen_recorded(agent) : recovery_next(&agent->recovery);
    const bool near = slot - base < learner_window(&agent->config);
    if (slot < agent->executed || !(agent->recovered ? near : recovery_is_near(&agent->recovery, slot)))
        return;
    catch_up_note_record(&agent->catch_up, slot, lsn);
    if (!near)
        return;
    struct ballot *recorded = slot_ring_reach(&agent->recorded, slot);
    if (ballot_compare(ballot, *recorded) > 0)
        *recorded = ballot;
}

/* Records that every slot below the first one not executed is chosen and has its value in the journal. */
static void append_chosen(struct learner_agent *agent)
{
    const struct entry chosen = {.slot = chosen_recorded(agent),
                                 .value = {.words = {&agent->window, 1}, .len = sizeof agent->window}};
    uint64_t lsn = effects_append(&agent->effects, RECORD_CHOSEN, &chosen, agent->executed);
    agent->holdings =
        memory_reserve(agent->holdings, &agent->holding_capacity, agent->holding_count + 1, sizeof *agent->holdings);
    agent->holdings[agent->holding_count++] = (struct holding){agent->executed, lsn, agent->executed_bytes};
    agent->window_written = agent->window;
}

static void append_if_not_recorded(struct learner_agent *agent, const struct entry *e)
{
    if (e->slot - chosen_recorded(agent) >= learner_window(&agent->config))
        append_chosen(agent);
    struct ballot *recorded = slot_ring_at(&agent->recorded, e->slot);
    if (recorded->round != 0 && ballot_compare(*recorded, e->ballot) >= 0)
        return;
    catch_up_note_record(&agent->catch_up, e->slot, effects_append(&agent->effects, RECORD_LEARNED, e, 0));
    *recorded = e->ballot; /* in case it is executed in a later step only */
}

static void send_executed(struct learner_agent *agent, uint64_t slot, const struct batch_header *header,
                          const struct payload *replies)
{
    const struct node_config *c = &agent->config;
    bool asked = header->answerer == c->node || (header->answerer == 0 && header->id.origin == c->node);
    node_set to = c->learners_send_executed ? c->proposers : asked ? node_set_of(header->id.origin) : 0;
    if (to == 0 || !agent->recovered || agent->agreement.state != AGREEMENT_HOLDS)
        return;
    struct entry entry = {.slot = slot, .value = *replies};
    struct message m = {.kind = MESSAGE_EXECUTED, .from = slot, .batch = header->id, .entries = {&entry, 1}};
    effects_send(&agent->effects, to, effects_keep(&agent->effects, &m));
}

/* Follows up on an executed entry: its result, for those who ask now or later, and what the node knows of the slot. */
static void note_executed(struct learner_agent *agent, const struct executed *done)
{
    uint64_t slot = done->entry->slot;
    invariant(slot == agent->executed && slot == agent->recorded.base);
    struct result *result = results_add(&agent->results, slot);
    result->skipped = done->skipped;
    if (done->batch.id.number != 0) {
        results_set(&agent->results, result, done->batch.id, &done->replies);
        send_executed(agent, slot, &done->batch, &done->replies);
    }
    slot_ring_advance(&agent->recorded);
    agent->executed++;
    agent->executed_bytes += done->entry->value.len;
    catch_up_note_executed(&agent->catch_up, slot, agent->effects.lsn);
    agreement_executed(&agent->agreement, agent->executed, agent->execution.state_hash);
}

/* Takes what the learner releases, about limits.release_bytes. False when it has nothing. */
static bool take_released(struct learner_agent *agent)
{
    struct entry_list released = learner_release(agent->learner, agent->config.limits.release_bytes);
    execution_add(&agent->execution, released.ptr, released.len);
    return released.len > 0;
}

/* Executes what was taken, as much as one step may; true when more is left. */
static bool execute_taken(struct learner_agent *agent)
{
    const struct entry *next;
    while ((next = execution_next(&agent->execution)) != NULL) {
        struct executed done;
        invariant(next->slot == agent->executed);
        if (agent->recovered && execution_is_fresh(&agent->execution))
            append_if_not_recorded(agent, next);
        if (!execution_run(&agent->execution, &done))
            return true;
        note_executed(agent, &done);
    }
    return false;
}

/* The same, and takes more while there is more. In recovery only a RECORD_CHOSEN lets it take anything. */
static bool execute_some(struct learner_agent *agent)
{
    do {
        if (execute_taken(agent))
            return true;
    } while (agent->recovered && take_released(agent));
    return false;
}

/* The window in a RECORD_CHOSEN; 0: not one that can be. */
static uint64_t window_of(const struct log_record *r)
{
    const struct payload *value = &r->entry.value;
    uint64_t window = value->len == sizeof window && value->words.len == 1 ? value->words.ptr[0] : 0;
    return window <= RECOVERY_SLOTS_MAX ? window : 0;
}

/* Hands over for execution all that was found up to the end of the RECORD_CHOSEN. Its ballots do not matter: of each slot's
 * records so far, the one with the highest ballot has the chosen value. */
static void recover_chosen(struct learner_agent *agent, const struct log_record *r)
{
    struct recovery *recovery = &agent->recovery;
    const uint64_t window = window_of(r), lacks = recovery_lacks(recovery, r->to);
    if (window == 0 || r->entry.slot > recovery_next(recovery) || lacks < r->to) {
        agent->damaged_at = lacks < r->to ? lacks : recovery_next(recovery);
        return;
    }
    agent->effects.lsn = r->lsn;
    while (recovery_next(recovery) < r->to) {
        struct entry_list found =
            recovery_take(recovery, r->to, learner_window(&agent->config), learner_bytes_max(&agent->config));
        learner_proposed(agent->learner, found.ptr, found.len);
        learner_chosen(agent->learner, (struct ballot){0}, found.ptr[0].slot, recovery_next(recovery));
        while (take_released(agent))
            ;
    }
    agent->held.to = recovery_next(recovery);
    agent->window_written = recovery->window = window;
}

static void recover_record(struct learner_agent *agent, const struct log_record *r)
{
    agent->found_records = true;
    if (agent->damaged_at != 0)
        return;
    if (r->kind == RECORD_ACCEPTED || r->kind == RECORD_LEARNED) {
        note_recorded(agent, r->entry.slot, r->entry.ballot, r->lsn);
        recovery_found(&agent->recovery, &r->entry);
    } else if (r->kind == RECORD_CHOSEN) {
        recover_chosen(agent, r);
    }
}

/* The end of the journal. Slots beyond the last RECORD_CHOSEN may still turn out to be chosen, like any slot that is heard
 * of from now on. */
static void end_recovery(struct learner_agent *agent, uint64_t lsn)
{
    while (execute_some(agent)) /* nothing is left if the runner waited for it */
        execution_begin(&agent->execution);
    struct entry_list found =
        recovery_take(&agent->recovery, UINT64_MAX, learner_window(&agent->config), learner_bytes_max(&agent->config));
    learner_proposed(agent->learner, found.ptr, found.len);
    recovery_close(&agent->recovery);
    recovery_init(&agent->recovery);
    agent->recovered = agent->progress_wanted = true;
    agent->effects.lsn = lsn; /* of the first append of this life; until now, that of records being recovered */
    if (agent->found_records && agent->window_written != agent->window)
        append_chosen(agent);
}

static void on_records(struct learner_agent *agent, const struct record_list *records)
{
    if (agent->recovered) {
        catch_up_records(&agent->catch_up, records, &agent->effects);
        return;
    }
    for (size_t i = 0; i < records->len; i++)
        recover_record(agent, &records->ptr[i]);
}

static void on_durable(struct learner_agent *agent, uint64_t lsn)
{
    size_t done = 0;
    while (done < agent->holding_count && agent->holdings[done].lsn <= lsn)
        done++;
    if (done == 0)
        return;
    invariant(agent->holdings[done - 1].to >= agent->held.to);
    agent->held = agent->holdings[done - 1];
    agent->holding_count -= done;
    memmove(agent->holdings, agent->holdings + done, agent->holding_count * sizeof *agent->holdings);
}

static void on_leader_word(struct learner_agent *agent, const struct message *m)
{
    if (m->ballot.round == 0)
        return; /* no node leads at ballot "none"; to the learner it means "any" */
    if (ballot_compare(m->ballot, agent->leader_ballot) != 0) {
        agent->leader_ballot = m->ballot;
        agent->progress_wanted = true; /* a new leader must know how far the learners have executed (P16) */
    }
    learner_chosen(agent->learner, m->ballot, m->from, m->chosen);
}

static void on_accept(struct learner_agent *agent, const struct message *m)
{
    learner_proposed(agent->learner, m->entries.ptr, m->entries.len);
    on_leader_word(agent, m);
}

static void on_learn(struct learner_agent *agent, uint32_t sender, const struct message *m)
{
    if (m->flags & MESSAGE_IS_CHOSEN) {
        learner_learned(agent->learner, m->entries.ptr, m->entries.len);
        catch_up_answered(&agent->catch_up, (m->flags & MESSAGE_LAST) != 0);
        return;
    }
    learner_proposed(agent->learner, m->entries.ptr, m->entries.len);
    for (size_t i = 0; i < m->entries.len; i++)
        learner_voted(agent->learner, sender, m->entries.ptr[i].ballot, m->entries.ptr[i].slot, m->entries.ptr[i].slot + 1);
}

/* An answer copies the replies. An honest node asks once for each result that is remembered, and again if no answer comes.
 * So in one step the answers contain at most about as much as is remembered. */
static void on_result_request(struct learner_agent *agent, uint32_t sender, const struct message *m)
{
    if (m->from == 0 || m->from >= agent->executed || agent->agreement.state != AGREEMENT_HOLDS)
        return;
    if (agent->results_told >= agent->config.limits.results_bytes)
        return;
    struct message answer = {.kind = MESSAGE_EXECUTED, .from = m->from, .batch = m->batch};
    struct entry entry = {.slot = m->from};
    const struct result *r = results_find(&agent->results, m->from);
    if (r == NULL || r->skipped)
        answer.flags = MESSAGE_FORGOTTEN;
    else if (!batch_id_equal(r->batch, m->batch))
        answer.flags = MESSAGE_ANOTHER;
    else {
        entry.value = r->replies;
        answer.entries = (struct entry_list){&entry, 1};
        agent->results_told += r->replies.len;
    }
    effects_send(&agent->effects, node_set_of(sender), effects_keep(&agent->effects, &answer));
}

static void on_message(struct learner_agent *agent, uint32_t sender, const struct message *m)
{
    switch (m->kind) {
    case MESSAGE_ACCEPT:
        on_accept(agent, m);
        break;
    case MESSAGE_ACCEPTED:
        learner_voted(agent->learner, sender, m->ballot, m->from, m->to);
        break;
    case MESSAGE_CHOSEN:
        on_leader_word(agent, m);
        break;
    case MESSAGE_HEARTBEAT:
        if (m->flags & MESSAGE_LEADING)
            on_leader_word(agent, m);
        break;
    case MESSAGE_LEARN_REQUEST:
        catch_up_request(&agent->catch_up, sender, m->from, m->to < agent->executed ? m->to : agent->executed);
        break;
    case MESSAGE_LEARN:
        on_learn(agent, sender, m);
        break;
    case MESSAGE_RESULT_REQUEST:
        on_result_request(agent, sender, m);
        break;
    case MESSAGE_PROGRESS:
        catch_up_progress(&agent->catch_up, sender, m->to);
        agreement_heard(&agent->agreement, sender, m->from, m->batch.number);
        break;
    default:
        break; /* for another role */
    }
}

static void on_event(struct learner_agent *agent, const struct event *event, uint64_t lsn)
{
    switch (event->tag) {
    case EVENT_MESSAGE:
        on_message(agent, event->val.message.sender, &event->val.message.message);
        break;
    case EVENT_DURABLE:
        on_durable(agent, event->val.durable);
        break;
    case EVENT_RECORDS:
        on_records(agent, &event->val.records);
        break;
    case EVENT_RECOVERED:
        end_recovery(agent, lsn);
        break;
    case EVENT_APPENDED:
        note_recorded(agent, event->val.appended.slot, event->val.appended.ballot, event->val.appended.lsn);
        break;
    default:
        break;
    }
}

/* Records up to where slots are executed, when that costs no sync of its own, or after a while. */
static void record_chosen(struct learner_agent *agent, uint64_t now, bool appending)
{
    uint64_t news = agent->executed - chosen_recorded(agent);
    bool due = news >= agent->config.alpha / 2 || now - agent->chosen_recorded_at >= agent->config.exec_interval;
    if (news == 0 || !(appending || due))
        return;
    append_chosen(agent);
    agent->chosen_recorded_at = now;
}

/* Whether an eighth of the bytes that a leader may have in flight is held since the last PROGRESS. Acceptors keep their
 * votes until they hear of it, and have room for little more than that. */
static bool many_bytes_untold(const struct learner_agent *agent)
{
    const uint64_t many = agent->config.bytes_in_flight_max / 8;
    return agent->executed_bytes - agent->executed_bytes_sent > many || agent->held.bytes - agent->held_bytes_sent > many;
}

/* Tells all nodes how far this learner has executed: soon under load, from time to time when idle. */
static void send_progress(struct learner_agent *agent, uint64_t now)
{
    const struct node_config *c = &agent->config;
    uint64_t news = agent->executed - agent->progress_sent;
    uint64_t silence = now - agent->progress_sent_at;
    bool urgent = news > 0 || agent->agreement.state != AGREEMENT_HOLDS;
    bool due = news >= (c->alpha + 3) / 4 || (urgent && silence >= c->exec_interval) || silence >= 10 * c->exec_interval;
    if (!due && !many_bytes_untold(agent) && !agent->progress_wanted)
        return;
    struct message m = {.kind = MESSAGE_PROGRESS, .to = agent->executed, .floor = agent->held.to};
    m.from = agent->agreement.last.slot;
    m.batch.number = agent->agreement.last.hash;
    effects_send(&agent->effects, c->proposers | c->acceptors | c->learners, &m);
    agent->progress_sent = agent->executed;
    agent->executed_bytes_sent = agent->executed_bytes;
    agent->held_bytes_sent = agent->held.bytes;
    agent->progress_sent_at = now;
    agent->progress_wanted = false;
}

static uint64_t wake_at(const struct learner_agent *agent, uint64_t now, bool more)
{
    if (more)
        return now;
    const struct node_config *c = &agent->config;
    uint64_t wake =
        agent->progress_sent_at + (agent->executed > agent->progress_sent ? c->exec_interval : 10 * c->exec_interval);
    if (agent->executed > chosen_recorded(agent) && agent->chosen_recorded_at + c->exec_interval < wake)
        wake = agent->chosen_recorded_at + c->exec_interval;
    uint64_t ask = catch_up_wake_at(&agent->catch_up), judge = agreement_wake_at(&agent->agreement);
    wake = ask < wake ? ask : wake;
    return judge < wake ? judge : wake;
}

/* This learner's state is not that of a majority (P13). It stops answering. In this step it tells the others its hash, which
 * they may need to see which side they are on. In the next step it says that it has to stop. */
static struct step_result end(struct learner_agent *agent, uint64_t now, uint64_t lsn)
{
    effects_begin(&agent->effects, lsn); /* nothing else of this step leaves the node */
    if (agent->ending) {
        effects_add(&agent->effects, EFFECT_DIVERGED)->val.diverged = agent->agreement.lost_at;
        return effects_end(&agent->effects, UINT64_MAX, 0);
    }
    agent->ending = agent->progress_wanted = true;
    send_progress(agent, now);
    return effects_end(&agent->effects, now, 0);
}

struct step_result learner_agent_step(struct learner_agent *agent, uint64_t now, uint64_t lsn, const struct event *events,
                                      size_t count)
{
    bool appending = false;
    effects_begin(&agent->effects, lsn);
    agent->results_told = 0;
    execution_begin(&agent->execution);
    results_trim(&agent->results);
    catch_up_begin(&agent->catch_up);
    for (size_t i = 0; i < count; i++) {
        appending = appending || events[i].tag == EVENT_APPENDED;
        on_event(agent, &events[i], lsn);
    }
    if (agent->damaged_at != 0) {
        agent->effects.count = 0;
        effects_add(&agent->effects, EFFECT_DAMAGED)->val.damaged = agent->damaged_at;
        return effects_end(&agent->effects, UINT64_MAX, 0);
    }
    bool more = execute_some(agent);
    if (!agent->recovered)
        return effects_end(&agent->effects, more ? now : UINT64_MAX, 0);
    agreement_wait(&agent->agreement, now);
    if (agent->agreement.state == AGREEMENT_LOST)
        return end(agent, now, lsn);
    effects_tell_leader(&agent->effects, &agent->told, (struct leadership){agent->leader_ballot.node, agent->leader_ballot});
    record_chosen(agent, now, appending || agent->effects.lsn != lsn);
    send_progress(agent, now);
    catch_up_ask(&agent->catch_up, learner_missing(agent->learner), more, now, &agent->effects);
    catch_up_serve(&agent->catch_up, &agent->effects);
    return effects_end(&agent->effects, wake_at(agent, now, more), 0);
}

struct node_status learner_agent_status(struct learner_agent *agent)
{
    return (struct node_status){
        .node = agent->config.node,
        .incarnation = agent->config.incarnation,
        .leader = agent->leader_ballot.node,
        .ballot = agent->leader_ballot,
        .chosen = learner_known_chosen(agent->learner),
        .executed = agent->executed,
        .held = agent->held.to,
        .state_hash = agent->execution.state_hash,
        .commands_executed = agent->execution.commands_executed,
    };
}

#ifndef __wasm__ /* as a component, what it calls is in other components */
void learner_agent_audit(const struct learner_agent *agent)
{
    const struct execution *x = &agent->execution;
    invariant(agent->recorded.base == agent->executed && agent->results.end == agent->executed);
    invariant(!agent->recovered || chosen_recorded(agent) <= agent->executed);
    for (size_t i = 0; i < agent->holding_count; i++)
        invariant(agent->holdings[i].to >= (i > 0 ? agent->holdings[i - 1].to : agent->held.to));
    invariant(x->first <= x->count && (!x->begun || (x->first < x->count && x->replies.count == x->applied)));
    results_audit(&agent->results);
    catch_up_audit(&agent->catch_up);
    learner_audit(agent->learner);
}
#endif
