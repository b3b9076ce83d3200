#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/runners/ports.h"
#include "io/data_folder.h"
#include "io/kept_configurations.h"
#include "io/roster.h"

#define NODE "a/b/node-1" /* parents are made too */

static struct problem problem;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Each test works in an empty folder of its own. */
static int enter(void **state)
{
    char path[] = "/tmp/synod-data-XXXXXX";
    if (mkdtemp(path) == NULL || chdir(path) != 0)
        return -1;
    *state = strdup(path);
    problem = (struct problem){0};
    return *state == NULL;
}

static int leave(void **state)
{
    int bad = chdir("/") != 0 || nftw(*state, remove_entry, 8, FTW_DEPTH | FTW_PHYS) != 0;
    free(*state);
    return bad;
}

static void format(void)
{
    if (!data_folder_format(disk_posix(), NODE, "demo", 1, NULL, "alpha 64\nnode-1 learner\n", &problem))
        fail_msg("%s", problem.text);
}

static struct data_folder *open_folder(void)
{
    struct data_folder *f = NULL;
    if (!data_folder_open(&f, disk_posix(), NODE, "demo", 1, &problem))
        fail_msg("%s", problem.text);
    return f;
}

static void expect_open(const char *cluster, uint32_t node, const char *error)
{
    struct data_folder *f = NULL;
    assert_false(data_folder_open(&f, disk_posix(), NODE, cluster, node, &problem));
    assert_null(f);
    assert_string_equal(problem.text, error);
    assert_int_equal(problem.exit_code, EXIT_DATA);
}

static size_t read_all(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t len = fread(out, 1, size, f);
    fclose(f);
    return len;
}

static void write_all(const char *path, const char *bytes, size_t len)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void test_each_open_is_a_boot(void **state)
{
    (void)state;
    uint8_t instance[16];
    format();
    for (uint32_t boot = 1; boot <= 3; boot++) {
        struct data_folder *f = open_folder();
        const struct identity *id = data_folder_identity(f);
        assert_string_equal(data_folder_path(f), NODE);
        assert_string_equal(id->cluster, "demo");
        assert_int_equal(id->node, 1);
        assert_int_equal(id->incarnation, boot);
        if (boot == 1)
            memcpy(instance, id->instance, 16);
        assert_memory_equal(id->instance, instance, 16);
        data_folder_close(f);
    }
    data_folder_close(NULL);
}

static void test_another_life_is_a_boot_too(void **state)
{
    (void)state;
    format();
    struct data_folder *f = open_folder();
    for (uint32_t boot = 2; boot <= 4; boot++) {
        assert_true(data_folder_reboot(f, &problem));
        assert_int_equal(data_folder_identity(f)->incarnation, boot);
    }
    struct data_folder *other = NULL;
    assert_false(data_folder_open(&other, disk_posix(), NODE, "demo", 1, &problem)); /* it was never given back */
    data_folder_close(f);
    f = open_folder();
    assert_int_equal(data_folder_identity(f)->incarnation, 5);
    data_folder_close(f);
}

/* It is durable at once, and stays over boots. */
static void test_the_newest_segment_is_remembered(void **state)
{
    (void)state;
    format();
    struct data_folder *f = open_folder();
    assert_int_equal(data_folder_identity(f)->newest_segment, 0);
    assert_true(data_folder_newest_segment(f, 1, &problem));
    assert_true(data_folder_newest_segment(f, UINT64_C(1) << 40, &problem));
    assert_int_equal(data_folder_identity(f)->newest_segment, UINT64_C(1) << 40);
    assert_true(data_folder_reboot(f, &problem));
    data_folder_close(f);
    f = open_folder();
    assert_int_equal(data_folder_identity(f)->newest_segment, UINT64_C(1) << 40);
    assert_int_equal(data_folder_identity(f)->incarnation, 3);
    data_folder_close(f);
}

