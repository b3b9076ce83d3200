/* INFO: sections of "key:value" lines as in Redis, and one of our own; ROLE, which has a part of it; and the few CONFIG
 * parameters that tools ask for. */
#include <stdio.h>
#include <string.h>

#include "core/formats/decimal.h"
#include "core/formats/glob.h"
#include "io/client_internal.h"

/* ---- INFO ---- */

enum { SAMPLE_MS = 100, SIZE_TEXT = 32 };

static void server_section(struct client_server *s, struct resp_buffer *text)
{
    char name[CLIENT_NODE_NAME_SIZE];
    const uint64_t up_s = (uv_now(s->loop) - s->opened_ms) / 1000;
    client_cluster_name(s, s->options.node, name);
    client_print(text,
                 "redis_version:" CLIENT_REDIS_VERSION "\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\n"
                 "redis_mode:cluster\r\nos:Linux\r\narch_bits:%u\r\nprocess_id:%d\r\nrun_id:%s\r\ntcp_port:%u\r\n"
                 "uptime_in_seconds:%llu\r\nuptime_in_days:%llu\r\n",
                 (unsigned)sizeof(void *) * 8, (int)uv_os_getpid(), name, s->port, (unsigned long long)up_s,
                 (unsigned long long)up_s / 86400);
}

/* Connections that are not read because too much of their data is waiting. */
static size_t count_paused(const struct client_server *s)
{
    size_t paused = 0;
    const struct client_connection *c;
    for (size_t at = 0; (c = slots_next(&s->connections, &at)) != NULL;)
        paused += c->state == CLIENT_SERVED && !c->reading ? 1 : 0;
    return paused;
}

static size_t count_held(const struct client_server *s)
{
    size_t held = 0;
    const struct client_connection *c;
    for (size_t at = 0; (c = slots_next(&s->connections, &at)) != NULL;)
        held += c->held || c->wait.waits ? 1 : 0;
    return held;
}

static void clients_section(struct client_server *s, struct resp_buffer *text)
{
    client_print(text,
                 "connected_clients:%llu\r\ncluster_connections:0\r\nmaxclients:%u\r\nblocked_clients:%zu\r\n"
                 "tracking_clients:%zu\r\nclients_in_timeout_table:0\r\npaused_clients:%zu\r\n",
                 (unsigned long long)s->statistics.connections, s->options.config->client_connections_max, count_held(s),
                 s->trackers, count_paused(s));
}

static struct node_status status_of(const struct client_server *s) { return s->options.status(s->options.context); }

/* "1.50M", as Redis prints sizes for people. */
static const char *human(uint64_t bytes, char out[SIZE_TEXT])
{
    static const char units[] = "BKMGTP";
    size_t unit = 0;
    uint64_t hundredths = bytes * 100;
    for (; hundredths >= 102400 && unit < sizeof units - 2; unit++)
        hundredths /= 1024;
    if (unit == 0)
        snprintf(out, SIZE_TEXT, "%lluB", (unsigned long long)bytes);
    else
        snprintf(out, SIZE_TEXT, "%llu.%02llu%c", (unsigned long long)(hundredths / 100),
                 (unsigned long long)(hundredths % 100), units[unit]);
    return out;
}

/* Of keys and values, as far as this node has them, and of what the port keeps for clients. */
static void memory_section(struct client_server *s, struct resp_buffer *text)
{
    const struct node_status n = status_of(s);
    const uint64_t used = n.state_bytes + s->buffered;
    char used_text[SIZE_TEXT], max_text[SIZE_TEXT];
    client_print(text,
                 "used_memory:%llu\r\nused_memory_human:%s\r\nused_memory_dataset:%llu\r\nused_memory_scripts:0\r\n"
                 "maxmemory:%llu\r\nmaxmemory_human:%s\r\nmaxmemory_policy:noeviction\r\nmem_clients_normal:%llu\r\n",
                 (unsigned long long)used, human(used, used_text), (unsigned long long)n.state_bytes,
                 (unsigned long long)n.state_bytes_max, human(n.state_bytes_max, max_text), (unsigned long long)s->buffered);
}

