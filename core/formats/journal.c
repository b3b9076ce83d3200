/* The bytes of the journal: journal.h draws them and numbers the rules. */
#include "core/formats/journal.h"

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/formats/record.h"

static const uint64_t SEGMENT_MAGIC = UINT64_C(0x4c4e4a444f4e5953); /* "SYNODJNL" */
static const uint32_t GROUP_MAGIC = UINT32_C(0x31474a53);           /* "SJG1" */

/* Offsets into a segment header. */
enum {
    SEGMENT_AT_MAGIC = 0,
    SEGMENT_AT_VERSION = 8,
    SEGMENT_AT_LENGTH = 12,
    SEGMENT_AT_BYTES = 16,
    SEGMENT_AT_FIRST_LSN = 24,
    SEGMENT_AT_OLDEST_LSN = 32,
    SEGMENT_AT_CLUSTER = 40,
    SEGMENT_AT_NODE = 48,
    SEGMENT_AT_INCARNATION = 52,
    SEGMENT_AT_INSTANCE = 56,
    SEGMENT_AT_PREVIOUS = 72,
    SEGMENT_AT_STICKY = 80,
    SEGMENT_AT_CHECKSUM = 88,
};

/* Offsets into a group header. */
enum {
    GROUP_AT_MAGIC = 0,
    GROUP_AT_LENGTH = 4,
    GROUP_AT_FIRST_LSN = 8,
    GROUP_AT_COUNT = 16,
    GROUP_AT_INCARNATION = 20,
    GROUP_AT_PREVIOUS = 24,
    GROUP_AT_BODY_CHECKSUM = 32,
    GROUP_AT_CHECKSUM = 40,
};

static const char *const fault_texts[JOURNAL_FAULTS] = {
    [JOURNAL_SOUND] = "nothing is wrong",
    [JOURNAL_READ_FAILED] = "cannot be read",
    [JOURNAL_NO_SEGMENT] = "not a journal segment",
    [JOURNAL_OTHER_VERSION] = "another format version than this program's",
    [JOURNAL_SEGMENT_DAMAGED] = "the segment header is damaged",
    [JOURNAL_SEGMENT_SHORT] = "the file is shorter than it was made",
    [JOURNAL_SEGMENT_LONG] = "the file is longer than it was made",
    [JOURNAL_OTHER_CLUSTER] = "the segment belongs to another cluster",
    [JOURNAL_OTHER_NODE] = "the segment belongs to another node",
    [JOURNAL_OTHER_INSTANCE] = "the segment belongs to another instance of this node",
    [JOURNAL_LATER_INCARNATION] = "written by a later life of this node than its identity knows",
    [JOURNAL_OTHER_NAME] = "the segment's first lsn is not the one in its name",
    [JOURNAL_OLDEST_MISSING] = "segments before this one are missing",
    [JOURNAL_SEGMENT_GAP] = "the segment does not continue the one before it: records are missing",
    [JOURNAL_SEGMENT_UNCHAINED] = "the segment does not continue the one before it: the checksum it names is another",
    [JOURNAL_NO_GROUP] = "there is no group where one must be",
    [JOURNAL_HEADER_DAMAGED] = "the group header is damaged, or from another place",
    [JOURNAL_BODY_DAMAGED] = "the group's records are damaged",
    [JOURNAL_GROUP_TOO_LONG] = "the group is longer than the segment",
    [JOURNAL_GROUP_UNSOUND] = "the group's records do not fill it",
    [JOURNAL_GROUP_GAP] = "the group does not continue the one before it: records are missing",
    [JOURNAL_GROUP_UNCHAINED] = "the group does not continue the one before it: the checksum it names is another",
    [JOURNAL_INCARNATION_FALLS] = "the group is from an earlier life of the node than the one before it",
    [JOURNAL_TAIL] = "bytes other than zero after the last group",
};

