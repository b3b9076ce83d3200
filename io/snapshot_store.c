#include "io/snapshot_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "io/snapshot_writer.h"

enum { NAME_MAX_BYTES = 96 };

/* What the open file is for. */
enum writing { WRITES_NONE, WRITES_OWN, WRITES_RECEIVED };

struct snapshot_store {
    struct snapshot_store_options options;
    char *data_folder, *folder;
    struct snapshot_stored *list; /* the newest first */
    size_t count, capacity;
    struct snapshot_stored lent; /* to a peer, and no longer in the list; slot 0: none */
    uint32_t lent_left;          /* so many may still be stored before it goes */
    uint64_t read_slot;          /* what a peer has read last since one was stored; 0: nothing */
    enum writing writing;
    struct snapshot_writer writer; /* its file is that of what is received, too */
    struct snapshot_stored wanted; /* size and checksum: of what is received */
    bool folder_made;
    bool unread; /* of some snapshot */
};

static struct disk *disk_of(const struct snapshot_store *s) { return s->options.disk; }

static void notice(const struct snapshot_store *s, const struct problem *problem, const char *consequence)
{
    char text[sizeof problem->text + 128];
    snprintf(text, sizeof text, "%s%s", problem->text, consequence);
    s->options.on_notice(s->options.context, text);
}

/* ---- Names ---- */

static void name_of(uint64_t slot, const char *ending, char out[NAME_MAX_BYTES])
{
    snprintf(out, NAME_MAX_BYTES, "snapshot-%020" PRIu64 "%s", slot, ending);
}

static void name_of_received(const struct snapshot_stored *w, char out[NAME_MAX_BYTES])
{
    snprintf(out, NAME_MAX_BYTES, "received-%020" PRIu64 "-%" PRIu64 "-%016" PRIx64 ".part", w->slot, w->size, w->checksum);
}

static char *path_of(const struct snapshot_store *s, uint64_t slot, const char *ending)
{
    char name[NAME_MAX_BYTES];
    name_of(slot, ending, name);
    return disk_path(s->folder, name);
}

/* That of the file that is being written. */
static char *path_of_part(const struct snapshot_store *s)
{
    char name[NAME_MAX_BYTES];
    if (s->writing == WRITES_RECEIVED)
        name_of_received(&s->wanted, name);
    else
        name_of(s->wanted.slot, ".part", name);
    return disk_path(s->folder, name);
}

static bool trouble(const struct snapshot_store *s, uint64_t slot, const char *what, int64_t error, struct problem *problem)
{
    char name[NAME_MAX_BYTES];
    name_of(slot, "", name);
    return problem_set_error(problem, EXIT_DATA, error, "%s/%s: %s", s->folder, name, what);
}

static void remove_name(struct snapshot_store *s, const char *name)
{
    char *path = disk_path(s->folder, name);
    disk_remove(disk_of(s), path);
    free(path);
}

static void remove_slot(struct snapshot_store *s, uint64_t slot, const char *ending)
{
    char name[NAME_MAX_BYTES];
    name_of(slot, ending, name);
    remove_name(s, name);
}

/* ---- The list ---- */

static void note(struct snapshot_store *s, const struct snapshot_stored *stored)
{
    size_t at = 0;
    while (at < s->count && s->list[at].slot > stored->slot)
        at++;
    if (at == s->count || s->list[at].slot != stored->slot) {
        s->list = memory_reserve(s->list, &s->capacity, s->count + 1, sizeof *s->list);
        memmove(s->list + at + 1, s->list + at, (s->count - at) * sizeof *s->list);
        s->count++;
    }
    s->list[at] = *stored;
}

const struct snapshot_stored *snapshot_store_list(const struct snapshot_store *s, size_t *count)
{
    *count = s->count;
    return s->list;
}

const struct snapshot_stored *snapshot_store_find(const struct snapshot_store *s, uint64_t slot)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].slot == slot)
            return &s->list[i];
    return NULL;
}

