/* The Redis Cluster slot of a key, for -MOVED answers and CLUSTER KEYSLOT. */
#ifndef SYNOD_CORE_FORMATS_KEYSLOT_H
#define SYNOD_CORE_FORMATS_KEYSLOT_H

#include <stddef.h>
#include <stdint.h>

enum { KEYSLOT_COUNT = 16384 };

/* CRC16 (XMODEM) of the key, modulo 16384; or of the part between its first '{' and the next '}', unless that is empty. */
uint32_t keyslot(const uint8_t *key, size_t len);

#endif
