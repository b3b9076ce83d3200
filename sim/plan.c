#include "sim/plan.h"

#include <string.h>

#include "core/base/assert.h"
#include "core/formats/journal.h"
#include "host/config_check.h"
#include "host/config_schema.h"
#include "io/config.h"

const char *const deployment_names[DEPLOYMENTS + 1] = {"any", "coordinator", "standalone", "shared", NULL};
const char *const twin_names[TWINS + 1] = {"any", "shipped", "model", NULL};
const char *const wire_names[WIRES + 1] = {"any", "model", "tcp", "udp", NULL};

enum { MILLISECOND = 1000, SECOND = 1000 * MILLISECOND, MANY = 6 };

/* How many of the limits have standard values, per million. */
enum { STANDARD = 700000 };

/* Dice of their own, so that additions do not change what else a seed decides; how often nodes handle one message at a time;
 * and how often a kind of faults with such dice is on. */
enum {
    HANDLING_STREAM = 2,
    ONE_AT_A_TIME = 40000,
    STATES_STREAM = 3,
    REGOVERNED_STREAM,
    GOVERNED_STREAM,
    GREETINGS_STREAM,
    QUIET_STREAM,
    PORT_STREAM,
    NETWORK_STREAM,
    HANG_STREAM,
    MOVES_STREAM,
    MOVES_ONLY_STREAM,
    DATAGRAMS_STREAM,
    DAMAGE_STREAM,
    CHANGES_STREAM,
    SESSIONS_STREAM,
    READS_STREAM,
    WALL_CLOCK_STREAM,
    SESSIONS_END_STREAM,
    LEASES_STREAM,
    TRANSACTIONS_STREAM,
    LEARNER_PORTS_STREAM,
    STALE_STREAM,
    REFUSED_STREAM,
    ADDED = 300000,
    QUIET = 80000,
    MOVES_ONLY = 40000,
    OFTEN_MOVED = 200000, /* then */
    SHIPPED_PORT = 120000,
    SHIPPED_NETWORK = 100000,
    DATAGRAMS = 70000,
    CHANGES = 150000,
    SESSIONS = 250000,
    LEASES = 250000,
    TRANSACTIONS = 300000,
    LEARNER_PORTS = 500000,
    STALE = 500000,
    STALE_LEAST_MS = 100,
    STALE_MOST_MS = 3000,
    MANY_KEYS = 500000,
    CHANGE_ON = 650000, /* then, of each kind */
    ROUNDS_OF_READS = 800000,
    READERS = 300000,
    SPARES_MOST = 3,
    LEAST_INBOX = 4096,
    LINK_PATIENCE = 5 * SECOND, /* what io/dialer.c asks the system for */
};

/* Bytes that the state may take, and how often that is so little that clients notice. */
enum { STATE_BYTES = 64 << 20, SMALL_STATES = 150000 };
/* And whether sessions that are not used end soon: after so many milliseconds. */
enum { SESSIONS_END = 500000, SESSIONS_END_LEAST = 20, SESSIONS_END_MOST = 5000 };
enum { FEW_SESSIONS = 500000, FEW_SESSIONS_LEAST = 256 << 10, FEW_SESSIONS_MOST = 2 << 20 };

/* Of what is on its way from one node to another: more than comes together. */
enum { QUEUE_BYTES = 64 << 20 };

/* How often a fault happens in worlds in which it is on: per million opportunities. One that the world starts
 * (sim/strikes.c) has an opportunity every 20 ms, the others at each message or call. */
