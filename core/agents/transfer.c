#include "core/agents/transfer.h"

#include "core/agents/execution.h"

void transfer_init(struct transfer *t, const struct node_config *config, struct effects *effects)
{
    *t = (struct transfer){.config = *config, .budget = config->transfer_rate};
    t->learners = config->learners;
    t->effects = effects;
    t->config.limits = limits_effective(&config->limits);
}

void transfer_configure(struct transfer *t, node_set learners, node_set fresh)
{
    t->learners = learners;
    for (; fresh != 0; fresh &= fresh - 1)
        t->peers[node_set_first(fresh)] = (struct snapshot_id){0};
}

struct snapshot_id transfer_newest(const struct transfer *t)
{
    return t->stored_count > 0 ? t->stored[t->stored_count - 1] : (struct snapshot_id){0};
}

struct snapshot_id transfer_oldest(const struct transfer *t)
{
    return t->stored_count > 0 ? t->stored[0] : (struct snapshot_id){0};
}

static bool is_same(struct snapshot_id a, struct snapshot_id b) { return a.slot == b.slot && a.checksum == b.checksum; }

static struct payload two_words(uint64_t words[2], uint64_t a, uint64_t b)
{
    words[0] = a;
    words[1] = b;
    return (struct payload){.words = {words, 2}, .len = 2 * sizeof *words};
}

/* ---- What is stored here ---- */

/* The oldest `count` are not kept any more. One that is being served is remembered. */
static void drop_oldest(struct transfer *t, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_same(t->stored[i], t->read.wanted))
            t->lent = t->stored[i];
    memmove(t->stored, t->stored + count, (t->stored_count - count) * sizeof *t->stored);
    t->stored_count -= count;
}

/* The oldest are forgotten when storage has removed them, and it keeps as many as the configuration says. */
static void note_stored(struct transfer *t, struct snapshot_id id, bool alone)
{
    const size_t most = t->config.snapshots_max < TRANSFER_STORED_MAX ? t->config.snapshots_max : TRANSFER_STORED_MAX;
    if (alone)
        drop_oldest(t, t->stored_count);
    if (t->stored_count > 0 && t->stored[t->stored_count - 1].slot >= id.slot)
        return;
    drop_oldest(t, t->stored_count >= most ? t->stored_count + 1 - most : 0);
    t->stored[t->stored_count++] = id;
}

void transfer_forget_after(struct transfer *t, uint64_t slot)
{
    while (t->stored_count > 0 && t->stored[t->stored_count - 1].slot > slot)
        t->stored_count--;
}

/* Storage has set it aside, or cannot read it: it must not be offered any more. */
static void forget(struct transfer *t, uint64_t slot)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->stored_count; i++)
        if (t->stored[i].slot != slot)
            t->stored[kept++] = t->stored[i];
    t->stored_count = kept;
    if (t->lent.slot == slot)
        t->lent.slot = 0;
}

static bool has(const struct transfer *t, struct snapshot_id id)
{
    for (size_t i = 0; i < t->stored_count; i++)
        if (is_same(t->stored[i], id))
            return true;
    return is_same(t->lent, id);
}

static struct message about(struct snapshot_id id, uint8_t kind, uint64_t to)
{
    return (struct message){.kind = kind, .from = id.slot, .to = to, .batch.number = id.checksum};
}

static void tell_newest(struct transfer *t, node_set to, uint8_t flags)
{
    const struct snapshot_id newest = transfer_newest(t);
    struct message m = about(newest, MESSAGE_SNAPSHOT, newest.size);
    m.flags = flags;
    if (newest.slot != 0)
        effects_send(t->effects, to, &m);
}

void transfer_offer(struct transfer *t, uint32_t learner) { tell_newest(t, node_set_of(learner), MESSAGE_FORGOTTEN); }

void transfer_announce(struct transfer *t, uint64_t now)
{
    t->announced_at = now;
    tell_newest(t, t->learners & ~node_set_of(t->config.node), 0);
}

