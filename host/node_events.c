#include "core/base/assert.h"
#include "host/node_host_internal.h"

static void on_idle(uv_idle_t *idle) { (void)idle; }

void host_make_due(struct node_host *h)
{
    h->due = true;
    if (!uv_is_active((uv_handle_t *)&h->idle) && !uv_is_closing((uv_handle_t *)&h->idle))
        uv_idle_start(&h->idle, on_idle);
}

void host_fail(struct node_host *h, const struct problem *problem)
{
    invariant(problem->exit_code != EXIT_OK);
    if (host_has_failed(h))
        return;
    h->problem = *problem;
    host_make_due(h);
}

bool host_has_failed(const struct node_host *h) { return h->problem.exit_code != EXIT_OK; }
