/* What the files of the journal do to files: names, and writes and syncs that say what went wrong. */
#ifndef SYNOD_IO_JOURNAL_FILE_H
#define SYNOD_IO_JOURNAL_FILE_H

#include "io/disk.h"
#include "io/problem.h"

/* The path of the segment that begins with `first_lsn`; the caller frees it. */
char *journal_segment_path(const char *folder, uint64_t first_lsn);

bool journal_write_bytes(struct disk *disk, int file, const char *path, uint64_t offset, const void *from, size_t len,
                         struct problem *problem);
bool journal_write_zeros(struct disk *disk, int file, const char *path, uint64_t offset, uint64_t len,
                         struct problem *problem);
bool journal_sync_file(struct disk *disk, int file, const char *path, struct problem *problem);
bool journal_sync_folder(struct disk *disk, const char *folder, struct problem *problem);

#endif
