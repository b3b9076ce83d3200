/* A node that is none: a loop of its own (sandbox_orders.h). */
#include "tests/component/sandbox_orders.h"

#include <stdlib.h>

#include "world.h"

enum { HALF_A_SECOND = 500 * 1000 * 1000, NODE = 5, INCARNATION = 7, PEER = 3, ROUNDS = 100 * 1000 };

/* Waits until the host's loop has something to do, or for so many nanoseconds. */
static void wait_for_host(uint64_t timeout)
{
    wasi_io_poll_own_pollable_t pollables[2];
    loop_guest_world_list_u32_t ready;
    pollables[0] = synod_paxos_host_loop_subscribe();
    pollables[1] = wasi_clocks_monotonic_clock_subscribe_duration(timeout);
    wasi_io_poll_list_borrow_pollable_t all = {(wasi_io_poll_borrow_pollable_t *)pollables, 2};
    wasi_io_poll_poll(&all, &ready);
    loop_guest_world_list_u32_free(&ready);
    wasi_io_poll_pollable_drop_own(pollables[0]);
    wasi_io_poll_pollable_drop_own(pollables[1]);
}

static void ask_host_often(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        wasi_io_poll_own_pollable_t pollable = synod_paxos_host_loop_subscribe();
        if (wasi_io_poll_method_pollable_ready(wasi_io_poll_borrow_pollable(pollable)))
            __builtin_trap();
        wasi_io_poll_pollable_drop_own(pollable);
    }
}

static void compute(void)
{
    for (volatile int forever = 1; forever;)
        continue;
}

static uint64_t accept_peer(uint64_t node, uint32_t len, uint64_t first)
{
    uint64_t words[3] = {first, 2, 9};
    synod_paxos_identity_packet_t packet = {.id = node, .kind = 8, .len = len, .words = {words, len / 8}};
    synod_paxos_identity_list_packet_t list = {&packet, 1};
    return synod_paxos_identity_accept_peer(&list);
}

/* Whether the host has the data folder that the test says. */
static bool check_identity(void)
{
    synod_paxos_identity_list_packet_t list;
    synod_paxos_identity_open(&list);
    bool right = list.len == 1 && list.ptr->id == NODE && list.ptr->kind == INCARNATION && list.ptr->len == 32 &&
                 list.ptr->words.len == 4 && list.ptr->words.ptr[0] == 77 && list.ptr->words.ptr[1] == 1 &&
                 list.ptr->words.ptr[2] == 2 && list.ptr->words.ptr[3] == 11;
    synod_paxos_identity_list_packet_free(&list);
    right = right && accept_peer(PEER, 24, 1) == 1 && accept_peer(PEER, 24, 5) == 0;
    synod_paxos_identity_close();
    return right;
}

bool exports_wasi_cli_run_run(void)
{
    synod_paxos_settings_list_packet_t settings;
    synod_paxos_settings_get(&settings);
    uint32_t order = settings.len == 1 ? settings.ptr->kind : LOOP_FAIL;
    synod_paxos_settings_list_packet_free(&settings);
    switch ((enum loop_order)order) {
    case LOOP_FAIL:
        return false;
    case LOOP_COMPUTE:
        synod_paxos_host_loop_run();
        compute();
        break;
    case LOOP_COMPUTE_FIRST:
        compute();
        break;
    case LOOP_WAIT:
        synod_paxos_host_loop_run();
        wait_for_host(HALF_A_SECOND);
        break;
    case LOOP_WAIT_ON:
        for (;;)
            wait_for_host(HALF_A_SECOND);
    case LOOP_CANNOT_GO_ON:
        synod_paxos_host_control_fail(4);
        __builtin_trap();
    case LOOP_IDENTITY:
        return check_identity();
    case LOOP_BAD_PEER:
        return accept_peer(PEER, 8, 1) == 0;
    case LOOP_NO_WAIT:
        ask_host_often();
        break;
    case LOOP_UNTIL_ZERO:
        break;
    }
    while (synod_paxos_host_loop_run() != 0)
        wait_for_host(10 * (uint64_t)HALF_A_SECOND);
    return true;
}
