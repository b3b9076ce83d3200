/* Transactions (MULTI, EXEC, DISCARD, WATCH, UNWATCH). The commands between MULTI and EXEC are kept here, and go to the node
 * as one command (core/formats/transaction.h):
 *
 *                 MULTI                        a command that is refused
 *     NONE ------------------> QUEUES ---------------------------------------> REFUSED
 *       ^                        |                                                |
 *       |     EXEC: one command for the node, DISCARD: nothing                    | EXEC, DISCARD: nothing is executed
 *       +------------------------+------------------------------------------------+
 *
 * What the port itself answers (PING, CLIENT, INFO) is kept apart, and answered when the reply to EXEC comes, in its place
 * among the others. Until then nothing more of the connection is taken, so its requests keep their order.
 *
 * What is watched has a name, of this port and of one use: the set that the state machine keeps. EXEC makes it the condition
 * of its transaction. A client that gives up has nothing to say to the node: sets that are not asked for are forgotten. */
#include "core/base/cursor.h"
#include "core/base/memory.h"
#include "core/formats/command_error.h"
#include "core/formats/decimal.h"
#include "core/formats/session_call.h"
#include "io/client_internal.h"

/* Of client_bytes_all_max, what all transactions together may take; and how many of its commands the port itself may have to
 * answer. */
enum { PART_OF_ALL = 4, OWN_MAX = 128 };

static uint64_t bytes_of(const struct client_transaction *t) { return t->queued.len + t->own.len + t->watched.len; }

/* ---- What is kept ---- */

static void release(struct client_server *s, struct batch_builder *b)
{
    s->transaction_bytes -= b->len;
    batch_builder_free(b);
    *b = (struct batch_builder){0};
}

void client_transactions_end(struct client_connection *c)
{
    struct client_transaction *t = &c->transaction;
    release(c->server, &t->queued);
    release(c->server, &t->own);
    release(c->server, &t->watched);
    t->state = TRANSACTION_NONE;
    t->writes = false;
    t->watch = 0;
}

/* Whether there is room for so many bytes more, of this connection and of all. */
static bool has_room(const struct client_connection *c, size_t bytes)
{
    const struct client_server *s = c->server;
    const struct config *config = s->options.config;
    return bytes_of(&c->transaction) + bytes <= config->command_bytes_max &&
           s->transaction_bytes + bytes <= config->client_bytes_all_max / PART_OF_ALL;
}

static void keep(struct client_server *s, struct batch_builder *b, const struct bytes *args, size_t argc)
{
    const size_t before = b->len;
    batch_add(b, args, argc);
    s->transaction_bytes += b->len - before;
}

static void push(struct client_assembly *a, const void *bytes, size_t len)
{
    a->request.args = memory_reserve(a->request.args, &a->request.capacity, a->request.argc + 1, sizeof *a->request.args);
    a->request.args[a->request.argc++] = (struct bytes){(uint8_t *)(uintptr_t)bytes, len};
}

static void push_all(struct client_assembly *a, const struct bytes *args, size_t argc)
{
    for (size_t i = 0; i < argc; i++)
        push(a, args[i].ptr, args[i].len);
}

/* A command that the port itself will answer: its place among all commands, and its arguments. */
static void keep_own(struct client_connection *c, const struct resp_request *request)
{
    struct client_assembly *a = &c->server->assembly;
    uint8_t place[sizeof(uint32_t)];
    cursor_store_u32(place, c->transaction.queued.count + c->transaction.own.count);
    a->request.argc = 0;
    push(a, place, sizeof place);
    push_all(a, request->args, request->argc);
    keep(c->server, &c->transaction.own, a->request.args, a->request.argc);
}

/* ---- MULTI and what follows ---- */

static void reply_error(struct client_connection *c, const char *text) { client_replies_error(c, text); }

static void reply_status(struct client_connection *c, const char *text)
{
    const uint32_t position = client_replies_expect(c);
    resp_status_text(client_replies_begin(c, position), text);
    client_replies_end(c, position);
}

/* From now on nothing is queued, and nothing will be executed. */
static void refuse(struct client_connection *c)
{
    release(c->server, &c->transaction.queued);
    release(c->server, &c->transaction.own);
    c->transaction.state = TRANSACTION_REFUSED;
}

void client_multi(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)args;
    (void)argc;
    if (c->transaction.state != TRANSACTION_NONE) {
        resp_error_text(out, "ERR MULTI calls can not be nested");
        return;
    }
    c->transaction.state = TRANSACTION_QUEUES;
    resp_status_text(out, "OK");
}

void client_discard(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)args;
    (void)argc;
    if (c->transaction.state == TRANSACTION_NONE) {
        resp_error_text(out, "ERR DISCARD without MULTI");
        return;
    }
    client_transactions_end(c);
    resp_status_text(out, "OK");
}

void client_exec(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)args;
    (void)argc;
    if (c->transaction.state == TRANSACTION_NONE) {
        resp_error_text(out, "ERR EXEC without MULTI");
        return;
    }
    client_transactions_end(c);
    resp_error_text(out, "EXECABORT Transaction discarded because of previous errors.");
}

