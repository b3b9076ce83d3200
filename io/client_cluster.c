/* The cluster as Redis clients see it: one shard with all slots. Its master is the leader; its replicas are the other nodes
 * with a client port. So cluster clients find the leader by themselves. For others, a node passes commands on (decision
 * 0046). */
#include <stdio.h>
#include <string.h>

#include "core/base/checksum.h"
#include "core/formats/keyslot.h"
#include "io/client_internal.h"

/* ---- Endpoints ---- */

static bool is_wildcard(const char *host) { return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0; }

/* A wildcard is not an address to connect to; the host under which nodes reach the node is used
 * instead. */
const char *client_cluster_host(const struct config_node *n)
{
    if (!is_wildcard(n->client.host))
        return n->client.host;
    return is_wildcard(n->address.host) ? "" : n->address.host;
}

/* This node's may have been chosen by the system. */
uint16_t client_cluster_port(const struct client_server *s, const struct config_node *n)
{
    return n->id == s->options.node ? s->port : n->client.port;
}

node_set client_cluster_reachable(const struct client_server *s)
{
    node_set with_port = 0;
    for (node_set all = s->members.members; all != 0; all &= all - 1)
        with_port |= s->members.nodes[node_set_first(all)].client.host[0] != 0 ? all & -all : 0;
    return with_port;
}

static bool has_port(const struct config_node *n) { return n->client.host[0] != 0; }

const struct config_node *client_cluster_leader(const struct client_server *s)
{
    const struct config_node *n = roster_find(&s->members, s->leader);
    return n != NULL && has_port(n) ? n : NULL;
}

/* The slot of a command's first key; 0 if it has none. A command that the state machine did not describe is taken to have
 * its key first. */
static uint32_t slot_of(const struct client_server *s, const struct bytes *args, size_t argc)
{
    if (argc == 0)
        return 0;
    const uint32_t index = client_describe(s, &args[0]).index;
    size_t first = index == COMMAND_TABLE_MAX ? 1 : s->machine_commands.ptr[index].first_key;
    return first > 0 && first < argc ? keyslot(args[first].ptr, args[first].len) : 0;
}

/* Whether the client is sent to the leader with -MOVED. One that has never asked about the cluster would not understand
 * that. But where nothing is passed on, it is the only answer that says where to go. */
static bool is_sent_away(const struct client_connection *c)
{
    const struct client_server *s = c->server;
    return c->knows_clusters || !s->forwards;
}

static void no_room(struct resp_buffer *out)
{
    resp_error_text(out, "NOROOM this node's disk is full; nothing was executed, try again later");
}

static void moved(const struct client_server *s, uint32_t slot, uint32_t leader, struct resp_buffer *out)
{
    const struct config_node *n = roster_find(&s->members, leader);
    if (leader == 0 && s->no_room)
        no_room(out);
    else if (n == NULL || !has_port(n))
        resp_error_text(out, "CLUSTERDOWN no leader");
    else
        client_print(out, "-MOVED %u %s:%u\r\n", slot, client_cluster_host(n), client_cluster_port(s, n));
}

void client_cluster_name_leader(const struct client_server *s, uint32_t leader, struct resp_buffer *out)
{
    moved(s, 0, leader, out);
}

void client_cluster_send_to_leader(struct client_connection *c)
{
    const uint32_t position = client_replies_expect(c);
    client_cluster_name_leader(c->server, c->server->leader, client_replies_begin(c, position));
    client_replies_end(c, position);
}

void client_cluster_moved(const struct client_connection *c, const struct bytes *args, size_t argc, uint32_t leader,
                          struct resp_buffer *out)
{
    const struct client_server *s = c->server;
    if (leader != 0 && !is_sent_away(c))
        resp_error_text(out, "CLUSTERDOWN the leader cannot be reached from here now: not executed, send it again");
    else
        moved(s, slot_of(s, args, argc), leader, out);
}

static bool refuses_for_room(const struct client_server *s) { return s->no_room && s->leader == s->options.node; }

bool client_cluster_takes(const struct client_connection *c)
{
    const struct client_server *s = c->server;
    bool for_node = s->leader == s->options.node || (s->leader != 0 && !is_sent_away(c));
    return for_node && !refuses_for_room(s);
}

bool client_cluster_follows(const struct client_server *s)
{
    const struct client_server_options *o = &s->options;
    const struct node_config *c = &o->config->node_config;
    return s->leader != 0 && s->leader != o->node && node_set_has(c->proposers | c->learners, o->node);
}

