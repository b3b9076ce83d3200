#include "core/formats/decision.h"

#include <string.h>

#include "core/base/assert.h"
#include "core/formats/batch.h"
#include "core/formats/decimal.h"

enum { ENTRY_TEXT_MAX = 100 }; /* at least what one entry takes, and " and more" */

struct line {
    char *text;
    size_t len;
};

static const char *const message_names[MESSAGE_KINDS] = {
    [MESSAGE_PREPARE] = "PREPARE",
    [MESSAGE_PROMISE] = "PROMISE",
    [MESSAGE_ACCEPT] = "ACCEPT",
    [MESSAGE_ACCEPTED] = "ACCEPTED",
    [MESSAGE_NACK] = "NACK",
    [MESSAGE_HEARTBEAT] = "HEARTBEAT",
    [MESSAGE_ASK] = "ASK",
    [MESSAGE_LOST] = "LOST",
    [MESSAGE_CHOSEN] = "CHOSEN",
    [MESSAGE_LEARN_REQUEST] = "LEARN_REQUEST",
    [MESSAGE_LEARN] = "LEARN",
    [MESSAGE_RESULT_REQUEST] = "RESULT_REQUEST",
    [MESSAGE_EXECUTED] = "EXECUTED",
    [MESSAGE_FORWARD] = "FORWARD",
    [MESSAGE_HANDOVER] = "HANDOVER",
    [MESSAGE_SNAPSHOT] = "SNAPSHOT",
    [MESSAGE_READ_ROUND] = "READ_ROUND",
    [MESSAGE_READ_CONFIRMED] = "READ_CONFIRMED",
    [MESSAGE_QUERY] = "QUERY",
    [MESSAGE_QUERY_ANSWER] = "QUERY_ANSWER",
    [MESSAGE_READ_INDEX] = "READ_INDEX",
};

static const char *const record_names[RECORD_KINDS] = {
    [RECORD_PROMISED] = "PROMISED", [RECORD_ACCEPTED] = "ACCEPTED", [RECORD_LEARNED] = "LEARNED",
    [RECORD_CHOSEN] = "CHOSEN",     [RECORD_FLOOR] = "FLOOR",
};

static const char *const outcomes[] = {
    [OUTCOME_EXECUTED] = "executed",
    [OUTCOME_MOVED] = "sent to the leader",
    [OUTCOME_BUSY] = "busy",
    [OUTCOME_UNKNOWN] = "of unknown outcome",
};

static void put(struct line *l, const char *text)
{
    size_t len = strlen(text);
    invariant(l->len + len <= DECISION_TEXT_MAX);
    memcpy(l->text + l->len, text, len);
    l->len += len;
}

/* A text, and a number after it. */
static void put_number(struct line *l, const char *text, uint64_t number)
{
    put(l, text);
    invariant(l->len + DECIMAL_MAX <= DECISION_TEXT_MAX);
    l->len += decimal_write_unsigned(number, (uint8_t *)l->text + l->len);
}

static void put_nodes(struct line *l, node_set set)
{
    for (const char *between = ""; set != 0; set &= set - 1, between = ",")
        put_number(l, between, node_set_first(set));
}

static void put_ballot(struct line *l, struct ballot b)
{
    if (b.round == 0) {
        put(l, " no ballot");
        return;
    }
    put_number(l, " ", b.round);
    put_number(l, ".", b.node);
}

static void put_range(struct line *l, const char *what, uint64_t from, uint64_t to)
{
    put(l, what);
    put_number(l, " [", from);
    put_number(l, ", ", to);
    put(l, ")");
}

static void put_batch(struct line *l, struct batch_id id)
{
    put_number(l, " batch ", id.number);
    put_number(l, " of ", id.origin);
}

static void put_entry(struct line *l, const struct entry *e)
{
    struct batch_header header;
    put_number(l, ", slot ", e->slot);
    put(l, ":");
    if (e->kind == ENTRY_NOOP)
        put(l, " nothing");
    else if (batch_header_read(&e->value, &header))
        put_batch(l, header.id);
    else
        put(l, " (its value is elsewhere)");
}

static void put_entries(struct line *l, const struct entry_list *entries)
{
    size_t i = 0;
    for (; i < entries->len && l->len + ENTRY_TEXT_MAX <= DECISION_TEXT_MAX; i++)
        put_entry(l, &entries->ptr[i]);
    if (i < entries->len)
        put(l, " and more");
}

static void put_handover(struct line *l, const struct message *m)
{
    if (m->flags & MESSAGE_YES) {
        put(l, ": nothing is forwarded any more");
        return;
    }
    put_number(l, " to ", m->to);
    if (m->from != 0)
        put_number(l, ", all is chosen below slot ", m->from);
}

