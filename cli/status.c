/* Asks every node of a cluster for its state: INFO on its client port, all nodes at once. */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/verbs.h"
#include "core/base/memory.h"
#include "host/config.h"
#include "host/options.h"

enum { VALUE_MAX = 96 };

/* The lines `synod_<name>:<value>` of INFO, in the order of the table's columns. */
enum field {
    FIELD_NODE,
    FIELD_STATE,
    FIELD_LEADER,
    FIELD_BALLOT,
    FIELD_INCARNATION,
    FIELD_CHOSEN,
    FIELD_EXECUTED,
    FIELD_HELD,
    FIELD_COMMANDS,
    FIELD_CHANGES,
    FIELD_HASH,
    FIELDS
};
static const struct {
    const char *name;
    const char *title; /* NULL: no column */
    bool number;       /* in JSON */
} fields[FIELDS] = {
    [FIELD_NODE] = {"node", NULL, true},
    [FIELD_STATE] = {"proposer_state", "PROPOSER", false},
    [FIELD_LEADER] = {"leader", "LEADER", true},
    [FIELD_BALLOT] = {"ballot", "BALLOT", false},
    [FIELD_INCARNATION] = {"incarnation", "INCARNATION", true},
    [FIELD_CHOSEN] = {"chosen", "CHOSEN", true},
    [FIELD_EXECUTED] = {"executed", "EXECUTED", true},
    [FIELD_HELD] = {"held", "HELD", true},
    [FIELD_COMMANDS] = {"commands_executed", "COMMANDS", true},
    [FIELD_CHANGES] = {"leader_changes", "CHANGES", true},
    [FIELD_HASH] = {"state_hash", "STATE HASH", false},
};

enum answer { ANSWER_OK, ANSWER_NO_PORT, ANSWER_UNREACHABLE, ANSWER_FULL, ANSWER_WRONG };
static const char *const answer_names[] = {"up", "no client port", "unreachable", "connections full", "wrong answer"};

struct probe {
    const struct config_node *node;
    struct timeval timeout;
    enum answer answer;
    char error[160]; /* why there is no answer */
    char values[FIELDS][VALUE_MAX];
};

/* ---- Asking ---- */

static void read_line(struct probe *p, const char *line, size_t len)
{
    static const char prefix[] = "synod_";
    const char *colon = memchr(line, ':', len);
    if (colon == NULL || len < sizeof prefix || memcmp(line, prefix, sizeof prefix - 1) != 0)
        return;
    const char *name = line + sizeof prefix - 1;
    const size_t name_len = (size_t)(colon - name);
    for (size_t i = 0; i < FIELDS; i++)
        if (strlen(fields[i].name) == name_len && memcmp(fields[i].name, name, name_len) == 0)
            snprintf(p->values[i], VALUE_MAX, "%.*s", (int)(len - (size_t)(colon + 1 - line)), colon + 1);
}

/* Reads the text of INFO and checks that it is from the node that was asked. */
static void read_info(struct probe *p, const char *text, size_t len)
{
    const char *end = text + len;
    while (text < end) {
        const char *feed = memchr(text, '\n', (size_t)(end - text));
        const size_t n = (size_t)((feed != NULL ? feed : end) - text);
        read_line(p, text, n > 0 && text[n - 1] == '\r' ? n - 1 : n);
        text += feed != NULL ? n + 1 : n;
    }
    char id[16];
    snprintf(id, sizeof id, "%u", p->node->id);
    if (strcmp(p->values[FIELD_NODE], id) == 0) {
        p->answer = ANSWER_OK;
        return;
    }
    p->answer = ANSWER_WRONG;
    if (p->values[FIELD_NODE][0] == '\0')
        snprintf(p->error, sizeof p->error, "it is no node of Synod");
    else
        snprintf(p->error, sizeof p->error, "it is node %.16s", p->values[FIELD_NODE]);
}

