#include "sim/explore_listen.h"

#include <stdio.h>

#include "core/base/memory.h"

/* --- a leader hears votes ----------------------------------------------------------------------------------------- */

/* A leader's state, and the votes that it has heard until then. */
struct hearing {
    uint32_t state;
    uint8_t voters[4]; /* by slot - 1 */
};

/* ChosenTrue: for what a leader says is chosen, it has heard a quorum of votes. */
static void check_claim(struct explore_model *m, const struct hearing *h)
{
    const struct explore_sight *sight = explore_part_sight(&m->proposers, h->state);
    uint32_t quorum = m->options->acceptors / 2 + 1;
    for (uint32_t slot = 1; slot < sight->chosen; slot++)
        if (slot > m->options->slots || node_set_count(h->voters[slot - 1]) < quorum)
            explore_fail(m, EXPLORE_CHOSEN_TRUE,
                         "the leader at ballot %s, having heard votes of %u acceptors for slot %u, "
                         "says that it is chosen",
                         explore_ballot_text(&m->words, sight->ballot),
                         slot <= m->options->slots ? node_set_count(h->voters[slot - 1]) : 0, slot);
    if (sight->first != 1)
        explore_fail(m, EXPLORE_CHOSEN_TRUE, "the leader at ballot %s says that all slots before %u are chosen",
                     explore_ballot_text(&m->words, sight->ballot), sight->first);
}

/* The state that a leader is in when it takes another ballot. */
static uint32_t taking_over(struct explore_model *m, uint32_t state)
{
    return explore_part_step(&m->proposers, state, (struct explore_event){.kind = EXPLORE_PREPARE}).next;
}

/* What a leader has heard has no effect once it takes another ballot, whether it resigned before or not. */
static void check_nothing_is_left(struct explore_model *m, const struct hearing *h, uint32_t elected)
{
    uint32_t expected = taking_over(m, elected);
    uint8_t ballot = explore_part_sight(&m->proposers, elected)->ballot;
    uint32_t resigned = explore_part_step(&m->proposers, h->state, (struct explore_event){.kind = EXPLORE_RESIGN}).next;
    bool same = taking_over(m, h->state) == expected && taking_over(m, resigned) == expected;
    for (uint32_t a = 0; a < m->options->acceptors; a++) {
        for (uint32_t slot = 1; slot <= m->options->slots; slot++) {
            struct explore_step step = explore_part_step(&m->proposers, expected, explore_accepted_event(a, ballot, slot));
            same = same && explore_step_is_idle(&step, expected);
        }
    }
    if (!same)
        explore_fail(m, EXPLORE_PREMISE, "votes at ballot %s matter after its leader has taken another one",
                     explore_ballot_text(&m->words, ballot));
}

/* The leader hears one more vote. */
static void hear_vote(struct explore_model *m, const struct hearing *h, struct explore_table *seen,
                      struct explore_event vote)
{
    struct hearing next = *h;
    struct explore_step step = explore_part_step(&m->proposers, h->state, vote);
    next.state = step.next;
    next.voters[vote.slot - 1] |= (uint8_t)(1 << vote.who);
    if (explore_votes_are_apart(m->options) && step.count > 0)
        explore_fail(m, EXPLORE_PREMISE, "the leader at ballot %s proposes because it hears a vote",
                     explore_ballot_text(&m->words, vote.ballot));
    explore_table_put(seen, &next, NULL);
}

/* ChosenTrue: votes at other ballots of this proposer have no effect on the leader. */
static void check_other_ballots(struct explore_model *m, const struct hearing *h, const struct explore_sight *sight)
{
    for (uint32_t b = 1; b < m->words.ballot_count; b++) {
        if (b == sight->ballot || m->words.ballots[b].node != m->words.ballots[sight->ballot].node)
            continue;
        for (uint32_t slot = 1; slot <= m->options->slots; slot++) {
            for (uint32_t a = 0; a < m->options->acceptors; a++) {
                struct explore_event vote = explore_accepted_event(a, (uint8_t)b, slot);
                struct explore_step step = explore_part_step(&m->proposers, h->state, vote);
                if (!explore_step_is_idle(&step, h->state))
                    explore_fail(m, EXPLORE_CHOSEN_TRUE, "the leader at ballot %s counts a vote at ballot %s",
                                 explore_ballot_text(&m->words, sight->ballot), explore_ballot_text(&m->words, (uint8_t)b));
            }
        }
    }
}

