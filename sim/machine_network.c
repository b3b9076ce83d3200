/* A node's network in the simulated world. In some worlds it is the one that ships, in a loop beside the node's turns as in
 * the host; the others have the one of sim/network.c. What comes outside of all connections, such as a replay, comes through
 * that one in all worlds. */
#include <stdio.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "io/inbox.h"
#include "sim/world.h"

enum { POWER_FAILS = 200000 /* per million ends of a process: its peers hear nothing of it */ };

/* ---- Who listens to whom ---- */

/* A later instance: no life of it is earlier than one that was heard. */
static enum peer_verdict accept_later(const struct machine *m, const struct frame_origin *to)
{
    return to->incarnation >= m->world->machines[to->sender].known[m->id] ? PEER_ACCEPTED : PEER_EARLIER_LIFE;
}

/* Asked by a network when a frame has arrived. */
static enum peer_verdict judge(struct world *w, uint32_t node, const struct frame_origin *to)
{
    struct machine *m = &w->machines[node], *sender = &w->machines[to->sender];
    char path[64];
    const enum hearing hearing = machine_hears(m, to);
    const bool later =
        to->incarnation >> MACHINE_BOOTS_BITS != 0; /* it is known by its configuration, not as a first instance */
    const enum peer_verdict verdict = hearing == NOT_YET            ? PEER_UNKNOWN_WHY
                                      : hearing == REFUSED_FOR_GOOD ? PEER_OTHER_INSTANCE
                                      : later                       ? accept_later(m, to)
                                                                    : data_folder_accept_peer(m->folder, to);
    /* What a stalled reader gets late may be from the life before the copy, which had the same incarnation. */
    const bool current = sender->state == MACHINE_UP && to->incarnation == sender->config.incarnation &&
                         to->nonce == data_folder_identity(sender->folder)->nonce;
    if (verdict == PEER_ACCEPTED && to->incarnation > sender->known[node]) {
        sender->known[node] = to->incarnation;
        snprintf(path, sizeof path, "data/node-%u/peers", node);
        disk_sim_settle_one(m->disk, path); /* the node waits there until the disk has it */
    }
    if (verdict == PEER_ACCEPTED && !later && !node_set_has(m->heard, to->sender)) {
        m->heard |= node_set_of(to->sender);
        m->wake_at = w->now;
    }
    if (verdict == PEER_ACCEPTED && current && sender->ghost)
        checks_fail(w->checks, CHECK_LIFE_UNIQUE, "node %u listens to node %u, which runs on an older copy of its disk",
                    node, to->sender);
    if (verdict != PEER_ACCEPTED && verdict != PEER_UNKNOWN_WHY && current) {
        sender->refused_by |= node_set_of(node);
        if (!sender->ghost && hearing != REFUSED_FOR_GOOD && !disk_sim_damaged(sender->disk) && !disk_sim_damaged(m->disk))
            checks_fail(w->checks, CHECK_LIFE_UNIQUE, "node %u does not listen to node %u, whose disk is sound", node,
                        to->sender);
    }
    return verdict;
}

bool machine_listens(void *context, uint32_t node, const struct frame_origin *to)
{
    return judge(context, node, to) == PEER_ACCEPTED;
}

bool machine_takes(void *context, uint32_t node, const struct frame_origin *from)
{
    const struct world *w = context;
    return machine_hears(&w->machines[node], from) == HEARD;
}

/* A node that was never heard is believed whatever it says about itself, so no life of it is too early. */
bool machine_greeted(void *context, uint32_t node, const struct frame_origin *as)
{
    struct world *w = context;
    struct machine *m = &w->machines[node];
    /* the same condition as in network_admit */
    const bool member = as->sender >= 1 && as->sender <= w->plan.nodes && as->sender != node;
    return member && machine_hears(m, as) == HEARD && as->incarnation >> MACHINE_BOOTS_BITS == 0 &&
           data_folder_known_life(m->folder, as->sender) != 0 && data_folder_accept_peer(m->folder, as) == PEER_ACCEPTED;
}

bool machine_expelled(const struct machine *m)
{
    const struct node_config c = world_members(m->world);
    return node_set_count(c.acceptors & ~m->refused_by) < c.phase1_quorum;
}

/* ---- The network that ships ---- */

static uint64_t sum_of(const struct packet *p)
{
    return checksum(p->words.ptr, words_for(p->len) * sizeof(uint64_t), p->len);
}

/* Of what a network says by itself in the name of another node. */
static uint64_t resignation(void)
{
    struct inbox inbox = {0};
    inbox_add_resignation(&inbox, &(struct frame_origin){.sender = 1});
    const uint64_t sum = sum_of(inbox_take(&inbox).ptr);
    inbox_close(&inbox);
    return sum;
}

