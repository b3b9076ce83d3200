#include "core/formats/record.h"

#include "core/base/assert.h"
#include "core/base/cursor.h"

/* The packet kind of each record kind. Some are sticky, because they must be found when older segments are gone: what an
 * acceptor promised, where its votes begin, and how far a learner had come, so that it notices when its snapshots are gone,
 * too. The rest is below the floor by then, or in a snapshot. */
static const uint8_t packet_kinds[RECORD_KINDS] = {
    [RECORD_PROMISED] = RECORD_PACKET_STICKY + RECORD_PROMISED,
    [RECORD_ACCEPTED] = RECORD_ACCEPTED,
    [RECORD_LEARNED] = RECORD_LEARNED,
    [RECORD_CHOSEN] = RECORD_PACKET_STICKY + RECORD_CHOSEN,
    [RECORD_FLOOR] = RECORD_PACKET_STICKY + RECORD_FLOOR,
};

/* The record kind of a packet kind; RECORD_KINDS if there is none. */
static uint8_t kind_of_packet(uint32_t packet_kind)
{
    uint8_t kind = 0;
    while (kind < RECORD_KINDS && packet_kinds[kind] != packet_kind)
        kind++;
    return packet_kind == RECORD_CHOSEN ? RECORD_CHOSEN : kind; /* journals of version 0.1.0 have it so */
}

bool record_is_sticky(uint8_t kind) { return packet_kinds[kind] >= RECORD_PACKET_STICKY; }

size_t record_size(const struct log_record *record)
{
    return RECORD_HEADER_SIZE + words_for(record->entry.value.len) * sizeof(uint64_t);
}

/* Precondition: the record is well formed (known kinds, a value with the words that its length takes, less than 4 GiB in
 * all). */
void record_encode(const struct log_record *record, uint64_t *words, struct packet *packet)
{
    const struct entry *entry = &record->entry;
    size_t size = record_size(record);
    invariant(record->kind < RECORD_KINDS && entry->kind < ENTRY_KINDS);
    invariant(entry->value.words.len == words_for(entry->value.len) && size >= RECORD_HEADER_SIZE && size <= UINT32_MAX);

    struct write_cursor c = cursor_into(words, size);
    cursor_write_ballot(&c, entry->ballot);
    cursor_write_u64(&c, entry->slot);
    cursor_write_u64(&c, record->to);
    cursor_write_u8(&c, entry->kind);
    cursor_write_zeros(&c, 3);
    cursor_write_u32(&c, entry->value.len);
    cursor_write_payload(&c, &entry->value);
    invariant(cursor_full(&c));
    *packet = (struct packet){
        .id = record->lsn,
        .kind = packet_kinds[record->kind],
        .len = (uint32_t)size,
        .words = {words, size / sizeof(uint64_t)},
    };
}

/* False, with `*record` undefined: a packet kind that no record has, an unknown entry kind, a node number that no node has,
 * padding that is not zero, bytes missing or left over. */
bool record_decode(const struct packet *packet, struct log_record *record)
{
    struct entry *entry = &record->entry;
    record->kind = kind_of_packet(packet->kind);
    if (record->kind == RECORD_KINDS)
        return false;

    struct read_cursor c = cursor_over_words(packet->words, packet->len);
    record->lsn = packet->id;
    entry->ballot = cursor_read_ballot(&c);
    entry->slot = cursor_read_u64(&c);
    record->to = cursor_read_u64(&c);
    entry->kind = cursor_read_kind(&c, ENTRY_KINDS);
    cursor_read_zeros(&c, 3);
    uint32_t len = cursor_read_u32(&c);
    entry->value = cursor_read_payload(&c, len);
    return cursor_finished(&c);
}
