#include "sim/machine.h"

#include "core/base/memory.h"
#include "core/formats/serializer.h"
#include "host/composition.h"
#include "sim/guard.h"
#include "sim/world.h"

enum {
    MEMORY_BYTES_MAX = 256 << 20, /* of a component */
    ROOM_MIN_US = 1000,           /* at least so long until there is room on a full disk */
    ROOM_MAX_US = 5000000,
    REPAIR_MIN_US = 500000, /* at least so long until a node is restarted whose disk failed */
    REPAIR_MAX_US = 5000000,
    OTHER_SETTINGS = 300000,    /* per million starts, in worlds in which settings change */
    REMOVES_NOW = 300000,       /* per million groups: a segment is removed, if there is one */
    OPENS_IN_THE_DARK = 150000, /* per million starts: power fails again meanwhile, if it fails at all */
};

static const char cluster_name[] = "simulated";

static void folder_of(const struct machine *m, char path[32]) { snprintf(path, 32, "data/node-%u", m->id); }

/* Its disk does not fail meanwhile: an operator would see that, and format it again. */
void machine_format(struct machine *m)
{
    struct world *w = m->world;
    char path[32];
    uint32_t rates[FAULTS];
    memcpy(rates, m->faults.rate, sizeof rates);
    memset(m->faults.rate, 0, sizeof m->faults.rate);
    folder_of(m, path);
    uint8_t first[16] = {(uint8_t)m->id};
    const uint8_t *instance = m->joined != 0 ? m->instance : first;
    char governed[GOVERNED_TEXT_MAX];
    plan_governed(&w->plan, &m->config, governed);
    bool formatted = data_folder_format(disk_sim_disk(m->disk), path, cluster_name, m->id, instance, governed, &m->problem);
    invariant(formatted);
    disk_sim_settle(m->disk);
    memcpy(m->faults.rate, rates, sizeof rates);
}

void machine_forget(struct machine *m)
{
    struct storage *s = &m->storage;
    struct world *w = m->world;
    disk_sim_free(m->disk);
    m->disk = disk_sim_new(w->plan.seed + (UINT64_C(1) << 32) * ++m->disks, m->id, &m->faults);
    s->durable_ever = s->group_first = s->hangs_until = 0;
    memset(m->known, 0, sizeof m->known);
    m->lost = m->removed = m->leaves = m->alone = false;
    m->state = MACHINE_DOWN;
}

void machine_init(struct machine *m, struct world *w, uint32_t id, const struct ports_operations *ports)
{
    static const enum fault of_disk[] = {FAULT_TORN_WRITE,  FAULT_REORDERED_WRITES, FAULT_READ_ERROR,   FAULT_WRITE_ERROR,
                                         FAULT_FULL_DISK,   FAULT_SLOW_DISK,        FAULT_STALLED_DISK, FAULT_HUNG_DISK,
                                         FAULT_FAILED_SYNC, FAULT_LOST_RENAME};
    m->ports.operations = ports;
    m->world = w;
    m->id = id;
    m->config = w->plan.config;
    m->config.node = id;
    m->host = w->plan.host;
    m->dice = dice_new(w->plan.seed, 100 + id);
    m->observer = serializer_new();
    m->hears = serializer_new();
    m->tells = serializer_new();
    m->offset = 1 + dice_roll(&m->dice, UINT64_C(1) << 40);
    m->arrival_at = m->wake_at = m->power_at = UINT64_MAX;
    m->fuse = -1;
    m->disk = disk_sim_new(w->plan.seed, id, &m->faults);
    m->snapshots.dice = dice_new(w->plan.seed, 400 + id);
    if (node_set_has(w->plan.spares, id))
        m->state = MACHINE_SPARE;
    else
        machine_first_instance(id, m->instance);
    if (m->state != MACHINE_SPARE)
        machine_format(m);
    for (size_t i = 0; i < sizeof of_disk / sizeof of_disk[0]; i++)
        m->faults.rate[of_disk[i]] = w->plan.rate[of_disk[i]];
    if (node_set_has(w->plan.fragile, id))
        m->faults.rate[FAULT_MISDIRECTED_WRITE] = w->plan.rate[FAULT_MISDIRECTED_WRITE];
}

