/* Batches and packed replies; batch.h draws their bytes.
 *
 * Everything in them starts at a multiple of 4, and both end with zeros up to the last whole word. Reading accepts exactly
 * what writing makes: the magic, padding of zeros, counts that fit, at least one argument in each command, no bytes left
 * over. Every node reads every command. So a batch is unpacked in one pass that touches no byte of an argument: arguments
 * point into the value. */
#include "core/formats/batch.h"

#include "core/base/cursor.h"
#include "core/base/memory.h"

enum {
    BATCH_MAGIC = 0x33304253,   /* "SB03" */
    EARLIER_MAGIC = 0x32304253, /* "SB02": as "SB03", with 8 bytes instead of the stamp */
    REPLIES_MAGIC = 0x31305253, /* "SR01" */
    COMMAND_SIZE_MIN = 8,       /* argc and one length */
    REPLY_HEADER_SIZE = 8,      /* tag and length */
    COUNT_AT = 4,
    ID_AT = 8,
    PORT_NUMBER_AT = 28,
    STAMP_AT = 32,
    SEED_AT = STAMP_AT + STAMP_SIZE,
};

static size_t padded(size_t len) { return (len + 3) & ~(size_t)3; }

/* ---- The builder ---- */

/* Room for `len` more bytes. The caller fills it before it calls the builder again. */
static uint8_t *builder_room(struct batch_builder *b, size_t len)
{
    invariant(len <= UINT32_MAX - 8 - b->len);
    b->words = memory_reserve(b->words, &b->capacity, words_for(b->len + len), sizeof *b->words);
    uint8_t *room = (uint8_t *)b->words + b->len;
    b->len += len;
    return room;
}

static void builder_begin(struct batch_builder *b, uint32_t magic, size_t header_size)
{
    b->len = 0;
    b->count = 0;
    uint8_t *header = builder_room(b, header_size);
    memset(header, 0, header_size);
    cursor_store_u32(header, magic);
}

static struct payload builder_end(struct batch_builder *b)
{
    uint8_t *bytes = (uint8_t *)b->words;
    size_t words = words_for(b->len);
    cursor_store_u32(bytes + COUNT_AT, b->count);
    if (b->len % 8 != 0)
        cursor_store_u32(bytes + b->len, 0); /* lengths are multiples of 4 */
    return (struct payload){.words = {b->words, words}, .len = (uint32_t)b->len};
}

/* Copies `bytes` to `to`, pads them with zeros to a multiple of 4, and returns the end. */
static uint8_t *put_padded(uint8_t *to, struct bytes bytes)
{
    size_t room = padded(bytes.len);
    if (room == 0)
        return to;
    cursor_store_u32(to + room - 4, 0);
    memcpy(to, bytes.ptr, bytes.len);
    return to + room;
}

void batch_begin(struct batch_builder *b) { builder_begin(b, BATCH_MAGIC, BATCH_HEADER_SIZE); }

void batch_add(struct batch_builder *b, const struct bytes *args, size_t argc)
{
    invariant(argc > 0 && argc <= UINT32_MAX / 4 - 1);
    uint64_t size = 4 + 4 * (uint64_t)argc;
    for (size_t i = 0; i < argc; i++)
        size += args[i].len;
    invariant(size <= UINT32_MAX - 3);
    if (b->len == 0)
        batch_begin(b);
    uint8_t *at = builder_room(b, padded((size_t)size));

    cursor_store_u32(at + padded((size_t)size) - 4, 0); /* padding, if there is any; argument bytes overwrite the rest */
    cursor_store_u32(at, (uint32_t)argc);
    at += 4;
    for (size_t i = 0; i < argc; i++, at += 4)
        cursor_store_u32(at, (uint32_t)args[i].len);
    for (size_t i = 0; i < argc; i++) {
        if (args[i].len > 0)
            memcpy(at, args[i].ptr, args[i].len);
        at += args[i].len;
    }
    b->count++;
}

struct payload batch_end(struct batch_builder *b)
{
    if (b->len == 0)
        batch_begin(b);
    return builder_end(b);
}

void batch_builder_free(struct batch_builder *b)
{
    free(b->words);
    *b = (struct batch_builder){0};
}

/* ---- Reading batches ---- */

