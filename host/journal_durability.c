/* What became of what the node promised before? The file `journal-durability` in its folder says how it ran last:
 *
 *     fsync            everything is in the journal: it must be there
 *     os <boot id>     everything is in the journal while the machine has not been started again since
 *     memory           everything is lost
 *
 * It is durable before the node says a word. A node that has lost something counts as one that lost its disk (rule 12 of
 * the design), and is refused: without its promises it must not vote. No such file: the node never got so far. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/journal_internal.h"

enum { TEXT_SIZE = 128 };

/* Reads a small text file, without its last newline. False: there is none. */
static bool read_text(const char *path, char text[TEXT_SIZE])
{
    memset(text, 0, TEXT_SIZE);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, TEXT_SIZE - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return true;
}

/* The line that describes how this journal runs now. */
static void describe(uint8_t durability, char text[TEXT_SIZE])
{
    char boot[TEXT_SIZE];
    if (durability == DURABILITY_OS && !read_text("/proc/sys/kernel/random/boot_id", boot))
        snprintf(boot, sizeof boot, "unknown");
    if (durability == DURABILITY_FSYNC)
        snprintf(text, TEXT_SIZE, "fsync");
    else if (durability == DURABILITY_OS)
        snprintf(text, TEXT_SIZE, "os %.100s", boot);
    else
        snprintf(text, TEXT_SIZE, "memory");
}

static bool lost(const struct journal *j, const char *why, struct problem *problem)
{
    return problem_set(
        problem, EXIT_DATA,
        "journal %s: %s; what the node promised is lost, so it must not vote. Format a new folder and replace "
        "the member",
        j->folder, why);
}

bool journal_durability_check(const struct journal *j, struct problem *problem)
{
    char before[TEXT_SIZE], now[TEXT_SIZE];
    char *path = journal_path(j->folder, "journal-durability");
    bool known = read_text(path, before);
    free(path);
    if (!known)
        return true;
    describe(DURABILITY_OS, now);
    if (strcmp(before, "memory") == 0)
        return lost(j, "it ran with `durability: memory` before", problem);
    if (j->file_count == 0)
        return lost(j, "the segments are gone", problem);
    if (strcmp(before, "fsync") != 0 && strcmp(before, now) != 0)
        return lost(j, "it ran with `durability: os`, and the machine was started again since", problem);
    return true;
}

bool journal_durability_note(const struct journal *j, struct problem *problem)
{
    char text[TEXT_SIZE], before[TEXT_SIZE];
    char *path = journal_path(j->folder, "journal-durability");
    char *temporary = journal_path(j->folder, "journal-durability.tmp");
    describe(j->options.durability, text);
    bool ok = read_text(path, before) && strcmp(before, text) == 0;
    if (!ok) {
        size_t len = strlen(text);
        text[len++] = '\n';
        int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        ok = fd >= 0 && journal_write_bytes(fd, temporary, 0, text, len, problem) && fsync(fd) == 0 &&
             rename(temporary, path) == 0;
        if (!ok)
            problem_set(problem, EXIT_SYNC_FAILED, "journal %s: cannot be written: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        ok = ok && journal_sync_folder(j->folder, problem);
    }
    free(path);
    free(temporary);
    return ok;
}