/* A machine with an empty disk is formatted as the instance that `informed` knows. */
void machine_join(struct machine *m, const struct machine *informed)
{
    struct world *w = m->world;
    const struct known *k = &informed->newest;
    const struct member *self = &k->read->members[m->id];
    const struct configuration others = configuration_of(k->read, k->slot);
    machine_forget(m);
    machine_members_close(m);
    memcpy(m->instance, self->instance, sizeof m->instance);
    m->number = self->number;
    m->admitted = k->slot;
    m->joined = w->plan.roles[m->id];
    machine_knows(m, k->slot, &k->text);
    m->alone = informed->alone;
    m->config = w->plan.config;
    m->config.node = m->id;
    m->config.proposers = others.proposers;
    m->config.acceptors = others.acceptors;
    m->config.learners = others.learners;
    m->config.phase1_quorum = others.phase1_quorum;
    m->config.phase2_quorum = others.phase2_quorum;
    m->config.alpha = (uint32_t)configuration_first(k->read, "alpha");
    m->config.state_bytes_max = configuration_first(k->read, "state_bytes_max");
    m->config.admitted = m->admitted;
    m->config.joined = m->joined;
    network_sim_reinstall(w->network, m->id, m->instance);
    letters_forget(&w->letters, m->id);
    machine_format(m);
    checks_replaced(w->checks, m->id, m->number, m->admitted);
    m->restart_at = w->now + plan_rate(&m->dice, 100, 2000000);
    clients_serve(w->clients, m->id, (m->joined & DUTY_PROPOSES) != 0);
}

static void close_files(struct machine *m)
{
    machine_snapshots_close(m);
    if (m->storage.front != NULL)
        journal_front_close(m->storage.front);
    if (m->folder != NULL)
        data_folder_close(m->folder);
    m->storage.front = NULL;
    m->storage.flight = FLIGHT_NONE;
    m->folder = NULL;
}

void machine_close(struct machine *m)
{
    if (m->life != NULL)
        m->life->operations->free(m->life);
    if (m->port != NULL)
        client_port_kill(m->port);
    if (m->network != NULL)
        node_network_kill(m->network);
    close_files(m);
    serializer_free(m->observer);
    serializer_free(m->hears);
    serializer_free(m->tells);
    free(m->altered);
    free(m->frames);
    free(m->sending);
    free(m->batches);
    batch_builder_free(&m->asks);
    machine_members_close(m);
    disk_sim_free(m->disk);
}

uint64_t machine_clock(const struct machine *m, uint64_t now)
{
    return m->offset + now + (uint64_t)((int64_t)now * m->drift / 1000000);
}

uint64_t machine_wall_clock(const struct machine *m, uint64_t now)
{
    return (uint64_t)((int64_t)(WORLD_BEGINS_MS + now / 1000) + m->wall_clock_ahead);
}

/* The world's time at which the clock shows `local`; never early. */
static uint64_t world_time(const struct machine *m, uint64_t now, uint64_t local)
{
    uint64_t shown = machine_clock(m, now);
    if (local == UINT64_MAX || local <= shown)
        return local == UINT64_MAX ? UINT64_MAX : now;
    uint64_t wait = local - shown;
    return now + wait - (uint64_t)((int64_t)wait * m->drift / (1000000 + m->drift)) + 1;
}

uint64_t machine_turn_at(const struct machine *m)
{
    uint64_t at = m->wake_at < m->arrival_at ? m->wake_at : m->arrival_at;
    if (m->network != NULL && node_network_waiting(m->network))
        at = 0;
    if (!m->stopping && machine_clients_waiting(m))
        at = 0;
    if (m->asks_untold && !m->stopping)
        at = 0;
    at = at < m->busy_until ? m->busy_until : at;
    return at < m->paused_until ? m->paused_until : at;
}

/* ---- down and up ---- */

