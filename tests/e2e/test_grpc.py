"""Nodes over gRPC, and clients made by another implementation of it: whoever may ask gets an answer, whoever may not gets the
status that says why, and the cluster goes on serving."""

import importlib
import itertools
import random
import struct
import sys

import grpc
import pytest
from grpc_tools import protoc

import frames
from cluster import ROOT, Cluster, wait_until
from history import Load

TIMEOUT_S = 10
OK, INVALID, DENIED, COPY, EXHAUSTED, ABORTED, UNIMPLEMENTED = (
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.UNIMPLEMENTED,
)


class Served:
    """A cluster over gRPC under load, and what host/synod.proto makes of itself in Python."""

    def __init__(self, stubs):
        arguments = ["protoc", f"-I{ROOT / 'host'}", f"--python_out={stubs}", f"--grpc_python_out={stubs}", "synod.proto"]
        assert protoc.main(arguments) == 0
        sys.path.insert(0, str(stubs))
        self.messages = importlib.import_module("synod_pb2")
        self.services = importlib.import_module("synod_pb2_grpc")
        self.cluster = Cluster("coordinator", choices={"network": "grpc"})
        self.leader = self.cluster.up()
        self.load = Load(self.cluster.client_ports(), clients=3, pace_s=0.01)
        self.load.__enter__()

    def close(self):
        try:
            self.load.stop()
            self.load.read_back(self.cluster.nodes[self.leader].client_port)
            self.cluster.wait_settled()
            self.load.judge()
            self.cluster.stop()
        finally:
            self.cluster.close()

    # ---- a client's means ----

    def channel(self, node, **more):
        return grpc.insecure_channel(f"127.0.0.1:{self.cluster.nodes[node].port}", **more)

    def stub(self, channel):
        return self.services.NodeStub(channel)

    def origin(self, node):
        return frames.Origin.of_folder("test", self.cluster.node_folder(node))

    def frame(self, origin, body=b"", checksum=None):
        """A Frame; a sound one unless a checksum is given."""
        cluster = frames.xxh64(origin.cluster.encode())
        if checksum is None:
            who = struct.pack("<Q", cluster) + origin.instance + struct.pack("<IIII", origin.sender, origin.incarnation, origin.nonce, 0)
            checksum = frames.xxh64(body, frames.xxh64(who))
        return self.messages.Frame(
            cluster=cluster, instance=origin.instance, sender=origin.sender, incarnation=origin.incarnation, nonce=origin.nonce,
            checksum=checksum, body=body)  # fmt: skip

    def greeting(self, origin):
        return self.frame(origin, origin.governed)

    def status(self, node):
        with self.channel(node) as channel:
            return self.stub(channel).Status(self.messages.StatusRequest(), timeout=TIMEOUT_S)

    def refused(self, call):
        """The status that the call ends with, and its text."""
        with pytest.raises(grpc.RpcError) as refusal:
            call()
        return refusal.value.code(), refusal.value.details()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("stubs"))
    yield served
    served.close()


@pytest.fixture
def served(shared):
    """After each test all nodes must live in the same life as before, and the load be answered."""
    before = {node: shared.status(node).incarnation for node in shared.cluster.nodes}
    yield shared
    shared.cluster.check_alive()
    shared.load.wait_answers(20)
    assert {node: shared.status(node).incarnation for node in shared.cluster.nodes} == before


def test_status(served):
    for node in served.cluster.nodes:
        status, origin = served.status(node), served.origin(node)
        assert (status.node, status.cluster) == (node, "test")
        assert origin.instance not in status.SerializeToString()
        assert status.incarnation == origin.incarnation
        wait_until(lambda: served.status(node).frames_in > status.frames_in, TIMEOUT_S, "frames come in")
        wait_until(lambda: served.status(node).bytes_out > status.bytes_out, TIMEOUT_S, "bytes go out")


def test_many_calls(served):
    """More at once than a connection may carry (the server's SETTINGS): the client makes them wait, and all are answered."""
    with served.channel(served.leader) as channel:
        calls = [served.stub(channel).Status.future(served.messages.StatusRequest(), timeout=TIMEOUT_S) for _ in range(200)]
        assert {call.result().node for call in calls} == {served.leader}


def test_unknown_methods(served):
    with served.channel(served.leader) as channel:
        for path in "/synod.v1.Node/Vote", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/x/%C3%BC":
            code, text = served.refused(lambda: channel.unary_unary(path)(b"", timeout=TIMEOUT_S))
            assert code == UNIMPLEMENTED and text == f"there is no method {path[:63]}"


