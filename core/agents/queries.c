#include "core/agents/queries.h"

#include "core/base/kept.h"
#include "core/base/memory.h"

void queries_init(struct queries *q, const struct limits *limits, uint64_t bytes_max, uint64_t patience)
{
    *q = (struct queries){.limits = limits, .bytes_max = bytes_max, .patience = patience};
}

void queries_close(struct queries *q)
{
    for (size_t i = 0; i < q->count; i++)
        payload_release(&q->items[i].value);
    free(q->items);
    answering_close(&q->answering);
}

static bool waits_already(const struct queries *q, struct batch_id batch)
{
    for (size_t i = 0; i < q->count; i++)
        if (batch_id_equal(q->items[i].batch, batch))
            return true;
    return false;
}

bool queries_add(struct queries *q, uint32_t proposer, const struct message *m, uint64_t now)
{
    if (m->entries.len != 1 || q->count >= q->limits->queries || q->bytes >= q->bytes_max || waits_already(q, m->batch))
        return m->entries.len == 1 && waits_already(q, m->batch);
    q->items = memory_reserve(q->items, &q->capacity, q->count + 1, sizeof *q->items);
    q->items[q->count++] = (struct query){.proposer = proposer,
                                          .batch = m->batch,
                                          .index = m->to,
                                          .arrived_at = now,
                                          .value = payload_keep(&m->entries.ptr[0].value)};
    q->bytes += m->entries.ptr[0].value.len;
    return true;
}

/* Takes one out of the list; its value is the caller's. */
static struct query take_out(struct queries *q, size_t i)
{
    const struct query taken = q->items[i];
    q->bytes -= taken.value.len;
    q->count--;
    memmove(q->items + i, q->items + i + 1, (q->count - i) * sizeof *q->items);
    q->begun = q->begun && q->current != i;
    q->current -= q->begun && q->current > i;
    return taken;
}

bool queries_expired(struct queries *q, uint64_t now, struct batch_id *batch)
{
    if (q->count == 0 || now - q->items[0].arrived_at < q->patience)
        return false;
    struct query given_up = take_out(q, 0);
    payload_release(&given_up.value);
    *batch = given_up.batch;
    return true;
}

/* Begins with the first one that may be answered. What is no batch is dropped. */
static bool begin(struct queries *q, uint64_t executed)
{
    for (size_t i = 0; i < q->count && !q->begun;) {
        if (q->items[i].index > executed) {
            i++;
            continue;
        }
        q->current = i;
        q->begun = batch_commands_read(&q->answering.commands, &q->items[i].value);
        if (q->begun) {
            answering_begin(&q->answering, q->limits->replies_bytes);
            break;
        }
        struct query wrong = take_out(q, i);
        payload_release(&wrong.value);
    }
    return q->begun;
}

enum query_state queries_run(struct queries *q, struct state_machine *machine, struct moment now, uint64_t executed,
                             uint64_t *work, struct query *answered, struct payload *replies)
{
    struct answering *a = &q->answering;
    if (!q->begun && !begin(q, executed))
        return QUERIES_WAIT;
    while (!answering_is_done(a)) {
        const size_t before = a->done;
        if (*work >= q->limits->step_work)
            return QUERIES_LEFT;
        *work += answering_go_on(a, machine, now, q->limits, state_machine_query);
        if (a->done == before)
            return QUERIES_WAIT;
    }
    *replies = replies_end(&a->replies);
    *answered = take_out(q, q->current);
    payload_release(&answered->value);
    return QUERY_ANSWERED;
}

void queries_audit(const struct queries *q)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < q->count; i++)
        bytes += q->items[i].value.len;
    invariant(q->bytes == bytes && q->count <= q->limits->queries && (!q->begun || q->current < q->count));
}
