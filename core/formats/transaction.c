#include "core/formats/transaction.h"

#include "core/base/memory.h"
#include "core/formats/decimal.h"

/* The command that begins at `*at`, which is then behind it. False: there is none. */
static bool next_command(const struct bytes_list *args, size_t *at, struct command *command)
{
    uint64_t count;
    const struct bytes *said = &args->ptr[*at];
    if (!decimal_read_unsigned(said->ptr, said->len, &count) || count > args->len - *at - 1)
        return false;
    command->args = (struct bytes_list){args->ptr + *at + 1, (size_t)count};
    *at += 1 + (size_t)count;
    return true;
}

bool transaction_read(struct transaction *t, const struct bytes_list *args)
{
    size_t at = 1;
    struct command command;
    t->count = 0;
    if (!transaction_is(args) || !next_command(args, &at, &t->condition))
        return false;
    while (at < args->len) {
        if (!next_command(args, &at, &command) || command.args.len == 0) {
            t->count = 0;
            return false;
        }
        t->commands = memory_reserve(t->commands, &t->capacity, t->count + 1, sizeof *t->commands);
        t->commands[t->count++] = command;
    }
    return true;
}

void transaction_free(struct transaction *t)
{
    free(t->commands);
    *t = (struct transaction){0};
}

size_t transaction_replies(const struct bytes_list *args)
{
    size_t at = 1, count = 0;
    struct command command;
    if (!transaction_is(args) || !next_command(args, &at, &command))
        return 1;
    for (; at < args->len && next_command(args, &at, &command); count++)
        continue;
    return count + 1;
}
