"""A trap, an endless loop, and a component that takes all memory, in each part of a node, mostly of the one that leads, under load: the process goes
on, service is back soon, nothing acknowledged is lost, and no answer is wrong. The nodes are made of parts that break on demand
(build/faulty/nodes, wit/faults.wit)."""

import statistics
import time

import pytest

import resp
from cluster import BUILD, wait_until
from history import Load

PARTS = ["proposer", "acceptor", "learner", "failure-detector", "leader-detector-sticky", "kv-store", "serializer",
         "proposer-agent", "acceptor-agent", "learner-agent", "coordinator", "runner"]
KINDS = ["trap", "loop", "memory"]
SETTINGS = {
    "debug_commands": True,
    "restarts_max": 1000,
    "restart_backoff_ms": 1,
    "turn_timeout_ms": 100,
    "turn_timeout_max_ms": 100,  # the loops have no end
    "memory_bytes_max": "64 MiB",
}
SERVED_AGAIN_S = 5  # any of them; what is usual is measured by `synod-lab restarts`


def restarts(cluster, node):
    info = cluster.info(node)
    return info["restarts"] if info else 0


def node_that_calls(cluster, part):
    """The leader; its leader detector is called by those who follow only."""
    leader = cluster.wait_leader()
    return leader if part != "leader-detector-sticky" else leader % len(cluster.nodes) + 1


def order(cluster, node, part, kind):
    with cluster.connect(node) as connection:
        assert connection.call("DEBUG", "FAULT", part, kind) == "OK"


@pytest.mark.parametrize("kind", KINDS)
def test_each_part_breaks(make_cluster, kind):
    cluster = make_cluster(settings=SETTINGS, environment={"SYNOD_NODES": str(BUILD / "faulty" / "nodes")})
    cluster.up()
    took = []
    with Load(cluster.client_ports()) as load:
        load.wait_answers(200)
        for part in PARTS:
            node = node_that_calls(cluster, part)
            before = restarts(cluster, node)
            ordered_at = time.monotonic_ns()
            order(cluster, node, part, kind)
            wait_until(lambda: restarts(cluster, node) > before, 20, f"node {node} begins again after a {kind} in {part}")
            took.append(load.wait_answers(50, since=ordered_at))
            assert took[-1] < SERVED_AGAIN_S
            wait_until(lambda: cluster.info(node), 10, f"an answer of node {node}")
            cluster.wait_caught_up(node)
    print(f"{kind}: served again after {statistics.median(took):.3f} s at the median, {max(took):.3f} s at most")
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()
    cluster.stop()


def test_nobody_else_may_order_faults(make_cluster):
    """Without debug_commands, and where parts are whole, DEBUG is refused, and nothing happens."""
    cluster = make_cluster()
    node = cluster.up()
    with cluster.connect(node) as connection, pytest.raises(resp.ReplyError, match="debug_commands"):
        connection.call("DEBUG", "FAULT", "runner", "trap")
    cluster.stop()
    cluster.settings["debug_commands"] = True
    cluster.write_config()
    cluster.start()
    node = cluster.wait_leader(settled=True)
    with cluster.connect(node) as connection, pytest.raises(resp.ReplyError, match="not made to break"):
        connection.call("DEBUG", "FAULT", "runner", "trap")
    assert restarts(cluster, node) == 0
    cluster.stop()
