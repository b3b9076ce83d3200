/* Where a learner's values are kept. Every executed slot has a record of its value in this node's journal; of all its
 * records there, the one with the highest ballot carries the chosen value. A coordinator node gets most of these records
 * from its acceptor (EVENT_APPENDED). The learner appends the missing ones itself (RECORD_LEARNED). A RECORD_CHOSEN says up
 * to which slot this holds. So recovery executes again what the journal contains, and peers that lack slots get them read
 * back from the journal. Memory holds only the window and a sparse index.
 *
 * A snapshot takes the place of all slots before its own (saving.h). Recovery begins with the newest one, and the journal
 * is needed from the oldest one on that is kept: should a newer one be damaged, the rest must be there. Where no peer has a
 * slot in its journal any more, a snapshot is fetched (transfer.h).
 *
 * When recovery comes to a record, it has executed what the last RECORD_CHOSEN says, and keeps records of a window of slots
 * from there on (recovery.h). So a record counts only if it is in that window, and a new RECORD_CHOSEN is written before one
 * would not be. A RECORD_CHOSEN carries the window that is valid after it. Where a configuration widens the window, one is
 * written at once; and a life whose window is another one begins with one. If recovery does not find all that a
 * RECORD_CHOSEN says, records are missing. The node must not go on as if it had executed less.
 *
 * Configurations are executed as batches are (P11): the log alone decides which of them count. Where messages go is another
 * question: also to members of a newer configuration that the host knows of.
 *
 * At most once: a batch is executed only if its number is above the last executed one of its origin (same or later life).
 * The log alone decides that, so all learners decide alike. */
#include "core/agents/learner_agent_internal.h"

#include "core/agents/answers.h"
#include "core/formats/operator_request.h"

struct learner_agent *learner_agent_new(const struct node_config *config)
{
    struct learner_agent *agent = memory_new(1, sizeof *agent);
    agent->config = *config;
    agent->config.limits = limits_effective(&config->limits);
    agent->learner = learner_new(config);
    execution_init(&agent->execution, &agent->config);
    recovery_init(&agent->recovery);
    agent->window = learner_window(config->alpha);
    agent->due_told = DUE_NEVER;
    agent->executed = agent->held.to = agent->progress_sent = agent->held_sent = agent->truncated_lsn = 1;
    slot_ring_init(&agent->recorded, sizeof(struct ballot), learner_window(config->alpha), 1);
    results_init(&agent->results, (uint64_t)config->alpha * 4, agent->config.limits.results_bytes);
    queries_init(&agent->queries, &agent->config.limits, config->bytes_in_flight_max, config->request_timeout);
    read_rounds_init(&agent->reads);
    queries_init(&agent->stale, &agent->config.limits, config->bytes_in_flight_max, config->retry_interval);
    catch_up_init(&agent->catch_up, config);
    agreement_init(&agent->agreement, config, AGREEMENT_INTERVAL, 0);
    agreement_init(&agent->snapshots_agreement, config, 1, AGREEMENT_SNAPSHOT_US + 2 * saving_longest_us(config));
    saving_init(&agent->saving, config);
    transfer_init(&agent->transfer, &agent->config, &agent->effects);
    configurations_init(&agent->contacts, config);
    learner_agent_reach(agent, 0);
    return agent;
}

void learner_agent_free(struct learner_agent *agent)
{
    learner_free(agent->learner);
    recovery_close(&agent->recovery);
    execution_close(&agent->execution);
    slot_ring_close(&agent->recorded);
    results_close(&agent->results);
    queries_close(&agent->queries);
    read_rounds_close(&agent->reads);
    queries_close(&agent->stale);
    catch_up_close(&agent->catch_up);
    saving_close(&agent->saving);
    payload_free(&agent->loading.first);
    effects_close(&agent->effects);
    free(agent->holdings);
    free(agent);
}

