/* What a learner's journal holds: values of slots, and marks up to where all slots have one (learner_agent.c). */
#include "core/agents/learner_agent_internal.h"

uint64_t learner_agent_recorded(const struct learner_agent *agent)
{
    return agent->holding_count > 0 ? agent->holdings[agent->holding_count - 1].to : agent->held.to;
}

/* Whether a mark is on its way to the journal that comes after the record `lsn`. Recovery counts such a record by the mark
 * before, which may have had another window. */
static bool is_before_mark(const struct learner_agent *agent, uint64_t lsn)
{
    return agent->holding_count > 0 && agent->holdings[agent->holding_count - 1].lsn > lsn;
}

void learner_agent_note_recorded(struct learner_agent *agent, uint64_t slot, struct ballot ballot, uint64_t lsn)
{
    const uint64_t base = learner_agent_recorded(agent);
    const bool near = slot >= base && slot - base < agent->window && !is_before_mark(agent, lsn);
    if (slot < agent->executed || !(agent->recovered ? near : recovery_is_near(&agent->recovery, slot)))
        return;
    catch_up_note_record(&agent->catch_up, slot, lsn);
    if (!near)
        return;
    struct ballot *recorded = slot_ring_reach(&agent->recorded, slot);
    if (ballot_compare(ballot, *recorded) > 0)
        *recorded = ballot;
}

/* Records that every slot below the first one not executed is chosen, and that those from `from` on have their values in the
 * journal. */
static void append_mark(struct learner_agent *agent, uint64_t from)
{
    const struct entry chosen = {.slot = from, .value = {.words = {&agent->window, 1}, .len = sizeof agent->window}};
    uint64_t lsn = effects_append(&agent->effects, RECORD_CHOSEN, &chosen, agent->executed);
    agent->holdings =
        memory_reserve(agent->holdings, &agent->holding_capacity, agent->holding_count + 1, sizeof *agent->holdings);
    agent->holdings[agent->holding_count++] = (struct holding){agent->executed, lsn, agent->executed_bytes};
    agent->window_written = agent->window;
}

void learner_agent_append_chosen(struct learner_agent *agent) { append_mark(agent, learner_agent_recorded(agent)); }

void learner_agent_mark_window(struct learner_agent *agent)
{
    if (agent->recovered && agent->window_written != 0 && agent->window_written != agent->window)
        learner_agent_append_chosen(agent);
}

void learner_agent_mark_snapshot(struct learner_agent *agent)
{
    if (learner_agent_recorded(agent) < agent->loaded_slot)
        append_mark(agent, agent->loaded_slot);
}

void learner_agent_append_if_not_recorded(struct learner_agent *agent, const struct entry *e)
{
    if (e->slot - learner_agent_recorded(agent) >= agent->window)
        learner_agent_append_chosen(agent);
    struct ballot *recorded = slot_ring_at(&agent->recorded, e->slot);
    if (recorded->round != 0 && ballot_compare(*recorded, e->ballot) >= 0)
        return;
    catch_up_note_record(&agent->catch_up, e->slot, effects_append(&agent->effects, RECORD_LEARNED, e, 0));
    *recorded = e->ballot; /* in case it is executed in a later step only */
}