const char *journal_fault_text(enum journal_fault fault)
{
    return (unsigned)fault < JOURNAL_FAULTS ? fault_texts[fault] : "unknown";
}

static void put32(uint64_t *words, size_t at, uint32_t value) { memcpy((uint8_t *)words + at, &value, 4); }
static void put64(uint64_t *words, size_t at, uint64_t value) { memcpy((uint8_t *)words + at, &value, 8); }

static uint32_t get32(const uint64_t *words, size_t at)
{
    uint32_t value;
    memcpy(&value, (const uint8_t *)words + at, 4);
    return value;
}

static uint64_t get64(const uint64_t *words, size_t at)
{
    uint64_t value;
    memcpy(&value, (const uint8_t *)words + at, 8);
    return value;
}

static uint64_t padded(uint64_t bytes) { return (bytes + 7) / 8 * 8; }

uint64_t journal_cluster_hash(const char *name, size_t len) { return checksum(name, len, 0); }

/* ---- Sticky records ---- */

static void sticky_copy(struct packet *to, const struct packet *from)
{
    size_t words = words_for(from->len);
    *to = *from;
    to->words = (struct words){.ptr = memory_new(words, sizeof(uint64_t)), .len = words};
    if (words > 0)
        memcpy(to->words.ptr, from->words.ptr, words * sizeof(uint64_t));
}

void journal_sticky_keep(struct journal_sticky *s, const struct packet *record)
{
    if (record->kind < RECORD_PACKET_STICKY)
        return;
    struct packet copy;
    sticky_copy(&copy, record);
    size_t kept = 0;
    for (size_t i = 0; i < s->len; i++) {
        if (s->ptr[i].kind == record->kind)
            free(s->ptr[i].words.ptr);
        else
            s->ptr[kept++] = s->ptr[i];
    }
    s->ptr = memory_reserve(s->ptr, &s->capacity, kept + 1, sizeof *s->ptr);
    s->ptr[kept] = copy;
    s->len = kept + 1;
}

void journal_sticky_free(struct journal_sticky *s)
{
    for (size_t i = 0; i < s->len; i++)
        free(s->ptr[i].words.ptr);
    free(s->ptr);
    *s = (struct journal_sticky){0};
}

/* ---- Segments ---- */

static uint64_t segment_length(const struct journal_sticky *sticky)
{
    uint64_t length = JOURNAL_SEGMENT_HEADER_SIZE;
    for (size_t i = 0; i < sticky->len; i++)
        length += JOURNAL_STICKY_HEADER_SIZE + padded(sticky->ptr[i].len);
    return length;
}

uint64_t journal_segment_header_bytes(const struct journal_sticky *sticky) { return journal_pages(segment_length(sticky)); }

/* The checksum of a header. Its own field counts as zero. */
static uint64_t segment_checksum(const uint64_t *words, uint32_t header_bytes)
{
    uint64_t head = checksum(words, SEGMENT_AT_CHECKSUM, 0);
    return checksum((const uint8_t *)words + SEGMENT_AT_CHECKSUM + 8, header_bytes - SEGMENT_AT_CHECKSUM - 8, head);
}

