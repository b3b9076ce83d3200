/* A runner around a node of each kind: arbitrary frames, requests of clients and times; a disk that gets done with any part
 * of what it was given; crashes. What leaves the node is judged by its bytes: frames are messages and go to others, no
 * promise and no vote is told before its record is durable (P2), each token is answered at most once. After a crash the
 * journal has nothing that the node said it does not need, and any snapshot that is kept may be the newest one left: it must
 * be able to go on. */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/command_table.h"
#include "core/formats/config_frame.h"
#include "core/formats/configuration.h"
#include "core/formats/record.h"
#include "core/formats/serializer.h"
#include "core/runners/ports.h"
#include "core/runners/runner.h"
#include "fuzz/protocol_input.h"
#include "fuzz/snapshot_box.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS_MAX = 1024, FRAMES_MAX = 16, TOKENS_MAX = 256, TURNS_MAX = 400 };

/* Copies of packets that wait to be taken, and those that were taken last: they live until the next call. */
struct inbox {
    struct packet arrived[FRAMES_MAX], given[FRAMES_MAX];
    size_t arrived_count, given_count;
};

/* The world around the runner. */
struct ports {
    struct inbox frames, batches;
    bool waiting[TOKENS_MAX];
    uint64_t tokens;
    struct packet journal[RECORDS_MAX];
    size_t record_count, durable;
    uint64_t truncated;              /* records below are not needed, but the sticky ones */
    struct packet left[RECORDS_MAX]; /* what a start finds; borrowed */
    size_t left_count, recovered;
    struct box snapshots;
    size_t chunk; /* records that storage gives at a time */
    uint64_t command;
    bool full;
};

static struct ports ports;
static struct node_config config;
static struct input_hints hints;
static struct serializer *codec; /* the other side's */
static jmp_buf stopped;          /* the node stops itself: its state is not that of the others */

static struct packet packet_copy(const struct packet *p)
{
    struct packet copy = *p;
    copy.words.ptr = memory_new(p->words.len, sizeof(uint64_t));
    if (p->words.len > 0)
        memcpy(copy.words.ptr, p->words.ptr, p->words.len * sizeof(uint64_t));
    return copy;
}

static void packet_free(struct packet *p)
{
    free(p->words.ptr);
    *p = (struct packet){0};
}

static void inbox_add(struct inbox *in, const struct packet *p)
{
    if (in->arrived_count < FRAMES_MAX)
        in->arrived[in->arrived_count++] = packet_copy(p);
}

/* Takes out at most `count`, in order. */
static struct packet_list inbox_take(struct inbox *in, size_t count)
{
    while (in->given_count > 0)
        packet_free(&in->given[--in->given_count]);
    while (in->given_count < count && in->given_count < in->arrived_count) {
        in->given[in->given_count] = in->arrived[in->given_count];
        in->given_count++;
    }
    in->arrived_count -= in->given_count;
    memmove(in->arrived, in->arrived + in->given_count, in->arrived_count * sizeof in->arrived[0]);
    return (struct packet_list){in->given, in->given_count};
}

static void inbox_clear(struct inbox *in)
{
    inbox_take(in, FRAMES_MAX);
    inbox_take(in, 0);
}

/* --- the disk -------------------------------------------------------------------------------------------------------- */

void ports_storage_append(struct ports *p, const struct packet *records, size_t count)
{
    for (size_t i = 0; i < count && !p->full; i++) {
        struct log_record record;
        invariant(records[i].id == p->record_count + 1 && record_decode(&records[i], &record));
        p->journal[p->record_count++] = packet_copy(&records[i]);
        p->full = p->record_count == RECORDS_MAX;
    }
}

uint64_t ports_storage_durable(struct ports *p) { return p->durable; }

bool ports_storage_room(struct ports *p) { return p->durable % 2 == 0; }

static struct packet_list some_of(const struct ports *p, struct packet *records, size_t at, size_t count)
{
    size_t left = at < count ? count - at : 0;
    return (struct packet_list){records + at, left < p->chunk ? left : p->chunk};
}

/* Whether it is the last record of a sticky kind among those that are not needed otherwise. */
static bool is_sticky(const struct ports *p, size_t at)
{
    for (size_t i = at + 1; i + 1 < p->truncated; i++)
        if (p->journal[i].kind == p->journal[at].kind)
            return false;
    return p->journal[at].kind >= RECORD_PACKET_STICKY;
}

static void find_left(struct ports *p)
{
    p->left_count = p->recovered = 0;
    for (size_t i = 0; i < p->record_count; i++)
        if (i + 1 >= p->truncated || is_sticky(p, i))
            p->left[p->left_count++] = p->journal[i];
}

struct packet_list ports_storage_recover(struct ports *p)
{
    struct packet_list some = some_of(p, p->left, p->recovered, p->left_count);
    p->recovered += some.len;
    return some;
}

struct packet_list ports_storage_read(struct ports *p, uint64_t from, uint64_t bytes_max)
{
    invariant(bytes_max > 0 && from > 0);
    return from < p->truncated ? (struct packet_list){0} : some_of(p, p->journal, (size_t)from - 1, p->record_count);
}

