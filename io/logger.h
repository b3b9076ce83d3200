/* Log lines: readable on a terminal, otherwise one JSON object for each line; to standard error. Safe from any thread.
 * Logging never waits for the reader of the log: lines that come too fast, or too many of one kind, are counted instead
 * (host/logger.c). */
#ifndef SYNOD_IO_LOGGER_H
#define SYNOD_IO_LOGGER_H

#include <stddef.h>
#include <stdint.h>

#include "core/runners/ports.h" /* enum log_level */

struct logger;

/* A logger for one node (0: the process itself) and everything up to `level`. */
struct logger *logger_new(uint32_t node, uint32_t level);
void logger_free(struct logger *l);

/* One line, printf-like; `part`, a literal, names the part that logs ("network", "journal", ...). */
void logger_log(struct logger *l, uint32_t level, const char *part, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
