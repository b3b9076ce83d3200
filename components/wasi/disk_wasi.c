/* Files by descriptors below the first folder that the host opened. What WASI 0.2 lacks, and what that means here:
 *
 * - No locks: data folders have leases (io/lease.h).
 * - No space is reserved: the zeros that are written to a new segment do that.
 * - No bytes are handed to the device early: a new segment's sync takes longer.
 * - It is unknown whether the machine was restarted since.
 * - A host may refuse to sync a folder (some cannot for the folder that they opened themselves). Then nothing makes new
 *   names durable, and all that can be done is to say so: disk_wasi_syncs_folders. A sync that fails after another one
 *   succeeded is a failure.
 *
 * Bytes go in pieces as large as they are asked for. What the host reads goes into an arena first (components/shim.h). */
#include "components/wasi/disk_wasi.h"

#include <errno.h>
#include <stdio.h>

#include "components/shim.h"

enum { FILES_MAX = 64, ZERO_BYTES = 256 << 10, READ_BYTES = 4 << 20 };

struct file {
    bool used;
    wasi_filesystem_types_own_descriptor_t descriptor;
};

static struct {
    bool looked_for;
    bool found;
    wasi_filesystem_types_own_descriptor_t root;
    struct file files[FILES_MAX];
    bool folder_synced, folder_not_synced;
} wasi;

/* Lists that the host returns go here. */
static struct arena results;

/* ---- The host's errors ---- */

static int to_errno(wasi_filesystem_types_error_code_t code)
{
    static const int numbers[] = {
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_ACCESS] = EACCES,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_WOULD_BLOCK] = EAGAIN,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_ALREADY] = EALREADY,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_BAD_DESCRIPTOR] = EBADF,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_BUSY] = EBUSY,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_DEADLOCK] = EDEADLK,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_QUOTA] = EDQUOT,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_EXIST] = EEXIST,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_FILE_TOO_LARGE] = EFBIG,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_ILLEGAL_BYTE_SEQUENCE] = EILSEQ,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_IN_PROGRESS] = EINPROGRESS,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_INTERRUPTED] = EINTR,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_INVALID] = EINVAL,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_IO] = EIO,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_IS_DIRECTORY] = EISDIR,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_LOOP] = ELOOP,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_TOO_MANY_LINKS] = EMLINK,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_MESSAGE_SIZE] = EMSGSIZE,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_NAME_TOO_LONG] = ENAMETOOLONG,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_NO_DEVICE] = ENODEV,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_NO_ENTRY] = ENOENT,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_NO_LOCK] = ENOLCK,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_INSUFFICIENT_MEMORY] = ENOMEM,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_INSUFFICIENT_SPACE] = ENOSPC,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_NOT_DIRECTORY] = ENOTDIR,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_NOT_EMPTY] = ENOTEMPTY,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_NOT_RECOVERABLE] = ENOTRECOVERABLE,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_UNSUPPORTED] = ENOTSUP,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_NO_TTY] = ENOTTY,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_NO_SUCH_DEVICE] = ENXIO,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_OVERFLOW] = EOVERFLOW,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_NOT_PERMITTED] = EPERM,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_PIPE] = EPIPE,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_READ_ONLY] = EROFS,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_INVALID_SEEK] = ESPIPE,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_TEXT_FILE_BUSY] = ETXTBSY,
        [WASI_FILESYSTEM_TYPES_ERROR_CODE_CROSS_DEVICE] = EXDEV,
    };
    return code < sizeof numbers / sizeof numbers[0] ? numbers[code] : EIO;
}

/* The result of a call without one. */
static int outcome(bool ok, wasi_filesystem_types_error_code_t code) { return ok ? 0 : -to_errno(code); }

static wasi_library_string_t text_of(const char *text) { return (wasi_library_string_t){(uint8_t *)text, strlen(text)}; }

static bool find_root(wasi_filesystem_types_borrow_descriptor_t *root)
{
    if (!wasi.looked_for) {
        wasi_filesystem_preopens_list_tuple2_own_descriptor_string_t folders;
        shim_results_begin(&results);
        wasi_filesystem_preopens_get_directories(&folders);
        shim_results_end();
        wasi.looked_for = true;
        wasi.found = folders.len > 0;
        if (wasi.found)
            wasi.root = folders.ptr[0].f0;
        for (size_t i = 1; i < folders.len; i++)
            wasi_filesystem_types_descriptor_drop_own(folders.ptr[i].f0);
    }
    if (wasi.found)
        *root = wasi_filesystem_types_borrow_descriptor(wasi.root);
    return wasi.found;
}

