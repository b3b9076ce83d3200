/* CLIENT TRACKING: which clients keep values that they have read, and hear when these may have changed (P26).
 *
 * 1. A key is remembered for a connection when its read is gathered: before the reply leaves, and before anything that comes
 *    later is executed. What is told of the key then goes to the connection once, and the key is forgotten.
 * 2. What is told while the read is without a reply goes out after that reply. The read may be answered by a state from
 *    before the change. And what the connection has changed itself is told after the reply to that (client_late.c); or, with
 *    NOLOOP, not at all. Then the key stays remembered, because others may change it later.
 * 3. The keys remembered take a bounded part of memory. The oldest one makes room: it is told as if it had changed.
 * 4. What cannot be told (another life of the node, a snapshot in place of slots) is told as if all keys had changed.
 * 5. With BCAST nothing is remembered. All changed keys of a step that begin with one prefix are told together.
 *
 * The node tells keys that a command names, whether it has changed them or not, those that have ended by time, and all keys
 * when a command names none. So a client hears of more than has changed, and never of less. */
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/decimal.h"
#include "core/formats/session_call.h"
#include "io/client_internal.h"

enum { PREFIXES_MAX = 16, PREFIX_MAX = 256, NODE_PREFIXES_MAX = 1024 };
enum { GATHERED_MAX = 64 * 1024 /* bytes of keys that are told together */ };

/* ---- What a client hears ---- */

/* Where a connection's invalidations go; NULL: there is no such connection any more, or it ends. */
static struct client_connection *target_of(struct client_connection *c)
{
    if (c->tracker.redirect == 0)
        return c;
    struct client_connection *target = slots_find(&c->server->connections, c->tracker.redirect);
    return target != NULL && target->state == CLIENT_SERVED ? target : NULL;
}

/* In RESP 2 they are messages, for a connection that is subscribed to this. */
static bool hears_in_2(const struct client_connection *target)
{
    static const char name[] = "__redis__:invalidate";
    const struct bytes channel = {(uint8_t *)(uintptr_t)name, sizeof name - 1};
    const struct client_channels *all = &target->server->channels;
    return client_channels_subscribed(&target->subscriptions, client_channels_find(all, CHANNEL_NAMED, channel)) != NULL;
}

static void tell_broken(struct client_connection *c)
{
    if (c->version >= 3 && !c->tracker.broken) {
        resp_push(&c->out, c->version, 2);
        resp_string(&c->out, "tracking-redir-broken");
        resp_integer(&c->out, slots_number(c->tracker.redirect));
        client_replies_touch(c);
    }
    c->tracker.broken = true;
}

/* Tells that keys (each encoded; none: any key) may have changed. */
static void tell(struct client_connection *c, struct bytes encoded, size_t count)
{
    struct client_connection *target = target_of(c);
    if (target == NULL) {
        tell_broken(c);
        return;
    }
    if (target->state != CLIENT_SERVED || (target->version == 2 && (c->tracker.redirect == 0 || !hears_in_2(target))))
        return;
    if (client_replies_unread(target) > target->server->options.config->client_bytes_max) {
        client_connection_drop(target, "it is slow to take what it has to know of changed keys");
        return;
    }
    struct resp_buffer *out = client_late_begin(target);
    resp_push(out, target->version, target->version >= 3 ? 2 : 3);
    resp_string(out, target->version >= 3 ? "invalidate" : "message");
    if (target->version == 2)
        resp_string(out, "__redis__:invalidate");
    if (count == 0) {
        resp_nil(out, c->version);
    } else {
        resp_array(out, count);
        resp_raw(out, encoded.ptr, encoded.len);
    }
    client_late_end(target, out);
}

static struct bytes encoded_in(const struct resp_buffer *b) { return (struct bytes){b->data, b->len}; }

/* Tells them after the reply at `position`. */
static void tell_after(struct client_connection *c, uint32_t position, struct bytes encoded, size_t count)
{
    if (client_replies_given(c, position))
        tell(c, encoded, count);
    else
        client_late_keys(c, position, encoded, count);
}

static void tell_key_after(struct client_connection *c, uint32_t position, struct bytes key)
{
    struct resp_buffer *b = &c->server->told_key;
    b->len = 0;
    resp_bytes(b, key.ptr, key.len);
    tell_after(c, position, encoded_in(b), 1);
}

