/* The clients of a simulated world, and the client ports of its nodes.
 *
 *   client --commands--> port's queue --receive--> batch in flight --reply--> client, history
 *
 * A client works in rounds: it thinks, sends some commands at once, and waits until each has its answer. It sends refused
 * ones again after a while, to the node that is said to lead or to any other, until its patience with the round is over. A
 * command that is, or may be, in a batch that a node has is never sent again.
 *
 * The number of a key decides what is done with it: keys are counters (INCR), registers (SET, GETSET; some values are long)
 * or texts (APPEND as well). A key is retired after some dozens of operations, so that its history stays short enough for
 * the judge. A few reads go to long retired keys, which must not have lost anything.
 *
 * A client's chance comes from dice of its own. Memory is used again: in the long run only the history grows. */
#include "sim/clients.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/formats/batch.h"
#include "core/formats/decimal.h"

enum {
    STREAM = 0x11e47000, /* of the dice; other parts of the world may have the same seed */
    KEY_OPERATIONS_MIN = 40,
    KEY_OPERATIONS_MAX = 80,
    OLD_KEY_ONCE_IN = 64,
    LET_BE_ONCE_IN = 8,
    PORT_COMMANDS_MAX = 256, /* that wait at a port; further ones are BUSY */
    REDIRECT_US_MIN = 100,   /* until a client has connected to the node that it was sent to */
    REDIRECT_US_MAX = 500,
    BACK_OFF_US_MIN = 5000,
    BACK_OFF_US_MAX = 50000,
    NAME_BYTES = 24, /* bytes of a key or a word */
};

static const uint64_t never = UINT64_MAX;

/* ---- What there is ---- */

enum key_sort { KEY_COUNTER, KEY_REGISTER, KEY_TEXT, KEY_SORTS };

static enum key_sort sort_of(uint32_t key) { return (enum key_sort)(key % KEY_SORTS); }

struct key {
    uint32_t number;
    uint32_t operations_left;
};

/* Where the answer to a command goes. */
struct origin {
    uint32_t client, round, index;
    size_t operation; /* its number in the history */
};

struct batch {
    uint64_t token;
    struct batch_builder builder;
    struct origin *origins;
    size_t count, capacity;
};

struct port {
    bool up, forwards;
    uint32_t leader;
    uint32_t batch_commands_max;
    struct origin *queue; /* [queue_from, queue_to) waits for the node to ask */
    size_t queue_from, queue_to, queue_capacity;
    struct batch **in_flight; /* oldest first */
    size_t in_flight_count, in_flight_capacity;
};

enum command_state { COMMAND_REFUSED, COMMAND_SENT, COMMAND_OVER };

/* A command of a round. One that was not sent yet counts as refused. */
struct command_sent {
    size_t operation;
    uint8_t state; /* enum command_state */
};

struct client {
    struct dice dice;
    uint32_t index;
    uint32_t node;  /* the node it is connected to */
    uint32_t round; /* to recognize answers to an earlier one */
    bool reads;     /* this round was begun by clients_resume */
    struct command_sent *commands;
    uint32_t count;         /* commands of the round; 0: it thinks */
    uint32_t sent, refused; /* of them in that state */
    uint64_t deadline;      /* of the round */
    uint64_t delay_us;      /* before it sends refused commands again */
};

struct clients {
    struct clients_options options;
    struct client *clients;
    uint64_t *wake_at; /* by client */
    struct port ports[NODE_ID_MAX + 1];
    struct key *keys;
    uint32_t last_key;
    uint64_t last_token;
    struct batch **spare;
    size_t spare_count, spare_capacity;
    size_t waiting, in_flight; /* commands at ports; batches */
    struct packet *packets;
    size_t packets_capacity;
    uint8_t *value; /* value_bytes_max bytes, to build long values in */
    uint64_t now;   /* as last told */
    bool stopped;
    uint32_t *to_read; /* keys, after clients_resume */
    size_t to_read_count, to_read_capacity;
    struct clients_statistics statistics;
};

