/* Checks the types of `interface state-machine`. PREFIX is the bindings' name for the interface, exported or imported. */
#ifndef SYNOD_COMPONENTS_STATE_MACHINE_LAYOUT_H
#define SYNOD_COMPONENTS_STATE_MACHINE_LAYOUT_H

#include "components/shim.h"
#include "core/base/types.h"
#include "core/state/state_machine.h"

#define STATE_MACHINE_LAYOUT(PREFIX)                                                                                        \
    SAME_LIST(struct bytes, PREFIX##_bytes_t);                                                                              \
    SAME_LIST(struct bytes_list, PREFIX##_list_bytes_t);                                                                    \
    SAME_LAYOUT(struct command, PREFIX##_command_t, args);                                                                  \
    SAME_LIST(struct scalar_list, PREFIX##_list_scalar_t);                                                                  \
    SAME_LAYOUT(struct scalar, PREFIX##_scalar_t, tag, val.bytes, val.integer);                                             \
    SAME_LAYOUT(struct reply, PREFIX##_reply_t, tag, val.bytes, val.integer, val.array);                                    \
    SAME_LIST(struct reply_list, PREFIX##_list_reply_t);                                                                    \
    SAME_LAYOUT(struct reply_room, PREFIX##_reply_room_t, large, small);                                                    \
    SAME_LAYOUT(struct moment, PREFIX##_moment_t, elapsed, unix);                                                           \
    SAME_LAYOUT(struct applied, PREFIX##_applied_t, replies, work, keys, bytes, due, timed_keys, time_left, events);        \
    SAME_LIST(struct key_event_list, PREFIX##_list_key_event_t);                                                            \
    SAME_LAYOUT(struct key_event, PREFIX##_key_event_t, command, kind, name, key);                                          \
    SAME_LAYOUT(struct command_info, PREFIX##_command_info_t, name, arity, read_only, first_key, last_key, key_step);       \
    SAME_LIST(struct command_info_list, PREFIX##_list_command_info_t);                                                      \
    SAME_LAYOUT(struct payload, PREFIX##_chunk_t, words, words.ptr, words.len, len)

#define STATE_MACHINE_TAGS(PREFIX)                                                                                          \
    _Static_assert(REPLY_NIL == PREFIX##_REPLY_NIL && REPLY_STATUS == PREFIX##_REPLY_STATUS &&                              \
                       REPLY_INTEGER == PREFIX##_REPLY_INTEGER && REPLY_BYTES == PREFIX##_REPLY_BYTES &&                    \
                       REPLY_ERROR == PREFIX##_REPLY_ERROR && REPLY_ARRAY == PREFIX##_REPLY_ARRAY &&                        \
                       REPLY_RAW == PREFIX##_REPLY_RAW && REPLY_ERROR == PREFIX##_SCALAR_ERROR,                             \
                   "reply tags")

#endif
