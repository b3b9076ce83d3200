/* A simulated network of a few nodes, all of them up and connected, and bodies that tell which they are. */
#ifndef SYNOD_TESTS_UNIT_NETWORK_SIM_FIXTURE_H
#define SYNOD_TESTS_UNIT_NETWORK_SIM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/formats/frame.h"
#include "sim/network.h"
#include "tests/unit/rebirth.h"

enum {
    NODES = 3,
    LATENCY = 100,
    SPREAD = 400,
    HANDSHAKE = 5 * (LATENCY + SPREAD), /* from a node's start until all its streams are connected */
    RETRY_MAX = 1250000,
    QUEUE = 1 << 20,
    ALWAYS = 1000000,
    BODIES = 8192,
    GREETINGS = NODES * (NODES - 1) / 2, /* each node's to those that started before it */
};

static const uint64_t SECOND = 1000000;

struct fixture {
    struct faults faults;
    struct network_sim *network;
    uint64_t now, sent;   /* bodies are numbered from 1 */
    uint64_t got[BODIES]; /* numbers, in the order of arrival at the node that was drained last */
    uint64_t at[BODIES];  /* when */
    size_t count, reborn; /* notices of later lives, which are not counted as bodies */
};

static inline struct fixture *fixture_new(uint64_t seed)
{
    struct fixture *f = memory_new(1, sizeof *f);
    const struct network_sim_options options = {.seed = seed,
                                                .nodes = NODES,
                                                .latency_us = LATENCY,
                                                .latency_spread_us = SPREAD,
                                                .queue_bytes_max = QUEUE,
                                                .faults = &f->faults};
    f->network = network_sim_new(&options);
    for (uint32_t id = 1; id <= NODES; id++)
        network_sim_start(f->network, id, 1, 0, 0);
    f->now = HANDSHAKE;
    for (uint32_t id = 1; id <= NODES; id++)
        network_sim_receive(f->network, id, f->now); /* greetings; and so the network, too, knows what time it is */
    return f;
}

static inline void fixture_free(struct fixture *f)
{
    network_sim_free(f->network);
    free(f);
}

static inline uint64_t word_of(uint64_t number, size_t i) { return number * UINT64_C(0x9e3779b97f4a7c15) + i; }

/* Sends a body that tells its number, of `words` words. Returns the number. */
static inline uint64_t send_sized(struct fixture *f, uint32_t from, node_set to, size_t words)
{
    uint64_t body[256] = {++f->sent};
    for (size_t i = 1; i < words; i++)
        body[i] = word_of(f->sent, i);
    const struct packet p = {.id = to, .len = (uint32_t)(8 * words), .words = {body, words}};
    network_sim_send(f->network, from, &p, 1, f->now);
    return f->sent;
}

static inline uint64_t send(struct fixture *f, uint32_t from, uint32_t to)
{
    return send_sized(f, from, node_set_of(to), 2);
}

static inline void take(struct fixture *f, uint32_t node, uint64_t now)
{
    struct packet_list l = network_sim_receive(f->network, node, now);
    for (size_t i = 0; i < l.len; i++) {
        const struct packet *p = &l.ptr[i];
        assert_int_equal(p->words.len, words_for(p->len));
        if (is_rebirth(p)) {
            f->reborn++;
            continue;
        }
        for (size_t k = 1; k < p->words.len; k++)
            assert_int_equal(p->words.ptr[k], word_of(p->words.ptr[0], k));
        assert_true(f->count < BODIES);
        f->at[f->count] = now;
        f->got[f->count++] = p->words.ptr[0];
    }
}

static inline struct network_sim_statistics statistics(const struct fixture *f)
{
    return network_sim_statistics(f->network);
}

/* Frames that have got to where they were sent, whatever became of them there. */
static inline uint64_t got_there(const struct fixture *f)
{
    struct network_sim_statistics s = statistics(f);
    return s.frames_received + s.refused + s.broken;
}

/* Takes what arrives at `node` before `until`, each at its time: something does, whenever the network says so. */
static inline size_t drain(struct fixture *f, uint32_t node, uint64_t until)
{
    uint64_t next;
    f->count = 0;
    while ((next = network_sim_next(f->network, node)) < until) {
        uint64_t before = got_there(f);
        take(f, node, next);
        assert_true(got_there(f) > before);
        assert_true(network_sim_next(f->network, node) > next);
    }
    f->now = until > f->now ? until : f->now;
    return f->count;
}

static inline size_t drain_all(struct fixture *f, uint32_t node) { return drain(f, node, f->now + 60 * SECOND); }

/* Every frame has become something. */
static inline void assert_accounted(const struct fixture *f)
{
    struct network_sim_statistics s = statistics(f);
    uint64_t made = s.frames_sent + f->faults.fired[FAULT_DUPLICATE] + f->faults.fired[FAULT_REPLAY];
    assert_int_equal(made, s.frames_received + s.refused + s.broken + s.dropped_full + s.lost + s.under_way);
}

#endif
