/* The sweeps.
 *
 * Damage (flips, zeros, truncation) is done to the finished journal. The places of its groups are known. So it is known
 * which group a byte belongs to, and which offset a refusal must name: that of the group; 0 in a header; the end of the
 * groups for bytes after them.
 *
 * Power fails while the journal is written. The calls that wrote it are known (sweep_recorder.c). What a sync has covered is
 * durable. Of what waits for the next sync, any part may be: any sectors of the writes, the first ones of the names. For
 * each sync a disk is made on which everything before is durable; for each choice, the chosen part is then written to it.
 * Sectors that were written with the bytes that were there already are no choice.
 *
 * After each case the disk is restored. That only copies the numbers of its sectors (disk_internal.h). */
#include "sim/sweep.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/memory.h"
#include "core/formats/record.h"
#include "sim/sweep_internal.h"

enum { SECTORS_MAX = 10 };

static const char *const names[SWEEP_KINDS] = {"flip-bit", "flip-byte", "zero-byte", "truncate",
                                               "prefix",   "reorder",   "remove"};

const char *sweep_name(enum sweep_kind kind) { return names[kind]; }

struct sweep {
    struct sweep_journal journal;
    const struct sweep_options *options;
    struct sweep_result *result;
    struct disk_sim *sim; /* of the current cases; restored after each */
    struct faults faults;
    struct dice dice;
    char *why;
    size_t why_size;
};

static bool wrong(struct sweep *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool wrong(struct sweep *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->why, s->why_size, format, args);
    va_end(args);
    return false;
}

/* ---- One case ---- */

enum { STICKY_KINDS = 256 };

/* The records that came back. */
struct found {
    uint64_t from, last; /* [from, last] without a gap; before them the latest sticky ones */
    bool plain;          /* one of them is not sticky */
    bool wrong;          /* one is not as it was written, or out of place */
    uint64_t sticky[STICKY_KINDS];
};

static void take_found(const struct sweep_journal *j, struct found *f, const struct packet *p)
{
    const struct packet *was = &j->list.ptr[p->id > 0 && p->id <= j->list.len ? p->id - 1 : 0];
    bool same = p->id > f->last && p->id <= j->list.len && p->kind == was->kind && p->len == was->len &&
                memcmp(p->words.ptr, was->words.ptr, words_for(p->len) * sizeof(uint64_t)) == 0;
    const bool gap = p->id != f->last + 1 || f->from == 0;
    f->wrong = f->wrong || !same || (gap && f->plain);
    f->from = gap ? p->id : f->from;
    f->last = p->id;
    f->plain = f->plain || p->kind < RECORD_PACKET_STICKY;
    if (!f->wrong && p->kind >= RECORD_PACKET_STICKY)
        f->sticky[p->kind % STICKY_KINDS] = p->id;
}

/* Whether it is all that was needed: from record `truncated` on, and the latest sticky ones. */
static bool found_all(const struct sweep_journal *j, const struct found *f, uint64_t truncated)
{
    uint64_t sticky[STICKY_KINDS] = {0};
    for (uint64_t lsn = 1; lsn <= f->last && lsn <= j->list.len; lsn++)
        if (j->list.ptr[lsn - 1].kind >= RECORD_PACKET_STICKY)
            sticky[j->list.ptr[lsn - 1].kind % STICKY_KINDS] = lsn;
    return !f->wrong && (f->from <= truncated || f->from <= 1) && memcmp(sticky, f->sticky, sizeof sticky) == 0;
}

/* Opens the journal, of which records from `truncated` on are needed. False: refused, with a problem. Otherwise `*last` is
 * the last lsn of the records that came back, if all of them are as they were written, and none is missing before that;
 * UINT64_MAX: they are not. */
static bool open_case(struct sweep *s, uint64_t truncated, uint64_t *last, struct problem *problem)
{
    const struct sweep_journal *j = &s->journal;
    struct sweep_node node;
    struct packet_list found;
    struct found all = {0};
    if (!sweep_node_open(j, disk_sim_disk(s->sim), &node, problem))
        return false;
    bool ok = true;
    while ((ok = journal_store_recover(node.store, &found, problem)) && found.len > 0)
        for (size_t i = 0; i < found.len; i++)
            take_found(j, &all, &found.ptr[i]);
    sweep_node_close(&node);
    *last = found_all(j, &all, truncated) ? all.last : UINT64_MAX;
    return ok;
}

