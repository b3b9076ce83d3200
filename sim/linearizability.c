/* Linearizability of one key's history: is there an order of the operations, each at one moment between its call and its
 * return, in which a store with this one key gives the answers that were given?
 *
 * Operations with an answer must all have a place. Those with unknown outcome may have one at any time after their call, or
 * none. Refused ones must have none, so they are left out. The search is that of Wing and Gong ("Testing and verifying
 * concurrent objects", 1993): the next in order may be any operation that was called before the first return of those left.
 * It goes on from the state that this operation leaves, and goes back when none fits. With Lowe's memory ("Testing for
 * linearizability", 2017) it never goes on twice from the same set of done operations and the same state.
 *
 * Of all orders that explain a history, some leave out as many unknown operations as possible. Only these are searched.
 * That keeps unknown operations cheap:
 *
 * 1. What comes after an unknown operation must need the state that it leaves, or the operation could be left out. So
 *    unknown operations form chains. A chain is right before an answered operation and explains its answer (never before a
 *    SET, nor at the end). A chain and the operation after it are one move of the search.
 * 2. For the same reason SET, GETSET and DEL can only be first in a chain, and only APPEND and INCR follow them. No member
 *    leaves the state as it was. GET is never a member. There is no chain where the answer fits without one, unless the
 *    answer tells only a length, as APPEND's does.
 * 3. A chain before GET makes exactly the value that was read. So a chain is given up as soon as its value is no beginning
 *    of that; likewise with the numbers and lengths in other answers.
 *
 * These keep clients cheap that do many things at once:
 *
 * 4. An answered operation that changes nothing and whose answer fits is placed at once (GET, or a DEL that found nothing):
 *    any order of the rest remains possible.
 * 5. If operations could change places, only one order is tried: among answered ones, the one that returned first goes
 *    first; among unknown ones, the one that was called first. That concerns two DEL, or two INCR, with the same answer or
 *    none. It also concerns two writes of one length whose words no answer shows, if they are otherwise alike; inside a
 *    chain, too, only one order of such writes is tried.
 * 6. Every value is a word of its own. So an answer shows whose words it is made of, and what was overwritten never comes
 *    back. A position is given up when a remaining answer shows a word that was written before and is not in its place in
 *    the state. (This needs words that are a letter followed by digits, each written once. Otherwise the search does without
 *    it, and is slower.)
 *
 * INCR of a value that is no number is an error, so it is no answer of INCR: such an operation has no effect. */
#include "sim/linearizability.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/formats/decimal.h"
#include "sim/hash_index.h"

enum { NIL = 0, NONE = -1, SHOWN_BYTES_MAX = 64 };

/* ---- The judge ---- */

/* A value that the key may have. */
struct value {
    size_t at, len; /* its bytes */
    size_t writer;  /* the item that wrote its word, counted from 1; 0: none */
    bool is_number; /* as INCR reads it; nil is 0 */
    int64_t number;
};

/* Where a word is in an answer. */
struct token {
    size_t writer, at; /* the item that writes the word; the place */
};

struct item {
    const struct operation *operation;
    uint8_t kind;
    uint64_t call, end;
    size_t len;                 /* of the word written */
    uint32_t written;           /* SET, GETSET: the state after it */
    uint32_t seen;              /* GET, GETSET with an answer: the state before it */
    size_t tokens, token_count; /* the words that it shows, if words are told apart */
    bool writes;                /* SET, GETSET, APPEND: it has a word */
    bool shown;                 /* some answer shows this word */
    uint32_t class;             /* the first of those that could change places with it (point 5) */
    ptrdiff_t before;           /* unknown: the one that goes before it, or NONE */
};

/* An answered operation, with the unknown ones right before it. */
struct move {
    uint32_t item;
    uint32_t state; /* after it */
    size_t chain, chain_len;
};

/* A position of the search: moves [next, end) are still to be tried. */
struct frame {
    uint32_t low; /* all answered items before are done */
    uint32_t state;
    size_t first, next, end;
    size_t chains;
};

