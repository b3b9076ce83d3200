/* What a configuration file may look like at the most, asked before a tree is made of it. */
#ifndef SYNOD_HOST_CONFIG_BOUNDS_H
#define SYNOD_HOST_CONFIG_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>

#include "io/problem.h"

enum {
    CONFIG_FILE_BYTES_MAX = 1 << 20,
    CONFIG_DEPTH_MAX = 8, /* a map in a list in a map in the file is 4 */
    CONFIG_VALUE_BYTES_MAX = 4096,
};

/* Refuses what is nested deeper, has longer names or values, or stands for other parts of the file (`&` and `*`): no key
 * needs those, and they make a small file large. The time that this takes is proportional to `len`. Text that is not YAML
 * passes: the next reader says so. */
bool config_bounds_check(const char *file, const char *text, size_t len, struct problem *problem);

#endif
