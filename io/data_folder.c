/* The data folder of a node.
 *
 *   lock       held exclusively while a process uses the folder; its text is that process' id, and empty after a good end
 *   lease      there while a node in a sandbox uses the folder, see io/lease.c
 *   identity   which node's folder this is, and how often it was opened; rewritten by each open
 *   peers      the instance id that each other node had when it was first heard of, and the newest of its lives
 *   expelled   there if other nodes said that this folder is an older copy, or is used twice: then it cannot be opened
 *   journal-*  see io/journal_store.h
 *
 * identity and peers are text, so that an operator can read them. They end with the XXH64 of all bytes before the line
 * `checksum`. A reader writes again what it understood, and compares: a file with one byte changed, added or missing is
 * corrupt.
 *
 *   synod-identity 4                              the 4 is the version of the format
 *   cluster demo
 *   node 3
 *   instance 0f1e2d3c4b5a69788796a5b4c3d2e1f0     random, made by `synod init`
 *   incarnation 7                                 boots so far; 0 after `synod init`
 *   segment 4711                                  first lsn of the journal's newest segment; 0: the journal has not begun
 *   alpha 64                                      and so on: the governed settings, as io/governed.c prints them
 *   checksum 8d1f5a0c33e29b74
 *
 *   synod-peers 4
 *   1 6b1c... 7 90ab12cd                          node, its instance id, its newest life: incarnation and nonce; in the
 *                                                 order of the nodes
 *   checksum ...
 *
 * A file is replaced by writing a temporary one, syncing it, renaming it and syncing the folder: after a crash at any
 * point the folder holds the old file or the new one. A boot counts only when its number is durable, so no two lives of
 * a node share an incarnation (P1).
 *
 * Two nodes must never use one folder. Processes lock it. A node in a sandbox under another host than ours cannot lock, and
 * keeps a lease. Each sees the other. A process that has the lock looks for a lease and watches it. A node that wants a
 * lease is refused if the lock's text is not empty, and looks again after it has written its lease. So the second one sees
 * the first. If both come at the same time, the process stays. A process that was killed leaves its text, and a node in a
 * sandbox cannot tell that it is dead: the node is refused, and told what to do. Processes ignore the text, because they ask
 * the lock. */
#include "io/data_folder.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "io/lease.h"

enum {
    FORMAT_VERSION = 4,
    INSTANCE_BYTES = 16,
    INSTANCE_TEXT = 2 * INSTANCE_BYTES + 1,
    TEXT_MAX = 4096, /* 63 peers of 56 bytes, and a little */
    SEAL_BYTES = sizeof "checksum 0123456789abcdef\n" - 1,
};

/* A peer that was never heard is all zero: no incarnation is 0. */
struct peer {
    uint8_t instance[INSTANCE_BYTES];
    uint32_t incarnation, nonce;
};

/* Where the files are. */
struct files {
    struct disk *disk;
    const char *path;
};

