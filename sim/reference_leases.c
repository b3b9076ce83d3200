#include "sim/reference_leases.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/base/memory.h"
#include "core/formats/decimal.h"

enum { WORD_MAX = 24, FOREVER = -1, NOTHING = -2 };

struct lease {
    bool is_lease; /* the key has ever been one */
    bool there, ends;
    uint64_t until; /* the last moment */
    size_t len;
    uint8_t word[WORD_MAX];
};

struct reference_leases {
    struct lease *leases; /* by key */
    size_t count, capacity;
    char wrong[160];
};

struct reference_leases *reference_leases_new(void) { return memory_new(1, sizeof(struct reference_leases)); }

void reference_leases_free(struct reference_leases *l)
{
    free(l->leases);
    free(l);
}

static bool is_word(struct bytes arg, const char *word)
{
    return arg.len == strlen(word) && memcmp(arg.ptr, word, arg.len) == 0;
}

/* The lease of "k12"; NULL: it is no such key. */
static struct lease *lease_of(struct reference_leases *l, struct bytes key)
{
    uint64_t number;
    if (key.len < 2 || key.ptr[0] != 'k' || !decimal_read_unsigned(key.ptr + 1, key.len - 1, &number) || number > UINT32_MAX)
        return NULL;
    if (number >= l->count) {
        const size_t count = (size_t)number + 1;
        l->leases = memory_reserve(l->leases, &l->capacity, count, sizeof *l->leases);
        memset(l->leases + l->count, 0, (count - l->count) * sizeof *l->leases);
        l->count = count;
    }
    return &l->leases[number];
}

static bool make(struct lease *lease, struct moment now, const struct bytes_list *args, const struct reply *r)
{
    uint64_t ms = 0;
    const struct bytes word = args->ptr[2];
    const bool good =
        word.len <= WORD_MAX && decimal_read_unsigned(args->ptr[4].ptr, args->ptr[4].len, &ms) && r->tag == REPLY_STATUS;
    *lease = (struct lease){.is_lease = true, .there = true, .ends = true, .until = now.elapsed + ms, .len = word.len};
    if (good)
        memcpy(lease->word, word.ptr, word.len);
    return good;
}

static bool judge(struct lease *lease, struct moment now, const struct bytes_list *args, const struct reply *r)
{
    const struct bytes name = args->ptr[0];
    lease->there = lease->there && (!lease->ends || now.elapsed <= lease->until);
    const bool there = lease->there, ends = there && lease->ends;
    if (args->len == 5 && is_word(name, "SET") && is_word(args->ptr[3], "PX"))
        return make(lease, now, args, r);
    if (is_word(name, "GET"))
        return there ? r->tag == REPLY_BYTES && r->val.bytes.len == lease->len &&
                           memcmp(r->val.bytes.ptr, lease->word, lease->len) == 0
                     : r->tag == REPLY_NIL;
    int64_t wanted = 0;
    if (is_word(name, "PTTL")) {
        wanted = ends ? (int64_t)(lease->until - now.elapsed) : there ? FOREVER : NOTHING;
    } else if (is_word(name, "PERSIST")) {
        wanted = ends;
        lease->ends = false;
    } else if (is_word(name, "DEL")) {
        wanted = there;
        lease->there = false;
    }
    return r->tag == REPLY_INTEGER && r->val.integer == wanted;
}

const char *reference_leases_executed(struct reference_leases *l, struct moment now, const struct command *command,
                                      const struct reply *reply)
{
    const struct bytes_list *args = &command->args;
    struct lease *lease = args->len > 1 ? lease_of(l, args->ptr[1]) : NULL;
    if (lease == NULL || reply->tag == REPLY_ERROR)
        return NULL;
    const bool on_lease =
        lease->is_lease || args->len == 5 || is_word(args->ptr[0], "PTTL") || is_word(args->ptr[0], "PERSIST");
    if (!on_lease || judge(lease, now, args, reply))
        return NULL;
    snprintf(l->wrong, sizeof l->wrong,
             "%.*s %.*s at %" PRIu64 " ms gives a wrong reply (%d, %" PRId64 "); it is to end after %" PRIu64,
             (int)args->ptr[0].len, (const char *)args->ptr[0].ptr, (int)args->ptr[1].len, (const char *)args->ptr[1].ptr,
             now.elapsed, reply->tag, reply->tag == REPLY_INTEGER ? reply->val.integer : 0, lease->until);
    return l->wrong;
}
