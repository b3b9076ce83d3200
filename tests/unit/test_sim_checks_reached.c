/* sim/checks_reached.c: each situation is recognized, and counted once. */
#include "tests/unit/checks_story.h"

/* ---- Reached states ---- */

static void reaches(enum reached what, uint64_t times)
{
    is_sound();
    assert_int_equal(checks_reached(c)[what], times);
}

static void votes_reach_states(void **unused)
{
    (void)unused;
    submit(1, 1);
    submit(2, 2);
    vote(1, 1, b1, 1);
    vote(2, 1, b1, 1);
    reaches(REACHED_DIFFERING_BALLOTS, 0);
    vote(3, 1, b2, 1);
    reaches(REACHED_DIFFERING_BALLOTS, 1);
    reaches(REACHED_DIFFERING_VALUES, 0);
    reaches(REACHED_VALUE_ADOPTED, 1);
    vote(3, 1, b3, 1);
    reaches(REACHED_DIFFERING_BALLOTS, 1); /* still the same slot */
    reaches(REACHED_VALUE_ADOPTED, 2);
    reaches(REACHED_VOTE_OVERTAKEN, 1);
    vote(1, 2, b1, 0);
    reaches(REACHED_GAP_NOOP, 0);
    vote(2, 2, b2, 2);
    reaches(REACHED_DIFFERING_VALUES, 1);
    reaches(REACHED_VOTE_OVERTAKEN, 1);
    vote(1, 2, b2, 2);
    reaches(REACHED_VOTE_OVERTAKEN, 2);
    propose((struct ballot){4, 2, 1}, 2, 2, 2); /* its own */
    reaches(REACHED_VALUE_ADOPTED, 2);
    choose(3, b3, 0);
    reaches(REACHED_GAP_NOOP, 1);
    reaches(REACHED_CHOSEN_AT_TWO_BALLOTS, 0);
    reaches(REACHED_TRUNCATED, 0);
    mark(1, 1, 2);
    mark(2, 1, 2);
    append(3, RECORD_FLOOR, (struct entry){.slot = 2}, 0);
    reaches(REACHED_TRUNCATED, 1);
}

static void promises_reach_states(void **unused)
{
    (void)unused;
    struct entry entries[2];
    struct message m = promise_of_three(entries), first = m, second = m;
    first.flags = 0;
    first.to = 2;
    first.entries.len = 1;
    second.from = 2;
    second.entries = (struct entry_list){entries + 1, 1};
    say(1, first);
    say(1, first); /* again */
    reaches(REACHED_PROMISE_IN_CHUNKS, 0);
    say(1, second);
    reaches(REACHED_PROMISE_IN_CHUNKS, 1);
    promise(1, (struct ballot){4, 1, 1}); /* it has sent the last one */
    reaches(REACHED_CHANGE_BETWEEN_CHUNKS, 0);
    promise(2, b3);
    say(2, (struct message){.kind = MESSAGE_PROMISE, .ballot = b3, .from = 1, .to = 1, .floor = 1});
    vote(2, 3, b3, 0); /* no change */
    reaches(REACHED_CHANGE_BETWEEN_CHUNKS, 0);
    vote(2, 4, (struct ballot){4, 1, 1}, 0);
    reaches(REACHED_CHANGE_BETWEEN_CHUNKS, 1);
    reaches(REACHED_NACK, 0);
    say(2, (struct message){.kind = MESSAGE_NACK, .ballot = {4, 1, 1}});
    reaches(REACHED_NACK, 1);
    reaches(REACHED_PROMISE_AFTER_RESTART, 0);
    restart(2);
    say(2, (struct message){.kind = MESSAGE_NACK, .ballot = {4, 1, 1}});
    reaches(REACHED_PROMISE_AFTER_RESTART, 1);

    m = (struct message){.kind = MESSAGE_PROMISE, .flags = MESSAGE_LAST, .ballot = b3, .from = 2, .to = 2, .floor = 2};
    say(3, (struct message){.kind = MESSAGE_PREPARE, .ballot = b3, .from = 2});
    checks_received(c, 3, 2, &m);
    reaches(REACHED_FLOOR_RAISED, 0);
    m.floor = 3;
    checks_received(c, 3, 2, &m);
    reaches(REACHED_FLOOR_RAISED, 1);
}

static void lead(uint32_t node, uint8_t proposer_state, struct ballot ballot)
{
    checks_status(
        c, node,
        &(struct node_status){
            .proposer_state = proposer_state, .ballot = ballot, .executed = 1, .held = 1, .promised = {100, 1, 1}});
}

