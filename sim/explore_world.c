#include "sim/explore_world.h"

#include <assert.h>

#include "core/base/memory.h"
#include "sim/explore_listen.h"

static_assert(offsetof(struct explore_world, crashes) + sizeof(uint16_t) == sizeof(struct explore_world),
              "worlds are compared as bytes: no padding");

/* --- the model ---------------------------------------------------------------------------------------------------- */

/* All orders of the acceptors; the first one leaves them as they are. */
static void add_permutations(struct explore_model *m, uint8_t *names, uint32_t named)
{
    if (named == m->options->acceptors) {
        for (uint32_t i = 0; i < 2; i++)
            if (explore_renamed_set(explore_members(m->options, i), names) != explore_members(m->options, i))
                return; /* those that are members of one configuration only keep their names */
        memcpy(m->permutations[m->permutation_count++], names, named);
        return;
    }
    for (uint32_t name = 0; name < m->options->acceptors; name++) {
        if (memchr(names, (int)name, named) != NULL)
            continue;
        names[named] = (uint8_t)name;
        add_permutations(m, names, named + 1);
    }
}

void explore_model_init(struct explore_model *m, const struct explore_options *options)
{
    uint8_t names[EXPLORE_ACCEPTORS_MAX];
    *m = (struct explore_model){.options = options};
    explore_words_init(&m->words, options);
    explore_words_init(&m->labels, options);
    explore_part_init(&m->acceptors, &explore_acceptor, &m->words);
    explore_part_init(&m->proposers, &explore_proposer, &m->words);
    explore_part_init(&m->learners, &explore_learner, &m->labels);
    explore_part_init(&m->lagging, &explore_acceptor, &m->labels);
    explore_disks_init(&m->disks);
    explore_table_init(&m->leaders, sizeof(uint32_t));
    for (uint32_t b = 1; b <= EXPLORE_LABELS; b++)
        explore_ballot(&m->labels, (struct ballot){b, EXPLORE_FIRST_PROPOSER, 1});
    add_permutations(m, names, 0);
    m->proposers.permutations = m->permutations;
}

