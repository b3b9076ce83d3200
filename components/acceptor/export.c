/* `interface acceptor` by core/paxos/acceptor.h. */
#include "core/paxos/acceptor.h"

#include "components/types.h"
#include "core/base/assert.h"

SAME_LAYOUT(struct acceptor_prepare_result, exports_synod_paxos_acceptor_prepare_result_t, granted, is_new, promised);
SAME_LAYOUT(struct acceptor_vote_chunk, exports_synod_paxos_acceptor_vote_chunk_t, from, to, floor, last, entries);
SAME_LAYOUT(struct acceptor_vote_run, exports_synod_paxos_acceptor_vote_run_t, from, to, is_new);
SAME_LIST(struct acceptor_vote_runs, exports_synod_paxos_acceptor_list_vote_run_t);
SAME_LAYOUT(struct acceptor_accept_result, exports_synod_paxos_acceptor_accept_result_t, granted, promised, runs);
SAME_LIST(struct entry_list, exports_synod_paxos_acceptor_list_entry_t);

static struct acceptor *acceptor;

void exports_synod_paxos_acceptor_start(exports_synod_paxos_acceptor_node_config_t *config)
{
    if (acceptor != NULL)
        acceptor_free(acceptor);
    acceptor = acceptor_new((const struct node_config *)config);
    shim_call_done();
}

void exports_synod_paxos_acceptor_widen(uint32_t alpha)
{
    invariant(acceptor != NULL);
    acceptor_widen(acceptor, alpha);
    shim_call_done();
}

void exports_synod_paxos_acceptor_prepare(exports_synod_paxos_acceptor_ballot_t *ballot,
                                          exports_synod_paxos_acceptor_prepare_result_t *ret)
{
    invariant(acceptor != NULL);
    *(struct acceptor_prepare_result *)ret = acceptor_prepare(acceptor, *(const struct ballot *)ballot);
    shim_call_done();
}

void exports_synod_paxos_acceptor_votes(uint64_t from, uint32_t bytes_max, exports_synod_paxos_acceptor_vote_chunk_t *ret)
{
    invariant(acceptor != NULL);
    *(struct acceptor_vote_chunk *)ret = acceptor_votes(acceptor, from, bytes_max);
}
SHIM_POST(acceptor_votes, "acceptor@0.1.0#votes");

void exports_synod_paxos_acceptor_accept(exports_synod_paxos_acceptor_ballot_t *ballot,
                                         exports_synod_paxos_acceptor_list_entry_t *entries,
                                         exports_synod_paxos_acceptor_accept_result_t *ret)
{
    invariant(acceptor != NULL);
    *(struct acceptor_accept_result *)ret =
        acceptor_accept(acceptor, *(const struct ballot *)ballot, (const struct entry *)entries->ptr, entries->len);
}
SHIM_POST(acceptor_accept, "acceptor@0.1.0#accept");

uint64_t exports_synod_paxos_acceptor_truncate(uint64_t floor)
{
    invariant(acceptor != NULL);
    return acceptor_truncate(acceptor, floor);
}

void exports_synod_paxos_acceptor_restore(exports_synod_paxos_acceptor_log_record_t *record)
{
    invariant(acceptor != NULL);
    acceptor_restore(acceptor, (const struct log_record *)record);
    shim_call_done();
}
