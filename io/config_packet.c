/* A node's settings as bytes.
 *
 *     magic          8  "SN02" and zeros; the digits are the version
 *     configuration     CONFIG_FRAME_WORDS words, as core/formats/config_frame.h packs them; its node is the one that is
 *     told
 *     numbers           one word each, in the order of the table below
 *     exclusive      8  0 or 1
 *     cluster, data, folder
 *                       three texts: length 8, the bytes, zeros up to a multiple of 8
 *     nodes          8  how many there are; for each
 *                       id, role, network, storage, serializer: one word each
 *                       address, client: two times a text, the host, and one word, the port; no host: none, and port 0
 *     crashes        8  how many there are; for each the slot, one word
 *     checksum       8  XXH64 of all bytes before it
 *
 * Everything is a multiple of 8 bytes long, so the words alone tell the length: a file contains only them. The file and line
 * of an endpoint are not included, because the node does not see that file. */
#include "io/config_packet.h"

#include "core/base/checksum.h"
#include "core/base/cursor.h"
#include "core/base/memory.h"
#include "core/formats/config_frame.h"
#include "core/runners/ports.h" /* enum log_level */

enum { MAGIC = 0x32304e53, NODE_FIELDS = 5, WORD = sizeof(uint64_t) };

struct field {
    size_t offset;
    size_t size;
    uint64_t max;
};

#define FIELD(name, max_) {offsetof(struct config, name), sizeof(((struct config *)0)->name), max_}
#define FIELD_U32(name)   FIELD(name, UINT32_MAX)
#define FIELD_U64(name)   FIELD(name, UINT64_MAX)

