/* The simulated disk: the calls of io/disk.h on files in memory (disk_files.c), and the faults that strike them. */
#include "sim/disk.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/memory.h"
#include "sim/disk_internal.h"

enum {
    SYNC_MIN_US = 40,
    SYNC_MAX_US = 300,
    SECTOR_US = 1, /* half a gigabyte a second */
    SLOW_MIN = 10, /* times slower */
    SLOW_MAX = 100,
    STALL_MIN_US = 200000,
    STALL_MAX_US = 8000000,
    HANG_MIN_US = 8000000,
    HANG_MAX_US = 300000000, /* longer than most worlds last */
    SPARED_PAGES = 32,
};

struct handle {
    bool used;
    bool dead; /* power was lost since */
    bool lock;
    bool in_pages;
    uint32_t file;
};

struct disk_sim {
    struct disk disk; /* first: the calls get it back */
    struct faults *faults;
    struct dice dice;
    bool calm;
    bool damaged;
    uint32_t boots;
    uint64_t paused; /* all pauses together: the only time that its own clock counts */
    struct files files;
    struct handle *handles;
    size_t handle_count, handle_capacity;
};

static struct disk_sim *of(struct disk *disk) { return (struct disk_sim *)disk; }

/* Rolls for a fault. */
static bool strikes(struct disk_sim *d, enum fault fault)
{
    return !d->calm && dice_chance(&d->dice, d->faults->rate[fault]);
}

static int fail(struct disk_sim *d, enum fault fault, int error)
{
    fault_fired(d->faults, fault);
    return -error;
}

/* ---- Open files ---- */

static int handle_new(struct disk_sim *d, uint32_t file, bool lock)
{
    size_t i = 0;
    while (i < d->handle_count && d->handles[i].used)
        i++;
    d->handles = memory_reserve(d->handles, &d->handle_capacity, i + 1, sizeof *d->handles);
    d->handles[i] = (struct handle){.used = true, .lock = lock, .file = file};
    d->handle_count += i == d->handle_count;
    d->files.ptr[file].handles++;
    return (int)i;
}

/* The open file; NULL after a loss of power. */
static struct file *opened(struct disk_sim *d, int handle)
{
    struct handle *h = &d->handles[handle];
    invariant(h->used);
    return h->dead ? NULL : &d->files.ptr[h->file];
}

static void handles_die(struct disk_sim *d)
{
    for (size_t i = 0; i < d->handle_count; i++)
        d->handles[i].dead = true;
}

static int sim_open(struct disk *disk, const char *path, enum disk_open how)
{
    struct disk_sim *d = of(disk);
    uint32_t file = files_find(&d->files, path);
    if (strlen(path) >= PATH_BYTES)
        return -ENAMETOOLONG;
    if (file != NO_FILE && d->files.ptr[file].folder)
        return -EISDIR;
    if ((file == NO_FILE && how != DISK_MAKE) || files_folder_of(&d->files, path) == NO_FILE)
        return -ENOENT;
    if (how == DISK_MAKE)
        file = files_make(&d->files, path, false);
    return handle_new(d, file, false);
}

static void sim_close(struct disk *disk, int handle)
{
    struct disk_sim *d = of(disk);
    struct file *file = opened(d, handle);
    if (file != NULL)
        file->handles--;
    d->handles[handle].used = false;
}

static int64_t sim_read(struct disk *disk, int handle, uint64_t offset, void *to, size_t len)
{
    struct disk_sim *d = of(disk);
    const struct file *file = opened(d, handle);
    invariant(!d->handles[handle].in_pages);
    if (file == NULL)
        return -EIO;
    if (strikes(d, FAULT_READ_ERROR))
        return fail(d, FAULT_READ_ERROR, EIO);
    uint64_t left = offset < file->seen.bytes ? file->seen.bytes - offset : 0;
    len = len < left ? len : (size_t)left;
    content_read(&d->files.sectors, &file->seen, offset, to, len);
    return (int64_t)len;
}

static void sim_in_pages(struct disk *disk, int handle) { of(disk)->handles[handle].in_pages = true; }

/* What was promised of a file that is written to in pages. */
static void check_pages(const struct disk_sim *d, int handle, uint64_t offset, const void *from, uint64_t len)
{
    if (d->handles[handle].in_pages)
        invariant(offset % DISK_PAGE == 0 && (uintptr_t)from % DISK_PAGE == 0 && len % DISK_PAGE == 0);
}

/* The faults of anything that writes: what it is to return. */
static int write_fault(struct disk_sim *d, const struct file *file, uint64_t end)
{
    if (strikes(d, FAULT_WRITE_ERROR))
        return fail(d, FAULT_WRITE_ERROR, EIO);
    if (end > file->seen.bytes && strikes(d, FAULT_FULL_DISK))
        return fail(d, FAULT_FULL_DISK, ENOSPC);
    return 0;
}

