#include "core/agents/agreement.h"

#include "core/base/memory.h"

void agreement_init(struct agreement *a, const struct node_config *config, uint64_t slots, uint64_t patience_us)
{
    *a = (struct agreement){.node = config->node,
                            .learners = config->learners,
                            .interval = config->exec_interval,
                            .patience_us = AGREEMENT_PATIENCE * config->exec_interval + patience_us,
                            .slots = slots};
}

/* Judges again by what is known of the others. A verdict of "lost" is final. */
static void judge(struct agreement *a)
{
    uint32_t learners = node_set_count(a->learners), majority = learners / 2 + 1, differ = 0;
    uint32_t agree = node_set_has(a->learners, a->node) ? 1 : 0; /* one that joins does not count */
    uint64_t first = UINT64_MAX, last = 0;                       /* where the others were found to differ */
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

void agreement_configure(struct agreement *a, node_set learners, node_set fresh)
{
    a->learners = learners;
    for (; fresh != 0; fresh &= fresh - 1)
        a->peers[node_set_first(fresh)] = (struct agreement_peer){0};
    if (node_set_has(learners, a->node))
        judge(a);
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

/* Where there is no room, the highest slot is left out. */
static void note_early(struct agreement_peer *peer, struct state_at theirs)
{
    size_t at = 0;
    while (at < AGREEMENT_EARLY && peer->early[at].slot != 0 && peer->early[at].slot < theirs.slot)
        at++;
    if (at == AGREEMENT_EARLY || peer->early[at].slot == theirs.slot)
        return;
    memmove(peer->early + at + 1, peer->early + at, (AGREEMENT_EARLY - 1 - at) * sizeof *peer->early);
    peer->early[at] = theirs;
}

/* Compares what the peer said of `executed`. This learner may have come past other slots by a snapshot, or left snapshots
 * of them out. */
static void compare_early(struct agreement *a, struct agreement_peer *peer, uint64_t executed, uint64_t hash)
{
    while (peer->early[0].slot != 0 && peer->early[0].slot <= executed) {
        const struct state_at theirs = peer->early[0];
        memmove(peer->early, peer->early + 1, (AGREEMENT_EARLY - 1) * sizeof *peer->early);
        peer->early[AGREEMENT_EARLY - 1] = (struct state_at){0};
        if (theirs.slot == executed)
            compare(a, peer, &theirs, hash);
    }
}

void agreement_executed(struct agreement *a, uint64_t executed, uint64_t hash)
{
    if (executed % a->slots != 0)
        return;
    a->last = (struct state_at){executed, hash};
    a->own[a->own_count++ % AGREEMENT_KEPT] = a->last;
    for (uint32_t learner = 0; learner <= NODE_ID_MAX; learner++)
        compare_early(a, &a->peers[learner], executed, hash);
}

/* This learner's state before `slot`; NULL: it is not known, or not any more. */
static const struct state_at *own_at(const struct agreement *a, uint64_t slot)
{
    for (size_t i = 0; i < AGREEMENT_KEPT; i++)
        if (a->own[i].slot == slot)
            return &a->own[i];
    return NULL;
}

void agreement_heard(struct agreement *a, uint32_t learner, uint64_t slot, uint64_t hash)
{
    if (slot == 0 || slot % a->slots != 0 || learner == a->node || !node_set_has(a->learners, learner) ||
        slot < a->peers[learner].compared_at)
        return;
    struct state_at theirs = {slot, hash};
    struct agreement_peer *peer = &a->peers[learner];
    if (slot > a->last.slot) {
        note_early(peer, theirs);
        return;
    }
    const struct state_at *own = own_at(a, slot);
    if (own != NULL)
        compare(a, peer, &theirs, own->hash);
}

void agreement_wait(struct agreement *a, uint64_t now)
{
    uint64_t passed = now - a->judged_at;
    a->judged_at = now;
    if (a->state != AGREEMENT_DOUBTED)
        return;
    a->doubted_us += passed < a->interval ? passed : a->interval;
    if (a->doubted_us >= a->patience_us)
        a->state = AGREEMENT_LOST;
}

uint64_t agreement_wake_at(const struct agreement *a)
{
    return a->state == AGREEMENT_DOUBTED ? a->judged_at + a->interval : UINT64_MAX;
}
