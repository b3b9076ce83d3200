/* The outside of a simulated node. All that leaves it passes the checks and the trace, effect by effect. A lit fuse may burn
 * down between any two of them, and from then on nothing more happens in this turn. */
#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/formats/message_rules.h"
#include "core/formats/notice.h"
#include "core/formats/record.h"
#include "core/formats/serializer.h"
#include "sim/machine.h"
#include "sim/world.h"

/* Of eight parts of the time there is one in which a node's client port does not want to be told messages. */
enum { WATCH_US = 700000, WATCH_PARTS = 8 };

static struct machine *of(struct ports *ports) { return (struct machine *)ports; }

/* One more effect. False: the process is no longer there to make it. */
static bool lives(struct machine *m)
{
    if (m->fuse >= 0 && m->fuse-- == 0)
        m->dead = true;
    return !m->dead;
}

static uint64_t packet_checksum(const struct packet *p, uint64_t seed)
{
    return checksum(p->words.ptr, words_for(p->len) * sizeof(uint64_t), seed);
}

/* ---- what there is ---- */

/* What the client port is to be told: all, most of the time. */
static uint64_t wants(const struct machine *m)
{
    return (m->world->now / WATCH_US + m->id) % WATCH_PARTS != 0 ? WATCH_MESSAGES | WATCH_KEYS | WATCH_EVENTS : 0;
}

/* As the host's (host/node_ports.c). */
static struct news news(struct ports *ports)
{
    const struct machine *m = of(ports);
    const bool frames = m->arrival_at <= m->world->now || (m->network != NULL && node_network_waiting(m->network));
    const bool batches = machine_clients_waiting(m) || m->asks_untold || wants(m) != m->watch_told;
    return (struct news){
        .bits = (frames ? NEWS_FRAMES : 0u) | (batches && !m->stopping ? NEWS_BATCHES : 0u) |
                (snapshot_front_has_told(m->snapshots.front) ? NEWS_SNAPSHOTS : 0u) |
                (m->stopping || machine_may_give(m) ? NEWS_COMMAND : 0u),
        .durable = journal_front_durable(m->storage.front),
    };
}

/* ---- network ---- */

/* Alters what learners say about their states, for a node whose own state differs: to that node, the others differ. */
static bool alter(struct machine *m, struct message *message)
{
    if (m->other_state == 0 || message->kind != MESSAGE_PROGRESS || message->from < m->other_from)
        return false;
    message->batch.number ^= m->other_state;
    return true;
}

/* The number of the newest disk of a node that has sent one of these bodies. */
static uint32_t disk_of(const struct packet_list *bodies, uint64_t sender)
{
    uint32_t number = 0;
    for (size_t i = 0; i < bodies->len; i++)
        if (bodies->ptr[i].id == sender && bodies->ptr[i].kind > number)
            number = bodies->ptr[i].kind;
    return number;
}

/* The same bodies as this node must hear them. Those that are no messages are left out, as the node would do itself. */
static struct packet_list altered(struct machine *m, const struct packet_list *bodies, const struct decoded *decoded)
{
    m->altered = memory_reserve(m->altered, &m->altered_capacity, decoded->messages.len, sizeof *m->altered);
    for (size_t i = 0; i < decoded->messages.len; i++) {
        const struct delivery *d = &decoded->messages.ptr[i];
        m->altered[i] = (struct outgoing){.to = d->sender, .message = d->message};
        alter(m, &m->altered[i].message);
    }
    const struct packet_list out = serializer_encode(m->hears, m->altered, decoded->messages.len);
    for (size_t i = 0; i < out.len; i++)
        out.ptr[i].kind = disk_of(bodies, out.ptr[i].id);
    return out;
}

