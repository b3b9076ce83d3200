/* io/client_pubsub.c, io/client_channels.c: SUBSCRIBE, PUBLISH, PUBSUB at a real port. Replies are those of Redis, byte for
 * byte. */
#include "io/client_internal.h"
#include "tests/unit/client_node.h"

#define ONLY "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n"
#define HELLO_3                                                                                                             \
    "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.4.0\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n"          \
    "$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"

static void messages_in_resp_2(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n), other = dial(n);
    ask(n, fd, "SUBSCRIBE a b a\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n");
    ask(n, fd, "PSUBSCRIBE a*\r\n", "*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:3\r\n");
    ask(n, fd, "SSUBSCRIBE a\r\n", "*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n");
    ask(n, other, "PUBLISH a hello\r\n", ":2\r\n");
    hear(n, fd,
         "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n*4\r\n$8\r\npmessage\r\n$2\r\na*\r\n$1\r\na\r\n$5\r\nhello\r\n");
    ask(n, other, "SPUBLISH a deep\r\nPUBLISH c no\r\n", ":1\r\n:0\r\n");
    hear(n, fd, "*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$4\r\ndeep\r\n");
    ask(n, fd, "GET x\r\n", "-ERR Can't execute 'get': " ONLY);
    ask(n, fd, "CLIENT ID\r\n", "-ERR Can't execute 'client|id': " ONLY);
    ask(n, fd, "PUBLISH a x\r\n", "-ERR Can't execute 'publish': " ONLY);
    ask(n, fd, "GET\r\n", "-ERR wrong number of arguments for 'get' command\r\n");
    ask(n, fd, "PING\r\nPING x\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n*2\r\n$4\r\npong\r\n$1\r\nx\r\n");
    ask(n, fd, "UNSUBSCRIBE b x\r\n",
        "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:2\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:2\r\n");
    ask(n, fd, "UNSUBSCRIBE\r\nUNSUBSCRIBE\r\n",
        "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:1\r\n");
    ask(n, fd, "PUNSUBSCRIBE a*\r\nSUNSUBSCRIBE\r\nGET x\r\n",
        "*3\r\n$12\r\npunsubscribe\r\n$2\r\na*\r\n:0\r\n*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n$-1\r\n");
    ask(n, fd, "SUBSCRIBE a\r\nRESET\r\nGET x\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n+RESET\r\n$-1\r\n");
    ask(n, other, "PUBLISH a x\r\n", ":0\r\n");
    ask(n, fd, "SUBSCRIBE a\r\nQUIT\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n+OK\r\n");
    hear_end(n, fd);
    close(other);
    node_stop(n);
}

