/* core/formats/journal.c and journal_walk.c, over journals in memory. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h> /* cmocka wants these before it */

#include <cmocka.h>

#include "core/formats/journal_walk.h"
#include "core/formats/record.h"

enum { SEGMENT_BYTES = 8 * JOURNAL_PAGE, FILES_MAX = 4 };

static const struct journal_owner owner = {
    .cluster = 77, .node = 3, .incarnation = 5, .instance = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

/* A journal in memory, and what the writer of one knows. */
struct memory_journal {
    uint8_t *bytes[FILES_MAX];
    struct journal_file files[FILES_MAX];
    size_t count;
    uint64_t offset;
    uint64_t next_lsn;
    uint64_t previous;
    struct journal_sticky sticky;
    uint64_t last_offset; /* of the last group */
};

static bool read_memory(void *context, size_t segment, uint64_t offset, void *to, size_t len)
{
    struct memory_journal *m = context;
    assert_true(segment < m->count && offset + len <= m->files[segment].bytes);
    memcpy(to, m->bytes[segment] + offset, len);
    return true;
}

static void add_segment(struct memory_journal *m)
{
    uint64_t header_bytes = journal_segment_header_bytes(&m->sticky);
    uint64_t *header = calloc(1, header_bytes);
    struct journal_segment segment = {
        .bytes = SEGMENT_BYTES, .first_lsn = m->next_lsn, .oldest_lsn = 1, .previous = m->previous};
    journal_segment_write(header, &owner, &segment, &m->sticky);
    assert_int_equal(segment.header_bytes, header_bytes);
    m->bytes[m->count] = calloc(1, SEGMENT_BYTES);
    memcpy(m->bytes[m->count], header, header_bytes);
    m->files[m->count] = (struct journal_file){.first_lsn = m->next_lsn, .bytes = SEGMENT_BYTES};
    m->count++;
    m->offset = header_bytes;
    free(header);
}

/* A record of `len` bytes whose content follows from its lsn. */
static struct packet record_of(uint64_t lsn, uint32_t kind, uint32_t len, uint64_t *words)
{
    memset(words, 0, words_for(len) * sizeof *words);
    for (uint32_t i = 0; i < len; i++)
        ((uint8_t *)words)[i] = (uint8_t)(lsn * 7 + i);
    return (struct packet){.id = lsn, .kind = kind, .len = len, .words = {.ptr = words, .len = words_for(len)}};
}

static void add_group(struct memory_journal *m, uint32_t records, uint32_t len, uint32_t kind)
{
    struct journal_group g = {0};
    uint64_t words[2048];
    journal_group_begin(&g, m->next_lsn);
    for (uint32_t i = 0; i < records; i++) {
        struct packet record = record_of(m->next_lsn + i, kind, len, words);
        assert_true(journal_group_add(&g, &record));
        journal_sticky_keep(&m->sticky, &record);
    }
    struct journal_place place = {.owner = &owner, .segment = m->files[m->count - 1].first_lsn, .offset = m->offset};
    uint64_t bytes = journal_group_seal(&g, &place, m->previous);
    assert_true(m->offset + bytes <= SEGMENT_BYTES);
    memcpy(m->bytes[m->count - 1] + m->offset, g.words, bytes);
    m->last_offset = m->offset;
    m->offset += bytes;
    m->next_lsn += records;
    m->previous = g.checksum;
    journal_group_free(&g);
}

/* Two segments: three groups (the second of two pages) and a mark in the first; one and two in the second. */
static struct memory_journal *sample(void)
{
    struct memory_journal *m = calloc(1, sizeof *m);
    m->next_lsn = 1;
    add_segment(m);
    add_group(m, 3, 100, 1);
    add_group(m, 1, 5000, 2);
    add_group(m, 2, 13, 128);
    add_group(m, 0, 0, 0);
    add_segment(m);
    add_group(m, 1, 0, 1);
    add_group(m, 2, 3000, 129);
    add_group(m, 1, 9, 1);
    return m;
}

static void sample_free(struct memory_journal *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->bytes[i]);
    journal_sticky_free(&m->sticky);
    free(m);
}

