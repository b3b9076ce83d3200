/* Lives of nodes in the sandbox, with a test for their surroundings: it says what they are told, and remembers what they
 * say. */
#ifndef SYNOD_TESTS_COMPONENT_LIFE_FIXTURE_H
#define SYNOD_TESTS_COMPONENT_LIFE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/node_life.h"
#include "tests/component/sandbox_orders.h"
#include "tests/component/wasm_signals.h"

enum { TURN_TIMEOUT_US = 100000, FIXTURE_NODES = 2 };

struct fixture {
    struct surroundings surroundings; /* first: casts lead here */
    struct ports ports;
    char root[40], folder[64];
    struct engine *engine;
    struct config_node nodes[FIXTURE_NODES];
    struct config config;
    struct node_life *life;
    struct packet settings;
    struct frame_origin origin;
    int loop_fd; /* -1: none */
    uint64_t (*loop_run)(struct fixture *f);
    atomic_uint loops; /* calls of it */
    uint64_t failed;
    char log[512], refused[256]; /* the last of each */
    atomic_uint refusals;
};

static const char *fixture_folder; /* of the components */

static inline struct fixture *of_ports(struct ports *p)
{
    return (struct fixture *)((char *)p - offsetof(struct fixture, ports));
}

static inline void take_log(struct ports *p, uint32_t level, const char *text, size_t len)
{
    (void)level;
    snprintf(of_ports(p)->log, sizeof of_ports(p)->log, "%.*s", (int)len, text);
}

static inline void take_failure(struct ports *p, uint64_t code) { of_ports(p)->failed = code; }

static inline struct packet_list give_settings(struct surroundings *s)
{
    return (struct packet_list){&((struct fixture *)s)->settings, 1};
}

static inline const struct frame_origin *give_origin(struct surroundings *s) { return &((struct fixture *)s)->origin; }

static inline enum peer_verdict knows_peer(struct surroundings *s, const struct frame_origin *peer)
{
    (void)s;
    const bool known =
        peer->sender == 3 && peer->incarnation == 8 && peer->nonce == 9 && peer->instance[0] == 1 && peer->instance[8] == 2;
    return known ? PEER_ACCEPTED : PEER_UNKNOWN_WHY;
}

static inline int give_loop_fd(struct surroundings *s) { return ((struct fixture *)s)->loop_fd; }

static inline uint64_t run_loop(struct surroundings *s)
{
    struct fixture *f = (struct fixture *)s;
    atomic_fetch_add(&f->loops, 1);
    return f->loop_run != NULL ? f->loop_run(f) : 0;
}

static inline void take_refusal(struct surroundings *s, const char *what)
{
    struct fixture *f = (struct fixture *)s;
    snprintf(f->refused, sizeof f->refused, "%s", what);
    atomic_fetch_add(&f->refusals, 1);
}

static inline struct news no_news(struct ports *p)
{
    (void)p;
    return (struct news){0};
}

static inline int fixture_setup(void **state)
{
    static const struct surroundings_operations surroundings = {.settings = give_settings,
                                                                .origin = give_origin,
                                                                .accept_peer = knows_peer,
                                                                .loop_fd = give_loop_fd,
                                                                .loop_run = run_loop,
                                                                .refused = take_refusal};
    static const struct ports_operations ports = {.news = no_news, .log = take_log, .control_fail = take_failure};
    struct fixture *f = calloc(1, sizeof *f);
    struct problem problem;
    assert_non_null(f);
    const struct engine_options options = {.turn_timeout = TURN_TIMEOUT_US, .cache_folder = f->root};
    f->surroundings.operations = &surroundings;
    f->ports.operations = &ports;
    f->loop_fd = -1;
    strcpy(f->root, "/tmp/synod-life-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->folder, sizeof f->folder, "%s/node-1", f->root);
    f->config.nodes = f->nodes;
    f->config.node_count = FIXTURE_NODES;
    for (uint32_t i = 0; i < FIXTURE_NODES; i++) {
        f->nodes[i].id = i + 1;
        f->nodes[i].storage = PLACE_GUEST; /* it has WASI */
        strcpy(f->nodes[i].address.host, "127.0.0.1");
    }
    if (!engine_open(&f->engine, &options, &problem))
        fail_msg("%s", problem.text);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    char command[80];
    if (f->life != NULL)
        f->life->operations->free(f->life);
    engine_close(f->engine);
    snprintf(command, sizeof command, "rm -rf %s", f->root);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

/* Makes the life of node 1. */
static inline bool fixture_begin(struct fixture *f, const char *component, const char *folder, struct problem *problem)
{
    char file[4096];
    snprintf(file, sizeof file, "%s/%s.wasm", fixture_folder, component);
    const struct node_wasm_options options = {
        .engine = f->engine,
        .file = file,
        .memory_bytes_max = 4 << 20,
        .turn_timeout = TURN_TIMEOUT_US,
        .config = &f->config,
        .node = 1,
        .folder = folder,
        .surroundings = &f->surroundings,
    };
    wasm_signals_restore();
    return node_wasm_new(&f->life, &options, &f->ports, problem);
}

static inline void fixture_keep_signals(void)
{
    struct problem problem;
    struct engine *e;
    const struct engine_options options = {.turn_timeout = TURN_TIMEOUT_US, .cache_folder = "/nonexistent"};
    if (!engine_open(&e, &options, &problem)) /* Wasmtime's signal handlers come with the first engine */
        exit(1);
    wasm_signals_keep();
    engine_close(e);
}

#endif
