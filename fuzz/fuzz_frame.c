/* Any bytes as a stream of frames: parsing reads no byte beyond the input, and a stream is taken frame by frame until
 * something is wrong. A fuzzer does not guess checksums, so those of the first frame are mended: what is accepted then is
 * what was encoded, and one other byte anywhere in it is noticed. */
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/formats/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a receiver that belongs to `cluster` makes of the frame at the start of `words` words; `*taken` is its size. */
static enum frame_error receive(const uint64_t *stream, size_t words, uint64_t cluster, size_t *taken)
{
    struct frame_header header;
    if (words < FRAME_HEADER_WORDS)
        return FRAME_BAD_LENGTH;
    enum frame_error error = frame_parse(stream, cluster, UINT32_MAX, &header);
    invariant(strlen(frame_error_text(error)) > 0);
    if (error != FRAME_OK)
        return error;
    if (words_for(header.len) > words - FRAME_HEADER_WORDS)
        return FRAME_BAD_LENGTH;
    *taken = FRAME_HEADER_WORDS + words_for(header.len);
    return frame_check_body(&header, stream + FRAME_HEADER_WORDS);
}

static void take_all(const uint64_t *stream, size_t words, uint64_t cluster)
{
    size_t taken = 0;
    for (size_t at = 0; receive(stream + at, words - at, cluster, &taken) == FRAME_OK; at += taken)
        invariant(taken <= words - at);
}

/* Makes the first frame sound, as far as its sender and its padding let it be. */
static void mend(uint64_t *stream, size_t words, size_t damage, uint8_t difference)
{
    struct frame_origin origin = {.cluster = stream[3],
                                  .sender = (uint32_t)(stream[6] >> 32),
                                  .incarnation = (uint32_t)stream[7],
                                  .nonce = (uint32_t)(stream[7] >> 32)};
    size_t taken = 0;
    uint32_t len = (uint32_t)stream[6];
    memcpy(origin.instance, stream + 4, sizeof origin.instance);
    if (words_for(len) > words - FRAME_HEADER_WORDS) {
        len %= (uint32_t)((words - FRAME_HEADER_WORDS) * sizeof *stream + 1);
        stream[6] = len | stream[6] >> 32 << 32;
    }
    uint64_t *body = stream + FRAME_HEADER_WORDS;
    bool padded = len % 8 == 0 || body[len / 8] >> (len % 8 * 8) == 0;
    bool sender = origin.sender >= 1 && origin.sender <= NODE_ID_MAX;
    enum frame_error expected = !sender ? FRAME_BAD_SENDER : padded ? FRAME_OK : FRAME_BAD_PADDING;
    frame_encode(&origin, body, len, stream);
    invariant(receive(stream, words, origin.cluster, &taken) == expected);
    if (expected != FRAME_OK)
        return;
    invariant(taken == FRAME_HEADER_WORDS + words_for(len));
    ((uint8_t *)stream)[damage % (taken * sizeof *stream)] ^= difference;
    invariant(difference == 0 || receive(stream, words, origin.cluster, &taken) != FRAME_OK);
    ((uint8_t *)stream)[damage % (taken * sizeof *stream)] ^= difference;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t words = size / sizeof(uint64_t);
    if (words < FRAME_HEADER_WORDS)
        return 0;
    uint64_t *stream = malloc(words * sizeof *stream);
    invariant(stream != NULL);
    memcpy(stream, data, words * sizeof *stream);
    uint64_t cluster = stream[3];
    take_all(stream, words, cluster);
    mend(stream, words, (size_t)(data[0] | data[1] << 8), data[2]);
    take_all(stream, words, cluster);
    free(stream);
    return 0;
}
