/* `interface crossing-sink`: what arrives is counted and dropped. */
#include "components/shim.h"

uint64_t exports_synod_paxos_crossing_sink_bytes(crossing_callee_world_list_u8_t *bytes)
{
    shim_call_done();
    return bytes->len;
}

uint64_t exports_synod_paxos_crossing_sink_blocks(exports_synod_paxos_crossing_sink_list_block_t *blocks)
{
    shim_call_done();
    return blocks->len;
}

uint64_t exports_synod_paxos_crossing_sink_words(crossing_callee_world_list_u64_t *words)
{
    shim_call_done();
    return words->len;
}
