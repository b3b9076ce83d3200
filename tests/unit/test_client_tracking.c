/* io/client_tracking.c: CLIENT TRACKING at a real port. The test says what the node has executed. */
#include "tests/unit/client_node.h"

#define HELLO_3 "HELLO 3\r\n"

static int dial_3(struct node *n)
{
    char byte, last[4] = "";
    int fd = dial(n);
    say(n, fd, HELLO_3);
    while (memcmp(last, "*0\r\n", 4) != 0) { /* the end of its reply: no modules */
        assert_int_equal(receive(n, fd, &byte, 1), 1);
        memmove(last, last + 1, 3);
        last[3] = byte;
    }
    return fd;
}

static struct bytes text(const char *t) { return (struct bytes){(uint8_t *)(uintptr_t)t, strlen(t)}; }

static void changed(struct node *n, const char *key)
{
    if ((n->watch & WATCH_KEYS) == 0)
        return;
    if (key != NULL)
        notices_add(&n->notices, &(struct notice){.kind = NOTICE_CHANGED, .channel = text(key)});
    else
        notices_add(&n->notices, &(struct notice){.kind = NOTICE_ALL_CHANGED});
    send_notices(n);
}

#define INVALID(len, key) ">2\r\n$10\r\ninvalidate\r\n*1\r\n$" len "\r\n" key "\r\n"

/* What was read is told once. */
static void a_key_that_was_read(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial_3(n), other = dial_3(n);
    ask(n, fd, "GET before\r\nCLIENT TRACKING ON\r\nGET a\r\nMGET b c\r\nSET d 1\r\n",
        "_\r\n+OK\r\n_\r\n*2\r\n_\r\n_\r\n+OK\r\n");
    ask(n, other, "CLIENT TRACKING ON\r\nGET a\r\n", "+OK\r\n_\r\n");
    assert_int_equal(n->watch, WATCH_KEYS);
    changed(n, "before");
    changed(n, "d");
    changed(n, "a");
    changed(n, "c");
    changed(n, "a");
    hear(n, fd, INVALID("1", "a") INVALID("1", "c"));
    hear(n, other, INVALID("1", "a"));
    ask(n, fd, "GET a\r\n", "_\r\n");
    changed(n, "a");
    hear(n, fd, INVALID("1", "a"));
    changed(n, NULL);
    hear(n, fd, ">2\r\n$10\r\ninvalidate\r\n_\r\n");
    changed(n, "b");
    ask(n, fd, "CLIENT TRACKING OFF\r\nGET b\r\n", "+OK\r\n_\r\n");
    changed(n, "b");
    ask(n, other, "RESET\r\n", ">2\r\n$10\r\ninvalidate\r\n_\r\n+RESET\r\n");
    turn(n);
    assert_int_equal(n->watch, 0);
    close(fd);
    close(other);
    node_stop(n);
}

/* A read that has no reply yet may be answered by a state from before the change: the client hears of it afterwards. */
static void a_change_meanwhile(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial_3(n);
    ask(n, fd, "CLIENT TRACKING ON\r\nGET a\r\n", "+OK\r\n_\r\n");
    n->answers = false;
    say(n, fd, "GET a\r\nPING\r\n");
    for (uint64_t until = deadline(); n->taken_count == 0; check_deadline(until)) {
        turn(n);
        take(n, 1);
    }
    changed(n, "a");
    changed(n, "a");
    changed(n, NULL);
    answer(n, 0);
    hear(n, fd, ">2\r\n$10\r\ninvalidate\r\n_\r\n_\r\n" INVALID("1", "a") "+PONG\r\n");
    say(n, fd, "GET a\r\n");
    for (uint64_t until = deadline(); n->taken_count == 0; check_deadline(until)) {
        turn(n);
        take(n, 1);
    }
    changed(n, NULL);
    answer(n, 0);
    hear(n, fd, ">2\r\n$10\r\ninvalidate\r\n_\r\n_\r\n" INVALID("1", "a"));
    n->answers = true;
    changed(n, "a");
    ask(n, fd, "PING\r\n", "+PONG\r\n");
    close(fd);
    node_stop(n);
}

