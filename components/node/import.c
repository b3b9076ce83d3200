/* core/runners/node.h by the import of `interface node`: a coordinator, or a single agent, as composed. */
#include "core/runners/node.h"

#include "components/agent.h"

AGENT_IMPORT(node);