static void test_instances_differ(void **state)
{
    (void)state;
    format();
    assert_true(data_folder_format(disk_posix(), "other", "demo", 1, NULL, NULL, &problem));
    struct data_folder *a = open_folder(), *b = NULL;
    assert_true(data_folder_open(&b, disk_posix(), "other", "demo", 1, &problem));
    assert_memory_not_equal(data_folder_identity(a)->instance, data_folder_identity(b)->instance, 16);
    data_folder_close(a);
    data_folder_close(b);
}

static void test_not_formatted(void **state)
{
    (void)state;
    static const char error[] = NODE " is not formatted: run synod init --config FILE --node 1";
    expect_open("demo", 1, error);
    assert_int_equal(mkdir("a", 0700), 0);
    assert_int_equal(mkdir("a/b", 0700), 0);
    assert_int_equal(mkdir(NODE, 0700), 0);
    expect_open("demo", 1, error);
    assert_int_equal(rmdir(NODE), 0); /* it left nothing there */
}

static void test_format_overwrites_nothing(void **state)
{
    (void)state;
    char before[512], after[512];
    format();
    const size_t len = read_all(NODE "/identity", before, sizeof before);
    assert_false(data_folder_format(disk_posix(), NODE, "demo", 1, NULL, NULL, &problem));
    assert_string_equal(problem.text, NODE " is already formatted, for node 1 of cluster 'demo'");
    assert_int_equal(problem.exit_code, EXIT_DATA);
    assert_int_equal(read_all(NODE "/identity", after, sizeof after), len);
    assert_memory_equal(before, after, len);

    /* A folder that has lost its identity, but nothing else. */
    assert_int_equal(unlink(NODE "/identity"), 0);
    write_all(NODE "/journal-1.log", "x", 1);
    assert_false(data_folder_format(disk_posix(), NODE, "demo", 1, NULL, NULL, &problem));
    assert_string_equal(problem.text, NODE " is not empty (it holds 'journal-1.log') and has no identity");
    assert_int_equal(unlink(NODE "/journal-1.log"), 0);

    /* A formatting that was cut short may be done again. */
    write_all(NODE "/identity.tmp", "synod-id", 8);
    format();
    data_folder_close(open_folder());
}

static void test_format_where_it_cannot(void **state)
{
    (void)state;
    write_all("a", "x", 1);
    assert_false(data_folder_format(disk_posix(), NODE, "demo", 1, NULL, NULL, &problem));
    assert_string_equal(problem.text, "a/b: Not a directory");
    assert_false(data_folder_format(disk_posix(), "a", "demo", 1, NULL, NULL, &problem));
    assert_string_equal(problem.text, "a: Not a directory");
    assert_false(data_folder_format(disk_posix(), "", "demo", 1, NULL, NULL, &problem));
    assert_string_equal(problem.text, "'': no usable path of a data folder");
}

static void test_belongs_to_another(void **state)
{
    (void)state;
    format();
    expect_open("demo", 2, NODE " belongs to node 1 of cluster 'demo', not to node 2 of cluster 'demo'");
    expect_open("prod", 1, NODE " belongs to node 1 of cluster 'demo', not to node 1 of cluster 'prod'");
    struct data_folder *f = open_folder();
    assert_int_equal(data_folder_identity(f)->incarnation, 1); /* refusals are no boots */
    data_folder_close(f);
}