void explore_leader_check(struct explore_model *m, uint32_t state)
{
    bool is_new;
    explore_table_put(&m->leaders, &state, &is_new);
    if (!is_new)
        return;
    struct explore_table seen;
    explore_table_init(&seen, sizeof(struct hearing));
    explore_table_put(&seen, &(struct hearing){.state = state}, NULL);
    for (uint32_t i = 0; i < seen.count && m->failed == NULL; i++) {
        struct hearing h = *(const struct hearing *)explore_table_at(&seen, i);
        struct explore_sight sight = *explore_part_sight(&m->proposers, h.state);
        check_claim(m, &h);
        check_other_ballots(m, &h, &sight);
        if (explore_votes_are_apart(m->options))
            check_nothing_is_left(m, &h, state);
        for (uint32_t slot = 1; slot < sight.sent; slot++)
            for (uint32_t a = 0; a < m->options->acceptors; a++)
                hear_vote(m, &h, &seen, explore_accepted_event(a, sight.ballot, slot));
    }
    explore_table_close(&seen);
}

/* --- a learner hears boards --------------------------------------------------------------------------------------- */

/* By rank of the ballot, and slot - 1. */
struct board {
    uint8_t values[EXPLORE_BALLOTS_MAX][EXPLORE_SLOTS_MAX]; /* words of the labels */
    uint8_t voters[EXPLORE_BALLOTS_MAX][EXPLORE_SLOTS_MAX];
};

static struct board board_of(const struct explore_model *m, const struct explore_world *w)
{
    struct board board = {0};
    uint8_t labels[EXPLORE_BALLOT_NAMES] = {0};
    uint8_t rank = 0;
    for (uint32_t b = 0; b < m->options->ballots; b++) {
        const struct explore_sent *sent = &w->sent[b];
        if (sent->values[0] == EXPLORE_NO_VALUE) /* leaders propose for the first slot first */
            continue;
        labels[sent->ballot] = ++rank;
        for (uint32_t s = 0; s < m->options->slots; s++) {
            uint8_t value = sent->values[s];
            if (value >= EXPLORE_VALUES && value != EXPLORE_FOREIGN_VALUE)
                value = explore_value(&m->labels, labels[explore_value_ballot(&m->words, value)], s + 1);
            board.values[rank - 1][s] = value;
            board.voters[rank - 1][s] = sent->voters[s];
        }
    }
    return board;
}

/* The same board for all names of the acceptors: the one that comes first in order. */
static struct board nameless(const struct explore_model *m, const struct board *board)
{
    struct board best = *board;
    for (uint32_t i = 1; i < m->permutation_count; i++) {
        struct board other = *board;
        for (uint32_t r = 0; r < EXPLORE_BALLOTS_MAX; r++)
            for (uint32_t s = 0; s < EXPLORE_SLOTS_MAX; s++)
                other.voters[r][s] = explore_renamed_set(board->voters[r][s], m->permutations[i]);
        if (memcmp(&other, &best, sizeof best) < 0)
            best = other;
    }
    return best;
}

static bool is_chosen(const struct explore_model *m, const struct board *board, uint32_t rank, uint32_t slot)
{
    return node_set_count(board->voters[rank][slot - 1]) > m->options->acceptors / 2;
}

/* The value that is chosen in a slot; EXPLORE_NO_VALUE: none. */
static uint8_t chosen_value(const struct explore_model *m, const struct board *board, uint32_t slot)
{
    for (uint32_t r = 0; r < m->options->ballots; r++)
        if (is_chosen(m, board, r, slot))
            return board->values[r][slot - 1];
    return EXPLORE_NO_VALUE;
}

void explore_boards_init(struct explore_boards *b)
{
    *b = (struct explore_boards){0};
    explore_table_init(&b->table, sizeof(struct board));
}