/* The worse of the two. */
static enum agreement_state agreement_state(const struct learner_agent *agent)
{
    const uint8_t states = agent->agreement.state, snapshots = agent->snapshots_agreement.state;
    return states > snapshots ? states : snapshots;
}

static void send_executed(struct learner_agent *agent, uint64_t slot, const struct batch_header *header,
                          const struct payload *replies)
{
    const struct node_config *c = &agent->config;
    bool asked = header->answerer == c->node || (header->answerer == 0 && header->id.origin == c->node);
    node_set to = c->learners_send_executed ? configurations_proposers(&agent->contacts)
                  : asked                   ? node_set_of(header->id.origin)
                                            : 0;
    if (to == 0 || !agent->recovered || agreement_state(agent) != AGREEMENT_HOLDS)
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
    if (done->entry->kind == ENTRY_NOOP && agent->due_told <= agent->execution.reached.moment.elapsed)
        agent->progress_wanted = true; /* the leader wants to know what is left that ends */
    if (done->configured)
        learner_agent_note_configuration(agent);
    if (done->entry->kind == ENTRY_CONFIGURATION)
        learner_limit(agent->learner, slot + 1);
    slot_ring_advance(&agent->recorded);
    agent->executed++;
    if (done->configured)
        learner_agent_mark_window(agent);
    agent->executed_bytes += done->entry->value.len;
    catch_up_note_executed(&agent->catch_up, slot, agent->effects.lsn);
    agreement_executed(&agent->agreement, agent->executed, agent->execution.state_hash);
    const bool due = saving_executed(&agent->saving, done->entry->value.len, &agent->execution);
    if (due && agent->recovered && agent->transfer.state == FETCH_NOTHING)
        saving_begin(&agent->saving, agent->executed, &agent->execution, &agent->effects);
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
            learner_agent_append_if_not_recorded(agent, next);
        if (!execution_run(&agent->execution, &done))
            return true;
        note_executed(agent, &done);
    }
    return false;
}

/* The same, and takes more while there is more. In recovery only a RECORD_CHOSEN lets it take anything. While a snapshot is
 * loaded there is no state to execute on. */
static bool execute_some(struct learner_agent *agent)
{
    if (agent->transfer.state == FETCH_LOADING)
        return false;
    do {
        const bool left = execute_taken(agent);
        invariant(!agent->execution.stalled || saving_is_in_machine(&agent->saving));
        if (left)
            return true;
    } while (agent->recovered && take_released(agent));
    return false;
}

