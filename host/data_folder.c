/* The data folder of a node.
 *
 *   lock       held exclusively (flock) while a process uses the folder; its text is that process' id
 *   identity   whose folder this is, and how often it was opened; rewritten by each open
 *   peers      the instance id that each other node had when it was first heard of
 *   journal-*  see host/journal.h
 *
 * identity and peers are text, so that an operator can read them, and end with the XXH64 of all bytes before the line
 * `checksum`. A reader writes what it understood again and compares: a file with one byte changed, added or missing is
 * corrupt.
 *
 *   synod-identity 1                              the 1 is the version of the format
 *   cluster demo
 *   node 3
 *   instance 0f1e2d3c4b5a69788796a5b4c3d2e1f0     random, made by `synod init`
 *   incarnation 7                                 boots so far; 0 after `synod init`
 *   checksum 8d1f5a0c33e29b74
 *
 *   synod-peers 1
 *   1 6b1c...                                     node, its instance id; in the order of the nodes
 *   checksum ...
 *
 * A file is replaced by writing a temporary one, syncing it, renaming it and syncing the folder: after a crash at any
 * point the folder holds the old file or the new one. A boot counts only when its number is durable, so no two lives of
 * a node share an incarnation (rule 1 of the design). */
#include "host/data_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"

enum {
    FORMAT_VERSION = 1,
    INSTANCE_BYTES = 16,
    INSTANCE_TEXT = 2 * INSTANCE_BYTES + 1,
    TEXT_MAX = 4096, /* 63 peers of 36 bytes and some */
};

struct peer {
    bool known;
    uint8_t instance[INSTANCE_BYTES];
};

struct data_folder {
    char *path;
    int folder; /* file descriptors */
    int lock;
    struct identity identity;
    struct peer peers[NODE_ID_MAX + 1];
};

/* ---- Text ---- */

