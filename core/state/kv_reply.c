#include "core/state/kv_reply.h"

#include "core/base/memory.h"
#include "core/formats/decimal.h"

enum { ERROR_ARGS_MAX = 128 };

struct bytes kv_result(struct state_machine *m, const uint8_t *bytes, size_t len)
{
    struct bytes copy = {.ptr = arena_new(&m->results, len), .len = len};
    m->data.live.work += 1 + len; /* it is copied once more on its way to the client */
    if (len > 0)
        memcpy(copy.ptr, bytes, len);
    return copy;
}

struct bytes kv_value_part(struct state_machine *m, const struct kv_entry *e, size_t offset, size_t len)
{
    struct bytes copy = {.ptr = arena_new(&m->results, len), .len = len};
    m->data.live.work += 1 + len;
    kv_table_read(&m->data.live, e, offset, len, copy.ptr);
    return copy;
}

bool kv_has_room(const struct state_machine *m, uint64_t size, struct reply *r)
{
    if (size <= m->room.small || size <= m->room.large)
        return true;
    reply_error(r, REPLY_NO_ROOM);
    return false;
}

void reply_too_costly(struct reply *r)
{
    reply_error(r, "TOOCOSTLY this would take too long: not executed, ask for less at once (KEYS: use SCAN)");
}

bool kv_affordable(uint64_t work, struct reply *r)
{
    if (work <= KV_COMMAND_WORK_MAX)
        return true;
    reply_too_costly(r);
    return false;
}

bool reply_value(struct state_machine *m, struct reply *r, struct kv_entry *e)
{
    if (e == NULL) {
        reply_nil(r);
        return true;
    }
    if (!kv_has_room(m, scalar_size(REPLY_BYTES, &(struct bytes){.len = e->value_len}), r))
        return false;
    r->tag = REPLY_BYTES;
    r->val.bytes = kv_value_part(m, e, 0, e->value_len);
    return true;
}

/* Appends what fits. Control characters become blanks, because an error is one line. */
static void error_add(struct bytes *error, size_t capacity, const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len && error->len < capacity; i++)
        error->ptr[error->len++] = text[i] == '\r' || text[i] == '\n' ? ' ' : text[i];
}

static void error_add_text(struct bytes *error, size_t capacity, const char *text)
{
    struct bytes t = kv_text(text);
    error_add(error, capacity, t.ptr, t.len);
}

void reply_arity(struct state_machine *m, struct reply *r, const char *name)
{
    enum { CAPACITY = 64 };
    struct bytes error = {.ptr = arena_new(&m->results, CAPACITY), .len = 0};
    error_add_text(&error, CAPACITY, "ERR wrong number of arguments for '");
    error_add_text(&error, CAPACITY, name);
    error_add_text(&error, CAPACITY, "' command");
    r->tag = REPLY_ERROR;
    r->val.bytes = error;
}

/* Bytes of an argument before its first zero, at most `max`: Redis prints arguments in errors like this. */
static size_t printed_len(const struct bytes *arg, size_t max)
{
    size_t len = 0;
    while (len < arg->len && len < max && arg->ptr[len] != 0)
        len++;
    return len;
}

void reply_unknown(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    enum { CAPACITY = 512 };
    struct bytes error = {.ptr = arena_new(&m->results, CAPACITY), .len = 0};
    error_add_text(&error, CAPACITY, "ERR unknown command '");
    if (argc > 0)
        error_add(&error, CAPACITY, args[0].ptr, printed_len(&args[0], ERROR_ARGS_MAX));
    error_add_text(&error, CAPACITY, "', with args beginning with: ");
    size_t start = error.len;
    for (size_t i = 1; i < argc && error.len - start < ERROR_ARGS_MAX; i++) {
        size_t max = ERROR_ARGS_MAX - (error.len - start);
        error_add_text(&error, CAPACITY, "'");
        error_add(&error, CAPACITY, args[i].ptr, printed_len(&args[i], max));
        error_add_text(&error, CAPACITY, "' ");
    }
    if (!kv_has_room(m, scalar_size(REPLY_ERROR, &error), r))
        return;
    r->tag = REPLY_ERROR;
    r->val.bytes = error;
}

bool kv_integer(const struct bytes *arg, int64_t *value, struct reply *r)
{
    if (decimal_read(arg->ptr, arg->len, value))
        return true;
    reply_error(r, "ERR value is not an integer or out of range");
    return false;
}

bool kv_word(const struct bytes *arg, const char *word)
{
    for (size_t i = 0; i < arg->len; i++) {
        uint8_t c = arg->ptr[i];
        if (c >= 'A' && c <= 'Z')
            c = (uint8_t)(c + ('a' - 'A'));
        if (word[i] == 0 || (uint8_t)word[i] != c)
            return false;
    }
    return word[arg->len] == 0;
}
