/* The component wasi-storage under Wasmtime, over real files, beside the same journal and data folder linked in: what one
 * writes the other must find, byte for byte, however the first one ended.
 *
 * With the arguments `append FOLDER` this program is a node that appends until it is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/component/broken_files.h"
#include "tests/component/storage_guest.h"
#include "tests/component/wasm_signals.h"
#include "tests/unit/configuration_text.h"

static const char *program;

/* ---- Each test works in a folder of its own, with the data folder node-1 in it ---- */

static void format(const char *folder)
{
    struct config_node node;
    const struct config config = guest_config(&node, DURABILITY_FSYNC);
    char governed[GOVERNED_TEXT_MAX];
    governed_print(&config, governed);
    if (!data_folder_format(disk_posix(), folder, "demo", 1, instance, governed, &problem))
        fail_msg("%s", problem.text);
}

static int enter(void **state)
{
    char path[] = "/tmp/synod-wasi-storage-XXXXXX";
    wasm_signals_restore();
    if (mkdtemp(path) == NULL || chdir(path) != 0)
        return -1;
    *state = strdup(path);
    format("node-1");
    return *state == NULL;
}

static int leave(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", (const char *)*state);
    free(*state);
    return chdir("/") != 0 || system(command) != 0;
}

static void test_back_and_forth(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (uint32_t boot = 1; boot <= 6; boot++) {
        if (boot % 2 == 0) {
            struct native *n = native_open("node-1");
            assert_int_equal(data_folder_identity(n->folder)->incarnation, boot);
            assert_int_equal(native_recover(n), last);
            for (uint32_t count = 1; count < 30; last += count++)
                native_append(n, last + 1, count);
            native_end(n);
        } else {
            struct guest *g = guest_new(".", "node-1", boot % 4 == 1, DURABILITY_FSYNC);
            assert_int_equal(guest_open(g), boot);
            assert_int_equal(guest_open(g), boot); /* a boot is counted once */
            assert_int_equal(guest_recover(g), last);
            for (uint32_t count = 1; count < 30; last += count++)
                guest_append(g, last + 1, count);
            assert_string_equal(g->log, "");
            guest_end(g);
        }
    }
    assert_true(last > 2000);
}

static size_t read_file(const char *folder, const char *name, uint8_t *bytes, size_t size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail_msg("%s: not there", path);
    size_t len = fread(bytes, 1, size, f);
    fclose(f);
    assert_true(len < size);
    return len;
}

/* The same life writes the same files. Left out are the lock, which is free or another's, and what the next segment is
 * made of. */
static void compare_folders(const char *a, const char *b)
{
    static uint8_t in_a[4 << 20], in_b[4 << 20];
    size_t files = 0;
    DIR *dir = opendir(a);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "lock") == 0 || strcmp(entry->d_name, "journal-spare.tmp") == 0)
            continue;
        size_t len = read_file(a, entry->d_name, in_a, sizeof in_a);
        assert_int_equal(read_file(b, entry->d_name, in_b, sizeof in_b), len);
        if (memcmp(in_a, in_b, len) != 0)
            fail_msg("%s differs", entry->d_name);
        files++;
    }
    closedir(dir);
    assert_true(files > 3);
}

static void test_same_bytes(void **state)
{
    (void)state;
    const struct frame_origin peer = {.sender = 9, .instance = {5}, .incarnation = 3, .nonce = 12};
    uint64_t words[3] = {5, 0, 12};
    format("native");
    struct native *n = native_open("native");
    struct guest *g = guest_new(".", "node-1", true, DURABILITY_FSYNC);
    guest_open(g);
    for (uint32_t count = 1, last = 0; count < 40; last += count++) {
        native_append(n, last + 1, count);
        guest_append(g, last + 1, count);
    }
    assert_int_equal(data_folder_accept_peer(n->folder, &peer), PEER_ACCEPTED);
    struct packet packet = {.id = 9, .kind = 3, .len = sizeof words, .words = {words, 3}};
    assert_int_equal(guest_call(g, ACCEPT_PEER, (struct typed_call){.packets = {&packet, 1}}).result, 1);
    compare_folders("native", "node-1");
    compare_folders("node-1", "native");
    native_end(n);
    guest_end(g);
}