void ports_storage_truncate(struct ports *p, uint64_t lsn)
{
    invariant(lsn <= p->durable && lsn >= p->truncated);
    p->truncated = lsn;
}

void ports_snapshots_ask(struct ports *p, const struct packet *asks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        box_ask(&p->snapshots, &asks[i]);
}

struct packet_list ports_snapshots_told(struct ports *p) { return box_told(&p->snapshots, p->chunk); }

/* True when a durable record holds a promise not below `ballot`; with a slot, one that holds the vote there at it. */
static bool is_durable(const struct ports *p, struct ballot ballot, uint64_t slot)
{
    bool found = ballot_compare(ballot, (struct ballot){0}) == 0; /* an answer at no ballot at all says nothing */
    for (size_t i = 0; i < p->durable && !found; i++) {
        struct log_record r;
        invariant(record_decode(&p->journal[i], &r));
        int order = ballot_compare(r.entry.ballot, ballot);
        if (slot == 0)
            found = (r.kind == RECORD_PROMISED || r.kind == RECORD_ACCEPTED) && order >= 0;
        else
            found = r.kind == RECORD_ACCEPTED && r.entry.slot == slot && order == 0;
    }
    return found;
}

/* --- the other nodes ------------------------------------------------------------------------------------------------- */

/* One at a time means that all that was is done. */
static void judge_taking(const struct ports *p) { invariant(config.event_driven || p->durable == p->record_count); }

struct packet_list ports_network_receive(struct ports *p)
{
    judge_taking(p);
    return inbox_take(&p->frames, FRAMES_MAX);
}

static void judge(const struct ports *p, const struct message *m)
{
    if (m->kind == MESSAGE_PROMISE)
        invariant(is_durable(p, m->ballot, 0));
    for (uint64_t slot = m->from; m->kind == MESSAGE_ACCEPTED && slot < m->to; slot++)
        invariant(is_durable(p, m->ballot, slot));
    if (m->kind == MESSAGE_ASK)
        hints.question = m->from;
    if (m->kind == MESSAGE_PREPARE)
        hints.wanted = m->from;
    input_hint_snapshot(&hints, m);
}

void ports_network_send(struct ports *p, const struct packet *frames, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct packet frame = frames[i];
        invariant(frame.id != 0 && !node_set_has(frame.id, config.node));
        frame.id = config.node;
        struct decoded decoded = serializer_decode(codec, &frame, 1);
        invariant(decoded.messages.len == 1);
        judge(p, &decoded.messages.ptr[0].message);
    }
}

static void send_message(uint64_t sender, const struct message *m)
{
    struct outgoing out = {.to = 1, .message = *m};
    struct packet body = serializer_encode(codec, &out, 1).ptr[0];
    body.id = sender;
    inbox_add(&ports.frames, &body);
}

static void send_sense(uint64_t sender, struct message *m, struct input *in)
{
    struct batch_builder b = {0};
    input_make_sense(m, in, &hints, &b);
    send_message(sender, m);
    batch_builder_free(&b);
}

static void damage(struct packet *p, struct input *in)
{
    size_t at = input_byte(in) % p->len;
    ((uint8_t *)p->words.ptr)[at] = input_byte(in);
}

/* A message that may make sense, and may have been damaged (checksums are the host's business). */
static void send_any(struct input *in)
{
    uint8_t how = input_byte(in);
    struct message m = input_message(in, true);
    if (how & 0x80)
        send_sense(how & 3, &m, in);
    else
        send_message(how & 3, &m);
    if ((how & 0x7c) == 0x7c && ports.frames.arrived_count > 0)
        damage(&ports.frames.arrived[ports.frames.arrived_count - 1], in);
}

/* The others want this node to lead; one of them has votes to tell. */
static void elect(struct input *in, uint8_t round)
{
    struct message promise = {.kind = MESSAGE_PROMISE, .flags = MESSAGE_LAST};
    for (uint32_t sender = 1; round == 0 && sender <= 2; sender++)
        send_sense(sender, &(struct message){.kind = MESSAGE_LOST}, in);
    if (round == 0)
        return;
    send_sense(1, &promise, in);
    promise.entries = input_entries(in, false);
    send_sense(2, &promise, in);
}

/* A learner says that the next slots hold nothing. */
static void skip_slots(struct input *in)
{
    for (uint64_t i = 0; i < 10; i++) {
        struct message m = input_nothing(in, hints.status.executed + i * INPUT_ENTRIES_MAX, INPUT_ENTRIES_MAX);
        send_message(2, &m);
    }
}

/* --- clients and the host -------------------------------------------------------------------------------------------- */

struct packet_list ports_client_receive(struct ports *p, struct credit credit)
{
    struct packet_list batches = inbox_take(&p->batches, credit.commands);
    if (credit.commands > 0)
        judge_taking(p);
    invariant(config.event_driven || (credit.commands <= 1 && credit.reads <= 1));
    for (size_t i = 0; i < batches.len; i++)
        p->waiting[batches.ptr[i].id] = true;
    return batches;
}

