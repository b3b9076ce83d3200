/* sim/network.c: what arrives, when, in which order, and what each fault does to it. (Anything at all is done to it in
 * test_sim_network_model.c.) */
#include "tests/unit/network_sim_fixture.h"

/* ---- without faults ---- */

static void frames_arrive_whole_and_in_order(void **state)
{
    struct fixture *f = fixture_new(1);
    (void)state;
    for (size_t i = 0; i < 2000; i++) {
        send_sized(f, 1, node_set_of(2), 1 + i % 50);
        f->now += i % 7 * 50;
    }
    assert_int_equal(drain_all(f, 2), 2000);
    for (size_t i = 0; i < 2000; i++)
        assert_int_equal(f->got[i], i + 1);
    assert_int_equal(statistics(f).frames_received, 2000 + GREETINGS);
    assert_int_equal(statistics(f).lost, 0);
    fixture_free(f);
}

static void a_frame_takes_as_long_as_it_may(void **state)
{
    struct fixture *f = fixture_new(2);
    uint64_t least = UINT64_MAX, most = 0;
    (void)state;
    for (size_t i = 0; i < 3000; i++) {
        send(f, 1, 2);
        uint64_t sent = f->now, next = network_sim_next(f->network, 2);
        take(f, 2, next - 1);
        assert_int_equal(f->count, 0);
        assert_int_equal(drain(f, 2, next + 1), 1);
        f->count = 0;
        assert_in_range(next - sent, LATENCY, LATENCY + SPREAD);
        least = next - sent < least ? next - sent : least;
        most = next - sent > most ? next - sent : most;
    }
    assert_int_equal(least, LATENCY);
    assert_int_equal(most, LATENCY + SPREAD);
    fixture_free(f);
}

static void what_is_sent_at_one_moment_travels_together(void **state)
{
    struct fixture *f = fixture_new(3);
    (void)state;
    for (size_t i = 0; i < 20; i++)
        send(f, 1, 2);
    take(f, 2, network_sim_next(f->network, 2));
    assert_int_equal(f->count, 20);
    fixture_free(f);
}

static void bodies_keep_their_length_and_name_their_sender(void **state)
{
    struct fixture *f = fixture_new(4);
    uint64_t body[2] = {0x1122334455667788, 0x99};
    (void)state;
    const struct packet packets[] = {
        {.id = node_set_of(2) | node_set_of(3), .len = 9, .words = {body, 2}},
        {.id = node_set_of(2)}, /* a greeting: nothing to hand out */
    };
    network_sim_send(f->network, 1, packets, 2, f->now);
    memset(body, 0, sizeof body); /* it was copied */
    struct packet_list l = network_sim_receive(f->network, 2, f->now + LATENCY + SPREAD);
    assert_int_equal(l.len, 1);
    assert_int_equal(l.ptr[0].id, 1);
    assert_int_equal(l.ptr[0].len, 9);
    assert_int_equal(l.ptr[0].words.ptr[0], 0x1122334455667788);
    assert_int_equal(l.ptr[0].words.ptr[1], 0x99);
    memset(l.ptr[0].words.ptr, 0, 16); /* a receiver may write into its copy */
    l = network_sim_receive(f->network, 3, f->now + LATENCY + SPREAD);
    assert_int_equal(l.len, 1);
    assert_int_equal(l.ptr[0].words.ptr[0], 0x1122334455667788);
    assert_int_equal(statistics(f).bytes_sent, 2 * (FRAME_HEADER_SIZE + 16) + (1 + GREETINGS) * FRAME_HEADER_SIZE);
    fixture_free(f);
}

static void only_nodes_that_exist_get_frames(void **state)
{
    struct fixture *f = fixture_new(5);
    (void)state;
    send_sized(f, 1, UINT64_MAX, 2);
    assert_int_equal(statistics(f).frames_sent, NODES - 1 + GREETINGS);
    assert_int_equal(drain_all(f, 2), 1);
    assert_int_equal(drain_all(f, 3), 1);
    assert_int_equal(network_sim_next(f->network, 1), UINT64_MAX);
    fixture_free(f);
}

