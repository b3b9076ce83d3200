/* Declarations shared by the files of the client port. Each of them uses those before it in this list. What those below ask
 * of those above is in a table that client_server.c gives them, `upcalls`.
 *
 *   client_words.c        words of requests, and text in replies
 *   client_describe.c     the commands of the state machine, as the node described them
 *   client_docs.c         what Redis says about these commands
 *   client_arguments.c    their arguments, for COMMAND DOCS
 *   client_cluster.c      CLUSTER; which commands the node takes, and where clients are sent with the others
 *   client_info.c         INFO, CONFIG and ROLE
 *   client_catalogue.c    COMMAND
 *   client_tools.c        what tools ask for of which there is nothing here
 *   client_channels.c     who is subscribed to what
 *   client_replies.c      the order of a connection's replies
 *   client_turns.c        whose request is taken next, and how much each client may have outstanding
 *   client_batches.c      from commands to batches, from answers to replies
 *   client_transactions.c MULTI, EXEC, DISCARD, WATCH
 *   client_pause.c        CLIENT PAUSE: no sockets up to here
 *   client_connection.c   a connection's life, its place, its addresses
 *   client_output.c       writing; clients that do not take their replies
 *   client_late.c         what a connection hears after one of its replies
 *   client_pubsub.c       SUBSCRIBE and its kin, PUBSUB, and messages to those that are subscribed
 *   client_events.c       what happens to keys, as messages
 *   client_tracking.c     CLIENT TRACKING, and what clients hear of changed keys
 *   client_wait.c         WAIT
 *   client_self.c         CLIENT
 *   client_commands.c     commands that the port answers itself
 *   client_input.c        reading, and taking requests from what was read, in turns
 *   client_listen.c       listening, and accepting connections
 *   client_server.c       opening, what the node asks and tells, closing */
#ifndef SYNOD_IO_CLIENT_INTERNAL_H
#define SYNOD_IO_CLIENT_INTERNAL_H

#include <string.h>
#include <strings.h>

#include "core/formats/batch.h"
#include "core/formats/command_name.h"
#include "core/formats/command_table.h"
#include "core/formats/notice.h"
#include "core/formats/resp.h"
#include "core/formats/transaction.h"
#include "io/client_channels.h"
#include "io/client_server.h"
#include "io/slots.h"

enum {
    CLIENT_READ_SIZE = 64 * 1024,
    CLIENT_REST_MAX = 4 * 1024, /* bytes of an incomplete request up to which reading goes on in the shared buffer */
    CLIENT_LISTENERS_MAX = 4,
    CLIENT_REQUEST_OVERHEAD = 64,   /* what a waiting request or an early reply costs beside its bytes */
    CLIENT_ASKED_MAX = 1024 * 1024, /* reply bytes that one client may have outstanding (client_turns.c) */
    CLIENT_BUFFER_KEPT = 16 * 1024,
    CLIENT_REQUESTS_MAX = 8, /* of operators, unanswered */
    CLIENT_ADDRESS_SIZE = 72,
    CLIENT_REDIS_MAJOR = 7,
};
#define CLIENT_REDIS_VERSION "7.4.0" /* redis-py lets its clients cache from this one on */
#define CLIENT_FULL          "ERR max number of clients reached"

/* Where the reply to a command of a batch goes. */
struct client_origin {
    uint64_t connection; /* its token */
    uint32_t position;
    uint32_t bytes;     /* of the command; they stop waiting when it is answered */
    uint32_t charge;    /* reply bytes that the command was expected to cause */
    uint8_t budget;     /* where the charge is counted: an enum turn_queue */
    bool reads;         /* it is in a batch of reads */
    uint32_t command;   /* its index in the server's `estimates` */
    uint32_t receivers; /* of what it publishes: connections of this node that were subscribed when it came */
};

/* A batch, from its first command until its answer. */
struct client_gather {
    struct client_gather *next;
    uint64_t token;
    struct batch_builder builder;
    struct client_origin *origins;
    size_t origins_capacity;
    uint32_t count;
    bool is_request; /* an operator's, which is not for the log */
    bool is_wait;    /* the port's own question, for WAIT */
    bool is_reads;   /* commands that need no slot (P9) */
    bool is_stale;   /* reads of clients that accept a state which is `stale_ms` old (P27) */
    uint32_t stale_ms;
};

/* What batches hold: each kind has its own. */
enum client_kind { KIND_LOGGED, KIND_READS, KIND_STALE, CLIENT_KINDS };

/* Batches of one kind that the node has not received. */
struct client_gathered {
    struct client_gather *ready, **ready_end; /* full, oldest first */
    struct client_gather *open;               /* the one being filled; NULL: none */
    size_t commands, bytes;                   /* in all of them */
};

/* A reply's place in the order. */
struct client_pending {
    uint8_t *early; /* the encoded reply, if it came before its turn; NULL: not there yet */
    size_t len;
    bool unwanted; /* the client does not want it */
};

enum client_state {
    CLIENT_SERVED,
    CLIENT_ENDED,     /* it will send nothing more; what has come is still taken and answered */
    CLIENT_FINISHING, /* nothing more is taken; it is closed when all is answered and written */
    CLIENT_CLOSED,    /* uv_close has been called */
};

