/* `interface learner-agent` by core/agents/learner_agent.h. */
#include "core/agents/learner_agent.h"

#include "components/agent.h"

AGENT_EXPORT(learner_agent, "learner-agent", learner_agent);
