/* SUBSCRIBE and its kin, PUBSUB, and messages to those that are subscribed (P26).
 *
 * A message comes from the learner of this node, which tells of those that it has executed from the port's next question on.
 * The port asks for them in the turn that follows a SUBSCRIBE, before anything is executed in it. So who is subscribed gets
 * all messages of the slots that this node executes from then on, each once, in the order of the log:
 *
 * 1. A request about subscriptions waits until all earlier ones of its connection are answered: what it says about itself
 *    comes between their replies and the first message.
 * 2. What cannot be told ends the connection, and the log says why: when the node begins another life, when a snapshot takes
 *    the place of slots, when the client is slow to take messages, when its pattern is too costly to be compared with one. A
 *    client library then subscribes again, and knows that it has missed some. */
#include <stdio.h>
#include <string.h>

#include "core/formats/glob.h"
#include "core/formats/notice.h"
#include "core/runners/ports.h"
#include "io/client_internal.h"

enum { NODES_TEXT_MAX = 512 };
/* Of comparisons with patterns: for one, and for all of what one step of the node tells (core/formats/glob.h). */
enum { COMPARISON_STEPS = 64 * 1024 };
#define NOTICES_STEPS (UINT64_C(1) << 24)

static size_t count_of(const struct client_connection *c)
{
    return c->subscriptions.counts[CHANNEL_NAMED] + c->subscriptions.counts[CHANNEL_PATTERN];
}

static bool is_subscribed(const struct client_connection *c) { return c->subscriptions.first != NULL; }

/* ---- What a connection that is subscribed may say ---- */

bool client_pubsub_is_limited(const struct client_connection *c) { return c->version == 2 && is_subscribed(c); }

bool client_pubsub_waits(struct client_connection *c, const struct client_command *p)
{
    c->after_all = p != NULL && (p->may & AFTER_REPLIES) != 0;
    return c->after_all && c->head != c->tail;
}

bool client_pubsub_refuses(struct client_connection *c, const struct client_command *p, const struct resp_request *request)
{
    char name[64], text[256];
    if (!client_pubsub_is_limited(c) || (p != NULL && (p->may & FOR_SUBSCRIBED) != 0))
        return false;
    client_copy_word(&request->args[0], name, sizeof name);
    for (char *at = name; *at != '\0'; at++)
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at | 0x20) : *at;
    const struct client_command *sub = NULL;
    if (p != NULL && request->argc > 1)
        sub = client_command_find(p->subcommands, p->subcommand_count, &request->args[1]);
    snprintf(text, sizeof text,
             "ERR Can't execute '%s%s%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
             "context",
             name, sub != NULL ? "|" : "", sub != NULL ? sub->name : "");
    client_replies_error(c, text);
    return true;
}

/* ---- Where there is something to hear ---- */

