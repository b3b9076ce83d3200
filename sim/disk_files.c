/* The files of a simulated disk, twice: as every process sees them (the page cache), and as they are durable. In between lie
 * the calls that were made since, in their order. Three things move them:
 *
 *   settle       The calls have had their time. What a later sync covers is durable: writes by a sync of their file, names
 *                by a sync of their folder. The rest stays where it is, in the cache.
 *   power loss   The process had got to some call. Whatever came after that has never happened; syncs before it were over,
 *                and what they cover is durable; of the rest any part may be: without faults, the writes and names up to
 *                some point. Then what is durable is all there is.
 *   failed sync  The cache takes what it could not write for written (Rebello et al. 2020, "Can applications recover from
 *                fsync failures?"): it is still seen, no later sync writes it, and it is gone when power goes. Not so for
 *                folders, whose changes stay pending: a file system that cannot write those goes read-only.
 *
 * Emptying a file by making it again is a new file under its name: nothing relies on less. */
#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "sim/disk_internal.h"

/* What no sync ever covers is written by the kernel some time, so that it does not grow for ever. */
enum { UNSYNCED_MAX = 512 };

/* ---- Names ---- */

static uint64_t hash_of(const char *path) { return checksum(path, strlen(path), 0); }

static struct name *names_find(const struct names *n, const char *path)
{
    uint64_t hash = hash_of(path);
    for (size_t i = n->count; i > 0; i--)
        if (n->hashes[i - 1] == hash && strcmp(n->ptr[i - 1].path, path) == 0)
            return &n->ptr[i - 1];
    return NULL;
}

static void names_reserve(struct names *n, size_t count)
{
    n->ptr = memory_reserve(n->ptr, &n->capacity, count, sizeof *n->ptr);
    n->hashes = memory_reserve(n->hashes, &n->hash_capacity, count, sizeof *n->hashes);
}

/* Makes `path` stand for `file`. True: it stood for another one. */
static bool names_set(struct names *n, const char *path, uint32_t file)
{
    struct name *name = names_find(n, path);
    bool replaces = name != NULL;
    if (!replaces) {
        names_reserve(n, n->count + 1);
        n->hashes[n->count] = hash_of(path);
        name = &n->ptr[n->count++];
        *name = (struct name){.file = file};
        memcpy(name->path, path, strlen(path));
    }
    name->file = file;
    return replaces;
}

static void names_remove(struct names *n, const char *path)
{
    struct name *name = names_find(n, path);
    if (name == NULL)
        return;
    n->count--;
    n->hashes[name - n->ptr] = n->hashes[n->count];
    *name = n->ptr[n->count];
}

static void names_copy(struct names *to, const struct names *from)
{
    names_reserve(to, from->count);
    if (from->count > 0) {
        memcpy(to->ptr, from->ptr, from->count * sizeof *to->ptr);
        memcpy(to->hashes, from->hashes, from->count * sizeof *to->hashes);
    }
    to->count = from->count;
}

static void names_free(struct names *n)
{
    free(n->ptr);
    free(n->hashes);
}

/* ---- Files ---- */

/* The folder above all others is file 0, and has no name. */
void files_init(struct files *f)
{
    *f = (struct files){0};
    f->ptr = memory_reserve(NULL, &f->capacity, 1, sizeof *f->ptr);
    f->ptr[0] = (struct file){.used = true, .folder = true};
    f->count = 1;
}

static void file_free(struct files *f, size_t i)
{
    content_free(&f->sectors, &f->ptr[i].seen);
    content_free(&f->sectors, &f->ptr[i].durable);
    f->ptr[i] = (struct file){0};
    f->all_used = i < f->all_used ? i : f->all_used;
}

static void image_free(struct files *f)
{
    for (size_t i = 0; i < f->image.file_count; i++)
        content_free(&f->sectors, &f->image.files[i].durable);
    free(f->image.files);
    names_free(&f->image.names);
    f->image = (struct image){0};
    f->has_image = false;
}

