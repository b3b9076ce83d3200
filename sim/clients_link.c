/* A client's connection to a client port that ships: RESP over a simulated socket.
 *
 *   1. Commands are written one after the other, and *expected* has what each reply is to be, in the same order: an
 *      answer to an operation, the name of a node, or the echo of a word that no other client has sent. An echo is answered
 *      by the port, at once: it would overtake the answers of the node if the port let it. Every other connection asks for
 *      the name at first, as clients do that know clusters: then the port may say -MOVED.
 *   2. A reply is the next expected one's. A value that was read names the operation that wrote it: it must be of the
 *      same key.
 *   3. When the connection ends, a command of which the socket has taken the last byte may have been executed, whatever
 *      was said of it. The others cannot have been: not even those of which the node may have a part.
 *   4. Some clients read little at a time, or nothing for a while, and end their connections in the rude way. */
#include <errno.h>
#include <stdio.h>

#include "core/base/memory.h"
#include "core/formats/decimal.h"
#include "core/formats/resp.h"
#include "sim/clients_internal.h"
#include "sim/uv_port.h"

enum {
    STREAM = 0x6c696e6b,
    ECHO_ONCE_IN = 8,
    STALL_ONCE_IN = 200, /* reads */
    STALL_US_MAX = 2000000,
    READS_MAX = 16, /* at a time */
    READ_MAX = 4096,
    HOST_OF_CLIENTS = 100, /* the first client's */
    HOSTS_OF_CLIENTS = 100,
    WORD_SIZE = 40,
    NAME_SIZE = 40,
};

static const uint64_t never = UINT64_MAX;

struct expected {
    enum { OF_OPERATION, OF_ECHO, OF_NAME, OF_READONLY } kind;
    uint64_t number; /* of the word that is echoed */
    struct origin origin;
    uint64_t end; /* of the request, in bytes written to this connection */
};

struct client_link {
    struct sock *sock;
    uint32_t node;
    bool connected;
    bool is_passed_on;      /* the node's port passes its commands on, so it must not hear -MOVED */
    struct resp_buffer out; /* to be written, from out_at on */
    size_t out_at;
    uint64_t sent;             /* bytes that the socket has taken */
    struct expected *expected; /* [from, to) */
    size_t from, to, capacity;
    struct resp_buffer in; /* read, from in_at on */
    size_t in_at;
    uint64_t stalled_until;
    struct dice dice;
};

static void wrong(struct clients *c, const struct client *client, const char *what)
{
    if (c->wrong[0] == 0)
        snprintf(c->wrong, sizeof c->wrong, "client %u of node %u: %s", client->index, client->link->node, what);
}

/* ---- Connections ---- */

static void client_link_open(struct clients *c, struct client *client)
{
    struct client_link *l = memory_new(1, sizeof *l);
    l->node = client->node;
    l->is_passed_on = c->ports[l->node].forwards;
    l->dice = dice_new(c->options.seed + client->index, STREAM + dice_next(&client->dice) % 1000000);
    l->sock =
        sockets_connect(c->options.sockets, HOST_OF_CLIENTS + client->index % HOSTS_OF_CLIENTS, l->node, CLIENT_PORT_NUMBER);
    client->link = l;
}

static void client_link_free(struct client_link *l)
{
    resp_buffer_close(&l->out);
    resp_buffer_close(&l->in);
    free(l->expected);
    free(l);
}

void client_link_close(struct clients *c, struct client *client)
{
    struct client_link *l = client->link;
    (void)c;
    if (l == NULL)
        return;
    client->link = NULL;
    if (dice_roll(&l->dice, 2) == 0)
        sock_close(l->sock);
    else
        sock_abort(l->sock);
    client_link_free(l);
}

/* The connection has ended. */
static void lost(struct clients *c, struct client *client)
{
    struct client_link *l = client->link;
    client->link = NULL;
    sock_close(l->sock);
    for (size_t i = l->from; i < l->to; i++) {
        const struct expected *e = &l->expected[i];
        if (e->kind != OF_OPERATION)
            continue;
        if (e->end <= l->sent)
            clients_lose(c, &e->origin);
        else
            clients_refuse(c, &e->origin, (struct refusal){GONE, l->node, 0});
    }
    client_link_free(l);
}

