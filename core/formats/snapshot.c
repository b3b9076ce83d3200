#include "core/formats/snapshot.h"

#include "core/base/assert.h"
#include "core/base/checksum.h"
#include "core/base/cursor.h"

static const uint64_t MAGIC = UINT64_C(0x504e53444f4e5953); /* "SYNODSNP" */
static const uint32_t PIECE_MAGIC = UINT32_C(0x43504e53);   /* "SNPC" */

enum { AT_MAGIC = 0, AT_VERSION = 8, AT_ZERO = 12, AT_CLUSTER = 16, AT_SLOT = 24, AT_CHECKSUM = 32 };
enum {
    PIECE_AT_MAGIC = 0,
    PIECE_AT_KIND = 4,
    PIECE_AT_NUMBER = 8,
    PIECE_AT_LENGTH = 16,
    PIECE_AT_ZERO = 20,
    PIECE_AT_BODY_CHECKSUM = 24,
    PIECE_AT_CHECKSUM = 32
};
enum { END_LEN = SNAPSHOT_END_SIZE - SNAPSHOT_PIECE_HEADER_SIZE };

static const char *const fault_texts[SNAPSHOT_FAULTS] = {
    [SNAPSHOT_SOUND] = "nothing is wrong",
    [SNAPSHOT_NO_SNAPSHOT] = "not a snapshot",
    [SNAPSHOT_OTHER_VERSION] = "another format version than this program's",
    [SNAPSHOT_HEADER_DAMAGED] = "the header is damaged",
    [SNAPSHOT_SLOT_UNSOUND] = "the header names a slot that no log has",
    [SNAPSHOT_OTHER_CLUSTER] = "the snapshot belongs to another cluster",
    [SNAPSHOT_OTHER_SLOT] = "the snapshot is of another slot",
    [SNAPSHOT_NO_PIECE] = "there is no piece where one must be",
    [SNAPSHOT_PIECE_DAMAGED] = "the header of a piece is damaged, or from another place",
    [SNAPSHOT_PIECE_UNSOUND] = "a piece is of no kind or length that there is",
    [SNAPSHOT_BODY_DAMAGED] = "the body of a piece is damaged",
    [SNAPSHOT_PADDING_UNSOUND] = "the body of a piece is padded with something else than zeros",
    [SNAPSHOT_END_UNSOUND] = "the end is of another snapshot",
};

const char *snapshot_fault_text(enum snapshot_fault fault)
{
    return (unsigned)fault < SNAPSHOT_FAULTS ? fault_texts[fault] : "unknown";
}

struct snapshot_place snapshot_header_write(uint8_t out[SNAPSHOT_HEADER_SIZE], uint64_t cluster, uint64_t slot)
{
    cursor_store_u64(out + AT_MAGIC, MAGIC);
    cursor_store_u32(out + AT_VERSION, SNAPSHOT_VERSION);
    cursor_store_u32(out + AT_ZERO, 0);
    cursor_store_u64(out + AT_CLUSTER, cluster);
    cursor_store_u64(out + AT_SLOT, slot);
    uint64_t sum = checksum(out, AT_CHECKSUM, 0);
    cursor_store_u64(out + AT_CHECKSUM, sum);
    return (struct snapshot_place){.offset = SNAPSHOT_HEADER_SIZE, .checksum = sum};
}

enum snapshot_fault snapshot_header_read(const uint8_t bytes[SNAPSHOT_HEADER_SIZE], uint64_t cluster, uint64_t slot,
                                         struct snapshot_place *place)
{
    const uint64_t sum = cursor_load_u64(bytes + AT_CHECKSUM), named = cursor_load_u64(bytes + AT_SLOT);
    if (cursor_load_u64(bytes + AT_MAGIC) != MAGIC)
        return SNAPSHOT_NO_SNAPSHOT;
    if (cursor_load_u32(bytes + AT_VERSION) != SNAPSHOT_VERSION)
        return SNAPSHOT_OTHER_VERSION;
    if (checksum(bytes, AT_CHECKSUM, 0) != sum || cursor_load_u32(bytes + AT_ZERO) != 0)
        return SNAPSHOT_HEADER_DAMAGED;
    if (named == 0 || named >= SLOT_MAX)
        return SNAPSHOT_SLOT_UNSOUND;
    if (cursor_load_u64(bytes + AT_CLUSTER) != cluster)
        return SNAPSHOT_OTHER_CLUSTER;
    if (named != slot)
        return SNAPSHOT_OTHER_SLOT;
    *place = (struct snapshot_place){.offset = SNAPSHOT_HEADER_SIZE, .checksum = sum};
    return SNAPSHOT_SOUND;
}

void snapshot_header_names(const uint8_t bytes[SNAPSHOT_HEADER_SIZE], uint64_t *cluster, uint64_t *slot)
{
    *cluster = cursor_load_u64(bytes + AT_CLUSTER);
    *slot = cursor_load_u64(bytes + AT_SLOT);
}

