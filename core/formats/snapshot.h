/* A snapshot, as bytes: what learners have executed before a slot, so that no learner needs the log before it. It is a file
 * on disk, and travels between learners as it is.
 *
 * Nothing in it says which node wrote it, when, or how: equal states give equal bytes, so that learners can compare
 * snapshots by their last checksum, and a learner that fetches one may take its parts from different peers.
 *
 *   | header | piece | piece | piece | ... | end |            everything starts on a multiple of 8 bytes
 *
 * All integers are little-endian. Header:
 *
 *    0  magic "SYNODSNP"     8
 *    8  format version       4     12  zero              4
 *   16  cluster              8     XXH64 of its name
 *   24  slot                 8     the first slot that is not in the snapshot: 1 to SLOT_MAX - 1
 *   32  checksum             8     XXH64 of bytes 0 to 31
 *
 * Piece:
 *
 *    0  magic "SNPC"         4      4  kind              4
 *    8  number               8     of the piece in the snapshot, from 0
 *   16  length               4     20  zero              4
 *   24  body checksum        8     XXH64 of the body with its padding
 *   32  checksum             8     XXH64 of bytes 0 to 31, seeded with the checksum of the piece before (or of the header)
 *   40  body                       `length` bytes, padded with zeros to 8
 *
 * The last piece is of kind SNAPSHOT_END. Its body is the checksum of the piece before it, so that the end can be checked
 * without reading what is before it. Rules:
 *
 *  S1. A checksum covers all that is before it, by the seed. So pieces that are lost, doubled, in another order or from
 *      another snapshot do not fit, and the checksum of the end stands for the whole.
 *  S2. A snapshot without its end is none. It is written under another name, synced, renamed, and the folder synced.
 *  S3. Its bytes depend on the state alone, where pieces end included.
 *  S4. A reader trusts no length before the checksum over it was right, and reserves no more than SNAPSHOT_PIECE_MAX. No
 *      piece is used before all of them were checked. */
#ifndef SYNOD_CORE_FORMATS_SNAPSHOT_H
#define SYNOD_CORE_FORMATS_SNAPSHOT_H

#include "core/base/types.h"

enum {
    SNAPSHOT_VERSION = 2,
    SNAPSHOT_HEADER_SIZE = 40,
    SNAPSHOT_PIECE_HEADER_SIZE = 40,
    SNAPSHOT_END_SIZE = 48,
    SNAPSHOT_PIECE_MAX = 16 * 1024 * 1024, /* bytes of a body */
};

enum snapshot_fault {
    SNAPSHOT_SOUND,
    SNAPSHOT_NO_SNAPSHOT,
    SNAPSHOT_OTHER_VERSION,
    SNAPSHOT_HEADER_DAMAGED,
    SNAPSHOT_SLOT_UNSOUND,
    SNAPSHOT_OTHER_CLUSTER,
    SNAPSHOT_OTHER_SLOT,
    SNAPSHOT_NO_PIECE,
    SNAPSHOT_PIECE_DAMAGED,
    SNAPSHOT_PIECE_UNSOUND,
    SNAPSHOT_BODY_DAMAGED,
    SNAPSHOT_PADDING_UNSOUND,
    SNAPSHOT_END_UNSOUND,
    SNAPSHOT_FAULTS
};

/* What is wrong, in words. A constant text. */
const char *snapshot_fault_text(enum snapshot_fault fault);

/* A place in a snapshot, between two pieces. */
struct snapshot_place {
    uint64_t offset;
    uint64_t number;   /* of the next piece */
    uint64_t checksum; /* of the piece before */
};

/* Whether a piece of `kind` may follow one of the kind `before`. The first piece is SNAPSHOT_LEARNER. */
static inline bool snapshot_pieces_follow(uint32_t before, uint32_t kind)
{
    switch (before) {
    case SNAPSHOT_LEARNER:
    case SNAPSHOT_SESSIONS:
        return kind == SNAPSHOT_SESSIONS || kind == SNAPSHOT_SESSIONS_LAST;
    case SNAPSHOT_SESSIONS_LAST:
    case SNAPSHOT_STATE:
        return kind == SNAPSHOT_STATE || kind == SNAPSHOT_STATE_LAST;
    default:
        return kind == SNAPSHOT_END;
    }
}

struct snapshot_piece {
    uint32_t kind;
    uint32_t len; /* of the body, without its padding */
    uint64_t body_checksum;
};

/* Bytes of a body with its padding. */
static inline size_t snapshot_padded(uint32_t len) { return ((size_t)len + 7) / 8 * 8; }

/* Writes a header. Returns the place of the first piece. */
struct snapshot_place snapshot_header_write(uint8_t out[SNAPSHOT_HEADER_SIZE], uint64_t cluster, uint64_t slot);
/* Checks a header. On success `*place` is that of the first piece. */
enum snapshot_fault snapshot_header_read(const uint8_t bytes[SNAPSHOT_HEADER_SIZE], uint64_t cluster, uint64_t slot,
                                         struct snapshot_place *place);

/* The cluster and the slot that a header names, which is not checked. */
void snapshot_header_names(const uint8_t bytes[SNAPSHOT_HEADER_SIZE], uint64_t *cluster, uint64_t *slot);

/* Writes the header of the piece at `*place`, whose body is `body`, padded with zeros. Moves the place to the next piece.
 * Precondition: `len` is at most SNAPSHOT_PIECE_MAX. */
void snapshot_piece_write(uint8_t out[SNAPSHOT_PIECE_HEADER_SIZE], enum snapshot_piece_kind kind, const void *body,
                          uint32_t len, struct snapshot_place *place);
/* Checks the header of the piece at `*place`. On success moves the place to the next piece. */
enum snapshot_fault snapshot_piece_read(const uint8_t bytes[SNAPSHOT_PIECE_HEADER_SIZE], struct snapshot_place *place,
                                        struct snapshot_piece *piece);
/* Writes the end at `*place`, and moves the place after it: then its offset is the size of the snapshot, and its checksum
 * stands for all of it. */
void snapshot_end_write(uint8_t out[SNAPSHOT_END_SIZE], struct snapshot_place *place);
/* Checks the end of a snapshot of which nothing else is known. On success `*sum` is its checksum. */
enum snapshot_fault snapshot_end_read(const uint8_t bytes[SNAPSHOT_END_SIZE], uint64_t *sum);
/* Checks a body with its padding. `place`: of the piece. */
enum snapshot_fault snapshot_body_check(const struct snapshot_piece *piece, const void *body,
                                        const struct snapshot_place *place);

#endif