static void take_one(struct node *n, size_t count)
{
    for (uint64_t until = deadline(); n->taken_count < count; check_deadline(until)) {
        turn(n);
        take(n, 1);
    }
}

static void changed_by(struct node *n, size_t taken, size_t index, const char *key)
{
    set_cause(n, &n->taken[taken], index);
    changed(n, key);
}

/* What a connection has changed itself it hears after the reply to that. */
static void an_own_change(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial_3(n), all = dial_3(n), ear = dial(n);
    ask(n, ear, "SUBSCRIBE __redis__:invalidate\r\n", "*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n");
    ask(n, fd, "CLIENT TRACKING ON\r\nMGET a b c\r\n", "+OK\r\n*3\r\n_\r\n_\r\n_\r\n");
    ask(n, all, "CLIENT TRACKING ON BCAST\r\n", "+OK\r\n");
    n->answers = false;
    say(n, fd, "SET a 1\r\nDEL b\r\nFLUSHALL\r\nPING\r\n");
    take_one(n, 1);
    say(n, all, "SET d 1\r\n");
    take_one(n, 2);
    changed_by(n, 0, 1, "b");
    changed_by(n, 1, 0, "c");
    hear(n, fd, INVALID("1", "c"));
    hear(n, all, INVALID("1", "b"));
    changed_by(n, 0, 0, "a");
    changed_by(n, 0, 2, NULL);
    hear(n, all, INVALID("1", "a") ">2\r\n$10\r\ninvalidate\r\n_\r\n");
    answer(n, 0);
    hear(n, fd, "+OK\r\n" INVALID("1", "a") ":0\r\n" INVALID("1", "b") "+OK\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n+PONG\r\n");
    answer(n, 0);
    hear(n, all, "+OK\r\n" INVALID("1", "c"));
    n->answers = true;
    ask(n, fd, "CLIENT TRACKING OFF\r\nCLIENT TRACKING ON REDIRECT 3\r\nGET e\r\n", "+OK\r\n+OK\r\n_\r\n");
    n->answers = false;
    say(n, fd, "SET e 1\r\nPING\r\n");
    take_one(n, 1);
    changed_by(n, 0, 0, "e");
    answer(n, 0);
    hear(n, fd, "+OK\r\n+PONG\r\n");
    hear(n, ear, "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\ne\r\n");
    close(fd);
    close(all);
    close(ear);
    node_stop(n);
}

/* With NOLOOP it does not hear of it, and hears of what others do to the same key, before and after. */
static void no_loop(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial_3(n), all = dial_3(n), other = dial_3(n);
    ask(n, fd, "CLIENT TRACKING ON NOLOOP\r\nMGET a b\r\n", "+OK\r\n*2\r\n_\r\n_\r\n");
    ask(n, all, "CLIENT TRACKING ON BCAST NOLOOP\r\n", "+OK\r\n");
    n->answers = false;
    say(n, other, "PING\r\nSET b 1\r\n");
    say(n, fd, "SET a 1\r\n");
    for (uint64_t until = deadline(); n->taken_count == 0 || n->taken[0].count < 2; check_deadline(until)) {
        assert_int_equal(n->taken_count, 0);
        uv_run(&n->loop, UV_RUN_NOWAIT);
        if (client_server_statistics(n->server).commands == 3) /* both are in one batch */
            take(n, 1);
    }
    const size_t first = payload_bytes(&n->taken[0].value)[BATCH_HEADER_SIZE + 4 + 4 * 3 + 3] == 'b' ? 1 : 0;
    changed_by(n, 0, first, "a");
    changed_by(n, 0, 1 - first, "b");
    answer(n, 0);
    hear(n, fd, INVALID("1", "b") "+OK\r\n");
    hear(n, all, INVALID("1", "a") INVALID("1", "b"));
    hear(n, other, "+PONG\r\n+OK\r\n");
    changed(n, "a"); /* what it has written itself it still keeps */
    hear(n, fd, INVALID("1", "a"));
    hear(n, all, INVALID("1", "a"));
    say(n, all, "SET a 2\r\n");
    take_one(n, 1);
    changed_by(n, 0, 0, "a");
    changed(n, "b");
    answer(n, 0);
    hear(n, all, INVALID("1", "b") "+OK\r\n");
    close(fd);
    close(all);
    close(other);
    node_stop(n);
}

