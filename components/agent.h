/* Both sides of four interfaces of the same shape: node, proposer-agent, acceptor-agent, learner-agent. Their core headers
 * have that shape, too, so one text serves all of them. `part` is the interface in C, `name` the same in wit/. */
#ifndef SYNOD_COMPONENTS_AGENT_H
#define SYNOD_COMPONENTS_AGENT_H

#include "components/types.h"
#include "core/base/assert.h"

/* `interface part` by the core header of `core`. */
#define AGENT_EXPORT(part, name, core)                                                                                      \
    SAME_LIST(struct event_list, exports_synod_paxos_##part##_list_event_t);                                                \
                                                                                                                            \
    static struct core *agent;                                                                                              \
                                                                                                                            \
    void exports_synod_paxos_##part##_start(exports_synod_paxos_##part##_node_config_t *config)                             \
    {                                                                                                                       \
        if (agent != NULL)                                                                                                  \
            core##_free(agent);                                                                                             \
        agent = core##_new((const struct node_config *)config);                                                             \
        shim_call_done();                                                                                                   \
    }                                                                                                                       \
                                                                                                                            \
    void exports_synod_paxos_##part##_step(uint64_t now, uint64_t lsn, exports_synod_paxos_##part##_list_event_t *events,   \
                                           exports_synod_paxos_##part##_step_result_t *ret)                                 \
    {                                                                                                                       \
        invariant(agent != NULL);                                                                                           \
        *(struct step_result *)ret = core##_step(agent, now, lsn, (const struct event *)events->ptr, events->len);          \
    }                                                                                                                       \
    SHIM_POST(part##_step, name "@0.1.0#step");                                                                             \
                                                                                                                            \
    void exports_synod_paxos_##part##_status(exports_synod_paxos_##part##_node_status_t *ret)                               \
    {                                                                                                                       \
        invariant(agent != NULL);                                                                                           \
        *(struct node_status *)ret = core##_status(agent);                                                                  \
    }                                                                                                                       \
    _Static_assert(1, "")

/* The core header by the import of `interface part`: one instance, which has the state. */
#define AGENT_IMPORT(part)                                                                                                  \
    SAME_LIST(struct event_list, synod_paxos_##part##_list_event_t);                                                        \
                                                                                                                            \
    struct part {                                                                                                           \
        struct arena results;                                                                                               \
    };                                                                                                                      \
                                                                                                                            \
    static struct part imported;                                                                                            \
                                                                                                                            \
    struct part *part##_new(const struct node_config *config)                                                               \
    {                                                                                                                       \
        synod_paxos_##part##_start((synod_paxos_##part##_node_config_t *)config);                                           \
        return &imported;                                                                                                   \
    }                                                                                                                       \
                                                                                                                            \
    void part##_free(struct part *agent) { (void)agent; }                                                                   \
                                                                                                                            \
    struct step_result part##_step(struct part *agent, uint64_t now, uint64_t lsn, const struct event *events,              \
                                   size_t count)                                                                            \
    {                                                                                                                       \
        struct step_result result;                                                                                          \
        synod_paxos_##part##_list_event_t list = {(synod_paxos_##part##_event_t *)events, count};                           \
        shim_results_begin(&agent->results);                                                                                \
        synod_paxos_##part##_step(now, lsn, &list, (synod_paxos_##part##_step_result_t *)&result);                          \
        shim_results_end();                                                                                                 \
        return result;                                                                                                      \
    }                                                                                                                       \
                                                                                                                            \
    struct node_status part##_status(struct part *agent)                                                                    \
    {                                                                                                                       \
        struct node_status status;                                                                                          \
        (void)agent;                                                                                                        \
        synod_paxos_##part##_status((synod_paxos_##part##_node_status_t *)&status);                                         \
        return status;                                                                                                      \
    }                                                                                                                       \
    _Static_assert(1, "")

#endif