static void instance_print(const uint8_t instance[INSTANCE_BYTES], char out[INSTANCE_TEXT])
{
    for (size_t i = 0; i < INSTANCE_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", instance[i]);
}

/* False: not 32 hexadecimal digits. */
static bool instance_read(const char *text, uint8_t instance[INSTANCE_BYTES])
{
    if (strlen(text) != INSTANCE_TEXT - 1 || text[strspn(text, "0123456789abcdef")] != '\0')
        return false;
    for (size_t i = 0; i < INSTANCE_BYTES; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return false;
        instance[i] = (uint8_t)byte;
    }
    return true;
}

/* Adds the last line. Returns the length of the whole. */
static size_t text_seal(char *text, size_t len)
{
    return len + (size_t)snprintf(text + len, TEXT_MAX - len, "checksum %016" PRIx64 "\n", checksum(text, len, 0));
}

static size_t identity_print(const struct identity *id, char *text)
{
    char instance[INSTANCE_TEXT];
    instance_print(id->instance, instance);
    int len = snprintf(text, TEXT_MAX, "synod-identity %d\ncluster %s\nnode %u\ninstance %s\nincarnation %u\n",
                       FORMAT_VERSION, id->cluster, id->node, instance, id->incarnation);
    return text_seal(text, (size_t)len);
}

static size_t peers_print(const struct peer *peers, char *text)
{
    size_t len = (size_t)snprintf(text, TEXT_MAX, "synod-peers %d\n", FORMAT_VERSION);
    for (uint32_t n = 0; n <= NODE_ID_MAX; n++) {
        if (!peers[n].known)
            continue;
        char instance[INSTANCE_TEXT];
        instance_print(peers[n].instance, instance);
        len += (size_t)snprintf(text + len, TEXT_MAX - len, "%u %s\n", n, instance);
    }
    return text_seal(text, len);
}

static bool identity_read(const char *text, size_t len, struct identity *id)
{
    char instance[INSTANCE_TEXT], again[TEXT_MAX];
    *id = (struct identity){0};
    if (sscanf(text, "synod-identity %*u\ncluster %63s\nnode %u\ninstance %32s\nincarnation %u\n", id->cluster, &id->node,
               instance, &id->incarnation) != 4)
        return false;
    return instance_read(instance, id->instance) && identity_print(id, again) == len && memcmp(again, text, len) == 0;
}

static bool peers_read(const char *text, size_t len, struct peer *peers)
{
    char instance[INSTANCE_TEXT], again[TEXT_MAX];
    uint32_t node;
    for (const char *line = strchr(text, '\n'); line != NULL; line = strchr(line, '\n')) {
        line++;
        if (sscanf(line, "%2u %32s", &node, instance) != 2)
            break;
        if (node > NODE_ID_MAX || !instance_read(instance, peers[node].instance))
            return false;
        peers[node].known = true;
    }
    return peers_print(peers, again) == len && memcmp(again, text, len) == 0;
}

/* ---- Files ---- */

static bool write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

/* Replaces file `name` in the folder so that it holds `text` whatever happens; see the top. */
static bool replace_file(int folder, const char *path, const char *name, const char *text, size_t len,
                         struct problem *problem)
{
    char temporary[64];
    snprintf(temporary, sizeof temporary, "%s.tmp", name);
    int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return problem_set(problem, EXIT_DATA, "%s/%s: %s", path, temporary, strerror(errno));
    const bool written = write_all(fd, text, len);
    if (!written || fsync(fd) != 0) {
        problem_set(problem, written ? EXIT_SYNC_FAILED : EXIT_DATA, "%s/%s: %s: %s", path, temporary,
                    written ? "sync" : "write", strerror(errno));
        close(fd);
        return false;
    }
    close(fd);
    if (renameat(folder, temporary, folder, name) != 0)
        return problem_set(problem, EXIT_DATA, "%s/%s: %s", path, name, strerror(errno));
    if (fsync(folder) != 0)
        return problem_set(problem, EXIT_SYNC_FAILED, "%s: sync: %s", path, strerror(errno));
    return true;
}

/* Reads a file of the folder into `text` (TEXT_MAX bytes, zero-terminated) and checks its format's name and version.
 * `*found` is false, without an error, where there is none. */
static bool read_file(int folder, const char *path, const char *name, char *text, size_t *len, bool *found,
                      struct problem *problem)
{
    char pattern[64];
    int version = 0;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    *found = fd >= 0;
    if (fd < 0 && errno == ENOENT)
        return true;
    if (fd < 0)
        return problem_set(problem, EXIT_DATA, "%s/%s: %s", path, name, strerror(errno));
    ssize_t n = read(fd, text, TEXT_MAX - 1); /* a regular file: all there is in one call */
    const int error = errno;
    close(fd);
    if (n < 0)
        return problem_set(problem, EXIT_DATA, "%s/%s: %s", path, name, strerror(error));
    text[n] = '\0';
    *len = (size_t)n;
    snprintf(pattern, sizeof pattern, "synod-%s %%9d", name);
    if (sscanf(text, pattern, &version) == 1 && version > FORMAT_VERSION)
        return problem_set(problem, EXIT_DATA, "%s/%s: format version %d, this program knows up to %d", path, name, version,
                           FORMAT_VERSION);
    return true;
}

static bool read_identity(int folder, const char *path, struct identity *id, bool *found, struct problem *problem)
{
    char text[TEXT_MAX];
    size_t len;
    if (!read_file(folder, path, "identity", text, &len, found, problem))
        return false;
    if (*found && !identity_read(text, len, id))
        return problem_set(problem, EXIT_DATA, "%s/identity: corrupt", path);
    return true;
}

/* Locks the folder until the returned descriptor is closed; -1 with a problem. */
static int lock_folder(int folder, const char *path, struct problem *problem)
{
    int fd = openat(folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        problem_set(problem, EXIT_DATA, "%s/lock: %s", path, strerror(errno));
        return -1;
    }
    char text[32] = "";
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        ssize_t n = pread(fd, text, sizeof text - 1, 0);
        text[n > 0 ? strspn(text, "0123456789") : 0] = '\0';
        if (error == EWOULDBLOCK)
            problem_set(problem, EXIT_DATA, "%s is already in use by process %s", path, text[0] ? text : "unknown");
        else
            problem_set(problem, EXIT_DATA, "%s/lock: %s", path, strerror(error));
        close(fd);
        return -1;
    }
    int len = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
        problem_set(problem, EXIT_DATA, "%s/lock: %s", path, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

/* ---- Formatting ---- */

/* Makes `path` and its parents, each entry durable in the folder above it. */
static bool make_folder(const char *path, struct problem *problem)
{
    char part[PATH_MAX];
    const size_t len = strlen(path);
    if (len == 0 || len >= sizeof part)
        return problem_set(problem, EXIT_DATA, "'%.100s': no usable path of a data folder", path);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0750) != 0) {
            if (errno == EEXIST)
                continue;
            return problem_set(problem, EXIT_DATA, "%s: %s", part, strerror(errno));
        }
        char *slash = strrchr(part, '/');
        if (slash != NULL)
            slash[slash == part ? 1 : 0] = '\0';
        int parent = open(slash != NULL ? part : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent < 0 || fsync(parent) != 0) {
            problem_set(problem, EXIT_SYNC_FAILED, "%s: sync: %s", part, strerror(errno));
            if (parent >= 0)
                close(parent);
            return false;
        }
        close(parent);
    }
    return true;
}

/* Refuses a folder that holds anything but the remains of a formatting that was cut short. */
static bool check_empty(const char *path, struct problem *problem)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return problem_set(problem, EXIT_DATA, "%s: %s", path, strerror(errno));
    bool ok = true;
    for (struct dirent *e = readdir(dir); ok && e != NULL; e = readdir(dir)) {
        const char *name = e->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, "lock") != 0 &&
            strcmp(name, "identity.tmp") != 0)
            ok = problem_set(problem, EXIT_DATA, "%s is not empty (it holds '%s') and has no identity", path, name);
    }
    closedir(dir);
    return ok;
}

