#include "host/faults.h"

#include <stddef.h>
#include <strings.h>

/* By number, from 1: the order of the rows in components/CMakeLists.txt. */
static const char *const parts[] = {
    NULL,          "proposer", "acceptor",   "learner",        "failure-detector", "leader-detector-sticky",
    NULL,          "kv-store", "serializer", "proposer-agent", "acceptor-agent",   "learner-agent",
    "coordinator", "runner",
};
static const char *const kinds[] = {[FAULT_TRAP] = "trap", [FAULT_LOOP] = "loop", [FAULT_TAKE_MEMORY] = "memory"};
enum {
    LEADER_DETECTOR = 5
}; /* called only while another node leads, so "any" leaves it out: it may never break in a leader */
enum { PARTS = sizeof parts / sizeof parts[0], KINDS = sizeof kinds / sizeof kinds[0] };

/* The index of a name in a table, 0 when it is not there. */
static uint64_t find(const char *const *table, size_t count, const char *name)
{
    for (size_t i = 1; i < count; i++)
        if (table[i] != NULL && strcasecmp(table[i], name) == 0)
            return i;
    return 0;
}

const char *faults_order(struct faults *f, const char *part, const char *kind)
{
    uint64_t number = find(parts, PARTS, part), how = find(kinds, KINDS, kind);
    if (!f->asked)
        return "this node's parts are not made to break: run the nodes of faulty/nodes";
    if (how == FAULT_NONE)
        return "a fault is one of: trap, loop, memory";
    if (strcasecmp(part, "any") == 0) {
        do
            f->turn = f->turn % (PARTS - 1) + 1;
        while (parts[f->turn] == NULL || f->turn == LEADER_DETECTOR);
        number = f->turn;
    }
    if (number == 0)
        return "there is no part of that name";
    f->part = number;
    f->kind = how;
    return NULL;
}

uint64_t faults_next(struct faults *f, uint64_t part)
{
    f->asked = true;
    if (f->part != part || part == 0)
        return FAULT_NONE;
    f->part = 0;
    return f->kind;
}
