#include "io/own_members.h"

#include <inttypes.h>

/* ---- Start ---- */

static bool apply_kept(struct own_members *m, const struct packet *configuration, struct problem *problem)
{
    return configuration->id == 0 || roster_apply(&m->now, configuration) ||
           problem_set(problem, EXIT_DATA, "%s/configuration: what is kept of slot %" PRIu64 " is no configuration",
                       m->files.path, configuration->id);
}

bool own_members_has_memory(const struct own_members *m)
{
    return m->now.state_bytes_max <= m->config->node_config.state_bytes_room;
}

static const char *file_of(const struct own_members *m)
{
    return m->config->file != NULL ? m->config->file : "its settings";
}

static bool check_memory(const struct own_members *m, struct problem *problem)
{
    return own_members_has_memory(m) ||
           problem_set(problem, EXIT_BAD_INPUT,
                       "%s: the state may take %" PRIu64 " bytes (state_bytes_max, by the configuration of slot %" PRIu64
                       "), and memory_bytes_max has room for %" PRIu64 ": raise it",
                       file_of(m), m->now.state_bytes_max, m->now.slot, m->config->node_config.state_bytes_room);
}

bool own_members_open(struct own_members *m, const struct folder_files *files, const struct config *config, uint32_t node,
                      struct problem *problem)
{
    struct identity identity;
    m->files = *files;
    m->config = config;
    m->self = config_find(config, node);
    roster_of_file(&m->now, config);
    if (!data_folder_look_governed(files->disk, files->path, &identity, m->governed, problem) ||
        !kept_configurations_read(files, identity.admitted, &m->kept, problem) || !apply_kept(m, &m->kept.before, problem) ||
        !apply_kept(m, &m->kept.newest, problem))
        return false;
    m->origin = identity_origin(&identity);
    m->admitted = identity.admitted;
    if (m->now.slot == 0)
        return true;
    if (m->kept.before.id == 0)
        roster_settle(&m->now, m->now.slot);
    return own_members_check(m, problem) && check_memory(m, problem);
}

void own_members_close(struct own_members *m) { kept_configurations_free(&m->kept); }

bool own_members_check(const struct own_members *m, struct problem *problem)
{
    char why[240];
    const uint32_t id = m->self->id;
    const struct config_node *node = roster_find(&m->now, id);
    const enum member_verdict verdict = roster_judge(&m->now, &m->origin, m->now.slot, why, sizeof why);
    if (verdict == MEMBER_REMOVED || verdict == MEMBER_REPLACED)
        return problem_set(problem, EXIT_REMOVED, "%s: this data folder is of no use any more: %s", m->files.path, why);
    if (verdict != MEMBER_FITS)
        return problem_set(problem, EXIT_DATA, "%s: %s", m->files.path, why);
    return node->role == m->self->role ||
           problem_set(problem, EXIT_BAD_INPUT,
                       "node %u is a %s, by the configuration of slot %" PRIu64
                       ", and a %s in %s: give it the role that it has",
                       id, role_name(node->role), m->now.slot, role_name(m->self->role), file_of(m));
}

/* ---- Lives ---- */

struct node_config own_members_config(const struct own_members *m)
{
    static const uint8_t duties[] = {[ROLE_COORDINATOR] = DUTY_ALL,
                                     [ROLE_PROPOSER] = DUTY_PROPOSES,
                                     [ROLE_ACCEPTOR] = DUTY_ACCEPTS,
                                     [ROLE_LEARNER] = DUTY_LEARNS};
    struct node_config config = m->config->node_config;
    if (m->admitted == 0 && m->now.slot != 0)
        governed_apply(m->governed, &config);
    if (m->now.first_state_bytes_max != 0)
        config.state_bytes_max = m->now.first_state_bytes_max;
    if (m->now.first_alpha != 0)
        config.alpha = m->now.first_alpha;
    config.admitted = m->admitted;
    config.joined = m->admitted != 0 ? duties[m->self->role] : 0;
    return config;
}

size_t own_members_list(const struct own_members *m, struct packet out[2])
{
    size_t count = 0;
    if (m->kept.before.id != 0)
        out[count++] = m->kept.before;
    if (m->kept.newest.id != 0)
        out[count++] = m->kept.newest;
    return count;
}

/* ---- The log ---- */

static bool take_settled(struct own_members *m, uint64_t slot, bool *news, struct problem *problem)
{
    *news = slot == m->now.slot;
    if (!*news)
        return true;
    if (!kept_configurations_settle(&m->kept, &m->files, slot, problem))
        return false;
    roster_settle(&m->now, slot);
    return true;
}

bool own_members_take(struct own_members *m, const struct packet *configuration, bool *news, struct problem *problem)
{
    if (configuration->kind != CONFIGURATION_CHOSEN)
        return take_settled(m, configuration->id, news, problem);
    *news = configuration->id > m->now.slot; /* otherwise it is told again after a start */
    if (!*news)
        return true;
    return kept_configurations_keep(&m->kept, &m->files, configuration, problem) &&
           (roster_apply(&m->now, configuration) ||
            problem_set(problem, EXIT_TROUBLE, "node %u: what was chosen in slot %" PRIu64 " is no configuration",
                        m->self->id, configuration->id));
}