/* ---- Recovery ---- */

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
    if (window != 0 && r->to <= recovery_next(recovery)) {
        agent->window_written = recovery->window = window; /* it is repeated, or a snapshot has those slots */
        agent->held.to = r->to > agent->held.to ? r->to : agent->held.to;
        return;
    }
    if (window == 0 || r->entry.slot > recovery_next(recovery) || lacks < r->to) {
        agent->damaged_at = lacks < r->to ? lacks : recovery_next(recovery);
        return;
    }
    agent->effects.lsn = r->lsn;
    while (recovery_next(recovery) < r->to) {
        struct entry_list found = recovery_take(recovery, r->to, agent->window, learner_bytes_max(&agent->config));
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
        learner_agent_note_recorded(agent, r->entry.slot, r->entry.ballot, r->lsn);
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
    struct entry_list found = recovery_take(&agent->recovery, UINT64_MAX, agent->window, learner_bytes_max(&agent->config));
    learner_proposed(agent->learner, found.ptr, found.len);
    recovery_close(&agent->recovery);
    recovery_init(&agent->recovery);
    const struct snapshot_id newest = transfer_newest(&agent->transfer);
    if (newest.slot != 0)
        agreement_executed(&agent->snapshots_agreement, newest.slot, newest.checksum);
    agent->recovered = agent->progress_wanted = agent->announce_wanted = true;
    agent->effects.lsn = lsn; /* of the first append of this life; until now, that of records being recovered */
    learner_agent_mark_snapshot(agent);
    if (agent->found_records && agent->window_written != agent->window)
        learner_agent_append_chosen(agent);
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
    if (learner_agent_is_at_boundary(agent, agent->held.to, agent->holdings[done - 1].to))
        agent->progress_wanted = true;
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
    agent->leader_configuration = m->to;
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
    if (m->from == 0 || m->from >= agent->executed || agreement_state(agent) != AGREEMENT_HOLDS)
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

static void on_message(struct learner_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
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
        if (!catch_up_request(&agent->catch_up, sender, m->from, m->to < agent->executed ? m->to : agent->executed))
            transfer_offer(&agent->transfer, sender);
        break;
    case MESSAGE_LEARN:
        on_learn(agent, sender, m);
        break;
    case MESSAGE_RESULT_REQUEST:
        on_result_request(agent, sender, m);
        break;
    case MESSAGE_QUERY:
        if (sender == agent->config.node && m->entries.len == 0)
            learner_agent_note_current(agent, m->from, m->to);
        (void)queries_add(&agent->queries, sender, m, now);
        break;
    case MESSAGE_READ_INDEX:
        learner_agent_read_confirmed(agent, sender, m);
        break;
    case MESSAGE_PROGRESS:
        progress_heard(&agent->progress, sender, m->to, m->floor);
        catch_up_progress(&agent->catch_up, sender, m->to);
        agreement_heard(&agent->agreement, sender, m->from, m->batch.number);
        break;
    case MESSAGE_SNAPSHOT:
        learner_agent_snapshot_of_peer(agent, sender, m);
        break;
    case MESSAGE_SNAPSHOT_FETCH:
        transfer_wanted(&agent->transfer, sender, m);
        break;
    case MESSAGE_SNAPSHOT_PART:
        transfer_part(&agent->transfer, sender, m);
        break;
    case MESSAGE_CONFIGURATION:
        learner_agent_configuration_message(agent, sender, m);
        break;
    default:
        break; /* for another role */
    }
}

/* Of requests only one is for a learner (core/formats/operator_request.h). */
static void on_request(struct learner_agent *agent, const struct client_batch *asked)
{
    struct operator_request request;
    if (operator_request_read(&asked->value, &request) == NULL && request.verb == OPERATOR_HELD)
        answer_held(&agent->effects, agent->leader_ballot.node, asked->token, agent->config.node, agent->held.to,
                    &agent->progress);
}

static void on_event(struct learner_agent *agent, const struct event *event, uint64_t lsn, uint64_t now)
{
    switch (event->tag) {
    case EVENT_MESSAGE:
        on_message(agent, event->val.message.sender, &event->val.message.message, now);
        break;
    case EVENT_DURABLE:
        on_durable(agent, event->val.durable);
        break;
    case EVENT_READS:
        learner_agent_read(agent, &event->val.reads, now);
        break;
    case EVENT_RECORDS:
        on_records(agent, &event->val.records);
        break;
    case EVENT_RECOVERED:
        end_recovery(agent, lsn);
        break;
    case EVENT_SNAPSHOT:
        learner_agent_snapshot(agent, &event->val.snapshot);
        break;
    case EVENT_CONFIGURATION:
        learner_agent_configuration(agent, &event->val.configuration);
        break;
    case EVENT_REQUEST:
        on_request(agent, &event->val.request);
        break;
    case EVENT_APPENDED:
        learner_agent_note_recorded(agent, event->val.appended.slot, event->val.appended.ballot, event->val.appended.lsn);
        break;
    default:
        break;
    }
}

/* Answers reads by the state as it is now (P9). True: there is more to do. A state that is being loaded is none, and one
 * that may differ from those of the others answers no client (P13). */