/* Walks to the end and checks each record's content; the step it ended with. */
static enum journal_step walk(struct memory_journal *m, struct journal_walk *w)
{
    enum journal_step step;
    uint64_t lsn = m->files[0].first_lsn;
    uint64_t words[2048];
    journal_walk_begin(w, (struct journal_source){.read = read_memory, .context = m}, &owner, m->files, m->count);
    while ((step = journal_walk_next(w)) == JOURNAL_STEP_GROUP) {
        struct packet record;
        uint32_t offset = 0;
        for (uint32_t index = 0; journal_group_next(&w->group, &offset, &index, &record); lsn++) {
            struct packet expected = record_of(lsn, record.kind, record.len, words);
            assert_int_equal(record.id, lsn);
            assert_int_equal(record.words.len, expected.words.len);
            if (record.len > 0)
                assert_memory_equal(record.words.ptr, words, record.words.len * sizeof *words);
        }
    }
    if (step == JOURNAL_STEP_END)
        assert_int_equal(lsn, w->next_lsn);
    return step;
}

static void assert_fault(struct memory_journal *m, enum journal_fault fault, size_t segment, uint64_t offset)
{
    struct journal_walk w;
    assert_int_equal(walk(m, &w), JOURNAL_STEP_FAULT);
    assert_string_equal(journal_fault_text(w.fault), journal_fault_text(fault));
    assert_int_equal(w.fault_segment, segment);
    assert_int_equal(w.fault_offset, offset);
    journal_walk_close(&w);
}

/* The end is found at `offset` of the last segment before `next_lsn`; `torn`: a tail was cut. */
static void assert_end(struct memory_journal *m, uint64_t next_lsn, uint64_t offset, bool torn)
{
    struct journal_walk w;
    assert_int_equal(walk(m, &w), JOURNAL_STEP_END);
    assert_int_equal(w.next_lsn, next_lsn);
    assert_int_equal(w.offset, offset);
    assert_int_equal(w.torn_to > w.offset, torn);
    journal_walk_close(&w);
}

static void reads_what_was_written(void **state)
{
    (void)state;
    struct memory_journal *m = sample();
    struct journal_walk w;
    assert_int_equal(walk(m, &w), JOURNAL_STEP_END);
    assert_int_equal(w.next_lsn, m->next_lsn);
    assert_int_equal(w.previous, m->previous);
    assert_int_equal(w.segment, 1);
    assert_int_equal(w.offset, m->offset);
    assert_int_equal(w.torn_to, m->offset);
    assert_int_equal(w.last_offset, m->last_offset);
    assert_int_equal(w.last_bytes, JOURNAL_PAGE);
    assert_false(w.last_is_mark);
    assert_int_equal(w.sticky.len, 2);
    assert_int_equal(w.sticky.ptr[0].kind, 128);
    assert_int_equal(w.sticky.ptr[0].id, 6);
    assert_int_equal(w.sticky.ptr[1].kind, 129);
    assert_int_equal(w.sticky.ptr[1].id, 9);
    journal_walk_close(&w);
    sample_free(m);
}

static void bytes_are_as_drawn(void **state)
{
    (void)state;
    struct memory_journal *m = sample();
    uint8_t *segment = m->bytes[0], *group = segment + JOURNAL_PAGE;
    assert_memory_equal(segment, "SYNODJNL", 8);
    assert_memory_equal(segment + 8, "\1\0\0\0\x60\0\0\0", 8);
    assert_memory_equal(segment + 48, "\3\0\0\0\5\0\0\0", 8);
    assert_memory_equal(segment + 56, owner.instance, 16);
    assert_memory_equal(group, "SJG1", 4);
    uint32_t length = 48 + 3 * (8 + 104);
    assert_memory_equal(group + 4, &length, 4);
    assert_memory_equal(group + 8, "\1\0\0\0\0\0\0\0\3\0\0\0\5\0\0\0", 16);
    assert_memory_equal(group + 48, "\1\0\0\0\x64\0\0\0\7\x8\x9", 11);
    /* The second segment carries the sticky record of lsn 6. */
    assert_memory_equal(m->bytes[1] + 80, "\1\0\0\0", 4);
    assert_memory_equal(m->bytes[1] + 96, "\6\0\0\0\0\0\0\0\x80\0\0\0\xd\0\0\0\x2a\x2b", 18);
    sample_free(m);
}

