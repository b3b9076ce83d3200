/* Frame bodies that have arrived and wait for the node's next turn. */
#ifndef SYNOD_IO_INBOX_H
#define SYNOD_IO_INBOX_H

#include "core/formats/frame.h"
#include "core/formats/packet.h"

enum { KEPT_BYTES_MAX = 4 << 20 /* larger buffers are given back when they are empty */ };

/* Two boxes alternate: one is filled, the other belongs to the caller of inbox_take. Nothing is allocated for a frame once
 * they have grown to what the load needs. Zero is empty. */
struct inbox {
    struct box {
        struct packet *packets; /* while the box is filled, words.ptr is unset and `offsets` says where a body begins */
        size_t *offsets;
        uint64_t *words;
        size_t count, packets_capacity, offsets_capacity, words_used, words_capacity;
    } boxes[2];
    size_t filling;
};

/* Adds a copy of a body of `len` bytes. The packet's id is the node that has sent it, its kind the number of that node's
 * disk. */
void inbox_add(struct inbox *in, const struct frame_origin *sender, const uint64_t *body, uint32_t len);

/* Adds what a node would have said if it could: that it does not lead any more. That follows from the first frame of its
 * later life, and from its process not being there any more (P28). As a message this is a heartbeat that resigns. So the
 * leader is replaced at once, without waiting for suspect_timeout. Safety does not depend on it (P15). */
void inbox_add_resignation(struct inbox *in, const struct frame_origin *sender);

/* Drops what was added of this sender and not taken yet. */
void inbox_drop(struct inbox *in, uint32_t sender);

/* Gives what was added since the last call; valid until the next one. */
struct packet_list inbox_take(struct inbox *in);

/* True when inbox_take would give nothing. */
bool inbox_is_empty(const struct inbox *in);

/* Bytes of the bodies that wait to be taken. */
size_t inbox_bytes(const struct inbox *in);

/* Releases the memory. */
void inbox_close(struct inbox *in);

#endif
