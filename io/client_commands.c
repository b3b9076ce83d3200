/* Commands that the port answers itself: those about the connection and the server. All others are for the node. */
#include <stdio.h>
#include <string.h>

#include "core/formats/command_error.h"
#include "core/formats/decimal.h"
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
    (void)c;
    if (argc > 2)
        wrong_arity(out, "ping");
    else if (argc == 2)
        resp_bytes(out, args[1].ptr, args[1].len);
    else
        resp_status_text(out, "PONG");
}

static void echo(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    (void)argc;
    resp_bytes(out, args[1].ptr, args[1].len);
}

static const char no_password[] =
    "ERR AUTH <password> called without any password configured for the default user. Are you sure "
    "your configuration is correct?";

static void auth(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    (void)args;
    if (argc > 3)
        resp_error_text(out, "ERR syntax error");
    else
        resp_error_text(out, no_password);
}

/* Names must not contain blanks or control characters, so that CLIENT LIST stays readable. */
static bool set_word(char *to, size_t size, const struct bytes *arg, const char *what, struct resp_buffer *out)
{
    char text[128];
    if (arg->len >= size) {
        snprintf(text, sizeof text, "ERR %s cannot be longer than %zu bytes.", what, size - 1);
        resp_error_text(out, text);
        return false;
    }
    for (size_t i = 0; i < arg->len; i++)
        if (arg->ptr[i] < '!' || arg->ptr[i] > '~') {
            snprintf(text, sizeof text, "ERR %s cannot contain spaces, newlines or special characters.", what);
            resp_error_text(out, text);
            return false;
        }
    client_copy_word(arg, to, size);
    return true;
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
    resp_string(out, "master");
    resp_string(out, "modules");
    resp_array(out, 0);
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
            resp_error_text(out, no_password);
            return;
        }
        if (!client_is_word(&args[i], "setname") || i + 1 >= argc) {
            resp_error_text(out, "ERR Syntax error in HELLO option");
            return;
        }
        if (!set_word(c->name, sizeof c->name, &args[++i], "Client names", out))
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
    c->transaction = TRANSACTION_NONE;
    c->knows_clusters = false;
    resp_status_text(out, "RESET");
}

/* ---- Transactions ----
 *
 * There are none. But clients send MULTI, their commands and EXEC without waiting for the reply to MULTI. If the commands
 * after it were executed, that would be half a transaction. So none is executed up to EXEC or DISCARD, and those reply as in
 * Redis after a transaction that could not be queued. */

static void multi(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)args;
    (void)argc;
    c->transaction = TRANSACTION_REFUSED;
    resp_error_text(out,
                    "ERR MULTI is not supported: there are no transactions; nothing that follows is executed, up to EXEC "
                    "or DISCARD");
}

static void exec(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)args;
    (void)argc;
    resp_error_text(out, c->transaction == TRANSACTION_NONE
                             ? "ERR EXEC without MULTI"
                             : "EXECABORT Transaction discarded because of previous errors: MULTI is not supported");
    c->transaction = TRANSACTION_NONE;
}

static void discard(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)args;
    (void)argc;
    if (c->transaction == TRANSACTION_NONE)
        resp_error_text(out, "ERR DISCARD without MULTI");
    else
        resp_status_text(out, "OK");
    c->transaction = TRANSACTION_NONE;
}

static void watch(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    (void)args;
    (void)argc;
    resp_error_text(out, "ERR WATCH is not supported: there are no transactions, each command is atomic");
}

/* ---- CLIENT ---- */

static void client_line(struct client_connection *c, struct resp_buffer *out)
{
    uint64_t now = uv_now(c->server->loop);
    client_print(
        out,
        "id=%u addr=%s laddr=%s name=%s age=%llu idle=%llu db=0 pending=%u waiting-bytes=%llu out-bytes=%zu resp=%d "
        "lib-name=%s lib-ver=%s\n",
        slots_number(c->token), client_connection_address(c), client_connection_local_address(c), c->name,
        (unsigned long long)((now - c->opened_ms) / 1000), (unsigned long long)((now - c->active_ms) / 1000),
        c->tail - c->head, (unsigned long long)c->waiting, (size_t)client_replies_unread(c), c->version, c->library_name,
        c->library_version);
}

static void client_list(struct client_connection *c, bool all, struct resp_buffer *out)
{
    const struct client_server *s = c->server;
    struct resp_buffer text = {0};
    if (!all)
        client_line(c, &text);
    struct client_connection *one;
    for (size_t at = 0; all && (one = slots_next(&s->connections, &at)) != NULL;)
        client_line(one, &text);
    resp_text(out, c->version, text.data, text.len);
    resp_buffer_close(&text);
}

