#include <stdio.h>

#if __has_include(<wasmtime.h>)
#include <wasmtime.h>
#endif

#include "cli/verbs.h"
#include "host/options.h"
#include "io/problem.h"

/* The build passes the text of the file VERSION. */
#ifndef SYNOD_VERSION
#define SYNOD_VERSION "unreleased"
#endif
#ifndef WASMTIME_VERSION
#define WASMTIME_VERSION "none"
#endif

#ifdef __OPTIMIZE__
#define BUILD_TYPE "release"
#else
#define BUILD_TYPE "debug"
#endif
#ifdef __SANITIZE_ADDRESS__
#define BUILD_CHECKS ", sanitizers"
#else
#define BUILD_CHECKS ""
#endif

int verb_version(int argc, char **argv)
{
    static const struct command_help help = {
        .command = "synod version",
        .description = "Shows the version of this program, of the WebAssembly runtime in it, and how it was built.\n",
        .examples = "  synod version\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    if (code != OPTIONS_GO_ON)
        return code;
    printf("synod %s\nwasmtime %s\nbuild %s%s\n", SYNOD_VERSION, WASMTIME_VERSION, BUILD_TYPE, BUILD_CHECKS);
    return EXIT_OK;
}
