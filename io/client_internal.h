/* The inside of the client port, shared by its files:
 *   client_server.c       listening, batches in, answers out, closing
 *   client_connection.c   one connection: reading, the order of its replies, writing, pausing
 *   client_commands.c     commands that the port answers itself
 *   client_info.c         INFO and CONFIG
 *   client_cluster.c      CLUSTER, and where clients are sent when another node leads */
#ifndef SYNOD_IO_CLIENT_INTERNAL_H
#define SYNOD_IO_CLIENT_INTERNAL_H

#include "core/formats/batch.h"
#include "core/formats/command_name.h"
#include "core/formats/resp.h"
#include "io/client_server.h"

enum {
    CLIENT_READ_SIZE = 64 * 1024,
    CLIENT_LISTENERS_MAX = 4,
    CLIENT_REQUEST_OVERHEAD = 64,      /* what a waiting request costs besides its bytes */
    CLIENT_OUT_MAX = 32 * 1024 * 1024, /* unread replies beyond client_bytes_max after which a client is dropped */
    CLIENT_REDIS_MAJOR = 7,
};
#define CLIENT_REDIS_VERSION "7.2.0"

/* Where the reply to a command of a batch goes. */
struct client_origin {
    uint32_t connection;
    uint32_t generation; /* an index is used again, a generation is not */
    uint32_t position;
    uint32_t bytes; /* that stop waiting when it is answered */
};

/* A batch, from its first command until its answer. */
struct client_gather {
    struct client_gather *next;
    uint64_t token;
    struct batch_builder builder;
    struct client_origin *origins;
    size_t origins_capacity;
    uint32_t count;
};

/* A reply's place in the order. */
struct client_pending {
    uint8_t *held; /* the encoded reply, when it came before its turn; NULL: not there yet */
    size_t len;
};

struct client_connection {
    uv_tcp_t tcp;
    uv_write_t write;
    struct client_server *server;
    uint32_t index;
    uint32_t generation;
    int version;    /* of RESP */
    bool reading;   /* uv_read_start is in force */
    bool paused;    /* not reading because too much is waiting */
    bool finishing; /* nothing more is read; closes when all is answered and written */
    bool sending;   /* a uv_write of `sent` is in flight */
    bool dirty;     /* in the server's list of connections to flush */
    bool closed;    /* uv_close has been called */
    struct resp_parser parser;
    uint8_t *in; /* the beginning of a request that has not arrived whole */
    size_t in_len;
    size_t in_capacity;
    struct resp_buffer out;      /* to be written */
    struct resp_buffer sent;     /* being written */
    struct client_pending *ring; /* of ring_size (a power of two) places; positions head to tail are unanswered */
    uint32_t ring_size;
    uint32_t head;
    uint32_t tail;
    uint64_t waiting;  /* bytes of unanswered requests */
    uint64_t held;     /* bytes held in the ring */
    uint64_t buffered; /* what of this connection is counted in the server's `buffered` */
    uint64_t opened_ms;
    uint64_t active_ms;
    char name[64];
    char library_name[32];
    char library_version[32];
};

struct client_server {
    struct client_server_options options;
    uv_loop_t *loop;
    uv_tcp_t listeners[CLIENT_LISTENERS_MAX];
    size_t listener_count;
    uint16_t port;
    bool closing;
    uv_timer_t patience; /* for clients that do not take their last replies */
    size_t handles;      /* listeners, timer and connections not yet closed */
    void (*on_closed)(void *context);
    void *closed_context;

    struct client_connection **connections; /* NULL: a free index */
    size_t connections_capacity;
    uint32_t *free_indices;
    size_t free_count;
    uint32_t generation;
    size_t paused;

    struct client_gather *ready; /* full batches, oldest first */
    struct client_gather **ready_end;
    struct client_gather *open; /* the one being filled; NULL: none */
    struct client_gather *spare;
    size_t spare_count;
    struct client_gather **in_flight; /* NULL: a free place */
    size_t in_flight_capacity;
    uint32_t *free_places;
    size_t free_place_count;
    uint32_t serial;
    struct packet *packets;
    size_t packets_capacity;

    uint32_t leader;
    bool no_room;
    bool forwards;     /* commands are the node's even while another leads */
    uint64_t buffered; /* bytes of partial requests and unread replies */
    struct client_server_statistics statistics;

    struct name_table port_names;
    struct state_machine *machine; /* only described, never executed */
    struct command_info_list machine_commands;
    struct name_table machine_names;
    struct resp_limits limits;
    struct resp_request request;
    struct batch_commands unpacked;
    struct resp_buffer scratch;
    struct client_connection **dirty;
    size_t dirty_count;
    size_t dirty_capacity;
    uint8_t read_buffer[CLIENT_READ_SIZE];
};

/* ---- client_connection.c ---- */

/* Takes over a connection waiting at `listener`. */
void client_connection_accept(struct client_server *s, uv_stream_t *listener);
/* The connection at an index if it is still the one of this generation, else NULL. */
struct client_connection *client_connection_find(const struct client_server *s, uint32_t index, uint32_t generation);
/* The place of a request in the order of replies. */
uint32_t client_connection_expect(struct client_connection *c);
/* Where to encode the reply for `position`; client_connection_replied must follow at once. */
struct resp_buffer *client_connection_reply(struct client_connection *c, uint32_t position);
void client_connection_replied(struct client_connection *c, uint32_t position);
/* Puts a connection on the server's list for client_connection_flush_all. */
void client_connection_touch(struct client_connection *c);
/* Writes what is ready on all connections on the list; closes those that are done; resumes reading where it may. */
void client_connection_flush_all(struct client_server *s);
/* No more input: closes when everything is answered and written. */
void client_connection_finish(struct client_connection *c);
/* Closes at once. */
void client_connection_close(struct client_connection *c);
/* "address:port" of one end. */
void client_connection_address(const struct client_connection *c, bool peer, char *out, size_t size);

/* ---- client_server.c ---- */

/* A command for the node: into the batch being gathered, or an error reply (moved, down, busy) at once. */
void client_server_command(struct client_connection *c, const struct resp_request *request);
/* Called when a handle has closed; the last one frees the server once it is closing. */
void client_server_handle_closed(struct client_server *s);

/* ---- client_commands.c ---- */

void client_commands_init(struct client_server *s);
/* Answers the request if it is one of the port's own; false if it is for the node. */
bool client_commands_answer(struct client_connection *c, const struct resp_request *request);
bool client_is_word(const struct bytes *arg, const char *word);
/* "ERR unknown subcommand ..." in Redis' words. */
void client_unknown_subcommand(struct resp_buffer *out, const char *command, const struct bytes *subcommand);
/* printf to the end of a buffer, for texts of up to 1 KiB. */
void client_print(struct resp_buffer *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- client_info.c, client_cluster.c ---- */

typedef void client_command_handler(struct client_connection *c, const struct bytes *args, size_t argc,
                                    struct resp_buffer *out);
client_command_handler client_info, client_config, client_cluster;

/* The reply to a command that another node (0: nobody) has to execute. */
void client_no_room(struct resp_buffer *out);
void client_moved(struct client_server *s, const struct bytes *args, size_t argc, uint32_t leader, struct resp_buffer *out);

#endif
