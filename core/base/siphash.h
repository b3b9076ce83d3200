/* SipHash (Aumasson, Bernstein 2012): a keyed hash. Without the key, inputs that collide cannot be found. */
#ifndef SYNOD_CORE_BASE_SIPHASH_H
#define SYNOD_CORE_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t low;
    uint64_t high;
};

/* SipHash-1-3: one round a word, three at the end, which is what hash tables use. */
uint64_t siphash13(struct siphash_key key, const uint8_t *bytes, size_t len);

#endif
