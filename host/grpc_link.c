/* Connections that others make, each with a server (host/grpc_service.c). */
#include <stdlib.h>

#include "core/base/memory.h"
#include "host/grpc_internal.h"

static struct grpc_link *link_of(struct grpc_service *s)
{
    return (struct grpc_link *)((char *)s - offsetof(struct grpc_link, service));
}

static void pump(struct grpc_link *l)
{
    const char *why;
    if (l->link.closing)
        return;
    if (!grpc_session_pump(&l->service.session, (uv_stream_t *)&l->link.tcp, NULL, &why)) {
        logger_log(l->service.network->base.options.logger, LOG_DEBUG, "network", "lost the connection from %s: %s",
                   l->link.from, why);
        link_close(&l->link);
    } else if (grpc_service_is_over(&l->service) && l->service.session.rest == NULL) {
        link_close(&l->link);
    }
}

static void on_output(struct grpc_service *s) { pump(link_of(s)); }

static void on_written(struct grpc_session *s, int status)
{
    struct grpc_link *l = link_of((struct grpc_service *)s);
    if (status < 0)
        link_close(&l->link);
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
    if (l->link.closing)
        return;
    if (len < 0) {
        logger_log(n->options.logger, LOG_DEBUG, "network", "%s hung up: %s", l->link.from, uv_strerror((int)len));
        link_close(&l->link);
        return;
    }
    size_t before = inbox_bytes(&n->inbox);
    if (grpc_service_take(&l->service, (const uint8_t *)buffer->base, (size_t)len))
        pump(l);
    else
        link_close(&l->link);
    if (inbox_bytes(&n->inbox) > before)
        n->options.on_input(n->options.context);
}

static void opened(struct link *link)
{
    struct grpc_link *l = (struct grpc_link *)link;
    grpc_service_open(&l->service, (struct grpc_network *)link->links->network, link->from);
    l->service.on_output = on_output;
    l->service.session.on_written = on_written;
}

static void accepted(struct link *link)
{
    uv_tcp_nodelay(&link->tcp, 1);
    uv_read_start((uv_stream_t *)&link->tcp, on_alloc, on_read);
    pump((struct grpc_link *)link); /* the settings */
}

static bool is_known(const struct link *link) { return grpc_service_is_known(&((const struct grpc_link *)link)->service); }

static void closing(struct link *link)
{
    grpc_session_goodbye(&((struct grpc_link *)link)->service.session, (uv_stream_t *)&link->tcp);
}

static void closed(struct link *link) { grpc_service_close(&((struct grpc_link *)link)->service); }

const struct link_operations grpc_link_operations = {sizeof(struct grpc_link), opened, accepted, is_known, closing, closed};

void grpc_links_resume(struct grpc_network *n)
{
    n->base.paused = false;
    for (struct link *l = n->links.first, *next; l != NULL; l = next) {
        next = l->next;
        grpc_service_resume(&((struct grpc_link *)l)->service);
        pump((struct grpc_link *)l);
    }
}
