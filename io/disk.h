/* What the journal and the data folder need of a file system, as one table of functions. The host implements it with POSIX
 * (host/disk_posix.c), a node in the sandbox with WASI (components/wasi/disk_wasi.c), the simulator with a disk in memory
 * that loses power, tears writes and fails (sim/disk.h). Nothing under host/journal*.c, io/journal*.c, io/data_folder.c and
 * io/lease.c touches a file in another way.
 *
 * A disk promises what POSIX does, and no more. Bytes that were written are seen by every reader at once. They are durable
 * when a sync of their file that began later has returned 0. Names (of files made, renamed, removed) are durable when a sync
 * of their folder has. A sync that failed says nothing about what was written before it, and neither does a later one that
 * succeeds. Files are named by their paths. Calls block; those on one disk may come from several threads.
 *
 * Results are 0 or what is asked for; errors are negative errno values. */
#ifndef SYNOD_IO_DISK_H
#define SYNOD_IO_DISK_H

#include "core/base/memory.h"

struct disk {
    const struct disk_operations *operations;
};

enum disk_open {
    DISK_READ,  /* a file that exists */
    DISK_WRITE, /* a file that exists, to read and write */
    DISK_MAKE,  /* an empty file to read and write, in place of one that had the name */
};

enum {
    DISK_BOOT_ID_SIZE = 64,
    DISK_PAGE = 4096, /* bytes */
};

/* The functions below; their first argument is the disk. */
struct disk_operations {
    int (*open)(struct disk *d, const char *path, enum disk_open how);
    void (*close)(struct disk *d, int file);
    int64_t (*read)(struct disk *d, int file, uint64_t offset, void *to, size_t len);
    int (*write)(struct disk *d, int file, uint64_t offset, const void *from, size_t len);
    int (*zero)(struct disk *d, int file, uint64_t offset, uint64_t len);
    int (*allocate)(struct disk *d, int file, uint64_t bytes);
    void (*in_pages)(struct disk *d, int file);
    void (*write_out)(struct disk *d, int file, uint64_t offset, uint64_t len);
    int (*sync)(struct disk *d, int file);
    int (*sync_data)(struct disk *d, int file);
    int64_t (*size)(struct disk *d, const char *path);
    int (*rename)(struct disk *d, const char *from, const char *to);
    int (*remove)(struct disk *d, const char *path);
    int (*list)(struct disk *d, const char *folder, void (*each)(void *context, const char *name), void *context);
    int (*make_folder)(struct disk *d, const char *path);
    int (*sync_folder)(struct disk *d, const char *path);
    int (*lock)(struct disk *d, const char *path, char *holder, size_t size);
    void (*unlock)(struct disk *d, int lock);
    uint64_t (*now)(struct disk *d);
    void (*pause)(struct disk *d, uint64_t duration);
    bool (*random)(struct disk *d, void *to, size_t len);
    void (*boot_id)(struct disk *d, char id[DISK_BOOT_ID_SIZE]);
};

/* The file system of this machine. Always the same object. */
struct disk *disk_posix(void);

/* The path of `name` in `folder`; the caller frees it. */
static inline char *disk_path(const char *folder, const char *name)
{
    size_t folder_len = strlen(folder), name_size = strlen(name) + 1;
    char *path = memory_new(folder_len + 1 + name_size, 1);
    memcpy(path, folder, folder_len);
    path[folder_len] = '/';
    memcpy(path + folder_len + 1, name, name_size);
    return path;
}

/* ---- Files ---- */

/* Opens the file `path`. Only its owner may read and write a new file. Returns a file (0 or above), which the caller closes.
 * -ELOOP: it is a link; links are not followed. -ENXIO: it is not a regular file. */
static inline int disk_open(struct disk *d, const char *path, enum disk_open how)
{
    return d->operations->open(d, path, how);
}

/* Closes a file. That does not make durable what was written. */
static inline void disk_close(struct disk *d, int file) { d->operations->close(d, file); }

/* Reads up to `len` bytes from `offset` on. Returns how many; fewer than `len` only at the end of the file. */
static inline int64_t disk_read(struct disk *d, int file, uint64_t offset, void *to, size_t len)
{
    return d->operations->read(d, file, offset, to, len);
}

