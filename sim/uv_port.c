#include "sim/uv_port.h"

#include "core/base/cursor.h"
#include "core/base/memory.h"
#include "core/formats/batch.h"
#include "core/formats/config_frame.h"
#include "core/formats/decimal.h"
#include "io/client_internal.h"

enum {
    MARK_SIZE = 1 + DECIMAL_MAX,
    NIL_REPLY_WORDS = 1,
    INTEGER_REPLY_WORDS = 2,
    SPARE_BYTES = 64 * 1024, /* what a connection may have beside what is counted: buffers that idle ones keep, a ring */
};

/* A batch that the node has: its token here and at the port. */
struct token {
    uint64_t ours, ports;
    uint32_t commands;
    bool reads;
};

struct client_port {
    struct client_port_options options;
    uv_loop_t loop;
    struct client_server *server;
    struct token *tokens;
    size_t count, capacity;
    struct packet *packets;
    struct batch_builder *builders; /* of the packets */
    size_t packets_capacity, builders_capacity, builders_used;
    struct batch_commands commands;
    uint64_t *replies;
    size_t replies_capacity;
    char wrong[256];
};

/* The logger of what is compiled for the simulated world (sim/uv_names.h): what is wrong shows in what clients are told. */
void logger_log(struct logger *l, uint32_t level, const char *part, const char *format, ...)
{
    (void)l;
    (void)level;
    (void)part;
    (void)format;
}

static void on_input(void *context) { (void)context; /* the world looks for itself */ }

static struct node_status on_status(void *context)
{
    const struct client_port *p = context;
    return (struct node_status){.node = p->options.node};
}

bool client_port_open(struct client_port **out, const struct client_port_options *options, struct problem *problem)
{
    struct client_port *p = memory_new(1, sizeof *p);
    p->options = *options;
    simuv_loop_init(&p->loop, options->sockets, NULL, options->node);
    const struct client_server_options server = {.config = options->config,
                                                 .node = options->node,
                                                 .on_input = on_input,
                                                 .status = on_status,
                                                 .seed = {options->node, 1},
                                                 .context = p};
    *out = p;
    return client_server_open(&p->server, &p->loop, &server, problem);
}

static void on_closed(void *context) { ((struct client_port *)context)->server = NULL; }

void client_port_kill(struct client_port *p)
{
    simuv_kill(&p->loop);
    client_server_close(p->server, on_closed, p);
    while (p->server != NULL || uv_run(&p->loop, UV_RUN_NOWAIT) != 0)
        uv_run(&p->loop, UV_RUN_NOWAIT);
    simuv_loop_close(&p->loop);
    for (size_t i = 0; i < p->builders_used; i++)
        batch_builder_free(&p->builders[i]);
    free(p->builders);
    free(p->packets);
    free(p->tokens);
    free(p->replies);
    batch_commands_free(&p->commands);
    free(p);
}

uint64_t client_port_next(struct client_port *p) { return simuv_next(&p->loop); }

void client_port_run(struct client_port *p) { uv_run(&p->loop, UV_RUN_NOWAIT); }

/* ---- Batches ---- */

bool client_port_waiting(const struct client_port *p, struct credit credit)
{
    return client_server_waiting(p->server, credit);
}

size_t client_port_in_flight(const struct client_port *p) { return p->count; }

/* The batch once more, with the mark in front: a command that names it, and publishes that name if it may (P26). */
static struct payload mark(struct client_port *p, struct batch_builder *b, uint64_t token, const struct packet *batch)
{
    uint8_t key[MARK_SIZE] = {'t'};
    const size_t digits = decimal_write_unsigned(token, key + 1);
    const bool reads = (batch->kind & CLIENT_READS) != 0;
    const char *verb = reads ? "GET" : "PUBLISH";
    const struct bytes command[] = {{(uint8_t *)(uintptr_t)verb, strlen(verb)}, {key, 1 + digits}, {key, 1 + digits}};
    const struct payload value = {.words = batch->words, .len = batch->len};
    uint64_t age;
    const bool read = batch_commands_read(&p->commands, &value);
    invariant(read && p->commands.count == (batch->kind & ~CLIENT_READS));
    batch_begin(b);
    batch_add(b, command, reads ? 2 : 3);
    for (size_t i = 0; i < p->commands.count; i++)
        batch_add(b, p->commands.commands[i].args.ptr, p->commands.commands[i].args.len);
    struct payload marked = batch_end(b);
    if (batch_may_be_stale(&value, &age))
        batch_stale_stamp(&marked, (uint32_t)(age / 1000));
    return marked;
}

static struct batch_builder *builder_at(struct client_port *p, size_t i)
{
    const size_t had = p->builders_used;
    if (i < had)
        return &p->builders[i];
    p->builders = memory_reserve(p->builders, &p->builders_capacity, i + 1, sizeof *p->builders);
    memset(p->builders + had, 0, (i + 1 - had) * sizeof *p->builders);
    p->builders_used = i + 1;
    return &p->builders[i];
}