/* The node has refused to answer, or its reply is not an answer. */
static void read_refusal(struct probe *p, const redisReply *reply)
{
    static const char full[] = "ERR max number of clients";
    bool error = reply->type == REDIS_REPLY_ERROR;
    p->answer = error && strncmp(reply->str, full, sizeof full - 1) == 0 ? ANSWER_FULL : ANSWER_WRONG;
    if (p->answer == ANSWER_FULL)
        snprintf(p->error, sizeof p->error,
                 "all its client connections are taken (client_connections_max), including those for operators");
    else
        snprintf(p->error, sizeof p->error, "%.150s", error ? reply->str : "no INFO");
}

static void *probe_run(void *argument)
{
    struct probe *p = argument;
    const struct endpoint *client = &p->node->client;
    if (client->host[0] == '\0') {
        p->answer = ANSWER_NO_PORT;
        return NULL;
    }
    p->answer = ANSWER_UNREACHABLE;
    redisContext *c = redisConnectWithTimeout(client->host, client->port, p->timeout);
    if (c != NULL && c->err == 0)
        redisSetTimeout(c, p->timeout);
    redisReply *reply = c != NULL && c->err == 0 ? redisCommand(c, "INFO") : NULL;
    const bool silent = c != NULL && c->err == REDIS_ERR_IO && errno == EAGAIN;
    if (reply == NULL) {
        snprintf(p->error, sizeof p->error, "%s", c == NULL ? "out of memory" : silent ? "no answer in time" : c->errstr);
    } else if (reply->type == REDIS_REPLY_STRING) {
        read_info(p, reply->str, reply->len);
    } else {
        read_refusal(p, reply);
    }
    if (reply != NULL)
        freeReplyObject(reply);
    if (c != NULL)
        redisFree(c);
    return NULL;
}

/* Asks each node in a thread of its own, so that silent ones cost one timeout altogether. */
static void probe_all(struct probe *probes, size_t count)
{
    pthread_t threads[NODE_ID_MAX];
    bool started[NODE_ID_MAX];
    for (size_t i = 0; i < count; i++) {
        started[i] = pthread_create(&threads[i], NULL, probe_run, &probes[i]) == 0;
        if (!started[i])
            probe_run(&probes[i]);
    }
    for (size_t i = 0; i < count; i++)
        if (started[i])
            pthread_join(threads[i], NULL);
}

/* ---- Showing ---- */

enum { COLUMNS = FIELDS + 3 };

/* The cells of a row: node, role, answer, then the fields that have a column. */
static size_t cells_of(const struct probe *p, char cells[COLUMNS][VALUE_MAX])
{
    size_t n = 0;
    snprintf(cells[n++], VALUE_MAX, "%u", p->node->id);
    snprintf(cells[n++], VALUE_MAX, "%s", role_name(p->node->role));
    snprintf(cells[n++], VALUE_MAX, "%s", answer_names[p->answer]);
    for (size_t i = 0; i < FIELDS; i++)
        if (fields[i].title != NULL)
            snprintf(cells[n++], VALUE_MAX, "%s", p->answer == ANSWER_OK && p->values[i][0] != '\0' ? p->values[i] : "-");
    return n;
}

static size_t titles(char cells[COLUMNS][VALUE_MAX])
{
    static const char *const first[] = {"NODE", "ROLE", "STATUS"};
    size_t n = 0;
    for (; n < sizeof first / sizeof first[0]; n++)
        snprintf(cells[n], VALUE_MAX, "%s", first[n]);
    for (size_t i = 0; i < FIELDS; i++)
        if (fields[i].title != NULL)
            snprintf(cells[n++], VALUE_MAX, "%s", fields[i].title);
    return n;
}

static void print_table(const struct probe *probes, size_t count)
{
    char cells[COLUMNS][VALUE_MAX];
    size_t width[COLUMNS] = {0};
    for (size_t pass = 0; pass < 2; pass++) { /* first the widths, then the text */
        for (size_t row = 0; row <= count; row++) {
            const size_t n = row == 0 ? titles(cells) : cells_of(&probes[row - 1], cells);
            for (size_t i = 0; i < n; i++) {
                if (pass == 0 && strlen(cells[i]) > width[i])
                    width[i] = strlen(cells[i]);
                else if (pass == 1)
                    printf("%-*s%s", i + 1 < n ? (int)width[i] : 0, cells[i], i + 1 < n ? "  " : "\n");
            }
        }
    }
    fflush(stdout);
    for (size_t i = 0; i < count; i++)
        if (probes[i].error[0] != '\0')
            fprintf(stderr, "node %u at %s port %u: %s\n", probes[i].node->id, probes[i].node->client.host,
                    (unsigned)probes[i].node->client.port, probes[i].error);
}

