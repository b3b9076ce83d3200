/* Messages that clients publish, and what a learner tells the client port of its own node (P26, docs/decisions/0053).
 *
 *   PUBLISH channel message       to those that are subscribed to the channel, at any node
 *   SPUBLISH channel message      the same for channels of shards; a cluster is one shard
 *
 * Their reply is the integer 0: what executes them does not know who is subscribed.
 *
 * A notice says what came of an executed slot, or that this cannot be told. Notices are packed in the order of the log, as
 * the commands of a batch (core/formats/batch.h) whose header says nothing beyond their count: the kind, one byte, then what
 * it is about. */
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
enum { WATCH_MESSAGES = 1, WATCH_KEYS = 2 };

enum notice_kind {
    NOTICE_MESSAGE = 'm',       /* published: channel, message */
    NOTICE_SHARD_MESSAGE = 's', /* the same, of a shard */
    NOTICE_CHANGED = 'k',       /* a key may have changed: the key */
    NOTICE_ALL_CHANGED = 'a',   /* any key may have changed: nothing more */
    NOTICE_MISSED = 'x',        /* slots were left out here, because a snapshot took their place: nothing more */
};

struct notice {
    uint8_t kind;                  /* enum notice_kind */
    struct bytes channel, message; /* NOTICE_CHANGED: the first one is the key */
};

void notice_add(struct batch_builder *b, const struct notice *n);
/* One of the commands of a batch as a notice, whose bytes point where those do. False: it is none. */
bool notice_read(const struct command *c, struct notice *n);

#endif
