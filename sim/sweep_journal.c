/* The journal of the sweeps. It is written in two lives, with a torn write between them. So the calls that a sweep cuts
 * short include those of a recovery that cuts, and of one that goes on. Now and then records are no longer needed, and after
 * some groups the segments go that hold nothing else; so it begins above 1, and what is cut short may have removed only some
 * of them. */
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "sim/sweep_internal.h"

enum {
    GROUPS = 24,
    SEGMENT_BYTES = 32 << 10,
    RECORDS_BYTES_MAX = 128 << 10,
    COPY_BYTES = 1 << 20,
};

/* ---- Records that the seed decides ---- */

static void add_record(struct sweep_journal *j, struct dice *dice, uint32_t len)
{
    uint64_t *words = memory_new(words_for(len), sizeof *words);
    for (size_t i = 0; i < words_for(len); i++)
        words[i] = dice_next(dice);
    if (len % 8 != 0) /* unused bytes of the last word are zero in any packet */
        words[words_for(len) - 1] &= (UINT64_C(1) << len % 8 * 8) - 1;
    const struct packet record = {.kind = dice_roll(dice, 6) == 0 ? 128 + (uint32_t)dice_roll(dice, 2) : 1,
                                  .len = len,
                                  .words = {.ptr = words, .len = words_for(len)}};
    journal_result_add(&j->records, &record);
    free(words);
}

static void add_group(struct sweep_journal *j, uint32_t count)
{
    j->groups = memory_reserve(j->groups, &j->group_capacity, j->group_count + 1, sizeof *j->groups);
    j->groups[j->group_count++] = count;
}

/* Groups of all shapes: marks, some pages, and two that are longer than a segment, with a mark between them. The segment
 * that the mark needed is then replaced by a larger one (J8). The last groups are short, so that some of them share a
 * segment, and no marks. */
static void make_up(struct sweep_journal *j, struct dice *dice, uint32_t groups)
{
    const uint32_t first_large = groups / 3, last_ones = groups - groups / 4;
    for (uint32_t i = 0; i < groups; i++) {
        bool large = i == first_large || i == first_large + 2;
        bool mark = i == first_large + 1 || (!large && i < last_ones && dice_roll(dice, 8) == 0);
        bool long_one = i < last_ones && i % 4 == 0;
        uint32_t count = mark ? 0 : large || long_one ? 1 : 1 + (uint32_t)dice_roll(dice, 4);
        uint32_t len_max = long_one ? 9000 : 400;
        add_group(j, count);
        for (uint32_t k = 0; k < count; k++)
            add_record(j, dice, large ? (uint32_t)j->segment_bytes : (uint32_t)dice_roll(dice, len_max));
    }
}

/* ---- Records of a real run ---- */

struct copier {
    struct disk *to;
    const char *folder;
    bool failed;
};

static void copy_file(void *context, const char *name)
{
    struct copier *c = context;
    char path[PATH_BYTES];
    bool ours = strcmp(name, "identity") == 0 || strncmp(name, "journal-", 8) == 0;
    if (!ours || snprintf(path, sizeof path, "%s/%s", SWEEP_FOLDER, name) >= PATH_BYTES)
        return;
    char *from_path = disk_path(c->folder, name);
    int from = disk_open(disk_posix(), from_path, DISK_READ), to = disk_open(c->to, path, DISK_MAKE);
    free(from_path);
    uint8_t *bytes = memory_new(COPY_BYTES, 1);
    int64_t len = from >= 0 ? COPY_BYTES : from;
    for (uint64_t at = 0; len == COPY_BYTES; at += COPY_BYTES) {
        len = disk_read(disk_posix(), from, at, bytes, COPY_BYTES);
        if (len > 0 && disk_write(c->to, to, at, bytes, (size_t)len) != 0)
            len = -1;
    }
    c->failed = c->failed || len < 0;
    free(bytes);
    if (from >= 0)
        disk_close(disk_posix(), from);
    disk_close(c->to, to);
}

/* Opens the store of the copy, as the next life of its node would. */
static bool open_copy(struct disk *disk, struct data_folder **folder, struct journal_store **store, struct problem *problem)
{
    char text[256] = "", cluster[64];
    unsigned node;
    int file = disk_open(disk, SWEEP_FOLDER "/identity", DISK_READ);
    if (file >= 0) {
        (void)disk_read(disk, file, 0, text, sizeof text - 1);
        disk_close(disk, file);
    }
    if (sscanf(text, "synod-identity %*u\ncluster %63s\nnode %u", cluster, &node) != 2)
        return problem_set(problem, EXIT_DATA, "there is no identity in it");
    if (!data_folder_open(folder, disk, SWEEP_FOLDER, cluster, node, problem))
        return false;
    const struct journal_store_options options = {.disk = disk,
                                                  .folder = SWEEP_FOLDER,
                                                  .identity = *data_folder_identity(*folder),
                                                  .memory = {data_folder_newest_segment, *folder},
                                                  .durability = DURABILITY_FSYNC,
                                                  .segment_bytes = SEGMENT_BYTES};
    return journal_store_open(store, &options, problem);
}

