/* core/paxos/acceptor.h by the import of `interface acceptor`: one instance, which has the state. */
#include "core/paxos/acceptor.h"

#include "components/types.h"

SAME_LAYOUT(struct acceptor_prepare_result, synod_paxos_acceptor_prepare_result_t, granted, is_new, promised);
SAME_LAYOUT(struct acceptor_vote_chunk, synod_paxos_acceptor_vote_chunk_t, from, to, floor, last, entries);
SAME_LAYOUT(struct acceptor_vote_run, synod_paxos_acceptor_vote_run_t, from, to, is_new);
SAME_LIST(struct acceptor_vote_runs, synod_paxos_acceptor_list_vote_run_t);
SAME_LAYOUT(struct acceptor_accept_result, synod_paxos_acceptor_accept_result_t, granted, promised, runs);

struct acceptor {
    struct arena results;
};

static struct acceptor imported;

struct acceptor *acceptor_new(const struct node_config *config)
{
    synod_paxos_acceptor_start((synod_paxos_acceptor_node_config_t *)config);
    return &imported;
}

void acceptor_free(struct acceptor *a) { (void)a; }

void acceptor_widen(struct acceptor *a, uint32_t alpha)
{
    (void)a;
    synod_paxos_acceptor_widen(alpha);
}

struct acceptor_prepare_result acceptor_prepare(struct acceptor *a, struct ballot ballot)
{
    struct acceptor_prepare_result result;
    (void)a;
    synod_paxos_acceptor_prepare((synod_paxos_acceptor_ballot_t *)&ballot, (synod_paxos_acceptor_prepare_result_t *)&result);
    return result;
}

struct acceptor_vote_chunk acceptor_votes(struct acceptor *a, uint64_t from, uint32_t bytes_max)
{
    struct acceptor_vote_chunk chunk;
    shim_results_begin(&a->results);
    synod_paxos_acceptor_votes(from, bytes_max, (synod_paxos_acceptor_vote_chunk_t *)&chunk);
    shim_results_end();
    return chunk;
}

struct acceptor_accept_result acceptor_accept(struct acceptor *a, struct ballot ballot, const struct entry *entries,
                                              size_t count)
{
    struct acceptor_accept_result result;
    synod_paxos_acceptor_list_entry_t list = {(synod_paxos_acceptor_entry_t *)entries, count};
    shim_results_begin(&a->results);
    synod_paxos_acceptor_accept((synod_paxos_acceptor_ballot_t *)&ballot, &list,
                                (synod_paxos_acceptor_accept_result_t *)&result);
    shim_results_end();
    return result;
}

uint64_t acceptor_truncate(struct acceptor *a, uint64_t floor)
{
    (void)a;
    return synod_paxos_acceptor_truncate(floor);
}

void acceptor_restore(struct acceptor *a, const struct log_record *record)
{
    (void)a;
    synod_paxos_acceptor_restore((synod_paxos_acceptor_log_record_t *)record);
}
