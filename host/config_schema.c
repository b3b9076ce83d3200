#include "host/config_schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/formats/configuration.h"
#include "core/runners/ports.h" /* enum log_level */
#include "host/config.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

#define GOVERNED            .governed = KEY_GOVERNED
#define FIELD(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)NULL)->member)
#define IN_CONFIG(member)   FIELD(struct config, member)
#define IN_NODE(member)     FIELD(struct config_node, member)

static const char *const level_names[] = {"error", "warning", "info", "debug", NULL};
static const char *const rule_names[] = {"sticky", "highest", NULL}; /* indexes are enum leader_rule */
static const char *const role_names[] = {"coordinator", "proposer", "acceptor", "learner", NULL};
static const char *const durability_names[] = {"fsync", "os", "memory", NULL};
static const char *const network_names[] = {"host-tcp", "host-udp", "grpc", "guest-tcp", "guest-udp", NULL};
static const char *const place_names[] = {"host", "guest", NULL};
static const char *const waiting_names[] = {"events", "polling", NULL};
/* Indexes are enum durability. */
static const char *const persistence_names[] = {"true", "", "false", NULL};

static const struct config_key top_keys[] = {
    {"cluster", VALUE_NAME, KEY_REQUIRED, GOVERNED, IN_CONFIG(cluster),
     .text = "Name of the cluster; a node refuses data and frames of another"},
    {"log_level", VALUE_CHOICE, KEY_OPTIONAL, IN_CONFIG(log_level), .standard = LOG_INFO, .choices = level_names,
     .text = "Least important log lines that are written. With debug, these include what the node decides"},
    {"data", VALUE_PATH, KEY_OPTIONAL, .text = "Folder of all data, relative to this file's; node N has `node-N` in it"},
    {"leader_rule", VALUE_CHOICE, KEY_OPTIONAL, IN_CONFIG(node_config.leader_rule), .standard = LEADER_STICKY,
     .choices = rule_names,
     .text = "Which proposer should lead: the current leader while it is alive (sticky), or the highest live one "
             "(highest)"},
    {"network", VALUE_CHOICE, KEY_FOR_NODES, IN_NODE(network), .standard = NETWORK_HOST_TCP, .choices = network_names,
     .text = "What moves frames between nodes (the host, or the node itself in the sandbox), and over which protocol: "
             "TCP, UDP or gRPC. The protocol must be the same for all nodes"},
    {"storage", VALUE_CHOICE, KEY_FOR_NODES, IN_NODE(storage), .standard = PLACE_HOST, .choices = place_names,
     .text = "What writes the journal: the host, or the node itself in the sandbox"},
    {"serializer", VALUE_CHOICE, KEY_FOR_NODES, IN_NODE(serializer), .standard = PLACE_GUEST, .choices = place_names,
     .text = "Where messages become frames and back: in the host, or in the sandbox"},
    {"granularity", VALUE_CHOICE, KEY_FOR_NODES, IN_NODE(granularity), .standard = GRANULARITY_PARTS,
     .choices = granularity_names,
     .text = "How much of a node is one component: each part, each agent with all that it calls, or the whole node"},
    {"nodes", VALUE_NODES, KEY_REQUIRED, .text = "The nodes, see below"},
    {"groups", VALUE_GROUPS, KEY_OPTIONAL,
     .text = "Lists of node ids, one list for each process; each node is in exactly one. Without it each node has its "
             "own process"},
    {"settings", VALUE_SETTINGS, KEY_OPTIONAL, .text = "How the nodes behave, see below"},
};

