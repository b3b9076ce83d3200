#include "core/formats/keyslot.h"

/* Bit by bit is fast enough: slots are computed for redirections only, never for a command that is executed. */
static uint32_t crc16(const uint8_t *bytes, size_t len)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (uint32_t)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000u) != 0 ? crc << 1 ^ 0x1021u : crc << 1;
        crc &= 0xffffu;
    }
    return crc;
}

static size_t find(const uint8_t *bytes, size_t len, size_t from, uint8_t wanted)
{
    while (from < len && bytes[from] != wanted)
        from++;
    return from;
}

uint32_t keyslot(const uint8_t *key, size_t len)
{
    size_t open = find(key, len, 0, '{');
    if (open < len) {
        size_t close = find(key, len, open + 1, '}');
        if (close < len && close > open + 1)
            return crc16(key + open + 1, close - open - 1) % KEYSLOT_COUNT;
    }
    return crc16(key, len) % KEYSLOT_COUNT;
}
