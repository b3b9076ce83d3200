#include "core/agents/answering.h"

#include "core/base/assert.h"

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
    a->done = 0;
    a->room = room_for(replies_bytes, a->commands.count);
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

void answering_add(struct answering *a, const struct reply *r)
{
    struct reply too_large;
    const bool fits = answering_take_room(a, reply_size(r));
    replies_add(&a->replies,
                fits ? r
                     : reply_error_text(&too_large, "ERR executed, but the state machine's reply is larger than it may be"));
}

size_t answering_next(const struct answering *a, const struct limits *limits)
{
    const struct batch_commands *all = &a->commands;
    size_t end = a->done;
    uint64_t bytes = 0;
    while (end < all->count && end - a->done < limits->apply) {
        const struct bytes_list *args = &all->commands[end].args;
        for (size_t i = 0; i < args->len && bytes <= limits->apply_bytes; i++)
            bytes += ARGUMENT_BYTES + args->ptr[i].len;
        if (bytes > limits->apply_bytes && end > a->done)
            break;
        end++;
    }
    return end - a->done;
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
