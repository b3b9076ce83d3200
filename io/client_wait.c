/* WAIT and WAITAOF: how many learners hold what a connection has written. Nothing more of the connection is taken until it
 * is answered. The node is asked how far learners hold slots, one question at a time, again and again while a connection
 * waits:
 *
 * 1. When all earlier commands of a connection are answered, the slots in which it has written are known: each answer to a
 *    batch says in which it was executed. (The learner of this node may be behind it, when another one has answered.)
 * 2. Each answer to the question says how far each learner holds slots. If enough of them hold what was written, or the time
 *    is over, the connection gets the number.
 *
 * In a transaction nothing is waited for: the reply is what was known when it was executed, about what was written before.
 *
 * A learner holds a slot if it can give its value back after any restart. */
#include "core/formats/decimal.h"
#include "io/client_internal.h"

enum { ASK_AGAIN_MS = 5 };

static bool is_over(const struct client_connection *c)
{
    return c->wait.until_ms != 0 && uv_now(c->server->loop) >= c->wait.until_ms;
}

/* ---- What is known ---- */

/* Whether a learner that holds the slots before `held` has all that the connection has written. Unknown is not. */
static bool holds(const struct client_connection *c, int64_t held) { return held > 0 && (uint64_t)held >= c->written; }

static bool own_holds(const struct client_connection *c) { return holds(c, c->server->held.own); }

static int64_t others_that_hold(const struct client_connection *c)
{
    int64_t count = 0;
    for (size_t i = 0; i < c->server->held.count; i++)
        count += holds(c, c->server->held.others[i]);
    return count;
}

static bool has_enough(const struct client_connection *c)
{
    return c->in_flight == 0 && own_holds(c) >= c->wait.own && others_that_hold(c) >= c->wait.wanted;
}

static void write_numbers(bool with_own, bool own, int64_t others, struct resp_buffer *out)
{
    if (with_own) {
        resp_array(out, 2);
        resp_integer(out, own);
    }
    resp_integer(out, others);
}

/* ---- Answers ---- */

static void answer(struct client_connection *c, const struct bytes *error)
{
    const bool known = c->in_flight == 0; /* otherwise the time was over before its commands were answered */
    struct resp_buffer *out = client_replies_begin(c, c->wait.position);
    c->wait.waits = false;
    if (error != NULL)
        resp_error(out, *error);
    else if (c->wait.fails)
        resp_error_text(out, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    else
        write_numbers(c->wait.with_own, known && own_holds(c), known ? others_that_hold(c) : 0, out);
    client_replies_end(c, c->wait.position);
    client_replies_touch(c);
}

static void on_time(uv_timer_t *timer)
{
    struct client_server *s = timer->data;
    struct client_connection *c;
    bool any = s->waits_wanted;
    s->waits_wanted = false;
    for (size_t at = 0; (c = slots_next(&s->connections, &at)) != NULL;) {
        if (!c->wait.waits)
            continue;
        any = any || !is_over(c);
        if (is_over(c)) {
            answer(c, NULL);
            client_output_flush(c);
            s->upcalls->taken(c);
        }
    }
    if (any && client_batches_ask_held(s))
        s->options.on_input(s->options.context);
    if (any)
        uv_timer_start(&s->waits, on_time, ASK_AGAIN_MS, 0);
}

/* Notes what the node has said. False: it is an error, or nothing that this port understands. */
static bool note(struct client_held *held, const struct payload *replies)
{
    size_t offset = 0;
    struct reply_item item;
    if (!replies_next(replies, &offset, &item) || item.tag != REPLY_ARRAY || !replies_next(replies, &offset, &item))
        return false;
    *held = (struct client_held){.own = item.integer};
    while (held->count <= NODE_ID_MAX && replies_next(replies, &offset, &item))
        held->others[held->count++] = item.integer;
    return true;
}

void client_wait_heard(struct client_server *s, const struct payload *replies)
{
    struct client_connection *c;
    struct reply_item first = {.tag = REPLY_NIL};
    const bool fails = replies_next(replies, &(size_t){0}, &first) && first.tag == REPLY_ERROR;
    if (!note(&s->held, replies) && !fails)
        return;
    for (size_t at = 0; (c = slots_next(&s->connections, &at)) != NULL;)
        if (c->wait.waits && (fails || has_enough(c)))
            answer(c, fails ? &first.bytes : NULL);
}

/* ---- Requests ---- */

/* What is wanted. NULL, or why there is no such thing. */
static const char *read_wait(const struct client_server *s, const struct bytes *args, size_t argc, struct client_wait *w,
                             int64_t *ms)
{
    const struct bytes *wanted = &args[argc - 2], *time = &args[argc - 1];
    w->with_own = argc == 4;
    if (w->with_own && !decimal_read(args[1].ptr, args[1].len, &w->own))
        return "ERR value is not an integer or out of range";
    if (w->own < 0 || w->own > 1)
        return "ERR value is out of range, value must between 0 and 1";
    if (!decimal_read(wanted->ptr, wanted->len, &w->wanted) || (w->with_own && w->wanted < 0))
        return w->with_own ? "ERR value is out of range, must be positive" : "ERR value is not an integer or out of range";
    if (!decimal_read(time->ptr, time->len, ms) || *ms > INT64_MAX / 2)
        return "ERR timeout is not an integer or out of range";
    if (*ms < 0)
        return "ERR timeout is negative";
    if (w->own > 0 && !node_set_has(s->options.config->node_config.learners, s->options.node))
        return "ERR WAITAOF cannot be used when numlocal is set but this node has no learner.";
    if (w->own > 0 && s->options.config->node_config.durability != DURABILITY_FSYNC)
        return "ERR WAITAOF cannot be used when numlocal is set but durability is not fsync.";
    return NULL;
}

/* An acceptor that is nothing else does not look at learners. */
static bool knows_learners(const struct client_server *s)
{
    const struct node_config *config = &s->options.config->node_config;
    return node_set_has(config->proposers | config->learners, s->options.node);
}

void client_wait_count(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct client_wait w = {0};
    int64_t ms;
    const char *wrong = read_wait(c->server, args, argc, &w, &ms);
    if (wrong != NULL)
        resp_error_text(out, wrong);
    else
        write_numbers(w.with_own, own_holds(c), others_that_hold(c), out);
}

void client_wait_prepare(struct client_server *s)
{
    s->waits_wanted = true;
    uv_timer_start(&s->waits, on_time, 0, 0); /* not within a request */
}

void client_wait_begin(struct client_connection *c, const struct bytes *args, size_t argc)
{
    struct client_server *s = c->server;
    struct client_wait w = {.waits = true};
    int64_t ms;
    const char *wrong = read_wait(s, args, argc, &w, &ms);
    if (wrong != NULL) {
        client_replies_error(c, wrong);
        return;
    }
    if (!knows_learners(s)) {
        client_cluster_send_to_leader(c);
        return;
    }
    w.position = client_replies_expect(c);
    w.until_ms = ms > 0 ? client_end_of(s, (uint64_t)ms) : 0;
    c->wait = w;
    uv_timer_start(&s->waits, on_time, 0, 0); /* not within a request */
}

bool client_wait_end(struct client_connection *c, bool fails)
{
    if (!c->wait.waits)
        return false;
    c->wait.until_ms = 1; /* it is over */
    c->wait.fails = fails;
    uv_timer_start(&c->server->waits, on_time, 0, 0);
    return true;
}

void client_wait_close(struct client_server *s)
{
    struct client_connection *c;
    for (size_t at = 0; (c = slots_next(&s->connections, &at)) != NULL;)
        if (c->wait.waits)
            answer(c, NULL);
}
