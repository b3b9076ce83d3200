#include "core/paxos/failure_detector.h"

#include "core/base/memory.h"

struct failure_detector {
    uint32_t self;
    node_set watched;
    uint64_t suspect_timeout, dead_timeout;
    uint64_t heard_at[NODE_ID_MAX + 1];
};

struct failure_detector *failure_detector_new(const struct node_config *config, uint64_t now)
{
    struct failure_detector *f = memory_new(1, sizeof *f);
    f->self = config->node;
    f->watched = config->proposers;
    f->suspect_timeout = config->suspect_timeout;
    f->dead_timeout = config->dead_timeout;
    for (uint32_t n = 0; n <= NODE_ID_MAX; n++)
        f->heard_at[n] = now;
    return f;
}

void failure_detector_free(struct failure_detector *f) { free(f); }

void failure_detector_heard(struct failure_detector *f, uint32_t node, uint64_t now)
{
    if (node_set_has(f->watched, node) && f->heard_at[node] < now)
        f->heard_at[node] = now;
}

struct health failure_detector_check(struct failure_detector *f, uint64_t now)
{
    struct health health = {0};
    for (node_set rest = f->watched; rest != 0; rest &= rest - 1) {
        uint32_t node = node_set_first(rest);
        uint64_t silence = now > f->heard_at[node] ? now - f->heard_at[node] : 0;
        if (node == f->self || silence < f->suspect_timeout)
            health.alive |= node_set_of(node);
        else if (silence < f->dead_timeout)
            health.suspected |= node_set_of(node);
        else
            health.dead |= node_set_of(node);
    }
    return health;
}
