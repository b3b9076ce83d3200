#include "cli/member_change.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/known_configuration.h"
#include "core/base/memory.h"

enum { LOOK_MS = 3000, LOOKS = 15, AGAIN_US = 200000 };

static void print(const uint8_t id[MEMBER_INSTANCE_SIZE], char text[INSTANCE_TEXT])
{
    for (size_t i = 0; i < MEMBER_INSTANCE_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", id[i]);
}

bool member_instance_make(char text[INSTANCE_TEXT])
{
    uint8_t id[MEMBER_INSTANCE_SIZE];
    if (getrandom(id, sizeof id, 0) != sizeof id)
        return false;
    print(id, text);
    return true;
}

bool member_instance_is(const char *text)
{
    return strlen(text) == INSTANCE_TEXT - 1 && strspn(text, "0123456789abcdef") == INSTANCE_TEXT - 1;
}

bool member_has_instance(const struct member *m, const char *instance)
{
    char text[INSTANCE_TEXT];
    print(m->instance, text);
    return m->node != 0 && strcmp(text, instance) == 0;
}

/* Whether the newest configuration has the change; then `answer` says so. */
static bool was_done(const struct operator_call *call, uint32_t node, const char *instance, char *answer)
{
    struct known_configuration *known = memory_new(1, sizeof *known);
    struct operator_call look = *call;
    look.timeout_ms = LOOK_MS;
    const bool done =
        known_configuration_ask(&look, known) == EXIT_OK && member_has_instance(&known->text.members[node], instance);
    if (done)
        snprintf(answer, OPERATOR_ANSWER_MAX,
                 "done: the configuration of slot %" PRIu64 " has this instance of node %u, as its disk number %u",
                 known->slot, node, known->text.members[node].number);
    free(known);
    return done;
}

/* Whether an error leaves open what became of the change: the answer got lost, or the leader does not know, either. */
static bool is_open(const char *error) { return strncmp(error, "ERR ", 4) != 0 || strstr(error, "it may ") != NULL; }

int member_change(const struct operator_call *call, const char *const *words, int count, uint32_t node, const char *instance,
                  char answer[OPERATOR_ANSWER_MAX])
{
    const int code = operator_call(call, words, count, answer);
    const int looks = code == EXIT_OK ? 0 : is_open(answer) ? LOOKS : 1;
    for (int i = 0; i < looks; i++) {
        if (was_done(call, node, instance, answer))
            return EXIT_OK;
        if (i + 1 < looks)
            usleep(AGAIN_US);
    }
    return code;
}
