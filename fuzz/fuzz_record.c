/* Any bytes as a journal record (the first is its packet kind): what is accepted encodes to the same packet. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct packet packet = {.id = 7, .kind = data[0], .len = (uint32_t)(size - 1), .words = {NULL, words_for(size - 1)}};
    packet.words.ptr = memory_new(packet.words.len, sizeof(uint64_t));
    memcpy(packet.words.ptr, data + 1, size - 1);

    struct log_record record;
    if (record_decode(&packet, &record)) {
        invariant(record.lsn == 7 && record.kind < RECORD_KINDS && record.entry.kind < ENTRY_KINDS);
        invariant(record_size(&record) == packet.len);
        uint64_t *words = memory_new(packet.words.len, sizeof(uint64_t));
        struct packet again;
        record_encode(&record, words, &again);
        /* a RECORD_CHOSEN of version 0.1.0 was not sticky */
        invariant(again.kind == packet.kind || (packet.kind == RECORD_CHOSEN && record.kind == RECORD_CHOSEN));
        invariant(again.len == packet.len);
        invariant(memcmp(words, packet.words.ptr, packet.len) == 0);
        free(words);
    }
    free(packet.words.ptr);
    return 0;
}
