#include "host/options.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/problem.h"

enum { ROWS_MAX = 32, HELP_VALUE = 'h', LONG_BASE = 256, COLUMN = 28, COLUMN_MAX = 120 };

/* ---- Help ---- */

static void print_default(const struct option_row *row)
{
    switch (row->kind) {
    case OPTION_TEXT:
        if (*(const char **)row->target != NULL)
            printf(" (default %s)", *(const char **)row->target);
        break;
    case OPTION_NUMBER:
        if (!row->required && *(uint64_t *)row->target >= row->min && *(uint64_t *)row->target <= row->max)
            printf(" (%" PRIu64 "..%" PRIu64 ", default %" PRIu64 ")", row->min, row->max, *(uint64_t *)row->target);
        else
            printf(" (%" PRIu64 "..%" PRIu64 ")", row->min, row->max);
        break;
    case OPTION_CHOICE:
        printf(": ");
        for (size_t i = 0; row->choices[i] != NULL; i++)
            printf("%s%s", i > 0 ? ", " : "", row->choices[i]);
        if (!row->required)
            printf(" (default %s)", row->choices[*(uint32_t *)row->target]);
        break;
    default:
        break;
    }
    printf("%s\n", row->required ? " (required)" : "");
}

void options_help(const struct command_help *help)
{
    char left[COLUMN_MAX];
    printf("%s%s%s%s\n\n%s\noptions:\n", help->command, help->option_count > 0 ? " [options]" : "",
           help->operands != NULL ? " " : "", help->operands != NULL ? help->operands : "", help->description);
    for (size_t i = 0; i < help->option_count; i++) {
        const struct option_row *row = &help->options[i];
        const char letter[] = {'-', row->letter, ',', ' ', '\0'};
        snprintf(left, sizeof left, "%s--%s%s%s", row->letter != 0 ? letter : "    ", row->name,
                 row->kind != OPTION_FLAG ? " " : "", row->kind != OPTION_FLAG ? row->value : "");
        printf("  %-*s %s", COLUMN, left, row->text);
        print_default(row);
    }
    printf("  %-*s this text\n", COLUMN, "-h, --help");
    printf("\nexit codes:\n%s", help->exit_codes != NULL
                                    ? help->exit_codes
                                    : "  0  done\n  1  it failed\n  2  wrong command line or configuration\n");
    if (help->examples != NULL)
        printf("\nexamples:\n%s", help->examples);
}

/* ---- Parsing ---- */

static int refuse(const struct command_help *help, const char *what, const char *which)
{
    fprintf(stderr, "%s: %s%s; see %s --help\n", help->command, what, which, help->command);
    return EXIT_BAD_INPUT;
}

static int read_number(const struct command_help *help, const struct option_row *row, const char *text)
{
    uint64_t sum = 0;
    bool fits = text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
    for (const char *p = text; fits && *p != '\0'; p++)
        fits = !__builtin_mul_overflow(sum, UINT64_C(10), &sum) && !__builtin_add_overflow(sum, (uint64_t)(*p - '0'), &sum);
    if (!fits || sum < row->min || sum > row->max) {
        fprintf(stderr, "%s: --%s: '%s' is not a whole number in %" PRIu64 "..%" PRIu64 "\n", help->command, row->name, text,
                row->min, row->max);
        return EXIT_BAD_INPUT;
    }
    *(uint64_t *)row->target = sum;
    return OPTIONS_GO_ON;
}

static int read_choice(const struct command_help *help, const struct option_row *row, const char *text)
{
    for (uint32_t i = 0; row->choices[i] != NULL; i++) {
        if (strcmp(row->choices[i], text) == 0) {
            *(uint32_t *)row->target = i;
            return OPTIONS_GO_ON;
        }
    }
    fprintf(stderr, "%s: --%s: '%s' is not one of:", help->command, row->name, text);
    for (size_t i = 0; row->choices[i] != NULL; i++)
        fprintf(stderr, "%s %s", i > 0 ? "," : "", row->choices[i]);
    fputc('\n', stderr);
    return EXIT_BAD_INPUT;
}

