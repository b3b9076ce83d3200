#include "io/network_transport.h"

#include <stdio.h>
#include <string.h>

#include "core/base/checksum.h"

enum { REFUSED_LATELY_MS = 5000 }; /* a node that is there dials, and is dialled, more often */

/* ---- The face ---- */

struct packet_list network_receive(struct network *n) { return n->operations->receive(n); }

void network_send(struct network *n, const struct packet *frames, size_t count)
{
    if (count > 0)
        n->operations->send(n, frames, count);
}

void network_reborn(struct network *n, const struct frame_origin *origin)
{
    n->options.origin = *origin;
    n->refused_life = 0;
    n->operations->reborn(n);
}

struct network_statistics network_statistics(const struct network *n) { return n->statistics; }

uint16_t network_port(const struct network *n) { return n->operations->port(n); }

void network_close(struct network *n, void (*on_closed)(void *context), void *context)
{
    n->closing = true;
    n->on_closed = on_closed;
    n->closed_context = context;
    n->operations->close(n);
}

/* ---- Shared by the transports ---- */

void network_init(struct network *n, const struct network_operations *operations, uv_loop_t *loop,
                  const struct network_options *options)
{
    n->operations = operations;
    n->loop = loop;
    n->options = *options;
    for (size_t i = 0; i < options->config->node_count; i++)
        if (options->config->nodes[i].id != options->origin.sender)
            n->members |= node_set_of(options->config->nodes[i].id);
    governed_print(options->config, (char *)n->greeting);
    n->greeting_len = (uint32_t)strlen((char *)n->greeting);
}

void network_released(struct network *n)
{
    if (--n->open > 0)
        return;
    void (*on_closed)(void *) = n->on_closed;
    void *context = n->closed_context;
    inbox_close(&n->inbox);
    n->operations->release(n);
    if (on_closed != NULL)
        on_closed(context);
}

static void explain_verdict(char *why, size_t size, const struct frame_origin *o, enum peer_verdict verdict)
{
    static const char *const texts[] = {
        [PEER_UNKNOWN_WHY] = "what is to be remembered of it could not be made durable",
        [PEER_OTHER_INSTANCE] = "it has another data folder (instance id) than the one known here",
        [PEER_EARLIER_LIFE] = "it is an earlier life than one that was heard already: its folder is an older copy",
        [PEER_ANOTHER_LIFE] =
            "another life of this incarnation was heard already: its folder is an older copy or runs twice",
        [PEER_TOO_LATE_LIFE] = "no node is started as often as that incarnation says",
    };
    snprintf(why, size, "node %u in incarnation %u is refused: %s", o->sender, o->incarnation, texts[verdict]);
}

struct packet network_greeting(struct network *n, uint32_t peer)
{
    return (struct packet){
        .id = node_set_of(peer), .len = n->greeting_len, .words = {n->greeting, words_for(n->greeting_len)}};
}

/* Compares a node's governed settings with this one's. The first difference has the same words on both sides, whichever side
 * greets. */
static enum network_refusal compare_governed(const struct network *n, uint32_t sender, const void *greeting, size_t len,
                                             char *why, size_t size)
{
    const char *own = (const char *)n->greeting;
    const uint32_t self = n->options.origin.sender;
    const bool first = self < sender;
    char other[GOVERNED_TEXT_MAX];
    struct governed_change c;
    if (len == n->greeting_len && memcmp(greeting, own, len) == 0)
        return REFUSAL_NONE;
    if (!governed_parse(greeting, len, other) || governed_compare(first ? own : other, first ? other : own, &c, 1) == 0) {
        snprintf(why, size, "node %u does not begin with its governed settings, in their form", sender);
        return REFUSAL_OTHER;
    }
    snprintf(why, size, "the governed setting %s is %s on node %u and %s on node %u: it must be the same on all nodes",
             c.key, c.before, first ? self : sender, c.now, first ? sender : self);
    return REFUSAL_GOVERNED;
}