void client_tracking_answered(struct client_connection *c)
{
    struct client_late *late;
    while (c->state != CLIENT_CLOSED && (late = client_late_take(c)) != NULL) {
        struct bytes keys;
        for (size_t at = 0, count; client_late_next_keys(late, &at, &keys, &count) && c->tracker.on;)
            tell(c, keys, count);
        client_late_free(late);
    }
}

/* ---- Keys that are remembered ---- */

static void forget(struct client_connection *c, struct client_subscription *s)
{
    client_channels_remove(&c->server->tracked, &c->tracker.keys, s);
}

/* The key of `s` may have changed. */
static void invalidate(struct client_subscription *s)
{
    struct client_connection *c = s->connection;
    if (c->tracker.no_loop && client_late_is_own(c))
        return;
    tell_key_after(c, client_late_after(c, s->position), s->channel->name);
    if (c->state != CLIENT_CLOSED)
        forget(c, s);
}

static void invalidate_key(struct client_server *s, const struct client_channel *key)
{
    struct client_channels *all = &s->tracked;
    for (struct client_subscription *at = key != NULL ? key->first : NULL; at != NULL; at = all->next_subscription) {
        all->next_subscription = at->next;
        invalidate(at);
    }
}

static bool is_full(const struct client_channels *all, uint64_t bytes, uint64_t keys)
{
    return all->bytes + bytes > all->bytes_max ||
           (all->channels_max != 0 && all->counts[CHANNEL_NAMED] + keys > all->channels_max);
}

/* Makes room by what was remembered first, for so many keys. False: there is none. */
static bool make_room(struct client_server *s, uint64_t bytes, uint64_t keys)
{
    struct client_channels *all = &s->tracked;
    while (is_full(all, bytes, keys) && all->first[CHANNEL_NAMED] != NULL) {
        struct client_subscription *oldest = all->first[CHANNEL_NAMED]->first;
        struct client_connection *c = oldest->connection;
        tell_key_after(c, oldest->position, oldest->channel->name);
        if (c->state != CLIENT_CLOSED)
            forget(c, oldest);
    }
    return !is_full(all, bytes, keys);
}

void client_tracking_limit(struct client_server *s)
{
    struct client_connection *c;
    (void)make_room(s, 0, 0);
    for (size_t at = 0; (c = client_replies_next(s, &at)) != NULL;)
        client_output_flush(c); /* who hears of it may be another one than the client that has set the limit */
}

static void remember(struct client_connection *c, const struct bytes *key, uint32_t position)
{
    struct client_server *s = c->server;
    const bool is_new = client_channels_find(&s->tracked, CHANNEL_NAMED, *key) == NULL;
    if (!make_room(s, client_channels_cost(key->len), is_new)) { /* then it must not be kept; it hears so after the reply */
        tell_key_after(c, position, *key);
        return;
    }
    if (c->state == CLIENT_CLOSED) /* what made room was its own, and it does not take what it is told */
        return;
    client_channels_add(&s->tracked, &c->tracker.keys, c, CHANNEL_NAMED, *key)->position = position;
}

/* ---- What reads name ---- */

static void remember_keys(struct client_connection *c, const struct bytes_list *args, uint32_t position)
{
    struct client_server *s = c->server;
    const uint32_t index = client_describe(s, &args->ptr[0]).index;
    if (index == COMMAND_TABLE_MAX || !s->machine_commands.ptr[index].read_only)
        return;
    const struct command_info *info = &s->machine_commands.ptr[index];
    const size_t step = info->key_step > 0 ? info->key_step : 1;
    const size_t end = command_keys_end(info->last_key, args->len);
    for (size_t i = info->first_key; i > 0 && i < end && c->state != CLIENT_CLOSED; i += step)
        remember(c, &args->ptr[i], position);
}

void client_tracking_gathered(struct client_connection *c, const struct resp_request *request, uint32_t position)
{
    const struct client_tracker *t = &c->tracker;
    struct bytes_list args = {request->args, request->argc};
    struct transaction *transaction = &c->server->tracked_transaction;
    const bool wanted = t->opts_in ? t->says == CACHING_YES : t->says != CACHING_NO;
    if (!t->on || t->broadcasts || !wanted)
        return;
    if (session_call_read(&args).kind == SESSION_CALL)
        args = (struct bytes_list){args.ptr + SESSION_CALL_ARGS, args.len - SESSION_CALL_ARGS};
    if (!transaction_is(&args)) {
        remember_keys(c, &args, position);
        return;
    }
    transaction_read(transaction, &args);
    for (size_t i = 0; i < transaction->count; i++)
        remember_keys(c, &transaction->commands[i].args, position);
}

