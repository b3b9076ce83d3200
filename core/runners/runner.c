/* Events are handled together, or one at a time (node_config.event_driven).
 *
 * Event-driven: everything that arrived since the last turn is one step's events. A record that is not durable yet does not
 * stop the node; only the answers that depend on it wait here.
 *
 * One at a time: a step gets one message or one batch of commands. The next one is taken only when all that came of the last
 * is done: records are durable, messages are sent, nothing is to be read back, no further step is wanted. Messages and
 * commands take turns, so neither waits for ever. Frames stay in the list that the network returned until all of them are
 * taken; only then are more fetched.
 *
 * In both, every turn tells the time, what has become durable, and what the host asks. */
#include "core/runners/runner.h"

#include "core/agents/configurations.h"
#include "core/base/memory.h"
#include "core/base/message.h"
#include "core/formats/command_table.h"
#include "core/formats/config_frame.h"
#include "core/formats/configuration.h"
#include "core/formats/decimal.h"
#include "core/formats/decision.h"
#include "core/formats/message_rules.h"
#include "core/formats/notice.h"
#include "core/formats/record.h"
#include "core/formats/serializer.h"
#include "core/runners/node.h"
#include "core/state/state_machine.h"

/* Client batches are numbered packets. A packet's kind carries both the outcome and the leader (wit/io.wit). */
enum { REPLY_LEADER_SHIFT = 8 };

/* After so long without anything becoming durable, storage is asked whether it has room. */
enum { ROOM_ASKED_AFTER_US = 50000 };

/* The client port is told the node's status at most this often, and not while nothing happens. */
enum { STATUS_INTERVAL_US = 20000 };

/* The node is told the wall clock as often. */
enum { WALL_CLOCK_INTERVAL_US = 1000000 };

struct event_buffer {
    struct event *items;
    size_t count;
    size_t capacity;
};
struct packet_buffer {
    struct packet *items;
    size_t count;
    size_t capacity;
};
struct outgoing_buffer {
    struct outgoing *items;
    size_t count;
    size_t capacity;
};
struct record_buffer {
    struct log_record *items;
    size_t count;
    size_t capacity;
};
struct word_buffer {
    uint64_t *items;
    size_t count;
    size_t capacity;
};

struct runner {
    struct node_config config; /* proposers, acceptors, learners: whose messages are taken, of the last two configurations */
    struct configurations configurations;
    bool configurations_taken;       /* those that the host had at the beginning of this life */
    uint32_t disks[NODE_ID_MAX + 1]; /* by node: the number of its newest disk, as far as configurations say */
    struct ports *ports;
    struct node *node;
    struct serializer *serializer;
    enum { RUNNER_LOADS_SNAPSHOT, RUNNER_READS_JOURNAL, RUNNER_RUNS } state;
    node_set resigned; /* while it recovers: proposers that have resigned, and said nothing else since */
    bool stopping;
    bool busy;                        /* the node wants another step at once */
    uint64_t lsn;                     /* of the next record */
    uint64_t durable;                 /* as the node was told last */
    struct credit credit, asked_with; /* that the node gave last, and the client port got last */
    struct news news;                 /* of this turn */

    /* Records that wait for the disk: about how many bytes they are, separately for those up to an lsn and those after it;
     * and since when nothing has become durable. */
    uint64_t older_lsn, older_bytes, newer_bytes;
    uint64_t waits_since;
    bool no_room;

    bool commands_told; /* the client port knows which commands there are */
    struct {
        bool commands, reads;
    } left; /* the client port gave as many batches of them as it was allowed to, so it may have more */
    bool has_read;
    struct read_range read; /* what the node wants read back from the journal */

    /* What the node does not need of the journal: what storage is told when `after` is durable, and what the node has said
     * since (lsn 0: nothing). */
    struct truncation truncation, next_truncation;

    /* One at a time. */
    struct packet_list frames; /* the network's; those from `next_frame` on are not taken yet */
    size_t next_frame;
    struct packet_list batches; /* the client port's, in the same way: one of each kind at most */
    size_t next_batch;
    bool commands_first;
    bool idle; /* there was nothing to take in this turn */

    uint64_t left_out; /* messages dropped because their senders may not say them */

    bool status_due; /* something happened since the client port was last told */
    uint64_t status_told_at;

    uint64_t turned_at; /* the time of the last turn */

    bool wall_clock_known;
    uint64_t wall_clock, wall_clock_at; /* and when the node was told */

