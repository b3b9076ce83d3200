/* Three learner agents, each with a journal, and with a store of snapshots as core/base/types.h (enum snapshot_item_kind)
 * says. */
#ifndef SYNOD_TESTS_UNIT_LEARNER_MACHINES_H
#define SYNOD_TESTS_UNIT_LEARNER_MACHINES_H

#include "core/agents/learner_agent.h"

#include <stdio.h>

#include "core/agents/agreement.h"
#include "core/agents/saving.h"
#include "core/agents/transfer.h"
#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/formats/batch.h"
#include "core/formats/snapshot.h"
#include "tests/unit/protocol.h"

enum { JOURNAL_MAX = 2000, FILES_MAX = 8, TOLD_MAX = 64, NODES = 4, WORDS_MAX = 4096, VALUE_WORDS_MAX = 128 };

/* A file is its pieces: kind and length as a word each, then the words of the body. */
struct file {
    uint64_t slot, size, checksum;
    uint64_t words[WORDS_MAX];
};

struct machine {
    struct node_config config;
    struct learner_agent *agent;
    struct log_record journal[JOURNAL_MAX];
    uint64_t values[JOURNAL_MAX][VALUE_WORDS_MAX];
    size_t journal_count;
    uint64_t truncated;
    struct file files[FILES_MAX]; /* the oldest first */
    size_t file_count;
    struct file part; /* that is being written or received */
    struct event told[TOLD_MAX];
    uint64_t told_words[TOLD_MAX][WORDS_MAX];
    size_t told_count;
    size_t begun;             /* snapshots */
    bool fails;               /* what is written */
    bool loads;               /* it was asked to load a snapshot, and has not been told that all was given */
    struct event with_loaded; /* comes in the step in which it is told that, once; tag 0: none */
    struct event with_stored; /* the same for the snapshot of stored_slot, when it is stored */
    uint64_t stored_slot;
    uint64_t unloadable, damaged, diverged;
    struct outgoing out[256]; /* of the last step */
    size_t out_count;
};

static struct machine *machines[NODES]; /* 1 to 3 */
enum { MOMENT = 100 };
static uint64_t now;
static bool conversing; /* what is sent is kept until it has been passed on */
static const struct ballot b1 = {1, 8, 1};

/* --- the store ------------------------------------------------------------------------------------------------------- */

static inline void tell_bytes(struct machine *m, uint8_t kind, uint64_t id, const void *bytes, size_t len)
{
    assert_true(m->told_count < TOLD_MAX && len <= sizeof m->told_words[0]);
    uint64_t *words = m->told_words[m->told_count];
    memset(words, 0, sizeof m->told_words[0]);
    if (len > 0)
        memcpy(words, bytes, len);
    const struct payload value = {.words = {words, words_for(len)}, .len = (uint32_t)len};
    m->told[m->told_count++] = (struct event){.tag = EVENT_SNAPSHOT, .val.snapshot = {kind, id, value}};
}

static inline void tell_stored(struct machine *m, const struct file *f)
{
    const uint64_t words[2] = {f->size, f->checksum};
    tell_bytes(m, SNAPSHOT_STORED, f->slot, words, sizeof words);
}

static inline void remove_oldest(struct machine *m)
{
    m->file_count--;
    memmove(m->files, m->files + 1, m->file_count * sizeof *m->files);
}

static inline void store_part(struct machine *m, bool alone)
{
    m->part.checksum = checksum(m->part.words, m->part.size, 0);
    if (m->fails) {
        tell_bytes(m, SNAPSHOT_FAILED, m->part.slot, NULL, 0);
        return;
    }
    while (m->file_count > 0 && (alone || m->file_count >= m->config.snapshots_max))
        remove_oldest(m);
    m->files[m->file_count++] = m->part;
    tell_stored(m, &m->part);
}

static inline struct file *find_file(struct machine *m, uint64_t slot)
{
    for (size_t i = 0; i < m->file_count; i++)
        if (m->files[i].slot == slot)
            return &m->files[i];
    return NULL;
}