void client_tracking_taken(struct client_connection *c, const struct resp_request *request)
{
    if (c->transaction.state == TRANSACTION_NONE && !client_is_word(&request->args[0], "client"))
        c->tracker.says = CACHING_NOT_SAID;
}

/* ---- What the node tells ---- */

static bool begins_with(const struct bytes *key, const struct bytes *prefix)
{
    return prefix->len <= key->len && (prefix->len == 0 || memcmp(prefix->ptr, key->ptr, prefix->len) == 0);
}

/* The keys that have been gathered for a prefix. */
static void tell_gathered(struct client_prefix *p)
{
    struct client_connection *c = p->connection;
    struct resp_buffer keys = p->keys;
    const size_t count = p->count;
    p->keys = (struct resp_buffer){0}; /* the prefix may go, with its connection */
    p->count = 0;
    tell_after(c, p->position, encoded_in(&keys), count);
    resp_buffer_close(&keys);
}

static void gather(struct client_prefix *p, const struct bytes *key)
{
    struct client_connection *c = p->connection;
    const uint32_t given = c->head - 1;
    if (c->tracker.no_loop && client_late_is_own(c))
        return;
    p->position = client_late_after(c, p->count > 0 ? p->position : given);
    resp_bytes(&p->keys, key->ptr, key->len);
    p->count++;
    if (p->keys.len >= GATHERED_MAX)
        tell_gathered(p);
}

void client_tracking_changed(struct client_server *s, const struct bytes *key)
{
    invalidate_key(s, client_channels_find(&s->tracked, CHANNEL_NAMED, *key));
    for (struct client_prefix *p = s->prefixes; p != NULL; p = s->next_prefix) {
        s->next_prefix = p->next;
        if (begins_with(key, &p->bytes))
            gather(p, key);
    }
}

void client_tracking_told(struct client_server *s)
{
    for (struct client_prefix *p = s->prefixes; p != NULL; p = s->next_prefix) {
        s->next_prefix = p->next;
        if (p->count > 0)
            tell_gathered(p);
    }
}

void client_tracking_changed_all(struct client_server *s)
{
    struct client_connection *c;
    for (size_t at = 0; s->trackers > 0 && (c = slots_next(&s->connections, &at)) != NULL;) {
        const uint32_t given = c->head - 1;
        if (!c->tracker.on)
            continue;
        tell_after(c, client_late_after(c, given), (struct bytes){0}, 0);
        for (struct client_subscription *key = c->tracker.keys.first, *next; key != NULL; key = next) {
            next = key->next_own;
            if (client_replies_given(c, key->position))
                forget(c, key);
            else
                invalidate(key);
        }
    }
}

static void leave(struct client_server *s, struct client_prefix *p)
{
    if (s->next_prefix == p)
        s->next_prefix = p->next;
    *(p->previous != NULL ? &p->previous->next : &s->prefixes) = p->next;
    if (p->next != NULL)
        p->next->previous = p->previous;
    free(p->bytes.ptr);
    resp_buffer_close(&p->keys);
    s->prefix_count--;
}

void client_tracking_end(struct client_connection *c)
{
    struct client_server *s = c->server;
    struct client_tracker *t = &c->tracker;
    client_channels_remove_all(&s->tracked, &t->keys);
    s->trackers -= t->on;
    for (size_t i = 0; i < t->prefix_count; i++)
        leave(s, &t->prefixes[i]);
    free(t->prefixes);
    *t = (struct client_tracker){.on = false};
}

/* ---- CLIENT TRACKING ---- */

/* What the arguments say. */
struct wish {
    struct client_tracker said;
    struct bytes prefixes[PREFIXES_MAX];
    size_t prefix_count;
};

static struct client_connection *find_by_number(struct client_server *s, uint64_t number)
{
    struct client_connection *c;
    for (size_t at = 0; (c = slots_next(&s->connections, &at)) != NULL;)
        if (slots_number(c->token) == number)
            return c;
    return NULL;
}

