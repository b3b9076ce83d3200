/* How the simulated network works.
 *
 * A *stream* leads from one node to another, and is a sequence of TCP connections (io/dialer.c makes them). A frame is
 * encoded once, and is on its way to each of its receivers as a *flight*; flights share the frame's bytes. The flights to a
 * node are a binary heap, ordered by arrival and then by the order in which they were sent.
 *
 *   1. Order. No frame of a stream arrives before an earlier one, because none arrives before the stream's `floor`. What is
 *      sent on a stream at the same moment travels together, as what is written at once does. A reordered frame is outside
 *      of that order: it neither waits for others nor makes others wait.
 *   2. Connections of a stream are numbered. Those up to `ended` are dead, and so are all flights that they carry: a flight
 *      is dropped when it gets to the top of its heap (drop_dead), so that ending a connection costs nothing. Of the others,
 *      the last one is in use. Those in between belong to earlier lives of the sender; its machine still sends what they
 *      have written. They end when the receiver has heard a later life and refuses what they bring.
 *   3. A stream loses what is sent while its connection is not made yet (`up_at`), as the host drops it; and also while it
 *      carries as many bytes as its queue may have: the protocol sends again.
 *   4. A cut that ends before the host gives up (UNACKNOWLEDGED_MAX_US) does not end a connection: TCP sends again, and what
 *      would have arrived in the meantime arrives at the end of the cut. A longer cut ends the connection, and the next one
 *      is made some time after it.
 *   5. RESET ends the connection in the middle of a frame: the receiver gets its first bytes, which must not pass for a
 *      frame.
 *   6. REPLAY puts a copy of a frame outside all connections, as if it were a datagram. It arrives 1 to 30 s later at the
 *      life that is there then, unless there is a cut in between. The receiver does not ask which life sent it.
 *
 * So the top of every heap is always a flight that will arrive, and the time of the next arrival costs nothing to find. A
 * receiver checks frames as io/tcp_link.c does, but it checks a body's checksum only once for all receivers, because nothing
 * changes the bytes in between. It gets copies of the bodies, to read and to write. */
#include "sim/network.h"
#include "io/inbox.h"

#include "core/base/memory.h"
#include "core/formats/frame.h"

enum {
    DELAY_MAX_US = 300000,
    STRAY_MAX_US = 100000, /* how much later a reordered frame may come */
    REPLAY_MIN_US = 1000000,
    REPLAY_MAX_US = 30000000,
    RESET_MIN_US = 1000, /* until there is another connection, at least */
    RESET_MAX_US = 200000,
    UNACKNOWLEDGED_MAX_US = 5000000, /* as in io/dialer.c */
    RETRY_MAX_US = 1250000,          /* the longest time between two dials there */
    DICE = 0x6e657400,               /* the first of this network's dice */
};

/* The bytes of a frame, shared by all its flights. */
struct frame {
    size_t refs;
    size_t size;  /* bytes of `words` */
    bool checked; /* a receiver has found the body's checksum right */
    uint64_t words[];
};

enum carrier {
    ON_CONNECTION,
    OUTSIDE,  /* of all connections: a replay */
    STRANGER, /* of a stranger that greets in the name of `from`, on a connection of its own that is not heard again */
};

/* A frame on its way to one receiver. */
struct flight {
    uint64_t arrival;
    uint64_t sequence; /* of all flights */
    struct frame *frame;
    size_t available;    /* bytes that arrive: fewer than the frame has if a reset cuts it */
    uint32_t connection; /* of the stream from `from` */
    uint8_t from;
    uint8_t carrier; /* enum carrier */
};

struct stream {
    uint64_t up_at;                /* when its connection is made */
    uint64_t floor;                /* nothing arrives before this */
    uint64_t bytes;                /* on their way on the connection */
    uint64_t burst_at, latency;    /* what is sent at this time takes so long */
    uint64_t cut_since, cut_until; /* nothing gets through between these times */
    uint32_t connection;           /* the one in use */
    uint32_t ended;                /* this connection and earlier ones are dead */
    uint32_t heard;                /* the highest incarnation of the sender that the receiver has heard */
};

struct member {
    bool up;
    uint64_t stalled_until;
    struct frame_origin origin;
    uint32_t latest;        /* of its incarnations */
    bool copy;              /* it runs on a copy of its disk, and no later incarnation is on the true disk */
    struct flight *flights; /* to it: a heap */
    size_t count, capacity;
    struct inbox inbox; /* what the node was given stays valid until it asks again */
};

