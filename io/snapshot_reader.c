#include "io/snapshot_reader.h"

#include <errno.h>
#include <inttypes.h>

static enum snapshot_read damaged(const struct snapshot_reader *r, uint64_t offset, enum snapshot_fault fault,
                                  struct problem *problem)
{
    problem_set(problem, EXIT_DATA, "%s: at byte %" PRIu64 ": %s", r->path, offset, snapshot_fault_text(fault));
    return SNAPSHOT_READ_DAMAGED;
}

/* Reads exactly `len` bytes. A file that ends before is cut. */
static enum snapshot_read read_bytes(const struct snapshot_reader *r, uint64_t offset, void *to, size_t len,
                                     struct problem *problem)
{
    int64_t n = disk_read(r->disk, r->file, offset, to, len);
    if (n < 0) {
        problem_set_error(problem, EXIT_DATA, n, "%s: at byte %" PRIu64 ": ", r->path, offset);
        return SNAPSHOT_READ_FAILED;
    }
    if ((uint64_t)n == len)
        return SNAPSHOT_READ_PIECE;
    problem_set(problem, EXIT_DATA, "%s: it ends at byte %" PRIu64 ", before its end", r->path, offset + (uint64_t)n);
    return SNAPSHOT_READ_DAMAGED;
}

/* Opens the file, and reads its header, which is not checked yet. */
static enum snapshot_read open_file(struct snapshot_reader *r, struct disk *disk, const char *path,
                                    uint8_t header[SNAPSHOT_HEADER_SIZE], struct problem *problem)
{
    *r = (struct snapshot_reader){.disk = disk, .path = strdup(path)};
    invariant(r->path != NULL);
    r->file = disk_open(r->disk, r->path, DISK_READ);
    if (r->file >= 0)
        return read_bytes(r, 0, header, SNAPSHOT_HEADER_SIZE, problem);
    problem_set_error(problem, EXIT_DATA, r->file, "%s: ", r->path);
    return SNAPSHOT_READ_FAILED;
}

/* Checks the header, if it could be read. Closes the file after a problem. */
static enum snapshot_read check_header(struct snapshot_reader *r, enum snapshot_read read, const uint8_t *header,
                                       uint64_t cluster, uint64_t slot, struct problem *problem)
{
    if (read == SNAPSHOT_READ_PIECE) {
        enum snapshot_fault fault = snapshot_header_read(header, cluster, slot, &r->place);
        read = fault == SNAPSHOT_SOUND ? SNAPSHOT_READ_PIECE : damaged(r, 0, fault, problem);
    }
    if (read != SNAPSHOT_READ_PIECE)
        snapshot_reader_close(r);
    return read;
}

enum snapshot_read snapshot_reader_open(struct snapshot_reader *r, struct disk *disk, const char *path, uint64_t cluster,
                                        uint64_t slot, struct problem *problem)
{
    uint8_t header[SNAPSHOT_HEADER_SIZE];
    enum snapshot_read read = open_file(r, disk, path, header, problem);
    return check_header(r, read, header, cluster, slot, problem);
}

enum snapshot_read snapshot_reader_open_any(struct snapshot_reader *r, struct disk *disk, const char *path,
                                            uint64_t *cluster, uint64_t *slot, struct problem *problem)
{
    uint8_t header[SNAPSHOT_HEADER_SIZE] = {0};
    enum snapshot_read read = open_file(r, disk, path, header, problem);
    snapshot_header_names(header, cluster, slot);
    return check_header(r, read, header, *cluster, *slot, problem);
}

/* Nothing follows the end. */
static enum snapshot_read finish(const struct snapshot_reader *r, struct problem *problem)
{
    uint8_t more;
    int64_t n = disk_read(r->disk, r->file, r->place.offset, &more, 1);
    if (n == 0)
        return SNAPSHOT_READ_ALL;
    if (n < 0) {
        problem_set_error(problem, EXIT_DATA, n, "%s: at byte %" PRIu64 ": ", r->path, r->place.offset);
        return SNAPSHOT_READ_FAILED;
    }
    problem_set(problem, EXIT_DATA, "%s: it goes on after its end at byte %" PRIu64, r->path, r->place.offset);
    return SNAPSHOT_READ_DAMAGED;
}

static enum snapshot_read read_body(struct snapshot_reader *r, const struct snapshot_piece *piece, struct problem *problem)
{
    const size_t padded = snapshot_padded(piece->len);
    r->words = memory_reserve(r->words, &r->capacity, padded / sizeof *r->words, sizeof *r->words);
    enum snapshot_read read = read_bytes(r, r->place.offset + SNAPSHOT_PIECE_HEADER_SIZE, r->words, padded, problem);
    if (read != SNAPSHOT_READ_PIECE)
        return read;
    enum snapshot_fault fault = snapshot_body_check(piece, r->words, &r->place);
    return fault == SNAPSHOT_SOUND ? SNAPSHOT_READ_PIECE : damaged(r, r->place.offset, fault, problem);
}

enum snapshot_read snapshot_reader_next(struct snapshot_reader *r, struct snapshot_piece *piece, const uint64_t **body,
                                        struct problem *problem)
{
    uint8_t header[SNAPSHOT_PIECE_HEADER_SIZE];
    struct snapshot_place next = r->place;
    enum snapshot_read read = read_bytes(r, r->place.offset, header, sizeof header, problem);
    if (read != SNAPSHOT_READ_PIECE)
        return read;
    enum snapshot_fault fault = snapshot_piece_read(header, &next, piece);
    if (fault != SNAPSHOT_SOUND)
        return damaged(r, r->place.offset, fault, problem);
    if ((read = read_body(r, piece, problem)) != SNAPSHOT_READ_PIECE)
        return read;
    *body = r->words;
    r->place = next;
    return piece->kind == SNAPSHOT_END ? finish(r, problem) : SNAPSHOT_READ_PIECE;
}

void snapshot_reader_close(struct snapshot_reader *r)
{
    if (r->path == NULL)
        return;
    if (r->file >= 0)
        disk_close(r->disk, r->file);
    free(r->path);
    free(r->words);
    *r = (struct snapshot_reader){.file = -1};
}

enum snapshot_read snapshot_reader_peek(struct disk *disk, const char *path, uint64_t cluster, uint64_t slot, uint64_t *size,
                                        uint64_t *sum, struct problem *problem)
{
    uint8_t end[SNAPSHOT_END_SIZE];
    struct snapshot_reader r;
    enum snapshot_read read = snapshot_reader_open(&r, disk, path, cluster, slot, problem);
    if (read != SNAPSHOT_READ_PIECE)
        return read;
    const int64_t bytes = disk_size(disk, path);
    if (bytes < 0) {
        problem_set_error(problem, EXIT_DATA, bytes, "%s: ", path);
        read = SNAPSHOT_READ_FAILED;
    } else if (bytes < SNAPSHOT_HEADER_SIZE + SNAPSHOT_END_SIZE) {
        read = damaged(&r, (uint64_t)bytes, SNAPSHOT_NO_PIECE, problem);
    } else {
        *size = (uint64_t)bytes;
        read = read_bytes(&r, *size - sizeof end, end, sizeof end, problem);
    }
    if (read == SNAPSHOT_READ_PIECE) {
        enum snapshot_fault fault = snapshot_end_read(end, sum);
        read = fault == SNAPSHOT_SOUND ? SNAPSHOT_READ_PIECE : damaged(&r, *size - sizeof end, fault, problem);
    }
    snapshot_reader_close(&r);
    return read;
}
