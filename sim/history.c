/* Histories: what clients did and were told, as flat arrays, judged one key at a time (sim/linearizability.h). */
#include "sim/history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/memory.h"
#include "sim/leases.h"
#include "sim/linearizability.h"

struct history {
    struct operation *operations;
    size_t count, capacity;
    struct arena answers;
};

struct history *history_new(void) { return memory_new(1, sizeof(struct history)); }

void history_free(struct history *h)
{
    if (h == NULL)
        return;
    arena_close(&h->answers);
    free(h->operations);
    free(h);
}

size_t history_call(struct history *h, const struct operation *operation)
{
    h->operations = memory_reserve(h->operations, &h->capacity, h->count + 1, sizeof *h->operations);
    struct operation *o = &h->operations[h->count];
    *o = (struct operation){.client = operation->client,
                            .key = operation->key,
                            .session = operation->session,
                            .number = operation->number,
                            .ms = operation->ms,
                            .kind = operation->kind,
                            .outcome = OPERATION_PENDING,
                            .call_us = operation->call_us,
                            .return_us = UINT64_MAX};
    memcpy(o->value, operation->value, sizeof o->value);
    invariant(o->kind < OPERATION_KINDS && o->value[sizeof o->value - 1] == 0);
    return h->count++;
}

void history_return(struct history *h, size_t number, enum operation_outcome outcome, int64_t integer, const char *answer,
                    size_t len, uint64_t now_us)
{
    invariant(number < h->count && h->operations[number].outcome == OPERATION_PENDING && outcome != OPERATION_PENDING);
    struct operation *o = &h->operations[number];
    o->outcome = (uint8_t)outcome;
    if (outcome == OPERATION_UNKNOWN)
        return;
    o->return_us = now_us;
    if (outcome == OPERATION_REFUSED)
        return;
    o->integer = integer;
    o->nil = answer == NULL;
    if (answer == NULL)
        return;
    o->answer = arena_new(&h->answers, len + 1);
    memcpy(o->answer, answer, len);
    o->answer[len] = 0;
    o->answer_len = len;
}

size_t history_count(const struct history *h) { return h->count; }

const struct operation *history_get(const struct history *h, size_t number)
{
    invariant(number < h->count);
    return &h->operations[number];
}

/* ---- Judging ---- */

struct place {
    uint32_t key;
    uint64_t call_us;
    size_t number;
};

/* By key, then in the order of the calls. */
static int place_compare(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    if (a->call_us != b->call_us)
        return a->call_us < b->call_us ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static struct place *sorted_places(const struct history *h)
{
    struct place *places = memory_new(h->count, sizeof *places);
    for (size_t i = 0; i < h->count; i++)
        places[i] = (struct place){.key = h->operations[i].key, .call_us = h->operations[i].call_us, .number = i};
    qsort(places, h->count, sizeof *places, place_compare);
    return places;
}

/* The operations of a history, one key after the other. */
struct keys {
    const struct history *history;
    struct place *places;
    size_t next;
    const struct operation **operations; /* of the key */
    size_t count;
};

static struct keys keys_of(const struct history *h)
{
    return (struct keys){
        .history = h, .places = sorted_places(h), .operations = memory_new(h->count, sizeof(struct operation *))};
}

static void keys_close(struct keys *k)
{
    free(k->operations);
    free(k->places);
}

/* Goes to the next key. False: there is none. */
static bool next_key(struct keys *k)
{
    const size_t from = k->next;
    for (k->count = 0; k->next < k->history->count && k->places[k->next].key == k->places[from].key; k->next++)
        k->operations[k->count++] = &k->history->operations[k->places[k->next].number];
    return k->count > 0;
}

static bool is_lease(const struct keys *k)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->operations[i]->kind > OPERATION_OPEN)
            return true;
    return false;
}

bool history_check(const struct history *h, uint64_t steps_max, size_t *undecided, char *why, size_t why_size)
{
    struct keys keys = keys_of(h);
    struct judge *judge = judge_new();
    bool good = true;
    *undecided = 0;
    while (good && next_key(&keys)) {
        if (keys.operations[0]->key == 0 || is_lease(&keys))
            continue; /* sessions are opened; leases have a judge of their own */
        enum verdict verdict = judge_key(judge, keys.operations, keys.count, steps_max, why, why_size);
        *undecided += verdict == UNDECIDED ? 1 : 0;
        good = verdict != NOT_LINEARIZABLE;
    }
    judge_free(judge);
    keys_close(&keys);
    return good;
}

bool history_check_leases(const struct history *h, struct lease_clocks clocks, char *why, size_t why_size)
{
    struct keys keys = keys_of(h);
    bool good = true;
    while (good && next_key(&keys))
        good = !is_lease(&keys) || judge_lease(keys.operations, keys.count, clocks, why, why_size);
    keys_close(&keys);
    return good;
}

/* ---- Exporting ---- */

/* A string of JSON. Bytes that are not plain ASCII are written as code points. */
static void export_text(const char *text, size_t len, FILE *out)
{
    fputc('"', out);
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c >= ' ' && c < 127 && c != '"' && c != '\\')
            fputc(c, out);
        else
            fprintf(out, "\\u%04x", c);
    }
    fputc('"', out);
}

static void export_result(const struct operation *o, FILE *out)
{
    if (o->outcome != OPERATION_OK)
        fputs("null", out);
    else if (operation_sets(o->kind))
        fputs("\"OK\"", out);
    else if (o->kind != OPERATION_GET && o->kind != OPERATION_GETSET)
        fprintf(out, "%" PRId64, o->integer);
    else if (o->nil)
        fputs("null", out);
    else
        export_text(o->answer, o->answer_len, out);
}

void history_export(const struct history *h, FILE *out)
{
    static const char *const kinds[OPERATION_KINDS] = {"GET",    "SET",  "INCR",  "APPEND", "DEL",
                                                       "GETSET", "OPEN", "LEASE", "PTTL",   "PERSIST"};
    static const char *const outcomes[] = {"unknown", "ok", "refused", "unknown"}; /* by enum operation_outcome */
    for (size_t i = 0; i < h->count; i++) {
        const struct operation *o = &h->operations[i];
        bool writes = operation_sets(o->kind) || o->kind == OPERATION_APPEND || o->kind == OPERATION_GETSET;
        fprintf(out, "{\"client\": %" PRIu32 ", \"kind\": \"%s\", \"key\": \"k%" PRIu32 "\", \"value\": ", o->client,
                kinds[o->kind], o->key);
        if (writes)
            export_text(o->value, strlen(o->value), out);
        else
            fputs("null", out);
        fprintf(out, ", \"call\": %" PRIu64 ", \"return\": ", o->call_us);
        if (o->return_us == UINT64_MAX)
            fputs("null", out);
        else
            fprintf(out, "%" PRIu64, o->return_us);
        fprintf(out, ", \"outcome\": \"%s\", \"result\": ", outcomes[o->outcome]);
        export_result(o, out);
        fputs("}\n", out);
    }
}