static const struct config_key node_keys[] = {
    {"id", VALUE_COUNT, KEY_REQUIRED, GOVERNED, IN_NODE(id), .min = 1, .max = NODE_ID_MAX,
     .text = "Number of the node, unique"},
    {"role", VALUE_CHOICE, KEY_REQUIRED, GOVERNED, IN_NODE(role), .choices = role_names,
     .text = "What it is; a coordinator is proposer, acceptor and learner in one"},
    {"address", VALUE_ENDPOINT, KEY_REQUIRED, IN_NODE(address), .text = "Where the other nodes reach it"},
    {"client", VALUE_ENDPOINT, KEY_OPTIONAL, IN_NODE(client),
     .text = "Where clients reach it; without it the node has no client port (but see `client_server_port`)"},
    {"network", VALUE_CHOICE, KEY_FROM_TOP, IN_NODE(network), .choices = network_names, .text = "As above, of this node"},
    {"storage", VALUE_CHOICE, KEY_FROM_TOP, IN_NODE(storage), .choices = place_names, .text = "As above, of this node"},
    {"serializer", VALUE_CHOICE, KEY_FROM_TOP, IN_NODE(serializer), .choices = place_names,
     .text = "As above, of this node"},
    {"granularity", VALUE_CHOICE, KEY_FROM_TOP, IN_NODE(granularity), .choices = granularity_names,
     .text = "As above, of this node"},
};

/* A row ends with its text, and more fields where it has them. */
#define COUNT(name_, member, standard_, min_, max_, ...)                                                                    \
    {name_,         VALUE_COUNT,   KEY_OPTIONAL,       IN_CONFIG(member), .standard = (standard_),                          \
     .min = (min_), .max = (max_), .text = __VA_ARGS__}
#define BYTES(name_, member, standard_, min_, max_, ...)                                                                    \
    {name_,         VALUE_BYTES,   KEY_OPTIONAL,       IN_CONFIG(member), .standard = (standard_),                          \
     .min = (min_), .max = (max_), .text = __VA_ARGS__}
#define TIME(name_, member, standard_, min_, max_, ...)                                                                     \
    {name_,         VALUE_TIME_MS, KEY_OPTIONAL,       IN_CONFIG(member), .standard = (standard_),                          \
     .min = (min_), .max = (max_), .text = __VA_ARGS__}
#define BOOL(name_, member, standard_, ...)                                                                                 \
    {name_, VALUE_BOOL, KEY_OPTIONAL, IN_CONFIG(member), .standard = (standard_), .max = 1, .text = __VA_ARGS__}
#define IGNORED(name_, kind_, standard_, min_, max_, text_)                                                                 \
    {name_, kind_, KEY_IGNORED, .standard = (standard_), .min = (min_), .max = (max_), .text = text_}
#define FIXED(name_, kind_, standard_, max_, refusal_, text_)                                                               \
    {name_, kind_, KEY_ONLY_DEFAULT, .standard = (standard_), .max = (max_), .refusal = refusal_, .text = text_}

