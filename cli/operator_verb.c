#include "cli/operator_verb.h"

#include <stdio.h>
#include <stdlib.h>

struct option_row operator_config_row(struct operator_verb *v)
{
    return (struct option_row){
        "config", 'c', OPTION_TEXT, .value = "FILE", .target = &v->file, .text = "configuration of the cluster"};
}

struct option_row operator_via_row(struct operator_verb *v)
{
    return (struct option_row){"via",
                               0,
                               OPTION_TEXT,
                               .value = "HOST:PORT",
                               .target = &v->call.via,
                               .text = "client port of the node to ask, instead of those of the configuration"};
}

struct option_row operator_timeout_row(struct operator_verb *v)
{
    return (struct option_row){"timeout-ms",
                               't',
                               OPTION_NUMBER,
                               .value = "MS",
                               .target = &v->call.timeout_ms,
                               .min = 1,
                               .max = 600000,
                               .text = "how long to wait for the answer"};
}

bool operator_has_place(const struct operator_verb *v) { return (v->file == NULL) != (v->call.via == NULL); }

int operator_begin(struct operator_verb *v)
{
    struct problem problem;
    if (!operator_has_place(v))
        return operator_complain(v, "wants one of --config and --via");
    if (v->file == NULL)
        return EXIT_OK;
    if (!config_load(&v->config, v->file, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return problem.exit_code;
    }
    v->call.config = &v->config;
    return EXIT_OK;
}

void operator_end(struct operator_verb *v)
{
    if (v->call.config != NULL)
        config_close(&v->config);
}

int operator_complain(const struct operator_verb *v, const char *text)
{
    fprintf(stderr, "%s: %s\n", v->name, operator_answer_text(text));
    return EXIT_BAD_INPUT;
}

int operator_tell(const struct operator_verb *v, int code, const char *answer)
{
    if (code == EXIT_OK)
        printf("%s\n", answer);
    else
        operator_complain(v, answer);
    return code;
}

uint32_t operator_node(const char *text)
{
    char *end;
    const unsigned long node = strtoul(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && node <= NODE_ID_MAX ? (uint32_t)node : 0;
}
