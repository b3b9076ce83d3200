/* Members come, go and are replaced while a cluster works: real nodes, whose messages take a tick. */
#include "tests/unit/partition_cluster.h"

#include <stdio.h>

#include "core/agents/configurations.h"
#include "core/formats/configuration.h"

enum { OPERATOR = 1 << 30 }; /* tokens of operators begin here */

static struct cluster c;
static char reply[CONFIGURATION_TEXT_MAX + 256]; /* of the last request */
static uint8_t reply_tag, reply_outcome;
static size_t replies;
static uint64_t known[MEMBERS_MAX + 1], settled[MEMBERS_MAX + 1]; /* by node: what it told its host */
static node_set told_by;                                          /* nodes that have told another one a configuration */
static struct payload texts[MEMBERS_MAX + 1];                     /* that are being given to nodes */

static void note(const struct cluster *cluster, uint32_t node, const struct effect *e)
{
    (void)cluster;
    if (e->tag == EFFECT_CONFIGURATION) {
        const struct configured *said = &e->val.configuration;
        struct configuration read;
        *(said->settled ? &settled[node] : &known[node]) = said->configuration.slot;
        assert_int_equal(said->settled, said->text.len == 0);
        assert_true(said->settled || configuration_unpack(&said->text, said->configuration.slot, &read));
    }
    if (e->tag == EFFECT_SEND && e->val.send.message.kind == MESSAGE_CONFIGURATION && e->val.send.message.entries.len == 1)
        told_by |= node_set_of(node);
    if (e->tag != EFFECT_REPLY || e->val.reply.token < OPERATOR)
        return;
    struct reply_item item = {0};
    size_t at = 0;
    reply[0] = '\0';
    reply_outcome = e->val.reply.outcome;
    if (reply_outcome == OUTCOME_EXECUTED) {
        assert_true(replies_next(&e->val.reply.replies, &at, &item));
        memcpy(reply, item.bytes.ptr, item.bytes.len);
        reply[item.bytes.len] = '\0';
    }
    reply_tag = item.tag;
    replies++;
}

static bool acceptors_tell; /* the learners */

/* Proposers 1 and 2, acceptors 3 to 5, learners 6 and 7. */
enum { APART = 7 };
static const uint8_t apart_duties[APART + 1] = {
    0, DUTY_PROPOSES, DUTY_PROPOSES, DUTY_ACCEPTS, DUTY_ACCEPTS, DUTY_ACCEPTS, DUTY_LEARNS, DUTY_LEARNS};

/* A cluster of coordinators, but for APART members. */
static struct node_config settings(uint32_t members)
{
    struct node_config config = three_nodes(1);
    config.acceptors_send_learns = acceptors_tell;
    config.state_bytes_max = 100000;
    config.state_bytes_room = 1 << 20;
    if (members == APART) {
        config.proposers = 6;
        config.acceptors = 0x38;
        config.learners = 0xc0;
        return config;
    }
    config.proposers = config.acceptors = config.learners = (node_set_of(members) - 1) * 2;
    config.phase1_quorum = config.phase2_quorum = members / 2 + 1;
    return config;
}

static void tell_host_text(uint32_t node, uint64_t slot, const struct payload *text)
{
    struct event e = {.tag = EVENT_CONFIGURATION};
    payload_free(&texts[node]);
    texts[node] = payload_copy(text);
    e.val.configuration.text = texts[node];
    assert_true(configuration_unpack(text, slot, &e.val.configuration.configuration));
    member_hears(&c, node, &e);
}

static void set_member(struct configuration_text *t, uint32_t node, uint8_t duties)
{
    struct member *m = &t->members[node];
    *m = (struct member){.node = node, .duties = duties, .instance = {(uint8_t)node}, .client = "-"};
    snprintf(m->address, sizeof m->address, "10.0.0.%u:7000", node);
}

/* A cluster of coordinators, without its first configuration in the log. */
static void begin_with(uint32_t members)
{
    const struct node_config config = settings(members);
    memset(known, 0, sizeof known);
    memset(settled, 0, sizeof settled);
    cluster_init(&c, members, &config);
    c.tell = note;
    cluster_run(&c, SECOND_US);
}