/* What a connection's next request waits for. */
enum client_input {
    INPUT_TAKEN, /* nothing: all complete requests are taken */
    INPUT_TURN,  /* its turn, in a queue of the server */
    INPUT_ROOM,  /* that this client's earlier requests are answered, or their replies taken */
};

/* Connections beyond client_connections_max are for operators (client_server.h). */
enum client_place { PLACE_REGULAR, PLACE_OPERATOR };

/* Between MULTI and EXEC (client_transactions.c). */
enum client_transaction_state {
    TRANSACTION_NONE,
    TRANSACTION_QUEUES,  /* commands are kept */
    TRANSACTION_REFUSED, /* one of them was none: nothing will be executed */
};
struct client_transaction {
    enum client_transaction_state state;
    struct batch_builder queued;  /* the commands for the node */
    struct batch_builder own;     /* those that the port itself will answer, each after its place among all of them */
    struct batch_builder watched; /* the keys of each WATCH, as a command */
    bool writes;                  /* one of the queued commands does */
    uint64_t watch;               /* the number of the set; 0: nothing is watched */
};

/* A request that the port makes of others: a whole transaction, or a WATCH with its set. */
struct client_assembly {
    struct resp_request request; /* its arguments point into what is kept, and into the texts below */
    struct batch_commands commands;
    uint8_t *numbers;
    size_t numbers_len, numbers_capacity;
    uint8_t set[20];
};

/* A client that has ended its sending may have gone, or may be waiting for its replies. One that was answered after that,
 * and is still connected, has not gone. */
enum client_presence { PRESENT, PERHAPS_GONE, PRESENT_AFTER_END };

/* A connection that waits for learners (client_wait.c). */
struct client_wait {
    int64_t own, wanted; /* the learner of this node, 0 or 1; so many others */
    uint64_t until_ms;   /* when it waits no longer; 0: never */
    uint32_t position;   /* of the reply */
    bool with_own;       /* WAITAOF: the reply has two numbers, of which the first is about this node */
    bool fails;          /* CLIENT UNBLOCK ERROR */
    bool waits;
};

/* What a connection hears after one of its replies (client_late.c). */
struct client_late {
    struct client_late *next;
    uint32_t position;         /* of the reply */
    struct resp_buffer pushes; /* messages, and what else keeps their order, as it is written */
    struct resp_buffer keys;   /* lists of keys that may have changed (client_late_keys) */
};

/* Whose command it was that has caused what the node tells. */
struct client_cause {
    uint64_t connection; /* its token; 0: it is not known */
    uint32_t position;   /* of the reply */
};

/* The first slot that each learner does not hold, as the node has said last. */
struct client_held {
    int64_t own; /* 0: it has none, or has not said it yet */
    int64_t others[NODE_ID_MAX + 1];
    size_t count;
};

/* Whether a client wants replies (CLIENT REPLY). */
enum client_wants { WANTS_REPLIES, WANTS_NONE, WANTS_NOT_THE_NEXT, WANTS_NOT_THIS };

/* What CLIENT CACHING says of the next command. */
enum client_caching { CACHING_NOT_SAID, CACHING_YES, CACHING_NO };

/* A client that tracks with BCAST hears of all keys that begin so. */
struct client_prefix {
    struct client_connection *connection;
    struct bytes bytes;
    struct client_prefix *next, *previous; /* of all of the port */
    struct resp_buffer keys; /* that have changed, and are not told yet: `count` of them, as they are written */
    size_t count;
    uint32_t position; /* they are told after this reply */
};

/* What a client wants to hear of changed keys (client_tracking.c). */
struct client_tracker {
    bool on, broadcasts, opts_in, opts_out, no_loop;
    bool broken; /* the connection that hears it is gone, and the client knows */
    enum client_caching says;
    uint64_t redirect;                /* the token of the connection that hears it; 0: itself */
    struct client_subscriptions keys; /* those that it has read */
    struct client_prefix *prefixes;   /* with `broadcasts` */
    size_t prefix_count;
};

/* Queues of connections whose next request waits for its turn, oldest first (client_turns.c). */
enum turn_queue {
    TURNS_LIGHT, /* the request asks for little */
    TURNS_READS, /* the same, and it needs no slot: it waits for no disk */
    /* the client's first request of a kind, with nothing after it: others' are large, this client's may not be */
    TURNS_FIRST,
    TURNS_HEAVY,  /* the request asks for much */
    TURNS_UNSURE, /* the same, but the client may have gone */
    TURN_QUEUES
};
struct client_queue {
    struct client_connection *first, *last;
    uint64_t asked; /* reply bytes that commands of this budget are expected to cause, from gathering to the answer */
};

/* What each request needs is together, so that it takes few lines of the processor's cache: with many connections, none of
 * them is there. */
