/* The client port: from commands of all connections to batches, and from answers to replies.
 *
 *   connections --turns--> open batch --full--> ready batches --receive--> in flight --reply--> connections
 *
 * A command is copied once, into the batch being gathered. Beside it the batch notes where its reply goes. Few commands are
 * gathered ahead of the node; the others wait where they were read (client_turns.c). A batch is full at batch_size commands
 * or batch_bytes bytes. Otherwise it ends when the node asks for it. So batches are large under load, and quick when there
 * is little. A token names a place in the table of batches in flight, and a serial number by which an answer that comes
 * twice is recognized. */
#include "io/client_server.h"

#include <netdb.h>
#include <netinet/in.h>

#include "core/base/memory.h"
#include "io/client_internal.h"

enum { BACKLOG = 1024, SPARES_MAX = 64, SPARE_WORDS_MAX = 128 * 1024, PATIENCE_MS = 1000, ARGS_MAX = 1024 * 1024 };
enum { SKIP_MAX = 512 * 1024 * 1024, ACCEPT_LOG_MS = 1000 };

/* ---- Batches ---- */

static struct client_gather *gather_new(struct client_server *s)
{
    struct client_gather *g = s->spare;
    if (g != NULL) {
        s->spare = g->next;
        s->spare_count--;
    } else {
        g = memory_new(1, sizeof *g);
    }
    g->next = NULL;
    g->count = 0;
    batch_begin(&g->builder);
    return g;
}

static void gather_free(struct client_gather *g)
{
    batch_builder_free(&g->builder);
    free(g->origins);
    free(g);
}

static void gather_release(struct client_server *s, struct client_gather *g)
{
    if (s->spare_count == SPARES_MAX || g->builder.capacity > SPARE_WORDS_MAX) {
        gather_free(g);
        return;
    }
    g->next = s->spare;
    s->spare = g;
    s->spare_count++;
}

/* Closes the batch being gathered, which is full. */
static void seal(struct client_server *s)
{
    *s->ready_end = s->open;
    s->ready_end = &s->open->next;
    s->open = NULL;
}

/* The oldest batch that has not been received; NULL when there is none. */
static struct client_gather *take_ready(struct client_server *s)
{
    if (s->ready == NULL && s->open != NULL)
        seal(s);
    struct client_gather *g = s->ready;
    if (g != NULL) {
        s->ready = g->next;
        if (s->ready == NULL)
            s->ready_end = &s->ready;
        g->next = NULL;
        s->gathered_count -= g->count;
        s->gathered_bytes -= g->builder.len;
    }
    return g;
}

/* Removes from a batch the commands of clients that have gone. */
static void drop_gone(struct client_server *s, struct client_gather *g)
{
    struct batch_builder kept = {0};
    struct payload value = batch_end(&g->builder);
    uint32_t count = 0;
    invariant(batch_commands_read(&s->unpacked, &value) && s->unpacked.count == g->count);
    batch_begin(&kept);
    for (uint32_t i = 0; i < g->count; i++) {
        const struct client_origin *o = &g->origins[i];
        if (client_connection_find(s, o->connection, o->generation) == NULL) {
            client_turns_answered(s, NULL, o);
            continue;
        }
        batch_add(&kept, s->unpacked.commands[i].args.ptr, s->unpacked.commands[i].args.len);
        g->origins[count++] = *o;
    }
    batch_builder_free(&g->builder);
    g->builder = kept;
    g->count = count;
}

/* The oldest batch that the node has not received, without commands of clients that have gone. NULL when there is none. */
static struct client_gather *take_wanted(struct client_server *s)
{
    struct client_gather *g;
    while ((g = take_ready(s)) != NULL) {
        if (s->has_gone)
            drop_gone(s, g);
        if (g->count > 0)
            break;
        gather_release(s, g);
    }
    if (!client_server_waiting(s))
        s->has_gone = false; /* none of their commands are left */
    return g;
}

