/* The judge of leases (sim/leases.h), and the account of the log (sim/reference_leases.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/leases.h"
#include "sim/reference_leases.h"

/* ---- Histories, each operation as "call return KIND [word ms] answer", with times in milliseconds ---- */

enum { OPERATIONS_MAX = 8 };

struct told {
    struct operation operations[OPERATIONS_MAX];
    char answers[OPERATIONS_MAX][24];
    size_t count;
};

static void read_answer(struct operation *o, const char *answer, char *copy)
{
    o->outcome = strcmp(answer, "?") == 0 ? OPERATION_UNKNOWN : strcmp(answer, "no") == 0 ? OPERATION_REFUSED : OPERATION_OK;
    if (o->outcome != OPERATION_OK)
        o->return_us = o->outcome == OPERATION_UNKNOWN ? UINT64_MAX : o->return_us;
    else if (o->kind == OPERATION_GET && strcmp(answer, "nil") == 0)
        o->nil = true;
    else if (o->kind == OPERATION_GET)
        o->answer = strcpy(copy, answer), o->answer_len = strlen(answer);
    else if (o->kind != OPERATION_LEASE)
        o->integer = atoi(answer);
}

static void read_operation(struct told *t, const char *line)
{
    char kind[16], a[16] = "", b[16] = "", c[16] = "";
    unsigned call = 0, ends = 0;
    struct operation *o = &t->operations[t->count];
    assert_true(t->count < OPERATIONS_MAX && sscanf(line, "%u %u %15s %15s %15s %15s", &call, &ends, kind, a, b, c) >= 4);
    *o = (struct operation){.key = 3, .call_us = call * 1000, .return_us = ends * 1000, .kind = OPERATION_GET};
    if (strcmp(kind, "LEASE") == 0) {
        o->kind = OPERATION_LEASE;
        strcpy(o->value, a);
        o->ms = (uint32_t)atoi(b);
    } else {
        o->kind = strcmp(kind, "PTTL") == 0      ? OPERATION_PTTL
                  : strcmp(kind, "PERSIST") == 0 ? OPERATION_PERSIST
                  : strcmp(kind, "DEL") == 0     ? OPERATION_DEL
                                                 : OPERATION_GET;
    }
    read_answer(o, o->kind == OPERATION_LEASE ? c : a, t->answers[t->count++]);
}

/* What the judge says of lines that ';' divides; "": nothing is wrong. */
static const char *judge(const char *lines, struct lease_clocks clocks)
{
    static char why[400];
    struct told told = {.count = 0};
    const struct operation *list[OPERATIONS_MAX];
    char copy[400];
    snprintf(copy, sizeof copy, "%s", lines);
    char *save = NULL;
    for (char *line = strtok_r(copy, ";", &save); line != NULL; line = strtok_r(NULL, ";", &save))
        read_operation(&told, line);
    for (size_t i = 0; i < told.count; i++)
        list[i] = &told.operations[i];
    why[0] = 0;
    const bool good = judge_lease(list, told.count, clocks, why, sizeof why);
    assert_int_equal(good, why[0] == 0);
    return why;
}

