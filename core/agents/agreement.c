#include "core/agents/agreement.h"

void agreement_init(struct agreement *a, const struct node_config *config)
{
    *a = (struct agreement){.node = config->node, .learners = config->learners, .interval = config->exec_interval};
}

/* Judges again by what is known of the others. A verdict of "lost" is final. */
static void judge(struct agreement *a)
{
    uint32_t learners = node_set_count(a->learners), majority = learners / 2 + 1, differ = 0, agree = 1;
    uint64_t first = UINT64_MAX, last = 0; /* where the others were found to differ */
    for (node_set rest = a->learners; rest != 0; rest &= rest - 1) {
        uint64_t slot = a->peers[node_set_first(rest)].differs_from;
        differ += slot != 0;
        first = slot != 0 && slot < first ? slot : first;
        last = slot > last ? slot : last;
    }
    for (node_set rest = a->learners; rest != 0; rest &= rest - 1) {
        const struct agreement_peer *peer = &a->peers[node_set_first(rest)];
        agree += peer->differs_from == 0 && peer->equal_at != 0 && peer->equal_at >= last;
    }
    a->lost_at = first;
    if (a->state == AGREEMENT_LOST || learners - differ < majority)
        a->state = AGREEMENT_LOST;
    else if (differ == 0 || agree >= majority)
        a->state = AGREEMENT_HOLDS;
    else if (a->state == AGREEMENT_HOLDS) {
        a->state = AGREEMENT_DOUBTED;
        a->doubted_us = 0;
    }
}

static void compare(struct agreement *a, struct agreement_peer *peer, const struct state_at *theirs, uint64_t own_hash)
{
    peer->compared_at = theirs->slot;
    if (theirs->hash == own_hash) {
        peer->equal_at = theirs->slot;
        peer->differs_from = 0; /* it was restarted, and agrees now */
    } else if (peer->differs_from == 0) {
        peer->differs_from = theirs->slot;
    }
    judge(a);
}

void agreement_executed(struct agreement *a, uint64_t executed, uint64_t hash)
{
    if (executed % AGREEMENT_INTERVAL != 0)
        return;
    a->last = (struct state_at){executed, hash};
    a->own[executed / AGREEMENT_INTERVAL % AGREEMENT_KEPT] = a->last;
    for (uint32_t learner = 0; learner <= NODE_ID_MAX; learner++) {
        struct agreement_peer *peer = &a->peers[learner];
        if (peer->early.slot != executed)
            continue;
        compare(a, peer, &peer->early, hash);
        peer->early = (struct state_at){0};
    }
}

void agreement_heard(struct agreement *a, uint32_t learner, uint64_t slot, uint64_t hash)
{
    if (slot == 0 || slot % AGREEMENT_INTERVAL != 0 || learner == a->node || !node_set_has(a->learners, learner) ||
        slot < a->peers[learner].compared_at)
        return;
    struct state_at theirs = {slot, hash};
    struct agreement_peer *peer = &a->peers[learner];
    if (slot > a->last.slot) {
        if (peer->early.slot == 0 || slot < peer->early.slot)
            peer->early = theirs;
        return;
    }
    const struct state_at *own = &a->own[slot / AGREEMENT_INTERVAL % AGREEMENT_KEPT];
    if (own->slot == slot)
        compare(a, peer, &theirs, own->hash);
}

void agreement_wait(struct agreement *a, uint64_t now)
{
    uint64_t passed = now - a->judged_at;
    a->judged_at = now;
    if (a->state != AGREEMENT_DOUBTED)
        return;
    a->doubted_us += passed < a->interval ? passed : a->interval;
    if (a->doubted_us >= AGREEMENT_PATIENCE * a->interval)
        a->state = AGREEMENT_LOST;
}

uint64_t agreement_wake_at(const struct agreement *a)
{
    return a->state == AGREEMENT_DOUBTED ? a->judged_at + a->interval : UINT64_MAX;
}
