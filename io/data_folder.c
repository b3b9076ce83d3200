/* The data folder of a node.
 *
 *   lock       held exclusively while a process uses the folder; its text is that process' id, and empty after a good end
 *   lease      there while a node in a sandbox uses the folder, see io/lease.c
 *   identity   which node's folder this is, and how often it was opened; rewritten by each open
 *   peers      the instance id that each other node had when it was first heard of, and the newest of its lives
 *   configuration
 *              see io/kept_configurations.h
 *   expelled   there if other nodes said that this folder is an older copy, or is used twice: then it cannot be opened
 *   journal-*  see io/journal_store.h
 *
 * identity and peers are text, so that an operator can read them. They end with the XXH64 of all bytes before the line
 * `checksum`. A reader writes again what it understood, and compares: a file with one byte changed, added or missing is
 * corrupt.
 *
 *   synod-identity 6                              the 6 is the version of the format; 4 and 5 are read, too
 *   cluster demo
 *   node 3
 *   instance 0f1e2d3c4b5a69788796a5b4c3d2e1f0     random, made by `synod init`
 *   incarnation 1048583                           2^20 times the number, plus boots so far; here 7, and 0 after `synod init`
 *   number 1                                      of this disk: 0 is the node's first (and in folders of versions 4 and 5)
 *   admitted 813                                  slot of the configuration with which it joined; 0: it was there before
 *   segment 4711                                  first lsn of the journal's newest segment; 0: the journal has not begun
 *   alpha 64                                      and so on: the governed settings, as io/governed.c prints them
 *   checksum 8d1f5a0c33e29b74
 *
 *   synod-peers 5
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
#include "core/formats/configuration.h"
#include "io/kept_configurations.h"
#include "io/lease.h"
#include "io/roster.h"

enum {
    FORMAT_NUMBERS = 6, /* from here on, an identity has `number` and `admitted` */
    INSTANCE_BYTES = 16,
    INSTANCE_TEXT = 2 * INSTANCE_BYTES + 1,
    TEXT_MAX = 4096, /* 63 peers of 56 bytes, and a little */
};

/* A peer that was never heard is all zero: no incarnation is 0. */
struct peer {
    uint8_t instance[INSTANCE_BYTES];
    uint32_t incarnation, nonce;
};

