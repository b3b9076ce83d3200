/* host/supervisor.c with a host that is this test, and lives that do nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "host/supervisor.h"

enum { TIMEOUT_US = 1000000 };

struct fixture {
    struct supervisor supervisor;
    uv_loop_t loop;
    struct config config;
    struct node_ports ports;
    struct watch *watch;
    bool cannot_make, cannot_begin, stopping;
    unsigned made, freed, begun, buried;
    struct problem failure;
};

struct life {
    struct node_life life;
    struct fixture *fixture;
    uint64_t allowed;
    bool interrupted;
};

static void life_allow(struct node_life *life, uint64_t turn_timeout) { ((struct life *)life)->allowed = turn_timeout; }

static void life_interrupt(struct node_life *life) { ((struct life *)life)->interrupted = true; }

static void life_free(struct node_life *life)
{
    ((struct life *)life)->fixture->freed++;
    free(life);
}

static bool make_life(void *host, struct node_life **out, struct problem *problem)
{
    static const struct node_life_operations operations = {
        .allow = life_allow, .interrupt = life_interrupt, .free = life_free};
    struct fixture *f = host;
    if (f->cannot_make)
        return problem_set(problem, EXIT_TROUBLE, "no life");
    struct life *made = memory_new(1, sizeof *made);
    made->life.operations = &operations;
    made->life.name = "test";
    made->fixture = f;
    f->made++;
    *out = &made->life;
    return true;
}

static bool begin_life(void *host, struct problem *problem)
{
    struct fixture *f = host;
    f->begun++;
    return !f->cannot_begin || problem_set(problem, EXIT_TROUBLE, "does not begin");
}

static bool may_follow(void *host)
{
    const struct fixture *f = host;
    return !f->stopping && f->failure.exit_code == EXIT_OK;
}

static void on_buried(void *host) { ((struct fixture *)host)->buried++; }

static void on_due(void *host) { (void)host; }

static void on_failure(void *host, const struct problem *problem) { ((struct fixture *)host)->failure = *problem; }

static void on_silence(void *context, unsigned times)
{
    (void)context;
    (void)times;
}

static struct fixture *setup(bool sandboxed)
{
    static const struct supervisor_operations operations = {make_life, begin_life, may_follow,
                                                            on_buried, on_due,     on_failure};
    struct problem problem;
    struct fixture *f = memory_new(1, sizeof *f);
    f->config.restarts_max = 4;
    f->config.restart_backoff = 1;
    f->config.turn_timeout = f->config.ping_timeout = TIMEOUT_US;
    f->config.turn_timeout_max = 3 * TIMEOUT_US;
    node_ports_init(&f->ports, ROLE_COORDINATOR);
    f->ports.logger = logger_new(1, LOG_ERROR);
    uv_loop_init(&f->loop);
    assert_true(watch_start(&f->watch, 3600 * UINT64_C(1000000), on_silence, NULL));
    const struct supervisor_options options = {.operations = &operations,
                                               .host = f,
                                               .config = &f->config,
                                               .node = 1,
                                               .sandboxed = sandboxed,
                                               .ports = &f->ports,
                                               .watch = f->watch,
                                               .loop = &f->loop};
    supervisor_init(&f->supervisor, &options);
    assert_true(make_life(f, &f->supervisor.life, &problem));
    supervisor_begun(&f->supervisor);
    assert_int_equal(f->supervisor.state, LIFE_RECOVERING);
    return f;
}

static void teardown(struct fixture *f)
{
    watch_stop(f->watch);
    supervisor_close(&f->supervisor);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    supervisor_free(&f->supervisor);
    assert_int_equal(f->made, f->freed);
    logger_free(f->ports.logger);
    free(f);
}

static struct life *life_of(struct fixture *f) { return (struct life *)f->supervisor.life; }

static void breaks(struct fixture *f, const char *fault)
{
    struct problem problem;
    problem_set(&problem, EXIT_TROUBLE, "it broke");
    f->supervisor.life->fault = fault;
    supervisor_broke(&f->supervisor, &problem);
    assert_int_equal(f->supervisor.state, LIFE_BROKEN);
}

/* Until the pause before the next life is over: some microseconds. */
static void step(struct fixture *f)
{
    do
        supervisor_step(&f->supervisor);
    while (f->supervisor.state == LIFE_BURIED && may_follow(f));
}

static void test_the_next_takes_over(void **state)
{
    struct fixture *f = setup(true);
    (void)state;
    supervisor_ready(&f->supervisor);
    while (f->supervisor.spare == NULL)
        uv_run(&f->loop, UV_RUN_ONCE);
    const struct node_life *spare = f->supervisor.spare;
    breaks(f, "trap");
    step(f);
    assert_int_equal(f->supervisor.state, LIFE_RECOVERING);
    assert_ptr_equal(f->supervisor.life, spare);
    assert_null(f->supervisor.spare);
    assert_string_equal(f->supervisor.last_fault, "trap");
    assert_int_equal(f->begun, 1);
    assert_int_equal(f->buried, 1);
    assert_int_equal(f->freed, 1);
    supervisor_ready(&f->supervisor);
    assert_int_equal(f->supervisor.state, LIFE_READY);
    assert_true(f->supervisor.restart_us > 0);
    teardown(f);
}

