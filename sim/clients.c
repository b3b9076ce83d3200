/* The clients of a simulated world, and the client ports of its nodes.
 *
 *   client --commands--> port's queue --receive--> batch in flight --reply--> client, history
 *
 * A client works in rounds: it thinks, sends some commands at once, and waits until each has its answer. It sends refused
 * ones again after a while, to the node that is said to lead or to any other, until its patience with the round is over. A
 * command that is, or may be, in a batch that a node has is never sent again.
 *
 * The number of a key decides what is done with it: keys are counters (INCR), registers (SET, GETSET; some values are long),
 * texts (APPEND as well) or leases, which end after a while (SET with PX, PTTL, PERSIST). A key is retired after some dozens
 * of operations, so that its history stays short enough for the judge. A few reads go to long retired keys, which must not
 * have lost anything.
 *
 * A client's chance comes from dice of its own. Memory is used again: in the long run only the history grows. */
#include "sim/clients_internal.h"

#include "core/base/memory.h"
#include "core/formats/decimal.h"

enum {
    STREAM = 0x11e47000, /* of the dice; other parts of the world may have the same seed */
    KEY_OPERATIONS_MIN = 40,
    KEY_OPERATIONS_MAX = 80,
    OLD_KEY_ONCE_IN = 64,
    LEASE_STEPS = 40,        /* a lease lasts for the product of two numbers up to this, in milliseconds */
    TWICE_ONCE_IN = 16,      /* commands of sessions */
    ANOTHER_ONCE_IN = 8,     /* rounds */
    PORT_COMMANDS_MAX = 256, /* that wait at a port; further ones are BUSY */
};

static const uint64_t never = UINT64_MAX;

static void renew_key(struct clients *c, struct key *key, struct dice *d)
{
    key->number = ++c->last_key;
    key->operations_left = (uint32_t)dice_range(d, KEY_OPERATIONS_MIN, KEY_OPERATIONS_MAX);
}

struct clients *clients_new(const struct clients_options *options)
{
    struct clients *c = memory_new(1, sizeof *c);
    struct dice d = dice_new(options->seed, STREAM);
    invariant(options->long_value_once_in > 0 && options->ports != 0 && options->keys > 0 && options->pipeline_max > 0 &&
              options->batch_commands_max > 0);
    c->options = *options;
    c->ports_most = options->ports;
    c->clients = memory_new(options->count, sizeof *c->clients);
    c->wake_at = memory_new(options->count, sizeof *c->wake_at);
    c->keys = memory_new(options->keys, sizeof *c->keys);
    c->value = memory_new(options->value_bytes_max, 1);
    for (uint32_t i = 0; i < options->keys; i++)
        renew_key(c, &c->keys[i], &d);
    for (uint32_t node = 0; node <= NODE_ID_MAX; node++)
        c->ports[node].batch_commands_max = options->batch_commands_max;
    for (uint32_t i = 0; i < options->count; i++) {
        struct client *client = &c->clients[i];
        client->dice = dice_new(options->seed, (uint64_t)STREAM + 1 + i);
        client->index = i;
        client->node = clients_any_port(c, &client->dice, 0);
        client->readonly = i < options->readers && i % 2 == 0;
        client->commands = memory_new(options->pipeline_max, sizeof *client->commands);
        c->wake_at[i] = clients_think_time(c, &client->dice);
    }
    return c;
}

static void batch_free(struct batch *b)
{
    batch_builder_free(&b->builder);
    free(b->origins);
    free(b);
}

void clients_free(struct clients *c)
{
    if (c == NULL)
        return;
    for (uint32_t i = 0; i < c->options.count; i++) {
        client_link_close(c, &c->clients[i]);
        free(c->clients[i].commands);
    }
    for (uint32_t i = 0; i <= NODE_ID_MAX; i++) {
        struct port *p = &c->ports[i];
        for (size_t k = 0; k < p->in_flight_count; k++)
            batch_free(p->in_flight[k]);
        free(p->in_flight);
        for (size_t k = 0; k < sizeof p->queues / sizeof p->queues[0]; k++)
            free(p->queues[k].items);
    }
    for (size_t i = 0; i < c->spare_count; i++)
        batch_free(c->spare[i]);
    free(c->spare);
    free(c->packets);
    free(c->clients);
    free(c->wake_at);
    free(c->keys);
    free(c->value);
    free(c->to_read);
    free(c);
}

