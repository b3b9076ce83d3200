/* A node of each kind (all roles, or one), stepped with arbitrary messages, commands, times, and restarts from its own
 * journal: records are numbered in order; nothing waits for a record that was not written; no promise and no vote leaves
 * before its record (P2); both come back after a restart, and so does what was called durably held; each client batch is
 * answered at most once; its snapshots fail, come back, and are fetched. And whatever was said: once the others are honest
 * again, an acceptor promises a ballot that another proposer can name, and a proposer comes to lead. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/message.h"
#include "core/formats/message_rules.h"
#include "core/runners/node.h"
#include "fuzz/protocol_input.h"
#include "fuzz/snapshot_box.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { JOURNAL_MAX = 1024, TOKENS_MAX = 256, EVENTS_MAX = 12 };

static struct {
    struct node_config config;
    struct node *node;
    uint64_t now, durable, held;
    struct log_record journal[JOURNAL_MAX];
    size_t journal_count;
    bool waiting[TOKENS_MAX];
    uint64_t tokens;
    struct read_range read;
    bool has_read, full, stopped, told_to_stop;
    bool learned_large; /* once is enough */
    struct input_hints hints;
    struct box snapshots;
    uint64_t truncated;              /* what it does not need of the journal, which has all of it still */
    struct event events[EVENTS_MAX]; /* messages that the next step gets at once; copies */
    size_t event_count;
    bool honest; /* the others are, from now on: what is sent to them is answered as it should be */
    struct ballot promised[NODE_ID_MAX + 1]; /* by them */
} w;

static void answer_honestly(const struct outgoing *out);

/* --- what the node does ---------------------------------------------------------------------------------------------- */

static bool is_promise(const struct log_record *r) { return r->kind == RECORD_PROMISED || r->kind == RECORD_ACCEPTED; }

/* The first record that carries a promise of `ballot` or above; 0: there is none. */
static uint64_t promise_recorded(struct ballot ballot)
{
    for (size_t i = 0; i < w.journal_count; i++)
        if (is_promise(&w.journal[i]) && ballot_compare(w.journal[i].entry.ballot, ballot) >= 0)
            return i + 1;
    return 0;
}

/* The first record of a vote for the slot at `ballot`; 0: there is none. */
static uint64_t vote_recorded(uint64_t slot, struct ballot ballot)
{
    for (size_t i = 0; i < w.journal_count; i++) {
        const struct log_record *r = &w.journal[i];
        if (r->kind == RECORD_ACCEPTED && r->entry.slot == slot && ballot_compare(r->entry.ballot, ballot) == 0)
            return i + 1;
    }
    return 0;
}

static void check_waits(const struct outgoing *out, uint64_t lsn) { invariant(lsn != 0 && lsn <= out->after); }

/* All records of the step are in the journal by now. */
static void check_send(const struct outgoing *out)
{
    const struct message *m = &out->message;
    invariant(out->to != 0 && m->kind < MESSAGE_KINDS && out->after <= w.journal_count);
    /* An answer at no ballot at all says nothing. */
    bool says = ballot_compare(m->ballot, (struct ballot){0}) != 0;
    if (says && m->kind == MESSAGE_PROMISE)
        check_waits(out, promise_recorded(m->ballot));
    for (uint64_t slot = m->from; says && m->kind == MESSAGE_ACCEPTED && slot < m->to; slot++)
        check_waits(out, vote_recorded(slot, m->ballot));
    if (m->kind == MESSAGE_ASK)
        w.hints.question = m->from;
    if (m->kind == MESSAGE_PREPARE)
        w.hints.wanted = m->from;
    input_hint_snapshot(&w.hints, m);
    if (w.honest)
        answer_honestly(out);
}

static void take(const struct effect *e)
{
    switch (e->tag) {
    case EFFECT_APPEND:
        invariant(e->val.append.lsn == w.journal_count + 1);
        w.journal[w.journal_count] = e->val.append;
        w.journal[w.journal_count++].entry.value = payload_copy(&e->val.append.entry.value);
        break;
    case EFFECT_READ:
        w.read = e->val.read;
        w.has_read = true;
        break;
    case EFFECT_REPLY:
        invariant(e->val.reply.token < w.tokens && w.waiting[e->val.reply.token]);
        w.waiting[e->val.reply.token] = false;
        break;
    case EFFECT_SNAPSHOT: {
        const struct snapshot_item *item = &e->val.snapshot;
        const struct packet ask = {.id = item->id, .kind = item->kind, .len = item->value.len, .words = item->value.words};
        box_ask(&w.snapshots, &ask);
        break;
    }
    case EFFECT_TRUNCATE:
        invariant(e->val.truncate.lsn > w.truncated && e->val.truncate.lsn <= w.journal_count + 1);
        invariant(e->val.truncate.after <= w.journal_count);
        w.truncated = e->val.truncate.lsn;
        break;
    case EFFECT_DIVERGED:
    case EFFECT_DAMAGED:
    case EFFECT_UNLOADABLE:
        w.stopped = true;
        break;
    default:
        break;
    }
}