static void persistence_section(struct client_server *s, struct resp_buffer *text)
{
    client_print(text,
                 "loading:0\r\nasync_loading:0\r\nrdb_changes_since_last_save:0\r\nrdb_bgsave_in_progress:0\r\n"
                 "rdb_last_bgsave_status:ok\r\naof_enabled:1\r\naof_rewrite_in_progress:0\r\n"
                 "aof_last_bgrewrite_status:ok\r\naof_last_write_status:%s\r\n",
                 s->no_room ? "err" : "ok");
}

/* Commands in a second, from some earlier INFO to this one. */
static void sample(struct client_server *s)
{
    const uint64_t now = uv_now(s->loop), ms = now - s->sampled_ms;
    if (ms < SAMPLE_MS)
        return;
    s->commands_per_s = (s->statistics.commands - s->sampled_commands) * 1000 / ms;
    s->sampled_ms = now;
    s->sampled_commands = s->statistics.commands;
}

static void stats_section(struct client_server *s, struct resp_buffer *text)
{
    const struct client_server_statistics *t = &s->statistics, *r = &s->reset;
    sample(s);
    client_print(text,
                 "total_connections_received:%llu\r\ntotal_commands_processed:%llu\r\ninstantaneous_ops_per_sec:%llu\r\n"
                 "total_batches:%llu\r\ntotal_net_input_bytes:%llu\r\ntotal_net_output_bytes:%llu\r\n"
                 "rejected_connections:0\r\nexpired_keys:0\r\nevicted_keys:0\r\ntotal_error_replies:%llu\r\n"
                 "pubsub_channels:%zu\r\npubsub_patterns:%zu\r\npubsubshard_channels:%zu\r\ntracking_total_keys:%zu\r\n"
                 "tracking_total_items:%zu\r\ntracking_total_prefixes:%zu\r\n"
                 "waiting_bytes:%llu\r\nbuffered_bytes:%llu\r\n",
                 (unsigned long long)(t->connections_total - r->connections_total),
                 (unsigned long long)(t->commands - r->commands), (unsigned long long)s->commands_per_s,
                 (unsigned long long)(t->batches - r->batches), (unsigned long long)(t->bytes_in - r->bytes_in),
                 (unsigned long long)(t->bytes_out - r->bytes_out), (unsigned long long)(t->errors - r->errors),
                 s->channels.counts[CHANNEL_NAMED], s->channels.counts[CHANNEL_PATTERN],
                 s->channels.counts[CHANNEL_OF_SHARD], s->tracked.counts[CHANNEL_NAMED], s->tracked.subscriptions,
                 s->prefix_count, (unsigned long long)t->waiting_bytes, (unsigned long long)s->buffered);
}

static void followers(struct client_server *s, uint64_t offset, struct resp_buffer *text)
{
    const node_set others = client_cluster_reachable(s) & ~node_set_of(s->options.node);
    unsigned number = 0;
    client_print(text, "connected_slaves:%u\r\n", node_set_count(others));
    for (node_set all = others; all != 0; all &= all - 1, number++) {
        const struct config_node *n = &s->members.nodes[node_set_first(all)];
        client_print(text, "slave%u:ip=%s,port=%u,state=online,offset=%llu,lag=0\r\n", number, client_cluster_host(n),
                     client_cluster_port(s, n), (unsigned long long)offset);
    }
}

/* The leader as the master, the other nodes that clients can reach as its replicas. */
static void replication_section(struct client_server *s, struct resp_buffer *text)
{
    const struct node_status n = status_of(s);
    const struct config_node *leader = client_cluster_leader(s);
    const unsigned long long offset = (unsigned long long)n.executed;
    char name[CLIENT_NODE_NAME_SIZE];
    client_cluster_name(s, 0, name);
    if (leader != NULL && leader->id == s->options.node) {
        client_print(text, "role:master\r\n");
        followers(s, n.executed, text);
    } else {
        client_print(text,
                     "role:slave\r\nmaster_host:%s\r\nmaster_port:%u\r\nmaster_link_status:%s\r\n"
                     "master_last_io_seconds_ago:%d\r\nmaster_sync_in_progress:0\r\nslave_read_repl_offset:%llu\r\n"
                     "slave_repl_offset:%llu\r\nslave_priority:100\r\nslave_read_only:%d\r\nreplica_announced:1\r\n"
                     "connected_slaves:0\r\n",
                     leader != NULL ? client_cluster_host(leader) : "", leader != NULL ? client_cluster_port(s, leader) : 0u,
                     leader != NULL ? "up" : "down", leader != NULL ? 0 : -1, offset, offset, s->forwards ? 0 : 1);
    }
    client_print(text,
                 "master_failover_state:no-failover\r\nmaster_replid:%s\r\n"
                 "master_replid2:0000000000000000000000000000000000000000\r\nmaster_repl_offset:%llu\r\n"
                 "second_repl_offset:-1\r\nrepl_backlog_active:0\r\n",
                 name, offset);
}