static void add_command(struct client_connection *c, const struct resp_request *request, uint32_t command)
{
    struct client_server *s = c->server;
    const struct config *config = s->options.config;
    if (s->open != NULL && s->open->builder.len + request->size > config->batch_bytes)
        seal(s);
    if (s->open == NULL) {
        s->open = gather_new(s);
        s->gathered_bytes += s->open->builder.len;
    }
    struct client_gather *g = s->open;
    size_t before = g->builder.len;
    batch_add(&g->builder, request->args, request->argc);
    g->origins = memory_reserve(g->origins, &g->origins_capacity, (size_t)g->count + 1, sizeof *g->origins);
    struct client_origin *o = &g->origins[g->count++];
    *o = (struct client_origin){.connection = c->index,
                                .generation = c->generation,
                                .position = client_connection_expect(c),
                                .bytes = (uint32_t)request->size + CLIENT_REQUEST_OVERHEAD,
                                .charge = c->charge,
                                .budget = (uint8_t)client_turns_budget(c->kind),
                                .command = command};
    client_turns_gathered(c, o);
    s->gathered_count++;
    s->gathered_bytes += g->builder.len - before;
    s->statistics.commands++;
    if (g->count >= config->batch_size || g->builder.len >= config->batch_bytes)
        seal(s);
}

static bool refuses_for_room(const struct client_server *s) { return s->no_room && s->leader == s->options.node; }

bool client_server_takes(const struct client_server *s)
{
    bool for_node = s->leader == s->options.node || (s->leader != 0 && s->forwards);
    return for_node && !refuses_for_room(s);
}

enum client_may client_server_command(struct client_connection *c, const struct resp_request *request, size_t behind)
{
    struct client_server *s = c->server;
    if (client_server_takes(s)) {
        uint32_t command = client_commands_index(s, &request->args[0]);
        enum client_may may = client_turns_may(c, command, behind);
        if (may != MAY_GO)
            return may;
        add_command(c, request, command);
        c->charge = 0;
        return MAY_GO;
    }
    uint32_t position = client_connection_expect(c);
    struct resp_buffer *out = client_connection_reply(c, position);
    if (refuses_for_room(s))
        client_no_room(out);
    else
        client_moved(s, request->args, request->argc, s->leader, out);
    client_connection_replied(c, position);
    s->statistics.errors++;
    return MAY_GO;
}

bool client_server_waiting(const struct client_server *s) { return s->ready != NULL || s->open != NULL; }

/* ---- Batches in flight ---- */

static uint64_t put_in_flight(struct client_server *s, struct client_gather *g)
{
    if (s->free_place_count == 0) {
        size_t old = s->in_flight_capacity, capacity = old;
        s->in_flight = memory_reserve(s->in_flight, &capacity, old + 1, sizeof *s->in_flight);
        s->free_places = realloc(s->free_places, capacity * sizeof *s->free_places);
        invariant(s->free_places != NULL);
        s->in_flight_capacity = capacity;
        for (size_t i = capacity; i > old; i--) {
            s->in_flight[i - 1] = NULL;
            s->free_places[s->free_place_count++] = (uint32_t)(i - 1);
        }
    }
    uint32_t place = s->free_places[--s->free_place_count];
    s->in_flight[place] = g;
    g->token = (uint64_t)++s->serial << 32 | place;
    return g->token;
}

static struct client_gather *take_in_flight(struct client_server *s, uint64_t token)
{
    uint32_t place = (uint32_t)token;
    if (place >= s->in_flight_capacity || s->in_flight[place] == NULL || s->in_flight[place]->token != token)
        return NULL;
    struct client_gather *g = s->in_flight[place];
    s->in_flight[place] = NULL;
    s->free_places[s->free_place_count++] = place;
    return g;
}

struct packet_list client_server_receive(struct client_server *s, uint64_t credit)
{
    size_t count = 0;
    for (; count < credit; s->statistics.batches++) {
        client_turns_run(s);
        struct client_gather *g = take_wanted(s);
        if (g == NULL)
            break;
        struct payload value = batch_end(&g->builder);
        s->packets = memory_reserve(s->packets, &s->packets_capacity, count + 1, sizeof *s->packets);
        s->packets[count++] =
            (struct packet){.id = put_in_flight(s, g), .kind = g->count, .len = value.len, .words = value.words};
    }
    return (struct packet_list){.ptr = s->packets, .len = count};
}

