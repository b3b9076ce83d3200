/* Errors about commands that do not exist, or not with so many arguments: the same text as in Redis. The client port and
 * the state machine say the same, because either may be the first that looks. */
#ifndef SYNOD_CORE_FORMATS_COMMAND_ERROR_H
#define SYNOD_CORE_FORMATS_COMMAND_ERROR_H

#include "core/formats/command.h"

enum { COMMAND_ERROR_MAX = 512 };

/* True when a command of this arity (struct command_info) may have `argc` arguments, its name among them. */
static inline bool command_arity_fits(int32_t arity, size_t argc)
{
    return arity >= 0 ? argc == (size_t)arity : argc >= (size_t)-(int64_t)arity;
}

/* "ERR wrong number of arguments for '<name>' command". Writes at most COMMAND_ERROR_MAX bytes to `out`, and returns how
 * many. */
size_t command_error_arity(const char *name, uint8_t *out);
/* "ERR unknown command ...": the name and the first arguments, 128 characters of each. */
size_t command_error_unknown(const struct bytes *args, size_t argc, uint8_t *out);

#endif
