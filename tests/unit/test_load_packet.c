/* What the client component gets and gives, as packets: it comes back as it was, and nothing else is taken for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "load/load_packet.h"

static const struct load_target targets[] = {{"node.example", 6001}, {"2001:db8::1", 6002}};
static const struct load_address addresses[] = {
    {.bytes = {192, 0, 2, 1}, .port = 6001},
    {.bytes = {0x20, 1, 0xd, 0xb8, [15] = 1}, .scope = 7, .port = 6002, .is_ipv6 = true},
};
static const struct load_job job = {
    .options = {.targets = targets,
                .target_count = 2,
                .connections = 500,
                .pipeline = 16,
                .oneshot = true,
                .readonly = true,
                .resend = true,
                .sessions = true,
                .command = COMMAND_MIXED,
                .requests = UINT64_C(1) << 40,
                .keyspace = 1000,
                .value_size = 64,
                .request_timeout_ms = 5000,
                .stall_timeout_ms = 30000},
    .addresses = addresses,
    .connections = 50,
    .first = 12345678901,
};

static void a_job_comes_back(void **state)
{
    struct load_job back;
    (void)state;
    struct packet packet = load_job_encode(&job);
    assert_true(load_job_decode(&packet, &back));
    assert_int_equal(back.connections, 50);
    assert_int_equal(back.options.connections, 500);
    assert_int_equal(back.first, job.first);
    assert_int_equal(back.options.requests, job.options.requests);
    assert_int_equal(back.options.pipeline, 16);
    assert_true(back.options.oneshot && back.options.readonly && back.options.resend && back.options.sessions);
    assert_int_equal(back.options.command, COMMAND_MIXED);
    assert_int_equal(back.options.protocol, PROTOCOL_RESP);
    assert_int_equal(back.options.keyspace, 1000);
    assert_int_equal(back.options.value_size, 64);
    assert_int_equal(back.options.request_timeout_ms, 5000);
    assert_int_equal(back.options.stall_timeout_ms, 30000);
    assert_int_equal(back.options.target_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(back.options.targets[i].host, targets[i].host);
        assert_int_equal(back.options.targets[i].port, targets[i].port);
        assert_memory_equal(back.addresses[i].bytes, addresses[i].bytes, 16);
        assert_int_equal(back.addresses[i].port, addresses[i].port);
        assert_int_equal(back.addresses[i].scope, addresses[i].scope);
        assert_int_equal(back.addresses[i].is_ipv6, addresses[i].is_ipv6);
    }
    load_job_close(&back);
    free(packet.words.ptr);
}

static void a_result_comes_back(void **state)
{
    struct load_share *share = memory_new(1, sizeof *share), *back = memory_new(1, sizeof *back);
    (void)state;
    share->answered = 3;
    share->errors = 4;
    share->unknown = 5;
    share->retried = 6;
    share->moved = 7;
    share->no_session = 8;
    share->session_passed = 9;
    share->session_reply = 10;
    share->first_sent_us = 1000; /* at the very beginning, which is not "never" */
    share->last_answer_us = 9000;
    histogram_record(&share->latency, 77);
    histogram_record(&share->latency, UINT64_C(1) << 50);
    strcpy(share->first_error, "ERR no");
    strcpy(share->problem, "no answer");
    struct packet packet = load_result_encode(share, 1000);
    assert_true(load_result_decode(&packet, back, 500000));
    assert_int_equal(back->answered, 3);
    assert_int_equal(back->errors, 4);
    assert_int_equal(back->unknown, 5);
    assert_int_equal(back->retried, 6);
    assert_int_equal(back->moved, 7);
    assert_int_equal(back->no_session, 8);
    assert_int_equal(back->session_passed, 9);
    assert_int_equal(back->session_reply, 10);
    assert_int_equal(back->first_sent_us, 500000);
    assert_int_equal(back->last_answer_us, 508000);
    assert_memory_equal(&back->latency, &share->latency, sizeof share->latency);
    assert_string_equal(back->first_error, "ERR no");
    assert_string_equal(back->problem, "no answer");
    free(packet.words.ptr);

    memset(share, 0, sizeof *share);
    packet = load_result_encode(share, 1000);
    assert_true(load_result_decode(&packet, back, 500000));
    assert_int_equal(back->first_sent_us, 0);
    assert_int_equal(back->last_answer_us, 0);
    free(packet.words.ptr);
    free(share);
    free(back);
}

/* Cut at any length, with more after it, or with another beginning. */
static void nothing_else_is_taken(void **state)
{
    struct load_job back;
    struct load_share *share = memory_new(1, sizeof *share);
    (void)state;
    struct packet whole[] = {load_job_encode(&job), load_result_encode(share, 0)};
    for (size_t i = 0; i < 2; i++) {
        uint64_t *copy = memory_new(whole[i].words.len + 1, 8);
        struct packet part = {.words = {copy, 0}};
        for (part.len = 0; part.len <= whole[i].len + 8; part.len++) {
            part.words.len = words_for(part.len);
            memcpy(copy, whole[i].words.ptr, part.len < whole[i].len ? part.len : whole[i].len);
            if (part.len != whole[i].len)
                assert_false(i == 0 ? load_job_decode(&part, &back) : load_result_decode(&part, share, 0));
        }
        free(copy);
        whole[i].words.ptr[0] ^= 1;
        assert_false(i == 0 ? load_job_decode(&whole[i], &back) : load_result_decode(&whole[i], share, 0));
        whole[i].words.ptr[0] ^= 1;
        assert_false(i == 1 ? load_job_decode(&whole[i], &back) : load_result_decode(&whole[i], share, 0));
    }
    struct load_job none = job, few = job;
    none.connections = 0;
    few.options.connections = 49; /* of all processes, fewer than of this one */
    struct packet wrong[] = {load_job_encode(&none), load_job_encode(&few)};
    for (size_t i = 0; i < 2; i++) {
        assert_false(load_job_decode(&wrong[i], &back));
        free(wrong[i].words.ptr);
    }
    free(whole[0].words.ptr);
    free(whole[1].words.ptr);
    free(share);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_comes_back),
        cmocka_unit_test(a_result_comes_back),
        cmocka_unit_test(nothing_else_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
