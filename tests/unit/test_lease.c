/* Who gets a data folder when processes, which lock it, and nodes in a sandbox, which keep a lease, meet. Files are real;
 * time passes only in pauses, in which a test lets another node act. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/data_folder.h"
#include "io/lease.h"

#define FOLDER "node-1"

static struct problem problem;
static const char *notice;
static struct disk_operations operations;
static struct disk disk = {.operations = &operations};
static uint64_t clock_us, paused_us;
static void (*meanwhile)(void); /* in each pause */

static uint64_t test_now(struct disk *d)
{
    (void)d;
    return clock_us;
}

static void test_pause(struct disk *d, uint64_t duration)
{
    (void)d;
    clock_us += duration;
    paused_us += duration;
    if (meanwhile != NULL)
        meanwhile();
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Each test works in a folder of its own, with a data folder of node 1 in it. */
static int enter(void **state)
{
    char path[] = "/tmp/synod-lease-XXXXXX";
    if (mkdtemp(path) == NULL || chdir(path) != 0)
        return -1;
    *state = strdup(path);
    operations = *disk_posix()->operations;
    operations.now = test_now;
    operations.pause = test_pause;
    clock_us = 1000;
    paused_us = 0;
    meanwhile = NULL;
    return *state == NULL || !data_folder_format(&disk, FOLDER, "demo", 1, NULL, NULL, &problem);
}

static int leave(void **state)
{
    int bad = chdir("/") != 0 || nftw(*state, remove_entry, 8, FTW_DEPTH | FTW_PHYS) != 0;
    free(*state);
    return bad;
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static size_t read_text(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t len = fread(text, 1, size - 1, f);
    text[len] = '\0';
    fclose(f);
    return len;
}

static bool exists(const char *path) { return access(path, F_OK) == 0; }

static struct data_folder *open_as(enum data_folder_guard guard)
{
    struct data_folder *f = NULL;
    if (!data_folder_open_guarded(&f, &disk, FOLDER, "demo", 1, guard, NULL, &problem))
        fail_msg("%s", problem.text);
    return f;
}

static void expect_refused(enum data_folder_guard guard, const char *text)
{
    struct data_folder *f = NULL;
    assert_false(data_folder_open_guarded(&f, &disk, FOLDER, "demo", 1, guard, NULL, &problem));
    assert_null(f);
    assert_string_equal(problem.text, text);
    assert_int_equal(problem.exit_code, EXIT_DATA);
}

static const char in_use[] = FOLDER " is already in use by another node, which renews its lease";

/* A node in a sandbox that has the folder and goes on (`alive`), or was killed. */
static struct data_folder *guest;

static void guest_works(void)
{
    if (!data_folder_renew(guest, &problem))
        fail_msg("%s", problem.text);
}

/* Its lease, as one that is killed now leaves it. */
static void guest_killed(void)
{
    char text[256];
    guest = open_as(DATA_FOLDER_LEASE);
    read_text(FOLDER "/lease", text, sizeof text);
    data_folder_close(guest);
    write_text(FOLDER "/lease", text);
    paused_us = 0;
}

/* ---- Nodes in sandboxes among themselves ---- */

static void test_lease_is_given_back(void **state)
{
    (void)state;
    char before[256], after[256];
    for (uint32_t boot = 1; boot <= 2; boot++) {
        struct data_folder *f = open_as(DATA_FOLDER_LEASE);
        assert_int_equal(data_folder_identity(f)->incarnation, boot);
        assert_null(data_folder_notice(f));
        assert_true(exists(FOLDER "/lease"));
        data_folder_close(f);
        assert_false(exists(FOLDER "/lease"));
    }
    assert_true(paused_us <= 2 * 500000); /* a free folder is not watched */

    struct data_folder *f = open_as(DATA_FOLDER_LEASE);
    clock_us += LEASE_RENEW_US;
    assert_true(data_folder_renew(f, &problem));
    read_text(FOLDER "/lease", before, sizeof before);
    clock_us += LEASE_RENEW_US - 1;
    assert_true(data_folder_renew(f, &problem));
    read_text(FOLDER "/lease", after, sizeof after);
    assert_string_equal(after, before);
    clock_us += 1;
    assert_true(data_folder_renew(f, &problem));
    read_text(FOLDER "/lease", after, sizeof after);
    assert_string_not_equal(after, before);
    data_folder_close(f);
}

static void test_living_lease_refuses(void **state)
{
    (void)state;
    guest = open_as(DATA_FOLDER_LEASE);
    paused_us = 0;
    meanwhile = guest_works;
    expect_refused(DATA_FOLDER_LEASE, in_use);
    assert_true(paused_us <= 2 * LEASE_RENEW_US);
    expect_refused(DATA_FOLDER_LOCK, in_use);
    meanwhile = NULL;
    guest_works();
    clock_us += 10 * LEASE_RENEW_US;
    guest_works(); /* refused ones have changed nothing */
    data_folder_close(guest);
    struct data_folder *f = open_as(DATA_FOLDER_LOCK);
    assert_int_equal(data_folder_identity(f)->incarnation, 2); /* nor counted as boots */
    data_folder_close(f);
}

static void test_silent_lease_is_taken_over(void **state)
{
    (void)state;
    guest_killed();
    struct data_folder *f = open_as(DATA_FOLDER_LEASE);
    assert_true(paused_us > LEASE_PERIOD_S * 1000000);
    assert_non_null(data_folder_notice(f));
    data_folder_close(f);
    assert_false(exists(FOLDER "/lease"));
}

static void close_guest(void)
{
    if (guest != NULL)
        data_folder_close(guest);
    guest = NULL;
}

static void test_lease_given_back_under_watch(void **state)
{
    (void)state;
    guest = open_as(DATA_FOLDER_LEASE);
    paused_us = 0;
    meanwhile = close_guest;
    struct data_folder *f = open_as(DATA_FOLDER_LEASE);
    assert_true(paused_us < LEASE_RENEW_US);
    assert_null(data_folder_notice(f));
    data_folder_close(f);
}

static void claim_by_another(void)
{
    write_text(FOLDER "/lease", "synod-lease 1\nholder 0000000000000001\ncount 0\nperiod 5\n");
}

static void test_two_at_the_same_time(void **state)
{
    (void)state;
    meanwhile = claim_by_another;
    expect_refused(DATA_FOLDER_LEASE, FOLDER " is already in use by another node, which came at the same time");
    assert_true(exists(FOLDER "/lease")); /* the other's */
}

/* A holder whose machine slept. */
static void test_lost_lease_is_noticed(void **state)
{
    (void)state;
    struct data_folder *first = open_as(DATA_FOLDER_LEASE), *second;
    second = open_as(DATA_FOLDER_LEASE); /* time passes for both */
    assert_non_null(data_folder_notice(second));
    assert_false(data_folder_renew(first, &problem));
    assert_string_equal(problem.text,
                        FOLDER "/lease: another node has taken this folder over, because this one gave no sign for "
                               "5 seconds");
    data_folder_close(first);
    assert_true(exists(FOLDER "/lease"));
    clock_us += LEASE_RENEW_US;
    assert_true(data_folder_renew(second, &problem));
    data_folder_close(second);
    assert_false(exists(FOLDER "/lease"));
}

/* Half a file, one of another version, one that asks for very long, or for no time at all. */
static void test_strange_leases_are_watched(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t seconds;
    } leases[] = {
        {"", 5},
        {"synod-lease 1\nhol", 5},
        {"\xff\xfe\x00", 5},
        {"synod-lease 2\nholder elephant\ncount 8\nperiod 7\n", 7},
        {"synod-lease 1\nholder 0000000000000001\ncount 0\nperiod 99\n", 60},
        {"synod-lease 1\nholder 0000000000000001\ncount 0\nperiod 0\n", 5},
    };
    for (size_t i = 0; i < sizeof leases / sizeof leases[0]; i++) {
        write_text(FOLDER "/lease", leases[i].text);
        paused_us = 0;
        data_folder_close(open_as(DATA_FOLDER_LEASE));
        assert_in_range(paused_us, leases[i].seconds * 1000000 + 1, leases[i].seconds * 1000000 + 2000000);
    }
}

static void test_lease_that_cannot_be_written(void **state)
{
    (void)state;
    assert_int_equal(mkdir(FOLDER "/lease", 0700), 0);
    expect_refused(DATA_FOLDER_LEASE, FOLDER "/lease: Is a directory");
}

/* ---- Processes and nodes in sandboxes ---- */

static void test_process_refuses_guest(void **state)
{
    (void)state;
    char text[512];
    struct data_folder *f = open_as(DATA_FOLDER_LOCK);
    snprintf(text, sizeof text,
             FOLDER
             " is in use by process %d, or that process was killed: if it runs no more, start and stop the node once with "
             "`synod start`, or remove " FOLDER "/lock",
             (int)getpid());
    expect_refused(DATA_FOLDER_LEASE, text);
    assert_false(exists(FOLDER "/lease"));
    assert_int_equal(paused_us, 0);
    data_folder_close(f);
    data_folder_close(open_as(DATA_FOLDER_LEASE));
}

/* Opens the folder in a process of its own, and kills that. */
static int process_killed(void)
{
    int pipes[2], status;
    char byte;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct data_folder *f = NULL;
        bool ok = data_folder_open(&f, &disk, FOLDER, "demo", 1, &problem);
        if (!ok || write(pipes[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(pipes[1]);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    close(pipes[0]);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return (int)child;
}

static void test_killed_process(void **state)
{
    (void)state;
    char text[512];
    int child = process_killed();
    snprintf(text, sizeof text,
             FOLDER
             " is in use by process %d, or that process was killed: if it runs no more, start and stop the node once with "
             "`synod start`, or remove " FOLDER "/lock",
             child);
    expect_refused(DATA_FOLDER_LEASE, text);
    struct data_folder *f = open_as(DATA_FOLDER_LOCK); /* asks the lock, and waits for nothing */
    assert_null(data_folder_notice(f));
    data_folder_close(f);
    assert_int_equal(paused_us, 0);
    data_folder_close(open_as(DATA_FOLDER_LEASE)); /* the first piece of advice works */
    process_killed();
    assert_int_equal(unlink(FOLDER "/lock"), 0);
    data_folder_close(open_as(DATA_FOLDER_LEASE)); /* and so does the second */
}

static void test_guest_refuses_process(void **state)
{
    (void)state;
    char text[64];
    guest = open_as(DATA_FOLDER_LEASE);
    meanwhile = guest_works;
    expect_refused(DATA_FOLDER_LOCK, in_use);
    assert_int_equal(data_folder_lock(&disk, FOLDER, 1, NULL, &notice, &problem), -1);
    assert_string_equal(problem.text, in_use);
    assert_int_equal(read_text(FOLDER "/lock", text, sizeof text), 0); /* a refused process leaves no trace */
    data_folder_close(guest);
}

static void test_process_takes_over_from_guest(void **state)
{
    (void)state;
    guest_killed();
    struct data_folder *f = open_as(DATA_FOLDER_LOCK);
    assert_true(paused_us > LEASE_PERIOD_S * 1000000);
    assert_non_null(data_folder_notice(f));
    assert_false(exists(FOLDER "/lease"));
    data_folder_close(f);
    paused_us = 0;
    data_folder_close(open_as(DATA_FOLDER_LOCK)); /* once */
    assert_int_equal(paused_us, 0);
}

static void lock_by_process(void) { write_text(FOLDER "/lock", "77\n"); }

static void test_process_comes_at_the_same_time(void **state)
{
    (void)state;
    meanwhile = lock_by_process;
    expect_refused(DATA_FOLDER_LEASE, FOLDER
                   " is in use by process 77, or that process was killed: if it runs no more, start and stop the node "
                   "once with `synod start`, or remove " FOLDER "/lock");
    assert_false(exists(FOLDER "/lease")); /* the process finds it gone, and goes on */
}

/* A host of ours that locks for a node in its sandbox. */
static void test_unguarded(void **state)
{
    (void)state;
    int lock = data_folder_lock(&disk, FOLDER, 1, NULL, &notice, &problem);
    assert_true(lock >= 0);
    assert_null(notice);
    struct data_folder *f = open_as(DATA_FOLDER_UNGUARDED);
    clock_us += 10 * LEASE_RENEW_US;
    assert_true(data_folder_renew(f, &problem));
    assert_false(exists(FOLDER "/lease"));
    data_folder_close(f);
    struct data_folder *other = NULL;
    assert_false(data_folder_open(&other, &disk, FOLDER, "demo", 1, &problem));
    disk_unlock(&disk, lock);
    data_folder_close(open_as(DATA_FOLDER_LEASE));
    assert_int_equal(data_folder_lock(&disk, "nothing", 1, NULL, &notice, &problem), -1);
    assert_string_equal(problem.text, "nothing is not formatted: run synod init --config FILE --node 1");
    guest_killed();
    lock = data_folder_lock(&disk, FOLDER, 1, NULL, &notice, &problem);
    assert_true(lock >= 0);
    assert_non_null(notice);
    disk_unlock(&disk, lock);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(test_lease_is_given_back),
        TEST(test_living_lease_refuses),
        TEST(test_silent_lease_is_taken_over),
        TEST(test_lease_given_back_under_watch),
        TEST(test_two_at_the_same_time),
        TEST(test_lost_lease_is_noticed),
        TEST(test_strange_leases_are_watched),
        TEST(test_lease_that_cannot_be_written),
        TEST(test_process_refuses_guest),
        TEST(test_killed_process),
        TEST(test_guest_refuses_process),
        TEST(test_process_takes_over_from_guest),
        TEST(test_process_comes_at_the_same_time),
        TEST(test_unguarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
