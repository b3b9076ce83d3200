/* A node of each kind, stepped with arbitrary messages, commands, times, and restarts from its own journal: records are numbered
 * in order, nothing waits for a record that was not written, each client batch is answered at most once, and what was called
 * durably held comes back. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/batch.h"
#include "core/runners/node.h"
#include "fuzz/protocol_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { JOURNAL_MAX = 4096, TOKENS_MAX = 256 };

static struct {
    struct node_config config;
    struct node *node;
    uint64_t now, durable, held;
    struct log_record journal[JOURNAL_MAX];
    size_t journal_count;
    bool waiting[TOKENS_MAX];
    uint64_t tokens;
    struct read_range read;
    bool has_read, full, stopped;
    uint64_t question, wanted; /* of the last ASK and PREPARE */
} w;

static void take(const struct effect *e)
{
    switch (e->tag) {
    case EFFECT_APPEND:
        invariant(e->val.append.lsn == w.journal_count + 1);
        w.journal[w.journal_count] = e->val.append;
        w.journal[w.journal_count++].entry.value = payload_copy(&e->val.append.entry.value);
        break;
    case EFFECT_SEND:
        invariant(e->val.send.to != 0 && e->val.send.message.kind < MESSAGE_KINDS);
        if (e->val.send.message.kind == MESSAGE_ASK)
            w.question = e->val.send.message.from;
        if (e->val.send.message.kind == MESSAGE_PREPARE)
            w.wanted = e->val.send.message.from;
        break;
    case EFFECT_READ:
        w.read = e->val.read;
        w.has_read = true;
        break;
    case EFFECT_REPLY:
        invariant(e->val.reply.token < w.tokens && w.waiting[e->val.reply.token]);
        w.waiting[e->val.reply.token] = false;
        break;
    case EFFECT_DIVERGED:
        w.stopped = true;
        break;
    default:
        break;
    }
}

static void step(const struct event *events, size_t count)
{
    struct step_result r = node_step(w.node, w.now, w.journal_count + 1, events, count);
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
            invariant(r.effects.ptr[i].val.send.after <= w.journal_count);
    if (node_status(w.node).held > w.held)
        w.held = node_status(w.node).held;
}

static void start(void)
{
    struct event events[3] = {{.tag = EVENT_RECORDS, .val.records = {w.journal, w.journal_count}},
                              {.tag = EVENT_RECOVERED},
                              {.tag = EVENT_DURABLE, .val.durable = w.journal_count}};
    w.node = node_new(&w.config);
    w.durable = w.journal_count;
    w.has_read = w.stopped = false;
    step(events, 1);
    invariant(node_status(w.node).executed == 0 || node_status(w.node).executed >= w.held);
    step(events + 1, 2);
}

static void restart(void)
{
    node_free(w.node);
    while (w.journal_count > w.durable)
        payload_free(&w.journal[--w.journal_count].entry.value);
    w.config.incarnation++;
    memset(w.waiting, 0, sizeof w.waiting);
    start();
}

static void submit(struct input *in)
{
    struct batch_builder b = {0};
    uint8_t key = input_byte(in);
    struct bytes args[2] = {{(uint8_t *)(uintptr_t)"INCR", 4}, {&key, 1}};
    if (w.tokens == TOKENS_MAX)
        return;
    batch_begin(&b);
    batch_add(&b, args, 2);
    w.waiting[w.tokens] = true;
    struct event e = {.tag = EVENT_COMMANDS, .val.commands = {.token = w.tokens++, .value = batch_end(&b)}};
    step(&e, 1);
    batch_builder_free(&b);
}

static void read_back(struct input *in)
{
    size_t from = (size_t)w.read.from - 1, count = input_byte(in);
    if (!w.has_read)
        return;
    w.has_read = false;
    if (from > w.journal_count)
        from = w.journal_count;
    if (count > w.journal_count - from)
        count = w.journal_count - from;
    struct event e = {.tag = EVENT_RECORDS, .val.records = {w.journal + from, count}};
    step(&e, 1);
}