/* Where a write lands: somewhere after its place, or well before it. Not a second time, and not on what lies just before
 * its place: several groups at the end of a journal would be gone at once, which could not be noticed, and the world could
 * not tell such a loss from one that has another cause. */
static uint64_t misdirect(struct disk_sim *d, const struct file *file, uint64_t offset, uint64_t len)
{
    const uint64_t gap = (uint64_t)SPARED_PAGES * DISK_PAGE_BYTES;
    if (d->damaged || file->seen.bytes < offset + len || !strikes(d, FAULT_MISDIRECTED_WRITE))
        return offset;
    uint64_t behind = (file->seen.bytes - offset - len) / DISK_PAGE_BYTES;
    uint64_t before = offset >= len + gap ? (offset - len - gap) / DISK_PAGE_BYTES + 1 : 0;
    if (behind + before == 0)
        return offset;
    uint64_t place = dice_roll(&d->dice, behind + before);
    fault_fired(d->faults, FAULT_MISDIRECTED_WRITE);
    d->damaged = true;
    return place < behind ? offset + (place + 1) * DISK_PAGE_BYTES : (place - behind) * DISK_PAGE_BYTES;
}

static int sim_write(struct disk *disk, int handle, uint64_t offset, const void *from, size_t len)
{
    struct disk_sim *d = of(disk);
    struct file *file = opened(d, handle);
    check_pages(d, handle, offset, from, len);
    if (file == NULL)
        return -EIO;
    int error = write_fault(d, file, offset + len);
    if (error == 0)
        offset = misdirect(d, file, offset, len);
    else /* some of it was written */
        len = dice_roll(&d->dice, len / SECTOR_BYTES + 1) * SECTOR_BYTES;
    files_write(&d->files, d->handles[handle].file, offset, from, len);
    return error;
}

static int sim_zero(struct disk *disk, int handle, uint64_t offset, uint64_t len)
{
    struct disk_sim *d = of(disk);
    struct file *file = opened(d, handle);
    check_pages(d, handle, offset, NULL, len);
    int error = file != NULL ? write_fault(d, file, offset + len) : -EIO;
    if (error == 0)
        files_write(&d->files, d->handles[handle].file, offset, NULL, len);
    return error;
}

static int sim_allocate(struct disk *disk, int handle, uint64_t bytes)
{
    struct disk_sim *d = of(disk);
    struct file *file = opened(d, handle);
    int error = file != NULL ? write_fault(d, file, bytes) : -EIO;
    if (error == 0 && bytes > file->seen.bytes)
        files_extend(&d->files, d->handles[handle].file, bytes);
    return error;
}

static void sim_write_out(struct disk *disk, int handle, uint64_t offset, uint64_t len)
{
    (void)disk;
    (void)handle;
    (void)offset;
    (void)len;
}

static int sim_sync(struct disk *disk, int handle)
{
    struct disk_sim *d = of(disk);
    if (opened(d, handle) == NULL)
        return -EIO;
    if (strikes(d, FAULT_FAILED_SYNC)) {
        files_fail_sync(&d->files, d->handles[handle].file);
        return fail(d, FAULT_FAILED_SYNC, EIO);
    }
    files_sync(&d->files, d->handles[handle].file);
    return 0;
}

/* ---- Names ---- */

static int64_t sim_size(struct disk *disk, const char *path)
{
    struct disk_sim *d = of(disk);
    uint32_t file = files_find(&d->files, path);
    return file != NO_FILE ? (int64_t)d->files.ptr[file].seen.bytes : -ENOENT;
}

static int sim_rename(struct disk *disk, const char *from, const char *to)
{
    struct disk_sim *d = of(disk);
    if (files_find(&d->files, from) == NO_FILE)
        return -ENOENT;
    if (strlen(to) >= PATH_BYTES)
        return -ENAMETOOLONG;
    if (files_folder_of(&d->files, from) != files_folder_of(&d->files, to))
        return -EXDEV;
    files_rename(&d->files, from, to);
    return 0;
}

static int sim_remove(struct disk *disk, const char *path)
{
    struct disk_sim *d = of(disk);
    uint32_t file = files_find(&d->files, path);
    if (file == NO_FILE)
        return -ENOENT;
    if (d->files.ptr[file].folder)
        return -EISDIR;
    files_remove(&d->files, path);
    return 0;
}

