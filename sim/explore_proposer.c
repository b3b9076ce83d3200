/* A proposer to be explored: the real proposer, with as much of its agent (core/agents/proposer_agent.c) as safety asks for:
 *
 *  - it takes a ballot above one it has heard of, whenever its time is up (prepare);
 *  - when elected, it proposes again what the promises contain, and gives every remaining slot a client's batch (lead,
 *    lead_on). Batches that come later only reach the acceptors later, and the network covers that;
 *  - each slot goes in a message of its own: one message with several slots has the effect of several messages in a row;
 *  - it counts votes until it takes another ballot. That it resigns first, when it hears of a higher ballot, only means that
 *    it hears nothing in between.
 *
 * With a change of the configuration, what keeps a leadership to one configuration (P11) is the product's, too
 * (core/agents/configurations.c): which configuration governs the slot from which it prepares, and up to where it may
 * propose under that one. A configuration governs from the slot after its own on. So before it knows what was chosen in
 * slot 1, it proposes nothing from slot 2 on. If that is another configuration, it goes on at its ballot up to the
 * boundary, until it takes the next one. Its agent waits until what is before the boundary is settled, and prepares at once
 * then; here it may do so at any time. What its agent does besides is not here: it tells the proposer the limit in time,
 * resigns when it hears of a configuration that does not follow its own (there is one change), and counts what learners say
 * of what they know (here it learns what is true).
 *
 * The code is compiled here once more, under other names, because the comparison of two states needs private fields. The
 * comparison leaves out what the code reads only in another mode: once elected, which acceptors promised and what they still
 * owe, and the ballots of recovered votes; after it has resigned, all of phases 1 and 2. */
#define proposer_new            explored_proposer_new
#define proposer_free           explored_proposer_free
#define proposer_configure      explored_proposer_configure
#define proposer_limit          explored_proposer_limit
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

#include "core/agents/configurations.h"
#include "sim/explore_part.h"

struct proposer_node {
    struct explore_words *words;
    struct node_config config;
    struct proposer *proposer;
    struct configurations configurations;
    uint64_t known;  /* the first slot of which it does not know whether it holds a configuration */
    uint64_t acting; /* slot of the configuration with which it has prepared */
    uint8_t knows;   /* enum explore_knowledge */
};

/* The first one, or that which slot 1 may hold. */
static struct configuration configuration_at(const struct proposer_node *node, uint64_t slot)
{
    const node_set members = explore_members(node->words->options, slot != 0);
    const uint32_t quorum = node_set_count(members) / 2 + 1;
    return (struct configuration){
        .slot = slot,
        .governs = slot != 0 ? slot + 1 : 0,
        .proposers = node->config.proposers,
        .acceptors = members << EXPLORE_FIRST_ACCEPTOR,
        .learners = node->config.learners,
        .phase1_quorum = quorum,
        .phase2_quorum = quorum,
        .alpha = 1,
    };
}

static void begin(struct proposer_node *node)
{
    node->proposer = proposer_new(&node->config);
    node->configurations.newest = node->configurations.before = configuration_at(node, 0);
    node->known = 1;
    node->acting = 0;
    node->knows = EXPLORE_NOTHING;
}

static void *proposer_make(struct explore_words *words, uint32_t root)
{
    struct proposer_node *node = memory_new(1, sizeof *node);
    node->words = words;
    node->config = explore_config(words->options, EXPLORE_FIRST_PROPOSER + root);
    begin(node);
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

/* Up to where it may propose. */
static void limit(struct proposer_node *node)
{
    const bool nothing = node->knows == EXPLORE_NOTHING, changed = node->knows == EXPLORE_CHANGED && node->acting == 0;
    const bool flawed = (nothing && has_flaw(node, EXPLORE_OVER_BOUNDARY)) || (changed && has_flaw(node, EXPLORE_NOT_ANEW));
    const uint64_t known = configurations_limit(&node->configurations, node->acting, node->known);
    proposer_limit(node->proposer, flawed ? UINT64_MAX : known);
}

/* It prepares with the configuration that governs the first slot that is not known to be chosen. */
static void configure(struct proposer_node *node, uint64_t floor)
{
    struct configuration acting = *configurations_at(&node->configurations, floor);
    node->acting = acting.slot;
    acting.alpha = node->config.alpha; /* the window is as wide as without a change */
    proposer_configure(node->proposer, &acting);
    limit(node);
}

static void take_ballot(struct proposer_node *node, struct ballot above, struct explore_saying *saying)
{
    const uint64_t floor = node->knows != EXPLORE_NOTHING ? 2 : 1;
    if (node->words->options->change != EXPLORE_NO_CHANGE)
        configure(node, floor);
    const struct ballot taken = proposer_prepare(node->proposer, above, floor);
    explore_say(saying, (struct explore_event){.kind = EXPLORE_TAKEN,
                                               .ballot = explore_ballot(node->words, taken),
                                               .value = node->acting != 0});
}

/* It hears what was chosen in slot 1; no later one holds a configuration. */
static void know(struct proposer_node *node, bool changed, struct explore_saying *saying)
{
    const struct configuration other = configuration_at(node, 1);
    node->knows = changed ? EXPLORE_CHANGED : EXPLORE_UNCHANGED;
    node->known = node->words->options->slots + 1;
    if (changed)
        configurations_learn(&node->configurations, &other);
    limit(node);
    lead_on(node, saying);
}

static void crash(struct proposer_node *node)
{
    proposer_free(node->proposer);
    if (!has_flaw(node, EXPLORE_SAME_INCARNATION))
        node->config.incarnation++;
    begin(node);
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
    switch (input.kind) {
    case EXPLORE_PREPARE:
        take_ballot(node, node->words->ballots[input.ballot], saying);
        break;
    case EXPLORE_PROMISE:
        on_promise(node, input, saying);
        break;
    case EXPLORE_ACCEPTED:
        hear_vote(node, input);
        lead_on(node, saying);
        break;
    case EXPLORE_LEARN:
        know(node, input.value != 0, saying);
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
    explore_key_add(key, node->knows);
    sight->knows = node->knows;
    if (p->mode == IDLE)
        return;
    sight->ballot = explore_ballot(node->words, p->ballot);
    explore_key_add(key, sight->ballot);
    explore_key_add(key, node->acting);
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

const struct explore_part_kind explore_proposer = {37, proposer_make, proposer_drop, proposer_apply, proposer_look};
