/* What an operator asks of a running node: the words after SYNOD at a client port, as a batch of one command
 * (core/formats/batch.h). A request is not for the log: the node that gets it acts on it, or names the one that can. */
#ifndef SYNOD_CORE_FORMATS_OPERATOR_REQUEST_H
#define SYNOD_CORE_FORMATS_OPERATOR_REQUEST_H

#include "core/formats/batch.h"
#include "core/formats/configuration.h"

enum operator_verb {
    OPERATOR_LEADER_MOVE,   /* LEADER MOVE node */
    OPERATOR_CONFIGURATION, /* CONFIGURATION: the newest configuration that the node knows, whichever node it is */
    OPERATOR_MEMBER_LIST,   /* MEMBER LIST: the same, as the leader knows it */
    /* HELD: an array of numbers: the first slot that this node's learner does not hold durably (0: it has none), and the
     * same for each of the others, as far as is known here. The client port asks, for WAIT */
    OPERATOR_HELD,
    /* MEMBER ADD node address client-address role instance
     * MEMBER REMOVE node
     * MEMBER REPLACE node instance [address client-address] [DISK number]
     * SETTINGS SET key value
     *
     * Each may end with DRY-RUN (it is judged, and not done) and FORCE (it is done even if it is not safe now). A client
     * address that is "-": none. An instance id is 32 digits of lower case hexadecimal, random. With DISK, only the disk of
     * that number is replaced: so a request that is sent twice replaces one disk. */
    OPERATOR_CHANGE,
};

struct operator_request {
    uint8_t verb; /* enum operator_verb */
    uint32_t node;
    struct configuration_request change; /* OPERATOR_CHANGE */
    bool dry_run, force;
    bool names_disk; /* REPLACE: only this disk */
    uint32_t disk;
};

/* Understands a request. Returns NULL, or why it cannot: the text of an error reply. */
const char *operator_request_read(const struct payload *value, struct operator_request *request);

#endif
