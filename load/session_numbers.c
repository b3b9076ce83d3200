#include "load/session_numbers.h"

#include "core/base/assert.h"

void session_numbers_init(struct session_numbers *n, uint32_t window)
{
    invariant(window >= 1 && window <= SESSION_WINDOW_MAX);
    *n = (struct session_numbers){.window = window, .next = 1, .oldest = 1};
}

bool session_numbers_left(const struct session_numbers *n) { return n->next - n->oldest < n->window; }

uint64_t session_numbers_give(struct session_numbers *n)
{
    invariant(session_numbers_left(n));
    return n->next++;
}

static uint64_t *word_of(struct session_numbers *n, uint64_t number)
{
    return &n->answered[number % SESSION_WINDOW_MAX / 64];
}
static uint64_t bit_of(uint64_t number) { return UINT64_C(1) << (number % 64); }

void session_numbers_answered(struct session_numbers *n, uint64_t number)
{
    invariant(number >= n->oldest && number < n->next && (*word_of(n, number) & bit_of(number)) == 0);
    *word_of(n, number) |= bit_of(number);
    while (n->oldest < n->next && (*word_of(n, n->oldest) & bit_of(n->oldest)) != 0) {
        *word_of(n, n->oldest) &= ~bit_of(n->oldest);
        n->oldest++;
    }
}
