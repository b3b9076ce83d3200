/* Connections that others make, each with a server (host/grpc_service.c). */
#include <stdlib.h>

#include "core/base/memory.h"
#include "host/grpc_internal.h"

static void on_closed(uv_handle_t *handle)
{
    struct grpc_link *l = handle->data;
    struct network *n = &l->service.network->base;
    grpc_service_close(&l->service);
    free(l);
    network_released(n);
}

void grpc_link_close(struct grpc_link *l)
{
    struct grpc_network *n = l->service.network;
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
    grpc_session_goodbye(&l->service.session, (uv_stream_t *)&l->tcp);
    uv_close((uv_handle_t *)&l->tcp, on_closed);
}

static void pump(struct grpc_link *l)
{
    const char *why;
    if (l->closing)
        return;
    if (!grpc_session_pump(&l->service.session, (uv_stream_t *)&l->tcp, NULL, &why)) {
        logger_log(l->service.network->base.options.logger, LOG_DEBUG, "network", "lost the connection from %s: %s",
                   l->service.from, why);
        grpc_link_close(l);
    } else if (grpc_service_is_over(&l->service) && l->service.session.rest == NULL) {
        grpc_link_close(l);
    }
}

static void on_output(struct grpc_service *s) { pump((struct grpc_link *)s); }

static void on_written(struct grpc_session *s, int status)
{
    struct grpc_link *l = (struct grpc_link *)s;
    if (status < 0)
        grpc_link_close(l);
    else
        pump(l);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct grpc_link *l = handle->data;
    (void)suggested;
    *buffer = uv_buf_init((char *)l->service.network->buffer, GRPC_READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct grpc_link *l = stream->data;
    struct network *n = &l->service.network->base;
    if (l->closing)
        return;
    if (len < 0) {
        logger_log(n->options.logger, LOG_DEBUG, "network", "%s hung up: %s", l->service.from, uv_strerror((int)len));
        grpc_link_close(l);
        return;
    }
    size_t before = inbox_bytes(&n->inbox);
    if (grpc_service_take(&l->service, (const uint8_t *)buffer->base, (size_t)len))
        pump(l);
    else
        grpc_link_close(l);
    if (inbox_bytes(&n->inbox) > before)
        n->options.on_input(n->options.context);
}

/* Too many connections: the oldest of those on which no node speaks goes first. */
static void make_room(struct grpc_network *n)
{
    struct grpc_link *oldest = NULL;
    if (n->links_count < GRPC_LINKS_MAX)
        return;
    for (struct grpc_link *l = n->links; l != NULL; l = l->next)
        if (!grpc_service_is_known(&l->service))
            oldest = l; /* new ones are put in front */
    if (oldest == NULL)
        return;
    logger_log(n->base.options.logger, LOG_WARNING, "network",
               "closed the connection from %s: too many on which no node speaks", oldest->service.from);
    grpc_link_close(oldest);
}

void grpc_link_accept(struct grpc_network *n)
{
    make_room(n);
    struct grpc_link *l = memory_new(1, sizeof *l);
    grpc_service_open(&l->service, n);
    l->service.on_output = on_output;
    l->service.session.on_written = on_written;
    l->tcp.data = l;
    l->next = n->links;
    if (n->links != NULL)
        n->links->previous = l;
    n->links = l;
    n->links_count++;
    n->base.open++;
    uv_tcp_init(n->base.loop, &l->tcp);
    int error = uv_accept((uv_stream_t *)&n->listener, (uv_stream_t *)&l->tcp);
    if (error != 0) {
        logger_log(n->base.options.logger, LOG_WARNING, "network", "cannot accept a connection: %s", uv_strerror(error));
        grpc_link_close(l);
        return;
    }
    network_peer_text(&l->tcp, l->service.from, sizeof l->service.from);
    uv_tcp_nodelay(&l->tcp, 1);
    uv_tcp_keepalive(&l->tcp, 1, 10);
    uv_read_start((uv_stream_t *)&l->tcp, on_alloc, on_read);
    pump(l); /* the settings */
}

void grpc_links_resume(struct grpc_network *n)
{
    n->paused = false;
    for (struct grpc_link *l = n->links, *next; l != NULL; l = next) {
        next = l->next;
        grpc_service_resume(&l->service);
        pump(l);
    }
}
