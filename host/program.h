/* A program with verbs: a table, from which the dispatch and the help text come. */
#ifndef SYNOD_HOST_PROGRAM_H
#define SYNOD_HOST_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/* `<program> <name> ...` calls run(argc, argv) with argv[0] the verb. It returns the exit code (enum exit_code of
 * io/problem.h) and answers --help. */
struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *text;
};

struct program {
    const char *name;        /* "synod" */
    const char *description; /* one line */
    const struct verb *verbs;
    size_t verb_count;
    const char *exit_codes; /* lines "  0  all went well\n" */
};

/* What every program of this project does first: it opens the standard streams that its parent has closed, and has a file
 * that may not grow (ulimit -f) be an error of the write. */
void program_prepare(void);

/* The folder of the running executable, in which the other programs are, too. False: it cannot be told, or is too long. */
bool program_folder(char *out, size_t size);

/* Prepares, then runs the verb that the arguments name; or prints help, or one line of error. Returns the exit code. */
int program_run(const struct program *p, int argc, char **argv);

#endif