struct data_folder {
    char *path;
    struct files files; /* with `path` */
    enum data_folder_guard guard;
    int lock;           /* held by this guard; -1: not yet */
    struct lease lease; /* held by this guard; without a path: not yet */
    bool lease_left;    /* by an earlier holder */
    struct identity identity;
    char governed[GOVERNED_TEXT_MAX];
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

/* Adds the last line. Returns the length of the whole text. */
static size_t text_seal(char *text, size_t len)
{
    return len + (size_t)snprintf(text + len, TEXT_MAX - len, "checksum %016" PRIx64 "\n", checksum(text, len, 0));
}

static size_t identity_print(const struct identity *id, const char *governed, char *text)
{
    char instance[INSTANCE_TEXT];
    instance_print(id->instance, instance);
    int len = snprintf(text, TEXT_MAX,
                       "synod-identity %d\ncluster %s\nnode %u\ninstance %s\nincarnation %u\nsegment %" PRIu64 "\n%s",
                       FORMAT_VERSION, id->cluster, id->node, instance, id->incarnation, id->newest_segment, governed);
    return text_seal(text, (size_t)len);
}

static size_t peers_print(const struct peer *peers, char *text)
{
    size_t len = (size_t)snprintf(text, TEXT_MAX, "synod-peers %d\n", FORMAT_VERSION);
    for (uint32_t n = 0; n <= NODE_ID_MAX; n++) {
        if (peers[n].incarnation == 0)
            continue;
        char instance[INSTANCE_TEXT];
        instance_print(peers[n].instance, instance);
        len += (size_t)snprintf(text + len, TEXT_MAX - len, "%u %s %u %08x\n", n, instance, peers[n].incarnation,
                                peers[n].nonce);
    }
    return text_seal(text, len);
}

/* The lines between `at`, the end of the line before, and the checksum. */
static bool governed_read(const char *text, size_t len, size_t at, char governed[GOVERNED_TEXT_MAX])
{
    const size_t begin = at + 1;
    if (len < begin + SEAL_BYTES || len - SEAL_BYTES - begin >= GOVERNED_TEXT_MAX)
        return false;
    memcpy(governed, text + begin, len - SEAL_BYTES - begin);
    governed[len - SEAL_BYTES - begin] = '\0';
    return true;
}

static bool identity_read(const char *text, size_t len, struct identity *id, char governed[GOVERNED_TEXT_MAX])
{
    char instance[INSTANCE_TEXT], again[TEXT_MAX];
    int at = 0;
    *id = (struct identity){0};
    if (sscanf(text, "synod-identity %*u\ncluster %63s\nnode %u\ninstance %32s\nincarnation %u\nsegment %" SCNu64 "%n",
               id->cluster, &id->node, instance, &id->incarnation, &id->newest_segment, &at) != 5)
        return false;
    return instance_read(instance, id->instance) && governed_read(text, len, (size_t)at, governed) &&
           identity_print(id, governed, again) == len && memcmp(again, text, len) == 0;
}

static bool peers_read(const char *text, size_t len, struct peer *peers)
{
    char instance[INSTANCE_TEXT], again[TEXT_MAX];
    uint32_t node;
    for (const char *line = strchr(text, '\n'); line != NULL; line = strchr(line, '\n')) {
        line++;
        struct peer peer;
        if (sscanf(line, "%2u %32s %10u %8x", &node, instance, &peer.incarnation, &peer.nonce) != 4)
            break;
        if (node > NODE_ID_MAX || !instance_read(instance, peer.instance))
            return false;
        peers[node] = peer;
    }
    return peers_print(peers, again) == len && memcmp(again, text, len) == 0;
}

/* ---- Files ---- */

static bool file_problem(const struct files *f, int exit_code, const char *name, const char *what, int64_t error,
                         struct problem *problem)
{
    return problem_set_error(problem, exit_code, error, "%s/%s: %s", f->path, name, what);
}

/* Writes and syncs a new file. */
static bool write_file(const struct files *f, const char *path, const char *name, const char *text, size_t len,
                       struct problem *problem)
{
    int file = disk_open(f->disk, path, DISK_MAKE);
    if (file < 0)
        return file_problem(f, EXIT_DATA, name, "", file, problem);
    int error = disk_write(f->disk, file, 0, text, len);
    bool ok = error == 0 || file_problem(f, EXIT_DATA, name, "write: ", error, problem);
    error = ok ? disk_sync(f->disk, file) : 0;
    ok = ok && (error == 0 || file_problem(f, EXIT_SYNC_FAILED, name, "sync: ", error, problem));
    disk_close(f->disk, file);
    if (!ok)
        disk_remove(f->disk, path);
    return ok;
}

/* Replaces the file `name` of the folder, so that at any moment it has the old text or `text`; see the top. */
static bool replace_file(const struct files *f, const char *name, const char *text, size_t len, struct problem *problem)
{
    char temporary[64];
    snprintf(temporary, sizeof temporary, "%s.tmp", name);
    char *from = disk_path(f->path, temporary), *to = disk_path(f->path, name);
    bool ok = write_file(f, from, temporary, text, len, problem);
    int error = ok ? disk_rename(f->disk, from, to) : 0;
    ok = ok && (error == 0 || file_problem(f, EXIT_DATA, name, "", error, problem));
    error = ok ? disk_sync_folder(f->disk, f->path) : 0;
    if (error != 0)
        ok = problem_set_folder_sync(problem, f->path, error);
    free(from);
    free(to);
    return ok;
}

/* Reads a file of the folder into `text` (TEXT_MAX bytes, zero-terminated) and checks the name and version of its format. If
 * there is no file, `*found` is false without an error. */
static bool read_file(const struct files *f, const char *name, char *text, size_t *len, bool *found, struct problem *problem)
{
    char pattern[64];
    int version = 0;
    char *path = disk_path(f->path, name);
    int file = disk_open(f->disk, path, DISK_READ);
    free(path);
    *found = file >= 0;
    if (file < 0)
        return file == -ENOENT || file_problem(f, EXIT_DATA, name, "", file, problem);
    int64_t n = disk_read(f->disk, file, 0, text, TEXT_MAX - 1);
    disk_close(f->disk, file);
    if (n < 0)
        return file_problem(f, EXIT_DATA, name, "", n, problem);
    text[n] = '\0';
    *len = (size_t)n;
    snprintf(pattern, sizeof pattern, "synod-%s %%9d", name);
    if (sscanf(text, pattern, &version) == 1 && version > FORMAT_VERSION)
        return problem_set(problem, EXIT_DATA, "%s/%s: format version %d, this program knows up to %d", f->path, name,
                           version, FORMAT_VERSION);
    return true;
}

static bool read_identity(const struct files *f, struct identity *id, char governed[GOVERNED_TEXT_MAX], bool *found,
                          struct problem *problem)
{
    char text[TEXT_MAX];
    size_t len;
    if (!read_file(f, "identity", text, &len, found, problem))
        return false;
    if (*found && !identity_read(text, len, id, governed))
        return problem_set(problem, EXIT_DATA, "%s/identity: corrupt", f->path);
    return true;
}

/* Whether the folder has an identity: 0, or -ENOENT, or what keeps the folder from being used. */
static int look_for_identity(const struct files *f)
{
    char *path = disk_path(f->path, "identity");
    int64_t size = disk_size(f->disk, path);
    free(path);
    return size < 0 ? (int)size : 0;
}

/* Locks the folder until the lock is given back. -1: a problem. */
static int lock_folder(const struct files *f, struct problem *problem)
{
    char holder[32] = "";
    char *path = disk_path(f->path, "lock");
    int lock = disk_lock(f->disk, path, holder, sizeof holder);
    free(path);
    if (lock >= 0)
        return lock;
    if (lock == -EWOULDBLOCK)
        problem_set(problem, EXIT_DATA, "%s is already in use by process %s", f->path, holder[0] ? holder : "unknown");
    else
        file_problem(f, EXIT_DATA, "lock", "", lock, problem);
    return -1;
}

/* ---- Formatting ---- */

/* Makes `path` and its parents, each entry durable in the folder above it. */
static bool make_folder(struct disk *disk, const char *path, struct problem *problem)
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
        int error = disk_make_folder(disk, part);
        if (error == -EEXIST)
            continue;
        if (error != 0)
            return problem_set(problem, EXIT_DATA, "%s: %s", part, strerror(-error));
        char *slash = strrchr(part, '/');
        if (slash != NULL)
            slash[slash == part ? 1 : 0] = '\0';
        error = disk_sync_folder(disk, slash != NULL ? part : ".");
        if (error != 0)
            return problem_set_folder_sync(problem, part, error);
    }
    return true;
}

