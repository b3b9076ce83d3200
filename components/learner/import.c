/* core/paxos/learner.h by the import of `interface learner`: one instance, which has the state. */
#include "core/paxos/learner.h"

#include "components/types.h"

SAME_LAYOUT(struct learner_gap, synod_paxos_learner_gap_t, from, to);
SAME_LIST(struct entry_list, synod_paxos_learner_list_entry_t);

struct learner {
    struct arena results;
};

static struct learner imported;

struct learner *learner_new(const struct node_config *config)
{
    synod_paxos_learner_start((synod_paxos_learner_node_config_t *)config);
    return &imported;
}

void learner_free(struct learner *l) { (void)l; }

void learner_configure(struct learner *l, const struct configuration *configuration)
{
    (void)l;
    synod_paxos_learner_configure((synod_paxos_learner_configuration_t *)configuration);
}

void learner_limit(struct learner *l, uint64_t slot)
{
    (void)l;
    synod_paxos_learner_limit(slot);
}

void learner_proposed(struct learner *l, const struct entry *entries, size_t count)
{
    (void)l;
    synod_paxos_learner_list_entry_t list = {(synod_paxos_learner_entry_t *)entries, count};
    synod_paxos_learner_proposed(&list);
}

void learner_voted(struct learner *l, uint32_t sender, struct ballot ballot, uint64_t from, uint64_t to)
{
    (void)l;
    synod_paxos_learner_voted(sender, (synod_paxos_learner_ballot_t *)&ballot, from, to);
}

void learner_chosen(struct learner *l, struct ballot ballot, uint64_t from, uint64_t to)
{
    (void)l;
    synod_paxos_learner_chosen((synod_paxos_learner_ballot_t *)&ballot, from, to);
}

void learner_learned(struct learner *l, const struct entry *entries, size_t count)
{
    (void)l;
    synod_paxos_learner_list_entry_t list = {(synod_paxos_learner_entry_t *)entries, count};
    synod_paxos_learner_learned(&list);
}

void learner_skip(struct learner *l, uint64_t slot)
{
    (void)l;
    synod_paxos_learner_skip(slot);
}

struct entry_list learner_release(struct learner *l, uint32_t bytes_max)
{
    struct entry_list entries;
    shim_results_begin(&l->results);
    synod_paxos_learner_release(bytes_max, (synod_paxos_learner_list_entry_t *)&entries);
    shim_results_end();
    return entries;
}

struct learner_gap learner_missing(struct learner *l)
{
    struct learner_gap gap;
    (void)l;
    synod_paxos_learner_missing((synod_paxos_learner_gap_t *)&gap);
    return gap;
}

uint64_t learner_next(struct learner *l)
{
    (void)l;
    return synod_paxos_learner_next();
}

uint64_t learner_known_chosen(struct learner *l)
{
    (void)l;
    return synod_paxos_learner_known_chosen();
}
