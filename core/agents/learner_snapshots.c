/* Which slots a learner lacks, and what it does with snapshots: it goes on from one, saves, sends and fetches them (decision
 * 0040), and cuts its journal. */
#include "core/agents/learner_agent_internal.h"

/* The state is that of a snapshot: all slots before `slot` are executed. */
static void skip_to(struct learner_agent *agent, uint64_t slot)
{
    learner_skip(agent->learner, slot);
    for (uint64_t left = agent->recorded.capacity; left > 0 && agent->recorded.base < slot; left--)
        slot_ring_advance(&agent->recorded);
    agent->recorded.base = agent->executed = slot;
    results_skip(&agent->results, slot);
    catch_up_keep_from(&agent->catch_up, slot);
    agreement_executed(&agent->agreement, slot, agent->execution.state_hash);
    if (!agent->recovered)
        recovery_skip(&agent->recovery, slot);
}

/* Records below those of the oldest snapshot's slot, and of some slots before it, are not needed. The agent has to hear
 * first of all records that there are: the acceptor may have appended some before this step. */
static void truncate_journal(struct learner_agent *agent)
{
    const uint64_t oldest = transfer_oldest(&agent->transfer).slot, keep = agent->config.journal_keep_slots;
    if (!agent->recovered || oldest <= keep)
        return;
    catch_up_keep_from(&agent->catch_up, oldest - keep);
    if (oldest < agent->loaded_slot)
        return; /* in this life, nothing is known of the records between the two */
    const uint64_t lsn = catch_up_oldest(&agent->catch_up, agent->effects.lsn);
    if (lsn <= agent->truncated_lsn)
        return;
    agent->truncated_lsn = lsn;
    const struct truncation said = {.lsn = lsn, .after = agent->effects.lsn - 1}; /* the marks so far are needed */
    effects_add(&agent->effects, EFFECT_TRUNCATE)->val.truncate = said;
}

static bool load_chunk(struct learner_agent *agent, const struct snapshot_item *item)
{
    const struct bytes chunk = {.ptr = payload_bytes(&item->value), .len = item->value.len};
    const bool is_sessions = item->id == SNAPSHOT_SESSIONS || item->id == SNAPSHOT_SESSIONS_LAST;
    const bool last = item->id == SNAPSHOT_SESSIONS_LAST || item->id == SNAPSHOT_STATE_LAST;
    const bool first = agent->loading.chunks == 0 || agent->loading.piece == SNAPSHOT_SESSIONS_LAST;
    const char *error;
    agent->loading.chunks++;
    if (is_sessions)
        return sessions_snapshot_load(agent->execution.sessions, chunk, first, last);
    if (first)
        execution_loads(&agent->execution);
    return state_machine_snapshot_load(agent->execution.machine, chunk, first, last, &error);
}

static void load_piece(struct learner_agent *agent, const struct snapshot_item *item)
{
    struct loading *l = &agent->loading;
    if (l->state == LOADING_NOTHING || l->state == LOADING_LOST) {
        saving_loading(&agent->saving);
        l->first = payload_copy(&item->value);
        l->state = item->id == SNAPSHOT_LEARNER ? LOADING_STATE : LOADING_REFUSED;
    } else if (l->state != LOADING_STATE || !snapshot_pieces_follow(l->piece, (uint32_t)item->id) ||
               !load_chunk(agent, item)) {
        l->state = LOADING_REFUSED;
    } else if (item->id == SNAPSHOT_STATE_LAST) {
        l->state = LOADING_WHOLE;
    }
    l->piece = (uint32_t)item->id;
}

/* All pieces have been given, or there are no more. At start, snapshots that are newer than the one that was given are
 * damaged. */
static void end_loading(struct learner_agent *agent, const struct snapshot_item *item)
{
    struct loading *l = &agent->loading;
    const bool is_loaded = item->kind == SNAPSHOT_LOADED && l->state == LOADING_WHOLE;
    if (!agent->recovered)
        transfer_forget_after(&agent->transfer, item->id);
    if (l->state == LOADING_NOTHING)
        return;
    if (is_loaded && execution_load(&agent->execution, &l->first, item->id)) {
        learner_agent_load_configurations(agent);
        agent->loaded_slot = item->id;
        saving_loaded(&agent->saving, &agent->execution);
        skip_to(agent, item->id);
        if (agent->recovered) {
            execution_left_out(&agent->execution);
            learner_agent_mark_snapshot(agent);
            agent->truncate_wanted = true;
        }
    } else if (item->kind == SNAPSHOT_LOADED || agent->recovered) {
        agent->unloadable = item->id != 0 ? item->id : l->lost;
    }
    payload_free(&l->first);
    *l = (struct loading){.state = is_loaded || agent->unloadable != 0 ? LOADING_NOTHING : LOADING_LOST,
                          .lost = l->chunks > 0 ? item->id : l->lost};
}

static void on_stored(struct learner_agent *agent, const struct snapshot_item *item)
{
    const struct snapshot_id newest = transfer_newest(&agent->transfer);
    if (newest.slot != item->id || !agent->recovered)
        return;
    agreement_executed(&agent->snapshots_agreement, newest.slot, newest.checksum);
    agent->announce_wanted = true;
    if (newest.slot <= agent->executed) /* otherwise it was fetched, and has to be loaded first */
        agent->truncate_wanted = true;
}

void learner_agent_snapshot(struct learner_agent *agent, const struct snapshot_item *item)
{
    saving_told(&agent->saving, item);
    transfer_told(&agent->transfer, item, agent->executed);
    if (item->kind == SNAPSHOT_LOADED_PIECE)
        load_piece(agent, item);
    else if (item->kind == SNAPSHOT_LOADED || (item->kind == SNAPSHOT_FAILED && agent->loading.state != LOADING_NOTHING))
        end_loading(agent, item);
    else if (item->kind == SNAPSHOT_STORED)
        on_stored(agent, item);
}

struct learner_gap learner_agent_missing(const struct learner_agent *agent)
{
    struct learner_gap gap = learner_missing(agent->learner);
    const uint64_t executed = progress_executed_anywhere(&agent->progress);
    if (gap.from != gap.to || agent->executed < gap.from || executed <= gap.from)
        return gap;
    const uint64_t small = agent->config.learn_gap_max > 2 ? agent->config.learn_gap_max - 1 : 1;
    gap.to = executed - gap.from < small ? executed : gap.from + small;
    return gap;
}

void learner_agent_snapshot_of_peer(struct learner_agent *agent, uint32_t sender, const struct message *m)
{
    const struct learner_gap gap = learner_agent_missing(agent);
    agreement_heard(&agent->snapshots_agreement, sender, m->from, m->batch.number);
    if (!transfer_heard(&agent->transfer, sender, m, agent->executed) || gap.from == gap.to || !agent->catch_up.waiting)
        return;
    saving_give_up(&agent->saving, &agent->effects);
    transfer_fetch(&agent->transfer, sender);
}

bool learner_agent_go_on_with_snapshots(struct learner_agent *agent, uint64_t now, bool more)
{
    const bool is_loading = agent->transfer.state == FETCH_LOADING;
    const bool saved = !is_loading && saving_step(&agent->saving, &agent->execution, agent->held.to, now, &agent->effects);
    transfer_step(&agent->transfer, agent->executed, now);
    if (agent->truncate_wanted)
        truncate_journal(agent);
    agent->truncate_wanted = false;
    if (agent->announce_wanted)
        transfer_announce(&agent->transfer, now);
    agent->announce_wanted = false;
    return saved || (more && !agent->execution.stalled);
}
