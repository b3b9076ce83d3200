/* The frame between nodes: what stands around each message body on a TCP connection (docs/wire-format.md, "Frame").
 *
 *        0        4        8                16               24               32
 *      0 +--------+--------+----------------+----------------+----------------+
 *        | magic  | version| header checksum| body checksum  | cluster        |
 *     32 +--------+--------+----------------+--------+-------+--------+-------+
 *        | instance id                      | length | sender| incarn.| nonce |
 *     64 +----------------------------------+--------+-------+--------+-------+
 *        | body: `length` bytes, padded with zeros to a multiple of 8         |
 *
 * All little-endian. What is zero must be zero: a frame has one encoding.
 *
 *   magic            the bytes "SYNF"
 *   version          3
 *   header checksum  XXH64 of bytes 16 to 63, seed FRAME_VERSION
 *   body checksum    XXH64 of the padded body, seed 0
 *   cluster          XXH64 of the cluster's name
 *   instance id      of the sender's data folder (16 random bytes, made by `synod init`)
 *   length           bytes of the body. The first frame on a connection is a greeting: it says who speaks, and its body is
 *                    the sender's governed settings as text (io/governed.h). A node that refuses the one that
 *                    dialled answers with one frame before it hangs up: a number that says why, and the same as text
 *   sender           the node's id; incarnation: which of the node's disks, and its durable boot count; nonce: random, of
 *                    this life (two lives with one incarnation come from two folders, one of which is a copy)
 *
 * Why two checksums: the header's is checked as soon as 64 bytes are there. So a damaged length never makes a receiver wait
 * for megabytes that will not come. It covers the body's checksum, and so the body. The header names no
 * receiver, so that one frame, encoded once, goes to many. Header and padding are multiples of 8: bodies in a stream
 * that starts on 8 bytes stay on 8 bytes, and are read in place as 64-bit words. */
#ifndef SYNOD_CORE_FORMATS_FRAME_H
#define SYNOD_CORE_FORMATS_FRAME_H

#include "core/formats/packet.h"

enum { FRAME_HEADER_SIZE = 64, FRAME_HEADER_WORDS = 8, FRAME_VERSION = 3 };

/* Who speaks: the same in every frame of one life of a node. */
struct frame_origin {
    uint64_t cluster; /* frame_cluster() */
    uint8_t instance[16];
    uint32_t sender;
    uint32_t incarnation;
    uint32_t nonce;
};

struct frame_header {
    struct frame_origin origin;
    uint64_t body_checksum;
    uint32_t len; /* bytes of the body; words_for(len) words follow the header */
};

enum frame_error {
    FRAME_OK,
    FRAME_BAD_MAGIC,
    FRAME_BAD_VERSION,
    FRAME_BAD_CHECKSUM,
    FRAME_BAD_LENGTH,
    FRAME_BAD_CLUSTER,
    FRAME_BAD_SENDER,
    FRAME_BAD_PADDING,
    FRAME_ERRORS
};

/* An incarnation: in the high bits the number of the node's instance (0: its first disk, one more with each that took its
 * place), in the low ones how often that instance was started. So no two lives of a node share one, whichever disk they
 * had. */
enum { INCARNATION_BOOT_BITS = 20, INCARNATION_BOOTS_MAX = (1 << INCARNATION_BOOT_BITS) - 1 };
enum { INSTANCE_NUMBER_MAX = (1 << (32 - INCARNATION_BOOT_BITS)) - 1 };
static inline uint32_t incarnation_number(uint32_t incarnation) { return incarnation >> INCARNATION_BOOT_BITS; }
static inline uint32_t incarnation_first(uint32_t number) { return number << INCARNATION_BOOT_BITS; }

/* The cluster's name as frames carry it. */
uint64_t frame_cluster(const char *name, size_t len);

/* Writes the header of a frame whose body is `words_for(len)` words at `body`, unused bytes of the last word zero (as
 * packets have it). */
void frame_encode(const struct frame_origin *origin, const uint64_t *body, uint32_t len,
                  uint64_t header[FRAME_HEADER_WORDS]);

/* Reads a header that came from outside, so it may contain anything. Returns the first fault in the order of enum
 * frame_error. `header` is filled in as far as its checksum vouches for it (from FRAME_BAD_LENGTH on). */
enum frame_error frame_parse(const uint64_t words[FRAME_HEADER_WORDS], uint64_t cluster, uint32_t len_max,
                             struct frame_header *header);

/* FRAME_OK when `body` is the one that the header was made for; otherwise FRAME_BAD_CHECKSUM or FRAME_BAD_PADDING. */
enum frame_error frame_check_body(const struct frame_header *header, const uint64_t *body);

/* What is wrong, in words: "wrong checksum" for instance. */
const char *frame_error_text(enum frame_error error);

#endif