static void step(const struct event *events, size_t count)
{
    if (w.full || w.stopped)
        return;
    struct step_result r = node_step(w.node, w.now, w.journal_count + 1, events, count);
    node_audit(w.node);
    size_t appends = 0;
    for (size_t i = 0; i < r.effects.len; i++)
        appends += r.effects.ptr[i].tag == EFFECT_APPEND;
    w.full = w.journal_count + appends > JOURNAL_MAX;
    if (w.full)
        return;
    for (size_t i = 0; i < r.effects.len; i++)
        take(&r.effects.ptr[i]);
    for (size_t i = 0; i < r.effects.len; i++)
        if (r.effects.ptr[i].tag == EFFECT_SEND)
            check_send(&r.effects.ptr[i].val.send);
    w.hints.status = node_status(w.node);
    if (w.hints.status.held > w.held)
        w.held = w.hints.status.held;
}

/* --- its life -------------------------------------------------------------------------------------------------------- */

/* Drops the messages that wait for a step. */
static void forget_events(void)
{
    while (w.event_count > 0)
        message_free(&w.events[--w.event_count].val.message.message);
}

/* What storage has to say, in a step. */
static void hear_storage(void)
{
    struct event events[BOX_PIECES_MAX];
    const struct packet_list told = box_told(&w.snapshots, BOX_PIECES_MAX);
    for (size_t i = 0; i < told.len; i++) {
        const struct packet *p = &told.ptr[i];
        events[i] = (struct event){.tag = EVENT_SNAPSHOT};
        events[i].val.snapshot = (struct snapshot_item){(uint8_t)p->kind, p->id, {.words = p->words, .len = p->len}};
    }
    step(events, told.len);
}

static void start(void)
{
    struct event events[3] = {{.tag = EVENT_RECORDS, .val.records = {w.journal, w.journal_count}},
                              {.tag = EVENT_RECOVERED},
                              {.tag = EVENT_DURABLE, .val.durable = w.journal_count}};
    bool acceptor = node_set_has(w.config.acceptors, w.config.node);
    uint64_t held = 0;
    w.node = node_new(&w.config);
    w.durable = w.journal_count;
    w.has_read = w.stopped = false;
    w.truncated = 0;
    for (size_t i = 0; i < w.journal_count; i++)
        held = w.journal[i].kind == RECORD_CHOSEN && w.journal[i].to > held ? w.journal[i].to : held;
    box_start(&w.snapshots, held);
    while (w.snapshots.told_count > 0)
        hear_storage();
    step(events, 1);
    for (size_t i = 0; acceptor && !w.full && i < w.journal_count; i++)
        if (is_promise(&w.journal[i]))
            invariant(ballot_compare(w.hints.status.promised, w.journal[i].entry.ballot) >= 0);
    step(events + 1, 2);
    invariant(w.full || w.stopped || w.hints.status.executed == 0 || w.hints.status.executed >= w.held);
}

static void restart(void)
{
    node_free(w.node);
    forget_events();
    while (w.journal_count > w.durable)
        payload_free(&w.journal[--w.journal_count].entry.value);
    w.config.incarnation++;
    memset(w.waiting, 0, sizeof w.waiting);
    w.told_to_stop = false;
    start();
}

/* --- what it hears --------------------------------------------------------------------------------------------------- */

static void hear_all(void)
{
    step(w.events, w.event_count);
    forget_events();
}

/* Adds a message to those of the next step. */
static void hear(uint32_t sender, const struct message *m)
{
    if (!message_fits(&w.config, sender, m)) /* the runner's door */
        return;
    if (w.event_count == EVENTS_MAX)
        hear_all();
    w.events[w.event_count++] =
        (struct event){.tag = EVENT_MESSAGE, .val.message = {.sender = sender, .message = message_copy(m)}};
}

static void hear_sense(uint32_t sender, struct message *m, struct input *in)
{
    struct batch_builder b = {0};
    input_make_sense(m, in, &w.hints, &b);
    hear(sender, m);
    batch_builder_free(&b);
}