struct client_connection {
    uv_tcp_t tcp;
    uv_write_t write;
    struct client_server *server;
    uint64_t token; /* in the server's table; its number is the connection's id */
    int version;    /* RESP version */
    enum client_state state;
    enum client_input input;
    enum client_place place;
    enum client_presence presence;
    enum client_wants wants;
    bool reading;         /* uv_read_start is in force */
    bool sending;         /* a uv_write of `sent` is in flight */
    bool dirty;           /* in the server's list of connections to flush */
    bool knows_clusters;  /* it has used CLUSTER, so it can follow -MOVED */
    bool readonly;        /* READONLY: reads are answered here, though another node leads */
    bool stale;           /* READONLY STALE: ... by a state that is `stale_ms` old at most */
    bool held;            /* the request that waits does so until a pause is over */
    bool after_reads;     /* the request that waits goes through the log: first these must be answered */
    bool after_all;       /* it waits for the replies to all earlier ones */
    bool unproven;        /* no reply to the command looked at last has come to this client yet */
    enum client_kind as;  /* what the request that waits goes with */
    enum turn_queue kind; /* the queue it would wait in, once its charge is known */
    uint32_t charge;      /* of the request that waits; 0: not known, or it is not for the node */
    uint32_t in_flight;   /* commands gathered and not answered */
    uint32_t reads;       /* those of them in batches of reads */
    uint32_t stale_ms;
    uint64_t asked;      /* the sum of their charges */
    uint64_t waiting;    /* the sum of their bytes */
    uint32_t *estimates; /* reply bytes of this client's commands, by index; 0: not used yet */

    struct client_pending *ring; /* of ring_size (a power of two) places; positions head to tail are unanswered */
    uint32_t ring_size;
    uint32_t head;
    uint32_t tail;
    struct client_late *late; /* what comes after replies, in their order */
    uint64_t late_bytes;      /* of memory that this takes */
    uint32_t unwanted;        /* places in the ring whose reply the client does not want */
    uint64_t early;           /* bytes of early replies in the ring, with CLIENT_REQUEST_OVERHEAD for each */
    uint64_t buffered;        /* how much of this connection is counted in the server's `buffered` */
    uint64_t active_ms;
    uint64_t written;        /* the first slot after those in which it has written, as far as it was answered */
    struct resp_buffer out;  /* to be written */
    struct resp_buffer sent; /* being written, from sent_at on, sent_len of it at a time */
    size_t sent_at;
    size_t sent_len;

    struct client_queue *queue; /* while the state is INPUT_TURN */
    struct client_connection *next, *previous;
    uint8_t *in; /* bytes in_at to in_end have been read and not taken yet */
    size_t in_at;
    size_t in_end;
    size_t in_capacity;
    struct resp_parser parser;

    struct client_wait wait;
    struct batch_builder own; /* of the transaction that the node executes now; nothing more is taken meanwhile */
    uint32_t own_position;    /* where its reply goes */
    struct client_transaction transaction;
    struct client_subscriptions subscriptions;
    struct client_tracker tracker;

    uint64_t opened_ms;
    uint64_t moved_ms;                                                     /* when it last took some of `sent` */
    char address[CLIENT_ADDRESS_SIZE], local_address[CLIENT_ADDRESS_SIZE]; /* filled in when asked for */
    char name[64];
    char library_name[32];
    char library_version[32];
};

/* What this node does not take for a while (client_pause.c). */
enum client_pause_kind { PAUSE_NONE, PAUSE_WRITES, PAUSE_ALL };

/* What files below ask of those above. */
struct client_upcalls {
    /* The client has taken replies: decides what follows for it, and takes requests that may go on. */
    void (*taken)(struct client_connection *c);
    /* Takes requests that may go on. */
    void (*go_on)(struct client_server *s);
    /* The key, or any (NULL), may have changed. */
    void (*changed)(struct client_server *s, const struct bytes *key);
    /* Something has happened to a key. */
    void (*event)(struct client_server *s, const struct notice *n, uint64_t *steps);
    /* Whether that is to be told. */
    bool (*wants_events)(const struct client_server *s);
    /* Fewer keys may be remembered than before. */
    void (*limit)(struct client_server *s);
    /* The node has told all of a step. */
    void (*told)(struct client_server *s);
    /* The node gets this request, whose reply has that place. */
    void (*gathered)(struct client_connection *c, const struct resp_request *request, uint32_t position);
    /* The client has got a reply, and something comes after one. */
    void (*answered)(struct client_connection *c);
    /* The connection goes. */
    void (*goes)(struct client_connection *c);
    /* Answers a command that the port itself answers, of a transaction that has been executed. */
    void (*answer_own)(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out);
    /* A WAIT is in a transaction: what it asks should be known when it is executed. */
    void (*prepare_wait)(struct client_server *s);
    /* The node says how far learners hold slots. */
    void (*held)(struct client_server *s, const struct payload *replies);
    /* A handle has been closed: the server's, or a connection's, which is freed. */
    void (*handle_closed)(struct client_server *s);
};

struct client_command;

struct client_server {
    struct client_server_options options;
    const struct client_upcalls *upcalls;
    uv_loop_t *loop;
    uv_tcp_t listeners[CLIENT_LISTENERS_MAX];
    size_t listener_count;
    uint16_t port;
    bool closing;
    uv_timer_t patience; /* for clients that do not take their last replies */
    uv_timer_t turns;    /* goes on with requests that have waited for their turn */
    uv_timer_t unsure;   /* the same for clients that may have gone */
    uv_timer_t waits;    /* asks how far learners are, while connections wait for them */
    bool waits_asked;    /* and the node has not answered */
    bool waits_wanted;   /* a WAIT in a transaction wants to know */
    struct client_held held;
    uv_timer_t pause; /* until its end */
    enum client_pause_kind pause_kind;
    uint64_t pause_until;
    uv_timer_t watch; /* looks for clients that do not take their replies, while there may be some */
    size_t handles;   /* listeners, timers and connections that are not closed yet */
    void (*on_closed)(void *context);
    void *closed_context;

