/* core/formats/config_frame.c: every field there and back, the limits of each, and packets that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/formats/config_frame.h"
#include "tests/unit/random.h"

enum { CONFIG_FIELDS = 55, STATUS_FIELDS = 29 };

/* Padding is zero, too, because structures are compared as bytes: so they are filled in place, and never assigned. */
static void sample_config(struct node_config *config)
{
    memset(config, 0, sizeof *config);
    config->node = 3;
    config->incarnation = UINT32_MAX;
    config->admitted = UINT64_MAX - 4;
    config->joined = DUTY_ALL;
    config->proposers = 0x0e;
    config->acceptors = UINT64_MAX - 1;
    config->learners = UINT64_C(1) << 63;
    config->phase1_quorum = 6;
    config->phase2_quorum = 7;
    config->alpha = 8;
    config->batches_in_flight = 9;
    config->bytes_in_flight_max = UINT64_C(10) << 40;
    config->chunk_bytes_max = 11;
    config->learn_gap_max = 12;
    config->acceptors_send_learns = true;
    config->learners_send_executed = false;
    config->forward = false;
    config->event_driven = true;
    config->log_decisions = true;
    config->durability = DURABILITY_MEMORY;
    config->leader_rule = LEADER_HIGHEST;
    config->heartbeat_interval = 17;
    config->suspect_timeout = 18;
    config->dead_timeout = 19;
    config->prepare_timeout = 20;
    config->retry_interval = 21;
    config->exec_interval = 22;
    config->request_timeout = UINT64_MAX;
    config->state_bytes_max = UINT64_MAX - 2;
    config->state_bytes_room = 43;
    config->snapshot_bytes = 37;
    config->snapshot_slots = 38;
    config->snapshots_max = 39;
    config->journal_keep_slots = 40;
    config->transfer_rate = 41;
    config->seed = (struct seed){UINT64_MAX - 3, 35};
    config->limits = (struct limits){23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 42, 44, 34, 35, 36, UINT32_MAX, 45};
}

static void sample_status(struct node_status *status)
{
    memset(status, 0, sizeof *status);
    status->node = 63;
    status->incarnation = 2;
    status->leader = 1;
    status->proposer_state = PROPOSER_LEADING;
    status->ballot = (struct ballot){5, 6, 7};
    status->promised = (struct ballot){8, 9, 10};
    status->chosen = 11;
    status->executed = 12;
    status->held = 13;
    status->state_hash = UINT64_MAX;
    status->commands_executed = 15;
    status->leader_changes = 16;
    status->batches_waiting = 17;
    status->keys = 18;
    status->state_bytes = 19;
    status->state_bytes_max = 20;
    status->moment = (struct moment){21, UINT64_MAX - 4};
    status->timed_keys = 23;
    status->time_left = 24;
    status->state_age_ms = 25;
    status->slots_behind = 26;
    status->sessions = 27;
    status->session_bytes = 28;
    status->wall_clock = 29;
}

static void test_config_there_and_back(void **state)
{
    (void)state;
    uint64_t words[CONFIG_FRAME_WORDS];
    struct node_config config, read;
    struct packet packet;
    sample_config(&config);
    config_frame_encode(&config, words, &packet);
    assert_ptr_equal(packet.words.ptr, words);
    assert_int_equal(packet.words.len, CONFIG_FRAME_WORDS);
    assert_int_equal(packet.len, 8 * CONFIG_FRAME_WORDS);
    memset(&read, 0xff, sizeof read);
    assert_true(config_frame_decode(&packet, &read));
    assert_memory_equal(&read, &config, sizeof config);
}

static void test_status_there_and_back(void **state)
{
    (void)state;
    uint64_t words[STATUS_FRAME_WORDS];
    struct node_status status, read;
    struct packet packet;
    sample_status(&status);
    status_frame_encode(&status, words, &packet);
    assert_int_equal(packet.words.len, STATUS_FRAME_WORDS);
    memset(&read, 0xff, sizeof read);
    assert_true(status_frame_decode(&packet, &read));
    assert_memory_equal(&read, &status, sizeof status);
}

