/* Whose request is taken next, and how much each client may have outstanding.
 *
 * How much a command asks for is not known before it is executed: a GET of twenty bytes may be answered with a megabyte. So
 * the port keeps an estimate for each client and command, the largest recent reply, and charges that to each command that is
 * gathered or in flight. For a client's first command of a kind it uses the estimate over all clients. The client's own
 * first reply replaces that, so that it does not wait for long in a heavy queue only because others ask for much. Then:
 *
 * 1. A client may have commands outstanding whose charges come to CLIENT_ASKED_MAX, or one command. There may be
 *    COMMANDS_MAX of them, or UNPROVEN_MAX until it is answered for the first time: a command that looks small may still be
 *    large, because the estimate comes from others or is out of date. Further requests stay where they are: in its buffer,
 *    and then in the network. So if a client goes away, few of its commands have been executed for nothing.
 * 2. All clients together may have a bounded amount outstanding. Commands that ask for much and those that ask for little
 *    are counted separately, so a light command never waits for heavy ones.
 * 3. A bounded number of commands is gathered ahead of the node, and of reads as many. Beyond that, connections wait in a
 *    queue, one for heavy requests, one for light ones that wait for disks, and one for light reads. Each gets a turn of
 *    TURN_WORK before any gets a second one.
 *    a. A client's first command of a kind, where those of others are large, has its own queue and budget, as long as the
 *       client has sent nothing after it. So a new client of small values does not wait for pipelines of large ones.
 *    b. Before a heavy request gets its turn, the system is asked whether the client is still there. Its bytes do not
 *       tell, while they are not read. A client that has gone is closed. A client that has only ended its sending may
 *       have gone, or may be waiting for its replies. If a client has sent more than is read ahead, not even that can be
 *       seen. Until they are answered for the first time, such connections have a queue of their own, with
 *       UNSURE_BYTES_MS of replies. Otherwise replies that no client reads would use up the node.
 * 4. A client that has not taken its replies waits until it has (client_output.c).
 * 5. While reads of a client are outside of the log, its next command for the log waits (client_batches.c). One about its
 *    subscriptions waits for all replies (client_pubsub.c). While a transaction is executed of which the port itself answers
 *    commands, its next request waits. */
#include "core/base/memory.h"
#include "io/client_internal.h"

enum {
    ESTIMATE_START = 256 * 1024,
    ESTIMATE_FADES = 16, /* an estimate falls by 1/16 with each smaller reply */
    CHARGE_MIN = 256,
    LIGHT_MAX = 16 * 1024,
    COMMANDS_MAX = 1024,
    UNPROVEN_MAX = 4,
    GATHERED_COMMANDS_MIN = 4096,
    GATHERED_BYTES_MIN = 512 * 1024,
    UNSEEN_MIN = 32 * 1024,      /* with so much unread, the end of a client's sending may not have arrived yet */
    UNSURE_BYTES_MS = 16 * 1024, /* of replies to clients that may have gone */
};

static const uint64_t asked_max[TURN_QUEUES] = {
    [TURNS_LIGHT] = 8 << 20, [TURNS_READS] = 8 << 20, [TURNS_FIRST] = 1 << 20, [TURNS_HEAVY] = 1 << 20};

enum turn_queue client_turns_budget(enum turn_queue kind) { return kind == TURNS_UNSURE ? TURNS_HEAVY : kind; }

static enum turn_queue kind_of(const struct client_connection *c, size_t behind)
{
    if (c->charge <= LIGHT_MAX)
        return c->as != KIND_LOGGED ? TURNS_READS : TURNS_LIGHT;
    if (c->presence == PERHAPS_GONE || (c->unproven && behind >= UNSEEN_MIN))
        return TURNS_UNSURE;
    return c->unproven && behind == 0 ? TURNS_FIRST : TURNS_HEAVY;
}

/* ---- What commands ask for ---- */

static uint32_t charge_of(const struct client_connection *c, uint32_t command)
{
    uint32_t own = c->estimates[command];
    uint32_t all = c->server->estimates[command];
    uint32_t charge = own > 0 ? own : all > 0 ? all : ESTIMATE_START;
    return charge > CHARGE_MIN ? charge : CHARGE_MIN;
}

static void learn(uint32_t *estimate, size_t bytes)
{
    uint32_t faded = *estimate - *estimate / ESTIMATE_FADES;
    uint32_t size = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
    *estimate = size > faded ? size : faded;
}

void client_turns_learn(struct client_server *s, struct client_connection *c, uint32_t command, size_t bytes)
{
    if (c != NULL)
        learn(&c->estimates[command], bytes);
    if (s->estimates[command] == 0)
        s->estimates[command] = ESTIMATE_START;
    learn(&s->estimates[command], bytes);
}

void client_turns_gathered(struct client_connection *c, const struct client_origin *o)
{
    c->in_flight++;
    c->reads += o->reads;
    c->asked += o->charge;
    c->waiting += o->bytes;
    c->server->queues[o->budget].asked += o->charge;
    c->server->statistics.waiting_bytes += o->bytes;
}

void client_turns_answered(struct client_server *s, struct client_connection *c, const struct client_origin *o)
{
    s->queues[o->budget].asked -= o->charge;
    s->statistics.waiting_bytes -= o->bytes;
    if (c == NULL)
        return;
    c->in_flight--;
    c->reads -= o->reads;
    if (c->presence == PERHAPS_GONE)
        c->presence = PRESENT_AFTER_END;
    c->asked -= o->charge;
    c->waiting -= o->bytes;
}

/* ---- Bounds ---- */

uint64_t client_turns_kept(const struct client_server *s) { return s->statistics.waiting_bytes + s->buffered; }