void machine_stop(struct machine *m, enum fault fault, uint64_t delay)
{
    struct world *w = m->world;
    if (m->state != MACHINE_UP && m->state != MACHINE_OPENING)
        return;
    world_trace(w, m->id, TRACE_STOP, fault < FAULTS ? fault : TRACE_NO_FAULT, 0, 0);
    if (m->state == MACHINE_UP) {
        if (!journal_front_settled(m->storage.front))
            checks_reached(w->checks)[REACHED_HELD_AT_CRASH]++;
        if (m->life != NULL)
            m->life->operations->free(m->life);
        m->life = NULL;
        checks_down(w->checks, m->id);
        network_sim_stop(w->network, m->id, dice_chance(&m->dice, 500000));
        machine_network_down(m);
        machine_clients_down(m);
    }
    close_files(m);
    bool over = m->ghost; /* it is not restarted */
    m->state = over ? MACHINE_RETIRED : MACHINE_DOWN;
    m->restart_at = over ? UINT64_MAX : w->now + delay;
    m->arrival_at = m->wake_at = m->power_at = UINT64_MAX;
    m->fuse = -1;
    m->dead = m->stopping = m->power_fails = m->diverged = m->refuses = false;
    m->leader = 0;
    if (m->asks_token != 0)
        world_leave_in_doubt(w, m);
    m->asks_token = 0;
    m->asks_untold = false;
    m->watch_told = 0;
    m->proposer_state = PROPOSER_FOLLOWING;
}

void machine_stop_process(struct world *w, uint32_t node, enum fault fault, uint64_t delay, bool power)
{
    bool any_up = false;
    for (uint32_t i = 1; i <= w->plan.nodes; i++) {
        struct machine *m = &w->machines[i];
        if (w->plan.process[i] == w->plan.process[node] && machine_is_there(m)) {
            machine_stop(m, fault, delay);
            if (power)
                disk_sim_power_loss(m->disk);
        }
        any_up = any_up || m->state == MACHINE_UP;
    }
    if (!any_up)
        checks_reached(w->checks)[REACHED_ALL_DOWN]++;
}

void machine_retire(struct machine *m)
{
    machine_stop(m, FAULTS, 0);
    m->state = MACHINE_RETIRED;
    m->restart_at = UINT64_MAX;
    checks_retired(m->world->checks, m->id);
}

static void on_notice(void *context, const char *text)
{
    struct machine *m = context;
    (void)text;
    checks_reached(m->world->checks)[REACHED_TORN_TAIL]++;
}

static bool open_files(struct machine *m)
{
    char path[32], governed[GOVERNED_TEXT_MAX];
    folder_of(m, path);
    plan_governed(&m->world->plan, &m->config, governed);
    struct disk *disk = disk_sim_disk(m->disk);
    if (!data_folder_open_guarded(&m->folder, disk, path, cluster_name, m->id, DATA_FOLDER_LOCK, governed, &m->problem))
        return false;
    const struct journal_front_options options = {
        .store.disk = disk,
        .store.folder = path,
        .store.identity = *data_folder_identity(m->folder),
        .store.memory = {data_folder_newest_segment, m->folder},
        .store.durability = DURABILITY_FSYNC,
        .store.segment_bytes = m->host.segment_bytes,
        .store.on_notice = on_notice,
        .store.context = m,
        .store.index_bytes = m->host.index_bytes,
        .store.recover_bytes = m->host.recover_bytes,
        .store.scan_bytes = m->host.scan_bytes,
        .group_bytes = m->host.group_bytes,
    };
    return journal_front_open(&m->storage.front, &options, m->world->now, &m->problem) && machine_snapshots_open(m, path);
}

uint64_t machine_refusals(const struct machine *m)
{
    const uint64_t *fired = m->faults.fired;
    return fired[FAULT_READ_ERROR] + fired[FAULT_WRITE_ERROR] + fired[FAULT_FULL_DISK] + fired[FAULT_FAILED_SYNC];
}

static void not_opened(struct machine *m, bool disk_failed)
{
    struct world *w = m->world;
    close_files(m);
    if (disk_failed && m->ghost) {
        machine_retire(m); /* one boot more, and its life would have a number that others have heard */
    } else if (disk_failed) {
        if (dice_chance(&m->dice, 500000)) /* otherwise the machine stays up, and what was written stays in its memory */
            disk_sim_power_loss(m->disk);
        m->restart_at = w->now + dice_range(&m->dice, REPAIR_MIN_US, REPAIR_MAX_US);
    } else if (m->regoverned != 0 && m->problem.exit_code == EXIT_BAD_INPUT) { /* its operator looks at the file again */
        checks_reached(w->checks)[REACHED_GOVERNED_REFUSED]++;
        plan_govern(&w->plan, &m->config);
        m->regoverned = 0;
        m->restart_at = w->now + dice_range(&m->dice, REPAIR_MIN_US, REPAIR_MAX_US);
    } else if (disk_sim_damaged(m->disk)) {
        w->result->refused++;
        checks_reached(w->checks)[REACHED_RECOVERY_REFUSED]++;
        machine_retire(m);
    } else {
        checks_fail(w->checks, CHECK_RECOVERY, "node %u does not start on a sound disk: %s", m->id, m->problem.text);
        m->restart_at = UINT64_MAX;
    }
}

