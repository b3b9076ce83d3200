/* core/agents/agreement.c: P13, who stops when states differ. */
#include "core/agents/agreement.h"

#include "tests/unit/protocol.h"

static struct agreement of_learners(node_set learners)
{
    struct node_config config = three_nodes(1);
    struct agreement a;
    config.learners = learners;
    agreement_init(&a, &config, AGREEMENT_INTERVAL, 0);
    return a;
}

/* So much time passes that a doubt would end, and one step less. */
static void wait_for_long(struct agreement *a)
{
    for (int i = 1; i < AGREEMENT_PATIENCE; i++)
        agreement_wait(a, a->judged_at + a->interval);
}

/* This learner executes all slots below `executed`; the hash before slot s is s. */
static void execute(struct agreement *a, uint64_t executed)
{
    for (uint64_t s = a->last.slot + 1; s <= executed; s++)
        agreement_executed(a, s, s);
}

static void equal_states_agree(void **state)
{
    struct agreement a = of_learners(0xe);
    (void)state;
    execute(&a, 1000);
    assert_int_equal(a.last.slot, 960);
    assert_int_equal(a.last.hash, 960);
    for (uint64_t slot = 64; slot <= 960; slot += 64) {
        agreement_heard(&a, 2, slot, slot);
        agreement_heard(&a, 3, slot, slot);
    }
    assert_int_equal(a.state, AGREEMENT_HOLDS);
}

static void who_is_with_a_majority_goes_on(void **state)
{
    struct agreement a = of_learners(0xe);
    (void)state;
    execute(&a, 200);
    agreement_heard(&a, 3, 128, 128);
    agreement_heard(&a, 2, 128, 7);
    assert_int_equal(a.state, AGREEMENT_HOLDS);
}

static void who_hears_of_another_state_first_is_in_doubt(void **state)
{
    struct agreement a = of_learners(0xe);
    (void)state;
    execute(&a, 200);
    agreement_heard(&a, 3, 64, 64); /* that was before */
    agreement_heard(&a, 2, 128, 7);
    assert_int_equal(a.state, AGREEMENT_DOUBTED);
    assert_int_equal(agreement_wake_at(&a), a.judged_at + a.interval);
    wait_for_long(&a);
    assert_int_equal(a.state, AGREEMENT_DOUBTED);
    agreement_heard(&a, 3, 128, 128);
    assert_int_equal(a.state, AGREEMENT_HOLDS);
    assert_int_equal(agreement_wake_at(&a), UINT64_MAX);
}

static void a_doubt_ends(void **state)
{
    struct agreement a = of_learners(0xe);
    (void)state;
    execute(&a, 200);
    agreement_heard(&a, 2, 128, 7); /* the third one may have stopped, and had a third state */
    wait_for_long(&a);
    agreement_wait(&a, a.judged_at + 100 * a.interval); /* a clock that jumps counts as one interval */
    assert_int_equal(a.state, AGREEMENT_LOST);
    assert_int_equal(a.lost_at, 128);
    agreement_heard(&a, 3, 192, 192);
    assert_int_equal(a.state, AGREEMENT_LOST);
}

/* A doubt that was settled does not shorten the next one. */
static void each_doubt_lasts_as_long(void **state)
{
    struct agreement a = of_learners(0xe);
    (void)state;
    execute(&a, 500);
    agreement_heard(&a, 2, 128, 7);
    wait_for_long(&a);
    agreement_heard(&a, 3, 128, 128);
    agreement_heard(&a, 2, 192, 192);
    agreement_heard(&a, 2, 256, 7);
    assert_int_equal(a.state, AGREEMENT_DOUBTED);
    wait_for_long(&a);
    assert_int_equal(a.state, AGREEMENT_DOUBTED);
}