/* ---- Serving ---- */

void transfer_wanted(struct transfer *t, uint32_t sender, const struct message *m)
{
    if (sender > NODE_ID_MAX || m->from == 0)
        return;
    const struct snapshot_id wanted = {.slot = m->from, .checksum = m->batch.number};
    t->requests[sender] = (struct transfer_request){.wanted = wanted, .offset = m->to};
}

static void send_part(struct transfer *t, uint32_t peer, struct entry_list entries)
{
    const struct transfer_request *r = &t->requests[peer];
    struct message m = about(r->wanted, MESSAGE_SNAPSHOT_PART, r->offset);
    m.entries = entries;
    effects_send(t->effects, node_set_of(peer), effects_keep(t->effects, &m));
    t->requests[peer].wanted.slot = 0;
}

static void count_budget(struct transfer *t, uint64_t now)
{
    const uint64_t rate = t->config.transfer_rate, passed = now - t->budget_at;
    const uint64_t more = passed >= 1000000 ? rate : rate / 1000 * passed / 1000;
    if (more == 0)
        return; /* a moment so short counts later */
    t->budget = more >= rate - t->budget ? rate : t->budget + more;
    t->budget_at = now;
}

/* The next peer in turn that waits for a part; 0: none does. */
static uint32_t next_peer(const struct transfer *t)
{
    for (uint32_t i = 1; i <= NODE_ID_MAX + 1; i++) {
        const uint32_t peer = (t->served + i) & NODE_ID_MAX;
        if (t->requests[peer].wanted.slot != 0)
            return peer;
    }
    return 0;
}

static uint32_t part_bytes(const struct transfer *t)
{
    return t->config.limits.part_bytes < TRANSFER_PART_MAX ? t->config.limits.part_bytes : TRANSFER_PART_MAX;
}

static void serve(struct transfer *t, uint64_t now)
{
    count_budget(t, now);
    for (uint32_t peer; t->reading == 0 && (peer = next_peer(t)) != 0;) {
        const struct transfer_request *r = &t->requests[peer];
        if (!has(t, r->wanted)) {
            t->served = peer;
            send_part(t, peer, (struct entry_list){0});
            continue;
        }
        if (t->budget < part_bytes(t) && t->budget < t->config.transfer_rate)
            return;
        t->served = t->reading = peer;
        t->read = *r;
        effects_snapshot(t->effects, SNAPSHOT_READ, r->wanted.slot, two_words(t->words, r->offset, part_bytes(t)));
    }
}

/* A part has been read. The peer may have asked for another one since; then it is not sent. A peer that asks beyond the end
 * is not answered: there is nothing to say. */
static void on_read(struct transfer *t, const struct snapshot_item *item)
{
    const uint32_t peer = t->reading;
    const struct transfer_request *r = &t->requests[peer];
    t->reading = 0;
    if (peer == 0 || !is_same(r->wanted, t->read.wanted) || r->offset != t->read.offset)
        return;
    if (item->kind == SNAPSHOT_GONE) {
        send_part(t, peer, (struct entry_list){0});
        return;
    }
    if (item->id != r->offset || item->value.len == 0) {
        t->requests[peer].wanted.slot = 0;
        return;
    }
    t->budget -= item->value.len < t->budget ? item->value.len : t->budget;
    struct entry entry = {.value = item->value};
    send_part(t, peer, (struct entry_list){&entry, 1});
}

/* ---- Fetching ---- */

/* More bytes than a snapshot can have that this learner would load: no peer may make this learner fill its disk. */
static bool is_too_large(const struct transfer *t, uint64_t size)
{
    return size / 4 > t->config.state_bytes_room + (64 << 20);
}

bool transfer_heard(struct transfer *t, uint32_t sender, const struct message *m, uint64_t executed)
{
    if (sender > NODE_ID_MAX || sender == t->config.node || m->from == 0 || is_too_large(t, m->to))
        return false;
    t->peers[sender] = (struct snapshot_id){.slot = m->from, .size = m->to, .checksum = m->batch.number};
    if (t->state != FETCH_NOTHING && is_same(t->peers[sender], t->fetched))
        t->sources |= node_set_of(sender);
    return (m->flags & MESSAGE_FORGOTTEN) != 0 && t->state == FETCH_NOTHING && m->from > executed;
}

