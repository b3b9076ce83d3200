/* One process of the load generator, beneath load/load.c; or one instance of the client component. */
#ifndef SYNOD_LOAD_LOAD_WORKER_H
#define SYNOD_LOAD_LOAD_WORKER_H

#include <stdatomic.h>

#include "load/load.h"
#include "load/load_sockets.h"

enum { LOAD_PROCESSES_MAX = 256 };

/* What one process tells the parent. Only that process writes here. Counters are read while it runs, the rest when it has
 * ended. */
struct load_share {
    _Alignas(128) atomic_uint_fast64_t answered;
    atomic_uint_fast64_t errors, unknown, retried, moved, no_session, session_passed, session_reply;
    uint64_t first_sent_us; /* 0: nothing sent */
    uint64_t last_answer_us;
    atomic_uint_fast64_t recovered_mark; /* the last mark_us after which there was an answer on a new connection... */
    atomic_uint_fast64_t recovered_us;   /* ... and when */
    double cpu_seconds;
    char first_error[160];
    char problem[256]; /* why it gave up; empty: it did not */
    bool finished;
    struct histogram latency;
};

/* Memory that all processes share. */
struct load_shared {
    _Alignas(128) atomic_uint_fast64_t next;    /* the next request's number */
    _Alignas(128) atomic_uint_fast64_t mark_us; /* time of load_mark; 0: none */
    atomic_bool stop;
    struct load_share shares[];
};

/* Runs `connections` connections until no request is left. The result is in `share` (all but the processor time). There is
 * an address for each of the options' targets. */
void load_worker_run(const struct load_options *options, const struct load_address *addresses, uint32_t connections,
                     struct load_shared *shared, struct load_share *share);

/* The window of each connection's session: some pipelines long, so that one request which is refused stops the others late,
 * but all sessions together fit where they are kept. 0: they do not, not even with one pipeline each. */
uint32_t load_session_window(const struct load_options *options);

#endif
