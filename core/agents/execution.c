#include "core/agents/execution.h"

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/base/mutant.h"

/* A step ends when it has done limits.step_work: bytes of values and replies, and for each command as much as a small one is
 * worth. */
enum { COMMAND_WORK = 64 };

/* When the packed replies of a batch are larger than limits.replies_bytes, further large replies become errors: all of them
 * have to fit into memory, and into a frame (one reply of the kv-store is at most 8 MiB). Small ones always stay. */
enum { REPLY_SMALL = 1024 };

void execution_init(struct execution *x, const struct limits *limits)
{
    *x = (struct execution){.limits = limits_effective(limits), .machine = state_machine_new()};
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

void execution_settle(struct execution *x)
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
    return id.incarnation != last.incarnation ? id.incarnation > last.incarnation : id.number > last.number;
}

/* Begins a batch. False: it is none, or was executed before; it changes nothing, on every learner alike. */
static bool begin_batch(struct execution *x, const struct entry *e)
{
    struct batch_header *h = &x->header;
    if (!batch_header_read(&e->value, h) || h->id.origin > NODE_ID_MAX ||
        (!is_newer_batch(h->id, x->last[h->id.origin]) && !MUTANT(BATCH_EXECUTED_TWICE)) ||
        !batch_commands_read(&x->commands, &e->value))
        return false;
    x->last[h->id.origin] = h->id;
    x->begun = true;
    x->applied = 0;
    replies_begin(&x->replies);
    return true;
}

static size_t reply_size(const struct reply *r)
{
    if (r->tag == REPLY_ARRAY) {
        size_t size = 0;
        for (size_t i = 0; i < r->val.array.len; i++) {
            const struct scalar *s = &r->val.array.ptr[i];
            size += 8 + (s->tag == REPLY_INTEGER || s->tag == REPLY_NIL ? 0 : s->val.bytes.len);
        }
        return size;
    }
    return r->tag == REPLY_INTEGER || r->tag == REPLY_NIL ? 0 : r->val.bytes.len;
}

static void add_reply(struct execution *x, const struct reply *r)
{
    static const char text[] = "ERR executed, but the replies of its batch are too large";
    const struct reply too_large = {.tag = REPLY_ERROR, .val.bytes = {(uint8_t *)(uintptr_t)text, sizeof text - 1}};
    bool fits = x->replies.len < x->limits.replies_bytes || reply_size(r) <= REPLY_SMALL;
    replies_add(&x->replies, fits ? r : &too_large);
}

/* Goes on with the batch. True: all its commands are executed. */
static bool apply_batch(struct execution *x)
{
    const struct batch_commands *all = &x->commands;
    while (x->applied < all->count && x->work < x->limits.step_work) {
        size_t left = all->count - x->applied, before = x->replies.len;
        size_t some = left < x->limits.apply ? left : x->limits.apply;
        struct reply_list list = state_machine_apply(x->machine, all->commands + x->applied, some);
        invariant(list.len > 0 && list.len <= some);
        for (size_t i = 0; i < list.len; i++)
            add_reply(x, &list.ptr[i]);
        x->applied += list.len;
        x->work += x->replies.len - before + list.len * COMMAND_WORK;
        if (list.len < some)
            x->work = x->limits.step_work; /* it says itself that it has done much */
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
    if (MUTANT(STATE_OF_THE_MOMENT))
        x->state_hash += x->work;
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
