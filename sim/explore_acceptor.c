/* An acceptor to be explored: the real acceptor and its real agent, on a disk whose records become durable one by one, in
 * order. What the agent sends waits for the records before it, as its `after` says (P2).
 *
 * The code is compiled here once more, under other names, because the comparison of two states needs private fields. The
 * comparison leaves out who leads (leader_ballot, leader_heard_at, told): an acceptor tells proposers that when they ask
 * whether the leader is lost, and here they prepare without asking. It also leaves out bytes, because all have room here. */
#define acceptor_new           explored_acceptor_new
#define acceptor_free          explored_acceptor_free
#define acceptor_widen         explored_acceptor_widen
#define acceptor_bytes         explored_acceptor_bytes
#define acceptor_prepare       explored_acceptor_prepare
#define acceptor_votes         explored_acceptor_votes
#define acceptor_accept        explored_acceptor_accept
#define acceptor_truncate      explored_acceptor_truncate
#define acceptor_restore       explored_acceptor_restore
#define acceptor_agent_new     explored_acceptor_agent_new
#define acceptor_agent_free    explored_acceptor_agent_free
#define acceptor_agent_step    explored_acceptor_agent_step
#define acceptor_agent_status  explored_acceptor_agent_status
#define acceptor_agent_is_near explored_acceptor_agent_is_near
#define acceptor_audit         explored_acceptor_audit
#define acceptor_agent_audit   explored_acceptor_agent_audit
#include "core/agents/acceptor_agent.c" /* NOLINT(bugprone-suspicious-include) */
#include "core/paxos/acceptor.c"        /* NOLINT(bugprone-suspicious-include) */

#include "sim/explore_part.h"

/* Records that an acceptor may make: each promise and vote once, and again if a crash took it. */
enum {
    RECORDS_MAX = EXPLORE_BALLOTS_MAX * (EXPLORE_SLOTS_MAX + 1) * (EXPLORE_CRASHES_MAX + 1),
    ANSWERS_MAX = 2 * RECORDS_MAX
};

struct acceptor_node {
    struct explore_words *words;
    struct node_config config;
    struct acceptor_agent *agent;
    struct acceptor_agent *heir;            /* gets the records as they become durable: the state that a crash would leave */
    struct log_record journal[RECORDS_MAX]; /* record n has lsn n + 1 */
    uint64_t appended, durable;
    struct answer {
        uint64_t after;
        struct explore_event said;
    } answers[ANSWERS_MAX]; /* they wait for the disk */
    size_t answer_count;
};

/* Promise and votes as in a state's key. */
struct promised {
    struct ballot ballot;
    struct ballot votes[EXPLORE_SLOTS_MAX + 1];
};

static void feed(const struct acceptor_node *node, struct acceptor_agent *agent, const struct log_record *record)
{
    struct log_record copy = *record;
    struct event event = {.tag = EVENT_RECORDS, .val.records = {&copy, 1}};
    if (node->words->options->flaw != EXPLORE_LOST_PROMISES || record->kind != RECORD_PROMISED)
        acceptor_agent_step(agent, 0, 1, &event, 1);
}

static struct promised promised_by(const struct acceptor_agent *agent)
{
    struct promised p = {.ballot = agent->acceptor->promised};
    for (uint64_t slot = 1; slot <= EXPLORE_SLOTS_MAX; slot++) {
        const struct vote *v = slot_ring_at(&agent->acceptor->votes, slot);
        if (v != NULL)
            p.votes[slot] = v->ballot;
    }
    return p;
}

static void *acceptor_make(struct explore_words *words, uint32_t root)
{
    struct acceptor_node *node = memory_new(1, sizeof *node);
    node->words = words;
    node->config = explore_config(words->options, EXPLORE_FIRST_ACCEPTOR + root);
    node->agent = acceptor_agent_new(&node->config);
    node->heir = acceptor_agent_new(&node->config);
    return node;
}

static void acceptor_drop(void *part)
{
    struct acceptor_node *node = part;
    acceptor_agent_free(node->agent);
    acceptor_agent_free(node->heir);
    free(node);
}

/* --- what leaves -------------------------------------------------------------------------------------------------- */

