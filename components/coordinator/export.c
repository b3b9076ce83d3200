/* `interface node` by core/runners/coordinator.h. */
#include "core/runners/coordinator.h"

#include "components/agent.h"

AGENT_EXPORT(node, "node", coordinator);
