/* Texts of configurations of coordinators. */
#ifndef SYNOD_TESTS_UNIT_CONFIGURATION_TEXT_H
#define SYNOD_TESTS_UNIT_CONFIGURATION_TEXT_H

#include <stdio.h>

#include "core/base/memory.h"
#include "core/formats/configuration.h"

/* With majorities, and alpha 8. */
static inline void configuration_begin(struct configuration_text *t, uint64_t replaces, node_set members)
{
    const char *const keys[] = {"alpha", "phase1_quorum", "phase2_quorum"};
    const uint32_t quorum = node_set_count(members) / 2 + 1, values[] = {8, quorum, quorum};
    memset(t, 0, sizeof *t);
    t->replaces = replaces;
    t->delay = 8;
    t->setting_count = 3;
    for (size_t i = 0; i < 3; i++) {
        snprintf(t->settings[i].key, CONFIGURATION_WORD_MAX, "%s", keys[i]);
        snprintf(t->settings[i].value, CONFIGURATION_WORD_MAX, "%u", values[i]);
    }
    for (; members != 0; members &= members - 1) {
        struct member *m = &t->members[node_set_first(members)];
        *m = (struct member){.node = node_set_first(members), .duties = DUTY_ALL, .client = "-"};
        m->instance[0] = (uint8_t)m->node;
        snprintf(m->address, sizeof m->address, "10.0.0.%u:7000", m->node);
    }
}

/* As the value of an entry, which the caller frees. */
static inline struct payload configuration_value(uint64_t replaces, node_set members)
{
    struct configuration_text *t = memory_new(1, sizeof *t);
    configuration_begin(t, replaces, members);
    const struct payload value = configuration_pack(t);
    free(t);
    return value;
}

/* The same, in which node `node` has its second disk; it got that with this change, or (`earlier`) with one before. */
static inline struct payload configuration_value_replacing(uint64_t replaces, node_set members, uint32_t node, bool earlier)
{
    struct configuration_text *t = memory_new(1, sizeof *t);
    configuration_begin(t, replaces, members);
    t->fresh = earlier ? 0 : node;
    t->members[node].number = 1;
    t->members[node].instance[1] = 1;
    const struct payload value = configuration_pack(t);
    free(t);
    return value;
}

static inline struct payload configuration_with_new_disk(uint64_t replaces, node_set members, uint32_t node)
{
    return configuration_value_replacing(replaces, members, node, false);
}

static inline struct configuration configuration_chosen(uint64_t slot, uint64_t replaces, node_set members)
{
    struct payload value = configuration_value(replaces, members);
    struct configuration c = {0};
    configuration_unpack(&value, slot, &c);
    payload_free(&value);
    return c;
}

#endif