void transfer_fetch(struct transfer *t, uint32_t source)
{
    const struct snapshot_id wanted = t->peers[source];
    invariant(t->state == FETCH_NOTHING && wanted.slot != 0);
    t->state = FETCH_OPENING;
    t->fetched = wanted;
    t->received = 0; /* it is gone on with, or removed */
    t->sources = 0;
    for (uint32_t peer = 0; peer <= NODE_ID_MAX; peer++)
        t->sources |= is_same(t->peers[peer], wanted) ? node_set_of(peer) : 0;
    t->source = source;
    t->tries = t->shorts = 0;
    effects_snapshot(t->effects, SNAPSHOT_RECEIVE, wanted.slot, two_words(t->opening, wanted.size, wanted.checksum));
}

static void end(struct transfer *t)
{
    t->state = FETCH_NOTHING;
    t->fetched = (struct snapshot_id){0};
}

/* Storage keeps what has come, for a later try. */
static void give_up(struct transfer *t)
{
    t->received = t->fetched.slot;
    end(t);
}

/* What has come of a snapshot is of no use any more when its slots have been executed, whichever way. */
static void discard(struct transfer *t, uint64_t executed)
{
    if (t->state != FETCH_NOTHING || t->received == 0 || executed < t->received)
        return;
    effects_snapshot(t->effects, SNAPSHOT_DISCARD, t->received, (struct payload){0});
    t->received = 0;
}

/* The peer asked last if it answered, otherwise the next one that has the snapshot; 0: none has. */
static uint32_t choose_source(const struct transfer *t)
{
    const uint32_t first = t->tries > 0 ? t->source + 1 : t->source;
    for (uint32_t i = 0; i <= NODE_ID_MAX; i++) {
        const uint32_t peer = (first + i) & NODE_ID_MAX;
        if (node_set_has(t->sources, peer))
            return peer;
    }
    return 0;
}

static void fetch(struct transfer *t, uint64_t executed, uint64_t now)
{
    if (t->state == FETCH_NOTHING || t->state == FETCH_LOADING)
        return;
    const uint32_t source = choose_source(t);
    if (t->state != FETCH_WHOLE && (executed >= t->fetched.slot || source == 0 || t->tries > TRANSFER_TRIES)) {
        effects_snapshot(t->effects, SNAPSHOT_ABANDON, t->fetched.slot, (struct payload){0});
        give_up(t);
        return;
    }
    const bool waits = t->asked_at != 0 && now < t->asked_at + t->config.retry_interval;
    if (t->state != FETCH_PARTS || waits || t->offset - t->written >= TRANSFER_AHEAD_MAX)
        return;
    const struct message m = about(t->fetched, MESSAGE_SNAPSHOT_FETCH, t->offset);
    effects_send(t->effects, node_set_of(source), &m);
    t->source = source;
    t->asked_at = now;
    t->tries++;
}

