/* io/config_packet.c: every setting there and back, and packets that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/formats/config_frame.h"
#include "core/runners/ports.h"
#include "io/config_packet.h"

/* Settings of node 7 in which no two numbers are the same, as far as their ranges allow. */
static struct node_settings sample(void)
{
    static struct config_node nodes[] = {
        {.id = 7,
         .role = ROLE_PROPOSER,
         .address = {.host = "fe80::1%eth0", .port = 7001},
         .network = NETWORK_GUEST_UDP,
         .storage = PLACE_GUEST},
        {.id = 63,
         .role = ROLE_LEARNER,
         .address = {.host = "node-63.example.org", .port = 65535},
         .client = {.host = "127.0.0.1", .port = 1},
         .network = NETWORK_HOST_UDP,
         .serializer = PLACE_GUEST},
        {.id = 1,
         .role = ROLE_ACCEPTOR,
         .address = {.host = "h", .port = 2, .line = 12, .key = "nodes[2].address"},
         .network = NETWORK_GRPC},
    };
    static struct config_crash crashes[] = {{7, 5}, {1, 6}, {7, UINT64_MAX}, {63, 7}};
    static char file[] = "cluster.yaml", data[] = "/var/lib/synod";
    struct node_settings s = {.node = 7, .folder = "data/node-7", .exclusive = true};
    struct config *c = &s.config;
    *c = (struct config){.file = file, .cluster = "demo", .data = data, .nodes = nodes, .node_count = 3};
    c->crashes = crashes;
    c->crash_count = 4;
    c->log_level = LOG_DEBUG;
    c->node_config = (struct node_config){.proposers = 1 << 7,
                                          .acceptors = 2,
                                          .learners = UINT64_C(1) << 63,
                                          .phase1_quorum = 1,
                                          .phase2_quorum = 3,
                                          .alpha = 64,
                                          .forward = true,
                                          .durability = DURABILITY_OS,
                                          .request_timeout = 5000000};
    c->batch_size = 101;
    c->batch_bytes = 102;
    c->command_bytes_max = 103;
    c->frame_bytes_max = UINT32_MAX;
    c->client_connections_max = 105;
    c->client_bytes_max = UINT64_C(106) << 32;
    c->client_bytes_all_max = UINT64_C(107) << 32;
    c->peer_queue_bytes_max = UINT64_C(108) << 32;
    c->segment_bytes = UINT64_C(109) << 32;
    c->load_snapshots = true;
    c->memory_bytes_max = UINT64_MAX;
    c->turn_timeout = 111;
    c->grace_period = 112;
    c->datagram_bytes_max = 113;
    c->restarts_max = 114;
    c->restart_backoff = 115;
    c->ping_timeout = 116;
    c->waiting = WAITING_POLLING;
    c->tick = 117;
    c->debug_commands = true;
    c->demo_client = true;
    c->demo_client_requests = 118;
    return s;
}

static void expect_same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
    assert_string_equal(a->host, b->host);
    assert_int_equal(a->port, b->port);
    assert_int_equal(a->line, 0); /* the file is not there */
    assert_string_equal(a->key, "");
}

/* As their frame has them, of which tests/unit/test_config_frame.c looks that it has all fields. */
static void expect_same_node_config(const struct node_config *a, const struct node_config *b)
{
    uint64_t words_a[CONFIG_FRAME_WORDS], words_b[CONFIG_FRAME_WORDS];
    struct packet packet;
    config_frame_encode(a, words_a, &packet);
    config_frame_encode(b, words_b, &packet);
    assert_memory_equal(words_a, words_b, sizeof words_a);
}

