/* The commands of a state machine (`describe`) as bytes: the packet in which a node tells its client port about them. */
#ifndef SYNOD_CORE_FORMATS_COMMAND_TABLE_H
#define SYNOD_CORE_FORMATS_COMMAND_TABLE_H

#include "core/formats/command.h"
#include "core/formats/config_frame.h"

/* Commands beyond this number, and those whose names command_name.h does not take, are left out. They are executed all the
 * same; the client port just does not know them in advance. */
enum { COMMAND_TABLE_MAX = 120 };

/* Packs the commands. `*words` is grown as needed (memory_reserve); the packet points there. */
void command_table_encode(const struct command_info_list *commands, struct words *words, size_t *capacity,
                          struct packet *packet);

struct command_table {
    struct command_info infos[COMMAND_TABLE_MAX];
    size_t count;
    bool complete; /* none was left out */
};

/* False: not such a packet. The names point into the packet. */
bool command_table_decode(const struct packet *packet, struct command_table *table);

#endif
