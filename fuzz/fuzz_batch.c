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
        batch_port_stamp(&again, header.port_number);
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

/* The next reply, an array of scalars among them, whose elements go into `scalars`. */
static struct reply read_reply(const struct payload *packed, size_t *offset, const struct reply_item *head,
                               struct scalar *scalars)
{
    struct reply reply;
    struct reply_item item;
    set_reply(&reply, head);
    if (head->tag != REPLY_ARRAY)
        return reply;
    reply.val.array = (struct scalar_list){scalars, head->elements};
    for (uint32_t i = 0; i < head->elements; i++) {
        invariant(replies_next(packed, offset, &item));
        set_scalar(&scalars[i], &item);
    }
    return reply;
}

/* Adds the next reply to `b`: an array as that of a transaction, whose elements may be arrays. */
static void add_again(struct batch_builder *b, const struct payload *packed, size_t *offset, struct scalar *scalars)
{
    struct reply_item item, element;
    struct reply reply;
    invariant(replies_next(packed, offset, &item));
    if (item.tag != REPLY_ARRAY) {
        set_reply(&reply, &item);
        replies_add(b, &reply);
        return;
    }
    replies_add_array(b, item.elements);
    for (uint32_t i = 0; i < item.elements; i++) {
        invariant(replies_next(packed, offset, &element));
        reply = read_reply(packed, offset, &element, scalars);
        replies_add_element(b, &reply);
    }
}

static void check_replies(const struct payload *packed)
{
    struct reply_item item;
    size_t offset = 0, items = 0;
    while (replies_next(packed, &offset, &item))
        items++;
    const uint32_t count = replies_count(packed);
    if (count == 0)
        return;
    struct scalar *scalars = memory_new(items, sizeof *scalars);
    struct batch_builder b = {0};
    replies_begin(&b);
    offset = 0;
    for (uint32_t i = 0; i < count; i++)
        add_again(&b, packed, &offset, scalars);
    invariant(offset == packed->len);
    const struct payload again = replies_end(&b);
    invariant(again.len == packed->len && memcmp(again.words.ptr, packed->words.ptr, packed->words.len * 8) == 0);
    batch_builder_free(&b);
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