/* Each word carries one field: in the order of core/base/types.h, none left out, none twice. */
static void test_the_order_of_the_fields(void **state)
{
    (void)state;
    uint64_t words[CONFIG_FRAME_WORDS];
    struct node_config config;
    struct packet packet;
    sample_config(&config);
    config_frame_encode(&config, words, &packet);
    static const uint64_t expected_config[1 + CONFIG_FIELDS] = {
        0x30314353,
        3,
        UINT32_MAX,
        UINT64_MAX - 4,
        DUTY_ALL,
        0x0e,
        UINT64_MAX - 1,
        UINT64_C(1) << 63,
        6,
        7,
        8,
        9,
        UINT64_C(10) << 40,
        11,
        12,
        1,
        0,
        0,
        1,
        1,
        DURABILITY_MEMORY,
        LEADER_HIGHEST,
        17,
        18,
        19,
        20,
        21,
        22,
        UINT64_MAX,
        UINT64_MAX - 2,
        43,
        37,
        38,
        39,
        40,
        41,
        UINT64_MAX - 3,
        35,
        23,
        24,
        25,
        26,
        27,
        28,
        29,
        30,
        31,
        32,
        33,
        42,
        44,
        34,
        35,
        36,
        UINT32_MAX,
        45,
    };
    assert_memory_equal(words, expected_config, sizeof expected_config);
    for (size_t i = 1 + CONFIG_FIELDS; i < CONFIG_FRAME_WORDS; i++)
        assert_int_equal(words[i], 0);

    struct node_status status;
    sample_status(&status);
    status_frame_encode(&status, words, &packet);
    static const uint64_t expected_status[1 + STATUS_FIELDS] = {
        0x34305353, 63, 2,  1,  PROPOSER_LEADING, 5,  6,  7,  8,  9,  10, 11, 12, 13, UINT64_MAX, 15, 16, 17,
        18,         19, 20, 21, UINT64_MAX - 4,   23, 24, 25, 26, 27, 28, 29,
    };
    assert_memory_equal(words, expected_status, sizeof expected_status);
    for (size_t i = 1 + STATUS_FIELDS; i < STATUS_FRAME_WORDS; i++)
        assert_int_equal(words[i], 0);
}

/* What each word may hold at most; 0: it must be zero. The lowest is 0, but for a configuration's node. */
static void test_each_field_has_its_range(void **state)
{
    (void)state;
    static const uint64_t config_max[1 + CONFIG_FIELDS] = {
        0x30314353, 63,         UINT32_MAX, UINT64_MAX, DUTY_ALL,          UINT64_MAX,     UINT64_MAX, UINT64_MAX,
        UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT64_MAX,        UINT32_MAX,     UINT32_MAX, 1,
        1,          1,          1,          1,          DURABILITY_MEMORY, LEADER_HIGHEST, UINT64_MAX, UINT64_MAX,
        UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,        UINT64_MAX,     UINT64_MAX, UINT64_MAX,
        UINT64_MAX, UINT32_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,        UINT64_MAX,     UINT32_MAX, UINT32_MAX,
        UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,        UINT32_MAX,     UINT32_MAX, UINT32_MAX,
        UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,        UINT32_MAX,     UINT32_MAX, UINT32_MAX,
    };
    uint64_t words[CONFIG_FRAME_WORDS];
    struct packet packet;
    for (size_t i = 1; i < CONFIG_FRAME_WORDS; i++) {
        struct node_config config, read;
        uint64_t max = i <= CONFIG_FIELDS ? config_max[i] : 0;
        sample_config(&config);
        config_frame_encode(&config, words, &packet);
        words[i] = max;
        assert_true(config_frame_decode(&packet, &read));
        if (max == UINT64_MAX)
            continue;
        words[i] = max + 1;
        assert_false(config_frame_decode(&packet, &read));
        words[i] = UINT64_MAX;
        assert_false(config_frame_decode(&packet, &read));
        static const struct node_config zero;
        assert_memory_equal(&read, &zero, sizeof read); /* nothing half read */
    }
    struct node_config config, read;
    sample_config(&config);
    config.node = 0;
    config_frame_encode(&config, words, &packet);
    assert_false(config_frame_decode(&packet, &read));

    static const uint64_t status_max[1 + STATUS_FIELDS] = {
        0x34305353, 63,         UINT32_MAX, 63,         PROPOSER_LEADING, UINT64_MAX, 63,         UINT32_MAX,
        UINT64_MAX, 63,         UINT32_MAX, UINT64_MAX, UINT64_MAX,       UINT64_MAX, UINT64_MAX, UINT64_MAX,
        UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,       UINT64_MAX, UINT64_MAX, UINT64_MAX,
        UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,       UINT64_MAX,
    };
    for (size_t i = 1; i < STATUS_FRAME_WORDS; i++) {
        struct node_status status, status_read;
        uint64_t max = i <= STATUS_FIELDS ? status_max[i] : 0;
        sample_status(&status);
        status_frame_encode(&status, words, &packet);
        words[i] = max;
        assert_true(status_frame_decode(&packet, &status_read));
        if (max == UINT64_MAX)
            continue;
        words[i] = max + 1;
        assert_false(status_frame_decode(&packet, &status_read));
    }
}

