/* The outcome of what simulated clients send: what a reply means, what a refusal leads to, and when a client goes on. */
#include "sim/clients_internal.h"

#include "core/base/memory.h"
#include "core/formats/decimal.h"

enum {
    LET_BE_ONCE_IN = 8,
    REDIRECT_US_MIN = 100, /* until a client has connected to the node that it was sent to */
    REDIRECT_US_MAX = 500,
    BACK_OFF_US_MIN = 5000,
    BACK_OFF_US_MAX = 50000,
};

static const uint64_t never = UINT64_MAX;

uint32_t clients_any_port(const struct clients *c, struct dice *d, node_set but)
{
    node_set ports = c->options.ports & ~but;
    if (ports == 0)
        ports = c->options.ports;
    for (uint64_t skip = dice_roll(d, node_set_count(ports)); skip > 0; skip--)
        ports &= ports - 1;
    return node_set_first(ports);
}

uint64_t clients_think_time(const struct clients *c, struct dice *d)
{
    return 1 + dice_roll(d, 2 * c->options.think_us + 1);
}

/* ---- Words, and values of many bytes ---- */

/* Writes `initial` and a number to `out` (NAME_BYTES bytes); returns the length. */
size_t clients_write_name(char initial, uint64_t number, char *out)
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
    return c->options.value_bytes_max > NAME_BYTES && clients_key_sort(c, o->key) == KEY_REGISTER && o->value[0] != 0 &&
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
void clients_conclude_one(struct clients *c, struct client *client, struct command_sent *command,
                          enum operation_outcome outcome)
{
    if (command->state == COMMAND_SENT)
        client->sent--;
    else
        client->refused--;
    command->state = COMMAND_OVER;
    if (command->attempted && outcome == OPERATION_REFUSED)
        outcome = OPERATION_UNKNOWN;
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
void clients_schedule(struct clients *c, struct client *client)
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
        *wake_at = c->stopped && c->to_read_count == 0 ? never : c->now + clients_think_time(c, &client->dice);
    }
}

/* The command is refused: it will be sent again, or its client drops it. */
void clients_refuse_one(struct clients *c, struct client *client, struct command_sent *command, struct refusal r)
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
        clients_conclude_one(c, client, command, OPERATION_REFUSED);
    if (r.why == MOVED && node_set_has(c->options.ports, r.leader) && !client->readonly) {
        client->node = r.leader;
        client->delay_us = dice_range(d, REDIRECT_US_MIN, REDIRECT_US_MAX);
        return;
    }
    if (r.why != BUSY)
        client->node = clients_any_port(c, d, node_set_of(r.node));
    client->delay_us = dice_range(d, BACK_OFF_US_MIN, BACK_OFF_US_MAX);
}

/* The client that waits for this answer; NULL: it has given up. */
static struct client *waits(struct clients *c, const struct origin *o)
{
    struct client *client = &c->clients[o->client];
    const bool waits = client->round == o->round && client->count > 0 && client->commands[o->index].state != COMMAND_OVER;
    return waits ? client : NULL;
}

void clients_refuse(struct clients *c, const struct origin *o, struct refusal r)
{
    struct client *client = waits(c, o);
    if (client == NULL)
        return;
    clients_refuse_one(c, client, &client->commands[o->index], r);
    clients_schedule(c, client);
}

void clients_conclude(struct clients *c, const struct origin *o, enum operation_outcome outcome)
{
    struct client *client = waits(c, o);
    if (client == NULL)
        return;
    clients_conclude_one(c, client, &client->commands[o->index], outcome);
    clients_schedule(c, client);
}

void clients_lose(struct clients *c, const struct origin *o)
{
    struct client *client = waits(c, o);
    if (client == NULL || history_get(c->options.history, o->operation)->session == 0) {
        clients_conclude(c, o, OPERATION_UNKNOWN);
        return;
    }
    client->commands[o->index].attempted = true;
    clients_refuse_one(c, client, &client->commands[o->index], (struct refusal){GONE, client->node, 0});
    clients_schedule(c, client);
}

