#include "io/kept_configurations.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/configuration.h"
#include "core/runners/ports.h"

enum { FILE_MAX = 2 * CONFIGURATION_TEXT_MAX + 256 };

/* `text` has room for FILE_MAX bytes. Returns the length. */
static size_t print(const struct kept_configurations *c, char *text)
{
    const struct packet *const both[] = {&c->newest, &c->before};
    const int settled = c->newest.kind == CONFIGURATION_SETTLED;
    size_t len = (size_t)snprintf(text, FILE_MAX, "synod-configuration %d\nsettled %d\n", FOLDER_VERSION, settled);
    for (size_t i = 0; i < 2; i++) {
        len += (size_t)snprintf(text + len, FILE_MAX - len, "slot %" PRIu64 "\nbytes %u\n", both[i]->id, both[i]->len);
        if (both[i]->len > 0)
            memcpy(text + len, both[i]->words.ptr, both[i]->len);
        len += both[i]->len;
    }
    return folder_seal(text, len);
}

static struct packet copy(uint64_t slot, const void *bytes, uint32_t len)
{
    struct packet c = {.id = slot, .len = len, .words = {memory_new(words_for(len), sizeof(uint64_t)), words_for(len)}};
    memcpy(c.words.ptr, bytes, len);
    return c;
}

void kept_configurations_free(struct kept_configurations *c)
{
    free(c->newest.words.ptr);
    free(c->before.words.ptr);
    *c = (struct kept_configurations){0};
}

/* Reads one of two from `*at` on, which is moved after it. */
static bool parse_one(const char *text, size_t len, size_t *at, struct packet *out)
{
    uint64_t slot;
    uint32_t bytes;
    int head = 0;
    if (sscanf(text + *at, "slot %20" SCNu64 "\nbytes %10" SCNu32 "%n", &slot, &bytes, &head) != 2 ||
        text[*at + (size_t)head] != '\n')
        return false;
    *at += (size_t)head + 1;
    if (bytes > CONFIGURATION_TEXT_MAX || len - *at < bytes || (slot == 0) != (bytes == 0))
        return false;
    if (slot != 0)
        *out = copy(slot, text + *at, bytes);
    *at += bytes;
    return true;
}

/* Reads whether the newest one is settled, from `*at` on, which is moved after it. */
static bool parse_settled(const char *text, size_t *at, uint32_t *kind)
{
    static const char no[] = "settled 0\n", yes[] = "settled 1\n";
    const bool is_settled = strncmp(text + *at, yes, sizeof yes - 1) == 0;
    *kind = is_settled ? CONFIGURATION_SETTLED : CONFIGURATION_CHOSEN;
    if (!is_settled && strncmp(text + *at, no, sizeof no - 1) != 0)
        return false;
    *at += sizeof no - 1;
    return true;
}

/* False: `c` has none. */
static bool parse(const char *text, size_t len, struct kept_configurations *c)
{
    char *again = memory_new(FILE_MAX, 1);
    const char *line = strchr(text, '\n');
    size_t at = line != NULL ? (size_t)(line - text) + 1 : 0;
    uint32_t kind = CONFIGURATION_CHOSEN;
    bool sound = at > 0 && parse_settled(text, &at, &kind) && parse_one(text, len, &at, &c->newest) &&
                 parse_one(text, len, &at, &c->before);
    c->newest.kind = kind;
    sound = sound && c->before.id < c->newest.id && (kind == CONFIGURATION_CHOSEN || c->before.id == 0) &&
            print(c, again) == len && memcmp(again, text, len) == 0;
    if (!sound)
        kept_configurations_free(c);
    free(again);
    return sound;
}

bool kept_configurations_read(const struct folder_files *f, uint64_t admitted, struct kept_configurations *out,
                              struct problem *problem)
{
    const char *wrong = NULL;
    char *text = memory_new(FILE_MAX + 1, 1);
    size_t len;
    bool found, ok = folder_read(f, "configuration", text, FILE_MAX + 1, &len, &found, problem);
    *out = (struct kept_configurations){0};
    if (ok && !found && admitted != 0)
        wrong = "missing, and a node that joined knows no member without it";
    else if (ok && found && !parse(text, len, out))
        wrong = "corrupt";
    if (wrong != NULL)
        ok =
            problem_set(problem, EXIT_DATA,
                        "%s/configuration: %s; what it has is the same on all nodes: put that of another node's data folder "
                        "in its place, and start the node again",
                        f->path, wrong);
    free(text);
    return ok;
}

bool kept_configurations_write(const struct folder_files *f, const struct kept_configurations *c, struct problem *problem)
{
    char *text = memory_new(FILE_MAX, 1);
    const bool ok = folder_replace(f, "configuration", text, print(c, text), problem);
    free(text);
    return ok;
}

bool kept_configurations_keep(struct kept_configurations *now, const struct folder_files *f,
                              const struct packet *configuration, struct problem *problem)
{
    struct kept_configurations next = {.newest = *configuration, .before = now->newest};
    next.newest.kind = CONFIGURATION_CHOSEN;
    if (configuration->id <= now->newest.id)
        return true;
    if (configuration->len == 0 || configuration->len > CONFIGURATION_TEXT_MAX)
        return problem_set(problem, EXIT_TROUBLE, "a configuration of %u bytes", configuration->len);
    if (!kept_configurations_write(f, &next, problem))
        return false;
    free(now->before.words.ptr);
    now->before = now->newest;
    now->newest = copy(configuration->id, configuration->words.ptr, configuration->len);
    return true;
}

bool kept_configurations_settle(struct kept_configurations *now, const struct folder_files *f, uint64_t slot,
                                struct problem *problem)
{
    struct kept_configurations next = {.newest = now->newest};
    next.newest.kind = CONFIGURATION_SETTLED;
    if (slot == 0 || slot != now->newest.id || now->newest.kind == CONFIGURATION_SETTLED)
        return true;
    if (!kept_configurations_write(f, &next, problem))
        return false;
    free(now->before.words.ptr);
    *now = next;
    return true;
}

bool kept_configurations_have_formed(const struct folder_files *f, uint64_t admitted, bool *formed, struct problem *problem)
{
    struct kept_configurations c;
    if (!kept_configurations_read(f, admitted, &c, problem))
        return false;
    *formed = c.newest.id != 0;
    kept_configurations_free(&c);
    return true;
}