static void leaders_reach_states(void **unused)
{
    (void)unused;
    lead(1, PROPOSER_PREPARING, b1);
    reaches(REACHED_DUELLING_PREPARES, 0);
    lead(2, PROPOSER_PREPARING, b2);
    reaches(REACHED_DUELLING_PREPARES, 1);
    lead(1, PROPOSER_LEADING, b1);
    reaches(REACHED_TWO_LEADERS, 0);
    lead(2, PROPOSER_LEADING, b2);
    reaches(REACHED_TWO_LEADERS, 1);
    lead(1, PROPOSER_FOLLOWING, b2);
    reaches(REACHED_RESIGNED, 0);
    lead(2, PROPOSER_FOLLOWING, b2);
    reaches(REACHED_RESIGNED, 1);
    lead(1, PROPOSER_LEADING, (struct ballot){3, 1, 1});
    reaches(REACHED_LEADER_RESTARTED, 0);
    restart(1);
    lead(2, PROPOSER_LEADING, (struct ballot){4, 2, 1});
    reaches(REACHED_TWO_LEADERS, 1);
    lead(2, PROPOSER_FOLLOWING, (struct ballot){5, 1, 2});
    lead(1, PROPOSER_LEADING, (struct ballot){5, 1, 2});
    reaches(REACHED_LEADER_RESTARTED, 1);
    reaches(REACHED_RESIGNED, 1);
}

static void learners_reach_states(void **unused)
{
    (void)unused;
    struct entry e;
    struct message m = {.kind = MESSAGE_LEARN, .flags = MESSAGE_IS_CHOSEN, .entries = {&e, 1}};
    choose_up_to(2);
    e = entry_of(1, b1, 1);
    checks_received(c, 3, 1, &m);
    reaches(REACHED_LEARNED_FROM_PEER, 1);
    reaches(REACHED_LEARNED_FROM_DISK, 0);
    checks_read(c, 1);
    checks_received(c, 3, 1, &m);
    reaches(REACHED_LEARNED_FROM_DISK, 1);
    is_at(3, 2, 5, 1);
    checks_received(c, 3, 1, &m); /* it has it by now */
    reaches(REACHED_LEARNED_FROM_PEER, 2);
    e.slot = 2;
    m.flags = 0;
    checks_received(c, 3, 1, &m);
    reaches(REACHED_LEARNED_FROM_ACCEPTOR, 1);
}

static void batches_reach_states(void **unused)
{
    (void)unused;
    struct message m = {.kind = MESSAGE_EXECUTED, .flags = MESSAGE_ANOTHER, .from = 1, .batch = {1, 1, 1}};
    for (uint64_t token = 1; token <= 3; token++)
        submit(1, token);
    say_entry(1, (struct message){.kind = MESSAGE_FORWARD, .batch = {1, 1, 1}}, entry_of(0, (struct ballot){0}, 1));
    reaches(REACHED_FORWARDED, 1);
    vote(1, 1, b1, 1);
    say(1, (struct message){.kind = MESSAGE_RESULT_REQUEST, .from = 1, .batch = {1, 1, 1}});
    reaches(REACHED_RESULT_REQUESTED, 1);
    checks_received(c, 1, 2, &m);
    reaches(REACHED_EXECUTED_ANOTHER, 1);
    m.flags = 0;
    checks_received(c, 1, 2, &m);
    reaches(REACHED_EXECUTED_ANOTHER, 1);
    checks_answered(c, 1, OUTCOME_UNKNOWN, 0);
    checks_answered(c, 2, OUTCOME_BUSY, 0);
    checks_answered(c, 3, OUTCOME_MOVED, 0);
    reaches(REACHED_OUTCOME_UNKNOWN, 1);
    reaches(REACHED_BUSY, 1);
    reaches(REACHED_MOVED, 1);
}

static void reads_reach_states(void **unused)
{
    (void)unused;
    const struct message ask = {.kind = MESSAGE_QUERY, .to = 2}, round = {.kind = MESSAGE_READ_ROUND, .ballot = b2};
    submit_to(1, 1, true);
    submit_to(1, 2, true);
    checks_answered(c, 1, OUTCOME_BUSY, 0);
    reaches(REACHED_READ, 0);
    checks_answered(c, 1, OUTCOME_EXECUTED, 0);
    reaches(REACHED_READ, 1);
    reaches(REACHED_READ_ELSEWHERE, 0);
    query(1, 2, 1);
    answer_query(2, 1, 2, 1);
    checks_answered(c, 2, OUTCOME_EXECUTED, 0);
    reaches(REACHED_READ, 2);
    reaches(REACHED_READ_ELSEWHERE, 1);
    checks_received(c, 2, 1, &ask);
    reaches(REACHED_READ_WAITED, 1);
    submit(1, 3);
    choose(1, b1, 3);
    is_at(2, 2, 5, 1);
    checks_received(c, 2, 1, &ask);
    reaches(REACHED_READ_WAITED, 1);
    checks_received(c, 3, 2, &round);
    reaches(REACHED_READ_REFUSED, 0);
    promise(3, b3);
    checks_received(c, 3, 2, &round);
    reaches(REACHED_READ_REFUSED, 1);
    struct message index = {.kind = MESSAGE_READ_INDEX, .from = 1};
    checks_received(c, 2, 3, &index);
    reaches(REACHED_READ_FOLLOWED, 0);
    index.flags = MESSAGE_YES;
    checks_received(c, 3, 2, &index);
    reaches(REACHED_READ_FOLLOWED, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(votes_reach_states),    STORY(promises_reach_states), STORY(leaders_reach_states),
        STORY(learners_reach_states), STORY(batches_reach_states),  STORY(reads_reach_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