struct network_sim {
    struct network_sim_options options;
    uint64_t cluster;
    uint64_t now; /* the latest time that was told */
    uint64_t sequence;
    node_set all;
    bool healed;
    struct member members[NODE_ID_MAX + 1];
    struct stream *streams; /* from each to each: stream_of() */
    struct dice timing;
    struct dice fault_dice[FAULTS];
    struct network_sim_statistics statistics;
};

static struct stream *stream_of(struct network_sim *n, uint32_t from, uint32_t to)
{
    return &n->streams[from * (n->options.nodes + 1) + to];
}

static uint64_t later(uint64_t a, uint64_t b) { return a > b ? a : b; }

static void advance(struct network_sim *n, uint64_t now) { n->now = later(n->now, now); }

static bool strikes(struct network_sim *n, enum fault kind)
{
    if (n->healed || !dice_chance(&n->fault_dice[kind], n->options.faults->rate[kind]))
        return false;
    fault_fired(n->options.faults, kind);
    return true;
}

/* ---- frames ---- */

static struct frame *frame_new(const struct frame_origin *origin, const struct packet *body)
{
    size_t bytes = words_for(body->len) * sizeof(uint64_t);
    struct frame *f = malloc(sizeof *f + FRAME_HEADER_SIZE + bytes);
    invariant(f != NULL);
    f->refs = 1;
    f->size = FRAME_HEADER_SIZE + bytes;
    f->checked = false;
    if (bytes > 0)
        memcpy(f->words + FRAME_HEADER_WORDS, body->words.ptr, bytes);
    frame_encode(origin, f->words + FRAME_HEADER_WORDS, body->len, f->words);
    return f;
}

static void frame_release(struct frame *f)
{
    if (--f->refs == 0)
        free(f);
}

/* ---- flights: a heap for each receiver ---- */

static bool is_before(const struct flight *a, const struct flight *b)
{
    return a->arrival != b->arrival ? a->arrival < b->arrival : a->sequence < b->sequence;
}

