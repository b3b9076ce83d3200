/* Words of requests, and text in replies. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/formats/decimal.h"
#include "io/client_internal.h"

void client_print(struct resp_buffer *out, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    resp_raw(out, text, len < 0 ? 0 : (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}

void client_copy_word(const struct bytes *arg, char *out, size_t size)
{
    size_t len = arg->len < size - 1 ? arg->len : size - 1;
    memcpy(out, arg->ptr, len);
    out[len] = 0;
}

void client_unknown_subcommand(struct resp_buffer *out, const char *command, const struct bytes *subcommand)
{
    char text[256], word[129];
    client_copy_word(subcommand, word, sizeof word);
    snprintf(text, sizeof text, "ERR unknown subcommand '%s'. Try %s HELP.", word, command);
    resp_error_text(out, text);
}

bool client_number(const struct bytes *arg, uint64_t max, uint64_t *number, const char *what, struct resp_buffer *out)
{
    if (decimal_read_unsigned(arg->ptr, arg->len, number) && *number <= max)
        return true;
    resp_error_text(out, what);
    return false;
}

bool client_set_word(char *to, size_t size, const struct bytes *arg, const char *what, struct resp_buffer *out)
{
    char text[128];
    if (arg->len >= size) {
        snprintf(text, sizeof text, "ERR %s cannot be longer than %zu bytes.", what, size - 1);
        resp_error_text(out, text);
        return false;
    }
    for (size_t i = 0; i < arg->len; i++)
        if (arg->ptr[i] < '!' || arg->ptr[i] > '~') {
            snprintf(text, sizeof text, "ERR %s cannot contain spaces, newlines or special characters.", what);
            resp_error_text(out, text);
            return false;
        }
    client_copy_word(arg, to, size);
    return true;
}

void client_upper(const char *name, char *out, size_t size)
{
    size_t at = 0;
    for (; name[at] != '\0' && at < size - 1; at++)
        out[at] = (char)(name[at] >= 'a' && name[at] <= 'z' ? name[at] - 'a' + 'A' : name[at]);
    out[at] = '\0';
}
