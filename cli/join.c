/* Joining. Only one folder may ever have an instance id: otherwise two disks would promise in one name. No node can be asked
 * whether another folder has it: one that is down may have heard it, and two folders may ask at the same time. So the folder
 * makes an id of its own, and has the cluster put it in the place of the one that who added the node, or replaced its disk
 * (synod member), has made: each folder that joins is one more replacement, and the log decides between two
 * (docs/decisions/0041-a-window-has-one-configuration.md).
 *
 * That replacement would end a disk that is in use. So the others are asked first whether they have heard the present one:
 * for people, who may have the wrong node in mind. */
#include "cli/join.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "cli/known_configuration.h"
#include "cli/member_change.h"
#include "core/base/memory.h"
#include "core/formats/frame.h"
#include "core/runners/ports.h"
#include "io/data_folder.h"

enum { PATIENCE_MS = 3000, CLAIM_MS = 30000, AGAIN_US = 200000 };

/* Whether another node has heard a life of this instance. */
static bool was_heard(const struct config_node *other, uint32_t node, uint32_t number)
{
    static char answer[OPERATOR_ANSWER_MAX]; /* large */
    char via[ENDPOINT_TEXT_MAX], key[32];
    const char *const words[] = {"INFO"};
    endpoint_print(&other->client, via);
    const struct operator_call call = {.via = via, .timeout_ms = PATIENCE_MS};
    if (operator_call(&call, words, 1, answer) != EXIT_OK)
        return false;
    const int len = snprintf(key, sizeof key, "synod_heard_%u:", node);
    const char *line = strstr(answer, key);
    return line != NULL && incarnation_number((uint32_t)strtoul(line + len, NULL, 10)) >= number &&
           strtoul(line + len, NULL, 10) != 0;
}

/* The newest configuration that any of the others knows. */
static bool ask_others(const struct config *config, uint32_t node, struct known_configuration *newest,
                       struct problem *problem)
{
    struct known_configuration *known = memory_new(1, sizeof *known);
    problem_set(problem, EXIT_TROUBLE, "node %u cannot join: no other node of %s has a client port", node, config->file);
    newest->slot = 0;
    for (size_t i = 0; i < config->node_count; i++) {
        char via[ENDPOINT_TEXT_MAX];
        const struct config_node *other = &config->nodes[i];
        const struct operator_call call = {.via = via, .timeout_ms = PATIENCE_MS};
        if (other->id == node || other->client.host[0] == '\0')
            continue;
        endpoint_print(&other->client, via);
        if (known_configuration_ask(&call, known) != EXIT_OK)
            problem_set(problem, EXIT_TROUBLE, "node %u cannot join: %.400s", node, operator_answer_text(known->answer));
        else if (known->slot > newest->slot) {
            *newest = *known;
            newest->bytes = newest->answer + (known->bytes - known->answer);
        }
    }
    free(known);
    return newest->slot != 0;
}

/* Whether this node has memory for the state that there may be. */
static bool check_room(const struct config *config, const struct configuration_text *text, struct problem *problem)
{
    const uint64_t state = configuration_of(text, 0).state_bytes_max, room = config->node_config.state_bytes_room;
    return state <= room || problem_set(problem, EXIT_BAD_INPUT,
                                        "%s: the cluster's state may take %" PRIu64
                                        " bytes (state_bytes_max), and memory_bytes_max has room for "
                                        "%" PRIu64,
                                        config->file, state, room);
}

/* Whether the file has the cluster's governed settings, but for those that the log changes. */
static bool check_settings(const struct config *config, const struct configuration_text *text, const char *governed,
                           struct problem *problem)
{
    char line[2 * CONFIGURATION_WORD_MAX + 2];
    for (size_t i = 0; i < text->setting_count; i++) {
        const struct configuration_setting *s = &text->settings[i];
        snprintf(line, sizeof line, "%s %s\n", s->key, s->value);
        if (!configuration_may_set(s->key) && strncmp(s->key, "first_", 6) != 0 && strstr(governed, line) == NULL)
            return problem_set(problem, EXIT_BAD_INPUT,
                               "%s: the governed setting %s is %s in the cluster: it must be the same", config->file, s->key,
                               s->value);
    }
    return true;
}

