/* A composition has its parts whole inside, and parts may be compositions, too: so all of them are looked at. */
#include "host/component_file.h"

#include <stdlib.h>
#include <string.h>

#include "host/component_names.h"
#include "host/engine.h"

enum { DEPTH_MAX = 16 };

struct looking {
    const char *file;
    struct problem *problem;
    unsigned depth;
    bool sound;
    bool is_machine;
    char import[COMPONENT_NAME_MAX]; /* one that a state machine may not have; empty: none */
};

static bool begins_with(const char *name, const char *text) { return strncmp(name, text, strlen(text)) == 0; }

static void note_export(void *context, const char *name)
{
    struct looking *l = context;
    l->is_machine = l->is_machine || begins_with(name, "synod:paxos/state-machine@");
}

/* A state machine may import names of types; in tests, orders to break (wit/faults.wit), which come with `debug_commands`
 * alone. */
static void note_import(void *context, const char *name)
{
    struct looking *l = context;
    if (l->import[0] == '\0' && !begins_with(name, "synod:paxos/types@") && !begins_with(name, "synod:paxos/faults@"))
        memcpy(l->import, name, strlen(name) + 1);
}

static bool look_at(void *context, const uint8_t *bytes, size_t len)
{
    struct looking *all = context;
    struct looking l = {.file = all->file, .problem = all->problem, .depth = all->depth + 1, .sound = true};
    if (l.depth < DEPTH_MAX)
        component_parts_read(bytes, len, look_at, &l);
    component_names_read(bytes, len, COMPONENT_EXPORTS, note_export, &l);
    const char *why = l.is_machine ? component_names_read(bytes, len, COMPONENT_IMPORTS, note_import, &l) : NULL;
    if (l.sound && why != NULL)
        l.sound = problem_set(l.problem, EXIT_BAD_INPUT, "%s: its state machine: %s", l.file, why);
    else if (l.sound && l.import[0] != '\0')
        l.sound =
            problem_set(l.problem, EXIT_BAD_INPUT,
                        "%s: its state machine imports %s; a state machine gets nothing from outside, since all nodes must "
                        "come to the same state",
                        l.file, l.import);
    all->sound = l.sound;
    return l.sound;
}

bool component_bytes_check(const char *file, const uint8_t *bytes, size_t len, struct problem *problem)
{
    struct looking l = {.file = file, .problem = problem, .sound = true};
    return look_at(&l, bytes, len);
}

bool component_file_check(const char *file, struct problem *problem)
{
    uint8_t *bytes;
    size_t len;
    if (!engine_read_component(file, &bytes, &len, problem))
        return false;
    bool sound = component_bytes_check(file, bytes, len, problem);
    free(bytes);
    return sound;
}