void client_exec_wrong(struct client_connection *c, struct resp_buffer *out)
{
    client_transactions_end(c);
    resp_error_text(out, "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command");
}

void client_unwatch(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)args;
    (void)argc;
    release(c->server, &c->transaction.watched);
    c->transaction.watch = 0;
    resp_status_text(out, "OK");
}

/* Whether the state machine may have what WATCH needs. */
static bool knows_watch(const struct client_server *s)
{
    static const char name[] = "watch";
    const struct bytes watch = {(uint8_t *)(uintptr_t)name, sizeof name - 1};
    return !s->machine_is_known || client_describe(s, &watch).index < COMMAND_TABLE_MAX;
}

/* Where the node does not get it. */
void client_watch(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)args;
    (void)argc;
    if (c->transaction.state != TRANSACTION_NONE)
        resp_error_text(out, "ERR WATCH inside MULTI is not allowed");
    else if (!knows_watch(c->server))
        resp_error_text(out, "ERR WATCH is nothing that this state machine knows");
    else
        resp_error_text(out, "ERR there is no room for the keys that are watched");
}

/* What a request names of the port's commands: `p`, or a subcommand of it. NULL: a subcommand that there is not. */
static const struct client_command *named(const struct client_command *p, const struct resp_request *request)
{
    if (p->subcommands == NULL || request->argc == 1)
        return p;
    return client_command_find(p->subcommands, p->subcommand_count, &request->args[1]);
}

static bool may_keep(struct client_connection *c, const struct resp_request *request)
{
    if (has_room(c, request->size + CLIENT_REQUEST_OVERHEAD))
        return true;
    reply_error(c, "ERR the transaction is too long; it will not be executed");
    refuse(c);
    return false;
}

/* A command that the port itself answers. */
static void queue_own(struct client_connection *c, const struct client_command *p, const struct resp_request *request)
{
    struct client_transaction *t = &c->transaction;
    const bool is_nodes = p->handler == NULL && p->subcommands == NULL && !client_is_word(&request->args[1], "help");
    if (is_nodes || (p->may & FOR_REPLIES) != 0) {
        reply_error(c, "ERR Command not allowed inside a transaction");
        refuse(c);
        return;
    }
    if (t->own.count == OWN_MAX) {
        reply_error(c, "ERR the transaction asks this node itself too often; it will not be executed");
        refuse(c);
        return;
    }
    if (t->state == TRANSACTION_QUEUES) {
        if (!may_keep(c, request))
            return;
        keep_own(c, request);
        if ((p->may & FOR_LEARNERS) != 0)
            c->server->upcalls->prepare_wait(c->server);
    }
    reply_status(c, "QUEUED");
}

static void queue(struct client_connection *c, const struct resp_request *request)
{
    uint8_t text[COMMAND_ERROR_MAX + 1];
    struct bytes error = {text, 0};
    const uint32_t command = client_describe(c->server, &request->args[0]).index;
    if (client_describe_refuses(c->server, command, request->args, request->argc, &error)) {
        text[error.len] = '\0';
        reply_error(c, (const char *)text);
        refuse(c);
    } else if (!client_cluster_takes(c)) {
        const uint32_t position = client_replies_expect(c);
        client_cluster_refuse(c, request->args, request->argc, client_replies_begin(c, position));
        client_replies_end(c, position);
        c->server->statistics.errors++;
        refuse(c);
    } else if (c->transaction.state == TRANSACTION_REFUSED) {
        reply_status(c, "QUEUED");
    } else if (may_keep(c, request)) {
        const struct command_info_list *known = &c->server->machine_commands;
        keep(c->server, &c->transaction.queued, request->args, request->argc);
        c->transaction.writes = c->transaction.writes || command >= known->len || !known->ptr[command].read_only;
        reply_status(c, "QUEUED");
    }
}

/* Queues a request, which is of the port's command `p`, or of the node's if that is NULL. False: the port's answer is an
 * error, and the transaction is refused. */
static bool answer_queued(struct client_connection *c, const struct client_command *p, const struct resp_request *request)
{
    const struct client_command *own = p != NULL ? named(p, request) : NULL;
    if (p != NULL && (own == NULL || !command_arity_fits(own->arity, request->argc))) {
        refuse(c);
        return false;
    }
    if (own != NULL && (own->may & FOR_STATE) == 0)
        queue_own(c, own, request);
    else
        queue(c, request);
    return true;
}

/* ---- What the node gets ---- */

static bool is_exec(const struct resp_request *request)
{
    const struct bytes *args = request->args;
    if (request->argc == 1)
        return client_is_word(&args[0], "exec");
    return request->argc == SESSION_CALL_ARGS + 1 && client_is_word(&args[0], "session") &&
           client_is_word(&args[SESSION_CALL_ARGS], "exec");
}

static bool is_watch(const struct resp_request *request)
{
    return request->argc > 1 && client_is_word(&request->args[0], "watch");
}