/* ---- Answers ---- */

static void reply_unknown(struct resp_buffer *out) { resp_error_text(out, "UNKNOWN outcome"); }

/* How the commands of one batch are answered. */
struct verdict {
    uint8_t outcome;
    uint32_t leader;
    struct payload replies;
    size_t offset; /* of the next reply */
};

/* Encodes the reply to command number `index`. It must be called for each in turn, even if its client has gone. */
static void encode_reply(struct client_server *s, struct verdict *v, uint32_t index, int version, struct resp_buffer *out)
{
    switch (v->outcome) {
    case OUTCOME_EXECUTED:
        if (!resp_reply(out, version, &v->replies, &v->offset))
            reply_unknown(out);
        return;
    case OUTCOME_MOVED: {
        bool known = index < s->unpacked.count;
        const struct command *command = known ? &s->unpacked.commands[index] : NULL;
        client_moved(s, known ? command->args.ptr : NULL, known ? command->args.len : 0, v->leader, out);
        return;
    }
    case OUTCOME_BUSY:
        resp_error_text(out, REPLY_BUSY "too many requests are waiting, try again later");
        return;
    default:
        reply_unknown(out);
        return;
    }
}

/* Notes how large the reply was. A command that was not executed because its reply had no room asks for much, however short
 * its error is. */
static void learn_size(struct client_server *s, struct client_connection *c, uint32_t command, const struct bytes *reply)
{
    static const char refused[] = "-" REPLY_BUSY;
    const size_t len = sizeof refused - 1;
    const bool is_refused = reply->len > len && memcmp(reply->ptr, refused, len) == 0;
    client_turns_learn(s, c, command, is_refused ? CLIENT_ASKED_MAX : reply->len);
}

/* The reply to one command of a batch. */
static void answer_one(struct client_server *s, const struct client_origin *o, struct verdict *v, uint32_t index)
{
    struct client_connection *c = client_connection_find(s, o->connection, o->generation);
    client_turns_answered(s, c, o);
    s->scratch.len = 0;
    struct resp_buffer *out = c != NULL ? client_connection_reply(c, o->position) : &s->scratch;
    size_t before = out->len;
    encode_reply(s, v, index, c != NULL ? c->version : 2, out);
    if (v->outcome == OUTCOME_EXECUTED)
        learn_size(s, c, o->command, &(struct bytes){out->data + before, out->len - before});
    if (c == NULL)
        return;
    client_connection_replied(c, o->position);
    client_connection_touch(c);
}

static void answer(struct client_server *s, struct client_gather *g, struct verdict *v)
{
    if (v->outcome == OUTCOME_MOVED) {
        struct payload value = batch_end(&g->builder);
        if (!batch_commands_read(&s->unpacked, &value))
            s->unpacked.count = 0;
    }
    if (v->outcome == OUTCOME_EXECUTED && replies_count(&v->replies) != g->count) {
        logger_log(s->options.logger, LOG_ERROR, "clients", "a batch of %u commands was answered with %u replies", g->count,
                   replies_count(&v->replies));
        v->outcome = OUTCOME_UNKNOWN;
    }
    for (uint32_t i = 0; i < g->count; i++)
        answer_one(s, &g->origins[i], v, i);
    if (v->outcome != OUTCOME_EXECUTED)
        s->statistics.errors += g->count;
    gather_release(s, g);
}

void client_server_reply(struct client_server *s, const struct packet *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct packet *p = &answers[i];
        struct client_gather *g = take_in_flight(s, p->id);
        if (g == NULL) {
            logger_log(s->options.logger, LOG_WARNING, "clients", "an answer to no batch (token %llu) is ignored",
                       (unsigned long long)p->id);
            continue;
        }
        struct verdict v = {
            .outcome = (uint8_t)p->kind, .leader = p->kind >> 8, .replies = {.words = p->words, .len = p->len}};
        answer(s, g, &v);
    }
    client_connection_flush_all(s);
}

