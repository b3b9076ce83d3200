/* A disk that loses everything that was not synced, as a library for LD_PRELOAD. Below the folder $SYNOD_LOSSY_DIR:
 *
 * 1. Data. What is written stays in the memory of the process, page by page, and reads find it there. fsync and fdatasync
 *    put the file's pages on the real disk, after $SYNOD_LOSSY_SYNC_US microseconds (so that an answer that does not wait
 *    for its sync gets out), from the last page to the first (so that a kill in between leaves the end of a write without
 *    its beginning). A kill -9 therefore leaves each file as of its last sync, and perhaps some pages of the one under way.
 * 2. Names. A file made, renamed or removed has that name at once, but how to undo it is noted first, in the folder
 *    $SYNOD_LOSSY_DIR.undo: a log for each folder, named after its inode, with hard links to what was replaced or removed.
 *    fsync of a folder forgets its log. lossy.py undoes what is left in the logs, and that is the loss of power.
 * 3. Stricter than most disks: the size of a file is data, and fsync of a file does not keep its name. Milder than some:
 *    nothing is lost but by the end of the process, and folders are kept. What bypasses it (mmap, stdio, sendfile) must not
 *    be used on these files.
 *
 * One lock for everything: this is a model, not a file system. Names carry 64 bits or not, so each call comes in two
 * spellings. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, FDS = 65536 };

/* A file with what the disk does not have yet. */
struct file {
    struct file *next;
    dev_t device;
    ino_t inode;
    off_t size;    /* as the process sees it */
    off_t on_disk; /* bytes of the real file that still show through */
    char **pages;  /* NULL: as on disk below `on_disk`, zeros after it */
    size_t page_count;
    bool dirty;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *files;
static struct file *of_fd[FDS];
static char root[PATH_MAX], undo[PATH_MAX + 8];
static size_t root_len;
static long sync_us;
static unsigned saved;

/* The real calls. */
static int (*real_openat)(int, const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_pread)(int, void *, size_t, off_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_read)(int, void *, size_t);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_readv)(int, const struct iovec *, int);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_preadv)(int, const struct iovec *, int, off_t);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fallocate)(int, off_t, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_range)(int, off_t, off_t, unsigned);
static int (*real_fstatat)(int, const char *, struct stat *, int);
static int (*real_renameat)(int, const char *, int, const char *);
static int (*real_unlinkat)(int, const char *, int);

static void *real(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL)
        abort();
    return function;
}

/* A call that opens a file before this ran finds `root_len` 0, and the real calls at their first use. */
__attribute__((constructor)) static void begin(void)
{
    static bool begun;
    if (begun)
        return;
    begun = true;
    *(void **)&real_openat = real("openat");
    *(void **)&real_close = real("close");
    *(void **)&real_pread = real("pread");
    *(void **)&real_pwrite = real("pwrite");
    *(void **)&real_read = real("read");
    *(void **)&real_write = real("write");
    *(void **)&real_readv = real("readv");
    *(void **)&real_writev = real("writev");
    *(void **)&real_preadv = real("preadv");
    *(void **)&real_pwritev = real("pwritev");
    *(void **)&real_ftruncate = real("ftruncate");
    *(void **)&real_fallocate = real("posix_fallocate");
    *(void **)&real_fsync = real("fsync");
    *(void **)&real_fdatasync = real("fdatasync");
    *(void **)&real_range = real("sync_file_range");
    *(void **)&real_fstatat = real("fstatat");
    *(void **)&real_renameat = real("renameat");
    *(void **)&real_unlinkat = real("unlinkat");
    const char *folder = getenv("SYNOD_LOSSY_DIR"), *us = getenv("SYNOD_LOSSY_SYNC_US");
    if (folder == NULL || realpath(folder, root) == NULL)
        return;
    root_len = strlen(root);
    snprintf(undo, sizeof undo, "%s.undo", root);
    mkdir(undo, 0700);
    sync_us = us != NULL ? atol(us) : 0;
}

/* ---- Which files are ours ---- */

static bool inside(const char *path)
{
    return root_len > 0 && strncmp(path, root, root_len) == 0 && (path[root_len] == '/' || path[root_len] == '\0');
}

