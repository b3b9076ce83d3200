#include "sim/explore_part.h"

#include "core/base/memory.h"

/* --- words -------------------------------------------------------------------------------------------------------- */

void explore_words_init(struct explore_words *w, const struct explore_options *options)
{
    *w = (struct explore_words){.options = options, .ballot_count = 1};
    explore_table_init(&w->promises, sizeof(struct explore_promise));
    explore_table_put(&w->promises, &(struct explore_promise){0}, NULL); /* number 0 stands for "none" */
    for (uint32_t i = 0; i <= UINT8_MAX; i++)
        w->payloads[i] = i;
}

void explore_words_close(struct explore_words *w) { explore_table_close(&w->promises); }

uint8_t explore_ballot(struct explore_words *w, struct ballot ballot)
{
    uint32_t i = 0;
    while (i < w->ballot_count && ballot_compare(w->ballots[i], ballot) != 0)
        i++;
    if (i == w->ballot_count) {
        invariant(i < EXPLORE_BALLOT_NAMES);
        w->ballots[w->ballot_count++] = ballot;
    }
    return (uint8_t)i;
}

uint16_t explore_promise(struct explore_words *w, const struct explore_promise *promise)
{
    uint32_t number = explore_table_put(&w->promises, promise, NULL);
    invariant(number <= UINT16_MAX);
    return (uint16_t)number;
}

struct entry explore_entry(struct explore_words *w, uint8_t ballot, uint8_t slot, uint8_t value)
{
    struct entry e = {.slot = slot, .ballot = w->ballots[ballot], .kind = ENTRY_NOOP};
    if (value == EXPLORE_NOOP)
        return e;
    e.kind = ENTRY_COMMANDS;
    e.value = (struct payload){.words = {&w->payloads[value], 1}, .len = sizeof w->payloads[value]};
    return e;
}

uint8_t explore_entry_value(const struct explore_words *w, const struct entry *entry)
{
    if (entry->kind == ENTRY_NOOP && entry->value.len == 0)
        return EXPLORE_NOOP;
    if (entry->kind != ENTRY_COMMANDS || entry->value.len != sizeof w->payloads[0])
        return EXPLORE_FOREIGN_VALUE;
    uint64_t value = entry->value.words.ptr[0];
    return value >= EXPLORE_VALUES && value < EXPLORE_FOREIGN_VALUE ? (uint8_t)value : EXPLORE_FOREIGN_VALUE;
}

uint8_t explore_members(const struct explore_options *o, uint32_t configuration)
{
    const uint8_t all = (uint8_t)((1u << o->acceptors) - 1), last = (uint8_t)(1u << (o->acceptors - 1));
    if (o->change == EXPLORE_NO_CHANGE)
        return all;
    if (configuration == 0)
        return all & (uint8_t)~last;
    return o->change == EXPLORE_REPLACED ? all & (uint8_t)~1u : all;
}

struct node_config explore_config(const struct explore_options *options, uint32_t node)
{
    const node_set members = explore_members(options, 0);
    uint32_t quorum = node_set_count(members) / 2 + 1;
    uint32_t alpha = options->alpha != 0 ? options->alpha : options->slots;
    return (struct node_config){
        .node = node,
        .incarnation = 1,
        .proposers = (node_set_of(options->proposers) - 1) << EXPLORE_FIRST_PROPOSER,
        .acceptors = members << EXPLORE_FIRST_ACCEPTOR,
        .learners = node_set_of(EXPLORE_LEARNER),
        .phase1_quorum = options->flaw == EXPLORE_SMALL_QUORUM ? 1 : quorum,
        .phase2_quorum = quorum,
        .alpha = options->flaw == EXPLORE_NARROW_WINDOW ? 1 : alpha,
        .bytes_in_flight_max = UINT32_MAX,
        .chunk_bytes_max = options->chunk_bytes_max != 0 ? options->chunk_bytes_max : UINT32_MAX,
        .acceptors_send_learns = true,
    };
}

/* --- parts -------------------------------------------------------------------------------------------------------- */

enum { STEP_PLACES_MIN = 1024, STEPS_SPREAD = 64 };

void explore_key_add(struct explore_key *key, uint64_t number)
{
    invariant(number <= UINT8_MAX && key->len < key->size);
    key->bytes[key->len++] = (uint8_t)number;
}

void explore_say(struct explore_saying *saying, struct explore_event said)
{
    invariant(saying->count < EXPLORE_SAID_MAX);
    saying->said[saying->count++] = said;
}

static struct explore_known_step *free_steps(size_t count)
{
    invariant(count >= STEP_PLACES_MIN);
    struct explore_known_step *steps = malloc(count * sizeof *steps);
    invariant(steps != NULL);
    memset(steps, 0xff, count * sizeof *steps); /* EXPLORE_NONE */
    return steps;
}

void explore_part_init(struct explore_part *part, const struct explore_part_kind *kind, struct explore_words *words)
{
    *part = (struct explore_part){.kind = kind, .words = words};
    invariant(kind->key_bytes <= EXPLORE_KEY_BYTES);
    explore_table_init(&part->states, kind->key_bytes);
    part->step_places = STEP_PLACES_MIN;
    part->steps = free_steps(part->step_places);
}

void explore_part_close(struct explore_part *part)
{
    explore_table_close(&part->states);
    free(part->origins);
    free(part->sights);
    free(part->steps);
    free(part->loud_steps);
    free(part->said);
}