static void hear_time(struct clients *c, uint64_t now) { c->now = now > c->now ? now : c->now; }

/* ---- Rounds ---- */

static uint8_t roll_kind(const struct clients *c, struct dice *d, uint32_t key)
{
    enum {
        G = OPERATION_GET,
        S = OPERATION_SET,
        I = OPERATION_INCR,
        A = OPERATION_APPEND,
        D = OPERATION_DEL,
        X = OPERATION_GETSET,
        L = OPERATION_LEASE,
        T = OPERATION_PTTL,
        P = OPERATION_PERSIST
    };
    static const uint8_t kinds[KEY_SORTS][10] = {
        [KEY_COUNTER] = {I, I, I, I, I, G, G, G, G, D},
        [KEY_REGISTER] = {S, S, S, S, G, G, G, G, X, D},
        [KEY_TEXT] = {A, A, A, A, G, G, G, S, X, D},
        [KEY_LEASE] = {L, L, G, G, G, G, T, T, P, D},
    };
    return kinds[clients_key_sort(c, key)][dice_roll(d, 10)];
}

/* The next operation of a client. The first keys are used more often than the last ones. */
static struct operation roll_operation(struct clients *c, struct client *client, bool reads)
{
    struct dice *d = &client->dice;
    struct operation o = {.client = client->index, .call_us = c->now};
    if (dice_roll(d, OLD_KEY_ONCE_IN) == 0) {
        o.key = (uint32_t)dice_range(d, 1, c->last_key);
        o.kind = OPERATION_GET;
        return o;
    }
    uint64_t a = dice_roll(d, c->options.keys), b = dice_roll(d, c->options.keys);
    struct key *key = &c->keys[a < b ? a : b];
    o.key = key->number;
    o.kind = reads ? OPERATION_GET : roll_kind(c, d, key->number);
    if (o.kind == OPERATION_LEASE)
        o.ms = (uint32_t)(dice_range(d, 1, LEASE_STEPS) * dice_range(d, 1, LEASE_STEPS));
    if (operation_sets(o.kind) || o.kind == OPERATION_APPEND || o.kind == OPERATION_GETSET)
        clients_write_name('w', history_count(c->options.history), o.value);
    if (--key->operations_left == 0)
        renew_key(c, key, d);
    return o;
}

enum { QUEUE_LOGGED, QUEUE_READS, QUEUE_STALE };

static int queue_of(const struct origin *o) { return o->stale ? QUEUE_STALE : o->reads ? QUEUE_READS : QUEUE_LOGGED; }

static bool is_full(const struct port *p, const struct origin *o)
{
    const struct port_queue *q = &p->queues[queue_of(o)];
    return q->to - q->from == PORT_COMMANDS_MAX;
}

static void enqueue(struct clients *c, struct port *p, const struct origin *o)
{
    struct port_queue *q = &p->queues[queue_of(o)];
    if (q->from >= PORT_COMMANDS_MAX) {
        q->to -= q->from;
        memmove(q->items, q->items + q->from, q->to * sizeof *q->items);
        q->from = 0;
    }
    q->items = memory_reserve(q->items, &q->capacity, q->to + 1, sizeof *q->items);
    q->items[q->to++] = *o;
    c->waiting++;
}

/* True when the port keeps commands for its node. */
static bool takes_commands(const struct port *p, uint32_t node)
{
    return p->up && (p->leader == node || (p->leader != 0 && p->forwards));
}

/* Gives a command to the port of a world without sockets. False: the port refused it at once. */
static bool hand_over(struct clients *c, struct client *client, struct command_sent *command, const struct origin *o,
                      uint32_t node)
{
    struct port *p = &c->ports[node];
    const bool follows = p->up && o->reads && (o->stale || (p->leader != 0 && client->readonly));
    if (!takes_commands(p, node) && !follows) {
        clients_refuse_one(c, client, command, (struct refusal){p->up ? MOVED : GONE, node, p->leader});
        return false;
    }
    if (is_full(p, o) && c->now < p->paused_until)
        return true; /* it is not read, and its client waits in vain */
    if (is_full(p, o)) {
        clients_refuse_one(c, client, command, (struct refusal){BUSY, node, 0});
        return false;
    }
    enqueue(c, p, o);
    return true;
}