struct judge {
    struct item *items; /* answered ones first, then unknown ones, each in the order of their calls */
    size_t items_capacity;
    uint32_t known, count;
    bool counts, appends; /* some operation is INCR, APPEND */
    bool distinct;        /* words are told apart: point 6 holds */
    struct token *tokens;
    size_t token_count, tokens_capacity;
    uint32_t *first; /* by class: the item that goes first, of those that may be next */
    size_t first_capacity;

    struct value *values; /* by state; nil is the first */
    size_t value_count, values_capacity;
    uint8_t *bytes; /* of all values */
    size_t bytes_len, bytes_capacity;
    struct hash_index value_index;

    uint64_t *done; /* a bit an item */
    size_t words, done_capacity;
    uint64_t *memory; /* positions: `words` words of done and the state */
    size_t memory_count, memory_capacity;
    struct hash_index memory_index;

    struct frame *frames;
    size_t depth, frames_capacity;
    struct move *moves;
    size_t move_count, moves_capacity;
    uint32_t *chains;
    size_t chain_count, chains_capacity;
    uint32_t *chain; /* the one being made */
    size_t chain_len, chain_capacity;
    uint64_t bound; /* the first return of the remaining operations */

    uint64_t steps, steps_max;
    uint64_t *deepest; /* `done` and the state when most had been placed */
    size_t deepest_capacity, deepest_depth;
};

struct judge *judge_new(void) { return memory_new(1, sizeof(struct judge)); }

void judge_free(struct judge *j)
{
    if (j == NULL)
        return;
    free(j->items);
    free(j->tokens);
    free(j->first);
    free(j->values);
    free(j->bytes);
    hash_index_close(&j->value_index);
    free(j->done);
    free(j->memory);
    hash_index_close(&j->memory_index);
    free(j->frames);
    free(j->moves);
    free(j->chains);
    free(j->chain);
    free(j->deepest);
    free(j);
}

static bool is_done(const struct judge *j, size_t item) { return (j->done[item / 64] >> (item % 64) & 1) != 0; }
static void set_done(struct judge *j, size_t item) { j->done[item / 64] |= UINT64_C(1) << (item % 64); }
static void clear_done(struct judge *j, size_t item) { j->done[item / 64] &= ~(UINT64_C(1) << (item % 64)); }

/* ---- States ---- */

/* `len` bytes after those of all values, for the next one. */
static uint8_t *value_room(struct judge *j, size_t len)
{
    j->bytes = memory_reserve(j->bytes, &j->bytes_capacity, j->bytes_len + len, 1);
    return j->bytes + j->bytes_len;
}

/* The state whose value is in that room. */
static uint32_t state_of(struct judge *j, size_t len)
{
    const uint8_t *bytes = j->bytes + j->bytes_len;
    uint64_t hash = checksum(bytes, len, 0);
    for (uint32_t number, at = 0; (number = hash_index_next(&j->value_index, hash, &at)) != 0;)
        if (j->values[number].len == len && memcmp(j->bytes + j->values[number].at, bytes, len) == 0)
            return number;
    j->values = memory_reserve(j->values, &j->values_capacity, j->value_count + 1, sizeof *j->values);
    struct value *v = &j->values[j->value_count];
    *v = (struct value){.at = j->bytes_len, .len = len};
    v->is_number = decimal_read(bytes, len, &v->number);
    j->bytes_len += len;
    hash_index_add(&j->value_index, hash, (uint32_t)j->value_count);
    return (uint32_t)j->value_count++;
}

static uint32_t state_of_text(struct judge *j, const char *text, size_t len)
{
    uint8_t *room = value_room(j, len + 1);
    if (len > 0)
        memcpy(room, text, len);
    return state_of(j, len);
}

static void states_reset(struct judge *j)
{
    hash_index_clear(&j->value_index);
    j->values = memory_reserve(j->values, &j->values_capacity, 1, sizeof *j->values);
    j->values[NIL] = (struct value){.is_number = true};
    j->value_count = 1;
    j->bytes_len = 0;
}

