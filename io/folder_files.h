/* The text files of a data folder: replaced as a whole, with the version of their format in the first line and a checksum in
 * the last one. */
#ifndef SYNOD_IO_FOLDER_FILES_H
#define SYNOD_IO_FOLDER_FILES_H

#include "io/disk.h"
#include "io/problem.h"

enum {
    FOLDER_VERSION = 6,     /* 5: journals have sticky records, and ends; 6: nodes have disks after their first one */
    FOLDER_VERSION_MIN = 4, /* the oldest one that is read */
    FOLDER_SEAL_SIZE = sizeof "checksum 0123456789abcdef\n" - 1,
};

/* Where the files are. */
struct folder_files {
    struct disk *disk;
    const char *path;
};

/* Fills in the problem of a call that failed with `error`. Returns false. */
bool folder_problem(const struct folder_files *f, int exit_code, const char *name, const char *what, int64_t error,
                    struct problem *problem);

/* Adds the last line, for which there is room (FOLDER_SEAL_SIZE and a zero). Returns the length of the whole text. */
size_t folder_seal(char *text, size_t len);

/* Replaces the file `name` of the folder, so that at any moment it has the old text or `text`: writes a temporary one, syncs
 * it, renames it and syncs the folder. */
bool folder_replace(const struct folder_files *f, const char *name, const char *text, size_t len, struct problem *problem);

/* Reads a file of the folder into `text` (`size` bytes, zero-terminated) and checks the name and version of its format. If
 * there is no file, `*found` is false without an error. */
bool folder_read(const struct folder_files *f, const char *name, char *text, size_t size, size_t *len, bool *found,
                 struct problem *problem);

#endif
