#include "core/state/kv_reply.h"

#include "core/base/memory.h"
#include "core/formats/command_error.h"
#include "core/formats/decimal.h"

struct kv_entry *kv_find(struct state_machine *m, struct bytes key)
{
    struct kv_entry *e = kv_table_find(&m->data.live, key);
    return e != NULL && kv_is_over(m, e) ? NULL : e;
}

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

void reply_arity(struct state_machine *m, struct reply *r, const char *name)
{
    struct bytes error = {.ptr = arena_new(&m->results, COMMAND_ERROR_MAX)};
    error.len = command_error_arity(name, error.ptr);
    r->tag = REPLY_ERROR;
    r->val.bytes = error;
}

void reply_unknown(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    struct bytes error = {.ptr = arena_new(&m->results, COMMAND_ERROR_MAX)};
    error.len = command_error_unknown(args, argc, error.ptr);
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

bool kv_out_of_memory(struct reply *r)
{
    reply_error(r, KV_OUT_OF_MEMORY);
    return false;
}

bool kv_may_be_key(const struct bytes *key, struct reply *r)
{
    if (key->len <= KV_KEY_MAX)
        return true;
    reply_error(r, "ERR a key may be at most 1 MiB long");
    return false;
}

bool kv_may_be_long(uint64_t len, struct reply *r)
{
    if (len <= KV_VALUE_MAX)
        return true;
    reply_error(r, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

static bool may_store(struct state_machine *m, const struct bytes *key, uint64_t value_len, bool timed, struct reply *r)
{
    if (!kv_may_be_key(key, r) || !kv_may_be_long(value_len, r))
        return false;
    uint64_t cost = kv_cost(key->len, value_len);
    if (m->data.live.bytes + cost + KV_TIME_COST <= m->data.state_bytes_max)
        return true;
    const struct kv_entry *e = kv_find(m, *key);
    uint64_t old = e != NULL ? kv_entry_cost(e) : 0;
    cost += timed || (e != NULL && e->timed) ? KV_TIME_COST : 0;
    if (cost <= old || m->data.live.bytes - old + cost <= m->data.state_bytes_max)
        return true;
    return kv_out_of_memory(r);
}

bool kv_may_store(struct state_machine *m, const struct bytes *key, uint64_t value_len, struct reply *r)
{
    return may_store(m, key, value_len, false, r);
}

bool kv_may_store_timed(struct state_machine *m, const struct bytes *key, uint64_t value_len, struct reply *r)
{
    return may_store(m, key, value_len, true, r);
}

bool kv_is_value(struct state_machine *m, const struct kv_entry *e, const struct bytes *value)
{
    if (e->value_len != value->len)
        return false;
    if (value->len == 0)
        return true;
    uint8_t *own = arena_new(&m->results, value->len);
    kv_table_read(&m->data.live, e, 0, value->len, own);
    m->data.live.work += kv_copy_work(value->len);
    return memcmp(own, value->ptr, value->len) == 0;
}

uint8_t *kv_write_line(uint8_t *out, uint8_t mark, uint64_t number)
{
    *out++ = mark;
    out += decimal_write_unsigned(number, out);
    *out++ = '\r';
    *out++ = '\n';
    return out;
}

uint8_t *kv_write_bulk(uint8_t *out, struct bytes bytes)
{
    out = kv_write_line(out, '$', bytes.len);
    memcpy(out, bytes.ptr, bytes.len);
    out[bytes.len] = '\r';
    out[bytes.len + 1] = '\n';
    return out + bytes.len + 2;
}