/* `make format` would fill these tables to one cell a line. */
/* clang-format off */
static const struct config_key setting_keys[] = {
    COUNT("alpha", node_config.alpha, 64, 1, 4096,
          "Slots that may be proposed beyond those that are chosen and executed", GOVERNED),
    COUNT("batches_in_flight", node_config.batches_in_flight, 3, 1, 1024,
          "While fewer batches than this are unanswered, a batch leaves at once; then commands gather in larger ones"),
    BYTES("bytes_in_flight_max", node_config.bytes_in_flight_max, 64 * MIB, 64 * KIB, 4 * GIB,
          "Most bytes of values that a leader has in flight; acceptors and learners keep twice as many. When not "
          "given: at most 1/16 of memory_bytes_max"),
    BYTES("chunk_bytes_max", node_config.chunk_bytes_max, 256 * KIB, 4 * KIB, 64 * MIB,
          "Size of promise chunks and catch-up answers (one entry at least)"),
    COUNT("learn_max_gap", node_config.learn_gap_max, 50, 1, 1000000,
          "Slots that a learner may lack before it asks at once instead of after a retry interval"),
    BOOL("acceptors_send_learns", node_config.acceptors_send_learns, false,
          "Acceptors send their votes to learners; otherwise the leader tells what is chosen", GOVERNED),
    BOOL("learners_send_executed", node_config.learners_send_executed, false,
          "Every learner answers the proposer; otherwise only the one that the batch names"),
    BOOL("forward", node_config.forward, true,
          "A proposer that does not lead passes commands on to the leader, except those of clients that have used CLUSTER; "
          "otherwise it answers all of them with -MOVED"),
    {"durability", VALUE_CHOICE, KEY_OPTIONAL, IN_CONFIG(node_config.durability), .standard = DURABILITY_FSYNC,
     .choices = durability_names,
     .text = "Promises and votes are synced (fsync), left to the operating system (os) or lost at a restart (memory)"},
    TIME("heartbeat_interval_ms", node_config.heartbeat_interval, 100, 1, 60000,
         "How often a proposer says that it is alive"),
    TIME("suspect_timeout_ms", node_config.suspect_timeout, 400, 2, 600000,
         "Silence after which a proposer is suspected"),
    TIME("dead_timeout_ms", node_config.dead_timeout, 1000, 2, 600000,
         "Silence after which a proposer counts as dead"),
    TIME("prepare_timeout_ms", node_config.prepare_timeout, 100, 1, 60000,
         "How long a new leader waits for promises before it asks again"),
    TIME("retry_interval_ms", node_config.retry_interval, 100, 1, 60000,
         "How often unanswered messages are sent again"),
    TIME("exec_interval_ms", node_config.exec_interval, 100, 1, 60000,
         "How often a learner reports its progress, at least"),
    TIME("request_timeout_ms", node_config.request_timeout, 5000, 10, 3600000,
         "After this long a client is told -UNKNOWN outcome (-BUSY, if its request was never proposed)"),
    COUNT("phase1_quorum", node_config.phase1_quorum, 0, 0, NODE_ID_MAX,
          "Acceptors whose promises make a leader; 0: a majority", GOVERNED),
    COUNT("phase2_quorum", node_config.phase2_quorum, 0, 0, NODE_ID_MAX,
          "Acceptors whose votes choose a value; 0: a majority. Both quorums together must exceed the acceptors", GOVERNED),
    COUNT("batch_size", batch_size, 4096, 1, 65536,
          "Most commands in a batch"),
    BYTES("batch_bytes", batch_bytes, 512 * KIB, 1 * KIB, 64 * MIB,
          "Bytes after which a batch is full"),
    BYTES("command_bytes_max", command_bytes_max, 1 * MIB, 1 * KIB, 64 * MIB,
          "Longest command; a longer one is skipped, and its client gets an error"),
    BYTES("frame_bytes_max", frame_bytes_max, 48 * MIB, 256 * KIB, 256 * MIB,
          "Longest frame between nodes; a longer one closes the connection"),
    COUNT("client_connections_max", client_connections_max, 10000, 1, 1000000,
          "Most clients that a client port serves, fewer if the limit of open files is lower (ulimit -n); 8 more "
          "connections are for operators"),
    BYTES("client_bytes_max", client_bytes_max, 16 * MIB, 4 * KIB, 4 * GIB,
          "Bytes of one client's requests and untaken replies; above that, it is not served until it has taken some"),
    BYTES("client_bytes_all_max", client_bytes_all_max, 256 * MIB, 4 * KIB, 64 * GIB,
          "Bytes of all clients' requests and untaken replies; above that, clients that have some wait, and the one "
          "that has most and takes none is closed"),
    BYTES("peer_queue_bytes_max", peer_queue_bytes_max, 64 * MIB, 256 * KIB, 4 * GIB,
          "Bytes that wait for one other node; above that, frames are dropped and later sent again"),
    BYTES("segment_bytes", segment_bytes, 16 * MIB, 1 * MIB, 4 * GIB,
          "Size of a journal file; a journal has up to four of them beside the records that are needed"),
    BYTES("memory_bytes_max", memory_bytes_max, 1 * GIB, 48 * MIB, 4 * GIB,
          "Memory of each component; a node that needs more stops", .governed = KEY_GOVERNED_BELOW,
          .governed_below = 256 * MIB),
    BYTES("state_bytes_max", node_config.state_bytes_max, 512 * MIB, 64 * KIB, 3 * GIB,
          "Memory that keys and values may take, the same on all nodes; a write that needs more is answered -OOM. "
          "When not given: at most what memory_bytes_max has room for", GOVERNED),
    BYTES("snapshot_bytes", node_config.snapshot_bytes, 16 * MIB, 0, 64 * GIB,
          "A snapshot of the state is taken when the log since the last one has so many bytes, and as many as the state; a "
          "slot counts 1 KiB at least. 0: snapshots are not taken for that reason"),
    COUNT("journal_keep_slots", node_config.journal_keep_slots, 1024, 0, 1000000000,
          "Slots before the oldest snapshot that stay in the journal, for learners that are a little behind"),
    BYTES("transfer_bytes_per_second", node_config.transfer_rate, 128 * MIB, 64 * KIB, 64 * GIB,
          "Bytes of snapshots that a node sends in a second to learners that are far behind"),
    TIME("turn_timeout_ms", turn_timeout, 1000, 10, 600000,
         "Time that a node's components may compute in one turn; a node that needs more is restarted"),
    TIME("turn_timeout_max_ms", turn_timeout_max, 60000, 10, 3600000,
         "A life that needed more is followed by one that has twice the time, up to this; `ping_timeout_ms` grows "
         "with it"),
    TIME("grace_period_ms", grace_period, 5000, 0, 600000,
         "Time that a graceful stop may take; then it is forced"),
    BYTES("datagram_bytes_max", datagram_bytes_max, 1400, 512, 60000,
          "Longest frame that is sent as a datagram, with `network: host-udp` and `guest-udp`; a longer one goes over "
          "TCP"),
    COUNT("restarts_max", restarts_max, 5, 0, 1000000,
          "Restarts in a row of a node that breaks; after that its process ends. 0: none"),
    TIME("restart_backoff_ms", restart_backoff, 100, 0, 10000,
         "Time before the second restart in a row (the first is at once); doubles each time, up to ten seconds"),
    TIME("ping_timeout_ms", ping_timeout, 3000, 11, 3600000,
         "Silence of a node after which its supervisor counts it as hung"),
    BOOL("debug_commands", debug_commands, false,
         "For tests: clients may make parts break with DEBUG FAULT, if the node is made of parts that can"),
};

