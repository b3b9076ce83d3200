/* One clear error: a line that says what and where, and the exit code it deserves. */
#ifndef SYNOD_IO_PROBLEM_H
#define SYNOD_IO_PROBLEM_H

#include <stdbool.h>

/* Exit codes of the command (documented in --help and docs/configuration.md). */
enum exit_code {
    EXIT_OK = 0,
    EXIT_TROUBLE = 1,      /* anything not listed */
    EXIT_BAD_INPUT = 2,    /* command line, configuration, port in use, component */
    EXIT_DATA = 3,         /* data folder: empty, another node's, locked, corrupt */
    EXIT_SYNC_FAILED = 4,  /* a sync failed: final, no supervisor restarts it (rule 14) */
    EXIT_CHECK_FAILED = 5, /* demo or bench: the result is not what it must be */
    EXIT_DIVERGED = 6,     /* the node's state is not that of a majority: final, no supervisor restarts it (rule 13) */
};

struct problem {
    int exit_code;
    char text[1024];
};

/* Fills in `p`, printf-like. Returns false, so that a failing function can return it. */
bool problem_set(struct problem *p, int exit_code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
