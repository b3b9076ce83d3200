/* What a node says about itself: `INFO` on its client port, read back into a struct.
 * Lines are `synod_<name>:<value>`; every other line of the reply is skipped. */
#ifndef SYNOD_LOAD_INFO_H
#define SYNOD_LOAD_INFO_H

#include "core/base/types.h"

struct node_info {
    uint32_t node;
    char role[16]; /* coordinator, proposer, acceptor, learner */
    uint32_t incarnation;
    uint32_t leader; /* 0: the node knows none */
    struct ballot ballot;
    char proposer_state[16]; /* following, asking, preparing, leading */
    uint64_t chosen;
    uint64_t executed;
    uint64_t held;
    char state_hash[40]; /* as the node writes it; equal states have equal texts */
    uint64_t commands_executed;
    uint64_t leader_changes;
    uint64_t restarts;        /* of lives that broke, since the process began */
    uint64_t last_restart_us; /* from the fault until the next life was ready */
    uint32_t spare;           /* 1: another life is prepared, as it is soon after the last one became ready */
    uint64_t turns, turn_us_total;
    uint64_t journal_syncs, journal_sync_us_total, journal_wait_us_total, journal_told_us_total; /* host/journal.h */
};

/* Reads the text of an INFO reply. False: it has no synod_node line (not a node of Synod), or a number in it is not one;
 * `error` says which. Fields without a line are zero. */
bool info_parse(const char *text, size_t len, struct node_info *out, char *error, size_t error_size);

/* Connects, asks, disconnects; takes up to `timeout_ms` for connecting and as much again for the answer. False: `error`
 * says what failed and where. */
bool info_fetch(const char *host, uint16_t port, int timeout_ms, struct node_info *out, char *error, size_t error_size);

#endif
