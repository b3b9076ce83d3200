/* core/runners/runner.c with ports that the test holds: recovery first, nothing early, nothing to itself, and what stops
 * it. */
#include <signal.h>
#include <sys/wait.h>

#include "core/formats/batch.h"
#include "tests/unit/configuration_text.h"
#include "tests/unit/runner_fixture.h"

static int set_up_acceptor(void **state)
{
    (void)state;
    begin(nine_nodes(4));
    runner_turn(runner, now, NEWS_ALL); /* nothing to recover */
    return 0;
}

static int set_up_learner(void **state)
{
    (void)state;
    begin(nine_nodes(1));
    runner_turn(runner, now, NEWS_ALL);
    return 0;
}

static int set_up_empty(void **state)
{
    (void)state;
    begin(nine_nodes(4));
    return 0;
}

static void keep_record(struct log_record record)
{
    uint64_t words[32];
    struct packet packet;
    record_encode(&record, words, &packet);
    keep(&ports, &packet);
}

static void nothing_happens_before_all_is_recovered(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 5; i++)
        keep_record((struct log_record){.lsn = i, .kind = RECORD_ACCEPTED, .entry = entry_at(i, ballot_of(3, 8), "x")});
    ports.durable = 5;
    for (int turn = 0; turn < 4; turn++) {
        assert_int_equal(runner_turn(runner, now, NEWS_ALL), now); /* at once again */
        assert_int_equal(ports.sent_count, 0);
    }
    assert_int_equal(runner_status(runner).promised.round, 3);
    tell(9, (struct message){.kind = MESSAGE_PREPARE, .ballot = ballot_of(4, 9), .from = 1});
    assert_int_equal(ports.journal_count, 6); /* numbered on from what was there */
    ports.durable = 6;
    runner_turn(runner, now, NEWS_ALL);
    assert_int_equal(sent_of(MESSAGE_PROMISE), 1);
    assert_int_equal(ports.entries_sent, 5);
}

/* Clients that wait for a recovering node are sent to the leader; all other messages to it are lost. */
static void who_leads_is_known_while_it_recovers(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 5; i++)
        keep_record((struct log_record){.lsn = i, .kind = RECORD_ACCEPTED, .entry = entry_at(i, ballot_of(3, 8), "x")});
    ports.durable = 5;
    tell(8, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(7, 9)});
    tell(8, (struct message){.kind = MESSAGE_HEARTBEAT, .ballot = ballot_of(7, 8)});
    assert_int_equal(ports.leader, 0);
    tell(9, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(7, 9)});
    assert_int_equal(ports.leader, 9);
    tell(9, (struct message){.kind = MESSAGE_PREPARE, .ballot = ballot_of(7, 9), .from = 1});
    runner_turn(runner, now, NEWS_ALL);
    assert_int_equal(ports.journal_count, 5); /* the promise was not heard of */
    assert_int_equal(ports.sent_count, 0);
    assert_int_equal(runner_status(runner).promised.round, 3);
}

/* A proposer with the highest number resigns while this one recovers, or its process ends: it is not waited for, unless it
 * has spoken since. */
static void who_resigns_while_it_recovers_is_not_waited_for(void **state)
{
    for (int speaks = 0; speaks < 2; speaks++) {
        begin(nine_nodes(8));
        for (uint64_t i = 1; i <= 5; i++)
            keep_record((struct log_record){.lsn = i, .kind = RECORD_ACCEPTED, .entry = entry_at(i, ballot_of(3, 8), "x")});
        ports.durable = 5;
        tell(9, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_RESIGNED});
        tell(9, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = speaks ? 0 : MESSAGE_RESIGNED});
        while (runner_turn(runner, now, NEWS_ALL) <= now)
            ;
        assert_int_equal(sent_of(MESSAGE_ASK), speaks ? 0 : 1);
        tear_down(state);
    }
}

