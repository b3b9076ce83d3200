/* Connections that other nodes make, to receive from. A link's buffer begins with a frame. Headers and bodies are multiples
 * of 8 bytes, so every body in it is 8-aligned, too. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "io/tcp_internal.h"

static void on_link_closed(uv_handle_t *handle)
{
    struct link *l = handle->data;
    struct tcp_network *n = l->network;
    free(l->buffer);
    free(l);
    network_released(&n->base);
}

void link_close(struct link *l)
{
    struct tcp_network *n = l->network;
    if (l->closing)
        return;
    l->closing = true;
    if (l->previous != NULL)
        l->previous->next = l->next;
    else
        n->links = l->next;
    if (l->next != NULL)
        l->next->previous = l->previous;
    n->links_count--;
    if (l->peer != NULL && l->peer->link == l)
        l->peer->link = NULL;
    uv_close((uv_handle_t *)&l->tcp, on_link_closed);
}

/* Logs what was wrong with a connection, in one line, and closes it. Returns false. */
static bool refuse_as(struct link *l, const char *why, uint32_t level)
{
    struct tcp_network *n = l->network;
    n->base.statistics.bad_frames++;
    if (l->peer != NULL)
        logger_log(n->base.options.logger, level, "network", "closed the connection from node %u at %s: %s",
                   l->peer->dialer.config->id, l->from, why);
    else
        logger_log(n->base.options.logger, level, "network", "closed the connection from %s: %s", l->from, why);
    link_close(l);
    return false;
}

static bool refuse(struct link *l, const char *why) { return refuse_as(l, why, LOG_WARNING); }

/* Tells the node that dialled why it is refused. If the socket does not take it at once, it is told when it comes again. */
static void answer_refusal(struct link *l, enum network_refusal refusal, const char *why)
{
    uint64_t words[FRAME_HEADER_WORDS + REFUSAL_WORDS] = {0};
    uint64_t *body = words + FRAME_HEADER_WORDS;
    const size_t text = strlen(why) < (REFUSAL_WORDS - 1) * sizeof *body ? strlen(why) : (REFUSAL_WORDS - 1) * sizeof *body;
    const uint32_t len = (uint32_t)(sizeof *body + text);
    body[0] = refusal;
    memcpy(body + 1, why, text);
    frame_encode(&l->network->base.options.origin, body, len, words);
    const uv_buf_t buffer = uv_buf_init((char *)words, (unsigned)(FRAME_HEADER_SIZE + words_for(len) * sizeof *body));
    uv_try_write((uv_stream_t *)&l->tcp, &buffer, 1);
}

/* Finds out which node speaks, from the first frame, the greeting. */
static bool identify(struct link *l, const struct frame_header *header, const uint64_t *greeting)
{
    struct tcp_network *n = l->network;
    const struct frame_origin *origin = &header->origin;
    char why[NETWORK_WHY_SIZE];
    const enum network_refusal refusal = network_admit(&n->base, origin, greeting, header->len, why, sizeof why);
    if (refusal != REFUSAL_NONE) {
        answer_refusal(l, refusal, why);
        return refuse_as(l, why, network_is_news(&n->base, origin->sender, why) ? LOG_WARNING : LOG_DEBUG);
    }
    struct peer *p = &n->peers[origin->sender];
    if (p->link != NULL)
        link_close(p->link); /* left over from before the peer connected again */
    p->link = l;
    l->peer = p;
    l->origin = p->admitted = *origin;
    if (n->base.options.sends)
        dialer_retry(&p->dialer);
    return true;
}

/* Takes the frame at `words`, of which `available` bytes are there. Returns its size. 0: more bytes are needed, `*need` in
 * all, or the link was closed. */
static size_t take_frame(struct link *l, const uint64_t *words, size_t available, size_t *need)
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
        inbox_add(&n->base.inbox, header.origin.sender, words + FRAME_HEADER_WORDS, header.len);
    return *need;
}

/* Makes room for a frame of `need` bytes, and shrinks an empty buffer to little more than that. */
static void fit_buffer(struct link *l, size_t need)
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

static void take_frames(struct link *l)
{
    struct tcp_network *n = l->network;
    size_t before = inbox_bytes(&n->base.inbox), at = 0, size, need;
    while ((size = take_frame(l, l->buffer + at / sizeof(uint64_t), l->len - at, &need)) > 0)
        at += size;
    if (!l->closing) {
        l->len -= at;
        if (at > 0 && l->len > 0)
            memmove(l->buffer, (char *)l->buffer + at, l->len);
        fit_buffer(l, need);
    }
    if (!n->paused && inbox_bytes(&n->base.inbox) > n->base.options.config->peer_queue_bytes_max)
        links_pause(n, true);
    if (inbox_bytes(&n->base.inbox) > before)
        n->base.options.on_input(n->base.options.context);
}

void link_take(struct link *l, size_t len)
{
    l->len += len;
    take_frames(l);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct link *l = handle->data;
    (void)suggested;
    *buffer = uv_buf_init((char *)l->buffer + l->len, (unsigned)(l->capacity - l->len));
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct link *l = stream->data;
    (void)buffer;
    if (l->closing)
        return;
    if (len < 0) {
        struct tcp_network *n = l->network;
        if (l->peer != NULL)
            logger_log(n->base.options.logger, LOG_DEBUG, "network", "node %u at %s hung up: %s", l->peer->dialer.config->id,
                       l->from, uv_strerror((int)len));
        link_close(l);
        return;
    }
    link_take(l, (size_t)len);
}

/* There are too many connections: closes the oldest of those that have not said which node they are. */
static void make_room(struct tcp_network *n)
{
    struct link *oldest = NULL;
    if (n->links_count < LINKS_MAX)
        return;
    for (struct link *l = n->links; l != NULL; l = l->next)
        if (l->peer == NULL)
            oldest = l; /* new ones are put in front */
    if (oldest != NULL)
        refuse(oldest, "too many connections that do not say who they are");
}

struct link *link_new(struct tcp_network *n)
{
    make_room(n);
    struct link *l = memory_new(1, sizeof *l);
    l->network = n;
    l->tcp.data = l;
    l->next = n->links;
    if (n->links != NULL)
        n->links->previous = l;
    n->links = l;
    n->links_count++;
    n->base.open++;
    uv_tcp_init(n->base.loop, &l->tcp);
    fit_buffer(l, RECEIVE_SIZE);
    return l;
}

void link_accept(struct tcp_network *n)
{
    struct link *l = link_new(n);
    int error = uv_accept((uv_stream_t *)&n->listener, (uv_stream_t *)&l->tcp);
    if (error != 0) {
        refuse(l, uv_strerror(error));
        return;
    }
    network_peer_text(&l->tcp, l->from, sizeof l->from);
    uv_tcp_keepalive(&l->tcp, 1, 10);
    if (!n->paused)
        uv_read_start((uv_stream_t *)&l->tcp, on_alloc, on_read);
}

void links_pause(struct tcp_network *n, bool pause)
{
    n->paused = pause;
    for (struct link *l = n->links; l != NULL; l = l->next) {
        if (pause)
            uv_read_stop((uv_stream_t *)&l->tcp);
        else
            uv_read_start((uv_stream_t *)&l->tcp, on_alloc, on_read);
    }
}