static const struct {
    uint32_t from, to;
    bool struck;
    uint32_t stream; /* number of its dice; 0: the plan's */
} rates[FAULTS] = {
    [FAULT_DROP] = {100, 100000, false, 0},
    [FAULT_DELAY] = {100, 30000, false, 0},
    [FAULT_REORDER] = {100, 100000, false, 0},
    [FAULT_DUPLICATE] = {100, 100000, false, 0},
    [FAULT_REPLAY] = {20, 3000, false, 0},
    [FAULT_CUT_ONE_WAY] = {300, 3000, true, 0},
    [FAULT_CUT] = {300, 3000, true, 0},
    [FAULT_BRIDGE] = {300, 3000, true, 0},
    [FAULT_ISOLATED_LEADER] = {300, 3000, true, 0},
    [FAULT_SIEVE] = {1000, 8000, true, 0},
    [FAULT_HOSTILE] = {3000, 60000, true, 0},
    [FAULT_HOSTILE_GREETING] = {3000, 60000, true, GREETINGS_STREAM},
    [FAULT_HALF_OPEN] = {500, 5000, true, 0},
    [FAULT_STALLED_READER] = {500, 5000, true, 0},
    [FAULT_RESET] = {10, 3000, false, 0},
    [FAULT_LASTING_CUT] = {1000000, 1000000, false, 0},
    [FAULT_BLACK_HOLE] = {1000000, 1000000, false, 0},
    [FAULT_LOST_WRITES] = {2000, 24000, true, 0},
    [FAULT_TORN_WRITE] = {800000, 1000000, false, 0},
    [FAULT_REORDERED_WRITES] = {800000, 1000000, false, 0},
    [FAULT_MISDIRECTED_WRITE] = {100, 5000, false, 0},
    [FAULT_FLIPPED_BYTE] = {500, 10000, true, 0},
    [FAULT_READ_ERROR] = {2, 60, false, 0},
    [FAULT_WRITE_ERROR] = {20, 2000, false, 0},
    [FAULT_FULL_DISK] = {100, 5000, false, 0},
    [FAULT_SLOW_DISK] = {1000, 300000, false, 0},
    [FAULT_STALLED_DISK] = {20, 1000, false, 0},
    [FAULT_HUNG_DISK] = {5, 200, false, 0},
    [FAULT_FAILED_SYNC] = {10, 1000, false, 0},
    [FAULT_LOST_RENAME] = {500000, 900000, false, 0},
    [FAULT_LOST_DISK] = {500, 10000, true, 0},
    [FAULT_OLD_DISK] = {10000, 200000, true, 0},
    [FAULT_DRIFT] = {1000000, 1000000, false, 0},
    [FAULT_JUMP] = {300, 5000, true, 0},
    [FAULT_PAUSE] = {300, 2000, true, 0},
    [FAULT_CRASH] = {500, 8000, true, 0},
    [FAULT_RESTART_STORM] = {200, 1500, true, 0},
    [FAULT_LONG_PAUSE] = {100, 600, true, 0},
    [FAULT_RECONFIGURED] = {200, 3000, true, 0},
    [FAULT_REGOVERNED] = {1000, 10000, true, REGOVERNED_STREAM},
    [FAULT_TRAP] = {200, 5000, true, 0},
    [FAULT_ENDLESS_LOOP] = {200, 2500, true, 0},
    [FAULT_MEMORY_LIMIT] = {200, 5000, true, 0},
    [FAULT_GARBAGE] = {500, 20000, true, 0},
    [FAULT_SPARE] = {500, 10000, true, 0},
    [FAULT_OTHER_STATE] = {500, 10000, true, STATES_STREAM},
    [FAULT_LASTING_HANG] = {1000000, 1000000, false, HANG_STREAM},
    [FAULT_MOVED_LEADER] = {2000, 30000, true, MOVES_STREAM},
    [FAULT_DAMAGE] = {100, 100000, false, DAMAGE_STREAM},
    [FAULT_MEMBER_ADD] = {1000, 10000, true, CHANGES_STREAM},
    [FAULT_MEMBER_REMOVE] = {1000, 10000, true, CHANGES_STREAM},
    [FAULT_MEMBER_REPLACE] = {1000, 10000, true, CHANGES_STREAM},
    [FAULT_SETTINGS] = {1000, 10000, true, CHANGES_STREAM},
    [FAULT_WALL_CLOCK] = {300, 5000, true, WALL_CLOCK_STREAM},
    [FAULT_REFUSED_DIALS] = {1000, 10000, true, REFUSED_STREAM},
};

uint32_t plan_rate(struct dice *dice, uint32_t from, uint32_t to)
{
    uint32_t low = from, high = to, doublings = 0;
    while (low < high / 2) {
        low *= 2;
        doublings++;
    }
    low = from << dice_roll(dice, doublings + 1);
    high = low * 2 < to ? low * 2 : to;
    return (uint32_t)dice_range(dice, low, high > low ? high : low);
}

static node_set nodes_between(uint32_t from, uint32_t to)
{
    node_set set = 0;
    for (uint32_t i = from; i <= to; i++)
        set |= node_set_of(i);
    return set;
}

/* The roles, and which nodes share a process. */
static void draw_members(struct plan *p, struct dice *d)
{
    struct node_config *c = &p->config;
    if (p->deployment == DEPLOYMENT_ANY) {
        static const uint8_t often[] = {DEPLOYMENT_COORDINATOR, DEPLOYMENT_COORDINATOR, DEPLOYMENT_STANDALONE,
                                        DEPLOYMENT_SHARED};
        p->deployment = often[dice_roll(d, sizeof often)];
    }
    if (p->deployment == DEPLOYMENT_COORDINATOR) {
        static const uint8_t often[] = {3, 3, 3, 3, 3, 3, 4, 5, 5, 6, 7, 9};
        p->nodes = often[dice_roll(d, sizeof often)];
        c->proposers = c->acceptors = c->learners = nodes_between(1, p->nodes);
    } else {
        static const uint8_t often[][3] = {{3, 3, 3}, {3, 3, 3}, {2, 3, 2}, {2, 5, 2}, {2, 4, 3}};
        const uint8_t *roles = often[p->deployment == DEPLOYMENT_SHARED ? 0 : dice_roll(d, 5)];
        uint32_t acceptors = roles[0], learners = acceptors + roles[1];
        p->nodes = learners + roles[2];
        c->proposers = nodes_between(1, acceptors);
        c->acceptors = nodes_between(acceptors + 1, learners);
        c->learners = nodes_between(learners + 1, p->nodes);
    }
    for (uint32_t i = 1; i <= p->nodes; i++)
        p->process[i] = p->deployment == DEPLOYMENT_SHARED ? (i - 1) % 3 + 1 : i;
}

