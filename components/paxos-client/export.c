/* `interface client`: the load generator's worker (load/load_worker.c) between the sockets of WASI (sockets.c) and the
 * client-serializer. It has for itself what native processes share (load/load_worker.h): the job says which requests are its
 * own. */
#include "load/load_packet.h"

#include "components/packet.h"
#include "core/base/memory.h"

typedef exports_synod_paxos_client_list_packet_t packets;
SAME_LIST(struct packet_list, packets);

static void run(const packets *options, struct load_share *share, struct load_shared *shared)
{
    static const char no_job[] = "the client component was given something that is no job";
    struct load_job job;
    if (options->len != 1 || !load_job_decode((const struct packet *)options->ptr, &job)) {
        memcpy(share->problem, no_job, sizeof no_job);
        return;
    }
    shared->next = job.first;
    load_worker_run(&job.options, job.addresses, job.connections, shared, share);
    load_job_close(&job);
}

void exports_synod_paxos_client_run(packets *options, packets *ret)
{
    static struct packet result; /* stays until the next call */
    struct load_shared *shared = memory_new(1, sizeof *shared + sizeof shared->shares[0]);
    uint64_t start = load_now_us();
    run(options, &shared->shares[0], shared);
    free(result.words.ptr);
    result = load_result_encode(&shared->shares[0], start);
    free(shared);
    *(struct packet_list *)ret = (struct packet_list){&result, 1};
}
SHIM_POST(client_run, "client@0.1.0#run");