    struct event_buffer events;
    struct packet_buffer heard;   /* frames, without those of earlier disks */
    struct record_buffer records; /* read from storage */
    struct packet_buffer appends; /* of this turn, encoded */
    struct word_buffer append_words;
    struct packet_buffer replies;
    struct packet_buffer asks;       /* about snapshots */
    struct outgoing_buffer sends;    /* that may leave in this turn */
    struct outgoing_buffer withheld; /* copies that wait for their records */
    uint64_t withheld_bytes;         /* of their values */
    size_t released;                 /* the first so many of them leave in this turn */
};

struct runner *runner_new(const struct node_config *config, struct ports *ports)
{
    struct runner *r = memory_new(1, sizeof *r);
    r->config = *config;
    r->config.limits = limits_effective(&config->limits);
    r->ports = ports;
    configurations_init(&r->configurations, config);
    r->node = node_new(config);
    r->serializer = serializer_new();
    r->state = RUNNER_LOADS_SNAPSHOT;
    r->lsn = 1;
    return r;
}

void runner_free(struct runner *r)
{
    node_free(r->node);
    serializer_free(r->serializer);
    for (size_t i = 0; i < r->withheld.count; i++)
        message_free(&r->withheld.items[i].message);
    free(r->withheld.items);
    free(r->sends.items);
    free(r->replies.items);
    free(r->asks.items);
    free(r->appends.items);
    free(r->append_words.items);
    free(r->records.items);
    free(r->heard.items);
    free(r->events.items);
    free(r);
}

static struct event *add_event(struct runner *r, uint8_t tag)
{
    struct event_buffer *b = &r->events;
    b->items = memory_reserve(b->items, &b->capacity, b->count + 1, sizeof *b->items);
    b->items[b->count] = (struct event){.tag = tag};
    return &b->items[b->count++];
}

static void log_text(struct runner *r, uint32_t level, const char *text) { ports_log(r->ports, level, text, strlen(text)); }

/* The reason is in the log already. */
static void cannot_go_on(struct runner *r, enum control_failure code)
{
    ports_control_fail(r->ports, code);
    invariant(false);
}

static bool has_news(const struct runner *r, enum news_bits of) { return (r->news.bits & of) != 0; }

/* What is durable by now. */
static uint64_t ask_durable(struct runner *r)
{
    return has_news(r, NEWS_DURABLE) ? ports_storage_durable(r->ports) : r->news.durable;
}

/* --- in ------------------------------------------------------------------------------------------------------------ */

/* The packets as records for the node; false when one of them is not a record. */
static bool decode_records(struct runner *r, const struct packet_list *packets)
{
    struct record_buffer *b = &r->records;
    b->items = memory_reserve(b->items, &b->capacity, packets->len, sizeof *b->items);
    b->count = 0;
    for (size_t i = 0; i < packets->len; i++)
        if (!record_decode(&packets->ptr[i], &b->items[b->count++]))
            return false;
    return true;
}

/* Which disks the members of a configuration have. */
static void learn_disks(struct runner *r, const struct payload *text)
{
    uint32_t numbers[NODE_ID_MAX + 1];
    configuration_numbers(text, numbers);
    for (uint32_t id = 1; id <= NODE_ID_MAX; id++)
        r->disks[id] = numbers[id] > r->disks[id] ? numbers[id] : r->disks[id];
}

/* A configuration is known: its members may speak, with the disks that they have there. */
static void learn_configuration(struct runner *r, const struct configured *said)
{
    learn_disks(r, &said->text);
    if (!configurations_given(&r->configurations, said))
        return;
    r->config.proposers = configurations_proposers(&r->configurations);
    r->config.acceptors = configurations_acceptors(&r->configurations);
    r->config.learners = configurations_learners(&r->configurations);
}

/* Takes the configurations that the host has, as events. */
static void take_configurations(struct runner *r)
{
    const struct packet_list given = ports_configuration_given(r->ports);
    r->configurations_taken = true;
    for (size_t i = 0; i < given.len; i++) {
        const struct packet *p = &given.ptr[i];
        struct configured said = {.settled = p->kind == CONFIGURATION_SETTLED, .text = {.words = p->words, .len = p->len}};
        if (p->id >= SLOT_MAX || !configuration_unpack(&said.text, p->id, &said.configuration)) {
            log_text(r, LOG_ERROR, "the host has a configuration that this version cannot read");
            cannot_go_on(r, CONTROL_FAIL_DATA);
        }
        if (p->id != 0)
            learn_configuration(r, &said);
        add_event(r, EVENT_CONFIGURATION)->val.configuration = said;
    }
}

static bool is_of_earlier_disk(const struct runner *r, const struct packet *frame)
{
    return frame->id <= NODE_ID_MAX && frame->kind < r->disks[frame->id];
}

/* The frames without those of disks that were replaced. A network may not know yet that one was, and frames may have waited
 * since before that: what the old disk has voted for must not count as the new one's. */
