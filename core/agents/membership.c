#include "core/agents/membership.h"

#include "core/agents/answers.h"
#include "core/formats/decimal.h"

void membership_init(struct membership *m, const struct node_config *config, const struct configurations *configurations,
                     const struct election *election, struct effects *effects)
{
    *m = (struct membership){.config = config, .configurations = configurations, .election = election, .effects = effects};
}

void membership_close(struct membership *m)
{
    payload_free(&m->newest);
    payload_free(&m->first);
    payload_free(&m->text);
}

/* ---- Answers ---- */

static void answer(struct membership *m, uint64_t token, uint8_t tag, const char *text, size_t len)
{
    if (token != 0)
        answer_operator(m->effects, m->election->leader, token, tag, text, len);
}

static void refuse(struct membership *m, uint64_t token, const char *error)
{
    answer(m, token, REPLY_ERROR, error, strlen(error));
}

/* The change is over. What its operator is told: a number between two texts. */
static void end(struct membership *m, uint8_t tag, const char *before, uint64_t number, const char *after)
{
    char text[256];
    answer(m, m->token, tag, text, decimal_between(text, sizeof text, before, number, after));
    payload_free(&m->text);
    m->state = CHANGE_NONE;
    m->token = 0;
}

void membership_tell(struct membership *m, uint64_t token)
{
    const struct configuration *newest = &m->configurations->newest;
    if (m->newest.len == 0) {
        refuse(m, token, "ERR the cluster has not formed yet: that takes one leader, and every member heard once");
        return;
    }
    char head[128];
    size_t len = decimal_between(head, sizeof head, "slot ", newest->slot, "\ngoverns ");
    len += decimal_between(head + len, sizeof head - len, "", newest->governs, "\nsettled ");
    const char *settled = configurations_pending(m->configurations) ? "false\n" : "true\n";
    memcpy(head + len, settled, strlen(settled));
    len += strlen(settled);
    char *text = memory_new(len + m->newest.len, 1);
    memcpy(text, head, len);
    memcpy(text + len, payload_bytes(&m->newest), m->newest.len);
    answer(m, token, REPLY_BYTES, text, len + m->newest.len);
    free(text);
}

void membership_tell_node(struct membership *m, uint32_t node, const struct message *question)
{
    struct entry entry;
    const struct message told = configurations_answer(&m->configurations->newest, &m->newest, question, &entry);
    if (told.from <= question->from || m->newest.len == 0 || node_set_has(m->told, node))
        return;
    m->told |= node_set_of(node);
    effects_send(m->effects, node_set_of(node), effects_keep(m->effects, &told));
}

/* ---- What is known ---- */

static void keep(struct payload *kept, const struct payload *text)
{
    payload_free(kept);
    *kept = payload_copy(text);
}

/* Whether a text is the first configuration itself: the one with which a cluster forms changes no quorum. */
static bool is_first(const struct membership *m, const struct configuration *c)
{
    const struct configuration *first = &m->configurations->newest;
    return c->proposers == first->proposers && c->acceptors == first->acceptors && c->learners == first->learners &&
           c->phase1_quorum == first->phase1_quorum && c->phase2_quorum == first->phase2_quorum &&
           c->alpha == first->alpha && c->state_bytes_max == first->state_bytes_max && c->replaces == 0 && c->joining == 0;
}

void membership_known(struct membership *m, const struct configured *said)
{
    const struct configuration *newest = &m->configurations->newest;
    if (said->configuration.slot == 0 && newest->slot == 0 && is_first(m, &said->configuration))
        keep(&m->first, &said->text);
    if (said->configuration.slot == 0 || said->configuration.slot != newest->slot)
        return;
    keep(&m->newest, &said->text);
    payload_free(&m->first);
    if (m->state == CHANGE_PROPOSED && newest->slot == m->slot)
        end(m, REPLY_STATUS, "done: the configuration of slot ", newest->slot, " replaces the one before");
}

