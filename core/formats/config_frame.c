/* node-config and node-status as bytes.
 *
 *     0  magic 4: "SC10" a configuration, "SS04" a status; the digits are the version
 *     4  zero  4
 *     8  the fields in the order of the tables below, 8 bytes each, whatever their width in C
 *        zeros up to CONFIG_FRAME_WORDS, STATUS_FRAME_WORDS
 *
 * Pointers differ between host and guest; the fields do not. The tables are the one place that lists them. */
#include "core/formats/config_frame.h"

#include <string.h>

#include "core/base/cursor.h"

enum { CONFIG_MAGIC = 0x30314353, STATUS_MAGIC = 0x34305353 };

struct field {
    size_t offset;
    size_t size;
    uint64_t min;
    uint64_t max;
};

#define FIELD(type, name, min, max) {offsetof(struct type, name), sizeof(((struct type *)0)->name), min, max}

#define CONFIG(name, min, max) FIELD(node_config, name, min, max)
#define CONFIG_SET(name)       CONFIG(name, 0, UINT64_MAX)
#define CONFIG_U32(name)       CONFIG(name, 0, UINT32_MAX)
#define CONFIG_U64(name)       CONFIG(name, 0, UINT64_MAX)
#define CONFIG_BOOL(name)      CONFIG(name, 0, 1)

static const struct field config_fields[] = {
    CONFIG(node, 1, NODE_ID_MAX),
    CONFIG_U32(incarnation),
    CONFIG_U64(admitted),
    CONFIG(joined, 0, DUTY_ALL),
    CONFIG_SET(proposers),
    CONFIG_SET(acceptors),
    CONFIG_SET(learners),
    CONFIG_U32(phase1_quorum),
    CONFIG_U32(phase2_quorum),
    CONFIG_U32(alpha),
    CONFIG_U32(batches_in_flight),
    CONFIG_U64(bytes_in_flight_max),
    CONFIG_U32(chunk_bytes_max),
    CONFIG_U32(learn_gap_max),
    CONFIG_BOOL(acceptors_send_learns),
    CONFIG_BOOL(learners_send_executed),
    CONFIG_BOOL(forward),
    CONFIG_BOOL(event_driven),
    CONFIG_BOOL(log_decisions),
    CONFIG(durability, 0, DURABILITY_MEMORY),
    CONFIG(leader_rule, 0, LEADER_HIGHEST),
    CONFIG_U64(heartbeat_interval),
    CONFIG_U64(suspect_timeout),
    CONFIG_U64(dead_timeout),
    CONFIG_U64(prepare_timeout),
    CONFIG_U64(retry_interval),
    CONFIG_U64(exec_interval),
    CONFIG_U64(request_timeout),
    CONFIG_U64(state_bytes_max),
    CONFIG_U64(state_bytes_room),
    CONFIG_U64(snapshot_bytes),
    CONFIG_U64(snapshot_slots),
    CONFIG_U32(snapshots_max),
    CONFIG_U64(journal_keep_slots),
    CONFIG_U64(transfer_rate),
    CONFIG_U64(seed.low),
    CONFIG_U64(seed.high),
    CONFIG_U32(limits.chunk_bytes),
    CONFIG_U32(limits.accept_bytes),
    CONFIG_U32(limits.forwarded),
    CONFIG_U32(limits.release_bytes),
    CONFIG_U32(limits.step_work),
    CONFIG_U32(limits.apply),
    CONFIG_U32(limits.apply_bytes),
    CONFIG_U32(limits.call_work),
    CONFIG_U32(limits.results_bytes),
    CONFIG_U32(limits.read_bytes),
    CONFIG_U32(limits.requests),
    CONFIG_U32(limits.part_bytes),
    CONFIG_U32(limits.queries),
    CONFIG_U32(limits.withheld),
    CONFIG_U32(limits.withheld_bytes),
    CONFIG_U32(limits.unsynced),
    CONFIG_U32(limits.replies_bytes),
    CONFIG_U32(limits.session_idle_ms),
};

#define STATUS(name, max) FIELD(node_status, name, 0, max)

