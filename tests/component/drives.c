#include "tests/component/drives.h"

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/formats/serializer.h"
#include "core/paxos/acceptor.h"
#include "core/paxos/failure_detector.h"
#include "core/paxos/leader_detector.h"
#include "core/paxos/learner.h"
#include "core/paxos/proposer.h"
#include "core/state/state_machine.h"

enum { WORDS_MAX = 64, ROUNDS_A_REIGN = 500, BYTES_MAX = 4096 };

static uint64_t hash;

static void mix(uint64_t value) { hash = checksum(&value, sizeof value, hash); }

static void mix_bytes(struct bytes bytes)
{
    mix(bytes.len);
    if (bytes.len > 0)
        hash = checksum(bytes.ptr, bytes.len, hash);
}

static void mix_ballot(struct ballot ballot)
{
    mix(ballot.round);
    mix((uint64_t)ballot.node << 32 | ballot.incarnation);
}

static void mix_entries(struct entry_list entries)
{
    mix(entries.len);
    for (size_t i = 0; i < entries.len; i++) {
        const struct entry *e = &entries.ptr[i];
        mix(e->slot);
        mix_ballot(e->ballot);
        mix(e->kind);
        mix_bytes((struct bytes){payload_bytes(&e->value), e->value.len});
    }
}

static void mix_message(const struct message *m)
{
    mix(m->kind);
    mix(m->flags);
    mix_ballot(m->ballot);
    mix(m->from);
    mix(m->to);
    mix(m->floor);
    mix(m->chosen);
    mix((uint64_t)m->batch.origin << 32 | m->batch.incarnation);
    mix(m->batch.number);
    mix_entries(m->entries);
}

static const struct node_config config = {
    .node = 1,
    .incarnation = 1,
    .proposers = 14,
    .acceptors = 14,
    .learners = 14,
    .phase1_quorum = 2,
    .phase2_quorum = 2,
    .alpha = 64,
    .batches_in_flight = 8,
    .bytes_in_flight_max = 1 << 20,
    .chunk_bytes_max = 1 << 16,
    .learn_gap_max = 64,
    .suspect_timeout = 1000,
    .dead_timeout = 3000,
};

/* A value whose length and bytes depend on `seed`. */
static struct payload value_of(uint64_t seed)
{
    static uint64_t words[WORDS_MAX];
    uint32_t len = (uint32_t)(seed * 37 % (WORDS_MAX * 8));
    memset(words, 0, sizeof words);
    memset(words, (int)(seed % 251) + 1, len);
    return (struct payload){{words, words_for(len)}, len};
}

static struct entry entry_of(uint64_t slot, struct ballot ballot)
{
    return (struct entry){.slot = slot, .ballot = ballot, .kind = ENTRY_COMMANDS, .value = value_of(slot)};
}

static void mix_window(struct proposer_window window)
{
    mix_ballot(window.ballot);
    mix(window.first);
    mix(window.chosen);
    mix(window.next);
    mix(window.bytes);
}

/* A new ballot, promised by nodes 1 and 2; node 2 has a vote left over in the first slot. */
static struct ballot elect(struct proposer *p, struct ballot above, uint64_t floor)
{
    struct ballot ballot = proposer_prepare(p, above, floor);
    mix_ballot(ballot);
    mix(proposer_promise_wanted(p, 3));
    struct entry vote = entry_of(floor, above);
    for (uint32_t node = 1; node <= 2; node++) {
        struct message chunk = {.kind = MESSAGE_PROMISE,
                                .flags = MESSAGE_LAST,
                                .ballot = ballot,
                                .from = floor,
                                .to = floor + node - 1,
                                .floor = 1,
                                .entries = {&vote, node - 1}};
        struct promise_result result = proposer_promise(p, node, &chunk);
        mix(result.outcome);
        mix(result.next);
    }
    return ballot;
}

static void drive_proposer(uint64_t rounds)
{
    struct proposer *p = proposer_new(&config);
    struct ballot ballot = {1, 2, 1};
    for (uint64_t i = 0; i < rounds; i++) {
        if (i % ROUNDS_A_REIGN == 0) {
            proposer_resign(p);
            ballot = elect(p, ballot, proposer_window_now(p).chosen + 1);
        }
        struct payload value = value_of(i);
        mix(proposer_propose(p, ENTRY_COMMANDS, &value));
        mix_entries(proposer_pending(p, BYTES_MAX));
        mix_entries(proposer_unanswered(p, 3, BYTES_MAX));
        struct proposer_window window = proposer_window_now(p);
        mix_window(proposer_accepted(p, 1, ballot, window.chosen, window.next));
        mix_window(proposer_accepted(p, 2, ballot, window.chosen, window.next));
    }
    proposer_free(p);
}