static json_t *field_json(size_t field, const char *value)
{
    if (fields[field].number && value[0] != '\0' && strlen(value) < 19 && value[strspn(value, "0123456789")] == '\0')
        return json_integer((json_int_t)strtoll(value, NULL, 10));
    return json_string(value);
}

static void print_json(const struct config *config, const struct probe *probes, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct probe *p = &probes[i];
        json_t *node = json_pack("{s:i, s:s, s:s}", "node", (int)p->node->id, "role", role_name(p->node->role), "status",
                                 answer_names[p->answer]);
        if (p->error[0] != '\0')
            json_object_set_new(node, "error", json_string(p->error));
        for (size_t f = FIELD_NODE + 1; f < FIELDS && p->answer == ANSWER_OK; f++)
            if (p->values[f][0] != '\0')
                json_object_set_new(node, fields[f].name, field_json(f, p->values[f]));
        json_array_append_new(list, node);
    }
    json_t *root = json_pack("{s:s, s:o}", "cluster", config->cluster, "nodes", list);
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

/* Asks and shows. True when every node that has a client port answered. */
static bool show(const struct config *config, uint64_t node, uint64_t timeout_ms, bool json)
{
    struct probe *probes = memory_new(config->node_count, sizeof *probes);
    size_t count = 0;
    for (size_t i = 0; i < config->node_count; i++)
        if (node == 0 || config->nodes[i].id == node)
            probes[count++] = (struct probe){
                .node = &config->nodes[i],
                .timeout = {.tv_sec = (time_t)(timeout_ms / 1000), .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)}};
    probe_all(probes, count);
    if (json)
        print_json(config, probes, count);
    else
        print_table(probes, count);
    bool ok = true;
    for (size_t i = 0; i < count; i++)
        ok = ok && (probes[i].answer == ANSWER_OK || probes[i].answer == ANSWER_NO_PORT);
    free(probes);
    return ok;
}

int verb_status(int argc, char **argv)
{
    const char *file = NULL;
    uint64_t node = 0, timeout_ms = 1000;
    bool json = false;
    const struct option_row rows[] = {
        {"config", 'c', OPTION_TEXT, .required = true, .value = "FILE", .target = &file,
         .text = "configuration of the cluster"},
        {"node", 'n', OPTION_NUMBER, .value = "ID", .target = &node, .min = 1, .max = NODE_ID_MAX,
         .text = "ask only this node"},
        {"timeout-ms", 't', OPTION_NUMBER, .value = "MS", .target = &timeout_ms, .min = 1, .max = 60000,
         .text = "how long to wait for a node"},
        {"json", 'j', OPTION_FLAG, .target = &json, .text = "print JSON instead of a table"},
    };
    const struct command_help help = {
        .command = "synod status",
        .description =
            "Asks every node for its state on its client port, and prints a line for each. CHOSEN, EXECUTED and HELD are the first\n"
            "slots that are not chosen, executed, durably held. Nodes that executed as much have the same state hash.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  every node that has a client port answered\n  1  some did not, or another node answered\n"
                      "  2  wrong command line or configuration\n",
        .examples = "  synod status --config examples/coordinator.yaml\n"
                    "  synod status --config examples/coordinator.yaml --node 2 --json\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    if (code != OPTIONS_GO_ON)
        return code;
    struct config config;
    struct problem problem;
    if (!config_load(&config, file, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return problem.exit_code;
    }
    if (node != 0 && config_find(&config, (uint32_t)node) == NULL) {
        fprintf(stderr, "%s: there is no node %u\n", file, (unsigned)node);
        config_close(&config);
        return EXIT_BAD_INPUT;
    }
    const bool ok = show(&config, node, timeout_ms, json);
    config_close(&config);
    return ok ? EXIT_OK : EXIT_TROUBLE;
}