struct data_folder {
    char *path;
    struct folder_files files; /* with `path` */
    enum data_folder_guard guard;
    int lock;           /* held by this guard; -1: not yet */
    struct lease lease; /* held by this guard; without a path: not yet */
    bool lease_left;    /* by an earlier holder */
    struct identity identity;
    char governed[GOVERNED_TEXT_MAX];
    struct peer peers[NODE_ID_MAX + 1];
    struct member_instance admitted[NODE_ID_MAX + 1]; /* data_folder_admit */
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

static size_t identity_print(int version, const struct identity *id, const char *governed, char *text)
{
    char instance[INSTANCE_TEXT], numbers[64] = "";
    instance_print(id->instance, instance);
    if (version >= FORMAT_NUMBERS)
        snprintf(numbers, sizeof numbers, "number %u\nadmitted %" PRIu64 "\n", incarnation_number(id->incarnation),
                 id->admitted);
    int len = snprintf(text, TEXT_MAX,
                       "synod-identity %d\ncluster %s\nnode %u\ninstance %s\nincarnation %u\n%ssegment %" PRIu64 "\n%s",
                       version, id->cluster, id->node, instance, id->incarnation, numbers, id->newest_segment, governed);
    return folder_seal(text, (size_t)len);
}

static size_t peers_print(int version, const struct peer *peers, char *text)
{
    size_t len = (size_t)snprintf(text, TEXT_MAX, "synod-peers %d\n", version);
    for (uint32_t n = 0; n <= NODE_ID_MAX; n++) {
        if (peers[n].incarnation == 0)
            continue;
        char instance[INSTANCE_TEXT];
        instance_print(peers[n].instance, instance);
        len += (size_t)snprintf(text + len, TEXT_MAX - len, "%u %s %u %08x\n", n, instance, peers[n].incarnation,
                                peers[n].nonce);
    }
    return folder_seal(text, len);
}

/* The lines between `at`, the end of the line before, and the checksum. */
static bool governed_read(const char *text, size_t len, size_t at, char governed[GOVERNED_TEXT_MAX])
{
    const size_t begin = at + 1;
    if (len < begin + FOLDER_SEAL_SIZE || len - FOLDER_SEAL_SIZE - begin >= GOVERNED_TEXT_MAX)
        return false;
    memcpy(governed, text + begin, len - FOLDER_SEAL_SIZE - begin);
    governed[len - FOLDER_SEAL_SIZE - begin] = '\0';
    return true;
}

static bool is_read(int version) { return version >= FOLDER_VERSION_MIN && version <= FOLDER_VERSION; }

static bool identity_read(const char *text, size_t len, struct identity *id, char governed[GOVERNED_TEXT_MAX])
{
    char instance[INSTANCE_TEXT], again[TEXT_MAX];
    int at = 0, version, numbers = 0, end = 0;
    *id = (struct identity){0};
    if (sscanf(text, "synod-identity %9d\ncluster %63s\nnode %u\ninstance %32s\nincarnation %u\n%n", &version, id->cluster,
               &id->node, instance, &id->incarnation, &at) != 5 ||
        at == 0 || !is_read(version))
        return false;
    if (version >= FORMAT_NUMBERS && sscanf(text + at, "number %*u\nadmitted %" SCNu64 "\n%n", &id->admitted, &numbers) != 1)
        return false;
    if (sscanf(text + at + numbers, "segment %" SCNu64 "%n", &id->newest_segment, &end) != 1)
        return false;
    return instance_read(instance, id->instance) && governed_read(text, len, (size_t)(at + numbers + end), governed) &&
           identity_print(version, id, governed, again) == len && memcmp(again, text, len) == 0;
}

static bool peers_read(const char *text, size_t len, struct peer *peers)
{
    char instance[INSTANCE_TEXT], again[TEXT_MAX];
    uint32_t node;
    int version;
    if (sscanf(text, "synod-peers %9d", &version) != 1 || !is_read(version))
        return false;
    for (const char *line = strchr(text, '\n'); line != NULL; line = strchr(line, '\n')) {
        line++;
        struct peer peer;
        if (sscanf(line, "%2u %32s %10u %8x", &node, instance, &peer.incarnation, &peer.nonce) != 4)
            break;
        if (node > NODE_ID_MAX || !instance_read(instance, peer.instance))
            return false;
        peers[node] = peer;
    }
    return peers_print(version, peers, again) == len && memcmp(again, text, len) == 0;
}

static bool read_identity(const struct folder_files *f, struct identity *id, char governed[GOVERNED_TEXT_MAX], bool *found,
                          struct problem *problem)
{
    char text[TEXT_MAX];
    size_t len;
    if (!folder_read(f, "identity", text, sizeof text, &len, found, problem))
        return false;
    if (*found && !identity_read(text, len, id, governed))
        return problem_set(problem, EXIT_DATA, "%s/identity: corrupt", f->path);
    return true;
}

/* ---- Whose folder it is ---- */

/* Whether the folder has an identity: 0, or -ENOENT, or what keeps the folder from being used. */
static int look_for_identity(const struct folder_files *f)
{
    char *path = disk_path(f->path, "identity");
    int64_t size = disk_size(f->disk, path);
    free(path);
    return size < 0 ? (int)size : 0;
}

/* Locks the folder until the lock is given back. -1: a problem. */
static int lock_folder(const struct folder_files *f, struct problem *problem)
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
        folder_problem(f, EXIT_DATA, "lock", "", lock, problem);
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
    static const char *const ours[] = {"lock", "identity.tmp", "configuration", "configuration.tmp"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strcmp(name, ours[i]) == 0)
            return;
    if (s->found)
        return;
    s->found = true;
    snprintf(s->name, sizeof s->name, "%s", name);
}