bool client_pubsub_has_learner(const struct client_server *s, struct resp_buffer *out)
{
    char text[NODES_TEXT_MAX];
    const node_set learners = s->options.config->node_config.learners;
    size_t len = 0;
    if (node_set_has(learners, s->options.node))
        return true;
    for (uint32_t id = 1; id <= NODE_ID_MAX && len < sizeof text; id++) {
        const struct config_node *n = node_set_has(learners, id) ? roster_find(&s->members, id) : NULL;
        if (n != NULL && n->client.host[0] != '\0')
            len += (size_t)snprintf(text + len, sizeof text - len, "%s %s:%u", len > 0 ? "," : "", client_cluster_host(n),
                                    client_cluster_port(s, n));
    }
    text[len < sizeof text ? len : sizeof text - 1] = '\0';
    client_print(out, "-ERR this node has no learner, so it hears of no message and no change; these have one:%s\r\n",
                 text[0] != '\0' ? text : " (none that clients reach)");
    return false;
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

static const char *const subscribed_words[] = {"subscribe", "psubscribe", "ssubscribe"};
static const char *const unsubscribed_words[] = {"unsubscribe", "punsubscribe", "sunsubscribe"};

/* What a connection hears about its own subscription. `name` is NULL: there was none. */
static void tell(struct client_connection *c, const char *word, uint8_t kind, const struct bytes *name)
{
    struct resp_buffer *out = &c->out; /* nothing waits before it, and it comes whether the client wants replies or not */
    resp_push(out, c->version, 3);
    resp_string(out, word);
    if (name != NULL)
        resp_bytes(out, name->ptr, name->len);
    else
        resp_nil(out, c->version);
    resp_integer(out, (int64_t)(kind == CHANNEL_OF_SHARD ? c->subscriptions.counts[kind] : count_of(c)));
}

static void subscribe(struct client_connection *c, uint8_t kind, const struct bytes *args, size_t argc,
                      struct resp_buffer *out)
{
    struct client_server *s = c->server;
    if (!client_pubsub_has_learner(s, out))
        return;
    for (size_t i = 1; i < argc; i++) {
        const struct client_channel *channel = client_channels_find(&s->channels, kind, args[i]);
        const bool is_new = client_channels_subscribed(&c->subscriptions, channel) == NULL;
        const char *error = is_new ? client_channels_lacks_room(&s->channels, &c->subscriptions, kind, args[i]) : NULL;
        if (error != NULL) {
            resp_error_text(&c->out, error);
            continue;
        }
        client_channels_add(&s->channels, &c->subscriptions, c, kind, args[i]);
        tell(c, subscribed_words[kind], kind, &args[i]);
    }
}

static void leave(struct client_connection *c, struct client_subscription *left)
{
    client_channels_remove(&c->server->channels, &c->subscriptions, left);
}

static void unsubscribe_all(struct client_connection *c, uint8_t kind)
{
    if (c->subscriptions.counts[kind] == 0)
        tell(c, unsubscribed_words[kind], kind, NULL);
    for (struct client_subscription *at = c->subscriptions.first, *next; at != NULL; at = next) {
        next = at->next_own;
        if (at->channel->kind != kind)
            continue;
        uint8_t copy[CHANNEL_NAME_MAX];
        const struct bytes name = {copy, at->channel->name.len};
        memcpy(copy, at->channel->name.ptr, name.len);
        leave(c, at);
        tell(c, unsubscribed_words[kind], kind, &name);
    }
}

static void unsubscribe(struct client_connection *c, uint8_t kind, const struct bytes *args, size_t argc)
{
    if (argc == 1)
        unsubscribe_all(c, kind);
    for (size_t i = 1; i < argc; i++) {
        const struct client_channel *channel = client_channels_find(&c->server->channels, kind, args[i]);
        struct client_subscription *left = client_channels_subscribed(&c->subscriptions, channel);
        if (left != NULL)
            leave(c, left);
        tell(c, unsubscribed_words[kind], kind, &args[i]);
    }
}

void client_subscribe(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    subscribe(c, CHANNEL_NAMED, args, argc, out);
}

void client_psubscribe(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    subscribe(c, CHANNEL_PATTERN, args, argc, out);
}

void client_ssubscribe(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    subscribe(c, CHANNEL_OF_SHARD, args, argc, out);
}

void client_unsubscribe(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)out;
    unsubscribe(c, CHANNEL_NAMED, args, argc);
}

void client_punsubscribe(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)out;
    unsubscribe(c, CHANNEL_PATTERN, args, argc);
}

void client_sunsubscribe(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)out;
    unsubscribe(c, CHANNEL_OF_SHARD, args, argc);
}

/* ---- PUBSUB ---- */

/* The names of channels that match the pattern, or all. */
static void list(struct client_connection *c, uint8_t kind, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct client_server *s = c->server;
    struct resp_buffer names = {0};
    char name[64];
    if (argc > 3) {
        client_copy_word(&args[1], name, sizeof name);
        client_print(out, "-ERR unknown subcommand or wrong number of arguments for '%s'. Try PUBSUB HELP.\r\n", name);
        return;
    }
    uint64_t steps = NOTICES_STEPS;
    size_t count = 0;
    enum glob_result result = GLOB_MATCHES;
    for (const struct client_channel *at = s->channels.first[kind]; at != NULL && result != GLOB_TOO_COSTLY; at = at->next) {
        if (argc > 2)
            result = glob_match(args[2].ptr, args[2].len, at->name.ptr, at->name.len, &steps);
        if (result == GLOB_MATCHES) {
            resp_bytes(&names, at->name.ptr, at->name.len);
            count++;
        }
    }
    s->spent += NOTICES_STEPS - steps + names.len;
    if (result == GLOB_TOO_COSTLY) {
        resp_error_text(out, "ERR the pattern is too costly");
    } else {
        resp_array(out, count);
        resp_raw(out, names.data, names.len);
    }
    resp_buffer_close(&names);
}