static void put_fields(struct line *l, const struct message *m)
{
    const bool yes = (m->flags & MESSAGE_YES) != 0;
    switch (m->kind) {
    case MESSAGE_PREPARE:
        put_number(l, ", from slot ", m->from);
        put(l, " on");
        break;
    case MESSAGE_PROMISE:
        put_range(l, ", votes in", m->from, m->to);
        put(l, m->entries.len == 0 ? ": none" : "");
        break;
    case MESSAGE_ACCEPTED:
    case MESSAGE_LEARN_REQUEST:
        put_range(l, ", slots", m->from, m->to);
        break;
    case MESSAGE_CHOSEN:
        put_range(l, ", slots", m->from, m->chosen);
        break;
    case MESSAGE_ASK:
        put(l, yes ? ", a claim" : "");
        break;
    case MESSAGE_LOST:
        put(l, yes ? ": yes" : ": no");
        break;
    case MESSAGE_HEARTBEAT:
        put(l, ": not to be elected");
        break;
    case MESSAGE_HANDOVER:
        put_handover(l, m);
        break;
    case MESSAGE_EXECUTED:
        put_batch(l, m->batch);
        return; /* its entry are the replies */
    case MESSAGE_READ_ROUND:
    case MESSAGE_READ_CONFIRMED:
        put_number(l, ", round ", m->from);
        break;
    case MESSAGE_READ_INDEX:
        put_number(l, ", round ", m->from);
        if (yes)
            put_number(l, ": slot ", m->to);
        break;
    case MESSAGE_QUERY:
    case MESSAGE_QUERY_ANSWER:
        put_batch(l, m->batch);
        put_number(l, m->kind == MESSAGE_QUERY ? ", when all is executed below slot " : ", all is executed below slot ",
                   m->to);
        return;
    default:
        break;
    }
    put_entries(l, &m->entries);
}

/* Heartbeats are told when they say that their sender does not stand for election. */
static bool is_told(const struct message *m)
{
    return m->kind == MESSAGE_HEARTBEAT ? (m->flags & MESSAGE_RESIGNED) != 0 : message_names[m->kind] != NULL;
}

static bool has_ballot(const struct message *m)
{
    return m->kind == MESSAGE_PREPARE || m->kind == MESSAGE_PROMISE || m->kind == MESSAGE_ACCEPT ||
           m->kind == MESSAGE_ACCEPTED || m->kind == MESSAGE_NACK || m->kind == MESSAGE_CHOSEN ||
           m->kind == MESSAGE_HANDOVER || m->kind == MESSAGE_READ_ROUND || m->kind == MESSAGE_READ_CONFIRMED;
}

static void put_send(struct line *l, const struct outgoing *out)
{
    put(l, "-> ");
    put_nodes(l, out->to);
    put(l, ": ");
    put(l, message_names[out->message.kind]);
    if (has_ballot(&out->message))
        put_ballot(l, out->message.ballot);
    put_fields(l, &out->message);
}

static void put_record(struct line *l, const struct log_record *r)
{
    put(l, record_names[r->kind]);
    if (r->kind == RECORD_FLOOR)
        put_number(l, " ", r->entry.slot);
    else if (r->kind == RECORD_CHOSEN)
        put_range(l, " slots", r->entry.slot, r->to);
    else
        put_ballot(l, r->entry.ballot);
    if (r->kind == RECORD_ACCEPTED || r->kind == RECORD_LEARNED)
        put_entry(l, &r->entry);
}

static void put_leader(struct line *l, const struct leadership *told)
{
    if (told->leader == 0) {
        put(l, "knows of no leader");
        return;
    }
    put_number(l, "knows that ", told->leader);
    put(l, " leads, at");
    put_ballot(l, told->ballot);
}

static void put_configuration(struct line *l, const struct configured *said)
{
    put_number(l, said->settled ? "needs only the configuration of slot " : "knows the configuration of slot ",
               said->configuration.slot);
    if (!said->settled)
        put_number(l, ", which governs from slot ", said->configuration.governs);
}

size_t decision_write(const struct effect *e, char *text)
{
    struct line line = {text, 0};
    switch (e->tag) {
    case EFFECT_SEND:
        if (is_told(&e->val.send.message))
            put_send(&line, &e->val.send);
        break;
    case EFFECT_APPEND:
        put_number(&line, "writes record ", e->val.append.lsn);
        put(&line, ": ");
        put_record(&line, &e->val.append);
        break;
    case EFFECT_REPLY:
        put(&line, "tells its client: ");
        put(&line, outcomes[e->val.reply.outcome]);
        break;
    case EFFECT_LEADER:
        put_leader(&line, &e->val.leader);
        break;
    case EFFECT_CONFIGURATION:
        put_configuration(&line, &e->val.configuration);
        break;
    default:
        break; /* EFFECT_DIVERGED and EFFECT_DAMAGED end the node, which says why; EFFECT_READ decides nothing */
    }
    return line.len;
}

size_t decision_record(const struct log_record *r, char *text)
{
    struct line line = {text, 0};
    put_record(&line, r);
    return line.len;
}
