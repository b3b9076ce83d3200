/* What the commands of the kv-store read their arguments and give their replies with. */
#ifndef SYNOD_CORE_STATE_KV_REPLY_H
#define SYNOD_CORE_STATE_KV_REPLY_H

#include "core/formats/decimal.h"
#include "core/state/kv_store.h"

static inline struct bytes kv_text(const char *text)
{
    return (struct bytes){.ptr = (uint8_t *)(uintptr_t)text, .len = __builtin_strlen(text)};
}
static inline void reply_nil(struct reply *r) { r->tag = REPLY_NIL; }
static inline void reply_integer(struct reply *r, int64_t value)
{
    r->tag = REPLY_INTEGER;
    r->val.integer = value;
}
static inline void reply_status(struct reply *r, const char *text)
{
    r->tag = REPLY_STATUS;
    r->val.bytes = kv_text(text);
}
static inline void reply_error(struct reply *r, const char *text)
{
    r->tag = REPLY_ERROR;
    r->val.bytes = kv_text(text);
}

/* Whether an entry has ended, though it has not left the state yet. */
static inline bool kv_is_over(const struct state_machine *m, const struct kv_entry *e)
{
    return e->timed && kv_versions_until(&m->data, e) < m->now.elapsed;
}
/* The entry of a key; NULL when there is none that has not ended. Valid until the next change. */
struct kv_entry *kv_find(struct state_machine *m, struct bytes key);

/* A copy of bytes that lives as long as the replies do. */
struct bytes kv_result(struct state_machine *m, const uint8_t *bytes, size_t len);
/* A copy of a part of a value that lives as long. */
struct bytes kv_value_part(struct state_machine *m, const struct kv_entry *e, size_t offset, size_t len);
/* Replies with a copy of an entry's value, or nil if there is no entry. False: the reply has no room, so nothing may be
 * changed. */
bool reply_value(struct state_machine *m, struct reply *r, struct kv_entry *e);
/* The errors of core/formats/command_error.h. */
void reply_arity(struct state_machine *m, struct reply *r, const char *name);
void reply_unknown(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r);

/* True when a reply of this size may be given; otherwise `*r` becomes REPLY_NO_ROOM. To be asked before anything is
 * changed. */
bool kv_has_room(const struct state_machine *m, uint64_t size, struct reply *r);
/* True when a command may cost so much; otherwise the error is in `*r`. */
bool kv_affordable(uint64_t work, struct reply *r);
void reply_too_costly(struct reply *r);

/* True when a key or a value may be so long, or a value of this length may be stored under `key`, which may have one
 * already, and a time, which is counted; otherwise the error is in `*r`. */
bool kv_may_be_key(const struct bytes *key, struct reply *r);
bool kv_may_be_long(uint64_t len, struct reply *r);
bool kv_may_store(struct state_machine *m, const struct bytes *key, uint64_t value_len, struct reply *r);
/* The same for a value with a time. */
bool kv_may_store_timed(struct state_machine *m, const struct bytes *key, uint64_t value_len, struct reply *r);
/* Replies with this error, and gives false. */
#define KV_OUT_OF_MEMORY "OOM command not allowed when used memory > 'state_bytes_max'."
bool kv_out_of_memory(struct reply *r);
/* True when the entry has this value. */
bool kv_is_value(struct state_machine *m, const struct kv_entry *e, const struct bytes *value);

/* Parts of a reply that is encoded by its command: "<mark><number>\r\n", of at most KV_RAW_LINE_MAX bytes; and bytes with
 * their length before them. They give where the next part goes. */
enum { KV_RAW_LINE_MAX = 1 + DECIMAL_MAX + 2 };
uint8_t *kv_write_line(uint8_t *out, uint8_t mark, uint64_t number);
uint8_t *kv_write_bulk(uint8_t *out, struct bytes bytes);

/* Reads an argument as Redis reads integers; false with the error in `*r`. */
bool kv_integer(const struct bytes *arg, int64_t *value, struct reply *r);
/* True when an argument is this word. `word` is in lower case; the argument may be in any case. */
bool kv_word(const struct bytes *arg, const char *word);

#endif
