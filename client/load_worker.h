/* One process of the load generator; internal to client/load.c. */
#ifndef SYNOD_CLIENT_LOAD_WORKER_H
#define SYNOD_CLIENT_LOAD_WORKER_H

#include <netinet/in.h>
#include <stdatomic.h>

#include "client/load.h"

enum { LOAD_PROCESSES_MAX = 256 };

/* An address that has been looked up. */
struct load_address {
    struct sockaddr_storage address;
    socklen_t size;
};

/* What one process tells the parent. It alone writes here; the counters are read while it runs, the rest when it has ended. */
struct load_share {
    _Alignas(128) atomic_uint_fast64_t answered;
    atomic_uint_fast64_t errors, unknown, retried, moved;
    uint64_t first_sent_us; /* 0: nothing sent */
    uint64_t last_answer_us;
    uint64_t recovered_us;
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

/* Monotonic microseconds. */
uint64_t load_now_us(void);

/* Looks up a host. False: `error` says what is wrong. */
bool load_resolve(const char *host, uint16_t port, struct load_address *out, char *error, size_t error_size);

/* Runs `connections` connections until no request is left; the result is in `share`. */
void load_worker_run(const struct load_options *options, const struct load_address *addresses, size_t address_count,
                     uint32_t connections, struct load_shared *shared, struct load_share *share);

#endif
