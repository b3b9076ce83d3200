/* The numbers of one session's commands (docs/sessions.md), as its client gives them: one more each time, and none while one
 * that is lower by the window or more has no answer. */
#ifndef SYNOD_LOAD_SESSION_NUMBERS_H
#define SYNOD_LOAD_SESSION_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/formats/session_call.h"

struct session_numbers {
    uint32_t window;
    uint64_t next;   /* to be given */
    uint64_t oldest; /* without an answer; `next` when there is none */
    uint64_t
        answered[SESSION_WINDOW_MAX / 64]; /* a bit for each number from `oldest` on, at the number modulo the maximum */
};

/* None has been given. Precondition: the window is 1 to SESSION_WINDOW_MAX. */
void session_numbers_init(struct session_numbers *n, uint32_t window);
/* False: no number may be given before another answer has come. */
bool session_numbers_left(const struct session_numbers *n);
/* Gives the next one. Precondition: session_numbers_left. */
uint64_t session_numbers_give(struct session_numbers *n);
/* There will be no other answer to this one. Precondition: it was given, and this is said once. */
void session_numbers_answered(struct session_numbers *n, uint64_t number);

#endif
