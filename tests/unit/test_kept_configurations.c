/* io/kept_configurations.h. That damage is found, and what a folder that joins begins with, is in test_data_folder.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/runners/ports.h"
#include "io/kept_configurations.h"

static struct problem problem;
static char folder[32];
static struct folder_files files;
static struct kept_configurations kept;

static int enter(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/synod-kept-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    files = (struct folder_files){disk_posix(), folder};
    return kept_configurations_read(&files, 0, &kept, &problem) ? 0 : -1;
}

static int leave(void **state)
{
    char path[64];
    (void)state;
    kept_configurations_free(&kept);
    strcat(strcpy(path, folder), "/configuration");
    unlink(path);
    return rmdir(folder); /* nothing else is left */
}

static void keep(uint64_t slot, const char *text)
{
    uint64_t words[8] = {0};
    memcpy(words, text, strlen(text));
    const struct packet c = {.id = slot, .len = (uint32_t)strlen(text), .words = {words, words_for(strlen(text))}};
    assert_true(kept_configurations_keep(&kept, &files, &c, &problem));
}

static void expect_one(const struct packet *c, uint64_t slot, const char *text)
{
    assert_int_equal(c->id, slot);
    assert_int_equal(c->len, strlen(text));
    assert_memory_equal(c->words.ptr, text, c->len);
}

/* What is kept, in memory and in the file. */
static void expect(uint64_t before, const char *earlier, uint64_t slot, const char *text, uint32_t kind)
{
    for (int life = 0; life < 2; life++) {
        expect_one(&kept.before, before, earlier);
        expect_one(&kept.newest, slot, text);
        assert_int_equal(kept.newest.kind, kind);
        kept_configurations_free(&kept);
        assert_true(kept_configurations_read(&files, 0, &kept, &problem));
    }
}

/* There is none before the first one, so what is settled is written down apart. */
static void test_first_one_is_settled(void **state)
{
    (void)state;
    keep(20, "one");
    expect(0, "", 20, "one", CONFIGURATION_CHOSEN);
    assert_true(kept_configurations_settle(&kept, &files, 20, &problem));
    expect(0, "", 20, "one", CONFIGURATION_SETTLED);
    keep(30, "two");
    expect(20, "one", 30, "two", CONFIGURATION_CHOSEN);
}

static void test_the_one_before_is_kept_until_it_is_over(void **state)
{
    (void)state;
    assert_int_equal(kept.newest.id, 0);
    keep(20, "one");
    keep(30, "two\n");
    keep(25, "between");                                                  /* that is an earlier one */
    assert_true(kept_configurations_settle(&kept, &files, 20, &problem)); /* that is not the newest */
    expect(20, "one", 30, "two\n", CONFIGURATION_CHOSEN);
    assert_true(kept_configurations_settle(&kept, &files, 30, &problem));
    expect(0, "", 30, "two\n", CONFIGURATION_SETTLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_one_is_settled, enter, leave),
        cmocka_unit_test_setup_teardown(test_the_one_before_is_kept_until_it_is_over, enter, leave),
    };
    return cmocka_run_group_tests_name("kept_configurations", tests, NULL, NULL);
}