/* Snapshots are 64 slots apart, and a slow learner tells of each when the next one is taken here. */
static void a_slow_one_is_heard(void **state)
{
    struct node_config config = three_nodes(1);
    struct agreement a;
    (void)state;
    config.learners = 0xe;
    agreement_init(&a, &config, 1, 0);
    agreement_executed(&a, 64, 1);
    agreement_heard(&a, 2, 64, 7);
    assert_int_equal(a.state, AGREEMENT_DOUBTED);
    agreement_executed(&a, 128, 2);
    agreement_heard(&a, 3, 64, 1);
    assert_int_equal(a.state, AGREEMENT_HOLDS);
}

/* This learner is slow itself, and leaves out one of the snapshots of which the other one has told. */
static void what_a_fast_one_said_is_kept(void **state)
{
    struct node_config config = three_nodes(1);
    struct agreement a;
    (void)state;
    config.learners = 0xe;
    agreement_init(&a, &config, 1, 0);
    agreement_executed(&a, 10, 1);
    for (uint64_t slot = 20; slot <= 100; slot += 10)
        agreement_heard(&a, 3, slot, slot);
    agreement_heard(&a, 2, 30, 7);
    agreement_executed(&a, 30, 30);
    assert_int_equal(a.state, AGREEMENT_HOLDS);
    assert_int_equal(a.peers[3].equal_at, 30);
    agreement_executed(&a, 50, 50);
    assert_int_equal(a.peers[3].equal_at, 50);
    agreement_executed(&a, 70, 70); /* that was one too many */
    assert_int_equal(a.peers[3].equal_at, 50);
}

static void who_differs_from_a_majority_stops(void **state)
{
    struct agreement a = of_learners(0xe);
    (void)state;
    execute(&a, 200);
    agreement_heard(&a, 2, 192, 7);
    agreement_heard(&a, 3, 128, 7); /* at another slot: a learner that differs there differs at all later ones */
    assert_int_equal(a.state, AGREEMENT_LOST);
    assert_int_equal(a.lost_at, 128);
}

static void without_a_majority_all_stop(void **state)
{
    struct agreement two = of_learners(0x6), five = of_learners(0x3e);
    (void)state;
    execute(&two, 64);
    agreement_heard(&two, 2, 64, 7);
    assert_int_equal(two.state, AGREEMENT_LOST);
    execute(&five, 64); /* 1 and 2 agree, 3 and 4 agree, 5 is alone */
    agreement_heard(&five, 2, 64, 64);
    agreement_heard(&five, 3, 64, 7);
    agreement_heard(&five, 4, 64, 7);
    assert_int_equal(five.state, AGREEMENT_DOUBTED);
    agreement_heard(&five, 5, 64, 8);
    assert_int_equal(five.state, AGREEMENT_LOST);
}

static void one_learner_alone_never_stops(void **state)
{
    struct agreement a = of_learners(0x2);
    (void)state;
    execute(&a, 64);
    agreement_heard(&a, 1, 64, 7);
    agreement_heard(&a, 2, 64, 7);
    assert_int_equal(a.state, AGREEMENT_HOLDS);
}

static void words_about_slots_ahead_wait(void **state)
{
    struct agreement a = of_learners(0xe);
    (void)state;
    agreement_heard(&a, 2, 128, 7);
    agreement_heard(&a, 2, 192, 7); /* the earlier one is kept: it will be reached */
    agreement_heard(&a, 3, 64, 64);
    execute(&a, 64);
    agreement_heard(&a, 3, 128, 7);
    execute(&a, 127);
    assert_int_equal(a.state, AGREEMENT_HOLDS);
    execute(&a, 128);
    assert_int_equal(a.state, AGREEMENT_LOST);
    assert_int_equal(a.lost_at, 128);
}

static void a_learner_that_was_started_again_may_agree_again(void **state)
{
    struct agreement a = of_learners(0xe);
    (void)state;
    execute(&a, 300);
    agreement_heard(&a, 2, 128, 7);
    agreement_heard(&a, 2, 64, 64); /* an old message is no reason */
    assert_int_equal(a.peers[2].differs_from, 128);
    agreement_heard(&a, 2, 256, 256);
    agreement_heard(&a, 3, 256, 7);
    assert_int_equal(a.state, AGREEMENT_HOLDS);
}

