#include "core/agents/execution.h"

#include "core/base/checksum.h"
#include "core/base/cursor.h"
#include "core/base/kept.h"
#include "core/base/memory.h"
#include "core/base/siphash.h"

void execution_init(struct execution *x, const struct node_config *config)
{
    *x = (struct execution){
        .limits = limits_effective(&config->limits), .machine = state_machine_new(), .sessions = sessions_new()};
    x->state_bytes_room = config->state_bytes_room;
    x->node = config->node;
    x->incarnation = config->incarnation;
    x->due = DUE_NEVER;
    const struct command_info_list commands = state_machine_describe(x->machine);
    changes_init(&x->changes, &commands);
    configurations_init(&x->configurations, config);
}

/* What the state may take is what the configuration says that governs the slot: so all learners refuse the same. */
static void limit_state(struct execution *x, uint64_t bytes_max)
{
    if (bytes_max == 0 || bytes_max == x->state_bytes_max)
        return;
    x->state_bytes_max = bytes_max;
    state_machine_start(x->machine, bytes_max, x->limits.call_work);
    sessions_limit(x->sessions, bytes_max);
}

void execution_loads(struct execution *x) { limit_state(x, x->state_bytes_room); }

void execution_close(struct execution *x)
{
    for (size_t i = 0; i < x->count; i++)
        payload_release(&x->entries[i].value);
    free(x->entries);
    free(x->calls);
    transaction_free(&x->transaction);
    notices_free(&x->notices);
    sessions_free(x->sessions);
    answering_close(&x->answering);
    payload_free(&x->text);
    payload_free(&x->text_before);
    state_machine_free(x->machine);
}

void execution_watch(struct execution *x, uint64_t watch)
{
    const uint64_t of_keys = WATCH_KEYS | WATCH_EVENTS;
    if (((x->watch ^ watch) & of_keys) != 0)
        x->machine_tells = state_machine_tell_events(x->machine, (watch & of_keys) != 0);
    x->watch = watch;
}

void execution_begin(struct execution *x)
{
    x->work = 0;
    x->stalled = false;
    notices_begin(&x->notices);
    if (x->first == 0)
        return;
    for (size_t i = 0; i < x->first; i++)
        payload_release(&x->entries[i].value);
    x->count -= x->first;
    memmove(x->entries, x->entries + x->first, x->count * sizeof *x->entries);
    x->first = 0;
}

void execution_add(struct execution *x, const struct entry *entries, size_t count)
{
    x->entries = memory_reserve(x->entries, &x->capacity, x->count + count, sizeof *x->entries);
    for (size_t i = 0; i < count; i++) {
        struct entry *added = &x->entries[x->count++];
        *added = entries[i];
        added->value = payload_keep(&entries[i].value);
    }
}

const struct entry *execution_next(const struct execution *x) { return x->first < x->count ? &x->entries[x->first] : NULL; }

bool execution_is_fresh(const struct execution *x) { return !x->begun; }

bool execution_is_newer_batch(struct batch_id id, struct batch_id last)
{
    bool other_life = id.incarnation != last.incarnation;
    return other_life ? id.incarnation > last.incarnation : id.number > last.number;
}

bool execution_is_left_behind(struct stamp stamp, struct ballot led) { return ballot_compare(stamp.ballot, led) < 0; }

/* What the commands are about. Of those in a session, what is left is what the state machine gets. */
static void read_calls(struct execution *x)
{
    x->calls = memory_reserve(x->calls, &x->calls_capacity, x->answering.commands.count, sizeof *x->calls);
    for (size_t i = 0; i < x->answering.commands.count; i++) {
        struct bytes_list *args = &x->answering.commands.commands[i].args;
        x->calls[i].kind = SESSION_NONE;
        if (!session_call_is(args))
            continue;
        x->calls[i] = session_call_read(args);
        if (x->calls[i].kind == SESSION_CALL)
            *args = (struct bytes_list){args->ptr + SESSION_CALL_ARGS, args->len - SESSION_CALL_ARGS};
    }
}

/* ---- Time (P22) ---- */