static struct stamp read_stamp(struct read_cursor *c)
{
    struct stamp stamp;
    stamp.moment.elapsed = cursor_read_u64(c);
    stamp.moment.unix = cursor_read_u64(c);
    stamp.ballot.round = cursor_read_u64(c);
    stamp.ballot.node = cursor_read_u32(c);
    stamp.ballot.incarnation = cursor_read_u32(c);
    return stamp;
}

static void store_stamp(uint8_t *at, struct stamp stamp)
{
    cursor_store_u64(at, stamp.moment.elapsed);
    cursor_store_u64(at + 8, stamp.moment.unix);
    cursor_store_u64(at + 16, stamp.ballot.round);
    cursor_store_u32(at + 24, stamp.ballot.node);
    cursor_store_u32(at + 28, stamp.ballot.incarnation);
}

/* Reads the bytes of a header; the cursor is then after it. */
static bool header_read(struct read_cursor *c, struct batch_header *header)
{
    uint32_t magic = cursor_read_u32(c);
    header->count = cursor_read_u32(c);
    header->id.origin = cursor_read_node(c);
    header->id.incarnation = cursor_read_u32(c);
    header->id.number = cursor_read_u64(c);
    header->answerer = cursor_read_node(c);
    header->port_number = cursor_read_u32(c);
    header->has_stamp = magic == BATCH_MAGIC;
    header->stamp = (struct stamp){0};
    if (header->has_stamp)
        header->stamp = read_stamp(c);
    else
        cursor_read_u64(c);
    header->seed.low = cursor_read_u64(c);
    header->seed.high = cursor_read_u64(c);
    const bool known = header->has_stamp || (magic == EARLIER_MAGIC && header->port_number == 0);
    return !c->failed && known && header->count <= cursor_left(c) / COMMAND_SIZE_MIN;
}

bool batch_header_read(const struct payload *value, struct batch_header *header)
{
    struct read_cursor c = cursor_over_words(value->words, value->len);
    return header_read(&c, header);
}

void batch_header_stamp(struct payload *value, struct batch_id id, uint32_t answerer)
{
    struct write_cursor c = cursor_into(payload_bytes(value), PORT_NUMBER_AT);
    cursor_room(&c, ID_AT);
    cursor_write_u32(&c, id.origin);
    cursor_write_u32(&c, id.incarnation);
    cursor_write_u64(&c, id.number);
    cursor_write_u32(&c, answerer);
    invariant(value->len >= STAMP_AT && cursor_full(&c));
}

void batch_port_stamp(struct payload *value, uint32_t number)
{
    invariant(value->len >= BATCH_HEADER_SIZE);
    cursor_store_u32(payload_bytes(value) + PORT_NUMBER_AT, number);
}

void batch_time_stamp(struct payload *value, struct stamp stamp)
{
    if (value->len >= BATCH_HEADER_SIZE && cursor_load_u32(payload_bytes(value)) == BATCH_MAGIC)
        store_stamp(payload_bytes(value) + STAMP_AT, stamp);
}

void batch_stale_stamp(struct payload *value, uint32_t age_ms)
{
    batch_time_stamp(value, (struct stamp){.moment.elapsed = (uint64_t)age_ms + 1});
}

bool batch_may_be_stale(const struct payload *value, uint64_t *age_us)
{
    struct batch_header header;
    if (!batch_header_read(value, &header) || header.stamp.moment.elapsed == 0 || header.id.number != 0)
        return false;
    *age_us = (header.stamp.moment.elapsed - 1) * 1000;
    return true;
}

struct payload stamp_pack(struct stamp stamp, uint64_t words[STAMP_SIZE / 8])
{
    store_stamp((uint8_t *)words, stamp);
    return (struct payload){.words = {words, STAMP_SIZE / 8}, .len = STAMP_SIZE};
}

bool stamp_read(const struct entry *entry, struct stamp *stamp)
{
    struct batch_header header;
    if (entry->kind == ENTRY_NOOP && entry->value.len == STAMP_SIZE) {
        struct read_cursor c = cursor_over_words(entry->value.words, entry->value.len);
        *stamp = read_stamp(&c);
        return true;
    }
    const bool is_batch = entry->kind == ENTRY_COMMANDS && batch_header_read(&entry->value, &header) && header.has_stamp;
    *stamp = is_batch ? header.stamp : (struct stamp){0};
    return is_batch;
}

void batch_seed_stamp(struct payload *value, struct seed seed)
{
    invariant(value->len >= BATCH_HEADER_SIZE);
    cursor_store_u64(payload_bytes(value) + SEED_AT, seed.low);
    cursor_store_u64(payload_bytes(value) + SEED_AT + 8, seed.high);
}