static void nonsense_is_ignored(void **state)
{
    struct agreement a = of_learners(0xe);
    (void)state;
    execute(&a, 100000);
    agreement_heard(&a, 2, 0, 7);
    agreement_heard(&a, 2, 65, 7);
    agreement_heard(&a, 2, 64, 7); /* so long ago that the own hash is forgotten */
    agreement_heard(&a, 9, 99968, 7);
    agreement_heard(&a, UINT32_MAX, 99968, 7);
    assert_int_equal(a.state, AGREEMENT_HOLDS);
}

/* ---- All of them together ----
 *
 * Learners that execute, tell each other their hashes over a network that loses messages, stop and start. Each has a kind of
 * state:
 * from some slot on, learners of one kind have the same hash, and of two kinds different ones. */

enum { LEARNERS_MAX = 5, ROUNDS = 400, SLOTS = 40 };

struct learners {
    uint32_t count;
    uint32_t kind[LEARNERS_MAX + 1]; /* by node */
    uint64_t differ_from;            /* the first slot before which kinds differ */
    struct agreement of[LEARNERS_MAX + 1];
    uint64_t executed[LEARNERS_MAX + 1];
    node_set running; /* were started, and have not stopped themselves */
    uint64_t dice;
};

static uint32_t roll(struct learners *all, uint32_t sides)
{
    all->dice = all->dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(all->dice >> 33) % sides;
}

static uint64_t hash_of(const struct learners *all, uint32_t node, uint64_t slot)
{
    return slot * 8 + (slot >= all->differ_from ? all->kind[node] : 0);
}

static void boot(struct learners *all, uint32_t node)
{
    struct node_config config = three_nodes(node);
    config.learners = (UINT64_C(2) << all->count) - 2;
    agreement_init(&all->of[node], &config, AGREEMENT_INTERVAL, 0);
    all->executed[node] = 0;
}

static void go_on(struct learners *all, uint32_t node, uint64_t slots)
{
    for (uint64_t to = all->executed[node] + slots; all->executed[node] < to; all->executed[node]++)
        agreement_executed(&all->of[node], all->executed[node] + 1, hash_of(all, node, all->executed[node] + 1));
}

/* Some words are lost, except the last one. */
static void speak(struct learners *all, uint32_t node)
{
    struct state_at last = all->of[node].last;
    bool is_last = all->of[node].state == AGREEMENT_LOST;
    for (uint32_t other = 1; other <= all->count; other++)
        if (node_set_has(all->running, other) && (is_last || roll(all, 100) < 60))
            agreement_heard(&all->of[other], node, last.slot, last.hash);
}

static uint32_t of_kind(const struct learners *all, uint32_t kind, node_set among)
{
    uint32_t count = 0;
    for (uint32_t node = 1; node <= all->count; node++)
        count += node_set_has(among, node) && all->kind[node] == kind;
    return count;
}

/* `there` are started; of them, those in `leave` end when all have said much, for whatever reason. Now and then one is
 * started again, on what it has: if `forgetful` also when states differ by then, and it no longer knows what the others
 * said. */
static void run(struct learners *all, node_set there, node_set leave, bool forgetful)
{
    all->running = there;
    all->differ_from = 1 + roll(all, 20 * SLOTS);
    for (uint32_t node = 1; node <= all->count; node++)
        boot(all, node);
    for (int round = 0; round < ROUNDS; round++) {
        if (round == ROUNDS / 4)
            all->running &= ~leave;
        uint32_t again = 1 + roll(all, all->count);
        bool early = (uint64_t)round * SLOTS + SLOTS < all->differ_from;
        if (round < ROUNDS / 2 && (early || forgetful) && roll(all, 20) == 0 && node_set_has(all->running, again)) {
            uint64_t executed = all->executed[again];
            boot(all, again);
            go_on(all, again, executed);
        }
        for (uint32_t node = 1; node <= all->count; node++) {
            if (!node_set_has(all->running, node))
                continue;
            uint64_t to = round < ROUNDS / 2 ? (uint64_t)round * SLOTS + roll(all, SLOTS) : ROUNDS / 2 * SLOTS;
            go_on(all, node, to - all->executed[node]);
            agreement_wait(&all->of[node], (uint64_t)round * all->of[node].interval);
            speak(all, node);
            if (all->of[node].state == AGREEMENT_LOST)
                all->running &= ~node_set_of(node);
        }
    }
}