void files_close(struct files *f)
{
    for (size_t i = 0; i < f->count; i++)
        file_free(f, i);
    image_free(f);
    sectors_close(&f->sectors);
    free(f->ptr);
    names_free(&f->seen);
    names_free(&f->durable);
    free(f->pending.ptr);
    free(f->pending.sectors);
    free(f->pending.changes);
    *f = (struct files){0};
}

uint64_t files_memory(const struct files *f)
{
    const struct pending *p = &f->pending;
    uint64_t bytes = sectors_memory(&f->sectors) + f->capacity * sizeof *f->ptr;
    for (size_t i = 0; i < f->count; i++)
        bytes += (f->ptr[i].seen.capacity + f->ptr[i].durable.capacity) * sizeof(uint32_t);
    for (size_t i = 0; i < f->image.file_count; i++)
        bytes += sizeof(struct file) + f->image.files[i].durable.capacity * sizeof(uint32_t);
    bytes += (f->seen.capacity + f->durable.capacity + f->image.names.capacity) * (sizeof(struct name) + sizeof(uint64_t));
    return bytes + p->capacity * sizeof *p->ptr + p->sector_capacity * sizeof *p->sectors +
           p->change_capacity * sizeof *p->changes;
}

static void mark_names(struct files *f, const struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        f->ptr[n->ptr[i].file].mark = f->mark;
}

/* Frees the files that no name, no handle and no pending call refers to. */
static void collect(struct files *f)
{
    if (!f->litter)
        return;
    f->mark++;
    f->ptr[0].mark = f->mark;
    mark_names(f, &f->seen);
    mark_names(f, &f->durable);
    for (size_t i = 0; i < f->pending.count; i++)
        f->ptr[f->pending.ptr[i].file].mark = f->mark;
    f->litter = f->pending.count > 0;
    for (size_t i = 0; i < f->count; i++) {
        if (!f->ptr[i].used || f->ptr[i].mark == f->mark)
            continue;
        if (f->ptr[i].handles > 0)
            f->litter = true;
        else
            file_free(f, i);
    }
}

static uint32_t file_new(struct files *f, bool folder)
{
    size_t i = f->all_used;
    while (i < f->count && f->ptr[i].used)
        i++;
    f->ptr = memory_reserve(f->ptr, &f->capacity, i + 1, sizeof *f->ptr);
    f->ptr[i] = (struct file){.used = true, .folder = folder};
    f->count += i == f->count;
    f->all_used = i + 1;
    return (uint32_t)i;
}

uint32_t files_find(const struct files *f, const char *path)
{
    if (path[0] == '\0' || strcmp(path, ".") == 0)
        return 0;
    const struct name *name = names_find(&f->seen, path);
    return name != NULL ? name->file : NO_FILE;
}

