/* TimeAgreed (P22): all learners have the same moment before a slot. It never goes back. A leader's stamp is never later
 * than what has really passed since a node led for the first time, but for what clocks ran ahead. And a leader's stamps
 * keep up: with the world's time while it leads, and soon with what the log says. */
#include "sim/checks_internal.h"

enum {
    SLACK_US = 1000000,      /* between a stamp and the message that says it */
    CAUGHT_UP_US = 10000000, /* after so long a leader has heard what the log had reached when it began */
    MILLION = 1000000,
};

void checks_clock(struct checks *c, uint32_t node, uint64_t now, uint64_t leapt)
{
    struct checked_node *n = &c->nodes[node];
    if (now > n->turn + SLACK_US) {
        n->pause_from = n->turn;
        n->pause_to = now;
    }
    n->turn = now;
    c->now = now;
    c->leapt = leapt;
}

static uint64_t drifted(const struct checks *c, uint64_t us) { return us / MILLION * c->options.drift_max + MILLION / 10; }

/* The agreed time of the log so far. */
static uint64_t reached(const struct checks *c)
{
    return c->prefix < c->slot_count ? c->slots[c->prefix].moment.elapsed : 0;
}

static void check_keeps_up(struct checks *c, uint32_t node, uint64_t slot, const struct proposal *p)
{
    struct checked_node *n = &c->nodes[node];
    const uint64_t elapsed = p->stamp.elapsed;
    if (n->stamps_rank != p->rank) {
        n->stamps_rank = p->rank;
        n->stamps_since = c->now;
        n->stamps_first = elapsed;
        n->stamps_log = reached(c);
        return;
    }
    /* What it sends just after a pause may have been stamped before it. */
    const uint64_t stamped = c->now < n->pause_to + SLACK_US ? n->pause_from : c->now;
    const uint64_t leads = stamped > n->stamps_since ? stamped - n->stamps_since : 0;
    if ((elapsed + SLACK_US / 1000) * 1000 + drifted(c, leads) < n->stamps_first * 1000 + leads)
        checks_fail(c, CHECK_TIME_AGREED,
                    "node %u leads for %" PRIu64 " ms, and its stamp in slot %" PRIu64 " is %" PRIu64
                    " ms; the first one was %" PRIu64 " ms",
                    node, leads / 1000, slot, elapsed, n->stamps_first);
    else if (leads > CAUGHT_UP_US && elapsed < n->stamps_log)
        checks_fail(c, CHECK_TIME_AGREED,
                    "node %u leads for %" PRIu64 " ms, and its stamp in slot %" PRIu64 " is %" PRIu64
                    " ms; the log had reached %" PRIu64 " ms when it began",
                    node, leads / 1000, slot, elapsed, n->stamps_log);
}

void checks_stamped(struct checks *c, uint64_t slot, const struct proposal *p)
{
    const uint32_t node = rank_node(p->rank);
    const uint64_t passed = c->formed_at != 0 && c->now > c->formed_at ? c->now - c->formed_at : 0;
    if (p->rank == RANK_NONE_SUCH || !p->has_stamp)
        return;
    if (p->stamp.elapsed > (passed + drifted(c, passed) + c->leapt) / 1000)
        checks_fail(c, CHECK_TIME_AGREED,
                    "node %u stamps slot %" PRIu64 " with %" PRIu64 " ms; %" PRIu64 " ms have passed since a node led first",
                    node, slot, p->stamp.elapsed, passed / 1000);
    else
        check_keeps_up(c, node, slot, p);
}

void checks_moment(struct checks *c, uint32_t node, uint64_t slot, struct moment moment)
{
    if (slot == 0 || slot > c->prefix || slot >= c->slot_count || c->reference == NULL)
        return; /* another check judges that; or nothing is chosen yet */
    const struct moment is = c->slots[slot].moment;
    if (moment.elapsed != is.elapsed || moment.unix != is.unix)
        checks_fail(c, CHECK_TIME_AGREED,
                    "node %u has reached %" PRIu64 " ms (%" PRIu64 ") before slot %" PRIu64 "; by the log it is %" PRIu64
                    " ms (%" PRIu64 ")",
                    node, moment.elapsed, moment.unix, slot, is.elapsed, is.unix);
}
