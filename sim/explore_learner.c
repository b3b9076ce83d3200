/* A learner to be explored: the real learner. It is told of values, votes and what is chosen, and releases what it can after
 * each message, as its agent does (core/agents/learner_agent.c).
 *
 * The code is compiled here once more, under other names, because the comparison of two states needs private fields. What is
 * below the first slot that is not released is never read again. */
#define learner_new          explored_learner_new
#define learner_free         explored_learner_free
#define learner_bytes        explored_learner_bytes
#define learner_configure    explored_learner_configure
#define learner_limit        explored_learner_limit
#define learner_proposed     explored_learner_proposed
#define learner_voted        explored_learner_voted
#define learner_chosen       explored_learner_chosen
#define learner_learned      explored_learner_learned
#define learner_skip         explored_learner_skip
#define learner_release      explored_learner_release
#define learner_missing      explored_learner_missing
#define learner_next         explored_learner_next
#define learner_known_chosen explored_learner_known_chosen
#define learner_audit        explored_learner_audit
#include "core/paxos/learner.c" /* NOLINT(bugprone-suspicious-include) */

#include "sim/explore_part.h"

struct learner_node {
    struct explore_words *words;
    struct learner *learner;
};

static void *learner_make(struct explore_words *words, uint32_t root)
{
    struct learner_node *node = memory_new(1, sizeof *node);
    struct node_config config = explore_config(words->options, EXPLORE_LEARNER + root);
    node->words = words;
    node->learner = learner_new(&config);
    return node;
}

static void learner_drop(void *part)
{
    struct learner_node *node = part;
    learner_free(node->learner);
    free(node);
}

static void learner_apply(void *part, struct explore_event input, struct explore_saying *saying)
{
    struct learner_node *node = part;
    struct ballot ballot = node->words->ballots[input.ballot];
    struct entry entry = explore_entry(node->words, input.ballot, input.slot, input.value);
    switch (input.kind) {
    case EXPLORE_ACCEPT:
        learner_proposed(node->learner, &entry, 1);
        break;
    case EXPLORE_ACCEPTED:
        learner_voted(node->learner, EXPLORE_FIRST_ACCEPTOR + input.who, ballot, input.slot, input.slot + 1u);
        break;
    case EXPLORE_CHOSEN:
        if (node->words->options->flaw == EXPLORE_CHOSEN_BY_SLOT)
            ballot = (struct ballot){0};
        learner_chosen(node->learner, ballot, 1, input.slot);
        break;
    default:
        invariant(input.kind == EXPLORE_LEARN);
        learner_learned(node->learner, &entry, 1);
        break;
    }
    struct entry_list released;
    while ((released = learner_release(node->learner, 1)).len > 0)
        for (size_t i = 0; i < released.len; i++)
            explore_say(saying, (struct explore_event){.kind = EXPLORE_RELEASED,
                                                       .slot = (uint8_t)released.ptr[i].slot,
                                                       .value = explore_entry_value(node->words, &released.ptr[i])});
}

static void learner_look(void *part, struct explore_sight *sight, struct explore_key *key)
{
    struct learner_node *node = part;
    struct learner *l = node->learner;
    sight->chosen = (uint8_t)learner_known_chosen(l);
    explore_key_add(key, l->next);
    explore_key_add(key, l->heard);
    explore_key_add(key, explore_ballot(node->words, l->told_ballot));
    explore_key_add(key, l->told_from);
    explore_key_add(key, l->told_to);
    for (uint64_t slot = l->next; slot <= node->words->options->slots; slot++) {
        const struct learnable *item = slot_ring_at(&l->slots, slot);
        struct entry e = {.kind = item->kind, .value = item->value};
        explore_key_add(key, item->has_value ? explore_entry_value(node->words, &e) : EXPLORE_NO_VALUE);
        explore_key_add(key, explore_ballot(node->words, item->value_ballot));
        explore_key_add(key, explore_ballot(node->words, item->vote_ballot));
        explore_key_add(key, explore_ballot(node->words, item->chosen_ballot));
        explore_key_add(key, item->chosen);
        explore_key_add(key, item->voters >> EXPLORE_FIRST_ACCEPTOR);
    }
}

const struct explore_part_kind explore_learner = {24, learner_make, learner_drop, learner_apply, learner_look};