/* A client with a session may send a command twice; then there are two answers. */
static void hand_over_twice(struct clients *c, struct client *client, struct command_sent *command, const struct origin *o,
                            uint32_t node)
{
    struct port *p = &c->ports[node];
    if (history_get(c->options.history, o->operation)->session == 0 || dice_roll(&client->dice, TWICE_ONCE_IN) != 0)
        return;
    if (is_full(p, o))
        return;
    enqueue(c, p, o);
    command->attempted = true;
    command->times++;
}

/* Whether what a client is about to send needs no slot: reads only, and nothing is unanswered. */
static bool are_reads(const struct clients *c, const struct client *client)
{
    bool reads = client->sent == 0;
    for (uint32_t i = 0; i < client->count && reads; i++)
        reads = client->commands[i].state != COMMAND_REFUSED ||
                operation_reads(history_get(c->options.history, client->commands[i].operation)->kind);
    return reads;
}

/* Whether a client reads by a state that may be old, at the node to which it is connected. */
static bool is_stale(const struct clients *c, const struct client *client)
{
    return c->options.stale_ms > 0 && client->readonly && node_set_has(c->options.states, client->node);
}

/* Sends the commands that no node has to the node that the client is connected to. */
static void send_commands(struct clients *c, struct client *client)
{
    const uint32_t node = client->node;
    const bool reads = are_reads(c, client);
    for (uint32_t i = 0; i < client->count; i++) {
        struct command_sent *command = &client->commands[i];
        const struct origin o = {client->index, client->round, i, command->operation, reads, reads && is_stale(c, client)};
        if (command->state != COMMAND_REFUSED)
            continue;
        command->times++;
        if (c->options.sockets != NULL)
            client_link_send(c, client, &o);
        else if (!hand_over(c, client, command, &o, node))
            continue;
        else
            hand_over_twice(c, client, command, &o, node);
        command->state = COMMAND_SENT;
        client->refused--;
        client->sent++;
    }
    clients_schedule(c, client);
    if (c->options.sockets != NULL)
        client_link_flush(c, client);
}

/* Goes back to a session that was idle, which may be forgotten by now; or opens another one. */
static void change_session(struct client *client)
{
    const struct client_session idle = client->idle;
    client->idle = client->session;
    client->session = dice_roll(&client->dice, 2) == 0 ? idle : (struct client_session){0};
}

/* The next operation of a round: the session is opened first, and then has all that writes. */
static struct operation next_operation(struct clients *c, struct client *client, bool reads)
{
    if (c->options.sessions && client->session.id == 0)
        return (struct operation){.client = client->index, .kind = OPERATION_OPEN, .call_us = c->now};
    struct operation o = roll_operation(c, client, reads);
    if (client->session.id != 0 && !operation_reads(o.kind)) {
        o.session = client->session.id;
        o.number = ++client->session.number;
    }
    return o;
}

/* How much older than its call what a client reads may be: it is as if it had called earlier. Clocks of nodes may be slow.
 * */
static uint64_t may_be_old_us(const struct clients *c, const struct client *client)
{
    const uint64_t age = client->readonly ? (uint64_t)c->options.stale_ms * 1100 : 0;
    return age < c->now ? age : c->now;
}

static void begin_round(struct clients *c, struct client *client)
{
    uint64_t count = 1 + dice_roll(&client->dice, c->options.pipeline_max);
    client->round++;
    client->deadline = c->now + c->options.patience_us;
    client->reads = c->stopped;
    const bool rolled = c->options.reads_rate > 0 && dice_chance(&client->dice, c->options.reads_rate);
    const bool reads = rolled || client->index < c->options.readers;
    if (c->stopped && count > c->to_read_count)
        count = c->to_read_count;
    if (c->options.sessions && dice_roll(&client->dice, ANOTHER_ONCE_IN) == 0)
        change_session(client);
    if (!c->stopped && c->options.sessions && client->session.id == 0)
        count = 1;
    for (uint64_t i = 0; i < count; i++) {
        struct operation o = {.client = client->index, .kind = OPERATION_GET, .call_us = c->now};
        if (c->stopped)
            o.key = c->to_read[--c->to_read_count];
        else
            o = next_operation(c, client, reads);
        o.call_us -= operation_reads(o.kind) ? may_be_old_us(c, client) : 0;
        client->commands[i] =
            (struct command_sent){.operation = history_call(c->options.history, &o), .state = COMMAND_REFUSED};
    }
    client->count = client->refused = (uint32_t)count;
    c->statistics.commands += count;
    send_commands(c, client);
}

