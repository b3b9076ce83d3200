/* Commands that the port answers itself: those about the connection and the server. All others are for the node. */
#include <stdio.h>
#include <string.h>

#include "core/formats/command_error.h"
#include "core/formats/decimal.h"
#include "core/formats/session_call.h"
#include "io/client_internal.h"

static void wrong_arity(struct resp_buffer *out, const char *name)
{
    char text[128];
    snprintf(text, sizeof text, "ERR wrong number of arguments for '%s' command", name);
    resp_error_text(out, text);
}

/* ---- The connection ---- */

static void ping(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    if (argc > 2) {
        wrong_arity(out, "ping");
    } else if (client_pubsub_is_limited(c)) {
        resp_array(out, 2);
        resp_string(out, "pong");
        resp_bytes(out, argc == 2 ? args[1].ptr : NULL, argc == 2 ? args[1].len : 0);
    } else if (argc == 2) {
        resp_bytes(out, args[1].ptr, args[1].len);
    } else {
        resp_status_text(out, "PONG");
    }
}

static void echo(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    (void)argc;
    resp_bytes(out, args[1].ptr, args[1].len);
}

static const char default_user[] = "default";
static const char no_password[] =
    "ERR AUTH <password> called without any password configured for the default user. Are you sure "
    "your configuration is correct?";

/* Any password is right for the default user, as in Redis where none is set; there is no other user. */
static bool is_default_user(const struct bytes *name, struct resp_buffer *out)
{
    if (name->len == sizeof default_user - 1 && memcmp(name->ptr, default_user, name->len) == 0)
        return true;
    resp_error_text(out, "WRONGPASS invalid username-password pair or user is disabled.");
    return false;
}

static void auth(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    if (argc > 3)
        resp_error_text(out, "ERR syntax error");
    else if (argc == 2)
        resp_error_text(out, no_password);
    else if (is_default_user(&args[1], out))
        resp_status_text(out, "OK");
}

static void hello_reply(struct client_connection *c, struct resp_buffer *out)
{
    resp_map(out, c->version, 7);
    resp_string(out, "server");
    resp_string(out, "redis");
    resp_string(out, "version");
    resp_string(out, CLIENT_REDIS_VERSION);
    resp_string(out, "proto");
    resp_integer(out, c->version);
    resp_string(out, "id");
    resp_integer(out, slots_number(c->token));
    resp_string(out, "mode");
    resp_string(out, "cluster");
    resp_string(out, "role");
    resp_string(out, c->server->leader == c->server->options.node ? "master" : "replica");
    resp_string(out, "modules");
    resp_array(out, 0);
}

static void hello_syntax(const struct bytes *option, struct resp_buffer *out)
{
    char text[256], word[129];
    client_copy_word(option, word, sizeof word);
    snprintf(text, sizeof text, "ERR Syntax error in HELLO option '%s'", word);
    resp_error_text(out, text);
}

static void hello(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    int64_t version = c->version;
    if (argc > 1 && !decimal_read(args[1].ptr, args[1].len, &version)) {
        resp_error_text(out, "ERR Protocol version is not an integer or out of range");
        return;
    }
    if (version < 2 || version > 3) {
        resp_error_text(out, "NOPROTO unsupported protocol version");
        return;
    }
    for (size_t i = 2; i < argc; i++) {
        if (client_is_word(&args[i], "auth") && i + 2 < argc) {
            if (!is_default_user(&args[i + 1], out))
                return;
            i += 2;
            continue;
        }
        if (!client_is_word(&args[i], "setname") || i + 1 >= argc) {
            hello_syntax(&args[i], out);
            return;
        }
        if (!client_set_word(c->name, sizeof c->name, &args[++i], "Client names", out))
            return;
    }
    c->version = (int)version;
    hello_reply(c, out);
}

static void select_database(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    (void)argc;
    int64_t index;
    if (!decimal_read(args[1].ptr, args[1].len, &index))
        resp_error_text(out, "ERR value is not an integer or out of range");
    else if (index != 0)
        resp_error_text(out, "ERR DB index is out of range");
    else
        resp_status_text(out, "OK");
}

