/* The search, and what it leaves out.
 *
 * A *world* is a state of each acceptor and each proposer, and what is in the network between them. The search begins with
 * the world in which nothing has happened yet, and goes breadth first: worlds are numbered as they are met, all moves of
 * each are tried in turn, and each world is met once. So the path to a broken rule is a shortest one.
 *
 * The parts are the real ones. Their code runs once for each step that a part may take in some world (sim/explore_part.h). A
 * world is a few numbers, and a move looks up what its parts do.
 *
 * The following loses nothing. Its assumptions about the parts are checked, too, as check *Premise*. The exceptions: that
 * parts tell acceptors apart by name alone, that they use only the order of ballots, and that they do not look into values.
 *
 *  1. Messages stay in the network. So every order, delay, repetition and loss is tried without a move of its own: a lost
 *     message is one that is not delivered, and each world is also the last one of some run. A promise is removed when its
 *     proposer is past its ballot or elected, after a check that it no longer has an effect there.
 *  2. A proposer takes its next ballot at any time, having heard of any other ballot or of none. That covers time-outs,
 *     leader election, heartbeats and NACKs, on which safety does not depend (P15). The number of ballots that are taken is
 *     bounded, so the search ends.
 *  3. A leader proposes for all slots as soon as it may, in one message for each slot. A batch that comes later is a message
 *     that is delivered later; a message with two slots is two that are delivered together.
 *  4. Acceptors are alike. Worlds that differ only in their names are one. Of all ways to name them, the one is kept that
 *     puts their states in order (and is the least of several such ways).
 *  5. Disks are done at once. All that may happen while one is behind, with a crash in between or not, is tried separately:
 *     sim/explore_disk.h.
 *  6. A proposer that crashes forgets everything, and is silent until it takes its next ballot, in its next life. It might
 *     have been silent before, too. So crash and ballot are one move.
 *  7. If a world was met with more crashes to come, the search does not go on from the same world with fewer. That is how a
 *     crash ends that an acceptor survives as it should: it lost nothing that others knew of.
 *  8. Leaders that count votes, and learners, have no effect on the others. They are taken separately through all that they
 *     may hear: sim/explore_listen.h.
 *
 *  9. With a change of the configuration, a proposer learns what was chosen in slot 1 at any time from then on, as
 *     from a learner: that is a move. Its limit is the product's (sim/explore_proposer.c says what of its agent is not).
 *     What it counts itself, and what learners count, is not taken through all that they may hear. A ballot's messages go
 *     to the acceptors of the configuration that it was prepared with.
 *
 * These worlds do not have: truncation and floors above 1, snapshots, catching up by slots and windows smaller than the
 * slots explored (but see explore_options.alpha), and everything about time. The simulator's random worlds have them. */
#include "sim/explore.h"

#include <stdio.h>

#include "core/base/memory.h"
#include "sim/explore_listen.h"

enum { PROGRESS_INTERVAL = 1 << 16 };

struct search {
    struct explore_options options;
    struct explore_model model;
    struct explore_table worlds;
    uint32_t *parents;
    size_t parent_capacity;
    struct explore_boards boards;
    struct explore_result *result;

    uint32_t at; /* the world whose moves are being tried */
    struct explore_world world;
    struct explore_move failing; /* the move that broke a rule there */
};

struct explore_options explore_standard(void)
{
    return (struct explore_options){
        .acceptors = 3, .proposers = 2, .learners = true, .slots = 2, .ballots = 3, .crashes = 1, .chunk_bytes_max = 1};
}

struct explore_options explore_change(enum explore_change change)
{
    return (struct explore_options){.acceptors = 4, .proposers = 2, .slots = 2, .ballots = 3, .change = (uint8_t)change};
}

static bool within(uint32_t number, uint32_t least, uint32_t most) { return number >= least && number <= most; }

