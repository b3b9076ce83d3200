#include "cli/known_configuration.h"

#include <stdio.h>

#include "io/configuration_answer.h"

/* So long a leader is waited for. */
enum { LEADER_MS = 2000 };

/* A node that was down, or cannot reach the others, knows an older configuration. So the leader is asked first. */
static int ask(const struct operator_call *call, struct known_configuration *known)
{
    const char *const of_leader[] = {"SYNOD", "MEMBER", "LIST"}, *const of_any[] = {"SYNOD", "CONFIGURATION"};
    struct operator_call first = *call;
    first.timeout_ms = call->timeout_ms < LEADER_MS ? call->timeout_ms / 2 : LEADER_MS;
    known->is_leaders = operator_call(&first, of_leader, 3, known->answer) == EXIT_OK;
    return known->is_leaders ? EXIT_OK : operator_call(call, of_any, 2, known->answer);
}

int known_configuration_ask(const struct operator_call *call, struct known_configuration *known)
{
    struct configuration_answer read;
    const int code = ask(call, known);
    if (code != EXIT_OK)
        return code;
    if (configuration_answer_read(known->answer, &read) && configuration_read(read.bytes, read.len, &known->text) == NULL) {
        known->slot = read.slot;
        known->governs = read.governs;
        known->settled = read.settled;
        known->bytes = read.bytes;
        known->len = read.len;
        return EXIT_OK;
    }
    snprintf(known->answer, sizeof known->answer, "what the node says is no configuration");
    return EXIT_TROUBLE;
}
