#include "core/agents/execution.h"

#include "core/base/checksum.h"
#include "core/base/memory.h"

/* What the state machine gets at a time: limits.apply commands, and limits.apply_bytes of arguments (one command at least).
 * Each argument counts at least ARGUMENT_BYTES. When the machine stops early it gets the rest again. So giving must be cheap
 * compared with the work after which it stops. */
enum { ARGUMENT_BYTES = 32 };

/* All packed replies of a batch must fit into memory and into a frame: limits.replies_bytes. (One reply of the kv-store has
 * a little more than 8 MiB at most.) Each command has a small share, a quarter of the limit in all. The rest is for longer
 * replies, in order. A command whose reply would go beyond is not executed. */
enum { SMALL_MAX = 1024 };

void execution_init(struct execution *x, const struct node_config *config)
{
    *x = (struct execution){.limits = limits_effective(&config->limits), .machine = state_machine_new()};
    if (config->state_bytes_max != 0)
        state_machine_start(x->machine, config->state_bytes_max, x->limits.call_work);
}

void execution_close(struct execution *x)
{
    for (size_t i = 0; i < x->count; i++)
        payload_free(&x->entries[i].value);
    free(x->entries);
    batch_commands_free(&x->commands);
    batch_builder_free(&x->replies);
    state_machine_free(x->machine);
}

void execution_begin(struct execution *x)
{
    x->work = 0;
    if (x->first == 0)
        return;
    for (size_t i = 0; i < x->first; i++)
        payload_free(&x->entries[i].value);
    x->count -= x->first;
    memmove(x->entries, x->entries + x->first, x->count * sizeof *x->entries);
    x->first = 0;
}

void execution_add(struct execution *x, const struct entry *entries, size_t count)
{
    x->entries = memory_reserve(x->entries, &x->capacity, x->count + count, sizeof *x->entries);
    for (size_t i = 0; i < count; i++) {
        struct entry *added = &x->entries[x->count++];
        *added = entries[i];
        added->value = payload_copy(&entries[i].value);
    }
}

const struct entry *execution_next(const struct execution *x) { return x->first < x->count ? &x->entries[x->first] : NULL; }

bool execution_is_fresh(const struct execution *x) { return !x->begun; }

static bool is_newer_batch(struct batch_id id, struct batch_id last)
{
    bool other_life = id.incarnation != last.incarnation;
    return other_life ? id.incarnation > last.incarnation : id.number > last.number;
}

static struct reply_room room_for(uint64_t replies_bytes, size_t commands)
{
    uint64_t share = replies_bytes / 4 / (commands + 1);
    uint64_t small = share > SMALL_MAX ? SMALL_MAX : share < REPLY_SMALL_MIN ? REPLY_SMALL_MIN : share;
    uint64_t reserved = small * commands;
    return (struct reply_room){.large = reserved < replies_bytes ? replies_bytes - reserved : 0, .small = (uint32_t)small};
}

/* Begins a batch. False: the entry is no batch, or it was executed before. Then it changes nothing, on all learners
 * alike. */
static bool begin_batch(struct execution *x, const struct entry *e)
{
    struct batch_header *h = &x->header;
    if (!batch_header_read(&e->value, h) || h->id.origin > NODE_ID_MAX || !is_newer_batch(h->id, x->last[h->id.origin]) ||
        !batch_commands_read(&x->commands, &e->value))
        return false;
    x->last[h->id.origin] = h->id;
    if (!x->seeded)
        state_machine_seed(x->machine, h->seed.low, h->seed.high);
    x->seeded = true;
    x->begun = true;
    x->applied = 0;
    replies_begin(&x->replies);
    x->room = room_for(x->limits.replies_bytes, x->commands.count);
    return true;
}

/* Packs a reply. If a state machine went beyond its room, the command is executed but cannot be answered; the reply says
 * so. */
static void add_reply(struct execution *x, const struct reply *r)
{
    static const char text[] = "ERR executed, but the state machine's reply is larger than it may be";
    const struct reply too_large = {.tag = REPLY_ERROR, .val.bytes = {(uint8_t *)(uintptr_t)text, sizeof text - 1}};
    uint64_t size = reply_size(r);
    bool large = size > x->room.small, fits = !large || size <= x->room.large;
    if (large && fits)
        x->room.large -= size;
    replies_add(&x->replies, fits ? r : &too_large);
}

/* How many of the remaining commands the state machine gets now. */
static size_t commands_to_give(const struct execution *x)
{
    const struct batch_commands *all = &x->commands;
    size_t end = x->applied;
    uint64_t bytes = 0;
    while (end < all->count && end - x->applied < x->limits.apply) {
        const struct bytes_list *args = &all->commands[end].args;
        for (size_t i = 0; i < args->len && bytes <= x->limits.apply_bytes; i++)
            bytes += ARGUMENT_BYTES + args->ptr[i].len;
        if (bytes > x->limits.apply_bytes && end > x->applied)
            break;
        end++;
    }
    return end - x->applied;
}

/* Goes on with the batch. True: all its commands are executed. */
static bool apply_batch(struct execution *x)
{
    const struct batch_commands *all = &x->commands;
    while (x->applied < all->count && x->work < x->limits.step_work) {
        size_t before = x->replies.len, some = commands_to_give(x);
        struct applied done = state_machine_apply(x->machine, all->commands + x->applied, some, x->room);
        invariant(done.replies.len > 0 && done.replies.len <= some);
        for (size_t i = 0; i < done.replies.len; i++)
            add_reply(x, &done.replies.ptr[i]);
        x->applied += done.replies.len;
        x->work += x->replies.len - before + done.work;
    }
    return x->applied == all->count;
}

static void end_batch(struct execution *x, const struct entry *e, struct executed *done)
{
    x->begun = false;
    done->batch = x->header;
    done->replies = replies_end(&x->replies);
    x->commands_executed += x->commands.count;
    x->state_hash = checksum(payload_bytes(&e->value), e->value.len, x->state_hash);
    x->state_hash = checksum(payload_bytes(&done->replies), done->replies.len, x->state_hash);
}

bool execution_run(struct execution *x, struct executed *done)
{
    struct entry *e = &x->entries[x->first];
    *done = (struct executed){.entry = e};
    if (x->work >= x->limits.step_work)
        return false;
    if (e->kind == ENTRY_COMMANDS) {
        done->skipped = !x->begun && !begin_batch(x, e);
        if (!done->skipped && !apply_batch(x))
            return false;
        if (!done->skipped)
            end_batch(x, e, done);
    }
    x->work += e->value.len;
    x->first++;
    return true;
}
