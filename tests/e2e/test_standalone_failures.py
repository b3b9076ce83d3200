"""`standalone`, one role a process: kill -9 of one of each role, and service goes on; of two acceptors, and there is no answer until one
of them is back, and never a wrong one."""

import time

import pytest

from cluster import wait_until
from history import Load

LEARNERS, ACCEPTORS, PROPOSERS = (1, 2, 3), (4, 5, 6), (7, 8, 9)


def finish(cluster, load):
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()
    cluster.stop()


def other_proposer(cluster):
    return next(node for node in PROPOSERS if node != cluster.leader())


VICTIMS = {
    "first learner": lambda cluster: LEARNERS[0],
    "last learner": lambda cluster: LEARNERS[-1],
    "acceptor": lambda cluster: ACCEPTORS[0],
    "proposer that does not lead": other_proposer,
    "proposer that leads": lambda cluster: cluster.leader(),
}


@pytest.mark.parametrize("who", VICTIMS)
@pytest.mark.parametrize("leader_rule", ["highest", "sticky"])
def test_one_is_killed(make_cluster, who, leader_rule):
    cluster = make_cluster("standalone", leader_rule=leader_rule)
    leader = cluster.up()
    victim = VICTIMS[who](cluster)
    with Load(cluster.client_ports()) as load:
        load.wait_answers(200)
        killed_at = time.monotonic_ns()
        cluster.kill(victim)
        gap_s = load.wait_answers(500, since=killed_at)
        print(f"killed node {victim}, answered again after {gap_s:.3f} s")
        if victim != leader:
            assert cluster.wait_leader() == leader, "the leader changed although it was not killed"
        cluster.start(victim)
        wait_until(lambda: cluster.info(victim), 10, f"an answer of node {victim}")
        if victim in LEARNERS:
            cluster.wait_caught_up(victim)
        load.wait_answers(200)
    finish(cluster, load)


@pytest.mark.parametrize("deployment", ["standalone", "coordinator"])
def test_no_majority(make_cluster, deployment):
    # Clients are told within a second that the outcome is unknown: the test need not wait for five.
    cluster = make_cluster(deployment, settings={"request_timeout_ms": 1000})
    leader = cluster.up()
    victims = ACCEPTORS[:2] if deployment == "standalone" else [node for node in cluster.nodes if node != leader]
    with Load(cluster.client_ports()) as load:
        load.wait_answers(200)
        cluster.kill(*victims)
        killed_at = time.monotonic_ns()
        clients = range(len(load.histories))
        # Each client has asked, and twice was told or found out that there is no answer.
        wait_until(
            lambda: all(sum(o.client == client for o in load.called_after(killed_at)) >= 2 for client in clients),
            20,
            lambda: f"two ends of requests at each client; {load.outcomes(killed_at)}",
        )
        print("without a majority:", load.outcomes(killed_at))
        assert load.answered_after(killed_at) == []
        cluster.start(victims[0])
        back_s = load.wait_answers(300)
        print(f"with a majority again, the first answer came after {back_s:.3f} s")
        cluster.start(victims[1])
        wait_until(lambda: cluster.info(victims[1]), 10, f"an answer of node {victims[1]}")
        load.wait_answers(200)
    finish(cluster, load)


def test_one_of_each_role(make_cluster):
    """One of each role is gone at the same time, the leader among them."""
    cluster = make_cluster("standalone")
    leader = cluster.up()
    victims = (LEARNERS[1], ACCEPTORS[2], leader)
    with Load(cluster.client_ports()) as load:
        load.wait_answers(200)
        cluster.kill(*victims)
        load.wait_answers(300)
        cluster.start()
        for node in victims:
            wait_until(lambda: cluster.info(node), 10, f"an answer of node {node}")
        cluster.wait_caught_up(LEARNERS[1])
        load.wait_answers(200)
    finish(cluster, load)
