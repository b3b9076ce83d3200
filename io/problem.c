#include "io/problem.h"

#include <stdarg.h>
#include <stdio.h>

bool problem_set(struct problem *p, int exit_code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    p->exit_code = exit_code;
    vsnprintf(p->text, sizeof p->text, format, args);
    va_end(args);
    return false;
}
