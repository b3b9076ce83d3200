#include "sim/trace.h"

#include "core/base/checksum.h"
#include "core/formats/record.h"
#include "sim/faults.h"

static const char *const message_names[MESSAGE_KINDS] = {
    "PREPARE",    "PROMISE",        "ACCEPT",   "ACCEPTED",      "NACK",           "HEARTBEAT",      "ALIVE",
    "ASK",        "LOST",           "CHOSEN",   "LEARN_REQUEST", "LEARN",          "RESULT_REQUEST", "EXECUTED",
    "PROGRESS",   "FORWARD",        "HANDOVER", "SNAPSHOT",      "SNAPSHOT_FETCH", "SNAPSHOT_PART",  "CONFIGURATION",
    "READ_ROUND", "READ_CONFIRMED", "QUERY",    "QUERY_ANSWER",  "READ_INDEX",
};
static const char *const record_names[RECORD_KINDS] = {"PROMISED", "ACCEPTED", "LEARNED", "CHOSEN", "FLOOR"};
static const char *const snapshot_names[SNAPSHOT_ITEM_KINDS] = {
    "BEGIN",  "PIECE",    "COMMIT",  "ABANDON", "DISCARD", "RECEIVE",    "BYTES", "READ",         "LOAD",
    "STORED", "RECEIVED", "WRITTEN", "FAILED",  "WANTED",  "BYTES_READ", "GONE",  "LOADED_PIECE", "LOADED",
};
static const char *const outcome_names[] = {"executed", "moved", "busy", "unknown"};

static const char *name_of(const char *const *names, size_t count, uint64_t index)
{
    return index < count ? names[index] : "?";
}
#define NAME(names, index) name_of(names, sizeof names / sizeof names[0], index)

static const char *fault_name(uint64_t fault) { return fault < FAULTS ? fault_kinds[fault].name : "asked to"; }

static void print_nodes(FILE *out, node_set set)
{
    const char *before = "";
    for (; set != 0; set &= set - 1) {
        fprintf(out, "%s%u", before, node_set_first(set));
        before = ",";
    }
}

static void print_event(FILE *out, const struct trace_event *e)
{
    unsigned long long a = e->a, b = e->b, c = e->c;
    fprintf(out, "%12.6f ", (double)e->at / 1e6);
    if (e->node != 0)
        fprintf(out, "node %u ", e->node);
    switch (e->kind) {
    case TRACE_TURN:
        fprintf(out, "turn at %llu", a);
        break;
    case TRACE_SEND:
        fprintf(out, "sends %s to ", NAME(message_names, e->b));
        print_nodes(out, e->a);
        fprintf(out, " [%016llx]", c);
        break;
    case TRACE_RECEIVE:
        fprintf(out, "receives %llu messages [%016llx]", a, c);
        break;
    case TRACE_BATCH:
        fprintf(out, "takes a batch of %llu commands, token %llu", a, b);
        break;
    case TRACE_REPLY:
        fprintf(out, "answers token %llu: %s [%016llx]", b, NAME(outcome_names, e->a), c);
        break;
    case TRACE_APPEND:
        fprintf(out, "appends %s, lsn %llu [%016llx]", NAME(record_names, e->a % RECORD_PACKET_STICKY), b, c);
        break;
    case TRACE_DURABLE:
        fprintf(out, "durable up to lsn %llu", b);
        break;
    case TRACE_READ:
        fprintf(out, "reads back from lsn %llu", b);
        break;
    case TRACE_SNAPSHOT:
        fprintf(out, "%s %s %llu [%016llx]", a < SNAPSHOT_STORED ? "asks" : "is told", NAME(snapshot_names, e->a), b, c);
        break;
    case TRACE_CONFIGURATION:
        fprintf(out, "%s the configuration of slot %llu [%016llx]",
                a == 0   ? "is given"
                : a == 1 ? "has learned"
                         : "has settled",
                b, c);
        break;
    case TRACE_WATCH:
        fprintf(out, "is asked to tell %s", b != 0 ? "what it executes" : "nothing");
        break;
    case TRACE_NOTICES:
        fprintf(out, "tells what it has executed [%016llx]", c);
        break;
    case TRACE_OPERATOR:
        fprintf(out, "operator: %s, %s %llu", fault_name(e->a), b == 0 ? "asked for node" : b == 1 ? "done" : "refused", c);
        break;
    case TRACE_TRUNCATE:
        fprintf(out, "needs no record below lsn %llu", b);
        break;
    case TRACE_LEADER:
        fprintf(out, "hears that %llu leads, round %llu", a, b);
        break;
    case TRACE_STATE:
        fprintf(out, "executed up to slot %llu, state %016llx", b, c);
        break;
    case TRACE_START:
        fprintf(out, "starts, incarnation %llu", a);
        break;
    case TRACE_RECOVERED:
        fprintf(out, "has recovered up to lsn %llu", b);
        break;
    case TRACE_STOP:
        fprintf(out, "is down: %s", fault_name(e->a));
        break;
    case TRACE_FAULT:
        fprintf(out, "fault: %s", fault_name(e->a));
        break;
    default:
        fprintf(out, "all faults stop");
    }
    fputc('\n', out);
}

void trace_add(struct trace *t, const struct trace_event *event)
{
    t->hash = checksum(event, sizeof *event, t->hash);
    t->last[t->count++ % TRACE_LAST] = *event;
    if (t->out != NULL)
        print_event(t->out, event);
}

void trace_print_last(const struct trace *t, FILE *out)
{
    uint64_t from = t->count > TRACE_LAST ? t->count - TRACE_LAST : 0;
    for (uint64_t i = from; i < t->count; i++)
        print_event(out, &t->last[i % TRACE_LAST]);
}
