/* A transaction as one command of a batch: what the client port gathers between MULTI and EXEC (docs/decisions/0051). Its
 * commands are executed one after the other and nothing comes between them, or none is.
 *
 *   EXEC  n arg ...  n arg ...  n arg ...
 *
 * Each n, a decimal number, says how many arguments follow, the name of a command among them. The first command is a
 * condition (n is 0: there is none): if its reply is not the integer 1, no other one is executed, and the reply is
 * REPLY_NIL_ARRAY. Otherwise the reply is an array with one reply for each. */
#ifndef SYNOD_CORE_FORMATS_TRANSACTION_H
#define SYNOD_CORE_FORMATS_TRANSACTION_H

#include "core/formats/command_name.h"

struct transaction {
    struct command condition; /* no arguments: there is none */
    struct command *commands; /* their arguments are those of the command EXEC */
    size_t count, capacity;
};

/* Whether a command is a transaction: EXEC with arguments. */
static inline bool transaction_is(const struct bytes_list *args)
{
    return args->len > 1 && command_name_is(&args->ptr[0], "exec");
}
/* Takes it apart. False: it is malformed, and `t` has no commands. */
bool transaction_read(struct transaction *t, const struct bytes_list *args);
void transaction_free(struct transaction *t);

/* How many replies the command gives: its commands; 1 for any other command. */
size_t transaction_replies(const struct bytes_list *args);

#endif
