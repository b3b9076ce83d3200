/* What is governed: by the table of the configuration, key by key, and in the data folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/config.h"
#include "host/config_schema.h"
#include "io/data_folder.h"

#define FOLDER "node-1"

static struct problem problem;

static int enter(void **state)
{
    char path[] = "/tmp/synod-governed-XXXXXX";
    if (mkdtemp(path) == NULL || chdir(path) != 0)
        return -1;
    *state = strdup(path);
    return *state == NULL;
}

static int leave(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", (const char *)*state);
    free(*state);
    return chdir("/") != 0 || system(command) != 0;
}

static struct config load(const char *settings)
{
    struct config config;
    FILE *out = fopen("c.yaml", "w");
    assert_non_null(out);
    fprintf(out, "cluster: demo\ndata: .\nnodes:\n");
    for (unsigned id = 1; id <= 3; id++)
        fprintf(out, "  - {id: %u, role: coordinator, address: \"127.0.0.1:%u\"}\n", id, id);
    fprintf(out, "settings: {%s}\n", settings);
    assert_int_equal(fclose(out), 0);
    if (!config_load(&config, "c.yaml", &problem))
        fail_msg("%s", problem.text);
    return config;
}

static void format(const struct config *config)
{
    char text[GOVERNED_TEXT_MAX];
    governed_print(config, text);
    if (!data_folder_format(disk_posix(), FOLDER, config->cluster, 1, NULL, text, &problem))
        fail_msg("%s", problem.text);
}

/* Starts node 1 with this configuration, with its storage in the host and in the sandbox, and returns what both say: 0 or an
 * exit code. */
static int start(const struct config *config)
{
    char text[GOVERNED_TEXT_MAX], said[sizeof problem.text];
    const char *notice;
    struct data_folder *folder;
    problem = (struct problem){0};
    governed_print(config, text);
    const int lock = data_folder_lock(disk_posix(), FOLDER, 1, text, &notice, &problem);
    if (lock >= 0)
        disk_unlock(disk_posix(), lock);
    strcpy(said, problem.text);
    if (data_folder_open_guarded(&folder, disk_posix(), FOLDER, config->cluster, 1, DATA_FOLDER_LOCK, text, &problem)) {
        data_folder_close(folder);
        assert_true(lock >= 0);
        return 0;
    }
    if (strcmp(config->cluster, "demo") == 0)
        assert_string_equal(problem.text, said);
    return problem.exit_code;
}

static void expect_refused(const struct config *config, const char *words)
{
    assert_int_equal(start(config), EXIT_BAD_INPUT);
    if (strstr(problem.text, words) == NULL)
        fail_msg("'%s' does not hold '%s'", problem.text, words);
}

/* A value of this key that is not `value`. */
static uint64_t another(const struct config_key *key, uint64_t value)
{
    if (key->governed == KEY_GOVERNED_BELOW)
        return key->governed_below - 1;
    if (key->kind != VALUE_CHOICE)
        return value < key->max ? value + 1 : value - 1;
    const uint64_t next = key->choices[value + 1] != NULL ? value + 1 : 0;
    return key->choices[next][0] != '\0' ? next : another(key, next);
}

/* Of a field of any size. */
static uint64_t load_field(const struct config_key *key, const void *base)
{
    uint64_t value = 0;
    if (key->size > 1)
        return config_field_load(key, base);
    memcpy(&value, (const uint8_t *)base + key->offset, 1);
    return value;
}

static void expect_as_the_table_says(const struct config_key *key, struct config *config, void *base)
{
    char words[64];
    const uint64_t value = load_field(key, base);
    config_field_store(key, base, another(key, value));
    snprintf(words, sizeof words, " formatted with %s ", key->name);
    if (key->governed != KEY_FREE)
        expect_refused(config, words);
    else if (start(config) != 0)
        fail_msg("%s is not governed: %s", key->name, problem.text);
    config_field_store(key, base, value);
    assert_int_equal(start(config), 0);
}

static void test_every_setting(void **state)
{
    (void)state;
    struct config config = load("");
    size_t governed = 0;
    format(&config);
    const struct config_key *key;
    for (size_t i = 0; (key = config_key_at(&config_setting_section, i)) != NULL; i++) {
        if (key->size == 0)
            assert_int_equal(key->governed, KEY_FREE); /* what is nowhere stored */
        else
            expect_as_the_table_says(key, &config, &config);
        governed += key->governed != KEY_FREE;
    }
    assert_int_equal(governed, 6);
    config_close(&config);
}

/* memory_bytes_max counts as far as it lowers the room for replies, which is a limit in the log. */
static void test_much_memory_is_enough(void **state)
{
    (void)state;
    struct config config = load("");
    const struct config_key *key =
        config_key_at(&config_setting_section, (size_t)config_key_find(&config_setting_section, "memory_bytes_max"));
    format(&config);
    config.memory_bytes_max = key->governed_below;
    assert_int_equal(start(&config), 0);
    config.memory_bytes_max = key->max;
    assert_int_equal(start(&config), 0);
    config_close(&config);
    config = load("memory_bytes_max: 256 MiB");
    assert_int_equal(config.node_config.limits.replies_bytes, 32 << 20);
    config_close(&config);
    config = load("memory_bytes_max: 255 MiB");
    assert_true(config.node_config.limits.replies_bytes < 32 << 20);
    config_close(&config);
}

