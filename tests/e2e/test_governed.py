"""Settings that safety rests on do not change between two starts, unless the operator says so on every node."""

import json

import pytest

from cluster import BAD_DATA, BAD_INPUT, OK, run

PLACES = {"host": {}, "guest": {"storage": "guest"}, "all-guest": {"storage": "guest", "network": "guest-tcp"}}


def refused(cluster, node, native=()):
    done = run("start", "--config", cluster.config_file, "--node", node, *native)
    assert done.returncode == BAD_INPUT, done.stderr
    (error,) = [line for line in map(json.loads, done.stderr.splitlines()) if line["level"] == "error"]
    assert f"synod init --regovern --config FILE --node {node}" in error["message"]
    return error["message"]


def regovern(cluster, *which):
    return run("init", "--regovern", "--config", cluster.config_file, *which)


@pytest.mark.parametrize("place", PLACES)
def test_governed_settings_change_only_by_word(make_cluster, place):
    cluster = make_cluster(choices=PLACES[place])
    leader = cluster.up()
    with cluster.connect(leader) as client:
        assert client.call("SET", "a", "old") == "OK"
    cluster.wait_settled()
    before = dict(cluster.settings)
    cluster.settings |= {"phase1_quorum": 3, "phase2_quorum": 1, "alpha": 8}
    cluster.write_config()
    done = regovern(cluster, "--all")
    assert done.returncode == BAD_DATA and "already in use" in done.stderr
    cluster.stop()

    message = refused(cluster, 1)
    assert "alpha 64, and the configuration has 8" in message
    cluster.settings = before | {"phase1_quorum": 3, "phase2_quorum": 1}
    cluster.write_config()
    assert "phase1_quorum 2, and the configuration has 3" in refused(cluster, 2)

    # What is not governed may change, and a majority may be given as the number that it is.
    cluster.settings = before | {"phase1_quorum": 2, "batch_size": 100, "retry_interval_ms": 90}
    cluster.write_config()
    cluster.start()
    cluster.wait_leader(settled=True)
    cluster.wait_settled()
    cluster.stop()

    cluster.settings = before | {"phase1_quorum": 3, "phase2_quorum": 1, "alpha": 8}
    cluster.write_config()
    done = regovern(cluster, "--node", 1)
    assert done.returncode == OK, done.stderr
    for change in ("alpha 64 -> 8", "phase1_quorum 2 -> 3", "phase2_quorum 2 -> 1"):
        assert f"node-1: {change}\n" in done.stdout
    assert done.stdout.count("DANGER") == 2
    refused(cluster, 2)
    assert regovern(cluster, "--all").returncode == OK
    cluster.start()
    leader = cluster.wait_leader(settled=True)
    with cluster.connect(leader) as client:
        assert client.call("GET", "a") == b"old"
        assert client.call("SET", "a", "new") == "OK"
    cluster.wait_settled()
    cluster.stop()


def test_what_regovern_cannot_change(make_cluster):
    cluster = make_cluster()
    assert "not formatted" in regovern(cluster, "--node", 1).stderr
    cluster.init()
    assert "nothing changed" in regovern(cluster, "--all").stdout
    cluster.name = "other"
    cluster.write_config()
    done = regovern(cluster, "--node", 1)
    assert done.returncode == BAD_DATA and "belongs to node 1 of cluster 'test'" in done.stderr
