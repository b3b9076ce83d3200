#include <stdlib.h>
#include <string.h>

#include "components/packet.h"
#include "components/wasi/part.h"
#include "core/base/memory.h"

/* The origin in this node's frames. */
static struct frame_origin origin_get(const struct part *p)
{
    static struct arena results;
    struct frame_origin origin;
    struct problem problem;
    synod_paxos_identity_list_packet_t list;
    shim_results_begin(&results);
    synod_paxos_identity_open(&list);
    shim_results_end();
    const struct packet *packet = (const struct packet *)list.ptr;
    if (list.len == 1 && packet->id == p->settings.node && packet->words.len == 4) {
        origin = (struct frame_origin){.cluster = packet->words.ptr[0],
                                       .sender = (uint32_t)packet->id,
                                       .incarnation = packet->kind,
                                       .nonce = (uint32_t)packet->words.ptr[3]};
        memcpy(origin.instance, packet->words.ptr + 1, sizeof origin.instance);
        arena_close(&results);
        return origin;
    }
    if (list.len == 1 && packet->id == 0 && packet->len <= packet->words.len * sizeof(uint64_t))
        problem_set(&problem, (int)packet->kind, "%.*s", (int)packet->len, (const char *)packet->words.ptr);
    else
        problem_set(&problem, EXIT_TROUBLE, "what the storage gave as identity is none of node %u", p->settings.node);
    part_fail(p, &problem);
}

static enum peer_verdict accept_peer(void *context, const struct frame_origin *peer)
{
    uint64_t words[3];
    struct packet packet = {.id = peer->sender, .kind = peer->incarnation, .len = sizeof words, .words = {words, 3}};
    (void)context;
    memcpy(words, peer->instance, sizeof peer->instance);
    words[2] = peer->nonce;
    synod_paxos_identity_list_packet_t list = {(synod_paxos_identity_packet_t *)&packet, 1};
    const uint64_t verdict = synod_paxos_identity_accept_peer(&list);
    return verdict <= PEER_TOO_LATE_LIFE ? (enum peer_verdict)verdict : PEER_UNKNOWN_WHY;
}

static void on_expelled(void *context, int exit_code, const char *reason)
{
    struct network_part *n = context;
    struct problem problem;
    problem_set(&problem, exit_code, "node %u: %s", n->part.settings.node, reason);
    part_fail(&n->part, &problem);
}

/* The host may know that node by now. If not, it asks others when it hears who was refused; where storage is in the sandbox,
 * too, lives of peers do not pass the host. */
static void on_early(void *context, const struct frame_origin *peer)
{
    struct network_part *n = context;
    const struct node_settings *settings = &n->part.settings;
    if (config_find(&settings->config, settings->node)->storage == PLACE_HOST)
        accept_peer(context, peer);
    n->early = true;
}

/* The host hears of configurations while the node runs. */
static void take_roster(struct network_part *n)
{
    struct roster *roster = memory_new(1, sizeof *roster), *hearsay = memory_new(1, sizeof *hearsay);
    part_roster(&n->part, roster, hearsay);
    if (roster->slot != 0)
        network_members(n->network, roster);
    if (hearsay->slot != 0)
        network_hearsay(n->network, hearsay);
    free(roster);
    free(hearsay);
    n->early = false;
}

static void on_input(void *context) { ((struct network_part *)context)->input = true; }

void network_part_open(struct network_part *n, network_opener *open, bool sends, bool receives)
{
    struct problem problem;
    if (n->network != NULL)
        return;
    part_open(&n->part);
    const struct network_options options = {
        .config = &n->part.settings.config,
        .origin = origin_get(&n->part),
        .sends = sends,
        .receives = receives,
        .accept_peer = accept_peer,
        .on_expelled = on_expelled,
        .on_early = on_early,
        .logger = n->part.logger,
        .on_input = on_input,
        .context = n,
    };
    if (!open(&n->network, &n->part.loop, &options, &problem))
        part_fail(&n->part, &problem);
    take_roster(n);
}

struct packet_list network_part_receive(struct network_part *n)
{
    if (!n->input)
        part_run(&n->part);
    n->input = false;
    return network_receive(n->network);
}

struct waits network_part_waits(struct network_part *n)
{
    part_run_once(&n->part);
    if (n->early)
        take_roster(n);
    return part_waits(&n->part, n->input);
}
