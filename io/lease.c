/* A file that says "I am here" again and again.
 *
 *   synod-lease 1
 *   holder 8d1f5a0c33e29b74     random, of one life of one node
 *   count 17                    goes up by one about every second
 *   period 5                    seconds of silence after which the holder is dead
 *
 *  1. The file is there while a node in the sandbox uses the folder, and is removed when that ends in good order. So no file
 *     means that the folder is free, and a start does not wait.
 *  2. A newcomer that finds a file reads it again and again for longer than its period. If it changes, the holder is alive,
 *     and the newcomer leaves. If not, the holder was killed, and the newcomer takes the folder over. Only the bytes are
 *     compared, and time is counted in pauses of the newcomer. So no clocks are compared, and time in which the newcomer was
 *     stopped does not count as watching.
 *  3. A newcomer that takes a free folder writes its own file, waits, and looks whether the file is still there. Of two that
 *     come at the same time, the one that wrote last stays.
 *  4. A holder reads the file before it renews it. If the file is another holder's, or gone, the holder counted as dead (its
 *     machine slept), and must not write any more.
 *
 * Two conditions must hold. A holder is never silent for a whole period while it goes on writing (it checks point 4 before
 * each group of the journal). And in point 3 no newcomer loses half a second between looking and writing. A lock has no such
 * conditions, so the host uses one. The file is never synced: after the machine has gone down, no node holds the folder, and
 * any state of the file is good enough. */
#include "io/lease.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    TEXT_SIZE = 256,
    LOOK_US = 250000, /* between two looks of a node that watches */
    CLAIM_US = 500000,
    PERIOD_MAX_S = 60, /* longest watch, whatever the file says */
};

/* The file as last read; zero-initialized: there is none. */
struct seen {
    char text[TEXT_SIZE];
    size_t len;
    bool found;
};

static bool lease_problem(const char *path, const char *what, int64_t error, struct problem *problem)
{
    return problem_set(problem, EXIT_DATA, "%s: %s%s", path, what, strerror((int)-error));
}

static bool look(struct disk *disk, const char *path, struct seen *seen, struct problem *problem)
{
    *seen = (struct seen){0};
    int file = disk_open(disk, path, DISK_READ);
    if (file < 0)
        return file == -ENOENT || lease_problem(path, "", file, problem);
    int64_t n = disk_read(disk, file, 0, seen->text, TEXT_SIZE - 1);
    disk_close(disk, file);
    if (n < 0)
        return lease_problem(path, "", n, problem);
    seen->found = true;
    seen->len = (size_t)n;
    return true;
}

static bool changed(const struct seen *a, const struct seen *b)
{
    return a->found != b->found || a->len != b->len || memcmp(a->text, b->text, a->len) != 0;
}

/* How long to watch. A file that is incomplete, or of a later version, gets the usual period. */
static uint32_t period_of(const struct seen *seen)
{
    uint32_t period;
    if (sscanf(seen->text, "synod-lease %*s\nholder %*s\ncount %*s\nperiod %2u\n", &period) != 1 || period == 0)
        return LEASE_PERIOD_S;
    return period < PERIOD_MAX_S ? period : PERIOD_MAX_S;
}

/* Whether the file stays unchanged for longer than its period. */
static bool watch(struct disk *disk, const char *folder, const char *path, const struct seen *before, bool *silent,
                  struct problem *problem)
{
    struct seen now = *before;
    const uint64_t looks = ((uint64_t)period_of(before) * 1000000 + LEASE_RENEW_US) / LOOK_US;
    for (uint64_t i = 0; i < looks; i++) {
        disk_pause(disk, LOOK_US);
        if (!look(disk, path, &now, problem))
            return false;
        *silent = !changed(before, &now);
        if (!now.found)
            return true; /* given back */
        if (!*silent)
            return problem_set(problem, EXIT_DATA, "%s is already in use by another node, which renews its lease", folder);
    }
    return true;
}

bool lease_clear(struct disk *disk, const char *folder, bool *left, struct problem *problem)
{
    struct seen seen;
    char *path = disk_path(folder, "lease");
    *left = false;
    bool ok = look(disk, path, &seen, problem);
    if (ok && seen.found)
        ok = watch(disk, folder, path, &seen, left, problem);
    int error = ok && *left ? disk_remove(disk, path) : 0;
    if (error != 0 && error != -ENOENT)
        ok = lease_problem(path, "cannot be removed: ", error, problem);
    free(path);
    return ok;
}

/* ---- The holder ---- */

static bool write_lease(struct lease *l, enum disk_open how, struct problem *problem)
{
    char text[TEXT_SIZE];
    int len = snprintf(text, sizeof text, "synod-lease 1\nholder %016" PRIx64 "\ncount %" PRIu64 "\nperiod %u\n", l->holder,
                       l->count, (unsigned)LEASE_PERIOD_S);
    int file = disk_open(l->disk, l->path, how);
    int error = file >= 0 ? disk_write(l->disk, file, 0, text, (size_t)len) : file;
    if (file >= 0)
        disk_close(l->disk, file);
    l->renewed = disk_now(l->disk);
    return error == 0 || lease_problem(l->path, "cannot be written: ", error, problem);
}

static bool is_ours(const struct lease *l, bool *ours, struct problem *problem)
{
    struct seen seen;
    uint64_t holder;
    if (!look(l->disk, l->path, &seen, problem))
        return false;
    *ours = sscanf(seen.text, "synod-lease 1\nholder %16" SCNx64 "\n", &holder) == 1 && holder == l->holder;
    return true;
}

bool lease_take(struct lease *l, struct disk *disk, const char *folder, struct problem *problem)
{
    bool ours;
    *l = (struct lease){.disk = disk, .path = disk_path(folder, "lease")};
    bool ok = disk_random(disk, &l->holder, sizeof l->holder) ||
              problem_set(problem, EXIT_TROUBLE, "no random bytes for the lease of %s", folder);
    ok = ok && write_lease(l, DISK_MAKE, problem);
    if (ok) {
        disk_pause(disk, CLAIM_US);
        ok = is_ours(l, &ours, problem) &&
             (ours ||
              problem_set(problem, EXIT_DATA, "%s is already in use by another node, which came at the same time", folder));
    }
    if (ok)
        return true;
    free(l->path);
    l->path = NULL;
    return false;
}

bool lease_renew(struct lease *l, struct problem *problem)
{
    bool ours;
    if (disk_now(l->disk) - l->renewed < LEASE_RENEW_US)
        return true;
    if (!is_ours(l, &ours, problem))
        return false;
    if (!ours)
        return problem_set(problem, EXIT_DATA,
                           "%s: another node has taken this folder over, because this one gave no sign for %u seconds",
                           l->path, (unsigned)LEASE_PERIOD_S);
    l->count++;
    return write_lease(l, DISK_WRITE, problem);
}

void lease_release(struct lease *l)
{
    bool ours;
    struct problem problem;
    if (is_ours(l, &ours, &problem) && ours)
        (void)disk_remove(l->disk, l->path);
    free(l->path);
    l->path = NULL;
}
