/* A proposer to be explored: the real proposer, with as much of its agent (core/agents/proposer_agent.c) as safety asks
 * for:
 *
 *  - it takes a ballot above one it has heard of, whenever its time is up (prepare);
 *  - when elected, it proposes again what the promises contain, and gives every remaining slot a client's batch (lead,
 *    lead_on). Batches that come later only reach the acceptors later, and the network covers that;
 *  - each slot goes in a message of its own: one message with several slots has the effect of several messages in a row;
 *  - it counts votes until it takes another ballot. That it resigns first, when it hears of a higher ballot, only means that
 *    it hears nothing in between.
 *
 * The code is compiled here once more, under other names, because the comparison of two states needs private fields. The
 * comparison leaves out what the code reads only in another mode: once elected, which acceptors promised and what they still
 * owe, and the ballots of recovered votes; after it has resigned, all of phases 1 and 2. */
#define proposer_new            explored_proposer_new
#define proposer_free           explored_proposer_free
#define proposer_prepare        explored_proposer_prepare
#define proposer_promise        explored_proposer_promise
#define proposer_promise_wanted explored_proposer_promise_wanted
#define proposer_propose        explored_proposer_propose
#define proposer_pending        explored_proposer_pending
#define proposer_accepted       explored_proposer_accepted
#define proposer_settle         explored_proposer_settle
#define proposer_window_now     explored_proposer_window_now
#define proposer_unanswered     explored_proposer_unanswered
#define proposer_resign         explored_proposer_resign
#define proposer_audit          explored_proposer_audit
#include "core/paxos/proposer.c" /* NOLINT(bugprone-suspicious-include) */

#include "sim/explore_part.h"

struct proposer_node {
    struct explore_words *words;
    struct node_config config;
    struct proposer *proposer;
};

static void *proposer_make(struct explore_words *words, uint32_t root)
{
    struct proposer_node *node = memory_new(1, sizeof *node);
    node->words = words;
    node->config = explore_config(words->options, EXPLORE_FIRST_PROPOSER + root);
    node->proposer = proposer_new(&node->config);
    return node;
}

static void proposer_drop(void *part)
{
    struct proposer_node *node = part;
    proposer_free(node->proposer);
    free(node);
}

static bool has_flaw(const struct proposer_node *node, enum explore_flaw flaw) { return node->words->options->flaw == flaw; }

/* Proposes what clients have for a leader, as far as it may. */
static void propose_waiting(struct proposer_node *node)
{
    struct proposer_window w = proposer_window_now(node->proposer);
    uint8_t ballot = explore_ballot(node->words, w.ballot);
    while (ballot != 0 && w.next <= node->words->options->slots) {
        uint8_t value = explore_value(node->words, ballot, (uint32_t)w.next);
        struct entry e = explore_entry(node->words, ballot, 0, has_flaw(node, EXPLORE_MADE_UP_VALUE) ? 0 : value);
        if (proposer_propose(node->proposer, e.kind, &e.value) == 0)
            return;
        w = proposer_window_now(node->proposer);
    }
}

/* What a leader does after each message: proposes what it can, and sends what it may, slot by slot. */
static void lead_on(struct proposer_node *node, struct explore_saying *saying)
{
    struct entry_list pending;
    propose_waiting(node);
    while ((pending = proposer_pending(node->proposer, 1)).len > 0) {
        for (size_t i = 0; i < pending.len; i++) {
            struct explore_event accept = {.kind = EXPLORE_ACCEPT,
                                           .slot = (uint8_t)pending.ptr[i].slot,
                                           .ballot = explore_ballot(node->words, pending.ptr[i].ballot),
                                           .value = explore_entry_value(node->words, &pending.ptr[i])};
            explore_say(saying, accept);
            accept.value = EXPLORE_NOOP;
            if (has_flaw(node, EXPLORE_TWO_VALUES))
                explore_say(saying, accept);
        }
    }
}

static void on_promise(struct proposer_node *node, struct explore_event input, struct explore_saying *saying)
{
    const struct explore_promise *p = explore_promise_at(node->words, explore_promise_number(input));
    struct entry entries[EXPLORE_SLOTS_MAX];
    for (uint32_t i = 0; i < p->count; i++)
        entries[i] = explore_entry(node->words, p->votes[i].ballot, p->votes[i].slot, p->votes[i].value);
    struct message m = {
        .kind = MESSAGE_PROMISE,
        .flags = p->last ? MESSAGE_LAST : 0,
        .ballot = node->words->ballots[p->ballot],
        .from = p->from,
        .to = p->to,
        .floor = p->floor,
        .entries = {entries, p->count},
    };
    if (has_flaw(node, EXPLORE_HIDDEN_VOTES))
        m.entries.len = 0;
    if (proposer_promise(node->proposer, EXPLORE_FIRST_ACCEPTOR + input.who, &m).outcome == PROMISE_ELECTED)
        lead_on(node, saying);
}

