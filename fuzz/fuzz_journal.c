/* The recovery of a journal (core/formats/journal_walk.h), in three ways, chosen by the first byte:
 *
 *   any bytes as segment files;
 *   a sound segment and group header around any records, with the checksums mended, so that what lies behind them is reached;
 *   a sound journal of which one page is overwritten: either that is noticed as corruption, or every record comes back but
 *   those of the last group. */
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/checksum.h"
#include "core/formats/journal_walk.h"

enum { SEGMENT_BYTES = 6 * JOURNAL_PAGE, SEGMENTS = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct journal_owner owner = {.cluster = 1, .node = 2, .incarnation = 3, .instance = {4, 5, 6}};
static uint64_t storage[SEGMENTS][SEGMENT_BYTES / sizeof(uint64_t)];
static struct journal_file files[SEGMENTS];

static bool read_storage(void *context, size_t segment, uint64_t offset, void *to, size_t len)
{
    (void)context;
    invariant(segment < SEGMENTS && offset <= files[segment].bytes && len <= files[segment].bytes - offset);
    memcpy(to, (const uint8_t *)storage[segment] + offset, len);
    return true;
}

static uint8_t byte_of(uint64_t lsn, uint32_t i) { return (uint8_t)(lsn * 31 + i); }

/* Walks `count` files. `ours`: all records must have the content that byte_of gives. */
static enum journal_step walk(size_t count, bool ours, uint64_t *next_lsn)
{
    struct journal_walk w;
    enum journal_step step;
    journal_walk_begin(&w, (struct journal_source){.read = read_storage}, &owner, files, count);
    while ((step = journal_walk_next(&w)) == JOURNAL_STEP_GROUP) {
        struct packet record;
        uint32_t offset = 0;
        for (uint32_t index = 0; journal_group_next(&w.group, &offset, &index, &record);) {
            uint64_t sum = 0;
            for (size_t i = 0; i < record.words.len; i++)
                sum += record.words.ptr[i];
            invariant(sum == 0 || record.len > 0);
            for (uint32_t i = 0; ours && i < record.len; i++)
                invariant(((const uint8_t *)record.words.ptr)[i] == byte_of(record.id, i));
        }
    }
    if (step == JOURNAL_STEP_END)
        invariant(w.segment + 1 == count && w.offset <= files[w.segment].bytes && w.torn_to >= w.offset &&
                  w.torn_to <= files[w.segment].bytes);
    else
        invariant(w.fault != JOURNAL_SOUND && w.fault_segment < count && journal_fault_text(w.fault) != NULL);
    *next_lsn = w.next_lsn;
    journal_walk_close(&w);
    return step;
}

static void begin_segment(size_t i, uint64_t first_lsn, uint64_t previous)
{
    struct journal_segment segment = {.bytes = SEGMENT_BYTES, .first_lsn = first_lsn, .oldest_lsn = 1, .previous = previous};
    struct journal_sticky none = {0};
    memset(storage[i], 0, SEGMENT_BYTES);
    files[i] = (struct journal_file){.first_lsn = first_lsn, .bytes = SEGMENT_BYTES};
    journal_segment_write(storage[i], &owner, &segment, &none);
}

static void any_bytes(const uint8_t *data, size_t size)
{
    size_t count = 0;
    uint64_t next_lsn;
    for (; count < SEGMENTS && size >= 10; count++) {
        uint64_t bytes = (uint64_t)(data[0] | data[1] << 8) % (SEGMENT_BYTES + 1);
        uint64_t first_lsn = count > 0 ? files[count - 1].first_lsn + data[2] : data[2];
        data += 3, size -= 3;
        size_t len = size < bytes ? size : bytes;
        memset(storage[count], 0, SEGMENT_BYTES);
        memcpy(storage[count], data, len);
        data += len, size -= len;
        files[count] = (struct journal_file){.first_lsn = first_lsn, .bytes = bytes};
    }
    if (count > 0)
        walk(count, false, &next_lsn);
}

/* As core/formats/journal.h draws a group. */
static void mended_group(const uint8_t *data, size_t size)
{
    uint64_t seed[4] = {1, JOURNAL_PAGE, 0, 0}, next_lsn;
    uint64_t *group = storage[0] + JOURNAL_PAGE / sizeof(uint64_t);
    size_t room = SEGMENT_BYTES - JOURNAL_PAGE;
    begin_segment(0, 1, 0);
    memcpy((uint8_t *)group + 4, data, size < room - 4 ? size : room - 4);
    memcpy(group, "SJG1", 4);
    uint32_t len;
    memcpy(&len, (uint8_t *)group + 4, 4);
    if (len % 3 > 0) { /* mostly a length that fits */
        len = (len % (uint32_t)room) / 8 * 8;
        memcpy((uint8_t *)group + 4, &len, 4);
    }
    memcpy(&seed[2], owner.instance, sizeof owner.instance);
    if (len >= JOURNAL_GROUP_HEADER_SIZE && len <= room)
        group[4] = checksum((uint8_t *)group + JOURNAL_GROUP_HEADER_SIZE,
                            (size_t)journal_pages(len) - JOURNAL_GROUP_HEADER_SIZE, 0);
    group[5] = checksum(group, 40, checksum(seed, sizeof seed, 0));
    walk(1, false, &next_lsn);
}

struct built {
    size_t segments;
    uint64_t next_lsn;
    uint32_t last_count;
};

/* Each byte makes a group: its number of records and their length. */
static struct built build(const uint8_t *data, size_t size)
{
    struct built b = {.segments = 1, .next_lsn = 1};
    struct journal_group g = {0};
    uint64_t offset = JOURNAL_PAGE, previous = 0, words[64];
    begin_segment(0, 1, 0);
    for (; size > 0; data++, size--) {
        journal_group_begin(&g, b.next_lsn);
        struct packet record = {.kind = 1, .len = *data, .words = {.ptr = words, .len = words_for(*data)}};
        uint32_t count = *data % 29;
        memset(words, 0, sizeof words);
        for (uint32_t k = 0; k < count; k++) {
            for (uint32_t i = 0; i < record.len; i++)
                ((uint8_t *)words)[i] = byte_of(b.next_lsn + k, i);
            invariant(journal_group_add(&g, &record));
        }
        if (offset + journal_pages(g.len) > SEGMENT_BYTES) {
            if (b.segments == SEGMENTS)
                break;
            begin_segment(b.segments++, b.next_lsn, previous);
            offset = JOURNAL_PAGE;
        }
        struct journal_place place = {.owner = &owner, .segment = files[b.segments - 1].first_lsn, .offset = offset};
        uint64_t bytes = journal_group_seal(&g, &place, previous);
        memcpy(storage[b.segments - 1] + offset / sizeof(uint64_t), g.words, (size_t)bytes);
        offset += bytes;
        previous = g.checksum;
        b.next_lsn += count;
        b.last_count = count;
    }
    journal_group_free(&g);
    return b;
}

static void damaged_journal(const uint8_t *data, size_t size)
{
    if (size < 8)
        return;
    uint64_t next_lsn;
    size_t groups = data[0] % 16u < size - 8 ? data[0] % 16u : size - 8;
    struct built b = build(data + 1, groups);
    invariant(walk(b.segments, true, &next_lsn) == JOURNAL_STEP_END && next_lsn == b.next_lsn);
    const uint8_t *rest = data + 1 + groups;
    uint8_t *page = (uint8_t *)storage[rest[0] % b.segments] + rest[1] % (SEGMENT_BYTES / JOURNAL_PAGE) * JOURNAL_PAGE;
    size_t at = (size_t)(rest[2] | rest[3] << 8) % JOURNAL_PAGE;
    size_t left = size - 1 - groups - 4;
    memcpy(page + at, rest + 4, left < JOURNAL_PAGE - at ? left : JOURNAL_PAGE - at);
    if (walk(b.segments, true, &next_lsn) == JOURNAL_STEP_END)
        invariant(next_lsn == b.next_lsn || next_lsn + b.last_count == b.next_lsn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (data[0] % 3 == 0)
        any_bytes(data + 1, size - 1);
    else if (data[0] % 3 == 1)
        mended_group(data + 1, size - 1);
    else
        damaged_journal(data + 1, size - 1);
    return 0;
}
