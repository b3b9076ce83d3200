/* sim/explore*.c: small clusters in which nothing is wrong, counted by another way as well; and planted mistakes, each of
 * which its check must find, with the shortest way there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "sim/explore.h"

static struct explore_options small(uint32_t ballots, uint32_t slots, uint32_t crashes)
{
    struct explore_options options = explore_standard();
    options.ballots = ballots;
    options.slots = slots;
    options.crashes = crashes;
    options.chunk_bytes_max = 0;
    return options;
}

/* Explores where nothing must be found. */
static struct explore_result explore_sound(const struct explore_options *options)
{
    struct explore_result r;
    if (!explore_run(options, &r))
        fail_msg("%s\n%s", r.failed != NULL ? r.failed : "not finished", r.path != NULL ? r.path : "");
    assert_true(r.finished);
    assert_null(r.failed);
    assert_null(r.path);
    return r;
}

/* --- the protocol, written down once more ------------------------------------------------------------------------- */

/* Paxos with 3 acceptors and 2 proposers as on paper, with nothing of the code in it: two runs that differ in what
 * a part has or may still get are two states, those that differ in the acceptors' names are one. Ballots are numbers:
 * 1 is round 1 of the first proposer, 2 round 1 of the second, 3 round 2 of the first and so on. */
enum { ROUNDS = 3, NUMBERS = 2 * ROUNDS, SLOTS = 2, NOOP = NUMBERS + 1 };

struct paper {
    uint8_t taken[NUMBERS + 1];
    uint8_t values[NUMBERS + 1][SLOTS]; /* proposed: the number of the ballot that did so first, or NOOP */
    uint8_t votes[NUMBERS + 1][SLOTS];  /* bit n: acceptor n */
    uint8_t promised[3];
    uint8_t ballot[2];
    uint8_t leads[2];
    uint8_t sent[2], counted[2]; /* promises to a proposer that prepares: on their way, and there */
};

struct papers {
    struct paper *items;
    size_t count, capacity;
    uint32_t places[1 << 17]; /* number + 1 */
};

static struct papers papers;
static uint32_t paper_ballots, paper_slots;

static uint8_t permuted(uint8_t set, const uint8_t *names)
{
    return (uint8_t)((set & 1) << names[0] | (set >> 1 & 1) << names[1] | (set >> 2 & 1) << names[2]);
}

static void add_paper(const struct paper *p)
{
    static const uint8_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct paper least = *p;
    for (int i = 1; i < 6; i++) {
        struct paper q = *p;
        for (int a = 0; a < 3; a++)
            q.promised[orders[i][a]] = p->promised[a];
        for (int b = 1; b <= NUMBERS; b++)
            for (int s = 0; s < SLOTS; s++)
                q.votes[b][s] = permuted(p->votes[b][s], orders[i]);
        for (int n = 0; n < 2; n++) {
            q.sent[n] = permuted(p->sent[n], orders[i]);
            q.counted[n] = permuted(p->counted[n], orders[i]);
        }
        if (memcmp(&q, &least, sizeof q) < 0)
            least = q;
    }
    size_t mask = sizeof papers.places / sizeof *papers.places - 1;
    size_t place = (size_t)checksum(&least, sizeof least, 0) & mask;
    for (; papers.places[place] != 0; place = (place + 1) & mask)
        if (memcmp(&papers.items[papers.places[place] - 1], &least, sizeof least) == 0)
            return;
    papers.items = memory_reserve(papers.items, &papers.capacity, papers.count + 1, sizeof *papers.items);
    papers.items[papers.count++] = least;
    papers.places[place] = (uint32_t)papers.count;
}

/* A proposer takes a ballot: of the round after one that is in use. */
static void take_ballots_on_paper(const struct paper *p, int proposer)
{
    int own = (p->ballot[proposer] + 1) / 2;
    for (int heard = own; heard < ROUNDS; heard++) {
        struct paper q = *p;
        int number = 2 * heard + proposer + 1;
        if (heard > own && !p->taken[2 * heard - proposer])
            continue;
        q.taken[number] = 1;
        q.ballot[proposer] = (uint8_t)number;
        q.leads[proposer] = q.sent[proposer] = q.counted[proposer] = 0;
        add_paper(&q);
    }
}