/* Mostly majorities; otherwise any two sizes whose quorums meet. */
static void draw_quorums(struct plan *p, struct dice *d)
{
    uint32_t n = node_set_count(p->config.acceptors), majority = n / 2 + 1;
    p->config.phase1_quorum = p->config.phase2_quorum = majority;
    if (dice_chance(d, 200000) || (n % 2 == 0 && dice_chance(d, 500000))) {
        p->config.phase2_quorum = (uint32_t)dice_range(d, n > 3 ? 2 : majority, majority);
        p->config.phase1_quorum = n + 1 - p->config.phase2_quorum;
    }
}

/* A limit of a node: the standard one, or one that is soon reached. */
static uint32_t draw_limit(struct dice *d, uint32_t least, uint32_t most)
{
    return dice_chance(d, STANDARD) ? 0 : plan_rate(d, least, most);
}

static void draw_limits(struct limits *l, struct dice *d)
{
    l->chunk_bytes = dice_chance(d, 500000) ? 0 : plan_rate(d, 1, 4096);
    l->accept_bytes = draw_limit(d, 1, 16 << 10);
    l->forwarded = draw_limit(d, 1, 64);
    l->release_bytes = draw_limit(d, 1, 64 << 10);
    l->step_work = draw_limit(d, 1, 64 << 10);
    l->apply = draw_limit(d, 1, 64);
    l->apply_bytes = draw_limit(d, 1, 4 << 10);
    l->call_work = draw_limit(d, 1, 4 << 10);
    l->results_bytes = draw_limit(d, 1, 64 << 10);
    l->read_bytes = draw_limit(d, 1, 16 << 10);
    l->requests = draw_limit(d, 1, 8);
    l->part_bytes = draw_limit(d, 1 << 10, 64 << 10);
    l->withheld = draw_limit(d, 1, 64);
    l->withheld_bytes = draw_limit(d, 1, 4 << 10);
    l->unsynced = draw_limit(d, 1 << 10, 64 << 10);
}

static void draw_host(struct host_settings *h, struct dice *d)
{
    h->segment_bytes = UINT64_C(8) * JOURNAL_PAGE << dice_roll(d, 6);
    h->group_bytes = dice_chance(d, STANDARD) ? 4 << 20 : plan_rate(d, 1, 64 << 10);
    h->index_bytes = draw_limit(d, 1, 256 << 10);
    h->recover_bytes = draw_limit(d, 1, 64 << 10);
    h->scan_bytes = draw_limit(d, 1, 64 << 10);
}

/* Snapshots so often that a run has many, and journals so short that peers need them. */
static void draw_snapshots(struct node_config *c, struct dice *d)
{
    static const uint64_t bytes[] = {0, 1 << 10, 16 << 10, 128 << 10};
    c->snapshot_bytes = bytes[dice_roll(d, 4)];
    c->snapshot_slots = dice_chance(d, 500000) ? 0 : plan_rate(d, 2, 1000);
    c->snapshots_max = (uint32_t)dice_range(d, 1, 3);
    c->journal_keep_slots = dice_chance(d, 500000) ? 0 : plan_rate(d, 1, 1000);
    c->transfer_rate = plan_rate(d, 64 << 10, 64 << 20);
}

/* Draws what may differ from one life of a node to the next. */
static void reconfigure(struct node_config *c, struct dice *d)
{
    static const uint32_t chunks[] = {4096, 16 << 10, 64 << 10, 256 << 10};
    c->forward = dice_chance(d, 700000); /* the default more often */
    c->batches_in_flight = (uint32_t)dice_range(d, 1, 6);
    c->chunk_bytes_max = chunks[dice_roll(d, 4)];
    c->learn_gap_max = (uint32_t)dice_range(d, 1, 16);
    c->heartbeat_interval = dice_range(d, 80, 250) * MILLISECOND;
    c->suspect_timeout = c->heartbeat_interval * dice_range(d, 3, 5);
    c->dead_timeout = c->suspect_timeout * 2;
    c->prepare_timeout = dice_range(d, 50, 300) * MILLISECOND;
    c->retry_interval = dice_range(d, 50, 200) * MILLISECOND;
    c->exec_interval = dice_range(d, 50, 200) * MILLISECOND;
    c->request_timeout = dice_range(d, 2, 6) * SECOND;
    draw_snapshots(c, d);
    draw_limits(&c->limits, d);
}

uint32_t plan_draw_alpha(struct dice *d)
{
    static const uint32_t alphas[] = {1, 2, 4, 8, 16, 64, 64, PLAN_ALPHA_MAX};
    return alphas[dice_roll(d, 8)];
}

static void draw_settings(struct plan *p, struct dice *d)
{
    struct node_config *c = &p->config;
    c->alpha = plan_draw_alpha(d);
    c->leader_rule = dice_chance(d, 300000) ? LEADER_HIGHEST : LEADER_STICKY;
    c->acceptors_send_learns = dice_chance(d, 500000);
    c->learners_send_executed = dice_chance(d, 300000);
    c->durability = DURABILITY_FSYNC;
    c->state_bytes_max = c->state_bytes_room = STATE_BYTES;
    c->bytes_in_flight_max = UINT64_C(64) << 10 << 2 * dice_roll(d, 3); /* the least that a configuration may say, or more */
    reconfigure(c, d);
    p->turn_us = plan_rate(d, 10, 500);
    draw_host(&p->host, d);
}

