"""`synod leader move`: leadership goes to another node and back under load, and no request fails. Clients that follow -MOVED are sent
on; those that do not know of clusters notice nothing but a pause, unless `forward` is false."""

import threading
import time

import pytest
import redis
from redis.cluster import ClusterNode, RedisCluster

from cluster import BAD_INPUT, OK, TROUBLE, run, wait_until
from history import Load

MOVES = 20
PAUSE_S = 0.5  # on a machine with other work; without, it is some milliseconds


def move(cluster, node, *more):
    return run("leader", "move", node, "--config", cluster.config_file, *more)


class Clients:
    """redis-py clients, each a thread: every error counts."""

    def __init__(self, makers):
        self.makers, self.ends, self.errors, self.stopping = makers, [], [], threading.Event()
        self.threads = [threading.Thread(target=self._work, args=[number], daemon=True) for number in range(len(makers))]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _work(self, number):
        client, count = self.makers[number](), 0
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                count += 1
                assert client.incr(f"redis:{number}") == count
            except Exception as error:  # whatever it is
                self.errors.append(f"{type(error).__name__}: {error}")
            self.ends.append((began, time.monotonic()))
            self.stopping.wait(0.001)

    def longest_wait(self, since, until):
        """Of a request that was made or answered in that time, in seconds."""
        return max((end - began for began, end in list(self.ends) if began < until and end > since), default=0)


def makers_for(cluster, forward):
    ports = cluster.client_ports()
    if forward:  # at any node, and they know nothing of clusters
        return [lambda port=port: redis.Redis(port=port, socket_timeout=10) for port in ports * 2]
    return [lambda: RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", port) for port in ports], socket_timeout=10)] * 4


@pytest.mark.parametrize("choices", ["native", "components", "guest port", "native standalone"])
@pytest.mark.parametrize("forward", [False, True], ids=["moved", "forwarded"])
def test_leadership_moves_back_and_forth(make_cluster, forward, choices):
    cluster = make_cluster(
        "standalone" if "standalone" in choices else "coordinator",
        native="native" in choices,
        leader_rule="sticky",
        settings={"forward": forward},
        choices={"network": "guest-tcp"} if choices == "guest port" else None,
    )
    proposers = [node.id for node in cluster.nodes.values() if node.proposes]
    leader, pauses, took = cluster.up(), [], []
    with Load(cluster.client_ports(), follow=not forward) as load, Clients(makers_for(cluster, forward)) as clients:
        load.wait_answers(300)
        begun = time.monotonic_ns()
        for i in range(MOVES):
            to = proposers[(proposers.index(leader) + (1 if i % 3 else 2)) % 3]
            since = time.monotonic()
            done = move(cluster, to)
            assert done.returncode == OK, done.stderr
            assert done.stdout == f"node {to} leads\n"
            took.append(time.monotonic() - since)
            wait_until(lambda: cluster.leader() == to, 5, f"node {to} to lead")
            load.wait_answers(50)
            pauses.append(clients.longest_wait(since, time.monotonic()))
            leader = to
    print(f"the longest wait of a request at each move: {', '.join(f'{1000 * pause:.0f}' for pause in pauses)} ms; "
          f"the command: {1000 * min(took):.0f} to {1000 * max(took):.0f} ms")
    outcomes = load.outcomes(begun)
    print(outcomes)
    assert not clients.errors, clients.errors[:5]
    assert set(outcomes) <= ({"ok"} if forward else {"ok", "failed MOVED"})
    assert sorted(pauses)[len(pauses) // 2] < PAUSE_S
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()
    cluster.stop()


def test_what_cannot_be_done_is_said_in_one_line(make_cluster):
    cluster = make_cluster("coordinator", native=True)
    leader = cluster.up()
    other, third = [node for node in cluster.nodes if node != leader]
    done = move(cluster, leader)
    assert (done.returncode, done.stdout) == (OK, f"node {leader} leads already\n")
    for node, code, words in [(9, TROUBLE, "node 9 is no proposer of this cluster"), (0, BAD_INPUT, "number of a node")]:
        done = move(cluster, node)
        assert done.returncode == code and words in done.stderr and len(done.stderr.splitlines()) == 1
    cluster.kill(third)
    done = wait_until(lambda: (tried := move(cluster, third)).returncode == TROUBLE and tried, 10, "a dead node to be refused")
    assert done.stderr.startswith(f"synod leader move: node {third} does not answer") and len(done.stderr.splitlines()) == 1
    done = run("leader", "move", other, "--via", f"127.0.0.1:{cluster.nodes[other].client_port}")  # which sends it to the leader
    assert (done.returncode, done.stdout) == (OK, f"node {other} leads\n")
    with cluster.connect(other) as connection:
        for words in (["SYNOD", "LEADER"], ["SYNOD", "FLY", "AWAY"], ["SYNOD", "LEADER", "MOVE", "x"]):
            assert str(connection.command(*words)).startswith("ERR ")
    assert run("leader", "move", other, "--via", "127.0.0.1:1").returncode == TROUBLE
    assert run("leader", "move", other).returncode == BAD_INPUT


def test_under_the_rule_highest_a_lower_node_is_refused(make_cluster):
    cluster = make_cluster("coordinator", native=True, leader_rule="highest")
    leader = wait_until(cluster.up, 30, "a leader")
    assert leader == 3
    done = move(cluster, 1)
    assert done.returncode == TROUBLE and "leader_rule" in done.stderr


def test_the_successor_is_killed_at_that_moment(make_cluster):
    """Whatever the answer says: the cluster serves, and nothing is lost."""
    cluster = make_cluster("coordinator", native=True)
    leader = cluster.up()
    with Load(cluster.client_ports()) as load:
        load.wait_answers(300)
        for i in range(4):
            to = leader % 3 + 1
            killer = threading.Timer(0.002 * i, cluster.server_of(to).process.kill)
            killer.start()
            done = move(cluster, to)
            killer.join()
            assert done.returncode in (OK, TROUBLE)
            since = time.monotonic_ns()
            cluster.server_of(to).wait()
            load.wait_answers(100, since=since)
            cluster.start(to)
            leader = cluster.wait_leader(settled=True)
            cluster.wait_caught_up(to)
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()
