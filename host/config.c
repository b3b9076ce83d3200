/* Reading the configuration file.
 *
 * libyaml turns the file into a tree whose every node knows its line. `read_map` walks one map of that tree along one
 * table of host/config_schema.c: it knows no key by name, so unknown keys, keys given twice, missing keys and bad values
 * are found in one place. What a single value cannot tell (duplicates, groups, quorums, limits that contradict each
 * other) is checked once everything has been read. Each error is one line: FILE:LINE: key 'settings.alpha': what is
 * wrong. */
#include "host/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "core/base/memory.h"
#include "core/runners/ports.h" /* enum log_level */
#include "host/config_bounds.h"
#include "host/config_check.h"
#include "host/config_schema.h"

enum {
    PATH_TEXT_MAX = 96, /* "settings.storage_flush_state_interval_ms" and the like */
};

struct node_lines {
    size_t of_node;
    size_t of_key[CONFIG_NODE_KEYS]; /* in the order of config_node_section */
};

struct loader {
    const char *file;
    struct problem *problem;
    struct config *config;
    yaml_document_t document;
    size_t top_lines[CONFIG_KEYS_MAX]; /* 0: the key is not there */
    size_t setting_lines[CONFIG_KEYS_MAX];
    struct node_lines *node_lines;
    struct config_node for_nodes; /* what nodes are unless they say so themselves */
    uint32_t client_server_port;
};