static uint32_t appended(struct judge *j, uint32_t state, const struct item *o)
{
    size_t before = j->values[state].len;
    uint8_t *room = value_room(j, before + o->len + 1);
    memcpy(room, j->bytes + j->values[state].at, before);
    memcpy(room + before, o->operation->value, o->len);
    return state_of(j, before + o->len);
}

static uint32_t incremented(struct judge *j, uint32_t state)
{
    struct value v = j->values[state];
    if (!v.is_number || v.number == INT64_MAX)
        return state;
    return state_of(j, decimal_write(v.number + 1, value_room(j, DECIMAL_MAX)));
}

/* The state that an operation leaves. */
static uint32_t state_after(struct judge *j, uint32_t state, const struct item *o)
{
    switch (o->kind) {
    case OPERATION_SET:
    case OPERATION_GETSET:
        return o->written;
    case OPERATION_DEL:
        return NIL;
    case OPERATION_APPEND:
        return appended(j, state, o);
    case OPERATION_INCR:
        return incremented(j, state);
    default:
        return state;
    }
}

/* True when an answered operation gives its answer in this state. */
static bool fits(const struct judge *j, uint32_t state, const struct item *o)
{
    const struct value *v = &j->values[state];
    int64_t integer = o->operation->integer;
    switch (o->kind) {
    case OPERATION_GET:
    case OPERATION_GETSET:
        return state == o->seen;
    case OPERATION_INCR:
        return v->is_number && v->number < INT64_MAX && v->number + 1 == integer;
    case OPERATION_APPEND:
        return integer >= 0 && v->len + o->len == (uint64_t)integer;
    case OPERATION_DEL:
        return integer == (state == NIL ? 0 : 1);
    default:
        return true;
    }
}

/* False when no APPEND and no INCR leads from this state to one that fits (point 3). */
static bool may_lead(const struct judge *j, uint32_t state, const struct item *o)
{
    const struct value *v = &j->values[state];
    int64_t integer = o->operation->integer;
    if (j->counts && j->appends)
        return true; /* "1" may become "12", and that "13" */
    switch (o->kind) {
    case OPERATION_GET:
    case OPERATION_GETSET: {
        const struct value *seen = &j->values[o->seen];
        if (o->seen == NIL)
            return state == NIL;
        if (j->counts)
            return state == o->seen || (v->is_number && seen->is_number && v->number <= seen->number);
        return v->len <= seen->len && memcmp(j->bytes + v->at, j->bytes + seen->at, v->len) == 0;
    }
    case OPERATION_INCR:
        return v->is_number && v->number < integer;
    case OPERATION_APPEND:
        return integer >= 0 && v->len + o->len <= (uint64_t)integer;
    default:
        return false; /* if a DEL helped, it would have fitted at once */
    }
}

/* ---- Moves ---- */

static void add_move(struct judge *j, uint32_t item, uint32_t state)
{
    j->chains = memory_reserve(j->chains, &j->chains_capacity, j->chain_count + j->chain_len, sizeof *j->chains);
    if (j->chain_len > 0)
        memcpy(j->chains + j->chain_count, j->chain, j->chain_len * sizeof *j->chain);
    j->moves = memory_reserve(j->moves, &j->moves_capacity, j->move_count + 1, sizeof *j->moves);
    j->moves[j->move_count++] = (struct move){
        .item = item, .state = state_after(j, state, &j->items[item]), .chain = j->chain_count, .chain_len = j->chain_len};
    j->chain_count += j->chain_len;
}

/* True when a remaining answer shows a word that can no longer be there (point 6). */
static bool is_dead(const struct judge *j, uint32_t low, uint32_t state)
{
    const struct value *v = &j->values[state];
    for (uint32_t i = low; i < j->known && j->distinct; i++) {
        const struct item *o = &j->items[i];
        if (o->token_count == 0 || is_done(j, i))
            continue;
        const struct value *seen = &j->values[o->seen];
        bool begins = v->len <= seen->len && memcmp(j->bytes + v->at, j->bytes + seen->at, v->len) == 0;
        for (size_t k = 0; k < o->token_count; k++) {
            const struct token *t = &j->tokens[o->tokens + k];
            if (is_done(j, t->writer) && (!begins || t->at >= v->len))
                return true;
        }
    }
    return false;
}