static const char *read_redirect(struct client_connection *c, struct wish *w, const struct bytes *id)
{
    int64_t number;
    if (w->said.redirect != 0)
        return "ERR A client can only redirect to a single other client";
    if (!decimal_read(id->ptr, id->len, &number))
        return "ERR value is not an integer or out of range";
    const struct client_connection *target = number > 0 ? find_by_number(c->server, (uint64_t)number) : NULL;
    if (target == NULL)
        return "ERR The client ID you want redirect to does not exist";
    w->said.redirect = target->token;
    return NULL;
}

static const char *read_option(struct client_connection *c, struct wish *w, const struct bytes *args, size_t left,
                               size_t *taken)
{
    *taken = 1;
    if (client_is_word(&args[0], "bcast")) {
        w->said.broadcasts = true;
    } else if (client_is_word(&args[0], "optin")) {
        w->said.opts_in = true;
    } else if (client_is_word(&args[0], "optout")) {
        w->said.opts_out = true;
    } else if (client_is_word(&args[0], "noloop")) {
        w->said.no_loop = true;
    } else if (client_is_word(&args[0], "redirect") && left > 1) {
        *taken = 2;
        return read_redirect(c, w, &args[1]);
    } else if (client_is_word(&args[0], "prefix") && left > 1) {
        *taken = 2;
        if (w->prefix_count == PREFIXES_MAX || args[1].len > PREFIX_MAX)
            return "ERR a client has 16 prefixes of 256 bytes at most";
        w->prefixes[w->prefix_count++] = args[1];
    } else {
        return "ERR syntax error";
    }
    return NULL;
}

/* What contradicts itself, or what the connection has said before. */
static const char *contradiction(const struct client_connection *c, const struct wish *w)
{
    const struct client_tracker *is = &c->tracker, *said = &w->said;
    if (w->prefix_count > 0 && !said->broadcasts)
        return "ERR PREFIX option requires BCAST mode to be enabled";
    if (is->on && is->broadcasts != said->broadcasts)
        return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it "
               "with a different mode.";
    if (said->broadcasts && (said->opts_in || said->opts_out))
        return "ERR OPTIN and OPTOUT are not compatible with BCAST";
    if (said->opts_in && said->opts_out)
        return "ERR You can't specify both OPTIN mode and OPTOUT mode";
    if (is->on && ((said->opts_in && is->opts_out) || (said->opts_out && is->opts_in)))
        return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it "
               "with a different mode.";
    return NULL;
}

/* One of them is the beginning of the other. */
static bool collide(const struct bytes *one, const struct bytes *other)
{
    return begins_with(one, other) || begins_with(other, one);
}

static bool is_same(const struct bytes *one, const struct bytes *other)
{
    return one->len == other->len && begins_with(one, other);
}

static void refuse_overlap(const struct bytes *new, const char *what, const struct bytes *other, struct resp_buffer *out)
{
    client_print(out,
                 "-ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single client must not overlap.\r\n",
                 (int)new->len, (const char *)new->ptr, what, (int)other->len, (const char *)other->ptr);
}

/* One prefix must not be the beginning of another. */
static bool overlap(const struct client_tracker *t, const struct wish *w, struct resp_buffer *out)
{
    for (size_t i = 0; i < w->prefix_count; i++) {
        const struct bytes *new = &w->prefixes[i];
        for (size_t k = 0; k < t->prefix_count; k++)
            if (collide(new, &t->prefixes[k].bytes) && !is_same(new, &t->prefixes[k].bytes)) {
                refuse_overlap(new, "an existing", &t->prefixes[k].bytes, out);
                return true;
            }
        for (size_t k = i + 1; k < w->prefix_count; k++)
            if (collide(new, &w->prefixes[k])) {
                refuse_overlap(new, "another provided", &w->prefixes[k], out);
                return true;
            }
    }
    return false;
}

static void add_prefix(struct client_connection *c, const struct bytes *prefix)
{
    struct client_server *s = c->server;
    struct client_tracker *t = &c->tracker;
    for (size_t i = 0; i < t->prefix_count; i++)
        if (is_same(&t->prefixes[i].bytes, prefix))
            return;
    if (t->prefixes == NULL)
        t->prefixes = memory_new(PREFIXES_MAX, sizeof *t->prefixes);
    if (t->prefix_count == PREFIXES_MAX)
        return;
    struct client_prefix *added = &t->prefixes[t->prefix_count++];
    *added =
        (struct client_prefix){.connection = c, .bytes = {memory_new(prefix->len + 1, 1), prefix->len}, .next = s->prefixes};
    if (prefix->len > 0)
        memcpy(added->bytes.ptr, prefix->ptr, prefix->len);
    if (s->prefixes != NULL)
        s->prefixes->previous = added;
    s->prefixes = added;
    s->prefix_count++;
}

