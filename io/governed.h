/* The settings that a cluster agreed on when its data folders were formatted, and that every start must find again: the
 * safety of the cluster, or the equality of its nodes' states, rests on them. docs/decisions/0026-what-is-governed.md says
 * which, and why. */
#ifndef SYNOD_IO_GOVERNED_H
#define SYNOD_IO_GOVERNED_H

#include <stdbool.h>
#include <stddef.h>

struct config;      /* io/config.h */
struct node_config; /* core/base/types.h */

enum {
    GOVERNED_TEXT_MAX = 2560, /* 63 nodes of 22 bytes, and the settings */
    GOVERNED_WORD_MAX = 32,
    GOVERNED_CHANGES_MAX = 72, /* all keys of such a text, and its nodes */
};

/* The governed settings of a complete configuration as text: lines of a key, a space and a value, always in the same
 * order. */
void governed_print(const struct config *config, char text[GOVERNED_TEXT_MAX]);

/* Puts the nodes, quorums and alpha of such a text in the place of the configuration's. False: it does not have them all,
 * and nothing has changed. */
bool governed_apply(const char *text, struct node_config *config);

/* Copies such a text, which came from outside, to `text`. False: it is not one. Each line is a key, a space, a value and a
 * newline. Keys and values have 1 to 31 printable characters, so they can stand in a log line. */
bool governed_parse(const void *bytes, size_t len, char text[GOVERNED_TEXT_MAX]);

struct governed_change {
    char key[GOVERNED_WORD_MAX];
    char before[GOVERNED_WORD_MAX], now[GOVERNED_WORD_MAX]; /* "none": that side does not have the key */
};

/* Compares two such texts. Fills in the first `max` changes: first in the order of `now`, then what only `before` has.
 * Returns how many it filled in. */
size_t governed_compare(const char *before, const char *now, struct governed_change *changes, size_t max);

#endif
