/* The client port: from commands of all connections to batches, and from answers to replies.
 *
 *   connections --turns--> open batches --full--> ready batches --receive--> in flight --reply--> connections
 *
 * A command is copied once, into the batch being gathered. Beside it the batch notes where its reply goes. Few commands are
 * gathered ahead of the node; the others wait where they were read (client_turns.c). A batch is full at batch_size commands
 * or batch_bytes bytes. Otherwise it ends when the node asks for it. So batches are large under load, and quick when there
 * is little. A token names a place in the table of batches in flight, and a serial number by which an answer that comes
 * twice is recognized.
 *
 * Reads are gathered into batches of their own: they need no slot in the log (P9), and the node takes so many of them beside
 * what waits for disks. Requests of one connection keep their order: a read goes through the log while an earlier command of
 * its connection is there without an answer; and a command for the log waits while reads of its connection are without an
 * answer. */
#include "core/base/cursor.h"
#include "core/base/memory.h"
#include "core/runners/ports.h"
#include "io/client_internal.h"

enum { SPARES_MAX = 64, SPARE_WORDS_MAX = 128 * 1024, PUBLISH_STEPS = 64 * 1024 };

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
    g->is_request = g->is_reads = g->is_wait = g->is_stale = false;
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

/* Closes a batch being gathered. */
static void seal(struct client_gathered *all)
{
    if (all->open == NULL)
        return;
    *all->ready_end = all->open;
    all->ready_end = &all->open->next;
    all->open = NULL;
}

/* The oldest of these batches that has not been received; NULL when there is none. */
static struct client_gather *take_ready(struct client_gathered *all)
{
    if (all->ready == NULL)
        seal(all);
    struct client_gather *g = all->ready;
    if (g != NULL) {
        all->ready = g->next;
        if (all->ready == NULL)
            all->ready_end = &all->ready;
        g->next = NULL;
        all->commands -= g->count;
        all->bytes -= g->builder.len;
    }
    return g;
}

