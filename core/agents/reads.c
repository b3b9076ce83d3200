#include "core/agents/reads.h"

#include "core/agents/follower_reads.h"

enum { LATE_US = 5000 }; /* an acceptor that has not answered a round */

void reads_init(struct reads *r, const struct node_config *config, struct election *election, struct effects *effects)
{
    *r = (struct reads){.config = config, .election = election, .effects = effects};
    read_rounds_init(&r->rounds);
}

void reads_close(struct reads *r) { read_rounds_close(&r->rounds); }

void reads_add(struct reads *r, const struct client_batch *batch, uint64_t now)
{
    read_rounds_add(&r->rounds, batch->token, &batch->value, now);
}

void reads_stale(struct reads *r, uint64_t age_us, uint64_t now)
{
    r->tells_learner = true;
    read_rounds_stale(&r->rounds, age_us, now);
}

/* --- rounds ------------------------------------------------------------------------------------------------------- */

/* Those that confirmed the round before are asked first: others would answer in vain. The configuration that acts may be
 * another one by now. */
static node_set to_ask_first(const struct reads *r)
{
    const struct configuration *acting = &r->election->acting;
    const node_set quick = r->rounds.quick & acting->acceptors;
    return node_set_count(quick) >= acting->phase2_quorum ? quick : acting->acceptors;
}

/* To those of them that have not answered. If not all acceptors are asked, the others soon are. */
static void send_round(struct reads *r, node_set to, uint64_t now)
{
    const struct configuration *acting = &r->election->acting;
    const struct read_rounds *rounds = &r->rounds;
    const struct message m = {
        .kind = MESSAGE_READ_ROUND, .ballot = rounds->ballot, .from = rounds->round, .to = acting->slot};
    const bool soon = to != acting->acceptors && LATE_US < r->config->retry_interval;
    effects_send(r->effects, to & ~rounds->answered, &m);
    r->rounds.again_at = now + (soon ? LATE_US : r->config->retry_interval);
}

/* Whether a leader under the next configuration cannot have begun (P11): it begins when all slots before are chosen, and
 * this leader knows of one that it has not proposed. */
static bool is_before_boundary(const struct reads *r, const struct proposer_window *w)
{
    return w->next < election_limit(r->election);
}

void reads_lead(struct reads *r, const struct proposer_window *w, uint64_t now)
{
    invariant(r->election->state == PROPOSER_LEADING);
    if (read_rounds_may_begin(&r->rounds) && is_before_boundary(r, w)) {
        read_rounds_begin(&r->rounds, w->ballot, w->next, now);
        send_round(r, to_ask_first(r), now);
    } else if (r->rounds.open && now >= r->rounds.again_at) {
        send_round(r, r->election->acting.acceptors, now);
    }
}

bool reads_may_follow(const struct reads *r)
{
    const struct election *e = r->election;
    return e->leader != 0 && e->leader != r->config->node &&
           node_set_has(configurations_proposers(e->configurations), r->config->node);
}

/* A round is confirmed: followers that wait for it get the index. Their learners hear up to where slots are chosen, and the
 * rest as soon as it is. */
static void tell_followers(struct reads *r)
{
    const struct read_rounds *rounds = &r->rounds;
    struct message chosen = {.kind = MESSAGE_CHOSEN};
    if (rounds->served == 0 || r->election->state != PROPOSER_LEADING)
        return;
    const struct proposer_window w = proposer_window_now(r->election->proposer);
    election_fill_word(r->election, &w, &chosen);
    effects_send(r->effects, rounds->served & configurations_learners(r->election->configurations), &chosen);
    for (node_set i = rounds->served; i != 0; i &= i - 1) {
        const uint32_t follower = node_set_first(i);
        const struct message m = {.kind = MESSAGE_READ_INDEX,
                                  .flags = MESSAGE_YES,
                                  .ballot = rounds->ballot,
                                  .from = rounds->round_of[follower],
                                  .to = rounds->index,
                                  .batch = {.origin = follower, .incarnation = rounds->life_of[follower]}};
        effects_send(r->effects, i & -i, &m);
    }
    r->prompt_until = rounds->index;
}

/* The leader of this node answers; or a node that follows asks. */
static void on_index(struct reads *r, uint32_t sender, const struct message *m)
{
    const bool is_answer = (m->flags & MESSAGE_YES) != 0;
    follower_reads_told(&r->rounds, r->config, sender, m);
    if (!is_answer && r->election->state == PROPOSER_LEADING && sender != r->config->node)
        read_rounds_ask(&r->rounds, sender, m->batch.incarnation, m->from);
}

