/* Six stories of the protocol, told by what the agents decide: who asks, promises, votes, leads. Each is compared with its
 * text in tests/stories, which is also there to be read. After a change that is meant to change them, write them anew and
 * read the difference:
 *
 *   WRITE_STORIES=1 build/native/tests/unit/test_stories && git diff tests/stories
 *
 * Left out are heartbeats, their answers, what learners tell of their progress, and what is sent again within the same
 * part. */
#include <inttypes.h>
#include <stdio.h>

#include "core/formats/decision.h"
#include "tests/unit/partition_cluster.h"

enum { STORY_BYTES_MAX = 64 << 10 };

static struct cluster cluster;

/* The story so far, as its file has it; its last part begins with what the test did to the cluster. */
static char story[STORY_BYTES_MAX];
static size_t story_length, part_at;
static uint64_t told_at;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(story + story_length, sizeof story - story_length, format, args);
    va_end(args);
    assert_true(length >= 0 && (size_t)length < sizeof story - story_length);
    story_length += (size_t)length;
}

/* ---- Telling an effect ---- */

static void say_nodes(node_set set)
{
    for (const char *between = ""; set != 0; set &= set - 1, between = ",")
        say("%s%u", between, node_set_first(set));
}

/* What the cluster of the test makes of it. */
static void say_way(const struct cluster *c, uint32_t node, const struct outgoing *out)
{
    node_set lost = out->to & (c->cut[node] | (out->message.kind == MESSAGE_ACCEPT ? c->black_hole[node] : 0));
    if (out->after > c->members[node].durable)
        say("; as soon as record %" PRIu64 " is durable", out->after);
    if (lost != 0) {
        say("; lost on the way to ");
        say_nodes(lost);
    }
}

static bool may_be_repeated(const struct effect *e)
{
    uint8_t kind = e->val.send.message.kind;
    return e->tag == EFFECT_SEND &&
           (kind == MESSAGE_ACCEPT || kind == MESSAGE_HEARTBEAT || kind == MESSAGE_ASK || kind == MESSAGE_LOST);
}

/* Takes the last line back, from `at` on, if this part of the story has it already. */
static bool take_back_repeated(size_t at, size_t line)
{
    char text[1000];
    snprintf(text, sizeof text, "%s", story + line);
    const char *first = strstr(story + part_at, text);
    bool repeated = first < story + line;
    if (repeated)
        story_length = at;
    return repeated;
}

static void tell(const struct cluster *c, uint32_t node, const struct effect *e)
{
    char text[DECISION_TEXT_MAX];
    const size_t length = decision_write(e, text);
    assert_true(e->tag != EFFECT_DIVERGED && e->tag != EFFECT_DAMAGED); /* they are in no story */
    if (length == 0)
        return;
    size_t at = story_length;
    if (c->now == told_at)
        say("             ");
    else
        say("%9.3f s  ", (double)(c->now - SECOND_US) / (double)SECOND_US);
    size_t line = story_length;
    say("%u %.*s", node, (int)length, text);
    if (e->tag == EFFECT_SEND)
        say_way(c, node, &e->val.send);
    say("\n");
    if (may_be_repeated(e) && take_back_repeated(at, line))
        return;
    told_at = c->now;
}

/* ---- The stories ---- */

/* What the test does to the cluster. */
#define THEN(text, ...) (part_at = story_length, told_at = 0, say("\n# " text "\n\n", ##__VA_ARGS__))

static int begin_with(const struct node_config *config)
{
    story_length = part_at = 0;
    cluster_init(&cluster, 3, config);
    cluster.tell = tell;
    cluster.clients = 0;
    return 0;
}

static int begin(void **state)
{
    (void)state;
    const struct node_config config = three_nodes(1);
    return begin_with(&config);
}

static int begin_two_proposers(void **state)
{
    (void)state;
    struct node_config config = three_nodes(1);
    config.proposers = config.learners = node_set_of(1) | node_set_of(2);
    return begin_with(&config);
}

static int end(void **state)
{
    (void)state;
    cluster_close(&cluster);
    return 0;
}

/* One command for each node that takes some. */
static void ask_once(void)
{
    while ((cluster.now + TICK_US) % ASK_EVERY_US != 0)
        cluster_run(&cluster, TICK_US);
    cluster.clients = 1;
    cluster_run(&cluster, TICK_US);
    cluster.clients = 0;
}

static uint32_t leader(void)
{
    uint32_t found = 0;
    for (uint32_t i = 1; i <= cluster.count; i++)
        if (!cluster.members[i].down && cluster.members[i].status.proposer_state == PROPOSER_LEADING)
            found = i;
    return found;
}

/* Cuts a node off, in both directions, or ends that. */
static void isolate(uint32_t node, bool cut)
{
    for (uint32_t i = 1; i <= cluster.count; i++) {
        if (i == node)
            continue;
        cluster.cut[i] = cut ? cluster.cut[i] | node_set_of(node) : cluster.cut[i] & ~node_set_of(node);
        cluster.cut[node] = cut ? cluster.cut[node] | node_set_of(i) : cluster.cut[node] & ~node_set_of(i);
    }
}

/* As long as it takes, and it takes no longer than so long, until some node leads that is none of `not_these`. */
static uint32_t await_leader(node_set not_these, uint64_t within_us)
{
    for (uint64_t until = cluster.now + within_us; cluster.now < until; cluster_run(&cluster, TICK_US))
        if (leader() != 0 && !node_set_has(not_these, leader()))
            return leader();
    fail_msg("nobody leads within %" PRIu64 " us; the story so far:\n%s", within_us, story);
    return 0;
}

