/* host/faults.c: what clients order, and which part gets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/faults.h"

enum { PROPOSER = 1, STICKY = 5, HIGHEST = 6, RUNNER = 13 };

static void a_node_of_whole_parts_takes_no_orders(void **state)
{
    struct faults f = {0};
    (void)state;
    assert_non_null(faults_order(&f, "proposer", "trap"));
    assert_int_equal(faults_next(&f, PROPOSER), FAULT_NONE); /* now it is known to be made of the others */
    assert_null(faults_order(&f, "proposer", "trap"));
}

static void the_part_that_is_meant_breaks_once(void **state)
{
    struct faults f = {.asked = true};
    (void)state;
    assert_null(faults_order(&f, "RUNNER", "Loop"));
    assert_int_equal(faults_next(&f, PROPOSER), FAULT_NONE);
    assert_int_equal(faults_next(&f, 0), FAULT_NONE);
    assert_int_equal(faults_next(&f, RUNNER), FAULT_LOOP);
    assert_int_equal(faults_next(&f, RUNNER), FAULT_NONE);
}

static void any_is_each_in_turn(void **state)
{
    struct faults f = {.asked = true};
    (void)state;
    for (size_t round = 0; round < 3; round++)
        for (uint64_t part = PROPOSER; part <= RUNNER; part++) {
            if (part == STICKY || part == HIGHEST) /* a leader calls neither */
                continue;
            assert_null(faults_order(&f, "any", "memory"));
            assert_int_equal(faults_next(&f, part), FAULT_TAKE_MEMORY);
        }
}

static void what_is_not_known_is_refused(void **state)
{
    struct faults f = {.asked = true};
    (void)state;
    assert_string_equal(faults_order(&f, "acceptor", "fire"), "a fault is one of: trap, loop, memory");
    assert_string_equal(faults_order(&f, "", "trap"), "there is no part of that name");
    assert_string_equal(faults_order(&f, "wasi-loop", "trap"), "there is no part of that name");
    assert_int_equal(f.part, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_of_whole_parts_takes_no_orders),
        cmocka_unit_test(the_part_that_is_meant_breaks_once),
        cmocka_unit_test(any_is_each_in_turn),
        cmocka_unit_test(what_is_not_known_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
