"""`synod bench --guest-client`: the load generator in the sandbox does what the native one does."""

import json
import os
import random
import signal
import subprocess

import pytest
import redis

from cluster import BAD_INPUT, CHECK_FAILED, OK, SYNOD, TROUBLE, Cluster, run, wait_until

MODES = pytest.mark.parametrize("mode", ["persistent", "oneshot"])
REQUESTS, VALUE_SIZE = 1500, 40


@pytest.fixture(scope="module")
def cluster():
    cluster = Cluster("coordinator")
    try:
        cluster.up()
        yield cluster
        cluster.stop()
    finally:
        cluster.close()


@pytest.fixture(autouse=True)
def empty(request):
    if "cluster" in request.fixturenames:
        leader_of(request.getfixturevalue("cluster")).flushall()


def leader_of(cluster):
    return redis.Redis(port=cluster.nodes[cluster.wait_leader(settled=True)].client_port)


def bench(*arguments, code=OK, **more):
    """Runs it, and returns its statistics."""
    done = run("bench", "--guest-client", "--json", "--quiet", *arguments, timeout_s=120, **more)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def value_of(number):
    return f"{number:012}".ljust(VALUE_SIZE, "x").encode()


def check_values(cluster, numbers):
    numbers = list(numbers)
    values = leader_of(cluster).mget([f"key:{number:012}" for number in numbers])
    assert values == [value_of(number) for number in numbers]


@MODES
def test_as_the_native_client(cluster, mode):
    arguments = ["--config", cluster.config_file, "--requests", REQUESTS, "--connections", 20, "--processes", 3, "--mode", mode,
                 "--value-size", VALUE_SIZE]
    native = json.loads(run("bench", "--json", "--quiet", *arguments).stdout)
    leader_of(cluster).flushall()
    guest = bench(*arguments)
    assert guest["count"] == guest["answered"] == native["answered"] == REQUESTS
    assert [guest[key] for key in ("errors", "unknown", "stopped")] == [0, 0, False]
    assert guest.keys() == native.keys()
    assert 0 < guest["min_ms"] <= guest["median_ms"] <= guest["p99_ms"] <= guest["max_ms"]
    assert guest["throughput"] > 0 and guest["generator_cpu_seconds"] > 0
    assert leader_of(cluster).dbsize() == REQUESTS
    check_values(cluster, range(REQUESTS))


def test_text(cluster):
    done = run("bench", "--guest-client", "--config", cluster.config_file, "--requests", 100, "--connections", 3)
    assert done.returncode == OK and "Count                100" in done.stdout, done.stdout + done.stderr


def test_pipelines_and_commands(cluster):
    """Each of ten counters is incremented by every tenth request, and no other."""
    result = bench("--config", cluster.config_file, "--requests", 3000, "--connections", 7, "--processes", 2, "--pipeline", 32,
                   "--command", "incr", "--keyspace", 10)
    assert result["answered"] == 3000
    assert leader_of(cluster).mget([f"key:{n:012}" for n in range(10)]) == [b"300"] * 10


def test_sessions(cluster):
    arguments = ["--config", cluster.config_file, "--requests", REQUESTS, "--connections", 5, "--processes", 2, "--sessions"]
    assert bench(*arguments, "--command", "incr", "--keyspace", 9, "--pipeline", 20)["counted"] == REQUESTS
    leader_of(cluster).flushall()
    assert bench(*arguments, "--mode", "oneshot", "--value-size", VALUE_SIZE)["answered"] == REQUESTS
    check_values(cluster, range(REQUESTS))


def test_large_values(cluster):
    """More than a socket takes at once, in both directions."""
    size = 300_000
    arguments = ["--config", cluster.config_file, "--requests", 60, "--connections", 3, "--value-size", size, "--pipeline", 10]
    assert bench(*arguments)["answered"] == 60
    leader = leader_of(cluster)
    assert [leader.strlen(f"key:{n:012}") for n in range(60)] == [size] * 60
    assert bench(*arguments, "--command", "get")["answered"] == 60


def test_errors_are_counted(cluster):
    leader_of(cluster).set("key:000000000003", "no number")
    result = bench("--config", cluster.config_file, "--requests", 50, "--connections", 2, "--command", "incr", "--keyspace", 5,
                   code=CHECK_FAILED)
    assert (result["answered"], result["errors"]) == (40, 10)


@MODES
def test_follows_to_the_leader(cluster, mode):
    leader = cluster.wait_leader(settled=True)
    others = [node.client_port for node in cluster.nodes.values() if node.id != leader]
    ports = [*others, cluster.nodes[leader].client_port]
    result = bench("--address", ",".join(f"127.0.0.1:{port}" for port in ports), "--requests", REQUESTS, "--connections", 4,
                   "--value-size", VALUE_SIZE, "--mode", mode)
    assert result["answered"] == REQUESTS and result["moved"] > 0
    check_values(cluster, random.sample(range(REQUESTS), 100))


def test_names_are_looked_up_by_the_host(cluster):
    port = cluster.nodes[cluster.wait_leader(settled=True)].client_port
    assert bench("--address", f"localhost:{port}", "--requests", 50, "--connections", 1)["answered"] == 50


def test_waits_for_a_leader(make_cluster):
    """Started before there is a node to connect to."""
    cluster = make_cluster()
    cluster.init()
    with started("--config", cluster.config_file, "--requests", 500, "--connections", 5, "--value-size", VALUE_SIZE) as client:
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(1.5)  # so long, too, that it must have been refused
        cluster.start()
        result = json.loads(client.communicate(timeout=60)[0])
    assert client.returncode == OK and result["answered"] == 500
    check_values(cluster, range(500))


def test_unknown_outcomes_are_counted(make_cluster):
    """The leader dies in the middle: every request was answered, or its outcome is unknown."""
    cluster = make_cluster()
    leader = cluster.up()
    with started("--config", cluster.config_file, "--requests", 20000, "--connections", 20, "--value-size", VALUE_SIZE) as client:
        wait_until(lambda: leader_of(cluster).dbsize() > 2000, 30, "some requests executed")
        cluster.kill(leader)
        result = json.loads(client.communicate(timeout=90)[0])
    assert client.returncode in (OK, CHECK_FAILED)
    assert result["answered"] + result["unknown"] == 20000 and result["errors"] == 0
    assert result["unknown"] <= 20 and result["answered"] <= leader_of(cluster).dbsize() <= 20000


def test_an_interruption_ends_it(cluster):
    with started("--config", cluster.config_file, "--requests", 100_000_000, "--connections", 5, "--processes", 2) as client:
        wait_until(lambda: leader_of(cluster).dbsize() > 100, 30, "some requests executed")
        client.send_signal(signal.SIGINT)
        result = json.loads(client.communicate(timeout=20)[0])
    assert client.returncode == TROUBLE and result["stopped"]


def test_what_it_does_not_do(cluster, tmp_path):
    done = run("bench", "--guest-client", "--address", "127.0.0.1:1", "--protocol", "etcd-http")
    assert done.returncode == BAD_INPUT and "RESP only" in done.stderr
    done = run("bench", "--guest-client", "--config", cluster.config_file, env=os.environ | {"SYNOD_NODES": str(tmp_path)})
    assert done.returncode == BAD_INPUT and f"{tmp_path}/guest-client.wasm" in done.stderr


def started(*arguments):
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", SYNOD, "bench", "--guest-client", "--json", "--quiet",
                             *map(str, arguments)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
