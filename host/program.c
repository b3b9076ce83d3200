#include "host/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/problem.h"

static void print_help(const struct program *p)
{
    printf("%s: %s\n\nusage: %s <verb> [options]\n\nverbs:\n", p->name, p->description, p->name);
    for (size_t i = 0; i < p->verb_count; i++)
        printf("  %-12s %s\n", p->verbs[i].name, p->verbs[i].text);
    printf("\n%s <verb> --help tells more of each.\n\nexit codes:\n%s", p->name, p->exit_codes);
}

/* The parent may have closed standard streams. Then the next file or socket would get the number of one, and what is written
 * for people would go there. */
static void open_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
            _Exit(EXIT_TROUBLE);
}

void program_prepare(void)
{
    open_standard_streams();
    signal(SIGXFSZ, SIG_IGN);
}

bool program_folder(char *out, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", out, size - 1);
    if (len <= 0 || (size_t)len == size - 1)
        return false;
    out[len] = '\0';
    *strrchr(out, '/') = '\0';
    return true;
}

int program_run(const struct program *p, int argc, char **argv)
{
    program_prepare();
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (strcmp(name, "help") == 0 && argc == 2)) {
        print_help(p);
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
    for (size_t i = 0; i < p->verb_count; i++)
        if (strcmp(p->verbs[i].name, name) == 0)
            return p->verbs[i].run(argc, argv);
    if (name[0] == '\0')
        fprintf(stderr, "%s: no verb given; see %s --help\n", p->name, p->name);
    else
        fprintf(stderr, "%s: unknown verb '%s'; see %s --help\n", p->name, name, p->name);
    return EXIT_BAD_INPUT;
}
