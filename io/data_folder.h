/* The folder of one node: identity, boot count, the journal, and what it remembers of its peers. `synod init` formats it
 * once; a node never starts on an empty folder (P12). */
#ifndef SYNOD_IO_DATA_FOLDER_H
#define SYNOD_IO_DATA_FOLDER_H

#include <stdint.h>

#include "core/formats/frame.h"
#include "io/disk.h"
#include "io/governed.h"
#include "io/problem.h"

struct identity {
    char cluster[64];
    uint32_t node;
    uint8_t instance[16]; /* random; made by init, or by who added the node or replaced its disk */
    uint32_t incarnation; /* with the instance's number, and a durable boot count from 1 (core/formats/frame.h) */
    uint32_t nonce;       /* random, of this life; only in memory */
    /* First lsn of the newest segment that may hold a record; 0: the journal has not begun. A folder without this segment is
     * damaged (io/journal_store.h). */
    uint64_t newest_segment;
    uint64_t admitted; /* slot of a configuration with this instance, if it joined a cluster that had formed; otherwise 0 */
};

/* The origin in this node's frames. */
struct frame_origin identity_origin(const struct identity *identity);

struct data_folder;
struct roster; /* io/roster.h */

/* Formats `path` for a node; makes it and its parents. An existing identity is never overwritten. `instance` is the node's
 * instance id (16 bytes); NULL: a random one. `governed` is the text of governed_print. With NULL nothing is governed, and a
 * start that compares is refused. */
bool data_folder_format(struct disk *disk, const char *path, const char *cluster, uint32_t node, const uint8_t *instance,
                        const char *governed, struct problem *problem);

/* Makes `path` and its parents, and locks it until the lock is given back with disk_unlock. -1: it holds something, or is in
 * use, or cannot be made. */
int data_folder_lock_new(struct disk *disk, const char *path, struct problem *problem);

/* How a cluster that has formed took a node in: added it, or replaced its disk. */
struct data_folder_admission {
    const uint8_t *instance;     /* 16 bytes: its instance id in the configuration */
    uint32_t number;             /* and the number of that instance */
    uint64_t slot;               /* of the configuration */
    struct packet configuration; /* that one, or a later one (core/formats/configuration.h); `id` is its slot */
};

/* As data_folder_format, for a node that joins. data_folder_lock_new has locked the folder since before the cluster took the
 * instance: another one that joins meanwhile would replace it. */
bool data_folder_join(struct disk *disk, const char *path, const char *cluster, uint32_t node,
                      const struct data_folder_admission *admission, const char *governed, struct problem *problem);

/* Writes other governed settings into a formatted folder that is not in use, and tells the changes (at most
 * GOVERNED_CHANGES_MAX). The operator must know whether the cluster can bear them. A cluster that has formed
 * has its settings in the log: then this is refused. False: nothing has changed, unless a sync failed. */
bool data_folder_regovern(struct disk *disk, const char *path, const char *cluster, uint32_t node, const char *governed,
                          struct governed_change *changes, size_t *count, struct problem *problem);

/* What keeps other processes from the folder while it is open. */
enum data_folder_guard {
    DATA_FOLDER_LOCK,      /* a lock of the file system; nodes in a sandbox see it, too */
    DATA_FOLDER_LEASE,     /* a lease (io/lease.h), where there are no locks; data_folder_renew keeps it */
    DATA_FOLDER_UNGUARDED, /* the host of the node keeps others away: data_folder_lock */
};

/* Reads the identity of a formatted folder, which may be in use, and changes nothing. The nonce is 0. */
bool data_folder_look(struct disk *disk, const char *path, struct identity *identity, struct problem *problem);

/* The same, and the governed settings with which it was formatted. */
bool data_folder_look_governed(struct disk *disk, const char *path, struct identity *identity,
                               char governed[GOVERNED_TEXT_MAX], struct problem *problem);

