/* Faults that are struck as messages pass: what is lost, let through, sent once more, or was never a message. */
#include "core/base/message.h"
#include "sim/world.h"

void world_slip(struct world *w, uint32_t from, uint8_t message_kind, const struct packet *frame)
{
    if (w->now >= w->sieve.until || message_kind != w->sieve.kind)
        return;
    node_set all = (UINT64_C(2) << w->plan.nodes) - 2;
    node_set to = frame->id & all & (node_set_has(w->sieve.left, from) ? ~w->sieve.left : w->sieve.left);
    for (; to != 0; to &= to - 1)
        network_sim_slip(w->network, from, node_set_first(to), frame, w->now + dice_range(&w->dice, 100, 2000));
}

bool world_swallows(struct world *w, struct machine *m, uint8_t message_kind)
{
    if (!dice_chance(&w->dice, w->faults.rate[FAULT_DROP] / 2))
        return false;
    fault_fired(&w->faults, FAULT_DROP);
    if (message_kind == MESSAGE_ACCEPT && w->faults.rate[FAULT_CRASH] > 0 && m->fuse < 0 && dice_chance(&w->dice, 500000)) {
        m->fuse = (int64_t)dice_range(&w->dice, 2, 40);
        m->fuse_fault = FAULT_CRASH;
    }
    return true;
}

void world_replay(struct world *w, struct machine *m)
{
    enum { LETTERS_MAX = 6, SOON_US = 20000 };
    if (w->faults.rate[FAULT_REPLAY] == 0 || !dice_chance(&w->dice, 500000))
        return;
    for (uint64_t i = dice_range(&w->dice, 1, LETTERS_MAX); i > 0; i--) {
        const struct letter *letter = letters_pick(&w->letters, m->id, &w->dice);
        if (letter != NULL && letter->from != 0)
            network_sim_replay(w->network, letter->from, m->id, &letter->body, w->now + dice_range(&w->dice, 10, SOON_US));
    }
    world_arrivals(w, node_set_of(m->id));
}

/* A broken component sends bytes. */
void world_garbage(struct world *w, struct machine *m)
{
    uint64_t words[32];
    uint32_t len = (uint32_t)dice_range(&m->dice, 1, sizeof words);
    for (size_t i = 0; i < 32; i++)
        words[i] = i < words_for(len) ? dice_next(&m->dice) : 0;
    if (len % 8 != 0) /* unused bytes of the last word are zero in any packet */
        words[words_for(len) - 1] &= (UINT64_C(1) << len % 8 * 8) - 1;
    struct packet garbage = {
        .id = ((UINT64_C(2) << w->plan.nodes) - 2) & ~node_set_of(m->id), .len = len, .words = {words, words_for(len)}};
    machine_network_send(m, &garbage);
    machine_network_flush(m);
    world_arrivals(w, garbage.id);
}