/* Every host has heard all members. */
static void form(uint32_t members)
{
    struct configuration_text *t = memory_new(1, sizeof *t);
    const struct node_config config = settings(members);
    t->delay = config.alpha;
    t->setting_count = 5;
    snprintf(t->settings[0].key, CONFIGURATION_WORD_MAX, "alpha");
    snprintf(t->settings[0].value, CONFIGURATION_WORD_MAX, "%u", config.alpha);
    snprintf(t->settings[1].key, CONFIGURATION_WORD_MAX, "phase1_quorum");
    snprintf(t->settings[1].value, CONFIGURATION_WORD_MAX, "%u", config.phase1_quorum);
    snprintf(t->settings[2].key, CONFIGURATION_WORD_MAX, "phase2_quorum");
    snprintf(t->settings[2].value, CONFIGURATION_WORD_MAX, "%u", config.phase2_quorum);
    t->settings[3] = (struct configuration_setting){"state_bytes_max", "100000"};
    t->settings[4] = (struct configuration_setting){.key = "acceptors_send_learns"};
    strcpy(t->settings[4].value, acceptors_tell ? "true" : "false");
    for (uint32_t node = 1; node <= members; node++)
        set_member(t, node, members == APART ? apart_duties[node] : DUTY_ALL);
    assert_null(configuration_check(t));
    struct payload text = configuration_pack(t);
    for (uint32_t node = 1; node <= members; node++)
        tell_host_text(node, 0, &text);
    payload_free(&text);
    free(t);
    cluster_run(&c, SECOND_US);
    for (uint32_t node = 1; node <= members; node++)
        assert_true(known[node] > 0 && settled[node] == known[node]);
}

static uint32_t leader(void)
{
    uint32_t found = 0;
    for (uint32_t node = 1; node <= c.count; node++)
        if (!c.members[node].down && c.members[node].status.proposer_state == PROPOSER_LEADING)
            found = found == 0 || ballot_compare(c.members[node].status.ballot, c.members[found].status.ballot) > 0 ? node
                                                                                                                    : found;
    return found;
}

/* Asks a node, and waits for the answer. */
static void ask(uint32_t node, const char *text)
{
    static uint64_t token = OPERATOR;
    struct batch_builder b = {0};
    struct bytes args[10];
    size_t argc = 0;
    for (const char *at = text; *at != '\0';) {
        const size_t len = strcspn(at, " ");
        args[argc++] = (struct bytes){(uint8_t *)(uintptr_t)at, len};
        at += len + (at[len] == ' ');
    }
    batch_begin(&b);
    batch_add(&b, args, argc);
    struct event e = {.tag = EVENT_REQUEST, .val.request = {.token = ++token, .value = batch_end(&b)}};
    const size_t before = replies;
    member_hears(&c, node, &e);
    c.members[node].waiting++;
    for (int ticks = 0; replies == before; ticks++) {
        assert_true(ticks < 2000);
        cluster_run(&c, TICK_US);
    }
    batch_builder_free(&b);
}

static void do_ask(const char *text)
{
    cluster_run(&c, SECOND_US);
    assert_true(leader() != 0);
    ask(leader(), text);
    if (reply_tag != REPLY_STATUS)
        fail_msg("%s: %s", text, reply);
}

/* The newest configuration, as node `node` says. */
static struct configuration_text *listed(uint32_t node)
{
    struct configuration_text *t = memory_new(1, sizeof *t);
    ask(node, "CONFIGURATION");
    assert_int_equal(reply_tag, REPLY_BYTES);
    const char *text = strstr(reply, "replaces");
    assert_non_null(text);
    assert_null(configuration_read(text, strlen(text), t));
    return t;
}

