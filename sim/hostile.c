#include "sim/hostile.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/batch.h"
#include "core/formats/serializer.h"
#include "sim/world.h"

/* A number far from all that occur in a cluster's life. */
static uint64_t absurd(struct dice *d)
{
    static const uint64_t edges[] = {UINT64_C(1) << 50,       SLOT_MAX - 1,      SLOT_MAX,       SLOT_MAX + 1,
                                     (UINT64_C(1) << 63) - 1, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};
    return dice_chance(d, 500000) ? edges[dice_roll(d, 8)] : dice_next(d) | UINT64_C(1) << 50;
}

/* Any number that can be true, now and then an absurd one: one absurd number is enough for a message to be refused. */
static uint64_t any(struct dice *d) { return dice_chance(d, 850000) ? dice_roll(d, 1000) : absurd(d); }

/* A ballot that is refused from any sender: far above all others, or not the sender's own. */
static struct ballot ballot_beyond(struct dice *d, const struct node_config *c, uint32_t from)
{
    const uint32_t nodes = node_set_count(c->proposers | c->acceptors | c->learners);
    uint32_t node = from;
    if (dice_chance(d, 500000))
        node = (uint32_t)(dice_chance(d, 700000) ? dice_range(d, 1, nodes) : dice_roll(d, NODE_ID_MAX + 1));
    struct ballot b = {absurd(d), node, dice_chance(d, 500000) ? 1 : (uint32_t)dice_next(d)};
    if (b.node != from && node_set_has(c->proposers, b.node) && dice_chance(d, 500000))
        b.round = dice_roll(d, 1000);
    return b;
}

static void fill_ranges(struct dice *d, struct message *m, uint64_t (*number)(struct dice *d))
{
    m->from = number(d);
    m->to = number(d);
    m->floor = number(d);
    m->chosen = number(d);
}

/* No flag, one, or any. */
static uint8_t flags_of(struct dice *d)
{
    uint64_t how = dice_roll(d, 10);
    return how < 5 ? 0 : how < 9 ? (uint8_t)(1 << dice_roll(d, 8)) : (uint8_t)dice_next(d);
}

/* One learner of three or more claims a time that is far away, at the ballot of who leads. If several did, a majority would
 * say so. */
static void lie_about_time(struct dice *d, const struct node_config *c, uint32_t from, struct ballot leader,
                           struct message *m, struct entry *entries)
{
    static const struct moment far_away[] = {{UINT64_MAX, UINT64_MAX}, {UINT64_C(1) << 40, UINT64_C(1) << 41}, {0, 0}};
    static uint64_t words[STAMP_SIZE / 8];
    if (node_set_count(c->learners) < 3 || from != node_set_first(c->learners))
        return;
    const struct stamp lie = {far_away[dice_roll(d, 3)], leader};
    entries[0] = (struct entry){.kind = ENTRY_NOOP, .value = stamp_pack(lie, words)};
    m->entries = (struct entry_list){entries, 1};
}

/* Fields in which only a sender whose word counts could do harm are absurd; the others may say anything. */
void hostile_message(struct dice *d, const struct node_config *c, uint32_t from, struct ballot leader, struct message *m,
                     struct entry *entries)
{
    static const uint8_t often[] = {MESSAGE_PREPARE,   MESSAGE_PREPARE, MESSAGE_ACCEPT,
                                    MESSAGE_HEARTBEAT, MESSAGE_NACK,    MESSAGE_PROGRESS};
    uint8_t kind = dice_chance(d, 500000) ? often[dice_roll(d, 6)] : (uint8_t)dice_roll(d, MESSAGE_KINDS);
    *m = (struct message){.kind = kind, .flags = flags_of(d)};
    m->ballot = ballot_beyond(d, c, from);
    m->batch = (struct batch_id){dice_chance(d, 500000) ? from : (uint32_t)dice_roll(d, NODE_ID_MAX + 1),
                                 (uint32_t)dice_next(d), absurd(d)};
    fill_ranges(d, m, absurd);
    switch (m->kind) {
    case MESSAGE_NACK:
    case MESSAGE_ALIVE:
    case MESSAGE_LOST:
    case MESSAGE_ASK:
    case MESSAGE_LEARN_REQUEST:
    case MESSAGE_RESULT_REQUEST:
    case MESSAGE_PREPARE:
    case MESSAGE_HANDOVER:
    case MESSAGE_READ_ROUND:
    case MESSAGE_READ_INDEX:
        fill_ranges(d, m, any);
        break;
    case MESSAGE_PROGRESS: /* a learner that claims to have everything counts as one that has */
        if (node_set_has(c->learners, from))
            m->to = m->floor = dice_roll(d, 2);
        lie_about_time(d, c, from, leader, m, entries);
        break;
    case MESSAGE_PROMISE:
    case MESSAGE_ACCEPT:
    case MESSAGE_LEARN:
        m->entries = (struct entry_list){entries, dice_roll(d, 3)};
        for (size_t i = 0; i < 2; i++)
            entries[i] = (struct entry){.slot = absurd(d), .ballot = m->ballot, .kind = (uint8_t)dice_roll(d, ENTRY_KINDS)};
        break;
    case MESSAGE_CONFIGURATION: /* a question */
        fill_ranges(d, m, any);
        m->batch.number = any(d);
        break;
    default: /* no entries: a forwarded batch would be one that no client has sent */
        break;
    }
}

