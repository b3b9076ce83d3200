#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/options.h"
#include "io/problem.h"

static const char *const colours[] = {"red", "green", NULL};
static bool flag;
static const char *text;
static uint64_t number;
static uint32_t colour;

static const struct option_row rows[] = {
    {"flag", 'f', OPTION_FLAG, .target = &flag, .text = "a flag"},
    {"text", 't', OPTION_TEXT, .required = true, .value = "TEXT", .target = &text, .text = "a text"},
    {"number", 'n', OPTION_NUMBER, .value = "N", .target = &number, .min = 2, .max = 64, .text = "a number"},
    {"colour", 0, OPTION_CHOICE, .value = "COLOUR", .target = &colour, .choices = colours, .text = "a colour"},
};
static struct command_help help = {
    .command = "synod try",
    .operands = "FILE...",
    .operands_max = 2,
    .description = "Tries.\n",
    .options = rows,
    .option_count = 4,
    .examples = "  synod try\n",
};

/* What was written to descriptor `fd` during parse(). */
static char output[4096];
static int first;

static int parse(int fd, const char *line)
{
    char copy[256], *argv[16], *save = NULL;
    int argc = 0;
    flag = false;
    text = NULL;
    number = 7;
    colour = 1;
    snprintf(copy, sizeof copy, "try %s", line);
    for (char *p = strtok_r(copy, " ", &save); p != NULL; p = strtok_r(NULL, " ", &save))
        argv[argc++] = p;
    argv[argc] = NULL;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    fflush(NULL);
    const int keep = dup(fd);
    dup2(pipes[1], fd);
    close(pipes[1]);
    const int code = options_parse(&help, argc, argv, &first);
    fflush(NULL);
    dup2(keep, fd);
    close(keep);
    ssize_t n = read(pipes[0], output, sizeof output - 1);
    output[n > 0 ? n : 0] = '\0';
    close(pipes[0]);
    if (text != NULL)
        text = strcmp(text, "x") == 0 ? "x" : "other"; /* it points into `copy` */
    return code;
}

static void test_values(void **state)
{
    (void)state;
    assert_int_equal(parse(2, "--text x"), OPTIONS_GO_ON);
    assert_false(flag);
    assert_string_equal(text, "x");
    assert_int_equal(number, 7);
    assert_int_equal(colour, 1);
    assert_int_equal(first, 3);
    assert_int_equal(parse(2, "-f -t x a --number=64 --colour red b"), OPTIONS_GO_ON);
    assert_true(flag);
    assert_int_equal(number, 64);
    assert_int_equal(colour, 0);
    assert_int_equal(first, 7); /* operands are moved to the end */
    assert_int_equal(parse(2, "-fn2 -tx -- -f"), OPTIONS_GO_ON);
    assert_int_equal(number, 2);
}

static void expect_refusal(const char *line, const char *error)
{
    assert_int_equal(parse(2, line), EXIT_BAD_INPUT);
    assert_string_equal(output, error);
}

static void test_refusals(void **state)
{
    (void)state;
    expect_refusal("-f", "synod try: missing --text; see synod try --help\n");
    expect_refusal("--text", "synod try: no value after --text; see synod try --help\n");
    expect_refusal("-t", "synod try: no value after -t; see synod try --help\n");
    expect_refusal("-t x --colr red", "synod try: unknown option --colr; see synod try --help\n");
    expect_refusal("-fz", "synod try: unknown option -z; see synod try --help\n");
    expect_refusal("--flag=1 -t x", "synod try: no value belongs to --flag=1; see synod try --help\n");
    expect_refusal("-t x a b c", "synod try: unexpected c; see synod try --help\n");
    expect_refusal("-t x -n 1", "synod try: --number: '1' is not a whole number in 2..64\n");
    expect_refusal("-t x -n 65", "synod try: --number: '65' is not a whole number in 2..64\n");
    expect_refusal("-t x -n 3x", "synod try: --number: '3x' is not a whole number in 2..64\n");
    expect_refusal("-t x -n=3", "synod try: --number: '=3' is not a whole number in 2..64\n");
    expect_refusal("-t x --number=", "synod try: --number: '' is not a whole number in 2..64\n");
    expect_refusal("-n 18446744073709551618", "synod try: --number: '18446744073709551618' is not a whole number in "
                                              "2..64\n");
    expect_refusal("--colour blue", "synod try: --colour: 'blue' is not one of: red, green\n");
    help.operands_min = 1;
    expect_refusal("-t x", "synod try: missing FILE...; see synod try --help\n");
    help.operands_min = 0;
}

static void test_help(void **state)
{
    (void)state;
    assert_int_equal(parse(1, "--bad-after --help"), EXIT_BAD_INPUT);
    assert_int_equal(parse(1, "-h --bad-after"), EXIT_OK);
    assert_string_equal(output, "synod try [options] FILE...\n\nTries.\n\noptions:\n"
                                "  -f, --flag                   a flag\n"
                                "  -t, --text TEXT              a text (required)\n"
                                "  -n, --number N               a number (2..64, default 7)\n"
                                "      --colour COLOUR          a colour: red, green (default green)\n"
                                "  -h, --help                   this text\n"
                                "\nexit codes:\n  0  done\n  1  it failed\n  2  wrong command line or configuration\n"
                                "\nexamples:\n  synod try\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
