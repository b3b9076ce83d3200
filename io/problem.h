/* One clear error: a line that says what is wrong and where, and the exit code for it. */
#ifndef SYNOD_IO_PROBLEM_H
#define SYNOD_IO_PROBLEM_H

#include <stdbool.h>
#include <stdint.h>

/* Exit codes of the command (documented in --help and docs/configuration.md). */
enum exit_code {
    EXIT_OK = 0,
    EXIT_TROUBLE = 1,      /* all other troubles */
    EXIT_BAD_INPUT = 2,    /* command line, configuration, port in use, component */
    EXIT_DATA = 3,         /* data folder: empty, another node's, locked, corrupt */
    EXIT_SYNC_FAILED = 4,  /* a sync failed: final, no supervisor restarts it (P14) */
    EXIT_CHECK_FAILED = 5, /* demo or bench: the result is not what it must be */
    EXIT_DIVERGED = 6,     /* the node's state is not that of a majority: final, no supervisor restarts it (P13) */
    EXIT_REMOVED = 7,      /* the node was removed, or its disk was replaced: final, no supervisor restarts it (P11) */
};

struct problem {
    int exit_code;
    bool no_room; /* it may pass: see problem_set_error */
    char text[1024];
};

/* Fills in `p`, printf-like. Returns false, so that a failing function can return it. */
bool problem_set(struct problem *p, int exit_code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for a call that failed with `error`, a negative errno, whose text is added. If there was no room or no
 * descriptor, `no_room` is set and the exit code is EXIT_TROUBLE: nothing is lost, and the call may be tried again. Not for
 * a sync of data that counts already: every error of that is final (P14). */
bool problem_set_error(struct problem *p, int exit_code, int64_t error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for a sync of `folder`. That needs a descriptor; without one nothing was begun, and it may be tried again. Every
 * other error is final. */
bool problem_set_folder_sync(struct problem *p, const char *folder, int64_t error);

/* Whether a call about the file `path`, which does not count yet, went well: `error` is 0. Otherwise it is a negative errno,
 * and is told as by problem_set_error. */
bool problem_check(struct problem *p, const char *path, int64_t error);

#endif
