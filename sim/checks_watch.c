/* Watched (P26): a client port that wants to be told messages gets those of all slots that its node executes from then on,
 * in the order of the log, each once; or is told that some are missing, which is so only where a snapshot took the place
 * of slots. In the simulated world every batch that is for the log publishes one message, whose channel names the batch,
 * as its first command; and of the batch are the keys that are told between its message and the next one. (That any key may
 * have changed is told when one ends by time, too, which is not judged.) What is told says which batch of this port it came
 * of, if the port gave it to this life of the node, and of no other. */
#include "core/base/checksum.h"
#include "core/formats/decimal.h"
#include "core/formats/notice.h"
#include "sim/checks_internal.h"

void checks_watch(struct checks *c, uint32_t node, bool on)
{
    struct checked_node *n = checks_node(c, node);
    if (n == NULL)
        return;
    /* Of a batch that has been begun, the message was told or not before this: it is its first command. */
    n->watch.on = on;
    n->watch.next = n->watch.from = n->executed;
    n->watch.slot = 0;
    n->watch.lacks = false;
}

static bool has_message(const struct checks *c, uint64_t slot)
{
    const struct proposal *p = slot < c->prefix ? checks_chosen(c, slot) : NULL;
    return p != NULL && p->batch != 0 && !c->batches[p->batch].reads && c->batches[p->batch].executed_in == slot;
}

/* Whether other keys were told than those that the batch whose message was told last may have changed. */
static bool other_keys(const struct checks *c, const struct checked_node *n)
{
    return n->watch.slot != 0 && c->reference != NULL && n->watch.changes != c->slots[n->watch.slot].changes;
}

/* All of these keys have been told. */
static void told_keys(struct checks *c, uint32_t node)
{
    struct checked_node *n = &c->nodes[node];
    if (other_keys(c, n))
        checks_fail(c, CHECK_WATCHED,
                    "node %u tells other keys than those that the batch of slot %" PRIu64 " may have changed", node,
                    n->watch.slot);
    n->watch.slot = 0;
}

/* The first slot, below this one, whose message was not told; this one: there is none. */
static uint64_t first_untold(const struct checks *c, const struct checked_node *n, uint64_t slot)
{
    for (uint64_t at = n->watch.next; at < slot; at++)
        if (at != n->watch.from && has_message(c, at))
            return at;
    return slot;
}

/* All messages of slots before `slot` have been told. */
static void told_below(struct checks *c, uint32_t node, uint64_t slot)
{
    struct checked_node *n = &c->nodes[node];
    const uint64_t untold = first_untold(c, n, slot);
    if (untold < slot)
        checks_fail(c, CHECK_WATCHED, "node %u does not tell the message of slot %" PRIu64, node, untold);
    n->watch.next = n->watch.next < slot ? slot : n->watch.next;
}

/* Whether what is told says of which batch it came as it should: by its number at the port of this life, or not at all. */
static bool names_batch(const struct checks *c, uint32_t node, const struct batch *b)
{
    const struct checked_node *n = &c->nodes[node];
    const bool own = b->node == node && b->incarnation == n->incarnation;
    return n->watch.cause.number == (own ? b->port_number : 0) && n->watch.cause.index < b->commands;
}

static void take_message(struct checks *c, uint32_t node, const struct notice *told)
{
    struct checked_node *n = &c->nodes[node];
    const uint8_t *name = told->channel.ptr;
    const size_t len = told->channel.len;
    uint64_t token;
    const bool named =
        len > 1 && name[0] == 't' && decimal_read_unsigned(name + 1, len - 1, &token) && told->message.len == len;
    const uint32_t number = named && memcmp(name, told->message.ptr, len) == 0 ? checks_batch_by_token(c, token) : 0;
    const uint64_t slot = c->batches[number].executed_in;
    c->reached[REACHED_MESSAGE_TOLD]++;
    if (number == 0 || slot == 0) {
        checks_fail(c, CHECK_WATCHED, "node %u tells a message of no batch that is executed", node);
        return;
    }
    if (slot < n->watch.next)
        checks_fail(c, CHECK_WATCHED, "node %u tells the message of slot %" PRIu64 " after that of slot %" PRIu64, node,
                    slot, n->watch.next - 1);
    told_keys(c, node);
    told_below(c, node, slot);
    if (!names_batch(c, node, &c->batches[number]) || n->watch.cause.index != 0)
        checks_fail(c, CHECK_WATCHED, "node %u says that the message of slot %" PRIu64 " came of another command", node,
                    slot);
    n->watch.next = slot + 1;
    n->watch.slot = slot;
    n->watch.changes = 0;
}