/* The place of the last group is excepted: damage there cannot be told from a torn write. */
static void any_flipped_byte_is_corruption(void **state)
{
    (void)state;
    struct memory_journal *m = sample();
    for (size_t i = 0; i < m->count; i++) {
        uint64_t end = i + 1 < m->count ? SEGMENT_BYTES : m->last_offset;
        for (uint64_t at = 0; at < end; at++) {
            struct journal_walk w;
            m->bytes[i][at] ^= 0x10;
            assert_int_equal(walk(m, &w), JOURNAL_STEP_FAULT);
            assert_int_equal(w.fault_segment, i);
            assert_true(w.fault_offset <= at && at < w.fault_offset + 3 * JOURNAL_PAGE);
            journal_walk_close(&w);
            m->bytes[i][at] ^= 0x10;
        }
    }
    sample_free(m);
}

static void last_group_damaged_is_a_torn_tail(void **state)
{
    (void)state;
    struct memory_journal *m = sample();
    for (uint64_t at = m->last_offset; at < m->last_offset + JOURNAL_PAGE; at++) {
        m->bytes[1][at] ^= 0x10;
        assert_end(m, m->next_lsn - 1, m->last_offset, true);
        m->bytes[1][at] ^= 0x10;
    }
    sample_free(m);
}

/* A group of three pages of which any subset reached the disk. */
static void torn_writes_of_several_pages(void **state)
{
    (void)state;
    struct memory_journal *m = sample();
    uint64_t next = m->next_lsn, at = m->offset;
    add_group(m, 1, 10000, 1);
    assert_int_equal(m->offset, at + 3 * JOURNAL_PAGE);
    uint8_t whole[3 * JOURNAL_PAGE];
    memcpy(whole, m->bytes[1] + at, sizeof whole);
    for (unsigned pages = 0; pages < 8; pages++) {
        for (unsigned p = 0; p < 3; p++) {
            uint8_t *to = m->bytes[1] + at + p * JOURNAL_PAGE;
            if (pages >> p & 1)
                memcpy(to, whole + p * JOURNAL_PAGE, JOURNAL_PAGE);
            else
                memset(to, 0, JOURNAL_PAGE);
        }
        if (pages == 7)
            assert_end(m, next + 1, m->offset, false);
        else
            assert_end(m, next, at, pages != 0);
    }
    sample_free(m);
}

static void zeroed_group_before_a_valid_one_is_corruption(void **state)
{
    (void)state;
    struct memory_journal *m = sample();
    memset(m->bytes[0] + JOURNAL_PAGE, 0, JOURNAL_PAGE);
    struct journal_walk w;
    assert_int_equal(walk(m, &w), JOURNAL_STEP_FAULT);
    assert_int_equal(w.fault, JOURNAL_NO_GROUP);
    assert_int_equal(w.fault_offset, JOURNAL_PAGE);
    assert_true(w.proven);
    assert_int_equal(w.proof_segment, 0);
    assert_int_equal(w.proof_offset, 2 * JOURNAL_PAGE);
    journal_walk_close(&w);
    sample_free(m);
}

static void zeroed_end_of_an_earlier_segment_is_corruption(void **state)
{
    (void)state;
    struct memory_journal *m = sample();
    /* The mark and the group before it: then lsns are missing. The mark alone: then the chain is broken. */
    memset(m->bytes[0] + 5 * JOURNAL_PAGE, 0, JOURNAL_PAGE);
    assert_fault(m, JOURNAL_SEGMENT_UNCHAINED, 1, 0);
    memset(m->bytes[0] + 4 * JOURNAL_PAGE, 0, JOURNAL_PAGE);
    assert_fault(m, JOURNAL_SEGMENT_GAP, 1, 0);
    m->bytes[0][SEGMENT_BYTES - 1] = 1;
    assert_fault(m, JOURNAL_TAIL, 0, 4 * JOURNAL_PAGE);
    sample_free(m);
}