static int read_value(const struct command_help *help, const struct option_row *row, const char *text)
{
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)row->target = true;
        return OPTIONS_GO_ON;
    case OPTION_TEXT:
        *(const char **)row->target = text;
        return OPTIONS_GO_ON;
    case OPTION_NUMBER:
        return read_number(help, row, text);
    default:
        return read_choice(help, row, text);
    }
}

/* Fills in what getopt_long wants to know. The leading ':' makes it silent and tells a missing value apart. */
static void getopt_tables(const struct command_help *help, struct option *longs, char *letters)
{
    *letters++ = ':';
    *letters++ = HELP_VALUE;
    for (size_t i = 0; i < help->option_count; i++) {
        const struct option_row *row = &help->options[i];
        longs[i] = (struct option){.name = row->name,
                                   .has_arg = row->kind == OPTION_FLAG ? no_argument : required_argument,
                                   .val = LONG_BASE + (int)i};
        if (row->letter == 0)
            continue;
        *letters++ = row->letter;
        if (row->kind != OPTION_FLAG)
            *letters++ = ':';
    }
    *letters = '\0';
    longs[help->option_count] = (struct option){.name = "help", .val = HELP_VALUE};
    longs[help->option_count + 1] = (struct option){0};
}

/* The row that getopt_long's answer means; NULL: none. */
static const struct option_row *row_of(const struct command_help *help, int value)
{
    for (size_t i = 0; i < help->option_count; i++)
        if (value == LONG_BASE + (int)i || (help->options[i].letter != 0 && value == help->options[i].letter))
            return &help->options[i];
    return NULL;
}

/* The tables are the program's own: every help text has all its words, or no verb works. */
static void check_table(const struct command_help *help)
{
    if (help->option_count > ROWS_MAX || help->description == NULL)
        abort();
    for (size_t i = 0; i < help->option_count; i++) {
        const struct option_row *row = &help->options[i];
        if (row->name == NULL || row->text == NULL || row->target == NULL ||
            (row->kind != OPTION_FLAG && row->value == NULL) || (row->kind == OPTION_CHOICE && row->choices == NULL))
            abort();
    }
}

int options_parse(const struct command_help *help, int argc, char **argv, int *first_operand)
{
    struct option longs[ROWS_MAX + 2];
    char letters[2 * ROWS_MAX + 3];
    bool given[ROWS_MAX] = {false};
    check_table(help);
    getopt_tables(help, longs, letters);
    optind = 0; /* start afresh, GNU's way: a process may parse more than once */
    int value;
    while ((value = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        if (value == HELP_VALUE) {
            options_help(help);
            return EXIT_OK;
        }
        if (value == ':')
            return refuse(help, "no value after ", argv[optind - 1]);
        const struct option_row *row = row_of(help, value);
        if (row == NULL) {
            const char letter[] = {'-', (char)optopt, '\0'};
            if (optopt >= LONG_BASE) /* a flag that was given a value */
                return refuse(help, "no value belongs to ", argv[optind - 1]);
            return refuse(help, "unknown option ", optopt != 0 ? letter : argv[optind - 1]);
        }
        int code = read_value(help, row, optarg);
        if (code != OPTIONS_GO_ON)
            return code;
        given[row - help->options] = true;
    }
    for (size_t i = 0; i < help->option_count; i++)
        if (help->options[i].required && !given[i])
            return refuse(help, "missing --", help->options[i].name);
    const size_t operands = (size_t)(argc - optind);
    if (operands < help->operands_min)
        return refuse(help, "missing ", help->operands);
    if (operands > help->operands_max)
        return refuse(help, "unexpected ", argv[optind + (int)help->operands_max]);
    if (first_operand != NULL)
        *first_operand = optind;
    return OPTIONS_GO_ON;
}

int options_parse_word(const struct command_help *help, const char *word, int argc, char **argv, const char **operand)
{
    int first;
    const int code = options_parse(help, argc, argv, &first);
    if (code != OPTIONS_GO_ON)
        return code;
    if (strcmp(argv[first], word) != 0) {
        fprintf(stderr, "%s: unknown command '%s'; see %s --help\n", help->command, argv[first], help->command);
        return EXIT_BAD_INPUT;
    }
    *operand = argv[first + 1];
    return code;
}