void membership_heard(struct membership *m, uint32_t learner, uint64_t room, uint64_t now)
{
    m->heard_at[learner] = now;
    m->room[learner] = room;
}

/* ---- Changes ---- */

/* Who would be there after a change. */
struct outlook {
    uint32_t proposing;           /* proposers that are heard: one of them can lead at once */
    uint32_t answering, quorum;   /* acceptors that answer this leader, of those that there would be; the larger quorum */
    uint32_t following, majority; /* learners that keep up, of those that would count */
};

/* A learner tells its progress at least every so many exec_intervals (learner_agent.c). */
enum { LONGEST_SILENCE = 10 };

/* Whether a learner was heard lately, and has executed about as much as a majority. */
static bool follows(const struct membership *m, uint32_t node, uint64_t now)
{
    const struct progress *p = m->election->progress;
    const uint64_t longest = m->config->dead_timeout + LONGEST_SILENCE * m->config->exec_interval;
    return m->heard_at[node] != 0 && now - m->heard_at[node] < longest &&
           p->executed[node] + m->configurations->newest.alpha >= progress_executed(p);
}

/* A newcomer that is promoted answers if its learner does. */
static struct outlook look_ahead(const struct membership *m, const struct configuration *next, uint64_t now)
{
    const struct election *e = m->election;
    const node_set counted = configuration_counted(next), newcomers = m->configurations->newest.joining & counted;
    struct outlook o = {.majority = node_set_count(counted) / 2 + 1};
    o.quorum = next->phase1_quorum > next->phase2_quorum ? next->phase1_quorum : next->phase2_quorum;
    o.proposing = node_set_count((election_heard(e, now) | node_set_of(m->config->node)) & next->proposers &
                                 e->acting.proposers & ~next->fresh);
    for (node_set i = next->acceptors & e->acting.acceptors & ~next->fresh; i != 0; i &= i - 1)
        o.answering += now - e->answered_at[node_set_first(i)] < e->config->dead_timeout;
    for (node_set i = counted & ~next->fresh; i != 0; i &= i - 1) {
        const bool is_there = follows(m, node_set_first(i), now);
        o.following += is_there;
        o.answering += is_there && node_set_has(newcomers & next->acceptors, node_set_first(i));
    }
    return o;
}

/* Whether the cluster goes on after a change: one can lead, a quorum answers, and enough learners hold what the change waits
 * for. */
static bool is_safe(const struct outlook *o)
{
    return o->proposing > 0 && o->answering >= o->quorum && o->following >= o->majority;
}

/* Two numbers among texts. */
static void say(struct membership *m, uint64_t token, uint8_t tag, const char *before, uint64_t found, const char *between,
                uint32_t needed, const char *after)
{
    char line[320];
    size_t len = decimal_between(line, sizeof line, before, found, between);
    len += decimal_between(line + len, sizeof line - len, "", needed, after);
    answer(m, token, tag, line, len);
}

/* The next configuration as a text; NULL: `*wrong` says why there is none. */
static struct configuration_text *make(const struct membership *m, const struct configuration_request *request,
                                       const char **wrong)
{
    struct configuration_text *from = memory_new(1, sizeof *from), *to = memory_new(1, sizeof *to);
    *wrong = configuration_read(payload_bytes(&m->newest), m->newest.len, from);
    if (*wrong == NULL)
        *wrong = configuration_change(from, m->configurations->newest.slot, request, to);
    free(from);
    if (*wrong == NULL)
        return to;
    free(to);
    return NULL;
}

/* Whether the newest configuration is the one that this leader has, so that it may be replaced. */
static bool may_change(const struct membership *m)
{
    const struct configurations *c = m->configurations;
    const bool acts = m->election->state == PROPOSER_LEADING && m->election->acting.slot == c->newest.slot;
    return acts && !configurations_pending(c) && m->state == CHANGE_NONE;
}