static void go_past(struct snapshot_place *place, uint32_t len, uint64_t sum)
{
    place->offset += SNAPSHOT_PIECE_HEADER_SIZE + snapshot_padded(len);
    place->number++;
    place->checksum = sum;
}

void snapshot_piece_write(uint8_t out[SNAPSHOT_PIECE_HEADER_SIZE], enum snapshot_piece_kind kind, const void *body,
                          uint32_t len, struct snapshot_place *place)
{
    invariant(len <= SNAPSHOT_PIECE_MAX);
    cursor_store_u32(out + PIECE_AT_MAGIC, PIECE_MAGIC);
    cursor_store_u32(out + PIECE_AT_KIND, kind);
    cursor_store_u64(out + PIECE_AT_NUMBER, place->number);
    cursor_store_u32(out + PIECE_AT_LENGTH, len);
    cursor_store_u32(out + PIECE_AT_ZERO, 0);
    cursor_store_u64(out + PIECE_AT_BODY_CHECKSUM, checksum(body, snapshot_padded(len), 0));
    uint64_t sum = checksum(out, PIECE_AT_CHECKSUM, place->checksum);
    cursor_store_u64(out + PIECE_AT_CHECKSUM, sum);
    go_past(place, len, sum);
}

enum snapshot_fault snapshot_piece_read(const uint8_t bytes[SNAPSHOT_PIECE_HEADER_SIZE], struct snapshot_place *place,
                                        struct snapshot_piece *piece)
{
    uint64_t sum = cursor_load_u64(bytes + PIECE_AT_CHECKSUM);
    if (cursor_load_u32(bytes + PIECE_AT_MAGIC) != PIECE_MAGIC)
        return SNAPSHOT_NO_PIECE;
    if (checksum(bytes, PIECE_AT_CHECKSUM, place->checksum) != sum)
        return SNAPSHOT_PIECE_DAMAGED;
    *piece = (struct snapshot_piece){.kind = cursor_load_u32(bytes + PIECE_AT_KIND),
                                     .len = cursor_load_u32(bytes + PIECE_AT_LENGTH),
                                     .body_checksum = cursor_load_u64(bytes + PIECE_AT_BODY_CHECKSUM)};
    bool known = piece->kind < SNAPSHOT_PIECE_KINDS;
    if (!known || piece->len > SNAPSHOT_PIECE_MAX || (piece->kind == SNAPSHOT_END && piece->len != END_LEN) ||
        cursor_load_u32(bytes + PIECE_AT_ZERO) != 0 || cursor_load_u64(bytes + PIECE_AT_NUMBER) != place->number)
        return SNAPSHOT_PIECE_UNSOUND;
    go_past(place, piece->len, sum);
    return SNAPSHOT_SOUND;
}

void snapshot_end_write(uint8_t out[SNAPSHOT_END_SIZE], struct snapshot_place *place)
{
    cursor_store_u64(out + SNAPSHOT_PIECE_HEADER_SIZE, place->checksum);
    snapshot_piece_write(out, SNAPSHOT_END, out + SNAPSHOT_PIECE_HEADER_SIZE, END_LEN, place);
}

enum snapshot_fault snapshot_end_read(const uint8_t bytes[SNAPSHOT_END_SIZE], uint64_t *sum)
{
    const uint8_t *body = bytes + SNAPSHOT_PIECE_HEADER_SIZE;
    struct snapshot_piece piece;
    const struct snapshot_place before = {.number = cursor_load_u64(bytes + PIECE_AT_NUMBER),
                                          .checksum = cursor_load_u64(body)};
    struct snapshot_place place = before;
    enum snapshot_fault fault = snapshot_piece_read(bytes, &place, &piece);
    if (fault == SNAPSHOT_SOUND && piece.kind != SNAPSHOT_END)
        fault = SNAPSHOT_END_UNSOUND;
    if (fault == SNAPSHOT_SOUND)
        fault = snapshot_body_check(&piece, body, &before);
    *sum = place.checksum;
    return fault;
}

enum snapshot_fault snapshot_body_check(const struct snapshot_piece *piece, const void *body,
                                        const struct snapshot_place *place)
{
    const uint8_t *bytes = body;
    const size_t padded = snapshot_padded(piece->len);
    if (checksum(body, padded, 0) != piece->body_checksum)
        return SNAPSHOT_BODY_DAMAGED;
    for (size_t i = piece->len; i < padded; i++)
        if (bytes[i] != 0)
            return SNAPSHOT_PADDING_UNSOUND;
    if (piece->kind == SNAPSHOT_END && cursor_load_u64(bytes) != place->checksum)
        return SNAPSHOT_END_UNSOUND;
    return SNAPSHOT_SOUND;
}
