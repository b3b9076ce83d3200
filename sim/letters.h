/* Answers of acceptors, kept to be delivered once more at the worst moment: when the proposer that they went to prepares, or
 * has just been elected. Then an answer to an older ballot could be taken for one to the present ballot. A part of
 * FAULT_REPLAY. */
#ifndef SYNOD_SIM_LETTERS_H
#define SYNOD_SIM_LETTERS_H

#include "core/formats/packet.h"
#include "sim/dice.h"

enum { LETTERS_KEPT = 32 }; /* the last ones, of each kind and receiver */

struct letter {
    uint32_t from;
    struct packet body; /* its words belong to the letter */
};

/* By receiver; zero-initialized is empty. */
struct letters {
    struct {
        struct letter promises[LETTERS_KEPT], votes[LETTERS_KEPT];
        uint64_t promise_count, vote_count;
    } of[NODE_ID_MAX + 1];
};

/* Keeps a copy for each of `to`. Ignores messages other than PROMISE and ACCEPTED. */
void letters_keep(struct letters *l, uint32_t from, node_set to, uint8_t message_kind, const struct packet *body);

/* Any letter that went to `to`; NULL: there is none. */
const struct letter *letters_pick(const struct letters *l, uint32_t to, struct dice *dice);

/* Forgets what a node has sent. */
void letters_forget(struct letters *l, uint32_t from);
void letters_close(struct letters *l);

#endif