/* Where nothing is proposed, nothing is passed on either, and that is not the operator's choice (`forward`). */
static bool is_apart(const struct client_server *s)
{
    return !node_set_has(s->options.config->node_config.proposers, s->options.node);
}

bool client_cluster_takes_reads(const struct client_connection *c)
{
    const bool wants = c->readonly || (is_apart(c->server) && !c->knows_clusters);
    return client_cluster_takes(c) || (wants && client_cluster_follows(c->server));
}

bool client_cluster_has_state(const struct client_connection *c)
{
    const struct client_server_options *o = &c->server->options;
    return c->stale && node_set_has(o->config->node_config.learners, o->node);
}

void client_cluster_refuse(const struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    const struct client_server *s = c->server;
    if (refuses_for_room(s))
        no_room(out);
    else
        client_cluster_moved(c, args, argc, s->leader, out);
}

/* ---- CLUSTER ---- */

void client_cluster_name(const struct client_server *s, uint32_t node, char name[CLIENT_NODE_NAME_SIZE])
{
    const char *cluster = s->options.config->cluster;
    uint64_t high = checksum(cluster, strlen(cluster), node);
    uint64_t low = checksum(cluster, strlen(cluster), high);
    snprintf(name, CLIENT_NODE_NAME_SIZE, "%016llx%016llx%08x", (unsigned long long)high, (unsigned long long)low, node);
}

/* Which node has the slots: the leader. While there is none, the last one that led, as in a Redis Cluster whose master died,
 * and before that this node, which knows at least that there is none. Never no node: some clients keep an empty map for
 * ever, and others the one that they have until they are refused. */
static const struct config_node *slots_owner(const struct client_server *s)
{
    const struct config_node *n = roster_find(&s->members, s->led);
    return n != NULL && has_port(n) ? n : config_find(s->options.config, s->options.node);
}

/* The other nodes that clients can reach. */
static node_set others_than(const struct client_server *s, const struct config_node *owner)
{
    return client_cluster_reachable(s) & ~node_set_of(owner->id);
}

static void slots_node(const struct client_server *s, const struct config_node *n, struct resp_buffer *out)
{
    char name[CLIENT_NODE_NAME_SIZE];
    client_cluster_name(s, n->id, name);
    resp_array(out, 3);
    resp_string(out, client_cluster_host(n));
    resp_integer(out, client_cluster_port(s, n));
    resp_string(out, name);
}

static void slots(struct client_connection *c, struct resp_buffer *out)
{
    const struct client_server *s = c->server;
    const struct config_node *owner = slots_owner(s);
    const node_set others = others_than(s, owner);
    resp_array(out, 1);
    resp_array(out, 3 + node_set_count(others));
    resp_integer(out, 0);
    resp_integer(out, KEYSLOT_COUNT - 1);
    slots_node(s, owner, out);
    for (node_set all = others; all != 0; all &= all - 1)
        slots_node(s, &s->members.nodes[node_set_first(all)], out);
}

static void shards_node(struct client_connection *c, const struct config_node *n, struct resp_buffer *out)
{
    const struct client_server *s = c->server;
    char name[CLIENT_NODE_NAME_SIZE];
    client_cluster_name(s, n->id, name);
    resp_map(out, c->version, 7);
    resp_string(out, "id");
    resp_string(out, name);
    resp_string(out, "port");
    resp_integer(out, client_cluster_port(s, n));
    resp_string(out, "ip");
    resp_string(out, client_cluster_host(n));
    resp_string(out, "endpoint");
    resp_string(out, client_cluster_host(n));
    resp_string(out, "role");
    resp_string(out, n->id == slots_owner(s)->id ? "master" : "replica");
    resp_string(out, "replication-offset");
    resp_integer(out, 0);
    resp_string(out, "health");
    resp_string(out, "online");
}

static void shards(struct client_connection *c, struct resp_buffer *out)
{
    const struct client_server *s = c->server;
    const struct config_node *owner = slots_owner(s);
    const node_set others = others_than(s, owner);
    resp_array(out, 1);
    resp_map(out, c->version, 2);
    resp_string(out, "slots");
    resp_array(out, 2);
    resp_integer(out, 0);
    resp_integer(out, KEYSLOT_COUNT - 1);
    resp_string(out, "nodes");
    resp_array(out, 1 + node_set_count(others));
    shards_node(c, owner, out);
    for (node_set all = others; all != 0; all &= all - 1)
        shards_node(c, &s->members.nodes[node_set_first(all)], out);
}