struct stranger {
    bool found;
    char name[256];
};

static void look_for_stranger(void *context, const char *name)
{
    struct stranger *s = context;
    if (s->found || strcmp(name, "lock") == 0 || strcmp(name, "identity.tmp") == 0)
        return;
    s->found = true;
    snprintf(s->name, sizeof s->name, "%s", name);
}

/* Refuses a folder that contains anything except the remains of a formatting that was cut short. */
static bool check_empty(const struct files *f, struct problem *problem)
{
    struct stranger stranger = {0};
    int error = disk_list(f->disk, f->path, look_for_stranger, &stranger);
    if (error != 0)
        return problem_set(problem, EXIT_DATA, "%s: %s", f->path, strerror(-error));
    return !stranger.found ||
           problem_set(problem, EXIT_DATA, "%s is not empty (it holds '%s') and has no identity", f->path, stranger.name);
}

static bool format_locked(const struct files *f, const char *cluster, uint32_t node, const uint8_t *instance,
                          const char *governed, struct problem *problem)
{
    struct identity id;
    bool found;
    char text[TEXT_MAX], before[GOVERNED_TEXT_MAX];
    if (!read_identity(f, &id, before, &found, problem))
        return false;
    if (found)
        return problem_set(problem, EXIT_DATA, "%s is already formatted, for node %u of cluster '%s'", f->path, id.node,
                           id.cluster);
    if (!check_empty(f, problem))
        return false;
    id = (struct identity){.node = node};
    snprintf(id.cluster, sizeof id.cluster, "%s", cluster);
    if (instance != NULL)
        memcpy(id.instance, instance, sizeof id.instance);
    else if (!disk_random(f->disk, id.instance, sizeof id.instance))
        return problem_set(problem, EXIT_TROUBLE, "no random bytes for an instance id");
    return replace_file(f, "identity", text, identity_print(&id, governed != NULL ? governed : "", text), problem);
}

