"""A node that needs only WASI runs under a WASI host that is not ours: jco on Node.js (wasi_host/). It does all that a node does, and
its data folder is the same under both hosts."""

import os
import shutil
import signal
import subprocess
import time

import pytest

import resp
from cluster import BUILD, OK, ROOT, Server, run, wait_until
from test_members import done, formed, joins, member, settled

NODE = ROOT / "build" / "tools" / "venv" / "bin" / "node"
RUN = ROOT / "tests" / "e2e" / "wasi_host" / "run.mjs"
COMPONENT = BUILD / "nodes" / "coordinator-node-guest-tcp-guest-storage-wasi.wasm"
WHOLE = BUILD / "nodes" / "node-guest-tcp-guest-storage-wasi.wasm"  # of the granularity `node`: node 2

# A round trip through the sockets of this host takes some milliseconds.
SETTINGS = {"heartbeat_interval_ms": 500, "suspect_timeout_ms": 2000, "dead_timeout_ms": 4000, "prepare_timeout_ms": 1000,
            "retry_interval_ms": 1000}


@pytest.fixture(scope="module", autouse=True)
def transpiled():
    for component in (COMPONENT, WHOLE):
        subprocess.run([NODE, RUN, component], check=True, timeout=120)


class ForeignServer(Server):
    """A node under jco. It sees the folder with all data folders, and its settings there."""

    def __init__(self, cluster, node):
        super().__init__(f"node {node} under jco", [node], [], cluster.folder / f"node-{node}.log", {})
        self.component = WHOLE if node == 2 else COMPONENT
        self.data = cluster.data
        self.settings = f"settings-{node}/node.settings"
        self.stop_file = self.data / f"settings-{node}" / "stop"
        self.stop_file.parent.mkdir(exist_ok=True)
        done = run("config", "export", "--config", cluster.config_file, "--node", node, "--output", self.data / self.settings)
        assert done.returncode == OK, done.stderr

    def start(self, environment=None):
        self.stop_file.unlink(missing_ok=True)
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", NODE, RUN, self.component, self.data, self.settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | (environment or {}),
            )

    def signal(self, number):
        if number == signal.SIGTERM:
            self.stop_file.touch()
        else:
            super().signal(number)

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def formatted(make_cluster):
    cluster = make_cluster(settings=SETTINGS)
    cluster.init()
    own = {node: cluster.server_of(node) for node in cluster.nodes}

    def move(*foreign):
        """These nodes run under jco from now on, all others under synod; none of them may run."""
        cluster.servers = [ForeignServer(cluster, node) if node in foreign else own[node] for node in cluster.nodes]

    cluster.move = move
    return cluster


def leader_connection(cluster):
    return cluster.connect(cluster.wait_leader(), timeout_s=30)


def write(cluster, keys):
    with leader_connection(cluster) as connection:
        for key in keys:
            assert connection.call("SET", f"key-{key}", f"value-{key}" * 10) == "OK"


def write_when_led(cluster, key):
    """For when a leader may have just gone: tries until a node takes it."""

    def condition():
        try:
            with leader_connection(cluster) as connection:
                return connection.call("SET", f"key-{key}", f"value-{key}" * 10) == "OK"
        except (OSError, resp.ReplyError):
            return False

    wait_until(condition, 60, lambda: f"a write; {cluster.describe()}")


def check(cluster, keys):
    with leader_connection(cluster) as connection:
        for key in keys:
            assert connection.call("GET", f"key-{key}") == f"value-{key}".encode() * 10


def test_cluster_under_another_host(formatted):
    cluster = formatted
    cluster.move(1, 2, 3)
    cluster.start()
    cluster.wait_leader(settled=True)
    write(cluster, range(100))
    check(cluster, range(100))
    cluster.wait_settled()

    # Nothing is polled: three nodes with nothing to do but heartbeats.
    before, began = sum(server.cpu_s() for server in cluster.servers), time.monotonic()
    time.sleep(4)
    share = (sum(server.cpu_s() for server in cluster.servers) - before) / (time.monotonic() - began) / 3
    assert share < 0.3, f"an idle node takes {share:.0%} of a processor"

    leader = cluster.leader()
    cluster.kill(leader)
    write_when_led(cluster, 100)
    write(cluster, range(101, 150))

    # Its lease was not given back: it is watched, and taken over.
    cluster.start(leader)
    cluster.wait_caught_up(leader, timeout_s=60)
    assert "node-%d: the folder was taken over" % leader in cluster.log(leader)
    check(cluster, range(150))
    cluster.wait_settled()
    cluster.stop()
    assert not list(cluster.data.glob("node-*/lease"))


