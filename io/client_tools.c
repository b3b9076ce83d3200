/* What tools ask for of which there is nothing here: users, modules, a log of slow commands. They go on when they are told
 * so. And what MEMORY and OBJECT have beside what the state machine knows of a key. */
#include <string.h>

#include "io/client_internal.h"

static void empty(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    (void)args;
    (void)argc;
    resp_array(out, 0);
}

static void zero(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    (void)args;
    (void)argc;
    resp_integer(out, 0);
}

static void done(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    (void)args;
    (void)argc;
    resp_status_text(out, "OK");
}

static void acl_whoami(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    (void)c;
    (void)args;
    (void)argc;
    resp_string(out, "default");
}

static void acl_list(struct client_connection *c, const struct bytes *args, size_t argc, struct resp_buffer *out)
{
    resp_array(out, 1);
    if (client_is_word(&args[1], "list"))
        resp_string(out, "user default on nopass ~* &* +@all");
    else
        acl_whoami(c, args, argc, out);
}

#define HELP_TEXT "Prints this help."
#define HELP      "help", NULL, 2, 0, .flags = "loading stale", .categories = "slow", .usage = "", .summary = HELP_TEXT
#define TOLD      .flags = "noscript loading stale", .categories = "slow"
#define ADMIN     .flags = "admin noscript loading stale", .categories = "admin slow dangerous"
#define OF_A_KEY  NULL, 3, FOR_STATE, .flags = "readonly", .categories = "keyspace read slow", .usage = "<key>"

/* clang-format off */
const struct client_command client_acl_subcommands[ACL_SUBCOMMANDS] = {
    {HELP, .since = "6.0.0"},
    {"list", acl_list, 2, 0, ADMIN, .since = "6.0.0", .usage = "", .summary = "The only user, who may do everything."},
    {"users", acl_list, 2, 0, ADMIN, .since = "6.0.0", .usage = "", .summary = "The name of the only user."},
    {"whoami", acl_whoami, 2, 0, TOLD, .since = "6.0.0", .usage = "", .summary = "The name of the only user."},
};
const struct client_command client_latency_subcommands[LATENCY_SUBCOMMANDS] = {
    {HELP, .since = "2.8.13"},
    {"history", empty, 3, 0, ADMIN, .since = "2.8.13", .usage = "<event>", .summary = "No event is kept."},
    {"latest", empty, 2, 0, ADMIN, .since = "2.8.13", .usage = "", .summary = "No event is kept."},
    {"reset", zero, -2, 0, ADMIN, .since = "2.8.13", .usage = "[<event> ...]", .summary = "No event is kept."},
};
const struct client_command client_memory_subcommands[MEMORY_SUBCOMMANDS] = {
    {HELP, .since = "4.0.0"},
    {"usage", NULL, -3, FOR_STATE, .flags = "readonly", .categories = "read slow", .since = "4.0.0",
     .usage = "<key> [SAMPLES <count>]",
     .summary = "The memory that a key and its value take."},
};
const struct client_command client_module_subcommands[MODULE_SUBCOMMANDS] = {
    {HELP, .since = "5.0.0"},
    {"list", empty, 2, 0, ADMIN, .since = "4.0.0", .usage = "", .summary = "There are no modules."},
};
const struct client_command client_object_subcommands[OBJECT_SUBCOMMANDS] = {
    {"encoding", OF_A_KEY, .since = "2.2.3", .summary = "How Redis would keep the value."},
    {"freq", OF_A_KEY, .since = "4.0.0", .summary = "Refused: how often a key is used is not counted."},
    {HELP, .since = "6.2.0"},
    {"idletime", OF_A_KEY, .since = "2.2.3", .summary = "0: when a key is used is not noted."},
    {"refcount", OF_A_KEY, .since = "2.2.3", .summary = "1: values are not shared."},
};
const struct client_command client_slowlog_subcommands[SLOWLOG_SUBCOMMANDS] = {
    {"get", empty, -2, 0, ADMIN, .since = "2.2.12", .usage = "[<count>]", .summary = "No command is kept."},
    {HELP, .since = "6.2.0"},
    {"len", zero, 2, 0, ADMIN, .since = "2.2.12", .usage = "", .summary = "No command is kept."},
    {"reset", done, 2, 0, ADMIN, .since = "2.2.12", .usage = "", .summary = "No command is kept."},
};
/* clang-format on */
