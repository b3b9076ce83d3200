/* The kv-store: Redis' string commands as a deterministic state machine.
 *
 * State and replies depend on the commands alone, on every machine, and also after a start from a snapshot:
 * 1. Commands that visit all keys (KEYS, SCAN), and snapshots, do so in order of (hash, key), see kv_table.c. The hash is
 *    keyed. Its key comes with the first batch of the log and is part of the state: so nodes agree, and clients cannot know
 *    it.
 * 2. Limits count the blocks of memory that the contents need (kv_cost), and work by arguments and contents (kv_store.h).
 *    Neither depends on history.
 * 3. No command asks for time or randomness: there is no expiry and no RANDOMKEY.
 *
 * A snapshot is a sequence of chunks, each as follows, little-endian:
 *
 *    0  magic "SKV2"   4      4  count of entries   4
 *    8  key of the hash 16
 *   24  entries: each  key length 4, value length 4, key, value
 *
 * Entries come in strictly rising order of (SipHash-1-3 of the key, key), also from chunk to chunk. Entries of one hash are
 * in one chunk. All chunks have the same key of the hash. The cursor is the hash at which the next chunk begins. */
#include "core/state/kv_reply.h"

#include "core/base/cursor.h"
#include "core/base/memory.h"

enum { CHUNK_BYTES = 256 * 1024, CHUNK_HEADER_SIZE = 24 };
static const char chunk_magic[4] = {'S', 'K', 'V', '2'};