static void test_one_process_at_a_time(void **state)
{
    (void)state;
    char error[200];
    format();
    struct data_folder *f = open_folder();
    snprintf(error, sizeof error, NODE " is already in use by process %d", (int)getpid());
    expect_open("demo", 1, error);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct data_folder *again = NULL;
        _exit(!data_folder_open(&again, disk_posix(), NODE, "demo", 1, &problem) && strcmp(problem.text, error) == 0 ? 0
                                                                                                                     : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    data_folder_close(f);
    f = open_folder(); /* the lock goes with its holder, its file stays */
    assert_int_equal(data_folder_identity(f)->incarnation, 2);
    data_folder_close(f);
}

/* A holder that was killed leaves no lock. */
static void test_lock_of_a_dead_process(void **state)
{
    (void)state;
    int pipes[2];
    char byte;
    format();
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct data_folder *f = NULL;
        bool ok = data_folder_open(&f, disk_posix(), NODE, "demo", 1, &problem);
        if (!ok || write(pipes[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(pipes[1]);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    close(pipes[0]);
    char error[200];
    snprintf(error, sizeof error, NODE " is already in use by process %d", (int)child);
    expect_open("demo", 1, error);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    struct data_folder *f = open_folder();
    assert_int_equal(data_folder_identity(f)->incarnation, 2);
    data_folder_close(f);
}

/* Every byte changed, every length cut: refused by name, and the file is left as it is. */
static void expect_corruption_found(const char *path, const char *error)
{
    char good[4096], bad[4096], after[4096];
    const size_t len = read_all(path, good, sizeof good);
    struct data_folder *f = NULL;
    for (size_t i = 0; i < 2 * len; i++) {
        memcpy(bad, good, len);
        size_t bad_len = len;
        if (i < len)
            bad[i] = (char)(bad[i] ^ 5);
        else
            bad_len = i - len;
        write_all(path, bad, bad_len);
        assert_false(data_folder_open(&f, disk_posix(), NODE, "demo", 1, &problem));
        assert_string_equal(problem.text, error);
        assert_int_equal(problem.exit_code, EXIT_DATA);
        assert_int_equal(read_all(path, after, sizeof after), bad_len);
        assert_memory_equal(after, bad, bad_len);
    }
    memcpy(bad, good, len);
    bad[len] = '\n';
    write_all(path, bad, len + 1);
    expect_open("demo", 1, error);
    write_all(path, good, len);
    data_folder_close(open_folder());
}

static void test_corrupt_identity(void **state)
{
    (void)state;
    format();
    expect_corruption_found(NODE "/identity", NODE "/identity: corrupt");
}

/* What the folder makes of life `incarnation` with this nonce of a peer with an instance id of `instance` and zeros. */
static enum peer_verdict hear(struct data_folder *f, uint32_t peer, uint8_t instance, uint32_t incarnation, uint32_t nonce)
{
    const struct frame_origin origin = {.sender = peer, .instance = {instance}, .incarnation = incarnation, .nonce = nonce};
    return data_folder_accept_peer(f, &origin);
}

static void test_corrupt_peers(void **state)
{
    (void)state;
    format();
    struct data_folder *f = open_folder();
    assert_int_equal(hear(f, 2, 1, 3, 4), PEER_ACCEPTED);
    assert_int_equal(hear(f, 63, 255, 7, UINT32_MAX), PEER_ACCEPTED);
    data_folder_close(f);
    expect_corruption_found(NODE "/peers", NODE "/peers: corrupt");
}

static void test_newer_format(void **state)
{
    (void)state;
    format();
    write_all(NODE "/identity", "synod-identity 7\nwhatever\n", 26);
    expect_open("demo", 1, NODE "/identity: format version 7, this program knows up to 6");
    assert_false(data_folder_format(disk_posix(), NODE, "demo", 1, NULL, NULL, &problem));
    assert_string_equal(problem.text, NODE "/identity: format version 7, this program knows up to 6");
}

/* A file with another version in its first line, without what identities of earlier versions do not have, and the checksum
 * that goes with it. */
static void set_version(const char *path, char version)
{
    static const char sum[] = "checksum ";
    char text[4096] = "";
    read_all(path, text, sizeof text - 1);
    char *end = strstr(text, sum), *line = strchr(text, '\n');
    assert_true(line != NULL && end != NULL);
    line[-1] = version;
    char *numbers = strstr(text, "number "), *after = strstr(text, "segment ");
    if (numbers != NULL) {
        memmove(numbers, after, (size_t)(end - after));
        end -= after - numbers;
    }
    const size_t len = (size_t)(end - text);
    const int last = snprintf(end, sizeof text - len, "%s%016" PRIx64 "\n", sum, checksum(text, len, 0));
    write_all(path, text, len + (size_t)last);
}

/* Folders of the version before are read; what is written has this version's format, which that one refuses. */
static void test_older_format(void **state)
{
    (void)state;
    char text[4096] = "";
    format();
    struct data_folder *f = open_folder();
    assert_int_equal(hear(f, 2, 1, 5, 77), PEER_ACCEPTED);
    data_folder_close(f);
    set_version(NODE "/identity", '4');
    set_version(NODE "/peers", '4');
    f = open_folder();
    assert_int_equal(hear(f, 2, 2, 6, 77), PEER_OTHER_INSTANCE);
    data_folder_close(f);
    read_all(NODE "/identity", text, sizeof text - 1);
    assert_non_null(strstr(text, "synod-identity 6\n"));
    set_version(NODE "/identity", '3');
    expect_open("demo", 1, NODE "/identity: corrupt");
}

static void test_no_incarnations_left(void **state)
{
    (void)state;
    static const char fresh[] = "incarnation 0\n", last[] = "incarnation 1048575\n", sum[] = "checksum ";
    char text[4096] = "", made[4096];
    format();
    read_all(NODE "/identity", text, sizeof text - 1);
    const char *line = strstr(text, fresh), *end = strstr(text, sum);
    assert_true(line != NULL && end != NULL);
    int len = snprintf(made, sizeof made, "%.*s%s%.*s", (int)(line - text), text, last,
                       (int)(end - line) - (int)(sizeof fresh - 1), line + sizeof fresh - 1);
    len += snprintf(made + len, sizeof made - (size_t)len, "%s%016" PRIx64 "\n", sum, checksum(made, (size_t)len, 0));
    write_all(NODE "/identity", made, (size_t)len);
    expect_open("demo", 1, NODE "/identity: no incarnations left");
}

static void test_peers_are_remembered(void **state)
{
    (void)state;
    format();
    struct data_folder *f = open_folder();
    assert_int_equal(hear(f, 2, 1, 5, 77), PEER_ACCEPTED);
    assert_int_equal(hear(f, 2, 1, 5, 77), PEER_ACCEPTED);
    assert_int_equal(hear(f, 2, 2, 5, 77), PEER_OTHER_INSTANCE);
    assert_int_equal(hear(f, 3, 2, 1, 0), PEER_ACCEPTED);
    assert_int_equal(hear(f, 0, 1, 1, 1), PEER_UNKNOWN_WHY);
    assert_int_equal(hear(f, 64, 1, 1, 1), PEER_UNKNOWN_WHY);
    data_folder_close(f);
    f = open_folder();
    assert_int_equal(hear(f, 2, 2, 6, 77), PEER_OTHER_INSTANCE);
    assert_int_equal(hear(f, 2, 1, 5, 77), PEER_ACCEPTED);
    assert_int_equal(hear(f, 3, 1, 1, 0), PEER_OTHER_INSTANCE);
    assert_int_equal(hear(f, 63, 1, 1, 1), PEER_ACCEPTED);
    data_folder_close(f);
}

/* A folder that was put back from an older copy, or runs twice, comes with a life that is not the newest: in each life of
 * every node that hears it. */
static void test_lives_of_peers(void **state)
{
    (void)state;
    format();
    struct data_folder *f = open_folder();
    assert_int_equal(data_folder_known_life(f, 2), 0);
    assert_int_equal(hear(f, 2, 1, 0, 1), PEER_EARLIER_LIFE); /* no life at all */
    assert_int_equal(hear(f, 2, 1, 5, 77), PEER_ACCEPTED);
    for (int life = 0; life < 2; life++) {
        assert_int_equal(data_folder_known_life(f, 2), 5);
        assert_int_equal(hear(f, 2, 1, 4, 77), PEER_EARLIER_LIFE);
        assert_int_equal(hear(f, 2, 1, 5, 78), PEER_ANOTHER_LIFE);
        assert_int_equal(hear(f, 2, 1, 5, 77), PEER_ACCEPTED);
        data_folder_close(f);
        f = open_folder();
    }
    assert_int_equal(hear(f, 2, 1, 6, 1), PEER_ACCEPTED);
    data_folder_close(f);
    f = open_folder();
    assert_int_equal(hear(f, 2, 1, 5, 77), PEER_EARLIER_LIFE);
    assert_int_equal(hear(f, 2, 1, 6, 77), PEER_ANOTHER_LIFE);
    data_folder_close(f);
}

static void test_expelled(void **state)
{
    (void)state;
    format();
    struct data_folder *f = open_folder();
    assert_int_equal(hear(f, 1, 1, 1, 1), PEER_UNKNOWN_WHY); /* itself */
    data_folder_close(f);
    expect_open("demo", 1,
                NODE " is an older copy, or was used twice, as other nodes said (there is a file " NODE
                     "/expelled): what it lacks may have been promised, and it must not be used any more");
}

/* A life of a later disk that is the same one: if it were believed, the node could never be heard again. */
static void test_a_later_disk_is_another_one(void **state)
{
    (void)state;
    format();
    struct data_folder *f = open_folder();
    assert_int_equal(hear(f, 2, 1, 1, 1), PEER_ACCEPTED);
    assert_int_equal(hear(f, 2, 1, UINT32_MAX, 1), PEER_TOO_LATE_LIFE);
    assert_int_equal(hear(f, 2, 1, INCARNATION_BOOTS_MAX + 2, 1), PEER_TOO_LATE_LIFE);
    assert_int_equal(hear(f, 2, 1, INCARNATION_BOOTS_MAX, 1), PEER_ACCEPTED);
    assert_int_equal(hear(f, 2, 1, INCARNATION_BOOTS_MAX + 2, 1), PEER_TOO_LATE_LIFE);
    data_folder_close(f);
}

/* ---- Members ---- */

static struct packet packet_of(uint64_t slot, const char *text, uint64_t words[8])
{
    memset(words, 0, 64);
    memcpy(words, text, strlen(text));
    return (struct packet){.id = slot, .len = (uint32_t)strlen(text), .words = {words, words_for(strlen(text))}};
}

static struct folder_files node_files(void) { return (struct folder_files){disk_posix(), NODE}; }

/* What the folder keeps. The caller frees it. */
static struct kept_configurations read_kept(void)
{
    const struct folder_files files = node_files();
    struct kept_configurations kept;
    if (!kept_configurations_read(&files, 0, &kept, &problem))
        fail_msg("%s", problem.text);
    return kept;
}

static void keep(const struct packet *configuration)
{
    const struct folder_files files = node_files();
    struct kept_configurations kept = read_kept();
    assert_true(kept_configurations_keep(&kept, &files, configuration, &problem));
    kept_configurations_free(&kept);
}

static void join(const struct data_folder_admission *admission)
{
    const int lock = data_folder_lock_new(disk_posix(), NODE, &problem);
    assert_true(lock >= 0 && data_folder_join(disk_posix(), NODE, "demo", 1, admission, NULL, &problem));
    disk_unlock(disk_posix(), lock);
}

/* A disk that takes the place of another one has a number, and so later incarnations than that one ever has. */
static void test_join(void **state)
{
    (void)state;
    uint64_t words[8];
    const uint8_t instance[16] = "another disk ..";
    struct data_folder_admission admission = {
        .instance = instance, .number = 3, .slot = 813, .configuration = packet_of(900, "what was\nchosen\n", words)};
    admission.configuration.kind = CONFIGURATION_SETTLED;
    assert_int_equal(mkdir("a", 0700) + mkdir("a/b", 0700) + mkdir(NODE, 0700), 0);
    write_all(NODE "/configuration", "cut short", 9); /* of a joining that was interrupted */
    join(&admission);
    for (uint32_t boot = 1; boot <= 2; boot++) {
        struct data_folder *f = open_folder();
        const struct identity *id = data_folder_identity(f);
        assert_int_equal(id->incarnation, (3 << 20) + boot);
        assert_int_equal(id->admitted, 813);
        assert_memory_equal(id->instance, instance, 16);
        struct kept_configurations kept = read_kept();
        assert_true(kept.newest.id == 900 && kept.before.id == 0 && kept.newest.kind == CONFIGURATION_SETTLED);
        assert_int_equal(kept.newest.len, strlen("what was\nchosen\n"));
        assert_memory_equal(kept.newest.words.ptr, "what was\nchosen\n", kept.newest.len);
        kept_configurations_free(&kept);
        data_folder_close(f);
    }
}

/* While one asks the cluster for an instance, another one does not. */
static void test_joins_at_once(void **state)
{
    (void)state;
    char expected[256];
    const int lock = data_folder_lock_new(disk_posix(), NODE, &problem);
    assert_true(lock >= 0);
    assert_int_equal(data_folder_lock_new(disk_posix(), NODE, &problem), -1);
    snprintf(expected, sizeof expected, NODE " is already in use by process %d", (int)getpid());
    assert_string_equal(problem.text, expected);
    assert_int_equal(problem.exit_code, EXIT_DATA);
    disk_unlock(disk_posix(), lock);
    format();
    assert_int_equal(data_folder_lock_new(disk_posix(), NODE, &problem), -1);
    assert_string_equal(problem.text, NODE " is already formatted, for node 1 of cluster 'demo'");
}

/* A folder that joined knows from that file alone who the members are. Without it no boot counts. */
static void test_missing_configuration(void **state)
{
    (void)state;
    static const char missing[] =
        NODE "/configuration: missing, and a node that joined knows no member without it; what it has is the same on all "
             "nodes: put that of another node's data folder in its place, and start the node again";
    uint64_t words[8];
    struct governed_change changes[GOVERNED_CHANGES_MAX];
    size_t count;
    const uint8_t instance[16] = "another disk ..";
    const struct data_folder_admission admission = {
        .instance = instance, .number = 3, .slot = 813, .configuration = packet_of(813, "chosen\n", words)};
    join(&admission);
    assert_int_equal(rename(NODE "/configuration", NODE "/away"), 0);
    expect_open("demo", 1, missing);
    assert_false(data_folder_regovern(disk_posix(), NODE, "demo", 1, "alpha 8\n", changes, &count, &problem));
    assert_string_equal(problem.text, missing);
    assert_int_equal(rename(NODE "/away", NODE "/configuration"), 0);
    struct data_folder *f = open_folder();
    assert_int_equal(data_folder_identity(f)->incarnation, (3 << 20) + 1);
    data_folder_close(f);
}

/* Every byte of the file changed, and the file cut at every place. */
static void test_damaged_configuration(void **state)
{
    (void)state;
    static const char corrupt[] =
        NODE "/configuration: corrupt; what it has is the same on all nodes: put that of another node's data "
             "folder in its place, and start the node again";
    uint64_t words[8];
    char text[256], damaged[256];
    format();
    struct data_folder *f = open_folder();
    struct packet c = packet_of(20, "nodes and so on\n", words);
    keep(&c);
    c = packet_of(30, "others", words);
    keep(&c);
    data_folder_close(f);
    const size_t len = read_all(NODE "/configuration", text, sizeof text);
    for (size_t i = 0; i < len; i++) {
        memcpy(damaged, text, len);
        damaged[i] ^= 1;
        write_all(NODE "/configuration", damaged, len);
        assert_false(data_folder_open(&f, disk_posix(), NODE, "demo", 1, &problem));
        assert_int_equal(problem.exit_code, EXIT_DATA);
        if (strstr(problem.text, "format version") == NULL)
            assert_string_equal(problem.text, corrupt);
        write_all(NODE "/configuration", text, i);
        expect_open("demo", 1, corrupt);
    }
    assert_int_equal(unlink(NODE "/configuration"), 0);
    f = open_folder();
    assert_int_equal(read_kept().newest.id, 0);
    assert_int_equal(data_folder_identity(f)->incarnation, 2); /* refusals are no boots */
    data_folder_close(f);
}

/* Once the log says who is a member, a start does not compare that with what the folder was formatted with. */
static void test_formed(void **state)
{
    (void)state;
    static const char before[] = "memory_bytes_max 64\nphase1_quorum 2\nnode-1 learner\n",
                      other[] = "memory_bytes_max 64\nphase1_quorum 1\nnode-2 learner\n";
    static const char wrong[] = "memory_bytes_max 8\nphase1_quorum 1\nnode-2 learner\n";
    uint64_t words[8];
    struct data_folder *f;
    struct governed_change changes[GOVERNED_CHANGES_MAX];
    size_t count;
    assert_true(data_folder_format(disk_posix(), NODE, "demo", 1, NULL, before, &problem));
    assert_false(data_folder_open_guarded(&f, disk_posix(), NODE, "demo", 1, DATA_FOLDER_LOCK, other, &problem));
    assert_string_equal(
        problem.text, NODE
        " was formatted with phase1_quorum 2, and the configuration has 1: that must not change. Give it the old value "
        "back; also if the cluster has formed while this node was down (synod member list says so), because its log has "
        "what was changed since. Only if it has not: stop all nodes, and accept it for each of them with synod init "
        "--regovern --config FILE --node 1 (see --help for the danger)");
    f = open_folder();
    const struct packet c = packet_of(20, "alpha 16\n", words);
    keep(&c);
    data_folder_close(f);
    assert_true(data_folder_open_guarded(&f, disk_posix(), NODE, "demo", 1, DATA_FOLDER_LOCK, other, &problem));
    data_folder_close(f);
    assert_false(data_folder_open_guarded(&f, disk_posix(), NODE, "demo", 1, DATA_FOLDER_LOCK, wrong, &problem));
    assert_string_equal(problem.text, NODE " was formatted with memory_bytes_max 64, and the configuration has 8: that must "
                                           "not change once the cluster has formed. Give it the old value back");
    assert_false(data_folder_regovern(disk_posix(), NODE, "demo", 1, other, changes, &count, &problem));
    assert_int_equal(problem.exit_code, EXIT_BAD_INPUT);
    assert_non_null(strstr(problem.text, "the cluster has formed, so its governed settings are in the log"));
}

/* Another disk of a peer is heard when the cluster has admitted it, and the one before is not heard any more. */
static void test_replaced_peer(void **state)
{
    (void)state;
    const uint32_t second = 1 << 20;
    struct roster *m = memory_new(1, sizeof *m);
    format();
    struct data_folder *f = open_folder();
    assert_int_equal(hear(f, 2, 1, 7, 1), PEER_ACCEPTED);
    assert_int_equal(hear(f, 2, 9, second + 1, 1), PEER_OTHER_INSTANCE);
    m->instances[2] = (struct member_instance){.id = {9}, .number = 1};
    data_folder_admit(f, m);
    assert_int_equal(hear(f, 2, 8, second + 1, 1), PEER_OTHER_INSTANCE);
    assert_int_equal(hear(f, 2, 9, 8, 1), PEER_OTHER_INSTANCE);
    assert_int_equal(hear(f, 2, 9, 2 * second + 1, 1), PEER_OTHER_INSTANCE);
    assert_int_equal(hear(f, 2, 9, second, 1), PEER_EARLIER_LIFE); /* no life is before the first */
    assert_int_equal(hear(f, 2, 1, 8, 1), PEER_ACCEPTED);          /* who may be heard is the network's to say */
    assert_int_equal(hear(f, 2, 9, second + 1, 1), PEER_ACCEPTED);
    assert_int_equal(hear(f, 2, 1, 9, 1), PEER_OTHER_INSTANCE);
    data_folder_close(f);
    f = open_folder();
    assert_int_equal(hear(f, 2, 9, second + 1, 1), PEER_ACCEPTED);
    assert_int_equal(hear(f, 2, 1, 9, 1), PEER_OTHER_INSTANCE);
    data_folder_close(f);
    free(m);
}

static void test_lives_have_nonces(void **state)
{
    (void)state;
    format();
    struct data_folder *f = open_folder();
    const uint32_t first = data_folder_identity(f)->nonce;
    assert_int_equal(identity_origin(data_folder_identity(f)).nonce, first);
    assert_true(data_folder_reboot(f, &problem));
    const uint32_t second = data_folder_identity(f)->nonce;
    data_folder_close(f);
    f = open_folder();
    assert_false(first == second && second == data_folder_identity(f)->nonce); /* once in 2^64 runs */
    data_folder_close(f);
}

/* All 62 peers fit the file. */
static void test_many_peers(void **state)
{
    (void)state;
    format();
    struct data_folder *f = open_folder();
    for (uint8_t n = 2; n <= 63; n++)
        assert_int_equal(hear(f, n, n, INCARNATION_BOOTS_MAX, UINT32_MAX), PEER_ACCEPTED);
    data_folder_close(f);
    f = open_folder();
    for (uint8_t n = 2; n <= 63; n++) {
        assert_int_equal(hear(f, n, n, INCARNATION_BOOTS_MAX, 1), PEER_ANOTHER_LIFE);
        assert_int_equal(hear(f, n, n, INCARNATION_BOOTS_MAX, UINT32_MAX), PEER_ACCEPTED);
    }
    data_folder_close(f);
}

/* What could not be written is neither accepted nor remembered. */
static void test_full_disk(void **state)
{
    (void)state;
    struct rlimit before, none;
    format();
    struct data_folder *f = open_folder();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    const enum peer_verdict verdict = hear(f, 2, 1, 1, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(verdict, PEER_UNKNOWN_WHY);
    assert_int_equal(hear(f, 2, 2, 1, 1), PEER_ACCEPTED);
    data_folder_close(f);
}

/* Should it wait for ever, the test ends. */
static void expect_refused(const char *error)
{
    alarm(30);
    expect_open("demo", 1, error);
    alarm(0);
}

/* A user who can write to the folder may put something else in a file's place. Nothing is followed out of the folder, and no
 * node waits for the other end of a pipe. */
static void test_what_is_no_file_is_refused(void **state)
{
    static const char *const names[] = {"identity", "peers", "lock"};
    (void)state;
    char path[64], error[128], outside[16];
    format();
    struct data_folder *f = open_folder();
    assert_int_equal(hear(f, 2, 1, 1, 1), PEER_ACCEPTED);
    data_folder_close(f);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, NODE "/%s", names[i]);
        assert_int_equal(rename(path, "outside"), 0);
        assert_int_equal(symlink("../../../outside", path), 0);
        snprintf(error, sizeof error, NODE "/%s: a link, and links are not followed", names[i]);
        expect_refused(error);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        snprintf(error, sizeof error, NODE "/%s: not a regular file", names[i]);
        expect_refused(error);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rename("outside", path), 0);
    }
    write_all("victim", "untouched", 9);
    snprintf(path, sizeof path, NODE "/identity.tmp");
    assert_int_equal(symlink("../../../victim", path), 0);
    data_folder_close(open_folder()); /* the link goes, and not what it points to */
    assert_int_equal(mkfifo(path, 0600), 0);
    data_folder_close(open_folder());
    write_all(path, "left by a crash", 15);
    data_folder_close(open_folder());
    assert_int_equal(read_all("victim", outside, sizeof outside), 9);
    assert_memory_equal(outside, "untouched", 9);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(test_each_open_is_a_boot),
        TEST(test_another_life_is_a_boot_too),
        TEST(test_the_newest_segment_is_remembered),
        TEST(test_instances_differ),
        TEST(test_not_formatted),
        TEST(test_format_overwrites_nothing),
        TEST(test_format_where_it_cannot),
        TEST(test_belongs_to_another),
        TEST(test_one_process_at_a_time),
        TEST(test_lock_of_a_dead_process),
        TEST(test_corrupt_identity),
        TEST(test_corrupt_peers),
        TEST(test_newer_format),
        TEST(test_older_format),
        TEST(test_no_incarnations_left),
        TEST(test_join),
        TEST(test_joins_at_once),
        TEST(test_missing_configuration),
        TEST(test_damaged_configuration),
        TEST(test_formed),
        TEST(test_replaced_peer),
        TEST(test_peers_are_remembered),
        TEST(test_lives_of_peers),
        TEST(test_expelled),
        TEST(test_a_later_disk_is_another_one),
        TEST(test_lives_have_nonces),
        TEST(test_many_peers),
        TEST(test_full_disk),
        TEST(test_what_is_no_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
