#include "load/load_packet.h"

#include "core/base/cursor.h"
#include "core/base/memory.h"

enum {
    JOB_MAGIC = 0x34304a4c,    /* "LJ04" */
    RESULT_MAGIC = 0x3230524c, /* "LR02" */
    SETTINGS = 14,
    COUNTS = 10,
    JOB_HEADER_SIZE = 8 + SETTINGS * 8,
    HOST_SIZE = sizeof((struct load_target *)0)->host,
    TARGET_SIZE = 16 + 4 * 4 + HOST_SIZE,
    ERROR_SIZE = sizeof((struct load_share *)0)->first_error,
    PROBLEM_SIZE = sizeof((struct load_share *)0)->problem,
    RESULT_SIZE = 8 + COUNTS * 8 + sizeof(struct histogram) + ERROR_SIZE + PROBLEM_SIZE,
};
_Static_assert(sizeof(struct histogram) == (4 + HISTOGRAM_BUCKETS) * 8, "a histogram is 64-bit words");

static struct packet new_packet(size_t size)
{
    struct packet packet = {.len = (uint32_t)size};
    packet.words.len = words_for(packet.len);
    packet.words.ptr = memory_new(packet.words.len, sizeof *packet.words.ptr);
    return packet;
}

static void read_text(struct read_cursor *c, char *out, size_t size)
{
    const uint8_t *text = cursor_take(c, size);
    if (text != NULL)
        memcpy(out, text, size);
    out[size - 1] = '\0';
}

/* ---- Jobs ---- */

struct packet load_job_encode(const struct load_job *job)
{
    const struct load_options *o = &job->options;
    const uint64_t settings[SETTINGS] = {job->connections,      o->connections,     o->pipeline, o->oneshot,
                                         o->readonly,           o->resend,          o->sessions, o->command,
                                         o->requests,           job->first,         o->keyspace, o->value_size,
                                         o->request_timeout_ms, o->stall_timeout_ms};
    struct packet packet = new_packet(JOB_HEADER_SIZE + o->target_count * TARGET_SIZE);
    struct write_cursor c = cursor_into(packet.words.ptr, packet.len);
    cursor_write_u32(&c, JOB_MAGIC);
    cursor_write_u32(&c, (uint32_t)o->target_count);
    for (size_t i = 0; i < SETTINGS; i++)
        cursor_write_u64(&c, settings[i]);
    for (size_t i = 0; i < o->target_count; i++) {
        const struct load_address *a = &job->addresses[i];
        cursor_write_bytes(&c, a->bytes, sizeof a->bytes);
        cursor_write_u32(&c, a->scope);
        cursor_write_u32(&c, a->port);
        cursor_write_u32(&c, a->is_ipv6);
        cursor_write_u32(&c, 0);
        cursor_write_bytes(&c, o->targets[i].host, HOST_SIZE);
    }
    return packet;
}

static void read_settings(struct read_cursor *c, struct load_job *job)
{
    struct load_options *o = &job->options;
    job->connections = (uint32_t)cursor_read_u64(c);
    o->connections = (uint32_t)cursor_read_u64(c);
    o->pipeline = (uint32_t)cursor_read_u64(c);
    o->oneshot = cursor_read_u64(c) != 0;
    o->readonly = cursor_read_u64(c) != 0;
    o->resend = cursor_read_u64(c) != 0;
    o->sessions = cursor_read_u64(c) != 0;
    o->command = (uint8_t)cursor_read_u64(c);
    o->requests = cursor_read_u64(c);
    job->first = cursor_read_u64(c);
    o->keyspace = cursor_read_u64(c);
    o->value_size = (size_t)cursor_read_u64(c);
    o->request_timeout_ms = (uint32_t)cursor_read_u64(c);
    o->stall_timeout_ms = (uint32_t)cursor_read_u64(c);
}