static void renew_key(struct clients *c, struct key *key, struct dice *d)
{
    key->number = ++c->last_key;
    key->operations_left = (uint32_t)dice_range(d, KEY_OPERATIONS_MIN, KEY_OPERATIONS_MAX);
}

static uint32_t any_port(const struct clients *c, struct dice *d, node_set but)
{
    node_set ports = c->options.ports & ~but;
    if (ports == 0)
        ports = c->options.ports;
    for (uint64_t skip = dice_roll(d, node_set_count(ports)); skip > 0; skip--)
        ports &= ports - 1;
    return node_set_first(ports);
}

static uint64_t think_time(const struct clients *c, struct dice *d) { return 1 + dice_roll(d, 2 * c->options.think_us + 1); }

struct clients *clients_new(const struct clients_options *options)
{
    struct clients *c = memory_new(1, sizeof *c);
    struct dice d = dice_new(options->seed, STREAM);
    invariant(options->long_value_once_in > 0 && options->ports != 0 && options->keys > 0 && options->pipeline_max > 0 &&
              options->batch_commands_max > 0);
    c->options = *options;
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
        client->node = any_port(c, &client->dice, 0);
        client->commands = memory_new(options->pipeline_max, sizeof *client->commands);
        c->wake_at[i] = think_time(c, &client->dice);
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
    for (uint32_t i = 0; i < c->options.count; i++)
        free(c->clients[i].commands);
    for (uint32_t i = 0; i <= NODE_ID_MAX; i++) {
        struct port *p = &c->ports[i];
        for (size_t k = 0; k < p->in_flight_count; k++)
            batch_free(p->in_flight[k]);
        free(p->in_flight);
        free(p->queue);
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

/* ---- Words, and values of many bytes ---- */

/* Writes `initial` and a number to `out` (NAME_BYTES bytes); returns the length. */
static size_t write_name(char initial, uint64_t number, char *out)
{
    uint8_t digits[DECIMAL_MAX];
    size_t len = decimal_write_unsigned(number, digits);
    out[0] = initial;
    memcpy(out + 1, digits, len);
    out[len + 1] = 0;
    return len + 1;
}

/* True when the operation writes a long value: its word, and letters up to value_bytes_max. */
static bool writes_long(const struct clients *c, size_t operation)
{
    const struct operation *o = history_get(c->options.history, operation);
    return c->options.value_bytes_max > NAME_BYTES && sort_of(o->key) == KEY_REGISTER && o->value[0] != 0 &&
           operation * UINT64_C(0x9e3779b97f4a7c15) >> 32 < (UINT64_C(1) << 32) / c->options.long_value_once_in;
}

/* The value that an operation writes. Its memory belongs to the clients or to the history. */
static struct bytes value_of(struct clients *c, size_t operation)
{
    const struct operation *o = history_get(c->options.history, operation);
    size_t len = strlen(o->value);
    if (!writes_long(c, operation))
        return (struct bytes){(uint8_t *)(uintptr_t)o->value, len};
    memcpy(c->value, o->value, len);
    for (size_t i = len; i < c->options.value_bytes_max; i++)
        c->value[i] = (uint8_t)('A' + (operation + i) % 26);
    return (struct bytes){c->value, c->options.value_bytes_max};
}

/* Finds the word in a value that was read. `*len` is its length; if the value is no word that was written, the length of the
 * whole, as the judge will see. False: it is the word of a long value, followed by something else. */
static bool read_word(struct clients *c, struct bytes value, size_t *len)
{
    size_t digits = 0;
    uint64_t number = 0;
    *len = value.len;
    while (1 + digits < value.len && digits < DECIMAL_MAX && value.ptr[1 + digits] >= '0' && value.ptr[1 + digits] <= '9')
        digits++;
    if (value.len == 0 || value.ptr[0] != 'w' || !decimal_read_unsigned(value.ptr + 1, digits, &number) ||
        number >= history_count(c->options.history) || !writes_long(c, (size_t)number))
        return true;
    struct bytes written = value_of(c, (size_t)number);
    *len = 1 + digits;
    return written.len == value.len && memcmp(written.ptr, value.ptr, value.len) == 0;
}

/* ---- The outcome of a command ---- */

/* The command is over, with this outcome; an answer is in the history already. A read that clients_resume wants stays on its
 * list until it is done. */
static void conclude(struct clients *c, struct client *client, struct command_sent *command, enum operation_outcome outcome)
{
    if (command->state == COMMAND_SENT)
        client->sent--;
    else
        client->refused--;
    command->state = COMMAND_OVER;
    if (outcome == OPERATION_OK) {
        c->statistics.executed++;
        return;
    }
    history_return(c->options.history, command->operation, outcome, 0, NULL, 0, c->now);
    c->statistics.refused += outcome == OPERATION_REFUSED ? 1 : 0;
    c->statistics.unknown += outcome == OPERATION_UNKNOWN ? 1 : 0;
    if (client->reads) {
        c->to_read = memory_reserve(c->to_read, &c->to_read_capacity, c->to_read_count + 1, sizeof *c->to_read);
        c->to_read[c->to_read_count++] = history_get(c->options.history, command->operation)->key;
    }
}

/* Sets the time at which the client acts next. Ends its round if that is over. */
static void schedule(struct clients *c, struct client *client)
{
    uint64_t *wake_at = &c->wake_at[client->index];
    if (client->sent > 0) {
        *wake_at = client->deadline;
    } else if (client->refused > 0) {
        *wake_at = c->now + client->delay_us;
        if (*wake_at > client->deadline)
            *wake_at = client->deadline;
    } else {
        client->count = 0;
        *wake_at = c->stopped && c->to_read_count == 0 ? never : c->now + think_time(c, &client->dice);
    }
}

/* Why a node's port, or the node, refuses a command. */
struct refusal {
    enum { MOVED, BUSY, GONE } why;
    uint32_t node;
    uint32_t leader; /* MOVED: which node leads; 0: not known */
};

/* The command is refused: it will be sent again, or its client drops it. */
static void refuse(struct clients *c, struct client *client, struct command_sent *command, struct refusal r)
{
    struct dice *d = &client->dice;
    c->statistics.moved += r.why == MOVED ? 1 : 0;
    c->statistics.busy += r.why == BUSY ? 1 : 0;
    if (command->state == COMMAND_SENT) {
        command->state = COMMAND_REFUSED;
        client->sent--;
        client->refused++;
    }
    if (dice_roll(d, LET_BE_ONCE_IN) == 0)
        conclude(c, client, command, OPERATION_REFUSED);
    if (r.why == MOVED && node_set_has(c->options.ports, r.leader)) {
        client->node = r.leader;
        client->delay_us = dice_range(d, REDIRECT_US_MIN, REDIRECT_US_MAX);
        return;
    }
    if (r.why != BUSY)
        client->node = any_port(c, d, node_set_of(r.node));
    client->delay_us = dice_range(d, BACK_OFF_US_MIN, BACK_OFF_US_MAX);
}

/* The client that waits for this answer; NULL: it has given up. */
static struct client *waits(struct clients *c, const struct origin *o)
{
    struct client *client = &c->clients[o->client];
    return client->round == o->round && client->count > 0 ? client : NULL;
}

static void refuse_origin(struct clients *c, const struct origin *o, struct refusal r)
{
    struct client *client = waits(c, o);
    if (client == NULL)
        return;
    refuse(c, client, &client->commands[o->index], r);
    schedule(c, client);
}

static void conclude_origin(struct clients *c, const struct origin *o, enum operation_outcome outcome)
{
    struct client *client = waits(c, o);
    if (client == NULL)
        return;
    conclude(c, client, &client->commands[o->index], outcome);
    schedule(c, client);
}

/* ---- Rounds ---- */

static uint8_t roll_kind(struct dice *d, uint32_t key)
{
    enum {
        G = OPERATION_GET,
        S = OPERATION_SET,
        I = OPERATION_INCR,
        A = OPERATION_APPEND,
        D = OPERATION_DEL,
        X = OPERATION_GETSET
    };
    static const uint8_t kinds[KEY_SORTS][10] = {
        [KEY_COUNTER] = {I, I, I, I, I, G, G, G, G, D},
        [KEY_REGISTER] = {S, S, S, S, G, G, G, G, X, D},
        [KEY_TEXT] = {A, A, A, A, G, G, G, S, X, D},
    };
    return kinds[sort_of(key)][dice_roll(d, 10)];
}

/* The next operation of a client. The first keys are used more often than the last ones. */
static struct operation roll_operation(struct clients *c, struct client *client)
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
    o.kind = roll_kind(d, key->number);
    if (o.kind == OPERATION_SET || o.kind == OPERATION_APPEND || o.kind == OPERATION_GETSET)
        write_name('w', history_count(c->options.history), o.value);
    if (--key->operations_left == 0)
        renew_key(c, key, d);
    return o;
}

static void enqueue(struct clients *c, struct port *p, const struct origin *o)
{
    if (p->queue_from >= PORT_COMMANDS_MAX) {
        p->queue_to -= p->queue_from;
        memmove(p->queue, p->queue + p->queue_from, p->queue_to * sizeof *p->queue);
        p->queue_from = 0;
    }
    p->queue = memory_reserve(p->queue, &p->queue_capacity, p->queue_to + 1, sizeof *p->queue);
    p->queue[p->queue_to++] = *o;
    c->waiting++;
}

/* True when the port keeps commands for its node. */
static bool takes_commands(const struct port *p, uint32_t node)
{
    return p->up && (p->leader == node || (p->leader != 0 && p->forwards));
}

/* Sends the commands that no node has to the node that the client is connected to. */
static void send_commands(struct clients *c, struct client *client)
{
    uint32_t node = client->node;
    struct port *p = &c->ports[node];
    for (uint32_t i = 0; i < client->count; i++) {
        struct command_sent *command = &client->commands[i];
        if (command->state != COMMAND_REFUSED)
            continue;
        if (!takes_commands(p, node)) {
            refuse(c, client, command, (struct refusal){p->up ? MOVED : GONE, node, p->leader});
        } else if (p->queue_to - p->queue_from == PORT_COMMANDS_MAX) {
            refuse(c, client, command, (struct refusal){BUSY, node, 0});
        } else {
            enqueue(c, p, &(struct origin){client->index, client->round, i, command->operation});
            command->state = COMMAND_SENT;
            client->refused--;
            client->sent++;
        }
    }
    schedule(c, client);
}

static void begin_round(struct clients *c, struct client *client)
{
    uint64_t count = 1 + dice_roll(&client->dice, c->options.pipeline_max);
    client->round++;
    client->deadline = c->now + c->options.patience_us;
    client->reads = c->stopped;
    if (c->stopped && count > c->to_read_count)
        count = c->to_read_count;
    for (uint64_t i = 0; i < count; i++) {
        struct operation o = {.client = client->index, .kind = OPERATION_GET, .call_us = c->now};
        if (c->stopped)
            o.key = c->to_read[--c->to_read_count];
        else
            o = roll_operation(c, client);
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
            conclude(c, client, command, command->state == COMMAND_SENT ? OPERATION_UNKNOWN : OPERATION_REFUSED);
    }
    client->node = any_port(c, &client->dice, node_set_of(client->node));
    schedule(c, client);
}

uint64_t clients_next(const struct clients *c)
{
    uint64_t next = never;
    for (uint32_t i = 0; i < c->options.count; i++)
        next = c->wake_at[i] < next ? c->wake_at[i] : next;
    return next;
}

static node_set nodes_waiting(const struct clients *c)
{
    node_set nodes = 0;
    for (node_set i = c->options.ports; i != 0; i &= i - 1)
        if (clients_waiting(c, node_set_first(i)))
            nodes |= i & -i;
    return nodes;
}

node_set clients_run(struct clients *c, uint64_t now)
{
    node_set before = nodes_waiting(c);
    hear_time(c, now);
    for (uint32_t i = 0; i < c->options.count; i++) {
        struct client *client = &c->clients[i];
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

bool clients_waiting(const struct clients *c, uint32_t node)
{
    return node <= NODE_ID_MAX && c->ports[node].queue_from < c->ports[node].queue_to;
}

/* Takes up to `max` waiting commands out of the queue: `*count` origins, valid until something is sent. */
static const struct origin *take_waiting(struct clients *c, struct port *p, size_t max, size_t *count)
{
    const struct origin *first = p->queue + p->queue_from;
    *count = p->queue_to - p->queue_from < max ? p->queue_to - p->queue_from : max;
    p->queue_from += *count;
    if (p->queue_from == p->queue_to)
        p->queue_from = p->queue_to = 0;
    c->waiting -= *count;
    return first;
}

static void add_command(struct clients *c, struct batch_builder *b, size_t operation)
{
    static const char *const names[OPERATION_KINDS] = {"GET", "SET", "INCR", "APPEND", "DEL", "GETSET"};
    const struct operation *o = history_get(c->options.history, operation);
    char key[NAME_BYTES];
    struct bytes args[3] = {{(uint8_t *)(uintptr_t)names[o->kind], strlen(names[o->kind])},
                            {(uint8_t *)key, write_name('k', o->key, key)}};
    if (o->value[0] != 0)
        args[2] = value_of(c, operation);
    batch_add(b, args, o->value[0] != 0 ? 3 : 2);
}

static struct batch *gather(struct clients *c, struct port *p)
{
    struct batch *b = c->spare_count > 0 ? c->spare[--c->spare_count] : memory_new(1, sizeof *b);
    char mark[NAME_BYTES];
    batch_begin(&b->builder);
    b->token = ++c->last_token;
    struct bytes args[2] = {{(uint8_t *)(uintptr_t)"GET", 3}, {(uint8_t *)mark, write_name('t', b->token, mark)}};
    batch_add(&b->builder, args, 2);
    const struct origin *origins = take_waiting(c, p, p->batch_commands_max, &b->count);
    b->origins = memory_reserve(b->origins, &b->capacity, b->count, sizeof *b->origins);
    memcpy(b->origins, origins, b->count * sizeof *origins);
    for (size_t i = 0; i < b->count; i++)
        add_command(c, &b->builder, b->origins[i].operation);
    return b;
}

struct packet_list clients_receive(struct clients *c, uint32_t node, uint64_t credit, uint64_t now)
{
    size_t count = 0;
    hear_time(c, now);
    for (struct port *p = &c->ports[node]; count < credit && clients_waiting(c, node); count++) {
        struct batch *b = gather(c, p);
        struct payload value = batch_end(&b->builder);
        p->in_flight = memory_reserve(p->in_flight, &p->in_flight_capacity, p->in_flight_count + 1, sizeof(struct batch *));
        p->in_flight[p->in_flight_count++] = b;
        c->in_flight++;
        c->packets = memory_reserve(c->packets, &c->packets_capacity, count + 1, sizeof *c->packets);
        c->packets[count] =
            (struct packet){.id = b->token, .kind = (uint32_t)b->count + 1, .len = value.len, .words = value.words};
    }
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

/* True when this operation may have this reply. `*len` of its bytes are the answer (for operations that answer a value). */
static bool reply_fits(struct clients *c, size_t operation, const struct reply_item *reply, size_t *len)
{
    const struct operation *o = history_get(c->options.history, operation);
    *len = reply->bytes.len;
    switch (o->kind) {
    case OPERATION_SET:
        return reply->tag == REPLY_STATUS && reply->bytes.len == 2 && memcmp(reply->bytes.ptr, "OK", 2) == 0;
    case OPERATION_GET:
    case OPERATION_GETSET:
        if (reply->tag == REPLY_BYTES && sort_of(o->key) == KEY_REGISTER)
            return read_word(c, reply->bytes, len);
        return reply->tag == REPLY_BYTES || reply->tag == REPLY_NIL;
    default:
        return reply->tag == REPLY_INTEGER;
    }
}

/* What the state machine may say instead of executing a command: that its reply has no room beside the others of its batch,
 * so that it may be sent again; or that its value has no room. The judge sees that the command has no effect then. */
static bool take_refusal(struct clients *c, uint32_t node, const struct origin *o, const struct reply_item *reply)
{
    const char *text = (const char *)reply->bytes.ptr;
    if (reply->tag != REPLY_ERROR || !c->options.may_be_refused || reply->bytes.len < 5)
        return false;
    const bool busy = memcmp(text, REPLY_BUSY, strlen(REPLY_BUSY)) == 0, full = memcmp(text, "OOM ", 4) == 0;
    if (busy)
        refuse_origin(c, o, (struct refusal){BUSY, node, 0});
    else if (full)
        conclude_origin(c, o, OPERATION_REFUSED);
    c->statistics.no_reply_room += busy;
    c->statistics.no_state_room += full;
    return busy || full;
}

static bool take_reply(struct clients *c, uint32_t node, const struct origin *o, const struct reply_item *reply)
{
    size_t len;
    if (take_refusal(c, node, o, reply))
        return true;
    bool fits = reply_fits(c, o->operation, reply, &len);
    if (fits && waits(c, o) != NULL)
        history_return(c->options.history, o->operation, OPERATION_OK, reply->integer,
                       reply->tag == REPLY_BYTES ? (const char *)reply->bytes.ptr : NULL, len, c->now);
    conclude_origin(c, o, fits ? OPERATION_OK : OPERATION_UNKNOWN);
    return fits;
}

/* Hands the replies to an executed batch to its clients. */
static bool take_replies(struct clients *c, uint32_t node, const struct batch *b, const struct payload *replies)
{
    struct reply_item reply;
    size_t offset = 0;
    bool whole = replies_count(replies) == b->count + 1 && replies_next(replies, &offset, &reply);
    bool fits = whole && reply.tag == REPLY_NIL; /* the key that the first command reads was never set */
    for (size_t i = 0; i < b->count; i++) {
        if (whole && replies_next(replies, &offset, &reply))
            fits &= take_reply(c, node, &b->origins[i], &reply);
        else
            conclude_origin(c, &b->origins[i], OPERATION_UNKNOWN);
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
            refuse_origin(c, &b->origins[i], (struct refusal){MOVED, node, answer->kind >> 8});
        else if (outcome == OUTCOME_BUSY)
            refuse_origin(c, &b->origins[i], (struct refusal){BUSY, node, 0});
        else
            conclude_origin(c, &b->origins[i], OPERATION_UNKNOWN);
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
    size_t count;
    if (!clients_waiting(c, node))
        return;
    const struct origin *origins = take_waiting(c, &c->ports[node], SIZE_MAX, &count);
    for (size_t i = 0; i < count; i++)
        refuse_origin(c, &origins[i], r);
}

void clients_leader(struct clients *c, uint32_t node, uint32_t leader)
{
    struct port *p = &c->ports[node];
    p->leader = leader;
    if (!takes_commands(p, node))
        refuse_waiting(c, node, (struct refusal){MOVED, node, leader});
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
    refuse_waiting(c, node, (struct refusal){GONE, node, 0});
    for (size_t i = 0; i < p->in_flight_count; i++) {
        for (size_t k = 0; k < p->in_flight[i]->count; k++)
            conclude_origin(c, &p->in_flight[i]->origins[k], OPERATION_UNKNOWN);
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

struct clients_statistics clients_statistics(const struct clients *c) { return c->statistics; }