/* A node begins on an empty disk, as the newest configuration says. */
static void join(uint32_t node, uint64_t number)
{
    struct configuration_text *t = listed(leader());
    struct node_config own = settings(3);
    struct cluster_member *m = &c.members[node];
    own.node = node;
    own.joined = t->members[node].duties;
    own.admitted = known[leader()];
    own.incarnation = (uint32_t)(number << 20 | 1);
    if (m->agent != NULL) {
        member_free_agent(m);
        member_clear_inbox(m, m->inbox_count);
        for (size_t n = 0; n < m->journal_count; n++)
            payload_free(&m->journal[n].entry.value);
        for (size_t n = 0; n < m->held_count; n++)
            message_free(&m->held[n].message);
        m->journal_count = m->durable = m->held_count = 0;
    }
    c.count = node > c.count ? node : c.count;
    member_new_agent(m, &own, own.joined);
    m->down = false;
    m->waiting = m->credit = 0;
    m->wake_at = 0;
    struct payload text = configuration_pack(t);
    tell_host_text(node, own.admitted, &text);
    member_hears(&c, node, &(struct event){.tag = EVENT_RECOVERED});
    payload_free(&text);
    free(t);
}

static struct node_status status_of(struct cluster_member *m)
{
    switch (m->role) {
    case ROLE_COORDINATOR:
        coordinator_audit(m->agent);
        return coordinator_status(m->agent);
    case ROLE_LEARNER:
        learner_agent_audit(m->agent);
        return learner_agent_status(m->agent);
    default:
        return (struct node_status){0};
    }
}

/* All that are up have executed the same, and nothing is under way. */
static void all_agree(node_set members)
{
    const uint32_t first = node_set_first(members);
    c.clients = 0;
    cluster_run(&c, 3 * SECOND_US);
    for (node_set i = members; i != 0; i &= i - 1) {
        const uint32_t node = node_set_first(i);
        const struct node_status a = status_of(&c.members[first]), b = status_of(&c.members[node]);
        if (a.executed != 0 && b.executed != 0) {
            assert_int_equal(b.executed, a.executed);
            assert_int_equal(b.state_hash, a.state_hash);
        }
        assert_int_equal(known[node], known[first]);
        assert_int_equal(settled[node], known[node]);
    }
    c.clients = CLIENTS;
}

static int tear_down(void **state)
{
    (void)state;
    acceptors_tell = false;
    cluster_close(&c);
    for (uint32_t node = 0; node <= MEMBERS_MAX; node++)
        payload_free(&texts[node]);
    return 0;
}

#define ADD(node) "MEMBER ADD " node " 10.0.0." node ":7000 - coordinator 0" node "ff00000000000000000000000000ff"

static void a_cluster_forms_when_all_were_heard(void **state)
{
    (void)state;
    begin_with(3);
    ask(leader(), ADD("4"));
    assert_int_equal(reply_tag, REPLY_ERROR);
    assert_non_null(strstr(reply, "has not formed yet"));
    ask(1, "CONFIGURATION");
    assert_int_equal(reply_tag, REPLY_ERROR);
    assert_true(c.served > 0); /* clients do not wait for it */
    form(3);
    struct configuration_text *t = listed(1);
    assert_int_equal(t->replaces, 0);
    assert_string_equal(t->members[2].address, "10.0.0.2:7000");
    free(t);
    all_agree(0xe);
}

static void a_node_is_added_and_votes_when_it_has_caught_up(void **state)
{
    (void)state;
    begin_with(3);
    form(3);
    cluster_watch(&c);
    do_ask(ADD("4"));
    struct configuration_text *t = listed(leader());
    assert_true(t->members[4].joining);
    free(t);
    cluster_run(&c, 3 * SECOND_US); /* it is not there, so it stays a learner */
    t = listed(leader());
    assert_true(t->members[4].joining);
    free(t);
    join(4, 0);
    cluster_run(&c, 3 * SECOND_US);
    t = listed(leader());
    assert_false(t->members[4].joining);
    assert_string_equal(configuration_setting(t, "phase2_quorum"), "3");
    free(t);
    assert_true(cluster_gap(&c) < SECOND_US);
    all_agree(0x1e);
}

