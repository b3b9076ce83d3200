/* The only source of chance in a simulated world: numbers that a seed decides (xorshift64*, Vigna 2016). Every subsystem has
 * dice of its own, so its numbers do not depend on how often another one rolls. */
#ifndef SYNOD_SIM_DICE_H
#define SYNOD_SIM_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

/* The dice number `stream` of a world. */
static inline struct dice dice_new(uint64_t seed, uint64_t stream)
{
    uint64_t z = seed * UINT64_C(0x9e3779b97f4a7c15) + (stream + 1) * UINT64_C(0xd1342543de82ef95); /* splitmix64 */
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (struct dice){z != 0 ? z : 1};
}

static inline uint64_t dice_next(struct dice *d)
{
    d->state ^= d->state >> 12;
    d->state ^= d->state << 25;
    d->state ^= d->state >> 27;
    return d->state * UINT64_C(0x2545f4914f6cdd1d);
}

/* A number below `below`, which is not 0. */
static inline uint64_t dice_roll(struct dice *d, uint64_t below) { return (dice_next(d) >> 16) % below; }

/* A number of [from, to]. */
static inline uint64_t dice_range(struct dice *d, uint64_t from, uint64_t to) { return from + dice_roll(d, to - from + 1); }

/* True with a chance of so many in a million. */
static inline bool dice_chance(struct dice *d, uint32_t per_million)
{
    return per_million > 0 && dice_roll(d, 1000000) < per_million;
}

#endif
