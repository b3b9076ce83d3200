/* What the log says about leases: an account of its own, with which the replies of the reference's state machine are
 * compared. Each command sees a lease up to the last millisecond for which it was made, and not one later. */
#ifndef SYNOD_SIM_REFERENCE_LEASES_H
#define SYNOD_SIM_REFERENCE_LEASES_H

#include "core/state/state_machine.h"

struct reference_leases;

struct reference_leases *reference_leases_new(void);
void reference_leases_free(struct reference_leases *l);

/* A command was executed, with this reply. NULL: it is what the account says, or no command on a lease; otherwise what is
 * wrong, valid until the next call. */
const char *reference_leases_executed(struct reference_leases *l, struct moment now, const struct command *command,
                                      const struct reply *reply);

#endif
