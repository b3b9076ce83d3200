"""Bad input at every door: a clear error, the node lives on, and nothing is lost."""

import json
import os
import random
import shutil
import socket
import subprocess
import tempfile

import pytest

import frames
import resp
from cluster import BAD_INPUT, BUILD, OK, ROOT, Cluster, run, wait_until
from history import Load


class Watched:
    """A cluster under load. After each test all nodes must live in the same life as before; in the end, nothing may be lost."""

    def __init__(self):
        self.cluster = Cluster("coordinator")
        self.leader = self.cluster.up()
        self.load = Load(self.cluster.client_ports(), clients=3, pace_s=0.01)
        self.load.__enter__()

    @property
    def node(self):
        return self.cluster.nodes[self.leader]

    def lives(self):
        return {node: (self.cluster.info(node) or {}).get("incarnation") for node in self.cluster.nodes}

    def close(self):
        try:
            self.load.stop()
            self.load.read_back(self.node.client_port)
            self.cluster.wait_settled()
            self.load.judge()
            self.cluster.stop()
        finally:
            self.cluster.close()


@pytest.fixture(scope="module")
def shared():
    watched = Watched()
    yield watched
    watched.close()


@pytest.fixture
def watched(shared):
    before = shared.lives()
    log_before = {node: len(shared.cluster.log(node)) for node in shared.cluster.nodes}
    shared.logged = lambda: shared.cluster.log(shared.leader)[log_before[shared.leader] :]
    yield shared
    shared.cluster.check_alive()
    shared.load.wait_answers(20)
    assert shared.lives() == before and shared.cluster.leader() == shared.leader, "a node went down, or another one leads"


# ---- the client port ----

