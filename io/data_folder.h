/* The folder of one node: identity, boot count, the journal, and what it remembers of its peers.
 * Formatted once by `synod init`; a node never starts on an empty one (P12). */
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
    uint8_t instance[16]; /* random, made by init */
    uint32_t incarnation; /* durable boot count, counted up by each open; from 1 */
    uint32_t nonce;       /* random, of this life; only in memory */
    /* First lsn of the newest segment of the journal that may hold a record; 0: the journal has not begun. A folder that lacks
     * this segment is damaged (io/journal_store.h). */
    uint64_t newest_segment;
};

/* Who speaks in this node's frames. */
struct frame_origin identity_origin(const struct identity *identity);

struct data_folder;

/* Formats `path` (made with its parents) for a node. An existing identity is never overwritten. `instance` is the node's instance id
 * (16 bytes); NULL: a random one. `governed` is what governed_print says of the cluster; NULL: nothing is, and each start that asks
 * is refused. */
bool data_folder_format(struct disk *disk, const char *path, const char *cluster, uint32_t node, const uint8_t *instance,
                        const char *governed, struct problem *problem);

/* Writes other governed settings into a formatted folder that nobody uses, and tells the changes (GOVERNED_CHANGES_MAX at most). Whether
 * the cluster can bear them is for the operator to know. False: nothing has changed, but for a sync that failed. */
bool data_folder_regovern(struct disk *disk, const char *path, const char *cluster, uint32_t node, const char *governed,
                          struct governed_change *changes, size_t *count, struct problem *problem);

/* What keeps others from the folder while it is open. */
enum data_folder_guard {
    DATA_FOLDER_LOCK,      /* a lock of the file system; nodes in a sandbox see it, too */
    DATA_FOLDER_LEASE,     /* a lease (io/lease.h), where there are no locks: data_folder_renew keeps it */
    DATA_FOLDER_UNGUARDED, /* whoever runs the node keeps others away: data_folder_lock */
};

/* Locks the folder, checks that it belongs to this cluster and node, and makes the next incarnation durable. `disk` is borrowed.
 * Blocks for some seconds when a node in a sandbox had the folder before that did not end in good order. */
bool data_folder_open(struct data_folder **out, struct disk *disk, const char *path, const char *cluster, uint32_t node,
                      struct problem *problem);
/* The same with any guard. Unless `governed` is NULL, a folder that was formatted with other governed settings is refused, naming the
 * first that differs, before the boot counts. */
bool data_folder_open_guarded(struct data_folder **out, struct disk *disk, const char *path, const char *cluster,
                              uint32_t node, enum data_folder_guard guard, const char *governed, struct problem *problem);
/* Another life of the node begins in the folder that stays open: makes its incarnation durable, and names it from then on.
 * False: it may or may not be durable, and the folder still names the old one. */
bool data_folder_reboot(struct data_folder *folder, struct problem *problem);
/* Makes durable in `folder` (a data_folder) that this is the newest segment, unless it names that one already. To be called before the first record in it is
 * relied on. On any thread, but not beside data_folder_reboot. False: it may or may not be durable; where the problem is that
 * there is no room, it may be tried again. */
bool data_folder_newest_segment(void *folder, uint64_t first_lsn, struct problem *problem);
void data_folder_close(struct data_folder *folder);

/* To be called before each write to the folder, and every second or so. False: the lease is lost, and nothing must be
 * written any more. */
bool data_folder_renew(struct data_folder *folder, struct problem *problem);

/* Something an operator should know of how the folder was opened; NULL: nothing. Constant text. */
const char *data_folder_notice(const struct data_folder *folder);

/* For a node that opens its data folder from within the sandbox, where there are no locks: locks a formatted folder as
 * data_folder_open does, compares its governed settings (NULL: does not), and leaves all else to the node. Returns a lock for
 * disk_unlock, and `*notice` as data_folder_notice; -1 with a problem. */
int data_folder_lock(struct disk *disk, const char *path, uint32_t node, const char *governed, const char **notice,
                     struct problem *problem);

const struct identity *data_folder_identity(const struct data_folder *folder);
const char *data_folder_path(const struct data_folder *folder);

/* What this node makes of a peer, by what it remembers of it. */
enum peer_verdict {
    PEER_UNKNOWN_WHY, /* no possible peer, or what is to be remembered of it could not be made durable: it may come again */
    PEER_ACCEPTED,    /* the newest life that is known of it, or a later one; known durably from now on */
    PEER_OTHER_INSTANCE, /* another data folder than the one known */
    PEER_EARLIER_LIFE,   /* a later one was heard: its folder is an older copy */
    PEER_ANOTHER_LIFE,   /* with the incarnation that is known, and another nonce: its folder is a copy, too */
    PEER_TOO_LATE_LIFE,  /* more boots than anybody makes beyond the newest that is known (PEER_BOOTS_MAX) */
};

/* A node that was out of reach may have been started as often as this in the meantime. What is far beyond is no boot count; taken at its
 * word, it would lock the real node out. */
enum { PEER_BOOTS_MAX = 1 << 20 };

/* Judges a life of a peer, and remembers it durably before it returns PEER_ACCEPTED: then it may block for a sync, once for each life
 * of each peer. Asked about this node itself, since others, without whom there is no quorum, know a life of it that does not come
 * before this one: remembers durably that the folder is a copy, and must not be opened any more. Thread: the node's. */
enum peer_verdict data_folder_accept_peer(struct data_folder *folder, const struct frame_origin *peer);

/* The newest incarnation that is known of a peer; 0: none. */
uint32_t data_folder_known_life(const struct data_folder *folder, uint32_t peer);

#endif
