/* What became of what the node promised before? The file `journal-durability` in its folder says how it ran last:
 *
 *     fsync            everything is in the journal: it must be there
 *     os <boot id>     everything is in the journal while the machine has not been started again since
 *     memory           everything is lost
 *
 * Where the boot id is "unknown", it equals no other: the machine may have been started again. With `os` such a node comes
 * back after a good end alone: for that, journal_store_settle makes everything durable and says `fsync`.
 *
 * It is durable before the node says a word. A node that has lost something counts as one that lost its disk (P12),
 * and is refused: without its promises it must not vote.
 *
 * And are the files there? The data folder's identity names the newest segment. It is written after the segment and this
 * file are durable, and before the first record in that segment is relied on. So at each moment
 *
 *     what identity says       may be there                        must be there
 *     nothing                  a segment, this file                nothing: the journal has not begun
 *     a segment                a newer one, which holds nothing    it, all before it, this file
 *
 * and what must be there and is not was removed: a crash cannot do that. Of `durability: memory`, which has no segments,
 * identity says that the first one is there: it has begun. */
#include <errno.h>
#include <stdio.h>

#include "io/journal_store_internal.h"

enum { TEXT_SIZE = 128 };

/* The line in the file, without its newline. `*found` is false, without an error, where there is no file. */
static bool read_line(const struct journal_store *s, char text[TEXT_SIZE], bool *found, struct problem *problem)
{
    char *path = disk_path(s->folder, "journal-durability");
    int file = disk_open(s->disk, path, DISK_READ);
    int64_t n = file >= 0 ? disk_read(s->disk, file, 0, text, TEXT_SIZE - 1) : file;
    bool ok = n >= 0 || file == -ENOENT;
    *found = file >= 0;
    if (!ok)
        problem_set(problem, EXIT_DATA, "journal %s: cannot be read: %s", path, strerror((int)-n));
    if (file >= 0)
        disk_close(s->disk, file);
    free(path);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return ok;
}

/* The line that describes how this journal runs now. */
static void describe(struct disk *disk, uint8_t durability, char text[TEXT_SIZE])
{
    char boot[DISK_BOOT_ID_SIZE];
    if (durability == DURABILITY_OS)
        disk_boot_id(disk, boot);
    if (durability == DURABILITY_FSYNC)
        snprintf(text, TEXT_SIZE, "fsync");
    else if (durability == DURABILITY_OS)
        snprintf(text, TEXT_SIZE, "os %s", boot);
    else
        snprintf(text, TEXT_SIZE, "memory");
}

static bool lost(const struct journal_store *s, const char *why, struct problem *problem)
{
    return problem_set(
        problem, EXIT_DATA,
        "journal %s: %s; what the node promised is lost, so it must not vote. Format a new folder and replace "
        "the member",
        s->folder, why);
}

/* Whether there is the segment that was the newest one, or a newer one: a crash may have come before that was remembered.
 * That those before it are there, the walk sees. */
static bool check_newest(const struct journal_store *s, struct problem *problem)
{
    char why[TEXT_SIZE];
    const uint64_t newest = s->options.identity.newest_segment;
    if (s->file_count > 0 && s->files[s->file_count - 1].first_lsn >= newest)
        return true;
    snprintf(why, sizeof why, "journal-%020llu.log is missing", (unsigned long long)(newest > 0 ? newest : 1));
    return lost(s, why, problem);
}

bool journal_durability_check(const struct journal_store *s, struct problem *problem)
{
    char before[TEXT_SIZE], now[TEXT_SIZE];
    bool found;
    if (!read_line(s, before, &found, problem))
        return false;
    if (!found)
        return s->options.identity.newest_segment == 0 || lost(s, "the file journal-durability is missing", problem);
    describe(s->disk, DURABILITY_OS, now);
    if (strcmp(before, "memory") == 0)
        return lost(s, "it ran with `durability: memory` before", problem);
    if (!check_newest(s, problem))
        return false;
    if (strcmp(before, "fsync") != 0 && strcmp(now, "os unknown") == 0)
        return lost(s, "it ran with `durability: os`, and nobody knows here whether the machine was started again since",
                    problem);
    if (strcmp(before, "fsync") != 0 && strcmp(before, now) != 0)
        return lost(s, "it ran with `durability: os`, and the machine was started again since", problem);
    return true;
}

/* Writes and syncs a new file. Returns 0 or a negative errno. */
static int write_line(struct disk *disk, const char *path, const char *text)
{
    int file = disk_open(disk, path, DISK_MAKE);
    if (file < 0)
        return file;
    int error = disk_write(disk, file, 0, text, strlen(text));
    if (error == 0)
        error = disk_sync(disk, file);
    disk_close(disk, file);
    return error;
}

bool journal_durability_note(const struct journal_store *s, uint8_t durability, struct problem *problem)
{
    char text[TEXT_SIZE], before[TEXT_SIZE], line[TEXT_SIZE + 1];
    bool found;
    describe(s->disk, durability, text);
    if (!read_line(s, before, &found, problem))
        return false;
    if (found && strcmp(before, text) == 0)
        return true;
    char *path = disk_path(s->folder, "journal-durability");
    char *temporary = disk_path(s->folder, "journal-durability.tmp");
    snprintf(line, sizeof line, "%s\n", text);
    int error = write_line(s->disk, temporary, line);
    if (error == 0)
        error = disk_rename(s->disk, temporary, path);
    if (error != 0) {
        problem_set_error(problem, EXIT_SYNC_FAILED, error, "journal %s: cannot be written: ", path);
        disk_remove(s->disk, temporary);
    }
    free(path);
    free(temporary);
    return error == 0 && journal_sync_folder(s->disk, s->folder, problem);
}