static bool any_waits(const struct client_server *s)
{
    bool any = false;
    for (enum client_kind kind = 0; kind < CLIENT_KINDS; kind++)
        any = any || client_batches_waiting(s, kind);
    return any;
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
        if (slots_find(&s->connections, o->connection) == NULL) {
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
static struct client_gather *take_wanted(struct client_server *s, enum client_kind kind)
{
    struct client_gather *g;
    while ((g = take_ready(&s->gathered[kind])) != NULL) {
        if (s->has_gone)
            drop_gone(s, g);
        if (g->count > 0)
            break;
        gather_release(s, g);
    }
    if (!any_waits(s))
        s->has_gone = false; /* none of their commands are left */
    return g;
}

static void add_origin(struct client_gather *g, const struct client_origin *o)
{
    g->origins = memory_reserve(g->origins, &g->origins_capacity, (size_t)g->count + 1, sizeof *g->origins);
    g->origins[g->count++] = *o;
}

/* How many connections of this node are subscribed to what the request publishes. */
static uint32_t receivers(struct client_server *s, const struct resp_request *request)
{
    uint64_t steps = PUBLISH_STEPS;
    const struct bytes_list args = {request->args, request->argc};
    if (!publication_is(&args))
        return 0;
    const struct publication p = publication_read(&args);
    const uint8_t kind = p.kind == PUBLICATION_OF_SHARD ? CHANNEL_OF_SHARD : CHANNEL_NAMED;
    if (p.kind != PUBLICATION && p.kind != PUBLICATION_OF_SHARD)
        return 0;
    const size_t count = client_channels_receivers(&s->channels, kind, p.channel, &steps);
    s->spent += PUBLISH_STEPS - steps;
    return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

/* Commands of a transaction that the port itself will answer wait for the reply at `position`. */
static void await_own(struct client_connection *c, uint32_t position)
{
    struct client_server *s = c->server;
    if (s->asked_own == NULL)
        return;
    c->own = *s->asked_own;
    c->own_position = position;
    *s->asked_own = (struct batch_builder){0};
}

void client_batches_end_own(struct client_connection *c)
{
    c->server->transaction_bytes -= c->own.len;
    batch_builder_free(&c->own);
    c->own = (struct batch_builder){0};
}

static void add_command(struct client_connection *c, const struct resp_request *request, uint32_t command)
{
    struct client_server *s = c->server;
    struct client_gathered *all = &s->gathered[c->as];
    const struct config *config = s->options.config;
    const bool is_stale = c->as == KIND_STALE;
    const bool fits = all->open == NULL || (all->open->builder.len + request->size <= config->batch_bytes &&
                                            (!is_stale || all->open->stale_ms == c->stale_ms));
    if (!fits)
        seal(all);
    if (all->open == NULL) {
        all->open = gather_new(s);
        all->open->is_reads = c->as != KIND_LOGGED;
        all->open->is_stale = is_stale;
        all->open->stale_ms = c->stale_ms;
        all->bytes += all->open->builder.len;
    }
    struct client_gather *g = all->open;
    size_t before = g->builder.len;
    batch_add(&g->builder, request->args, request->argc);
    const struct client_origin o = {.connection = c->token,
                                    .position = client_replies_expect(c),
                                    .bytes = (uint32_t)request->size + CLIENT_REQUEST_OVERHEAD,
                                    .charge = c->charge,
                                    .budget = (uint8_t)client_turns_budget(c->kind),
                                    .reads = g->is_reads,
                                    .command = command,
                                    .receivers = receivers(s, request)};
    add_origin(g, &o);
    await_own(c, o.position);
    client_turns_gathered(c, &o);
    if (c->tracker.on)
        s->upcalls->gathered(c, request, o.position);
    all->commands++;
    all->bytes += g->builder.len - before;
    s->statistics.commands++;
    if (g->count >= config->batch_size || g->builder.len >= config->batch_bytes)
        seal(all);
}

/* Whether the state machine has described the command as one that changes nothing. */
static bool only_reads(const struct client_server *s, uint32_t command)
{
    return command < s->machine_commands.len && s->machine_commands.ptr[command].read_only;
}

/* Whether this node answers a read by itself. To a client that knows clusters also one that has no key, such as SCAN: Redis
 * sends away by the slots of keys, so libraries do not expect -MOVED of a node that they ask for its keys. */
static bool reads_here(const struct client_connection *c, uint32_t command)
{
    const struct client_server *s = c->server;
    if (!only_reads(s, command))
        return false;
    const bool has_key = s->machine_commands.ptr[command].first_key != 0;
    return client_cluster_has_state(c) || client_cluster_takes_reads(c) ||
           (c->knows_clusters && !has_key && client_cluster_follows(s));
}

enum client_may client_batches_command(struct client_connection *c, uint32_t command, const struct resp_request *request,
                                       size_t behind)
{
    struct client_server *s = c->server;
    const bool may_be_stale = client_cluster_has_state(c);
    if (client_cluster_takes(c) || reads_here(c, command)) {
        const bool reads = only_reads(s, command) && c->reads == c->in_flight;
        const enum client_kind as = !reads ? KIND_LOGGED : may_be_stale ? KIND_STALE : KIND_READS;
        c->after_reads = !reads && c->reads > 0;
        if (c->after_reads)
            return MUST_WAIT_FOR_ROOM;
        enum client_may may = client_turns_may(c, command, as, behind);
        if (may != MAY_GO)
            return may;
        add_command(c, request, command);
        c->charge = 0;
        return MAY_GO;
    }
    uint32_t position = client_replies_expect(c);
    client_cluster_refuse(c, request->args, request->argc, client_replies_begin(c, position));
    client_replies_end(c, position);
    s->statistics.errors++;
    return MAY_GO;
}

/* ---- Operators' requests ---- */

/* Requests wait in a queue for the node. */
static void add_request(struct client_server *s, struct client_gather *g)
{
    struct client_gather **end = &s->requests;
    while (*end != NULL)
        end = &(*end)->next;
    *end = g;
}

bool client_batches_ask_held(struct client_server *s)
{
    static const char held[] = "HELD";
    const struct bytes word = {(uint8_t *)(uintptr_t)held, sizeof held - 1};
    if (s->waits_asked)
        return false;
    struct client_gather *g = gather_new(s);
    g->is_wait = s->waits_asked = true;
    batch_add(&g->builder, &word, 1);
    add_request(s, g);
    return true;
}

void client_batches_request(struct client_connection *c, const struct resp_request *request)
{
    struct client_server *s = c->server;
    if (s->request_count == CLIENT_REQUESTS_MAX) {
        client_replies_error(c, "ERR too many requests to this node are waiting");
        return;
    }
    if (!node_set_has(s->options.config->node_config.proposers, s->options.node)) {
        client_cluster_send_to_leader(c);
        return;
    }
    struct client_gather *g = gather_new(s);
    const struct client_origin o = {.connection = c->token,
                                    .position = client_replies_expect(c),
                                    .bytes = (uint32_t)request->size + CLIENT_REQUEST_OVERHEAD,
                                    .budget = TURNS_LIGHT};
    g->is_request = true;
    batch_add(&g->builder, request->args + 1, request->argc - 1);
    add_origin(g, &o);
    client_turns_gathered(c, &o);
    add_request(s, g);
    s->request_count++;
    s->statistics.commands++;
}

static struct client_gather *take_request(struct client_server *s)
{
    struct client_gather *g = s->requests;
    if (g != NULL)
        s->requests = g->next;
    return g;
}

bool client_batches_next_request(struct client_server *s, struct packet *request)
{
    struct client_gather *g = take_request(s);
    if (g == NULL)
        return false;
    const struct payload value = batch_end(&g->builder);
    g->token = slots_put(&s->in_flight, g);
    *request = (struct packet){.id = g->token, .kind = 0, .len = value.len, .words = value.words};
    return true;
}

/* ---- What the node takes ---- */

bool client_batches_waiting(const struct client_server *s, enum client_kind kind)
{
    return s->gathered[kind].ready != NULL || s->gathered[kind].open != NULL;
}

bool client_batches_next(struct client_server *s, enum client_kind kind, struct packet *batch)
{
    struct client_gather *g = take_wanted(s, kind);
    if (g == NULL)
        return false;
    struct payload value = batch_end(&g->builder);
    if (g->is_stale)
        batch_stale_stamp(&value, g->stale_ms);
    g->token = slots_put(&s->in_flight, g);
    if (!g->is_reads)
        batch_port_stamp(&value, slots_number(g->token));
    const uint32_t count = g->count | (g->is_reads ? CLIENT_READS : 0);
    *batch = (struct packet){.id = g->token, .kind = count, .len = value.len, .words = value.words};
    s->statistics.batches++;
    return true;
}

/* ---- What came of them ---- */

/* The batch on its way that has this number; NULL: there is none. */
static const struct client_gather *find_numbered(struct client_server *s, uint32_t number)
{
    const struct client_gather *g = slots_find(&s->in_flight, s->cause_batch);
    if (g != NULL && slots_number(g->token) == number)
        return g;
    for (size_t at = 0; (g = slots_next(&s->in_flight, &at)) != NULL;)
        if (slots_number(g->token) == number) {
            s->cause_batch = g->token;
            return g;
        }
    return NULL;
}

struct client_cause client_batches_cause(struct client_server *s, struct notice_cause cause)
{
    const struct client_gather *g = cause.number != 0 ? find_numbered(s, cause.number) : NULL;
    if (g == NULL || cause.index >= g->count)
        return (struct client_cause){0};
    return (struct client_cause){g->origins[cause.index].connection, g->origins[cause.index].position};
}

/* ---- Answers ---- */

static void reply_unknown(struct resp_buffer *out) { resp_error_text(out, "UNKNOWN outcome"); }

/* How the commands of one batch are answered. */
struct verdict {
    uint8_t outcome;
    bool is_request; /* an operator's */
    bool is_stale;   /* the state was not known to be young enough */
    uint32_t leader;
    uint64_t slot; /* in which the batch was executed; 0: in none */
    struct payload replies;
    size_t offset; /* of the next reply */
};

/* The reply to command number `index`, which another node has to execute. */
static void encode_moved(struct client_server *s, const struct verdict *v, uint32_t index, const struct client_connection *c,
                         struct resp_buffer *out)
{
    const struct bytes_list none = {NULL, 0};
    const struct bytes_list args = index < s->unpacked.count ? s->unpacked.commands[index].args : none;
    if (c == NULL)
        return;
    if (v->is_request)
        client_cluster_name_leader(s, v->leader, out);
    else
        client_cluster_moved(c, args.ptr, args.len, v->leader, out);
}

/* Encodes the reply to command number `index` of client `c`, which is NULL if it has gone. It must be called for each in
 * turn. */
static void encode_reply(struct client_server *s, struct verdict *v, uint32_t index, const struct client_connection *c,
                         struct resp_buffer *out)
{
    switch (v->outcome) {
    case OUTCOME_EXECUTED:
        if (!resp_reply(out, c != NULL ? c->version : 2, &v->replies, &v->offset))
            reply_unknown(out);
        return;
    case OUTCOME_MOVED:
        encode_moved(s, v, index, c, out);
        return;
    case OUTCOME_BUSY:
        resp_error_text(out, v->is_stale ? REPLY_BUSY "this node's state may be older than READONLY STALE allows, try "
                                                      "another node, or again later"
                                         : REPLY_BUSY "too many requests are waiting, try again later");
        return;
    default:
        reply_unknown(out);
        return;
    }
}

/* Whatever executes what is published does not know who is subscribed: its reply is 0. This node does. */
static void count_receivers(const struct client_origin *o, size_t before, struct resp_buffer *out)
{
    static const char nothing[] = ":0\r\n";
    const size_t len = sizeof nothing - 1;
    if (o->receivers == 0 || out->len - before != len || memcmp(out->data + before, nothing, len) != 0)
        return;
    out->len = before;
    resp_integer(out, o->receivers);
}

/* Answers command number `index` of those that the port itself answers of a transaction, whose reply has so many bytes. */
static void answer_own(struct client_connection *c, size_t index, size_t bytes, struct resp_buffer *out)
{
    struct client_server *s = c->server;
    const struct bytes_list args = s->unpacked.commands[index].args;
    if (bytes > s->options.config->client_bytes_max)
        resp_error_text(out, REPLY_BUSY "the replies of this transaction leave no room for this one: not executed");
    else
        s->upcalls->answer_own(c, args.ptr + 1, args.len - 1, out);
}

/* The reply to a transaction of which the port itself answers some commands: now, each in its place. False: it was not
 * executed. */
static bool encode_mixed(struct client_server *s, struct verdict *v, struct client_connection *c, struct resp_buffer *out)
{
    const size_t before = out->len;
    struct reply_item head;
    const struct payload own = batch_end(&c->own);
    if (v->outcome != OUTCOME_EXECUTED || !replies_next(&v->replies, &(size_t){v->offset}, &head) || head.tag != REPLY_ARRAY)
        return false;
    const bool sound = batch_commands_read(&s->unpacked, &own) && replies_next(&v->replies, &v->offset, &head);
    invariant(sound);
    resp_array(out, head.elements + s->unpacked.count);
    for (size_t i = 0, next = 0; i < head.elements + c->own.count; i++) {
        if (next < c->own.count && cursor_load_u32(s->unpacked.commands[next].args.ptr[0].ptr) == i)
            answer_own(c, next++, out->len - before, out);
        else if (!resp_reply(out, c->version, &v->replies, &v->offset))
            reply_unknown(out);
    }
    return true;
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
static void answer_one(struct client_server *s, const struct client_gather *g, struct verdict *v, uint32_t index)
{
    const struct client_origin *o = &g->origins[index];
    struct client_connection *c = slots_find(&s->connections, o->connection);
    client_turns_answered(s, c, o);
    s->scratch.len = 0;
    struct resp_buffer *out = c != NULL ? client_replies_begin(c, o->position) : &s->scratch;
    size_t before = out->len;
    const bool has_own = c != NULL && c->own.count > 0 && c->own_position == o->position;
    if (!has_own || !encode_mixed(s, v, c, out))
        encode_reply(s, v, index, c, out);
    count_receivers(o, before, out);
    if (has_own)
        client_batches_end_own(c);
    if (v->outcome == OUTCOME_EXECUTED && !g->is_request)
        learn_size(s, c, o->command, &(struct bytes){out->data + before, out->len - before});
    if (c == NULL)
        return;
    if (v->slot >= c->written && !only_reads(s, o->command))
        c->written = v->slot + 1;
    client_replies_end(c, o->position);
    client_replies_touch(c);
}

/* What was asked for WAIT. Without an answer it is asked again. */
static void answer_wait(struct client_server *s, struct client_gather *g, const struct verdict *v)
{
    s->waits_asked = false;
    gather_release(s, g);
    if (v->outcome == OUTCOME_EXECUTED)
        s->upcalls->held(s, &v->replies);
}

static void answer(struct client_server *s, struct client_gather *g, struct verdict *v)
{
    if (g->is_wait) {
        answer_wait(s, g, v);
        return;
    }
    v->is_request = g->is_request;
    v->is_stale = g->is_stale;
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
    if (g->is_reads && v->outcome == OUTCOME_UNKNOWN)
        v->outcome = OUTCOME_BUSY; /* a read has no effect, so it may be sent again */
    for (uint32_t i = 0; i < g->count; i++)
        answer_one(s, g, v, i);
    if (v->outcome != OUTCOME_EXECUTED)
        s->statistics.errors += g->count;
    s->request_count -= g->is_request;
    gather_release(s, g);
}

void client_batches_answer(struct client_server *s, const struct packet *p, uint64_t slot)
{
    struct client_gather *g = slots_take(&s->in_flight, p->id);
    if (g == NULL) {
        logger_log(s->options.logger, LOG_WARNING, "clients", "an answer to no batch (token %llu) is ignored",
                   (unsigned long long)p->id);
        return;
    }
    answer(s, g,
           &(struct verdict){.outcome = (uint8_t)p->kind,
                             .leader = p->kind >> 8,
                             .slot = slot,
                             .replies = {.words = p->words, .len = p->len}});
}

void client_batches_lose_in_flight(struct client_server *s)
{
    struct client_gather *g;
    for (size_t at = 0; (g = slots_next(&s->in_flight, &at)) != NULL;)
        client_batches_answer(s, &(struct packet){.id = g->token, .kind = OUTCOME_UNKNOWN}, 0);
}

void client_batches_give_up_waiting(struct client_server *s, uint8_t outcome)
{
    const enum client_kind end = outcome == OUTCOME_MOVED ? KIND_STALE : CLIENT_KINDS; /* no leader is needed for those */
    for (enum client_kind kind = 0; kind < end; kind++)
        while (client_batches_waiting(s, kind))
            answer(s, take_ready(&s->gathered[kind]), &(struct verdict){.outcome = outcome, .leader = s->leader});
}

void client_batches_give_up_requests(struct client_server *s)
{
    struct client_gather *g;
    while ((g = take_request(s)) != NULL)
        answer(s, g, &(struct verdict){.outcome = OUTCOME_BUSY});
}

void client_batches_close(struct client_server *s)
{
    struct client_gather *g;
    while ((g = take_request(s)) != NULL)
        gather_free(g);
    for (enum client_kind kind = 0; kind < CLIENT_KINDS; kind++)
        while ((g = take_ready(&s->gathered[kind])) != NULL)
            gather_free(g);
    while ((g = s->spare) != NULL) {
        s->spare = g->next;
        gather_free(g);
    }
    for (size_t at = 0; (g = slots_next(&s->in_flight, &at)) != NULL;)
        gather_free(g);
    slots_close(&s->in_flight);
    batch_commands_free(&s->unpacked);
}