/* True when the chain may continue with this unknown item (points 2 and 5). */
static bool may_join(const struct judge *j, uint32_t item)
{
    const struct item *u = &j->items[item];
    bool overwrites = u->kind != OPERATION_APPEND && u->kind != OPERATION_INCR;
    if (is_done(j, item) || (overwrites && j->chain_len > 0) || (u->before != NONE && !is_done(j, (size_t)u->before)))
        return false;
    if (!j->distinct || j->chain_len == 0 || u->shown)
        return true;
    uint32_t last = j->chain[j->chain_len - 1];
    return j->items[last].kind != OPERATION_APPEND || last < item;
}

/* Adds all moves that place `item` after a chain that continues from `state`. */
static void add_chains(struct judge *j, uint32_t low, uint32_t item, uint32_t state)
{
    const struct item *o = &j->items[item];
    for (uint32_t i = j->known; i < j->count && j->items[i].call <= j->bound && j->steps <= j->steps_max; i++) {
        if (!may_join(j, i))
            continue;
        j->steps++;
        uint32_t after = state_after(j, state, &j->items[i]);
        bool found = fits(j, after, o);
        if (after == state || (!found && !may_lead(j, after, o)))
            continue;
        set_done(j, i);
        if (!found && is_dead(j, low, after)) {
            clear_done(j, i);
            continue;
        }
        j->chain = memory_reserve(j->chain, &j->chain_capacity, j->chain_len + 1, sizeof *j->chain);
        j->chain[j->chain_len++] = i;
        if (found)
            add_move(j, item, after);
        if (!found || o->kind == OPERATION_APPEND)
            add_chains(j, low, item, after);
        j->chain_len--;
        clear_done(j, i);
    }
}

/* True when the operation changes nothing and gives its answer now. */
static bool goes_at_once(const struct judge *j, uint32_t state, const struct item *o)
{
    return (o->kind == OPERATION_GET || (o->kind == OPERATION_DEL && state == NIL)) && fits(j, state, o);
}

/* Finds in each class the answered item that goes first (point 5): those that may be the next are [low, end), unless
 * done. */
static void find_first(struct judge *j, uint32_t low, uint32_t end)
{
    for (uint32_t i = low; i < end; i++)
        j->first[j->items[i].class] = UINT32_MAX;
    for (uint32_t i = low; i < end; i++) {
        uint32_t *first = &j->first[j->items[i].class];
        if (!is_done(j, i) && (*first == UINT32_MAX || j->items[i].end < j->items[*first].end))
            *first = i;
    }
}

/* Adds all moves from `state`, where answered items before `low` are done. */
static void add_moves(struct judge *j, uint32_t low, uint32_t state)
{
    uint32_t end = low;
    j->bound = UINT64_MAX;
    for (; end < j->known && j->items[end].call <= j->bound; end++) {
        if (is_done(j, end))
            continue;
        if (goes_at_once(j, state, &j->items[end])) {
            add_move(j, end, state);
            return;
        }
        if (j->items[end].end < j->bound)
            j->bound = j->items[end].end;
    }
    find_first(j, low, end);
    for (uint32_t i = low; i < end; i++) {
        const struct item *o = &j->items[i];
        if (is_done(j, i) || j->first[o->class] != i)
            continue;
        bool found = fits(j, state, o);
        if (found)
            add_move(j, i, state);
        if (!found || o->kind == OPERATION_APPEND)
            add_chains(j, low, i, state);
    }
}

/* ---- The search ---- */

