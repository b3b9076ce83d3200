/* A file of a snapshot (core/formats/snapshot.h, io/snapshot_reader.h), in four ways, chosen by the first byte:
 *
 *   any bytes;
 *   a sound header, and pieces whose headers are the input's, with checksums mended, so that what follows them is reached;
 *   a sound snapshot, whose pieces have the lengths that the input says: it is read as it was written;
 *   the same with some bytes overwritten, or cut: that is noticed, or the bytes are those that were there.
 *
 * Whatever is read, the first piece is read as a learner does (core/agents/execution.h), and the end is looked at alone. */
#include <stdlib.h>
#include <string.h>

#include "core/agents/execution.h"
#include "core/base/assert.h"
#include "core/base/checksum.h"
#include "io/snapshot_reader.h"
#include "io/snapshot_writer.h"

enum { FILE_MAX = 1 << 16, CLUSTER = 7, SLOT = 100 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- A disk of one file ---- */

static uint8_t file[FILE_MAX];
static size_t file_bytes;
static int reads_left; /* before one fails; negative: none does */

static int one_open(struct disk *d, const char *path, enum disk_open how)
{
    (void)d, (void)path;
    if (how == DISK_MAKE)
        file_bytes = 0;
    return 0;
}

static void one_close(struct disk *d, int one) { (void)d, (void)one; }

static int64_t one_read(struct disk *d, int one, uint64_t offset, void *to, size_t len)
{
    (void)d, (void)one;
    if (reads_left >= 0 && reads_left-- == 0)
        return -5;
    const size_t there = offset < file_bytes ? file_bytes - (size_t)offset : 0, n = len < there ? len : there;
    if (n > 0)
        memcpy(to, file + offset, n);
    return (int64_t)n;
}

static int one_write(struct disk *d, int one, uint64_t offset, const void *from, size_t len)
{
    (void)d, (void)one;
    if (offset > FILE_MAX || len > FILE_MAX - offset)
        return -28;
    memcpy(file + offset, from, len);
    file_bytes = offset + len > file_bytes ? (size_t)offset + len : file_bytes;
    return 0;
}

static void one_write_out(struct disk *d, int one, uint64_t offset, uint64_t len)
{
    (void)d, (void)one, (void)offset, (void)len;
}

static int64_t one_size(struct disk *d, const char *path)
{
    (void)d, (void)path;
    return (int64_t)file_bytes;
}

static struct disk *disk(void)
{
    static const struct disk_operations operations = {.open = one_open,
                                                      .close = one_close,
                                                      .read = one_read,
                                                      .write = one_write,
                                                      .write_out = one_write_out,
                                                      .size = one_size};
    static struct disk one = {.operations = &operations};
    return &one;
}

/* ---- Reading ---- */

static void look_at_piece(const struct snapshot_piece *piece, const uint64_t *body)
{
    const struct payload payload = {.words = {(uint64_t *)(uintptr_t)body, words_for(piece->len)}, .len = piece->len};
    uint64_t words[EXECUTION_PIECE_MAX / 8], any = 0;
    struct execution_piece said;
    for (size_t i = 0; i < payload.words.len; i++)
        any |= body[i];
    invariant(any == 0 || piece->len > 0);
    if (piece->kind != SNAPSHOT_LEARNER || !execution_piece_read(&payload, &said))
        return;
    const struct payload again = execution_piece_write(&said, words);
    invariant(again.len <= EXECUTION_PIECE_MAX);
}

/* Reads all of it. `*sum` is the sum of the bodies' checksums. */
static enum snapshot_read read_all(uint64_t *checksum_of_all, uint64_t *pieces)
{
    struct snapshot_reader r;
    struct snapshot_piece piece;
    struct problem problem;
    const uint64_t *body;
    uint64_t cluster, slot;
    *pieces = 0;
    enum snapshot_read read = snapshot_reader_open_any(&r, disk(), "", &cluster, &slot, &problem);
    while (read == SNAPSHOT_READ_PIECE) {
        read = snapshot_reader_next(&r, &piece, &body, &problem);
        if (read != SNAPSHOT_READ_PIECE && read != SNAPSHOT_READ_ALL)
            break;
        look_at_piece(&piece, body);
        ++*pieces;
    }
    *checksum_of_all = r.place.checksum;
    invariant(read != SNAPSHOT_READ_ALL || r.place.offset == file_bytes);
    snapshot_reader_close(&r);
    return read;
}

/* What is said of the end without reading the rest. */
static void look_at_end(enum snapshot_read read, uint64_t checksum_of_all)
{
    struct problem problem;
    uint64_t size, sum;
    if (snapshot_reader_peek(disk(), "", CLUSTER, SLOT, &size, &sum, &problem) == SNAPSHOT_READ_PIECE)
        invariant(size == file_bytes && (read != SNAPSHOT_READ_ALL || sum == checksum_of_all));
}

/* ---- The four ways ---- */

static void any_bytes(const uint8_t *data, size_t size)
{
    uint64_t sum, pieces;
    file_bytes = size < FILE_MAX ? size : FILE_MAX;
    memcpy(file, data, file_bytes);
    look_at_end(read_all(&sum, &pieces), sum);
}

/* Each piece: five bytes of its header, then its body. */
static void mended(const uint8_t *data, size_t size)
{
    uint64_t sum, pieces;
    struct snapshot_place place = snapshot_header_write(file, CLUSTER, SLOT);
    while (size >= 5 && place.offset + SNAPSHOT_PIECE_HEADER_SIZE + 256 + 8 < FILE_MAX) {
        const uint8_t kind = data[0], what = data[1], value = data[2], len = data[3];
        uint8_t *header = file + place.offset, *body = header + SNAPSHOT_PIECE_HEADER_SIZE;
        const uint64_t before = place.checksum;
        const size_t given = size - 5 < len ? size - 5 : len;
        memset(body, 0, snapshot_padded(len));
        memcpy(body, data + 5, given);
        snapshot_piece_write(header, kind % 8, body, len, &place);
        if (what % 4 == 0) { /* a field that is not as it is written */
            header[4 + what / 4 % 28] ^= value;
            const uint64_t mended_sum = checksum(header, 32, before);
            memcpy(header + 32, &mended_sum, sizeof mended_sum);
            place.checksum = mended_sum;
        }
        data += 5 + given, size -= 5 + given;
    }
    file_bytes = (size_t)place.offset;
    if (file_bytes + SNAPSHOT_END_SIZE <= FILE_MAX) {
        snapshot_end_write(file + file_bytes, &place);
        file_bytes += SNAPSHOT_END_SIZE;
    }
    look_at_end(read_all(&sum, &pieces), sum);
}

/* Pieces of the lengths that the input says. How many. */
static uint64_t build(const uint8_t *data, size_t size, uint64_t *sum)
{
    static uint8_t body[1024];
    struct snapshot_writer w = {0};
    uint64_t pieces = 0;
    invariant(snapshot_writer_open(&w, disk(), "", DISK_MAKE) == 0);
    invariant(snapshot_writer_begin(&w, CLUSTER, SLOT) == 0);
    for (size_t i = 0; i < size && pieces < 40; i++, pieces++) {
        memset(body, data[i], sizeof body);
        invariant(snapshot_writer_add(&w, pieces == 0 ? SNAPSHOT_LEARNER : SNAPSHOT_STATE, body, data[i] * 4u) == 0);
    }
    invariant(snapshot_writer_end(&w) == 0);
    *sum = w.place.checksum;
    snapshot_writer_close(&w);
    snapshot_writer_free(&w);
    return pieces + 1;
}

static void damaged(const uint8_t *data, size_t size, bool damages)
{
    static uint8_t before[FILE_MAX];
    uint64_t written, sum, pieces;
    if (size < 5)
        return;
    const size_t lengths = data[0] % 41u < size - 5 ? data[0] % 41u : size - 5;
    const uint64_t count = build(data + 1, lengths, &written);
    const uint8_t *rest = data + 1 + lengths;
    const size_t left = size - 5 - lengths, bytes = file_bytes;
    invariant(read_all(&sum, &pieces) == SNAPSHOT_READ_ALL && sum == written && pieces == count);
    look_at_end(SNAPSHOT_READ_ALL, sum);
    reads_left = rest[0];
    const enum snapshot_read read = read_all(&sum, &pieces);
    invariant(reads_left >= 0 ? read == SNAPSHOT_READ_ALL : read == SNAPSHOT_READ_FAILED);
    reads_left = -1;
    if (!damages)
        return;
    memcpy(before, file, bytes);
    const size_t at = (size_t)(rest[1] | rest[2] << 8) % bytes, most = bytes - at;
    memcpy(file + at, rest + 4, left < most ? left : most);
    if (rest[3] % 4 == 0)
        file_bytes = at;
    const bool is_same = file_bytes == bytes && memcmp(before, file, bytes) == 0;
    invariant((read_all(&sum, &pieces) == SNAPSHOT_READ_ALL) == is_same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    reads_left = -1;
    if (data[0] % 4 == 0)
        any_bytes(data + 1, size - 1);
    else if (data[0] % 4 == 1)
        mended(data + 1, size - 1);
    else
        damaged(data + 1, size - 1, data[0] % 4 == 3);
    return 0;
}
