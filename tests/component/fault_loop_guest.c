/* A node that brings its own loop. Its first life traps after a while, the second computes for ever, the third ends though
 * without being asked to, the fourth does what it is told, and the fifth never ends. */
#include "core/runners/ports.h"
#include "world.h"

enum { ROUNDS = 3, WAIT_MAX_NS = 100 * 1000 * 1000 };

static void wait_for_host(uint64_t timeout)
{
    wasi_io_poll_own_pollable_t pollables[2];
    fault_loop_guest_world_list_u32_t ready;
    pollables[0] = synod_paxos_host_loop_subscribe();
    pollables[1] = wasi_clocks_monotonic_clock_subscribe_duration(timeout);
    wasi_io_poll_list_borrow_pollable_t all = {(wasi_io_poll_borrow_pollable_t *)pollables, 2};
    wasi_io_poll_poll(&all, &ready);
    fault_loop_guest_world_list_u32_free(&ready);
    wasi_io_poll_pollable_drop_own(pollables[0]);
    wasi_io_poll_pollable_drop_own(pollables[1]);
}

static uint32_t incarnation(void)
{
    synod_paxos_identity_list_packet_t list;
    synod_paxos_identity_open(&list);
    uint32_t kind = list.len == 1 ? list.ptr->kind : 0;
    synod_paxos_identity_list_packet_free(&list);
    return kind;
}

static void compute(void)
{
    for (volatile int forever = 1; forever;)
        continue;
}

bool exports_wasi_cli_run_run(void)
{
    uint32_t life = incarnation();
    for (int round = 1; synod_paxos_host_control_command() != CONTROL_STOP || life >= 5; round++) {
        uint64_t timeout_us = synod_paxos_host_loop_run();
        if (round == ROUNDS && life == 1)
            __builtin_trap();
        if (round == ROUNDS && life == 2)
            compute();
        if (round == ROUNDS && life == 3)
            return true;
        wait_for_host(timeout_us < WAIT_MAX_NS / 1000 ? timeout_us * 1000 : WAIT_MAX_NS);
    }
    return true;
}
