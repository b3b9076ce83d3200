#include "client/protocol.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    DIGITS = 12,
    LINE_MAX_BYTES = 64 * 1024,
    ANSWER_ELEMENTS_MAX = 1024 * 1024,
};
static const uint64_t bulk_bytes_max = UINT64_C(512) * 1024 * 1024;

/* The last `count` of the twelve digits, all of them when count is 12. */
static void write_digits(uint64_t number, char *out, size_t count)
{
    for (size_t i = count; i-- > 0; number /= 10)
        out[i] = (char)('0' + number % 10);
}

void key_of(uint64_t number, char key[KEY_SIZE + 1])
{
    memcpy(key, "key:", 4);
    write_digits(number, key + 4, DIGITS);
    key[KEY_SIZE] = '\0';
}

void value_of(uint64_t number, char *value, size_t size)
{
    size_t digits = size < DIGITS ? size : DIGITS;
    write_digits(number, value, digits);
    memset(value + digits, 'x', size - digits);
}

static bool resp_template(struct request_template *t, const char *command, bool has_value, size_t value_size)
{
    t->bytes = malloc(128 + value_size);
    if (t->bytes == NULL)
        return false;
    char key[KEY_SIZE + 1];
    key_of(0, key);
    size_t at = (size_t)sprintf(t->bytes, "*%d\r\n$%zu\r\n%s\r\n$%d\r\n%s\r\n", has_value ? 3 : 2, strlen(command), command,
                                KEY_SIZE, key);
    t->key_at = at - 2 - DIGITS;
    if (has_value) {
        at += (size_t)sprintf(t->bytes + at, "$%zu\r\n", value_size);
        t->value_at = at;
        t->value_digits = value_size < DIGITS ? value_size : DIGITS;
        value_of(0, t->bytes + at, value_size);
        memcpy(t->bytes + at + value_size, "\r\n", 2);
        at += value_size + 2;
    }
    t->size = at;
    return true;
}

/* etcd's gateway takes key and value in Base64: nothing to patch, so the template is the head of the request only. */
static bool etcd_template(struct request_maker *m)
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

bool request_maker_init(struct request_maker *m, uint8_t protocol, uint8_t command, size_t value_size, uint64_t keyspace)
{
    *m = (struct request_maker){.protocol = protocol, .command = command, .keyspace = keyspace, .value_size = value_size};
    if (protocol == PROTOCOL_ETCD_HTTP)
        return etcd_template(m);
    if (!resp_template(&m->set, "SET", true, value_size) ||
        !resp_template(&m->get, command == COMMAND_INCR ? "INCR" : "GET", false, 0))
        return false;
    m->size_max = m->set.size > m->get.size ? m->set.size : m->get.size;
    return true;
}

void request_maker_close(struct request_maker *m)
{
    free(m->set.bytes);
    free(m->get.bytes);
    free(m->scratch);
    *m = (struct request_maker){0};
}

