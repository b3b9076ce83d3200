/* Any bytes as a stream of frames: parsing reads no byte beyond the input, and what is accepted encodes to the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/formats/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t words = size / sizeof(uint64_t);
    if (words < FRAME_HEADER_WORDS)
        return 0;
    uint64_t *stream = malloc(words * sizeof *stream);
    if (stream == NULL)
        return 0;
    memcpy(stream, data, words * sizeof *stream);
    struct frame_header header;
    /* A fuzzer does not guess checksums: mend the header's, so that what lies behind it is reached too. */
    struct frame_origin origin = {
        .cluster = stream[3], .sender = (uint32_t)(stream[6] >> 32), .incarnation = (uint32_t)stream[7]};
    memcpy(origin.instance, stream + 4, sizeof origin.instance);
    uint32_t len = (uint32_t)stream[6];
    enum frame_error raw = frame_parse(stream, origin.cluster, UINT32_MAX, &header);
    invariant(frame_error_text(raw) != NULL);
    if (words_for(len) <= words - FRAME_HEADER_WORDS) {
        frame_encode(&origin, stream + FRAME_HEADER_WORDS, len, stream);
        enum frame_error error = frame_parse(stream, origin.cluster, UINT32_MAX, &header);
        invariant(error == (origin.sender >= 1 && origin.sender <= NODE_ID_MAX ? FRAME_OK : FRAME_BAD_SENDER));
        enum frame_error padding =
            len % 8 != 0 && stream[FRAME_HEADER_WORDS + len / 8] >> (len % 8 * 8) != 0 ? FRAME_BAD_PADDING : FRAME_OK;
        invariant(header.len == len && frame_check_body(&header, stream + FRAME_HEADER_WORDS) == padding);
    }
    free(stream);
    return 0;
}
