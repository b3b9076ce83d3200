/* A proposer follows, asks, prepares, or leads:
 *
 *              elected by the leader detector             a quorum has lost the leader, too
 *   FOLLOWING ------------------------------> ASKING ------------------------------------> PREPARING
 *       ^                                       |                                              |
 *       |  a leader is heard                    |  the attempt fails                           | a quorum of promises
 *       +---------------------------------------+-------------------------- LEADING <----------+
 *
 * How it keeps P15:
 *
 *  1. Asking has no effect on the acceptors, so a node that was only cut off does not disturb the others. An acceptor says
 *     "no" while it hears a leader. A leader that a phase-2 quorum answers cannot be replaced by a node that does not hear
 *     it, because the two quorums meet.
 *  2. An attempt *fails* when phase 1 makes no progress for dead_timeout; when a higher ballot is promised; when this node's
 *     own disk stalls; when for dead_timeout no phase-2 quorum answers the leader at its own ballot (ALIVE names the
 *     heartbeat that it answers, ACCEPTED the ballot; nothing overheard counts); and when there is something to execute but
 *     a majority of the learners has executed nothing more for request_timeout. The last case covers proposals that never
 *     arrive, votes that are never cast, and learners that hear nothing: a leader without results for as long as its clients
 *     wait is not a leader. (A node that is a proposer alone writes no records, so it has no disk that could stall.)
 *  3. A proposer whose attempt failed resigns and says so. Then, while any other is fit, it stands back: for each of
 *     the others as long as its own attempt lasted. After that it asks, and is fit again when enough answer. So every
 *     proposer that seems electable gets its turn. One that can lead gets it, too, and then leads as long as it can.
 *  4. A question that too few answer, for a quorum of phase 1 or of phase 2, also makes a proposer unfit. An unfit proposer
 *     says so in its heartbeats, and the others do not wait for it.
 *  5. Time in which this node itself did not run (a late turn, a stopped process) says nothing about others. It is
 *     subtracted from every wait for them.
 *  6. A leader never gives way because of the rule. Where the rule prefers this node to the one that leads, this node
 *     asks with a *claim*: acceptors say "yes" to it even if they hear the leader. Claims that fail are repeated more and
 *     more rarely.
 *  7. A leadership has one configuration (P11). When the next one governs, and the slots before are settled, the leader
 *     prepares anew at once: it is not lost either.
 *  8. A leader may hand over, because its operator wants it (handover.c). The node that it names prepares without asking,
 *     because this leader is not lost. */
#include "core/agents/election.h"

#include "core/paxos/leader_detector.h"

/* A question that was answered "no" is repeated after this share of prepare_timeout, at first. An attempt counts as having
 * wasted at least as much. */
enum { ASKED_AGAIN = 16 };

/* While there is a leader, a node that stands back waits 2^CLAIM_SHIFT times as long, and twice as long again for each
 * attempt in a row that failed, FAILURES_MAX at most. */
enum { CLAIM_SHIFT = 2, FAILURES_MAX = 10 };

/* An attempt takes so many further ballots to come near one that is far above. */
enum { CLIMBS_MAX = 16 };

/* The number of a question is a count above the incarnation. So an answer that was long on its way is none to a question of
 * a later life, when acceptors may hear a leader. 2^28 questions take a life months. */
enum { QUESTION_BITS = 28 };

void election_init(struct election *e, const struct node_config *config, const struct configurations *configurations,
                   struct proposer *proposer, const struct progress *progress, struct effects *effects)
{
    *e = (struct election){.config = config, .configurations = configurations, .proposer = proposer};
    e->progress = progress;
    e->effects = effects;
    e->acting = configurations->newest;
    e->known = 1;
    e->question = (uint64_t)config->incarnation << QUESTION_BITS;
}

void election_close(struct election *e)
{
    if (e->detector != NULL)
        failure_detector_free(e->detector);
}

void election_fill_word(const struct election *e, const struct proposer_window *w, struct message *m)
{
    m->ballot = w->ballot;
    m->from = w->first;
    m->chosen = w->chosen;
    m->floor = progress_settled(e->progress);
}

/* --- configurations ----------------------------------------------------------------------------------------------- */

