/* Reading back. Up to `retired_lsn` records come from the segments (through a sparse index: one entry for each 256 KiB,
 * from which the groups are walked), above it from the buffers that are gathered, waiting or in flight. All are checked
 * again and copied out, so that what is returned stays valid whatever the worker does. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "host/journal_internal.h"

void journal_result_add(struct result *r, const struct packet *record)
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
}

struct packet_list journal_result_packets(struct result *r)
{
    for (size_t i = 0; i < r->count; i++)
        r->packets[i].words.ptr = r->words + r->at[i];
    return (struct packet_list){.ptr = r->packets, .len = r->count};
}

void journal_result_free(struct result *r)
{
    free(r->packets);
    free(r->at);
    free(r->words);
    *r = (struct result){0};
}

bool journal_read_bytes(int fd, uint64_t offset, void *to, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(fd, (char *)to + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool read_source(void *context, size_t segment, uint64_t offset, void *to, size_t len)
{
    struct journal *j = context;
    if (j->read_fd < 0 || j->read_segment != segment) {
        if (j->read_fd >= 0)
            close(j->read_fd);
        char *path = journal_segment_path(j->folder, j->files[segment].first_lsn);
        j->read_fd = open(path, O_RDONLY | O_CLOEXEC);
        j->read_segment = segment;
        free(path);
    }
    return j->read_fd >= 0 && journal_read_bytes(j->read_fd, offset, to, len);
}

/* The last index entry at or below `lsn`, or where the last read stopped when that is nearer. */
static struct index_entry locate(const struct journal *j, uint64_t lsn)
{
    size_t low = 0, high = j->index_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (j->index[middle].lsn <= lsn)
            low = middle;
        else
            high = middle;
    }
    bool nearer = j->read_next.lsn <= lsn && j->read_next.lsn > j->index[low].lsn;
    return nearer ? j->read_next : j->index[low];
}

/* Adds the records of a group from `*from` on; moves it past those added. */
static void take(struct result *out, const struct journal_group *g, uint64_t *from, uint64_t bytes_max, uint64_t *bytes)
{
    struct packet record;
    uint32_t offset = 0;
    for (uint32_t index = 0; (out->count == 0 || *bytes < bytes_max) && journal_group_next(g, &offset, &index, &record);) {
        if (record.id != *from)
            continue;
        journal_result_add(out, &record);
        *bytes += record.len;
        *from += 1;
    }
}

static void read_forgotten(struct journal *j, uint64_t lsn)
{
    struct problem problem;
    problem_set(&problem, EXIT_DATA, "journal %s: lsn %llu is no longer kept: durability memory keeps %u bytes", j->folder,
                (unsigned long long)lsn, (unsigned)MEMORY_BYTES_MAX);
    journal_fail(j, &problem);
}

static void read_failed(struct journal *j, enum journal_fault fault, const struct index_entry *at)
{
    struct problem problem;
    char *path = journal_segment_path(j->folder, j->files[at->segment].first_lsn);
    problem_set(&problem, EXIT_DATA, "journal %s: offset %llu: reading back: %s", path, (unsigned long long)at->offset,
                journal_fault_text(fault));
    free(path);
    journal_fail(j, &problem);
}

/* Records up to retired_lsn. False: the journal has failed. */
static bool collect_files(struct journal *j, struct result *out, uint64_t *from, uint64_t bytes_max, uint64_t *bytes)
{
    struct journal_source source = {.read = read_source, .context = j};
    struct index_entry at = locate(j, *from);
    while (*from <= j->retired_lsn && (out->count == 0 || *bytes < bytes_max)) {
        struct journal_group *g = &j->read_group;
        /* What is left of a segment whose records are all passed can only be a mark. */
        if (at.segment + 1 < j->file_count && at.lsn == j->files[at.segment + 1].first_lsn) {
            at.segment++;
            at.offset = j->files[at.segment].header_bytes;
        }
        enum journal_fault fault = journal_group_load(g, source, &j->owner, j->files, at.segment, at.offset);
        if (fault == JOURNAL_SOUND && g->first_lsn != at.lsn)
            fault = JOURNAL_GROUP_GAP;
        if (fault != JOURNAL_SOUND) {
            read_failed(j, fault, &at);
            return false;
        }
        take(out, g, from, bytes_max, bytes);
        j->read_next = at;
        at.lsn += g->count;
        at.offset += journal_pages(g->len);
        if (*from < at.lsn)
            break; /* full in the middle of this group */
        j->read_next = at;
    }
    return true;
}

void journal_collect(struct journal *j, struct result *out, uint64_t from, uint64_t bytes_max)
{
    uint64_t bytes = 0;
    out->count = 0;
    out->words_len = 0;
    if (from == 0 || from > j->last_lsn)
        return;
    if (from <= j->retired_lsn && j->options.durability != DURABILITY_MEMORY) {
        if (j->index_count == 0 || from < j->index[0].lsn || !collect_files(j, out, &from, bytes_max, &bytes))
            return;
        if (from <= j->retired_lsn || from > j->last_lsn)
            return;
    }
    uv_mutex_lock(&j->lock);
    bool forgotten = j->first == NULL || from < j->first->group.first_lsn;
    for (const struct buffer *b = j->first; b != NULL && (out->count == 0 || bytes < bytes_max); b = b->next) {
        if (from >= b->group.first_lsn && from < b->group.first_lsn + b->group.count)
            take(out, &b->group, &from, bytes_max, &bytes);
    }
    uv_mutex_unlock(&j->lock);
    if (forgotten)
        read_forgotten(j, from);
}
