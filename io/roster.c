#include "io/roster.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/configuration.h"
#include "io/governed.h"

void roster_of_file(struct roster *m, const struct config *config)
{
    *m = (struct roster){.acceptors = config->node_config.acceptors, .phase1_quorum = config->node_config.phase1_quorum};
    for (size_t i = 0; i < config->node_count; i++) {
        m->members |= node_set_of(config->nodes[i].id);
        m->nodes[config->nodes[i].id] = config->nodes[i];
    }
}

/* ---- Configurations of the log ---- */

static const uint8_t duties_of[] = {[ROLE_COORDINATOR] = DUTY_ALL,
                                    [ROLE_PROPOSER] = DUTY_PROPOSES,
                                    [ROLE_ACCEPTOR] = DUTY_ACCEPTS,
                                    [ROLE_LEARNER] = DUTY_LEARNS};

static uint8_t role_of(uint8_t duties)
{
    uint8_t role = ROLE_COORDINATOR;
    while (role < ROLE_LEARNER && duties_of[role] != duties)
        role++;
    return role;
}

/* An address that cannot be read is none: nothing is dialled there. */
static void take_member(struct roster *m, const struct member *member, uint64_t slot)
{
    const uint32_t id = member->node;
    struct member_instance *instance = &m->instances[id];
    struct config_node *node = &m->nodes[id];
    const bool another =
        instance->number != member->number || memcmp(instance->id, member->instance, sizeof instance->id) != 0;
    *node = (struct config_node){.id = id, .role = role_of(member->duties)};
    if (!endpoint_read(member->address, &node->address))
        node->address = (struct endpoint){0};
    if (!endpoint_read(member->client, &node->client))
        node->client = (struct endpoint){0};
    if (another && m->slot != 0)
        instance->changed = slot;
    instance->number = member->number;
    memcpy(instance->id, member->instance, sizeof instance->id);
}

static void take_text(struct roster *m, const struct configuration_text *t, uint64_t slot)
{
    const node_set before = m->slot != 0 ? m->members : 0;
    const struct configuration c = configuration_of(t, slot);
    m->members = m->leaving = m->gone = 0;
    for (uint32_t id = 1; id <= NODE_ID_MAX; id++) {
        if (t->members[id].node != 0) {
            take_member(m, &t->members[id], slot);
            m->members |= node_set_of(id);
        } else if (node_set_has(before, id)) {
            m->leaving |= node_set_of(id);
            m->instances[id].changed = slot;
        }
        if (!t->gone[id])
            continue;
        m->gone |= node_set_of(id);
        m->instances[id].number = t->gone_number[id];
    }
    m->acceptors = c.acceptors;
    m->phase1_quorum = c.phase1_quorum;
    m->state_bytes_max = c.state_bytes_max;
    m->first_state_bytes_max = configuration_first(t, "state_bytes_max");
    m->first_alpha = (uint32_t)configuration_first(t, "alpha");
    m->slot = slot;
}

bool roster_apply(struct roster *m, const struct packet *configuration)
{
    struct configuration_text *t = memory_new(1, sizeof *t);
    const bool sound =
        configuration->id > m->slot && configuration_read(configuration->words.ptr, configuration->len, t) == NULL;
    if (sound)
        take_text(m, t, configuration->id);
    free(t);
    return sound;
}

void roster_settle(struct roster *m, uint64_t slot)
{
    if (slot == m->slot)
        m->leaving = 0;
}

void roster_of_log(struct roster *m, const struct config *config, const struct packet *configurations, size_t count)
{
    roster_of_file(m, config);
    for (size_t i = 0; i < count; i++)
        if (configurations[i].kind != CONFIGURATION_HEARSAY && roster_apply(m, &configurations[i]) &&
            configurations[i].kind == CONFIGURATION_SETTLED)
            roster_settle(m, configurations[i].id);
}

void roster_of_hearsay(struct roster *m, const struct packet *configurations, size_t count)
{
    *m = (struct roster){0};
    for (size_t i = 0; i < count; i++)
        if (configurations[i].kind == CONFIGURATION_HEARSAY)
            roster_apply(m, &configurations[i]);
}

/* The settings of a file, but for its nodes. */
static void first_settings(const struct config *config, struct configuration_text *t)
{
    char text[GOVERNED_TEXT_MAX];
    governed_print(config, text);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        char *value = strchr(line, ' ');
        if (strncmp(line, "node-", 5) == 0)
            continue;
        *value++ = *end = '\0';
        invariant(t->setting_count < CONFIGURATION_SETTINGS_MAX);
        struct configuration_setting *setting = &t->settings[t->setting_count++];
        snprintf(setting->key, sizeof setting->key, "%.31s", line);
        snprintf(setting->value, sizeof setting->value, "%.31s", value);
    }
}

