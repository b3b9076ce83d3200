/* sim/faults.c: the table is whole, and names lead back to kinds. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim/faults.h"

static void every_kind_says_what_must_become_of_it(void **state)
{
    (void)state;
    for (int kind = 0; kind < FAULTS; kind++) {
        const struct fault_kind *k = &fault_kinds[kind];
        assert_non_null(k->name);
        assert_non_null(k->at_once);
        assert_non_null(k->outcome);
        assert_true(strlen(k->at_once) > 0);
        assert_true(strlen(k->outcome) > 0);
        assert_true(k->required <= FAULT_OUTSIDE);
    }
}

static void names_are_kebab_case_and_lead_back(void **state)
{
    (void)state;
    for (int kind = 0; kind < FAULTS; kind++) {
        const char *name = fault_kinds[kind].name;
        for (const char *c = name; *c != '\0'; c++)
            assert_true(islower((unsigned char)*c) || (*c == '-' && c > name && islower((unsigned char)c[1])));
        assert_int_equal(fault_find(name), kind);
    }
    assert_int_equal(fault_find(""), FAULTS);
    assert_int_equal(fault_find("dro"), FAULTS);
    assert_int_equal(fault_find("drop "), FAULTS);
}

static void subjects_follow_the_enum(void **state)
{
    static const struct {
        const char *subject;
        int from, to;
    } ranges[] = {
        {"network", FAULT_DROP, FAULT_BLACK_HOLE},
        {"disk", FAULT_LOST_WRITES, FAULT_OLD_DISK},
        {"clock", FAULT_DRIFT, FAULT_PAUSE},
        {"process", FAULT_CRASH, FAULT_REGOVERNED},
        {"component", FAULT_TRAP, FAULT_OTHER_STATE},
        {"disk", FAULT_LASTING_HANG, FAULT_LASTING_HANG},
        {"operator", FAULT_MOVED_LEADER, FAULT_MOVED_LEADER},
        {"network", FAULT_DAMAGE, FAULT_DAMAGE},
        {"operator", FAULT_MEMBER_ADD, FAULT_SETTINGS},
        {"clock", FAULT_WALL_CLOCK, FAULT_WALL_CLOCK},
        {"network", FAULT_REFUSED_DIALS, FAULT_REFUSED_DIALS},
    };
    int next = 0;
    (void)state;
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        assert_int_equal(ranges[i].from, next);
        for (; next <= ranges[i].to; next++)
            assert_string_equal(fault_kinds[next].subject, ranges[i].subject);
    }
    assert_int_equal(next, FAULTS);
}

/* What the network, a clock or the end of a process does, no client may notice; what takes durable records away, or makes
 * the state another one, no node may live with in silence, and it must not happen to too many. */
static void required_outcomes_fit_the_design(void **state)
{
    static const enum fault harm[] = {FAULT_MISDIRECTED_WRITE, FAULT_FLIPPED_BYTE, FAULT_LOST_DISK, FAULT_OLD_DISK,
                                      FAULT_OTHER_STATE};
    (void)state;
    for (int kind = 0; kind < FAULTS; kind++) {
        const struct fault_kind *k = &fault_kinds[kind];
        if (strcmp(k->subject, "disk") != 0 && strcmp(k->subject, "component") != 0)
            assert_int_equal(k->required, FAULT_TOLERATED);
        bool harms = false;
        for (size_t i = 0; i < sizeof harm / sizeof harm[0]; i++)
            harms |= kind == (int)harm[i];
        assert_int_equal(strncmp(k->at_once, "a minority", 10) == 0, harms);
        assert_false(harms && k->required == FAULT_TOLERATED);
    }
    assert_int_equal(fault_kinds[FAULT_OLD_DISK].required, FAULT_OUTSIDE);
    assert_int_equal(fault_kinds[FAULT_FAILED_SYNC].required, FAULT_REFUSED);
}

static void firing_counts(void **state)
{
    struct faults f = {0};
    (void)state;
    fault_fired(&f, FAULT_CRASH);
    fault_fired(&f, FAULT_CRASH);
    for (int kind = 0; kind < FAULTS; kind++)
        assert_int_equal(f.fired[kind], kind == FAULT_CRASH ? 2 : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_says_what_must_become_of_it),
        cmocka_unit_test(names_are_kebab_case_and_lead_back),
        cmocka_unit_test(subjects_follow_the_enum),
        cmocka_unit_test(required_outcomes_fit_the_design),
        cmocka_unit_test(firing_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