/* The client's patience is over. Commands that a node has may still be executed. */
static void give_up(struct clients *c, struct client *client)
{
    for (uint32_t i = 0; i < client->count; i++) {
        struct command_sent *command = &client->commands[i];
        if (command->state != COMMAND_OVER)
            clients_conclude_one(c, client, command, command->state == COMMAND_SENT ? OPERATION_UNKNOWN : OPERATION_REFUSED);
    }
    client->node = clients_any_port(c, &client->dice, node_set_of(client->node));
    clients_schedule(c, client);
    client_link_close(c, client);
}

/* When a client wants to do something, or something has come for it. */
static uint64_t next_of(const struct clients *c, uint32_t i)
{
    const uint64_t link = c->options.sockets != NULL ? client_link_next(c, &c->clients[i]) : never;
    return c->wake_at[i] < link ? c->wake_at[i] : link;
}

uint64_t clients_next(const struct clients *c)
{
    uint64_t next = never;
    for (uint32_t i = 0; i < c->options.count; i++) {
        const uint64_t at = next_of(c, i);
        next = at < next ? at : next;
    }
    return next;
}

static node_set nodes_waiting(const struct clients *c)
{
    node_set nodes = 0;
    for (node_set i = c->options.ports; i != 0; i &= i - 1)
        if (clients_waiting(c, node_set_first(i), (struct credit){1, 1}))
            nodes |= i & -i;
    return nodes;
}

node_set clients_run(struct clients *c, uint64_t now)
{
    node_set before = nodes_waiting(c);
    hear_time(c, now);
    for (uint32_t i = 0; i < c->options.count; i++) {
        struct client *client = &c->clients[i];
        if (c->options.sockets != NULL && client_link_next(c, client) <= now)
            client_link_run(c, client);
        if (c->wake_at[i] > now)
            continue;
        if (client->count == 0)
            begin_round(c, client);
        else if (client->deadline <= now)
            give_up(c, client);
        else
            send_commands(c, client);
    }
    return nodes_waiting(c) & ~before;
}

/* ---- The nodes' ports ---- */

static bool waits(const struct port_queue *q) { return q->from < q->to; }

bool clients_waiting(const struct clients *c, uint32_t node, struct credit credit)
{
    if (node > NODE_ID_MAX)
        return false;
    const struct port_queue *queues = c->ports[node].queues;
    return (credit.commands > 0 && waits(&queues[QUEUE_LOGGED])) ||
           (credit.reads > 0 && (waits(&queues[QUEUE_READS]) || waits(&queues[QUEUE_STALE])));
}

/* Takes up to `max` waiting commands out of the queue: `*count` origins, valid until something is sent. */
static const struct origin *take_waiting(struct clients *c, struct port_queue *q, size_t max, size_t *count)
{
    const struct origin *first = waits(q) ? q->items + q->from : NULL;
    const size_t waiting = q->to - q->from;
    *count = waiting < max ? waiting : max;
    q->from += *count;
    if (q->from == q->to)
        q->from = q->to = 0;
    c->waiting -= *count;
    return first;
}

static void add_command(struct clients *c, struct batch_builder *b, size_t operation)
{
    struct bytes args[CLIENT_ARGS_MAX];
    if (clients_is_twinned(c, operation)) {
        clients_add_twinned(c, b, operation);
        return;
    }
    const size_t count = clients_command(c, operation, args);
    batch_add(b, args, count);
}

/* What makes a batch another one than all others: a command that names it. It publishes that name, if it may (P26). */
static void add_mark(struct batch *b)
{
    char name[NAME_BYTES];
    const struct bytes mark = {(uint8_t *)name, clients_write_name('t', b->token, name)};
    const char *verb = b->reads ? "GET" : "PUBLISH";
    const struct bytes args[] = {{(uint8_t *)(uintptr_t)verb, strlen(verb)}, mark, mark};
    batch_add(&b->builder, args, b->reads ? 2 : 3);
}

