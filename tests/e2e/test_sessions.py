"""Commands in sessions are executed once, however often they are sent: while leaders are killed with -9, after restarts, and from
snapshots. The clients are those in client/python and client/c, and the load generator."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import redis

from cluster import BUILD, OK, ROOT, SYNOD, wait_until
from resp import Connection, ReplyError

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../client/python"))
from synod_client import SessionLost, SynodClient  # noqa: E402

CLIENTS, KILLS = 8, int(os.environ.get("SYNOD_KILLS", 4))
INCRS = int(os.environ.get("SYNOD_REQUESTS", 4000))


class ClientInC:
    """client/c/example.c, which executes a command a line, with the methods of SynodClient."""

    program = None  # as it was built

    def __init__(self, nodes):
        addresses = ",".join(f"{host}:{port}" for host, port in nodes)
        self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", self.program, addresses, "1"], text=True, bufsize=1,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def execute(self, *words):
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        line = self._process.stdout.readline().rstrip("\n")
        if line.startswith("the session was forgotten"):
            raise SessionLost(line, "not known" in line)
        return int(line) if re.fullmatch("-?[0-9]+", line) else line

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture(scope="module", name="installed")
def install_client(tmp_path_factory):
    """Installs the library as a user would."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run(["cmake", "--install", BUILD, "--prefix", folder], check=True, stdout=subprocess.DEVNULL)
    assert {file.name for file in folder.rglob("*") if file.is_file()} == {"libsynod-client.a", "synod_client.h", "synod-client.pc"}
    return folder


@pytest.fixture(scope="module", name="example")
def build_example(installed, tmp_path_factory):
    """Builds the example with it."""
    folder = tmp_path_factory.mktemp("example")
    found = next(installed.rglob("synod-client.pc")).parent
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "synod-client"], check=True, capture_output=True, text=True,
                           env=os.environ | {"PKG_CONFIG_PATH": str(found)}).stdout.split()
    program = folder / "example"
    subprocess.run(["cc", "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", ROOT / "client/c/example.c",
                    *flags, "-o", program], check=True)
    return str(program)


@pytest.fixture(name="new_client", params=["python", "c"])
def choose_client(request):
    """Makes a client in each language."""
    if request.param == "python":
        return lambda nodes: SynodClient(nodes, timeout_s=60, answer_s=1)
    ClientInC.program = request.getfixturevalue("example")
    return ClientInC


def nodes_of(cluster):
    return [("127.0.0.1", port) for port in cluster.client_ports()]


def said(connection, *words):
    reply = connection.command(*words)
    return reply.text if isinstance(reply, ReplyError) else reply


# ---- What the commands say ----


def test_a_command_is_executed_once(make_cluster):
    cluster = make_cluster("coordinator")
    cluster.up()
    with Connection(cluster.client_ports()[0]) as one, Connection(cluster.client_ports()[1]) as other:
        session = one.command("SESSION", "OPEN")
        assert 1 <= session < 1 << 53 and one.command("SESSION", "OPEN") != session
        for connection in (one, other, one):
            assert connection.command("SESSION", session, 1, "INCR", "a") == 1
        assert other.command("SESSION", session, 2, "GETSET", "a", "x") == b"1"
        assert one.command("SESSION", session, 2, "GETSET", "a", "x") == b"1"
        assert one.command("GET", "a") == b"x"
        assert one.command("SESSION", session, 18, "APPEND", "a", "y") == 2
        assert said(one, "SESSION", session, 2, "GETSET", "a", "x").startswith("SESSIONPASSED not executed")
        assert said(one, "SESSION", session + 1, 1, "INCR", "a").startswith("NOSESSION not executed")
        assert said(one, "SESSION", session, 19, "INCR", "a") == "ERR value is not an integer or out of range"
        assert one.command("SESSION", session, 20, "SET", "long", "l" * 5000) == "OK"
        assert one.command("SESSION", session, 21, "GET", "long") == b"l" * 5000
        assert said(one, "SESSION", session, 21, "GET", "long").startswith("SESSIONREPLY the command was executed")
        assert one.command("SESSION", "CLOSE", session) == 1 and one.command("SESSION", "CLOSE", session) == 0
        assert said(other, "SESSION", session, 1, "INCR", "a").startswith("NOSESSION")
        assert one.command("GET", "a") == b"xy"
    cluster.stop()


