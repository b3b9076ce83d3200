/* Glob patterns as Redis understands them: * ? [a-z] [^a] and \ before a character meant as itself. */
#ifndef SYNOD_CORE_FORMATS_GLOB_H
#define SYNOD_CORE_FORMATS_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True when the whole text matches the whole pattern. Takes at most pattern_len * text_len steps. */
bool glob_match(const uint8_t *pattern, size_t pattern_len, const uint8_t *text, size_t text_len);

#endif