/* How many are subscribed to each of these channels. */
static void numbers(struct client_connection *c, uint8_t kind, const struct bytes *args, size_t argc,
                    struct resp_buffer *out)
{
    resp_array(out, 2 * (argc - 2));
    for (size_t i = 2; i < argc; i++) {
        resp_bytes(out, args[i].ptr, args[i].len);
        resp_integer(out, (int64_t)client_channels_count(client_channels_find(&c->server->channels, kind, args[i])));
    }
}

static void pubsub_channels(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    list(c, CHANNEL_NAMED, args, argc, out);
}

static void pubsub_shardchannels(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    list(c, CHANNEL_OF_SHARD, args, argc, out);
}

static void pubsub_numsub(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    numbers(c, CHANNEL_NAMED, args, argc, out);
}

static void pubsub_shardnumsub(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    numbers(c, CHANNEL_OF_SHARD, args, argc, out);
}

static void pubsub_numpat(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)args;
    (void)argc;
    resp_integer(out, (int64_t)c->server->channels.counts[CHANNEL_PATTERN]);
}

#define TOLD .flags = "pubsub loading stale", .categories = "pubsub slow"
/* clang-format off */
const struct client_command client_pubsub_subcommands[PUBSUB_SUBCOMMANDS] = {
    {"channels", pubsub_channels, -2, 0, TOLD, .since = "2.8.0", .usage = "[<pattern>]",
     .summary = "Channels of this node to which some client is subscribed."},
    {"help", NULL, 2, 0, .flags = "loading stale", .categories = "slow", .since = "6.2.0", .usage = "",
     .summary = "Prints this help."},
    {"numpat", pubsub_numpat, 2, 0, TOLD, .since = "2.8.0", .usage = "",
     .summary = "How many patterns clients of this node are subscribed to."},
    {"numsub", pubsub_numsub, -2, 0, TOLD, .since = "2.8.0", .usage = "[<channel> ...]",
     .summary = "How many clients of this node are subscribed to channels."},
    {"shardchannels", pubsub_shardchannels, -2, 0, TOLD, .since = "7.0.0", .usage = "[<pattern>]",
     .summary = "As CHANNELS, for channels of shards."},
    {"shardnumsub", pubsub_shardnumsub, -2, 0, TOLD, .since = "7.0.0", .usage = "[<channel> ...]",
     .summary = "As NUMSUB, for channels of shards."},
};
/* clang-format on */

/* ---- Messages ---- */

/* The connection may be closed afterwards. */
static void deliver(struct client_connection *c, const struct client_channel *to, const struct notice *n)
{
    static const char *const kinds[] = {"message", "pmessage", "smessage"};
    if (c->state != CLIENT_SERVED)
        return;
    if (client_replies_unread(c) > c->server->options.config->client_bytes_max) {
        client_connection_drop(c, "it is slow to take the messages that it is subscribed to");
        return;
    }
    struct resp_buffer *out = client_late_begin(c);
    resp_push(out, c->version, to->kind == CHANNEL_PATTERN ? 4 : 3);
    resp_string(out, kinds[to->kind]);
    if (to->kind == CHANNEL_PATTERN)
        resp_bytes(out, to->name.ptr, to->name.len);
    resp_bytes(out, n->channel.ptr, n->channel.len);
    resp_bytes(out, n->message.ptr, n->message.len);
    client_late_end(c, out);
}

/* Those that are subscribed may go on the way, and the channel with the last of them. */
static void deliver_all(struct client_channels *all, const struct client_channel *to, const struct notice *n)
{
    for (struct client_subscription *at = to->first; at != NULL; at = all->next_subscription) {
        all->next_subscription = at->next;
        deliver(at->connection, to, n);
    }
}