/* Settings that only imitate the reference system (docs/reference-rows.md): experiments, other names, and what is accepted
 * without effect. They are keys of the same map. */
static const struct config_key compat_keys[] = {
    BOOL("is_event_driven", node_config.event_driven, true,
         "Nodes handle all that has arrived. Otherwise (an experiment, slow by design) they take one message at a "
         "time, the next when all that came of it is durable and sent"),
    {"waiting", VALUE_CHOICE, KEY_OPTIONAL, IN_CONFIG(waiting), .standard = WAITING_EVENTS, .choices = waiting_names,
     .text = "A node sleeps until something happens (events), or looks every `tick_micros` (polling: an experiment)"},
    COUNT("tick_micros", tick, 100, 1, 1000000,
          "Microseconds between the turns of a node with `waiting: polling`"),
    {"crashes", VALUE_CRASHES, KEY_OPTIONAL,
     .text = "An experiment: lists of a node id and slots; the node crashes when it reaches such a slot, once for each"},
    {"client_server_port", VALUE_COUNT, KEY_OPTIONAL, .standard = 0, .max = 65535,
     .text = "Client port of each node that names no `client`, on the host of its address; 0: none"},
    {"prepare_timeout", VALUE_TIME_MS, KEY_OPTIONAL, IN_CONFIG(node_config.prepare_timeout), .standard = 100, .min = 1,
     .max = 60000, .alias = "prepare_timeout_ms", .text = "Another name"},
    {"persistent_storage", VALUE_CHOICE, KEY_OPTIONAL, IN_CONFIG(node_config.durability), .standard = DURABILITY_FSYNC,
     .choices = persistence_names, .alias = "durability", .text = "Another name: true is fsync, false is memory"},
    FIXED("heartbeats", VALUE_BOOL, true, 1, "a cluster without heartbeats would never replace its leader",
          "Proposers send heartbeats"),
    BOOL("demo_client", demo_client, false,
         "When the cluster serves, the process of the lowest node that takes commands sends it `demo_client_requests` "
         "commands, and reports like `synod bench`"),
    COUNT("demo_client_requests", demo_client_requests, 10000, 0, 1000000000,
          "See `demo_client`"),
    IGNORED("message_batch_size", VALUE_COUNT, 20, 1, 65536,
            "No effect: all that arrived since the last turn is one batch"),
    IGNORED("storage_flush_state_count", VALUE_COUNT, 1, 0, 1000000000,
            "No effect: what a message promises is always durable before it leaves, see `durability`"),
    IGNORED("storage_flush_state_interval_ms", VALUE_TIME_MS, 10, 0, 3600000,
            "No effect: as above"),
    IGNORED("storage_flush_change_count", VALUE_COUNT, 1, 0, 1000000000,
            "No effect: as above"),
    IGNORED("storage_flush_change_interval_ms", VALUE_TIME_MS, 10, 0, 3600000,
            "No effect: as above"),
    BOOL("storage_load_snapshots", load_snapshots, true,
         "A node that starts loads its newest snapshot. Otherwise it executes the journal, which then must go back to the "
         "first slot"),
    COUNT("storage_max_snapshots", node_config.snapshots_max, 2, 1, 16,
          "Snapshots that a node keeps; the journal goes back to the oldest of them"),
    COUNT("storage_snapshot_slot_interval", node_config.snapshot_slots, 0, 0, 1000000000,
          "A snapshot is also taken after so many slots; 0: see `snapshot_bytes` only"),
};
/* clang-format on */