static bool fail(struct loader *l, size_t line, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static bool fail(struct loader *l, size_t line, const char *key, const char *format, ...)
{
    char what[600];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    problem_set(l->problem, EXIT_BAD_INPUT, "%s:%zu: key '%s': %s", l->file, line, key, what);
    for (char *p = l->problem->text; *p != '\0'; p++)
        if (iscntrl((unsigned char)*p)) /* what is quoted from the file must not break the line */
            *p = '?';
    return false;
}

static size_t line_of(const yaml_node_t *node) { return node->start_mark.line + 1; }

static bool is_empty(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0 &&
           node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* The text of a scalar, NULL when the node is none or holds a zero byte. */
static const char *text_of(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE)
        return NULL;
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL;
}

static size_t items_of(const yaml_node_t *list)
{
    return (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
}

static yaml_node_t *item_of(struct loader *l, const yaml_node_t *list, size_t i)
{
    return yaml_document_get_node(&l->document, list->data.sequence.items.start[i]);
}

/* ---- Fields ---- */

/* The struct that holds the field of a key at the top. */
static void *base_of(struct loader *l, const struct config_key *key)
{
    return key->use == KEY_FOR_NODES ? (void *)&l->for_nodes : (void *)l->config;
}

static void store_defaults(struct loader *l)
{
    config_settings_standard(l->config);
    for (size_t i = 0; i < config_top_section.count; i++) {
        const struct config_key *key = &config_top_section.keys[i];
        if (key->kind == VALUE_CHOICE || key->kind == VALUE_BOOL || key->kind == VALUE_COUNT || key->kind == VALUE_BYTES ||
            key->kind == VALUE_TIME_MS)
            config_field_store(key, base_of(l, key), key->standard);
    }
}

/* ---- Values ---- */

static bool read_number(struct loader *l, const char *path, size_t line, const struct config_key *key, const char *text,
                        void *base)
{
    char reason[400], standard[64];
    uint64_t value;
    if (!config_value_read(key, text, &value, reason, sizeof reason))
        return fail(l, line, path, "%s", reason);
    if (key->use == KEY_ONLY_DEFAULT && value != key->standard) {
        config_value_print(key, key->standard, standard, sizeof standard);
        return fail(l, line, path, "%s is not supported yet, only %s: %s", text, standard, key->refusal);
    }
    config_field_store(key, key->use == KEY_FOR_NODES ? base_of(l, key) : base, value);
    if (strcmp(key->name, "client_server_port") == 0)
        l->client_server_port = (uint32_t)value;
    return true;
}

static bool read_name(struct loader *l, const char *path, size_t line, const struct config_key *key, const char *text,
                      void *base)
{
    size_t len = strlen(text);
    if (len == 0 || len >= key->size)
        return fail(l, line, path, "'%s' must have 1..%zu characters", text, key->size - 1);
    for (const char *p = text; *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && strchr("._-", *p) == NULL)
            return fail(l, line, path, "'%s' may have letters, digits, '.', '_' and '-' only", text);
    memcpy((char *)base + key->offset, text, len + 1);
    return true;
}

/* The absolute path of the data folder: `text` starts at the folder that holds the configuration file. */
static bool read_data(struct loader *l, size_t line, const char *text)
{
    char here[PATH_MAX];
    if (text[0] == '\0')
        return fail(l, line, "data", "is empty");
    if (text[0] == '/') {
        l->config->data = strdup(text);
    } else {
        if (realpath(l->file, here) == NULL)
            return fail(l, line, "data", "the folder of this file: %s", strerror(errno));
        *strrchr(here, '/') = '\0';
        if (asprintf(&l->config->data, "%s/%s", here, text) < 0)
            l->config->data = NULL;
    }
    invariant(l->config->data != NULL);
    return true;
}

/* Why a host is none, NULL when it may be one. */
static const char *host_refused(const char *host, bool brackets)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (brackets) {
        char bare[256];
        snprintf(bare, sizeof bare, "%s", host);
        bare[strcspn(bare, "%")] = '\0'; /* a zone such as %eth0 */
        if (inet_pton(AF_INET6, bare, &v6) != 1)
            return "is not an IPv6 address";
        return IN6_IS_ADDR_UNSPECIFIED(&v6) ? "is no address that others can reach" : NULL;
    }
    for (const char *p = host; *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && strchr("._-", *p) == NULL)
            return "is not a host name";
    if (host[strspn(host, "0123456789.")] == '\0') {
        if (inet_pton(AF_INET, host, &v4) != 1)
            return "is not an IPv4 address";
        return v4.s_addr == INADDR_ANY ? "is no address that others can reach" : NULL;
    }
    return NULL;
}

static bool read_endpoint(struct loader *l, const char *path, size_t line, const char *text, struct endpoint *out)
{
    const bool brackets = text[0] == '[';
    const char *start = brackets ? text + 1 : text;
    const char *end = strchr(start, brackets ? ']' : ':');
    const char *colon = end == NULL ? NULL : brackets ? end + 1 : end;
    if (colon == NULL || *colon != ':' || end == start || strchr(colon + 1, ':') != NULL)
        return fail(l, line, path, "'%s' is not an address (host:port or [v6]:port)", text);
    if ((size_t)(end - start) >= sizeof out->host)
        return fail(l, line, path, "the host has more than %zu characters", sizeof out->host - 1);
    memcpy(out->host, start, (size_t)(end - start));
    out->host[end - start] = '\0';
    const char *refused = host_refused(out->host, brackets);
    if (refused != NULL)
        return fail(l, line, path, "'%s' %s", out->host, refused);

    static const struct config_key port_key = {.name = "port", .kind = VALUE_COUNT, .min = 1, .max = UINT16_MAX};
    char reason[400];
    uint64_t port;
    if (!config_value_read(&port_key, colon + 1, &port, reason, sizeof reason))
        return fail(l, line, path, "port %s", reason);
    out->port = (uint16_t)port;
    return true;
}

/* ---- Maps and lists ---- */

static bool read_nodes(struct loader *l, yaml_node_t *list);
static bool read_groups(struct loader *l, yaml_node_t *list);
static bool read_crashes(struct loader *l, yaml_node_t *list);
static bool read_map(struct loader *l, yaml_node_t *map, const char *prefix, const struct config_section *section,
                     void *base, size_t *lines);

static bool read_value(struct loader *l, const char *path, const struct config_key *key, yaml_node_t *node, void *base)
{
    const size_t line = line_of(node);
    if (key->kind == VALUE_NODES)
        return read_nodes(l, node);
    if (key->kind == VALUE_GROUPS)
        return read_groups(l, node);
    if (key->kind == VALUE_SETTINGS) {
        if (is_empty(node)) /* all of them commented out */
            return true;
        return read_map(l, node, "settings.", &config_setting_section, base, l->setting_lines);
    }
    if (key->kind == VALUE_CRASHES)
        return read_crashes(l, node);
    const char *text = text_of(node);
    if (text == NULL)
        return fail(l, line, path, "must be a single value");
    switch (key->kind) {
    case VALUE_NAME:
        return read_name(l, path, line, key, text, base);
    case VALUE_PATH:
        return read_data(l, line, text);
    case VALUE_ENDPOINT:
        return read_endpoint(l, path, line, text, (struct endpoint *)(void *)((uint8_t *)base + key->offset));
    default:
        return read_number(l, path, line, key, text, base);
    }
}

/* Reads a map along its table into `base`. `lines` (one a row, zero before) tells afterwards which keys were there. */
static bool read_map(struct loader *l, yaml_node_t *map, const char *prefix, const struct config_section *section,
                     void *base, size_t *lines)
{
    const struct config_key *key;
    char path[PATH_TEXT_MAX + 64];
    if (map->type != YAML_MAPPING_NODE) {
        snprintf(path, sizeof path, "%.*s", (int)strcspn(prefix, "."), prefix);
        return fail(l, line_of(map), path, "must be a map (`name: value` lines)");
    }
    for (yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; pair++) {
        yaml_node_t *name_node = yaml_document_get_node(&l->document, pair->key);
        yaml_node_t *value = yaml_document_get_node(&l->document, pair->value);
        const char *name = text_of(name_node);
        snprintf(path, sizeof path, "%s%s", prefix, name != NULL ? name : "?");
        int row = name != NULL ? config_key_find(section, name) : -1;
        if (row < 0)
            return fail(l, line_of(name_node), path, "unknown key");
        key = config_key_at(section, (size_t)row);
        if (lines[row] != 0)
            return fail(l, line_of(name_node), path, "given twice, first on line %zu", lines[row]);
        lines[row] = line_of(name_node);
        if (!read_value(l, path, key, value, base))
            return false;
    }
    for (size_t i = 0; (key = config_key_at(section, i)) != NULL; i++) {
        snprintf(path, sizeof path, "%s%s", prefix, key->name);
        if (key->use == KEY_REQUIRED && lines[i] == 0)
            return fail(l, line_of(map), path, "missing");
        int other = key->alias != NULL ? config_key_find(section, key->alias) : -1;
        if (other >= 0 && lines[i] != 0 && lines[other] != 0)
            return fail(l, lines[i], path, "another name of '%s%s', which line %zu gives too", prefix, key->alias,
                        lines[other]);
    }
    return true;
}

static bool read_nodes(struct loader *l, yaml_node_t *list)
{
    struct config *c = l->config;
    if (list->type != YAML_SEQUENCE_NODE || items_of(list) == 0)
        return fail(l, line_of(list), "nodes", "must be a list with at least one node");
    if (items_of(list) > NODE_ID_MAX)
        return fail(l, line_of(list), "nodes", "%zu nodes are more than %u", items_of(list), NODE_ID_MAX);
    c->node_count = items_of(list);
    c->nodes = memory_new(c->node_count, sizeof *c->nodes);
    l->node_lines = memory_new(c->node_count, sizeof *l->node_lines);
    for (size_t i = 0; i < c->node_count; i++) {
        char prefix[PATH_TEXT_MAX];
        size_t lines[CONFIG_KEYS_MAX] = {0};
        yaml_node_t *item = item_of(l, list, i);
        snprintf(prefix, sizeof prefix, "nodes[%zu].", i);
        if (!read_map(l, item, prefix, &config_node_section, &c->nodes[i], lines))
            return false;
        l->node_lines[i].of_node = line_of(item);
        memcpy(l->node_lines[i].of_key, lines, sizeof l->node_lines[i].of_key);
    }
    return true;
}

static bool read_group(struct loader *l, yaml_node_t *list, size_t index)
{
    static const struct config_key id_key = {.name = "id", .kind = VALUE_COUNT, .min = 1, .max = NODE_ID_MAX};
    struct config_group *group = &l->config->groups[index];
    char path[PATH_TEXT_MAX];
    snprintf(path, sizeof path, "groups[%zu]", index);
    if (list->type != YAML_SEQUENCE_NODE || items_of(list) == 0)
        return fail(l, line_of(list), path, "must be a list with at least one node id");
    for (size_t i = 0; i < items_of(list); i++) {
        yaml_node_t *item = item_of(l, list, i);
        const char *text = text_of(item);
        char reason[400];
        uint64_t id;
        if (text == NULL)
            return fail(l, line_of(item), path, "must be a list of node ids");
        if (!config_value_read(&id_key, text, &id, reason, sizeof reason))
            return fail(l, line_of(item), path, "%s", reason);
        for (size_t g = 0; g <= index; g++)
            for (size_t n = 0; n < l->config->groups[g].count; n++)
                if (l->config->groups[g].nodes[n] == id)
                    return fail(l, line_of(item), path, "node %" PRIu64 " is already in groups[%zu]", id, g);
        group->nodes[group->count++] = (uint32_t)id; /* ids differ and are below 64, so they fit */
    }
    return true;
}

static bool read_groups(struct loader *l, yaml_node_t *list)
{
    if (is_empty(list))
        return true;
    if (list->type != YAML_SEQUENCE_NODE || items_of(list) == 0)
        return fail(l, line_of(list), "groups", "must be a list of lists of node ids");
    if (items_of(list) > NODE_ID_MAX)
        return fail(l, line_of(list), "groups", "%zu groups are more than %u", items_of(list), NODE_ID_MAX);
    l->config->group_count = items_of(list);
    l->config->groups = memory_new(l->config->group_count, sizeof *l->config->groups);
    for (size_t i = 0; i < l->config->group_count; i++)
        if (!read_group(l, item_of(l, list, i), i))
            return false;
    return true;
}

/* One list of a node and the slots at which it crashes. */
static bool read_crash(struct loader *l, const char *path, yaml_node_t *list, size_t *capacity)
{
    static const struct config_key node_key = {.name = "id", .kind = VALUE_COUNT, .min = 1, .max = NODE_ID_MAX};
    static const struct config_key slot_key = {.name = "slot", .kind = VALUE_COUNT, .min = 1, .max = SLOT_MAX};
    struct config *c = l->config;
    uint64_t node = 0, value;
    if (list->type != YAML_SEQUENCE_NODE || items_of(list) < 2)
        return fail(l, line_of(list), path, "must be a list of a node id and at least one slot");
    for (size_t i = 0; i < items_of(list); i++) {
        yaml_node_t *item = item_of(l, list, i);
        const char *text = text_of(item);
        char reason[400];
        if (text == NULL)
            return fail(l, line_of(item), path, "must be a list of a node id and at least one slot");
        if (!config_value_read(i == 0 ? &node_key : &slot_key, text, &value, reason, sizeof reason))
            return fail(l, line_of(item), path, "%s", reason);
        if (i == 0) {
            node = value;
            continue;
        }
        c->crashes = memory_reserve(c->crashes, capacity, c->crash_count + 1, sizeof *c->crashes);
        c->crashes[c->crash_count++] = (struct config_crash){.node = (uint32_t)node, .slot = value};
    }
    return true;
}

static bool read_crashes(struct loader *l, yaml_node_t *list)
{
    size_t capacity = 0;
    if (list->type != YAML_SEQUENCE_NODE)
        return fail(l, line_of(list), "settings.crashes", "must be a list of lists of a node id and slots");
    for (size_t i = 0; i < items_of(list); i++) {
        char path[PATH_TEXT_MAX];
        snprintf(path, sizeof path, "settings.crashes[%zu]", i);
        if (!read_crash(l, path, item_of(l, list, i), &capacity))
            return false;
    }
    return true;
}

/* ---- What only the whole can tell ---- */

static size_t top_line(const struct loader *l, const char *name)
{
    return l->top_lines[config_key_find(&config_top_section, name)];
}

static size_t setting_line(const struct loader *l, const char *name)
{
    return l->setting_lines[config_key_find(&config_setting_section, name)];
}

static bool check_ids(struct loader *l)
{
    const struct config *c = l->config;
    for (size_t i = 0; i < c->node_count; i++)
        for (size_t k = 0; k < i; k++)
            if (c->nodes[k].id == c->nodes[i].id) {
                char path[PATH_TEXT_MAX];
                snprintf(path, sizeof path, "nodes[%zu].id", i);
                return fail(l, l->node_lines[i].of_key[0], path, "%u is already the id of nodes[%zu]", c->nodes[i].id, k);
            }
    return true;
}

/* Where endpoint `which` (0 address, 1 client) of a node stands in the file. */
static size_t endpoint_place(const struct loader *l, size_t node, int which, char *path, size_t size)
{
    static const char *const names[] = {"address", "client"};
    size_t line = l->node_lines[node].of_key[config_key_find(&config_node_section, names[which])];
    if (line != 0) {
        snprintf(path, size, "nodes[%zu].%s", node, names[which]);
        return line;
    }
    snprintf(path, size, "settings.client_server_port");
    return setting_line(l, "client_server_port");
}

static bool same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

static bool check_endpoints(struct loader *l)
{
    struct config *c = l->config;
    for (size_t i = 0; i < c->node_count; i++)
        if (c->nodes[i].client.host[0] == '\0' && l->client_server_port != 0) {
            c->nodes[i].client = c->nodes[i].address;
            c->nodes[i].client.port = (uint16_t)l->client_server_port;
        }
    for (size_t i = 0; i < 2 * c->node_count; i++) {
        struct endpoint *mine = i % 2 == 0 ? &c->nodes[i / 2].address : &c->nodes[i / 2].client;
        mine->line = (uint32_t)endpoint_place(l, i / 2, (int)(i % 2), mine->key, sizeof mine->key);
    }
    for (size_t i = 0; i < 2 * c->node_count; i++) {
        const struct config_node *node = &c->nodes[i / 2];
        const struct endpoint *mine = i % 2 == 0 ? &node->address : &node->client;
        for (size_t k = 0; k < i && mine->host[0] != '\0'; k++) {
            const struct config_node *other = &c->nodes[k / 2];
            if (!same_endpoint(mine, k % 2 == 0 ? &other->address : &other->client))
                continue;
            return fail(l, mine->line, mine->key, "%s port %u is already the %s address of node %u", mine->host,
                        (unsigned)mine->port, k % 2 == 0 ? "node" : "client", other->id);
        }
    }
    return true;
}

/* Gives the nodes what they do not say themselves. */
static void complete_nodes(struct loader *l)
{
    for (size_t k = 0; k < config_node_section.count; k++) {
        const struct config_key *key = &config_node_section.keys[k];
        for (size_t i = 0; key->use == KEY_FROM_TOP && i < l->config->node_count; i++)
            if (l->node_lines[i].of_key[k] == 0)
                memcpy((uint8_t *)&l->config->nodes[i] + key->offset, (const uint8_t *)&l->for_nodes + key->offset,
                       key->size);
    }
}

static const char *wire_of(const struct config_node *node)
{
    switch (node->network) {
    case NETWORK_HOST_TCP:
    case NETWORK_GUEST_TCP:
        return "TCP";
    case NETWORK_HOST_UDP:
    case NETWORK_GUEST_UDP:
        return "UDP";
    default:
        return "gRPC";
    }
}

/* Nodes reach each other only if all speak the same. */
static bool check_wires(struct loader *l)
{
    const struct config *c = l->config;
    const int key = config_key_find(&config_node_section, "network");
    for (size_t i = 1; i < c->node_count; i++) {
        const char *first = wire_of(&c->nodes[0]), *other = wire_of(&c->nodes[i]);
        if (strcmp(first, other) == 0)
            continue;
        char path[PATH_TEXT_MAX];
        const size_t at = l->node_lines[i].of_key[key] != 0 ? i : 0; /* one of both says so itself */
        snprintf(path, sizeof path, "nodes[%zu].network", at);
        return fail(l, l->node_lines[at].of_key[key], path,
                    "node %u (%s) and node %u (%s) cannot talk to each other: %s and %s", c->nodes[0].id,
                    network_name(c->nodes[0].network), c->nodes[i].id, network_name(c->nodes[i].network), first, other);
    }
    return true;
}

/* The whole node as one component has its serializer inside. */
static bool check_granularities(struct loader *l)
{
    const struct config *c = l->config;
    const int key = config_key_find(&config_node_section, "granularity");
    for (size_t i = 0; i < c->node_count; i++) {
        if (c->nodes[i].granularity != GRANULARITY_NODE || c->nodes[i].serializer == PLACE_GUEST)
            continue;
        char path[PATH_TEXT_MAX] = "granularity";
        const size_t own = l->node_lines[i].of_key[key];
        if (own != 0)
            snprintf(path, sizeof path, "nodes[%zu].granularity", i);
        return fail(l, own != 0 ? own : top_line(l, "granularity"), path,
                    "node %u, as one component, has its serializer inside: 'serializer: host' needs parts or agents",
                    c->nodes[i].id);
    }
    return true;
}

static bool check_crashes(struct loader *l)
{
    const struct config *c = l->config;
    for (size_t i = 0; i < c->crash_count; i++)
        if (config_find(c, c->crashes[i].node) == NULL)
            return fail(l, setting_line(l, "crashes"), "settings.crashes", "there is no node %u", c->crashes[i].node);
    return true;
}

/* The demo client needs a client port to talk to. */
static bool check_demo_client(struct loader *l)
{
    const struct config *c = l->config;
    bool found = !c->demo_client;
    for (size_t i = 0; i < c->node_count && !found; i++) {
        const struct config_node *node = &c->nodes[i];
        found = (node->role == ROLE_COORDINATOR || node->role == ROLE_PROPOSER) && node->client.host[0] != '\0';
    }
    return found || fail(l, setting_line(l, "demo_client"), "settings.demo_client",
                         "no node that takes commands (coordinator, proposer) has a client port");
}

static bool complete_groups(struct loader *l)
{
    struct config *c = l->config;
    if (c->group_count == 0) {
        c->group_count = c->node_count;
        c->groups = memory_new(c->group_count, sizeof *c->groups);
        for (size_t i = 0; i < c->node_count; i++)
            c->groups[i] = (struct config_group){.nodes = {c->nodes[i].id}, .count = 1};
        return true;
    }
    char path[PATH_TEXT_MAX];
    for (size_t g = 0; g < c->group_count; g++)
        for (size_t n = 0; n < c->groups[g].count; n++)
            if (config_find(c, c->groups[g].nodes[n]) == NULL) {
                snprintf(path, sizeof path, "groups[%zu]", g);
                return fail(l, top_line(l, "groups"), path, "there is no node %u", c->groups[g].nodes[n]);
            }
    for (size_t i = 0; i < c->node_count; i++)
        if (config_group_of(c, c->nodes[i].id) == NULL)
            return fail(l, top_line(l, "groups"), "groups", "node %u is in no group", c->nodes[i].id);
    return true;
}

static bool complete_roles(struct loader *l)
{
    struct config *c = l->config;
    struct node_config *n = &c->node_config;
    for (size_t i = 0; i < c->node_count; i++) {
        const node_set self = node_set_of(c->nodes[i].id);
        const uint8_t role = c->nodes[i].role;
        if (role == ROLE_COORDINATOR || role == ROLE_PROPOSER)
            n->proposers |= self;
        if (role == ROLE_COORDINATOR || role == ROLE_ACCEPTOR)
            n->acceptors |= self;
        if (role == ROLE_COORDINATOR || role == ROLE_LEARNER)
            n->learners |= self;
    }
    const struct {
        node_set set;
        const char *name;
    } needed[] = {{n->proposers, "a proposer"}, {n->acceptors, "an acceptor"}, {n->learners, "a learner"}};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (needed[i].set == 0)
            return fail(l, top_line(l, "nodes"), "nodes", "no node is %s (or a coordinator)", needed[i].name);
    return true;
}

static bool complete_quorums(struct loader *l)
{
    struct node_config *n = &l->config->node_config;
    const uint32_t acceptors = node_set_count(n->acceptors);
    const struct {
        const char *name;
        uint32_t *quorum;
    } phases[] = {{"phase1_quorum", &n->phase1_quorum}, {"phase2_quorum", &n->phase2_quorum}};
    char path[PATH_TEXT_MAX];
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "settings.%s", phases[i].name);
        if (*phases[i].quorum > acceptors)
            return fail(l, setting_line(l, phases[i].name), path, "%u is more than the acceptors there are (%u)",
                        *phases[i].quorum, acceptors);
        if (*phases[i].quorum == 0)
            *phases[i].quorum = acceptors / 2 + 1;
    }
    return true;
}

