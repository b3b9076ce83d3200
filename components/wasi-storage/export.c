/* `interface storage` and `interface identity` over files that the node opens itself (WASI): io/data_folder.h and
 * io/journal_store.h. The bytes are those that the host writes (host/journal.c), so a node that was stopped under one starts
 * under the other. What differs is when:
 *
 *  1. There is one thread: `append` returns when its records are written and synced (as `durability` says), in groups of
 *     about 4 MiB. So durable is what was appended. Where there is no room, they are kept, and written by a later call.
 *  2. Nothing happens between calls. The mark that an idle journal ends with (J5) is written by the
 *     first call after a second without records, and the lease on the folder (io/lease.h) is renewed by calls: `durable`, of which
 *     each turn has one, and every read and write of the journal, for opening a long one takes long.
 *  3. The next segment is made bit by bit: from the middle of a segment on, each append fills as much of the next one with zeros
 *     as keeps it ahead. Made at once, it would hold up a leader for longer than the others wait for it.
 *  4. A failure is final: it is logged, host-control.fail tells what the process should end with, and the part traps. But that
 *     the folder cannot be used at all is what identity.open returns; its caller says so.
 *
 * `durability: memory` writes nothing but the folder's own files, and keeps the latest records for reading back. */
#include <stdio.h>

#include "components/packet.h"
#include "components/wasi/disk_wasi.h"
#include "core/base/memory.h"
#include "io/config_packet.h"
#include "io/data_folder.h"
#include "io/journal_store.h"
#include "io/logger.h"

SAME_LIST(struct packet_list, exports_synod_paxos_storage_list_packet_t);
SAME_LIST(struct packet_list, exports_synod_paxos_identity_list_packet_t);
SAME_LIST(struct packet_list, synod_paxos_settings_list_packet_t);

enum {
    GROUP_BYTES = 4 << 20,        /* a group that has grown beyond this is written, the next one begins */
    MEMORY_GROUP_BYTES = 1 << 20, /* the same of `durability: memory`, which forgets whole groups */
    IDLE_US = 1000000,            /* without records: a mark follows */
    ROOM_RETRY_MIN_US = 20000,    /* until what there was no room for is tried again: first, */
    ROOM_RETRY_MAX_US = 1000000,  /* and after doubling at most */
    STEP_BYTES = 256 << 10,       /* of the next segment, synced one by one: no sync is long */
};

/* The next segment while it is made. */
struct spare {
    bool begun;
    int file;
    uint64_t bytes, filled;
};

/* A group that is in memory: it waits to be written, or this is `durability: memory`. */
struct kept {
    struct kept *next;
    struct journal_group group;
    bool closed; /* some of it may be written: what is written again has to be the same */
};

static struct {
    bool tried;             /* to open the folder */
    bool open;              /* it worked */
    struct problem problem; /* or why not */
    struct node_settings settings;
    struct logger *logger;
    struct data_folder *folder;
    struct journal_store *store;
    struct spare spare;
    uint64_t last; /* lsn */
    uint64_t appended_at;
    struct kept *first, *newest;  /* oldest first; there is one when the folder is open */
    uint64_t kept_bytes;          /* of those that are complete, with `durability: memory` */
    struct journal_result result; /* read from them */
    uint64_t no_room_since;       /* 0: there is room */
    uint64_t retry_at, retry_after;
} storage;

/* ---- Failure ---- */

static void fail(const struct problem *problem)
{
    logger_log(storage.logger, LOG_ERROR, "storage", "%s", problem->text);
    synod_paxos_host_control_fail((uint64_t)problem->exit_code);
    __builtin_trap();
}

static void renew(void)
{
    struct problem problem;
    if (!data_folder_renew(storage.folder, &problem))
        fail(&problem);
}

/* ---- The journal's disk: that of the data folder, with the lease renewed before each access ---- */

