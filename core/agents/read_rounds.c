/* How the leader knows that a read reflects all that was answered before it arrived (P9, decision 0045):
 *
 *      base          confirmed       asked            end
 *        |  confirmed    |   in the    |   for the      |       batches of reads, by number
 *        |  by a round   |  open round |  next round    |
 *
 *  1. When a round begins, all batches that have arrived are in it. Its index is the first slot that the leader has not
 *     proposed. READ_ROUND asks the acceptors whether they have promised a ballot above the leader's.
 *  2. When a phase-2 quorum has not (READ_CONFIRMED), no leader at a higher ballot had had a value chosen when the round
 *     began. So every write that was answered by then is in a slot below the index.
 *  3. A learner that has executed all below the index answers (QUERY, QUERY_ANSWER). Reads have no effect: another one may
 *     be asked as well.
 *
 * Batches that arrive while a round is open wait for the next one: answers to this one may be older than they are.
 *
 * A node that follows has rounds, too. There the leader is asked (READ_INDEX), which answers with the index when a round of
 * its own, begun after that, is confirmed. */
#include "core/agents/read_rounds.h"

#include "core/base/kept.h"

void read_rounds_init(struct read_rounds *r)
{
    *r = (struct read_rounds){.confirmed = 1, .asked = 1, .end = 1};
    slot_ring_init(&r->batches, sizeof(struct read_batch), 64, 1);
}

static struct read_batch *batch_at(const struct read_rounds *r, uint64_t number)
{
    return number < r->end ? slot_ring_at(&r->batches, number) : NULL;
}

void read_rounds_close(struct read_rounds *r)
{
    for (uint64_t n = r->batches.base; n < r->end; n++)
        payload_release(&batch_at(r, n)->entry.value);
    slot_ring_close(&r->batches);
}

void read_rounds_add(struct read_rounds *r, uint64_t token, const struct payload *value, uint64_t now)
{
    struct read_batch *b = slot_ring_reach(&r->batches, r->end++);
    *b = (struct read_batch){.token = token, .arrived_at = now, .waiting = true};
    b->entry = (struct entry){.kind = ENTRY_COMMANDS, .value = payload_keep(value)};
    r->count++;
}

/* --- rounds ------------------------------------------------------------------------------------------------------- */

void read_rounds_ask(struct read_rounds *r, uint32_t follower, uint32_t incarnation, uint64_t round)
{
    const node_set one = node_set_of(follower);
    const bool is_repeated =
        r->open && (r->served & one) != 0 && r->round_of[follower] == round && r->life_of[follower] == incarnation;
    if (is_repeated)
        return;
    r->askers |= one;
    r->served &= ~one;
    r->round_of[follower] = round;
    r->life_of[follower] = incarnation;
}

void read_rounds_stale(struct read_rounds *r, uint64_t age_us, uint64_t now)
{
    r->wanted = r->wanted || now - r->confirmed_at > age_us / 2;
}

bool read_rounds_since(struct read_rounds *r, uint64_t since, uint64_t *index)
{
    const bool known = r->confirmed_at >= since;
    *index = r->confirmed_index;
    r->wanted = r->wanted || (!known && (!r->open || r->begun_at < since));
    return known;
}

bool read_rounds_may_begin(const struct read_rounds *r)
{
    return !r->open && (r->asked < r->end || r->askers != 0 || r->wanted);
}

void read_rounds_begin(struct read_rounds *r, struct ballot ballot, uint64_t next, uint64_t now)
{
    invariant(read_rounds_may_begin(r));
    r->open = true;
    r->served = r->askers;
    r->askers = 0;
    r->round++;
    r->ballot = ballot;
    r->index = next;
    r->asked = r->end;
    r->answered = 0;
    r->begun_at = r->again_at = now;
    r->wanted = false;
}

/* The round confirms all batches below this number. */
static void confirm(struct read_rounds *r, uint64_t end)
{
    for (; r->confirmed < end; r->confirmed++)
        batch_at(r, r->confirmed)->index = r->index;
    r->asked = end;
    r->open = false;
    r->confirmed_at = r->begun_at;
    r->confirmed_index = r->index;
}