static void submit(uint8_t key)
{
    struct batch_builder b = {0};
    if (w.tokens == TOKENS_MAX || w.full || w.stopped)
        return;
    struct payload value = input_batch(&b, 0, key);
    w.waiting[w.tokens] = true;
    struct event e = {.tag = EVENT_COMMANDS, .val.commands = {.token = w.tokens++, .value = value}};
    step(&e, 1);
    batch_builder_free(&b);
}

/* An operator asks to move leadership. */
static void ask_to_move(uint8_t key)
{
    struct batch_builder b = {0};
    uint8_t node = (uint8_t)('0' + key % 5);
    const struct bytes words[] = {{(uint8_t *)(uintptr_t)"LEADER", 6}, {(uint8_t *)(uintptr_t)"MOVE", 4}, {&node, 1}};
    if (w.tokens == TOKENS_MAX || w.stopped)
        return;
    batch_begin(&b);
    batch_add(&b, words, 3);
    w.waiting[w.tokens] = true;
    struct event e = {.tag = EVENT_REQUEST, .val.request = {.token = w.tokens++, .value = batch_end(&b)}};
    step(&e, 1);
    batch_builder_free(&b);
}

static void read_back(size_t count)
{
    size_t from = (size_t)w.read.from - 1;
    w.has_read = false;
    if (from > w.journal_count)
        from = w.journal_count;
    if (count > w.journal_count - from)
        count = w.journal_count - from;
    struct event e = {.tag = EVENT_RECORDS, .val.records = {w.journal + from, count}};
    step(&e, 1);
}

/* The others want this node to lead; one of them has votes to tell, in one chunk or more. */
static void elect(struct input *in)
{
    hear_all();
    for (uint32_t sender = 1; sender <= 2; sender++)
        hear_sense(sender, &(struct message){.kind = MESSAGE_LOST}, in);
    hear_all();
    struct message promise = {.kind = MESSAGE_PROMISE, .flags = input_byte(in) & MESSAGE_LAST};
    promise.entries = input_entries(in, false);
    hear_sense(2, &promise, in);
    hear_sense(1, &(struct message){.kind = MESSAGE_PROMISE, .flags = MESSAGE_LAST}, in);
    hear_all();
}

/* A learner says that the next slots hold nothing: one message after the other; or all at once, because the first slot is
 * heard of last. */
static void skip_slots(struct input *in, bool at_once)
{
    uint64_t next = w.hints.status.executed;
    struct message m;
    for (uint64_t i = 0; i < 10 && next != 0; i++) {
        m = input_nothing(in, next + i * INPUT_ENTRIES_MAX + at_once, INPUT_ENTRIES_MAX);
        hear(2, &m);
    }
    m = input_nothing(in, next, 1);
    if (at_once)
        hear(2, &m);
    hear_all();
}

/* A peer says that the next slot holds a batch whose execution takes more than one step. */
static void learn_large(uint64_t number)
{
    static uint8_t text[140000];
    struct batch_builder b = {0};
    struct bytes set[3] = {{(uint8_t *)(uintptr_t)"SET", 3}, {(uint8_t *)(uintptr_t)"k", 1}, {text, sizeof text}};
    struct bytes get[2] = {{(uint8_t *)(uintptr_t)"GET", 3}, {(uint8_t *)(uintptr_t)"k", 1}};
    batch_begin(&b);
    batch_add(&b, set, 3);
    for (int i = 0; i < 8; i++)
        batch_add(&b, get, 2);
    struct entry entry = {.slot = w.hints.status.executed, .ballot = {1, 2, 1}, .kind = ENTRY_COMMANDS};
    entry.value = batch_end(&b);
    batch_header_stamp(&entry.value, (struct batch_id){3, w.config.incarnation, number}, 3);
    w.learned_large = true;
    hear(2, &(struct message){.kind = MESSAGE_LEARN, .flags = MESSAGE_IS_CHOSEN, .entries = {&entry, 1}});
    batch_builder_free(&b);
}

static void tell(struct input *in)
{
    uint8_t how = input_byte(in);
    struct message m = input_message(in, true);
    if (how & 0x80)
        hear_sense(how & 3, &m, in);
    else
        hear(how & 3, &m);
    if ((how & 0x60) != 0)
        hear_all();
}

/* A monotonic clock counts microseconds and does not come to its end. */
static void wait_for(uint64_t us)
{
    if (us < UINT64_MAX / 2 - w.now)
        w.now += us;
}

