/* core/paxos/proposer.h by the import of `interface proposer`: one instance, which has the state. */
#include "core/paxos/proposer.h"

#include "components/types.h"

SAME_LAYOUT(struct promise_result, synod_paxos_proposer_promise_result_t, outcome, next);
SAME_LAYOUT(struct proposer_window, synod_paxos_proposer_window_t, ballot, first, chosen, next, bytes);
SAME_LIST(struct entry_list, synod_paxos_proposer_list_entry_t);

struct proposer {
    struct arena results;
};

static struct proposer imported;

struct proposer *proposer_new(const struct node_config *config)
{
    synod_paxos_proposer_start((synod_paxos_proposer_node_config_t *)config);
    return &imported;
}

void proposer_free(struct proposer *p) { (void)p; }

void proposer_configure(struct proposer *p, const struct configuration *configuration)
{
    (void)p;
    synod_paxos_proposer_configure((synod_paxos_proposer_configuration_t *)configuration);
}

void proposer_limit(struct proposer *p, uint64_t slot)
{
    (void)p;
    synod_paxos_proposer_limit(slot);
}

struct ballot proposer_prepare(struct proposer *p, struct ballot above, uint64_t floor)
{
    struct ballot ballot;
    (void)p;
    synod_paxos_proposer_prepare((synod_paxos_proposer_ballot_t *)&above, floor, (synod_paxos_proposer_ballot_t *)&ballot);
    return ballot;
}

struct promise_result proposer_promise(struct proposer *p, uint32_t sender, const struct message *chunk)
{
    struct promise_result result;
    (void)p;
    synod_paxos_proposer_promise(sender, (synod_paxos_proposer_message_t *)chunk,
                                 (synod_paxos_proposer_promise_result_t *)&result);
    return result;
}

uint64_t proposer_promise_wanted(struct proposer *p, uint32_t acceptor)
{
    (void)p;
    return synod_paxos_proposer_promise_wanted(acceptor);
}

uint64_t proposer_propose(struct proposer *p, uint8_t kind, const struct payload *value)
{
    (void)p;
    return synod_paxos_proposer_propose(kind, (synod_paxos_proposer_payload_t *)value);
}

struct entry_list proposer_pending(struct proposer *p, uint32_t bytes_max)
{
    struct entry_list entries;
    shim_results_begin(&p->results);
    synod_paxos_proposer_pending(bytes_max, (synod_paxos_proposer_list_entry_t *)&entries);
    shim_results_end();
    return entries;
}

struct proposer_window proposer_accepted(struct proposer *p, uint32_t sender, struct ballot ballot, uint64_t from,
                                         uint64_t to)
{
    struct proposer_window window;
    (void)p;
    synod_paxos_proposer_accepted(sender, (synod_paxos_proposer_ballot_t *)&ballot, from, to,
                                  (synod_paxos_proposer_window_t *)&window);
    return window;
}

struct proposer_window proposer_settle(struct proposer *p, uint64_t slot)
{
    struct proposer_window window;
    (void)p;
    synod_paxos_proposer_settle(slot, (synod_paxos_proposer_window_t *)&window);
    return window;
}

struct proposer_window proposer_window_now(struct proposer *p)
{
    struct proposer_window window;
    (void)p;
    synod_paxos_proposer_window_now((synod_paxos_proposer_window_t *)&window);
    return window;
}

struct entry_list proposer_unanswered(struct proposer *p, uint32_t acceptor, uint32_t bytes_max)
{
    struct entry_list entries;
    shim_results_begin(&p->results);
    synod_paxos_proposer_unanswered(acceptor, bytes_max, (synod_paxos_proposer_list_entry_t *)&entries);
    shim_results_end();
    return entries;
}

void proposer_resign(struct proposer *p)
{
    (void)p;
    synod_paxos_proposer_resign();
}