static void ok(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    (void)args;
    (void)argc;
    resp_status_text(out, "OK");
}

enum { STALE_MIN_MS = 100 };

/* From now on reads of this connection are answered here, also while another node leads. READONLY STALE milliseconds: by a
 * state that may be so old (P27). */
static void readonly(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    static const char wrong[] =
        "ERR READONLY takes nothing, or STALE and how old the state may be: milliseconds, 100 at least";
    uint64_t ms = 0;
    if (argc != 1 && (argc != 3 || !client_is_word(&args[1], "stale"))) {
        resp_error_text(out, wrong);
        return;
    }
    if (argc == 3 && !client_number(&args[2], UINT32_MAX, &ms, wrong, out))
        return;
    if (argc == 3 && ms < STALE_MIN_MS) {
        resp_error_text(out, wrong);
        return;
    }
    c->readonly = true;
    c->stale = argc == 3;
    c->stale_ms = (uint32_t)ms;
    ok(c, args, argc, out);
}

static void readwrite(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    c->readonly = c->stale = false;
    ok(c, args, argc, out);
}

static void quit(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    ok(c, args, argc, out);
    client_connection_finish(c);
}

static void reset(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)args;
    (void)argc;
    c->version = 2;
    c->name[0] = 0;
    client_transactions_end(c);
    client_channels_remove_all(&c->server->channels, &c->subscriptions);
    client_tracking_end(c);
    c->knows_clusters = c->readonly = c->stale = false;
    c->wants = WANTS_REPLIES;
    resp_status_text(out, "RESET");
}

/* ---- DEBUG ---- */

/* DEBUG FAULT PART KIND, where the configuration allows it. */
static void debug(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    const struct client_server_options *options = &c->server->options;
    char part[32], kind[32];
    if (options->fault == NULL) {
        resp_error_text(out, "ERR DEBUG command not allowed: see debug_commands in the configuration");
    } else if (argc != 4 || !client_is_word(&args[1], "fault") || args[2].len >= sizeof part || args[3].len >= sizeof kind) {
        client_unknown_subcommand(out, "DEBUG", &args[1]);
    } else {
        snprintf(part, sizeof part, "%.*s", (int)args[2].len, (const char *)args[2].ptr);
        snprintf(kind, sizeof kind, "%.*s", (int)args[3].len, (const char *)args[3].ptr);
        const char *wrong = options->fault(options->context, part, kind);
        if (wrong == NULL)
            resp_status_text(out, "OK");
        else
            client_print(out, "-ERR %s\r\n", wrong);
    }
}

/* ---- The table ---- */

#define CONNECTION .flags = "noscript loading stale fast", .categories = "fast connection"
#define CONTAINER  .flags = "", .categories = "slow"
#define MESSAGES   AFTER_REPLIES | FOR_SUBSCRIBED, .flags = "pubsub noscript loading stale", .categories = "pubsub slow"

