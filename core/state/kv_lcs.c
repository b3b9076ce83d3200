/* LCS: the longest text that two values have in common, in this order but not in one piece. Of several it is the one that
 * Redis gives. Row by row, `common` has the length for the first i bytes of a and the first j of b; for each cell a bit says
 * which way goes back from it where the bytes differ:
 *
 *   equal bytes    common(i, j) = common(i-1, j-1) + 1            back to (i-1, j-1); the byte is in the result
 *   other bytes    common(i, j) = max(common(i-1, j), common(i, j-1))
 *                                                                 back to (i-1, j) if that is more, otherwise to (i, j-1) */
#include "core/base/memory.h"
#include "core/state/kv_reply.h"

enum { CELL_WORK = 6 };

struct lcs {
    struct bytes a, b;
    uint8_t *up;      /* a bit for each cell */
    uint32_t *common; /* of the row, [0] to [b.len] */
    size_t length;
};

static size_t cell(const struct lcs *l, size_t i, size_t j) { return (i - 1) * l->b.len + j - 1; }

static void compare(struct lcs *l)
{
    for (size_t i = 1; i <= l->a.len; i++) {
        uint32_t diagonal = 0; /* common(i-1, j-1) */
        for (size_t j = 1; j <= l->b.len; j++) {
            const uint32_t above = l->common[j], left = l->common[j - 1];
            const size_t at = cell(l, i, j);
            l->up[at / 8] = (uint8_t)(l->up[at / 8] | (above > left) << at % 8);
            l->common[j] = l->a.ptr[i - 1] == l->b.ptr[j - 1] ? diagonal + 1 : above > left ? above : left;
            diagonal = above;
        }
    }
    l->length = l->common[l->b.len];
}

/* A stretch that both have in one piece. */
struct match {
    size_t a, b, len;
};

/* Goes back from the last cell. Writes the text from its end on, and its stretches, the last one first. Gives how many these
 * are. */
static size_t collect(const struct lcs *l, uint8_t *out, struct match *matches)
{
    size_t i = l->a.len, j = l->b.len, count = 0;
    bool goes_on = false;
    for (size_t left = l->length; left > 0;) {
        const bool up = (l->up[cell(l, i, j) / 8] >> cell(l, i, j) % 8 & 1) != 0;
        const bool equal = l->a.ptr[i - 1] == l->b.ptr[j - 1];
        i -= equal || up;
        j -= equal || !up;
        if (equal) {
            out[--left] = l->a.ptr[i];
            count += !goes_on;
            matches[count - 1] = (struct match){i, j, goes_on ? matches[count - 1].len + 1 : 1};
        }
        goes_on = equal;
    }
    return count;
}

/* ---- The command ---- */

/* Which of the replies there are: the text, its length, or places. */
struct options {
    bool length, places, lengths;
    int64_t least; /* bytes of a stretch of which the place is told */
};

static bool read_options(const struct bytes *args, size_t argc, struct options *o, struct reply *r)
{
    for (size_t i = 3; i < argc; i++) {
        if (kv_word(&args[i], "len")) {
            o->length = true;
        } else if (kv_word(&args[i], "idx")) {
            o->places = true;
        } else if (kv_word(&args[i], "withmatchlen")) {
            o->lengths = true;
        } else if (kv_word(&args[i], "minmatchlen") && i + 1 < argc) {
            if (!kv_integer(&args[++i], &o->least, r))
                return false;
        } else {
            reply_error(r, "ERR syntax error");
            return false;
        }
    }
    if (o->places && o->length)
        reply_error(r, "ERR If you want both the length and indexes, please just use IDX.");
    return !o->places || !o->length;
}

enum { PLACES_HEAD = 64, LINES_OF_A_MATCH = 8 }; /* what `places` takes at most, beside and in each stretch */

static uint8_t *range(uint8_t *out, size_t from, size_t len)
{
    out = kv_write_line(out, '*', 2);
    out = kv_write_line(out, ':', from);
    return kv_write_line(out, ':', from + len - 1);
}

/* A map: {matches: [[[from, to] in a, [from, to] in b, length]...], len: length of all}. */
static uint8_t *places(uint8_t *out, const struct options *o, const struct match *matches, size_t count, size_t length)
{
    size_t told = 0;
    for (size_t i = 0; i < count; i++)
        told += (int64_t)matches[i].len >= o->least;
    out = kv_write_line(out, '%', 2);
    out = kv_write_bulk(out, kv_text("matches"));
    out = kv_write_line(out, '*', told);
    for (const struct match *m = matches; m < matches + count; m++) {
        if ((int64_t)m->len < o->least)
            continue;
        out = kv_write_line(out, '*', o->lengths ? 3 : 2);
        out = range(out, m->a, m->len);
        out = range(out, m->b, m->len);
        out = o->lengths ? kv_write_line(out, ':', m->len) : out;
    }
    out = kv_write_bulk(out, kv_text("len"));
    return kv_write_line(out, ':', length);
}

static struct bytes value_of(struct state_machine *m, const struct kv_entry *e)
{
    return e != NULL ? kv_value_part(m, e, 0, e->value_len) : kv_text("");
}

/* The text that both have in common, and its stretches. */
static struct bytes common_text(struct state_machine *m, const struct kv_entry *a, const struct kv_entry *b,
                                struct match *matches, size_t *count)
{
    struct lcs l = {.a = value_of(m, a), .b = value_of(m, b)};
    const size_t cells = l.a.len * l.b.len; /* they are affordable, so they are few */
    l.up = arena_new(&m->results, cells / 8 + 1);
    l.common = arena_new(&m->results, (l.b.len + 1) * sizeof *l.common);
    memset(l.up, 0, cells / 8 + 1);
    memset(l.common, 0, (l.b.len + 1) * sizeof *l.common);
    m->data.live.work += cells * CELL_WORK + l.b.len;
    compare(&l);
    const struct bytes text = {arena_new(&m->results, l.length + 1), l.length};
    *count = collect(&l, text.ptr, matches);
    return text;
}

void kv_lcs(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    struct options o = {.least = 0};
    if (!read_options(args, argc, &o, r))
        return;
    const struct kv_entry *a = kv_find(m, args[1]), *b = kv_find(m, args[2]);
    const uint64_t cells = a != NULL && b != NULL ? (uint64_t)a->value_len * b->value_len : 0;
    const size_t shorter = cells == 0 ? 0 : a->value_len < b->value_len ? a->value_len : b->value_len;
    const size_t size = o.places ? PLACES_HEAD + shorter * LINES_OF_A_MATCH * KV_RAW_LINE_MAX : shorter;
    if (!kv_affordable(cells * CELL_WORK, r) || !kv_has_room(m, scalar_size(REPLY_RAW, &(struct bytes){.len = size}), r))
        return;
    struct match *matches = arena_new(&m->results, (shorter + 1) * sizeof *matches);
    size_t count = 0;
    const struct bytes text = cells > 0 ? common_text(m, a, b, matches, &count) : kv_text("");
    if (o.length) {
        reply_integer(r, (int64_t)text.len);
        return;
    }
    r->tag = o.places ? REPLY_RAW : REPLY_BYTES;
    r->val.bytes = text;
    if (!o.places)
        return;
    uint8_t *start = arena_new(&m->results, PLACES_HEAD + count * LINES_OF_A_MATCH * KV_RAW_LINE_MAX);
    r->val.bytes = (struct bytes){start, (size_t)(places(start, &o, matches, count, text.len) - start)};
    m->data.live.work += r->val.bytes.len;
}
