/* Which configuration governs a slot (P11). What is chosen decides that, so that there is one answer for all nodes at all
 * times, whatever they know of it.
 *
 *   slots:           1 ... s ............ g ...            a configuration chosen in slot s governs from g on
 *   configuration:   | first             | the one chosen in s
 *
 * A node that comes back without its disk is another *instance*: it has promised nothing and voted for nothing, and counts
 * from the slot on from which the configuration governs that admitted it. What its earlier instance promised still counts in
 * the slots before. */
#include "sim/checks_internal.h"

void checks_configurations_open(struct checks *c)
{
    const struct checks_options *o = &c->options;
    c->configurations = memory_reserve(NULL, &c->configuration_capacity, 1, sizeof *c->configurations);
    c->configurations[c->configuration_count++] = (struct checked_configuration){
        .proposers = o->proposers,
        .acceptors = o->acceptors,
        .learners = o->learners,
        .phase1_quorum = o->phase1_quorum,
        .phase2_quorum = o->phase2_quorum,
        .alpha = o->alpha,
        .executed_by_majority = 1,
    };
}

void checks_configurations_close(struct checks *c)
{
    for (size_t i = 0; i < c->text_count; i++)
        payload_free(&c->texts[i].value);
    free(c->texts);
    free(c->text);
    free(c->configurations);
    free(c->former);
}

/* ---- Lookup ---- */

struct checked_configuration *checks_newest(const struct checks *c)
{
    return &c->configurations[c->configuration_count - 1];
}

struct checked_configuration *checks_governing(const struct checks *c, uint64_t slot)
{
    size_t i = c->configuration_count - 1;
    while (i > 0 && c->configurations[i].governs > slot)
        i--;
    return &c->configurations[i];
}

uint64_t checks_window(const struct checks *c)
{
    uint64_t most = 0;
    for (size_t i = 0; i < c->configuration_count; i++)
        most = c->configurations[i].alpha > most ? c->configurations[i].alpha : most;
    return 4 * most;
}

/* ---- Ballots ---- */

const struct checked_configuration *checks_prepares_with(const struct checks *c, const struct message *prepare)
{
    for (size_t i = c->configuration_count; i-- > 0;)
        if (c->configurations[i].slot == prepare->to)
            return &c->configurations[i];
    return NULL;
}

/* A leader that is the only acceptor prepares in silence. */
const struct checked_configuration *checks_prepared_with(const struct checks *c, uint32_t node, uint64_t rank)
{
    const struct checked_node *n = &c->nodes[node];
    return n->prepared_rank == rank ? &c->configurations[n->prepared_with] : checks_governing(c, c->prefix);
}

void checks_configuration_of(struct checks *c, uint32_t node, uint64_t rank, uint64_t slot)
{
    const struct checked_configuration *governing = checks_governing(c, slot), *with = checks_prepared_with(c, node, rank);
    if (c->nodes[node].prepared_rank == rank && governing != with)
        checks_fail(c, CHECK_CONFIGURATIONS,
                    "node %u proposes slot %" PRIu64 " at ballot %s, prepared with the configuration of slot %" PRIu64
                    "; that of slot %" PRIu64 " governs",
                    node, slot, rank_text(rank).text, with->slot, governing->slot);
}

/* ---- Who has been what ---- */

node_set checks_proposers(const struct checks *c)
{
    node_set all = 0;
    for (size_t i = 0; i < c->configuration_count; i++)
        all |= c->configurations[i].proposers;
    return all;
}

bool checks_learns(const struct checks *c, uint32_t node)
{
    bool learns = false;
    for (size_t i = 0; i < c->configuration_count && !learns; i++)
        learns = node_set_has(c->configurations[i].learners | c->configurations[i].joining, node);
    return learns;
}

bool checks_votes(const struct checks *c, uint32_t node)
{
    bool votes = false;
    for (size_t i = 0; i < c->configuration_count && !votes; i++)
        votes = node_set_has(c->configurations[i].acceptors, node);
    return votes;
}

/* ---- Instances ---- */

bool checks_is_acceptor(const struct checks *c, const struct checked_configuration *of, uint32_t node)
{
    return node_set_has(of->acceptors, node) && of->number[node] == c->nodes[node].number;
}

void checks_node_open(struct checks *c, uint32_t node)
{
    struct checked_node *n = &c->nodes[node];
    *n = (struct checked_node){.executed_most = 1};
    n->written = n->safe = (struct record_state){.floor = 1, .mark = 1};
    n->bytes_in_flight_max = n->bytes_in_flight_most = c->options.bytes_in_flight_max;
    n->held = memory_new((size_t)c->held_capacity, sizeof *n->held);
}

void checks_node_close(struct checked_node *n)
{
    free(n->records);
    free(n->values);
    free(n->sticky);
    free(n->pending);
    free(n->held);
}

/* The slot from which on a configuration names this instance. */
static uint64_t named_from(const struct checks *c, uint32_t node, uint32_t number)
{
    for (size_t i = 0; i < c->configuration_count; i++)
        if (c->configurations[i].number[node] == number)
            return c->configurations[i].governs;
    return checks_newest(c)->governs;
}