static void test_every_key_of_the_file(void **state)
{
    (void)state;
    struct config config = load("");
    format(&config);
    for (size_t i = 0; i < config_top_section.count; i++) {
        const struct config_key *key = &config_top_section.keys[i];
        void *base = key->use == KEY_FOR_NODES ? (void *)&config.nodes[0] : &config;
        if (key->kind == VALUE_CHOICE)
            expect_as_the_table_says(key, &config, base);
        else
            assert_int_equal(key->governed != KEY_FREE, strcmp(key->name, "cluster") == 0);
    }
    strcpy(config.cluster, "other");
    assert_int_equal(start(&config), EXIT_DATA); /* not a matter of other settings: another's folder */
    config_close(&config);
}

static void test_every_key_of_a_node(void **state)
{
    (void)state;
    struct config config = load("");
    format(&config);
    for (size_t i = 0; i < config_node_section.count; i++) {
        const struct config_key *key = &config_node_section.keys[i];
        if (key->governed != KEY_FREE)
            assert_true(strcmp(key->name, "id") == 0 || strcmp(key->name, "role") == 0);
        else if (key->kind == VALUE_CHOICE)
            expect_as_the_table_says(key, &config, &config.nodes[2]);
    }
    config.nodes[2].address.port++;
    config.nodes[2].client = config.nodes[2].address;
    assert_int_equal(start(&config), 0);
    config.nodes[2].id = 4;
    expect_refused(&config, "formatted with node-4 none, and the configuration has coordinator");
    config.nodes[2].id = 3;
    config.nodes[2].role = ROLE_LEARNER;
    expect_refused(&config, "formatted with node-3 coordinator, and the configuration has learner");
    config.nodes[2].role = ROLE_COORDINATOR;
    config.node_count = 2;
    expect_refused(&config, "formatted with node-3 coordinator, and the configuration has none");
    config.node_count = 3;
    assert_int_equal(start(&config), 0);
    config_close(&config);
}

/* A majority is the same said in another way; a refused start is no boot; a folder that names nothing is not believed. */
static void test_what_is_said_and_counted(void **state)
{
    (void)state;
    struct data_folder *folder;
    struct config config = load("");
    format(&config);
    struct config same = load("phase1_quorum: 2, phase2_quorum: 2, alpha: 64");
    assert_int_equal(start(&same), 0);
    struct config other = load("phase1_quorum: 3, phase2_quorum: 1");
    for (int i = 0; i < 5; i++)
        expect_refused(&other, "phase1_quorum 2, and the configuration has 3");
    assert_true(data_folder_open(&folder, disk_posix(), FOLDER, "demo", 1, &problem));
    assert_int_equal(data_folder_identity(folder)->incarnation, 2);
    data_folder_close(folder);
    assert_int_equal(system("rm -r " FOLDER), 0);
    assert_true(data_folder_format(disk_posix(), FOLDER, "demo", 1, NULL, NULL, &problem));
    expect_refused(&config, "alpha none, and the configuration has 64");
    config_close(&config);
    config_close(&same);
    config_close(&other);
}

static bool regovern(const struct config *config, uint32_t node, struct governed_change *changes, size_t *count)
{
    char text[GOVERNED_TEXT_MAX];
    governed_print(config, text);
    return data_folder_regovern(disk_posix(), FOLDER, config->cluster, node, text, changes, count, &problem);
}

static void test_regovern(void **state)
{
    (void)state;
    struct governed_change changes[GOVERNED_CHANGES_MAX];
    size_t count;
    struct data_folder *folder;
    struct config config = load(""), other = load("alpha: 7, phase1_quorum: 3");
    assert_false(regovern(&other, 1, changes, &count));
    assert_int_equal(problem.exit_code, EXIT_DATA); /* not formatted */
    format(&config);
    assert_true(data_folder_open(&folder, disk_posix(), FOLDER, "demo", 1, &problem));
    assert_false(regovern(&other, 1, changes, &count));
    assert_int_equal(problem.exit_code, EXIT_DATA); /* in use */
    data_folder_close(folder);
    assert_false(regovern(&other, 2, changes, &count));
    assert_int_equal(problem.exit_code, EXIT_DATA); /* another node's */
    expect_refused(&other, "alpha 64");
    assert_true(regovern(&other, 1, changes, &count));
    assert_int_equal(count, 2);
    assert_string_equal(changes[0].key, "alpha");
    assert_string_equal(changes[0].before, "64");
    assert_string_equal(changes[0].now, "7");
    assert_string_equal(changes[1].key, "phase1_quorum");
    assert_int_equal(start(&other), 0);
    expect_refused(&config, "alpha 7");
    assert_true(regovern(&other, 1, changes, &count));
    assert_int_equal(count, 0);
    config_close(&config);
    config_close(&other);
}

