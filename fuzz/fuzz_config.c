/* Any bytes as a configuration file. What is refused is refused in one line that names the file. What is accepted keeps what
 * the rest of the host relies on: every setting lies in its range, node ids and addresses differ, each node is in one group,
 * there is a node of each role, and quorums meet; and it reads the same again. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "host/config.h"
#include "host/config_schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* config_load reads files only. */
static char path[] = "/tmp/synod-fuzz-config-XXXXXX";
static int file = -1;

static void remove_file(void) { unlink(path); }

static void write_file(const uint8_t *data, size_t size)
{
    if (file < 0) {
        file = mkstemp(path);
        invariant(file >= 0 && atexit(remove_file) == 0);
    }
    invariant(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
}

static void check_problem(const struct problem *problem)
{
    invariant(problem->exit_code == EXIT_BAD_INPUT && strncmp(problem->text, path, strlen(path)) == 0);
    invariant(strlen(problem->text) > strlen(path) + 2);
    for (const char *p = problem->text; *p != '\0'; p++)
        invariant(!iscntrl((unsigned char)*p));
}

/* The number in a setting's field, in the unit of the file. */
static uint64_t value_of(const struct config_key *key, const struct config *c)
{
    uint64_t value = 0;
    memcpy(&value, (const uint8_t *)c + key->offset, key->size);
    return key->kind == VALUE_TIME_MS ? value / 1000 : value;
}

static void check_settings(const struct config *c)
{
    const struct config_key *key;
    for (size_t i = 0; (key = config_key_at(&config_setting_section, i)) != NULL; i++) {
        bool number = key->kind == VALUE_COUNT || key->kind == VALUE_BYTES || key->kind == VALUE_TIME_MS;
        if (number && key->size > 0 && strstr(key->name, "_quorum") == NULL)
            invariant(value_of(key, c) >= key->min && value_of(key, c) <= key->max);
    }
    const struct node_config *n = &c->node_config;
    invariant(n->durability <= DURABILITY_MEMORY && n->heartbeat_interval < n->suspect_timeout);
    invariant(n->suspect_timeout <= n->dead_timeout && c->command_bytes_max <= c->client_bytes_max);
    invariant(c->turn_timeout < c->ping_timeout);
    for (size_t i = 0; i < c->crash_count; i++)
        invariant(config_find(c, c->crashes[i].node) != NULL && c->crashes[i].slot >= 1 && c->crashes[i].slot <= SLOT_MAX);
    invariant((uint64_t)c->batch_bytes + c->command_bytes_max + n->chunk_bytes_max < c->frame_bytes_max);
}

static void check_roles(const struct config *c)
{
    const struct node_config *n = &c->node_config;
    node_set known = 0;
    for (size_t i = 0; i < c->node_count; i++)
        known |= node_set_of(c->nodes[i].id);
    uint32_t acceptors = node_set_count(n->acceptors);
    invariant(n->proposers != 0 && acceptors > 0 && n->learners != 0);
    invariant((n->proposers | n->acceptors | n->learners) == known && node_set_count(known) == c->node_count);
    invariant(n->phase1_quorum >= 1 && n->phase1_quorum <= acceptors && n->phase2_quorum >= 1);
    invariant(n->phase2_quorum <= acceptors && n->phase1_quorum + n->phase2_quorum > acceptors);
}

static void check_nodes(const struct config *c)
{
    node_set grouped = 0;
    for (size_t g = 0; g < c->group_count; g++)
        for (size_t i = 0; i < c->groups[g].count; i++) {
            invariant(!node_set_has(grouped, c->groups[g].nodes[i]) && config_find(c, c->groups[g].nodes[i]) != NULL);
            grouped |= node_set_of(c->groups[g].nodes[i]);
        }
    for (size_t i = 0; i < c->node_count; i++) {
        const struct config_node *node = &c->nodes[i];
        char text[512];
        invariant(node->id >= 1 && node->id <= NODE_ID_MAX && node_set_has(grouped, node->id));
        invariant(node->role <= ROLE_LEARNER && node->address.host[0] != '\0' && node->address.port != 0);
        invariant(node->network <= NETWORK_GUEST_UDP && node->storage <= PLACE_GUEST && node->serializer <= PLACE_GUEST);
        invariant(node->granularity <= GRANULARITY_NODE &&
                  (node->granularity != GRANULARITY_NODE || node->serializer == PLACE_GUEST));
        invariant((node->network == NETWORK_GRPC) == (c->nodes[0].network == NETWORK_GRPC));
        config_place(c, node->id, &node->address, text, sizeof text);
        invariant(text[0] != '\0' && config_group_of(c, node->id) != NULL);
    }
}

static void check_same(const struct config *a, const struct config *b)
{
    invariant(strcmp(a->cluster, b->cluster) == 0 && strcmp(a->data, b->data) == 0);
    invariant(a->node_count == b->node_count && a->group_count == b->group_count);
    for (size_t i = 0; i < a->node_count; i++) {
        invariant(a->nodes[i].id == b->nodes[i].id && a->nodes[i].role == b->nodes[i].role);
        invariant(strcmp(a->nodes[i].client.host, b->nodes[i].client.host) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config, again;
    struct problem problem = {0};
    write_file(data, size);
    if (!config_load(&config, path, &problem)) {
        check_problem(&problem);
        invariant(config.nodes == NULL && config.groups == NULL);
        return 0;
    }
    invariant(config.cluster[0] != '\0' && config.data[0] == '/' && config.node_config.leader_rule <= LEADER_HIGHEST);
    check_settings(&config);
    check_roles(&config);
    check_nodes(&config);
    invariant(config_load(&again, path, &problem));
    check_same(&config, &again);
    config_close(&config);
    config_close(&again);
    return 0;
}