static struct packet_list of_present_disks(struct runner *r, const struct packet_list *frames)
{
    struct packet_buffer *b = &r->heard;
    b->items = memory_reserve(b->items, &b->capacity, frames->len, sizeof *b->items);
    b->count = 0;
    for (size_t i = 0; i < frames->len; i++)
        if (!is_of_earlier_disk(r, &frames->ptr[i]))
            b->items[b->count++] = frames->ptr[i];
    return (struct packet_list){b->items, b->count};
}

/* A leader's heartbeat tells the client port who leads, whatever becomes of the message itself. */
static void tell_port(struct runner *r, const struct delivery *d)
{
    if (d->message.kind == MESSAGE_HEARTBEAT && (d->message.flags & MESSAGE_LEADING) != 0)
        ports_client_leader(r->ports, d->sender, d->message.ballot.round);
}

static void note_resigned(struct runner *r, const struct delivery *d)
{
    const bool resigns = (d->message.flags & MESSAGE_RESIGNED) != 0;
    if (d->message.kind == MESSAGE_HEARTBEAT)
        r->resigned = (r->resigned & ~node_set_of(d->sender)) | (resigns ? node_set_of(d->sender) : 0);
}

/* A message that comes before the node has recovered must have no effect on it. So it is dropped, as a network might drop
 * it. But clients may know who leads meanwhile: they need not wait until this node has read its journal. And that a proposer
 * resigns is said once, perhaps by the network when its process has ended (P28): the node hears it when it has recovered. */
static void hear_leader(struct runner *r)
{
    const struct packet_list all = ports_network_receive(r->ports), frames = of_present_disks(r, &all);
    if (frames.len == 0)
        return;
    struct decoded decoded = serializer_decode(r->serializer, frames.ptr, frames.len);
    for (size_t i = 0; i < decoded.messages.len; i++)
        if (message_fits(&r->config, decoded.messages.ptr[i].sender, &decoded.messages.ptr[i].message)) {
            tell_port(r, &decoded.messages.ptr[i]);
            note_resigned(r, &decoded.messages.ptr[i]);
        }
}

static void tell_resigned(struct runner *r)
{
    for (node_set all = r->resigned; all != 0; all &= all - 1)
        add_event(r, EVENT_MESSAGE)->val.message = (struct delivery){
            .sender = node_set_first(all), .message = {.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_RESIGNED}};
}

/* Hears what has come of this node's snapshots. At start that is the newest one, before anything of the journal. */
static void hear_snapshots(struct runner *r)
{
    const struct packet_list told = ports_snapshots_told(r->ports);
    for (size_t i = 0; i < told.len; i++) {
        const struct packet *p = &told.ptr[i];
        const struct payload value = {.words = p->words, .len = p->len};
        if (p->kind >= SNAPSHOT_ITEM_KINDS)
            continue;
        add_event(r, EVENT_SNAPSHOT)->val.snapshot = (struct snapshot_item){(uint8_t)p->kind, p->id, value};
        if (p->kind == SNAPSHOT_LOADED && r->state == RUNNER_LOADS_SNAPSHOT)
            r->state = RUNNER_READS_JOURNAL;
    }
}

/* Hears one chunk of what was in the journal at start. After the last one the node may speak. */
static void recover(struct runner *r)
{
    struct packet_list packets = ports_storage_recover(r->ports);
    if (packets.len == 0) {
        r->state = RUNNER_RUNS;
        r->durable = ports_storage_durable(r->ports);
        add_event(r, EVENT_RECOVERED);
        add_event(r, EVENT_DURABLE)->val.durable = r->durable;
        tell_resigned(r);
        return;
    }
    if (!decode_records(r, &packets)) {
        /* Its checksum holds, so another version wrote it. Going on would forget what was promised. */
        log_text(r, LOG_ERROR, "the journal holds a record that this version cannot read");
        cannot_go_on(r, CONTROL_FAIL_DATA);
    }
    r->lsn = packets.ptr[packets.len - 1].id + 1;
    add_event(r, EVENT_RECORDS)->val.records = (struct record_list){r->records.items, r->records.count};
}

/* Drops a message that its sender may not say. Logs the first one, and again each time that their number has doubled. */
static void leave_out(struct runner *r, const struct delivery *d)
{
    char text[256];
    r->left_out++;
    if ((r->left_out & (r->left_out - 1)) != 0)
        return;
    size_t len = decimal_between(text, sizeof text, "dropped messages that their senders may not say, ", r->left_out,
                                 " so far; the last one of kind ");
    len += decimal_between(text + len, sizeof text - len, "", d->message.kind, " from node ");
    len += decimal_between(text + len, sizeof text - len, "", d->sender, "");
    ports_log(r->ports, LOG_WARNING, text, len);
}