/* One false stamp must not use up all of time, so it moves it by two years at most. An honest one that is later than that is
 * reached by the stamps that follow. */
#define JUMP_MAX_MS (UINT64_C(1) << 36)
/* The wall clock moves to the leader's when that is so much later. It does not follow smaller differences: then what a
 * client is told of a time is the same whichever node leads. */
enum { WALL_CLOCK_SLACK_MS = 100 };
#define WALL_CLOCK_MAX_MS (UINT64_C(1) << 48) /* later ones are none */

/* The moment after `before`, when a leader said `stamp`. It never goes back: a leader may know less than the log says. */
static struct moment moment_after(struct moment before, struct moment stamp)
{
    struct moment after = before;
    if (stamp.elapsed > before.elapsed)
        after.elapsed = stamp.elapsed - before.elapsed < JUMP_MAX_MS ? stamp.elapsed : before.elapsed + JUMP_MAX_MS;
    after.unix += before.unix != 0 ? after.elapsed - before.elapsed : 0;
    if (stamp.unix < WALL_CLOCK_MAX_MS && stamp.unix > after.unix + WALL_CLOCK_SLACK_MS)
        after.unix = stamp.unix;
    return after;
}

struct moment execution_now(const struct execution *x)
{
    return x->begun && x->header.has_stamp ? moment_after(x->reached.moment, x->header.stamp.moment) : x->reached.moment;
}

/* What this leader has stamped is executed. */
static void reach(struct execution *x, struct stamp stamp)
{
    x->reached.moment = moment_after(x->reached.moment, stamp.moment);
    x->reached.ballot = stamp.ballot;
}

/* What the state machine says of its state. */
static void note_state(struct execution *x, const struct applied *done)
{
    x->keys = done->keys;
    x->state_bytes = done->bytes;
    x->due = done->due;
    x->timed_keys = done->timed_keys;
    x->time_left = done->time_left;
}

uint64_t execution_due(const struct execution *x)
{
    const uint64_t sessions = sessions_due(x->sessions, x->limits.session_idle_ms);
    return sessions < x->due ? sessions : x->due;
}

/* ---- What is told (P26) ---- */

#define NO_COMMAND SIZE_MAX

/* What came of command `i` of the batch that is executed: the port knows the command if it gave it to this life. What it
 * gave to earlier ones has been answered, and its numbers may be those of another process. */
static struct notice_cause cause_of(const struct execution *x, size_t i)
{
    const struct batch_header *h = &x->header;
    const bool own = i != NO_COMMAND && h->id.origin == x->node && h->id.incarnation == x->incarnation;
    return own ? (struct notice_cause){h->port_number, h->port_number != 0 ? (uint32_t)i : 0} : (struct notice_cause){0};
}

static void tell(struct execution *x, const struct notice *n, size_t i)
{
    notices_cause(&x->notices, cause_of(x, i));
    notices_add(&x->notices, n);
}

/* Tells what has happened to a key, by command `i` or because time has passed. */
static void tell_event(struct execution *x, const struct key_event *e, size_t i)
{
    const bool by_time = e->command == KEY_EVENT_OF_TIME, lost = e->kind == KEY_EVENT_LOST;
    const uint64_t all = x->watch & (WATCH_KEYS | WATCH_EVENTS);
    x->work += e->key.len;
    if (lost && all != 0)
        tell(x, &(struct notice){.kind = (all & WATCH_EVENTS) != 0 ? NOTICE_MISSED : NOTICE_ALL_CHANGED}, NO_COMMAND);
    if (!lost && by_time && (all & WATCH_KEYS) != 0)
        tell(x, &(struct notice){.kind = NOTICE_ENDED, .channel = e->key}, NO_COMMAND);
    if (!lost && (all & WATCH_EVENTS) != 0)
        tell(x, &(struct notice){.kind = NOTICE_EVENT, .channel = e->key, .message = e->name, .class = e->kind},
             by_time ? NO_COMMAND : i);
}

/* What has ended by now may leave the state, a bounded part of it: once for each stamp, before anything else of its entry.
 * Before the first batch there is no state. */