/* ---- Requests ---- */

static void write_request(struct client_link *l, const struct bytes *args, size_t count, struct expected e)
{
    resp_array(&l->out, count);
    for (size_t i = 0; i < count; i++)
        resp_bytes(&l->out, args[i].ptr, args[i].len);
    e.end = l->sent + (l->out.len - l->out_at);
    l->expected = memory_reserve(l->expected, &l->capacity, l->to + 1, sizeof *l->expected);
    l->expected[l->to++] = e;
}

static size_t write_word(const struct client *client, uint64_t number, char out[WORD_SIZE])
{
    return (size_t)snprintf(out, WORD_SIZE, "e%u.%llu", client->index, (unsigned long long)number);
}

static void send_echo(struct clients *c, struct client *client)
{
    struct client_link *l = client->link;
    char word[WORD_SIZE];
    const uint64_t number = ++c->last_word;
    const size_t len = write_word(client, number, word);
    const struct bytes args[2] = {{(uint8_t *)(uintptr_t)"ECHO", 4}, {(uint8_t *)word, len}};
    write_request(l, args, 2, (struct expected){.kind = OF_ECHO, .number = number});
}

/* CLUSTER MYID: from now on the port may say where the leader is. */
static void ask_name(struct client_link *l)
{
    const struct bytes args[2] = {{(uint8_t *)(uintptr_t)"CLUSTER", 7}, {(uint8_t *)(uintptr_t)"MYID", 4}};
    write_request(l, args, 2, (struct expected){.kind = OF_NAME});
    l->is_passed_on = false;
}

static void send_readonly(struct client *client, uint32_t stale_ms)
{
    uint8_t age[DECIMAL_MAX];
    const struct bytes words[] = {{(uint8_t *)(uintptr_t)"READONLY", 8},
                                  {(uint8_t *)(uintptr_t)"STALE", 5},
                                  {age, decimal_write_unsigned(stale_ms, age)}};
    write_request(client->link, words, stale_ms > 0 ? 3 : 1, (struct expected){.kind = OF_READONLY});
}

void client_link_send(struct clients *c, struct client *client, const struct origin *o)
{
    struct bytes args[CLIENT_ARGS_MAX];
    if (client->link != NULL && client->link->node != client->node)
        client_link_close(c, client);
    if (client->link == NULL) {
        client_link_open(c, client);
        if (dice_roll(&client->link->dice, 2) == 0)
            ask_name(client->link);
        if (client->readonly)
            send_readonly(client, c->options.stale_ms);
    }
    if (dice_roll(&client->link->dice, ECHO_ONCE_IN) == 0)
        send_echo(c, client);
    const size_t count = clients_command(c, o->operation, args);
    write_request(client->link, args, count, (struct expected){.origin = *o});
}

void client_link_flush(struct clients *c, struct client *client)
{
    struct client_link *l = client->link;
    (void)c;
    if (l == NULL || !l->connected)
        return;
    while (l->out_at < l->out.len) {
        const ptrdiff_t taken = sock_write(l->sock, l->out.data + l->out_at, l->out.len - l->out_at);
        if (taken < 0) {
            l->stalled_until = taken == -EAGAIN ? l->stalled_until : 0; /* the next read says it, too */
            return;
        }
        l->out_at += (size_t)taken;
        l->sent += (uint64_t)taken;
    }
    l->out.len = l->out_at = 0;
}

/* ---- Replies ---- */

/* The line that begins at `in_at`, without its end. False: it has not come yet. */
static bool read_line(const struct client_link *l, struct bytes *line)
{
    const uint8_t *from = l->in.data + l->in_at;
    const size_t len = l->in.len - l->in_at;
    const uint8_t *end = len > 0 ? memchr(from, '\n', len) : NULL;
    if (end == NULL)
        return false;
    *line = (struct bytes){(uint8_t *)(uintptr_t)from, (size_t)(end - from)};
    return true;
}

enum parsed { PARSED, PARTIAL, MALFORMED };