/* The folder of a name, as an absolute path; false: not one of ours. */
static bool folder_of(int folder, const char *name, char *out)
{
    char path[PATH_MAX], link[64];
    const char *slash = strrchr(name, '/');
    begin();
    if (root_len == 0)
        return false;
    if (name[0] == '/' || folder == AT_FDCWD) {
        snprintf(path, sizeof path, "%.*s",
                 slash == NULL   ? 1
                 : slash == name ? 1
                                 : (int)(slash - name),
                 slash == NULL ? "." : name);
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t n = readlink(link, path, sizeof path - 1);
        if (n <= 0)
            return false;
        path[n] = '\0';
        if (slash != NULL)
            snprintf(path + n, sizeof path - (size_t)n, "/%.*s", (int)(slash - name), name);
    }
    return realpath(path, out) != NULL && inside(out);
}

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* The file of a descriptor, made when there is none yet. Under the lock. */
static struct file *file_of(int fd)
{
    struct stat status;
    if (real_fstatat(fd, "", &status, AT_EMPTY_PATH) != 0 || !S_ISREG(status.st_mode))
        return NULL;
    for (struct file *f = files; f != NULL; f = f->next)
        if (f->device == status.st_dev && f->inode == status.st_ino)
            return f;
    struct file *f = calloc(1, sizeof *f);
    f->device = status.st_dev;
    f->inode = status.st_ino;
    f->size = f->on_disk = status.st_size;
    f->next = files;
    files = f;
    return f;
}

static struct file *known(int fd) { return fd >= 0 && fd < FDS ? of_fd[fd] : NULL; }

/* ---- Undo logs ---- */

static void log_path(const char *folder, char *out, size_t size, ino_t *inode)
{
    struct stat status = {0};
    real_fstatat(AT_FDCWD, folder, &status, 0);
    *inode = status.st_ino;
    snprintf(out, size, "%s/%lu.log", undo, (unsigned long)status.st_ino);
}

/* Keeps what a name stands for now, under a link. Returns the link's name, or "-" for nothing. */
static void keep(const char *folder, const char *name, ino_t inode, char link_name[64])
{
    char from[2 * PATH_MAX], to[2 * PATH_MAX];
    snprintf(link_name, 64, "%lu.%d.%u", (unsigned long)inode, (int)getpid(), saved++);
    snprintf(from, sizeof from, "%s/%s", folder, name);
    snprintf(to, sizeof to, "%s/%s", undo, link_name);
    if (link(from, to) != 0)
        strcpy(link_name, "-");
}

/* One line: what is about to happen. `old`: of a rename. */
static void note(const char *what, const char *folder, const char *old, const char *name)
{
    char path[2 * PATH_MAX], line[4 * PATH_MAX], kept[64] = "-", from[2 * PATH_MAX];
    ino_t inode;
    struct stat status = {0};
    log_path(folder, path, sizeof path, &inode);
    if (strcmp(what, "made") != 0)
        keep(folder, name, inode, kept);
    snprintf(from, sizeof from, "%s/%s", folder, old);
    real_fstatat(AT_FDCWD, from, &status, 0);
    int len = snprintf(line, sizeof line, "%s\t%s\t%s\t%s\t%s\t%lu\n", what, folder, old, name, kept,
                       (unsigned long)status.st_ino);
    int fd = real_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || real_write(fd, line, (size_t)len) != len)
        abort();
    real_close(fd);
}

/* A folder was synced: its names are there to stay. */
static void forget(const char *folder)
{
    char path[2 * PATH_MAX];
    ino_t inode;
    log_path(folder, path, sizeof path, &inode);
    real_unlinkat(AT_FDCWD, path, 0);
}

/* ---- Data ---- */

static char **page_at(struct file *f, size_t index)
{
    if (index >= f->page_count) {
        size_t count = index + index / 2 + 16;
        f->pages = realloc(f->pages, count * sizeof *f->pages);
        memset(f->pages + f->page_count, 0, (count - f->page_count) * sizeof *f->pages);
        f->page_count = count;
    }
    return &f->pages[index];
}

/* Copies a page's bytes as they are without our own page: from disk, then zeros. */
static void from_disk(int fd, const struct file *f, size_t index, char *to)
{
    off_t at = (off_t)index * PAGE;
    size_t left = f->on_disk > at ? (size_t)(f->on_disk - at) : 0;
    memset(to, 0, PAGE);
    for (size_t done = 0, want = left < PAGE ? left : PAGE; done < want;) {
        ssize_t n = real_pread(fd, to + done, want - done, at + (off_t)done);
        if (n <= 0)
            return;
        done += (size_t)n;
    }
}

