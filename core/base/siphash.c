#include "core/base/siphash.h"

#include "core/base/cursor.h"

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

static inline void rounds(struct sip *s, int count)
{
    for (int i = 0; i < count; i++) {
        s->v0 += s->v1;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v2 = rotate(s->v2, 32);
    }
}

static inline void add_word(struct sip *s, uint64_t word, int count)
{
    s->v3 ^= word;
    rounds(s, count);
    s->v0 ^= word;
}

uint64_t siphash13(struct siphash_key key, const uint8_t *bytes, size_t len)
{
    struct sip s = {
        key.low ^ UINT64_C(0x736f6d6570736575),
        key.high ^ UINT64_C(0x646f72616e646f6d),
        key.low ^ UINT64_C(0x6c7967656e657261),
        key.high ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = len & ~(size_t)7;
    for (size_t at = 0; at < whole; at += 8)
        add_word(&s, cursor_load_u64(bytes + at), 1);
    uint64_t last = (uint64_t)len << 56;
    for (size_t i = 0; i < len - whole; i++)
        last |= (uint64_t)bytes[whole + i] << 8 * i;
    add_word(&s, last, 1);
    s.v2 ^= 0xff;
    rounds(&s, 3);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