/* One of three is gone: with the newcomer there is a quorum of four. */
static void a_newcomer_counts_for_the_quorum_that_it_makes(void **state)
{
    (void)state;
    begin_with(3);
    form(3);
    const uint32_t gone = leader() == 1 ? 2 : 1;
    c.members[gone].down = true;
    do_ask(ADD("4"));
    join(4, 0);
    cluster_run(&c, 3 * SECOND_US);
    struct configuration_text *t = listed(leader());
    assert_false(t->members[4].joining);
    free(t);
    all_agree(0x1e & ~node_set_of(gone));
}

static void any_member_is_removed_under_load(void **state)
{
    (void)state;
    char text[64];
    begin_with(5);
    form(5);
    cluster_watch(&c);
    for (uint32_t left = 5; left > 2; left--) {
        cluster_run(&c, SECOND_US);
        const uint32_t gone = leader(); /* the one that leads, each time */
        snprintf(text, sizeof text, "MEMBER REMOVE %u", gone);
        do_ask(text);
        cluster_run(&c, 3 * SECOND_US);
        assert_true(leader() != gone && leader() != 0);
        c.members[gone].down = true;
    }
    assert_true(cluster_gap(&c) < SECOND_US);
    node_set members = 0;
    for (uint32_t node = 1; node <= 5; node++)
        members |= c.members[node].down ? 0 : node_set_of(node);
    assert_int_equal(node_set_count(members), 2);
    all_agree(members);
}

/* The disk of a node is lost. Its number says which instance it is. The new one knows nothing of what the old one did. */
static void a_lost_disk_is_replaced(void **state)
{
    (void)state;
    char text[128];
    begin_with(3);
    form(3);
    for (uint32_t round = 1; round <= 6; round++) {
        const uint32_t node = 1 + round % 3;
        c.members[node].down = true;
        cluster_run(&c, 3 * SECOND_US);
        snprintf(text, sizeof text, "MEMBER REPLACE %u %02uaa0000000000000000000000000000", node, 10 + round);
        do_ask(text);
        cluster_watch(&c);
        join(node, 1 + (round - 1) / 3);
        cluster_run(&c, 3 * SECOND_US);
        assert_true(cluster_gap(&c) < SECOND_US);
        all_agree(0xe);
    }
}

/* A request that is sent twice replaces one disk: the leader compares the number, whatever its sender knows. */
static void a_disk_is_replaced_once(void **state)
{
    (void)state;
    begin_with(3);
    form(3);
    const uint32_t node = leader() == 3 ? 2 : 3;
    char text[128];
    c.members[node].down = true;
    cluster_run(&c, 3 * SECOND_US);
    snprintf(text, sizeof text, "MEMBER REPLACE %u 0baa0000000000000000000000000000 DISK 0", node);
    do_ask(text);
    assert_non_null(strstr(reply, "done: the configuration of slot "));
    const uint64_t slot = known[leader()];
    snprintf(text, sizeof text, "MEMBER REPLACE %u 0caa0000000000000000000000000000 DISK 0", node);
    do_ask(text);
    assert_non_null(strstr(reply, "nothing was done: "));
    assert_non_null(strstr(reply, "the node has disk number 1"));
    snprintf(text, sizeof text, "MEMBER REPLACE %u 0daa0000000000000000000000000000 DISK 2", node);
    ask(leader(), text);
    assert_int_equal(reply_tag, REPLY_ERROR);
    assert_non_null(strstr(reply, "such a disk is not known yet"));
    assert_int_equal(known[leader()], slot);
    ask(leader() == 1 ? 5 - node : 1, "MEMBER LIST"); /* the leader knows the newest one, others perhaps not yet */
    assert_int_equal(reply_outcome, OUTCOME_MOVED);
}

/* The log is far longer than the window of an acceptor that begins with slot 1. When another node is gone, nothing is chosen
 * without it. */