/* The messages in these frames, as events. */
static void add_messages(struct runner *r, const struct packet_list *all)
{
    const struct packet_list frames = of_present_disks(r, all);
    if (frames.len == 0)
        return;
    struct decoded decoded = serializer_decode(r->serializer, frames.ptr, frames.len);
    for (size_t i = 0; i < decoded.messages.len; i++) {
        const struct delivery *d = &decoded.messages.ptr[i];
        if (message_fits(&r->config, d->sender, &d->message))
            add_event(r, EVENT_MESSAGE)->val.message = *d;
        else
            leave_out(r, d);
    }
    if (decoded.bad.len > 0)
        log_text(r, LOG_WARNING, "a frame from another node is valid but contains no message; it was dropped");
}

static bool are_reads(const struct packet *p) { return (p->kind & CLIENT_READS) != 0; }

static bool is_watch(const struct packet *p) { return p->kind == CLIENT_WATCH; }

static bool are_commands(const struct packet *p) { return !are_reads(p) && p->kind != CLIENT_REQUEST && !is_watch(p); }

static void add_batch(struct runner *r, const struct packet *p)
{
    const struct client_batch batch = {.token = p->id, .value = {.words = p->words, .len = p->len}};
    if (p->kind == CLIENT_REQUEST)
        add_event(r, EVENT_REQUEST)->val.request = batch;
    else if (are_reads(p))
        add_event(r, EVENT_READS)->val.reads = batch;
    else if (are_commands(p))
        add_event(r, EVENT_COMMANDS)->val.commands = batch;
}

/* Whether the client port has something, or must hear that there is credit now, or none: it knows by that whether commands
 * that arrive are worth a turn. */
static bool is_port_asked(const struct runner *r, struct credit credit)
{
    const struct credit before = r->asked_with;
    return has_news(r, NEWS_BATCHES) || (credit.commands > 0) != (before.commands > 0) ||
           (credit.reads > 0) != (before.reads > 0);
}

/* What the port wants to be told holds from this turn on, whenever the batches get theirs: it may have told its clients
 * so. */
static struct packet_list ask_for_batches(struct runner *r, struct credit credit)
{
    struct packet_list batches = {NULL, 0};
    size_t commands = 0, reads = 0;
    if (is_port_asked(r, credit))
        batches = ports_client_receive(r->ports, credit);
    r->asked_with = credit;
    for (size_t i = 0; i < batches.len; i++) {
        reads += are_reads(&batches.ptr[i]);
        commands += are_commands(&batches.ptr[i]);
        if (is_watch(&batches.ptr[i]))
            add_event(r, EVENT_WATCH)->val.watch = batches.ptr[i].id;
    }
    r->left.commands = commands == credit.commands;
    r->left.reads = reads == credit.reads;
    return batches;
}

static void receive_commands(struct runner *r, struct credit credit)
{
    const struct packet_list batches = ask_for_batches(r, credit);
    for (size_t i = 0; i < batches.len; i++)
        add_batch(r, &batches.ptr[i]);
}

static void receive_none(struct runner *r) { receive_commands(r, (struct credit){0}); }

/* Reads back what the node asked for in an earlier turn. */
static void read_back(struct runner *r)
{
    if (!r->has_read)
        return;
    r->has_read = false;
    struct packet_list packets = {0};
    if (r->read.from < r->read.to)
        packets = ports_storage_read(r->ports, r->read.from, r->read.bytes_max);
    if (!decode_records(r, &packets))
        r->records.count = 0;
    add_event(r, EVENT_RECORDS)->val.records = (struct record_list){r->records.items, r->records.count};
}

/* True when so many bytes of records wait for the disk that no more may be added. */
static bool is_full(const struct runner *r) { return r->older_bytes + r->newer_bytes >= r->config.limits.unsynced; }

/* What its sender does not say again (P8), and what adds no record by itself: batches that were forwarded, of which the node
 * keeps so many, and results. */
static bool is_said_once(uint8_t kind) { return kind == MESSAGE_FORWARD || kind == MESSAGE_EXECUTED; }

static struct packet_list receive_frames(struct runner *r)
{
    return has_news(r, NEWS_FRAMES) ? ports_network_receive(r->ports) : (struct packet_list){NULL, 0};
}

/* What arrives while the node is full is dropped, as a network might drop it, if it is said again. Otherwise a node whose
 * disk is slow or full would gather in memory all that the others go on to choose. */