/* The first slot to be prepared: every one below is settled. */
static uint64_t floor_of(const struct election *e)
{
    const struct configurations *c = e->configurations;
    const uint64_t settled = progress_settled(e->progress);
    return !configurations_pending(c) && settled < c->newest.governs ? c->newest.governs : settled;
}

uint64_t election_limit(const struct election *e)
{
    return configurations_limit(e->configurations, e->acting.slot, e->known);
}

void election_known(struct election *e, uint64_t slot) { e->known = slot > e->known ? slot : e->known; }

static node_set other_proposers(const struct election *e) { return e->acting.proposers & ~node_set_of(e->config->node); }

/* Watches the proposers there are now. Those that are watched already count as heard again. */
static void watch_proposers(struct election *e, uint64_t now)
{
    const node_set proposers = configurations_proposers(e->configurations);
    if (e->detector != NULL && proposers == e->watched)
        return;
    struct node_config watched = *e->config;
    watched.proposers = proposers;
    if (e->detector != NULL)
        failure_detector_free(e->detector);
    e->watched = proposers;
    e->detector = failure_detector_new(&watched, now - e->late);
}

/* A node that does not prepare or lead acts under what governs the slot from which it would prepare. */
static void look_up_acting(struct election *e)
{
    const struct configurations *c = e->configurations;
    if (e->state >= PROPOSER_PREPARING || (!configurations_pending(c) && e->acting.slot == c->newest.slot))
        return;
    const struct configuration *governs = configurations_at(c, floor_of(e));
    if (governs->slot == e->acting.slot && governs->proposers == e->acting.proposers)
        return;
    e->acting = *governs;
    e->state = PROPOSER_FOLLOWING; /* a question that is open was for others */
}

/* --- this node's own state ---------------------------------------------------------------------------------------- */

/* True when records have waited too long for this node's own disk. */
static bool disk_stalled(const struct election *e, uint64_t now) { return now - e->durable_at >= e->config->dead_timeout; }

/* Whether it could propose anything as a leader. It cannot where another configuration may govern that it lacks. */
static bool may_propose(const struct election *e) { return floor_of(e) < election_limit(e); }

/* True while this node may ask, prepare and lead. */
static bool able(const struct election *e, uint64_t now)
{
    const bool proposes = node_set_has(e->acting.proposers, e->config->node) && !e->replaced;
    return proposes && may_propose(e) && !e->stopping && !disk_stalled(e, now);
}

static bool unfit(const struct election *e, uint64_t now)
{
    return e->state != PROPOSER_LEADING && (!able(e, now) || e->standing != STANDING_READY);
}

static node_set known_proposers(const struct election *e)
{
    return configurations_proposers(e->configurations) | e->acting.proposers;
}

/* Whether this node is a proposer by what it knows. What it said otherwise, the others would leave out. */
static bool speaks(const struct election *e) { return node_set_has(known_proposers(e), e->config->node) && !e->replaced; }

static void send_heartbeat(struct election *e, uint64_t now, uint8_t flags)
{
    /* `to` tells the answers to different heartbeats apart. */
    struct message m = {.kind = MESSAGE_HEARTBEAT, .flags = flags, .ballot = e->ballot, .to = now};
    const struct configurations *c = e->configurations;
    node_set to = known_proposers(e) & ~node_set_of(e->config->node);
    if (flags & MESSAGE_LEADING) {
        struct proposer_window w = proposer_window_now(e->proposer);
        election_fill_word(e, &w, &m);
        e->chosen_told = w.chosen;
    }
    if (flags != 0)
        to = configurations_members(c);
    if (speaks(e))
        effects_send(e->effects, to, &m);
    e->heartbeat_at = now;
    e->told_unfit = (flags & MESSAGE_RESIGNED) != 0;
}

static void follow(struct election *e)
{
    if (e->leader == e->config->node)
        e->leader = 0;
    if (e->state >= PROPOSER_PREPARING)
        proposer_resign(e->proposer);
    e->state = PROPOSER_FOLLOWING;
    e->crossing = false;
    e->successor = 0;
    e->overtaken = (struct ballot){0};
}

/* How long one turn of another proposer may take. A lone proposer has no other to wait for. */
static uint64_t one_turn(const struct election *e)
{
    uint32_t others = node_set_count(other_proposers(e));
    return others > 0 ? e->back / others : 0;
}

