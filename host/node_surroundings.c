/* What a life in the sandbox asks of its host (host/node_life.h).
 *
 * A node whose network is in the sandbox has the thread: it waits in there, for its sockets and for `loop_fd`, and calls
 * `loop_run` once between two turns. That is where the host's loop goes on, and it must not call back into the life. So the
 * host does in between what it otherwise does around a turn: hands what was appended to the journal's thread, lets
 * completions and requests come in. What ends the life is only noted, and it is interrupted. */
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
        *packet = config_packet_encode(&now);
    }
    return (struct packet_list){packet, 1};
}

static const struct frame_origin *origin(struct surroundings *s) { return &host_of(s)->origin; }

static enum peer_verdict accept_peer(struct surroundings *s, const struct frame_origin *peer)
{
    return surroundings_accept_peer(host_of(s), peer);
}

/* Asked by networks, here and in the sandbox. Where the life has the data folder, it is asked; while there is none,
 * everybody has to come again. */
enum peer_verdict surroundings_accept_peer(void *node_host, const struct frame_origin *peer)
{
    struct node_host *h = node_host;
    if (h->folder != NULL)
        return data_folder_accept_peer(h->folder, peer);
    if (!host_network(h) || h->life == NULL || h->in_turn || h->failed || h->supervisor.broken)
        return PEER_UNKNOWN_WHY;
    h->in_turn = true;
    enum peer_verdict verdict = h->life->operations->accept_peer(h->life, peer);
    h->in_turn = false;
    return verdict;
}

static int loop_fd(struct surroundings *s) { return uv_backend_fd(&host_of(s)->loop); }

static uint64_t loop_run(struct surroundings *s)
{
    struct node_host *h = host_of(s);
    watch_expect(h->watch, true);
    host_after_turn(h);
    uv_run(&h->loop, UV_RUN_NOWAIT);
    if (h->failed || h->forced || h->hurried || h->ports.exit_code != EXIT_OK)
        host_interrupt(h);
    int timeout_ms = uv_backend_timeout(&h->loop);
    return timeout_ms < 0 ? UINT64_MAX : (uint64_t)timeout_ms * 1000;
}

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
