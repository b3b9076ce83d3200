"""No room on disk, no file descriptor: the nodes go on as far as they can, say so, and recover by themselves. No process ends, and
nothing that was answered is lost."""

import resource
import socket
import subprocess

import pytest

import resp
from cluster import wait_until

VALUE = b"v" * 100_000
PLACES = [{}, {"storage": "guest"}, {"network": "guest-tcp", "storage": "guest"}]


def name_of(choices):
    return "-".join(choices.values()) or "host"


def refusal(cluster, node, key):
    """Sets a key on a node. None: done; else what the node says."""
    try:
        with cluster.connect(node) as connection:
            connection.call("SET", key, VALUE)
            return None
    except (resp.ReplyError, resp.Closed, OSError) as error:
        return str(error)


class Writer:
    """Writes to the leader, and knows what was answered."""

    def __init__(self, cluster):
        self.cluster, self.count, self.answered = cluster, 0, []

    def write(self):
        leader = self.cluster.leader()
        self.count += 1
        key = f"key:{self.count}"
        if leader and refusal(self.cluster, leader, key) is None:
            self.answered.append(key)
            return True
        return False

    def check(self):
        with self.cluster.connect(self.cluster.wait_leader(settled=True)) as connection:
            for key in self.answered:
                assert connection.call("GET", key) == VALUE, key


# ---- disks ----


@pytest.fixture
def small_disks(make_cluster, request):
    cluster = make_cluster("coordinator", settings={"segment_bytes": "1 MiB", "request_timeout_ms": 2000}, choices=request.param)
    mounted = []
    for node in cluster.nodes:
        folder = cluster.node_folder(node)
        folder.mkdir(parents=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=750", "none", folder], capture_output=True).returncode:
            pytest.skip("a file system can only be mounted by root")
        mounted.append(folder)
    yield cluster
    cluster.kill_all()
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(cluster, node):
    with open(cluster.node_folder(node) / "ballast", "wb", buffering=0) as ballast:
        try:
            while ballast.write(bytes(65536)):
                pass
        except OSError:
            pass


def make_room(cluster, node):
    (cluster.node_folder(node) / "ballast").unlink()


def times_full(cluster, node):
    return cluster.log(node).count("until there is room")


@pytest.mark.parametrize("small_disks", PLACES, ids=name_of, indirect=True)
def test_full_disks(small_disks):
    cluster = small_disks
    leader = cluster.up()
    writer = Writer(cluster)
    follower = next(node for node in cluster.nodes if node != leader)

    # One of three: the others go on, and it catches up.
    fill(cluster, follower)
    wait_until(lambda: writer.write() and times_full(cluster, follower), 60, "a follower without room")
    for _ in range(20):
        wait_until(writer.write, 20, "a write on the other two")
    cluster.check_alive()
    make_room(cluster, follower)
    wait_until(lambda: "there is room again" in cluster.log(follower), 20, "room")
    cluster.wait_caught_up(follower)

    # All of them: only refusals are answered, and no node ends.
    before = {node: times_full(cluster, node) for node in cluster.nodes}
    for node in cluster.nodes:
        fill(cluster, node)

    def refused():
        writer.write()
        answers = {node: refusal(cluster, node, "probe") or "OK" for node in cluster.nodes}
        return sum("NOROOM" in answer for answer in answers.values()) >= 2

    wait_until(refused, 90, lambda: f"-NOROOM; {cluster.describe()}")
    for node in cluster.nodes:
        with cluster.connect(node) as connection:
            assert connection.call("PING") == "PONG"
    cluster.check_alive()
    assert sum(times_full(cluster, node) > before[node] for node in cluster.nodes) >= 2

    # Room again: service, and everything that was answered, without a hand.
    for node in cluster.nodes:
        make_room(cluster, node)
    wait_until(writer.write, 60, "service")
    cluster.check_alive()
    writer.check()
    cluster.wait_settled()
    cluster.stop()

    # And so after a start.
    cluster.start()
    writer.check()
    cluster.stop()


# ---- descriptors ----


@pytest.mark.parametrize("choices", [PLACES[0], PLACES[2]], ids=name_of)
def test_clients_take_all_descriptors(make_cluster, choices):
    """Clients get what journal and peers do not need, and no more."""
    cluster = make_cluster("coordinator", settings={"segment_bytes": "1 MiB"}, choices=choices)
    files = 80 if not choices else 100

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    cluster.init()
    for server in cluster.servers:
        server.start(prepare=limit)
    leader = cluster.wait_leader(settled=True)
    writer = Writer(cluster)
    own = cluster.connect(leader)
    own.call("PING")
    idle = []
    for node in cluster.nodes.values():
        for _ in range(files + 40):
            try:
                idle.append(socket.create_connection(("127.0.0.1", node.client_port), 5))
            except OSError:
                pass
    try:
        # Segments are made, and a peer that comes back finds a place.
        other = next(node for node in cluster.nodes if node != leader)
        cluster.kill(other)
        cluster.server_of(other).start(prepare=limit)
        for i in range(60):
            assert own.call("SET", f"own:{i}", VALUE) == "OK"
        cluster.check_alive()
        for node in cluster.nodes:
            assert "Too many open files" not in cluster.log(node)
            assert f"because only {files} files may be open" in cluster.log(node)
    finally:
        for connection in idle:
            connection.close()
    wait_until(writer.write, 20, "a place for a client")
    cluster.wait_caught_up(other)
    cluster.wait_settled()
    cluster.stop()