static void let_pass(struct execution *x, struct moment now)
{
    if (!x->seeded)
        return;
    if ((x->watch & WATCH_KEYS) != 0 && !x->machine_tells && x->due <= now.elapsed)
        tell(x, &(struct notice){.kind = NOTICE_ALL_CHANGED}, NO_COMMAND);
    const struct applied done = state_machine_apply(x->machine, now, NULL, 0, (struct reply_room){0});
    note_state(x, &done);
    for (size_t i = 0; i < done.events.len; i++)
        tell_event(x, &done.events.ptr[i], NO_COMMAND);
    sessions_pass(x->sessions, now.elapsed, x->limits.session_idle_ms);
    x->work += done.work + sessions_work(x->sessions);
}

/* ---- Batches ---- */

/* Whether a batch comes too late: it was executed before, or an earlier leader has left it behind (P25). */
static bool is_late(const struct execution *x, const struct batch_header *h)
{
    return !execution_is_newer_batch(h->id, x->last[h->id.origin]) ||
           (h->has_stamp && execution_is_left_behind(h->stamp, x->reached.ballot));
}

/* Begins a batch. False: the entry is no batch, or it comes too late. Then it changes nothing, on all learners alike. */
static bool begin_batch(struct execution *x, const struct entry *e)
{
    struct batch_header *h = &x->header;
    if (!batch_header_read(&e->value, h) || h->id.origin > NODE_ID_MAX || is_late(x, h) ||
        !batch_commands_read(&x->answering.commands, &e->value))
        return false;
    x->last[h->id.origin] = h->id;
    limit_state(x, configurations_at(&x->configurations, e->slot)->state_bytes_max);
    if (!x->seeded)
        state_machine_seed(x->machine, h->seed.low, h->seed.high);
    x->seeded = true;
    x->begun = true;
    read_calls(x);
    if (x->header.has_stamp)
        let_pass(x, execution_now(x));
    answering_begin(&x->answering, x->limits.replies_bytes);
    return true;
}

/* ---- Commands of sessions (P21) ---- */

/* Whether the state machine said that it has not executed the command, so that it may be sent again. */
static bool was_refused(const struct reply *r)
{
    const size_t len = sizeof REPLY_BUSY - 1;
    return r->tag == REPLY_ERROR && r->val.bytes.len >= len && memcmp(r->val.bytes.ptr, REPLY_BUSY, len) == 0;
}

/* Remembers the reply to command `i`, which begins at `from`. */
static void remember(struct execution *x, size_t i, size_t from)
{
    const struct batch_builder *replies = &x->answering.replies;
    if (x->calls[i].kind != SESSION_CALL)
        return;
    const struct bytes packed = {(uint8_t *)replies->words + from, replies->len - from};
    sessions_executed(x->sessions, &x->calls[i], packed);
}

/* Adds the reply of the state machine to command `i`, and remembers it. */
static void add_executed(struct execution *x, size_t i, const struct reply *r)
{
    const size_t from = x->answering.replies.len;
    answering_add(&x->answering, r);
    if (!was_refused(r))
        remember(x, i, from);
}

/* Opens a session. Its id comes from the random bits of the batch, and from its place in the log: no client can guess it,
 * and no later cluster that begins with an older state gives it again. */
static uint64_t open_session(struct execution *x, uint64_t slot, size_t i)
{
    /* Not the key itself, which is that of the state machine's table: clients must not learn what hash a key has there. */
    const struct siphash_key key = {~x->header.seed.low, ~x->header.seed.high};
    const uint64_t place[2] = {slot, i};
    const uint64_t id = siphash13(key, (const uint8_t *)place, sizeof place) & SESSION_ID_MAX;
    return sessions_open(x->sessions, id != 0 ? id : 1, x->calls[i].window);
}

/* The command was executed before. Its reply may have no room here; then it may be asked for again. */
static void repeat(struct execution *x, struct bytes packed)
{
    struct answering *a = &x->answering;
    struct reply r;
    if (answering_take_room(a, packed.len))
        replies_add_packed(&a->replies, packed);
    else
        replies_add(&a->replies, reply_error_text(&r, REPLY_NO_ROOM));
}