static struct packet_list receive_frames(struct ports *ports)
{
    struct machine *m = of(ports);
    struct world *w = m->world;
    if (m->dead)
        return (struct packet_list){NULL, 0};
    struct packet_list bodies = machine_network_receive(m);
    if (bodies.len == 0)
        return bodies;
    uint64_t sum = 0;
    for (size_t i = 0; i < bodies.len; i++)
        sum = packet_checksum(&bodies.ptr[i], sum);
    world_trace(w, m->id, TRACE_RECEIVE, bodies.len, 0, sum);
    struct decoded decoded = serializer_decode(m->observer, bodies.ptr, bodies.len);
    for (size_t i = 0; i < decoded.messages.len; i++)
        checks_received(w->checks, m->id, decoded.messages.ptr[i].sender, &decoded.messages.ptr[i].message);
    return m->other_state == 0 ? bodies : altered(m, &bodies, &decoded);
}

/* The checks see a message before the network has it. */
static void send_frame(struct machine *m, const struct packet *frame)
{
    struct world *w = m->world;
    struct packet body = *frame;
    body.id = m->id;
    struct decoded decoded = serializer_decode(m->observer, &body, 1);
    if (decoded.messages.len != 1) {
        checks_fail(w->checks, CHECK_BOUNDS, "node %u sends bytes that are no message", m->id);
        return;
    }
    const struct message *message = &decoded.messages.ptr[0].message;
    world_trace(w, m->id, TRACE_SEND, frame->id, message->kind, packet_checksum(frame, 0));
    const struct node_config members = machine_members(m);
    if (!message_fits(&members, m->id, message))
        checks_fail(w->checks, CHECK_BOUNDS, "node %u sends a message of kind %u that the others must leave out", m->id,
                    message->kind);
    checks_sent(w->checks, m->id, frame->id, message, frame->len);
    if (world_swallows(w, m, message->kind))
        return;
    struct outgoing said = {.to = frame->id, .message = *message};
    const bool differs = alter(m, &said.message);
    if (differs)
        frame = serializer_encode(m->tells, &said, 1).ptr;
    struct packet sent = *frame;
    sent.id &= machine_reaches(m);
    sent.id &= message->kind == MESSAGE_ACCEPT ? ~w->black_hole[m->id] : ~(node_set)0;
    machine_network_send(m, &sent);
    if (differs) /* its words are valid until the next one */
        machine_network_flush(m);
    world_slip(w, m->id, message->kind, frame);
    if (w->faults.rate[FAULT_REPLAY] > 0 && !m->ghost)
        letters_keep(&w->letters, m->id, frame->id, message->kind, frame);
    world_arrivals(w, frame->id);
}

static void send_frames(struct ports *ports, const struct packet *frames, size_t count)
{
    struct machine *m = of(ports);
    for (size_t i = 0; i < count && lives(m); i++)
        send_frame(m, &frames[i]);
    machine_network_flush(m);
}

/* ---- clients ---- */

/* The batches, before them what the node's operator asks, and after them what is to be told. */
static struct packet_list with_others(struct machine *m, struct packet_list batches)
{
    size_t count = 0;
    m->batches = memory_reserve(m->batches, &m->batches_capacity, batches.len + 2, sizeof *m->batches);
    if (m->asks_untold) {
        const struct payload request = batch_end(&m->asks);
        m->asks_untold = false;
        m->batches[count++] =
            (struct packet){.id = m->asks_token, .kind = CLIENT_REQUEST, .len = request.len, .words = request.words};
    }
    if (batches.len > 0)
        memcpy(m->batches + count, batches.ptr, batches.len * sizeof *batches.ptr);
    count += batches.len;
    if (wants(m) != m->watch_told) {
        m->watch_told = wants(m);
        m->batches[count++] = (struct packet){.id = m->watch_told, .kind = CLIENT_WATCH};
        world_trace(m->world, m->id, TRACE_WATCH, 0, m->watch_told, 0);
        checks_watch(m->world->checks, m->id, m->watch_told != 0);
    }
    return (struct packet_list){m->batches, count};
}