static void receive_when_full(struct runner *r)
{
    const struct packet_list all = receive_frames(r), frames = of_present_disks(r, &all);
    struct decoded decoded = {0};
    if (frames.len > 0)
        decoded = serializer_decode(r->serializer, frames.ptr, frames.len);
    for (size_t i = 0; i < decoded.messages.len; i++) {
        const struct delivery *d = &decoded.messages.ptr[i];
        if (!message_fits(&r->config, d->sender, &d->message))
            continue;
        tell_port(r, d);
        if (is_said_once(d->message.kind))
            add_event(r, EVENT_MESSAGE)->val.message = *d;
    }
    receive_none(r);
}

static void receive_all(struct runner *r)
{
    if (is_full(r)) {
        receive_when_full(r);
        return;
    }
    const struct packet_list frames = receive_frames(r);
    add_messages(r, &frames);
    receive_commands(r, r->credit);
}

/* True when all that came of the last event is done. */
static bool is_quiet(const struct runner *r)
{
    return r->durable + 1 >= r->lsn && r->withheld.count == 0 && !r->has_read && !r->busy;
}

/* One message as an event. False: there is none. */
static bool take_message(struct runner *r)
{
    const size_t before = r->events.count;
    if (r->next_frame == r->frames.len) {
        r->frames = ports_network_receive(r->ports);
        r->next_frame = 0;
    }
    while (r->next_frame < r->frames.len && r->events.count == before) {
        const struct packet_list one = {&r->frames.ptr[r->next_frame++], 1};
        add_messages(r, &one);
    }
    return r->events.count > before;
}

/* Whether a batch that the port has given waits for its turn. */
static bool has_batch(struct runner *r)
{
    while (r->next_batch < r->batches.len && is_watch(&r->batches.ptr[r->next_batch]))
        r->next_batch++;
    return r->next_batch < r->batches.len;
}

/* One batch of commands as an event. False: there is none. */
static bool take_commands(struct runner *r)
{
    const struct credit one = {.commands = r->credit.commands > 0, .reads = r->credit.reads > 0};
    if (!has_batch(r)) {
        r->batches = ask_for_batches(r, one);
        r->next_batch = 0;
    }
    if (!has_batch(r))
        return false;
    add_batch(r, &r->batches.ptr[r->next_batch++]);
    return true;
}

/* No batch is worth a turn now. While one waits here, the port is not asked: its list lives until the next question. */
static void take_no_commands(struct runner *r)
{
    if (!has_batch(r))
        receive_none(r);
}

static void receive_one(struct runner *r)
{
    bool taken = false;
    r->idle = false;
    if (!is_quiet(r) || r->events.count > 0) { /* what has just become durable is handled first, with all that comes of it */
        take_no_commands(r);
        return;
    }
    r->commands_first = !r->commands_first;
    if (r->commands_first) {
        taken = take_commands(r) || take_message(r);
    } else if (take_message(r)) {
        taken = true;
        take_no_commands(r);
    } else {
        taken = take_commands(r);
    }
    r->idle = !taken;
}

/* Breaks the node, as an experiment asked for by the host. */
static void crash(struct runner *r)
{
    log_text(r, LOG_WARNING, "crashing, as the host wants it");
    invariant(false);
}

static void hear_command(struct runner *r)
{
    if (!has_news(r, NEWS_COMMAND))
        return;
    const uint64_t command = ports_control_command(r->ports);
    if (command == CONTROL_CRASH)
        crash(r);
    if (command == CONTROL_CONFIGURE)
        take_configurations(r);
    if (command != CONTROL_STOP || r->stopping)
        return;
    r->stopping = true;
    add_event(r, EVENT_STOP);
}

/* Tells the client port at once. */
static void set_room(struct runner *r, bool room)
{
    if (r->no_room != room)
        return;
    r->no_room = !room;
    r->status_due = true;
    r->status_told_at = 0;
}

/* The wall clock is only told from time to time: nothing depends on it at once, and a call to the host is not free. */
static void look_at_wall_clock(struct runner *r, uint64_t now)
{
    if (r->wall_clock_known && now - r->wall_clock_at < WALL_CLOCK_INTERVAL_US)
        return;
    r->wall_clock_known = true;
    r->wall_clock_at = now;
    r->wall_clock = ports_control_wall_clock(r->ports);
    add_event(r, EVENT_WALL_CLOCK)->val.wall_clock = r->wall_clock;
}

