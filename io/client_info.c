/* INFO: sections of "key:value" lines as in Redis, and one of our own; and the few CONFIG parameters that tools ask for. */
#include <stdio.h>
#include <string.h>

#include "core/formats/glob.h"
#include "io/client_internal.h"

/* ---- INFO ---- */

static void server_section(struct client_server *s, struct resp_buffer *text)
{
    client_print(text,
                 "redis_version:" CLIENT_REDIS_VERSION "\r\nredis_mode:cluster\r\nos:Linux\r\narch_bits:%u\r\n"
                 "process_id:%d\r\ntcp_port:%u\r\n",
                 (unsigned)sizeof(void *) * 8, (int)uv_os_getpid(), s->port);
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

static void clients_section(struct client_server *s, struct resp_buffer *text)
{
    client_print(text, "connected_clients:%llu\r\nmaxclients:%u\r\nblocked_clients:0\r\npaused_clients:%zu\r\n",
                 (unsigned long long)s->statistics.connections, s->options.config->client_connections_max, count_paused(s));
}

static void stats_section(struct client_server *s, struct resp_buffer *text)
{
    const struct client_server_statistics *t = &s->statistics;
    client_print(text,
                 "total_connections_received:%llu\r\ntotal_commands_processed:%llu\r\ntotal_batches:%llu\r\n"
                 "total_net_input_bytes:%llu\r\ntotal_net_output_bytes:%llu\r\ntotal_error_replies:%llu\r\n"
                 "waiting_bytes:%llu\r\nbuffered_bytes:%llu\r\n",
                 (unsigned long long)t->connections_total, (unsigned long long)t->commands, (unsigned long long)t->batches,
                 (unsigned long long)t->bytes_in, (unsigned long long)t->bytes_out, (unsigned long long)t->errors,
                 (unsigned long long)t->waiting_bytes, (unsigned long long)s->buffered);
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

static void synod_section(struct client_server *s, struct resp_buffer *text)
{
    static const char *const states[] = {"following", "asking", "preparing", "leading"};
    const struct config *config = s->options.config;
    const struct config_node *node = config_find(config, s->options.node);
    struct node_status n = s->options.status(s->options.context);
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
    char more[4096];
    if (s->options.info != NULL)
        resp_raw(text, more, s->options.info(s->options.context, more, sizeof more));
}

static const struct section {
    const char *name;
    void (*print)(struct client_server *s, struct resp_buffer *text);
} sections[] = {
    {"Server", server_section},   {"Clients", clients_section}, {"Stats", stats_section},
    {"Cluster", cluster_section}, {"Synod", synod_section},
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

/* ---- CONFIG ---- */

enum { PARAMETERS_MAX = 8, VALUE_SIZE = 32 };
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

void client_config(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    if (!client_is_word(&args[1], "get") || argc < 3) {
        if (client_is_word(&args[1], "set"))
            resp_error_text(out, "ERR CONFIG SET is not supported: settings are in the configuration file of the cluster");
        else
            client_unknown_subcommand(out, "CONFIG", &args[1]);
        return;
    }
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
