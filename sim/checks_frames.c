/* What the network that ships brings: whole frames, and those of one connection in the order in which they were sent, each
 * at most once. Any may be lost. Frames are known by their checksums; equal ones count as the first that fits. */
#include "sim/checks_internal.h"

static struct frames_sent *frames_of(struct checks *c, uint32_t from, uint32_t to)
{
    const size_t nodes = c->options.nodes + 1;
    if (c->frames == NULL)
        c->frames = memory_new(nodes * nodes, sizeof *c->frames);
    return &c->frames[from * nodes + to];
}

void checks_frame_sent(struct checks *c, uint32_t node, node_set to, uint64_t sum)
{
    for (to &= (UINT64_C(2) << c->options.nodes) - 2; to != 0; to &= to - 1) {
        struct frames_sent *f = frames_of(c, node, node_set_first(to));
        f->sums = memory_reserve(f->sums, &f->capacity, f->count + 1, sizeof *f->sums);
        f->sums[f->count++] = sum;
    }
}

void checks_frame_received(struct checks *c, uint32_t node, uint32_t from, uint64_t sum, bool begins)
{
    struct frames_sent *f = frames_of(c, from, node);
    if (begins)
        f->next = 0;
    while (f->next < f->count && f->sums[f->next] != sum)
        f->next++;
    if (f->next++ < f->count)
        return;
    checks_fail(c, CHECK_FRAMES,
                "node %u received from node %u what that has not sent, or not after what it received before", node, from);
}

void checks_frames_close(struct checks *c)
{
    const size_t nodes = c->options.nodes + 1;
    for (size_t i = 0; c->frames != NULL && i < nodes * nodes; i++)
        free(c->frames[i].sums);
    free(c->frames);
}