static struct batch *gather(struct clients *c, struct port *p, int queue)
{
    struct batch *b = c->spare_count > 0 ? c->spare[--c->spare_count] : memory_new(1, sizeof *b);
    batch_begin(&b->builder);
    b->token = clients_token(c);
    b->reads = queue != QUEUE_LOGGED;
    const struct origin *origins = take_waiting(c, &p->queues[queue], p->batch_commands_max, &b->count);
    add_mark(b);
    b->origins = memory_reserve(b->origins, &b->capacity, b->count, sizeof *b->origins);
    memcpy(b->origins, origins, b->count * sizeof *origins);
    for (size_t i = 0; i < b->count; i++)
        add_command(c, &b->builder, b->origins[i].operation);
    return b;
}

/* Adds batches of one kind to the `count` packets; returns how many there are then. */
static size_t receive(struct clients *c, struct port *p, int queue, uint32_t credit, size_t count)
{
    for (const size_t end = count + credit; count < end && waits(&p->queues[queue]); count++) {
        struct batch *b = gather(c, p, queue);
        struct payload value = batch_end(&b->builder);
        if (queue == QUEUE_STALE)
            batch_stale_stamp(&value, c->options.stale_ms);
        if (!b->reads)
            batch_port_stamp(&value, (uint32_t)b->token);
        p->in_flight = memory_reserve(p->in_flight, &p->in_flight_capacity, p->in_flight_count + 1, sizeof(struct batch *));
        p->in_flight[p->in_flight_count++] = b;
        c->in_flight++;
        c->packets = memory_reserve(c->packets, &c->packets_capacity, count + 1, sizeof *c->packets);
        c->packets[count] = (struct packet){
            .id = b->token,
            .kind = ((uint32_t)b->count + 1) | (b->reads ? CLIENT_READS : 0),
            .len = value.len,
            .words = value.words,
        };
    }
    return count;
}

struct packet_list clients_receive(struct clients *c, uint32_t node, struct credit credit, uint64_t now)
{
    struct port *p = &c->ports[node];
    hear_time(c, now);
    size_t count = receive(c, p, QUEUE_LOGGED, credit.commands, 0);
    count = receive(c, p, QUEUE_READS, credit.reads, count);
    count = receive(c, p, QUEUE_STALE, credit.reads, count);
    c->statistics.batches += count;
    return (struct packet_list){c->packets, count};
}

static void release(struct clients *c, struct batch *b)
{
    c->spare = memory_reserve(c->spare, &c->spare_capacity, c->spare_count + 1, sizeof(struct batch *));
    c->spare[c->spare_count++] = b;
    c->in_flight--;
}

static struct batch *take_in_flight(struct port *p, uint64_t token)
{
    for (size_t i = 0; i < p->in_flight_count; i++) {
        struct batch *b = p->in_flight[i];
        if (b->token != token)
            continue;
        p->in_flight_count--;
        memmove(p->in_flight + i, p->in_flight + i + 1, (p->in_flight_count - i) * sizeof(struct batch *));
        return b;
    }
    return NULL;
}

/* ---- Answers ---- */

/* Hands the replies to an executed batch to its clients. */
static bool take_replies(struct clients *c, uint32_t node, const struct batch *b, const struct payload *replies)
{
    struct reply_item reply;
    size_t offset = 0;
    bool whole = replies_count(replies) == b->count + 1 && replies_next(replies, &offset, &reply);
    /* The key that the mark of reads is about was never set; of what is published, no learner knows who is subscribed. */
    bool fits = whole && (b->reads ? reply.tag == REPLY_NIL : reply.tag == REPLY_INTEGER && reply.integer == 0);
    for (size_t i = 0; i < b->count; i++) {
        if (!whole || !replies_next(replies, &offset, &reply)) {
            clients_conclude(c, &b->origins[i], OPERATION_UNKNOWN);
            continue;
        }
        if (reply.tag == REPLY_ARRAY)
            fits &= clients_take_twins(replies, &offset, &reply);
        fits &= clients_take_reply(c, node, &b->origins[i], &reply);
    }
    return fits;
}

static bool take_answer(struct clients *c, uint32_t node, const struct batch *b, const struct packet *answer)
{
    uint8_t outcome = (uint8_t)answer->kind;
    if (outcome == OUTCOME_EXECUTED)
        return take_replies(c, node, b, &(struct payload){.words = answer->words, .len = answer->len});
    for (size_t i = 0; i < b->count; i++) {
        if (outcome == OUTCOME_MOVED)
            clients_refuse(c, &b->origins[i], (struct refusal){MOVED, node, answer->kind >> 8});
        else if (outcome == OUTCOME_BUSY)
            clients_refuse(c, &b->origins[i], (struct refusal){BUSY, node, 0});
        else
            clients_lose(c, &b->origins[i]);
    }
    return outcome <= OUTCOME_UNKNOWN;
}

