#include "host/config_check.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/state/kv_store.h"
#include "host/config_schema.h"

/* What a frame carries besides values: its header and those of its entries. */
enum { FRAME_OVERHEAD = 64 << 10 };

static const struct config_key *key_of(const char *name)
{
    return config_key_at(&config_setting_section, (size_t)config_key_find(&config_setting_section, name));
}

static bool is_number(const struct config_key *key)
{
    return key->size > 0 && key->use == KEY_OPTIONAL && key->alias == NULL &&
           (key->kind == VALUE_COUNT || key->kind == VALUE_BYTES || key->kind == VALUE_TIME_MS);
}

static bool check_ranges(const struct config *c, struct config_conflict *conflict)
{
    const struct config_key *key;
    for (size_t i = 0; (key = config_key_at(&config_setting_section, i)) != NULL; i++) {
        const uint64_t value = is_number(key) ? config_field_load(key, c) : key->min;
        if (!is_number(key) || (value >= key->min && value <= key->max))
            continue;
        *conflict = (struct config_conflict){.keys = {key->name}};
        snprintf(conflict->text, sizeof conflict->text, "%" PRIu64 " is not within %" PRIu64 " and %" PRIu64, value,
                 key->min, key->max);
        return false;
    }
    return true;
}

/* Any phase-1 quorum and any phase-2 quorum must share an acceptor, or two values could be chosen for one slot. */
static bool check_quorums(const struct config *c, struct config_conflict *conflict)
{
    const struct node_config *n = &c->node_config;
    const uint32_t acceptors = node_set_count(n->acceptors);
    if (n->phase1_quorum + n->phase2_quorum > acceptors)
        return true;
    *conflict = (struct config_conflict){.keys = {"phase1_quorum", "phase2_quorum"}};
    snprintf(conflict->text, sizeof conflict->text,
             "phase1_quorum %u + phase2_quorum %u must be more than the %u acceptors, or quorums could miss each other",
             n->phase1_quorum, n->phase2_quorum, acceptors);
    return false;
}

/* Pairs of settings of which the first must not exceed the second. */
static bool check_order(const struct config *c, struct config_conflict *conflict)
{
    static const struct {
        const char *low, *high;
        bool strictly;
    } order[] = {
        {"heartbeat_interval_ms", "suspect_timeout_ms", true}, {"suspect_timeout_ms", "dead_timeout_ms", false},
        {"client_bytes_max", "client_bytes_all_max", false},   {"command_bytes_max", "client_bytes_max", false},
        {"frame_bytes_max", "peer_queue_bytes_max", false},    {"turn_timeout_ms", "ping_timeout_ms", true},
    };
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        const struct config_key *low = key_of(order[i].low), *high = key_of(order[i].high);
        const uint64_t a = config_field_load(low, c), b = config_field_load(high, c);
        if (a < b || (a == b && !order[i].strictly))
            continue;
        char low_text[32], high_text[32];
        config_value_print(low, a, low_text, sizeof low_text);
        config_value_print(high, b, high_text, sizeof high_text);
        *conflict = (struct config_conflict){.keys = {high->name, low->name}};
        snprintf(conflict->text, sizeof conflict->text, "%s (%s) must be %s %s (%s)", high->name, high_text,
                 order[i].strictly ? "above" : "at least", low->name, low_text);
        return false;
    }
    return true;
}

/* A chunk, or an ACCEPT, may overshoot by one batch, and a batch by one command. */
static uint64_t values_bytes(const struct config *c)
{
    const uint32_t chunk = c->node_config.chunk_bytes_max;
    const uint32_t accept = limits_effective(&c->node_config.limits).accept_bytes;
    return (uint64_t)c->batch_bytes + c->command_bytes_max + (chunk > accept ? chunk : accept);
}

static uint64_t replies_bytes(const struct config *c)
{
    const uint64_t all = limits_effective(&c->node_config.limits).replies_bytes;
    const uint64_t small = (uint64_t)REPLY_SMALL_MIN * c->batch_size;
    return all > small ? all : small;
}