void journal_segment_write(uint64_t *words, const struct journal_owner *owner, struct journal_segment *segment,
                           const struct journal_sticky *sticky)
{
    uint64_t length = segment_length(sticky);
    invariant(length <= JOURNAL_GROUP_BYTES_MAX);
    segment->header_bytes = (uint32_t)journal_pages(length);
    segment->sticky_count = (uint32_t)sticky->len;
    segment->incarnation = owner->incarnation;
    memset(words, 0, segment->header_bytes);
    put64(words, SEGMENT_AT_MAGIC, SEGMENT_MAGIC);
    put32(words, SEGMENT_AT_VERSION, JOURNAL_VERSION);
    put32(words, SEGMENT_AT_LENGTH, (uint32_t)length);
    put64(words, SEGMENT_AT_BYTES, segment->bytes);
    put64(words, SEGMENT_AT_FIRST_LSN, segment->first_lsn);
    put64(words, SEGMENT_AT_OLDEST_LSN, segment->oldest_lsn);
    put64(words, SEGMENT_AT_CLUSTER, owner->cluster);
    put32(words, SEGMENT_AT_NODE, owner->node);
    put32(words, SEGMENT_AT_INCARNATION, owner->incarnation);
    memcpy((uint8_t *)words + SEGMENT_AT_INSTANCE, owner->instance, sizeof owner->instance);
    put64(words, SEGMENT_AT_PREVIOUS, segment->previous);
    put32(words, SEGMENT_AT_STICKY, (uint32_t)sticky->len);
    size_t at = JOURNAL_SEGMENT_HEADER_SIZE;
    for (size_t i = 0; i < sticky->len; i++) {
        const struct packet *record = &sticky->ptr[i];
        put64(words, at, record->id);
        put32(words, at + 8, record->kind);
        put32(words, at + 12, record->len);
        at += JOURNAL_STICKY_HEADER_SIZE;
        if (record->len > 0)
            memcpy((uint8_t *)words + at, record->words.ptr, (size_t)padded(record->len));
        at += (size_t)padded(record->len);
    }
    put64(words, SEGMENT_AT_CHECKSUM, segment_checksum(words, segment->header_bytes));
}

enum journal_fault journal_segment_peek(const uint64_t *page, uint64_t file_bytes, uint32_t *header_bytes)
{
    if (get64(page, SEGMENT_AT_MAGIC) != SEGMENT_MAGIC)
        return JOURNAL_NO_SEGMENT;
    if (get32(page, SEGMENT_AT_VERSION) != JOURNAL_VERSION)
        return JOURNAL_OTHER_VERSION;
    uint32_t length = get32(page, SEGMENT_AT_LENGTH);
    if (length < JOURNAL_SEGMENT_HEADER_SIZE || length > JOURNAL_GROUP_BYTES_MAX)
        return JOURNAL_SEGMENT_DAMAGED;
    *header_bytes = (uint32_t)journal_pages(length);
    return *header_bytes > file_bytes ? JOURNAL_SEGMENT_SHORT : JOURNAL_SOUND;
}

/* True when the sticky records fill the header's length exactly. */
static bool sticky_fits(const uint64_t *words)
{
    uint64_t length = get32(words, SEGMENT_AT_LENGTH);
    uint64_t at = JOURNAL_SEGMENT_HEADER_SIZE;
    for (uint32_t left = get32(words, SEGMENT_AT_STICKY); left > 0; left--) {
        if (length - at < JOURNAL_STICKY_HEADER_SIZE)
            return false;
        uint64_t size = padded(get32(words, (size_t)at + 12));
        at += JOURNAL_STICKY_HEADER_SIZE;
        if (length - at < size)
            return false;
        at += size;
    }
    return at == length;
}

enum journal_fault journal_segment_read(const uint64_t *words, uint32_t header_bytes, const struct journal_owner *owner,
                                        uint64_t first_lsn, uint64_t file_bytes, struct journal_segment *segment)
{
    if (get64(words, SEGMENT_AT_CHECKSUM) != segment_checksum(words, header_bytes) || !sticky_fits(words))
        return JOURNAL_SEGMENT_DAMAGED;
    *segment = (struct journal_segment){
        .bytes = get64(words, SEGMENT_AT_BYTES),
        .first_lsn = get64(words, SEGMENT_AT_FIRST_LSN),
        .oldest_lsn = get64(words, SEGMENT_AT_OLDEST_LSN),
        .previous = get64(words, SEGMENT_AT_PREVIOUS),
        .header_bytes = header_bytes,
        .sticky_count = get32(words, SEGMENT_AT_STICKY),
        .incarnation = get32(words, SEGMENT_AT_INCARNATION),
    };
    if (get64(words, SEGMENT_AT_CLUSTER) != owner->cluster)
        return JOURNAL_OTHER_CLUSTER;
    if (get32(words, SEGMENT_AT_NODE) != owner->node)
        return JOURNAL_OTHER_NODE;
    if (memcmp((const uint8_t *)words + SEGMENT_AT_INSTANCE, owner->instance, sizeof owner->instance) != 0)
        return JOURNAL_OTHER_INSTANCE;
    if (segment->incarnation > owner->incarnation)
        return JOURNAL_LATER_INCARNATION;
    if (segment->first_lsn != first_lsn || first_lsn == 0)
        return JOURNAL_OTHER_NAME;
    if (segment->bytes != file_bytes)
        return segment->bytes > file_bytes ? JOURNAL_SEGMENT_SHORT : JOURNAL_SEGMENT_LONG;
    if (file_bytes % JOURNAL_PAGE != 0)
        return JOURNAL_SEGMENT_DAMAGED;
    return JOURNAL_SOUND;
}