/* What storage tells about snapshots comes before the journal, and the journal waits for the last of it. */
static void the_snapshot_comes_before_the_journal(void **state)
{
    (void)state;
    struct packet stored = {.kind = SNAPSHOT_STORED, .id = 9}, none = {.kind = SNAPSHOT_LOADED};
    keep_record((struct log_record){.lsn = 1, .kind = RECORD_PROMISED, .entry.ballot = ballot_of(3, 8)});
    ports.durable = 1;
    for (int turn = 0; turn < 3; turn++) {
        ports.told = (struct packet_list){&stored, 1};
        assert_int_equal(runner_turn(runner, now, NEWS_ALL), now);
        assert_int_equal(runner_status(runner).promised.round, 0);
    }
    ports.told = (struct packet_list){&none, 1};
    runner_turn(runner, now, NEWS_ALL);
    assert_int_equal(runner_status(runner).promised.round, 3);
}

/* An acceptor alone says by itself what it does not need. */
static void the_journal_is_cut_when_the_floor_is_durable(void **state)
{
    (void)state;
    for (uint64_t slot = 1; slot < 100; slot++) {
        for (uint32_t learner = 1; learner <= 2; learner++)
            tell(learner, (struct message){.kind = MESSAGE_PROGRESS, .to = slot, .floor = slot});
        struct entry e = entry_at(slot, ballot_of(3, 8), "x");
        tell(8, (struct message){.kind = MESSAGE_ACCEPT, .ballot = ballot_of(3, 8), .floor = slot, .entries = {&e, 1}});
    }
    assert_int_equal(ports.truncated, 0);
    ports.durable = ports.journal_count;
    runner_turn(runner, now, NEWS_ALL);
    const uint64_t first = ports.truncated;
    assert_in_range(first, 2, ports.journal_count);
    runner_turn(runner, now, NEWS_ALL); /* what the node has said meanwhile */
    assert_in_range(ports.truncated, first + 1, ports.journal_count);
}

/* P2. */
static void a_message_waits_until_its_record_is_durable(void **state)
{
    (void)state;
    tell(8, (struct message){.kind = MESSAGE_PREPARE, .ballot = ballot_of(3, 8), .from = 1});
    assert_int_equal(ports.journal_count, 1);
    assert_int_equal(sent_of(MESSAGE_PROMISE), 0);
    tell(9, (struct message){.kind = MESSAGE_PREPARE, .ballot = ballot_of(3, 9), .from = 1});
    runner_turn(runner, now, NEWS_ALL);
    assert_int_equal(ports.sent_count, 0);
    ports.durable = 1;
    runner_turn(runner, now, NEWS_ALL);
    assert_int_equal(ports.sent_count, 1);
    assert_int_equal(ports.sent[0].to, node_set_of(8));
    ports.durable = 2;
    runner_turn(runner, now, NEWS_ALL);
    assert_int_equal(ports.sent_count, 2);
    assert_int_equal(ports.sent[1].to, node_set_of(9));
    runner_turn(runner, now, NEWS_ALL);
    assert_int_equal(ports.sent_count, 2); /* each once */
}

/* Heartbeats and their answers are none. */
static void decisions_are_logged_if_wanted(void **state)
{
    (void)state;
    for (int wanted = 0; wanted <= 1; wanted++) {
        struct node_config acceptor = nine_nodes(4);
        acceptor.log_decisions = wanted;
        begin(acceptor);
        runner_turn(runner, now, NEWS_ALL);
        tell(8, (struct message){.kind = MESSAGE_PREPARE, .ballot = ballot_of(3, 8), .from = 1});
        tell(8, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(3, 8)});
        tell(7, (struct message){.kind = MESSAGE_PREPARE, .ballot = ballot_of(2, 7), .from = 1});
        assert_string_equal(ports.decisions, wanted ? "writes record 1: PROMISED 3.8\n"
                                                      "-> 8: PROMISE 3.8, votes in [1, 1): none\n"
                                                      "knows that 8 leads, at 3.8\n"
                                                      "-> 7: NACK 3.8\n"
                                                    : "");
        tear_down(state);
    }
}

static void what_waits_for_nothing_leaves_at_once(void **state)
{
    (void)state;
    tell(8, (struct message){.kind = MESSAGE_PREPARE, .ballot = ballot_of(3, 8), .from = 1});
    tell(9, (struct message){.kind = MESSAGE_ASK, .from = 1});
    assert_int_equal(ports.sent_count, 1);
    assert_int_equal(ports.sent[0].message.kind, MESSAGE_LOST);
}

