/* Clients and the nodes that a test plays for them: what the nodes hold they execute with the real kv-store, and answer how
 * and when the test likes. */
#ifndef SYNOD_TESTS_UNIT_CLIENTS_SIM_FIXTURE_H
#define SYNOD_TESTS_UNIT_CLIENTS_SIM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/formats/batch.h"
#include "core/runners/ports.h"
#include "core/state/state_machine.h"
#include "sim/clients.h"

enum { NODES = 3, SECOND = 1000000, STEPS_MAX = 200000 };

static const node_set all_nodes = 0xe;

/* A batch at a node. */
struct held {
    uint32_t node;
    uint64_t token, at; /* when it is answered */
    bool silent;        /* it will only be executed */
    bool reads;
    struct payload value;
};

enum cheat { HONEST, TWICE, DROPPED, OLD_STATE, REFUSED_AND_DONE, CHEATS };

/* Clients, and nodes that have one store together. */
struct fake {
    struct clients_options options;
    struct clients *clients;
    struct history *history;
    struct dice dice;
    uint64_t now;
    node_set up;
    uint32_t leader;
    struct state_machine *store;
    struct payload *log; /* all batches executed */
    size_t log_count, log_capacity;
    struct held *held;
    size_t held_count, held_capacity;
    struct batch_commands commands;
    struct batch_builder replies;
    uint64_t last_token;
    size_t largest;
    size_t reads, others; /* batches */
    enum cheat cheat;
    bool noticed; /* at once, by a reply that cannot be */
};

static inline struct clients_options options_of(uint32_t count, uint32_t pipeline_max)
{
    return (struct clients_options){.seed = 1,
                                    .count = count,
                                    .pipeline_max = pipeline_max,
                                    .think_us = 10000,
                                    .patience_us = SECOND,
                                    .keys = 8,
                                    .value_bytes_max = 100,
                                    .long_value_once_in = 6,
                                    .batch_commands_max = 10,
                                    .ports = all_nodes};
}

static inline void set_leader(struct fake *f, uint32_t leader)
{
    f->leader = leader;
    for (uint32_t node = 1; node <= NODES; node++)
        if (node_set_has(f->up, node))
            clients_leader(f->clients, node, leader);
}

/* All nodes are up; node 1 leads. */
static inline struct fake *fake_new(const struct clients_options *options)
{
    struct fake *f = memory_new(1, sizeof *f);
    f->options = *options;
    f->history = f->options.history = history_new();
    f->clients = clients_new(&f->options);
    f->dice = dice_new(options->seed, 99);
    f->store = state_machine_new();
    f->up = all_nodes;
    for (uint32_t node = 1; node <= NODES; node++)
        clients_node_up(f->clients, node, 0);
    set_leader(f, 1);
    return f;
}

static inline void fake_free(struct fake *f)
{
    for (size_t i = 0; i < f->log_count; i++)
        payload_free(&f->log[i]);
    for (size_t i = 0; i < f->held_count; i++)
        payload_free(&f->held[i].value);
    free(f->log);
    free(f->held);
    batch_commands_free(&f->commands);
    batch_builder_free(&f->replies);
    state_machine_free(f->store);
    clients_free(f->clients);
    history_free(f->history);
    free(f);
}

/* ---- What the nodes do ---- */

static inline bool is_text(const struct bytes *bytes, const char *text)
{
    return bytes->len == strlen(text) && memcmp(bytes->ptr, text, bytes->len) == 0;
}

/* A batch is what it says it is: of the right size, and marked by its token. */
static inline void check_batch(struct fake *f, const struct packet *p)
{
    char mark[32];
    struct payload value = {.words = p->words, .len = p->len};
    assert_true(batch_commands_read(&f->commands, &value));
    const uint32_t kind = p->kind & ~CLIENT_READS;
    assert_int_equal(f->commands.count, kind);
    assert_true(kind > 1 && kind <= f->options.batch_commands_max + 1);
    f->reads += kind != p->kind;
    f->others += kind == p->kind;
    const struct bytes_list *args = &f->commands.commands[0].args;
    snprintf(mark, sizeof mark, "t%llu", (unsigned long long)p->id);
    const bool reads = kind != p->kind;
    assert_true(args->len == (reads ? 2 : 3) && is_text(&args->ptr[0], reads ? "GET" : "PUBLISH"));
    assert_true(is_text(&args->ptr[1], mark) && (reads || is_text(&args->ptr[2], mark)));
    assert_true(p->id > f->last_token);
    f->last_token = p->id;
    for (size_t i = 1; i < f->commands.count; i++) {
        args = &f->commands.commands[i].args;
        assert_true(kind == p->kind || is_text(&args->ptr[0], "GET"));
        f->largest = args->len == 3 && args->ptr[2].len > f->largest ? args->ptr[2].len : f->largest;
    }
}

