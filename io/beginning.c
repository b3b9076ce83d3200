#include "io/beginning.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/formats/record.h"
#include "core/paxos/learner.h"
#include "io/journal_store.h"
#include "io/snapshot_copy.h"

/* A group has about so many bytes of values. */
enum { GROUP_BYTES = 1 << 20 };

static char *folder_of_node(const struct config *config, uint32_t node, const char *ending)
{
    char name[48];
    snprintf(name, sizeof name, "node-%u%s", node, ending);
    return disk_path(config->data, name);
}

/* ---- The snapshot ---- */

static bool write_snapshot(struct disk *disk, const struct beginning *b, const char *folder, const struct config *config,
                           struct problem *problem)
{
    struct snapshot_reader r;
    enum snapshot_read read;
    char name[64];
    uint64_t cluster, slot;
    if (snapshot_reader_open_any(&r, disk, b->snapshot, &cluster, &slot, problem) != SNAPSHOT_READ_PIECE)
        return false;
    char *snapshots = disk_path(folder, "snapshots");
    snprintf(name, sizeof name, "snapshot-%020" PRIu64, b->found.slot);
    char *path = disk_path(snapshots, name);
    const uint64_t own = journal_cluster_hash(config->cluster, strlen(config->cluster));
    bool ok = problem_check(problem, snapshots, disk_make_folder(disk, snapshots)) &&
              snapshot_copy(&r, path, own, b->found.slot, SNAPSHOT_COPY_STATE, &read, problem) &&
              snapshot_copy_sync_name(disk, path, problem) && snapshot_copy_sync_name(disk, snapshots, problem);
    if (ok && r.place.checksum != b->found.checksum)
        ok = problem_set(problem, EXIT_DATA, "%s: it has changed while it was read", b->snapshot);
    snapshot_reader_close(&r);
    free(snapshots);
    free(path);
    return ok;
}

/* ---- The journal ---- */

/* What is written, a group at a time. */
struct writing {
    struct journal_store *store;
    struct journal_group group;
    uint64_t *words; /* a record */
    size_t capacity;
    uint64_t bytes;  /* of values in the group */
    uint64_t marked; /* the end of the last RECORD_CHOSEN */
    uint64_t window; /* what it says of those that follow */
    bool too_long;   /* a record did not fit into a group */
};

static void add_record(struct writing *w, uint8_t kind, const struct entry *entry, uint64_t to)
{
    const struct log_record record = {.kind = kind, .entry = *entry, .to = to};
    struct packet packet;
    w->words = memory_reserve(w->words, &w->capacity, record_size(&record) / sizeof *w->words, sizeof *w->words);
    record_encode(&record, w->words, &packet);
    w->too_long = !journal_group_add(&w->group, &packet) || w->too_long;
    w->bytes += entry->value.len;
}

/* The slots before `to` are chosen, and their values are in earlier records, or in the snapshot. */
static void add_chosen(struct writing *w, uint64_t to)
{
    const struct entry chosen = {.slot = w->marked, .value = {.words = {&w->window, 1}, .len = sizeof w->window}};
    add_record(w, RECORD_CHOSEN, &chosen, to);
    w->marked = to;
}

static bool write_group(struct writing *w, struct problem *problem)
{
    struct journal_written where;
    if (w->too_long)
        return problem_set(problem, EXIT_DATA, "a value is too long for a journal");
    if (w->group.count > 0 && !journal_store_group(w->store, &w->group, &where, problem))
        return false;
    journal_group_begin(&w->group, journal_store_last(w->store) + 1);
    w->bytes = 0;
    return true;
}

/* The slots after the snapshot. A start keeps a window of slots in memory, and what a RECORD_CHOSEN says of them is
 * executed: so there are many, none longer than that window. */
static bool write_entries(struct writing *w, const struct beginning *b, struct problem *problem)
{
    for (uint64_t slot = w->marked; slot < b->end; slot++) {
        struct entry entry;
        if (!b->entry(b->context, slot, &entry, problem))
            return false;
        add_record(w, RECORD_LEARNED, &entry, 0);
        if (w->bytes < GROUP_BYTES && slot + 1 - w->marked < w->window && slot + 1 < b->end)
            continue;
        add_chosen(w, slot + 1);
        if (!write_group(w, problem))
            return false;
    }
    return true;
}

