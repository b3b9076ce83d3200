/* The trace of a simulated world: everything that nodes do and that happens to them. It is one hash (equal runs have equal
 * hashes, natively or as components), lines in a file if wanted, and the last events for the report of a failure. */
#ifndef SYNOD_SIM_TRACE_H
#define SYNOD_SIM_TRACE_H

#include <stdint.h>
#include <stdio.h>

enum trace_kind {
    TRACE_TURN,      /* of a node, at its own time a */
    TRACE_SEND,      /* to the set a, a message of kind b, body checksum c */
    TRACE_RECEIVE,   /* a bodies, checksum c of all */
    TRACE_BATCH,     /* of a commands from clients, with token b */
    TRACE_REPLY,     /* outcome a to token b, checksum c of the replies */
    TRACE_APPEND,    /* record of kind a, lsn b, checksum c */
    TRACE_DURABLE,   /* up to lsn b */
    TRACE_READ,      /* records from lsn b on */
    TRACE_LEADER,    /* a leads, in round b */
    TRACE_STATE,     /* before slot b, hash c */
    TRACE_START,     /* incarnation a */
    TRACE_RECOVERED, /* up to lsn b */
    TRACE_STOP,      /* a: why (enum fault, or TRACE_NO_FAULT) */
    TRACE_FAULT,     /* a (enum fault) */
    TRACE_HEAL,
    TRACE_SNAPSHOT,      /* asked or told: kind a, id b, checksum c */
    TRACE_TRUNCATE,      /* needs no record below lsn b */
    TRACE_CONFIGURATION, /* given (0), chosen (1) or settled (2): a; slot b, checksum c of the text */
    TRACE_WATCH,         /* what it has executed is to be told: b (core/formats/notice.h) */
    TRACE_NOTICES,       /* it tells: checksum c */
    TRACE_OPERATOR,      /* wants a (enum fault); b: asks (0), is answered that it is done (1) or why not (2) */
    TRACE_KINDS
};

struct trace_event {
    uint64_t at; /* the world's time, microseconds */
    uint32_t node;
    uint32_t kind; /* enum trace_kind */
    uint64_t a, b, c;
};

enum {
    TRACE_LAST = 40,
    TRACE_NO_FAULT = 64, /* beyond all faults, however many there are */
};

struct trace {
    uint64_t hash;
    uint64_t count;
    struct trace_event last[TRACE_LAST];
    FILE *out; /* every event is also written here; NULL: none is */
};

void trace_add(struct trace *t, const struct trace_event *event);

/* Writes the last events, oldest first. */
void trace_print_last(const struct trace *t, FILE *out);

#endif
