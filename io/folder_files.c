#include "io/folder_files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"

size_t folder_seal(char *text, size_t len)
{
    return len + (size_t)snprintf(text + len, FOLDER_SEAL_SIZE + 1, "checksum %016" PRIx64 "\n", checksum(text, len, 0));
}

bool folder_problem(const struct folder_files *f, int exit_code, const char *name, const char *what, int64_t error,
                    struct problem *problem)
{
    return problem_set_error(problem, exit_code, error, "%s/%s: %s", f->path, name, what);
}

/* Writes and syncs a new file. */
static bool write_file(const struct folder_files *f, const char *path, const char *name, const char *text, size_t len,
                       struct problem *problem)
{
    int file = disk_open(f->disk, path, DISK_MAKE);
    if (file < 0)
        return folder_problem(f, EXIT_DATA, name, "", file, problem);
    int error = disk_write(f->disk, file, 0, text, len);
    bool ok = error == 0 || folder_problem(f, EXIT_DATA, name, "write: ", error, problem);
    error = ok ? disk_sync(f->disk, file) : 0;
    ok = ok && (error == 0 || folder_problem(f, EXIT_SYNC_FAILED, name, "sync: ", error, problem));
    disk_close(f->disk, file);
    if (!ok)
        disk_remove(f->disk, path);
    return ok;
}

bool folder_replace(const struct folder_files *f, const char *name, const char *text, size_t len, struct problem *problem)
{
    char temporary[64];
    snprintf(temporary, sizeof temporary, "%s.tmp", name);
    char *from = disk_path(f->path, temporary), *to = disk_path(f->path, name);
    bool ok = write_file(f, from, temporary, text, len, problem);
    int error = ok ? disk_rename(f->disk, from, to) : 0;
    ok = ok && (error == 0 || folder_problem(f, EXIT_DATA, name, "", error, problem));
    error = ok ? disk_sync_folder(f->disk, f->path) : 0;
    if (error != 0)
        ok = problem_set_folder_sync(problem, f->path, error);
    free(from);
    free(to);
    return ok;
}

bool folder_read(const struct folder_files *f, const char *name, char *text, size_t size, size_t *len, bool *found,
                 struct problem *problem)
{
    char pattern[64];
    int version = 0;
    char *path = disk_path(f->path, name);
    int file = disk_open(f->disk, path, DISK_READ);
    free(path);
    *found = file >= 0;
    if (file < 0)
        return file == -ENOENT || folder_problem(f, EXIT_DATA, name, "", file, problem);
    int64_t n = disk_read(f->disk, file, 0, text, size - 1);
    disk_close(f->disk, file);
    if (n < 0)
        return folder_problem(f, EXIT_DATA, name, "", n, problem);
    text[n] = '\0';
    *len = (size_t)n;
    snprintf(pattern, sizeof pattern, "synod-%s %%9d", name);
    if (sscanf(text, pattern, &version) == 1 && version > FOLDER_VERSION)
        return problem_set(problem, EXIT_DATA, "%s/%s: format version %d, this program knows up to %d", f->path, name,
                           version, FOLDER_VERSION);
    return true;
}