/* Refuses a folder that contains anything except the remains of a formatting that was cut short. */
static bool check_empty(const struct folder_files *f, struct problem *problem)
{
    struct stranger stranger = {0};
    int error = disk_list(f->disk, f->path, look_for_stranger, &stranger);
    if (error != 0)
        return problem_set(problem, EXIT_DATA, "%s: %s", f->path, strerror(-error));
    return !stranger.found ||
           problem_set(problem, EXIT_DATA, "%s is not empty (it holds '%s') and has no identity", f->path, stranger.name);
}

/* Writes the identity last: then the folder is formatted. */
static bool write_new(const struct folder_files *f, const struct identity *id, const struct packet *configuration,
                      const char *governed, struct problem *problem)
{
    char text[TEXT_MAX];
    const struct kept_configurations c = {.newest = *configuration};
    if (configuration->id != 0 && !kept_configurations_write(f, &c, problem))
        return false;
    return folder_replace(f, "identity", text, identity_print(FOLDER_VERSION, id, governed != NULL ? governed : "", text),
                          problem);
}

/* Whether the folder, which is locked, has not been formatted, and holds nothing. */
static bool check_new(const struct folder_files *f, struct problem *problem)
{
    struct identity id;
    bool found;
    char before[GOVERNED_TEXT_MAX];
    if (!read_identity(f, &id, before, &found, problem))
        return false;
    if (found)
        return problem_set(problem, EXIT_DATA, "%s is already formatted, for node %u of cluster '%s'", f->path, id.node,
                           id.cluster);
    return check_empty(f, problem);
}

/* Formats a folder that is new, and locked. */
static bool format_locked(const struct folder_files *f, const char *cluster, uint32_t node,
                          const struct data_folder_admission *admission, const char *governed, struct problem *problem)
{
    struct identity id = {.node = node, .incarnation = incarnation_first(admission->number), .admitted = admission->slot};
    snprintf(id.cluster, sizeof id.cluster, "%s", cluster);
    if (admission->instance != NULL)
        memcpy(id.instance, admission->instance, sizeof id.instance);
    else if (!disk_random(f->disk, id.instance, sizeof id.instance))
        return problem_set(problem, EXIT_TROUBLE, "no random bytes for an instance id");
    return write_new(f, &id, &admission->configuration, governed, problem);
}

int data_folder_lock_new(struct disk *disk, const char *path, struct problem *problem)
{
    const struct folder_files files = {.disk = disk, .path = path};
    if (!make_folder(disk, path, problem))
        return -1;
    const int error = look_for_identity(&files);
    if (error != 0 && error != -ENOENT) {
        problem_set(problem, EXIT_DATA, "%s: %s", path, strerror(-error));
        return -1;
    }
    const int lock = lock_folder(&files, problem);
    if (lock < 0 || check_new(&files, problem))
        return lock;
    disk_unlock(disk, lock);
    return -1;
}

bool data_folder_join(struct disk *disk, const char *path, const char *cluster, uint32_t node,
                      const struct data_folder_admission *admission, const char *governed, struct problem *problem)
{
    const struct folder_files files = {.disk = disk, .path = path};
    invariant(admission->configuration.len <= CONFIGURATION_TEXT_MAX && admission->number <= INSTANCE_NUMBER_MAX);
    invariant(admission->slot != 0 && admission->configuration.id >= admission->slot);
    return format_locked(&files, cluster, node, admission, governed, problem);
}

bool data_folder_format(struct disk *disk, const char *path, const char *cluster, uint32_t node, const uint8_t *instance,
                        const char *governed, struct problem *problem)
{
    const struct folder_files files = {.disk = disk, .path = path};
    const struct data_folder_admission first = {.instance = instance};
    const int lock = data_folder_lock_new(disk, path, problem);
    if (lock < 0)
        return false;
    const bool ok = format_locked(&files, cluster, node, &first, governed, problem);
    disk_unlock(disk, lock);
    return ok;
}

