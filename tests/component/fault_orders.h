/* What a test of the host asks of fault_guest.c: `batches_in_flight` of the configuration. */
#ifndef SYNOD_TESTS_COMPONENT_FAULT_ORDERS_H
#define SYNOD_TESTS_COMPONENT_FAULT_ORDERS_H

enum fault_order {
    BREAK_NONE,
    BREAK_TRAP = 1,       /* in every turn */
    BREAK_TRAP_AT_START,  /* before the first */
    BREAK_LOOP,           /* in the third turn, for ever */
    BREAK_LONG,           /* the third turn takes long, but ends */
    BREAK_SYNC_FAILED,    /* a part says that a sync failed, and traps */
    BREAK_DIVERGED,       /* a part says that the state is another, and traps */
    BREAK_DIVERGED_ALIVE, /* the same without a trap */
    BREAK_STATUS,         /* in status */
    BREAK_THREE_LIVES,    /* each of the first three traps in its third turn; the next does what it is told */
    /* Each life appends a record in its first turn, and another one in its second, which traps. The fourth says that the
     * state is another, unless it recovers the three first ones. */
    BREAK_APPEND,
};

#endif
