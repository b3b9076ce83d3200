/* What happens next in a world, and what is judged while it goes on. */
#include <malloc.h>
#include <string.h>

#include "sim/world.h"

enum {
    SECOND = 1000000,
    MEMORY_EVERY = 8192, /* turns */
};

/* Memory that the world may use beyond what its nodes wrote to their disks. */
static const uint64_t memory_bytes_max = UINT64_C(512) << 20;

enum happening {
    NOTHING,
    STRIKE,
    CLIENTS,
    STRANGERS,
    GREETINGS,
    OPERATOR,
    START,
    BEGIN,
    POWER_LOSS,
    FLOWN,
    SNAPSHOT,
    NETWORK,
    PORT,
    TURN
};

struct next {
    uint64_t at;
    enum happening what;
    struct machine *machine;
};

static void sooner(struct next *next, uint64_t at, enum happening what, struct machine *m)
{
    if (at < next->at)
        *next = (struct next){at, what, m};
}

static struct next find_next(struct world *w)
{
    struct next next = {UINT64_MAX, NOTHING, NULL};
    sooner(&next, w->strike_at, STRIKE, NULL);
    sooner(&next, clients_next(w->clients), CLIENTS, NULL);
    if (w->strangers != NULL)
        sooner(&next, strangers_next(w->strangers), STRANGERS, NULL);
    if (w->greetings != NULL)
        sooner(&next, greetings_next(w->greetings), GREETINGS, NULL);
    if (w->plan.changes)
        sooner(&next, w->operator.next_at, OPERATOR, NULL);
    for (uint32_t i = 1; i <= w->plan.nodes; i++) {
        struct machine *m = &w->machines[i];
        if (m->state == MACHINE_UP) {
            sooner(&next, m->power_at, POWER_LOSS, m);
            if (m->storage.flight != FLIGHT_NONE)
                sooner(&next, m->storage.flying_until, FLOWN, m);
            if (m->snapshots.flying)
                sooner(&next, m->snapshots.flying_until, SNAPSHOT, m);
            if (m->network != NULL)
                sooner(&next, machine_network_at(m), NETWORK, m);
            if (m->port != NULL)
                sooner(&next, machine_port_at(m), PORT, m);
            sooner(&next, machine_turn_at(m), TURN, m);
        } else if (m->state == MACHINE_OPENING) {
            sooner(&next, m->power_at, POWER_LOSS, m);
            sooner(&next, m->opening_until, BEGIN, m);
        } else if (m->state == MACHINE_DOWN) {
            sooner(&next, m->restart_at, START, m);
        }
    }
    return next;
}

static void check_memory(struct world *w)
{
    if (w->result->events % MEMORY_EVERY != 0)
        return;
    uint64_t held = mallinfo2().uordblks, disks = 0;
    for (uint32_t i = 1; i <= w->plan.nodes; i++)
        disks += disk_sim_bytes(w->machines[i].disk);
    if (held > w->memory_before + disks + memory_bytes_max)
        checks_fail(w->checks, CHECK_BOUNDS, "the world holds %llu bytes of memory", (unsigned long long)held);
}

static bool has_quorums(const struct world *w)
{
    const struct node_config members = world_members(w), *c = &members;
    node_set up = 0;
    for (uint32_t i = 1; i <= w->plan.nodes; i++) {
        const struct machine *m = &w->machines[i];
        if (m->state == MACHINE_UP && m->recovered && m->paused_until <= w->now)
            up |= node_set_of(i);
    }
    uint32_t acceptors = node_set_count(c->acceptors & up);
    return acceptors >= c->phase1_quorum && acceptors >= c->phase2_quorum && (c->proposers & up) != 0 &&
           node_set_count(c->learners & up) > node_set_count(c->learners) / 2;
}

/* While every quorum is there, and nodes only end or pause one after the other, clients get answers from time to time: there
 * is time for a few elections, and for clients that wait in vain at a node. */
static void check_gap(struct world *w)
{
    const struct node_config c = world_slowest(w);
    uint64_t gap_max = 4 * c.dead_timeout + w->plan.clients.patience_us + SECOND;
    if (w->executed != w->gap_executed || w->healing || !has_quorums(w)) {
        w->gap_since = w->now;
        w->gap_executed = w->executed;
    } else if (w->now - w->gap_since > gap_max) {
        checks_fail(w->checks, CHECK_LIVENESS_GAP, "quorums were up for %llu ms, and no client had an answer",
                    (unsigned long long)(w->now - w->gap_since) / 1000);
    }
}

/* While leadership is moved, and nothing else happens, clients are answered, at the latest after both waits of a handover
 * that fails. */
static void check_pause(struct world *w)
{
    const struct node_config c = world_slowest(w);
    const uint64_t pause_max = 2 * c.suspect_timeout + SECOND / 2;
    if (w->executed != w->gap_executed || w->healing || w->now < WORLD_MOVES_JUDGED_US) {
        w->gap_since = w->now;
        w->gap_executed = w->executed;
    } else if (w->now - w->gap_since > pause_max) {
        checks_fail(w->checks, CHECK_HANDOVER, "leadership was moved, and no client had an answer for %llu ms",
                    (unsigned long long)(w->now - w->gap_since) / 1000);
    }
}

void world_happen(struct world *w)
{
    if (w->judges_moves)
        check_pause(w);
    if (w->judges_gaps)
        check_gap(w);
    struct next next = find_next(w);
    w->now = next.at > w->now && next.at != UINT64_MAX ? next.at : w->now;
    if (w->sockets != NULL)
        sockets_hear_time(w->sockets, w->now);
    if (w->links != NULL)
        sockets_hear_time(w->links, w->now);
    switch (next.what) {
    case STRIKE:
        w->strike_at = w->now + WORLD_STRIKE_EVERY_US;
        world_strike(w);
        break;
    case CLIENTS:
        clients_run(w->clients, w->now);
        if (clients_wrong(w->clients) != NULL)
            checks_fail(w->checks, CHECK_REPLIES, "%s", clients_wrong(w->clients));
        break;
    case STRANGERS:
        strangers_run(w->strangers);
        break;
    case GREETINGS:
        greetings_run(w->greetings);
        break;
    case OPERATOR:
        operator_run(w);
        break;
    case START:
        machine_start(next.machine);
        break;
    case BEGIN:
        machine_begin(next.machine);
        break;
    case POWER_LOSS:
        machine_stop_process(w, next.machine->id, FAULT_LOST_WRITES, dice_range(&w->dice, 1000, SECOND), true);
        break;
    case FLOWN:
        machine_flown(next.machine);
        break;
    case SNAPSHOT:
        machine_snapshots_flown(next.machine);
        break;
    case NETWORK:
        machine_network_run(next.machine);
        break;
    case PORT:
        machine_port_run(next.machine);
        break;
    case TURN:
        machine_turn(next.machine);
        check_memory(w);
        break;
    default:
        checks_fail(w->checks, CHECK_LIVENESS_AFTER_HEAL, "nothing will ever happen any more");
    }
}