static inline size_t receive_each(struct fake *f, uint32_t node, struct credit credit)
{
    struct packet_list list = clients_receive(f->clients, node, credit, f->now);
    assert_true(list.len <= credit.commands + credit.reads);
    for (size_t i = 0; i < list.len; i++) {
        const struct packet *p = &list.ptr[i];
        struct payload value = {.words = p->words, .len = p->len};
        check_batch(f, p);
        f->held = memory_reserve(f->held, &f->held_capacity, f->held_count + 1, sizeof *f->held);
        f->held[f->held_count++] = (struct held){.node = node,
                                                 .token = p->id,
                                                 .at = f->now + dice_range(&f->dice, 200, 3000),
                                                 .reads = (p->kind & CLIENT_READS) != 0,
                                                 .value = payload_copy(&value)};
    }
    return list.len;
}

/* So many batches of each kind. */
static inline size_t receive(struct fake *f, uint32_t node, uint32_t credit)
{
    return receive_each(f, node, (struct credit){credit, credit});
}

/* The reply to a batch's first command: to the key of its mark, or to what it publishes. */
static inline struct reply mark_reply(bool reads) { return (struct reply){.tag = reads ? REPLY_NIL : REPLY_INTEGER}; }

static inline struct payload run_batch(struct fake *f, struct state_machine *store, const struct payload *value)
{
    assert_true(batch_commands_read(&f->commands, value));
    replies_begin(&f->replies);
    const struct reply mark = mark_reply(is_text(&f->commands.commands[0].args.ptr[0], "GET"));
    replies_add(&f->replies, &mark);
    for (size_t done = 1; done < f->commands.count;) {
        struct reply_list list =
            state_machine_apply(store, MOMENT_ZERO, f->commands.commands + done, f->commands.count - done, REPLY_ROOM_ANY)
                .replies;
        for (size_t i = 0; i < list.len; i++)
            replies_add(&f->replies, &list.ptr[i]);
        done += list.len;
    }
    return replies_end(&f->replies);
}

static inline struct payload execute(struct fake *f, const struct payload *value)
{
    f->log = memory_reserve(f->log, &f->log_capacity, f->log_count + 1, sizeof *f->log);
    f->log[f->log_count++] = payload_copy(value);
    return run_batch(f, f->store, value);
}

/* The replies that a node gives which has not heard of the last batches. */
static inline struct payload execute_late(struct fake *f, const struct payload *value, size_t unheard)
{
    struct state_machine *store = state_machine_new();
    for (size_t i = 0; i + unheard < f->log_count; i++)
        run_batch(f, store, &f->log[i]);
    struct payload replies = run_batch(f, store, value);
    state_machine_free(store);
    return replies;
}

static inline bool answer(struct fake *f, const struct held *h, uint8_t outcome, const struct payload *replies)
{
    struct packet p = {.id = h->token, .kind = outcome | f->leader << 8};
    if (replies != NULL) {
        p.len = replies->len;
        p.words = replies->words;
    }
    return clients_reply(f->clients, h->node, &p, 1, f->now);
}

/* Takes the first batch that is held; the caller frees its value. */
static inline struct held take(struct fake *f, size_t index)
{
    assert_true(index < f->held_count);
    struct held h = f->held[index];
    f->held_count--;
    memmove(f->held + index, f->held + index + 1, (f->held_count - index) * sizeof h);
    return h;
}

static inline bool answer_first(struct fake *f, uint8_t outcome)
{
    struct held h = take(f, 0);
    struct payload replies = {0};
    if (outcome == OUTCOME_EXECUTED)
        replies = execute(f, &h.value);
    bool fits = answer(f, &h, outcome, outcome == OUTCOME_EXECUTED ? &replies : NULL);
    payload_free(&h.value);
    return fits;
}

static inline bool reply_with(struct fake *f, const struct held *h, const struct reply *list, size_t count)
{
    struct payload replies = replies_pack(&f->replies, list, count);
    return answer(f, h, OUTCOME_EXECUTED, &replies);
}

static inline struct reply text_reply(uint8_t tag, const char *text)
{
    return (struct reply){.tag = tag, .val.bytes = {(uint8_t *)(uintptr_t)text, strlen(text)}};
}

/* A reply that no operation of this kind has, and one that it may have. */
static inline struct reply wrong_reply(uint8_t kind)
{
    switch (kind) {
    case OPERATION_SET:
        return text_reply(REPLY_STATUS, "KO");
    case OPERATION_GET:
    case OPERATION_GETSET:
        return (struct reply){.tag = REPLY_INTEGER, .val.integer = 1};
    default:
        return text_reply(REPLY_ERROR, "ERR value is not an integer or out of range");
    }
}

static inline struct reply right_reply(uint8_t kind)
{
    struct reply r = {.tag = REPLY_NIL};
    if (kind == OPERATION_SET)
        return text_reply(REPLY_STATUS, "OK");
    if (kind != OPERATION_GET && kind != OPERATION_GETSET)
        r.tag = REPLY_INTEGER;
    return r;
}

#endif
