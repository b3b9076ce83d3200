"""Settings that safety rests on do not change between two starts, unless the operator says so on every node."""

import json

import pytest

import resp
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
    cluster.init()
    cluster.start(1, 2)  # never all of them: once the cluster has formed, the log has the settings
    leader = cluster.wait_leader(settled=True)
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
    cluster.start(1, 2)
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


# ---- between nodes ----

NETWORKS = {
    "tcp": {},
    "udp": {"network": "host-udp"},
    "grpc": {"network": "grpc"},
    "guest-tcp": {"network": "guest-tcp", "storage": "guest"},
    "guest-udp": {"network": "guest-udp"},
    "one-guest": {3: {"network": "guest-tcp", "storage": "guest"}},
    "others-guest": {1: {"network": "guest-udp", "storage": "guest"}, 2: {"network": "guest-udp"}, 3: {"network": "host-udp"}},
}
DIFFERENCES = {
    "alpha": ({"alpha": 8}, "alpha", "64", "8"),
    "quorums": ({"phase1_quorum": 3, "phase2_quorum": 1}, "phase1_quorum", "2", "3"),
    "learn": ({"acceptors_send_learns": True}, "acceptors_send_learns", "false", "true"),
}
MATRIX = [("alpha", network) for network in NETWORKS] + [("quorums", "tcp"), ("quorums", "guest-tcp"), ("learn", "grpc"), ("learn", "udp")]
GOVERNED_LINE = "the governed setting"


def init_each(cluster, **own):
    """Formats each node with a configuration file of its own: the cluster's, but for the settings given as node_<id>."""
    common = dict(cluster.settings)
    for node in cluster.nodes:
        cluster.settings = common | own.get(f"node_{node}", {})
        file = cluster.folder / f"node-{node}.yaml"
        file.write_text(cluster.yaml())
        cluster.server_of(node).arguments[:2] = ["--config", str(file)]
        done = run("init", "--config", file, "--node", node)
        assert done.returncode == OK, done.stderr
    cluster.settings = common


def lines_about_settings(cluster, node):
    """(level, message) of the lines about governed settings, debug lines left out."""
    lines = [json.loads(line) for line in cluster.log(node).splitlines() if GOVERNED_LINE in line]
    return [(line["level"], line["message"]) for line in lines if line["level"] != "debug"]


def wait_refused(cluster, node):
    """Waits until the node has ended because of its settings. Returns its last words."""
    assert cluster.server_of(node).wait(30) == BAD_INPUT, cluster.log(node)
    cluster.server_of(node).process = None
    (error,) = {message for level, message in lines_about_settings(cluster, node) if level == "error"}
    assert "synod init --regovern" in error
    return error


@pytest.mark.parametrize("difference, network", MATRIX, ids=["-".join(pair) for pair in MATRIX])
def test_a_node_that_was_formatted_otherwise_has_no_part(make_cluster, difference, network):
    settings, key, ours, other = DIFFERENCES[difference]
    cluster = make_cluster(choices=NETWORKS[network])
    init_each(cluster, node_3=settings)
    cluster.start()
    told = [f"{GOVERNED_LINE} {key} is {ours} on node {node} and {other} on node 3" for node in (1, 2)]
    error = wait_refused(cluster, 3)
    assert any(line in error for line in told)
    leader = cluster.wait_leader(settled=True)
    with cluster.connect(leader) as client:
        assert client.call("SET", "a", "b") == "OK"
    for node, line in zip((1, 2), told):  # one line each, whichever side dialled, and however often
        for at in (node, 3):
            lines = [message for level, message in lines_about_settings(cluster, at) if level == "warning" and line in message]
            # The network guest-tcp is two components, and each of them has something to say.
            assert 1 <= len(lines) <= (2 if "guest-tcp" in str(NETWORKS[network]) else 1), lines
    assert cluster.info(leader)["executed"] > 0

    # It is not the folder's fault: with the word of the operator it takes part.
    cluster.write_config()
    cluster.server_of(3).arguments[:2] = ["--config", str(cluster.config_file)]
    assert regovern(cluster, "--node", 3).returncode == OK
    cluster.start(3)
    cluster.wait_settled()
    cluster.stop()


def test_quorums_that_do_not_meet_answer_nothing(make_cluster):
    """Nodes 1 and 2 would let one node answer, node 3 would elect with two: together they would lose what was answered."""
    cluster = make_cluster()
    init_each(cluster, node_1={"phase1_quorum": 3, "phase2_quorum": 1}, node_2={"phase1_quorum": 3, "phase2_quorum": 1})
    cluster.start()
    assert f"{GOVERNED_LINE} phase1_quorum is 3 on node" in wait_refused(cluster, 3)
    cluster.check_alive(1, 2)
    for node in (1, 2):
        with cluster.connect(node) as client, pytest.raises(resp.ReplyError, match="CLUSTERDOWN"):
            client.call("SET", "a", "b")
    # And if one of them is started anew with what node 3 has, those two go on, and the third ends.
    cluster.stop()
    cluster.write_config()
    for node in (2, 3):
        cluster.server_of(node).arguments[:2] = ["--config", str(cluster.config_file)]
        assert regovern(cluster, "--node", node).returncode == OK
    cluster.start()
    assert f"{GOVERNED_LINE} phase1_quorum is 3 on node 1 and 2 on node" in wait_refused(cluster, 1)
    cluster.wait_leader(settled=True)
    cluster.stop(2, 3)


@pytest.mark.parametrize("network", ["tcp", "grpc", "one-guest"])
def test_the_same_said_otherwise_is_the_same(make_cluster, network):
    """A majority as a number, sizes in other units, much memory, and all that is not governed."""
    cluster = make_cluster(choices=NETWORKS[network])
    init_each(
        cluster,
        node_1={"phase2_quorum": 2, "phase1_quorum": 2, "alpha": 64, "heartbeat_interval_ms": 60},
        node_3={"state_bytes_max": f"{512 * 1024} KiB", "memory_bytes_max": "1500 MiB", "durability": "os"},
    )
    cluster.start()
    leader = cluster.wait_leader(settled=True)
    with cluster.connect(leader) as client:
        assert client.call("SET", "a", "b") == "OK"
    cluster.wait_settled()
    for node in cluster.nodes:
        assert lines_about_settings(cluster, node) == []
    cluster.stop()