static const struct kv_command {
    const char *name;
    kv_handler *handler;
    int8_t arity;
    bool read_only;
    uint8_t first_key;
    int8_t last_key;
    uint8_t key_step;
} commands[] = {
    {"get", kv_get, 2, true, 1, 1, 1},           {"set", kv_set, -3, false, 1, 1, 1},
    {"setnx", kv_setnx, 3, false, 1, 1, 1},      {"getset", kv_getset, 3, false, 1, 1, 1},
    {"getdel", kv_getdel, 2, false, 1, 1, 1},    {"mget", kv_mget, -2, true, 1, -1, 1},
    {"mset", kv_mset, -3, false, 1, -1, 2},      {"msetnx", kv_msetnx, -3, false, 1, -1, 2},
    {"append", kv_append, 3, false, 1, 1, 1},    {"strlen", kv_strlen, 2, true, 1, 1, 1},
    {"incr", kv_incr, 2, false, 1, 1, 1},        {"decr", kv_decr, 2, false, 1, 1, 1},
    {"incrby", kv_incrby, 3, false, 1, 1, 1},    {"decrby", kv_decrby, 3, false, 1, 1, 1},
    {"getrange", kv_getrange, 4, true, 1, 1, 1}, {"setrange", kv_setrange, 4, false, 1, 1, 1},
    {"del", kv_del, -2, false, 1, -1, 1},        {"unlink", kv_del, -2, false, 1, -1, 1},
    {"exists", kv_exists, -2, true, 1, -1, 1},   {"type", kv_type, 2, true, 1, 1, 1},
    {"keys", kv_keys, 2, true, 0, 0, 0},         {"scan", kv_scan, -2, true, 0, 0, 0},
    {"dbsize", kv_dbsize, 1, true, 0, 0, 0},     {"flushall", kv_flush, -1, false, 0, 0, 0},
    {"flushdb", kv_flush, -1, false, 0, 0, 0},   {"remove", kv_remove, 2, false, 1, 1, 1},
    {"clear", kv_clear, 1, false, 0, 0, 0},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

struct state_machine *state_machine_new(void)
{
    struct state_machine *m = memory_new(1, sizeof *m);
    kv_table_init(&m->table);
    state_machine_start(m, STATE_BYTES_MAX_STANDARD, 0);
    for (uint8_t i = 0; i < COMMAND_COUNT; i++) {
        struct bytes name = kv_text(commands[i].name);
        name_table_add(&m->names, command_name(name.ptr, name.len), i);
    }
    return m;
}

void state_machine_start(struct state_machine *m, uint64_t state_bytes_max, uint32_t call_work)
{
    m->state_bytes_max = state_bytes_max;
    m->call_work = call_work != 0 && call_work < KV_CALL_WORK_MAX ? call_work : KV_CALL_WORK_MAX;
}

void state_machine_seed(struct state_machine *m, uint64_t low, uint64_t high)
{
    invariant(m->table.count == 0);
    m->table.key = (struct siphash_key){low, high};
}

void state_machine_free(struct state_machine *m)
{
    if (m == NULL)
        return;
    kv_table_close(&m->table);
    arena_close(&m->results);
    free(m->replies);
    free(m->picked);
    free(m->chunk);
    free(m);
}

/* ---- Executing ---- */

/* What a command costs before anything is looked up: its arguments were received, and most are compared, hashed or
 * copied. */
static uint64_t arguments_work(const struct command *c)
{
    uint64_t work = KV_COMMAND_WORK + (uint64_t)c->args.len * KV_ARGUMENT_WORK;
    for (size_t i = 0; i < c->args.len; i++)
        work += kv_copy_work(c->args.ptr[i].len);
    return work;
}

/* The work that the keys of a command cost. */
static uint64_t keys_work(const struct kv_command *command, const struct bytes *args, size_t argc)
{
    uint64_t work = 0;
    if (command->last_key >= 0)
        return 0;
    for (size_t i = command->first_key; i < argc; i += command->key_step)
        work += KV_KEY_WORK + kv_hash_work(args[i].len);
    return work;
}

static void execute(struct state_machine *m, const struct command *c, bool read_only, struct reply *r)
{
    *r = (struct reply){.tag = REPLY_NIL};
    const struct bytes *args = c->args.ptr;
    size_t argc = c->args.len;
    int index = argc > 0 ? name_table_find(&m->names, command_name(args[0].ptr, args[0].len)) : -1;
    if (index < 0) {
        reply_unknown(m, args, argc, r);
        return;
    }
    const struct kv_command *command = &commands[index];
    if (command->arity >= 0 ? argc != (size_t)command->arity : argc < (size_t)-command->arity)
        reply_arity(m, r, command->name);
    else if (read_only && !command->read_only)
        reply_error(r, "ERR this command writes and cannot be answered by a query");
    else if (kv_affordable(keys_work(command, args, argc), r))
        command->handler(m, args, argc, r);
}

static struct applied execute_all(struct state_machine *m, const struct command *list, size_t count, struct reply_room room,
                                  bool read_only)
{
    size_t done = 0;
    arena_reset(&m->results);
    m->table.work = 0;
    m->room = room;
    m->replies = memory_reserve(m->replies, &m->replies_capacity, count, sizeof *m->replies);
    while (done < count && m->table.work < m->call_work) {
        struct reply *r = &m->replies[done];
        m->table.work += arguments_work(&list[done]);
        execute(m, &list[done], read_only, r);
        uint64_t size = reply_size(r);
        if (size > room.small)
            m->room.large -= size;
        done++;
    }
    return (struct applied){.replies = {.ptr = m->replies, .len = done}, .work = m->table.work};
}

struct applied state_machine_apply(struct state_machine *m, const struct command *list, size_t count, struct reply_room room)
{
    return execute_all(m, list, count, room, false);
}

struct applied state_machine_query(struct state_machine *m, const struct command *list, size_t count, struct reply_room room)
{
    return execute_all(m, list, count, room, true);
}

struct command_info_list state_machine_describe(struct state_machine *m)
{
    arena_reset(&m->results);
    struct command_info *infos = arena_new(&m->results, COMMAND_COUNT * sizeof *infos);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct kv_command *c = &commands[i];
        infos[i] = (struct command_info){.name = kv_text(c->name),
                                         .arity = c->arity,
                                         .read_only = c->read_only,
                                         .first_key = c->first_key,
                                         .last_key = c->last_key,
                                         .key_step = c->key_step};
    }
    return (struct command_info_list){.ptr = infos, .len = COMMAND_COUNT};
}

/* ---- Snapshots ---- */

static size_t entry_size(const struct kv_entry *e) { return 8 + (size_t)e->key_len + e->value_len; }

static void save_entry(struct state_machine *m, size_t at, struct kv_entry *e)
{
    m->chunk = memory_reserve(m->chunk, &m->chunk_capacity, at + entry_size(e), 1);
    cursor_store_u32(m->chunk + at, e->key_len);
    cursor_store_u32(m->chunk + at + 4, e->value_len);
    struct bytes key = kv_table_key(&m->table, e);
    if (key.len > 0)
        memcpy(m->chunk + at + 8, key.ptr, key.len);
    kv_table_read(&m->table, e, 0, e->value_len, m->chunk + at + 8 + key.len);
}