/* Reads one command; its arguments follow those in use. Its list of arguments is not set yet, because the array may still
 * move. */
static bool command_read(struct read_cursor *c, struct batch_commands *commands, size_t *args_used)
{
    uint32_t argc = cursor_read_u32(c);
    if (argc == 0 || argc > cursor_left(c) / 4)
        return false;
    const uint8_t *lengths = cursor_take(c, 4 * (size_t)argc);
    commands->args = memory_reserve(commands->args, &commands->args_capacity, *args_used + argc, sizeof(struct bytes));
    struct bytes *args = commands->args + *args_used;
    for (uint32_t i = 0; i < argc; i++) {
        uint32_t len = cursor_load_u32(lengths + 4 * (size_t)i);
        const uint8_t *bytes = cursor_take(c, len);
        if (!bytes)
            return false;
        args[i] = (struct bytes){(uint8_t *)(uintptr_t)bytes, len};
    }
    cursor_read_padding(c, 4);
    commands->commands[commands->count++].args.len = argc;
    *args_used += argc;
    return !c->failed;
}

bool batch_commands_read(struct batch_commands *commands, const struct payload *value)
{
    struct read_cursor c = cursor_over_words(value->words, value->len);
    struct batch_header header;
    commands->count = 0;
    if (!header_read(&c, &header))
        return false;
    commands->commands = memory_reserve(commands->commands, &commands->capacity, header.count, sizeof *commands->commands);

    size_t args_used = 0;
    for (uint32_t i = 0; i < header.count; i++)
        if (!command_read(&c, commands, &args_used)) {
            commands->count = 0;
            return false;
        }
    if (!cursor_finished(&c)) {
        commands->count = 0;
        return false;
    }
    struct bytes *args = commands->args;
    for (size_t i = 0; i < commands->count; i++) {
        commands->commands[i].args.ptr = args;
        args += commands->commands[i].args.len;
    }
    return true;
}

void batch_commands_free(struct batch_commands *commands)
{
    free(commands->commands);
    free(commands->args);
    *commands = (struct batch_commands){0};
}

/* ---- Replies ---- */

static void pack_bytes(struct batch_builder *b, uint32_t tag, struct bytes bytes)
{
    invariant(bytes.len <= UINT32_MAX - 16);
    uint8_t *at = builder_room(b, REPLY_HEADER_SIZE + padded(bytes.len));
    cursor_store_u32(at, tag);
    cursor_store_u32(at + 4, (uint32_t)bytes.len);
    put_padded(at + REPLY_HEADER_SIZE, bytes);
}

static void pack_integer(struct batch_builder *b, int64_t integer)
{
    uint8_t *at = builder_room(b, REPLY_HEADER_SIZE + sizeof integer);
    cursor_store_u32(at, REPLY_INTEGER);
    cursor_store_u32(at + 4, sizeof integer);
    cursor_store_u64(at + REPLY_HEADER_SIZE, (uint64_t)integer);
}

static void pack_scalar(struct batch_builder *b, const struct scalar *scalar)
{
    invariant(scalar->tag < REPLY_ARRAY);
    if (scalar->tag == REPLY_INTEGER)
        pack_integer(b, scalar->val.integer);
    else
        pack_bytes(b, scalar->tag, scalar->tag == REPLY_NIL ? (struct bytes){0} : scalar->val.bytes);
}

static void pack_head(struct batch_builder *b, size_t elements)
{
    invariant(elements <= UINT32_MAX / REPLY_HEADER_SIZE);
    uint8_t *at = builder_room(b, REPLY_HEADER_SIZE);
    cursor_store_u32(at, REPLY_ARRAY);
    cursor_store_u32(at + 4, (uint32_t)elements);
}

static void pack_array(struct batch_builder *b, const struct scalar_list *array)
{
    pack_head(b, array->len);
    for (size_t i = 0; i < array->len; i++)
        pack_scalar(b, &array->ptr[i]);
}

void replies_begin(struct batch_builder *b) { builder_begin(b, REPLIES_MAGIC, REPLIES_HEADER_SIZE); }

static bool is_nil(uint8_t tag) { return tag == REPLY_NIL || tag == REPLY_NIL_ARRAY; }