/* A proposer counts a promise, and proposes everything when that makes it the leader. */
static void promise_on_paper(const struct paper *p, int proposer, int acceptor)
{
    struct paper q = *p;
    uint8_t ballot = p->ballot[proposer];
    q.sent[proposer] &= (uint8_t)~(1 << acceptor);
    q.counted[proposer] |= (uint8_t)(1 << acceptor);
    if (__builtin_popcount(q.counted[proposer]) >= 2) {
        uint8_t voted[SLOTS] = {0};
        uint32_t top = 0;
        for (uint32_t s = 0; s < paper_slots; s++) {
            for (uint8_t b = 1; b < ballot; b++)
                if (p->votes[b][s] & q.counted[proposer])
                    voted[s] = p->values[b][s];
            top = voted[s] != 0 ? s : top;
        }
        for (uint32_t s = 0; s < paper_slots; s++)
            q.values[ballot][s] = voted[s] != 0 ? voted[s] : s < top ? NOOP : ballot;
        q.leads[proposer] = 1;
        q.sent[proposer] = q.counted[proposer] = 0;
    }
    add_paper(&q);
}

static void acceptor_on_paper(const struct paper *p, int acceptor)
{
    for (uint8_t b = 1; b <= NUMBERS; b++) {
        int proposer = (b - 1) % 2;
        if (!p->taken[b] || b < p->promised[acceptor])
            continue;
        struct paper q = *p;
        q.promised[acceptor] = b;
        if (p->ballot[proposer] == b && !p->leads[proposer])
            q.sent[proposer] |= (uint8_t)(1 << acceptor);
        if (b > p->promised[acceptor])
            add_paper(&q);
        for (uint32_t s = 0; s < paper_slots; s++) {
            q = *p;
            q.promised[acceptor] = b;
            q.votes[b][s] |= (uint8_t)(1 << acceptor);
            if (p->values[b][s] != 0)
                add_paper(&q);
        }
    }
}

/* How many states there are on paper. */
static uint64_t count_on_paper(uint32_t ballots, uint32_t slots)
{
    paper_ballots = ballots;
    paper_slots = slots;
    papers.count = 0;
    memset(papers.places, 0, sizeof papers.places);
    add_paper(&(struct paper){0});
    for (size_t i = 0; i < papers.count; i++) {
        struct paper p = papers.items[i];
        uint32_t taken = 0;
        for (int b = 1; b <= NUMBERS; b++)
            taken += p.taken[b];
        for (int proposer = 0; proposer < 2; proposer++) {
            if (taken < paper_ballots)
                take_ballots_on_paper(&p, proposer);
            for (int a = 0; a < 3; a++)
                if (p.sent[proposer] >> a & 1)
                    promise_on_paper(&p, proposer, a);
        }
        for (int a = 0; a < 3; a++)
            acceptor_on_paper(&p, a);
    }
    free(papers.items);
    papers.items = NULL;
    papers.capacity = 0;
    return papers.count;
}

/* The real code gets into as many states as the protocol has: no more, no fewer. */
static void there_are_as_many_states_as_on_paper(void **state)
{
    static const uint32_t sizes[][2] = {{1, 1}, {1, 2}, {2, 1}, {2, 2}, {3, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct explore_options options = small(sizes[i][0], sizes[i][1], 0);
        options.learners = false;
        assert_int_equal(explore_sound(&options).states, count_on_paper(sizes[i][0], sizes[i][1]));
    }
}

/* --- nothing is wrong --------------------------------------------------------------------------------------------- */

static void a_small_cluster_keeps_all_rules(void **state)
{
    struct explore_options options = small(2, 1, 1);
    (void)state;
    struct explore_result r = explore_sound(&options);
    options.crashes = 0;
    assert_true(r.states > explore_sound(&options).states); /* a proposer that crashed has other ballots */
    assert_true(r.transitions > r.states && r.depth > 10);
    assert_true(r.behind > 0);
    assert_true(r.boards_heard > 0 && r.boards_heard < r.boards && r.learnings > r.boards_heard);
}

static void slots_may_come_one_after_the_other(void **state)
{
    struct explore_options options = small(2, 2, 0);
    (void)state;
    options.learners = false;
    uint64_t at_once = explore_sound(&options).states;
    options.alpha = 2;
    assert_int_equal(explore_sound(&options).states, at_once);
    options.alpha = 1;
    assert_int_not_equal(explore_sound(&options).states, at_once);
    options.alpha = 0;
    options.chunk_bytes_max = 1;
    assert_true(explore_sound(&options).states > at_once); /* a promise with two votes comes in two messages */
}

static void a_learner_hears_of_two_slots(void **state)
{
    struct explore_options options = small(1, 2, 1);
    (void)state;
    assert_true(explore_sound(&options).learnings > 100);
}

static void clusters_of_other_sizes_keep_all_rules(void **state)
{
    static const uint32_t sizes[][2] = {{1, 2}, {2, 1}, {4, 1}, {5, 1}, {3, 3}}; /* acceptors, proposers */
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct explore_options options = small(sizes[i][0] > 3 ? 1 : 2, 1, 2);
        options.acceptors = sizes[i][0];
        options.proposers = sizes[i][1];
        explore_sound(&options);
    }
}

