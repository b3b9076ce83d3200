/* Which configurations a learner knows: those executed, which count (P11), and newer ones of which its host knows, so that
 * messages go to their members, too. */
#include "core/agents/learner_agent_internal.h"

void learner_agent_reach(struct learner_agent *agent, node_set fresh)
{
    const struct configurations *c = &agent->contacts;
    const node_set learners = configurations_learners(c);
    progress_configure(&agent->progress, c, fresh);
    catch_up_configure(&agent->catch_up, learners, configurations_acceptors(c), fresh);
    agreement_configure(&agent->agreement, configuration_counted(&c->newest), fresh);
    agreement_configure(&agent->snapshots_agreement, configuration_counted(&c->newest), fresh);
    transfer_configure(&agent->transfer, learners, fresh);
}

/* Says that one was executed; one without a text is not said. */
static void tell_configuration(struct learner_agent *agent, const struct configuration *c, const struct payload *text)
{
    const struct configured said = {.configuration = *c, .text = *text};
    if (text->len > 0)
        effects_configuration(&agent->effects, &said);
}

/* Its members are peers. */
static void reach_members(struct learner_agent *agent, const struct configuration *c)
{
    const node_set forgotten = configurations_forgotten(&agent->contacts, c);
    if (configurations_learn(&agent->contacts, c))
        learner_agent_reach(agent, forgotten);
}

/* The learner counts by it, and keeps as many slots as may be in flight. */
static void count_by(struct learner_agent *agent, const struct configuration *c)
{
    const uint64_t window = learner_window(c->alpha);
    learner_configure(agent->learner, c);
    agent->window = window > agent->window ? window : agent->window;
    results_widen(&agent->results, agent->window);
}

void learner_agent_note_configuration(struct learner_agent *agent)
{
    const struct execution *x = &agent->execution;
    const struct configuration *newest = &x->configurations.newest;
    count_by(agent, newest);
    agent->replaced = agent->replaced || is_replaced_by(&agent->config, &x->text);
    tell_configuration(agent, newest, &x->text);
    reach_members(agent, newest);
    agent->progress_wanted = true;
}

void learner_agent_settle(struct learner_agent *agent)
{
    struct configurations *c = &agent->contacts;
    if (!configurations_pending(c) || progress_held(&agent->progress, configuration_counted(&c->newest)) < c->newest.governs)
        return;
    configurations_settle(c);
    learner_agent_reach(agent, 0);
    const struct configured settled = {.configuration = c->newest, .settled = true};
    effects_configuration(&agent->effects, &settled);
}

bool learner_agent_is_at_boundary(const struct learner_agent *agent, uint64_t told, uint64_t now)
{
    const uint64_t governs = agent->execution.configurations.newest.governs;
    return told < governs && now >= governs;
}

void learner_agent_configuration(struct learner_agent *agent, const struct configured *said)
{
    const struct configuration *c = &said->configuration;
    const node_set forgotten = configurations_forgotten(&agent->contacts, c);
    if (c->slot == 0 || !configurations_given(&agent->contacts, said))
        return;
    agent->replaced = agent->replaced || is_replaced_by(&agent->config, &said->text);
    learner_agent_reach(agent, forgotten);
}

void learner_agent_load_configurations(struct learner_agent *agent)
{
    const struct execution *x = &agent->execution;
    const struct configuration *before = &x->configurations.before;
    if (x->configurations.newest.slot == 0)
        return;
    if (before->acceptors != 0) {
        count_by(agent, before);
        tell_configuration(agent, before, &x->text_before);
        reach_members(agent, before);
    }
    learner_agent_note_configuration(agent);
}

/* A node wants to know the newest configuration. While that is not settled, who does not know the one before either hears
 * that first: a leader is needed below the boundary, too. It hears one in a step, because texts are long. */
static void tell_newest(struct learner_agent *agent, uint32_t sender, const struct message *question)
{
    struct entry entry;
    const struct execution *x = &agent->execution;
    const struct configuration *before = &x->configurations.before;
    const bool first = configurations_pending(&agent->contacts) && before->slot > question->from && x->text_before.len > 0;
    const struct message answer = configurations_answer(first ? before : &x->configurations.newest,
                                                        first ? &x->text_before : &x->text, question, &entry);
    if (answer.from <= question->from || entry.value.len == 0 || node_set_has(agent->told_configuration, sender))
        return;
    agent->told_configuration |= node_set_of(sender);
    effects_send(&agent->effects, node_set_of(sender), effects_keep(&agent->effects, &answer));
}

void learner_agent_configuration_message(struct learner_agent *agent, uint32_t sender, const struct message *m)
{
    if (m->entries.len == 0) {
        tell_newest(agent, sender, m);
        return;
    }
    struct configured said;
    if (!configurations_answered(&agent->contacts, &agent->question, m, &said))
        return;
    learner_agent_configuration(agent, &said);
    effects_configuration(&agent->effects, &said);
}

void learner_agent_ask_for_configuration(struct learner_agent *agent, uint64_t now)
{
    const uint64_t known = agent->contacts.newest.slot;
    const bool lacks = agent->leader_configuration > known && duties_of(&agent->config) == DUTY_LEARNS;
    if (!lacks || agent->lacks_since == 0)
        agent->lacks_since = lacks ? now : 0;
    if (!lacks || now - agent->lacks_since < agent->config.retry_interval)
        return;
    agent->question = agent->question != 0 ? agent->question : now;
    agent->lacks_since = now;
    const struct message ask = configurations_question(known, agent->question);
    effects_send(&agent->effects, node_set_of(agent->leader_ballot.node), &ask);
}
