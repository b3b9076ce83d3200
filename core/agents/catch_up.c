#include "core/agents/catch_up.h"

#include "core/base/kept.h"

enum { BLOCK_SLOTS = 64 };

static const struct ballot no_ballot;

void catch_up_init(struct catch_up *c, const struct node_config *config)
{
    *c = (struct catch_up){.config = *config, .limits = limits_effective(&config->limits), .wake_at = UINT64_MAX};
    c->config.chunk_bytes_max = limits_chunk_bytes(&config->limits, config->chunk_bytes_max);
    c->learners = config->learners;
    c->acceptors = config->acceptors;
    c->requests = memory_new(c->limits.requests, sizeof *c->requests);
    slot_ring_init(&c->blocks, sizeof(struct block), 0, 0);
    c->kept_from = 1;
}

void catch_up_configure(struct catch_up *c, node_set learners, node_set acceptors, node_set fresh)
{
    c->learners = learners;
    c->acceptors = acceptors;
    for (; fresh != 0; fresh &= fresh - 1)
        c->progress[node_set_first(fresh)] = 0;
}

static void drop_found(struct catch_up *c)
{
    for (size_t i = 0; i < c->found_capacity; i++)
        payload_release(&c->found[i].value);
    free(c->found);
    c->found = NULL;
    c->found_capacity = 0;
}

void catch_up_close(struct catch_up *c)
{
    drop_found(c);
    slot_ring_close(&c->blocks);
    free(c->requests);
}

void catch_up_begin(struct catch_up *c)
{
    if (!c->reading)
        drop_found(c);
}

/* The block of a slot; NULL: it lies below those that are kept. */
static struct block *block_of(struct catch_up *c, uint64_t slot)
{
    const uint64_t block = slot / BLOCK_SLOTS;
    if (block < c->blocks.base)
        return NULL;
    struct block *b = slot_ring_reach(&c->blocks, block);
    c->block_end = block >= c->block_end ? block + 1 : c->block_end;
    return b;
}

void catch_up_note_record(struct catch_up *c, uint64_t slot, uint64_t lsn)
{
    struct block *b = block_of(c, slot);
    if (b != NULL && (b->first == 0 || lsn < b->first))
        b->first = lsn;
}

void catch_up_note_executed(struct catch_up *c, uint64_t slot, uint64_t lsn)
{
    struct block *b = block_of(c, slot);
    if (b != NULL)
        b->last = lsn;
}

void catch_up_keep_from(struct catch_up *c, uint64_t slot)
{
    const uint64_t block = slot / BLOCK_SLOTS;
    if (slot <= c->kept_from)
        return;
    c->kept_from = slot;
    for (uint64_t left = c->blocks.capacity; left > 0 && c->blocks.base < block; left--)
        slot_ring_advance(&c->blocks);
    c->blocks.base = block;
    c->block_end = block > c->block_end ? block : c->block_end;
}

uint64_t catch_up_oldest(const struct catch_up *c, uint64_t next)
{
    uint64_t oldest = next;
    for (uint64_t block = c->blocks.base; block < c->block_end; block++) {
        const struct block *b = slot_ring_at(&c->blocks, block);
        if (b->first != 0 && b->first < oldest)
            oldest = b->first;
    }
    return oldest;
}

void catch_up_progress(struct catch_up *c, uint32_t learner, uint64_t executed)
{
    if (learner <= NODE_ID_MAX)
        c->progress[learner] = executed;
}

void catch_up_answered(struct catch_up *c, bool last)
{
    c->answered = c->answered || last;
    c->waiting = false;
}

/* The learner asked last, if it answered; otherwise the next one in turn that has executed `slot`. 0 when none is known. */
static uint32_t peer_with(const struct catch_up *c, uint64_t slot)
{
    node_set peers = c->learners & ~node_set_of(c->config.node);
    uint32_t first = c->waiting ? c->asked + 1 : c->asked;
    for (uint32_t i = 0; i <= NODE_ID_MAX; i++) {
        uint32_t peer = (first + i) & NODE_ID_MAX;
        if (node_set_has(peers, peer) && c->progress[peer] > slot)
            return peer;
    }
    return 0;
}

void catch_up_ask(struct catch_up *c, struct learner_gap gap, bool executing, uint64_t now, struct effects *effects)
{
    c->wake_at = UINT64_MAX;
    c->answered = c->answered && (gap.from != gap.to || executing);
    if (gap.from == gap.to)
        return;
    if (gap.from != c->gap_from) {
        c->gap_from = gap.from;
        c->gap_since = now;
    }
    uint64_t retry = c->config.retry_interval;
    bool large = gap.to - gap.from >= c->config.learn_gap_max;
    uint64_t due = large ? c->asked_at + retry : c->gap_since + retry;
    if (due < c->asked_at + retry)
        due = c->asked_at + retry;
    bool got_on = c->answered && gap.from != c->asked_from;
    if (!got_on && now < due) {
        c->wake_at = due;
        return;
    }
    uint32_t peer = peer_with(c, gap.from);
    node_set to = peer != 0 ? node_set_of(peer) : 0;
    /* the learners known to have it may be gone, so acceptors are asked, too, for their votes */
    if (peer == 0 || c->waiting)
        to |= c->acceptors & ~node_set_of(c->config.node);
    struct message m = {.kind = MESSAGE_LEARN_REQUEST, .from = gap.from, .to = gap.to};
    effects_send(effects, to, &m);
    c->asked = peer != 0 ? peer : c->asked;
    c->answered = false;
    c->waiting = true;
    c->asked_from = gap.from;
    c->asked_at = now;
    c->wake_at = now + retry;
}