struct packet roster_first(const struct config *config, const uint8_t instances[NODE_ID_MAX + 1][16])
{
    struct configuration_text *t = memory_new(1, sizeof *t);
    t->delay = config->node_config.alpha;
    first_settings(config, t);
    for (size_t i = 0; i < config->node_count; i++) {
        const struct config_node *node = &config->nodes[i];
        struct member *member = &t->members[node->id];
        member->node = node->id;
        member->duties = duties_of[node->role];
        memcpy(member->instance, instances[node->id], sizeof member->instance);
        endpoint_print(&node->address, member->address);
        endpoint_print(&node->client, member->client);
    }
    const struct payload text = configuration_pack(t);
    free(t);
    return (struct packet){.len = text.len, .words = text.words};
}

/* ---- Who fits ---- */

const struct config_node *roster_find(const struct roster *m, uint32_t id)
{
    return node_set_has(roster_all(m), id) ? &m->nodes[id] : NULL;
}

static bool is_same_place(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* Before the cluster has formed, which instance it is does not matter here. */
bool roster_has_moved(const struct roster *before, const struct roster *now, uint32_t id)
{
    const struct member_instance *a = &before->instances[id], *b = &now->instances[id];
    const bool another = a->number != b->number || memcmp(a->id, b->id, sizeof a->id) != 0;
    return !is_same_place(&before->nodes[id].address, &now->nodes[id].address) || (before->slot != 0 && another);
}

bool roster_gives_to_another(const struct roster *m, const struct endpoint *address, uint32_t id)
{
    for (node_set i = (m->members | m->leaving) & ~node_set_of(id); i != 0; i &= i - 1)
        if (is_same_place(&m->nodes[node_set_first(i)].address, address))
            return true;
    return false;
}

/* A node that is no member. One that says that it knows no later configuration than this node knew one in which it was a
 * member: configurations have one order, so it has been removed since. */
static enum member_verdict judge_absent(const struct roster *m, const struct frame_origin *origin, uint64_t known, char *why,
                                        size_t size)
{
    const uint32_t sender = origin->sender;
    const struct member_instance *last = &m->instances[sender];
    const bool has_left = node_set_has(m->gone, sender) && incarnation_number(origin->incarnation) <= last->number;
    if (has_left && last->changed != 0) {
        snprintf(why, size, "node %u was removed in slot %" PRIu64, sender, last->changed);
        return MEMBER_REMOVED;
    }
    if (known > m->slot && !has_left) {
        snprintf(why, size, "node %u is not yet a member, as far as is known here (slot %" PRIu64 ")", sender, m->slot);
        return MEMBER_EARLY;
    }
    if (known != 0 || has_left) {
        snprintf(why, size, "node %u was removed in slot %" PRIu64 " or before", sender, m->slot);
        return MEMBER_REMOVED;
    }
    snprintf(why, size, "node %u is not a member of the cluster: synod member add makes it one", sender);
    return MEMBER_STRANGER;
}

enum member_verdict roster_judge(const struct roster *m, const struct frame_origin *origin, uint64_t known, char *why,
                                 size_t size)
{
    const uint32_t sender = origin->sender, number = incarnation_number(origin->incarnation);
    if (!node_set_has(roster_all(m), sender))
        return judge_absent(m, origin, known, why, size);
    const struct member_instance *member = &m->instances[sender];
    if (number < member->number) {
        snprintf(why, size, "node %u's disk was replaced in slot %" PRIu64 "%s", sender,
                 member->changed != 0 ? member->changed : m->slot, member->changed != 0 ? "" : " or before");
        return MEMBER_REPLACED;
    }
    if (number > member->number && known > m->slot) {
        snprintf(why, size, "node %u with its new disk is not yet a member, as far as is known here (slot %" PRIu64 ")",
                 sender, m->slot);
        return MEMBER_EARLY;
    }
    if (number == member->number && memcmp(origin->instance, member->id, sizeof member->id) == 0)
        return MEMBER_FITS;
    snprintf(why, size,
             "node %u has another data folder (instance id) than the one that is a member: if it lost its disk, see synod "
             "member replace --help",
             sender);
    return MEMBER_OTHER_DISK;
}
