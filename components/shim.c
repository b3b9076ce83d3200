/* cabi_realloc; components/shim.h says which list goes to which arena, and when it dies. */
#include "components/shim.h"

#include "core/base/memory.h"

static struct arena arguments;
static struct arena *current = &arguments;
static bool call_done;

/* Where a caller's arguments and an import's results are put. Overrides the weak one of the bindings. */
__attribute__((__export_name__("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size);

void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size)
{
    invariant(align <= 8);
    if (size == 0)
        return (void *)align; /* never followed */
    if (call_done && current == &arguments) {
        arena_reset(&arguments);
        call_done = false;
    }
    void *block = arena_new(current, size);
    if (old_size > 0)
        memcpy(block, old, old_size < size ? old_size : size);
    return block;
}

void shim_call_done(void) { call_done = true; }

void shim_results_begin(struct arena *results)
{
    arena_reset(results);
    current = results;
}

void shim_results_end(void) { current = &arguments; }

void shim_free(void *unused) { (void)unused; }