/* PromiseDurable, VoteDurable: what is said is what a crash at this moment would leave. */
static void say(struct acceptor_node *node, struct explore_event said, struct explore_saying *saying)
{
    uint8_t named = said.ballot;
    if (said.kind == EXPLORE_PROMISE)
        named = explore_promise_at(node->words, explore_promise_number(said))->ballot;
    struct ballot ballot = node->words->ballots[named];
    struct promised durable = promised_by(node->heir);
    if (said.kind == EXPLORE_ACCEPTED && ballot_compare(durable.votes[said.slot], ballot) < 0)
        saying->broken = EXPLORE_VOTE_DURABLE;
    else if (ballot_compare(durable.ballot, ballot) < 0)
        saying->broken = EXPLORE_PROMISE_DURABLE;
    explore_say(saying, said);
}

static void say_when_durable(struct acceptor_node *node, uint64_t after, struct explore_event said,
                             struct explore_saying *saying)
{
    if (after <= node->durable || node->words->options->flaw == EXPLORE_EARLY_ANSWERS) {
        say(node, said, saying);
        return;
    }
    for (size_t i = 0; i < node->answer_count; i++)
        if (explore_pack(node->answers[i].said) == explore_pack(said))
            return; /* any message may come twice: saying it again adds nothing */
    invariant(node->answer_count < ANSWERS_MAX);
    node->answers[node->answer_count++] = (struct answer){after, said};
}

/* NACKs are not said: proposers may have heard of any ballot at any time. */
static void on_send(struct acceptor_node *node, const struct outgoing *send, struct explore_saying *saying)
{
    const struct message *m = &send->message;
    uint8_t ballot = explore_ballot(node->words, m->ballot);
    if (m->kind == MESSAGE_ACCEPTED) {
        for (uint64_t slot = m->from; slot < m->to; slot++)
            say_when_durable(node, send->after,
                             (struct explore_event){.kind = EXPLORE_ACCEPTED, .slot = (uint8_t)slot, .ballot = ballot},
                             saying);
    } else if (m->kind == MESSAGE_PROMISE) {
        struct explore_promise promise = {.ballot = ballot,
                                          .from = (uint8_t)m->from,
                                          .to = (uint8_t)m->to,
                                          .floor = (uint8_t)m->floor,
                                          .last = (m->flags & MESSAGE_LAST) != 0};
        for (size_t i = 0; i < m->entries.len; i++) {
            const struct entry *e = &m->entries.ptr[i];
            invariant(promise.count < EXPLORE_SLOTS_MAX);
            promise.votes[promise.count++] = (struct explore_vote){(uint8_t)e->slot, explore_ballot(node->words, e->ballot),
                                                                   explore_entry_value(node->words, e)};
        }
        say_when_durable(node, send->after, explore_promise_event(0, explore_promise(node->words, &promise)), saying);
    }
}

/* --- what happens to it ------------------------------------------------------------------------------------------- */

static void record_durable(struct acceptor_node *node, struct explore_saying *saying)
{
    feed(node, node->heir, &node->journal[node->durable++]);
    size_t left = 0;
    for (size_t i = 0; i < node->answer_count; i++) {
        if (node->answers[i].after <= node->durable)
            say(node, node->answers[i].said, saying);
        else
            node->answers[left++] = node->answers[i];
    }
    node->answer_count = left;
}

static void hear(struct acceptor_node *node, const struct message *m, struct explore_saying *saying)
{
    struct event event = {.tag = EVENT_MESSAGE, .val.message = {.sender = m->ballot.node, .message = *m}};
    struct step_result r = acceptor_agent_step(node->agent, 0, node->appended + 1, &event, 1);
    for (size_t i = 0; i < r.effects.len; i++) {
        const struct effect *e = &r.effects.ptr[i];
        if (e->tag == EFFECT_APPEND) {
            invariant(node->appended < RECORDS_MAX && e->val.append.lsn == node->appended + 1);
            struct log_record *record = &node->journal[node->appended++];
            *record = e->val.append;
            if (record->kind == RECORD_ACCEPTED) /* its bytes were the agent's */
                record->entry.value =
                    explore_entry(node->words, 0, 0, explore_entry_value(node->words, &record->entry)).value;
        } else if (e->tag == EFFECT_SEND) {
            on_send(node, &e->val.send, saying);
        }
    }
}

