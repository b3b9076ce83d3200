#include "io/network_transport.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/checksum.h"

enum { REFUSED_LATELY_MS = 5000 }; /* a node that is there dials, and is dialled, more often */

/* ---- The face ---- */

struct packet_list network_receive(struct network *n) { return n->operations->receive(n); }

bool network_waiting(const struct network *n) { return n->paused || !inbox_is_empty(&n->inbox); }

void network_send(struct network *n, const struct packet *frames, size_t count)
{
    if (count > 0)
        n->operations->send(n, frames, count);
}

void network_reborn(struct network *n, const struct frame_origin *origin)
{
    n->options.origin = *origin;
    n->refused_life = n->refused_member = 0;
    n->operations->reborn(n);
}

/* Settings in a file count only until the cluster has formed. */
static void print_greeting(struct network *n)
{
    memset(n->greeting, 0, sizeof n->greeting);
    if (n->roster.slot == 0)
        governed_print(n->options.config, (char *)n->greeting);
    else
        snprintf((char *)n->greeting, sizeof n->greeting, "configuration %" PRIu64 "\n", n->roster.slot);
    n->greeting_len = (uint32_t)strlen((char *)n->greeting);
}

/* What has come from it and waits is dropped: the node would take it for the words of the instance that follows. */
static void leave(struct network *n, uint32_t id)
{
    n->operations->leave(n, id);
    inbox_drop(&n->inbox, id);
    n->incarnations[id] = 0;
    n->said[id] = 0;
    n->refused_life &= ~node_set_of(id);
    n->refused_member &= ~node_set_of(id);
    n->refused_governed &= ~node_set_of(id);
}

/* Whether the instance that this network listens to is the one of this roster. */
static bool heard_fits(const struct network *n, const struct roster *roster, uint32_t id)
{
    const struct member_instance *member = &roster->instances[id];
    return n->incarnations[id] == 0 || roster->slot == 0 ||
           (incarnation_number(n->incarnations[id]) == member->number &&
            memcmp(n->instances[id], member->id, sizeof member->id) == 0);
}

void network_members(struct network *n, const struct roster *roster)
{
    const node_set now = roster_all(roster) & ~node_set_of(n->options.origin.sender);
    node_set stay = n->members & now;
    for (node_set all = stay; all != 0; all &= all - 1) {
        const uint32_t id = node_set_first(all);
        if (roster_has_moved(&n->roster, roster, id) || !heard_fits(n, roster, id))
            stay &= ~node_set_of(id);
    }
    for (node_set all = n->members & ~stay; all != 0; all &= all - 1)
        leave(n, node_set_first(all));
    n->roster = *roster;
    n->members = now;
    print_greeting(n);
    for (node_set all = n->closing ? 0 : now & ~stay; all != 0; all &= all - 1)
        n->operations->join(n, node_set_first(all));
}

void network_hearsay(struct network *n, const struct roster *said) { n->hearsay = *said; }

/* The disk that a member has by hearsay; NULL: nothing is said of it that is not known. */
static const struct member_instance *disk_by_hearsay(const struct network *n, uint32_t id)
{
    const struct member_instance *said = &n->hearsay.instances[id];
    return n->hearsay.slot > n->roster.slot && node_set_has(n->members & n->hearsay.members, id) &&
                   said->number > n->roster.instances[id].number
               ? said
               : NULL;
}

const struct endpoint *network_place_by_hearsay(const struct network *n, uint32_t id)
{
    const struct endpoint *place = &n->hearsay.nodes[id].address;
    return disk_by_hearsay(n, id) != NULL && place->port != 0 ? place : NULL;
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
    roster_of_file(&n->roster, options->config);
    n->members = roster_all(&n->roster) & ~node_set_of(options->origin.sender);
    print_greeting(n);
}