/* An attempt has failed: since `since` it made no progress. */
static void stand_back(struct election *e, uint64_t since, uint64_t now)
{
    invariant(e->state >= PROPOSER_PREPARING);
    uint64_t wasted = now - since, least = e->config->prepare_timeout / ASKED_AGAIN;
    const uint64_t most = e->config->request_timeout + e->config->dead_timeout; /* if it lasted longer, a disk hung */
    uint32_t others = node_set_count(other_proposers(e));
    uint32_t lower = node_set_count(other_proposers(e) & (node_set_of(e->config->node) - 1));
    if (wasted < least)
        wasted = least;
    if (wasted > most)
        wasted = most;
    follow(e);
    e->standing = STANDING_BACK;
    e->failed_at = now;
    /* different for each node, so that two do not come back at the same time */
    e->back = wasted * others + wasted * lower / (others + 1);
    e->failures += e->failures < FAILURES_MAX;
    send_heartbeat(e, now, MESSAGE_RESIGNED);
}

/* --- ballots and leaders that are heard of ------------------------------------------------------------------------ */

/* A node has promised a ballot above ours, or leads at one. */
static void hear_ballot(struct election *e, struct ballot ballot, bool leads, uint64_t now)
{
    if (ballot_compare(ballot, e->ballot) <= 0)
        return;
    const bool succeeds = e->successor != 0 && ballot.node == e->successor;
    if (succeeds && !leads) {
        e->overtaken = ballot_compare(ballot, e->overtaken) > 0 ? ballot : e->overtaken;
        return;
    }
    if (succeeds)
        follow(e);
    else if (e->state >= PROPOSER_PREPARING)
        stand_back(e, e->state == PROPOSER_PREPARING ? e->got_on_at : now, now);
    e->ballot = ballot;
    if (e->leader != ballot.node)
        e->leader = 0;
}

static void hear_leader(struct election *e, uint32_t sender, struct ballot ballot, uint64_t now)
{
    /* A node may have prepared the higher ballot and never led. Then a leader at a lower one is better than none. */
    bool late = ballot_compare(ballot, e->ballot) < 0;
    if ((late && (e->leader != 0 || e->state >= PROPOSER_PREPARING)) || ballot.node != sender || sender == e->config->node)
        return;
    hear_ballot(e, ballot, true, now);
    e->held_until = e->leader == sender ? e->held_until : 0;
    e->leader = sender;
    e->asked = 0;
    e->ask_again_at = e->claim && e->state == PROPOSER_ASKING ? e->ask_again_at : 0;
    if (e->state == PROPOSER_ASKING && !e->claim)
        e->state = PROPOSER_FOLLOWING;
}

static void on_heartbeat(struct election *e, uint32_t sender, const struct message *m, uint64_t now)
{
    e->unfit &= ~node_set_of(sender);
    if (m->flags & MESSAGE_RESIGNED)
        e->unfit |= node_set_of(sender);
    if (m->flags & MESSAGE_LEADING)
        hear_leader(e, sender, m->ballot, now);
    else if (e->leader == sender && sender != e->config->node && !election_is_held(e))
        e->leader = 0; /* it resigned, or started again */
    if (ballot_compare(m->ballot, e->ballot) > 0 && e->state < PROPOSER_PREPARING)
        e->ballot = m->ballot;
}

/* --- asking, preparing, leading ----------------------------------------------------------------------------------- */

/* Whether acceptors enough have answered the last question for this node to lead: a quorum of either phase. One that wins
 * phase 1 with too few for phase 2 cannot have anything chosen, and takes the lead from a node that can. */
static bool is_answered(const struct election *e)
{
    const uint32_t phase1 = e->acting.phase1_quorum, phase2 = e->acting.phase2_quorum;
    return node_set_count(e->answered) >= (phase1 > phase2 ? phase1 : phase2);
}

static void ask(struct election *e, uint64_t now)
{
    invariant(e->state < PROPOSER_PREPARING && !e->stopping);
    if (e->state == PROPOSER_ASKING && !is_answered(e))
        e->standing = STANDING_UNHEARD;
    e->state = PROPOSER_ASKING;
    e->claim = e->leader != 0;
    e->lost = e->answered = 0;
    e->asked_at = now;
    e->ask_again_at = now + (e->claim ? e->config->dead_timeout : e->config->prepare_timeout);
    struct message m = {.kind = MESSAGE_ASK, .flags = e->claim ? MESSAGE_YES : 0, .from = ++e->question};
    effects_send(e->effects, e->acting.acceptors, &m);
}