static void crash(struct acceptor_node *node)
{
    acceptor_agent_free(node->agent);
    node->agent = acceptor_agent_new(&node->config);
    for (uint64_t i = 0; i < node->durable; i++)
        feed(node, node->agent, &node->journal[i]);
    struct event event = {.tag = EVENT_RECOVERED};
    acceptor_agent_step(node->agent, 0, node->durable + 1, &event, 1);
    node->appended = node->durable;
    node->answer_count = 0;
}

static void acceptor_apply(void *part, struct explore_event input, struct explore_saying *saying)
{
    struct acceptor_node *node = part;
    struct promised before = promised_by(node->heir);
    struct message m = {.ballot = node->words->ballots[input.ballot], .from = 1, .chosen = 1, .floor = 1};
    struct entry entry;
    switch (input.kind) {
    case EXPLORE_PREPARE:
        m = (struct message){.kind = MESSAGE_PREPARE, .ballot = m.ballot, .from = input.slot};
        hear(node, &m, saying);
        break;
    case EXPLORE_ACCEPT:
        m.kind = MESSAGE_ACCEPT;
        entry = explore_entry(node->words, input.ballot, input.slot, input.value);
        m.entries = (struct entry_list){&entry, 1};
        hear(node, &m, saying);
        break;
    case EXPLORE_DURABLE:
        record_durable(node, saying);
        break;
    default:
        invariant(input.kind == EXPLORE_CRASH);
        crash(node);
        break;
    }
    if (input.who != 0) /* the disk is done at once */
        while (node->durable < node->appended)
            record_durable(node, saying);
    struct promised after = promised_by(node->heir);
    if (ballot_compare(after.ballot, before.ballot) < 0)
        saying->broken = EXPLORE_PROMISE_DURABLE;
    for (uint32_t slot = 1; slot <= EXPLORE_SLOTS_MAX; slot++)
        if (ballot_compare(after.votes[slot], before.votes[slot]) < 0)
            saying->broken = EXPLORE_VOTE_DURABLE;
}

/* --- what it is --------------------------------------------------------------------------------------------------- */

static void add_agent(struct explore_words *words, const struct acceptor_agent *agent, struct explore_key *key)
{
    const struct acceptor *a = agent->acceptor;
    explore_key_add(key, explore_ballot(words, agent->promised));
    explore_key_add(key, explore_ballot(words, a->promised));
    explore_key_add(key, agent->floor);
    explore_key_add(key, agent->floor_recorded);
    explore_key_add(key, a->top);
    explore_key_add(key, a->votes.base);
    for (uint64_t slot = a->votes.base; slot < a->top; slot++) {
        const struct vote *v = slot_ring_at(&a->votes, slot);
        struct entry e = {.kind = v->kind, .value = v->value};
        uint8_t ballot = explore_ballot(words, v->ballot);
        explore_key_add(key, ballot);
        explore_key_add(key, ballot != 0 ? explore_entry_value(words, &e) : EXPLORE_NO_VALUE);
    }
}

static void acceptor_look(void *part, struct explore_sight *sight, struct explore_key *key)
{
    struct acceptor_node *node = part;
    sight->behind = (uint8_t)(node->appended - node->durable);
    add_agent(node->words, node->agent, key);
    add_agent(node->words, node->heir, key);
    size_t answer = 0;
    for (uint64_t i = node->durable; i < node->appended; i++) {
        const struct log_record *record = &node->journal[i];
        explore_key_add(key, record->kind + 1u);
        explore_key_add(key, record->entry.slot);
        explore_key_add(key, explore_ballot(node->words, record->entry.ballot));
        if (record->kind == RECORD_ACCEPTED)
            explore_key_add(key, explore_entry_value(node->words, &record->entry));
        for (; answer < node->answer_count && node->answers[answer].after == i + 1; answer++) {
            struct explore_event said = node->answers[answer].said;
            explore_key_add(key, UINT8_MAX);
            explore_key_add(key, said.kind);
            explore_key_add(key, said.slot);
            explore_key_add(key, said.ballot);
            explore_key_add(key, said.value);
        }
    }
    invariant(answer == node->answer_count);
}

const struct explore_part_kind explore_acceptor = {EXPLORE_KEY_BYTES, acceptor_make, acceptor_drop, acceptor_apply,
                                                   acceptor_look};