static void messages_in_resp_3(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n);
    ask(n, fd, "HELLO 3\r\n", HELLO_3);
    ask(n, fd, "SUBSCRIBE a\r\n", ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    ask(n, fd, "SET x 1\r\nPUBLISH a me\r\nGET x\r\n",
        "+OK\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nme\r\n$1\r\n1\r\n");
    ask(n, fd, "PING\r\nPUNSUBSCRIBE\r\n", "+PONG\r\n>3\r\n$12\r\npunsubscribe\r\n_\r\n:1\r\n");
    ask(n, fd, "MULTI\r\nPUBLISH a 1\r\nINCR x\r\nPUBLISH a 2\r\nEXEC\r\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:0\r\n:2\r\n:0\r\n"
        ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n2\r\n");
    ask(n, fd, "CLIENT REPLY OFF\r\nSUBSCRIBE b\r\nPUBLISH b x\r\nCLIENT REPLY ON\r\n",
        ">3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n>3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$1\r\nx\r\n+OK\r\n");
    close(fd);
    node_stop(n);
}

static void publish_in(struct node *n, const struct taken *t, size_t index, const char *text)
{
    if (t != NULL)
        set_cause(n, t, index);
    else
        notices_cause(&n->notices, (struct notice_cause){0});
    add_message(n, NOTICE_MESSAGE, (struct bytes){(uint8_t *)"a", 1},
                (struct bytes){(uint8_t *)(uintptr_t)text, strlen(text)});
}

#define MESSAGE_A(text) ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n" text "\r\n"

/* What it has published itself a connection hears after the reply, and what others publish after that no sooner. Others hear
 * it at once. What it published in an earlier life of the node, or what has its reply already, does not wait. */
static void own_messages_come_after_the_reply(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n), other = dial(n);
    ask(n, fd, "HELLO 3\r\nSUBSCRIBE a\r\n", HELLO_3 ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    ask(n, other, "SUBSCRIBE a\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    n->answers = false;
    say(n, fd, "SET x 1\r\nPUBLISH a 2\r\n");
    for (uint64_t until = deadline(); n->taken_count == 0; check_deadline(until)) {
        turn(n);
        take(n, 1);
    }
    assert_int_equal(n->taken[0].count, 2);
    publish_in(n, NULL, 0, "1");
    publish_in(n, &n->taken[0], 1, "2");
    publish_in(n, NULL, 0, "3");
    send_notices(n);
    publish_in(n, &n->taken[0], 0, "4"); /* a reply that is earlier than what waits */
    publish_in(n, &n->taken[0], 7, "5"); /* there is no such command */
    send_notices(n);
    for (int i = '1'; i <= '5'; i++) {
        char text[64];
        snprintf(text, sizeof text, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n%c\r\n", i);
        hear(n, other, text);
    }
    hear(n, fd, MESSAGE_A("1"));
    struct taken kept = n->taken[0];
    kept.value = payload_copy(&n->taken[0].value);
    answer(n, 0); /* publishes it as well */
    hear(n, fd, "+OK\r\n:2\r\n" MESSAGE_A("2") MESSAGE_A("3") MESSAGE_A("4") MESSAGE_A("5") MESSAGE_A("2"));
    publish_in(n, &kept, 1, "6");
    send_notices(n);
    hear(n, fd, MESSAGE_A("6"));
    payload_free(&kept.value);
    close(fd);
    close(other);
    node_stop(n);
}

/* What a subscription says about itself comes after the replies to earlier requests, and before all messages. */
static void a_subscription_waits_for_earlier_replies(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n), other = dial(n);
    ask(n, other, "PSUBSCRIBE *\r\n", "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n");
    n->answers = false;
    say(n, fd, "SET x 1\r\nPING\r\nSUBSCRIBE a\r\n");
    for (uint64_t until = deadline(); n->taken_count == 0; check_deadline(until)) {
        turn(n);
        take(n, 1);
    }
    add_message(n, NOTICE_MESSAGE, (struct bytes){(uint8_t *)"a", 1}, (struct bytes){(uint8_t *)"early", 5});
    send_notices(n);
    hear(n, other, "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$5\r\nearly\r\n");
    n->answers = true;
    hear(n, fd, "+OK\r\n+PONG\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    close(fd);
    close(other);
    node_stop(n);
}

/* The node is asked to tell as long as some client listens, and the next life is asked anew. */
static void what_the_node_is_asked_to_tell(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n);
    ask(n, fd, "PING\r\n", "+PONG\r\n");
    assert_int_equal(n->told, 0);
    ask(n, fd, "SUBSCRIBE a b\r\nUNSUBSCRIBE a\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n");
    turn(n);
    assert_int_equal(n->told, 1);
    assert_int_equal(n->watch, WATCH_MESSAGES);
    ask(n, fd, "UNSUBSCRIBE\r\n", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n");
    turn(n);
    assert_int_equal(n->told, 2);
    assert_int_equal(n->watch, 0);
    ask(n, fd, "SUBSCRIBE a\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    int other = dial(n);
    client_server_lost(n->server); /* it may not have told all */
    hear_end(n, fd);
    ask(n, other, "GET x\r\nSUBSCRIBE a\r\n", "$-1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    turn(n);
    assert_int_equal(n->told, 4);
    notices_add(&n->notices, &(struct notice){.kind = NOTICE_MISSED});
    send_notices(n);
    hear_end(n, other);
    node_stop(n);
}

static void a_slow_subscriber_is_closed(void **state)
{
    (void)state;
    enum { LEN = 100 * 1000, MESSAGES_MAX = 300 }; /* sockets hold some of them */
    struct node *n = node_new();
    n->config.client_bytes_max = 300 * 1000;
    node_open(n);
    int fd = dial(n), other = dial(n), counting = dial(n);
    uint8_t *bytes = memory_new(LEN, 1);
    ask(n, fd, "SUBSCRIBE a b\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n");
    ask(n, other, "SUBSCRIBE b\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n");
    turn(n);
    for (int i = 0; client_server_statistics(n->server).connections == 3; i++) {
        assert_true(i < MESSAGES_MAX);
        add_message(n, NOTICE_MESSAGE, (struct bytes){(uint8_t *)"a", 1}, (struct bytes){bytes, LEN});
        send_notices(n);
        uv_run(&n->loop, UV_RUN_NOWAIT);
    }
    ask(n, counting, "PUBSUB NUMSUB a b\r\nPUBLISH b x\r\n", "*4\r\n$1\r\na\r\n:0\r\n$1\r\nb\r\n:1\r\n:1\r\n");
    hear(n, other, "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$1\r\nx\r\n");
    free(bytes);
    close(fd);
    close(other);
    close(counting);
    node_stop(n);
}

/* A pattern for which there is too much to compare ends its subscriptions, and no other ones. */
static void a_costly_pattern(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n), other = dial(n);
    char text[CHANNEL_NAME_MAX + 1], say_it[512] = "PSUBSCRIBE ";
    uint8_t name[4096];
    strcat(say_it, "*");
    for (int i = 0; i < 199; i++)
        strcat(say_it, "a");
    strcat(say_it, "b");
    snprintf(text, sizeof text, "*3\r\n$10\r\npsubscribe\r\n$201\r\n%s\r\n:1\r\n", say_it + 11);
    strcat(say_it, "\r\n");
    ask(n, fd, say_it, text);
    ask(n, other, "PSUBSCRIBE x*\r\n", "*3\r\n$10\r\npsubscribe\r\n$2\r\nx*\r\n:1\r\n");
    turn(n);
    memset(name, 'a', sizeof name);
    add_message(n, NOTICE_MESSAGE, (struct bytes){name, sizeof name}, (struct bytes){name, 1});
    add_message(n, NOTICE_MESSAGE, (struct bytes){(uint8_t *)"x", 1}, (struct bytes){name, 1});
    send_notices(n);
    hear_end(n, fd);
    hear(n, other, "*4\r\n$8\r\npmessage\r\n$2\r\nx*\r\n$1\r\nx\r\n$1\r\na\r\n");
    close(other);
    node_stop(n);
}

static void what_is_told_about_subscriptions(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n), other = dial(n);
    ask(n, fd, "SUBSCRIBE ab b\r\nPSUBSCRIBE x* y*\r\nSSUBSCRIBE s\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$2\r\nab\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
        "*3\r\n$10\r\npsubscribe\r\n$2\r\nx*\r\n:3\r\n*3\r\n$10\r\npsubscribe\r\n$2\r\ny*\r\n:4\r\n"
        "*3\r\n$10\r\nssubscribe\r\n$1\r\ns\r\n:1\r\n");
    ask(n, other, "PUBSUB CHANNELS\r\n", "*2\r\n$2\r\nab\r\n$1\r\nb\r\n");
    ask(n, other, "PUBSUB CHANNELS a*\r\nPUBSUB SHARDCHANNELS\r\nPUBSUB SHARDCHANNELS x\r\n",
        "*1\r\n$2\r\nab\r\n*1\r\n$1\r\ns\r\n*0\r\n");
    ask(n, other, "PUBSUB NUMSUB\r\nPUBSUB NUMSUB b c\r\nPUBSUB SHARDNUMSUB s\r\nPUBSUB NUMPAT\r\n",
        "*0\r\n*4\r\n$1\r\nb\r\n:1\r\n$1\r\nc\r\n:0\r\n*2\r\n$1\r\ns\r\n:1\r\n:2\r\n");
    ask(n, other, "PUBSUB NOSUCH\r\nPUBSUB NUMPAT x\r\nPUBLISH x\r\nSUBSCRIBE\r\n",
        "-ERR unknown subcommand 'NOSUCH'. Try PUBSUB HELP.\r\n"
        "-ERR wrong number of arguments for 'pubsub|numpat' command\r\n"
        "-ERR wrong number of arguments for 'publish' command\r\n"
        "-ERR wrong number of arguments for 'subscribe' command\r\n");
    close(fd);
    close(other);
    node_stop(n);
}

/* A node that executes nothing hears nothing: it names those that do. */
static void a_node_without_a_learner(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->config.node_config.learners = 4;
    node_open(n);
    int fd = dial(n);
    ask(n, fd, "SUBSCRIBE a\r\nPUBLISH a x\r\n",
        "-ERR this node has no learner, so it hears of no message and no change; these have one: 192.0.2.2:7002\r\n:0\r\n");
    close(fd);
    node_stop(n);
}

static void what_is_kept_is_bounded(void **state)
{
    (void)state;
    enum { NAME = 3000 };
    struct node *n = node_new();
    n->config.client_bytes_all_max = 16000; /* a quarter of it is for subscriptions */
    node_open(n);
    int fd = dial(n), other = dial(n);
    char text[CHANNEL_NAME_MAX + 64];
    snprintf(text, sizeof text, "SUBSCRIBE %0*d x\r\n", NAME, 7);
    say(n, fd, text);
    snprintf(text, sizeof text, "*3\r\n$9\r\nsubscribe\r\n$%d\r\n%0*d\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:2\r\n",
             NAME, NAME, 7);
    hear(n, fd, text);
    snprintf(text, sizeof text, "SUBSCRIBE %0*d\r\n", NAME, 8);
    ask(n, other, text, "-ERR this node has no room for more subscriptions\r\n");
    close(fd); /* now there is room */
    for (uint64_t until = deadline(); client_server_statistics(n->server).connections > 1; check_deadline(until))
        turn(n);
    say(n, other, text);
    hear(n, other, "*3\r\n");
    close(other);
    int third = dial(n);
    snprintf(text, sizeof text, "PSUBSCRIBE %0*d\r\n", 257, 8);
    ask(n, third, text, "-ERR a pattern has 256 bytes at most\r\n");
    close(third);
    node_stop(n);
}

static void happens(struct node *n, uint8_t class, const char *name, const char *key)
{
    if ((n->watch & WATCH_EVENTS) != 0)
        notices_add(&n->notices, &(struct notice){.kind = NOTICE_EVENT,
                                                  .class = class,
                                                  .channel = {(uint8_t *)(uintptr_t)key, strlen(key)},
                                                  .message = {(uint8_t *)(uintptr_t)name, strlen(name)}});
    send_notices(n);
}

#define SAYS_K       "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$16\r\n__keyspace@0__:k\r\n$3\r\n"
#define SAYS_E(name) "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$18\r\n__keyevent@0__:" name "\r\n$1\r\nk\r\n"

/* What happens to keys, as messages: those that this node was told to tell. */
static void keyspace_notifications(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n), other = dial(n);
    ask(n, fd, "PSUBSCRIBE *\r\n", "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n");
    turn(n);
    assert_int_equal(n->watch, WATCH_MESSAGES);
    ask(n, other, "CONFIG SET notify-keyspace-events KE$\r\n", "+OK\r\n");
    turn(n);
    assert_int_equal(n->watch, WATCH_MESSAGES | WATCH_EVENTS);
    happens(n, 'g', "del", "k");
    happens(n, '$', "set", "k");
    hear(n, fd, SAYS_K "set\r\n" SAYS_E("set"));
    ask(n, other, "CONFIG SET notify-keyspace-events Eg\r\n", "+OK\r\n");
    happens(n, '$', "set", "k");
    happens(n, 'g', "del", "k");
    hear(n, fd, SAYS_E("del"));
    ask(n, other, "CONFIG SET notify-keyspace-events E\r\n", "+OK\r\n"); /* no class */
    turn(n);
    assert_int_equal(n->watch, WATCH_MESSAGES);
    ask(n, other, "CONFIG SET notify-keyspace-events Kx port 3\r\nCONFIG GET notify-keyspace-events\r\n",
        "-ERR CONFIG SET is not supported for this: settings are in the configuration file of the cluster\r\n"
        "*2\r\n$22\r\nnotify-keyspace-events\r\n$1\r\nE\r\n");
    ask(n, other, "CONFIG SET notify-keyspace-events gKnAEm\r\nCONFIG GET notify-keyspace-events\r\n",
        "+OK\r\n*2\r\n$22\r\nnotify-keyspace-events\r\n$4\r\nAKEm\r\n");
    ask(n, other, "CONFIG SET notify-keyspace-events Kn$Ex\r\nCONFIG GET notify-keyspace-events\r\n",
        "+OK\r\n*2\r\n$22\r\nnotify-keyspace-events\r\n$5\r\n$xnKE\r\n");
    ask(n, other, "CONFIG SET notify-keyspace-events K!\r\n",
        "-ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid event class character. Use "
        "'Ag$lshzxeKEtmdn'.\r\n");
    close(fd);
    for (uint64_t until = deadline(); n->watch != 0; check_deadline(until)) /* for no client, nothing is told */
        turn(n);
    close(other);
    node_stop(n);
}

/* The hash of names that clients choose has a key of the host's. */
static void no_client_knows_the_hash(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->seed = (struct seed){3, 5};
    node_open(n);
    const struct siphash_key *keys[] = {&n->server->channels.key, &n->server->tracked.key};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_true(keys[i]->low == 3 && keys[i]->high == 5);
    node_stop(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_in_resp_2),
        cmocka_unit_test(messages_in_resp_3),
        cmocka_unit_test(own_messages_come_after_the_reply),
        cmocka_unit_test(a_subscription_waits_for_earlier_replies),
        cmocka_unit_test(what_the_node_is_asked_to_tell),
        cmocka_unit_test(a_slow_subscriber_is_closed),
        cmocka_unit_test(a_costly_pattern),
        cmocka_unit_test(what_is_told_about_subscriptions),
        cmocka_unit_test(a_node_without_a_learner),
        cmocka_unit_test(what_is_kept_is_bounded),
        cmocka_unit_test(no_client_knows_the_hash),
        cmocka_unit_test(keyspace_notifications),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
