/* Checks that `interface io` of wit/io.wit and core/formats/packet.h mean the same bytes. */
#ifndef SYNOD_COMPONENTS_PACKET_H
#define SYNOD_COMPONENTS_PACKET_H

#include "components/shim.h"
#include "core/formats/packet.h"

SAME_LAYOUT(struct packet, synod_paxos_io_packet_t, id, kind, len, words, words.ptr, words.len);

#endif
