/* host/engine.c and host/compiled_cache.c: what is compiled, what is taken from disk, and what is not trusted. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/compiled_cache.h"
#include "host/component_names.h"
#include "host/engine.h"
#include "tests/component/broken_nodes.h"

static const uint8_t MODULE[] = {0, 'a', 's', 'm', 1, 0, 0, 0};

struct fixture {
    char root[40], cache[64], file[64], entry[256];
    char notice[512];
};

static void on_notice(void *context, const char *text)
{
    struct fixture *f = context;
    snprintf(f->notice, sizeof f->notice, "%s", text);
}

static void write_file(const char *file, const void *bytes, size_t len)
{
    FILE *out = fopen(file, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(out);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->root, "/tmp/synod-engine-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->cache, sizeof f->cache, "%s/a/b/compiled", f->root);
    snprintf(f->file, sizeof f->file, "%s/node.wasm", f->root);
    write_file(f->file, trapping_node, sizeof trapping_node);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[80];
    snprintf(command, sizeof command, "rm -rf %s", f->root);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static struct engine *open_engine(struct fixture *f)
{
    struct problem problem;
    struct engine *e;
    const struct engine_options options = {
        .turn_timeout = 1000000, .cache_folder = f->cache, .on_notice = on_notice, .context = f};
    if (!engine_open(&e, &options, &problem))
        fail_msg("%s", problem.text);
    return e;
}

/* Loads the file in a new engine and tells where it came from. */
static struct engine_statistics load(struct fixture *f)
{
    struct engine *e = open_engine(f);
    const wasmtime_component_t *first, *second = NULL;
    struct problem problem;
    if (!engine_component(e, f->file, &first, &problem) || !engine_component(e, f->file, &second, &problem))
        fail_msg("%s", problem.text);
    assert_ptr_equal(first, second);
    struct engine_statistics statistics = engine_statistics(e);
    assert_int_equal(statistics.compiled + statistics.from_cache, 1);
    engine_close(e);
    return statistics;
}

/* The path of the one file in the cache. */
static const char *find_entry(struct fixture *f)
{
    char command[128];
    snprintf(command, sizeof command, "ls %s/*", f->cache);
    FILE *list = popen(command, "r");
    assert_non_null(fgets(f->entry, sizeof f->entry, list));
    pclose(list);
    f->entry[strcspn(f->entry, "\n")] = '\0';
    return f->entry;
}

static void test_cache(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f).compiled, 1);
    assert_int_equal(load(f).from_cache, 1);
    struct stat status;
    assert_int_equal(stat(f->cache, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    write_file(f->file, endless_node, sizeof endless_node); /* other bytes, other key */
    assert_int_equal(load(f).compiled, 1);
    assert_string_equal(f->notice, "");
}

static void test_damaged_entry_is_compiled_again(void **state)
{
    struct fixture *f = *state;
    load(f);
    struct stat status;
    assert_int_equal(stat(find_entry(f), &status), 0);
    /* A byte in the header, in the digest, at the begin and in the middle of the code; then a missing end. */
    const off_t places[] = {0, 9, 20, 48, status.st_size / 2};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int fd = open(f->entry, O_RDWR);
        uint8_t byte;
        assert_int_equal(pread(fd, &byte, 1, places[i]), 1);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, places[i]), 1);
        close(fd);
        assert_int_equal(load(f).compiled, 1);
        assert_int_equal(load(f).from_cache, 1); /* it was stored anew */
    }
    assert_int_equal(truncate(f->entry, status.st_size - 1), 0);
    assert_int_equal(load(f).compiled, 1);
    assert_int_equal(truncate(f->entry, 10), 0);
    assert_int_equal(load(f).compiled, 1);
}

/* Code of another component under this one's name: the digest covers the key. */
static void test_swapped_entry(void **state)
{
    struct fixture *f = *state;
    char kept[300];
    load(f);
    snprintf(kept, sizeof kept, "%s", find_entry(f));
    char aside[80], command[420];
    snprintf(aside, sizeof aside, "%s/aside", f->root);
    assert_int_equal(rename(kept, aside), 0);
    write_file(f->file, endless_node, sizeof endless_node);
    load(f);
    snprintf(command, sizeof command, "cp %s %s", aside, find_entry(f));
    assert_int_equal(system(command), 0);
    assert_int_equal(load(f).compiled, 1);
}

