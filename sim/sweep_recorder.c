/* A disk in front of another one, which notes every call that changes it. Files are noted by name, so a call can be repeated
 * on a disk on which nothing is open. */
#include "core/base/memory.h"
#include "sim/sweep_internal.h"

static struct recorder *of(struct disk *disk) { return (struct recorder *)disk; }

static struct recorded *note(struct recorder *r, enum recorded_kind kind, const char *path)
{
    r->ptr = memory_reserve(r->ptr, &r->capacity, r->count + 1, sizeof *r->ptr);
    struct recorded *call = &r->ptr[r->count++];
    *call = (struct recorded){.kind = (uint8_t)kind, .acked = r->acked, .written = r->written, .truncated = r->truncated};
    memcpy(call->path, path, strlen(path));
    return call;
}

/* ---- Files ---- */

static int recorder_open(struct disk *disk, const char *path, enum disk_open how)
{
    struct recorder *r = of(disk);
    int file = disk_open(r->under, path, how);
    if (file < 0)
        return file;
    r->paths = memory_reserve(r->paths, &r->path_capacity, (size_t)file + 1, sizeof *r->paths);
    if ((size_t)file == r->path_count)
        r->path_count++;
    memset(r->paths[file], 0, PATH_BYTES);
    memcpy(r->paths[file], path, strlen(path));
    if (how == DISK_MAKE)
        note(r, RECORDED_MAKE, path);
    return file;
}

static void recorder_close_file(struct disk *disk, int file) { disk_close(of(disk)->under, file); }

static int64_t recorder_read(struct disk *disk, int file, uint64_t offset, void *to, size_t len)
{
    return disk_read(of(disk)->under, file, offset, to, len);
}

/* Not noted: the folder is there. */
static int recorder_make_folder(struct disk *disk, const char *path) { return disk_make_folder(of(disk)->under, path); }

static int recorder_write(struct disk *disk, int file, uint64_t offset, const void *from, size_t len)
{
    struct recorder *r = of(disk);
    struct recorded *call = note(r, RECORDED_WRITE, r->paths[file]);
    call->offset = offset;
    call->len = len;
    call->bytes = memory_new(len, 1);
    memcpy(call->bytes, from, len);
    return disk_write(r->under, file, offset, from, len);
}

static int recorder_zero(struct disk *disk, int file, uint64_t offset, uint64_t len)
{
    struct recorder *r = of(disk);
    struct recorded *call = note(r, RECORDED_WRITE, r->paths[file]);
    call->offset = offset;
    call->len = len;
    call->bytes = memory_new((size_t)len, 1);
    return disk_zero(r->under, file, offset, len);
}

static int recorder_allocate(struct disk *disk, int file, uint64_t bytes)
{
    struct recorder *r = of(disk);
    note(r, RECORDED_ALLOCATE, r->paths[file])->len = bytes;
    return disk_allocate(r->under, file, bytes);
}

static void recorder_in_pages(struct disk *disk, int file) { disk_in_pages(of(disk)->under, file); }

static void recorder_write_out(struct disk *disk, int file, uint64_t offset, uint64_t len)
{
    disk_write_out(of(disk)->under, file, offset, len);
}

static int recorder_sync(struct disk *disk, int file)
{
    struct recorder *r = of(disk);
    note(r, RECORDED_SYNC, r->paths[file]);
    return disk_sync(r->under, file);
}

/* ---- Names ---- */

static int64_t recorder_size(struct disk *disk, const char *path) { return disk_size(of(disk)->under, path); }

static int recorder_rename(struct disk *disk, const char *from, const char *to)
{
    struct recorder *r = of(disk);
    struct recorded *call = note(r, RECORDED_RENAME, from);
    memcpy(call->to, to, strlen(to));
    for (size_t i = 0; i < r->path_count; i++)
        if (strcmp(r->paths[i], from) == 0)
            memcpy(r->paths[i], call->to, PATH_BYTES);
    return disk_rename(r->under, from, to);
}

static int recorder_remove(struct disk *disk, const char *path)
{
    struct recorder *r = of(disk);
    int error = disk_remove(r->under, path);
    if (error == 0)
        note(r, RECORDED_REMOVE, path);
    return error;
}

static int recorder_list(struct disk *disk, const char *folder, void (*each)(void *context, const char *name), void *context)
{
    return disk_list(of(disk)->under, folder, each, context);
}

static int recorder_sync_folder(struct disk *disk, const char *path)
{
    note(of(disk), RECORDED_SYNC_FOLDER, path);
    return disk_sync_folder(of(disk)->under, path);
}

static bool recorder_random(struct disk *disk, void *to, size_t len) { return disk_random(of(disk)->under, to, len); }

static void recorder_boot_id(struct disk *disk, char id[DISK_BOOT_ID_SIZE]) { disk_boot_id(of(disk)->under, id); }

/* ---- The whole ---- */

/* A journal makes no folder and takes no lock. */
void recorder_init(struct recorder *r, struct disk *under)
{
    static const struct disk_operations operations = {
        .open = recorder_open,
        .close = recorder_close_file,
        .read = recorder_read,
        .write = recorder_write,
        .zero = recorder_zero,
        .allocate = recorder_allocate,
        .in_pages = recorder_in_pages,
        .write_out = recorder_write_out,
        .sync = recorder_sync,
        .sync_data = recorder_sync,
        .size = recorder_size,
        .rename = recorder_rename,
        .remove = recorder_remove,
        .list = recorder_list,
        .make_folder = recorder_make_folder,
        .sync_folder = recorder_sync_folder,
        .boot_id = recorder_boot_id,
        .random = recorder_random,
    };
    *r = (struct recorder){.disk = {.operations = &operations}, .under = under};
}

void recorder_close(struct recorder *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->ptr[i].bytes);
    free(r->ptr);
    free(r->paths);
    *r = (struct recorder){0};
}

static void repeat_on_file(const struct recorded *call, struct disk *disk)
{
    int file = disk_open(disk, call->path, call->kind == RECORDED_MAKE ? DISK_MAKE : DISK_WRITE);
    int error = file >= 0 ? 0 : file;
    if (call->kind == RECORDED_WRITE)
        error = disk_write(disk, file, call->offset, call->bytes, (size_t)call->len);
    else if (call->kind == RECORDED_ALLOCATE)
        error = disk_allocate(disk, file, call->len);
    else if (call->kind == RECORDED_SYNC)
        error = disk_sync(disk, file);
    invariant(error == 0);
    disk_close(disk, file);
}

void recorder_repeat(const struct recorded *call, struct disk_sim *sim)
{
    struct disk *disk = disk_sim_disk(sim);
    int error = 0;
    if (call->kind == RECORDED_RENAME)
        error = disk_rename(disk, call->path, call->to);
    else if (call->kind == RECORDED_REMOVE)
        error = disk_remove(disk, call->path);
    else if (call->kind == RECORDED_SYNC_FOLDER)
        error = disk_sync_folder(disk, call->path);
    else
        repeat_on_file(call, disk);
    invariant(error == 0);
    if (call->kind == RECORDED_SYNC || call->kind == RECORDED_SYNC_FOLDER)
        disk_sim_settle(sim);
}
