/* INCRBYFLOAT, with decimal digits: the same sum on every machine, and no 0.30000000000000004. Redis calculates with long
 * doubles and prints 17 digits after the point, of which the last ones are often wrong; here all of them are right.
 *
 * A number has WHOLE digits before the point at most and FRACTION after it; what is beyond is rounded, half of it up. In
 * digits[], the least comes first: digit i counts 10^(i - FRACTION - 1), and digits[0] is only for rounding. */
#include "core/base/memory.h"
#include "core/state/kv_events.h"
#include "core/state/kv_reply.h"

enum { WHOLE = 40, FRACTION = 17, DIGITS = 1 + FRACTION + WHOLE, TEXT_MAX = 256, EXPONENT_MAX = 1000 };

struct number {
    bool negative;
    uint8_t digits[DIGITS];
};

enum parsed { PARSED, NO_NUMBER, INFINITE };

struct text {
    const uint8_t *at, *end;
};

static bool is_digit(const struct text *t) { return t->at < t->end && *t->at >= '0' && *t->at <= '9'; }

static bool take(struct text *t, uint8_t c)
{
    if (t->at == t->end || (*t->at | 0x20) != (c | 0x20))
        return false;
    t->at++;
    return true;
}

static bool take_sign(struct text *t)
{
    if (t->at < t->end && *t->at == '+') {
        t->at++;
        return false;
    }
    if (t->at < t->end && *t->at == '-') {
        t->at++;
        return true;
    }
    return false;
}

/* "e-7". False: no number follows. A large one is as good as a larger one. */
static bool read_exponent(struct text *t, int64_t *exponent)
{
    if (!take(t, 'e'))
        return true;
    const bool negative = take_sign(t);
    if (!is_digit(t))
        return false;
    for (; is_digit(t); t->at++)
        *exponent = *exponent < EXPONENT_MAX ? *exponent * 10 + (*t->at - '0') : *exponent;
    *exponent = negative ? -*exponent : *exponent;
    return true;
}

/* Digits with a point, whose places are known when the exponent is. False: one is too large. */
static bool place_digits(struct number *n, const uint8_t *from, const uint8_t *end, int64_t exponent)
{
    int64_t place = exponent + FRACTION;
    for (const uint8_t *c = from; c < end && *c != '.'; c++)
        place++;
    for (const uint8_t *c = from; c < end; c++) {
        if (*c == '.')
            continue;
        if (place >= DIGITS && *c != '0')
            return false;
        if (place >= 0 && place < DIGITS)
            n->digits[place] = (uint8_t)(*c - '0');
        place--;
    }
    return true;
}

static bool is_word(const struct text *t, const char *word)
{
    const struct bytes rest = {(uint8_t *)(uintptr_t)t->at, (size_t)(t->end - t->at)};
    return kv_word(&rest, word);
}

static enum parsed read_number(const struct bytes *text, struct number *n)
{
    struct text t = {text->ptr, text->ptr + text->len};
    int64_t exponent = 0;
    *n = (struct number){.negative = take_sign(&t)};
    if (text->len > TEXT_MAX)
        return NO_NUMBER;
    if (is_word(&t, "inf") || is_word(&t, "infinity"))
        return INFINITE;
    const uint8_t *from = t.at;
    size_t digits = 0;
    for (; is_digit(&t); t.at++)
        digits++;
    if (t.at < t.end && *t.at == '.')
        t.at++;
    for (; is_digit(&t); t.at++)
        digits++;
    const uint8_t *end = t.at;
    if (digits == 0 || !read_exponent(&t, &exponent) || t.at != t.end)
        return NO_NUMBER;
    return place_digits(n, from, end, exponent) ? PARSED : INFINITE;
}

/* Whether a is less than b, whatever their signs. */
static bool is_smaller(const struct number *a, const struct number *b)
{
    for (size_t i = DIGITS; i-- > 0;)
        if (a->digits[i] != b->digits[i])
            return a->digits[i] < b->digits[i];
    return false;
}