static void test_peers(void **state)
{
    (void)state;
    uint64_t one[3] = {1, 2, 7}, other[3] = {1, 3, 7}, copy[3] = {1, 2, 8};
    struct packet packet = {.id = 2, .kind = 5, .len = sizeof one, .words = {one, 3}};
    struct typed_call call = {.packets = {&packet, 1}};
    struct guest *g = guest_new(".", "node-1", true, DURABILITY_FSYNC);
    assert_int_equal(guest_call(g, ACCEPT_PEER, call).result, PEER_ACCEPTED);
    assert_int_equal(guest_call(g, ACCEPT_PEER, call).result, PEER_ACCEPTED);
    packet.words.ptr = other;
    assert_int_equal(guest_call(g, ACCEPT_PEER, call).result, PEER_OTHER_INSTANCE);
    guest_drop(g);
    g = guest_new(".", "node-1", true, DURABILITY_FSYNC);
    assert_int_equal(guest_call(g, ACCEPT_PEER, call).result, PEER_OTHER_INSTANCE);
    packet.words.ptr = copy;
    assert_int_equal(guest_call(g, ACCEPT_PEER, call).result, PEER_ANOTHER_LIFE);
    packet.words.ptr = one;
    assert_int_equal(guest_call(g, ACCEPT_PEER, call).result, PEER_ACCEPTED);
    packet.kind = 4;
    assert_int_equal(guest_call(g, ACCEPT_PEER, call).result, PEER_EARLIER_LIFE);
    packet.id = UINT64_MAX;
    assert_int_equal(guest_call(g, ACCEPT_PEER, call).result, PEER_UNKNOWN_WHY);
    packet.id = 2;
    packet.len = 23;
    assert_int_equal(guest_call(g, ACCEPT_PEER, call).result, PEER_UNKNOWN_WHY);
    assert_int_equal(guest_call(g, ACCEPT_PEER, (struct typed_call){0}).result, PEER_UNKNOWN_WHY);
    guest_end(g);
}

/* Node 2 loses its disk. The host knows of the next one while the node runs, and gives it with the settings. */
static void test_replaced_peer(void **state)
{
    (void)state;
    uint64_t old[3] = {2, 0, 7}, new[3] = {0x33, 0, 8};
    const uint32_t first = incarnation_first(1) + 1;
    struct packet was = {.id = 2, .kind = 5, .len = sizeof old, .words = {old, 3}};
    struct packet is = {.id = 2, .kind = first, .len = sizeof new, .words = {new, 3}};
    const struct typed_call call = {.packets = {&was, 1}}, again = {.packets = {&is, 1}};
    struct configuration_text *text = memory_new(1, sizeof *text);
    struct guest *g = guest_new(".", "node-1", true, DURABILITY_FSYNC);
    assert_int_equal(guest_call(g, ACCEPT_PEER, call).result, PEER_ACCEPTED);
    assert_int_equal(guest_call(g, ACCEPT_PEER, again).result, PEER_OTHER_INSTANCE);
    configuration_begin(text, 0, node_set_of(1) | node_set_of(2));
    text->members[2].number = 1;
    text->members[2].instance[0] = 0x33;
    struct payload value = configuration_pack(text);
    g->told[1] = (struct packet){.id = 813, .len = value.len, .words = value.words};
    assert_int_equal(guest_call(g, ACCEPT_PEER, again).result, PEER_ACCEPTED);
    assert_int_equal(guest_call(g, ACCEPT_PEER, call).result, PEER_OTHER_INSTANCE);
    guest_end(g);
    payload_free(&value);
    free(text);
}

static void test_reading_back(void **state)
{
    (void)state;
    struct guest *g = guest_new(".", "node-1", true, DURABILITY_FSYNC);
    guest_append(g, 1, 700);
    guest_append(g, 701, 300);
    for (uint64_t from = 1; from <= 1000; from += 37) {
        struct typed_call call = guest_call(g, READ, (struct typed_call){.scalars = {from, 20000}});
        size_t bytes = 0;
        assert_true(call.result_packets.len > 0);
        for (size_t i = 0; i < call.result_packets.len; i++) {
            assert_true(bytes < 20000);
            record_check(&call.result_packets.ptr[i], from + i, record_len(from + i));
            bytes += call.result_packets.ptr[i].len;
        }
        assert_true(bytes >= 20000 || from + call.result_packets.len == 1001);
    }
    assert_int_equal(guest_call(g, READ, (struct typed_call){.scalars = {500, 1}}).result_packets.len, 1);
    assert_int_equal(guest_call(g, READ, (struct typed_call){.scalars = {1001, 1}}).result_packets.len, 0);
    guest_end(g);
}

