/* io/client_transactions.c: MULTI, EXEC, DISCARD, WATCH at a real port. */
#include "tests/unit/client_node.h"

#define ABORTED "-EXECABORT Transaction discarded because of previous errors.\r\n"

static void the_replies_of_a_transaction(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n);
    ask(n, fd, "MULTI\r\nSET x 1\r\nINCR x\r\nMGET x y\r\nGET y\r\nEXEC\r\nGET x\r\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n+OK\r\n:2\r\n*2\r\n$1\r\n2\r\n$-1\r\n$-1\r\n$1\r\n2\r\n");
    ask(n, fd, "MULTI\r\nEXEC\r\n", "+OK\r\n*0\r\n");
    ask(n, fd, "MULTI\r\nSET x a\r\nINCR x\r\nGET x\r\nEXEC\r\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n-ERR value is not an integer or out of range\r\n$1\r\na\r\n");
    ask(n, fd, "MULTI\r\nSET x 7\r\nDISCARD\r\nGET x\r\n", "+OK\r\n+QUEUED\r\n+OK\r\n$1\r\na\r\n");
    ask(n, fd, "MULTI\r\nSET x 7\r\nRESET\r\nGET x\r\n", "+OK\r\n+QUEUED\r\n+RESET\r\n$1\r\na\r\n");
    ask(n, fd, "MULTI\r\nGET y\r\nOBJECT ENCODING x\r\nEXEC\r\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$-1\r\n$6\r\nembstr\r\n");
    close(fd);
    node_stop(n);
}

/* What Redis does, byte for byte. */
static void what_makes_it_fail(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n);
    ask(n, fd, "MULTI\r\nSET x 1\r\nNOSUCH\r\nSET y 1\r\nEXEC\r\nEXISTS x y\r\n",
        "+OK\r\n+QUEUED\r\n-ERR unknown command 'NOSUCH', with args beginning with: \r\n+QUEUED\r\n" ABORTED ":0\r\n");
    ask(n, fd, "MULTI\r\nSET x\r\nEXEC\r\n", "+OK\r\n-ERR wrong number of arguments for 'set' command\r\n" ABORTED);
    ask(n, fd, "EXEC\r\nDISCARD\r\nUNWATCH\r\nWATCH\r\n",
        "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n+OK\r\n"
        "-ERR wrong number of arguments for 'watch' command\r\n");
    ask(n, fd, "MULTI\r\nMULTI\r\nWATCH x\r\nSET x 1\r\nEXEC\r\n",
        "+OK\r\n-ERR MULTI calls can not be nested\r\n-ERR WATCH inside MULTI is not allowed\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    ask(n, fd, "MULTI\r\nCLIENT REPLY OFF\r\nEXEC\r\n", "+OK\r\n-ERR Command not allowed inside a transaction\r\n" ABORTED);
    ask(n, fd, "MULTI\r\nSYNOD LEADER\r\nEXEC\r\n", "+OK\r\n-ERR Command not allowed inside a transaction\r\n" ABORTED);
    ask(n, fd, "MULTI\r\nCLIENT NOSUCH\r\nSET x 1\r\nEXEC\r\nEXISTS x\r\n",
        "+OK\r\n-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.\r\n+QUEUED\r\n" ABORTED ":1\r\n");
    ask(n, fd, "MULTI\r\nECHO\r\nEXEC\r\n", "+OK\r\n-ERR wrong number of arguments for 'echo' command\r\n" ABORTED);
    close(fd);
    node_stop(n);
}

