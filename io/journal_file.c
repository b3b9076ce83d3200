#include "io/journal_file.h"

#include <stdio.h>

char *journal_segment_path(const char *folder, uint64_t first_lsn)
{
    char name[64];
    snprintf(name, sizeof name, "journal-%020llu.log", (unsigned long long)first_lsn);
    return disk_path(folder, name);
}

static bool write_problem(const char *path, uint64_t offset, uint64_t len, int error, struct problem *problem)
{
    return problem_set_error(problem, EXIT_SYNC_FAILED, error, "journal %s: offset %llu: cannot write %llu bytes: ", path,
                             (unsigned long long)offset, (unsigned long long)len);
}

bool journal_write_bytes(struct disk *disk, int file, const char *path, uint64_t offset, const void *from, size_t len,
                         struct problem *problem)
{
    int error = disk_write(disk, file, offset, from, len);
    return error == 0 || write_problem(path, offset, len, error, problem);
}

bool journal_write_zeros(struct disk *disk, int file, const char *path, uint64_t offset, uint64_t len,
                         struct problem *problem)
{
    int error = disk_zero(disk, file, offset, len);
    return error == 0 || write_problem(path, offset, len, error, problem);
}

bool journal_sync_file(struct disk *disk, int file, const char *path, struct problem *problem)
{
    int error = disk_sync_data(disk, file);
    return error == 0 || problem_set(problem, EXIT_SYNC_FAILED, "journal %s: cannot sync: %s", path, strerror(-error));
}

bool journal_sync_folder(struct disk *disk, const char *folder, struct problem *problem)
{
    int error = disk_sync_folder(disk, folder);
    return error == 0 || problem_set_folder_sync(problem, folder, error);
}
