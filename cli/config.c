#include <stdio.h>
#include <stdlib.h>

#include "cli/options.h"
#include "cli/verbs.h"
#include "host/config.h"

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

int verb_config(int argc, char **argv)
{
    const char *file = NULL;
    const struct option_row rows[] = {
        {"config", 'c', OPTION_TEXT, .value = "FILE", .target = &file, .text = "configuration to check"},
    };
    const struct verb_help help = {
        .name = "config",
        .description =
            "Checks a configuration file and says in one line what is wrong with it. Without a file: lists every\n"
            "key with type, default, range and meaning (Markdown, as in docs/configuration.md).\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  the file is sound\n  2  it is not, or the command line is wrong\n",
        .examples = "  synod config --config examples/coordinator.yaml\n  synod config\n",
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
