/* How the verbs that ask a running cluster begin and end: they take either --config or --via, and they print an answer, or
 * complain. */
#ifndef SYNOD_CLI_OPERATOR_VERB_H
#define SYNOD_CLI_OPERATOR_VERB_H

#include "cli/operator_call.h"
#include "host/options.h"

struct operator_verb {
    const char *name;          /* with which complaints begin */
    const char *file;          /* --config; NULL: it was not given */
    struct operator_call call; /* --via, --timeout-ms; and what the file says, between operator_begin and operator_end */
    struct config config;
};

/* Rows of the verb's options: --config, --via, --timeout-ms. */
struct option_row operator_config_row(struct operator_verb *v);
struct option_row operator_via_row(struct operator_verb *v);
struct option_row operator_timeout_row(struct operator_verb *v);

/* Whether it was given one of --config and --via. */
bool operator_has_place(const struct operator_verb *v);

/* Reads the file, if there is one. Returns an exit code; if that is not EXIT_OK, it has said what is wrong. */
int operator_begin(struct operator_verb *v);
/* After operator_begin has returned EXIT_OK. */
void operator_end(struct operator_verb *v);

/* Says on stderr what is wrong, which may be the text of an error reply. Returns EXIT_BAD_INPUT. */
int operator_complain(const struct operator_verb *v, const char *text);
/* Prints an answer, or complains if `code` is not EXIT_OK. Returns `code`. */
int operator_tell(const struct operator_verb *v, int code, const char *answer);

/* The number of a node; 0: the text is none. */
uint32_t operator_node(const char *text);

#endif
