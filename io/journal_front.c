#include "io/journal_front.h"

#include <stdio.h>

#include "core/base/memory.h"

enum {
    GROUP_BYTES = 4 << 20,        /* what ships of journal_front_options.group_bytes, */
    MEMORY_GROUP_BYTES = 1 << 20, /* with `durability: memory`, which forgets whole groups, */
    MEMORY_BYTES_MAX = 1 << 30,   /* and of memory_bytes_max */
    ROOM_RETRY_MIN_US = 20000,    /* until what there was no room for is tried again: first, */
    ROOM_RETRY_MAX_US = 1000000,  /* and after doubling at most */
    REMOVE_RETRY_US = 10000000,   /* until a segment is tried again that could not be removed */
};

/* The room on the disk, when there is none. */
struct shortage {
    bool now, told;
    uint64_t since, retry_at, retry_after;
    struct problem problem;
};

/* A segment that is not needed any more. */
struct removal {
    bool now;          /* it is being removed */
    bool failed, told; /* the last time */
    uint64_t retry_at;
    struct problem problem;
};

struct journal_front {
    struct journal_store *store;
    char *folder;
    bool in_memory; /* `durability: memory`: groups never leave the list, but to be forgotten */
    uint64_t group_bytes, memory_bytes_max;
    struct journal_front_group *first, *last;
    struct journal_group unused; /* memory for the next group: of one that is gone */
    uint64_t bytes;              /* of all of them */
    uint64_t last_lsn, durable;
    uint64_t quiet_since; /* when the last group with records was begun to be written */
    bool failed, spare_told;
    struct problem failure;
    struct shortage shortage;
    uint64_t needed_from; /* no record below is needed */
    struct removal removal;
    uint64_t recover_next,
        recover_end; /* lsns for journal_front_recover of `durability: memory`; otherwise the store knows */
    uint64_t memory_groups, memory_records;
    struct journal_result read;
};

/* ---- Groups ---- */

/* A new group at the end of the list. */
static struct journal_front_group *push(struct journal_front *f, bool is_mark)
{
    struct journal_front_group *g = memory_new(1, sizeof *g);
    g->group = f->unused;
    f->unused = (struct journal_group){0};
    journal_group_begin(&g->group, f->last_lsn + 1);
    g->is_mark = is_mark;
    g->state = is_mark ? GROUP_SUBMITTED : GROUP_GATHERING;
    if (f->last != NULL)
        f->last->next = g;
    else
        f->first = g;
    f->last = g;
    f->bytes += g->group.len;
    return g;
}

/* Frees the group to which `*link` points, and has that point to the next one. `last` is the caller's. */
static void drop(struct journal_front *f, struct journal_front_group **link)
{
    struct journal_front_group *g = *link;
    *link = g->next;
    f->bytes -= g->group.len;
    journal_group_free(&f->unused);
    f->unused = (struct journal_group){.words = g->group.words, .capacity = g->group.capacity};
    free(g);
}

static void drop_first(struct journal_front *f)
{
    drop(f, &f->first);
    if (f->first == NULL)
        f->last = NULL;
}

static void forget_oldest(struct journal_front *f)
{
    while (f->bytes > f->memory_bytes_max && f->first != f->last)
        drop_first(f);
}

static uint64_t last_of(const struct journal_front_group *g) { return g->group.first_lsn + g->group.count - 1; }

/* ---- Opening and closing ---- */

bool journal_front_open(struct journal_front **out, const struct journal_front_options *options, uint64_t now,
                        struct problem *problem)
{
    struct journal_front *f = memory_new(1, sizeof *f);
    f->in_memory = options->store.durability == DURABILITY_MEMORY;
    f->group_bytes = options->group_bytes != 0 ? options->group_bytes : f->in_memory ? MEMORY_GROUP_BYTES : GROUP_BYTES;
    f->memory_bytes_max = options->memory_bytes_max != 0 ? options->memory_bytes_max : MEMORY_BYTES_MAX;
    f->quiet_since = now;
    f->recover_next = 1;
    if (!journal_store_open(&f->store, &options->store, problem)) {
        free(f);
        return false;
    }
    f->folder = strdup(options->store.folder);
    invariant(f->folder != NULL);
    f->last_lsn = f->durable = journal_store_last(f->store);
    *out = f;
    return true;
}

