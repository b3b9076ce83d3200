/* The recovery of a journal (core/formats/journal_walk.h), in four ways, chosen by the first byte:
 *
 *   any bytes as segment files;
 *   a sound segment and group header around any records, with the checksums mended, so that what follows them is
 *   reached;
 *   the same with a segment header: any fields, any sticky records;
 *   a sound journal, whose older segments may be gone, of which one page is overwritten: either that is noticed as
 *   corruption, or every record comes back but those of the last group, and with them the latest sticky record. A read that
 *   fails is always noticed. */
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/checksum.h"
#include "core/formats/journal_walk.h"
#include "core/formats/record.h"

enum { SEGMENT_BYTES = 6 * JOURNAL_PAGE, SEGMENTS = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct journal_owner owner = {.cluster = 1, .node = 2, .incarnation = 3, .instance = {4, 5, 6}};
static uint64_t storage[SEGMENTS][SEGMENT_BYTES / sizeof(uint64_t)];
static struct journal_file files[SEGMENTS];
static size_t first_file; /* older ones are gone */
static int reads_left;    /* before one fails; negative: none does */

static bool read_storage(void *context, size_t segment, uint64_t offset, void *to, size_t len)
{
    (void)context;
    segment += first_file;
    invariant(segment < SEGMENTS && offset <= files[segment].bytes && len <= files[segment].bytes - offset);
    if (reads_left >= 0 && reads_left-- == 0)
        return false;
    memcpy(to, (const uint8_t *)storage[segment] + offset, len);
    return true;
}

static uint8_t byte_of(uint64_t lsn, uint32_t i) { return (uint8_t)(lsn * 31 + i); }

struct walked {
    enum journal_step step;
    enum journal_fault fault;
    uint64_t next_lsn;
    uint64_t sticky_lsn; /* of the latest sticky record; 0: none */
};

/* Touches all bytes of a record. `ours`: they must be what byte_of gives. */
static void check_record(const struct packet *record, bool ours)
{
    uint64_t any = 0;
    for (size_t i = 0; i < record->words.len; i++)
        any |= record->words.ptr[i];
    invariant(any == 0 || record->len > 0);
    for (uint32_t i = 0; ours && i < record->len; i++)
        invariant(((const uint8_t *)record->words.ptr)[i] == byte_of(record->id, i));
}

static struct walked walk(size_t count, bool ours)
{
    struct journal_walk w;
    struct walked result;
    journal_walk_begin(&w, (struct journal_source){.read = read_storage}, &owner, files + first_file, count);
    while ((result.step = journal_walk_next(&w)) == JOURNAL_STEP_GROUP) {
        struct packet record;
        uint32_t offset = 0;
        for (uint32_t index = 0; journal_group_next(&w.group, &offset, &index, &record);)
            check_record(&record, ours);
    }
    if (result.step == JOURNAL_STEP_END)
        invariant(w.segment + 1 == count && w.offset <= w.files[w.segment].bytes && w.torn_to >= w.offset &&
                  w.torn_to <= w.files[w.segment].bytes);
    else
        invariant(w.fault != JOURNAL_SOUND && w.fault_segment < count && journal_fault_text(w.fault) != NULL);
    for (size_t i = 0; i < w.sticky.len; i++) {
        check_record(&w.sticky.ptr[i], ours);
        invariant(w.sticky.ptr[i].kind >= RECORD_PACKET_STICKY);
        invariant(i == 0 || w.sticky.ptr[i].kind != w.sticky.ptr[i - 1].kind);
    }
    result.fault = w.fault;
    result.next_lsn = w.next_lsn;
    result.sticky_lsn = w.sticky.len > 0 ? w.sticky.ptr[w.sticky.len - 1].id : 0;
    journal_walk_close(&w);
    return result;
}

/* Segment number `i`, still without groups. `oldest_lsn`: what lies below may be gone. */
static void begin_segment(size_t i, uint64_t first_lsn, uint64_t oldest_lsn, uint64_t previous,
                          const struct journal_sticky *sticky)
{
    struct journal_segment segment = {
        .bytes = SEGMENT_BYTES, .first_lsn = first_lsn, .oldest_lsn = oldest_lsn, .previous = previous};
    memset(storage[i], 0, SEGMENT_BYTES);
    files[i] = (struct journal_file){.first_lsn = first_lsn, .bytes = SEGMENT_BYTES};
    journal_segment_write(storage[i], &owner, &segment, sticky);
}

static void any_bytes(const uint8_t *data, size_t size)
{
    size_t count = 0;
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
        walk(count, false);
}

/* As core/formats/journal.h draws a group. */
static void mended_group(const uint8_t *data, size_t size)
{
    static const struct journal_sticky none;
    uint64_t seed[4] = {1, JOURNAL_PAGE, 0, 0};
    uint64_t *group = storage[0] + JOURNAL_PAGE / sizeof(uint64_t);
    size_t room = SEGMENT_BYTES - JOURNAL_PAGE;
    begin_segment(0, 1, 1, 0, &none);
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
    walk(1, false);
}

/* As core/formats/journal.h draws a segment header: one with the sticky records that the first bytes make, of which the
 * others overwrite some. */
static void mended_segment(const uint8_t *data, size_t size)
{
    enum { AT_LENGTH = 12, AT_CHECKSUM = 88, BEHIND_CHECKSUM = 96 };
    static const uint64_t zeros[32];
    struct journal_sticky sticky = {0};
    for (uint64_t lsn = 1; size > 3 && *data >= 64; lsn++, data++, size--) {
        struct packet record = {.id = lsn, .kind = RECORD_PACKET_STICKY + *data % 4, .len = *data};
        record.words = (struct words){(uint64_t *)(uintptr_t)zeros, words_for(record.len)};
        journal_sticky_keep(&sticky, &record);
    }
    begin_segment(0, 1, 1, 0, &sticky);
    journal_sticky_free(&sticky);
    uint8_t *header = (uint8_t *)storage[0];
    size_t at = size > 0 ? *data * 4u : 0;
    if (size > 1)
        memcpy(header + at, data + 1, size - 1 < SEGMENT_BYTES - at ? size - 1 : SEGMENT_BYTES - at);
    uint32_t len;
    memcpy(&len, header + AT_LENGTH, 4);
    if (len >= BEHIND_CHECKSUM && len <= SEGMENT_BYTES)
        storage[0][AT_CHECKSUM / 8] = checksum(header + BEHIND_CHECKSUM, (size_t)journal_pages(len) - BEHIND_CHECKSUM,
                                               checksum(header, AT_CHECKSUM, 0));
    walk(1, false);
}

struct built {
    size_t segments;
    uint64_t next_lsn;
    uint32_t last_count;
    uint64_t sticky_lsn[2]; /* of the latest sticky record, at the end and before the last group; 0: none */
};

/* Fills a group that begins with `first_lsn`: the byte says how many records of which length, and whether they are
 * sticky. */
static void fill_group(struct journal_group *g, uint64_t first_lsn, uint8_t byte)
{
    uint64_t words[64] = {0};
    uint32_t kind = byte % 5 == 0 ? RECORD_PACKET_STICKY : RECORD_ACCEPTED;
    struct packet record = {.kind = kind, .len = byte, .words = {.ptr = words, .len = words_for(byte)}};
    journal_group_begin(g, first_lsn);
    for (uint32_t k = 0; k < byte % 29u; k++) {
        for (uint32_t i = 0; i < record.len; i++)
            ((uint8_t *)words)[i] = byte_of(first_lsn + k, i);
        invariant(journal_group_add(g, &record));
    }
}

static void keep_sticky(struct journal_sticky *sticky, const struct journal_group *g)
{
    struct packet record;
    uint32_t offset = 0;
    for (uint32_t index = 0; journal_group_next(g, &offset, &index, &record);)
        journal_sticky_keep(sticky, &record);
}

/* Each byte makes a group. `forget`: of older segments no record is kept. */
static struct built build(const uint8_t *data, size_t size, bool forget)
{
    struct built b = {.segments = 1, .next_lsn = 1};
    struct journal_group g = {0};
    struct journal_sticky sticky = {0};
    uint64_t offset = JOURNAL_PAGE, previous = 0;
    begin_segment(0, 1, 1, 0, &sticky);
    for (; size > 0; data++, size--) {
        fill_group(&g, b.next_lsn, *data);
        if (offset + journal_pages(g.len) > SEGMENT_BYTES) {
            if (b.segments == SEGMENTS)
                break;
            begin_segment(b.segments++, b.next_lsn, forget ? b.next_lsn : 1, previous, &sticky);
            offset = JOURNAL_PAGE;
        }
        struct journal_place place = {.owner = &owner, .segment = files[b.segments - 1].first_lsn, .offset = offset};
        uint64_t bytes = journal_group_seal(&g, &place, previous);
        memcpy(storage[b.segments - 1] + offset / sizeof(uint64_t), g.words, (size_t)bytes);
        keep_sticky(&sticky, &g);
        offset += bytes;
        previous = g.checksum;
        b.next_lsn += g.count;
        b.last_count = g.count;
        b.sticky_lsn[1] = b.sticky_lsn[0];
        b.sticky_lsn[0] = sticky.len > 0 ? sticky.ptr[0].id : 0;
    }
    journal_sticky_free(&sticky);
    journal_group_free(&g);
    return b;
}

static void damaged_journal(const uint8_t *data, size_t size)
{
    if (size < 8)
        return;
    bool forget = (data[0] & 0x80) != 0;
    size_t groups = data[0] % 16u < size - 8 ? data[0] % 16u : size - 8;
    struct built b = build(data + 1, groups, forget);
    first_file = forget ? b.segments - 1 : 0;
    size_t count = b.segments - first_file;
    struct walked w = walk(count, true);
    invariant(w.step == JOURNAL_STEP_END && w.next_lsn == b.next_lsn && w.sticky_lsn == b.sticky_lsn[0]);

    const uint8_t *rest = data + 1 + groups;
    reads_left = rest[0] % 8;
    w = walk(count, true);
    invariant(reads_left >= 0 || w.fault == JOURNAL_READ_FAILED);
    reads_left = -1;

    uint8_t *page = (uint8_t *)storage[rest[0] % b.segments] + rest[1] % (SEGMENT_BYTES / JOURNAL_PAGE) * JOURNAL_PAGE;
    size_t at = (size_t)(rest[2] | rest[3] << 8) % JOURNAL_PAGE;
    size_t left = size - 1 - groups - 4;
    memcpy(page + at, rest + 4, left < JOURNAL_PAGE - at ? left : JOURNAL_PAGE - at);
    w = walk(count, true);
    if (w.step == JOURNAL_STEP_END)
        invariant((w.next_lsn == b.next_lsn && w.sticky_lsn == b.sticky_lsn[0]) ||
                  (w.next_lsn + b.last_count == b.next_lsn && w.sticky_lsn == b.sticky_lsn[1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    first_file = 0;
    reads_left = -1;
    switch (data[0] % 4) {
    case 0:
        any_bytes(data + 1, size - 1);
        break;
    case 1:
        mended_group(data + 1, size - 1);
        break;
    case 2:
        mended_segment(data + 1, size - 1);
        break;
    default:
        damaged_journal(data + 1, size - 1);
    }
    return 0;
}
