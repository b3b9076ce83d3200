/* A node's decisions as text, one line each, in the words of the protocol:
 *
 *     -> 1,2: PREPARE 1.3, from slot 1 on
 *     writes record 1: PROMISED 1.3
 *     knows that 3 leads, at 1.3
 *     tells its client: executed
 *
 * A ballot is its round and its node. The runner logs them at debug level, and tests/stories are made of them. */
#ifndef SYNOD_CORE_FORMATS_DECISION_H
#define SYNOD_CORE_FORMATS_DECISION_H

#include "core/base/types.h"

enum { DECISION_TEXT_MAX = 1000 };

/* Writes what the effect decides to `text` (DECISION_TEXT_MAX bytes, no terminator); returns its length. 0: it decides
 * nothing that one would follow (heartbeats and their answers, progress, records that are read back). Of many entries the
 * first ones are named. */
size_t decision_write(const struct effect *e, char *text);

/* The same for a record alone: "ACCEPTED 1.3, slot 7: batch 2 of 1". */
size_t decision_record(const struct log_record *r, char *text);

#endif
