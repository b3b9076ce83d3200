/* Only the last star needs a second try: any text that an earlier star could still take, the last one can take as well. So
 * matching backtracks to one place and does not recurse, and no pattern takes exponential time. The time that is left,
 * pattern times text, is still a lot when both are long. So steps are counted, and the caller says how many there may be. */
#include "core/formats/glob.h"

/* Matches `c` against the class whose '[' is at pattern[0]; `*taken` becomes the number of pattern bytes in the class. A
 * class that is not closed ends with the pattern. */
static bool class_match(const uint8_t *pattern, size_t len, uint8_t c, size_t *taken)
{
    size_t at = 1;
    bool negated = at < len && pattern[at] == '^';
    bool found = false;
    if (negated)
        at++;
    while (at < len && pattern[at] != ']') {
        if (pattern[at] == '\\' && at + 1 < len) {
            found |= pattern[at + 1] == c;
            at += 2;
        } else if (at + 2 < len && pattern[at + 1] == '-') {
            uint8_t low = pattern[at] < pattern[at + 2] ? pattern[at] : pattern[at + 2];
            uint8_t high = pattern[at] < pattern[at + 2] ? pattern[at + 2] : pattern[at];
            found |= c >= low && c <= high;
            at += 3;
        } else {
            found |= pattern[at] == c;
            at++;
        }
    }
    *taken = at < len ? at + 1 : len;
    return found != negated;
}

/* Matches one character against the start of the pattern, which is not a star. */
static bool one_match(const uint8_t *pattern, size_t len, uint8_t c, size_t *taken)
{
    *taken = 1;
    if (pattern[0] == '?')
        return true;
    if (pattern[0] == '[')
        return class_match(pattern, len, c, taken);
    if (pattern[0] == '\\' && len > 1) {
        *taken = 2;
        return pattern[1] == c;
    }
    return pattern[0] == c;
}

enum glob_result glob_match(const uint8_t *pattern, size_t pattern_len, const uint8_t *text, size_t text_len,
                            uint64_t *steps)
{
    size_t p = 0, t = 0;
    bool starred = false;
    size_t star_p = 0, star_t = 0; /* where to go on when the last star takes one character more */
    while (t < text_len) {
        size_t taken = 1;
        bool star = p < pattern_len && pattern[p] == '*';
        bool one = !star && p < pattern_len && one_match(pattern + p, pattern_len - p, text[t], &taken);
        if (*steps < taken) {
            *steps = 0;
            return GLOB_TOO_COSTLY;
        }
        *steps -= taken;
        if (star) {
            starred = true;
            star_p = ++p;
            star_t = t;
        } else if (one) {
            p += taken;
            t++;
        } else if (starred) {
            p = star_p;
            t = ++star_t;
        } else {
            return GLOB_DIFFERS;
        }
    }
    size_t stars = p;
    while (p < pattern_len && pattern[p] == '*')
        p++;
    if (*steps < p - stars) {
        *steps = 0;
        return GLOB_TOO_COSTLY;
    }
    *steps -= p - stars;
    return p == pattern_len ? GLOB_MATCHES : GLOB_DIFFERS;
}