/* Reads the file, which its operator may have changed. */
static void read_file(struct machine *m)
{
    const struct world *w = m->world;
    if (w->faults.rate[FAULT_RECONFIGURED] > 0 && dice_chance(&m->dice, OTHER_SETTINGS))
        plan_reconfigure(&w->plan, &m->config, &m->host, &m->dice);
    if (m->regoverned != 0)
        plan_regovern(&w->plan, &m->config, m->regoverned);
}

void machine_start(struct machine *m)
{
    uint64_t before = machine_refusals(m);
    read_file(m);
    if (!open_files(m)) {
        not_opened(m, machine_refusals(m) > before);
        return;
    }
    m->state = MACHINE_OPENING;
    uint64_t takes = disk_sim_time(m->disk);
    m->opening_until = m->world->now + takes;
    if (m->world->faults.rate[FAULT_LOST_WRITES] > 0 && dice_chance(&m->dice, OPENS_IN_THE_DARK))
        m->power_at = m->world->now + dice_roll(&m->dice, takes + 1);
}

uint32_t machine_incarnation(const struct machine *m)
{
    return m->number << MACHINE_BOOTS_BITS | data_folder_identity(m->folder)->incarnation;
}

static bool give_life(struct machine *m)
{
    const struct world *w = m->world;
    if (w->options.engine == NULL)
        return node_native_new(&m->life, &m->ports, &m->problem) &&
               m->life->operations->start(m->life, &m->config, &m->problem);
    const struct node_config *c = &m->config;
    const uint8_t duties = w->plan.roles[m->id];
    bool elects = (duties & DUTY_PROPOSES) != 0, votes = (duties & DUTY_ACCEPTS) != 0;
    const uint8_t with_votes = elects ? ROLE_COORDINATOR : ROLE_ACCEPTOR, without = elects ? ROLE_PROPOSER : ROLE_LEARNER;
    const struct config_node node = {
        .role = votes ? with_votes : without, .serializer = PLACE_GUEST, .granularity = w->options.granularity};
    char file[4096];
    composition_file(file, sizeof file, w->options.nodes_folder, &node, c->leader_rule);
    const struct node_wasm_options options = {
        .engine = w->options.engine,
        .file = file,
        .memory_bytes_max = config_component_bytes_max(&node, MEMORY_BYTES_MAX),
        .turn_timeout = WORLD_TURN_TIMEOUT_US,
    };
    return node_wasm_new(&m->life, &options, &m->ports, &m->problem) && m->life->operations->start(m->life, c, &m->problem);
}

/* Those that are gone again included. */
static uint64_t segments_made(const struct journal_front *f)
{
    const struct journal_store_statistics s = journal_front_statistics(f);
    return s.segments + s.dropped;
}

void machine_begin(struct machine *m)
{
    struct world *w = m->world;
    struct storage *s = &m->storage;
    disk_sim_settle(m->disk);
    m->state = MACHINE_UP;
    m->config.incarnation = machine_incarnation(m);
    m->config.seed = (struct seed){dice_next(&m->dice), dice_next(&m->dice)};
    world_trace(w, m->id, TRACE_START, m->config.incarnation, 0, 0);
    checks_starts(w->checks, m->id, m->config.incarnation);
    checks_bytes_in_flight(w->checks, m->id, m->config.bytes_in_flight_max);
    s->segments = segments_made(s->front);
    m->recovered = m->resumes = false;
    m->recovered_to = 0;
    m->credit = (struct credit){0};
    m->wake_at = w->now;
    m->paused_until = m->busy_until = m->blocked = 0;
    if (m->storm > 0) {
        m->storm--;
        m->fuse = (int64_t)dice_roll(&m->dice, 10);
        m->fuse_fault = FAULT_RESTART_STORM;
    }
    m->refused_by = m->heard = 0;
    m->given = m->given_first = false;
    network_sim_start(w->network, m->id, m->config.incarnation, data_folder_identity(m->folder)->nonce, w->now);
    machine_network_up(m);
    machine_clients_up(m);
    machine_snapshots_begin(m);
    if (!give_life(m))
        checks_fail(w->checks, CHECK_TRAP, "node %u: %s", m->id, m->problem.text);
}