/* About 120 to 250 operations a second while there is a leader, sometimes more. */
static void draw_clients(struct plan *p, struct dice *d)
{
    uint32_t count = (uint32_t)dice_range(d, 3, 12), pipeline = (uint32_t)dice_range(d, 8, 40);
    if (dice_chance(d, 100000))
        pipeline = 1;
    uint32_t per_second = plan_rate(d, 120, 250);
    if (dice_chance(d, 100000))
        per_second *= 4;
    static const uint32_t value_bytes[] = {60, 60, 60, 60, 60, 60, 60, 2000, 2000, 70000};
    p->clients = (struct clients_options){
        .seed = p->seed,
        .count = count,
        .pipeline_max = pipeline,
        .think_us = (uint64_t)SECOND * count * (pipeline + 1) / 2 / per_second,
        .patience_us = dice_range(d, 1000, 5000) * MILLISECOND,
        .keys = (uint32_t)dice_range(d, 4, 40),
        .value_bytes_max = value_bytes[dice_roll(d, 10)],
        .long_value_once_in = 6,
        .batch_commands_max = (uint32_t)dice_range(d, 1, 100),
        .ports = p->config.proposers,
    };
    p->host.batch_commands_max = p->clients.batch_commands_max;
}

/* In most worlds some rounds of clients are reads only. In some, half of the clients do nothing else: a leader that is cut
 * off answers no read once it has proposed a write, so it takes a leader with readers only to see that it must not. */
static void draw_reads(struct plan *p)
{
    struct dice d = dice_new(p->seed, READS_STREAM);
    p->clients.reads_rate = dice_chance(&d, ROUNDS_OF_READS) ? plan_rate(&d, 50000, 600000) : 0;
    p->clients.readers = dice_chance(&d, READERS) ? p->clients.count / 2 : 0;
    p->config.limits.queries = draw_limit(&d, 1, 8);
}

/* The plan as an operator would have to write it down. A batch of clients begins with a command of its own. */
static struct config settings_of(const struct plan *p, const struct node_config *node)
{
    struct config c = {0};
    config_settings_standard(&c);
    c.node_config = *node;
    c.batch_size = p->clients.batch_commands_max + 1;
    c.command_bytes_max = 1024 + p->clients.value_bytes_max;
    c.batch_bytes = c.batch_size * c.command_bytes_max;
    c.frame_bytes_max = p->frame_bytes_max;
    c.peer_queue_bytes_max = p->network.queue_bytes_max;
    return c;
}

/* What decides about refusals of the state machine: the same on all nodes, in all lives. */
static void draw_governed(struct plan *p)
{
    const struct config settings = settings_of(p, &p->config);
    struct dice d = dice_new(p->seed, GOVERNED_STREAM);
    if (dice_chance(&d, SMALL_STATES))
        p->config.state_bytes_max = plan_rate(&d, 64 << 10, 1 << 20);
    const uint32_t least = config_replies_bytes_min(&settings);
    if (!dice_chance(&d, STANDARD)) {
        p->config.limits.replies_bytes = plan_rate(&d, least, least * 2);
        p->clients.long_value_once_in = 2;
    }
    p->clients.may_be_refused = p->config.limits.replies_bytes != 0 || p->config.state_bytes_max < STATE_BYTES;
}

/* Whether an operator could write it down. */
static bool is_possible(const struct plan *p, const struct node_config *node)
{
    struct config_conflict conflict;
    const struct config c = settings_of(p, node);
    return config_check(&c, &conflict);
}

void plan_reconfigure(const struct plan *p, struct node_config *node, struct host_settings *host, struct dice *d)
{
    do {
        reconfigure(node, d);
        node->leader_rule = dice_chance(d, 300000) ? LEADER_HIGHEST : LEADER_STICKY;
        node->learners_send_executed = dice_chance(d, 300000);
        node->event_driven = !dice_chance(d, ONE_AT_A_TIME);
        node->bytes_in_flight_max = dice_chance(d, 300000) ? 1 << 20 : plan_rate(d, 64 << 10, 128 << 10);
    } while (!is_possible(p, node));
    draw_host(host, d);
    host->batch_commands_max = (uint32_t)dice_range(d, 1, p->clients.batch_commands_max);
}

/* ---- what is governed ---- */

void plan_governed(const struct plan *p, const struct node_config *node, char text[GOVERNED_TEXT_MAX])
{
    struct config_node nodes[PLAN_NODES_MAX];
    struct config c = settings_of(p, node);
    c.nodes = nodes;
    for (uint32_t id = 1; id <= p->nodes && c.node_count < PLAN_NODES_MAX; id++) {
        const bool proposes = node_set_has(node->proposers, id), votes = node_set_has(node->acceptors, id);
        if (!proposes && !votes && !node_set_has(node->learners, id))
            continue;
        nodes[c.node_count++] = (struct config_node){.id = id,
                                                     .role = proposes && votes ? ROLE_COORDINATOR
                                                             : proposes        ? ROLE_PROPOSER
                                                             : votes           ? ROLE_ACCEPTOR
                                                                               : ROLE_LEARNER};
    }
    governed_print(&c, text);
}