void reads_message(struct reads *r, uint32_t sender, const struct message *m)
{
    uint64_t token;
    if (m->kind == MESSAGE_READ_INDEX) {
        on_index(r, sender, m);
        return;
    }
    if (m->kind == MESSAGE_READ_CONFIRMED) {
        if (read_rounds_answered(&r->rounds, sender, m->ballot, m->from, &r->election->acting))
            tell_followers(r);
        return;
    }
    const bool is_own = m->batch.origin == r->config->node && m->batch.incarnation == r->config->incarnation;
    if (!is_own || m->entries.len != 1 || !read_rounds_done(&r->rounds, m->batch.number, &token))
        return;
    const struct client_reply reply = {
        .token = token, .outcome = OUTCOME_EXECUTED, .leader = r->election->leader, .replies = m->entries.ptr[0].value};
    effects_add(r->effects, EFFECT_REPLY)->val.reply = reply;
}

/* --- learners ----------------------------------------------------------------------------------------------------- */

/* Whom to ask: at first the learner of this node, otherwise one that keeps up, each time the next one. But what learners say
 * of themselves may be false, or they may be gone: so every second time it is any of them. */
static node_set learner_for(const struct reads *r, const struct read_batch *b, uint64_t number)
{
    const struct progress *p = r->election->progress;
    const node_set own = node_set_of(r->config->node) & p->all;
    if (own != 0 && b->times_asked == 1)
        return own;
    const bool any = b->times_asked % 2 == 0;
    const uint32_t learner = any ? progress_anyone(p, number + b->times_asked / 2 + 1)
                                 : progress_keeping_up(p, r->election->acting.alpha, number + b->times_asked);
    return learner != 0 ? node_set_of(learner) : 0;
}

static void ask_learners(struct reads *r, uint64_t now)
{
    struct read_batch *b;
    uint64_t number;
    while ((b = read_rounds_unasked(&r->rounds, now, r->config->retry_interval, &number)) != NULL) {
        const struct message m = {.kind = MESSAGE_QUERY,
                                  .to = b->index,
                                  .batch = {r->config->node, r->config->incarnation, number},
                                  .entries = {&b->entry, 1}};
        effects_send(r->effects, learner_for(r, b, number), &m);
    }
}

/* The learner of this node hears when the state was current that has executed all below the index (P27). */
static void tell_learner(struct reads *r)
{
    const struct read_rounds *rounds = &r->rounds;
    const struct message m = {.kind = MESSAGE_QUERY,
                              .from = rounds->confirmed_at,
                              .to = rounds->index,
                              .batch = {r->config->node, r->config->incarnation, 0}};
    if (!r->tells_learner || rounds->open || rounds->confirmed_at == r->told_at)
        return;
    effects_send(r->effects, node_set_of(r->config->node), &m);
    r->told_at = rounds->confirmed_at;
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* Whether the leadership has ended by which the last round was to be confirmed. */
static bool is_over(const struct reads *r)
{
    const struct election *e = r->election;
    const struct ballot ballot = r->rounds.ballot;
    if (ballot.node != r->config->node)
        return e->leader != ballot.node;
    return e->state != PROPOSER_LEADING || ballot_compare(ballot, e->ballot) != 0;
}

void reads_watch(struct reads *r, uint64_t now)
{
    const struct election *e = r->election;
    const bool follows = reads_may_follow(r);
    tell_learner(r); /* before another round begins */
    if (is_over(r))
        read_rounds_drop(&r->rounds);
    if (e->state != PROPOSER_LEADING)
        r->rounds.askers = 0;
    follower_reads_give_up(&r->rounds, r->config, e->leader, election_is_led_here(e) || follows, r->effects, now);
    if (follows)
        follower_reads_ask(&r->rounds, r->config, e->leader, r->effects, now);
    ask_learners(r, now);
}

uint64_t reads_wake_at(const struct reads *r)
{
    const bool asks = r->rounds.open && r->election->state == PROPOSER_LEADING; /* perhaps for followers alone */
    return r->rounds.count > 0 || asks ? read_rounds_next(&r->rounds, r->config->retry_interval) : UINT64_MAX;
}