/* The bytes of a bulk string, after its line. */
static enum parsed parse_bytes(const struct client_link *l, size_t line, int64_t len, struct reply_item *reply, size_t *size)
{
    const size_t have = l->in.len - l->in_at;
    if (len < 0) {
        reply->tag = REPLY_NIL;
        return len == -1 ? PARSED : MALFORMED;
    }
    if (have < line + 1 + (size_t)len + 2)
        return PARTIAL;
    *reply = (struct reply_item){.tag = REPLY_BYTES, .bytes = {l->in.data + l->in_at + line + 1, (size_t)len}};
    *size += (size_t)len + 2;
    return l->in.data[l->in_at + *size - 1] == '\n' ? PARSED : MALFORMED;
}

/* The next reply, of `*size` bytes; its own bytes lie in the buffer. */
static enum parsed parse(const struct client_link *l, struct reply_item *reply, size_t *size)
{
    struct bytes line;
    int64_t number = 0;
    if (!read_line(l, &line))
        return PARTIAL;
    *size = line.len + 1;
    if (line.len < 2 || line.ptr[line.len - 1] != '\r')
        return MALFORMED;
    const struct bytes text = {line.ptr + 1, line.len - 2};
    const bool is_number = decimal_read(text.ptr, text.len, &number);
    *reply = (struct reply_item){.tag = line.ptr[0] == '+' ? REPLY_STATUS : REPLY_ERROR, .bytes = text};
    switch (line.ptr[0]) {
    case '+':
    case '-':
        return PARSED;
    case ':':
        *reply = (struct reply_item){.tag = REPLY_INTEGER, .integer = number};
        return is_number ? PARSED : MALFORMED;
    case '$':
        return is_number ? parse_bytes(l, line.len, number, reply, size) : MALFORMED;
    default:
        return MALFORMED;
    }
}

static bool begins(const struct bytes *text, const char *word)
{
    return text->len >= strlen(word) && memcmp(text->ptr, word, strlen(word)) == 0;
}

/* The node that -MOVED names: "MOVED 1234 192.0.2.7:6379". */
static uint32_t moved_to(const struct bytes *text)
{
    char copy[128] = "";
    unsigned slot, node = 0;
    memcpy(copy, text->ptr, text->len < sizeof copy - 1 ? text->len : sizeof copy - 1);
    return sscanf(copy, "MOVED %u 192.0.2.%u:", &slot, &node) == 2 ? node : 0;
}

/* What a port or a node says instead of executing a command. */
static bool take_error(struct clients *c, const struct client *client, const struct expected *e, const struct bytes *text)
{
    const uint32_t node = client->link->node;
    if (begins(text, "MOVED ") && client->link->is_passed_on && c->ports[node].forwards)
        wrong(c, client, "it is sent to another node, though it knows nothing of clusters and its node passes commands on");
    if (begins(text, "MOVED "))
        clients_refuse(c, &e->origin, (struct refusal){MOVED, node, moved_to(text)});
    else if (begins(text, "CLUSTERDOWN "))
        clients_refuse(c, &e->origin, (struct refusal){MOVED, node, 0});
    else if (begins(text, "NOROOM ") || begins(text, REPLY_BUSY))
        clients_refuse(c, &e->origin, (struct refusal){BUSY, node, 0});
    else if (begins(text, "ERR max number of clients"))
        clients_refuse(c, &e->origin, (struct refusal){GONE, node, 0});
    else if (begins(text, "UNKNOWN "))
        clients_lose(c, &e->origin);
    else
        return false;
    return true;
}

/* Whether a value, which opens with the word of an operation, was written to another key. */
static bool is_of_another_key(const struct clients *c, const struct expected *e, const struct reply_item *reply)
{
    const struct history *h = c->options.history;
    const size_t writer = clients_writer_of(c, reply);
    return writer < history_count(h) && history_get(h, writer)->key != history_get(h, e->origin.operation)->key;
}

static void take_echo(struct clients *c, const struct client *client, const struct expected *e,
                      const struct reply_item *reply)
{
    char word[WORD_SIZE];
    const size_t len = write_word(client, e->number, word);
    if (reply->tag == REPLY_ERROR && begins(&reply->bytes, "ERR max number of clients"))
        return;
    if (reply->tag != REPLY_BYTES || reply->bytes.len != len || memcmp(reply->bytes.ptr, word, len) != 0)
        wrong(c, client, "an echo is not that of the word that it sent, or does not come in its turn");
}

