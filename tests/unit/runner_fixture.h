/* A runner with ports that the test holds. */
#ifndef SYNOD_TESTS_UNIT_RUNNER_FIXTURE_H
#define SYNOD_TESTS_UNIT_RUNNER_FIXTURE_H

#include "core/runners/runner.h"

#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/message.h"
#include "core/formats/command_table.h"
#include "core/formats/config_frame.h"
#include "core/formats/record.h"
#include "core/formats/serializer.h"
#include "tests/unit/protocol.h"

enum { JOURNAL_MAX = 300, SENT_MAX = 70000, ASKS_MAX = 16 };

/* The world outside: what comes in is put here by the test, what goes out is kept here. */
struct ports {
    struct packet_list frames;  /* for the next receive */
    struct packet_list batches; /* the same, from clients */
    size_t recover_at, chunk;   /* records of the journal given so far, and at a time */
    struct packet journal[JOURNAL_MAX];
    size_t journal_count;
    uint64_t durable;
    bool no_room;
    size_t asked_room;
    bool synchronous;   /* what is appended is durable at once */
    uint64_t read_from; /* of the last read */
    uint64_t truncated; /* the last lsn that it was told */
    uint64_t command, wall_clock_asked;
    struct credit credit;
    size_t receives, client_asks, durable_asked, commands_asked; /* how often */
    struct outgoing sent[SENT_MAX];                              /* without entries */
    size_t sent_count;
    uint64_t entries_sent;
    uint64_t token, outcome; /* of the last reply */
    uint64_t slot;           /* said before it; 0: none */
    size_t replies, batches_given;
    uint64_t leader;
    struct node_status status; /* as last told */
    uint32_t status_kind;
    size_t statuses;
    struct command_table commands;
    size_t tables;
    struct packet asks[ASKS_MAX]; /* about snapshots, without their words */
    size_t ask_count, asked_snapshots;
    struct packet_list told;           /* about snapshots, in the next turn */
    struct packet_list configurations; /* of the host, in the next turn that takes them */
    uint64_t known_slot;               /* what the node told last of configurations */
    uint32_t known_kind;
    uint32_t known_len;
    char log[200];
    char decisions[500]; /* lines at debug level */
    int log_to;          /* also there, when not 0 */
};

static struct ports ports;
static struct serializer *codec;    /* the other side's */
static struct serializer *observer; /* reads what is sent */
static struct node_config config;
static struct runner *runner;
static uint64_t now;

struct packet_list ports_network_receive(struct ports *p)
{
    struct packet_list frames = p->frames;
    p->frames = (struct packet_list){0};
    p->receives++;
    return frames;
}

void ports_network_send(struct ports *p, const struct packet *frames, size_t count)
{
    struct packet *copies = memory_new(count, sizeof *copies);
    for (size_t i = 0; i < count; i++) {
        copies[i] = frames[i];
        copies[i].id = 1;
        assert_false(node_set_has(frames[i].id, config.node));
    }
    struct decoded decoded = serializer_decode(observer, copies, count);
    assert_int_equal(decoded.messages.len, count);
    for (size_t i = 0; i < count && p->sent_count < SENT_MAX; i++) {
        struct message m = decoded.messages.ptr[i].message;
        p->entries_sent += m.entries.len;
        m.entries = (struct entry_list){0};
        p->sent[p->sent_count++] = (struct outgoing){.to = frames[i].id, .message = m};
    }
    free(copies);
    if (p->log_to != 0)
        assert_true(write(p->log_to, "SENT ", 5) == 5);
}

struct packet_list ports_client_receive(struct ports *p, struct credit credit)
{
    struct packet_list batches = p->batches;
    p->credit = credit;
    p->client_asks++;
    if (batches.len > credit.commands)
        batches.len = credit.commands;
    p->batches = (struct packet_list){batches.len < p->batches.len ? p->batches.ptr + batches.len : NULL,
                                      p->batches.len - batches.len};
    p->batches_given += batches.len;
    return batches;
}

void ports_client_reply(struct ports *p, const struct packet *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct packet *a = &answers[i];
        if (a->kind == CLIENT_SLOT)
            continue;
        p->slot = i > 0 && answers[i - 1].kind == CLIENT_SLOT ? answers[i - 1].id : 0;
        p->token = a->id;
        p->outcome = a->kind;
        p->replies++;
    }
}

void ports_client_leader(struct ports *p, uint64_t node, uint64_t round)
{
    (void)round;
    p->leader = node;
}

void ports_client_status(struct ports *p, const struct packet *status)
{
    if (status->kind == STATUS_COMMANDS) {
        assert_true(command_table_decode(status, &p->commands));
        p->tables++;
        return;
    }
    assert_true(status_frame_decode(status, &p->status));
    p->status_kind = status->kind;
    p->statuses++;
}

struct packet_list ports_storage_recover(struct ports *p)
{
    size_t count = p->journal_count - p->recover_at < p->chunk ? p->journal_count - p->recover_at : p->chunk;
    p->recover_at += count;
    return (struct packet_list){p->journal + p->recover_at - count, count};
}

