/* The one checksum of the project: XXH64 (xxhash), fast both natively and in WebAssembly. */
#ifndef SYNOD_CORE_BASE_CHECKSUM_H
#define SYNOD_CORE_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* The XXH64 of `len` bytes under `seed`. */
uint64_t checksum(const void *data, size_t len, uint64_t seed);

#endif