static void compare(const char *name)
{
    char path[100];
    static char expected[STORY_BYTES_MAX];
    snprintf(path, sizeof path, "tests/stories/%s.txt", name);
    bool write = getenv("WRITE_STORIES") != NULL;
    FILE *file = fopen(path, write ? "w" : "r");
    assert_non_null(file);
    if (write) {
        assert_int_equal(fwrite(story, 1, story_length, file), story_length);
    } else {
        size_t length = fread(expected, 1, sizeof expected - 1, file);
        expected[length] = 0;
        assert_string_equal(story, expected);
    }
    assert_int_equal(fclose(file), 0);
}

static void first_election(void **state)
{
    (void)state;
    say("# Three nodes begin; each is proposer, acceptor and learner. Nobody leads.\n\n");
    await_leader(0, SECOND_US);
    THEN("A client has a command.");
    ask_once();
    cluster_run(&cluster, SECOND_US / 5);
    assert_int_equal(cluster.served, 1);
    compare("first-election");
}

static void leader_killed(void **state)
{
    (void)state;
    uint32_t first = await_leader(0, SECOND_US);
    ask_once();
    cluster_run(&cluster, SECOND_US / 5);
    story_length = part_at = 0;
    say("# Node %u leads, and slot 1 is chosen. It is killed while a command is on its way.\n", first);
    THEN("A client has a command.");
    ask_once();
    THEN("Node %u is killed.", first);
    cluster.members[first].down = true;
    await_leader(node_set_of(first), 3 * SECOND_US);
    cluster_run(&cluster, SECOND_US / 10);
    THEN("A client has a command.");
    ask_once();
    cluster_run(&cluster, SECOND_US / 5);
    assert_true(cluster.served >= 2);
    compare("leader-killed");
}

static void one_way_cut(void **state)
{
    (void)state;
    uint32_t deaf = await_leader(0, SECOND_US);
    cluster_run(&cluster, SECOND_US / 2);
    story_length = part_at = 0;
    say("# Node %u leads, and hears nothing any more; what it says still arrives (P15).\n\n", deaf);
    for (uint32_t i = 1; i <= cluster.count; i++)
        cluster.cut[i] |= i == deaf ? 0 : node_set_of(deaf);
    await_leader(node_set_of(deaf), 3 * SECOND_US);
    THEN("A client has a command.");
    ask_once();
    cluster_run(&cluster, SECOND_US / 5);
    assert_true(cluster.served >= 1);
    compare("one-way-cut");
}

static void two_candidates(void **state)
{
    (void)state;
    say("# Nodes 1 and 2 may lead and do not hear each other. Node 3, an acceptor, is not there yet.\n\n");
    cluster.cut[1] = node_set_of(2);
    cluster.cut[2] = node_set_of(1);
    cluster.members[3].down = true;
    cluster_run(&cluster, 2 * SECOND_US);
    THEN("Node 3 begins. Both reach it.");
    cluster.members[3].down = false;
    await_leader(0, 3 * SECOND_US);
    THEN("They hear each other again.");
    cluster.cut[1] = cluster.cut[2] = 0;
    cluster_run(&cluster, SECOND_US);
    THEN("A client has a command.");
    ask_once();
    cluster_run(&cluster, SECOND_US / 5);
    assert_int_equal(cluster.served, 1);
    compare("two-candidates");
}

static void differing_ballots(void **state)
{
    (void)state;
    uint32_t first = await_leader(0, SECOND_US);
    story_length = part_at = 0;
    say("# Node %u leads. Its next ACCEPT is lost, so its value is in its own journal only.\n", first);
    cluster.black_hole[first] = 0xe & ~node_set_of(first);
    THEN("A client has a command.");
    ask_once();
    THEN("Node %u is cut off.", first);
    isolate(first, true);
    uint32_t second = await_leader(node_set_of(first), 3 * SECOND_US);
    uint32_t third = 6 - first - second;
    cluster.black_hole[second] = 0xe & ~node_set_of(second);
    THEN("Node %u leads. Its ACCEPTs are lost, too. A client has a command.", second);
    ask_once();
    THEN("Node %u is killed, node %u is back: each of the two has another value in slot 1.", third, first);
    cluster.members[third].down = true;
    isolate(first, false);
    cluster.black_hole[first] = 0;
    await_leader(node_set_of(second), 20 * SECOND_US);
    cluster_run(&cluster, SECOND_US / 5);
    compare("differing-ballots");
}

static void leader_moved(void **state)
{
    (void)state;
    static struct batch_builder request;
    const uint32_t first = await_leader(0, SECOND_US), next = first % 3 + 1;
    uint8_t number = (uint8_t)('0' + next);
    const struct bytes words[] = {{(uint8_t *)(uintptr_t)"LEADER", 6}, {(uint8_t *)(uintptr_t)"MOVE", 4}, {&number, 1}};
    cluster_run(&cluster, SECOND_US / 5);
    story_length = part_at = 0;
    say("# Node %u leads. A client has a command, and an operator wants node %u to lead.\n\n", first, next);
    batch_begin(&request);
    batch_add(&request, words, 3);
    const struct event e = {.tag = EVENT_REQUEST, .val.request = {.token = 77, .value = batch_end(&request)}};
    ask_once();
    cluster.members[first].waiting++;
    member_hears(&cluster, first, &e);
    await_leader(node_set_of(first), SECOND_US);
    cluster_run(&cluster, SECOND_US / 20);
    batch_builder_free(&request);
    compare("leader-moved");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_election, begin, end),
        cmocka_unit_test_setup_teardown(leader_killed, begin, end),
        cmocka_unit_test_setup_teardown(one_way_cut, begin, end),
        cmocka_unit_test_setup_teardown(two_candidates, begin_two_proposers, end),
        cmocka_unit_test_setup_teardown(differing_ballots, begin, end),
        cmocka_unit_test_setup_teardown(leader_moved, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
