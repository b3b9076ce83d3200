/* P15 under partitions that last: wherever some proposer reaches its quorums, and they reach it, the cluster serves, keeps
 * serving and does not change its leader over and over. Every shape of lost links between three nodes, many between five and
 * between nodes with one role each; links that lose nothing but ACCEPTs. */
#include "tests/unit/partition_cluster.h"
#include "tests/unit/random.h"

/* When service has to have begun, how long it is watched from then on, and what may happen there. */
enum {
    BEGINS_US = 5 * SECOND_US,
    BLACK_HOLE_BEGINS_US = 20 * SECOND_US,
    WATCHED_US = 30 * SECOND_US,
    GAP_MAX_US = SECOND_US
};
enum { LED_MAX = 0 };

/* Under sanitizers, where all of them would take minutes, only each of so many worlds (which has no divisor in common with
 * the loops). */
#if !defined(__has_feature)
#define __has_feature(feature) 0
#endif
enum { EACH = __has_feature(address_sanitizer) ? 7 : 1 };

static struct cluster cluster;

static bool left_out(uint64_t world) { return world % EACH != 0; }

static bool both_ways(const struct cluster *c, uint32_t a, uint32_t b)
{
    return a == b || (!node_set_has(c->cut[a], b) && !node_set_has(c->cut[b], a));
}

static uint32_t reached(const struct cluster *c, uint32_t proposer, node_set members)
{
    uint32_t count = 0;
    for (node_set i = members; i != 0; i &= i - 1) {
        uint32_t m = node_set_first(i);
        count += both_ways(c, proposer, m) && !node_set_has(c->black_hole[proposer], m);
    }
    return count;
}

/* Some proposer has all it needs. */
static bool can_serve(const struct cluster *c, const struct node_config *config)
{
    for (node_set i = config->proposers; i != 0; i &= i - 1) {
        uint32_t p = node_set_first(i), acceptors = reached(c, p, config->acceptors);
        if (!c->members[p].down && acceptors >= config->phase1_quorum && acceptors >= config->phase2_quorum &&
            reached(c, p, config->learners) > node_set_count(config->learners) / 2)
            return true;
    }
    return false;
}

/* The cuts of a matrix: bit for bit of the ordered pairs of nodes. */
static void set_links(node_set *by_sender, uint32_t nodes, uint64_t matrix)
{
    for (uint32_t a = 1; a <= nodes; a++) {
        by_sender[a] = 0;
        for (uint32_t b = 1; b <= nodes; b++) {
            if (a == b)
                continue;
            by_sender[a] |= (matrix & 1) != 0 ? node_set_of(b) : 0;
            matrix >>= 1;
        }
    }
}

/* A cluster that `first` leads, if the rule lets it. */
static void begin(const struct node_config *config, uint32_t nodes, uint32_t first)
{
    cluster_init(&cluster, nodes, config);
    for (uint32_t i = 1; i <= nodes; i++)
        for (node_set above = config->proposers & ~(node_set_of(first + 1) - 1); above != 0; above &= above - 1)
            cluster.cut[i] |= node_set_of(node_set_first(above)), cluster.cut[node_set_first(above)] |= node_set_of(i);
    cluster_run(&cluster, 2 * SECOND_US);
    memset(cluster.cut, 0, sizeof cluster.cut);
    cluster_run(&cluster, 2 * SECOND_US);
    assert_true(cluster.served > 0);
}

static void judge(const struct node_config *config, uint64_t matrix, uint32_t first, uint64_t begins_us, uint64_t led_max)
{
    if (!can_serve(&cluster, config))
        return;
    cluster_run(&cluster, begins_us);
    cluster_watch(&cluster);
    cluster_run(&cluster, WATCHED_US);
    if (cluster_gap(&cluster) <= GAP_MAX_US && cluster.led <= led_max)
        return;
    fail_msg("links %llx, node %u led first: %llu ms without service, %llu leaderships", (unsigned long long)matrix, first,
             (unsigned long long)cluster_gap(&cluster) / 1000, (unsigned long long)cluster.led);
}

static void each_matrix_of_three(struct node_config config, bool black_hole)
{
    for (uint64_t matrix = 0; matrix < 64; matrix++) {
        for (uint32_t first = 1; first <= 3; first++) {
            if (left_out(matrix * 3 + first))
                continue;
            begin(&config, 3, first);
            set_links(black_hole ? cluster.black_hole : cluster.cut, 3, matrix);
            judge(&config, matrix, first, black_hole ? BLACK_HOLE_BEGINS_US : BEGINS_US, LED_MAX);
            cluster_close(&cluster);
        }
    }
}

static void three_nodes_serve_in_every_partition(void **state)
{
    (void)state;
    each_matrix_of_three(three_nodes(0), false);
}

static void three_nodes_serve_in_every_partition_with_the_highest_leading(void **state)
{
    struct node_config config = three_nodes(0);
    (void)state;
    config.leader_rule = LEADER_HIGHEST;
    each_matrix_of_three(config, false);
}

static void three_nodes_serve_where_only_proposals_are_lost(void **state)
{
    (void)state;
    each_matrix_of_three(three_nodes(0), true);
}

static void three_nodes_serve_where_only_proposals_are_lost_with_the_highest_leading(void **state)
{
    struct node_config config = three_nodes(0);
    (void)state;
    config.leader_rule = LEADER_HIGHEST;
    each_matrix_of_three(config, true);
}

static void five_nodes_serve_in_partitions(void **state)
{
    struct node_config config = three_nodes(0);
    uint64_t dice = 5;
    (void)state;
    config.proposers = config.acceptors = config.learners = 0x3e;
    config.phase1_quorum = config.phase2_quorum = 3;
    for (uint32_t i = 0; i < 120; i++) {
        uint64_t matrix = random_next(&dice) & random_next(&dice);
        config.leader_rule = i % 4 == 3 ? LEADER_HIGHEST : LEADER_STICKY;
        if (left_out(i))
            continue;
        begin(&config, 5, 1 + i % 5);
        set_links(cluster.cut, 5, matrix);
        judge(&config, matrix, 1 + i % 5, BEGINS_US, LED_MAX);
        cluster_close(&cluster);
    }
}

/* Proposers 7 to 9, acceptors 4 to 6, learners 1 to 3: a leader that learners do not hear takes its clients' patience to
 * notice. */
static void nodes_of_one_role_serve_in_partitions(void **state)
{
    struct node_config config = nine_nodes(0);
    uint64_t dice = 9;
    (void)state;
    for (uint32_t i = 0; i < 120; i++) {
        if (left_out(i))
            continue;
        begin(&config, 9, 7 + i % 3);
        for (uint32_t a = 1; a <= 9; a++) {
            uint64_t lost = random_next(&dice) & random_next(&dice) & 0x3fe;
            cluster.cut[a] = a >= 7 ? lost : lost & 0x380; /* acceptors and learners reach each other */
        }
        config.acceptors_send_learns = i % 2 == 0;
        judge(&config, i, 7 + i % 3, 3 * config.request_timeout + BEGINS_US, LED_MAX);
        cluster_close(&cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_nodes_serve_in_every_partition),
        cmocka_unit_test(three_nodes_serve_in_every_partition_with_the_highest_leading),
        cmocka_unit_test(three_nodes_serve_where_only_proposals_are_lost),
        cmocka_unit_test(three_nodes_serve_where_only_proposals_are_lost_with_the_highest_leading),
        cmocka_unit_test(five_nodes_serve_in_partitions),
        cmocka_unit_test(nodes_of_one_role_serve_in_partitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
