/* What clients did and were told, and the judge of it (Linearizability).
 *
 * Operations are on single keys. The judge looks at each key's history alone (Herlihy and Wing 1990, section 3.4: locality),
 * by the search of Wing and Gong (1993) with the memory of Lowe (2017): is there an order of the operations, each between
 * its call and its return, in which a single store gives the answers that were given? */
#ifndef SYNOD_SIM_HISTORY_H
#define SYNOD_SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum operation_kind {
    OPERATION_GET,    /* answers the value, or nil */
    OPERATION_SET,    /* value */
    OPERATION_INCR,   /* answers an integer, the value of a key that is only incremented, deleted and read */
    OPERATION_APPEND, /* value; answers the length */
    OPERATION_DEL,    /* answers 1 or 0 */
    OPERATION_GETSET, /* value; answers the previous value, or nil */
    OPERATION_OPEN,   /* a session; answers its id. On no key (0) */
    /* On leases, keys that nothing else but GET and DEL is done with. */
    OPERATION_LEASE,   /* value, until `ms` are over */
    OPERATION_PTTL,    /* answers how many are left; -1: it does not end; -2: nothing is there */
    OPERATION_PERSIST, /* answers 1 or 0 */
    OPERATION_KINDS
};

static inline bool operation_reads(uint8_t kind) { return kind == OPERATION_GET || kind == OPERATION_PTTL; }
/* Whether it writes its word, and answers OK. */
static inline bool operation_sets(uint8_t kind) { return kind == OPERATION_SET || kind == OPERATION_LEASE; }

enum operation_outcome {
    OPERATION_PENDING, /* no answer (yet): it may have happened, or may happen later */
    OPERATION_OK,      /* happened, with this answer */
    OPERATION_REFUSED, /* never happened */
    OPERATION_UNKNOWN, /* as pending, but the client knows that no answer will come */
};

struct operation {
    uint32_t client;
    uint32_t key;     /* written "k<key>", from 1 on */
    uint64_t session; /* the one that it is in, and its number there; 0: in none */
    uint64_t number;
    uint8_t kind;      /* enum operation_kind */
    uint8_t outcome;   /* enum operation_outcome */
    bool nil;          /* OK: the answer was nil */
    int64_t integer;   /* OK: the answer, for kinds that answer an integer */
    char value[24];    /* SET, APPEND, GETSET, LEASE: what was written (a word of letters and digits); otherwise "" */
    uint32_t ms;       /* LEASE */
    char *answer;      /* OK: of GET and GETSET, when not nil; belongs to the history */
    size_t answer_len; /* it may contain any bytes, though only words were written */
    uint64_t call_us;
    uint64_t return_us; /* UINT64_MAX while pending or unknown */
};

struct history;

struct history *history_new(void);
void history_free(struct history *h);

/* A client calls: copies client, key, kind, value, ms, session, number and call_us of `operation`. Returns its number,
 * counted from 0. */
size_t history_call(struct history *h, const struct operation *operation);
/* The answer to operation `number`: `answer` (`len` bytes) is copied; NULL is nil. */
void history_return(struct history *h, size_t number, enum operation_outcome outcome, int64_t integer, const char *answer,
                    size_t len, uint64_t now_us);

size_t history_count(const struct history *h);
const struct operation *history_get(const struct history *h, size_t number);

/* False: no order explains the answers of some key; `why` names the key and shows which of its operations could not be
 * placed. A key whose search exceeds `steps_max` steps is counted in `*undecided` and left out. Leases are left out, too. */
bool history_check(const struct history *h, uint64_t steps_max, size_t *undecided, char *why, size_t why_size);
/* Judges the leases (sim/leases.h): false with `why`. */
struct lease_clocks {
    uint64_t drift_max; /* that clocks may run fast, per million */
    uint64_t leapt_us;  /* that clocks have leapt forward, in all */
};
bool history_check_leases(const struct history *h, struct lease_clocks clocks, char *why, size_t why_size);

/* One JSON object and line for each operation: client, kind, key, value, call, return (null: none), outcome, result. */
void history_export(const struct history *h, FILE *out);

#endif