/* ---- Damage ---- */

/* The group at an offset of a segment; NULL: there is none. `*end` is the end of the segment's groups. */
static const struct placed *group_at(const struct sweep_journal *j, uint64_t segment, uint64_t offset, uint64_t *end)
{
    const struct placed *found = NULL;
    for (size_t i = 0; i < j->placed_count; i++) {
        const struct placed *p = &j->placed[i];
        if (p->segment != segment)
            continue;
        *end = p->offset + p->bytes;
        if (offset >= p->offset && offset < *end)
            found = p;
    }
    return found;
}

/* Where damage to a byte must be found, and whether the last group may be lost. */
struct expected {
    uint64_t offset;
    uint64_t last; /* the least that may come back */
};

static struct expected expect(const struct sweep_journal *j, const struct journal_file *segment, uint64_t offset)
{
    uint64_t end = 0;
    const struct placed *group = group_at(j, segment->first_lsn, offset, &end);
    struct expected e = {.offset = group != NULL                    ? group->offset
                                   : offset < segment->header_bytes ? 0
                                                                    : end,
                         .last = j->list.len};
    if (group == &j->placed[j->placed_count - 1])
        e.last = group->first_lsn - 1;
    return e;
}

/* Judges a case of damage, and restores the disk. */
static bool judge_damage(struct sweep *s, enum sweep_kind kind, const struct journal_file *segment, uint64_t offset,
                         struct expected e)
{
    struct sweep_counts *counts = &s->result->counts[kind];
    struct problem problem;
    char where[128];
    uint64_t last;
    counts->cases++;
    bool opened = open_case(s, s->journal.recorder.truncated, &last, &problem);
    disk_sim_put_back(s->sim);
    if (!opened) {
        snprintf(where, sizeof where, "journal-%020llu.log: offset %llu: ", (unsigned long long)segment->first_lsn,
                 (unsigned long long)e.offset);
        counts->refused++;
        return strstr(problem.text, where) != NULL ||
               wrong(s, "%s at %llu of segment %llu: refused with '%s'", names[kind], (unsigned long long)offset,
                     (unsigned long long)segment->first_lsn, problem.text);
    }
    if (last == s->journal.list.len)
        counts->whole++;
    else if (last == e.last)
        counts->cut++;
    else
        return wrong(s, "%s at %llu of segment %llu: opens, and the last sound lsn is %lld of %zu", names[kind],
                     (unsigned long long)offset, (unsigned long long)segment->first_lsn, (long long)last,
                     s->journal.list.len);
    return true;
}

static bool damage_byte(struct sweep *s, enum sweep_kind kind, const struct journal_file *segment, const char *path,
                        uint64_t offset)
{
    struct disk *disk = disk_sim_disk(s->sim);
    uint8_t byte = 0;
    int file = disk_open(disk, path, DISK_WRITE);
    disk_read(disk, file, offset, &byte, 1);
    unsigned flipped = kind == SWEEP_FLIP_BIT ? 1u << dice_roll(&s->dice, 8) : kind == SWEEP_FLIP_BYTE ? 0xff : byte;
    uint8_t damaged = (uint8_t)(byte ^ flipped);
    if (damaged != byte)
        disk_write(disk, file, offset, &damaged, 1);
    disk_close(disk, file);
    return damaged == byte || judge_damage(s, kind, segment, offset, expect(&s->journal, segment, offset));
}

static bool truncate_segment(struct sweep *s, const struct journal_file *segment, const char *path, uint64_t offset)
{
    const struct expected e = {.offset = 0, .last = s->journal.list.len};
    disk_sim_cut(s->sim, path, offset);
    return judge_damage(s, SWEEP_TRUNCATE, segment, offset, e);
}