static const struct field status_fields[] = {
    STATUS(node, NODE_ID_MAX),
    STATUS(incarnation, UINT32_MAX),
    STATUS(leader, NODE_ID_MAX),
    STATUS(proposer_state, PROPOSER_LEADING),
    STATUS(ballot.round, UINT64_MAX),
    STATUS(ballot.node, NODE_ID_MAX),
    STATUS(ballot.incarnation, UINT32_MAX),
    STATUS(promised.round, UINT64_MAX),
    STATUS(promised.node, NODE_ID_MAX),
    STATUS(promised.incarnation, UINT32_MAX),
    STATUS(chosen, UINT64_MAX),
    STATUS(executed, UINT64_MAX),
    STATUS(held, UINT64_MAX),
    STATUS(state_hash, UINT64_MAX),
    STATUS(commands_executed, UINT64_MAX),
    STATUS(leader_changes, UINT64_MAX),
    STATUS(batches_waiting, UINT64_MAX),
    STATUS(keys, UINT64_MAX),
    STATUS(state_bytes, UINT64_MAX),
    STATUS(state_bytes_max, UINT64_MAX),
    STATUS(moment.elapsed, UINT64_MAX),
    STATUS(moment.unix, UINT64_MAX),
    STATUS(timed_keys, UINT64_MAX),
    STATUS(time_left, UINT64_MAX),
    STATUS(state_age_ms, UINT64_MAX),
    STATUS(slots_behind, UINT64_MAX),
    STATUS(sessions, UINT64_MAX),
    STATUS(session_bytes, UINT64_MAX),
    STATUS(wall_clock, UINT64_MAX),
};

enum {
    CONFIG_FIELDS = sizeof config_fields / sizeof config_fields[0],
    STATUS_FIELDS = sizeof status_fields / sizeof status_fields[0],
};
_Static_assert(1 + CONFIG_FIELDS <= CONFIG_FRAME_WORDS, "a configuration fits its frame");
_Static_assert(1 + STATUS_FIELDS <= STATUS_FRAME_WORDS, "a status fits its frame");
_Static_assert(sizeof(bool) == 1, "a bool is carried as the byte it is");

struct frame {
    uint64_t magic;
    size_t words;
    const struct field *fields;
    size_t count;
};

static const struct frame config_frame = {CONFIG_MAGIC, CONFIG_FRAME_WORDS, config_fields, CONFIG_FIELDS};
static const struct frame status_frame = {STATUS_MAGIC, STATUS_FRAME_WORDS, status_fields, STATUS_FIELDS};

static void frame_encode(const struct frame *frame, const void *from, uint64_t *words, struct packet *packet)
{
    memset(words, 0, frame->words * sizeof *words);
    words[0] = frame->magic;
    for (size_t i = 0; i < frame->count; i++) {
        const struct field *field = &frame->fields[i];
        memcpy(&words[1 + i], (const uint8_t *)from + field->offset, field->size);
    }
    *packet = (struct packet){
        .len = (uint32_t)(frame->words * sizeof *words),
        .words = {words, frame->words},
    };
}

static bool frame_decode(const struct frame *frame, const struct packet *packet, void *to)
{
    const uint64_t *words = packet->words.ptr;
    if (packet->words.len != frame->words || packet->len != frame->words * sizeof *words || words[0] != frame->magic)
        return false;
    for (size_t i = 0; i < frame->count; i++) {
        const struct field *field = &frame->fields[i];
        if (words[1 + i] < field->min || words[1 + i] > field->max)
            return false;
        memcpy((uint8_t *)to + field->offset, &words[1 + i], field->size);
    }
    for (size_t i = 1 + frame->count; i < frame->words; i++)
        if (words[i] != 0)
            return false;
    return true;
}

void config_frame_encode(const struct node_config *config, uint64_t *words, struct packet *packet)
{
    frame_encode(&config_frame, config, words, packet);
}

void status_frame_encode(const struct node_status *status, uint64_t *words, struct packet *packet)
{
    frame_encode(&status_frame, status, words, packet);
}

/* It does not check whether the fields make sense together. False: `*config` is zero. */
bool config_frame_decode(const struct packet *packet, struct node_config *config)
{
    memset(config, 0, sizeof *config);
    if (frame_decode(&config_frame, packet, config))
        return true;
    memset(config, 0, sizeof *config);
    return false;
}

/* False: `*status` is zero. */
bool status_frame_decode(const struct packet *packet, struct node_status *status)
{
    memset(status, 0, sizeof *status);
    if (frame_decode(&status_frame, packet, status))
        return true;
    memset(status, 0, sizeof *status);
    return false;
}
