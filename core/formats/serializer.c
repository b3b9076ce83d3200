/* Messages to frame bodies and back.
 *
 * A body is one message: a fixed header in which every field of struct message stands once, then its entries. All
 * numbers are little-endian. Every part begins at a multiple of 8, so that the value of an entry can be used where it
 * lies, in the words of the packet it came in: decoding copies no value.
 *
 *     0  kind             1      1  flags              1      2  version (6)  1      3  zero  1      4  entries  4
 *     8  ballot.round     8     16  ballot.node        4     20  ballot.incarnation  4
 *    24  from             8     32  to                 8
 *    40  floor            8     48  chosen             8
 *    56  batch.origin     4     60  batch.incarnation  4     64  batch.number        8
 *    72  entries, each
 *          0  slot         8
 *          8  ballot.round 8     16  ballot.node        4    20  ballot.incarnation  4
 *         24  kind         1     25  zero  3                 28  length of the value 4
 *         32  value, then zeros up to a multiple of 8
 *
 * What makes a body sound:
 *  1. The version is ours. Bodies of another version are refused; nothing is guessed.
 *  2. Kinds are known ones, because they become discriminants on the way to the next component, where an unknown one
 *     would trap. Flags are known ones. Node numbers fit a node set.
 *  3. The count of entries fits the bytes that follow. That is checked before any entry is read or memory is reserved for
 *     it.
 *  4. What is called zero is zero and nothing follows the last entry. So a message has one encoding only: encoding what
 *     was decoded gives the same bytes.
 * The serializer does not know which fields a kind uses: it carries them all. */
#include "core/formats/serializer.h"

#include "core/base/cursor.h"
#include "core/base/memory.h"

enum { BODY_VERSION = 6, BODY_HEADER_SIZE = 72, ENTRY_HEADER_SIZE = 32, COUNT_OFFSET = 4 };
_Static_assert(MESSAGE_KINDS == 26 && ENTRY_KINDS == 4,
               "nodes that do not know a kind must not read it as another: raise BODY_VERSION");

enum {
    KNOWN_FLAGS = MESSAGE_LAST | MESSAGE_LEADING | MESSAGE_RESIGNED | MESSAGE_YES | MESSAGE_IS_CHOSEN | MESSAGE_ANOTHER |
                  MESSAGE_FORGOTTEN
};

/* Memory of the last results; kept from call to call, so that a steady load allocates nothing. */
struct serializer {
    uint64_t *words;
    size_t words_capacity;
    struct packet *packets;
    size_t packets_capacity;
    struct delivery *messages;
    size_t messages_capacity;
    struct entry *entries;
    size_t entries_capacity;
    uint32_t *bad;
    size_t bad_capacity;
};

struct serializer *serializer_new(void) { return memory_new(1, sizeof(struct serializer)); }

void serializer_free(struct serializer *s)
{
    if (!s)
        return;
    free(s->words);
    free(s->packets);
    free(s->messages);
    free(s->entries);
    free(s->bad);
    free(s);
}

/* ---- Encoding ---- */

static size_t body_size(const struct message *message)
{
    uint64_t size = BODY_HEADER_SIZE;
    for (size_t i = 0; i < message->entries.len; i++)
        size += ENTRY_HEADER_SIZE + ((uint64_t)message->entries.ptr[i].value.len + 7) / 8 * 8;
    invariant(size <= UINT32_MAX); /* agents bound their messages by chunk_bytes_max and bytes_in_flight_max */
    return (size_t)size;
}

static void write_entry(struct write_cursor *c, const struct entry *entry)
{
    invariant(entry->kind < ENTRY_KINDS && entry->value.words.len == words_for(entry->value.len));
    cursor_write_u64(c, entry->slot);
    cursor_write_ballot(c, entry->ballot);
    cursor_write_u8(c, entry->kind);
    cursor_write_zeros(c, 3);
    cursor_write_u32(c, entry->value.len);
    cursor_write_payload(c, &entry->value);
}

static void write_message(struct write_cursor *c, const struct message *message)
{
    invariant(message->kind < MESSAGE_KINDS);
    cursor_write_u8(c, message->kind);
    cursor_write_u8(c, message->flags);
    cursor_write_u8(c, BODY_VERSION);
    cursor_write_zeros(c, 1);
    cursor_write_u32(c, (uint32_t)message->entries.len);
    cursor_write_ballot(c, message->ballot);
    cursor_write_u64(c, message->from);
    cursor_write_u64(c, message->to);
    cursor_write_u64(c, message->floor);
    cursor_write_u64(c, message->chosen);
    cursor_write_u32(c, message->batch.origin);
    cursor_write_u32(c, message->batch.incarnation);
    cursor_write_u64(c, message->batch.number);
    for (size_t i = 0; i < message->entries.len; i++)
        write_entry(c, &message->entries.ptr[i]);
    invariant(cursor_full(c));
}