bool data_folder_format(struct disk *disk, const char *path, const char *cluster, uint32_t node, const uint8_t *instance,
                        const char *governed, struct problem *problem)
{
    const struct files files = {.disk = disk, .path = path};
    if (!make_folder(disk, path, problem))
        return false;
    int error = look_for_identity(&files);
    if (error != 0 && error != -ENOENT)
        return problem_set(problem, EXIT_DATA, "%s: %s", path, strerror(-error));
    int lock = lock_folder(&files, problem);
    if (lock < 0)
        return false;
    const bool ok = format_locked(&files, cluster, node, instance, governed, problem);
    disk_unlock(disk, lock);
    return ok;
}

/* ---- Boots ---- */

static bool read_peers(struct data_folder *f, struct problem *problem)
{
    char text[TEXT_MAX];
    size_t len;
    bool found;
    if (!read_file(&f->files, "peers", text, &len, &found, problem))
        return false;
    if (found && !peers_read(text, len, f->peers))
        return problem_set(problem, EXIT_DATA, "%s/peers: corrupt", f->path);
    return true;
}

static bool not_formatted(const char *path, uint32_t node, struct problem *problem)
{
    return problem_set(problem, EXIT_DATA, "%s is not formatted: run synod init --config FILE --node %u", path, node);
}

/* Counts one boot more, durably. */
static bool count_boot(struct data_folder *f, struct problem *problem)
{
    struct identity next = f->identity;
    char text[TEXT_MAX];
    if (next.incarnation == UINT32_MAX)
        return problem_set(problem, EXIT_DATA, "%s/identity: no incarnations left", f->path);
    next.incarnation++;
    if (!disk_random(f->files.disk, &next.nonce, sizeof next.nonce))
        return problem_set(problem, EXIT_TROUBLE, "no random bytes for a life's nonce");
    if (!replace_file(&f->files, "identity", text, identity_print(&next, f->governed, text), problem))
        return false;
    f->identity = next;
    return true;
}

static bool check_not_expelled(const struct files *f, struct problem *problem)
{
    char *path = disk_path(f->path, "expelled");
    const int64_t size = disk_size(f->disk, path);
    free(path);
    return size == -ENOENT ||
           problem_set(
               problem, EXIT_DATA,
               "%s is an older copy, or was used twice, as other nodes said (there is a file %s/expelled): what it lacks may "
               "have been promised, and it must not be used any more",
               f->path, f->path);
}