/* ---- Boots ---- */

static bool read_peers(const struct folder_files *files, struct peer *peers, struct problem *problem)
{
    char text[TEXT_MAX];
    size_t len;
    bool found;
    if (!folder_read(files, "peers", text, sizeof text, &len, &found, problem))
        return false;
    if (found && !peers_read(text, len, peers))
        return problem_set(problem, EXIT_DATA, "%s/peers: corrupt", files->path);
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
    if ((next.incarnation & INCARNATION_BOOTS_MAX) == INCARNATION_BOOTS_MAX)
        return problem_set(problem, EXIT_DATA, "%s/identity: no incarnations left", f->path);
    next.incarnation++;
    if (!disk_random(f->files.disk, &next.nonce, sizeof next.nonce))
        return problem_set(problem, EXIT_TROUBLE, "no random bytes for a life's nonce");
    if (!folder_replace(&f->files, "identity", text, identity_print(FOLDER_VERSION, &next, f->governed, text), problem))
        return false;
    f->identity = next;
    return true;
}

static bool check_not_expelled(const struct folder_files *f, struct problem *problem)
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
    int len = snprintf(text, sizeof text, "synod-expelled %d\nincarnation %u\n", FOLDER_VERSION, f->identity.incarnation);
    folder_replace(&f->files, "expelled", text, folder_seal(text, (size_t)len), &problem);
}