/* Adds a digit at each place, from `first` on, with what is carried. False: the sum is too large. */
static bool add_digits(struct number *a, const uint8_t *digits, size_t first)
{
    unsigned carried = 0;
    for (size_t i = first; i < DIGITS; i++) {
        const unsigned sum = a->digits[i] + digits[i] + carried;
        carried = sum >= 10;
        a->digits[i] = (uint8_t)(sum % 10);
    }
    return carried == 0;
}

static bool round_up(struct number *n)
{
    static const uint8_t one[DIGITS] = {[1] = 1}, nothing[DIGITS] = {0};
    const bool up = n->digits[0] >= 5;
    n->digits[0] = 0;
    return add_digits(n, up ? one : nothing, 1);
}

/* a + b in `a`. False: it is too large. */
static bool add_numbers(struct number *a, const struct number *b)
{
    if (a->negative == b->negative)
        return add_digits(a, b->digits, 0);
    struct number larger = is_smaller(a, b) ? *b : *a;
    const struct number *smaller = is_smaller(a, b) ? a : b;
    int borrowed = 0;
    for (size_t i = 0; i < DIGITS; i++) {
        const int rest = larger.digits[i] - smaller->digits[i] - borrowed;
        borrowed = rest < 0;
        larger.digits[i] = (uint8_t)(rest + 10 * borrowed);
    }
    *a = larger;
    return true;
}

/* Without zeros that say nothing. Returns the length, at most DIGITS + 2. */
static size_t write_number(const struct number *n, uint8_t *out)
{
    size_t first = DIGITS - 1, last = 1, len = 0;
    while (first > FRACTION + 1 && n->digits[first] == 0)
        first--;
    while (last <= FRACTION && n->digits[last] == 0)
        last++;
    if (n->negative && (first > FRACTION + 1 || n->digits[first] != 0 || last <= FRACTION))
        out[len++] = '-';
    for (size_t i = first; i > FRACTION; i--)
        out[len++] = (uint8_t)('0' + n->digits[i]);
    if (last <= FRACTION)
        out[len++] = '.';
    for (size_t i = FRACTION; i >= last; i--)
        out[len++] = (uint8_t)('0' + n->digits[i]);
    return len;
}

/* The number that a key has; 0 if there is none. */
static enum parsed read_value(struct state_machine *m, struct bytes key, struct number *n)
{
    const struct kv_entry *e = kv_find(m, key);
    uint8_t text[TEXT_MAX];
    *n = (struct number){.negative = false};
    if (e == NULL)
        return PARSED;
    if (e->value_len > TEXT_MAX)
        return NO_NUMBER;
    kv_table_read(&m->data.live, e, 0, e->value_len, text);
    m->data.live.work += e->value_len;
    return read_number(&(struct bytes){text, e->value_len}, n);
}

void kv_incrbyfloat(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    enum { WORK = 8 * DIGITS };
    struct number sum, more;
    (void)argc;
    m->data.live.work += WORK + (args[2].len < TEXT_MAX ? args[2].len : TEXT_MAX);
    const enum parsed value = read_value(m, args[1], &sum);
    const enum parsed increment = value != NO_NUMBER ? read_number(&args[2], &more) : NO_NUMBER;
    if (increment == NO_NUMBER) {
        reply_error(r, "ERR value is not a valid float");
        return;
    }
    if (value == INFINITE || increment == INFINITE || !add_numbers(&sum, &more) || !round_up(&sum)) {
        reply_error(r, "ERR increment would produce NaN or Infinity");
        return;
    }
    struct bytes text = {arena_new(&m->results, DIGITS + 2), 0};
    text.len = write_number(&sum, text.ptr);
    if (!kv_may_store(m, &args[1], text.len, r) || !kv_has_room(m, scalar_size(REPLY_BYTES, &text), r))
        return;
    kv_event_write(m, args[1]);
    kv_event(m, KEY_EVENT_STRING, "incrbyfloat", args[1]);
    kv_versions_replace(&m->data, args[1], text);
    r->tag = REPLY_BYTES;
    r->val.bytes = text;
}