void journal_front_close(struct journal_front *f)
{
    while (f->first != NULL)
        drop_first(f);
    journal_store_close(f->store);
    journal_group_free(&f->unused);
    journal_result_free(&f->read);
    free(f->folder);
    free(f);
}

struct journal_store *journal_front_store(const struct journal_front *f) { return f->store; }

/* ---- Appending ---- */

bool journal_front_append(struct journal_front *f, const struct packet *record, struct problem *problem)
{
    struct journal_front_group *g = f->last;
    if (!journal_store_is_open(f->store))
        return problem_set(problem, EXIT_TROUBLE, "journal %s: a record is appended before the journal was read", f->folder);
    if (g == NULL || g->is_mark || g->state > GROUP_SUBMITTED || (g->group.count > 0 && g->group.len >= f->group_bytes))
        g = push(f, false);
    const uint32_t before = g->group.len;
    if (!journal_group_add(&g->group, record))
        return problem_set(problem, EXIT_TROUBLE, "journal %s: record after lsn %llu: too long, or shorter than it says",
                           f->folder, (unsigned long long)f->last_lsn);
    g->state = GROUP_GATHERING;
    f->bytes += g->group.len - before;
    f->last_lsn++;
    if (f->in_memory)
        forget_oldest(f);
    return true;
}

static void submit_group(struct journal_front_group *g)
{
    g->state = GROUP_SUBMITTED;
    g->submitted_count = g->group.count;
    g->submitted_len = g->group.len;
}

bool journal_front_submit(struct journal_front *f)
{
    bool any = false;
    for (struct journal_front_group *g = f->first; g != NULL; g = g->next) {
        if (g->state != GROUP_GATHERING || g->group.count == 0)
            continue;
        submit_group(g);
        any = true;
    }
    if (f->in_memory && f->durable < f->last_lsn) {
        f->memory_groups++;
        f->memory_records += f->last_lsn - f->durable;
        f->durable = f->last_lsn;
    }
    return any;
}

/* A mark, unless there is one at the end already. */
static bool submit_mark(struct journal_front *f)
{
    bool there = f->last != NULL ? f->last->is_mark : journal_store_ends_in_mark(f->store);
    bool wanted = !there && !f->in_memory && !f->failed;
    if (wanted)
        push(f, true);
    return wanted;
}

bool journal_front_idle(struct journal_front *f, uint64_t now)
{
    return f->first == NULL && now - f->quiet_since >= JOURNAL_IDLE_US && submit_mark(f);
}

void journal_front_finish(struct journal_front *f)
{
    journal_front_submit(f);
    submit_mark(f);
}

/* ---- Writing ---- */

struct journal_front_group *journal_front_next(struct journal_front *f, uint64_t now)
{
    struct journal_front_group *g = f->first;
    while (g != NULL && g->state == GROUP_WRITTEN)
        g = g->next;
    bool waits = g != NULL && (g->state == GROUP_SUBMITTED || g->state == GROUP_REFUSED);
    if (!waits || f->in_memory || f->failed || (f->shortage.now && now < f->shortage.retry_at))
        return NULL;
    g->state = GROUP_IN_FLIGHT;
    journal_store_truncate(f->store, f->needed_from);
    if (g->group.count > 0)
        f->quiet_since = now;
    return g;
}

uint64_t journal_front_retry_at(const struct journal_front *f)
{
    return f->shortage.now && !f->failed ? f->shortage.retry_at : UINT64_MAX;
}

bool journal_front_room(struct journal_front *f, const struct journal_front_group *g, struct problem *problem)
{
    return journal_store_room(f->store, &g->group, problem);
}

