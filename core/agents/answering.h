/* The commands of a batch, which the state machine answers piece by piece: a step does a bounded amount of work. A part of
 * execution, and of queries. */
#ifndef SYNOD_CORE_AGENTS_ANSWERING_H
#define SYNOD_CORE_AGENTS_ANSWERING_H

#include "core/formats/batch.h"
#include "core/state/state_machine.h"

struct answering {
    struct batch_commands commands;
    size_t done;
    struct batch_builder replies; /* of those that are done */
    struct reply_room room;       /* for those of the rest */
};

/* state_machine_apply or state_machine_query. */
typedef struct applied answering_call(struct state_machine *m, struct moment now, const struct command *commands,
                                      size_t count, struct reply_room room);

/* Begins with the first of the commands that were read into it. All replies have `replies_bytes` bytes at most. (Those in a
 * transaction count each.) */
void answering_begin(struct answering *a, uint64_t replies_bytes);
void answering_close(struct answering *a);
static inline bool answering_is_done(const struct answering *a) { return a->done == a->commands.count; }
/* Takes the room for a reply of so many bytes, packed. False: there is not so much. */
bool answering_take_room(struct answering *a, uint64_t size);
/* Packs the reply to the next command. If it goes beyond its room, another one says so. `done` is the caller's to raise. */
void answering_add(struct answering *a, const struct reply *r);
/* The same for the reply to a command of a transaction, which is an element of an array. */
void answering_add_element(struct answering *a, const struct reply *r);
/* How many of `count` commands the state machine gets in one call: one at least, unless there is none. */
size_t answering_share(const struct command *commands, size_t count, const struct limits *limits);
/* The same for those that are left. */
size_t answering_next(const struct answering *a, const struct limits *limits);
/* Has the state machine answer some more commands, at this moment; returns the work that this was. 0: it does none now.
 * Precondition: some are left. */
uint64_t answering_go_on(struct answering *a, struct state_machine *machine, struct moment now, const struct limits *limits,
                         answering_call *call);

#endif