static const char *const session_errors[] = {
    [SESSION_REPLY_LOST] = "SESSIONREPLY the command was executed, and its reply was too long to be kept",
    [SESSION_PASSED] = "SESSIONPASSED not executed: the session is more than its window beyond this number",
    [SESSION_UNKNOWN] = "NOSESSION not executed: there is no such session, or it was forgotten",
};

/* Answers a command that is not for the state machine. False: it is. */
static bool answer_call(struct execution *x, uint64_t slot, size_t i)
{
    const struct session_call *call = &x->calls[i];
    struct reply r = {.tag = REPLY_INTEGER};
    struct bytes packed;
    enum session_state state;
    switch (call->kind) {
    case SESSION_NONE:
        return false;
    case SESSION_OPEN:
        r.val.integer = (int64_t)open_session(x, slot, i);
        break;
    case SESSION_CLOSE:
        r.val.integer = sessions_forget(x->sessions, call->id);
        break;
    case SESSION_CALL:
        state = sessions_look(x->sessions, call, &packed);
        if (state == SESSION_FRESH)
            return false;
        if (state == SESSION_EXECUTED) {
            sessions_used(x->sessions, call->id);
            repeat(x, packed);
            return true;
        }
        reply_error_text(&r, session_errors[state]);
        break;
    default:
        reply_error_text(&r, call->error);
        break;
    }
    answering_add(&x->answering, &r);
    return true;
}

/* Whether command `i` has to wait until those from `first` on are executed, to know whether it was executed: it may be the
 * same one, or its place may be taken. */
static bool waits_for_others(const struct execution *x, size_t first, size_t i)
{
    const struct session_call *call = &x->calls[i];
    for (size_t k = first; k < i; k++)
        if (x->calls[k].kind == SESSION_CALL && x->calls[k].id == call->id && x->calls[k].number >= call->number)
            return true;
    return false;
}

/* Whether command `i` can be given together with those from `first` on: it is for the state machine, whatever they do. */
static bool is_for_machine(struct execution *x, size_t first, size_t i)
{
    struct bytes packed;
    const struct bytes_list *args = &x->answering.commands.commands[i].args;
    if (transaction_is(args) || publication_is(args))
        return false;
    if (x->calls[i].kind == SESSION_NONE)
        return true;
    return x->calls[i].kind == SESSION_CALL && !waits_for_others(x, first, i) &&
           sessions_look(x->sessions, &x->calls[i], &packed) == SESSION_FRESH;
}

/* ---- What the state machine gets ---- */

/* How many of `most` commands the state machine gets now. The first one is for it. */
static size_t commands_to_give(struct execution *x, size_t most)
{
    const size_t first = x->answering.done;
    size_t count = 1;
    while (count < most && is_for_machine(x, first, first + count))
        count++;
    return count;
}

/* Gives commands to the state machine: as many of them as it takes. */
static struct applied give(struct execution *x, const struct command *commands, size_t count)
{
    const struct applied done = state_machine_apply(x->machine, execution_now(x), commands, count, x->answering.room);
    invariant(done.replies.len <= count);
    note_state(x, &done);
    x->work += done.work;
    return done;
}

/* Tells what an executed command may have changed, which is number `i` of its batch or in that. What gets an error changes
 * nothing. */
static void tell_changes(struct execution *x, size_t i, const struct command *command, const struct reply *r)
{
    if ((x->watch & WATCH_KEYS) != 0 && r->tag != REPLY_ERROR) {
        notices_cause(&x->notices, cause_of(x, i));
        x->work += changes_tell(&x->changes, &command->args, &x->notices);
    }
}

/* Tells what happened to keys up to command `place` of a call, which is number `i` of its batch or in that. */
static void tell_events(struct execution *x, size_t i, const struct key_event_list *events, size_t place, size_t *next)
{
    for (; *next < events->len; (*next)++) {
        const struct key_event *e = &events->ptr[*next];
        if (e->command != KEY_EVENT_OF_TIME && e->command > place)
            return;
        tell_event(x, e, i);
    }
}

