/* Who belongs to the cluster, as far as a node knows: where the others are, and which data folder (instance) each of them
 * has. Until the cluster has formed, that is what the node's file says, which names no instances; from then on it is what
 * the log says (core/formats/configuration.h), and the file is a reminder.
 *
 * A member that the newest configuration leaves out is a member until that one governs. */
#ifndef SYNOD_IO_ROSTER_H
#define SYNOD_IO_ROSTER_H

#include "core/formats/frame.h"
#include "core/formats/packet.h"
#include "core/runners/ports.h"
#include "io/config.h"

struct roster {
    uint64_t slot;      /* of the newest configuration known; 0: none was chosen yet */
    node_set members;   /* by that one */
    node_set leaving;   /* by the one before, until the newest governs */
    node_set acceptors; /* as `members` */
    node_set gone;      /* were members; their instance was, or is as long as they are leaving, the one below */
    uint32_t phase1_quorum;
    uint64_t state_bytes_max, first_state_bytes_max; /* by the log, now and under the first configuration; 0: not said */
    uint32_t first_alpha;
    struct config_node nodes[NODE_ID_MAX + 1]; /* by id: members, and those that are leaving */
    struct member_instance {
        uint8_t id[16];
        uint32_t number;  /* 0: the first disk that the node had */
        uint64_t changed; /* the slot in which this instance came, or the node was removed; 0: not known */
    } instances[NODE_ID_MAX + 1];
};

/* The roster of a node that knows its file alone. */
void roster_of_file(struct roster *m, const struct config *config);

/* Takes a configuration of the log, its slot as `id` (core/formats/configuration.h). False: it is not sound, or not newer
 * than the newest one known. */
bool roster_apply(struct roster *m, const struct packet *configuration);

/* The roster of a node that knows its file, and these configurations of the log, the earlier one first. A kind of
 * CONFIGURATION_SETTLED says that the one before is over. What is CONFIGURATION_HEARSAY is left out. */
void roster_of_log(struct roster *m, const struct config *config, const struct packet *configurations, size_t count);
/* The roster that is hearsay among these; slot 0: none is. */
void roster_of_hearsay(struct roster *m, const struct packet *configurations, size_t count);

/* A configuration that was not learned from the log (network_hearsay); with the other kinds of core/runners/ports.h. */
enum { CONFIGURATION_HEARSAY = CONFIGURATION_SETTLED + 1 };

/* The configuration before that of `slot` is over, if that is the newest one: who was leaving has left. */
void roster_settle(struct roster *m, uint64_t slot);

/* The first configuration: the governed settings of the file, and its nodes with these instances. `delay` is its alpha. The
 * caller frees the packet's words. */
struct packet roster_first(const struct config *config, const uint8_t instances[NODE_ID_MAX + 1][16]);

/* Those that a node speaks with: members, and those that are leaving. */
static inline node_set roster_all(const struct roster *m) { return m->members | m->leaving; }

/* The node with this id; NULL when there is none that belongs to the cluster. */
const struct config_node *roster_find(const struct roster *m, uint32_t id);

/* Whether a node that was a member of `before` is another one now: another disk, or at another place. */
bool roster_has_moved(const struct roster *before, const struct roster *now, uint32_t id);

/* Whether a node other than `id` is reached at this address. */
bool roster_gives_to_another(const struct roster *m, const struct endpoint *address, uint32_t id);

/* What a node is to this one, by its id and its instance. */
enum member_verdict {
    MEMBER_FITS,
    MEMBER_STRANGER, /* never heard of */
    MEMBER_EARLY,    /* this node does not know a configuration yet in which it is a member; it may come again */
    MEMBER_REMOVED,
    MEMBER_REPLACED,   /* its disk was: it is another instance than the one that is a member now, and an earlier one */
    MEMBER_OTHER_DISK, /* neither the instance that is a member, nor an earlier one */
};

/* Judges a node that says that it knows the configuration of slot `known` (0: none). If it does not fit, `why` says in one
 * line what is wrong. Precondition: a configuration was chosen (m->slot). */
enum member_verdict roster_judge(const struct roster *m, const struct frame_origin *origin, uint64_t known, char *why,
                                 size_t size);

#endif
