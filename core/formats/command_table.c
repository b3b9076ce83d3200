/* version: u32, count: u32, commands of the machine: u32, zero: u32, then for each of `count` commands
 *   arity: u32, flags: u32 (1: read-only), first key: u32, last key: u32, step: u32, len: u32, the name's bytes, zeros up to
 *   a multiple of 8
 * Signed numbers as they lie in memory. */
#include "core/formats/command_table.h"

#include "core/base/cursor.h"
#include "core/base/memory.h"
#include "core/formats/command_name.h"

enum { VERSION = 2, HEADER_SIZE = 16, FIELDS_SIZE = 24, NAME_ROOM = (COMMAND_NAME_MAX + 7) / 8 * 8 };

static bool is_told(const struct bytes *name) { return command_name(name->ptr, name->len) != 0; }

static void write_command(struct write_cursor *c, const struct command_info *info)
{
    cursor_write_u32(c, (uint32_t)info->arity);
    cursor_write_u32(c, info->read_only);
    cursor_write_u32(c, info->first_key);
    cursor_write_u32(c, (uint32_t)info->last_key);
    cursor_write_u32(c, info->key_step);
    cursor_write_u32(c, (uint32_t)info->name.len);
    cursor_write_bytes(c, info->name.ptr, info->name.len);
    cursor_write_padding(c, 8);
}

void command_table_encode(const struct command_info_list *commands, struct words *words, size_t *capacity,
                          struct packet *packet)
{
    size_t room = (HEADER_SIZE + COMMAND_TABLE_MAX * (FIELDS_SIZE + NAME_ROOM)) / 8;
    uint32_t count = 0;
    for (size_t i = 0; i < commands->len && count < COMMAND_TABLE_MAX; i++)
        count += is_told(&commands->ptr[i].name);
    words->ptr = memory_reserve(words->ptr, capacity, room, sizeof *words->ptr);
    struct write_cursor c = cursor_into(words->ptr, room * 8);
    cursor_write_u32(&c, VERSION);
    cursor_write_u32(&c, count);
    cursor_write_u32(&c, (uint32_t)commands->len);
    cursor_write_u32(&c, 0);
    for (size_t i = 0; i < commands->len && count > 0; i++)
        if (is_told(&commands->ptr[i].name)) {
            write_command(&c, &commands->ptr[i]);
            count--;
        }
    words->len = c.at / 8;
    *packet = (struct packet){.kind = STATUS_COMMANDS, .len = (uint32_t)c.at, .words = *words};
}

static void read_command(struct read_cursor *c, struct command_info *info)
{
    info->arity = (int32_t)cursor_read_u32(c);
    uint32_t flags = cursor_read_u32(c);
    info->read_only = flags == 1;
    info->first_key = cursor_read_u32(c);
    info->last_key = (int32_t)cursor_read_u32(c);
    info->key_step = cursor_read_u32(c);
    info->name.len = cursor_read_u32(c);
    info->name.ptr = (uint8_t *)(uintptr_t)cursor_take(c, info->name.len);
    cursor_read_padding(c, 8);
    if (flags > 1 || info->name.ptr == NULL || !is_told(&info->name))
        cursor_fail(c);
}

bool command_table_decode(const struct packet *packet, struct command_table *table)
{
    struct read_cursor c = cursor_over_words(packet->words, packet->len);
    uint32_t version = cursor_read_u32(&c), count = cursor_read_u32(&c);
    const uint32_t all = cursor_read_u32(&c), zero = cursor_read_u32(&c);
    table->count = 0;
    table->complete = count == all;
    if (packet->kind != STATUS_COMMANDS || version != VERSION || count > COMMAND_TABLE_MAX || count > all || zero != 0)
        return false;
    while (table->count < count && !c.failed)
        read_command(&c, &table->infos[table->count++]);
    return cursor_finished(&c);
}
