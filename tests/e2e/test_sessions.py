"""Commands in sessions are executed once, however often they are sent: while leaders are killed with -9, after restarts, and from
snapshots. The client is the one in client/python."""

import os
import sys
import threading

import pytest
import redis

from cluster import wait_until
from resp import Connection, ReplyError

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../client/python"))
from synod_client import SessionLost, SynodClient  # noqa: E402

CLIENTS, KILLS = 8, int(os.environ.get("SYNOD_KILLS", 4))
INCRS = int(os.environ.get("SYNOD_REQUESTS", 4000))


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

    def __init__(self, nodes, count):
        super().__init__()
        self.nodes, self.count, self.last, self.error, self.done = nodes, count, 0, None, 0

    def run(self):
        try:
            with SynodClient(self.nodes, timeout_s=60, answer_s=1) as client:
                for _ in range(self.count):
                    value = client.execute("INCR", "counter")
                    assert value > self.last, f"{value} after {self.last}"
                    self.last = value
                    self.done += 1
        except Exception as error:  # pylint: disable=broad-except
            self.error = error


CASES = [("coordinator", False), ("standalone", False), ("shared", False), ("coordinator", True)]


@pytest.mark.parametrize("deployment, native", CASES, ids=lambda value: value if isinstance(value, str) else "native" if value else "")
def test_exactly_once_while_leaders_are_killed(make_cluster, deployment, native):
    small = {"segment_bytes": "1 MiB", "snapshot_bytes": "64 KiB", "journal_keep_slots": 16}
    cluster = make_cluster(deployment, native=native, settings=small)
    cluster.up()
    clients = [Counting(nodes_of(cluster), INCRS // CLIENTS) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for kill in range(KILLS):
        at = INCRS * (kill + 1) // (KILLS + 2)
        wait_until(lambda: sum(c.done for c in clients) >= at or any(c.error for c in clients), 120, f"{at} answers; {cluster.describe()}")
        leader = cluster.wait_leader()
        cluster.kill(leader)
        cluster.start(leader)
    for client in clients:
        client.join()
        assert client.error is None
    with SynodClient(nodes_of(cluster)) as client:
        assert int(client.execute("GET", "counter")) == INCRS // CLIENTS * CLIENTS
    cluster.wait_settled()
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


def test_a_client_finds_the_leader(make_cluster):
    """Where nodes pass nothing on, they send it elsewhere."""
    cluster = make_cluster("coordinator", native=True, settings={"forward": False})
    cluster.up()
    for i in range(6):
        with SynodClient(nodes_of(cluster)) as client:
            assert client.execute("INCR", "a") == i + 1
    cluster.stop()


def test_sessions_are_bounded(make_cluster):
    """Those used longest ago are forgotten, and their clients are told so."""
    cluster = make_cluster("coordinator", native=True, settings={"state_bytes_max": "1 MiB"})
    cluster.up()
    first = SynodClient(nodes_of(cluster))
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
