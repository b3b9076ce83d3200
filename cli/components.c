/* Shows what a node is made of: every component file with its size, digest, parts, imports and exports. These are read from
 * the bytes: a composition has its parts whole inside, so their digests tell which of those beside it they are. Only the
 * contents of interfaces (--all) need Wasmtime, which compiles the component. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "cli/verbs.h"
#include "host/component_names.h"
#include "host/component_types.h"
#include "host/composition.h"
#include "host/engine.h"
#include "host/options.h"

enum { DIGEST_TEXT = 65, PARTS_MAX = 128 };

struct part {
    char name[64], digest[DIGEST_TEXT];
};

struct listing {
    struct engine *engine; /* NULL: names are enough */
    bool all;              /* the functions, too */
    char folder[4096];     /* of the parts */
    struct part parts[PARTS_MAX];
    size_t part_count;
};

static bool digest_text(const uint8_t *bytes, size_t len, char text[DIGEST_TEXT])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(bytes, len, digest, &size, EVP_sha256(), NULL) != 1)
        return false;
    for (unsigned i = 0; i < size && i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return true;
}

/* ---- What it is made of ---- */

struct composition {
    const struct listing *listing;
    size_t known;
    bool prints;
};

static const struct part *find_part(const struct listing *listing, const char *digest)
{
    for (size_t i = 0; i < listing->part_count; i++)
        if (strcmp(listing->parts[i].digest, digest) == 0)
            return &listing->parts[i];
    return NULL;
}

static bool look_at_part(void *context, const uint8_t *bytes, size_t len)
{
    struct composition *c = context;
    char digest[DIGEST_TEXT];
    if (!digest_text(bytes, len, digest))
        return false;
    const struct part *part = find_part(c->listing, digest);
    c->known += part != NULL;
    if (c->prints && part != NULL)
        printf("    %s\n", part->name);
    else if (c->prints)
        printf("    a component that is not in %s, sha256 %s\n", c->listing->folder, digest);
    return true;
}

/* A component that is none of several others has components in it, too: what its tools put there, which is not told. */
static void print_parts(const struct listing *listing, const uint8_t *bytes, size_t len)
{
    struct composition c = {.listing = listing};
    component_parts_read(bytes, len, look_at_part, &c);
    if (c.known == 0)
        return;
    printf("  made of\n");
    c.prints = true;
    component_parts_read(bytes, len, look_at_part, &c);
}

/* ---- What it imports and exports ---- */

static bool print_item(void *context, const struct component_name *name)
{
    (void)context;
    if (name->item == NULL)
        printf("    %s\n", name->interface);
    else if (name->item[0] != '\0')
        printf("      %s%s\n", name->is_type ? "type " : "", name->item);
    return true;
}

static void print_name(void *context, const char *name)
{
    (void)context;
    printf("    %s\n", name);
}

static bool print_items(const struct listing *listing, const char *file, struct problem *problem)
{
    const wasmtime_component_t *component;
    const wasm_engine_t *wasm = engine_wasm(listing->engine);
    if (!engine_component(listing->engine, file, &component, problem))
        return false;
    printf("  imports\n");
    component_walk(component, wasm, COMPONENT_IMPORTS, print_item, NULL);
    printf("  exports\n");
    component_walk(component, wasm, COMPONENT_EXPORTS, print_item, NULL);
    return true;
}

static bool print_names(const char *file, const uint8_t *bytes, size_t len, struct problem *problem)
{
    printf("  imports\n");
    const char *wrong = component_names_read(bytes, len, COMPONENT_IMPORTS, print_name, NULL);
    if (wrong == NULL) {
        printf("  exports\n");
        wrong = component_names_read(bytes, len, COMPONENT_EXPORTS, print_name, NULL);
    }
    return wrong == NULL || problem_set(problem, EXIT_BAD_INPUT, "component %s: %s", file, wrong);
}

static bool show(struct listing *listing, const char *file, struct problem *problem)
{
    char digest[DIGEST_TEXT];
    uint8_t *bytes;
    size_t len;
    if (!engine_read_component(file, &bytes, &len, problem))
        return false;
    bool sound = digest_text(bytes, len, digest) || problem_set(problem, EXIT_TROUBLE, "%s: it cannot be digested", file);
    if (sound) {
        printf("%s\n  %zu bytes, sha256 %s\n", file, len, digest);
        print_parts(listing, bytes, len);
        sound = listing->all ? print_items(listing, file, problem) : print_names(file, bytes, len, problem);
    }
    free(bytes);
    return sound;
}