static void read_target(struct read_cursor *c, struct load_target *target, struct load_address *address)
{
    const uint8_t *bytes = cursor_take(c, sizeof address->bytes);
    if (bytes != NULL)
        memcpy(address->bytes, bytes, sizeof address->bytes);
    address->scope = cursor_read_u32(c);
    address->port = target->port = (uint16_t)cursor_read_u32(c);
    address->is_ipv6 = cursor_read_u32(c) != 0;
    cursor_read_zeros(c, 4);
    read_text(c, target->host, HOST_SIZE);
}

bool load_job_decode(const struct packet *packet, struct load_job *job)
{
    struct read_cursor c = cursor_over_words(packet->words, packet->len);
    uint32_t magic = cursor_read_u32(&c), targets = cursor_read_u32(&c);
    *job = (struct load_job){.options.protocol = PROTOCOL_RESP};
    read_settings(&c, job);
    if (magic != JOB_MAGIC || targets == 0 || cursor_left(&c) != (uint64_t)targets * TARGET_SIZE || job->connections == 0 ||
        job->options.connections < job->connections || job->options.pipeline == 0)
        return false;
    struct load_target *target = memory_new(targets, sizeof *target);
    struct load_address *address = memory_new(targets, sizeof *address);
    for (uint32_t i = 0; i < targets; i++)
        read_target(&c, &target[i], &address[i]);
    job->options.targets = target;
    job->options.target_count = targets;
    job->addresses = address;
    if (cursor_finished(&c))
        return true;
    load_job_close(job);
    return false;
}

void load_job_close(struct load_job *job)
{
    free((void *)job->options.targets);
    free((void *)job->addresses);
}

/* ---- Results ---- */

/* Converts a time of the worker to one in the result, and back: 0 stays 0, and nothing else becomes 0. */
static uint64_t relative(uint64_t at_us, uint64_t start_us) { return at_us == 0 ? 0 : at_us - start_us + 1; }
static uint64_t absolute(uint64_t after_us, uint64_t start_us) { return after_us == 0 ? 0 : after_us + start_us - 1; }

struct packet load_result_encode(const struct load_share *share, uint64_t start_us)
{
    const uint64_t counts[COUNTS] = {share->answered,
                                     share->errors,
                                     share->unknown,
                                     share->retried,
                                     share->moved,
                                     share->no_session,
                                     share->session_passed,
                                     share->session_reply,
                                     relative(share->first_sent_us, start_us),
                                     relative(share->last_answer_us, start_us)};
    struct packet packet = new_packet(RESULT_SIZE);
    struct write_cursor c = cursor_into(packet.words.ptr, packet.len);
    cursor_write_u32(&c, RESULT_MAGIC);
    cursor_write_u32(&c, 0);
    for (size_t i = 0; i < COUNTS; i++)
        cursor_write_u64(&c, counts[i]);
    cursor_write_bytes(&c, &share->latency, sizeof share->latency);
    cursor_write_bytes(&c, share->first_error, ERROR_SIZE);
    cursor_write_bytes(&c, share->problem, PROBLEM_SIZE);
    return packet;
}

bool load_result_decode(const struct packet *packet, struct load_share *share, uint64_t start_us)
{
    struct read_cursor c = cursor_over_words(packet->words, packet->len);
    if (cursor_left(&c) != RESULT_SIZE || cursor_read_u32(&c) != RESULT_MAGIC)
        return false;
    cursor_read_zeros(&c, 4);
    share->answered = cursor_read_u64(&c);
    share->errors = cursor_read_u64(&c);
    share->unknown = cursor_read_u64(&c);
    share->retried = cursor_read_u64(&c);
    share->moved = cursor_read_u64(&c);
    share->no_session = cursor_read_u64(&c);
    share->session_passed = cursor_read_u64(&c);
    share->session_reply = cursor_read_u64(&c);
    share->first_sent_us = absolute(cursor_read_u64(&c), start_us);
    share->last_answer_us = absolute(cursor_read_u64(&c), start_us);
    const uint8_t *latency = cursor_take(&c, sizeof share->latency);
    if (latency != NULL)
        memcpy(&share->latency, latency, sizeof share->latency);
    read_text(&c, share->first_error, ERROR_SIZE);
    read_text(&c, share->problem, PROBLEM_SIZE);
    return cursor_finished(&c);
}
