/* Arbitrary but structurally valid input for the parts of the protocol, out of a fuzzer's bytes: what the serializer lets
 * through and the agents do not leave out. Numbers are mostly small, so that things meet; now and then they are huge. */
#ifndef SYNOD_FUZZ_PROTOCOL_INPUT_H
#define SYNOD_FUZZ_PROTOCOL_INPUT_H

#include "core/formats/batch.h"

enum { INPUT_ENTRIES_MAX = 8, INPUT_VALUE_WORDS = 2 };

struct input {
    const uint8_t *bytes;
    size_t left;
    struct entry entries[INPUT_ENTRIES_MAX];
    uint64_t words[INPUT_ENTRIES_MAX][INPUT_VALUE_WORDS];
};

static inline bool input_more(const struct input *in) { return in->left > 0; }

static inline uint8_t input_byte(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->bytes++;
}

/* Below SLOT_MAX unless `any`. */
static inline uint64_t input_number(struct input *in, bool any)
{
    uint8_t byte = input_byte(in);
    if (byte < 240)
        return byte;
    if (byte < 248)
        return (uint64_t)input_byte(in) << (byte - 240) * 2;
    if (byte < 254)
        return (SLOT_MAX >> (byte - 248) * 8) - 1;
    return any ? UINT64_MAX - (byte - 254) : SLOT_MAX - 1;
}

static inline struct ballot input_ballot(struct input *in)
{
    uint8_t byte = input_byte(in);
    uint64_t round = byte == 255 ? SLOT_MAX - 1 : byte >= 252 ? ROUND_JUMP_MAX * (byte - 251u) : byte >> 4;
    return (struct ballot){.round = round, .node = byte >> 2 & 3, .incarnation = byte & 3};
}

static inline struct entry_list input_entries(struct input *in, bool any)
{
    size_t count = input_byte(in) % (INPUT_ENTRIES_MAX + 1);
    uint64_t slot = input_number(in, any);
    for (size_t i = 0; i < count; i++) {
        uint8_t how = input_byte(in);
        slot = how & 0x80 ? input_number(in, any) : slot + 1;
        if (!any && slot >= SLOT_MAX)
            slot = SLOT_MAX - 1;
        uint32_t len = how % (INPUT_VALUE_WORDS * 8 + 1);
        for (size_t w = 0; w < INPUT_VALUE_WORDS; w++)
            in->words[i][w] = 0;
        for (uint32_t b = 0; b < len; b++)
            ((uint8_t *)in->words[i])[b] = how;
        in->entries[i] = (struct entry){.slot = slot,
                                        .ballot = input_ballot(in),
                                        .kind = (uint8_t)((how >> 4) % ENTRY_KINDS),
                                        .value = {{in->words[i], words_for(len)}, len}};
    }
    return (struct entry_list){in->entries, count};
}

/* The entries live in `in` until the next call. */
static inline struct message input_message(struct input *in, bool any)
{
    struct message m = {.kind = input_byte(in) % MESSAGE_KINDS, .flags = input_byte(in) & 0x7f, .ballot = input_ballot(in)};
    m.from = input_number(in, any);
    m.to = input_number(in, any);
    m.floor = input_number(in, any);
    m.chosen = input_number(in, any);
    m.batch = (struct batch_id){input_byte(in) & 3, input_byte(in) & 3, input_number(in, true)};
    m.entries = input_entries(in, any);
    return m;
}

/* What a node has said and waits for: messages that fit it get further than any others. */
struct input_hints {
    struct node_status status;
    uint64_t question;               /* of its last ASK */
    uint64_t wanted;                 /* slot that its last PREPARE asked for */
    struct message offered, fetched; /* its last SNAPSHOT and SNAPSHOT_FETCH */
};

static inline void input_hint_snapshot(struct input_hints *hints, const struct message *m)
{
    if (m->kind == MESSAGE_SNAPSHOT)
        hints->offered = *m;
    else if (m->kind == MESSAGE_SNAPSHOT_FETCH)
        hints->fetched = *m;
}

/* The same for messages about snapshots: the sender has one a little ahead; sends what was asked for; wants the one that was
 * announced. */
static inline void input_make_sense_of_snapshot(struct message *m, const struct input_hints *hints, uint8_t key)
{
    if (m->kind == MESSAGE_SNAPSHOT) {
        m->flags = key & 1 ? MESSAGE_FORGOTTEN : 0;
        m->from = hints->status.executed + key / 2 % 16;
        m->to = 1 + key % 32;
    } else if (m->kind == MESSAGE_SNAPSHOT_PART) {
        m->from = hints->fetched.from;
        m->to = hints->fetched.to;
        m->batch.number = hints->fetched.batch.number;
    } else if (m->kind == MESSAGE_SNAPSHOT_FETCH) {
        m->from = hints->offered.from;
        m->to %= 256;
        m->batch.number = hints->offered.batch.number;
    }
}

