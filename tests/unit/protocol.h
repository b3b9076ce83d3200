/* What the tests of the protocol's parts share: a small cluster's configuration, short values, messages, and finding what a
 * step returned. Everything made here lives as long as the program. */
#ifndef SYNOD_TESTS_UNIT_PROTOCOL_H
#define SYNOD_TESTS_UNIT_PROTOCOL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/types.h"

/* Nodes 1, 2 and 3 with all roles, seen by node `node`; a window of 8 slots. */
static inline struct node_config three_nodes(uint32_t node)
{
    return (struct node_config){
        .node = node,
        .incarnation = 1,
        .proposers = 0xe,
        .acceptors = 0xe,
        .learners = 0xe,
        .phase1_quorum = 2,
        .phase2_quorum = 2,
        .alpha = 8,
        .batches_in_flight = 4,
        .bytes_in_flight_max = 1 << 20,
        .chunk_bytes_max = 100,
        .learn_gap_max = 5,
        .event_driven = true,
        .heartbeat_interval = 100000,
        .suspect_timeout = 400000,
        .dead_timeout = 1000000,
        .prepare_timeout = 100000,
        .retry_interval = 100000,
        .exec_interval = 100000,
        .request_timeout = 5000000,
    };
}

/* Proposers 7 to 9, acceptors 4 to 6, learners 1 to 3. */
static inline struct node_config nine_nodes(uint32_t node)
{
    struct node_config config = three_nodes(node);
    config.proposers = 0x380;
    config.acceptors = 0x70;
    return config;
}

static inline struct ballot ballot_of(uint64_t round, uint32_t node)
{
    return (struct ballot){.round = round, .node = node, .incarnation = 1};
}

/* The bytes of a text, packed; one of a few buffers that are used in turn. */
static inline struct payload text_payload(const char *text)
{
    static uint64_t buffers[64][16];
    static size_t turn;
    uint64_t *words = buffers[turn++ % 64];
    uint32_t len = (uint32_t)strlen(text);
    memset(words, 0, sizeof buffers[0]);
    memcpy(words, text, len);
    return (struct payload){.words = {words, words_for(len)}, .len = len};
}

static inline struct entry entry_at(uint64_t slot, struct ballot ballot, const char *text)
{
    return (struct entry){.slot = slot, .ballot = ballot, .kind = ENTRY_COMMANDS, .value = text_payload(text)};
}

static inline bool payload_is(const struct payload *p, const char *text)
{
    return p->len == strlen(text) && (p->len == 0 || memcmp(p->words.ptr, text, p->len) == 0);
}

static inline struct event from(uint32_t sender, struct message message)
{
    return (struct event){.tag = EVENT_MESSAGE, .val.message = {.sender = sender, .message = message}};
}

static inline struct event durable(uint64_t lsn) { return (struct event){.tag = EVENT_DURABLE, .val.durable = lsn}; }

/* The effect number `n` (from 0) of a kind, NULL when there are not so many. */
static inline const struct effect *effect_of(const struct step_result *r, uint8_t tag, size_t n)
{
    for (size_t i = 0; i < r->effects.len; i++)
        if (r->effects.ptr[i].tag == tag && n-- == 0)
            return &r->effects.ptr[i];
    return NULL;
}

static inline size_t count_effects(const struct step_result *r, uint8_t tag)
{
    size_t count = 0;
    while (effect_of(r, tag, count) != NULL)
        count++;
    return count;
}

/* The first message of a kind that is sent, NULL when there is none. */
static inline const struct outgoing *sent(const struct step_result *r, uint8_t kind)
{
    const struct effect *e;
    for (size_t n = 0; (e = effect_of(r, EFFECT_SEND, n)) != NULL; n++)
        if (e->val.send.message.kind == kind)
            return &e->val.send;
    return NULL;
}

static inline size_t count_sent(const struct step_result *r, uint8_t kind)
{
    size_t count = 0;
    const struct effect *e;
    for (size_t n = 0; (e = effect_of(r, EFFECT_SEND, n)) != NULL; n++)
        count += e->val.send.message.kind == kind;
    return count;
}

/* The first record of a kind that is appended, NULL when there is none. */
static inline const struct log_record *appended(const struct step_result *r, uint8_t kind)
{
    const struct effect *e;
    for (size_t n = 0; (e = effect_of(r, EFFECT_APPEND, n)) != NULL; n++)
        if (e->val.append.kind == kind)
            return &e->val.append;
    return NULL;
}

#endif