void journal_segment_sticky(const uint64_t *words, const struct journal_segment *segment, struct journal_sticky *sticky)
{
    size_t at = JOURNAL_SEGMENT_HEADER_SIZE;
    for (uint32_t i = 0; i < segment->sticky_count; i++) {
        struct packet record = {.id = get64(words, at), .kind = get32(words, at + 8), .len = get32(words, at + 12)};
        at += JOURNAL_STICKY_HEADER_SIZE;
        size_t count = words_for(record.len);
        uint64_t *copy = memory_new(count, sizeof(uint64_t));
        memcpy(copy, (const uint8_t *)words + at, count * sizeof(uint64_t));
        record.words = (struct words){.ptr = copy, .len = count};
        journal_sticky_keep(sticky, &record);
        free(copy);
        at += (size_t)padded(record.len);
    }
}

/* ---- Groups ---- */

void journal_group_reserve(struct journal_group *g, uint64_t bytes)
{
    const uint64_t there = g->capacity * sizeof(uint64_t), more = there + there / 2;
    if (bytes <= there)
        return;
    const uint64_t grown = journal_pages(more > bytes ? more : bytes);
    uint64_t *words = memory_pages((size_t)grown);
    if (there > 0)
        memcpy(words, g->words, (size_t)there);
    free(g->words);
    g->words = words;
    g->capacity = (size_t)(grown / sizeof(uint64_t));
}

void journal_group_begin(struct journal_group *g, uint64_t first_lsn)
{
    journal_group_reserve(g, JOURNAL_PAGE);
    g->len = JOURNAL_GROUP_HEADER_SIZE;
    g->count = 0;
    g->first_lsn = first_lsn;
}

bool journal_group_add(struct journal_group *g, const struct packet *record)
{
    uint64_t size = JOURNAL_RECORD_HEADER_SIZE + padded(record->len);
    if (record->words.len < words_for(record->len) || g->len + size > JOURNAL_GROUP_BYTES_MAX)
        return false;
    journal_group_reserve(g, g->len + size);
    put32(g->words, g->len, record->kind);
    put32(g->words, g->len + 4, record->len);
    if (record->len > 0)
        memcpy((uint8_t *)g->words + g->len + JOURNAL_RECORD_HEADER_SIZE, record->words.ptr, (size_t)padded(record->len));
    g->len += (uint32_t)size;
    g->count++;
    return true;
}

/* J6: the place is in the seed, so a group's checksum holds in one place only. */
static uint64_t place_seed(const struct journal_place *place)
{
    uint64_t words[4] = {place->segment, place->offset, 0, 0};
    memcpy(&words[2], place->owner->instance, sizeof place->owner->instance);
    return checksum(words, sizeof words, 0);
}

static uint64_t body_checksum(const struct journal_group *g)
{
    return checksum((const uint8_t *)g->words + JOURNAL_GROUP_HEADER_SIZE,
                    (size_t)journal_pages(g->len) - JOURNAL_GROUP_HEADER_SIZE, 0);
}