static void begin(struct membership *m, const struct configuration_text *text, uint64_t token, uint64_t now)
{
    m->text = configuration_pack(text);
    m->state = CHANGE_WAITING;
    m->token = token;
    m->until = now + m->config->request_timeout;
}

/* Another change is not over. It waits for learners that may be gone: one of them is named. */
static void refuse_for_now(struct membership *m, uint64_t token)
{
    static const char busy[] = "ERR another change is under way; ask again when it is done (SYNOD MEMBER LIST)";
    const struct configuration *newest = &m->configurations->newest;
    for (node_set i = configuration_counted(newest); configurations_pending(m->configurations) && i != 0; i &= i - 1) {
        const uint32_t node = node_set_first(i);
        if (m->election->progress->held[node] >= newest->governs)
            continue;
        say(m, token, REPLY_ERROR,
            "ERR another change is under way; ask again when it is done (SYNOD MEMBER LIST). It waits until a majority of the "
            "learners hold all before slot ",
            newest->governs, "; one that does not is node ", node, "");
        return;
    }
    refuse(m, token, busy);
}

/* A learner that has no memory for the state that there may be after a change; 0: each has, as far as is known. */
static uint32_t lacks_memory(const struct membership *m, const struct configuration *next)
{
    for (node_set i = next->learners; next->state_bytes_max > m->configurations->newest.state_bytes_max && i != 0;
         i &= i - 1)
        if (m->room[node_set_first(i)] < next->state_bytes_max)
            return node_set_first(i);
    return 0;
}

static void refuse_for_memory(struct membership *m, uint32_t node, uint64_t token)
{
    if (m->heard_at[node] == 0)
        say(m, token, REPLY_ERROR, "ERR not safe now: it is not known whether there is memory for such a state on node ",
            node, "; its room as far as is known: ", 0, " KiB. FORCE does it all the same");
    else
        say(m, token, REPLY_ERROR, "ERR not safe now: too little memory (memory_bytes_max) on node ", node,
            ", which has room for a state of ", (uint32_t)(m->room[node] >> 10),
            " KiB. FORCE does it all the same, but that node ends when the state gets larger, and does not start again");
}

/* Whether a change was refused, because the cluster would not go on after it as things are. */
static bool refuse_unsafe(struct membership *m, const struct configuration *next, const struct outlook *o, uint64_t token)
{
    const uint32_t lacking = lacks_memory(m, next);
    if (lacking == 0 && is_safe(o))
        return false;
    if (lacking != 0)
        refuse_for_memory(m, lacking, token);
    else if (o->proposing == 0)
        refuse(m, token,
               "ERR not safe now: of the proposers that there would be, none is heard. Add one first, or start one. FORCE "
               "does it all the same, but all stops until one is there");
    else if (o->answering < o->quorum)
        say(m, token, REPLY_ERROR, "ERR not safe now: of the acceptors that there would be, only ", o->answering,
            " answer, and a quorum would be ", o->quorum, ". FORCE does it all the same");
    else
        say(m, token, REPLY_ERROR, "ERR not safe now: of the learners that there would be, only ", o->following,
            " keep up, and a majority would be ", o->majority, ". FORCE does it all the same, but all stops until they do");
    return true;
}

/* Whether the disk that is to be replaced, by its number, is not the node's. Numbers only rise, so one below the node's was
 * replaced already; one above is known to others, and not to a leader that lost its place. */
static bool refuse_disk(struct membership *m, const struct operator_request *request, uint64_t token)
{
    struct configuration_text *newest = memory_new(1, sizeof *newest);
    const bool is_known = configuration_read(payload_bytes(&m->newest), m->newest.len, newest) == NULL;
    const struct member has = is_known ? newest->members[request->change.member.node] : (struct member){0};
    free(newest);
    if (has.node == 0 || has.number == request->disk)
        return false;
    const bool is_done = has.number > request->disk;
    say(m, token, is_done ? REPLY_STATUS : REPLY_ERROR,
        is_done ? "nothing was done: in the configuration of slot "
                : "ERR such a disk is not known yet; ask again: in the configuration of slot ",
        m->configurations->newest.slot, " the node has disk number ", has.number, "");
    return true;
}