def test_compressed(served):
    with served.channel(served.leader, compression=grpc.Compression.Gzip) as channel:
        stranger = served.frame(frames.Origin("test", 1), bytes(1000))
        code, text = served.refused(lambda: served.stub(channel).Deliver(iter([stranger]), timeout=TIMEOUT_S))
        assert code == UNIMPLEMENTED and "compressed" in text


def test_garbage(served):
    """Bytes that are no messages, as messages."""
    dice = random.Random(7)
    with served.channel(served.leader) as channel:
        deliver, status = channel.stream_unary("/synod.v1.Node/Deliver"), channel.unary_unary("/synod.v1.Node/Status")
        for _ in range(100):
            garbage = dice.randbytes(dice.randrange(1, 4000))
            code, _ = served.refused(lambda: deliver(iter([garbage, garbage]), timeout=TIMEOUT_S))
            assert code == INVALID
        assert served.refused(lambda: status(b"\xff", timeout=TIMEOUT_S))[0] == INVALID
    assert served.status(served.leader).bad_frames >= 100


def strangers(served):
    """{what: (Frame, the status it gets, a part of its text)}"""
    other = next(node for node in served.cluster.nodes if node != served.leader)
    node = served.origin(other)

    return {
        "nobody": (served.messages.Frame(), INVALID, "instance"),
        "of another cluster": (served.greeting(node.but(cluster="elsewhere")), DENIED, "another cluster"),
        "of no node": (served.greeting(node.but(sender=0)), INVALID, "no possible node id"),
        "of an unknown node": (served.greeting(node.but(sender=42)), DENIED, "node 42 is not a member of the cluster"),
        "of the node itself": (served.greeting(node.but(sender=served.leader)), DENIED, "which is this one"),
        "of another disk": (served.greeting(node.but(instance=bytes(16))), DENIED, "another data folder"),
        "of an earlier life": (served.greeting(node.but(incarnation=node.incarnation - 1)), COPY, "an earlier life"),
        "of another life": (served.greeting(node.but(nonce=node.nonce ^ 1)), COPY, "another life of this incarnation"),
        "damaged": (served.frame(node, b"body", checksum=1), INVALID, "wrong checksum"),
        "too long for a stranger": (served.frame(node.but(sender=42), bytes(10000)), EXHAUSTED, "4096 are allowed"),
    }


def test_strangers(served):
    with served.channel(served.leader) as channel:
        for what, (frame, code, text) in strangers(served).items():
            refusal = served.refused(lambda: served.stub(channel).Deliver(iter([frame]), timeout=TIMEOUT_S))
            assert refusal[0] == code and text in refusal[1], what
            # And when the client would have gone on for ever.
            refusal = served.refused(lambda: served.stub(channel).Deliver(itertools.repeat(frame), timeout=TIMEOUT_S))
            assert refusal[0] == code and text in refusal[1], what
    assert "another cluster" in served.cluster.log(served.leader)


def test_stands_in_for_a_node(served):
    """Whoever has the identity of a node speaks for it: its bodies are taken, the node's own stream ends for it, and comes back."""
    other = next(node for node in served.cluster.nodes if node != served.leader)
    origin, body = served.origin(other), b"no message of any kind".ljust(100000)
    with served.channel(served.leader) as channel:

        def deliver():
            try:
                return served.stub(channel).Deliver(iter([served.greeting(origin)] + 100 * [served.frame(origin, body)]), timeout=TIMEOUT_S)
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.ABORTED  # the node was back before all was delivered
                return None

        delivered = wait_until(deliver, TIMEOUT_S, "all delivered before the node is back")
        assert (delivered.frames, delivered.bytes) == (101, len(origin.governed) + 100 * len(body))
        before = served.status(served.leader).frames_in
        wait_until(lambda: served.status(served.leader).frames_in > before, TIMEOUT_S, "the node speaks again")


def test_failover(shared):
    """With the leader's process killed the others go on, and it comes back; streams are made anew."""
    cluster, old = shared.cluster, shared.leader
    cluster.kill(old)
    shared.leader = wait_until(lambda: cluster.leader(but=[old]), 20, "another leader")
    cluster.start(old)
    cluster.wait_caught_up(old)
    assert any(shared.status(node).reconnects for node in cluster.nodes if node != old)