/* The port answers them when the transaction is executed, and what comes after EXEC waits for that. */
static void what_the_port_answers_itself(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n), other = dial(n);
    ask(n, fd, "MULTI\r\nPING\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n");
    ask(n, fd, "MULTI\r\nPING a\r\nSET x 1\r\nECHO b\r\nMGET x y\r\nCLIENT SETNAME me\r\nEXEC\r\nCLIENT GETNAME\r\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
        "*5\r\n$1\r\na\r\n+OK\r\n$1\r\nb\r\n*2\r\n$1\r\n1\r\n$-1\r\n+OK\r\n$2\r\nme\r\n");
    ask(n, fd, "MULTI\r\nCLIENT SETNAME not-me\r\nDISCARD\r\nCLIENT GETNAME\r\n", "+OK\r\n+QUEUED\r\n+OK\r\n$2\r\nme\r\n");
    ask(n, fd, "WATCH x\r\n", "+OK\r\n");
    ask(n, other, "SET x 2\r\n", "+OK\r\n");
    ask(n, fd, "MULTI\r\nCLIENT SETNAME not-me\r\nGET x\r\nEXEC\r\nCLIENT GETNAME\r\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n*-1\r\n$2\r\nme\r\n");
    ask(n, fd, "MULTI\r\nUNWATCH\r\nEXEC\r\nWATCH x\r\nINCR x\r\nMULTI\r\nGET x\r\nEXEC\r\n",
        "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n+OK\r\n:3\r\n+OK\r\n+QUEUED\r\n*-1\r\n");
    ask(n, fd, "MULTI\r\nGET x\r\nHELLO 9\r\nSELECT 1\r\nCLIENT\r\nEXEC\r\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n-ERR wrong number of arguments for 'client' command\r\n" ABORTED);
    ask(n, fd, "MULTI\r\nGET x\r\nHELLO 9\r\nSELECT 1\r\nEXEC\r\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n$1\r\n3\r\n-NOPROTO unsupported protocol version\r\n"
        "-ERR DB index is out of range\r\n");
    close(fd);
    close(other);
    node_stop(n);
}

/* How many of them there may be, and what their replies may take. */
static void what_the_port_answers_is_bounded(void **state)
{
    (void)state;
    enum { MOST = 128, LONG = 1000 };
    struct node *n = node_new();
    n->config.client_bytes_max = 4096;
    node_open(n);
    int fd = dial(n);
    char echo[LONG + 64];
    snprintf(echo, sizeof echo, "ECHO %0*d\r\n", LONG, 7);
    ask(n, fd, "MULTI\r\n", "+OK\r\n");
    for (int i = 0; i < MOST; i++)
        ask(n, fd, "PING\r\n", "+QUEUED\r\n");
    ask(n, fd, "PING\r\n", "-ERR the transaction asks this node itself too often; it will not be executed\r\n");
    ask(n, fd, "EXEC\r\nMULTI\r\n", ABORTED "+OK\r\n");
    for (int i = 0; i < 6; i++)
        ask(n, fd, echo, "+QUEUED\r\n");
    say(n, fd, "EXEC\r\n");
    hear(n, fd, "*6\r\n");
    for (int i = 0; i < 5; i++) {
        snprintf(echo, sizeof echo, "$%d\r\n%0*d\r\n", LONG, LONG, 7);
        hear(n, fd, echo);
    }
    hear(n, fd, "-BUSY the replies of this transaction leave no room for this one: not executed\r\n");
    ask(n, fd, "PING\r\n", "+PONG\r\n");
    close(fd);
    node_stop(n);
}

static void a_watched_key_that_changes(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n), other = dial(n);
    ask(n, fd, "SET x 1\r\nWATCH x y\r\nWATCH z\r\n", "+OK\r\n+OK\r\n+OK\r\n");
    ask(n, other, "SET z 1\r\n", "+OK\r\n");
    ask(n, fd, "MULTI\r\nINCR x\r\nEXEC\r\nGET x\r\n", "+OK\r\n+QUEUED\r\n*-1\r\n$1\r\n1\r\n");
    ask(n, fd, "MULTI\r\nINCR x\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n:2\r\n"); /* nothing is watched any more */
    ask(n, fd, "WATCH x y\r\nMULTI\r\nINCR x\r\nEXEC\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:3\r\n");
    ask(n, fd, "WATCH x\r\nINCR x\r\nUNWATCH\r\nMULTI\r\nINCR x\r\nEXEC\r\n",
        "+OK\r\n:4\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:5\r\n");
    ask(n, fd, "WATCH x\r\nINCR x\r\nMULTI\r\nDISCARD\r\nMULTI\r\nINCR x\r\nEXEC\r\n",
        "+OK\r\n:6\r\n+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:7\r\n");
    ask(n, fd, "WATCH x\r\n", "+OK\r\n");
    ask(n, other, "WATCH x\r\nMULTI\r\nINCR x\r\nEXEC\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:8\r\n"); /* sets are apart */
    ask(n, fd, "MULTI\r\nINCR x\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*-1\r\n");
    close(fd);
    close(other);
    node_stop(n);
}