/* ---- Commands and their replies ---- */

static struct bytes text(const char *word) { return (struct bytes){(uint8_t *)(uintptr_t)word, strlen(word)}; }

static struct bytes number_in(uint8_t *out, uint64_t number)
{
    return (struct bytes){out, decimal_write_unsigned(number, out)};
}

size_t clients_command(struct clients *c, size_t operation, struct bytes args[CLIENT_ARGS_MAX])
{
    static const char *const names[OPERATION_KINDS] = {"GET",    "SET",  "INCR", "APPEND", "DEL",
                                                       "GETSET", "OPEN", "SET",  "PTTL",   "PERSIST"};
    const struct operation *o = history_get(c->options.history, operation);
    size_t count = 0;
    if (o->kind == OPERATION_OPEN || o->session != 0)
        args[count++] = text("SESSION");
    if (o->kind == OPERATION_OPEN) {
        args[count++] = text("OPEN");
        args[count++] = number_in(c->numbers[0], c->options.pipeline_max);
        return count;
    }
    if (o->session != 0) {
        args[count++] = number_in(c->numbers[0], o->session);
        args[count++] = number_in(c->numbers[1], o->number);
    }
    args[count++] = text(names[o->kind]);
    args[count++] = (struct bytes){(uint8_t *)c->key, clients_write_name('k', o->key, c->key)};
    if (o->value[0] != 0)
        args[count++] = value_of(c, operation);
    if (o->kind == OPERATION_LEASE) {
        args[count++] = text("PX");
        args[count++] = number_in(c->numbers[2], o->ms);
    }
    return count;
}

bool clients_is_twinned(const struct clients *c, size_t operation)
{
    const struct operation *o = history_get(c->options.history, operation);
    return c->options.transactions && !c->options.may_be_refused && o->kind != OPERATION_OPEN &&
           clients_key_sort(c, o->key) == KEY_COUNTER;
}

void clients_add_twinned(struct clients *c, struct batch_builder *b, size_t operation)
{
    enum { MOST = CLIENT_ARGS_MAX + 6 };
    struct bytes args[MOST];
    char twin[NAME_BYTES];
    const size_t count = clients_command(c, operation, args);
    const struct bytes name = args[count - 2], key = args[count - 1];
    memcpy(twin, key.ptr, key.len);
    twin[key.len] = 't';
    const struct bytes other = {(uint8_t *)twin, key.len + 1};
    if (history_get(c->options.history, operation)->kind == OPERATION_GET) {
        batch_add(b, (struct bytes[]){text("MGET"), key, other}, 3);
        return;
    }
    const struct bytes both[] = {text("EXEC"), text("0"), text("2"), name, key, text("2"), name, other};
    const size_t before = count - 2;
    invariant(before + sizeof both / sizeof both[0] <= MOST);
    memcpy(args + before, both, sizeof both);
    batch_add(b, args, before + sizeof both / sizeof both[0]);
}

bool clients_take_twins(const struct payload *replies, size_t *offset, struct reply_item *reply)
{
    struct reply_item one, other;
    if (reply->elements != 2 || !replies_next(replies, offset, &one) || !replies_next(replies, offset, &other))
        return false;
    *reply = one;
    const bool same = one.bytes.len == other.bytes.len &&
                      (one.bytes.len == 0 || memcmp(one.bytes.ptr, other.bytes.ptr, one.bytes.len) == 0);
    return one.tag == other.tag && one.integer == other.integer && same;
}

