/* Turns a composed node whose I/O imports are fed by loopback.c. */
#include "components/packet.h"
#include "core/base/assert.h"
#include "core/formats/config_frame.h"
#include "core/runners/ports.h"

enum { TURN_MICROSECONDS = 1000 };

static const struct node_config config = {
    .node = 1,
    .incarnation = 1,
    .proposers = 2,
    .acceptors = 2,
    .learners = 2,
    .phase1_quorum = 1,
    .phase2_quorum = 1,
    .alpha = 64,
    .event_driven = true,
    .batches_in_flight = 8,
    .bytes_in_flight_max = 1 << 20,
    .chunk_bytes_max = 1 << 16,
    .learn_gap_max = 64,
    .acceptors_send_learns = true,
    .learners_send_executed = true,
    .heartbeat_interval = 20000,
    .suspect_timeout = 60000,
    .dead_timeout = 200000,
    .prepare_timeout = 40000,
    .retry_interval = 30000,
    .exec_interval = 20000,
    .request_timeout = 2000000,
};

static void start(void)
{
    static uint64_t words[CONFIG_FRAME_WORDS];
    struct packet packet;
    synod_paxos_runner_list_packet_t list = {(synod_paxos_runner_packet_t *)&packet, 1};
    node_driver_world_string_t error;
    config_frame_encode(&config, words, &packet);
    bool started = synod_paxos_runner_start(&list, &error);
    invariant(started);
}

uint64_t exports_node_driver_world_run(uint32_t part, uint64_t turns)
{
    static uint64_t now;
    static struct arena results;
    struct packet_list list;
    struct node_status status;
    (void)part;
    if (now == 0)
        start();
    for (uint64_t i = 0; i < turns; i++) {
        now += TURN_MICROSECONDS;
        synod_paxos_runner_turn(now, NEWS_BITS, 0);
    }
    shim_results_begin(&results);
    synod_paxos_runner_status((synod_paxos_runner_list_packet_t *)&list);
    shim_results_end();
    bool read = list.len == 1 && status_frame_decode(list.ptr, &status);
    invariant(read);
    return status.commands_executed;
}
