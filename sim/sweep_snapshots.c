/* The sweeps over snapshots. Three are written, one after the other, two are kept. Damage is done to the newest one, and to
 * the one before when the newest one is gone. Power fails after each of the calls that wrote them, several times each with
 * other sectors and names that have arrived. Each case is opened by the front that ships (io/snapshot_front.h). It must load
 * exactly what was written, the newest snapshot or the one before: never anything else. */
#include <stdio.h>

#include "core/base/memory.h"
#include "io/snapshot_front.h"
#include "sim/sweep_internal.h"

enum {
    CLUSTER = 1,
    KEPT = 2,
    SNAPSHOTS = 3,
    SLOTS = 100, /* from one to the next */
    PIECES = 5,
    PIECE_BYTES_MAX = 1500,
    DRAWS = 24, /* losses of power after each call */
    HALF = 500000,
};

struct snapshot_sweep {
    const struct sweep_options *options;
    struct sweep_snapshots_result *result;
    struct recorder recorder;
    struct disk_sim *sim;
    struct faults faults;
    struct dice dice;
    char *why;
    size_t why_size;
};

/* ---- What is written ---- */

/* The body of a piece: which bytes it has follows from seed, slot and number. */
static uint32_t body_of(uint64_t seed, uint64_t slot, uint32_t number, uint64_t words[PIECE_BYTES_MAX / 8 + 1])
{
    struct dice dice = dice_new(seed, 1000 + slot * PIECES + number);
    const uint32_t len = (uint32_t)dice_roll(&dice, PIECE_BYTES_MAX);
    if (len > 0)
        words[words_for(len) - 1] = 0;
    for (uint32_t i = 0; i < len; i++)
        ((uint8_t *)words)[i] = (uint8_t)dice_roll(&dice, 256);
    return len;
}

static uint32_t kind_of(uint32_t number)
{
    return number == 0 ? SNAPSHOT_LEARNER : number + 1 < PIECES ? SNAPSHOT_STATE : SNAPSHOT_STATE_LAST;
}

static bool open_front(struct disk *disk, struct snapshot_front **front, struct problem *problem)
{
    const struct snapshot_front_options options = {
        .disk = disk, .data_folder = SWEEP_FOLDER, .cluster = CLUSTER, .keep = KEPT, .use = SNAPSHOTS_LOADED};
    return snapshot_front_open(front, &options, problem);
}

static void work(struct snapshot_front *front)
{
    while (snapshot_front_next(front)) {
        snapshot_front_work(front);
        snapshot_front_done(front);
    }
}

static void ask(struct snapshot_front *front, enum snapshot_item_kind kind, uint64_t id, const uint64_t *words, uint32_t len)
{
    const struct packet p = {.id = id, .kind = kind, .len = len, .words = {(uint64_t *)words, words_for(len)}};
    snapshot_front_ask(front, &p, 1);
    work(front);
}

static bool write_one(struct snapshot_sweep *s, struct snapshot_front *front, uint64_t slot)
{
    uint64_t words[PIECE_BYTES_MAX / 8 + 1];
    s->recorder.written = slot;
    ask(front, SNAPSHOT_BEGIN, slot, NULL, 0);
    for (uint32_t i = 0; i < PIECES; i++) {
        const uint32_t len = body_of(s->options->seed, slot, i, words);
        ask(front, SNAPSHOT_PIECE, kind_of(i), words, len);
    }
    ask(front, SNAPSHOT_COMMIT, slot, NULL, 0);
    const struct packet_list list = snapshot_front_told(front);
    s->recorder.acked = slot;
    return list.len > 0 && list.ptr[list.len - 1].kind == SNAPSHOT_STORED;
}