static void take_name(struct clients *c, const struct client *client, const struct reply_item *reply)
{
    if (reply->tag == REPLY_ERROR && begins(&reply->bytes, "ERR max number of clients"))
        return;
    if (reply->tag != REPLY_BYTES || reply->bytes.len != NAME_SIZE)
        wrong(c, client, "what it gets is not the name of a node, or does not come in its turn");
}

static void take(struct clients *c, struct client *client, const struct reply_item *reply)
{
    struct client_link *l = client->link;
    if (l->from == l->to) {
        if (!begins(&reply->bytes, "ERR max number of clients"))
            wrong(c, client, "it gets a reply that it has not asked for");
        return;
    }
    const struct expected e = l->expected[l->from++];
    if (l->from == l->to)
        l->from = l->to = 0;
    if (e.kind == OF_ECHO) {
        take_echo(c, client, &e, reply);
        return;
    }
    if (e.kind == OF_NAME) {
        take_name(c, client, reply);
        return;
    }
    if (e.kind == OF_READONLY) {
        if (reply->tag != REPLY_STATUS && !begins(&reply->bytes, "ERR max number of clients"))
            wrong(c, client, "READONLY is not answered with OK");
        return;
    }
    if (reply->tag == REPLY_ERROR && take_error(c, client, &e, &reply->bytes))
        return;
    if (is_of_another_key(c, &e, reply))
        wrong(c, client, "it reads the value of another key than it has asked for");
    else if (!clients_take_reply(c, l->node, &e.origin, reply))
        wrong(c, client, "a reply does not fit the command");
}

/* Takes all replies that have come whole. False: what has come is none. */
static bool take_all(struct clients *c, struct client *client)
{
    struct client_link *l = client->link;
    struct reply_item reply = {0};
    size_t size = 0;
    enum parsed parsed;
    while ((parsed = parse(l, &reply, &size)) == PARSED) {
        take(c, client, &reply);
        l->in_at += size;
    }
    l->in.len -= l->in_at;
    memmove(l->in.data, l->in.data + l->in_at, l->in.len);
    l->in_at = 0;
    return parsed == PARTIAL;
}

/* ---- What happens ---- */

uint64_t client_link_next(const struct clients *c, const struct client *client)
{
    const struct client_link *l = client->link;
    (void)c;
    if (l == NULL)
        return never;
    if (!l->connected)
        return sock_connected_at(l->sock);
    const uint64_t reads = sock_readable_at(l->sock);
    const uint64_t writes = l->out_at < l->out.len ? sock_writable_at(l->sock) : never;
    const uint64_t at = reads > l->stalled_until ? reads : l->stalled_until;
    return reads != never && at < writes ? at : writes;
}

/* False: the connection has ended. */
static bool read_some(struct clients *c, struct client *client)
{
    struct client_link *l = client->link;
    uint8_t bytes[READ_MAX];
    if (!c->stopped && dice_roll(&l->dice, STALL_ONCE_IN) == 0)
        l->stalled_until = c->now + dice_roll(&l->dice, STALL_US_MAX);
    for (size_t i = 0; i < READS_MAX && l->stalled_until <= c->now; i++) {
        const ptrdiff_t len = sock_read(l->sock, bytes, (size_t)dice_range(&l->dice, 1, sizeof bytes));
        if (len == -EAGAIN)
            return true;
        if (len < 0)
            return false;
        resp_raw(&l->in, bytes, (size_t)len);
        if (!take_all(c, client)) {
            wrong(c, client, "it reads bytes that are no reply");
            return false;
        }
    }
    return true;
}

void client_link_run(struct clients *c, struct client *client)
{
    struct client_link *l = client->link;
    if (!l->connected) {
        const int status = sock_connected(l->sock);
        if (status == -EAGAIN)
            return;
        if (status != 0) {
            lost(c, client);
            return;
        }
        l->connected = true;
    }
    client_link_flush(c, client);
    if (!read_some(c, client))
        lost(c, client);
}
