/* `interface storage`, `interface snapshots` and `interface identity` over files that the node opens itself (WASI):
 * io/data_folder.h, io/journal_front.h and io/snapshot_front.h, under which the host runs, too (host/journal.c,
 * host/snapshots.c): a node that was stopped under one starts under the other. What differs is when:
 *
 *  1. There is one thread: `append` returns when its records are written and synced (as `durability` says), in groups of
 *     about 4 MiB. So durable is what was appended. Where there is no room, they are kept, and written by a later call.
 *  2. Nothing happens between calls. The mark that an idle journal ends with (J5) is written by the first call after a
 *     second without records, and the lease on the folder (io/lease.h) is renewed by calls: `durable`, of which each turn
 *     has one, and every read and write of the journal, because opening a long one takes long.
 *  3. The next segment is made bit by bit: from the middle of a segment on, each append fills as much of the next one with
 *     zeros as keeps it ahead. Made at once, it would hold up a leader for longer than the others wait for it. A segment
 *     that is not needed any more is removed by a call of `durable`.
 *  4. The newest snapshot is checked when the folder is opened, which takes long anyhow. After that, calls of `snapshots` do
 *     what there is to do about them, for about ten milliseconds. What is written of one is synced megabyte by megabyte, so
 *     that no sync at its end holds up the node.
 *  5. A failure is final: it is logged, host-control.fail tells what the process should end with, and the part traps. But
 *     that the folder cannot be used at all is what identity.open returns; its caller says so. And a snapshot that fails is
 *     given up, and nothing else.
 *
 * `durability: memory` writes nothing but the folder's own files, and keeps the latest records for reading back. */
#include <stdio.h>
#include <stdlib.h>

#include "components/packet.h"
#include "components/wasi/disk_wasi.h"
#include "core/base/memory.h"
#include "io/config_packet.h"
#include "io/data_folder.h"
#include "io/journal_front.h"
#include "io/journal_spare.h"
#include "io/logger.h"
#include "io/roster.h"
#include "io/snapshot_front.h"

SAME_LIST(struct packet_list, exports_synod_paxos_storage_list_packet_t);
SAME_LIST(struct packet_list, exports_synod_paxos_snapshots_list_packet_t);
SAME_LIST(struct packet_list, exports_synod_paxos_identity_list_packet_t);
SAME_LIST(struct packet_list, synod_paxos_settings_list_packet_t);

enum {
    WRITE_BYTES = 4 << 20,      /* of the records of one call: they are written before more are gathered */
    SNAPSHOT_WORK_US = 10000,   /* about so long a call works for snapshots */
    MEMORY_BYTES_MAX = 1 << 30, /* kept for reading back by `durability: memory`; but half of all memory at most */
};

static struct {
    bool tried;             /* to open the folder */
    bool open;              /* it worked */
    struct problem problem; /* or why not */
    struct node_settings settings;
    struct logger *logger;
    struct data_folder *folder;
    struct journal_front *front;
    struct journal_spare spare;
    struct snapshot_front *snapshots;
} storage;

static uint64_t now(void) { return disk_now(disk_wasi()); }

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

static void sync_part(struct disk *d, int file, uint64_t offset, uint64_t len)
{
    (void)d;
    (void)offset;
    (void)len;
    renew();
    disk_sync_data(disk_wasi(), file); /* should it fail, so does the one that counts */
}

/* The same, where what is written may go to the device early. */
static struct disk *snapshot_disk(void)
{
    static struct disk_operations operations;
    static struct disk disk = {.operations = &operations};
    operations = *journal_disk()->operations;
    operations.write_out = sync_part;
    return &disk;
}

/* ---- The next segment ---- */

static void spare_want(void *context, uint64_t bytes)
{
    (void)context;
    journal_spare_want(&storage.spare, bytes);
}

static bool spare_take(void *context, uint64_t *bytes, int *file, struct problem *problem)
{
    (void)context;
    return journal_spare_take(&storage.spare, journal_spare_finish, bytes, file, problem);
}

/* As many steps as fill `bytes` bytes. */
static void spare_fill(uint64_t bytes)
{
    struct journal_spare *s = &storage.spare;
    for (uint64_t done = 0; s->state == SPARE_WANTED && done < bytes; done += SPARE_STEP_BYTES)
        s->state = journal_spare_step(s);
}

