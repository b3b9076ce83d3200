"""What an operator does about damaged snapshots (docs/operations.md)."""

import shutil

import journal
import resp
from cluster import BAD_DATA, run, wait_until

SETTINGS = {"segment_bytes": "1 MiB", "snapshot_bytes": "256 KiB", "journal_keep_slots": 10}


def snapshots(cluster, node):
    return sorted((cluster.node_folder(node) / "snapshots").glob("snapshot-*[0-9]"))


def fill(cluster, leader, begin, count):
    with resp.Connection(cluster.nodes[leader].client_port) as client:
        for i in range(begin, begin + count):
            assert client.command("SET", f"k{i % 100}", "x" * 4000) == "OK"


def test_damaged_snapshots(make_cluster):
    """One: the one before is taken. All: the node says so and does not start; with a snapshot of another node it does."""
    cluster = make_cluster(settings=SETTINGS)
    leader = cluster.up()
    fill(cluster, leader, 0, 1000)
    cluster.wait_settled()
    node = next(node for node in cluster.nodes if node != leader)
    wait_until(lambda: min(int(group.name.split("-")[1][:20]) for group in journal.segments(cluster.node_folder(node))) > 1, 30,
               "the journal has been cut")  # fmt: skip
    cluster.stop(node)

    older, newest = snapshots(cluster, node)
    journal.flip(newest, newest.stat().st_size // 2)
    assert run("snapshot", "inspect", cluster.node_folder(node)).returncode == BAD_DATA
    cluster.start(node)
    wait_until(lambda: f"{newest}: at byte " in cluster.log(node) and "this snapshot is set aside" in cluster.log(node), 30, "the damage is told")
    cluster.wait_settled()
    assert newest.with_name(newest.name + ".damaged").exists()
    cluster.stop(node)

    for file in snapshots(cluster, node):
        journal.flip(file, file.stat().st_size // 2)
    server = cluster.server_of(node)
    server.start()
    assert server.wait(30) == BAD_DATA
    assert "is chosen, and the record of its value is missing" in cluster.log(node)

    fill(cluster, leader, 1000, 100)
    sound = snapshots(cluster, leader)[-1]
    shutil.copy(sound, cluster.node_folder(node) / "snapshots")
    cluster.start(node)
    cluster.wait_settled()
    cluster.stop()
