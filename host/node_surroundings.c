/* What a life in the sandbox asks of its host (host/node_life.h). */
#include <stdlib.h>
#include <string.h>

#include "host/node_host_internal.h"
#include "io/config_packet.h"

static struct node_host *host_of(struct surroundings *s)
{
    return (struct node_host *)((char *)s - offsetof(struct node_host, surroundings));
}

static struct packet_list settings(struct surroundings *s)
{
    struct node_host *h = host_of(s);
    struct packet *packet = &h->settings;
    if (packet->words.ptr == NULL) {
        struct node_settings now = {.config = *h->options.config, .node = h->self->id, .folder = ".", .exclusive = true};
        now.config.node_config = members_begin(h);
        *packet = config_packet_encode(&now);
    }
    h->told[0] = *packet;
    return (struct packet_list){h->told, 1 + members_told(h, h->told + 1)};
}

static const struct frame_origin *origin(struct surroundings *s) { return &host_of(s)->origin; }

static enum peer_verdict accept_peer(struct surroundings *s, const struct frame_origin *peer)
{
    return driver_accept_peer(host_of(s), peer);
}

static int loop_fd(struct surroundings *s) { return uv_backend_fd(&host_of(s)->loop); }

static uint64_t loop_run(struct surroundings *s) { return driver_come_round(host_of(s)); }

static uint64_t fault(struct surroundings *s, uint64_t part) { return faults_next(&host_of(s)->faults, part); }

static void refused(struct surroundings *s, const char *what)
{
    logger_log(host_of(s)->ports.logger, LOG_WARNING, "sandbox", "%s", what);
}

void surroundings_init(struct node_host *h)
{
    static const struct surroundings_operations operations = {
        .settings = settings,
        .origin = origin,
        .accept_peer = accept_peer,
        .loop_fd = loop_fd,
        .loop_run = loop_run,
        .fault = fault,
        .refused = refused,
    };
    h->surroundings.operations = &operations;
}

void surroundings_close(struct node_host *h) { free(h->settings.words.ptr); }
