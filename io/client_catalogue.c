/* COMMAND: what commands there are. Clients find the keys of a command with it, and tools complete one. The state machine
 * tells names, arity and places of keys of its own commands (client_describe.c), the port's table has those of the others.
 * What Redis says beside that is in client_docs.c. */
#include <stdio.h>
#include <string.h>

#include "core/formats/command_error.h"
#include "core/formats/glob.h"
#include "io/client_internal.h"

/* The reply to a name is much longer than the name. */
enum { NAMES_MAX = 1024, PATTERN_STEPS = 64 * 1024, WORDS_SIZE = 128 };

/* ---- All commands in one numbering: the port's, then those of the state machine that the port has not ---- */

/* A command of either kind. */
struct listed {
    const struct client_command *port;      /* NULL: the state machine's */
    const struct client_command *container; /* of a subcommand */
    const struct command_info *machine;
    const struct client_doc *doc; /* of the state machine's; NULL: nothing is known */
};

static struct listed machine_entry(const struct client_server *s, uint32_t index)
{
    const struct command_info *info = &s->machine_commands.ptr[index];
    return (struct listed){.machine = info, .doc = client_docs_find(&info->name)};
}

/* A subcommand, named as "client|list". NULL: it is none. */
static const struct client_command *find_subcommand(const struct client_server *s, const struct bytes *name,
                                                    const struct client_command **container)
{
    const uint8_t *bar = name->len > 0 ? memchr(name->ptr, '|', name->len) : NULL;
    const struct bytes before = {name->ptr, bar != NULL ? (size_t)(bar - name->ptr) : 0};
    const struct bytes after = {name->ptr + before.len + 1, bar != NULL ? name->len - before.len - 1 : 0};
    *container = bar != NULL ? client_describe(s, &before).port : NULL;
    return *container != NULL ? client_command_find((*container)->subcommands, (*container)->subcommand_count, &after)
                              : NULL;
}

/* False: there is no such command. */
static bool find(const struct client_server *s, const struct bytes *name, struct listed *e)
{
    const struct client_named named = client_describe(s, name);
    *e = (struct listed){.port = named.port};
    if (e->port == NULL)
        e->port = find_subcommand(s, name, &e->container);
    if (e->port != NULL)
        return true;
    if (named.index == COMMAND_TABLE_MAX)
        return false;
    *e = machine_entry(s, named.index);
    return true;
}

/* The next command from `*at` on, which is moved after it. False: there is none. */
static bool next(const struct client_server *s, size_t *at, struct listed *e)
{
    if (*at < s->port_command_count) {
        *e = (struct listed){.port = &s->port_commands[(*at)++]};
        return true;
    }
    while (*at - s->port_command_count < s->machine_commands.len) {
        *e = machine_entry(s, (uint32_t)(*at - s->port_command_count));
        (*at)++;
        if (client_describe(s, &e->machine->name).port == NULL)
            return true;
    }
    return false;
}

static size_t count_all(const struct client_server *s)
{
    struct listed e;
    size_t count = 0;
    for (size_t at = 0; next(s, &at, &e);)
        count++;
    return count;
}

/* ---- One command ---- */

/* Words with blanks between as a set of statuses, each after `prefix`; of strings if that is NULL. */
static void words(struct resp_buffer *out, int version, const char *prefix, const char *list)
{
    size_t count = list[0] != '\0';
    for (const char *c = list; *c != '\0'; c++)
        count += *c == ' ';
    resp_set(out, version, count);
    for (const char *c = list; count > 0; count--) {
        const size_t len = strcspn(c, " ");
        if (prefix != NULL)
            client_print(out, "+%s%.*s\r\n", prefix, (int)len, c);
        else
            resp_bytes(out, c, len);
        c += len + (c[len] != '\0');
    }
}

/* The name in full, as "client|list" for a subcommand. */
static void full_name(struct resp_buffer *out, const struct client_command *container, const char *name)
{
    char text[64];
    snprintf(text, sizeof text, "%s%s%s", container != NULL ? container->name : "", container != NULL ? "|" : "", name);
    resp_string(out, text);
}