static enum peer_verdict on_peer(void *context, const struct frame_origin *peer)
{
    struct machine *m = context;
    if (peer->sender == m->id) /* this node must not start again */
        return data_folder_accept_peer(m->folder, peer);
    return judge(m->world, m->id, peer);
}

static void on_expelled(void *context, int exit_code, const char *reason)
{
    struct machine *m = context;
    m->expelled = true;
    if (exit_code != EXIT_DATA || (!m->ghost && !disk_sim_damaged(m->disk)))
        checks_fail(m->world->checks, CHECK_LIFE_UNIQUE, "node %u is expelled: %s", m->id, reason);
}

/* The settings of its network, and where nodes are. */
static void configure(struct machine *m)
{
    const struct plan *plan = &m->world->plan;
    struct config *c = &m->network_config;
    *c = plan->links;
    c->nodes = m->network_nodes;
    c->node_config = m->config;
    c->node_count = plan->nodes;
    for (uint32_t i = 0; i < plan->nodes; i++) {
        static const char *const hosts[ADDRESSES] = {"192.0.2.%u", "2001:db8::%x", "node-%u"};
        struct config_node *n = &m->network_nodes[i];
        *n = (struct config_node){.id = i + 1, .address.port = NODE_PORT_NUMBER};
        snprintf(n->address.host, sizeof n->address.host, hosts[plan->address[i + 1]], i + 1);
    }
}

void machine_network_up(struct machine *m)
{
    struct world *w = m->world;
    const struct identity *identity = data_folder_identity(m->folder);
    struct node_network_options options = {.sockets = w->links,
                                           .datagrams = w->datagrams,
                                           .config = &m->network_config,
                                           .origin = identity_origin(identity),
                                           .accept_peer = on_peer,
                                           .on_expelled = on_expelled,
                                           .context = m};
    if (w->links == NULL)
        return;
    w->resignation = w->resignation != 0 ? w->resignation : resignation();
    configure(m);
    network_sim_instance(m->id, options.origin.instance);
    m->expelled = false;
    m->network_life = frame_life(&options.origin);
    if (!node_network_open(&m->network, &options, &m->problem))
        checks_fail(w->checks, CHECK_TRAP, "node %u has no network: %s", m->id, m->problem.text);
}

void machine_network_down(struct machine *m)
{
    struct world *w = m->world;
    if (m->network == NULL)
        return;
    if (!w->healing && dice_chance(&m->dice, POWER_FAILS))
        sockets_vanish(w->links, m->id);
    node_network_kill(m->network);
    m->network = NULL;
}

uint64_t machine_network_at(const struct machine *m)
{
    uint64_t at = m->network != NULL ? node_network_next(m->network) : UINT64_MAX;
    at = at < m->paused_until ? m->paused_until : at;
    return at < m->stalled_until ? m->stalled_until : at;
}

void machine_network_run(struct machine *m)
{
    struct checks *checks = m->world->checks;
    node_network_run(m->network);
    const char *wrong = node_network_audit(m->network);
    checks_reached(checks)[REACHED_NETWORK_FULL] += node_network_full(m->network);
    if (node_network_heard_broken(m->network))
        checks_fail(checks, CHECK_FRAMES, "node %u has refused what another node sent whole", m->id);
    if (wrong != NULL)
        checks_fail(checks, CHECK_BOUNDS, "the network of node %u: %s", m->id, wrong);
}

/* ---- For the node ---- */

void machine_network_send(struct machine *m, const struct packet *frame)
{
    struct world *w = m->world;
    if (m->network == NULL) {
        network_sim_send(w->network, m->id, frame, 1, w->now);
        return;
    }
    checks_frame_sent(w->checks, m->id, frame->id, m->network_life, sum_of(frame));
    m->sending = memory_reserve(m->sending, &m->sending_capacity, m->sending_count + 1, sizeof *m->sending);
    m->sending[m->sending_count++] = *frame;
}

void machine_network_flush(struct machine *m)
{
    if (m->sending_count > 0)
        node_network_send(m->network, m->sending, m->sending_count);
    m->sending_count = 0;
}

/* Whether it is sent in a datagram. */
static bool is_short(const struct world *w, const struct packet *p)
{
    return w->datagrams != NULL &&
           FRAME_HEADER_SIZE + words_for(p->len) * sizeof(uint64_t) <= w->plan.links.datagram_bytes_max;
}

void world_datagram_came(void *context, uint32_t to, const uint64_t *words, size_t size)
{
    struct world *w = context;
    const uint64_t cluster = identity_origin(data_folder_identity(w->machines[to].folder)).cluster;
    struct frame_header header;
    invariant(size >= FRAME_HEADER_SIZE && frame_parse(words, cluster, w->plan.frame_bytes_max, &header) == FRAME_OK);
    const struct packet body = {.len = header.len,
                                .words = {(uint64_t *)(uintptr_t)(words + FRAME_HEADER_WORDS), words_for(header.len)}};
    checks_datagram_came(w->checks, to, header.origin.sender, frame_life(&header.origin), sum_of(&body));
}