static void connections_take_a_while_to_make(void **state)
{
    struct fixture *f = fixture_new(6);
    (void)state;
    network_sim_stop(f->network, 2, false);
    send(f, 1, 2); /* it is down */
    network_sim_start(f->network, 2, 2, 0, f->now);
    send(f, 1, 2);
    send(f, 2, 1);
    f->now += 2 * LATENCY - 1;
    send(f, 2, 1);
    f->now += LATENCY;
    send(f, 1, 2); /* it cannot have heard of 2 yet */
    assert_int_equal(statistics(f).lost, 5);
    f->now += HANDSHAKE + SPREAD;
    uint64_t there = send(f, 1, 2), back = send(f, 2, 1);
    assert_int_equal(drain(f, 2, f->now + SECOND), 1);
    assert_int_equal(f->got[0], there);
    assert_int_equal(drain(f, 1, f->now + SECOND), 1);
    assert_int_equal(f->got[0], back);
    fixture_free(f);
}

static void what_is_under_way_to_a_node_that_stops_is_lost(void **state)
{
    struct fixture *f = fixture_new(7);
    (void)state;
    send(f, 1, 2);
    network_sim_stop(f->network, 2, false);
    assert_int_equal(network_sim_next(f->network, 2), UINT64_MAX);
    network_sim_start(f->network, 2, 2, 0, f->now);
    assert_int_equal(drain_all(f, 2), 0);
    send(f, 1, 2);
    assert_int_equal(drain_all(f, 2), 1);
    assert_int_equal(statistics(f).lost, 1);
    assert_accounted(f);
    fixture_free(f);
}

static void what_a_node_sent_outlives_it_unless_flushed(void **state)
{
    (void)state;
    for (int flush = 0; flush < 2; flush++) {
        struct fixture *f = fixture_new(8);
        send(f, 1, 2);
        send(f, 1, 2);
        network_sim_stop(f->network, 1, flush);
        assert_int_equal(drain_all(f, 2), flush ? 0 : 2);
        assert_accounted(f);
        fixture_free(f);
    }
}

static void a_full_queue_drops(void **state)
{
    struct fixture *f = fixture_new(9);
    const size_t words = 120, fit = QUEUE / (FRAME_HEADER_SIZE + 8 * words);
    (void)state;
    for (size_t i = 0; i < fit + 10; i++)
        send_sized(f, 1, node_set_of(2), words);
    assert_int_equal(statistics(f).dropped_full, 10);
    send(f, 1, 3);
    send(f, 3, 2); /* other streams have queues of their own */
    assert_int_equal(statistics(f).dropped_full, 10);
    assert_int_equal(drain_all(f, 2), fit + 1);
    for (size_t i = 0; i < fit; i++)
        send_sized(f, 1, node_set_of(2), words);
    assert_int_equal(statistics(f).dropped_full, 10);
    assert_int_equal(drain_all(f, 2), fit);
    assert_accounted(f);
    fixture_free(f);
}

/* ---- faults of single frames ---- */

static void drop_loses_frames(void **state)
{
    struct fixture *f = fixture_new(10);
    (void)state;
    f->faults.rate[FAULT_DROP] = 300000;
    for (size_t i = 0; i < 4000; i++)
        send(f, 1, 2);
    size_t arrived = drain_all(f, 2);
    assert_in_range(arrived, 2600, 3000);
    assert_int_equal(f->faults.fired[FAULT_DROP], 4000 - arrived);
    assert_int_equal(statistics(f).lost, 4000 - arrived);
    for (size_t i = 1; i < arrived; i++)
        assert_true(f->got[i] > f->got[i - 1]);
    fixture_free(f);
}

