#include "core/state/sessions.h"

#include "core/base/assert.h"
#include "core/base/cursor.h"
#include "core/base/memory.h"
#include "core/formats/batch.h"
#include "core/state/kv_chunks.h"

struct sessions {
    struct kv_versions table;
    struct kv_chunks chunks;
    uint64_t count;
    struct kv_entry *recent; /* the session looked for last; NULL: it may be gone */
    uint64_t recent_id;
    uint64_t bytes_max;
    uint64_t elapsed;                 /* by the log, now */
    uint32_t idle_ms;                 /* after which one ends that is not used; 0: no time has passed yet */
    uint8_t reply[SESSION_REPLY_MAX]; /* of the command looked at last */
};

/* The list of sessions by use, and what a session has. */
enum { LIST_OLDEST = 0, LIST_NEWEST = 8, LIST_SIZE = 16 };
enum { HEADER_WINDOW = 0, HEADER_PAGE = 4, HEADER_BEFORE = 8, HEADER_AFTER = 16, HEADER_USED = 24, HEADER_SIZE = 32 };
enum { PLACE_NUMBER = 0, PLACE_LENGTH = 8, PLACE_REPLY = 12, PLACE_SIZE = PLACE_REPLY + SESSION_SHORT_REPLY };
enum { PAGE_PLACES = 6, PAGE_NEXT = 0, PAGE_FIRST = 4, PAGE_SIZE = PAGE_FIRST + PAGE_PLACES * PLACE_SIZE };
enum { ID_SIZE = 8, KEY_SIZE = 12 }; /* of keys */
/* What some commands may take beside a snapshot, and the work of a call that saves. */
enum { ROOM_BYTES = 64 * 1024, SAVE_WORK = 2 * 1024 * 1024 };
enum { PART_OF_STATE = 16, PART_OF_IDLE = 1024 };

struct key {
    uint8_t bytes[KEY_SIZE];
    size_t len;
};

static struct key key_of_session(uint64_t id)
{
    struct key k = {.len = ID_SIZE};
    cursor_store_u64(k.bytes, id);
    return k;
}

static struct key key_of(uint64_t id, uint32_t what)
{
    struct key k = {.len = KEY_SIZE};
    cursor_store_u64(k.bytes, id);
    cursor_store_u32(k.bytes + ID_SIZE, what);
    return k;
}

static struct key key_of_page(uint64_t id, uint32_t page) { return key_of(id, page); }

static struct key key_of_reply(uint64_t id, uint32_t place) { return key_of(id, UINT32_C(1) << 31 | place); }

static const struct key key_of_list = {.len = 0};

static struct bytes bytes_of(const struct key *k) { return (struct bytes){(uint8_t *)(uintptr_t)k->bytes, k->len}; }

static struct kv_entry *find(struct sessions *s, struct key k) { return kv_table_find(&s->table.live, bytes_of(&k)); }

/* One after the other, commands of one session are looked for, and then executed. */
static struct kv_entry *find_session(struct sessions *s, uint64_t id)
{
    if (s->recent == NULL || s->recent_id != id)
        s->recent = find(s, key_of_session(id));
    s->recent_id = id;
    return s->recent;
}

static void set(struct sessions *s, struct key k, const uint8_t *value, size_t len)
{
    kv_versions_set(&s->table, bytes_of(&k), (struct bytes){(uint8_t *)(uintptr_t)value, len});
}

static void drop(struct sessions *s, struct key k) { kv_versions_remove(&s->table, bytes_of(&k)); }

static uint32_t get_u32(struct sessions *s, const struct kv_entry *e, size_t at)
{
    uint8_t bytes[4];
    kv_table_read(&s->table.live, e, at, sizeof bytes, bytes);
    return cursor_load_u32(bytes);
}

static uint64_t get_u64(struct sessions *s, const struct kv_entry *e, size_t at)
{
    uint8_t bytes[8];
    kv_table_read(&s->table.live, e, at, sizeof bytes, bytes);
    return cursor_load_u64(bytes);
}