static const struct client_command commands[] = {
    {"acl", NULL, -2, 0, CONTAINER, .since = "6.0.0", .summary = "Who may use this server: all.",
     SUBCOMMANDS(client_acl_subcommands)},
    {"asking", ok, 1, 0, .flags = "fast", .categories = "fast connection", .since = "3.0.0",
     .summary = "Accepted, and has no effect."},
    {"auth", auth, -2, 0, .flags = "noscript loading stale fast no_auth allow_busy", .categories = "fast connection",
     .since = "1.0.0", .summary = "Accepts the user `default` with any password."},
    {"client", NULL, -2, FOR_OPERATORS, CONTAINER, .since = "2.4.0", .summary = "Connections of clients.",
     SUBCOMMANDS(client_self_subcommands)},
    {"cluster", NULL, -2, FOR_OPERATORS | OF_CLUSTERS, CONTAINER, .since = "3.0.0",
     .summary = "The nodes as a cluster of one shard.", SUBCOMMANDS(client_cluster_subcommands)},
    {"command", client_catalogue, -1, FOR_OPERATORS, .flags = "loading stale", .categories = "slow connection",
     .since = "2.8.13", .summary = "What commands there are.", SUBCOMMANDS(client_catalogue_subcommands)},
    {"config", NULL, -2, 0, CONTAINER, .since = "2.0.0", .summary = "Settings, as Redis names them.",
     SUBCOMMANDS(client_config_subcommands)},
    {"debug", debug, -2, 0, .flags = "admin noscript loading stale", .categories = "admin slow dangerous", .since = "1.0.0",
     .summary = "Faults, where the configuration allows them."},
    {"discard", client_discard, 1, ENDS_MULTI, .flags = "noscript loading stale fast", .categories = "fast transaction",
     .since = "2.0.0", .summary = "Ends a transaction without executing it."},
    {"echo", echo, 2, 0, .flags = "fast", .categories = "fast connection", .since = "1.0.0",
     .summary = "Gives its argument back."},
    {"exec", client_exec, 1, ENDS_MULTI, .flags = "noscript loading stale skip_slowlog", .categories = "slow transaction",
     .since = "1.2.0", .summary = "Executes a transaction."},
    {"hello", hello, -1, 0, .flags = "noscript loading stale fast no_auth allow_busy", .categories = "fast connection",
     .since = "6.0.0", .summary = "Chooses the version of the protocol, and tells about the server."},
    {"info", client_info, -1, FOR_OPERATORS, .flags = "loading stale", .categories = "slow dangerous", .since = "1.0.0",
     .summary = "What this node knows about itself."},
    {"latency", NULL, -2, 0, CONTAINER, .since = "2.8.13", .summary = "Events that took long: none is kept.",
     SUBCOMMANDS(client_latency_subcommands)},
    {"memory", NULL, -2, 0, CONTAINER, .since = "4.0.0", .summary = "What keys take in memory.",
     SUBCOMMANDS(client_memory_subcommands)},
    {"module", NULL, -2, 0, CONTAINER, .since = "4.0.0", .summary = "Modules: there are none.",
     SUBCOMMANDS(client_module_subcommands)},
    {"multi", client_multi, 1, ENDS_MULTI, .flags = "noscript loading stale fast", .categories = "fast transaction",
     .since = "1.2.0", .summary = "Begins a transaction."},
    {"object", NULL, -2, 0, CONTAINER, .since = "2.2.3", .summary = "How a value is kept.",
     SUBCOMMANDS(client_object_subcommands)},
    {"ping", ping, -1, FOR_SUBSCRIBED, .flags = "fast", .categories = "fast connection", .since = "1.0.0",
     .summary = "Replies PONG, or its argument."},
    {"psubscribe", client_psubscribe, -2, MESSAGES, .since = "2.0.0",
     .summary = "Hears messages of channels whose names match patterns."},
    {"pubsub", NULL, -2, 0, CONTAINER, .since = "2.8.0", .summary = "Who is subscribed to what, at this node.",
     SUBCOMMANDS(client_pubsub_subcommands)},
    {"punsubscribe", client_punsubscribe, -1, MESSAGES, .since = "2.0.0",
     .summary = "Hears no more messages by patterns, or by some of them."},
    {"quit", quit, -1, FOR_OPERATORS | ENDS_MULTI | FOR_SUBSCRIBED,
     .flags = "noscript loading stale fast no_auth allow_busy", .categories = "fast connection", .since = "1.0.0",
     .summary = "Ends the connection."},
    {"readonly", readonly, -1, 0, .flags = "loading stale fast", .categories = "fast connection", .since = "3.0.0",
     .summary = "Reads are answered by this node, though another one leads."},
    {"readwrite", readwrite, 1, 0, .flags = "loading stale fast", .categories = "fast connection", .since = "3.0.0",
     .summary = "Reads are answered where writes are."},
    {"reset", reset, 1, ENDS_MULTI | FOR_SUBSCRIBED, .flags = "noscript loading stale fast no_auth allow_busy",
     .categories = "fast connection", .since = "6.2.0", .summary = "Makes the connection as it was when it was new."},
    {"role", client_role, 1, 0, .flags = "noscript loading stale fast", .categories = "admin fast dangerous",
     .since = "2.8.12", .summary = "Whether this node leads, and where the others are."},
    {"select", select_database, 2, 0, .flags = "loading stale fast", .categories = "fast connection", .since = "1.0.0",
     .summary = "Chooses the database 0, the only one."},
    {"session", NULL, -2, IN_SESSION, .flags = "write denyoom noscript", .categories = "slow", .since = "",
     .summary = "Commands that are executed once, however often they are sent."},
    {"slowlog", NULL, -2, 0, CONTAINER, .since = "2.2.12", .summary = "Commands that took long: none is kept.",
     SUBCOMMANDS(client_slowlog_subcommands)},
    {"ssubscribe", client_ssubscribe, -2, MESSAGES, .since = "7.0.0", .summary = "Hears messages of channels of shards."},
    {"subscribe", client_subscribe, -2, MESSAGES, .since = "2.0.0", .summary = "Hears messages of channels."},
    {"sunsubscribe", client_sunsubscribe, -1, MESSAGES, .since = "7.0.0",
     .summary = "Hears no more messages of channels of shards, or of some of them."},
    {"synod", NULL, -2, FOR_OPERATORS, .flags = "admin noscript loading stale", .categories = "admin slow dangerous",
     .since = "", .summary = "Operators' requests to this node."},
    {"unsubscribe", client_unsubscribe, -1, MESSAGES, .since = "2.0.0",
     .summary = "Hears no more messages of channels, or of some of them."},
    {"unwatch", client_unwatch, 1, 0, .flags = "noscript loading stale fast", .categories = "fast transaction",
     .since = "2.2.0", .summary = "No key is watched any more."},
    {"wait", client_wait_count, 3, FOR_LEARNERS, .flags = "blocking", .categories = "slow blocking connection",
     .since = "3.0.0", .summary = "How many other learners hold what this connection has written."},
    {"waitaof", client_wait_count, 4, FOR_LEARNERS, .flags = "noscript", .categories = "slow connection", .since = "7.2.0",
     .summary = "The same, and before it whether the learner of this node holds it."},
    {"watch", client_watch, -2, ENDS_MULTI, .flags = "noscript loading stale fast", .categories = "fast transaction",
     .since = "2.2.0", .summary = "The next transaction is executed only if none of these keys changes before."},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

void client_commands_init(struct client_server *s)
{
    s->port_commands = commands;
    s->port_command_count = COMMAND_COUNT;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const char *name = commands[i].name;
        name_table_add(&s->port_names, command_name((const uint8_t *)name, strlen(name)), (uint8_t)i);
    }
}