static void a_delayed_frame_holds_up_those_behind_it(void **state)
{
    struct fixture *f = fixture_new(11);
    (void)state;
    f->faults.rate[FAULT_DELAY] = ALWAYS;
    send(f, 1, 2);
    f->faults.rate[FAULT_DELAY] = 0;
    uint64_t sent = f->now, arrival = network_sim_next(f->network, 2);
    assert_in_range(arrival - sent, LATENCY + SPREAD + 1, LATENCY + SPREAD + 300000);
    f->now += 1000;
    send(f, 1, 2);
    send(f, 3, 2); /* another stream */
    assert_true(network_sim_next(f->network, 2) < arrival);
    assert_int_equal(drain_all(f, 2), 3);
    assert_int_equal(f->got[0], 3);
    assert_int_equal(f->got[1], 1);
    assert_int_equal(f->got[2], 2);
    assert_int_equal(f->at[2], arrival);
    assert_int_equal(f->faults.fired[FAULT_DELAY], 1);
    fixture_free(f);
}

static void reordered_frames_overtake_and_are_overtaken(void **state)
{
    struct fixture *f = fixture_new(12);
    bool was_early = false, was_late = false;
    size_t prompt = 0;
    const uint64_t begin = f->now;
    (void)state;
    for (size_t i = 0; i < 300; i++) {
        f->faults.rate[FAULT_REORDER] = i % 3 == 1 ? ALWAYS : 0;
        f->faults.rate[FAULT_DELAY] = i % 3 == 0 && i < 150 ? ALWAYS : 0;
        send(f, 1, 2);
        f->now += 10000;
    }
    assert_int_equal(drain_all(f, 2), 300);
    uint64_t in_order = 0;
    bool seen[301] = {false};
    for (size_t i = 0; i < 300; i++) {
        assert_false(seen[f->got[i]]);
        seen[f->got[i]] = true;
        if (f->got[i] % 3 == 2) { /* it was struck */
            was_early |= f->got[i] > 1 && !seen[f->got[i] - 1];
            was_late |= f->got[i] < 300 && seen[f->got[i] + 1];
            prompt += f->at[i] - (begin + 10000 * (f->got[i] - 1)) <= LATENCY + SPREAD;
        } else {
            assert_true(f->got[i] > in_order);
            in_order = f->got[i];
        }
    }
    assert_true(was_early);
    assert_true(was_late);
    assert_in_range(prompt, 30, 70);
    assert_int_equal(f->faults.fired[FAULT_REORDER], 100);
    fixture_free(f);
}

static void a_duplicate_comes_twice(void **state)
{
    struct fixture *f = fixture_new(13);
    (void)state;
    f->faults.rate[FAULT_DUPLICATE] = ALWAYS;
    for (size_t i = 0; i < 50; i++)
        send(f, 1, 2);
    assert_int_equal(drain_all(f, 2), 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(f->got[i], 1 + i / 2);
    assert_int_equal(f->faults.fired[FAULT_DUPLICATE], 50);
    assert_accounted(f);
    fixture_free(f);
}

static void a_replay_comes_again_past_all_connections(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct fixture *f = fixture_new(seed);
        f->faults.rate[FAULT_REPLAY] = ALWAYS;
        uint64_t sent = f->now, number = send(f, 1, 2);
        f->faults.rate[FAULT_REPLAY] = 0;
        assert_int_equal(drain(f, 2, f->now + SECOND / 2), 1);
        network_sim_stop(f->network, 1, true);
        network_sim_start(f->network, 1, 2, 0, f->now);
        f->now += HANDSHAKE;
        send(f, 1, 2);
        assert_int_equal(drain(f, 2, sent + SECOND), 1); /* the later life has been heard */
        assert_int_equal(drain_all(f, 2), 1);
        assert_int_equal(f->got[0], number);
        assert_in_range(f->at[0] - sent, SECOND, 30 * SECOND);
        send(f, 1, 2); /* and still is the one that counts */
        assert_int_equal(drain_all(f, 2), 1);
        assert_int_equal(statistics(f).refused, 0);
        assert_int_equal(f->faults.fired[FAULT_REPLAY], 1);
        assert_accounted(f);
        fixture_free(f);
    }
}

