#include "io/snapshot_writer.h"

enum { WRITE_OUT_EVERY = 1 << 20 /* bytes */ };

int snapshot_writer_open(struct snapshot_writer *w, struct disk *disk, const char *path, enum disk_open how)
{
    const int file = disk_open(disk, path, how);
    if (file < 0)
        return file;
    w->disk = disk;
    w->file = file;
    w->written_out = 0;
    return 0;
}

int snapshot_writer_bytes(struct snapshot_writer *w, uint64_t offset, const void *bytes, size_t len)
{
    const int error = disk_write(w->disk, w->file, offset, bytes, len);
    const uint64_t end = offset + len;
    if (error == 0 && end >= w->written_out + WRITE_OUT_EVERY) {
        disk_write_out(w->disk, w->file, w->written_out, end - w->written_out);
        w->written_out = end;
    }
    return error;
}

int snapshot_writer_begin(struct snapshot_writer *w, uint64_t cluster, uint64_t slot)
{
    uint8_t header[SNAPSHOT_HEADER_SIZE];
    w->place = snapshot_header_write(header, cluster, slot);
    return snapshot_writer_bytes(w, 0, header, sizeof header);
}

int snapshot_writer_add(struct snapshot_writer *w, enum snapshot_piece_kind kind, const void *body, uint32_t len)
{
    const size_t size = SNAPSHOT_PIECE_HEADER_SIZE + snapshot_padded(len);
    w->words = memory_reserve(w->words, &w->capacity, size / sizeof *w->words, sizeof *w->words);
    uint8_t *piece = (uint8_t *)w->words, *to = piece + SNAPSHOT_PIECE_HEADER_SIZE;
    if (len > 0)
        memcpy(to, body, len);
    memset(to + len, 0, snapshot_padded(len) - len);
    snapshot_piece_write(piece, kind, to, len, &w->place);
    return snapshot_writer_bytes(w, w->place.offset - size, piece, size);
}

int snapshot_writer_end(struct snapshot_writer *w)
{
    uint8_t end[SNAPSHOT_END_SIZE];
    snapshot_end_write(end, &w->place);
    return snapshot_writer_bytes(w, w->place.offset - sizeof end, end, sizeof end);
}

void snapshot_writer_close(struct snapshot_writer *w) { disk_close(w->disk, w->file); }

void snapshot_writer_free(struct snapshot_writer *w) { free(w->words); }