static int64_t renewed_read(struct disk *d, int file, uint64_t offset, void *to, size_t len)
{
    (void)d;
    renew();
    return disk_read(disk_wasi(), file, offset, to, len);
}

static int renewed_write(struct disk *d, int file, uint64_t offset, const void *from, size_t len)
{
    (void)d;
    renew();
    return disk_write(disk_wasi(), file, offset, from, len);
}

static int renewed_zero(struct disk *d, int file, uint64_t offset, uint64_t len)
{
    (void)d;
    renew();
    return disk_zero(disk_wasi(), file, offset, len);
}

static struct disk *journal_disk(void)
{
    static struct disk_operations operations;
    static struct disk disk = {.operations = &operations};
    operations = *disk_wasi()->operations;
    operations.read = renewed_read;
    operations.write = renewed_write;
    operations.zero = renewed_zero;
    return &disk;
}

/* ---- The next segment ---- */

static bool syncs(void) { return storage.settings.config.node_config.durability == DURABILITY_FSYNC; }

/* What goes wrong here is no failure yet: it is made again when it is needed. */
static void spare_drop(void)
{
    if (storage.spare.begun)
        disk_close(journal_disk(), storage.spare.file);
    journal_spare_remove(journal_disk(), data_folder_path(storage.folder));
    storage.spare = (struct spare){0};
}

static void spare_want(void *context, uint64_t bytes)
{
    (void)context;
    if (storage.spare.begun)
        return;
    char *path = disk_path(data_folder_path(storage.folder), "journal-spare.tmp");
    int file = disk_open(journal_disk(), path, DISK_MAKE);
    free(path);
    if (file >= 0)
        storage.spare = (struct spare){.begun = true, .file = file, .bytes = bytes};
}

static void spare_fill(uint64_t bytes)
{
    struct spare *s = &storage.spare;
    for (uint64_t done = 0; s->begun && s->filled < s->bytes && done < bytes; done += STEP_BYTES) {
        uint64_t step = s->bytes - s->filled < STEP_BYTES ? s->bytes - s->filled : STEP_BYTES;
        int error = disk_zero(journal_disk(), s->file, s->filled, step);
        if (error == 0 && syncs())
            error = disk_sync_data(journal_disk(), s->file);
        s->filled += step;
        if (error != 0)
            spare_drop();
    }
}

static bool spare_take(void *context, uint64_t *bytes, int *file, struct problem *problem)
{
    (void)context;
    spare_fill(UINT64_MAX);
    if (storage.spare.begun &&
        (storage.spare.bytes < *bytes || (syncs() && disk_sync(journal_disk(), storage.spare.file) != 0)))
        spare_drop();
    if (storage.spare.begun) {
        *bytes = storage.spare.bytes;
        *file = storage.spare.file;
        storage.spare = (struct spare){0};
        return true;
    }
    *file = journal_spare_make(journal_disk(), data_folder_path(storage.folder), *bytes, syncs(), NULL, NULL, problem);
    return *file >= 0;
}

/* ---- Groups in memory ---- */

/* Another group, for the next record. */
static void keep_group(void)
{
    struct kept *k = memory_new(1, sizeof *k);
    journal_group_begin(&k->group, storage.last + 1);
    if (storage.newest != NULL)
        storage.newest->next = k;
    else
        storage.first = k;
    storage.newest = k;
}

/* The oldest of several. */
static void drop_oldest(void)
{
    struct kept *oldest = storage.first;
    storage.first = oldest->next;
    journal_group_free(&oldest->group);
    free(oldest);
}

/* ---- Opening ---- */

static bool get_settings(struct problem *problem)
{
    static struct arena results;
    struct packet_list list;
    shim_results_begin(&results);
    synod_paxos_settings_get((synod_paxos_settings_list_packet_t *)&list);
    shim_results_end();
    bool ok = list.len == 1 && config_packet_decode(&list.ptr[0], &storage.settings);
    arena_close(&results);
    return ok || problem_set(problem, EXIT_BAD_INPUT, "storage: the settings are damaged, or of another version");
}

