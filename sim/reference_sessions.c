#include "sim/reference_sessions.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/state/kv_table.h"

enum { KEPT_MAX = 4096, MOST = 16 << 20, PART = 16, ENDED_AT_ONCE = 16 };

struct done {
    uint64_t number;
    struct bytes packed;
};

struct session {
    uint64_t id;
    uint32_t window;
    struct done *places;
    uint64_t used;
};

/* The one used longest ago is the first. */
struct reference_sessions {
    struct session *list;
    size_t count, capacity;
    uint64_t elapsed;
    uint32_t idle_ms;
};

struct reference_sessions *reference_sessions_new(void) { return memory_new(1, sizeof(struct reference_sessions)); }

static void release(struct session *one)
{
    for (uint32_t i = 0; i < one->window; i++)
        free(one->places[i].packed.ptr);
    free(one->places);
}

void reference_sessions_free(struct reference_sessions *s)
{
    for (size_t i = 0; i < s->count; i++)
        release(&s->list[i]);
    free(s->list);
    free(s);
}

void reference_sessions_open(struct reference_sessions *s, uint64_t id, uint32_t window)
{
    s->list = memory_reserve(s->list, &s->capacity, s->count + 1, sizeof *s->list);
    s->list[s->count++] = (struct session){id, window, memory_new(window, sizeof(struct done)), s->elapsed};
}

static size_t find(const struct reference_sessions *s, uint64_t id)
{
    size_t i = 0;
    while (i < s->count && s->list[i].id != id)
        i++;
    return i;
}

bool reference_sessions_has(const struct reference_sessions *s, uint64_t id) { return find(s, id) < s->count; }

static void take_out(struct reference_sessions *s, size_t i)
{
    s->count--;
    memmove(s->list + i, s->list + i + 1, (s->count - i) * sizeof *s->list);
}

bool reference_sessions_close(struct reference_sessions *s, uint64_t id)
{
    const size_t i = find(s, id);
    if (i == s->count)
        return false;
    release(&s->list[i]);
    take_out(s, i);
    return true;
}

static struct done *use(struct reference_sessions *s, size_t i, uint64_t number)
{
    struct session used = s->list[i];
    if (s->elapsed < used.used + s->idle_ms / 1024)
        return &used.places[number % used.window];
    used.used = s->elapsed;
    take_out(s, i);
    s->list[s->count++] = used;
    return &used.places[number % used.window];
}

static enum remembered text(struct bytes *is, const char *text)
{
    *is = (struct bytes){(uint8_t *)(uintptr_t)text, strlen(text)};
    return REMEMBERED_TEXT;
}

enum remembered reference_sessions_look(struct reference_sessions *s, const struct session_call *call, struct bytes *is)
{
    const size_t i = find(s, call->id);
    if (i == s->count)
        return text(is, "NOSESSION not executed: there is no such session, or it was forgotten");
    const struct done *done = &s->list[i].places[call->number % s->list[i].window];
    if (done->number > call->number)
        return text(is, "SESSIONPASSED not executed: the session is more than its window beyond this number");
    if (done->number < call->number)
        return REMEMBERED_NOTHING;
    if (done->packed.ptr == NULL)
        return text(is, "SESSIONREPLY the command was executed, and its reply was too long to be kept");
    *is = use(s, i, call->number)->packed;
    return REMEMBERED_REPLY;
}

void reference_sessions_executed(struct reference_sessions *s, const struct session_call *call, struct bytes packed)
{
    struct done *done = use(s, find(s, call->id), call->number);
    free(done->packed.ptr);
    *done = (struct done){.number = call->number};
    if (packed.len > KEPT_MAX)
        return;
    done->packed = (struct bytes){memory_new(packed.len, 1), packed.len};
    memcpy(done->packed.ptr, packed.ptr, packed.len);
}

/* Six places are a page of 196 bytes, if one of them was used; replies of more than 20 bytes are beside it. */
static uint64_t bytes_of(const struct reference_sessions *s)
{
    uint64_t bytes = s->count > 0 ? kv_cost(0, 16) : 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct session *one = &s->list[i];
        uint32_t pages = 0; /* that are counted, or were not used */
        bytes += kv_cost(8, 32);
        for (uint32_t k = 0; k < one->window; k++) {
            if (one->places[k].number != 0 && k / 6 >= pages) {
                bytes += kv_cost(12, 196);
                pages = k / 6 + 1;
            }
            bytes += one->places[k].packed.len > 20 ? kv_cost(12, one->places[k].packed.len) : 0;
        }
    }
    return bytes;
}

void reference_sessions_pass(struct reference_sessions *s, uint64_t elapsed, uint32_t idle_ms)
{
    s->elapsed = elapsed;
    s->idle_ms = idle_ms;
    for (int i = 0; i < ENDED_AT_ONCE && s->count > 0 && elapsed >= s->list[0].used + idle_ms + idle_ms / 1024; i++)
        reference_sessions_close(s, s->list[0].id);
}

size_t reference_sessions_count(const struct reference_sessions *s) { return s->count; }

void reference_sessions_trim(struct reference_sessions *s, uint64_t state_bytes_max)
{
    uint64_t most = state_bytes_max == 0 ? MOST : state_bytes_max / PART;
    most = most < MOST ? most : MOST;
    while (bytes_of(s) > most)
        reference_sessions_close(s, s->list[0].id);
}
