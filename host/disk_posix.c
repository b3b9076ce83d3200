/* The disk of this machine: each function is the system call of its name, again after a signal and to the end. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/disk.h"

enum { ZERO_BYTES = 256 << 10 };

/* Without following a link, and without waiting for a pipe. */
static int open_regular(const char *path, int flags)
{
    struct stat status;
    int file = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (file < 0)
        return -errno;
    int error = fstat(file, &status) != 0 ? -errno
                : S_ISREG(status.st_mode) ? 0
                : S_ISDIR(status.st_mode) ? -EISDIR
                                          : -ENXIO;
    if (error == 0)
        return file;
    close(file);
    return error;
}

static int posix_open(struct disk *d, const char *path, enum disk_open how)
{
    static const int flags[] = {[DISK_READ] = O_RDONLY, [DISK_WRITE] = O_RDWR, [DISK_MAKE] = O_RDWR | O_CREAT | O_EXCL};
    (void)d;
    int file = open_regular(path, flags[how]);
    if (file == -EEXIST) /* what a crash has left; or a link, which goes, and not what it points to */
        file = unlink(path) == 0 ? open_regular(path, flags[how]) : -errno;
    return file;
}

static void posix_close(struct disk *d, int file)
{
    (void)d;
    close(file);
}

static int64_t posix_read(struct disk *d, int file, uint64_t offset, void *to, size_t len)
{
    (void)d;
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(file, (char *)to + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return (int64_t)done;
        done += (size_t)n;
    }
    return (int64_t)len;
}

/* Linux' O_DIRECT. Some file systems refuse it here, and others only when something is written. */
static void posix_in_pages(struct disk *d, int file)
{
    (void)d;
    int flags = fcntl(file, F_GETFL);
    if (flags >= 0)
        (void)!fcntl(file, F_SETFL, flags | O_DIRECT);
}

/* Whether the file was written to in pages, which it is no longer. */
static bool stop_in_pages(int file)
{
    int flags = fcntl(file, F_GETFL);
    return flags >= 0 && (flags & O_DIRECT) != 0 && fcntl(file, F_SETFL, flags & ~O_DIRECT) == 0;
}

static int posix_write(struct disk *d, int file, uint64_t offset, const void *from, size_t len)
{
    (void)d;
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(file, (const char *)from + done, len - done, (off_t)(offset + done));
        if (n < 0 && (errno == EINTR || (errno == EINVAL && stop_in_pages(file))))
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        done += (size_t)n;
    }
    return 0;
}

static int posix_zero(struct disk *d, int file, uint64_t offset, uint64_t len)
{
    static const char zeros[ZERO_BYTES] __attribute__((aligned(DISK_PAGE)));
    int error = 0;
    for (uint64_t done = 0; error == 0 && done < len; done += ZERO_BYTES)
        error = posix_write(d, file, offset + done, zeros, len - done < ZERO_BYTES ? (size_t)(len - done) : ZERO_BYTES);
    return error;
}

/* Some file systems cannot; then the space is taken by the writes that follow. */
static int posix_allocate(struct disk *d, int file, uint64_t bytes)
{
    (void)d;
    int error = posix_fallocate(file, 0, (off_t)bytes);
    return error == EOPNOTSUPP || error == EINVAL ? 0 : -error;
}

static void posix_write_out(struct disk *d, int file, uint64_t offset, uint64_t len)
{
    (void)d;
    (void)sync_file_range(file, (off_t)offset, (off_t)len,
                          SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

static int posix_sync(struct disk *d, int file)
{
    (void)d;
    return fsync(file) == 0 ? 0 : -errno;
}

static int posix_sync_data(struct disk *d, int file)
{
    (void)d;
    return fdatasync(file) == 0 ? 0 : -errno;
}

static int64_t posix_size(struct disk *d, const char *path)
{
    struct stat status;
    (void)d;
    return stat(path, &status) == 0 ? (int64_t)status.st_size : -errno;
}

static int posix_rename(struct disk *d, const char *from, const char *to)
{
    (void)d;
    return rename(from, to) == 0 ? 0 : -errno;
}

static int posix_remove(struct disk *d, const char *path)
{
    (void)d;
    return unlink(path) == 0 ? 0 : -errno;
}

static int posix_list(struct disk *d, const char *folder, void (*each)(void *context, const char *name), void *context)
{
    (void)d;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return -errno;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            each(context, entry->d_name);
    }
    closedir(dir);
    return 0;
}

static int posix_make_folder(struct disk *d, const char *path)
{
    (void)d;
    return mkdir(path, 0750) == 0 ? 0 : -errno;
}

static int posix_sync_folder(struct disk *d, const char *path)
{
    (void)d;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = folder >= 0 && fsync(folder) == 0 ? 0 : -errno;
    if (folder >= 0)
        close(folder);
    return error;
}

/* An advisory lock, which the kernel gives back when the process ends. The text is for people, and for the error message. */
static int posix_lock(struct disk *d, const char *path, char *holder, size_t size)
{
    (void)d;
    int error = 0;
    char text[32];
    int file = open_regular(path, O_RDWR | O_CREAT);
    if (file < 0)
        return file;
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        error = -errno;
        ssize_t n = pread(file, holder, size - 1, 0);
        holder[n > 0 ? (size_t)n : 0] = '\0';
        holder[strspn(holder, "0123456789")] = '\0';
    } else {
        int len = snprintf(text, sizeof text, "%d\n", (int)getpid());
        if (ftruncate(file, 0) != 0)
            error = -errno;
        else
            error = posix_write(d, file, 0, text, (size_t)len);
    }
    if (error == 0)
        return file;
    close(file);
    return error;
}

static void posix_unlock(struct disk *d, int lock)
{
    (void)d;
    (void)!ftruncate(lock, 0); /* where this fails, it looks as if this process had been killed */
    close(lock);
}

static uint64_t posix_now(struct disk *d)
{
    struct timespec now;
    (void)d;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void posix_pause(struct disk *d, uint64_t duration)
{
    struct timespec left = {.tv_sec = (time_t)(duration / 1000000), .tv_nsec = (long)(duration % 1000000) * 1000};
    (void)d;
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static bool posix_random(struct disk *d, void *to, size_t len)
{
    (void)d;
    return getrandom(to, len, 0) == (ssize_t)len;
}

static void posix_boot_id(struct disk *d, char id[DISK_BOOT_ID_SIZE])
{
    ssize_t n = 0;
    (void)d;
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        n = read(file, id, DISK_BOOT_ID_SIZE - 1);
        close(file);
    }
    id[n > 0 ? n : 0] = '\0';
    id[strcspn(id, "\n")] = '\0';
    if (id[0] == '\0')
        strcpy(id, "unknown");
}

struct disk *disk_posix(void)
{
    static const struct disk_operations operations = {
        .open = posix_open,
        .close = posix_close,
        .read = posix_read,
        .write = posix_write,
        .zero = posix_zero,
        .allocate = posix_allocate,
        .in_pages = posix_in_pages,
        .write_out = posix_write_out,
        .sync = posix_sync,
        .sync_data = posix_sync_data,
        .size = posix_size,
        .rename = posix_rename,
        .remove = posix_remove,
        .list = posix_list,
        .make_folder = posix_make_folder,
        .sync_folder = posix_sync_folder,
        .lock = posix_lock,
        .unlock = posix_unlock,
        .now = posix_now,
        .pause = posix_pause,
        .random = posix_random,
        .boot_id = posix_boot_id,
    };
    static struct disk disk = {.operations = &operations};
    return &disk;
}
