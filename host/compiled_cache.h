/* Compiled components on disk. Compiled code is native code that the process will run: nothing is taken from a folder that
 * others could write to, and nothing that is not byte for byte what was stored. */
#ifndef SYNOD_HOST_COMPILED_CACHE_H
#define SYNOD_HOST_COMPILED_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COMPILED_KEY_SIZE = 32 };

/* The folder (made with its parents; NULL: the default one) as a descriptor, or -1 with `why` filled in. */
int compiled_cache_open(const char *folder, char *why, size_t why_size);

/* The key of what `source` compiles to under `settings` (which name the compiler's version, too). */
bool compiled_cache_key(const uint8_t *source, size_t len, const char *settings, uint8_t key[COMPILED_KEY_SIZE]);

/* What was stored under the key, freed by the caller; NULL: nothing, or nothing that can be trusted. */
uint8_t *compiled_cache_get(int folder, const uint8_t key[COMPILED_KEY_SIZE], size_t *len);

/* Stores it, whole or not at all. False: errno says why. */
bool compiled_cache_put(int folder, const uint8_t key[COMPILED_KEY_SIZE], const uint8_t *bytes, size_t len);

/* Makes other processes that ask for it wait until the returned file is closed. -1: it cannot be had, which costs no more
 * than time. */
int compiled_cache_lock(int folder);

#endif