static void send_prepares(struct election *e, node_set acceptors, uint64_t now)
{
    for (node_set i = acceptors; i != 0; i &= i - 1) {
        uint32_t acceptor = node_set_first(i);
        uint64_t wanted = proposer_promise_wanted(e->proposer, acceptor);
        struct message m = {.kind = MESSAGE_PREPARE, .ballot = e->ballot, .from = wanted, .to = e->acting.slot};
        if (wanted != 0)
            effects_send(e->effects, node_set_of(acceptor), &m);
    }
    e->prepared_at = now;
}

/* An acceptor refuses because our ballot is too far above what it has promised (ROUND_JUMP_MAX). Ballots in between help it
 * up. It promises them, but no node ever proposes at them, and its answers to them are ignored because they name another
 * ballot than ours. */
static void help_up(struct election *e, uint32_t acceptor, struct ballot promised)
{
    if (e->state < PROPOSER_PREPARING || promised.round + ROUND_JUMP_MAX >= e->ballot.round)
        return;
    struct message m = {.kind = MESSAGE_PREPARE, .ballot = e->ballot, .from = SLOT_MAX - 1, .to = e->acting.slot};
    m.ballot.round = promised.round + ROUND_JUMP_MAX;
    effects_send(e->effects, node_set_of(acceptor), &m);
    m.ballot = e->ballot;
    m.from = proposer_promise_wanted(e->proposer, acceptor);
    if (m.from == 0) /* we lead already, so its promise is not needed, but its answer tells how far it got */
        m.from = SLOT_MAX - 1;
    effects_send(e->effects, node_set_of(acceptor), &m);
}

/* An acceptor has promised a ballot so far above ours that the next attempt could not come near it (ROUND_JUMP_MAX). So this
 * one goes on, at the highest ballot that it may take, a few times. With an attempt for each step, as long as others need to
 * have their turns, a cluster without a leader would stay without one for as many seconds. True: it goes on. */
static bool climb(struct election *e, struct ballot promised, uint64_t now)
{
    const uint64_t floor = floor_of(e);
    const bool is_far = e->state == PROPOSER_PREPARING && promised.round >= e->ballot.round + ROUND_JUMP_MAX;
    if (!is_far || e->climbs == CLIMBS_MAX || node_set_count(e->lost) < e->acting.phase1_quorum)
        return false; /* the last: it was invited, or crosses a boundary, and has not asked */
    if (configurations_at(e->configurations, floor)->slot != e->acting.slot)
        return false;
    e->climbs++;
    e->ballot = proposer_prepare(e->proposer, promised, floor);
    send_prepares(e, e->acting.acceptors, now);
    return true;
}

/* Every slot from the floor on is prepared under the configuration that governs the floor, and the proposer proposes in none
 * that another one may govern. */
static void begin_phase1(struct election *e, uint64_t now)
{
    const uint64_t floor = floor_of(e);
    e->acting = *configurations_at(e->configurations, floor);
    invariant(node_set_has(e->acting.proposers, e->config->node) && e->acting.acceptors != 0);
    e->state = PROPOSER_PREPARING;
    e->got_on_at = now;
    e->climbs = 0;
    proposer_configure(e->proposer, &e->acting);
    e->ballot = proposer_prepare(e->proposer, e->ballot, floor);
    send_prepares(e, e->acting.acceptors, now);
}

static void prepare(struct election *e, uint64_t now)
{
    invariant(e->state == PROPOSER_ASKING && e->standing == STANDING_READY);
    e->leader = 0;
    begin_phase1(e, now);
}

void election_cross(struct election *e, uint64_t now)
{
    const struct configurations *c = e->configurations;
    invariant(e->state >= PROPOSER_PREPARING && !configurations_pending(c));
    const bool lacks = floor_of(e) >= configurations_limit(c, c->newest.slot, e->known);
    if (!node_set_has(c->newest.proposers, e->config->node) || e->replaced || lacks) {
        follow(e);
        send_heartbeat(e, now, MESSAGE_RESIGNED);
        return;
    }
    e->crossing = election_is_led_here(e);
    e->lost = 0;
    begin_phase1(e, now);
}