/* What the earlier instance has promised still counts in the slots before; its votes are known there, and beyond they count
 * no more. */
void checks_replaced(struct checks *c, uint32_t node, uint32_t number, uint64_t admitted)
{
    struct checked_node *n = &c->nodes[node];
    if (c->verdict.failed)
        return;
    c->former = memory_reserve(c->former, &c->former_capacity, c->former_count + 1, sizeof *c->former);
    c->former[c->former_count++] = (struct former_instance){node, n->number, n->incarnation, n->safe.promise};
    for (uint64_t slot = named_from(c, node, number); slot < c->slot_count; slot++)
        for (uint32_t i = c->slots[slot].proposals; i != 0; i = c->proposals[i].next) {
            c->proposals[i].voters &= ~node_set_of(node);
            c->proposals[i].latest &= ~node_set_of(node);
        }
    checks_node_close(n);
    checks_node_open(c, node);
    n->number = number;
    for (size_t i = 0; i < c->configuration_count; i++)
        if (c->configurations[i].slot == admitted)
            n->admitted = c->configurations[i].governs;
}

/* What the instance that a configuration means has promised, even if its disk is gone by now. */
static uint64_t promise_of(const struct checks *c, const struct checked_configuration *of, uint32_t node)
{
    if (of->number[node] == c->nodes[node].number)
        return c->nodes[node].safe.promise;
    for (size_t i = 0; i < c->former_count; i++)
        if (c->former[i].node == node && c->former[i].number == of->number[node])
            return c->former[i].promise;
    return 0;
}

node_set checks_promised(const struct checks *c, const struct checked_configuration *of, uint64_t rank)
{
    node_set promised = 0;
    for (node_set i = of->acceptors; i != 0; i &= i - 1)
        promised |= promise_of(c, of, node_set_first(i)) >= rank ? i & -i : 0;
    return promised;
}

/* ---- What is chosen ---- */

void checks_propose_configuration(struct checks *c, uint32_t node, const struct payload *value, struct value_hash hash)
{
    struct configuration_text *t = memory_new(1, sizeof *t);
    const char *wrong = configuration_read(payload_bytes(value), value->len, t);
    if (wrong == NULL)
        wrong = configuration_check(t);
    free(t);
    if (wrong != NULL)
        checks_fail(c, CHECK_CONFIGURATIONS, "node %u proposes a configuration that cannot be: %s", node, wrong);
    for (size_t i = 0; i < c->text_count; i++)
        if (c->texts[i].hash == hash.value)
            return;
    c->texts = memory_reserve(c->texts, &c->text_capacity, c->text_count + 1, sizeof *c->texts);
    c->texts[c->text_count++] = (struct proposed_text){hash.value, payload_copy(value)};
}

static const struct payload *text_of(const struct checks *c, uint64_t hash)
{
    for (size_t i = 0; i < c->text_count; i++)
        if (c->texts[i].hash == hash)
            return &c->texts[i].value;
    return NULL;
}

static void reach(struct checks *c, const struct checked_configuration *before, const struct checked_configuration *now)
{
    if (before->slot == 0)
        c->reached[REACHED_FORMED]++;
    if ((before->joining & ~now->joining & now->learners) != 0)
        c->reached[REACHED_PROMOTED]++;
}

/* It counts if it replaces the newest one, which governs already, after as many slots as that one lets be in flight.
 * Otherwise it is void. */
void checks_choose_configuration(struct checks *c, uint64_t hash)
{
    const struct payload *text = text_of(c, hash);
    struct configuration_text *t = memory_new(1, sizeof *t);
    const struct checked_configuration before = *checks_newest(c);
    const bool sound = text != NULL && configuration_read(payload_bytes(text), text->len, t) == NULL;
    if (!sound || t->replaces != before.slot || c->prefix < before.governs || t->delay != before.alpha) {
        c->reached[REACHED_VOID_CHANGE]++;
        free(t);
        return;
    }
    const struct configuration now = configuration_of(t, c->prefix);
    struct checked_configuration k = {
        .slot = c->prefix,
        .governs = now.governs,
        .proposers = now.proposers,
        .acceptors = now.acceptors,
        .learners = now.learners & ~now.joining,
        .joining = now.joining,
        .fresh = now.fresh,
        .phase1_quorum = now.phase1_quorum,
        .phase2_quorum = now.phase2_quorum,
        .alpha = now.alpha,
        .state_bytes_max = now.state_bytes_max,
        .hash = hash,
        .executed_by_majority = 1,
    };
    for (uint32_t i = 1; i <= NODE_ID_MAX; i++)
        k.number[i] = t->members[i].node != 0 ? t->members[i].number : 0;
    if (now.governs != c->prefix + before.alpha)
        checks_fail(c, CHECK_CONFIGURATIONS, "the configuration of slot %" PRIu64 " governs from slot %" PRIu64 " on",
                    k.slot, k.governs);
    c->configurations =
        memory_reserve(c->configurations, &c->configuration_capacity, c->configuration_count + 1, sizeof *c->configurations);
    c->configurations[c->configuration_count++] = k;
    free(c->text);
    c->text = t;
    if (c->reference != NULL)
        c->reference_hash = reference_configure(c->reference, text);
    reach(c, &before, checks_newest(c));
    checks_count_executed(c);
    checks_count_held(c);
}

