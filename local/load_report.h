/* What the user of the load generator sees: progress while it runs, statistics at the end. */
#ifndef SYNOD_LOCAL_LOAD_REPORT_H
#define SYNOD_LOCAL_LOAD_REPORT_H

#include "load/load.h"

/* Progress goes to standard error: on a terminal one line that is rewritten, otherwise a line every few seconds. */
struct load_progress_line {
    uint64_t requests;
    bool terminal;
    bool shown;
    double shown_seconds;    /* when it was last shown */
    uint64_t shown_answered; /* and what it said */
};

void progress_begin(struct load_progress_line *line, uint64_t requests);
void progress_update(struct load_progress_line *line, const struct load_counts *counts, double seconds);
/* Removes the line from a terminal. */
void progress_end(struct load_progress_line *line);

/* Count, Min, Max, Mean, Median, P95, P99, P99.9 in milliseconds, throughput, errors and retries; of sessions, what has gone
 * wrong. */
void report_statistics(const struct load_result *result);

/* The same as one JSON object on standard output, and by how much the counters grew; NULL: that was not looked at. False:
 * out of memory. */
bool report_json(const struct load_options *options, const struct load_result *result, const uint64_t *counted);

/* Makes SIGINT and SIGTERM set *interrupted instead of ending the process. */
void catch_interrupts(void);
extern volatile int interrupted;

#endif
