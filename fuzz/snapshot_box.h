/* Snapshots of a node in memory, for fuzzers: keeps what the node writes, and gets done with what it is asked as a disk
 * might: it fails now and then, wants other bytes than those that came, has lost the newest snapshot at a start. What was
 * received is taken for the state of this node's newest snapshot, at the slot that a peer named. Asks that no node may make
 * are found. */
#ifndef SYNOD_FUZZ_SNAPSHOT_BOX_H
#define SYNOD_FUZZ_SNAPSHOT_BOX_H

#include <stdlib.h>
#include <string.h>

#include "core/agents/transfer.h"
#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/formats/packet.h"
#include "core/formats/snapshot.h"

enum { BOX_PIECES_MAX = 16, BOX_FILES_MAX = 2, BOX_TOLD_MAX = 256, BOX_PART_BYTES = 1 << 10 };

struct box_file {
    uint64_t slot, size, checksum;
    bool ahead;                           /* a crash has left less in the journal than it has, so it must not be lost */
    struct packet pieces[BOX_PIECES_MAX]; /* id: the piece's kind */
    size_t count;
};

struct box {
    struct box_file files[BOX_FILES_MAX]; /* the oldest first */
    size_t file_count;
    struct box_file part; /* that is being written */
    bool writing;
    struct snapshot_id wanted; /* what is received; slot 0: nothing */
    uint64_t at;
    struct packet told[BOX_TOLD_MAX], given[BOX_TOLD_MAX];
    size_t told_count, given_count;
    uint32_t luck;
};

/* One time in `n`, as the input has it. */
static inline bool box_happens(struct box *b, uint32_t n)
{
    b->luck = b->luck * UINT32_C(1103515245) + 12345;
    return (b->luck >> 16) % n == 0;
}

static inline struct packet box_packet(uint64_t kind, uint64_t id, const void *bytes, uint32_t len)
{
    struct packet p = {.id = id, .kind = (uint32_t)kind, .len = len};
    p.words = (struct words){memory_new(words_for(len) + 1, sizeof(uint64_t)), words_for(len)};
    if (len > 0)
        memcpy(p.words.ptr, bytes, len);
    return p;
}

static inline void box_tell(struct box *b, enum snapshot_item_kind kind, uint64_t id, const void *bytes, uint32_t len)
{
    if (b->told_count < BOX_TOLD_MAX)
        b->told[b->told_count++] = box_packet(kind, id, bytes, len);
}

static inline void box_forget(struct packet *packets, size_t *count)
{
    while (*count > 0)
        free(packets[--*count].words.ptr);
}

static inline void box_drop(struct box *b, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        box_forget(b->files[i].pieces, &b->files[i].count);
    b->file_count -= count;
    memmove(b->files + first, b->files + first + count, (b->file_count - first) * sizeof b->files[0]);
}

static inline void box_tell_stored(struct box *b, const struct box_file *f)
{
    const uint64_t words[2] = {f->size, f->checksum};
    box_tell(b, SNAPSHOT_STORED, f->slot, words, sizeof words);
}

static inline void box_tell_file(struct box *b, const struct box_file *f)
{
    for (size_t i = 0; i < f->count; i++)
        box_tell(b, SNAPSHOT_LOADED_PIECE, f->pieces[i].id, f->pieces[i].words.ptr, f->pieces[i].len);
    box_tell(b, SNAPSHOT_LOADED, f->slot, NULL, 0);
}

static inline void box_give_up(struct box *b)
{
    box_forget(b->part.pieces, &b->part.count);
    b->writing = false;
    b->wanted.slot = 0;
}

static inline void box_fail(struct box *b, uint64_t slot)
{
    box_give_up(b);
    box_tell(b, SNAPSHOT_FAILED, slot, NULL, 0);
}

