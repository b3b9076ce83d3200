/* io/disk.h over wasi:filesystem, for parts in the sandbox. */
#ifndef SYNOD_COMPONENTS_DISK_WASI_H
#define SYNOD_COMPONENTS_DISK_WASI_H

#include "io/disk.h"

/* The first folder that the host opened for this node. Paths begin there, and "." is that folder itself. Without one, every
 * call fails with -ENOENT. Always the same object. */
struct disk *disk_wasi(void);

/* False when it turned out that the host does not sync folders: new names may then be gone after a loss of power. True until
 * a folder was synced. */
bool disk_wasi_syncs_folders(void);

#endif
