/* etcd's JSON gateway over HTTP/1.1: requests and answers of the load generator when it runs against a peer. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "load/protocol_internal.h"

/* etcd's gateway takes key and value in Base64. So nothing can be filled in, and the template is only the head of the
 * request. */
bool etcd_template(struct request_maker *m)
{
    size_t key_len = 4 * ((KEY_SIZE + 2) / 3), value_len = 4 * ((m->value_size + 2) / 3);
    size_t body = strlen("{\"key\":\"\",\"value\":\"\"}") + key_len + value_len;
    m->scratch = malloc(m->value_size + 1);
    m->set.bytes = malloc(256);
    if (m->scratch == NULL || m->set.bytes == NULL || m->command != COMMAND_SET || m->value_size > 1024 * 1024)
        return false;
    m->set.size = (size_t)sprintf(m->set.bytes,
                                  "POST /v3/kv/put HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\n"
                                  "Content-Length: %zu\r\n\r\n",
                                  body);
    m->size_max = m->set.size + body + 1;
    return true;
}

size_t etcd_make(const struct request_maker *m, uint64_t number, char *out)
{
    char key[KEY_SIZE + 1];
    char *at = out;
    key_of(request_key(m, number), key);
    value_of(number, m->scratch, m->value_size);
    memcpy(at, m->set.bytes, m->set.size);
    at += m->set.size;
    at = stpcpy(at, "{\"key\":\"");
    at += EVP_EncodeBlock((unsigned char *)at, (const unsigned char *)key, KEY_SIZE);
    at = stpcpy(at, "\",\"value\":\"");
    at += EVP_EncodeBlock((unsigned char *)at, (const unsigned char *)m->scratch, (int)m->value_size);
    at = stpcpy(at, "\"}");
    return (size_t)(at - out);
}

/* The value of a header line if it has this name. */
static const char *header_value(const char *line, const char *end, const char *name)
{
    size_t size = strlen(name);
    if ((size_t)(end - line) <= size || strncasecmp(line, name, size) != 0 || line[size] != ':')
        return NULL;
    for (line += size + 1; line < end && *line == ' ';)
        line++;
    return line;
}

ptrdiff_t http_answer_read(const char *bytes, size_t len, struct answer *answer)
{
    static const char status[] = "HTTP/1.1 ";
    int64_t body = -1;
    const char *head_end = memmem(bytes, len, "\r\n\r\n", 4);
    if (head_end == NULL)
        return len > ANSWER_LINE_MAX ? -1 : 0;
    if (len < sizeof status + 3 || memcmp(bytes, status, sizeof status - 1) != 0)
        return -1;
    for (const char *line = bytes; line < head_end;) {
        const char *end = memmem(line, (size_t)(head_end + 2 - line), "\r\n", 2);
        const char *value = header_value(line, end, "Content-Length");
        if (value != NULL)
            body = length_read(value, (size_t)(end - value));
        value = header_value(line, end, "Connection");
        if (value != NULL && end - value == 5 && strncasecmp(value, "close", 5) == 0)
            answer->closes = true;
        line = end + 2;
    }
    size_t head = (size_t)(head_end + 4 - bytes);
    if (body < 0 || (uint64_t)body > ANSWER_BYTES_MAX)
        return -1;
    if (len - head < (size_t)body)
        return 0;
    if (memcmp(bytes + sizeof status - 1, "200", 3) != 0) {
        answer->kind = ANSWER_ERROR;
        answer->text = bytes;
        answer->text_len = head + (size_t)body;
    }
    return (ptrdiff_t)head + (ptrdiff_t)body;
}
