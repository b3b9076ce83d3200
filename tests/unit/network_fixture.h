/* Several networks of one kind on one loop, each with a data folder, and bodies that tell which they are. */
#ifndef SYNOD_TESTS_UNIT_NETWORK_FIXTURE_H
#define SYNOD_TESTS_UNIT_NETWORK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/formats/frame.h"
#include "io/data_folder.h"
#include "io/governed.h"
#include "io/network.h"
#include "tests/unit/rebirth.h"

enum { NODES = 3, FRAME_MAX = 4 << 20 };

struct node {
    uint32_t id;
    char folder_path[96];
    struct data_folder *folder;
    struct network *network;
    struct logger *logger;
    bool only_receives;
    size_t inputs, expelled, early;
    size_t reborn; /* how often its network has said that a life of another node is over */
    int exit_code; /* with which it was expelled, and why */
    char reason[512];
    const struct config *config; /* NULL: that of all */
    /* What has been received and was copied. */
    struct packet packets[4096];
    size_t count;
};

struct fixture {
    uv_loop_t loop;
    uv_timer_t watchdog;
    network_opener *opener;
    struct config config;
    struct config_node config_nodes[NODES];
    struct node nodes[NODES];
    char root[32];
    size_t closed;
};

static inline void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happened for 20 s");
}

static inline void on_input(void *context) { ((struct node *)context)->inputs++; }
static inline void on_closed(void *context) { ++*(size_t *)context; }

static inline enum peer_verdict accept_peer(void *context, const struct frame_origin *peer)
{
    return data_folder_accept_peer(((struct node *)context)->folder, peer);
}

static inline void on_expelled(void *context, int exit_code, const char *reason)
{
    struct node *node = context;
    node->expelled++;
    node->exit_code = exit_code;
    snprintf(node->reason, sizeof node->reason, "%s", reason);
}

static inline void on_early(void *context, const struct frame_origin *peer)
{
    (void)peer;
    ((struct node *)context)->early++;
}

static inline struct network_options options_of(const struct fixture *f, struct node *node)
{
    return (struct network_options){
        .config = node->config != NULL ? node->config : &f->config,
        .origin = identity_origin(data_folder_identity(node->folder)),
        .sends = !node->only_receives,
        .receives = true,
        .accept_peer = accept_peer,
        .on_expelled = on_expelled,
        .on_early = on_early,
        .logger = node->logger,
        .on_input = on_input,
        .context = node,
    };
}

/* A port that the system has chosen: those that are open do not know it yet. */
static inline void tell_port(struct fixture *f)
{
    struct roster *m = memory_new(1, sizeof *m);
    for (size_t i = 0; i < NODES; i++) {
        const struct node *node = &f->nodes[i];
        roster_of_file(m, node->config != NULL ? node->config : &f->config);
        if (node->network != NULL)
            network_members(node->network, m);
    }
    free(m);
}

static inline void open_node(struct fixture *f, size_t i)
{
    struct node *node = &f->nodes[i];
    struct problem problem = {0};
    if (!data_folder_open(&node->folder, disk_posix(), node->folder_path, f->config.cluster, node->id, &problem))
        fail_msg("%s", problem.text);
    const struct network_options options = options_of(f, node);
    if (!f->opener(&node->network, &f->loop, &options, &problem))
        fail_msg("%s", problem.text);
    const bool moved = f->config_nodes[i].address.port != network_port(node->network);
    f->config_nodes[i].address.port = network_port(node->network);
    assert_int_not_equal(f->config_nodes[i].address.port, 0);
    if (moved)
        tell_port(f);
}

