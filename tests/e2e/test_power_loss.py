"""kill -9 of all nodes at once under load: after the restart every acknowledged write is there. The same 20 times in a row on a disk
that loses everything not synced; and without syncs that test must fail, which shows that it can."""

import pytest

import lossy
from history import Load

ROUNDS = 20
ROUNDS_WITHOUT_SYNC = 5


@pytest.mark.parametrize("deployment", ["coordinator", "standalone", "shared"])
def test_all_are_killed(make_cluster, deployment):
    cluster = make_cluster(deployment)
    cluster.up()
    for number in range(2):
        with Load(cluster.client_ports(), name=f"round-{number}") as load:
            load.wait_answers(500)
            cluster.kill_all()
        cluster.start()
        load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
        cluster.wait_settled()
        load.judge()
    cluster.stop()


def power_losses(cluster, rounds):
    """Rounds of load, kill and loss of power. After each, that round's history is judged; in the end, that nothing of any round was
    lost by a later one."""
    loads = []
    for number in range(rounds):
        with Load(cluster.client_ports(), name=f"round-{number}", seed=number, pace_s=0.001) as load:
            # Another moment each time, so that kills hit segments' ends, marks and elections, too.
            load.wait_answers(100 + 61 * number % 400)
            cluster.kill_all()
        loads.append(load)
        lossy.power_cut(cluster.data)
        cluster.start()
        load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
        load.judge()
    for load in loads:
        load.read_back(cluster.nodes[cluster.wait_leader()].client_port)
        load.judge()
    cluster.wait_settled()


def on_lossy_disk(make_cluster, tmp_path, **more):
    """A cluster that runs, its data on the lossy disk. Formatting is done there, too: what it says it made must be there."""
    cluster = make_cluster(**more)
    cluster.data.mkdir()
    variables = lossy.environment(lossy.build(tmp_path), cluster.data)
    cluster.init(environment=variables)
    lossy.power_cut(cluster.data)
    for server in cluster.servers:
        server.environment = variables
    return cluster


@pytest.mark.parametrize("deployment", ["coordinator", "shared"])
def test_power_is_lost(make_cluster, tmp_path, deployment):
    # Short segments, so that the rounds see new ones being made.
    cluster = on_lossy_disk(make_cluster, tmp_path, deployment=deployment, settings={"segment_bytes": "1 MiB"})
    cluster.start()
    cluster.wait_leader(settled=True)
    power_losses(cluster, ROUNDS if deployment == "coordinator" else ROUNDS // 4)
    cluster.stop()


def test_power_is_lost_without_syncs(make_cluster, tmp_path):
    """The test above, with `durability: os`, must find acknowledged writes missing. The journals are made with syncs, so that what is
    lost is the writes, and not the files, without which no node would start."""
    cluster = on_lossy_disk(make_cluster, tmp_path)
    cluster.start()
    cluster.wait_leader(settled=True)
    cluster.stop()
    cluster.settings["durability"] = "os"
    cluster.write_config()
    cluster.start()
    cluster.wait_leader(settled=True)
    with pytest.raises(AssertionError, match="acknowledged writes are lost"):
        power_losses(cluster, ROUNDS_WITHOUT_SYNC)
    assert "durability: os" in cluster.log(1), "it must be said loudly"