enum network_refusal network_admit(struct network *n, const struct frame_origin *origin, const void *greeting, size_t len,
                                   char *why, size_t size)
{
    uint32_t sender = origin->sender;
    if (!node_set_has(n->members, sender)) {
        snprintf(why, size, "it says that it is node %u, %s", sender,
                 sender == n->options.origin.sender ? "which is this one" : "which is not in the configuration");
        return REFUSAL_OTHER;
    }
    const enum network_refusal refusal = compare_governed(n, sender, greeting, len, why, size);
    if (refusal != REFUSAL_NONE)
        return refusal; /* before its life is remembered */
    const enum peer_verdict verdict = n->options.accept_peer(n->options.context, origin);
    if (verdict != PEER_ACCEPTED) {
        explain_verdict(why, size, origin, verdict);
        return verdict == PEER_EARLIER_LIFE || verdict == PEER_ANOTHER_LIFE ? REFUSAL_LIFE : REFUSAL_OTHER;
    }
    if (n->incarnations[sender] != 0 && origin->incarnation > n->incarnations[sender])
        inbox_add_rebirth(&n->inbox, sender);
    n->incarnations[sender] = origin->incarnation;
    return REFUSAL_NONE;
}

void network_clean_text(char *out, size_t size, const char *text, size_t len)
{
    size_t n = 0;
    for (; n < len && n + 1 < size && text[n] != '\0'; n++)
        out[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
    out[n] = '\0';
}

bool network_is_news(struct network *n, uint32_t sender, const char *text)
{
    const uint64_t sum = checksum(text, strlen(text), 0);
    const bool news = sender >= PEERS_MAX || n->said[sender] != sum;
    if (sender < PEERS_MAX)
        n->said[sender] = sum;
    return news;
}

static void expelled(struct network *n, int exit_code, const char *reason)
{
    if (n->expelled)
        return;
    n->expelled = true;
    n->options.on_expelled(n->options.context, exit_code, reason);
}

/* This peer has other governed settings, and says so as long as it is there. If most of the acceptors do, this node is the
 * one to correct. A node that few others refuse goes on, because those few may be the ones to correct. */
static void refused_governed(struct network *n, uint32_t peer, const char *why)
{
    const node_set acceptors = n->options.config->node_config.acceptors;
    char reason[NETWORK_WHY_SIZE + 240];
    size_t lately = 0;
    n->refused_governed |= node_set_of(peer);
    n->refused_governed_at[peer] = uv_now(n->loop);
    for (node_set all = n->refused_governed & acceptors; all != 0; all &= all - 1)
        lately += uv_now(n->loop) - n->refused_governed_at[node_set_first(all)] <= REFUSED_LATELY_MS;
    if (2 * lately <= node_set_count(acceptors))
        return;
    snprintf(
        reason, sizeof reason,
        "most acceptors refuse this node, so it cannot take part: %s. Give it the settings of the others; if a change was "
        "intended, stop all nodes and run synod init --regovern on each",
        why);
    expelled(n, EXIT_BAD_INPUT, reason);
}

void network_refused_by(struct network *n, uint32_t peer, enum network_refusal refusal, const char *why)
{
    logger_log(n->options.logger, network_is_news(n, peer, why) ? LOG_WARNING : LOG_DEBUG, "network",
               "node %u refuses this node: %s", peer, why);
    const struct node_config *c = &n->options.config->node_config;
    if (refusal == REFUSAL_GOVERNED)
        refused_governed(n, peer, why);
    if (refusal != REFUSAL_LIFE || node_set_has(n->refused_life, peer))
        return;
    n->refused_life |= node_set_of(peer);
    const node_set listening = c->acceptors & ~n->refused_life;
    if (!node_set_has(c->acceptors, peer) || node_set_count(listening) != c->phase1_quorum - 1)
        return; /* a quorum is still there, or there was none before */
    char reason[240];
    snprintf(
        reason, sizeof reason,
        "so many acceptors know another life of this node, not before this one, that the rest is no quorum: its data folder "
        "is an older copy, or is used twice");
    n->options.accept_peer(n->options.context, &n->options.origin); /* so that it is not started again */
    expelled(n, EXIT_DATA, reason);
}

bool network_same_origin(const struct frame_origin *a, const struct frame_origin *b)
{
    return a->sender == b->sender && a->incarnation == b->incarnation && a->nonce == b->nonce &&
           memcmp(a->instance, b->instance, sizeof a->instance) == 0;
}

bool network_too_long(struct network *n, const struct packet *frame)
{
    if (frame->len <= n->options.config->frame_bytes_max)
        return false;
    logger_log(n->options.logger, LOG_ERROR, "network", "a message of %u bytes is not sent: frame_bytes_max is %u",
               frame->len, n->options.config->frame_bytes_max);
    n->statistics.dropped++;
    return true;
}

void network_queue_full(struct network *n, uint32_t peer)
{
    uint64_t now = uv_now(n->loop);
    n->statistics.dropped++;
    if (n->drop_logged != 0 && now - n->drop_logged < 1000)
        return;
    n->drop_logged = now;
    logger_log(n->options.logger, LOG_WARNING, "network",
               "the queue to node %u is full (peer_queue_bytes_max): frames are dropped, %llu so far to all nodes", peer,
               (unsigned long long)n->statistics.dropped);
}

void network_place(const struct network *n, char *out, size_t size)
{
    const struct config_node *self = config_find(n->options.config, n->options.origin.sender);
    config_place(n->options.config, self->id, &self->address, out, size);
}

/* ---- Sockets ---- */

bool network_listen(struct network *n, uv_tcp_t *listener, uv_connection_cb on_connection, struct problem *problem)
{
    const struct endpoint *at = &config_find(n->options.config, n->options.origin.sender)->address;
    char port[8], place[512];
    snprintf(port, sizeof port, "%u", at->port);
    network_place(n, place, sizeof place);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    uv_getaddrinfo_t resolve;
    int error = uv_getaddrinfo(n->loop, &resolve, NULL, at->host, port, &hints);
    if (error != 0)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: cannot resolve %s: %s", place, at->host, uv_strerror(error));
    for (const struct addrinfo *a = resolve.addrinfo; a != NULL; a = a->ai_next) {
        error = uv_tcp_bind(listener, a->ai_addr, 0);
        if (error == 0)
            break;
    }
    uv_freeaddrinfo(resolve.addrinfo);
    if (error == 0)
        error = uv_listen((uv_stream_t *)listener, 128, on_connection);
    if (error != 0)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: cannot listen on %s port %u for other nodes: %s", place, at->host,
                           at->port, uv_strerror(error));
    return true;
}

