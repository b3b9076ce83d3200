#include "sim/uv_network.h"

#include "core/base/memory.h"
#include "io/udp_internal.h"

/* A connection from `sender` whose frames come after the first `at` in the inbox. */
struct begin {
    uint32_t sender;
    uint64_t life;
    size_t at;
};

struct node_network {
    struct node_network_options options;
    uv_loop_t loop;
    struct network *network;
    bool waiting;
    uint64_t refused;             /* greetings of lives that the node does not listen to */
    uint64_t strangers;           /* that have greeted it, or may */
    struct begin *begins, *begun; /* connections from others since frames were received last, and before that */
    size_t begins_count, begins_capacity, begun_count, begun_capacity;
    uint64_t lives[PEERS_MAX]; /* of those that have begun */
    node_set fresh;            /* of these, those of which no frame has been received since */
    uint64_t unsound;          /* datagrams that its host had been given before it opened */
    char wrong[256];
};

static void on_input(void *context) { ((struct node_network *)context)->waiting = true; }

static enum peer_verdict on_peer(void *context, const struct frame_origin *peer)
{
    struct node_network *n = context;
    const enum peer_verdict verdict = n->options.accept_peer(n->options.context, peer);
    if (verdict != PEER_ACCEPTED) {
        n->refused += peer->sender != n->options.origin.sender;
        return verdict;
    }
    const struct inbox *inbox = &n->network->inbox;
    n->begins = memory_reserve(n->begins, &n->begins_capacity, n->begins_count + 1, sizeof *n->begins);
    n->begins[n->begins_count++] = (struct begin){peer->sender, frame_life(peer), inbox->boxes[inbox->filling].count};
    return verdict;
}

static void on_expelled(void *context, int exit_code, const char *reason)
{
    const struct node_network *n = context;
    n->options.on_expelled(n->options.context, exit_code, reason);
}

bool node_network_open(struct node_network **out, const struct node_network_options *options, struct problem *problem)
{
    struct node_network *n = memory_new(1, sizeof *n);
    n->options = *options;
    simuv_loop_init(&n->loop, options->sockets, options->datagrams, options->origin.sender);
    if (options->datagrams != NULL)
        n->unsound = datagrams_unsound(options->datagrams, options->origin.sender);
    const struct network_options network = {
        .config = options->config,
        .origin = options->origin,
        .sends = true,
        .receives = true,
        .accept_peer = on_peer,
        .on_expelled = on_expelled,
        .on_input = on_input,
        .context = n,
    };
    *out = n;
    network_opener *open = options->datagrams != NULL ? udp_network_open : tcp_network_open;
    return open(&n->network, &n->loop, &network, problem);
}

/* Where connections have begun, in what is left of the inbox. */
void node_network_members(struct node_network *n, const struct roster *roster)
{
    const struct inbox *inbox = &n->network->inbox;
    const size_t before = inbox->boxes[inbox->filling].count;
    uint32_t *senders = memory_new(before + 1, sizeof *senders);
    for (size_t i = 0; i < before; i++)
        senders[i] = (uint32_t)inbox->boxes[inbox->filling].packets[i].id;
    network_members(n->network, roster);
    const struct box *box = &inbox->boxes[inbox->filling];
    size_t kept = 0, begins = 0, at = 0;
    for (size_t i = 0; i <= before; i++) {
        for (; at < n->begins_count && n->begins[at].at == i; at++) {
            n->begins[begins] = n->begins[at];
            n->begins[begins++].at = kept;
        }
        kept += i < before && kept < box->count && box->packets[kept].id == senders[i];
    }
    n->begins_count = begins;
    free(senders);
}

static void on_closed(void *context) { ((struct node_network *)context)->network = NULL; }

void node_network_kill(struct node_network *n)
{
    simuv_kill(&n->loop);
    if (n->network != NULL)
        network_close(n->network, on_closed, n);
    while (uv_run(&n->loop, UV_RUN_NOWAIT) != 0 || n->network != NULL)
        ;
    simuv_loop_close(&n->loop);
    free(n->begins);
    free(n->begun);
    free(n);
}

uint64_t node_network_next(struct node_network *n) { return simuv_next(&n->loop); }

void node_network_run(struct node_network *n) { uv_run(&n->loop, UV_RUN_NOWAIT); }

bool node_network_waiting(const struct node_network *n) { return n->waiting; }

static void begin(struct node_network *n, const struct begin *b)
{
    n->lives[b->sender] = b->life;
    n->fresh |= node_set_of(b->sender);
}

struct packet_list node_network_receive(struct node_network *n)
{
    n->waiting = false;
    for (size_t k = 0; k < n->begun_count; k++)
        begin(n, &n->begun[k]);
    n->begun_count = n->begins_count;
    n->begun = memory_reserve(n->begun, &n->begun_capacity, n->begins_count, sizeof *n->begun);
    if (n->begins_count > 0)
        memcpy(n->begun, n->begins, n->begins_count * sizeof *n->begun);
    n->begins_count = 0;
    return network_receive(n->network);
}

