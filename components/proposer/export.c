/* `interface proposer` by core/paxos/proposer.h. */
#include "core/paxos/proposer.h"

#include "components/types.h"
#include "core/base/assert.h"

SAME_LAYOUT(struct promise_result, exports_synod_paxos_proposer_promise_result_t, outcome, next);
SAME_LAYOUT(struct proposer_window, exports_synod_paxos_proposer_window_t, ballot, first, chosen, next, bytes);
SAME_LIST(struct entry_list, exports_synod_paxos_proposer_list_entry_t);
_Static_assert(PROMISE_ELECTED == EXPORTS_SYNOD_PAXOS_PROPOSER_PROMISE_OUTCOME_ELECTED, "promise outcomes");

static struct proposer *proposer;

void exports_synod_paxos_proposer_start(exports_synod_paxos_proposer_node_config_t *config)
{
    if (proposer != NULL)
        proposer_free(proposer);
    proposer = proposer_new((const struct node_config *)config);
    shim_call_done();
}

void exports_synod_paxos_proposer_configure(exports_synod_paxos_proposer_configuration_t *configuration)
{
    invariant(proposer != NULL);
    proposer_configure(proposer, (const struct configuration *)configuration);
}

void exports_synod_paxos_proposer_limit(uint64_t slot)
{
    invariant(proposer != NULL);
    proposer_limit(proposer, slot);
}

void exports_synod_paxos_proposer_prepare(exports_synod_paxos_proposer_ballot_t *above, uint64_t floor,
                                          exports_synod_paxos_proposer_ballot_t *ret)
{
    invariant(proposer != NULL);
    *(struct ballot *)ret = proposer_prepare(proposer, *(const struct ballot *)above, floor);
    shim_call_done();
}

void exports_synod_paxos_proposer_promise(uint32_t sender, exports_synod_paxos_proposer_message_t *chunk,
                                          exports_synod_paxos_proposer_promise_result_t *ret)
{
    invariant(proposer != NULL);
    *(struct promise_result *)ret = proposer_promise(proposer, sender, (const struct message *)chunk);
    shim_call_done();
}

uint64_t exports_synod_paxos_proposer_promise_wanted(uint32_t acceptor)
{
    invariant(proposer != NULL);
    return proposer_promise_wanted(proposer, acceptor);
}

uint64_t exports_synod_paxos_proposer_propose(uint8_t kind, exports_synod_paxos_proposer_payload_t *value)
{
    invariant(proposer != NULL);
    uint64_t slot = proposer_propose(proposer, kind, (const struct payload *)value);
    shim_call_done();
    return slot;
}

void exports_synod_paxos_proposer_pending(uint32_t bytes_max, exports_synod_paxos_proposer_list_entry_t *ret)
{
    invariant(proposer != NULL);
    *(struct entry_list *)ret = proposer_pending(proposer, bytes_max);
}
SHIM_POST(proposer_pending, "proposer@0.1.0#pending");

void exports_synod_paxos_proposer_accepted(uint32_t sender, exports_synod_paxos_proposer_ballot_t *ballot, uint64_t from,
                                           uint64_t to, exports_synod_paxos_proposer_window_t *ret)
{
    invariant(proposer != NULL);
    *(struct proposer_window *)ret = proposer_accepted(proposer, sender, *(const struct ballot *)ballot, from, to);
    shim_call_done();
}

void exports_synod_paxos_proposer_settle(uint64_t slot, exports_synod_paxos_proposer_window_t *ret)
{
    invariant(proposer != NULL);
    *(struct proposer_window *)ret = proposer_settle(proposer, slot);
}

void exports_synod_paxos_proposer_window_now(exports_synod_paxos_proposer_window_t *ret)
{
    invariant(proposer != NULL);
    *(struct proposer_window *)ret = proposer_window_now(proposer);
}

void exports_synod_paxos_proposer_unanswered(uint32_t acceptor, uint32_t bytes_max,
                                             exports_synod_paxos_proposer_list_entry_t *ret)
{
    invariant(proposer != NULL);
    *(struct entry_list *)ret = proposer_unanswered(proposer, acceptor, bytes_max);
}
SHIM_POST(proposer_unanswered, "proposer@0.1.0#unanswered");

void exports_synod_paxos_proposer_resign(void)
{
    invariant(proposer != NULL);
    proposer_resign(proposer);
}
