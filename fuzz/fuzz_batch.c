/* Any bytes as a batch and as packed replies: what is accepted, built again from its parts, gives the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_batch(const struct payload *value)
{
    struct batch_commands read = {0};
    struct batch_builder b = {0};
    struct batch_header header;
    if (batch_commands_read(&read, value) && batch_header_read(value, &header) && header.has_stamp) {
        invariant(header.count == read.count);
        batch_begin(&b);
        for (size_t i = 0; i < read.count; i++)
            batch_add(&b, read.commands[i].args.ptr, read.commands[i].args.len);
        struct payload again = batch_end(&b);
        batch_header_stamp(&again, header.id, header.answerer);
        batch_time_stamp(&again, header.stamp);
        batch_seed_stamp(&again, header.seed);
        invariant(again.len == value->len && memcmp(again.words.ptr, value->words.ptr, value->words.len * 8) == 0);
    }
    batch_commands_free(&read);
    batch_builder_free(&b);
}

static void set_scalar(struct scalar *scalar, const struct reply_item *item)
{
    invariant(item->tag < REPLY_ARRAY);
    scalar->tag = item->tag;
    if (item->tag == REPLY_INTEGER)
        scalar->val.integer = item->integer;
    else
        scalar->val.bytes = item->bytes;
}

static void set_reply(struct reply *reply, const struct reply_item *item)
{
    reply->tag = item->tag;
    if (item->tag == REPLY_INTEGER)
        reply->val.integer = item->integer;
    else
        reply->val.bytes = item->bytes;
}

/* One reply, its elements included, into `reply` and `scalars`; returns the scalars used. */
static size_t read_reply(const struct payload *packed, size_t *offset, struct reply *reply, struct scalar *scalars)
{
    struct reply_item item;
    invariant(replies_next(packed, offset, &item));
    if (item.tag != REPLY_ARRAY) {
        set_reply(reply, &item);
        return 0;
    }
    reply->tag = REPLY_ARRAY;
    reply->val.array = (struct scalar_list){scalars, item.elements};
    for (uint32_t i = 0; i < reply->val.array.len; i++) {
        invariant(replies_next(packed, offset, &item));
        set_scalar(&scalars[i], &item);
    }
    return reply->val.array.len;
}

static void check_replies(const struct payload *packed)
{
    struct reply_item item;
    size_t offset = 0, items = 0;
    while (replies_next(packed, &offset, &item))
        items++;
    uint32_t count = replies_count(packed);
    if (count == 0)
        return;
    struct reply *replies = memory_new(count, sizeof *replies);
    struct scalar *scalars = memory_new(items, sizeof *scalars);
    size_t used = 0;
    offset = 0;
    for (uint32_t i = 0; i < count; i++)
        used += read_reply(packed, &offset, &replies[i], scalars + used);
    invariant(offset == packed->len && used + count == items);

    struct batch_builder b = {0};
    struct payload again = replies_pack(&b, replies, count);
    invariant(again.len == packed->len && memcmp(again.words.ptr, packed->words.ptr, packed->words.len * 8) == 0);
    batch_builder_free(&b);
    free(replies);
    free(scalars);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t words = words_for(size);
    struct payload payload = {.words = {memory_new(words, sizeof(uint64_t)), words}, .len = (uint32_t)size};
    if (size > 0)
        memcpy(payload.words.ptr, data, size);
    check_batch(&payload);
    check_replies(&payload);
    free(payload.words.ptr);
    return 0;
}
