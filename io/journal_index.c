/* Which segments there are, and a sparse index of the groups in them: what all that read the store have below them. */
#include "io/journal_store_internal.h"

int journal_store_segment(const struct journal_store *s, struct opened *o, size_t segment)
{
    if (o->file >= 0 && o->segment == segment)
        return o->file;
    journal_store_segment_close(s, o);
    char *path = journal_segment_path(s->folder, s->files[segment].first_lsn);
    int file = disk_open(s->disk, path, DISK_WRITE);
    free(path);
    if (file >= 0)
        *o = (struct opened){.file = file, .segment = segment};
    return file;
}

void journal_store_segment_close(const struct journal_store *s, struct opened *o)
{
    if (o->file >= 0)
        disk_close(s->disk, o->file);
    o->file = -1;
}

void journal_store_file_add(struct journal_store *s, const struct journal_file *file)
{
    s->files = memory_reserve(s->files, &s->file_capacity, s->file_count + 1, sizeof *s->files);
    s->files[s->file_count++] = *file;
}

/* So that the index is bounded, however much is kept. */
static void thin_out(struct journal_store *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->index_count; i += 2)
        s->index[kept++] = s->index[i];
    s->index_count = kept;
    if (s->options.index_bytes <= UINT32_MAX / 2)
        s->options.index_bytes *= 2;
}

void journal_store_index(struct journal_store *s, uint64_t lsn, uint64_t offset, size_t segment, uint64_t bytes)
{
    if (s->index_count == 0 || s->indexed_bytes >= s->options.index_bytes) {
        if (s->index_count >= s->options.index_entries_max)
            thin_out(s);
        s->index = memory_reserve(s->index, &s->index_capacity, s->index_count + 1, sizeof *s->index);
        s->index[s->index_count++] = (struct index_entry){.lsn = lsn, .segment = segment, .offset = offset};
        s->indexed_bytes = 0;
    }
    s->indexed_bytes += bytes;
}

void journal_store_index_forget(struct journal_store *s, size_t count)
{
    size_t gone = 0;
    while (gone < s->index_count && s->index[gone].segment < count)
        gone++;
    s->index_count -= gone;
    memmove(s->index, s->index + gone, s->index_count * sizeof *s->index);
    for (size_t i = 0; i < s->index_count; i++)
        s->index[i].segment -= count;
}