const struct snapshot_stored *snapshot_store_lend(struct snapshot_store *s, uint64_t slot)
{
    const struct snapshot_stored *found = s->lent.slot == slot && slot != 0 ? &s->lent : snapshot_store_find(s, slot);
    if (found != NULL)
        s->read_slot = slot;
    return found;
}

bool snapshot_store_unread(const struct snapshot_store *s) { return s->unread; }

/* The list goes on without this slot. */
static void forget(struct snapshot_store *s, uint64_t slot)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].slot != slot)
            s->list[kept++] = s->list[i];
    s->count = kept;
}

void snapshot_store_leave_out(struct snapshot_store *s, uint64_t slot)
{
    forget(s, slot);
    s->unread = true;
}

/* ---- Files by their endings ---- */

/* Of a name that is not exactly as this program makes it, nothing is believed. */
enum snapshot_file snapshot_file_of(const char *name, struct snapshot_stored *w)
{
    static const char *const endings[] = {
        [SNAPSHOT_FILE_WHOLE] = "", [SNAPSHOT_FILE_PART] = ".part", [SNAPSHOT_FILE_DAMAGED] = ".damaged"};
    char again[NAME_MAX_BYTES];
    *w = (struct snapshot_stored){0};
    if (sscanf(name, "snapshot-%20" SCNu64, &w->slot) == 1) {
        for (enum snapshot_file kind = SNAPSHOT_FILE_WHOLE; kind <= SNAPSHOT_FILE_DAMAGED; kind++) {
            name_of(w->slot, endings[kind], again);
            if (strcmp(name, again) == 0)
                return kind;
        }
    }
    if (sscanf(name, "received-%20" SCNu64 "-%20" SCNu64 "-%16" SCNx64, &w->slot, &w->size, &w->checksum) != 3)
        return SNAPSHOT_FILES;
    name_of_received(w, again);
    return strcmp(name, again) == 0 ? SNAPSHOT_FILE_RECEIVED : SNAPSHOT_FILES;
}

struct found {
    struct snapshot_stored *ptr[SNAPSHOT_FILES];
    size_t count[SNAPSHOT_FILES], capacity[SNAPSHOT_FILES];
};

static void look_at(void *context, const char *name)
{
    struct found *f = context;
    struct snapshot_stored w;
    enum snapshot_file kind = snapshot_file_of(name, &w);
    if (kind == SNAPSHOT_FILES)
        return;
    f->ptr[kind] = memory_reserve(f->ptr[kind], &f->capacity[kind], f->count[kind] + 1, sizeof w);
    f->ptr[kind][f->count[kind]++] = w;
}

static void found_free(struct found *f)
{
    for (enum snapshot_file kind = 0; kind < SNAPSHOT_FILES; kind++)
        free(f->ptr[kind]);
}

/* No folder: no files. */
static int find_files(const struct snapshot_store *s, struct found *f)
{
    *f = (struct found){0};
    int error = disk_list(disk_of(s), s->folder, look_at, f);
    return error == -ENOENT ? 0 : error;
}

/* Removes what was received but for what goes by this name; NULL: all of it. What cannot be listed stays a while. */
static void remove_received(struct snapshot_store *s, const char *but)
{
    struct found f;
    char name[NAME_MAX_BYTES];
    find_files(s, &f);
    for (size_t i = 0; i < f.count[SNAPSHOT_FILE_RECEIVED]; i++) {
        name_of_received(&f.ptr[SNAPSHOT_FILE_RECEIVED][i], name);
        if (but == NULL || strcmp(name, but) != 0)
            remove_name(s, name);
    }
    found_free(&f);
}

void snapshot_store_set_aside(struct snapshot_store *s, uint64_t slot)
{
    struct found f;
    find_files(s, &f);
    for (size_t i = 0; i < f.count[SNAPSHOT_FILE_DAMAGED]; i++)
        remove_slot(s, f.ptr[SNAPSHOT_FILE_DAMAGED][i].slot, ".damaged");
    found_free(&f);
    char *from = path_of(s, slot, ""), *to = path_of(s, slot, ".damaged");
    disk_rename(disk_of(s), from, to);
    free(from);
    free(to);
    forget(s, slot);
}

