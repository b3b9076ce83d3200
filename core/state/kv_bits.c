/* The commands on the bits of a value, with Redis' semantics and words. Bit 0 is the highest of the first byte. */
#include "core/base/memory.h"
#include "core/state/kv_events.h"
#include "core/state/kv_reply.h"

enum { WORD = sizeof(uint64_t) };

/* The place of a bit. False: there cannot be such a one; the error is in `*r`. */
static bool read_offset(const struct bytes *arg, uint64_t *offset, struct reply *r)
{
    int64_t number;
    struct reply ignored;
    if (kv_integer(arg, &number, &ignored) && number >= 0 && number < 8 * (int64_t)KV_VALUE_MAX) {
        *offset = (uint64_t)number;
        return true;
    }
    reply_error(r, "ERR bit offset is not an integer or out of range");
    return false;
}

static uint8_t byte_at(struct state_machine *m, const struct kv_entry *e, uint64_t at)
{
    uint8_t byte = 0;
    if (e != NULL && at < e->value_len)
        kv_table_read(&m->data.live, e, (size_t)at, 1, &byte);
    return byte;
}

void kv_getbit(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    uint64_t offset;
    (void)argc;
    if (!read_offset(&args[2], &offset, r))
        return;
    const uint8_t byte = byte_at(m, kv_find(m, args[1]), offset / 8);
    reply_integer(r, byte >> (7 - offset % 8) & 1);
}

void kv_setbit(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    uint64_t offset;
    int64_t bit;
    struct reply ignored;
    (void)argc;
    if (!read_offset(&args[2], &offset, r))
        return;
    if (!kv_integer(&args[3], &bit, &ignored) || bit < 0 || bit > 1) {
        reply_error(r, "ERR bit is not an integer or out of range");
        return;
    }
    struct kv_entry *e = kv_find(m, args[1]);
    const size_t old = e != NULL ? e->value_len : 0, at = (size_t)(offset / 8);
    if (!kv_may_store(m, &args[1], at < old ? old : at + 1, r))
        return;
    const unsigned place = 7 - (unsigned)(offset % 8);
    const uint8_t before = byte_at(m, e, at);
    uint8_t after = (uint8_t)((before & ~(1u << place)) | (unsigned)bit << place);
    kv_event_write(m, args[1]);
    kv_event(m, KEY_EVENT_STRING, "setbit", args[1]);
    if (at < old) {
        kv_versions_overwrite(&m->data, e, at, (struct bytes){&after, 1});
    } else {
        if (at > old)
            kv_versions_append(&m->data, args[1], NULL, at - old);
        kv_versions_append(&m->data, args[1], &after, 1);
    }
    reply_integer(r, before >> place & 1);
}

/* ---- BITCOUNT and BITPOS ---- */

/* The bits from `from` up to, and without, `to`. */
struct range {
    uint64_t from, to;
};

static bool read_unit(const struct bytes *arg, bool *bits, struct reply *r)
{
    *bits = kv_word(arg, "bit");
    if (*bits || kv_word(arg, "byte"))
        return true;
    reply_error(r, "ERR syntax error");
    return false;
}

/* Of a value of `len` bytes, from first and last place, which count from the end if they are negative. */
static struct range range_of(int64_t first, int64_t last, bool bits, uint64_t len)
{
    const int64_t all = (int64_t)(bits ? 8 * len : len), unit = bits ? 1 : 8;
    first = first < 0 ? (first < -all ? 0 : first + all) : first;
    last = last < 0 ? (last < -all ? 0 : last + all) : last;
    last = last >= all ? all - 1 : last;
    if (first > last)
        return (struct range){0, 0};
    return (struct range){(uint64_t)(first * unit), (uint64_t)((last + 1) * unit)};
}

/* The bytes of a range, and after them what fills a word. Bits outside of the range are those of `fill` (0 or 0xff). */
static struct bytes read_bits(struct state_machine *m, const struct kv_entry *e, struct range range, uint8_t fill)
{
    const size_t first = (size_t)(range.from / 8), len = (size_t)((range.to + 7) / 8) - first;
    struct bytes out = {arena_new(&m->results, len + WORD), len};
    const unsigned head = range.from % 8, tail = range.to % 8 != 0 ? range.to % 8 : 8;
    const uint8_t before = (uint8_t)(0xff00u >> head), after = (uint8_t)(0xffu >> tail);
    kv_table_read(&m->data.live, e, first, len, out.ptr);
    m->data.live.work += len / 2 + 1; /* a step for each word, of some instructions */
    out.ptr[0] = (uint8_t)((out.ptr[0] & ~before) | (fill & before));
    out.ptr[len - 1] = (uint8_t)((out.ptr[len - 1] & ~after) | (fill & after));
    memset(out.ptr + len, fill, WORD);
    return out;
}

static int64_t count_bits(struct state_machine *m, const struct kv_entry *e, struct range range)
{
    int64_t count = 0;
    if (range.from == range.to)
        return 0;
    const struct bytes bytes = read_bits(m, e, range, 0);
    for (size_t i = 0; i < bytes.len; i += WORD) {
        uint64_t word;
        memcpy(&word, bytes.ptr + i, WORD);
        count += __builtin_popcountll(word);
    }
    return count;
}