/* A disk with nothing but the folders. */
static struct disk_sim *new_disk(struct snapshot_sweep *s)
{
    struct disk_sim *sim = disk_sim_new(s->options->seed, 0, &s->faults);
    struct disk *disk = disk_sim_disk(sim);
    disk_sim_calm(sim, true);
    disk_make_folder(disk, SWEEP_FOLDER);
    disk_make_folder(disk, SWEEP_FOLDER "/snapshots");
    disk_sync_folder(disk, "");
    disk_sync_folder(disk, SWEEP_FOLDER);
    disk_sim_settle(sim);
    return sim;
}

static bool write_all(struct snapshot_sweep *s)
{
    struct problem problem;
    struct snapshot_front *front;
    struct disk_sim *sim = new_disk(s);
    recorder_init(&s->recorder, disk_sim_disk(sim));
    bool ok = open_front(&s->recorder.disk, &front, &problem);
    work(front);
    for (uint64_t i = 1; ok && i <= SNAPSHOTS; i++)
        ok = write_one(s, front, i * SLOTS);
    snapshot_front_close(front);
    disk_sim_free(sim);
    return ok;
}

/* ---- One case ---- */

/* Loads. UINT64_MAX: what was told is not what was written; otherwise the slot. */
static uint64_t load(struct snapshot_sweep *s)
{
    uint64_t words[PIECE_BYTES_MAX / 8 + 1], stored = 0, loaded = UINT64_MAX;
    uint32_t number = 0;
    struct problem problem;
    struct snapshot_front *front;
    struct packet_list list;
    bool sound = open_front(disk_sim_disk(s->sim), &front, &problem);
    if (!sound)
        return UINT64_MAX;
    for (work(front); (list = snapshot_front_told(front)).len > 0; work(front)) {
        for (size_t i = 0; i < list.len; i++) {
            const struct packet *p = &list.ptr[i];
            if (p->kind == SNAPSHOT_STORED) {
                stored = p->id;
            } else if (p->kind == SNAPSHOT_LOADED_PIECE) {
                const uint32_t len = number < PIECES ? body_of(s->options->seed, stored, number, words) : UINT32_MAX;
                sound = sound && p->len == len && p->id == kind_of(number) && memcmp(p->words.ptr, words, len) == 0;
                number++;
            } else {
                sound = sound && p->kind == SNAPSHOT_LOADED && (p->id == 0 || number == PIECES);
                loaded = p->id;
            }
        }
    }
    snapshot_front_close(front);
    return sound ? loaded : UINT64_MAX;
}

/* Counts a case. False: it loads another slot than the two that it may. */
static bool judge(struct snapshot_sweep *s, enum sweep_kind kind, uint64_t best, uint64_t least, uint64_t place)
{
    struct sweep_counts *counts = &s->result->counts[kind];
    const uint64_t loaded = load(s);
    disk_sim_put_back(s->sim);
    counts->cases++;
    if (loaded == best)
        counts->whole++;
    else if (loaded == least)
        counts->cut++;
    else
        snprintf(s->why, s->why_size, "snapshots, %s at %llu: %lld is loaded, and %llu or %llu should be", sweep_name(kind),
                 (unsigned long long)place, (long long)loaded, (unsigned long long)best, (unsigned long long)least);
    return loaded == best || loaded == least;
}

/* ---- Damage ---- */

static void path_of(uint64_t slot, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/snapshots/snapshot-%020llu", SWEEP_FOLDER, (unsigned long long)slot);
}

static bool damage_byte(struct snapshot_sweep *s, enum sweep_kind kind, uint64_t slot, uint64_t before, uint64_t offset)
{
    struct disk *disk = disk_sim_disk(s->sim);
    char path[PATH_BYTES];
    uint8_t byte = 0;
    path_of(slot, path);
    int file = disk_open(disk, path, DISK_WRITE);
    disk_read(disk, file, offset, &byte, 1);
    const unsigned flipped = kind == SWEEP_FLIP_BIT ? 1u << dice_roll(&s->dice, 8) : kind == SWEEP_FLIP_BYTE ? 0xff : byte;
    const uint8_t damaged = (uint8_t)(byte ^ flipped);
    if (damaged != byte)
        disk_write(disk, file, offset, &damaged, 1);
    disk_close(disk, file);
    return damaged == byte || judge(s, kind, before, before, offset);
}

