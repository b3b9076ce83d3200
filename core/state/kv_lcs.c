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

/* Goes back from the last cell, and writes the result from its end on. */
static void collect(const struct lcs *l, uint8_t *out)
{
    size_t i = l->a.len, j = l->b.len;
    for (size_t left = l->length; left > 0;) {
        const size_t at = cell(l, i, j);
        if (l->a.ptr[i - 1] == l->b.ptr[j - 1]) {
            out[--left] = l->a.ptr[i - 1];
            i--;
            j--;
        } else if ((l->up[at / 8] >> at % 8 & 1) != 0) {
            i--;
        } else {
            j--;
        }
    }
}

static bool read_options(const struct bytes *args, size_t argc, bool *length_only, struct reply *r)
{
    bool places = false;
    int64_t least;
    for (size_t i = 3; i < argc; i++) {
        if (kv_word(&args[i], "len")) {
            *length_only = true;
        } else if (kv_word(&args[i], "idx")) {
            places = true;
        } else if (kv_word(&args[i], "minmatchlen") && i + 1 < argc) {
            if (!kv_integer(&args[++i], &least, r))
                return false;
        } else if (!kv_word(&args[i], "withmatchlen")) {
            reply_error(r, "ERR syntax error");
            return false;
        }
    }
    if (places && *length_only)
        reply_error(r, "ERR If you want both the length and indexes, please just use IDX.");
    else if (places)
        reply_error(r, "ERR LCS with IDX is not supported");
    return !places;
}

static struct bytes value_of(struct state_machine *m, const struct kv_entry *e)
{
    return e != NULL ? kv_value_part(m, e, 0, e->value_len) : kv_text("");
}

void kv_lcs(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    bool length_only = false;
    if (!read_options(args, argc, &length_only, r))
        return;
    const struct kv_entry *a = kv_find(m, args[1]), *b = kv_find(m, args[2]);
    const uint64_t cells = a != NULL && b != NULL ? (uint64_t)a->value_len * b->value_len : 0;
    const size_t shorter = cells == 0 ? 0 : a->value_len < b->value_len ? a->value_len : b->value_len;
    if (!kv_affordable(cells * CELL_WORK, r) ||
        !kv_has_room(m, scalar_size(REPLY_BYTES, &(struct bytes){.len = shorter}), r))
        return;
    struct bytes text = kv_text("");
    if (cells > 0) {
        struct lcs l = {.a = value_of(m, a), .b = value_of(m, b)};
        const size_t bits = (size_t)cells; /* they are affordable, so they are few */
        l.up = arena_new(&m->results, bits / 8 + 1);
        l.common = arena_new(&m->results, (l.b.len + 1) * sizeof *l.common);
        memset(l.up, 0, bits / 8 + 1);
        memset(l.common, 0, (l.b.len + 1) * sizeof *l.common);
        m->data.live.work += cells * CELL_WORK + l.b.len;
        compare(&l);
        text = (struct bytes){arena_new(&m->results, l.length + 1), l.length};
        collect(&l, text.ptr);
    }
    if (length_only) {
        reply_integer(r, (int64_t)text.len);
        return;
    }
    r->tag = REPLY_BYTES;
    r->val.bytes = text;
}