void plan_govern(const struct plan *p, struct node_config *node)
{
    const struct node_config *c = &p->config;
    node->proposers = c->proposers;
    node->acceptors = c->acceptors;
    node->learners = c->learners;
    node->phase1_quorum = c->phase1_quorum;
    node->phase2_quorum = c->phase2_quorum;
    node->alpha = c->alpha;
    node->acceptors_send_learns = c->acceptors_send_learns;
    node->state_bytes_max = c->state_bytes_max;
}

/* Any two quorums that meet, among the acceptors. */
static void redraw_quorums(struct node_config *c, struct dice *d)
{
    const uint32_t n = node_set_count(c->acceptors);
    c->phase1_quorum = (uint32_t)dice_range(d, 1, n);
    c->phase2_quorum = (uint32_t)dice_range(d, n + 1 - c->phase1_quorum, n);
}

/* Leaves one node out of the file, but not `c->node`. */
static void leave_one_out(struct node_config *c, struct dice *d)
{
    const node_set all = c->proposers & c->acceptors & c->learners & ~node_set_of(c->node);
    node_set left = all;
    for (uint64_t skip = all != 0 ? dice_roll(d, node_set_count(all)) : 0; skip > 0; skip--)
        left &= left - 1;
    const node_set one = left & -left;
    c->proposers &= ~one;
    c->acceptors &= ~one;
    c->learners &= ~one;
    redraw_quorums(c, d);
}

static void regovern(struct node_config *c, struct dice *d)
{
    switch (dice_roll(d, 6)) {
    case 0:
        c->alpha = plan_draw_alpha(d);
        break;
    case 1:
        c->acceptors_send_learns = !c->acceptors_send_learns;
        break;
    case 2:
        c->state_bytes_max = UINT64_C(1) << 20;
        break;
    case 3:
        leave_one_out(c, d);
        break;
    default:
        redraw_quorums(c, d);
        break;
    }
}

void plan_regovern(const struct plan *p, struct node_config *node, uint64_t seed)
{
    char before[GOVERNED_TEXT_MAX], now[GOVERNED_TEXT_MAX];
    struct dice d = dice_new(seed, REGOVERNED_STREAM);
    plan_governed(p, &p->config, before);
    do {
        plan_govern(p, node);
        regovern(node, &d);
        plan_governed(p, node, now);
    } while (!is_possible(p, node) || strcmp(before, now) == 0);
}

static void draw_network(struct plan *p, struct dice *d)
{
    p->network = (struct network_sim_options){
        .seed = p->seed,
        .nodes = p->nodes,
        .latency_us = dice_range(d, 20, 200),
        .latency_spread_us = plan_rate(d, 20, 5000),
    };
    /* Sometimes as small as the other settings allow. */
    const struct config c = settings_of(p, &p->config);
    uint64_t frame = config_frame_bytes_min(&c), least = UINT64_C(256) << 10;
    p->frame_bytes_max = (uint32_t)(frame > least ? frame : least);
    if (dice_chance(d, 800000))
        p->frame_bytes_max += 8 << 20;
    p->network.queue_bytes_max = dice_chance(d, 800000) ? QUEUE_BYTES : p->frame_bytes_max;
}

/* In a share of worlds clients speak with the client port that ships. Its bounds are such as a configuration may have,
 * from the least one on. */
static void draw_port(struct plan *p, uint32_t port)
{
    struct dice d = dice_new(p->seed, PORT_STREAM);
    struct config *c = &p->port;
    const bool drawn = dice_chance(&d, SHIPPED_PORT);
    p->shipped_port = port == TWIN_ANY ? drawn : port == TWIN_SHIPPED;
    *c = settings_of(p, &p->config);
    c->client_bytes_max = c->command_bytes_max > 4096 ? c->command_bytes_max : 4096;
    c->client_bytes_max *= plan_rate(&d, 1, 256);
    c->client_bytes_all_max = c->client_bytes_max * plan_rate(&d, 1, 64);
    c->client_connections_max = dice_chance(&d, STANDARD) ? 10000 : p->clients.count + (uint32_t)dice_roll(&d, 8);
    p->sockets = (struct sockets_options){
        .seed = p->seed,
        .latency_us = p->network.latency_us,
        .latency_spread_us = p->network.latency_spread_us,
        .window_bytes = plan_rate(&d, 64, 256 << 10),
        .pieces = dice_chance(&d, 500000) ? plan_rate(&d, 1000, 900000) : 0,
    };
    p->strangers = dice_chance(&d, 500000) ? (uint32_t)dice_range(&d, 1, 12) : 0;
}

