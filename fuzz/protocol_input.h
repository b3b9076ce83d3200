/* Arbitrary but structurally valid input for the parts of the protocol, out of a fuzzer's bytes: what the serializer lets
 * through and the agents do not leave out. Numbers are mostly small, so that things meet; now and then they are huge. */
#ifndef SYNOD_FUZZ_PROTOCOL_INPUT_H
#define SYNOD_FUZZ_PROTOCOL_INPUT_H

#include "core/base/types.h"

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
    return (struct ballot){.round = byte == 255 ? SLOT_MAX - 1 : byte >> 4, .node = byte >> 2 & 3, .incarnation = byte & 3};
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
        .heartbeat_interval = 100,
        .suspect_timeout = 400,
        .dead_timeout = 1000,
        .prepare_timeout = 100,
        .retry_interval = 100,
        .exec_interval = 100,
        .request_timeout = 5000,
    };
}

#endif
