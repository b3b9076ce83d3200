/* io/client_wait.c: WAIT at a real port. */
#include "tests/unit/client_node.h"

enum { NUMBERS_MAX = 4, TRIES = 20 };

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

/* Answers: this node's learner holds what is before the first number, the others what is before each of the others. */
static void answer_question(struct node *n, const int64_t numbers[NUMBERS_MAX])
{
    struct scalar scalars[NUMBERS_MAX];
    size_t count = 0;
    await_question(n);
    for (; count < NUMBERS_MAX && (count == 0 || numbers[count] != 0); count++)
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

/* Sends a command, which is executed in this slot. */
static void execute(struct node *n, int fd, const char *command, uint64_t slot, const char *reply)
{
    say(n, fd, command);
    await_commands(n, 1);
    take(n, 1);
    n->slot = slot;
    answer(n, n->taken_count - 1);
    hear(n, fd, reply);
}

static void others_hold_what_was_written(void **state)
{
    (void)state;
    struct node *n = start();
    int fd = dial(n), other = dial(n);
    execute(n, fd, "SET x 1\r\n", 9, "+OK\r\n");
    execute(n, other, "SET x 2\r\n", 20, "+OK\r\n"); /* what others have written is not waited for */
    execute(n, fd, "GET x\r\n", 21, "$1\r\n2\r\n");  /* nor what was only read */
    say(n, fd, "WAIT 2 0\r\nPING\r\n");
    ANSWER(10, 10, 9);
    ANSWER(20, 10, 9);
    expect_silence(n, fd);
    ANSWER(20, 10, 10);
    hear(n, fd, ":2\r\n+PONG\r\n");
    say(n, fd, "WAIT 0 0\r\n");
    ANSWER(20, 20, 1);
    hear(n, fd, ":1\r\n");
    ask(n, fd, "WAIT x 1\r\nWAIT 1 x\r\nWAIT 1 -1\r\n",
        "-ERR value is not an integer or out of range\r\n-ERR timeout is not an integer or out of range\r\n"
        "-ERR timeout is negative\r\n");
    close(fd);
    close(other);
    node_stop(n);
}

/* Another learner has answered for the batch: this node's has executed less, and that is not what counts. */
static void the_own_learner_may_be_behind(void **state)
{
    (void)state;
    struct node *n = start();
    int fd = dial(n);
    execute(n, fd, "SET x 1\r\n", 50, "+OK\r\n");
    say(n, fd, "WAIT 2 0\r\n");
    ANSWER(10, 51, 50);
    expect_silence(n, fd);
    ANSWER(10, 51, 51);
    hear(n, fd, ":2\r\n");
    close(fd);
    node_stop(n);
}

static void waitaof_is_about_this_node_too(void **state)
{
    (void)state;
    struct node *n = start();
    int fd = dial(n);
    execute(n, fd, "SET x 1\r\n", 9, "+OK\r\n");
    say(n, fd, "WAITAOF 1 1 0\r\n");
    ANSWER(9, 10, 10);
    expect_silence(n, fd);
    ANSWER(10, 10, 9);
    hear(n, fd, "*2\r\n:1\r\n:1\r\n");
    say(n, fd, "WAITAOF 0 2 20\r\n");
    ANSWER(9, 10, 9);
    hear(n, fd, "*2\r\n:0\r\n:1\r\n");
    ask(n, fd, "WAITAOF 2 1 0\r\nWAITAOF x 1 0\r\nWAITAOF 1 -1 0\r\nWAITAOF 1 x 0\r\nWAITAOF 1 1 -1\r\nWAITAOF 1 1\r\n",
        "-ERR value is out of range, value must between 0 and 1\r\n-ERR value is not an integer or out of range\r\n"
        "-ERR value is out of range, must be positive\r\n-ERR value is out of range, must be positive\r\n"
        "-ERR timeout is negative\r\n-ERR wrong number of arguments for 'waitaof' command\r\n");
    n->config.node_config.durability = DURABILITY_OS;
    ask(n, fd, "WAITAOF 1 0 0\r\n", "-ERR WAITAOF cannot be used when numlocal is set but durability is not fsync.\r\n");
    n->config.node_config.durability = DURABILITY_FSYNC;
    n->config.node_config.learners = 4;
    ask(n, fd, "WAITAOF 1 0 0\r\n", "-ERR WAITAOF cannot be used when numlocal is set but this node has no learner.\r\n");
    n->config.node_config.proposers = 4; /* it is an acceptor */
    client_server_leader(n->server, 2, 2);
    ask(n, fd, "WAIT 1 0\r\n", "-MOVED 0 192.0.2.2:7002\r\n");
    close(fd);
    node_stop(n);
}

/* The reply is what is true without waiting, of what was written before. */
static void in_a_transaction_nothing_is_waited_for(void **state)
{
    (void)state;
    struct node *n = start();
    int fd = dial(n);
    execute(n, fd, "SET x 1\r\n", 9, "+OK\r\n");
    ask(n, fd, "MULTI\r\nWAIT 5 0\r\nSET x 2\r\nWAITAOF 1 5 0\r\nWAIT x 0\r\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
    ANSWER(10, 10, 9);
    execute(n, fd, "EXEC\r\n", 11, "*4\r\n:1\r\n+OK\r\n*2\r\n:1\r\n:1\r\n-ERR value is not an integer or out of range\r\n");
    say(n, fd, "WAIT 1 0\r\n"); /* of what the transaction has written */
    ANSWER(11, 11, 11);
    expect_silence(n, fd);
    ANSWER(11, 11, 12);
    hear(n, fd, ":1\r\n");
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
    n->slot = 6;
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
    execute(n, fd, "SET x 1\r\n", 4, "+OK\r\n");
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

/* Wherever in a millisecond it begins. */
static void it_ends_in_time_and_not_before(void **state)
{
    (void)state;
    struct node *n = start();
    int fd = dial(n);
    execute(n, fd, "SET x 1\r\n", 4, "+OK\r\n");
    for (int i = 0; i < TRIES; i++) {
        const uint64_t began = uv_hrtime();
        ask(n, fd, "WAIT 2 5\r\n", ":0\r\n");
        assert_true(uv_hrtime() - began >= 5 * NS_PER_MS);
    }
    close(fd);
    node_stop(n);
}

/* It was answered because its time was over, and is gone before the node answers another one. */
static void one_that_has_waited_goes(void **state)
{
    (void)state;
    struct node *n = start();
    int fd = dial(n), other = dial(n);
    execute(n, fd, "SET x 1\r\n", 4, "+OK\r\n");
    ask(n, fd, "WAIT 2 20\r\n", ":0\r\n");
    close(fd);
    await_connections(n, 1);
    for (int i = 0; i < 10; i++)
        uv_run(&n->loop, UV_RUN_NOWAIT);
    execute(n, other, "SET x 1\r\n", 5, "+OK\r\n");
    close(other);
    node_stop(n);
}

/* The same, and before that another client sets the bound of what is tracked, which writes to those on the list. */
static void one_that_has_waited_goes_before_a_bound_is_set(void **state)
{
    (void)state;
    struct node *n = start();
    int fd = dial(n), other = dial(n);
    execute(n, fd, "SET x 1\r\n", 4, "+OK\r\n");
    ask(n, fd, "WAIT 2 20\r\n", ":0\r\n");
    close(fd);
    await_connections(n, 1);
    ask(n, other, "CONFIG SET tracking-table-max-keys 1\r\n", "+OK\r\n");
    close(other);
    node_stop(n);
}

/* The next life is asked again, and the end of the port is the end of all waiting. */
static void the_node_is_lost(void **state)
{
    (void)state;
    struct node *n = start();
    int fd = dial(n);
    execute(n, fd, "SET x 1\r\n", 4, "+OK\r\n");
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
        cmocka_unit_test(others_hold_what_was_written),
        cmocka_unit_test(the_own_learner_may_be_behind),
        cmocka_unit_test(waitaof_is_about_this_node_too),
        cmocka_unit_test(in_a_transaction_nothing_is_waited_for),
        cmocka_unit_test(earlier_commands_are_answered_first),
        cmocka_unit_test(it_ends_in_time),
        cmocka_unit_test(it_ends_in_time_and_not_before),
        cmocka_unit_test(one_that_has_waited_goes),
        cmocka_unit_test(one_that_has_waited_goes_before_a_bound_is_set),
        cmocka_unit_test(the_node_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
