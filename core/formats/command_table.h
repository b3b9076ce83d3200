/* The commands of a state machine (`describe`) as bytes, for the one packet in which a node tells them to its client port. */
#ifndef SYNOD_CORE_FORMATS_COMMAND_TABLE_H
#define SYNOD_CORE_FORMATS_COMMAND_TABLE_H

#include "core/formats/config_frame.h"
#include "core/state/state_machine.h"

/* More commands, and those with longer names, are left out: they are executed, and nothing is known of them before. */
enum { COMMAND_TABLE_MAX = 60 };

/* Packs the commands. `*words` is grown as needed (memory_reserve); the packet points there. */
void command_table_encode(const struct command_info_list *commands, struct words *words, size_t *capacity,
                          struct packet *packet);

struct command_table {
    struct command_info infos[COMMAND_TABLE_MAX];
    size_t count;
};

/* False: not such a packet. Names point into it. */
bool command_table_decode(const struct packet *packet, struct command_table *table);

#endif
