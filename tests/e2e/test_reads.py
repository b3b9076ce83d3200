"""Reads where another node leads: by its word, or by a state that may be stale, as old as the client allows and no older."""

import os
import time

import pytest

from cluster import wait_until
from resp import ReplyError

NATIVE = "NATIVE" in os.environ


def code(reply):
    return reply.code if isinstance(reply, ReplyError) else reply


@pytest.mark.parametrize("deployment", ["standalone", "shared"])
def test_a_learner_apart(make_cluster, deployment):
    cluster = make_cluster(deployment, native=NATIVE)
    leader = cluster.up()
    learners = [node.id for node in cluster.nodes.values() if node.role == "learner"]
    with cluster.connect(leader) as writer:
        readers = [cluster.connect(node) for node in learners]
        for i in range(200):
            writer.call("SET", "key", i)
            assert [reader.call("GET", "key") for reader in readers] == [b"%d" % i] * len(readers)
        assert code(readers[0].command("SET", "key", 1)) == "MOVED"
        assert readers[0].call("CLUSTER", "MYID")
        assert code(readers[0].command("GET", "key")) == "MOVED"
        assert readers[0].call("READONLY") == "OK"
        assert readers[0].call("GET", "key") == b"199"
    cluster.stop()


@pytest.mark.parametrize("deployment", ["coordinator", "standalone"])
def test_stale(make_cluster, deployment):
    cluster = make_cluster(deployment, native=NATIVE)
    leader = cluster.up()
    reader = next(node.id for node in cluster.nodes.values() if node.executes and node.id != leader)
    with cluster.connect(leader) as writer, cluster.connect(reader) as patient, cluster.connect(reader) as strict:
        assert patient.call("READONLY", "STALE", 3600000) == "OK"
        assert strict.call("READONLY", "STALE", 2000) == "OK"
        writer.call("SET", "key", "old")
        time_set = time.monotonic()
        wait_until(lambda: patient.command("GET", "key") == b"old", 5, "the value at the reader")
        wait_until(lambda: strict.command("GET", "key") == b"old", 5, "the value at the reader")
        assert cluster.info(reader)["state_age_ms"] <= (time.monotonic() - time_set) * 1000 + 2000
    others = [node for node in cluster.nodes if node != reader and node not in cluster.server_of(reader).nodes]
    cluster.kill(*others)
    killed = time.monotonic()
    with cluster.connect(reader) as patient, cluster.connect(reader) as strict, cluster.connect(reader, timeout_s=15) as current:
        assert patient.call("READONLY", "STALE", 3600000) == "OK"
        assert strict.call("READONLY", "STALE", 2000) == "OK"
        wait_until(lambda: code(strict.command("GET", "key")) == "BUSY", 10, "a refusal")
        assert time.monotonic() - killed < 4
        assert patient.call("GET", "key") == b"old"
        assert code(patient.command("SET", "key", "new")) in ("CLUSTERDOWN", "MOVED", "UNKNOWN")
        assert cluster.info(reader)["state_age_ms"] > 2000
        current.call("READONLY")
        assert code(current.command("GET", "key")) in ("CLUSTERDOWN", "MOVED", "BUSY")
    cluster.start(*others)
    cluster.wait_leader()
    with cluster.connect(reader) as strict:
        assert strict.call("READONLY", "STALE", 2000) == "OK"
        wait_until(lambda: strict.command("GET", "key") == b"old", 10, "an answer")
    cluster.stop()