/* Complains at the first of the keys in conflict that the file gives. */
static bool check_settings(struct loader *l)
{
    struct config_conflict conflict;
    char path[PATH_TEXT_MAX];
    if (config_check(l->config, &conflict))
        return true;
    size_t at = 0;
    while (at + 1 < CONFLICT_KEYS_MAX && conflict.keys[at + 1] != NULL && setting_line(l, conflict.keys[at]) == 0)
        at++;
    snprintf(path, sizeof path, "settings.%s", conflict.keys[at]);
    return fail(l, setting_line(l, conflict.keys[at]), path, "%s", conflict.text);
}

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* What is kept in a component's memory must fit there. limits.replies_bytes decides about commands, so it must be the same
 * on all nodes. Where memory_bytes_max is so small that it lowers that limit, it must be the same, too. */
static void complete_memory(struct loader *l)
{
    struct node_config *n = &l->config->node_config;
    const uint64_t memory = l->config->memory_bytes_max;
    const struct limits standard = limits_effective(&(struct limits){0});
    if (setting_line(l, "bytes_in_flight_max") == 0)
        n->bytes_in_flight_max = smaller(n->bytes_in_flight_max, memory / 16);
    n->state_bytes_room = config_state_bytes_room(l->config);
    if (setting_line(l, "state_bytes_max") == 0)
        n->state_bytes_max = smaller(n->state_bytes_max, n->state_bytes_room);
    n->limits.withheld_bytes = (uint32_t)smaller(standard.withheld_bytes, memory / 4);
    n->limits.results_bytes = (uint32_t)smaller(standard.results_bytes, memory / 8);
    n->limits.replies_bytes = (uint32_t)smaller(standard.replies_bytes, memory / 8);
}

