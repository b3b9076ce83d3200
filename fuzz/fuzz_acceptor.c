/* Any order of calls of the acceptor: promises never go down, votes lie where they may, chunks are contiguous. */
#include "core/paxos/acceptor.h"

#include "core/base/assert.h"
#include "fuzz/protocol_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ballot promised;

static void rises(struct ballot now)
{
    invariant(ballot_compare(now, promised) >= 0);
    promised = now;
}

static void accept(struct acceptor *a, struct input *in)
{
    struct ballot ballot = input_ballot(in);
    struct entry_list entries = input_entries(in, false);
    struct acceptor_accept_result r = acceptor_accept(a, ballot, entries.ptr, entries.len);
    rises(r.promised);
    uint64_t slots = 0;
    for (size_t i = 0; i < r.runs.len; i++) {
        invariant(r.granted && r.runs.ptr[i].from < r.runs.ptr[i].to);
        slots += r.runs.ptr[i].to - r.runs.ptr[i].from;
        if (r.runs.ptr[i].is_new)
            invariant(ballot_compare(r.promised, ballot) == 0);
    }
    invariant(slots <= entries.len);
}

static void read_votes(struct acceptor *a, struct input *in)
{
    uint64_t wanted = input_number(in, false);
    struct acceptor_vote_chunk c = acceptor_votes(a, wanted, input_byte(in));
    invariant(c.from >= wanted && c.from >= c.floor && c.to >= c.from);
    invariant(c.last || c.to > c.from);
    for (size_t i = 0; i < c.entries.len; i++) {
        invariant(c.entries.ptr[i].slot >= (i > 0 ? c.entries.ptr[i - 1].slot + 1 : c.from) && c.entries.ptr[i].slot < c.to);
        invariant(ballot_compare(c.entries.ptr[i].ballot, promised) <= 0);
    }
}

static void restore(struct acceptor *a, struct input *in)
{
    struct entry_list entries = input_entries(in, false);
    uint8_t kind = input_byte(in) % RECORD_KINDS;
    if (entries.len == 0)
        return;
    uint64_t floor = acceptor_truncate(a, 0);
    struct log_record record = {.lsn = 1, .kind = kind, .entry = entries.ptr[0]};
    if (kind == RECORD_ACCEPTED && record.entry.slot > floor + 100)
        return; /* no acceptor writes such a journal */
    acceptor_restore(a, &record);
    rises(acceptor_prepare(a, (struct ballot){0}).promised);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {.bytes = data, .left = size};
    struct node_config config = input_config(&in);
    struct acceptor *a = acceptor_new(&config);
    promised = (struct ballot){0};
    uint64_t floor = 1;
    while (input_more(&in)) {
        switch (input_byte(&in) % 5) {
        case 0:
            rises(acceptor_prepare(a, input_ballot(&in)).promised);
            break;
        case 1:
            accept(a, &in);
            break;
        case 2:
            read_votes(a, &in);
            break;
        case 3: {
            uint64_t now = acceptor_truncate(a, input_number(&in, false));
            invariant(now >= floor);
            floor = now;
            break;
        }
        default:
            restore(a, &in);
        }
    }
    acceptor_free(a);
    return 0;
}
