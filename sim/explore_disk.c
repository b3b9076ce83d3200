#include "sim/explore_disk.h"

#include "core/base/memory.h"
#include "sim/explore_world.h"

/* An acceptor's state, and the ballots of its world. */
struct labelling {
    uint32_t state;
    uint8_t ballots[EXPLORE_BALLOTS_MAX];
};

/* An acceptor, and the messages that it may get. */
struct inbox {
    uint32_t state; /* of m->lagging */
    struct letters {
        uint8_t label;    /* of the ballot; 0: there is no such ballot */
        uint8_t wanted;   /* first slot that its PREPARE asks for */
        uint8_t proposed; /* bit s - 1: its leader has proposed something in slot s */
        uint8_t unused;
    } letters[EXPLORE_BALLOTS_MAX];
};

/* The states that an acceptor may reach while its disk is behind, and how. Number 0 is the one before that. */
struct falling {
    struct inbox inbox;
    struct explore_table states;
    struct fallen {
        uint32_t before; /* number */
        struct explore_event message;
        bool spoke; /* since the disk fell behind */
    } *fallen;
    size_t fallen_capacity;
};

void explore_disks_init(struct explore_disks *d)
{
    *d = (struct explore_disks){0};
    explore_table_init(&d->inboxes, sizeof(struct inbox));
    explore_table_init(&d->labellings, sizeof(struct labelling));
}

void explore_disks_close(struct explore_disks *d)
{
    explore_table_close(&d->inboxes);
    explore_table_close(&d->labellings);
    free(d->by_inbox);
    free(d->outcomes);
    free(d->labelled);
}

/* --- labels ------------------------------------------------------------------------------------------------------- */

/* The state of m->lagging for an acceptor's state when ballots have these labels. */
static uint32_t label_state(struct explore_model *m, uint32_t state, const uint8_t *labels)
{
    struct explore_origin origin = m->acceptors.origins[state];
    if (origin.before == EXPLORE_NONE)
        return explore_part_root(&m->lagging, origin.input);
    struct explore_event input = explore_unpack(origin.input);
    input.ballot = labels[input.ballot];
    if (input.kind == EXPLORE_ACCEPT)
        input.value = explore_value(&m->labels, input.ballot, input.slot);
    return explore_part_step(&m->lagging, label_state(m, origin.before, labels), input).next;
}

/* Labels for the ballots of the world and for those that led to the acceptor's state, in their order. */
static struct explore_labelled label(struct explore_model *m, const struct explore_world *w, uint32_t acceptor)
{
    struct labelling key = {.state = w->acceptors[acceptor]};
    struct explore_disks *d = &m->disks;
    bool is_new;
    for (uint32_t b = 0; b < EXPLORE_BALLOTS_MAX; b++)
        key.ballots[b] = w->sent[b].ballot;
    uint32_t number = explore_table_put(&d->labellings, &key, &is_new);
    if (!is_new)
        return d->labelled[number];

    bool occurs[EXPLORE_BALLOT_NAMES] = {0};
    uint8_t labels[EXPLORE_BALLOT_NAMES] = {0};
    for (uint32_t b = 0; b < EXPLORE_BALLOTS_MAX; b++)
        occurs[key.ballots[b]] = true;
    for (const struct explore_origin *o = &m->acceptors.origins[key.state]; o->before != EXPLORE_NONE;
         o = &m->acceptors.origins[o->before])
        occurs[explore_unpack(o->input).ballot] = true;
    for (uint32_t b = 1; b < m->words.ballot_count; b++)
        for (uint32_t other = 1; occurs[b] && other < m->words.ballot_count; other++)
            if (occurs[other] && ballot_compare(m->words.ballots[other], m->words.ballots[b]) <= 0)
                labels[b]++;
    struct explore_labelled result = {.state = label_state(m, key.state, labels)};
    for (uint32_t b = 0; b < EXPLORE_BALLOTS_MAX; b++)
        result.labels[b] = labels[key.ballots[b]];
    d->labelled = memory_reserve(d->labelled, &d->labelled_capacity, (size_t)number + 1, sizeof *d->labelled);
    d->labelled[number] = result;
    return result;
}