/* A descriptor through which the real file can be read and written, whatever the program opened it for. */
static int both_ways(int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return real_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC);
}

static ssize_t data_write(int fd, struct file *f, const void *from, size_t len, off_t at)
{
    const char *bytes = from;
    int disk = -1;
    for (size_t done = 0; done < len;) {
        size_t index = (size_t)(at + (off_t)done) / PAGE, offset = (size_t)(at + (off_t)done) % PAGE;
        size_t part = PAGE - offset < len - done ? PAGE - offset : len - done;
        char **page = page_at(f, index);
        if (*page == NULL) {
            *page = malloc(PAGE);
            if (part < PAGE) {
                if (disk < 0)
                    disk = both_ways(fd);
                from_disk(disk, f, index, *page);
            }
        }
        memcpy(*page + offset, bytes + done, part);
        done += part;
    }
    if (disk >= 0)
        real_close(disk);
    if (at + (off_t)len > f->size)
        f->size = at + (off_t)len;
    f->dirty = true;
    return (ssize_t)len;
}

static ssize_t data_read(int fd, struct file *f, void *to, size_t len, off_t at)
{
    char page[PAGE], *bytes = to;
    if (at >= f->size)
        return 0;
    if ((off_t)len > f->size - at)
        len = (size_t)(f->size - at);
    for (size_t done = 0; done < len;) {
        size_t index = (size_t)(at + (off_t)done) / PAGE, offset = (size_t)(at + (off_t)done) % PAGE;
        size_t part = PAGE - offset < len - done ? PAGE - offset : len - done;
        const char *ours = index < f->page_count ? f->pages[index] : NULL;
        if (ours == NULL)
            from_disk(fd, f, index, page);
        memcpy(bytes + done, (ours != NULL ? ours : page) + offset, part);
        done += part;
    }
    return (ssize_t)len;
}

static void data_truncate(int fd, struct file *f, off_t size)
{
    static const char zeros[PAGE];
    if (size < f->size) {
        for (size_t i = (size_t)(size + PAGE - 1) / PAGE; i < f->page_count; i++) {
            free(f->pages[i]);
            f->pages[i] = NULL;
        }
        if (size % PAGE != 0) /* what follows in the last page must not come back should the file grow */
            data_write(fd, f, zeros, (size_t)(PAGE - size % PAGE), size);
        if (f->on_disk > size)
            f->on_disk = size;
    }
    f->size = size;
    f->dirty = true;
}

/* What a sync does: everything to the real file. */
static void data_sync(int fd, struct file *f)
{
    if (!f->dirty)
        return;
    int disk = both_ways(fd);
    if (disk < 0 || real_ftruncate(disk, f->on_disk) != 0)
        abort();
    for (size_t i = f->page_count; i-- > 0;) {
        if (f->pages[i] == NULL)
            continue;
        if (real_pwrite(disk, f->pages[i], PAGE, (off_t)i * PAGE) != PAGE)
            abort();
        free(f->pages[i]);
        f->pages[i] = NULL;
    }
    if (real_ftruncate(disk, f->size) != 0)
        abort();
    real_close(disk);
    f->on_disk = f->size;
    f->dirty = false;
}

static int sync_fd(int fd)
{
    struct stat status;
    char link[64], path[PATH_MAX];
    begin();
    if (root_len == 0 || real_fstatat(fd, "", &status, AT_EMPTY_PATH) != 0)
        return real_fsync(fd);
    if (known(fd) != NULL && sync_us > 0)
        nanosleep(&(struct timespec){.tv_sec = sync_us / 1000000, .tv_nsec = sync_us % 1000000 * 1000}, NULL);
    pthread_mutex_lock(&lock);
    bool ours = known(fd) != NULL;
    if (ours) {
        data_sync(fd, known(fd));
    } else if (S_ISDIR(status.st_mode)) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, path, sizeof path - 1);
        path[n > 0 ? n : 0] = '\0';
        if ((ours = inside(path)))
            forget(path);
    }
    pthread_mutex_unlock(&lock);
    return ours ? 0 : real_fsync(fd);
}

/* ---- The calls: opening and closing ---- */

