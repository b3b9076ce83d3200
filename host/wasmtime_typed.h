/* Typed calls between the host and components: what Wasmtime's C API cannot do fast (host/wasmtime-typed/src/lib.rs says why).
 *
 * One shape fits all functions at the host's seams: zero to two u64, then perhaps a list of packets, and a result.
 *
 *     record packet { id: u64, kind: u32, len: u32, words: list<u64> }     // `len` bytes in (len + 7) / 8 words
 *
 * Nothing is copied that need not be. Packets from a guest are views of its memory; packets to a guest are copied once, from
 * the caller's memory into the guest's; results of guest functions are copied once, out of the guest's memory.
 *
 * Errors. A function that can fail returns a status, 0 when it did not, and then sets *message (unless `message` is NULL) to a
 * text that the caller frees with typed_message_free(). After a status other than TYPED_OK and TYPED_REFUSED from
 * typed_func_call(), the store is to be deleted: the guest's memory is in no known state.
 *
 * Threads. A callback runs on the thread that called into the guest. */
#ifndef SYNOD_HOST_WASMTIME_TYPED_H
#define SYNOD_HOST_WASMTIME_TYPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wasmtime.h>
#include <wasmtime/component.h>

enum typed_status {
    TYPED_OK = 0,
    TYPED_REFUSED,     /* the guest function returned an error; the message is the guest's */
    TYPED_INTERRUPTED, /* the epoch deadline passed */
    TYPED_OUT_OF_FUEL,
    TYPED_TRAP,  /* the guest did what it may not: a failed assertion, a wild pointer, a stack overflow */
    TYPED_HOST,  /* a callback failed */
    TYPED_ERROR, /* anything else: no such function, another type, a packet whose length is wrong */
};

/* `words` is aligned to 8 and may be NULL when `len` is 0. Bytes beyond `len` are the sender's business. */
struct typed_packet {
    uint64_t id;
    uint32_t kind;
    uint32_t len;
    const uint64_t *words;
};

enum typed_gives {
    TYPED_GIVES_NOTHING,
    TYPED_GIVES_U64,
    TYPED_GIVES_PACKETS,
    TYPED_GIVES_STATUS, /* result<_, string>; guest functions only */
};

/* For instance {1, false, TYPED_GIVES_U64} is func(a: u64) -> u64, and {0, true, TYPED_GIVES_NOTHING} is func(p: list<packet>). */
struct typed_shape {
    uint8_t scalars; /* 0 to 2 */
    bool packets;    /* a list of packets comes after them */
    uint8_t gives;   /* enum typed_gives */
};

/* One call: arguments, then results; what the shape lacks stays zero. */
struct typed_call {
    uint64_t scalars[2];
    const struct typed_packet *packets;
    size_t packets_count;
    uint64_t result;
    const struct typed_packet *result_packets;
    size_t result_packets_count;
    const char *error; /* a failing callback's reason */
};

/* ---- Functions of the host, which a guest calls ---- */

/* Serves a call. The arguments in `call`, and what they point at, are the guest's and valid until the callback returns.
 * What `result_packets` and their words point at is the callback's, and must stay as it is until the next call into the guest,
 * or out of it, on the same store: the guest gets its copy after the callback has returned.
 * Returns 0 or more; a negative number ends the guest's call with a trap whose message is `call->error` (the number when that
 * is NULL), and typed_func_call() with TYPED_HOST. `context` is good for wasmtime_context_set_epoch_deadline(): an import that
 * takes long re-arms the deadline. A callback must not call into the store again. */
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

/* ---- Functions of a guest, which the host calls ---- */

struct typed_func;

/* Looks up `function` of the exported `interface` (with its version: "synod:paxos/runner@0.1.0"). NULL when there is none of
 * that type, with a message. Belongs to the store of `context`, but must be freed by the caller, before or after the store. */
struct typed_func *typed_func_new(wasmtime_context_t *context, const wasmtime_component_instance_t *instance,
                                  const char *interface, const char *function, struct typed_shape shape, char **message);

/* Calls it with the arguments in `call`, which it only borrows, and sets the results there; packets of a result are the
 * function's and valid until its next call or its end. The epoch deadline is the caller's to set before. Returns a status. */
int32_t typed_func_call(struct typed_func *func, wasmtime_context_t *context, struct typed_call *call, char **message);

void typed_func_free(struct typed_func *func);

/* ---- The rest ---- */

/* Allows guests TCP and UDP. With wasi_config_inherit_network() alone both stay off in Wasmtime 48. */
void typed_wasi_allow_sockets(wasi_config_t *config, bool tcp, bool udp);

/* Frees a message of the functions above; NULL is none. */
void typed_message_free(char *message);

#endif
