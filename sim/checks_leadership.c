/* Who may prepare, and how a leader hands over (P15). */
#include "sim/checks_internal.h"

/* ---- AskedFirst ---- */

void leadership_starts(struct checked_node *n)
{
    n->question = n->prepared_rank = n->invited_rank = 0;
    n->invitations = 0;
    n->lost = 0;
}

void leadership_received(struct checks *c, uint32_t node, uint32_t from, const struct message *m)
{
    struct checked_node *n = &c->nodes[node];
    const bool yes = (m->flags & MESSAGE_YES) != 0;
    if (m->kind == MESSAGE_LOST && yes && m->from == n->question)
        n->lost |= node_set_of(from);
    if (m->kind != MESSAGE_HANDOVER || yes || m->from == 0 || m->to != node)
        return;
    n->invitations = n->invited_rank == rank_of(m->ballot) ? n->invitations + 1 : 1;
    n->invited_rank = rank_of(m->ballot);
}

/* A leader prepares anew where another configuration begins to govern: no node has lost it. So does a node that was about to
 * lead when it heard of that. */
static bool crosses(const struct checks *c, const struct checked_node *n, const struct checked_configuration *to)
{
    return n->prepared_rank != 0 && to > &c->configurations[n->prepared_with];
}

/* What a node's own acceptor answers is not sent, so it counts as a yes. Ballots below one that was prepared only help an
 * acceptor up. */
static void check_prepare(struct checks *c, uint32_t node, const struct message *m)
{
    struct checked_node *n = &c->nodes[node];
    const uint64_t rank = rank_of(m->ballot);
    const struct checked_configuration *of = checks_prepares_with(c, m);
    if (rank <= n->prepared_rank)
        return;
    if (of == NULL) {
        checks_fail(c, CHECK_CONFIGURATIONS,
                    "node %u prepares with a configuration of slot %" PRIu64 ", where there is none", node, m->to);
        return;
    }
    const node_set yes = (n->lost | node_set_of(node)) & of->acceptors;
    const bool asks = !crosses(c, n, of);
    n->prepared_rank = rank;
    n->prepared_with = (size_t)(of - c->configurations);
    if (node_set_count(yes) < of->phase1_quorum && n->invitations == 0 && asks)
        checks_fail(c, CHECK_ASKED_FIRST, "node %u prepares ballot %s; %u acceptors have lost the leader, too", node,
                    rank_text(rank).text, node_set_count(yes));
    n->invitations -= n->invitations > 0;
}

/* ---- Handover ---- */

/* The successor finds everything chosen, and has executed about as much as any. */
static void check_handover(struct checks *c, uint32_t node, const struct message *m)
{
    struct checked_node *n = &c->nodes[node];
    if ((m->flags & MESSAGE_YES) != 0)
        return;
    n->handed_rank = 0;
    if (m->to == node || m->from == 0)
        return;
    const uint64_t executed = m->to <= NODE_ID_MAX ? c->nodes[m->to].executed_most : 0;
    if (!node_set_has(checks_newest(c)->proposers, (uint32_t)m->to))
        checks_fail(c, CHECK_HANDOVER, "node %u hands over to node %" PRIu64 ", which is no proposer", node, m->to);
    else if (!c->options.lied_to && m->from > c->prefix)
        checks_fail(c, CHECK_HANDOVER, "node %u hands over all below slot %" PRIu64 "; slot %" PRIu64 " is not chosen", node,
                    m->from, c->prefix);
    else if (!c->options.lied_to && checks_learns(c, (uint32_t)m->to) &&
             executed + UINT64_C(2) * checks_newest(c)->alpha < m->from)
        checks_fail(c, CHECK_HANDOVER,
                    "node %u hands over to node %" PRIu64 ", which has executed %" PRIu64 " of %" PRIu64 " slots", node,
                    m->to, executed, m->from);
    n->handed_rank = rank_of(m->ballot);
    n->handed_from = m->from;
}

/* A leader that has told another node to take over proposes nothing at that ballot. */
static void check_silence(struct checks *c, uint32_t node, const struct message *m)
{
    const struct checked_node *n = &c->nodes[node];
    for (size_t i = 0; i < m->entries.len && n->handed_rank != 0 && n->handed_rank == rank_of(m->ballot); i++)
        if (m->entries.ptr[i].slot >= n->handed_from)
            checks_fail(c, CHECK_HANDOVER, "node %u proposes slot %" PRIu64 " after it handed over", node,
                        m->entries.ptr[i].slot);
}

void leadership_sent(struct checks *c, uint32_t node, const struct message *m)
{
    struct checked_node *n = &c->nodes[node];
    switch (m->kind) {
    case MESSAGE_ASK:
        n->question = m->from;
        n->lost = 0;
        n->invitations = 0; /* it stands for itself now */
        break;
    case MESSAGE_PREPARE:
        check_prepare(c, node, m);
        break;
    case MESSAGE_ACCEPT:
        check_silence(c, node, m);
        break;
    case MESSAGE_HANDOVER:
        check_handover(c, node, m);
        break;
    default:
        break;
    }
}