static void test_folder_open_to_others_is_not_used(void **state)
{
    struct fixture *f = *state;
    load(f);
    assert_int_equal(chmod(f->cache, 0750), 0);
    assert_int_equal(load(f).compiled, 1);
    assert_non_null(strstr(f->notice, "open to others"));
    assert_int_equal(chmod(f->cache, 0700), 0);
    assert_int_equal(chmod(find_entry(f), 0620), 0);
    assert_int_equal(load(f).compiled, 1);
}

static void test_link_in_place_of_entry_is_not_followed(void **state)
{
    struct fixture *f = *state;
    char aside[80];
    load(f);
    snprintf(aside, sizeof aside, "%s/aside", f->root);
    assert_int_equal(rename(find_entry(f), aside), 0);
    assert_int_equal(symlink(aside, f->entry), 0);
    assert_int_equal(load(f).compiled, 1);
}

static void expect_problem(struct fixture *f, const void *bytes, size_t len, const char *text)
{
    struct engine *e = open_engine(f);
    const wasmtime_component_t *component;
    struct problem problem = {0};
    if (bytes != NULL)
        write_file(f->file, bytes, len);
    else
        unlink(f->file);
    assert_false(engine_component(e, f->file, &component, &problem));
    assert_int_equal(problem.exit_code, EXIT_BAD_INPUT);
    assert_non_null(strstr(problem.text, f->file));
    assert_non_null(strstr(problem.text, text));
    assert_null(strchr(problem.text, '\n'));
    engine_close(e);
}

static void test_not_a_component(void **state)
{
    struct fixture *f = *state;
    uint8_t damaged[sizeof trapping_node];
    memcpy(damaged, trapping_node, sizeof damaged);
    damaged[30] ^= 0x55;
    expect_problem(f, MODULE, sizeof MODULE, "core module");
    expect_problem(f, "no wasm at all", 14, "not a WebAssembly file");
    expect_problem(f, "", 0, "not a WebAssembly file");
    expect_problem(f, damaged, sizeof damaged, "component");
    expect_problem(f, NULL, 0, "No such file");
}

/* ---- names from the bytes ---- */

struct names {
    char text[16384];
    size_t len;
};

static void add_name(void *context, const char *name)
{
    struct names *n = context;
    n->len += (size_t)snprintf(n->text + n->len, sizeof n->text - n->len, "%s\n", name);
    assert_true(n->len < sizeof n->text);
}

static bool add_interface(void *context, const struct component_name *name)
{
    if (name->item == NULL)
        add_name(context, name->interface);
    return true;
}

/* host/component_names.c says what Wasmtime says, of parts and of whole nodes. */
static void test_names_are_those_that_wasmtime_knows(void **state)
{
    static const char *const files[] = {"components/kv-store",
                                        "components/runner",
                                        "components/serializer",
                                        "components/wasi-storage",
                                        "components/whole-learner-agent",
                                        "nodes/coordinator-node",
                                        "nodes/node"};
    static struct names read, known;
    (void)state;
    const char *build = getenv("BUILD");
    const struct engine_options options = {.turn_timeout = 1000000};
    struct problem problem;
    struct engine *e;
    assert_true(engine_open(&e, &options, &problem));
    for (size_t i = 0; i < 2 * (sizeof files / sizeof files[0]); i++) {
        const enum component_side side = i % 2 == 0 ? COMPONENT_IMPORTS : COMPONENT_EXPORTS;
        const wasmtime_component_t *component;
        char file[4096];
        uint8_t *bytes = NULL;
        size_t len = 0;
        snprintf(file, sizeof file, "%s/%s.wasm", build != NULL ? build : "build", files[i / 2]);
        if (!engine_component(e, file, &component, &problem) || !engine_read_component(file, &bytes, &len, &problem))
            fail_msg("%s", problem.text);
        read.len = known.len = 0;
        assert_null(component_names_read(bytes, len, side, add_name, &read));
        component_walk(component, engine_wasm(e), side, add_interface, &known);
        assert_true(read.len > 0 || side == COMPONENT_IMPORTS);
        assert_int_equal(read.len, known.len);
        assert_memory_equal(read.text, known.text, read.len);
        free(bytes);
    }
    engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_entry_is_compiled_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_swapped_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folder_open_to_others_is_not_used, setup, teardown),
        cmocka_unit_test_setup_teardown(test_link_in_place_of_entry_is_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_a_component, setup, teardown),
        cmocka_unit_test(test_names_are_those_that_wasmtime_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
