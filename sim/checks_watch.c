/* Watched (P26): a client port that wants to be told messages gets those of all slots that its node executes from then on,
 * in the order of the log, each once; or is told that some are missing, which is so only where a snapshot took the place
 * of slots. In the simulated world every batch that is for the log publishes one message, whose channel names the batch,
 * as its first command; and of the batch are the keys that are told between its message and the next one. (That any key may
 * have changed is told when one ends by time, too, which is not judged.) */
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
}

/* All keys of the batch whose message was told last have been told. */
static void told_keys(struct checks *c, uint32_t node)
{
    struct checked_node *n = &c->nodes[node];
    if (n->watch.slot != 0 && c->reference != NULL && n->watch.changes != c->slots[n->watch.slot].changes)
        checks_fail(c, CHECK_WATCHED,
                    "node %u tells other keys than those that the batch of slot %" PRIu64 " may have changed", node,
                    n->watch.slot);
    n->watch.slot = 0;
}

static bool has_message(const struct checks *c, uint64_t slot)
{
    const struct proposal *p = slot < c->prefix ? checks_chosen(c, slot) : NULL;
    return p != NULL && p->batch != 0 && !c->batches[p->batch].reads && c->batches[p->batch].executed_in == slot;
}

/* All messages of slots before `slot` have been told. */
static void told_below(struct checks *c, uint32_t node, uint64_t slot)
{
    struct checked_node *n = &c->nodes[node];
    for (; n->watch.next < slot; n->watch.next++)
        if (n->watch.next != n->watch.from && has_message(c, n->watch.next))
            checks_fail(c, CHECK_WATCHED, "node %u does not tell the message of slot %" PRIu64, node, n->watch.next);
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
    n->watch.next = slot + 1;
    n->watch.slot = slot;
    n->watch.changes = 0;
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
    for (size_t i = 0; i < commands.count && sound; i++) {
        sound = notice_read(&commands.commands[i], &notice) && notice.kind != NOTICE_SHARD_MESSAGE;
        if (sound && notice.kind == NOTICE_MISSED)
            take_missed(c, node, loaded);
        else if (sound && notice.kind == NOTICE_CHANGED)
            n->watch.changes = checksum(notice.channel.ptr, notice.channel.len, n->watch.changes);
        else if (sound && notice.kind == NOTICE_MESSAGE)
            take_message(c, node, &notice);
    }
    if (!sound)
        checks_fail(c, CHECK_WATCHED, "node %u tells what are no notices", node);
    batch_commands_free(&commands);
}

/* After a turn. Of the slot that is being executed, the message may have been told. */
void checks_watched(struct checks *c, uint32_t node)
{
    struct checked_node *n = &c->nodes[node];
    if (!n->watch.on)
        return;
    if (n->watch.next > n->executed + 1)
        checks_fail(c, CHECK_WATCHED,
                    "node %u tells the message of slot %" PRIu64 ", and has executed below slot %" PRIu64 " only", node,
                    n->watch.next - 1, n->executed);
    told_below(c, node, n->executed);
    if (n->watch.slot < n->executed)
        told_keys(c, node);
}