static inline void load(struct machine *m, const struct file *f)
{
    for (size_t at = 0; f != NULL && at < f->size / 8;) {
        const uint64_t kind = f->words[at], len = f->words[at + 1];
        tell_bytes(m, SNAPSHOT_LOADED_PIECE, kind, f->words + at + 2, (size_t)len);
        at += 2 + words_for((size_t)len);
    }
    tell_bytes(m, SNAPSHOT_LOADED, f != NULL ? f->slot : 0, NULL, 0);
}

static inline void add_words(struct file *f, const void *bytes, size_t len)
{
    assert_true(f->size + len <= sizeof f->words);
    memcpy((uint8_t *)f->words + f->size, bytes, len);
    f->size += len;
}

static inline void add_piece(struct machine *m, uint64_t kind, const struct payload *body)
{
    const uint64_t head[2] = {kind, body->len};
    add_words(&m->part, head, sizeof head);
    add_words(&m->part, body->words.ptr, body->words.len * 8);
}

static inline void receive(struct machine *m, const struct snapshot_item *item)
{
    const bool resumes = m->part.slot == item->id && m->part.checksum == item->value.words.ptr[1];
    if (!resumes)
        m->part = (struct file){.slot = item->id, .checksum = item->value.words.ptr[1]};
    tell_bytes(m, SNAPSHOT_WANTED, m->part.size, NULL, 0);
}

static inline void receive_bytes(struct machine *m, const struct snapshot_item *item, uint64_t size)
{
    if (item->id != m->part.size)
        return;
    const uint64_t wanted = m->part.checksum;
    add_words(&m->part, item->value.words.ptr, item->value.len);
    tell_bytes(m, SNAPSHOT_WRITTEN, m->part.size, NULL, 0);
    if (m->part.size < size)
        return;
    if (checksum(m->part.words, m->part.size, 0) == wanted)
        store_part(m, true);
    else
        tell_bytes(m, SNAPSHOT_FAILED, m->part.slot, NULL, 0);
    m->part = (struct file){0};
}

static inline void read_part(struct machine *m, const struct snapshot_item *item)
{
    const struct file *f = find_file(m, item->id);
    if (f == NULL) {
        tell_bytes(m, SNAPSHOT_GONE, item->id, NULL, 0);
        return;
    }
    const uint64_t offset = item->value.words.ptr[0], len = item->value.words.ptr[1];
    const uint64_t left = offset < f->size ? f->size - offset : 0;
    tell_bytes(m, SNAPSHOT_BYTES_READ, offset, (const uint8_t *)f->words + offset, (size_t)(left < len ? left : len));
}

static inline void ask_store(struct machine *m, const struct snapshot_item *item)
{
    static uint64_t receiving;
    switch (item->kind) {
    case SNAPSHOT_BEGIN:
        m->part = (struct file){.slot = item->id};
        m->begun++;
        break;
    case SNAPSHOT_PIECE:
        add_piece(m, item->id, &item->value);
        break;
    case SNAPSHOT_COMMIT:
        store_part(m, false);
        break;
    case SNAPSHOT_RECEIVE:
        receiving = item->value.words.ptr[0];
        receive(m, item);
        break;
    case SNAPSHOT_BYTES:
        receive_bytes(m, item, receiving);
        break;
    case SNAPSHOT_READ:
        read_part(m, item);
        break;
    case SNAPSHOT_LOAD:
        m->loads = true;
        load(m, find_file(m, item->id));
        break;
    case SNAPSHOT_DISCARD:
        if (m->part.checksum != 0)
            m->part = (struct file){0};
        break;
    default:
        break; /* ABANDON: the part stays, for a later try */
    }
}

/* --- the machine ----------------------------------------------------------------------------------------------------- */

static inline void keep_record(struct machine *m, const struct log_record *r)
{
    struct log_record *kept = &m->journal[m->journal_count];
    *kept = *r;
    assert_int_equal(kept->lsn, m->journal_count + 1);
    assert_true(kept->entry.value.words.len <= VALUE_WORDS_MAX);
    if (kept->entry.value.len > 0)
        memcpy(m->values[m->journal_count], kept->entry.value.words.ptr, kept->entry.value.words.len * 8);
    kept->entry.value.words.ptr = m->values[m->journal_count++];
}