static const struct field fields[] = {
    FIELD(log_level, LOG_DEBUG),     FIELD_U32(batch_size),
    FIELD_U32(batch_bytes),          FIELD_U32(command_bytes_max),
    FIELD_U32(frame_bytes_max),      FIELD_U32(client_connections_max),
    FIELD_U64(client_bytes_max),     FIELD_U64(client_bytes_all_max),
    FIELD_U64(peer_queue_bytes_max), FIELD_U64(segment_bytes),
    FIELD(load_snapshots, 1),        FIELD_U64(memory_bytes_max),
    FIELD_U64(turn_timeout),         FIELD_U64(grace_period),
    FIELD_U32(datagram_bytes_max),   FIELD_U32(restarts_max),
    FIELD_U64(restart_backoff),      FIELD_U64(ping_timeout),
    FIELD(waiting, WAITING_POLLING), FIELD_U64(tick),
    FIELD(debug_commands, 1),        FIELD(demo_client, 1),
    FIELD_U64(demo_client_requests),
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

_Static_assert(sizeof(bool) == 1, "a bool is carried as the byte it is");

/* ---- Packing ---- */

static const char *text_or_empty(const char *text) { return text != NULL ? text : ""; }

static size_t text_size(const char *text) { return WORD * (1 + words_for(strlen(text))); }

static size_t crashes_of(const struct node_settings *settings)
{
    size_t count = 0;
    for (size_t i = 0; i < settings->config.crash_count; i++)
        count += settings->config.crashes[i].node == settings->node;
    return count;
}

static size_t packet_size(const struct node_settings *settings)
{
    const struct config *c = &settings->config;
    size_t size = WORD * (1 + CONFIG_FRAME_WORDS + FIELDS + 1);
    size += text_size(c->cluster) + text_size(text_or_empty(c->data)) + text_size(settings->folder);
    size += WORD;
    for (size_t i = 0; i < c->node_count; i++)
        size += WORD * NODE_FIELDS + text_size(c->nodes[i].address.host) + WORD + text_size(c->nodes[i].client.host) + WORD;
    return size + WORD * (1 + crashes_of(settings)) + WORD;
}

static void write_text(struct write_cursor *out, const char *text)
{
    cursor_write_u64(out, strlen(text));
    cursor_write_bytes(out, text, strlen(text));
    cursor_write_padding(out, WORD);
}

static void write_endpoint(struct write_cursor *out, const struct endpoint *endpoint)
{
    write_text(out, endpoint->host);
    cursor_write_u64(out, endpoint->port);
}

static void write_node(struct write_cursor *out, const struct config_node *node)
{
    cursor_write_u64(out, node->id);
    cursor_write_u64(out, node->role);
    cursor_write_u64(out, node->network);
    cursor_write_u64(out, node->storage);
    cursor_write_u64(out, node->serializer);
    write_endpoint(out, &node->address);
    write_endpoint(out, &node->client);
}

static void write_node_config(struct write_cursor *out, const struct node_settings *settings)
{
    uint64_t words[CONFIG_FRAME_WORDS];
    struct packet frame;
    struct node_config node_config = settings->config.node_config;
    node_config.node = settings->node;
    config_frame_encode(&node_config, words, &frame);
    cursor_write_bytes(out, words, sizeof words);
}

static void write_numbers(struct write_cursor *out, const struct config *config)
{
    for (size_t i = 0; i < FIELDS; i++) {
        uint64_t value = 0;
        memcpy(&value, (const uint8_t *)config + fields[i].offset, fields[i].size);
        cursor_write_u64(out, value);
    }
}

struct packet config_packet_encode(const struct node_settings *settings)
{
    const struct config *c = &settings->config;
    const size_t size = packet_size(settings);
    uint64_t *words = memory_new(size / WORD, WORD);
    struct write_cursor out = cursor_into(words, size);
    cursor_write_u64(&out, MAGIC);
    write_node_config(&out, settings);
    write_numbers(&out, c);
    cursor_write_u64(&out, settings->exclusive);
    write_text(&out, c->cluster);
    write_text(&out, text_or_empty(c->data));
    write_text(&out, settings->folder);
    cursor_write_u64(&out, c->node_count);
    for (size_t i = 0; i < c->node_count; i++)
        write_node(&out, &c->nodes[i]);
    cursor_write_u64(&out, crashes_of(settings));
    for (size_t i = 0; i < c->crash_count; i++)
        if (c->crashes[i].node == settings->node)
            cursor_write_u64(&out, c->crashes[i].slot);
    cursor_write_u64(&out, checksum(words, out.at, 0));
    invariant(cursor_full(&out));
    return (struct packet){.id = settings->node, .len = (uint32_t)size, .words = {words, size / WORD}};
}

/* ---- Unpacking ---- */

/* A number that is at most `max`. A larger one fails and gives 0. */
static uint64_t read_number(struct read_cursor *in, uint64_t max)
{
    const uint64_t value = cursor_read_u64(in);
    if (value <= max)
        return value;
    cursor_fail(in);
    return 0;
}

/* A text of at most `max` bytes, none of them zero, in place. NULL: there is none. */
static const uint8_t *read_text(struct read_cursor *in, size_t max, size_t *len)
{
    *len = (size_t)read_number(in, max);
    const uint8_t *text = cursor_take(in, *len);
    cursor_read_padding(in, WORD);
    if (!in->failed && memchr(text, 0, *len) != NULL)
        cursor_fail(in);
    return in->failed ? NULL : text;
}

/* A text into `size` bytes that are zero beforehand. */
static void read_text_into(struct read_cursor *in, char *to, size_t size)
{
    size_t len;
    const uint8_t *text = read_text(in, size - 1, &len);
    if (text != NULL)
        memcpy(to, text, len);
}

/* A text of any length, allocated. NULL: it is empty, or there is none. */
static char *read_text_new(struct read_cursor *in)
{
    size_t len;
    const uint8_t *text = read_text(in, cursor_left(in), &len);
    if (text == NULL || len == 0)
        return NULL;
    char *copy = memory_new(len + 1, 1);
    memcpy(copy, text, len);
    return copy;
}

static void read_endpoint(struct read_cursor *in, struct endpoint *endpoint)
{
    read_text_into(in, endpoint->host, sizeof endpoint->host);
    endpoint->port = (uint16_t)read_number(in, UINT16_MAX);
    if ((endpoint->host[0] == '\0') != (endpoint->port == 0))
        cursor_fail(in);
}

static void read_node(struct read_cursor *in, struct config_node *node)
{
    node->id = (uint32_t)read_number(in, NODE_ID_MAX);
    node->role = (uint8_t)read_number(in, ROLE_LEARNER);
    node->network = (uint8_t)read_number(in, NETWORK_GUEST_UDP);
    node->storage = (uint8_t)read_number(in, PLACE_GUEST);
    node->serializer = (uint8_t)read_number(in, PLACE_GUEST);
    read_endpoint(in, &node->address);
    read_endpoint(in, &node->client);
    if (node->id == 0 || node->address.port == 0)
        cursor_fail(in);
}

/* The nodes. Their ids must differ, and `self` must be one of them. */
static void read_nodes(struct read_cursor *in, struct config *config, uint32_t self)
{
    node_set ids = 0;
    const size_t count = (size_t)read_number(in, NODE_ID_MAX);
    config->nodes = memory_new(count, sizeof *config->nodes);
    for (; config->node_count < count && !in->failed; config->node_count++) {
        struct config_node *node = &config->nodes[config->node_count];
        read_node(in, node);
        if (node_set_has(ids, node->id))
            cursor_fail(in);
        ids |= node_set_of(node->id);
    }
    if (!node_set_has(ids, self))
        cursor_fail(in);
}

static void read_crashes(struct read_cursor *in, struct config *config, uint32_t node)
{
    config->crash_count = (size_t)read_number(in, cursor_left(in) / WORD);
    config->crashes = memory_new(config->crash_count, sizeof *config->crashes);
    for (size_t i = 0; i < config->crash_count; i++)
        config->crashes[i] = (struct config_crash){.node = node, .slot = cursor_read_u64(in)};
}

/* Returns the node that the packet is for. */
static uint32_t read_node_config(struct read_cursor *in, struct node_config *node_config)
{
    uint64_t words[CONFIG_FRAME_WORDS];
    const uint8_t *bytes = cursor_take(in, sizeof words);
    if (bytes == NULL)
        return 0;
    memcpy(words, bytes, sizeof words);
    const struct packet frame = {.len = sizeof words, .words = {words, CONFIG_FRAME_WORDS}};
    if (!config_frame_decode(&frame, node_config) || node_config->incarnation != 0)
        cursor_fail(in);
    const uint32_t node = node_config->node;
    node_config->node = 0;
    return node;
}

static void read_numbers(struct read_cursor *in, struct config *config)
{
    for (size_t i = 0; i < FIELDS; i++) {
        const uint64_t value = read_number(in, fields[i].max);
        memcpy((uint8_t *)config + fields[i].offset, &value, fields[i].size);
    }
}

static void read_settings(struct read_cursor *in, struct node_settings *settings)
{
    struct config *c = &settings->config;
    if (cursor_read_u64(in) != MAGIC)
        cursor_fail(in);
    settings->node = read_node_config(in, &c->node_config);
    read_numbers(in, c);
    settings->exclusive = read_number(in, 1) != 0;
    read_text_into(in, c->cluster, sizeof c->cluster);
    c->data = read_text_new(in);
    read_text_into(in, settings->folder, sizeof settings->folder);
    read_nodes(in, c, settings->node);
    read_crashes(in, c, settings->node);
}

bool config_packet_decode(const struct packet *packet, struct node_settings *settings)
{
    *settings = (struct node_settings){0};
    const size_t size = packet->words.len * WORD;
    if (size < WORD || packet->len != size)
        return false;
    const size_t end = size - WORD;
    if (packet->words.ptr[packet->words.len - 1] != checksum(packet->words.ptr, end, 0))
        return false;
    struct read_cursor in = cursor_over(packet->words.ptr, end);
    read_settings(&in, settings);
    if (cursor_finished(&in) && settings->config.cluster[0] != '\0' && settings->folder[0] != '\0')
        return true;
    config_close(&settings->config);
    *settings = (struct node_settings){0};
    return false;
}
