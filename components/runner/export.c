/* `interface runner` by core/runners/runner.h. The configuration comes in, and the status goes out, as one packet
 * (core/formats/config_frame.h). */
#include "core/runners/runner.h"

#include "components/packet.h"
#include "core/base/memory.h"
#include "core/formats/config_frame.h"

SAME_LIST(struct packet_list, exports_synod_paxos_runner_list_packet_t);

static struct runner *runner;

static bool refuse(world_string_t *err, const char *why)
{
    err->ptr = (uint8_t *)why;
    err->len = strlen(why);
    return false;
}

bool exports_synod_paxos_runner_start(exports_synod_paxos_runner_list_packet_t *config, world_string_t *err)
{
    struct node_config decoded;
    if (runner != NULL)
        return refuse(err, "runner.start: it has started already");
    if (config->len != 1)
        return refuse(err, "runner.start: there must be one packet, with the configuration");
    if (!config_frame_decode((const struct packet *)config->ptr, &decoded))
        return refuse(err, "runner.start: the packet is no configuration of this version");
    runner = runner_new(&decoded, NULL);
    return true;
}
SHIM_POST(runner_start, "runner@0.1.0#start");

uint64_t exports_synod_paxos_runner_turn(uint64_t now, uint64_t news, uint64_t durable)
{
    invariant(runner != NULL);
    return runner_turn(runner, now, (struct news){news, durable});
}

void exports_synod_paxos_runner_status(exports_synod_paxos_runner_list_packet_t *ret)
{
    static uint64_t words[STATUS_FRAME_WORDS];
    static struct packet packet;
    invariant(runner != NULL);
    struct node_status status = runner_status(runner);
    status_frame_encode(&status, words, &packet);
    *(struct packet_list *)ret = (struct packet_list){&packet, 1};
}
SHIM_POST(runner_status, "runner@0.1.0#status");
