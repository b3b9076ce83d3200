/* The guest of test_wasmtime_typed.c: typed_guest.wit says what each function does. */
#include <string.h>

#include "world.h"

typedef exports_synod_paxos_typed_guest_list_packet_t packets_out;
typedef synod_paxos_typed_host_list_packet_t packets_in;

static void log_text(const char *text)
{
    typed_guest_world_string_t string = {(uint8_t *)text, strlen(text)};
    synod_paxos_logger_log(2, &string);
}

uint64_t exports_synod_paxos_typed_guest_turn(uint64_t a)
{
    packets_in got;
    log_text("a turn");
    synod_paxos_typed_host_nothing(a);
    synod_paxos_typed_host_give(&got);
    uint64_t answer = synod_paxos_typed_host_number(a, got.len);
    synod_paxos_typed_host_take(&got);
    synod_paxos_typed_host_list_packet_free(&got);
    return answer;
}

bool exports_synod_paxos_typed_guest_start(packets_out *packets, typed_guest_world_string_t *err)
{
    bool good = packets->len == 1 && packets->ptr[0].kind == 7;
    exports_synod_paxos_typed_guest_list_packet_free(packets);
    if (!good)
        typed_guest_world_string_dup(err, "not one packet of kind 7");
    return good;
}

void exports_synod_paxos_typed_guest_status(packets_out *ret) { synod_paxos_typed_host_give((packets_in *)ret); }

uint64_t exports_synod_paxos_typed_guest_round(uint64_t a, uint64_t b)
{
    packets_in got;
    synod_paxos_typed_host_give_two(a, b, &got);
    uint64_t answer = synod_paxos_typed_host_take_one(a, &got);
    synod_paxos_typed_host_list_packet_free(&got);
    return answer;
}

void exports_synod_paxos_typed_guest_echo(packets_out *packets, packets_out *ret) { *ret = *packets; }

void exports_synod_paxos_typed_guest_lie(void)
{
    packets_in got;
    synod_paxos_typed_host_give(&got);
    got.ptr[0].len += 8;
    synod_paxos_typed_host_take(&got);
}

bool exports_synod_paxos_typed_guest_finish(uint64_t a) { return a == 0; }

void exports_synod_paxos_typed_guest_trap(uint64_t a)
{
    if (a != 0)
        __builtin_trap();
}

void exports_synod_paxos_typed_guest_spin(void)
{
    for (volatile int forever = 1; forever;)
        continue;
}
