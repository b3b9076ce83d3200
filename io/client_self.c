/* CLIENT: a client about its own connection and those of others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/formats/decimal.h"
#include "io/client_internal.h"

/* Looking at a connection is work that its bytes in a reply do not tell of. */
enum { IDS_MAX = 1024, LOOK_WORK = 64 };

/* ---- Names ---- */

static void client_id(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)args;
    (void)argc;
    resp_integer(out, slots_number(c->token));
}

static void client_getname(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)args;
    (void)argc;
    if (c->name[0] == 0)
        resp_nil(out, c->version);
    else
        resp_string(out, c->name);
}

static void client_setname(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)argc;
    if (client_set_word(c->name, sizeof c->name, &args[2], "Client names", out))
        resp_status_text(out, "OK");
}

static void client_setinfo(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    bool set;
    (void)argc;
    if (client_is_word(&args[2], "lib-name")) {
        set = client_set_word(c->library_name, sizeof c->library_name, &args[3], "lib-name", out);
    } else if (client_is_word(&args[2], "lib-ver")) {
        set = client_set_word(c->library_version, sizeof c->library_version, &args[3], "lib-ver", out);
    } else {
        resp_error_text(out, "ERR Unrecognized option for CLIENT SETINFO");
        return;
    }
    if (set)
        resp_status_text(out, "OK");
}

/* ---- INFO and LIST ---- */

static void line(struct client_connection *c, struct resp_buffer *out)
{
    uint64_t now = uv_now(c->server->loop);
    c->server->spent += LOOK_WORK;
    client_print(
        out,
        "id=%u addr=%s laddr=%s name=%s age=%llu idle=%llu flags=%s db=0 sub=%zu psub=%zu ssub=%zu multi=%d qbuf=%zu "
        "pending=%u waiting-bytes=%llu out-bytes=%zu user=default redir=%d resp=%d lib-name=%s lib-ver=%s\n",
        slots_number(c->token), client_connection_address(c), client_connection_local_address(c), c->name,
        (unsigned long long)((now - c->opened_ms) / 1000), (unsigned long long)((now - c->active_ms) / 1000),
        c->subscriptions.first != NULL ? "P"
        : c->tracker.on                ? "t"
                                       : "N",
        c->subscriptions.counts[CHANNEL_NAMED], c->subscriptions.counts[CHANNEL_PATTERN],
        c->subscriptions.counts[CHANNEL_OF_SHARD],
        c->transaction.state == TRANSACTION_NONE ? -1 : (int)(c->transaction.queued.count + c->transaction.own.count),
        c->in_end - c->in_at, c->tail - c->head, (unsigned long long)c->waiting, (size_t)client_replies_unread(c),
        c->tracker.on ? (int)slots_number(c->tracker.redirect) : -1, c->version, c->library_name, c->library_version);
}

static void client_self_info(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct resp_buffer text = {0};
    (void)args;
    (void)argc;
    line(c, &text);
    resp_text(out, c->version, text.data, text.len);
    resp_buffer_close(&text);
}

/* Which connections a LIST or KILL is about. */
struct filter {
    uint32_t ids[IDS_MAX]; /* ascending */
    size_t id_count;
    bool by_id;
    bool none; /* of a type or user that no connection has */
    bool skips_own;
    const struct bytes *address, *local_address; /* NULL: any */
};