/* ---- Opening ---- */

/* Takes a snapshot into the list, if its header and its end are sound. */
static void examine(struct snapshot_store *s, uint64_t slot)
{
    struct snapshot_stored stored = {.slot = slot};
    struct problem problem;
    char *path = path_of(s, slot, "");
    enum snapshot_read read =
        snapshot_reader_peek(disk_of(s), path, s->options.cluster, slot, &stored.size, &stored.checksum, &problem);
    free(path);
    if (read == SNAPSHOT_READ_PIECE) {
        note(s, &stored);
    } else if (read == SNAPSHOT_READ_DAMAGED) {
        notice(s, &problem, "; this snapshot is set aside");
        snapshot_store_set_aside(s, slot);
    } else {
        notice(s, &problem, "; this snapshot does not count");
        s->unread = true;
    }
}

/* Only the newest one that was being received is gone on with. */
static void tidy_parts(struct snapshot_store *s, const struct found *f)
{
    const struct snapshot_stored *newest = NULL;
    char name[NAME_MAX_BYTES];
    for (size_t i = 0; i < f->count[SNAPSHOT_FILE_PART]; i++)
        remove_slot(s, f->ptr[SNAPSHOT_FILE_PART][i].slot, ".part");
    for (size_t i = 0; i < f->count[SNAPSHOT_FILE_RECEIVED]; i++) {
        const struct snapshot_stored *w = &f->ptr[SNAPSHOT_FILE_RECEIVED][i];
        newest = newest == NULL || w->slot > newest->slot ? w : newest;
    }
    if (newest == NULL)
        return;
    name_of_received(newest, name);
    remove_received(s, name);
}

bool snapshot_store_open(struct snapshot_store **out, const struct snapshot_store_options *options, struct problem *problem)
{
    invariant(options->keep > 0 && options->keep <= SNAPSHOT_KEEP_MAX);
    struct snapshot_store *s = memory_new(1, sizeof *s);
    struct found found;
    s->options = *options;
    s->options.data_folder = s->data_folder = strdup(options->data_folder);
    invariant(s->data_folder != NULL);
    s->folder = disk_path(options->data_folder, "snapshots");
    int error = find_files(s, &found);
    if (error == 0) {
        for (size_t i = 0; i < found.count[SNAPSHOT_FILE_WHOLE]; i++)
            examine(s, found.ptr[SNAPSHOT_FILE_WHOLE][i].slot);
        tidy_parts(s, &found);
        *out = s;
    } else {
        problem_set_error(problem, EXIT_DATA, error, "%s: ", s->folder);
        snapshot_store_close(s);
    }
    found_free(&found);
    return error == 0;
}

void snapshot_store_close(struct snapshot_store *s)
{
    if (s == NULL)
        return;
    snapshot_store_give_up(s);
    free(s->list);
    snapshot_writer_free(&s->writer);
    free(s->folder);
    free(s->data_folder);
    free(s);
}

/* ---- Writing ---- */

bool snapshot_store_writes(const struct snapshot_store *s) { return s->writing == WRITES_OWN; }
bool snapshot_store_receives(const struct snapshot_store *s) { return s->writing == WRITES_RECEIVED; }

static void close_part(struct snapshot_store *s, bool removes)
{
    if (s->writing == WRITES_NONE)
        return;
    char *path = path_of_part(s);
    snapshot_writer_close(&s->writer);
    if (removes)
        disk_remove(disk_of(s), path);
    free(path);
    s->writing = WRITES_NONE;
}

void snapshot_store_give_up(struct snapshot_store *s) { close_part(s, s->writing == WRITES_OWN); }

void snapshot_store_reject(struct snapshot_store *s) { close_part(s, true); }

