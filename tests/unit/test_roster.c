#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/formats/configuration.h"
#include "io/roster.h"

/* As of slot 900: nodes 1 to 3, of which 2 has its second disk since slot 813, and 4, which was removed in slot 850. */
static struct roster *roster(void)
{
    struct roster *m = memory_new(1, sizeof *m);
    m->slot = 900;
    m->members = m->acceptors = 0xe;
    m->phase1_quorum = 2;
    for (uint32_t id = 1; id <= 3; id++)
        memset(m->instances[id].id, (int)id, sizeof m->instances[id].id);
    m->instances[2].number = 1;
    m->instances[2].changed = 813;
    m->instances[4].changed = 850;
    m->gone = node_set_of(4);
    return m;
}

static void expect(const struct roster *m, uint32_t sender, uint8_t instance, uint32_t number, uint64_t known,
                   enum member_verdict verdict, const char *text)
{
    struct frame_origin origin = {.sender = sender, .incarnation = incarnation_first(number) + 5};
    char why[240] = "";
    memset(origin.instance, instance, sizeof origin.instance);
    assert_int_equal(roster_judge(m, &origin, known, why, sizeof why), verdict);
    assert_string_equal(why, text);
}

static void members_are_judged_by_name(void **state)
{
    struct roster *m = roster();
    (void)state;
    expect(m, 1, 1, 0, 900, MEMBER_FITS, "");
    expect(m, 1, 1, 0, 0, MEMBER_FITS, ""); /* it was down while the cluster formed */
    expect(m, 2, 2, 1, 1000, MEMBER_FITS, "");
    expect(m, 2, 7, 0, 100, MEMBER_REPLACED, "node 2's disk was replaced in slot 813");
    expect(m, 2, 7, 2, 950, MEMBER_EARLY,
           "node 2 with its new disk is not yet a member, as far as is known here (slot 900)");
    expect(m, 4, 4, 0, 100, MEMBER_REMOVED, "node 4 was removed in slot 850");
    expect(m, 5, 5, 0, 900, MEMBER_REMOVED, "node 5 was removed in slot 900 or before");
    expect(m, 5, 5, 0, 901, MEMBER_EARLY, "node 5 is not yet a member, as far as is known here (slot 900)");
    expect(m, 5, 5, 0, 0, MEMBER_STRANGER, "node 5 is not a member of the cluster: synod member add makes it one");
    static const char other[] = "node 1 has another data folder (instance id) than the one that is a member: if it lost its "
                                "disk, see synod member replace --help";
    expect(m, 1, 9, 0, 900, MEMBER_OTHER_DISK, other);
    expect(m, 1, 9, 3, 900, MEMBER_OTHER_DISK, other); /* a later disk, and no later configuration: there is no such disk */
    m->leaving = node_set_of(4);
    memset(m->instances[4].id, 4, sizeof m->instances[4].id);
    expect(m, 4, 4, 0, 100, MEMBER_FITS, "");
    free(m);
}

static void places_and_disks_move(void **state)
{
    struct roster *a = roster(), *b = roster();
    (void)state;
    assert_false(roster_has_moved(a, b, 2));
    b->nodes[2].address.port = 7;
    assert_true(roster_has_moved(a, b, 2));
    *b = *a;
    strcpy(b->nodes[2].address.host, "h");
    assert_true(roster_has_moved(a, b, 2));
    *b = *a;
    strcpy(b->nodes[2].client.host, "h"); /* that is for clients */
    assert_false(roster_has_moved(a, b, 2));
    b->instances[2].number = 2;
    assert_true(roster_has_moved(a, b, 2));
    a->slot = 0; /* instances were not known */
    assert_false(roster_has_moved(a, b, 2));
    free(a);
    free(b);
}

/* ---- The log ---- */

static struct packet packet_of(uint64_t slot, const struct configuration_text *t)
{
    const struct payload text = configuration_pack(t);
    return (struct packet){.id = slot, .len = text.len, .words = text.words};
}

static void expect_applied(struct roster *m, uint64_t slot, const struct configuration_text *t, bool applied)
{
    struct packet p = packet_of(slot, t);
    assert_true(roster_apply(m, &p) == applied);
    free(p.words.ptr);
}