#define SECTION(title_, keys_, more_) {title_, keys_, sizeof(keys_) / sizeof(keys_)[0], more_}
const struct config_section config_top_section = SECTION("The file", top_keys, NULL);
const struct config_section config_node_section = SECTION("A node", node_keys, NULL);
static const struct config_section compat_section = SECTION(CONFIG_COMPAT_TITLE, compat_keys, NULL);
const struct config_section config_setting_section = SECTION("Settings", setting_keys, &compat_section);

_Static_assert(sizeof node_keys / sizeof node_keys[0] == CONFIG_NODE_KEYS, "each has its line remembered");
_Static_assert((sizeof setting_keys + sizeof compat_keys) / sizeof setting_keys[0] <= CONFIG_KEYS_MAX,
               "raise CONFIG_KEYS_MAX");

const struct config_key *config_key_at(const struct config_section *section, size_t i)
{
    while (section != NULL && i >= section->count) {
        i -= section->count;
        section = section->more;
    }
    return section != NULL ? &section->keys[i] : NULL;
}

int config_key_find(const struct config_section *section, const char *name)
{
    const struct config_key *key;
    for (size_t i = 0; (key = config_key_at(section, i)) != NULL; i++)
        if (strcmp(key->name, name) == 0)
            return (int)i;
    return -1;
}

/* ---- Values ---- */

static void print_bytes(uint64_t value, char *out, size_t size)
{
    static const struct {
        uint64_t unit;
        const char *name;
    } units[] = {{GIB, " GiB"}, {MIB, " MiB"}, {KIB, " KiB"}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (value != 0 && value % units[i].unit == 0) {
            snprintf(out, size, "%" PRIu64 "%s", value / units[i].unit, units[i].name);
            return;
        }
    }
    snprintf(out, size, "%" PRIu64, value);
}

void config_value_print(const struct config_key *key, uint64_t value, char *out, size_t size)
{
    switch (key->kind) {
    case VALUE_CHOICE:
        snprintf(out, size, "%s", key->choices[value]);
        break;
    case VALUE_BOOL:
        snprintf(out, size, "%s", value ? "true" : "false");
        break;
    case VALUE_BYTES:
        print_bytes(value, out, size);
        break;
    default:
        snprintf(out, size, "%" PRIu64, value);
    }
}

