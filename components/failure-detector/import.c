/* core/paxos/failure_detector.h by the import of `interface failure-detector`: one instance, which has the state. */
#include "core/paxos/failure_detector.h"

#include "components/types.h"

SAME_LAYOUT(struct health, synod_paxos_failure_detector_health_t, alive, suspected, dead);

struct failure_detector {
    bool unused;
};

static struct failure_detector imported;

struct failure_detector *failure_detector_new(const struct node_config *config, uint64_t now)
{
    synod_paxos_failure_detector_start((synod_paxos_failure_detector_node_config_t *)config, now);
    return &imported;
}

void failure_detector_free(struct failure_detector *f) { (void)f; }

void failure_detector_heard(struct failure_detector *f, uint32_t node, uint64_t now)
{
    (void)f;
    synod_paxos_failure_detector_heard(node, now);
}

struct health failure_detector_check(struct failure_detector *f, uint64_t now)
{
    struct health health;
    (void)f;
    synod_paxos_failure_detector_check(now, (synod_paxos_failure_detector_health_t *)&health);
    return health;
}
