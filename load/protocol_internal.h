/* Declarations shared by the files of load/protocol.h. */
#ifndef SYNOD_LOAD_PROTOCOL_INTERNAL_H
#define SYNOD_LOAD_PROTOCOL_INTERNAL_H

#include "load/protocol.h"

enum {
    KEY_DIGITS = 12,
    ANSWER_LINE_MAX = 64 * 1024,
    ANSWER_BYTES_MAX = 512 * 1024 * 1024, /* of one string */
};

/* The key number of request `number`, and whether it sets it. */
static inline uint64_t request_key(const struct request_maker *m, uint64_t number)
{
    return m->keyspace > 0 ? number % m->keyspace : number;
}
static inline bool request_sets(const struct request_maker *m, uint64_t number)
{
    return m->command == COMMAND_SET || (m->command == COMMAND_MIXED && number % 2 == 0);
}

/* The last `count` decimal digits of a number. */
void digits_write(uint64_t number, char *out, size_t count);

/* The decimal number of `len` bytes; -1 for RESP's "none", -2 when it is not a number. */
int64_t length_read(const char *text, size_t len);

/* answer_read for each protocol; *answer has been set to a plain ANSWER_OK. */
ptrdiff_t resp_answer_read(const char *bytes, size_t len, struct answer *answer);
ptrdiff_t http_answer_read(const char *bytes, size_t len, struct answer *answer);

/* request_maker_init and request_make for etcd. */
bool etcd_template(struct request_maker *m);
size_t etcd_make(const struct request_maker *m, uint64_t number, char *out);

#endif
