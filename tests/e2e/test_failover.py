"""kill -9 of the leader under load: another one answers within a second, nothing acknowledged is lost, no answer is wrong, and who
was killed comes back and catches up."""

import time

import pytest

from cluster import wait_until
from history import Load

KILLS = 2
ANSWER_WITHIN_S = 1.0  # at default settings


CASES = [("coordinator", False), ("standalone", False), ("shared", False), ("coordinator", True)]


@pytest.mark.parametrize("deployment, native", CASES, ids=lambda value: value if isinstance(value, str) else "native" if value else "")
def test_leader_is_killed(make_cluster, deployment, native):
    cluster = make_cluster(deployment, native=native)
    cluster.up()
    with Load(cluster.client_ports()) as load:
        for _ in range(KILLS):
            load.wait_answers(500)
            leader = cluster.wait_leader()
            killed_at = time.monotonic_ns()
            cluster.kill(leader)
            recovery_s = load.wait_answers(100, since=killed_at)
            print(f"killed node {leader}, answered again after {recovery_s:.3f} s")
            assert recovery_s < ANSWER_WITHIN_S
            assert cluster.wait_leader() != leader
            cluster.start(leader)
            for node in cluster.server_of(leader).nodes:
                wait_until(lambda: cluster.info(node), 10, f"an answer of node {node}")
                if cluster.nodes[node].executes:
                    cluster.wait_caught_up(node)
        load.wait_answers(300)
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()
    cluster.stop()


def test_leader_stops_in_good_order(make_cluster):
    """SIGTERM: the leader hands over, and ends with 0."""
    cluster = make_cluster("coordinator")
    leader = cluster.up()
    with Load(cluster.client_ports()) as load:
        load.wait_answers(300)
        cluster.stop(leader)
        load.wait_answers(300)
        cluster.start(leader)
        wait_until(lambda: cluster.info(leader), 10, f"an answer of node {leader}")
        cluster.wait_caught_up(leader)
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()


def test_rolling_kills(make_cluster):
    """One node after the other, leading or not, under load."""
    cluster = make_cluster("coordinator")
    cluster.up()
    with Load(cluster.client_ports()) as load:
        for node in cluster.nodes:
            load.wait_answers(200)
            cluster.kill(node)
            load.wait_answers(200)
            cluster.start(node)
            wait_until(lambda: cluster.info(node), 10, f"an answer of node {node}")
            cluster.wait_caught_up(node)
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()