static void expect_same_numbers(const struct config *a, const struct config *b)
{
    expect_same_node_config(&a->node_config, &b->node_config);
    assert_int_equal(a->log_level, b->log_level);
    assert_int_equal(a->batch_size, b->batch_size);
    assert_int_equal(a->batch_bytes, b->batch_bytes);
    assert_int_equal(a->command_bytes_max, b->command_bytes_max);
    assert_int_equal(a->frame_bytes_max, b->frame_bytes_max);
    assert_int_equal(a->client_connections_max, b->client_connections_max);
    assert_int_equal(a->client_bytes_max, b->client_bytes_max);
    assert_int_equal(a->client_bytes_all_max, b->client_bytes_all_max);
    assert_int_equal(a->peer_queue_bytes_max, b->peer_queue_bytes_max);
    assert_int_equal(a->segment_bytes, b->segment_bytes);
    assert_int_equal(a->load_snapshots, b->load_snapshots);
    assert_int_equal(a->memory_bytes_max, b->memory_bytes_max);
    assert_int_equal(a->turn_timeout, b->turn_timeout);
    assert_int_equal(a->grace_period, b->grace_period);
    assert_int_equal(a->datagram_bytes_max, b->datagram_bytes_max);
    assert_int_equal(a->restarts_max, b->restarts_max);
    assert_int_equal(a->restart_backoff, b->restart_backoff);
    assert_int_equal(a->ping_timeout, b->ping_timeout);
    assert_int_equal(a->waiting, b->waiting);
    assert_int_equal(a->tick, b->tick);
    assert_int_equal(a->debug_commands, b->debug_commands);
    assert_int_equal(a->demo_client, b->demo_client);
    assert_int_equal(a->demo_client_requests, b->demo_client_requests);
}

static void test_there_and_back(void **state)
{
    (void)state;
    const struct node_settings s = sample();
    struct node_settings read;
    struct packet packet = config_packet_encode(&s);
    assert_int_equal(packet.id, 7);
    assert_int_equal(packet.len, 8 * packet.words.len);
    memset(&read, 0xff, sizeof read);
    assert_true(config_packet_decode(&packet, &read));
    assert_int_equal(read.node, 7);
    assert_string_equal(read.folder, "data/node-7");
    assert_true(read.exclusive);
    assert_null(read.config.file);
    assert_string_equal(read.config.cluster, "demo");
    assert_string_equal(read.config.data, "/var/lib/synod");
    expect_same_numbers(&read.config, &s.config);
    assert_int_equal(read.config.node_count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct config_node *a = &read.config.nodes[i], *b = &s.config.nodes[i];
        assert_int_equal(a->id, b->id);
        assert_int_equal(a->role, b->role);
        assert_int_equal(a->network, b->network);
        assert_int_equal(a->storage, b->storage);
        assert_int_equal(a->serializer, b->serializer);
        expect_same_endpoint(&a->address, &b->address);
        expect_same_endpoint(&a->client, &b->client);
    }
    assert_int_equal(read.config.group_count, 0);
    assert_int_equal(read.config.crash_count, 2); /* its own */
    assert_int_equal(read.config.crashes[0].node, 7);
    assert_int_equal(read.config.crashes[0].slot, 5);
    assert_int_equal(read.config.crashes[1].node, 7);
    assert_true(read.config.crashes[1].slot == UINT64_MAX);

    struct packet again = config_packet_encode(&read);
    assert_int_equal(again.len, packet.len);
    assert_memory_equal(again.words.ptr, packet.words.ptr, packet.len);
    config_close(&read.config);
    free(packet.words.ptr);
    free(again.words.ptr);
}

static void test_without_what_may_be_left_out(void **state)
{
    (void)state;
    struct node_settings s = sample(), read;
    s.config.data = NULL;
    s.config.crash_count = 0;
    s.exclusive = false;
    struct packet packet = config_packet_encode(&s);
    assert_true(config_packet_decode(&packet, &read));
    assert_null(read.config.data);
    assert_int_equal(read.config.crash_count, 0);
    assert_false(read.exclusive);
    config_close(&read.config);
    free(packet.words.ptr);
}

static void expect_refused(const struct packet *packet)
{
    static const struct node_settings blank;
    struct node_settings read;
    memset(&read, 0xff, sizeof read);
    assert_false(config_packet_decode(packet, &read));
    expect_same_numbers(&read.config, &blank.config);
    assert_string_equal(read.config.cluster, "");
    assert_null(read.config.data);
    assert_true(read.config.nodes == NULL && read.config.node_count == 0);
    assert_true(read.config.crashes == NULL && read.config.crash_count == 0);
    assert_true(read.config.file == NULL && read.config.groups == NULL && read.config.group_count == 0);
    assert_int_equal(read.node, 0);
}

