/* A state machine of two commands, ADD n and SUM, as a stranger might write one against core/state/state_machine.h. With
 * TINY_CLOCK it adds what the clock says instead, which no state machine may: it must be refused. */
#ifdef TINY_CLOCK
#include "world.h"
#endif

#include "core/base/memory.h"
#include "core/formats/decimal.h"
#include "core/state/state_machine.h"

struct state_machine {
    int64_t sum;
    int64_t saved; /* what it was when the snapshot began */
    struct reply *replies;
    size_t capacity;
};

static struct bytes text(const char *words) { return (struct bytes){(uint8_t *)(uintptr_t)words, strlen(words)}; }

struct state_machine *state_machine_new(void) { return memory_new(1, sizeof(struct state_machine)); }

void state_machine_free(struct state_machine *m)
{
    free(m->replies);
    free(m);
}

void state_machine_start(struct state_machine *m, uint64_t state_bytes_max, uint32_t call_work)
{
    (void)m;
    (void)state_bytes_max; /* it has eight */
    (void)call_work;
}

void state_machine_seed(struct state_machine *m, uint64_t low, uint64_t high)
{
    (void)m;
    (void)low;
    (void)high;
}

bool state_machine_tell_events(struct state_machine *m, bool on)
{
    (void)m;
    (void)on;
    return false;
}

static bool is(const struct bytes *word, const char *lower)
{
    for (size_t i = 0; i < word->len; i++)
        if ((word->ptr[i] | 0x20) != lower[i])
            return false;
    return lower[word->len] == '\0';
}

static struct reply apply_one(struct state_machine *m, const struct command *c, bool changes)
{
    int64_t n;
    if (c->args.len == 1 && c->args.ptr[0].len == 3 && is(&c->args.ptr[0], "sum"))
        return (struct reply){.tag = REPLY_INTEGER, .val.integer = m->sum};
    if (!changes || c->args.len != 2 || c->args.ptr[0].len != 3 || !is(&c->args.ptr[0], "add") ||
        !decimal_read(c->args.ptr[1].ptr, c->args.ptr[1].len, &n))
        return (struct reply){.tag = REPLY_ERROR, .val.bytes = text("ERR commands are ADD n and SUM")};
#ifdef TINY_CLOCK
    wasi_clocks_wall_clock_datetime_t now;
    wasi_clocks_wall_clock_now(&now);
    n = now.nanoseconds;
#endif
    m->sum = (int64_t)((uint64_t)m->sum + (uint64_t)n);
    return (struct reply){.tag = REPLY_INTEGER, .val.integer = m->sum};
}

static struct applied apply_all(struct state_machine *m, const struct command *commands, size_t count, bool change)
{
    m->replies = memory_reserve(m->replies, &m->capacity, count, sizeof *m->replies);
    for (size_t i = 0; i < count; i++)
        m->replies[i] = apply_one(m, &commands[i], change);
    return (struct applied){.replies = {m->replies, count}, .work = count * 100, .due = DUE_NEVER};
}

struct applied state_machine_apply(struct state_machine *m, struct moment now, const struct command *commands, size_t count,
                                   struct reply_room room)
{
    (void)now;
    (void)room; /* its replies are small */
    return apply_all(m, commands, count, true);
}

struct applied state_machine_query(struct state_machine *m, struct moment now, const struct command *commands, size_t count,
                                   struct reply_room room)
{
    (void)now;
    (void)room;
    return apply_all(m, commands, count, false);
}

struct command_info_list state_machine_describe(struct state_machine *m)
{
    static struct command_info infos[2];
    (void)m;
    infos[0] = (struct command_info){.name = text("add"), .arity = 2};
    infos[1] = (struct command_info){.name = text("sum"), .arity = 1, .read_only = true};
    return (struct command_info_list){infos, 2};
}

uint64_t state_machine_size(struct state_machine *m)
{
    (void)m;
    return sizeof m->sum;
}

void state_machine_snapshot_begin(struct state_machine *m) { m->saved = m->sum; }

struct snapshot_chunk state_machine_snapshot_save(struct state_machine *m)
{
    return (struct snapshot_chunk){{(uint8_t *)&m->saved, sizeof m->saved}, true};
}

bool state_machine_snapshot_load(struct state_machine *m, struct bytes chunk, bool first, bool last, const char **error)
{
    *error = "not a sum";
    if (!first || !last || chunk.len != sizeof m->sum)
        return false;
    memcpy(&m->sum, chunk.ptr, sizeof m->sum);
    return true;
}