static bool answer_queries(struct learner_agent *agent, uint64_t now)
{
    const uint64_t executed = agent->executed;
    const struct moment moment = execution_now(&agent->execution);
    uint64_t work = 0;
    struct query answered;
    struct batch_id expired;
    struct entry entry = {.slot = 0};
    enum query_state state = QUERIES_WAIT;
    learner_agent_go_on_with_reads(agent, now);
    while (queries_expired(&agent->queries, now, &expired))
        continue;
    if (agent->transfer.state == FETCH_LOADING || agreement_state(agent) != AGREEMENT_HOLDS || agent->replaced)
        return false;
    if (execution_is_in_transaction(&agent->execution))
        return false; /* its other commands come with the next step */
    while ((state = queries_run(&agent->queries, agent->execution.machine, moment, executed, &work, &answered,
                                &entry.value)) == QUERY_ANSWERED) {
        const struct message m = {
            .kind = MESSAGE_QUERY_ANSWER, .batch = answered.batch, .to = executed, .entries = {&entry, 1}};
        const struct message *kept = effects_keep(&agent->effects, &m);
        if (!learner_agent_read_answered(agent, &answered, &kept->entries.ptr[0].value))
            effects_send(&agent->effects, node_set_of(answered.proposer), kept);
    }
    return learner_agent_answer_stale(agent, &work) || state == QUERIES_LEFT;
}

/* Records up to where slots are executed, when that costs no sync of its own, or after a while. */
static void record_chosen(struct learner_agent *agent, uint64_t now, bool appending)
{
    uint64_t news = agent->executed - learner_agent_recorded(agent);
    bool due = news >= configurations_alpha(&agent->contacts) / 2 ||
               learner_agent_is_at_boundary(agent, learner_agent_recorded(agent), agent->executed) ||
               now - agent->chosen_recorded_at >= agent->config.exec_interval;
    if (news == 0 || !(appending || due))
        return;
    learner_agent_append_chosen(agent);
    agent->chosen_recorded_at = now;
}

/* Whether an eighth of the bytes that a leader may have in flight is held since the last PROGRESS. Acceptors keep their
 * votes until they hear of it, and have room for little more than that. */
static bool many_bytes_untold(const struct learner_agent *agent)
{
    const uint64_t many = agent->config.bytes_in_flight_max / 8;
    return agent->executed_bytes - agent->executed_bytes_sent > many || agent->held.bytes - agent->held_bytes_sent > many;
}

/* Whether others do not know yet how far this learner has executed, or holds slots durably. */
static bool has_news(const struct learner_agent *agent)
{
    return agent->executed > agent->progress_sent || agent->held.to > agent->held_sent;
}

/* Tells all nodes how far this learner is: soon under load, from time to time when idle. */
static void send_progress(struct learner_agent *agent, uint64_t now)
{
    const struct node_config *c = &agent->config;
    uint64_t news = agent->executed - agent->progress_sent;
    uint64_t silence = now - agent->progress_sent_at;
    bool urgent = has_news(agent) || agreement_state(agent) != AGREEMENT_HOLDS;
    bool due = news >= (configurations_alpha(&agent->contacts) + 3) / 4 || (urgent && silence >= c->exec_interval) ||
               silence >= 10 * c->exec_interval;
    if (!due && !many_bytes_untold(agent) && !agent->progress_wanted)
        return;
    struct message m = {.kind = MESSAGE_PROGRESS, .to = agent->executed, .floor = agent->held.to};
    m.from = agent->agreement.last.slot;
    m.batch.number = agent->agreement.last.hash;
    m.chosen = agent->execution.configurations.newest.slot;
    m.batch.incarnation = (uint32_t)(c->state_bytes_room >> 10);
    uint64_t reached[STAMP_SIZE / 8], ends[STAMP_SIZE / 8];
    const uint64_t ends_at = execution_due(&agent->execution);
    struct entry times[] = {{.kind = ENTRY_NOOP, .value = stamp_pack(agent->execution.reached, reached)},
                            {.kind = ENTRY_NOOP, .value = stamp_pack((struct stamp){.moment.elapsed = ends_at}, ends)}};
    m.entries = (struct entry_list){times, ends_at != DUE_NEVER ? 2 : 1};
    effects_send(&agent->effects, agent->replaced ? 0 : configurations_members(&agent->contacts),
                 effects_keep(&agent->effects, &m));
    progress_heard(&agent->progress, c->node, m.to, m.floor);
    agent->progress_sent = agent->executed;
    agent->held_sent = agent->held.to;
    agent->due_told = ends_at;
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
    uint64_t wake = agent->progress_sent_at + (has_news(agent) ? c->exec_interval : 10 * c->exec_interval);
    if (agent->executed > learner_agent_recorded(agent) && agent->chosen_recorded_at + c->exec_interval < wake)
        wake = agent->chosen_recorded_at + c->exec_interval;
    const uint64_t ask = catch_up_wake_at(&agent->catch_up), judge = agreement_wake_at(&agent->agreement);
    const uint64_t judge_snapshots = agreement_wake_at(&agent->snapshots_agreement);
    const uint64_t transfer = transfer_wake_at(&agent->transfer), reads = learner_agent_reads_wake_at(agent);
    const uint64_t saving = agent->transfer.state != FETCH_LOADING ? saving_wake_at(&agent->saving) : UINT64_MAX;
    wake = ask < wake ? ask : wake;
    wake = transfer < wake ? transfer : wake;
    wake = reads < wake ? reads : wake;
    wake = saving < wake ? saving : wake;
    wake = judge_snapshots < wake ? judge_snapshots : wake;
    return judge < wake ? judge : wake;
}

