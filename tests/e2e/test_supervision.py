"""A node that breaks is back without its process ending: the leader and the others, under load. Nothing acknowledged is lost, no
answer is wrong, and the client port stays open all the while."""

import json
import time

import pytest

from cluster import OK, TROUBLE, wait_until
from history import Load

SERVED_AGAIN_S = 5  # any of them; what is usual is measured by `synod bench`


def log_lines(cluster, node):
    """What the node has logged: dicts with time, part, message."""
    lines = [json.loads(line) for line in cluster.log(node).splitlines()]
    return [line for line in lines if line["node"] == node]


def faults(cluster, node):
    """[whether it led as far as it knew, by its log] of each of its faults."""
    leads, found = None, []
    for line in log_lines(cluster, node):
        words = line["message"].split()
        if line["part"] == "node" and words[:1] == ["node"] and words[2] == "leads":
            leads = int(words[1])
        if line["part"] == "supervisor" and line["message"].startswith("broke (crash)"):
            found.append(leads == node)
    return found


def crash_slots(nodes, first, step, rounds):
    slots = {node: [] for node in nodes}
    for i in range(rounds * len(nodes)):
        slots[nodes[i % len(nodes)]].append(first + i * step)
    return slots


def yaml_of(slots):
    return "[" + ", ".join(str([node, *list(of)]) for node, of in slots.items()) + "]"


def check_back(cluster, node, restarts):
    """The node has been restarted so often, serves, and is ready for more."""
    info = wait_until(
        lambda: (info := cluster.info(node)) and info["restarts"] == restarts and info["spare"] == 1 and info,
        20,
        lambda: f"node {node} is back after {restarts} restarts; it says {cluster.info(node)}",
    )
    assert info["last_fault"] == "crash" and info["life"] == "wasm"
    assert info["incarnation"] == 1 + restarts
    assert 0 < info["last_restart_us"] <= info["restart_us_max"] < SERVED_AGAIN_S * 1e6
    return info


@pytest.mark.parametrize("deployment", ["coordinator", "standalone", "shared"])
def test_crashes_under_load(make_cluster, deployment):
    """Every node with a client port or a vote crashes; in the coordinator cluster each of them twice, leading and following."""
    cluster = make_cluster(deployment)
    nodes = [node.id for node in cluster.nodes.values() if node.role != "proposer"]
    rounds = 2 if deployment == "coordinator" else 1
    slots = crash_slots(nodes, first=100, step=100 if deployment == "coordinator" else 40, rounds=rounds)
    if deployment != "coordinator":  # a proposer gets to a slot when a majority has executed it
        slots |= {node.id: [400 + 20 * node.id] for node in cluster.nodes.values() if node.role == "proposer"}
    cluster.settings |= {"crashes": yaml_of(slots), "restarts_max": 100, "restart_backoff_ms": 1}
    cluster.write_config()
    cluster.up()
    processes = {server.name: server.process.pid for server in cluster.servers}
    held = {node.id: cluster.connect(node.id) for node in cluster.nodes.values()}
    last = max(max(of) for of in slots.values())
    with Load(cluster.client_ports()) as load:
        wait_until(
            lambda: cluster.check_running() or any(s and s["executed"] > last for s in cluster.states().values()),
            120,
            lambda: f"slot {last} executed; {cluster.describe()}",
        )
        load.wait_answers(200)
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()
    worst = {node: check_back(cluster, node, len(of))["restart_us_max"] for node, of in slots.items()}
    print(f"{deployment}: ready again at most (us) {worst}; answers {load.outcomes()}")
    led = [led for node in cluster.nodes for led in faults(cluster, node)]
    assert len(led) == sum(map(len, slots.values()))
    assert True in led and False in led, f"a leader and another one crashed: {led}"
    for node, connection in held.items():
        assert connection.call("PING") == "PONG", f"the connection to node {node} was kept"
        connection.close()
    assert processes == {server.name: server.process.pid for server in cluster.servers}
    cluster.stop()


COMPOSITIONS = [
    {"network": "host-udp"},
    {"network": "grpc", "serializer": "host"},
    {"network": "host-tcp", "storage": "guest"},
    {"network": "guest-tcp"},
    {"network": "guest-udp"},
]


@pytest.mark.parametrize("choices", COMPOSITIONS, ids=lambda choices: "-".join(choices.values()))
def test_crashes_in_other_compositions(make_cluster, choices):
    """Whoever has the network and the data folder: every node crashes twice under load, and goes on as its next incarnation."""
    slots = crash_slots([1, 2, 3], first=60, step=60, rounds=2)
    patience = {"suspect_timeout_ms": 600, "dead_timeout_ms": 1500}
    cluster = make_cluster(
        choices=choices, settings=patience | {"crashes": yaml_of(slots), "restarts_max": 100, "restart_backoff_ms": 1}
    )
    cluster.up()
    with Load(cluster.client_ports()) as load:
        wait_until(
            lambda: cluster.check_running() or all(s and s["incarnation"] == 3 for s in cluster.states().values()),
            120,
            lambda: f"each node begins its third life; {cluster.describe()}",
        )
        load.wait_answers(200)
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()
    for node in cluster.nodes:
        logged = "\n".join(line["message"] for line in log_lines(cluster, node))
        assert logged.count("broke (crash)") == 2 and logged.count("ready again") == 2, f"node {node}: {logged}"
    cluster.stop()


def test_leader_crashes_alone(make_cluster):
    """The only node of its cluster: clients wait for it to come back, on the connections that they have."""
    cluster = make_cluster(settings={"crashes": "[[1, 40], [1, 80]]"})
    cluster.nodes = {1: cluster.nodes[1]}
    cluster.servers = cluster.servers[:1]
    cluster.write_config()
    cluster.up()
    unknown = 0
    with cluster.connect(1, timeout_s=20) as connection:
        for i in range(120):
            reply = connection.command("SET", f"key:{i}", str(i))
            if reply != "OK":
                assert reply.code == "UNKNOWN", reply
                unknown += 1
        kept = [connection.call("GET", f"key:{i}") == str(i).encode() for i in range(120)]
    assert kept.count(False) <= unknown <= 2
    check_back(cluster, 1, 2)
    cluster.stop()


def test_beyond_the_bound_the_process_ends(make_cluster):
    """No restart is allowed: exit code 1, and whoever watches over the process starts it again."""
    cluster = make_cluster(settings={"restarts_max": 0})
    leader = cluster.up()
    cluster.stop()
    cluster.settings["crashes"] = f"[[{leader}, 60]]"
    cluster.write_config()
    cluster.start()
    with Load(cluster.client_ports()) as load:
        assert cluster.server_of(leader).wait(timeout_s=60) == TROUBLE
        cluster.settings["crashes"] = "[]"
        cluster.write_config()
        began = time.monotonic_ns()
        load.wait_answers(100)
        cluster.start(leader)
        wait_until(lambda: cluster.info(leader), 10, f"an answer of node {leader}")
        cluster.wait_caught_up(leader)
        load.wait_answers(100, since=began)
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()
    cluster.stop()


def test_native_is_not_restarted(make_cluster):
    """Linked in, a trap is the end of the process, by a signal."""
    cluster = make_cluster(native=True, settings={"crashes": "[[1, 60]]"})
    cluster.up()
    with Load(cluster.client_ports()) as load:
        assert cluster.server_of(1).wait(timeout_s=60) < OK
        load.wait_answers(100)