/* From a file to the first configuration, and on: a node comes, one gets another disk and moves, one goes. */
static void configurations_follow_each_other(void **state)
{
    struct config_node nodes[3];
    const struct config config = {
        .nodes = nodes,
        .node_count = 3,
        .memory_bytes_max = 1 << 30,
        .node_config = {.alpha = 64, .phase1_quorum = 2, .phase2_quorum = 2, .acceptors = 0xe, .state_bytes_max = 1 << 20}};
    static uint8_t instances[NODE_ID_MAX + 1][16];
    struct roster *m = memory_new(1, sizeof *m);
    struct configuration_text *t = memory_new(1, sizeof *t), *next = memory_new(1, sizeof *next);
    (void)state;
    for (uint32_t id = 1; id <= 3; id++) {
        nodes[id - 1] = (struct config_node){.id = id, .address = {.port = 7000}, .client = {.port = 6379}};
        strcpy(nodes[id - 1].address.host, id == 3 ? "::1" : "10.0.0.1");
        strcpy(nodes[id - 1].client.host, id == 3 ? "" : "h");
        memset(instances[id], (int)id, sizeof instances[id]);
    }
    roster_of_file(m, &config);
    struct packet first = roster_first(&config, instances);
    assert_int_equal(first.id, 0);
    assert_null(configuration_read(first.words.ptr, first.len, t));
    assert_int_equal(t->delay, 64);
    assert_string_equal(configuration_setting(t, "phase2_quorum"), "2");
    assert_string_equal(t->members[3].address, "[::1]:7000");
    assert_string_equal(t->members[3].client, "-");
    assert_string_equal(t->members[1].client, "h:6379");
    free(first.words.ptr);
    expect_applied(m, 10, t, true);
    expect_applied(m, 10, t, false); /* it is known */
    assert_true(m->members == 0xe && m->leaving == 0 && m->acceptors == 0xe && m->phase1_quorum == 2);
    assert_string_equal(m->nodes[3].address.host, "::1");
    assert_int_equal(m->nodes[3].address.port, 7000);
    assert_string_equal(m->nodes[3].client.host, "");
    assert_int_equal(m->instances[1].changed, 0);
    expect(m, 3, 3, 0, 0, MEMBER_FITS, "");

    struct configuration_request r = {.verb = CONFIGURATION_REPLACE,
                                      .member = {.node = 2, .instance = {22}, .address = "x:1"}};
    assert_null(configuration_change(t, 10, &r, next));
    expect_applied(m, 90, next, true);
    assert_int_equal(m->nodes[2].address.port, 1);
    assert_int_equal(m->instances[2].id[0], 22);
    expect(m, 2, 2, 0, 10, MEMBER_REPLACED, "node 2's disk was replaced in slot 90");

    r = (struct configuration_request){.verb = CONFIGURATION_REMOVE, .member = {.node = 3}};
    assert_null(configuration_change(next, 90, &r, t));
    expect_applied(m, 200, t, true);
    assert_true(m->members == 0x6 && m->leaving == node_set_of(3) && roster_all(m) == 0xe);
    expect(m, 3, 3, 0, 90, MEMBER_FITS, "");
    roster_settle(m, 90); /* that is another one */
    assert_true(m->leaving != 0);
    roster_settle(m, 200);
    expect(m, 3, 3, 0, 90, MEMBER_REMOVED, "node 3 was removed in slot 200");

    /* A node that learns only of the last of them knows less precisely, but the same. */
    roster_of_file(m, &config);
    expect_applied(m, 200, t, true);
    expect(m, 3, 3, 0, 90, MEMBER_REMOVED, "node 3 was removed in slot 200 or before");
    expect(m, 2, 2, 0, 90, MEMBER_REPLACED, "node 2's disk was replaced in slot 200 or before");
    t->members[1].node = 0;
    t->members[2].node = 0;
    expect_applied(m, 300, t, false);
    free(m);
    free(t);
    free(next);
}

static void endpoints_are_text(void **state)
{
    static const char *const good[] = {"a:1", "10.0.0.1:65535", "[::1]:7000"};
    static const char *const bad[] = {"", "a", "a:", ":1", "a:0", "a:65536", "a:1x", "[]:1", "a:-1", "-"};
    struct endpoint e;
    char text[ENDPOINT_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(endpoint_read(good[i], &e));
        endpoint_print(&e, text);
        assert_string_equal(text, good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(endpoint_read(bad[i], &e));
    e = (struct endpoint){0};
    endpoint_print(&e, text);
    assert_string_equal(text, "-");
}

static void a_file_has_members_without_instances(void **state)
{
    struct config_node nodes[] = {{.id = 3, .address.port = 3}, {.id = 63, .address.port = 63}};
    const struct config config = {
        .nodes = nodes, .node_count = 2, .node_config.acceptors = node_set_of(3), .node_config.phase1_quorum = 1};
    struct roster *m = memory_new(1, sizeof *m);
    (void)state;
    roster_of_file(m, &config);
    assert_int_equal(m->slot, 0);
    assert_true(roster_all(m) == (node_set_of(3) | node_set_of(63)));
    assert_true(m->acceptors == node_set_of(3));
    assert_int_equal(m->phase1_quorum, 1);
    assert_int_equal(roster_find(m, 63)->address.port, 63);
    assert_null(roster_find(m, 1));
    free(m);
}

/* Node 3 has moved, and node 5 has its place now, or node 4 still. */
static void a_place_belongs_to_who_has_it_now(void **state)
{
    struct roster *m = roster();
    (void)state;
    for (uint32_t id = 1; id <= 5; id++)
        m->nodes[id].address = (struct endpoint){.host = "10.0.0.1", .port = (uint16_t)(7000 + id)};
    const struct endpoint third = m->nodes[3].address, fourth = m->nodes[4].address,
                          none = {.host = "10.0.0.1", .port = 7999};
    m->nodes[3].address.port = 7100;
    assert_false(roster_gives_to_another(m, &third, 3));
    m->members |= node_set_of(5);
    m->nodes[5].address = third;
    assert_true(roster_gives_to_another(m, &third, 3));
    assert_false(roster_gives_to_another(m, &third, 5));
    assert_false(roster_gives_to_another(m, &fourth, 3)); /* it was removed */
    m->leaving = node_set_of(4);
    assert_true(roster_gives_to_another(m, &fourth, 3));
    assert_false(roster_gives_to_another(m, &none, 3));
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_belongs_to_who_has_it_now),
        cmocka_unit_test(members_are_judged_by_name),
        cmocka_unit_test(places_and_disks_move),
        cmocka_unit_test(configurations_follow_each_other),
        cmocka_unit_test(endpoints_are_text),
        cmocka_unit_test(a_file_has_members_without_instances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
