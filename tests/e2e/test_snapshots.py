"""Clusters that live long: snapshots take the place of the journal. Disks, memory and restarts are bounded; a node that was away for
long gets a snapshot from the others; damage is noticed; kill -9 at any moment of all that loses nothing.

The long forms: SYNOD_REQUESTS=20000000 (with the default settings), SYNOD_KILLS=200, SYNOD_STATE_MIB=500."""

import itertools
import json
import os
import random
import re
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

import journal
import resp
from cluster import BAD_DATA, OK, ROOT, SYNOD, wait_until
from frames import xxh64
from history import Load

REQUESTS = int(os.environ.get("SYNOD_REQUESTS", 0))
KILLS = int(os.environ.get("SYNOD_KILLS", 12))
STATE_MIB = int(os.environ.get("SYNOD_STATE_MIB", 24))
KIB, MIB = 1 << 10, 1 << 20
PIECE = 512 * KIB  # more than a piece of these snapshots has
# Snapshots, truncations and transfers all the time.
SMALL = {"segment_bytes": "1 MiB", "snapshot_bytes": "1 MiB", "journal_keep_slots": 16}
PLACES = {
    "composed": {},
    "native": {"native": True},
    "guest storage": {"choices": {"storage": "guest"}},
    "standalone": {"deployment": "standalone"},
}


def folder_bytes(folder):
    """What the files of a folder take on disk. A file may be removed at any moment."""
    total = 0
    for file in Path(folder).rglob("*"):
        try:
            total += file.stat().st_blocks * 512
        except FileNotFoundError:
            pass
    return total


