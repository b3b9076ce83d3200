"""Messages: each subscriber at each node gets all of them once, in one order for all nodes; or its connection ends, and it knows. And
clients that cache hear what has changed. While leaders are killed with -9."""

import os
import threading
import time

import pytest
import redis
from redis.cache import CacheConfig, CacheFactory

from cluster import wait_until
from resp import Connection, ReplyError

KILLS = int(os.environ.get("SYNOD_KILLS", 3))
COUNTERS = 5


class Subscriber(threading.Thread):
    """Hears messages at one node. When its connection ends it subscribes again, and begins another list."""

    def __init__(self, port, protocol):
        super().__init__()
        self.port, self.protocol = port, protocol
        self.stop = threading.Event()
        self.heard = []  # lists of messages, of one connection each

    def run(self):
        while not self.stop.is_set():
            try:
                client = redis.Redis(port=self.port, socket_timeout=5, retry=None, protocol=self.protocol)
                listener = client.pubsub(ignore_subscribe_messages=True)
                listener.subscribe("news")
                listener.psubscribe("ne?s")
                self.listen(listener, [])
            except (redis.RedisError, OSError):
                time.sleep(0.05)

    def listen(self, listener, twice):
        self.heard.append(twice)
        while not self.stop.is_set():
            message = listener.get_message(timeout=0.1)
            if message is not None:
                assert message["channel"] == b"news"
                twice.append((message["type"], message["data"]))

    def lists(self):
        """What each connection has heard, without what it has heard by its pattern, which is the same."""
        once = [[data for kind, data in heard if kind == "message"] for heard in self.heard]
        for heard, direct in zip(self.heard, once):
            by_pattern = [data for kind, data in heard if kind == "pmessage"]
            missed = direct.index(by_pattern[0]) if by_pattern else len(direct)  # it subscribed by its pattern a little later
            assert by_pattern == direct[missed : missed + len(by_pattern)] and missed + len(by_pattern) >= len(direct) - 1
        return [heard for heard in once if heard]


class Publisher(threading.Thread):
    def __init__(self, ports, number):
        super().__init__()
        self.ports, self.number = ports, number
        self.stop = threading.Event()
        self.published = []

    def run(self):
        count = at = 0
        while not self.stop.is_set():
            try:
                client = redis.Redis(port=self.ports[at % len(self.ports)], socket_timeout=5, retry=None)
                while not self.stop.is_set():
                    count += 1
                    client.publish("news", f"{self.number}:{count}")
                    self.published.append(f"{self.number}:{count}".encode())
            except redis.RedisError:
                at += 1
                time.sleep(0.02)


def expect_one_order(lists):
    """Where two lists overlap, they are the same; and none has a message twice."""
    for heard in lists:
        assert len(set(heard)) == len(heard)
    overlaps = 0
    for i, one in enumerate(lists):
        for other in lists[:i]:
            common = set(one) & set(other)
            if common:
                a, b = ([i for i, message in enumerate(heard) if message in common] for heard in (one, other))
                assert one[a[0] : a[-1] + 1] == other[b[0] : b[-1] + 1]
                overlaps += 1
    return overlaps


@pytest.mark.parametrize("kind", ["native", "coordinator", "guest-tcp"])
def test_all_hear_the_same(make_cluster, kind):
    choices = {"network": "guest-tcp"} if kind == "guest-tcp" else None
    cluster = make_cluster("coordinator", choices=choices, native=kind == "native")
    cluster.up()
    ports = cluster.client_ports()
    subscribers = [Subscriber(port, 2 + i % 2) for i, port in enumerate(ports)]
    publishers = [Publisher(ports[i:] + ports[:i], i) for i in range(len(ports))]
    for subscriber in subscribers:
        subscriber.start()
    wait_until(lambda: all(s.heard for s in subscribers), 10, "subscriptions")
    for publisher in publishers:
        publisher.start()

    def published():
        return sum(len(p.published) for p in publishers)

    try:
        for _ in range(KILLS):
            before = published()
            wait_until(lambda: published() > before + 200, 30, "messages")
            leader = cluster.wait_leader()
            cluster.kill(leader)
            cluster.wait_leader(timeout_s=15)
            cluster.start(leader)
        before = published()
        wait_until(lambda: published() > before + 200, 30, "messages")
        wait_until(lambda: all(s.heard[-1] for s in subscribers), 30, "messages for all")
        for publisher in publishers:
            publisher.stop.set()
        for publisher in publishers:
            publisher.join()
        end = ("pmessage", b"the end")
        redis.Redis(port=ports[0]).publish("news", "the end")
        wait_until(lambda: all(s.heard[-1] and s.heard[-1][-1] == end for s in subscribers), 10, "the last message")
    finally:
        for thread in publishers + subscribers:
            thread.stop.set()
        for thread in publishers + subscribers:
            thread.join()
    lists = [heard for s in subscribers for heard in s.lists()]
    overlaps = expect_one_order(lists)
    assert overlaps >= len(ports) - 1
    print(f"{published()} published, {sum(map(len, lists))} heard on {len(lists)} connections, {overlaps} overlaps")
    cluster.wait_settled(30)
    cluster.stop()


