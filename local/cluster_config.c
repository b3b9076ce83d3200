#include "local/cluster_config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { PORT_FIRST = 10000, PORT_LAST_FALLBACK = 32767, ROLES = 3 };

bool folder_make(char *path, size_t size, struct problem *problem)
{
    const char *chosen = getenv("TMPDIR");
    const char *candidates[] = {chosen, "/var/tmp", "/tmp"};
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        if (candidates[i] == NULL || candidates[i][0] != '/')
            continue;
        int len = snprintf(path, size, "%s/synod-demo-XXXXXX", candidates[i]);
        if (len > 0 && (size_t)len < size && mkdtemp(path) != NULL)
            return true;
    }
    return problem_set(problem, EXIT_TROUBLE, "cannot make a folder in $TMPDIR, /var/tmp or /tmp: %s", strerror(errno));
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    remove(path); /* what stays is the user's to look at; nothing depends on it */
    return 0;
}

void folder_remove(const char *path) { nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT); }

bool folder_in_memory(const char *path)
{
    struct statfs fs;
    return statfs(path, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* The last port below those that the kernel gives to outgoing connections. A restarted node must find its port free; the
 * demo's own clients could have taken it in the meantime. */
static uint16_t port_last(void)
{
    unsigned low = 0;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    if (file != NULL) {
        if (fscanf(file, "%u", &low) != 1)
            low = 0;
        fclose(file);
    }
    return low > PORT_FIRST + 1000 && low <= UINT16_MAX ? (uint16_t)(low - 1) : PORT_LAST_FALLBACK;
}

/* A socket bound to a port of 127.0.0.1; -1 when the port is taken. */
static int bind_port(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

bool ports_find(uint16_t *ports, size_t count, struct problem *problem)
{
    uint16_t last = port_last(), span = (uint16_t)(last - PORT_FIRST + 1);
    uint32_t start = 0;
    size_t found = 0;
    int held[PORTS_MAX];
    if (getrandom(&start, sizeof start, 0) != (ssize_t)sizeof start)
        start = (uint32_t)getpid();
    for (uint32_t i = 0; i < span && found < count && found < PORTS_MAX; i++) {
        uint16_t port = (uint16_t)(PORT_FIRST + (start + i) % span);
        int fd = bind_port(port);
        if (fd >= 0) { /* kept open until all are found, so that none is found twice */
            held[found] = fd;
            ports[found++] = port;
        }
    }
    for (size_t i = 0; i < found; i++)
        close(held[i]);
    return found == count ||
           problem_set(problem, EXIT_BAD_INPUT, "only %zu of %zu ports are free on 127.0.0.1 (looked in %u..%u)", found,
                       count, (unsigned)PORT_FIRST, (unsigned)last);
}

static void write_node(FILE *file, uint32_t id, const char *role, const uint16_t *ports)
{
    fprintf(file, "  - {id: %u, role: %s, address: \"127.0.0.1:%u\", client: \"127.0.0.1:%u\"}\n", (unsigned)id, role,
            (unsigned)ports[0], (unsigned)ports[1]);
}

static void write_nodes(FILE *file, const struct cluster_plan *plan, const uint16_t *ports)
{
    static const char *const roles[ROLES] = {"learner", "acceptor", "proposer"};
    fputs("\nnodes:\n", file);
    if (strcmp(plan->deployment, "coordinator") == 0) {
        for (uint32_t i = 0; i < plan->nodes; i++)
            write_node(file, i + 1, "coordinator", ports + 2 * i);
        return;
    }
    for (uint32_t i = 0; i < ROLES * plan->nodes; i++)
        write_node(file, i + 1, roles[i / plan->nodes], ports + 2 * i);
    if (strcmp(plan->deployment, "shared") != 0)
        return;
    fputs("\ngroups:\n", file); /* one node of each role in each process */
    for (uint32_t i = 1; i <= plan->nodes; i++)
        fprintf(file, "  - [%u, %u, %u]\n", (unsigned)i, (unsigned)(plan->nodes + i), (unsigned)(2 * plan->nodes + i));
}

static void write_key(FILE *file, const char *key, const char *value)
{
    if (value != NULL)
        fprintf(file, "%s: %s\n", key, value);
}

static void write_settings(FILE *file, const struct cluster_plan *plan)
{
    bool apart = strcmp(plan->deployment, "coordinator") != 0;
    if (!apart && plan->settings == NULL)
        return;
    fprintf(file, "\nsettings:\n%s%s", apart ? "  acceptors_send_learns: true\n" : "",
            plan->settings != NULL ? plan->settings : "");
}

uint32_t plan_node_count(const struct cluster_plan *plan)
{
    return strcmp(plan->deployment, "coordinator") == 0 ? plan->nodes : ROLES * plan->nodes;
}

bool config_write(const char *path, const struct cluster_plan *plan, struct problem *problem)
{
    uint16_t ports[PORTS_MAX];
    if (!ports_find(ports, 2 * plan_node_count(plan), problem))
        return false;
    FILE *file = fopen(path, "wxe");
    if (file == NULL)
        return problem_set(problem, EXIT_TROUBLE, "cannot write %s: %s", path, strerror(errno));
    fprintf(file, "# Written by `synod demo` or `synod bench`.\ncluster: demo\nlog_level: info\ndata: data\n");
    write_key(file, "leader_rule", plan->leader_rule != NULL ? plan->leader_rule : "sticky");
    write_key(file, "network", plan->network);
    write_key(file, "storage", plan->storage);
    write_key(file, "serializer", plan->serializer);
    write_key(file, "granularity", plan->granularity);
    write_nodes(file, plan, ports);
    write_settings(file, plan);
    bool ok = ferror(file) == 0;
    if (fclose(file) != 0 || !ok)
        return problem_set(problem, EXIT_TROUBLE, "cannot write %s: %s", path, strerror(errno));
    return true;
}