/* The largest cluster there can be, with the longest numbers. */
static void test_it_is_bounded(void **state)
{
    (void)state;
    static struct config_node nodes[NODE_ID_MAX];
    struct governed_change changes[GOVERNED_CHANGES_MAX];
    char none[GOVERNED_TEXT_MAX], text[GOVERNED_TEXT_MAX];
    struct config config = {.nodes = nodes, .node_count = NODE_ID_MAX, .cluster = "demo", .memory_bytes_max = UINT64_MAX};
    config.node_config.state_bytes_max = UINT64_MAX;
    config.node_config.alpha = config.node_config.phase1_quorum = config.node_config.phase2_quorum = UINT32_MAX;
    for (uint32_t i = 0; i < NODE_ID_MAX; i++)
        nodes[i] = (struct config_node){.id = i + 1, .role = ROLE_COORDINATOR};
    governed_print(&config, text);
    assert_true(governed_parse(text, strlen(text), none));
    format(&config);
    assert_int_equal(start(&config), 0);
    config.node_count = 0;
    config.node_config.alpha = 1;
    governed_print(&config, none);
    assert_int_equal(governed_compare(text, none, changes, GOVERNED_CHANGES_MAX), NODE_ID_MAX + 1);
    assert_int_equal(governed_compare("", text, changes, GOVERNED_CHANGES_MAX), NODE_ID_MAX + 6);
}

/* A greeting of who does not know, or means it ill. */
static void test_any_text(void **state)
{
    (void)state;
    static const char *const none[] = {
        "",
        "alpha",
        "alpha\n",
        "alpha 8",
        "alpha 8\n\n",
        "\nalpha 8\n",
        " alpha 8\n",
        "alpha 8 ",
        "alpha  8\n",
        "alpha 8 9\n",
        "alpha\t8\n",
        "alpha 8\nphase1_quorum",
        "alpha 8\nphase1 ",
        "alpha \x1b[2J\n",
        "\xc3\xa4 8\n",
        "alpha 8\r\n",
        "alpha \x7f\n",
        "a2345678901234567890123456789012 8\n",
        "a a2345678901234567890123456789012\n",
    };
    struct governed_change c;
    char bytes[2 * GOVERNED_TEXT_MAX], text[GOVERNED_TEXT_MAX], again[GOVERNED_TEXT_MAX];
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(governed_parse(none[i], strlen(none[i]), text));
    assert_false(governed_parse("alpha 8\n\0", 9, text));
    assert_false(governed_parse("alpha\0 8\n", 9, text));
    assert_true(governed_parse("a234567890123456789012345678901 ~\n!", 34, text));
    assert_string_equal(text, "a234567890123456789012345678901 ~\n");
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = "a b\n"[i % 4];
    assert_true(governed_parse(bytes, (size_t)4 * GOVERNED_CHANGES_MAX, text));
    assert_false(governed_parse(bytes, (size_t)4 * GOVERNED_CHANGES_MAX + 4, text));
    memset(bytes, 'a', sizeof bytes);
    for (size_t len = 1; len < sizeof bytes; len++)
        assert_false(governed_parse(bytes, len, text));

    struct config config = load("");
    governed_print(&config, text);
    assert_true(governed_parse(text, strlen(text), again));
    assert_string_equal(again, text);
    for (size_t len = 0; len < strlen(text); len++) /* a part of it is none, or lacks a key that is named */
        assert_true(!governed_parse(text, len, again) || governed_compare(text, again, &c, 1) == 1);
    config_close(&config);
}

/* What a text says of nodes and quorums takes the place of what a configuration says, whatever that is. */
static void test_apply(void **state)
{
    char text[GOVERNED_TEXT_MAX];
    (void)state;
    struct config config = load("alpha: 32");
    struct node_config other = {.alpha = 1, .proposers = 0xff0, .acceptors = 0xff0, .learners = 0xff0, .retry_interval = 7};
    governed_print(&config, text);
    assert_true(governed_apply(text, &other));
    assert_int_equal(other.alpha, 32);
    assert_true(other.proposers == 0xe && other.acceptors == 0xe && other.learners == 0xe);
    assert_int_equal(other.phase1_quorum, 2);
    assert_int_equal(other.phase2_quorum, 2);
    assert_int_equal(other.retry_interval, 7); /* that is not governed */
    assert_true(governed_apply(
        "alpha 4\nphase1_quorum 1\nphase2_quorum 1\nnode-1 proposer\nnode-2 acceptor\nnode-63 learner\n", &other));
    assert_true(other.proposers == 0x2 && other.acceptors == 0x4 && other.learners == node_set_of(63));
    assert_false(governed_apply("alpha 5\n", &other));
    assert_int_equal(other.alpha, 4);
    config_close(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
        TEST(test_every_setting),
        TEST(test_much_memory_is_enough),
        TEST(test_every_key_of_the_file),
        TEST(test_every_key_of_a_node),
        TEST(test_what_is_said_and_counted),
        TEST(test_regovern),
        TEST(test_it_is_bounded),
        TEST(test_any_text),
        TEST(test_apply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
