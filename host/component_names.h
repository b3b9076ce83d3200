/* What a component imports and exports, read from its bytes: nothing is compiled, and nothing but the names is looked at. */
#ifndef SYNOD_HOST_COMPONENT_NAMES_H
#define SYNOD_HOST_COMPONENT_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/component_types.h" /* enum component_side */

enum { COMPONENT_NAME_MAX = 256 }; /* bytes of a name that are given at the most */

/* Calls `visit` for each import or export of the component itself, in its order; not for those of components in it.
 * Characters that would steer a terminal become '?'. Any bytes may be given. Returns NULL when all was read. Otherwise it
 * returns what is wrong with the bytes, in a few words, and has called `visit` for what came before. */
const char *component_names_read(const uint8_t *bytes, size_t len, enum component_side side,
                                 void (*visit)(void *context, const char *name), void *context);

/* Calls `visit` for each component that is defined in this one, in its order, until it returns false. The bytes may be
 * any. */
void component_parts_read(const uint8_t *bytes, size_t len,
                          bool (*visit)(void *context, const uint8_t *part, size_t part_len), void *context);

#endif
