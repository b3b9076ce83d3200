#include "io/links.h"

#include <stdlib.h>

#include "core/base/memory.h"

static void on_closed(uv_handle_t *handle)
{
    struct link *l = handle->data;
    struct network *n = l->links->network;
    l->links->operations->closed(l);
    free(l);
    network_released(n);
}

void link_close(struct link *l)
{
    struct links *links = l->links;
    if (l->closing)
        return;
    l->closing = true;
    if (l->previous != NULL)
        l->previous->next = l->next;
    else
        links->first = l->next;
    if (l->next != NULL)
        l->next->previous = l->previous;
    links->count--;
    links->operations->closing(l);
    uv_close((uv_handle_t *)&l->tcp, on_closed);
}

static void make_room(struct links *links)
{
    struct link *oldest = NULL;
    for (struct link *l = links->first; l != NULL && links->count >= LINKS_MAX; l = l->next)
        oldest = links->operations->is_known(l) ? oldest : l;
    if (oldest == NULL)
        return;
    links->network->statistics.bad_frames++;
    logger_log(links->network->options.logger, LOG_WARNING, "network",
               "closed the connection from %s: too many connections on which no node speaks", oldest->from);
    link_close(oldest);
}

struct link *link_new(struct links *links)
{
    make_room(links);
    struct link *l = memory_new(1, links->operations->size);
    l->links = links;
    l->tcp.data = l;
    l->next = links->first;
    if (l->next != NULL)
        l->next->previous = l;
    links->first = l;
    links->count++;
    links->network->open++;
    uv_tcp_init(links->network->loop, &l->tcp);
    links->operations->opened(l);
    return l;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct links *links = listener->data;
    struct link *l = NULL;
    if (status == 0) {
        l = link_new(links);
        status = uv_accept(listener, (uv_stream_t *)&l->tcp);
    }
    if (status == 0) {
        network_peer_text(&l->tcp, l->from, sizeof l->from);
        uv_tcp_nodelay(&l->tcp, 1);
        uv_tcp_keepalive(&l->tcp, 1, 10);
        links->operations->accepted(l);
        return;
    }
    logger_log(links->network->options.logger, LOG_WARNING, "network", "cannot accept a connection: %s",
               uv_strerror(status));
    if (l != NULL)
        link_close(l);
}

static void on_listener_closed(uv_handle_t *handle) { network_released(((struct links *)handle->data)->network); }

void links_close(struct links *links)
{
    while (links->first != NULL)
        link_close(links->first);
    uv_close((uv_handle_t *)&links->listener, on_listener_closed);
}

bool links_open(struct links *links, struct network *network, const struct link_operations *operations,
                struct problem *problem)
{
    const struct network_options *options = &network->options;
    links->network = network;
    links->operations = operations;
    links->listener.data = links;
    uv_tcp_init(network->loop, &links->listener);
    network->open++;
    return !options->receives || config_find(options->config, options->origin.sender)->address.host[0] == '\0' ||
           network_listen(network, &links->listener, on_connection, problem);
}
