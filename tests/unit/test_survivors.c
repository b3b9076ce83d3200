/* What is taken of the journals that are left: slot by slot, and what is said of the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/paxos/survivors.h"

enum { ALPHA = 8 };

static struct survivors s;

static struct ballot at(uint64_t round) { return (struct ballot){.round = round, .node = 1, .incarnation = 1}; }

/* The record of `survivor` in a slot, whose lsn names it. */
static void record(uint32_t survivor, uint64_t slot, uint64_t round, uint64_t lsn)
{
    const struct entry entry = {.slot = slot, .ballot = at(round), .kind = ENTRY_COMMANDS};
    const struct survivors_place place = {.survivor = survivor, .lsn = lsn};
    assert_true(survivors_record(&s, &entry, &place));
}

static void records(uint32_t survivor, uint64_t from, uint64_t to, uint64_t round)
{
    for (uint64_t slot = from; slot < to; slot++)
        record(survivor, slot, round, 1000 * round + slot);
}

static uint64_t kept(uint64_t slot)
{
    const struct survivors_slot *found = survivors_at(&s, slot);
    return found != NULL ? found->place.lsn : 0;
}

static int begin_at_1(void **state)
{
    (void)state;
    survivors_init(&s, 1);
    return 0;
}

static int begin_at_100(void **state)
{
    (void)state;
    survivors_init(&s, 100);
    return 0;
}

static int end(void **state)
{
    (void)state;
    survivors_close(&s);
    return 0;
}

/* A coordinator: its learner knows of slots up to 20, its acceptor has voted up to 23. */
static void test_one_coordinator(void **state)
{
    (void)state;
    records(0, 1, 24, 1);
    survivors_add(&s, &(struct survivor){.node = 1, .complete = 1, .votes = 1, .chosen = 20, .floor = 15});
    const struct survivors_found f = survivors_decide(&s, ALPHA);
    assert_true(f.begin == 1 && f.known == 20 && f.chosen == 20 && f.end == 24);
    assert_true(f.gaps == 0 && f.forgotten == 0 && f.lacks == 0 && f.voters == node_set_of(1));
    const struct configuration three = {.acceptors = node_set_of(1) | node_set_of(2) | node_set_of(3), .phase2_quorum = 2};
    assert_false(survivors_meet(f.voters, &three));
    assert_true(survivors_meet(node_set_of(1) | node_set_of(3), &three));
    const struct configuration all = {.acceptors = three.acceptors, .phase2_quorum = 3};
    assert_true(survivors_meet(f.voters, &all));
}

/* The value at the highest ballot, of any survivor, and in whatever order it comes. */
static void test_highest_ballot(void **state)
{
    (void)state;
    record(0, 1, 3, 31);
    record(1, 1, 7, 71);
    record(2, 1, 5, 51);
    record(0, 2, 9, 92);
    record(1, 2, 2, 22);
    record(1, 3, 4, 43);
    record(1, 3, 4, 44); /* the same vote once more */
    for (uint32_t node = 1; node <= 3; node++)
        survivors_add(&s, &(struct survivor){.node = node, .complete = 1, .votes = 1, .chosen = 1, .floor = 1});
    const struct survivors_found f = survivors_decide(&s, ALPHA);
    assert_true(f.known == 1 && f.chosen == 1 && f.end == 4);
    assert_int_equal(kept(1), 71);
    assert_int_equal(kept(2), 92);
    assert_int_equal(kept(3), 43);
    assert_int_equal(kept(4), 0);
}

/* A slot without a vote below others: alpha slots further on, it was chosen. */
static void test_gaps(void **state)
{
    (void)state;
    records(0, 1, 10, 1);
    records(0, 11, 15, 1);
    records(0, 16, 21, 1);
    survivors_add(&s, &(struct survivor){.node = 1, .complete = 1, .votes = 1, .chosen = 5, .floor = 1});
    const struct survivors_found f = survivors_decide(&s, ALPHA);
    assert_true(f.known == 5 && f.chosen == 13 && f.end == 21);
    assert_true(f.gaps == 2 && f.first_gap == 10 && f.lost_gaps == 1);
}

/* A learner that lags, and the votes of an acceptor that has forgotten what lies between. */
static void test_forgotten(void **state)
{
    (void)state;
    records(0, 100, 105, 1);
    records(1, 150, 160, 1);
    survivors_add(&s, &(struct survivor){.node = 1, .complete = 90, .votes = 0, .chosen = 105, .floor = 1});
    survivors_add(&s, &(struct survivor){.node = 4, .complete = 1, .votes = 140, .chosen = 1, .floor = 140});
    const struct survivors_found f = survivors_decide(&s, ALPHA);
    assert_true(f.known == 105 && f.end == 105 && f.forgotten == 105);
    assert_true(f.chosen == 152 && f.gaps == 0 && f.voters == 0);
}