static void test_other_packets(void **state)
{
    (void)state;
    uint64_t words[CONFIG_FRAME_WORDS + 1] = {0};
    struct node_config config, read;
    struct node_status status, status_read;
    struct packet packet;

    sample_config(&config);
    config_frame_encode(&config, words, &packet);
    assert_false(status_frame_decode(&packet, &status_read));
    for (uint32_t len = 0; len < 8 * (CONFIG_FRAME_WORDS + 1); len++) {
        struct packet other = {.len = len, .words = {words, words_for(len)}};
        assert_int_equal(config_frame_decode(&other, &read), len == packet.len);
    }
    struct packet none = {0};
    assert_false(config_frame_decode(&none, &read));
    packet.len--;
    assert_false(config_frame_decode(&packet, &read));
    packet.len++;
    packet.words.len--;
    assert_false(config_frame_decode(&packet, &read));
    packet.words.len++;
    words[0] += UINT64_C(1) << 24; /* the next version */
    assert_false(config_frame_decode(&packet, &read));
    words[0] = (words[0] - (UINT64_C(1) << 24)) | UINT64_C(1) << 32;
    assert_false(config_frame_decode(&packet, &read));

    sample_status(&status);
    status_frame_encode(&status, words, &packet);
    assert_false(config_frame_decode(&packet, &read));
    packet.len = CONFIG_FRAME_WORDS * 8; /* a status in a packet as long as a configuration */
    packet.words.len = CONFIG_FRAME_WORDS;
    assert_false(config_frame_decode(&packet, &read));
}

static void test_random_words(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (unsigned round = 0; round < 20000; round++) {
        uint64_t words[CONFIG_FRAME_WORDS];
        struct node_config config, read;
        struct node_status status_read;
        struct packet packet;
        sample_config(&config);
        config_frame_encode(&config, words, &packet);
        for (unsigned changes = 0; changes < 1 + round % 3; changes++)
            words[1 + random_below(&seed, CONFIG_FRAME_WORDS - 1)] = random_next(&seed) >> random_below(&seed, 64);
        if (config_frame_decode(&packet, &read)) {
            uint64_t again[CONFIG_FRAME_WORDS];
            config_frame_encode(&read, again, &packet);
            assert_memory_equal(again, words, sizeof words);
        }
        packet.len = 8 * STATUS_FRAME_WORDS;
        packet.words = (struct words){words, STATUS_FRAME_WORDS};
        words[0] = 0x34305353;
        if (status_frame_decode(&packet, &status_read))
            assert_true(status_read.proposer_state <= PROPOSER_LEADING && status_read.leader <= NODE_ID_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_there_and_back),   cmocka_unit_test(test_status_there_and_back),
        cmocka_unit_test(test_the_order_of_the_fields), cmocka_unit_test(test_each_field_has_its_range),
        cmocka_unit_test(test_other_packets),           cmocka_unit_test(test_random_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
