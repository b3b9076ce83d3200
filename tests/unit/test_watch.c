/* host/watch.c: silence is noticed, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "host/watch.h"

enum { TIMEOUT_US = 40000 };

struct heard {
    _Atomic unsigned calls, last;
    _Atomic uint64_t first_at; /* microseconds */
};

static uint64_t now(void) { return uv_hrtime() / 1000; }

static void on_silence(void *context, unsigned times)
{
    struct heard *heard = context;
    if (times == 1)
        atomic_store(&heard->first_at, now());
    atomic_store(&heard->last, times);
    atomic_fetch_add(&heard->calls, 1);
}

static struct watch *start(struct heard *heard)
{
    struct watch *w;
    assert_true(watch_start(&w, TIMEOUT_US, on_silence, heard));
    assert_int_equal(watch_interval(w), TIMEOUT_US / 4);
    return w;
}

static void test_silence_is_told_again_and_again(void **state)
{
    (void)state;
    struct heard heard = {0};
    struct watch *w = start(&heard);
    uint64_t began = now();
    watch_expect(w, true);
    while (atomic_load(&heard.last) < 3)
        usleep(1000);
    assert_true(atomic_load(&heard.first_at) - began >= TIMEOUT_US);
    assert_true(atomic_load(&heard.calls) >= 3);
    uint64_t first_at = atomic_load(&heard.first_at);
    watch_sign(w); /* the count begins anew */
    while (atomic_load(&heard.first_at) == first_at)
        usleep(1000);
    watch_stop(w);
}

/* A sign may come forty times later than it does here before it is missed. */
static void test_signs_keep_it_quiet(void **state)
{
    (void)state;
    struct heard heard = {0};
    struct watch *w;
    assert_true(watch_start(&w, 10 * TIMEOUT_US, on_silence, &heard));
    watch_expect(w, true);
    for (uint64_t until = now() + 30 * TIMEOUT_US; now() < until;) {
        watch_sign(w);
        usleep(TIMEOUT_US / 4);
    }
    watch_stop(w);
    assert_int_equal(atomic_load(&heard.calls), 0);
}

static void test_nothing_is_expected_at_first_and_when_told_so(void **state)
{
    (void)state;
    struct heard heard = {0};
    struct watch *w = start(&heard);
    usleep(3 * TIMEOUT_US);
    watch_expect(w, true);
    watch_expect(w, false);
    usleep(3 * TIMEOUT_US);
    watch_stop(w);
    assert_int_equal(atomic_load(&heard.calls), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence_is_told_again_and_again),
        cmocka_unit_test(test_signs_keep_it_quiet),
        cmocka_unit_test(test_nothing_is_expected_at_first_and_when_told_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