/* Others know a life of this node that the folder does not: it is a copy. If this is not written, they will say it again. */
static void expel(struct data_folder *f)
{
    struct problem problem;
    char text[TEXT_MAX];
    int len = snprintf(text, sizeof text, "synod-expelled %d\nincarnation %u\n", FORMAT_VERSION, f->identity.incarnation);
    replace_file(&f->files, "expelled", text, text_seal(text, (size_t)len), &problem);
}

/* Reads the identity of a folder that must belong to this node. The folder is guarded. */
static bool read_own_identity(const struct files *f, const char *cluster, uint32_t node, struct identity *id,
                              char governed[GOVERNED_TEXT_MAX], struct problem *problem)
{
    bool found;
    if (!read_identity(f, id, governed, &found, problem))
        return false;
    if (!found)
        return not_formatted(f->path, node, problem);
    return (strcmp(id->cluster, cluster) == 0 && id->node == node) ||
           problem_set(problem, EXIT_DATA, "%s belongs to node %u of cluster '%s', not to node %u of cluster '%s'", f->path,
                       id->node, id->cluster, node, cluster);
}

/* Refuses governed settings that differ from those in the folder. */
static bool check_governed(const struct files *f, const char *before, const char *now, uint32_t node,
                           struct problem *problem)
{
    struct governed_change c;
    if (now == NULL || governed_compare(before, now, &c, 1) == 0)
        return true;
    return problem_set(
        problem, EXIT_BAD_INPUT,
        "%s was formatted with %s %s, and the configuration has %s: that must not change. Give it the old value "
        "back; or stop all nodes, and accept it for each of them with synod init --regovern --config FILE "
        "--node %u (see --help for the danger)",
        f->path, c.key, c.before, c.now, node);
}

/* Checks whose folder it is, and counts the next boot. The folder is guarded. */
static bool boot(struct data_folder *f, const char *cluster, uint32_t node, const char *governed, struct problem *problem)
{
    return read_own_identity(&f->files, cluster, node, &f->identity, f->governed, problem) &&
           check_not_expelled(&f->files, problem) && check_governed(&f->files, f->governed, governed, node, problem) &&
           read_peers(f, problem) && count_boot(f, problem);
}

/* ---- Guards ---- */

/* Locks the folder, and makes sure that no node in a sandbox has it. -1: a problem. */
static int lock_and_clear(const struct files *f, bool *lease_left, struct problem *problem)
{
    int lock = lock_folder(f, problem);
    if (lock < 0 || lease_clear(f->disk, f->path, lease_left, problem))
        return lock;
    disk_unlock(f->disk, lock);
    return -1;
}

/* Refuses when the lock's text names a process. */
static bool check_unlocked(const struct files *f, struct problem *problem)
{
    char holder[32] = "";
    char *path = disk_path(f->path, "lock");
    int file = disk_open(f->disk, path, DISK_READ);
    int64_t n = file >= 0 ? disk_read(f->disk, file, 0, holder, sizeof holder - 1) : file;
    if (file >= 0)
        disk_close(f->disk, file);
    free(path);
    if (n < 0)
        return n == -ENOENT || file_problem(f, EXIT_DATA, "lock", "", n, problem);
    holder[strspn(holder, "0123456789")] = '\0';
    return n == 0 ||
           problem_set(problem, EXIT_DATA,
                       "%s is in use by process %s, or that process was killed: if it runs no more, start and stop "
                       "the node once with `synod start`, or remove %s/lock",
                       f->path, holder[0] != '\0' ? holder : "unknown", f->path);
}

static bool take_lease(struct data_folder *f, struct problem *problem)
{
    return check_unlocked(&f->files, problem) && lease_clear(f->files.disk, f->path, &f->lease_left, problem) &&
           lease_take(&f->lease, f->files.disk, f->path, problem) && check_unlocked(&f->files, problem);
}