/* Gives some commands to the state machine. False: it is stalled. */
static bool apply_some(struct execution *x)
{
    struct answering *a = &x->answering;
    const size_t some = commands_to_give(x, answering_next(a, &x->limits));
    const struct applied done = give(x, a->commands.commands + a->done, some);
    size_t event = 0;
    for (size_t i = 0; i < done.replies.len; i++) {
        tell_changes(x, a->done + i, &a->commands.commands[a->done + i], &done.replies.ptr[i]);
        tell_events(x, a->done + i, &done.events, i, &event);
        add_executed(x, a->done + i, &done.replies.ptr[i]);
    }
    a->done += done.replies.len;
    return done.replies.len > 0;
}

/* ---- Messages (P26) ---- */

/* Executes a command that publishes: it changes no state. Its reply is `*r`. */
static void publish(struct execution *x, const struct bytes_list *args, struct reply *r)
{
    const struct publication p = publication_read(args);
    *r = (struct reply){.tag = REPLY_INTEGER};
    if (p.kind == PUBLICATION_MALFORMED) {
        reply_error_text(r, p.error);
        return;
    }
    const uint8_t kind = p.kind == PUBLICATION ? NOTICE_MESSAGE : NOTICE_SHARD_MESSAGE;
    x->work += p.channel.len + p.message.len; /* so what a step tells is bounded, as what it executes is */
    if ((x->watch & WATCH_MESSAGES) != 0)
        tell(x, &(struct notice){.kind = kind, .channel = p.channel, .message = p.message}, x->answering.done);
}

void execution_left_out(struct execution *x)
{
    if (x->watch != 0)
        tell(x, &(struct notice){.kind = NOTICE_MISSED}, NO_COMMAND);
}

/* ---- Transactions (P24) ---- */

static void end_transaction(struct execution *x)
{
    struct answering *a = &x->answering;
    x->transaction_state = TRANSACTION_NONE_BEGUN;
    remember(x, a->done, x->transaction_from);
    a->done++;
}

static void begin_transaction(struct execution *x)
{
    struct answering *a = &x->answering;
    struct reply r;
    x->transaction_from = a->replies.len;
    x->transaction_done = 0;
    if (!transaction_read(&x->transaction, &a->commands.commands[a->done].args)) {
        answering_add(a, reply_error_text(&r, "ERR a transaction that is none: not executed"));
        end_transaction(x);
        return;
    }
    x->transaction_state = TRANSACTION_CONDITION;
}

/* False: the state machine is stalled. */
static bool look_at_condition(struct execution *x)
{
    struct answering *a = &x->answering;
    const struct transaction *t = &x->transaction;
    bool holds = true;
    if (t->condition.args.len > 0) {
        const struct applied done = give(x, &t->condition, 1);
        tell_events(x, a->done, &done.events, 0, &(size_t){0});
        if (done.replies.len == 0)
            return false;
        holds = done.replies.ptr[0].tag == REPLY_INTEGER && done.replies.ptr[0].val.integer == 1;
    }
    if (holds) {
        replies_add_array(&a->replies, t->count);
        x->transaction_state = TRANSACTION_COMMANDS;
    } else {
        answering_add(a, &(struct reply){.tag = REPLY_NIL_ARRAY});
        end_transaction(x);
    }
    return true;
}

/* How many of `count` commands of a transaction come before the next one that publishes something. */
static size_t before_publication(const struct command *commands, size_t count)
{
    size_t before = 0;
    while (before < count && !publication_is(&commands[before].args))
        before++;
    return before;
}

