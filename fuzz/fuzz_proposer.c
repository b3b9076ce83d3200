/* Any order of calls of the proposer: its window stays in order, and a slot has one value at a ballot. */
#include "core/paxos/proposer.h"

#include "core/base/assert.h"
#include "core/base/checksum.h"
#include "fuzz/protocol_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEEN = 64 };

/* The last values sent, to find a slot that gets two at one ballot. */
static struct {
    uint64_t slot, hash;
    struct ballot ballot;
} seen[SEEN];

static void check_window(struct proposer *p)
{
    struct proposer_window w = proposer_window_now(p);
    invariant(w.first <= w.chosen && w.chosen <= w.next);
    invariant(w.next - w.chosen <= PROPOSER_RECOVERED_MAX);
}

static void check_entries(struct entry_list entries, struct ballot ballot)
{
    for (size_t i = 0; i < entries.len; i++) {
        const struct entry *e = &entries.ptr[i];
        uint64_t hash = checksum(payload_bytes(&e->value), e->value.len, e->kind);
        size_t k = e->slot % SEEN;
        invariant(ballot_compare(e->ballot, ballot) == 0 && ballot.round != 0);
        invariant(i == 0 || entries.ptr[i - 1].slot < e->slot);
        invariant(seen[k].slot != e->slot || ballot_compare(seen[k].ballot, ballot) != 0 || seen[k].hash == hash);
        seen[k].slot = e->slot;
        seen[k].hash = hash;
        seen[k].ballot = ballot;
    }
}

static void promise(struct proposer *p, struct input *in, struct ballot prepared)
{
    uint8_t how = input_byte(in);
    struct message m = input_message(in, false);
    if (how & 0x80) { /* mostly a chunk that fits */
        m.ballot = prepared;
        m.floor = m.from;
        m.flags |= how & 1;
    }
    struct promise_result r = proposer_promise(p, how & 3, &m);
    invariant(r.outcome != PROMISE_MORE || proposer_promise_wanted(p, how & 3) >= r.next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {.bytes = data, .left = size};
    struct node_config config = input_config(&in);
    struct proposer *p = proposer_new(&config);
    struct ballot ballot = {0};
    for (size_t i = 0; i < SEEN; i++)
        seen[i].slot = 0;
    while (input_more(&in)) {
        switch (input_byte(&in) % 8) {
        case 0: {
            struct ballot next = proposer_prepare(p, input_ballot(&in), input_number(&in, false));
            invariant(ballot_compare(next, ballot) > 0);
            ballot = next;
            break;
        }
        case 1:
        case 2:
            promise(p, &in, ballot);
            break;
        case 3: {
            struct entry_list entries = input_entries(&in, false);
            if (entries.len > 0)
                proposer_propose(p, entries.ptr[0].kind, &entries.ptr[0].value);
            break;
        }
        case 4:
            check_entries(proposer_pending(p, input_byte(&in)), proposer_window_now(p).ballot);
            break;
        case 5: {
            uint8_t sender = input_byte(&in);
            uint64_t from = input_number(&in, false), to = input_number(&in, false);
            proposer_accepted(p, sender & 3, sender & 0x80 ? input_ballot(&in) : ballot, from, to);
            break;
        }
        case 6:
            check_entries(proposer_unanswered(p, input_byte(&in) & 3, input_byte(&in)), proposer_window_now(p).ballot);
            break;
        default:
            if (input_byte(&in) & 1)
                proposer_settle(p, input_number(&in, false));
            else
                proposer_resign(p);
        }
        check_window(p);
    }
    proposer_free(p);
    return 0;
}