static void a_replay_reaches_whoever_is_there(void **state)
{
    struct fixture *f = fixture_new(14);
    size_t lost = 0;
    (void)state;
    f->faults.rate[FAULT_REPLAY] = ALWAYS;
    for (size_t i = 0; i < 200; i++)
        send(f, 1, 2);
    f->faults.rate[FAULT_REPLAY] = 0;
    drain(f, 2, f->now + SECOND / 2);
    network_sim_stop(f->network, 2, false);
    f->now += 15 * SECOND;
    network_sim_start(f->network, 2, 2, 0, f->now);
    lost = (size_t)statistics(f).lost;
    assert_in_range(lost, 50, 150);
    network_sim_cut(f->network, node_set_of(1), node_set_of(2), f->now + 4 * SECOND);
    assert_in_range(statistics(f).lost, lost + 5, 160);
    assert_int_equal(network_sim_next(f->network, 2) >= f->now + 4 * SECOND, true);
    lost = (size_t)statistics(f).lost;
    assert_int_equal(drain_all(f, 2), 200 - lost);
    assert_accounted(f);
    fixture_free(f);
}

static void a_node_that_starts_finds_replays_only(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct fixture *f = fixture_new(seed);
        network_sim_cut(f->network, node_set_of(1), node_set_of(2), f->now + 4 * SECOND);
        send(f, 1, 2);
        f->faults.rate[FAULT_REPLAY] = ALWAYS;
        for (size_t i = 0; i < 20; i++)
            send(f, 3, 2);
        assert_int_equal(drain(f, 2, f->now + SECOND / 2), 20);
        network_sim_stop(f->network, 2, false); /* what 1 sent is lost, and comes after the first replays */
        f->now += 3 * SECOND;
        network_sim_start(f->network, 2, 2, 0, f->now);
        size_t count = drain_all(f, 2);
        for (size_t i = 0; i < count; i++)
            assert_int_not_equal(f->got[i], 1);
        assert_int_equal(statistics(f).lost, 21 - count);
        fixture_free(f);
    }
}

static void a_replay_does_not_get_through_a_cut(void **state)
{
    struct fixture *f = fixture_new(15);
    uint64_t until = f->now + 40 * SECOND;
    (void)state;
    network_sim_cut(f->network, node_set_of(1), node_set_of(2), f->now + 4 * SECOND);
    f->faults.rate[FAULT_REPLAY] = ALWAYS; /* the connection lasts, so frames go on it, and their copies, too */
    for (size_t i = 0; i < 100; i++)
        send(f, 1, 2);
    assert_int_equal(f->faults.fired[FAULT_REPLAY], 100);
    assert_true(network_sim_next(f->network, 2) >= f->now + 4 * SECOND);
    assert_in_range(statistics(f).lost, 3, 30);
    assert_int_equal(drain(f, 2, until), 200 - statistics(f).lost);
    fixture_free(f);
}

static void a_reset_cuts_a_frame_and_loses_what_is_under_way(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct fixture *f = fixture_new(seed);
        send(f, 1, 2);
        send(f, 1, 3);
        f->faults.rate[FAULT_RESET] = ALWAYS;
        send_sized(f, 1, node_set_of(2), 20);
        f->faults.rate[FAULT_RESET] = 0;
        f->now += 999;
        send(f, 1, 2); /* no connection yet */
        assert_int_equal(drain(f, 2, f->now + 200000), 0);
        assert_int_equal(statistics(f).broken, 1);
        assert_int_equal(statistics(f).lost, 2);
        assert_int_equal(drain(f, 3, f->now), 1); /* another stream */
        uint64_t number = send(f, 1, 2);
        assert_int_equal(drain_all(f, 2), 1);
        assert_int_equal(f->got[0], number);
        assert_int_equal(f->faults.fired[FAULT_RESET], 1);
        assert_accounted(f);
        fixture_free(f);
    }
}

/* ---- faults that the world strikes ---- */

