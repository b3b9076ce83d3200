/* The part of load/protocol.h that native code and the client component share: keys, values, and RESP's answers. No system
 * call, and no formatting. */
#include <string.h>

#include "load/protocol_internal.h"

enum { ANSWER_ELEMENTS_MAX = 1024 * 1024 };

void digits_write(uint64_t number, char *out, size_t count)
{
    for (size_t i = count; i-- > 0; number /= 10)
        out[i] = (char)('0' + number % 10);
}

void key_of(uint64_t number, char key[KEY_SIZE + 1])
{
    memcpy(key, "key:", 4);
    digits_write(number, key + 4, KEY_DIGITS);
    key[KEY_SIZE] = '\0';
}

void value_of(uint64_t number, char *value, size_t size)
{
    size_t digits = size < KEY_DIGITS ? size : KEY_DIGITS;
    digits_write(number, value, digits);
    memset(value + digits, 'x', size - digits);
}

int64_t length_read(const char *text, size_t len)
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

/* The size of the line at `bytes` with its end; 0 while it is incomplete, -1 when it is too long. */
static ptrdiff_t line_size(const char *bytes, size_t len)
{
    const char *end = memchr(bytes, '\n', len);
    if (end == NULL)
        return len > ANSWER_LINE_MAX ? -1 : 0;
    return end > bytes && end[-1] == '\r' ? end - bytes + 1 : -1;
}

/* The size of one RESP value with all its elements; 0 while it is incomplete, -1 when it is malformed. */
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
            count = length_read(bytes + at + 1, (size_t)line - 3);
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
            if ((uint64_t)count > ANSWER_BYTES_MAX)
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
        {"MOVED ", ANSWER_MOVED},
        {"CLUSTERDOWN", ANSWER_BUSY},
        {"BUSY", ANSWER_BUSY},
        {"NOROOM", ANSWER_BUSY},
        {"LOADING", ANSWER_BUSY},
        {"TRYAGAIN", ANSWER_BUSY},
        {"UNKNOWN", ANSWER_UNKNOWN},
        {"NOSESSION", ANSWER_NO_SESSION},
        {"SESSIONPASSED", ANSWER_SESSION_PASSED},
        {"SESSIONREPLY", ANSWER_SESSION_REPLY},
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
        size_t at = len;
        while (text[at - 1] != ' ')
            at--;
        answer->text = text + at;
        answer->text_len = len - at;
    }
}

ptrdiff_t resp_answer_read(const char *bytes, size_t len, struct answer *answer)
{
    if (len >= 5 && memcmp(bytes, "+OK\r\n", 5) == 0)
        return 5;
    ptrdiff_t size = resp_size(bytes, len);
    if (size > 0 && bytes[0] == '-')
        resp_error(bytes + 1, (size_t)size - 3, answer);
    if (size > 0 && bytes[0] == ':') {
        answer->text = bytes + 1;
        answer->text_len = (size_t)size - 3;
    }
    if (size > 0 && bytes[0] == '!') {
        size_t head = (size_t)line_size(bytes, len);
        resp_error(bytes + head, (size_t)size - head - 2, answer);
    }
    return size;
}