static void client_set_info(struct client_connection *c, const struct bytes *args, struct resp_buffer *out)
{
    bool set;
    if (client_is_word(&args[2], "lib-name")) {
        set = set_word(c->library_name, sizeof c->library_name, &args[3], "lib-name", out);
    } else if (client_is_word(&args[2], "lib-ver")) {
        set = set_word(c->library_version, sizeof c->library_version, &args[3], "lib-ver", out);
    } else {
        resp_error_text(out, "ERR Unrecognized option for CLIENT SETINFO");
        return;
    }
    if (set)
        resp_status_text(out, "OK");
}

static void client(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    const struct bytes *sub = &args[1];
    if (client_is_word(sub, "id") && argc == 2) {
        resp_integer(out, slots_number(c->token));
    } else if (client_is_word(sub, "getname") && argc == 2) {
        if (c->name[0] == 0)
            resp_nil(out, c->version);
        else
            resp_string(out, c->name);
    } else if (client_is_word(sub, "setname") && argc == 3) {
        if (set_word(c->name, sizeof c->name, &args[2], "Client names", out))
            resp_status_text(out, "OK");
    } else if (client_is_word(sub, "setinfo") && argc == 4) {
        client_set_info(c, args, out);
    } else if (client_is_word(sub, "info") && argc == 2) {
        client_list(c, false, out);
    } else if (client_is_word(sub, "list")) {
        client_list(c, true, out);
    } else if ((client_is_word(sub, "no-evict") || client_is_word(sub, "no-touch")) && argc == 3) {
        resp_status_text(out, "OK"); /* nothing is ever evicted or ages */
    } else {
        client_unknown_subcommand(out, "CLIENT", sub);
    }
}

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

static client_command_handler command;

/* Which connections may use a command, beyond the usual ones. */
enum {
    FOR_OPERATORS = 1, /* also a connection that was let in for operators */
    ENDS_MULTI = 2,    /* also after a MULTI that was refused */
};

static const struct port_command {
    const char *name;
    client_command_handler *handler; /* NULL: the node answers (client_batches_request) */
    int arity;
    unsigned may;
} port_commands[] = {
    {"ping", ping, -1, 0},
    {"echo", echo, 2, 0},
    {"hello", hello, -1, 0},
    {"auth", auth, -2, 0},
    {"client", client, -2, FOR_OPERATORS},
    {"command", command, -1, FOR_OPERATORS},
    {"info", client_info, -1, FOR_OPERATORS},
    {"config", client_config, -2, 0},
    {"debug", debug, -2, 0},
    {"select", select_database, 2, 0},
    {"cluster", client_cluster, -2, FOR_OPERATORS},
    {"reset", reset, 1, ENDS_MULTI},
    {"quit", quit, -1, FOR_OPERATORS | ENDS_MULTI},
    {"readonly", ok, 1, 0},
    {"readwrite", ok, 1, 0},
    {"multi", multi, 1, ENDS_MULTI},
    {"exec", exec, 1, ENDS_MULTI},
    {"discard", discard, 1, ENDS_MULTI},
    {"watch", watch, -2, 0},
    {"unwatch", ok, 1, 0}, /* nothing is watched */
    {"synod", NULL, -2, FOR_OPERATORS},
};
enum { PORT_COMMAND_COUNT = sizeof port_commands / sizeof port_commands[0] };

static void add_name(struct name_table *table, const char *name, size_t len, size_t index)
{
    uint64_t number = command_name((const uint8_t *)name, len);
    if (number != 0 && name_table_find(table, number) < 0)
        name_table_add(table, number, (uint8_t)index);
}

void client_commands_init(struct client_server *s)
{
    for (size_t i = 0; i < PORT_COMMAND_COUNT; i++)
        add_name(&s->port_names, port_commands[i].name, strlen(port_commands[i].name), i);
}

/* Whether something forbids the command: `p`, or a command for the node if `p` is NULL. If so, that is the answer. */
static bool is_refused(struct client_connection *c, const struct port_command *p)
{
    unsigned may = p != NULL ? p->may : 0;
    if ((may & FOR_OPERATORS) == 0 && !client_connection_promote(c)) {
        client_replies_error(c, CLIENT_FULL);
        client_connection_finish(c);
        return true;
    }
    if (c->transaction == TRANSACTION_NONE || (may & ENDS_MULTI) != 0)
        return false;
    client_replies_error(c, "ERR not executed: it follows a MULTI that was refused; EXEC or DISCARD ends that");
    return true;
}

/* Whether a command for the node is none, or has another number of arguments. If so, that is the answer, on every node and
 * whether one leads or not. */
static bool is_wrong(struct client_connection *c, const struct resp_request *request)
{
    uint8_t text[COMMAND_ERROR_MAX];
    struct bytes error = {text, 0};
    if (!client_describe_refuses(c->server, request->args, request->argc, &error))
        return false;
    const uint32_t position = client_replies_expect(c);
    resp_error(client_replies_begin(c, position), error);
    client_replies_end(c, position);
    c->server->statistics.errors++;
    return true;
}

