/* Making the next segment.
 *
 * Why are segments filled with zeros, when fallocate alone gives a file that reads as zeros? Because its extents are then
 * marked unwritten, and the first write to each must commit metadata: an fdatasync of 4 KiB took 0.18 ms on such a file,
 * 0.11 ms on one that had been written before, and 0.39 ms on one that grows. */
#include "io/journal_spare.h"

#include "io/journal_file.h"

char *journal_spare_path(const char *folder) { return disk_path(folder, "journal-spare.tmp"); }

bool journal_spare_problem(const char *path, uint64_t bytes, int error, struct problem *problem)
{
    return problem_set_error(problem, EXIT_SYNC_FAILED, error, "journal %s: cannot make a segment of %llu bytes: ", path,
                             (unsigned long long)bytes);
}

void journal_spare_remove(struct disk *disk, const char *folder)
{
    char *path = journal_spare_path(folder);
    disk_remove(disk, path);
    free(path);
}

static void close_file(struct journal_spare *s)
{
    if (s->open)
        disk_close(s->disk, s->file);
    s->open = false;
}

void journal_spare_drop(struct journal_spare *s)
{
    close_file(s);
    if (s->state != SPARE_NONE)
        journal_spare_remove(s->disk, s->folder);
    s->state = SPARE_NONE;
}

void journal_spare_want(struct journal_spare *s, uint64_t bytes)
{
    if (s->state != SPARE_NONE)
        return;
    s->state = SPARE_WANTED;
    s->bytes = bytes;
    s->filled = 0;
}

static bool open_file(struct journal_spare *s, const char *path)
{
    s->file = disk_open(s->disk, path, DISK_MAKE);
    s->open = s->file >= 0;
    int error = s->open ? disk_allocate(s->disk, s->file, s->bytes) : s->file;
    if (s->open && s->sync != SPARE_NOT_SYNCED)
        disk_in_pages(s->disk, s->file);
    return error == 0 || journal_spare_problem(path, s->bytes, error, &s->problem);
}

/* In small steps, each of which is waited for, so that the disk never has more than one queued in front of a group. */
static bool fill(struct journal_spare *s, const char *path)
{
    uint64_t left = s->bytes - s->filled, len = left < SPARE_STEP_BYTES ? left : SPARE_STEP_BYTES;
    if (!journal_write_zeros(s->disk, s->file, path, s->filled, len, &s->problem))
        return false;
    if (s->sync == SPARE_SYNCED)
        disk_write_out(s->disk, s->file, s->filled, len);
    int error = s->sync == SPARE_SYNCED_STEPWISE ? disk_sync_data(s->disk, s->file) : 0;
    s->filled += len;
    /* The sync that counts: those before only spread the work. */
    if (error == 0 && s->filled == s->bytes && s->sync != SPARE_NOT_SYNCED)
        error = disk_sync(s->disk, s->file);
    return error == 0 || journal_spare_problem(path, s->bytes, error, &s->problem);
}

uint8_t journal_spare_step(struct journal_spare *s)
{
    char *path = journal_spare_path(s->folder);
    bool ok = (s->open || open_file(s, path)) && fill(s, path);
    if (!ok && s->open) {
        close_file(s);
        disk_remove(s->disk, path);
    }
    free(path);
    return !ok ? SPARE_FAILED : s->filled < s->bytes ? SPARE_WANTED : SPARE_READY;
}

void journal_spare_finish(struct journal_spare *s)
{
    while (s->state == SPARE_WANTED)
        s->state = journal_spare_step(s);
}

bool journal_spare_take(struct journal_spare *s, void (*finish)(struct journal_spare *s), uint64_t *bytes, int *file,
                        struct problem *problem)
{
    finish(s);
    if (s->state != SPARE_READY ||
        s->bytes < *bytes) { /* an unusually large group, or it failed and there may be room now */
        journal_spare_drop(s);
        journal_spare_want(s, *bytes);
        finish(s);
    }
    bool ok = s->state == SPARE_READY;
    if (ok) {
        *file = s->file;
        *bytes = s->bytes;
    } else {
        *problem = s->problem;
    }
    s->state = SPARE_NONE;
    s->open = false;
    return ok;
}
