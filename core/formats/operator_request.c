#include "core/formats/operator_request.h"

#include <string.h>

#include "core/formats/decimal.h"

static bool is_word(const struct bytes *arg, const char *lower)
{
    if (arg->len != strlen(lower))
        return false;
    for (size_t i = 0; i < arg->len; i++) {
        const uint8_t c = arg->ptr[i];
        if ((c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) != (uint8_t)lower[i])
            return false;
    }
    return true;
}

static const char *read_leader_move(const struct bytes_list *args, struct operator_request *request)
{
    int64_t node;
    if (args->len != 3)
        return "ERR SYNOD LEADER MOVE takes the number of a node";
    if (!decimal_read(args->ptr[2].ptr, args->ptr[2].len, &node) || node < 1 || node > NODE_ID_MAX)
        return "ERR the number of a node is between 1 and 63";
    *request = (struct operator_request){.verb = OPERATOR_LEADER_MOVE, .node = (uint32_t)node};
    return NULL;
}

/* ---- Members and settings ---- */

/* A word that is kept as a text. False: it is too long, or has something in it that a line cannot have. */
static bool read_text(const struct bytes *arg, char *out, size_t size)
{
    if (arg->len == 0 || arg->len >= size)
        return false;
    for (size_t i = 0; i < arg->len; i++)
        if (arg->ptr[i] <= ' ' || arg->ptr[i] > '~')
            return false;
    memcpy(out, arg->ptr, arg->len);
    out[arg->len] = '\0';
    return true;
}