/* Precondition: the key is there. */
static void put_u64(struct sessions *s, struct key k, size_t at, uint64_t value)
{
    uint8_t bytes[8];
    cursor_store_u64(bytes, value);
    kv_versions_overwrite(&s->table, find(s, k), at, (struct bytes){bytes, sizeof bytes});
}

struct sessions *sessions_new(void)
{
    struct sessions *s = memory_new(1, sizeof *s);
    s->bytes_max = SESSIONS_BYTES_MAX;
    kv_versions_init(&s->table, SESSIONS_BYTES_MAX);
    return s;
}

void sessions_free(struct sessions *s)
{
    if (s == NULL)
        return;
    kv_versions_close(&s->table);
    kv_chunks_close(&s->chunks);
    free(s);
}

void sessions_limit(struct sessions *s, uint64_t state_bytes_max)
{
    const uint64_t part = state_bytes_max / PART_OF_STATE;
    s->bytes_max = part < SESSIONS_BYTES_MAX ? part : SESSIONS_BYTES_MAX;
    s->table.state_bytes_max = s->bytes_max;
}

/* ---- The list, by use ---- */

/* The end of the list; 0: it is empty. */
static uint64_t list_end(struct sessions *s, size_t end)
{
    const struct kv_entry *list = find(s, key_of_list);
    return list != NULL ? get_u64(s, list, end) : 0;
}

/* Sets what comes before or after a session; of 0, the end of the list. */
static void link_to(struct sessions *s, uint64_t id, size_t at, uint64_t other)
{
    if (id != 0)
        put_u64(s, key_of_session(id), at, other);
    else
        put_u64(s, key_of_list, at == HEADER_AFTER ? LIST_OLDEST : LIST_NEWEST, other);
}

static void take_out(struct sessions *s, uint64_t id)
{
    const struct kv_entry *session = find(s, key_of_session(id));
    const uint64_t before = get_u64(s, session, HEADER_BEFORE), after = get_u64(s, session, HEADER_AFTER);
    link_to(s, before, HEADER_AFTER, after);
    link_to(s, after, HEADER_BEFORE, before);
}

/* The session is the one used last. */
static void put_last(struct sessions *s, uint64_t id)
{
    const uint64_t newest = list_end(s, LIST_NEWEST);
    link_to(s, id, HEADER_BEFORE, newest);
    link_to(s, id, HEADER_AFTER, 0);
    link_to(s, newest, HEADER_AFTER, id);
    link_to(s, 0, HEADER_BEFORE, id);
}

/* A session that is used all the time goes to the end of the list now and then, not with each command: that takes look-ups
 * of all its neighbours. */
static uint64_t now_and_then(uint32_t idle_ms) { return idle_ms / PART_OF_IDLE; }

static void use(struct sessions *s, uint64_t id, struct kv_entry *session)
{
    uint8_t now[8];
    if (s->elapsed < get_u64(s, session, HEADER_USED) + now_and_then(s->idle_ms))
        return;
    cursor_store_u64(now, s->elapsed);
    kv_versions_overwrite(&s->table, session, HEADER_USED, (struct bytes){now, sizeof now});
    if (list_end(s, LIST_NEWEST) == id)
        return;
    take_out(s, id);
    put_last(s, id);
}

void sessions_used(struct sessions *s, uint64_t id) { use(s, id, find_session(s, id)); }

/* ---- Places ---- */

/* What is remembered in a place. */
struct place {
    uint64_t number;
    uint32_t reply_len;
    uint8_t reply[SESSION_SHORT_REPLY]; /* if it is no longer than that; otherwise zeros */
};

static size_t place_at(uint32_t place) { return PAGE_FIRST + (size_t)(place % PAGE_PLACES) * PLACE_SIZE; }

static bool is_long(uint32_t reply_len) { return reply_len > SESSION_SHORT_REPLY; }