/* A life begins, in whose journal the slots below `held` are. */
static inline void box_start(struct box *b, uint64_t held)
{
    box_give_up(b);
    box_forget(b->told, &b->told_count);
    for (size_t i = 0; i < b->file_count; i++)
        b->files[i].ahead = b->files[i].ahead || b->files[i].slot > held;
    if (b->file_count == BOX_FILES_MAX && !b->files[BOX_FILES_MAX - 1].ahead && box_happens(b, 4))
        box_drop(b, BOX_FILES_MAX - 1, 1);
    for (size_t i = 0; i < b->file_count; i++)
        box_tell_stored(b, &b->files[i]);
    if (box_happens(b, 8))
        box_tell(b, SNAPSHOT_RECEIVED, held + 1, NULL, 0);
    if (b->file_count > 0)
        box_tell_file(b, &b->files[b->file_count - 1]);
    else
        box_tell(b, SNAPSHOT_LOADED, 0, NULL, 0);
}

static inline struct box_file *box_find(struct box *b, uint64_t slot)
{
    for (size_t i = 0; i < b->file_count; i++)
        if (b->files[i].slot == slot)
            return &b->files[i];
    return NULL;
}

static inline void box_commit(struct box *b, uint64_t slot)
{
    if (!b->writing || b->part.slot != slot)
        return;
    if (box_happens(b, 8)) {
        box_fail(b, slot);
        return;
    }
    struct box_file f = b->part;
    f.size = SNAPSHOT_HEADER_SIZE + SNAPSHOT_END_SIZE;
    for (size_t i = 0; i < f.count; i++) {
        f.size += f.pieces[i].len;
        f.checksum = checksum(f.pieces[i].words.ptr, f.pieces[i].len, f.checksum);
    }
    if (b->file_count == BOX_FILES_MAX)
        box_drop(b, 0, 1);
    invariant(b->file_count == 0 || b->files[b->file_count - 1].slot < slot);
    b->files[b->file_count++] = f;
    b->part.count = 0;
    b->writing = false;
    box_tell_stored(b, &f);
}

/* All has come. */
static inline void box_received(struct box *b)
{
    struct box_file f = {.slot = b->wanted.slot, .size = b->wanted.size, .checksum = b->wanted.checksum};
    if (b->file_count == 0 || b->files[b->file_count - 1].slot >= f.slot || box_happens(b, 4)) {
        box_fail(b, f.slot);
        return;
    }
    const struct box_file *from = &b->files[b->file_count - 1];
    for (; f.count < from->count; f.count++) {
        const struct packet *p = &from->pieces[f.count];
        f.pieces[f.count] = box_packet(p->kind, p->id, p->words.ptr, p->len);
    }
    box_drop(b, 0, b->file_count);
    b->files[b->file_count++] = f;
    b->wanted.slot = 0;
    box_tell_stored(b, &f);
}

static inline void box_take_piece(struct box *b, const struct packet *p)
{
    uint64_t bytes = 0;
    invariant(p->id >= SNAPSHOT_LEARNER && p->id < SNAPSHOT_PIECE_KINDS && p->len <= SNAPSHOT_PIECE_MAX);
    if (!b->writing)
        return;
    if (b->part.count == BOX_PIECES_MAX || box_happens(b, 64)) {
        box_fail(b, b->part.slot);
        return;
    }
    b->part.pieces[b->part.count++] = box_packet(p->kind, p->id, p->words.ptr, p->len);
    for (size_t i = 0; i < b->part.count; i++)
        bytes += b->part.pieces[i].len;
    box_tell(b, SNAPSHOT_WRITTEN, bytes, NULL, 0);
}

static inline void box_receive(struct box *b, const struct packet *p)
{
    box_give_up(b);
    if (box_happens(b, 8)) {
        box_fail(b, p->id);
        return;
    }
    b->wanted = (struct snapshot_id){.slot = p->id, .size = p->words.ptr[0], .checksum = p->words.ptr[1]};
    b->at = b->wanted.size > 0 && box_happens(b, 4) ? b->wanted.size - 1 : 0; /* an earlier life has received some of it */
    box_tell(b, SNAPSHOT_WANTED, b->at, NULL, 0);
}