static int is_wasm(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 5 && strcmp(entry->d_name + len - 5, ".wasm") == 0;
}

/* What to do with a file; `name` is that in its folder. */
typedef bool visit_file(struct listing *listing, const char *file, const char *name, struct problem *problem);

/* Visits every component of a folder, by name. A folder that does not exist has none. */
static bool visit_folder(struct listing *listing, const char *folder, visit_file *visit, size_t *visited,
                         struct problem *problem)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_wasm, alphasort);
    bool sound = true;
    for (int i = 0; i < count; i++) {
        char file[4096 + 256];
        snprintf(file, sizeof file, "%s/%s", folder, entries[i]->d_name);
        sound = sound && visit(listing, file, entries[i]->d_name, problem);
        *visited += sound;
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return sound;
}

static bool show_file(struct listing *listing, const char *file, const char *name, struct problem *problem)
{
    (void)name;
    return show(listing, file, problem);
}

static bool note_part(struct listing *listing, const char *file, const char *name, struct problem *problem)
{
    struct part *part = &listing->parts[listing->part_count];
    uint8_t *bytes;
    size_t len;
    if (listing->part_count == PARTS_MAX || !engine_read_component(file, &bytes, &len, problem))
        return true; /* it has no name here; what is wrong with it is told when it is shown */
    snprintf(part->name, sizeof part->name, "%.*s", (int)(strlen(name) - strlen(".wasm")), name);
    listing->part_count += digest_text(bytes, len, part->digest);
    free(bytes);
    return true;
}

/* Finds the folders of nodes and parts, and notes which parts there are. */
static bool look_around(struct listing *listing, char *nodes, size_t size, struct problem *problem)
{
    char resolved[4096];
    size_t noted = 0;
    composition_folder(nodes, size);
    if (realpath(nodes, resolved) != NULL)
        snprintf(nodes, size, "%.*s", (int)size - 1, resolved);
    snprintf(listing->folder, sizeof listing->folder, "%s/../components", nodes);
    if (realpath(listing->folder, resolved) != NULL)
        snprintf(listing->folder, sizeof listing->folder, "%s", resolved);
    return visit_folder(listing, listing->folder, note_part, &noted, problem);
}

static bool show_all(struct listing *listing, const char *nodes, struct problem *problem)
{
    size_t shown = 0;
    if (!visit_folder(listing, listing->folder, show_file, &shown, problem) ||
        !visit_folder(listing, nodes, show_file, &shown, problem))
        return false;
    return shown > 0 ||
           problem_set(problem, EXIT_BAD_INPUT, "no components in %s nor nodes in %s; build them, or set SYNOD_NODES",
                       listing->folder, nodes);
}

int verb_components(int argc, char **argv)
{
    static struct listing listing; /* large */
    char nodes[3500];
    int first = 0;
    const struct option_row rows[] = {
        {"all", 'a', OPTION_FLAG, .target = &listing.all,
         .text = "show the functions and types of each interface, too (compiles what has not been compiled yet)"},
    };
    const struct command_help help = {
        .command = "synod components",
        .operands = "[FILE...]",
        .operands_max = 1000,
        .description =
            "Shows components: size, digest, of which others each is composed, what it imports and exports. Without files,\n"
            "those that were built with this program (../components and ../nodes beside its folder).\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .examples = "  synod components\n  synod components --all build/nodes/coordinator-node.wasm\n",
    };
    int code = options_parse(&help, argc, argv, &first);
    if (code != OPTIONS_GO_ON)
        return code;
    struct problem problem;
    const struct engine_options options = {.turn_timeout = 1000000};
    bool sound = look_around(&listing, nodes, sizeof nodes, &problem) &&
                 (!listing.all || engine_open(&listing.engine, &options, &problem));
    if (sound && first < argc)
        for (int i = first; sound && i < argc; i++)
            sound = show(&listing, argv[i], &problem);
    else if (sound)
        sound = show_all(&listing, nodes, &problem);
    if (listing.engine != NULL)
        engine_close(listing.engine);
    if (!sound)
        fprintf(stderr, "synod components: %s\n", problem.text);
    return sound ? EXIT_OK : problem.exit_code;
}