static bool read_instance(const struct bytes *arg, uint8_t instance[MEMBER_INSTANCE_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    if (arg->len != (size_t)2 * MEMBER_INSTANCE_SIZE)
        return false;
    for (size_t i = 0; i < arg->len; i++) {
        const char *digit = arg->ptr[i] == 0 ? NULL : strchr(hex, arg->ptr[i]);
        if (digit == NULL)
            return false;
        instance[i / 2] = (uint8_t)(instance[i / 2] << 4 | (digit - hex));
    }
    return true;
}

static const char *read_node(const struct bytes *arg, uint32_t *node)
{
    int64_t number;
    if (!decimal_read(arg->ptr, arg->len, &number) || number < 1 || number > NODE_ID_MAX)
        return "ERR the number of a node is between 1 and 63";
    *node = (uint32_t)number;
    return NULL;
}

/* Takes DISK and its number from the end of a REPLACE, if they are there. */
static const char *read_disk(struct bytes_list *args, struct operator_request *request)
{
    int64_t number;
    if (args->len < 6 || !is_word(&args->ptr[args->len - 2], "disk"))
        return NULL;
    const struct bytes *last = &args->ptr[args->len - 1];
    if (!decimal_read(last->ptr, last->len, &number) || number < 0 || number > UINT32_MAX)
        return "ERR the number of a disk is that in SYNOD MEMBER LIST";
    request->names_disk = true;
    request->disk = (uint32_t)number;
    args->len -= 2;
    return NULL;
}

/* The arguments after the number of the node. */
static const char *read_member(const struct bytes_list *args, struct configuration_request *change)
{
    static const char wrong_address[] = "ERR an address is HOST:PORT; a client address may be \"-\"";
    static const char wrong_instance[] = "ERR an instance id is 32 digits of lower case hexadecimal";
    struct member *m = &change->member;
    const struct bytes *more = args->ptr + 3;
    if (change->verb == CONFIGURATION_REMOVE)
        return args->len == 3 ? NULL : "ERR SYNOD MEMBER REMOVE takes the number of a node";
    if (change->verb == CONFIGURATION_ADD) {
        if (args->len != 7)
            return "ERR SYNOD MEMBER ADD takes a number, an address, a client address, a role and an instance id";
        m->duties = configuration_role((const char *)more[2].ptr, more[2].len);
        if (m->duties == 0)
            return "ERR a role is coordinator, proposer, acceptor or learner";
        if (!read_text(&more[0], m->address, sizeof m->address) || !read_text(&more[1], m->client, sizeof m->client))
            return wrong_address;
        return read_instance(&more[3], m->instance) ? NULL : wrong_instance;
    }
    if (args->len != 4 && args->len != 6)
        return "ERR SYNOD MEMBER REPLACE takes a number, an instance id, perhaps an address and a client address, and "
               "perhaps DISK and a number";
    if (args->len == 6 &&
        (!read_text(&more[1], m->address, sizeof m->address) || !read_text(&more[2], m->client, sizeof m->client)))
        return wrong_address;
    return read_instance(&more[0], m->instance) ? NULL : wrong_instance;
}

/* MEMBER or SETTINGS, without the options at the end. */
static const char *read_change(const struct bytes_list *args, struct operator_request *request)
{
    struct configuration_request *change = &request->change;
    request->verb = OPERATOR_CHANGE;
    if (is_word(&args->ptr[0], "settings")) {
        change->verb = CONFIGURATION_SET;
        if (args->len != 4 || !is_word(&args->ptr[1], "set"))
            return "ERR SYNOD SETTINGS SET takes a key and a value";
        const bool fits = read_text(&args->ptr[2], change->setting.key, sizeof change->setting.key) &&
                          read_text(&args->ptr[3], change->setting.value, sizeof change->setting.value);
        return fits ? NULL : "ERR there is no such setting or value";
    }
    if (is_word(&args->ptr[1], "add"))
        change->verb = CONFIGURATION_ADD;
    else if (is_word(&args->ptr[1], "remove"))
        change->verb = CONFIGURATION_REMOVE;
    else if (is_word(&args->ptr[1], "replace"))
        change->verb = CONFIGURATION_REPLACE;
    else
        return "ERR SYNOD MEMBER knows LIST, ADD, REMOVE and REPLACE";
    if (args->len < 3)
        return "ERR the number of a node is missing";
    struct bytes_list left = *args;
    const char *wrong = read_node(&args->ptr[2], &change->member.node);
    if (wrong == NULL && change->verb == CONFIGURATION_REPLACE)
        wrong = read_disk(&left, request);
    return wrong != NULL ? wrong : read_member(&left, change);
}

/* Takes the options from the end. */
static struct bytes_list without_options(const struct bytes_list *args, struct operator_request *request)
{
    struct bytes_list left = *args;
    for (; left.len > 0; left.len--) {
        const struct bytes *last = &left.ptr[left.len - 1];
        if (is_word(last, "dry-run"))
            request->dry_run = true;
        else if (is_word(last, "force"))
            request->force = true;
        else
            break;
    }
    return left;
}

static const char *read_request(const struct bytes_list *args, struct operator_request *request)
{
    if (args->len == 1 && is_word(&args->ptr[0], "configuration")) {
        request->verb = OPERATOR_CONFIGURATION;
        return NULL;
    }
    if (args->len == 1 && is_word(&args->ptr[0], "held")) {
        request->verb = OPERATOR_HELD;
        return NULL;
    }
    if (args->len == 2 && is_word(&args->ptr[0], "member") && is_word(&args->ptr[1], "list")) {
        request->verb = OPERATOR_MEMBER_LIST;
        return NULL;
    }
    if (args->len >= 2 && is_word(&args->ptr[0], "leader") && is_word(&args->ptr[1], "move"))
        return read_leader_move(args, request);
    const struct bytes_list left = without_options(args, request);
    if (left.len >= 2 && (is_word(&left.ptr[0], "member") || is_word(&left.ptr[0], "settings")))
        return read_change(&left, request);
    return "ERR unknown request: SYNOD knows LEADER MOVE, MEMBER LIST, ADD, REMOVE and REPLACE, SETTINGS SET, and "
           "CONFIGURATION";
}

const char *operator_request_read(const struct payload *value, struct operator_request *request)
{
    struct batch_commands commands = {0};
    const char *wrong = "ERR a request is one command";
    *request = (struct operator_request){0};
    if (batch_commands_read(&commands, value) && commands.count == 1)
        wrong = read_request(&commands.commands[0].args, request);
    batch_commands_free(&commands);
    return wrong;
}