static void act(struct input *in)
{
    uint8_t what = input_byte(in);
    if (w.has_read && what % 4 != 0)
        read_back(what);
    else if (what < 155)
        tell(in);
    else if (what < 158)
        elect(in);
    else if (what < 160)
        skip_slots(in, what == 159);
    else if (what == 160 && w.config.alpha == 1 && !w.learned_large) /* seldom: it takes long */
        learn_large(input_byte(in));
    else if (what == 189)
        ask_to_move(input_byte(in));
    else if (what >= 180 && what < 189)
        hear_storage();
    else if (what < 190)
        submit(input_byte(in));
    else if (what < 220) {
        w.durable = w.journal_count;
        step(&(struct event){.tag = EVENT_DURABLE, .val.durable = w.durable}, 1);
    } else if (what < 250) {
        wait_for(input_number(in, false));
        hear_all();
    } else if (what < 254)
        restart();
    else {
        w.told_to_stop = true;
        step(&(struct event){.tag = EVENT_STOP}, 1);
    }
}

/* --- the others, once they are honest -------------------------------------------------------------------------------- */

/* Acceptors 1 and 2 have lost the leader, hold no votes, and promise what is within reach. */
static void answer_honestly(const struct outgoing *out)
{
    const struct message *m = &out->message;
    for (uint32_t node = 1; node <= 2; node++) {
        if (!node_set_has(out->to & w.config.acceptors, node))
            continue;
        struct message answer = {.kind = MESSAGE_LOST, .flags = MESSAGE_YES, .from = m->from};
        if (m->kind == MESSAGE_PREPARE) {
            const bool grants = ballot_compare(m->ballot, w.promised[node]) >= 0 &&
                                m->ballot.round <= w.promised[node].round + ROUND_JUMP_MAX;
            if (grants)
                w.promised[node] = m->ballot;
            answer = (struct message){.kind = MESSAGE_NACK, .ballot = w.promised[node]};
            if (grants)
                answer = (struct message){.kind = MESSAGE_PROMISE,
                                          .flags = MESSAGE_LAST,
                                          .ballot = m->ballot,
                                          .from = m->from,
                                          .to = m->from,
                                          .floor = 1};
        } else if (m->kind != MESSAGE_ASK) {
            continue;
        }
        invariant(w.event_count < EVENTS_MAX);
        w.events[w.event_count++] = (struct event){.tag = EVENT_MESSAGE, .val.message = {.sender = node, .message = answer}};
    }
}

/* A step with all that was answered since the last one; its records become durable. */
static void honest_step(void)
{
    struct event events[EVENTS_MAX + 2];
    size_t count = w.event_count;
    memcpy(events, w.events, sizeof w.events);
    w.event_count = 0;
    for (uint32_t node = 1; node <= 2; node++) /* they cannot lead, and so it is this node's turn */
        events[count++] = (struct event){
            .tag = EVENT_MESSAGE,
            .val.message = {.sender = node, .message = {.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_RESIGNED}}};
    w.now += 50;
    step(events, count);
    w.durable = w.journal_count;
    step(&(struct event){.tag = EVENT_DURABLE, .val.durable = w.durable}, 1);
    if (w.has_read)
        read_back(SIZE_MAX);
}

/* A proposer leads in the end, since the others cannot. */
static void check_can_lead(void)
{
    enum { STEPS_MAX = 2000 };
    size_t steps = 0;
    w.honest = true;
    while (!w.full && !w.stopped && w.hints.status.proposer_state != PROPOSER_LEADING) {
        invariant(steps++ < STEPS_MAX);
        honest_step();
    }
}

/* Another proposer that knows of no ballots is told of the one in its way, and promised the next. */
static void check_can_promise(void)
{
    struct message m = {.kind = MESSAGE_PREPARE, .ballot = {1, 1, 1}, .from = 1};
    invariant(w.hints.status.promised.round < SLOT_MAX / 2);
    m.ballot.round = w.hints.status.promised.round + 1;
    hear(1, &m);
    hear_all();
    invariant(w.full || w.stopped || ballot_compare(w.hints.status.promised, m.ballot) == 0);
}

static void check_what_is_left(void)
{
    hear_all();
    if (node_set_has(w.config.acceptors, w.config.node))
        check_can_promise();
    if (node_set_has(w.config.proposers, w.config.node) && !w.told_to_stop)
        check_can_lead();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {.bytes = data, .left = size};
    memset(&w, 0, sizeof w);
    w.config = input_config_of_role(&in);
    w.snapshots.luck = input_byte(&in);
    start();
    while (input_more(&in) && !w.full && !w.stopped)
        act(&in);
    check_what_is_left();
    node_free(w.node);
    box_close(&w.snapshots);
    forget_events();
    while (w.journal_count > 0)
        payload_free(&w.journal[--w.journal_count].entry.value);
    return 0;
}
