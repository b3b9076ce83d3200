/* core/agents/acceptor_agent.h by the import of `interface acceptor-agent`. */
#include "core/agents/acceptor_agent.h"

#include "components/agent.h"

AGENT_IMPORT(acceptor_agent);

bool acceptor_agent_is_near(void) { return false; }