/* Takes its first records, in groups that the seed decides. */
static bool take_records(struct sweep_journal *j, struct dice *dice, uint32_t groups, struct journal_store *store,
                         struct problem *problem)
{
    struct packet_list found;
    uint32_t left = 0;
    do {
        if (!journal_store_recover(store, &found, problem))
            return false;
        for (size_t i = 0; i < found.len && j->records.bytes < RECORDS_BYTES_MAX; i++) {
            if (left == 0 && j->group_count == groups)
                return true;
            if (left == 0)
                add_group(j, 0);
            left = left == 0 ? 1 + (uint32_t)dice_roll(dice, 8) : left;
            j->groups[j->group_count - 1]++;
            left--;
            journal_result_add(&j->records, &found.ptr[i]);
        }
    } while (found.len > 0 && j->records.bytes < RECORDS_BYTES_MAX);
    return j->records.count > 0 || problem_set(problem, EXIT_DATA, "its journal holds no record");
}

static bool read_folder(struct sweep_journal *j, struct dice *dice, uint32_t groups, const char *folder,
                        struct problem *problem)
{
    struct faults faults = {0};
    struct disk_sim *sim = disk_sim_new(0, 0, &faults);
    struct copier copier = {.to = disk_sim_disk(sim), .folder = folder};
    disk_sim_calm(sim, true);
    disk_make_folder(copier.to, SWEEP_FOLDER);
    struct data_folder *opened = NULL;
    struct journal_store *store = NULL;
    int error = disk_list(disk_posix(), folder, copy_file, &copier);
    bool ok = error == 0 && !copier.failed;
    if (!ok)
        problem_set(problem, EXIT_DATA, "%s: cannot be read: %s", folder, error != 0 ? strerror(-error) : "a file of it");
    ok = ok && open_copy(copier.to, &opened, &store, problem) && take_records(j, dice, groups, store, problem);
    if (store != NULL)
        journal_store_close(store);
    data_folder_close(opened);
    disk_sim_free(sim);
    return ok;
}

/* ---- Writing ---- */

struct disk_sim *sweep_disk_new(struct faults *faults)
{
    static const uint8_t instance[16] = {1, 2, 3, 4};
    struct disk_sim *sim = disk_sim_new(0, 0, faults);
    struct problem problem;
    disk_sim_calm(sim, true);
    bool formatted = data_folder_format(disk_sim_disk(sim), SWEEP_FOLDER, "sweep", 1, instance, NULL, &problem);
    invariant(formatted);
    disk_sim_settle(sim);
    return sim;
}

void sweep_segment_path(uint64_t first_lsn, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/journal-%020llu.log", SWEEP_FOLDER, (unsigned long long)first_lsn);
}

bool sweep_node_open(const struct sweep_journal *j, struct disk *disk, struct sweep_node *out, struct problem *problem)
{
    *out = (struct sweep_node){0};
    if (!data_folder_open_guarded(&out->folder, disk, SWEEP_FOLDER, "sweep", 1, DATA_FOLDER_UNGUARDED, NULL, problem))
        return false;
    const struct journal_store_options options = {
        .disk = disk,
        .folder = SWEEP_FOLDER,
        .identity = *data_folder_identity(out->folder),
        .memory = {data_folder_newest_segment, out->folder},
        .durability = DURABILITY_FSYNC,
        .segment_bytes = j->segment_bytes,
    };
    bool ok = journal_store_open(&out->store, &options, problem);
    if (!ok)
        data_folder_close(out->folder);
    return ok;
}

void sweep_node_close(struct sweep_node *node)
{
    journal_store_close(node->store);
    data_folder_close(node->folder);
}

/* Notes the place of a group. A segment that replaces another one replaces all that was in that. */
static void note_placed(struct sweep_journal *j, const struct journal_written *w)
{
    struct journal_file *last = j->segment_count > 0 ? &j->segments[j->segment_count - 1] : NULL;
    if (last != NULL && last->first_lsn == w->segment.first_lsn && last->bytes != w->segment.bytes) {
        while (j->placed_count > 0 && j->placed[j->placed_count - 1].segment == last->first_lsn)
            j->placed_count--;
        *last = w->segment;
    } else if (last == NULL || last->first_lsn != w->segment.first_lsn) {
        j->segments = memory_reserve(j->segments, &j->segment_capacity, j->segment_count + 1, sizeof *j->segments);
        j->segments[j->segment_count++] = w->segment;
    }
    j->placed = memory_reserve(j->placed, &j->placed_capacity, j->placed_count + 1, sizeof *j->placed);
    j->placed[j->placed_count++] = (struct placed){.segment = w->segment.first_lsn,
                                                   .offset = w->offset,
                                                   .bytes = w->bytes,
                                                   .first_lsn = w->first_lsn,
                                                   .count = w->count};
}

