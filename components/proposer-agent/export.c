/* `interface proposer-agent` by core/agents/proposer_agent.h. */
#include "core/agents/proposer_agent.h"

#include "components/agent.h"

AGENT_EXPORT(proposer_agent, "proposer-agent", proposer_agent);
