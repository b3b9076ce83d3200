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
    stopped = cluster.servers[leader % 3]
    stopped.signal(signal.SIGSTOP)
    try:
        with Connection(cluster.nodes[leader].client_port) as connection:
            assert connection.command("SET", "key", "another") == "OK"
            assert connection.command("WAIT", 1, SOON_MS) == 1
            began = time.monotonic()
            assert connection.command("WAIT", 2, LIMIT_MS) == 1
            assert LIMIT_MS / 1000 <= time.monotonic() - began < LIMIT_MS / 1000 + SLACK_S
    finally:
        stopped.signal(signal.SIGCONT)
