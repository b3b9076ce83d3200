/* What remains of WASI preview 1 in the C library when a part formats text. printf and its family can say on standard
 * error that a number cannot be printed, and with that stream come functions that import preview 1, which a component
 * cannot. They are not called in normal operation. The C library's own are all in one object, so the linker complains about
 * duplicates as soon as something needs another of them. */
#include <wasi/api.h>

__wasi_errno_t __wasi_fd_close(__wasi_fd_t fd)
{
    (void)fd;
    __builtin_trap();
}

__wasi_errno_t __wasi_fd_seek(__wasi_fd_t fd, __wasi_filedelta_t offset, __wasi_whence_t whence, __wasi_filesize_t *position)
{
    (void)fd;
    (void)offset;
    (void)whence;
    (void)position;
    __builtin_trap();
}

__wasi_errno_t __wasi_fd_write(__wasi_fd_t fd, const __wasi_ciovec_t *pieces, size_t count, __wasi_size_t *written)
{
    (void)fd;
    (void)pieces;
    (void)count;
    (void)written;
    __builtin_trap();
}
