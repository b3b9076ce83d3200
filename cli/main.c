/* The `synod` command: a table of verbs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/verbs.h"
#include "io/problem.h"

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *text;
} verbs[] = {
    {"init", verb_init, "format the data folder of a node, once"},
    {"start", verb_start, "run nodes"},
    {"status", verb_status, "show how each node of a cluster is"},
    {"config", verb_config, "check a configuration file, or list all its keys"},
    {"components", verb_components, "show the components a node is made of"},
    {"demo", verb_demo, "run a cluster with clients on this machine and check the result"},
    {"bench", verb_bench, "put load on a cluster and measure"},
    {"sim", verb_sim, "run clusters in a simulated world and check every rule"},
    {"version", verb_version, "show the versions of this program and its runtime"},
};

static void print_help(void)
{
    printf("synod: replicate a deterministic state machine with Multi-Paxos, every part a WebAssembly component\n\n"
           "usage: synod <verb> [options]\n\nverbs:\n");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        printf("  %-12s %s\n", verbs[i].name, verbs[i].text);
    printf("\nsynod <verb> --help tells more of each.\n\n"
           "exit codes:\n"
           "  0  all went well\n"
           "  1  something failed that is not listed here\n"
           "  2  wrong command line or configuration, a port in use, a component that cannot be used\n"
           "  3  data folder: not formatted, another node's, in use, corrupt\n"
           "  4  a sync to disk failed: final, do not restart the node on this disk\n"
           "  5  demo, bench or sim: the result is not what it must be\n"
           "  6  the node's state is not that of a majority: final, it must not go on\n");
}

/* Whoever starts this process may have closed its standard streams. Then the next file or socket would get the number of one,
 * and what is written for people would go there. */
static void open_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
            _Exit(EXIT_TROUBLE);
}

int main(int argc, char **argv)
{
    open_standard_streams();
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow (ulimit -f) is an error of the write */
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (strcmp(name, "help") == 0 && argc == 2)) {
        print_help();
        return EXIT_OK;
    }
    argc--;
    argv++;
    char help[] = "--help";
    char *help_argv[] = {argc > 1 ? argv[1] : NULL, help, NULL};
    if (strcmp(name, "help") == 0) { /* `synod help init` is `synod init --help` */
        argc = 2;
        argv = help_argv;
        name = argv[0];
    }
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return verbs[i].run(argc, argv);
    if (name[0] == '\0')
        fprintf(stderr, "synod: no verb given; see synod --help\n");
    else
        fprintf(stderr, "synod: unknown verb '%s'; see synod --help\n", name);
    return EXIT_BAD_INPUT;
}