/* A call that waits for the disk: nothing that the node does afterwards comes before it is over. */
bool machine_has_read(struct machine *m)
{
    const uint64_t takes = disk_sim_time(m->disk);
    if (m->world->faults.rate[FAULT_LOST_WRITES] > 0 && dice_chance(&m->dice, OPENS_IN_THE_DARK)) {
        m->dead = true;
        m->fuse_fault = FAULT_LOST_WRITES;
        return false;
    }
    m->blocked = takes;
    disk_sim_settle(m->disk);
    return true;
}

/* Everything that was ever durable must have come back. If the disk was harmed, only the last group may be missing, because
 * that looks like a torn write; and a node that forgets must not go on. */
void machine_recovered(struct machine *m)
{
    struct world *w = m->world;
    struct storage *s = &m->storage;
    m->recovered = true;
    world_trace(w, m->id, TRACE_RECOVERED, 0, m->recovered_to, 0);
    if (m->ghost)
        return;
    if (m->recovered_to >= s->durable_ever) {
        /* including what a failed sync left, since it was written and synced once more (J10) */
        s->durable_ever = m->recovered_to;
        checks_up(w->checks, m->id);
    } else if (disk_sim_damaged(m->disk) && m->recovered_to + 1 >= s->group_first) {
        w->result->cut_silently++;
        m->dead = true;
        m->fuse_fault = FAULTS; /* to be retired */
    } else {
        checks_fail(w->checks, CHECK_RECOVERY, "node %u comes back with lsn %llu, and %llu was durable", m->id,
                    (unsigned long long)m->recovered_to, (unsigned long long)s->durable_ever);
    }
}

/* ---- turns ---- */

/* What was appended is on its way, unless a group is already; when nothing was written for a while, a mark. */
static void submit(struct machine *m)
{
    struct world *w = m->world;
    struct storage *s = &m->storage;
    if (s->flight != FLIGHT_NONE || !m->recovered)
        return;
    journal_front_submit(s->front);
    journal_front_idle(s->front, w->now);
    s->group = journal_front_next(s->front, w->now);
    if (s->group == NULL)
        return;
    bool written = journal_front_write(s->front, s->group, &m->problem);
    s->flight = written ? FLIGHT_WRITTEN : m->problem.no_room ? FLIGHT_NO_ROOM : FLIGHT_FAILED;
    if (s->flight == FLIGHT_NO_ROOM) {
        journal_front_written(s->front, s->group, &m->problem, w->now);
        /* An operator makes room at some time, and the journal sees it when it looks for it the next time. */
        const uint64_t room_at = w->now + dice_range(&m->dice, ROOM_MIN_US, ROOM_MAX_US);
        const uint64_t retry_at = journal_front_retry_at(s->front);
        s->flying_until = room_at > retry_at ? room_at : retry_at;
        checks_reached(w->checks)[REACHED_NO_ROOM]++;
    } else {
        s->flying_until = w->now + disk_sim_time(m->disk);
        if (s->flying_until < s->hangs_until)
            s->flying_until = s->hangs_until;
    }
    if (m->power_fails)
        m->power_at = w->now + dice_roll(&m->dice, s->flying_until - w->now + 1);
}

/* At some time a segment goes that is not needed any more: nothing depends on when. */
static void remove_segment(struct machine *m)
{
    struct storage *s = &m->storage;
    if (journal_store_removable(journal_front_store(s->front)) == 0 || !dice_chance(&m->dice, REMOVES_NOW))
        return;
    const uint64_t first_lsn = journal_front_removal(s->front, m->world->now);
    if (first_lsn == 0)
        return;
    bool removed = journal_store_remove(journal_front_store(s->front), first_lsn, &m->problem);
    journal_front_removed(s->front, removed ? NULL : &m->problem, m->world->now);
    checks_reached(m->world->checks)[REACHED_SEGMENT_REMOVED] += removed;
}