BAD = [
    (("SESSION",), "ERR wrong number of arguments for 'session' command"),
    (("SESSION", "OPEN", "0"), "ERR the window of a session is a number from 1 to 1024"),
    (("SESSION", "OPEN", "1", "2"), "ERR wrong number of arguments for 'session|open' command"),
    (("SESSION", "CLOSE"), "ERR wrong number of arguments for 'session|close' command"),
    (("SESSION", "x"), "ERR SESSION wants OPEN, CLOSE, or the id of a session"),
    (("SESSION", "9007199254740992", "1", "GET", "a"), "ERR SESSION wants OPEN, CLOSE, or the id of a session"),
    (("SESSION", "1", "1"), "ERR SESSION wants an id, a number, and a command"),
    (("SESSION", "1", "0", "GET", "a"), "ERR the number of a session's command is one from 1 on"),
    (("SESSION", "1", "1", "GET"), "ERR wrong number of arguments for 'get' command"),
    (("SESSION", "1", "1", "NOSUCH"), "ERR unknown command 'NOSUCH'"),
    (("SESSION", "1", "1", "PING"), "ERR unknown command 'PING'"),
    (("SESSION", "1", "1", "session", "open"), "ERR a session's command cannot be about a session"),
]


def test_bad_input(make_cluster):
    cluster = make_cluster("coordinator", native=True)
    cluster.up()
    for port in cluster.client_ports():
        with Connection(port) as connection:
            for words, error in BAD:
                assert said(connection, *words).startswith(error), words
            names = connection.command("COMMAND", "LIST")
            assert b"session" in names
    cluster.stop()


# ---- Under load ----


class Counting(threading.Thread):
    """A client that adds 1 as often as it should, each time once."""

    def __init__(self, new_client, nodes, count):
        super().__init__()
        self.new_client, self.nodes, self.count = new_client, nodes, count
        self.last, self.error, self.done = 0, None, 0

    def run(self):
        try:
            with self.new_client(self.nodes) as client:
                for _ in range(self.count):
                    value = client.execute("INCR", "counter")
                    assert value > self.last, f"{value} after {self.last}"
                    self.last = value
                    self.done += 1
        except Exception as error:  # pylint: disable=broad-except
            self.error = error


def kill_leaders(cluster, requests, done, ended):
    """Some, spread over the requests."""
    for kill in range(KILLS):
        at = requests * (kill + 1) // (KILLS + 2)
        wait_until(lambda: done() >= at or ended(), 120, f"{at} answers; {cluster.describe()}")
        assert not ended(), f"ended before all kills: {ended()}"
        leader = cluster.wait_leader()
        cluster.kill(leader)
        cluster.start(leader)


CASES = [("coordinator", False), ("standalone", False), ("shared", False), ("coordinator", True)]


@pytest.mark.parametrize("deployment, native", CASES, ids=lambda value: value if isinstance(value, str) else "native" if value else "")
def test_exactly_once_while_leaders_are_killed(make_cluster, deployment, native, new_client):
    small = {"segment_bytes": "1 MiB", "snapshot_bytes": "64 KiB", "journal_keep_slots": 16}
    cluster = make_cluster(deployment, native=native, settings=small)
    cluster.up()
    clients = [Counting(new_client, nodes_of(cluster), INCRS // CLIENTS) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    kill_leaders(cluster, INCRS, lambda: sum(c.done for c in clients), lambda: [c.error for c in clients if c.error])
    for client in clients:
        client.join()
        assert client.error is None
    with SynodClient(nodes_of(cluster)) as client:
        assert int(client.execute("GET", "counter")) == INCRS // CLIENTS * CLIENTS
    cluster.wait_settled()
    cluster.stop()


@pytest.mark.parametrize("guest", [False, True], ids=["native", "guest"])
def test_the_load_generator_while_leaders_are_killed(make_cluster, guest):
    """Whatever becomes of its connections, the counters are at what was answered: all of it."""
    cluster = make_cluster("coordinator", native=True)
    cluster.up()
    requests = 20 * INCRS
    client = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", SYNOD, "bench", "--config", cluster.config_file, "--requests", str(requests), "--json",
         "--connections", "8", "--pipeline", "4", "--command", "incr", "--keyspace", "10", "--sessions", "--quiet",
         *(["--guest-client"] if guest else [])],
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)

    def counted():
        with Connection(cluster.client_ports()[cluster.wait_leader() - 1]) as connection:
            values = connection.command("MGET", *(f"key:{n:012}" for n in range(10)))
        return sum(int(value or 0) for value in values)

    kill_leaders(cluster, requests, counted, lambda: client.poll() is not None)
    result = json.loads(client.communicate(timeout=120)[0])
    assert client.returncode == OK and result["answered"] == result["counted"] == counted() == requests
    assert result["retried"] > 0 and [result[key] for key in ("no_session", "session_passed", "session_reply")] == [0, 0, 0]
    cluster.wait_settled()
    cluster.stop()