/* ---- Answering ---- */

/* Whether there is no place for a client that sends such a command: `p`, or one for the node if `p` is NULL. */
static bool is_refused(struct client_connection *c, const struct client_command *p)
{
    unsigned may = p != NULL ? p->may : 0;
    if ((may & FOR_OPERATORS) == 0 && !client_connection_promote(c)) {
        client_replies_error(c, CLIENT_FULL);
        client_connection_finish(c);
        return true;
    }
    return false;
}

/* Whether a command for the node is none, or has another number of arguments. If so, that is the answer, on every node and
 * whether one leads or not. */
static bool is_wrong(struct client_connection *c, uint32_t index, struct bytes_list args)
{
    uint8_t text[COMMAND_ERROR_MAX];
    struct bytes error = {text, 0};
    if (!client_describe_refuses(c->server, index, args.ptr, args.len, &error))
        return false;
    const uint32_t position = client_replies_expect(c);
    resp_error(client_replies_begin(c, position), error);
    client_replies_end(c, position);
    c->server->statistics.errors++;
    return true;
}

/* The same for a command SESSION, which the node gets as it is. */
static bool is_wrong_in_session(struct client_connection *c, struct bytes_list args)
{
    const struct session_call call = session_call_read(&args);
    if (call.kind == SESSION_MALFORMED)
        client_replies_error(c, call.error);
    if (call.kind != SESSION_CALL)
        return call.kind == SESSION_MALFORMED;
    const struct bytes_list inner = {args.ptr + SESSION_CALL_ARGS, args.len - SESSION_CALL_ARGS};
    return is_wrong(c, client_describe(c->server, &inner.ptr[0]).index, inner);
}

