/* What a runner needs from outside: the C face of wit/io.wit. In a component these functions call the imports; natively the
 * host implements them (host/ports.c). Lists that are returned are the callee's, valid until the next call of the same
 * function. Arguments are borrowed. No function blocks. */
#ifndef SYNOD_CORE_RUNNERS_PORTS_H
#define SYNOD_CORE_RUNNERS_PORTS_H

#include "core/base/types.h"
#include "core/formats/packet.h"

struct ports;

/* Which ports may have something for a turn. The others are not asked: a component pays for each question. */
enum news_bits {
    NEWS_FRAMES = 1 << 0,    /* ports_network_receive */
    NEWS_BATCHES = 1 << 1,   /* ports_client_receive, with as much credit as it had last */
    NEWS_DURABLE = 1 << 2,   /* ports_storage_durable: only by being asked does storage get on, also after an append */
    NEWS_SNAPSHOTS = 1 << 3, /* ports_snapshots_told */
    NEWS_COMMAND = 1 << 4,   /* ports_control_command */
    NEWS_BITS = (1 << 5) - 1,
};

/* What a turn is called with. Who cannot know what there is says NEWS_ALL. */
struct news {
    uint64_t bits;    /* enum news_bits */
    uint64_t durable; /* without NEWS_DURABLE: what storage would say. It calls for another turn when that is more */
};
#define NEWS_ALL ((struct news){.bits = NEWS_BITS})

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* The id of a packet is the node that has sent the frame, its kind the number of that node's disk. */
struct packet_list ports_network_receive(struct ports *p);
void ports_network_send(struct ports *p, const struct packet *frames, size_t count);
/* The kind of a packet is the number of commands in a batch, with CLIENT_READS if all of them are reads (P9); or it is an
 * operator's request (core/formats/operator_request.h); or CLIENT_WATCH, and then the id is what the port wants to be told
 * (core/formats/notice.h). These two come whatever the credit is, reads and others each as far as theirs goes. */
enum { CLIENT_REQUEST = 0 };
#define CLIENT_READS (UINT32_C(1) << 31)
#define CLIENT_WATCH (UINT32_C(1) << 30)
struct packet_list ports_client_receive(struct ports *p, struct credit credit);
/* The low byte of a packet's kind is the outcome (enum outcome); or it is CLIENT_NOTICES, and the words are notices; or
 * CLIENT_SLOT, and the id is the slot of the batch that the next packet answers. */
enum { CLIENT_SLOT = 254, CLIENT_NOTICES = 255 };
void ports_client_reply(struct ports *p, const struct packet *answers, size_t count);
void ports_client_leader(struct ports *p, uint64_t node, uint64_t round);
/* The state of the node: a status as core/formats/config_frame.h packs it; or the commands of its state machine
 * (core/formats/command_table.h). The packet's kind says which. */
void ports_client_status(struct ports *p, const struct packet *status);
struct packet_list ports_storage_recover(struct ports *p);
void ports_storage_append(struct ports *p, const struct packet *records, size_t count);
uint64_t ports_storage_durable(struct ports *p);
/* False: there is no room for what was appended. */
bool ports_storage_room(struct ports *p);
struct packet_list ports_storage_read(struct ports *p, uint64_t from, uint64_t bytes_max);
/* No record below `lsn` is needed any more, but for the latest one of each sticky kind, and what is not durable. */
void ports_storage_truncate(struct ports *p, uint64_t lsn);
/* Snapshots: asks are done in order, after this call has returned (enum snapshot_item_kind says what a packet's id and words
 * are). */
void ports_snapshots_ask(struct ports *p, const struct packet *asks, size_t count);
/* What has happened since the last call, in order: about 4 MiB of words, one packet at least; none: nothing yet. */
struct packet_list ports_snapshots_told(struct ports *p);
void ports_log(struct ports *p, uint32_t level, const char *text, size_t len);
enum control_command { CONTROL_RUN, CONTROL_STOP, CONTROL_CRASH, CONTROL_CONFIGURE };
/* What the host asks of the node (enum control_command). */
uint64_t ports_control_command(struct ports *p);
/* The host's wall clock: milliseconds since 1970. A leader tells the log, whose wall clock never goes back (P22). */
uint64_t ports_control_wall_clock(struct ports *p);
/* Configurations that the host has and has not given yet (P11): `id` is the slot, the words are the text
 * (core/formats/configuration.h). Called in the first turn of a life: the newest one that the folder has, and the complete
 * first one (slot 0), as far as there are any; later when the host says CONTROL_CONFIGURE. The kind is
 * CONFIGURATION_SETTLED if this node had said so before (ports_configuration_known), otherwise CONFIGURATION_CHOSEN. */
struct packet_list ports_configuration_given(struct ports *p);
/* The node knows a configuration that it has not told yet. Called before anything else of this turn leaves the node.
 * CONFIGURATION_CHOSEN: from now on the members of this one are reached as well as those of the one before, and instances
 * that it replaces are not heard any more. CONFIGURATION_SETTLED: those of the one before are not needed any more; no
 * words. After a start older ones may be told again. */
enum configuration_news { CONFIGURATION_CHOSEN, CONFIGURATION_SETTLED };
void ports_configuration_known(struct ports *p, const struct packet *configuration);
/* Why a node cannot go on: exit codes of io/problem.h. */
enum control_failure { CONTROL_FAIL_DATA = 3, CONTROL_FAIL_DIVERGED = 6 };
/* The node cannot go on (enum control_failure). The reason is in the log already. The caller traps. */
void ports_control_fail(struct ports *p, uint64_t code);

#endif