/* True when this operation may have this reply. `*len` of its bytes are the answer (for operations that answer a value). */
static bool reply_fits(struct clients *c, size_t operation, const struct reply_item *reply, size_t *len)
{
    const struct operation *o = history_get(c->options.history, operation);
    *len = reply->bytes.len;
    switch (o->kind) {
    case OPERATION_SET:
    case OPERATION_LEASE:
        return reply->tag == REPLY_STATUS && reply->bytes.len == 2 && memcmp(reply->bytes.ptr, "OK", 2) == 0;
    case OPERATION_GET:
    case OPERATION_GETSET:
        if (reply->tag == REPLY_BYTES && clients_key_sort(c, o->key) == KEY_REGISTER)
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
        clients_refuse(c, o, (struct refusal){BUSY, node, 0});
    else if (full)
        clients_conclude(c, o, OPERATION_REFUSED);
    c->statistics.no_reply_room += busy;
    c->statistics.no_state_room += full;
    return busy || full;
}

/* What is said of a command of a session instead of executing it again. False: that is not it, or it cannot be. */
static bool take_session_error(struct clients *c, const struct origin *o, const struct reply_item *reply)
{
    const char *words = (const char *)reply->bytes.ptr;
    if (reply->tag != REPLY_ERROR || history_get(c->options.history, o->operation)->session == 0)
        return false;
    struct client *client = waits(c, o);
    if (client == NULL)
        return true; /* it has got its answer, or has given up and is beyond its window by now */
    const bool unknown = reply->bytes.len > 9 && memcmp(words, "NOSESSION", 9) == 0;
    const bool lost = reply->bytes.len > 12 && memcmp(words, "SESSIONREPLY", 12) == 0;
    if (unknown)
        client->session.id = 0;
    if (unknown || lost)
        clients_conclude(c, o, OPERATION_UNKNOWN);
    return unknown || lost;
}

size_t clients_writer_of(const struct clients *c, const struct reply_item *reply)
{
    const size_t count = history_count(c->options.history);
    size_t digits = 0;
    uint64_t number = 0;
    if (reply->tag != REPLY_BYTES || reply->bytes.len < 2 || reply->bytes.ptr[0] != 'w')
        return count;
    while (1 + digits < reply->bytes.len && reply->bytes.ptr[1 + digits] >= '0' && reply->bytes.ptr[1 + digits] <= '9')
        digits++;
    return decimal_read_unsigned(reply->bytes.ptr + 1, digits, &number) && number < count ? (size_t)number : count;
}

/* A client sends a round's commands in order, on one connection. So a read sees what is before it in its round, and nothing
 * of what comes after it. The word that it reads tells, where each was sent once: it must not be that of a later write, nor
 * one that was there before the round where a write of the round has followed. */
static bool is_in_order(const struct clients *c, const struct client *client, const struct origin *o,
                        const struct reply_item *reply)
{
    const struct operation *read = history_get(c->options.history, o->operation);
    const size_t writer = clients_writer_of(c, reply);
    if (read->kind != OPERATION_GET || clients_key_sort(c, read->key) != KEY_REGISTER ||
        client->commands[o->index].times != 1 || writer == history_count(c->options.history))
        return true;
    const bool is_older = history_get(c->options.history, writer)->return_us < read->call_us;
    for (uint32_t i = 0; i < client->count; i++) {
        const struct command_sent *other = &client->commands[i];
        const struct operation *write = history_get(c->options.history, other->operation);
        const bool counts = write->key == read->key && write->kind == OPERATION_SET && other->times == 1;
        if (counts &&
            (i > o->index ? other->operation == writer : is_older && write->outcome == OPERATION_OK && i < o->index))
            return false;
    }
    return true;
}

bool clients_take_reply(struct clients *c, uint32_t node, const struct origin *o, const struct reply_item *reply)
{
    size_t len;
    if (take_refusal(c, node, o, reply) || take_session_error(c, o, reply))
        return true;
    const struct client *client = waits(c, o);
    bool fits = reply_fits(c, o->operation, reply, &len) && (client == NULL || is_in_order(c, client, o, reply));
    if (fits && client != NULL && history_get(c->options.history, o->operation)->kind == OPERATION_OPEN)
        c->clients[o->client].session = (struct client_session){.id = (uint64_t)reply->integer};
    if (fits && client != NULL)
        history_return(c->options.history, o->operation, OPERATION_OK, reply->integer,
                       reply->tag == REPLY_BYTES ? (const char *)reply->bytes.ptr : NULL, len, c->now);
    clients_conclude(c, o, fits ? OPERATION_OK : OPERATION_UNKNOWN);
    return fits;
}
