/* What the files of the simulated disk share.
 *
 *   disk_sectors.c  sectors, and contents made of them
 *   disk_files.c    files and names as they are seen and as they are durable, and what is pending between the two
 *   disk.c          the calls, their faults, and what the world does to a disk
 *
 * A sector is written once and then shared: by the content that a process sees, by the one that is durable, by pending
 * writes and by copies of the disk. So a copy copies numbers, and a sector of zeros takes no memory at all. */
#ifndef SYNOD_SIM_DISK_INTERNAL_H
#define SYNOD_SIM_DISK_INTERNAL_H

#include "sim/disk.h"

enum {
    SECTOR_BYTES = 512,
    DISK_PAGE_BYTES = 4096,
    PATH_BYTES = 128,
};

#define NO_FILE UINT32_MAX

/* ---- disk_sectors.c ---- */

/* Sectors by number; number 0 is all zeros. Each holder of a number has a reference. */
struct sectors {
    uint8_t **chunks;
    size_t chunk_count, chunk_capacity;
    uint32_t *references;
    size_t reference_capacity;
    uint32_t *unused; /* numbers below `next` */
    size_t unused_count, unused_capacity;
    uint32_t next;
};

void sectors_close(struct sectors *s);
uint64_t sectors_memory(const struct sectors *s);
/* A sector with these bytes, and a reference to it. */
uint32_t sector_new(struct sectors *s, const uint8_t bytes[SECTOR_BYTES]);
const uint8_t *sector_bytes(const struct sectors *s, uint32_t number);
uint32_t sector_hold(struct sectors *s, uint32_t number);
void sector_drop(struct sectors *s, uint32_t number);

/* The bytes of a file. */
struct content {
    uint32_t *sectors;
    size_t count, capacity;
    uint64_t bytes;
};

void content_clear(struct sectors *s, struct content *c);
void content_free(struct sectors *s, struct content *c);
void content_copy(struct sectors *s, struct content *to, const struct content *from);
/* Makes it at least `bytes` long, with zeros. */
void content_extend(struct content *c, uint64_t bytes);
/* Cuts it to `bytes`. */
void content_cut(struct sectors *s, struct content *c, uint64_t bytes);
/* Puts a sector at its place; the reference goes with it. */
void content_put(struct sectors *s, struct content *c, size_t index, uint32_t number);
/* Copies `len` bytes out, which are there. */
void content_read(const struct sectors *s, const struct content *c, uint64_t offset, void *to, size_t len);
/* The sector at `index` with `len` bytes of it, from `at` on, replaced by those at `from` (NULL: zeros). A reference of its
 * own. */
uint32_t content_altered(struct sectors *s, const struct content *c, size_t index, size_t at, const uint8_t *from,
                         size_t len);

/* ---- disk_files.c ---- */

struct name {
    char path[PATH_BYTES];
    uint32_t file;
};

struct names {
    struct name *ptr;
    uint64_t *hashes; /* of their paths */
    size_t count, capacity, hash_capacity;
};

struct file {
    bool used;
    bool folder;
    bool altered; /* what is seen may be more than what is durable */
    uint32_t handles;
    uint64_t mark; /* equal to that of the files: found by the search at hand */
    struct content seen, durable;
};

enum call_kind {
    CALL_WRITE,
    CALL_SYNC,
    CALL_MAKE,   /* a name for a new file */
    CALL_RENAME, /* a file gets another name */
    CALL_REMOVE, /* a name */
    CALL_SYNC_FOLDER,
};

/* Something that was called for and is not durable yet. */
struct call {
    uint8_t kind;  /* enum call_kind */
    bool covered;  /* a sync that followed is over */
    uint32_t file; /* SYNC_FOLDER: the folder; names: the file that is named */
    size_t at;     /* WRITE: of its sectors' numbers; names: of the change */
    size_t first, count;
    uint64_t end; /* WRITE: the file is at least so long after it */
};

struct change {
    char from[PATH_BYTES], to[PATH_BYTES];
    uint32_t folder; /* the file that stands for the folder */
};

struct pending {
    struct call *ptr;
    size_t count, capacity;
    size_t settled; /* calls before this one were carried out, but no sync made them durable */
    uint32_t *sectors;
    size_t sector_count, sector_capacity;
    struct change *changes;
    size_t change_count, change_capacity;
};

/* Everything as it was durable. */
struct image {
    struct file *files;
    size_t file_count;
    struct names names;
};

struct files {
    struct sectors sectors;
    struct file *ptr;
    size_t count, capacity;
    struct names seen, durable;
    struct pending pending;
    struct image image;
    bool has_image;
    bool litter;     /* there may be files that nothing refers to */
    size_t all_used; /* the files before this one are in use */
    uint64_t mark;
};

/* What a loss of power does to what is pending. */
struct losses {
    struct dice *dice;                                /* NULL: all of it is lost */
    bool torn;                                        /* a write may survive in part */
    bool reordered;                                   /* ... and later ones without it */
    bool rename;                                      /* names may be lost that were changed */
    bool did_lose, did_tear, did_reorder, did_rename; /* what really happened */
};

void files_init(struct files *f);
void files_close(struct files *f);
uint64_t files_memory(const struct files *f);

/* The file of that name, as it is seen; NO_FILE. */
uint32_t files_find(const struct files *f, const char *path);
/* The folder that a path is in; NO_FILE: there is none. */
uint32_t files_folder_of(const struct files *f, const char *path);
/* A new file, or folder, in place of one of that name. Its folder exists and the path is short enough. */
uint32_t files_make(struct files *f, const char *path, bool folder);
void files_rename(struct files *f, const char *from, const char *to);
void files_remove(struct files *f, const char *path);
/* Writes `len` bytes (`from` NULL: zeros). */
void files_write(struct files *f, uint32_t file, uint64_t offset, const uint8_t *from, uint64_t len);
/* Makes a file at least `bytes` long. */
void files_extend(struct files *f, uint32_t file, uint64_t bytes);
void files_sync(struct files *f, uint32_t file);
/* A sync that fails: what it should have made durable is forgotten by the cache, and never will be (see the header). */
void files_fail_sync(struct files *f, uint32_t file);
void files_sync_folder(struct files *f, uint32_t folder);

/* The calls have had their time. */
void files_settle(struct files *f);
/* Those have that made the file what it is which is seen under `path`: its writes, its names, and the syncs of both. All
 * others are as pending as before. */
void files_settle_one(struct files *f, const char *path);
void files_power_loss(struct files *f, struct losses *losses);
void files_clear(struct files *f);
void files_keep(struct files *f);
void files_put_back(struct files *f);
/* Puts a byte in place of another, seen and durable at once; nothing is pending there. */
void files_alter(struct files *f, uint32_t file, size_t sector, size_t at, uint8_t byte);

/* ---- disk.c ---- */

/* For the sweeps: cuts a file; durable at once. */
void disk_sim_cut(struct disk_sim *d, const char *path, uint64_t bytes);

#endif
