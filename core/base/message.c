#include "core/base/message.h"

#include "core/base/kept.h"
#include "core/base/memory.h"

struct message message_copy(const struct message *from)
{
    struct message copy = *from;
    copy.entries.ptr = NULL;
    if (from->entries.len > 0) {
        copy.entries.ptr = memory_new(from->entries.len, sizeof(struct entry));
        for (size_t i = 0; i < from->entries.len; i++) {
            copy.entries.ptr[i] = from->entries.ptr[i];
            copy.entries.ptr[i].value = payload_keep(&from->entries.ptr[i].value);
        }
    }
    return copy;
}

void message_free(struct message *m)
{
    for (size_t i = 0; i < m->entries.len; i++)
        payload_release(&m->entries.ptr[i].value);
    free(m->entries.ptr);
    m->entries = (struct entry_list){0};
}