/* Whether the node gets a WATCH: otherwise client_watch says why not. */
static bool may_watch(const struct client_connection *c, const struct resp_request *request)
{
    return c->transaction.state == TRANSACTION_NONE && knows_watch(c->server) &&
           has_room(c, request->size + CLIENT_REQUEST_OVERHEAD);
}

static void push_word(struct client_assembly *a, const char *word) { push(a, word, strlen(word)); }

/* A number of arguments: the texts of all of them are in `numbers`, which does not move. */
static void push_number(struct client_assembly *a, size_t number)
{
    uint8_t *text = a->numbers + a->numbers_len;
    const size_t len = decimal_write_unsigned(number, text);
    a->numbers_len += len;
    push(a, text, len);
}

/* The set's name: of this port, as long as it is open, and of one use. */
static void push_set(struct client_assembly *a, const struct client_server *s, uint64_t watch)
{
    cursor_store_u32(a->set, s->options.node);
    cursor_store_u64(a->set + 4, s->opened_ms);
    cursor_store_u64(a->set + 12, watch);
    push(a, a->set, sizeof a->set);
}

/* Takes kept commands apart; their arguments point into `b`. */
static size_t unpack(struct batch_commands *to, struct batch_builder *b)
{
    to->count = 0;
    if (b->count == 0)
        return 0;
    const struct payload value = batch_end(b);
    const bool sound = batch_commands_read(to, &value);
    invariant(sound);
    return to->count;
}

/* n WATCHED set key ...: the condition; 0: there is none. */
static void push_condition(struct client_assembly *a, struct client_connection *c)
{
    struct client_transaction *t = &c->transaction;
    size_t keys = 0;
    for (size_t i = 0; i < unpack(&a->commands, &t->watched); i++)
        keys += a->commands.commands[i].args.len;
    push_number(a, keys > 0 ? 2 + keys : 0);
    if (keys == 0)
        return;
    push_word(a, "WATCHED");
    push_set(a, c->server, t->watch);
    for (size_t i = 0; i < a->commands.count; i++)
        push_all(a, a->commands.commands[i].args.ptr, a->commands.commands[i].args.len);
}

static void assemble_exec(struct client_assembly *a, struct client_connection *c, const struct resp_request *request)
{
    struct client_transaction *t = &c->transaction;
    c->server->asked_own = t->own.count > 0 ? &t->own : NULL;
    push_all(a, request->args, request->argc);
    push_condition(a, c);
    const size_t count = unpack(&a->commands, &t->queued);
    for (size_t i = 0; i < count; i++) {
        const struct bytes_list *args = &a->commands.commands[i].args;
        push_number(a, args->len);
        push_all(a, args->ptr, args->len);
    }
    a->request.size += bytes_of(t);
}

static void assemble_watch(struct client_assembly *a, struct client_connection *c, const struct resp_request *request)
{
    struct client_server *s = c->server;
    if (c->transaction.watch == 0)
        c->transaction.watch = ++s->watches;
    push_word(a, "WATCH");
    push_set(a, s, c->transaction.watch);
    push_all(a, request->args + 1, request->argc - 1);
}

static void begin_assembly(struct client_connection *c, const struct resp_request *request)
{
    struct client_assembly *a = &c->server->assembly;
    const size_t numbers = ((size_t)c->transaction.queued.count + 1) * DECIMAL_MAX;
    a->numbers = memory_reserve(a->numbers, &a->numbers_capacity, numbers, 1);
    a->numbers_len = 0;
    a->request.argc = 0;
    a->request.size = request->size;
    c->server->asked = &a->request;
    c->server->asked_own = NULL;
}

bool client_transactions_answer(struct client_connection *c, const struct client_command *p,
                                const struct resp_request *request)
{
    const enum client_transaction_state state = c->transaction.state;
    if (p != NULL && p->handler == client_watch && is_watch(request) && may_watch(c, request)) {
        begin_assembly(c, request);
        assemble_watch(&c->server->assembly, c, request);
        return false;
    }
    if (state == TRANSACTION_NONE && (p == NULL || (p->may & IN_SESSION) == 0))
        return false;
    if (is_exec(request) && state == TRANSACTION_QUEUES) {
        begin_assembly(c, request);
        assemble_exec(&c->server->assembly, c, request);
        return false;
    }
    if (is_exec(request) && request->argc > 1) {
        const uint32_t position = client_replies_expect(c);
        client_exec(c, request->args, request->argc, client_replies_begin(c, position));
        client_replies_end(c, position);
        return true;
    }
    if (p == NULL || (p->may & ENDS_MULTI) == 0) {
        return state != TRANSACTION_NONE && answer_queued(c, p, request);
    }
    if (!command_arity_fits(p->arity, request->argc) && state != TRANSACTION_NONE)
        refuse(c);
    return false;
}

void client_transactions_taken(struct client_connection *c, const struct resp_request *request)
{
    if (is_watch(request))
        keep(c->server, &c->transaction.watched, request->args + 1, request->argc - 1);
    else
        client_transactions_end(c);
}

void client_transactions_close(struct client_server *s)
{
    free(s->assembly.numbers);
    free(s->assembly.request.args);
    batch_commands_free(&s->assembly.commands);
}
