"""The ways in which values, votes, results and commands may travel are settings; each serves, survives the loss of its leader,
and gives no wrong answer."""

import pytest

from history import Load

PATHS = {
    "leader-tells": {"acceptors_send_learns": False},
    "acceptors-tell": {"acceptors_send_learns": True},
    "results-to-all": {"learners_send_executed": True},
    "acceptors-tell-results-to-all": {"acceptors_send_learns": True, "learners_send_executed": True},
    "clients-are-sent-away": {"forward": False},
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("deployment", ["coordinator", "standalone"])
def test_path(make_cluster, deployment, path):
    cluster = make_cluster(deployment, settings=PATHS[path])
    cluster.up()
    with Load(cluster.client_ports()) as load:
        load.wait_answers(500)
        leader = cluster.wait_leader()
        cluster.kill(leader)
        load.wait_answers(300)
        assert cluster.wait_leader() != leader
        cluster.start(leader)
        load.wait_answers(200)
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()
    cluster.stop()
