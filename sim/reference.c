#include "sim/reference.h"

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/base/siphash.h"
#include "core/formats/batch.h"
#include "core/formats/transaction.h"
#include "core/state/state_machine.h"
#include "sim/reference_leases.h"
#include "sim/reference_sessions.h"

/* A quarter of the room for a batch's replies is shared evenly: each command gets as much as small replies need. The rest is
 * for larger ones, in order. */
enum { SHARED_PART = 4, SMALL_MOST = 1024 };

struct reference {
    struct state_machine *machine;
    struct reference_sessions *sessions;
    struct reference_leases *leases;
    const char *wrong;
    uint64_t state_bytes_max, replies_bytes;
    uint32_t session_idle_ms;
    uint64_t sessions_ended;
    uint64_t changes; /* chained checksum of the keys that the last batch may have changed */
    bool seeded;
    struct moment moment;
    struct ballot led;
    uint64_t hash;
    struct batch_commands commands;
    struct transaction transaction;
    struct batch_builder replies;
    struct session_answer *answers; /* the first replies to commands of sessions, in the order of the log */
    size_t answer_count, answer_capacity;
};

struct reference *reference_new(const struct node_config *config)
{
    struct reference *r = memory_new(1, sizeof *r);
    r->machine = state_machine_new();
    state_machine_start(r->machine, config->state_bytes_max, 0);
    state_machine_tell_events(r->machine, true);
    r->state_bytes_max = config->state_bytes_max;
    r->sessions = reference_sessions_new();
    r->leases = reference_leases_new();
    r->replies_bytes = limits_effective(&config->limits).replies_bytes;
    r->session_idle_ms = limits_effective(&config->limits).session_idle_ms;
    return r;
}

void reference_free(struct reference *r)
{
    if (r == NULL)
        return;
    state_machine_free(r->machine);
    reference_sessions_free(r->sessions);
    reference_leases_free(r->leases);
    free(r->answers);
    batch_commands_free(&r->commands);
    transaction_free(&r->transaction);
    batch_builder_free(&r->replies);
    free(r);
}

static struct reply_room room_of(const struct reference *r)
{
    size_t replies = 0;
    for (size_t i = 0; i < r->commands.count; i++)
        replies += transaction_replies(&r->commands.commands[i].args);
    uint64_t small = r->replies_bytes / SHARED_PART / (replies + 1);
    if (small < REPLY_SMALL_MIN)
        small = REPLY_SMALL_MIN;
    if (small > SMALL_MOST)
        small = SMALL_MOST;
    uint64_t shared = small * replies;
    return (struct reply_room){.small = (uint32_t)small, .large = shared < r->replies_bytes ? r->replies_bytes - shared : 0};
}

uint64_t reference_configure(struct reference *r, const struct payload *text)
{
    r->hash = checksum(text->words.ptr, text->len, r->hash);
    return r->hash;
}

/* ---- Time ---- */

/* Time never goes back. The wall clock goes along with it, unless a leader's is more than a tenth of a second later. */
static struct moment moment_at(const struct reference *r, struct moment stamp)
{
    const uint64_t passed = stamp.elapsed > r->moment.elapsed ? stamp.elapsed - r->moment.elapsed : 0;
    struct moment now = {r->moment.elapsed + passed, r->moment.unix == 0 ? 0 : r->moment.unix + passed};
    if (stamp.unix > now.unix && stamp.unix - now.unix > 100)
        now.unix = stamp.unix;
    return now;
}

static void note_moment(struct reference *r)
{
    const uint64_t led = (uint64_t)r->led.incarnation << 32 | r->led.node;
    const uint64_t words[] = {r->moment.elapsed, r->moment.unix, r->led.round, led};
    r->hash = checksum(words, sizeof words, r->hash);
}

/* What has ended may leave the state, before anything else happens. */
static void let_pass(struct reference *r, struct stamp stamp)
{
    r->moment = moment_at(r, stamp.moment);
    r->led = stamp.ballot;
    if (!r->seeded)
        return;
    const size_t before = reference_sessions_count(r->sessions);
    reference_sessions_pass(r->sessions, r->moment.elapsed, r->session_idle_ms);
    r->sessions_ended += before - reference_sessions_count(r->sessions);
    (void)state_machine_apply(r->machine, r->moment, NULL, 0, (struct reply_room){0});
}

size_t reference_sessions_open_now(const struct reference *r) { return reference_sessions_count(r->sessions); }

uint64_t reference_sessions_ended(const struct reference *r) { return r->sessions_ended; }