void explore_model_close(struct explore_model *m)
{
    explore_disks_close(&m->disks);
    explore_part_close(&m->acceptors);
    explore_part_close(&m->proposers);
    explore_part_close(&m->learners);
    explore_part_close(&m->lagging);
    explore_words_close(&m->words);
    explore_words_close(&m->labels);
    explore_table_close(&m->leaders);
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

size_t explore_world_bytes(const struct explore_options *o)
{
    return (size_t)o->acceptors * 4 + (size_t)o->proposers * 4 + (size_t)o->proposers * o->acceptors * 2 +
           (size_t)o->ballots * (2 + 2 * o->slots) + 1;
}

static void pack_renamed(struct explore_model *m, const struct explore_world *w, uint32_t permutation, uint8_t *bytes)
{
    const struct explore_options *o = m->options;
    const uint8_t *names = m->permutations[permutation];
    for (uint32_t a = 0; a < o->acceptors; a++)
        memcpy(bytes + (size_t)names[a] * 4, &w->acceptors[a], 4);
    bytes += (size_t)o->acceptors * 4;
    for (uint32_t p = 0; p < o->proposers; p++, bytes += 4) {
        uint32_t state = w->proposers[p];
        if (permutation != 0)
            state = explore_part_step(&m->proposers, state,
                                      (struct explore_event){.kind = EXPLORE_RENAME, .who = (uint8_t)permutation})
                        .next;
        memcpy(bytes, &state, 4);
    }
    for (uint32_t p = 0; p < o->proposers; p++, bytes += (size_t)o->acceptors * 2)
        for (uint32_t a = 0; a < o->acceptors; a++)
            memcpy(bytes + (size_t)names[a] * 2, &w->promises[p][a], 2);
    for (uint32_t b = 0; b < o->ballots; b++) {
        *bytes++ = w->sent[b].ballot;
        *bytes++ = w->sent[b].members;
        for (uint32_t s = 0; s < o->slots; s++) {
            *bytes++ = w->sent[b].values[s];
            *bytes++ = explore_renamed_set(w->sent[b].voters[s], names);
        }
    }
    *bytes = (uint8_t)w->crashes;
}

/* True when these names put the acceptors into the order of their states. With a change there are few names to choose from:
 * the least world that they lead to is taken. */
static bool sorts(const struct explore_model *m, const struct explore_world *w, const uint8_t *names)
{
    if (m->options->change != EXPLORE_NO_CHANGE)
        return true;
    uint32_t sorted[EXPLORE_ACCEPTORS_MAX];
    for (uint32_t a = 0; a < m->options->acceptors; a++)
        sorted[names[a]] = w->acceptors[a];
    for (uint32_t a = 1; a < m->options->acceptors; a++)
        if (sorted[a - 1] > sorted[a])
            return false;
    return true;
}

uint32_t explore_world_pack(struct explore_model *m, const struct explore_world *world, uint8_t *bytes)
{
    uint8_t other[EXPLORE_WORLD_BYTES];
    size_t size = explore_world_bytes(m->options);
    uint32_t best = EXPLORE_NONE;
    for (uint32_t i = 0; i < m->permutation_count; i++) {
        if (!sorts(m, world, m->permutations[i]))
            continue;
        if (best == EXPLORE_NONE) {
            pack_renamed(m, world, i, bytes);
            best = i;
            continue;
        }
        pack_renamed(m, world, i, other);
        if (memcmp(other, bytes, size) < 0) {
            memcpy(bytes, other, size);
            best = i;
        }
    }
    return best;
}

void explore_world_unpack(const struct explore_options *o, const uint8_t *bytes, struct explore_world *world)
{
    memset(world, 0, sizeof *world);
    memcpy(world->acceptors, bytes, (size_t)o->acceptors * 4);
    bytes += (size_t)o->acceptors * 4;
    memcpy(world->proposers, bytes, (size_t)o->proposers * 4);
    bytes += (size_t)o->proposers * 4;
    for (uint32_t p = 0; p < o->proposers; p++, bytes += (size_t)o->acceptors * 2)
        memcpy(world->promises[p], bytes, (size_t)o->acceptors * 2);
    for (uint32_t b = 0; b < o->ballots; b++) {
        world->sent[b].ballot = *bytes++;
        world->sent[b].members = *bytes++;
        for (uint32_t s = 0; s < o->slots; s++) {
            world->sent[b].values[s] = *bytes++;
            world->sent[b].voters[s] = *bytes++;
        }
    }
    world->crashes = *bytes;
}

/* --- what is said, and the rules that it must keep ---------------------------------------------------------------- */

static struct explore_sent *sent_at(struct explore_world *w, uint8_t ballot)
{
    for (uint32_t b = 0; b < EXPLORE_BALLOTS_MAX; b++)
        if (w->sent[b].ballot == ballot)
            return &w->sent[b];
    return NULL;
}

static bool is_quorum(uint8_t voters, uint8_t members)
{
    return node_set_count(voters & members) > node_set_count(members) / 2;
}

/* What is chosen in slot 1. */
static uint8_t chosen_first(const struct explore_model *m, const struct explore_world *w)
{
    const uint8_t members = explore_members(m->options, 0);
    for (uint32_t b = 0; b < m->options->ballots; b++)
        if (is_quorum(w->sent[b].voters[0], members))
            return w->sent[b].values[0];
    return EXPLORE_NO_VALUE;
}

static bool is_change(const struct explore_model *m, uint8_t value)
{
    return value >= EXPLORE_VALUES && value != EXPLORE_FOREIGN_VALUE &&
           m->words.ballots[explore_value_ballot(&m->words, value)].node == EXPLORE_FIRST_PROPOSER;
}

/* The acceptors whose majorities choose in a slot; with a change and before slot 1 is chosen, those of later ones are not
 * decided: 0. */
static uint8_t governing(const struct explore_model *m, const struct explore_world *w, uint32_t slot)
{
    if (m->options->change == EXPLORE_NO_CHANGE || slot == 1)
        return explore_members(m->options, 0);
    const uint8_t first = chosen_first(m, w);
    return first == EXPLORE_NO_VALUE ? 0 : explore_members(m->options, is_change(m, first));
}

static void check_agreement(struct explore_model *m, const struct explore_world *w, uint32_t slot)
{
    const struct explore_sent *chosen = NULL;
    const uint8_t members = governing(m, w, slot);
    for (uint32_t b = 0; b < m->options->ballots; b++) {
        const struct explore_sent *sent = &w->sent[b];
        if (!is_quorum(sent->voters[slot - 1], members))
            continue;
        if (chosen != NULL && chosen->values[slot - 1] != sent->values[slot - 1])
            explore_fail(
                m, EXPLORE_AGREEMENT, "slot %u: %s is chosen at ballot %s, and %s at ballot %s", slot,
                explore_value_text(&m->words, chosen->values[slot - 1]), explore_ballot_text(&m->words, chosen->ballot),
                explore_value_text(&m->words, sent->values[slot - 1]), explore_ballot_text(&m->words, sent->ballot));
        chosen = sent;
    }
}

static void take_ballot(struct explore_model *m, struct explore_world *w, uint32_t proposer, struct explore_event said)
{
    const uint8_t ballot = said.ballot;
    const struct ballot *ballots = m->words.ballots;
    uint32_t at = m->options->ballots - 1;
    if (sent_at(w, ballot) != NULL || ballots[ballot].node != EXPLORE_FIRST_PROPOSER + proposer) {
        explore_fail(m, EXPLORE_BALLOT_UNIQUE, "ballot %s was taken before, or is another's",
                     explore_ballot_text(&m->words, ballot));
        return;
    }
    for (; at > 0 && (w->sent[at - 1].ballot == 0 || ballot_compare(ballots[w->sent[at - 1].ballot], ballots[ballot]) > 0);
         at--)
        w->sent[at] = w->sent[at - 1];
    w->sent[at] = (struct explore_sent){.ballot = ballot, .members = explore_members(m->options, said.value)};
}

static void propose(struct explore_model *m, struct explore_world *w, uint8_t leading, struct explore_event said)
{
    struct explore_sent *sent = sent_at(w, said.ballot);
    const char *ballot = explore_ballot_text(&m->words, said.ballot);
    invariant(said.slot >= 1 && said.slot <= m->options->slots);
    if (said.ballot != leading || sent == NULL) {
        explore_fail(m, EXPLORE_BALLOT_UNIQUE, "ballot %s is not its own", ballot);
        return;
    }
    if (governing(m, w, said.slot) != sent->members)
        explore_fail(m, EXPLORE_CONFIGURATIONS, "ballot %s, prepared with another configuration, proposes for slot %u",
                     ballot, said.slot);
    uint8_t *value = &sent->values[said.slot - 1];
    bool known = said.value == EXPLORE_NOOP ||
                 (said.value != EXPLORE_FOREIGN_VALUE && sent_at(w, explore_value_ballot(&m->words, said.value)) != NULL &&
                  explore_value(&m->words, explore_value_ballot(&m->words, said.value), said.slot) == said.value);
    if (!known)
        explore_fail(m, EXPLORE_VALIDITY, "ballot %s proposes for slot %u what no client has sent", ballot, said.slot);
    if (*value != EXPLORE_NO_VALUE && *value != said.value)
        explore_fail(m, EXPLORE_ONE_VALUE_PER_BALLOT, "ballot %s proposes for slot %u %s, and %s", ballot, said.slot,
                     explore_value_text(&m->words, *value), explore_value_text(&m->words, said.value));
    *value = said.value;
}

/* A promise gets into the network if its proposer can still use it. Another one of the same acceptor's that is still there
 * came before it, or never will. */
static void promise(struct explore_model *m, struct explore_world *w, uint32_t acceptor, uint16_t number)
{
    uint8_t ballot = explore_promise_at(&m->words, number)->ballot;
    for (uint32_t p = 0; p < m->options->proposers; p++) {
        const struct explore_sight *sight = explore_part_sight(&m->proposers, w->proposers[p]);
        if (sight->mode == EXPLORE_PREPARING && sight->ballot == ballot && sight->wanted[acceptor] != 0)
            w->promises[p][acceptor] = number;
    }
}

/* An acceptor takes a step, and what it says gets into the network. */
static void answer(struct explore_model *m, struct explore_world *w, uint32_t acceptor, const struct explore_step *step)
{
    w->acceptors[acceptor] = step->next;
    if (step->broken != EXPLORE_CHECKS)
        explore_fail(m, step->broken, EXPLORE_NOT_DURABLE);
    for (uint32_t i = 0; i < step->count; i++) {
        struct explore_event said = m->acceptors.said[step->said + i];
        if (said.kind == EXPLORE_PROMISE) {
            promise(m, w, acceptor, explore_promise_number(said));
            continue;
        }
        struct explore_sent *sent = sent_at(w, said.ballot);
        invariant(sent != NULL);
        sent->voters[said.slot - 1] |= (uint8_t)(1 << acceptor);
        for (uint32_t slot = said.slot; slot <= m->options->slots; slot++)
            if (slot == said.slot || m->options->change != EXPLORE_NO_CHANGE)
                check_agreement(m, w, slot);
    }
}

/* Removes promises from the network that their proposer can no longer use, after checking that. */
static void drop_promises(struct explore_model *m, struct explore_world *w, uint32_t proposer)
{
    uint32_t state = w->proposers[proposer];
    for (uint32_t a = 0; a < m->options->acceptors; a++) {
        uint16_t number = w->promises[proposer][a];
        if (number == 0)
            continue;
        struct explore_step step = explore_part_step(&m->proposers, state, explore_promise_event(a, number));
        if (!explore_step_is_idle(&step, state))
            explore_fail(m, EXPLORE_PREMISE, "P%u uses a promise that should have no effect any more", proposer + 1);
        w->promises[proposer][a] = 0;
    }
}

static void absorb_proposer(struct explore_model *m, struct explore_world *w, uint32_t proposer,
                            const struct explore_step *step)
{
    struct explore_sight before = *explore_part_sight(&m->proposers, w->proposers[proposer]);
    struct explore_sight now = *explore_part_sight(&m->proposers, step->next);
    w->proposers[proposer] = step->next;
    for (uint32_t i = 0; i < step->count; i++) {
        struct explore_event said = m->proposers.said[step->said + i];
        if (said.kind == EXPLORE_TAKEN)
            take_ballot(m, w, proposer, said);
        else
            propose(m, w, now.ballot, said);
    }
    if (now.mode != before.mode || now.ballot != before.ballot)
        drop_promises(m, w, proposer);
    const bool elected = now.mode == EXPLORE_LEADING && before.mode == EXPLORE_PREPARING;
    if (elected && m->options->change == EXPLORE_NO_CHANGE)
        explore_leader_check(m, step->next);
}

/* --- moves -------------------------------------------------------------------------------------------------------- */

struct moves {
    struct explore_model *m;
    const struct explore_world *world;
    explore_visit *visit;
    void *context;
    bool over;
};

static void offer(struct moves *it, const struct explore_move *move, const struct explore_world *next)
{
    if (!it->over && (it->m->failed != NULL || memcmp(next, it->world, sizeof *next) != 0))
        it->over = !it->visit(it->context, move, next);
}

static void move_proposer(struct moves *it, const struct explore_move *move, const struct explore_step *step)
{
    struct explore_world next = *it->world;
    if (move->kind == MOVE_PROMISE)
        next.promises[move->proposer][move->acceptor] = 0;
    if (move->kind == MOVE_COME_BACK)
        next.crashes--;
    absorb_proposer(it->m, &next, move->proposer, step);
    offer(it, move, &next);
}

/* A proposer may take a ballot at any time, having heard of any other ballot or none; those with the same result are tried
 * once. A crash means that it forgets everything; it has no effect before the proposer takes its next ballot. */
static void take_ballots(struct moves *it, uint8_t proposer, bool crashes)
{
    struct explore_part *part = &it->m->proposers;
    struct explore_move move = {.kind = crashes ? MOVE_COME_BACK : MOVE_TAKE_BALLOT, .proposer = proposer};
    uint32_t state = it->world->proposers[proposer];
    uint32_t tried[EXPLORE_BALLOTS_MAX + 1];
    uint32_t count = 0;
    if (crashes)
        state = explore_part_step(part, state, (struct explore_event){.kind = EXPLORE_CRASH}).next;
    for (uint32_t b = 0; b <= it->m->options->ballots; b++) {
        uint8_t above = b == 0 ? 0 : it->world->sent[b - 1].ballot;
        if (b > 0 && above == 0)
            break;
        struct explore_step step = explore_part_step(part, state, explore_prepare_event(above, 0));
        uint32_t i = 0;
        while (i < count && tried[i] != step.next)
            i++;
        if (i < count)
            continue;
        tried[count++] = step.next;
        move.ballot = explore_part_sight(part, step.next)->ballot;
        move_proposer(it, &move, &step);
    }
}

/* A leader gets the votes of an acceptor. Only if that lets it propose more: see sim/explore_listen.h. */
static void get_votes(struct moves *it, uint8_t proposer, uint8_t acceptor, uint8_t ballot)
{
    struct explore_move move = {.kind = MOVE_ACCEPTED, .proposer = proposer, .acceptor = acceptor, .ballot = ballot};
    uint32_t state = it->world->proposers[proposer];
    struct explore_world world = *it->world;
    const struct explore_sent *sent = sent_at(&world, ballot);
    for (uint32_t slot = 1; slot <= it->m->options->slots; slot++) {
        if ((sent->voters[slot - 1] >> acceptor & 1) == 0)
            continue;
        struct explore_event vote = explore_accepted_event(acceptor, ballot, slot);
        struct explore_step step = explore_part_step(&it->m->proposers, state, vote);
        move.slot = vote.slot;
        move_proposer(it, &move, &step);
    }
}

static void learn(struct moves *it, uint8_t proposer)
{
    struct explore_move move = {.kind = MOVE_LEARN, .proposer = proposer};
    const uint32_t state = it->world->proposers[proposer];
    const uint8_t chosen = chosen_first(it->m, it->world);
    if (chosen == EXPLORE_NO_VALUE || explore_part_sight(&it->m->proposers, state)->knows != EXPLORE_NOTHING)
        return;
    const struct explore_event event = {.kind = EXPLORE_LEARN, .slot = 1, .value = is_change(it->m, chosen)};
    const struct explore_step step = explore_part_step(&it->m->proposers, state, event);
    move_proposer(it, &move, &step);
}

static void proposer_moves(struct moves *it, uint8_t proposer)
{
    const struct explore_options *o = it->m->options;
    uint32_t state = it->world->proposers[proposer];
    struct explore_sight sight = *explore_part_sight(&it->m->proposers, state);
    if (it->world->sent[o->ballots - 1].ballot == 0) {
        take_ballots(it, proposer, false);
        if (it->world->crashes > 0 && sight.mode != EXPLORE_IDLE)
            take_ballots(it, proposer, true);
    }
    if (o->change != EXPLORE_NO_CHANGE)
        learn(it, proposer);
    for (uint32_t a = 0; a < o->acceptors; a++) {
        uint16_t number = it->world->promises[proposer][a];
        if (number != 0) {
            struct explore_move move = {
                .kind = MOVE_PROMISE, .proposer = proposer, .acceptor = (uint8_t)a, .ballot = sight.ballot};
            struct explore_step step = explore_part_step(&it->m->proposers, state, explore_promise_event(a, number));
            move_proposer(it, &move, &step);
        }
        if (sight.mode == EXPLORE_LEADING && !explore_votes_are_apart(o))
            get_votes(it, proposer, (uint8_t)a, sight.ballot);
    }
}

/* An acceptor gets a message, and its disk is done at once. */
static void move_acceptor(struct moves *it, uint8_t kind, uint8_t acceptor, struct explore_event message)
{
    struct explore_move move = {.kind = kind, .acceptor = acceptor, .ballot = message.ballot, .slot = message.slot};
    uint32_t state = it->world->acceptors[acceptor];
    message.who = 1;
    struct explore_step step = explore_part_step(&it->m->acceptors, state, message);
    if (explore_step_is_idle(&step, state))
        return;
    struct explore_world next = *it->world;
    answer(it->m, &next, acceptor, &step);
    offer(it, &move, &next);
}

/* An acceptor gets messages while its disk is behind, and crashes. */
static void crash_acceptor(struct moves *it, const struct explore_move *move)
{
    struct explore_event events[EXPLORE_MESSAGES_MAX + 1];
    struct explore_world next = *it->world;
    uint32_t count = explore_disk_messages(it->m, it->world, move->acceptor, move->outcome, events);
    events[count++] = (struct explore_event){.kind = EXPLORE_CRASH};
    for (uint32_t i = 0; i < count; i++) {
        struct explore_step step = explore_part_step(&it->m->acceptors, next.acceptors[move->acceptor], events[i]);
        answer(it->m, &next, move->acceptor, &step);
    }
    next.crashes--;
    offer(it, move, &next);
}

static void acceptor_moves(struct moves *it, uint8_t acceptor)
{
    const struct explore_world *w = it->world;
    for (uint32_t b = 0; b < it->m->options->ballots && w->sent[b].ballot != 0; b++) {
        const struct explore_sent *sent = &w->sent[b];
        if ((sent->members >> acceptor & 1) == 0)
            continue;
        struct explore_event message =
            explore_prepare_event(sent->ballot, explore_world_wanted(it->m, w, sent->ballot, acceptor));
        move_acceptor(it, MOVE_PREPARE, acceptor, message);
        for (uint32_t slot = 1; slot <= it->m->options->slots; slot++) {
            message = explore_accept_event(sent->ballot, slot, sent->values[slot - 1]);
            if (message.value != EXPLORE_NO_VALUE)
                move_acceptor(it, MOVE_ACCEPT, acceptor, message);
        }
    }
    if (w->crashes == 0 || it->over)
        return;
    struct explore_outcomes outcomes = explore_disk_outcomes(it->m, w, acceptor);
    for (uint32_t i = 0; i < outcomes.count; i++) {
        struct explore_move move = {.kind = MOVE_CRASH, .acceptor = acceptor, .outcome = outcomes.first + i};
        crash_acceptor(it, &move);
    }
}

void explore_world_moves(struct explore_model *m, const struct explore_world *world, explore_visit *visit, void *context)
{
    struct moves it = {.m = m, .world = world, .visit = visit, .context = context};
    for (uint32_t p = 0; p < m->options->proposers && !it.over; p++)
        proposer_moves(&it, (uint8_t)p);
    for (uint32_t a = 0; a < m->options->acceptors && !it.over; a++)
        acceptor_moves(&it, (uint8_t)a);
}

void explore_world_init(struct explore_model *m, struct explore_world *world)
{
    memset(world, 0, sizeof *world);
    uint32_t acceptor = explore_part_root(&m->acceptors, 0); /* an acceptor does not know its name */
    for (uint32_t a = 0; a < m->options->acceptors; a++)
        world->acceptors[a] = acceptor;
    for (uint32_t p = 0; p < m->options->proposers; p++)
        world->proposers[p] = explore_part_root(&m->proposers, p);
    world->crashes = (uint16_t)m->options->crashes;
}