void membership_ask(struct membership *m, const struct operator_request *request, uint64_t token, uint64_t now)
{
    const char *wrong;
    if (m->newest.len == 0) {
        refuse(m, token, "ERR the cluster has not formed yet: that takes one leader, and every member heard once");
        return;
    }
    if (request->names_disk && refuse_disk(m, request, token))
        return;
    if (!may_change(m)) {
        refuse_for_now(m, token);
        return;
    }
    struct configuration_text *text = make(m, &request->change, &wrong);
    if (text == NULL) {
        refuse(m, token, wrong);
        return;
    }
    const struct configuration next = configuration_of(text, m->configurations->newest.slot + 1);
    const struct outlook o = look_ahead(m, &next, now);
    const bool refused = !request->force && refuse_unsafe(m, &next, &o, token);
    if (!refused && request->dry_run)
        say(m, token, REPLY_STATUS, "it would be done: ", o.answering,
            " of the acceptors that there would be answer, and a quorum would be ", o.quorum, "");
    else if (!refused)
        begin(m, text, token, now);
    free(text);
}

/* A newcomer that has caught up becomes a full member, if it is there and the others are enough. */
static void promote(struct membership *m, uint64_t now)
{
    const struct configuration *newest = &m->configurations->newest;
    for (node_set i = newest->joining; i != 0; i &= i - 1) {
        const uint32_t node = node_set_first(i);
        const char *wrong;
        if (!follows(m, node, now))
            continue;
        const struct configuration_request request = {.verb = CONFIGURATION_PROMOTE, .member = {.node = node}};
        struct configuration_text *text = make(m, &request, &wrong);
        if (text == NULL)
            continue;
        const struct configuration next = configuration_of(text, newest->slot + 1);
        const struct outlook o = look_ahead(m, &next, now);
        if (is_safe(&o))
            begin(m, text, 0, 0);
        free(text);
        if (m->state != CHANGE_NONE)
            return;
    }
}

const struct payload *membership_next(struct membership *m, uint64_t now)
{
    const struct configuration *newest = &m->configurations->newest;
    if (newest->slot == 0 && m->first.len > 0 && may_change(m)) {
        m->text = payload_copy(&m->first);
        m->state = CHANGE_WAITING;
    } else if (newest->joining != 0 && may_change(m)) {
        promote(m, now);
    }
    const bool acts = m->election->acting.slot == newest->slot && !configurations_pending(m->configurations);
    return m->state == CHANGE_WAITING && acts ? &m->text : NULL;
}

void membership_proposed(struct membership *m, uint64_t slot)
{
    m->state = CHANGE_PROPOSED;
    m->slot = slot;
}

void membership_watch(struct membership *m, uint64_t known, uint64_t now)
{
    const uint64_t newest = m->configurations->newest.slot;
    if (m->state == CHANGE_NONE)
        return;
    if (m->state == CHANGE_PROPOSED && known > m->slot && newest < m->slot)
        end(m, REPLY_ERROR, "ERR another change was chosen first, in slot ", newest, "; nothing was done");
    else if (!election_is_led_here(m->election) && m->state == CHANGE_WAITING)
        end(m, REPLY_ERROR, "ERR this node leads no more; nothing was done. The newest configuration is that of slot ",
            newest, "");
    else if (!election_is_led_here(m->election))
        end(m, REPLY_ERROR, "ERR leadership was lost; it may be done or not: look at SYNOD MEMBER LIST. Proposed in slot ",
            m->slot, "");
    else if (m->token != 0 && now >= m->until) {
        refuse(m, m->token, "ERR no answer in time; it may still be done: look at SYNOD MEMBER LIST");
        m->token = 0;
    }
}