static void a_cut_is_one_way_and_frames_wait_for_its_end(void **state)
{
    struct fixture *f = fixture_new(16);
    (void)state;
    for (size_t i = 0; i < 10; i++)
        send(f, 1, 2);
    uint64_t until = f->now + 3 * SECOND;
    network_sim_cut(f->network, node_set_of(1), node_set_of(2), until);
    f->now += SECOND;
    for (size_t i = 0; i < 10; i++)
        send(f, 1, 2);
    f->faults.rate[FAULT_REORDER] = ALWAYS;
    send(f, 1, 2);
    f->faults.rate[FAULT_REORDER] = 0;
    send(f, 2, 1);
    send(f, 3, 2);
    assert_int_equal(drain(f, 1, f->now + SECOND), 1);
    assert_int_equal(drain(f, 2, f->now), 1);
    assert_int_equal(network_sim_next(f->network, 2), until);
    send(f, 1, 2);
    assert_int_equal(drain_all(f, 2), 22);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(f->got[i], i + 1);
    assert_int_equal(f->at[0], until);
    fixture_free(f);
}

static void a_cut_lets_others_pass(void **state)
{
    struct fixture *f = fixture_new(27);
    uint64_t until = f->now + SECOND;
    (void)state;
    f->faults.rate[FAULT_REORDER] = ALWAYS; /* so that arrivals are mixed */
    for (size_t i = 0; i < 100; i++) {
        send(f, 1, 2);
        send(f, 3, 2);
    }
    network_sim_cut(f->network, node_set_of(1), node_set_of(2), until);
    assert_int_equal(drain(f, 2, until), 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(f->got[i] % 2, 0);
    assert_int_equal(drain(f, 2, until + 1), 100);
    fixture_free(f);
}

static void frames_that_have_arrived_are_not_cut_off(void **state)
{
    struct fixture *f = fixture_new(17);
    (void)state;
    send(f, 1, 2);
    f->now += SECOND;
    send(f, 1, 2);
    network_sim_cut(f->network, node_set_of(1), node_set_of(2), f->now + SECOND);
    take(f, 2, f->now);
    assert_int_equal(f->count, 1);
    assert_int_equal(network_sim_next(f->network, 2), f->now + SECOND);
    network_sim_cut(f->network, node_set_of(1), node_set_of(2), f->now + 3 * SECOND); /* longer */
    network_sim_cut(f->network, node_set_of(1), node_set_of(2), f->now + 2 * SECOND); /* not shorter */
    assert_int_equal(network_sim_next(f->network, 2), f->now + 3 * SECOND);
    f->faults.rate[FAULT_REORDER] = ALWAYS;
    send(f, 1, 2);
    assert_int_equal(drain(f, 2, f->now + 3 * SECOND), 0);
    assert_int_equal(drain_all(f, 2), 2);
    fixture_free(f);
}

static void a_cut_bares_no_lost_frame(void **state)
{
    struct fixture *f = fixture_new(24);
    (void)state;
    f->faults.rate[FAULT_DELAY] = ALWAYS;
    send(f, 3, 2);
    f->faults.rate[FAULT_DELAY] = 0;
    send(f, 1, 2);
    network_sim_half_open(f->network, 3, 2, f->now + SECOND);
    network_sim_cut(f->network, node_set_of(1), node_set_of(2), f->now + SECOND);
    assert_int_equal(network_sim_next(f->network, 2), f->now + SECOND);
    fixture_free(f);
}

static void a_long_cut_ends_connections(void **state)
{
    uint64_t at_once = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct fixture *f = fixture_new(seed);
        send(f, 1, 2);
        uint64_t until = f->now + 6 * SECOND;
        if (seed % 2 == 0) { /* in one go, or grown to it */
            network_sim_cut(f->network, node_set_of(1), node_set_of(2), until);
        } else {
            network_sim_cut(f->network, node_set_of(1), node_set_of(2), until - 2 * SECOND);
            f->now += 3 * SECOND;
            send(f, 3, 2);
            drain(f, 2, f->now + LATENCY + SPREAD + 1);
            network_sim_cut(f->network, node_set_of(1), node_set_of(2), until);
        }
        assert_int_equal(network_sim_next(f->network, 2) == UINT64_MAX, true);
        for (; f->now < until; f->now += SECOND / 4)
            send(f, 1, 2);
        assert_int_equal(drain(f, 2, until + 1), 0);
        send(f, 1, 2);
        at_once += drain(f, 2, until + RETRY_MAX);
        uint64_t number = send(f, 1, 2);
        assert_int_equal(drain_all(f, 2), 1);
        assert_int_equal(f->got[0], number);
        assert_accounted(f);
        fixture_free(f);
    }
    assert_true(at_once < 5); /* the sender has to try again first */
}

