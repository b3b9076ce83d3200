/* Reading back, through a sparse index: one entry for each 256 KiB, from which the groups are walked. What is read is
 * checked again and copied out, so that it stays valid whatever is written meanwhile. */
#include "io/journal_store_internal.h"

/* ---- Records that are copied out ---- */

void journal_result_clear(struct journal_result *r)
{
    r->count = 0;
    r->words_len = 0;
    r->bytes = 0;
}

void journal_result_add(struct journal_result *r, const struct packet *record)
{
    size_t words = words_for(record->len);
    r->packets = memory_reserve(r->packets, &r->packets_capacity, r->count + 1, sizeof *r->packets);
    r->at = memory_reserve(r->at, &r->at_capacity, r->count + 1, sizeof *r->at);
    r->words = memory_reserve(r->words, &r->words_capacity, r->words_len + words + 1, sizeof *r->words);
    if (words > 0)
        memcpy(r->words + r->words_len, record->words.ptr, words * sizeof *r->words);
    r->packets[r->count] = *record;
    r->packets[r->count].words = (struct words){.len = words};
    r->at[r->count] = r->words_len;
    r->count++;
    r->words_len += words;
    r->bytes += record->len;
}

void journal_result_take(struct journal_result *r, const struct journal_group *g, uint64_t *from, uint64_t bytes_max)
{
    struct packet record;
    uint32_t offset = 0;
    for (uint32_t index = 0; (r->count == 0 || r->bytes < bytes_max) && journal_group_next(g, &offset, &index, &record);) {
        if (record.id != *from)
            continue;
        journal_result_add(r, &record);
        *from += 1;
    }
}

struct packet_list journal_result_packets(struct journal_result *r)
{
    for (size_t i = 0; i < r->count; i++)
        r->packets[i].words.ptr = r->words + r->at[i];
    return (struct packet_list){.ptr = r->packets, .len = r->count};
}

void journal_result_free(struct journal_result *r)
{
    free(r->packets);
    free(r->at);
    free(r->words);
    *r = (struct journal_result){0};
}

/* ---- From the segments ---- */

static bool read_source(void *context, size_t segment, uint64_t offset, void *to, size_t len)
{
    struct journal_store *s = context;
    int file = journal_store_segment(s, &s->reading, segment);
    return file >= 0 && disk_read(s->disk, file, offset, to, len) == (int64_t)len;
}

/* Where to begin in order to find `lsn`, which is kept: at the last index entry at or below it, or where the last read
 * stopped when that is nearer. */
static struct index_entry locate(const struct journal_store *s, uint64_t lsn)
{
    struct index_entry found = {.lsn = s->files[0].first_lsn, .offset = s->files[0].header_bytes};
    size_t low = 0, high = s->index_count; /* entries before `low` are at or below it, those from `high` on are not */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->index[middle].lsn <= lsn)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0)
        found = s->index[low - 1];
    bool nearer = s->read_next.lsn <= lsn && s->read_next.lsn > found.lsn;
    return nearer ? s->read_next : found;
}

static bool read_failed(const struct journal_store *s, enum journal_fault fault, const struct index_entry *at,
                        struct problem *problem)
{
    char *path = journal_segment_path(s->folder, s->files[at->segment].first_lsn);
    problem_set(problem, EXIT_DATA, "journal %s: offset %llu: reading back: %s", path, (unsigned long long)at->offset,
                journal_fault_text(fault));
    free(path);
    return false;
}

bool journal_store_collect(struct journal_store *s, struct journal_result *r, uint64_t *from, uint64_t bytes_max,
                           struct problem *problem)
{
    struct journal_source source = {.read = read_source, .context = s};
    if (s->file_count == 0 || *from < s->files[0].first_lsn)
        return true;
    struct index_entry at = locate(s, *from);
    while (*from <= s->last_lsn && (r->count == 0 || r->bytes < bytes_max)) {
        struct journal_group *g = &s->read_group;
        /* What is left of a segment whose records are all passed can only be a mark. */
        if (at.segment + 1 < s->file_count && at.lsn == s->files[at.segment + 1].first_lsn) {
            at.segment++;
            at.offset = s->files[at.segment].header_bytes;
        }
        enum journal_fault fault = journal_group_load(g, source, &s->owner, s->files, at.segment, at.offset);
        if (fault == JOURNAL_SOUND && g->first_lsn != at.lsn)
            fault = JOURNAL_GROUP_GAP;
        if (fault != JOURNAL_SOUND)
            return read_failed(s, fault, &at, problem);
        journal_result_take(r, g, from, bytes_max);
        s->read_next = at;
        at.lsn += g->count;
        at.offset += journal_pages(g->len);
        if (*from < at.lsn)
            break; /* full in the middle of this group */
        s->read_next = at;
    }
    return true;
}

bool journal_store_inherited(struct journal_store *s, struct problem *problem)
{
    const struct journal_file *file = &s->files[0];
    const struct index_entry at = {0};
    struct journal_group *g = &s->read_group; /* its memory */
    struct journal_segment header;
    struct journal_sticky inherited = {0};
    journal_group_reserve(g, file->header_bytes);
    enum journal_fault fault = JOURNAL_READ_FAILED;
    if (read_source(s, 0, 0, g->words, file->header_bytes))
        fault = journal_segment_read(g->words, file->header_bytes, &s->owner, file->first_lsn, file->bytes, &header);
    if (fault != JOURNAL_SOUND)
        return read_failed(s, fault, &at, problem);
    journal_segment_sticky(g->words, &header, &inherited);
    for (size_t i = 0; i < inherited.len; i++)
        journal_result_add(&s->recovered, &inherited.ptr[i]);
    journal_sticky_free(&inherited);
    return true;
}
