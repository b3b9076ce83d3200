/* TimeAgreed (P22): all learners have the same moment before a slot. It never goes back. A leader's stamp is never later
 * than what has really passed since a node led for the first time, but for what clocks ran ahead. And a leader's stamps
 * keep up: with the world's time while it leads, and soon with what the log says. Between any two slots the log lets no more
 * time pass than really did since the first one was stamped: nothing ends too early (P25). */
#include "sim/checks_internal.h"

enum {
    SLACK_US = 1000000,      /* between a stamp and the message that says it */
    SOON_US = 50000,         /* the same, but for pauses, while messages are short */
    CAUGHT_UP_US = 10000000, /* after so long a leader has heard what the log had reached when it began */
    MILLION = 1000000,
};

void checks_clock(struct checks *c, uint32_t node, uint64_t now, uint64_t leapt)
{
    struct checked_node *n = &c->nodes[node];
    if (now > n->turn + SLACK_US) {
        n->pause_from = n->turn;
        n->pause_to = now;
        n->pause_leapt = n->turn_leapt;
    }
    n->turn = now;
    n->turn_leapt = leapt;
    c->now = now;
    c->latest = now > c->latest ? now : c->latest;
    c->leapt = leapt;
}

static uint64_t drifted(const struct checks *c, uint64_t us) { return us / MILLION * c->options.drift_max + MILLION / 10; }

/* What the fastest clock that there could be shows at `now`, in microseconds. */
static int64_t fastest_clock(const struct checks *c, uint64_t now, uint64_t leapt)
{
    return (int64_t)(now + now * c->options.drift_max / MILLION + leapt);
}

/* The agreed time of the log so far. */
static uint64_t reached(const struct checks *c)
{
    return c->prefix < c->slot_count ? c->slots[c->prefix].reached.moment.elapsed : 0;
}

/* A leader does not know the time until something of its own is executed: until then it says zero. */
static void check_keeps_up(struct checks *c, uint32_t node, uint64_t slot, const struct proposal *p)
{
    struct checked_node *n = &c->nodes[node];
    const uint64_t elapsed = p->stamp.moment.elapsed;
    if (n->stamps_rank != p->rank) {
        n->stamps_rank = p->rank;
        n->stamps_since = c->now;
        n->stamps_first = 0;
        n->stamps_log = reached(c);
    }
    if (n->stamps_first == 0) {
        n->stamps_from = c->now;
        n->stamps_first = elapsed;
    }
    /* What it sends just after a pause may have been stamped before it. */
    const uint64_t stamped = c->now < n->pause_to + SLACK_US ? n->pause_from : c->now;
    const uint64_t leads = stamped > n->stamps_since ? stamped - n->stamps_since : 0;
    const uint64_t knows = stamped > n->stamps_from ? stamped - n->stamps_from : 0;
    if ((elapsed + SLACK_US / 1000) * 1000 + drifted(c, knows) < n->stamps_first * 1000 + knows)
        checks_fail(c, CHECK_TIME_AGREED,
                    "node %u stamps for %" PRIu64 " ms, and its stamp in slot %" PRIu64 " is %" PRIu64
                    " ms; the first one was %" PRIu64 " ms",
                    node, knows / 1000, slot, elapsed, n->stamps_first);
    else if (leads > CAUGHT_UP_US && elapsed < n->stamps_log)
        checks_fail(c, CHECK_TIME_AGREED,
                    "node %u leads for %" PRIu64 " ms, and its stamp in slot %" PRIu64 " is %" PRIu64
                    " ms; the log had reached %" PRIu64 " ms when it began",
                    node, leads / 1000, slot, elapsed, n->stamps_log);
}

/* When a value of this node that is seen now was stamped, at the earliest: it may have stood still since. */
static int64_t stamped_at(const struct checks *c, const struct checked_node *n)
{
    const bool paused = c->now < n->pause_to + SLACK_US;
    return fastest_clock(c, paused ? n->pause_from : n->turn, paused ? n->pause_leapt : n->turn_leapt);
}

void checks_stamped(struct checks *c, uint64_t slot, struct proposal *p)
{
    const uint32_t node = rank_node(p->rank);
    const uint64_t passed = c->formed_at != 0 && c->now > c->formed_at ? c->now - c->formed_at : 0;
    if (p->rank == RANK_NONE_SUCH || !p->has_stamp)
        return;
    p->stamped_at = stamped_at(c, &c->nodes[node]);
    if (rank_of(p->stamp.ballot) != p->rank)
        checks_fail(c, CHECK_TIME_AGREED, "node %u stamps slot %" PRIu64 " with ballot %s at ballot %s", node, slot,
                    rank_text(rank_of(p->stamp.ballot)).text, rank_text(p->rank).text);
    else if (p->stamp.moment.elapsed > (passed + drifted(c, passed) + c->leapt) / 1000)
        checks_fail(c, CHECK_TIME_AGREED,
                    "node %u stamps slot %" PRIu64 " with %" PRIu64 " ms; %" PRIu64 " ms have passed since a node led first",
                    node, slot, p->stamp.moment.elapsed, passed / 1000);
    else
        check_keeps_up(c, node, slot, p);
}

void checks_passed(struct checks *c, uint64_t slot, const struct proposal *p)
{
    const int64_t moment = (int64_t)c->slots[slot + 1].reached.moment.elapsed * 1000;
    const int64_t lag = fastest_clock(c, c->latest, c->leapt) - moment, stamped = p->stamped_at - moment;
    if (lag + SOON_US < c->lag_most)
        checks_fail(c, CHECK_TIME_AGREED,
                    "the log has reached %" PRIu64 " ms in slot %" PRIu64 ", %" PRIi64
                    " ms more than have passed since an earlier slot was proposed",
                    c->slots[slot + 1].reached.moment.elapsed, slot, (c->lag_most - lag) / 1000);
    c->lag_most = stamped > c->lag_most ? stamped : c->lag_most;
}

void checks_moment(struct checks *c, uint32_t node, uint64_t slot, struct moment moment, const struct ballot *led)
{
    if (slot == 0 || slot > c->prefix || slot >= c->slot_count || c->reference == NULL)
        return; /* another check judges that; or nothing is chosen yet */
    const struct moment is = c->slots[slot].reached.moment;
    const struct ballot by = c->slots[slot].reached.ballot;
    if (moment.elapsed != is.elapsed || moment.unix != is.unix)
        checks_fail(c, CHECK_TIME_AGREED,
                    "node %u has reached %" PRIu64 " ms (%" PRIu64 ") before slot %" PRIu64 "; by the log it is %" PRIu64
                    " ms (%" PRIu64 ")",
                    node, moment.elapsed, moment.unix, slot, is.elapsed, is.unix);
    else if (led != NULL && ballot_compare(*led, by) != 0)
        checks_fail(c, CHECK_TIME_AGREED, "node %u says that ballot %s led before slot %" PRIu64 "; by the log it was %s",
                    node, rank_text(rank_of(*led)).text, slot, rank_text(rank_of(by)).text);
}
