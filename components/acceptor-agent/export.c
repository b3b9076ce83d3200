/* `interface acceptor-agent` by core/agents/acceptor_agent.h. */
#include "core/agents/acceptor_agent.h"

#include "components/agent.h"

AGENT_EXPORT(acceptor_agent, "acceptor-agent", acceptor_agent);
