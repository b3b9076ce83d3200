/* core/agents/proposer_agent.h by the import of `interface proposer-agent`. */
#include "core/agents/proposer_agent.h"

#include "components/agent.h"

AGENT_IMPORT(proposer_agent);
