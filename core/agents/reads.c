#include "core/agents/reads.h"

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

static void answer(struct reads *r, uint64_t token, uint8_t outcome)
{
    const struct client_reply reply = {.token = token, .outcome = outcome, .leader = r->election->leader};
    effects_add(r->effects, EFFECT_REPLY)->val.reply = reply;
}

/* --- rounds ------------------------------------------------------------------------------------------------------- */

static void send_round(struct reads *r, uint64_t now)
{
    const struct configuration *acting = &r->election->acting;
    const struct message m = {
        .kind = MESSAGE_READ_ROUND, .ballot = r->rounds.ballot, .from = r->rounds.round, .to = acting->slot};
    effects_send(r->effects, acting->acceptors & ~r->rounds.answered, &m);
    r->rounds.sent_at = now;
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
        send_round(r, now);
    } else if (read_rounds_is_open(&r->rounds) && now - r->rounds.sent_at >= r->config->retry_interval) {
        send_round(r, now);
    }
}

void reads_message(struct reads *r, uint32_t sender, const struct message *m)
{
    uint64_t token;
    if (m->kind == MESSAGE_READ_CONFIRMED) {
        read_rounds_answered(&r->rounds, sender, m->ballot, m->from, &r->election->acting);
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

/* Whom to ask: at first the learner of this node, otherwise one that keeps up; each time the next one. */
static node_set learner_for(const struct reads *r, const struct read_batch *b, uint64_t number)
{
    const struct progress *p = r->election->progress;
    const node_set own = node_set_of(r->config->node) & p->all;
    if (own != 0 && b->times_asked == 1)
        return own;
    const uint32_t learner = progress_keeping_up(p, r->election->acting.alpha, number + b->times_asked);
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

/* --- time --------------------------------------------------------------------------------------------------------- */

void reads_watch(struct reads *r, uint64_t now)
{
    const struct election *e = r->election;
    const bool leads = e->state == PROPOSER_LEADING;
    uint64_t token;
    if (!leads || ballot_compare(r->rounds.ballot, e->ballot) != 0)
        read_rounds_drop(&r->rounds);
    while (!election_is_led_here(e) && read_rounds_give_up(&r->rounds, &token))
        answer(r, token, OUTCOME_MOVED);
    while (read_rounds_expired(&r->rounds, now, r->config->request_timeout, &token))
        answer(r, token, OUTCOME_BUSY);
    ask_learners(r, now);
}

uint64_t reads_wake_at(const struct reads *r)
{
    return r->rounds.count > 0 ? read_rounds_next(&r->rounds, r->config->retry_interval) : UINT64_MAX;
}
