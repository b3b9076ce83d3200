/* What an operator is answered by the node itself. */
#ifndef SYNOD_CORE_AGENTS_ANSWERS_H
#define SYNOD_CORE_AGENTS_ANSWERS_H

#include "core/agents/effects.h"
#include "core/agents/progress.h"
#include "core/formats/batch.h"

/* Answers a request with one reply of `len` bytes (a status, an error, or bytes). */
void answer_operator(struct effects *effects, uint32_t leader, uint64_t token, uint8_t tag, const void *bytes, size_t len);
/* The same with any reply. */
void answer_operator_with(struct effects *effects, uint32_t leader, uint64_t token, const struct reply *reply);
/* Answers OPERATOR_HELD (core/formats/operator_request.h) for `node`: `own` is its learner's number, 0 if it has none. */
void answer_held(struct effects *effects, uint32_t leader, uint64_t token, uint32_t node, uint64_t own,
                 const struct progress *progress);

#endif