uint64_t reference_pass(struct reference *r, struct stamp stamp)
{
    let_pass(r, stamp);
    return r->hash;
}

struct moment reference_moment(const struct reference *r) { return r->moment; }

/* ---- Sessions ---- */

static uint64_t open_session(struct reference *r, const struct batch_header *h, uint64_t slot, size_t i, uint32_t window)
{
    const uint64_t place[2] = {slot, i};
    const struct siphash_key key = {~h->seed.low, ~h->seed.high};
    uint64_t id = siphash13(key, (const uint8_t *)place, sizeof place) & SESSION_ID_MAX;
    while (id == 0 || reference_sessions_has(r->sessions, id))
        id = id == SESSION_ID_MAX ? 1 : id + 1;
    reference_sessions_open(r->sessions, id, window);
    return id;
}

/* The first reply to a command, which its client must get, however often it asks. */
static void note_answer(struct reference *r, const struct session_call *call, const struct reply *reply)
{
    const bool text = reply->tag != REPLY_INTEGER && reply->tag != REPLY_NIL && reply->tag != REPLY_ARRAY;
    r->answers = memory_reserve(r->answers, &r->answer_capacity, r->answer_count + 1, sizeof *r->answers);
    struct session_answer *a = &r->answers[r->answer_count++];
    *a = (struct session_answer){.id = call->id, .number = call->number, .tag = reply->tag};
    if (reply->tag == REPLY_INTEGER)
        a->integer = reply->val.integer;
    if (text) {
        a->len = reply->val.bytes.len;
        a->hash = checksum(reply->val.bytes.ptr, a->len, 0);
        memcpy(a->begin, reply->val.bytes.ptr, a->len < sizeof a->begin ? a->len : sizeof a->begin);
    }
}

const char *reference_wrong(const struct reference *r) { return r->wrong; }

const struct session_answer *reference_answers(const struct reference *r, size_t *count)
{
    *count = r->answer_count;
    return r->answers;
}

/* ---- Batches ---- */

static struct reply error_of(struct bytes text) { return (struct reply){.tag = REPLY_ERROR, .val.bytes = text}; }

static struct reply error_text(const char *text)
{
    return error_of((struct bytes){(uint8_t *)(uintptr_t)text, strlen(text)});
}

static void take_room(const struct reply *reply, struct reply_room *room)
{
    const uint64_t size = reply_size(reply);
    invariant(size <= room->small || size <= room->large);
    room->large -= size > room->small ? size : 0;
}

static void add(struct reference *r, const struct reply *reply, struct reply_room *room)
{
    take_room(reply, room);
    replies_add(&r->replies, reply);
}

static bool is_named(const struct command *command, const char *name)
{
    const struct bytes *is = &command->args.ptr[0];
    return is->len == strlen(name) && memcmp(is->ptr, name, is->len) == 0;
}

/* Of simulated clients' commands, all that change something have one key. */
static void note_change(struct reference *r, const struct command *command, const struct reply *reply)
{
    const bool reads = is_named(command, "GET") || is_named(command, "MGET") || is_named(command, "PTTL");
    if (!reads && reply->tag != REPLY_ERROR && command->args.len > 1)
        r->changes = checksum(command->args.ptr[1].ptr, command->args.ptr[1].len, r->changes);
}

uint64_t reference_event(uint64_t changes, const struct key_event *e)
{
    if (e->kind == KEY_EVENT_EXPIRED)
        return changes;
    return checksum(e->name.ptr, e->name.len, checksum(e->key.ptr, e->key.len, changes));
}

uint64_t reference_changes(const struct reference *r) { return r->changes; }

static struct reply apply_one(struct reference *r, const struct command *command, const struct reply_room *room)
{
    if (is_named(command, "PUBLISH")) /* changes nothing */
        return (struct reply){.tag = REPLY_INTEGER};
    const struct applied done = state_machine_apply(r->machine, r->moment, command, 1, *room);
    invariant(done.replies.len == 1);
    if (r->wrong == NULL)
        r->wrong = reference_leases_executed(r->leases, r->moment, command, &done.replies.ptr[0]);
    note_change(r, command, &done.replies.ptr[0]);
    for (size_t i = 0; i < done.events.len; i++)
        r->changes = reference_event(r->changes, &done.events.ptr[i]);
    return done.replies.ptr[0];
}

