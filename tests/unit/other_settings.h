/* What every transport must do with a node whose governed settings are others: no node hears it, it hears none, and from
 * most of the acceptors it hears that it must end. Included after network_fixture.h. */
#ifndef SYNOD_TESTS_UNIT_OTHER_SETTINGS_H
#define SYNOD_TESTS_UNIT_OTHER_SETTINGS_H

/* Node 3 has its own settings, while nodes 1 and 2 agree; `acceptors` are those that all believe in. */
static inline struct config differ(struct fixture *f, node_set acceptors)
{
    f->config.node_config.alpha = 64;
    f->config.node_config.acceptors = acceptors;
    struct config other = f->config;
    other.node_config.alpha = 8;
    return other;
}

/* All speak to all until each of nodes 1 and 2 has refused `refusals` frames or connections more. */
static inline void speak_until_refused(struct fixture *f, uint64_t refusals)
{
    uint64_t until[2];
    for (size_t i = 0; i < 2; i++)
        until[i] = network_statistics(f->nodes[i].network).bad_frames + refusals;
    while (network_statistics(f->nodes[0].network).bad_frames < until[0] ||
           network_statistics(f->nodes[1].network).bad_frames < until[1]) {
        for (size_t i = 0; i < NODES; i++) {
            send_one(&f->nodes[i], node_set_of(1) | node_set_of(2) | node_set_of(3), 9, 5);
            collect(&f->nodes[i]);
            for (size_t k = 0; k < f->nodes[i].count; k++)
                assert_int_equal(f->nodes[i].packets[k].id, i == 0 ? 2 : 1);
            forget(&f->nodes[i]);
        }
        assert_int_equal(network_receive(f->nodes[2].network).len, 0);
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

/* Sends until something of that node has arrived. */
static inline void expect_heard(struct fixture *f, struct node *from, struct node *to)
{
    for (bool heard = false; !heard;) {
        send_one(from, node_set_of(to->id), 9, 5);
        uv_run(&f->loop, UV_RUN_ONCE);
        collect(to);
        for (size_t i = 0; i < to->count; i++)
            heard |= to->packets[i].id == from->id;
        forget(to);
    }
}

static inline void check_other_settings(struct fixture *f)
{
    struct node *three = &f->nodes[2];
    struct config other = differ(f, 0xe);
    three->config = &other;
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    speak_until_refused(f, 4);
    assert_int_equal(three->expelled, 1); /* once, though it goes on being refused */
    assert_int_equal(three->exit_code, EXIT_BAD_INPUT);
    assert_non_null(strstr(three->reason, "the governed setting alpha is 64 on node "));
    assert_non_null(strstr(three->reason, " and 8 on node 3: "));
    expect_heard(f, &f->nodes[0], &f->nodes[1]);
    expect_heard(f, &f->nodes[1], &f->nodes[0]);

    close_node(f, 2);
    three->expelled = 0;
    other = differ(f, 0x3e); /* two of five: they may be the ones that are wrong */
    open_node(f, 2);
    speak_until_refused(f, 4);
    assert_int_equal(three->expelled, 0);

    close_node(f, 2);
    three->config = NULL; /* mended */
    open_node(f, 2);
    expect_heard(f, three, &f->nodes[0]);
    expect_heard(f, &f->nodes[1], three);
    assert_int_equal(f->nodes[0].expelled + f->nodes[1].expelled + three->expelled, 0);
}

#endif