static void modules_section(struct client_server *s, struct resp_buffer *text)
{
    (void)s;
    (void)text;
}

static void keyspace_section(struct client_server *s, struct resp_buffer *text)
{
    const struct node_status n = status_of(s);
    if (n.keys > 0)
        client_print(text, "db0:keys=%llu,expires=%llu,avg_ttl=%llu\r\n", (unsigned long long)n.keys,
                     (unsigned long long)n.timed_keys, (unsigned long long)n.time_left);
}

static void cluster_section(struct client_server *s, struct resp_buffer *text)
{
    (void)s;
    client_print(text, "cluster_enabled:1\r\n");
}

static void ballot_line(struct resp_buffer *text, const char *name, struct ballot b)
{
    client_print(text, "synod_%s:%llu.%u.%u\r\n", name, (unsigned long long)b.round, b.node, b.incarnation);
}

/* The time that the log has reached (P22), and how far its wall clock is behind this node's. Where nothing is executed it
 * stands still. */
static void time_lines(struct resp_buffer *text, const struct node_status *n)
{
    if (n->moment.unix == 0 || n->wall_clock == 0)
        return; /* nothing was executed yet, or this node has no learner */
    client_print(text, "synod_log_elapsed_ms:%llu\r\nsynod_log_clock_ms:%llu\r\nsynod_log_clock_behind_ms:%lld\r\n",
                 (unsigned long long)n->moment.elapsed, (unsigned long long)n->moment.unix,
                 (long long)(n->wall_clock - n->moment.unix));
}

static void synod_section(struct client_server *s, struct resp_buffer *text)
{
    static const char *const states[] = {"following", "asking", "preparing", "leading"};
    const struct config *config = s->options.config;
    const struct config_node *node = config_find(config, s->options.node);
    struct node_status n = status_of(s);
    client_print(text, "synod_node:%u\r\nsynod_role:%s\r\nsynod_cluster:%s\r\nsynod_incarnation:%u\r\nsynod_leader:%u\r\n",
                 s->options.node, role_name(node->role), config->cluster, n.incarnation, n.leader);
    client_print(text, "synod_proposer_state:%s\r\n",
                 n.proposer_state < sizeof states / sizeof states[0] ? states[n.proposer_state] : "unknown");
    ballot_line(text, "ballot", n.ballot);
    ballot_line(text, "promised", n.promised);
    client_print(text,
                 "synod_chosen:%llu\r\nsynod_executed:%llu\r\nsynod_held:%llu\r\nsynod_state_hash:%016llx\r\n"
                 "synod_commands_executed:%llu\r\nsynod_leader_changes:%llu\r\nsynod_batches_waiting:%llu\r\n",
                 (unsigned long long)n.chosen, (unsigned long long)n.executed, (unsigned long long)n.held,
                 (unsigned long long)n.state_hash, (unsigned long long)n.commands_executed,
                 (unsigned long long)n.leader_changes, (unsigned long long)n.batches_waiting);
    if (n.state_age_ms != UINT64_MAX)
        client_print(text, "synod_state_age_ms:%llu\r\n", (unsigned long long)n.state_age_ms);
    client_print(text, "synod_slots_behind:%llu\r\nsynod_sessions:%llu\r\nsynod_session_bytes:%llu\r\n",
                 (unsigned long long)n.slots_behind, (unsigned long long)n.sessions, (unsigned long long)n.session_bytes);
    time_lines(text, &n);
    char more[4096];
    if (s->options.info != NULL)
        resp_raw(text, more, s->options.info(s->options.context, more, sizeof more));
}