uint64_t node_network_life(struct node_network *n, uint32_t sender, size_t i, bool *begins)
{
    size_t kept = 0, before = n->begun_count;
    for (size_t k = 0; k < before; k++) {
        if (n->begun[k].sender != sender || n->begun[k].at > i)
            n->begun[kept++] = n->begun[k];
        else
            begin(n, &n->begun[k]);
    }
    n->begun_count = kept;
    *begins = node_set_has(n->fresh, sender);
    n->fresh &= ~node_set_of(sender);
    return n->lives[sender];
}

void node_network_send(struct node_network *n, const struct packet *frames, size_t count)
{
    network_send(n->network, frames, count);
}

void node_network_expect_stranger(struct node_network *n) { n->strangers++; }

/* ---- What it holds ---- */

static const struct tcp_network *tcp_of(const struct node_network *n) { return (const struct tcp_network *)n->network; }

static uint64_t frame_size_max(const struct node_network *n)
{
    return FRAME_HEADER_SIZE + words_for(n->options.config->frame_bytes_max) * sizeof(uint64_t);
}

/* Only the rest of a frame that has begun may be longer than what a queue may hold, and then it is alone. */
static const char *audit_peer(struct node_network *n, const struct peer *p)
{
    const struct connection *c = (const struct connection *)p->dialer.connection;
    uint64_t bytes = 0;
    if (c == NULL)
        return NULL;
    for (size_t i = 0; i < c->count; i++)
        bytes += c->queue[c->head + i]->size;
    if (bytes != c->bytes || c->writing > c->count || (c->written > 0 && c->count == 0))
        return "what it counts for a peer is not what it holds";
    if (bytes <= n->options.config->peer_queue_bytes_max || c->count == 1)
        return NULL;
    snprintf(n->wrong, sizeof n->wrong, "it holds %llu bytes for node %u, and peer_queue_bytes_max is %llu",
             (unsigned long long)bytes, p->dialer.config->id, (unsigned long long)n->options.config->peer_queue_bytes_max);
    return n->wrong;
}

static const char *audit_links(struct node_network *n)
{
    const struct tcp_network *t = tcp_of(n);
    const uint64_t may = frame_size_max(n) > KEPT_BYTES_MAX ? frame_size_max(n) : KEPT_BYTES_MAX;
    size_t links = 0;
    for (const struct link *link = t->links.first; link != NULL; link = link->next) {
        const struct tcp_link *l = (const struct tcp_link *)link;
        links++;
        if (l->len > l->capacity || l->capacity > may)
            return "the buffer of a connection is larger than any frame";
        if (l->peer != NULL && l->peer->link != l)
            return "a node has two connections to it";
    }
    if (links != t->links.count || links > LINKS_MAX)
        return "it has more connections than it counts, or may have";
    return NULL;
}

/* It stops reading when the inbox is full, after what it was reading. Each connection may add what its buffer takes. */
static const char *audit_inbox(struct node_network *n)
{
    const struct tcp_network *t = tcp_of(n);
    const uint64_t bytes = inbox_bytes(&t->base.inbox), full = n->options.config->peer_queue_bytes_max;
    if (bytes > full && !t->base.paused)
        return "its inbox is full, and it reads on";
    if (bytes <= full + frame_size_max(n) + RECEIVE_SIZE)
        return NULL;
    snprintf(n->wrong, sizeof n->wrong, "its inbox has %llu bytes, and peer_queue_bytes_max is %llu",
             (unsigned long long)bytes, (unsigned long long)full);
    return n->wrong;
}

const char *node_network_audit(struct node_network *n)
{
    const struct tcp_network *t = tcp_of(n);
    const char *wrong = audit_links(n);
    for (size_t i = 0; i < PEERS_MAX && wrong == NULL; i++)
        wrong = audit_peer(n, &t->peers[i]);
    if (wrong == NULL)
        wrong = audit_inbox(n);
    return wrong;
}

bool node_network_heard_broken(const struct node_network *n)
{
    const struct datagrams *d = n->options.datagrams;
    const uint64_t unsound = d != NULL ? datagrams_unsound(d, n->options.origin.sender) - n->unsound : 0;
    return tcp_of(n)->base.statistics.bad_frames > n->refused + n->strangers + unsound;
}

bool node_network_full(const struct node_network *n)
{
    const struct tcp_network *t = tcp_of(n);
    const bool drops = n->options.datagrams != NULL && ((const struct udp_network *)t)->drop_logged != 0;
    return t->base.paused || t->base.drop_logged != 0 || drops;
}