static inline void take_effects(struct machine *m, const struct step_result *r)
{
    for (size_t i = 0; i < r->effects.len; i++) {
        const struct effect *e = &r->effects.ptr[i];
        if (e->tag == EFFECT_APPEND) {
            keep_record(m, &e->val.append);
        } else if (e->tag == EFFECT_SNAPSHOT) {
            ask_store(m, &e->val.snapshot);
        } else if (e->tag == EFFECT_SEND) {
            assert_true(m->out_count < 256);
            m->out[m->out_count] = e->val.send;
            m->out[m->out_count++].message = message_copy(&e->val.send.message);
        } else if (e->tag == EFFECT_READ) {
            const struct read_range *range = &e->val.read;
            assert_true(range->from >= m->truncated && range->to <= m->journal_count + 1);
            struct record_list all = {m->journal + range->from - 1, (size_t)(range->to - range->from)};
            m->told[m->told_count++] = (struct event){.tag = EVENT_RECORDS, .val.records = all};
        } else if (e->tag == EFFECT_TRUNCATE) {
            assert_false(m->loads); /* what is fetched takes the place of the journal when it has been loaded */
            assert_true(e->val.truncate.lsn > m->truncated);
            m->truncated = e->val.truncate.lsn;
        }
        m->unloadable = e->tag == EFFECT_UNLOADABLE ? e->val.unloadable : m->unloadable;
        m->damaged = e->tag == EFFECT_DAMAGED ? e->val.damaged : m->damaged;
        m->diverged = e->tag == EFFECT_DIVERGED ? e->val.diverged : m->diverged;
    }
}

static inline void forget_out(struct machine *m)
{
    for (size_t i = 0; i < m->out_count; i++)
        message_free(&m->out[i].message);
    m->out_count = 0;
}

/* One step with these events. What it sends is in m->out. */
static inline struct step_result step(struct machine *m, const struct event *events, size_t count)
{
    struct step_result r = learner_agent_step(m->agent, now, m->journal_count + 1, events, count);
    if (!conversing)
        forget_out(m);
    take_effects(m, &r);
    learner_agent_audit(m->agent);
    return r;
}

/* Steps until the store has nothing to tell, and the learner nothing to do within a moment: it saves at a pace. */
static inline void settle(struct machine *m)
{
    for (size_t left = 100; left > 0; left--) {
        struct event *events = memory_new(TOLD_MAX + 1, sizeof *events);
        const size_t count = m->told_count;
        const bool loaded = m->loads;
        bool stored = false;
        for (size_t i = 0; i < count; i++) {
            events[i] = m->told[i];
            m->loads = m->loads && (events[i].tag != EVENT_SNAPSHOT || events[i].val.snapshot.kind != SNAPSHOT_LOADED);
            stored = stored || (events[i].tag == EVENT_SNAPSHOT && events[i].val.snapshot.kind == SNAPSHOT_STORED &&
                                events[i].val.snapshot.id == m->stored_slot);
            if (events[i].tag == EVENT_SNAPSHOT)
                events[i].val.snapshot.value = payload_copy(&m->told[i].val.snapshot.value);
        }
        m->told_count = 0;
        struct event *with = loaded && !m->loads ? &m->with_loaded : stored ? &m->with_stored : NULL;
        const bool together = with != NULL && with->tag != 0;
        if (together) {
            events[count] = *with;
            with->tag = 0;
        }
        struct step_result r = step(m, events, count + together);
        for (size_t i = 0; i < count; i++)
            if (events[i].tag == EVENT_SNAPSHOT)
                payload_free(&events[i].val.snapshot.value);
        free(events);
        if (r.wake_at > now + MOMENT && m->told_count == 0)
            return;
        now = r.wake_at > now && r.wake_at <= now + MOMENT ? r.wake_at : now;
    }
    fail_msg("it does not come to rest");
}

static inline const struct outgoing *said(const struct machine *m, uint8_t kind)
{
    for (size_t i = 0; i < m->out_count; i++)
        if (m->out[i].message.kind == kind)
            return &m->out[i];
    return NULL;
}