static void give_up_in_flight(struct client_server *s)
{
    for (size_t i = 0; i < s->in_flight_capacity; i++)
        if (s->in_flight[i] != NULL)
            answer(s, take_in_flight(s, s->in_flight[i]->token), &(struct verdict){.outcome = OUTCOME_UNKNOWN});
}

void client_server_lost(struct client_server *s)
{
    give_up_in_flight(s);
    client_connection_flush_all(s);
}

void client_server_leader(struct client_server *s, uint64_t node, uint64_t round)
{
    (void)round;
    s->leader = node <= NODE_ID_MAX ? (uint32_t)node : 0;
    if (s->leader == s->options.node || (s->leader != 0 && s->forwards))
        return;
    /* The node has not seen these yet: another life of it may still get them. */
    while (client_server_waiting(s))
        answer(s, take_ready(s), &(struct verdict){.outcome = OUTCOME_MOVED, .leader = s->leader});
    client_connection_flush_all(s);
}

void client_server_room(struct client_server *s, bool room)
{
    s->no_room = !room;
    client_turns_go_on(s);
}

struct client_server_statistics client_server_statistics(const struct client_server *s) { return s->statistics; }
uint16_t client_server_port(const struct client_server *s) { return s->port; }

/* ---- Opening ---- */

static void on_connection(uv_stream_t *listener, int status)
{
    struct client_server *s = listener->data;
    uint64_t now = uv_now(s->loop);
    if (status == 0 && !s->closing) {
        client_connection_accept(s, listener);
    } else if (status != 0 && (s->logged_ms == 0 || now - s->logged_ms >= ACCEPT_LOG_MS)) {
        s->logged_ms = now;
        logger_log(s->options.logger, LOG_WARNING, "clients", "connections cannot be accepted: %s", uv_strerror(status));
    }
}

static void on_handle_closed(uv_handle_t *handle) { client_server_handle_closed(handle->data); }

/* Where the system chose a port, further addresses of the same name take the same one. */
static int listen_on(struct client_server *s, struct sockaddr *address)
{
    uint16_t *port = address->sa_family == AF_INET6 ? &((struct sockaddr_in6 *)address)->sin6_port
                                                    : &((struct sockaddr_in *)address)->sin_port;
    *port = htons(s->port);
    uv_tcp_t *listener = &s->listeners[s->listener_count];
    int failed = uv_tcp_init(s->loop, listener);
    if (failed != 0)
        return failed;
    listener->data = s;
    s->listener_count++;
    s->handles++;
    failed = uv_tcp_bind(listener, address, address->sa_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);
    if (failed == 0)
        failed = uv_listen((uv_stream_t *)listener, BACKLOG, on_connection);
    struct sockaddr_storage bound;
    int len = sizeof bound;
    if (failed == 0)
        failed = uv_tcp_getsockname(listener, (struct sockaddr *)&bound, &len);
    if (failed == 0)
        s->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                    : ((struct sockaddr_in *)&bound)->sin_port);
    return failed;
}

static bool same_host(const struct sockaddr *a, const struct sockaddr *b)
{
    if (a->sa_family != b->sa_family)
        return false;
    if (a->sa_family == AF_INET6)
        return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr, &((const struct sockaddr_in6 *)b)->sin6_addr,
                      sizeof(struct in6_addr)) == 0;
    return ((const struct sockaddr_in *)a)->sin_addr.s_addr == ((const struct sockaddr_in *)b)->sin_addr.s_addr;
}

/* True when the lookup gave this address before: some systems give 127.0.0.1 twice for localhost. */
static bool listed_before(const struct addrinfo *list, const struct addrinfo *a)
{
    for (; list != a; list = list->ai_next)
        if (same_host(list->ai_addr, a->ai_addr))
            return true;
    return false;
}

/* Listens on every address of the name. An address that this machine does not have is no error as long as another one works.
 * A port in use is always an error. */
