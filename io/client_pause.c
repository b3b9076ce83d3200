/* CLIENT PAUSE: for a while this node takes no commands, or none that write. Connections keep them, as those that wait for
 * their turn do: so they are bounded, and nothing more is read of them. What is no command, and what operators ask, is
 * answered at once. The node goes on, and so do others: commands that they pass on are executed. */
#include "core/formats/command_error.h"
#include "io/client_internal.h"

static bool is_over(const struct client_server *s) { return s->pause_kind == PAUSE_NONE; }

static bool writes(const struct client_server *s, uint32_t command)
{
    return command >= s->machine_commands.len || !s->machine_commands.ptr[command].read_only;
}

/* Whether a command of the port's own is held. A pause of all holds the next CLIENT PAUSE, as in Redis. */
static bool holds_own(const struct client_connection *c, const struct client_command *p, const struct resp_request *request)
{
    const bool is_pause = request->argc > 1 && client_is_word(&request->args[1], "pause");
    if ((p->may & FOR_OPERATORS) != 0)
        return is_pause && c->server->pause_kind == PAUSE_ALL;
    if (c->server->pause_kind == PAUSE_ALL || (p->may & IN_SESSION) != 0)
        return true;
    return p->handler == client_exec && c->transaction.state == TRANSACTION_QUEUES && c->transaction.writes;
}

bool client_pause_holds(struct client_connection *c, const struct client_named *named, const struct resp_request *request)
{
    const struct client_server *s = c->server;
    uint8_t text[COMMAND_ERROR_MAX];
    if (named->port != NULL)
        c->held = holds_own(c, named->port, request);
    else if (client_describe_refuses(s, named->index, request->args, request->argc, &(struct bytes){text, 0}))
        c->held = false;
    else
        c->held = s->pause_kind == PAUSE_ALL || (c->transaction.state == TRANSACTION_NONE && writes(s, named->index));
    return c->held;
}

/* Requests that were held are taken, in turns. */
static void on_end(uv_timer_t *timer)
{
    struct client_server *s = timer->data;
    struct client_connection *c;
    s->pause_kind = PAUSE_NONE;
    for (size_t at = 0; (c = slots_next(&s->connections, &at)) != NULL;) {
        if (!c->held)
            continue;
        c->held = false;
        s->upcalls->taken(c);
    }
}

void client_pause_begin(struct client_server *s, enum client_pause_kind kind, uint64_t ms)
{
    const uint64_t end = client_end_of(s, ms);
    s->pause_until = is_over(s) || end > s->pause_until ? end : s->pause_until;
    s->pause_kind = kind > s->pause_kind ? kind : s->pause_kind;
    uv_timer_start(&s->pause, on_end, s->pause_until - uv_now(s->loop), 0);
}

void client_pause_end(struct client_server *s)
{
    if (is_over(s))
        return;
    s->pause_kind = PAUSE_NONE;
    uv_timer_start(&s->pause, on_end, 0, 0); /* not within a request of another connection */
}
