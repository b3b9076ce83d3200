/* Whether settings can work together, wherever they come from: the file (host/config.c), or the simulator that draws
 * them. */
#ifndef SYNOD_HOST_CONFIG_CHECK_H
#define SYNOD_HOST_CONFIG_CHECK_H

#include "io/config.h"

enum { CONFLICT_KEYS_MAX = 4 };

struct config_conflict {
    const char *keys[CONFLICT_KEYS_MAX]; /* settings, any of which may be changed, the likeliest first; NULL: no more */
    char text[300];
};

/* Each setting in its range, pairs of which one must not exceed the other, quorums that meet, frames that hold what is sent
 * in them, a state that its memory holds. The configuration is complete. False: `conflict` says what is wrong. */
bool config_check(const struct config *config, struct config_conflict *conflict);

/* What state_bytes_max may be at most, as memory_bytes_max is. */
uint64_t config_state_bytes_room(const struct config *config);

/* What the replies of a batch (struct limits) must have room for at least, as the other settings are. */
uint32_t config_replies_bytes_min(const struct config *config);

/* What frame_bytes_max must be at least, as the other settings are. */
uint64_t config_frame_bytes_min(const struct config *config);

#endif
