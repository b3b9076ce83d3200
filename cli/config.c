/* Checks a configuration file, lists all keys, or writes the settings of a node in the sandbox. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/verbs.h"
#include "host/config.h"
#include "host/options.h"
#include "io/config_packet.h"

static int list_keys(void)
{
    char *text = config_describe();
    if (text == NULL) {
        fprintf(stderr, "synod config: out of memory\n");
        return EXIT_TROUBLE;
    }
    fputs(text, stdout);
    free(text);
    return EXIT_OK;
}

/* ---- Export ---- */

static bool write_words(const char *path, const struct packet *packet, struct problem *problem)
{
    FILE *out = fopen(path, "we");
    bool ok = out != NULL && fwrite(packet->words.ptr, 1, packet->len, out) == packet->len;
    int error = errno;
    if (out != NULL && fclose(out) != 0 && ok) {
        ok = false;
        error = errno;
    }
    return ok || problem_set(problem, EXIT_TROUBLE, "cannot write %s: %s", path, strerror(error));
}

/* True when `folder` names nothing outside of the folder that it starts from. */
static bool is_below(const char *folder)
{
    const char *part = folder;
    if (folder[0] == '/' || folder[0] == '\0')
        return false;
    for (; part != NULL; part = strchr(part, '/')) {
        part += *part == '/';
        if (strcmp(part, "..") == 0 || strncmp(part, "../", 3) == 0)
            return false;
    }
    return true;
}

static bool export_settings(const struct config *config, uint64_t node, const char *folder, const char *output,
                            struct problem *problem)
{
    struct node_settings settings = {.config = *config, .node = (uint32_t)node};
    if (config_find(config, settings.node) == NULL)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: there is no node %" PRIu64, config->file, node);
    int len = folder != NULL ? snprintf(settings.folder, sizeof settings.folder, "%s", folder)
                             : snprintf(settings.folder, sizeof settings.folder, "node-%" PRIu64, node);
    if (len < 0 || (size_t)len >= sizeof settings.folder)
        return problem_set(problem, EXIT_BAD_INPUT, "--folder: more than %zu characters", sizeof settings.folder - 1);
    if (!is_below(settings.folder))
        return problem_set(problem, EXIT_BAD_INPUT, "--folder: '%s' is no path below the folder that the node is given",
                           folder);
    struct packet packet = config_packet_encode(&settings);
    const bool ok = write_words(output, &packet, problem);
    free(packet.words.ptr);
    return ok;
}

static int verb_export(int argc, char **argv)
{
    const char *file = NULL, *folder = NULL, *output = NULL;
    uint64_t node = 0;
    const struct option_row rows[] = {
        {"config", 'c', OPTION_TEXT, .required = true, .value = "FILE", .target = &file,
         .text = "configuration of the cluster"},
        {"node", 'n', OPTION_NUMBER, .required = true, .value = "ID", .target = &node, .min = 1, .max = NODE_ID_MAX,
         .text = "the node"},
        {"folder", 'f', OPTION_TEXT, .value = "FOLDER", .target = &folder,
         .text = "its data, below the one folder that it is given; `.` is that folder itself (default node-ID)"},
        {"output", 'o', OPTION_TEXT, .required = true, .value = "FILE", .target = &output, .text = "the file to write"},
    };
    const struct command_help help = {
        .command = "synod config export",
        .description =
            "Writes the settings of one node as it reads them when its network and storage are in the sandbox: for running\n"
            "it under any WASI host.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  written\n  1  the file could not be written\n  2  wrong command line or configuration\n",
        .examples = "  synod config export --config examples/coordinator.yaml --node 1 --output node-1.settings\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    if (code != OPTIONS_GO_ON)
        return code;
    struct config config;
    struct problem problem;
    if (!config_load(&config, file, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return problem.exit_code;
    }
    const bool ok = export_settings(&config, node, folder, output, &problem);
    if (!ok)
        fprintf(stderr, "%s\n", problem.text);
    config_close(&config);
    return ok ? EXIT_OK : problem.exit_code;
}

/* ---- Check, list ---- */

int verb_config(int argc, char **argv)
{
    const char *file = NULL;
    if (argc > 1 && strcmp(argv[1], "export") == 0)
        return verb_export(argc - 1, argv + 1);
    const struct option_row rows[] = {
        {"config", 'c', OPTION_TEXT, .value = "FILE", .target = &file, .text = "configuration to check"},
    };
    const struct command_help help = {
        .command = "synod config",
        .description =
            "Checks a configuration file. An error is one line. Without a file: lists every\n"
            "key with type, default, range and meaning (Markdown, as in the documentation).\n"
            "\n"
            "`synod config export` writes the settings of one node for a WASI host, see synod config export --help.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  the file is sound\n  2  it is not, or the command line is wrong\n",
        .examples = "  synod config --config examples/coordinator.yaml\n  synod config\n"
                    "  synod config export --config examples/coordinator.yaml --node 1 --output node-1.settings\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    if (code != OPTIONS_GO_ON)
        return code;
    if (file == NULL)
        return list_keys();
    struct config config;
    struct problem problem;
    if (!config_load(&config, file, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return problem.exit_code;
    }
    printf("%s: cluster '%s', %zu nodes in %zu processes\n", file, config.cluster, config.node_count, config.group_count);
    config_close(&config);
    return EXIT_OK;
}