static struct snapshot_chunk finish_chunk(struct state_machine *m, size_t len, uint32_t entries, uint64_t next)
{
    memcpy(m->chunk, chunk_magic, sizeof chunk_magic);
    cursor_store_u32(m->chunk + 4, entries);
    cursor_store_u64(m->chunk + 8, m->table.key.low);
    cursor_store_u64(m->chunk + 16, m->table.key.high);
    return (struct snapshot_chunk){.cursor = next, .bytes = {.ptr = m->chunk, .len = len}};
}

struct snapshot_chunk state_machine_snapshot_save(struct state_machine *m, uint64_t cursor)
{
    size_t len = CHUNK_HEADER_SIZE;
    uint32_t entries = 0;
    m->chunk = memory_reserve(m->chunk, &m->chunk_capacity, CHUNK_HEADER_SIZE, 1);
    uint64_t next = cursor;
    do {
        size_t count;
        struct kv_entry *const *list = kv_table_visit(&m->table, next, &count, &next);
        for (size_t i = 0; i < count; i++) {
            /* The chunk is full: the next one begins with this entry, unless that would separate entries of one hash. Only
             * an entry ends a chunk, never the end of a bucket, because the number of chunks must not depend on the size of
             * the table. */
            if (len >= CHUNK_BYTES && (i == 0 || list[i]->hash != list[i - 1]->hash))
                return finish_chunk(m, len, entries, list[i]->hash);
            save_entry(m, len, list[i]);
            len += entry_size(list[i]);
            entries++;
        }
    } while (next != 0);
    return finish_chunk(m, len, entries, 0);
}

static bool key_before(struct bytes a, struct bytes b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter > 0 ? memcmp(a.ptr, b.ptr, shorter) : 0;
    return order != 0 ? order < 0 : a.len < b.len;
}

/* True when `key` comes after `*last`, the last key of this chunk (NULL: none yet), and after all earlier chunks. */
static bool load_in_order(struct state_machine *m, struct bytes key, struct bytes *last)
{
    uint64_t hash = kv_table_hash(&m->table, key);
    if (m->loading && (hash < m->loaded_hash || (hash == m->loaded_hash && (last->ptr == NULL || !key_before(*last, key)))))
        return false;
    m->loading = true;
    m->loaded_hash = hash;
    *last = key;
    return true;
}

/* Adds a chunk's entries. NULL, or what is wrong with the chunk. */
static const char *load_chunk(struct state_machine *m, struct bytes chunk, bool first)
{
    struct read_cursor c = cursor_over(chunk.ptr, chunk.len);
    const uint8_t *magic = cursor_take(&c, sizeof chunk_magic);
    uint32_t count = cursor_read_u32(&c);
    struct siphash_key hash_key = {.low = cursor_read_u64(&c)};
    hash_key.high = cursor_read_u64(&c);
    if (magic == NULL || memcmp(magic, chunk_magic, sizeof chunk_magic) != 0)
        return "kv-store snapshot: a chunk does not begin with SKV2";
    if (first)
        m->table.key = hash_key;
    if (hash_key.low != m->table.key.low || hash_key.high != m->table.key.high)
        return "kv-store snapshot: chunks differ in the key of the hash";
    struct bytes last = {NULL, 0};
    for (uint32_t i = 0; i < count && !c.failed; i++) {
        uint32_t key_len = cursor_read_u32(&c);
        uint32_t value_len = cursor_read_u32(&c);
        const uint8_t *key = cursor_take(&c, key_len);
        const uint8_t *value = cursor_take(&c, value_len);
        if (key == NULL || value == NULL)
            break;
        struct bytes name = {.ptr = (uint8_t *)(uintptr_t)key, .len = key_len};
        if (value_len > KV_VALUE_MAX || key_len > KV_KEY_MAX)
            return "kv-store snapshot: a key or value is too long";
        if (!load_in_order(m, name, &last))
            return "kv-store snapshot: keys are out of order";
        if (m->table.bytes + kv_cost(key_len, value_len) > m->state_bytes_max)
            return "kv-store snapshot: it is larger than state_bytes_max";
        kv_table_set(&m->table, name, (struct bytes){(uint8_t *)(uintptr_t)value, value_len});
    }
    return cursor_finished(&c) ? NULL : "kv-store snapshot: a chunk is cut short or has bytes left over";
}

bool state_machine_snapshot_load(struct state_machine *m, struct bytes chunk, bool first, bool last, const char **error)
{
    if (first) {
        kv_table_clear(&m->table);
        m->loading = false;
    }
    *error = load_chunk(m, chunk, first);
    if (*error != NULL)
        kv_table_clear(&m->table);
    if (*error != NULL || last)
        m->loading = false;
    return *error == NULL;
}