/* Precondition: the messages are well formed (known kinds, values with the words that their length takes, less than 4 GiB
 * each). They are borrowed. */
struct packet_list serializer_encode(struct serializer *s, const struct outgoing *messages, size_t count)
{
    /* The packets point into one buffer, so it gets its full size before the first packet is made. */
    uint64_t total = 0;
    s->packets = memory_reserve(s->packets, &s->packets_capacity, count, sizeof *s->packets);
    for (size_t i = 0; i < count; i++) {
        size_t size = body_size(&messages[i].message);
        s->packets[i] = (struct packet){.id = messages[i].to, .len = (uint32_t)size, .words.len = size / 8};
        total += size / 8;
    }
    invariant(total <= SIZE_MAX / sizeof *s->words);
    s->words = memory_reserve(s->words, &s->words_capacity, (size_t)total, sizeof *s->words);

    uint64_t *next = s->words;
    for (size_t i = 0; i < count; i++) {
        struct packet *packet = &s->packets[i];
        struct write_cursor c = cursor_into(next, packet->len);
        write_message(&c, &messages[i].message);
        packet->words.ptr = next;
        next += packet->words.len;
    }
    return (struct packet_list){s->packets, count};
}

/* ---- Decoding ---- */

/* The number of entries that a body announces; 0 if it cannot contain that many. */
static size_t entries_announced(const struct packet *body)
{
    struct read_cursor c = cursor_over_words(body->words, body->len);
    const uint8_t *header = cursor_take(&c, BODY_HEADER_SIZE);
    if (!header)
        return 0;
    uint32_t count = cursor_load_u32(header + COUNT_OFFSET);
    return count <= cursor_left(&c) / ENTRY_HEADER_SIZE ? count : 0;
}

static void read_entry(struct read_cursor *c, struct entry *entry)
{
    entry->slot = cursor_read_u64(c);
    entry->ballot = cursor_read_ballot(c);
    entry->kind = cursor_read_kind(c, ENTRY_KINDS);
    cursor_read_zeros(c, 3);
    uint32_t len = cursor_read_u32(c);
    entry->value = cursor_read_payload(c, len);
}

/* Reads the message in `body`. Its entries go into the serializer's from `used` on, where entries_announced has made sure of
 * room. */
static bool read_message(struct serializer *s, size_t used, const struct packet *body, struct message *message)
{
    struct read_cursor c = cursor_over_words(body->words, body->len);
    message->kind = cursor_read_kind(&c, MESSAGE_KINDS);
    message->flags = cursor_read_u8(&c);
    if ((message->flags & ~KNOWN_FLAGS) != 0 || cursor_read_u8(&c) != BODY_VERSION)
        return false;
    cursor_read_zeros(&c, 1);
    uint32_t count = cursor_read_u32(&c);
    message->ballot = cursor_read_ballot(&c);
    message->from = cursor_read_u64(&c);
    message->to = cursor_read_u64(&c);
    message->floor = cursor_read_u64(&c);
    message->chosen = cursor_read_u64(&c);
    message->batch.origin = cursor_read_node(&c);
    message->batch.incarnation = cursor_read_u32(&c);
    message->batch.number = cursor_read_u64(&c);
    if (c.failed || count > cursor_left(&c) / ENTRY_HEADER_SIZE)
        return false;
    message->entries = (struct entry_list){count > 0 ? s->entries + used : NULL, count};
    for (uint32_t i = 0; i < count && !c.failed; i++)
        read_entry(&c, &message->entries.ptr[i]);
    return cursor_finished(&c);
}

static bool is_node(uint64_t id) { return id >= 1 && id <= NODE_ID_MAX; }

/* A body that is malformed, or comes from no node, adds its sender to `bad` (0: no node) and has no other effect. */
struct decoded serializer_decode(struct serializer *s, const struct packet *bodies, size_t count)
{
    /* Messages point into the array of entries, so it gets its full size before the first message is read. */
    size_t entries = 0;
    for (size_t i = 0; i < count; i++)
        entries += entries_announced(&bodies[i]);
    s->entries = memory_reserve(s->entries, &s->entries_capacity, entries, sizeof *s->entries);
    s->messages = memory_reserve(s->messages, &s->messages_capacity, count, sizeof *s->messages);
    s->bad = memory_reserve(s->bad, &s->bad_capacity, count, sizeof *s->bad);

    struct decoded result = {{s->messages, 0}, {s->bad, 0}};
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        struct delivery *delivery = &s->messages[result.messages.len];
        if (is_node(bodies[i].id) && read_message(s, used, &bodies[i], &delivery->message)) {
            delivery->sender = (uint32_t)bodies[i].id;
            used += delivery->message.entries.len;
            result.messages.len++;
        } else {
            s->bad[result.bad.len++] = is_node(bodies[i].id) ? (uint32_t)bodies[i].id : 0;
        }
    }
    return result;
}