static bool complete(struct loader *l)
{
    if (l->config->data == NULL && !read_data(l, 1, "data"))
        return false;
    complete_nodes(l);
    complete_memory(l);
    l->config->node_config.log_decisions = l->config->log_level == LOG_DEBUG;
    return check_ids(l) && check_endpoints(l) && check_wires(l) && check_granularities(l) && check_crashes(l) &&
           check_demo_client(l) && complete_groups(l) && complete_roles(l) && complete_quorums(l) && check_settings(l);
}

/* ---- The file ---- */

static bool read_file(const char *file, char **text, size_t *len, struct problem *problem)
{
    FILE *in = fopen(file, "re");
    if (in == NULL)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: %s", file, strerror(errno));
    *text = memory_new(CONFIG_FILE_BYTES_MAX + 1, 1);
    *len = fread(*text, 1, CONFIG_FILE_BYTES_MAX + 1, in);
    const bool bad = ferror(in) != 0;
    const int error = errno;
    fclose(in);
    if (!bad && *len <= CONFIG_FILE_BYTES_MAX)
        return true;
    free(*text);
    if (bad)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: %s", file, strerror(error));
    return problem_set(problem, EXIT_BAD_INPUT, "%s: more than %d bytes", file, CONFIG_FILE_BYTES_MAX);
}

