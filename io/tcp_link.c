/* Connections that other nodes make, to receive from. A link's buffer begins with a frame. Headers and bodies are multiples
 * of 8 bytes, so every body in it is 8-aligned, too. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "io/tcp_internal.h"

/* Logs what was wrong with a connection, in one line, and closes it. Returns false. */
static bool refuse_as(struct tcp_link *l, const char *why, uint32_t level)
{
    struct tcp_network *n = l->network;
    n->base.statistics.bad_frames++;
    if (l->peer != NULL)
        logger_log(n->base.options.logger, level, "network", "closed the connection from node %u at %s: %s",
                   l->peer->dialer.config->id, l->link.from, why);
    else
        logger_log(n->base.options.logger, level, "network", "closed the connection from %s: %s", l->link.from, why);
    link_close(&l->link);
    return false;
}

static bool refuse(struct tcp_link *l, const char *why) { return refuse_as(l, why, LOG_WARNING); }

/* Tells the node that dialled why it is refused. If the socket does not take it at once, it is told when it comes again. */
static void answer_refusal(struct tcp_link *l, enum network_refusal refusal, const char *why)
{
    uint64_t words[FRAME_HEADER_WORDS + REFUSAL_WORDS] = {0};
    uint64_t *body = words + FRAME_HEADER_WORDS;
    const size_t text = strlen(why) < (REFUSAL_WORDS - 1) * sizeof *body ? strlen(why) : (REFUSAL_WORDS - 1) * sizeof *body;
    const uint32_t len = (uint32_t)(sizeof *body + text);
    body[0] = refusal;
    memcpy(body + 1, why, text);
    frame_encode(&l->network->base.options.origin, body, len, words);
    const uv_buf_t buffer = uv_buf_init((char *)words, (unsigned)(FRAME_HEADER_SIZE + words_for(len) * sizeof *body));
    uv_try_write((uv_stream_t *)&l->link.tcp, &buffer, 1);
}

/* Finds out which node speaks, from the first frame, the greeting. */
static bool identify(struct tcp_link *l, const struct frame_header *header, const uint64_t *greeting)
{
    struct tcp_network *n = l->network;
    const struct frame_origin *origin = &header->origin;
    char why[NETWORK_WHY_SIZE];
    const enum network_refusal refusal = network_admit(&n->base, origin, greeting, header->len, why, sizeof why);
    if (refusal != REFUSAL_NONE) {
        answer_refusal(l, refusal, why);
        return refuse_as(l, why, network_refusal_level(&n->base, origin->sender, refusal, why));
    }
    struct peer *p = &n->peers[origin->sender];
    const bool known = p->admitted.sender != 0, lives_again = known && !network_same_origin(&p->admitted, origin);
    struct tcp_link *before = p->link;
    p->link = l;
    if (before != NULL)
        link_close(&before->link); /* left over from before the peer connected again */
    l->peer = p;
    l->origin = p->admitted = *origin;
    if (n->base.options.sends && lives_again && n->reached != NULL)
        peer_reborn(p);
    dialer_heard(&p->dialer);
    return true;
}

/* Takes the frame at `words`, of which `available` bytes are there. Returns its size. 0: more bytes are needed, `*need` in
 * all, or the link was closed. */
static size_t take_frame(struct tcp_link *l, const uint64_t *words, size_t available, size_t *need)
{
    struct tcp_network *n = l->network;
    struct frame_header header;
    *need = FRAME_HEADER_SIZE;
    if (available < FRAME_HEADER_SIZE)
        return 0;
    const bool greets = l->peer == NULL;
    const uint32_t len_max = greets ? GOVERNED_TEXT_MAX - 1 : n->base.options.config->frame_bytes_max;
    enum frame_error error = frame_parse(words, n->base.options.origin.cluster, len_max, &header);
    if (error != FRAME_OK)
        return refuse(l, greets && error == FRAME_BAD_LENGTH ? "it begins with what is too long for a greeting"
                                                             : frame_error_text(error));
    if (!greets && !network_same_origin(&l->origin, &header.origin))
        return refuse(l, "the sender changed within a connection");
    *need = FRAME_HEADER_SIZE + words_for(header.len) * sizeof *words;
    if (available < *need)
        return 0;
    error = frame_check_body(&header, words + FRAME_HEADER_WORDS);
    if (error != FRAME_OK)
        return refuse(l, frame_error_text(error));
    if (greets && !identify(l, &header, words + FRAME_HEADER_WORDS))
        return 0;
    n->base.statistics.frames_in++;
    n->base.statistics.bytes_in += *need;
    if (!greets && header.len > 0)
        inbox_add(&n->base.inbox, &header.origin, words + FRAME_HEADER_WORDS, header.len);
    return *need;
}