static void on_notice(void *context, const char *text)
{
    (void)context;
    logger_log(storage.logger, LOG_WARNING, "journal", "%s", text);
}

static bool open_folder(struct problem *problem)
{
    const struct node_settings *s = &storage.settings;
    enum data_folder_guard guard = s->exclusive ? DATA_FOLDER_UNGUARDED : DATA_FOLDER_LEASE;
    char governed[GOVERNED_TEXT_MAX];
    governed_print(&s->config, governed);
    if (!data_folder_open_guarded(&storage.folder, disk_wasi(), s->folder, s->config.cluster, s->node, guard, governed,
                                  problem))
        return false;
    if (data_folder_notice(storage.folder) != NULL)
        logger_log(storage.logger, LOG_WARNING, "storage", "%s: %s", s->folder, data_folder_notice(storage.folder));
    return true;
}

static bool open_journal(struct problem *problem)
{
    static struct journal_spares spares = {.take = spare_take, .want = spare_want};
    const struct journal_store_options options = {
        .disk = journal_disk(),
        .folder = data_folder_path(storage.folder),
        .identity = *data_folder_identity(storage.folder),
        .memory = {data_folder_newest_segment, storage.folder},
        .durability = storage.settings.config.node_config.durability,
        .segment_bytes = storage.settings.config.segment_bytes,
        .spares = &spares,
        .on_notice = on_notice,
    };
    return journal_store_open(&storage.store, &options, problem);
}

static void warn(void)
{
    static const char *const texts[] = {
        [DURABILITY_OS] =
            "durability: os -- nothing is synced; a machine that goes down may lose votes and BREAK the cluster's promises; "
            "this node comes back only after it has ended in good order",
        [DURABILITY_MEMORY] =
            "durability: memory -- nothing is written; a node that restarts has lost its votes and must not come back",
    };
    uint8_t durability = storage.settings.config.node_config.durability;
    if (durability != DURABILITY_FSYNC)
        logger_log(storage.logger, LOG_WARNING, "storage", "%s", texts[durability]);
    if (!disk_wasi_syncs_folders())
        logger_log(
            storage.logger, LOG_WARNING, "storage",
            "%s: the host does not sync this folder; the names of new files may be lost when the machine goes down, and "
            "with a new segment of the journal the votes in it, which would BREAK the cluster's promises. A folder "
            "below the one that the host was given may do better",
            storage.settings.folder);
}

/* The first call opens, all others find what that came to. */
static bool open_once(void)
{
    if (storage.tried)
        return storage.open;
    storage.tried = true;
    storage.open = get_settings(&storage.problem);
    storage.logger = logger_new(storage.settings.node, storage.settings.config.log_level);
    storage.open = storage.open && open_folder(&storage.problem) && open_journal(&storage.problem);
    if (storage.open) {
        warn();
        storage.last = journal_store_last(storage.store);
        keep_group();
    } else {
        data_folder_close(storage.folder);
        storage.folder = NULL;
    }
    return storage.open;
}

/* For all but identity.open, which nobody should call before. */
static void need_open(void)
{
    if (!open_once())
        fail(&storage.problem);
    invariant(storage.folder != NULL); /* not closed */
}

static bool in_memory(void) { return storage.settings.config.node_config.durability == DURABILITY_MEMORY; }

/* ---- Records in memory ---- */

static uint64_t memory_bytes_max(void)
{
    uint64_t half = storage.settings.config.memory_bytes_max / 2;
    return half < 1 << 30 ? half : 1 << 30;
}

