/* The journal of a node, as bytes. Pure: the code that does the I/O (io/journal_store.h, used by host and guest) builds and
 * checks its bytes here, so that there is one format. Recovery is in formats/journal_walk.h.
 *
 * A promise or a vote may leave a node only when it would survive the loss of power. So everything a
 * node must remember is a *record*, records get consecutive numbers (lsn, from 1), and all records of one turn of the
 * node are one *group*, which costs one write and one sync. Groups follow each other in *segments*: files named
 * `journal-<first lsn, 20 digits>.log`, filled with zeros from the start, so that a sync need not touch metadata.
 *
 *   segment       | header, 1+ pages | group | group | group, 3 pages | mark | group | 0 0 0 0 ... 0 |
 *                 0                  a page is 4096 bytes; everything starts on one                  bytes
 *
 * All integers are little-endian. Segment header:
 *
 *    0  magic "SYNODJNL"     8
 *    8  format version       4     12  length            4   of the header: up to the end of its sticky records
 *   16  bytes of the file    8     24  first lsn         8   of the segment; also in its name
 *   32  oldest lsn           8     records from here on are kept; segments that end before it may be missing
 *   40  cluster              8     XXH64 of its name
 *   48  node                 4     52  incarnation       4   the life in which the segment was made
 *   56  instance id         16
 *   72  previous             8     checksum of the last group before the segment; 0: none
 *   80  sticky records       4     84  zero              4
 *   88  checksum             8     XXH64 of all pages of the header, this field taken as zero
 *   96  sticky records: each  lsn 8, kind 4, length 4, then `length` bytes padded with zeros to 8
 *
 * Group:
 *
 *    0  magic "SJG1"         4      4  length            4   header and records, without the padding
 *    8  first lsn            8     of the group, or the next lsn when there is no record
 *   16  records              4     20  incarnation       4
 *   24  previous             8     checksum of the group before
 *   32  body checksum        8     XXH64 of everything from 48 to the end of the last page
 *   40  checksum             8     XXH64 of bytes 0 to 39, seeded with the place (segment's first lsn, offset, instance id)
 *   48  records: each  kind 4, length 4, then `length` bytes padded with zeros to 8; zeros to the end of the page
 *
 * The rules (docs/rules.md says which file keeps each):
 *
 *  J1. Group n+1 is written only after group n is durable. So at most one group is ever in doubt, and it is the last.
 *  J2. Therefore a bad group that any valid group header follows (on any later page of the segment, or in a later segment)
 *     was durable once and has been damaged since: *corruption*. It stops the node, with file and offset.
 *  J3. A bad group that nothing follows is a *torn tail*: the write that the crash interrupted. Nothing depended on it. It
 *     is overwritten with zeros, and these are synced, before the next group is written. Otherwise its remains could
 *     follow a later, shorter group.
 *  J4. A page of zeros where a group is expected is the end. Pages may reach the disk in any order, so what comes after it
 *     decides as in J2 and J3.
 *  J5. A *mark* is a group without records. It is written when the journal has been idle for a while and at close:
 *     damage to the group before it is then corruption instead of a silent cut.
 *  J6. A checksum covers the place. A sound group read from a wrong offset, segment or node fails like a damaged one.
 *  J7. Lsns are contiguous over groups and segments, each group names the checksum of the one before it, and a segment
 *     that of the last group before it. Incarnations never fall.
 *  J8. A segment is made under another name, filled with zeros, given its header and synced; then it is renamed, and the
 *     folder is synced. So a segment that is short, long, or has a bad header is corruption, never a trace of a crash. A
 *     later segment proves that all groups of the earlier ones were durable. A segment that holds no record yet (none
 *     at all, or marks) and is too small for the next group is replaced by a larger one of the same name, which continues
 *     where the replaced one did.
 *  J9. A segment opens with the latest record of each *sticky* kind (RECORD_PACKET_STICKY and above) from before it, with
 *     its own lsn. So older segments can be removed without losing them.
 * J10. What recovery reads may be page cache that a failed sync left behind. So the last valid group is written once more
 *     and synced before anything that was read counts as durable. Records are handed out while the journal is being read,
 *     but none of them has an effect outside of the node before its end is known, and all of it is sound.
 * J11. A segment may be removed when all of its records are below the *oldest lsn* in the header of a later segment that is
 *     durable. That lsn never falls, and never exceeds what was durable when the header was written; so the last record is
 *     never removed. What is left of such segments, in whatever order their removal reached the disk, is not looked at: a
 *     start removes it. A segment that has other records and is missing is corruption. */
#ifndef SYNOD_CORE_FORMATS_JOURNAL_H
#define SYNOD_CORE_FORMATS_JOURNAL_H

#include "core/formats/packet.h"

enum {
    JOURNAL_PAGE = 4096,
    JOURNAL_VERSION = 1,
    JOURNAL_SEGMENT_HEADER_SIZE = 96,
    JOURNAL_STICKY_HEADER_SIZE = 16,
    JOURNAL_GROUP_HEADER_SIZE = 48,
    JOURNAL_RECORD_HEADER_SIZE = 8,
    JOURNAL_GROUP_BYTES_MAX = 1 << 30, /* a group, in all */
};

