/* core/agents/progress.c: what a proposer knows of how far the learners have come. */
#include "core/agents/progress.h"

#include "core/agents/configurations.h"
#include "tests/unit/protocol.h"

static struct configurations three_learners(void)
{
    struct configurations c;
    const struct node_config config = three_nodes(1);
    configurations_init(&c, &config);
    return c;
}

static void a_majority_counts(void **state)
{
    (void)state;
    const struct configurations c = three_learners();
    struct progress p;
    progress_init(&p, &c);
    assert_int_equal(progress_settled(&p), 1);
    progress_heard(&p, 1, 100, 90);
    assert_int_equal(progress_settled(&p), 1);
    progress_heard(&p, 2, 80, 70);
    assert_true(progress_settled(&p) == 70 && progress_executed(&p) == 80);
    progress_heard(&p, 2, 60, 50); /* its latest word */
    assert_true(progress_settled(&p) == 50 && progress_executed(&p) == 60);
    progress_heard(&p, 4, 200, 200); /* no learner */
    assert_int_equal(progress_executed_anywhere(&p), 100);
}

/* What a learner says of time counts for the leader of whom it has executed something: its own, or what a majority says. */
static void time_is_that_of_a_leader(void **state)
{
    (void)state;
    const struct configurations c = three_learners();
    const struct ballot leader = {7, 1, 1}, earlier = {6, 2, 1};
    struct progress p;
    uint64_t elapsed;
    progress_init(&p, &c);
    progress_moment(&p, 1, (struct stamp){{5000, 0}, leader}, UINT64_MAX);
    progress_moment(&p, 2, (struct stamp){{9000, 0}, earlier}, UINT64_MAX);
    assert_true(progress_elapsed(&p, 1, leader, &elapsed) && elapsed == 5000);
    assert_false(progress_elapsed(&p, 3, leader, &elapsed));
    progress_moment(&p, 3, (struct stamp){{6000, 0}, leader}, UINT64_MAX);
    assert_true(progress_elapsed(&p, 8, leader, &elapsed) && elapsed == 5000); /* node 8 has no learner */
    assert_true(progress_elapsed(&p, 3, leader, &elapsed) && elapsed == 6000);
    assert_false(progress_elapsed(&p, 3, (struct ballot){7, 1, 2}, &elapsed));
}

/* P11: what the disk of a learner had counts no more when another one has taken its place. */
static void a_disk_that_was_lost_holds_nothing(void **state)
{
    (void)state;
    const struct configurations c = three_learners();
    struct progress p;
    progress_init(&p, &c);
    for (uint32_t learner = 1; learner <= 2; learner++) {
        progress_heard(&p, learner, 100, 100);
        progress_moment(&p, learner, (struct stamp){{5000, 0}, {7, 1, 1}}, UINT64_MAX);
    }
    uint64_t elapsed;
    assert_true(progress_settled(&p) == 100 && progress_executed(&p) == 100);
    assert_true(progress_elapsed(&p, 3, (struct ballot){7, 1, 1}, &elapsed) && elapsed == 5000);
    progress_configure(&p, &c, node_set_of(2));
    assert_int_equal(progress_settled(&p), 1);
    assert_int_equal(progress_executed(&p), 1);
    assert_false(progress_elapsed(&p, 3, (struct ballot){7, 1, 1}, &elapsed));
    progress_heard(&p, 2, 100, 100);
    assert_int_equal(progress_settled(&p), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_majority_counts),
        cmocka_unit_test(time_is_that_of_a_leader),
        cmocka_unit_test(a_disk_that_was_lost_holds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
