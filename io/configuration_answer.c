#include "io/configuration_answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/types.h"

bool configuration_answer_read(const char *answer, struct configuration_answer *out)
{
    char settled[8];
    int head = 0;
    if (sscanf(answer, "slot %20" SCNu64 "\ngoverns %20" SCNu64 "\nsettled %7s%n", &out->slot, &out->governs, settled,
               &head) != 3 ||
        answer[head] != '\n' || out->slot >= SLOT_MAX)
        return false;
    out->settled = strcmp(settled, "true") == 0;
    out->bytes = answer + head + 1;
    out->len = strlen(out->bytes);
    return true;
}
