/* What the host's log has beyond io/logger.h: its thread. */
#ifndef SYNOD_HOST_LOGGER_H
#define SYNOD_HOST_LOGGER_H

#include "io/logger.h"
#include "io/problem.h"

/* Starts the thread that writes the lines of all loggers of this process, once; it stays until the process ends. False:
 * there is no thread to be had. Not before a fork of which the child logs. */
bool logger_start(struct problem *problem);

/* How long the end of a process may be put off for its last lines: when all is well otherwise; when it is not. */
enum { FLUSH_MS = 2000, LAST_WORDS_MS = 100 };

/* Waits until all lines so far are written, but for `timeout_ms` at most: the reader of the log may have stopped. Before the
 * process ends. */
void logger_flush(uint32_t timeout_ms);

#endif