static inline void keep(struct ports *p, const struct packet *record)
{
    struct packet *kept = &p->journal[p->journal_count++];
    assert_true(p->journal_count <= JOURNAL_MAX);
    *kept = *record;
    kept->words.ptr = memory_new(record->words.len, 8);
    memcpy(kept->words.ptr, record->words.ptr, record->words.len * 8);
}

void ports_storage_append(struct ports *p, const struct packet *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(records[i].id, p->journal_count + 1);
        keep(p, &records[i]);
    }
    if (p->synchronous)
        p->durable = p->journal_count;
}

uint64_t ports_storage_durable(struct ports *p)
{
    p->durable_asked++;
    return p->durable;
}

bool ports_storage_room(struct ports *p)
{
    p->asked_room++;
    return !p->no_room;
}

struct packet_list ports_storage_read(struct ports *p, uint64_t from, uint64_t bytes_max)
{
    (void)bytes_max;
    p->read_from = from;
    return (struct packet_list){p->journal + from - 1, p->journal_count - (size_t)from + 1};
}

void ports_storage_truncate(struct ports *p, uint64_t lsn)
{
    assert_true(lsn <= p->durable && lsn >= p->truncated);
    p->truncated = lsn;
}

void ports_snapshots_ask(struct ports *p, const struct packet *asks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(p->ask_count < ASKS_MAX);
        p->asks[p->ask_count++] = (struct packet){.id = asks[i].id, .kind = asks[i].kind, .len = asks[i].len};
    }
}

/* What the test has put there; at first, that there is no snapshot to load. */
struct packet_list ports_snapshots_told(struct ports *p)
{
    static struct packet none = {.kind = SNAPSHOT_LOADED};
    struct packet_list told = p->asked_snapshots++ == 0 && p->told.len == 0 ? (struct packet_list){&none, 1} : p->told;
    p->told = (struct packet_list){0};
    return told;
}

void ports_log(struct ports *p, uint32_t level, const char *text, size_t len)
{
    const size_t before = strlen(p->decisions);
    if (level == LOG_DEBUG) {
        assert_true(before + len + 2 <= sizeof p->decisions);
        memcpy(p->decisions + before, text, len);
        p->decisions[before + len] = '\n';
        return;
    }
    assert_true(len < sizeof p->log);
    memcpy(p->log, text, len);
    p->log[len] = 0;
    if (p->log_to != 0)
        assert_true(level <= LOG_WARNING && write(p->log_to, text, len) == (ssize_t)len);
}

uint64_t ports_control_command(struct ports *p)
{
    p->commands_asked++;
    return p->command;
}

uint64_t ports_control_wall_clock(struct ports *p) { return ++p->wall_clock_asked; }

struct packet_list ports_configuration_given(struct ports *p)
{
    const struct packet_list given = p->configurations;
    p->configurations = (struct packet_list){0};
    return given;
}

void ports_configuration_known(struct ports *p, const struct packet *configuration)
{
    p->known_slot = configuration->id;
    p->known_kind = configuration->kind;
    p->known_len = configuration->len;
}

void ports_control_fail(struct ports *p, uint64_t code)
{
    const char text[] = {' ', '(', (char)('0' + code), ')'};
    assert_true(p->log_to != 0 && write(p->log_to, text, sizeof text) == sizeof text);
}

static inline void begin(struct node_config with)
{
    memset(&ports, 0, sizeof ports);
    ports.chunk = 2;
    config = with;
    now = 1000000;
    codec = serializer_new();
    observer = serializer_new();
    runner = runner_new(&config, &ports);
}

static inline int tear_down(void **state)
{
    (void)state;
    runner_free(runner);
    serializer_free(codec);
    serializer_free(observer);
    for (size_t i = 0; i < ports.journal_count; i++)
        free(ports.journal[i].words.ptr);
    return 0;
}

/* A turn in which `messages` arrive from a node with this disk. */
static inline uint64_t receive_from_disk(const struct outgoing *messages, size_t count, uint32_t sender, uint32_t disk)
{
    struct packet_list frames = serializer_encode(codec, messages, count);
    for (size_t i = 0; i < count; i++) {
        frames.ptr[i].id = sender;
        frames.ptr[i].kind = disk;
    }
    ports.frames = frames;
    return runner_turn(runner, now, NEWS_ALL);
}

static inline uint64_t receive(const struct outgoing *messages, size_t count, uint32_t sender)
{
    return receive_from_disk(messages, count, sender, 0);
}

static inline uint64_t tell(uint32_t sender, struct message m)
{
    struct outgoing out = {.to = 1, .message = m};
    return receive(&out, 1, sender);
}

static inline size_t sent_of(uint8_t kind)
{
    size_t count = 0;
    for (size_t i = 0; i < ports.sent_count; i++)
        count += ports.sent[i].message.kind == kind;
    return count;
}

static inline struct node_config alone(void)
{
    struct node_config c = three_nodes(1);
    c.proposers = c.acceptors = c.learners = 0x2;
    c.phase1_quorum = c.phase2_quorum = 1;
    return c;
}

#endif