static void what_waited_leaves_before_what_is_new(void **state)
{
    (void)state;
    tell(8, (struct message){.kind = MESSAGE_PREPARE, .ballot = ballot_of(3, 8), .from = 1});
    ports.durable = 1;
    tell(8, (struct message){.kind = MESSAGE_ASK, .from = 1});
    assert_int_equal(ports.sent_count, 2);
    assert_int_equal(ports.sent[0].message.kind, MESSAGE_PROMISE);
    assert_int_equal(ports.sent[1].message.kind, MESSAGE_LOST);
}

/* A disk that hangs must not fill the memory with answers that wait for it. */
static void messages_that_wait_are_bounded(void **state)
{
    struct outgoing *messages = calloc(10000, sizeof *messages);
    (void)state;
    for (size_t i = 0; i < 10000; i++)
        messages[i] = (struct outgoing){.to = 1, .message = {.kind = MESSAGE_PREPARE, .ballot = ballot_of(3, 8), .from = 1}};
    for (int i = 0; i < 7; i++)
        receive(messages, 10000, 8);
    ports.durable = 1;
    runner_turn(runner, now, NEWS_ALL);
    assert_int_equal(ports.sent_count, 65536);
    free(messages);
}

/* What does not fit is dropped: it must not leave, because its record is not durable. */
static void what_finds_no_room_is_dropped(void **state)
{
    (void)state;
    struct node_config with = nine_nodes(4);
    with.limits.withheld = 2;
    begin(with);
    runner_turn(runner, now, NEWS_ALL); /* nothing to recover */
    struct outgoing messages[5];
    for (size_t i = 0; i < 5; i++)
        messages[i] = (struct outgoing){.to = 1, .message = {.kind = MESSAGE_PREPARE, .ballot = ballot_of(3, 8), .from = 1}};
    receive(messages, 5, 8);
    assert_int_equal(ports.sent_count, 0);
    ports.durable = 1;
    runner_turn(runner, now, NEWS_ALL);
    assert_int_equal(ports.sent_count, 2);
}

static struct message long_accept(uint64_t slot)
{
    static struct entry entry;
    static uint64_t words[128];
    const struct ballot b = ballot_of(3, 8);
    entry = (struct entry){.slot = slot, .ballot = b, .value = {.words = {words, 128}, .len = sizeof words}};
    return (struct message){.kind = MESSAGE_ACCEPT, .ballot = b, .entries = {&entry, 1}, .floor = 1, .chosen = 1, .from = 1};
}

/* A disk that is slower than the others', or has no room, must not fill the memory with records; who leads is known all the
 * same. */
static void records_that_wait_are_bounded(void **state)
{
    (void)state;
    struct node_config with = nine_nodes(4);
    with.limits.unsynced = 4000;
    begin(with);
    runner_turn(runner, now, NEWS_ALL);
    for (uint64_t slot = 1; slot <= 20; slot++)
        tell(8, long_accept(slot));
    assert_int_equal(ports.journal_count, 4); /* a record is 1,064 bytes */
    const struct ballot next = ballot_of(7, 9);
    tell(9, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = next});
    assert_int_equal(ports.leader, 9);
    assert_int_equal(sent_of(MESSAGE_ALIVE), 0);
    assert_int_equal(ports.credit.commands, 0);
    ports.durable = 1;
    tell(8, long_accept(5));
    tell(8, long_accept(6));
    assert_int_equal(ports.journal_count, 5);
    for (uint64_t slot = 6; slot <= 20; slot++) { /* never, on a disk that keeps up */
        ports.durable = slot - 2;
        tell(8, long_accept(slot));
    }
    assert_int_equal(ports.journal_count, 20);
}

/* The origin of a batch sends it once. If a leader with a full queue to its disk dropped it, its clients could only be told
 * "unknown". */