static bool take_guard(struct data_folder *f, struct problem *problem)
{
    if (f->guard == DATA_FOLDER_LEASE)
        return take_lease(f, problem);
    if (f->guard == DATA_FOLDER_LOCK)
        f->lock = lock_and_clear(&f->files, &f->lease_left, problem);
    return f->guard != DATA_FOLDER_LOCK || f->lock >= 0;
}

bool data_folder_renew(struct data_folder *folder, struct problem *problem)
{
    return folder->guard != DATA_FOLDER_LEASE || lease_renew(&folder->lease, problem);
}

static const char *notice_of(bool lease_left)
{
    return lease_left ? "the folder was taken over from a node in a sandbox that did not end gracefully" : NULL;
}

const char *data_folder_notice(const struct data_folder *folder) { return notice_of(folder->lease_left); }

/* ---- Opening and closing ---- */

/* To be called before anything is guarded, so that nothing is left in a folder that is not ours. */
static bool check_formatted(const struct files *f, uint32_t node, struct problem *problem)
{
    int error = look_for_identity(f);
    if (error == -ENOENT)
        return not_formatted(f->path, node, problem);
    return error == 0 || problem_set(problem, EXIT_DATA, "%s: %s", f->path, strerror(-error));
}

/* If the folder is another node's, the node will refuse it, so that is not checked here. */
static bool check_governed_in(const struct files *f, uint32_t node, const char *governed, struct problem *problem)
{
    struct identity id;
    char before[GOVERNED_TEXT_MAX];
    bool found;
    if (!read_identity(f, &id, before, &found, problem))
        return false;
    return !found || id.node != node || check_governed(f, before, governed, node, problem);
}

int data_folder_lock(struct disk *disk, const char *path, uint32_t node, const char *governed, const char **notice,
                     struct problem *problem)
{
    const struct files files = {.disk = disk, .path = path};
    bool lease_left = false;
    int lock = check_formatted(&files, node, problem) ? lock_and_clear(&files, &lease_left, problem) : -1;
    *notice = notice_of(lease_left);
    if (lock < 0 || governed == NULL || check_governed_in(&files, node, governed, problem))
        return lock;
    disk_unlock(disk, lock);
    return -1;
}

static bool regovern_locked(const struct files *f, const char *cluster, uint32_t node, const char *governed,
                            struct governed_change *changes, size_t *count, struct problem *problem)
{
    struct identity id;
    char before[GOVERNED_TEXT_MAX], text[TEXT_MAX];
    if (!read_own_identity(f, cluster, node, &id, before, problem))
        return false;
    *count = governed_compare(before, governed, changes, GOVERNED_CHANGES_MAX);
    return *count == 0 || replace_file(f, "identity", text, identity_print(&id, governed, text), problem);
}

bool data_folder_look(struct disk *disk, const char *path, struct identity *identity, struct problem *problem)
{
    const struct files files = {.disk = disk, .path = path};
    char governed[GOVERNED_TEXT_MAX];
    bool found;
    if (!read_identity(&files, identity, governed, &found, problem))
        return false;
    return found || problem_set(problem, EXIT_DATA, "%s: no data folder of a node: it has no identity", path);
}

bool data_folder_regovern(struct disk *disk, const char *path, const char *cluster, uint32_t node, const char *governed,
                          struct governed_change *changes, size_t *count, struct problem *problem)
{
    const struct files files = {.disk = disk, .path = path};
    bool lease_left = false;
    *count = 0;
    int lock = check_formatted(&files, node, problem) ? lock_and_clear(&files, &lease_left, problem) : -1;
    if (lock < 0)
        return false;
    const bool ok = regovern_locked(&files, cluster, node, governed, changes, count, problem);
    disk_unlock(disk, lock);
    return ok;
}

bool data_folder_open_guarded(struct data_folder **out, struct disk *disk, const char *path, const char *cluster,
                              uint32_t node, enum data_folder_guard guard, const char *governed, struct problem *problem)
{
    const struct files files = {.disk = disk, .path = path};
    if (!check_formatted(&files, node, problem))
        return false;
    struct data_folder *f = memory_new(1, sizeof *f);
    f->path = strdup(path);
    invariant(f->path != NULL);
    f->files = (struct files){.disk = disk, .path = f->path};
    f->guard = guard;
    f->lock = -1;
    if (!take_guard(f, problem) || !boot(f, cluster, node, governed, problem)) {
        data_folder_close(f);
        return false;
    }
    *out = f;
    return true;
}