static struct place get_place(struct sessions *s, const struct kv_entry *page, uint32_t place)
{
    uint8_t bytes[PLACE_SIZE];
    struct place p;
    kv_table_read(&s->table.live, page, place_at(place), sizeof bytes, bytes);
    p.number = cursor_load_u64(bytes + PLACE_NUMBER);
    p.reply_len = cursor_load_u32(bytes + PLACE_LENGTH);
    memcpy(p.reply, bytes + PLACE_REPLY, sizeof p.reply);
    return p;
}

static void put_place(struct sessions *s, struct kv_entry *page, uint32_t place, const struct place *p)
{
    uint8_t bytes[PLACE_SIZE];
    cursor_store_u64(bytes + PLACE_NUMBER, p->number);
    cursor_store_u32(bytes + PLACE_LENGTH, p->reply_len);
    memcpy(bytes + PLACE_REPLY, p->reply, sizeof p->reply);
    kv_versions_overwrite(&s->table, page, place_at(place), (struct bytes){bytes, sizeof bytes});
}

/* Adds a page that is not there, to those of its session. */
static struct kv_entry *add_page(struct sessions *s, uint64_t id, struct kv_entry *session, uint32_t page)
{
    uint8_t value[PAGE_SIZE] = {0}, first[4];
    const struct key key = key_of_page(id, page);
    cursor_store_u32(value + PAGE_NEXT, get_u32(s, session, HEADER_PAGE));
    cursor_store_u32(first, page + 1);
    kv_versions_overwrite(&s->table, session, HEADER_PAGE, (struct bytes){first, sizeof first});
    set(s, key, value, sizeof value);
    return find(s, key);
}

/* Returns the one after it. */
static uint32_t forget_page(struct sessions *s, uint64_t id, uint32_t page)
{
    const struct key key = key_of_page(id, page);
    const struct kv_entry *e = find(s, key);
    const uint32_t next = get_u32(s, e, PAGE_NEXT), first = page * PAGE_PLACES;
    for (uint32_t place = first; place < first + PAGE_PLACES; place++)
        if (is_long(get_place(s, e, place).reply_len))
            drop(s, key_of_reply(id, place));
    drop(s, key);
    return next;
}

/* ---- Opening and forgetting ---- */

bool sessions_forget(struct sessions *s, uint64_t id)
{
    const struct kv_entry *e = find(s, key_of_session(id));
    if (e == NULL)
        return false;
    take_out(s, id);
    for (uint32_t page = get_u32(s, e, HEADER_PAGE); page != 0;)
        page = forget_page(s, id, page - 1);
    drop(s, key_of_session(id));
    s->recent = NULL;
    s->count--;
    if (list_end(s, LIST_OLDEST) == 0)
        drop(s, key_of_list);
    return true;
}

/* When a session was used last. */
static uint64_t used_at(struct sessions *s, uint64_t id) { return get_u64(s, find(s, key_of_session(id)), HEADER_USED); }

void sessions_pass(struct sessions *s, uint64_t elapsed, uint32_t idle_ms)
{
    s->elapsed = elapsed;
    s->idle_ms = idle_ms;
    for (int ended = 0; ended < SESSIONS_ENDED_MAX && sessions_due(s, idle_ms) <= elapsed; ended++)
        sessions_forget(s, list_end(s, LIST_OLDEST));
}

uint64_t sessions_due(struct sessions *s, uint32_t idle_ms)
{
    const uint64_t oldest = list_end(s, LIST_OLDEST);
    return oldest != 0 ? used_at(s, oldest) + idle_ms + now_and_then(idle_ms) : UINT64_MAX;
}

void sessions_trim(struct sessions *s)
{
    while (s->table.live.bytes > s->bytes_max)
        sessions_forget(s, list_end(s, LIST_OLDEST));
}

