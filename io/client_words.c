/* Words of requests, and text in replies. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "io/client_internal.h"

bool client_is_word(const struct bytes *arg, const char *word)
{
    return strlen(word) == arg->len && strncasecmp((const char *)arg->ptr, word, arg->len) == 0;
}

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
