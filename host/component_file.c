/* The binary format of components (github.com/WebAssembly/component-model, Binary.md), as far as it is looked at here:
 *
 *   component := magic: "\0asm" 0d 00 01 00, section*
 *   section   := id: u8, size: u32, bytes          id 4: a component; 10: imports; 11: exports
 *   imports   := count: u32, (name, description)*
 *   exports   := count: u32, (name, sort and index, 0 | 1 description)*
 *   name      := form: 0 | 1, len: u32, text
 *   description := 0 0x11 index                     a core module
 *                | 1 index | 4 index | 5 index      a function, a component, an instance
 *                | 2 (0 index | 1 type)             a value
 *                | 3 (0 index | 1)                  a type
 *   sort      := 0 kind | 1 .. 5
 *
 * Numbers are in LEB128. A composition (wac, with its parts defined inside) has each part whole in a section 4, and parts may be
 * compositions, too. */
#include "host/component_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/cursor.h"
#include "core/base/memory.h"

enum { SECTION_COMPONENT = 4, SECTION_IMPORTS = 10, SECTION_EXPORTS = 11, HEADER_SIZE = 8, DEPTH_MAX = 16 };

static const char machine_interface[] = "synod:paxos/state-machine@";

/* What a state machine may import: names of types; in tests, orders to break (wit/faults.wit), which come with `debug_commands` alone. */
static const char *const may_import[] = {"synod:paxos/types@", "synod:paxos/faults@"};

/* Stands for imports in a newer format. */
static const char unread[] = "something that this version cannot read";

struct name {
    const uint8_t *text;
    size_t len;
};

static bool begins_with(const struct name *name, const char *text)
{
    return name->len >= strlen(text) && memcmp(name->text, text, strlen(text)) == 0;
}

/* A number of up to 35 bits, signed or not: what is not needed of it does not matter. */
static uint32_t read_number(struct read_cursor *c)
{
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = cursor_read_u8(c);
        value |= shift < 32 ? (uint32_t)(byte & 0x7f) << shift : 0;
        if (byte < 0x80)
            return value;
    }
    cursor_fail(c);
    return 0;
}

static struct name read_name(struct read_cursor *c)
{
    if (cursor_read_u8(c) > 1)
        cursor_fail(c);
    struct name name = {.len = read_number(c)};
    name.text = cursor_take(c, name.len);
    name.len = name.text != NULL ? name.len : 0;
    return name;
}

static void skip_description(struct read_cursor *c)
{
    uint8_t kind = cursor_read_u8(c);
    if (kind == 0)
        cursor_read_u8(c);
    else if (kind == 2)
        cursor_read_u8(c);
    else if (kind == 3 && cursor_read_u8(c) != 0)
        return;
    else if (kind > 5)
        cursor_fail(c);
    read_number(c);
}

/* True when one of the exports is the state machine's interface. */
static bool exports_machine(struct read_cursor c)
{
    bool found = false;
    for (uint32_t left = read_number(&c); left > 0 && !c.failed; left--) {
        struct name name = read_name(&c);
        found = found || begins_with(&name, machine_interface);
        if (cursor_read_u8(&c) == 0)
            cursor_read_u8(&c);
        read_number(&c);
        if (cursor_read_u8(&c) != 0)
            skip_description(&c);
    }
    return found;
}

/* The first import that a state machine may not have; its `text` is NULL when there is none. */
static struct name first_import(struct read_cursor c)
{
    for (uint32_t left = read_number(&c); left > 0; left--) {
        struct name name = read_name(&c);
        skip_description(&c);
        if (c.failed)
            return (struct name){(const uint8_t *)unread, sizeof unread - 1};
        if (!begins_with(&name, may_import[0]) && !begins_with(&name, may_import[1]))
            return name;
    }
    return (struct name){NULL, 0};
}

static bool check(const char *file, const uint8_t *bytes, size_t len, unsigned depth, struct problem *problem)
{
    struct read_cursor c = cursor_over(bytes, len);
    struct name import = {NULL, 0};
    bool is_machine = false;
    cursor_take(&c, HEADER_SIZE);
    while (cursor_left(&c) > 0 && !c.failed) {
        uint8_t id = cursor_read_u8(&c);
        uint32_t size = read_number(&c);
        const uint8_t *section = cursor_take(&c, size);
        if (section == NULL)
            break;
        if (id == SECTION_COMPONENT && depth < DEPTH_MAX && !check(file, section, size, depth + 1, problem))
            return false;
        if (id == SECTION_IMPORTS && import.text == NULL)
            import = first_import(cursor_over(section, size));
        is_machine = is_machine || (id == SECTION_EXPORTS && exports_machine(cursor_over(section, size)));
    }
    if (!is_machine || import.text == NULL)
        return true;
    return problem_set(
        problem, EXIT_BAD_INPUT,
        "%s: its state machine imports %.*s; a state machine gets nothing from outside, since all nodes must come to "
        "the same state",
        file, (int)(import.len < 200 ? import.len : 200), (const char *)import.text);
}

bool component_bytes_check(const char *file, const uint8_t *bytes, size_t len, struct problem *problem)
{
    return check(file, bytes, len, 0, problem);
}

bool component_file_check(const char *file, struct problem *problem)
{
    struct stat status;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        problem_set(problem, EXIT_BAD_INPUT, "component %s: %s", file, fd < 0 ? strerror(errno) : "not a file");
        if (fd >= 0)
            close(fd);
        return false;
    }
    size_t len = (size_t)status.st_size;
    uint8_t *bytes = memory_new(len + 1, 1);
    ssize_t got = read(fd, bytes, len);
    close(fd);
    bool sound = got < 0 ? problem_set(problem, EXIT_BAD_INPUT, "component %s: %s", file, strerror(errno))
                         : component_bytes_check(file, bytes, (size_t)got, problem);
    free(bytes);
    return sound;
}