void explore_boards_close(struct explore_boards *b)
{
    explore_table_close(&b->table);
    free(b->worlds);
}

void explore_boards_add(struct explore_model *m, struct explore_boards *b, const struct explore_world *world,
                        uint32_t number)
{
    struct board board = board_of(m, world);
    bool is_new;
    board = nameless(m, &board);
    uint32_t n = explore_table_put(&b->table, &board, &is_new);
    if (!is_new)
        return;
    b->worlds = memory_reserve(b->worlds, &b->world_capacity, (size_t)n + 1, sizeof *b->worlds);
    b->worlds[n] = number;
}

/* True when some world's board has one vote more, and nothing more is chosen there. */
static bool is_covered(const struct explore_model *m, const struct explore_boards *b, const struct board *board)
{
    for (uint32_t r = 0; r < m->options->ballots; r++) {
        for (uint32_t slot = 1; slot <= m->options->slots; slot++) {
            for (uint32_t a = 0; a < m->options->acceptors && board->values[r][slot - 1] != EXPLORE_NO_VALUE; a++) {
                struct board more = *board;
                more.voters[r][slot - 1] |= (uint8_t)(1 << a);
                if (more.voters[r][slot - 1] == board->voters[r][slot - 1] ||
                    chosen_value(m, &more, slot) != chosen_value(m, board, slot))
                    continue;
                more = nameless(m, &more);
                if (explore_table_find(&b->table, &more) != EXPLORE_NONE)
                    return true;
            }
        }
    }
    return false;
}

enum { MESSAGES_MAX = EXPLORE_BALLOTS_MAX * (EXPLORE_SLOTS_MAX * (EXPLORE_ACCEPTORS_MAX + 3) + 1) };

static struct explore_event chosen_event(uint8_t ballot, uint32_t slot)
{
    return (struct explore_event){.kind = EXPLORE_CHOSEN, .slot = (uint8_t)slot, .ballot = ballot};
}

/* Everything that may be heard from a board. Returns the number of messages. */
static uint32_t messages_of(const struct explore_model *m, const struct board *board, struct explore_event *messages)
{
    uint32_t count = 0;
    bool known[EXPLORE_SLOTS_MAX] = {0}; /* chosen at this ballot or below: what others have learned */
    for (uint32_t r = 0; r < m->options->ballots && board->values[r][0] != EXPLORE_NO_VALUE; r++) {
        uint8_t ballot = (uint8_t)(r + 1);
        bool prefix = true; /* the leader says that slots before this one are chosen */
        for (uint32_t slot = 1; slot <= m->options->slots; slot++) {
            uint8_t value = board->values[r][slot - 1];
            if (prefix)
                messages[count++] = chosen_event(ballot, slot);
            prefix = prefix && is_chosen(m, board, r, slot);
            known[slot - 1] = known[slot - 1] || is_chosen(m, board, r, slot);
            if (value == EXPLORE_NO_VALUE)
                continue;
            messages[count++] = explore_accept_event(ballot, slot, value);
            if (known[slot - 1]) {
                messages[count] = explore_accept_event(ballot, slot, value);
                messages[count++].kind = EXPLORE_LEARN;
            }
            for (uint32_t a = 0; a < m->options->acceptors; a++)
                if (board->voters[r][slot - 1] >> a & 1)
                    messages[count++] = explore_accepted_event(a, ballot, slot);
        }
        if (prefix)
            messages[count++] = chosen_event(ballot, m->options->slots + 1);
    }
    return count;
}

/* To a learner values are bytes: it matters which ballot proposed a value, not which value it is. So boards that differ only
 * in their values are heard once, with a value of its own for each ballot. */
static struct board own_values(const struct explore_model *m, const struct board *board)
{
    struct board own = *board;
    for (uint32_t r = 0; r < m->options->ballots; r++)
        for (uint32_t s = 0; s < m->options->slots; s++)
            if (board->values[r][s] != EXPLORE_NO_VALUE)
                own.values[r][s] = explore_value(&m->labels, (uint8_t)(r + 1), s + 1);
    return own;
}