static struct packet_list receive_batches(struct ports *ports, struct credit credit)
{
    struct machine *m = of(ports);
    struct world *w = m->world;
    m->credit = credit;
    struct packet_list batches = {NULL, 0};
    if (m->dead || m->stopping)
        return batches;
    if (node_set_has(w->plan.clients.ports, m->id))
        batches = machine_clients_receive(m, credit);
    for (size_t i = 0; i < batches.len; i++) {
        const struct packet *p = &batches.ptr[i];
        struct payload value = {p->words, p->len};
        world_trace(w, m->id, TRACE_BATCH, p->kind, p->id, packet_checksum(p, 0));
        checks_submitted(w->checks, m->id, p->id, &value, (p->kind & CLIENT_READS) != 0);
    }
    return with_others(m, batches);
}

/* What an operator is told. Where nothing else happens, the node that was named leads then. */
static void answer_operator(struct machine *m, const struct packet *p)
{
    struct world *w = m->world;
    const struct payload replies = {p->words, p->len};
    struct reply_item item;
    size_t offset = 0;
    const bool answered = p->kind % 256 == OUTCOME_EXECUTED && replies_next(&replies, &offset, &item);
    const bool moved = answered && item.tag == REPLY_STATUS;
    m->asks_token = 0;
    if (m->asks_for != FAULT_MOVED_LEADER) {
        operator_answered(w, m,
                          moved      ? NULL
                          : answered ? (const char *)item.bytes.ptr
                                     : "moved",
                          answered ? item.bytes.len : 5);
        return;
    }
    checks_reached(w->checks)[moved ? REACHED_LEADER_MOVED : REACHED_LEADER_NOT_MOVED]++;
    if (w->judges_moves && moved && w->machines[m->moves_to].proposer_state != PROPOSER_LEADING)
        checks_fail(w->checks, CHECK_HANDOVER, "node %u says that node %u leads, and it does not", m->id, m->moves_to);
}

static void reply(struct ports *ports, const struct packet *answers, size_t count)
{
    struct machine *m = of(ports);
    struct world *w = m->world;
    uint64_t slot = 0; /* that of the batch which is answered next */
    for (size_t i = 0; i < count && lives(m); i++) {
        const struct packet *p = &answers[i];
        const uint8_t outcome = (uint8_t)p->kind;
        const uint64_t executed_in = slot;
        slot = p->kind == CLIENT_SLOT ? p->id : 0;
        if (p->kind == CLIENT_SLOT)
            continue;
        if (p->kind == CLIENT_NOTICES) {
            world_trace(w, m->id, TRACE_NOTICES, 0, 0, packet_checksum(p, 0));
            checks_notices(w->checks, m->id, &(struct payload){.words = p->words, .len = p->len}, m->snapshots.loaded);
            continue;
        }
        world_trace(w, m->id, TRACE_REPLY, outcome, p->id, packet_checksum(p, 0));
        if (m->asks_token != 0 && p->id == m->asks_token) {
            answer_operator(m, p);
            continue;
        }
        if (w->judges_moves && w->now >= WORLD_MOVES_JUDGED_US && outcome == OUTCOME_UNKNOWN)
            checks_fail(w->checks, CHECK_HANDOVER, "node %u tells clients -UNKNOWN, and leadership was moved only", m->id);
        checks_answered(w->checks, p->id, outcome, executed_in);
        w->executed += outcome == OUTCOME_EXECUTED;
        if (!machine_clients_reply(m, p, executed_in))
            checks_fail(w->checks, CHECK_LINEARIZABILITY,
                        "node %u answers token %llu in a way that does not fit the commands", m->id,
                        (unsigned long long)p->id);
    }
}

static void tell_leader(struct ports *ports, uint64_t node, uint64_t round)
{
    struct machine *m = of(ports);
    if (m->dead)
        return;
    m->leader = (uint32_t)node;
    world_trace(m->world, m->id, TRACE_LEADER, node, round, 0);
    machine_clients_leader(m, node, round);
}

/* For the client port; the world looks for itself (note_status in sim/machine.c). */
static void take_status(struct ports *ports, const struct packet *status)
{
    struct machine *m = of(ports);
    if (!m->dead)
        machine_clients_status(m, status);
}