/* Asks what has become durable, and whether there is room for more. */
static void look_at_disk(struct runner *r, uint64_t now)
{
    const uint64_t durable = ask_durable(r);
    bool all = durable + 1 >= r->lsn;
    if (all || durable > r->durable) {
        r->waits_since = now;
        set_room(r, true);
    } else if (now - r->waits_since >= ROOM_ASKED_AFTER_US) {
        set_room(r, ports_storage_room(r->ports));
    }
    if (durable > r->durable) {
        r->durable = durable;
        add_event(r, EVENT_DURABLE)->val.durable = durable;
    }
    if (durable >= r->older_lsn) {
        r->older_lsn = r->lsn - 1;
        r->older_bytes = all ? 0 : r->newer_bytes;
        r->newer_bytes = 0;
    }
}

static void gather_events(struct runner *r, uint64_t now)
{
    r->events.count = 0;
    if (!r->configurations_taken)
        take_configurations(r);
    if (r->state != RUNNER_RUNS) {
        hear_leader(r);
        if (r->state == RUNNER_LOADS_SNAPSHOT)
            hear_snapshots(r);
        if (r->state == RUNNER_READS_JOURNAL && !r->busy)
            recover(r);
        return;
    }
    look_at_disk(r, now);
    look_at_wall_clock(r, now);
    if (r->config.event_driven) {
        receive_all(r);
        if (has_news(r, NEWS_SNAPSHOTS))
            hear_snapshots(r); /* after the frames: it may bring a configuration that replaces a sender's disk */
    } else {
        hear_snapshots(r);
        receive_one(r);
    }
    read_back(r);
    hear_command(r);
}

/* --- out ----------------------------------------------------------------------------------------------------------- */

static void add_outgoing(struct outgoing_buffer *b, const struct outgoing *out)
{
    b->items = memory_reserve(b->items, &b->capacity, b->count + 1, sizeof *b->items);
    b->items[b->count++] = *out;
}

/* Makes room for the bytes of all records first, because packets point into the buffer. */
static void encode_appends(struct runner *r, const struct effect_list *effects)
{
    size_t words = 0, count = 0;
    for (size_t i = 0; i < effects->len; i++) {
        if (effects->ptr[i].tag != EFFECT_APPEND)
            continue;
        words += words_for(record_size(&effects->ptr[i].val.append));
        count++;
    }
    r->append_words.items = memory_reserve(r->append_words.items, &r->append_words.capacity, words, sizeof(uint64_t));
    r->appends.items = memory_reserve(r->appends.items, &r->appends.capacity, count, sizeof *r->appends.items);
    r->appends.count = 0;
    words = 0;
    for (size_t i = 0; i < effects->len; i++) {
        if (effects->ptr[i].tag != EFFECT_APPEND)
            continue;
        const struct log_record *record = &effects->ptr[i].val.append;
        invariant(record->lsn == r->lsn);
        r->lsn++;
        record_encode(record, r->append_words.items + words, &r->appends.items[r->appends.count++]);
        words += words_for(record_size(record));
    }
}

static uint64_t value_bytes(const struct message *m)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < m->entries.len; i++)
        bytes += m->entries.ptr[i].value.len;
    return bytes;
}

static void sort_send(struct runner *r, const struct outgoing *send)
{
    struct outgoing out = *send;
    out.to &= ~node_set_of(r->config.node);
    if (out.to == 0)
        return;
    bool full = r->withheld.count >= r->config.limits.withheld || r->withheld_bytes >= r->config.limits.withheld_bytes;
    if (out.after <= r->durable) {
        add_outgoing(&r->sends, &out);
        return;
    }
    if (full)
        return; /* as if the network had lost it: the node that asked will ask again */
    out.message = message_copy(&send->message);
    add_outgoing(&r->withheld, &out);
    r->withheld_bytes += value_bytes(&out.message);
}

static void add_reply(struct runner *r, uint64_t token, uint32_t kind, const struct payload *value)
{
    struct packet_buffer *b = &r->replies;
    b->items = memory_reserve(b->items, &b->capacity, b->count + 1, sizeof *b->items);
    b->items[b->count++] = (struct packet){.id = token, .kind = kind, .len = value->len, .words = value->words};
}

static void add_ask(struct runner *r, const struct snapshot_item *item)
{
    struct packet_buffer *b = &r->asks;
    b->items = memory_reserve(b->items, &b->capacity, b->count + 1, sizeof *b->items);
    b->items[b->count++] =
        (struct packet){.id = item->id, .kind = item->kind, .len = item->value.len, .words = item->value.words};
}

/* Ends the node. Nothing of this turn may leave it. Logs why: `slot`, between two texts. */
static void stop_at(struct runner *r, const char *head, uint64_t slot, const char *tail, enum control_failure code)
{
    char text[256];
    ports_log(r->ports, LOG_ERROR, text, decimal_between(text, sizeof text, head, slot, tail));
    cannot_go_on(r, code);
}

