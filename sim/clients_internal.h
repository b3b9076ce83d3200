/* What the files of the simulated clients share:
 *   clients_answers.c  outcomes: what replies and refusals mean
 *   clients_link.c     connections to the ports that ship
 *   clients.c          rounds, and the ports of nodes in worlds that have no sockets
 * Each calls those above it. */
#ifndef SYNOD_SIM_CLIENTS_INTERNAL_H
#define SYNOD_SIM_CLIENTS_INTERNAL_H

#include <string.h>

#include "core/formats/batch.h"
#include "core/runners/ports.h"
#include "sim/clients.h"

enum { NAME_BYTES = 24 /* bytes of a key or a word */ };

enum key_sort { KEY_COUNTER, KEY_REGISTER, KEY_TEXT, KEY_LEASE, KEY_SORTS };

struct key {
    uint32_t number;
    uint32_t operations_left;
};

/* Where the answer to a command goes. */
struct origin {
    uint32_t client, round, index;
    size_t operation; /* its number in the history */
    bool reads;       /* it needs no slot: it is a read, and no command of its client is in the log without an answer */
    bool stale;       /* and a state that is options.stale_ms old may answer it */
};

struct batch {
    uint64_t token;
    struct batch_builder builder;
    struct origin *origins;
    size_t count, capacity;
    bool reads;
};

/* Commands that wait for the node to ask: [from, to). */
struct port_queue {
    struct origin *items;
    size_t from, to, capacity;
};

struct port {
    bool up, forwards;
    uint64_t paused_until; /* the process stands still, and says nothing */
    uint32_t leader;
    uint32_t batch_commands_max;
    struct port_queue queues[3]; /* the others: reads, and those that may be stale */
    struct batch **in_flight;    /* oldest first */
    size_t in_flight_count, in_flight_capacity;
};

enum command_state { COMMAND_REFUSED, COMMAND_SENT, COMMAND_OVER };

/* A command of a round. One that was not sent yet counts as refused. */
struct command_sent {
    size_t operation;
    uint32_t times; /* that it was sent */
    uint8_t state;  /* enum command_state */
    bool attempted; /* in a session: it may have been executed already */
};

struct client {
    struct dice dice;
    uint32_t index;
    uint32_t node;  /* the node it is connected to */
    uint32_t round; /* to recognize answers to an earlier one */
    struct client_session {
        uint64_t id, number; /* the last number used; id 0: none */
    } session, idle;         /* one in use, and one that it goes back to */
    bool reads;              /* this round was begun by clients_resume */
    bool readonly;           /* it reads at any node, whether that leads or not */
    struct command_sent *commands;
    uint32_t count;           /* commands of the round; 0: it thinks */
    uint32_t sent, refused;   /* of them in that state */
    uint64_t deadline;        /* of the round */
    uint64_t delay_us;        /* before it sends refused commands again */
    struct client_link *link; /* its connection (sim/clients_link.c); NULL: it has none */
};

struct clients {
    struct clients_options options;
    node_set ports_most; /* options.ports at first */
    struct client *clients;
    uint64_t *wake_at; /* by client */
    struct port ports[NODE_ID_MAX + 1];
    struct key *keys;
    uint32_t last_key;
    uint64_t last_token;
    uint64_t last_word; /* that a client had echoed */
    struct batch **spare;
    size_t spare_count, spare_capacity;
    size_t waiting, in_flight; /* commands at ports; batches */
    struct packet *packets;
    size_t packets_capacity;
    uint8_t *value;       /* value_bytes_max bytes, to build long values in */
    char key[NAME_BYTES]; /* to make keys in, and numbers */
    uint8_t numbers[3][NAME_BYTES];
    uint64_t now; /* as last told */
    bool stopped;
    uint32_t *to_read; /* keys, after clients_resume */
    size_t to_read_count, to_read_capacity;
    struct clients_statistics statistics;
    char wrong[256]; /* what clients_wrong says; "": nothing */
};

/* What is done with a key. Where there are leases, a third of the others are such. */
static inline enum key_sort clients_key_sort(const struct clients *c, uint32_t key)
{
    return c->options.leases && key / KEY_LEASE % 3 == 0 ? KEY_LEASE : (enum key_sort)(key % KEY_LEASE);
}

/* ---- clients_answers.c ---- */

/* A node with a client port, another one than `but` where there is one. */
uint32_t clients_any_port(const struct clients *c, struct dice *d, node_set but);
uint64_t clients_think_time(const struct clients *c, struct dice *d);
/* Writes `initial` and a number to `out` (NAME_BYTES bytes); returns the length. */
size_t clients_write_name(char initial, uint64_t number, char *out);

/* Why a node's port, or the node, refuses a command. */
struct refusal {
    enum { MOVED, BUSY, GONE } why;
    uint32_t node;
    uint32_t leader; /* MOVED: which node leads; 0: not known */
};

/* The command is over, or refused: then its client sends it again, or drops it. clients_schedule follows. */
void clients_conclude_one(struct clients *c, struct client *client, struct command_sent *command,
                          enum operation_outcome outcome);
void clients_refuse_one(struct clients *c, struct client *client, struct command_sent *command, struct refusal r);
/* When the client goes on: its round continues, or is over. */
void clients_schedule(struct clients *c, struct client *client);
/* What becomes of a command that its client waits for; nothing, when it has given up. */
void clients_refuse(struct clients *c, const struct origin *o, struct refusal r);
void clients_conclude(struct clients *c, const struct origin *o, enum operation_outcome outcome);
/* No answer will come. In a session, the command is sent again. */
void clients_lose(struct clients *c, const struct origin *o);
/* The reply that the state machine gave. False: it is none that this operation may have. */
bool clients_take_reply(struct clients *c, uint32_t node, const struct origin *o, const struct reply_item *reply);
/* The number of the operation whose word a value opens with; the number of all operations: it is none. */
size_t clients_writer_of(const struct clients *c, const struct reply_item *reply);
/* The arguments of a command; valid until the next call. Returns how many. */
enum { CLIENT_ARGS_MAX = 8 };
size_t clients_command(struct clients *c, size_t operation, struct bytes args[CLIENT_ARGS_MAX]);

/* A counter may have a twin: each change of it is a transaction that does the same to both, and each read reads both. A
 * half of a transaction would give two different replies. */
bool clients_is_twinned(const struct clients *c, size_t operation);
/* Adds the command on both. */
void clients_add_twinned(struct clients *c, struct batch_builder *b, size_t operation);
/* Takes the replies on both that follow the head of an array, and makes `reply` one of them. False: they are not alike. */
bool clients_take_twins(const struct payload *replies, size_t *offset, struct reply_item *reply);

/* ---- clients_link.c ---- */

/* Sends a command to the node to which the client is connected; the connection is made when there is none. The answer,
 * or the end of the connection, comes later. */
void client_link_send(struct clients *c, struct client *client, const struct origin *o);
/* Writes what was sent. */
void client_link_flush(struct clients *c, struct client *client);
/* When the connection has something to do; UINT64_MAX: never, as things are. */
uint64_t client_link_next(const struct clients *c, const struct client *client);
void client_link_run(struct clients *c, struct client *client);
/* Hangs up; nothing comes any more. */
void client_link_close(struct clients *c, struct client *client);

#endif