/* ---- storage ---- */

static void check_record(struct machine *m, const struct packet *p,
                         void (*check)(struct checks *c, uint32_t node, const struct log_record *record))
{
    struct log_record record;
    if (record_decode(p, &record))
        check(m->world->checks, m->id, &record);
    else
        checks_fail(m->world->checks, CHECK_BOUNDS, "node %u: lsn %llu is no record", m->id, (unsigned long long)p->id);
}

/* A journal that cannot be read (any more) ends the process, as in the host. A sound one can be read, unless the disk
 * refused a call: `before` is how often it had done so. */
static struct packet_list stop_reading(struct machine *m, uint64_t before)
{
    const bool disk_failed = machine_refusals(m) > before;
    if (!m->dead && !disk_failed && !disk_sim_damaged(m->disk))
        checks_fail(m->world->checks, CHECK_RECOVERY, "node %u cannot read a sound journal: %s", m->id, m->problem.text);
    if (!m->dead)
        m->fuse_fault = disk_failed ? FAULT_FAILED_SYNC : FAULT_READ_ERROR;
    m->dead = true;
    return (struct packet_list){NULL, 0};
}

static struct packet_list recover_records(struct ports *ports, bool *failed)
{
    struct machine *m = of(ports);
    struct packet_list records = {NULL, 0};
    const uint64_t before = machine_refusals(m);
    const bool was_open = m->dead || journal_store_is_open(journal_front_store(m->storage.front));
    *failed = m->dead || !journal_front_recover(m->storage.front, &records, &m->problem);
    if (*failed)
        return stop_reading(m, before);
    if (!was_open && journal_store_is_open(journal_front_store(m->storage.front)) && !machine_has_read(m)) {
        *failed = true;
        return (struct packet_list){NULL, 0};
    }
    for (size_t i = 0; i < records.len; i++)
        check_record(m, &records.ptr[i], checks_recovered);
    if (records.len > 0)
        m->recovered_to = records.ptr[records.len - 1].id;
    else if (!m->recovered)
        machine_recovered(m);
    return records;
}

static void append_records(struct ports *ports, const struct packet *records, size_t count)
{
    struct machine *m = of(ports);
    struct journal_front *front = m->storage.front;
    struct problem problem;
    for (size_t i = 0; i < count && lives(m); i++) {
        const struct packet *p = &records[i];
        if (p->id != journal_front_last(front) + 1 || !journal_front_append(front, p, &problem)) {
            checks_fail(m->world->checks, CHECK_BOUNDS, "node %u appends lsn %llu after %llu", m->id,
                        (unsigned long long)p->id, (unsigned long long)journal_front_last(front));
            return;
        }
        world_trace(m->world, m->id, TRACE_APPEND, p->kind, p->id, packet_checksum(p, 0));
        check_record(m, p, checks_appended);
    }
}

static uint64_t durable_lsn(struct ports *ports) { return journal_front_durable(of(ports)->storage.front); }

static bool has_room(struct ports *ports) { return journal_front_has_room(of(ports)->storage.front); }

static struct packet_list read_records(struct ports *ports, uint64_t from, uint64_t bytes_max)
{
    struct machine *m = of(ports);
    struct packet_list records;
    const uint64_t refused = machine_refusals(m);
    if (m->dead || !journal_front_read(m->storage.front, from, bytes_max, &records, &m->problem))
        return stop_reading(m, refused);
    world_trace(m->world, m->id, TRACE_READ, 0, from, from + records.len);
    checks_read(m->world->checks, m->id);
    return records;
}

static void truncate_records(struct ports *ports, uint64_t lsn)
{
    struct machine *m = of(ports);
    if (!lives(m))
        return;
    world_trace(m->world, m->id, TRACE_TRUNCATE, 0, lsn, 0);
    checks_truncated(m->world->checks, m->id, lsn);
    journal_front_truncate(m->storage.front, lsn);
}

/* ---- snapshots ---- */

