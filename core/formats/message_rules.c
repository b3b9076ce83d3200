#include "core/formats/message_rules.h"

#include "core/formats/batch.h"

enum role { PROPOSER = DUTY_PROPOSES, ACCEPTOR = DUTY_ACCEPTS, LEARNER = DUTY_LEARNS };

/* Which node the ballot of a message must belong to. */
enum ballot_owner {
    BALLOT_ANY_OR_NONE,      /* any, or no ballot */
    BALLOT_ANY,              /* any, but a ballot */
    BALLOT_OF_SENDER,        /* the sender's */
    BALLOT_OF_LEADING_SENDER /* the sender's if the message says that it leads, otherwise any */
};

struct rule {
    uint8_t senders; /* bits of enum role */
    uint8_t ballot;  /* enum ballot_owner */
    uint8_t flags;   /* the flags that it may have */
    bool entries;    /* may have entries */
    bool own_batch;  /* the batch is one of the sender's */
};

static const struct rule rules[MESSAGE_KINDS] = {
    [MESSAGE_PREPARE] = {PROPOSER, BALLOT_OF_SENDER, 0, false, false},
    [MESSAGE_PROMISE] = {ACCEPTOR, BALLOT_ANY, MESSAGE_LAST, true, false},
    [MESSAGE_ACCEPT] = {PROPOSER, BALLOT_OF_SENDER, 0, true, false},
    [MESSAGE_ACCEPTED] = {ACCEPTOR, BALLOT_ANY, 0, false, false},
    [MESSAGE_NACK] = {ACCEPTOR, BALLOT_ANY_OR_NONE, 0, false, false},
    [MESSAGE_HEARTBEAT] = {PROPOSER, BALLOT_OF_LEADING_SENDER, MESSAGE_LEADING | MESSAGE_RESIGNED, false, false},
    [MESSAGE_ALIVE] = {ACCEPTOR, BALLOT_ANY_OR_NONE, 0, false, false},
    [MESSAGE_ASK] = {PROPOSER, BALLOT_ANY_OR_NONE, MESSAGE_YES, false, false},
    [MESSAGE_LOST] = {ACCEPTOR, BALLOT_ANY_OR_NONE, MESSAGE_YES, false, false},
    [MESSAGE_CHOSEN] = {PROPOSER, BALLOT_OF_SENDER, 0, false, false},
    [MESSAGE_LEARN_REQUEST] = {LEARNER, BALLOT_ANY_OR_NONE, 0, false, false},
    [MESSAGE_LEARN] = {ACCEPTOR | LEARNER, BALLOT_ANY_OR_NONE, MESSAGE_IS_CHOSEN | MESSAGE_LAST, true, false},
    [MESSAGE_RESULT_REQUEST] = {PROPOSER, BALLOT_ANY_OR_NONE, 0, false, true},
    [MESSAGE_EXECUTED] = {LEARNER, BALLOT_ANY_OR_NONE, MESSAGE_ANOTHER | MESSAGE_FORGOTTEN, true, false},
    [MESSAGE_PROGRESS] = {LEARNER, BALLOT_ANY_OR_NONE, 0, true, false},
    [MESSAGE_FORWARD] = {PROPOSER, BALLOT_ANY_OR_NONE, 0, true, true},
    [MESSAGE_HANDOVER] = {PROPOSER, BALLOT_ANY, MESSAGE_YES | MESSAGE_RESIGNED, false, false},
    [MESSAGE_SNAPSHOT] = {LEARNER, BALLOT_ANY_OR_NONE, MESSAGE_FORGOTTEN, false, false},
    [MESSAGE_SNAPSHOT_FETCH] = {LEARNER, BALLOT_ANY_OR_NONE, 0, false, false},
    [MESSAGE_SNAPSHOT_PART] = {LEARNER, BALLOT_ANY_OR_NONE, 0, true, false},
    [MESSAGE_CONFIGURATION] = {PROPOSER | ACCEPTOR | LEARNER, BALLOT_ANY_OR_NONE, 0, true, false},
    [MESSAGE_READ_ROUND] = {PROPOSER, BALLOT_OF_SENDER, 0, false, false},
    [MESSAGE_READ_CONFIRMED] = {ACCEPTOR, BALLOT_ANY, 0, false, false},
    [MESSAGE_QUERY] = {PROPOSER, BALLOT_ANY_OR_NONE, 0, true, true},
    [MESSAGE_QUERY_ANSWER] = {LEARNER, BALLOT_ANY_OR_NONE, 0, true, false},
    [MESSAGE_READ_INDEX] = {PROPOSER | LEARNER, BALLOT_ANY_OR_NONE, MESSAGE_YES, false, false},
};

static uint8_t roles_of(const struct node_config *config, uint32_t node)
{
    return (uint8_t)((node_set_has(config->proposers, node) ? PROPOSER : 0) |
                     (node_set_has(config->acceptors, node) ? ACCEPTOR : 0) |
                     (node_set_has(config->learners, node) ? LEARNER : 0));
}

/* What is heard of others may be a ballot of a node that is no member any more. */
static bool ballot_fits(uint32_t sender, const struct message *m, uint8_t owner)
{
    if (owner == BALLOT_OF_LEADING_SENDER)
        owner = m->flags & MESSAGE_LEADING ? BALLOT_OF_SENDER : BALLOT_ANY_OR_NONE;
    if (m->ballot.round == 0)
        return owner == BALLOT_ANY_OR_NONE;
    if (m->ballot.round >= SLOT_MAX || m->ballot.node == 0 || m->ballot.node > NODE_ID_MAX)
        return false;
    return owner != BALLOT_OF_SENDER || m->ballot.node == sender;
}

/* No leader stamps what an earlier one has proposed already (P25). */
static bool stamp_fits(const struct entry *e)
{
    struct stamp stamp;
    return !stamp_read(e, &stamp) || ballot_compare(stamp.ballot, e->ballot) <= 0;
}

static bool entries_fit(const struct message *m)
{
    const bool votes = m->kind == MESSAGE_ACCEPT || m->kind == MESSAGE_PROMISE;
    bool fit = true;
    for (size_t i = 0; i < m->entries.len; i++) {
        const struct entry *e = &m->entries.ptr[i];
        fit = fit && e->slot < SLOT_MAX && e->ballot.round < SLOT_MAX;
        if (m->kind == MESSAGE_ACCEPT)
            fit = fit && ballot_compare(e->ballot, m->ballot) == 0;
        fit = fit && (!votes || stamp_fits(e));
    }
    return fit;
}

bool message_fits(const struct node_config *config, uint32_t sender, const struct message *m)
{
    if (m->kind >= MESSAGE_KINDS)
        return false;
    const struct rule *rule = &rules[m->kind];
    uint8_t senders = rule->senders;
    if (m->kind == MESSAGE_LEARN && (m->flags & MESSAGE_IS_CHOSEN) != 0)
        senders = LEARNER; /* an acceptor knows votes only, not what is chosen */
    if ((roles_of(config, sender) & senders) == 0 || (m->flags & ~rule->flags) != 0)
        return false;
    if ((m->entries.len > 0 && !rule->entries) || (rule->own_batch && m->batch.origin != sender))
        return false;
    bool slots_fit = m->from < SLOT_MAX && m->to < SLOT_MAX && m->floor < SLOT_MAX && m->chosen < SLOT_MAX;
    return slots_fit && ballot_fits(sender, m, rule->ballot) && entries_fit(m);
}
