"""Every composition: deployment, network, storage, serializer and granularity in every pair of choices, each under load, with a leader that is
killed, and the same state everywhere in the end. And nodes of different compositions in one cluster."""

import ctypes
import os
import socket
from pathlib import Path

import pytest

import compositions
from cluster import wait_until
from history import Load

# Nodes in the sandbox of which nine run on two processors are slower to be heard.
PATIENT = {"heartbeat_interval_ms": 100, "suspect_timeout_ms": 600, "dead_timeout_ms": 1500}


def kill_leader_under_load(cluster, answers):
    with Load(cluster.client_ports()) as load:
        load.wait_answers(answers)
        leader = cluster.wait_leader()
        cluster.kill(leader)
        load.wait_answers(answers)
        cluster.start(leader)
        for node in cluster.server_of(leader).nodes:
            wait_until(lambda: cluster.info(node), 20, f"an answer of node {node}")
            if cluster.nodes[node].executes:
                cluster.wait_caught_up(node)
        load.wait_answers(answers)
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()
    cluster.stop()


@pytest.mark.parametrize("row", compositions.covering(), ids=compositions.label)
def test_composition(make_cluster, row):
    choices = {key: value for key, value in row.items() if key != "deployment"}
    cluster = make_cluster(row["deployment"], settings=PATIENT, choices=choices, leader_rule="sticky")
    cluster.up()
    kill_leader_under_load(cluster, 150)


def test_nodes_of_different_compositions(make_cluster):
    """TCP is TCP, wherever it is done; so is the journal."""
    cluster = make_cluster(
        "coordinator",
        settings=PATIENT,
        choices={
            1: {"network": "host-tcp", "storage": "guest", "serializer": "guest"},
            2: {"network": "guest-tcp", "storage": "host", "serializer": "host", "granularity": "agents"},
            3: {"network": "guest-tcp", "storage": "guest", "granularity": "node"},
        },
    )
    cluster.up()
    kill_leader_under_load(cluster, 150)


def connections_of(pid):
    """Copies of all TCP connections of a process that is our child."""
    pidfd_getfd = 438  # a system call without a function in the C library of Debian 12
    process = os.pidfd_open(pid)
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        fd = ctypes.CDLL(None).syscall(pidfd_getfd, process, int(entry.name), 0)
        if fd < 0:
            continue  # closed since the folder was read
        if not os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
            os.close(fd)
            continue
        with socket.socket(fileno=fd) as one:
            if one.family == socket.AF_INET and one.type == socket.SOCK_STREAM and is_connected(one):
                yield one
    os.close(process)


def is_connected(one):
    try:
        return one.getpeername() != ""
    except OSError:
        return False


@pytest.mark.parametrize("network", ["host-tcp", "guest-tcp", "guest-udp"])
def test_small_writes_do_not_wait_for_acknowledgements(make_cluster, network):
    """WASI has no TCP_NODELAY; and without it, one request in a hundred took 44 ms."""
    cluster = make_cluster("coordinator", settings=PATIENT, choices={"network": network})
    cluster.up()
    with cluster.connect(cluster.wait_leader()):
        for server in cluster.servers:
            at_once = [one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for one in connections_of(server.process.pid)]
            assert all(at_once)
            assert len(at_once) >= 2 or network == "guest-udp"


def test_a_node_changes_its_composition(make_cluster):
    """The bytes on disk are the same: what one composition wrote, the next one goes on with, and back."""
    cluster = make_cluster("coordinator", settings=PATIENT)
    cluster.up()
    with Load(cluster.client_ports()) as load:
        for choices in (
            {"network": "guest-tcp", "storage": "guest"},
            {"network": "host-tcp", "storage": "guest", "serializer": "host", "granularity": "agents"},
            {"network": "guest-tcp", "storage": "host"},
            {"granularity": "node"},
            {},
        ):
            cluster.choices = {1: choices}
            cluster.write_config()
            load.wait_answers(100)
            cluster.stop(1)
            cluster.start(1)
            wait_until(lambda: cluster.info(1), 20, "an answer of node 1")
            cluster.wait_caught_up(1)
        load.wait_answers(100)
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()