bool clients_reply(struct clients *c, uint32_t node, const struct packet *answers, size_t count, uint64_t now)
{
    bool fits = true;
    hear_time(c, now);
    for (size_t i = 0; i < count; i++) {
        struct batch *b = take_in_flight(&c->ports[node], answers[i].id);
        if (b == NULL) {
            fits = false;
            continue;
        }
        fits &= take_answer(c, node, b, &answers[i]);
        release(c, b);
    }
    return fits;
}

/* ---- Nodes that come and go ---- */

static void refuse_waiting(struct clients *c, uint32_t node, struct refusal r)
{
    const int end = r.why == MOVED ? QUEUE_STALE : QUEUE_STALE + 1; /* no leader is needed for those */
    for (int queue = 0; queue < end; queue++) {
        size_t count;
        const struct origin *origins = take_waiting(c, &c->ports[node].queues[queue], SIZE_MAX, &count);
        for (size_t i = 0; i < count; i++)
            clients_refuse(c, &origins[i], r);
    }
}

void clients_leader(struct clients *c, uint32_t node, uint32_t leader)
{
    struct port *p = &c->ports[node];
    p->leader = leader;
    if (!takes_commands(p, node))
        refuse_waiting(c, node, (struct refusal){MOVED, node, leader});
}

void clients_serve(struct clients *c, uint32_t node, bool serves)
{
    const node_set one = node_set_of(node) & c->ports_most;
    c->options.ports = serves ? c->options.ports | one : c->options.ports & ~one;
}

void clients_forward(struct clients *c, uint32_t node, bool forward) { c->ports[node].forwards = forward; }

void clients_limit_batches(struct clients *c, uint32_t node, uint32_t commands_max)
{
    invariant(commands_max > 0);
    c->ports[node].batch_commands_max = commands_max;
}

/* All connections to the node's port end. */
static void port_ends(struct clients *c, uint32_t node)
{
    struct port *p = &c->ports[node];
    p->leader = 0;
    p->forwards = false;
    p->paused_until = 0;
    refuse_waiting(c, node, (struct refusal){GONE, node, 0});
    for (size_t i = 0; i < p->in_flight_count; i++) {
        for (size_t k = 0; k < p->in_flight[i]->count; k++)
            clients_lose(c, &p->in_flight[i]->origins[k]);
        release(c, p->in_flight[i]);
    }
    p->in_flight_count = 0;
}

void clients_node_up(struct clients *c, uint32_t node, uint64_t now)
{
    hear_time(c, now);
    port_ends(c, node);
    c->ports[node].up = true;
}

void clients_node_pauses(struct clients *c, uint32_t node, uint64_t until) { c->ports[node].paused_until = until; }

void clients_node_down(struct clients *c, uint32_t node, uint64_t now)
{
    hear_time(c, now);
    c->ports[node].up = false;
    port_ends(c, node);
}

/* ---- The end ---- */

void clients_stop(struct clients *c)
{
    c->stopped = true;
    for (uint32_t i = 0; i < c->options.count; i++)
        if (c->clients[i].count == 0)
            c->wake_at[i] = never;
}

bool clients_done(const struct clients *c)
{
    bool done = c->waiting == 0 && c->in_flight == 0 && c->to_read_count == 0;
    for (uint32_t i = 0; i < c->options.count && done; i++)
        done = c->clients[i].count == 0;
    return done;
}

void clients_resume(struct clients *c, uint64_t now)
{
    hear_time(c, now);
    c->to_read = memory_reserve(c->to_read, &c->to_read_capacity, c->options.keys, sizeof *c->to_read);
    c->to_read_count = c->options.keys;
    for (uint32_t i = 0; i < c->options.keys; i++)
        c->to_read[i] = c->keys[i].number;
    for (uint32_t i = 0; i < c->options.count; i++)
        if (c->clients[i].count == 0)
            c->wake_at[i] = now;
}

uint64_t clients_token(struct clients *c) { return ++c->last_token; }

const char *clients_wrong(const struct clients *c) { return c->wrong[0] != 0 ? c->wrong : NULL; }

struct clients_statistics clients_statistics(const struct clients *c) { return c->statistics; }
