#include "io/problem.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/runners/ports.h"

/* What core calls by its own names. */
_Static_assert(CONTROL_FAIL_DATA == (int)EXIT_DATA, "exit codes");
_Static_assert(CONTROL_FAIL_DIVERGED == (int)EXIT_DIVERGED, "exit codes");

bool problem_set(struct problem *p, int exit_code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    p->exit_code = exit_code;
    vsnprintf(p->text, sizeof p->text, format, args);
    va_end(args);
    return false;
}