/* 0 for an address that has no port. */
static uint16_t port_of(const struct sockaddr *address)
{
    switch (address->sa_family) {
    case AF_INET:
        return ntohs(((const struct sockaddr_in *)address)->sin_port);
    case AF_INET6:
        return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    default:
        return 0;
    }
}

uint16_t network_listener_port(const uv_tcp_t *listener)
{
    struct sockaddr_storage address;
    int len = sizeof address;
    if (uv_tcp_getsockname(listener, (struct sockaddr *)&address, &len) != 0)
        return 0;
    return port_of((struct sockaddr *)&address);
}

void network_address_text(const struct sockaddr *address, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "an unknown address";
    if (address->sa_family == AF_INET)
        uv_ip4_name((const struct sockaddr_in *)address, host, sizeof host);
    else if (address->sa_family == AF_INET6)
        uv_ip6_name((const struct sockaddr_in6 *)address, host, sizeof host);
    snprintf(out, size, "%s port %u", host, port_of(address));
}

void network_peer_text(const uv_tcp_t *tcp, char *out, size_t size)
{
    struct sockaddr_storage address = {0};
    int len = sizeof address;
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&address, &len) != 0)
        address = (struct sockaddr_storage){0};
    network_address_text((struct sockaddr *)&address, out, size);
}