static bool write_group(struct sweep_journal *j, struct journal_store *store, uint32_t count, struct problem *problem)
{
    struct recorder *r = &j->recorder;
    struct journal_written written;
    struct journal_group g = {0};
    uint64_t last = journal_store_last(store);
    journal_group_begin(&g, last + 1);
    for (uint32_t i = 0; i < count; i++)
        journal_group_add(&g, &j->list.ptr[last + i]);
    r->written = last + count;
    bool ok = journal_store_group(store, &g, &written, problem);
    journal_group_free(&g);
    if (!ok)
        return false;
    note_placed(j, &written);
    r->acked = r->written;
    return true;
}

static void forget_segment(struct sweep_journal *j, uint64_t first_lsn)
{
    size_t kept = 0;
    for (size_t i = 0; i < j->placed_count; i++)
        if (j->placed[i].segment != first_lsn)
            j->placed[kept++] = j->placed[i];
    j->placed_count = kept;
    j->removed++;
    j->segment_count--;
    memmove(j->segments, j->segments + 1, j->segment_count * sizeof *j->segments);
}

/* Removes what may be removed, if the dice say that it is time; without dice, all. */
static bool remove_segments(struct sweep_journal *j, struct dice *dice, struct journal_store *store, struct problem *problem)
{
    bool ok = true;
    while (ok && journal_store_removable(store) != 0 && (dice == NULL || dice_roll(dice, 4) != 0)) {
        const uint64_t first_lsn = journal_store_removable(store);
        ok = journal_store_remove(store, first_lsn, problem);
        invariant(j->segments[0].first_lsn == first_lsn);
        journal_store_removed(store);
        forget_segment(j, first_lsn);
    }
    return ok;
}

/* Some of the older records are not needed any more. */
static void truncate_records(struct sweep_journal *j, struct dice *dice, struct journal_store *store)
{
    struct recorder *r = &j->recorder;
    const uint64_t lsn = r->acked - dice_roll(dice, r->acked / 2 + 1);
    if (dice_roll(dice, 3) != 0 || lsn <= r->truncated)
        return;
    r->truncated = lsn;
    journal_store_truncate(store, lsn);
}

/* Has the journal read, which comes before writing. */
static bool read_all(struct journal_store *store, struct problem *problem)
{
    struct packet_list found;
    bool ok;
    do {
        ok = journal_store_recover(store, &found, problem);
    } while (ok && found.len > 0);
    return ok;
}

static bool write_life(struct sweep_journal *j, struct dice *dice, size_t from, size_t to, struct problem *problem)
{
    struct sweep_node node;
    if (!sweep_node_open(j, &j->recorder.disk, &node, problem))
        return false;
    bool ok = read_all(node.store, problem) && remove_segments(j, dice, node.store, problem);
    for (size_t i = from; ok && i < to; i++) {
        truncate_records(j, dice, node.store);
        ok = write_group(j, node.store, j->groups[i], problem) && remove_segments(j, dice, node.store, problem);
    }
    if (ok && to == j->group_count) /* what is left is to be damaged, and must matter */
        ok = remove_segments(j, NULL, node.store, problem);
    sweep_node_close(&node);
    return ok;
}

/* Leaves the traces of a write that a loss of power interrupted: a sector of each of its pages, from the last group to the
 * end of the segment. */
static void tear(struct sweep_journal *j)
{
    const struct placed *last = &j->placed[j->placed_count - 1];
    const struct journal_file *segment = &j->segments[j->segment_count - 1];
    char path[PATH_BYTES];
    uint8_t sector[SECTOR_BYTES];
    memset(sector, 0xa5, sizeof sector);
    sweep_segment_path(segment->first_lsn, path);
    int file = disk_open(&j->recorder.disk, path, DISK_WRITE);
    for (uint64_t at = last->offset + last->bytes; at < segment->bytes; at += DISK_PAGE_BYTES)
        disk_write(&j->recorder.disk, file, at + 2 * SECTOR_BYTES, sector, sizeof sector);
    disk_sync(&j->recorder.disk, file);
    disk_close(&j->recorder.disk, file);
}

bool sweep_journal_init(struct sweep_journal *j, const struct sweep_options *options, struct problem *problem)
{
    struct faults faults = {0};
    struct dice dice = dice_new(options->seed, 300), truncations = dice_new(options->seed, 302);
    uint32_t groups = options->groups > 0 ? options->groups : GROUPS;
    *j = (struct sweep_journal){.segment_bytes = options->segment_bytes > 0 ? options->segment_bytes : SEGMENT_BYTES};
    if (options->folder == NULL)
        make_up(j, &dice, groups);
    else if (!read_folder(j, &dice, groups, options->folder, problem))
        return false;
    j->list = journal_result_packets(&j->records);
    struct disk_sim *sim = sweep_disk_new(&faults);
    recorder_init(&j->recorder, disk_sim_disk(sim));
    size_t half = (j->group_count + 1) / 2;
    bool ok = write_life(j, &truncations, 0, half, problem);
    if (ok)
        tear(j);
    ok = ok && write_life(j, &truncations, half, j->group_count, problem);
    disk_sim_free(sim);
    return ok;
}

void sweep_journal_close(struct sweep_journal *j)
{
    recorder_close(&j->recorder);
    journal_result_free(&j->records);
    free(j->groups);
    free(j->placed);
    free(j->segments);
    *j = (struct sweep_journal){0};
}
