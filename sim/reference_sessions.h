/* Sessions in the simplest way, for the reference (sim/reference.h): lists, searched from end to end. The rules of
 * core/state/sessions.h are written here once more. */
#ifndef SYNOD_SIM_REFERENCE_SESSIONS_H
#define SYNOD_SIM_REFERENCE_SESSIONS_H

#include "core/formats/session_call.h"

struct reference_sessions;

struct reference_sessions *reference_sessions_new(void);
void reference_sessions_free(struct reference_sessions *s);

void reference_sessions_open(struct reference_sessions *s, uint64_t id, uint32_t window);
bool reference_sessions_has(const struct reference_sessions *s, uint64_t id);
bool reference_sessions_close(struct reference_sessions *s, uint64_t id);

/* What is to be done with a command. REMEMBERED_TEXT: its reply is an error, and this is its text. */
enum remembered { REMEMBERED_NOTHING, REMEMBERED_REPLY, REMEMBERED_TEXT };
enum remembered reference_sessions_look(struct reference_sessions *s, const struct session_call *call, struct bytes *is);
/* It was executed, and this is its packed reply. */
void reference_sessions_executed(struct reference_sessions *s, const struct session_call *call, struct bytes packed);
/* It is `elapsed` by the log: up to 16 sessions end that were not used for `idle_ms`, those used longest ago first. */
void reference_sessions_pass(struct reference_sessions *s, uint64_t elapsed, uint32_t idle_ms);
/* How many there are. */
size_t reference_sessions_count(const struct reference_sessions *s);
/* The batch is over: forgets until no more than what a state of so many bytes allows is left. */
void reference_sessions_trim(struct reference_sessions *s, uint64_t state_bytes_max);

#endif
