#include "cli/known_configuration.h"

#include <stdio.h>

#include "io/configuration_answer.h"

int known_configuration_ask(const struct operator_call *call, struct known_configuration *known)
{
    const char *const words[] = {"SYNOD", "CONFIGURATION"};
    struct configuration_answer read;
    const int code = operator_call(call, words, 2, known->answer);
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
