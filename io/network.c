#include "io/network_transport.h"

#include <stdio.h>
#include <string.h>

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
    n->operations->reborn(n);
}

struct network_statistics network_statistics(const struct network *n) { return n->statistics; }

uint16_t network_port(const struct network *n) { return n->operations->port(n); }

void network_close(struct network *n, void (*on_closed)(void *context), void *context)
{
    n->operations->close(n, on_closed, context);
}

/* ---- What transports share ---- */

void network_init(struct network *n, const struct network_operations *operations, const struct network_options *options)
{
    n->operations = operations;
    n->options = *options;
    for (size_t i = 0; i < options->config->node_count; i++)
        if (options->config->nodes[i].id != options->origin.sender)
            n->members |= node_set_of(options->config->nodes[i].id);
}

bool network_admit(struct network *n, const struct frame_origin *origin, char *why, size_t size)
{
    uint32_t sender = origin->sender;
    if (!node_set_has(n->members, sender)) {
        snprintf(why, size, "it says that it is node %u, %s", sender,
                 sender == n->options.origin.sender ? "which is this one" : "which is not in the configuration");
        return false;
    }
    if (origin->incarnation < n->incarnations[sender]) {
        snprintf(why, size, "an earlier life of node %u (incarnation %u, %u was heard already)", sender, origin->incarnation,
                 n->incarnations[sender]);
        return false;
    }
    if (!n->options.accept_peer(n->options.context, sender, origin->instance)) {
        snprintf(why, size, "node %u has another data folder (instance id) than the one known here", sender);
        return false;
    }
    if (n->incarnations[sender] != 0 && origin->incarnation > n->incarnations[sender])
        inbox_add_rebirth(&n->inbox, sender);
    n->incarnations[sender] = origin->incarnation;
    return true;
}

bool network_same_origin(const struct frame_origin *a, const struct frame_origin *b)
{
    return a->sender == b->sender && a->incarnation == b->incarnation &&
           memcmp(a->instance, b->instance, sizeof a->instance) == 0;
}

bool network_too_long(struct network *n, const struct packet *frame)
{
    if (frame->len <= n->options.config->frame_bytes_max)
        return false;
    logger_log(n->options.logger, LOG_ERROR, "network", "a message of %u bytes is not sent: frame_bytes_max is %u", frame->len,
               n->options.config->frame_bytes_max);
    n->statistics.dropped++;
    return true;
}

void network_place(const struct network *n, char *out, size_t size)
{
    const struct config_node *self = config_find(n->options.config, n->options.origin.sender);
    config_place(n->options.config, self->id, &self->address, out, size);
}