# What is sent, and what is said before the connection is closed.
UNREADABLE = {
    "length that is none": (b"*abc\r\n", "invalid multibulk length"),
    "far too many arguments": (b"*1000000000\r\n", "invalid multibulk length"),
    "too long a number": (b"*" + b"1" * 100, "invalid multibulk length"),
    "argument that is no bulk": (b"*1\r\n+PING\r\n", "expected '$', got '+'"),
    "bulk of negative length": (b"*1\r\n$-5\r\n", "invalid bulk length"),
    "bulk with a length that is none": (b"*1\r\n$4x\r\nPING\r\n", "invalid bulk length"),
    "bulk that is too long": (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2000000000\r\n", "request is too long to be skipped"),
    "bulk longer than it says": (b"*1\r\n$4\r\nPINGPING\r\n", "bulk does not end where its length says"),
    "unbalanced quotes": (b'SET k "v\r\n', "unbalanced quotes"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_client_port_closes(watched, what):
    data, said = UNREADABLE[what]
    with resp.Connection(watched.node.client_port) as client:
        # What was asked before is still answered.
        client.send(resp.encode("SET", "bad-input", what))
        assert client.receive() == "OK"
        client.send(data)
        reply = client.receive()
        assert isinstance(reply, resp.ReplyError) and reply.text.startswith("ERR Protocol error: ") and said in reply.text
        assert client.is_closed_by_server()
    wait_until(lambda: f"protocol error: {reply.text.removeprefix('ERR Protocol error: ')}" in watched.logged(), 5, "a line in the log")


TOO_LONG = {
    "one bulk": (resp.encode("SET", "bad-input", b"v" * 5000000), "request is longer than command_bytes_max (1048576 bytes)"),
    "bulks together": (resp.encode("SET", b"k" * 600000, b"v" * 600000), "request is longer than command_bytes_max (1048576 bytes)"),
    "many bulks": (resp.encode("MSET", *["k"] * 200000), "request is longer than command_bytes_max (1048576 bytes)"),
    "a line": (b"SET bad-input " + b"v" * 100000 + b"\r\n", "too big inline request"),
}


@pytest.mark.parametrize("what", TOO_LONG)
def test_client_port_skips_what_is_too_long(watched, what):
    data, said = TOO_LONG[what]
    with resp.Connection(watched.node.client_port) as client:
        client.send(resp.encode("SET", "bad-input", what) + data + resp.encode("GET", "bad-input"))
        assert client.receive() == "OK"
        reply = client.receive()
        assert isinstance(reply, resp.ReplyError) and said in reply.text
        assert client.receive() == what.encode()


HTTP = [b"POST / HTTP/1.1\r\nHost: here", b"post / http/1.0", b"GET / HTTP/1.1\r\nUser-Agent: x", b"X\r\nhost: here", b"PRI * HTTP/2.0"]
HTTP += [b"%s /path HTTP/1.1\r\nOrigin: x" % method for method in (b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PROPFIND", b"set")]


@pytest.mark.parametrize("head", HTTP)
def test_client_port_closes_at_http(watched, head):
    body = b"SET bad-input evil\r\n"
    with resp.Connection(watched.node.client_port) as client:
        client.send(b"%s\r\nContent-Length: %d\r\n\r\n%s" % (head, len(body), body))
        assert client.is_closed_by_server()
    wait_until(lambda: "it speaks HTTP" in watched.logged(), 5, "a line in the log")
    with resp.Connection(watched.node.client_port) as client:
        assert client.command("GET", "bad-input") != b"evil"
        assert client.command("SET", "bad-input:http", "HTTP/1.1") == "OK"  # as a value it is like any other


REFUSED = {
    "unknown command": (["FROBNICATE", "x"], "unknown command"),
    "too few arguments": (["SET", "k"], "wrong number of arguments"),
    "nonsense option": (["SET", "k", "v", "SOMETIMES"], "syntax error"),
    "not a number": (["INCRBY", "k:none", "many"], "not an integer"),
    "bytes that are no text": ([b"\x00\xff\xfe", b"\x80"], "unknown command"),
    "no argument at all that is of use": ([""], "unknown command"),
    "many arguments": (["GET", *["k"] * 50000], "wrong number of arguments"),
    "long name": (["X" * 100000], "unknown command"),
    "unknown subcommand": (["CLUSTER", "FAILOVER"], "unknown subcommand"),
    "unknown protocol": (["HELLO", "9"], "unsupported protocol version"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_client_port_refuses(watched, what):
    """An error, and the connection goes on."""
    command, said = REFUSED[what]
    with resp.Connection(watched.node.client_port) as client:
        reply = client.command(*command)
        assert isinstance(reply, resp.ReplyError) and said in reply.text.lower()
        assert client.command("PING") == "PONG" and client.command("SET", "bad-input", what) == "OK"


def test_client_port_garbage(watched):
    """Bytes of any kind: an answer or the end of the connection, whatever they happen to mean."""
    dice = random.Random(7)
    for number in range(60):
        alphabet = b"*$+-:\r\n0123456789 \"'SETGETPING\x00\xff" if number % 2 else bytes(range(256))
        with resp.Connection(watched.node.client_port) as client:
            try:
                client.send(bytes(dice.choice(alphabet) for _ in range(dice.randrange(1, 3000))))
                client.socket.shutdown(socket.SHUT_WR)
            except ConnectionError:
                continue  # it was closed while we were still talking
            assert client.is_closed_by_server()


def test_client_port_half_a_command(watched):
    executed = resp.encode("SET", "bad-input", "never")
    for cut in range(1, len(executed)):
        with resp.Connection(watched.node.client_port) as client:
            client.send(executed[:cut])
    with resp.Connection(watched.node.client_port) as client:
        assert client.command("GET", "bad-input") != b"never"


def test_client_port_hangs_up_before_the_answer(watched):
    """Clients that ask and go: their commands are executed or not, others are not disturbed."""
    for number in range(100):
        with resp.Connection(watched.node.client_port) as client:
            client.send(resp.encode("SET", f"bad-input:gone:{number}", number) * 5)


ANSWERS_LARGE = {
    "one value many times": (["GET", "bad-input:large"], 3000),
    "many values at once, many times": (["MGET", *["bad-input:large"] * 80], 300),
}


@pytest.mark.parametrize("native", [False, True], ids=["components", "native"])
@pytest.mark.parametrize("what", ANSWERS_LARGE)
def test_client_port_large_answers(make_cluster, what, native):
    """Small questions with large answers, many at once, which the client does not take: its connection may be closed, but neither
    the node nor any other (all of them execute these commands, and again after a restart) runs out of memory or time."""
    command, count = ANSWERS_LARGE[what]
    # A busy machine keeps nodes silent for a second; this is about seconds that a node spends on answers.
    settings = {"suspect_timeout_ms": 5000, "dead_timeout_ms": 6000}
    cluster = make_cluster("coordinator", native=native, settings=settings)
    leader = cluster.up()
    with Load(cluster.client_ports(), clients=3) as load:
        load.wait_answers(20)
        with cluster.connect(leader, timeout_s=1) as client:
            assert client.command("SET", "bad-input:large", b"v" * 100000) == "OK"
            try:
                client.send(resp.encode(*command) * count)
            except (TimeoutError, ConnectionError):
                pass
            load.wait_answers(50)
        load.wait_answers(50)
        cluster.check_alive()
        peaks = {server.name: server.peak_bytes() for server in cluster.servers}
        assert max(peaks.values()) < 1 << 30, f"memory at its peak: {peaks}"
    assert cluster.wait_leader() == leader, "the leader was lost, although it was not killed"
    load.read_back(cluster.nodes[leader].client_port)
    cluster.wait_settled()
    load.judge()
    cluster.stop()


def test_client_port_largest_command(watched):
    """As long as allowed works; the limit is on the whole request."""
    value = b"x" * (1024 * 1024 - 100)
    with resp.Connection(watched.node.client_port) as client:
        assert client.command("SET", "bad-input:largest", value) == "OK"
        assert client.command("GET", "bad-input:largest") == value
        assert client.command("DEL", "bad-input:largest") == 1


# ---- the peer port ----


BODY = frames.message(5)  # a heartbeat that says nothing
CLOSED = {
    "garbage": (lambda o: b"\xa5" * 200, "wrong magic"),
    "a client's command": (lambda o: resp.encode("SET", "bad-input", "x" * 100), "wrong magic"),
    "HTTP": (lambda o: b"GET / HTTP/1.1\r\nHost: here\r\nUser-Agent: somebody\r\nAccept: */*\r\n\r\n", "wrong magic"),
    "wrong magic": (lambda o: frames.frame(o, BODY, magic=b"SYNG"), "wrong magic"),
    "another version": (lambda o: frames.frame(o, BODY, version=1), "another version"),
    "wrong checksum": (lambda o: frames.frame(o, BODY, header_checksum=1), "wrong checksum"),
    "a flipped bit of the header": (lambda o: flipped(frames.frame(o, BODY), 40), "wrong checksum"),
    "another cluster": (lambda o: frames.frame(frames.Origin("elsewhere", 2), BODY), "another cluster"),
    "longer than allowed": (lambda o: frames.greeting(o) + frames.frame(o, BODY, length=1 << 31), "longer than frame_bytes_max"),
    "too long for a greeting": (lambda o: frames.frame(o, BODY, length=2560), "too long for a greeting"),
    "no possible node": (lambda o: frames.frame(frames.Origin("test", 64), BODY), "no possible node id"),
    "node zero": (lambda o: frames.frame(frames.Origin("test", 0), BODY), "no possible node id"),
    "a node that is not configured": (lambda o: frames.frame(frames.Origin("test", 9), BODY), "node 9 is not a member of the cluster"),
    "a node with another folder": (lambda o: frames.greeting(o.but(instance=b"\x5a" * 16)), "another data folder (instance id)"),
    "an earlier life": (lambda o: frames.greeting(o.but(incarnation=0)), "an earlier life"),
    "another life of the same incarnation": (lambda o: frames.greeting(o.but(nonce=o.nonce ^ 1)), "another life"),
    "a later disk": (lambda o: frames.greeting(o.but(incarnation=(1 << 32) - 1)), "another data folder (instance id)"),
    "a flipped bit of the body": (lambda o: flipped(frames.frame(o, BODY), 70), "wrong checksum"),
    "another sender within a connection": (
        lambda o: frames.greeting(o) + frames.frame(o.but(incarnation=o.incarnation + 1)), "the sender changed"),
}


# As long as no configuration was chosen: afterwards the log says who is a member, and what is governed.
CLOSED_BEFORE = {
    "no governed settings": (lambda o: frames.frame(o, BODY), "does not begin with its governed settings"),
    "other governed settings": (lambda o: frames.frame(o, b"alpha 7\n"), "the governed setting alpha is"),
    "control characters": (lambda o: frames.frame(o, b"alpha \x1b[2J\n"), "does not begin with its governed settings"),
    "a node that is not configured": (lambda o: frames.frame(frames.Origin("test", 9), BODY), "which is not in the configuration"),
    "a later disk": (lambda o: frames.greeting(o.but(incarnation=1 << 20)), "is not yet a member"),
}


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("what", CLOSED)
def test_peer_port_closes(watched, what):
    make, said = CLOSED[what]
    follower = next(node for node in watched.cluster.nodes if node != watched.leader)
    origin = frames.Origin.of_folder("test", watched.cluster.node_folder(follower))
    bad_before = watched.cluster.info(watched.leader)["bad_frames"]
    with frames.connect(watched.node.port) as peer:
        peer.sendall(make(origin))
        frames.wait_closed(peer)
    lines = wait_until(lambda: [line for line in watched.logged().splitlines() if "closed the connection from" in line], 5, "a line")
    assert len(lines) == 1 and said in json.loads(lines[0])["message"], lines
    assert watched.cluster.info(watched.leader)["bad_frames"] == bad_before + 1


@pytest.mark.parametrize("native", [False, True], ids=["components", "native"])
def test_peer_port_closes_before_the_cluster_has_formed(make_cluster, native):
    cluster = make_cluster("coordinator", native=native)
    cluster.init()
    cluster.start(1, 2)
    leader = cluster.wait_leader()
    origin = frames.Origin.of_folder("test", cluster.node_folder(3))
    for make, said in CLOSED_BEFORE.values():
        with frames.connect(cluster.nodes[leader].port) as peer:
            peer.sendall(make(origin))
            frames.wait_closed(peer)
        wait_until(lambda: said in cluster.log(leader), 5, said)  # noqa: B023
    cluster.check_alive(1, 2)


def test_peer_port_half_a_frame(watched):
    follower = next(node for node in watched.cluster.nodes if node != watched.leader)
    whole = frames.greeting(frames.Origin.of_folder("test", watched.cluster.node_folder(follower)))
    for cut in range(1, len(whole), 7):
        with frames.connect(watched.node.port) as peer:
            peer.sendall(whole[:cut])


UNSOUND = {
    "empty but for a byte": b"\x00",
    "shorter than a message": frames.message(5)[:-8],
    "longer than a message": frames.message(5) + bytes(8),
    "unknown kind": frames.message(frames.MESSAGE_KINDS),
    "largest kind": frames.message(255),
    "unknown flag": frames.message(5, flags=128),
    "unknown version": frames.message(5, version=1),
    "a zero that is none": frames.message(5, zero=1),
    "a ballot of no node": frames.message(0, ballot=(1, 64, 1)),
    "a batch of no node": frames.message(12, batch=(64, 1, 1)),
    "more entries than bytes": frames.message(2, count=1),
    "very many entries": frames.message(2, count=0xFFFFFFFF),
    "an entry of unknown kind": frames.message(2, entries=[(1, (1, 1, 1), frames.ENTRY_KINDS, b"")]),
    "a value longer than the rest": frames.message(2, entries=[(1, (1, 1, 1), 1, b"12345678")])[:-8],
}


LARGE = 1_000_000
NO_MESSAGE = "sound but holds no message"


@pytest.mark.parametrize("native", [False, True], ids=["components", "native"])
def test_peer_sends_nonsense(make_cluster, native):
    """In place of a node that is gone, with its identity: bodies that are unsound, and messages that mean nothing. Those who get them
    go on as if they had not come."""
    cluster = make_cluster("coordinator", native=native)
    leader = cluster.up()
    victim = next(node for node in cluster.nodes if node != leader)
    others = [node for node in cluster.nodes if node != victim]
    with Load(cluster.client_ports(), clients=3) as load:
        load.wait_answers(50)
        cluster.kill(victim)
        origin = frames.Origin.of_folder("test", cluster.node_folder(victim))
        lives = {node: cluster.info(node)["incarnation"] for node in others}
        meaningless = [frames.message(kind, flags) for kind in range(frames.MESSAGE_KINDS) for flags in (0, 0x7F)]
        for node in others:
            with frames.connect(cluster.nodes[node].port) as peer:
                peer.sendall(frames.greeting(origin))
                for body in [*UNSOUND.values(), *meaningless]:
                    peer.sendall(frames.frame(origin, body))
                load.wait_answers(50)
                cluster.check_alive(*others)
        load.wait_answers(50)
        assert {node: cluster.info(node)["incarnation"] for node in others} == lives
        cluster.start(victim)
        wait_until(lambda: cluster.info(victim), 10, f"an answer of node {victim}")
        cluster.wait_caught_up(victim)
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()


ANYTHING = [("coordinator", False, 1), ("standalone", False, 2), ("coordinator", True, 3)]


@pytest.mark.parametrize("deployment, native, seed", ANYTHING)
def test_peer_sends_anything(make_cluster, deployment, native, seed):
    """Sound messages of any content, in the place of a node that is gone. Such a node may mislead the others, who trust it; but it
    must not bring them down."""
    dice = random.Random(seed)
    cluster = make_cluster(deployment, native=native)
    leader = cluster.up()
    victim = dice.choice([node for node in cluster.nodes if node != leader])
    others = [node for node in cluster.nodes if node != victim]
    with Load(cluster.client_ports(), clients=2) as load:
        load.wait_answers(20)
        cluster.kill(victim)
        origin = frames.Origin.of_folder("test", cluster.node_folder(victim))
        before = {node: cluster.info(node) for node in others}
        peers = {node: frames.connect(cluster.nodes[node].port) for node in others}
        for peer in peers.values():
            peer.sendall(frames.greeting(origin))
        for _ in range(100):
            for peer in peers.values():
                peer.sendall(frames.frame(origin, frames.any_message(dice)))
        for node, info in before.items():
            wait_until(lambda: (cluster.info(node) or info)["frames_in"] >= info["frames_in"] + 100, 10, f"100 frames at node {node}")
            assert cluster.info(node)["bad_frames"] == info["bad_frames"]
            assert NO_MESSAGE not in cluster.log(node)  # else nothing was tried
        cluster.check_alive(*others)
        for peer in peers.values():
            peer.close()


def ask_for_votes(origin, cluster, slot, round_number):
    ballot = (round_number, origin.sender, origin.incarnation)
    vote = frames.message(ACCEPT, ballot=ballot, entries=[(slot + 20, ballot, 1, b"v" * LARGE)])
    return [vote] + [frames.message(PREPARE, ballot=ballot, start=1)] * 3000


def ask_for_results(origin, cluster, slot, _):
    batches = [frames.message(RESULT_REQUEST, start=at, batch=(origin.sender, origin.incarnation, number))
               for at in range(slot - 4, slot) for number in range(1, 20)]
    return batches * 40


@pytest.mark.parametrize("ask", [ask_for_votes, ask_for_results])
def test_peer_asks_again_and_again(make_cluster, ask):
    """In place of a leader that is gone: the same question some thousand times, with a large answer. What a node gives in one step is bounded:
    none breaks, however often it is asked."""
    cluster = make_cluster(settings={"memory_bytes_max": "256 MiB"})
    leader = cluster.up()
    others = [node for node in cluster.nodes if node != leader]
    with cluster.connect(leader, timeout_s=30) as client:
        for _ in range(8):
            assert client.call("APPEND", "large", b"v" * LARGE)
        assert len(client.call("GET", "large")) == 8 * LARGE
        slot = cluster.info(leader)["executed"]
    cluster.kill(leader)
    now = cluster.info(cluster.wait_leader())
    origin = frames.Origin.of_folder("test", cluster.node_folder(leader))
    bodies = ask(origin, cluster, slot, int(now["ballot"].split(".")[0]) + 1)
    before = {node: cluster.info(node)["frames_in"] for node in others}
    for node in others:
        with frames.connect(cluster.nodes[node].port, timeout_s=30) as peer:
            peer.sendall(frames.greeting(origin) + b"".join(frames.frame(origin, body) for body in bodies))
            wait_until(lambda: (cluster.info(node) or {}).get("frames_in", 0) > before[node] + len(bodies), 60, "all is heard")
    set_until_answered(cluster, "b")  # the leader may have changed once more
    for node in others:
        assert cluster.info(node)["restarts"] == 0, cluster.log(node)[-2000:]
        assert NO_MESSAGE not in cluster.log(node)
    cluster.stop()


def propose_much(origin, slots, round_number):
    ballot = (round_number, origin.sender, origin.incarnation)
    return [frames.message(ACCEPT, ballot=ballot, entries=[(slot, ballot, 1, b"v" * (LARGE // 2))]) for slot in slots]


def vote_for_much(origin, slots, round_number):
    ballot = (round_number, origin.sender, origin.incarnation)
    return [frames.message(LEARN, entries=[(slot, ballot, 1, b"v" * (LARGE // 2))]) for slot in slots]


@pytest.mark.parametrize("tell", [propose_much, vote_for_much])
def test_peer_tells_long_values(make_cluster, tell):
    """In place of a leader that is gone: long values for more than half a window of slots, from the highest one down, more than a component's
    memory. Each node keeps so many bytes of them. None breaks, the cluster elects and serves, and again when all nodes were started anew and
    found in their journals what they voted for."""
    cluster = make_cluster(settings={"memory_bytes_max": "64 MiB"})
    leader = cluster.up()
    others = [node for node in cluster.nodes if node != leader]
    with cluster.connect(leader) as client:
        assert client.call("SET", "a", "before") == "OK"
    cluster.kill(leader)
    new_leader = cluster.wait_leader()
    now = cluster.info(new_leader)
    origin = frames.Origin.of_folder("test", cluster.node_folder(leader))
    bodies = tell(origin, range(now["executed"] + 150, now["executed"], -1), int(now["ballot"].split(".")[0]) + 1)
    before = {node: cluster.info(node) for node in others}
    for node in others:
        with frames.connect(cluster.nodes[node].port, timeout_s=30) as peer:
            peer.sendall(frames.greeting(origin) + b"".join(frames.frame(origin, body) for body in bodies))
            wait_until(lambda: (cluster.info(node) or {}).get("frames_in", 0) > before[node]["frames_in"] + len(bodies), 60, "all is heard")
    assert not any(NO_MESSAGE in cluster.log(node) for node in others)
    set_until_answered(cluster, "forged")
    for node in others:
        assert cluster.info(node)["incarnation"] == before[node]["incarnation"], cluster.log(node)[-2000:]
    cluster.kill_all()
    cluster.start()
    set_until_answered(cluster, "again")
    for node in cluster.nodes:
        wait_until(lambda: cluster.info(node), 30, f"an answer of node {node}")
        assert cluster.info(node)["restarts"] == 0, cluster.log(node)[-2000:]
    with cluster.connect(cluster.wait_leader(timeout_s=30), timeout_s=30) as client:
        assert client.call("GET", "a") == b"again"
    cluster.stop()


def set_until_answered(cluster, value):
    def done():
        try:
            with cluster.connect(cluster.wait_leader(timeout_s=60), timeout_s=30) as client:
                return client.command("SET", "a", value) == "OK"
        except OSError:
            return False

    wait_until(done, 60, "an answer")


FAR = (1 << 62) - 1  # the highest slot and round that a message can name
PREPARE, PROMISE, ACCEPT, ACCEPTED, NACK, HEARTBEAT, ALIVE, ASK, LOST, CHOSEN, LEARN_REQUEST, LEARN, RESULT_REQUEST, _, PROGRESS, _ = range(16)
LEADING, RESIGNED, YES, LAST = 2, 4, 8, 1


def far_beyond(origin, leader):
    """Well-formed messages that name rounds and slots which no cluster comes to."""
    own, others = (FAR, origin.sender, origin.incarnation), (FAR, leader, 1)
    for ballot in (own, others, (1 << 61, origin.sender, 1)):
        yield frames.message(PREPARE, ballot=ballot, start=1)
        yield frames.message(PREPARE, ballot=ballot, start=FAR)
        yield frames.message(ACCEPT, ballot=ballot, start=FAR, floor=FAR, chosen=FAR)
        yield frames.message(ACCEPT, ballot=ballot, floor=FAR, entries=[(FAR, ballot, 1, b"x")])
        yield frames.message(HEARTBEAT, LEADING, ballot=ballot, start=FAR, floor=FAR, chosen=FAR)
        yield frames.message(HEARTBEAT, ballot=ballot)
        yield frames.message(CHOSEN, ballot=ballot, start=FAR, floor=FAR, chosen=FAR)
        yield frames.message(NACK, ballot=ballot, start=FAR)
        yield frames.message(ALIVE, ballot=ballot)
        yield frames.message(ACCEPTED, ballot=ballot, start=1, end=FAR)
        yield frames.message(PROMISE, LAST, ballot=ballot, start=FAR, end=FAR, floor=FAR)
    yield frames.message(HEARTBEAT, RESIGNED)
    yield frames.message(PROGRESS, end=FAR, floor=FAR, start=FAR // 64 * 64, batch=(0, 0, 1))
    yield frames.message(LEARN_REQUEST, start=1, end=FAR)
    yield frames.message(LEARN_REQUEST, start=FAR - 1, end=FAR)
    yield frames.message(ASK, start=FAR)
    yield frames.message(LOST, YES, start=FAR)
    for step in range(1, 20):  # each of them within reach of the one before
        yield frames.message(PREPARE, ballot=(step << 32, origin.sender, 1), start=FAR)


FAR_BEYOND = [("coordinator", True), ("coordinator", False), ("standalone", True)]


@pytest.mark.parametrize("deployment, native", FAR_BEYOND)
def test_peer_names_what_is_far_beyond(make_cluster, deployment, native):
    """In place of nodes that are gone, one of each role: messages that name rounds and slots beyond all bounds. What they do does not last:
    the cluster elects and serves after them, and again when all nodes were started anew."""
    cluster = make_cluster(deployment, native=native)
    leader = cluster.up()
    by_role = {node.role: node.id for node in cluster.nodes.values() if node.id != leader}
    victims = sorted(by_role.values())
    others = [node for node in cluster.nodes if node not in victims]
    with Load(cluster.client_ports(), clients=2) as load:
        load.wait_answers(20)
        cluster.kill(*victims)
        for victim in victims:
            origin = frames.Origin.of_folder("test", cluster.node_folder(victim))
            for node in others:
                with frames.connect(cluster.nodes[node].port) as peer:
                    peer.sendall(frames.greeting(origin))
                    for body in far_beyond(origin, leader):
                        peer.sendall(frames.frame(origin, body))
                    peer.shutdown(socket.SHUT_WR)
                    frames.wait_closed(peer)
        cluster.check_alive(*others)
        assert not any(NO_MESSAGE in cluster.log(node) for node in others)
        load.wait_answers(50)
        cluster.start()
        load.wait_answers(50)
        cluster.kill_all()
        cluster.start()
        load.wait_answers(50)
        cluster.kill(cluster.wait_leader(settled=True))  # another one has to be elected
        load.wait_answers(50)
        cluster.start()
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()


# ---- the configuration ----

NODES = """cluster: test
nodes:
  - {id: 1, role: coordinator, address: "127.0.0.1:7001", client: "127.0.0.1:6001"}
  - {id: 2, role: coordinator, address: "127.0.0.1:7002", client: "127.0.0.1:6002"}
  - {id: 3, role: coordinator, address: "127.0.0.1:7003", client: "127.0.0.1:6003"}
"""
SETTINGS = NODES + "settings:\n  "
FAULTS = {
    "unknown key": (NODES + "sesstings: {}\n", 6, "sesstings", "unknown key"),
    "unknown setting": (SETTINGS + "alhpa: 3\n", 7, "settings.alhpa", "unknown key"),
    "bad value": (SETTINGS + "alpha: many\n", 7, "settings.alpha", "not a whole number"),
    "out of range": (SETTINGS + "alpha: 0\n", 7, "settings.alpha", "out of range"),
    "duplicate id": (NODES.replace("id: 3", "id: 1"), 5, "nodes[2].id", "already the id of nodes[0]"),
    "duplicate address": (NODES.replace("7003", "7001"), 5, "nodes[2].address", "already the node address of node 1"),
    "duplicate key": (NODES + "log_level: info\nlog_level: info\n", 7, "log_level", "given twice"),
    "no address": (NODES.replace('address: "127.0.0.1:7002", ', ""), 4, "nodes[1].address", "missing"),
    "no quorum": (NODES.replace("role: coordinator", "role: learner"), 2, "nodes", "no node is a"),
    "quorums that miss each other": (SETTINGS + "phase2_quorum: 1\n", 7, "settings.phase2_quorum", "quorums could miss each other"),
    "quorum of more than there are": (SETTINGS + "phase1_quorum: 4\n", 7, "settings.phase1_quorum", "more than the acceptors"),
    "unknown role": (NODES.replace("role: coordinator", "role: boss", 1), 3, "nodes[0].role", "not one of"),
    "node in two groups": (NODES + "groups: [[1, 2], [2, 3]]\n", 6, "groups[1]", "already in groups[0]"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_configuration(tmp_path, what):
    text, line, key, said = FAULTS[what]
    file = tmp_path / "cluster.yaml"
    file.write_text(text)
    for verb in (["start", "--node", "1"], ["init", "--all"], ["status"], ["config"]):
        done = run(verb[0], "--config", file, *verb[1:])
        assert done.returncode == BAD_INPUT and done.stdout == ""
        assert done.stderr.count("\n") == 1 and done.stderr.startswith(f"{file}:{line}: key '{key}': ") and said in done.stderr
    assert list(tmp_path.iterdir()) == [file]


def test_configuration_that_is_none(tmp_path):
    file = tmp_path / "cluster.yaml"
    for text, said in ((b"", "empty"), (b"nodes: [\n", "not YAML"), (b"\x00\xff", "not YAML"), (b"- 1\n", "must be a map")):
        file.write_bytes(text)
        done = run("start", "--config", file, "--node", 1)
        assert done.returncode == BAD_INPUT and done.stderr.count("\n") == 1 and str(file) in done.stderr and said in done.stderr


@pytest.mark.parametrize("which", ["address", "client"])
def test_port_in_use(make_cluster, which):
    """One clear line; when the port is free, the node starts, and nothing is lost. The others go on."""
    cluster = make_cluster("coordinator")
    leader = cluster.up()
    victim = next(node for node in cluster.nodes if node != leader)
    port = cluster.nodes[victim].port if which == "address" else cluster.nodes[victim].client_port
    with Load(cluster.client_ports(), clients=3) as load:
        load.wait_answers(50)
        cluster.kill(victim)
        with socket.socket() as squatter:
            squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            squatter.bind(("127.0.0.1", port))
            squatter.listen()
            (message,) = start_fails(cluster, victim)
            assert str(port) in message and "in use" in message and f"'nodes[{victim - 1}].{which}'" in message
            assert message.startswith(f"{cluster.config_file}:{victim + 4}: key "), message
        load.wait_answers(50)
        cluster.start(victim)
        wait_until(lambda: cluster.info(victim), 10, f"an answer of node {victim}")
        cluster.wait_caught_up(victim)
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()


def start_fails(cluster, node, **more):
    """Starts a node that must end with BAD_INPUT. Returns what its log says of errors."""
    server = cluster.server_of(node)
    said_before = len(server.log())
    cluster.start(node, **more)
    assert server.wait() == BAD_INPUT, server.log_tail()
    return [line["message"] for line in map(json.loads, server.log()[said_before:].splitlines()) if line["level"] == "error"]


# ---- components ----

NODE_FILE = "coordinator-node.wasm"
WASM_TOOLS = ROOT / "build/tools/venv/bin/wasm-tools"
ASKS_FOR_THE_WEB = """(component
  (import "wasi:http/types@0.2.0" (instance (export "http-error-code" (func (result u32))))))"""
ASKS_FOR_MORE_OF_OURS = """(component
  (import "synod:paxos/host-control@0.1.0" (instance (export "reboot" (func)))))"""
ASKS_FOR_THE_TIME = """(component
  (import "wasi:clocks/monotonic-clock@0.2.12" (instance (export "now" (func (result u64))))))"""
EXPORTS_NOTHING = "(component)"
NOT_GIVEN = "which this host does not give"


def from_text(text):
    def make(_):
        with tempfile.NamedTemporaryFile(suffix=".wasm") as out:
            subprocess.run([WASM_TOOLS, "parse", "-", "-o", out.name], input=text, text=True, check=True)
            return out.read()

    return make


def with_part(name):
    """A node in which there is one component more, defined and not used. (In a file: section 4, and the component.)"""

    def make(sound):
        part = (BUILD / "tests" / "parts" / name).read_bytes()
        return sound + bytes([4]) + leb128(len(part)) + part

    return make


def leb128(number):
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + leb128(number >> 7)


BROKEN = {
    "empty": (lambda sound: b"", "not a WebAssembly file"),
    "text": (lambda sound: b"I am a component, believe me.\n", "not a WebAssembly file"),
    "a core module": (from_text("(module)"), "a core module, not a component"),
    "cut in half": (lambda sound: sound[: len(sound) // 2], NODE_FILE),
    "overwritten": (lambda sound: sound[:1000] + bytes(500) + sound[1500:], NODE_FILE),
    "imports more of WASI": (from_text(ASKS_FOR_THE_WEB), f"it imports wasi:http/types@0.2.0#http-error-code, {NOT_GIVEN}"),
    "imports WASI, which a node has no use for whose I/O is the host's": (
        from_text(ASKS_FOR_THE_TIME), f"it imports wasi:clocks/monotonic-clock@0.2.12#now, {NOT_GIVEN}"),
    "has a state machine with a clock": (
        with_part("clock-machine.wasm"), "its state machine imports wasi:clocks/wall-clock@0.2.12"),
    "imports a function that there is not": (
        from_text(ASKS_FOR_MORE_OF_OURS), f"it imports synod:paxos/host-control@0.1.0#reboot, {NOT_GIVEN}"),
    "exports no runner": (from_text(EXPORTS_NOTHING), "synod:paxos/runner"),
    "another part": (lambda sound: (BUILD / "components" / "proposer-agent.wasm").read_bytes(), NOT_GIVEN),
}


@pytest.fixture(scope="module")
def two_of_three():
    """A cluster under load with one node down, of which no component was any good so far."""
    cluster = Cluster("coordinator")
    try:
        leader = cluster.up()
        victim = next(node for node in cluster.nodes if node != leader)
        with Load(cluster.client_ports(), clients=3, pace_s=0.01) as load:
            load.wait_answers(50)
            cluster.kill(victim)
            yield cluster, load, victim
            cluster.start(victim)
            wait_until(lambda: cluster.info(victim), 10, f"an answer of node {victim}")
            cluster.wait_caught_up(victim)
        load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
        cluster.wait_settled()
        load.judge()
        cluster.stop()
    finally:
        cluster.close()


@pytest.mark.parametrize("what", BROKEN)
def test_component(two_of_three, tmp_path, what):
    cluster, load, victim = two_of_three
    make, said = BROKEN[what]
    nodes = tmp_path / "nodes"
    shutil.copytree(BUILD / "nodes", nodes, ignore=shutil.ignore_patterns("CMakeFiles"))
    (nodes / NODE_FILE).write_bytes(make((nodes / NODE_FILE).read_bytes()))
    (message,) = start_fails(cluster, victim, environment={"SYNOD_NODES": str(nodes)})
    assert said in message and "\n" not in message
    assert str(nodes / NODE_FILE) in message, f"which file is not said: {message}"
    load.wait_answers(20)
    done = run("components", nodes / NODE_FILE, env=os.environ | {"SYNOD_NODES": str(nodes)})
    assert done.returncode in (OK, BAD_INPUT)


def test_component_missing(two_of_three, tmp_path):
    cluster, load, victim = two_of_three
    (message,) = start_fails(cluster, victim, environment={"SYNOD_NODES": str(tmp_path)})
    assert f"there is no {tmp_path}/{NODE_FILE}" in message and "compose" in message
    load.wait_answers(20)


def test_component_replaced_under_a_running_node(make_cluster, tmp_path):
    """What runs goes on; only a start reads the file. The cache of compiled code does not stand in for a file that was changed."""
    nodes = tmp_path / "nodes"
    shutil.copytree(BUILD / "nodes", nodes, ignore=shutil.ignore_patterns("CMakeFiles"))
    cluster = make_cluster("coordinator", environment={"SYNOD_NODES": str(nodes)})
    leader = cluster.up()
    victim = next(node for node in cluster.nodes if node != leader)
    sound = (nodes / NODE_FILE).read_bytes()
    (nodes / NODE_FILE).write_bytes(b"broken")
    with cluster.connect(leader) as client:
        assert client.call("SET", "a", "b") == "OK"
    cluster.kill(victim)
    (message,) = start_fails(cluster, victim)
    assert "not a WebAssembly file" in message
    (nodes / NODE_FILE).write_bytes(sound)
    cluster.start(victim)
    wait_until(lambda: cluster.info(victim), 10, f"an answer of node {victim}")
    cluster.wait_settled()
    with cluster.connect(cluster.wait_leader()) as client:
        assert client.call("GET", "a") == b"b"
