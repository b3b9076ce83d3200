/* The kv-store: Redis' string commands as a deterministic state machine.
 *
 * State and replies depend on the commands alone, on every machine, and also after a start from a snapshot:
 * 1. Commands that visit all keys (KEYS, SCAN), and snapshots, do so in order of (hash, key), see kv_table.c. The hash is
 *    keyed. Its key comes with the first batch of the log and is part of the state: so nodes agree, and clients cannot know
 *    it.
 * 2. Limits count the blocks of memory that the contents need (kv_cost), and work by arguments and contents (kv_store.h).
 *    Neither depends on history.
 * 3. What time it is, the log says (struct moment). A key that is over is not there for any command, whether it has left the
 *    state or not; when it leaves depends on the log alone, too. What RANDOMKEY gives in the log depends on state and time.
 * 4. No number is a floating-point number of the machine: INCRBYFLOAT calculates with decimal digits. */
#include "core/state/kv_events.h"
#include "core/state/kv_reply.h"

#include "core/base/memory.h"
#include "core/formats/command_error.h"

static const struct kv_command {
    const char *name;
    kv_handler *handler;
    int8_t arity;
    bool read_only;
    uint8_t first_key;
    int8_t last_key;
    uint8_t key_step;
} commands[] = {
    {"get", kv_get, 2, true, 1, 1, 1},
    {"set", kv_set, -3, false, 1, 1, 1},
    {"setnx", kv_setnx, 3, false, 1, 1, 1},
    {"getset", kv_getset, 3, false, 1, 1, 1},
    {"getdel", kv_getdel, 2, false, 1, 1, 1},
    {"mget", kv_mget, -2, true, 1, -1, 1},
    {"mset", kv_mset, -3, false, 1, -1, 2},
    {"msetnx", kv_msetnx, -3, false, 1, -1, 2},
    {"append", kv_append, 3, false, 1, 1, 1},
    {"strlen", kv_strlen, 2, true, 1, 1, 1},
    {"incr", kv_incr, 2, false, 1, 1, 1},
    {"decr", kv_decr, 2, false, 1, 1, 1},
    {"incrby", kv_incrby, 3, false, 1, 1, 1},
    {"decrby", kv_decrby, 3, false, 1, 1, 1},
    {"getrange", kv_getrange, 4, true, 1, 1, 1},
    {"setrange", kv_setrange, 4, false, 1, 1, 1},
    {"del", kv_del, -2, false, 1, -1, 1},
    {"unlink", kv_del, -2, false, 1, -1, 1},
    {"exists", kv_exists, -2, true, 1, -1, 1},
    {"type", kv_type, 2, true, 1, 1, 1},
    {"keys", kv_keys, 2, true, 0, 0, 0},
    {"scan", kv_scan, -2, true, 0, 0, 0},
    {"dbsize", kv_dbsize, 1, true, 0, 0, 0},
    {"flushall", kv_flush, -1, false, 0, 0, 0},
    {"flushdb", kv_flush, -1, false, 0, 0, 0},
    {"remove", kv_remove, 2, false, 1, 1, 1},
    {"clear", kv_clear, 1, false, 0, 0, 0},
    {"memory", kv_memory, -3, true, 2, 2, 1},
    {"object", kv_object, 3, true, 2, 2, 1},
    {"touch", kv_exists, -2, true, 1, -1, 1},
    {"substr", kv_getrange, 4, true, 1, 1, 1},
    {"incrbyfloat", kv_incrbyfloat, 3, false, 1, 1, 1},
    {"rename", kv_rename, 3, false, 1, 2, 1},
    {"renamenx", kv_renamenx, 3, false, 1, 2, 1},
    {"copy", kv_copy, -3, false, 1, 2, 1},
    {"delex", kv_delex, -2, false, 1, 1, 1},
    {"randomkey", kv_randomkey, 1, true, 0, 0, 0},
    {"setbit", kv_setbit, 4, false, 1, 1, 1},
    {"getbit", kv_getbit, 3, true, 1, 1, 1},
    {"bitcount", kv_bitcount, -2, true, 1, 1, 1},
    {"bitpos", kv_bitpos, -3, true, 1, 1, 1},
    {"bitop", kv_bitop, -4, false, 2, -1, 1},
    {"lcs", kv_lcs, -3, true, 1, 2, 1},
    {"setex", kv_setex, 4, false, 1, 1, 1},
    {"psetex", kv_psetex, 4, false, 1, 1, 1},
    {"getex", kv_getex, -2, false, 1, 1, 1},
    {"expire", kv_expire, -3, false, 1, 1, 1},
    {"pexpire", kv_pexpire, -3, false, 1, 1, 1},
    {"expireat", kv_expireat, -3, false, 1, 1, 1},
    {"pexpireat", kv_pexpireat, -3, false, 1, 1, 1},
    {"ttl", kv_ttl, 2, true, 1, 1, 1},
    {"pttl", kv_pttl, 2, true, 1, 1, 1},
    {"expiretime", kv_expiretime, 2, true, 1, 1, 1},
    {"pexpiretime", kv_pexpiretime, 2, true, 1, 1, 1},
    {"persist", kv_persist, 2, false, 1, 1, 1},
    {"time", kv_time, 1, true, 0, 0, 0},
    {"watch", kv_watch, -3, false, 2, -1, 1},
    {"watched", kv_watched, -3, false, 2, -1, 1},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

struct state_machine *state_machine_new(void)
{
    struct state_machine *m = memory_new(1, sizeof *m);
    kv_versions_init(&m->data, STATE_BYTES_MAX_STANDARD);
    m->data.watches = &m->watches;
    state_machine_start(m, STATE_BYTES_MAX_STANDARD, 0);
    for (uint8_t i = 0; i < COMMAND_COUNT; i++) {
        struct bytes name = kv_text(commands[i].name);
        name_table_add(&m->names, command_name(name.ptr, name.len), i);
    }
    return m;
}

void state_machine_start(struct state_machine *m, uint64_t state_bytes_max, uint32_t call_work)
{
    m->data.state_bytes_max = state_bytes_max;
    m->call_work = call_work != 0 && call_work < KV_CALL_WORK_MAX ? call_work : KV_CALL_WORK_MAX;
}

void state_machine_seed(struct state_machine *m, uint64_t low, uint64_t high)
{
    invariant(m->data.live.count == 0);
    m->data.live.key = (struct siphash_key){low, high};
}

void state_machine_free(struct state_machine *m)
{
    if (m == NULL)
        return;
    kv_versions_close(&m->data);
    kv_watches_close(&m->watches);
    free(m->watches_chunk);
    arena_close(&m->results);
    free(m->replies);
    free(m->picked);
    free(m->events.list);
    kv_chunks_close(&m->chunks);
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

/* ---- Time ---- */

static bool first_is_over(const struct state_machine *m)
{
    if (m->data.times.count == 0)
        return false;
    const uint64_t until = kv_versions_first_until(&m->data);
    return until < m->now.elapsed;
}

/* Some of the keys that are over leave the state, those that ended first. */
static void let_leave(struct state_machine *m, size_t most)
{
    for (size_t i = 0; i < most && first_is_over(m); i++) {
        kv_event_ended(m, kv_versions_first(&m->data));
        kv_versions_remove_first(&m->data);
    }
}

/* What a command changes must not have ended before. */
static void let_keys_leave(struct state_machine *m, const struct kv_command *command, const struct bytes *args, size_t argc)
{
    if (command->first_key == 0 || !first_is_over(m))
        return;
    const size_t end = command->last_key < 0 || (size_t)command->last_key >= argc ? argc : (size_t)command->last_key + 1;
    for (size_t i = command->first_key; i < end; i += command->key_step)
        if (kv_find(m, args[i]) == NULL && kv_versions_remove(&m->data, args[i]))
            kv_event_ended(m, args[i]);
}

static uint64_t due(const struct state_machine *m)
{
    const uint64_t until = kv_versions_first_until(&m->data);
    return until == KV_FOREVER ? DUE_NEVER : until + 1;
}

/* ---- Commands ---- */

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
    if (!command_arity_fits(command->arity, argc))
        reply_arity(m, r, command->name);
    else if (read_only && !command->read_only)
        reply_error(r, "ERR this command writes and cannot be answered by a query");
    else if (kv_affordable(keys_work(command, args, argc), r)) {
        if (!command->read_only)
            let_keys_leave(m, command, args, argc);
        command->handler(m, args, argc, r);
    }
}

/* Bytes of blocks that a command may take: each argument as a key with its name in `born`, or as a value; and a copy of the
 * value that it changes. */
static uint64_t room_needed(const struct state_machine *m, const struct command *c)
{
    const uint64_t live = m->data.live.bytes, most = live > m->data.state_bytes_max ? live : m->data.state_bytes_max;
    uint64_t bytes = kv_cost(KV_KEY_MAX, KV_VALUE_MAX);
    if (bytes > most)
        bytes = most;
    for (size_t i = 0; i < c->args.len; i++)
        bytes += 2 * kv_cost(c->args.ptr[i].len, 0);
    return bytes;
}

static void begin_call(struct state_machine *m, struct moment now, struct reply_room room, bool queries)
{
    arena_reset(&m->results);
    kv_versions_work_reset(&m->data);
    m->now = now;
    m->queries = queries;
    m->room = room;
    kv_events_begin(m);
}

static struct applied execute_all(struct state_machine *m, const struct command *list, size_t count, bool read_only)
{
    size_t done = 0;
    m->replies = memory_reserve(m->replies, &m->replies_capacity, count, sizeof *m->replies);
    while (done < count && kv_versions_work(&m->data) < m->call_work) {
        if (!read_only && !kv_versions_has_room(&m->data, room_needed(m, &list[done])))
            break;
        struct reply *r = &m->replies[done];
        if (!read_only)
            let_leave(m, KV_LEAVE_A_COMMAND);
        m->data.live.work += arguments_work(&list[done]);
        kv_events_command(m, done);
        execute(m, &list[done], read_only, r);
        uint64_t size = reply_size(r);
        if (size > m->room.small)
            m->room.large -= size;
        done++;
    }
    return (struct applied){.replies = {.ptr = m->replies, .len = done},
                            .work = kv_versions_work(&m->data),
                            .keys = m->data.live.count,
                            .bytes = m->data.live.bytes,
                            .due = due(m),
                            .timed_keys = m->data.times.count,
                            .time_left = kv_times_left(&m->data.times, m->now.elapsed),
                            .events = {m->events.list, m->events.count}};
}

struct applied state_machine_apply(struct state_machine *m, struct moment now, const struct command *list, size_t count,
                                   struct reply_room room)
{
    begin_call(m, now, room, false);
    if (count == 0)
        let_leave(m, KV_LEAVE_A_PAUSE);
    return execute_all(m, list, count, false);
}

struct applied state_machine_query(struct state_machine *m, struct moment now, const struct command *list, size_t count,
                                   struct reply_room room)
{
    begin_call(m, now, room, true);
    return execute_all(m, list, count, true);
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

/* Work after which a call to save ends, with a chunk or without one: some milliseconds. */
enum { SAVE_WORK = 4 * KV_CALL_WORK_MAX };

uint64_t state_machine_size(struct state_machine *m) { return m->data.live.bytes; }

void state_machine_snapshot_begin(struct state_machine *m)
{
    kv_chunks_begin(&m->chunks, &m->data);
    m->watches_len = 0;
    if (!kv_watches_any(&m->watches))
        return;
    if (m->watches_chunk == NULL)
        m->watches_chunk = memory_new(KV_WATCHES_CHUNK_MAX, 1);
    m->watches_len = kv_watches_save(&m->watches, m->watches_chunk);
}

/* The watches come first: they are few, and as they were at the begin. */
struct snapshot_chunk state_machine_snapshot_save(struct state_machine *m)
{
    const struct bytes watches = {m->watches_chunk, m->watches_len};
    m->watches_len = 0;
    if (watches.len > 0)
        return (struct snapshot_chunk){.bytes = watches};
    return kv_chunks_save(&m->chunks, &m->data, SAVE_WORK);
}

bool state_machine_snapshot_load(struct state_machine *m, struct bytes chunk, bool first, bool last, const char **error)
{
    const struct kv_entry_limits most = {.key_max = KV_KEY_MAX, .value_max = KV_VALUE_MAX, .times = true};
    if (first)
        kv_watches_reset(&m->watches);
    if (first && kv_watches_is_chunk(chunk)) {
        *error = last || !kv_watches_load(&m->watches, chunk) ? "malformed watches" : NULL;
        m->loading_first = true;
        return *error == NULL;
    }
    first = first || m->loading_first;
    m->loading_first = false;
    m->data.watches = NULL; /* what is loaded changes nothing */
    *error = kv_chunks_load(&m->chunks, &m->data, chunk, first, last, most);
    m->data.watches = &m->watches;
    if (*error != NULL)
        kv_watches_reset(&m->watches);
    return *error == NULL;
}
