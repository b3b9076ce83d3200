/* Shows what a node is made of: every component file with its size, digest, imports and exports. These are read from the
 * bytes. Only the contents of interfaces (--all) need Wasmtime, which compiles the component. */
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

struct listing {
    struct engine *engine; /* NULL: names are enough */
    bool all;              /* the functions, too */
};

static bool digest_text(const uint8_t *bytes, size_t len, char text[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(bytes, len, digest, &size, EVP_sha256(), NULL) != 1)
        return false;
    for (unsigned i = 0; i < size && i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return true;
}

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
    char digest[65];
    uint8_t *bytes;
    size_t len;
    if (!engine_read_component(file, &bytes, &len, problem))
        return false;
    bool sound = digest_text(bytes, len, digest) || problem_set(problem, EXIT_TROUBLE, "%s: it cannot be digested", file);
    if (sound) {
        printf("%s\n  %zu bytes, sha256 %s\n", file, len, digest);
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

/* Shows every component of a folder, by name. A folder that does not exist has none. */
static bool show_folder(struct listing *listing, const char *folder, size_t *shown, struct problem *problem)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_wasm, alphasort);
    bool sound = true;
    for (int i = 0; i < count; i++) {
        char file[4096 + 256];
        snprintf(file, sizeof file, "%s/%s", folder, entries[i]->d_name);
        sound = sound && show(listing, file, problem);
        *shown += sound;
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return sound;
}

static bool show_all(struct listing *listing, struct problem *problem)
{
    char nodes[3500], parts[4096], resolved[4096];
    size_t shown = 0;
    composition_folder(nodes, sizeof nodes);
    if (realpath(nodes, resolved) != NULL)
        snprintf(nodes, sizeof nodes, "%.*s", (int)sizeof nodes - 1, resolved);
    snprintf(parts, sizeof parts, "%s/../components", nodes);
    if (realpath(parts, resolved) != NULL)
        snprintf(parts, sizeof parts, "%.*s", (int)sizeof parts - 1, resolved);
    if (!show_folder(listing, parts, &shown, problem) || !show_folder(listing, nodes, &shown, problem))
        return false;
    return shown > 0 || problem_set(problem, EXIT_BAD_INPUT,
                                    "no components in %s nor nodes in %s; build them, or set SYNOD_NODES", parts, nodes);
}

int verb_components(int argc, char **argv)
{
    struct listing listing = {0};
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
            "Shows components: size, digest, what each imports and exports. Without files, those that were built with this\n"
            "program (../components and ../nodes beside its folder).\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .examples = "  synod components\n  synod components --all build/nodes/coordinator-node.wasm\n",
    };
    int code = options_parse(&help, argc, argv, &first);
    if (code != OPTIONS_GO_ON)
        return code;
    struct problem problem;
    const struct engine_options options = {.turn_timeout = 1000000};
    bool sound = !listing.all || engine_open(&listing.engine, &options, &problem);
    if (sound && first < argc)
        for (int i = first; sound && i < argc; i++)
            sound = show(&listing, argv[i], &problem);
    else if (sound)
        sound = show_all(&listing, &problem);
    if (listing.engine != NULL)
        engine_close(listing.engine);
    if (!sound)
        fprintf(stderr, "synod components: %s\n", problem.text);
    return sound ? EXIT_OK : problem.exit_code;
}