static void keep_record(const struct packet *record)
{
    const uint64_t full = in_memory() ? MEMORY_GROUP_BYTES : GROUP_BYTES;
    struct problem problem;
    if (storage.newest->closed || storage.newest->group.len >= full) {
        storage.kept_bytes += storage.newest->group.len;
        keep_group();
    }
    while (in_memory() && storage.kept_bytes > memory_bytes_max() && storage.first != storage.newest) {
        storage.kept_bytes -= storage.first->group.len;
        drop_oldest();
    }
    if (!journal_group_add(&storage.newest->group, record)) {
        problem_set(&problem, EXIT_TROUBLE, "record after lsn %llu: too long, or shorter than it says",
                    (unsigned long long)storage.last);
        fail(&problem);
    }
    storage.last++;
}

static struct packet_list read_kept(uint64_t from, uint64_t bytes_max)
{
    struct journal_result *r = &storage.result;
    struct problem problem;
    journal_result_clear(r);
    if (from == 0 || from > storage.last)
        return journal_result_packets(r);
    if (from < storage.first->group.first_lsn) {
        problem_set(&problem, EXIT_DATA, "lsn %llu is no longer kept: durability memory keeps %llu bytes",
                    (unsigned long long)from, (unsigned long long)memory_bytes_max());
        fail(&problem);
    }
    for (const struct kept *k = storage.first; k != NULL && (r->count == 0 || r->bytes < bytes_max); k = k->next)
        if (from >= k->group.first_lsn && from < k->group.first_lsn + k->group.count)
            journal_result_take(r, &k->group, &from, bytes_max);
    return journal_result_packets(r);
}

/* ---- On disk ---- */

static void no_room(const struct problem *problem)
{
    uint64_t now = disk_now(disk_wasi());
    if (storage.no_room_since == 0) {
        storage.no_room_since = now;
        storage.retry_after = ROOM_RETRY_MIN_US;
        logger_log(storage.logger, LOG_WARNING, "journal",
                   "%s; no record becomes durable until there is room, which is looked for again and again", problem->text);
    }
    storage.retry_at = now + storage.retry_after;
    storage.retry_after = storage.retry_after * 2 < ROOM_RETRY_MAX_US ? storage.retry_after * 2 : ROOM_RETRY_MAX_US;
}

static void room_again(void)
{
    if (storage.no_room_since != 0)
        logger_log(storage.logger, LOG_WARNING, "journal", "there is room again, after %llu ms",
                   (unsigned long long)(disk_now(disk_wasi()) - storage.no_room_since) / 1000);
    storage.no_room_since = 0;
}

/* Writes the oldest group, a mark when there is nothing in it. False: there is no room. */
static bool write_group(void)
{
    struct journal_group *g = &storage.first->group;
    struct problem problem;
    if (!journal_store_group(storage.store, g, &problem)) {
        if (!problem.no_room)
            fail(&problem);
        storage.first->closed = true;
        no_room(&problem);
        return false;
    }
    room_again();
    spare_fill(2 * journal_pages(g->len) + STEP_BYTES); /* half a segment is left, a whole one is to be made */
    storage.first->closed = false;
    if (storage.first != storage.newest)
        drop_oldest();
    else
        journal_group_begin(g, storage.last + 1);
    return true;
}

static bool all_written(void) { return storage.first == storage.newest && storage.first->group.count == 0; }

/* Writes what waits for that. */
static void write_groups(void)
{
    bool due = storage.no_room_since == 0 || disk_now(disk_wasi()) >= storage.retry_at;
    while (!in_memory() && due && (storage.first->closed || !all_written()))
        due = write_group();
}

static void write_mark(void)
{
    if (!in_memory() && all_written() && !storage.first->closed && !journal_store_ends_in_mark(storage.store))
        write_group();
}

static void append(const struct packet *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        keep_record(&records[i]);
        if (storage.newest->group.len >= GROUP_BYTES)
            write_groups();
    }
    write_groups();
    storage.appended_at = disk_now(disk_wasi());
}

/* ---- interface storage ---- */