static bool format_locked(int folder, const char *path, const char *cluster, uint32_t node, struct problem *problem)
{
    struct identity id;
    bool found;
    char text[TEXT_MAX];
    if (!read_identity(folder, path, &id, &found, problem))
        return false;
    if (found)
        return problem_set(problem, EXIT_DATA, "%s is already formatted, for node %u of cluster '%s'", path, id.node,
                           id.cluster);
    if (!check_empty(path, problem))
        return false;
    id = (struct identity){.node = node};
    snprintf(id.cluster, sizeof id.cluster, "%s", cluster);
    if (getrandom(id.instance, sizeof id.instance, 0) != (ssize_t)sizeof id.instance)
        return problem_set(problem, EXIT_TROUBLE, "no random bytes: %s", strerror(errno));
    return replace_file(folder, path, "identity", text, identity_print(&id, text), problem);
}

bool data_folder_format(const char *path, const char *cluster, uint32_t node, struct problem *problem)
{
    if (!make_folder(path, problem))
        return false;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return problem_set(problem, EXIT_DATA, "%s: %s", path, strerror(errno));
    int lock = lock_folder(folder, path, problem);
    const bool ok = lock >= 0 && format_locked(folder, path, cluster, node, problem);
    if (lock >= 0)
        close(lock);
    close(folder);
    return ok;
}

/* ---- Opening ---- */

static bool not_formatted(const char *path, uint32_t node, struct problem *problem)
{
    return problem_set(problem, EXIT_DATA, "%s is not formatted: run synod init --config FILE --node %u", path, node);
}

static bool read_peers(struct data_folder *f, struct problem *problem)
{
    char text[TEXT_MAX];
    size_t len;
    bool found;
    if (!read_file(f->folder, f->path, "peers", text, &len, &found, problem))
        return false;
    if (found && !peers_read(text, len, f->peers))
        return problem_set(problem, EXIT_DATA, "%s/peers: corrupt", f->path);
    return true;
}

/* With the lock held: whose folder it is, and the next boot. */
static bool boot(struct data_folder *f, const char *cluster, uint32_t node, struct problem *problem)
{
    struct identity *id = &f->identity;
    char text[TEXT_MAX];
    bool found;
    if (!read_identity(f->folder, f->path, id, &found, problem))
        return false;
    if (!found)
        return not_formatted(f->path, node, problem);
    if (strcmp(id->cluster, cluster) != 0 || id->node != node)
        return problem_set(problem, EXIT_DATA, "%s belongs to node %u of cluster '%s', not to node %u of cluster '%s'",
                           f->path, id->node, id->cluster, node, cluster);
    if (id->incarnation == UINT32_MAX)
        return problem_set(problem, EXIT_DATA, "%s/identity: no incarnations left", f->path);
    id->incarnation++;
    return read_peers(f, problem) && replace_file(f->folder, f->path, "identity", text, identity_print(id, text), problem);
}

bool data_folder_open(struct data_folder **out, const char *path, const char *cluster, uint32_t node,
                      struct problem *problem)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 && errno != ENOENT)
        return problem_set(problem, EXIT_DATA, "%s: %s", path, strerror(errno));
    /* Looked at before the lock, so that nothing is left in a folder that is not ours. */
    if (folder < 0 || (faccessat(folder, "identity", F_OK, 0) != 0 && errno == ENOENT)) {
        if (folder >= 0)
            close(folder);
        return not_formatted(path, node, problem);
    }
    struct data_folder *f = memory_new(1, sizeof *f);
    f->path = strdup(path);
    invariant(f->path != NULL);
    f->folder = folder;
    f->lock = lock_folder(folder, path, problem);
    if (f->lock < 0 || !boot(f, cluster, node, problem)) {
        data_folder_close(f);
        return false;
    }
    *out = f;
    return true;
}

void data_folder_close(struct data_folder *folder)
{
    if (folder == NULL)
        return;
    if (folder->lock >= 0)
        close(folder->lock);
    close(folder->folder);
    free(folder->path);
    free(folder);
}

const struct identity *data_folder_identity(const struct data_folder *folder) { return &folder->identity; }

const char *data_folder_path(const struct data_folder *folder) { return folder->path; }

bool data_folder_accept_peer(struct data_folder *folder, uint32_t peer, const uint8_t instance[16])
{
    char text[TEXT_MAX];
    struct problem problem;
    if (peer == 0 || peer > NODE_ID_MAX)
        return false;
    if (peer == folder->identity.node)
        return memcmp(folder->identity.instance, instance, INSTANCE_BYTES) == 0;
    struct peer *p = &folder->peers[peer];
    if (p->known)
        return memcmp(p->instance, instance, INSTANCE_BYTES) == 0;
    p->known = true;
    memcpy(p->instance, instance, INSTANCE_BYTES);
    if (replace_file(folder->folder, folder->path, "peers", text, peers_print(folder->peers, text), &problem))
        return true;
    /* Not durable, so not remembered: the peer is refused now and comes again. */
    p->known = false;
    return false;
}