/* The host hears of it before anything of this turn leaves the node. */
static void tell_configuration(struct runner *r, const struct configured *said)
{
    const struct packet packet = {
        .id = said->configuration.slot,
        .kind = said->settled ? CONFIGURATION_SETTLED : CONFIGURATION_CHOSEN,
        .len = said->text.len,
        .words = said->text.words,
    };
    learn_configuration(r, said);
    ports_configuration_known(r->ports, &packet);
}

static void tell_wall_clock(struct runner *r, int64_t ahead)
{
    char text[256];
    const bool behind = ahead < 0;
    const uint64_t seconds = (uint64_t)(behind ? -ahead : ahead) / 1000;
    const size_t len =
        decimal_between(text, sizeof text, "this node leads, and its wall clock is ", seconds,
                        behind ? " s behind the log's, which does not go back" : " s ahead of the log's, which follows it");
    ports_log(r->ports, LOG_WARNING, text, len);
}

static void log_decisions(struct runner *r, const struct effect_list *effects)
{
    char text[DECISION_TEXT_MAX];
    for (size_t i = 0; i < effects->len; i++) {
        const size_t len = decision_write(&effects->ptr[i], text);
        if (len > 0)
            ports_log(r->ports, LOG_DEBUG, text, len);
    }
}

static void sort_effects(struct runner *r, const struct effect_list *effects)
{
    for (size_t i = 0; i < effects->len; i++) {
        const struct effect *e = &effects->ptr[i];
        switch (e->tag) {
        case EFFECT_SEND:
            sort_send(r, &e->val.send);
            break;
        case EFFECT_READ:
            r->read = e->val.read;
            r->has_read = true;
            break;
        case EFFECT_REPLY:
            if (e->val.reply.slot != 0)
                add_reply(r, e->val.reply.slot, CLIENT_SLOT, &(struct payload){0});
            add_reply(r, e->val.reply.token, e->val.reply.outcome | e->val.reply.leader << REPLY_LEADER_SHIFT,
                      &e->val.reply.replies);
            break;
        case EFFECT_NOTICES:
            add_reply(r, 0, CLIENT_NOTICES, &e->val.notices);
            break;
        case EFFECT_DIVERGED:
            stop_at(r, "the state before slot ", e->val.diverged, " is not that of a majority of the learners; stopping",
                    CONTROL_FAIL_DIVERGED);
            break;
        case EFFECT_DAMAGED:
            stop_at(
                r, "the journal says that slot ", e->val.damaged,
                " is chosen, and the record of its value is missing, and no snapshot that can be read has it. Start again"
                " if one could not be read just now; otherwise give it a snapshot of another learner",
                CONTROL_FAIL_DATA);
            break;
        case EFFECT_UNLOADABLE:
            stop_at(r, "the snapshot of the slots before ", e->val.unloadable,
                    " cannot be loaded: memory_bytes_max of this node has no room for its state, or another state machine"
                    " took it",
                    CONTROL_FAIL_DATA);
            break;
        case EFFECT_CONFIGURATION:
            tell_configuration(r, &e->val.configuration);
            break;
        case EFFECT_WALL_CLOCK:
            tell_wall_clock(r, e->val.wall_clock);
            break;
        case EFFECT_SNAPSHOT:
            add_ask(r, &e->val.snapshot);
            break;
        case EFFECT_TRUNCATE:
            *(r->truncation.lsn == 0 ? &r->truncation : &r->next_truncation) = e->val.truncate;
            break;
        case EFFECT_LEADER:
            ports_client_leader(r->ports, e->val.leader.leader, e->val.leader.ballot.round);
            break;
        default:
            break;
        }
    }
}

/* Lets the messages leave that waited for records which are durable by now. They waited longest, so they leave first. */
static void release_withheld(struct runner *r)
{
    r->released = 0;
    while (r->released < r->withheld.count && r->withheld.items[r->released].after <= r->durable)
        add_outgoing(&r->sends, &r->withheld.items[r->released++]);
}

static void forget_released(struct runner *r)
{
    if (r->released == 0)
        return;
    for (size_t i = 0; i < r->released; i++) {
        r->withheld_bytes -= value_bytes(&r->withheld.items[i].message);
        message_free(&r->withheld.items[i].message);
    }
    r->withheld.count -= r->released;
    memmove(r->withheld.items, r->withheld.items + r->released, r->withheld.count * sizeof *r->withheld.items);
    r->released = 0;
}

static void send_out(struct runner *r)
{
    if (r->sends.count > 0) {
        struct packet_list frames = serializer_encode(r->serializer, r->sends.items, r->sends.count);
        ports_network_send(r->ports, frames.ptr, frames.len);
    }
    if (r->replies.count > 0)
        ports_client_reply(r->ports, r->replies.items, r->replies.count);
}