/* Goes on with its commands. False: the state machine is stalled. */
static bool apply_transaction(struct execution *x)
{
    const struct transaction *t = &x->transaction;
    const struct command *left = t->commands + x->transaction_done;
    const size_t most = answering_share(left, t->count - x->transaction_done, &x->limits);
    const size_t some = before_publication(left, most);
    if (most == 0) {
        end_transaction(x);
        return true;
    }
    if (some == 0) {
        struct reply r;
        publish(x, &left->args, &r);
        answering_add_element(&x->answering, &r);
        x->transaction_done++;
        return true;
    }
    const struct applied done = give(x, left, some);
    size_t event = 0;
    for (size_t i = 0; i < done.replies.len; i++) {
        tell_changes(x, x->answering.done, &left[i], &done.replies.ptr[i]);
        tell_events(x, x->answering.done, &done.events, i, &event);
        answering_add_element(&x->answering, &done.replies.ptr[i]);
    }
    x->transaction_done += done.replies.len;
    return done.replies.len > 0;
}

/* Goes on with the transaction that is the next command. False: the state machine is stalled. */
static bool run_transaction(struct execution *x)
{
    switch (x->transaction_state) {
    case TRANSACTION_NONE_BEGUN:
        begin_transaction(x);
        return true;
    case TRANSACTION_CONDITION:
        return look_at_condition(x);
    default:
        return apply_transaction(x);
    }
}

/* ---- Batches ---- */

/* Executes what is next. False: the state machine is stalled. */
static bool apply_next(struct execution *x)
{
    struct answering *a = &x->answering;
    const struct bytes_list *args = &a->commands.commands[a->done].args;
    struct reply r;
    if (transaction_is(args))
        return run_transaction(x);
    if (!publication_is(args))
        return apply_some(x);
    publish(x, args, &r);
    add_executed(x, a->done++, &r);
    return true;
}

/* Goes on with the batch of `slot`. True: all its commands are executed. */
static bool apply_batch(struct execution *x, uint64_t slot)
{
    struct answering *a = &x->answering;
    while (!answering_is_done(a) && x->work < x->limits.step_work) {
        const size_t before = a->replies.len;
        x->stalled = !sessions_have_room(x->sessions);
        if (!x->stalled && !execution_is_in_transaction(x) && answer_call(x, slot, a->done))
            a->done++;
        else if (!x->stalled)
            x->stalled = !apply_next(x);
        if (x->stalled)
            return false;
        x->work += a->replies.len - before + sessions_work(x->sessions);
    }
    return answering_is_done(a);
}

/* The moment of a batch, and who led, are part of what learners compare (P13). */
static void chain_stamp(struct execution *x)
{
    uint64_t words[STAMP_SIZE / 8];
    const struct payload reached = stamp_pack(x->reached, words);
    x->state_hash = checksum(payload_bytes(&reached), reached.len, x->state_hash);
}

static void end_batch(struct execution *x, const struct entry *e, struct executed *done)
{
    x->begun = false;
    sessions_trim(x->sessions);
    done->batch = x->header;
    done->replies = replies_end(&x->answering.replies);
    x->commands_executed += x->answering.commands.count;
    x->state_hash = checksum(payload_bytes(&e->value), e->value.len, x->state_hash);
    x->state_hash = checksum(payload_bytes(&done->replies), done->replies.len, x->state_hash);
    if (x->header.has_stamp) {
        reach(x, x->header.stamp);
        chain_stamp(x);
    }
}

/* Whether an entry's configuration counts. Otherwise it changes nothing, on all learners alike: the log alone decides (P11).
 * It must replace the newest one, and that must govern already; so one is pending at a time. The first one in the log only
 * says who the members are that the cluster was formed with. */
static bool counts(const struct execution *x, const struct entry *e, struct configuration *c)
{
    const struct configuration *newest = &x->configurations.newest;
    if (!configuration_unpack(&e->value, e->slot, c) || c->replaces != newest->slot || e->slot < newest->governs)
        return false;
    if (c->governs - c->slot != newest->alpha)
        return false;
    if (newest->slot == 0 && (c->alpha != newest->alpha || c->state_bytes_max != newest->state_bytes_max))
        return false;
    if (newest->acceptors == 0)
        return true; /* this node joined later, and does not know the first one */
    const bool same = c->proposers == newest->proposers && c->acceptors == newest->acceptors &&
                      c->learners == newest->learners && c->phase1_quorum == newest->phase1_quorum &&
                      c->phase2_quorum == newest->phase2_quorum;
    return newest->slot != 0 || same;
}