    struct slots connections;
    struct client_connection *operators[CLIENT_CONNECTIONS_RESERVED];
    size_t operator_count;

    struct client_queue queues[TURN_QUEUES];
    struct client_connection *served; /* the connection that has its turn; NULL: none */
    enum turn_queue serving;          /* the queue in which it waited */
    uint64_t unsure_ms;               /* before this time, clients that may have gone get no turn */
    uint64_t work;                    /* done in turns in this iteration of the loop, while others wait */
    uint64_t spent;                   /* by the request being taken, beside its bytes and those of its reply */
    uint64_t opened_ms;
    uint32_t *estimates; /* reply bytes by command: the estimate for a client that has not used the command yet */

    struct client_gathered gathered[CLIENT_KINDS];
    bool has_gone;    /* some of these commands may be of clients that have gone */
    bool reads_first; /* those that wait get the next turns */
    struct client_gather *spare;
    size_t spare_count;
    struct client_gather *requests; /* of operators, that the node has not received, oldest first */
    size_t request_count;           /* of these, and those that the node has not answered */
    struct slots in_flight;
    struct packet *packets;
    size_t packets_capacity;

    struct roster members;
    uint32_t leader;  /* as a life of the node said last; 0: none leads */
    uint32_t led;     /* the last one that led; 0: none yet */
    bool leader_said; /* by the life that there is now */
    bool no_room;
    bool forwards;      /* the node passes commands on while another one leads */
    uint64_t buffered;  /* bytes of requests not taken and of replies not read */
    uint64_t logged_ms; /* when the log last said that a connection could not be accepted */
    struct client_server_statistics statistics;
    struct client_server_statistics reset; /* what they were at the last CONFIG RESETSTAT */
    uint64_t sampled_ms, sampled_commands; /* at an earlier INFO */
    uint64_t commands_per_s;               /* from there to a later one */

    struct name_table port_names;
    const struct client_command *port_commands; /* all that the port knows, `port_command_count` of them */
    size_t port_command_count;
    struct command_info_list machine_commands; /* as the node described them */
    struct command_info machine_infos[COMMAND_TABLE_MAX];
    uint8_t machine_texts[COMMAND_TABLE_MAX][COMMAND_NAME_MAX];
    struct name_table machine_names;
    bool machine_is_known; /* these are all of its commands */
    struct resp_limits limits;
    struct resp_request request;
    struct batch_commands unpacked;
    struct client_assembly assembly;
    const struct resp_request *asked; /* what the node gets instead of the request that is being taken; NULL: that one */
    struct batch_builder *asked_own;  /* what the port itself will answer of it; NULL: nothing */
    uint64_t watches;                 /* sets named so far */
    struct client_channels channels;
    struct client_channels tracked; /* keys that clients have read, and want to hear of */
    struct transaction tracked_transaction;
    struct client_prefix *prefixes;    /* of all that track with BCAST; newest first */
    struct client_prefix *next_prefix; /* what who walks through them comes to next; it may go meanwhile */
    size_t trackers, prefix_count;
    struct client_cause cause; /* of what the node tells just now */
    uint64_t cause_batch;      /* the token of the batch that was looked for last */
    struct resp_buffer late;   /* what is on its way to a place after a reply */
    struct resp_buffer told_key;
    uint32_t events;            /* what happens to keys and is told clients, as CONFIG SET said (client_events.c) */
    uint64_t watch_told;        /* what the node was told that the port wants to hear of (core/formats/notice.h) */
    uint64_t transaction_bytes; /* of what is kept from MULTI to the reply to EXEC, or watched, of all clients */
    struct resp_buffer scratch;
    struct client_connection **dirty; /* those that have got replies; NULL: it has gone */
    size_t dirty_count;
    size_t dirty_capacity;
    uint8_t read_buffer[CLIENT_REST_MAX + CLIENT_READ_SIZE];
};

/* On the loop's clock (uv_now), when `ms` from now are surely over. That clock may be behind, and counts only milliseconds
 * that are whole. */
static inline uint64_t client_end_of(struct client_server *s, uint64_t ms)
{
    uv_update_time(s->loop);
    return uv_now(s->loop) + ms + 1;
}

/* ---- client_words.c ---- */

static inline bool client_is_word(const struct bytes *arg, const char *word)
{
    return strlen(word) == arg->len && strncasecmp((const char *)arg->ptr, word, arg->len) == 0;
}
/* Copies an argument as a C string, cut at `size` - 1. */
void client_copy_word(const struct bytes *arg, char *out, size_t size);
/* "ERR unknown subcommand ...", with the same text as Redis. */
void client_unknown_subcommand(struct resp_buffer *out, const char *command, const struct bytes *subcommand);
/* Copies a name that CLIENT LIST shows. False: it is too long, or has blanks or control characters, with which the list
 * would not be readable; the error is in `*out`. */