def test_pipelines_in_c(make_cluster, example, tmp_path):
    """Each number from 1 on is the reply to one command."""
    cluster = make_cluster("coordinator", native=True)
    cluster.up()
    requests = 20 * INCRS
    (tmp_path / "commands").write_text("INCR counter\n" * requests)
    addresses = ",".join(f"{host}:{port}" for host, port in nodes_of(cluster))
    with open(tmp_path / "commands", encoding="ascii") as commands, open(tmp_path / "replies", "w", encoding="ascii") as replies:
        client = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", example, addresses, "16"], stdin=commands, stdout=replies)
        kill_leaders(cluster, requests, lambda: Path(replies.name).read_bytes().count(b"\n"), lambda: client.poll() is not None)
        assert client.wait(120) == 0
    assert sorted(map(int, (tmp_path / "replies").read_text().split())) == list(range(1, requests + 1))
    cluster.stop()


def test_the_example_in_c(make_cluster, example):
    cluster = make_cluster("coordinator", native=True)
    cluster.up()
    addresses = ",".join(f"{host}:{port}" for host, port in nodes_of(cluster))
    for visit in range(1, 4):
        assert subprocess.run([example, addresses], check=True, capture_output=True, text=True).stdout == f"{visit}\n"
    lines = "SET a 5\nGET a\nMGET a b\nINCR a b\n\nGET b\n"
    done = subprocess.run([example, addresses, "3"], input=lines, check=True, capture_output=True, text=True)
    assert done.stdout == "OK\n5\n2 values\n5\n(nil)\nERR wrong number of arguments for 'incr' command\n(nil)\n"
    for arguments in ([], [addresses, "0"], ["nonsense"], [addresses, "1025"]):
        assert subprocess.run([example, *arguments], check=False, capture_output=True).returncode == 2
    cluster.stop()


def test_a_session_outlives_all_nodes(make_cluster):
    """Also where only a snapshot has it."""
    cluster = make_cluster("coordinator", settings={"segment_bytes": "1 MiB", "snapshot_bytes": "64 KiB", "journal_keep_slots": 0})
    cluster.up()
    with SynodClient(nodes_of(cluster)) as client, redis.Redis(port=cluster.client_ports()[0]) as plain:
        assert client.execute("INCR", "a") == 1
        session = client._session  # pylint: disable=protected-access
        for i in range(200):
            plain.set(f"key-{i % 10}", "v" * 4000)
        cluster.kill_all()
        cluster.start()
        cluster.wait_leader()
        with Connection(cluster.client_ports()[1], timeout_s=20) as connection:
            assert connection.command("SESSION", session, 1, "INCR", "a") == 1
            assert connection.command("GET", "a") == b"1"
        assert client.execute("INCR", "a") == 2
    cluster.stop()


def test_a_client_finds_the_leader(make_cluster, new_client):
    """Where nodes pass nothing on, they send it elsewhere."""
    cluster = make_cluster("coordinator", native=True, settings={"forward": False})
    cluster.up()
    for i in range(6):
        with new_client(nodes_of(cluster)) as client:
            assert client.execute("INCR", "a") == i + 1
    cluster.stop()


def test_sessions_are_bounded(make_cluster, new_client):
    """Those used longest ago are forgotten, and their clients are told so."""
    cluster = make_cluster("coordinator", native=True, settings={"state_bytes_max": "1 MiB"})
    cluster.up()
    first = new_client(nodes_of(cluster))
    assert first.execute("INCR", "a") == 1
    with Connection(cluster.client_ports()[0]) as connection:
        for _ in range(1000):
            connection.command("SESSION", "OPEN")
    with pytest.raises(SessionLost) as lost:
        first.execute("INCR", "a")
    assert not lost.value.sent_before
    assert first.execute("INCR", "a") == 2
    first.close()
    cluster.stop()