def test_same_folders_under_both_hosts(formatted):
    cluster = formatted
    count = 0
    for foreign in [(1, 2, 3), (1,), (2, 3), ()]:
        cluster.move(*foreign)
        cluster.start()
        cluster.wait_leader(settled=True)
        check(cluster, range(count))
        write(cluster, range(count, count + 50))
        count += 50
        cluster.wait_settled()
        cluster.stop()


def test_members_change(formatted):
    """A node under jco gets another disk, and is removed: it keeps what it knows of that, and ends when it has to."""
    cluster = formatted
    cluster.move(3)
    cluster.start(1, 2)
    cluster.wait_leader(settled=True)  # which stays: node 3 could not give the first configuration
    cluster.start(3)
    formed(cluster)
    write(cluster, range(20))
    cluster.kill(3)
    shutil.rmtree(cluster.node_folder(3))
    done(member(cluster, "replace", 3))
    joins(cluster, 3)
    settled(cluster)
    cluster.wait_caught_up(3, timeout_s=60)
    cluster.stop(1)  # node 3 is needed now, with what its new disk has promised
    write_when_led(cluster, 20)
    cluster.start(1)
    cluster.stop(3)
    assert (cluster.node_folder(3) / "configuration").read_text().startswith("synod-configuration ")
    cluster.start(3)
    cluster.wait_caught_up(3, timeout_s=60)
    if cluster.leader() == 3:
        done(run("leader", "move", 1, "--config", cluster.config_file))
    done(member(cluster, "remove", 3))
    removed = cluster.server_of(3)
    assert removed.wait(60) == 1, removed.log_tail()
    assert "this data folder is of no use any more" in removed.log()  # as others say, or as it executes that
    assert "node 3 was removed in slot" in removed.log() and "exit code 7" in removed.log()
    removed.process = None
    check(cluster, range(21))


def test_polling(make_cluster):
    """The loop's other way: a turn every tick, whatever happens."""
    cluster = make_cluster(settings=SETTINGS | {"waiting": "polling", "tick_micros": 20000})
    cluster.init()
    cluster.servers = [ForeignServer(cluster, node) for node in cluster.nodes]
    cluster.start()
    cluster.wait_leader(settled=True)
    write(cluster, range(20))
    check(cluster, range(20))
    cluster.wait_settled()
    assert all("its loop in the sandbox, which polls" in server.log() for server in cluster.servers)
    cluster.stop()


def test_one_node_a_folder(formatted):
    cluster = formatted
    cluster.move(1, 2, 3)
    foreign = cluster.servers[0]
    foreign.start()
    wait_until(lambda: (cluster.node_folder(1) / "lease").exists() and "started" in foreign.log(), 30, foreign.log_tail)

    def refused(command, text, code):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=30)
        assert done.returncode == code, done.stderr
        assert text in done.stderr

    refused([NODE, RUN, COMPONENT, cluster.data, foreign.settings], "node-1 is already in use by another node, which renews its lease", 1)
    done = run("start", "--config", cluster.config_file, "--node", 1)
    assert done.returncode == 3
    assert "node-1 is already in use by another node, which renews its lease" in done.stderr
    cluster.kill(1)

    # A process of synod finds out by itself that no holder is there any more, and is seen.
    cluster.move(2, 3)
    cluster.start(1)
    lock = cluster.node_folder(1) / "lock"
    wait_until(lambda: lock.read_text() != "", 30, cluster.server_of(1).log_tail)
    wait_until(lambda: "the folder was taken over" in cluster.log(1), 30, cluster.server_of(1).log_tail)
    refused([NODE, RUN, COMPONENT, cluster.data, foreign.settings], "node-1 is in use by process ", 1)
    cluster.kill(1)
    refused([NODE, RUN, COMPONENT, cluster.data, foreign.settings], "remove node-1/lock", 1)


def test_host_that_syncs_no_folders(formatted):
    """Nothing can be done about it, but the operator must know."""
    cluster = formatted
    cluster.move(1, 2)
    cluster.start(1, environment={"SYNC_NO_FOLDERS": "1"})
    cluster.start(2)
    cluster.wait_leader(settled=True)
    write(cluster, range(20))
    cluster.stop()
    assert cluster.log(1).count("warning storage: node-1: the host does not sync this folder") == 1
    assert "warning storage" not in cluster.log(2)


def test_bad_settings(formatted):
    cluster = formatted
    for name, content, text in [("none", None, "there are no settings to read"), ("bad", b"x" * 640, "no settings, or damaged ones")]:
        if content is not None:
            (cluster.data / name).write_bytes(content)
        done = subprocess.run([NODE, RUN, COMPONENT, cluster.data, name], capture_output=True, text=True, timeout=30)
        assert done.returncode == 1
        assert f"host: {name}: {text}" in done.stderr
        assert "\n    at " not in done.stderr  # no traces of the host's