bool client_turns_pressed(const struct client_server *s)
{
    return client_turns_kept(s) >= s->options.config->client_bytes_all_max;
}

static bool within_asked_max(const struct client_connection *c, uint32_t charge)
{
    const uint32_t commands_max = c->unproven ? UNPROVEN_MAX : COMMANDS_MAX;
    return c->in_flight == 0 || (c->asked + charge <= CLIENT_ASKED_MAX && c->in_flight < commands_max);
}

bool client_turns_has_room(const struct client_connection *c)
{
    const struct client_server *s = c->server;
    uint64_t outstanding = c->waiting + client_replies_unread(c);
    if (c->held || c->wait.waits || c->own.count > 0 || (c->after_reads && c->reads > 0) ||
        (c->after_all && c->head != c->tail))
        return false;
    if (outstanding > 0 && client_turns_pressed(s))
        return false;
    return outstanding < s->options.config->client_bytes_max && within_asked_max(c, c->charge);
}

/* True when the port as a whole has room for the connection's next command. */
static bool port_has_room(const struct client_connection *c)
{
    const struct client_server *s = c->server;
    const struct config *config = s->options.config;
    const struct client_gathered *all = &s->gathered[c->as];
    const enum turn_queue budget = client_turns_budget(c->kind);
    uint64_t asked = s->queues[budget].asked;
    size_t commands = config->batch_size > GATHERED_COMMANDS_MIN ? config->batch_size : GATHERED_COMMANDS_MIN;
    size_t bytes = config->batch_bytes > GATHERED_BYTES_MIN ? config->batch_bytes : GATHERED_BYTES_MIN;
    return (asked == 0 || asked + c->charge <= asked_max[budget]) && all->commands < commands && all->bytes < bytes;
}

static bool may_serve_unsure(const struct client_server *s) { return uv_now(s->loop) >= s->unsure_ms; }

/* True when this connection would overtake others that wait for the same. */
static bool others_wait(const struct client_connection *c)
{
    const struct client_server *s = c->server;
    if (s->served == c && s->serving == c->kind)
        return false;
    return s->queues[c->kind].first != NULL || (c->kind == TURNS_UNSURE && !may_serve_unsure(s));
}

enum client_may client_turns_may(struct client_connection *c, uint32_t command, enum client_kind as, size_t behind)
{
    c->as = as;
    c->charge = charge_of(c, command);
    c->unproven = c->estimates[command] == 0;
    c->kind = kind_of(c, behind);
    if (!within_asked_max(c, c->charge))
        return MUST_WAIT_FOR_ROOM;
    return others_wait(c) || !port_has_room(c) ? MUST_WAIT_ITS_TURN : MAY_GO;
}

/* ---- Queues ---- */

static bool is_light(enum turn_queue kind) { return kind == TURNS_LIGHT || kind == TURNS_READS; }

void client_turns_wait(struct client_connection *c, uint32_t charge)
{
    invariant(c->queue == NULL);
    c->input = INPUT_TURN;
    c->charge = charge;
    if (charge == 0) /* what comes next is not known: probably the same */
        c->kind = c->as != KIND_LOGGED ? TURNS_READS : TURNS_LIGHT;
    else if (!is_light(c->kind) && c->presence == PERHAPS_GONE)
        c->kind = TURNS_UNSURE;
    struct client_queue *q = &c->server->queues[c->kind];
    c->queue = q;
    c->next = NULL;
    c->previous = q->last;
    if (q->last != NULL)
        q->last->next = c;
    else
        q->first = c;
    q->last = c;
}

void client_turns_leave(struct client_connection *c)
{
    struct client_queue *q = c->queue;
    if (q == NULL)
        return;
    if (c->previous != NULL)
        c->previous->next = c->next;
    else
        q->first = c->next;
    if (c->next != NULL)
        c->next->previous = c->previous;
    else
        q->last = c->previous;
    c->queue = NULL;
    c->next = c->previous = NULL;
}

void client_turns_ended(struct client_connection *c)
{
    const uint32_t charge = c->charge;
    if (c->presence == PRESENT)
        c->presence = PERHAPS_GONE;
    if (c->queue == NULL)
        return;
    client_turns_leave(c);
    client_turns_wait(c, charge);
}

/* Which heavy queue is next: now and then that of clients that may have gone, because they may still wait for their
 * replies. */
static enum turn_queue heavy_or_unsure(const struct client_server *s)
{
    return s->queues[TURNS_UNSURE].first != NULL && may_serve_unsure(s) ? TURNS_UNSURE : TURNS_HEAVY;
}

struct client_connection *client_turns_next(const struct client_server *s, enum turn_queue kind)
{
    kind = kind == TURNS_HEAVY ? heavy_or_unsure(s) : kind;
    struct client_connection *c = s->queues[kind].first;
    const bool takes = c != NULL && (client_cluster_takes(c) || client_cluster_follows(s) || client_cluster_has_state(c));
    bool may = c != NULL && (c->charge == 0 || !takes || port_has_room(c));
    return may ? c : NULL;
}

void client_turns_begin(struct client_connection *c)
{
    struct client_server *s = c->server;
    s->served = c;
    s->serving = c->kind;
    if (c->kind == TURNS_UNSURE)
        s->unsure_ms = uv_now(s->loop) + c->charge / UNSURE_BYTES_MS;
}

void client_turns_end(struct client_server *s) { s->served = NULL; }

uint64_t client_turns_unsure_ms(const struct client_server *s)
{
    return s->queues[TURNS_UNSURE].first != NULL && !may_serve_unsure(s) ? s->unsure_ms - uv_now(s->loop) : 0;
}