/* Reads the identity of a folder that must belong to this node. The folder is guarded. */
static bool read_own_identity(const struct folder_files *f, const char *cluster, uint32_t node, struct identity *id,
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

/* Whether changes of this setting are in the log, once the cluster has formed. */
static bool is_in_log(const char *key) { return strncmp(key, "node-", 5) == 0 || configuration_may_set(key); }

/* Refuses governed settings that differ from those in the folder, but for those that the log changes. */
static bool check_governed(const struct folder_files *f, const struct identity *id, const char *before, const char *now,
                           struct problem *problem)
{
    struct governed_change changes[GOVERNED_CHANGES_MAX], c;
    bool formed = false;
    const size_t count = now != NULL ? governed_compare(before, now, changes, GOVERNED_CHANGES_MAX) : 0;
    if (count == 0)
        return true;
    if (!kept_configurations_have_formed(f, id->admitted, &formed, problem))
        return false;
    size_t wrong = 0;
    while (formed && wrong < count && is_in_log(changes[wrong].key))
        wrong++;
    if (wrong == count)
        return true;
    c = changes[wrong];
    if (formed)
        return problem_set(
            problem, EXIT_BAD_INPUT,
            "%s was formatted with %s %s, and the configuration has %s: that must not change once the cluster "
            "has formed. Give it the old value back",
            f->path, c.key, c.before, c.now);
    return problem_set(
        problem, EXIT_BAD_INPUT,
        "%s was formatted with %s %s, and the configuration has %s: that must not change. Give it the old value back; "
        "also if the cluster has formed while this node was down (synod member list says so), because its log has what was "
        "changed since. Only if it has not: stop all nodes, and accept it for each of them with synod init --regovern "
        "--config FILE --node %u (see --help for the danger)",
        f->path, c.key, c.before, c.now, id->node);
}

/* A file of configurations that is damaged, or missing, is found before the boot counts. */
static bool check_configurations(const struct folder_files *f, const struct identity *id, struct problem *problem)
{
    bool formed;
    return kept_configurations_have_formed(f, id->admitted, &formed, problem);
}

/* Checks whose folder it is, and counts the next boot. The folder is guarded. */
static bool boot(struct data_folder *f, const char *cluster, uint32_t node, const char *governed, struct problem *problem)
{
    return read_own_identity(&f->files, cluster, node, &f->identity, f->governed, problem) &&
           check_not_expelled(&f->files, problem) &&
           check_governed(&f->files, &f->identity, f->governed, governed, problem) &&
           read_peers(&f->files, f->peers, problem) && check_configurations(&f->files, &f->identity, problem) &&
           count_boot(f, problem);
}

/* ---- Guards ---- */

/* Locks the folder, and makes sure that no node in a sandbox has it. -1: a problem. */
static int lock_and_clear(const struct folder_files *f, bool *lease_left, struct problem *problem)
{
    int lock = lock_folder(f, problem);
    if (lock < 0 || lease_clear(f->disk, f->path, lease_left, problem))
        return lock;
    disk_unlock(f->disk, lock);
    return -1;
}

/* Refuses when the lock's text names a process. */
static bool check_unlocked(const struct folder_files *f, struct problem *problem)
{
    char holder[32] = "";
    char *path = disk_path(f->path, "lock");
    int file = disk_open(f->disk, path, DISK_READ);
    int64_t n = file >= 0 ? disk_read(f->disk, file, 0, holder, sizeof holder - 1) : file;
    if (file >= 0)
        disk_close(f->disk, file);
    free(path);
    if (n < 0)
        return n == -ENOENT || folder_problem(f, EXIT_DATA, "lock", "", n, problem);
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
static bool check_formatted(const struct folder_files *f, uint32_t node, struct problem *problem)
{
    int error = look_for_identity(f);
    if (error == -ENOENT)
        return not_formatted(f->path, node, problem);
    return error == 0 || problem_set(problem, EXIT_DATA, "%s: %s", f->path, strerror(-error));
}

/* If the folder is another node's, the node will refuse it, so that is not checked here. */
static bool check_governed_in(const struct folder_files *f, uint32_t node, const char *governed, struct problem *problem)
{
    struct identity id;
    char before[GOVERNED_TEXT_MAX];
    bool found;
    if (!read_identity(f, &id, before, &found, problem))
        return false;
    return !found || id.node != node || check_governed(f, &id, before, governed, problem);
}

int data_folder_lock(struct disk *disk, const char *path, uint32_t node, const char *governed, const char **notice,
                     struct problem *problem)
{
    const struct folder_files files = {.disk = disk, .path = path};
    bool lease_left = false;
    int lock = check_formatted(&files, node, problem) ? lock_and_clear(&files, &lease_left, problem) : -1;
    *notice = notice_of(lease_left);
    if (lock < 0 || governed == NULL || check_governed_in(&files, node, governed, problem))
        return lock;
    disk_unlock(disk, lock);
    return -1;
}

static bool regovern_locked(const struct folder_files *f, const char *cluster, uint32_t node, const char *governed,
                            struct governed_change *changes, size_t *count, struct problem *problem)
{
    struct identity id;
    bool formed;
    char before[GOVERNED_TEXT_MAX], text[TEXT_MAX];
    if (!read_own_identity(f, cluster, node, &id, before, problem) ||
        !kept_configurations_have_formed(f, id.admitted, &formed, problem))
        return false;
    if (formed)
        return problem_set(
            problem, EXIT_BAD_INPUT,
            "%s: the cluster has formed, so its governed settings are in the log: synod settings set, and synod "
            "member, change them while it runs",
            f->path);
    *count = governed_compare(before, governed, changes, GOVERNED_CHANGES_MAX);
    return *count == 0 || folder_replace(f, "identity", text, identity_print(FOLDER_VERSION, &id, governed, text), problem);
}

bool data_folder_look(struct disk *disk, const char *path, struct identity *identity, struct problem *problem)
{
    char governed[GOVERNED_TEXT_MAX];
    return data_folder_look_governed(disk, path, identity, governed, problem);
}

bool data_folder_look_governed(struct disk *disk, const char *path, struct identity *identity,
                               char governed[GOVERNED_TEXT_MAX], struct problem *problem)
{
    const struct folder_files files = {.disk = disk, .path = path};
    bool found;
    if (!read_identity(&files, identity, governed, &found, problem))
        return false;
    return found || problem_set(problem, EXIT_DATA, "%s: no data folder of a node: it has no identity", path);
}

bool data_folder_look_lives(struct disk *disk, const char *path, uint32_t lives[NODE_ID_MAX + 1], struct problem *problem)
{
    const struct folder_files files = {.disk = disk, .path = path};
    struct peer peers[NODE_ID_MAX + 1] = {0};
    if (!read_peers(&files, peers, problem))
        return false;
    for (size_t node = 0; node <= NODE_ID_MAX; node++)
        lives[node] = peers[node].incarnation;
    return true;
}

bool data_folder_regovern(struct disk *disk, const char *path, const char *cluster, uint32_t node, const char *governed,
                          struct governed_change *changes, size_t *count, struct problem *problem)
{
    const struct folder_files files = {.disk = disk, .path = path};
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
    const struct folder_files files = {.disk = disk, .path = path};
    if (!check_formatted(&files, node, problem))
        return false;
    struct data_folder *f = memory_new(1, sizeof *f);
    f->path = strdup(path);
    invariant(f->path != NULL);
    f->files = (struct folder_files){.disk = disk, .path = f->path};
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
    if (!folder_replace(&folder->files, "identity", text, identity_print(FOLDER_VERSION, &next, folder->governed, text),
                        problem))
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

static bool is_same_instance(const struct peer *known, const struct frame_origin *peer)
{
    return memcmp(known->instance, peer->instance, INSTANCE_BYTES) == 0;
}

/* Whether the cluster has admitted this instance, which is not the one known, in its place. */
static bool is_admitted(const struct member_instance *admitted, const struct peer *known, const struct frame_origin *peer)
{
    const uint32_t now = incarnation_number(peer->incarnation);
    return now > incarnation_number(known->incarnation) && now == admitted->number &&
           memcmp(peer->instance, admitted->id, INSTANCE_BYTES) == 0;
}

/* Judges a life of a peer of which one is known. */
static enum peer_verdict judge_life(const struct member_instance *admitted, const struct peer *known,
                                    const struct frame_origin *peer)
{
    if (!is_same_instance(known, peer))
        return is_admitted(admitted, known, peer) ? PEER_ACCEPTED : PEER_OTHER_INSTANCE;
    if (incarnation_number(peer->incarnation) > incarnation_number(known->incarnation))
        return PEER_TOO_LATE_LIFE;
    if (peer->incarnation < known->incarnation)
        return PEER_EARLIER_LIFE;
    if (peer->incarnation == known->incarnation)
        return peer->nonce == known->nonce ? PEER_ACCEPTED : PEER_ANOTHER_LIFE;
    return PEER_ACCEPTED;
}

void data_folder_admit(struct data_folder *folder, const struct roster *roster)
{
    memcpy(folder->admitted, roster->instances, sizeof folder->admitted);
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
    if ((peer->incarnation & INCARNATION_BOOTS_MAX) == 0)
        return PEER_EARLIER_LIFE; /* it was not started yet */
    const enum peer_verdict verdict =
        before.incarnation != 0 ? judge_life(&folder->admitted[peer->sender], &before, peer) : PEER_ACCEPTED;
    if (verdict != PEER_ACCEPTED || before.incarnation == peer->incarnation)
        return verdict;
    memcpy(p->instance, peer->instance, INSTANCE_BYTES);
    p->incarnation = peer->incarnation;
    p->nonce = peer->nonce;
    if (folder_replace(&folder->files, "peers", text, peers_print(FOLDER_VERSION, folder->peers, text), &problem))
        return PEER_ACCEPTED;
    *p = before; /* not durable, so not remembered */
    return PEER_UNKNOWN_WHY;
}

bool data_folder_known_instance(const struct data_folder *folder, uint32_t peer, uint8_t instance[16])
{
    if (data_folder_known_life(folder, peer) == 0)
        return false;
    memcpy(instance, folder->peers[peer].instance, INSTANCE_BYTES);
    return true;
}

uint32_t data_folder_known_life(const struct data_folder *folder, uint32_t peer)
{
    return peer <= NODE_ID_MAX ? folder->peers[peer].incarnation : 0;
}
