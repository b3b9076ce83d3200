/* sim/checks_configurations.c: which configuration governs which slots, and what must not be done under another one. */
#include <stdio.h>

#include "core/base/memory.h"
#include "core/formats/configuration.h"
#include "tests/unit/checks_story.h"

static struct configuration_text text;
static struct payload chosen[4];
static size_t chosen_count;

/* Coordinators of this set, with such quorums, in the place of the configuration of slot `replaces`. */
static struct payload *configuration_with(node_set members, uint64_t replaces, uint32_t phase1, uint32_t phase2)
{
    memset(&text, 0, sizeof text);
    text.replaces = replaces;
    text.delay = ALPHA;
    text.settings[0] = (struct configuration_setting){"alpha", "8"};
    text.settings[1] = (struct configuration_setting){.key = "phase1_quorum"};
    text.settings[2] = (struct configuration_setting){.key = "phase2_quorum"};
    text.setting_count = 3;
    snprintf(text.settings[1].value, CONFIGURATION_WORD_MAX, "%u", phase1);
    snprintf(text.settings[2].value, CONFIGURATION_WORD_MAX, "%u", phase2);
    for (node_set i = members; i != 0; i &= i - 1) {
        struct member *m = &text.members[node_set_first(i)];
        *m = (struct member){.node = node_set_first(i), .duties = DUTY_ALL, .instance = {(uint8_t)node_set_first(i)}};
        snprintf(m->address, sizeof m->address, "10.0.0.%u:7000", m->node);
        snprintf(m->client, sizeof m->client, "-");
    }
    chosen[chosen_count] = configuration_pack(&text);
    return &chosen[chosen_count++];
}

/* All below slot `slot` is chosen at b1, and then this configuration there. */
static void choose_configuration(uint64_t slot, const struct payload *value)
{
    for (uint64_t s = checks_chosen_prefix(c); s < slot; s++)
        choose(s, b1, 0);
    for (uint32_t node = 1; node <= 2; node++) {
        append(node, RECORD_ACCEPTED,
               (struct entry){.slot = slot, .ballot = b1, .kind = ENTRY_CONFIGURATION, .value = *value}, 0);
        sync_disk(node);
    }
}

static void prepare(struct ballot ballot, uint64_t with)
{
    for (uint32_t node = 1; node <= 3; node++)
        if (node != ballot.node)
            checks_received(c, ballot.node, node, &(struct message){.kind = MESSAGE_LOST, .flags = MESSAGE_YES});
    say(ballot.node, (struct message){.kind = MESSAGE_PREPARE, .ballot = ballot, .from = 1, .to = with});
    for (uint32_t node = 1; node <= 3; node++)
        promise(node, ballot);
}

static void forget_chosen(void)
{
    for (; chosen_count > 0; chosen_count--)
        payload_free(&chosen[chosen_count - 1]);
}

static int forget(void **state)
{
    forget_chosen();
    return tear_down(state);
}

static int begin(void **state)
{
    chosen_count = 0;
    return set_up(state);
}

/* ---- Which one governs ---- */

static void a_change_governs_alpha_slots_later(void **unused)
{
    (void)unused;
    choose_configuration(3, configuration_with(0xe, 0, 3, 1));
    is_sound();
    assert_int_equal(checks_configuration(c).slot, 3);
    assert_int_equal(checks_configuration(c).governs, 3 + ALPHA);
    for (uint64_t slot = 4; slot < 3 + ALPHA; slot++) {
        vote(1, slot, b1, 0);
        assert_int_equal(checks_chosen_prefix(c), slot);
        vote(2, slot, b1, 0);
    }
    promise(3, b2);
    promise(1, b2);
    promise(2, b2);
    vote(1, 3 + ALPHA, b2, 0);
    assert_int_equal(checks_chosen_prefix(c), 3 + ALPHA + 1);
    is_sound();
}

static void what_replaces_another_one_is_void(void **unused)
{
    (void)unused;
    choose_configuration(2, configuration_with(0xe, 1, 2, 2));
    assert_int_equal(checks_configuration(c).slot, 0);
    choose_configuration(3, configuration_with(0xe, 0, 2, 2));
    assert_int_equal(checks_configuration(c).slot, 3);
    choose_configuration(5, configuration_with(0xe, 3, 2, 2)); /* the one of slot 3 does not govern yet */
    assert_int_equal(checks_configuration(c).slot, 3);
    assert_int_equal(checks_reached(c)[REACHED_VOID_CHANGE], 2);
    assert_int_equal(checks_reached(c)[REACHED_FORMED], 1);
    is_sound();
}

/* A phase-1 quorum of the configuration that governs: two promises are none where three are. */
static void a_quorum_of_the_old_one_elects_nobody(void **unused)
{
    (void)unused;
    choose_configuration(3, configuration_with(0xe, 0, 3, 1));
    for (uint64_t slot = 4; slot < 3 + ALPHA; slot++)
        choose(slot, b1, 0);
    promise(1, b2);
    promise(2, b2);
    vote(2, 3 + ALPHA, b2, 0);
    breaks(CHECK_AGREEMENT);
}

/* ---- Ballots ---- */

static void a_ballot_has_one_configuration(void **unused)
{
    (void)unused;
    choose_configuration(3, configuration_with(0xe, 0, 2, 2));
    prepare(b2, 0);
    propose(b2, 4, 4, 0);
    propose(b2, 4, 3 + ALPHA - 1, 0);
    is_sound();
    propose(b2, 4, 3 + ALPHA, 0);
    breaks(CHECK_CONFIGURATIONS);
}

