/* io/client_wait.c: WAIT at a real port. */
#include "tests/unit/client_node.h"

enum { NUMBERS_MAX = 4 };

/* Waits until the port has asked how far learners are. */
static void await_question(struct node *n)
{
    for (uint64_t until = deadline(); n->taken_count == 0 || n->taken[n->taken_count - 1].count != 0;
         check_deadline(until)) {
        turn(n);
        take(n, 0);
    }
    struct batch_commands words = {0};
    assert_true(batch_commands_read(&words, &n->taken[n->taken_count - 1].value) && words.count == 1);
    assert_int_equal(words.commands[0].args.len, 1);
    assert_memory_equal(words.commands[0].args.ptr[0].ptr, "HELD", 4);
    batch_commands_free(&words);
}

static void answer_with(struct node *n, const struct reply *reply)
{
    struct batch_builder builder = {0};
    struct taken t = untake(n, n->taken_count - 1);
    const struct payload packed = replies_pack(&builder, reply, 1);
    struct packet p = {.id = t.token, .kind = OUTCOME_EXECUTED, .len = packed.len, .words = packed.words};
    client_server_reply(n->server, &p, 1);
    batch_builder_free(&builder);
    payload_free(&t.value);
}

/* Answers: executed before the first number, held before each of the others; 0 ends them. */
static void answer_question(struct node *n, const int64_t numbers[NUMBERS_MAX])
{
    struct scalar scalars[NUMBERS_MAX];
    size_t count = 0;
    await_question(n);
    for (; count < NUMBERS_MAX && numbers[count] != 0; count++)
        scalars[count] = (struct scalar){.tag = REPLY_INTEGER, .val.integer = numbers[count]};
    const struct reply reply = {.tag = REPLY_ARRAY, .val.array = {scalars, count}};
    answer_with(n, &reply);
}
#define ANSWER(...) answer_question(n, (const int64_t[NUMBERS_MAX]){__VA_ARGS__})

static struct node *start(void)
{
    struct node *n = node_start();
    n->answers = false;
    return n;
}

static void others_hold_what_was_executed(void **state)
{
    (void)state;
    struct node *n = start();
    int fd = dial(n);
    say(n, fd, "WAIT 2 0\r\nPING\r\n");
    ANSWER(10, 10, 9);
    ANSWER(20, 10, 9); /* what others have written meanwhile is not waited for */
    ANSWER(20, 10, 9);
    expect_silence(n, fd);
    ANSWER(20, 10, 10);
    hear(n, fd, ":2\r\n+PONG\r\n");
    say(n, fd, "WAIT 0 0\r\n");
    ANSWER(20, 20, 1);
    hear(n, fd, ":1\r\n");
    ask(n, fd, "WAIT x 1\r\nWAIT 1 x\r\nWAIT 1 -1\r\nMULTI\r\nWAIT 1 1\r\nDISCARD\r\n",
        "-ERR value is not an integer or out of range\r\n-ERR timeout is not an integer or out of range\r\n"
        "-ERR timeout is negative\r\n+OK\r\n-ERR Command not allowed inside a transaction\r\n+OK\r\n");
    close(fd);
    node_stop(n);
}

/* What the connection has sent before may be in a later slot than the learner had executed when it was asked. */
static void earlier_commands_are_answered_first(void **state)
{
    (void)state;
    struct node *n = start();
    int fd = dial(n);
    say(n, fd, "SET x 1\r\nWAIT 1 0\r\n");
    await_commands(n, 1);
    take(n, 1);
    ANSWER(5, 5);
    await_question(n);
    answer(n, 0);
    hear(n, fd, "+OK\r\n");
    ANSWER(7, 6);
    expect_silence(n, fd);
    ANSWER(7, 7);
    hear(n, fd, ":1\r\n");
    close(fd);
    node_stop(n);
}

static void it_ends_in_time(void **state)
{
    (void)state;
    struct node *n = start();
    int fd = dial(n), other = dial(n);
    ask(n, fd, "WAIT 2 20\r\n", ":0\r\n"); /* though the node says nothing */
    ANSWER(5, 5);
    say(n, fd, "WAIT 2 50\r\n");
    ANSWER(5, 5, 4);
    hear(n, fd, ":1\r\n");
    say(n, fd, "WAIT 2 0\r\n");
    ANSWER(5, 5, 4);
    assert_int_equal(ask_number(n, other, "blocked_clients"), 1);
    ask(n, other, "CLIENT UNBLOCK 1\r\nCLIENT UNBLOCK 2\r\n", ":1\r\n:0\r\n");
    hear(n, fd, ":1\r\n");
    say(n, fd, "WAIT 2 0\r\n");
    await_question(n);
    ask(n, other, "CLIENT UNBLOCK 1 ERROR\r\n", ":1\r\n");
    hear(n, fd, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    ask(n, other, "CLIENT UNBLOCK 1\r\n", ":0\r\n");
    say(n, fd, "WAIT 2 0\r\n");
    const struct reply no = {.tag = REPLY_ERROR, .val.bytes = {(uint8_t *)(uintptr_t)"ERR no learner", 14}};
    await_question(n);
    answer_with(n, &no);
    hear(n, fd, "-ERR no learner\r\n");
    close(fd);
    close(other);
    node_stop(n);
}

/* The next life is asked again, and the end of the port is the end of all waiting. */
static void the_node_is_lost(void **state)
{
    (void)state;
    struct node *n = start();
    int fd = dial(n);
    say(n, fd, "WAIT 1 0\r\n");
    await_question(n);
    client_server_lost(n->server);
    struct taken lost = untake(n, 0);
    payload_free(&lost.value);
    ANSWER(5, 5);
    hear(n, fd, ":1\r\n");
    say(n, fd, "WAIT 1 0\r\n");
    ANSWER(5, 4);
    client_server_close(n->server, on_closed, n);
    hear(n, fd, ":0\r\n");
    hear_end(n, fd);
    close(fd);
    for (uint64_t until = deadline(); !n->closed; check_deadline(until))
        uv_run(&n->loop, UV_RUN_NOWAIT);
    node_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_hold_what_was_executed),
        cmocka_unit_test(earlier_commands_are_answered_first),
        cmocka_unit_test(it_ends_in_time),
        cmocka_unit_test(the_node_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
