/* The keys of the configuration file as tables: one row a key. The reader (host/config.c), the documentation
 * (docs/configuration.md, docs/reference-rows.md, `synod config`) and the tests all work from these rows, so they cannot
 * drift apart. */
#ifndef SYNOD_HOST_CONFIG_SCHEMA_H
#define SYNOD_HOST_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/config.h"

enum value_kind {
    VALUE_NAME,     /* letters, digits, '.', '_', '-'; up to 63 of them */
    VALUE_PATH,     /* any text */
    VALUE_CHOICE,   /* one of `choices`; stored as its index, or as text when the field is a char array */
    VALUE_BOOL,     /* true, false */
    VALUE_COUNT,    /* a whole number */
    VALUE_BYTES,    /* a whole number of bytes, or with KiB, MiB, GiB */
    VALUE_TIME_MS,  /* a whole number of milliseconds, stored in microseconds */
    VALUE_ENDPOINT, /* host:port, [v6]:port */
    VALUE_CRASHES,  /* the list of lists of a node id and slots */
    VALUE_NODES,    /* the list of nodes */
    VALUE_GROUPS,   /* the list of lists of node ids */
    VALUE_SETTINGS, /* the map of settings */
};

enum key_use {
    KEY_OPTIONAL,
    KEY_REQUIRED,
    KEY_IGNORED,      /* checked, then without effect; the text says why */
    KEY_ONLY_DEFAULT, /* any other value is refused with `refusal` */
    KEY_FOR_NODES,    /* at the top: for the nodes that do not give the key of that name; a field of struct config_node */
    KEY_FROM_TOP,     /* in a node: optional, by default what the top says */
};

/* Whether all nodes and all lives of them must have the same value: docs/decisions/0026-what-is-governed.md. */
enum key_governed {
    KEY_FREE,
    KEY_GOVERNED,
    KEY_GOVERNED_BELOW, /* `governed_below`; all values from there on are the same */
};

struct config_key {
    const char *name;
    uint8_t kind;     /* enum value_kind */
    uint8_t use;      /* enum key_use */
    uint8_t governed; /* enum key_governed */
    uint64_t governed_below;
    size_t offset; /* of the field in its struct */
    size_t size;   /* of the field; 0: not stored by the table */
    uint64_t standard, min, max;
    const char *const *choices; /* ends with NULL; "" is an index that cannot be chosen */
    const char *alias;          /* the key of which this is another name (same field) */
    const char *refusal;        /* what to do instead of the value that is refused */
    const char *text;           /* one line of documentation */
};

struct config_section {
    const char *title; /* heading in the documentation */
    const struct config_key *keys;
    size_t count;
    const struct config_section *more; /* keys of the same map in a table of their own; NULL: none */
};

/* The table of settings that only imitate the reference system. */
#define CONFIG_COMPAT_TITLE "Settings for compatibility"

enum { CONFIG_KEYS_MAX = 72, CONFIG_NODE_KEYS = 8 };

extern const struct config_section config_top_section;     /* fields of struct config, but for KEY_FOR_NODES */
extern const struct config_section config_node_section;    /* fields of struct config_node */
extern const struct config_section config_setting_section; /* fields of struct config */

/* The rows of a section by their index, those of its `more` after its own; NULL: there are no more. */
const struct config_key *config_key_at(const struct config_section *section, size_t i);

/* The row of a key in a section, its index; -1 when there is none. */
int config_key_find(const struct config_section *section, const char *name);

/* Reads a value of kind CHOICE, BOOL, COUNT, BYTES or TIME_MS and checks it against its row. Numbers are in the unit of
 * the file. False: `reason` says what is wrong with it. */
bool config_value_read(const struct config_key *key, const char *text, uint64_t *value, char *reason, size_t size);

/* Stores what the settings are when the file says nothing of them. */
void config_settings_standard(struct config *config);

/* The field of a key of these kinds, in the struct at `base`; numbers are in the unit of the file. */
void config_field_store(const struct config_key *key, void *base, uint64_t value);
/* Of a field of 4 or 8 bytes. */
uint64_t config_field_load(const struct config_key *key, const void *base);

/* Writes a number as the file would have it: "64", "4 MiB", "true", "fsync". */
void config_value_print(const struct config_key *key, uint64_t value, char *out, size_t size);

#endif