enum { MADE_UP = 7 };

/* What a learner may conclude, at boards that differ only in their values. */
struct upshot {
    uint8_t released[EXPLORE_SLOTS_MAX]; /* bit n: the value of the ballot of rank n; bit MADE_UP: what no ballot proposed */
    uint8_t known;                       /* the most that it calls chosen: every slot below */
};

/* A learner's states at a board, in the order in which they were met, and how it reached them. */
struct listening {
    struct heard {
        uint32_t state;
        uint32_t before; /* number in heard */
        struct explore_event message;
    } *heard;
    size_t count, capacity;
    uint32_t *met; /* by state: the board, counted from 1, where it was met last */
    size_t met_count;
    uint32_t board;
    struct upshot upshot;
};

/* Agreement: a learner releases what is chosen. ChosenTrue: what it calls chosen is chosen. */
static void check_upshot(struct explore_model *m, const struct board *board, const struct upshot *upshot)
{
    for (uint32_t slot = 1; slot <= m->options->slots; slot++) {
        uint8_t chosen = chosen_value(m, board, slot);
        if (chosen == EXPLORE_NO_VALUE && slot < upshot->known)
            explore_fail(m, EXPLORE_CHOSEN_TRUE, "slot %u: a learner calls it chosen though it is not", slot);
        for (uint32_t r = 0; r <= MADE_UP; r++) {
            if ((upshot->released[slot - 1] >> r & 1) == 0 ||
                (r < m->options->ballots && board->values[r][slot - 1] == chosen))
                continue;
            explore_fail(m, EXPLORE_AGREEMENT, "slot %u: a learner releases %s", slot,
                         r == MADE_UP                 ? "what nobody proposed there"
                         : chosen == EXPLORE_NO_VALUE ? "a value though none is chosen"
                                                      : "another value than the chosen one");
        }
    }
}

static void note_upshot(const struct explore_model *m, const struct explore_step *step, struct upshot *upshot)
{
    for (uint32_t i = 0; i < step->count; i++) {
        struct explore_event said = m->learners.said[step->said + i];
        uint8_t rank = MADE_UP;
        for (uint32_t r = 0; r < m->options->ballots; r++)
            if (said.value == explore_value(&m->labels, (uint8_t)(r + 1), said.slot))
                rank = (uint8_t)r;
        upshot->released[said.slot - 1] |= (uint8_t)(1 << rank);
    }
    uint8_t known = explore_part_sight(&m->learners, step->next)->chosen;
    if (known > upshot->known)
        upshot->known = known;
}

static void listening_close(struct listening *l)
{
    free(l->heard);
    free(l->met);
}

/* A learner reaches a state, perhaps for the first time at this board. */
static void get_into(struct explore_model *m, struct listening *l, uint32_t state, uint32_t before,
                     struct explore_event message)
{
    if (state >= l->met_count) {
        size_t count = (size_t)m->learners.states.count * 2;
        uint32_t *met = memory_new(count, sizeof *met);
        if (l->met_count > 0)
            memcpy(met, l->met, l->met_count * sizeof *met);
        free(l->met);
        l->met = met;
        l->met_count = count;
    }
    if (l->met[state] == l->board)
        return;
    l->met[state] = l->board;
    l->heard = memory_reserve(l->heard, &l->capacity, l->count + 1, sizeof *l->heard);
    l->heard[l->count++] = (struct heard){state, before, message};
}

/* The messages that lead to state number `n`. Returns their number. */
static uint32_t way_to(const struct listening *l, uint32_t n, struct explore_event *way)
{
    uint32_t len = 0;
    for (uint32_t at = n; at != 0; at = l->heard[at].before)
        len++;
    invariant(len < MESSAGES_MAX);
    for (uint32_t at = n, i = len; at != 0; at = l->heard[at].before)
        way[--i] = l->heard[at].message;
    return len;
}

/* Takes a learner through a board with own values, until a rule is broken at `judged` (unless that is NULL). Returns the
 * number of messages in `way` that lead there. */