/* More than a group holds, in one call; and for long: nothing is kept that need not be. */
static void test_much(void **state)
{
    (void)state;
    struct guest *g = guest_new(".", "node-1", true, DURABILITY_OS);
    uint64_t last = 0;
    guest_append_len(g, 1, 3, 3 << 20);
    last = 3;
    for (int i = 0; i < 2000; i++, last += 4)
        guest_append_len(g, last + 1, 4, 8192); /* 64 MB in all */
    struct typed_call call = guest_call(g, READ, (struct typed_call){.scalars = {2, 1}});
    assert_int_equal(call.result_packets.len, 1);
    record_check(call.result_packets.ptr, 2, 3 << 20);
    guest_end(g);
    struct native *n = native_open("node-1");
    native_read_all(n);
    assert_int_equal(journal_store_last(n->store), last);
    native_end(n);
}

/* ---- Ends that are none ---- */

/* The newest segment. */
static void newest_segment(char path[512])
{
    struct dirent **names;
    int count = scandir("node-1", &names, NULL, alphasort);
    path[0] = '\0';
    for (int i = 0; i < count; i++) {
        if (strncmp(names[i]->d_name, "journal-0", 9) == 0)
            snprintf(path, 512, "node-1/%s", names[i]->d_name);
        free(names[i]);
    }
    free(names);
    assert_true(path[0] != '\0');
}

/* Spoils a byte in the last page that is not zero. */
static void tear_tail(void)
{
    char path[512];
    uint8_t page[JOURNAL_PAGE], zero[JOURNAL_PAGE] = {0};
    newest_segment(path);
    int fd = open(path, O_RDWR);
    off_t at = lseek(fd, 0, SEEK_END);
    do {
        at -= JOURNAL_PAGE;
        assert_int_equal(pread(fd, page, sizeof page, at), sizeof page);
    } while (memcmp(page, zero, sizeof page) == 0);
    page[100] ^= 1;
    assert_int_equal(pwrite(fd, page, sizeof page, at), sizeof page);
    close(fd);
}

static void test_torn_tail(void **state)
{
    (void)state;
    struct native *n = native_open("node-1");
    native_append(n, 1, 20);
    native_append(n, 21, 3);
    native_end(n);
    tear_tail();
    struct guest *g = guest_new(".", "node-1", true, DURABILITY_FSYNC);
    assert_int_equal(guest_recover(g), 20);
    assert_non_null(strstr(g->log, "journal: journal node-1/journal-00000000000000000001.log: offset "));
    assert_non_null(strstr(g->log, "cut a torn tail of "));
    guest_append(g, 21, 10);
    guest_drop(g); /* without a mark */
    tear_tail();
    n = native_open("node-1");
    assert_int_equal(native_recover(n), 20);
    assert_non_null(strstr(n->notice, "cut a torn tail of "));
    native_end(n);
}

static void test_corruption(void **state)
{
    (void)state;
    struct guest *g = guest_new(".", "node-1", true, DURABILITY_FSYNC);
    guest_append(g, 1, 20);
    guest_end(g); /* with a mark, so the last group before it was durable */
    char path[512];
    newest_segment(path);
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "x", 1, JOURNAL_PAGE + 60), 1);
    close(fd);
    g = guest_new(".", "node-1", true, DURABILITY_FSYNC);
    guest_open(g);
    guest_fails(g, RECOVER, (struct typed_call){0}, EXIT_DATA, "offset 4096: ");
    guest_drop(g);
}

