/* What every transport must do with a node whose data folder is an older copy: those who know its later life refuse it, it
 * hears that, and from a quorum of them it hears that it must end. Included after network_fixture.h. */
#ifndef SYNOD_TESTS_UNIT_COPIES_H
#define SYNOD_TESTS_UNIT_COPIES_H

static inline void run_command(const char *format, const char *folder)
{
    char command[512];
    snprintf(command, sizeof command, format, folder, folder);
    assert_int_equal(system(command), 0);
}

static inline void meet_others(struct fixture *f)
{
    open_node(f, 2);
    wait_connected(f, &f->nodes[2], &f->nodes[0], 1);
    wait_connected(f, &f->nodes[2], &f->nodes[1], 2);
}

/* Node 3 comes in an incarnation that is known: both others refuse it, and no other node does. */
static inline void expect_expulsion(struct fixture *f)
{
    struct node *three = &f->nodes[2];
    const size_t before = network_statistics(f->nodes[0].network).bad_frames;
    open_node(f, 2);
    while (three->expelled == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_true(network_statistics(f->nodes[0].network).bad_frames > before);
    collect(&f->nodes[0]); /* that its last sound life has ended, perhaps */
    assert_int_equal(f->nodes[0].count, 0);
    close_node(f, 2);
    assert_int_equal(three->expelled, 1);
    assert_int_equal(three->exit_code, EXIT_DATA);
    assert_non_null(strstr(three->reason, "older copy"));
    three->expelled = 0;
}

static inline void check_copies(struct fixture *f)
{
    struct node *three = &f->nodes[2];
    f->config.node_config.acceptors = 0xe;
    f->config.node_config.phase1_quorum = 2;
    run_command("cp %s/identity %s.copy", three->folder_path);
    open_node(f, 0);
    open_node(f, 1);
    for (int life = 1; life <= 3; life++) {
        meet_others(f);
        assert_int_equal(three->expelled, 0);
        close_node(f, 2);
    }
    run_command("cp %s.copy %s/identity", three->folder_path);
    for (int life = 1; life <= 3; life++) { /* two that come before the one that is known, and one that is another one */
        expect_expulsion(f);
        run_command("rm %s/expelled", three->folder_path); /* as an operator might, who does not believe it */
    }
    assert_int_equal(f->nodes[0].expelled + f->nodes[1].expelled, 0);
}

#endif
