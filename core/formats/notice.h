/* Messages that clients publish, and what a learner tells the client port of its own node (P26, docs/decisions/0053).
 *
 *   PUBLISH channel message       to those that are subscribed to the channel, at any node
 *   SPUBLISH channel message      the same for channels of shards; a cluster is one shard
 *
 * Their reply is the integer 0: what executes them does not know who is subscribed.
 *
 * A notice says what came of an executed slot, or that this cannot be told. Notices are packed in the order of the log, as
 * the commands of a batch (core/formats/batch.h) whose header says nothing beyond their count: the kind, one byte, then what
 * it is about. What came of a command that this very port has given to this life of its node is preceded by a notice that
 * says which one it was, once for all that came of it; and so is what comes after, if it came of none. */
#ifndef SYNOD_CORE_FORMATS_NOTICE_H
#define SYNOD_CORE_FORMATS_NOTICE_H

#include "core/formats/batch.h"
#include "core/formats/command_name.h"

/* ---- What is published ---- */

enum { CHANNEL_NAME_MAX = 4096 };

enum publication_kind { PUBLICATION_NONE, PUBLICATION, PUBLICATION_OF_SHARD, PUBLICATION_MALFORMED };

struct publication {
    uint8_t kind; /* enum publication_kind */
    struct bytes channel, message;
    const char *error; /* PUBLICATION_MALFORMED: the reply, a constant text */
};

/* Whether a command is one that publishes. */
static inline bool publication_is(const struct bytes_list *args)
{
    return args->len > 0 && (command_name_is(&args->ptr[0], "publish") || command_name_is(&args->ptr[0], "spublish"));
}
/* What a command publishes. PUBLICATION_NONE: it is no such command. */
struct publication publication_read(const struct bytes_list *args);
/* Their commands, for those who describe what a node executes. Constant. */
enum { PUBLICATION_COMMANDS = 2 };
struct command_info_list publication_describe(void);

/* ---- What is told ---- */

/* What a port wants to be told: bits. */
enum { WATCH_MESSAGES = 1, WATCH_KEYS = 2, WATCH_EVENTS = 4 };

enum notice_kind {
    NOTICE_MESSAGE = 'm',       /* published: channel, message */
    NOTICE_SHARD_MESSAGE = 's', /* the same, of a shard */
    NOTICE_CHANGED = 'k',       /* a key may have changed: the key */
    NOTICE_ENDED = 'z',         /* the same, because it has ended by time */
    NOTICE_ALL_CHANGED = 'a',   /* any key may have changed: nothing more */
    NOTICE_EVENT = 'e',         /* something has happened to a key: the key, the event's class and name */
    NOTICE_MISSED = 'x',        /* slots were left out here, because a snapshot took their place: nothing more */
    NOTICE_CAUSE = 'c',         /* what follows came of this command of the port's own: 8 bytes */
};

/* A command that the port itself has given to the node: the number of its batch, and its place in that. Number 0: none. */
struct notice_cause {
    uint32_t number, index;
};

struct notice {
    uint8_t kind;                  /* enum notice_kind */
    struct bytes channel, message; /* of a key: the first one is the key */
    uint8_t class;                 /* NOTICE_EVENT: of core/formats/command.h; `message` is its name */
    struct notice_cause cause;     /* NOTICE_CAUSE */
};

/* Notices that are gathered; zero-initialized is empty. */
struct notices {
    struct batch_builder packed;
    struct notice_cause cause, told; /* of what is added now, and as it was told last */
};

/* Begins anew: with no cause. */
void notices_begin(struct notices *all);
/* What is added from now on came of this. */
void notices_cause(struct notices *all, struct notice_cause cause);
/* Adds one that is no NOTICE_CAUSE. Returns the bytes that this took. */
size_t notices_add(struct notices *all, const struct notice *n);
void notices_free(struct notices *all);
/* One of the commands of a batch as a notice, whose bytes point where those do. False: it is none. */
bool notice_read(const struct command *c, struct notice *n);

#endif
