/* Reads one snapshot from its begin to its end, piece by piece, and checks all of it (core/formats/snapshot.h). Calls
 * block. */
#ifndef SYNOD_IO_SNAPSHOT_READER_H
#define SYNOD_IO_SNAPSHOT_READER_H

#include "core/formats/snapshot.h"
#include "io/disk.h"
#include "io/problem.h"

struct snapshot_reader {
    struct disk *disk;
    int file; /* -1: closed */
    char *path;
    struct snapshot_place place; /* after the piece read last */
    uint64_t *words;             /* its body */
    size_t capacity;
};

enum snapshot_read {
    SNAPSHOT_READ_PIECE,
    SNAPSHOT_READ_ALL,
    SNAPSHOT_READ_DAMAGED, /* what is there is not a sound snapshot, or not all of one */
    SNAPSHOT_READ_FAILED,  /* it cannot be read, which may be another time */
};

/* Opens the file `path`, whose header must name cluster and slot. SNAPSHOT_READ_PIECE: it is open. Otherwise a problem. */
enum snapshot_read snapshot_reader_open(struct snapshot_reader *r, struct disk *disk, const char *path, uint64_t cluster,
                                        uint64_t slot, struct problem *problem);
/* The same for a snapshot of which nothing is known: `*cluster` and `*slot` are those that its header names. */
enum snapshot_read snapshot_reader_open_any(struct snapshot_reader *r, struct disk *disk, const char *path,
                                            uint64_t *cluster, uint64_t *slot, struct problem *problem);
/* Reads and checks the next piece. `*body` is the reader's, valid until the next call. SNAPSHOT_READ_ALL: the snapshot was
 * whole and sound; `place.offset` is its size, and `place.checksum` stands for all its bytes (S1). After a problem `place`
 * is still that of the piece that has it. */
enum snapshot_read snapshot_reader_next(struct snapshot_reader *r, struct snapshot_piece *piece, const uint64_t **body,
                                        struct problem *problem);
/* Closes it, if it is open. */
void snapshot_reader_close(struct snapshot_reader *r);

/* Reads the header and the end of the file `path`, and nothing in between: its size, and the checksum that its end names. As
 * snapshot_reader_open; it is closed again. */
enum snapshot_read snapshot_reader_peek(struct disk *disk, const char *path, uint64_t cluster, uint64_t slot, uint64_t *size,
                                        uint64_t *sum, struct problem *problem);

#endif
