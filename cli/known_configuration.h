/* The newest configuration of a running cluster, as its leader tells it; if none answers, as a node does. */
#ifndef SYNOD_CLI_KNOWN_CONFIGURATION_H
#define SYNOD_CLI_KNOWN_CONFIGURATION_H

#include "cli/operator_call.h"

struct known_configuration {
    uint64_t slot, governs;
    bool settled;      /* the one before is over */
    bool is_leaders;   /* the leader says so. Otherwise there may be a newer one */
    const char *bytes; /* as in the log */
    size_t len;
    struct configuration_text text; /* the same, read */
    char answer[OPERATOR_ANSWER_MAX];
};

/* Asks. Large: static, or allocated. Returns an exit code; if that is not EXIT_OK, known->answer says in one line what is
 * wrong. */
int known_configuration_ask(const struct operator_call *call, struct known_configuration *known);

#endif
