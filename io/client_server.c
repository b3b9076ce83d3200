/* The client port: opening, what the node asks and tells, closing.
 *
 * Each file of the port calls those before it in the list of client_internal.h; what it needs of later ones is in
 * `upcalls`. */
#include "io/client_server.h"

#include "core/base/memory.h"
#include "core/runners/ports.h"
#include "io/client_internal.h"

enum { CHANNELS = 1024, TRACKED_KEYS = 64 * 1024, PATIENCE_MS = 1000, ARGS_MAX = 1024 * 1024, SKIP_MAX = 512 * 1024 * 1024 };

/* ---- Batches and answers ---- */

/* Writes what is ready on all connections that have got replies, closes those that are done, and takes requests that may go
 * on. */
static void flush_all(struct client_server *s)
{
    struct client_connection *c;
    for (size_t at = 0; (c = client_replies_next(s, &at)) != NULL;) {
        c->dirty = false;
        client_output_flush(c);
        client_input_update(c);
    }
    s->dirty_count = 0;
    client_input_go_on(s);
}

/* Whether reads that the leader confirms are for the node. A new life that knows no leader yet takes only those that may be
 * stale. It would refuse the others, which can wait for it as commands do. */
static bool may_be_confirmed(const struct client_server *s, struct credit credit)
{
    return s->leader_said || credit.commands > 0;
}

bool client_server_waiting(const struct client_server *s, struct credit credit)
{
    const bool reads =
        (may_be_confirmed(s, credit) && client_batches_waiting(s, KIND_READS)) || client_batches_waiting(s, KIND_STALE);
    return s->requests != NULL || client_pubsub_wants(s) ||
           (credit.commands > 0 && client_batches_waiting(s, KIND_LOGGED)) || (credit.reads > 0 && reads);
}

/* Adds batches of one kind to the `count` packets; returns how many there are then. */
static size_t receive(struct client_server *s, enum client_kind kind, uint32_t credit, size_t count)
{
    for (const size_t end = count + credit; count < end; count++) {
        client_input_give_turns(s);
        s->packets = memory_reserve(s->packets, &s->packets_capacity, count + 1, sizeof *s->packets);
        if (!client_batches_next(s, kind, &s->packets[count]))
            break;
    }
    return count;
}

struct packet_list client_server_receive(struct client_server *s, struct credit credit)
{
    size_t count = 0;
    s->packets = memory_reserve(s->packets, &s->packets_capacity, 2 + CLIENT_REQUESTS_MAX, sizeof *s->packets);
    while (client_batches_next_request(s, &s->packets[count]))
        count++;
    count = receive(s, KIND_LOGGED, credit.commands, count);
    const size_t logged = count;
    count = receive(s, KIND_STALE, credit.reads, count); /* those are answered at once */
    if (may_be_confirmed(s, credit))
        count = receive(s, KIND_READS, credit.reads - (uint32_t)(count - logged), count);
    s->packets = memory_reserve(s->packets, &s->packets_capacity, count + 1, sizeof *s->packets);
    count += client_pubsub_next(s, &s->packets[count]); /* last: turns may have brought subscriptions */
    return (struct packet_list){.ptr = s->packets, .len = count};
}

void client_server_reply(struct client_server *s, const struct packet *answers, size_t count)
{
    uint64_t slot = 0; /* of what is answered next */
    for (size_t i = 0; i < count; i++) {
        if (answers[i].kind == CLIENT_NOTICES)
            client_pubsub_notices(s, &(struct payload){.words = answers[i].words, .len = answers[i].len});
        else if (answers[i].kind != CLIENT_SLOT)
            client_batches_answer(s, &answers[i], slot);
        slot = answers[i].kind == CLIENT_SLOT ? answers[i].id : 0;
    }
    flush_all(s);
}

void client_server_lost(struct client_server *s)
{
    s->leader_said = false;
    client_batches_lose_in_flight(s);
    client_pubsub_lost(s, "the node begins another life, and may not tell all messages that it is subscribed to");
    s->watch_told = 0; /* the next life was told nothing */
    flush_all(s);
}

void client_server_leader(struct client_server *s, uint64_t node, uint64_t round)
{
    (void)round;
    s->leader = node <= NODE_ID_MAX ? (uint32_t)node : 0;
    s->led = s->leader != 0 ? s->leader : s->led;
    s->leader_said = true;
    if (s->leader == s->options.node || (s->leader != 0 && s->forwards))
        return;
    /* The node has not seen these yet: another life of it may still get them. */
    client_batches_give_up_waiting(s, OUTCOME_MOVED);
    flush_all(s);
}

void client_server_room(struct client_server *s, bool room)
{
    s->no_room = !room;
    client_input_go_on(s);
}

struct client_server_statistics client_server_statistics(const struct client_server *s) { return s->statistics; }
uint16_t client_server_port(const struct client_server *s) { return s->port; }

/* ---- Closing ---- */

static void server_free(struct client_server *s)
{
    client_batches_close(s);
    client_transactions_close(s);
    client_channels_close(&s->channels);
    client_channels_close(&s->tracked);
    transaction_free(&s->tracked_transaction);
    slots_close(&s->connections);
    free(s->packets);
    free(s->dirty);
    free(s->estimates);
    resp_request_close(&s->request);
    resp_buffer_close(&s->scratch);
    resp_buffer_close(&s->late);
    resp_buffer_close(&s->told_key);
    free(s);
}

static void on_handle_closed(uv_handle_t *handle);