/* What is not needed goes, and the next life begins with what is left. */
static void test_truncation(void **state)
{
    (void)state;
    struct guest *g = guest_new(".", "node-1", true, DURABILITY_FSYNC);
    uint64_t last = 0;
    for (int i = 0; i < 8; i++, last += 100)
        guest_append_len(g, last + 1, 100, 8192);
    guest_call(g, TRUNCATE, (struct typed_call){.scalars = {last - 5}});
    for (int i = 0; i < 8; i++, last += 100)
        guest_append_len(g, last + 1, 100, 8192);
    assert_int_equal(guest_call(g, READ, (struct typed_call){.scalars = {1, 1}}).result_packets.len, 0);
    record_check(guest_call(g, READ, (struct typed_call){.scalars = {795, 1}}).result_packets.ptr, 795, 8192);
    for (int i = 0; i < 16; i++) /* each call removes one segment */
        guest_call(g, DURABLE, (struct typed_call){0});
    assert_int_equal(access("node-1/journal-00000000000000000001.log", F_OK), -1);
    guest_drop(g);
    struct native *n = native_open("node-1");
    struct packet_list found;
    assert_true(journal_store_recover(n->store, &found, &problem));
    assert_in_range(found.ptr[0].id, 600, 795);
    native_read_all(n);
    assert_int_equal(journal_store_last(n->store), last);
    native_end(n);
    g = guest_new(".", "node-1", true, DURABILITY_FSYNC);
    assert_in_range(guest_call(g, RECOVER, (struct typed_call){0}).result_packets.ptr[0].id, 600, 795);
    guest_end(g);
}

static void test_idle_mark(void **state)
{
    (void)state;
    struct guest *g = guest_new(".", "node-1", true, DURABILITY_FSYNC);
    guest_append(g, 1, 5);
    guest_call(g, DURABLE, (struct typed_call){0});
    guest_drop(g);
    struct native *n = native_open("node-1");
    native_read_all(n);
    assert_false(journal_store_ends_in_mark(n->store));
    native_end(n);
    g = guest_new(".", "node-1", true, DURABILITY_FSYNC);
    guest_append(g, 6, 5);
    usleep(1100000); /* a second without records is the condition itself */
    guest_call(g, DURABLE, (struct typed_call){0});
    guest_drop(g);
    n = native_open("node-1");
    assert_int_equal(native_recover(n), 10);
    assert_true(journal_store_ends_in_mark(n->store));
    native_end(n);
}

