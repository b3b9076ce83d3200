/* The outermost layer of a component, and the components in it (the component model's Binary.md). All numbers are unsigned
 * LEB128 of 32 bits:
 *
 *   00 'a' 's' 'm'  0d 00 01 00      magic, version, layer
 *   section*                         id (1 byte), length, so many bytes
 *
 * and of the sections, each of which may come several times and in any order:
 *
 *   4  component a component, whole (a composition has its parts like that)
 *   10 imports   count, import*      import: name, kind
 *   11 exports   count, export*      export: name, sort, index, 00 or (01 and kind)
 *
 *   name   00 or 01, length, so many bytes
 *   sort   00 and a byte more (something of core WebAssembly), or 01 function, 02 value, 03 type, 04 component, 05 instance
 *   kind   00 11 index, 01 index, 02 bound, 03 bound, 04 index, 05 index
 *   bound  00 index, or 01, which a type follows where it is a value's
 *
 * Lists of names with options (a first byte 02) are of a later version, and refused. */
#include "host/component_names.h"

#include <string.h>

enum {
    SECTION_COMPONENT = 4,
    SECTION_IMPORT = 10,
    SECTION_EXPORT = 11,
    SORT_CORE = 0,
    SORT_VALUE = 2,
    SORT_TYPE = 3,
    SORT_INSTANCE = 5
};

/* Once something is not there or not known, it stays so, and all that is read is 0. */
struct reader {
    const uint8_t *at, *end;
    bool bad;
};

static uint8_t read_byte(struct reader *r)
{
    r->bad = r->bad || r->at == r->end;
    return r->bad ? 0 : *r->at++;
}

static uint32_t read_number(struct reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = read_byte(r);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            r->bad = r->bad || value > UINT32_MAX;
            return r->bad ? 0 : (uint32_t)value;
        }
    }
    r->bad = true;
    return 0;
}

/* Takes so many bytes out. */
static struct reader read_part(struct reader *r, uint32_t len)
{
    r->bad = r->bad || len > (size_t)(r->end - r->at);
    struct reader part = {r->at, r->bad ? r->at : r->at + len, r->bad};
    r->at = part.end;
    return part;
}

static void read_name(struct reader *r, char name[COMPONENT_NAME_MAX])
{
    r->bad = read_byte(r) > 1 || r->bad;
    struct reader text = read_part(r, read_number(r));
    size_t len = (size_t)(text.end - text.at);
    len = len < COMPONENT_NAME_MAX ? len : COMPONENT_NAME_MAX - 1;
    for (size_t i = 0; i < len; i++)
        name[i] = text.at[i] >= 0x20 && text.at[i] < 0x7f ? (char)text.at[i] : '?';
    name[len] = '\0';
}

static uint8_t read_sort(struct reader *r)
{
    uint8_t sort = read_byte(r);
    r->bad = r->bad || sort > SORT_INSTANCE;
    if (sort == SORT_CORE)
        read_byte(r);
    return sort;
}

static void skip_kind(struct reader *r)
{
    uint8_t sort = read_sort(r);
    if (sort != SORT_VALUE && sort != SORT_TYPE) {
        read_number(r);
        return;
    }
    uint8_t bound = read_byte(r);
    r->bad = r->bad || bound > 1;
    if (bound == 0 || sort == SORT_VALUE) /* the code of a simple type is a number, too */
        read_number(r);
}

static void skip_export(struct reader *r)
{
    read_sort(r);
    read_number(r);
    uint8_t has_kind = read_byte(r);
    r->bad = r->bad || has_kind > 1;
    if (has_kind == 1)
        skip_kind(r);
}

static bool read_section(struct reader section, enum component_side side, void (*visit)(void *context, const char *name),
                         void *context)
{
    char name[COMPONENT_NAME_MAX];
    for (uint32_t left = read_number(&section); left > 0 && !section.bad; left--) {
        read_name(&section, name);
        if (side == COMPONENT_IMPORTS)
            skip_kind(&section);
        else
            skip_export(&section);
        if (!section.bad)
            visit(context, name);
    }
    return !section.bad && section.at == section.end;
}

/* The reader after the head of a component; `bad` when there is none. */
static struct reader open_component(const uint8_t *bytes, size_t len)
{
    static const uint8_t head[] = {0, 'a', 's', 'm', 0x0d, 0, 1, 0};
    if (len < sizeof head || memcmp(bytes, head, sizeof head) != 0)
        return (struct reader){bytes, bytes, true};
    return (struct reader){bytes + sizeof head, bytes + len, false};
}

void component_parts_read(const uint8_t *bytes, size_t len,
                          bool (*visit)(void *context, const uint8_t *part, size_t part_len), void *context)
{
    struct reader r = open_component(bytes, len);
    while (!r.bad && r.at < r.end) {
        uint8_t id = read_byte(&r);
        struct reader section = read_part(&r, read_number(&r));
        if (!r.bad && id == SECTION_COMPONENT && !visit(context, section.at, (size_t)(section.end - section.at)))
            return;
    }
}

const char *component_names_read(const uint8_t *bytes, size_t len, enum component_side side,
                                 void (*visit)(void *context, const char *name), void *context)
{
    const uint8_t wanted = side == COMPONENT_IMPORTS ? SECTION_IMPORT : SECTION_EXPORT;
    struct reader r = open_component(bytes, len);
    if (r.bad)
        return "not a component of the version that is known";
    while (r.at < r.end) {
        uint8_t id = read_byte(&r);
        struct reader section = read_part(&r, read_number(&r));
        if (r.bad)
            return "a section is longer than the file";
        if (id == wanted && !read_section(section, side, visit, context))
            return side == COMPONENT_IMPORTS ? "its list of imports is damaged, or of a later version"
                                             : "its list of exports is damaged, or of a later version";
    }
    return NULL;
}
