/* What the network that ships brings: whole frames, of the life of the sender that the node listens to. Those of one
 * connection come in the order in which they were sent, each at most once; those in datagrams in any order, each as often as
 * its datagram came. Any may be lost. Frames are known by their checksums; equal ones count as the first that fits. */
#include "sim/checks_internal.h"

static struct frames_sent *frames_of(struct checks *c, uint32_t from, uint32_t to)
{
    const size_t nodes = c->options.nodes + 1;
    if (c->frames == NULL)
        c->frames = memory_new(nodes * nodes, sizeof *c->frames);
    return &c->frames[from * nodes + to];
}

void checks_frame_sent(struct checks *c, uint32_t node, node_set to, uint64_t life, uint64_t sum)
{
    for (to &= (UINT64_C(2) << c->options.nodes) - 2; to != 0; to &= to - 1) {
        struct frames_sent *f = frames_of(c, node, node_set_first(to));
        f->all = memory_reserve(f->all, &f->capacity, f->count + 1, sizeof *f->all);
        f->all[f->count++] = (struct frame_sent){.life = life, .sum = sum};
    }
}

/* The latest one before `end`; NULL: there is none. */
static struct frame_sent *latest(const struct frames_sent *f, size_t end, uint64_t life, uint64_t sum)
{
    while (end > 0 && (f->all[end - 1].sum != sum || f->all[end - 1].life != life))
        end--;
    return end > 0 ? &f->all[end - 1] : NULL;
}

void checks_datagram_came(struct checks *c, uint32_t node, uint32_t from, uint64_t life, uint64_t sum)
{
    const struct frames_sent *f = frames_of(c, from, node);
    struct frame_sent *sent = latest(f, f->count, life, sum);
    invariant(sent != NULL);
    sent->came++;
}

/* Takes one that came. False: there is none. */
static bool take_datagram(const struct frames_sent *f, uint64_t life, uint64_t sum)
{
    struct frame_sent *sent = latest(f, f->count, life, sum);
    while (sent != NULL && sent->taken == sent->came)
        sent = latest(f, (size_t)(sent - f->all), life, sum);
    if (sent != NULL)
        sent->taken++;
    return sent != NULL;
}

static bool take_next(struct frames_sent *f, uint64_t life, uint64_t sum)
{
    while (f->next < f->count && (f->all[f->next].sum != sum || f->all[f->next].life != life))
        f->next++;
    return f->next++ < f->count;
}

void checks_frame_received(struct checks *c, uint32_t node, uint32_t from, uint64_t life, uint64_t sum, enum frame_way way)
{
    struct frames_sent *f = frames_of(c, from, node);
    if (way == FRAME_IN_DATAGRAM) {
        if (!take_datagram(f, life, sum))
            checks_fail(c, CHECK_FRAMES,
                        "node %u takes a datagram for one of node %u that has not come from that life of it", node, from);
        return;
    }
    if (way == FRAME_BEGINS)
        f->next = 0;
    if (!take_next(f, life, sum))
        checks_fail(c, CHECK_FRAMES,
                    "node %u received from node %u what that has not sent, or not after what it received before", node,
                    from);
}

void checks_frames_close(struct checks *c)
{
    const size_t nodes = c->options.nodes + 1;
    for (size_t i = 0; c->frames != NULL && i < nodes * nodes; i++)
        free(c->frames[i].all);
    free(c->frames);
}
