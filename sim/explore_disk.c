#include "sim/explore_disk.h"

#include "core/base/memory.h"
#include "sim/explore_world.h"

/* The states that an acceptor gets into while its disk is behind, and how. Number 0 is the one before that. */
struct falling {
    const struct explore_inbox *inbox;
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
    explore_table_init(&d->inboxes, sizeof(struct explore_inbox));
}

void explore_disks_close(struct explore_disks *d)
{
    explore_table_close(&d->inboxes);
    free(d->by_inbox);
    free(d->outcomes);
}

static uint32_t state_at(const struct falling *f, uint32_t number)
{
    return *(const uint32_t *)explore_table_at(&f->states, number);
}

/* The messages that led to a state, in their order. */
static uint32_t way_to(const struct falling *f, uint32_t number, struct explore_event *messages)
{
    uint32_t len = 0;
    for (uint32_t n = number; n != 0; n = f->fallen[n].before)
        len++;
    uint32_t i = len;
    for (uint32_t n = number; n != 0; n = f->fallen[n].before)
        messages[--i] = f->fallen[n].message;
    return len;
}

/* What may be got, as events. Returns how many there are. */
static uint32_t messages_of(const struct explore_model *m, const struct explore_inbox *inbox, struct explore_event *messages)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < EXPLORE_BALLOTS_MAX && inbox->letters[i].label != 0; i++) {
        const struct explore_letters *l = &inbox->letters[i];
        messages[count++] = (struct explore_event){.kind = EXPLORE_PREPARE, .ballot = l->label, .slot = l->wanted};
        for (uint8_t slot = 1; slot <= m->options->slots; slot++)
            if (l->proposed >> (slot - 1) & 1)
                messages[count++] = (struct explore_event){.kind = EXPLORE_ACCEPT,
                                                           .ballot = l->label,
                                                           .slot = slot,
                                                           .value = explore_value(&m->labels, l->label, slot)};
    }
    return count;
}

static bool was_said(const struct explore_part *part, const struct explore_step *step, uint32_t packed)
{
    for (uint32_t i = 0; i < step->count; i++)
        if (explore_pack(part->said[step->said + i]) == packed)
            return true;
    return false;
}

/* The first record to become durable: as if the disk had been done with the first message at once, and with no other. */
static void check_catching_up(struct explore_model *m, const struct falling *f, uint32_t number)
{
    struct explore_event way[EXPLORE_MESSAGES_MAX];
    uint32_t len = way_to(f, number, way);
    struct explore_part *part = &m->lagging;
    struct explore_step durable = explore_part_step(part, state_at(f, number), (struct explore_event){.kind = EXPLORE_DURABLE});
    uint32_t expected = f->inbox->state;
    uint32_t at_once = expected;
    uint32_t found = 0;
    for (uint32_t i = 0; i < len; i++) {
        struct explore_event message = way[i];
        message.who = i == 0;
        expected = explore_part_step(part, expected, message).next;
        message.who = 1;
        struct explore_step step = explore_part_step(part, at_once, message);
        at_once = step.next;
        for (uint32_t j = 0; j < durable.count; j++)
            found += was_said(part, &step, explore_pack(part->said[durable.said + j]));
    }
    if (durable.broken != EXPLORE_CHECKS)
        explore_fail(m, durable.broken, "what a crash would leave does not hold all that was answered");
    if (durable.next != expected || found < durable.count)
        explore_fail(m, EXPLORE_PREMISE, "an acceptor whose disk catches up is not where it would be if that had been done at once");
}

/* The acceptor gets into a state that is behind; at first (number 0) into the one before that. */
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
        explore_fail(m, step->broken, "what a crash would leave does not hold all that was answered");
    check_catching_up(m, f, number);
}

static void fall_behind(struct explore_model *m, struct falling *f)
{
    struct explore_event messages[EXPLORE_MESSAGES_MAX];
    uint32_t count = messages_of(m, f->inbox, messages);
    struct explore_step none = {.next = f->inbox->state};
    fall(m, f, 0, (struct explore_event){0}, &none);
    for (uint32_t n = 0; n < f->states.count; n++) {
        for (uint32_t i = 0; i < count && m->failed == NULL; i++) {
            struct explore_step step = explore_part_step(&m->lagging, state_at(f, n), messages[i]);
            if (explore_part_sight(&m->lagging, step.next)->behind > 0)
                fall(m, f, n, messages[i], &step);
        }
    }
}

struct explore_outcomes explore_disk_outcomes(struct explore_model *m, const struct explore_inbox *inbox)
{
    struct explore_disks *d = &m->disks;
    bool is_new;
    uint32_t number = explore_table_put(&d->inboxes, inbox, &is_new);
    if (!is_new)
        return d->by_inbox[number];
    struct explore_outcomes outcomes = {.first = (uint32_t)d->outcome_count};
    struct falling f = {.inbox = inbox};
    explore_table_init(&f.states, sizeof(uint32_t));
    fall_behind(m, &f);
    for (uint32_t n = 0; n < f.states.count; n++) {
        struct explore_event crash = {.kind = EXPLORE_CRASH};
        bool matters = explore_part_step(&m->lagging, state_at(&f, n), crash).next != inbox->state || f.fallen[n].spoke;
        if (m->failed != NULL ? n + 1 < f.states.count : !matters)
            continue; /* where a rule was broken, the last state tells how */
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

uint32_t explore_disk_label(struct explore_model *m, uint32_t state, const uint8_t *labels)
{
    const struct explore_origin *origin = &m->acceptors.origins[state];
    if (origin->before == EXPLORE_NONE)
        return explore_part_root(&m->lagging, origin->input);
    struct explore_event input = explore_unpack(origin->input);
    input.ballot = labels[input.ballot];
    if (input.kind == EXPLORE_ACCEPT)
        input.value = explore_value(&m->labels, input.ballot, input.slot);
    return explore_part_step(&m->lagging, explore_disk_label(m, origin->before, labels), input).next;
}
