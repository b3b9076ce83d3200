/* One cursor for reading bytes and one for writing them: the only code that moves through a format by hand.
 *
 * Both are bounded by the length they were made with, and both are sticky: the first access that does not fit moves nothing,
 * sets `failed` and exhausts the cursor. From then on reads give zeros and writes do nothing. So a format reads all its
 * fields in a row and asks once, at the end, whether the bytes were there. A count that was read from outside must still be
 * compared with cursor_left() before memory is reserved for it.
 *
 * Numbers are little-endian, at any alignment. */
#ifndef SYNOD_CORE_BASE_CURSOR_H
#define SYNOD_CORE_BASE_CURSOR_H

#include <string.h>

#include "core/base/types.h"

/* Numbers are copied as they lie in memory, and the words of a payload are its bytes. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are little-endian and so must be the machine");

/* ---- Numbers at a place known to be in bounds ---- */

static inline uint32_t cursor_load_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint64_t cursor_load_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline void cursor_store_u32(uint8_t *at, uint32_t value) { memcpy(at, &value, sizeof value); }
static inline void cursor_store_u64(uint8_t *at, uint64_t value) { memcpy(at, &value, sizeof value); }

/* ---- Reading ---- */

struct read_cursor {
    const uint8_t *bytes;
    size_t len;
    size_t at; /* offset of the next byte; never beyond len */
    bool failed;
};

/* A cursor over `len` borrowed bytes (NULL stands for none). */
static inline struct read_cursor cursor_over(const void *bytes, size_t len)
{
    return (struct read_cursor){.bytes = bytes ? bytes : "", .len = bytes ? len : 0, .failed = !bytes && len > 0};
}

/* A cursor over `len` bytes packed into words. It has failed unless there are exactly the words that `len` takes and the
 * unused bytes of the last one are zero. */
static inline struct read_cursor cursor_over_words(struct words words, uint32_t len)
{
    struct read_cursor c = cursor_over(words.ptr, len);
    unsigned used_bits = len % 8 * 8;
    c.failed |= words.len != words_for(len);
    if (!c.failed && used_bits > 0)
        c.failed = words.ptr[words.len - 1] >> used_bits != 0;
    if (c.failed)
        c.len = 0;
    return c;
}

static inline size_t cursor_left(const struct read_cursor *c) { return c->len - c->at; }

/* True when everything was there and nothing is left. */
static inline bool cursor_finished(const struct read_cursor *c) { return !c->failed && c->at == c->len; }

/* Exhausts the cursor, because what was read makes no sense. */
static inline void cursor_fail(struct read_cursor *c)
{
    c->failed = true;
    c->at = c->len;
}

/* The next `len` bytes in place; NULL when fewer are left. */
static inline const uint8_t *cursor_take(struct read_cursor *c, size_t len)
{
    if (__builtin_expect(len > cursor_left(c), 0)) {
        cursor_fail(c);
        return NULL;
    }
    const uint8_t *taken = c->bytes + c->at;
    c->at += len;
    return taken;
}

static inline uint8_t cursor_read_u8(struct read_cursor *c)
{
    const uint8_t *at = cursor_take(c, 1);
    return at ? *at : 0;
}

static inline uint32_t cursor_read_u32(struct read_cursor *c)
{
    const uint8_t *at = cursor_take(c, 4);
    return at ? cursor_load_u32(at) : 0;
}

static inline uint64_t cursor_read_u64(struct read_cursor *c)
{
    const uint8_t *at = cursor_take(c, 8);
    return at ? cursor_load_u64(at) : 0;
}

/* Skips `len` bytes that must be zero. */
static inline void cursor_read_zeros(struct read_cursor *c, size_t len)
{
    const uint8_t *at = cursor_take(c, len);
    for (size_t i = 0; at && i < len; i++)
        if (at[i] != 0) {
            cursor_fail(c);
            return;
        }
}

/* Skips zeros up to the next offset that is a multiple of `alignment` (a power of two). */
static inline void cursor_read_padding(struct read_cursor *c, size_t alignment)
{
    cursor_read_zeros(c, (0 - c->at) & (alignment - 1));
}