/* Tells storage which records may go. What it was told is never taken back. */
static void truncate_journal(struct runner *r)
{
    if (r->truncation.lsn == 0 || r->truncation.after > r->durable)
        return;
    ports_storage_truncate(r->ports, r->truncation.lsn <= r->durable ? r->truncation.lsn : r->durable);
    r->truncation = r->next_truncation;
    r->next_truncation = (struct truncation){0};
}

/* True when storage is synchronous and has already made this turn's records durable. */
static bool append(struct runner *r)
{
    if (r->appends.count == 0)
        return false;
    for (size_t i = 0; i < r->appends.count; i++)
        r->newer_bytes += r->appends.items[i].len;
    ports_storage_append(r->ports, r->appends.items, r->appends.count);
    return ask_durable(r) > r->durable;
}

static void tell_status(struct runner *r, uint64_t now)
{
    uint64_t words[STATUS_FRAME_WORDS];
    struct packet packet;
    if (!r->status_due || now - r->status_told_at < STATUS_INTERVAL_US)
        return;
    r->status_due = false;
    r->status_told_at = now;
    const struct node_status status = runner_status(r);
    status_frame_encode(&status, words, &packet);
    packet.kind = r->no_room ? STATUS_NO_ROOM : STATUS_ROOM;
    ports_client_status(r->ports, &packet);
}

/* A machine made only to be described. The one that executes is inside the node, where some commands do not get to it. */
static void tell_commands(struct runner *r)
{
    struct state_machine *machine = state_machine_new();
    const struct command_info_list theirs = state_machine_describe(machine), others = publication_describe();
    struct command_info_list commands = {memory_new(theirs.len + others.len, sizeof *commands.ptr), 0};
    struct words words = {NULL, 0};
    size_t capacity = 0;
    struct packet packet;
    for (size_t i = 0; i < others.len; i++) /* first, so that the port keeps these if a machine has some of the same name */
        commands.ptr[commands.len++] = others.ptr[i];
    for (size_t i = 0; i < theirs.len; i++)
        commands.ptr[commands.len++] = theirs.ptr[i];
    command_table_encode(&commands, &words, &capacity, &packet);
    ports_client_status(r->ports, &packet);
    free(words.ptr);
    free(commands.ptr);
    state_machine_free(machine);
    r->commands_told = true;
}

uint64_t runner_turn(struct runner *r, uint64_t now, struct news news)
{
    r->turned_at = now;
    r->news = r->config.event_driven ? news : NEWS_ALL;
    if (!r->commands_told)
        tell_commands(r);
    bool was_recovering = r->state != RUNNER_RUNS;
    gather_events(r, now);
    struct step_result result = node_step(r->node, now, r->lsn, r->events.items, r->events.count);
    r->credit = result.credit;
    r->busy = result.wake_at <= now;
    r->sends.count = r->replies.count = r->asks.count = 0;
    if (r->config.log_decisions)
        log_decisions(r, &result.effects);
    release_withheld(r);
    encode_appends(r, &result.effects);
    sort_effects(r, &result.effects);
    bool durable_at_once = append(r);
    if (r->asks.count > 0)
        ports_snapshots_ask(r->ports, r->asks.items, r->asks.count);
    truncate_journal(r);
    send_out(r);
    forget_released(r);
    r->status_due |= r->events.count > 0 || result.effects.len > 0;
    tell_status(r, now);
    bool left = !is_full(r) && ((r->left.commands && r->credit.commands > 0) || (r->left.reads && r->credit.reads > 0));
    if (!r->config.event_driven) /* only the runner knows of the frames that it did not take yet */
        left = is_quiet(r) && (left || !r->idle);
    bool more = was_recovering || r->has_read || durable_at_once || left;
    return more ? now : result.wake_at;
}

struct node_status runner_status(struct runner *r)
{
    struct node_status status = node_status(r->node);
    status.wall_clock = r->wall_clock_known ? r->wall_clock + (r->turned_at - r->wall_clock_at) / 1000 : 0;
    return status;
}

#ifndef __wasm__ /* as a component, what it calls is in other components */
void runner_audit(const struct runner *r)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < r->withheld.count; i++)
        bytes += value_bytes(&r->withheld.items[i].message);
    invariant(r->withheld_bytes == bytes && r->withheld.count <= r->config.limits.withheld && r->released == 0);
    invariant(r->state != RUNNER_RUNS || r->durable + 1 < r->lsn || r->older_bytes + r->newer_bytes == 0 ||
              r->appends.count > 0);
    node_audit(r->node);
}
#endif
