/* The shims: a part answers the same whether it is linked in or reached through its component, and no component's memory
 * grows however often it is called. Its one argument is the folder with parts-test.wasm and node-test*.wasm.
 *
 * Every linear memory is limited to MEMORY_MAX. A shim that kept one argument of each call would need more than that long
 * before CALLS_MIN calls are over; then its allocation fails, which traps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <wasmtime.h>
#include <wasmtime/component.h>

#include "tests/component/drives.h"

enum { MEMORY_MAX = 4 << 20, ROUNDS_ALIKE = 3000, CALLS_MIN = 1000 * 1000, TURNS_FIRST = 2000, TURNS = 100 * 1000 };

static const char *folder;
static wasm_engine_t *engine;

struct guest {
    wasmtime_component_t *component;
    wasmtime_component_linker_t *linker;
    wasmtime_store_t *store;
    wasmtime_component_func_t run;
};

static void check(wasmtime_error_t *error)
{
    if (error == NULL)
        return;
    wasm_name_t message;
    wasmtime_error_message(error, &message);
    fail_msg("%.*s", (int)message.size, message.data);
}

static void guest_read(struct guest *g, const char *name)
{
    static uint8_t bytes[8 << 20];
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s: cannot be opened", path);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_true(size < sizeof bytes);
    check(wasmtime_component_new(engine, bytes, size, &g->component));
}

static void guest_open(struct guest *g, const char *name, int64_t memory_max)
{
    guest_read(g, name);
    g->linker = wasmtime_component_linker_new(engine);
    g->store = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_store_limiter(g->store, memory_max, -1, -1, -1, -1);
    wasmtime_context_t *context = wasmtime_store_context(g->store);
    wasmtime_component_instance_t instance;
    check(wasmtime_component_linker_instantiate(g->linker, context, g->component, &instance));
    wasmtime_component_export_index_t *index =
        wasmtime_component_instance_get_export_index(&instance, context, NULL, "run", 3);
    assert_non_null(index);
    assert_true(wasmtime_component_instance_get_func(&instance, context, index, &g->run));
    wasmtime_component_export_index_delete(index);
}

static void guest_close(struct guest *g)
{
    wasmtime_store_delete(g->store);
    wasmtime_component_linker_delete(g->linker);
    wasmtime_component_delete(g->component);
}

static uint64_t guest_run(struct guest *g, uint32_t part, uint64_t times)
{
    wasmtime_component_val_t arguments[2] = {{.kind = WASMTIME_COMPONENT_U32}, {.kind = WASMTIME_COMPONENT_U64}};
    arguments[0].of.u32 = part;
    arguments[1].of.u64 = times;
    wasmtime_component_val_t result = {.kind = WASMTIME_COMPONENT_BOOL}; /* the call drops what was there */
    check(wasmtime_component_func_call(&g->run, wasmtime_store_context(g->store), arguments, 2, &result, 1));
    assert_int_equal(result.kind, WASMTIME_COMPONENT_U64);
    return result.of.u64;
}

/* `*state` is the number of a drive. */
static void answers_are_the_same_through_a_component(void **state)
{
    uint32_t part = *(const uint32_t *)*state;
    struct guest guest;
    guest_open(&guest, "parts-test.wasm", MEMORY_MAX);
    assert_int_equal(guest_run(&guest, part, ROUNDS_ALIKE), drive(part, ROUNDS_ALIKE));
    guest_close(&guest);
}

static void a_million_calls_need_no_more_memory(void **state)
{
    static const uint64_t calls_a_round[DRIVES] = {
        [DRIVE_PROPOSER] = 6,        [DRIVE_ACCEPTOR] = 4,      [DRIVE_LEARNER] = 5,    [DRIVE_FAILURE_DETECTOR] = 2,
        [DRIVE_LEADER_DETECTOR] = 1, [DRIVE_STATE_MACHINE] = 2, [DRIVE_SERIALIZER] = 2,
    };
    uint32_t part = *(const uint32_t *)*state;
    struct guest guest;
    guest_open(&guest, "parts-test.wasm", MEMORY_MAX);
    guest_run(&guest, part, CALLS_MIN / calls_a_round[part]);
    guest_close(&guest);
}

struct node_file {
    const char *label, *name;
    int64_t parts_in_one; /* whose memories are one */
};

static void a_node_executes_and_needs_no_more_memory(void **state)
{
    const struct node_file *file = *state;
    struct guest guest;
    guest_open(&guest, file->name, file->parts_in_one * MEMORY_MAX);
    uint64_t begun = guest_run(&guest, 0, TURNS_FIRST);
    assert_true(begun > 0);
    assert_true(guest_run(&guest, 0, TURNS) - begun > TURNS / 10);
    guest_close(&guest);
}

int main(int argc, char **argv)
{
    static uint32_t parts[DRIVES];
    static const char *names[DRIVES] = {"proposer",        "acceptor",      "learner",   "failure detector",
                                        "leader detector", "state machine", "serializer"};
    static char labels[2 * DRIVES][100];
    static struct node_file nodes[] = {
        {"parts: a node executes and needs no more memory", "node-test.wasm", 1},
        {"agents: a node executes and needs no more memory", "node-test-agents.wasm", 2},
        {"one component: a node executes and needs no more memory", "node-test-whole.wasm", 4},
    };
    enum { NODES = sizeof nodes / sizeof nodes[0] };
    struct CMUnitTest tests[2 * DRIVES + NODES];
    if (argc != 2)
        return 2;
    folder = argv[1];
    /* cmocka catches the signals by which Wasmtime would otherwise know of traps. */
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_signals_based_traps_set(config, false);
    engine = wasm_engine_new_with_config(config);
    for (uint32_t i = 0; i < DRIVES; i++) {
        parts[i] = i;
        snprintf(labels[2 * i], sizeof labels[0], "%s: answers are the same through a component", names[i]);
        snprintf(labels[2 * i + 1], sizeof labels[0], "%s: a million calls need no more memory", names[i]);
        tests[2 * i] = (struct CMUnitTest){labels[2 * i], answers_are_the_same_through_a_component, NULL, NULL, &parts[i]};
        tests[2 * i + 1] =
            (struct CMUnitTest){labels[2 * i + 1], a_million_calls_need_no_more_memory, NULL, NULL, &parts[i]};
    }
    for (size_t i = 0; i < NODES; i++)
        tests[2 * DRIVES + i] =
            (struct CMUnitTest){nodes[i].label, a_node_executes_and_needs_no_more_memory, NULL, NULL, &nodes[i]};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wasm_engine_delete(engine);
    return failed;
}