/* Writes all of `len` bytes at `offset`, or fails after writing some of them. */
static inline int disk_write(struct disk *d, int file, uint64_t offset, const void *from, size_t len)
{
    return d->operations->write(d, file, offset, from, len);
}

/* As disk_write, with zeros. */
static inline int disk_zero(struct disk *d, int file, uint64_t offset, uint64_t len)
{
    return d->operations->zero(d, file, offset, len);
}

/* Reserves space for the first `bytes` bytes of a file, where the file system can do that. If it did anything, the file has
 * at least this length. */
static inline int disk_allocate(struct disk *d, int file, uint64_t bytes) { return d->operations->allocate(d, file, bytes); }

/* From here on, what is written to the file begins and ends at multiples of DISK_PAGE, in the file and in memory, and
 * nothing is read through `file`. So the system need not copy it to its cache, where it can do without. */
static inline void disk_in_pages(struct disk *d, int file) { d->operations->in_pages(d, file); }

/* Waits until these bytes have been handed to the device. That does not make them durable; it only makes a later sync
 * short. */
static inline void disk_write_out(struct disk *d, int file, uint64_t offset, uint64_t len)
{
    d->operations->write_out(d, file, offset, len);
}

/* Makes durable all that was written to the file, with its metadata. */
static inline int disk_sync(struct disk *d, int file) { return d->operations->sync(d, file); }

/* As disk_sync, without metadata that is not needed to read the bytes back (times). */
static inline int disk_sync_data(struct disk *d, int file) { return d->operations->sync_data(d, file); }

/* ---- Names ---- */

/* The length of the file `path`; -ENOENT: there is none. */
static inline int64_t disk_size(struct disk *d, const char *path) { return d->operations->size(d, path); }

/* Gives a file another name, in place of a file that had it. At any moment the new name means one of the two. */
static inline int disk_rename(struct disk *d, const char *from, const char *to)
{
    return d->operations->rename(d, from, to);
}

static inline int disk_remove(struct disk *d, const char *path) { return d->operations->remove(d, path); }

/* Calls `each` with the name of every file and folder in `folder`, in any order. `each` must not change the folder. */
static inline int disk_list(struct disk *d, const char *folder, void (*each)(void *context, const char *name), void *context)
{
    return d->operations->list(d, folder, each, context);
}

/* Makes one folder, which its owner may change and its group may read. -EEXIST: the name is taken. */
static inline int disk_make_folder(struct disk *d, const char *path) { return d->operations->make_folder(d, path); }

/* Makes durable which names the folder contains, and for which files. */
static inline int disk_sync_folder(struct disk *d, const char *path) { return d->operations->sync_folder(d, path); }

/* ---- The process and the machine ---- */

/* Takes the lock file `path` (made if there is none) for this process, until it is given back or the process ends. The
 * file's text then is the process' id, which is left there when the process is killed. Returns the argument for disk_unlock.
 * -EWOULDBLOCK: another process has it; `holder` (`size` bytes) gets its id, or "". -ENOTSUP: there are no locks. */
static inline int disk_lock(struct disk *d, const char *path, char *holder, size_t size)
{
    return d->operations->lock(d, path, holder, size);
}

/* Empties the lock file and gives the lock back. */
static inline void disk_unlock(struct disk *d, int lock) { d->operations->unlock(d, lock); }

/* A clock in microseconds that is never set. It may begin at any time. */
static inline uint64_t disk_now(struct disk *d) { return d->operations->now(d); }

/* Returns after so many microseconds. */
static inline void disk_pause(struct disk *d, uint64_t duration) { d->operations->pause(d, duration); }

/* Fills `to` with `len` (256 at most) random bytes. False: there are none. */
static inline bool disk_random(struct disk *d, void *to, size_t len) { return d->operations->random(d, to, len); }

/* A text without spaces that changes with each start of the machine. As long as it is the same, what was written but not
 * synced is still there. "unknown" if there is no way to tell. */
static inline void disk_boot_id(struct disk *d, char id[DISK_BOOT_ID_SIZE]) { d->operations->boot_id(d, id); }

#endif
