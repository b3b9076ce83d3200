/* What every transport must do when the cluster's members change while it runs. Included after network_fixture.h. */
#ifndef SYNOD_TESTS_UNIT_ROSTER_FIXTURE_H
#define SYNOD_TESTS_UNIT_ROSTER_FIXTURE_H

/* The members of a configuration that was chosen in this slot: the nodes of `ids`, with the instances of their folders. */
static inline struct roster *members_of(const struct fixture *f, uint64_t slot, node_set ids)
{
    struct roster *m = memory_new(1, sizeof *m);
    m->slot = slot;
    m->members = m->acceptors = ids;
    m->phase1_quorum = node_set_count(ids) / 2 + 1;
    for (size_t i = 0; i < NODES; i++) {
        const struct node *node = &f->nodes[i];
        m->nodes[node->id] = f->config_nodes[i];
        if (node->folder != NULL)
            memcpy(m->instances[node->id].id, data_folder_identity(node->folder)->instance, 16);
    }
    return m;
}

static inline void set_members(struct fixture *f, size_t i, const struct roster *m)
{
    data_folder_admit(f->nodes[i].folder, m);
    network_members(f->nodes[i].network, m);
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

static inline void expect_silence(struct fixture *f, struct node *from, struct node *to, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        send_one(from, node_set_of(to->id), 3, 5);
        uv_sleep(2);
        uv_run(&f->loop, UV_RUN_NOWAIT);
        collect(to);
    }
    assert_int_equal(to->count, 0);
}