/* Datagrams, and how addresses are written: a node may need sockets of both families, and look up names. */
static void draw_datagrams(struct plan *p, struct dice *d)
{
    const bool mixed = dice_chance(d, 500000);
    p->links.datagram_bytes_max = dice_chance(d, 500000) ? 1400 : plan_rate(d, 512, 60000);
    if (dice_chance(d, 400000)) /* less than a configuration may have; a datagram fits */
        p->links.peer_queue_bytes_max = plan_rate(d, p->links.datagram_bytes_max + LEAST_INBOX, 128 << 10);
    p->datagrams = (struct datagrams_options){
        .seed = dice_next(d),
        .latency_us = p->network.latency_us,
        .latency_spread_us = p->network.latency_spread_us,
        .buffer_bytes = plan_rate(d, DATAGRAM_PAYLOAD_MAX, 4 << 20),
    };
    for (uint32_t i = 1; i <= p->nodes; i++)
        p->address[i] = mixed ? (uint8_t)dice_roll(d, ADDRESSES) : ADDRESS_IPV4;
}

/* In a share of worlds nodes speak over the network that ships. Dice of their own decide which of these have datagrams. */
static void draw_links(struct plan *p, uint32_t wire)
{
    struct dice d = dice_new(p->seed, NETWORK_STREAM), datagrams = dice_new(p->seed, DATAGRAMS_STREAM);
    const bool tcp = dice_chance(&d, SHIPPED_NETWORK), udp = dice_chance(&datagrams, DATAGRAMS);
    p->wire = wire != WIRE_ANY ? (enum wire)wire : udp ? WIRE_UDP : tcp ? WIRE_TCP : WIRE_MODEL;
    p->links = settings_of(p, &p->config);
    if (dice_chance(&d, 400000)) /* less than a configuration may have: the values of simulated clients are small, too */
        p->links.peer_queue_bytes_max = plan_rate(&d, 32 << 10, 1 << 20);
    p->link = (struct sockets_options){
        .seed = dice_next(&d),
        .latency_us = p->network.latency_us,
        .latency_spread_us = p->network.latency_spread_us,
        .window_bytes = plan_rate(&d, 4096, 1 << 20),
        .pieces = dice_chance(&d, 500000) ? plan_rate(&d, 1000, 900000) : 0,
        .patience_us = LINK_PATIENCE,
    };
    if (p->wire == WIRE_UDP)
        draw_datagrams(p, &datagrams);
}

/* A third of all kinds on average; in some worlds none, in some nearly all. The more kinds there are, the rarer each is: a
 * cluster that is always down shows nothing. */
static void draw_faults(struct plan *p, struct dice *d, uint64_t allowed)
{
    static const uint32_t often[] = {0, 100000, 300000, 300000, 500000, 900000};
    uint32_t share = often[dice_roll(d, 6)], on = 0;
    for (uint32_t i = 0; i < FAULTS; i++) {
        if (rates[i].stream != 0)
            continue;
        uint32_t rate = plan_rate(d, rates[i].from, rates[i].to);
        bool wanted = dice_chance(d, share);
        on += wanted;
        p->rate[i] = wanted ? rate : 0;
    }
    for (uint32_t i = FAULT_TORN_WRITE; i <= FAULT_LOST_RENAME; i++) { /* what a loss of power does beyond losing writes */
        bool of_power = i == FAULT_TORN_WRITE || i == FAULT_REORDERED_WRITES || i == FAULT_LOST_RENAME;
        if (of_power && p->rate[FAULT_LOST_WRITES] > 0 && dice_chance(d, 800000))
            p->rate[i] = rates[i].to;
    }
    for (uint32_t i = 0; i < FAULTS; i++) {
        if (on > MANY && rates[i].struck && p->rate[i] > 0)
            p->rate[i] = p->rate[i] * MANY / on + 1;
        p->rate[i] = (allowed >> i & 1) != 0 ? p->rate[i] : 0;
    }
}

/* The kinds that have dice of their own. */
static void draw_added_faults(struct plan *p, uint64_t allowed)
{
    for (uint32_t i = 0; i < FAULTS; i++) {
        struct dice d = dice_new(p->seed, rates[i].stream);
        const bool possible = (i != FAULT_DAMAGE || p->wire == WIRE_UDP) &&
                              (i != FAULT_REFUSED_DIALS || p->wire != WIRE_MODEL) && rates[i].stream != CHANGES_STREAM;
        if (rates[i].stream != 0 && (allowed >> i & 1) != 0 && dice_chance(&d, ADDED) && possible)
            p->rate[i] = plan_rate(&d, rates[i].from, rates[i].to);
    }
}

/* In some worlds only processes end and pause, and clocks are wrong: there LivenessGap judges. */
static void draw_quiet_world(struct plan *p, uint64_t allowed)
{
    struct dice d = dice_new(p->seed, QUIET_STREAM);
    if (!dice_chance(&d, QUIET))
        return;
    for (uint32_t i = 0; i < FAULTS; i++) {
        const bool judged = strcmp(fault_kinds[i].subject, "process") == 0 || strcmp(fault_kinds[i].subject, "clock") == 0;
        const uint32_t rate = plan_rate(&d, rates[i].from, rates[i].to);
        p->rate[i] = dice_chance(&d, 500000) && judged && (allowed >> i & 1) != 0 ? rate : 0;
    }
}

/* In some worlds nothing happens but that leadership is moved: there Handover judges what clients see of it. What is
 * forwarded is not dropped because there is too much of it, by a leader or by a queue to it. No learner a little behind goes
 * on from a snapshot: then it would not know what became of a batch before. */