/* SESSION id number EXEC takes the place of EXEC. */
static void in_a_session(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n);
    n->answers = false;
    ask(n, fd, "MULTI\r\nINCR x\r\nSESSION 5 1 EXEC\r\n", "+OK\r\n+QUEUED\r\n");
    for (uint64_t until = deadline(); n->taken_count == 0; check_deadline(until)) {
        turn(n);
        take(n, 1);
    }
    struct batch_commands commands = {0};
    assert_true(batch_commands_read(&commands, &n->taken[0].value));
    assert_int_equal(commands.count, 1);
    const struct bytes *args = commands.commands[0].args.ptr;
    assert_int_equal(commands.commands[0].args.len, 8);
    assert_memory_equal(args[3].ptr, "EXEC", 4);
    assert_memory_equal(args[4].ptr, "0", 1);
    assert_memory_equal(args[5].ptr, "2", 1);
    assert_memory_equal(args[7].ptr, "x", 1);
    batch_commands_free(&commands);
    answer_outcome(n, 0, OUTCOME_UNKNOWN, 0);
    hear(n, fd, "-UNKNOWN outcome\r\n");
    n->answers = true;
    ask(n, fd, "SESSION 5 1 EXEC\r\nMULTI\r\nNOSUCH\r\nSESSION 5 1 EXEC\r\nMULTI\r\nSESSION 5 2 GET x\r\nEXEC\r\n",
        "-ERR EXEC without MULTI\r\n+OK\r\n-ERR unknown command 'NOSUCH', with args beginning with: \r\n" ABORTED
        "+OK\r\n-ERR Command not allowed inside a transaction\r\n" ABORTED);
    close(fd);
    node_stop(n);
}

/* What is queued is bounded, for one client and for all; and what is refused takes no room. */
static void what_is_kept_is_bounded(void **state)
{
    (void)state;
    enum { CLIENTS = 5, VALUE = 3000 };
    struct node *n = node_new();
    n->config.command_bytes_max = 8000;
    n->config.client_bytes_all_max = 64000;
    node_open(n);
    int fds[CLIENTS];
    char set[VALUE + 64];
    snprintf(set, sizeof set, "SET x %0*d\r\n", VALUE, 7);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = dial(n);
        ask(n, fds[i], "MULTI\r\n", "+OK\r\n");
        ask(n, fds[i], set, "+QUEUED\r\n");
    }
    ask(n, fds[0], set, "-ERR the transaction is too long; it will not be executed\r\n"); /* all together */
    ask(n, fds[0], set, "+QUEUED\r\n");                                                   /* it is not kept */
    ask(n, fds[1], set, "+QUEUED\r\n"); /* now there is room for another client's */
    ask(n, fds[1], set, "-ERR the transaction is too long; it will not be executed\r\n"); /* more than a command may have */
    for (int i = 0; i < CLIENTS; i++)
        ask(n, fds[i], "EXEC\r\n", i < 2 ? ABORTED : "*1\r\n+OK\r\n");
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    node_stop(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_replies_of_a_transaction),     cmocka_unit_test(what_makes_it_fail),
        cmocka_unit_test(a_watched_key_that_changes),       cmocka_unit_test(in_a_session),
        cmocka_unit_test(what_is_kept_is_bounded),          cmocka_unit_test(what_the_port_answers_itself),
        cmocka_unit_test(what_the_port_answers_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