/* ---- Opening ---- */

static bool get_settings(struct problem *problem)
{
    static struct arena results;
    struct packet_list list;
    shim_results_begin(&results);
    synod_paxos_settings_get((synod_paxos_settings_list_packet_t *)&list);
    shim_results_end();
    bool ok = list.len >= 1 && config_packet_decode(&list.ptr[0], &storage.settings);
    arena_close(&results);
    return ok || problem_set(problem, EXIT_BAD_INPUT, "storage: the settings are damaged, or of another version");
}

/* Which instances are members, as far as the host knows now: they may take the place of those that the folder knows. */
static void admit_members(void)
{
    static struct arena results;
    struct packet_list list;
    struct roster *roster = memory_new(1, sizeof *roster);
    shim_results_begin(&results);
    synod_paxos_settings_get((synod_paxos_settings_list_packet_t *)&list);
    shim_results_end();
    roster_of_log(roster, &storage.settings.config, list.ptr + 1, list.len > 0 ? list.len - 1 : 0);
    arena_close(&results);
    if (roster->slot != 0)
        data_folder_admit(storage.folder, roster);
    free(roster);
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

static uint64_t memory_bytes_max(void)
{
    uint64_t half = storage.settings.config.memory_bytes_max / 2;
    return half < MEMORY_BYTES_MAX ? half : MEMORY_BYTES_MAX;
}

static bool open_journal(struct problem *problem)
{
    static struct journal_spares spares = {.take = spare_take, .want = spare_want};
    const uint8_t durability = storage.settings.config.node_config.durability;
    const struct journal_front_options options = {
        .store.disk = journal_disk(),
        .store.folder = data_folder_path(storage.folder),
        .store.identity = *data_folder_identity(storage.folder),
        .store.memory = {data_folder_newest_segment, storage.folder},
        .store.durability = durability,
        .store.segment_bytes = storage.settings.config.segment_bytes,
        .store.spares = &spares,
        .store.on_notice = on_notice,
        .memory_bytes_max = memory_bytes_max(),
    };
    storage.spare = (struct journal_spare){
        .disk = options.store.disk,
        .folder = options.store.folder,
        .sync = durability == DURABILITY_FSYNC ? SPARE_SYNCED_STEPWISE : SPARE_NOT_SYNCED,
    };
    return journal_front_open(&storage.front, &options, now(), problem);
}

static void tell_snapshot_notices(void)
{
    char text[sizeof((struct problem *)0)->text + 128];
    while (snapshot_front_notice(storage.snapshots, text, sizeof text))
        logger_log(storage.logger, LOG_WARNING, "snapshots", "%s", text);
}

/* Does the next step. False: there is none. */
static bool step_snapshots(void)
{
    if (!snapshot_front_next(storage.snapshots))
        return false;
    snapshot_front_work(storage.snapshots);
    snapshot_front_done(storage.snapshots);
    tell_snapshot_notices();
    return true;
}

static void work_for_snapshots(void)
{
    const uint64_t end = now() + SNAPSHOT_WORK_US;
    while (step_snapshots() && now() < end)
        ;
}

static bool open_snapshots(struct problem *problem)
{
    const struct snapshot_front_options options = {
        .disk = snapshot_disk(),
        .data_folder = data_folder_path(storage.folder),
        .cluster = identity_origin(data_folder_identity(storage.folder)).cluster,
        .keep = storage.settings.config.node_config.snapshots_max,
        .use = snapshot_use(&storage.settings.config, storage.settings.node),
    };
    if (!snapshot_front_open(&storage.snapshots, &options, problem))
        return false;
    while (!snapshot_front_has_told(storage.snapshots) && step_snapshots())
        ;
    return true;
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
    storage.open =
        storage.open && open_folder(&storage.problem) && open_journal(&storage.problem) && open_snapshots(&storage.problem);
    if (storage.open) {
        warn();
    } else {
        data_folder_close(storage.folder);
        storage.folder = NULL;
    }
    return storage.open;
}

/* To be called by all functions but identity.open, which must come first. */
static void need_open(void)
{
    if (!open_once())
        fail(&storage.problem);
    invariant(storage.folder != NULL); /* not closed */
}

/* ---- Writing ---- */

static void tell_notices(void)
{
    const struct problem *spare = storage.spare.state == SPARE_FAILED ? &storage.spare.problem : NULL;
    char text[sizeof spare->text + 128];
    while (journal_front_notice(storage.front, spare, now(), text, sizeof text) != JOURNAL_NOTICE_NONE)
        on_notice(NULL, text);
}

/* Removes one segment that is not needed any more, if there is one. */
static void remove_segment(void)
{
    struct problem problem;
    const uint64_t first_lsn = journal_front_removal(storage.front, now());
    if (first_lsn == 0)
        return;
    bool ok = journal_store_remove(journal_front_store(storage.front), first_lsn, &problem);
    journal_front_removed(storage.front, ok ? NULL : &problem, now());
    tell_notices();
}

/* Writes what waits for that. */
static void write_groups(void)
{
    struct journal_front_group *g;
    struct problem problem;
    while ((g = journal_front_next(storage.front, now())) != NULL) {
        bool ok = journal_front_write(storage.front, g, &problem);
        if (!ok && !problem.no_room)
            fail(&problem);
        journal_front_written(storage.front, g, ok ? NULL : &problem, now());
        if (ok)
            spare_fill(2 * g->written.bytes + SPARE_STEP_BYTES); /* half a segment is left, a whole one is to be made */
        journal_front_retire(storage.front);
        tell_notices();
    }
}

static void append(const struct packet *records, size_t count)
{
    struct problem problem;
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (!journal_front_append(storage.front, &records[i], &problem))
            fail(&problem);
        bytes += records[i].len;
        if (bytes < WRITE_BYTES && i + 1 < count)
            continue;
        bytes = 0;
        journal_front_submit(storage.front);
        write_groups();
    }
}