static inline void run_until_closed(struct fixture *f, size_t closed)
{
    while (f->closed < closed)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static inline void close_node(struct fixture *f, size_t i)
{
    struct node *node = &f->nodes[i];
    size_t before = f->closed;
    if (node->network == NULL)
        return;
    network_close(node->network, on_closed, &f->closed);
    run_until_closed(f, before + 1);
    node->network = NULL;
    data_folder_close(node->folder);
    node->folder = NULL;
}

static inline struct fixture *setup(network_opener *opener, const char *host)
{
    struct fixture *f = memory_new(1, sizeof *f);
    f->opener = opener;
    uv_loop_init(&f->loop);
    uv_timer_init(&f->loop, &f->watchdog);
    uv_timer_start(&f->watchdog, on_watchdog, 20000, 0);
    strcpy(f->root, "/tmp/synod-network-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    strcpy(f->config.cluster, "demo");
    f->config.nodes = f->config_nodes;
    f->config.node_count = NODES;
    f->config.node_config.acceptors = (2 << NODES) - 2;
    f->config.node_config.phase1_quorum = NODES / 2 + 1;
    f->config.frame_bytes_max = FRAME_MAX;
    f->config.peer_queue_bytes_max = 64 << 20;
    for (size_t i = 0; i < NODES; i++) {
        struct node *node = &f->nodes[i];
        struct problem problem = {0};
        node->id = (uint32_t)i + 1;
        node->logger = logger_new(node->id, LOG_ERROR);
        f->config_nodes[i].id = node->id;
        strcpy(f->config_nodes[i].address.host, host);
        snprintf(node->folder_path, sizeof node->folder_path, "%s/node-%u", f->root, node->id);
        if (!data_folder_format(disk_posix(), node->folder_path, f->config.cluster, node->id, NULL, NULL, &problem))
            fail_msg("%s", problem.text);
    }
    return f;
}

static inline void forget(struct node *node)
{
    for (size_t i = 0; i < node->count; i++)
        free(node->packets[i].words.ptr);
    node->count = 0;
}

static inline void teardown(struct fixture *f)
{
    for (size_t i = 0; i < NODES; i++) {
        close_node(f, i);
        forget(&f->nodes[i]);
        logger_free(f->nodes[i].logger);
    }
    uv_close((uv_handle_t *)&f->watchdog, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0); /* no handle was forgotten */
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", f->root);
    assert_int_equal(system(command), 0);
    free(f);
}

static inline void collect(struct node *node)
{
    struct packet_list list = network_receive(node->network);
    for (size_t i = 0; i < list.len; i++) {
        if (is_rebirth(&list.ptr[i])) {
            node->reborn++;
            continue;
        }
        assert_int_equal((uintptr_t)list.ptr[i].words.ptr % 8, 0);
        assert_int_equal(list.ptr[i].words.len, words_for(list.ptr[i].len));
        assert_true(node->count < 4096);
        const struct payload body = {list.ptr[i].words, list.ptr[i].len};
        node->packets[node->count] = list.ptr[i];
        node->packets[node->count++].words = payload_copy(&body).words;
    }
}

/* A body whose bytes follow from its number. */
static inline struct packet make(uint64_t to, uint32_t number, uint32_t len)
{
    struct packet p = {.id = to, .len = len, .words = {memory_new(words_for(len), 8), words_for(len)}};
    for (uint32_t i = 0; i < len; i++)
        ((uint8_t *)p.words.ptr)[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
    return p;
}

static inline void assert_body(const struct packet *got, uint32_t sender, uint32_t number, uint32_t len)
{
    struct packet expected = make(0, number, len);
    assert_int_equal(got->id, sender);
    assert_int_equal(got->len, len);
    assert_memory_equal(got->words.ptr, expected.words.ptr, words_for(len) * 8);
    free(expected.words.ptr);
}

static inline void send_one(struct node *node, uint64_t to, uint32_t number, uint32_t len)
{
    struct packet p = make(to, number, len);
    network_send(node->network, &p, 1);
    free(p.words.ptr); /* borrowed only for the call */
}

/* Frames to peers that are not connected, and datagrams of who has not greeted, are dropped: sends until one was not, and
 * sees it arrive. */
static inline void wait_connected(struct fixture *f, struct node *from, struct node *to, uint32_t number)
{
    const size_t before = to->count;
    while (to->count == before) {
        const uint64_t unsent = network_statistics(from->network).dropped, unheard = network_statistics(to->network).dropped;
        send_one(from, node_set_of(to->id), number, 5);
        do {
            uv_run(&f->loop, UV_RUN_ONCE);
            collect(to);
        } while (to->count == before && network_statistics(from->network).dropped == unsent &&
                 network_statistics(to->network).dropped == unheard);
    }
    assert_body(&to->packets[before], from->id, number, 5);
    forget(to);
}

static inline void collect_until(struct fixture *f, struct node *node, size_t count)
{
    for (collect(node); node->count < count; collect(node))
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(node->count, count);
}

static inline struct frame_origin origin_of(const struct node *node)
{
    return identity_origin(data_folder_identity(node->folder));
}

/* What a connection begins with where a node has this configuration. Returns its length. */
static inline uint32_t greeting_of(const struct config *config, uint64_t words[GOVERNED_TEXT_MAX / 8])
{
    memset(words, 0, GOVERNED_TEXT_MAX);
    governed_print(config, (char *)words);
    return (uint32_t)strlen((char *)words);
}

/* ---- What every transport must do ---- */

/* Frames of all sizes there and one back, each as it was sent. */
static inline void exchange_frames(network_opener *opener, const char *host)
{
    static const uint32_t sizes[] = {1, 7, 8, 9, 4096, 65536, 70001, FRAME_MAX, 3};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    struct fixture *f = setup(opener, host);
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, a, b, 9);
    wait_connected(f, b, a, 10);
    struct packet frames[SIZES];
    for (uint32_t i = 0; i < SIZES; i++)
        frames[i] = make(node_set_of(1) | node_set_of(2), i, sizes[i]); /* to itself, too: that is left out */
    network_send(a->network, frames, SIZES);
    for (uint32_t i = 0; i < SIZES; i++)
        free(frames[i].words.ptr);
    send_one(b, node_set_of(1), 77, 100);
    collect_until(f, b, SIZES);
    for (uint32_t i = 0; i < SIZES; i++)
        assert_body(&b->packets[i], 1, i, sizes[i]);
    collect_until(f, a, 1);
    assert_body(&a->packets[0], 2, 77, 100);
    assert_true(b->inputs > 0);
    assert_int_equal(network_statistics(b->network).bad_frames, 0);
    teardown(f);
}

static inline void wait_over(struct fixture *f, struct node *node, size_t lives)
{
    for (collect(node); node->reborn < lives; collect(node))
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(node->reborn, lives);
}

/* The process of node 2 ends, and comes back: the others notice both. When `alone`, node 3 does not hear a quorum. Then it
 * says nothing of the end, because it may be cut off itself. */
static inline void process_ends(network_opener *opener, bool alone)
{
    struct fixture *f = setup(opener, "127.0.0.1");
    struct node *a = &f->nodes[0], *b = &f->nodes[1], *c = &f->nodes[2];
    a->only_receives = alone;
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    wait_connected(f, c, a, 1);
    if (!alone)
        wait_connected(f, a, c, 1);
    for (uint32_t life = 1; life <= 3; life++) {
        wait_connected(f, b, a, 2);
        wait_connected(f, b, c, 3);
        close_node(f, 1);
        wait_over(f, a, 2 * life - 1);
        wait_over(f, c, alone ? life - 1 : 2 * life - 1);
        open_node(f, 1);
        wait_connected(f, b, a, 4);
        wait_connected(f, b, c, 5);
        assert_int_equal(a->reborn, 2 * life);
        assert_int_equal(c->reborn, alone ? life : 2 * life);
    }
    assert_int_equal(b->reborn, 0);
    teardown(f);
}

/* A frame goes to the nodes of its set that there are, in order. */
static inline void fan_out(network_opener *opener)
{
    struct fixture *f = setup(opener, "127.0.0.1");
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    wait_connected(f, &f->nodes[0], &f->nodes[1], 1);
    wait_connected(f, &f->nodes[0], &f->nodes[2], 2);
    uint64_t out = network_statistics(f->nodes[0].network).frames_out;
    struct packet frames[] = {make(node_set_of(2) | node_set_of(3), 1, 11), make(node_set_of(3), 2, 12),
                              make(node_set_of(2), 3, 13), make(node_set_of(40), 4, 14)};
    network_send(f->nodes[0].network, frames, 4);
    for (size_t i = 0; i < 4; i++)
        free(frames[i].words.ptr);
    collect_until(f, &f->nodes[1], 2);
    collect_until(f, &f->nodes[2], 2);
    assert_body(&f->nodes[1].packets[0], 1, 1, 11);
    assert_body(&f->nodes[1].packets[1], 1, 3, 13);
    assert_body(&f->nodes[2].packets[0], 1, 1, 11);
    assert_body(&f->nodes[2].packets[1], 1, 2, 12);
    assert_int_equal(network_statistics(f->nodes[0].network).frames_out - out, 4);
    teardown(f);
}

#endif