void kv_bitcount(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    const struct kv_entry *e = kv_find(m, args[1]);
    int64_t first = 0, last = -1;
    bool bits = false;
    if (e == NULL) {
        reply_integer(r, 0);
        return;
    }
    if (argc == 3 || argc > 5) {
        reply_error(r, "ERR syntax error");
        return;
    }
    if (argc > 3 && (!kv_integer(&args[2], &first, r) || !kv_integer(&args[3], &last, r)))
        return;
    if (first < 0 && last < 0 && first > last) {
        reply_integer(r, 0);
        return;
    }
    if (argc == 5 && !read_unit(&args[4], &bits, r))
        return;
    reply_integer(r, count_bits(m, e, range_of(first, last, bits, e->value_len)));
}

/* The place of the first bit of the range that is `bit`; -1 if there is none. */
static int64_t find_bit(struct state_machine *m, const struct kv_entry *e, struct range range, bool bit)
{
    const uint8_t other = bit ? 0 : 0xff;
    const uint64_t others = bit ? 0 : UINT64_MAX;
    if (range.from == range.to)
        return -1;
    const struct bytes bytes = read_bits(m, e, range, other);
    for (size_t i = 0; i < bytes.len; i += WORD) {
        uint64_t word;
        memcpy(&word, bytes.ptr + i, WORD);
        if (word == others)
            continue;
        while (bytes.ptr[i] == other)
            i++;
        const unsigned byte = bit ? bytes.ptr[i] : 0xffu & ~(unsigned)bytes.ptr[i];
        return (int64_t)(range.from / 8 * 8 + 8 * i) + __builtin_clz(byte) - 24;
    }
    return -1;
}

void kv_bitpos(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    int64_t bit, first = 0, last = -1;
    bool bits = false;
    if (!kv_integer(&args[2], &bit, r))
        return;
    if (bit != 0 && bit != 1) {
        reply_error(r, "ERR The bit argument must be 1 or 0.");
        return;
    }
    const struct kv_entry *e = kv_find(m, args[1]);
    if (e == NULL) {
        reply_integer(r, bit == 1 ? -1 : 0);
        return;
    }
    if (argc > 6) {
        reply_error(r, "ERR syntax error");
        return;
    }
    if ((argc > 3 && !kv_integer(&args[3], &first, r)) || (argc == 6 && !read_unit(&args[5], &bits, r)) ||
        (argc > 4 && !kv_integer(&args[4], &last, r)))
        return;
    const struct range range = range_of(first, last, bits, e->value_len);
    const int64_t found = find_bit(m, e, range, bit == 1);
    /* After the last byte of a value there are zeros, unless the range says where it ends. */
    const bool beyond = found < 0 && bit == 0 && argc < 5 && range.from < range.to;
    reply_integer(r, beyond ? 8 * (int64_t)e->value_len : found);
}

/* ---- BITOP ---- */

enum operation { AND, OR, XOR, NOT };

static bool read_operation(const struct bytes *arg, enum operation *operation)
{
    static const char *const names[] = {"and", "or", "xor", "not"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (kv_word(arg, names[i])) {
            *operation = (enum operation)i;
            return true;
        }
    return false;
}

/* Combines a value with the result. Both have `len` bytes, and room for a word more. */
static void combine(enum operation operation, uint8_t *result, const uint8_t *value, size_t len)
{
    for (size_t i = 0; i < len; i += WORD) {
        uint64_t a, b;
        memcpy(&a, result + i, WORD);
        memcpy(&b, value + i, WORD);
        a = operation == AND ? a & b : operation == OR ? a | b : operation == XOR ? a ^ b : ~b;
        memcpy(result + i, &a, WORD);
    }
}

/* Reads a value, as if zeros followed it up to `len` bytes. */
static void read_operand(struct state_machine *m, struct bytes key, uint8_t *out, size_t len)
{
    const struct kv_entry *e = kv_find(m, key);
    const size_t own = e != NULL ? e->value_len : 0;
    if (own > 0)
        kv_table_read(&m->data.live, e, 0, own, out);
    memset(out + own, 0, len + WORD - own);
    m->data.live.work += len + 1; /* that it is combined is in it */
}

/* The length of the longest operand; what all of them cost is in `*work`. */
static size_t longest(struct state_machine *m, const struct bytes *keys, size_t count, uint64_t *work)
{
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        const struct kv_entry *e = kv_find(m, keys[i]);
        most = e != NULL && e->value_len > most ? e->value_len : most;
        *work += KV_KEY_WORK + (e != NULL ? e->value_len : 0);
    }
    *work += most + count * (uint64_t)most;
    return most;
}

void kv_bitop(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    enum operation operation;
    uint64_t work = 0;
    if (!read_operation(&args[1], &operation)) {
        reply_error(r, "ERR syntax error");
        return;
    }
    if (operation == NOT && argc != 4) {
        reply_error(r, "ERR BITOP NOT must be called with a single source key.");
        return;
    }
    const size_t len = longest(m, args + 3, argc - 3, &work);
    if (!kv_affordable(work, r))
        return;
    if (len == 0) {
        kv_remove_key(m, args[2]);
        reply_integer(r, 0);
        return;
    }
    if (!kv_may_store(m, &args[2], len, r))
        return;
    uint8_t *result = arena_new(&m->results, len + WORD), *value = arena_new(&m->results, len + WORD);
    read_operand(m, args[3], result, len);
    if (operation == NOT)
        combine(NOT, result, result, len);
    for (size_t i = 4; i < argc; i++) {
        read_operand(m, args[i], value, len);
        combine(operation, result, value, len);
    }
    kv_event_write(m, args[2]);
    kv_event(m, KEY_EVENT_STRING, "set", args[2]);
    kv_versions_set(&m->data, args[2], (struct bytes){result, len});
    reply_integer(r, (int64_t)len);
}