static void lead(struct election *e, uint64_t now)
{
    invariant(e->state == PROPOSER_PREPARING && e->ballot.node == e->config->node);
    e->state = PROPOSER_LEADING;
    e->crossing = false;
    e->leader = e->config->node;
    for (uint32_t n = 0; n <= NODE_ID_MAX; n++)
        e->answered_at[n] = now;
    e->result_at = now;
    e->own_from = proposer_window_now(e->proposer).next;
    send_heartbeat(e, now, MESSAGE_LEADING);
}

static void on_lost(struct election *e, uint32_t sender, const struct message *m, uint64_t now)
{
    look_up_acting(e);
    if (e->state != PROPOSER_ASKING || m->from != e->question || !node_set_has(e->acting.acceptors, sender))
        return;
    const bool first = !is_answered(e);
    e->answered |= node_set_of(sender);
    e->lost |= m->flags & MESSAGE_YES ? node_set_of(sender) : 0;
    if (!is_answered(e))
        return;
    if (first && !e->claim) {
        /* Too few have lost the leader yet, or the others do not know yet that this node is fit. It asks again soon. */
        uint64_t soon = e->config->prepare_timeout / ASKED_AGAIN << (e->asked < FAILURES_MAX ? e->asked : FAILURES_MAX);
        e->asked++;
        e->ask_again_at = e->asked_at + (soon < e->config->suspect_timeout ? soon : e->config->suspect_timeout);
    }
    const bool is_lost = node_set_count(e->lost) >= e->acting.phase1_quorum;
    if (e->standing == STANDING_READY && e->elected && is_lost && may_propose(e))
        prepare(e, now);
    else if (e->standing == STANDING_UNHEARD)
        e->standing = STANDING_READY;
}

/* The leader hands over: it is about to, it names its successor (`from` is not 0 then), or it goes on (it names itself). Up
 * to the end it counts as the leader, also for its successor, so that clients wait at it. */
static void on_handover(struct election *e, uint32_t sender, const struct message *m, uint64_t now)
{
    const bool is_leaders = sender == e->leader && ballot_compare(m->ballot, e->ballot) == 0;
    if (!is_leaders || sender == e->config->node || (m->flags & MESSAGE_YES) != 0 || e->state >= PROPOSER_PREPARING)
        return;
    if (m->to == sender) {
        e->held_until = 0;
        return;
    }
    e->held_until = now + e->config->suspect_timeout;
    e->held_untold = true;
    e->invited = m->to == e->config->node;
    look_up_acting(e);
    if (m->from == 0 || m->to != e->config->node || !able(e, now))
        return;
    e->standing = STANDING_READY; /* the leader, which a quorum answers, hears it */
    e->lost = 0;
    begin_phase1(e, now);
}

static void on_promise(struct election *e, uint32_t sender, const struct message *m, uint64_t now)
{
    if (e->state != PROPOSER_PREPARING)
        return;
    struct promise_result r = proposer_promise(e->proposer, sender, m);
    if (r.outcome != PROMISE_IGNORED)
        e->got_on_at = now;
    if (r.outcome == PROMISE_MORE)
        send_prepares(e, node_set_of(sender), now);
    else if (r.outcome == PROMISE_ELECTED)
        lead(e, now);
}

/* An acceptor answers, at this leader's ballot, a message that was sent at `sent_at`. */
static void on_answer(struct election *e, uint32_t sender, struct ballot ballot, uint64_t sent_at, uint64_t now)
{
    bool ours = ballot_compare(ballot, e->ballot) == 0;
    if (e->state == PROPOSER_LEADING && ours && sent_at <= now && sent_at > e->answered_at[sender])
        e->answered_at[sender] = sent_at;
}