/* The network of this machine says that the process of another node has ended, which was this life. */
static void judge_end(struct machine *m, uint32_t node, uint64_t life)
{
    struct world *w = m->world;
    const struct machine *other = &w->machines[node];
    checks_reached(w->checks)[REACHED_PROCESS_MISSED]++;
    if (other->network != NULL && other->network_life == life && !node_set_has(w->refuses[node], m->id))
        checks_fail(w->checks, CHECK_ENDED, "node %u says that the process of node %u has ended, which goes on", m->id,
                    node);
}

struct packet_list machine_network_receive(struct machine *m)
{
    struct world *w = m->world;
    const struct packet_list outside = network_sim_receive(w->network, m->id, w->now);
    m->arrival_at = network_sim_next(w->network, m->id);
    if (m->network == NULL)
        return outside;
    const struct packet_list frames = node_network_receive(m->network);
    const size_t count = outside.len + frames.len;
    m->frames = memory_reserve(m->frames, &m->frames_capacity, count, sizeof *m->frames);
    for (size_t i = 0; i < count; i++)
        m->frames[i] = i < outside.len ? outside.ptr[i] : frames.ptr[i - outside.len];
    for (size_t i = 0; i < frames.len; i++) {
        const uint32_t sender = (uint32_t)frames.ptr[i].id;
        const uint64_t sum = sum_of(&frames.ptr[i]);
        bool begins;
        const uint64_t life = node_network_life(m->network, sender, i, &begins);
        const enum frame_way way = is_short(w, &frames.ptr[i]) ? FRAME_IN_DATAGRAM : begins ? FRAME_BEGINS : FRAME_FOLLOWS;
        if (sum != w->resignation)
            checks_frame_received(w->checks, m->id, sender, life, sum, way);
        else if (!begins) /* otherwise it says that a later life has begun */
            judge_end(m, sender, life);
    }
    return (struct packet_list){m->frames, count};
}

/* ---- What the world does to it ---- */

void world_cut(struct world *w, node_set from, node_set to, uint64_t until)
{
    const node_set all = (UINT64_C(2) << w->plan.nodes) - 2;
    network_sim_cut(w->network, from, to, until);
    for (node_set senders = w->links != NULL ? from & all : 0; senders != 0; senders &= senders - 1)
        for (node_set receivers = to & all & ~(senders & -senders); receivers != 0; receivers &= receivers - 1)
            sockets_cut(w->links, node_set_first(senders), node_set_first(receivers), until);
}

void world_half_open(struct world *w, uint32_t from, uint32_t to, uint64_t until)
{
    if (w->links != NULL)
        sockets_half_open(w->links, from, to);
    else
        network_sim_half_open(w->network, from, to, until);
}

bool world_refuse(struct world *w, uint32_t node, node_set others, bool both, uint64_t until)
{
    if (w->links == NULL || others == 0)
        return false;
    w->refuses[node] |= others;
    for (; others != 0; others &= others - 1) {
        const uint32_t other = node_set_first(others);
        sockets_end(w->links, other, node);
        sockets_refuse(w->links, other, node, until);
        if (both)
            sockets_end(w->links, node, other);
    }
    return true;
}

void world_stall_reader(struct world *w, struct machine *m, uint64_t until)
{
    network_sim_stall_reader(w->network, m->id, until);
    m->arrival_at = network_sim_next(w->network, m->id);
    m->stalled_until = m->stalled_until > until ? m->stalled_until : until;
}

void world_greet(struct world *w, struct machine *to, const struct frame_origin *as, uint64_t arrival)
{
    if (w->links == NULL) {
        network_sim_greet(w->network, to->id, as, arrival);
        world_arrivals(w, node_set_of(to->id));
        return;
    }
    char governed[GOVERNED_TEXT_MAX];
    struct frame_origin origin = *as;
    origin.cluster = identity_origin(data_folder_identity(to->folder)).cluster;
    governed_print(&to->network_config, governed);
    node_network_expect_stranger(to->network);
    const struct datagram_end at = {to->id, NODE_PORT_NUMBER, w->plan.address[to->id] == ADDRESS_IPV6};
    greetings_add(w->greetings, at, &origin, governed);
    if (w->datagrams != NULL)
        greetings_send(w->datagrams, at, &origin, &w->dice);
}

void world_heal_network(struct world *w)
{
    network_sim_heal(w->network);
    if (w->links != NULL)
        sockets_heal(w->links);
    for (uint32_t i = 1; i <= w->plan.nodes; i++)
        w->machines[i].stalled_until = 0;
}
