#include "sim/explore_world.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/memory.h"
#include "sim/explore_listen.h"

/* An acceptor's state in the company of these ballots. */
struct labelling {
    uint32_t state;
    uint8_t ballots[EXPLORE_BALLOTS_MAX];
};

/* --- the model ---------------------------------------------------------------------------------------------------- */

/* All orders of the acceptors; the first one leaves them as they are. */
static void add_permutations(struct explore_model *m, uint8_t *names, uint32_t named)
{
    if (named == m->options->acceptors) {
        memcpy(m->permutations[m->permutation_count++], names, named);
        return;
    }
    for (uint8_t name = 0; name < m->options->acceptors; name++) {
        if (memchr(names, name, named) != NULL)
            continue;
        names[named] = name;
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
    explore_table_init(&m->labelled, sizeof(struct labelling));
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
    explore_table_close(&m->labelled);
    free(m->labelled_as);
    explore_words_close(&m->words);
    explore_words_close(&m->labels);
    explore_table_close(&m->leaders);
}

static const char *const check_names[EXPLORE_CHECKS] = {
    [EXPLORE_AGREEMENT] = "Agreement",
    [EXPLORE_VALIDITY] = "Validity",
    [EXPLORE_ONE_VALUE_PER_BALLOT] = "OneValuePerBallot",
    [EXPLORE_BALLOT_UNIQUE] = "BallotUnique",
    [EXPLORE_PROMISE_DURABLE] = "PromiseDurable",
    [EXPLORE_VOTE_DURABLE] = "VoteDurable",
    [EXPLORE_CHOSEN_TRUE] = "ChosenTrue",
    [EXPLORE_PREMISE] = "Premise",
};

const char *explore_check_name(enum explore_check check) { return check_names[check]; }

void explore_fail(struct explore_model *m, uint8_t check, const char *format, ...)
{
    if (m->failed != NULL || (m->options->unchecked >> check & 1) != 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(m->text, sizeof m->text, format, arguments);
    va_end(arguments);
    m->failed = check_names[check];
}

/* --- in words ----------------------------------------------------------------------------------------------------- */

static char *text_buffer(size_t *size)
{
    static char buffers[8][64];
    static size_t turn;
    *size = sizeof buffers[0];
    return buffers[turn++ % 8];
}

const char *explore_ballot_text(const struct explore_words *words, uint8_t ballot)
{
    size_t size;
    char *text = text_buffer(&size);
    struct ballot b = words->ballots[ballot];
    int len = snprintf(text, size, "%llu.P%u", (unsigned long long)b.round, b.node - EXPLORE_FIRST_PROPOSER + 1);
    if (b.incarnation > 1)
        snprintf(text + len, size - (size_t)len, ".%u", b.incarnation);
    return text;
}

const char *explore_value_text(const struct explore_words *words, uint8_t value)
{
    size_t size;
    char *text = text_buffer(&size);
    if (value == EXPLORE_NOOP)
        snprintf(text, size, "a no-op");
    else if (value < EXPLORE_VALUES || value == EXPLORE_FOREIGN_VALUE)
        snprintf(text, size, "a value that no client has sent");
    else
        snprintf(text, size, "the value of %s", explore_ballot_text(words, explore_value_ballot(words, value)));
    return text;
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

size_t explore_world_bytes(const struct explore_options *o)
{
    return (size_t)o->acceptors * 4 + (size_t)o->proposers * 4 + (size_t)o->proposers * o->acceptors * 2 +
           (size_t)o->ballots * (1 + 2 * o->slots) + 1;
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
        for (uint32_t s = 0; s < o->slots; s++) {
            *bytes++ = w->sent[b].values[s];
            *bytes++ = explore_renamed_set(w->sent[b].voters[s], names);
        }
    }
    *bytes = w->crashes;
}

/* True when these names bring the acceptors in the order of their states. */
static bool sorts(const struct explore_model *m, const struct explore_world *w, const uint8_t *names)
{
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
        for (uint32_t s = 0; s < o->slots; s++) {
            world->sent[b].values[s] = *bytes++;
            world->sent[b].voters[s] = *bytes++;
        }
    }
    world->crashes = *bytes;
}

/* --- what is said, and the rules that it must keep ---------------------------------------------------------------- */

static uint32_t quorum(const struct explore_model *m) { return m->options->acceptors / 2 + 1; }

static struct explore_sent *sent_at(struct explore_world *w, uint8_t ballot)
{
    for (uint32_t b = 0; b < EXPLORE_BALLOTS_MAX; b++)
        if (w->sent[b].ballot == ballot)
            return &w->sent[b];
    return NULL;
}

static void check_agreement(struct explore_model *m, const struct explore_world *w, uint32_t slot)
{
    const struct explore_sent *chosen = NULL;
    for (uint32_t b = 0; b < m->options->ballots; b++) {
        const struct explore_sent *sent = &w->sent[b];
        if (node_set_count(sent->voters[slot - 1]) < quorum(m))
            continue;
        if (chosen != NULL && chosen->values[slot - 1] != sent->values[slot - 1])
            explore_fail(m, EXPLORE_AGREEMENT, "slot %u: %s is chosen at ballot %s, and %s at ballot %s", slot,
                         explore_value_text(&m->words, chosen->values[slot - 1]),
                         explore_ballot_text(&m->words, chosen->ballot),
                         explore_value_text(&m->words, sent->values[slot - 1]),
                         explore_ballot_text(&m->words, sent->ballot));
        chosen = sent;
    }
}

static void take_ballot(struct explore_model *m, struct explore_world *w, uint32_t proposer, uint8_t ballot)
{
    const struct ballot *ballots = m->words.ballots;
    uint32_t at = m->options->ballots - 1;
    if (sent_at(w, ballot) != NULL || ballots[ballot].node != EXPLORE_FIRST_PROPOSER + proposer) {
        explore_fail(m, EXPLORE_BALLOT_UNIQUE, "ballot %s was taken before, or is another's",
                     explore_ballot_text(&m->words, ballot));
        return;
    }
    for (; at > 0 && (w->sent[at - 1].ballot == 0 || ballot_compare(ballots[w->sent[at - 1].ballot], ballots[ballot]) > 0); at--)
        w->sent[at] = w->sent[at - 1];
    w->sent[at] = (struct explore_sent){.ballot = ballot};
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

/* A promise gets into the network when its proposer may still make something of it. */
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
        explore_fail(m, step->broken, "what a crash would leave does not hold all that was answered");
    for (uint32_t i = 0; i < step->count; i++) {
        struct explore_event said = m->acceptors.said[step->said + i];
        if (said.kind == EXPLORE_PROMISE) {
            promise(m, w, acceptor, explore_promise_number(said));
            continue;
        }
        struct explore_sent *sent = sent_at(w, said.ballot);
        invariant(sent != NULL);
        sent->voters[said.slot - 1] |= (uint8_t)(1 << acceptor);
        check_agreement(m, w, said.slot);
    }
}

/* Takes promises to a proposer that can make nothing of them any more out of the network, having seen that it is so. */
static void drop_promises(struct explore_model *m, struct explore_world *w, uint32_t proposer)
{
    uint32_t state = w->proposers[proposer];
    for (uint32_t a = 0; a < m->options->acceptors; a++) {
        uint16_t number = w->promises[proposer][a];
        if (number == 0)
            continue;
        struct explore_step step = explore_part_step(&m->proposers, state, explore_promise_event((uint8_t)a, number));
        if (!explore_step_is_idle(&step, state))
            explore_fail(m, EXPLORE_PREMISE, "P%u heeds a promise that should be nothing to it any more", proposer + 1);
        w->promises[proposer][a] = 0;
    }
}

static void absorb_proposer(struct explore_model *m, struct explore_world *w, uint32_t proposer, const struct explore_step *step)
{
    struct explore_sight before = *explore_part_sight(&m->proposers, w->proposers[proposer]);
    struct explore_sight now = *explore_part_sight(&m->proposers, step->next);
    w->proposers[proposer] = step->next;
    for (uint32_t i = 0; i < step->count; i++) {
        struct explore_event said = m->proposers.said[step->said + i];
        if (said.kind == EXPLORE_TAKEN)
            take_ballot(m, w, proposer, said.ballot);
        else
            propose(m, w, now.ballot, said);
    }
    if (now.mode != before.mode || now.ballot != before.ballot)
        drop_promises(m, w, proposer);
    if (now.mode == EXPLORE_LEADING && before.mode == EXPLORE_PREPARING)
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

/* A proposer may take a ballot at any time, having heard of any other ballot or none; those that come to the same are tried once.
 * A crash means that it forgets all that it had; it comes to nothing before the proposer takes its next ballot. */
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
        struct explore_step step =
            explore_part_step(part, state, (struct explore_event){.kind = EXPLORE_PREPARE, .ballot = above});
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

/* A leader gets the votes of an acceptor. Only when it may propose more for having heard them: see sim/explore_listen.h. */
static void get_votes(struct moves *it, uint8_t proposer, uint8_t acceptor, uint8_t ballot)
{
    uint32_t state = it->world->proposers[proposer];
    struct explore_world world = *it->world;
    const struct explore_sent *sent = sent_at(&world, ballot);
    for (uint8_t slot = 1; slot <= it->m->options->slots; slot++) {
        struct explore_event vote = {.kind = EXPLORE_ACCEPTED, .who = acceptor, .slot = slot, .ballot = ballot};
        struct explore_move move = {
            .kind = MOVE_ACCEPTED, .proposer = proposer, .acceptor = acceptor, .slot = slot, .ballot = ballot};
        if ((sent->voters[slot - 1] >> acceptor & 1) == 0)
            continue;
        struct explore_step step = explore_part_step(&it->m->proposers, state, vote);
        move_proposer(it, &move, &step);
    }
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
    for (uint8_t a = 0; a < o->acceptors; a++) {
        uint16_t number = it->world->promises[proposer][a];
        if (number != 0) {
            struct explore_move move = {
                .kind = MOVE_PROMISE, .proposer = proposer, .acceptor = a, .ballot = sight.ballot};
            struct explore_step step = explore_part_step(&it->m->proposers, state, explore_promise_event(a, number));
            move_proposer(it, &move, &step);
        }
        if (sight.mode == EXPLORE_LEADING && !explore_votes_are_apart(o))
            get_votes(it, proposer, a, sight.ballot);
    }
}

/* The first slot that a PREPARE of this ballot asks an acceptor for. */
static uint8_t wanted(const struct explore_model *m, const struct explore_world *w, uint8_t ballot, uint32_t acceptor)
{
    for (uint32_t p = 0; p < m->options->proposers; p++) {
        const struct explore_sight *sight = explore_part_sight(&m->proposers, w->proposers[p]);
        if (sight->ballot == ballot && sight->mode == EXPLORE_PREPARING && sight->wanted[acceptor] != 0)
            return sight->wanted[acceptor];
    }
    return 1;
}

/* What an acceptor's state is in labels: the ballots of the world and those that the acceptor went through, in their order. */
static struct explore_labelled labelled(struct explore_model *m, const struct explore_world *w, uint32_t acceptor)
{
    struct labelling key = {.state = w->acceptors[acceptor]};
    for (uint32_t b = 0; b < EXPLORE_BALLOTS_MAX; b++)
        key.ballots[b] = w->sent[b].ballot;
    bool is_new;
    uint32_t number = explore_table_put(&m->labelled, &key, &is_new);
    if (!is_new)
        return m->labelled_as[number];
    bool occurs[EXPLORE_BALLOT_NAMES] = {0};
    uint8_t labels[EXPLORE_BALLOT_NAMES] = {0};
    for (uint32_t b = 0; b < EXPLORE_BALLOTS_MAX; b++)
        occurs[key.ballots[b]] = true;
    for (uint32_t state = key.state; m->acceptors.origins[state].before != EXPLORE_NONE;
         state = m->acceptors.origins[state].before)
        occurs[explore_unpack(m->acceptors.origins[state].input).ballot] = true;
    for (uint32_t b = 1; b < m->words.ballot_count; b++)
        for (uint32_t other = 1; occurs[b] && other < m->words.ballot_count; other++)
            if (occurs[other] && ballot_compare(m->words.ballots[other], m->words.ballots[b]) <= 0)
                labels[b]++;
    struct explore_labelled result = {.state = explore_disk_label(m, key.state, labels)};
    for (uint32_t b = 0; b < EXPLORE_BALLOTS_MAX; b++)
        result.labels[b] = labels[key.ballots[b]];
    m->labelled_as = memory_reserve(m->labelled_as, &m->labelled_capacity, (size_t)number + 1, sizeof *m->labelled_as);
    m->labelled_as[number] = result;
    return result;
}

/* The message of the world that `e` is in labels. */
static struct explore_event message_of(const struct explore_world *w, const struct explore_labelled *as, struct explore_event e)
{
    uint32_t b = 0;
    while (as->labels[b] != e.ballot)
        b++;
    e.ballot = w->sent[b].ballot;
    if (e.kind == EXPLORE_ACCEPT)
        e.value = w->sent[b].values[e.slot - 1];
    return e;
}

/* An acceptor gets a message, and its disk is done at once. */
static void move_acceptor(struct moves *it, const struct explore_move *move, struct explore_event message)
{
    uint32_t state = it->world->acceptors[move->acceptor];
    message.who = 1;
    struct explore_step step = explore_part_step(&it->m->acceptors, state, message);
    if (explore_step_is_idle(&step, state))
        return;
    struct explore_world next = *it->world;
    answer(it->m, &next, move->acceptor, &step);
    offer(it, move, &next);
}

/* An acceptor gets messages while its disk is behind, and crashes. */
static void crash_acceptor(struct moves *it, const struct explore_move *move, const struct explore_labelled *as)
{
    struct explore_outcome outcome = it->m->disks.outcomes[move->outcome];
    struct explore_world next = *it->world;
    outcome.messages[outcome.count++] = (struct explore_event){.kind = EXPLORE_CRASH};
    for (uint32_t i = 0; i < outcome.count; i++) {
        struct explore_event e = outcome.messages[i];
        if (e.kind != EXPLORE_CRASH)
            e = message_of(it->world, as, e);
        struct explore_step step = explore_part_step(&it->m->acceptors, next.acceptors[move->acceptor], e);
        answer(it->m, &next, move->acceptor, &step);
    }
    next.crashes--;
    offer(it, move, &next);
}

static void acceptor_crashes(struct moves *it, uint8_t acceptor)
{
    const struct explore_world *w = it->world;
    struct explore_labelled as = labelled(it->m, w, acceptor);
    struct explore_inbox inbox = {.state = as.state};
    for (uint32_t b = 0; b < it->m->options->ballots && w->sent[b].ballot != 0; b++) {
        inbox.letters[b].label = as.labels[b];
        inbox.letters[b].wanted = wanted(it->m, w, w->sent[b].ballot, acceptor);
        for (uint32_t s = 0; s < it->m->options->slots; s++)
            if (w->sent[b].values[s] != EXPLORE_NO_VALUE)
                inbox.letters[b].proposed |= (uint8_t)(1 << s);
    }
    struct explore_outcomes outcomes = explore_disk_outcomes(it->m, &inbox);
    for (uint32_t i = 0; i < outcomes.count; i++) {
        struct explore_move move = {.kind = MOVE_CRASH, .acceptor = acceptor, .outcome = outcomes.first + i};
        crash_acceptor(it, &move, &as);
    }
}

static void acceptor_moves(struct moves *it, uint8_t acceptor)
{
    const struct explore_world *w = it->world;
    for (uint32_t b = 0; b < it->m->options->ballots && w->sent[b].ballot != 0; b++) {
        struct explore_move move = {.kind = MOVE_PREPARE, .acceptor = acceptor, .ballot = w->sent[b].ballot};
        move.slot = wanted(it->m, w, move.ballot, acceptor);
        move_acceptor(it, &move,
                      (struct explore_event){.kind = EXPLORE_PREPARE, .ballot = move.ballot, .slot = move.slot});
        move.kind = MOVE_ACCEPT;
        for (move.slot = 1; move.slot <= it->m->options->slots; move.slot++) {
            uint8_t value = w->sent[b].values[move.slot - 1];
            if (value != EXPLORE_NO_VALUE)
                move_acceptor(it, &move,
                              (struct explore_event){
                                  .kind = EXPLORE_ACCEPT, .ballot = move.ballot, .slot = move.slot, .value = value});
        }
    }
    if (w->crashes > 0)
        acceptor_crashes(it, acceptor);
}

void explore_world_moves(struct explore_model *m, const struct explore_world *world, explore_visit *visit, void *context)
{
    struct moves it = {.m = m, .world = world, .visit = visit, .context = context};
    for (uint8_t p = 0; p < m->options->proposers && !it.over; p++)
        proposer_moves(&it, p);
    for (uint8_t a = 0; a < m->options->acceptors && !it.over; a++)
        acceptor_moves(&it, a);
}

void explore_world_init(struct explore_model *m, struct explore_world *world)
{
    memset(world, 0, sizeof *world);
    uint32_t acceptor = explore_part_root(&m->acceptors, 0); /* an acceptor does not know its name */
    for (uint32_t a = 0; a < m->options->acceptors; a++)
        world->acceptors[a] = acceptor;
    for (uint32_t p = 0; p < m->options->proposers; p++)
        world->proposers[p] = explore_part_root(&m->proposers, p);
    world->crashes = (uint8_t)m->options->crashes;
}

/* --- in words: moves */

/* An acceptor's messages are told one by one, for its disk is behind. */
static void crash_text(struct explore_model *m, const struct explore_world *w, const struct explore_move *move,
                       const uint8_t *names, explore_line *line, void *context)
{
    const struct explore_outcome *outcome = &m->disks.outcomes[move->outcome];
    struct explore_labelled labels = labelled(m, w, move->acceptor);
    unsigned acceptor = names[move->acceptor] + 1u;
    char text[128];
    for (uint32_t i = 0; i < outcome->count; i++) {
        struct explore_event e = message_of(w, &labels, outcome->messages[i]);
        const char *ballot = explore_ballot_text(&m->words, e.ballot);
        if (e.kind == EXPLORE_PREPARE)
            snprintf(text, sizeof text, "A%u gets PREPARE %s; its disk is behind", acceptor, ballot);
        else
            snprintf(text, sizeof text, "A%u gets ACCEPT %s for slot %u; its disk is behind", acceptor, ballot, e.slot);
        line(context, text);
    }
    snprintf(text, sizeof text, "A%u crashes and comes back", acceptor);
    line(context, text);
}

void explore_move_text(struct explore_model *m, const struct explore_world *world, const struct explore_move *move,
                       const uint8_t *names, explore_line *line, void *context)
{
    unsigned proposer = move->proposer + 1u, acceptor = names[move->acceptor] + 1u;
    const char *ballot = explore_ballot_text(&m->words, move->ballot);
    char text[128];
    switch (move->kind) {
    case MOVE_TAKE_BALLOT:
        snprintf(text, sizeof text, "P%u takes ballot %s", proposer, ballot);
        break;
    case MOVE_COME_BACK:
        snprintf(text, sizeof text, "P%u crashes, comes back, and takes ballot %s", proposer, ballot);
        break;
    case MOVE_PROMISE:
        snprintf(text, sizeof text, "P%u gets the promise of A%u for ballot %s", proposer, acceptor, ballot);
        break;
    case MOVE_ACCEPTED:
        snprintf(text, sizeof text, "P%u gets the vote of A%u at ballot %s for slot %u", proposer, acceptor, ballot, move->slot);
        break;
    case MOVE_PREPARE:
        snprintf(text, sizeof text, "A%u gets PREPARE %s", acceptor, ballot);
        break;
    case MOVE_ACCEPT:
        snprintf(text, sizeof text, "A%u gets ACCEPT %s for slot %u", acceptor, ballot, move->slot);
        break;
    default:
        crash_text(m, world, move, names, line, context);
        return;
    }
    line(context, text);
}