void replies_add_element(struct batch_builder *b, const struct reply *reply)
{
    invariant(reply->tag < REPLY_TAGS);
    if (reply->tag == REPLY_ARRAY)
        pack_array(b, &reply->val.array);
    else if (reply->tag == REPLY_INTEGER)
        pack_integer(b, reply->val.integer);
    else
        pack_bytes(b, reply->tag, is_nil(reply->tag) ? (struct bytes){0} : reply->val.bytes);
}

void replies_add(struct batch_builder *b, const struct reply *reply)
{
    replies_add_element(b, reply);
    b->count++;
}

void replies_add_array(struct batch_builder *b, size_t elements)
{
    pack_head(b, elements);
    b->count++;
}

void replies_add_packed(struct batch_builder *b, struct bytes packed)
{
    memcpy(builder_room(b, packed.len), packed.ptr, packed.len);
    b->count++;
}

struct payload replies_end(struct batch_builder *b) { return builder_end(b); }

struct payload replies_pack(struct batch_builder *b, const struct reply *replies, size_t count)
{
    replies_begin(b);
    for (size_t i = 0; i < count; i++)
        replies_add(b, &replies[i]);
    return replies_end(b);
}

/* Reads one item; of an array, only its head. */
static bool item_read(struct read_cursor *c, struct reply_item *item)
{
    *item = (struct reply_item){0};
    uint32_t tag = cursor_read_u32(c);
    uint32_t len = cursor_read_u32(c);
    if (c->failed || tag >= REPLY_TAGS)
        return false;
    item->tag = (uint8_t)tag;
    if (tag == REPLY_ARRAY) {
        item->elements = len;
        return len <= cursor_left(c) / REPLY_HEADER_SIZE;
    }
    if (tag == REPLY_INTEGER) {
        item->integer = (int64_t)cursor_read_u64(c);
        return !c->failed && len == sizeof item->integer;
    }
    item->bytes = (struct bytes){(uint8_t *)(uintptr_t)cursor_take(c, len), len};
    cursor_read_padding(c, 4);
    return !c->failed && (!is_nil(item->tag) || len == 0);
}

static bool scalars_skip(struct read_cursor *c, uint32_t count)
{
    struct reply_item scalar;
    for (uint32_t i = 0; i < count; i++)
        if (!item_read(c, &scalar) || scalar.tag >= REPLY_ARRAY)
            return false;
    return true;
}

/* Skips the elements of an array. A reader of its head may then rely on that many replies after it. */
static bool elements_skip(struct read_cursor *c, uint32_t elements)
{
    struct reply_item element;
    for (uint32_t i = 0; i < elements; i++)
        if (!item_read(c, &element) || (element.tag == REPLY_ARRAY && !scalars_skip(c, element.elements)))
            return false;
    return true;
}

/* A cursor after the header; failed if there is no header. */
static struct read_cursor replies_open(const struct payload *replies, uint32_t *count)
{
    struct read_cursor c = cursor_over_words(replies->words, replies->len);
    if (cursor_read_u32(&c) != REPLIES_MAGIC)
        cursor_fail(&c);
    *count = cursor_read_u32(&c);
    return c;
}

bool replies_next(const struct payload *replies, size_t *offset, struct reply_item *item)
{
    uint32_t count;
    struct read_cursor c = replies_open(replies, &count);
    if (c.failed || (*offset > 0 && *offset < c.at) || *offset >= c.len)
        return false;
    if (*offset > 0)
        c.at = *offset;
    if (!item_read(&c, item))
        return false;
    size_t behind = c.at;
    if (item->tag == REPLY_ARRAY && !elements_skip(&c, item->elements))
        return false;
    *offset = behind;
    return true;
}

bool reply_is_packed(struct bytes bytes)
{
    struct read_cursor c = cursor_over(bytes.ptr, bytes.len);
    struct reply_item item;
    return item_read(&c, &item) && (item.tag != REPLY_ARRAY || elements_skip(&c, item.elements)) && cursor_finished(&c);
}

uint32_t replies_count(const struct payload *replies)
{
    uint32_t count;
    struct read_cursor c = replies_open(replies, &count);
    struct reply_item item;
    if (count > cursor_left(&c) / REPLY_HEADER_SIZE)
        return 0;
    for (uint32_t i = 0; i < count; i++)
        if (!item_read(&c, &item) || (item.tag == REPLY_ARRAY && !elements_skip(&c, item.elements)))
            return 0;
    return cursor_finished(&c) ? count : 0;
}
