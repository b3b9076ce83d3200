"""Many changes of members, and kill -9 at any moment of them, while clients write and read; and how long a lost disk of a large state takes.

The long forms: SYNOD_CHANGES=50, SYNOD_MEMBER_KILLS=200, SYNOD_STATE_MIB=512 (docs/testing.md)."""

import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from cluster import OK, REMOVED, SYNOD, run, wait_until
from history import Load
from test_members import SERVICE_S, add_to_file, done, formed, full, joins, member, members, settled

CHANGES = int(os.environ.get("SYNOD_CHANGES", 8))
KILLS = int(os.environ.get("SYNOD_MEMBER_KILLS", 10))
STATE_MIB = int(os.environ.get("SYNOD_STATE_MIB", 24))
KIB, MIB = 1 << 10, 1 << 20
# Snapshots, truncations and transfers all the time.
SMALL = {"segment_bytes": "1 MiB", "snapshot_bytes": "256 KiB", "journal_keep_slots": 16}
PATIENCE_S = 60


def forget(cluster, node):
    """A node that was removed: it is no node of the file any more, and neither is its folder."""
    server = cluster.server_of(node)
    cluster.kill(node)
    cluster.servers.remove(server)
    del cluster.nodes[node]
    cluster.write_config()
    shutil.rmtree(cluster.node_folder(node), ignore_errors=True)


def lose_disk(cluster, node):
    cluster.kill(node)
    shutil.rmtree(cluster.node_folder(node))


# ---- many changes ----


def changed(cluster, *words):
    """A change of members, as an operator makes it: he asks again while it is not safe, because others have to catch up first."""
    wait_until(lambda: (process := member(cluster, *words)).returncode == OK or ("not safe now" not in process.stderr and done(process)),
               SERVICE_S, f"{words}; {cluster.describe()}")


def change(cluster, dice):
    """One change, to its end. Returns what it was."""
    leader = cluster.wait_leader(settled=True)
    kinds = ["replace", "settings"] + (["add"] if len(cluster.nodes) < 5 else []) + (["remove"] if len(cluster.nodes) > 3 else [])
    kind = dice.choice(kinds)
    if kind == "add":
        node = min(set(range(1, 8)) - set(cluster.nodes))
        add_to_file(cluster, node)
        changed(cluster, "add", node)
        joins(cluster, node)
        full(cluster, node)
    elif kind == "remove":
        node = dice.choice(list(cluster.nodes))
        changed(cluster, "remove", node)
        assert cluster.server_of(node).wait(SERVICE_S) == REMOVED, cluster.server_of(node).log_tail()
        forget(cluster, node)
    elif kind == "replace":
        node = dice.choice([node for node in cluster.nodes if node != leader])
        lose_disk(cluster, node)
        changed(cluster, "replace", node)
        joins(cluster, node)
        cluster.wait_caught_up(node, SERVICE_S)
    else:
        node = len(cluster.nodes) // 2 + 2
        for quorum in (node, node - 1):  # and back: the larger one may need all nodes
            done(run("settings", "set", "phase1_quorum", quorum, "--config", cluster.config_file))
            settled(cluster)
    settled(cluster)
    return f"{kind} {node}"


@pytest.mark.parametrize("kind", ["native", "components"])
def test_many_changes(make_cluster, kind):
    """Members come and go, and get new disks, and quorums change: nothing is lost, and histories are linearizable."""
    cluster = make_cluster(native=kind == "native", settings=SMALL, size=4)
    cluster.up()
    formed(cluster)
    dice, made = random.Random(CHANGES), []
    while len(made) < CHANGES:
        count = min(10, CHANGES - len(made))  # a history that is judged at once
        begun = time.monotonic()
        with Load(cluster.client_ports(), name=f"after-{len(made)}", seed=len(made), pace_s=0.001) as load:
            load.wait_answers(100)
            made += [change(cluster, dice) for _ in range(count)]
            since = time.monotonic_ns()
            load.wait_answers(100, since=since)
        took = time.monotonic() - begun
        load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
        cluster.wait_settled()
        load.judge()
        print(f"{len(made)} changes, the last {count} in {took:.0f} s, {load.acknowledged()} answers: {', '.join(made[-count:])}")
    assert set(members(cluster)) == set(cluster.nodes)
    cluster.stop()


# ---- kill -9 at any moment ----