static struct inbox inbox_of(struct explore_model *m, const struct explore_world *w, uint32_t acceptor)
{
    struct explore_labelled labelled = label(m, w, acceptor);
    struct inbox inbox = {.state = labelled.state};
    for (uint32_t b = 0; b < m->options->ballots && w->sent[b].ballot != 0; b++) {
        inbox.letters[b].label = labelled.labels[b];
        inbox.letters[b].wanted = explore_world_wanted(m, w, w->sent[b].ballot, acceptor);
        for (uint32_t s = 0; s < m->options->slots; s++)
            if (w->sent[b].values[s] != EXPLORE_NO_VALUE)
                inbox.letters[b].proposed |= (uint8_t)(1 << s);
    }
    return inbox;
}

/* The messages that it may get, as events. Returns their number. */
static uint32_t messages_of(const struct explore_model *m, const struct inbox *inbox, struct explore_event *messages)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < EXPLORE_BALLOTS_MAX && inbox->letters[i].label != 0; i++) {
        const struct letters *l = &inbox->letters[i];
        messages[count++] = explore_prepare_event(l->label, l->wanted);
        for (uint32_t slot = 1; slot <= m->options->slots; slot++)
            if (l->proposed >> (slot - 1) & 1)
                messages[count++] = explore_accept_event(l->label, slot, explore_value(&m->labels, l->label, slot));
    }
    return count;
}

/* --- falling behind ----------------------------------------------------------------------------------------------- */

static uint32_t state_at(const struct falling *f, uint32_t number)
{
    return *(const uint32_t *)explore_table_at(&f->states, number);
}

/* The messages that led to a state, in their order. Each left at least one record. */
static uint32_t way_to(const struct falling *f, uint32_t number, struct explore_event *messages)
{
    uint32_t len = 0;
    for (uint32_t n = number; n != 0; n = f->fallen[n].before)
        len++;
    invariant(len <= EXPLORE_MESSAGES_MAX);
    for (uint32_t n = number, i = len; n != 0; n = f->fallen[n].before)
        messages[--i] = f->fallen[n].message;
    return len;
}

static bool was_said(const struct explore_part *part, const struct explore_step *step, struct explore_event event)
{
    for (uint32_t i = 0; i < step->count; i++)
        if (explore_pack(part->said[step->said + i]) == explore_pack(event))
            return true;
    return false;
}

/* The first record to become durable: as if the disk had been done with the first message at once, and with no other. */
static void check_catching_up(struct explore_model *m, const struct falling *f, uint32_t number)
{
    struct explore_event way[EXPLORE_MESSAGES_MAX] = {{0}};
    uint32_t len = way_to(f, number, way);
    struct explore_part *part = &m->lagging;
    struct explore_event one_record = {.kind = EXPLORE_DURABLE};
    struct explore_step durable = explore_part_step(part, state_at(f, number), one_record);
    uint32_t expected = f->inbox.state, at_once = f->inbox.state, found = 0;
    for (uint32_t i = 0; i < len; i++) {
        way[i].who = i == 0;
        expected = explore_part_step(part, expected, way[i]).next;
        way[i].who = 1;
        struct explore_step step = explore_part_step(part, at_once, way[i]);
        at_once = step.next;
        for (uint32_t j = 0; j < durable.count; j++)
            found += was_said(part, &step, part->said[durable.said + j]);
    }
    if (durable.broken != EXPLORE_CHECKS)
        explore_fail(m, durable.broken, EXPLORE_NOT_DURABLE);
    if (durable.next != expected || found < durable.count)
        explore_fail(m, EXPLORE_PREMISE,
                     "an acceptor whose disk catches up is not where it would be had that been done at once");
}

