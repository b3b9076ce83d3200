/* Who belongs to the cluster.
 *
 *   folder (`configuration`) --start--> roster --> network, client port
 *                     ^                     ^
 *                     '--- durable first ---'---- configuration-known, as the node executes configurations
 *
 * 1. What the node knows is durable before anything of it has an effect outside, so a node never goes back to an older
 *    configuration than one that its greetings have named.
 * 2. The first configuration names the instance of every node, so it can be told only once all have greeted, in this life or
 *    an earlier one. It is given to every life until one was chosen. Which node proposes it does not matter.
 * 3. Once one was chosen, the node takes the first configuration from what its folder was formatted with, for slots before
 *    the log has another one, and not from the file, which may have been changed since.
 * 4. A node that is told that it was removed ends when the configuration before is over: until then it may be needed. One
 *    whose disk was replaced ends at once, because it counts as crashed.
 * 5. A node that was down while others got new disks refuses these as early, and perhaps there is no other left that it
 *    would hear. So it asks at client ports of the members that it knows, and hears those that are members by the answer
 *    (network_hearsay). The answer counts for nothing else, and is forgotten at the next start: who makes quorums, the node
 *    learns from the log, which it now gets. So who lies at a client port can have a stranger heard in a member's name, as
 *    who knows a member's instance id can at the node's own port (SYNOD CONFIGURATION tells the ids, too). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/configuration.h"
#include "host/node_host_internal.h"

/* ---- Start ---- */

static void note_instance(struct node_members *members, uint32_t node, const uint8_t instance[16])
{
    memcpy(members->instances[node], instance, 16);
    members->greeted |= node_set_of(node);
}

bool members_open(struct node_host *h, struct problem *problem)
{
    struct node_members *members = &h->members;
    const struct config *config = h->options.config;
    const struct folder_files files = {disk_posix(), h->path};
    if (!own_members_open(&members->own, &files, config, h->self->id, problem))
        return false;
    note_instance(members, h->self->id, members->own.origin.instance);
    for (size_t i = 0; h->folder != NULL && i < config->node_count; i++) {
        uint8_t instance[16];
        if (data_folder_known_instance(h->folder, config->nodes[i].id, instance))
            note_instance(members, config->nodes[i].id, instance);
    }
    if (members->own.now.slot != 0 && h->folder != NULL)
        data_folder_admit(h->folder, &members->own.now);
    return true;
}

/* ---- The first configuration ---- */

static void complete_first(struct node_host *h)
{
    struct node_members *members = &h->members;
    if (members->own.now.slot != 0 || members->own.admitted != 0 || members->first.words.ptr != NULL ||
        (members->own.now.members & ~members->greeted) != 0)
        return;
    members->first = roster_first(h->options.config, (const uint8_t(*)[16])members->instances);
    h->ports.configure = true;
    host_make_due(h);
}

bool members_have(const struct node_host *h, const struct frame_origin *peer)
{
    char why[240];
    const struct roster *roster = &h->members.own.now;
    if (peer->sender == h->self->id)
        return true;
    if (roster->slot == 0)
        return incarnation_number(peer->incarnation) == 0; /* a later disk joined what is not known here */
    return roster_judge(roster, peer, roster->slot, why, sizeof why) == MEMBER_FITS;
}

void members_greeted(struct node_host *h, const struct frame_origin *peer)
{
    if (h->members.own.now.slot != 0 || !node_set_has(h->members.own.now.members, peer->sender))
        return;
    note_instance(&h->members, peer->sender, peer->instance);
    complete_first(h);
}

/* ---- Hearsay ---- */

/* Where clients reach a node, by what is known of it; a port at all addresses is one at that where nodes reach it. */
static bool place_for_clients(const struct config_node *node, struct endpoint *out)
{
    const bool everywhere = strcmp(node->client.host, "0.0.0.0") == 0 || strcmp(node->client.host, "::") == 0;
    *out = node->client;
    if (everywhere)
        memcpy(out->host, node->address.host, sizeof out->host);
    return out->host[0] != '\0' && out->port != 0;
}

/* Client ports of a node: as the newest configuration known has it, and as the file does. */
static size_t list_places(const struct node_host *h, uint32_t id, struct endpoint *places)
{
    const struct config_node *by_roster = roster_find(&h->members.own.now, id),
                             *by_file = config_find(h->options.config, id);
    size_t count = 0;
    if (id == h->self->id)
        return 0;
    count += by_roster != NULL && place_for_clients(by_roster, &places[count]) ? 1 : 0;
    count += by_file != NULL && place_for_clients(by_file, &places[count]) ? 1 : 0;
    return count;
}

/* One of the client ports of all others, another one each time; those of this node come first. */
static bool next_place(struct node_members *members, const struct node_host *h, uint32_t first, struct endpoint *place)
{
    struct endpoint *places = memory_new(2 * (NODE_ID_MAX + 1), sizeof *places);
    size_t count = list_places(h, first, places);
    for (uint32_t id = 1; id <= NODE_ID_MAX; id++)
        count += id != first ? list_places(h, id, places + count) : 0;
    if (count > 0)
        *place = places[members->asked++ % count];
    free(places);
    return count > 0;
}

void members_early(void *node_host, const struct frame_origin *peer)
{
    struct node_host *h = node_host;
    struct node_members *members = &h->members;
    struct endpoint place;
    if (!inquiry_may_ask(&members->inquiry) || !next_place(members, h, peer->sender, &place))
        return;
    members->early = *peer;
    inquiry_ask(&members->inquiry, &place);
}