static void test_every_truncation_is_refused(void **state)
{
    (void)state;
    const struct node_settings s = sample();
    struct packet packet = config_packet_encode(&s);
    for (uint32_t len = 0; len < packet.len; len++) {
        const size_t words = words_for(len);
        struct packet cut = {.len = len, .words = {memory_new(words, sizeof(uint64_t)), words}}; /* nothing after it */
        memcpy(cut.words.ptr, packet.words.ptr, len);
        expect_refused(&cut);
        free(cut.words.ptr);
    }
    struct packet longer = packet; /* by a word that is not there */
    longer.words.len++;
    expect_refused(&longer);
    free(packet.words.ptr);
}

static void test_every_flipped_bit_is_refused(void **state)
{
    (void)state;
    const struct node_settings s = sample();
    struct packet packet = config_packet_encode(&s);
    for (size_t bit = 0; bit < 8 * (size_t)packet.len; bit++) {
        packet.words.ptr[bit / 64] ^= UINT64_C(1) << bit % 64;
        expect_refused(&packet);
        packet.words.ptr[bit / 64] ^= UINT64_C(1) << bit % 64;
    }
    free(packet.words.ptr);
}

/* With its checksum mended, a packet with any one bit flipped is refused or is another packet's only form; and any
 * truncation is refused for what is in it. */
static void test_content_under_a_sound_checksum(void **state)
{
    (void)state;
    const struct node_settings s = sample();
    struct packet packet = config_packet_encode(&s);
    uint64_t *sum = &packet.words.ptr[packet.words.len - 1];
    size_t refused = 0;
    for (size_t bit = 0; bit < 8 * (size_t)(packet.len - 8); bit++) {
        struct node_settings read;
        packet.words.ptr[bit / 64] ^= UINT64_C(1) << bit % 64;
        *sum = checksum(packet.words.ptr, packet.len - 8, 0);
        if (config_packet_decode(&packet, &read)) {
            struct packet again = config_packet_encode(&read);
            assert_int_equal(again.len, packet.len);
            assert_memory_equal(again.words.ptr, packet.words.ptr, packet.len);
            free(again.words.ptr);
            config_close(&read.config);
        } else {
            refused++;
        }
        packet.words.ptr[bit / 64] ^= UINT64_C(1) << bit % 64;
    }
    assert_true(refused > packet.len); /* lengths, counts, ids, kinds, padding, the magic */
    for (size_t words = 1; words < packet.words.len; words++) {
        struct packet cut = {.len = (uint32_t)(8 * words), .words = {memory_new(words, sizeof(uint64_t)), words}};
        memcpy(cut.words.ptr, packet.words.ptr, 8 * (words - 1));
        cut.words.ptr[words - 1] = checksum(cut.words.ptr, 8 * (words - 1), 0);
        expect_refused(&cut);
        free(cut.words.ptr);
    }
    free(packet.words.ptr);
}

/* What each packet must not say. */
static void test_contradictions_are_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 7; i++) {
        struct node_settings s = sample();
        struct config_node nodes[3];
        memcpy(nodes, s.config.nodes, sizeof nodes);
        s.config.nodes = nodes;
        if (i == 0)
            s.node = 6; /* no such node */
        else if (i == 1)
            nodes[2].id = 7;
        else if (i == 2)
            nodes[0].address = (struct endpoint){0};
        else if (i == 3)
            nodes[1].client.port = 0;
        else if (i == 4)
            s.folder[0] = '\0';
        else if (i == 5)
            s.config.cluster[0] = '\0';
        else
            s.config.node_config.incarnation = 1;
        struct packet packet = config_packet_encode(&s);
        expect_refused(&packet);
        free(packet.words.ptr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_without_what_may_be_left_out),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_every_flipped_bit_is_refused),
        cmocka_unit_test(test_content_under_a_sound_checksum),
        cmocka_unit_test(test_contradictions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
