/* When keys end. Clients say it by the wall clock of the log, or as a time from now on; kept is the last moment, in elapsed
 * time, at which the key is there (kv_time.until). So no jump of a wall clock ends a key early. */
#ifndef SYNOD_CORE_STATE_KV_EXPIRY_H
#define SYNOD_CORE_STATE_KV_EXPIRY_H

#include "core/state/kv_reply.h"

/* EX, PX, EXAT, PXAT. */
struct kv_unit {
    const char *word;
    int64_t ms;
    bool absolute; /* since 1970, not from now on */
};
extern const struct kv_unit kv_seconds, kv_milliseconds;

/* What SET and GETEX were told; all zeros: nothing. */
struct kv_lifetime {
    const struct kv_unit *unit;
    const struct bytes *number;
};
/* Takes "EX 10", or its kin, at args[*i], and moves `*i` to its last word. False: there is none, or after another one. */
bool kv_read_lifetime(const struct bytes *args, size_t argc, size_t *i, struct kv_lifetime *l);

/* The wall clock's time, in milliseconds, at which a number of units, more than 0, are over. False: there is no such time,
 * and the error is in `*r`: `invalid`, if it is not about the number. */
#define KV_INVALID_TIME(command) "ERR invalid expire time in '" command "' command"
bool kv_deadline(const struct state_machine *m, const struct kv_lifetime *l, const char *invalid, int64_t *when,
                 struct reply *r);
/* True when that time has passed: then a key that ends there is not kept. */
bool kv_has_passed(const struct state_machine *m, int64_t when);
/* A key ends there. Preconditions: the key is there, and the time has not passed. */
void kv_end_at(struct state_machine *m, struct bytes key, int64_t when);

#endif