static bool write_records(struct writing *w, const struct beginning *b, const struct node_config *node,
                          struct problem *problem)
{
    struct packet_list found;
    do {
        if (!journal_store_recover(w->store, &found, problem))
            return false;
    } while (found.len > 0);
    journal_group_begin(&w->group, journal_store_last(w->store) + 1);
    if (node_set_has(node->acceptors, node->node))
        add_record(w, RECORD_FLOOR, &(struct entry){.slot = b->end}, 0);
    const bool learns = node_set_has(node->learners, node->node);
    if (learns && b->snapshot != NULL)
        add_chosen(w, b->found.slot);
    return write_group(w, problem) && (!learns || write_entries(w, b, problem));
}

static bool write_journal(struct disk *disk, struct data_folder *folder, const struct beginning *b,
                          const struct config *config, uint32_t node, struct problem *problem)
{
    struct node_config own = config->node_config;
    own.node = node;
    const struct journal_store_options options = {.disk = disk,
                                                  .folder = data_folder_path(folder),
                                                  .identity = *data_folder_identity(folder),
                                                  .memory = {data_folder_newest_segment, folder},
                                                  .durability = DURABILITY_FSYNC,
                                                  .segment_bytes = config->segment_bytes};
    struct writing w = {.window = learner_window(own.alpha), .marked = b->snapshot != NULL ? b->found.slot : 1};
    if (!journal_store_open(&w.store, &options, problem))
        return false;
    const bool ok = write_records(&w, b, &own, problem);
    journal_store_close(w.store);
    journal_group_free(&w.group);
    free(w.words);
    return ok;
}

/* ---- The folder ---- */

/* Fills a folder that was just formatted, and that no node knows yet. */
static bool fill(struct disk *disk, const struct beginning *b, const char *path, const struct config *config, uint32_t node,
                 struct problem *problem)
{
    struct data_folder *folder;
    if (!data_folder_open(&folder, disk, path, config->cluster, node, problem))
        return false;
    const bool has_snapshot = b->snapshot != NULL && node_set_has(config->node_config.learners, node);
    const bool ok = (!has_snapshot || write_snapshot(disk, b, path, config, problem)) &&
                    write_journal(disk, folder, b, config, node, problem);
    data_folder_close(folder);
    return ok;
}

static void note_any(void *context, const char *name)
{
    (void)name;
    *(bool *)context = true;
}

/* A folder that is to be made: it does not exist, or is empty. */
static bool check_free(struct disk *disk, const char *path, const char *what, struct problem *problem)
{
    bool any = false;
    const int error = disk_list(disk, path, note_any, &any);
    if (error != 0 && error != -ENOENT)
        return problem_set_error(problem, EXIT_DATA, error, "%s: ", path);
    return !any || problem_set(problem, EXIT_DATA, "%s %s", path, what);
}

static bool check_both(struct disk *disk, const char *path, const char *part, struct problem *problem)
{
    return check_free(disk, path, "is not empty: nothing is restored into it", problem) &&
           check_free(disk, part, "is left of a restore that was cut short: remove it", problem);
}

bool beginning_check(struct disk *disk, const struct config *config, uint32_t node, struct problem *problem)
{
    char *path = folder_of_node(config, node, ""), *part = folder_of_node(config, node, ".restoring");
    const bool ok = check_both(disk, path, part, problem);
    free(part);
    free(path);
    return ok;
}

bool beginning_make(struct disk *disk, const struct beginning *beginning, const struct config *config, uint32_t node,
                    struct problem *problem)
{
    char governed[GOVERNED_TEXT_MAX];
    char *path = folder_of_node(config, node, ""), *part = folder_of_node(config, node, ".restoring");
    governed_print(config, governed);
    const bool ok = check_both(disk, path, part, problem) &&
                    data_folder_format(disk, part, config->cluster, node, NULL, governed, problem) &&
                    fill(disk, beginning, part, config, node, problem) &&
                    problem_check(problem, path, disk_rename(disk, part, path)) &&
                    snapshot_copy_sync_name(disk, path, problem);
    free(part);
    free(path);
    return ok;
}
