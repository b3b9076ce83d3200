#include "core/formats/command_error.h"

enum { ARGS_MAX = 128 };

struct text {
    uint8_t *out;
    size_t len;
};

/* Appends what fits. Line ends become blanks, because an error is one line. */
static void add(struct text *t, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len && t->len < COMMAND_ERROR_MAX; i++)
        t->out[t->len++] = bytes[i] == '\r' || bytes[i] == '\n' ? ' ' : bytes[i];
}

static void add_text(struct text *t, const char *text) { add(t, (const uint8_t *)text, __builtin_strlen(text)); }

/* Bytes of an argument before its first zero, at most `max`: Redis prints arguments in errors like this. */
static size_t printed_len(const struct bytes *arg, size_t max)
{
    size_t len = 0;
    while (len < arg->len && len < max && arg->ptr[len] != 0)
        len++;
    return len;
}

size_t command_error_arity(const char *name, uint8_t *out)
{
    struct text t = {out, 0};
    add_text(&t, "ERR wrong number of arguments for '");
    add_text(&t, name);
    add_text(&t, "' command");
    return t.len;
}

size_t command_error_unknown(const struct bytes *args, size_t argc, uint8_t *out)
{
    struct text t = {out, 0};
    add_text(&t, "ERR unknown command '");
    if (argc > 0)
        add(&t, args[0].ptr, printed_len(&args[0], ARGS_MAX));
    add_text(&t, "', with args beginning with: ");
    const size_t start = t.len;
    for (size_t i = 1; i < argc && t.len - start < ARGS_MAX; i++) {
        const size_t max = ARGS_MAX - (t.len - start);
        add_text(&t, "'");
        add(&t, args[i].ptr, printed_len(&args[i], max));
        add_text(&t, "' ");
    }
    return t.len;
}
