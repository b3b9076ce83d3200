/* Typed calls between the host and components, and WASI for them: what Wasmtime's C API cannot do fast, or at all
 * (host/wasmtime-typed/src/lib.rs says why).
 *
 * One shape fits nearly all functions at the host's seams: zero to three u64, then perhaps a list of packets, and a result.
 * A packet is the record of wit/io.wit and `struct packet` of core/formats/packet.h:
 *
 *     record packet { id: u64, kind: u32, len: u32, words: list<u64> }     // `len` bytes in (len + 7) / 8 words
 *
 * Nothing is copied that need not be. Packets from a guest are views of its memory; packets to a guest are copied once, from
 * the caller's memory into the guest's; results of guest functions are copied once, out of the guest's memory. The words of
 * a packet are aligned to 8, may be at NULL when there are none, and are never written to.
 *
 * Errors. A function that can fail returns a status, 0 when it did not, and then sets *message (unless `message` is NULL) to
 * a text that the caller frees with typed_message_free(). After a status other than TYPED_OK and TYPED_REFUSED from
 * typed_func_call(), the store is to be deleted: the guest's memory is in no known state.
 *
 * Threads. A callback runs on the thread that called into the guest, unless its comment says otherwise. */
#ifndef SYNOD_HOST_WASMTIME_TYPED_H
#define SYNOD_HOST_WASMTIME_TYPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wasmtime.h>
#include <wasmtime/component.h>

#include "core/formats/serializer.h"

enum typed_status {
    TYPED_OK = 0,
    TYPED_REFUSED,     /* the guest function returned an error; the message is the guest's */
    TYPED_INTERRUPTED, /* the epoch deadline passed, and was not moved */
    TYPED_OUT_OF_FUEL,
    TYPED_TRAP,  /* the guest did what it may not: a failed assertion, a wild pointer, a stack overflow */
    TYPED_HOST,  /* a callback failed */
    TYPED_ERROR, /* anything else: no such function, another type, a packet whose length is wrong */
};

enum typed_gives {
    TYPED_GIVES_NOTHING,
    TYPED_GIVES_U64,
    TYPED_GIVES_PACKETS,
    TYPED_GIVES_STATUS, /* result<_, string>; guest functions only */
    TYPED_GIVES_RESULT, /* result; guest functions only */
};

/* {1, false, TYPED_GIVES_U64} is func(a: u64) -> u64, and {0, true, TYPED_GIVES_NOTHING} is func(p: list<packet>). */
struct typed_shape {
    uint8_t scalars; /* 0 to 3 */
    bool packets;    /* a list of packets comes after them */
    uint8_t gives;   /* enum typed_gives */
};

/* One call: arguments, then results; what the shape lacks stays zero. */
struct typed_call {
    uint64_t scalars[3];
    struct packet_list packets;
    uint64_t result;
    struct packet_list result_packets;
    const char *error; /* a failing callback's reason */
};

/* ---- Functions of the host, which a guest calls ---- */

/* Serves a call. The arguments in `call`, and what they point at, are the guest's and valid until the callback returns. What
 * `result_packets` and their words point at is the callback's, and must stay as it is until the next call into the guest, or
 * out of it, on the same store: the guest gets its copy after the callback has returned. Returns 0 or more; a negative
 * number ends the guest's call with a trap whose message is `call->error` (the number when that is NULL), and
 * typed_func_call() with TYPED_HOST. `context` is good for wasmtime_context_set_epoch_deadline(): an import that takes long
 * moves the deadline. A callback must not call into the store again. */
typedef int32_t (*typed_callback)(void *env, wasmtime_context_t *context, struct typed_call *call);

/* Defines function `name` of the interface that `instance` is being linked for. `env` must outlive the linker and what was
 * instantiated with it. A guest that imports `name` with another type fails to instantiate. */
int32_t typed_define(wasmtime_component_linker_instance_t *instance, const char *name, struct typed_shape shape,
                     typed_callback callback, void *env, char **message);

/* Serves log: func(level: u32, text: string); `text` is UTF-8 without a terminator, valid until the callback returns. */
typedef void (*typed_log_callback)(void *env, uint32_t level, const char *text, size_t len);

/* As typed_define(), for the one function that takes a string. */
int32_t typed_define_log(wasmtime_component_linker_instance_t *instance, const char *name, typed_log_callback callback,
                         void *env, char **message);