static void adopt(struct execution *x, const struct configuration *c, const struct payload *text)
{
    payload_free(&x->text_before);
    x->text_before = c->replaces == x->configurations.newest.slot ? x->text : (struct payload){0};
    if (c->replaces != x->configurations.newest.slot)
        payload_free(&x->text);
    x->text = payload_copy(text);
    configurations_learn(&x->configurations, c);
}

static bool configure(struct execution *x, const struct entry *e)
{
    struct configuration c;
    if (!counts(x, e, &c))
        return false;
    adopt(x, &c, &e->value);
    x->state_hash = checksum(payload_bytes(&e->value), e->value.len, x->state_hash);
    return true;
}

bool execution_run(struct execution *x, struct executed *done)
{
    struct entry *e = &x->entries[x->first];
    struct stamp stamp;
    *done = (struct executed){.entry = e};
    if (x->work >= x->limits.step_work)
        return false;
    if (e->kind == ENTRY_COMMANDS) {
        done->skipped = !x->begun && !begin_batch(x, e);
        if (!done->skipped && !apply_batch(x, e->slot))
            return false;
        if (!done->skipped)
            end_batch(x, e, done);
    } else if (e->kind == ENTRY_CONFIGURATION) {
        done->configured = configure(x, e);
    } else if (stamp_read(e, &stamp) && !execution_is_left_behind(stamp, x->reached.ballot)) {
        reach(x, stamp);
        let_pass(x, x->reached.moment);
    }
    x->work += e->value.len;
    x->first++;
    return true;
}

/* Whether a batch of this origin was ever executed. */
static bool is_known(struct batch_id last) { return last.incarnation != 0 || last.number != 0; }

static size_t configuration_size(const struct payload *text)
{
    return EXECUTION_PIECE_CONFIGURATION + words_for(text->len) * sizeof(uint64_t);
}

static void write_configuration(struct write_cursor *c, const struct configured *says)
{
    cursor_write_u64(c, says->configuration.slot);
    cursor_write_u32(c, says->text.len);
    cursor_write_u32(c, 0);
    cursor_write_payload(c, &says->text);
}

struct payload execution_piece_write(const struct execution_piece *says, uint64_t *words)
{
    uint32_t origins = 0;
    for (uint32_t origin = 0; origin <= NODE_ID_MAX; origin++)
        origins += is_known(says->last[origin]);
    size_t size = EXECUTION_PIECE_HEADER + (size_t)origins * EXECUTION_PIECE_ORIGIN;
    for (size_t i = 0; i < says->configuration_count; i++)
        size += configuration_size(&says->configurations[i].text);
    struct write_cursor c = cursor_into(words, size);
    cursor_write_u64(&c, says->state_hash);
    cursor_write_u64(&c, says->commands_executed);
    cursor_write_u32(&c, says->seeded);
    cursor_write_u32(&c, origins);
    cursor_write_u32(&c, (uint32_t)says->configuration_count);
    cursor_write_u32(&c, 0);
    cursor_write_u64(&c, says->reached.moment.elapsed);
    cursor_write_u64(&c, says->reached.moment.unix);
    cursor_write_u64(&c, says->reached.ballot.round);
    cursor_write_u32(&c, says->reached.ballot.node);
    cursor_write_u32(&c, says->reached.ballot.incarnation);
    for (uint32_t origin = 0; origin <= NODE_ID_MAX; origin++) {
        if (!is_known(says->last[origin]))
            continue;
        cursor_write_u32(&c, origin);
        cursor_write_u32(&c, says->last[origin].incarnation);
        cursor_write_u64(&c, says->last[origin].number);
    }
    for (size_t i = 0; i < says->configuration_count; i++)
        write_configuration(&c, &says->configurations[i]);
    invariant(cursor_full(&c));
    return (struct payload){.words = {words, words_for(size)}, .len = (uint32_t)size};
}

