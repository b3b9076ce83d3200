/* Whole numbers as text, exactly as Redis reads and writes them: '-' is the only sign, no leading zeros, no blanks. */
#ifndef SYNOD_CORE_FORMATS_DECIMAL_H
#define SYNOD_CORE_FORMATS_DECIMAL_H

#include <string.h>

#include "core/base/assert.h"
#include "core/base/types.h"

enum { DECIMAL_MAX = 20 }; /* characters of the longest number */

/* Writes `value` to `out` (DECIMAL_MAX bytes, no terminator); returns its length. */
static inline size_t decimal_write_unsigned(uint64_t value, uint8_t *out)
{
    uint8_t reversed[DECIMAL_MAX];
    size_t len = 0;
    do {
        reversed[len++] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < len; i++)
        out[i] = reversed[len - 1 - i];
    return len;
}

/* Writes `before`, the number, and `after` to `out` (`size` bytes, no terminator); returns their length. Precondition: they
 * fit, with DECIMAL_MAX for the number. */
static inline size_t decimal_between(char *out, size_t size, const char *before, uint64_t value, const char *after)
{
    size_t len = strlen(before), after_len = strlen(after);
    invariant(len + DECIMAL_MAX + after_len <= size);
    memcpy(out, before, len);
    len += decimal_write_unsigned(value, (uint8_t *)out + len);
    memcpy(out + len, after, after_len);
    return len + after_len;
}

static inline size_t decimal_write(int64_t value, uint8_t *out)
{
    if (value >= 0)
        return decimal_write_unsigned((uint64_t)value, out);
    out[0] = '-';
    return 1 + decimal_write_unsigned(-(uint64_t)value, out + 1);
}

/* Reads all `len` bytes as a number. False: they are not one, or it is beyond 64 bits. */
static inline bool decimal_read_unsigned(const uint8_t *text, size_t len, uint64_t *value)
{
    if (len == 0 || len > DECIMAL_MAX || (text[0] == '0' && len > 1))
        return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        if (__builtin_mul_overflow(sum, UINT64_C(10), &sum) || __builtin_add_overflow(sum, (uint64_t)(text[i] - '0'), &sum))
            return false;
    }
    *value = sum;
    return true;
}

static inline bool decimal_read(const uint8_t *text, size_t len, int64_t *value)
{
    bool negative = len > 0 && text[0] == '-';
    uint64_t magnitude;
    if (!decimal_read_unsigned(text + (negative ? 1 : 0), len - (negative ? 1 : 0), &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0) || (negative && magnitude == 0))
        return false;
    *value = (int64_t)(negative ? -magnitude : magnitude);
    return true;
}

#endif