static void a_new_disk_votes_though_the_log_is_long(void **state)
{
    (void)state;
    begin_with(3);
    form(3);
    const uint64_t window = 4 * settings(3).alpha;
    for (int s = 0; status_of(&c.members[1]).executed < 10 * window; s++) {
        assert_true(s < 200);
        cluster_run(&c, SECOND_US);
    }
    const uint32_t replaced = leader() == 2 ? 3 : 2, gone = 6 - leader() - replaced;
    char text[128];
    c.members[replaced].down = true;
    cluster_run(&c, 3 * SECOND_US);
    snprintf(text, sizeof text, "MEMBER REPLACE %u 07aa0000000000000000000000000000", replaced);
    do_ask(text);
    join(replaced, 1);
    cluster_run(&c, 3 * SECOND_US);
    c.members[gone].down = true;
    cluster_watch(&c);
    const uint64_t served = c.served;
    cluster_run(&c, 3 * SECOND_US);
    assert_true(c.served > served && cluster_gap(&c) < SECOND_US);
    all_agree(0xe & ~node_set_of(gone));
}

static void what_is_not_safe_is_refused_without_force(void **state)
{
    (void)state;
    begin_with(3);
    form(3);
    const uint32_t leads = leader();
    c.members[leads == 1 ? 2 : 1].down = true;
    cluster_run(&c, 2 * SECOND_US);
    char text[64];
    ask(leader(), leads == 3 ? "MEMBER REMOVE 2" : "MEMBER REMOVE 3"); /* the other one that is up */
    assert_int_equal(reply_tag, REPLY_ERROR);
    assert_non_null(strstr(reply, "not safe now"));
    snprintf(text, sizeof text, "MEMBER REMOVE %u DRY-RUN", leads == 1 ? 2u : 1u);
    do_ask(text);
    assert_non_null(strstr(reply, "it would be done"));
    ask(leader(), "MEMBER LIST");
    assert_non_null(strstr(reply, "replaces 0"));
    snprintf(text, sizeof text, "MEMBER REMOVE %u", leads == 1 ? 2u : 1u);
    do_ask(text);
    all_agree(0xe & ~node_set_of(leads == 1 ? 2 : 1));
}

/* A change is settled when a majority of the learners holds what is before it: those that would count must be there. */
static void learners_that_are_gone_keep_others_from_being_removed(void **state)
{
    (void)state;
    begin_with(APART);
    form(APART);
    do_ask("MEMBER ADD 8 10.0.0.8:7000 - learner 08ff00000000000000000000000000ff");
    join(8, 0);
    cluster_run(&c, 3 * SECOND_US);
    c.members[8].down = true;
    cluster_run(&c, 3 * SECOND_US);
    ask(leader(), "MEMBER REMOVE 7");
    assert_int_equal(reply_tag, REPLY_ERROR);
    assert_non_null(strstr(reply, "only 1 keep up"));
    ask(leader(), "MEMBER REMOVE 8");
    assert_int_equal(reply_tag, REPLY_STATUS);
    cluster_run(&c, SECOND_US);
    do_ask("MEMBER REMOVE 7"); /* one is left */
    c.members[7].down = true;
    all_agree(0x7e);
}

/* Proposers that are gone keep the last one from being removed, or put on another disk: no node could lead. */
static void one_that_can_lead_stays(void **state)
{
    (void)state;
    begin_with(APART);
    form(APART);
    const uint32_t leads = leader();
    char text[80];
    c.members[3 - leads].down = true;
    cluster_run(&c, 2 * SECOND_US);
    snprintf(text, sizeof text, "MEMBER REMOVE %u", leads);
    ask(leads, text);
    assert_int_equal(reply_tag, REPLY_ERROR);
    assert_non_null(strstr(reply, "of the proposers that there would be, none is heard"));
    snprintf(text, sizeof text, "MEMBER REPLACE %u 0%uff00000000000000000000000000ff", leads, leads);
    ask(leads, text);
    assert_int_equal(reply_tag, REPLY_ERROR);
    snprintf(text, sizeof text, "MEMBER REMOVE %u", 3 - leads);
    do_ask(text);
    all_agree(0xfe & ~node_set_of(3 - leads));
}