/* This learner's state is not that of a majority (P13). It stops answering. In this step it tells the others its hash, which
 * they may need to see which side they are on. In the next step it says that it has to stop. */
static struct step_result end(struct learner_agent *agent, uint64_t now, uint64_t lsn)
{
    effects_begin(&agent->effects, lsn); /* nothing else of this step leaves the node */
    if (agent->ending) {
        const bool by_hash = agent->agreement.state == AGREEMENT_LOST;
        effects_add(&agent->effects, EFFECT_DIVERGED)->val.diverged =
            by_hash ? agent->agreement.lost_at : agent->snapshots_agreement.lost_at;
        return effects_end(&agent->effects, UINT64_MAX, (struct credit){0});
    }
    agent->ending = agent->progress_wanted = true;
    send_progress(agent, now);
    transfer_announce(&agent->transfer, now);
    return effects_end(&agent->effects, now, (struct credit){0});
}

/* What this node has on disk does not give it a state to go on from. */
static bool is_broken(const struct learner_agent *agent) { return agent->damaged_at != 0 || agent->unloadable != 0; }

/* Says why the node has to stop, and nothing else. */
static struct step_result stop(struct learner_agent *agent)
{
    agent->effects.count = 0;
    if (agent->damaged_at != 0)
        effects_add(&agent->effects, EFFECT_DAMAGED)->val.damaged = agent->damaged_at;
    else
        effects_add(&agent->effects, EFFECT_UNLOADABLE)->val.unloadable = agent->unloadable;
    return effects_end(&agent->effects, UINT64_MAX, (struct credit){0});
}