uint64_t sessions_open(struct sessions *s, uint64_t wanted, uint32_t window)
{
    uint64_t id = wanted;
    uint8_t header[HEADER_SIZE] = {0};
    invariant(wanted >= 1 && wanted <= SESSION_ID_MAX && window >= 1 && window <= SESSION_WINDOW_MAX);
    while (find(s, key_of_session(id)) != NULL)
        id = id == SESSION_ID_MAX ? 1 : id + 1;
    cursor_store_u32(header + HEADER_WINDOW, window);
    cursor_store_u64(header + HEADER_USED, s->elapsed);
    set(s, key_of_session(id), header, sizeof header);
    if (find(s, key_of_list) == NULL)
        set(s, key_of_list, (uint8_t[LIST_SIZE]){0}, LIST_SIZE);
    put_last(s, id);
    s->count++;
    return id;
}

/* ---- Commands ---- */

enum session_state sessions_look(struct sessions *s, const struct session_call *call, struct bytes *reply)
{
    const struct kv_entry *session = find_session(s, call->id);
    if (session == NULL)
        return SESSION_UNKNOWN;
    const uint32_t window = get_u32(s, session, HEADER_WINDOW);
    const uint32_t place = (uint32_t)(call->number % window);
    const struct kv_entry *page = find(s, key_of_page(call->id, place / PAGE_PLACES));
    const struct place p = page != NULL ? get_place(s, page, place) : (struct place){0};
    if (p.number < call->number)
        return SESSION_FRESH;
    if (p.number > call->number)
        return SESSION_PASSED;
    *reply = (struct bytes){.ptr = s->reply, .len = p.reply_len};
    if (is_long(p.reply_len))
        kv_table_read(&s->table.live, find(s, key_of_reply(call->id, place)), 0, p.reply_len, s->reply);
    else
        memcpy(s->reply, p.reply, p.reply_len);
    return p.reply_len > 0 ? SESSION_EXECUTED : SESSION_REPLY_LOST;
}

void sessions_executed(struct sessions *s, const struct session_call *call, struct bytes reply)
{
    struct kv_entry *session = find_session(s, call->id);
    invariant(session != NULL);
    const uint32_t place = (uint32_t)(call->number % get_u32(s, session, HEADER_WINDOW));
    struct kv_entry *page = find(s, key_of_page(call->id, place / PAGE_PLACES));
    struct place p = {.number = call->number, .reply_len = reply.len <= SESSION_REPLY_MAX ? (uint32_t)reply.len : 0};
    if (page == NULL)
        page = add_page(s, call->id, session, place / PAGE_PLACES);
    if (is_long(p.reply_len))
        set(s, key_of_reply(call->id, place), reply.ptr, reply.len);
    else
        memcpy(p.reply, reply.ptr, p.reply_len);
    if (!is_long(p.reply_len) && is_long(get_place(s, page, place).reply_len))
        drop(s, key_of_reply(call->id, place));
    put_place(s, page, place, &p);
    use(s, call->id, session);
}

uint64_t sessions_count(const struct sessions *s) { return s->count; }

uint64_t sessions_size(const struct sessions *s) { return s->table.live.bytes; }

uint64_t sessions_work(struct sessions *s)
{
    const uint64_t work = kv_versions_work(&s->table);
    kv_versions_work_reset(&s->table);
    return work;
}

bool sessions_have_room(const struct sessions *s) { return kv_versions_has_room(&s->table, ROOM_BYTES); }

/* ---- Snapshots ---- */

void sessions_snapshot_begin(struct sessions *s) { kv_chunks_begin(&s->chunks, &s->table); }

struct snapshot_chunk sessions_snapshot_save(struct sessions *s) { return kv_chunks_save(&s->chunks, &s->table, SAVE_WORK); }

/* ---- What was loaded comes from a disk or a peer, and is used without further checks afterwards ---- */

static bool is_zero(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= bytes[i];
    return any == 0;
}

static bool is_sound_reply(struct sessions *s, uint64_t id, uint32_t place, const struct place *p)
{
    uint8_t reply[SESSION_REPLY_MAX];
    if (!is_long(p->reply_len))
        return is_zero(p->reply + p->reply_len, sizeof p->reply - p->reply_len) &&
               (p->reply_len == 0 || reply_is_packed((struct bytes){(uint8_t *)(uintptr_t)p->reply, p->reply_len}));
    const struct kv_entry *e = p->reply_len <= SESSION_REPLY_MAX ? find(s, key_of_reply(id, place)) : NULL;
    if (e == NULL || e->value_len != p->reply_len || !is_zero(p->reply, sizeof p->reply))
        return false;
    kv_table_read(&s->table.live, e, 0, p->reply_len, reply);
    return reply_is_packed((struct bytes){reply, p->reply_len});
}