static int open_at(const char *path, wasi_filesystem_types_path_flags_t path_flags,
                   wasi_filesystem_types_open_flags_t open_flags, wasi_filesystem_types_descriptor_flags_t flags,
                   wasi_filesystem_types_own_descriptor_t *out)
{
    wasi_filesystem_types_borrow_descriptor_t root;
    wasi_filesystem_types_error_code_t code = WASI_FILESYSTEM_TYPES_ERROR_CODE_NO_ENTRY;
    wasi_library_string_t name = text_of(path);
    bool ok = find_root(&root) &&
              wasi_filesystem_types_method_descriptor_open_at(root, path_flags, &name, open_flags, flags, out, &code);
    return outcome(ok, code);
}

static wasi_filesystem_types_borrow_descriptor_t opened(int file)
{
    invariant(file >= 0 && file < FILES_MAX && wasi.files[file].used);
    return wasi_filesystem_types_borrow_descriptor(wasi.files[file].descriptor);
}

/* ---- Files ---- */

static bool stat_at(const char *path, wasi_filesystem_types_path_flags_t path_flags,
                    wasi_filesystem_types_descriptor_stat_t *stat, int *error)
{
    wasi_filesystem_types_borrow_descriptor_t root;
    wasi_filesystem_types_error_code_t code = WASI_FILESYSTEM_TYPES_ERROR_CODE_NO_ENTRY;
    wasi_library_string_t name = text_of(path);
    bool ok = find_root(&root) && wasi_filesystem_types_method_descriptor_stat_at(root, path_flags, &name, stat, &code);
    *error = outcome(ok, code);
    return ok;
}

/* Checked before it is opened: a host may wait for a pipe. */
static int check_regular(const char *path)
{
    wasi_filesystem_types_descriptor_stat_t stat;
    int error;
    if (!stat_at(path, 0, &stat, &error))
        return error;
    return stat.type == WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_REGULAR_FILE    ? 0
           : stat.type == WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_DIRECTORY     ? -EISDIR
           : stat.type == WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_SYMBOLIC_LINK ? -ELOOP
                                                                              : -ENXIO;
}

static int wasi_remove(struct disk *d, const char *path)
{
    wasi_filesystem_types_borrow_descriptor_t root;
    wasi_filesystem_types_error_code_t code = WASI_FILESYSTEM_TYPES_ERROR_CODE_NO_ENTRY;
    wasi_library_string_t name = text_of(path);
    (void)d;
    bool ok = find_root(&root) && wasi_filesystem_types_method_descriptor_unlink_file_at(root, &name, &code);
    return outcome(ok, code);
}

static int wasi_open(struct disk *d, const char *path, enum disk_open how)
{
    enum { READ = WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_READ, WRITE = WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_WRITE };
    enum { MAKE = WASI_FILESYSTEM_TYPES_OPEN_FLAGS_CREATE | WASI_FILESYSTEM_TYPES_OPEN_FLAGS_EXCLUSIVE };
    int file = 0;
    while (file < FILES_MAX && wasi.files[file].used)
        file++;
    if (file == FILES_MAX)
        return -EMFILE;
    int error = how == DISK_MAKE ? wasi_remove(d, path) : check_regular(path);
    if (error == 0 || (how == DISK_MAKE && error == -ENOENT))
        error = open_at(path, 0, how == DISK_MAKE ? MAKE : 0, how == DISK_READ ? READ : READ | WRITE,
                        &wasi.files[file].descriptor);
    wasi.files[file].used = error == 0;
    return error == 0 ? file : error;
}

static void wasi_close(struct disk *d, int file)
{
    (void)d;
    (void)opened(file);
    wasi_filesystem_types_descriptor_drop_own(wasi.files[file].descriptor);
    wasi.files[file].used = false;
}

static int64_t wasi_read(struct disk *d, int file, uint64_t offset, void *to, size_t len)
{
    wasi_filesystem_types_borrow_descriptor_t descriptor = opened(file);
    (void)d;
    for (size_t done = 0; done < len;) {
        wasi_library_tuple2_list_u8_bool_t got;
        wasi_filesystem_types_error_code_t code;
        uint64_t want = len - done < READ_BYTES ? len - done : READ_BYTES;
        shim_results_begin(&results);
        bool ok = wasi_filesystem_types_method_descriptor_read(descriptor, want, offset + done, &got, &code);
        shim_results_end();
        if (!ok && code == WASI_FILESYSTEM_TYPES_ERROR_CODE_INTERRUPTED)
            continue;
        if (!ok)
            return -to_errno(code);
        if (got.f0.len == 0)
            return (int64_t)done;
        memcpy((uint8_t *)to + done, got.f0.ptr, got.f0.len);
        done += got.f0.len;
    }
    return (int64_t)len;
}