static void what_is_forwarded_to_a_full_node_is_kept(void **state)
{
    enum { BATCHES = 8 };
    static uint8_t value[1000];
    struct batch_builder b = {0};
    struct bytes set[] = {{(uint8_t *)(uintptr_t)"SET", 3}, {(uint8_t *)(uintptr_t)"key", 3}, {value, sizeof value}};
    struct node_config with = alone();
    (void)state;
    with.proposers |= node_set_of(2);
    with.limits.unsynced = 2000;
    begin(with);
    for (int i = 0; i < 1000 && ports.leader != 1; i++) {
        runner_turn(runner, now += 10000, NEWS_ALL);
        ports.durable = ports.journal_count;
    }
    assert_int_equal(ports.leader, 1);
    for (uint64_t number = 1; number <= BATCHES; number++) {
        batch_begin(&b);
        batch_add(&b, set, 3);
        struct entry e = {.kind = ENTRY_COMMANDS, .value = batch_end(&b)};
        const struct batch_id id = {.origin = 2, .incarnation = 1, .number = number};
        batch_header_stamp(&e.value, id, 1);
        tell(2, (struct message){.kind = MESSAGE_FORWARD, .batch = id, .entries = {&e, 1}});
    }
    assert_int_equal(ports.credit.commands, 0); /* it is full */
    for (int i = 0; i < 100; i++) {
        ports.durable = ports.journal_count;
        runner_turn(runner, now += 1000, NEWS_ALL);
    }
    assert_int_equal(runner_status(runner).commands_executed, BATCHES);
    assert_int_equal(sent_of(MESSAGE_EXECUTED), BATCHES);
    batch_builder_free(&b);
}

/* Storage is asked when nothing has become durable for a while, and the client port told at once. */
static void a_lack_of_room_is_told(void **state)
{
    (void)state;
    assert_int_equal(ports.status_kind, STATUS_ROOM);
    ports.no_room = true;
    runner_turn(runner, now += 1000000, NEWS_ALL);
    assert_int_equal(ports.asked_room, 0); /* nothing waits */
    tell(8, (struct message){.kind = MESSAGE_PREPARE, .ballot = ballot_of(3, 8), .from = 1});
    runner_turn(runner, now += 49999, NEWS_ALL);
    assert_int_equal(ports.asked_room, 0);
    const size_t told = ports.statuses;
    runner_turn(runner, now += 1, NEWS_ALL);
    assert_int_equal(ports.asked_room, 1);
    assert_int_equal(ports.statuses, told + 1);
    assert_int_equal(ports.status_kind, STATUS_NO_ROOM);
    runner_turn(runner, now += 1, NEWS_ALL);
    assert_int_equal(ports.statuses, told + 1); /* once */
    ports.durable = 1;
    runner_turn(runner, now += 1, NEWS_ALL);
    assert_int_equal(ports.statuses, told + 2);
    assert_int_equal(ports.status_kind, STATUS_ROOM);
}

/* ports_network_send checks that. Here a node says something to all learners, and is one itself. */
static void nothing_is_sent_to_itself(void **state)
{
    (void)state;
    ports.sent_count = 0;
    now += 10000000;
    runner_turn(runner, now, NEWS_ALL);
    assert_int_equal(sent_of(MESSAGE_PROGRESS), 1);
    assert_int_equal(ports.sent[ports.sent_count - 1].to, 0x3fc);
}

/* About once a second. */
static void the_wall_clock_is_asked_for_now_and_then(void **state)
{
    (void)state;
    const uint64_t asked = ports.wall_clock_asked;
    for (int i = 0; i < 25; i++) {
        now += 100000;
        runner_turn(runner, now, NEWS_ALL);
    }
    assert_in_range(ports.wall_clock_asked - asked, 2, 3);
    assert_in_range(ports.status.wall_clock, ports.wall_clock_asked,
                    ports.wall_clock_asked + 1000); /* and goes on between */
}

static void a_frame_that_is_no_message_is_left_out(void **state)
{
    (void)state;
    uint64_t words[3] = {0};
    struct packet frames[1] = {{.id = 9, .len = 20, .words = {words, 3}}};
    ports.frames = (struct packet_list){frames, 1};
    runner_turn(runner, now, NEWS_ALL);
    assert_string_equal(ports.log, "a frame from another node is valid but contains no message; it was dropped");
}

