/* core/agents/learner_agent.h by the import of `interface learner-agent`. */
#include "core/agents/learner_agent.h"

#include "components/agent.h"

AGENT_IMPORT(learner_agent);