uint64_t snapshot_store_received(const struct snapshot_store *s)
{
    struct found f;
    uint64_t slot = 0;
    if (s->writing == WRITES_RECEIVED)
        return 0;
    find_files(s, &f);
    if (f.count[SNAPSHOT_FILE_RECEIVED] > 0)
        slot = f.ptr[SNAPSHOT_FILE_RECEIVED][0].slot;
    found_free(&f);
    return slot;
}

void snapshot_store_discard(struct snapshot_store *s)
{
    if (s->writing != WRITES_RECEIVED)
        remove_received(s, NULL);
}

/* Gives up the snapshot because of an error. */
static bool fail(struct snapshot_store *s, const char *what, int64_t error, struct problem *problem)
{
    close_part(s, true);
    return trouble(s, s->wanted.slot, what, error, problem);
}

/* Makes the folder, durably. */
static bool make_folder(struct snapshot_store *s, struct problem *problem)
{
    if (s->folder_made)
        return true;
    int error = disk_make_folder(disk_of(s), s->folder);
    if (error == 0 || error == -EEXIST)
        error = disk_sync_folder(disk_of(s), s->options.data_folder);
    s->folder_made = error == 0;
    return error == 0 || problem_set_error(problem, EXIT_DATA, error, "%s: ", s->folder);
}

/* Opens the file that is to be written. */
static bool open_part(struct snapshot_store *s, enum writing writing, enum disk_open how, struct problem *problem)
{
    s->writing = writing;
    char *path = path_of_part(s);
    const int error = snapshot_writer_open(&s->writer, disk_of(s), path, how);
    free(path);
    if (error == 0)
        return true;
    s->writing = WRITES_NONE;
    s->folder_made = false; /* perhaps it is not there any more */
    return trouble(s, s->wanted.slot, "", error, problem);
}

bool snapshot_store_begin(struct snapshot_store *s, uint64_t slot, struct problem *problem)
{
    close_part(s, true);
    s->wanted = (struct snapshot_stored){.slot = slot};
    if (!make_folder(s, problem))
        return false;
    remove_received(s, NULL);
    if (!open_part(s, WRITES_OWN, DISK_MAKE, problem))
        return false;
    const int error = snapshot_writer_begin(&s->writer, s->options.cluster, slot);
    return error == 0 || fail(s, "write: ", error, problem);
}

bool snapshot_store_add(struct snapshot_store *s, enum snapshot_piece_kind kind, const void *body, uint32_t len,
                        struct problem *problem)
{
    invariant(s->writing == WRITES_OWN);
    const int error = snapshot_writer_add(&s->writer, kind, body, len);
    return error == 0 || fail(s, "write: ", error, problem);
}

/* What was lent goes when no peer reads it any more, or has for long. */
static void end_lending(struct snapshot_store *s)
{
    if (s->lent.slot == 0 || (s->read_slot == s->lent.slot && s->lent_left-- > 0))
        return;
    remove_slot(s, s->lent.slot, "");
    s->lent.slot = 0;
}

/* Removes what is older than the newest ones. A file that cannot be removed is tried again in the next life. */
static void remove_older(struct snapshot_store *s)
{
    const size_t kept = s->count < s->options.keep ? s->count : s->options.keep;
    end_lending(s);
    for (size_t i = kept; i < s->count; i++) {
        if (s->list[i].slot != s->read_slot || s->lent.slot != 0) {
            remove_slot(s, s->list[i].slot, "");
            continue;
        }
        s->lent = s->list[i];
        s->lent_left = SNAPSHOT_LENT_MAX;
    }
    s->count = kept;
    s->read_slot = 0;
}

