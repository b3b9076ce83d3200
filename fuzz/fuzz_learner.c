/* Any order of calls of the learner: slots are released in order, each once, and only when they were chosen. */
#include "core/paxos/learner.h"

#include "core/base/assert.h"
#include "fuzz/protocol_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void release(struct learner *l, uint8_t bytes_max)
{
    uint64_t next = learner_next(l);
    struct entry_list released = learner_release(l, bytes_max);
    for (size_t i = 0; i < released.len; i++)
        invariant(released.ptr[i].slot == next + i);
    invariant(learner_next(l) == next + released.len);
}

static void check(struct learner *l, const struct node_config *config)
{
    struct learner_gap gap = learner_missing(l);
    invariant(gap.from == learner_next(l) && gap.to >= gap.from && gap.to - gap.from <= learner_window(config->alpha));
    invariant(learner_known_chosen(l) >= learner_next(l));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {.bytes = data, .left = size};
    struct node_config config = input_config(&in);
    struct learner *l = learner_new(&config);
    bool chosen = false;
    while (input_more(&in)) {
        struct entry_list entries;
        struct ballot ballot;
        uint64_t from, to;
        uint8_t sender;
        switch (input_byte(&in) % 5) {
        case 0:
            entries = input_entries(&in, false);
            learner_proposed(l, entries.ptr, entries.len);
            break;
        case 1:
            entries = input_entries(&in, false);
            learner_learned(l, entries.ptr, entries.len);
            chosen = true;
            break;
        case 2:
        case 3:
            ballot = input_ballot(&in);
            from = input_number(&in, false);
            to = input_number(&in, false);
            sender = input_byte(&in);
            if (sender & 0x80)
                learner_chosen(l, ballot, from, to);
            else
                learner_voted(l, sender & 7, ballot, from, to);
            chosen = true;
            break;
        default:
            release(l, input_byte(&in));
            if (!chosen)
                invariant(learner_next(l) == 1);
        }
        check(l, &config);
    }
    learner_free(l);
    return 0;
}