void network_join_all(struct network *n)
{
    for (node_set all = n->members; all != 0; all &= all - 1)
        n->operations->join(n, node_set_first(all));
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
        [PEER_TOO_LATE_LIFE] = "its disk has a later number than the one known here, and the same instance id: each disk "
                               "needs an id of its own, so replace the member (synod member replace) without --instance",
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

/* The slot of the newest configuration that a node greets with; 0: it knows none, and greets with its settings. A node that
 * has one says nothing else. */
static uint64_t read_known(const void *greeting, size_t len)
{
    static const char key[] = "configuration ";
    char text[GOVERNED_TEXT_MAX], again[GOVERNED_TEXT_MAX];
    uint64_t slot;
    if (!governed_parse(greeting, len, text) || strncmp(text, key, sizeof key - 1) != 0 ||
        sscanf(text + sizeof key - 1, "%20" SCNu64, &slot) != 1 || slot > SLOT_MAX)
        return 0;
    snprintf(again, sizeof again, "%s%" PRIu64 "\n", key, slot);
    return strcmp(text, again) == 0 ? slot : 0;
}

/* Where no configuration was chosen yet, as far as this node knows. */
static enum network_refusal judge_by_file(const struct network *n, const struct frame_origin *origin, uint64_t known,
                                          const void *greeting, size_t len, char *why, size_t size)
{
    const bool first = incarnation_number(origin->incarnation) == 0;
    if ((known != 0 && !node_set_has(n->members, origin->sender)) || !first) {
        snprintf(why, size, "node %u is not yet a member, as far as is known here", origin->sender);
        return REFUSAL_EARLY;
    }
    if (!node_set_has(n->members, origin->sender)) {
        snprintf(why, size, "it says that it is node %u, which is not in the configuration", origin->sender);
        return REFUSAL_OTHER;
    }
    return known != 0 ? REFUSAL_NONE : compare_governed(n, origin->sender, greeting, len, why, size);
}

/* Where the log says who is a member. */
static enum network_refusal judge_by_log(const struct network *n, const struct frame_origin *origin, uint64_t known,
                                         char *why, size_t size)
{
    static const enum network_refusal refusals[] = {
        [MEMBER_FITS] = REFUSAL_NONE,      [MEMBER_STRANGER] = REFUSAL_OTHER,  [MEMBER_EARLY] = REFUSAL_EARLY,
        [MEMBER_REMOVED] = REFUSAL_MEMBER, [MEMBER_REPLACED] = REFUSAL_MEMBER, [MEMBER_OTHER_DISK] = REFUSAL_OTHER,
    };
    return refusals[roster_judge(&n->roster, origin, known, why, size)];
}

/* Before its life is remembered. */
static enum network_refusal judge_member(const struct network *n, const struct frame_origin *origin, const void *greeting,
                                         size_t len, char *why, size_t size)
{
    const uint64_t known = read_known(greeting, len);
    if (origin->sender == n->options.origin.sender) {
        snprintf(why, size, "it says that it is node %u, which is this one", origin->sender);
        return REFUSAL_OTHER;
    }
    return n->roster.slot == 0 ? judge_by_file(n, origin, known, greeting, len, why, size)
                               : judge_by_log(n, origin, known, why, size);
}

static bool is_member_by_hearsay(const struct network *n, const struct frame_origin *origin)
{
    const struct member_instance *disk = disk_by_hearsay(n, origin->sender);
    return disk != NULL && incarnation_number(origin->incarnation) == disk->number &&
           memcmp(origin->instance, disk->id, sizeof disk->id) == 0;
}

/* What is known by hearsay is not remembered durably, so lives are compared with those heard since the start. */
static enum peer_verdict judge_by_hearsay(const struct network *n, const struct frame_origin *origin)
{
    const bool known = memcmp(n->instances[origin->sender], origin->instance, sizeof origin->instance) == 0;
    return known && origin->incarnation < n->incarnations[origin->sender] ? PEER_EARLIER_LIFE : PEER_ACCEPTED;
}

enum network_refusal network_admit(struct network *n, const struct frame_origin *origin, const void *greeting, size_t len,
                                   char *why, size_t size)
{
    const uint32_t sender = origin->sender;
    const enum network_refusal refusal = judge_member(n, origin, greeting, len, why, size);
    const bool by_hearsay = refusal == REFUSAL_EARLY && is_member_by_hearsay(n, origin);
    if (refusal == REFUSAL_EARLY && !by_hearsay && n->options.on_early != NULL)
        n->options.on_early(n->options.context, origin);
    if (refusal != REFUSAL_NONE && !by_hearsay)
        return refusal;
    const enum peer_verdict verdict =
        by_hearsay ? judge_by_hearsay(n, origin) : n->options.accept_peer(n->options.context, origin);
    if (verdict != PEER_ACCEPTED) {
        const bool for_ever = !by_hearsay && (verdict == PEER_EARLIER_LIFE || verdict == PEER_ANOTHER_LIFE);
        explain_verdict(why, size, origin, verdict);
        return for_ever ? REFUSAL_LIFE : REFUSAL_OTHER;
    }
    if (n->incarnations[sender] != 0 && origin->incarnation > n->incarnations[sender])
        inbox_add_resignation(&n->inbox, origin);
    n->incarnations[sender] = origin->incarnation;
    memcpy(n->instances[sender], origin->instance, sizeof origin->instance);
    return REFUSAL_NONE;
}

void network_clean_text(char *out, size_t size, const char *text, size_t len)
{
    size_t n = 0;
    for (; n < len && n + 1 < size && text[n] != '\0'; n++)
        out[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
    out[n] = '\0';
}

/* With this node, do those that it hears make a quorum? If not, it may be this node that is cut off. It could not be elected
 * either. */
static bool hears_quorum(const struct network *n)
{
    const node_set heard = n->heard | node_set_of(n->options.origin.sender);
    return node_set_count(heard & n->roster.acceptors) >= n->roster.phase1_quorum;
}

bool network_gone(struct network *n, const struct frame_origin *peer)
{
    const struct config_node *node = &n->roster.nodes[peer->sender];
    if (!hears_quorum(n))
        return false;
    logger_log(n->options.logger, LOG_INFO, "network", "the process of node %u has ended: nothing listens at %s port %u",
               peer->sender, node->address.host, node->address.port);
    if (node->role == ROLE_COORDINATOR || node->role == ROLE_PROPOSER) { /* the others are not waited for */
        inbox_add_resignation(&n->inbox, peer);
        n->options.on_input(n->options.context);
    }
    return true;
}

static bool is_news(struct network *n, uint32_t sender, const char *text)
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
    const node_set acceptors = n->roster.acceptors;
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

/* Notes in `refused` that this peer refuses the node for ever. Returns whether those that do leave no acceptors' quorum, or
 * this node alone. The quorum may have changed since others refused, so each refusal is looked at. */
static bool leaves_no_quorum(const struct network *n, node_set *refused, uint32_t peer)
{
    const node_set acceptors = n->roster.acceptors, self = node_set_of(n->options.origin.sender);
    *refused |= node_set_of(peer);
    const node_set left = acceptors & ~*refused;
    return !n->expelled && node_set_has(acceptors, peer) &&
           (node_set_count(left) < n->roster.phase1_quorum || (left & ~self) == 0);
}

static void refused_life(struct network *n, uint32_t peer)
{
    if (!leaves_no_quorum(n, &n->refused_life, peer))
        return;
    n->options.accept_peer(n->options.context, &n->options.origin); /* so that it is not started again */
    expelled(n, EXIT_DATA,
             "so many acceptors know another life of this node, not before this one, that the rest is no quorum: its data "
             "folder is an older copy, or is used twice");
}

static void refused_member(struct network *n, uint32_t peer, const char *why)
{
    char reason[NETWORK_WHY_SIZE + 240];
    if (!leaves_no_quorum(n, &n->refused_member, peer))
        return;
    snprintf(reason, sizeof reason,
             "this data folder is of no use any more, as so many acceptors say that the rest is no quorum: %s", why);
    expelled(n, EXIT_REMOVED, reason);
}

uint32_t network_refusal_level(struct network *n, uint32_t sender, enum network_refusal refusal, const char *why)
{
    const uint32_t loud = refusal == REFUSAL_EARLY ? LOG_INFO : LOG_WARNING;
    return is_news(n, sender, why) ? loud : LOG_DEBUG;
}

void network_refused_by(struct network *n, uint32_t peer, enum network_refusal refusal, const char *why)
{
    logger_log(n->options.logger, network_refusal_level(n, peer, refusal, why), "network", "node %u refuses this node: %s",
               peer, why);
    if (refusal == REFUSAL_GOVERNED)
        refused_governed(n, peer, why);
    if (refusal == REFUSAL_LIFE)
        refused_life(n, peer);
    if (refusal == REFUSAL_MEMBER)
        refused_member(n, peer, why);
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