static void drive_acceptor(uint64_t rounds)
{
    struct acceptor *a = acceptor_new(&config);
    struct ballot ballot = {0, 1, 1};
    for (uint64_t i = 1; i <= rounds; i++) {
        if (i % ROUNDS_A_REIGN == 1) {
            ballot.round++;
            struct acceptor_prepare_result promise = acceptor_prepare(a, ballot);
            mix(promise.granted * 2u + promise.is_new);
            mix_ballot(promise.promised);
        }
        struct entry entries[2] = {entry_of(i, ballot), entry_of(i, ballot)};
        entries[1].slot++;
        struct acceptor_accept_result vote = acceptor_accept(a, ballot, entries, 2);
        mix(vote.granted);
        mix_ballot(vote.promised);
        for (size_t r = 0; r < vote.runs.len; r++)
            mix(vote.runs.ptr[r].from << 32 | vote.runs.ptr[r].to << 1 | vote.runs.ptr[r].is_new);
        struct acceptor_vote_chunk chunk = acceptor_votes(a, i > 3 ? i - 3 : 1, BYTES_MAX);
        mix(chunk.from << 32 | chunk.to << 1 | chunk.last);
        mix(chunk.floor);
        mix_entries(chunk.entries);
        mix(acceptor_truncate(a, i > 8 ? i - 8 : 1));
        struct log_record record = {.lsn = i, .kind = RECORD_ACCEPTED, .entry = entry_of(i, ballot)};
        acceptor_restore(a, &record);
    }
    acceptor_free(a);
}

static void drive_learner(uint64_t rounds)
{
    struct learner *l = learner_new(&config);
    struct ballot ballot = {1, 1, 1};
    for (uint64_t slot = 1; slot <= rounds; slot++) {
        struct entry entry = entry_of(slot, ballot);
        struct learner_gap gap = learner_missing(l);
        mix(gap.to - gap.from);
        switch (slot % 3) {
        case 0:
            learner_proposed(l, &entry, 1);
            learner_voted(l, 1, ballot, slot, slot + 1);
            learner_voted(l, 2, ballot, slot, slot + 1);
            break;
        case 1:
            learner_chosen(l, ballot, slot, slot + 1);
            gap = learner_missing(l);
            mix(gap.from << 32 | gap.to);
            learner_proposed(l, &entry, 1);
            break;
        default:
            learner_learned(l, &entry, 1);
            break;
        }
        mix_entries(learner_release(l, BYTES_MAX));
        mix(learner_next(l));
        mix(learner_known_chosen(l));
    }
    learner_free(l);
}

static void drive_failure_detector(uint64_t rounds)
{
    struct failure_detector *f = failure_detector_new(&config, 0);
    for (uint64_t now = 0; now < rounds; now++) {
        failure_detector_heard(f, (uint32_t)(now * now % 7), now);
        struct health health = failure_detector_check(f, now * 3);
        mix(health.alive);
        mix(health.suspected);
        mix(health.dead);
    }
    failure_detector_free(f);
}

static void drive_leader_detector(uint64_t rounds)
{
    for (uint64_t i = 0; i < rounds; i++)
        mix(leader_detector_elect(&config, i % 16 & 14, (uint32_t)(i % 5)));
}

static struct bytes text(const char *s) { return (struct bytes){(uint8_t *)s, strlen(s)}; }

static void mix_replies(struct reply_list replies)
{
    mix(replies.len);
    for (size_t i = 0; i < replies.len; i++) {
        const struct reply *r = &replies.ptr[i];
        mix(r->tag);
        if (r->tag == REPLY_INTEGER) {
            mix((uint64_t)r->val.integer);
        } else if (r->tag == REPLY_ARRAY) {
            for (size_t k = 0; k < r->val.array.len; k++) {
                const struct scalar *s = &r->val.array.ptr[k];
                mix(s->tag);
                if (s->tag == REPLY_INTEGER)
                    mix((uint64_t)s->val.integer);
                else if (s->tag != REPLY_NIL)
                    mix_bytes(s->val.bytes);
            }
        } else if (r->tag != REPLY_NIL) {
            mix_bytes(r->val.bytes);
        }
    }
}

static void mix_applied(struct applied applied)
{
    mix(applied.work);
    mix(applied.due);
    mix_replies(applied.replies);
    for (size_t i = 0; i < applied.events.len; i++) {
        const struct key_event *e = &applied.events.ptr[i];
        mix(e->command);
        mix(e->kind);
        mix_bytes(e->name);
        mix_bytes(e->key);
    }
}

/* Saves all state and loads it again. */
static void reload(struct state_machine *m)
{
    struct {
        struct bytes bytes;
    } chunks[16];
    size_t count = 0;
    struct snapshot_chunk chunk;
    state_machine_snapshot_begin(m);
    do {
        chunk = state_machine_snapshot_save(m);
        if (chunk.bytes.len == 0)
            continue;
        mix_bytes(chunk.bytes);
        invariant(count < sizeof chunks / sizeof *chunks);
        struct bytes copy = {memory_new(chunk.bytes.len, 1), chunk.bytes.len};
        memcpy(copy.ptr, chunk.bytes.ptr, copy.len);
        chunks[count++].bytes = copy;
    } while (!chunk.last);
    for (size_t i = 0; i < count; i++) {
        const char *error = NULL;
        mix(state_machine_snapshot_load(m, chunks[i].bytes, i == 0, i + 1 == count, &error));
        free(chunks[i].bytes.ptr);
    }
}