static void group_from_another_place_fails(void **state)
{
    (void)state;
    struct memory_journal *m = sample();
    uint8_t *first = m->bytes[1] + JOURNAL_PAGE;
    /* A copy of an earlier group after the end proves nothing, and is not a group. */
    memcpy(m->bytes[1] + m->offset, first, JOURNAL_PAGE);
    assert_end(m, m->next_lsn, m->offset, true);
    memset(m->bytes[1] + m->offset, 0, JOURNAL_PAGE);
    /* The same offset of another segment neither. */
    memcpy(first, m->bytes[0] + JOURNAL_PAGE, JOURNAL_PAGE);
    assert_fault(m, JOURNAL_HEADER_DAMAGED, 1, JOURNAL_PAGE);
    sample_free(m);
}

static void segments_must_be_whole_and_all_there(void **state)
{
    (void)state;
    struct memory_journal *m = sample();
    m->files[1].bytes -= JOURNAL_PAGE;
    assert_fault(m, JOURNAL_SEGMENT_SHORT, 1, 0);
    m->files[1].bytes = 10;
    assert_fault(m, JOURNAL_SEGMENT_SHORT, 1, 0);
    m->files[1].bytes = 0;
    assert_fault(m, JOURNAL_SEGMENT_SHORT, 1, 0);
    m->files[1].bytes = SEGMENT_BYTES;
    m->bytes[1] = realloc(m->bytes[1], SEGMENT_BYTES + JOURNAL_PAGE);
    memset(m->bytes[1] + SEGMENT_BYTES, 0, JOURNAL_PAGE);
    m->files[1].bytes += JOURNAL_PAGE;
    assert_fault(m, JOURNAL_SEGMENT_LONG, 1, 0);
    m->files[1].bytes = SEGMENT_BYTES;
    m->files[1].first_lsn++;
    assert_fault(m, JOURNAL_OTHER_NAME, 1, 0);
    m->files[1].first_lsn--;

    /* Without the first segment: the second says that records from lsn 1 on are kept. */
    struct memory_journal later = {.bytes = {m->bytes[1]}, .files = {m->files[1]}, .count = 1};
    assert_fault(&later, JOURNAL_OLDEST_MISSING, 0, 0);
    sample_free(m);
}

static void segment_in_the_middle_missing(void **state)
{
    (void)state;
    struct memory_journal *m = sample();
    add_segment(m);
    add_group(m, 1, 1, 1);
    assert_end(m, m->next_lsn, m->offset, false);
    uint8_t *middle = m->bytes[1];
    m->bytes[1] = m->bytes[2];
    m->files[1] = m->files[2];
    m->count = 2;
    assert_fault(m, JOURNAL_SEGMENT_GAP, 1, 0);
    free(middle);
    sample_free(m);
}

static void others_segments_are_refused(void **state)
{
    (void)state;
    struct memory_journal *m = sample();
    struct journal_segment segment;
    const uint64_t *words = (const uint64_t *)(const void *)m->bytes[0];
    struct journal_owner other = owner;
    other.node = 4;
    assert_int_equal(journal_segment_read(words, JOURNAL_PAGE, &other, 1, SEGMENT_BYTES, &segment), JOURNAL_OTHER_NODE);
    other = owner;
    other.cluster = 1;
    assert_int_equal(journal_segment_read(words, JOURNAL_PAGE, &other, 1, SEGMENT_BYTES, &segment), JOURNAL_OTHER_CLUSTER);
    other = owner;
    other.instance[15] ^= 1;
    assert_int_equal(journal_segment_read(words, JOURNAL_PAGE, &other, 1, SEGMENT_BYTES, &segment), JOURNAL_OTHER_INSTANCE);
    other = owner;
    other.incarnation = 4;
    assert_int_equal(journal_segment_read(words, JOURNAL_PAGE, &other, 1, SEGMENT_BYTES, &segment),
                     JOURNAL_LATER_INCARNATION);
    sample_free(m);
}