static void drop_all(struct client_channels *all, const struct client_channel *of, const char *why)
{
    for (struct client_subscription *at = of->first; at != NULL; at = all->next_subscription) {
        all->next_subscription = at->next;
        client_connection_drop(at->connection, why);
    }
}

static enum glob_result compare(const struct client_channel *pattern, const struct notice *n, uint64_t *steps)
{
    const uint64_t most = *steps < COMPARISON_STEPS ? *steps : COMPARISON_STEPS;
    uint64_t left = most;
    const enum glob_result result = glob_match(pattern->name.ptr, pattern->name.len, n->channel.ptr, n->channel.len, &left);
    *steps -= most - left;
    return result;
}

static void deliver_to_patterns(struct client_channels *all, const struct notice *n, uint64_t *steps)
{
    for (struct client_channel *at = all->first[CHANNEL_PATTERN]; at != NULL; at = all->next_pattern) {
        all->next_pattern = at->next;
        switch (compare(at, n, steps)) {
        case GLOB_MATCHES:
            deliver_all(all, at, n);
            break;
        case GLOB_TOO_COSTLY:
            drop_all(all, at, "a pattern that it is subscribed to is too costly");
            break;
        default:
            break;
        }
    }
}

void client_pubsub_lost(struct client_server *s, const char *why)
{
    struct client_connection *c;
    for (size_t at = 0; (c = slots_next(&s->connections, &at)) != NULL;)
        if (is_subscribed(c))
            client_connection_drop(c, why);
    s->upcalls->changed(s, NULL);
}

void client_pubsub_message(struct client_server *s, const struct notice *n, uint64_t *steps)
{
    const uint8_t kind = n->kind == NOTICE_SHARD_MESSAGE ? CHANNEL_OF_SHARD : CHANNEL_NAMED;
    const struct client_channel *to = client_channels_find(&s->channels, kind, n->channel);
    if (to != NULL)
        deliver_all(&s->channels, to, n);
    if (kind == CHANNEL_NAMED)
        deliver_to_patterns(&s->channels, n, steps);
}

static void take_notice(struct client_server *s, const struct notice *n, uint64_t *steps)
{
    switch (n->kind) {
    case NOTICE_MESSAGE:
    case NOTICE_SHARD_MESSAGE:
        client_pubsub_message(s, n, steps);
        break;
    case NOTICE_CHANGED:
    case NOTICE_ENDED:
        s->upcalls->changed(s, &n->channel);
        break;
    case NOTICE_ALL_CHANGED:
        s->upcalls->changed(s, NULL);
        break;
    case NOTICE_EVENT:
        s->upcalls->event(s, n, steps);
        break;
    case NOTICE_CAUSE:
        s->cause = client_batches_cause(s, n->cause);
        break;
    default:
        client_pubsub_lost(s, "the node cannot tell some of the messages that it is subscribed to");
        break;
    }
}

void client_pubsub_notices(struct client_server *s, const struct payload *told)
{
    uint64_t steps = NOTICES_STEPS;
    struct notice n;
    if (!batch_commands_read(&s->unpacked, told))
        s->unpacked.count = 0;
    for (size_t i = 0; i < s->unpacked.count; i++)
        if (notice_read(&s->unpacked.commands[i], &n))
            take_notice(s, &n, &steps);
    s->upcalls->told(s);
    s->cause = (struct client_cause){0};
}

/* ---- What the node is told ---- */

static uint64_t wanted(const struct client_server *s)
{
    return (s->channels.subscriptions > 0 ? WATCH_MESSAGES : 0) | (s->trackers > 0 ? WATCH_KEYS : 0) |
           (s->upcalls->wants_events(s) ? WATCH_EVENTS : 0);
}

bool client_pubsub_wants(const struct client_server *s) { return wanted(s) != s->watch_told; }

bool client_pubsub_next(struct client_server *s, struct packet *told)
{
    if (!client_pubsub_wants(s))
        return false;
    s->watch_told = wanted(s);
    *told = (struct packet){.id = s->watch_told, .kind = CLIENT_WATCH};
    return true;
}