static int compare_ids(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool is_text(const struct bytes *wanted, const char *text)
{
    return wanted == NULL || (wanted->len == strlen(text) && memcmp(wanted->ptr, text, wanted->len) == 0);
}

static bool is_meant(const struct filter *f, struct client_connection *c)
{
    const uint32_t id = slots_number(c->token);
    if (f->none || (f->by_id && bsearch(&id, f->ids, f->id_count, sizeof id, compare_ids) == NULL))
        return false;
    return is_text(f->address, client_connection_address(c)) &&
           is_text(f->local_address, client_connection_local_address(c));
}

/* A number of at least `least`; those that no connection can have are 0. */
static bool add_id(struct filter *f, const struct bytes *arg, int64_t least, const char *what, struct resp_buffer *out)
{
    int64_t id;
    if (!decimal_read(arg->ptr, arg->len, &id) || id < least) {
        resp_error_text(out, what);
        return false;
    }
    f->ids[f->id_count++] = id > 0 && id <= UINT32_MAX ? (uint32_t)id : 0;
    f->by_id = true;
    return true;
}

/* Clients are normal ones; Redis knows more types. */
static bool read_type(struct filter *f, const struct bytes *type, struct resp_buffer *out)
{
    static const char *const others[] = {"master", "slave", "replica", "pubsub"};
    if (client_is_word(type, "normal"))
        return true;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        f->none = f->none || client_is_word(type, others[i]);
    if (f->none)
        return true;
    char text[256], word[129];
    client_copy_word(type, word, sizeof word);
    snprintf(text, sizeof text, "ERR Unknown client type '%s'", word);
    resp_error_text(out, text);
    return false;
}

static bool read_list(struct filter *f, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    if (argc == 2)
        return true;
    if (argc == 4 && client_is_word(&args[2], "type"))
        return read_type(f, &args[3], out);
    if (argc < 4 || !client_is_word(&args[2], "id")) {
        resp_error_text(out, "ERR syntax error");
        return false;
    }
    if (argc - 3 > IDS_MAX) {
        resp_error_text(out, "ERR too many client IDs");
        return false;
    }
    for (size_t i = 3; i < argc; i++)
        if (!add_id(f, &args[i], INT64_MIN, "ERR Invalid client ID", out))
            return false;
    qsort(f->ids, f->id_count, sizeof f->ids[0], compare_ids);
    return true;
}

static void client_list(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct client_server *s = c->server;
    struct filter f = {.none = false};
    if (!read_list(&f, args, argc, out))
        return;
    struct resp_buffer text = {0};
    struct client_connection *one;
    for (size_t at = 0; (one = slots_next(&s->connections, &at)) != NULL;) {
        s->spent += LOOK_WORK;
        if (is_meant(&f, one))
            line(one, &text);
    }
    resp_text(out, c->version, text.data, text.len);
    resp_buffer_close(&text);
}

/* ---- KILL ---- */

/* One option with its value. */
static bool read_option(struct filter *f, const struct bytes *option, const struct bytes *value, struct resp_buffer *out)
{
    if (client_is_word(option, "id"))
        return add_id(f, value, 1, "ERR client-id should be greater than 0", out);
    if (client_is_word(option, "type"))
        return read_type(f, value, out);
    if (client_is_word(option, "addr")) {
        f->address = value;
    } else if (client_is_word(option, "laddr")) {
        f->local_address = value;
    } else if (client_is_word(option, "user")) {
        if (!is_text(value, "default")) {
            char text[256], word[129];
            client_copy_word(value, word, sizeof word);
            snprintf(text, sizeof text, "ERR No such user '%s'", word);
            resp_error_text(out, text);
            return false;
        }
    } else if (client_is_word(option, "skipme") && (client_is_word(value, "yes") || client_is_word(value, "no"))) {
        f->skips_own = client_is_word(value, "yes");
    } else {
        resp_error_text(out, "ERR syntax error");
        return false;
    }
    return true;
}

static bool read_kill(struct filter *f, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    f->skips_own = argc > 3;
    if (argc == 3) {
        f->address = &args[2];
        return true;
    }
    if (argc % 2 != 0 || argc > 2 + 2 * IDS_MAX) {
        resp_error_text(out, "ERR syntax error");
        return false;
    }
    for (size_t i = 2; i < argc; i += 2) {
        f->id_count = client_is_word(&args[i], "id") ? 0 : f->id_count; /* the last one counts */
        if (!read_option(f, &args[i], &args[i + 1], out))
            return false;
    }
    return true;
}

static void client_kill(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct client_server *s = c->server;
    struct filter f = {.none = false};
    if (!read_kill(&f, args, argc, out))
        return;
    int64_t killed = 0;
    struct client_connection *one;
    for (size_t at = 0; (one = slots_next(&s->connections, &at)) != NULL;) {
        s->spent += LOOK_WORK;
        if ((one == c && f.skips_own) || !is_meant(&f, one))
            continue;
        killed++;
        if (one == c)
            client_connection_finish(c); /* after this reply */
        else
            client_connection_close(one);
    }
    if (argc > 3)
        resp_integer(out, killed);
    else if (killed > 0)
        resp_status_text(out, "OK");
    else
        resp_error_text(out, "ERR No such client");
}

/* ---- What a connection wants ---- */

static bool is_choice(const struct bytes *arg) { return client_is_word(arg, "on") || client_is_word(arg, "off"); }

/* Nothing is ever evicted or ages. */
static void client_no_effect(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    (void)argc;
    if (is_choice(&args[2]))
        resp_status_text(out, "OK");
    else
        resp_error_text(out, "ERR syntax error");
}

/* What a client can do beyond what is usual: nothing here makes use of it. */
static void client_capa(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    (void)args;
    (void)argc;
    resp_status_text(out, "OK");
}

/* WAIT is the only command that blocks a client. */
static void client_unblock(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    const bool fails = argc == 4 && client_is_word(&args[3], "error");
    struct client_connection *one;
    uint64_t id;
    bool ended = false;
    if (argc == 4 && !fails && !client_is_word(&args[3], "timeout")) {
        resp_error_text(out, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        return;
    }
    if (!client_number(&args[2], INT64_MAX, &id, "ERR value is not an integer or out of range", out))
        return;
    for (size_t at = 0; (one = slots_next(&c->server->connections, &at)) != NULL;) {
        c->server->spent += LOOK_WORK;
        ended = ended || (slots_number(one->token) == id && client_wait_end(one, fails));
    }
    resp_integer(out, ended);
}

/* CLIENT PAUSE milliseconds [WRITE|ALL]: for a day at most. */
static void client_pause(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    enum { PAUSE_MS_MAX = 24 * 3600 * 1000 };
    const bool writes = argc == 4 && client_is_word(&args[3], "write");
    int64_t ms;
    if (argc > 4) {
        char word[129];
        client_copy_word(&args[1], word, sizeof word);
        client_print(out, "-ERR unknown subcommand or wrong number of arguments for '%s'. Try CLIENT HELP.\r\n", word);
    } else if (argc == 4 && !writes && !client_is_word(&args[3], "all")) {
        resp_error_text(out, "ERR CLIENT PAUSE mode must be WRITE or ALL");
    } else if (!decimal_read(args[2].ptr, args[2].len, &ms) || ms > PAUSE_MS_MAX) {
        resp_error_text(out, "ERR timeout is not an integer or out of range");
    } else if (ms < 0) {
        resp_error_text(out, "ERR timeout is negative");
    } else {
        client_pause_begin(c->server, writes ? PAUSE_WRITES : PAUSE_ALL, (uint64_t)ms);
        resp_status_text(out, "OK");
    }
}

static void client_unpause(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)args;
    (void)argc;
    client_pause_end(c->server);
    resp_status_text(out, "OK");
}

void client_self_choose_replies(struct client_connection *c, const struct bytes *choice)
{
    if (client_is_word(choice, "on"))
        c->wants = WANTS_REPLIES;
    else if (client_is_word(choice, "off"))
        c->wants = WANTS_NONE;
    else if (client_is_word(choice, "skip") && c->wants != WANTS_NONE)
        c->wants = WANTS_NOT_THE_NEXT;
}

/* The choice is made already (client_self_choose_replies). */
static void client_reply(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    (void)argc;
    if (is_choice(&args[2]) || client_is_word(&args[2], "skip"))
        resp_status_text(out, "OK");
    else
        resp_error_text(out, "ERR syntax error");
}

/* ---- The table ---- */

#define OWN    .flags = "noscript loading stale", .categories = "slow connection"
#define OTHERS .flags = "admin noscript loading stale", .categories = "admin slow dangerous connection"

/* clang-format off */
const struct client_command client_self_subcommands[CLIENT_SUBCOMMANDS] = {
    {"caching", client_caching, 3, 0, OWN, .since = "6.0.0", .usage = "(YES|NO)",
     .summary = "Whether the keys of the next command are tracked."},
    {"capa", client_capa, -3, 0, OWN, .since = "8.0.0", .usage = "<capability> [<capability> ...]",
     .summary = "Accepted, and has no effect."},
    {"getname", client_getname, 2, 0, OWN, .since = "2.6.9", .usage = "", .summary = "The name of this connection."},
    {"getredir", client_getredir, 2, 0, OWN, .since = "6.0.0", .usage = "",
     .summary = "Which connection hears of changed keys."},
    {"help", NULL, 2, 0, .flags = "loading stale", .categories = "slow connection", .since = "5.0.0", .usage = "",
     .summary = "Prints this help."},
    {"id", client_id, 2, 0, OWN, .since = "5.0.0", .usage = "", .summary = "The number of this connection."},
    {"info", client_self_info, 2, 0, OWN, .since = "6.2.0", .usage = "",
     .summary = "What CLIENT LIST says of this connection."},
    {"kill", client_kill, -3, 0, OTHERS, .since = "2.4.0", .usage = "(<ip:port>|<option> <value> [<option> <value> [...]])",
     .summary = "Ends connections: ID, ADDR, LADDR, TYPE, USER, SKIPME (yes if not said)."},
    {"list", client_list, -2, 0, OTHERS, .since = "2.4.0", .usage = "[TYPE <type>|ID <id> [<id> ...]]",
     .summary = "Connections, a line each."},
    {"no-evict", client_no_effect, 3, 0, OTHERS, .since = "7.0.0", .usage = "(ON|OFF)",
     .summary = "Accepted, and has no effect."},
    {"no-touch", client_no_effect, 3, 0, OWN, .since = "7.2.0", .usage = "(ON|OFF)",
     .summary = "Accepted, and has no effect."},
    {"pause", client_pause, -3, 0, OTHERS, .since = "3.0.0", .usage = "<milliseconds> [WRITE|ALL]",
     .summary = "This node takes no commands for a while, or none that write."},
    {"reply", client_reply, 3, FOR_REPLIES, OWN, .since = "3.2.0", .usage = "(ON|OFF|SKIP)",
     .summary = "Whether replies are sent."},
    {"setinfo", client_setinfo, 4, 0, OWN, .since = "7.2.0", .usage = "(LIB-NAME <name>|LIB-VER <version>)",
     .summary = "Which library the client has."},
    {"setname", client_setname, 3, 0, OWN, .since = "2.6.9", .usage = "<name>", .summary = "Names this connection."},
    {"tracking", client_tracking, -3, 0, OWN, .since = "6.0.0", 
     .usage = "(ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
     .summary = "Tells the client when keys that it has read may have changed."},
    {"trackinginfo", client_trackinginfo, 2, 0, OWN, .since = "6.2.0", .usage = "",
     .summary = "What CLIENT TRACKING has said."},
    {"unblock", client_unblock, -3, 0, OTHERS, .since = "5.0.0", .usage = "<id> [TIMEOUT|ERROR]",
     .summary = "Ends a WAIT of a connection."},
    {"unpause", client_unpause, 2, 0, OTHERS, .since = "6.2.0", .usage = "", .summary = "Ends a pause."},
};
/* clang-format on */