bool client_set_word(char *to, size_t size, const struct bytes *arg, const char *what, struct resp_buffer *out);
/* Copies a name in capitals. */
void client_upper(const char *name, char *out, size_t size);
/* A number from 0 to `max`. False: it is none, and the error `what` is in `*out`. */
bool client_number(const struct bytes *arg, uint64_t max, uint64_t *number, const char *what, struct resp_buffer *out);
/* printf to the end of a buffer, for texts of up to 1 KiB. */
void client_print(struct resp_buffer *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- client_describe.c ---- */

/* The one with this name among `count`; NULL: there is none. */
const struct client_command *client_command_find(const struct client_command *list, size_t count, const struct bytes *name);
/* What a name is known as. */
struct client_named {
    const struct client_command *port; /* a command of the port; NULL: none has this name */
    /* In `estimates`, and in `machine_commands` if it is less than COMMAND_TABLE_MAX. All commands that the state machine
     * has not described share one: connections may come before it has described any. */
    uint32_t index;
};
struct client_named client_describe(const struct client_server *s, const struct bytes *name);
/* True when the state machine surely has no command with that index, or not with so many arguments. Then `*error` is the
 * error, in the COMMAND_ERROR_MAX bytes to which it points. */
bool client_describe_refuses(const struct client_server *s, uint32_t index, const struct bytes *args, size_t argc,
                             struct bytes *error);

/* ---- client_docs.c ---- */

/* What Redis says about a command that a state machine may have. */
struct client_doc {
    const char *name;
    const char *flags, *categories, *tips; /* words, as COMMAND tells them */
    const char *key_flags;                 /* the same for each key specification, with a semicolon between two */
    const char *since, *group, *summary;
    const char *arguments; /* as client_arguments.c reads them */
};
/* NULL: nothing. */
const struct client_doc *client_docs_find(const struct bytes *name);

/* ---- client_arguments.c ---- */

/* Encodes the arguments of a command. */
void client_arguments_write(const char *text, int version, struct resp_buffer *out);

/* ---- client_info.c, client_cluster.c, client_catalogue.c, client_tools.c ---- */

typedef void client_command_handler(struct client_connection *c, const struct bytes *args, size_t argc,
                                    struct resp_buffer *out);

/* What a command may do beyond what is usual. */
enum {
    FOR_OPERATORS = 1,    /* also a connection that was let in for operators may use it */
    ENDS_MULTI = 2,       /* between MULTI and EXEC it is not queued */
    OF_CLUSTERS = 4,      /* its clients know clusters, and can follow -MOVED */
    FOR_STATE = 8,        /* the state machine has it, too, and executes it */
    FOR_REPLIES = 16,     /* it says whether its client wants replies, its own among them */
    IN_SESSION = 32,      /* it may have another command after it, and the node gets both */
    AFTER_REPLIES = 64,   /* it waits until all earlier requests of its connection are answered */
    FOR_LEARNERS = 256,   /* it waits for learners, but not in a transaction: that is what its handler is for */
    FOR_SUBSCRIBED = 128, /* also a connection that hears messages in RESP 2 may use it */
};

/* A command that the port knows, or a subcommand of one. */
struct client_command {
    const char *name;
    client_command_handler *handler; /* NULL: the node answers (client_batches_request), or a subcommand, or HELP */
    int arity;                       /* of a subcommand: with the name of its command */
    unsigned may;
    const char *flags, *categories; /* words, as COMMAND tells them */
    const char *since;              /* which version of Redis */
    const char *usage;              /* arguments of a subcommand, for HELP */
    const char *summary;
    const struct client_command *subcommands;
    size_t subcommand_count;
};
#define SUBCOMMANDS(list) .subcommands = (list), .subcommand_count = sizeof(list) / sizeof((list)[0])

client_command_handler client_info, client_role;
/* Subcommands. HELP is one of each list. */
enum { CLUSTER_SUBCOMMANDS = 7, CONFIG_SUBCOMMANDS = 5, CLIENT_SUBCOMMANDS = 19, COMMAND_SUBCOMMANDS = 7 };
extern const struct client_command client_cluster_subcommands[CLUSTER_SUBCOMMANDS];
extern const struct client_command client_config_subcommands[CONFIG_SUBCOMMANDS];
extern const struct client_command client_self_subcommands[CLIENT_SUBCOMMANDS];
extern const struct client_command client_catalogue_subcommands[COMMAND_SUBCOMMANDS];
/* COMMAND without a subcommand. */
client_command_handler client_catalogue;
/* What CLIENT REPLY says is valid from its own reply on. */
void client_self_choose_replies(struct client_connection *c, const struct bytes *choice);
enum { ACL_SUBCOMMANDS = 4, LATENCY_SUBCOMMANDS = 4, MEMORY_SUBCOMMANDS = 2, OBJECT_SUBCOMMANDS = 5 };
enum { MODULE_SUBCOMMANDS = 2, PUBSUB_SUBCOMMANDS = 6, SLOWLOG_SUBCOMMANDS = 4 };
extern const struct client_command client_acl_subcommands[ACL_SUBCOMMANDS];
extern const struct client_command client_latency_subcommands[LATENCY_SUBCOMMANDS];
extern const struct client_command client_memory_subcommands[MEMORY_SUBCOMMANDS];
extern const struct client_command client_object_subcommands[OBJECT_SUBCOMMANDS];
extern const struct client_command client_module_subcommands[MODULE_SUBCOMMANDS];
extern const struct client_command client_pubsub_subcommands[PUBSUB_SUBCOMMANDS];
extern const struct client_command client_slowlog_subcommands[SLOWLOG_SUBCOMMANDS];

/* Where clients reach a node. */
const char *client_cluster_host(const struct config_node *n);
uint16_t client_cluster_port(const struct client_server *s, const struct config_node *n);
/* Nodes that clients can reach. */
node_set client_cluster_reachable(const struct client_server *s);
/* The node that leads; NULL when there is none that clients can reach. */
const struct config_node *client_cluster_leader(const struct client_server *s);
/* A node's name: 40 hexadecimal digits, the same on every node and for ever. */
enum { CLIENT_NODE_NAME_SIZE = 41 };
void client_cluster_name(const struct client_server *s, uint32_t node, char name[CLIENT_NODE_NAME_SIZE]);

/* True when this node takes commands of this connection. */
bool client_cluster_takes(const struct client_connection *c);
/* True when it can take reads, which another node, that leads, has to confirm. */
bool client_cluster_follows(const struct client_server *s);
/* True when it takes reads of this connection: of one that has said READONLY; and where the node passes nothing on because
 * it proposes nothing, of all but clients that know clusters, which are sent to the leader. */
bool client_cluster_takes_reads(const struct client_connection *c);
/* True when it answers reads of this connection by the state that it has, which may be stale. */
bool client_cluster_has_state(const struct client_connection *c);
/* The reply to a command if it does not. */
void client_cluster_refuse(const struct client_connection *c, const struct bytes *args, size_t argc,
                           struct resp_buffer *out);
/* The reply to a command that another node (0: none) has to execute. */
void client_cluster_moved(const struct client_connection *c, const struct bytes *args, size_t argc, uint32_t leader,
                          struct resp_buffer *out);
/* The reply to an operator's request for another node: it names that node, whatever the connection has used. */
void client_cluster_name_leader(const struct client_server *s, uint32_t leader, struct resp_buffer *out);
/* Replies so to the request being taken. */
void client_cluster_send_to_leader(struct client_connection *c);

/* ---- client_replies.c ---- */

/* Takes the next place in the order of replies, and returns it. */
uint32_t client_replies_expect(struct client_connection *c);
/* Where to encode the reply for `position`. client_replies_end must follow directly, and may close the connection. */
struct resp_buffer *client_replies_begin(struct client_connection *c, uint32_t position);
void client_replies_end(struct client_connection *c, uint32_t position);
/* Whether the client has got the reply for `position`, or it is in the output. */
static inline bool client_replies_given(const struct client_connection *c, uint32_t position)
{
    return (int32_t)(position - c->head) < 0;
}
/* Replies with this error to the request being taken. */
void client_replies_error(struct client_connection *c, const char *what);
/* Puts a connection on the server's list of those that have got replies. */
void client_replies_touch(struct client_connection *c);
/* The next one on that list, from place `*at` on, which moves behind it. NULL: there are no more. */
struct client_connection *client_replies_next(const struct client_server *s, size_t *at);
/* Takes a connection that goes off that list. */
void client_replies_leave(struct client_connection *c);
/* Reply bytes that the client has not taken. */
uint64_t client_replies_unread(const struct client_connection *c);
/* Frees them all. */
void client_replies_close(struct client_connection *c);

/* ---- client_turns.c ---- */

enum client_may { MAY_GO, MUST_WAIT_ITS_TURN, MUST_WAIT_FOR_ROOM };

/* Whether a command for the node, of that kind, may be gathered now. Sets the connection's `charge` and `kind` to those of
 * the command. `behind` is the number of bytes that have come after it. */
enum client_may client_turns_may(struct client_connection *c, uint32_t command, enum client_kind as, size_t behind);
/* The budget for a command that waits in this queue. */
enum turn_queue client_turns_budget(enum turn_queue kind);
/* Count a command that is gathered, and one that is answered. */
void client_turns_gathered(struct client_connection *c, const struct client_origin *o);
void client_turns_answered(struct client_server *s, struct client_connection *c, const struct client_origin *o);
/* Notes that a command was answered with so many bytes. `c` may be NULL. */
void client_turns_learn(struct client_server *s, struct client_connection *c, uint32_t command, size_t bytes);
/* Bytes kept for all clients: of requests and replies. */
uint64_t client_turns_kept(const struct client_server *s);
/* True when that is client_bytes_all_max or more. */
bool client_turns_pressed(const struct client_server *s);
/* True when the connection's own outstanding commands leave room for its next request. */
bool client_turns_has_room(const struct client_connection *c);
/* Queues the connection until its turn. Its next request costs `charge` bytes (0: not known). */
void client_turns_wait(struct client_connection *c, uint32_t charge);
/* Removes the connection from its queue. */
void client_turns_leave(struct client_connection *c);
/* The client will send nothing more, and may have gone. */
void client_turns_ended(struct client_connection *c);
/* The connection whose turn it is. NULL: none waits, or the node must answer or receive something first. */
struct client_connection *client_turns_next(const struct client_server *s, enum turn_queue kind);
/* The turn of a connection that has left its queue begins, and ends. */
void client_turns_begin(struct client_connection *c);
void client_turns_end(struct client_server *s);
/* For how long clients that may have gone get no turn. 0: they get turns, or none of them waits. */
uint64_t client_turns_unsure_ms(const struct client_server *s);

/* ---- client_batches.c ---- */

/* A command for the node, known by this index: it goes into a batch being gathered, or is answered at once with an error
 * (moved, down). The result says whether that was done; if not, the request has to wait. */
enum client_may client_batches_command(struct client_connection *c, uint32_t command, const struct resp_request *request,
                                       size_t behind);
/* An operator's request (SYNOD ...): for the node, whether it takes commands or not, but not for the log. A node that is no
 * proposer sends it to the leader. */
void client_batches_request(struct client_connection *c, const struct resp_request *request);
/* The oldest request that the node has not received, which is on its way from now on. False: there is none. */
bool client_batches_next_request(struct client_server *s, struct packet *request);
/* True when there are commands of that kind that the node has not received. */
bool client_batches_waiting(const struct client_server *s, enum client_kind kind);
/* The oldest batch of them that the node has not received, which is on its way from now on. False: there is none. */
bool client_batches_next(struct client_server *s, enum client_kind kind, struct packet *batch);
/* Hands out the replies of an answer, to a batch that was executed in this slot (0: in none). Their connections are
 * touched. */
void client_batches_answer(struct client_server *s, const struct packet *answer, uint64_t slot);
/* Answers what the node has not received: with OUTCOME_MOVED to the node that leads, or with OUTCOME_UNKNOWN. */
void client_batches_give_up_waiting(struct client_server *s, uint8_t outcome);
/* Answers operators' requests that the node has not received: they had no effect. */
void client_batches_give_up_requests(struct client_server *s);
/* Whose command this is: the number of a batch on its way, and the place in it. Its connection is 0 if it is not known. */
struct client_cause client_batches_cause(struct client_server *s, struct notice_cause cause);
/* Asks the node how far learners hold slots; the answer comes by `upcalls`. False: it has not answered the last time yet. */
bool client_batches_ask_held(struct client_server *s);
/* Forgets what the port itself was to answer of a transaction. */
void client_batches_end_own(struct client_connection *c);
/* Answers what the node has received with OUTCOME_UNKNOWN. */
void client_batches_lose_in_flight(struct client_server *s);
void client_batches_close(struct client_server *s);

/* ---- client_transactions.c ---- */

client_command_handler client_multi, client_exec, client_discard, client_watch, client_unwatch;
/* EXEC with arguments: it ends the transaction, too. */
void client_exec_wrong(struct client_connection *c, struct resp_buffer *out);
/* Answers a request that is queued, or may not be. False: it is to be answered otherwise; or, if the server's `asked` is set
 * now, the node gets that. */
bool client_transactions_answer(struct client_connection *c, const struct client_command *p,
                                const struct resp_request *request);
/* The node has got what it was asked. */
void client_transactions_taken(struct client_connection *c, const struct resp_request *request);
/* Forgets what is queued and watched. */
void client_transactions_end(struct client_connection *c);
void client_transactions_close(struct client_server *s);

/* ---- client_pause.c ---- */

/* Whether a request, whose first word is `named`, is held until the pause has ended. Precondition: there is one. */
bool client_pause_holds(struct client_connection *c, const struct client_named *named, const struct resp_request *request);
/* Begins a pause. If there is one, it ends at the later one of both times, and is of the kind that takes less. */
void client_pause_begin(struct client_server *s, enum client_pause_kind kind, uint64_t ms);
void client_pause_end(struct client_server *s);

/* ---- client_connection.c ---- */

/* A connection that uv_accept may fill. NULL: there is no socket for it. */
struct client_connection *client_connection_new(struct client_server *s);
/* True when one more connection would be none that is for operators. */
bool client_connection_has_place(const struct client_server *s);
/* Gives a regular place to a connection that was let in for operators. False: there is none. */
bool client_connection_promote(struct client_connection *c);
/* Takes nothing more. The next client_input_update after everything is answered and written closes it. */
void client_connection_finish(struct client_connection *c);
/* Closes at once. */
void client_connection_close(struct client_connection *c);
/* Closes at once; the log says why. */
void client_connection_drop(struct client_connection *c, const char *why);
/* "address:port" of the client; valid as long as the connection. */
const char *client_connection_address(struct client_connection *c);
/* The same for this end. */
const char *client_connection_local_address(struct client_connection *c);

/* ---- client_output.c ---- */

/* Writes what is ready, and updates the count of buffered bytes. The connection may be closed afterwards. */
void client_output_flush(struct client_connection *c);

/* ---- client_late.c ---- */

/* Where to encode what the client is told now, or after a reply. client_late_end must follow directly; the connection may be
 * closed afterwards. */
struct resp_buffer *client_late_begin(struct client_connection *c);
void client_late_end(struct client_connection *c, struct resp_buffer *out);
/* Whether the connection has itself caused what the node tells just now. */
bool client_late_is_own(const struct client_connection *c);
/* After which reply this is to be told: the one at `position`, or that to the command that has caused it, if it is the
 * connection's own and later. */
uint32_t client_late_after(const struct client_connection *c, uint32_t position);
/* Keeps a list of keys (each encoded; none: any key) that are to be told together after the reply at `position`. */
void client_late_keys(struct client_connection *c, uint32_t position, struct bytes encoded, size_t count);
/* The next list, from `*at` on, which begins with 0. False: there are no more. */
bool client_late_next_keys(const struct client_late *late, size_t *at, struct bytes *encoded, size_t *count);
/* Takes what waits for the first reply for which something does, if that is given: messages are in the output then, keys are
 * the caller's to tell, and it is the caller's to free. NULL: there is none. */
struct client_late *client_late_take(struct client_connection *c);
void client_late_free(struct client_late *late);
/* Forgets all that waits. */
void client_late_close(struct client_connection *c);

/* ---- client_pubsub.c ---- */

client_command_handler client_subscribe, client_psubscribe, client_ssubscribe;
client_command_handler client_unsubscribe, client_punsubscribe, client_sunsubscribe;
/* True for a connection that is subscribed and speaks RESP 2: its requests are limited, as their replies and messages look
 * alike. */
bool client_pubsub_is_limited(const struct client_connection *c);
/* Answers a request that such a connection may not make, of command `p` (NULL: for the node). False: it may. */
bool client_pubsub_refuses(struct client_connection *c, const struct client_command *p, const struct resp_request *request);
/* True when a request of this command has to wait for the replies to earlier ones. Sets the connection's `after_all`. */
bool client_pubsub_waits(struct client_connection *c, const struct client_command *p);
/* Whether this node executes what is published and written. If not, the error names those that do. */
bool client_pubsub_has_learner(const struct client_server *s, struct resp_buffer *out);
/* What came of executed slots (core/formats/notice.h). Connections are touched, and may be closed. */
void client_pubsub_notices(struct client_server *s, const struct payload *told);
/* Something cannot be told: trackers hear that any key may have changed, and connections that are subscribed are closed, as
 * the log says. */
void client_pubsub_lost(struct client_server *s, const char *why);
/* True when the port wants to be told other things than the node knows; then the packet that says so. */
bool client_pubsub_wants(const struct client_server *s);
bool client_pubsub_next(struct client_server *s, struct packet *told);

/* A message goes to all that are subscribed to its channel. Comparisons with patterns take some of `*steps`. */
void client_pubsub_message(struct client_server *s, const struct notice *n, uint64_t *steps);

/* ---- client_events.c ---- */

enum { CLIENT_EVENTS_SIZE = 16 };
/* Reads and writes letters. False: there is one that means nothing. */
bool client_events_read(const struct bytes *text, uint32_t *flags);
void client_events_write(uint32_t flags, char text[CLIENT_EVENTS_SIZE]);
/* Whether the port wants to be told what happens to keys. */
bool client_events_wanted(const struct client_server *s);
/* Something has happened to a key. */
void client_events_told(struct client_server *s, const struct notice *n, uint64_t *steps);

/* ---- client_tracking.c ---- */

client_command_handler client_tracking, client_caching, client_trackinginfo, client_getredir;
/* The node gets this request, whose reply has that place: remembers the keys that it reads, if the client wants to hear of
 * them. */
void client_tracking_gathered(struct client_connection *c, const struct resp_request *request, uint32_t position);
/* The request has been taken: what CLIENT CACHING has said is about no later one, unless it is in a transaction. */
void client_tracking_taken(struct client_connection *c, const struct resp_request *request);
/* The client has got replies: tells what had to wait for them. The connection may be closed afterwards. */
void client_tracking_answered(struct client_connection *c);
/* A key may have changed, or any. */
void client_tracking_changed(struct client_server *s, const struct bytes *key);
void client_tracking_changed_all(struct client_server *s);
/* Forgets keys beyond the limit, and tells that they may have changed. */
void client_tracking_limit(struct client_server *s);
/* The node has told all of a step. */
void client_tracking_told(struct client_server *s);
/* The client wants to hear nothing any more. */
void client_tracking_end(struct client_connection *c);

/* ---- client_wait.c ---- */

client_command_handler client_wait_count;
/* WAIT learners milliseconds, WAITAOF 0|1 learners milliseconds: answered by and by. */
void client_wait_begin(struct client_connection *c, const struct bytes *args, size_t argc);
/* One of them is in a transaction: what it asks should be known when it is executed. */
void client_wait_prepare(struct client_server *s);
/* An answer to client_batches_ask_held. */
void client_wait_heard(struct client_server *s, const struct payload *replies);
/* CLIENT UNBLOCK: the connection is answered soon, with the number so far or an error. False: it does not wait. */
bool client_wait_end(struct client_connection *c, bool fails);
/* Answers all that wait. */
void client_wait_close(struct client_server *s);

/* ---- client_commands.c ---- */

void client_commands_init(struct client_server *s);
/* Answers the request, whose first word is `named`, if it is for the port itself; false if it is for the node. */
bool client_commands_answer(struct client_connection *c, const struct client_named *named,
                            const struct resp_request *request);
/* Answers a command of a transaction (struct client_upcalls). */
void client_commands_answer_own(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out);

/* ---- client_input.c ---- */

/* Decides, after an event, whether the connection is read, waits for its turn, or is closed. */
void client_input_update(struct client_connection *c);
/* Gives turns to waiting connections, as many as possible now. A timer goes on with the rest. */
void client_input_give_turns(struct client_server *s);
/* The same, and tells the node when commands have been gathered. */
void client_input_go_on(struct client_server *s);

/* ---- client_listen.c ---- */

/* Listens on every address of the name. An address that this machine does not have is no error as long as another one works.
 * A port in use is always an error. */
bool client_listen(struct client_server *s, const struct endpoint *at, struct problem *problem);

#endif