bool read_rounds_answered(struct read_rounds *r, uint32_t acceptor, struct ballot ballot, uint64_t round,
                          const struct configuration *acting)
{
    const bool is_of_round = round == r->round && ballot_compare(ballot, r->ballot) == 0;
    if (!r->open || !is_of_round || !node_set_has(acting->acceptors, acceptor))
        return false;
    r->answered |= node_set_of(acceptor);
    if (node_set_count(r->answered) < acting->phase2_quorum)
        return false;
    r->quick = r->answered;
    confirm(r, r->asked);
    return true;
}

void read_rounds_told(struct read_rounds *r, uint32_t leader, uint64_t round, uint64_t index)
{
    if (!r->open || round != r->round || leader != r->ballot.node || index == 0)
        return;
    r->index = index;
    confirm(r, r->asked);
}

void read_rounds_drop(struct read_rounds *r)
{
    r->asked = r->confirmed;
    r->served = 0;
    r->open = false;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* A batch is over. */
static uint64_t take_out(struct read_rounds *r, uint64_t number)
{
    struct read_batch *b = batch_at(r, number);
    invariant(b->waiting && r->count > 0); /* a token is answered once */
    b->waiting = false;
    payload_release(&b->entry.value);
    r->count--;
    const uint64_t token = b->token;
    while (r->batches.base < r->end && !batch_at(r, r->batches.base)->waiting)
        slot_ring_advance(&r->batches);
    r->confirmed = r->confirmed > r->batches.base ? r->confirmed : r->batches.base;
    r->asked = r->asked > r->confirmed ? r->asked : r->confirmed;
    return token;
}

struct read_batch *read_rounds_unasked(struct read_rounds *r, uint64_t now, uint64_t interval, uint64_t *number)
{
    for (uint64_t n = r->batches.base; n < r->confirmed; n++) {
        struct read_batch *b = batch_at(r, n);
        if (!b->waiting || (b->times_asked > 0 && now - b->asked_at < interval))
            continue;
        b->asked_at = now;
        b->times_asked++;
        *number = n;
        return b;
    }
    return NULL;
}

uint64_t read_rounds_next(const struct read_rounds *r, uint64_t interval)
{
    const uint64_t again = r->open ? r->again_at : UINT64_MAX;
    const bool is_asked = r->batches.base < r->confirmed; /* the base is the first one that was */
    const uint64_t ask = is_asked ? batch_at(r, r->batches.base)->asked_at + interval : UINT64_MAX;
    return again < ask ? again : ask;
}

bool read_rounds_done(struct read_rounds *r, uint64_t number, uint64_t *token)
{
    const struct read_batch *b = batch_at(r, number);
    if (b == NULL || !b->waiting || b->index == 0)
        return false;
    *token = take_out(r, number);
    return true;
}

bool read_rounds_give_up(struct read_rounds *r, uint64_t *token)
{
    bool found = false;
    while (!found && r->end > r->confirmed) {
        struct read_batch *last = batch_at(r, r->end - 1); /* no learner has heard of its number */
        found = last->waiting;
        *token = last->token;
        payload_release(&last->entry.value);
        r->count -= found;
        *last = (struct read_batch){0};
        r->end--;
    }
    r->asked = r->asked < r->end ? r->asked : r->end;
    return found;
}

bool read_rounds_expired(struct read_rounds *r, uint64_t now, uint64_t timeout, uint64_t *token)
{
    if (r->count == 0 || now - batch_at(r, r->batches.base)->arrived_at < timeout)
        return false;
    *token = take_out(r, r->batches.base);
    return true;
}

void read_rounds_audit(const struct read_rounds *r)
{
    uint64_t waiting = 0;
    invariant(r->open || r->asked == r->confirmed);
    invariant(r->batches.base <= r->confirmed && r->confirmed <= r->asked && r->asked <= r->end);
    for (uint64_t n = r->batches.base; n < r->end; n++) {
        const struct read_batch *b = batch_at(r, n);
        invariant(b->waiting || n != r->batches.base);
        invariant((b->index != 0) == (n < r->confirmed) || !b->waiting);
        invariant(b->waiting || b->entry.value.words.ptr == NULL);
        waiting += b->waiting;
    }
    invariant(r->count == waiting);
}