static void spec(struct resp_buffer *out, int version, const char *flags, uint32_t first, int32_t last, uint32_t step)
{
    resp_map(out, version, 3);
    resp_string(out, "flags");
    words(out, version, "", flags);
    resp_string(out, "begin_search");
    resp_map(out, version, 2);
    resp_string(out, "type");
    resp_string(out, "index");
    resp_string(out, "spec");
    resp_map(out, version, 1);
    resp_string(out, "index");
    resp_integer(out, first);
    resp_string(out, "find_keys");
    resp_map(out, version, 2);
    resp_string(out, "type");
    resp_string(out, "range");
    resp_string(out, "spec");
    resp_map(out, version, 3);
    resp_string(out, "lastkey");
    resp_integer(out, last);
    resp_string(out, "keystep");
    resp_integer(out, step);
    resp_string(out, "limit");
    resp_integer(out, 0);
}

/* Copies the next of the lists of flags, cut at `size`, and moves `*list` after it. */
static void take_flags(const char **list, char *out, size_t size)
{
    const size_t len = strcspn(*list, ";");
    snprintf(out, size, "%.*s", (int)len, *list);
    *list += len + ((*list)[len] != '\0');
}

/* The specifications of a command's keys: the last one is about all keys that the others are not about. */
static void specs(const struct listed *e, struct resp_buffer *out, int version)
{
    const struct command_info *info = e->machine;
    const char *list = e->doc != NULL ? e->doc->key_flags : "";
    size_t count = list[0] != '\0' && info->first_key > 0 ? 1 : 0;
    for (const char *c = list; count > 0 && *c != '\0'; c++)
        count += *c == ';';
    resp_set(out, version, count);
    for (uint32_t first = info->first_key; count > 0; count--, first++) {
        char flags[WORDS_SIZE];
        take_flags(&list, flags, sizeof flags);
        const int32_t last = count > 1 ? 0 : info->last_key < 0 ? info->last_key : info->last_key - (int32_t)first;
        spec(out, version, flags, first, last, info->key_step);
    }
}

static void port_entry(const struct client_command *p, const struct client_command *container, struct resp_buffer *out,
                       int version)
{
    resp_array(out, 10);
    full_name(out, container, p->name);
    resp_integer(out, p->arity);
    words(out, version, "", p->flags);
    for (int place = 0; place < 3; place++) /* of keys */
        resp_integer(out, (p->may & FOR_STATE) != 0 ? place == 0 ? 2 : place == 1 ? 2 : 1 : 0);
    words(out, version, "@", p->categories);
    resp_set(out, version, 0);
    resp_set(out, version, 0);
}

static void print_entry(const struct listed *e, struct resp_buffer *out, int version)
{
    const struct command_info *info = e->machine;
    if (e->port != NULL) {
        port_entry(e->port, e->container, out, version);
        if (e->port->subcommand_count == 0) {
            resp_set(out, version, 0);
            return;
        }
        resp_array(out, e->port->subcommand_count);
        for (size_t i = 0; i < e->port->subcommand_count; i++) {
            port_entry(&e->port->subcommands[i], e->port, out, version);
            resp_set(out, version, 0);
        }
        return;
    }
    resp_array(out, 10);
    resp_bytes(out, info->name.ptr, info->name.len);
    resp_integer(out, info->arity);
    words(out, version, "", e->doc != NULL ? e->doc->flags : info->read_only ? "readonly" : "write");
    resp_integer(out, info->first_key);
    resp_integer(out, info->last_key);
    resp_integer(out, info->key_step);
    words(out, version, "@", e->doc != NULL ? e->doc->categories : info->read_only ? "read" : "write");
    words(out, version, NULL, e->doc != NULL ? e->doc->tips : "");
    specs(e, out, version);
    resp_set(out, version, 0);
}

/* ---- DOCS ---- */

static void pair(struct resp_buffer *out, const char *name, const char *value)
{
    resp_string(out, name);
    resp_string(out, value);
}

static void port_docs(const struct client_command *p, const struct client_command *container, struct resp_buffer *out,
                      int version)
{
    full_name(out, container, p->name);
    resp_map(out, version, p->subcommand_count > 0 ? 4 : 3);
    pair(out, "summary", p->summary);
    pair(out, "since", p->since);
    pair(out, "group", strstr(p->categories, "connection") != NULL ? "connection" : "server");
    if (p->subcommand_count == 0)
        return;
    resp_string(out, "subcommands");
    resp_map(out, version, p->subcommand_count);
    for (size_t i = 0; i < p->subcommand_count; i++)
        port_docs(&p->subcommands[i], p, out, version);
}

