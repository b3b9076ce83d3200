/* Shows what a node is made of: every component file with its size, digest, imports and exports. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "cli/options.h"
#include "cli/verbs.h"
#include "host/component_types.h"
#include "host/engine.h"
#include "host/node_host.h"

struct listing {
    struct engine *engine;
    bool all; /* the functions, too */
};

static bool digest_file(const char *file, uint64_t *size, char text[65], struct problem *problem)
{
    unsigned char bytes[65536], digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    size_t n;
    FILE *in = fopen(file, "rb");
    if (in == NULL)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: %m", file);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool sound = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    *size = 0;
    while (sound && (n = fread(bytes, 1, sizeof bytes, in)) > 0) {
        *size += n;
        sound = EVP_DigestUpdate(context, bytes, n) == 1;
    }
    sound = sound && !ferror(in) && EVP_DigestFinal_ex(context, digest, &len) == 1;
    EVP_MD_CTX_free(context);
    fclose(in);
    for (unsigned i = 0; sound && i < len && i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return sound || problem_set(problem, EXIT_TROUBLE, "%s: it cannot be read or digested", file);
}

static bool print_name(void *context, const struct component_name *name)
{
    const struct listing *listing = context;
    if (name->item == NULL)
        printf("    %s\n", name->interface);
    else if (listing->all && name->item[0] != '\0')
        printf("      %s%s\n", name->is_type ? "type " : "", name->item);
    return true;
}

static bool show(struct listing *listing, const char *file, struct problem *problem)
{
    const wasmtime_component_t *component;
    const wasm_engine_t *wasm = engine_wasm(listing->engine);
    char digest[65];
    uint64_t size;
    if (!digest_file(file, &size, digest, problem) || !engine_component(listing->engine, file, &component, problem))
        return false;
    printf("%s\n  %llu bytes, sha256 %s\n", file, (unsigned long long)size, digest);
    printf("  imports\n");
    component_walk(component, wasm, COMPONENT_IMPORTS, print_name, listing);
    printf("  exports\n");
    component_walk(component, wasm, COMPONENT_EXPORTS, print_name, listing);
    return true;
}

static int is_wasm(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 5 && strcmp(entry->d_name + len - 5, ".wasm") == 0;
}

/* Every component of a folder, by name. A folder that is not there holds none. */
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
    node_host_default_folder(nodes, sizeof nodes);
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
        {"all", 'a', OPTION_FLAG, .target = &listing.all, .text = "show the functions and types of each interface, too"},
    };
    const struct verb_help help = {
        .name = "components",
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
    bool sound = engine_open(&listing.engine, &options, &problem);
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