static void crash(struct proposer_node *node)
{
    proposer_free(node->proposer);
    if (!has_flaw(node, EXPLORE_SAME_INCARNATION))
        node->config.incarnation++;
    node->proposer = proposer_new(&node->config);
}

static void hear_vote(struct proposer_node *node, struct explore_event vote)
{
    struct ballot ballot = node->words->ballots[vote.ballot];
    if (has_flaw(node, EXPLORE_VOTES_BY_SLOT))
        ballot = proposer_window_now(node->proposer).ballot;
    proposer_accepted(node->proposer, EXPLORE_FIRST_ACCEPTOR + vote.who, ballot, vote.slot, vote.slot + 1u);
}

static void proposer_apply(void *part, struct explore_event input, struct explore_saying *saying)
{
    struct proposer_node *node = part;
    struct ballot taken;
    switch (input.kind) {
    case EXPLORE_PREPARE:
        taken = proposer_prepare(node->proposer, node->words->ballots[input.ballot], 1);
        explore_say(saying, (struct explore_event){.kind = EXPLORE_TAKEN, .ballot = explore_ballot(node->words, taken)});
        break;
    case EXPLORE_PROMISE:
        on_promise(node, input, saying);
        break;
    case EXPLORE_ACCEPTED:
        hear_vote(node, input);
        lead_on(node, saying);
        break;
    case EXPLORE_RESIGN:
        proposer_resign(node->proposer);
        break;
    default:
        invariant(input.kind == EXPLORE_CRASH);
        crash(node);
        break;
    }
}

static void add_proposals(struct explore_words *words, const struct proposer *p, struct explore_key *key)
{
    explore_key_add(key, p->first);
    explore_key_add(key, p->sent);
    explore_key_add(key, p->next);
    explore_key_add(key, p->bytes);
    explore_key_add(key, p->proposals.base);
    for (uint64_t slot = p->proposals.base; slot < p->next; slot++) {
        const struct proposal *item = slot_ring_at(&p->proposals, slot);
        struct entry e = {.kind = item->kind, .value = item->value};
        explore_key_add(key, explore_entry_value(words, &e));
        if (p->mode == PREPARING) {
            explore_key_add(key, explore_ballot(words, item->ballot));
        } else {
            explore_key_add(key, item->chosen);
            explore_key_add(key, item->voters >> EXPLORE_FIRST_ACCEPTOR);
        }
    }
}

static void proposer_look(void *part, struct explore_sight *sight, struct explore_key *key)
{
    struct proposer_node *node = part;
    struct proposer *p = node->proposer;
    explore_key_add(key, node->config.node);
    explore_key_add(key, node->config.incarnation);
    explore_key_add(key, p->mode);
    explore_key_add(key, p->round);
    if (p->mode == IDLE)
        return;
    sight->ballot = explore_ballot(node->words, p->ballot);
    explore_key_add(key, sight->ballot);
    add_proposals(node->words, p, key);
    if (p->mode == PREPARING) {
        sight->mode = EXPLORE_PREPARING;
        explore_key_add(key, p->promised >> EXPLORE_FIRST_ACCEPTOR);
        for (uint32_t i = 0; i < node->words->options->acceptors; i++) {
            sight->wanted[i] = (uint8_t)proposer_promise_wanted(p, EXPLORE_FIRST_ACCEPTOR + i);
            explore_key_add(key, p->wanted[EXPLORE_FIRST_ACCEPTOR + i]);
        }
    } else {
        struct proposer_window w = proposer_window_now(p);
        sight->mode = EXPLORE_LEADING;
        sight->first = (uint8_t)w.first;
        sight->sent = (uint8_t)p->sent;
        sight->chosen = (uint8_t)(has_flaw(node, EXPLORE_EARLY_CHOSEN) ? w.next : w.chosen);
    }
}

const struct explore_part_kind explore_proposer = {32, proposer_make, proposer_drop, proposer_apply, proposer_look};
