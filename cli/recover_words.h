/* What `synod recover` says of the folders that are left of a cluster. */
#ifndef SYNOD_CLI_RECOVER_WORDS_H
#define SYNOD_CLI_RECOVER_WORDS_H

#include "io/survivor_folders.h"

/* Prints what is there, what of it is kept, and what may be missing. */
void recover_words(const struct survivor_findings *f);

#endif