/* Node 3 comes, is told so twice, goes, and comes again. */
static inline void check_come_and_go(struct fixture *f)
{
    struct node *one = &f->nodes[0], *two = &f->nodes[1], *three = &f->nodes[2];
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    struct roster *both = members_of(f, 5, 0x6), *all = members_of(f, 6, 0xe), *again = members_of(f, 8, 0xe);
    set_members(f, 0, both);
    set_members(f, 1, both);
    set_members(f, 2, all); /* it knows later ones: it is early, and no node tells it to end */
    wait_connected(f, one, two, 1);
    expect_silence(f, three, one, 100);
    expect_silence(f, one, three, 100);
    assert_int_equal(three->expelled, 0);

    set_members(f, 0, all);
    set_members(f, 1, all);
    wait_connected(f, one, three, 2);
    wait_connected(f, three, one, 3);
    wait_connected(f, three, two, 4);
    const uint64_t reconnects = network_statistics(one->network).reconnects;
    set_members(f, 0, all); /* that is no news, and ends no connection */
    wait_connected(f, one, two, 5);
    wait_connected(f, two, one, 6);
    wait_connected(f, one, three, 7);
    assert_int_equal(network_statistics(one->network).reconnects, reconnects);

    struct roster *without = members_of(f, 7, 0x6);
    without->leaving = node_set_of(3);
    set_members(f, 0, without);
    wait_connected(f, three, one, 8); /* still, until the configuration governs */
    without->leaving = 0;
    without->instances[3].changed = 7;
    send_one(three, node_set_of(1), 9, 5);
    while (one->inputs == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    set_members(f, 0, without);
    collect(one); /* what had come of it does not count any more */
    expect_silence(f, three, one, 100);
    assert_int_equal(three->expelled, 0); /* one of three says so: not a quorum */
    set_members(f, 1, without);
    while (three->expelled == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(three->exit_code, EXIT_REMOVED);
    assert_non_null(strstr(three->reason, "node 3 was removed in slot 7"));
    wait_connected(f, one, two, 10);

    set_members(f, 0, again);
    set_members(f, 1, again);
    set_members(f, 2, again);
    wait_connected(f, one, three, 11);
    wait_connected(f, three, one, 12);
    assert_int_equal(one->expelled + two->expelled, 0);
    free(both);
    free(all);
    free(without);
    free(again);
}

/* Formats the folder of node 3 with the instance that the members have. */
static inline void join_as(const struct node *three, const char *cluster, const struct roster *members)
{
    uint64_t word = 0;
    const struct data_folder_admission admission = {
        .instance = members->instances[3].id,
        .number = members->instances[3].number,
        .slot = members->slot,
        .configuration = {.id = members->slot, .len = sizeof word, .words = {&word, 1}}};
    struct problem problem = {0};
    const int lock = data_folder_lock_new(disk_posix(), three->folder_path, &problem);
    assert_true(lock >= 0 && data_folder_join(disk_posix(), three->folder_path, cluster, 3, &admission, NULL, &problem));
    disk_unlock(disk_posix(), lock);
}

/* Node 3 gets another disk: its old one is refused from then on, even if it is still connected, and the new one is heard. */
static inline void check_replaced(struct fixture *f)
{
    struct node *one = &f->nodes[0], *two = &f->nodes[1], *three = &f->nodes[2];
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    struct roster *before = members_of(f, 5, 0xe), *after = members_of(f, 9, 0xe);
    for (size_t i = 0; i < NODES; i++)
        set_members(f, i, before);
    wait_connected(f, three, one, 1);
    wait_connected(f, one, three, 2);
    memset(after->instances[3].id, 0x33, 16);
    after->instances[3].number = 1;
    after->instances[3].changed = 9;
    set_members(f, 0, after);
    expect_silence(f, three, one, 50);
    set_members(f, 1, after);
    while (three->expelled == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(three->exit_code, EXIT_REMOVED);
    assert_non_null(strstr(three->reason, "node 3's disk was replaced in slot 9"));

    close_node(f, 2);
    run_command("rm -r %s", three->folder_path);
    join_as(three, f->config.cluster, after);
    three->expelled = 0;
    open_node(f, 2);
    after->nodes[3].address.port = f->config_nodes[2].address.port;
    for (size_t i = 0; i < NODES; i++)
        set_members(f, i, after);
    wait_connected(f, three, one, 3);
    wait_connected(f, one, three, 4);
    wait_connected(f, three, two, 5);
    assert_int_equal(one->expelled + two->expelled + three->expelled, 0);
    free(before);
    free(after);
}

/* Node 3 gets another disk, of which node 1 cannot know, because it has been down. It is heard by hearsay; nothing of that
 * is remembered, and what is false of it does no harm. */
static inline void check_hearsay(struct fixture *f)
{
    struct node *one = &f->nodes[0], *two = &f->nodes[1], *three = &f->nodes[2];
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    struct roster *before = members_of(f, 5, 0xe), *after = members_of(f, 9, 0xe);
    for (size_t i = 0; i < NODES; i++)
        set_members(f, i, before);
    wait_connected(f, three, one, 1);
    wait_connected(f, two, one, 1);
    const uint32_t life = data_folder_known_life(one->folder, 3);

    close_node(f, 2);
    run_command("rm -r %s", three->folder_path);
    memset(after->instances[3].id, 0x33, 16);
    after->instances[3].number = 1;
    after->instances[3].changed = 9;
    join_as(three, f->config.cluster, after);
    open_node(f, 2);
    set_members(f, 2, after);
    expect_silence(f, three, one, 50);
    assert_true(one->early > 0);

    after->instances[2].number = 7; /* that is false */
    network_hearsay(one->network, after);
    wait_connected(f, three, one, 2);
    wait_connected(f, one, three, 3);
    wait_connected(f, two, one, 4);
    wait_connected(f, one, two, 5);
    close_node(f, 1);
    open_node(f, 1);
    set_members(f, 1, before);
    wait_connected(f, two, one, 6);
    assert_int_equal(data_folder_known_life(one->folder, 3), life);

    after->instances[2].number = 0;
    set_members(f, 0, after); /* now it knows */
    wait_connected(f, three, one, 7);
    assert_int_equal(data_folder_known_life(one->folder, 3), (1 << INCARNATION_BOOT_BITS) + 1);
    assert_int_equal(one->expelled + two->expelled + three->expelled, 0);
    free(before);
    free(after);
}

/* Node 3 was removed, and hears so from one node. Then its quorum grows by more than one, and it hears so from the other. */
/* A removed node that could lead by the word of one acceptor is that one itself: both others refuse it. */
static inline void check_removed_where_one_is_a_quorum(struct fixture *f)
{
    struct node *three = &f->nodes[2];
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    struct roster *all = members_of(f, 6, 0xe), *without = members_of(f, 7, 0x6);
    all->phase1_quorum = 1;
    set_members(f, 0, without);
    set_members(f, 1, without);
    set_members(f, 2, all);
    while (three->expelled == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(three->exit_code, EXIT_REMOVED);
    free(all);
    free(without);
}

static inline void check_removed_as_quorum_grows(struct fixture *f)
{
    struct node *one = &f->nodes[0], *three = &f->nodes[2];
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    struct roster *all = members_of(f, 6, 0xe), *without = members_of(f, 7, 0x6);
    all->phase1_quorum = 1;
    set_members(f, 1, all);
    set_members(f, 2, all);
    set_members(f, 0, without);
    expect_silence(f, three, one, 100);
    assert_int_equal(three->expelled, 0);
    all->phase1_quorum = 3;
    set_members(f, 2, all);
    set_members(f, 1, without);
    while (three->expelled == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(three->exit_code, EXIT_REMOVED);
    free(all);
    free(without);
}

/* Node 2 moves to another port. */
static inline void check_moved(struct fixture *f)
{
    struct node *one = &f->nodes[0], *two = &f->nodes[1];
    open_node(f, 0);
    open_node(f, 1);
    struct roster *m = members_of(f, 5, 0x6);
    set_members(f, 0, m);
    set_members(f, 1, m);
    wait_connected(f, one, two, 1);
    close_node(f, 1);
    f->config_nodes[1].address.port = 0;
    open_node(f, 1);
    set_members(f, 1, m);
    m->slot = 6;
    m->nodes[2].address.port = f->config_nodes[1].address.port;
    set_members(f, 0, m);
    wait_connected(f, one, two, 2);
    free(m);
}

#endif
