/* A proposer agent of nine nodes, whose other nodes the test plays: what it is told, what it sends, and how it comes to
 * lead. */
#ifndef SYNOD_TESTS_UNIT_PROPOSER_AGENT_FIXTURE_H
#define SYNOD_TESTS_UNIT_PROPOSER_AGENT_FIXTURE_H

#include "core/agents/proposer_agent.h"

#include "core/formats/batch.h"
#include "tests/unit/protocol.h"

/* Node 9 of nine: the proposer with the highest number, which no other node keeps from leading. */
static struct node_config config;
static struct proposer_agent *agent;
static uint64_t now;
static struct step_result r; /* of the last step */

static uint64_t question; /* number of the last one asked */
static uint64_t proposed; /* the highest slot proposed so far */

static inline void step(const struct event *events, size_t count)
{
    r = proposer_agent_step(agent, now, 1, events, count);
    if (sent(&r, MESSAGE_ASK) != NULL)
        question = sent(&r, MESSAGE_ASK)->message.from;
    const struct outgoing *accept = sent(&r, MESSAGE_ACCEPT);
    for (size_t i = 0; accept != NULL && i < accept->message.entries.len; i++)
        if (accept->message.entries.ptr[i].slot > proposed)
            proposed = accept->message.entries.ptr[i].slot;
}

static inline void start(void)
{
    struct event events[] = {{.tag = EVENT_RECOVERED}, durable(0)};
    proposed = 0;
    agent = proposer_agent_new(&config);
    step(events, 2);
}

static inline int set_up(void **state)
{
    (void)state;
    config = nine_nodes(9);
    now = 1000000;
    start();
    return 0;
}

static inline int set_up_forwarding(void **state)
{
    (void)state;
    config = nine_nodes(8);
    config.forward = true;
    now = 1000000;
    start();
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    proposer_agent_free(agent);
    return 0;
}

static inline void tell(uint32_t sender, struct message m)
{
    struct event e = from(sender, m);
    step(&e, 1);
}

static inline uint8_t state_now(void) { return proposer_agent_status(agent).proposer_state; }

/* Time passes; the other proposers are heard, and the acceptors answer a heartbeat of just now. */
static inline void pass(uint64_t time, node_set heard)
{
    struct event events[16];
    size_t count = 0;
    now += time;
    for (node_set i = heard; i != 0; i &= i - 1) {
        uint32_t node = node_set_first(i);
        struct message m = {.kind = MESSAGE_HEARTBEAT};
        if (!node_set_has(config.proposers, node))
            m = (struct message){.kind = MESSAGE_ALIVE, .ballot = proposer_agent_status(agent).ballot, .to = now};
        events[count++] = from(node, m);
    }
    step(events, count);
}

/* The same in many steps: this node is awake all the while. */
static inline void pass_awake(uint64_t time, node_set heard)
{
    const uint64_t once = config.heartbeat_interval;
    for (; time > once; time -= once)
        pass(once, heard);
    pass(time, heard);
}

static inline void answer_question(uint32_t acceptor, bool lost)
{
    tell(acceptor, (struct message){.kind = MESSAGE_LOST, .flags = lost ? MESSAGE_YES : 0, .from = question});
}

static inline void promise(uint32_t acceptor, struct ballot ballot, uint64_t floor)
{
    tell(acceptor,
         (struct message){
             .kind = MESSAGE_PROMISE, .flags = MESSAGE_LAST, .ballot = ballot, .from = floor, .to = floor, .floor = floor});
}

/* A quorum has lost the leader; one that has stood back is asked a second time, because the first answer only makes it
 * fit. */
static inline void be_elected(void)
{
    for (int i = 0; i < 3 && state_now() != PROPOSER_PREPARING; i++) {
        answer_question(4, true);
        answer_question(5, true);
        if (state_now() != PROPOSER_PREPARING)
            pass(config.prepare_timeout, 0);
    }
}

/* Makes the agent the leader; returns its ballot. */
static inline struct ballot lead(void)
{
    be_elected();
    struct ballot ballot = proposer_agent_status(agent).ballot;
    promise(4, ballot, 1);
    promise(5, ballot, 1);
    assert_int_equal(state_now(), PROPOSER_LEADING);
    return ballot;
}

static inline void submit(uint64_t token)
{
    struct batch_builder b = {0};
    struct bytes arg = {(uint8_t *)(uintptr_t)"DBSIZE", 6};
    batch_begin(&b);
    batch_add(&b, &arg, 1);
    struct event e = {.tag = EVENT_COMMANDS, .val.commands = {.token = token, .value = batch_end(&b)}};
    step(&e, 1);
    batch_builder_free(&b);
}

static inline const struct client_reply *reply(void)
{
    const struct effect *e = effect_of(&r, EFFECT_REPLY, 0);
    return e != NULL ? &e->val.reply : NULL;
}

static inline void executed(uint64_t number, uint64_t slot, uint8_t flags)
{
    struct entry entry = {.slot = slot, .value = text_payload("replies")};
    tell(1, (struct message){.kind = MESSAGE_EXECUTED,
                             .flags = flags,
                             .from = slot,
                             .batch = {config.node, 1, number},
                             .entries = {&entry, flags == 0}});
}

static inline void votes(struct ballot ballot, uint64_t first, uint64_t end)
{
    for (uint32_t acceptor = 4; acceptor <= 5; acceptor++)
        tell(acceptor, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = ballot, .from = first, .to = end});
}

static inline void progress(uint64_t executed_to, uint64_t held)
{
    for (uint32_t learner = 1; learner <= 3; learner++)
        tell(learner, (struct message){.kind = MESSAGE_PROGRESS, .to = executed_to, .floor = held});
}

#define TEST(name)      cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_OF_8(name) cmocka_unit_test_setup_teardown(name, set_up_forwarding, tear_down)

#endif