static int wasi_write(struct disk *d, int file, uint64_t offset, const void *from, size_t len)
{
    wasi_filesystem_types_borrow_descriptor_t descriptor = opened(file);
    (void)d;
    for (size_t done = 0; done < len;) {
        wasi_library_list_u8_t bytes = {(uint8_t *)from + done, len - done};
        wasi_filesystem_types_error_code_t code;
        uint64_t written;
        bool ok = wasi_filesystem_types_method_descriptor_write(descriptor, &bytes, offset + done, &written, &code);
        if (!ok && code == WASI_FILESYSTEM_TYPES_ERROR_CODE_INTERRUPTED)
            continue;
        if (!ok)
            return -to_errno(code);
        if (written == 0 || written > len - done)
            return -ENOSPC;
        done += (size_t)written;
    }
    return 0;
}

static int wasi_zero(struct disk *d, int file, uint64_t offset, uint64_t len)
{
    static uint8_t zeros[ZERO_BYTES]; /* not const, because it would be part of the component file */
    int error = 0;
    for (uint64_t done = 0; error == 0 && done < len; done += ZERO_BYTES)
        error = wasi_write(d, file, offset + done, zeros, len - done < ZERO_BYTES ? (size_t)(len - done) : ZERO_BYTES);
    return error;
}

static int wasi_allocate(struct disk *d, int file, uint64_t bytes)
{
    (void)d;
    (void)file;
    (void)bytes;
    return 0;
}

/* WASI has no such files. */
static void wasi_in_pages(struct disk *d, int file)
{
    (void)d;
    (void)opened(file);
}

static void wasi_write_out(struct disk *d, int file, uint64_t offset, uint64_t len)
{
    (void)d;
    (void)file;
    (void)offset;
    (void)len;
}

static int wasi_sync(struct disk *d, int file)
{
    wasi_filesystem_types_error_code_t code;
    (void)d;
    return outcome(wasi_filesystem_types_method_descriptor_sync(opened(file), &code), code);
}

static int wasi_sync_data(struct disk *d, int file)
{
    wasi_filesystem_types_error_code_t code;
    (void)d;
    return outcome(wasi_filesystem_types_method_descriptor_sync_data(opened(file), &code), code);
}

/* ---- Names ---- */

static int64_t wasi_size(struct disk *d, const char *path)
{
    wasi_filesystem_types_descriptor_stat_t stat;
    int error;
    (void)d;
    return stat_at(path, WASI_FILESYSTEM_TYPES_PATH_FLAGS_SYMLINK_FOLLOW, &stat, &error) ? (int64_t)stat.size : error;
}

static int wasi_rename(struct disk *d, const char *from, const char *to)
{
    wasi_filesystem_types_borrow_descriptor_t root;
    wasi_filesystem_types_error_code_t code = WASI_FILESYSTEM_TYPES_ERROR_CODE_NO_ENTRY;
    wasi_library_string_t old_name = text_of(from), new_name = text_of(to);
    (void)d;
    bool ok = find_root(&root) && wasi_filesystem_types_method_descriptor_rename_at(root, &old_name, root, &new_name, &code);
    return outcome(ok, code);
}

static int open_folder(const char *path, wasi_filesystem_types_own_descriptor_t *out)
{
    return open_at(path, WASI_FILESYSTEM_TYPES_PATH_FLAGS_SYMLINK_FOLLOW, WASI_FILESYSTEM_TYPES_OPEN_FLAGS_DIRECTORY,
                   WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_READ, out);
}

static int list_entries(wasi_filesystem_types_own_directory_entry_stream_t stream,
                        void (*each)(void *context, const char *name), void *context)
{
    for (;;) {
        wasi_filesystem_types_option_directory_entry_t entry;
        wasi_filesystem_types_error_code_t code;
        char name[256];
        shim_results_begin(&results);
        bool ok = wasi_filesystem_types_method_directory_entry_stream_read_directory_entry(
            wasi_filesystem_types_borrow_directory_entry_stream(stream), &entry, &code);
        shim_results_end();
        if (!ok || !entry.is_some)
            return outcome(ok, code);
        snprintf(name, sizeof name, "%.*s", (int)entry.val.name.len, (const char *)entry.val.name.ptr);
        each(context, name);
    }
}

