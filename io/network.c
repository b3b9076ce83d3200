#include "io/network_transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"

/* ---- The face ---- */

struct packet_list network_receive(struct network *n) { return n->operations->receive(n); }

void network_send(struct network *n, const struct packet *frames, size_t count)
{
    if (count > 0)
        n->operations->send(n, frames, count);
}

struct network_statistics network_statistics(const struct network *n) { return n->statistics; }

uint16_t network_port(const struct network *n) { return n->operations->port(n); }

void network_close(struct network *n, void (*on_closed)(void *context), void *context)
{
    n->operations->close(n, on_closed, context);
}

/* ---- What arrived ---- */

void inbox_add(struct inbox *in, uint32_t sender, const uint64_t *body, uint32_t len)
{
    struct box *box = &in->boxes[in->filling];
    size_t words = words_for(len);
    box->packets = memory_reserve(box->packets, &box->packets_capacity, box->count + 1, sizeof *box->packets);
    box->offsets = memory_reserve(box->offsets, &box->offsets_capacity, box->count + 1, sizeof *box->offsets);
    box->words = memory_reserve(box->words, &box->words_capacity, box->words_used + words, sizeof *box->words);
    memcpy(box->words + box->words_used, body, words * sizeof *body);
    box->packets[box->count] = (struct packet){.id = sender, .len = len, .words = {NULL, words}};
    box->offsets[box->count++] = box->words_used;
    box->words_used += words;
}

static void box_empty(struct box *box)
{
    box->count = 0;
    box->words_used = 0;
    if (box->words_capacity * sizeof(uint64_t) <= KEPT_BYTES_MAX)
        return;
    free(box->words);
    box->words = NULL;
    box->words_capacity = 0;
}

struct packet_list inbox_take(struct inbox *in)
{
    struct box *full = &in->boxes[in->filling];
    box_empty(&in->boxes[1 - in->filling]); /* what the last call handed out is over now */
    if (full->count == 0)
        return (struct packet_list){NULL, 0};
    for (size_t i = 0; i < full->count; i++)
        full->packets[i].words.ptr = full->words + full->offsets[i];
    in->filling = 1 - in->filling;
    return (struct packet_list){full->packets, full->count};
}

size_t inbox_bytes(const struct inbox *in) { return in->boxes[in->filling].words_used * sizeof(uint64_t); }

void inbox_free(struct inbox *in)
{
    for (size_t i = 0; i < 2; i++) {
        free(in->boxes[i].packets);
        free(in->boxes[i].offsets);
        free(in->boxes[i].words);
    }
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