static inline void start(struct machine *m)
{
    struct event end[] = {{.tag = EVENT_RECORDS}, {.tag = EVENT_RECOVERED}, durable(m->journal_count)};
    size_t first = 0; /* the record that the journal begins with: the sticky ones are before it */
    m->agent = learner_agent_new(&m->config);
    for (size_t i = 0; i < m->file_count; i++)
        tell_stored(m, &m->files[i]);
    if (m->part.checksum != 0) /* what is written has none before its end */
        tell_bytes(m, SNAPSHOT_RECEIVED, m->part.slot, NULL, 0);
    load(m, m->file_count > 0 ? &m->files[m->file_count - 1] : NULL);
    settle(m);
    while (first + 1 < m->truncated)
        first++;
    for (size_t i = 0; i < first; i++)
        if (m->journal[i].kind == RECORD_CHOSEN) {
            struct event sticky = {.tag = EVENT_RECORDS, .val.records = {&m->journal[i], 1}};
            bool latest = true;
            for (size_t k = i + 1; k < first; k++)
                latest = latest && m->journal[k].kind != RECORD_CHOSEN;
            if (latest)
                step(m, &sticky, 1);
        }
    end[0].val.records = (struct record_list){m->journal + first, m->journal_count - first};
    step(m, end, 3);
}

static inline void restart(struct machine *m)
{
    learner_agent_free(m->agent);
    m->told_count = 0;
    start(m);
}

/* An entry is chosen. */
static inline void choose_entry(struct machine *m, struct entry *e)
{
    struct event accept =
        from(8, (struct message){.kind = MESSAGE_ACCEPT, .ballot = b1, .from = 1, .chosen = e->slot + 1, .entries = {e, 1}});
    step(m, &accept, 1);
    settle(m);
    struct event disk = durable(m->journal_count);
    step(m, &disk, 1);
    settle(m);
}

/* A batch with this number, whose value says in which slot it is. It stays the function's. */
static inline struct entry entry_of(uint64_t slot, uint64_t number)
{
    static struct batch_builder b;
    char key[32], value[32];
    snprintf(key, sizeof key, "key-%u", (unsigned)(slot % 7));
    snprintf(value, sizeof value, "value-%u", (unsigned)slot);
    struct bytes args[3] = {
        {(uint8_t *)(uintptr_t)"SET", 3}, {(uint8_t *)key, strlen(key)}, {(uint8_t *)value, strlen(value)}};
    batch_begin(&b);
    batch_add(&b, args, 3);
    struct payload batch = batch_end(&b);
    batch_header_stamp(&batch, (struct batch_id){8, 1, number}, 1);
    return (struct entry){.slot = slot, .ballot = b1, .kind = ENTRY_COMMANDS, .value = batch};
}

/* Slot `slot` holds it, and is chosen. */
static inline void choose_number(struct machine *m, uint64_t slot, uint64_t number)
{
    struct entry e = entry_of(slot, number);
    choose_entry(m, &e);
}

static inline void choose_all(struct machine *m, uint64_t from, uint64_t to)
{
    for (uint64_t slot = from; slot < to; slot++)
        choose_number(m, slot, slot);
}

/* Passes messages between two learners, and time. */
static inline void converse(struct machine *a, struct machine *b, size_t rounds)
{
    conversing = true;
    for (; rounds > 0; rounds--) {
        struct machine *sides[] = {a, b};
        for (size_t i = 0; i < 2; i++) {
            struct machine *speaker = sides[i], *hearer = sides[1 - i];
            struct event events[256];
            size_t count = 0;
            settle(speaker);
            for (size_t k = 0; k < speaker->out_count; k++)
                if (node_set_has(speaker->out[k].to, hearer->config.node))
                    events[count++] = from(speaker->config.node, speaker->out[k].message);
            step(hearer, events, count);
            forget_out(speaker);
            settle(hearer);
        }
        now += 20000;
    }
    conversing = false;
}

static inline struct machine *machine_new(uint32_t node)
{
    struct machine *m = memory_new(1, sizeof *m);
    m->config = nine_nodes(node);
    m->config.snapshot_slots = 8;
    m->config.snapshots_max = 2;
    m->config.transfer_rate = 100 << 20;
    m->config.limits.part_bytes = 64;
    start(m);
    return m;
}

static inline int set_up(void **state)
{
    (void)state;
    now = 1000000;
    for (uint32_t node = 1; node < NODES; node++)
        machines[node] = machine_new(node);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    for (uint32_t node = 1; node < NODES; node++) {
        learner_agent_free(machines[node]->agent);
        forget_out(machines[node]);
        free(machines[node]);
    }
    return 0;
}

#endif