/* Fits the message to what the node waits for, or it would hardly ever get anywhere. */
static void make_sense(struct message *m, struct input *in, struct batch_builder *b)
{
    uint8_t key = input_byte(in);
    struct bytes args[2] = {{(uint8_t *)(uintptr_t)"INCR", 4}, {&key, 1}};
    struct node_status status = node_status(w.node);
    if (m->kind == MESSAGE_LOST) {
        m->from = w.question;
        m->flags |= MESSAGE_YES;
    } else if (m->kind == MESSAGE_PROMISE) {
        m->ballot = status.ballot;
        m->from = m->floor = w.wanted;
        m->to = m->from + m->entries.len;
        for (size_t i = 0; i < m->entries.len; i++) {
            in->entries[i].slot = m->from + i;
            in->entries[i].ballot.round = key % 2;
        }
    } else if (m->kind == MESSAGE_ACCEPTED) {
        m->ballot = status.ballot;
        m->from = key;
    } else if (m->kind == MESSAGE_EXECUTED)
        m->batch = (struct batch_id){3, w.config.incarnation, key % 16};
    else if (m->kind == MESSAGE_PROGRESS)
        m->from = m->from / 64 * 64;
    batch_begin(b);
    batch_add(b, args, 2);
    struct payload value = batch_end(b);
    batch_header_stamp(&value, (struct batch_id){1 + key % 3, w.config.incarnation, key}, key % 4, 0);
    for (size_t i = 0; i < m->entries.len; i++) {
        if (m->kind == MESSAGE_ACCEPT)
            in->entries[i].ballot = m->ballot;
        if (in->entries[i].kind == ENTRY_COMMANDS)
            in->entries[i].value = value;
        if (m->kind != MESSAGE_PROMISE && key & 1)
            in->entries[i].slot = status.executed + i;
    }
}

static void tell_as(uint32_t sender, struct message *m, struct input *in)
{
    struct batch_builder b = {0};
    if (w.full || w.stopped)
        return;
    make_sense(m, in, &b);
    struct event e = {.tag = EVENT_MESSAGE, .val.message = {.sender = sender, .message = *m}};
    step(&e, 1);
    batch_builder_free(&b);
}

/* The others want this node to lead; one of them has votes to tell. */
static void elect(struct input *in)
{
    for (uint32_t sender = 1; sender <= 2; sender++)
        tell_as(sender, &(struct message){.kind = MESSAGE_LOST}, in);
    struct message promise = {.kind = MESSAGE_PROMISE, .flags = MESSAGE_LAST, .entries = input_entries(in, false)};
    tell_as(2, &promise, in);
    tell_as(1, &(struct message){.kind = MESSAGE_PROMISE, .flags = MESSAGE_LAST}, in);
}

/* A peer says that the next slots are chosen, and hold nothing. */
static void skip_slots(void)
{
    struct entry entries[4];
    uint64_t next = node_status(w.node).executed;
    for (size_t i = 0; i < 4; i++)
        entries[i] = (struct entry){.slot = next + i, .ballot = {1, 2, 1}};
    struct message m = {.kind = MESSAGE_LEARN, .flags = MESSAGE_IS_CHOSEN, .entries = {entries, 4}};
    struct event e = {.tag = EVENT_MESSAGE, .val.message = {.sender = 2, .message = m}};
    for (int i = 0; i < 20 && next != 0 && !w.full && !w.stopped; i++) {
        step(&e, 1);
        for (size_t k = 0; k < 4; k++)
            entries[k].slot += 4;
    }
}

static void tell(struct input *in)
{
    uint8_t how = input_byte(in);
    struct batch_builder b = {0};
    struct event e = {.tag = EVENT_MESSAGE, .val.message = {.sender = how & 3, .message = input_message(in, true)}};
    if (how & 0x80)
        make_sense(&e.val.message.message, in, &b);
    step(&e, 1);
    batch_builder_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {.bytes = data, .left = size};
    memset(&w, 0, sizeof w);
    w.config = input_config(&in);
    uint8_t role = input_byte(&in) & 3;
    if (role != 0) { /* 1: a proposer, 2: an acceptor, 3: a learner; else all in one */
        w.config.proposers &= role == 1 ? 0xe : 0x6;
        w.config.acceptors &= role == 2 ? 0xe : 0x6;
        w.config.learners &= role == 3 ? 0xe : 0x6;
    }
    start();
    while (input_more(&in) && !w.full && !w.stopped) {
        uint8_t what = input_byte(&in);
        if (what < 155)
            tell(&in);
        else if (what < 158)
            elect(&in);
        else if (what < 160)
            skip_slots();
        else if (what < 190)
            submit(&in);
        else if (what < 215) {
            w.durable = w.journal_count;
            step(&(struct event){.tag = EVENT_DURABLE, .val.durable = w.durable}, 1);
        } else if (what < 230)
            read_back(&in);
        else if (what < 250) {
            w.now += input_number(&in, false);
            step(NULL, 0);
        } else if (what < 254)
            restart();
        else
            step(&(struct event){.tag = EVENT_STOP}, 1);
    }
    node_free(w.node);
    while (w.journal_count > 0)
        payload_free(&w.journal[--w.journal_count].entry.value);
    return 0;
}