static void mix_description(struct command_info_list infos)
{
    for (size_t i = 0; i < infos.len; i++) {
        mix_bytes(infos.ptr[i].name);
        mix((uint64_t)(int64_t)infos.ptr[i].arity);
        mix(infos.ptr[i].read_only);
        mix(infos.ptr[i].first_key);
        mix((uint64_t)(int64_t)infos.ptr[i].last_key);
        mix(infos.ptr[i].key_step);
    }
}

static void drive_state_machine(uint64_t rounds)
{
    struct state_machine *m = state_machine_new();
    for (uint64_t i = 0; i < rounds; i++) {
        char key[] = "key-a";
        key[4] = (char)('a' + i % 20);
        struct payload value = value_of(i);
        struct bytes set[] = {text("SET"), text(key), {payload_bytes(&value), value.len}};
        struct bytes incr[] = {text("INCR"), text("n")};
        struct bytes mget[] = {text("MGET"), text("n"), text("none"), text(key)};
        struct bytes wrong[] = {text("INCR"), text(key)};
        const struct moment now = {i, 1000000 + i};
        struct command commands[] = {{{set, 3}}, {{incr, 2}}, {{mget, 4}}, {{wrong, 2}}, {{NULL, 0}}};
        mix_applied(
            state_machine_apply(m, now, commands, sizeof commands / sizeof *commands, (struct reply_room){i % 4096, 128}));
        mix_applied(state_machine_query(m, now, &commands[1], 2, REPLY_ROOM_ANY));
        if (i % 100 == 0)
            mix_description(state_machine_describe(m));
        if (i % 100 == 50)
            mix(state_machine_tell_events(m, i % 200 == 50));
        if (i % 1000 == 999)
            reload(m);
    }
    const char *error = NULL;
    uint8_t junk[3] = {1, 2, 3};
    mix(state_machine_snapshot_load(m, (struct bytes){junk, sizeof junk}, true, true, &error));
    if (error != NULL)
        mix_bytes(text(error));
    state_machine_free(m);
}

static void drive_serializer(uint64_t rounds)
{
    struct serializer *s = serializer_new();
    for (uint64_t i = 0; i < rounds; i++) {
        struct entry entries[2] = {entry_of(i, (struct ballot){i, 1, 2}), {.slot = i + 1}};
        struct outgoing messages[2] = {
            {.to = 6,
             .message = {.kind = (uint8_t)(i % MESSAGE_KINDS),
                         .flags = MESSAGE_LAST,
                         .ballot = {i, 3, 4},
                         .from = i,
                         .to = i + 1,
                         .floor = 2,
                         .chosen = 3,
                         .batch = {1, 2, i},
                         .entries = {entries, 2}}},
            {.to = 8, .message = {.kind = MESSAGE_PREPARE, .from = i}},
        };
        struct packet_list bodies = serializer_encode(s, messages, 2);
        invariant(bodies.len == 2);
        struct packet copies[2]; /* what is returned dies with the next call */
        for (size_t b = 0; b < 2; b++) {
            copies[b] = bodies.ptr[b];
            mix(copies[b].id);
            copies[b].id = b + 1;
            copies[b].words = payload_copy(&(struct payload){copies[b].words, copies[b].len}).words;
        }
        copies[1].words.ptr[0] ^= i % 3 == 0; /* sometimes no message, or another kind */
        copies[1].words.ptr[1] ^= i % 3 == 1 ? UINT64_C(1) << 63 : 0;
        copies[1].len -= i % 3 == 2 ? 8 : 0;
        struct decoded decoded = serializer_decode(s, copies, 2);
        for (size_t d = 0; d < decoded.messages.len; d++) {
            mix(decoded.messages.ptr[d].sender);
            mix_message(&decoded.messages.ptr[d].message);
        }
        for (size_t d = 0; d < decoded.bad.len; d++)
            mix(decoded.bad.ptr[d]);
        for (size_t b = 0; b < 2; b++)
            free(copies[b].words.ptr);
    }
    serializer_free(s);
}

uint64_t drive(uint32_t part, uint64_t rounds)
{
    static void (*const drives[DRIVES])(uint64_t) = {
        [DRIVE_PROPOSER] = drive_proposer,
        [DRIVE_ACCEPTOR] = drive_acceptor,
        [DRIVE_LEARNER] = drive_learner,
        [DRIVE_FAILURE_DETECTOR] = drive_failure_detector,
        [DRIVE_LEADER_DETECTOR] = drive_leader_detector,
        [DRIVE_STATE_MACHINE] = drive_state_machine,
        [DRIVE_SERIALIZER] = drive_serializer,
    };
    invariant(part < DRIVES);
    hash = 0;
    drives[part](rounds);
    return hash;
}