static const struct section {
    const char *name;
    void (*print)(struct client_server *s, struct resp_buffer *text);
} sections[] = {
    {"Server", server_section},     {"Clients", clients_section},
    {"Memory", memory_section},     {"Persistence", persistence_section},
    {"Stats", stats_section},       {"Replication", replication_section},
    {"Modules", modules_section},   {"Cluster", cluster_section},
    {"Keyspace", keyspace_section}, {"Synod", synod_section},
};

static bool is_wanted(const char *name, const struct bytes *args, size_t argc)
{
    for (size_t i = 1; i < argc; i++)
        if (client_is_word(&args[i], name) || client_is_word(&args[i], "all") || client_is_word(&args[i], "default") ||
            client_is_word(&args[i], "everything"))
            return true;
    return argc == 1;
}

void client_info(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct resp_buffer text = {0};
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        if (!is_wanted(sections[i].name, args, argc))
            continue;
        client_print(&text, "%s# %s\r\n", text.len > 0 ? "\r\n" : "", sections[i].name);
        sections[i].print(c->server, &text);
    }
    resp_text(out, c->version, text.data, text.len);
    resp_buffer_close(&text);
}

/* ---- ROLE ---- */

void client_role(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct client_server *s = c->server;
    const struct config_node *leader = client_cluster_leader(s);
    const uint64_t offset = status_of(s).executed;
    char text[DECIMAL_MAX + 1];
    (void)args;
    (void)argc;
    if (leader == NULL || leader->id != s->options.node) {
        resp_array(out, 5);
        resp_string(out, "slave");
        resp_string(out, leader != NULL ? client_cluster_host(leader) : "");
        resp_integer(out, leader != NULL ? client_cluster_port(s, leader) : 0);
        resp_string(out, leader != NULL ? "connected" : "connect");
        resp_integer(out, (int64_t)offset);
        return;
    }
    const node_set others = client_cluster_reachable(s) & ~node_set_of(s->options.node);
    resp_array(out, 3);
    resp_string(out, "master");
    resp_integer(out, (int64_t)offset);
    resp_array(out, node_set_count(others));
    for (node_set all = others; all != 0; all &= all - 1) {
        const struct config_node *n = &s->members.nodes[node_set_first(all)];
        resp_array(out, 3);
        resp_string(out, client_cluster_host(n));
        text[decimal_write_unsigned(client_cluster_port(s, n), (uint8_t *)text)] = '\0';
        resp_string(out, text);
        text[decimal_write_unsigned(offset, (uint8_t *)text)] = '\0';
        resp_string(out, text);
    }
}

/* ---- CONFIG ---- */

enum { PARAMETERS_MAX = 10, VALUE_SIZE = 32 };
struct parameter {
    const char *name;
    char value[VALUE_SIZE];
};

static size_t list_parameters(const struct client_server *s, struct parameter list[PARAMETERS_MAX])
{
    const struct config *config = s->options.config;
    size_t count = 0;
    list[count++] = (struct parameter){"save", ""};
    list[count++] = (struct parameter){"appendonly", "yes"};
    list[count] = (struct parameter){"appendfsync", "always"};
    if (config->node_config.durability != DURABILITY_FSYNC)
        memcpy(list[count].value, "no", sizeof "no");
    count++;
    list[count++] = (struct parameter){"databases", "1"};
    list[count++] = (struct parameter){"maxmemory-policy", "noeviction"};
    list[count] = (struct parameter){"maxclients", ""};
    snprintf(list[count++].value, VALUE_SIZE, "%u", config->client_connections_max);
    list[count] = (struct parameter){"proto-max-bulk-len", ""};
    snprintf(list[count++].value, VALUE_SIZE, "%u", config->command_bytes_max);
    list[count] = (struct parameter){"port", ""};
    snprintf(list[count++].value, VALUE_SIZE, "%u", s->port);
    list[count] = (struct parameter){"notify-keyspace-events", ""};
    client_events_write(s->events, list[count++].value);
    list[count] = (struct parameter){"tracking-table-max-keys", ""};
    snprintf(list[count++].value, VALUE_SIZE, "%llu", (unsigned long long)s->tracked.channels_max);
    return count;
}