/* Whether a page is of a session with this window. Adds the number of its entries to `*entries`. */
static bool is_sound_page(struct sessions *s, uint64_t id, uint32_t page, uint32_t window, uint64_t *entries)
{
    const struct kv_entry *e = page <= (window - 1) / PAGE_PLACES ? find(s, key_of_page(id, page)) : NULL;
    const uint32_t first = page * PAGE_PLACES;
    if (e == NULL || e->value_len != PAGE_SIZE)
        return false;
    ++*entries;
    for (uint32_t place = first; place < first + PAGE_PLACES; place++) {
        const struct place p = get_place(s, e, place);
        const bool is_used = p.number != 0;
        if (!is_used && (p.reply_len != 0 || !is_zero(p.reply, sizeof p.reply)))
            return false;
        if (is_used && (place >= window || p.number % window != place || !is_sound_reply(s, id, place, &p)))
            return false;
        *entries += is_long(p.reply_len);
    }
    return true;
}

/* Whether a session's pages are linked. Adds the number of its entries to `*entries`. */
static bool is_sound_session(struct sessions *s, uint64_t id, const struct kv_entry *session, uint64_t *entries)
{
    const uint32_t window = get_u32(s, session, HEADER_WINDOW);
    uint32_t page = get_u32(s, session, HEADER_PAGE), left = (window + PAGE_PLACES - 1) / PAGE_PLACES;
    if (window < 1 || window > SESSION_WINDOW_MAX)
        return false;
    for (++*entries; page != 0; left--) {
        if (left == 0 || !is_sound_page(s, id, page - 1, window, entries))
            return false;
        page = get_u32(s, find(s, key_of_page(id, page - 1)), PAGE_NEXT);
    }
    return true;
}

/* Whether all entries are those of the list and of the sessions in it, each linked to the one before it. Counts these. */
static bool all_is_sound(struct sessions *s)
{
    const struct kv_entry *list = find(s, key_of_list);
    uint64_t before = 0, entries = 1;
    s->count = 0;
    if (list == NULL || list->value_len != LIST_SIZE)
        return s->table.live.count == 0;
    for (uint64_t id = get_u64(s, list, LIST_OLDEST); id != 0 && entries < s->table.live.count;) {
        const struct kv_entry *session = id <= SESSION_ID_MAX ? find(s, key_of_session(id)) : NULL;
        if (session == NULL || session->value_len != HEADER_SIZE || get_u64(s, session, HEADER_BEFORE) != before ||
            !is_sound_session(s, id, session, &entries))
            return false;
        before = id;
        s->count++;
        id = get_u64(s, session, HEADER_AFTER);
    }
    return before != 0 && before == get_u64(s, list, LIST_NEWEST) && entries == s->table.live.count &&
           get_u64(s, find(s, key_of_session(before)), HEADER_AFTER) == 0;
}

bool sessions_snapshot_load(struct sessions *s, struct bytes chunk, bool first, bool last)
{
    const struct kv_entry_limits most = {.key_max = KEY_SIZE, .value_max = SESSION_REPLY_MAX};
    const uint64_t bytes_max = s->table.state_bytes_max;
    s->table.state_bytes_max = SESSIONS_BYTES_MAX; /* the limit may have been lowered since */
    bool loaded = kv_chunks_load(&s->chunks, &s->table, chunk, first, last, most) == NULL;
    s->table.state_bytes_max = bytes_max;
    if (loaded && last && !all_is_sound(s)) {
        kv_versions_reset(&s->table);
        loaded = false;
    }
    s->count = loaded ? s->count : 0;
    s->recent = NULL;
    return loaded;
}
