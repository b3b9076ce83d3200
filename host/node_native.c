#include <stdlib.h>

#include "core/base/memory.h"
#include "core/runners/runner.h"
#include "host/node_life.h"

struct node_native {
    struct node_life life;
    struct ports *ports;
    struct runner *runner; /* NULL: not started yet */
};

static bool native_start(struct node_life *life, const struct node_config *config, struct problem *problem)
{
    struct node_native *native = (struct node_native *)life;
    (void)problem;
    native->runner = runner_new(config, native->ports);
    return true;
}

static bool native_turn(struct node_life *life, uint64_t now, uint64_t *deadline, struct problem *problem)
{
    struct node_native *native = (struct node_native *)life;
    (void)problem;
    *deadline = runner_turn(native->runner, now, native->ports->operations->news(native->ports));
    return true;
}

static bool native_status(struct node_life *life, struct node_status *status, struct problem *problem)
{
    (void)problem;
    *status = runner_status(((struct node_native *)life)->runner);
    return true;
}

static void native_audit(struct node_life *life) { runner_audit(((struct node_native *)life)->runner); }

static void native_free(struct node_life *life)
{
    struct node_native *native = (struct node_native *)life;
    if (native->runner != NULL)
        runner_free(native->runner);
    free(native);
}

bool node_native_new(struct node_life **out, struct ports *ports, struct problem *problem)
{
    static const struct node_life_operations operations = {
        .start = native_start, .turn = native_turn, .status = native_status, .audit = native_audit, .free = native_free};
    struct node_native *native = memory_new(1, sizeof *native);
    (void)problem;
    native->life = (struct node_life){&operations, "native", NULL};
    native->ports = ports;
    *out = &native->life;
    return true;
}