/* A number below `limit`, in one byte; anything else fails and gives 0. Meant for kinds, which become discriminants. */
static inline uint8_t cursor_read_kind(struct read_cursor *c, unsigned limit)
{
    uint8_t kind = cursor_read_u8(c);
    if (kind < limit)
        return kind;
    cursor_fail(c);
    return 0;
}

/* A node number. One above NODE_ID_MAX fits no node set: it fails and gives 0. */
static inline uint32_t cursor_read_node(struct read_cursor *c)
{
    uint32_t node = cursor_read_u32(c);
    if (node <= NODE_ID_MAX)
        return node;
    cursor_fail(c);
    return 0;
}

static inline struct ballot cursor_read_ballot(struct read_cursor *c)
{
    struct ballot ballot = {.round = cursor_read_u64(c)};
    ballot.node = cursor_read_node(c);
    ballot.incarnation = cursor_read_u32(c);
    return ballot;
}

/* `len` bytes and zeros up to the next multiple of 8, as a payload that points to them in place. The bytes must be 8-aligned
 * in memory. After a failure the payload is empty. */
static inline struct payload cursor_read_payload(struct read_cursor *c, uint32_t len)
{
    struct payload payload = {.words = {NULL, 0}, .len = 0};
    const uint8_t *at = cursor_take(c, len);
    cursor_read_padding(c, 8);
    if (c->failed || len == 0)
        return payload;
    if ((uintptr_t)at % 8 != 0) {
        cursor_fail(c);
        return payload;
    }
    payload.words.ptr = (uint64_t *)(uintptr_t)at;
    payload.words.len = words_for(len);
    payload.len = len;
    return payload;
}

/* ---- Writing ---- */

struct write_cursor {
    uint8_t *bytes;
    size_t len;
    size_t at; /* offset of the next byte; never beyond len */
    bool failed;
};

/* A cursor that fills `len` bytes of the caller's. */
static inline struct write_cursor cursor_into(void *bytes, size_t len)
{
    return (struct write_cursor){.bytes = bytes, .len = bytes ? len : 0, .failed = !bytes && len > 0};
}

/* True when exactly the bytes that the cursor was made for are written. */
static inline bool cursor_full(const struct write_cursor *c) { return !c->failed && c->at == c->len; }

/* Room for the next `len` bytes, to be filled by the caller; NULL when there is none (or nothing is asked for). */
static inline uint8_t *cursor_room(struct write_cursor *c, size_t len)
{
    if (__builtin_expect(len > c->len - c->at, 0)) {
        c->failed = true;
        c->at = c->len;
        return NULL;
    }
    if (len == 0)
        return NULL;
    uint8_t *room = c->bytes + c->at;
    c->at += len;
    return room;
}

static inline void cursor_write_u8(struct write_cursor *c, uint8_t value)
{
    uint8_t *at = cursor_room(c, 1);
    if (at)
        *at = value;
}

static inline void cursor_write_u32(struct write_cursor *c, uint32_t value)
{
    uint8_t *at = cursor_room(c, 4);
    if (at)
        cursor_store_u32(at, value);
}

static inline void cursor_write_u64(struct write_cursor *c, uint64_t value)
{
    uint8_t *at = cursor_room(c, 8);
    if (at)
        cursor_store_u64(at, value);
}

static inline void cursor_write_bytes(struct write_cursor *c, const void *bytes, size_t len)
{
    uint8_t *at = cursor_room(c, len);
    if (at)
        memcpy(at, bytes, len);
}

static inline void cursor_write_zeros(struct write_cursor *c, size_t len)
{
    uint8_t *at = cursor_room(c, len);
    if (at)
        memset(at, 0, len);
}

/* Zeros up to the next offset that is a multiple of `alignment` (a power of two). */
static inline void cursor_write_padding(struct write_cursor *c, size_t alignment)
{
    cursor_write_zeros(c, (0 - c->at) & (alignment - 1));
}

static inline void cursor_write_ballot(struct write_cursor *c, struct ballot ballot)
{
    cursor_write_u64(c, ballot.round);
    cursor_write_u32(c, ballot.node);
    cursor_write_u32(c, ballot.incarnation);
}

/* The bytes of a payload and zeros up to the next multiple of 8. */
static inline void cursor_write_payload(struct write_cursor *c, const struct payload *payload)
{
    cursor_write_bytes(c, payload->words.ptr, payload->len);
    cursor_write_padding(c, 8);
}

#endif
