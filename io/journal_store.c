/* The store as a whole: opening and closing, what there is, and where. journal_store_internal.h says which file does the
 * rest. */
#include "io/journal_store_internal.h"

/* ---- Opening and closing ---- */

struct journal_store *journal_store_new(const struct journal_store_options *options)
{
    struct journal_store *s = memory_new(1, sizeof *s);
    const struct identity *identity = &options->identity;
    s->options = *options;
    s->options.index_bytes = options->index_bytes != 0 ? options->index_bytes : INDEX_BYTES;
    s->options.index_entries_max = options->index_entries_max != 0 ? options->index_entries_max : INDEX_ENTRIES_MAX;
    s->options.recover_bytes = options->recover_bytes != 0 ? options->recover_bytes : RECOVER_BYTES;
    s->disk = options->disk;
    s->folder = strdup(options->folder);
    invariant(s->folder != NULL);
    s->options.folder = s->folder;
    s->owner = (struct journal_owner){
        .cluster = journal_cluster_hash(identity->cluster, strnlen(identity->cluster, sizeof identity->cluster)),
        .node = identity->node,
        .incarnation = identity->incarnation,
    };
    memcpy(s->owner.instance, identity->instance, sizeof s->owner.instance);
    s->reading.file = -1;
    uint64_t segment_bytes = options->segment_bytes > 4 * JOURNAL_PAGE ? options->segment_bytes : 4 * JOURNAL_PAGE;
    s->writer = (struct writer){
        .disk = options->disk,
        .folder = s->folder,
        .owner = &s->owner,
        .spares = options->spares,
        .memory = options->memory,
        .sync = options->durability == DURABILITY_FSYNC,
        .segment_bytes = journal_pages(segment_bytes),
        .file = -1,
    };
    return s;
}

bool journal_store_open(struct journal_store **out, const struct journal_store_options *options, struct problem *problem)
{
    struct journal_store *s = journal_store_new(options);
    if (!journal_recovery_begin(s, problem)) {
        journal_store_close(s);
        return false;
    }
    *out = s;
    return true;
}

void journal_store_close(struct journal_store *s)
{
    journal_recovery_close(s);
    if (s->writer.file >= 0)
        disk_close(s->disk, s->writer.file);
    journal_store_segment_close(s, &s->reading);
    free(s->writer.path);
    journal_sticky_free(&s->writer.sticky);
    journal_result_free(&s->recovered);
    journal_group_free(&s->read_group);
    free(s->files);
    free(s->removals);
    free(s->index);
    free(s->folder);
    free(s);
}

/* ---- What there is ---- */

/* Notes the segment of a group that was written: the last one, a new one, or one that has replaced the last. */
static void note_segment(struct journal_store *s, const struct journal_file *segment)
{
    struct journal_file *last = &s->files[s->file_count - 1];
    if (last->first_lsn != segment->first_lsn) {
        journal_store_file_add(s, segment);
    } else if (last->bytes != segment->bytes) {
        *last = *segment;
        while (s->index_count > 0 && s->index[s->index_count - 1].segment == s->file_count - 1)
            s->index_count--;
        s->read_next = (struct index_entry){0};
        journal_store_segment_close(s, &s->reading);
    }
}

void journal_store_note(struct journal_store *s, const struct journal_written *written)
{
    note_segment(s, &written->segment);
    journal_store_drop(s, written->oldest_lsn);
    journal_store_index(s, written->first_lsn, written->offset, s->file_count - 1, written->bytes);
    s->last_lsn = written->first_lsn + written->count - 1;
    s->ends_in_mark = written->count == 0;
    s->statistics.groups++;
    s->statistics.records += written->count;
    s->statistics.bytes += written->bytes;
    s->statistics.syncs += s->writer.sync;
}

bool journal_store_group(struct journal_store *s, struct journal_group *g, struct journal_written *written,
                         struct problem *problem)
{
    if (!journal_store_room(s, g, problem) || !journal_store_write(s, g, written, problem))
        return false;
    journal_store_note(s, written);
    return true;
}

void journal_store_reborn(struct journal_store *s, uint32_t incarnation)
{
    s->owner.incarnation = incarnation;
    if (s->opening != NULL) {
        journal_recovery_again(s);
        return;
    }
    s->recover_began = false;
    s->recover_next = s->file_count > 0 ? s->files[0].first_lsn : 1;
    s->recover_end = s->last_lsn;
}

bool journal_store_is_open(const struct journal_store *s) { return s->opening == NULL; }

uint64_t journal_store_last(const struct journal_store *s) { return s->last_lsn; }

bool journal_store_ends_in_mark(const struct journal_store *s) { return s->ends_in_mark; }

struct journal_store_statistics journal_store_statistics(const struct journal_store *s)
{
    struct journal_store_statistics statistics = s->statistics;
    statistics.segments = s->file_count;
    statistics.index_entries = s->index_count;
    return statistics;
}