static bool listen_all(struct client_server *s, const struct endpoint *at, struct problem *problem)
{
    char place[512];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    uv_getaddrinfo_t lookup;
    config_place(s->options.config, s->options.node, at, place, sizeof place);
    int failed = uv_getaddrinfo(s->loop, &lookup, NULL, at->host, NULL, &hints);
    if (failed != 0)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: client address %s cannot be resolved: %s", place, at->host,
                           uv_strerror(failed));
    size_t listening = 0;
    int error = UV_EADDRNOTAVAIL;
    for (struct addrinfo *a = lookup.addrinfo; a != NULL && s->listener_count < CLIENT_LISTENERS_MAX; a = a->ai_next) {
        if (listed_before(lookup.addrinfo, a))
            continue;
        failed = listen_on(s, a->ai_addr);
        listening += failed == 0 ? 1 : 0;
        error = failed != 0 ? failed : error;
        if (failed == UV_EADDRINUSE)
            break;
    }
    uv_freeaddrinfo(lookup.addrinfo);
    if (listening > 0 && failed != UV_EADDRINUSE)
        return true;
    return problem_set(problem, EXIT_BAD_INPUT, "%s: cannot listen for clients on %s port %u: %s", place, at->host, at->port,
                       error == UV_EADDRINUSE ? "the port is in use" : uv_strerror(error));
}

static void init_timers(struct client_server *s)
{
    uv_timer_t *const timers[] = {&s->patience, &s->turns, &s->unsure, &s->watch};
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
    s->loop = loop;
    s->port = node->client.port;
    s->ready_end = &s->ready;
    s->forwards = config->node_config.forward && node_set_has(config->node_config.proposers, options->node);
    s->limits = (struct resp_limits){.args_max = ARGS_MAX, .bytes_max = config->command_bytes_max, .skip_max = SKIP_MAX};
    client_commands_init(s);
    s->estimates = memory_new(COMMAND_TABLE_MAX + 1, sizeof *s->estimates);
    init_timers(s);
    if (!listen_all(s, &node->client, problem)) {
        client_server_close(s, NULL, NULL);
        return false;
    }
    *out = s;
    return true;
}

/* ---- Closing ---- */

static void server_free(struct client_server *s)
{
    while (client_server_waiting(s))
        gather_free(take_ready(s));
    while (s->spare != NULL) {
        struct client_gather *next = s->spare->next;
        gather_free(s->spare);
        s->spare = next;
    }
    for (size_t i = 0; i < s->in_flight_capacity; i++)
        if (s->in_flight[i] != NULL)
            gather_free(s->in_flight[i]);
    free(s->in_flight);
    free(s->free_places);
    free(s->packets);
    free(s->connections);
    free(s->free_indices);
    free(s->dirty);
    free(s->estimates);
    resp_request_close(&s->request);
    resp_buffer_close(&s->scratch);
    batch_commands_free(&s->unpacked);
    free(s);
}

/* Closes a timer, unless there are connections to wait for. */
static void close_timer_if_idle(struct client_server *s)
{
    if (s->closing && s->statistics.connections == 0 && !uv_is_closing((uv_handle_t *)&s->patience))
        uv_close((uv_handle_t *)&s->patience, on_handle_closed);
}

void client_server_handle_closed(struct client_server *s)
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

/* Clients have had enough time to take their last replies. */
static void on_patience_over(uv_timer_t *timer)
{
    struct client_server *s = timer->data;
    for (size_t i = 0; i < s->connections_capacity; i++)
        if (s->connections[i] != NULL)
            client_connection_close(s->connections[i]);
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
    uv_close((uv_handle_t *)&s->watch, on_handle_closed);
    while (client_server_waiting(s))
        answer(s, take_ready(s), &(struct verdict){.outcome = OUTCOME_UNKNOWN});
    give_up_in_flight(s);
    client_connection_flush_all(s);
    for (size_t i = 0; i < s->connections_capacity; i++)
        if (s->connections[i] != NULL)
            client_connection_finish(s->connections[i]);
    close_timer_if_idle(s);
    uv_ref((uv_handle_t *)&s->patience);
    if (s->statistics.connections > 0)
        uv_timer_start(&s->patience, on_patience_over, PATIENCE_MS, 0);
}