static void keep_hearsay(struct node_members *members, const struct packet *said)
{
    const struct payload text = {said->words, said->len};
    free(members->hearsay.words.ptr);
    members->hearsay = *said;
    members->hearsay.kind = CONFIGURATION_HEARSAY;
    members->hearsay.words = payload_copy(&text).words;
}

/* It has to say what it was asked for, that the node which was refused is a member. */
static void on_answer(void *node_host, const struct packet *said)
{
    char why[240];
    struct node_host *h = node_host;
    struct node_members *members = &h->members;
    struct roster *roster = memory_new(1, sizeof *roster);
    if (said->id > members->own.now.slot && roster_apply(roster, said) &&
        roster_judge(roster, &members->early, said->id, why, sizeof why) == MEMBER_FITS) {
        keep_hearsay(members, said);
        logger_log(h->ports.logger, LOG_INFO, "node",
                   "the configuration of slot %" PRIu64 ", which is not known here yet, has node %u with disk number %u, as "
                   "the client port of a member says: it is heard",
                   said->id, members->early.sender, incarnation_number(members->early.incarnation));
        if (h->ports.network != NULL)
            network_hearsay(h->ports.network, roster);
    }
    free(roster);
}

/* ---- Lives ---- */

struct node_config members_begin(struct node_host *h)
{
    h->members.kept_given = h->members.first_given = false;
    complete_first(h);
    return own_members_config(&h->members.own);
}

static struct packet_list give(void *context)
{
    struct node_host *h = context;
    struct node_members *members = &h->members;
    size_t count = members->kept_given ? 0 : own_members_list(&members->own, members->given);
    if (!members->first_given && members->own.now.slot == 0 && members->first.words.ptr != NULL) {
        members->given[count++] = members->first;
        members->first_given = true;
    }
    members->kept_given = true;
    return (struct packet_list){members->given, count};
}

/* ---- The log ---- */

static void tell_parts(struct node_host *h)
{
    if (h->folder != NULL)
        data_folder_admit(h->folder, &h->members.own.now);
    if (h->ports.network != NULL)
        network_members(h->ports.network, &h->members.own.now);
    if (h->ports.clients != NULL)
        client_server_members(h->ports.clients, &h->members.own.now);
}

/* "1 2 3": the nodes of a set. */
static void print_set(node_set set, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (; set != 0 && len + 4 < size; set &= set - 1)
        len += (size_t)snprintf(out + len, size - len, len == 0 ? "%u" : " %u", node_set_first(set));
}

static void warn_about_memory(const struct node_host *h)
{
    if (!own_members_has_memory(&h->members.own))
        logger_log(h->ports.logger, LOG_WARNING, "node",
                   "the state may take %" PRIu64 " bytes now (state_bytes_max), and memory_bytes_max has room for %" PRIu64
                   ": raise it; the next start would be refused",
                   h->members.own.now.state_bytes_max, h->options.config->node_config.state_bytes_room);
}

static void log_members(const struct node_host *h)
{
    char members[200], leaving[200];
    const struct roster *m = &h->members.own.now;
    print_set(m->members, members, sizeof members);
    print_set(m->leaving, leaving, sizeof leaving);
    logger_log(h->ports.logger, LOG_INFO, "node", "the configuration of slot %" PRIu64 " has the nodes %s%s%s", m->slot,
               members, m->leaving != 0 ? "; leaving: " : "", leaving);
}

/* A network in the sandbox asks who is a member when it begins, and when it refuses a node that it does not know. It
 * connects to addresses of the file only. */
static void warn_about_guest(const struct node_host *h)
{
    if (!is_network_in_host(h))
        logger_log(
            h->ports.logger, LOG_WARNING, "node",
            "this node's network is in the sandbox, and reaches addresses of its configuration file only: if members have "
            "new ones, bring the file up to date, and restart the node");
}

/* One that is leaving is not checked before it has left. */
static bool take_news(struct node_host *h, const struct packet *configuration, struct problem *problem)
{
    struct own_members *own = &h->members.own;
    const bool chosen = configuration->kind == CONFIGURATION_CHOSEN;
    bool news;
    if (!own_members_take(own, configuration, &news, problem))
        return false;
    if (!news)
        return true;
    if (chosen) {
        log_members(h);
        warn_about_memory(h);
    }
    tell_parts(h);
    if (chosen && own->kept.before.id != 0)
        warn_about_guest(h);
    return (chosen && !node_set_has(own->now.members, h->self->id)) || own_members_check(own, problem);
}

static void take(void *context, const struct packet *configuration)
{
    struct node_host *h = context;
    struct problem problem;
    if (!take_news(h, configuration, &problem))
        host_fail(h, &problem);
}

void members_connect(struct node_host *h)
{
    h->members.inquiry = (struct inquiry){.loop = &h->loop, .on_answer = on_answer, .context = h};
    h->ports.given = give;
    h->ports.known = take;
    h->ports.members = h;
    if (h->members.own.now.slot != 0)
        tell_parts(h);
}

size_t members_told(const struct node_host *h, struct packet out[3])
{
    size_t count = own_members_list(&h->members.own, out);
    if (h->members.hearsay.id > h->members.own.now.slot)
        out[count++] = h->members.hearsay;
    return count;
}

void members_ask_no_more(struct node_host *h) { inquiry_close(&h->members.inquiry); }

void members_close(struct node_host *h)
{
    free(h->members.hearsay.words.ptr);
    own_members_close(&h->members.own);
    free(h->members.first.words.ptr);
}