/* The newest incarnation of each other node that the folder remembers, by node; 0: none. It changes nothing. */
bool data_folder_look_lives(struct disk *disk, const char *path, uint32_t lives[NODE_ID_MAX + 1], struct problem *problem);

/* Locks the folder, checks that it belongs to this cluster and node, and makes the next incarnation durable. `disk` is
 * borrowed. If the last user was a node in a sandbox that did not end in good order, this blocks for some seconds. */
bool data_folder_open(struct data_folder **out, struct disk *disk, const char *path, const char *cluster, uint32_t node,
                      struct problem *problem);
/* The same with any guard. If `governed` is not NULL, a folder that was formatted with other governed settings is refused
 * before the boot counts, unless the cluster has formed. The error names the first setting that differs. */
bool data_folder_open_guarded(struct data_folder **out, struct disk *disk, const char *path, const char *cluster,
                              uint32_t node, enum data_folder_guard guard, const char *governed, struct problem *problem);
/* Another life of the node begins in the open folder: makes its incarnation durable, and names it from then on. False: it
 * may or may not be durable, and the folder still names the old one. */
bool data_folder_reboot(struct data_folder *folder, struct problem *problem);
/* Makes durable in `folder` (a data_folder) that this is the newest segment, unless it already says so. To be called before
 * the first record in that segment is relied on. On any thread, but not at the same time as data_folder_reboot. False: it
 * may or may not be durable. If the problem is that there is no room, it may be tried again. */
bool data_folder_newest_segment(void *folder, uint64_t first_lsn, struct problem *problem);
void data_folder_close(struct data_folder *folder);

/* To be called before each write to the folder, and about every second. False: the lease is lost, and nothing may be written
 * any more. */
bool data_folder_renew(struct data_folder *folder, struct problem *problem);

/* What an operator should know about how the folder was opened; NULL: nothing. Constant text. */
const char *data_folder_notice(const struct data_folder *folder);

/* For a node that opens its data folder from inside the sandbox, where there are no locks. Locks a formatted folder as
 * data_folder_open does, compares its governed settings (unless NULL), and leaves the rest to the node. Returns a lock for
 * disk_unlock, and `*notice` as data_folder_notice; -1: a problem. */
int data_folder_lock(struct disk *disk, const char *path, uint32_t node, const char *governed, const char **notice,
                     struct problem *problem);

const struct identity *data_folder_identity(const struct data_folder *folder);
const char *data_folder_path(const struct data_folder *folder);

/* How this node judges a peer, by what it remembers of it. */
enum peer_verdict {
    PEER_UNKNOWN_WHY,    /* not a possible peer, or its life could not be remembered durably; it may come again */
    PEER_ACCEPTED,       /* the newest life known of it, or a later one; now remembered durably */
    PEER_OTHER_INSTANCE, /* another data folder than the one known, and not the one that took its place */
    PEER_EARLIER_LIFE,   /* a later life was heard: its folder is an older copy */
    PEER_ANOTHER_LIFE,   /* the known incarnation with another nonce: its folder is a copy, too */
    PEER_TOO_LATE_LIFE,  /* its disk has a later number than the one known, and the same instance id */
};

/* From now on another instance of a peer than the one known is accepted if it is the one of this roster, and its number
 * is higher. */
void data_folder_admit(struct data_folder *folder, const struct roster *roster);

/* Judges a life of a peer, and remembers it durably before it returns PEER_ACCEPTED. For that it may block for a sync, once
 * for each life of each peer. It may also be called for this node itself, when others, without which there is no quorum,
 * know a life of it that is not earlier than this one. Then it remembers durably that the folder is a copy, and must not be
 * opened any more. Thread: the node's. */
enum peer_verdict data_folder_accept_peer(struct data_folder *folder, const struct frame_origin *peer);

/* The instance id that is known of a peer. False: none is. */
bool data_folder_known_instance(const struct data_folder *folder, uint32_t peer, uint8_t instance[16]);
/* The newest incarnation known of a peer; 0: none. */
uint32_t data_folder_known_life(const struct data_folder *folder, uint32_t peer);

#endif
