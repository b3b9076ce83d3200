#include "core/agents/configurations.h"

#include "core/formats/configuration.h"
#include "core/formats/frame.h"

void configurations_init(struct configurations *c, const struct node_config *config)
{
    *c = (struct configurations){0};
    c->newest.alpha = config->alpha;
    c->newest.state_bytes_max = config->state_bytes_max;
    c->newest.acceptors_send_learns = config->acceptors_send_learns;
    if (config->joined == 0) {
        c->newest.proposers = config->proposers;
        c->newest.acceptors = config->acceptors;
        c->newest.learners = config->learners;
        c->newest.phase1_quorum = config->phase1_quorum;
        c->newest.phase2_quorum = config->phase2_quorum;
    }
    c->before = c->newest;
}

/* The one that `c` replaces, if it was the first one: that has the same members and quorums, and was not chosen. */
static struct configuration first_of(const struct configuration *c)
{
    struct configuration first = *c;
    first.slot = first.governs = first.replaces = 0;
    first.joining = first.fresh = 0;
    return first;
}

node_set configurations_forgotten(const struct configurations *c, const struct configuration *added)
{
    if (added->slot <= c->newest.slot)
        return 0;
    return added->replaces == c->newest.slot ? added->fresh : ~(node_set)0;
}

bool configurations_learn(struct configurations *c, const struct configuration *added)
{
    if (added->slot > c->newest.slot) {
        const struct configuration unknown = {.slot = added->replaces};
        c->before = added->replaces == 0 ? first_of(added) : added->replaces == c->newest.slot ? c->newest : unknown;
        c->newest = *added;
        return true;
    }
    const bool fits = added->slot != 0 && added->slot == c->newest.replaces && c->newest.slot != added->slot;
    if (!fits || c->before.slot != added->slot || c->before.acceptors != 0)
        return false;
    c->before = *added;
    return true;
}

bool configurations_given(struct configurations *c, const struct configured *said)
{
    if (!configurations_learn(c, &said->configuration))
        return false;
    if (said->settled && said->configuration.slot == c->newest.slot)
        configurations_settle(c);
    return true;
}

uint64_t configurations_limit(const struct configurations *c, uint64_t acting, uint64_t known)
{
    if (acting == c->newest.slot)
        return known + c->newest.alpha;
    return acting == c->newest.replaces ? c->newest.governs : 0;
}

void configurations_settle(struct configurations *c) { c->before = c->newest; }

bool is_replaced_by(const struct node_config *config, const struct payload *text)
{
    uint32_t numbers[NODE_ID_MAX + 1];
    configuration_numbers(text, numbers);
    return numbers[config->node] > incarnation_number(config->incarnation);
}

bool configurations_answered(const struct configurations *known, uint64_t *question, const struct message *m,
                             struct configured *said)
{
    const struct entry *e = m->entries.ptr;
    const bool asked = *question != 0 && m->batch.number == *question;
    if (!asked || m->entries.len != 1 || e->slot != m->from || m->from <= known->newest.slot)
        return false;
    *said = (struct configured){.text = e->value};
    if (!configuration_unpack(&said->text, m->from, &said->configuration))
        return false;
    *question = 0;
    return true;
}

struct message configurations_question(uint64_t known, uint64_t number)
{
    return (struct message){.kind = MESSAGE_CONFIGURATION, .from = known, .batch.number = number};
}

struct message configurations_answer(const struct configuration *newest, const struct payload *text,
                                     const struct message *question, struct entry *entry)
{
    *entry = (struct entry){.kind = ENTRY_CONFIGURATION, .slot = newest->slot, .value = *text};
    return (struct message){.kind = MESSAGE_CONFIGURATION,
                            .from = newest->slot,
                            .to = newest->governs,
                            .batch.number = question->batch.number,
                            .entries = {entry, 1}};
}