def resident_bytes(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024


class Samples:
    """Folder sizes and resident memory of all nodes, over time."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.disk = {node: [] for node in cluster.nodes}
        self.memory = {node: [] for node in cluster.nodes}

    def take(self):
        for node in self.cluster.nodes:
            self.disk[node].append(folder_bytes(self.cluster.node_folder(node)))
            self.memory[node].append(resident_bytes(self.cluster.server_of(node)))

    def largest_folder(self):
        return max(map(max, self.disk.values()))

    def growth(self, node):
        """How much more memory the node had in the last quarter than in the second, at most in each."""
        memory = self.memory[node]
        quarter = len(memory) // 4
        return max(memory[-quarter:]) - max(memory[quarter : 2 * quarter])

    def report(self):
        for node in self.cluster.nodes:
            memory, disk = self.memory[node], self.disk[node]
            part = [memory[len(memory) * i // 4] // MIB for i in range(4)] + [memory[-1] // MIB]
            print(f"node {node}: folder {max(disk) / MIB:.1f} MiB at most, {disk[-1] / MIB:.1f} at the end;"
                  f" resident {' '.join(map(str, part))} MiB at each quarter, {max(memory) / MIB:.1f} at most")


def bench(cluster, requests, keys, *more):
    return subprocess.Popen(
        [SYNOD, "bench", "--config", cluster.config_file, "--requests", str(requests), "--keyspace", str(keys), "--connections", "50",
         "--quiet", *map(str, more)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def restart_s(cluster, node):
    """kill -9, start, and how long until it stands where it stood, with the same state."""
    before = cluster.info(node)
    cluster.kill(node)
    begun = time.monotonic()
    cluster.start(node)
    wait_until(lambda: (now := cluster.info(node)) and now["executed"] >= before["executed"], 30, f"node {node} at {before['executed']}")
    return time.monotonic() - begun


def test_many_requests_on_few_keys(make_cluster):
    """Folders, memory and restarts do not grow with history."""
    if REQUESTS:
        cluster, requests, folder_max = make_cluster(settings={"segment_bytes": "16 MiB"}), REQUESTS, 200 * 10**6
    else:
        cluster, requests, folder_max = make_cluster(settings=SMALL), 400_000, 16 * MIB
    cluster.up()
    samples = Samples(cluster)
    load = bench(cluster, requests, 1000, "--pipeline", 16, "--processes", 2)
    while load.poll() is None:
        samples.take()
        time.sleep(0.1)  # between two samples; nothing is waited for
    output = load.stdout.read()
    print(output)
    assert load.returncode == OK, output
    samples.report()
    cluster.wait_settled()
    assert samples.largest_folder() <= folder_max
    for node in cluster.nodes:
        assert samples.growth(node) <= 8 * MIB, f"memory of node {node} in MiB: {[m // MIB for m in samples.memory[node]]}"
    took = [restart_s(cluster, node) for node in cluster.nodes]
    print("restarts took", " ".join(f"{s:.3f}" for s in took), "s")
    cluster.wait_settled()
    assert min(took) < 1.0
    cluster.stop()


def fill(cluster, requests, keys, *more):
    """Puts so many values into the cluster."""
    load = bench(cluster, requests, keys, "--pipeline", 16, *more)
    output = load.communicate(timeout=60)[0]
    assert load.returncode == OK, output


def snapshots(cluster, node, ending=""):
    """The snapshots in the folder of a node, oldest first."""
    return sorted((cluster.node_folder(node) / "snapshots").glob(f"snapshot-{'?' * 20}{ending}"))


def truncated(cluster, node):
    """Whether the journal of a node no longer begins with its first record."""
    files = journal.segments(cluster.node_folder(node))
    return bool(files) and int(files[0].stem.split("-")[1]) > 1


def learners(cluster):
    return [node.id for node in cluster.nodes.values() if node.executes]


# ---- transfer ----


def received(cluster, node):
    """The name of the file that a node fetches, and what it has of it, in bytes; None: it fetches none."""
    for file in (cluster.node_folder(node) / "snapshots").glob("received-*.part"):
        try:
            return file.name, file.stat().st_size
        except FileNotFoundError:
            pass
    return None


@pytest.mark.parametrize("place", ["composed", "guest storage", "standalone"])
def test_transfer_goes_on_after_breaks(make_cluster, place):
    """A learner was down while the others truncated. It is killed in the middle of the transfer, and so is each that may serve it."""
    settings = SMALL | {"snapshot_bytes": "256 KiB", "transfer_bytes_per_second": "512 KiB"}
    cluster = make_cluster(settings=settings, **PLACES[place])
    leader = cluster.up()
    away = next(node for node in learners(cluster) if node != leader)
    others = [node for node in learners(cluster) if node != away]
    cluster.kill(away)
    for _ in range(20):
        fill(cluster, 2000, 1000, "--value-size", 4096)
        if all(len(snapshots(cluster, node)) == 2 and truncated(cluster, node) for node in others):
            break
    assert all(truncated(cluster, node) for node in others)

    name, had = None, 0

    def comes(more):
        """Waits for more of the snapshot. Of what was there, a restart loses a piece at most. Another peer may offer another file."""
        nonlocal name, had
        goal = had + more

        def condition():
            nonlocal name, had, goal
            cluster.check_running()
            now = received(cluster, away)
            if now is None:
                return None
            if now[0] != name:
                name, had, goal = now[0], 0, more
            assert now[1] >= had - PIECE, f"had {had} bytes, now {now[1]}"
            return now[1] if now[1] >= goal else None

        had = wait_until(condition, 30, lambda: f"{goal} bytes of a snapshot; there are {received(cluster, away)}")

    cluster.start(away)
    comes(1)
    cluster.kill(away)
    name, had = received(cluster, away)
    cluster.start(away)
    comes(128 * KIB)
    for node in others:
        cluster.kill(node)
        comes(128 * KIB)
        cluster.start(node)
    cluster.wait_leader(settled=True)
    print(f"{had} bytes had come when the last break was over; the snapshot has {snapshots(cluster, others[0])[-1].stat().st_size}")
    cluster.wait_settled(60)
    wait_until(lambda: received(cluster, away) is None, 5, "the end of the file that was received")
    assert snapshots(cluster, away)
    cluster.stop()


# ---- a large state ----


def steady(cluster, seconds, *more):
    """A steady load for so long: the statistics of `synod bench`, and how many snapshots the leader has taken meanwhile."""
    leader = cluster.wait_leader(settled=True)
    before, names = set(snapshots(cluster, leader)), set()
    load = subprocess.Popen(
        [SYNOD, "bench", "--config", cluster.config_file, "--requests", "100000000", "--keyspace", "1000", "--connections", "8", "--json",
         "--quiet", *map(str, more)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        names |= set(snapshots(cluster, leader))
        time.sleep(0.05)  # between two looks
    load.terminate()
    return json.loads(load.communicate(timeout=30)[0]), len(names - before)


def settings_of(cluster, changes):
    """The same cluster with other settings."""
    cluster.stop()
    cluster.settings |= changes
    cluster.write_config()
    cluster.start()
    cluster.wait_leader(settled=True)
    cluster.wait_settled(120)


def test_a_large_state(make_cluster):
    """Snapshots of a large state do not stop the load; a learner that was away for long is back soon, under load."""
    long = STATE_MIB >= 256
    seconds = 20 if long else 2
    with_snapshots = {"storage_snapshot_slot_interval": 6000 if long else 300}
    without = {"storage_snapshot_slot_interval": 0}
    sizes = {"memory_bytes_max": "2 GiB", "state_bytes_max": "640 MiB", "segment_bytes": "16 MiB" if long else "1 MiB"}
    cluster = make_cluster(settings=sizes | without | {"snapshot_bytes": 0})
    leader = cluster.up()
    value = b"v" * 64 * KIB
    with cluster.connect(leader, timeout_s=60) as connection:
        for at in range(0, STATE_MIB * 16, 64):
            connection.send(b"".join(resp.encode("SET", f"large:{i}", value) for i in range(at, min(at + 64, STATE_MIB * 16))))
            assert {connection.receive() for _ in range(at, min(at + 64, STATE_MIB * 16))} == {"OK"}
    cluster.wait_settled(120)
    for changes in (without, with_snapshots):
        settings_of(cluster, changes)
        statistics, taken = steady(cluster, seconds)
        print(f"{taken} snapshots taken:", {key: value for key, value in statistics.items() if key.endswith("_ms") or key == "count"})
        assert taken > 0 or changes is without

    away = next(node for node in cluster.nodes if node != cluster.leader())
    others = [node for node in cluster.nodes if node != away]
    at = cluster.info(away)["executed"]
    cluster.kill(away)
    oldest = lambda node: int(snapshots(cluster, node)[0].name.split("-")[1])
    for _ in range(60):
        steady(cluster, 1, "--pipeline", 4)
        if all(oldest(node) > at + 2000 for node in others):
            break
    load = bench(cluster, 10**8, 1000)
    begun = time.monotonic()
    cluster.start(away)
    fetches = wait_until(lambda: received(cluster, away), 60, "a transfer")
    cluster.wait_caught_up(away, 60)
    took = time.monotonic() - begun
    load.terminate()
    load.wait(30)
    print(f"a learner that lacked {STATE_MIB} MiB was back after {took:.1f} s ({fetches} bytes when first seen)")
    took = restart_s(cluster, away)
    print(f"a restart took {took:.2f} s")
    cluster.wait_settled(120)
    cluster.stop()


# ---- damage ----


def said_since(server, at, level):
    return [line["message"] for line in map(json.loads, server.log()[at:].splitlines()) if line["level"] == level]


def test_damaged_snapshots(make_cluster):
    """The newest one is damaged: the one before it counts, and the journal from there on. All are gone: the node does not start."""
    cluster = make_cluster(settings=SMALL)
    leader = cluster.up()
    node = next(node for node in cluster.nodes if node != leader)
    server = cluster.server_of(node)
    fill(cluster, 60_000, 1000)
    cluster.wait_settled()
    cluster.kill(node)
    newest = snapshots(cluster, node)[-1]
    journal.flip(newest, newest.stat().st_size // 2)
    at = len(server.log())
    cluster.start(node)
    wait_until(lambda: cluster.info(node), 10, f"an answer of node {node}")
    cluster.wait_settled()
    assert [file.name for file in snapshots(cluster, node, ".damaged")] == [newest.name + ".damaged"]
    (warning,) = [text for text in said_since(server, at, "warning") if newest.name in text]
    print(warning)

    fill(cluster, 60_000, 1000)
    cluster.wait_settled()
    cluster.kill(node)
    there = {file: file.read_bytes() for file in snapshots(cluster, node)}
    assert there
    for file in there:
        file.unlink()
    at = len(server.log())
    cluster.start(node)
    assert server.wait() == BAD_DATA, server.log_tail()
    (error,) = [text for text in said_since(server, at, "error") if "the log has the reason" not in text]
    print(error)
    assert "the record of its value is missing" in error

    for file, data in there.items():
        file.write_bytes(data)
    cluster.start(node)
    wait_until(lambda: cluster.info(node), 10, f"an answer of node {node}")
    cluster.wait_settled()
    cluster.stop()


# ---- kill -9 ----


def kills(cluster, dice, count):
    """Kills any node at any moment, so many times. Returns how many came back by a transfer, as far as that was seen."""
    transfers = 0
    for number in range(count):
        node = dice.choice(list(cluster.nodes))
        cluster.kill(node)
        time.sleep(dice.choice((0, dice.uniform(0, 0.5), dice.uniform(1, 2))))  # the moments are random; nothing is waited for
        cluster.start(node)
        until = time.monotonic() + dice.choice((0.05, 0.3, 1.0))
        seen = False
        while time.monotonic() < until:
            seen = seen or received(cluster, node) is not None
            time.sleep(0.005)
        transfers += seen
    return transfers


@pytest.mark.parametrize("place", PLACES)
def test_kills_at_any_moment(make_cluster, place):
    """kill -9 while snapshots are taken, fetched and loaded and journals cut: nothing is lost, all converge."""
    settings = SMALL | {"storage_snapshot_slot_interval": 50, "snapshot_bytes": "64 KiB", "transfer_bytes_per_second": "4 MiB"}
    cluster = make_cluster(settings=settings, **PLACES[place])
    cluster.up()
    dice, transfers, rest = random.Random(place), 0, KILLS
    for number in itertools.count():
        count = min(rest, 12)
        with Load(cluster.client_ports(), name=f"round-{number}", seed=number, pace_s=0.001) as load:
            load.wait_answers(300)
            transfers += kills(cluster, dice, count)
            load.wait_answers(100, timeout_s=30)
        load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
        cluster.wait_settled(60)
        load.judge()
        rest -= count
        if rest == 0:
            break
    print(f"{transfers} transfers were seen; {cluster.wait_settled()} slots")
    assert all(snapshots(cluster, node) and truncated(cluster, node) for node in learners(cluster))
    cluster.stop()


# ---- upgrades ----


@pytest.mark.parametrize("native", [False, True])
def test_folders_of_version_0_1_0(make_cluster, native):
    """Data folders that version 0.1.0 wrote, before there were snapshots: this version goes on with them."""
    cluster = make_cluster(settings=SMALL, name="old", native=native)
    with tarfile.open(ROOT / "tests/data/folders-0.1.0.tar.xz") as archive:
        archive.extractall(cluster.folder)
    cluster.start()
    leader = cluster.wait_leader(settled=True)
    # Its nodes know each other, so it forms at once: that takes a slot, and governs from alpha slots later on.
    wait_until(lambda: cluster.wait_settled() == 681 + 64, 20, "the cluster to form")
    with cluster.connect(leader) as connection:
        known = b"slot 681\ngoverns 745\nsettled true\n"
        wait_until(lambda: connection.call("SYNOD", "CONFIGURATION").startswith(known), 20, "the configuration to govern alone")
        answer = connection.call("SYNOD", "CONFIGURATION")
        # The hash that version 0.1.0 said, and then the configuration.
        chained = xxh64(answer.split(b"\n", 3)[3], 0x4B9EB4B24B4011F1)
        assert cluster.info(leader)["state_hash"] == f"{chained:016x}"
        assert connection.call("GET", "counter") == b"350"
        assert connection.call("GET", "key:1:48") == b"value 148 " * 4
    fill(cluster, 60_000, 1000)
    cluster.wait_settled()
    assert all(snapshots(cluster, node) and truncated(cluster, node) for node in cluster.nodes)
    cluster.kill_all()
    cluster.start()
    with cluster.connect(cluster.wait_leader(settled=True)) as connection:
        assert connection.call("GET", "counter") == b"350"
    cluster.wait_settled()
    for node in cluster.nodes:  # no earlier version takes the folder for one of its own
        assert (cluster.node_folder(node) / "identity").read_text().startswith("synod-identity 6\n")
    cluster.stop()