uint32_t files_folder_of(const struct files *f, const char *path)
{
    char folder[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return 0;
    size_t len = (size_t)(slash - path);
    if (len >= sizeof folder)
        return NO_FILE;
    memcpy(folder, path, len);
    folder[len] = '\0';
    uint32_t file = files_find(f, folder);
    return file != NO_FILE && f->ptr[file].folder ? file : NO_FILE;
}

/* ---- What is called for ---- */

static struct call *pending_add(struct pending *p, enum call_kind kind, uint32_t file)
{
    p->ptr = memory_reserve(p->ptr, &p->capacity, p->count + 1, sizeof *p->ptr);
    struct call *call = &p->ptr[p->count++];
    *call = (struct call){.kind = (uint8_t)kind, .file = file};
    return call;
}

static void pending_change(struct files *f, enum call_kind kind, uint32_t file, const char *from, const char *to)
{
    struct pending *p = &f->pending;
    struct call *call = pending_add(p, kind, file);
    call->at = p->change_count;
    p->changes = memory_reserve(p->changes, &p->change_capacity, p->change_count + 1, sizeof *p->changes);
    struct change *change = &p->changes[p->change_count++];
    *change = (struct change){.folder = files_folder_of(f, from)};
    memcpy(change->from, from, strlen(from));
    memcpy(change->to, to, strlen(to));
}

uint32_t files_make(struct files *f, const char *path, bool folder)
{
    uint32_t file = file_new(f, folder);
    f->litter = names_set(&f->seen, path, file) || f->litter;
    pending_change(f, CALL_MAKE, file, path, "");
    return file;
}

void files_rename(struct files *f, const char *from, const char *to)
{
    uint32_t file = files_find(f, from);
    pending_change(f, CALL_RENAME, file, from, to);
    names_remove(&f->seen, from);
    f->litter = names_set(&f->seen, to, file) || f->litter;
}

void files_remove(struct files *f, const char *path)
{
    pending_change(f, CALL_REMOVE, files_find(f, path), path, "");
    names_remove(&f->seen, path);
    f->litter = true;
}

void files_write(struct files *f, uint32_t file, uint64_t offset, const uint8_t *from, uint64_t len)
{
    struct pending *p = &f->pending;
    struct content *c = &f->ptr[file].seen;
    if (len == 0)
        return;
    content_extend(c, offset + len);
    f->ptr[file].altered = true;
    struct call *call = pending_add(p, CALL_WRITE, file);
    call->first = (size_t)(offset / SECTOR_BYTES);
    call->count = (size_t)((offset + len - 1) / SECTOR_BYTES) - call->first + 1;
    call->end = offset + len;
    call->at = p->sector_count;
    p->sectors = memory_reserve(p->sectors, &p->sector_capacity, p->sector_count + call->count, sizeof *p->sectors);
    for (size_t i = call->first; i < call->first + call->count; i++) {
        size_t at = (size_t)(offset % SECTOR_BYTES);
        size_t n = len < SECTOR_BYTES - at ? (size_t)len : SECTOR_BYTES - at;
        uint32_t number = content_altered(&f->sectors, c, i, at, from, n);
        content_put(&f->sectors, c, i, number);
        p->sectors[p->sector_count++] = sector_hold(&f->sectors, number);
        offset += n;
        len -= n;
        if (from != NULL)
            from += n;
    }
}

void files_extend(struct files *f, uint32_t file, uint64_t bytes)
{
    content_extend(&f->ptr[file].seen, bytes);
    f->ptr[file].altered = true;
    struct call *call = pending_add(&f->pending, CALL_WRITE, file);
    call->at = f->pending.sector_count;
    call->end = bytes;
}

void files_sync(struct files *f, uint32_t file) { pending_add(&f->pending, CALL_SYNC, file); }

void files_sync_folder(struct files *f, uint32_t folder) { pending_add(&f->pending, CALL_SYNC_FOLDER, folder); }

/* ---- What becomes of it ---- */

static bool is_change(const struct call *call)
{
    return call->kind == CALL_MAKE || call->kind == CALL_RENAME || call->kind == CALL_REMOVE;
}

/* Makes a change of names durable. */
static void apply_change(struct files *f, const struct call *call)
{
    const struct change *change = &f->pending.changes[call->at];
    if (call->kind == CALL_MAKE) {
        names_set(&f->durable, change->from, call->file);
    } else {
        names_remove(&f->durable, change->from);
        if (call->kind == CALL_RENAME)
            names_set(&f->durable, change->to, call->file);
    }
}

/* Makes sector `i` of a write durable. */
static void apply_sector(struct files *f, const struct call *call, size_t i)
{
    struct content *c = &f->ptr[call->file].durable;
    uint64_t end = (call->first + i + 1) * (uint64_t)SECTOR_BYTES;
    content_extend(c, end < call->end ? end : call->end);
    content_put(&f->sectors, c, call->first + i, sector_hold(&f->sectors, f->pending.sectors[call->at + i]));
}

static void apply(struct files *f, const struct call *call)
{
    if (is_change(call))
        apply_change(f, call);
    if (call->kind != CALL_WRITE)
        return;
    content_extend(&f->ptr[call->file].durable, call->end);
    for (size_t i = 0; i < call->count; i++)
        apply_sector(f, call, i);
}

static void drop_sectors(struct files *f, const struct call *call)
{
    for (size_t i = 0; call->kind == CALL_WRITE && i < call->count; i++)
        sector_drop(&f->sectors, f->pending.sectors[call->at + i]);
}

/* Keeps a call that is pending still, after those kept before. */
static void keep_call(struct pending *p, const struct call *call, size_t *kept, size_t *sectors, size_t *changes)
{
    struct call *to = &p->ptr[(*kept)++];
    *to = *call;
    if (call->kind == CALL_WRITE) {
        to->at = *sectors;
        memmove(p->sectors + to->at, p->sectors + call->at, call->count * sizeof *p->sectors);
        *sectors += call->count;
    } else if (is_change(call)) {
        to->at = *changes;
        p->changes[to->at] = p->changes[call->at];
        *changes += 1;
    }
}

/* All pending calls have been carried out: applies those that a sync covers, and keeps the others. */
static void carry_out(struct files *f)
{
    struct pending *p = &f->pending;
    f->mark++;
    for (size_t i = p->count; i > 0; i--) {
        struct call *call = &p->ptr[i - 1];
        uint32_t by = is_change(call) ? p->changes[call->at].folder : call->file;
        if (call->kind == CALL_SYNC || call->kind == CALL_SYNC_FOLDER)
            f->ptr[by].mark = f->mark;
        else
            call->covered = f->ptr[by].mark == f->mark;
    }
    size_t kept = 0, sectors = 0, changes = 0;
    for (size_t i = 0; i < p->count; i++) {
        struct call call = p->ptr[i];
        if (call.kind == CALL_SYNC || call.kind == CALL_SYNC_FOLDER)
            continue;
        if (call.covered) {
            apply(f, &call);
            drop_sectors(f, &call);
        } else {
            keep_call(p, &call, &kept, &sectors, &changes);
        }
    }
    p->count = p->settled = kept;
    p->sector_count = sectors;
    p->change_count = changes;
}

/* Forgets the calls from `from` on. */
static void forget(struct files *f, size_t from)
{
    struct pending *p = &f->pending;
    for (size_t i = from; i < p->count; i++)
        drop_sectors(f, &p->ptr[i]);
    p->count = from;
    p->settled = p->settled < from ? p->settled : from;
}

void files_settle(struct files *f)
{
    struct pending *p = &f->pending;
    carry_out(f);
    if (p->count > UNSYNCED_MAX) {
        for (size_t i = 0; i < p->count; i++)
            apply(f, &p->ptr[i]);
        forget(f, 0);
        p->sector_count = p->change_count = 0;
    }
    collect(f);
}

static bool same_name(const char *a, const char *b) { return a[0] != '\0' && strcmp(a, b) == 0; }

/* Whether a change of names has to do with a name that the file has or had: it is over before that one's. */
static bool shares_name(const struct pending *p, const struct call *call, uint32_t file)
{
    const struct change *a = &p->changes[call->at];
    for (size_t i = 0; is_change(call) && i < p->count; i++) {
        if (p->ptr[i].file != file || !is_change(&p->ptr[i]))
            continue;
        const struct change *b = &p->changes[p->ptr[i].at];
        if (same_name(a->from, b->from) || same_name(a->from, b->to) || same_name(a->to, b->from) || same_name(a->to, b->to))
            return true;
    }
    return false;
}

/* The sync of its folder stays where it is: it covers other names, too, which are not settled yet. */
void files_settle_one(struct files *f, const char *path)
{
    struct pending *p = &f->pending;
    const uint32_t file = files_find(f, path);
    size_t kept = 0, sectors = 0, changes = 0, settled = 0;
    for (size_t i = 0; i < p->count; i++)
        p->ptr[i].covered = p->ptr[i].file == file || shares_name(p, &p->ptr[i], file);
    for (size_t i = 0; i < p->count; i++) {
        struct call call = p->ptr[i];
        if (call.covered) {
            apply(f, &call);
            drop_sectors(f, &call);
        } else {
            settled += i < p->settled;
            keep_call(p, &call, &kept, &sectors, &changes);
        }
    }
    p->count = kept;
    p->settled = settled;
    p->sector_count = sectors;
    p->change_count = changes;
}

void files_fail_sync(struct files *f, uint32_t file)
{
    struct pending *p = &f->pending;
    for (size_t i = p->count; i > 0; i--) {
        struct call *call = &p->ptr[i - 1];
        if (call->file != file || is_change(call))
            continue;
        if (call->kind == CALL_SYNC)
            break;
        /* It stays as a write of nothing. */
        drop_sectors(f, call);
        call->count = 0;
        call->end = 0;
    }
}

/* ---- Power ---- */

/* Whether a write would change what is durable. */
static bool matters(const struct files *f, const struct call *call)
{
    const struct content *c = &f->ptr[call->file].durable;
    for (size_t i = 0; i < call->count; i++) {
        uint32_t before = call->first + i < c->count ? c->sectors[call->first + i] : 0;
        if (f->pending.sectors[call->at + i] != before)
            return true;
    }
    return false;
}

/* Which sectors of a lost write survive. Pages are written back in any order when writes are reordered, and a page whole
 * unless writes are torn; then a torn write ends somewhere. */
struct remains {
    bool reordered, torn;
    bool page;    /* the page at hand survives */
    size_t until; /* the first sector that a torn write has lost */
};

static bool survives(struct remains *r, struct dice *dice, size_t sector, size_t i)
{
    if (!r->reordered)
        return r->torn && i < r->until;
    if (i == 0 || sector % (DISK_PAGE_BYTES / SECTOR_BYTES) == 0)
        r->page = dice_roll(dice, 2) == 0;
    return r->torn ? dice_roll(dice, 2) == 0 : r->page;
}

/* A write is lost, but for what remains. `*lost`: something before it was. */
static void lose_write(struct files *f, const struct call *call, struct remains r, struct losses *l, bool *lost)
{
    const struct content *c = &f->ptr[call->file].durable;
    bool there = false, missing = false;
    r.until = l->dice != NULL ? dice_roll(l->dice, call->count + 1) : 0;
    for (size_t i = 0; i < call->count; i++) {
        uint32_t before = call->first + i < c->count ? c->sectors[call->first + i] : 0;
        bool counts = f->pending.sectors[call->at + i] != before;
        bool stays = l->dice != NULL && survives(&r, l->dice, call->first + i, i);
        if (stays)
            apply_sector(f, call, i);
        there = there || (counts && stays);
        missing = missing || (counts && !stays);
        l->did_reorder = l->did_reorder || (counts && stays && *lost);
        *lost = *lost || (counts && !stays);
    }
    l->did_tear = l->did_tear || (r.torn && there && missing);
}

/* What becomes of the writes that no sync covers. Up to some point they survive, then as the faults have it. */
static void lose_writes(struct files *f, struct losses *l)
{
    struct pending *p = &f->pending;
    bool any = l->reordered || l->torn; /* of them may be lost */
    size_t until = l->dice != NULL && !any ? dice_roll(l->dice, p->count + 1) : 0;
    struct remains remains = {.reordered = l->reordered, .torn = l->torn};
    bool lost = false;
    for (size_t i = 0; i < p->count; i++) {
        const struct call *call = &p->ptr[i];
        if (call->kind != CALL_WRITE)
            continue;
        if (i < until) {
            apply(f, call);
            continue;
        }
        bool first = !lost;
        lose_write(f, call, remains, l, &lost);
        if (lost && first)
            remains.torn = remains.torn && remains.reordered; /* one write is cut in two, not each of them */
    }
    l->did_lose = l->did_lose || lost;
}

/* What becomes of the names that no sync covers: in order, all of them, or some of the first. */
static void lose_names(struct files *f, struct losses *l)
{
    struct pending *p = &f->pending;
    size_t until = l->dice == NULL ? 0 : l->rename ? dice_roll(l->dice, p->count + 1) : p->count;
    for (size_t i = 0; i < p->count; i++) {
        const struct call *call = &p->ptr[i];
        if (!is_change(call))
            continue;
        if (i < until)
            apply_change(f, call);
        else
            l->did_rename = l->did_rename || (l->rename && call->kind == CALL_RENAME);
    }
}

/* What is durable is all that is seen. */
static void forget_cache(struct files *f)
{
    for (size_t i = 0; i < f->count; i++) {
        struct file *file = &f->ptr[i];
        file->handles = 0;
        if (file->altered)
            content_copy(&f->sectors, &file->seen, &file->durable);
        file->altered = false;
    }
    names_copy(&f->seen, &f->durable);
    f->litter = true;
    collect(f);
}

void files_power_loss(struct files *f, struct losses *l)
{
    struct pending *p = &f->pending;
    size_t got_to = p->settled + (l->dice != NULL ? dice_roll(l->dice, p->count - p->settled + 1) : 0);
    for (size_t i = got_to; i < p->count; i++)
        l->did_lose = l->did_lose || (p->ptr[i].kind == CALL_WRITE && matters(f, &p->ptr[i]));
    forget(f, got_to);
    carry_out(f);
    lose_writes(f, l);
    lose_names(f, l);
    forget(f, 0);
    p->sector_count = p->change_count = 0;
    forget_cache(f);
}

/* ---- What else the world does ---- */

void files_clear(struct files *f)
{
    forget(f, 0);
    f->pending.sector_count = f->pending.change_count = 0;
    f->seen.count = f->durable.count = 0;
    forget_cache(f);
}

void files_keep(struct files *f)
{
    image_free(f);
    f->image.files = memory_new(f->count, sizeof *f->image.files);
    f->image.file_count = f->count;
    for (size_t i = 0; i < f->count; i++) {
        struct file *to = &f->image.files[i];
        to->used = f->ptr[i].used;
        to->folder = f->ptr[i].folder;
        content_copy(&f->sectors, &to->durable, &f->ptr[i].durable);
    }
    names_copy(&f->image.names, &f->durable);
    f->has_image = true;
}

void files_put_back(struct files *f)
{
    forget(f, 0);
    f->pending.sector_count = f->pending.change_count = 0;
    f->ptr = memory_reserve(f->ptr, &f->capacity, f->image.file_count, sizeof *f->ptr);
    for (size_t i = f->image.file_count; i < f->count; i++)
        file_free(f, i);
    for (size_t i = f->count; i < f->image.file_count; i++)
        f->ptr[i] = (struct file){0};
    f->count = f->image.file_count;
    for (size_t i = 0; i < f->count; i++) {
        if (!f->image.files[i].used) {
            file_free(f, i);
            continue;
        }
        f->ptr[i].used = true;
        f->ptr[i].folder = f->image.files[i].folder;
        f->ptr[i].altered = true;
        content_copy(&f->sectors, &f->ptr[i].durable, &f->image.files[i].durable);
    }
    names_copy(&f->durable, &f->image.names);
    forget_cache(f);
}

void files_alter(struct files *f, uint32_t file, size_t sector, size_t at, uint8_t byte)
{
    struct file *of = &f->ptr[file];
    uint32_t number = content_altered(&f->sectors, &of->seen, sector, at, &byte, 1);
    content_put(&f->sectors, &of->durable, sector, sector_hold(&f->sectors, number));
    content_put(&f->sectors, &of->seen, sector, number);
}