bool journal_front_write(struct journal_front *f, struct journal_front_group *g, struct problem *problem)
{
    return journal_store_room(f->store, &g->group, problem) &&
           journal_store_write(f->store, &g->group, &g->written, problem);
}

static void no_room(struct shortage *s, const struct problem *problem, uint64_t now)
{
    uint64_t next = s->retry_after * 2 < ROOM_RETRY_MAX_US ? s->retry_after * 2 : ROOM_RETRY_MAX_US;
    s->since = s->now ? s->since : now;
    s->retry_after = s->now ? next : ROOM_RETRY_MIN_US;
    s->retry_at = now + s->retry_after;
    s->problem = *problem;
    s->now = true;
}

void journal_front_written(struct journal_front *f, struct journal_front_group *g, const struct problem *problem,
                           uint64_t now)
{
    if (problem == NULL) {
        g->state = GROUP_WRITTEN;
        f->durable = last_of(g);
        f->shortage.now = false;
    } else if (problem->no_room) {
        g->state = GROUP_REFUSED;
        no_room(&f->shortage, problem, now);
    } else {
        journal_front_fail(f, problem);
    }
}

bool journal_front_retire(struct journal_front *f)
{
    bool moved = false;
    while (f->first != NULL && f->first->state == GROUP_WRITTEN) {
        journal_store_note(f->store, &f->first->written);
        moved = moved || f->first->group.count > 0;
        drop_first(f);
    }
    return moved;
}

/* ---- Removing ---- */

void journal_front_truncate(struct journal_front *f, uint64_t lsn)
{
    const uint64_t from = lsn < f->durable ? lsn : f->durable;
    if (from > f->needed_from)
        f->needed_from = from;
}

uint64_t journal_front_removal(struct journal_front *f, uint64_t now)
{
    struct removal *r = &f->removal;
    if (r->now || (r->failed && now < r->retry_at))
        return 0;
    const uint64_t first_lsn = journal_store_removable(f->store);
    r->now = first_lsn != 0;
    return first_lsn;
}

void journal_front_removed(struct journal_front *f, const struct problem *problem, uint64_t now)
{
    struct removal *r = &f->removal;
    r->now = false;
    r->failed = problem != NULL;
    if (problem == NULL) {
        journal_store_removed(f->store);
        r->told = false;
    } else {
        r->problem = *problem;
        r->retry_at = now + REMOVE_RETRY_US;
    }
}

/* ---- Trouble ---- */

void journal_front_fail(struct journal_front *f, const struct problem *problem)
{
    if (!f->failed)
        f->failure = *problem;
    f->failed = true;
}

const struct problem *journal_front_failure(const struct journal_front *f) { return f->failed ? &f->failure : NULL; }

bool journal_front_has_room(const struct journal_front *f) { return !f->shortage.now; }

enum journal_notice journal_front_notice(struct journal_front *f, const struct problem *spare, uint64_t now, char *text,
                                         size_t size)
{
    struct shortage *s = &f->shortage;
    bool spare_told = f->spare_told;
    f->spare_told = spare != NULL;
    if (spare != NULL && !spare_told) {
        snprintf(text, size, "%s", spare->text);
        return JOURNAL_NOTICE_SPARE;
    }
    if (f->removal.failed && !f->removal.told) {
        f->removal.told = true;
        snprintf(text, size, "%s; it is tried again", f->removal.problem.text);
        return JOURNAL_NOTICE_REMOVAL;
    }
    if (s->now == s->told)
        return JOURNAL_NOTICE_NONE;
    s->told = s->now;
    if (s->now)
        snprintf(text, size, "%s; no record becomes durable until there is room, which is looked for again and again",
                 s->problem.text);
    else
        snprintf(text, size, "there is room again, after %llu ms", (unsigned long long)(now - s->since) / 1000);
    return JOURNAL_NOTICE_ROOM;
}

/* ---- Asking ---- */

uint64_t journal_front_durable(const struct journal_front *f) { return f->durable; }

uint64_t journal_front_last(const struct journal_front *f) { return f->last_lsn; }