static bool is_asked(const char *name, const struct bytes *patterns, size_t count)
{
    uint64_t steps = 16 * 1024; /* for all patterns together; longer ones get an empty answer */
    for (size_t i = 0; i < count; i++)
        if (glob_match(patterns[i].ptr, patterns[i].len, (const uint8_t *)name, strlen(name), &steps) == GLOB_MATCHES)
            return true;
    return false;
}

static void config_get(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct parameter list[PARAMETERS_MAX];
    size_t count = list_parameters(c->server, list), found = 0;
    for (size_t i = 0; i < count; i++)
        found += is_asked(list[i].name, args + 2, argc - 2) ? 1 : 0;
    resp_map(out, c->version, found);
    for (size_t i = 0; i < count; i++)
        if (is_asked(list[i].name, args + 2, argc - 2)) {
            resp_string(out, list[i].name);
            resp_string(out, list[i].value);
        }
}

/* What may be set is about this node's clients alone. */
struct settings {
    uint32_t events;
    uint64_t tracked_keys;
};

static const char *read_setting(const struct bytes *name, const struct bytes *value, struct settings *s)
{
    if (client_is_word(name, "notify-keyspace-events"))
        return client_events_read(value, &s->events) ? NULL
                                                     : "ERR CONFIG SET failed (possibly related to argument "
                                                       "'notify-keyspace-events') - Invalid event class character. Use "
                                                       "'Ag$lshzxeKEtmdn'.";
    if (client_is_word(name, "tracking-table-max-keys"))
        return decimal_read_unsigned(value->ptr, value->len, &s->tracked_keys)
                   ? NULL
                   : "ERR CONFIG SET failed (possibly related to argument 'tracking-table-max-keys') - argument couldn't be "
                     "parsed into an integer";
    return "ERR CONFIG SET is not supported for this: settings are in the configuration file of the cluster";
}

static void config_set(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct client_server *s = c->server;
    struct settings all = {s->events, s->tracked.channels_max};
    const char *error = argc % 2 == 0 ? NULL : "ERR wrong number of arguments for 'config|set' command";
    for (size_t i = 2; i + 1 < argc && error == NULL; i += 2)
        error = read_setting(&args[i], &args[i + 1], &all);
    if (error != NULL) {
        resp_error_text(out, error);
        return;
    }
    s->events = all.events;
    s->tracked.channels_max = all.tracked_keys;
    s->upcalls->limit(s);
    resp_status_text(out, "OK");
}

static void config_rewrite(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    (void)args;
    (void)argc;
    resp_error_text(out, "ERR The server is running without a config file");
}

/* The counters themselves go on: others look whether they have changed. */
static void config_resetstat(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct client_server *s = c->server;
    (void)args;
    (void)argc;
    s->reset = s->statistics;
    resp_status_text(out, "OK");
}

#define ADMIN .flags = "admin noscript loading stale", .categories = "admin slow dangerous"
/* clang-format off */
const struct client_command client_config_subcommands[CONFIG_SUBCOMMANDS] = {
    {"get", config_get, -3, 0, ADMIN, .since = "2.0.0", .usage = "<pattern> [<pattern> ...]",
     .summary = "Some settings, as Redis names them."},
    {"help", NULL, 2, 0, .flags = "loading stale", .categories = "slow", .since = "5.0.0", .usage = "",
     .summary = "Prints this help."},
    {"resetstat", config_resetstat, 2, 0, ADMIN, .since = "2.0.0", .usage = "", .summary = "Lets INFO count from zero."},
    {"rewrite", config_rewrite, 2, 0, ADMIN, .since = "2.8.0", .usage = "",
     .summary = "Refused: the file is the operator's."},
    {"set", config_set, -4, 0, ADMIN, .since = "2.0.0", .usage = "<name> <value> [<name> <value> ...]",
     .summary = "Of what this node tells clients about keys: notify-keyspace-events, tracking-table-max-keys."},
};
/* clang-format on */