static void ask_snapshots(struct ports *ports, const struct packet *asks, size_t count)
{
    struct machine *m = of(ports);
    for (size_t i = 0; i < count && lives(m); i++) {
        const struct packet *p = &asks[i];
        world_trace(m->world, m->id, TRACE_SNAPSHOT, p->kind, p->id, packet_checksum(p, 0));
        machine_snapshots_ask(m, p, 1);
    }
}

static struct packet_list told_of_snapshots(struct ports *ports)
{
    struct machine *m = of(ports);
    if (m->dead)
        return (struct packet_list){NULL, 0};
    struct packet_list list = machine_snapshots_told(m);
    for (size_t i = 0; i < list.len; i++) {
        const struct packet *p = &list.ptr[i];
        world_trace(m->world, m->id, TRACE_SNAPSHOT, p->kind, p->id, packet_checksum(p, 0));
        if (p->kind == SNAPSHOT_STORED)
            checks_snapshot(m->world->checks, m->id, p->id, p->words.ptr[0], p->words.ptr[1],
                            m->recovered && p->id != m->snapshots.received);
        else if (p->kind == SNAPSHOT_LOADED)
            m->snapshots.loaded = p->id;
    }
    return list;
}

/* ---- the rest ---- */

/* Texts are for people; what is wrong shows in what nodes do. */
static void log_text(struct ports *ports, uint32_t level, const char *text, size_t len)
{
    struct machine *m = of(ports);
    if (level == LOG_ERROR)
        problem_set(&m->problem, EXIT_TROUBLE, "%.*s", (int)(len < 500 ? len : 500), text);
}

static uint64_t command(struct ports *ports)
{
    struct machine *m = of(ports);
    return m->stopping ? CONTROL_STOP : machine_may_give(m) ? CONTROL_CONFIGURE : CONTROL_RUN;
}

/* ---- configurations ---- */

static struct packet_list give_configurations(struct ports *ports)
{
    struct machine *m = of(ports);
    if (m->dead)
        return (struct packet_list){NULL, 0};
    const size_t count = machine_gives(m, m->gives);
    for (size_t i = 0; i < count; i++)
        world_trace(m->world, m->id, TRACE_CONFIGURATION, 0, m->gives[i].id, packet_checksum(&m->gives[i], 0));
    return (struct packet_list){m->gives, count};
}

static void know_configuration(struct ports *ports, const struct packet *p)
{
    struct machine *m = of(ports);
    const struct payload text = {p->words, p->len};
    const bool chosen = p->kind == CONFIGURATION_CHOSEN;
    if (!lives(m))
        return;
    world_trace(m->world, m->id, TRACE_CONFIGURATION, 1 + p->kind, p->id, packet_checksum(p, 0));
    checks_configured(m->world->checks, m->id, p->id, chosen ? &text : NULL);
    if (chosen)
        machine_knows(m, p->id, &text);
    else
        machine_settled(m, p->id);
}

static uint64_t wall_clock(struct ports *ports) { return machine_wall_clock(of(ports), of(ports)->world->now); }

/* The trap that follows is judged; the reason was logged. */
static void cannot_go_on(struct ports *ports, uint64_t code)
{
    of(ports)->diverged = code == CONTROL_FAIL_DIVERGED;
    of(ports)->refuses = code == CONTROL_FAIL_DATA;
}

const struct ports_operations machine_ports = {
    .news = news,
    .network_receive = receive_frames,
    .network_send = send_frames,
    .client_receive = receive_batches,
    .client_reply = reply,
    .client_leader = tell_leader,
    .client_status = take_status,
    .storage_recover = recover_records,
    .storage_append = append_records,
    .storage_durable = durable_lsn,
    .storage_room = has_room,
    .storage_read = read_records,
    .storage_truncate = truncate_records,
    .snapshots_ask = ask_snapshots,
    .snapshots_told = told_of_snapshots,
    .log = log_text,
    .control_command = command,
    .control_wall_clock = wall_clock,
    .configuration_given = give_configurations,
    .configuration_known = know_configuration,
    .control_fail = cannot_go_on,
};