void ports_client_reply(struct ports *p, const struct packet *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (answers[i].kind == CLIENT_SLOT) {
            invariant(answers[i].id > 0 && i + 1 < count && (answers[i + 1].kind & 0xff) == OUTCOME_EXECUTED);
            continue;
        }
        invariant(answers[i].id < p->tokens && p->waiting[answers[i].id]);
        invariant((answers[i].kind & 0xff) <= OUTCOME_UNKNOWN);
        p->waiting[answers[i].id] = false;
    }
}

void ports_client_leader(struct ports *p, uint64_t node, uint64_t round)
{
    (void)p, (void)round;
    invariant(node <= NODE_ID_MAX);
}

void ports_client_status(struct ports *p, const struct packet *status)
{
    struct node_status told;
    struct command_table commands;
    (void)p;
    if (status->kind == STATUS_COMMANDS)
        invariant(command_table_decode(status, &commands) && commands.count > 0);
    else
        invariant(status_frame_decode(status, &told) && told.node == config.node);
}

void ports_log(struct ports *p, uint32_t level, const char *text, size_t len)
{
    (void)p, (void)level, (void)text;
    invariant(len > 0);
}

struct packet_list ports_configuration_given(struct ports *p)
{
    (void)p;
    return (struct packet_list){NULL, 0};
}

void ports_configuration_known(struct ports *p, const struct packet *configuration)
{
    struct configuration known;
    (void)p;
    const struct payload text = {.words = configuration->words, .len = configuration->len};
    invariant(configuration->kind == CONFIGURATION_SETTLED || configuration_unpack(&text, configuration->id, &known));
}

void ports_control_fail(struct ports *p, uint64_t code)
{
    (void)p;
    invariant(code == CONTROL_FAIL_DIVERGED); /* its own journal it can always read */
    longjmp(stopped, 1);                      /* what follows is a trap */
}

uint64_t ports_control_command(struct ports *p) { return p->command; }

uint64_t ports_control_wall_clock(struct ports *p) { return p->tokens; }

/* Mostly a sound batch; sometimes any bytes. */
static void submit(struct input *in)
{
    uint8_t how = input_byte(in);
    struct batch_builder b = {0};
    if (ports.tokens == TOKENS_MAX)
        return;
    struct payload value = input_batch(&b, 0, how);
    struct packet batch = {.id = ports.tokens++, .kind = 1, .len = value.len, .words = value.words};
    if (how >= 240)
        damage(&batch, in);
    inbox_add(&ports.batches, &batch);
    batch_builder_free(&b);
}

/* --- its life -------------------------------------------------------------------------------------------------------- */

/* The end of what the journal says it has; 0: nothing. */
static uint64_t held(const struct ports *p)
{
    uint64_t to = 0;
    for (size_t i = 0; i < p->record_count; i++) {
        struct log_record r;
        invariant(record_decode(&p->journal[i], &r));
        to = r.kind == RECORD_CHOSEN && r.to > to ? r.to : to;
    }
    return to;
}

/* The next life: what was not durable is gone. */
static struct runner *start(uint8_t chunk)
{
    while (ports.record_count > ports.durable)
        packet_free(&ports.journal[--ports.record_count]);
    inbox_clear(&ports.frames);
    inbox_clear(&ports.batches);
    memset(ports.waiting, 0, sizeof ports.waiting);
    ports.chunk = 1 + chunk % 64;
    find_left(&ports);
    box_start(&ports.snapshots, held(&ports));
    return runner_new(&config, &ports);
}

/* One thing that happens, then a turn; the runner of the next life after a crash. */
static struct runner *act(struct runner *r, struct input *in, uint64_t *now)
{
    uint8_t what = input_byte(in);
    if (what < 140)
        send_any(in);
    else if (what < 146)
        elect(in, what & 1);
    else if (what == 146)
        skip_slots(in);
    else if (what < 175)
        submit(in);
    else if (what < 215)
        ports.durable += input_byte(in) % (ports.record_count - ports.durable + 1);
    else if (what < 240)
        *now += input_number(in, false);
    else if (what < 253) {
        runner_free(r);
        config.incarnation++;
        r = start(what);
    } else
        ports.command = 1;
    if (what % 4 != 0) {
        runner_turn(r, *now, NEWS_ALL);
        runner_audit(r);
        hints.status = runner_status(r);
    }
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct runner *r; /* not a local: it changes between setjmp and longjmp */
    struct input in = {.bytes = data, .left = size};
    uint64_t now = 0;
    config = input_config_of_role(&in);
    codec = serializer_new();
    hints = (struct input_hints){0};
    memset(&ports, 0, sizeof ports);
    ports.snapshots.luck = input_byte(&in);
    r = start(input_byte(&in));
    if (setjmp(stopped) == 0)
        for (int turns = 0; input_more(&in) && !ports.full && turns < TURNS_MAX; turns++)
            r = act(r, &in, &now);
    runner_free(r);
    ports.durable = 0;
    ports.truncated = 0;
    runner_free(start(0));
    box_close(&ports.snapshots);
    serializer_free(codec);
    return 0;
}