static int sim_list(struct disk *disk, const char *folder, void (*each)(void *context, const char *name), void *context)
{
    struct disk_sim *d = of(disk);
    uint32_t file = files_find(&d->files, folder);
    if (file == NO_FILE)
        return -ENOENT;
    if (!d->files.ptr[file].folder)
        return -ENOTDIR;
    size_t len = file > 0 ? strlen(folder) + 1 : 0; /* with the slash */
    for (size_t i = 0; i < d->files.seen.count; i++) {
        const char *path = d->files.seen.ptr[i].path;
        bool inside = len == 0 || (strncmp(path, folder, len - 1) == 0 && path[len - 1] == '/');
        if (inside && strchr(path + len, '/') == NULL)
            each(context, path + len);
    }
    return 0;
}

static int sim_make_folder(struct disk *disk, const char *path)
{
    struct disk_sim *d = of(disk);
    if (strlen(path) >= PATH_BYTES)
        return -ENAMETOOLONG;
    if (files_find(&d->files, path) != NO_FILE)
        return -EEXIST;
    if (files_folder_of(&d->files, path) == NO_FILE)
        return -ENOENT;
    files_make(&d->files, path, true);
    return 0;
}

static int sim_sync_folder(struct disk *disk, const char *path)
{
    struct disk_sim *d = of(disk);
    uint32_t folder = files_find(&d->files, path);
    if (folder == NO_FILE)
        return -ENOENT;
    if (strikes(d, FAULT_FAILED_SYNC))
        return fail(d, FAULT_FAILED_SYNC, EIO);
    files_sync_folder(&d->files, folder);
    return 0;
}

/* ---- The process and the machine ---- */

static int sim_lock(struct disk *disk, const char *path, char *holder, size_t size)
{
    struct disk_sim *d = of(disk);
    uint32_t file = files_find(&d->files, path);
    for (size_t i = 0; i < d->handle_count; i++) {
        const struct handle *h = &d->handles[i];
        if (h->used && !h->dead && h->lock && h->file == file) {
            snprintf(holder, size, "1");
            return -EWOULDBLOCK;
        }
    }
    int handle = sim_open(disk, path, file != NO_FILE ? DISK_WRITE : DISK_MAKE);
    if (handle >= 0)
        d->handles[handle].lock = true;
    return handle;
}

static uint64_t sim_now(struct disk *disk) { return of(disk)->paused; }

static void sim_pause(struct disk *disk, uint64_t duration) { of(disk)->paused += duration; }

static bool sim_random(struct disk *disk, void *to, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)to)[i] = (uint8_t)dice_roll(&of(disk)->dice, 256);
    return true;
}

static void sim_boot_id(struct disk *disk, char id[DISK_BOOT_ID_SIZE])
{
    snprintf(id, DISK_BOOT_ID_SIZE, "boot-%u", of(disk)->boots);
}

/* ---- The disk as a whole ---- */

struct disk_sim *disk_sim_new(uint64_t seed, uint32_t node, struct faults *faults)
{
    static const struct disk_operations operations = {
        .open = sim_open,
        .close = sim_close,
        .read = sim_read,
        .write = sim_write,
        .zero = sim_zero,
        .allocate = sim_allocate,
        .in_pages = sim_in_pages,
        .write_out = sim_write_out,
        .sync = sim_sync,
        .sync_data = sim_sync,
        .size = sim_size,
        .rename = sim_rename,
        .remove = sim_remove,
        .list = sim_list,
        .make_folder = sim_make_folder,
        .sync_folder = sim_sync_folder,
        .lock = sim_lock,
        .unlock = sim_close,
        .now = sim_now,
        .pause = sim_pause,
        .random = sim_random,
        .boot_id = sim_boot_id,
    };
    struct disk_sim *d = memory_new(1, sizeof *d);
    d->disk.operations = &operations;
    d->faults = faults;
    d->dice = dice_new(seed, 200 + (uint64_t)node);
    files_init(&d->files);
    return d;
}

void disk_sim_free(struct disk_sim *d)
{
    files_close(&d->files);
    free(d->handles);
    free(d);
}

struct disk *disk_sim_disk(struct disk_sim *d) { return &d->disk; }