/* A proposer that has heard of two changes too late can still lead below the boundary of the second one. */
static void a_proposer_that_missed_changes_finishes_them(void **state)
{
    (void)state;
    begin_with(APART);
    form(APART);
    const uint32_t leads = leader(), apart = 3 - leads;
    for (uint32_t node = 1; node <= c.count; node++)
        c.cut[node] = node == apart ? ~(node_set)0 : node_set_of(apart);
    do_ask("SETTINGS SET phase1_quorum 3");
    cluster_run(&c, 2 * SECOND_US);
    ask(leads, "SETTINGS SET phase2_quorum 1");
    assert_int_equal(reply_tag, REPLY_STATUS);
    const uint64_t pending = known[6] > known[7] ? known[6] : known[7];
    assert_true(settled[6] < pending && settled[7] < pending);
    c.members[leads].down = true;
    memset(c.cut, 0, sizeof c.cut);
    cluster_run(&c, 5 * SECOND_US);
    assert_int_equal(leader(), apart);
    assert_true(settled[6] == pending && settled[7] == pending);
    all_agree(0xfe & ~node_set_of(leads));
}

static void quorums_are_settings(void **state)
{
    (void)state;
    begin_with(5);
    form(5);
    do_ask("SETTINGS SET phase1_quorum 4");
    do_ask("SETTINGS SET phase2_quorum 2");
    struct configuration_text *t = listed(3);
    assert_string_equal(configuration_setting(t, "phase2_quorum"), "2");
    free(t);
    ask(leader(), "SETTINGS SET phase2_quorum 1");
    assert_int_equal(reply_tag, REPLY_ERROR);
    all_agree(0x3e);
}

/* A state that some learner has no memory for is refused; dry runs say so. */
static void the_size_of_the_state_is_a_setting(void **state)
{
    (void)state;
    begin_with(3);
    form(3);
    do_ask("SETTINGS SET state_bytes_max 1048576 DRY-RUN");
    do_ask("SETTINGS SET state_bytes_max 1048576");
    struct configuration_text *t = listed(3);
    assert_string_equal(configuration_setting(t, "state_bytes_max"), "1048576");
    assert_int_equal(configuration_first(t, "state_bytes_max"), 100000);
    free(t);
    cluster_run(&c, SECOND_US);
    ask(leader(), "SETTINGS SET state_bytes_max 1048577 DRY-RUN");
    assert_int_equal(reply_tag, REPLY_ERROR);
    assert_non_null(strstr(reply, "too little memory (memory_bytes_max) on node 1, which has room for a state of 1024 KiB"));
    do_ask("SETTINGS SET state_bytes_max 1048577 FORCE");
    do_ask("SETTINGS SET state_bytes_max 65536");
    do_ask(ADD("4"));
    cluster_run(&c, SECOND_US);
    ask(leader(), "SETTINGS SET state_bytes_max 100000"); /* it is not there */
    assert_non_null(strstr(reply, "not known whether there is memory for such a state on node 4"));
    join(4, 0);
    cluster_run(&c, 3 * SECOND_US);
    do_ask("SETTINGS SET state_bytes_max 100000");
    all_agree(0x1e);
}

/* More or fewer slots in flight, under load; a node that was down, and one that joins, find the way. */
static void alpha_is_a_setting(void **state)
{
    (void)state;
    begin_with(3);
    form(3);
    const char *const values[] = {"256", "1", "16", "2"};
    cluster_watch(&c);
    for (size_t i = 0; i < 4; i++) {
        char text[64];
        const uint64_t served = c.served;
        snprintf(text, sizeof text, "SETTINGS SET alpha %s", values[i]);
        do_ask(text);
        cluster_run(&c, 2 * SECOND_US);
        assert_true(c.served > served);
    }
    assert_true(cluster_gap(&c) < SECOND_US);
    struct configuration_text *t = listed(2);
    assert_string_equal(configuration_setting(t, "alpha"), "2");
    free(t);
    do_ask(ADD("4"));
    join(4, 0);
    cluster_run(&c, 3 * SECOND_US);
    do_ask("SETTINGS SET alpha 64");
    all_agree(0x1e);
}