static void choose(uint64_t slot, struct ballot b)
{
    struct entry e = {.slot = slot, .ballot = b, .kind = ENTRY_NOOP};
    tell(8, (struct message){
                .kind = MESSAGE_ACCEPT, .ballot = b, .from = 1, .chosen = slot + 1, .floor = 1, .entries = {&e, 1}});
}

static void records_are_read_back(void **state)
{
    (void)state;
    for (uint64_t slot = 1; slot <= 10; slot++)
        choose(slot, ballot_of(3, 8));
    assert_int_equal(runner_status(runner).executed, 11);
    assert_int_equal(tell(2, (struct message){.kind = MESSAGE_LEARN_REQUEST, .from = 4, .to = 8}), now);
    assert_int_equal(ports.read_from, 0);
    ports.entries_sent = 0;
    runner_turn(runner, now, NEWS_ALL);
    assert_int_equal(ports.read_from, 1);
    assert_true(sent_of(MESSAGE_LEARN) > 0);
    assert_int_equal(ports.entries_sent, 4);
}

/* Makes this node a cluster of its own. */
/* P11: what the host knows comes first, and says whose messages are taken. */
static void configurations_come_from_the_host_and_go_there(void **state)
{
    (void)state;
    struct payload text = configuration_value(0, 0x1e), next = configuration_value(5, 0x1e);
    struct packet given = {.id = 5, .len = text.len, .words = text.words};
    begin(three_nodes(1));
    ports.configurations = (struct packet_list){&given, 1};
    while (ports.status.executed == 0) /* until it has recovered */
        runner_turn(runner, now += 20000, NEWS_ALL);
    const struct message progress = {.kind = MESSAGE_PROGRESS, .to = 1, .floor = 1};
    tell(5, progress);
    assert_non_null(strstr(ports.log, "may not say")); /* node 5 is no member */
    ports.log[0] = '\0';
    tell(4, progress);
    assert_string_equal(ports.log, "");
    struct entry entries[14];
    for (uint64_t slot = 1; slot <= 14; slot++)
        entries[slot - 1] = (struct entry){.slot = slot, .ballot = ballot_of(1, 2)};
    entries[4] = (struct entry){.slot = 5, .ballot = ballot_of(1, 2), .kind = ENTRY_CONFIGURATION, .value = text};
    entries[13] = (struct entry){.slot = 14, .ballot = ballot_of(1, 2), .kind = ENTRY_CONFIGURATION, .value = next};
    tell(2, (struct message){.kind = MESSAGE_LEARN, .flags = MESSAGE_IS_CHOSEN, .entries = {entries, 14}});
    for (int i = 0; i < 4; i++)
        runner_turn(runner, now += 1000, NEWS_ALL);
    assert_int_equal(ports.known_slot, 0); /* the first one must be as the file says, and this has a member more */
    ports.command = CONTROL_CONFIGURE;
    given = (struct packet){.id = 9, .len = next.len, .words = next.words};
    ports.configurations = (struct packet_list){&given, 1};
    runner_turn(runner, now, NEWS_ALL);
    assert_int_equal(ports.configurations.len, 0);
    payload_free(&text);
    payload_free(&next);
}

/* What the disk has said that a node had before does not count as said by the one that it has now, whatever the network
 * knows. */
static void replaced_disks_are_not_heard(void **state)
{
    (void)state;
    const struct outgoing ask = {.to = 1, .message = {.kind = MESSAGE_ASK, .from = 1}};
    struct payload text = configuration_with_new_disk(5, 0xe, 3);
    struct packet given = {.id = 30, .len = text.len, .words = text.words};
    begin(three_nodes(1));
    ports.configurations = (struct packet_list){&given, 1};
    while (ports.status.executed == 0)
        runner_turn(runner, now += 20000, NEWS_ALL);
    receive_from_disk(&ask, 1, 3, 0);
    assert_int_equal(sent_of(MESSAGE_LOST), 0);
    receive_from_disk(&ask, 1, 3, 1);
    assert_int_equal(sent_of(MESSAGE_LOST), 1);
    receive_from_disk(&ask, 1, 2, 0); /* another node's first disk */
    assert_int_equal(sent_of(MESSAGE_LOST), 2);
    payload_free(&text);
}

