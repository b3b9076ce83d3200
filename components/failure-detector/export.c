/* `interface failure-detector` by core/paxos/failure_detector.h. */
#include "core/paxos/failure_detector.h"

#include "components/types.h"
#include "core/base/assert.h"

SAME_LAYOUT(struct health, exports_synod_paxos_failure_detector_health_t, alive, suspected, dead);

static struct failure_detector *detector;

void exports_synod_paxos_failure_detector_start(exports_synod_paxos_failure_detector_node_config_t *config, uint64_t now)
{
    if (detector != NULL)
        failure_detector_free(detector);
    detector = failure_detector_new((const struct node_config *)config, now);
    shim_call_done();
}

void exports_synod_paxos_failure_detector_heard(uint32_t node, uint64_t now)
{
    invariant(detector != NULL);
    failure_detector_heard(detector, node, now);
}

void exports_synod_paxos_failure_detector_check(uint64_t now, exports_synod_paxos_failure_detector_health_t *ret)
{
    invariant(detector != NULL);
    *(struct health *)ret = failure_detector_check(detector, now);
}