/* A batch of one short command, in `b`. */
static inline struct payload input_batch(struct batch_builder *b, uint32_t incarnation, uint8_t key)
{
    struct bytes args[2] = {{(uint8_t *)(uintptr_t)"INCR", 4}, {&key, 1}};
    batch_begin(b);
    batch_add(b, args, 2);
    struct payload value = batch_end(b);
    batch_header_stamp(&value, (struct batch_id){1 + key % 3, incarnation, key}, key % 4);
    return value;
}

/* Fits a message to what the node waits for. Values made for it live in `b`. */
static inline void input_make_sense(struct message *m, struct input *in, const struct input_hints *hints,
                                    struct batch_builder *b)
{
    const struct node_status *status = &hints->status;
    uint8_t key = input_byte(in);
    struct payload value = input_batch(b, status->incarnation, key);
    if (m->kind == MESSAGE_LOST) {
        m->from = hints->question;
        m->flags |= MESSAGE_YES;
    } else if (m->kind == MESSAGE_PROMISE) {
        m->ballot = status->ballot;
        m->from = m->floor = hints->wanted;
        m->to = m->from + m->entries.len;
    } else if (m->kind == MESSAGE_ACCEPTED) {
        m->ballot = status->ballot;
        m->from = key;
    } else if (m->kind == MESSAGE_EXECUTED) {
        m->batch = (struct batch_id){status->node, status->incarnation, key % 16};
    } else if (m->kind == MESSAGE_PROGRESS) {
        m->from = m->from / 64 * 64;
    } else if (m->kind == MESSAGE_LEARN_REQUEST && status->executed > 0) {
        m->from = 1 + m->from % status->executed;
        m->to = m->from + key;
    } else if (m->kind == MESSAGE_FORWARD) {
        m->entries.len = m->entries.len > 0;
    } else if (m->kind == MESSAGE_HANDOVER) {
        m->ballot = status->ballot;
        m->to = 1 + key % 3;
    }
    input_make_sense_of_snapshot(m, hints, key);
    for (size_t i = 0; i < m->entries.len; i++) {
        struct entry *e = &m->entries.ptr[i];
        if (m->kind == MESSAGE_PROMISE) {
            e->slot = m->from + i;
            e->ballot.round = key % 2;
        } else if (key & 1) {
            e->slot = status->executed + i;
        }
        if (m->kind == MESSAGE_ACCEPT)
            e->ballot = m->ballot;
        if (e->kind == ENTRY_COMMANDS && m->kind != MESSAGE_SNAPSHOT_PART)
            e->value = value;
    }
}

/* A learner says that `count` slots from `slot` on (INPUT_ENTRIES_MAX at most) are chosen, and hold nothing. */
static inline struct message input_nothing(struct input *in, uint64_t slot, size_t count)
{
    for (size_t i = 0; i < count; i++)
        in->entries[i] = (struct entry){.slot = slot + i, .ballot = {1, 2, 1}};
    return (struct message){.kind = MESSAGE_LEARN, .flags = MESSAGE_IS_CHOSEN, .entries = {in->entries, count}};
}

/* Nodes 1, 2 and 3 with all roles, seen by node 3, which the others wait for to lead. */
static inline struct node_config input_config(struct input *in)
{
    uint8_t byte = input_byte(in);
    return (struct node_config){
        .node = 3,
        .incarnation = 1,
        .proposers = 0xe,
        .acceptors = 0xe,
        .learners = 0xe,
        .phase1_quorum = 2,
        .phase2_quorum = 2,
        .alpha = 1u + (byte & 15),
        .batches_in_flight = 4,
        .bytes_in_flight_max = 1000,
        .chunk_bytes_max = 20,
        .learn_gap_max = 3,
        .acceptors_send_learns = (byte & 16) != 0,
        .forward = (byte & 32) != 0,
        .learners_send_executed = (byte & 64) != 0,
        .event_driven = (byte & 128) == 0,
        .heartbeat_interval = 100,
        .suspect_timeout = 400,
        .dead_timeout = 1000,
        .prepare_timeout = 100,
        .retry_interval = 100,
        .exec_interval = 100,
        .request_timeout = 5000,
    };
}

/* The same with the roles apart: this node has one alone, or all of them. It takes snapshots often, or never. */
static inline struct node_config input_config_of_role(struct input *in)
{
    struct node_config config = input_config(in);
    uint8_t byte = input_byte(in), role = byte & 3; /* 1: a proposer, 2: an acceptor, 3: a learner; others: all in one */
    config.snapshot_slots = byte >> 2 & 15;
    config.snapshots_max = 2;
    config.journal_keep_slots = byte >> 6 & 1 ? 10 : 0;
    config.transfer_rate = byte >> 7 ? 1 << 16 : 1 << 20;
    if (role != 0) {
        config.proposers &= role == 1 ? 0xe : 0x6;
        config.acceptors &= role == 2 ? 0xe : 0x6;
        config.learners &= role == 3 ? 0xe : 0x6;
    }
    return config;
}

#endif
