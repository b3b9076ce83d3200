/* Commands about sessions, by which a client that hears no answer may ask again and is executed once (docs/decisions/0047):
 *
 *   SESSION OPEN [window]                 a new session: its id, a number
 *   SESSION CLOSE id                      forgets it
 *   SESSION id number command [arg ...]   executes the command, unless the session's command of that number was executed
 *
 * Ids are below 2^53, so that every client's numbers have room for them. */
#ifndef SYNOD_CORE_FORMATS_SESSION_CALL_H
#define SYNOD_CORE_FORMATS_SESSION_CALL_H

#include "core/formats/command_name.h"

enum { SESSION_WINDOW_STANDARD = 16, SESSION_WINDOW_MAX = 1024 };

/* What all sessions take of memory: 1/16 of state_bytes_max, and no more than this. What one takes (core/state/sessions.h):
 * for itself; for each of its places, as long as replies are short (a number, OK, some letters); and for a longer reply,
 * beside its bytes. */
enum {
    SESSIONS_BYTES_MAX = 16 * 1024 * 1024,
    SESSION_BYTES = 416,
    SESSION_PLACE_BYTES = 46,
    SESSION_SHORT_REPLY = 20, /* packed */
    SESSION_LONG_REPLY_BYTES = 152,
};
#define SESSION_ID_MAX ((UINT64_C(1) << 53) - 1)

enum session_kind { SESSION_NONE, SESSION_OPEN, SESSION_CLOSE, SESSION_CALL, SESSION_MALFORMED };

struct session_call {
    uint8_t kind;    /* enum session_kind */
    uint32_t window; /* SESSION_OPEN */
    uint64_t id, number;
    const char *error; /* SESSION_MALFORMED: the reply, a constant text */
};

enum { SESSION_CALL_ARGS = 3 }; /* SESSION, id and number, before the command */

/* Whether a command is one about sessions. */
static inline bool session_call_is(const struct bytes_list *args)
{
    return args->len > 0 && command_name_is(&args->ptr[0], "session");
}
/* What a command is about. SESSION_NONE: it is no command SESSION. */
struct session_call session_call_read(const struct bytes_list *args);

#endif