static void take_key(struct checks *c, uint32_t node, const struct bytes *key)
{
    struct checked_node *n = &c->nodes[node];
    const struct proposal *p = n->watch.slot != 0 ? checks_chosen(c, n->watch.slot) : NULL;
    n->watch.changes = checksum(key->ptr, key->len, n->watch.changes);
    if (p != NULL && !names_batch(c, node, &c->batches[p->batch]))
        checks_fail(c, CHECK_WATCHED, "node %u says that a change of slot %" PRIu64 " came of another batch", node,
                    n->watch.slot);
}

static void take_missed(struct checks *c, uint32_t node, uint64_t loaded)
{
    struct checked_node *n = &c->nodes[node];
    c->reached[REACHED_MESSAGES_MISSED]++;
    if (loaded < n->watch.next)
        checks_fail(c, CHECK_WATCHED,
                    "node %u says that messages are missing; it has told those below slot %" PRIu64
                    ", and its last snapshot is that before slot %" PRIu64,
                    node, n->watch.next, loaded);
    n->watch.next = loaded;
    n->watch.slot = 0; /* of a batch that was begun there may be more */
}

void checks_notices(struct checks *c, uint32_t node, const struct payload *told, uint64_t loaded)
{
    struct checked_node *n = checks_node(c, node);
    struct batch_commands commands = {0};
    struct notice notice;
    if (n == NULL)
        return;
    if (!n->watch.on)
        checks_fail(c, CHECK_WATCHED, "node %u tells what its client port does not want to know", node);
    bool sound = batch_commands_read(&commands, told) && commands.count > 0;
    n->watch.cause = (struct notice_cause){0};
    for (size_t i = 0; i < commands.count && sound; i++) {
        sound = notice_read(&commands.commands[i], &notice) && notice.kind != NOTICE_SHARD_MESSAGE;
        if (sound && notice.kind == NOTICE_MISSED)
            take_missed(c, node, loaded);
        else if (sound && notice.kind == NOTICE_CAUSE)
            n->watch.cause = notice.cause;
        else if (sound && notice.kind == NOTICE_CHANGED)
            take_key(c, node, &notice.channel);
        else if (sound && notice.kind == NOTICE_EVENT)
            n->watch.changes = reference_event(
                n->watch.changes, &(struct key_event){.kind = notice.class, .name = notice.message, .key = notice.channel});
        else if (sound && notice.kind == NOTICE_MESSAGE)
            take_message(c, node, &notice);
    }
    if (!sound)
        checks_fail(c, CHECK_WATCHED, "node %u tells what are no notices", node);
    batch_commands_free(&commands);
}

/* After a turn. Of the slot that is being executed, the message may have been told. What a turn does not tell is forgiven if
 * it is the node's last but one: a learner whose state is not that of a majority says nothing more, and ends. */
void checks_watched(struct checks *c, uint32_t node)
{
    struct checked_node *n = &c->nodes[node];
    if (!n->watch.on)
        return;
    if (n->watch.next > n->executed + 1)
        checks_fail(c, CHECK_WATCHED,
                    "node %u tells the message of slot %" PRIu64 ", and has executed below slot %" PRIu64 " only", node,
                    n->watch.next - 1, n->executed);
    const bool is_over = n->watch.slot < n->executed;
    const bool lacks = first_untold(c, n, n->executed) < n->executed || (is_over && other_keys(c, n));
    if (lacks && !n->watch.lacks) {
        n->watch.lacks = true;
        return;
    }
    n->watch.lacks = false;
    told_below(c, node, n->executed);
    if (is_over)
        told_keys(c, node);
}
