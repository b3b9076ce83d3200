/* How a verb asks something of a running cluster: a command SYNOD ... at the client port of a node, which acts on it or
 * names the node that can (docs/decisions/0039-operators-requests.md). */
#ifndef SYNOD_CLI_OPERATOR_CALL_H
#define SYNOD_CLI_OPERATOR_CALL_H

#include "core/formats/configuration.h"
#include "host/config.h"

enum { OPERATOR_ANSWER_MAX = CONFIGURATION_TEXT_MAX + 1024 };

struct operator_call {
    const struct config *config; /* its nodes with client ports are asked, the one that leads in the end; NULL: only `via` */
    const char *via;             /* HOST:PORT of the node that is asked first; NULL: any */
    uint64_t timeout_ms;         /* for everything */
};

/* Asks, and follows to the node that can act. `words` are those of the command, SYNOD first. Returns an exit code: EXIT_OK
 * with the answer; otherwise `answer` says in one line what is wrong. */
int operator_call(const struct operator_call *call, const char *const *words, int count, char answer[OPERATOR_ANSWER_MAX]);

/* What an error reply says, for people: without ERR. */
const char *operator_answer_text(const char *answer);

#endif
