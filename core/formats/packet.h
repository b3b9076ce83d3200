/* The data that cross between a node and the outside: the C face of wit/io.wit. */
#ifndef SYNOD_CORE_FORMATS_PACKET_H
#define SYNOD_CORE_FORMATS_PACKET_H

#include "core/base/types.h"

struct packet {
    uint64_t id;
    uint32_t kind;
    uint32_t len; /* bytes; the words hold ceil(len / 8) */
    struct words words;
};
struct packet_list {
    struct packet *ptr;
    size_t len;
};

#endif
