#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/agents/execution.h"
#include "core/base/memory.h"
#include "sim/reference.h"

enum { BATCHES = 40 };

/* Some commands with replies of all sizes, as many as there may be room for and more. */
static struct payload batch_of(struct batch_builder *b, uint64_t number)
{
    static uint8_t text[300];
    static const char *const keys[] = {"a", "b", "c"};
    struct bytes args[3] = {{(uint8_t *)(uintptr_t)"GET", 3}, {NULL, 1}, {text, sizeof text}};
    batch_begin(b);
    for (uint64_t i = 0; i < 1 + number % 9; i++) {
        const bool sets = (number + i) % 5 == 0, counts = (number + i) % 7 == 0;
        args[0].ptr = (uint8_t *)(uintptr_t)(sets ? "SET" : counts ? "INCR" : "GET");
        args[0].len = counts && !sets ? 4 : 3;
        args[1].ptr = (uint8_t *)(uintptr_t)keys[counts ? 2 : i % 2];
        batch_add(b, args, sets ? 3 : 2);
    }
    struct payload value = batch_end(b);
    batch_header_stamp(&value, (struct batch_id){1, 1, number}, 0);
    batch_seed_stamp(&value, (struct seed){7, 8});
    return value;
}

/* In whatever pieces a learner executes, it comes to what the reference does; and not with other governed limits. */
static void learners_come_to_the_same(void **state)
{
    static const struct node_config configs[] = {
        {.limits = {.replies_bytes = 2000}, .state_bytes_max = 1000},
        {.limits = {.replies_bytes = 2000, .step_work = 1, .apply = 1}, .state_bytes_max = 1000},
        {.limits = {.replies_bytes = 2000, .step_work = 90, .apply_bytes = 100}, .state_bytes_max = 1000},
        {.limits = {.replies_bytes = 2000, .call_work = 1}, .state_bytes_max = 1000},
        {.limits = {.replies_bytes = 9000}, .state_bytes_max = 1000},
        {.limits = {.replies_bytes = 2000}, .state_bytes_max = 200},
    };
    (void)state;
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        struct batch_builder b = {0};
        struct execution x;
        struct executed done;
        struct reference *r = reference_new(&configs[0]);
        uint64_t hash = 0;
        execution_init(&x, &configs[i]);
        for (uint64_t number = 1; number <= BATCHES; number++) {
            const struct entry e = {.slot = number, .kind = ENTRY_COMMANDS, .value = batch_of(&b, number)};
            execution_add(&x, &e, 1);
            while (!execution_run(&x, &done))
                execution_begin(&x);
            execution_begin(&x);
            hash = reference_execute(r, e.slot, &e.value, 0);
        }
        assert_true((x.state_hash == hash) == (i < 4));
        execution_close(&x);
        reference_free(r);
        batch_builder_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(learners_come_to_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