static bool damage_segment(struct sweep *s, const struct journal_file *segment)
{
    const uint32_t stride = s->options->stride > 0 ? s->options->stride : 1;
    char path[PATH_BYTES];
    bool ok = true;
    sweep_segment_path(segment->first_lsn, path);
    for (uint64_t offset = 0; ok && offset < segment->bytes; offset += stride) {
        for (enum sweep_kind kind = SWEEP_FLIP_BIT; ok && kind <= SWEEP_ZERO_BYTE; kind++)
            ok = damage_byte(s, kind, segment, path, offset);
        ok = ok && truncate_segment(s, segment, path, offset);
    }
    return ok;
}

static bool damage_all(struct sweep *s)
{
    const struct recorder *r = &s->journal.recorder;
    bool ok = true;
    s->sim = sweep_disk_new(&s->faults);
    for (size_t i = 0; i < r->count; i++)
        recorder_repeat(&r->ptr[i], s->sim);
    disk_sim_keep(s->sim);
    for (size_t i = 0; ok && i < s->journal.segment_count; i++)
        ok = damage_segment(s, &s->journal.segments[i]);
    disk_sim_free(s->sim);
    return ok;
}

/* ---- Loss of power ---- */

/* Judges a state that a loss of power leaves; `call` was not over yet. */
static bool judge_loss(struct sweep *s, enum sweep_kind kind, size_t call)
{
    const struct recorded *c = &s->journal.recorder.ptr[call];
    struct sweep_counts *counts = &s->result->counts[kind];
    struct problem problem;
    uint64_t last;
    counts->cases++;
    bool opened = open_case(s, c->truncated, &last, &problem);
    disk_sim_put_back(s->sim);
    if (!opened) {
        counts->refused++;
        return wrong(s, "%s, call %zu: refused with '%s'", names[kind], call, problem.text);
    }
    if (last != c->acked && last != c->written)
        return wrong(s, "%s, call %zu: the last sound lsn is %lld; %llu was acknowledged and %llu written", names[kind],
                     call, (long long)last, (unsigned long long)c->acked, (unsigned long long)c->written);
    counts->whole++;
    return true;
}

/* ---- Removed files ---- */

enum { FILES_MAX = 64 };

struct file_names {
    char names[FILES_MAX][PATH_BYTES];
    size_t count;
};

static void note_file(void *context, const char *name)
{
    struct file_names *files = context;
    invariant(files->count < FILES_MAX);
    snprintf(files->names[files->count++], PATH_BYTES, "%s", name);
}