/* The choices as "a, b, c". */
static void print_choices(const struct config_key *key, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; key->choices[i] != NULL; i++) {
        if (key->choices[i][0] == '\0')
            continue;
        int n = snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", key->choices[i]);
        if (n < 0 || (size_t)n >= size - used)
            return;
        used += (size_t)n;
    }
}

static bool read_choice(const struct config_key *key, const char *text, uint64_t *value, char *reason, size_t size)
{
    for (size_t i = 0; key->choices[i] != NULL; i++) {
        if (key->choices[i][0] != '\0' && strcmp(key->choices[i], text) == 0) {
            *value = i;
            return true;
        }
    }
    char choices[128];
    print_choices(key, choices, sizeof choices);
    snprintf(reason, size, "'%s' is not one of: %s", text, choices);
    return false;
}

/* Decimal digits up to the first other character, where *end then points. False: none, or beyond 64 bits. */
static bool read_digits(const char *text, uint64_t *value, const char **end)
{
    uint64_t sum = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(sum, UINT64_C(10), &sum) || __builtin_add_overflow(sum, (uint64_t)(*p - '0'), &sum))
            return false;
    *value = sum;
    *end = p;
    return p != text;
}

static bool read_size(const char *text, uint64_t *value)
{
    static const struct {
        const char *name;
        uint64_t unit;
    } units[] = {{"", 1}, {"B", 1}, {"KiB", KIB}, {"MiB", MIB}, {"GiB", GIB}};
    const char *end;
    if (!read_digits(text, value, &end))
        return false;
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].name) == 0)
            return !__builtin_mul_overflow(*value, units[i].unit, value);
    return false;
}

static bool read_number(const struct config_key *key, const char *text, uint64_t *value, char *reason, size_t size)
{
    const char *end;
    if (key->kind == VALUE_BYTES) {
        if (!read_size(text, value)) {
            snprintf(reason, size, "'%s' is not a size (a number of bytes, or with KiB, MiB or GiB)", text);
            return false;
        }
    } else if (!read_digits(text, value, &end) || *end != '\0') {
        snprintf(reason, size, "'%s' is not a whole number", text);
        return false;
    }
    if (*value < key->min || *value > key->max) {
        char min[32], max[32];
        config_value_print(key, key->min, min, sizeof min);
        config_value_print(key, key->max, max, sizeof max);
        snprintf(reason, size, "%s is out of range %s..%s", text, min, max);
        return false;
    }
    return true;
}

bool config_value_read(const struct config_key *key, const char *text, uint64_t *value, char *reason, size_t size)
{
    switch (key->kind) {
    case VALUE_CHOICE:
        return read_choice(key, text, value, reason, size);
    case VALUE_BOOL:
        *value = strcmp(text, "true") == 0;
        if (*value == 1 || strcmp(text, "false") == 0)
            return true;
        snprintf(reason, size, "'%s' is neither true nor false", text);
        return false;
    default:
        return read_number(key, text, value, reason, size);
    }
}

/* ---- Fields ---- */

void config_field_store(const struct config_key *key, void *base, uint64_t value)
{
    uint8_t *field = (uint8_t *)base + key->offset;
    if (key->kind == VALUE_TIME_MS)
        value *= 1000;
    switch (key->size) {
    case 0:
        break;
    case sizeof(uint8_t):
        *field = (uint8_t)value;
        break;
    case sizeof(uint32_t):
        *(uint32_t *)(void *)field = (uint32_t)value;
        break;
    default:
        *(uint64_t *)(void *)field = value;
    }
}

uint64_t config_field_load(const struct config_key *key, const void *base)
{
    const uint8_t *field = (const uint8_t *)base + key->offset;
    uint64_t value =
        key->size == sizeof(uint64_t) ? *(const uint64_t *)(const void *)field : *(const uint32_t *)(const void *)field;
    return key->kind == VALUE_TIME_MS ? value / 1000 : value;
}

