/* Datagrams that arrive. Each is one frame, and each is judged by itself, because anyone can send one, twice, late or
 * damaged:
 *
 *   1. Its length, header and checksums are those of a frame of this cluster.
 *   2. Its sender is exactly the life of a node whose greeting was last accepted, over TCP (io/tcp_link.c). Greetings are
 *      where lives and governed settings are compared and where a refused node is told why, so there is no second way in.
 *      The connection itself may have ended since. That loses nothing: a node that cannot connect cannot send long frames
 *      either.
 *   3. There is room: what waits for the node's next turn is bounded, and beyond that datagrams are dropped.
 *
 * A datagram of another life is not a fault: it was on its way while its sender was restarted, or it overtook the greeting.
 * It is dropped. */
#include "io/udp_internal.h"

/* Whether a second has passed since `*logged`. If so, sets `*logged` to now. */
static bool may_log(struct udp_network *n, uint64_t *logged)
{
    uint64_t now = uv_now(n->tcp.base.loop);
    if (*logged != 0 && now - *logged < 1000)
        return false;
    *logged = now;
    return true;
}

void udp_refuse(struct udp_network *n, const struct sockaddr *from, const char *why)
{
    struct network *base = &n->tcp.base;
    char text[80];
    base->statistics.bad_frames++;
    if (!may_log(n, &n->refusal_logged))
        return;
    network_address_text(from, text, sizeof text);
    logger_log(base->options.logger, LOG_WARNING, "network", "refused a datagram from %s: %s (%llu bad frames so far)", text,
               why, (unsigned long long)base->statistics.bad_frames);
}

static bool admit(struct udp_network *n, const struct frame_origin *origin, const struct sockaddr *from)
{
    struct network *base = &n->tcp.base;
    if (!node_set_has(base->members, origin->sender)) {
        udp_refuse(n, from, "its sender is not another node of the configuration");
        return false;
    }
    if (network_same_origin(&n->tcp.peers[origin->sender].admitted, origin))
        return true;
    base->statistics.dropped++;
    return false;
}

/* A valid frame from a node that may speak. */
static void take_body(struct udp_network *n, const struct frame_header *header, const uint64_t *body)
{
    struct network *base = &n->tcp.base;
    size_t size = words_for(header->len) * sizeof *body;
    if (inbox_bytes(&base->inbox) + size > base->options.config->peer_queue_bytes_max) {
        base->statistics.dropped++;
        if (may_log(n, &n->drop_logged))
            logger_log(base->options.logger, LOG_WARNING, "network",
                       "more datagrams arrive than are taken (peer_queue_bytes_max): they are dropped, %llu frames so far",
                       (unsigned long long)base->statistics.dropped);
        return;
    }
    base->statistics.frames_in++;
    base->statistics.bytes_in += FRAME_HEADER_SIZE + size;
    if (header->len > 0)
        inbox_add(&base->inbox, &header->origin, body, header->len);
}

void udp_take(struct udp_network *n, const uint64_t *words, size_t size, const struct sockaddr *from)
{
    struct network *base = &n->tcp.base;
    const uint64_t *body = words + FRAME_HEADER_WORDS;
    struct frame_header header;
    size_t before = inbox_bytes(&base->inbox);
    if (size < FRAME_HEADER_SIZE) {
        udp_refuse(n, from, "shorter than a frame's header");
        return;
    }
    enum frame_error error =
        frame_parse(words, base->options.origin.cluster, base->options.config->frame_bytes_max, &header);
    if (error == FRAME_OK && size != FRAME_HEADER_SIZE + words_for(header.len) * sizeof *words) {
        udp_refuse(n, from, "not as long as its frame");
        return;
    }
    if (error == FRAME_OK)
        error = frame_check_body(&header, body);
    if (error != FRAME_OK) {
        udp_refuse(n, from, frame_error_text(error));
        return;
    }
    if (admit(n, &header.origin, from))
        take_body(n, &header, body);
    if (inbox_bytes(&base->inbox) > before)
        base->options.on_input(base->options.context);
}
