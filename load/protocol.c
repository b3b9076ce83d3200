#include "load/protocol_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/decimal.h"

enum { SESSION_HEAD_MAX = 96 };

static bool resp_template(struct request_template *t, const char *command, bool has_value, size_t value_size)
{
    t->bytes = malloc(128 + value_size);
    if (t->bytes == NULL)
        return false;
    char key[KEY_SIZE + 1];
    key_of(0, key);
    size_t at = (size_t)sprintf(t->bytes, "*%d\r\n$%zu\r\n%s\r\n$%d\r\n%s\r\n", has_value ? 3 : 2, strlen(command), command,
                                KEY_SIZE, key);
    t->key_at = at - 2 - KEY_DIGITS;
    if (has_value) {
        at += (size_t)sprintf(t->bytes + at, "$%zu\r\n", value_size);
        t->value_at = at;
        t->value_digits = value_size < KEY_DIGITS ? value_size : KEY_DIGITS;
        value_of(0, t->bytes + at, value_size);
        memcpy(t->bytes + at + value_size, "\r\n", 2);
        at += value_size + 2;
    }
    t->size = at;
    return true;
}

bool request_maker_init(struct request_maker *m, uint8_t protocol, uint8_t command, size_t value_size, uint64_t keyspace)
{
    *m = (struct request_maker){.protocol = protocol, .command = command, .keyspace = keyspace, .value_size = value_size};
    if (protocol == PROTOCOL_ETCD_HTTP)
        return etcd_template(m);
    if (!resp_template(&m->set, "SET", true, value_size) ||
        !resp_template(&m->get, command == COMMAND_INCR ? "INCR" : "GET", false, 0))
        return false;
    m->size_max = SESSION_HEAD_MAX + (m->set.size > m->get.size ? m->set.size : m->get.size);
    return true;
}

void request_maker_close(struct request_maker *m)
{
    free(m->set.bytes);
    free(m->get.bytes);
    free(m->scratch);
    *m = (struct request_maker){0};
}

static char *bulk_number(char *at, uint64_t number)
{
    uint8_t digits[DECIMAL_MAX];
    const size_t len = decimal_write_unsigned(number, digits);
    at += decimal_between(at, SESSION_HEAD_MAX, "$", len, "\r\n");
    memcpy(at, digits, len);
    memcpy(at + len, "\r\n", 2);
    return at + len + 2;
}

/* Puts a request into its session: between the head of its array, which gets three elements more, and the rest. Returns how
 * much longer it has become. */
static size_t into_session(const struct request_id *r, char *request, size_t size)
{
    enum { ARRAY_HEAD = 4 };
    char head[SESSION_HEAD_MAX];
    const char *end = bulk_number(bulk_number(stpcpy(head, "$7\r\nSESSION\r\n"), r->session), r->session_number);
    const size_t more = (size_t)(end - head);
    memmove(request + ARRAY_HEAD + more, request + ARRAY_HEAD, size - ARRAY_HEAD);
    memcpy(request + ARRAY_HEAD, head, more);
    request[1] = (char)(request[1] + 3);
    return more;
}

size_t request_make(const struct request_maker *m, const struct request_id *request, char *out)
{
    const uint64_t number = request->number;
    if (m->protocol == PROTOCOL_ETCD_HTTP)
        return etcd_make(m, number, out);
    const struct request_template *t = request_sets(m, number) ? &m->set : &m->get;
    memcpy(out, t->bytes, t->size);
    digits_write(request_key(m, number), out + t->key_at, KEY_DIGITS);
    if (t->value_digits > 0)
        digits_write(number, out + t->value_at, t->value_digits);
    return t->size + (request->session != 0 ? into_session(request, out, t->size) : 0);
}

size_t requests_make(const struct request_maker *m, const struct request_id *requests, size_t count, char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += request_make(m, &requests[i], out + size);
    return size;
}

ptrdiff_t answer_read(uint8_t protocol, const char *bytes, size_t len, struct answer *answer)
{
    *answer = (struct answer){.kind = ANSWER_OK};
    return protocol == PROTOCOL_ETCD_HTTP ? http_answer_read(bytes, len, answer) : resp_answer_read(bytes, len, answer);
}

ptrdiff_t answers_read(uint8_t protocol, const char *bytes, size_t len, struct answer_list *answers)
{
    size_t at = 0;
    for (answers->len = 0; at < len; answers->len++) {
        answers->ptr = memory_reserve(answers->ptr, &answers->capacity, answers->len + 1, sizeof *answers->ptr);
        ptrdiff_t size = answer_read(protocol, bytes + at, len - at, &answers->ptr[answers->len]);
        if (size < 0)
            return -1;
        if (size == 0)
            break;
        at += (size_t)size;
    }
    return (ptrdiff_t)at;
}