void exports_synod_paxos_storage_recover(exports_synod_paxos_storage_list_packet_t *ret)
{
    struct problem problem;
    need_open();
    if (!journal_store_recover(storage.store, (struct packet_list *)ret, &problem))
        fail(&problem);
}
SHIM_POST(storage_recover, "storage@0.1.0#recover");

void exports_synod_paxos_storage_append(exports_synod_paxos_storage_list_packet_t *records)
{
    need_open();
    append((const struct packet *)records->ptr, records->len);
    shim_call_done();
}

uint64_t exports_synod_paxos_storage_durable(void)
{
    need_open();
    renew();
    write_groups();
    if (disk_now(disk_wasi()) - storage.appended_at >= IDLE_US)
        write_mark();
    return in_memory() ? storage.last : journal_store_last(storage.store);
}

uint64_t exports_synod_paxos_storage_room(void) { return storage.no_room_since == 0; }

void exports_synod_paxos_storage_read(uint64_t from, uint64_t bytes_max, exports_synod_paxos_storage_list_packet_t *ret)
{
    struct packet_list *list = (struct packet_list *)ret;
    struct problem problem;
    need_open();
    if (in_memory() || from > journal_store_last(storage.store))
        *list = read_kept(from, bytes_max);
    else if (!journal_store_read(storage.store, from, bytes_max, list, &problem))
        fail(&problem);
}
SHIM_POST(storage_read, "storage@0.1.0#read");

/* ---- interface identity ---- */

/* The name of the cluster, the instance id, and the nonce of the life. */
enum { IDENTITY_WORDS = 4, REASON_WORDS = sizeof((struct problem *)0)->text / sizeof(uint64_t) };

void exports_synod_paxos_identity_open(exports_synod_paxos_identity_list_packet_t *ret)
{
    static uint64_t words[REASON_WORDS];
    static struct packet packet;
    if (open_once()) {
        invariant(storage.folder != NULL);
        const struct frame_origin origin = identity_origin(data_folder_identity(storage.folder));
        words[0] = origin.cluster;
        memcpy(words + 1, origin.instance, sizeof origin.instance);
        words[3] = origin.nonce;
        packet = (struct packet){.id = origin.sender, .kind = origin.incarnation, .len = IDENTITY_WORDS * sizeof words[0]};
    } else {
        snprintf((char *)words, sizeof words, "%s", storage.problem.text);
        packet = (struct packet){.kind = (uint32_t)storage.problem.exit_code, .len = (uint32_t)strlen((char *)words)};
    }
    packet.words = (struct words){words, words_for(packet.len)};
    *(struct packet_list *)ret = (struct packet_list){&packet, 1};
}
SHIM_POST(identity_open, "identity@0.1.0#open");

uint64_t exports_synod_paxos_identity_accept_peer(exports_synod_paxos_identity_list_packet_t *peer)
{
    const struct packet *p = (const struct packet *)peer->ptr;
    enum peer_verdict verdict = PEER_UNKNOWN_WHY;
    struct frame_origin origin;
    need_open();
    renew();
    if (peer->len == 1 && p->len == 24 && p->words.len == 3 && p->id <= NODE_ID_MAX) {
        origin =
            (struct frame_origin){.sender = (uint32_t)p->id, .incarnation = p->kind, .nonce = (uint32_t)p->words.ptr[2]};
        memcpy(origin.instance, p->words.ptr, sizeof origin.instance);
        verdict = data_folder_accept_peer(storage.folder, &origin);
    }
    shim_call_done();
    return verdict;
}

void exports_synod_paxos_identity_close(void)
{
    struct problem problem;
    if (storage.folder == NULL)
        return; /* it could not be opened */
    write_groups();
    write_mark();
    if (!journal_store_settle(storage.store, &problem))
        fail(&problem);
    journal_store_close(storage.store);
    spare_drop();
    data_folder_close(storage.folder);
    storage.store = NULL;
    storage.folder = NULL;
}