void config_settings_standard(struct config *config)
{
    const struct config_key *key;
    for (size_t i = 0; (key = config_key_at(&config_setting_section, i)) != NULL; i++) {
        if (key->kind == VALUE_CHOICE || key->kind == VALUE_BOOL || key->kind == VALUE_COUNT || key->kind == VALUE_BYTES ||
            key->kind == VALUE_TIME_MS)
            config_field_store(key, config, key->standard);
    }
}

/* ---- Documentation ---- */

static void describe_type(FILE *out, const struct config_key *key)
{
    static const char *const names[] = {
        [VALUE_NAME] = "name",    [VALUE_PATH] = "path",  [VALUE_CHOICE] = "choice",     [VALUE_BOOL] = "boolean",
        [VALUE_COUNT] = "number", [VALUE_BYTES] = "size", [VALUE_TIME_MS] = "time (ms)", [VALUE_ENDPOINT] = "host:port",
        [VALUE_CRASHES] = "list", [VALUE_NODES] = "list", [VALUE_GROUPS] = "list",       [VALUE_SETTINGS] = "map",
    };
    fprintf(out, " %s |", names[key->kind]);
}

static void describe_default(FILE *out, const struct config_key *key)
{
    char text[64] = "";
    if (key->use == KEY_REQUIRED)
        fprintf(out, " required |");
    else if (key->alias != NULL)
        fprintf(out, " see `%s` |", key->alias);
    else if (key->use == KEY_FROM_TOP)
        fprintf(out, " the file's `%s` |", key->name);
    else if (key->kind == VALUE_PATH)
        fprintf(out, " `data` |");
    else if (key->kind == VALUE_CRASHES)
        fprintf(out, " [] |");
    else if (key->kind == VALUE_NODES || key->kind == VALUE_GROUPS || key->kind == VALUE_SETTINGS ||
             key->kind == VALUE_ENDPOINT)
        fprintf(out, " none |");
    else {
        config_value_print(key, key->standard, text, sizeof text);
        fprintf(out, " %s |", text);
    }
}

static void describe_range(FILE *out, const struct config_key *key)
{
    char a[128] = "", b[32];
    if (key->kind == VALUE_CHOICE)
        print_choices(key, a, sizeof a);
    else if (key->use == KEY_ONLY_DEFAULT) {
        config_value_print(key, key->standard, b, sizeof b);
        snprintf(a, sizeof a, "only %s", b);
    } else if (key->kind == VALUE_COUNT || key->kind == VALUE_BYTES || key->kind == VALUE_TIME_MS) {
        config_value_print(key, key->min, a, sizeof a);
        config_value_print(key, key->max, b, sizeof b);
        fprintf(out, " %s..%s |", a, b);
        return;
    } else if (key->kind == VALUE_BOOL)
        snprintf(a, sizeof a, "true, false");
    fprintf(out, " %s |", a);
}

static void describe_governed(FILE *out, const struct config_key *key)
{
    char below[32];
    if (key->governed == KEY_GOVERNED_BELOW) {
        config_value_print(key, key->governed_below, below, sizeof below);
        fprintf(out, " below %s |", below);
    } else
        fprintf(out, " %s |", key->governed != KEY_GOVERNED ? "" : configuration_may_set(key->name) ? "in the log" : "yes");
}

char *config_describe(void)
{
    static const struct config_section *const sections[] = {&config_top_section, &config_node_section,
                                                            &config_setting_section, &compat_section};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return NULL;
    for (size_t s = 0; s < sizeof sections / sizeof sections[0]; s++) {
        fprintf(out, "%s## %s\n\n| key | type | default | range | governed | meaning |\n|---|---|---|---|---|---|\n",
                s > 0 ? "\n" : "", sections[s]->title);
        for (size_t i = 0; i < sections[s]->count; i++) {
            const struct config_key *key = &sections[s]->keys[i];
            fprintf(out, "| `%s` |", key->name);
            describe_type(out, key);
            describe_default(out, key);
            describe_range(out, key);
            describe_governed(out, key);
            fprintf(out, " %s |\n", key->text);
        }
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
