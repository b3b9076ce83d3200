/* Sectors, each written once and counted by those that hold it, and the contents of files: lists of them. */
#include "core/base/memory.h"
#include "sim/disk_internal.h"

enum { CHUNK_SECTORS = 256 };

static const uint8_t zeros[SECTOR_BYTES];

/* ---- Sectors ---- */

void sectors_close(struct sectors *s)
{
    for (size_t i = 0; i < s->chunk_count; i++)
        free(s->chunks[i]);
    free(s->chunks);
    free(s->references);
    free(s->unused);
    *s = (struct sectors){0};
}

uint64_t sectors_memory(const struct sectors *s)
{
    return s->chunk_count * CHUNK_SECTORS * (uint64_t)SECTOR_BYTES + s->chunk_capacity * sizeof *s->chunks +
           s->reference_capacity * sizeof *s->references + s->unused_capacity * sizeof *s->unused;
}

static uint8_t *place_of(const struct sectors *s, uint32_t number)
{
    return s->chunks[number / CHUNK_SECTORS] + (size_t)(number % CHUNK_SECTORS) * SECTOR_BYTES;
}

static uint32_t number_new(struct sectors *s)
{
    if (s->unused_count > 0)
        return s->unused[--s->unused_count];
    uint32_t number = s->next > 0 ? s->next : 1;
    s->references = memory_reserve(s->references, &s->reference_capacity, number + 1, sizeof *s->references);
    while (s->chunk_count <= number / CHUNK_SECTORS) {
        s->chunks = memory_reserve(s->chunks, &s->chunk_capacity, s->chunk_count + 1, sizeof *s->chunks);
        s->chunks[s->chunk_count++] = memory_new(CHUNK_SECTORS, SECTOR_BYTES);
    }
    s->next = number + 1;
    return number;
}

uint32_t sector_new(struct sectors *s, const uint8_t bytes[SECTOR_BYTES])
{
    if (memcmp(bytes, zeros, SECTOR_BYTES) == 0)
        return 0;
    uint32_t number = number_new(s);
    memcpy(place_of(s, number), bytes, SECTOR_BYTES);
    s->references[number] = 1;
    return number;
}

const uint8_t *sector_bytes(const struct sectors *s, uint32_t number) { return number > 0 ? place_of(s, number) : zeros; }

uint32_t sector_hold(struct sectors *s, uint32_t number)
{
    if (number > 0)
        s->references[number]++;
    return number;
}

void sector_drop(struct sectors *s, uint32_t number)
{
    if (number == 0 || --s->references[number] > 0)
        return;
    s->unused = memory_reserve(s->unused, &s->unused_capacity, s->unused_count + 1, sizeof *s->unused);
    s->unused[s->unused_count++] = number;
}

/* ---- Contents ---- */

static size_t sectors_for(uint64_t bytes) { return (size_t)((bytes + SECTOR_BYTES - 1) / SECTOR_BYTES); }

void content_clear(struct sectors *s, struct content *c) { content_cut(s, c, 0); }

void content_free(struct sectors *s, struct content *c)
{
    content_clear(s, c);
    free(c->sectors);
    *c = (struct content){0};
}

void content_copy(struct sectors *s, struct content *to, const struct content *from)
{
    content_clear(s, to);
    content_extend(to, from->bytes);
    for (size_t i = 0; i < from->count; i++)
        to->sectors[i] = sector_hold(s, from->sectors[i]);
}

void content_extend(struct content *c, uint64_t bytes)
{
    size_t count = sectors_for(bytes);
    if (count > c->count) {
        c->sectors = memory_reserve(c->sectors, &c->capacity, count, sizeof *c->sectors);
        memset(c->sectors + c->count, 0, (count - c->count) * sizeof *c->sectors);
        c->count = count;
    }
    if (bytes > c->bytes)
        c->bytes = bytes;
}

void content_cut(struct sectors *s, struct content *c, uint64_t bytes)
{
    size_t count = sectors_for(bytes), tail = (size_t)(bytes % SECTOR_BYTES);
    while (c->count > count)
        sector_drop(s, c->sectors[--c->count]);
    if (bytes < c->bytes)
        c->bytes = bytes;
    if (tail > 0 && count == c->count) /* what lies after the end reads as zeros, should it grow again */
        content_put(s, c, count - 1, content_altered(s, c, count - 1, tail, NULL, SECTOR_BYTES - tail));
}

void content_put(struct sectors *s, struct content *c, size_t index, uint32_t number)
{
    sector_drop(s, c->sectors[index]);
    c->sectors[index] = number;
}

void content_read(const struct sectors *s, const struct content *c, uint64_t offset, void *to, size_t len)
{
    uint8_t *out = to;
    while (len > 0) {
        size_t at = (size_t)(offset % SECTOR_BYTES);
        size_t n = len < SECTOR_BYTES - at ? len : SECTOR_BYTES - at;
        memcpy(out, sector_bytes(s, c->sectors[offset / SECTOR_BYTES]) + at, n);
        out += n;
        offset += n;
        len -= n;
    }
}

uint32_t content_altered(struct sectors *s, const struct content *c, size_t index, size_t at, const uint8_t *from,
                         size_t len)
{
    uint8_t bytes[SECTOR_BYTES];
    if (len == SECTOR_BYTES)
        return from != NULL ? sector_new(s, from) : 0;
    memcpy(bytes, sector_bytes(s, c->sectors[index]), SECTOR_BYTES);
    if (from != NULL)
        memcpy(bytes + at, from, len);
    else
        memset(bytes + at, 0, len);
    return sector_new(s, bytes);
}