static void draw_moves_only(struct plan *p, uint64_t allowed)
{
    struct dice d = dice_new(p->seed, MOVES_ONLY_STREAM);
    const bool drawn = dice_chance(&d, MOVES_ONLY) && (allowed >> FAULT_MOVED_LEADER & 1) != 0;
    if (!drawn || p->wire == WIRE_UDP) /* datagrams overtake longer frames, and are lost where there is no room */
        return;
    memset(p->rate, 0, sizeof p->rate);
    p->moves_only = true;
    p->fragile = 0;
    p->config.limits.forwarded = 0;
    p->config.bytes_in_flight_max = 16 << 20;
    p->config.journal_keep_slots = 1 << 20;
    p->network.queue_bytes_max = p->links.peer_queue_bytes_max = QUEUE_BYTES;
    p->rate[FAULT_MOVED_LEADER] = OFTEN_MOVED;
}

static uint8_t roles_of(const struct node_config *c, uint32_t node)
{
    return (uint8_t)((node_set_has(c->proposers, node) ? DUTY_PROPOSES : 0) |
                     (node_set_has(c->acceptors, node) ? DUTY_ACCEPTS : 0) |
                     (node_set_has(c->learners, node) ? DUTY_LEARNS : 0));
}

/* In a share of worlds members come and go, lose their disks, and get other settings (sim/operators.c). There are machines
 * that may be added, and no other harm comes to disks. */
static void draw_changes(struct plan *p, uint64_t allowed, bool always)
{
    struct dice d = dice_new(p->seed, CHANGES_STREAM);
    const bool drawn = dice_chance(&d, CHANGES) || always;
    for (uint32_t i = 1; i <= p->nodes; i++)
        p->roles[i] = roles_of(&p->config, i);
    for (uint32_t i = FAULT_MEMBER_ADD; i <= FAULT_SETTINGS && drawn; i++) {
        const uint32_t rate = plan_rate(&d, rates[i].from, rates[i].to);
        p->rate[i] = dice_chance(&d, CHANGE_ON) && (allowed >> i & 1) != 0 ? rate : 0;
        p->changes = p->changes || p->rate[i] > 0;
    }
    const bool possible = p->wire == WIRE_MODEL && !p->shipped_port && !p->moves_only && p->deployment != DEPLOYMENT_SHARED;
    for (uint32_t i = FAULT_MEMBER_ADD; i <= FAULT_SETTINGS && !possible; i++)
        p->rate[i] = 0;
    p->changes = p->changes && possible;
    if (!p->changes)
        return;
    p->fragile = 0;
    p->rate[FAULT_REGOVERNED] = 0;
    if (p->rate[FAULT_SETTINGS] > 0 && dice_chance(&d, MANY_KEYS)) /* so many that a small state is full */
        p->clients.keys = (uint32_t)dice_range(&d, 300, 600);
    p->clients.may_be_refused = p->clients.may_be_refused || p->rate[FAULT_SETTINGS] > 0;
    const uint32_t members = p->nodes;
    uint32_t more = (uint32_t)dice_range(&d, 1, SPARES_MOST);
    for (; more > 0 && p->nodes < PLAN_NODES_MAX; more--) {
        const uint32_t id = ++p->nodes;
        p->process[id] = id;
        p->roles[id] = p->roles[dice_range(&d, 1, members)];
        p->spares |= node_set_of(id);
        p->clients.ports |= (p->roles[id] & DUTY_PROPOSES) != 0 ? node_set_of(id) : 0;
    }
    p->network.nodes = p->nodes;
}

/* In a share of worlds clients have sessions, and send again what they had no answer to. Where the state is small, few
 * sessions are remembered. */
static void draw_sessions(struct plan *p, bool always)
{
    struct dice d = dice_new(p->seed, SESSIONS_STREAM);
    p->clients.sessions = dice_chance(&d, SESSIONS) || always;
    struct dice ends = dice_new(p->seed, SESSIONS_END_STREAM);
    if (p->clients.sessions && dice_chance(&ends, SESSIONS_END))
        p->config.limits.session_idle_ms = plan_rate(&ends, SESSIONS_END_LEAST, SESSIONS_END_MOST);
    if (!p->clients.sessions || !dice_chance(&d, FEW_SESSIONS))
        return;
    const uint64_t few = plan_rate(&d, FEW_SESSIONS_LEAST, FEW_SESSIONS_MOST);
    p->config.state_bytes_max = few < p->config.state_bytes_max ? few : p->config.state_bytes_max;
    p->clients.may_be_refused = true;
}

/* In a share of worlds some keys end by themselves. */
static void draw_leases(struct plan *p, bool always)
{
    struct dice d = dice_new(p->seed, LEASES_STREAM);
    p->clients.leases = dice_chance(&d, LEASES) || always;
}

/* In a share of worlds counters are changed by transactions. */
static void draw_transactions(struct plan *p)
{
    struct dice d = dice_new(p->seed, TRANSACTIONS_STREAM);
    p->clients.transactions = dice_chance(&d, TRANSACTIONS) && !p->shipped_port;
}

