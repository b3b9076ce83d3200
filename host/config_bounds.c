#include "host/config_bounds.h"

#include <yaml.h>

static bool refuse(const char *file, const yaml_event_t *event, const char *what, struct problem *problem)
{
    return problem_set(problem, EXIT_BAD_INPUT, "%s:%zu: %s", file, event->start_mark.line + 1, what);
}

static const yaml_char_t *anchor_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor;
    case YAML_ALIAS_EVENT:
        return event->data.alias.anchor;
    default:
        return NULL;
    }
}

static bool check_event(const char *file, const yaml_event_t *event, int *depth, struct problem *problem)
{
    char what[80];
    if (anchor_of(event) != NULL)
        return refuse(file, event, "anchors and aliases (`&name`, `*name`) are not supported", problem);
    if (event->type == YAML_SCALAR_EVENT && event->data.scalar.length > CONFIG_VALUE_BYTES_MAX) {
        snprintf(what, sizeof what, "a name or value of more than %d bytes", CONFIG_VALUE_BYTES_MAX);
        return refuse(file, event, what, problem);
    }
    if (event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT)
        ++*depth;
    if (event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT)
        --*depth;
    if (*depth <= CONFIG_DEPTH_MAX)
        return true;
    snprintf(what, sizeof what, "lists and maps are nested more than %d deep", CONFIG_DEPTH_MAX);
    return refuse(file, event, what, problem);
}

bool config_bounds_check(const char *file, const char *text, size_t len, struct problem *problem)
{
    yaml_parser_t parser;
    yaml_event_t event;
    int depth = 0;
    bool sound = true, more = true;
    if (!yaml_parser_initialize(&parser))
        return problem_set(problem, EXIT_TROUBLE, "%s: out of memory", file);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    while (sound && more && yaml_parser_parse(&parser, &event) == 1) {
        sound = check_event(file, &event, &depth, problem);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return sound;
}
