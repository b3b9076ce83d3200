#include "core/agents/answering.h"

#include "core/base/assert.h"
#include "core/formats/transaction.h"

/* What the state machine gets at a time: limits.apply commands, and limits.apply_bytes of arguments (one command at least).
 * Each argument counts at least ARGUMENT_BYTES. When the machine stops early it gets the rest again. So giving must be cheap
 * compared with the work after which it stops. */
enum { ARGUMENT_BYTES = 32 };

/* All packed replies of a batch must fit into memory and into a frame: limits.replies_bytes. (One reply of the kv-store has
 * a little more than 8 MiB at most.) Each command has a small share, a quarter of the limit in all. The rest is for longer
 * replies, in order. A command whose reply would go beyond is not executed. */
enum { SMALL_MAX = 1024 };

static struct reply_room room_for(uint64_t replies_bytes, size_t commands)
{
    uint64_t share = replies_bytes / 4 / (commands + 1);
    uint64_t small = share > SMALL_MAX ? SMALL_MAX : share < REPLY_SMALL_MIN ? REPLY_SMALL_MIN : share;
    uint64_t reserved = small * commands;
    return (struct reply_room){.large = reserved < replies_bytes ? replies_bytes - reserved : 0, .small = (uint32_t)small};
}

void answering_begin(struct answering *a, uint64_t replies_bytes)
{
    size_t replies = 0;
    for (size_t i = 0; i < a->commands.count; i++)
        replies += transaction_is(&a->commands.commands[i].args) ? transaction_replies(&a->commands.commands[i].args) : 1;
    a->done = 0;
    a->room = room_for(replies_bytes, replies);
    replies_begin(&a->replies);
}

void answering_close(struct answering *a)
{
    batch_commands_free(&a->commands);
    batch_builder_free(&a->replies);
}

bool answering_take_room(struct answering *a, uint64_t size)
{
    const bool large = size > a->room.small;
    if (large && size > a->room.large)
        return false;
    a->room.large -= large ? size : 0;
    return true;
}

/* The reply, or `*other` if it goes beyond its room. */
static const struct reply *that_fits(struct answering *a, const struct reply *r, struct reply *other)
{
    if (answering_take_room(a, reply_size(r)))
        return r;
    return reply_error_text(other, "ERR executed, but the state machine's reply is larger than it may be");
}

void answering_add_element(struct answering *a, const struct reply *r)
{
    struct reply other;
    replies_add_element(&a->replies, that_fits(a, r, &other));
}

void answering_add(struct answering *a, const struct reply *r)
{
    answering_add_element(a, r);
    a->replies.count++;
}

size_t answering_share(const struct command *commands, size_t count, const struct limits *limits)
{
    size_t end = 0;
    uint64_t bytes = 0;
    while (end < count && end < limits->apply) {
        const struct bytes_list *args = &commands[end].args;
        for (size_t i = 0; i < args->len && bytes <= limits->apply_bytes; i++)
            bytes += ARGUMENT_BYTES + args->ptr[i].len;
        if (bytes > limits->apply_bytes && end > 0)
            break;
        end++;
    }
    return end;
}

size_t answering_next(const struct answering *a, const struct limits *limits)
{
    return answering_share(a->commands.commands + a->done, a->commands.count - a->done, limits);
}

uint64_t answering_go_on(struct answering *a, struct state_machine *machine, struct moment now, const struct limits *limits,
                         answering_call *call)
{
    const size_t before = a->replies.len, some = answering_next(a, limits);
    const struct applied done = call(machine, now, a->commands.commands + a->done, some, a->room);
    invariant(done.replies.len <= some);
    for (size_t i = 0; i < done.replies.len; i++)
        answering_add(a, &done.replies.ptr[i]);
    a->done += done.replies.len;
    return done.replies.len > 0 ? a->replies.len - before + done.work : 0;
}