static int open_any(int folder, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    struct stat status;
    if (!folder_of(folder, name, path) || (flags & (O_DIRECTORY | O_PATH)) != 0)
        return real_openat(folder, name, flags, mode);
    pthread_mutex_lock(&lock);
    bool exists = real_fstatat(folder, name, &status, 0) == 0;
    if (!exists && (flags & O_CREAT) != 0)
        note("made", path, "-", last_name(name));
    int fd = real_openat(folder, name, flags & ~O_TRUNC, mode);
    if (fd >= 0 && fd < FDS) {
        of_fd[fd] = file_of(fd);
        if (of_fd[fd] != NULL && (flags & O_TRUNC) != 0 && of_fd[fd]->size > 0)
            data_truncate(fd, of_fd[fd], 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define OPEN(name, given)                                                                                                   \
    va_list more;                                                                                                           \
    va_start(more, flags);                                                                                                  \
    mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;                                        \
    va_end(more);                                                                                                           \
    return open_any(given, name, flags, mode)

int open(const char *name, int flags, ...) { OPEN(name, AT_FDCWD); }
int open64(const char *name, int flags, ...) { OPEN(name, AT_FDCWD); }
int openat(int folder, const char *name, int flags, ...) { OPEN(name, folder); }
int openat64(int folder, const char *name, int flags, ...) { OPEN(name, folder); }

int close(int fd)
{
    begin();
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < FDS)
        of_fd[fd] = NULL;
    pthread_mutex_unlock(&lock);
    return real_close(fd);
}

/* ---- The calls: data ---- */

/* `action` with f, the file of `fd`, under the lock, when it is one of ours; otherwise `otherwise`. */
#define OURS_OR(type, action, otherwise)                                                                                    \
    begin();                                                                                                                \
    if (known(fd) == NULL)                                                                                                  \
        return otherwise;                                                                                                   \
    pthread_mutex_lock(&lock);                                                                                              \
    struct file *f = known(fd);                                                                                             \
    type result = f != NULL ? (action) : -1;                                                                                \
    pthread_mutex_unlock(&lock);                                                                                            \
    return result

static ssize_t vector(int fd, struct file *f, const struct iovec *parts, int count, off_t at, bool writes)
{
    ssize_t sum = 0;
    for (int i = 0; i < count; i++) {
        ssize_t n = writes ? data_write(fd, f, parts[i].iov_base, parts[i].iov_len, at + sum)
                           : data_read(fd, f, parts[i].iov_base, parts[i].iov_len, at + sum);
        sum += n;
        if ((size_t)n < parts[i].iov_len)
            break;
    }
    return sum;
}

/* At the descriptor's own place, which then moves on. */
static ssize_t in_place(int fd, struct file *f, const struct iovec *parts, int count, bool writes)
{
    bool append = writes && (fcntl(fd, F_GETFL) & O_APPEND) != 0;
    off_t at = append ? f->size : lseek(fd, 0, SEEK_CUR);
    ssize_t n = vector(fd, f, parts, count, at, writes);
    lseek(fd, at + n, SEEK_SET);
    return n;
}

#define ONE(bytes, len) (&(struct iovec){(void *)(uintptr_t)(bytes), len})

ssize_t pwrite(int fd, const void *from, size_t len, off_t at)
{
    OURS_OR(ssize_t, data_write(fd, f, from, len, at), real_pwrite(fd, from, len, at));
}
ssize_t pwrite64(int fd, const void *from, size_t len, off_t at) { return pwrite(fd, from, len, at); }
ssize_t pread(int fd, void *to, size_t len, off_t at)
{
    OURS_OR(ssize_t, data_read(fd, f, to, len, at), real_pread(fd, to, len, at));
}
ssize_t pread64(int fd, void *to, size_t len, off_t at) { return pread(fd, to, len, at); }
ssize_t write(int fd, const void *from, size_t len)
{
    OURS_OR(ssize_t, in_place(fd, f, ONE(from, len), 1, true), real_write(fd, from, len));
}
ssize_t read(int fd, void *to, size_t len)
{
    OURS_OR(ssize_t, in_place(fd, f, ONE(to, len), 1, false), real_read(fd, to, len));
}
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    OURS_OR(ssize_t, in_place(fd, f, parts, count, true), real_writev(fd, parts, count));
}
ssize_t readv(int fd, const struct iovec *parts, int count)
{
    OURS_OR(ssize_t, in_place(fd, f, parts, count, false), real_readv(fd, parts, count));
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    OURS_OR(ssize_t, vector(fd, f, parts, count, at, true), real_pwritev(fd, parts, count, at));
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) { return pwritev(fd, parts, count, at); }

ssize_t preadv(int fd, const struct iovec *parts, int count, off_t at)
{
    OURS_OR(ssize_t, vector(fd, f, parts, count, at, false), real_preadv(fd, parts, count, at));
}
ssize_t preadv64(int fd, const struct iovec *parts, int count, off_t at) { return preadv(fd, parts, count, at); }

int ftruncate(int fd, off_t size) { OURS_OR(int, (data_truncate(fd, f, size), 0), real_ftruncate(fd, size)); }
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

static int grow(int fd, struct file *f, off_t size)
{
    if (size > f->size)
        data_truncate(fd, f, size);
    return 0;
}

int posix_fallocate(int fd, off_t at, off_t len) { OURS_OR(int, grow(fd, f, at + len), real_fallocate(fd, at, len)); }
int posix_fallocate64(int fd, off_t at, off_t len) { return posix_fallocate(fd, at, len); }

int fsync(int fd) { return sync_fd(fd); }

int fdatasync(int fd)
{
    begin();
    return known(fd) != NULL ? sync_fd(fd) : real_fdatasync(fd);
}

/* It promises nothing that survives. */
int sync_file_range(int fd, off_t at, off_t len, unsigned flags)
{
    begin();
    return known(fd) != NULL ? 0 : real_range(fd, at, len, flags);
}

/* ---- The calls: sizes and names ---- */

int fstatat(int folder, const char *restrict name, struct stat *restrict status, int flags)
{
    begin();
    int result = real_fstatat(folder, name, status, flags);
    if (result != 0 || root_len == 0)
        return result;
    pthread_mutex_lock(&lock);
    for (struct file *f = files; f != NULL; f = f->next)
        if (f->device == status->st_dev && f->inode == status->st_ino)
            status->st_size = f->size;
    pthread_mutex_unlock(&lock);
    return result;
}
int stat(const char *restrict name, struct stat *restrict status) { return fstatat(AT_FDCWD, name, status, 0); }
int lstat(const char *restrict name, struct stat *restrict status)
{
    return fstatat(AT_FDCWD, name, status, AT_SYMLINK_NOFOLLOW);
}
int fstat(int fd, struct stat *status) { return fstatat(fd, "", status, AT_EMPTY_PATH); }
/* On 64-bit machines the two structs are one. */
int fstatat64(int folder, const char *restrict name, struct stat64 *restrict status, int flags)
{
    return fstatat(folder, name, (struct stat *)status, flags);
}
int stat64(const char *restrict name, struct stat64 *restrict status) { return fstatat64(AT_FDCWD, name, status, 0); }
int lstat64(const char *restrict name, struct stat64 *restrict status)
{
    return fstatat64(AT_FDCWD, name, status, AT_SYMLINK_NOFOLLOW);
}
int fstat64(int fd, struct stat64 *status) { return fstatat64(fd, "", status, AT_EMPTY_PATH); }

int renameat(int old_folder, const char *old, int folder, const char *name)
{
    char from[PATH_MAX], to[PATH_MAX];
    if (!folder_of(old_folder, old, from) || !folder_of(folder, name, to))
        return real_renameat(old_folder, old, folder, name);
    if (strcmp(from, to) != 0)
        abort(); /* from folder to folder: not modelled, and not used */
    pthread_mutex_lock(&lock);
    note("renamed", from, last_name(old), last_name(name));
    int result = real_renameat(old_folder, old, folder, name);
    pthread_mutex_unlock(&lock);
    return result;
}
int rename(const char *old, const char *name) { return renameat(AT_FDCWD, old, AT_FDCWD, name); }

int unlinkat(int folder, const char *name, int flags)
{
    char path[PATH_MAX];
    if (!folder_of(folder, name, path) || (flags & AT_REMOVEDIR) != 0)
        return real_unlinkat(folder, name, flags);
    pthread_mutex_lock(&lock);
    note("removed", path, "-", last_name(name));
    int result = real_unlinkat(folder, name, flags);
    pthread_mutex_unlock(&lock);
    return result;
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
