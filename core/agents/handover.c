/* How leadership moves without a failed request:
 *
 *  1. The leader takes no new batches, so clients of its node wait in the client port. It tells all proposers (HANDOVER).
 *     They forward nothing more, say so (flag YES), and do not give the leader up when it follows another. What was
 *     forwarded before is there when their answer is. A successor that cannot lead says that, too (flag RESIGNED).
 *  2. It proposes what it has taken, until nothing waits, every slot is chosen, and the successor keeps up.
 *  3. It tells the successor to take over (HANDOVER with `from`), and proposes nothing more. It still says that it leads.
 *  4. The successor prepares at once, without asking first (P15): the leader itself wants it. It finds nothing that is not
 *     chosen. When it leads, the old leader and the others follow it, and clients are sent on.
 *
 * Each wait is bounded by suspect_timeout. After that the leader goes on: it says so by a HANDOVER that names itself. If an
 * acceptor has promised the successor's ballot meanwhile, it resigns instead. Safety rests on none of this: the successor
 * takes over by phase 1, as every leader does, and finds what is not chosen, if there is any. */
#include "core/agents/handover.h"

#include "core/agents/answers.h"
#include "core/formats/decimal.h"
#include "core/paxos/leader_detector.h"

enum { SAID_AGAIN = 4 }; /* a message that may be lost is repeated after this share of retry_interval */

