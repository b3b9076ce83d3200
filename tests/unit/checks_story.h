/* Stories for the checks of a simulated world (sim/checks.h): what happens in a small cluster, told call by call.
 *
 * The cluster: nodes 1, 2 and 3 with all roles, quorums of 2, a window of 8 slots. Batch `t` has token t and one command,
 * and has the stamp of the node that it was submitted to; batch 0 is a no-op. */
#ifndef SYNOD_TESTS_UNIT_CHECKS_STORY_H
#define SYNOD_TESTS_UNIT_CHECKS_STORY_H

#include "core/formats/batch.h"
#include "sim/checks.h"
#include "tests/unit/protocol.h"

enum { BATCHES = 6000, BATCH_WORDS = 14, NODES = 3, ALPHA = 8, BYTES_MAX = 200, FRAME_MAX = 1000 };

static struct checks *c;
static uint64_t bytes[BATCHES][BATCH_WORDS]; /* of batches, stamped */
static uint32_t lengths[BATCHES];
static uint64_t numbers[NODES + 1]; /* of the last batch */
static uint32_t lives[NODES + 1];
static struct log_record journal[NODES + 1][20]; /* to come back with */
static size_t lsn[NODES + 1];

static const struct ballot b1 = {1, 1, 1}, b2 = {2, 2, 1}, b3 = {3, 3, 1};

/* ---- Telling a story ---- */

/* After a turn `node` has executed all below slot `executed`, in so many commands, and has come to this state. */
static inline void is_at(uint32_t node, uint64_t executed, uint64_t hash, uint64_t commands)
{
    struct node_status s = {.node = node, .incarnation = lives[node], .executed = executed, .chosen = executed, .held = 1};
    s.state_hash = hash;
    s.commands_executed = commands;
    s.promised = (struct ballot){100, 1, 1};
    checks_status(c, node, &s);
}

/* A cluster in which so many promises elect a leader. */
static inline void begin_with(uint32_t phase1_quorum)
{
    const struct checks_options options = {
        .nodes = NODES,
        .proposers = 0xe,
        .acceptors = 0xe,
        .learners = 0xe,
        .phase1_quorum = phase1_quorum,
        .phase2_quorum = 2,
        .alpha = ALPHA,
        .bytes_in_flight_max = BYTES_MAX,
        .frame_bytes_max = FRAME_MAX,
    };
    c = checks_new(&options);
    for (uint32_t node = 1; node <= NODES; node++) {
        checks_starts(c, node, lives[node] = 1);
        checks_up(c, node);
        is_at(node, 1, 0, 0);
        lsn[node] = numbers[node] = 0;
    }
}

/* Leaders need not be elected, which keeps the stories short; one of them is about that. */
static inline int set_up(void **state)
{
    (void)state;
    begin_with(0);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    checks_free(c);
    return 0;
}

static inline void is_sound(void)
{
    const struct checks_verdict *v = checks_verdict(c);
    if (v->failed)
        fail_msg("%s: %s", check_name(v->check), v->text);
}

/* The story ends here and the next one begins. */
static inline void begin_again(void)
{
    tear_down(NULL);
    set_up(NULL);
}

/* It ends with this rule broken. */
static inline void breaks(enum check check)
{
    const struct checks_verdict *v = checks_verdict(c);
    assert_true(v->failed);
    assert_string_equal(check_name(v->check), check_name(check));
    assert_true(strlen(v->text) > 0);
    begin_again();
}

static inline struct payload value_of(uint64_t token)
{
    return token == 0 ? (struct payload){0} : (struct payload){{bytes[token], words_for(lengths[token])}, lengths[token]};
}

/* Clients of `node` submit batch `token`, which has one command. */
static inline void submit_to(uint32_t node, uint64_t token, bool reads)
{
    struct batch_builder b = {0};
    struct bytes args[2] = {{(uint8_t *)(uintptr_t)"GET", 3}, {(uint8_t *)&token, sizeof token}};
    batch_begin(&b);
    batch_add(&b, args, 2);
    struct payload value = batch_end(&b);
    assert_true(value.words.len <= BATCH_WORDS);
    checks_submitted(c, node, token, &value, reads);
    memcpy(bytes[token], value.words.ptr, value.words.len * sizeof(uint64_t));
    lengths[token] = value.len;
    batch_builder_free(&b);
}

/* From now on it has its stamp. */
static inline void submit(uint32_t node, uint64_t token)
{
    submit_to(node, token, false);
    struct payload value = value_of(token);
    batch_header_stamp(&value, (struct batch_id){node, lives[node], ++numbers[node]}, node);
}

