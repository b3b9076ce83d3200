#include "sim/letters.h"

#include "core/base/memory.h"

static void keep(struct letter *letters, uint64_t *count, uint32_t from, const struct packet *body)
{
    struct letter *l = &letters[(*count)++ % LETTERS_KEPT];
    size_t bytes = words_for(body->len) * sizeof(uint64_t);
    free(l->body.words.ptr);
    *l = (struct letter){from, *body};
    l->body.words.ptr = memory_new(bytes, 1);
    memcpy(l->body.words.ptr, body->words.ptr, bytes);
}

void letters_keep(struct letters *l, uint32_t from, node_set to, uint8_t message_kind, const struct packet *body)
{
    if (message_kind != MESSAGE_PROMISE && message_kind != MESSAGE_ACCEPTED)
        return;
    for (; to != 0; to &= to - 1) {
        uint32_t i = node_set_first(to);
        if (message_kind == MESSAGE_PROMISE)
            keep(l->of[i].promises, &l->of[i].promise_count, from, body);
        else
            keep(l->of[i].votes, &l->of[i].vote_count, from, body);
    }
}

const struct letter *letters_pick(const struct letters *l, uint32_t to, struct dice *dice)
{
    bool promise = dice_chance(dice, 600000);
    uint64_t count = promise ? l->of[to].promise_count : l->of[to].vote_count;
    if (count == 0)
        return NULL;
    uint64_t which = dice_roll(dice, count < LETTERS_KEPT ? count : LETTERS_KEPT);
    return promise ? &l->of[to].promises[which] : &l->of[to].votes[which];
}

void letters_forget(struct letters *l, uint32_t from)
{
    for (uint32_t i = 0; i <= NODE_ID_MAX; i++) {
        for (size_t k = 0; k < LETTERS_KEPT; k++) {
            if (l->of[i].promises[k].from == from)
                l->of[i].promises[k].from = 0;
            if (l->of[i].votes[k].from == from)
                l->of[i].votes[k].from = 0;
        }
    }
}

void letters_close(struct letters *l)
{
    for (uint32_t i = 0; i <= NODE_ID_MAX; i++) {
        for (size_t k = 0; k < LETTERS_KEPT; k++) {
            free(l->of[i].promises[k].body.words.ptr);
            free(l->of[i].votes[k].body.words.ptr);
        }
    }
}