static void unknown_subcommand(const struct client_command *container, const struct bytes *name, struct resp_buffer *out)
{
    char text[32];
    client_upper(container->name, text, sizeof text);
    client_unknown_subcommand(out, text, name);
}

/* CONTAINER HELP. */
static void help(const struct client_command *p, struct resp_buffer *out)
{
    char name[32];
    client_upper(p->name, name, sizeof name);
    resp_array(out, 1 + 2 * p->subcommand_count);
    client_print(out, "+%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n", name);
    for (size_t i = 0; i < p->subcommand_count; i++) {
        const struct client_command *sub = &p->subcommands[i];
        client_upper(sub->name, name, sizeof name);
        client_print(out, "+%s%s%s\r\n+    %s\r\n", name, sub->usage[0] != '\0' ? " " : "", sub->usage, sub->summary);
    }
}

/* The answer of the command or subcommand `p` of `container`, which is NULL for a command. */
static void write_reply(struct client_connection *c, const struct client_command *p, const struct client_command *container,
                        struct bytes_list args, struct resp_buffer *out)
{
    const bool fits = p != NULL && command_arity_fits(p->arity, args.len);
    char name[64];
    if (p != NULL)
        snprintf(name, sizeof name, "%s%s%s", container != NULL ? container->name : "", container != NULL ? "|" : "",
                 p->name);
    if (p == NULL)
        unknown_subcommand(container, &args.ptr[1], out);
    else if (!fits && p->handler == client_exec)
        client_exec_wrong(c, out);
    else if (!fits)
        wrong_arity(out, name);
    else if (p->handler == NULL)
        help(container, out);
    else
        p->handler(c, args.ptr, args.len, out);
}

void client_commands_answer_own(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    const struct client_command *p = client_describe(c->server, &args[0]).port, *container = NULL;
    if (p->subcommands != NULL && argc > 1) {
        container = p;
        p = client_command_find(p->subcommands, p->subcommand_count, &args[1]);
    }
    write_reply(c, p, container, (struct bytes_list){(struct bytes *)(uintptr_t)args, argc}, out);
}

/* Answers a request for the port itself. */
static void reply(struct client_connection *c, const struct client_command *p, const struct client_command *container,
                  const struct resp_request *request)
{
    const bool fits = p != NULL && command_arity_fits(p->arity, request->argc);
    if (fits && (p->may & FOR_REPLIES) != 0)
        client_self_choose_replies(c, &request->args[2]);
    const uint32_t position = client_replies_expect(c);
    write_reply(c, p, container, (struct bytes_list){request->args, request->argc}, client_replies_begin(c, position));
    client_replies_end(c, position);
}

bool client_commands_answer(struct client_connection *c, const struct client_named *named,
                            const struct resp_request *request)
{
    const struct client_command *p = named->port, *container = NULL;
    const struct bytes_list args = {request->args, request->argc};
    c->server->asked = NULL;
    c->server->asked_own = NULL;
    if (is_refused(c, p))
        return true;
    if (client_transactions_answer(c, p, request))
        return true;
    if (c->server->asked != NULL)
        return false;
    if (p == NULL)
        return is_wrong(c, named->index, args) || client_pubsub_refuses(c, p, request);
    if (command_arity_fits(p->arity, request->argc) && client_pubsub_refuses(c, p, request))
        return true;
    if ((p->may & IN_SESSION) != 0)
        return is_wrong_in_session(c, args);
    c->knows_clusters = c->knows_clusters || (p->may & OF_CLUSTERS) != 0;
    const bool fits = command_arity_fits(p->arity, request->argc);
    if (fits && p->subcommands != NULL && request->argc > 1) {
        container = p;
        p = client_command_find(p->subcommands, p->subcommand_count, &request->args[1]);
    }
    if (p != NULL && (p->may & FOR_STATE) != 0 && command_arity_fits(p->arity, request->argc))
        return is_wrong(c, named->index, args);
    if (fits && p != NULL && (p->may & FOR_LEARNERS) != 0)
        client_wait_begin(c, request->args, request->argc);
    else if (fits && container == NULL && p->handler == NULL)
        client_batches_request(c, request);
    else
        reply(c, p, container, request);
    return true;
}