enum journal_fault {
    JOURNAL_SOUND,
    JOURNAL_READ_FAILED,
    JOURNAL_NO_SEGMENT,
    JOURNAL_OTHER_VERSION,
    JOURNAL_SEGMENT_DAMAGED,
    JOURNAL_SEGMENT_SHORT,
    JOURNAL_SEGMENT_LONG,
    JOURNAL_OTHER_CLUSTER,
    JOURNAL_OTHER_NODE,
    JOURNAL_OTHER_INSTANCE,
    JOURNAL_LATER_INCARNATION,
    JOURNAL_OTHER_NAME,
    JOURNAL_OLDEST_MISSING,
    JOURNAL_SEGMENT_GAP,
    JOURNAL_SEGMENT_UNCHAINED,
    JOURNAL_NO_GROUP,
    JOURNAL_HEADER_DAMAGED,
    JOURNAL_BODY_DAMAGED,
    JOURNAL_GROUP_TOO_LONG,
    JOURNAL_GROUP_UNSOUND,
    JOURNAL_GROUP_GAP,
    JOURNAL_GROUP_UNCHAINED,
    JOURNAL_INCARNATION_FALLS,
    JOURNAL_TAIL,
    JOURNAL_FAULTS
};

/* What is wrong, in words. A constant text. */
const char *journal_fault_text(enum journal_fault fault);

/* The node that a journal belongs to, and the life that writes. */
struct journal_owner {
    uint64_t cluster; /* journal_cluster_hash */
    uint32_t node;
    uint32_t incarnation;
    uint8_t instance[16];
};

/* The hash of a cluster's name (`len` bytes) that goes into segment headers. */
uint64_t journal_cluster_hash(const char *name, size_t len);

/* `bytes` rounded up to whole pages. */
static inline uint64_t journal_pages(uint64_t bytes) { return (bytes + (JOURNAL_PAGE - 1)) / JOURNAL_PAGE * JOURNAL_PAGE; }

/* ---- Sticky records ---- */

/* The latest record of each sticky kind, in lsn order; zero-initialized is empty. The packets are copies. */
struct journal_sticky {
    struct packet *ptr;
    size_t len;
    size_t capacity;
};

/* Keeps a copy of `record` in place of an earlier one of its kind; ignores kinds that are not sticky. Precondition: its lsn
 * is above those kept. */
void journal_sticky_keep(struct journal_sticky *s, const struct packet *record);
void journal_sticky_free(struct journal_sticky *s);

/* ---- Segments ---- */

struct journal_segment {
    uint64_t bytes; /* of the file */
    uint64_t first_lsn;
    uint64_t oldest_lsn;
    uint64_t previous;
    uint32_t header_bytes; /* whole pages: the first group is here */
    uint32_t sticky_count;
    uint32_t incarnation;
};

/* The bytes, in whole pages, that a header with these records takes. */
uint64_t journal_segment_header_bytes(const struct journal_sticky *sticky);

/* Writes the header of a segment of `owner` into `words`, which have room for journal_segment_header_bytes. Reads bytes,
 * first_lsn, oldest_lsn and previous of `segment`, and fills in its other fields. */
void journal_segment_write(uint64_t *words, const struct journal_owner *owner, struct journal_segment *segment,
                           const struct journal_sticky *sticky);

/* Reads from the first page of a file of `file_bytes` how many bytes (whole pages) its header takes. */
enum journal_fault journal_segment_peek(const uint64_t *page, uint64_t file_bytes, uint32_t *header_bytes);

/* Checks a whole header and reads it. `header_bytes` comes from journal_segment_peek, `first_lsn` from the file's name. */
enum journal_fault journal_segment_read(const uint64_t *words, uint32_t header_bytes, const struct journal_owner *owner,
                                        uint64_t first_lsn, uint64_t file_bytes, struct journal_segment *segment);

/* Adds the sticky records of a header that journal_segment_read found sound to `sticky`. */
void journal_segment_sticky(const uint64_t *words, const struct journal_segment *segment, struct journal_sticky *sticky);

/* ---- Groups ---- */

/* The place of a group. */
struct journal_place {
    const struct journal_owner *owner;
    uint64_t segment; /* its first lsn */
    uint64_t offset;
};

/* A group being built, or one that was read. Zero-initialized, it has no memory yet. */
struct journal_group {
    uint64_t *words; /* the group's bytes, with room for whole pages */
    size_t capacity; /* words */
    uint32_t len;    /* bytes without the padding */
    uint32_t count;  /* records; 0: a mark */
    uint64_t first_lsn;
    uint32_t incarnation;
    uint64_t previous;
    uint64_t body_checksum;
    uint64_t checksum;
};

/* Starts an empty group whose first record gets `first_lsn`. If nothing is added, it is a mark. Keeps the memory. */
void journal_group_begin(struct journal_group *g, uint64_t first_lsn);

/* Adds a copy of a record; its lsn is the group's next one, whatever its id says. False: the group would be too long, or the
 * packet has fewer words than its length says; then nothing is added. */
bool journal_group_add(struct journal_group *g, const struct packet *record);

/* Finishes the bytes of a group for its place: padding, header, checksums. It reads no record and allocates nothing, so
 * another thread may read records meanwhile. Returns the number of bytes to write. */
uint64_t journal_group_seal(struct journal_group *g, const struct journal_place *place, uint64_t previous);

/* Makes room for `bytes` in `g->words`. */
void journal_group_reserve(struct journal_group *g, uint64_t bytes);

/* Reads the header at the start of a page into `g`. Does not look at the body. */
enum journal_fault journal_group_header(const uint64_t *page, const struct journal_place *place, struct journal_group *g);

/* Checks body and records of a group whose header was read and whose pages are all in `g->words`. */
enum journal_fault journal_group_check(const struct journal_group *g);

/* The next record of a well-formed group; `*offset` and `*index` start at 0. The packet points into the group. False: the
 * end. */
bool journal_group_next(const struct journal_group *g, uint32_t *offset, uint32_t *index, struct packet *record);

void journal_group_free(struct journal_group *g);

#endif
