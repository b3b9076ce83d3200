/* Batches of client commands, and of their replies: the value of a slot, and the answer to it.
 *
 * A batch (a value of kind ENTRY_COMMANDS), little-endian:
 *
 *    0  magic "SB03"    4      4  count of commands   4
 *    8  origin node     4     12  incarnation         4
 *   16  number          8     the batch id: the proposer that made it, its life, a count from 1
 *   24  answerer        4     the learner asked to send the results; 0: the origin's own node
 *   28  port number     4     which of its batches this is to the origin's client port, which so knows what came of it
 *                             (core/formats/notice.h); 0: it does not say
 *   32  elapsed         8     the leader's stamp: milliseconds of agreed time when it proposed the batch (P22); 0: it
 *                             does not know what time it is yet
 *   40  unix            8     its wall clock, in milliseconds since 1970; 0: it knew none
 *                             (reads that may be stale are in no slot, and have 1 + their age in `elapsed`: P27)
 *   48  round           8     and its ballot
 *   56  node            4     60  incarnation         4
 *   64  seed           16     random bits of the origin's life: those of the first batch executed are the state machine's
 *   80  commands: each  argc 4, then argc lengths of 4 each, then the bytes of all arguments, padded with zeros to 4
 *
 * The client port, which collects commands, writes its number, and leaves the header's other fields from 8 on zero. The
 * proposer agent that takes the batch fills in the others but for the stamp. That is the leader's, also if another node took
 * the batch.
 *
 * Version 0.1.0 wrote "SB02", where 32 to 39 were microseconds of a monotonic clock and 40 was the seed. Such batches are in
 * old journals. They are read, and have no stamp.
 *
 * A no-op (a value of kind ENTRY_NOOP) is empty, or it is a stamp: as bytes 32 to 63 above.
 *
 * Packed replies:
 *
 *    0  magic "SR01"    4      4  count of replies    4
 *    8  replies: each   tag 4, length 4, then `length` bytes padded with zeros to 4.
 *       REPLY_ARRAY: length is the number of replies that follow, written the same way: its elements. In the array of a
 *       transaction they may be arrays, too; those have scalars only. REPLY_INTEGER: 8 bytes. */
#ifndef SYNOD_CORE_FORMATS_BATCH_H
#define SYNOD_CORE_FORMATS_BATCH_H

#include "core/base/types.h"
#include "core/formats/command.h"

enum { BATCH_HEADER_SIZE = 80, STAMP_SIZE = 32, REPLIES_HEADER_SIZE = 8 };

/* What a leader says of itself when it proposes. */
struct stamp {
    struct moment moment;
    struct ballot ballot;
};

struct batch_header {
    uint32_t count;
    struct batch_id id;
    uint32_t answerer;
    uint32_t port_number;
    struct stamp stamp;
    bool has_stamp; /* false: version 0.1.0 wrote it */
    struct seed seed;
};

/* A growing buffer of 8-aligned bytes; zero-initialized is empty. */
struct batch_builder {
    uint64_t *words;
    size_t capacity; /* in words */
    size_t len;      /* in bytes */
    uint32_t count;
};

/* Starts an empty batch in `b`, keeping its memory. */
void batch_begin(struct batch_builder *b);
/* Adds a command (copied). Preconditions: it has at least one argument, and the batch stays below 4 GiB. */
void batch_add(struct batch_builder *b, const struct bytes *args, size_t argc);
/* The batch so far: points into the builder, valid until its next call. */
struct payload batch_end(struct batch_builder *b);
void batch_builder_free(struct batch_builder *b);

/* Reads the header. False: this is no batch. */
bool batch_header_read(const struct payload *value, struct batch_header *header);
/* Fills in id and answerer of a batch in place (precondition: it is one). */
void batch_header_stamp(struct payload *value, struct batch_id id, uint32_t answerer);
/* The same for the client port's number. */
void batch_port_stamp(struct payload *value, uint32_t number);
/* The same for the seed. */
void batch_seed_stamp(struct payload *value, struct seed seed);
/* The same for the leader's stamp. What has no place for it stays as it is. */
void batch_time_stamp(struct payload *value, struct stamp stamp);

/* Marks reads that a state answers which is so many milliseconds old at most. */
void batch_stale_stamp(struct payload *value, uint32_t age_ms);
/* Whether a batch is so marked. */
bool batch_may_be_stale(const struct payload *value, uint64_t *age_us);

/* A no-op that is a stamp, in `words`, the caller's. */
struct payload stamp_pack(struct stamp stamp, uint64_t words[STAMP_SIZE / 8]);
/* The stamp of an entry. False: it has none. */
bool stamp_read(const struct entry *entry, struct stamp *stamp);

/* Unpacked commands whose bytes point into the value; zero-initialized is empty. */
struct batch_commands {
    struct command *commands;
    size_t count;
    size_t capacity;
    struct bytes *args;
    size_t args_capacity;
};
/* Unpacks all commands. False: the bytes are not a well-formed batch, and nothing is kept. */
bool batch_commands_read(struct batch_commands *c, const struct payload *value);
void batch_commands_free(struct batch_commands *c);

/* Packs replies one by one: replies_begin, replies_add for each, replies_end. The payload points into `b`, valid until the
 * builder's next call. */
void replies_begin(struct batch_builder *b);
void replies_add(struct batch_builder *b, const struct reply *reply);
/* Adds a packed reply (copied): bytes of a builder that replies_add has added. */
void replies_add_packed(struct batch_builder *b, struct bytes packed);
/* Adds the head of an array; its elements must follow, each with replies_add_element. */
void replies_add_array(struct batch_builder *b, size_t elements);
void replies_add_element(struct batch_builder *b, const struct reply *reply);
struct payload replies_end(struct batch_builder *b);
/* The same for an array of replies. */
struct payload replies_pack(struct batch_builder *b, const struct reply *replies, size_t count);

/* Walks packed replies: one call for each reply, elements of arrays included. Start with *offset = 0. False: the end, or
 * malformed bytes. `bytes` points into the payload. The elements of a REPLY_ARRAY are sure to follow it. */
struct reply_item {
    uint8_t tag;        /* enum reply_tag */
    uint32_t elements;  /* REPLY_ARRAY */
    int64_t integer;    /* REPLY_INTEGER */
    struct bytes bytes; /* the others */
};
bool replies_next(const struct payload *replies, size_t *offset, struct reply_item *item);
/* Whether bytes are one packed reply, and nothing else. */
bool reply_is_packed(struct bytes bytes);
/* The number of replies packed; 0 for malformed bytes. */
uint32_t replies_count(const struct payload *replies);

#endif
