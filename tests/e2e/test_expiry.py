"""Keys that end by themselves: at every node, not early, and soon after their time, also while leaders are killed with -9."""

import time

import pytest

from cluster import wait_until
from resp import Connection, ReplyError

SOON_S = 5  # in which a node that runs notices that a key has ended; most of it is for a slow machine
DEPLOYMENTS = pytest.mark.parametrize("native", [True, False], ids=["native", "components"])


def ask(cluster, *words, node=None):
    """Asks a node, or whichever node answers, until there is an answer that is no error."""

    def answer():
        nodes = [cluster.nodes[node]] if node else [n for n in cluster.nodes.values() if cluster.server_of(n.id).runs]
        for one in nodes:
            try:
                with Connection(one.client_port) as connection:
                    reply = connection.command(*words)
            except OSError:
                continue
            if not isinstance(reply, ReplyError):
                return [reply]
        return None

    return wait_until(answer, 30, f"an answer to {words}")[0]


def check_ends(cluster, key, made_at, ms):
    """`made_at`: just before it was made. It is there until its time, as far as this clock can tell, and gone soon after."""
    while True:
        asked_at = time.monotonic()
        found = ask(cluster, "GET", key)
        now = time.monotonic()
        if found is None:
            assert now - made_at >= ms / 1000, f"{key} ended after {now - made_at:.3f} s, not {ms} ms"
            return
        assert asked_at - made_at < ms / 1000 + SOON_S + 10, f"{key} is still there after {asked_at - made_at:.3f} s"
        time.sleep(0.02)


@DEPLOYMENTS
def test_keys_end_at_all_nodes(make_cluster, native):
    cluster = make_cluster("coordinator", native=native)
    cluster.up()
    cluster.wait_leader()
    for node in cluster.nodes:
        made_at = time.monotonic()
        assert ask(cluster, "SET", "k", "v", "PX", 400, node=node) == "OK"
        left = ask(cluster, "PTTL", "k", node=node)
        assert 0 <= left <= 400
        check_ends(cluster, "k", made_at, 400)
        for other in cluster.nodes:
            assert ask(cluster, "EXISTS", "k", node=other) == 0
            assert ask(cluster, "TTL", "k", node=other) == -2
    assert ask(cluster, "SET", "kept", "v", "EX", 1) == "OK" and ask(cluster, "PERSIST", "kept") == 1
    date = int(time.time()) + 1000
    assert ask(cluster, "SET", "dated", "v", "EXAT", date) == "OK" and ask(cluster, "EXPIRETIME", "dated") == date
    assert 900 < ask(cluster, "TTL", "dated") <= 1001
    assert abs(int(ask(cluster, "TIME")[0]) - time.time()) < 5
    time.sleep(1.2)
    assert ask(cluster, "GET", "kept") == b"v" and ask(cluster, "DBSIZE") == 2
    cluster.stop()


@DEPLOYMENTS
def test_keys_leave_while_no_client_does_anything(make_cluster, native):
    cluster = make_cluster("coordinator", native=native)
    cluster.up()
    cluster.wait_leader()
    with cluster.connect(cluster.wait_leader()) as connection:
        for i in range(2000):
            assert connection.command("SET", f"k{i}", "v", "PX", 300) == "OK"
    wait_until(lambda: all(info and "db0" not in info for info in cluster.states().values()), 20, "all keys to leave")
    cluster.stop()


@DEPLOYMENTS
def test_a_killed_leader_ends_no_key_early(make_cluster, native):
    cluster = make_cluster("coordinator", native=native)
    cluster.up()
    for ms in (1500, 4000):
        leader = cluster.wait_leader()
        made_at = time.monotonic()
        assert ask(cluster, "SET", f"k{ms}", "v", "PX", ms) == "OK"
        assert ask(cluster, "SET", "lasting", "v", "EX", 1000) == "OK"
        cluster.kill(leader)
        check_ends(cluster, f"k{ms}", made_at, ms)
        cluster.start(leader)
        cluster.wait_caught_up(leader)
    assert 900 < ask(cluster, "TTL", "lasting") <= 1000
    cluster.wait_settled()
    cluster.stop()
