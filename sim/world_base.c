/* What every file of a world may call, the machines first of all. It looks at the state of the world and at nothing above
 * it. */
#include "sim/world.h"

void world_trace(struct world *w, uint32_t node, enum trace_kind kind, uint64_t a, uint64_t b, uint64_t c)
{
    const struct trace_event event = {.at = w->now, .node = node, .kind = kind, .a = a, .b = b, .c = c};
    trace_add(&w->trace, &event);
}

void world_arrivals(struct world *w, node_set nodes)
{
    for (; nodes != 0; nodes &= nodes - 1) {
        uint32_t i = node_set_first(nodes);
        if (i <= w->plan.nodes && w->machines[i].state == MACHINE_UP)
            w->machines[i].arrival_at = network_sim_next(w->network, i);
    }
}

bool world_is_member(const struct world *w, uint32_t node)
{
    const struct configuration_text *t = checks_configuration_text(w->checks);
    return t == NULL || t->members[node].node != 0;
}

struct node_config world_members(const struct world *w)
{
    struct node_config c = w->plan.config;
    const struct configuration newest = checks_configuration(w->checks);
    c.proposers = newest.proposers;
    c.acceptors = newest.acceptors;
    c.learners = newest.learners;
    c.phase1_quorum = newest.phase1_quorum;
    c.phase2_quorum = newest.phase2_quorum;
    c.alpha = newest.alpha;
    return c;
}

struct node_config world_slowest(const struct world *w)
{
    struct node_config c = w->plan.config;
    for (uint32_t i = 1; i <= w->plan.nodes; i++) {
        const struct node_config *n = &w->machines[i].config;
        c.dead_timeout = n->dead_timeout > c.dead_timeout ? n->dead_timeout : c.dead_timeout;
        c.request_timeout = n->request_timeout > c.request_timeout ? n->request_timeout : c.request_timeout;
        c.leader_rule = n->leader_rule == LEADER_HIGHEST ? LEADER_HIGHEST : c.leader_rule;
    }
    return c;
}

void world_leave_in_doubt(struct world *w, const struct machine *m)
{
    if (m->asks_for != FAULT_MOVED_LEADER)
        w->operator.in_doubt = checks_configuration(w->checks).slot;
}
