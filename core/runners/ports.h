/* What a runner needs from outside: the C face of wit/io.wit. In a component these functions call the imports; natively the
 * host implements them (host/ports.c). Lists that are returned are the callee's, valid until the next call of the same
 * function. Arguments are borrowed. No function blocks. */
#ifndef SYNOD_CORE_RUNNERS_PORTS_H
#define SYNOD_CORE_RUNNERS_PORTS_H

#include "core/formats/packet.h"

struct ports;

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct packet_list ports_network_receive(struct ports *p);
void ports_network_send(struct ports *p, const struct packet *frames, size_t count);
struct packet_list ports_client_receive(struct ports *p, uint64_t credit);
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
void ports_log(struct ports *p, uint32_t level, const char *text, size_t len);
enum control_command { CONTROL_RUN, CONTROL_STOP, CONTROL_CRASH };
/* What the host asks of the node (enum control_command). */
uint64_t ports_control_command(struct ports *p);
/* Why a node cannot go on: exit codes of io/problem.h. */
enum control_failure { CONTROL_FAIL_DATA = 3, CONTROL_FAIL_DIVERGED = 6 };
/* The node cannot go on (enum control_failure). The reason is in the log already. The caller traps. */
void ports_control_fail(struct ports *p, uint64_t code);

#endif