/* Remembers the position. False: it was met before. */
static bool remember(struct judge *j, uint32_t state)
{
    size_t size = j->words + 1;
    j->memory = memory_reserve(j->memory, &j->memory_capacity, (j->memory_count + 1) * size, sizeof *j->memory);
    uint64_t *position = j->memory + j->memory_count * size;
    memcpy(position, j->done, j->words * sizeof *position);
    position[j->words] = state;
    uint64_t hash = checksum(position, size * sizeof *position, 0);
    for (uint32_t number, at = 0; (number = hash_index_next(&j->memory_index, hash, &at)) != 0;)
        if (memcmp(j->memory + (number - 1) * size, position, size * sizeof *position) == 0)
            return false;
    hash_index_add(&j->memory_index, hash, (uint32_t)++j->memory_count);
    return true;
}

static void undo(struct judge *j, const struct move *m)
{
    clear_done(j, m->item);
    for (size_t i = 0; i < m->chain_len; i++)
        clear_done(j, j->chains[m->chain + i]);
}

/* Notes the position when none before had more answered operations done. */
static void note_deepest(struct judge *j, uint32_t state)
{
    if (j->depth < j->deepest_depth)
        return;
    memcpy(j->deepest, j->done, j->words * sizeof *j->done);
    j->deepest[j->words] = state;
    j->deepest_depth = j->depth;
}

static void push(struct judge *j, uint32_t low, uint32_t state)
{
    j->frames = memory_reserve(j->frames, &j->frames_capacity, j->depth + 1, sizeof *j->frames);
    struct frame *f = &j->frames[j->depth++];
    *f = (struct frame){.low = low, .state = state, .first = j->move_count, .next = j->move_count, .chains = j->chain_count};
    add_moves(j, low, state);
    f->end = j->move_count;
}

/* Gives up a position, and takes back the move that led there. */
static void pop(struct judge *j)
{
    const struct frame *f = &j->frames[--j->depth];
    j->move_count = f->first;
    j->chain_count = f->chains;
    if (j->depth > 0)
        undo(j, &j->moves[j->frames[j->depth - 1].next - 1]);
}

static enum verdict search(struct judge *j)
{
    note_deepest(j, NIL);
    push(j, 0, NIL);
    while (j->depth > 0 && j->steps <= j->steps_max) {
        struct frame *f = &j->frames[j->depth - 1];
        if (j->depth - 1 == j->known)
            return LINEARIZABLE;
        if (f->next == f->end) {
            pop(j);
            continue;
        }
        j->steps++;
        const struct move *m = &j->moves[f->next++];
        set_done(j, m->item);
        for (size_t i = 0; i < m->chain_len; i++)
            set_done(j, j->chains[m->chain + i]);
        note_deepest(j, m->state);
        uint32_t low = f->low;
        while (low < j->known && is_done(j, low))
            low++;
        bool changed = m->state != f->state || m->chain_len > 0;
        if ((changed && is_dead(j, low, m->state)) || !remember(j, m->state)) {
            undo(j, m);
            continue;
        }
        push(j, low, m->state);
    }
    return j->steps <= j->steps_max ? NOT_LINEARIZABLE : UNDECIDED;
}

/* ---- Reading a history ---- */

static bool is_unknown(const struct operation *o)
{
    return (o->outcome == OPERATION_PENDING || o->outcome == OPERATION_UNKNOWN) && o->kind != OPERATION_GET;
}

static void add_item(struct judge *j, const struct operation *o)
{
    struct item *item = &j->items[j->count++];
    *item = (struct item){.operation = o, .kind = o->kind, .call = o->call_us, .end = o->return_us, .before = NONE};
    item->len = strlen(o->value);
    item->written = state_of_text(j, o->value, item->len);
    item->writes = o->kind == OPERATION_SET || o->kind == OPERATION_GETSET || o->kind == OPERATION_APPEND;
    if (o->outcome == OPERATION_OK && !o->nil && (o->kind == OPERATION_GET || o->kind == OPERATION_GETSET))
        item->seen = state_of_text(j, o->answer, o->answer_len);
    j->counts |= o->kind == OPERATION_INCR;
    j->appends |= o->kind == OPERATION_APPEND;
}

