/* Options of a command: a table, from which both the parsing and the help text come. A command is a program with its verb,
 * if it has verbs: `synod init`, `synod-sim`. */
#ifndef SYNOD_HOST_OPTIONS_H
#define SYNOD_HOST_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
    OPTION_FLAG,   /* bool *: true when given */
    OPTION_TEXT,   /* const char **: points into argv */
    OPTION_NUMBER, /* uint64_t *: a whole number in min..max */
    OPTION_CHOICE, /* uint32_t *: an index in `choices` */
};

/* One option. Its target holds the default before the parsing, and the help shows it. */
struct option_row {
    const char *name; /* without the dashes */
    char letter;      /* 0: no short form */
    uint8_t kind;     /* enum option_kind */
    bool required;
    const char *value; /* what the help calls the value, such as "FILE" */
    void *target;
    uint64_t min, max;
    const char *const *choices; /* ends with NULL */
    const char *text;
};

/* All that a command says of itself. Every command understands `--help` and `-h`. */
struct command_help {
    const char *command;  /* "synod init" */
    const char *operands; /* "FILE...", or NULL: none */
    size_t operands_min;
    size_t operands_max;
    const char *description; /* lines, ending with a line feed */
    const struct option_row *options;
    size_t option_count;
    const char *exit_codes; /* lines "  0  all went well\n"; NULL: just 0, 1 and 2 */
    const char *examples;   /* lines "  synod init ...\n" */
};

/* Parses the arguments that follow argv[0], whatever that is. Returns OPTIONS_GO_ON, with *first_operand (which may be NULL)
 * the index in argv of the first operand; otherwise the help or one line of error has been printed and the command returns
 * that code. */
enum { OPTIONS_GO_ON = -1 };
int options_parse(const struct command_help *help, int argc, char **argv, int *first_operand);

/* The same for a command whose first operand is always `word`, and which has one more: that is `*operand`. */
int options_parse_word(const struct command_help *help, const char *word, int argc, char **argv, const char **operand);

/* Writes the help of a command to standard output. */
void options_help(const struct command_help *help);

#endif