/* Keys of a step that begin with one prefix are told together. */
static void prefixes(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial_3(n), other = dial_3(n);
    ask(n, fd, "CLIENT TRACKING ON BCAST PREFIX a PREFIX bc\r\nCLIENT TRACKING ON BCAST PREFIX d\r\n", "+OK\r\n+OK\r\n");
    ask(n, other, "CLIENT TRACKING ON BCAST PREFIX a1\r\nGET x\r\n", "+OK\r\n_\r\n");
    static const char *const keys[] = {"a1", "bc", "b", "a2", "d", "c"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        notices_add(&n->notices, &(struct notice){.kind = NOTICE_CHANGED, .channel = text(keys[i])});
    send_notices(n);
    hear(n, fd, INVALID("1", "d") INVALID("2", "bc") ">2\r\n$10\r\ninvalidate\r\n*2\r\n$2\r\na1\r\n$2\r\na2\r\n");
    hear(n, other, INVALID("2", "a1"));
    close(other);
    for (uint64_t until = deadline(); client_server_statistics(n->server).connections > 1; check_deadline(until))
        turn(n);
    ask(n, fd, "CLIENT TRACKING OFF\r\nCLIENT TRACKING ON BCAST PREFIX a PREFIX b\r\n", "+OK\r\n+OK\r\n");
    changed(n, "d");
    changed(n, "a1");
    hear(n, fd, INVALID("2", "a1"));
    n->answers = false;
    say(n, fd, "MSET a1 1 b2 2\r\n");
    take_one(n, 1);
    set_cause(n, &n->taken[0], 0);
    notices_add(&n->notices, &(struct notice){.kind = NOTICE_CHANGED, .channel = text("a1")});
    changed(n, "b2");
    answer(n, 0);
    hear(n, fd, "+OK\r\n" INVALID("2", "b2") INVALID("2", "a1"));
    close(fd);
    node_stop(n);
}

/* The same where a later read of the key has no reply either: it stays remembered. */
static void a_later_read_is_remembered(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial_3(n);
    ask(n, fd, "CLIENT TRACKING ON\r\nGET a\r\nGET a\r\n", "+OK\r\n_\r\n_\r\n");
    n->answers = false;
    say(n, fd, "GET a\r\n");
    for (uint64_t until = deadline(); n->taken_count == 0; check_deadline(until)) {
        turn(n);
        take(n, 1);
    }
    changed(n, "a");
    say(n, fd, "GET a\r\n");
    for (uint64_t until = deadline(); n->taken_count == 1; check_deadline(until)) {
        turn(n);
        take(n, 1);
    }
    answer(n, 0);
    hear(n, fd, "_\r\n" INVALID("1", "a"));
    answer(n, 0);
    hear(n, fd, "_\r\n");
    n->answers = true;
    changed(n, "a");
    hear(n, fd, INVALID("1", "a"));
    close(fd);
    node_stop(n);
}

static void what_is_read_in_sessions_and_transactions(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial_3(n);
    ask(n, fd, "CLIENT TRACKING ON\r\nMULTI\r\nGET a\r\nSET b 1\r\nMGET c d\r\nEXEC\r\n",
        "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n_\r\n+OK\r\n*2\r\n_\r\n_\r\n");
    changed(n, "b");
    changed(n, "d");
    hear(n, fd, INVALID("1", "d"));
    close(fd);
    node_stop(n);
}

static void only_what_the_client_wants(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial_3(n), out = dial_3(n), all = dial_3(n);
    ask(n, fd, "CLIENT TRACKING ON OPTIN\r\nGET a\r\nCLIENT CACHING YES\r\nGET b\r\nGET c\r\n",
        "+OK\r\n_\r\n+OK\r\n_\r\n_\r\n");
    ask(n, out, "CLIENT TRACKING ON OPTOUT\r\nGET a\r\nCLIENT CACHING NO\r\nGET b\r\nGET c\r\n",
        "+OK\r\n_\r\n+OK\r\n_\r\n_\r\n");
    ask(n, fd, "CLIENT CACHING YES\r\nPING\r\nGET a\r\nCLIENT CACHING YES\r\nMULTI\r\nGET c\r\nEXEC\r\n",
        "+OK\r\n+PONG\r\n_\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n_\r\n");
    ask(n, all, "CLIENT TRACKING ON BCAST PREFIX a PREFIX bc\r\n", "+OK\r\n");
    changed(n, "a");
    changed(n, "b");
    changed(n, "c");
    changed(n, "bcd");
    hear(n, fd, INVALID("1", "b") INVALID("1", "c"));
    hear(n, out, INVALID("1", "a") INVALID("1", "c"));
    hear(n, all, INVALID("1", "a") INVALID("3", "bcd"));
    close(fd);
    close(out);
    close(all);
    node_stop(n);
}

static void another_connection_hears_it(void **state)
{
    (void)state;
    struct node *n = node_start();
    int ear = dial(n), fd = dial(n);
    ask(n, ear, "CLIENT ID\r\nSUBSCRIBE __redis__:invalidate\r\n",
        ":1\r\n*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n");
    ask(n, fd, "CLIENT TRACKING ON REDIRECT 99\r\nCLIENT TRACKING ON REDIRECT 1\r\nCLIENT GETREDIR\r\nGET a\r\n",
        "-ERR The client ID you want redirect to does not exist\r\n+OK\r\n:1\r\n$-1\r\n");
    changed(n, "a");
    hear(n, ear, "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\na\r\n");
    changed(n, NULL);
    hear(n, ear, "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n");
    close(ear);
    for (uint64_t until = deadline(); client_server_statistics(n->server).connections > 1; check_deadline(until))
        turn(n);
    changed(n, NULL);
    char *info = ask_text(n, fd, "CLIENT INFO\r\n");
    assert_non_null(strstr(info, "flags=t"));
    free(info);
    ask(n, fd, "CLIENT TRACKINGINFO\r\n",
        "*6\r\n$5\r\nflags\r\n*2\r\n$2\r\non\r\n$15\r\nbroken_redirect\r\n$8\r\nredirect\r\n:1\r\n$8\r\nprefixes\r\n*0\r\n");
    close(fd);
    node_stop(n);
}

/* A connection that ends hears nothing any more, and the one that sent its changes there is told so. */
static void another_connection_that_ends(void **state)
{
    (void)state;
    struct node *n = node_start();
    int ear = dial_3(n), fd = dial_3(n);
    ask(n, fd, "CLIENT TRACKING ON REDIRECT 1\r\nGET a\r\n", "+OK\r\n_\r\n");
    n->answers = false;
    say(n, ear, "GET x\r\nQUIT\r\nPING\r\n");
    take_one(n, 1);
    changed(n, "a");
    hear(n, fd, ">2\r\n$21\r\ntracking-redir-broken\r\n:1\r\n");
    answer(n, 0);
    hear(n, ear, "_\r\n+OK\r\n");
    hear_end(n, ear);
    close(fd);
    node_stop(n);
}

/* What cannot be told counts as a change of all keys. */
static void another_life_of_the_node(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial_3(n);
    ask(n, fd, "CLIENT TRACKING ON\r\nGET a\r\n", "+OK\r\n_\r\n");
    client_server_lost(n->server);
    hear(n, fd, ">2\r\n$10\r\ninvalidate\r\n_\r\n");
    ask(n, fd, "GET a\r\n", "_\r\n");
    notices_add(&n->notices, &(struct notice){.kind = NOTICE_MISSED});
    send_notices(n);
    hear(n, fd, ">2\r\n$10\r\ninvalidate\r\n_\r\n");
    assert_int_equal(n->told, 2);
    close(fd);
    node_stop(n);
}

/* The key read first makes room, and is told as if it had changed. */
static void the_table_is_bounded(void **state)
{
    (void)state;
    enum { KEYS = 40, LEN = 100 };
    struct node *n = node_new();
    n->config.client_bytes_all_max = 16000; /* a quarter of it is for keys that are tracked */
    node_open(n);
    int fd = dial_3(n);
    char get[LEN + 64], wanted[LEN + 128];
    ask(n, fd, "CLIENT TRACKING ON\r\n", "+OK\r\n");
    size_t told = 0;
    for (int i = 0; i < KEYS; i++) {
        snprintf(get, sizeof get, "GET %0*d\r\n", LEN, i);
        say(n, fd, get);
        assert_int_equal(receive(n, fd, wanted, 1), 1);
        if (wanted[0] == '>') { /* it comes before the reply to the read that needs the room */
            snprintf(wanted, sizeof wanted, "2\r\n$10\r\ninvalidate\r\n*1\r\n$%d\r\n%0*d\r\n", LEN, LEN, (int)told++);
            hear(n, fd, wanted);
            hear(n, fd, "_");
        }
        hear(n, fd, "\r\n");
    }
    assert_true(told > 10 && told < KEYS);
    snprintf(get, sizeof get, "%0*d", LEN, KEYS - 1);
    changed(n, get);
    snprintf(wanted, sizeof wanted, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$%d\r\n%s\r\n", LEN, get);
    hear(n, fd, wanted);
    close(fd);
    node_stop(n);
}

/* As many keys as was said; the client that hears of those that go is another one than the one that says so. */
static void the_number_of_keys_is_bounded(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial_3(n), other = dial_3(n);
    ask(n, fd, "CLIENT TRACKING ON\r\nMGET a b c a\r\n", "+OK\r\n*4\r\n_\r\n_\r\n_\r\n_\r\n");
    ask(n, other, "CONFIG SET tracking-table-max-keys 2\r\n", "+OK\r\n");
    hear(n, fd, INVALID("1", "a"));
    ask(n, fd, "GET b\r\nGET d\r\n", "_\r\n" INVALID("1", "b") "_\r\n");
    changed(n, "a");
    changed(n, "b");
    changed(n, "c");
    changed(n, "d");
    hear(n, fd, INVALID("1", "c") INVALID("1", "d"));
    ask(n, other, "CONFIG SET tracking-table-max-keys x\r\nCONFIG GET tracking*\r\n",
        "-ERR CONFIG SET failed (possibly related to argument 'tracking-table-max-keys') - argument couldn't be parsed into an "
        "integer\r\n%1\r\n$23\r\ntracking-table-max-keys\r\n$1\r\n2\r\n");
    close(fd);
    close(other);
    node_stop(n);
}

static void what_contradicts_itself(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n);
    ask(n, fd, "CLIENT TRACKING ON PREFIX a\r\nCLIENT TRACKING ON OPTIN OPTOUT\r\nCLIENT TRACKING ON BCAST OPTIN\r\n",
        "-ERR PREFIX option requires BCAST mode to be enabled\r\n-ERR You can't specify both OPTIN mode and OPTOUT mode\r\n"
        "-ERR OPTIN and OPTOUT are not compatible with BCAST\r\n");
    ask(n, fd, "CLIENT TRACKING ON BCAST PREFIX ab PREFIX a\r\nCLIENT TRACKING ON BCAST PREFIX a\r\n",
        "-ERR Prefix 'ab' overlaps with another provided prefix 'a'. Prefixes for a single client must not overlap.\r\n+OK\r\n");
    ask(n, fd, "CLIENT TRACKING ON BCAST PREFIX b PREFIX ab\r\n",
        "-ERR Prefix 'ab' overlaps with an existing prefix 'a'. Prefixes for a single client must not overlap.\r\n");
    ask(n, fd, "CLIENT CACHING YES\r\nCLIENT CACHING NO\r\nCLIENT CACHING x\r\nCLIENT TRACKING maybe\r\n",
        "-ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.\r\n"
        "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.\r\n-ERR syntax error\r\n-ERR syntax error\r\n");
    close(fd);
    node_stop(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_was_read),
        cmocka_unit_test(a_change_meanwhile),
        cmocka_unit_test(an_own_change),
        cmocka_unit_test(no_loop),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(another_connection_that_ends),
        cmocka_unit_test(a_later_read_is_remembered),
        cmocka_unit_test(what_is_read_in_sessions_and_transactions),
        cmocka_unit_test(only_what_the_client_wants),
        cmocka_unit_test(another_connection_hears_it),
        cmocka_unit_test(another_life_of_the_node),
        cmocka_unit_test(the_table_is_bounded),
        cmocka_unit_test(what_contradicts_itself),
        cmocka_unit_test(the_number_of_keys_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
