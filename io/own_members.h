/* What a node's data folder knows of who belongs to the cluster, for the host of the node: Synod's own
 * (host/node_members.c), or one out of WASI alone (components/wasi-host). What the node knows is durable here before it has
 * any effect outside. */
#ifndef SYNOD_IO_OWN_MEMBERS_H
#define SYNOD_IO_OWN_MEMBERS_H

#include "io/data_folder.h"
#include "io/governed.h"
#include "io/kept_configurations.h"
#include "io/roster.h"

struct own_members {
    struct folder_files files;
    const struct config *config;
    const struct config_node *self;
    struct roster now;
    struct kept_configurations kept;  /* what is in the folder: the same in its own words */
    struct frame_origin origin;       /* the instance that this folder is, in some life */
    uint64_t admitted;                /* as in struct identity */
    char governed[GOVERNED_TEXT_MAX]; /* with which the folder was formatted */
};

/* Reads what the folder knows. `files` is where it is, and stays there; `config`, which has node `node`, outlives `m`.
 * False: the folder is damaged, or the node has no place in the cluster any more, or not this one, or too little memory. */
bool own_members_open(struct own_members *m, const struct folder_files *files, const struct config *config, uint32_t node,
                      struct problem *problem);
void own_members_close(struct own_members *m);

/* Whether the node is a member, with this disk and role. Those that are leaving still are. */
bool own_members_check(const struct own_members *m, struct problem *problem);

/* Whether there is memory for the state that there may be, by the newest configuration. */
bool own_members_has_memory(const struct own_members *m);

/* What the node begins with: the first configuration is what its folder was formatted with, for slots before the log has
 * another one, and not the file, which may have been changed since. */
struct node_config own_members_config(const struct own_members *m);

/* The configurations of the log that are known, the earlier one first. They stay those of `m`. Returns how many. */
size_t own_members_list(const struct own_members *m, struct packet out[2]);

/* Takes what the node tells (ports_configuration_known), durably. `*news`: it was not known. False: it cannot be kept, or is
 * no configuration. */
bool own_members_take(struct own_members *m, const struct packet *configuration, bool *news, struct problem *problem);

#endif