uint64_t disk_sim_time(struct disk_sim *d)
{
    const struct pending *p = &d->files.pending;
    uint64_t us = 0;
    if (p->count == p->settled)
        return 0;
    for (size_t i = p->settled; i < p->count; i++) {
        const struct call *call = &p->ptr[i];
        if (call->kind == CALL_SYNC || call->kind == CALL_SYNC_FOLDER)
            us += dice_range(&d->dice, SYNC_MIN_US, SYNC_MAX_US);
        else
            us += 1 + call->count * SECTOR_US;
    }
    if (strikes(d, FAULT_SLOW_DISK)) {
        fault_fired(d->faults, FAULT_SLOW_DISK);
        us *= dice_range(&d->dice, SLOW_MIN, SLOW_MAX);
    }
    if (strikes(d, FAULT_STALLED_DISK)) {
        fault_fired(d->faults, FAULT_STALLED_DISK);
        us += dice_range(&d->dice, STALL_MIN_US, STALL_MAX_US);
    }
    if (strikes(d, FAULT_HUNG_DISK)) {
        fault_fired(d->faults, FAULT_HUNG_DISK);
        us += dice_range(&d->dice, HANG_MIN_US, HANG_MAX_US);
    }
    return us;
}

void disk_sim_settle(struct disk_sim *d) { files_settle(&d->files); }

void disk_sim_settle_one(struct disk_sim *d, const char *path) { files_settle_one(&d->files, path); }

void disk_sim_power_loss(struct disk_sim *d)
{
    struct losses losses = {.dice = d->calm ? NULL : &d->dice};
    losses.torn = strikes(d, FAULT_TORN_WRITE);
    losses.reordered = strikes(d, FAULT_REORDERED_WRITES);
    losses.rename = strikes(d, FAULT_LOST_RENAME);
    files_power_loss(&d->files, &losses);
    handles_die(d);
    d->boots++;
    if (losses.did_lose)
        fault_fired(d->faults, FAULT_LOST_WRITES);
    if (losses.did_tear)
        fault_fired(d->faults, FAULT_TORN_WRITE);
    if (losses.did_reorder)
        fault_fired(d->faults, FAULT_REORDERED_WRITES);
    if (losses.did_rename)
        fault_fired(d->faults, FAULT_LOST_RENAME);
}

/* ---- Harm ---- */

/* A segment of a journal, or a snapshot. */
static bool is_flipped(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    size_t len = strlen(name);
    if (strncmp(name, "snapshot-", 9) == 0)
        return true;
    return strncmp(name, "journal-", 8) == 0 && len > 4 && strcmp(name + len - 4, ".log") == 0;
}

/* Counts the sectors of journals and snapshots that hold something, with nothing pending; number `wanted` goes to `*file`,
 * `*sector`. */
static uint64_t find_sector(const struct disk_sim *d, uint64_t wanted, uint32_t *file, size_t *sector)
{
    const struct files *f = &d->files;
    uint64_t count = 0;
    for (size_t n = 0; n < f->durable.count; n++) {
        const struct file *of_name = &f->ptr[f->durable.ptr[n].file];
        const struct content *a = &of_name->durable, *b = &of_name->seen;
        for (size_t i = 0; is_flipped(f->durable.ptr[n].path) && i < a->count && i < b->count; i++) {
            if (a->sectors[i] == 0 || a->sectors[i] != b->sectors[i])
                continue;
            if (count == wanted) {
                *file = f->durable.ptr[n].file;
                *sector = i;
            }
            count++;
        }
    }
    return count;
}

bool disk_sim_flip(struct disk_sim *d)
{
    uint32_t file = 0;
    size_t sector = 0, at = (size_t)dice_roll(&d->dice, SECTOR_BYTES);
    uint64_t count = find_sector(d, UINT64_MAX, &file, &sector);
    if (count == 0)
        return false;
    find_sector(d, dice_roll(&d->dice, count), &file, &sector);
    const uint8_t *bytes = sector_bytes(&d->files.sectors, d->files.ptr[file].durable.sectors[sector]);
    files_alter(&d->files, file, sector, at, bytes[at] ^ (uint8_t)dice_range(&d->dice, 1, 255));
    d->damaged = true;
    return true;
}

void disk_sim_cut(struct disk_sim *d, const char *path, uint64_t bytes)
{
    struct file *file = &d->files.ptr[files_find(&d->files, path)];
    content_cut(&d->files.sectors, &file->durable, bytes);
    content_cut(&d->files.sectors, &file->seen, bytes);
}

void disk_sim_lose(struct disk_sim *d)
{
    files_clear(&d->files);
    handles_die(d);
    d->damaged = true;
}

void disk_sim_keep(struct disk_sim *d) { files_keep(&d->files); }

bool disk_sim_put_back(struct disk_sim *d)
{
    if (!d->files.has_image)
        return false;
    files_put_back(&d->files);
    handles_die(d);
    d->damaged = true;
    return true;
}

bool disk_sim_damaged(const struct disk_sim *d) { return d->damaged; }

uint64_t disk_sim_bytes(const struct disk_sim *d)
{
    return files_memory(&d->files) + d->handle_capacity * sizeof *d->handles;
}

void disk_sim_calm(struct disk_sim *d, bool calm) { d->calm = calm; }