uint64_t catch_up_wake_at(const struct catch_up *c) { return c->request_count > 0 && !c->reading ? 0 : c->wake_at; }

bool catch_up_request(struct catch_up *c, uint32_t sender, uint64_t from, uint64_t to)
{
    if (from == 0 || from >= to)
        return true;
    if (from < c->kept_from)
        return false;
    struct catch_up_request wanted = {sender, from, to};
    for (size_t i = 0; i < c->request_count; i++) {
        if (c->requests[i].sender == sender) {
            c->requests[i] = wanted;
            return true;
        }
    }
    if (c->request_count < c->limits.requests)
        c->requests[c->request_count++] = wanted;
    return true;
}

/* Reads at least limits.read_bytes in a step, even if messages are smaller. The records of a block of slots lie among all
 * that was written at the time. With one step for each few of them, a learner would catch up more slowly than the others go
 * on. */
static void read_more(struct catch_up *c, struct effects *effects)
{
    uint32_t least = c->limits.read_bytes, bytes = c->config.chunk_bytes_max > least ? c->config.chunk_bytes_max : least;
    struct effect *e = effects_add(effects, EFFECT_READ);
    e->val.read = (struct read_range){.from = c->cursor, .to = c->end, .bytes_max = bytes};
}

void catch_up_serve(struct catch_up *c, struct effects *effects)
{
    bool just_answered = c->found != NULL; /* the answer's effects point there until the next step */
    if (c->reading || c->request_count == 0 || just_answered)
        return;
    c->serving = c->requests[0];
    memmove(c->requests, c->requests + 1, --c->request_count * sizeof *c->requests);
    uint64_t block_end = (c->serving.from / BLOCK_SLOTS + 1) * BLOCK_SLOTS;
    if (c->serving.to > block_end)
        c->serving.to = block_end;
    const struct block *b = slot_ring_at(&c->blocks, c->serving.from / BLOCK_SLOTS);
    if (b == NULL || c->serving.from < c->kept_from || b->first == 0 || b->first >= b->last)
        return;
    c->cursor = b->first;
    c->end = b->last;
    c->found_capacity = (size_t)(c->serving.to - c->serving.from);
    c->found = memory_new(c->found_capacity, sizeof *c->found);
    c->reading = true;
    read_more(c, effects);
}

/* Among a slot's records, the one with the highest ballot carries the chosen value (see learner_agent.c). */
static void keep_found(struct catch_up *c, const struct log_record *r)
{
    bool has_value = r->kind == RECORD_ACCEPTED || r->kind == RECORD_LEARNED;
    if (!has_value || r->entry.slot < c->serving.from || r->entry.slot >= c->serving.to)
        return;
    struct entry *found = &c->found[r->entry.slot - c->serving.from];
    if (ballot_compare(r->entry.ballot, found->ballot) <= 0)
        return;
    payload_release(&found->value);
    *found = r->entry;
    found->value = payload_keep(&r->entry.value);
}

/* Sends what was found in messages of bounded size. The last one says so. The answer ends before the first slot without a
 * record. */
static void answer(struct catch_up *c, struct effects *effects)
{
    size_t count = 0;
    while (count < c->found_capacity && ballot_compare(c->found[count].ballot, no_ballot) != 0)
        count++;
    for (size_t from = 0, to; from < count; from = to) {
        uint64_t bytes = 0;
        for (to = from; to < count && (to == from || bytes < c->config.chunk_bytes_max); to++)
            bytes += c->found[to].value.len;
        struct message m = {.kind = MESSAGE_LEARN, .flags = MESSAGE_IS_CHOSEN, .entries = {c->found + from, to - from}};
        m.flags |= to == count ? MESSAGE_LAST : 0;
        effects_send(effects, node_set_of(c->serving.sender), &m);
    }
}

void catch_up_records(struct catch_up *c, const struct record_list *records, struct effects *effects)
{
    if (!c->reading)
        return;
    for (size_t i = 0; i < records->len; i++)
        if (records->ptr[i].lsn < c->end)
            keep_found(c, &records->ptr[i]);
    if (records->len > 0)
        c->cursor = records->ptr[records->len - 1].lsn + 1;
    if (records->len > 0 && c->cursor < c->end) {
        read_more(c, effects);
        return;
    }
    c->reading = false;
    answer(c, effects);
}

void catch_up_audit(const struct catch_up *c)
{
    invariant(c->request_count <= c->limits.requests && (!c->reading || c->found != NULL));
    for (size_t i = 0; i < c->request_count; i++)
        for (size_t k = 0; k < i; k++)
            invariant(c->requests[i].sender != c->requests[k].sender);
}