static bool fail_yaml(struct loader *l, const yaml_parser_t *parser, const char *text)
{
    size_t line = parser->problem_mark.line + 1;
    if (parser->error == YAML_READER_ERROR) { /* knows the byte only */
        line = 1;
        for (size_t i = 0; i < parser->problem_offset; i++)
            line += text[i] == '\n';
    }
    return problem_set(l->problem, EXIT_BAD_INPUT, "%s:%zu: not YAML: %s%s%s", l->file, line,
                       parser->context != NULL ? parser->context : "", parser->context != NULL ? ": " : "",
                       parser->problem != NULL ? parser->problem : "out of memory");
}

/* True when nothing follows the document that was read. */
static bool read_end(struct loader *l, yaml_parser_t *parser, const char *text)
{
    yaml_document_t next;
    if (!yaml_parser_load(parser, &next))
        return fail_yaml(l, parser, text);
    yaml_node_t *root = yaml_document_get_root_node(&next);
    const bool more = root != NULL;
    const size_t line = more ? line_of(root) : 0;
    yaml_document_delete(&next);
    if (more)
        return problem_set(l->problem, EXIT_BAD_INPUT, "%s:%zu: a second document", l->file, line);
    return true;
}

static bool read_document(struct loader *l, const char *text, size_t len)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return problem_set(l->problem, EXIT_TROUBLE, "%s: out of memory", l->file);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    bool ok;
    if (!yaml_parser_load(&parser, &l->document)) {
        ok = fail_yaml(l, &parser, text);
    } else {
        yaml_node_t *root = yaml_document_get_root_node(&l->document);
        if (root == NULL)
            ok = problem_set(l->problem, EXIT_BAD_INPUT, "%s:1: the file is empty", l->file);
        else if (root->type != YAML_MAPPING_NODE)
            ok = problem_set(l->problem, EXIT_BAD_INPUT, "%s:%zu: the file must be a map (`name: value` lines)", l->file,
                             line_of(root));
        else
            ok = read_end(l, &parser, text) && read_map(l, root, "", &config_top_section, l->config, l->top_lines) &&
                 complete(l);
        yaml_document_delete(&l->document);
    }
    yaml_parser_delete(&parser);
    return ok;
}

bool config_load(struct config *config, const char *file, struct problem *problem)
{
    char *text = NULL;
    size_t len = 0;
    *config = (struct config){0};
    if (!read_file(file, &text, &len, problem))
        return false;
    if (!config_bounds_check(file, text, len, problem)) {
        free(text);
        return false;
    }
    struct loader l = {.file = file, .problem = problem, .config = config};
    config->file = strdup(file);
    invariant(config->file != NULL);
    store_defaults(&l);
    const bool ok = read_document(&l, text, len);
    free(text);
    free(l.node_lines);
    if (!ok)
        config_close(config);
    return ok;
}