static void nodes_line(const struct client_server *s, const struct config_node *n, struct resp_buffer *text)
{
    const struct config_node *owner = slots_owner(s);
    const bool owns = n->id == owner->id;
    char name[CLIENT_NODE_NAME_SIZE], master[CLIENT_NODE_NAME_SIZE] = "-";
    client_cluster_name(s, n->id, name);
    if (!owns)
        client_cluster_name(s, owner->id, master);
    client_print(text, "%s %s:%u@%u %s%s %s 0 0 1 connected%s\n", name, client_cluster_host(n), client_cluster_port(s, n),
                 n->address.port, n->id == s->options.node ? "myself," : "", owns ? "master" : "slave", master,
                 owns ? " 0-16383" : "");
}

static void nodes(struct client_connection *c, struct resp_buffer *out)
{
    const struct client_server *s = c->server;
    const struct config_node *owner = slots_owner(s);
    struct resp_buffer text = {0};
    nodes_line(s, owner, &text);
    for (node_set all = others_than(s, owner); all != 0; all &= all - 1)
        nodes_line(s, &s->members.nodes[node_set_first(all)], &text);
    resp_text(out, c->version, text.data, text.len);
    resp_buffer_close(&text);
}

static void info(struct client_connection *c, struct resp_buffer *out)
{
    const struct client_server *s = c->server;
    bool up = client_cluster_leader(s) != NULL;
    struct resp_buffer text = {0};
    client_print(&text,
                 "cluster_state:%s\r\ncluster_slots_assigned:%d\r\ncluster_slots_ok:%d\r\ncluster_slots_pfail:0\r\n"
                 "cluster_slots_fail:0\r\ncluster_known_nodes:%u\r\ncluster_size:1\r\ncluster_current_epoch:1\r\n"
                 "cluster_my_epoch:1\r\n",
                 up ? "ok" : "fail", KEYSLOT_COUNT, up ? KEYSLOT_COUNT : 0, node_set_count(s->members.members));
    resp_text(out, c->version, text.data, text.len);
    resp_buffer_close(&text);
}

void client_server_members(struct client_server *s, const struct roster *members) { s->members = *members; }

static void my_id(struct client_connection *c, struct resp_buffer *out)
{
    char name[CLIENT_NODE_NAME_SIZE];
    client_cluster_name(c->server, c->server->options.node, name);
    resp_string(out, name);
}

/* The handlers of subcommands that take no arguments. */
#define WITHOUT_ARGUMENTS(name, function)                                                                                   \
    static void name(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)           \
    {                                                                                                                       \
        (void)args;                                                                                                         \
        (void)argc;                                                                                                         \
        function(c, out);                                                                                                   \
    }
WITHOUT_ARGUMENTS(cluster_slots, slots)
WITHOUT_ARGUMENTS(cluster_shards, shards)
WITHOUT_ARGUMENTS(cluster_nodes, nodes)
WITHOUT_ARGUMENTS(cluster_info, info)
WITHOUT_ARGUMENTS(cluster_my_id, my_id)

static void cluster_keyslot(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    (void)argc;
    resp_integer(out, keyslot(args[2].ptr, args[2].len));
}

#define STALE .flags = "loading stale", .categories = "slow"
const struct client_command client_cluster_subcommands[CLUSTER_SUBCOMMANDS] = {
    {"info", cluster_info, 2, STALE, .since = "3.0.0", .usage = "",
     .summary = "Tells whether a node leads, as a state of the cluster."},
    {"keyslot", cluster_keyslot, 3, STALE, .since = "3.0.0", .usage = "<key>", .summary = "The hash slot of a key."},
    {"myid", cluster_my_id, 2, STALE, .since = "3.0.0", .usage = "", .summary = "The name of this node."},
    {"nodes", cluster_nodes, 2, STALE, .since = "3.0.0", .usage = "",
     .summary = "The nodes with a client port, a line each."},
    {"shards", cluster_shards, 2, STALE, .since = "7.0.0", .usage = "",
     .summary = "The nodes with a client port, as one shard."},
    {"slots", cluster_slots, 2, STALE, .since = "3.0.0", .usage = "", .summary = "Where all slots are: at the leader."},
    {"help", NULL, 2, STALE, .since = "5.0.0", .usage = "", .summary = "Prints this help."},
};
