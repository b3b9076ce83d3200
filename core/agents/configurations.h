/* The configurations that an agent knows (P11): the newest one, and the one that it replaces as long as that is needed. An
 * agent looks up here who its peers are, and which quorums count, and nowhere else. A part of each agent. */
#ifndef SYNOD_CORE_AGENTS_CONFIGURATIONS_H
#define SYNOD_CORE_AGENTS_CONFIGURATIONS_H

#include "core/base/types.h"

struct configurations {
    struct configuration before; /* equal to `newest` when that is settled; without members: it is not known */
    struct configuration newest;
};

/* The first configuration; without members, if the node joined later. */
void configurations_init(struct configurations *c, const struct node_config *config);

/* Of whom all that was heard becomes void with `added`, before it is learned: of new instances; of all, when others between
 * were skipped, because it is not known whose instances are new with those. */
node_set configurations_forgotten(const struct configurations *c, const struct configuration *added);

/* One more is known. False: it was known already, or is too old to be of use. */
bool configurations_learn(struct configurations *c, const struct configuration *added);

/* The same for what the host has in its folder, which may say that it is settled. */
bool configurations_given(struct configurations *c, const struct configured *said);

/* The first slot of which it is not known that the configuration of slot `acting` governs it (P11); 0: it governs no slot of
 * which that is known. All configurations in slots below `known` are known. */
uint64_t configurations_limit(const struct configurations *c, uint64_t acting, uint64_t known);

/* The newest one governs, and nothing before it is needed any more. */
void configurations_settle(struct configurations *c);

/* Whether the newest one is not settled yet. */
static inline bool configurations_pending(const struct configurations *c) { return c->before.slot != c->newest.slot; }

/* The one that governs a slot; without members: it is not known. */
static inline const struct configuration *configurations_at(const struct configurations *c, uint64_t slot)
{
    static const struct configuration unknown;
    return slot >= c->newest.governs ? &c->newest : slot >= c->before.governs ? &c->before : &unknown;
}

/* Of either: so many slots at least may be in flight. */
static inline uint32_t configurations_alpha(const struct configurations *c)
{
    const uint32_t before = c->before.alpha, newest = c->newest.alpha;
    return before != 0 && before < newest ? before : newest;
}

/* Members of either. */
static inline node_set configurations_proposers(const struct configurations *c)
{
    return c->before.proposers | c->newest.proposers;
}
static inline node_set configurations_acceptors(const struct configurations *c)
{
    return c->before.acceptors | c->newest.acceptors;
}
static inline node_set configurations_learners(const struct configurations *c)
{
    return c->before.learners | c->newest.learners;
}
static inline node_set configurations_members(const struct configurations *c)
{
    return configurations_proposers(c) | configurations_acceptors(c) | configurations_learners(c);
}

/* The learners of which a majority counts. */
static inline node_set configuration_counted(const struct configuration *c) { return c->learners & ~c->joining; }

/* What a node of these settings does, bits of enum duty. */
static inline uint8_t duties_of(const struct node_config *config)
{
    if (config->joined != 0)
        return config->joined;
    return (uint8_t)((node_set_has(config->proposers, config->node) ? DUTY_PROPOSES : 0) |
                     (node_set_has(config->acceptors, config->node) ? DUTY_ACCEPTS : 0) |
                     (node_set_has(config->learners, config->node) ? DUTY_LEARNS : 0));
}

/* A question for a newer configuration than that of slot `known`, and the answer: the newest one that a node knows. Only who
 * was asked knows the question's number (a time of the clock of who asks), which the answer repeats. So a node does not take
 * what it did not ask for, in whose name it ever comes. `entry` is room for what the answer points to. */
struct message configurations_question(uint64_t known, uint64_t number);
struct message configurations_answer(const struct configuration *newest, const struct payload *text,
                                     const struct message *question, struct entry *entry);
/* Reads what answers the question of the number `*question` (0: none is open) with a newer configuration than is known. Its
 * text is the message's. True: the question is no longer open. */
bool configurations_answered(const struct configurations *known, uint64_t *question, const struct message *m,
                             struct configured *said);

/* Whether this instance of the node was replaced by another one, as the text of a configuration says. Its number tells that
 * also of one that was skipped. */
bool is_replaced_by(const struct node_config *config, const struct payload *text);

#endif
