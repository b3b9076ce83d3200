/* Errors of an exploration, and their words. */
#include <stdarg.h>
#include <stdio.h>

#include "sim/explore_world.h"

static const char *const check_names[EXPLORE_CHECKS] = {
    [EXPLORE_AGREEMENT] = "Agreement",
    [EXPLORE_VALIDITY] = "Validity",
    [EXPLORE_ONE_VALUE_PER_BALLOT] = "OneValuePerBallot",
    [EXPLORE_BALLOT_UNIQUE] = "BallotUnique",
    [EXPLORE_PROMISE_DURABLE] = "PromiseDurable",
    [EXPLORE_VOTE_DURABLE] = "VoteDurable",
    [EXPLORE_CHOSEN_TRUE] = "ChosenTrue",
    [EXPLORE_CONFIGURATIONS] = "Configurations",
    [EXPLORE_PREMISE] = "Premise",
};

const char *explore_check_name(enum explore_check check) { return check_names[check]; }

void explore_fail(struct explore_model *m, uint8_t check, const char *format, ...)
{
    if (m->failed != NULL || (m->options->unchecked >> check & 1) != 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(m->text, sizeof m->text, format, arguments);
    va_end(arguments);
    m->failed = check_names[check];
}

/* One of several buffers, used in turn. */
static char *text_buffer(size_t *size)
{
    static char buffers[8][64];
    static size_t turn;
    *size = sizeof buffers[0];
    return buffers[turn++ % 8];
}

const char *explore_ballot_text(const struct explore_words *words, uint8_t ballot)
{
    size_t size;
    char *text = text_buffer(&size);
    struct ballot b = words->ballots[ballot];
    int len = snprintf(text, size, "%llu.P%u", (unsigned long long)b.round, b.node - EXPLORE_FIRST_PROPOSER + 1);
    if (b.incarnation > 1)
        snprintf(text + len, size - (size_t)len, ".%u", b.incarnation);
    return text;
}

const char *explore_value_text(const struct explore_words *words, uint8_t value)
{
    size_t size;
    char *text = text_buffer(&size);
    if (value == EXPLORE_NOOP)
        snprintf(text, size, "a no-op");
    else if (value < EXPLORE_VALUES || value == EXPLORE_FOREIGN_VALUE)
        snprintf(text, size, "a value that no client has sent");
    else
        snprintf(text, size, "the value of %s", explore_ballot_text(words, explore_value_ballot(words, value)));
    return text;
}