static void print_docs(const struct listed *e, struct resp_buffer *out, int version)
{
    if (e->port != NULL) {
        port_docs(e->port, e->container, out, version);
        return;
    }
    resp_bytes(out, e->machine->name.ptr, e->machine->name.len);
    const bool has_arguments = e->doc != NULL && e->doc->arguments[0] != '\0';
    resp_map(out, version, has_arguments ? 4 : 3);
    pair(out, "summary", e->doc != NULL ? e->doc->summary : "Executed by the state machine.");
    pair(out, "since", e->doc != NULL ? e->doc->since : "");
    pair(out, "group", e->doc != NULL ? e->doc->group : "generic");
    if (has_arguments) {
        resp_string(out, "arguments");
        client_arguments_write(e->doc->arguments, version, out);
    }
}

/* ---- Subcommands ---- */

static bool too_many(size_t names, struct resp_buffer *out)
{
    if (names > NAMES_MAX)
        resp_error_text(out, "ERR too many command names");
    return names > NAMES_MAX;
}

void client_catalogue(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct listed e;
    (void)args;
    (void)argc;
    resp_array(out, count_all(c->server));
    for (size_t at = 0; next(c->server, &at, &e);)
        print_entry(&e, out, c->version);
}

static void command_count(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)args;
    (void)argc;
    resp_integer(out, (int64_t)count_all(c->server));
}

static void command_info(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct listed e;
    if (argc == 2) {
        client_catalogue(c, args, argc, out);
        return;
    }
    if (too_many(argc - 2, out))
        return;
    resp_array(out, argc - 2);
    for (size_t i = 2; i < argc; i++) {
        if (find(c->server, &args[i], &e))
            print_entry(&e, out, c->version);
        else
            resp_nil(out, c->version);
    }
}

static void command_docs(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    const struct client_server *s = c->server;
    struct listed e;
    size_t found = 0;
    if (too_many(argc - 2, out))
        return;
    for (size_t i = 2; i < argc; i++)
        found += find(s, &args[i], &e) ? 1 : 0;
    resp_map(out, c->version, argc == 2 ? count_all(s) : found);
    for (size_t at = 0; argc == 2 && next(s, &at, &e);)
        print_docs(&e, out, c->version);
    for (size_t i = 2; i < argc; i++)
        if (find(s, &args[i], &e))
            print_docs(&e, out, c->version);
}

/* What LIST looks for. */
struct filter {
    const struct bytes *category, *pattern; /* NULL: any */
    bool none;
    uint64_t steps;
};

static bool has_word(const char *list, const struct bytes *word)
{
    for (const char *c = list; *c != '\0';) {
        const size_t len = strcspn(c, " ");
        if (len == word->len && memcmp(c, word->ptr, len) == 0)
            return true;
        c += len + (c[len] != '\0');
    }
    return false;
}

static bool is_listed(struct filter *f, const struct bytes *name, const char *categories)
{
    if (f->none || (f->category != NULL && !has_word(categories, f->category)))
        return false;
    return f->pattern == NULL ||
           glob_match(f->pattern->ptr, f->pattern->len, name->ptr, name->len, &f->steps) == GLOB_MATCHES;
}

static void list_name(struct filter *f, const struct bytes *name, const char *categories, size_t *count,
                      struct resp_buffer *out)
{
    if (!is_listed(f, name, categories))
        return;
    resp_bytes(out, name->ptr, name->len);
    (*count)++;
}

/* A command, and its subcommands. */
static void list_entry(struct filter *f, const struct listed *e, size_t *count, struct resp_buffer *out)
{
    const struct client_command *p = e->port;
    char text[64];
    if (p == NULL) {
        list_name(f, &e->machine->name, e->doc != NULL ? e->doc->categories : "", count, out);
        return;
    }
    struct bytes name = {(uint8_t *)text, (size_t)snprintf(text, sizeof text, "%s", p->name)};
    list_name(f, &name, p->categories, count, out);
    for (size_t i = 0; i < p->subcommand_count; i++) {
        name.len = (size_t)snprintf(text, sizeof text, "%s|%s", p->name, p->subcommands[i].name);
        list_name(f, &name, p->subcommands[i].categories, count, out);
    }
}

