/* What can go wrong in a simulated world: the kinds of faults, what each must lead to, and how often each has happened. */
#ifndef SYNOD_SIM_FAULTS_H
#define SYNOD_SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

enum fault {
    /* network */
    FAULT_DROP,
    FAULT_DELAY,
    FAULT_REORDER,
    FAULT_DUPLICATE,
    FAULT_REPLAY,           /* a message comes once more, long afterwards, when ballots have moved on */
    FAULT_CUT_ONE_WAY,      /* a node is not heard, or does not hear */
    FAULT_CUT,              /* two groups that do not reach each other */
    FAULT_BRIDGE,           /* two groups, and one node that reaches both */
    FAULT_ISOLATED_LEADER,  /* the leader reaches no other node */
    FAULT_SIEVE,            /* two groups; only one kind of messages passes between them */
    FAULT_HOSTILE,          /* valid messages with absurd contents, in the name of any node */
    FAULT_HOSTILE_GREETING, /* a stranger says that it is a node, in a life that does not exist */
    FAULT_HALF_OPEN,        /* one side of a connection is gone and the other does not know */
    FAULT_STALLED_READER,   /* a node reads nothing for a while, then everything at once */
    FAULT_RESET,            /* a connection ends in the middle of a frame */
    FAULT_LASTING_CUT,      /* links are gone for good, in one direction or both, in any shape (sim/lasting.c) */
    FAULT_BLACK_HOLE,       /* links lose proposals for good, and nothing else */
    /* disk */
    FAULT_LOST_WRITES,       /* power fails: what was not synced is gone */
    FAULT_TORN_WRITE,        /* ... or a part of it is there */
    FAULT_REORDERED_WRITES,  /* ... or later writes are there and earlier ones are not */
    FAULT_MISDIRECTED_WRITE, /* a write lands elsewhere */
    FAULT_FLIPPED_BYTE,
    FAULT_READ_ERROR,
    FAULT_WRITE_ERROR,
    FAULT_FULL_DISK,
    FAULT_SLOW_DISK,
    FAULT_STALLED_DISK,
    FAULT_HUNG_DISK, /* a sync that does not return, or only after minutes */
    FAULT_FAILED_SYNC,
    FAULT_LOST_RENAME, /* power fails before the folder was synced */
    FAULT_LOST_DISK,   /* the folder is empty */
    FAULT_OLD_DISK,    /* an older copy of the folder is put back */
    /* clock */
    FAULT_DRIFT,
    FAULT_JUMP,
    FAULT_PAUSE, /* longer than any time-out */
    /* process */
    FAULT_CRASH, /* between any two effects of a turn */
    FAULT_RESTART_STORM,
    FAULT_LONG_PAUSE,   /* and the first turn afterwards still has the time from before */
    FAULT_RECONFIGURED, /* comes back with other settings */
    FAULT_REGOVERNED,   /* its file, or that of all nodes, has other governed settings when it restarts */
    /* component */
    FAULT_TRAP,
    FAULT_ENDLESS_LOOP,
    FAULT_MEMORY_LIMIT,
    FAULT_GARBAGE,     /* the component hands out meaningless bytes */
    FAULT_SPARE,       /* a spare takes over at once, while messages of the old instance are still on their way */
    FAULT_OTHER_STATE, /* from some slot on its state differs from that of the others */
    /* Later additions are at the end, so that what the seeds so far decide stays as it is. */
    FAULT_LASTING_HANG,  /* disk: no sync of one node returns for a long time, after all other faults (sim/lasting.c) */
    FAULT_MOVED_LEADER,  /* operator: leadership is moved to another node; no fault, but it happens among them */
    FAULT_DAMAGE,        /* network: a datagram has a wrong byte, is too short or too long, or an error comes in its place */
    FAULT_MEMBER_ADD,    /* operator: a node is added (sim/operators.c); no fault, but it happens among them */
    FAULT_MEMBER_REMOVE, /* ... or removed */
    FAULT_MEMBER_REPLACE, /* ... or begins anew with an empty disk, because the one that it had is gone */
    FAULT_SETTINGS,       /* ... or the cluster gets other settings */
    FAULT_WALL_CLOCK,     /* clock: a wall clock is set, forward or back */
    FAULT_REFUSED_DIALS,  /* network: connections of a node end, and for a while it refuses to be dialled, though it lives */
    FAULTS
};

/* What must become of a node that has a fault. */
enum required {
    FAULT_TOLERATED, /* nothing that a client could notice, except time */
    FAULT_REFUSED,   /* the node stops, or does not start, and says why; the others go on */
    FAULT_OUTSIDE,   /* no promise covers it: it happens only where it can do no harm, or is counted separately */
};

struct fault_kind {
    const char *name;    /* as given to --only and --without */
    const char *subject; /* network, disk, clock, process, component */
    uint8_t required;    /* enum required */
    const char *at_once; /* on how many nodes */
    const char *outcome; /* in words */
};

/* By enum fault. */
extern const struct fault_kind fault_kinds[FAULTS];

/* FAULTS when no kind has this name. */
enum fault fault_find(const char *name);

/* The faults of one world: which are on, and what happened. */
struct faults {
    uint32_t rate[FAULTS]; /* per million opportunities (what an opportunity is depends on the kind); 0: off */
    uint64_t fired[FAULTS];
};

static inline void fault_fired(struct faults *f, enum fault kind) { f->fired[kind]++; }

#endif