static void sticky_records_survive_older_segments(void **state)
{
    (void)state;
    struct memory_journal m = {.next_lsn = 1};
    uint64_t words[4];
    for (uint32_t kind = 128; kind < 131; kind++) {
        struct packet record = record_of(m.next_lsn++, kind, 20, words);
        journal_sticky_keep(&m.sticky, &record);
    }
    struct packet again = record_of(m.next_lsn++, 128, 31, words);
    journal_sticky_keep(&m.sticky, &again);
    struct packet plain = record_of(m.next_lsn++, 127, 8, words);
    journal_sticky_keep(&m.sticky, &plain);

    uint64_t header[JOURNAL_PAGE / 8];
    struct journal_segment segment = {.bytes = SEGMENT_BYTES, .first_lsn = 6, .oldest_lsn = 6, .previous = 99};
    assert_int_equal(journal_segment_header_bytes(&m.sticky), sizeof header);
    journal_segment_write(header, &owner, &segment, &m.sticky);
    m.bytes[0] = calloc(1, SEGMENT_BYTES);
    memcpy(m.bytes[0], header, sizeof header);
    m.files[0] = (struct journal_file){.first_lsn = 6, .bytes = SEGMENT_BYTES};
    m.count = 1;
    struct journal_walk w;
    assert_int_equal(walk(&m, &w), JOURNAL_STEP_END);
    assert_int_equal(w.next_lsn, 6);
    assert_int_equal(w.previous, 99);
    const uint64_t lsns[] = {2, 3, 4};
    const uint32_t kinds[] = {129, 130, 128};
    assert_int_equal(w.inherited.len, 3);
    for (size_t i = 0; i < 3; i++) {
        struct packet expected = record_of(lsns[i], kinds[i], kinds[i] == 128 ? 31 : 20, words);
        assert_int_equal(w.inherited.ptr[i].id, lsns[i]);
        assert_int_equal(w.inherited.ptr[i].kind, kinds[i]);
        assert_int_equal(w.inherited.ptr[i].len, expected.len);
        assert_memory_equal(w.inherited.ptr[i].words.ptr, words, expected.words.len * 8);
    }
    journal_walk_close(&w);
    free(m.bytes[0]);
    journal_sticky_free(&m.sticky);
}

static void group_refuses_what_does_not_fit(void **state)
{
    (void)state;
    struct journal_group g = {0};
    uint64_t word = 1;
    journal_group_begin(&g, 1);
    struct packet lying = {.len = 9, .words = {.ptr = &word, .len = 1}};
    assert_false(journal_group_add(&g, &lying));
    struct packet huge = {.len = UINT32_MAX, .words = {.ptr = &word, .len = words_for(UINT32_MAX)}};
    assert_false(journal_group_add(&g, &huge));
    assert_int_equal(g.count, 0);
    struct packet empty = {.kind = 9};
    assert_true(journal_group_add(&g, &empty));
    assert_int_equal(g.len, 56);
    journal_group_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_written),
        cmocka_unit_test(bytes_are_as_drawn),
        cmocka_unit_test(any_flipped_byte_is_corruption),
        cmocka_unit_test(last_group_damaged_is_a_torn_tail),
        cmocka_unit_test(torn_writes_of_several_pages),
        cmocka_unit_test(zeroed_group_before_a_valid_one_is_corruption),
        cmocka_unit_test(zeroed_end_of_an_earlier_segment_is_corruption),
        cmocka_unit_test(group_from_another_place_fails),
        cmocka_unit_test(segments_must_be_whole_and_all_there),
        cmocka_unit_test(segment_in_the_middle_missing),
        cmocka_unit_test(others_segments_are_refused),
        cmocka_unit_test(sticky_records_survive_older_segments),
        cmocka_unit_test(group_refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