static void leases_are_judged(void **state)
{
    static const struct {
        const char *lines, *wrong; /* NULL: nothing is */
    } cases[] = {
        {"0 10 LEASE w1 100 OK; 20 30 GET w1; 150 160 GET nil", NULL},
        {"0 10 LEASE w1 100 OK; 20 99 GET nil", "gone too early"},
        {"0 10 LEASE w1 100 OK; 20 101 GET nil", NULL},
        {"0 10 LEASE w1 100 OK; 20 50 PTTL -2", "gone too early"},
        {"0 10 LEASE w1 100 ?; 20 50 GET nil", NULL},
        {"0 10 LEASE w1 100 OK; 5 30 DEL 1; 40 50 GET nil", NULL},
        {"0 10 LEASE w1 100 OK; 15 20 DEL ?; 40 50 GET nil", NULL},
        {"0 10 LEASE w1 100 OK; 15 20 DEL no; 40 50 GET nil", "gone too early"},
        {"0 10 LEASE w1 100 OK; 15 20 LEASE w2 5 ?; 40 50 GET nil", NULL},
        {"0 10 LEASE w1 100 OK; 200 210 GET nil; 220 230 GET w1", "comes back"},
        {"0 10 LEASE w1 100 OK; 200 210 PTTL -2; 220 230 GET w1", "comes back"},
        {"0 10 LEASE w1 100 OK; 200 210 GET nil; 205 230 GET w1", NULL},
        {"0 10 LEASE w1 100 OK; 20 30 LEASE w2 100 OK; 40 50 GET w1", "comes back"},
        {"0 10 LEASE w1 100 OK; 20 30 DEL 1; 40 50 GET w1", "comes back"},
        {"0 10 LEASE w1 100 OK; 20 30 GET w7", "not written"},
        {"0 10 LEASE w1 100 no; 20 30 GET w1", "not written"},
        {"0 10 GET w1; 20 30 LEASE w1 100 OK", "not written"},
        {"0 10 LEASE w1 100 OK; 20 30 PTTL -1", "does not end"},
        {"0 10 LEASE w1 100 OK; 12 14 PERSIST 1; 20 30 PTTL -1", NULL},
        {"0 10 LEASE w1 100 OK; 20 30 PTTL 101", "lasts too long"},
        {"0 10 LEASE w1 100 OK; 20 30 PTTL 100", NULL},
        {"0 10 LEASE w1 100 OK; 20 30 PTTL 69", NULL},
        {"0 10 LEASE w1 100 OK; 20 30 PTTL 60", "too little"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *why = judge(cases[i].lines, (struct lease_clocks){0});
        if ((cases[i].wrong == NULL) != (why[0] == 0) || (cases[i].wrong != NULL && strstr(why, cases[i].wrong) == NULL))
            fail_msg("%s: \"%s\"", cases[i].lines, why);
    }
}

/* A clock that runs fast, or leaps, may end a lease earlier by so much. */
static void clocks_are_allowed_for(void **state)
{
    static const char early[] = "0 10 LEASE w1 100 OK; 20 96 GET nil";
    (void)state;
    assert_string_not_equal(judge(early, (struct lease_clocks){.drift_max = 40000}), "");
    assert_string_equal(judge(early, (struct lease_clocks){.drift_max = 50000}), "");
    assert_string_not_equal(judge(early, (struct lease_clocks){.leapt_us = 3999}), "");
    assert_string_equal(judge(early, (struct lease_clocks){.leapt_us = 4000}), "");
}

/* ---- The account of the log ---- */

static struct bytes text(const char *s) { return (struct bytes){(uint8_t *)(uintptr_t)s, strlen(s)}; }

static bool fits(struct reference_leases *l, uint64_t elapsed, const char *line, struct reply reply)
{
    char copy[80];
    struct bytes args[8];
    size_t count = 0;
    snprintf(copy, sizeof copy, "%s", line);
    char *save = NULL;
    for (char *word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
        args[count++] = text(word);
    return reference_leases_executed(l, (struct moment){elapsed, 0}, &(struct command){{args, count}}, &reply) == NULL;
}

static void the_log_is_followed(void **state)
{
    const struct reply ok = {.tag = REPLY_STATUS}, nil = {.tag = REPLY_NIL}, zero = {.tag = REPLY_INTEGER};
    struct reply word = {.tag = REPLY_BYTES}, one = {.tag = REPLY_INTEGER}, left = {.tag = REPLY_INTEGER};
    (void)state;
    word.val.bytes = text("w1");
    one.val.integer = 1;
    struct reference_leases *l = reference_leases_new();
    assert_true(fits(l, 0, "GET k4", word)); /* it is no lease yet */
    assert_true(fits(l, 10, "SET k4 w1 PX 100", ok));
    assert_true(fits(l, 110, "GET k4", word));
    assert_false(fits(l, 110, "GET k4", nil));
    left.val.integer = 10;
    assert_true(fits(l, 100, "PTTL k4", left));
    assert_false(fits(l, 101, "PTTL k4", left));
    assert_false(fits(l, 111, "GET k4", word));
    assert_true(fits(l, 111, "GET k4", nil));
    assert_true(fits(l, 111, "DEL k4", zero));
    assert_true(fits(l, 111, "SET k4 w1 PX 100", ok));
    assert_true(fits(l, 112, "PERSIST k4", one));
    assert_true(fits(l, 112, "PERSIST k4", zero));
    assert_true(fits(l, 999, "GET k4", word));
    assert_true(fits(l, 999, "DEL k4", one));
    assert_true(fits(l, 999, "GET k4", nil));
    reference_leases_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leases_are_judged),
        cmocka_unit_test(clocks_are_allowed_for),
        cmocka_unit_test(the_log_is_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
