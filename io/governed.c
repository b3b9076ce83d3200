#include "io/governed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/limits.h"
#include "core/base/memory.h"
#include "io/config.h"

static size_t add_number(char *text, size_t len, const char *key, uint64_t value)
{
    return len + (size_t)snprintf(text + len, GOVERNED_TEXT_MAX - len, "%s %" PRIu64 "\n", key, value);
}

/* memory_bytes_max, as far as it lowers what the replies of a batch may take, which decides about commands. */
static uint64_t governed_memory(const struct config *config)
{
    const uint64_t enough = UINT64_C(8) * limits_effective(&(struct limits){0}).replies_bytes;
    return config->memory_bytes_max < enough ? config->memory_bytes_max : enough;
}

void governed_print(const struct config *config, char text[GOVERNED_TEXT_MAX])
{
    const struct node_config *n = &config->node_config;
    size_t len = 0;
    len = add_number(text, len, "alpha", n->alpha);
    len += (size_t)snprintf(text + len, GOVERNED_TEXT_MAX - len, "acceptors_send_learns %s\n",
                            n->acceptors_send_learns ? "true" : "false");
    len = add_number(text, len, "phase1_quorum", n->phase1_quorum);
    len = add_number(text, len, "phase2_quorum", n->phase2_quorum);
    len = add_number(text, len, "memory_bytes_max", governed_memory(config));
    len = add_number(text, len, "state_bytes_max", n->state_bytes_max);
    for (uint32_t id = 1; id <= NODE_ID_MAX; id++) {
        const struct config_node *node = config_find(config, id);
        if (node != NULL)
            len += (size_t)snprintf(text + len, GOVERNED_TEXT_MAX - len, "node-%u %s\n", id, role_name(node->role));
    }
    invariant(len < GOVERNED_TEXT_MAX);
}

/* Reads a word that `end` follows. Returns what comes after `end`; NULL: there is no such word. */
static const char *read_word(const char *text, char end, char word[GOVERNED_WORD_MAX])
{
    size_t len = 0;
    while (len < GOVERNED_WORD_MAX && text[len] > ' ' && text[len] <= '~')
        len++;
    if (len == 0 || len == GOVERNED_WORD_MAX || text[len] != end)
        return NULL;
    memcpy(word, text, len);
    word[len] = '\0';
    return text + len + 1;
}

/* Reads a line, and moves to the next one. False: there is none. */
static bool next_line(const char **text, char key[GOVERNED_WORD_MAX], char value[GOVERNED_WORD_MAX])
{
    const char *at = read_word(*text, ' ', key);
    at = at != NULL ? read_word(at, '\n', value) : NULL;
    if (at != NULL)
        *text = at;
    return at != NULL;
}

bool governed_parse(const void *bytes, size_t len, char text[GOVERNED_TEXT_MAX])
{
    char key[GOVERNED_WORD_MAX], value[GOVERNED_WORD_MAX];
    size_t lines = 0;
    if (len == 0 || len >= GOVERNED_TEXT_MAX)
        return false;
    memcpy(text, bytes, len);
    text[len] = '\0';
    const char *at = text;
    while (lines < GOVERNED_CHANGES_MAX && next_line(&at, key, value))
        lines++;
    return at == text + len;
}

/* The value of a key, or "none". */
static void look_up(const char *text, const char *wanted, char value[GOVERNED_WORD_MAX])
{
    char key[GOVERNED_WORD_MAX];
    while (next_line(&text, key, value))
        if (strcmp(key, wanted) == 0)
            return;
    strcpy(value, "none");
}

/* Takes one line. */
static void apply_line(struct node_config *config, const char *key, const char *value)
{
    static const char node[] = "node-";
    const uint32_t number = (uint32_t)strtoul(value, NULL, 10);
    if (strcmp(key, "alpha") == 0)
        config->alpha = number;
    else if (strcmp(key, "phase1_quorum") == 0)
        config->phase1_quorum = number;
    else if (strcmp(key, "phase2_quorum") == 0)
        config->phase2_quorum = number;
    if (strncmp(key, node, sizeof node - 1) != 0)
        return;
    const uint32_t id = (uint32_t)strtoul(key + sizeof node - 1, NULL, 10);
    const node_set self = id <= NODE_ID_MAX ? node_set_of(id) : 0;
    const bool all = strcmp(value, role_name(ROLE_COORDINATOR)) == 0;
    config->proposers |= all || strcmp(value, role_name(ROLE_PROPOSER)) == 0 ? self : 0;
    config->acceptors |= all || strcmp(value, role_name(ROLE_ACCEPTOR)) == 0 ? self : 0;
    config->learners |= all || strcmp(value, role_name(ROLE_LEARNER)) == 0 ? self : 0;
}

bool governed_apply(const char *text, struct node_config *config)
{
    char key[GOVERNED_WORD_MAX], value[GOVERNED_WORD_MAX];
    struct node_config next = *config;
    next.proposers = next.acceptors = next.learners = 0;
    next.alpha = next.phase1_quorum = next.phase2_quorum = 0;
    while (next_line(&text, key, value))
        apply_line(&next, key, value);
    const bool complete = next.proposers != 0 && next.acceptors != 0 && next.learners != 0 && next.alpha != 0 &&
                          next.phase1_quorum != 0 && next.phase2_quorum != 0;
    if (complete)
        *config = next;
    return complete;
}

size_t governed_compare(const char *before, const char *now, struct governed_change *changes, size_t max)
{
    size_t count = 0;
    struct governed_change c;
    for (const char *at = now; count < max && next_line(&at, c.key, c.now);) {
        look_up(before, c.key, c.before);
        if (strcmp(c.before, c.now) != 0)
            changes[count++] = c;
    }
    for (const char *at = before; count < max && next_line(&at, c.key, c.before);) {
        look_up(now, c.key, c.now);
        if (strcmp(c.now, "none") == 0)
            changes[count++] = c;
    }
    return count;
}