@pytest.mark.parametrize("kind", ["standalone", "shared"])
def test_where_learners_are_apart(make_cluster, kind):
    """Those that propose hear nothing, and name those that do."""
    cluster = make_cluster(kind)
    cluster.up()
    leader = cluster.nodes[cluster.wait_leader()]
    learner = next(n for n in cluster.nodes.values() if n.executes)
    with Connection(leader.client_port) as publisher, Connection(learner.client_port) as subscriber:
        refused = publisher.command("SUBSCRIBE", "news")
        assert isinstance(refused, ReplyError) and f":{learner.client_port}" in refused.text
        assert subscriber.command("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        assert publisher.command("PUBLISH", "news", "hello") == 0
        assert subscriber.receive() == [b"message", b"news", b"hello"]
    cluster.stop()


def test_one_that_is_slow_is_closed(make_cluster):
    cluster = make_cluster("coordinator", settings={"client_bytes_max": 1 << 20}, native=True)
    cluster.up()
    leader = cluster.nodes[cluster.wait_leader()]
    with Connection(leader.client_port) as slow, Connection(leader.client_port) as quick, Connection(leader.client_port) as publisher:
        for connection in slow, quick:
            assert connection.command("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]

        def publish():
            count = publisher.command("PUBLISH", "news", "x" * 100000)
            assert quick.receive()[2] == b"x" * 100000
            return count == 1

        wait_until(publish, 30, "the slow one to be closed")
    assert "slow to take the messages" in cluster.log(leader.id)
    cluster.stop()


class CachingReader(threading.Thread):
    """Reads counters at one node, most of the time from its cache: they never go back."""

    def __init__(self, port):
        super().__init__()
        self.port, self.stop = port, threading.Event()
        self.seen, self.wrong, self.reads, self.hits = {}, [], 0, 0

    def run(self):
        while not self.stop.is_set():
            try:
                cache = CacheFactory(CacheConfig()).get_cache()
                client = redis.Redis(port=self.port, protocol=3, cache=cache, socket_timeout=5, retry=None, single_connection_client=True)
                while not self.stop.is_set():
                    self.read(client, cache)
            except (redis.RedisError, OSError):
                time.sleep(0.05)

    def read(self, client, cache):
        for i in range(COUNTERS):
            self.hits += any(key.redis_keys == (f"counter{i}",) for key in cache.collection)
            value = int(client.get(f"counter{i}") or 0)
            self.reads += 1
            if value < self.seen.get(i, 0):
                self.wrong.append((i, self.seen[i], value))
            self.seen[i] = value


@pytest.mark.parametrize("kind", ["native", "coordinator", "guest-tcp"])
def test_caches_are_current(make_cluster, kind):
    """Values that clients keep follow what is written, at every node, while leaders are killed."""
    choices = {"network": "guest-tcp"} if kind == "guest-tcp" else None
    cluster = make_cluster("coordinator", choices=choices, native=kind == "native")
    cluster.up()
    ports = cluster.client_ports()
    readers = [CachingReader(port) for port in ports]
    written = [0] * COUNTERS
    for reader in readers:
        reader.start()
    try:
        for kill in range(KILLS + 1):
            end = time.monotonic() + 2
            at = kill
            while time.monotonic() < end:
                try:
                    client = redis.Redis(port=ports[at % len(ports)], socket_timeout=5, retry=None)
                    while time.monotonic() < end:
                        i = at % COUNTERS
                        written[i] = client.incr(f"counter{i}")
                        at += 1
                        time.sleep(0.001)
                except redis.RedisError:
                    at += 1
                    time.sleep(0.02)
            now = redis.Redis(port=cluster.nodes[cluster.wait_leader()].client_port)
            are = {i: int(now.get(f"counter{i}")) for i in range(COUNTERS)}
            wait_until(lambda: all(r.seen == are for r in readers), 3, lambda: f"{are}: {[r.seen for r in readers]}")
            if kill < KILLS:
                leader = cluster.wait_leader()
                cluster.kill(leader)
                cluster.wait_leader(timeout_s=15)
                cluster.start(leader)
                wait_until(lambda: cluster.wait_settled(30) or True, 30, "all nodes")
    finally:
        for reader in readers:
            reader.stop.set()
        for reader in readers:
            reader.join()
    assert not any(r.wrong for r in readers), [r.wrong for r in readers]
    assert all(r.hits > r.reads / 10 for r in readers), [(r.hits, r.reads) for r in readers]
    print(f"{sum(written)} written, {sum(r.reads for r in readers)} reads, {sum(r.hits for r in readers)} of them from caches")
    cluster.stop()