class Operator:
    """Runs one command after another, each until it is done; meanwhile nodes are killed and started again, at random moments."""

    def __init__(self, cluster, dice, kills):
        self.cluster, self.dice, self.left = cluster, dice, kills
        self.next = time.monotonic() + dice.uniform(0, 1)
        self.down = None  # a node that was killed, and when it is started again
        self.spared = None  # a node that has no folder now

    def check_alive(self):
        """No node ends by itself, but one that is removed."""
        for server in self.cluster.servers:
            code = server.process.poll() if server.process is not None else None
            assert code in (None, -signal.SIGKILL) or (code == REMOVED and self.spared in server.nodes), (
                f"{server.name} ended with {code}; the end of its log:\n{server.log_tail()}")

    def strike(self):
        """Kills or starts a node, if the moment has come."""
        now = time.monotonic()
        self.check_alive()
        if self.down and now >= self.down[1]:
            self.cluster.server_of(self.down[0]).start()
            self.down = None
            self.next = now + self.dice.uniform(0, 1.5)
        if not self.down and self.left > 0 and now >= self.next:
            node = self.dice.choice([n for n in self.cluster.nodes if n != self.spared and self.cluster.server_of(n).runs])
            self.cluster.kill(node)
            self.left -= 1
            self.down = (node, now + self.dice.uniform(0, 1))

    def heal(self):
        if self.down:
            self.cluster.server_of(self.down[0]).start()
            self.down = None

    def until(self, condition, what):
        def struck():
            self.strike()
            return condition()

        return wait_until(struck, PATIENCE_S, what)

    def command(self, *words, done_if=lambda text: False):
        """Runs a command of synod again and again, until it is done. `done_if`: what an error says if an earlier try has done it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            process = subprocess.Popen([SYNOD, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       text=True)
            self.until(lambda: process.poll() is not None, f"the end of {words}")
            out, err = process.communicate()
            if process.returncode == OK or done_if(err):
                return out
            assert time.monotonic() < deadline, err

    def member(self, *words, **more):
        return self.command("member", *words, "--config", self.cluster.config_file, **more)

    def listed(self):
        process = member(self.cluster, "list")
        return process.stdout if process.returncode == OK else ""

    def settled(self):
        def condition():
            text = self.listed()
            return "configuration of slot" in text and "still needed" not in text and " joining " not in text

        self.until(condition, lambda: f"a settled configuration: {self.listed()}; {self.cluster.describe()}")

    def joins(self, node):
        def gone(text):  # a try that was cut short may have made the folder
            return "exists already" in text or "is not empty" in text

        self.command("init", "--config", self.cluster.config_file, "--node", node, "--join", done_if=gone)
        self.cluster.server_of(node).start()
        self.spared = None

    def replace(self, node):
        self.until(lambda: not self.down, "all nodes up")
        disk = members(self.cluster)[node][2]
        self.spared = node
        lose_disk(self.cluster, node)
        self.member("replace", node, "--disk", disk)
        self.joins(node)

    def add(self, node):
        add_to_file(self.cluster, node)
        self.spared = node
        self.member("add", node, done_if=lambda text: "is a member already" in text)
        self.joins(node)

    def remove(self, node):
        self.until(lambda: not self.down, "all nodes up")
        self.spared = node
        self.member("remove", node, done_if=lambda text: "there is no such member" in text)
        self.until(lambda: not self.cluster.server_of(node).runs, f"the end of node {node}")
        assert self.cluster.server_of(node).process.returncode == REMOVED, self.cluster.server_of(node).log_tail()
        forget(self.cluster, node)
        self.spared = None


def changes_with_kills(cluster, dice, kills):
    operator = Operator(cluster, dice, kills)
    made = []
    while operator.left > 0:
        kind = dice.choice(["replace", "remove" if 5 in cluster.nodes else "add"])
        node = 5 if kind != "replace" else dice.choice(list(cluster.nodes))
        getattr(operator, kind)(node)
        operator.settled()
        made.append(f"{kind} {node}")
    operator.heal()
    return made


def test_kill_at_any_moment(make_cluster):
    """kill -9 of any node at any moment of a change of members, with snapshots, truncations and transfers all the time: nothing is lost,
    and all converge."""
    cluster = make_cluster(settings=SMALL, size=4)
    cluster.up()
    formed(cluster)
    seed, rest = int(os.environ.get("SYNOD_SEED", 1)), KILLS
    dice = random.Random(seed)
    while rest > 0:
        count = min(rest, 10)  # a history that is judged at once
        with Load(cluster.client_ports(), name=f"with-{rest}-left", seed=rest, pace_s=0.001) as load:
            load.wait_answers(100)
            made = changes_with_kills(cluster, dice, count)
            since = time.monotonic_ns()
            load.wait_answers(100, timeout_s=30, since=since)
        load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
        cluster.wait_settled(60)
        load.judge()
        rest -= count
        print(f"{count} kills during {', '.join(made)}; {load.acknowledged()} answers; {rest} kills are left")
    cluster.stop()


# ---- a lost disk of a large state ----


def test_disk_replaced_with_state(make_cluster):
    """A node whose disk was lost has the whole state again, while clients write and read."""
    cluster = make_cluster(settings={"segment_bytes": "16 MiB", "state_bytes_max": "600 MiB", "memory_bytes_max": "1 GiB"})
    leader = cluster.up()
    formed(cluster)
    filled = subprocess.run([SYNOD, "bench", "--config", cluster.config_file, "--requests", str(STATE_MIB * 16), "--keyspace", "0",
                             "--value-size", str(64 * KIB), "--connections", "4", "--quiet"], capture_output=True, text=True, timeout=600)
    assert filled.returncode == OK, filled.stdout + filled.stderr
    lost = next(node for node in cluster.nodes if node != leader)
    with Load(cluster.client_ports()) as load:
        load.wait_answers(100)
        lose_disk(cluster, lost)
        begun, since = time.monotonic(), time.monotonic_ns()
        done(member(cluster, "replace", lost))
        joins(cluster, lost)
        cluster.wait_caught_up(lost, 60)
        settled(cluster)
        took = time.monotonic() - begun
        load.wait_answers(100, since=since)
        answers = len(load.answered_after(since))
    print(f"{STATE_MIB} MiB of state: in service again after {took:.1f} s; {answers} answers meanwhile")
    assert took < 60
    cluster.wait_settled()
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    load.judge()
    cluster.stop()