/* Makes the file that was written durable, under its name. */
static bool make_durable(struct snapshot_store *s, struct problem *problem)
{
    int error = disk_sync(disk_of(s), s->writer.file);
    if (error != 0)
        return fail(s, "sync: ", error, problem);
    char *part = path_of_part(s), *whole = path_of(s, s->wanted.slot, "");
    error = disk_rename(disk_of(s), part, whole);
    close_part(s, error != 0);
    free(part);
    free(whole);
    if (error != 0)
        return trouble(s, s->wanted.slot, "", error, problem);
    error = disk_sync_folder(disk_of(s), s->folder);
    if (error != 0)
        return trouble(s, s->wanted.slot, "its folder: ", error, problem);
    if (s->lent.slot == s->wanted.slot)
        s->lent.slot = 0; /* it is kept for this node again */
    note(s, &s->wanted);
    remove_older(s);
    return true;
}

bool snapshot_store_commit(struct snapshot_store *s, struct snapshot_stored *stored, struct problem *problem)
{
    invariant(s->writing == WRITES_OWN);
    const int error = snapshot_writer_end(&s->writer);
    if (error != 0)
        return fail(s, "write: ", error, problem);
    s->wanted.size = s->writer.place.offset;
    s->wanted.checksum = s->writer.place.checksum;
    *stored = s->wanted;
    return make_durable(s, problem);
}

/* ---- Receiving ---- */

bool snapshot_store_receive(struct snapshot_store *s, const struct snapshot_stored *wanted, uint64_t *has,
                            struct problem *problem)
{
    char name[NAME_MAX_BYTES];
    snapshot_store_give_up(s);
    s->wanted = *wanted;
    if (!make_folder(s, problem))
        return false;
    name_of_received(wanted, name);
    remove_received(s, name);
    char *path = disk_path(s->folder, name);
    int64_t size = disk_size(disk_of(s), path);
    free(path);
    bool goes_on = size >= 0 && (uint64_t)size <= wanted->size;
    *has = goes_on ? (uint64_t)size : 0;
    return open_part(s, WRITES_RECEIVED, goes_on ? DISK_WRITE : DISK_MAKE, problem);
}

bool snapshot_store_take(struct snapshot_store *s, uint64_t offset, const void *bytes, uint32_t len, struct problem *problem)
{
    invariant(s->writing == WRITES_RECEIVED && offset <= s->wanted.size && len <= s->wanted.size - offset);
    const int error = snapshot_writer_bytes(&s->writer, offset, bytes, len);
    return error == 0 || fail(s, "write: ", error, problem);
}

enum snapshot_read snapshot_store_check(const struct snapshot_store *s, struct snapshot_reader *r, struct problem *problem)
{
    invariant(s->writing == WRITES_RECEIVED);
    char *path = path_of_part(s);
    enum snapshot_read read = snapshot_reader_open(r, disk_of(s), path, s->options.cluster, s->wanted.slot, problem);
    free(path);
    return read;
}

bool snapshot_store_finish(struct snapshot_store *s, struct snapshot_stored *stored, struct problem *problem)
{
    invariant(s->writing == WRITES_RECEIVED);
    *stored = s->wanted;
    return make_durable(s, problem);
}

/* ---- Reading ---- */

enum snapshot_read snapshot_store_read(const struct snapshot_store *s, uint64_t slot, struct snapshot_reader *r,
                                       struct problem *problem)
{
    char *path = path_of(s, slot, "");
    enum snapshot_read read = snapshot_reader_open(r, disk_of(s), path, s->options.cluster, slot, problem);
    free(path);
    return read;
}

int64_t snapshot_store_bytes(const struct snapshot_store *s, uint64_t slot, uint64_t offset, void *to, size_t len,
                             struct problem *problem)
{
    char *path = path_of(s, slot, "");
    int file = disk_open(disk_of(s), path, DISK_READ);
    int64_t n = file < 0 ? file : disk_read(disk_of(s), file, offset, to, len);
    if (file >= 0)
        disk_close(disk_of(s), file);
    free(path);
    if (n < 0)
        problem_set_error(problem, EXIT_DATA, n, "%s/snapshot-%020" PRIu64 ": at byte %" PRIu64 ": ", s->folder, slot,
                          offset);
    return n;
}