/* Finds out which item writes which word. False: words are not told apart. */
static bool find_writers(struct judge *j)
{
    for (uint32_t i = 0; i < j->count; i++) {
        const struct item *item = &j->items[i];
        const char *word = item->operation->value;
        if (!item->writes)
            continue;
        if (!isalpha((unsigned char)word[0]) || item->len != 1 + strspn(word + 1, "0123456789") ||
            j->values[item->written].writer != 0)
            return false;
        j->values[item->written].writer = i + 1;
    }
    return !j->counts;
}

/* Takes an answer apart into words: a letter followed by digits. Words that no item writes are left out; no state will be
 * such an answer. */
static void find_tokens(struct judge *j, struct item *o)
{
    o->tokens = j->token_count;
    for (size_t at = 0, end; at < j->values[o->seen].len; at = end) {
        const char *text = o->operation->answer;
        for (end = at + 1; end < j->values[o->seen].len && isdigit((unsigned char)text[end]); end++)
            ;
        size_t writer = j->values[state_of_text(j, text + at, end - at)].writer;
        if (writer == 0)
            continue;
        j->items[writer - 1].shown = true;
        j->tokens = memory_reserve(j->tokens, &j->tokens_capacity, j->token_count + 1, sizeof *j->tokens);
        j->tokens[j->token_count++] = (struct token){.writer = writer - 1, .at = at};
        o->token_count++;
    }
}

/* True when some answer may show the word of `u`, if words are not told apart. */
static bool may_be_shown(const struct judge *j, const struct item *u)
{
    for (uint32_t i = 0; i < j->known; i++) {
        const struct value *v = &j->values[j->items[i].seen];
        if (memmem(j->bytes + v->at, v->len, u->operation->value, u->len) != NULL)
            return true;
    }
    return false;
}

static void find_shown(struct judge *j)
{
    j->token_count = 0;
    j->distinct = find_writers(j);
    for (uint32_t i = 0; i < j->known && j->distinct; i++)
        if (j->items[i].seen != NIL)
            find_tokens(j, &j->items[i]);
    for (uint32_t i = 0; i < j->count && !j->distinct; i++)
        j->items[i].shown = j->items[i].writes && (j->counts || may_be_shown(j, &j->items[i]));
}

/* True when two items, both answered or both unknown, could change places wherever both may be (point 5). Of words that no
 * answer shows, only the length counts; but with INCR, they could be numbers. */
static bool alike(const struct item *a, const struct item *b)
{
    if (a->writes != b->writes || a->shown || b->shown || a->len != b->len)
        return false;
    if (a->operation->outcome != OPERATION_OK)
        return a->writes ? (a->kind == OPERATION_APPEND) == (b->kind == OPERATION_APPEND) : a->kind == b->kind;
    return a->kind == b->kind && a->seen == b->seen && a->operation->integer == b->operation->integer;
}

static void find_classes(struct judge *j)
{
    for (uint32_t i = 0; i < j->count; i++) {
        struct item *item = &j->items[i];
        item->class = i;
        for (uint32_t k = i; k > (i < j->known ? 0 : j->known) && item->class == i; k--)
            if (alike(&j->items[k - 1], item)) {
                item->class = j->items[k - 1].class;
                item->before = k - 1;
            }
    }
}

static void take_in(struct judge *j, const struct operation *const *operations, size_t count, uint64_t steps_max)
{
    states_reset(j);
    j->items = memory_reserve(j->items, &j->items_capacity, count, sizeof *j->items);
    j->count = 0;
    j->counts = j->appends = false;
    for (size_t i = 0; i < count; i++)
        if (operations[i]->outcome == OPERATION_OK)
            add_item(j, operations[i]);
    j->known = j->count;
    for (size_t i = 0; i < count; i++)
        if (is_unknown(operations[i]))
            add_item(j, operations[i]);
    find_shown(j);
    find_classes(j);

    j->words = (j->count + 63) / 64;
    j->done = memory_reserve(j->done, &j->done_capacity, j->words + 1, sizeof *j->done);
    memset(j->done, 0, (j->words + 1) * sizeof *j->done);
    j->first = memory_reserve(j->first, &j->first_capacity, j->count, sizeof *j->first);
    j->deepest = memory_reserve(j->deepest, &j->deepest_capacity, j->words + 1, sizeof *j->deepest);
    hash_index_clear(&j->memory_index);
    j->memory_count = j->depth = j->deepest_depth = j->move_count = j->chain_count = j->chain_len = 0;
    j->steps = 0;
    j->steps_max = steps_max;
}

