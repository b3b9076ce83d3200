/* A change that gives a node an instance: SYNOD MEMBER ADD or REPLACE. */
#ifndef SYNOD_CLI_MEMBER_CHANGE_H
#define SYNOD_CLI_MEMBER_CHANGE_H

#include "cli/operator_call.h"

enum { INSTANCE_TEXT = 2 * MEMBER_INSTANCE_SIZE + 1 };

/* A random instance id, as text. False: there are no random bytes. */
bool member_instance_make(char text[INSTANCE_TEXT]);

/* Whether this is an instance id. */
bool member_instance_is(const char *text);

/* Whether this member has the instance. */
bool member_has_instance(const struct member *m, const char *instance);

/* Asks for the change that gives `node` this instance. An answer may get lost after the change was made, so if none comes
 * that says that it is done, the newest configuration decides, where a node tells it. Returns an exit code, and what became
 * of it as `answer`. */
int member_change(const struct operator_call *call, const char *const *words, int count, uint32_t node, const char *instance,
                  char answer[OPERATOR_ANSWER_MAX]);

#endif
