/* What goes into the client component and comes out of it (`interface client` of wit/client.wit), one packet each,
 * little-endian.
 *
 * The job:
 *      0  magic "LJ04"   4      4  targets        4
 *      8  connections, those of all processes, pipeline, oneshot, readonly, resend, sessions, command, requests, first
 *         request, keyspace, size of values, request time-out, stall time-out: 8 each
 *    120  targets: each  address 16, scope 4, port 4, is it IPv6 4, zero 4, the host as it was given 256 (then zeros)
 *
 * The result:
 *      0  magic "LR02"   4      4  zero           4
 *      8  answered, errors, unknown, retried, moved, no session, session passed, session's reply; first request sent, last
 *         answer (microseconds after the beginning; 0: there was none): 8 each
 *     88  the histogram of latencies: its fields in order, 8 each
 *         the first error, the problem: texts of 160 and 256, then zeros */
#ifndef SYNOD_LOAD_LOAD_PACKET_H
#define SYNOD_LOAD_LOAD_PACKET_H

#include "core/formats/packet.h"
#include "load/load_worker.h"

/* The work of one instance of the component: requests [first, options.requests) over so many connections, of a load with
 * protocol RESP. */
struct load_job {
    struct load_options options;
    const struct load_address *addresses; /* one for each target of the options */
    uint32_t connections;
    uint64_t first;
};

/* Packs a job. The words are allocated, and the caller frees them. */
struct packet load_job_encode(const struct load_job *job);
/* Unpacks it; allocates targets and addresses. False: it is not such a packet. */
bool load_job_decode(const struct packet *packet, struct load_job *job);
void load_job_close(struct load_job *job);

/* The same for a result; its times are relative to `start_us`. */
struct packet load_result_encode(const struct load_share *share, uint64_t start_us);
bool load_result_decode(const struct packet *packet, struct load_share *share, uint64_t start_us);

#endif
