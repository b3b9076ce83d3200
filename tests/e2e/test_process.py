"""What the system and whoever starts a node do to its process: closed streams, a log that nobody reads, signals, limits. The process
serves, or ends in good order, or says in one line why it does not start; no signal ends it, and nothing is lost."""

import fcntl
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading

import pytest

import hang as hang_library
from cluster import BAD_INPUT, OK, SYNOD, TROUBLE, wait_until

NOBODY = 65534
PIPE_BYTES = 65536


def one_node(make_cluster, **more):
    cluster = make_cluster(**more)
    cluster.nodes = {1: cluster.nodes[1]}
    cluster.servers = cluster.servers[:1]
    cluster.write_config()
    return cluster


def check_serves(cluster, count=20):
    """Keys are set and read back on the leader."""
    with cluster.connect(cluster.wait_leader(settled=True)) as connection:
        for i in range(count):
            assert connection.call("SET", f"key:{i}", str(i)) == "OK"
            assert connection.call("GET", f"key:{i}") == str(i).encode()


def warnings(cluster, node):
    """The node's log lines above level info, those of its process included."""
    return [line for line in map(json.loads, cluster.log(node).splitlines()) if line["level"] in ("warning", "error")]


# ---- the log ----


def stuck_pipe():
    """A pipe that is full. Returns (what keeps its reader alive, its end for writing)."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    assert os.write(writer, b"x" * PIPE_BYTES) == PIPE_BYTES
    return reader, writer


def knock(port, count):
    """Connections that say nothing sensible, each of which is worth a line in the log."""
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            try:
                connection.sendall(b"*abc\r\n" + b"x" * 100)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1000)
            except OSError:
                pass


@pytest.mark.parametrize("native", [True, False], ids=["native", "wasm"])
def test_nobody_reads_the_log(make_cluster, native):
    """Standard error of all three nodes is a full pipe, and its reader has stopped. They serve, and end as they are told."""
    cluster = make_cluster(native=native)
    cluster.init()
    pipes = [stuck_pipe() for _ in cluster.servers]
    for server, (_, writer) in zip(cluster.servers, pipes):
        server.start(stderr=writer)
    cluster.wait_leader(settled=True)
    for node in cluster.nodes.values():
        knock(node.port, 100)
        knock(node.client_port, 100)
    check_serves(cluster)
    cluster.stop()
    for reader, writer in pipes:
        os.close(writer)
        os.close(reader)


def test_lines_are_there_when_the_reader_goes_on(make_cluster):
    """What the queue has kept is written when there is room again, and the lines that it had no room for are counted."""
    cluster = one_node(make_cluster, native=True, choices={"log_level": "debug"})
    cluster.init()
    reader, writer = stuck_pipe()
    cluster.servers[0].start(stderr=writer)
    os.close(writer)
    cluster.wait_leader()
    knock(cluster.nodes[1].port, 3000)
    read = []

    def pump():
        while data := os.read(reader, PIPE_BYTES):
            read.append(data)

    thread = threading.Thread(target=pump)
    thread.start()
    cluster.stop()
    thread.join()
    os.close(reader)
    text = b"".join(read)
    assert text[:PIPE_BYTES] == b"x" * PIPE_BYTES
    lines = [json.loads(line) for line in text[PIPE_BYTES:].decode().splitlines()]
    messages = [line["message"] for line in lines]
    assert "ended with exit code 0" in messages and any(message.startswith("ready after") for message in messages)


SANDBOX = {"network": "guest-tcp", "storage": "guest"}


@pytest.mark.parametrize("level", ["debug", "info"])
@pytest.mark.parametrize("native, choices", [(True, {}), (False, {}), (False, SANDBOX)], ids=["native", "wasm", "sandbox"])
def test_decisions_can_be_read(make_cluster, native, choices, level):
    """The log of the node that comes to lead tells its election, in the words of tests/stories; at level debug only."""
    cluster = make_cluster(native=native, choices={"log_level": level, **choices})
    leader = cluster.up()
    check_serves(cluster, 1)
    cluster.stop()
    messages = "\n".join(json.loads(line)["message"] for line in cluster.log(leader).splitlines())
    decisions = [rf"^-> [\d,]+: PREPARE \d+\.{leader}, from slot 1 on$", rf"^writes record \d+: PROMISED \d+\.{leader}$",
                 rf"^knows that {leader} leads, at \d+\.{leader}$", rf"^-> [\d,]+: ACCEPT \d+\.{leader}, slot \d+: batch 1 of {leader}",
                 r"^writes record \d+: CHOSEN slots ", r"^tells its client: executed$"]
    found = [bool(re.search(decision, messages, re.M)) for decision in decisions]
    assert found == [level == "debug"] * len(decisions)


@pytest.mark.parametrize("door", ["port", "client_port"])
def test_a_flood_is_counted_not_logged(make_cluster, door):
    """Thousands of bad connections are some lines, and one that says how many there were."""
    cluster = one_node(make_cluster, native=True)
    cluster.up()
    knock(getattr(cluster.nodes[1], door), 3000)
    check_serves(cluster)
    cluster.stop()
    lines = warnings(cluster, 1)
    told = [int(line["message"].split()[0]) for line in lines if "more like this one are not logged" in line["message"]]
    assert told and len(lines) < 300, f"{len(lines)} lines, {told}"
    assert len(lines) - len(told) + sum(told) >= 3000


@pytest.mark.parametrize("reader", ["reads", "has stopped"])
def test_a_hung_node_ends_whoever_reads_its_log(make_cluster, tmp_path, reader):
    """The node's thread is stuck in a system call, and the log as well: the watch ends the process all the same. Where the log is
    read, its last line says so."""
    hang = tmp_path / "hang"
    settings = {"turn_timeout_ms": 100, "ping_timeout_ms": 1000}
    environment = {"LD_PRELOAD": str(hang_library.build(tmp_path)), "SYNOD_HANG": str(hang)}
    cluster = one_node(make_cluster, native=True, settings=settings, environment=environment)
    cluster.init()
    server = cluster.servers[0]
    pipe = stuck_pipe()
    server.start(stderr=pipe[1] if reader == "has stopped" else None)
    cluster.wait_leader(settled=True)
    hang.touch()
    with cluster.connect(1):
        assert server.wait() == TROUBLE
    if reader == "reads":
        assert "still no sign of life" in server.log().splitlines()[-1]
    for end in pipe:
        os.close(end)


# ---- how it is started ----


@pytest.mark.parametrize("closed", [(0, 1, 2), (2,), (0,)], ids=str)
def test_closed_streams(make_cluster, closed):
    """The node is started with closed standard streams: no file and no socket gets their numbers."""
    cluster = one_node(make_cluster, native=True)
    cluster.init()
    shell = " ".join({0: "<&-", 1: ">&-", 2: "2>&-"}[stream] for stream in closed)
    server = cluster.servers[0]
    script = ["bash", "-c", f'exec "$@" {shell}', "bash", SYNOD, "start", *server.arguments]
    for _ in range(2):
        server.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *script], env=os.environ | server.environment)
        cluster.wait_leader(settled=True)
        streams = [os.readlink(f"/proc/{server.process.pid}/fd/{stream}") for stream in closed]
        assert streams == ["/dev/null"] * len(closed)
        check_serves(cluster)
        knock(cluster.nodes[1].port, 20)
        cluster.stop()
    files = [file for file in cluster.data.rglob("*") if file.is_file()]
    assert files and not [file for file in files if b'"level":"' in file.read_bytes()]


def test_hangup_ends_in_good_order(make_cluster):
    """The terminal is closed: twice, since its shell and the kernel may both say so."""
    cluster = one_node(make_cluster, native=True)
    cluster.up()
    server = cluster.servers[0]
    server.signal(signal.SIGHUP)
    server.signal(signal.SIGHUP)
    assert server.wait() == OK
    assert "Hangup: stopping" in server.log() and "by force" not in server.log()
    assert (cluster.node_folder(1) / "lock").read_bytes() == b"", "the folder was given back"


def test_hangup_under_nohup(make_cluster):
    cluster = one_node(make_cluster, native=True)
    cluster.init()
    cluster.servers[0].start(prepare=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    cluster.wait_leader(settled=True)
    cluster.servers[0].signal(signal.SIGHUP)
    check_serves(cluster)
    cluster.stop()
    assert "Hangup" not in cluster.log(1)


def test_two_signals_at_once_are_one(make_cluster):
    """timeout(1) and others send to the process and to its group."""
    cluster = one_node(make_cluster, native=True)
    cluster.up()
    server = cluster.servers[0]
    server.signal(signal.SIGTERM)
    server.signal(signal.SIGINT)
    assert server.wait() == OK
    assert "by force" not in server.log()


def test_a_folder_that_others_may_write_to_is_told_of(make_cluster):
    cluster = one_node(make_cluster, native=True)
    cluster.init()
    cluster.start()
    cluster.wait_leader(settled=True)
    cluster.stop()
    assert warnings(cluster, 1) == []
    cluster.node_folder(1).chmod(0o777)
    cluster.start()
    cluster.wait_leader(settled=True)
    cluster.stop()
    assert [line["message"].split(": ")[1] for line in warnings(cluster, 1)] == [
        "others than its owner may write to this folder (mode 0777)"
    ]


# ---- limits ----


def outcome(cluster, prepare, environment=None):
    """Starts the node and waits until it serves or has ended. Returns its exit code, None if it serves (it is stopped then)."""
    server = cluster.servers[0]
    server.log_file.unlink(missing_ok=True)
    server.start(environment=environment, prepare=prepare)
    wait_until(lambda: not server.runs or cluster.leader(), 60, lambda: f"an end or a leader; {server.log_tail()}")
    if (code := server.process.poll()) is None:
        cluster.stop()
        return None
    assert code in (TROUBLE, BAD_INPUT), f"exit code {code}; {server.log_tail()}"
    lines = server.log().splitlines()
    assert len(warnings_of(lines)) == 1, "one line says why"
    return code


def warnings_of(lines):
    """Those that are not JSON count, too: what a library says when it gives up."""
    return [line for line in lines if not line.startswith("{") or json.loads(line)["level"] in ("warning", "error")]


def limit(kind, amount):
    return lambda: resource.setrlimit(kind, (amount, amount))


@pytest.mark.parametrize("native", [True, False], ids=["native", "wasm"])
def test_few_descriptors(make_cluster, native):
    """With any limit it serves, or says in one line that it cannot."""
    cluster = one_node(make_cluster, native=native)
    cluster.init()
    codes = {n: outcome(cluster, limit(resource.RLIMIT_NOFILE, n)) for n in [6, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64, 256]}
    assert codes[6] == codes[12] == TROUBLE and codes[256] is None, codes


@pytest.mark.parametrize("megabytes", [100, 300, 1000, 4000, 20000, 100000])
def test_little_address_space(make_cluster, megabytes):
    """Each memory of a component reserves 4 GiB of it."""
    cluster = one_node(make_cluster)
    cluster.init()
    code = outcome(cluster, limit(resource.RLIMIT_AS, megabytes << 20))
    assert code is None if megabytes == 100000 else code is not None


@pytest.mark.parametrize("native", [True, False], ids=["native", "wasm"])
def test_few_threads(make_cluster, native, tmp_path_factory):
    """The limit counts all threads of a user, so it is somebody's who has no others; and nobody limits root."""
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    cluster = one_node(make_cluster, native=native)
    cluster.init()
    os.chmod(cluster.folder, 0o755)
    for file in [cluster.data, *cluster.data.rglob("*")]:
        os.chown(file, NOBODY, NOBODY)
    cache = cluster.folder / "cache"

    def prepare(threads):
        def become():
            resource.setrlimit(resource.RLIMIT_NPROC, (threads, threads))
            os.setgid(NOBODY)
            os.setuid(NOBODY)

        return become

    codes = {}
    for threads in [2, 4, 5, 6, 7, 8, 10, 100]:
        shutil.rmtree(cache, ignore_errors=True)  # the compiler has threads of its own
        cache.mkdir()
        os.chown(cache, NOBODY, NOBODY)
        codes[threads] = outcome(cluster, prepare(threads), environment={"XDG_CACHE_HOME": str(cache)})
    assert codes[2] == codes[5] == TROUBLE and codes[100] is None, codes