/* Nodes with one role each: those that do not learn ask the learners. */
static void roles_of_their_own_change_too(void **state)
{
    (void)state;
    begin_with(APART);
    form(APART);
    cluster_watch(&c);
    do_ask("MEMBER ADD 8 10.0.0.8:7000 - acceptor 08ff00000000000000000000000000ff");
    join(8, 0);
    cluster_run(&c, 2 * SECOND_US);
    struct configuration_text *t = listed(leader());
    assert_string_equal(configuration_setting(t, "phase2_quorum"), "3");
    free(t);
    do_ask("MEMBER REMOVE 3");
    cluster_run(&c, 2 * SECOND_US);
    c.members[3].down = true;
    do_ask("MEMBER ADD 9 10.0.0.9:7000 - learner 09ff00000000000000000000000000ff");
    join(9, 0);
    cluster_run(&c, 3 * SECOND_US);
    t = listed(leader());
    assert_false(t->members[9].joining);
    free(t);
    do_ask("MEMBER REMOVE 6");
    cluster_run(&c, 2 * SECOND_US);
    c.members[6].down = true;
    const uint32_t gone = leader();
    do_ask(gone == 1 ? "MEMBER REMOVE 1" : "MEMBER REMOVE 2");
    cluster_run(&c, 3 * SECOND_US);
    c.members[gone].down = true;
    assert_true(leader() == 3 - gone);
    assert_true(cluster_gap(&c) < SECOND_US);
    do_ask("MEMBER REPLACE 4 04ee0000000000000000000000000000");
    join(4, 1);
    cluster_run(&c, 2 * SECOND_US);
    all_agree(node_set_of(3 - gone) | 0x3b0); /* without 3 and 6 */

    /* A learner that hears no other learner may ask the leader. */
    const struct message ask_it = {.kind = MESSAGE_CONFIGURATION};
    const struct event e = {.tag = EVENT_MESSAGE, .val.message = {.sender = 7, .message = message_copy(&ask_it)}};
    told_by = 0;
    member_hears(&c, 3 - gone, &e);
    cluster_run(&c, SECOND_US / 10);
    assert_true(node_set_has(told_by, 3 - gone));
}

/* As any_member_is_removed_under_load, but learners count votes themselves. */
static void learners_count_by_the_configuration_of_a_slot(void **state)
{
    acceptors_tell = true;
    any_member_is_removed_under_load(state);
}

static void disks_are_replaced_where_learners_count(void **state)
{
    acceptors_tell = true;
    a_lost_disk_is_replaced(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_cluster_forms_when_all_were_heard, tear_down),
        cmocka_unit_test_teardown(a_node_is_added_and_votes_when_it_has_caught_up, tear_down),
        cmocka_unit_test_teardown(a_newcomer_counts_for_the_quorum_that_it_makes, tear_down),
        cmocka_unit_test_teardown(any_member_is_removed_under_load, tear_down),
        cmocka_unit_test_teardown(a_lost_disk_is_replaced, tear_down),
        cmocka_unit_test_teardown(a_disk_is_replaced_once, tear_down),
        cmocka_unit_test_teardown(a_new_disk_votes_though_the_log_is_long, tear_down),
        cmocka_unit_test_teardown(what_is_not_safe_is_refused_without_force, tear_down),
        cmocka_unit_test_teardown(learners_that_are_gone_keep_others_from_being_removed, tear_down),
        cmocka_unit_test_teardown(one_that_can_lead_stays, tear_down),
        cmocka_unit_test_teardown(a_proposer_that_missed_changes_finishes_them, tear_down),
        cmocka_unit_test_teardown(quorums_are_settings, tear_down),
        cmocka_unit_test_teardown(the_size_of_the_state_is_a_setting, tear_down),
        cmocka_unit_test_teardown(alpha_is_a_setting, tear_down),
        cmocka_unit_test_teardown(roles_of_their_own_change_too, tear_down),
        cmocka_unit_test_teardown(learners_count_by_the_configuration_of_a_slot, tear_down),
        cmocka_unit_test_teardown(disks_are_replaced_where_learners_count, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