/* A value that a command has brought can be read again, whatever else is asked for with it. */
uint32_t config_replies_bytes_min(const struct config *c)
{
    const uint64_t value = (uint64_t)c->command_bytes_max + FRAME_OVERHEAD / 64;
    const uint64_t least = value + (uint64_t)REPLY_SMALL_MIN * c->batch_size;
    return (uint32_t)(least + least / 3);
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* Parts of snapshots are shorter than values may be, unless limits are set that no file can set. */
uint64_t config_frame_bytes_min(const struct config *c)
{
    const uint64_t part = limits_effective(&c->node_config.limits).part_bytes;
    return larger(larger(values_bytes(c), replies_bytes(c)), part) + FRAME_OVERHEAD;
}

static bool check_frame(const struct config *c, struct config_conflict *conflict)
{
    if (c->frame_bytes_max >= config_frame_bytes_min(c))
        return true;
    *conflict = (struct config_conflict){.keys = {"frame_bytes_max", "chunk_bytes_max", "command_bytes_max", "batch_bytes"}};
    if (c->frame_bytes_max < replies_bytes(c) + FRAME_OVERHEAD)
        snprintf(conflict->text, sizeof conflict->text,
                 "frame_bytes_max (%" PRIu32 ") must be at least what the replies of a batch may take + 64 KiB (%" PRIu64
                 ")",
                 c->frame_bytes_max, replies_bytes(c) + FRAME_OVERHEAD);
    else
        snprintf(conflict->text, sizeof conflict->text,
                 "frame_bytes_max (%" PRIu32
                 ") must be at least batch_bytes + command_bytes_max + chunk_bytes_max (1 MiB at "
                 "least) + 64 KiB (%" PRIu64 ")",
                 c->frame_bytes_max, values_bytes(c) + FRAME_OVERHEAD);
    return false;
}

static bool check_replies(const struct config *c, struct config_conflict *conflict)
{
    const uint32_t replies = c->node_config.limits.replies_bytes, least = config_replies_bytes_min(c);
    if (replies == 0 || replies >= least)
        return true;
    *conflict = (struct config_conflict){.keys = {"command_bytes_max", "batch_size"}};
    snprintf(conflict->text, sizeof conflict->text, "the replies of a batch (%" PRIu32 ") must have room for %" PRIu32,
             replies, least);
    return false;
}

/* What the component that holds the state needs besides: commands and replies. */
enum { MEMORY_BESIDE_STATE = 32 << 20 };

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* The memory that a state of so many bytes takes at most: the state, what a snapshot in progress keeps aside, buckets, and
 * the chunk that is being made. A chunk has one value of any length, and grows by half, for which it is copied. */
static uint64_t state_memory(uint64_t state_bytes)
{
    return kv_versions_pieces_max(state_bytes) * KV_PIECE + 3 * smaller(state_bytes, KV_VALUE_MAX) + MEMORY_BESIDE_STATE;
}

/* What the state, with all that comes with it, may take of a component's memory: of one that has other parts in it, half. */
static uint64_t memory_of_state(const struct config *c)
{
    uint64_t memory = c->memory_bytes_max;
    for (size_t i = 0; i < c->node_count; i++)
        if (c->nodes[i].granularity != GRANULARITY_PARTS)
            memory = smaller(memory, config_component_bytes_max(&c->nodes[i], c->memory_bytes_max) / 2);
    return memory;
}

uint64_t config_state_bytes_room(const struct config *c)
{
    const uint64_t memory = memory_of_state(c);
    uint64_t fits = 0, too_much = memory;
    while (fits + 1 < too_much) {
        const uint64_t middle = fits + (too_much - fits) / 2;
        if (state_memory(middle) <= memory)
            fits = middle;
        else
            too_much = middle;
    }
    return fits;
}

static bool check_memory(const struct config *c, struct config_conflict *conflict)
{
    const uint64_t room = config_state_bytes_room(c);
    if (c->node_config.state_bytes_max <= room)
        return true;
    *conflict = (struct config_conflict){.keys = {"state_bytes_max", "memory_bytes_max"}};
    snprintf(conflict->text, sizeof conflict->text,
             "state_bytes_max (%" PRIu64
             ") must be at most what memory_bytes_max has room for, also while a snapshot is taken "
             "(%" PRIu64 ")%s",
             c->node_config.state_bytes_max, room,
             memory_of_state(c) < c->memory_bytes_max ? "; more needs the granularity parts" : "");
    return false;
}

bool config_check(const struct config *c, struct config_conflict *conflict)
{
    return check_ranges(c, conflict) && check_quorums(c, conflict) && check_order(c, conflict) && check_frame(c, conflict) &&
           check_replies(c, conflict) && check_memory(c, conflict);
}
