/* `interface learner` by core/paxos/learner.h. */
#include "core/paxos/learner.h"

#include "components/types.h"
#include "core/base/assert.h"

SAME_LAYOUT(struct learner_gap, exports_synod_paxos_learner_gap_t, from, to);
SAME_LIST(struct entry_list, exports_synod_paxos_learner_list_entry_t);

static struct learner *learner;

void exports_synod_paxos_learner_start(exports_synod_paxos_learner_node_config_t *config)
{
    if (learner != NULL)
        learner_free(learner);
    learner = learner_new((const struct node_config *)config);
    shim_call_done();
}

void exports_synod_paxos_learner_configure(exports_synod_paxos_learner_configuration_t *configuration)
{
    invariant(learner != NULL);
    learner_configure(learner, (const struct configuration *)configuration);
}

void exports_synod_paxos_learner_limit(uint64_t slot)
{
    invariant(learner != NULL);
    learner_limit(learner, slot);
}

void exports_synod_paxos_learner_proposed(exports_synod_paxos_learner_list_entry_t *entries)
{
    invariant(learner != NULL);
    learner_proposed(learner, (const struct entry *)entries->ptr, entries->len);
    shim_call_done();
}

void exports_synod_paxos_learner_voted(uint32_t sender, exports_synod_paxos_learner_ballot_t *ballot, uint64_t from,
                                       uint64_t to)
{
    invariant(learner != NULL);
    learner_voted(learner, sender, *(const struct ballot *)ballot, from, to);
    shim_call_done();
}

void exports_synod_paxos_learner_chosen(exports_synod_paxos_learner_ballot_t *ballot, uint64_t from, uint64_t to)
{
    invariant(learner != NULL);
    learner_chosen(learner, *(const struct ballot *)ballot, from, to);
    shim_call_done();
}

void exports_synod_paxos_learner_learned(exports_synod_paxos_learner_list_entry_t *entries)
{
    invariant(learner != NULL);
    learner_learned(learner, (const struct entry *)entries->ptr, entries->len);
    shim_call_done();
}

void exports_synod_paxos_learner_skip(uint64_t slot)
{
    invariant(learner != NULL);
    learner_skip(learner, slot);
}

void exports_synod_paxos_learner_release(uint32_t bytes_max, exports_synod_paxos_learner_list_entry_t *ret)
{
    invariant(learner != NULL);
    *(struct entry_list *)ret = learner_release(learner, bytes_max);
}
SHIM_POST(learner_release, "learner@0.1.0#release");

void exports_synod_paxos_learner_missing(exports_synod_paxos_learner_gap_t *ret)
{
    invariant(learner != NULL);
    *(struct learner_gap *)ret = learner_missing(learner);
}

uint64_t exports_synod_paxos_learner_next(void)
{
    invariant(learner != NULL);
    return learner_next(learner);
}

uint64_t exports_synod_paxos_learner_known_chosen(void)
{
    invariant(learner != NULL);
    return learner_known_chosen(learner);
}