static bool check(const struct config *config, const struct known_configuration *c, uint32_t node, struct problem *problem)
{
    const struct member *m = &c->text.members[node];
    if (m->node == 0)
        return problem_set(problem, EXIT_TROUBLE,
                           "node %u is not a member of the cluster (configuration of slot %" PRIu64
                           "): synod member add %u first",
                           node, c->slot, node);
    if (strcmp(configuration_role_name(m->duties), role_name(config_find(config, node)->role)) != 0)
        return problem_set(problem, EXIT_BAD_INPUT, "node %u is a %s in the cluster, and a %s in %s", node,
                           configuration_role_name(m->duties), role_name(config_find(config, node)->role), config->file);
    for (size_t i = 0; i < config->node_count; i++)
        if (config->nodes[i].id != node && config->nodes[i].client.host[0] != '\0' &&
            was_heard(&config->nodes[i], node, m->number))
            return problem_set(
                problem, EXIT_TROUBLE,
                "node %u was started with its disk (number %u) already, as node %u has heard: if that disk is "
                "lost, synod member replace %u first",
                node, m->number, config->nodes[i].id, node);
    return true;
}

/* ---- The folder's own instance ---- */

/* Whether to ask again: another change has to be over first, often the one that made the node a member, or leadership
 * changes. */
static bool is_later(const char *error)
{
    return strstr(error, "another change is under way") != NULL || strncmp(error, "MOVED ", 6) == 0 ||
           strstr(error, "this node leads no more") != NULL;
}

/* Has the cluster replace the member's instance by this one. */
static bool replace_instance(const struct config *config, uint32_t node, const char *instance, struct problem *problem)
{
    static char answer[OPERATOR_ANSWER_MAX]; /* large */
    char id[8];
    snprintf(id, sizeof id, "%u", node);
    const char *const words[] = {"SYNOD", "MEMBER", "REPLACE", id, instance};
    const struct operator_call call = {.config = config, .timeout_ms = CLAIM_MS};
    for (int waited_ms = 0; waited_ms < CLAIM_MS; waited_ms += AGAIN_US / 1000) {
        if (member_change(&call, words, 5, node, instance, answer) == EXIT_OK)
            return true;
        if (!is_later(answer))
            break;
        usleep(AGAIN_US);
    }
    return problem_set(problem, EXIT_TROUBLE, "node %u cannot join: %.400s", node, operator_answer_text(answer));
}

/* Gives the folder an instance that no other one has, and reads the configuration that has it: the member's own, if the
 * operator says that it is meant for this folder, otherwise a new one. */
static bool claim(const struct config *config, uint32_t node, const char *instance, struct known_configuration *c,
                  struct problem *problem)
{
    char own[INSTANCE_TEXT];
    if (instance == NULL) {
        if (!member_instance_make(own))
            return problem_set(problem, EXIT_TROUBLE, "no random bytes for an instance id");
        instance = own;
        if (!replace_instance(config, node, instance, problem) || !ask_others(config, node, c, problem))
            return false;
    }
    return member_has_instance(&c->text.members[node], instance) ||
           problem_set(problem, EXIT_TROUBLE,
                       "node %u cannot join: by the configuration of slot %" PRIu64 " it has another instance than %s", node,
                       c->slot, instance);
}

/* Writes the folder, which is new and locked, with the instance that the configuration has. */
static bool format(const struct config *config, uint32_t node, const char *path, const char *governed,
                   const struct known_configuration *c, struct problem *problem)
{
    const struct member *m = &c->text.members[node];
    const size_t words = words_for(c->len);
    struct packet packet = {.id = c->slot, .len = (uint32_t)c->len, .words = {memory_new(words, 8), words}};
    packet.kind = c->settled ? CONFIGURATION_SETTLED : CONFIGURATION_CHOSEN;
    memcpy(packet.words.ptr, c->bytes, c->len);
    const struct data_folder_admission admission = {
        .instance = m->instance, .number = m->number, .slot = c->slot, .configuration = packet};
    const bool ok = data_folder_join(disk_posix(), path, config->cluster, node, &admission, governed, problem);
    free(packet.words.ptr);
    if (ok)
        printf("formatted %s for node %u of cluster '%s', which joins with disk number %u\n", path, node, config->cluster,
               m->number);
    return ok;
}

bool join_node(const struct config *config, uint32_t node, const char *path, const char *governed, const char *instance,
               struct problem *problem)
{
    struct known_configuration *c = memory_new(1, sizeof *c);
    bool ok = ask_others(config, node, c, problem) && check(config, c, node, problem) &&
              check_settings(config, &c->text, governed, problem) && check_room(config, &c->text, problem);
    const int lock = ok ? data_folder_lock_new(disk_posix(), path, problem) : -1;
    ok = lock >= 0 && claim(config, node, instance, c, problem) && format(config, node, path, governed, c, problem);
    if (lock >= 0)
        disk_unlock(disk_posix(), lock);
    free(c);
    return ok;
}
