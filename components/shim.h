/* What all shims share: the layouts that let them cast instead of translate, and the memory in which lists cross.
 *
 * A shim stands between the bindings that wit-bindgen makes from wit/ and the C face of a part in core/. An export.c
 * implements the exports by calling the core header; an import.c implements the same core header by calling the imports.
 *
 * Layouts. The records of wit/ and the structs of core/ agree in size and in the place of every field, which SAME_LAYOUT
 * states and the compiler checks. What is shared by all parts is checked in components/types.h.
 *
 * Memory. All lists that come into a component are put where its cabi_realloc says (shim.c):
 * - Arguments of an export go to the arena of arguments. The core code only borrows them, so all of them are dropped
 *   together: shim_call_done() says that the call is over, and the first allocation of the next call starts anew. Not the
 *   beginning of the export, because its arguments are there already by then. Exports with lists in their results say it in
 *   their post-return function (SHIM_POST), because a result may point into an argument; the others when they return.
 * - Results of an import go to an arena of that part (shim_results_begin, shim_results_end). They stay valid until the
 *   next call that returns lists, as the core header promises.
 * - Results of an export are core's own memory. They are not freed on their way out.
 * So nothing here is ever freed piece by piece: the bindings are compiled with free() replaced by shim_free(),
 * which does nothing. */
#ifndef SYNOD_COMPONENTS_SHIM_H
#define SYNOD_COMPONENTS_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "world.h"

/* ---- Layouts ---- */

/* A macro cannot name itself, so the preprocessor must be asked to look again, once for each field. */
#define SHIM_EXPAND(...)  SHIM_EXPAND3(SHIM_EXPAND3(SHIM_EXPAND3(__VA_ARGS__)))
#define SHIM_EXPAND3(...) SHIM_EXPAND2(SHIM_EXPAND2(SHIM_EXPAND2(__VA_ARGS__)))
#define SHIM_EXPAND2(...) SHIM_EXPAND1(SHIM_EXPAND1(SHIM_EXPAND1(__VA_ARGS__)))
#define SHIM_EXPAND1(...) __VA_ARGS__
#define SHIM_PARENTHESES  ()

#define SHIM_SIZE(type, field) sizeof(((type *)0)->field)
#define SHIM_FIELD(ours, theirs, field)                                                                                     \
    _Static_assert(offsetof(ours, field) == offsetof(theirs, field), "place of " #field " in " #theirs);                    \
    _Static_assert(SHIM_SIZE(ours, field) == SHIM_SIZE(theirs, field), "size of " #field " in " #theirs);
#define SHIM_FIELDS(ours, theirs, field, ...)                                                                               \
    SHIM_FIELD(ours, theirs, field) __VA_OPT__(SHIM_AGAIN SHIM_PARENTHESES(ours, theirs, __VA_ARGS__))
#define SHIM_AGAIN() SHIM_FIELDS

/* Checks that two structs have the same size and alignment and each of the named fields at the same place. For up to about
 * 30 fields; more do not compile. */
#define SAME_LAYOUT(ours, theirs, ...)                                                                                      \
    _Static_assert(sizeof(ours) == sizeof(theirs) && _Alignof(ours) == _Alignof(theirs), "size of " #theirs);               \
    SHIM_EXPAND(SHIM_FIELDS(ours, theirs, __VA_ARGS__))                                                                     \
    _Static_assert(1, "")

/* The same for a list: pointer and length. */
#define SAME_LIST(ours, theirs) SAME_LAYOUT(ours, theirs, ptr, len)

/* ---- Memory ---- */

/* The running call of an export is over; its arguments may be dropped. */
void shim_call_done(void);

/* Drops what is in `results`. The lists that the next import returns go there, until shim_results_end. */
void shim_results_begin(struct arena *results);
void shim_results_end(void);

/* Replaces free() in the generated bindings: nothing there is freed piece by piece. */
void shim_free(void *unused);

/* The post-return function of an export whose result has lists: `part` as in C, `name` as in "acceptor@0.1.0#votes". The
 * weak one of the bindings would walk over the result; without the export name the component would have none. */
#define SHIM_POST(part_function, name)                                                                                      \
    __attribute__((__export_name__("cabi_post_synod:paxos/" name), no_instrument_function)) void                            \
        __wasm_export_exports_synod_paxos_##part_function##_post_return(uint8_t *result); /* it may call nothing */         \
    void __wasm_export_exports_synod_paxos_##part_function##_post_return(uint8_t *result)                                   \
    {                                                                                                                       \
        (void)result;                                                                                                       \
        shim_call_done();                                                                                                   \
    }                                                                                                                       \
    _Static_assert(1, "")

#endif