/* The acceptor reaches a state in which it is behind; at first (number 0) the one before that. */
static void fall(struct explore_model *m, struct falling *f, uint32_t before, struct explore_event message,
                 const struct explore_step *step)
{
    bool is_new;
    uint32_t number = explore_table_put(&f->states, &step->next, &is_new);
    if (!is_new)
        return;
    f->fallen = memory_reserve(f->fallen, &f->fallen_capacity, (size_t)number + 1, sizeof *f->fallen);
    f->fallen[number] = (struct fallen){.before = before, .message = message, .spoke = step->count > 0};
    if (number == 0)
        return;
    f->fallen[number].spoke = f->fallen[number].spoke || f->fallen[before].spoke;
    if (step->broken != EXPLORE_CHECKS)
        explore_fail(m, step->broken, EXPLORE_NOT_DURABLE);
    check_catching_up(m, f, number);
}

/* Tries every order of messages, until a rule is broken; then the last state breaks it. */
static void fall_behind(struct explore_model *m, struct falling *f)
{
    struct explore_event messages[EXPLORE_MESSAGES_MAX];
    uint32_t count = messages_of(m, &f->inbox, messages);
    struct explore_step none = {.next = f->inbox.state};
    fall(m, f, 0, (struct explore_event){0}, &none);
    for (uint32_t n = 0; n < f->states.count; n++) {
        for (uint32_t i = 0; i < count && m->failed == NULL; i++) {
            struct explore_step step = explore_part_step(&m->lagging, state_at(f, n), messages[i]);
            if (explore_part_sight(&m->lagging, step.next)->behind > 0)
                fall(m, f, n, messages[i], &step);
        }
    }
}

/* True when a crash in this state is different from nothing having happened. */
static bool matters(struct explore_model *m, const struct falling *f, uint32_t number)
{
    if (m->failed != NULL)
        return number + 1 == f->states.count;
    struct explore_event crash = {.kind = EXPLORE_CRASH};
    uint32_t left = explore_part_step(&m->lagging, state_at(f, number), crash).next;
    return left != f->inbox.state || f->fallen[number].spoke;
}

struct explore_outcomes explore_disk_outcomes(struct explore_model *m, const struct explore_world *world, uint32_t acceptor)
{
    struct explore_disks *d = &m->disks;
    struct falling f = {.inbox = inbox_of(m, world, acceptor)};
    bool is_new;
    uint32_t number = explore_table_put(&d->inboxes, &f.inbox, &is_new);
    if (!is_new)
        return d->by_inbox[number];

    struct explore_outcomes outcomes = {.first = (uint32_t)d->outcome_count};
    explore_table_init(&f.states, sizeof(uint32_t));
    fall_behind(m, &f);
    for (uint32_t n = 0; n < f.states.count; n++) {
        if (!matters(m, &f, n))
            continue;
        d->outcomes = memory_reserve(d->outcomes, &d->outcome_capacity, d->outcome_count + 1, sizeof *d->outcomes);
        struct explore_outcome *outcome = &d->outcomes[d->outcome_count++];
        outcome->count = way_to(&f, n, outcome->messages);
        outcomes.count++;
    }
    d->behind += f.states.count - 1;
    explore_table_close(&f.states);
    free(f.fallen);
    d->by_inbox = memory_reserve(d->by_inbox, &d->by_inbox_capacity, (size_t)number + 1, sizeof *d->by_inbox);
    d->by_inbox[number] = outcomes;
    return outcomes;
}

uint32_t explore_disk_messages(struct explore_model *m, const struct explore_world *world, uint32_t acceptor,
                               uint32_t outcome, struct explore_event *messages)
{
    struct explore_labelled labelled = label(m, world, acceptor);
    const struct explore_outcome *o = &m->disks.outcomes[outcome];
    for (uint32_t i = 0; i < o->count; i++) {
        struct explore_event e = o->messages[i];
        uint32_t b = 0;
        while (labelled.labels[b] != e.ballot)
            b++;
        e.ballot = world->sent[b].ballot;
        if (e.kind == EXPLORE_ACCEPT)
            e.value = world->sent[b].values[e.slot - 1];
        messages[i] = e;
    }
    return o->count;
}
