/* Faults on demand, for tests and `synod-lab restarts`. DEBUG FAULT at a client port orders one. The part that it is for
 * breaks at its next call, if it is a part that asks (wit/faults.wit, components/faults/faults.c). */
#ifndef SYNOD_HOST_FAULTS_H
#define SYNOD_HOST_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

enum fault_kind { FAULT_NONE, FAULT_TRAP, FAULT_LOOP, FAULT_TAKE_MEMORY };

/* One node's. Zero: nothing is ordered. */
struct faults {
    bool asked;    /* some part has asked: the node is made of parts that break */
    uint64_t part; /* that is to break next; 0: none */
    uint64_t kind; /* enum fault_kind: how */
    uint64_t turn; /* the last part that was chosen in turn */
};

/* Orders a fault: `part` is a part's name, or "any" for one after the other of those that a leader calls; `kind` one of
 * "trap", "loop", "memory". Returns NULL, or what is wrong with it. */
const char *faults_order(struct faults *f, const char *part, const char *kind);

/* What the part of this number must do now (enum fault_kind). */
uint64_t faults_next(struct faults *f, uint64_t part);

#endif