uint64_t journal_group_seal(struct journal_group *g, const struct journal_place *place, uint64_t previous)
{
    uint64_t bytes = journal_pages(g->len);
    memset((uint8_t *)g->words + g->len, 0, (size_t)(bytes - g->len));
    g->incarnation = place->owner->incarnation;
    g->previous = previous;
    g->body_checksum = body_checksum(g);
    put32(g->words, GROUP_AT_MAGIC, GROUP_MAGIC);
    put32(g->words, GROUP_AT_LENGTH, g->len);
    put64(g->words, GROUP_AT_FIRST_LSN, g->first_lsn);
    put32(g->words, GROUP_AT_COUNT, g->count);
    put32(g->words, GROUP_AT_INCARNATION, g->incarnation);
    put64(g->words, GROUP_AT_PREVIOUS, g->previous);
    put64(g->words, GROUP_AT_BODY_CHECKSUM, g->body_checksum);
    g->checksum = checksum(g->words, GROUP_AT_CHECKSUM, place_seed(place));
    put64(g->words, GROUP_AT_CHECKSUM, g->checksum);
    return bytes;
}

enum journal_fault journal_group_header(const uint64_t *page, const struct journal_place *place, struct journal_group *g)
{
    if (get32(page, GROUP_AT_MAGIC) != GROUP_MAGIC)
        return JOURNAL_NO_GROUP;
    if (get64(page, GROUP_AT_CHECKSUM) != checksum(page, GROUP_AT_CHECKSUM, place_seed(place)))
        return JOURNAL_HEADER_DAMAGED;
    g->len = get32(page, GROUP_AT_LENGTH);
    g->first_lsn = get64(page, GROUP_AT_FIRST_LSN);
    g->count = get32(page, GROUP_AT_COUNT);
    g->incarnation = get32(page, GROUP_AT_INCARNATION);
    g->previous = get64(page, GROUP_AT_PREVIOUS);
    g->body_checksum = get64(page, GROUP_AT_BODY_CHECKSUM);
    g->checksum = get64(page, GROUP_AT_CHECKSUM);
    if (g->len < JOURNAL_GROUP_HEADER_SIZE || g->len > JOURNAL_GROUP_BYTES_MAX || g->len % 8 != 0)
        return JOURNAL_GROUP_UNSOUND;
    return JOURNAL_SOUND;
}

enum journal_fault journal_group_check(const struct journal_group *g)
{
    if (body_checksum(g) != g->body_checksum)
        return JOURNAL_BODY_DAMAGED;
    uint32_t at = JOURNAL_GROUP_HEADER_SIZE;
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->len - at < JOURNAL_RECORD_HEADER_SIZE)
            return JOURNAL_GROUP_UNSOUND;
        uint64_t size = padded(get32(g->words, at + 4));
        at += JOURNAL_RECORD_HEADER_SIZE;
        if (g->len - at < size)
            return JOURNAL_GROUP_UNSOUND;
        at += (uint32_t)size;
    }
    return at == g->len ? JOURNAL_SOUND : JOURNAL_GROUP_UNSOUND;
}

bool journal_group_next(const struct journal_group *g, uint32_t *offset, uint32_t *index, struct packet *record)
{
    if (*index >= g->count)
        return false;
    if (*index == 0)
        *offset = JOURNAL_GROUP_HEADER_SIZE;
    record->id = g->first_lsn + *index;
    record->kind = get32(g->words, *offset);
    record->len = get32(g->words, *offset + 4);
    *offset += JOURNAL_RECORD_HEADER_SIZE;
    record->words = (struct words){.ptr = g->words + *offset / sizeof(uint64_t), .len = words_for(record->len)};
    *offset += (uint32_t)padded(record->len);
    *index += 1;
    return true;
}

void journal_group_free(struct journal_group *g)
{
    free(g->words);
    *g = (struct journal_group){0};
}