/* The group in flight is durable. */
static void landed(struct machine *m)
{
    struct world *w = m->world;
    struct storage *s = &m->storage;
    disk_sim_settle(m->disk);
    if (s->group->group.count > 0)
        s->group_first = s->group->group.first_lsn;
    journal_front_written(s->front, s->group, NULL, w->now);
    journal_front_retire(s->front);
    s->durable_ever = journal_front_durable(s->front);
    uint64_t segments = segments_made(s->front);
    checks_reached(w->checks)[REACHED_SEGMENT_ROLLED] += segments - s->segments;
    s->segments = segments;
    remove_segment(m);
    world_trace(w, m->id, TRACE_DURABLE, 0, s->durable_ever, 0);
    checks_durable(w->checks, m->id, s->durable_ever);
}

void machine_flown(struct machine *m)
{
    struct world *w = m->world;
    const uint8_t flight = m->storage.flight;
    m->storage.flight = FLIGHT_NONE;
    if (flight == FLIGHT_FAILED) { /* P14: final. After a while the machine is repaired and restarted. */
        bool rebooted = dice_chance(&m->dice, 500000);
        machine_stop_process(w, m->id, FAULT_FAILED_SYNC, dice_range(&m->dice, REPAIR_MIN_US, REPAIR_MAX_US), rebooted);
        return;
    }
    if (flight == FLIGHT_WRITTEN)
        landed(m);
    m->wake_at = w->now;
    submit(m);
}

/* An audit walks all that a node keeps, which costs more than the turn. What it finds stays wrong, so that one turn in a few
 * is enough; a prime number, so that the nodes' turns do not fall into step with it. */
enum { AUDIT_EVERY = 7 };

struct turn {
    struct machine *m;
    uint64_t now, deadline;
    enum { TURN_BROKEN, TURN_NOT_AUDITED, TURN_SOUND } state; /* how far the turn got */
};

static void native_turn(void *context)
{
    struct turn *turn = context;
    struct machine *m = turn->m;
    if (!m->life->operations->turn(m->life, turn->now, &turn->deadline, &m->problem))
        return;
    turn->state = TURN_NOT_AUDITED;
    if (m->world->result->events % AUDIT_EVERY == 0 && m->life->operations->audit != NULL)
        m->life->operations->audit(m->life);
    turn->state = TURN_SOUND;
}

/* A life that trapped is in an unknown state, so it is not even freed. It is kept, so that a leak checker does not report
 * it. */
static void abandon(struct machine *m)
{
    static struct node_life **abandoned;
    static size_t count, capacity;
    abandoned = memory_reserve(abandoned, &capacity, count + 1, sizeof(struct node_life *));
    abandoned[count++] = m->life;
    m->life = NULL;
}

/* False: the node trapped. */
static bool take_turn(struct machine *m, uint64_t now, uint64_t *deadline)
{
    struct turn turn = {m, now, now, TURN_BROKEN};
    if (m->world->options.engine != NULL)
        native_turn(&turn);
    else if (!guard_call(native_turn, &turn))
        abandon(m);
    *deadline = turn.deadline;
    if (turn.state == TURN_NOT_AUDITED)
        checks_fail(m->world->checks, CHECK_ACCOUNTS, "what node %u counts is not what it holds", m->id);
    return turn.state == TURN_SOUND;
}

static void note_status(struct machine *m)
{
    struct world *w = m->world;
    struct node_status status;
    if (!m->life->operations->status(m->life, &status, &m->problem)) {
        checks_fail(w->checks, CHECK_TRAP, "node %u: %s", m->id, m->problem.text);
        return;
    }
    bool runs = status.proposer_state == PROPOSER_PREPARING || status.proposer_state == PROPOSER_LEADING;
    if (runs && m->proposer_state != status.proposer_state)
        world_replay(w, m);
    w->led += status.proposer_state == PROPOSER_LEADING && m->proposer_state != status.proposer_state;
    m->proposer_state = status.proposer_state;
    m->ballot = status.ballot;
    m->executed = status.executed;
    world_trace(w, m->id, TRACE_STATE, 0, status.executed, status.state_hash);
    checks_status(w->checks, m->id, &status);
    if (m->stopping && (status.batches_waiting == 0 || w->now >= m->stop_until))
        machine_stop(m, FAULTS, dice_range(&m->dice, 1000, 500000));
}

