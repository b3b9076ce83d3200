/* WAIT: how many other learners hold what a connection has written. Nothing more of the connection is taken until it is
 * answered. The node's learner is asked how far it has executed and the others hold slots, one question at a time, again and
 * again while a connection waits:
 *
 * 1. When all earlier commands of a connection are answered, everything that it has written is executed. So the first answer
 *    after that says up to which slot the others have to hold the log.
 * 2. Each answer says how many do. If these are enough, or its time is over, the connection gets the number.
 *
 * A learner holds a slot if it can give its value back after any restart. */
#include "core/formats/decimal.h"
#include "io/client_internal.h"

enum { ASK_AGAIN_MS = 5 };

static bool is_over(const struct client_connection *c)
{
    return c->wait.until_ms != 0 && uv_now(c->server->loop) >= c->wait.until_ms;
}

/* With the number so far, or with an error. */
static void answer(struct client_connection *c, const struct bytes *error)
{
    struct resp_buffer *out = client_replies_begin(c, c->wait.position);
    c->wait.waits = false;
    if (error != NULL)
        resp_error(out, *error);
    else if (c->wait.fails)
        resp_error_text(out, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    else
        resp_integer(out, c->wait.held);
    client_replies_end(c, c->wait.position);
    client_replies_touch(c);
}

static void on_time(uv_timer_t *timer)
{
    struct client_server *s = timer->data;
    struct client_connection *c;
    bool any = false;
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

/* Whether the others hold what is needed, by this answer. */
static bool has_enough(struct client_connection *c, const struct payload *replies)
{
    size_t offset = 0;
    struct reply_item item;
    if (!replies_next(replies, &offset, &item) || item.tag != REPLY_ARRAY || !replies_next(replies, &offset, &item))
        return false;
    c->wait.slot = c->wait.slot > 0 ? c->wait.slot : item.integer;
    c->wait.held = 0;
    while (replies_next(replies, &offset, &item))
        c->wait.held += item.integer >= c->wait.slot;
    return c->wait.held >= c->wait.wanted;
}

void client_wait_heard(struct client_server *s, const struct payload *replies)
{
    struct client_connection *c;
    struct reply_item first = {.tag = REPLY_NIL};
    const bool fails = replies_next(replies, &(size_t){0}, &first) && first.tag == REPLY_ERROR;
    for (size_t at = 0; (c = slots_next(&s->connections, &at)) != NULL;)
        if (c->wait.waits && c->in_flight == 0 && (fails || has_enough(c, replies)))
            answer(c, fails ? &first.bytes : NULL);
}

void client_wait_begin(struct client_connection *c, const struct bytes *args)
{
    struct client_server *s = c->server;
    int64_t wanted, ms;
    if (!decimal_read(args[1].ptr, args[1].len, &wanted)) {
        client_replies_error(c, "ERR value is not an integer or out of range");
    } else if (!decimal_read(args[2].ptr, args[2].len, &ms) || ms > INT64_MAX / 2) {
        client_replies_error(c, "ERR timeout is not an integer or out of range");
    } else if (ms < 0) {
        client_replies_error(c, "ERR timeout is negative");
    } else {
        const uint64_t until_ms = ms > 0 ? uv_now(s->loop) + (uint64_t)ms : 0;
        c->wait = (struct client_wait){
            .waits = true, .position = client_replies_expect(c), .wanted = wanted, .until_ms = until_ms};
        uv_timer_start(&s->waits, on_time, 0, 0); /* not within a request */
    }
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
