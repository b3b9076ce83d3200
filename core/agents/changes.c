#include "core/agents/changes.h"

#include "core/base/memory.h"

enum { READS_ONLY = UINT32_MAX };

/* What the client port asks for WATCH (docs/decisions/0051): its keys do not change by it. */
static bool is_about_watches(const struct bytes *name)
{
    static const char *const names[] = {"watch", "watched"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (name->len == strlen(names[i]) && memcmp(name->ptr, names[i], name->len) == 0)
            return true;
    return false;
}

void changes_init(struct changes *c, const struct command_info_list *commands)
{
    *c = (struct changes){.count = 0};
    for (size_t i = 0; i < commands->len && c->count < COMMAND_TABLE_MAX; i++) {
        const struct command_info *info = &commands->ptr[i];
        const uint64_t name = command_name(info->name.ptr, info->name.len);
        if (name == 0 || name_table_find(&c->names, name) >= 0)
            continue;
        const bool reads_only = info->read_only || is_about_watches(&info->name);
        c->places[c->count] = (struct key_places){reads_only ? READS_ONLY : info->first_key, info->key_step, info->last_key};
        name_table_add(&c->names, name, (uint8_t)c->count++);
    }
}

uint64_t changes_tell(const struct changes *c, const struct bytes_list *args, struct notices *notices)
{
    const int index = name_table_find(&c->names, command_name(args->ptr[0].ptr, args->ptr[0].len));
    const struct key_places none = {0};
    const struct key_places *places = index < 0 ? &none : &c->places[index];
    uint64_t work = 0;
    if (places->first == READS_ONLY)
        return 0;
    if (places->first == 0)
        work += notices_add(notices, &(struct notice){.kind = NOTICE_ALL_CHANGED});
    const size_t end = places->first == 0 ? 0 : command_keys_end(places->last, args->len);
    const size_t step = places->step > 0 ? places->step : 1;
    for (size_t i = places->first; i < end; i += step)
        work += notices_add(notices, &(struct notice){.kind = NOTICE_CHANGED, .channel = args->ptr[i]});
    return work;
}
