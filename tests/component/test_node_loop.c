/* Nodes that bring their own loop (`run` of host/node_life.h), and the deadlines of all nodes in the sandbox: a guest waits
 * for the host's own loop, is not cut off for waiting, and is ended when it computes too long or is interrupted. The
 * argument is the folder with loop-guest.wasm. */
#include "tests/component/life_fixture.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>

enum { WAKES = 200 };

static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    struct fixture *f = *state;
    f->loop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return f->loop_fd >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int fd = f->loop_fd;
    f->life->operations->free(f->life);
    f->life = NULL;
    assert_int_equal(eventfd_write(fd, 1), 0); /* it is still ours, and open */
    close(fd);
    return fixture_teardown(state);
}

static uint64_t clock_us(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void begin(struct fixture *f, enum loop_order order)
{
    struct problem problem;
    f->settings.kind = order;
    if (!fixture_begin(f, "loop-guest", NULL, &problem))
        fail_msg("%s", problem.text);
    assert_null(f->life->operations->turn);
}

static void expect_end(struct fixture *f, enum loop_order order)
{
    struct problem problem;
    begin(f, order);
    if (!f->life->operations->run(f->life, &problem))
        fail_msg("%s", problem.text);
    assert_null(f->life->fault);
}

/* Of the life that has been made. */
static void run_to_fault(struct fixture *f, const char *fault, const char *text)
{
    struct problem problem;
    assert_false(f->life->operations->run(f->life, &problem));
    assert_string_equal(f->life->fault, fault);
    if (strstr(problem.text, text) == NULL)
        fail_msg("\"%s\" is not in: %s", text, problem.text);
    assert_null(strchr(problem.text, '\n'));
    assert_int_equal(problem.exit_code, f->failed != 0 ? (int)f->failed : EXIT_TROUBLE);
}

static void expect_fault(struct fixture *f, enum loop_order order, const char *fault, const char *text)
{
    begin(f, order);
    run_to_fault(f, fault, text);
}

/* ---- Waiting ---- */

/* From the first call of the host's loop on. */
static void *wake(void *context)
{
    struct fixture *f = context;
    while (f->loops == 0)
        usleep(1000);
    for (int i = 0; i < WAKES; i++) {
        usleep(1000);
        assert_int_equal(eventfd_write(f->loop_fd, 1), 0);
    }
    return NULL;
}

static uint64_t wait_began[2], waited[2]; /* processor's time of the thread, and time */

/* Counts the wakes that have come; 0 when these were all. The first call comes before anything is waited for. */
static uint64_t take_wakes(struct fixture *f)
{
    static const clockid_t clocks[2] = {CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC};
    eventfd_t more = 0;
    eventfd_read(f->loop_fd, &more);
    f->settings.id += more;
    for (int i = 0; i < 2; i++)
        if (f->loops == 1)
            wait_began[i] = clock_us(clocks[i]);
        else
            waited[i] = clock_us(clocks[i]) - wait_began[i];
    return f->settings.id < WAKES;
}

/* It wakes when, and only when, the host has something to do, also when that was before it waited. */
static void test_waits_for_host(void **state)
{
    struct fixture *f = *state;
    pthread_t waker;
    f->loop_run = take_wakes;
    assert_int_equal(pthread_create(&waker, NULL, wake, f), 0);
    expect_end(f, LOOP_UNTIL_ZERO);
    pthread_join(waker, NULL);
    assert_int_equal(f->settings.id, WAKES);
    assert_in_range(f->loops, 2, WAKES + 1);
    if (waited[0] > waited[1] / 2)
        fail_msg("it was busy while it waited: %u us of %u us", (unsigned)waited[0], (unsigned)waited[1]);
}

/* A pollable is made and dropped 100000 times, which registers nothing again and leaves nothing. */
static void test_asking_is_cheap(void **state)
{
    struct fixture *f = *state;
    enum { MIB = 1 << 20 };
    size_t used = mallinfo2().uordblks;
    uint64_t began = clock_us(CLOCK_THREAD_CPUTIME_ID);
    expect_end(f, LOOP_NO_WAIT);
    assert_in_range(clock_us(CLOCK_THREAD_CPUTIME_ID) - began, 1, 10 * 1000 * 1000);
    assert_in_range(mallinfo2().uordblks, 0, used + 4 * MIB); /* the life is there still, with all that it has */
}

static void test_waiting_is_not_computing(void **state)
{
    struct fixture *f = *state;
    uint64_t began = clock_us(CLOCK_MONOTONIC);
    expect_end(f, LOOP_WAIT);
    assert_in_range(clock_us(CLOCK_MONOTONIC) - began, 4 * TURN_TIMEOUT_US, UINT64_MAX);
}

/* ---- Computing ---- */

/* Keeps the processors busy, so that the guest gets only a part of its thread's time. */
static void *load(void *stop)
{
    while (!atomic_load((atomic_bool *)stop))
        continue;
    return NULL;
}

static uint64_t note_computed(struct fixture *f)
{
    f->settings.id = clock_us(CLOCK_THREAD_CPUTIME_ID);
    return 1;
}

/* Measured in computing, which begins when the host's loop has run. A tick is a quarter of the time that it has. */
static void test_deadline(void **state)
{
    enum { LOADS = 4 };
    struct fixture *f = *state;
    pthread_t loads[LOADS];
    atomic_bool stop = false;
    for (int i = 0; i < LOADS; i++)
        assert_int_equal(pthread_create(&loads[i], NULL, load, &stop), 0);
    f->loop_run = note_computed;
    expect_fault(f, LOOP_COMPUTE, "deadline", "took longer than 100 ms (turn_timeout_ms)");
    uint64_t computed = clock_us(CLOCK_THREAD_CPUTIME_ID) - f->settings.id;
    atomic_store(&stop, true);
    for (int i = 0; i < LOADS; i++)
        pthread_join(loads[i], NULL);
    assert_in_range(computed, TURN_TIMEOUT_US, 2 * TURN_TIMEOUT_US);
}

static void *interrupt(void *context)
{
    struct fixture *f = context;
    usleep(3 * TURN_TIMEOUT_US);
    f->life->operations->interrupt(f->life);
    return NULL;
}

static void interrupted(struct fixture *f, enum loop_order order, uint64_t within)
{
    pthread_t interrupter;
    begin(f, order);
    uint64_t began = clock_us(CLOCK_MONOTONIC);
    assert_int_equal(pthread_create(&interrupter, NULL, interrupt, f), 0);
    run_to_fault(f, "interrupted", "was interrupted");
    assert_in_range(clock_us(CLOCK_MONOTONIC) - began, 3 * TURN_TIMEOUT_US, 3 * TURN_TIMEOUT_US + within);
    pthread_join(interrupter, NULL);
}

/* At the beginning, when data folders are opened, more computing is allowed; an interruption ends that, too. */
static void test_interrupt_computing(void **state) { interrupted(*state, LOOP_COMPUTE_FIRST, 5000 * 1000); }
static void test_interrupt_waiting(void **state) { interrupted(*state, LOOP_WAIT_ON, 5000 * 1000); }

static uint64_t interrupt_from_within(struct fixture *f)
{
    f->life->operations->interrupt(f->life);
    return 1;
}

static void test_interrupt_from_host_loop(void **state)
{
    struct fixture *f = *state;
    f->loop_run = interrupt_from_within;
    expect_fault(f, LOOP_UNTIL_ZERO, "interrupted", "was interrupted");
    assert_int_equal(f->loops, 1);
}

/* ---- The end, and what it is told ---- */

static void test_fails(void **state) { expect_fault(*state, LOOP_FAIL, "error", "it says that it failed"); }

static void test_cannot_go_on(void **state)
{
    struct fixture *f = *state;
    expect_fault(f, LOOP_CANNOT_GO_ON, "failed", "it cannot go on");
    assert_int_equal(f->failed, 4);
}

static void test_identity(void **state)
{
    struct fixture *f = *state;
    f->origin = (struct frame_origin){.cluster = 77, .instance = {1, [8] = 2}, .sender = 5, .incarnation = 7, .nonce = 11};
    expect_end(f, LOOP_IDENTITY);
}

static void test_bad_peer(void **state) { expect_fault(*state, LOOP_BAD_PEER, "error", "identity.accept-peer wants"); }

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_waits_for_host, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asking_is_cheap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiting_is_not_computing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interrupt_computing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interrupt_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interrupt_from_host_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cannot_go_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_peer, setup, teardown),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    fixture_folder = argv[1];
    fixture_keep_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
