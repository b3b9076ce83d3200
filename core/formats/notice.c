#include "core/formats/notice.h"

#include "core/formats/command_name.h"

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

static bool is_named(const struct bytes *word, const struct bytes *name)
{
    return word->len == name->len && command_name(word->ptr, word->len) == command_name(name->ptr, name->len);
}

static struct publication malformed(const char *error)
{
    return (struct publication){.kind = PUBLICATION_MALFORMED, .error = error};
}

struct publication publication_read(const struct bytes_list *args)
{
    struct publication p = {.kind = PUBLICATION_NONE};
    if (args->len == 0)
        return p;
    if (is_named(&args->ptr[0], &commands[0].name))
        p.kind = PUBLICATION;
    else if (is_named(&args->ptr[0], &commands[1].name))
        p.kind = PUBLICATION_OF_SHARD;
    else
        return p;
    if (args->len != 3)
        return malformed(p.kind == PUBLICATION ? "ERR wrong number of arguments for 'publish' command"
                                               : "ERR wrong number of arguments for 'spublish' command");
    if (args->ptr[1].len > CHANNEL_NAME_MAX)
        return malformed("ERR the name of a channel has 4096 bytes at most");
    p.channel = args->ptr[1];
    p.message = args->ptr[2];
    return p;
}

void notice_add(struct batch_builder *b, const struct notice *n)
{
    uint8_t kind = n->kind;
    const struct bytes args[] = {{&kind, 1}, n->channel, n->message};
    batch_add(b, args, kind == NOTICE_MISSED ? 1 : 3);
}

bool notice_read(const struct command *c, struct notice *n)
{
    const struct bytes_list *args = &c->args;
    if (args->len == 0 || args->ptr[0].len != 1)
        return false;
    *n = (struct notice){.kind = args->ptr[0].ptr[0]};
    if (n->kind == NOTICE_MISSED)
        return args->len == 1;
    if (args->len != 3 || (n->kind != NOTICE_MESSAGE && n->kind != NOTICE_SHARD_MESSAGE))
        return false;
    n->channel = args->ptr[1];
    n->message = args->ptr[2];
    return true;
}