/* Judges the state after `call`, without the files whose names begin with `prefix`. Files of no value may be missing. */
static bool remove_case(struct sweep *s, const struct file_names *files, const char *prefix, size_t call)
{
    const struct recorded *c = &s->journal.recorder.ptr[call];
    struct sweep_counts *counts = &s->result->counts[SWEEP_REMOVE];
    struct problem problem;
    char path[2 * PATH_BYTES];
    uint64_t last;
    for (size_t i = 0; i < files->count; i++) {
        if (strncmp(files->names[i], prefix, strlen(prefix)) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", SWEEP_FOLDER, files->names[i]);
        disk_remove(disk_sim_disk(s->sim), path);
    }
    counts->cases++;
    bool opened = open_case(s, c->truncated, &last, &problem);
    disk_sim_put_back(s->sim);
    if (!opened && problem.exit_code == EXIT_DATA) {
        counts->refused++;
        return true;
    }
    if (!opened || (last != c->acked && last != c->written))
        return wrong(s, "%s*, call %zu: %s; %llu was acknowledged, and the last sound lsn is %lld", prefix, call,
                     opened ? "opens" : problem.text, (unsigned long long)c->acked, opened ? (long long)last : 0);
    counts->whole++;
    return true;
}

/* Removes each file of the state after `call`, and all those of the journal. */
static bool remove_files(struct sweep *s, size_t call)
{
    struct file_names files = {0};
    disk_list(disk_sim_disk(s->sim), SWEEP_FOLDER, note_file, &files);
    bool ok = remove_case(s, &files, "journal-", call);
    for (size_t i = 0; ok && i < files.count; i++)
        ok = remove_case(s, &files, files.names[i], call);
    return ok;
}

/* All calls up to each of them, with everything durable. */
static bool sweep_prefixes(struct sweep *s)
{
    const struct recorder *r = &s->journal.recorder;
    bool ok = true;
    s->sim = sweep_disk_new(&s->faults);
    for (size_t i = 0; ok && i < r->count; i++) {
        struct recorded sync = r->ptr[i];
        recorder_repeat(&r->ptr[i], s->sim);
        sync.kind = RECORDED_SYNC;
        if (r->ptr[i].kind == RECORDED_WRITE || r->ptr[i].kind == RECORDED_ALLOCATE)
            recorder_repeat(&sync, s->sim);
        disk_sync_folder(disk_sim_disk(s->sim), SWEEP_FOLDER);
        disk_sim_settle(s->sim);
        disk_sim_keep(s->sim);
        ok = judge_loss(s, SWEEP_PREFIX, i) && remove_files(s, i);
    }
    disk_sim_free(s->sim);
    return ok;
}

static bool is_name(const struct recorded *call)
{
    return call->kind == RECORDED_MAKE || call->kind == RECORDED_RENAME || call->kind == RECORDED_REMOVE;
}

/* The first call whose change of a name is not durable, when the `named` first of the waiting ones are. */
static size_t names_until(const struct recorder *r, size_t call, size_t named)
{
    size_t from = 0, waiting = 0;
    for (size_t i = 0; i < call; i++)
        from = r->ptr[i].kind == RECORDED_SYNC_FOLDER ? i + 1 : from;
    for (size_t i = from; i < call; i++)
        if (is_name(&r->ptr[i]) && waiting++ == named)
            return i;
    return call;
}

/* Makes a disk on which the calls before `call` are durable as far as syncs say, and names up to `until`. */
static void make_disk(struct sweep *s, size_t call, size_t until)
{
    const struct recorder *r = &s->journal.recorder;
    s->sim = sweep_disk_new(&s->faults);
    for (size_t i = 0; i < call; i++) {
        if (i == until) {
            disk_sync_folder(disk_sim_disk(s->sim), SWEEP_FOLDER);
            disk_sim_settle(s->sim);
        }
        recorder_repeat(&r->ptr[i], s->sim);
    }
    if (until == call) {
        disk_sync_folder(disk_sim_disk(s->sim), SWEEP_FOLDER);
        disk_sim_settle(s->sim);
    }
    disk_sim_power_loss(s->sim);
    disk_sim_keep(s->sim);
}

/* A sector that waits for a sync. */
struct waiting {
    const struct recorded *call;
    const char *path; /* of its file, on the current disk */
    uint64_t at;      /* in the call's bytes */
    size_t len;
};

struct window {
    struct waiting *ptr;
    size_t count, capacity;
};

/* The name of the file to which call `at` writes, as of the names before `until`, if that still waits for a sync at `call`.
 * NULL: it does not. */
static const char *waits(const struct recorder *r, size_t at, size_t call, size_t until)
{
    const char *path = r->ptr[at].path, *durable = path;
    for (size_t i = at + 1; i < call; i++) {
        const struct recorded *c = &r->ptr[i];
        if (c->kind == RECORDED_RENAME && strcmp(c->path, path) == 0) {
            path = c->to;
            durable = i < until ? c->to : durable;
        } else if (is_name(c) && (strcmp(c->path, path) == 0 || strcmp(c->to, path) == 0)) {
            return NULL; /* another file has its name, or it has none */
        } else if (c->kind == RECORDED_SYNC && strcmp(c->path, path) == 0) {
            return NULL;
        }
    }
    return durable;
}

/* Writes one of them, if its file is there. Returns whether that changed anything. */
static bool write_waiting(struct sweep *s, const struct waiting *w)
{
    struct disk *disk = disk_sim_disk(s->sim);
    uint8_t before[SECTOR_BYTES];
    int file = disk_open(disk, w->path, DISK_WRITE);
    if (file < 0)
        return false;
    int64_t len = disk_read(disk, file, w->call->offset + w->at, before, w->len);
    bool changes = len != (int64_t)w->len || memcmp(before, w->call->bytes + w->at, w->len) != 0;
    if (changes)
        disk_write(disk, file, w->call->offset + w->at, w->call->bytes + w->at, w->len);
    disk_close(disk, file);
    return changes;
}

/* The sectors that wait for a sync at `call`, and would change something on the current disk. */
static void find_waiting(struct sweep *s, size_t call, size_t until, struct window *window)
{
    const struct recorder *r = &s->journal.recorder;
    window->count = 0;
    for (size_t i = 0; i < call; i++) {
        const struct recorded *c = &r->ptr[i];
        const char *path = c->kind == RECORDED_WRITE ? waits(r, i, call, until) : NULL;
        for (uint64_t at = 0; path != NULL && at < c->len; at += SECTOR_BYTES) {
            struct waiting w = {
                .call = c, .path = path, .at = at, .len = c->len - at < SECTOR_BYTES ? c->len - at : SECTOR_BYTES};
            if (!write_waiting(s, &w))
                continue;
            window->ptr = memory_reserve(window->ptr, &window->capacity, window->count + 1, sizeof *window->ptr);
            window->ptr[window->count++] = w;
        }
    }
    disk_sim_put_back(s->sim);
}

/* The case in which the sectors arrived whose bit is set (`chosen`: for the first 64; the others are drawn). */
static bool reorder_case(struct sweep *s, const struct window *window, size_t call, uint64_t chosen, bool by_lot)
{
    for (size_t i = 0; i < window->count; i++) {
        bool arrived = by_lot ? dice_roll(&s->dice, 2) == 0 : i >= 64 || (chosen >> i & 1) != 0;
        if (arrived)
            write_waiting(s, &window->ptr[i]);
    }
    return judge_loss(s, SWEEP_REORDER, call);
}

static bool reorder_window(struct sweep *s, size_t call, struct window *window)
{
    const size_t sectors_max = s->options->sectors_max > 0 ? s->options->sectors_max : SECTORS_MAX;
    bool by_lot = window->count > sectors_max, ok = true;
    uint64_t cases = UINT64_C(1) << (by_lot ? sectors_max : window->count);
    s->result->syncs_sampled += by_lot;
    if (by_lot)
        ok = reorder_case(s, window, call, 0, false) && reorder_case(s, window, call, UINT64_MAX, false);
    for (uint64_t i = 0; ok && i < cases; i++)
        ok = reorder_case(s, window, call, i, by_lot);
    return ok;
}

static bool reorder_sync(struct sweep *s, size_t call, size_t names_waiting, struct window *window)
{
    bool ok = true;
    for (size_t named = 0; ok && named <= names_waiting; named++) {
        size_t until = names_until(&s->journal.recorder, call, named);
        make_disk(s, call, until);
        find_waiting(s, call, until, window);
        ok = reorder_window(s, call, window);
        disk_sim_free(s->sim);
    }
    return ok;
}

static bool sweep_reorders(struct sweep *s)
{
    const struct recorder *r = &s->journal.recorder;
    struct window window = {0};
    size_t names_waiting = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < r->count; i++) {
        names_waiting += is_name(&r->ptr[i]);
        if (r->ptr[i].kind != RECORDED_SYNC && r->ptr[i].kind != RECORDED_SYNC_FOLDER)
            continue;
        ok = reorder_sync(s, i, names_waiting, &window);
        if (r->ptr[i].kind == RECORDED_SYNC_FOLDER)
            names_waiting = 0;
    }
    free(window.ptr);
    return ok;
}

/* ---- All of them ---- */

bool sweep_run(const struct sweep_options *options, struct sweep_result *result, char *why, size_t size)
{
    struct sweep s = {
        .options = options, .result = result, .dice = dice_new(options->seed, 301), .why = why, .why_size = size};
    struct problem problem;
    *result = (struct sweep_result){0};
    bool ok = sweep_journal_init(&s.journal, options, &problem) || wrong(&s, "%s", problem.text);
    result->groups = s.journal.placed_count;
    result->records = s.journal.list.len;
    result->segments = s.journal.segment_count;
    result->removed = s.journal.removed;
    result->calls = s.journal.recorder.count;
    for (size_t i = 0; i < s.journal.segment_count; i++)
        result->bytes += s.journal.segments[i].bytes;
    ok = ok && damage_all(&s) && sweep_prefixes(&s) && sweep_reorders(&s);
    sweep_journal_close(&s.journal);
    return ok;
}
