/* What passes through the checks, and where it is checked:
 *
 *   batches and answers             checks_batches.c
 *   proposals, votes, the chosen    checks_votes.c
 *   who makes quorums in a slot     checks_configurations.c
 *   states                          checks_states.c
 *   agreed time                     checks_time.c
 *   records, restarts, what is held checks_journal.c
 *   messages                        checks_messages.c
 *   who prepares, handing over      checks_leadership.c
 *   frames as such                  checks_frames.c
 *   situations reached              checks_reached.c
 *   what clients were told          checks_sessions.c
 *   a broken rule                   checks_verdict.c
 *
 * All checks are done at once. Nothing is ever searched, except a slot's few proposals and, when a new leader asks, the
 * slots in a promise. After the first broken rule nothing more is checked. */
#include "sim/checks_internal.h"

/* ---- Beginning and end ---- */

struct checks *checks_new(const struct checks_options *options)
{
    struct checks *c = memory_new(1, sizeof *c);
    c->options = *options;
    c->reference = options->executes != NULL ? reference_new(options->executes) : NULL;
    c->held_capacity = 8;
    while (c->held_capacity < UINT64_C(4) * options->alpha || c->held_capacity < UINT64_C(4) * options->alpha_most)
        c->held_capacity *= 2;
    c->prefix = c->floor_most = 1;
    checks_configurations_open(c);
    c->proposals = memory_reserve(NULL, &c->proposal_capacity, 1, sizeof *c->proposals);
    c->proposals[c->proposal_count++] = (struct proposal){0};
    c->batches = memory_reserve(NULL, &c->batch_capacity, 1, sizeof *c->batches);
    c->batches[c->batch_count++] = (struct batch){0};
    for (uint32_t node = 1; node <= options->nodes; node++)
        checks_node_open(c, node);
    return c;
}

void checks_free(struct checks *c)
{
    for (uint32_t node = 1; node <= c->options.nodes; node++)
        checks_node_close(&c->nodes[node]);
    for (size_t i = 0; i < c->batch_count; i++)
        payload_free(&c->batches[i].value);
    reference_free(c->reference);
    checks_frames_close(c);
    checks_configurations_close(c);
    hash_index_close(&c->batch_by_hash);
    hash_index_close(&c->batch_by_token);
    free(c->batches);
    free(c->proposals);
    free(c->slots);
    free(c);
}

const struct checks_verdict *checks_verdict(const struct checks *c) { return &c->verdict; }

uint64_t checks_chosen_prefix(const struct checks *c) { return c->prefix; }

void checks_bytes_in_flight(struct checks *c, uint32_t node, uint64_t bytes_max)
{
    struct checked_node *n = &c->nodes[node];
    n->bytes_in_flight_max = bytes_max;
    if (bytes_max > n->bytes_in_flight_most)
        n->bytes_in_flight_most = bytes_max;
}

/* ---- Messages ---- */

void checks_sent(struct checks *c, uint32_t node, node_set to, const struct message *m, uint32_t body_bytes)
{
    (void)to;
    if (checks_node(c, node) == NULL)
        return;
    if (body_bytes > c->options.frame_bytes_max)
        checks_fail(c, CHECK_BOUNDS, "node %u sends %u bytes at once", node, body_bytes);
    else
        checks_message(c, node, m);
    if (!c->verdict.failed)
        leadership_sent(c, node, m);
    if (!c->verdict.failed)
        reached_sent(c, node, m);
}

void checks_received(struct checks *c, uint32_t node, uint32_t from, const struct message *m)
{
    if (checks_node(c, node) == NULL || from < 1 || from > c->options.nodes)
        return;
    leadership_received(c, node, from, m);
    reached_received(c, node, from, m);
}

void checks_read(struct checks *c, uint32_t node)
{
    struct checked_node *n = checks_node(c, node);
    if (n != NULL)
        n->has_read = true;
}
