/* What the client port knows about the commands of the state machine: what the node told it in its first turn. Before that,
 * and of commands that the node could not tell, it assumes that the key comes first, and asks the node. */
#include <string.h>

#include "core/formats/command_error.h"
#include "core/formats/command_table.h"
#include "io/client_internal.h"

static void take(struct client_server *s, const struct command_info *info)
{
    uint64_t number = command_name(info->name.ptr, info->name.len);
    if (name_table_find(&s->machine_names, number) >= 0)
        return; /* the node told twice */
    size_t index = s->machine_commands.len++;
    struct command_info *known = &s->machine_infos[index];
    *known = *info;
    known->name.ptr = s->machine_texts[index];
    memcpy(known->name.ptr, info->name.ptr, info->name.len);
    name_table_add(&s->machine_names, number, (uint8_t)index);
}

bool client_server_describe(struct client_server *s, const struct packet *commands)
{
    struct command_table table;
    if (!command_table_decode(commands, &table))
        return false;
    memset(&s->machine_names, 0, sizeof s->machine_names);
    s->machine_commands = (struct command_info_list){s->machine_infos, 0};
    for (size_t i = 0; i < table.count; i++)
        take(s, &table.infos[i]);
    s->machine_is_known = table.complete && table.count > 0;
    return true;
}

struct client_named client_describe(const struct client_server *s, const struct bytes *name)
{
    const uint64_t number = command_name(name->ptr, name->len);
    const int port = name_table_find(&s->port_names, number), index = name_table_find(&s->machine_names, number);
    return (struct client_named){.port = port < 0 ? NULL : &s->port_commands[port],
                                 .index = index < 0 ? COMMAND_TABLE_MAX : (uint32_t)index};
}

const struct client_command *client_command_find(const struct client_command *list, size_t count, const struct bytes *name)
{
    for (size_t i = 0; i < count; i++)
        if (client_is_word(name, list[i].name))
            return &list[i];
    return NULL;
}

bool client_describe_refuses(const struct client_server *s, uint32_t index, const struct bytes *args, size_t argc,
                             struct bytes *error)
{
    if (index == COMMAND_TABLE_MAX) {
        error->len = s->machine_is_known ? command_error_unknown(args, argc, error->ptr) : 0;
        return s->machine_is_known;
    }
    const struct command_info *info = &s->machine_commands.ptr[index];
    if (command_arity_fits(info->arity, argc))
        return false;
    char name[COMMAND_NAME_MAX + 1];
    client_copy_word(&info->name, name, sizeof name);
    error->len = command_error_arity(name, error->ptr);
    return true;
}