/* --- what is wrong is found --------------------------------------------------------------------------------------- */

static const uint32_t agreement_alone = ((1u << EXPLORE_CHECKS) - 1) & ~(1u << EXPLORE_AGREEMENT);

static struct explore_result explore_flawed(const struct explore_options *options, const char *check)
{
    struct explore_result r;
    if (explore_run(options, &r))
        fail_msg("flaw %u: nothing found, %s expected", options->flaw, check);
    assert_string_equal(r.failed, check);
    assert_false(r.finished);
    return r;
}

static void each_check_finds_something(void **state)
{
    static const struct {
        uint8_t flaw;
        uint32_t unchecked;
        const char *check;
    } cases[] = {
        {EXPLORE_EARLY_ANSWERS, 0, "PromiseDurable"}, {EXPLORE_EARLY_ANSWERS, 1u << EXPLORE_PROMISE_DURABLE, "VoteDurable"},
        {EXPLORE_LOST_PROMISES, 0, "PromiseDurable"}, {EXPLORE_SMALL_QUORUM, 0, "Agreement"},
        {EXPLORE_HIDDEN_VOTES, 0, "Agreement"},       {EXPLORE_TWO_VALUES, 0, "OneValuePerBallot"},
        {EXPLORE_MADE_UP_VALUE, 0, "Validity"},       {EXPLORE_SAME_INCARNATION, 0, "BallotUnique"},
        {EXPLORE_EARLY_CHOSEN, 0, "ChosenTrue"},      {EXPLORE_VOTES_BY_SLOT, 0, "ChosenTrue"},
        {EXPLORE_CHOSEN_BY_SLOT, 0, "Agreement"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct explore_options options = small(2, 1, 1);
        options.flaw = cases[i].flaw;
        options.unchecked = cases[i].unchecked;
        struct explore_result r = explore_flawed(&options, cases[i].check);
        explore_result_close(&r);
    }
}

static void a_change_of_the_configuration(void **state)
{
    (void)state;
    for (uint8_t change = EXPLORE_REPLACED; change <= EXPLORE_ADDED; change++) {
        struct explore_options options = explore_change((enum explore_change)change);
        options.ballots = 2;
        explore_sound(&options);
    }
}

/* Before anything comes of it. */
static void a_boundary_is_looked_at(void **state)
{
    static const uint8_t flaws[] = {EXPLORE_OVER_BOUNDARY, EXPLORE_NOT_ANEW};
    (void)state;
    for (size_t i = 0; i < sizeof flaws / sizeof *flaws; i++) {
        struct explore_options options = explore_change(EXPLORE_REPLACED);
        options.ballots = 1;
        options.flaw = flaws[i];
        struct explore_result r = explore_flawed(&options, "Configurations");
        explore_result_close(&r);
    }
}

/* Each mistake about the boundary between two configurations has two values chosen after it. */
static void a_boundary_that_is_not_kept(void **state)
{
    static const uint8_t flaws[] = {EXPLORE_OVER_BOUNDARY, EXPLORE_NOT_ANEW};
    (void)state;
    for (size_t i = 0; i < sizeof flaws / sizeof *flaws; i++) {
        struct explore_options options = explore_change(EXPLORE_REPLACED);
        options.flaw = flaws[i];
        options.unchecked = agreement_alone;
        struct explore_result r = explore_flawed(&options, "Agreement");
        assert_non_null(strstr(r.path, "slot 2: "));
        explore_result_close(&r);
    }
}

static void what_the_search_takes_for_granted_is_checked(void **state)
{
    struct explore_options options = small(1, 2, 0);
    (void)state;
    options.flaw = EXPLORE_NARROW_WINDOW;
    struct explore_result r = explore_flawed(&options, "Premise");
    explore_result_close(&r);
    options.alpha = 1; /* now it knows */
    explore_sound(&options);
}

/* The rule that is broken is not looked at; what comes of it is found all the same. */
static void what_follows_from_a_mistake_is_found(void **state)
{
    static const uint8_t flaws[] = {EXPLORE_EARLY_ANSWERS, EXPLORE_LOST_PROMISES};
    (void)state;
    for (size_t i = 0; i < sizeof flaws / sizeof *flaws; i++) {
        struct explore_options options = small(2, 1, 1);
        options.flaw = flaws[i];
        options.unchecked = agreement_alone;
        struct explore_result r = explore_flawed(&options, "Agreement");
        assert_non_null(strstr(r.path, " crashes and comes back\n"));
        explore_result_close(&r);
        options.crashes = 0; /* without, nothing comes of it */
        explore_sound(&options);
    }
}

static void the_way_there_is_a_shortest_one(void **state)
{
    struct explore_options options = small(2, 1, 1);
    (void)state;
    options.flaw = EXPLORE_SAME_INCARNATION;
    struct explore_result r = explore_flawed(&options, "BallotUnique");
    assert_string_equal(r.path, "  1  P1 takes ballot 1.P1\n"
                                "  2  P1 crashes, comes back, and takes ballot 1.P1\n"
                                "  3  ballot 1.P1 was taken before, or is another's\n");
    explore_result_close(&r);

    /* Two ballots are taken, prepared by one acceptor each, and each gets two votes. */
    options.flaw = EXPLORE_SMALL_QUORUM;
    r = explore_flawed(&options, "Agreement");
    assert_non_null(strstr(r.path, "\n 11  slot 1: the value of 1.P1 is chosen at ballot 1.P1, and the value of 1.P2 at "
                                   "ballot 1.P2\n"));
    explore_result_close(&r);
}

/* The acceptors' names hold all the way, though worlds are kept without: of two that vote at a ballot, none does so
 * twice, and who has promised a ballot votes at no lower one. */
static void acceptors_keep_their_names_on_the_way(void **state)
{
    struct explore_options options = small(2, 1, 0);
    (void)state;
    options.flaw = EXPLORE_HIDDEN_VOTES;
    struct explore_result r = explore_flawed(&options, "Agreement");
    int highest[4] = {0}, voted[3][4] = {{0}}, lines = 0;
    for (const char *line = r.path; line != NULL && *line != '\0'; line = strchr(line, '\n') + 1) {
        unsigned acceptor, proposer;
        char what[8];
        lines++;
        if (sscanf(line, " %*d  A%u gets %7s 1.P%u", &acceptor, what, &proposer) != 3)
            continue;
        assert_in_range(acceptor, 1, 3);
        assert_true((int)proposer >= highest[acceptor]);
        highest[acceptor] = (int)proposer;
        if (strcmp(what, "ACCEPT") == 0)
            assert_int_equal(voted[proposer][acceptor]++, 0);
    }
    for (int p = 1; p <= 2; p++)
        assert_int_equal(voted[p][1] + voted[p][2] + voted[p][3], 2);
    assert_int_equal(lines, 15);
    explore_result_close(&r);
}

static void a_learners_way_is_told(void **state)
{
    struct explore_options options = small(2, 1, 0);
    (void)state;
    options.flaw = EXPLORE_CHOSEN_BY_SLOT;
    struct explore_result r = explore_flawed(&options, "Agreement");
    assert_non_null(strstr(r.path, "  a learner gets ACCEPT 1.P1 for slot 1: the value of 1.P1\n"));
    assert_non_null(strstr(r.path, "  a learner gets CHOSEN 1.P2: all slots before 2\n"));
    assert_non_null(strstr(r.path, "  slot 1: a learner releases another value than the chosen one\n"));
    explore_result_close(&r);
}

/* --- the search itself -------------------------------------------------------------------------------------------- */

static void the_same_is_found_every_time(void **state)
{
    struct explore_options options = small(2, 1, 1);
    (void)state;
    struct explore_result a = explore_sound(&options), b = explore_sound(&options);
    assert_true(a.states == b.states && a.transitions == b.transitions && a.depth == b.depth && a.behind == b.behind);
    assert_true(a.boards == b.boards && a.boards_heard == b.boards_heard && a.learnings == b.learnings);
    assert_true(a.part_states == b.part_states && a.part_steps == b.part_steps);
    options.flaw = EXPLORE_LOST_PROMISES;
    options.unchecked = agreement_alone;
    a = explore_flawed(&options, "Agreement");
    b = explore_flawed(&options, "Agreement");
    assert_string_equal(a.path, b.path);
    assert_int_equal(a.transitions, b.transitions);
    explore_result_close(&a);
    explore_result_close(&b);
}

static void note_progress(void *context, const struct explore_progress *progress)
{
    struct explore_progress *last = context;
    assert_true(progress->states >= last->states && progress->depth >= last->depth && progress->waiting > 0);
    *last = *progress;
}

static void it_tells_how_far_it_is(void **state)
{
    struct explore_progress last = {0};
    struct explore_options options = small(3, 1, 1);
    (void)state;
    options.learners = false;
    options.progress = note_progress;
    options.context = &last;
    struct explore_result r = explore_sound(&options);
    assert_true(last.states > 65536 && last.states <= r.states);
    assert_in_range(last.depth, r.depth / 2, r.depth);
}

static void it_gives_up_at_a_limit(void **state)
{
    struct explore_options options = small(2, 2, 1);
    struct explore_result r;
    (void)state;
    options.states_max = 2000;
    assert_false(explore_run(&options, &r));
    assert_false(r.finished);
    assert_null(r.failed);
    assert_in_range(r.states, 2000, 2100);
    explore_result_close(&r);
}

static void what_cannot_be_explored_is_refused(void **state)
{
    struct explore_options options = explore_standard();
    (void)state;
    assert_null(explore_problem(&options));
    options.acceptors = 6;
    assert_non_null(explore_problem(&options));
    options = small(5, 1, 0);
    assert_non_null(explore_problem(&options));
    options = small(1, 0, 0);
    assert_non_null(explore_problem(&options));
    options = small(1, 1, 3);
    assert_non_null(explore_problem(&options));
    options = small(1, 1, 0);
    options.proposers = 0;
    assert_non_null(explore_problem(&options));
    options.proposers = 1;
    options.flaw = EXPLORE_FLAWS;
    assert_non_null(explore_problem(&options));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_are_as_many_states_as_on_paper),
        cmocka_unit_test(a_small_cluster_keeps_all_rules),
        cmocka_unit_test(slots_may_come_one_after_the_other),
        cmocka_unit_test(a_learner_hears_of_two_slots),
        cmocka_unit_test(clusters_of_other_sizes_keep_all_rules),
        cmocka_unit_test(each_check_finds_something),
        cmocka_unit_test(a_change_of_the_configuration),
        cmocka_unit_test(a_boundary_is_looked_at),
        cmocka_unit_test(a_boundary_that_is_not_kept),
        cmocka_unit_test(what_the_search_takes_for_granted_is_checked),
        cmocka_unit_test(what_follows_from_a_mistake_is_found),
        cmocka_unit_test(the_way_there_is_a_shortest_one),
        cmocka_unit_test(acceptors_keep_their_names_on_the_way),
        cmocka_unit_test(a_learners_way_is_told),
        cmocka_unit_test(the_same_is_found_every_time),
        cmocka_unit_test(it_tells_how_far_it_is),
        cmocka_unit_test(it_gives_up_at_a_limit),
        cmocka_unit_test(what_cannot_be_explored_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