static void turn_on(struct client_connection *c, const struct wish *w)
{
    struct client_server *s = c->server;
    struct client_tracker *t = &c->tracker;
    s->trackers += !t->on;
    t->on = true;
    t->broadcasts = w->said.broadcasts;
    t->opts_in = w->said.opts_in;
    t->opts_out = w->said.opts_out;
    t->no_loop = w->said.no_loop;
    t->redirect = w->said.redirect;
    t->broken = false;
    for (size_t i = 0; i < w->prefix_count; i++)
        add_prefix(c, &w->prefixes[i]);
}

void client_tracking(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct wish w = {.prefix_count = 0};
    const bool on = client_is_word(&args[2], "on");
    const char *error = NULL;
    for (size_t i = 3, taken; i < argc && error == NULL; i += taken)
        error = read_option(c, &w, args + i, argc - i, &taken);
    if (error == NULL && !on && !client_is_word(&args[2], "off"))
        error = "ERR syntax error";
    if (error == NULL && on)
        error = contradiction(c, &w);
    if (error == NULL && on && c->tracker.prefix_count + w.prefix_count > PREFIXES_MAX)
        error = "ERR a client has 16 prefixes of 256 bytes at most";
    if (error == NULL && on && c->server->prefix_count + w.prefix_count > NODE_PREFIXES_MAX)
        error = "ERR this node has 1024 prefixes at most";
    if (error != NULL) {
        resp_error_text(out, error);
        return;
    }
    /* Libraries ask with OPTIN when they connect. It has no effect until they say CACHING YES. */
    if (on && ((!w.said.opts_in && !client_pubsub_has_learner(c->server, out)) || overlap(&c->tracker, &w, out)))
        return;
    if (on && w.said.broadcasts && w.prefix_count == 0)
        w.prefix_count = 1; /* the empty one, which all keys have */
    if (on)
        turn_on(c, &w);
    else
        client_tracking_end(c);
    resp_status_text(out, "OK");
}

void client_caching(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct client_tracker *t = &c->tracker;
    const bool yes = client_is_word(&args[2], "yes");
    (void)argc;
    if (!t->on) {
        resp_error_text(out,
                        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT "
                        "mode enabled");
    } else if (!yes && !client_is_word(&args[2], "no")) {
        resp_error_text(out, "ERR syntax error");
    } else if (yes && !t->opts_in) {
        resp_error_text(out, "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
    } else if (!yes && !t->opts_out) {
        resp_error_text(out, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
    } else if (client_pubsub_has_learner(c->server, out)) {
        t->says = yes ? CACHING_YES : CACHING_NO;
        resp_status_text(out, "OK");
    }
}

void client_trackinginfo(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    const struct client_tracker *t = &c->tracker;
    const struct {
        bool is;
        const char *name;
    } flags[] = {{!t->on, "off"},
                 {t->on, "on"},
                 {t->broadcasts, "bcast"},
                 {t->opts_in, "optin"},
                 {t->opts_in && t->says == CACHING_YES, "caching-yes"},
                 {t->opts_out, "optout"},
                 {t->opts_out && t->says == CACHING_NO, "caching-no"},
                 {t->no_loop, "noloop"},
                 {t->broken, "broken_redirect"}};
    size_t count = 0;
    (void)args;
    (void)argc;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        count += flags[i].is;
    resp_map(out, c->version, 3);
    resp_string(out, "flags");
    resp_set(out, c->version, count);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (flags[i].is)
            resp_string(out, flags[i].name);
    resp_string(out, "redirect");
    resp_integer(out, t->on ? (int64_t)slots_number(t->redirect) : -1);
    resp_string(out, "prefixes");
    resp_array(out, t->prefix_count);
    for (size_t i = 0; i < t->prefix_count; i++)
        resp_bytes(out, t->prefixes[i].bytes.ptr, t->prefixes[i].bytes.len);
}

void client_getredir(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)args;
    (void)argc;
    resp_integer(out, c->tracker.on ? (int64_t)slots_number(c->tracker.redirect) : -1);
}