uint64_t checks_newest_below(const struct checks *c, uint64_t slot)
{
    size_t i = c->configuration_count - 1;
    while (i > 0 && c->configurations[i].slot >= slot)
        i--;
    return c->configurations[i].slot;
}

/* ---- What nodes say ---- */

static uint64_t held_of(const struct checked_node *n) { return n->safe.mark; }

static bool is_settled(const struct checks *c, const struct checked_configuration *of)
{
    return c->prefix >= of->governs && checks_majority(c, of, held_of) >= of->governs;
}

void checks_configured(struct checks *c, uint32_t node, uint64_t slot, const struct payload *text)
{
    const struct checked_configuration *of = NULL;
    for (size_t i = 0; i < c->configuration_count; i++)
        of = c->configurations[i].slot == slot && slot != 0 ? &c->configurations[i] : of;
    if (c->verdict.failed)
        return;
    if (of == NULL || (text != NULL && checks_hash(ENTRY_CONFIGURATION, text).value != of->hash))
        checks_fail(c, CHECK_CONFIGURATIONS, "node %u has a configuration of slot %" PRIu64 ", where %s", node, slot,
                    of == NULL ? "none is chosen that counts" : "another one is chosen");
    else if (text == NULL && !is_settled(c, of))
        checks_fail(c, CHECK_CONFIGURATIONS,
                    "node %u says that what came before the configuration of slot %" PRIu64
                    " is over; a majority of its learners does not hold all below slot %" PRIu64,
                    node, slot, of->governs);
}

struct configuration checks_configuration(const struct checks *c)
{
    const struct checked_configuration *k = checks_newest(c);
    return (struct configuration){.slot = k->slot,
                                  .governs = k->governs,
                                  .proposers = k->proposers,
                                  .acceptors = k->acceptors,
                                  .learners = k->learners,
                                  .joining = k->joining,
                                  .fresh = k->fresh,
                                  .phase1_quorum = k->phase1_quorum,
                                  .phase2_quorum = k->phase2_quorum,
                                  .alpha = k->alpha};
}

const struct configuration_text *checks_configuration_text(const struct checks *c) { return c->text; }

bool checks_settled(const struct checks *c) { return is_settled(c, checks_newest(c)); }

/* ---- Majorities of learners ---- */

static uint64_t reached_by(const struct checks *c, const struct checked_configuration *of, uint32_t node,
                           uint64_t (*reached)(const struct checked_node *n))
{
    return of->number[node] == c->nodes[node].number ? reached(&c->nodes[node]) : 1;
}

uint64_t checks_majority(const struct checks *c, const struct checked_configuration *of,
                         uint64_t (*reached)(const struct checked_node *n))
{
    uint32_t majority = node_set_count(of->learners) / 2 + 1;
    uint64_t best = 0;
    for (node_set i = of->learners; i != 0; i &= i - 1) {
        uint64_t slot = reached_by(c, of, node_set_first(i), reached);
        uint32_t count = 0;
        for (node_set j = of->learners; j != 0; j &= j - 1)
            count += reached_by(c, of, node_set_first(j), reached) >= slot;
        if (count >= majority && slot > best)
            best = slot;
    }
    return best;
}

/* Nodes may not know the newest one yet, and count by the one before. */
uint64_t checks_majority_of_any(const struct checks *c, uint64_t (*reached)(const struct checked_node *n))
{
    const struct checked_configuration *newest = checks_newest(c);
    uint64_t best = checks_majority(c, newest, reached);
    if (newest == c->configurations)
        return best;
    const uint64_t before = checks_majority(c, newest - 1, reached);
    return before > best ? before : best;
}

static uint64_t executed_of(const struct checked_node *n) { return n->executed_most; }

/* A leader may count the configuration before, while that is needed, and instances that the next one brings. */
uint64_t checks_followed(const struct checks *c, uint64_t slot)
{
    const struct checked_configuration *of = checks_governing(c, slot), *newest = checks_newest(c);
    uint64_t most = of->executed_by_majority;
    if (of != c->configurations && !is_settled(c, of) && of[-1].executed_by_majority > most)
        most = of[-1].executed_by_majority;
    if (of != newest && of[1].executed_by_majority > most)
        most = of[1].executed_by_majority;
    return most;
}

void checks_count_held(struct checks *c)
{
    const uint64_t held = checks_majority_of_any(c, held_of);
    c->floor_most = held > c->floor_most ? held : c->floor_most;
}

/* Nodes may lead by a configuration that is not the newest one. */
void checks_count_executed(struct checks *c)
{
    enum { COUNTED = 3 };
    for (size_t i = c->configuration_count; i-- > 0 && i + COUNTED >= c->configuration_count;) {
        struct checked_configuration *of = &c->configurations[i];
        const uint64_t executed = checks_majority(c, of, executed_of);
        if (executed > of->executed_by_majority)
            of->executed_by_majority = executed;
    }
}
