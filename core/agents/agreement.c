#include "core/agents/agreement.h"

void agreement_init(struct agreement *a, const struct node_config *config)
{
    *a = (struct agreement){.node = config->node, .learners = config->learners};
}

static void compare(struct agreement *a, uint32_t learner, const struct state_at *theirs, uint64_t own_hash)
{
    a->compared_at[learner] = theirs->slot;
    if (theirs->hash == own_hash)
        a->differs_from[learner] = 0; /* it was started again, and is sound now */
    else if (a->differs_from[learner] == 0)
        a->differs_from[learner] = theirs->slot;
}

void agreement_executed(struct agreement *a, uint64_t executed, uint64_t hash)
{
    if (executed % AGREEMENT_INTERVAL != 0)
        return;
    a->last = (struct state_at){executed, hash};
    a->own[executed / AGREEMENT_INTERVAL % AGREEMENT_KEPT] = a->last;
    for (uint32_t learner = 0; learner <= NODE_ID_MAX; learner++) {
        if (a->early[learner].slot != executed)
            continue;
        compare(a, learner, &a->early[learner], hash);
        a->early[learner] = (struct state_at){0};
    }
}

void agreement_heard(struct agreement *a, uint32_t learner, uint64_t slot, uint64_t hash)
{
    if (slot == 0 || slot % AGREEMENT_INTERVAL != 0 || learner == a->node || !node_set_has(a->learners, learner) ||
        slot < a->compared_at[learner])
        return;
    struct state_at theirs = {slot, hash};
    if (slot > a->last.slot) {
        struct state_at *early = &a->early[learner];
        if (early->slot == 0 || slot < early->slot)
            *early = theirs;
        return;
    }
    const struct state_at *own = &a->own[slot / AGREEMENT_INTERVAL % AGREEMENT_KEPT];
    if (own->slot == slot)
        compare(a, learner, &theirs, own->hash);
}

uint64_t agreement_lost_at(const struct agreement *a)
{
    uint32_t learners = node_set_count(a->learners), differ = 0;
    uint64_t first = UINT64_MAX;
    for (node_set rest = a->learners; rest != 0; rest &= rest - 1) {
        uint64_t slot = a->differs_from[node_set_first(rest)];
        differ += slot != 0;
        first = slot != 0 && slot < first ? slot : first;
    }
    return learners - differ < learners / 2 + 1 ? first : 0;
}