bool client_commands_answer(struct client_connection *c, const struct resp_request *request)
{
    const struct client_server *s = c->server;
    int index = name_table_find(&s->port_names, command_name(request->args[0].ptr, request->args[0].len));
    const struct port_command *p = index < 0 ? NULL : &port_commands[index];
    if (is_refused(c, p))
        return true;
    if (p == NULL)
        return is_wrong(c, request);
    const bool fits = command_arity_fits(p->arity, request->argc);
    if (fits && p->handler == NULL) {
        client_batches_request(c, request);
        return true;
    }
    uint32_t position = client_replies_expect(c);
    struct resp_buffer *out = client_replies_begin(c, position);
    if (!fits)
        wrong_arity(out, p->name);
    else
        p->handler(c, request->args, request->argc, out);
    client_replies_end(c, position);
    return true;
}

/* ---- COMMAND ---- */

/* The reply to a name is much longer than the name. */
enum { NAMES_MAX = 1024 };

/* All commands in one numbering: those of the state machine, then those of the port. */
static struct command_info info_at(const struct client_server *s, size_t index)
{
    if (index < s->machine_commands.len)
        return s->machine_commands.ptr[index];
    const struct port_command *p = &port_commands[index - s->machine_commands.len];
    return (struct command_info){
        .name = {.ptr = (uint8_t *)(uintptr_t)p->name, .len = strlen(p->name)}, .arity = p->arity, .read_only = true};
}

static size_t info_count(const struct client_server *s) { return s->machine_commands.len + PORT_COMMAND_COUNT; }

/* The number of a command; -1 when no command has this name. */
static int info_find(const struct client_server *s, const struct bytes *name)
{
    const uint32_t described = client_describe_index(s, name);
    if (described < COMMAND_TABLE_MAX)
        return (int)described;
    int index = name_table_find(&s->port_names, command_name(name->ptr, name->len));
    return index < 0 ? -1 : index + (int)s->machine_commands.len;
}

static void command_entry(struct client_server *s, size_t index, struct resp_buffer *out)
{
    struct command_info info = info_at(s, index);
    bool in_port = index >= s->machine_commands.len;
    resp_array(out, 10);
    resp_bytes(out, info.name.ptr, info.name.len);
    resp_integer(out, info.arity);
    resp_array(out, 1);
    resp_status_text(out, in_port ? "fast" : info.read_only ? "readonly" : "write");
    resp_integer(out, info.first_key);
    resp_integer(out, info.last_key);
    resp_integer(out, info.key_step);
    for (int list = 0; list < 4; list++) /* categories, tips, key specifications, subcommands: none */
        resp_array(out, 0);
}

static void command_docs(struct client_connection *c, size_t index, struct resp_buffer *out)
{
    struct command_info info = info_at(c->server, index);
    bool in_port = index >= c->server->machine_commands.len;
    resp_bytes(out, info.name.ptr, info.name.len);
    resp_map(out, c->version, 2);
    resp_string(out, "summary");
    resp_string(out, in_port ? "Answered by the client port of this node" : "Executed by the replicated state machine");
    resp_string(out, "group");
    resp_string(out, in_port ? "connection" : "string");
}

static void command_docs_all(struct client_connection *c, const struct bytes *names, size_t count, struct resp_buffer *out)
{
    struct client_server *s = c->server;
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += info_find(s, &names[i]) >= 0 ? 1 : 0;
    resp_map(out, c->version, count == 0 ? info_count(s) : found);
    for (size_t i = 0; count == 0 && i < info_count(s); i++)
        command_docs(c, i, out);
    for (size_t i = 0; i < count; i++)
        if (info_find(s, &names[i]) >= 0)
            command_docs(c, (size_t)info_find(s, &names[i]), out);
}

static void command(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct client_server *s = c->server;
    size_t all = info_count(s);
    if (argc == 1 || (client_is_word(&args[1], "info") && argc == 2)) {
        resp_array(out, all);
        for (size_t i = 0; i < all; i++)
            command_entry(s, i, out);
    } else if (client_is_word(&args[1], "count") && argc == 2) {
        resp_integer(out, (int64_t)all);
    } else if (client_is_word(&args[1], "list") && argc == 2) {
        resp_array(out, all);
        for (size_t i = 0; i < all; i++)
            resp_bytes(out, info_at(s, i).name.ptr, info_at(s, i).name.len);
    } else if (argc - 2 > NAMES_MAX) {
        resp_error_text(out, "ERR too many command names");
    } else if (client_is_word(&args[1], "info")) {
        resp_array(out, argc - 2);
        for (size_t i = 2; i < argc; i++) {
            int index = info_find(s, &args[i]);
            if (index < 0)
                resp_nil(out, c->version);
            else
                command_entry(s, (size_t)index, out);
        }
    } else if (client_is_word(&args[1], "docs")) {
        command_docs_all(c, args + 2, argc - 2, out);
    } else {
        client_unknown_subcommand(out, "COMMAND", &args[1]);
    }
}