struct payload execution_save(const struct execution *x, uint64_t slot, uint64_t *words)
{
    const struct configurations *all = &x->configurations;
    struct execution_piece says = {.state_hash = x->state_hash, .commands_executed = x->commands_executed};
    says.seeded = x->seeded;
    says.reached = x->reached;
    memcpy(says.last, x->last, sizeof says.last);
    if (slot < all->newest.governs && x->text_before.len > 0)
        says.configurations[says.configuration_count++] =
            (struct configured){.configuration = all->before, .text = x->text_before};
    if (x->text.len > 0)
        says.configurations[says.configuration_count++] = (struct configured){.configuration = all->newest, .text = x->text};
    return execution_piece_write(&says, words);
}

/* Forgets the entries of slots below `slot`, and how far the first one has come. */
static void forget_entries(struct execution *x, uint64_t slot)
{
    while (x->first < x->count && x->entries[x->first].slot < slot)
        x->first++;
    x->begun = x->stalled = false;
    x->transaction_state = TRANSACTION_NONE_BEGUN;
}

static void read_configuration(struct read_cursor *c, struct execution_piece *said)
{
    struct configured *read = &said->configurations[said->configuration_count++];
    const uint64_t slot = cursor_read_u64(c);
    const uint32_t len = cursor_read_u32(c);
    const bool sound = cursor_read_u32(c) == 0 && slot != 0 && slot < SLOT_MAX;
    read->text = cursor_read_payload(c, len);
    if (c->failed || !sound || !configuration_unpack(&read->text, slot, &read->configuration))
        cursor_fail(c);
}

bool execution_piece_read(const struct payload *piece, struct execution_piece *said)
{
    struct read_cursor c = cursor_over_words(piece->words, piece->len);
    *said = (struct execution_piece){.state_hash = cursor_read_u64(&c)};
    said->commands_executed = cursor_read_u64(&c);
    const uint32_t seeded = cursor_read_u32(&c), origins = cursor_read_u32(&c);
    const uint32_t configurations = cursor_read_u32(&c), zero = cursor_read_u32(&c);
    said->seeded = seeded != 0;
    said->reached.moment.elapsed = cursor_read_u64(&c);
    said->reached.moment.unix = cursor_read_u64(&c);
    said->reached.ballot.round = cursor_read_u64(&c);
    said->reached.ballot.node = cursor_read_u32(&c);
    said->reached.ballot.incarnation = cursor_read_u32(&c);
    for (uint32_t i = 0, origin = 0; i < origins && !c.failed; i++, origin++) {
        const uint32_t named = cursor_read_u32(&c);
        if (named < origin || named > NODE_ID_MAX) {
            cursor_fail(&c);
            break;
        }
        origin = said->last[named].origin = named;
        said->last[named].incarnation = cursor_read_u32(&c);
        said->last[named].number = cursor_read_u64(&c);
    }
    if (configurations > EXECUTION_CONFIGURATIONS)
        cursor_fail(&c);
    for (uint32_t i = 0; i < configurations && !c.failed; i++)
        read_configuration(&c, said);
    const bool chained =
        configurations < 2 || said->configurations[1].configuration.replaces == said->configurations[0].configuration.slot;
    return cursor_finished(&c) && seeded <= 1 && zero == 0 && chained;
}

bool execution_load(struct execution *x, const struct payload *piece, uint64_t slot)
{
    struct execution_piece said;
    if (!execution_piece_read(piece, &said))
        return false;
    forget_entries(x, slot);
    memcpy(x->last, said.last, sizeof said.last);
    x->seeded = said.seeded;
    x->state_hash = said.state_hash;
    x->reached = said.reached;
    x->commands_executed = said.commands_executed;
    const struct applied loaded = state_machine_query(x->machine, x->reached.moment, NULL, 0, x->answering.room);
    note_state(x, &loaded);
    for (size_t i = 0; i < said.configuration_count; i++)
        if (said.configurations[i].configuration.slot > x->configurations.newest.slot)
            adopt(x, &said.configurations[i].configuration, &said.configurations[i].text);
    return true;
}