static int wasi_list(struct disk *d, const char *folder, void (*each)(void *context, const char *name), void *context)
{
    wasi_filesystem_types_own_descriptor_t opened_folder;
    wasi_filesystem_types_own_directory_entry_stream_t stream;
    wasi_filesystem_types_error_code_t code;
    (void)d;
    int error = open_folder(folder, &opened_folder);
    if (error != 0)
        return error;
    bool ok = wasi_filesystem_types_method_descriptor_read_directory(wasi_filesystem_types_borrow_descriptor(opened_folder),
                                                                     &stream, &code);
    error = ok ? list_entries(stream, each, context) : outcome(ok, code);
    if (ok)
        wasi_filesystem_types_directory_entry_stream_drop_own(stream);
    wasi_filesystem_types_descriptor_drop_own(opened_folder);
    return error;
}

static int wasi_make_folder(struct disk *d, const char *path)
{
    wasi_filesystem_types_borrow_descriptor_t root;
    wasi_filesystem_types_error_code_t code = WASI_FILESYSTEM_TYPES_ERROR_CODE_NO_ENTRY;
    wasi_library_string_t name = text_of(path);
    (void)d;
    bool ok = find_root(&root) && wasi_filesystem_types_method_descriptor_create_directory_at(root, &name, &code);
    return outcome(ok, code);
}

/* Whether an error says that a host cannot do such a thing, and not that it failed. */
static bool is_refusal(int error)
{
    return error == -ENOTSUP || error == -EINVAL || error == -EBADF || error == -EISDIR || error == -EPERM ||
           error == -EACCES;
}

static int wasi_sync_folder(struct disk *d, const char *path)
{
    wasi_filesystem_types_own_descriptor_t folder;
    wasi_filesystem_types_error_code_t code;
    (void)d;
    int error = open_folder(path, &folder);
    if (error == 0) {
        error = outcome(wasi_filesystem_types_method_descriptor_sync(wasi_filesystem_types_borrow_descriptor(folder), &code),
                        code);
        wasi_filesystem_types_descriptor_drop_own(folder);
    }
    wasi.folder_synced = wasi.folder_synced || error == 0;
    if (wasi.folder_synced || !is_refusal(error))
        return error;
    wasi.folder_not_synced = true;
    return 0;
}

bool disk_wasi_syncs_folders(void) { return !wasi.folder_not_synced; }

/* ---- The process and the machine ---- */

static int wasi_lock(struct disk *d, const char *path, char *holder, size_t size)
{
    (void)d;
    (void)path;
    (void)holder;
    (void)size;
    return -ENOTSUP;
}

static void wasi_unlock(struct disk *d, int lock)
{
    (void)d;
    (void)lock;
}

static uint64_t wasi_now(struct disk *d)
{
    (void)d;
    return wasi_clocks_monotonic_clock_now() / 1000;
}

static void wasi_pause(struct disk *d, uint64_t duration)
{
    (void)d;
    wasi_io_poll_own_pollable_t over = wasi_clocks_monotonic_clock_subscribe_duration(duration * 1000);
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(over));
    wasi_io_poll_pollable_drop_own(over);
}

static bool wasi_random(struct disk *d, void *to, size_t len)
{
    wasi_library_list_u8_t bytes;
    (void)d;
    shim_results_begin(&results);
    wasi_random_random_get_random_bytes(len, &bytes);
    shim_results_end();
    if (bytes.len == len)
        memcpy(to, bytes.ptr, len);
    return bytes.len == len;
}

static void wasi_boot_id(struct disk *d, char id[DISK_BOOT_ID_SIZE])
{
    (void)d;
    snprintf(id, DISK_BOOT_ID_SIZE, "unknown");
}

struct disk *disk_wasi(void)
{
    static const struct disk_operations operations = {
        .open = wasi_open,
        .close = wasi_close,
        .read = wasi_read,
        .write = wasi_write,
        .zero = wasi_zero,
        .allocate = wasi_allocate,
        .in_pages = wasi_in_pages,
        .write_out = wasi_write_out,
        .sync = wasi_sync,
        .sync_data = wasi_sync_data,
        .size = wasi_size,
        .rename = wasi_rename,
        .remove = wasi_remove,
        .list = wasi_list,
        .make_folder = wasi_make_folder,
        .sync_folder = wasi_sync_folder,
        .lock = wasi_lock,
        .unlock = wasi_unlock,
        .now = wasi_now,
        .pause = wasi_pause,
        .random = wasi_random,
        .boot_id = wasi_boot_id,
    };
    static struct disk disk = {.operations = &operations};
    return &disk;
}
