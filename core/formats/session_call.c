#include "core/formats/session_call.h"

#include "core/formats/decimal.h"

static bool is_number(const struct bytes *arg, uint64_t max, uint64_t *number)
{
    return decimal_read_unsigned(arg->ptr, arg->len, number) && *number >= 1 && *number <= max;
}

static struct session_call malformed(const char *error)
{
    return (struct session_call){.kind = SESSION_MALFORMED, .error = error};
}

static struct session_call read_open(const struct bytes_list *args)
{
    uint64_t window = SESSION_WINDOW_STANDARD;
    if (args->len > 3)
        return malformed("ERR wrong number of arguments for 'session|open' command");
    if (args->len == 3 && !is_number(&args->ptr[2], SESSION_WINDOW_MAX, &window))
        return malformed("ERR the window of a session is a number from 1 to 1024");
    return (struct session_call){.kind = SESSION_OPEN, .window = (uint32_t)window};
}

static struct session_call read_close(const struct bytes_list *args)
{
    struct session_call call = {.kind = SESSION_CLOSE};
    if (args->len != 3)
        return malformed("ERR wrong number of arguments for 'session|close' command");
    return is_number(&args->ptr[2], SESSION_ID_MAX, &call.id) ? call : malformed("ERR a session's id is a number");
}

struct session_call session_call_read(const struct bytes_list *args)
{
    struct session_call call = {.kind = SESSION_CALL};
    if (!session_call_is(args))
        return (struct session_call){.kind = SESSION_NONE};
    if (args->len < 2)
        return malformed("ERR wrong number of arguments for 'session' command");
    if (command_name_is(&args->ptr[1], "open"))
        return read_open(args);
    if (command_name_is(&args->ptr[1], "close"))
        return read_close(args);
    if (!is_number(&args->ptr[1], SESSION_ID_MAX, &call.id))
        return malformed("ERR SESSION wants OPEN, CLOSE, or the id of a session");
    if (args->len <= SESSION_CALL_ARGS)
        return malformed("ERR SESSION wants an id, a number, and a command");
    if (!is_number(&args->ptr[2], UINT64_MAX, &call.number))
        return malformed("ERR the number of a session's command is one from 1 on");
    if (command_name_is(&args->ptr[SESSION_CALL_ARGS], "session"))
        return malformed("ERR a session's command cannot be about a session");
    return call;
}