struct step_result learner_agent_step(struct learner_agent *agent, uint64_t now, uint64_t lsn, const struct event *events,
                                      size_t count)
{
    bool appending = false;
    effects_begin(&agent->effects, lsn);
    agent->results_told = 0;
    agent->told_configuration = 0;
    execution_begin(&agent->execution);
    results_trim(&agent->results);
    catch_up_begin(&agent->catch_up);
    for (size_t i = 0; i < count; i++) { /* what the port wants comes first: it holds for all of this step */
        appending = appending || events[i].tag == EVENT_APPENDED;
        if (events[i].tag == EVENT_WATCH)
            execution_watch(&agent->execution, events[i].val.watch);
    }
    for (size_t i = 0; i < count; i++)
        on_event(agent, &events[i], lsn, now);
    if (is_broken(agent))
        return stop(agent);
    bool more = execute_some(agent);
    if (agent->execution.notices.packed.count > 0)
        effects_add(&agent->effects, EFFECT_NOTICES)->val.notices = batch_end(&agent->execution.notices.packed);
    if (!agent->recovered)
        return effects_end(&agent->effects, more ? now : UINT64_MAX, (struct credit){0});
    agreement_wait(&agent->agreement, now);
    agreement_wait(&agent->snapshots_agreement, now);
    if (agreement_state(agent) == AGREEMENT_LOST)
        return end(agent, now, lsn);
    more = learner_agent_go_on_with_snapshots(agent, now, more);
    const bool queries_left = answer_queries(agent, now);
    effects_tell_leader(&agent->effects, &agent->told, (struct leadership){agent->leader_ballot.node, agent->leader_ballot});
    record_chosen(agent, now, appending || agent->effects.lsn != lsn);
    send_progress(agent, now);
    learner_agent_settle(agent);
    learner_agent_ask_for_configuration(agent, now);
    const bool fetches = agent->transfer.state != FETCH_NOTHING; /* then it asks for nothing else */
    const struct learner_gap gap = fetches ? (struct learner_gap){0, 0} : learner_agent_missing(agent);
    catch_up_ask(&agent->catch_up, gap, more, now, &agent->effects);
    catch_up_serve(&agent->catch_up, &agent->effects);
    return effects_end(&agent->effects, wake_at(agent, now, more || queries_left), learner_agent_credit(agent));
}

struct node_status learner_agent_status(struct learner_agent *agent)
{
    const struct execution *x = &agent->execution;
    const uint64_t index =
        agent->last_current.index > agent->next_current.index ? agent->last_current.index : agent->next_current.index;
    const uint64_t chosen = learner_known_chosen(agent->learner), known = chosen > index ? chosen : index;
    return (struct node_status){
        .node = agent->config.node,
        .incarnation = agent->config.incarnation,
        .leader = agent->leader_ballot.node,
        .batches_waiting = agent->reads.count,
        .ballot = agent->leader_ballot,
        .chosen = chosen,
        .executed = agent->executed,
        .held = agent->held.to,
        .state_hash = x->state_hash,
        .commands_executed = x->commands_executed,
        .keys = x->keys,
        .state_bytes = x->state_bytes,
        .moment = x->reached.moment,
        .timed_keys = x->timed_keys,
        .time_left = x->time_left,
        .state_age_ms = agent->current_at != 0 ? (agent->stepped_at - agent->current_at) / 1000 : UINT64_MAX,
        .slots_behind = known > agent->executed ? known - agent->executed : 0,
        .sessions = sessions_count(x->sessions),
        .session_bytes = sessions_size(x->sessions),
        .state_bytes_max = x->state_bytes_max != 0 ? x->state_bytes_max : x->configurations.newest.state_bytes_max,
    };
}

#ifndef __wasm__ /* as a component, what it calls is in other components */
void learner_agent_audit(const struct learner_agent *agent)
{
    const struct execution *x = &agent->execution;
    invariant(agent->recorded.base == agent->executed && agent->results.end == agent->executed);
    invariant(!agent->recovered || learner_agent_recorded(agent) <= agent->executed);
    for (size_t i = 0; i < agent->holding_count; i++)
        invariant(agent->holdings[i].to >= (i > 0 ? agent->holdings[i - 1].to : agent->held.to));
    invariant(x->first <= x->count);
    const size_t open = x->transaction_state == TRANSACTION_COMMANDS; /* its array is there, and not whole */
    invariant(!x->begun || (x->first < x->count && x->answering.replies.count == x->answering.done + open));
    invariant(x->begun || x->transaction_state == TRANSACTION_NONE_BEGUN);
    results_audit(&agent->results);
    queries_audit(&agent->queries);
    read_rounds_audit(&agent->reads);
    queries_audit(&agent->stale);
    catch_up_audit(&agent->catch_up);
    learner_audit(agent->learner);
}
#endif