static void no_connection_is_made_during_a_cut(void **state)
{
    struct fixture *f = fixture_new(18);
    uint64_t until = f->now + 4 * SECOND;
    (void)state;
    network_sim_cut(f->network, node_set_of(1), node_set_of(2) | node_set_of(3), until);
    f->faults.rate[FAULT_RESET] = ALWAYS;
    send(f, 1, 3);
    f->faults.rate[FAULT_RESET] = 0;
    network_sim_stop(f->network, 2, false);
    network_sim_start(f->network, 2, 2, 0, f->now);
    for (; f->now < until; f->now += SECOND / 8)
        send_sized(f, 1, node_set_of(2) | node_set_of(3), 1);
    assert_int_equal(drain(f, 3, until), 0);   /* but for the greeting of 2, which is not cut off from it */
    assert_int_equal(statistics(f).broken, 0); /* the part of the frame that was reset comes later */
    assert_int_equal(drain(f, 2, until + HANDSHAKE), 0);
    assert_int_equal(drain(f, 3, until + HANDSHAKE), 0);
    send_sized(f, 1, node_set_of(2) | node_set_of(3), 1);
    assert_int_equal(drain_all(f, 2), 1);
    assert_int_equal(drain_all(f, 3), 1);
    fixture_free(f);
}

static void a_cut_keeps_a_connection_from_being_made(void **state)
{
    struct fixture *f = fixture_new(25);
    uint64_t until = f->now + 3 * SECOND;
    (void)state;
    f->faults.rate[FAULT_RESET] = ALWAYS;
    send(f, 1, 2);
    f->faults.rate[FAULT_RESET] = 0;
    network_sim_cut(f->network, node_set_of(1), node_set_of(2), until);
    for (; f->now < until; f->now += SECOND / 8)
        send(f, 1, 2);
    f->now = until + RETRY_MAX;
    uint64_t number = send(f, 1, 2);
    assert_int_equal(drain_all(f, 2), 1);
    assert_int_equal(f->got[0], number);
    fixture_free(f);
}

static void groups_are_cut_from_each_other(void **state)
{
    struct fixture *f = fixture_new(19);
    const node_set left = node_set_of(1) | node_set_of(40), right = node_set_of(2) | node_set_of(3);
    (void)state;
    network_sim_cut(f->network, left, right, f->now + 3 * SECOND);
    network_sim_cut(f->network, right, left, f->now + 3 * SECOND);
    for (uint32_t id = 1; id <= NODES; id++)
        send_sized(f, id, UINT64_MAX, 1);
    uint64_t until = f->now + 3 * SECOND;
    assert_int_equal(drain(f, 1, until), 0);
    assert_int_equal(drain(f, 2, until), 1);
    assert_int_equal(f->got[0], 3);
    assert_int_equal(drain(f, 3, until), 1);
    assert_int_equal(f->got[0], 2);
    assert_int_equal(drain_all(f, 1), 2);
    fixture_free(f);
}

static void a_half_open_connection_swallows_all(void **state)
{
    struct fixture *f = fixture_new(20);
    uint64_t until = f->now + 9 * SECOND;
    (void)state;
    send(f, 1, 2);
    network_sim_half_open(f->network, 1, 2, until);
    for (; f->now < until; f->now += SECOND / 3)
        send(f, 1, 2);
    assert_int_equal(network_sim_next(f->network, 2), UINT64_MAX);
    send(f, 2, 1);
    assert_int_equal(drain(f, 1, f->now + SECOND), 1);
    assert_int_equal(statistics(f).lost, statistics(f).frames_sent - 1 - GREETINGS);
    f->now = until;
    uint64_t number = send(f, 1, 2);
    assert_int_equal(drain_all(f, 2), 1);
    assert_int_equal(f->got[0], number);
    fixture_free(f);
}