/* No learner, and journals that do not reach back; and one that does. */
static void test_acceptors_alone(void **state)
{
    (void)state;
    records(0, 40, 60, 2);
    survivors_add(&s, &(struct survivor){.node = 4, .complete = 1, .votes = 40, .chosen = 1, .floor = 40});
    struct survivors_found f = survivors_decide(&s, ALPHA);
    assert_true(f.end == 1 && f.forgotten == 1);
    records(1, 1, 58, 1);
    survivors_add(&s, &(struct survivor){.node = 5, .complete = 1, .votes = 1, .chosen = 1, .floor = 30});
    f = survivors_decide(&s, ALPHA);
    assert_true(f.known == 1 && f.end == 60 && f.chosen == 52 && f.forgotten == 0 && f.gaps == 0);
    assert_int_equal(kept(39), 1039);
    assert_int_equal(kept(40), 2040);
    assert_true(f.voters == node_set_of(5)); /* the other one has forgotten votes that count */
}

/* An acceptor that came late: its journal is whole, and begins with a floor. What lies below is lost, and not empty. */
static void test_floor_of_a_whole_journal(void **state)
{
    (void)state;
    records(0, 40, 60, 1);
    survivors_add(&s, &(struct survivor){.node = 4, .complete = 1, .votes = 1, .chosen = 1, .floor = 40});
    const struct survivors_found f = survivors_decide(&s, ALPHA);
    assert_true(f.known == 1 && f.end == 1 && f.forgotten == 1 && f.chosen == 52 && f.gaps == 0);
}

/* Learners know of different slots; one whose journal begins later says nothing of those between. */
static void test_learners(void **state)
{
    (void)state;
    records(0, 100, 110, 1);
    records(1, 108, 130, 1);
    survivors_add(&s, &(struct survivor){.node = 1, .complete = 50, .chosen = 110, .floor = 1});
    survivors_add(&s, &(struct survivor){.node = 2, .complete = 108, .chosen = 130, .floor = 1});
    survivors_add(&s, &(struct survivor){.node = 3, .complete = 140, .chosen = 150, .floor = 1});
    const struct survivors_found f = survivors_decide(&s, ALPHA);
    assert_true(f.known == 130 && f.chosen == 150 && f.end == 130 && f.lacks == 0);
}

/* A value is missing that a journal must have. */
static void test_lacks(void **state)
{
    (void)state;
    records(0, 100, 105, 1);
    records(0, 106, 110, 1);
    survivors_add(&s, &(struct survivor){.node = 1, .complete = 100, .votes = 100, .chosen = 110, .floor = 1});
    assert_int_equal(survivors_decide(&s, ALPHA).lacks, 105);
}

/* A snapshot that is newer than all journals. */
static void test_snapshot_alone(void **state)
{
    (void)state;
    records(0, 90, 100, 1);
    survivors_add(&s, &(struct survivor){.node = 1, .complete = 50, .votes = 90, .chosen = 95, .floor = 90});
    const struct survivors_found f = survivors_decide(&s, ALPHA);
    assert_true(f.begin == 100 && f.known == 100 && f.end == 100 && f.chosen == 100 && f.voters == node_set_of(1));
}

/* No journal has such a slot: it is refused, and takes no memory. */
static void test_absurd(void **state)
{
    (void)state;
    const struct entry far = {.slot = UINT64_MAX, .ballot = at(1)}, early = {.slot = 5, .ballot = at(1)};
    const struct survivors_place place = {0};
    assert_false(survivors_record(&s, &far, &place));
    assert_true(survivors_record(&s, &early, &place));
    assert_int_equal(s.top, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_coordinator, begin_at_1, end),
        cmocka_unit_test_setup_teardown(test_highest_ballot, begin_at_1, end),
        cmocka_unit_test_setup_teardown(test_gaps, begin_at_1, end),
        cmocka_unit_test_setup_teardown(test_forgotten, begin_at_100, end),
        cmocka_unit_test_setup_teardown(test_acceptors_alone, begin_at_1, end),
        cmocka_unit_test_setup_teardown(test_floor_of_a_whole_journal, begin_at_1, end),
        cmocka_unit_test_setup_teardown(test_learners, begin_at_100, end),
        cmocka_unit_test_setup_teardown(test_lacks, begin_at_100, end),
        cmocka_unit_test_setup_teardown(test_snapshot_alone, begin_at_100, end),
        cmocka_unit_test_setup_teardown(test_absurd, begin_at_100, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