static void command_list(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    struct filter f = {.steps = PATTERN_STEPS};
    struct resp_buffer names = {0};
    struct listed e;
    size_t count = 0;
    bool valid = argc == 2 || (argc == 5 && client_is_word(&args[2], "filterby"));
    if (valid && argc == 5) {
        f.none = client_is_word(&args[3], "module");
        f.category = client_is_word(&args[3], "aclcat") ? &args[4] : NULL;
        f.pattern = client_is_word(&args[3], "pattern") ? &args[4] : NULL;
        valid = f.none || f.category != NULL || f.pattern != NULL;
    }
    if (!valid) {
        resp_error_text(out, "ERR syntax error");
        return;
    }
    for (size_t at = 0; next(c->server, &at, &e);)
        list_entry(&f, &e, &count, &names);
    c->server->spent += PATTERN_STEPS - f.steps;
    resp_array(out, count);
    resp_raw(out, names.data, names.len);
    resp_buffer_close(&names);
}

/* ---- Keys ---- */

/* Whether one of the arguments is this word. */
static bool has_argument(const struct bytes *args, size_t argc, const char *word)
{
    for (size_t i = 0; i < argc; i++)
        if (client_is_word(&args[i], word))
            return true;
    return false;
}

/* The flags of key number `index` of a command. Those of SET depend on its options. */
static void key_flags(const struct listed *e, const struct bytes *args, size_t argc, size_t index, char *out, size_t size)
{
    const char *list = e->doc != NULL ? e->doc->key_flags : "";
    if (client_is_word(&args[0], "set"))
        list = has_argument(args + 3, argc - 3, "get") ? "RW access update" : "OW update";
    do {
        take_flags(&list, out, size);
    } while (index-- > 0 && *list != '\0');
}

static void keys(struct client_connection *c, const struct bytes *args, size_t argc, bool flags, struct resp_buffer *out)
{
    const struct client_named named = client_describe(c->server, &args[0]);
    if (named.index == COMMAND_TABLE_MAX) {
        resp_error_text(out, named.port != NULL ? "ERR The command has no key arguments" : "ERR Invalid command specified");
        return;
    }
    const struct listed e = machine_entry(c->server, named.index);
    const struct command_info *info = e.machine;
    if (info->first_key == 0) {
        resp_error_text(out, "ERR The command has no key arguments");
        return;
    }
    if (!command_arity_fits(info->arity, argc)) {
        resp_error_text(out, "ERR Invalid number of arguments specified for command");
        return;
    }
    const size_t end = command_keys_end(info->last_key, argc), step = info->key_step > 0 ? info->key_step : 1;
    const size_t count = end <= info->first_key ? 0 : (end - 1 - info->first_key) / step + 1;
    resp_array(out, count);
    for (size_t i = 0; i < count; i++) {
        const struct bytes *key = &args[info->first_key + i * step];
        char words_of_key[WORDS_SIZE];
        if (flags)
            resp_array(out, 2);
        resp_bytes(out, key->ptr, key->len);
        key_flags(&e, args, argc, i, words_of_key, sizeof words_of_key);
        if (flags)
            words(out, c->version, "", words_of_key);
    }
}

static void command_getkeys(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    keys(c, args + 2, argc - 2, false, out);
}

static void command_getkeysandflags(struct client_connection *c, const struct bytes *args, size_t argc,
                                    struct resp_buffer *out)
{
    keys(c, args + 2, argc - 2, true, out);
}

#define TOLD .flags = "loading stale", .categories = "slow connection"
/* clang-format off */
const struct client_command client_catalogue_subcommands[COMMAND_SUBCOMMANDS] = {
    {"count", command_count, 2, FOR_OPERATORS, TOLD, .since = "2.8.13", .usage = "",
     .summary = "How many commands there are."},
    {"docs", command_docs, -2, FOR_OPERATORS, TOLD, .since = "7.0.0", .usage = "[<command> ...]",
     .summary = "What commands do."},
    {"getkeys", command_getkeys, -4, FOR_OPERATORS, TOLD, .since = "2.8.13", .usage = "<command> [<argument> ...]",
     .summary = "The keys of a command."},
    {"getkeysandflags", command_getkeysandflags, -4, FOR_OPERATORS, TOLD, .since = "7.0.0",
     .usage = "<command> [<argument> ...]",
     .summary = "The keys of a command, and what is done with them."},
    {"help", NULL, 2, FOR_OPERATORS, TOLD, .since = "5.0.0", .usage = "", .summary = "Prints this help."},
    {"info", command_info, -2, FOR_OPERATORS, TOLD, .since = "2.8.13", .usage = "[<command> ...]",
     .summary = "Arity, flags and keys of commands."},
    {"list", command_list, -2, FOR_OPERATORS, TOLD, .since = "7.0.0",
     .usage = "[FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
     .summary = "The names of commands."},
};
/* clang-format on */