/* Of two kinds no more than one goes on, and that one has a majority, unless no other kind was heard. A majority that stays
 * goes on. */
static void check(struct learners *all, node_set there, node_set leave)
{
    bool forgetful = roll(all, 2) == 0;
    node_set everybody = (UINT64_C(2) << all->count) - 2;
    uint32_t majority = all->count / 2 + 1;
    run(all, there, leave, forgetful);
    for (uint32_t node = 1; node <= all->count; node++) {
        uint32_t kind = all->kind[node];
        bool stays = node_set_has(there & ~leave, node), goes_on = node_set_has(all->running, node);
        if (goes_on)
            assert_int_equal(of_kind(all, kind, all->running), node_set_count(all->running));
        if (goes_on && of_kind(all, kind, everybody) < majority && !forgetful)
            assert_int_equal(of_kind(all, kind, there), node_set_count(there));
        if (stays && of_kind(all, kind, there & ~leave) >= majority)
            assert_true(goes_on && all->of[node].state == AGREEMENT_HOLDS);
    }
}

/* The next way to divide learners into kinds, in the order of 000, 001, 010, 011, 012; false: that was the last one. */
static bool next_kinds(struct learners *all)
{
    for (uint32_t node = all->count; node > 1; node--) {
        uint32_t most = 0;
        for (uint32_t before = 1; before < node; before++)
            most = all->kind[before] > most ? all->kind[before] : most;
        if (all->kind[node] <= most) {
            all->kind[node]++;
            return true;
        }
        all->kind[node] = 0;
    }
    return false;
}

static void all_ways_to_differ(uint32_t count)
{
    struct learners all = {.count = count, .dice = count};
    do {
        for (node_set there = 2; there < UINT64_C(2) << count; there += 2)
            for (node_set leave = 0; leave < UINT64_C(2) << count; leave += 2)
                if ((leave & ~there) == 0)
                    check(&all, there, leave);
    } while (next_kinds(&all));
}

static void two_learners(void **state)
{
    (void)state;
    all_ways_to_differ(2);
}

static void three_learners(void **state)
{
    (void)state;
    all_ways_to_differ(3);
}

static void four_learners(void **state)
{
    (void)state;
    all_ways_to_differ(4);
}

static void five_learners(void **state)
{
    (void)state;
    all_ways_to_differ(5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_states_agree),
        cmocka_unit_test(who_is_with_a_majority_goes_on),
        cmocka_unit_test(who_hears_of_another_state_first_is_in_doubt),
        cmocka_unit_test(a_doubt_ends),
        cmocka_unit_test(each_doubt_lasts_as_long),
        cmocka_unit_test(a_slow_one_is_heard),
        cmocka_unit_test(what_a_fast_one_said_is_kept),
        cmocka_unit_test(who_differs_from_a_majority_stops),
        cmocka_unit_test(without_a_majority_all_stop),
        cmocka_unit_test(one_learner_alone_never_stops),
        cmocka_unit_test(words_about_slots_ahead_wait),
        cmocka_unit_test(a_learner_that_was_started_again_may_agree_again),
        cmocka_unit_test(nonsense_is_ignored),
        cmocka_unit_test(two_learners),
        cmocka_unit_test(three_learners),
        cmocka_unit_test(four_learners),
        cmocka_unit_test(five_learners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