/* Damages every byte of the newest snapshot, that before slot `slot`; `before` is what must be loaded then. */
static bool damage(struct snapshot_sweep *s, uint64_t slot, uint64_t before)
{
    const uint32_t stride = s->options->stride > 0 ? s->options->stride : 1;
    char path[PATH_BYTES];
    bool ok = true;
    path_of(slot, path);
    const uint64_t bytes = (uint64_t)disk_size(disk_sim_disk(s->sim), path);
    s->result->bytes += bytes;
    for (uint64_t offset = 0; ok && offset < bytes; offset += stride) {
        for (enum sweep_kind kind = SWEEP_FLIP_BIT; ok && kind <= SWEEP_ZERO_BYTE; kind++)
            ok = damage_byte(s, kind, slot, before, offset);
        disk_sim_cut(s->sim, path, offset);
        ok = ok && judge(s, SWEEP_TRUNCATE, before, before, offset);
    }
    return ok;
}

/* The names that files have are durable; those removed are gone. */
static void settle_names(struct snapshot_sweep *s)
{
    disk_sync_folder(disk_sim_disk(s->sim), SWEEP_FOLDER "/snapshots");
    disk_sim_settle(s->sim);
}

static bool damage_all(struct snapshot_sweep *s)
{
    char path[PATH_BYTES];
    s->sim = new_disk(s);
    for (size_t i = 0; i < s->recorder.count; i++)
        recorder_repeat(&s->recorder.ptr[i], s->sim);
    settle_names(s);
    disk_sim_keep(s->sim);
    bool ok = damage(s, 3 * SLOTS, 2 * SLOTS);
    path_of(3 * SLOTS, path);
    disk_remove(disk_sim_disk(s->sim), path);
    settle_names(s);
    disk_sim_keep(s->sim);
    ok = ok && judge(s, SWEEP_REMOVE, 2 * SLOTS, 2 * SLOTS, 0) && damage(s, 2 * SLOTS, 0);
    disk_sim_free(s->sim);
    return ok;
}

/* ---- Loss of power ---- */

static bool lose_power(struct snapshot_sweep *s, size_t calls, bool in_order)
{
    s->sim = new_disk(s);
    for (size_t i = 0; i < calls; i++)
        recorder_repeat(&s->recorder.ptr[i], s->sim);
    disk_sim_calm(s->sim, in_order);
    disk_sim_power_loss(s->sim);
    disk_sim_calm(s->sim, true);
    disk_sim_keep(s->sim);
    const struct recorded *last = &s->recorder.ptr[calls - 1];
    bool ok = judge(s, in_order ? SWEEP_PREFIX : SWEEP_REORDER, last->written, last->acked, calls);
    disk_sim_free(s->sim);
    return ok;
}

static bool lose_power_everywhere(struct snapshot_sweep *s)
{
    bool ok = true;
    s->faults.rate[FAULT_TORN_WRITE] = s->faults.rate[FAULT_REORDERED_WRITES] = s->faults.rate[FAULT_LOST_RENAME] = HALF;
    for (size_t calls = 1; ok && calls <= s->recorder.count; calls++) {
        ok = lose_power(s, calls, true);
        for (size_t i = 0; ok && i < DRAWS; i++)
            ok = lose_power(s, calls, false);
    }
    return ok;
}

bool sweep_snapshots_run(const struct sweep_options *options, struct sweep_snapshots_result *result, char *why, size_t size)
{
    struct snapshot_sweep s = {
        .options = options, .result = result, .dice = dice_new(options->seed, 302), .why = why, .why_size = size};
    *result = (struct sweep_snapshots_result){0};
    snprintf(why, size, "the snapshots cannot be written");
    bool ok = write_all(&s) && damage_all(&s) && lose_power_everywhere(&s);
    result->calls = s.recorder.count;
    recorder_close(&s.recorder);
    return ok;
}
