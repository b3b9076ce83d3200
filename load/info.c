#include "load/info.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum field_kind { FIELD_U32, FIELD_U64, FIELD_TEXT, FIELD_BALLOT };

/* Every line that is read, once. */
static const struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;
    size_t size; /* FIELD_TEXT */
} fields[] = {
    {"node", FIELD_U32, offsetof(struct node_info, node), 0},
    {"role", FIELD_TEXT, offsetof(struct node_info, role), sizeof((struct node_info *)0)->role},
    {"incarnation", FIELD_U32, offsetof(struct node_info, incarnation), 0},
    {"leader", FIELD_U32, offsetof(struct node_info, leader), 0},
    {"ballot", FIELD_BALLOT, offsetof(struct node_info, ballot), 0},
    {"proposer_state", FIELD_TEXT, offsetof(struct node_info, proposer_state),
     sizeof((struct node_info *)0)->proposer_state},
    {"chosen", FIELD_U64, offsetof(struct node_info, chosen), 0},
    {"executed", FIELD_U64, offsetof(struct node_info, executed), 0},
    {"held", FIELD_U64, offsetof(struct node_info, held), 0},
    {"state_hash", FIELD_TEXT, offsetof(struct node_info, state_hash), sizeof((struct node_info *)0)->state_hash},
    {"commands_executed", FIELD_U64, offsetof(struct node_info, commands_executed), 0},
    {"leader_changes", FIELD_U64, offsetof(struct node_info, leader_changes), 0},
    {"restarts", FIELD_U64, offsetof(struct node_info, restarts), 0},
    {"last_restart_us", FIELD_U64, offsetof(struct node_info, last_restart_us), 0},
    {"spare", FIELD_U32, offsetof(struct node_info, spare), 0},
    {"turns", FIELD_U64, offsetof(struct node_info, turns), 0},
    {"turn_us_total", FIELD_U64, offsetof(struct node_info, turn_us_total), 0},
    {"journal_syncs", FIELD_U64, offsetof(struct node_info, journal_syncs), 0},
    {"journal_sync_us_total", FIELD_U64, offsetof(struct node_info, journal_sync_us_total), 0},
    {"journal_wait_us_total", FIELD_U64, offsetof(struct node_info, journal_wait_us_total), 0},
    {"journal_told_us_total", FIELD_U64, offsetof(struct node_info, journal_told_us_total), 0},
};

/* Reads a decimal number of at most `max` at *text, and moves after it. */
static bool parse_number(const char **text, uint64_t max, uint64_t *value)
{
    char *end;
    if (**text < '0' || **text > '9')
        return false;
    errno = 0;
    unsigned long long number = strtoull(*text, &end, 10);
    if (errno != 0 || number > max)
        return false;
    *text = end;
    *value = number;
    return true;
}

/* round.node.incarnation */
static bool parse_ballot(const char *text, struct ballot *ballot)
{
    uint64_t round, node, incarnation;
    if (!parse_number(&text, UINT64_MAX, &round) || *text++ != '.' || !parse_number(&text, UINT32_MAX, &node) ||
        *text++ != '.' || !parse_number(&text, UINT32_MAX, &incarnation) || *text != '\0')
        return false;
    *ballot = (struct ballot){round, (uint32_t)node, (uint32_t)incarnation};
    return true;
}

static bool parse_value(const struct field *field, const char *value, struct node_info *out)
{
    char *place = (char *)out + field->offset;
    uint64_t number;
    switch (field->kind) {
    case FIELD_TEXT:
        if (strlen(value) >= field->size)
            return false;
        memcpy(place, value, strlen(value) + 1);
        return true;
    case FIELD_BALLOT: {
        struct ballot ballot;
        if (!parse_ballot(value, &ballot))
            return false;
        memcpy(place, &ballot, sizeof ballot);
        return true;
    }
    case FIELD_U32: {
        if (!parse_number(&value, UINT32_MAX, &number) || *value != '\0')
            return false;
        uint32_t narrow = (uint32_t)number;
        memcpy(place, &narrow, sizeof narrow);
        return true;
    }
    case FIELD_U64:
        if (!parse_number(&value, UINT64_MAX, &number) || *value != '\0')
            return false;
        memcpy(place, &number, sizeof number);
        return true;
    }
    return false;
}

/* One line without its end. False: it is one of ours with a bad value. */
static bool parse_line(const char *line, struct node_info *out, bool *seen_node)
{
    static const char prefix[] = "synod_";
    if (strncmp(line, prefix, sizeof prefix - 1) != 0)
        return true;
    line += sizeof prefix - 1;
    const char *colon = strchr(line, ':');
    if (colon == NULL)
        return true;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        size_t len = strlen(fields[i].name);
        if (len == (size_t)(colon - line) && memcmp(line, fields[i].name, len) == 0) {
            *seen_node |= i == 0;
            return parse_value(&fields[i], colon + 1, out);
        }
    }
    return true;
}

bool info_parse(const char *text, size_t len, struct node_info *out, char *error, size_t error_size)
{
    char line[512];
    bool seen_node = false;
    memset(out, 0, sizeof *out);
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t size = end == NULL ? len - at : (size_t)(end - (text + at));
        size_t next = at + size + 1;
        if (size > 0 && text[at + size - 1] == '\r')
            size--;
        if (size < sizeof line) { /* ours are short */
            memcpy(line, text + at, size);
            line[size] = '\0';
            if (!parse_line(line, out, &seen_node)) {
                snprintf(error, error_size, "INFO has a bad line: %.80s", line);
                return false;
            }
        }
        at = next;
    }
    if (!seen_node)
        snprintf(error, error_size, "INFO has no synod_node line: not a node of Synod");
    return seen_node;
}

bool info_fetch(const char *host, uint16_t port, int timeout_ms, struct node_info *out, char *error, size_t error_size)
{
    struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    redisContext *connection = redisConnectWithTimeout(host, port, timeout);
    redisReply *reply = NULL;
    char reason[256];
    bool ok = false;
    if (connection == NULL) {
        snprintf(error, error_size, "%s port %u: out of memory", host, (unsigned)port);
        return false;
    }
    if (connection->err == 0)
        redisSetTimeout(connection, timeout);
    if (connection->err == 0)
        reply = redisCommand(connection, "INFO");
    if (reply == NULL)
        snprintf(error, error_size, "%s port %u: %s", host, (unsigned)port,
                 connection->err == REDIS_ERR_IO && errno == EAGAIN ? "no answer in time" : connection->errstr);
    else if (reply->type != REDIS_REPLY_STRING)
        snprintf(error, error_size, "%s port %u: INFO was answered with %.200s", host, (unsigned)port,
                 reply->type == REDIS_REPLY_ERROR ? reply->str : "something else than a text");
    else if (!info_parse(reply->str, reply->len, out, reason, sizeof reason))
        snprintf(error, error_size, "%s port %u: %s", host, (unsigned)port, reason);
    else
        ok = true;
    freeReplyObject(reply);
    redisFree(connection);
    return ok;
}
