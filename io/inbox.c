#include "io/inbox.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/message.h"
#include "core/formats/serializer.h"

void inbox_add(struct inbox *in, const struct frame_origin *sender, const uint64_t *body, uint32_t len)
{
    struct box *box = &in->boxes[in->filling];
    size_t words = words_for(len);
    box->packets = memory_reserve(box->packets, &box->packets_capacity, box->count + 1, sizeof *box->packets);
    box->offsets = memory_reserve(box->offsets, &box->offsets_capacity, box->count + 1, sizeof *box->offsets);
    box->words = memory_reserve(box->words, &box->words_capacity, box->words_used + words, sizeof *box->words);
    memcpy(box->words + box->words_used, body, words * sizeof *body);
    box->packets[box->count] = (struct packet){
        .id = sender->sender, .kind = incarnation_number(sender->incarnation), .len = len, .words = {NULL, words}};
    box->offsets[box->count++] = box->words_used;
    box->words_used += words;
}

void inbox_add_resignation(struct inbox *in, const struct frame_origin *sender)
{
    const struct outgoing resigns = {.message = {.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_RESIGNED}};
    struct serializer *serializer = serializer_new();
    struct packet_list bodies = serializer_encode(serializer, &resigns, 1);
    inbox_add(in, sender, bodies.ptr[0].words.ptr, bodies.ptr[0].len);
    serializer_free(serializer);
}

void inbox_drop(struct inbox *in, uint32_t sender)
{
    struct box *box = &in->boxes[in->filling];
    size_t kept = 0;
    for (size_t i = 0; i < box->count; i++) {
        if (box->packets[i].id == sender)
            continue;
        box->packets[kept] = box->packets[i];
        box->offsets[kept++] = box->offsets[i];
    }
    box->count = kept;
    if (kept == 0)
        box->words_used = 0; /* otherwise its words go with those of the others */
}

static void box_empty(struct box *box)
{
    box->count = 0;
    box->words_used = 0;
    if (box->words_capacity * sizeof(uint64_t) <= KEPT_BYTES_MAX)
        return;
    free(box->words);
    box->words = NULL;
    box->words_capacity = 0;
}

struct packet_list inbox_take(struct inbox *in)
{
    struct box *full = &in->boxes[in->filling];
    box_empty(&in->boxes[1 - in->filling]); /* the result of the last call is no longer valid */
    if (full->count == 0)
        return (struct packet_list){NULL, 0};
    for (size_t i = 0; i < full->count; i++)
        full->packets[i].words.ptr = full->words + full->offsets[i];
    in->filling = 1 - in->filling;
    return (struct packet_list){full->packets, full->count};
}

bool inbox_is_empty(const struct inbox *in) { return in->boxes[in->filling].count == 0; }

size_t inbox_bytes(const struct inbox *in) { return in->boxes[in->filling].words_used * sizeof(uint64_t); }

void inbox_close(struct inbox *in)
{
    for (size_t i = 0; i < 2; i++) {
        free(in->boxes[i].packets);
        free(in->boxes[i].offsets);
        free(in->boxes[i].words);
    }
}