bool journal_front_settled(const struct journal_front *f) { return f->first == NULL || f->in_memory; }

struct journal_store_statistics journal_front_statistics(const struct journal_front *f)
{
    struct journal_store_statistics statistics = journal_store_statistics(f->store);
    statistics.groups += f->memory_groups;
    statistics.records += f->memory_records;
    return statistics;
}

/* ---- Reading back ---- */

/* Adds what the groups have from lsn `*from` on, and moves `*from` after it. */
static bool take_kept(struct journal_front *f, uint64_t *from, uint64_t bytes_max, struct problem *problem)
{
    struct journal_result *r = &f->read;
    if (f->first == NULL || *from < f->first->group.first_lsn)
        return problem_set(problem, EXIT_DATA, "journal %s: lsn %llu is no longer kept: durability memory keeps %llu bytes",
                           f->folder, (unsigned long long)*from, (unsigned long long)f->memory_bytes_max);
    for (struct journal_front_group *g = f->first; g != NULL && (r->count == 0 || r->bytes < bytes_max); g = g->next)
        if (*from >= g->group.first_lsn && *from <= last_of(g))
            journal_result_take(r, &g->group, from, bytes_max);
    return true;
}

bool journal_front_read(struct journal_front *f, uint64_t from, uint64_t bytes_max, struct packet_list *out,
                        struct problem *problem)
{
    bool ok = true;
    journal_result_clear(&f->read);
    if (from > 0 && from <= f->last_lsn)
        ok = journal_store_collect(f->store, &f->read, &from, bytes_max, problem);
    if (ok && from > journal_store_last(f->store) && from <= f->last_lsn)
        ok = take_kept(f, &from, bytes_max, problem);
    *out = journal_result_packets(&f->read);
    return ok;
}

/* The first time, the end of the journal is known when all of it has been read. */
static bool recover_from_store(struct journal_front *f, struct packet_list *out, struct problem *problem)
{
    const bool was_open = journal_store_is_open(f->store);
    const bool ok = journal_store_recover(f->store, out, problem);
    if (!was_open && journal_store_is_open(f->store))
        f->last_lsn = f->durable = journal_store_last(f->store);
    return ok;
}

bool journal_front_recover(struct journal_front *f, struct packet_list *out, struct problem *problem)
{
    bool ok = true;
    if (!f->in_memory)
        return recover_from_store(f, out, problem);
    journal_result_clear(&f->read);
    if (f->recover_next <= f->recover_end)
        ok = take_kept(f, &f->recover_next, f->group_bytes, problem);
    *out = journal_result_packets(&f->read);
    while (out->len > 0 && out->ptr[out->len - 1].id > f->recover_end)
        out->len--; /* appended by this life already */
    return ok;
}

/* ---- Another life of the node ---- */

/* Takes back what was added to a group after it was submitted. */
static void cut_back(struct journal_front *f, struct journal_front_group *g)
{
    f->bytes -= g->group.len - g->submitted_len;
    g->group.count = g->submitted_count;
    g->group.len = g->submitted_len;
    g->state = GROUP_SUBMITTED;
}

void journal_front_forsake(struct journal_front *f)
{
    struct journal_front_group **end = &f->first;
    f->last = NULL;
    while (*end != NULL && ((*end)->state != GROUP_GATHERING || (*end)->submitted_count > 0)) {
        f->last = *end;
        end = &f->last->next;
    }
    while (*end != NULL)
        drop(f, end);
    if (f->last != NULL && f->last->state == GROUP_GATHERING) /* the life that died was adding to it */
        cut_back(f, f->last);
    f->last_lsn = f->last != NULL ? last_of(f->last) : journal_store_last(f->store);
}

void journal_front_reborn(struct journal_front *f, uint32_t incarnation, uint64_t now)
{
    invariant(journal_front_settled(f));
    journal_store_reborn(f->store, incarnation);
    f->quiet_since = now;
    f->recover_next = 1;
    f->recover_end = f->last_lsn;
}
