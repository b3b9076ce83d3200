/* The moves of an exploration, in words. */
#include <stdio.h>

#include "sim/explore_world.h"

/* An acceptor's messages are told one by one, because its disk is behind. */
static void crash_text(struct explore_model *m, const struct explore_world *world, const struct explore_move *move,
                       const uint8_t *names, explore_line *line, void *context)
{
    struct explore_event messages[EXPLORE_MESSAGES_MAX];
    uint32_t count = explore_disk_messages(m, world, move->acceptor, move->outcome, messages);
    unsigned acceptor = names[move->acceptor] + 1u;
    char text[128];
    for (uint32_t i = 0; i < count; i++) {
        const char *ballot = explore_ballot_text(&m->words, messages[i].ballot);
        if (messages[i].kind == EXPLORE_PREPARE)
            snprintf(text, sizeof text, "A%u gets PREPARE %s; its disk is behind", acceptor, ballot);
        else
            snprintf(text, sizeof text, "A%u gets ACCEPT %s for slot %u; its disk is behind", acceptor, ballot,
                     messages[i].slot);
        line(context, text);
    }
    snprintf(text, sizeof text, "A%u crashes and comes back", acceptor);
    line(context, text);
}

void explore_move_text(struct explore_model *m, const struct explore_world *world, const struct explore_move *move,
                       const uint8_t *names, explore_line *line, void *context)
{
    unsigned proposer = move->proposer + 1u, acceptor = names[move->acceptor] + 1u;
    const char *ballot = explore_ballot_text(&m->words, move->ballot);
    char text[128];
    switch (move->kind) {
    case MOVE_TAKE_BALLOT:
        snprintf(text, sizeof text, "P%u takes ballot %s", proposer, ballot);
        break;
    case MOVE_COME_BACK:
        snprintf(text, sizeof text, "P%u crashes, comes back, and takes ballot %s", proposer, ballot);
        break;
    case MOVE_PROMISE:
        snprintf(text, sizeof text, "P%u gets the promise of A%u for ballot %s", proposer, acceptor, ballot);
        break;
    case MOVE_ACCEPTED:
        snprintf(text, sizeof text, "P%u gets the vote of A%u at ballot %s for slot %u", proposer, acceptor, ballot,
                 move->slot);
        break;
    case MOVE_LEARN:
        snprintf(text, sizeof text, "P%u learns what was chosen in slot 1", proposer);
        break;
    case MOVE_PREPARE:
        snprintf(text, sizeof text, "A%u gets PREPARE %s", acceptor, ballot);
        break;
    case MOVE_ACCEPT:
        snprintf(text, sizeof text, "A%u gets ACCEPT %s for slot %u", acceptor, ballot, move->slot);
        break;
    default:
        crash_text(m, world, move, names, line, context);
        return;
    }
    line(context, text);
}
