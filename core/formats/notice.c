#include "core/formats/notice.h"

#include "core/base/cursor.h"

enum { CAUSE_SIZE = 8 };

#define NAME(text) {(uint8_t *)(uintptr_t)(text), sizeof(text) - 1}

/* By publication_kind, from PUBLICATION on. */
static const struct command_info commands[PUBLICATION_COMMANDS] = {
    {.name = NAME("publish"), .arity = 3},
    {.name = NAME("spublish"), .arity = 3, .first_key = 1, .last_key = 1, .key_step = 1},
};

struct command_info_list publication_describe(void)
{
    return (struct command_info_list){(struct command_info *)(uintptr_t)commands, PUBLICATION_COMMANDS};
}

static struct publication malformed(const char *error)
{
    return (struct publication){.kind = PUBLICATION_MALFORMED, .error = error};
}

struct publication publication_read(const struct bytes_list *args)
{
    struct publication p = {.kind = PUBLICATION_NONE};
    if (!publication_is(args))
        return p;
    p.kind = command_name_is(&args->ptr[0], "publish") ? PUBLICATION : PUBLICATION_OF_SHARD;
    if (args->len != 3)
        return malformed(p.kind == PUBLICATION ? "ERR wrong number of arguments for 'publish' command"
                                               : "ERR wrong number of arguments for 'spublish' command");
    if (args->ptr[1].len > CHANNEL_NAME_MAX)
        return malformed("ERR the name of a channel has 4096 bytes at most");
    p.channel = args->ptr[1];
    p.message = args->ptr[2];
    return p;
}

/* How many arguments a notice has; 0: there is no such kind. */
static size_t args_of(uint8_t kind)
{
    switch (kind) {
    case NOTICE_MESSAGE:
    case NOTICE_SHARD_MESSAGE:
        return 3;
    case NOTICE_CHANGED:
    case NOTICE_ENDED:
    case NOTICE_CAUSE:
        return 2;
    case NOTICE_EVENT:
        return 4;
    case NOTICE_ALL_CHANGED:
    case NOTICE_MISSED:
        return 1;
    default:
        return 0;
    }
}

static void add(struct batch_builder *b, const struct notice *n)
{
    uint8_t kind = n->kind, class = n->class;
    const struct bytes args[] = {{&kind, 1}, n->channel, n->message, {&class, 1}};
    batch_add(b, args, args_of(kind));
}

void notices_begin(struct notices *all)
{
    batch_begin(&all->packed);
    all->cause = all->told = (struct notice_cause){0};
}

void notices_cause(struct notices *all, struct notice_cause cause) { all->cause = cause; }

size_t notices_add(struct notices *all, const struct notice *n)
{
    const size_t before = all->packed.len;
    uint8_t cause[CAUSE_SIZE];
    if (all->cause.number != all->told.number || all->cause.index != all->told.index) {
        cursor_store_u32(cause, all->cause.number);
        cursor_store_u32(cause + 4, all->cause.index);
        add(&all->packed, &(struct notice){.kind = NOTICE_CAUSE, .channel = {cause, sizeof cause}});
        all->told = all->cause;
    }
    add(&all->packed, n);
    return all->packed.len - before;
}

void notices_free(struct notices *all) { batch_builder_free(&all->packed); }

bool notice_read(const struct command *c, struct notice *n)
{
    const struct bytes_list *args = &c->args;
    if (args->len == 0 || args->ptr[0].len != 1)
        return false;
    *n = (struct notice){.kind = args->ptr[0].ptr[0]};
    if (args->len != args_of(n->kind) || (n->kind == NOTICE_CAUSE && args->ptr[1].len != CAUSE_SIZE))
        return false;
    if (n->kind == NOTICE_CAUSE)
        n->cause = (struct notice_cause){cursor_load_u32(args->ptr[1].ptr), cursor_load_u32(args->ptr[1].ptr + 4)};
    else if (args->len > 1)
        n->channel = args->ptr[1];
    if (args->len > 2)
        n->message = args->ptr[2];
    if (args->len > 3 && args->ptr[3].len == 1)
        n->class = args->ptr[3].ptr[0];
    return n->kind != NOTICE_EVENT || n->class != 0;
}