/* Decides what becomes of a process that stopped in the middle of a turn. */
static void burnt(struct machine *m)
{
    struct world *w = m->world;
    enum fault fault = m->fuse_fault;
    uint64_t delay = dice_range(&m->dice, 1000, 1000000);
    if (fault == FAULTS) {
        machine_retire(m);
        return;
    }
    if (fault == FAULT_FAILED_SYNC) { /* its disk refused a call while the journal was read */
        machine_stop_process(w, m->id, fault, dice_range(&m->dice, REPAIR_MIN_US, REPAIR_MAX_US),
                             dice_chance(&m->dice, 500000));
        return;
    }
    if (fault == FAULT_LOST_WRITES) {
        machine_stop_process(w, m->id, fault, delay, true);
        return;
    }
    if (fault == FAULT_SPARE || fault == FAULT_TRAP || fault == FAULT_MEMORY_LIMIT)
        delay = 0; /* the next instance is ready */
    if (fault == FAULT_ENDLESS_LOOP)
        delay = 1000000; /* its deadline */
    if (fault == FAULT_READ_ERROR && disk_sim_damaged(m->disk)) {
        w->result->refused++;
        checks_reached(w->checks)[REACHED_RECOVERY_REFUSED]++;
        machine_retire(m);
        return;
    }
    if (fault != FAULT_READ_ERROR && fault != FAULT_RESTART_STORM)
        fault_fired(&w->faults, fault); /* the others are counted where they begin */
    machine_stop_process(w, m->id, fault, delay, false);
}

/* The others went on without this node, or it could not reach them and no longer knew whether it agrees with them. Its
 * operator restarts it. */
static void diverged(struct machine *m)
{
    struct world *w = m->world;
    bool others = false;
    for (uint32_t i = 1; i <= w->plan.nodes; i++)
        others = others || (i != m->id && w->machines[i].other_state != 0);
    if (m->other_state == 0 && !others) {
        checks_fail(w->checks, CHECK_PREFIX_EQUALITY, "node %u stopped: %s", m->id, m->problem.text);
    } else if (m->other_state != 0) {
        checks_reached(w->checks)[REACHED_DIVERGED]++;
        machine_retire(m);
    } else {
        machine_stop(m, FAULT_OTHER_STATE, dice_range(&m->dice, REPAIR_MIN_US, REPAIR_MAX_US));
    }
}

/* The journal's checksums hold, but a RECORD_CHOSEN in it is not reached, and no snapshot has what is missing: unless one
 * could not be read, which the next life may do. */
static void refuses(struct machine *m)
{
    struct world *w = m->world;
    if (snapshot_front_unread(m->snapshots.front) && !disk_sim_damaged(m->disk)) {
        machine_stop(m, FAULT_READ_ERROR, dice_range(&m->dice, REPAIR_MIN_US, REPAIR_MAX_US));
        return;
    }
    if (!disk_sim_damaged(m->disk)) {
        checks_fail(w->checks, CHECK_RECOVERY, "node %u refuses a sound journal: %s", m->id, m->problem.text);
        return;
    }
    w->result->refused++;
    checks_reached(w->checks)[REACHED_RECOVERY_REFUSED]++;
    machine_retire(m);
}

void machine_leave(struct machine *m)
{
    machine_retire(m);
    m->removed = true;
    checks_reached(m->world->checks)[REACHED_REMOVED_ENDED]++;
    clients_serve(m->world->clients, m->id, false);
}

void machine_turn(struct machine *m)
{
    struct world *w = m->world;
    const uint64_t seen = m->resumes ? m->paused_at : w->now, now = machine_clock(m, seen);
    uint64_t deadline;
    m->resumes = false;
    checks_clock(w->checks, m->id, seen, w->leapt);
    w->result->events++;
    world_trace(w, m->id, TRACE_TURN, now, 0, 0);
    if (m->garbage)
        world_garbage(w, m);
    m->garbage = false;
    bool sound = take_turn(m, now, &deadline);
    m->busy_until = w->now + m->blocked + dice_range(&m->dice, w->plan.turn_us / 2, w->plan.turn_us * 3 / 2);
    m->blocked = 0;
    if (m->dead) {
        burnt(m);
    } else if (!sound && m->diverged) {
        diverged(m);
    } else if (!sound && m->refuses) {
        refuses(m);
    } else if (!sound) {
        checks_fail(w->checks, CHECK_TRAP, "node %u stopped itself: %s", m->id, m->problem.text);
    } else if (m->leaves) {
        machine_leave(m);
    } else {
        m->wake_at = deadline <= now ? w->now : world_time(m, w->now, deadline);
        submit(m);
        note_status(m);
    }
}
