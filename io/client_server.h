/* The client port: RESP 2 and 3 over TCP. It collects commands of all connections into batches, so that the node is called
 * for each batch and not for each command; and it hands out the replies. */
#ifndef SYNOD_IO_CLIENT_SERVER_H
#define SYNOD_IO_CLIENT_SERVER_H

#include <uv.h>

#include "core/formats/packet.h"
#include "io/config.h"
#include "io/logger.h"
#include "io/roster.h"

struct client_server;

/* How many connections are accepted beyond client_connections_max. They are for operators, who may ask about the node (INFO,
 * CLUSTER, CLIENT, COMMAND). A connection that asks for anything else gets an error and is closed. When all are taken, the
 * one that has been silent for longest is closed. */
enum { CLIENT_CONNECTIONS_RESERVED = 8 };

struct client_server_options {
    const struct config *config; /* outlives the server */
    uint32_t node;
    struct logger *logger;
    /* Called on the loop's thread when commands have arrived. */
    void (*on_input)(void *context);
    /* DEBUG FAULT PART KIND. Returns NULL, or what is wrong with it (host/faults.h). If this is NULL, DEBUG is refused. */
    const char *(*fault)(void *context, const char *part, const char *kind);
    /* The node's status, for INFO. */
    struct node_status (*status)(void *context);
    /* More INFO lines ("key:value\r\n"), or nothing; returns the bytes written. NULL: none. */
    size_t (*info)(void *context, char *out, size_t size);
    struct seed seed; /* random: clients must not be able to choose names that have one hash */
    /* A client that takes nothing for so long is closed. 0: a minute. */
    uint64_t stuck_ms;
    void *context;
};

/* Listens on the node's client address. A port in use is an error that says so. */
bool client_server_open(struct client_server **out, uv_loop_t *loop, const struct client_server_options *options,
                        struct problem *problem);

/* The port that it listens on: the configured one, or the one that the system chose if that is 0. */
uint16_t client_server_port(const struct client_server *s);

/* At most `credit` of the batches that have arrived: id is the token to answer to, kind the number of commands, with
 * CLIENT_READS if they are reads, the words are a batch (core/formats/batch.h). Before them
 * operators' requests, whatever the credit: kind 0, a batch of one command without SYNOD (core/formats/operator_request.h).
 * After them what the port wants to be told, if that has changed: kind CLIENT_WATCH, id bits of core/formats/notice.h.
 * Valid until the next call. */
struct packet_list client_server_receive(struct client_server *s, struct credit credit);
/* True when client_server_receive would return something. */
bool client_server_waiting(const struct client_server *s, struct credit credit);

/* Answers (wit/io.wit, client-server.reply): id is the token, kind has the outcome in the low byte and the leader above it,
 * the words are packed replies. Replies to each connection leave in the order of its requests. Kind CLIENT_SLOT: no
 * answer, but the slot of the batch that is answered next. Kind CLIENT_NOTICES: what came of executed slots
 * (core/formats/notice.h). */
void client_server_reply(struct client_server *s, const struct packet *answers, size_t count);

/* The life that received batches is gone. What it has not answered is answered with -UNKNOWN outcome. What it has not
 * received waits for the next life. Who is subscribed is disconnected, as that life may have left out messages. */
void client_server_lost(struct client_server *s);

/* The commands of the state machine, as the node tells them in its first turn (core/formats/command_table.h): the basis of
 * COMMAND, and of where a command has its key. False: not such a packet. */
bool client_server_describe(struct client_server *s, const struct packet *commands);

/* Tells which node leads (0: none). While another node leads, commands are kept for the node, which passes them on; those of
 * clients that have used CLUSTER are answered with -MOVED, and so are all if the node passes nothing on (`forward`). While
 * none leads, they are answered with -CLUSTERDOWN. */
void client_server_leader(struct client_server *s, uint64_t node, uint64_t round);

/* The nodes that belong to the cluster now, and where clients reach them (before: those of options.config). It is copied. */
void client_server_members(struct client_server *s, const struct roster *members);

/* Tells whether the node has room for records. While it has none, commands that it would propose itself are answered with
 * -NOROOM and not executed. Commands for another leader go where they always go. */
void client_server_room(struct client_server *s, bool room);

struct client_server_statistics {
    uint64_t connections, connections_total, commands, batches, bytes_in, bytes_out, errors, waiting_bytes;
};
struct client_server_statistics client_server_statistics(const struct client_server *s);

/* Stops accepting, answers with -UNKNOWN outcome what is still unanswered, flushes, and closes; then calls `on_closed`. */
void client_server_close(struct client_server *s, void (*on_closed)(void *context), void *context);

#endif
