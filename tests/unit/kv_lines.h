/* Commands for the kv-store written as lines, and its replies as text. */
#ifndef SYNOD_TESTS_UNIT_KV_LINES_H
#define SYNOD_TESTS_UNIT_KV_LINES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/state/kv_store.h"

enum { TEXT_MAX = 64 * 1024, ARGS_MAX = 64 };

static inline struct bytes text(const char *s) { return (struct bytes){.ptr = (uint8_t *)(uintptr_t)s, .len = strlen(s)}; }

/* ---- Commands written as lines, replies as text ---- */

static inline size_t append(char *out, size_t at, const char *mark, struct bytes b)
{
    assert_true(at + strlen(mark) + b.len + 1 < TEXT_MAX);
    memcpy(out + at, mark, strlen(mark));
    at += strlen(mark);
    memcpy(out + at, b.ptr, b.len);
    out[at + b.len] = 0;
    return at + b.len;
}

static inline size_t append_scalar(char *out, size_t at, uint8_t tag, struct bytes bytes, int64_t integer)
{
    char number[32];
    switch (tag) {
    case REPLY_NIL:
        return append(out, at, "nil", text(""));
    case REPLY_STATUS:
        return append(out, at, "+", bytes);
    case REPLY_ERROR:
        return append(out, at, "-", bytes);
    case REPLY_BYTES:
        return append(out, at, "$", bytes);
    case REPLY_RAW:
        return append(out, at, "raw ", bytes);
    default:
        snprintf(number, sizeof number, ":%lld", (long long)integer);
        return append(out, at, number, text(""));
    }
}

static inline void print_reply(const struct reply *r, char *out)
{
    if (r->tag != REPLY_ARRAY) {
        append_scalar(out, 0, r->tag, r->tag == REPLY_INTEGER ? text("") : r->val.bytes, r->val.integer);
        return;
    }
    size_t at = append(out, 0, "[", text(""));
    for (size_t i = 0; i < r->val.array.len; i++) {
        const struct scalar *s = &r->val.array.ptr[i];
        if (i > 0)
            at = append(out, at, " ", text(""));
        at = append_scalar(out, at, s->tag, s->tag == REPLY_INTEGER ? text("") : s->val.bytes, s->val.integer);
    }
    append(out, at, "]", text(""));
}

struct line {
    char copy[TEXT_MAX];
    struct bytes args[ARGS_MAX];
    struct command command;
};

/* Splits at blanks; "" is an empty argument. */
static inline void split(struct line *l, const char *line)
{
    size_t count = 0;
    snprintf(l->copy, sizeof l->copy, "%s", line);
    char *save = NULL;
    for (char *word = strtok_r(l->copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        assert_true(count < ARGS_MAX);
        l->args[count++] = strcmp(word, "\"\"") == 0 ? text("") : text(word);
    }
    l->command.args = (struct bytes_list){.ptr = l->args, .len = count};
}

/* When commands are executed. */
static struct moment lines_now;

static inline const char *run(struct state_machine *m, const char *line)
{
    static char out[TEXT_MAX];
    struct line l;
    split(&l, line);
    struct reply_list replies = state_machine_apply(m, lines_now, &l.command, 1, REPLY_ROOM_ANY).replies;
    assert_int_equal(replies.len, 1);
    print_reply(&replies.ptr[0], out);
    return out;
}

static inline void expect(struct state_machine *m, const char *line, const char *reply)
{
    const char *got = run(m, line);
    if (strcmp(got, reply) != 0)
        fail_msg("%s: got %s, expected %s", line, got, reply);
}

struct step {
    const char *line;
    const char *reply;
};

static inline void expect_all(const struct step *steps, size_t count)
{
    struct state_machine *m = state_machine_new();
    for (size_t i = 0; i < count; i++)
        expect(m, steps[i].line, steps[i].reply);
    state_machine_free(m);
}
#define EXPECT_ALL(steps) expect_all(steps, sizeof(steps) / sizeof(steps)[0])

static inline struct reply apply_one(struct state_machine *m, struct bytes *args, size_t argc)
{
    return state_machine_apply(m, lines_now, &(struct command){{args, argc}}, 1, REPLY_ROOM_ANY).replies.ptr[0];
}

static inline void expect_error(struct state_machine *m, struct bytes *args, size_t argc, const char *begins)
{
    struct reply r = apply_one(m, args, argc);
    assert_int_equal(r.tag, REPLY_ERROR);
    assert_memory_equal(r.val.bytes.ptr, begins, strlen(begins));
}

#endif
