/* The configurations that a data folder keeps, in its file `configuration`: the newest one that the log is known to have,
 * and the one before it until that is over.
 *
 *   synod-configuration 6                         the version of the format
 *   settled 1                                     whether the one before the newest is over
 *   slot 813                                      of the newest
 *   bytes 1042                                    and then so many, as in the log (core/formats/configuration.h)
 *   slot 0                                        the same of the one before; 0: it is over, or is the first one
 *   bytes 0
 *   checksum 8d1f5a0c33e29b74 */
#ifndef SYNOD_IO_KEPT_CONFIGURATIONS_H
#define SYNOD_IO_KEPT_CONFIGURATIONS_H

#include "core/formats/packet.h"
#include "io/folder_files.h"

/* Each with its slot as `id`, which is 0 where there is none. The kind of the newest one is CONFIGURATION_SETTLED when the
 * one before is over, otherwise CONFIGURATION_CHOSEN. */
struct kept_configurations {
    struct packet newest, before;
};

/* Reads them; none: there is no file, which a folder must have that joined (`admitted`, its identity says so, is not 0). The
 * caller frees them. */
bool kept_configurations_read(const struct folder_files *f, uint64_t admitted, struct kept_configurations *out,
                              struct problem *problem);
void kept_configurations_free(struct kept_configurations *c);
bool kept_configurations_write(const struct folder_files *f, const struct kept_configurations *c, struct problem *problem);

/* Makes a configuration durable, unless a later one is, or this one. To be called before it has any effect outside. */
bool kept_configurations_keep(struct kept_configurations *now, const struct folder_files *f,
                              const struct packet *configuration, struct problem *problem);
/* The one before that of `slot` is over, if that is the newest: it is not kept any more. */
bool kept_configurations_settle(struct kept_configurations *now, const struct folder_files *f, uint64_t slot,
                                struct problem *problem);

/* Whether the log says what is governed, as far as this folder knows. */
bool kept_configurations_have_formed(const struct folder_files *f, uint64_t admitted, bool *formed, struct problem *problem);

#endif