static uint32_t hear_board(struct explore_model *m, const struct board *board, const struct board *judged,
                           struct listening *l, struct explore_event *way)
{
    struct explore_event messages[MESSAGES_MAX];
    uint32_t count = messages_of(m, board, messages);
    l->board++;
    l->count = 0;
    l->upshot = (struct upshot){0};
    get_into(m, l, explore_part_root(&m->learners, 0), 0, (struct explore_event){0});
    for (uint32_t n = 0; n < l->count; n++) {
        for (uint32_t i = 0; i < count; i++) {
            struct explore_step step = explore_part_step(&m->learners, l->heard[n].state, messages[i]);
            note_upshot(m, &step, &l->upshot);
            get_into(m, l, step.next, n, messages[i]);
            if (judged == NULL)
                continue;
            check_upshot(m, judged, &l->upshot);
            if (m->failed == NULL)
                continue;
            uint32_t len = way_to(l, n, way);
            way[len++] = messages[i];
            return len;
        }
    }
    return 0;
}

uint32_t explore_boards_hear(struct explore_model *m, struct explore_boards *b)
{
    struct explore_table shapes; /* boards with own values */
    struct upshot *upshots = NULL;
    size_t capacity = 0;
    struct listening l = {0};
    uint32_t n = 0;
    explore_table_init(&shapes, sizeof(struct board));
    for (; n < b->table.count && m->failed == NULL; n++) {
        struct board board = *(const struct board *)explore_table_at(&b->table, n);
        if (is_covered(m, b, &board))
            continue;
        struct board shape = own_values(m, &board);
        bool is_new;
        shape = nameless(m, &shape);
        uint32_t number = explore_table_put(&shapes, &shape, &is_new);
        upshots = memory_reserve(upshots, &capacity, (size_t)number + 1, sizeof *upshots);
        if (is_new) {
            hear_board(m, &shape, NULL, &l, NULL);
            upshots[number] = l.upshot;
            b->heard++;
            b->learnings += l.count;
        }
        check_upshot(m, &board, &upshots[number]);
    }
    explore_table_close(&shapes);
    free(upshots);
    listening_close(&l);
    return m->failed != NULL ? n - 1 : EXPLORE_NONE;
}

/* A line about a message that a learner hears; ballots are those of the world. */
static void message_text(const struct explore_model *m, const struct explore_world *w, struct explore_event e,
                         const uint8_t *names, char *text, size_t size)
{
    uint32_t b = 0;
    for (uint32_t rank = 0; b < m->options->ballots; b++)
        if (w->sent[b].values[0] != EXPLORE_NO_VALUE && ++rank == e.ballot)
            break;
    invariant(b < m->options->ballots);
    const char *ballot = explore_ballot_text(&m->words, w->sent[b].ballot);
    const char *value = e.kind == EXPLORE_CHOSEN ? "" : explore_value_text(&m->words, w->sent[b].values[e.slot - 1]);
    switch (e.kind) {
    case EXPLORE_CHOSEN:
        snprintf(text, size, "a learner gets CHOSEN %s: all slots before %u", ballot, e.slot);
        break;
    case EXPLORE_ACCEPT:
        snprintf(text, size, "a learner gets ACCEPT %s for slot %u: %s", ballot, e.slot, value);
        break;
    case EXPLORE_LEARN:
        snprintf(text, size, "a learner gets LEARN from another: slot %u holds %s, ballot %s", e.slot, value, ballot);
        break;
    default:
        snprintf(text, size, "a learner gets the vote of A%u at ballot %s for slot %u", names[e.who] + 1u, ballot, e.slot);
        break;
    }
}

void explore_board_way(struct explore_model *m, const struct explore_world *world, const uint8_t *names, explore_line *line,
                       void *context)
{
    struct explore_event way[MESSAGES_MAX];
    char text[256];
    struct board board = board_of(m, world);
    struct board shape = own_values(m, &board);
    struct listening l = {0};
    uint32_t len = hear_board(m, &shape, &board, &l, way);
    for (uint32_t i = 0; i < len; i++) {
        message_text(m, world, way[i], names, text, sizeof text);
        line(context, text);
    }
    listening_close(&l);
}