/* Makes room for a frame of `need` bytes, and shrinks an empty buffer to little more than that. */
static void fit_buffer(struct tcp_link *l, size_t need)
{
    size_t capacity = l->capacity;
    if (need > capacity)
        capacity = need;
    else if (l->len == 0 && capacity > KEPT_BYTES_MAX)
        capacity = RECEIVE_SIZE;
    if (capacity == l->capacity)
        return;
    l->buffer = realloc(l->buffer, capacity);
    invariant(l->buffer != NULL);
    l->capacity = capacity;
}

static void take_frames(struct tcp_link *l)
{
    struct tcp_network *n = l->network;
    size_t before = inbox_bytes(&n->base.inbox), at = 0, size, need;
    while ((size = take_frame(l, l->buffer + at / sizeof(uint64_t), l->len - at, &need)) > 0)
        at += size;
    if (!l->link.closing) {
        l->len -= at;
        if (at > 0 && l->len > 0)
            memmove(l->buffer, (char *)l->buffer + at, l->len);
        fit_buffer(l, need);
    }
    if (!n->base.paused && inbox_bytes(&n->base.inbox) > n->base.options.config->peer_queue_bytes_max)
        tcp_links_pause(n, true);
    if (inbox_bytes(&n->base.inbox) > before)
        n->base.options.on_input(n->base.options.context);
}

void tcp_link_take(struct tcp_link *l, size_t len)
{
    l->len += len;
    take_frames(l);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct tcp_link *l = handle->data;
    (void)suggested;
    *buffer = uv_buf_init((char *)l->buffer + l->len, (unsigned)(l->capacity - l->len));
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct tcp_link *l = stream->data;
    (void)buffer;
    if (l->link.closing)
        return;
    if (len < 0) {
        struct tcp_network *n = l->network;
        if (l->peer != NULL)
            logger_log(n->base.options.logger, LOG_DEBUG, "network", "node %u at %s hung up: %s", l->peer->dialer.config->id,
                       l->link.from, uv_strerror((int)len));
        link_close(&l->link);
        return;
    }
    tcp_link_take(l, (size_t)len);
}

void tcp_links_pause(struct tcp_network *n, bool pause)
{
    n->base.paused = pause;
    for (struct link *l = n->links.first; l != NULL; l = l->next) {
        if (pause)
            uv_read_stop((uv_stream_t *)&l->tcp);
        else
            uv_read_start((uv_stream_t *)&l->tcp, on_alloc, on_read);
    }
}

static void opened(struct link *link)
{
    struct tcp_link *l = (struct tcp_link *)link;
    l->network = (struct tcp_network *)link->links->network;
    fit_buffer(l, RECEIVE_SIZE);
}

static void accepted(struct link *link)
{
    if (!((struct tcp_link *)link)->network->base.paused)
        uv_read_start((uv_stream_t *)&link->tcp, on_alloc, on_read);
}

static bool is_known(const struct link *link) { return ((const struct tcp_link *)link)->peer != NULL; }

static void closing(struct link *link)
{
    struct peer *p = ((struct tcp_link *)link)->peer;
    if (p == NULL || &p->link->link != link)
        return;
    p->link = NULL;
    dialer_unheard(&p->dialer);
}

static void closed(struct link *link) { free(((struct tcp_link *)link)->buffer); }

const struct link_operations tcp_link_operations = {sizeof(struct tcp_link), opened, accepted, is_known, closing, closed};