void transfer_part(struct transfer *t, uint32_t sender, const struct message *m)
{
    const struct snapshot_id theirs = {.slot = m->from, .checksum = m->batch.number};
    if (sender > NODE_ID_MAX || t->state != FETCH_PARTS || !is_same(theirs, t->fetched) || m->to != t->offset)
        return;
    if (t->offset >= t->fetched.size || t->offset - t->written >= TRANSFER_AHEAD_MAX)
        return; /* no such part was asked for */
    if (m->entries.len == 0) {
        t->sources &= ~node_set_of(sender); /* it no longer has the snapshot */
        if (is_same(t->peers[sender], t->fetched))
            t->peers[sender].slot = 0;
        t->asked_at = 0;
        return;
    }
    const struct message *kept = effects_keep(t->effects, m);
    const struct payload *bytes = &kept->entries.ptr[0].value;
    if (bytes->len == 0 || bytes->len > TRANSFER_PART_MAX || bytes->len > t->fetched.size - t->offset)
        return;
    effects_snapshot(t->effects, SNAPSHOT_BYTES, t->offset, *bytes);
    t->offset += bytes->len;
    t->asked_at = 0;
    if (t->offset == t->fetched.size)
        t->state = FETCH_WHOLE;
    if (t->state == FETCH_WHOLE || bytes->len >= part_bytes(t))
        t->tries = t->shorts = 0;
    else if (bytes->len >= TRANSFER_PART_MIN && t->shorts++ < TRANSFER_SHORTS_MAX)
        t->tries = 1; /* another peer may send more; a part that is shorter still, or one too many, is as good as none */
}

static void on_stored(struct transfer *t, const struct snapshot_item *item, uint64_t executed)
{
    if (item->value.len != 2 * sizeof(uint64_t))
        return;
    const struct snapshot_id id = {item->id, item->value.words.ptr[0], item->value.words.ptr[1]};
    const bool is_fetched = (t->state == FETCH_WHOLE || t->state == FETCH_OPENING) && is_same(id, t->fetched);
    note_stored(t, id, is_fetched);
    if (!is_fetched)
        return;
    if (executed >= id.slot) {
        end(t);
        return;
    }
    t->state = FETCH_LOADING;
    effects_snapshot(t->effects, SNAPSHOT_LOAD, id.slot, (struct payload){0});
}

void transfer_told(struct transfer *t, const struct snapshot_item *item, uint64_t executed)
{
    const bool is_fetched = t->state != FETCH_NOTHING && item->id == t->fetched.slot;
    switch (item->kind) {
    case SNAPSHOT_STORED:
        on_stored(t, item, executed);
        break;
    case SNAPSHOT_WANTED:
        /* The first one may be about a file that was given up: then parts that do not fit are asked for, and storage says
         * again what it wants. */
        if (t->state == FETCH_NOTHING || t->state == FETCH_LOADING)
            break;
        t->state = FETCH_PARTS;
        t->offset = t->written = item->id;
        t->asked_at = 0;
        break;
    case SNAPSHOT_WRITTEN:
        if (t->state == FETCH_PARTS && item->id > t->written && item->id <= t->offset)
            t->written = item->id;
        break;
    case SNAPSHOT_RECEIVED:
        t->received = item->id;
        break;
    case SNAPSHOT_FAILED:
        if (is_fetched && t->state == FETCH_LOADING)
            forget(t, item->id);
        if (is_fetched)
            give_up(t);
        break;
    case SNAPSHOT_LOADED:
        if (is_fetched)
            end(t);
        break;
    case SNAPSHOT_GONE:
        forget(t, item->id);
        on_read(t, item);
        break;
    case SNAPSHOT_BYTES_READ:
        on_read(t, item);
        break;
    default:
        break;
    }
}

/* ---- Both ---- */

void transfer_step(struct transfer *t, uint64_t executed, uint64_t now)
{
    fetch(t, executed, now);
    discard(t, executed);
    serve(t, now);
    if (t->stored_count > 0 && now - t->announced_at >= 10 * t->config.exec_interval)
        transfer_announce(t, now);
}

uint64_t transfer_wake_at(const struct transfer *t)
{
    uint64_t wake = t->stored_count > 0 ? t->announced_at + 10 * t->config.exec_interval : UINT64_MAX;
    if (t->state == FETCH_PARTS && t->offset - t->written < TRANSFER_AHEAD_MAX) {
        const uint64_t ask = t->asked_at == 0 ? 0 : t->asked_at + t->config.retry_interval;
        wake = ask < wake ? ask : wake;
    }
    if (t->reading == 0 && next_peer(t) != 0) {
        const uint64_t serve = t->budget_at + t->config.retry_interval / 16;
        wake = serve < wake ? serve : wake;
    }
    return wake;
}
