/* core/state/kv_events.c: what happens to keys, by the names of Redis 7. */
#include "tests/unit/kv_lines.h"

/* What a command says has happened: class, key and name of each event; those of time have a T before them. */
static const char *events_of(struct state_machine *m, const char *line)
{
    static char out[TEXT_MAX];
    struct line l;
    split(&l, line);
    const struct applied done = state_machine_apply(m, lines_now, &l.command, l.command.args.len > 0, REPLY_ROOM_ANY);
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < done.events.len; i++) {
        const struct key_event *e = &done.events.ptr[i];
        assert_true(e->command == 0 || e->command == KEY_EVENT_OF_TIME);
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%s%c %.*s %.*s", i > 0 ? ", " : "", e->command == 0 ? "" : "T",
                               e->kind, (int)e->key.len, (const char *)e->key.ptr, (int)e->name.len,
                               (const char *)e->name.ptr);
    }
    return out;
}

static void each_command(void **state)
{
    static const char *const steps[][2] = {
        {"SET a 1", "n a new, $ a set"},
        {"SET a 1 EX 10", "$ a set, g a expire"},
        {"SET a 2 NX", ""},
        {"SET a", ""},
        {"GET a", ""},
        {"SETNX a 1", ""},
        {"SETNX b 1", "n b new, $ b set"},
        {"GETSET b 2", "$ b set"},
        {"SETEX b 10 1", "$ b set, g b expire"},
        {"GETDEL b", "g b del"},
        {"GETDEL b", ""},
        {"MSET a 1 b 1 a 2", "$ a set, n b new, $ b set, $ a set"},
        {"MSETNX a 1 c 1", ""},
        {"APPEND a x", "$ a append"},
        {"INCR a", ""},
        {"INCR c", "n c new, $ c incrby"},
        {"DECRBY c 2", "$ c incrby"},
        {"INCRBYFLOAT c 1.5", "$ c incrbyfloat"},
        {"SETRANGE d 2 x", "n d new, $ d setrange"},
        {"SETBIT e 7 1", "n e new, $ e setbit"},
        {"BITOP AND f a b", "n f new, $ f set"},
        {"BITOP AND f x y", "g f del"},
        {"BITOP AND f x y", ""},
        {"DEL a none b", "g a del, g b del"},
        {"RENAME c g", "n g new, g c rename_from, g g rename_to"},
        {"RENAME g g", ""},
        {"RENAMENX g d", ""},
        {"COPY g h", "n h new, g h copy_to"},
        {"COPY g h", ""},
        {"COPY g h REPLACE", "n h new, g h copy_to"},
        {"EXPIRE h 10", "g h expire"},
        {"EXPIRE h 10 NX", ""},
        {"EXPIRE none 10", ""},
        {"PERSIST h", "g h persist"},
        {"PERSIST h", ""},
        {"GETEX h EX 10", "g h expire"},
        {"GETEX h PERSIST", "g h persist"},
        {"GETEX h", ""},
        {"GETEX h PXAT 1", "g h del"},
        {"EXPIRE g -1", "g g del"},
        {"SET g 1 EXAT 1", "n g new, $ g set, g g expire, x g expired"},
        {"DELEX d IFEQ none", ""},
        {"DELEX d", "g d del"},
        {"FLUSHALL", ""},
    };
    (void)state;
    struct state_machine *m = state_machine_new();
    lines_now = (struct moment){0, 1000000000};
    assert_string_equal(events_of(m, "SET before 1"), "");
    assert_true(state_machine_tell_events(m, true));
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (strcmp(events_of(m, steps[i][0]), steps[i][1]) != 0)
            fail_msg("%s: %s", steps[i][0], events_of(m, steps[i][0]));
    state_machine_tell_events(m, false);
    assert_string_equal(events_of(m, "SET after 1"), "");
    state_machine_free(m);
}

/* A key that has ended leaves before what is executed next, and is a new one then. */
static void keys_that_end(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new();
    struct line l;
    state_machine_tell_events(m, true);
    lines_now = (struct moment){0, 1000000000};
    events_of(m, "SET a 1 PX 10");
    events_of(m, "SET b 1 PX 20");
    lines_now.elapsed = 11;
    split(&l, "GET a");
    assert_int_equal(state_machine_query(m, lines_now, &l.command, 1, REPLY_ROOM_ANY).events.len, 0);
    assert_string_equal(events_of(m, ""), "Tx a expired");
    lines_now.elapsed = 21;
    assert_string_equal(events_of(m, "INCR b"), "Tx b expired, n b new, $ b incrby");
    assert_string_equal(events_of(m, ""), "");
    for (int i = 0; i < 20; i++) { /* more than leave before one command */
        char line[32];
        snprintf(line, sizeof line, "SET key%d 1 PX 10", i);
        events_of(m, line);
    }
    lines_now.elapsed = 100;
    size_t ended = 0;
    for (const char *at = events_of(m, "SET key19 2"); (at = strchr(at, 'T')) != NULL; at++)
        ended++;
    assert_true(ended == 4 || ended == 5); /* this key, too */
    state_machine_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_command), cmocka_unit_test(keys_that_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
