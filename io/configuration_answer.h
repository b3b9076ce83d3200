/* What a node answers to SYNOD CONFIGURATION (core/formats/operator_request.h):
 *
 *   slot 813            of the newest configuration that it knows; 0: the cluster has not formed
 *   governs 877         from this slot on
 *   settled true        the one before is over
 *   ...                 and its text (core/formats/configuration.h) */
#ifndef SYNOD_IO_CONFIGURATION_ANSWER_H
#define SYNOD_IO_CONFIGURATION_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct configuration_answer {
    uint64_t slot, governs;
    bool settled;
    const char *bytes; /* the text, which is not read yet: it ends where the answer ends */
    size_t len;
};

/* Reads an answer, which may be anything. False: it is none. */
bool configuration_answer_read(const char *answer, struct configuration_answer *out);

#endif
