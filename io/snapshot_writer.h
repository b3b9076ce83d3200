/* A snapshot that is written into one file: its header, its pieces, its end (core/formats/snapshot.h). What is written is
 * handed to the device bit by bit, so that the sync at the end is short. Calls block. Errors are negative errno values. */
#ifndef SYNOD_IO_SNAPSHOT_WRITER_H
#define SYNOD_IO_SNAPSHOT_WRITER_H

#include "core/formats/snapshot.h"
#include "io/disk.h"

struct snapshot_writer {
    struct disk *disk;
    int file;
    struct snapshot_place place; /* of the next piece; after the end, the size and the checksum of all */
    uint64_t written_out;        /* up to here the device was given what was written */
    uint64_t *words;             /* a piece; kept for the next file */
    size_t capacity;
};

/* Opens the file `path`. An error: nothing is open. */
int snapshot_writer_open(struct snapshot_writer *w, struct disk *disk, const char *path, enum disk_open how);

/* Writes the header. */
int snapshot_writer_begin(struct snapshot_writer *w, uint64_t cluster, uint64_t slot);
/* Writes the next piece. Precondition: `len` is at most SNAPSHOT_PIECE_MAX. */
int snapshot_writer_add(struct snapshot_writer *w, enum snapshot_piece_kind kind, const void *body, uint32_t len);
int snapshot_writer_end(struct snapshot_writer *w);

/* Writes bytes of a snapshot as they are, in rising order. */
int snapshot_writer_bytes(struct snapshot_writer *w, uint64_t offset, const void *bytes, size_t len);

/* Closes the file, which is not synced. */
void snapshot_writer_close(struct snapshot_writer *w);
/* Frees its memory. */
void snapshot_writer_free(struct snapshot_writer *w);

#endif
