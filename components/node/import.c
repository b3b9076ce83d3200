/* core/runners/node.h by the import of `interface node`: a coordinator, or an agent alone that a composition puts there. */
#include "core/runners/node.h"

#include "components/agent.h"

AGENT_IMPORT(node);