static inline void box_take_bytes(struct box *b, const struct packet *p)
{
    invariant(p->len > 0 && p->len <= TRANSFER_PART_MAX);
    if (b->wanted.slot == 0)
        return;
    if (p->id != b->at || p->len > b->wanted.size - b->at || box_happens(b, 16)) {
        box_tell(b, SNAPSHOT_WANTED, b->at, NULL, 0);
        return;
    }
    b->at += p->len;
    box_tell(b, SNAPSHOT_WRITTEN, b->at, NULL, 0);
    if (b->at == b->wanted.size)
        box_received(b);
}

/* Part of a file, as zeros. */
static inline void box_read(struct box *b, const struct packet *p)
{
    const struct box_file *f = box_find(b, p->id);
    const uint64_t offset = p->words.ptr[0], wanted = p->words.ptr[1];
    const uint8_t bytes[BOX_PART_BYTES] = {0};
    invariant(wanted > 0 && wanted <= TRANSFER_PART_MAX && (f == NULL || offset < f->size));
    if (f == NULL || box_happens(b, 8)) {
        box_tell(b, SNAPSHOT_GONE, p->id, NULL, 0);
        return;
    }
    uint64_t len = f->size - offset < wanted ? f->size - offset : wanted;
    box_tell(b, SNAPSHOT_BYTES_READ, offset, bytes, (uint32_t)(len < BOX_PART_BYTES ? len : BOX_PART_BYTES));
}

static inline void box_ask(struct box *b, const struct packet *p)
{
    invariant(p->kind <= SNAPSHOT_LOAD && p->words.len == words_for(p->len));
    const bool pair = p->kind == SNAPSHOT_RECEIVE || p->kind == SNAPSHOT_READ;
    invariant(p->kind == SNAPSHOT_PIECE || p->kind == SNAPSHOT_BYTES || p->len == (pair ? 2 * sizeof(uint64_t) : 0));
    if (p->kind == SNAPSHOT_BEGIN) {
        box_give_up(b);
        b->part = (struct box_file){.slot = p->id};
        b->writing = true;
    } else if (p->kind == SNAPSHOT_PIECE) {
        box_take_piece(b, p);
    } else if (p->kind == SNAPSHOT_COMMIT) {
        box_commit(b, p->id);
    } else if (p->kind == SNAPSHOT_ABANDON) {
        box_give_up(b);
    } else if (p->kind == SNAPSHOT_DISCARD) {
        invariant(b->wanted.slot == 0); /* it is not being received */
    } else if (p->kind == SNAPSHOT_RECEIVE) {
        box_receive(b, p);
    } else if (p->kind == SNAPSHOT_BYTES) {
        box_take_bytes(b, p);
    } else if (p->kind == SNAPSHOT_READ) {
        box_read(b, p);
    } else if (box_find(b, p->id) == NULL || box_happens(b, 8)) {
        box_tell(b, SNAPSHOT_FAILED, p->id, NULL, 0);
    } else {
        box_tell_file(b, box_find(b, p->id));
    }
}

/* At most `most` of what there is to tell, valid until the next call. */
static inline struct packet_list box_told(struct box *b, size_t most)
{
    const size_t count = b->told_count < most ? b->told_count : most;
    box_forget(b->given, &b->given_count);
    memcpy(b->given, b->told, count * sizeof b->told[0]);
    b->given_count = count;
    b->told_count -= count;
    memmove(b->told, b->told + count, b->told_count * sizeof b->told[0]);
    return (struct packet_list){b->given, count};
}

static inline void box_close(struct box *b)
{
    box_give_up(b);
    box_drop(b, 0, b->file_count);
    box_forget(b->told, &b->told_count);
    box_forget(b->given, &b->given_count);
}

#endif