/* ---- Saying why ---- */

struct text {
    char *out;
    size_t size, len;
};

static void say(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends what fits. */
static void say(struct text *t, const char *format, ...)
{
    va_list args;
    if (t->len + 1 >= t->size)
        return;
    va_start(args, format);
    int len = vsnprintf(t->out + t->len, t->size - t->len, format, args);
    va_end(args);
    invariant(len >= 0);
    t->len += (size_t)len;
    if (t->len >= t->size)
        t->len = t->size - 1;
}

/* Any bytes, in quotes; only the beginning and end of long ones. */
static void say_bytes(struct text *t, const void *bytes, size_t len)
{
    say(t, "\"");
    for (size_t i = 0; i < len && i < SHOWN_BYTES_MAX; i++) {
        uint8_t c = ((const uint8_t *)bytes)[i];
        say(t, c >= ' ' && c < 127 && c != '"' ? "%c" : "\\x%02x", c);
    }
    say(t, len > SHOWN_BYTES_MAX ? "...\" (%zu bytes)" : "\"", len);
}

static void say_operation(struct text *t, const struct operation *o)
{
    static const char *const names[OPERATION_KINDS] = {"GET", "SET", "INCR", "APPEND", "DEL", "GETSET"};
    say(t, "[%" PRIu64 " us, ", o->call_us);
    say(t, o->outcome == OPERATION_OK ? "%" PRIu64 " us] " : "] ", o->return_us);
    say(t, "client %" PRIu32 ": %s k%" PRIu32 "%s%s -> ", o->client, names[o->kind], o->key, o->value[0] != 0 ? " " : "",
        o->value);
    if (o->outcome != OPERATION_OK)
        say(t, "unknown");
    else if (o->kind == OPERATION_SET)
        say(t, "OK");
    else if (o->kind == OPERATION_INCR || o->kind == OPERATION_APPEND || o->kind == OPERATION_DEL)
        say(t, "%" PRId64, o->integer);
    else if (o->nil)
        say(t, "nil");
    else
        say_bytes(t, o->answer, o->answer_len);
    say(t, "\n");
}

/* Shows the position where most had been placed: what might have been next, and which unknown operations were left. */
static void explain(struct judge *j, char *why, size_t why_size)
{
    struct text t = {.out = why, .size = why_size};
    const struct value *v = &j->values[j->deepest[j->words]];
    memcpy(j->done, j->deepest, j->words * sizeof *j->done);
    say(&t, "key k%" PRIu32 ": %zu of %" PRIu32 " answered operations have a place, with the value ",
        j->items[0].operation->key, j->deepest_depth, j->known);
    if (j->deepest[j->words] == NIL)
        say(&t, "nil");
    else
        say_bytes(&t, j->bytes + v->at, v->len);
    say(&t, " then; none of these can be the next:\n");
    uint64_t bound = UINT64_MAX;
    for (uint32_t i = 0; i < j->known && j->items[i].call <= bound; i++) {
        if (is_done(j, i))
            continue;
        say(&t, "    ");
        say_operation(&t, j->items[i].operation);
        if (j->items[i].end < bound)
            bound = j->items[i].end;
    }
    for (uint32_t i = j->known; i < j->count; i++)
        if (!is_done(j, i)) {
            say(&t, "  ? ");
            say_operation(&t, j->items[i].operation);
        }
}

enum verdict judge_key(struct judge *j, const struct operation *const *operations, size_t count, uint64_t steps_max,
                       char *why, size_t why_size)
{
    take_in(j, operations, count, steps_max);
    enum verdict verdict = search(j);
    if (verdict == NOT_LINEARIZABLE)
        explain(j, why, why_size);
    return verdict;
}
