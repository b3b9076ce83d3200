/* The bytes of the load generator's requests and answers. Requests are prebuilt: a request is a copy of a template with the
 * digits of its number filled in. Two protocols: RESP (Synod, Redis), and the JSON gateway of etcd over HTTP/1.1, to put the
 * same load on a peer.
 *
 * The functions that the load generator's worker calls (request_maker_*, requests_make, answers_read) have a second
 * implementation: in the client component another component does their work (components/client-serializer).
 *
 * Request `n` has the key "key:" and twelve decimal digits of n (modulo the key space when there is one). The value of a SET
 * is the same digits, cut or filled up with 'x' to the size asked for. So the value that a key must have is known.
 *
 * Over RESP a request may be in a session (docs/sessions.md): SESSION, its id, the request's number in it, the command. */
#ifndef SYNOD_LOAD_PROTOCOL_H
#define SYNOD_LOAD_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_protocol { PROTOCOL_RESP, PROTOCOL_ETCD_HTTP };
enum load_command { COMMAND_SET, COMMAND_GET, COMMAND_INCR, COMMAND_MIXED /* SET and GET alternate */ };

enum { KEY_SIZE = 16 };

/* The key of request `number`, with a terminating zero. */
void key_of(uint64_t number, char key[KEY_SIZE + 1]);
/* The value that SET request `number` writes: `size` bytes. */
void value_of(uint64_t number, char *value, size_t size);

struct request_id {
    uint64_t number;
    uint64_t session; /* 0: it is in none */
    uint64_t session_number;
};

struct request_template {
    char *bytes;
    size_t size;
    size_t key_at;       /* of the twelve digits */
    size_t value_at;     /* of the value's digits */
    size_t value_digits; /* 0: no value */
};

struct request_maker {
    uint8_t protocol; /* enum load_protocol */
    uint8_t command;  /* enum load_command */
    uint64_t keyspace;
    size_t value_size;
    struct request_template set;
    struct request_template get; /* GET or INCR */
    size_t size_max;             /* of any request */
    char *scratch;
};

/* Prepares the templates. False: out of memory, or a command that the protocol does not have. `keyspace` 0: every request
 * has a key of its own. */
bool request_maker_init(struct request_maker *m, uint8_t protocol, uint8_t command, size_t value_size, uint64_t keyspace);
void request_maker_close(struct request_maker *m);

/* Writes a request, at most size_max bytes. Returns its size. */
size_t request_make(const struct request_maker *m, const struct request_id *request, char *out);
/* The same for several, one after the other. */
size_t requests_make(const struct request_maker *m, const struct request_id *requests, size_t count, char *out);

enum answer_kind {
    ANSWER_OK,
    ANSWER_ERROR,   /* final */
    ANSWER_MOVED,   /* not executed; `text` is host:port of the leader */
    ANSWER_BUSY,    /* not executed; try again later */
    ANSWER_UNKNOWN, /* it is unknown whether it was executed */
    /* Of a request in a session; all final. */
    ANSWER_NO_SESSION,     /* this copy was not executed */
    ANSWER_SESSION_PASSED, /* this copy was not executed */
    ANSWER_SESSION_REPLY,  /* it was executed; its reply is lost */
};

struct answer {
    uint8_t kind;     /* enum answer_kind */
    bool closes;      /* the server closes the connection after it */
    const char *text; /* of an answer that is not ANSWER_OK, or is a number; points into the bytes read */
    size_t text_len;
};

/* Reads one answer. Returns its size; 0 while it is incomplete, -1 when the bytes are not the protocol's. */
ptrdiff_t answer_read(uint8_t protocol, const char *bytes, size_t len, struct answer *answer);

/* A growing list with memory that is used again; zero-initialized is empty. */
struct answer_list {
    struct answer *ptr;
    size_t len, capacity;
};
/* Reads all complete answers; they replace what the list has. Returns the size of them all; -1 when the bytes are not the
 * protocol's. The texts stay valid as long as the bytes, and until the next call. */
ptrdiff_t answers_read(uint8_t protocol, const char *bytes, size_t len, struct answer_list *answers);

#endif