static void a_stalled_reader_gets_all_at_once_later(void **state)
{
    struct fixture *f = fixture_new(21);
    const size_t words = 120, fit = QUEUE / (FRAME_HEADER_SIZE + 8 * words);
    uint64_t until = f->now + 5 * SECOND;
    (void)state;
    network_sim_stall_reader(f->network, 2, until);
    network_sim_stall_reader(f->network, 2, until - SECOND); /* does not shorten it */
    for (size_t i = 0; i < fit + 5; i++) {
        send_sized(f, 1, node_set_of(2), words);
        f->now += 1000;
    }
    assert_int_equal(network_sim_next(f->network, 2), until);
    take(f, 2, until - 1);
    assert_int_equal(f->count, 0);
    assert_int_equal(statistics(f).dropped_full, 5);
    take(f, 2, until);
    assert_int_equal(f->count, fit);
    for (size_t i = 0; i < fit; i++)
        assert_int_equal(f->got[i], i + 1);
    assert_int_equal(network_sim_next(f->network, 2), UINT64_MAX);
    fixture_free(f);
}

static void healing_ends_all_faults(void **state)
{
    struct fixture *f = fixture_new(22);
    (void)state;
    send(f, 1, 2);
    send(f, 1, 3);
    network_sim_cut(f->network, node_set_of(1), node_set_of(2), f->now + 4 * SECOND);
    network_sim_half_open(f->network, 2, 1, f->now + 9 * SECOND);
    network_sim_stall_reader(f->network, 3, f->now + 9 * SECOND);
    f->faults.rate[FAULT_RESET] = ALWAYS;
    send(f, 2, 3);
    for (int kind = 0; kind < FAULTS; kind++)
        f->faults.rate[kind] = ALWAYS;
    network_sim_heal(f->network);
    for (uint32_t id = 1; id <= NODES; id++)
        send_sized(f, id, UINT64_MAX, 1);
    assert_int_equal(f->faults.fired[FAULT_DROP], 0);
    uint64_t until = f->now + LATENCY + SPREAD + 1;
    assert_int_equal(drain(f, 1, until), 2);
    assert_int_equal(drain(f, 2, until), 2); /* what waited for the end of the cut is lost */
    assert_int_equal(drain(f, 3, until), 3);
    assert_int_equal(statistics(f).lost, 1);
    assert_int_equal(statistics(f).broken, 1);
    for (uint32_t id = 1; id <= NODES; id++)
        assert_int_equal(network_sim_next(f->network, id), UINT64_MAX);
    network_sim_stop(f->network, 2, false);
    network_sim_start(f->network, 2, 2, 0, f->now);
    f->now += HANDSHAKE;
    send(f, 1, 2);
    assert_int_equal(drain(f, 2, f->now + SECOND), 1);
    fixture_free(f);
}

/* ---- lives ---- */

static void an_earlier_life_is_not_heard_after_a_later_one(void **state)
{
    uint64_t refused = 0, heard_early = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct fixture *f = fixture_new(seed);
        f->faults.rate[FAULT_DELAY] = ALWAYS;
        for (size_t i = 0; i < 4; i++) {
            send(f, 1, 2);
            f->now += 1000;
        }
        f->faults.rate[FAULT_DELAY] = 0;
        size_t before = drain(f, 2, f->now + 150000 * (seed % 2));
        network_sim_stop(f->network, 1, false);
        network_sim_start(f->network, 1, 2, 0, f->now);
        before += drain(f, 2, f->now + LATENCY);
        f->now += HANDSHAKE;
        uint64_t later = send(f, 1, 2);
        size_t count = drain_all(f, 2);
        assert_int_equal(f->got[count - 1], later);
        heard_early += before + count - 1;
        refused += statistics(f).refused;
        assert_true(statistics(f).refused <= 1); /* the first one ends the connection, and the others with it */
        assert_int_equal(before + count - 1 + statistics(f).refused + statistics(f).lost, 4);
        send(f, 1, 2); /* its own connection lasts */
        assert_int_equal(drain_all(f, 2), 1);
        assert_accounted(f);
        fixture_free(f);
    }
    assert_true(refused > 50);
    assert_true(heard_early > 50);
}