/* All commands of a transaction, if its condition holds. */
static struct reply apply_transaction(struct reference *r, const struct command *command, struct reply_room *room)
{
    struct transaction *t = &r->transaction;
    struct reply reply = error_text("ERR a transaction that is none: not executed");
    const bool sound = transaction_read(t, &command->args);
    const bool asks = sound && t->condition.args.len > 0;
    const struct reply said =
        asks ? apply_one(r, &t->condition, room) : (struct reply){.tag = REPLY_INTEGER, .val.integer = 1};
    if (!sound || said.tag != REPLY_INTEGER || said.val.integer != 1) {
        reply = sound ? (struct reply){.tag = REPLY_NIL_ARRAY} : reply;
        add(r, &reply, room);
        return reply;
    }
    replies_add_array(&r->replies, t->count);
    reply = (struct reply){.tag = REPLY_ARRAY};
    for (size_t i = 0; i < t->count; i++) {
        const struct reply one = apply_one(r, &t->commands[i], room);
        take_room(&one, room);
        replies_add_element(&r->replies, &one);
        if (i == 0 && one.tag == REPLY_INTEGER)
            reply = one; /* as simulated clients tell what they got */
    }
    return reply;
}

static struct reply apply_any(struct reference *r, const struct command *command, struct reply_room *room)
{
    if (transaction_is(&command->args))
        return apply_transaction(r, command, room);
    const struct reply reply = apply_one(r, command, room);
    add(r, &reply, room);
    return reply;
}

static void apply(struct reference *r, const struct command *command, const struct session_call *call,
                  struct reply_room *room)
{
    const size_t from = r->replies.len;
    const struct reply reply = apply_any(r, command, room);
    if (call->kind != SESSION_CALL ||
        (reply.tag == REPLY_ERROR && strncmp((const char *)reply.val.bytes.ptr, REPLY_BUSY, strlen(REPLY_BUSY)) == 0))
        return;
    note_answer(r, call, &reply);
    const struct bytes packed = {(uint8_t *)r->replies.words + from, r->replies.len - from};
    reference_sessions_executed(r->sessions, call, packed);
}

/* A reply that was given before. */
static void repeat(struct reference *r, struct bytes packed, struct reply_room *room)
{
    const struct reply none = error_text(REPLY_NO_ROOM);
    if (packed.len > room->small && packed.len > room->large) {
        replies_add(&r->replies, &none);
        return;
    }
    room->large -= packed.len > room->small ? packed.len : 0;
    replies_add_packed(&r->replies, packed);
}

static void execute(struct reference *r, const struct batch_header *h, uint64_t slot, size_t i, struct reply_room *room)
{
    struct command command = r->commands.commands[i];
    const struct session_call call = session_call_read(&command.args);
    struct reply reply = {.tag = REPLY_INTEGER};
    struct bytes is;
    enum remembered known;
    switch (call.kind) {
    case SESSION_OPEN:
        reply.val.integer = (int64_t)open_session(r, h, slot, i, call.window);
        break;
    case SESSION_CLOSE:
        reply.val.integer = reference_sessions_close(r->sessions, call.id);
        break;
    case SESSION_MALFORMED:
        reply = error_text(call.error);
        break;
    case SESSION_CALL:
        command.args = (struct bytes_list){command.args.ptr + 3, command.args.len - 3};
        known = reference_sessions_look(r->sessions, &call, &is);
        if (known == REMEMBERED_REPLY) {
            repeat(r, is, room);
            return;
        }
        reply = error_of(is);
        if (known == REMEMBERED_TEXT)
            break;
        apply(r, &command, &call, room);
        return;
    default:
        apply(r, &command, &call, room);
        return;
    }
    add(r, &reply, room);
}

uint64_t reference_execute(struct reference *r, uint64_t slot, const struct payload *batch, uint64_t state_bytes_max)
{
    struct batch_header header;
    bool sound = batch_header_read(batch, &header) && batch_commands_read(&r->commands, batch);
    invariant(sound);
    if (state_bytes_max != 0) {
        state_machine_start(r->machine, state_bytes_max, 0);
        r->state_bytes_max = state_bytes_max;
    }
    if (!r->seeded)
        state_machine_seed(r->machine, header.seed.low, header.seed.high);
    r->seeded = true;
    let_pass(r, header.stamp);
    struct reply_room room = room_of(r);
    r->changes = 0;
    replies_begin(&r->replies);
    for (size_t i = 0; i < r->commands.count; i++)
        execute(r, &header, slot, i, &room);
    reference_sessions_trim(r->sessions, r->state_bytes_max);
    const struct payload replies = replies_end(&r->replies);
    r->hash = checksum(batch->words.ptr, batch->len, r->hash);
    r->hash = checksum(replies.words.ptr, replies.len, r->hash);
    note_moment(r);
    return r->hash;
}