/* ---- interface storage ---- */

void exports_synod_paxos_storage_recover(exports_synod_paxos_storage_list_packet_t *ret)
{
    struct problem problem;
    need_open();
    if (!journal_front_recover(storage.front, (struct packet_list *)ret, &problem))
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
    journal_front_idle(storage.front, now());
    write_groups();
    remove_segment();
    return journal_front_durable(storage.front);
}

uint64_t exports_synod_paxos_storage_room(void)
{
    need_open();
    return journal_front_has_room(storage.front);
}

void exports_synod_paxos_storage_read(uint64_t from, uint64_t bytes_max, exports_synod_paxos_storage_list_packet_t *ret)
{
    struct problem problem;
    need_open();
    if (!journal_front_read(storage.front, from, bytes_max, (struct packet_list *)ret, &problem))
        fail(&problem);
}
SHIM_POST(storage_read, "storage@0.1.0#read");

void exports_synod_paxos_storage_truncate(uint64_t lsn)
{
    need_open();
    journal_front_truncate(storage.front, lsn);
}

/* ---- interface snapshots ---- */

void exports_synod_paxos_snapshots_ask(exports_synod_paxos_snapshots_list_packet_t *asks)
{
    need_open();
    snapshot_front_ask(storage.snapshots, (const struct packet *)asks->ptr, asks->len);
    work_for_snapshots();
    shim_call_done();
}

void exports_synod_paxos_snapshots_told(exports_synod_paxos_snapshots_list_packet_t *ret)
{
    need_open();
    work_for_snapshots();
    *(struct packet_list *)ret = snapshot_front_told(storage.snapshots);
}
SHIM_POST(snapshots_told, "snapshots@0.1.0#told");

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
        if (verdict == PEER_OTHER_INSTANCE) {
            admit_members();
            verdict = data_folder_accept_peer(storage.folder, &origin);
        }
    }
    shim_call_done();
    return verdict;
}

void exports_synod_paxos_identity_close(void)
{
    struct problem problem;
    if (storage.folder == NULL)
        return; /* it could not be opened */
    journal_front_finish(storage.front);
    write_groups();
    if (!journal_store_settle(journal_front_store(storage.front), &problem))
        fail(&problem);
    snapshot_front_close(storage.snapshots);
    journal_front_close(storage.front);
    journal_spare_drop(&storage.spare);
    data_folder_close(storage.folder);
    storage.front = NULL;
    storage.folder = NULL;
}