void election_message(struct election *e, uint32_t sender, const struct message *m, uint64_t now)
{
    failure_detector_heard(e->detector, sender, now - e->late);
    switch (m->kind) {
    case MESSAGE_PROMISE:
        on_promise(e, sender, m, now);
        break;
    case MESSAGE_ACCEPTED:
        on_answer(e, sender, m->ballot, now, now);
        break;
    case MESSAGE_ALIVE:
        on_answer(e, sender, m->ballot, m->to, now);
        break;
    case MESSAGE_NACK:
        if (climb(e, m->ballot, now))
            break;
        help_up(e, sender, m->ballot);
        hear_ballot(e, m->ballot, false, now);
        break;
    case MESSAGE_HEARTBEAT:
        on_heartbeat(e, sender, m, now);
        break;
    case MESSAGE_LOST:
        on_lost(e, sender, m, now);
        break;
    case MESSAGE_HANDOVER:
        on_handover(e, sender, m, now);
        break;
    default:
        break;
    }
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* The longest silence of a proposer. One that does not lead speaks half as often, because its heartbeats only matter once a
 * leader is lost. It speaks when it is awake anyway: waking up for a heartbeat would cost an idle node more than all its
 * other work. */
static uint64_t heartbeat_interval(const struct election *e, bool awake)
{
    uint64_t interval = e->config->heartbeat_interval;
    if (e->state == PROPOSER_LEADING)
        return interval;
    return awake ? interval + interval / 2 : interval * 5 / 2;
}

/* A node should wake up when its next heartbeat is due. If it woke up later than that, the excess does not count as waiting
 * for others. */
static void leave_out_late(struct election *e, uint64_t now)
{
    const uint64_t slept = now - e->begun_at, longest = heartbeat_interval(e, false);
    if (e->begun_at == 0 || now <= e->begun_at || slept <= longest)
        return;
    const uint64_t late = slept - longest;
    e->late += late;
    e->result_at += late;
    e->got_on_at += late;
    for (uint32_t n = 0; n <= NODE_ID_MAX; n++)
        e->answered_at[n] += late;
}

void election_begin(struct election *e, uint64_t now)
{
    leave_out_late(e, now);
    e->begun_at = now;
    watch_proposers(e, now);
    look_up_acting(e);
}

void election_configured(struct election *e, uint64_t now)
{
    watch_proposers(e, now);
    look_up_acting(e);
    if (e->state < PROPOSER_PREPARING)
        return;
    const struct configuration *newest = &e->configurations->newest;
    const bool was_skipped = e->acting.slot != newest->slot && e->acting.slot != newest->replaces;
    if (was_skipped || e->replaced)
        follow(e);
    if (was_skipped) /* others led under those between: this one has been none for long */
        send_heartbeat(e, now, MESSAGE_RESIGNED);
}

void election_durable(struct election *e, uint64_t lsn, uint64_t now)
{
    e->durable = lsn;
    e->durable_at = now;
}

void election_stop(struct election *e, uint64_t now)
{
    e->stopping = true;
    follow(e);
    send_heartbeat(e, now, MESSAGE_RESIGNED);
}

node_set election_heard(const struct election *e, uint64_t now)
{
    return failure_detector_check(e->detector, now - e->late).alive & ~node_set_of(e->config->node);
}

node_set election_fit(const struct election *e, uint64_t now)
{
    return election_heard(e, now) & ~e->unfit & e->acting.proposers;
}

void election_hand_over(struct election *e, uint32_t node, uint64_t until)
{
    invariant(e->state == PROPOSER_LEADING);
    e->successor = node;
    e->successor_until = until;
}

bool election_is_held(const struct election *e) { return e->begun_at < e->held_until && e->state != PROPOSER_LEADING; }

/* The successor did not take over in time. If an acceptor has promised its ballot, this leader is none any more. */
static void watch_successor(struct election *e, uint64_t now)
{
    if (e->successor == 0 || now < e->successor_until)
        return;
    e->successor = 0;
    hear_ballot(e, e->overtaken, false, now);
    e->overtaken = (struct ballot){0};
}

/* What was said before this step's end is on its way before the answer. A successor that cannot lead says so, if it is a
 * proposer by what it knows: a newcomer may be named before it has heard that it is. */
static void tell_held(struct election *e, uint64_t now)
{
    struct message m = {.kind = MESSAGE_HANDOVER, .flags = MESSAGE_YES, .ballot = e->ballot, .to = e->leader};
    m.flags |= e->invited && !able(e, now) ? MESSAGE_RESIGNED : 0;
    if (e->held_untold && election_is_held(e) && e->leader != 0 && e->state < PROPOSER_PREPARING && speaks(e))
        effects_send(e->effects, node_set_of(e->leader), &m);
    e->held_untold = false;
}

/* Whether this leader still counts as one (point 2 above). If not, `*since` is when it stopped. */
static bool leads(struct election *e, uint64_t now, uint64_t *since)
{
    const struct node_config *c = e->config;
    uint64_t executed = progress_executed(e->progress);
    if (executed > e->executed || executed >= proposer_window_now(e->proposer).next)
        e->result_at = now;
    e->executed = executed;
    if (executed > e->own_from)
        e->failures = 0;
    uint32_t answering = 0;
    for (node_set i = e->acting.acceptors; i != 0; i &= i - 1)
        answering += now - e->answered_at[node_set_first(i)] < c->dead_timeout;
    bool answered = answering >= e->acting.phase2_quorum;
    bool useful = now - e->result_at < c->request_timeout;
    *since = useful ? now - c->dead_timeout : e->result_at;
    return answered && useful;
}

/* How long this node stands back. If no other is fit, one turn is enough. */
static uint64_t back_for(const struct election *e, node_set fit)
{
    if (e->leader != 0)
        return e->back << (CLAIM_SHIFT + e->failures);
    return fit == 0 ? one_turn(e) : e->back;
}

/* Whether a question should be open. `fit`: the others that may lead. */
static bool wants_to_ask(struct election *e, node_set fit, uint64_t now)
{
    const struct node_config *c = e->config;
    if (e->standing == STANDING_BACK && now - e->failed_at >= back_for(e, fit))
        e->standing = STANDING_UNHEARD;
    e->elected = leader_detector_elect(c, fit | node_set_of(c->node), e->leader) == c->node;
    if (e->standing == STANDING_BACK)
        return false;
    return e->elected || (e->leader == 0 && e->standing == STANDING_UNHEARD);
}

void election_watch(struct election *e, uint64_t now, uint64_t lsn)
{
    const struct node_config *c = e->config;
    struct health health = failure_detector_check(e->detector, now - e->late);
    uint64_t since;
    if (e->durable + 1 >= lsn)
        e->durable_at = now;
    if (e->leader != 0 && e->leader != c->node && !node_set_has(health.alive, e->leader))
        e->leader = 0;
    look_up_acting(e);
    watch_successor(e, now);
    tell_held(e, now);
    if (e->state == PROPOSER_LEADING) {
        if (disk_stalled(e, now))
            stand_back(e, e->durable_at, now);
        else if (!leads(e, now, &since))
            stand_back(e, since, now);
    } else if (e->state == PROPOSER_PREPARING) {
        if (disk_stalled(e, now) || now - e->got_on_at >= c->dead_timeout)
            stand_back(e, e->got_on_at, now);
        else if (now - e->prepared_at >= c->prepare_timeout)
            send_prepares(e, e->acting.acceptors, now);
    }
    if (e->state >= PROPOSER_PREPARING)
        return;
    node_set fit = election_fit(e, now);
    if (!able(e, now) || !wants_to_ask(e, fit, now))
        e->state = PROPOSER_FOLLOWING;
    else if (now >= e->ask_again_at)
        ask(e, now);
}

void election_heartbeat(struct election *e, bool awake, uint64_t now)
{
    if (e->crossing)
        return; /* for a moment; one that does not lead would say that it resigned */
    bool is_unfit = unfit(e, now);
    if (now - e->heartbeat_at < heartbeat_interval(e, awake) && is_unfit == e->told_unfit)
        return;
    send_heartbeat(e, now, e->state == PROPOSER_LEADING ? MESSAGE_LEADING : is_unfit ? MESSAGE_RESIGNED : 0);
}

uint64_t election_wake_at(const struct election *e, uint64_t now)
{
    uint64_t wake = e->crossing ? UINT64_MAX : e->heartbeat_at + heartbeat_interval(e, false), next = UINT64_MAX;
    if (e->state == PROPOSER_PREPARING)
        next = e->prepared_at + e->config->prepare_timeout;
    else if (e->state == PROPOSER_FOLLOWING && e->standing == STANDING_BACK)
        next = e->failed_at + (now - e->failed_at < one_turn(e) ? one_turn(e) : e->back);
    else if (e->state == PROPOSER_ASKING || (e->state == PROPOSER_FOLLOWING && e->leader == 0))
        next = e->ask_again_at;
    if (e->held_until > now && e->held_until < wake)
        wake = e->held_until;
    return next > now && next < wake ? next : wake;
}
