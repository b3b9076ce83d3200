#include "sim/reference.h"

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/formats/batch.h"
#include "core/state/state_machine.h"

/* A quarter of the room for a batch's replies is shared evenly: each command gets as much as small replies need. The rest is
 * for larger ones, in order. */
enum { SHARED_PART = 4, SMALL_MOST = 1024 };

struct reference {
    struct state_machine *machine;
    uint64_t replies_bytes;
    bool seeded;
    uint64_t hash;
    struct batch_commands commands;
    struct batch_builder replies;
};

struct reference *reference_new(const struct node_config *config)
{
    struct reference *r = memory_new(1, sizeof *r);
    r->machine = state_machine_new();
    state_machine_start(r->machine, config->state_bytes_max, 0);
    r->replies_bytes = limits_effective(&config->limits).replies_bytes;
    return r;
}

void reference_free(struct reference *r)
{
    if (r == NULL)
        return;
    state_machine_free(r->machine);
    batch_commands_free(&r->commands);
    batch_builder_free(&r->replies);
    free(r);
}

static struct reply_room room_of(const struct reference *r)
{
    uint64_t small = r->replies_bytes / SHARED_PART / (r->commands.count + 1);
    if (small < REPLY_SMALL_MIN)
        small = REPLY_SMALL_MIN;
    if (small > SMALL_MOST)
        small = SMALL_MOST;
    uint64_t shared = small * r->commands.count;
    return (struct reply_room){.small = (uint32_t)small, .large = shared < r->replies_bytes ? r->replies_bytes - shared : 0};
}

uint64_t reference_configure(struct reference *r, const struct payload *text)
{
    r->hash = checksum(text->words.ptr, text->len, r->hash);
    return r->hash;
}

uint64_t reference_execute(struct reference *r, const struct payload *batch, uint64_t state_bytes_max)
{
    struct batch_header header;
    bool sound = batch_header_read(batch, &header) && batch_commands_read(&r->commands, batch);
    invariant(sound);
    if (state_bytes_max != 0)
        state_machine_start(r->machine, state_bytes_max, 0);
    if (!r->seeded)
        state_machine_seed(r->machine, header.seed.low, header.seed.high);
    r->seeded = true;
    struct reply_room room = room_of(r);
    replies_begin(&r->replies);
    for (size_t i = 0; i < r->commands.count; i++) {
        const struct applied done = state_machine_apply(r->machine, &r->commands.commands[i], 1, room);
        const uint64_t size = reply_size(&done.replies.ptr[0]);
        invariant(done.replies.len == 1 && (size <= room.small || size <= room.large));
        room.large -= size > room.small ? size : 0;
        replies_add(&r->replies, &done.replies.ptr[0]);
    }
    const struct payload replies = replies_end(&r->replies);
    r->hash = checksum(batch->words.ptr, batch->len, r->hash);
    r->hash = checksum(replies.words.ptr, replies.len, r->hash);
    return r->hash;
}