static void a_life_below_the_one_heard_is_refused_whenever_it_connects(void **state)
{
    struct fixture *f = fixture_new(23);
    (void)state;
    network_sim_stop(f->network, 1, true);
    network_sim_start(f->network, 1, 7, 0, f->now);
    f->now += HANDSHAKE;
    send_sized(f, 1, node_set_of(2), 1);
    assert_int_equal(drain(f, 2, f->now + SECOND), 1);
    network_sim_stop(f->network, 1, true);
    network_sim_start(f->network, 1, 5, 0, f->now); /* an old copy of its folder was put back */
    f->faults.rate[FAULT_REPLAY] = ALWAYS;          /* which does not help it to be heard */
    for (size_t i = 0; i < 10; i++) {
        f->now += RETRY_MAX;
        send_sized(f, 1, UINT64_MAX, 1);
        assert_int_equal(drain(f, 2, f->now + SECOND), 0);
    }
    assert_int_equal(statistics(f).refused, 10);
    assert_int_equal(f->faults.fired[FAULT_REPLAY], 0);
    assert_int_equal(drain_all(f, 3), 10); /* it has not heard life 7 */
    network_sim_stop(f->network, 2, false);
    network_sim_start(f->network, 2, 2, 0, f->now); /* a new process remembers nothing */
    f->now += HANDSHAKE;
    send(f, 1, 2);
    assert_int_equal(drain_all(f, 2), 1);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_arrive_whole_and_in_order),
        cmocka_unit_test(a_frame_takes_as_long_as_it_may),
        cmocka_unit_test(what_is_sent_at_one_moment_travels_together),
        cmocka_unit_test(bodies_keep_their_length_and_name_their_sender),
        cmocka_unit_test(only_nodes_that_exist_get_frames),
        cmocka_unit_test(connections_take_a_while_to_make),
        cmocka_unit_test(what_is_under_way_to_a_node_that_stops_is_lost),
        cmocka_unit_test(what_a_node_sent_outlives_it_unless_flushed),
        cmocka_unit_test(a_full_queue_drops),
        cmocka_unit_test(drop_loses_frames),
        cmocka_unit_test(a_delayed_frame_holds_up_those_behind_it),
        cmocka_unit_test(reordered_frames_overtake_and_are_overtaken),
        cmocka_unit_test(a_duplicate_comes_twice),
        cmocka_unit_test(a_replay_comes_again_past_all_connections),
        cmocka_unit_test(a_replay_reaches_whoever_is_there),
        cmocka_unit_test(a_node_that_starts_finds_replays_only),
        cmocka_unit_test(a_replay_does_not_get_through_a_cut),
        cmocka_unit_test(a_reset_cuts_a_frame_and_loses_what_is_under_way),
        cmocka_unit_test(a_cut_is_one_way_and_frames_wait_for_its_end),
        cmocka_unit_test(a_cut_lets_others_pass),
        cmocka_unit_test(frames_that_have_arrived_are_not_cut_off),
        cmocka_unit_test(a_cut_bares_no_lost_frame),
        cmocka_unit_test(a_long_cut_ends_connections),
        cmocka_unit_test(no_connection_is_made_during_a_cut),
        cmocka_unit_test(a_cut_keeps_a_connection_from_being_made),
        cmocka_unit_test(groups_are_cut_from_each_other),
        cmocka_unit_test(a_half_open_connection_swallows_all),
        cmocka_unit_test(a_stalled_reader_gets_all_at_once_later),
        cmocka_unit_test(healing_ends_all_faults),
        cmocka_unit_test(an_earlier_life_is_not_heard_after_a_later_one),
        cmocka_unit_test(a_life_below_the_one_heard_is_refused_whenever_it_connects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