static void what_is_executed_is_told_to_the_host(void **state)
{
    (void)state;
    struct payload text = configuration_value(0, 0xe);
    begin(three_nodes(1));
    while (ports.status.executed == 0)
        runner_turn(runner, now += 20000, NEWS_ALL);
    struct entry e = {.slot = 1, .ballot = ballot_of(1, 2), .kind = ENTRY_CONFIGURATION, .value = text};
    tell(2, (struct message){.kind = MESSAGE_LEARN, .flags = MESSAGE_IS_CHOSEN, .entries = {&e, 1}});
    assert_true(ports.known_slot == 1 && ports.known_kind == CONFIGURATION_CHOSEN && ports.known_len == text.len);
    for (uint32_t node = 2; node <= 3; node++)
        tell(node, (struct message){.kind = MESSAGE_PROGRESS, .to = 9, .floor = 9, .chosen = 1});
    runner_turn(runner, now += 1000, NEWS_ALL);
    assert_true(ports.known_slot == 1 && ports.known_kind == CONFIGURATION_SETTLED && ports.known_len == 0);
    payload_free(&text);
}

static void clients_are_served(void **state)
{
    struct batch_builder b = {0};
    struct bytes arg = {(uint8_t *)(uintptr_t)"DBSIZE", 6};
    (void)state;
    begin(alone());
    for (int i = 0; i < 20; i++) {
        runner_turn(runner, now += 1000, NEWS_ALL);
        ports.durable = ports.journal_count;
    }
    assert_int_equal(ports.leader, 1);
    assert_int_equal(ports.credit.commands, 4);
    batch_begin(&b);
    batch_add(&b, &arg, 1);
    struct payload value = batch_end(&b);
    struct packet batch = {.id = 42, .len = value.len, .words = value.words};
    ports.batches = (struct packet_list){&batch, 1};
    for (int i = 0; i < 20 && ports.replies == 0; i++) {
        runner_turn(runner, now += 1000, NEWS_ALL);
        ports.durable = ports.journal_count;
    }
    assert_int_equal(ports.replies, 1);
    assert_int_equal(ports.token, 42);
    assert_int_equal(ports.outcome & 0xff, OUTCOME_EXECUTED);
    assert_int_equal(ports.outcome >> 8, 1); /* who leads */
    ports.command = 1;
    runner_turn(runner, now += 1000, NEWS_ALL);
    assert_int_equal(ports.leader, 0);
    runner_turn(runner, now += 1000, NEWS_ALL);
    assert_int_equal(ports.credit.commands, 0);
    assert_int_equal(ports.sent_count, 0);
    batch_builder_free(&b);
}

/* Runs `body` in a process of its own, which must trap; gives what it logged, or sent. */
static void must_trap(void (*body)(void), char *said, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGILL, SIG_DFL);
        signal(SIGTRAP, SIG_DFL);
        close(ends[0]);
        ports.log_to = ends[1];
        body();
        _exit(0);
    }
    close(ends[1]);
    size_t len = 0;
    ssize_t n;
    while (len < size - 1 && (n = read(ends[0], said + len, size - 1 - len)) > 0)
        len += (size_t)n;
    said[len] = 0;
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void two_peers_differ(void)
{
    struct message m = {.kind = MESSAGE_PROGRESS, .to = 65, .from = 64, .batch = {.number = 5}};
    struct outgoing both[2] = {{.to = 1, .message = m}, {.to = 1, .message = m}};
    now += 10000000; /* it would tell its progress, too */
    struct packet_list frames = serializer_encode(codec, both, 2);
    frames.ptr[0].id = 2;
    frames.ptr[1].id = 3;
    ports.frames = frames;
    runner_turn(runner, now, NEWS_ALL); /* its own state is told to the others */
    runner_turn(runner, now, NEWS_ALL);
}

/* P13: the node says from which slot it differs, and stops. */
static void a_state_that_differs_is_logged_and_stops_the_node(void **state)
{
    char said[300];
    (void)state;
    for (uint64_t slot = 1; slot <= 64; slot++)
        choose(slot, ballot_of(3, 8));
    assert_int_equal(runner_status(runner).executed, 65);
    must_trap(two_peers_differ, said, sizeof said);
    assert_string_equal(said, "SENT the state before slot 64 is not that of a majority of the learners; stopping (6)");
}