const char *explore_problem(const struct explore_options *o)
{
    if (!within(o->acceptors, 1, EXPLORE_ACCEPTORS_MAX))
        return "there may be 1 to 5 acceptors";
    if (!within(o->proposers, 1, EXPLORE_PROPOSERS_MAX))
        return "there may be 1 to 3 proposers";
    if (!within(o->slots, 1, EXPLORE_SLOTS_MAX))
        return "there may be 1 to 3 slots";
    if (!within(o->ballots, 1, EXPLORE_BALLOTS_MAX))
        return "there may be 1 to 4 ballots";
    if (o->crashes > EXPLORE_CRASHES_MAX)
        return "there may be 2 crashes at most";
    if (o->change != EXPLORE_NO_CHANGE && (o->learners || o->slots < 2 || o->acceptors < 2 || o->alpha != 0))
        return "with a change there are two acceptors and slots at least, and no learners";
    if (o->flaw >= EXPLORE_FLAWS)
        return "there is no such flaw";
    return NULL;
}

/* --- breadth first ------------------------------------------------------------------------------------------------ */

/* True when the world was met before. One with more crashes to come counts, because it leads to all that this one leads
 * to. */
static bool was_met(struct search *s, uint8_t *bytes)
{
    uint8_t *crashes = &bytes[s->worlds.width - 1];
    uint8_t own = *crashes;
    bool met = false;
    for (uint32_t more = own + 1u; more <= s->options.crashes && !met; more++) {
        *crashes = (uint8_t)more;
        met = explore_table_find(&s->worlds, bytes) != EXPLORE_NONE;
    }
    *crashes = own;
    return met;
}

static void meet(struct search *s, uint8_t *bytes, const struct explore_world *world, bool board_is_new)
{
    bool is_new;
    if (was_met(s, bytes))
        return;
    uint32_t number = explore_table_put(&s->worlds, bytes, &is_new);
    if (!is_new)
        return;
    s->parents = memory_reserve(s->parents, &s->parent_capacity, (size_t)number + 1, sizeof *s->parents);
    s->parents[number] = s->at;
    if (board_is_new && s->options.learners)
        explore_boards_add(&s->model, &s->boards, world, number);
}

static bool on_move(void *context, const struct explore_move *move, const struct explore_world *next)
{
    struct search *s = context;
    uint8_t bytes[EXPLORE_WORLD_BYTES];
    s->result->transitions++;
    s->failing = *move;
    if (s->model.failed != NULL)
        return false;
    explore_world_pack(&s->model, next, bytes);
    meet(s, bytes, next, memcmp(next->sent, s->world.sent, sizeof next->sent) != 0);
    return true;
}

static void tell_progress(const struct search *s)
{
    struct explore_progress progress = {.states = s->worlds.count,
                                        .transitions = s->result->transitions,
                                        .waiting = s->worlds.count - s->at,
                                        .depth = s->result->depth};
    if (s->options.progress != NULL && s->at % PROGRESS_INTERVAL == 0)
        s->options.progress(s->options.context, &progress);
}

/* Meets every reachable world. True when that was all of them, and no rule was broken. */
static bool search_worlds(struct search *s)
{
    struct explore_world first;
    uint8_t bytes[EXPLORE_WORLD_BYTES];
    uint32_t level_end = 1;
    explore_world_init(&s->model, &first);
    explore_world_pack(&s->model, &first, bytes);
    meet(s, bytes, &first, true);
    for (; s->at < s->worlds.count; s->at++) {
        if (s->at == level_end) {
            level_end = s->worlds.count;
            s->result->depth++;
        }
        if (s->options.states_max != 0 && s->worlds.count >= s->options.states_max)
            return false;
        tell_progress(s);
        explore_world_unpack(&s->options, explore_table_at(&s->worlds, s->at), &s->world);
        explore_world_moves(&s->model, &s->world, on_move, s);
        if (s->model.failed != NULL)
            return false;
    }
    return true;
}

/* --- the path there -------------------------------------------------------------------------------------------------- */

struct text {
    char *bytes;
    size_t len, capacity;
    uint32_t lines;
};

static void add_line(void *context, const char *line)
{
    struct text *t = context;
    size_t room = strlen(line) + 16;
    t->bytes = memory_reserve(t->bytes, &t->capacity, t->len + room, 1);
    t->len += (size_t)snprintf(t->bytes + t->len, room, "%3u  %s\n", ++t->lines, line);
}