static pid_t spawn_appender(const char *folder, int *from)
{
    int pipes[2];
    pid_t child;
    posix_spawn_file_actions_t actions;
    char *arguments[] = {(char *)program, "append", (char *)folder, NULL};
    extern char **environ;
    assert_int_equal(pipe(pipes), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
    assert_int_equal(posix_spawn(&child, program, &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    *from = pipes[0];
    return child;
}

static int append_until_killed(const char *folder)
{
    struct guest *g = guest_new(".", folder, true, DURABILITY_FSYNC);
    guest_open(g);
    uint64_t last = guest_recover(g);
    for (uint32_t i = 0;; i++) {
        uint32_t count = 1 + i % 9;
        guest_append(g, last + 1, count);
        last += count;
        if (write(STDOUT_FILENO, &last, sizeof last) != sizeof last)
            return 1;
    }
}

static void test_killed(void **state)
{
    (void)state;
    uint64_t durable = 0;
    for (int round = 0; round < 5; round++) {
        int from;
        uint64_t told, before = durable;
        pid_t child = spawn_appender("node-1", &from);
        for (int i = 0; i < 20 + 13 * round && read(from, &told, sizeof told) == sizeof told; i++)
            durable = told;
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (read(from, &told, sizeof told) == sizeof told)
            durable = told;
        close(from);
        assert_true(durable > before);
        if (round % 2 == 0) {
            struct native *n = native_open("node-1");
            assert_true(native_recover(n) >= durable);
            durable = journal_store_last(n->store);
            native_end(n);
        }
    }
    assert_true(durable > 200);
}

/* ---- durability ---- */

static void test_memory(void **state)
{
    (void)state;
    struct guest *g = guest_new(".", "node-1", true, DURABILITY_MEMORY);
    guest_append(g, 1, 100);
    for (uint64_t lsn = 1; lsn <= 100; lsn++)
        record_check(guest_call(g, READ, (struct typed_call){.scalars = {lsn, 1}}).result_packets.ptr, lsn, record_len(lsn));
    assert_int_equal(guest_call(g, READ, (struct typed_call){.scalars = {1, UINT64_MAX}}).result_packets.len, 100);
    assert_int_equal(guest_call(g, READ, (struct typed_call){.scalars = {101, 1}}).result_packets.len, 0);
    assert_non_null(strstr(g->log, "durability: memory"));
    uint64_t last = 100;
    for (int i = 0; i < 200; i++, last += 8)
        guest_append_len(g, last + 1, 8, 8192); /* 13 MB, of which 4 are kept */
    record_check(guest_call(g, READ, (struct typed_call){.scalars = {last - 300, 1}}).result_packets.ptr, last - 300, 8192);
    guest_fails(g, READ, (struct typed_call){.scalars = {1, 1}}, EXIT_DATA, "lsn 1 is no longer kept");
    guest_drop(g);
    guest_open_refused(guest_new(".", "node-1", true, DURABILITY_MEMORY), EXIT_DATA,
                       "it ran with `durability: memory` before");
    guest_open_refused(guest_new(".", "node-1", true, DURABILITY_FSYNC), EXIT_DATA,
                       "it ran with `durability: memory` before");
}

static void test_os(void **state)
{
    (void)state;
    struct guest *g = guest_new(".", "node-1", true, DURABILITY_OS);
    guest_append(g, 1, 10);
    assert_non_null(strstr(g->log, "durability: os"));
    guest_end(g);
    g = guest_new(".", "node-1", true, DURABILITY_OS); /* after a good end everything is there */
    assert_int_equal(guest_recover(g), 10);
    guest_append(g, 11, 10);
    guest_end(g);
    struct native *n = native_open("node-1");
    assert_int_equal(native_recover(n), 20);
    native_end(n);
    g = guest_new(".", "node-1", true, DURABILITY_OS);
    guest_append(g, 21, 10);
    guest_drop(g); /* after another one it is unknown */
    guest_open_refused(guest_new(".", "node-1", true, DURABILITY_OS), EXIT_DATA,
                       "nobody knows here whether the machine was started again since");
}

static void test_failed_write_is_final(void **state)
{
    (void)state;
    struct guest *g = guest_new(".", "node-1", true, DURABILITY_FSYNC);
    guest_append(g, 1, 10);
    struct packet record = record_make(11, 100);
    assert_true(break_files("/node-1/journal-") > 0);
    guest_fails(g, APPEND, (struct typed_call){.packets = {&record, 1}}, EXIT_SYNC_FAILED, "cannot write 4096 bytes: ");
    free(record.words.ptr);
    guest_drop(g);
    struct native *n = native_open("node-1");
    assert_int_equal(native_recover(n), 10);
    native_end(n);
}

/* ---- The folder ---- */

static void test_folders(void **state)
{
    (void)state;
    guest_open_refused(guest_new(".", "node-2", true, DURABILITY_FSYNC), EXIT_DATA,
                       "node-2 is not formatted: run synod init --config FILE --node 1");
    struct guest *g = guest_new("node-1", ".", true, DURABILITY_FSYNC); /* the folder that the host opened itself */
    guest_append(g, 1, 10);
    assert_string_equal(g->log, "");
    guest_end(g);
    assert_int_equal(mkdir("above", 0700), 0);
    assert_int_equal(rename("node-1", "above/node-1"), 0);
    g = guest_new(".", "above/node-1", true, DURABILITY_FSYNC);
    assert_int_equal(guest_recover(g), 10);
    guest_end(g);
    guest_open_refused(guest_new("above", "../node-1", true, DURABILITY_FSYNC), EXIT_DATA, "../node-1: ");
    assert_int_equal(chmod("above/node-1/identity", 0600), 0);
    uint64_t junk[4] = {0};
    g = guest_new(".", "above/node-1", true, DURABILITY_FSYNC);
    free(g->told[0].words.ptr);
    g->told[0] = (struct packet){.len = sizeof junk, .words = {memory_new(4, 8), 4}};
    guest_open_refused(g, EXIT_BAD_INPUT, "storage: the settings are damaged, or of another version");
}

/* As tests/unit/test_data_folder.c: what is no file is refused, and a link is not followed. */
static void test_what_is_no_file_is_refused(void **state)
{
    (void)state;
    assert_int_equal(rename("node-1/identity", "node-1/elsewhere"), 0);
    assert_int_equal(symlink("elsewhere", "node-1/identity"), 0);
    guest_open_refused(guest_new(".", "node-1", true, DURABILITY_FSYNC), EXIT_DATA, "links are not followed");
    assert_int_equal(unlink("node-1/identity"), 0);
    assert_int_equal(mkfifo("node-1/identity", 0600), 0);
    guest_open_refused(guest_new(".", "node-1", true, DURABILITY_FSYNC), EXIT_DATA, "not a regular file");
    assert_int_equal(rename("node-1/elsewhere", "node-1/identity"), 0);
    assert_int_equal(close(creat("victim", 0600)), 0);
    assert_int_equal(symlink("../victim", "node-1/identity.tmp"), 0);
    struct guest *g = guest_new(".", "node-1", true, DURABILITY_FSYNC);
    guest_append(g, 1, 1);
    guest_end(g);
    struct stat status;
    assert_int_equal(stat("victim", &status), 0);
    assert_int_equal(status.st_size, 0);
}

/* A node that takes its turns. */
struct turns {
    struct guest *guest;
    pthread_mutex_t lock;
    bool stop;
};

static void *take_turns(void *context)
{
    struct turns *t = context;
    for (bool stop = false; !stop;) {
        guest_call(t->guest, DURABLE, (struct typed_call){0});
        usleep(100000);
        pthread_mutex_lock(&t->lock);
        stop = t->stop;
        pthread_mutex_unlock(&t->lock);
    }
    return NULL;
}

static void test_lease(void **state)
{
    (void)state;
    struct turns turns = {.guest = guest_new(".", "node-1", false, DURABILITY_FSYNC), .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread;
    guest_open(turns.guest);
    assert_int_equal(access("node-1/lease", F_OK), 0);
    assert_int_equal(pthread_create(&thread, NULL, take_turns, &turns), 0);
    struct data_folder *folder = NULL;
    assert_false(data_folder_open(&folder, disk_posix(), "node-1", "demo", 1, &problem));
    assert_string_equal(problem.text, "node-1 is already in use by another node, which renews its lease");
    guest_open_refused(guest_new(".", "node-1", false, DURABILITY_FSYNC), EXIT_DATA,
                       "node-1 is already in use by another node, which renews its lease");
    pthread_mutex_lock(&turns.lock);
    turns.stop = true;
    pthread_mutex_unlock(&turns.lock);
    pthread_join(thread, NULL);

    /* It is killed, another takes over, and should it not be dead after all, it notices. */
    struct guest *next = guest_new(".", "node-1", false, DURABILITY_FSYNC);
    assert_int_equal(guest_open(next), 2);
    assert_non_null(strstr(next->log, "node-1: the folder was taken over"));
    struct packet record = record_make(1, 1);
    guest_fails(turns.guest, APPEND, (struct typed_call){.packets = {&record, 1}}, EXIT_DATA,
                "another node has taken this folder over");
    free(record.words.ptr);
    guest_drop(turns.guest);
    guest_append(next, 1, 10);
    guest_end(next);
    assert_int_not_equal(access("node-1/lease", F_OK), 0);

    struct native *n = native_open("node-1");
    assert_int_equal(native_recover(n), 10);
    guest_open_refused(guest_new(".", "node-1", false, DURABILITY_FSYNC), EXIT_DATA, "node-1 is in use by process ");
    native_end(n);
}

int main(int argc, char **argv)
{
    static char file[4096], self[4096];
    const char *build = getenv("BUILD");
    snprintf(file, sizeof file, "%s/components/wasi-storage.wasm", build != NULL ? build : "build");
    component_file = file;
    program = realpath("/proc/self/exe", self);
    const struct engine_options options = {.turn_timeout = 1000000};
    if (!engine_open(&engine, &options, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return 1;
    }
    if (argc == 3 && strcmp(argv[1], "append") == 0)
        return append_until_killed(argv[2]);
    wasm_signals_keep();
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(test_back_and_forth),
        TEST(test_same_bytes),
        TEST(test_peers),
        TEST(test_replaced_peer),
        TEST(test_reading_back),
        TEST(test_much),
        TEST(test_torn_tail),
        TEST(test_corruption),
        TEST(test_truncation),
        TEST(test_idle_mark),
        TEST(test_killed),
        TEST(test_memory),
        TEST(test_os),
        TEST(test_failed_write_is_final),
        TEST(test_folders),
        TEST(test_lease),
        TEST(test_what_is_no_file_is_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    engine_close(engine);
    return failed;
}
