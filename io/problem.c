#include "io/problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/runners/ports.h"

/* The names of core for the same codes. */
_Static_assert(CONTROL_FAIL_DATA == (int)EXIT_DATA, "exit codes");
_Static_assert(CONTROL_FAIL_DIVERGED == (int)EXIT_DIVERGED, "exit codes");

bool problem_set(struct problem *p, int exit_code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    p->exit_code = exit_code;
    p->no_room = false;
    vsnprintf(p->text, sizeof p->text, format, args);
    va_end(args);
    return false;
}

/* No space, no quota, longer than the process or the file system allows; or no descriptors, of the process or of the
 * machine. */
static bool says_no_room(int64_t error)
{
    return error == -ENOSPC || error == -EDQUOT || error == -EFBIG || error == -EMFILE || error == -ENFILE;
}

/* Two errors for which the disk has a meaning of its own (io/disk.h). */
static const char *words_of(int64_t error)
{
    return error == -ELOOP   ? "a link, and links are not followed"
           : error == -ENXIO ? "not a regular file"
                             : strerror((int)-error);
}

bool problem_set_error(struct problem *p, int exit_code, int64_t error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    p->no_room = says_no_room(error);
    p->exit_code = p->no_room ? EXIT_TROUBLE : exit_code;
    int len = vsnprintf(p->text, sizeof p->text, format, args);
    va_end(args);
    if (len >= 0 && (size_t)len < sizeof p->text)
        snprintf(p->text + len, sizeof p->text - (size_t)len, "%s", words_of(error));
    return false;
}

bool problem_set_folder_sync(struct problem *p, const char *folder, int64_t error)
{
    if (error == -EMFILE || error == -ENFILE)
        return problem_set_error(p, EXIT_TROUBLE, error, "%s: cannot be synced: ", folder);
    return problem_set(p, EXIT_SYNC_FAILED, "%s: cannot be synced: %s", folder, strerror((int)-error));
}

bool problem_check(struct problem *p, const char *path, int64_t error)
{
    return error == 0 || problem_set_error(p, EXIT_TROUBLE, error, "%s: ", path);
}