/* Closes a timer, unless there are connections to wait for. */
static void close_timer_if_idle(struct client_server *s)
{
    if (s->closing && s->statistics.connections == 0 && !uv_is_closing((uv_handle_t *)&s->patience))
        uv_close((uv_handle_t *)&s->patience, on_handle_closed);
}

/* If the server is closing, the last handle frees it. */
static void handle_closed(struct client_server *s)
{
    s->handles--;
    close_timer_if_idle(s);
    if (!s->closing || s->handles > 0)
        return;
    void (*on_closed)(void *context) = s->on_closed;
    void *context = s->closed_context;
    server_free(s);
    if (on_closed != NULL)
        on_closed(context);
}

static void on_handle_closed(uv_handle_t *handle) { handle_closed(handle->data); }

/* Clients have had enough time to take their last replies. */
static void on_patience_over(uv_timer_t *timer)
{
    struct client_server *s = timer->data;
    struct client_connection *c;
    for (size_t at = 0; (c = slots_next(&s->connections, &at)) != NULL;)
        client_connection_close(c);
}

void client_server_close(struct client_server *s, void (*on_closed)(void *context), void *context)
{
    s->closing = true;
    s->on_closed = on_closed;
    s->closed_context = context;
    for (size_t i = 0; i < s->listener_count; i++)
        uv_close((uv_handle_t *)&s->listeners[i], on_handle_closed);
    uv_close((uv_handle_t *)&s->turns, on_handle_closed);
    uv_close((uv_handle_t *)&s->unsure, on_handle_closed);
    uv_close((uv_handle_t *)&s->pause, on_handle_closed);
    uv_close((uv_handle_t *)&s->waits, on_handle_closed);
    uv_close((uv_handle_t *)&s->watch, on_handle_closed);
    client_batches_give_up_waiting(s, OUTCOME_UNKNOWN);
    client_batches_give_up_requests(s);
    client_batches_lose_in_flight(s);
    client_wait_close(s);
    flush_all(s);
    struct client_connection *c;
    for (size_t at = 0; (c = slots_next(&s->connections, &at)) != NULL;) {
        client_connection_finish(c);
        client_input_update(c);
    }
    close_timer_if_idle(s);
    uv_ref((uv_handle_t *)&s->patience);
    if (s->statistics.connections > 0)
        uv_timer_start(&s->patience, on_patience_over, PATIENCE_MS, 0);
}

/* ---- Opening ---- */

/* A client has taken replies. */
static void taken(struct client_connection *c)
{
    client_input_update(c);
    client_input_go_on(c->server);
}

/* A key, or any (NULL), may have changed. */
static void changed(struct client_server *s, const struct bytes *key)
{
    if (key != NULL)
        client_tracking_changed(s, key);
    else
        client_tracking_changed_all(s);
}

static void goes(struct client_connection *c)
{
    client_late_close(c);
    client_tracking_end(c);
}

static const struct client_upcalls upcalls = {taken,
                                              client_input_go_on,
                                              changed,
                                              client_events_told,
                                              client_events_wanted,
                                              client_tracking_limit,
                                              client_tracking_told,
                                              client_tracking_gathered,
                                              client_tracking_answered,
                                              goes,
                                              client_commands_answer_own,
                                              client_wait_prepare,
                                              client_wait_heard,
                                              handle_closed};

static void init_timers(struct client_server *s)
{
    uv_timer_t *const timers[] = {&s->patience, &s->turns, &s->unsure, &s->pause, &s->waits, &s->watch};
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++) {
        uv_timer_init(s->loop, timers[i]);
        uv_unref((uv_handle_t *)timers[i]);
        timers[i]->data = s;
        s->handles++;
    }
}

bool client_server_open(struct client_server **out, uv_loop_t *loop, const struct client_server_options *options,
                        struct problem *problem)
{
    *out = NULL;
    const struct config *config = options->config;
    const struct config_node *node = config_find(config, options->node);
    if (node == NULL || node->client.host[0] == 0)
        return problem_set(problem, EXIT_BAD_INPUT, "node %u has no client address in the configuration", options->node);
    struct client_server *s = memory_new(1, sizeof *s);
    s->options = *options;
    s->upcalls = &upcalls;
    s->loop = loop;
    s->port = node->client.port;
    s->opened_ms = s->sampled_ms = uv_now(loop);
    roster_of_file(&s->members, config);
    for (enum client_kind kind = 0; kind < CLIENT_KINDS; kind++)
        s->gathered[kind].ready_end = &s->gathered[kind].ready;
    s->channels.key = s->tracked.key = (struct siphash_key){options->seed.low, options->seed.high};
    s->channels.bytes_max = config->client_bytes_all_max / 4;
    s->channels.bucket_count = CHANNELS;
    s->tracked.bytes_max = config->client_bytes_all_max / 4;
    s->tracked.bucket_count = TRACKED_KEYS;
    s->forwards = config->node_config.forward && node_set_has(config->node_config.proposers, options->node);
    s->limits = (struct resp_limits){.args_max = ARGS_MAX, .bytes_max = config->command_bytes_max, .skip_max = SKIP_MAX};
    client_commands_init(s);
    s->estimates = memory_new(COMMAND_TABLE_MAX + 1, sizeof *s->estimates);
    init_timers(s);
    if (!client_listen(s, &node->client, problem)) {
        client_server_close(s, NULL, NULL);
        return false;
    }
    *out = s;
    return true;
}