static void recover_all(void) { runner_turn(runner, now, NEWS_ALL); }

static void a_record_that_cannot_be_read_stops_the_node(void **state)
{
    char said[300];
    (void)state;
    uint64_t words[1] = {0};
    struct packet record = {.id = 1, .kind = 99, .len = 8, .words = {words, 1}};
    keep(&ports, &record);
    must_trap(recover_all, said, sizeof said);
    assert_string_equal(said, "the journal holds a record that this version cannot read (3)");
}

static void a_turn(void) { runner_turn(runner, now, NEWS_ALL); }

static void the_host_can_have_it_crash(void **state)
{
    char said[300];
    (void)state;
    ports.command = CONTROL_CRASH;
    must_trap(a_turn, said, sizeof said);
    assert_string_equal(said, "crashing, as the host wants it");
}

/* Guest storage is done when append returns: nothing wakes the node for that. */
static void synchronous_storage_is_noticed_at_once(void **state)
{
    (void)state;
    struct message m = {.kind = MESSAGE_PREPARE, .ballot = ballot_of(3, 8), .from = 1};
    assert_true(tell(8, m) > now);
    ports.synchronous = true;
    m.ballot.round = 4;
    assert_int_equal(tell(8, m), now);
    assert_int_equal(sent_of(MESSAGE_PROMISE), 0); /* nothing early all the same */
    assert_true(runner_turn(runner, now, NEWS_ALL) > now);
    assert_int_equal(sent_of(MESSAGE_PROMISE), 2);
}

static void the_client_port_hears_how_the_node_is(void **state)
{
    (void)state;
    assert_int_equal(ports.statuses, 1); /* when it had recovered */
    assert_int_equal(ports.tables, 1);
    assert_int_equal(ports.status.node, 1);
    assert_int_equal(ports.status.executed, 1);
    runner_turn(runner, now += 1000000, NEWS_ALL); /* tells its progress */
    assert_int_equal(ports.statuses, 2);
    choose(1, ballot_of(3, 8));
    choose(2, ballot_of(3, 8));
    assert_int_equal(ports.statuses, 2); /* not so often */
    now += 19999;
    runner_turn(runner, now, NEWS_ALL);
    assert_int_equal(ports.statuses, 2);
    runner_turn(runner, ++now, NEWS_ALL);
    assert_int_equal(ports.statuses, 3);
    assert_int_equal(ports.status.executed, 3);
    runner_turn(runner, now + 30000, NEWS_ALL);
    assert_int_equal(ports.statuses, 3); /* nothing new */
}

static void ports_without_news_are_not_asked(void **state)
{
    (void)state;
    const struct news none = {.durable = ports.durable};
    const size_t receives = ports.receives, asks = ports.client_asks, snapshots = ports.asked_snapshots,
                 commands = ports.commands_asked, durable = ports.durable_asked;
    runner_turn(runner, now, none);
    assert_int_equal(ports.receives, receives);
    assert_int_equal(ports.client_asks, asks);
    assert_int_equal(ports.asked_snapshots, snapshots);
    assert_int_equal(ports.commands_asked, commands);
    assert_int_equal(ports.durable_asked, durable);
    runner_turn(runner, now, NEWS_ALL);
    assert_int_equal(ports.receives, receives + 1);
    assert_int_equal(ports.client_asks, asks + 1);
    assert_int_equal(ports.asked_snapshots, snapshots + 1);
    assert_int_equal(ports.commands_asked, commands + 1);
    assert_int_equal(ports.durable_asked, durable + 1);
}

/* Nothing is known of what is outside until the node has recovered. */
static void who_recovers_asks_without_news(void **state)
{
    (void)state;
    const struct news none = {0};
    runner_turn(runner, now, none); /* the snapshot */
    assert_int_equal(ports.asked_snapshots, 1);
    runner_turn(runner, now, none);
    assert_true(ports.receives > 0);
    assert_int_equal(ports.durable_asked, 1);
}