static inline struct entry entry_of(uint64_t slot, struct ballot ballot, uint64_t token);
static inline void say_entry(uint32_t node, struct message m, struct entry e);

/* `node` has reads, batch `token`, answered by what is executed below `index`. */
static inline void query(uint32_t node, uint64_t token, uint64_t index)
{
    say_entry(node, (struct message){.kind = MESSAGE_QUERY, .batch = {node, lives[node], 1000 + token}, .to = index},
              entry_of(0, (struct ballot){0}, token));
}

/* `learner` answers reads of `node`. */
static inline void answer_query(uint32_t learner, uint32_t node, uint64_t token, uint64_t executed)
{
    say_entry(learner,
              (struct message){.kind = MESSAGE_QUERY_ANSWER, .batch = {node, lives[node], 1000 + token}, .to = executed},
              (struct entry){.slot = 0});
}

/* It is stamped by who proposes it first. */
static inline struct entry entry_of(uint64_t slot, struct ballot ballot, uint64_t token)
{
    struct batch_header h;
    struct payload value = value_of(token);
    if (batch_header_read(&value, &h) && h.stamp.ballot.round == 0)
        batch_time_stamp(&value, (struct stamp){.ballot = ballot});
    return (struct entry){
        .slot = slot, .ballot = ballot, .kind = token == 0 ? ENTRY_NOOP : ENTRY_COMMANDS, .value = value_of(token)};
}

static inline void append(uint32_t node, uint8_t kind, struct entry e, uint64_t to)
{
    struct log_record r = {.lsn = ++lsn[node], .kind = kind, .to = to, .entry = e};
    journal[node][(lsn[node] - 1) % 20] = r;
    checks_appended(c, node, &r);
}

static inline void sync_disk(uint32_t node)
{
    if (!checks_verdict(c)->failed)
        checks_durable(c, node, lsn[node]);
}

static inline void promise(uint32_t node, struct ballot ballot)
{
    append(node, RECORD_PROMISED, (struct entry){.ballot = ballot}, 0);
    sync_disk(node);
}

static inline void vote(uint32_t node, uint64_t slot, struct ballot ballot, uint64_t token)
{
    append(node, RECORD_ACCEPTED, entry_of(slot, ballot, token), 0);
    sync_disk(node);
}

static inline void choose(uint64_t slot, struct ballot ballot, uint64_t token)
{
    vote(1, slot, ballot, token);
    vote(2, slot, ballot, token);
}

/* Slots [1, to) are chosen at b1, with batches of their numbers. */
static inline void choose_up_to(uint64_t to)
{
    for (uint64_t slot = 1; slot < to; slot++) {
        submit(1, slot);
        choose(slot, b1, slot);
    }
}

static inline void mark(uint32_t node, uint64_t from, uint64_t to)
{
    append(node, RECORD_CHOSEN, (struct entry){.slot = from}, to);
    sync_disk(node);
}

static inline void say(uint32_t node, struct message m) { checks_sent(c, node, 0xe & ~node_set_of(node), &m, 100); }

static inline void say_entry(uint32_t node, struct message m, struct entry e)
{
    m.entries = (struct entry_list){&e, 1};
    say(node, m);
}

/* A leader that knows slots below `chosen` as chosen proposes. */
static inline void propose(struct ballot ballot, uint64_t chosen, uint64_t slot, uint64_t token)
{
    say_entry(ballot.node, (struct message){.kind = MESSAGE_ACCEPT, .ballot = ballot, .from = chosen, .chosen = chosen},
              entry_of(slot, ballot, token));
}

/* Power goes, and comes again: of the journal `found` records are there. */
static inline void restart_with(uint32_t node, size_t found)
{
    checks_down(c, node);
    checks_starts(c, node, ++lives[node]);
    for (size_t i = 0; i < found; i++)
        checks_recovered(c, node, &journal[node][i]);
    checks_up(c, node);
    lsn[node] = found;
}

static inline void restart(uint32_t node) { restart_with(node, lsn[node]); }

/* Slot 1 is voted for at b1, slot 2 at b1 and at b2, by node 1, which promises b3. */
static inline struct message promise_of_three(struct entry *entries)
{
    submit(1, 1);
    submit(1, 2);
    vote(1, 1, b1, 1);
    vote(1, 2, b1, 2);
    vote(1, 2, b2, 2);
    promise(1, b3);
    entries[0] = entry_of(1, b1, 1);
    entries[1] = entry_of(2, b2, 2);
    return (struct message){.kind = MESSAGE_PROMISE,
                            .flags = MESSAGE_LAST,
                            .ballot = b3,
                            .from = 1,
                            .to = 3,
                            .floor = 1,
                            .entries = {entries, 2}};
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