bool data_folder_open(struct data_folder **out, struct disk *disk, const char *path, const char *cluster, uint32_t node,
                      struct problem *problem)
{
    return data_folder_open_guarded(out, disk, path, cluster, node, DATA_FOLDER_LOCK, NULL, problem);
}

bool data_folder_reboot(struct data_folder *folder, struct problem *problem) { return count_boot(folder, problem); }

bool data_folder_newest_segment(void *opened, uint64_t first_lsn, struct problem *problem)
{
    struct data_folder *folder = opened;
    struct identity next = folder->identity;
    char text[TEXT_MAX];
    if (next.newest_segment == first_lsn)
        return true;
    next.newest_segment = first_lsn;
    if (!replace_file(&folder->files, "identity", text, identity_print(&next, folder->governed, text), problem))
        return false;
    folder->identity = next;
    return true;
}

void data_folder_close(struct data_folder *folder)
{
    if (folder == NULL)
        return;
    if (folder->lock >= 0)
        disk_unlock(folder->files.disk, folder->lock);
    if (folder->lease.path != NULL)
        lease_release(&folder->lease);
    free(folder->path);
    free(folder);
}

struct frame_origin identity_origin(const struct identity *identity)
{
    struct frame_origin origin = {
        .cluster = frame_cluster(identity->cluster, strlen(identity->cluster)),
        .sender = identity->node,
        .incarnation = identity->incarnation,
        .nonce = identity->nonce,
    };
    memcpy(origin.instance, identity->instance, sizeof origin.instance);
    return origin;
}

const struct identity *data_folder_identity(const struct data_folder *folder) { return &folder->identity; }

const char *data_folder_path(const struct data_folder *folder) { return folder->path; }

/* Judges a life that is not the one known. */
static enum peer_verdict judge_life(const struct peer *known, const struct frame_origin *peer)
{
    if (peer->incarnation == 0 || peer->incarnation < known->incarnation)
        return PEER_EARLIER_LIFE;
    if (peer->incarnation == known->incarnation)
        return peer->nonce == known->nonce ? PEER_ACCEPTED : PEER_ANOTHER_LIFE;
    const bool too_late = peer->incarnation - known->incarnation > PEER_BOOTS_MAX;
    return too_late ? PEER_TOO_LATE_LIFE : PEER_ACCEPTED;
}

enum peer_verdict data_folder_accept_peer(struct data_folder *folder, const struct frame_origin *peer)
{
    char text[TEXT_MAX];
    struct problem problem;
    if (peer->sender == folder->identity.node)
        expel(folder);
    if (peer->sender == 0 || peer->sender > NODE_ID_MAX || peer->sender == folder->identity.node)
        return PEER_UNKNOWN_WHY;
    struct peer *p = &folder->peers[peer->sender];
    const struct peer before = *p;
    if (before.incarnation != 0 && memcmp(before.instance, peer->instance, INSTANCE_BYTES) != 0)
        return PEER_OTHER_INSTANCE;
    const enum peer_verdict verdict = judge_life(&before, peer);
    if (verdict != PEER_ACCEPTED || before.incarnation == peer->incarnation)
        return verdict;
    memcpy(p->instance, peer->instance, INSTANCE_BYTES);
    p->incarnation = peer->incarnation;
    p->nonce = peer->nonce;
    if (replace_file(&folder->files, "peers", text, peers_print(folder->peers, text), &problem))
        return PEER_ACCEPTED;
    *p = before; /* not durable, so not remembered */
    return PEER_UNKNOWN_WHY;
}

uint32_t data_folder_known_life(const struct data_folder *folder, uint32_t peer)
{
    return peer <= NODE_ID_MAX ? folder->peers[peer].incarnation : 0;
}