static size_t etcd_make(const struct request_maker *m, uint64_t key_number, uint64_t number, char *out)
{
    char key[KEY_SIZE + 1];
    char *at = out;
    key_of(key_number, key);
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

size_t request_make(const struct request_maker *m, uint64_t number, char *out)
{
    uint64_t key_number = m->keyspace > 0 ? number % m->keyspace : number;
    if (m->protocol == PROTOCOL_ETCD_HTTP)
        return etcd_make(m, key_number, number, out);
    bool set = m->command == COMMAND_SET || (m->command == COMMAND_MIXED && number % 2 == 0);
    const struct request_template *t = set ? &m->set : &m->get;
    memcpy(out, t->bytes, t->size);
    write_digits(key_number, out + t->key_at, DIGITS);
    if (t->value_digits > 0)
        write_digits(number, out + t->value_at, t->value_digits);
    return t->size;
}

/* The decimal number of `len` bytes, -1 for RESP's "none", -2 when it is no number. */
static int64_t parse_length(const char *text, size_t len)
{
    if (len == 2 && memcmp(text, "-1", 2) == 0)
        return -1;
    int64_t value = 0;
    if (len == 0 || len > 10)
        return -2;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -2;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* The size of the line at `bytes` with its end, 0 while incomplete, -1 when it is too long. */
static ptrdiff_t line_size(const char *bytes, size_t len)
{
    const char *end = memchr(bytes, '\n', len);
    if (end == NULL)
        return len > LINE_MAX_BYTES ? -1 : 0;
    return end > bytes && end[-1] == '\r' ? end - bytes + 1 : -1;
}

/* The size of one RESP value with all its elements, 0 while incomplete, -1 when unsound. */
static ptrdiff_t resp_size(const char *bytes, size_t len)
{
    size_t at = 0;
    for (int64_t pending = 1; pending > 0; pending--) {
        ptrdiff_t line = at < len ? line_size(bytes + at, len - at) : 0;
        if (line <= 0)
            return line;
        int64_t count = 0;
        char type = bytes[at];
        if (strchr("$=!*~>%", type) != NULL)
            count = parse_length(bytes + at + 1, (size_t)line - 3);
        at += (size_t)line;
        if (count < -1)
            return -1;
        switch (type) {
        case '+':
        case '-':
        case ':':
        case '_':
        case '#':
        case ',':
        case '(':
            break;
        case '$':
        case '=':
        case '!':
            if (count < 0)
                break;
            if ((uint64_t)count > bulk_bytes_max)
                return -1;
            at += (size_t)count + 2;
            if (at > len)
                return 0;
            break;
        case '*':
        case '~':
        case '>':
        case '%':
            if (count > ANSWER_ELEMENTS_MAX || pending > ANSWER_ELEMENTS_MAX)
                return -1;
            pending += count < 0 ? 0 : type == '%' ? 2 * count : count;
            break;
        default:
            return -1;
        }
    }
    return (ptrdiff_t)at;
}

/* What an error line (without '-' and its end) means for the request. */
static void resp_error(const char *text, size_t len, struct answer *answer)
{
    static const struct {
        const char *word;
        uint8_t kind;
    } words[] = {
        {"MOVED ", ANSWER_MOVED}, {"CLUSTERDOWN", ANSWER_BUSY}, {"BUSY", ANSWER_BUSY},
        {"LOADING", ANSWER_BUSY}, {"TRYAGAIN", ANSWER_BUSY},    {"UNKNOWN", ANSWER_UNKNOWN},
    };
    answer->kind = ANSWER_ERROR;
    answer->text = text;
    answer->text_len = len;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t size = strlen(words[i].word);
        if (len >= size && memcmp(text, words[i].word, size) == 0)
            answer->kind = words[i].kind;
    }
    if (answer->kind == ANSWER_MOVED) { /* MOVED <slot> <host:port> */
        const char *space = memrchr(text, ' ', len);
        answer->text = space + 1;
        answer->text_len = len - (size_t)(space + 1 - text);
    }
}

static ptrdiff_t resp_read(const char *bytes, size_t len, struct answer *answer)
{
    if (len >= 5 && memcmp(bytes, "+OK\r\n", 5) == 0)
        return 5;
    ptrdiff_t size = resp_size(bytes, len);
    if (size > 0 && bytes[0] == '-')
        resp_error(bytes + 1, (size_t)size - 3, answer);
    if (size > 0 && bytes[0] == '!') {
        size_t head = (size_t)line_size(bytes, len);
        resp_error(bytes + head, (size_t)size - head - 2, answer);
    }
    return size;
}

/* The value of a header line when it has this name. */
static const char *header_value(const char *line, const char *end, const char *name)
{
    size_t size = strlen(name);
    if ((size_t)(end - line) <= size || strncasecmp(line, name, size) != 0 || line[size] != ':')
        return NULL;
    for (line += size + 1; line < end && *line == ' ';)
        line++;
    return line;
}

static ptrdiff_t http_read(const char *bytes, size_t len, struct answer *answer)
{
    static const char status[] = "HTTP/1.1 ";
    int64_t body = -1;
    const char *head_end = memmem(bytes, len, "\r\n\r\n", 4);
    if (head_end == NULL)
        return len > LINE_MAX_BYTES ? -1 : 0;
    if (len < sizeof status + 3 || memcmp(bytes, status, sizeof status - 1) != 0)
        return -1;
    for (const char *line = bytes; line < head_end;) {
        const char *end = memmem(line, (size_t)(head_end + 2 - line), "\r\n", 2);
        const char *value = header_value(line, end, "Content-Length");
        if (value != NULL)
            body = parse_length(value, (size_t)(end - value));
        value = header_value(line, end, "Connection");
        if (value != NULL && end - value == 5 && strncasecmp(value, "close", 5) == 0)
            answer->closes = true;
        line = end + 2;
    }
    size_t head = (size_t)(head_end + 4 - bytes);
    if (body < 0 || (uint64_t)body > bulk_bytes_max)
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

ptrdiff_t answer_read(uint8_t protocol, const char *bytes, size_t len, struct answer *answer)
{
    *answer = (struct answer){.kind = ANSWER_OK};
    return protocol == PROTOCOL_ETCD_HTTP ? http_read(bytes, len, answer) : resp_read(bytes, len, answer);
}