/* Puts `f` into the hole at `i` or above it. */
static void sift_up(struct member *m, size_t i, struct flight f)
{
    while (i > 0 && is_before(&f, &m->flights[(i - 1) / 2])) {
        m->flights[i] = m->flights[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    m->flights[i] = f;
}

/* Puts `f` into the hole at `i` or below it. */
static void sift_down(struct member *m, size_t i, struct flight f)
{
    size_t below;
    while ((below = 2 * i + 1) < m->count) {
        if (below + 1 < m->count && is_before(&m->flights[below + 1], &m->flights[below]))
            below++;
        if (!is_before(&m->flights[below], &f))
            break;
        m->flights[i] = m->flights[below];
        i = below;
    }
    m->flights[i] = f;
}

/* Takes over a reference to the flight's frame. */
static void push(struct network_sim *n, uint32_t to, struct flight f)
{
    struct member *m = &n->members[to];
    f.sequence = n->sequence++;
    f.frame->refs++;
    m->flights = memory_reserve(m->flights, &m->capacity, m->count + 1, sizeof *m->flights);
    sift_up(m, m->count++, f);
}

/* Gives the flight's reference to the caller. */
static struct flight pop(struct member *m)
{
    struct flight top = m->flights[0];
    m->count--;
    if (m->count > 0)
        sift_down(m, 0, m->flights[m->count]);
    return top;
}

static void lose_top(struct network_sim *n, struct member *m)
{
    frame_release(pop(m).frame);
    n->statistics.lost++;
}

/* Drops dead flights from the top, so that one is there that will arrive. */
static void drop_dead(struct network_sim *n, uint32_t to)
{
    struct member *m = &n->members[to];
    while (m->count > 0 && m->flights[0].carrier == ON_CONNECTION &&
           m->flights[0].connection <= stream_of(n, m->flights[0].from, to)->ended)
        lose_top(n, m);
}

/* What would arrive before `until` arrives then; replays are lost. Looks at all that is on its way to `to`: cuts are
 * rare. */
static void hold(struct network_sim *n, uint32_t from, uint32_t to, uint64_t until)
{
    struct member *m = &n->members[to];
    for (size_t i = 0; i < m->count;) {
        struct flight *f = &m->flights[i];
        if (f->from != from || f->arrival < n->now || f->arrival >= until) {
            i++;
        } else if (f->carrier != ON_CONNECTION) {
            frame_release(f->frame);
            n->statistics.lost++;
            *f = m->flights[--m->count];
        } else {
            f->arrival = until;
            i++;
        }
    }
    for (size_t i = m->count / 2; i-- > 0;)
        sift_down(m, i, m->flights[i]);
}

/* ---- connections ---- */

static uint64_t one_way(struct network_sim *n)
{
    return n->options.latency_us + dice_roll(&n->timing, n->options.latency_spread_us + 1);
}

/* Makes the next connection of a stream; the one before it is not dead yet. No connection is made during a cut. */
static void connect_stream(struct stream *s, uint64_t up_at)
{
    s->connection++;
    s->up_at = later(up_at, s->cut_until);
    s->floor = 0;
    s->bytes = 0;
    s->burst_at = UINT64_MAX;
}

/* Ends all connections of a stream, and loses what is on its way there. */
static void disconnect_stream(struct network_sim *n, uint32_t from, uint32_t to, uint64_t up_at)
{
    struct stream *s = stream_of(n, from, to);
    s->ended = s->connection;
    connect_stream(s, up_at);
    drop_dead(n, to);
}

/* The receiver ends the connection on which a flight came. */
static void hang_up(struct network_sim *n, const struct flight *f, uint32_t to)
{
    struct stream *s = stream_of(n, f->from, to);
    if (f->connection == s->connection)
        disconnect_stream(n, f->from, to, n->now + dice_roll(&n->timing, RETRY_MAX_US));
    else if (f->connection > s->ended)
        s->ended = f->connection;
}

/* Sends the first frame of a connection, so that a node that begins a life is recognized at once. */
static void greet(struct network_sim *n, uint32_t from, uint32_t to, struct frame *greeting, uint64_t arrival)
{
    struct stream *s = stream_of(n, from, to);
    n->statistics.frames_sent++;
    n->statistics.bytes_sent += greeting->size;
    s->bytes += greeting->size;
    s->floor = arrival;
    push(n, to,
         (struct flight){.arrival = arrival,
                         .frame = greeting,
                         .available = greeting->size,
                         .connection = s->connection,
                         .from = (uint8_t)from});
}

void network_sim_start(struct network_sim *n, uint32_t node, uint32_t incarnation, uint32_t nonce, uint64_t now)
{
    struct member *m = &n->members[node];
    invariant(node_set_has(n->all, node) && !m->up);
    advance(n, now);
    while (m->count > 0 && m->flights[0].arrival <= now)
        lose_top(n, m); /* replays and greetings, while the node was down */
    drop_dead(n, node);
    m->up = true;
    m->origin.incarnation = incarnation;
    m->origin.nonce = nonce;
    m->copy = incarnation <= m->latest;
    if (!m->copy)
        m->latest = incarnation;
    if (n->options.only_outside)
        return;
    struct frame *greeting = frame_new(&m->origin, &(struct packet){0});
    for (node_set others = n->all & ~node_set_of(node); others != 0; others &= others - 1) {
        uint32_t other = node_set_first(others);
        struct stream *out = stream_of(n, node, other), *in = stream_of(n, other, node);
        /* The node dials the others. They dial it when they hear it, or find it by themselves. */
        connect_stream(out, later(now, out->cut_until) + one_way(n) + one_way(n));
        uint64_t greeted = out->up_at + one_way(n), tried = now + dice_roll(&n->timing, RETRY_MAX_US);
        uint64_t dialled = later(greeted < tried ? greeted : tried, in->cut_until);
        connect_stream(in, dialled + one_way(n) + one_way(n));
        in->heard = 0;
        if (n->members[other].up)
            greet(n, node, other, greeting, greeted);
    }
    frame_release(greeting);
}

void network_sim_stop(struct network_sim *n, uint32_t node, bool flush)
{
    invariant(node_set_has(n->all, node) && n->members[node].up);
    n->members[node].up = false;
    for (node_set others = n->all & ~node_set_of(node); others != 0; others &= others - 1) {
        uint32_t other = node_set_first(others);
        disconnect_stream(n, other, node, UINT64_MAX);
        if (flush)
            disconnect_stream(n, node, other, UINT64_MAX);
    }
}

/* ---- sending ---- */

/* A reordered frame is late, so that others overtake it; or it is not, so that it may overtake others. */
static uint64_t stray(struct network_sim *n)
{
    struct dice *d = &n->fault_dice[FAULT_REORDER];
    return dice_chance(d, 500000) ? 0 : dice_range(d, 1, STRAY_MAX_US);
}

static uint64_t arrival_of(struct network_sim *n, struct stream *s, uint64_t now)
{
    if (s->burst_at != now) {
        s->burst_at = now;
        s->latency = one_way(n);
    }
    if (strikes(n, FAULT_REORDER))
        return later(now + one_way(n) + stray(n), s->cut_until);
    uint64_t arrival = now + s->latency;
    if (strikes(n, FAULT_DELAY))
        arrival += dice_range(&n->fault_dice[FAULT_DELAY], 1, DELAY_MAX_US);
    s->floor = later(arrival, s->floor);
    return s->floor;
}

/* False: the stream is full. */
static bool enqueue(struct network_sim *n, uint32_t from, uint32_t to, struct frame *frame, uint64_t now)
{
    struct stream *s = stream_of(n, from, to);
    if (s->bytes + frame->size > n->options.queue_bytes_max) {
        n->statistics.dropped_full++;
        return false;
    }
    s->bytes += frame->size;
    push(n, to,
         (struct flight){.arrival = arrival_of(n, s, now),
                         .frame = frame,
                         .available = frame->size,
                         .connection = s->connection,
                         .from = (uint8_t)from});
    return true;
}

/* Point 5. The frame's part comes on a connection of its own, because only that is left of the one that ends. */
static void reset(struct network_sim *n, uint32_t from, uint32_t to, struct frame *frame, uint64_t now)
{
    struct dice *d = &n->fault_dice[FAULT_RESET];
    struct stream *s = stream_of(n, from, to);
    s->ended = s->connection++;
    push(n, to,
         (struct flight){.arrival = later(now + one_way(n), s->cut_until),
                         .frame = frame,
                         .available = dice_roll(d, frame->size),
                         .connection = s->connection,
                         .from = (uint8_t)from});
    connect_stream(s, now + dice_range(d, RESET_MIN_US, RESET_MAX_US));
}

/* A life that runs on an old disk. A replay would bypass nodes that refuse to hear it. */
static bool is_ghost(const struct member *m) { return m->copy; }

static void replay(struct network_sim *n, uint32_t from, uint32_t to, struct frame *frame, uint64_t now)
{
    uint64_t arrival = now + dice_range(&n->fault_dice[FAULT_REPLAY], REPLAY_MIN_US, REPLAY_MAX_US);
    if (arrival < stream_of(n, from, to)->cut_until)
        n->statistics.lost++;
    else
        push(n, to,
             (struct flight){
                 .arrival = arrival, .frame = frame, .available = frame->size, .from = (uint8_t)from, .carrier = OUTSIDE});
}

static void transmit(struct network_sim *n, uint32_t from, uint32_t to, struct frame *frame, uint64_t now)
{
    n->statistics.frames_sent++;
    n->statistics.bytes_sent += frame->size;
    if (!n->members[to].up || now < stream_of(n, from, to)->up_at || strikes(n, FAULT_DROP)) {
        n->statistics.lost++;
        return;
    }
    if (strikes(n, FAULT_RESET)) {
        reset(n, from, to, frame, now);
    } else if (enqueue(n, from, to, frame, now)) {
        if (strikes(n, FAULT_DUPLICATE))
            enqueue(n, from, to, frame, now);
        if (!is_ghost(&n->members[from]) && strikes(n, FAULT_REPLAY))
            replay(n, from, to, frame, now);
    }
    drop_dead(n, to);
}

void network_sim_send(struct network_sim *n, uint32_t node, const struct packet *bodies, size_t count, uint64_t now)
{
    invariant(node_set_has(n->all, node) && n->members[node].up);
    advance(n, now);
    for (size_t i = 0; i < count; i++) {
        node_set to = bodies[i].id & n->all & ~node_set_of(node);
        if (to == 0)
            continue;
        struct frame *frame = frame_new(&n->members[node].origin, &bodies[i]);
        for (; to != 0; to &= to - 1)
            transmit(n, node, node_set_first(to), frame, now);
        frame_release(frame);
    }
}

/* ---- receiving ---- */

uint64_t network_sim_next(const struct network_sim *n, uint32_t node)
{
    const struct member *m = &n->members[node];
    if (!m->up || m->count == 0)
        return UINT64_MAX;
    return later(m->flights[0].arrival, m->stalled_until);
}

enum judgement { SOUND, BROKEN, EARLIER_LIFE };

/* The host's judgement of these bytes (io/tcp_link.c, network_admit). */
static enum judgement judge(struct network_sim *n, uint32_t node, struct stream *s, const struct flight *f,
                            struct frame_header *header)
{
    struct frame *frame = f->frame;
    uint32_t len_max = n->options.queue_bytes_max < UINT32_MAX ? (uint32_t)n->options.queue_bytes_max : UINT32_MAX;
    if (f->available < FRAME_HEADER_SIZE || frame_parse(frame->words, n->cluster, len_max, header) != FRAME_OK)
        return BROKEN;
    if (f->carrier == STRANGER)
        return n->options.greeted(n->options.context, node, &header->origin) ? SOUND : EARLIER_LIFE;
    if (f->carrier == OUTSIDE && n->options.takes != NULL && !n->options.takes(n->options.context, node, &header->origin))
        return EARLIER_LIFE;
    if (f->carrier == ON_CONNECTION) {
        if (header->origin.incarnation < s->heard)
            return EARLIER_LIFE;
        if (n->options.listens != NULL && !n->options.listens(n->options.context, node, &header->origin))
            return EARLIER_LIFE;
        if (s->heard != 0 && header->origin.incarnation > s->heard)
            inbox_add_resignation(&n->members[node].inbox, &header->origin);
        s->heard = header->origin.incarnation;
    }
    if (f->available < FRAME_HEADER_SIZE + words_for(header->len) * sizeof(uint64_t))
        return BROKEN;
    if (!frame->checked && frame_check_body(header, frame->words + FRAME_HEADER_WORDS) != FRAME_OK)
        return BROKEN;
    frame->checked = true;
    return SOUND;
}

static void arrive(struct network_sim *n, uint32_t node, const struct flight *f)
{
    struct stream *s = stream_of(n, f->from, node);
    struct inbox *inbox = &n->members[node].inbox;
    struct frame_header header;
    if (f->carrier == ON_CONNECTION && f->connection == s->connection)
        s->bytes -= f->frame->size;
    switch (judge(n, node, s, f, &header)) {
    case SOUND:
        n->statistics.frames_received++;
        if (header.len > 0) /* otherwise it is a greeting */
            inbox_add(inbox, &header.origin, f->frame->words + FRAME_HEADER_WORDS, header.len);
        if (f->carrier == STRANGER) /* it is taken for the node, which has only one connection */
            disconnect_stream(n, f->from, node, n->now + dice_roll(&n->timing, RETRY_MAX_US));
        return;
    case EARLIER_LIFE:
        n->statistics.refused++;
        break;
    case BROKEN:
        n->statistics.broken++;
        break;
    }
    hang_up(n, f, node);
}

struct packet_list network_sim_receive(struct network_sim *n, uint32_t node, uint64_t now)
{
    advance(n, now);
    while (network_sim_next(n, node) <= now) {
        struct flight f = pop(&n->members[node]);
        arrive(n, node, &f);
        frame_release(f.frame);
        drop_dead(n, node);
    }
    return inbox_take(&n->members[node].inbox);
}

/* ---- faults that the world strikes ---- */

/* Point 4. */
static void cut_stream(struct network_sim *n, uint32_t from, uint32_t to, uint64_t until)
{
    struct stream *s = stream_of(n, from, to);
    uint64_t up_at = s->up_at;
    if (s->cut_until <= n->now)
        s->cut_since = n->now;
    s->cut_until = later(s->cut_until, until);
    uint64_t retried = s->cut_until + dice_roll(&n->timing, RETRY_MAX_US);
    if (s->cut_until - s->cut_since > UNACKNOWLEDGED_MAX_US)
        disconnect_stream(n, from, to, later(up_at, retried));
    else if (up_at > n->now)
        s->up_at = later(up_at, retried);
    s->floor = later(s->floor, s->cut_until);
    hold(n, from, to, s->cut_until);
    drop_dead(n, to);
}

void network_sim_cut(struct network_sim *n, node_set from, node_set to, uint64_t until)
{
    if (until <= n->now)
        return;
    for (node_set senders = from & n->all; senders != 0; senders &= senders - 1) {
        uint32_t sender = node_set_first(senders);
        for (node_set receivers = to & n->all & ~node_set_of(sender); receivers != 0; receivers &= receivers - 1)
            cut_stream(n, sender, node_set_first(receivers), until);
    }
}

void network_sim_half_open(struct network_sim *n, uint32_t from, uint32_t to, uint64_t until)
{
    invariant(node_set_has(n->all, from) && node_set_has(n->all, to) && from != to);
    disconnect_stream(n, from, to, later(until, stream_of(n, from, to)->up_at));
}

void network_sim_stall_reader(struct network_sim *n, uint32_t node, uint64_t until)
{
    struct member *m = &n->members[node];
    m->stalled_until = later(m->stalled_until, until);
}

void network_sim_heal(struct network_sim *n)
{
    n->healed = true;
    for (uint32_t to = 1; to <= n->options.nodes; to++) {
        n->members[to].stalled_until = 0;
        for (uint32_t from = 1; from <= n->options.nodes; from++) {
            struct stream *s = stream_of(n, from, to);
            if (s->cut_until > n->now)
                disconnect_stream(n, from, to, 0); /* what waits for the end of the cut must not be overtaken */
            s->cut_until = 0;
            s->up_at = 0;
        }
    }
}

/* ---- the beginning, the end ---- */

struct network_sim *network_sim_new(const struct network_sim_options *options)
{
    static const char name[] = "sim";
    invariant(options->nodes >= 1 && options->nodes <= NODE_ID_MAX);
    struct network_sim *n = memory_new(1, sizeof *n);
    n->options = *options;
    n->cluster = frame_cluster(name, sizeof name - 1);
    n->streams = memory_new((size_t)(options->nodes + 1) * (options->nodes + 1), sizeof *n->streams);
    n->timing = dice_new(options->seed, DICE);
    for (uint32_t kind = 0; kind < FAULTS; kind++)
        n->fault_dice[kind] = dice_new(options->seed, DICE + 1 + kind);
    for (uint32_t id = 1; id <= options->nodes; id++) {
        struct member *m = &n->members[id];
        m->origin = (struct frame_origin){.cluster = n->cluster, .sender = id};
        network_sim_instance(id, m->origin.instance);
        n->all |= node_set_of(id);
    }
    return n;
}

void network_sim_free(struct network_sim *n)
{
    for (uint32_t id = 1; id <= n->options.nodes; id++) {
        struct member *m = &n->members[id];
        for (size_t i = 0; i < m->count; i++)
            frame_release(m->flights[i].frame);
        free(m->flights);
        inbox_close(&m->inbox);
    }
    free(n->streams);
    free(n);
}

/* A frame that belongs to no connection. */
static void push_outside(struct network_sim *n, uint32_t from, uint32_t to, const struct packet *body, uint64_t arrival)
{
    struct frame *frame = frame_new(&n->members[from].origin, body);
    push(n, to,
         (struct flight){
             .arrival = arrival, .frame = frame, .available = frame->size, .from = (uint8_t)from, .carrier = OUTSIDE});
    drop_dead(n, to);
    frame_release(frame);
}

void network_sim_replay(struct network_sim *n, uint32_t from, uint32_t to, const struct packet *body, uint64_t arrival)
{
    if (is_ghost(&n->members[from]) || arrival < stream_of(n, from, to)->cut_until)
        return;
    push_outside(n, from, to, body, arrival);
    fault_fired(n->options.faults, FAULT_REPLAY);
}

void network_sim_slip(struct network_sim *n, uint32_t from, uint32_t to, const struct packet *body, uint64_t arrival)
{
    if (!is_ghost(&n->members[from]))
        push_outside(n, from, to, body, arrival);
}

void network_sim_greet(struct network_sim *n, uint32_t to, const struct frame_origin *as, uint64_t arrival)
{
    struct frame_origin origin = *as;
    origin.cluster = n->cluster;
    struct frame *frame = frame_new(&origin, &(struct packet){0});
    push(n, to,
         (struct flight){.arrival = arrival,
                         .frame = frame,
                         .available = frame->size,
                         .from = (uint8_t)(as->sender <= n->options.nodes ? as->sender : 0),
                         .carrier = STRANGER});
    drop_dead(n, to);
    frame_release(frame);
}

void network_sim_reinstall(struct network_sim *n, uint32_t node, const uint8_t instance[16])
{
    invariant(!n->members[node].up);
    memcpy(n->members[node].origin.instance, instance, 16);
}

void network_sim_instance(uint32_t node, uint8_t instance[16]) { memset(instance, (int)node, 16); }

struct network_sim_statistics network_sim_statistics(const struct network_sim *n)
{
    struct network_sim_statistics statistics = n->statistics;
    for (uint32_t id = 1; id <= n->options.nodes; id++)
        statistics.under_way += n->members[id].count;
    return statistics;
}
