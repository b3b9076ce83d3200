"""WAIT: how many other nodes hold what a connection has written, at each node; and with one that does not go on."""

import signal
import time

from resp import Connection

SOON_MS = 5000
LIMIT_MS = 1000
SLACK_S = 1  # on a machine with other work


def test_wait(make_cluster):
    cluster = make_cluster("coordinator")
    cluster.up()
    leader = cluster.wait_leader()
    for node in cluster.nodes.values():
        with Connection(node.client_port) as connection:
            assert connection.command("SET", "key", node.id) == "OK"
            assert connection.command("WAIT", 2, SOON_MS) == 2
            assert connection.command("WAITAOF", 1, 2, SOON_MS) == [1, 2]
            assert connection.command("MULTI") == "OK"
            assert [connection.command(*words) for words in (("WAIT", 2, 0), ("SET", "key", "x"))] == ["QUEUED"] * 2
            assert connection.command("EXEC") == [2, "OK"]
    stopped = cluster.servers[leader % 3]
    stopped.signal(signal.SIGSTOP)
    try:
        with Connection(cluster.nodes[leader].client_port) as connection:
            assert connection.command("SET", "key", "another") == "OK"
            assert connection.command("WAIT", 1, SOON_MS) == 1
            began = time.monotonic()
            assert connection.command("WAIT", 2, LIMIT_MS) == 1
            assert LIMIT_MS / 1000 <= time.monotonic() - began < LIMIT_MS / 1000 + SLACK_S
            assert connection.command("WAITAOF", 1, 2, LIMIT_MS) == [1, 1]
    finally:
        stopped.signal(signal.SIGCONT)


def test_at_a_proposer_without_a_learner(make_cluster):
    """All learners are others."""
    cluster = make_cluster("standalone")
    cluster.up()
    with Connection(cluster.nodes[cluster.wait_leader()].client_port) as connection:
        assert connection.command("SET", "key", "value") == "OK"
        assert connection.command("WAIT", 3, SOON_MS) == 3
        assert connection.command("WAITAOF", 0, 3, SOON_MS) == [0, 3]