static void a_configuration_that_is_not_chosen_prepares_nothing(void **unused)
{
    (void)unused;
    say(1, (struct message){.kind = MESSAGE_PREPARE, .ballot = b2, .from = 1, .to = 7});
    breaks(CHECK_BALLOT_UNIQUE);
    say(2, (struct message){.kind = MESSAGE_PREPARE, .ballot = b2, .from = 1, .to = 7});
    breaks(CHECK_CONFIGURATIONS);
}

/* ---- Instances ---- */

/* Node 3 comes back as instance 1, which the configuration of slot 3 admits. */
static void replace_node_3(void)
{
    struct payload *value = configuration_with(0xe, 0, 2, 2);
    text.members[3].number = 1;
    payload_free(value);
    *value = configuration_pack(&text);
    choose_configuration(3, value);
    checks_down(c, 3);
    checks_replaced(c, 3, 1, 3);
    lsn[3] = 0;
    lives[3] = 1 << 20 | 1;
    checks_starts(c, 3, lives[3]);
    checks_up(c, 3);
}

/* An acceptor may hear late what node 3 has said before its disk was replaced. */
static void what_an_earlier_instance_said_may_come_late(void **unused)
{
    (void)unused;
    struct payload *value = configuration_with(0xe, 0, 2, 2);
    text.members[3].number = 1;
    payload_free(value);
    *value = configuration_pack(&text);
    choose_configuration(3, value);
    checks_down(c, 3);
    checks_replaced(c, 3, 1, 3);
    promise(1, b3);
    is_sound();
    promise(1, (struct ballot){4, 3, 2});
    breaks(CHECK_BALLOT_UNIQUE);
}

static void a_later_instance_votes_from_its_admission_on(void **unused)
{
    (void)unused;
    replace_node_3();
    is_sound();
    vote(3, 3 + ALPHA, b1, 0);
    is_sound();
    vote(3, 3 + ALPHA - 1, b1, 0);
    breaks(CHECK_CONFIGURATIONS);
}

static void a_later_instance_promises_from_its_admission_on(void **unused)
{
    (void)unused;
    replace_node_3();
    promise(3, b2);
    say(3,
        (struct message){
            .kind = MESSAGE_PROMISE, .flags = MESSAGE_LAST, .ballot = b2, .from = 3 + ALPHA, .to = 3 + ALPHA, .floor = 1});
    is_sound();
    say(3, (struct message){.kind = MESSAGE_PROMISE, .flags = MESSAGE_LAST, .ballot = b2, .from = 4, .to = 4, .floor = 1});
    breaks(CHECK_CONFIGURATIONS);
}

/* A vote of the later instance does not choose in a slot of the earlier one, and the other way round. */
static void a_promise_of_the_earlier_instance_counts_before(void **unused)
{
    (void)unused;
    promise(3, b2);
    replace_node_3();
    promise(1, b2);
    propose(b2, 4, 4, 0);
    is_sound();
    promise(2, b3);
    vote(2, 3 + ALPHA, b3, 0);
    breaks(CHECK_AGREEMENT);
}

/* ---- What nodes say ---- */

static void progress_names_the_newest_configuration(void **unused)
{
    (void)unused;
    choose_configuration(3, configuration_with(0xe, 0, 2, 2));
    say(1, (struct message){.kind = MESSAGE_PROGRESS, .to = 3, .floor = 1});
    say(1, (struct message){.kind = MESSAGE_PROGRESS, .to = 4, .floor = 1, .chosen = 3});
    is_sound();
    say(1, (struct message){.kind = MESSAGE_PROGRESS, .to = 4, .floor = 1});
    breaks(CHECK_CONFIGURATIONS);
}

static void all_have_the_same_configurations(void **unused)
{
    (void)unused;
    struct payload *value = configuration_with(0xe, 0, 2, 2), *other = configuration_with(0xe, 0, 3, 2);
    choose_configuration(3, value);
    checks_configured(c, 1, 3, value);
    is_sound();
    checks_configured(c, 1, 3, other);
    breaks(CHECK_CONFIGURATIONS);
}

static void it_is_over_when_a_majority_holds_what_was_before(void **unused)
{
    (void)unused;
    choose_configuration(3, configuration_with(0xe, 0, 2, 2));
    for (uint64_t slot = 4; slot < 3 + ALPHA; slot++)
        choose(slot, b1, 0);
    mark(1, 1, 3 + ALPHA);
    mark(2, 1, 3 + ALPHA);
    assert_true(checks_settled(c));
    checks_configured(c, 1, 3, NULL);
    is_sound();
    begin_again();
    forget_chosen();
    choose_configuration(3, configuration_with(0xe, 0, 2, 2));
    for (uint64_t slot = 4; slot < 3 + ALPHA; slot++)
        choose(slot, b1, 0);
    mark(1, 1, 3 + ALPHA);
    assert_false(checks_settled(c));
    checks_configured(c, 1, 3, NULL);
    breaks(CHECK_CONFIGURATIONS);
}

#define TOLD(name) cmocka_unit_test_setup_teardown(name, begin, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOLD(a_change_governs_alpha_slots_later),
        TOLD(what_replaces_another_one_is_void),
        TOLD(a_quorum_of_the_old_one_elects_nobody),
        TOLD(a_ballot_has_one_configuration),
        TOLD(a_configuration_that_is_not_chosen_prepares_nothing),
        TOLD(what_an_earlier_instance_said_may_come_late),
        TOLD(a_later_instance_votes_from_its_admission_on),
        TOLD(a_later_instance_promises_from_its_admission_on),
        TOLD(a_promise_of_the_earlier_instance_counts_before),
        TOLD(progress_names_the_newest_configuration),
        TOLD(all_have_the_same_configurations),
        TOLD(it_is_over_when_a_majority_holds_what_was_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