/* Serves `encode` of interface serializer as serializer_encode() does, into call->result_packets; and `decode` as
 * serializer_decode(), of call->packets. Values of messages to encode are views of the guest's memory. What decode gives
 * must not point into the packets, which are so as well: the guest runs, and may change them, while its results are put
 * there. Otherwise as a typed_callback. */
typedef int32_t (*typed_encode_callback)(void *env, const struct outgoing *messages, size_t count, struct typed_call *call);
typedef int32_t (*typed_decode_callback)(void *env, struct typed_call *call, struct decoded *decoded);

/* Defines both functions of interface serializer. */
int32_t typed_define_serializer(wasmtime_component_linker_instance_t *instance, typed_encode_callback encode,
                                typed_decode_callback decode, void *env, char **message);

/* host/wasmtime-typed/src/message.rs asserts the same numbers of its own. */
_Static_assert(sizeof(struct entry) == 56 && sizeof(struct message) == 88, "layout of messages");
_Static_assert(sizeof(struct outgoing) == 104 && sizeof(struct delivery) == 96, "layout of messages");

/* ---- Functions of a guest, which the host calls ---- */

struct typed_func;

/* Looks up `function` of the exported `interface` (with its version: "synod:paxos/runner@0.1.0"). NULL when there is none of
 * that type, with a message. Belongs to the store of `context`, but is the caller's to free, before or after the store. */
struct typed_func *typed_func_new(wasmtime_context_t *context, const wasmtime_component_instance_t *instance,
                                  const char *interface, const char *function, struct typed_shape shape, char **message);

/* Calls it with the arguments in `call`, which it only borrows, and sets the results there; packets of a result are the
 * function's and valid until its next call or its end. The epoch deadline is set by the caller. Returns a status. */
int32_t typed_func_call(struct typed_func *func, wasmtime_context_t *context, struct typed_call *call, char **message);

void typed_func_free(struct typed_func *func);

/* ---- Deadlines ---- */

/* Asked when a guest computes and its store's epoch deadline has passed. Returns the number of epochs until it is asked
 * again; 0 ends the guest's call with TYPED_INTERRUPTED. Without such a callback every passed deadline does. */
typedef uint64_t (*typed_deadline_callback)(void *env);

void typed_on_deadline(wasmtime_store_t *store, typed_deadline_callback callback, void *env);

/* ---- WASI 0.2 ---- */

enum typed_socket_wish {
    TYPED_TCP_BIND, /* to any address and port, too: before a connection is made, the system may do that by itself */
    TYPED_TCP_LISTEN,
    TYPED_TCP_ACCEPT, /* a connection from this address */
    TYPED_TCP_CONNECT,
    TYPED_UDP_BIND,
    TYPED_UDP_SEND,
    TYPED_UDP_RECEIVE, /* a datagram from this address */
};

/* What a guest wants to do with a socket. */
struct typed_socket {
    uint8_t wish;   /* enum typed_socket_wish */
    uint8_t family; /* 4 or 6 */
    uint16_t port;
    uint8_t address[16]; /* the first 4 of them for IPv4 */
};

/* Whether it may. Asked on the guest's thread. Where names may be looked up, that is with may_wait false, and when the
 * answer was no, it is asked once more with may_wait true on another thread, and that answer counts. Where not, may_wait is
 * true at once, because there is nothing to wait for. Calls may overlap. */
typedef bool (*typed_socket_check)(void *env, const struct typed_socket *socket, bool may_wait);

/* The world of a guest: no arguments, no environment, closed standard streams, clocks, random numbers, and this. */
struct typed_wasi {
    const char *folder; /* what it knows as "."; NULL: no files */
    bool tcp, udp;      /* as far as `check` allows */
    bool names;         /* host names may be looked up */
    typed_socket_check check;
    void (*release)(void *env); /* called once, when `check` will not be called any more, however this ends; any thread */
    void *env;
};

/* Gives WASI to a store. It takes wasmtime_component_linker_add_wasip2() as well. */
int32_t typed_wasi_set(wasmtime_context_t *context, const struct typed_wasi *wasi, char **message);

/* Defines a function that gives a new wasi:io/poll pollable, ready while `fd` is readable. The descriptor stays the
 * caller's, and may be closed once the linker and its stores are gone. For stores with WASI only. */
int32_t typed_define_pollable(wasmtime_component_linker_instance_t *instance, const char *name, int fd, char **message);

/* ---- The rest ---- */

/* Frees a message of the functions above; NULL is none. */
void typed_message_free(char *message);

#endif
