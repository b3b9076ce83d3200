/* Command names as numbers: finding a command is one probe and no string comparison.
 *
 * A name of at most twelve letters, digits, '-' and '_' becomes the number that they are as digits of base 39, its letters
 * made small; 39^12 < 2^64. Different names give different numbers. Anything else gives 0, which is no name. A name_table
 * maps such numbers to small indices by open addressing over NAME_TABLE_SLOTS places, at most half of them in use. */
#ifndef SYNOD_CORE_FORMATS_COMMAND_NAME_H
#define SYNOD_CORE_FORMATS_COMMAND_NAME_H

#include "core/base/assert.h"
#include "core/formats/command.h"

enum { COMMAND_NAME_MAX = 12, NAME_TABLE_SLOTS = 256, NAME_BASE = 39 };

/* A character as a digit from 1 to 38; 0: it is in no name. */
static inline uint64_t command_name_digit(uint8_t c)
{
    const uint8_t letter = (uint8_t)((c | 0x20) - 'a');
    if (letter < 26)
        return 1 + (uint64_t)letter;
    if (c >= '0' && c <= '9')
        return 27 + (uint64_t)(c - '0');
    return c == '-' ? 37 : c == '_' ? 38 : 0;
}

static inline uint64_t command_name(const uint8_t *text, size_t len)
{
    if (len > COMMAND_NAME_MAX)
        return 0;
    uint64_t name = 0;
    for (size_t i = 0; i < len; i++) {
        const uint64_t digit = command_name_digit(text[i]);
        if (digit == 0)
            return 0;
        name = name * NAME_BASE + digit;
    }
    return name;
}

/* Whether a word is this name, whose letters are small, in letters of any size. Most words differ in length or first
 * letter. */
static inline bool command_name_is(const struct bytes *word, const char *name)
{
    const size_t len = __builtin_strlen(name);
    return word->len == len && (word->ptr[0] | 0x20) == name[0] &&
           command_name(word->ptr, len) == command_name((const uint8_t *)name, len);
}

struct name_table {
    uint64_t names[NAME_TABLE_SLOTS]; /* 0: free */
    uint8_t indices[NAME_TABLE_SLOTS];
    uint32_t count;
};

static inline uint32_t name_table_home(uint64_t name)
{
    return (uint32_t)(name * UINT64_C(0x9E3779B97F4A7C15) >> 56); /* the top log2(NAME_TABLE_SLOTS) bits */
}

/* Adds a valid name that is not in the table yet. */
static inline void name_table_add(struct name_table *t, uint64_t name, uint8_t index)
{
    invariant(name != 0 && t->count < NAME_TABLE_SLOTS / 2);
    uint32_t at = name_table_home(name);
    while (t->names[at] != 0)
        at = (at + 1) % NAME_TABLE_SLOTS;
    t->names[at] = name;
    t->indices[at] = index;
    t->count++;
}

/* The index that was added with `name`; -1 when it was not added. */
static inline int name_table_find(const struct name_table *t, uint64_t name)
{
    for (uint32_t at = name_table_home(name); t->names[at] != 0; at = (at + 1) % NAME_TABLE_SLOTS)
        if (t->names[at] == name)
            return t->indices[at];
    return -1;
}

#endif