void handover_init(struct handover *h, const struct node_config *config, struct election *election, struct effects *effects)
{
    *h = (struct handover){.config = config, .election = election, .effects = effects};
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void answer(struct handover *h, uint64_t token, uint8_t tag, const char *text, size_t len)
{
    if (token != 0) /* otherwise no operator waits */
        answer_operator(h->effects, h->election->leader, token, tag, text, len);
}

/* "node N" between two texts. */
static void say(struct handover *h, uint64_t token, uint8_t tag, const char *before, uint32_t node, const char *after)
{
    char text[160];
    answer(h, token, tag, text, decimal_between(text, sizeof text, before, node, after));
}

/* --- how it goes -------------------------------------------------------------------------------------------------- */

static void tell(struct handover *h, uint32_t to, uint64_t next, uint64_t now)
{
    const struct message m = {.kind = MESSAGE_HANDOVER, .ballot = h->election->ballot, .from = next, .to = to};
    const node_set others = configurations_proposers(h->election->configurations) & ~node_set_of(h->config->node);
    effects_send(h->effects, others, &m);
    h->said_at = now;
}

/* Whether the successor, if it is a learner, has executed about as much as any. */
static bool keeps_up(const struct handover *h, uint32_t node)
{
    const struct progress *p = h->election->progress;
    const uint32_t alpha = configurations_alpha(h->election->configurations);
    return !node_set_has(p->all, node) || p->executed[node] + alpha >= progress_executed_anywhere(p);
}

/* Why leadership cannot be moved to a node: what is said before and after its number. NULL: it can. */
static const char *obstacle(const struct handover *h, uint32_t node, uint64_t now, const char **after)
{
    const node_set newest = h->election->configurations->newest.proposers;
    const node_set all = (election_fit(h->election, now) | node_set_of(h->config->node) | node_set_of(node)) & newest;
    *after = "";
    if (!node_set_has(h->election->acting.proposers & newest, node)) {
        *after = " is no proposer of this cluster";
    } else if (!node_set_has(election_heard(h->election, now), node)) {
        *after = " does not answer";
    } else if (leader_detector_elect(h->config, all, node) != node) {
        return "ERR the rule of this cluster (leader_rule) would take leadership back from node ";
    } else if (!keeps_up(h, node)) {
        *after = " has not executed enough yet";
    } else {
        return NULL;
    }
    return "ERR node ";
}

void handover_ask(struct handover *h, uint32_t node, uint64_t token, uint64_t now)
{
    const char *after, *before = obstacle(h, node, now, &after);
    if (node == h->config->node) {
        say(h, token, REPLY_STATUS, "node ", node, " leads already");
    } else if (h->state != HANDOVER_NONE) {
        say(h, token, REPLY_ERROR, "ERR leadership is being moved to node ", h->to, "");
    } else if (before != NULL) {
        say(h, token, REPLY_ERROR, before, node, after);
    } else {
        h->state = HANDOVER_DRAINING;
        h->to = node;
        h->token = token;
        h->since = now;
        h->until = now + h->config->suspect_timeout;
        h->stopped = 0;
        h->declined = false;
        tell(h, node, 0, now);
    }
}

void handover_message(struct handover *h, uint32_t sender, const struct message *m)
{
    const bool answers = (m->flags & MESSAGE_YES) != 0 && ballot_compare(m->ballot, h->election->ballot) == 0;
    if (h->state == HANDOVER_NONE || !answers)
        return;
    h->stopped |= node_set_of(sender);
    h->declined = h->declined || (sender == h->to && (m->flags & MESSAGE_RESIGNED) != 0);
}

/* Whether nothing is forwarded any more. An answer that is lost is not waited for, but that of the successor is. */
static bool all_stopped(const struct handover *h, uint64_t now)
{
    if (!node_set_has(h->stopped, h->to))
        return false;
    return (election_heard(h->election, now) & ~h->stopped) == 0 || now - h->since >= h->config->retry_interval;
}

/* This node does not lead any more: for the reason that was wanted, or for another. */
static void led_no_more(struct handover *h)
{
    const uint32_t leader = h->election->leader;
    if (leader == h->to)
        say(h, h->token, REPLY_STATUS, "node ", leader, " leads");
    else if (leader != 0)
        say(h, h->token, REPLY_ERROR, "ERR another node has come to lead meanwhile: node ", leader, "");
    else
        say(h, h->token, REPLY_ERROR, "ERR leadership was lost before node ", h->to,
            " had taken over; a leader is being elected");
    h->state = HANDOVER_NONE;
}

/* The newest configuration has removed the successor. */
static bool is_removed(const struct handover *h)
{
    return !node_set_has(h->election->configurations->newest.proposers, h->to);
}

static void give_up(struct handover *h, bool drained, uint64_t now)
{
    tell(h, h->config->node, 0, now);
    if (is_removed(h))
        say(h, h->token, REPLY_ERROR, "ERR node ", h->to, " is no proposer any more; nothing has changed");
    else if (h->declined)
        say(h, h->token, REPLY_ERROR, "ERR node ", h->to, " cannot lead now: its disk stalls, or it is about to stop");
    else if (!node_set_has(h->stopped, h->to))
        say(h, h->token, REPLY_ERROR, "ERR node ", h->to, " does not answer; nothing has changed");
    else if (h->state == HANDOVER_WAITING)
        say(h, h->token, REPLY_ERROR, "ERR node ", h->to, " did not take over in time; nothing has changed");
    else if (drained)
        say(h, h->token, REPLY_ERROR, "ERR node ", h->to, " fell behind; nothing has changed");
    else
        say(h, h->token, REPLY_ERROR, "ERR requests under way did not end in time to move to node ", h->to,
            "; nothing has changed");
    h->state = HANDOVER_NONE;
}

void handover_watch(struct handover *h, bool drained, uint64_t next, uint64_t now)
{
    if (h->state == HANDOVER_NONE)
        return;
    if (!election_is_led_here(h->election)) {
        led_no_more(h);
        return;
    }
    if (h->election->crossing)
        return; /* for a moment */
    if (now >= h->until || ((h->declined || is_removed(h)) && h->state == HANDOVER_DRAINING)) {
        give_up(h, drained, now);
        return;
    }
    bool ready = h->state == HANDOVER_DRAINING && drained;
    if (ready && all_stopped(h, now) && keeps_up(h, h->to)) {
        h->state = HANDOVER_WAITING;
        h->until = now + h->config->suspect_timeout;
        h->next = next;
        election_hand_over(h->election, h->to, h->until);
        tell(h, h->to, next, now);
    } else if (now - h->said_at >= h->config->retry_interval / SAID_AGAIN) {
        tell(h, h->to, h->state == HANDOVER_WAITING && !is_removed(h) ? h->next : 0, now);
    }
}

uint64_t handover_wake_at(const struct handover *h)
{
    const uint64_t again = h->said_at + h->config->retry_interval / SAID_AGAIN;
    if (h->state == HANDOVER_NONE)
        return UINT64_MAX;
    return again < h->until ? again : h->until;
}