static void test_pauses_and_restarts_are_bounded(void **state)
{
    static const uint64_t pauses[] = {0, 1, 2, 4};
    struct fixture *f = setup(true);
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        breaks(f, NULL);
        step(f);
        assert_int_equal(f->supervisor.state, LIFE_RECOVERING);
        assert_int_equal(f->supervisor.begins_at - f->supervisor.fault_at, pauses[i]);
    }
    breaks(f, NULL);
    step(f);
    assert_int_equal(f->supervisor.state, LIFE_DEAD);
    assert_string_equal(f->failure.text, "it broke (after 4 restarts in a row, of restarts_max 4)");
    assert_string_equal(f->supervisor.last_fault, "error");
    teardown(f);
}

static void test_none_follows(void **state)
{
    (void)state;
    struct fixture *f = setup(false); /* native code */
    breaks(f, NULL);
    step(f);
    assert_int_equal(f->supervisor.state, LIFE_DEAD);
    assert_string_equal(f->failure.text, "it broke");
    teardown(f);
    f = setup(true);
    f->stopping = true;
    breaks(f, NULL);
    step(f);
    assert_int_equal(f->supervisor.state, LIFE_DEAD);
    teardown(f);
    f = setup(true);
    f->ports.exit_code = EXIT_DIVERGED; /* a part has said so */
    breaks(f, NULL);
    step(f);
    assert_int_equal(f->supervisor.state, LIFE_DEAD);
    assert_int_equal(f->failure.exit_code, EXIT_DIVERGED);
    teardown(f);
}

static void test_asked_to_stop_between_two_lives(void **state)
{
    struct fixture *f = setup(true);
    (void)state;
    f->config.restart_backoff = 3600 * UINT64_C(1000000);
    breaks(f, NULL);
    step(f);
    breaks(f, NULL);
    supervisor_step(&f->supervisor);
    assert_int_equal(f->supervisor.state, LIFE_BURIED);
    assert_null(f->supervisor.life);
    f->stopping = true;
    f->supervisor.begins_at = 0;
    supervisor_step(&f->supervisor);
    assert_int_equal(f->supervisor.state, LIFE_BURIED);
    teardown(f);
}

static void test_a_next_one_that_cannot_begin(void **state)
{
    struct fixture *f = setup(true);
    (void)state;
    f->cannot_begin = true;
    breaks(f, NULL);
    supervisor_step(&f->supervisor);
    assert_int_equal(f->supervisor.state, LIFE_BROKEN);
    f->cannot_begin = false;
    step(f);
    assert_int_equal(f->supervisor.state, LIFE_RECOVERING);
    assert_int_equal(f->supervisor.in_row, 2);
    f->cannot_make = true;
    breaks(f, NULL);
    step(f);
    assert_int_equal(f->supervisor.state, LIFE_BURIED);
    assert_string_equal(f->failure.text, "no life");
    teardown(f);
}

static void test_a_life_that_needed_more_time(void **state)
{
    static const uint64_t allowed[] = {2 * TIMEOUT_US, 3 * TIMEOUT_US, 3 * TIMEOUT_US};
    struct fixture *f = setup(true);
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        breaks(f, "deadline");
        step(f);
        assert_int_equal(life_of(f)->allowed, allowed[i]);
    }
    teardown(f);
}

static void test_a_life_that_is_silent(void **state)
{
    struct fixture *f = setup(true);
    (void)state;
    supervisor_interrupt_hung(&f->supervisor);
    assert_true(life_of(f)->interrupted);
    breaks(f, "interrupted");
    step(f);
    assert_string_equal(f->supervisor.last_fault, "hung");
    assert_int_equal(life_of(f)->allowed, 2 * TIMEOUT_US);
    assert_false(life_of(f)->interrupted);
    teardown(f);
}

static void test_a_crash_that_was_asked_for(void **state)
{
    struct fixture *f = setup(true);
    struct config_crash crashes[] = {{1, 10}, {2, 1}};
    (void)state;
    free(f->supervisor.crashed);
    f->supervisor.crashed = memory_new(2, sizeof *f->supervisor.crashed);
    f->config.crashes = crashes;
    f->config.crash_count = 2;
    f->ports.slot = 9;
    supervisor_look_for_crash(&f->supervisor);
    assert_false(f->ports.crash);
    f->ports.slot = 10;
    supervisor_look_for_crash(&f->supervisor);
    assert_true(f->ports.crash);
    breaks(f, "trap");
    step(f);
    assert_string_equal(f->supervisor.last_fault, "crash");
    supervisor_look_for_crash(&f->supervisor);
    assert_false(f->ports.crash); /* once */
    teardown(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_next_takes_over),
        cmocka_unit_test(test_pauses_and_restarts_are_bounded),
        cmocka_unit_test(test_none_follows),
        cmocka_unit_test(test_asked_to_stop_between_two_lives),
        cmocka_unit_test(test_a_next_one_that_cannot_begin),
        cmocka_unit_test(test_a_life_that_needed_more_time),
        cmocka_unit_test(test_a_life_that_is_silent),
        cmocka_unit_test(test_a_crash_that_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