/* In some worlds learners apart have client ports, too, and some clients do nothing but read at any port. */
static void draw_learner_ports(struct plan *p)
{
    struct dice d = dice_new(p->seed, LEARNER_PORTS_STREAM);
    if (!dice_chance(&d, LEARNER_PORTS))
        return;
    for (uint32_t id = 1; id <= p->nodes; id++)
        p->clients.ports |= p->roles[id] == DUTY_LEARNS ? node_set_of(id) : 0;
    p->clients.readers = p->clients.count / 2;
}

/* In half of the worlds those who read at any port accept a state that is a little old. */
static void draw_stale(struct plan *p)
{
    struct dice d = dice_new(p->seed, STALE_STREAM);
    const uint64_t ms = plan_rate(&d, STALE_LEAST_MS, STALE_MOST_MS);
    p->clients.stale_ms = dice_chance(&d, STALE) ? (uint32_t)ms : 0;
    for (uint32_t id = 1; id <= p->nodes; id++)
        p->clients.states |= (p->roles[id] & DUTY_LEARNS) != 0 ? node_set_of(id) : 0;
}

/* True when the cluster has every quorum without `gone`. */
static bool lives_without(const struct node_config *c, node_set gone)
{
    uint32_t acceptors = node_set_count(c->acceptors & ~gone), learners = node_set_count(c->learners);
    return acceptors >= c->phase1_quorum && acceptors >= c->phase2_quorum && (c->proposers & ~gone) != 0 &&
           node_set_count(c->learners & ~gone) > learners / 2;
}

/* The nodes whose disks may be harmed: whole processes, as many as the cluster can do without. */
static void draw_fragile(struct plan *p, struct dice *d)
{
    p->fragile_return = dice_chance(d, 500000);
    if (dice_chance(d, 300000))
        return;
    for (uint32_t tries = 0; tries < 4; tries++) {
        uint32_t process = p->process[dice_range(d, 1, p->nodes)];
        node_set more = 0;
        for (uint32_t i = 1; i <= p->nodes; i++)
            more |= p->process[i] == process ? node_set_of(i) : 0;
        if (lives_without(&p->config, p->fragile | more))
            p->fragile |= more;
    }
}

void plan_draw(struct plan *p, const struct plan_options *options)
{
    struct dice d = dice_new(options->seed, 0);
    *p = (struct plan){.seed = options->seed, .events = options->events, .deployment = options->deployment};
    if (p->events == 0)
        p->events = PLAN_EVENTS;
    draw_members(p, &d);
    draw_quorums(p, &d);
    draw_settings(p, &d);
    struct dice handling = dice_new(p->seed, HANDLING_STREAM);
    p->config.event_driven = !dice_chance(&handling, ONE_AT_A_TIME);
    p->config.bytes_in_flight_max = dice_chance(&handling, 300000) ? 1 << 20 : plan_rate(&handling, 64 << 10, 128 << 10);
    draw_clients(p, &d);
    draw_reads(p);
    draw_governed(p);
    draw_sessions(p, options->sessions);
    draw_leases(p, options->leases);
    draw_network(p, &d);
    draw_port(p, options->port);
    draw_transactions(p);
    draw_links(p, options->network);
    draw_faults(p, &d, options->faults);
    draw_added_faults(p, options->faults);
    draw_quiet_world(p, options->faults);
    draw_fragile(p, &d);
    draw_moves_only(p, options->faults);
    draw_changes(p, options->faults, options->changes);
    draw_learner_ports(p);
    draw_stale(p);
    const struct config c = settings_of(p, &p->config);
    struct config_conflict conflict;
    if (!config_check(&c, &conflict)) {
        fprintf(stderr, "seed %llu draws settings that no node takes: %s: %s\n", (unsigned long long)p->seed,
                conflict.keys[0], conflict.text);
        invariant(false);
    }
}

void plan_print(const struct plan *p, FILE *out)
{
    const struct node_config *c = &p->config;
    fprintf(
        out,
        "seed %llu: %s, %u nodes, quorums %u and %u of %u, alpha %u, rule %s%s%s%s%s; %u clients, up to %u commands each%s%s%s%s%s\n",
        (unsigned long long)p->seed, deployment_names[p->deployment], p->nodes, c->phase1_quorum, c->phase2_quorum,
        node_set_count(c->acceptors), c->alpha, c->leader_rule == LEADER_HIGHEST ? "highest" : "sticky",
        c->forward ? ", forward" : "", c->acceptors_send_learns ? ", acceptors send learns" : "",
        c->learners_send_executed ? ", learners send executed" : "", c->event_driven ? "" : ", one message at a time",
        p->clients.count, p->clients.pipeline_max, p->clients.sessions ? ", in sessions" : "",
        p->clients.leases ? ", on keys that end" : "", p->clients.transactions ? ", with transactions" : "",
        p->shipped_port ? ", through the client port that ships" : "",
        p->wire == WIRE_UDP   ? ", over the network that ships, with datagrams"
        : p->wire == WIRE_TCP ? ", over the network that ships"
                              : "");
    fprintf(out, "faults:");
    bool any = false;
    for (uint32_t i = 0; i < FAULTS; i++) {
        if (p->rate[i] > 0)
            fprintf(out, " %s", fault_kinds[i].name);
        any = any || p->rate[i] > 0;
    }
    fprintf(out, "%s\n", any ? "" : " none");
}