/* Looks for the move that leads from a world to the one with the wanted bytes. */
struct retrace {
    struct search *search;
    const uint8_t *sought;
    bool found;
    struct explore_move move;
    uint32_t permutation;
};

static bool on_retraced(void *context, const struct explore_move *move, const struct explore_world *next)
{
    struct retrace *r = context;
    uint8_t bytes[EXPLORE_WORLD_BYTES];
    r->permutation = explore_world_pack(&r->search->model, next, bytes);
    r->found = memcmp(bytes, r->sought, r->search->worlds.width) == 0;
    r->move = *move;
    return !r->found;
}

/* Writes the moves that lead to world `number`. Worlds are stored with the acceptors in the order of their states: `names`
 * follows them, and begins with their own names. */
static void retrace(struct search *s, uint32_t number, struct text *text, uint8_t *names)
{
    uint32_t way[UINT8_MAX];
    uint32_t len = 0;
    for (; number != 0; number = s->parents[number]) {
        invariant(len < UINT8_MAX);
        way[len++] = number;
    }
    for (number = 0; len > 0; number = way[--len]) {
        struct retrace r = {.search = s, .sought = explore_table_at(&s->worlds, way[len - 1])};
        struct explore_world world;
        uint8_t before[EXPLORE_ACCEPTORS_MAX];
        explore_world_unpack(&s->options, explore_table_at(&s->worlds, number), &world);
        explore_world_moves(&s->model, &world, on_retraced, &r);
        invariant(r.found);
        explore_move_text(&s->model, &world, &r.move, names, add_line, text);
        memcpy(before, names, sizeof before);
        for (uint32_t a = 0; a < s->options.acceptors; a++)
            names[s->model.permutations[r.permutation][a]] = before[a];
    }
}

/* Writes the path to the rule that was broken: by a move of the last world, or on a board. */
static void tell_path(struct search *s, uint32_t board)
{
    struct text text = {0};
    uint8_t names[EXPLORE_ACCEPTORS_MAX] = {0, 1, 2, 3, 4};
    struct explore_world world;
    char wrong[sizeof s->model.text];
    memcpy(wrong, s->model.text, sizeof wrong);
    s->result->failed = s->model.failed;
    s->model.failed = NULL; /* all of it happens once more */
    if (board == EXPLORE_NONE) {
        retrace(s, s->at, &text, names);
        explore_move_text(&s->model, &s->world, &s->failing, names, add_line, &text);
    } else {
        retrace(s, s->boards.worlds[board], &text, names);
        explore_world_unpack(&s->options, explore_table_at(&s->worlds, s->boards.worlds[board]), &world);
        explore_board_way(&s->model, &world, names, add_line, &text);
    }
    add_line(&text, wrong);
    s->result->path = text.bytes;
}

static void count(const struct search *s, struct explore_result *r)
{
    const struct explore_model *m = &s->model;
    const struct explore_part *parts[] = {&m->acceptors, &m->proposers, &m->learners, &m->lagging};
    r->states = s->worlds.count;
    r->behind = m->disks.behind;
    r->boards = s->boards.table.count;
    r->boards_heard = s->boards.heard;
    r->learnings = s->boards.learnings;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        r->part_states += parts[i]->states.count;
        r->part_steps += parts[i]->step_count;
    }
}

bool explore_run(const struct explore_options *options, struct explore_result *result)
{
    struct search s = {.options = *options, .result = result};
    uint32_t board = EXPLORE_NONE;
    invariant(explore_problem(options) == NULL);
    *result = (struct explore_result){0};
    explore_model_init(&s.model, &s.options);
    explore_table_init(&s.worlds, explore_world_bytes(&s.options));
    explore_boards_init(&s.boards);

    bool all = search_worlds(&s);
    if (all && options->learners)
        board = explore_boards_hear(&s.model, &s.boards);
    result->finished = all && s.model.failed == NULL;
    count(&s, result);
    if (s.model.failed != NULL)
        tell_path(&s, board);

    explore_boards_close(&s.boards);
    explore_table_close(&s.worlds);
    free(s.parents);
    explore_model_close(&s.model);
    return result->finished;
}

void explore_result_close(struct explore_result *result)
{
    free(result->path);
    result->path = NULL;
}
