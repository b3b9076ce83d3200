/* The load generator: a number of connections in a number of processes, each connection with a fixed number of requests
 * outstanding (a closed loop), until all requests are answered.
 *
 * What happens to a request that is not simply answered:
 *   -MOVED                    not executed: sent again to the node it names; counted as moved
 *   -CLUSTERDOWN, -BUSY, ...  not executed: sent again after a pause; counted as retried
 *   -UNKNOWN, connection lost after it was sent, no answer in request_timeout_ms
 *                             may have been executed: with `resend` sent again and counted as retried, otherwise given up
 *                             and counted as unknown
 *   -NOSESSION, -SESSIONPASSED, -SESSIONREPLY
 *                             final: each counted by itself
 *   any other error           final: counted as an error
 *
 * With `sessions` each connection has a session (docs/sessions.md) that outlives it: a connection that takes the place of
 * one that was lost goes on with its session. What may have been executed is sent again, with its number, and is executed
 * once. When a session was forgotten, requests on their way in it end with -NOSESSION, and the next ones are in another. A
 * connection that has no request left closes its session.
 *
 * A request's latency runs from when it was first sent (mode oneshot: from when its connection was begun). */
#ifndef SYNOD_LOAD_LOAD_H
#define SYNOD_LOAD_LOAD_H

#include "core/formats/session_call.h"
#include "load/histogram.h"
#include "load/protocol.h"

enum { LOAD_SESSION_PIPELINE_MAX = SESSION_WINDOW_MAX };

struct load_target {
    char host[256];
    uint16_t port;
};

struct load_options;
struct load_address;
struct load_shared;
struct load_share;

/* Does the work of process `number` of the load generator, with so many of the connections: load/load_worker.h. */
typedef void load_runner(const struct load_options *options, const struct load_address *addresses, uint32_t number,
                         uint32_t connections, struct load_shared *shared, struct load_share *share);

struct load_options {
    const struct load_target *targets; /* where to connect: first the first one, the others when it fails */
    size_t target_count;
    uint32_t processes;
    uint32_t connections; /* in all processes together */
    uint32_t pipeline;    /* requests outstanding on a connection */
    bool oneshot;         /* a connection for each request; pipeline must then be 1 */
    bool readonly;        /* reads are answered by the node that is asked, whichever leads */
    bool resend;          /* send a request of unknown outcome again (it must be idempotent) */
    bool sessions;        /* requests are in sessions; the pipeline must then be LOAD_SESSION_PIPELINE_MAX at most */
    uint8_t protocol;     /* enum load_protocol */
    uint8_t command;      /* enum load_command */
    uint64_t requests;
    uint64_t keyspace; /* 0: each request has a key of its own */
    size_t value_size;
    uint32_t request_timeout_ms;
    uint32_t stall_timeout_ms;     /* a process that gets no answer for so long gives up */
    uint32_t progress_interval_ms; /* between calls of on_progress */
    load_runner *run;              /* NULL: the native client */
};

struct load_counts {
    uint64_t answered; /* with anything but an error */
    uint64_t errors;
    uint64_t unknown;
    uint64_t retried;
    uint64_t moved;
    uint64_t no_session;     /* -NOSESSION: not executed now; if sent before, perhaps then */
    uint64_t session_passed; /* -SESSIONPASSED: the same */
    uint64_t session_reply;  /* -SESSIONREPLY: executed */
};

struct load_result {
    struct load_counts counts;
    struct histogram latency; /* microseconds, of the answered ones */
    double seconds;           /* from the first request sent to the last answer */
    double cpu_seconds;       /* used by the generator's own processes */
    uint32_t recoveries;      /* answers on connections made after a load_mark: the first after each */
    uint64_t recovery_us;     /* the longest time from a load_mark to that answer; 0: there was none */
    char first_error[160];    /* text of the first error answer, or empty */
    bool stopped;             /* on_progress asked to stop */
};

/* Requests answered in a second. */
double load_throughput(const struct load_result *result);

struct load;

/* Called from load_run about every progress_interval_ms. False: stop now. */
typedef bool (*load_progress)(void *context, struct load *load, const struct load_counts *counts, double seconds);

/* Runs the load; blocks until it is done, stopped or given up. The caller's thread must be the only one of its process (it
 * forks). False: nothing could be run, or a process gave up or died; `error` says why, and `result` has what there is. */
bool load_run(const struct load_options *options, load_progress on_progress, void *context, struct load_result *result,
              char *error, size_t error_size);

/* To be called within on_progress: notes that a fault was just caused, for recovery_us. */
void load_mark(struct load *load);
/* Whether there was an answer on a connection made after the last load_mark. */
bool load_recovered(const struct load *load);

/* Default values for everything but targets, processes, connections and requests. */
void load_defaults(struct load_options *options);

#endif
