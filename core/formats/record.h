/* Journal records to bytes and back (the record's own bytes; the journal's groups are in formats/journal.h).
 *
 *   0  ballot.round   8
 *   8  ballot.node    4     12 ballot.incarnation 4
 *  16  slot           8
 *  24  to             8
 *  32  entry kind     1     33 zero 3    36 value length 4
 *  40  value, padded with zeros to a multiple of 8
 *
 * All little-endian. The record's kind and lsn travel in the packet around it. */
#ifndef SYNOD_CORE_FORMATS_RECORD_H
#define SYNOD_CORE_FORMATS_RECORD_H

#include "core/formats/packet.h"

enum { RECORD_HEADER_SIZE = 40 };

/* Packet kinds of records; those from RECORD_PACKET_STICKY on are carried over into each new journal segment. */
enum { RECORD_PACKET_STICKY = 128 };

/* Bytes that `record` takes: always a multiple of 8. */
size_t record_size(const struct log_record *record);

/* Writes `record` into `words` (words_for(record_size()) of them, the caller's) and describes it in `*packet`, which points
 * there. */
void record_encode(const struct log_record *record, uint64_t *words, struct packet *packet);

/* Whether records of this kind (enum record_kind) are carried over into each new segment. */
bool record_is_sticky(uint8_t kind);

/* Reads a record whose value points into the packet. False: these bytes are no record. */
bool record_decode(const struct packet *packet, struct log_record *record);

#endif
