/* Changes of the configuration (P11), as the leader proposes them: the first one (the cluster forms), what operators ask
 * for, and by itself the second step of an addition, when the newcomer has caught up. One at a time. A part of the proposer
 * agent.
 *
 *             an operator asks        has a slot            it is known what the slot holds
 *     NONE ------------------> WAITING --------> PROPOSED ---------------------------------> NONE
 *       |   formation, promotion                    ^
 *       +-------------------------------------------+
 *
 * When leadership is lost, the operator hears that it is not known what has become of it. */
#ifndef SYNOD_CORE_AGENTS_MEMBERSHIP_H
#define SYNOD_CORE_AGENTS_MEMBERSHIP_H

#include "core/agents/election.h"
#include "core/formats/operator_request.h"

enum change_state { CHANGE_NONE, CHANGE_WAITING, CHANGE_PROPOSED };

struct membership {
    const struct node_config *config;
    const struct configurations *configurations;
    const struct election *election;
    struct effects *effects;
    struct payload newest; /* the text of the newest configuration; empty: it is the first one */
    struct payload first;  /* the complete first one, when the host has given it */

    node_set told;                      /* nodes to which this step has told the newest one */
    uint64_t heard_at[NODE_ID_MAX + 1]; /* when a learner last told its progress; 0: not in this life */
    uint64_t room[NODE_ID_MAX + 1];     /* bytes of state that it has memory for, as it said then */

    uint8_t state; /* enum change_state */
    struct payload text;
    uint64_t slot;  /* CHANGE_PROPOSED */
    uint64_t token; /* of the operator who waits; 0: none */
    uint64_t until; /* the operator waits no longer */
};

/* Pointers passed in must outlive it. */
void membership_init(struct membership *m, const struct node_config *config, const struct configurations *configurations,
                     const struct election *election, struct effects *effects);
void membership_close(struct membership *m);

/* The host gives the complete first configuration (slot 0), or a newer one is known than before. */
void membership_known(struct membership *m, const struct configured *said);
/* Another node asks for a newer one than it knows. It hears that once in a step, because texts are long. */
void membership_tell_node(struct membership *m, uint32_t node, const struct message *question);
/* A learner tells its progress, and how large a state it has memory for. */
void membership_heard(struct membership *m, uint32_t learner, uint64_t room, uint64_t now);
/* An operator asks which configuration is the newest. */
void membership_tell(struct membership *m, uint64_t token);
/* An operator asks this leader for a change. */
void membership_ask(struct membership *m, const struct operator_request *request, uint64_t token, uint64_t now);
/* What this leader should propose now, if it has room; NULL: nothing. */
const struct payload *membership_next(struct membership *m, uint64_t now);
/* It was given this slot. */
void membership_proposed(struct membership *m, uint64_t slot);
/* Looks what has become of a change. All configurations in slots below `known` are known. */
void membership_watch(struct membership *m, uint64_t known, uint64_t now);

#endif