/* Makes a message the newest configuration, as a liar would have it: other quorums, other members, other instances. It is an
 * answer to what was asked, if it could be one: who does not hear the question does not know its number. The value of the
 * entry is returned. */
static struct payload lie_about_members(struct world *w, const struct machine *to, struct message *m, struct entry *entry)
{
    struct dice *d = &w->dice;
    const struct configuration newest = checks_configuration(w->checks);
    struct configuration_text t = *checks_configuration_text(w->checks);
    const uint32_t acceptors = node_set_count(newest.acceptors), one = (uint32_t)dice_range(d, 1, acceptors);
    for (size_t i = 0; i < t.setting_count; i++) {
        const bool is_first = strcmp(t.settings[i].key, "phase1_quorum") == 0;
        if (is_first || strcmp(t.settings[i].key, "phase2_quorum") == 0)
            snprintf(t.settings[i].value, sizeof t.settings[i].value, "%u", is_first ? acceptors + 1 - one : one);
    }
    t.replaces = dice_chance(d, 500000) ? newest.slot : t.replaces;
    t.fresh = dice_chance(d, 500000) ? to->id : 0;
    t.members[to->id].number += (uint32_t)dice_roll(d, 2);
    if (t.members[to->id].node == 0)
        t.fresh = 0;
    *entry = (struct entry){.slot = newest.slot + dice_range(d, 1, 1000), .kind = ENTRY_CONFIGURATION};
    entry->value = configuration_pack(&t);
    m->from = dice_chance(d, 900000) ? entry->slot : any(d);
    m->to = entry->slot + t.delay;
    m->entries = (struct entry_list){entry, 1};
    return entry->value;
}

bool world_hostile(struct world *w, struct machine *to)
{
    struct dice *d = &w->dice;
    const struct node_config members = world_members(w);
    uint32_t from = (uint32_t)dice_range(d, 1, w->plan.nodes);
    if (from == to->id)
        return false;
    for (uint64_t i = dice_range(d, 1, 20); i > 0; i--) {
        struct entry entries[2];
        struct outgoing out = {.to = node_set_of(to->id)};
        struct payload lie = {0};
        hostile_message(d, &members, from, to->ballot, &out.message, entries);
        const bool answers = out.message.kind == MESSAGE_CONFIGURATION && dice_chance(d, 700000);
        if (answers && checks_configuration_text(w->checks) != NULL)
            lie = lie_about_members(w, to, &out.message, entries);
        struct packet_list bodies = serializer_encode(to->observer, &out, 1);
        network_sim_slip(w->network, from, to->id, &bodies.ptr[0], w->now + dice_range(d, 10, 20000));
        payload_free(&lie);
    }
    world_arrivals(w, node_set_of(to->id));
    return true;
}

/* A number of boots that is not true: a past one, or one beyond what can be. The numbers in between may be
 * said only by a node that knows the instance id, which is a secret: such a greeting would be believed. */
static uint32_t no_life(struct dice *d, uint32_t known)
{
    const uint64_t beyond = (uint64_t)known + (UINT64_C(2) << INCARNATION_BOOT_BITS);
    switch (dice_roll(d, 4)) {
    case 0:
        return (uint32_t)dice_roll(d, known);
    case 1:
        return known; /* with another nonce */
    case 2:
        return UINT32_MAX - (uint32_t)dice_roll(d, 2);
    default:
        return (uint32_t)(beyond + dice_roll(d, UINT32_MAX - beyond));
    }
}

bool world_hostile_greeting(struct world *w, struct machine *to)
{
    struct dice *d = &w->dice;
    struct frame_origin as = {.sender = (uint32_t)dice_range(d, 1, w->plan.nodes), .nonce = (uint32_t)dice_next(d)};
    const struct machine *sender = &w->machines[as.sender];
    const uint32_t known = data_folder_known_life(to->folder, as.sender);
    if (sender == to || known == 0)
        return false;
    as.incarnation = no_life(d, known);
    network_sim_instance(as.sender, as.instance);
    if (dice_chance(d, 400000)) { /* a stranger that does not know the folder may say anything */
        as.instance[dice_roll(d, sizeof as.instance)] ^= 1;
        as.incarnation = dice_chance(d, 500000) ? known + (uint32_t)dice_roll(d, 3) : as.incarnation;
    } else if (dice_chance(d, 200000) && sender->state == MACHINE_UP && sender->config.incarnation == known) {
        as.incarnation = known; /* the truth */
        as.nonce = data_folder_identity(sender->folder)->nonce;
    } else if (dice_chance(d, 100000)) {
        as.sender = dice_chance(d, 500000) ? to->id : NODE_ID_MAX;
    }
    world_greet(w, to, &as, w->now + dice_range(d, 10, 20000));
    return true;
}
