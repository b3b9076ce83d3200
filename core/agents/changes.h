/* Which keys a command may have changed, as far as its state machine's description tells: all that a command names which is
 * not read-only. So it may be more than have changed, and works with any state machine. A part of execution. */
#ifndef SYNOD_CORE_AGENTS_CHANGES_H
#define SYNOD_CORE_AGENTS_CHANGES_H

#include "core/formats/command_name.h"
#include "core/formats/command_table.h"
#include "core/formats/notice.h"

struct key_places {
    uint32_t first, step; /* first 0: it names none, so any key may change */
    int32_t last;
};

struct changes {
    struct name_table names;
    struct key_places places[COMMAND_TABLE_MAX];
    size_t count;
};

void changes_init(struct changes *c, const struct command_info_list *commands);
/* Adds notices of what an executed command may have changed. Returns the work that this was. */
uint64_t changes_tell(const struct changes *c, const struct bytes_list *args, struct notices *notices);

#endif
