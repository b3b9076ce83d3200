/* Shows what is in the snapshots of a data folder, or in one file, piece by piece, and where damage begins. */
#ifndef SYNOD_CLI_SNAPSHOT_INSPECT_H
#define SYNOD_CLI_SNAPSHOT_INSPECT_H

#include "io/problem.h"

/* Prints what is in a snapshot, or in all of a data folder. False: something is not sound; what is sound was printed. */
bool snapshot_inspect(const char *path, struct problem *problem);

#endif