struct packet_list client_port_receive(struct client_port *p, struct credit credit)
{
    const struct packet_list batches = client_server_receive(p->server, credit);
    p->packets = memory_reserve(p->packets, &p->packets_capacity, batches.len, sizeof *p->packets);
    for (size_t i = 0; i < batches.len; i++) {
        const struct packet *batch = &batches.ptr[i];
        const uint64_t token = p->options.token(p->options.context);
        const struct payload value = mark(p, builder_at(p, i), token, batch);
        p->tokens = memory_reserve(p->tokens, &p->capacity, p->count + 1, sizeof *p->tokens);
        p->tokens[p->count++] =
            (struct token){token, batch->id, batch->kind & ~CLIENT_READS, (batch->kind & CLIENT_READS) != 0};
        p->packets[i] = (struct packet){.id = token, .kind = batch->kind + 1, .len = value.len, .words = value.words};
    }
    return (struct packet_list){p->packets, batches.len};
}

/* ---- Answers ---- */

static bool take_token(struct client_port *p, uint64_t ours, struct token *found)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->tokens[i].ours != ours)
            continue;
        *found = p->tokens[i];
        memmove(p->tokens + i, p->tokens + i + 1, (--p->count - i) * sizeof *p->tokens);
        return true;
    }
    return false;
}

/* Takes the first reply off: the key that a mark reads was never set, and no learner knows who is subscribed to what one
 * publishes. False: it is another one. */
static bool unmark(struct client_port *p, struct packet *answer, const struct token *token)
{
    const uint8_t tag = token->reads ? REPLY_NIL : REPLY_INTEGER;
    const size_t taken = token->reads ? NIL_REPLY_WORDS : INTEGER_REPLY_WORDS;
    const struct payload all = {.words = answer->words, .len = answer->len};
    struct reply_item first;
    size_t offset = 0;
    if (replies_count(&all) != token->commands + 1 || !replies_next(&all, &offset, &first) || first.tag != tag ||
        (tag == REPLY_INTEGER && first.integer != 0))
        return false;
    const size_t words = all.words.len - taken;
    p->replies = memory_reserve(p->replies, &p->replies_capacity, words, sizeof *p->replies);
    p->replies[0] = all.words.ptr[0];
    memcpy(p->replies + 1, all.words.ptr + 1 + taken, (words - 1) * sizeof *p->replies);
    cursor_store_u32((uint8_t *)p->replies + 4, token->commands);
    answer->words = (struct words){p->replies, words};
    answer->len -= (uint32_t)taken * 8;
    return true;
}

bool client_port_reply(struct client_port *p, const struct packet *answer, uint64_t slot)
{
    struct token token;
    struct packet handed = *answer;
    if (!take_token(p, answer->id, &token))
        return false;
    bool fits = (uint8_t)answer->kind <= OUTCOME_UNKNOWN;
    if ((uint8_t)answer->kind == OUTCOME_EXECUTED)
        fits = unmark(p, &handed, &token);
    handed.id = token.ports;
    client_server_reply(p->server, (const struct packet[]){{.id = slot, .kind = CLIENT_SLOT}, handed}, 2);
    return fits;
}

void client_port_leader(struct client_port *p, uint64_t node, uint64_t round)
{
    client_server_leader(p->server, node, round);
}

void client_port_status(struct client_port *p, const struct packet *status)
{
    if (status->kind == STATUS_COMMANDS)
        client_server_describe(p->server, status);
    else
        client_server_room(p->server, status->kind != STATUS_NO_ROOM);
}

/* ---- What it holds ---- */

static uint64_t early_bytes(const struct client_connection *c)
{
    uint64_t bytes = 0;
    for (uint32_t at = c->head; at != c->tail; at++)
        if (c->ring[at & (c->ring_size - 1)].early != NULL)
            bytes += c->ring[at & (c->ring_size - 1)].len;
    return bytes;
}

/* Bytes of requests not taken, and of replies not read. */
static uint64_t held_by(const struct client_connection *c)
{
    return c->out.len + (c->sent.len - c->sent_at) + early_bytes(c) + c->late_bytes + (c->in_end - c->in_at);
}

bool client_port_full(const struct client_port *p) { return client_turns_pressed(p->server); }

const char *client_port_audit(struct client_port *p)
{
    const struct client_server *s = p->server;
    const uint64_t limit = s->options.config->client_bytes_all_max;
    uint64_t counted = 0, held = 0, waiting = 0, connections = 0;
    const struct client_connection *c;
    for (size_t at = 0; (c = slots_next(&s->connections, &at)) != NULL;) {
        connections++;
        counted += c->buffered;
        waiting += c->waiting;
        held += c->out.capacity + c->sent.capacity + c->in_capacity + early_bytes(c) + c->late_bytes;
        if (held_by(c) > c->buffered) {
            snprintf(p->wrong, sizeof p->wrong, "it holds %llu bytes for a client and counts %llu",
                     (unsigned long long)held_by(c), (unsigned long long)c->buffered);
            return p->wrong;
        }
    }
    if (counted != s->buffered || waiting > s->statistics.waiting_bytes || connections != s->statistics.connections)
        return "what it counts for its clients is not what it counts for each";
    if (held + waiting > limit + limit / 4 + (connections + 1) * SPARE_BYTES) {
        snprintf(p->wrong, sizeof p->wrong, "it holds %llu bytes for %llu clients, and client_bytes_all_max is %llu",
                 (unsigned long long)(held + waiting), (unsigned long long)connections, (unsigned long long)limit);
        return p->wrong;
    }
    return NULL;
}
