/* Glob patterns as Redis understands them: * ? [a-z] [^a] and \ before a character meant as itself. */
#ifndef SYNOD_CORE_FORMATS_GLOB_H
#define SYNOD_CORE_FORMATS_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum glob_result { GLOB_DIFFERS, GLOB_MATCHES, GLOB_TOO_COSTLY };

/* Whether the whole text matches the whole pattern. A step looks at one character of the pattern, and a match takes at most
 * about pattern_len * text_len steps. Each is subtracted from `*steps`. GLOB_TOO_COSTLY: there were not enough. */
enum glob_result glob_match(const uint8_t *pattern, size_t pattern_len, const uint8_t *text, size_t text_len,
                            uint64_t *steps);

#endif
