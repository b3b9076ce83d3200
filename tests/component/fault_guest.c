/* A node that breaks as it is told (fault_orders.h). Until then it recovers, asks what the host wants, and comes back. */
#include "tests/component/fault_orders.h"

#include <stdlib.h>
#include <string.h>

#include "core/formats/config_frame.h"
#include "core/runners/ports.h"
#include "world.h"

enum { STATUS_INTERVAL_US = 1000 };

static struct node_config config;
static uint64_t turns, recovered;

bool exports_synod_paxos_runner_start(exports_synod_paxos_runner_list_packet_t *packets, fault_guest_world_string_t *err)
{
    (void)err;
    if (packets->len != 1 || !config_frame_decode((const struct packet *)packets->ptr, &config))
        __builtin_trap();
    if (config.batches_in_flight == BREAK_TRAP_AT_START)
        __builtin_trap();
    exports_synod_paxos_runner_list_packet_free(packets);
    return true;
}

static void compute(void)
{
    for (volatile int forever = 1; forever;)
        continue;
}

/* Several times as long as a test lets the first life compute, on any machine. */
static void compute_long(void)
{
    for (volatile uint32_t left = 400 * 1000 * 1000; left > 0;)
        left = left - 1;
}

static void recover(void)
{
    synod_paxos_storage_list_packet_t records;
    do {
        synod_paxos_storage_recover(&records);
        recovered += records.len;
        synod_paxos_storage_list_packet_free(&records);
    } while (records.len > 0);
}

static void append(uint64_t lsn)
{
    uint64_t word = lsn;
    synod_paxos_storage_packet_t record = {.id = lsn, .kind = 1, .len = sizeof word, .words = {&word, 1}};
    synod_paxos_storage_list_packet_t list = {&record, 1};
    synod_paxos_storage_append(&list);
}

/* Record n + 1 of life n + 1; the one after it is of a turn that is never done. */
static void append_and_trap(void)
{
    if (config.incarnation == 4) {
        if (recovered != 3)
            synod_paxos_host_control_fail(CONTROL_FAIL_DIVERGED);
        return;
    }
    append(recovered + turns);
    if (turns == 2)
        __builtin_trap();
}

uint64_t exports_synod_paxos_runner_turn(uint64_t now, uint64_t news, uint64_t durable)
{
    (void)news;
    (void)durable;
    turns++;
    if (turns == 1)
        recover();
    switch (config.batches_in_flight) {
    case BREAK_TRAP:
        __builtin_trap();
    case BREAK_LOOP:
        if (turns == 3)
            compute();
        break;
    case BREAK_LONG:
        if (turns == 3)
            compute_long();
        break;
    case BREAK_SYNC_FAILED:
        synod_paxos_host_control_fail(4);
        __builtin_trap();
    case BREAK_DIVERGED:
        synod_paxos_host_control_fail(CONTROL_FAIL_DIVERGED);
        __builtin_trap();
    case BREAK_DIVERGED_ALIVE:
        synod_paxos_host_control_fail(CONTROL_FAIL_DIVERGED);
        break;
    case BREAK_THREE_LIVES:
        if (turns == 3 && config.incarnation <= 3)
            __builtin_trap();
        break;
    case BREAK_APPEND:
        append_and_trap();
        break;
    default:
        break;
    }
    synod_paxos_host_control_command();
    return now + STATUS_INTERVAL_US;
}

void exports_synod_paxos_runner_status(exports_synod_paxos_runner_list_packet_t *ret)
{
    if (config.batches_in_flight == BREAK_STATUS && config.incarnation == 1)
        __builtin_trap();
    const struct node_status status = {.node = config.node, .incarnation = config.incarnation};
    uint64_t words[STATUS_FRAME_WORDS];
    struct packet packet;
    status_frame_encode(&status, words, &packet);
    synod_paxos_io_packet_t *copy = malloc(sizeof *copy);
    uint64_t *copied = malloc(sizeof words);
    memcpy(copied, words, sizeof words);
    *copy = (synod_paxos_io_packet_t){
        .id = packet.id, .kind = packet.kind, .len = packet.len, .words = {copied, packet.words.len}};
    *ret = (exports_synod_paxos_runner_list_packet_t){copy, 1};
}
