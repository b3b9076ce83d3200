#include "core/formats/frame.h"

#include <string.h>

#include "core/base/checksum.h"

static const uint64_t MAGIC = 0x464e5953; /* "SYNF", little-endian */

enum word { WORD_MAGIC, WORD_CHECKSUM, WORD_BODY_CHECKSUM, WORD_CLUSTER, WORD_INSTANCE, WORD_LENGTH = 6, WORD_INCARNATION };

static uint64_t pair(uint32_t low, uint32_t high) { return low | (uint64_t)high << 32; }
static uint32_t low(uint64_t word) { return (uint32_t)(word & UINT32_MAX); }
static uint32_t high(uint64_t word) { return (uint32_t)(word >> 32); }

static uint64_t header_checksum(const uint64_t *words)
{
    return checksum(words + WORD_BODY_CHECKSUM, (FRAME_HEADER_WORDS - WORD_BODY_CHECKSUM) * sizeof *words, FRAME_VERSION);
}

static uint64_t body_checksum(const uint64_t *body, uint32_t len)
{
    return checksum(body, words_for(len) * sizeof *body, 0);
}

uint64_t frame_cluster(const char *name, size_t len) { return checksum(name, len, 0); }

void frame_encode(const struct frame_origin *origin, const uint64_t *body, uint32_t len, uint64_t header[FRAME_HEADER_WORDS])
{
    header[WORD_MAGIC] = pair((uint32_t)MAGIC, FRAME_VERSION);
    header[WORD_BODY_CHECKSUM] = body_checksum(body, len);
    header[WORD_CLUSTER] = origin->cluster;
    memcpy(header + WORD_INSTANCE, origin->instance, sizeof origin->instance);
    header[WORD_LENGTH] = pair(len, origin->sender);
    header[WORD_INCARNATION] = pair(origin->incarnation, origin->nonce);
    header[WORD_CHECKSUM] = header_checksum(header);
}

enum frame_error frame_parse(const uint64_t words[FRAME_HEADER_WORDS], uint64_t cluster, uint32_t len_max,
                             struct frame_header *header)
{
    if (low(words[WORD_MAGIC]) != MAGIC)
        return FRAME_BAD_MAGIC;
    if (high(words[WORD_MAGIC]) != FRAME_VERSION)
        return FRAME_BAD_VERSION;
    if (words[WORD_CHECKSUM] != header_checksum(words))
        return FRAME_BAD_CHECKSUM;
    header->origin.cluster = words[WORD_CLUSTER];
    memcpy(header->origin.instance, words + WORD_INSTANCE, sizeof header->origin.instance);
    header->origin.sender = high(words[WORD_LENGTH]);
    header->origin.incarnation = low(words[WORD_INCARNATION]);
    header->origin.nonce = high(words[WORD_INCARNATION]);
    header->body_checksum = words[WORD_BODY_CHECKSUM];
    header->len = low(words[WORD_LENGTH]);
    if (header->len > len_max)
        return FRAME_BAD_LENGTH;
    if (header->origin.cluster != cluster)
        return FRAME_BAD_CLUSTER;
    if (header->origin.sender == 0 || header->origin.sender > NODE_ID_MAX)
        return FRAME_BAD_SENDER;
    return FRAME_OK;
}

enum frame_error frame_check_body(const struct frame_header *header, const uint64_t *body)
{
    if (body_checksum(body, header->len) != header->body_checksum)
        return FRAME_BAD_CHECKSUM;
    uint32_t used = header->len % 8 * 8; /* bits of the last word; 0: all */
    return used == 0 || body[header->len / 8] >> used == 0 ? FRAME_OK : FRAME_BAD_PADDING;
}

const char *frame_error_text(enum frame_error error)
{
    static const char *const texts[FRAME_ERRORS] = {
        [FRAME_OK] = "sound",
        [FRAME_BAD_MAGIC] = "not a frame (wrong magic)",
        [FRAME_BAD_VERSION] = "another version of the wire format",
        [FRAME_BAD_CHECKSUM] = "wrong checksum",
        [FRAME_BAD_LENGTH] = "longer than frame_bytes_max",
        [FRAME_BAD_CLUSTER] = "another cluster",
        [FRAME_BAD_SENDER] = "no possible node id",
        [FRAME_BAD_PADDING] = "bytes that must be zero are not",
    };
    return error < FRAME_ERRORS ? texts[error] : "unknown";
}