/* The number of the state that `node` is in. Frees `node`. A new state notes where it comes from. */
static uint32_t number_of_state(struct explore_part *part, void *node, struct explore_origin origin)
{
    struct explore_key key = {.size = part->kind->key_bytes};
    struct explore_sight sight = {0};
    bool is_new;
    part->kind->look(node, &sight, &key);
    part->kind->drop(node);
    uint32_t state = explore_table_put(&part->states, key.bytes, &is_new);
    if (is_new) {
        part->origins = memory_reserve(part->origins, &part->origin_capacity, (size_t)state + 1, sizeof *part->origins);
        part->sights = memory_reserve(part->sights, &part->sight_capacity, (size_t)state + 1, sizeof *part->sights);
        part->origins[state] = origin;
        part->sights[state] = sight;
    }
    return state;
}

uint32_t explore_part_root(struct explore_part *part, uint32_t root)
{
    return number_of_state(part, part->kind->make(part->words, root), (struct explore_origin){EXPLORE_NONE, root});
}

/* A part that was led to `state` again. */
static void *lead_to(struct explore_part *part, uint32_t state)
{
    uint32_t way[UINT8_MAX];
    uint32_t len = 0;
    for (; part->origins[state].before != EXPLORE_NONE; state = part->origins[state].before) {
        invariant(len < UINT8_MAX);
        way[len++] = part->origins[state].input;
    }
    void *node = part->kind->make(part->words, part->origins[state].input);
    while (len > 0) {
        struct explore_saying ignored = {.broken = EXPLORE_CHECKS};
        part->kind->apply(node, explore_unpack(way[--len]), &ignored);
    }
    return node;
}

/* The state that the same steps lead to when acceptors have other names. */
static uint32_t renamed(struct explore_part *part, uint32_t state, struct explore_event rename)
{
    struct explore_origin origin = part->origins[state];
    if (origin.before == EXPLORE_NONE)
        return state;
    struct explore_event input = explore_unpack(origin.input);
    if (input.kind == EXPLORE_PROMISE || input.kind == EXPLORE_ACCEPTED)
        input.who = part->permutations[rename.who][input.who];
    return explore_part_step(part, explore_part_step(part, origin.before, rename).next, input).next;
}

/* The place of a step, or the free place for it. */
static size_t place_of(const struct explore_known_step *steps, size_t places, uint32_t state, uint32_t input)
{
    uint64_t near = state * UINT64_C(0x9e3779b97f4a7c15) >> 20;
    uint64_t within = (input * UINT64_C(0xd1342543de82ef95) >> 32) % STEPS_SPREAD;
    size_t place = (size_t)(near + within) & (places - 1);
    while (steps[place].state != EXPLORE_NONE && (steps[place].state != state || steps[place].input != input))
        place = (place + 1) & (places - 1);
    return place;
}

static void keep_step(struct explore_part *part, const struct explore_known_step *step)
{
    if (part->step_count >= part->step_places / 2) {
        struct explore_known_step *steps = free_steps(part->step_places * 2);
        for (size_t i = 0; i < part->step_places; i++)
            if (part->steps[i].state != EXPLORE_NONE)
                steps[place_of(steps, part->step_places * 2, part->steps[i].state, part->steps[i].input)] = part->steps[i];
        free(part->steps);
        part->steps = steps;
        part->step_places *= 2;
    }
    part->steps[place_of(part->steps, part->step_places, step->state, step->input)] = *step;
    part->step_count++;
}

/* Keeps what was said in a step. Returns its number. */
static uint32_t keep_saying(struct explore_part *part, uint32_t next, const struct explore_saying *saying)
{
    if (saying->count == 0 && saying->broken == EXPLORE_CHECKS)
        return EXPLORE_NONE;
    part->said = memory_reserve(part->said, &part->said_capacity, part->said_count + saying->count, sizeof *part->said);
    part->loud_steps =
        memory_reserve(part->loud_steps, &part->loud_capacity, part->loud_count + 1, sizeof *part->loud_steps);
    part->loud_steps[part->loud_count] =
        (struct explore_step){next, (uint32_t)part->said_count, saying->count, saying->broken};
    for (uint32_t i = 0; i < saying->count; i++)
        part->said[part->said_count++] = saying->said[i];
    return (uint32_t)part->loud_count++;
}

struct explore_step explore_part_step(struct explore_part *part, uint32_t state, struct explore_event input)
{
    struct explore_known_step step = {.state = state, .input = explore_pack(input), .loud = EXPLORE_NONE};
    const struct explore_known_step *known = &part->steps[place_of(part->steps, part->step_places, state, step.input)];
    if (known->state == EXPLORE_NONE) {
        if (input.kind == EXPLORE_RENAME) {
            step.next = renamed(part, state, input);
        } else {
            struct explore_saying saying = {.broken = EXPLORE_CHECKS};
            void *node = lead_to(part, state);
            part->kind->apply(node, input, &saying);
            step.next = number_of_state(part, node, (struct explore_origin){state, step.input});
            step.loud = keep_saying(part, step.next, &saying);
        }
        keep_step(part, &step);
        known = &step;
    }
    if (known->loud != EXPLORE_NONE)
        return part->loud_steps[known->loud];
    return (struct explore_step){.next = known->next, .broken = EXPLORE_CHECKS};
}