/* Storage that says by itself what is durable is not asked, not even after an append. */
static void what_is_durable_comes_with_the_turn(void **state)
{
    (void)state;
    struct message m = {.kind = MESSAGE_PREPARE, .ballot = ballot_of(3, 8), .from = 1};
    const struct outgoing prepare = {.to = node_set_of(config.node), .message = m};
    const size_t asked = ports.durable_asked;
    ports.frames = serializer_encode(codec, &prepare, 1);
    ports.frames.ptr[0].id = 8;
    ports.frames.ptr[0].kind = 0;
    assert_true(runner_turn(runner, now, (struct news){NEWS_FRAMES, ports.durable}) > now);
    assert_int_equal(sent_of(MESSAGE_PROMISE), 0);
    ports.durable = ports.journal_count;
    runner_turn(runner, now, (struct news){0, ports.durable});
    assert_int_equal(sent_of(MESSAGE_PROMISE), 1);
    assert_int_equal(ports.durable_asked, asked);
}

/* Otherwise commands would not be worth a turn for it. */
static void the_client_port_hears_of_credit_without_news(void **state)
{
    (void)state;
    begin(alone());
    for (int i = 0; i < 20; i++)
        runner_turn(runner, now += 1000, (struct news){0, ports.journal_count});
    assert_int_equal(ports.leader, 1);
    assert_int_equal(ports.credit.commands, 4);
    const size_t asks = ports.client_asks;
    runner_turn(runner, now, (struct news){0, ports.journal_count});
    assert_int_equal(ports.client_asks, asks);
}

#define ACCEPTOR(name) cmocka_unit_test_setup_teardown(name, set_up_acceptor, tear_down)
#define LEARNER(name)  cmocka_unit_test_setup_teardown(name, set_up_learner, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(configurations_come_from_the_host_and_go_there, tear_down),
        cmocka_unit_test_teardown(replaced_disks_are_not_heard, tear_down),
        cmocka_unit_test_teardown(what_is_executed_is_told_to_the_host, tear_down),
        cmocka_unit_test_setup_teardown(nothing_happens_before_all_is_recovered, set_up_empty, tear_down),
        cmocka_unit_test_setup_teardown(who_leads_is_known_while_it_recovers, set_up_empty, tear_down),
        cmocka_unit_test(who_resigns_while_it_recovers_is_not_waited_for),
        cmocka_unit_test_setup_teardown(the_snapshot_comes_before_the_journal, set_up_empty, tear_down),
        ACCEPTOR(the_journal_is_cut_when_the_floor_is_durable),
        ACCEPTOR(a_message_waits_until_its_record_is_durable),
        ACCEPTOR(what_waits_for_nothing_leaves_at_once),
        ACCEPTOR(what_waited_leaves_before_what_is_new),
        ACCEPTOR(messages_that_wait_are_bounded),
        cmocka_unit_test(decisions_are_logged_if_wanted),
        cmocka_unit_test_teardown(what_finds_no_room_is_dropped, tear_down),
        cmocka_unit_test_teardown(records_that_wait_are_bounded, tear_down),
        cmocka_unit_test_teardown(what_is_forwarded_to_a_full_node_is_kept, tear_down),
        ACCEPTOR(a_lack_of_room_is_told),
        LEARNER(nothing_is_sent_to_itself),
        ACCEPTOR(a_frame_that_is_no_message_is_left_out),
        ACCEPTOR(the_wall_clock_is_asked_for_now_and_then),
        LEARNER(records_are_read_back),
        cmocka_unit_test_teardown(clients_are_served, tear_down),
        ACCEPTOR(ports_without_news_are_not_asked),
        cmocka_unit_test_setup_teardown(who_recovers_asks_without_news, set_up_empty, tear_down),
        ACCEPTOR(what_is_durable_comes_with_the_turn),
        cmocka_unit_test_teardown(the_client_port_hears_of_credit_without_news, tear_down),
        LEARNER(the_client_port_hears_how_the_node_is),
        ACCEPTOR(synchronous_storage_is_noticed_at_once),
        ACCEPTOR(the_host_can_have_it_crash),
        LEARNER(a_state_that_differs_is_logged_and_stops_the_node),
        cmocka_unit_test_setup_teardown(a_record_that_cannot_be_read_stops_the_node, set_up_empty, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
