"""Transactions: nobody sees a half of one, and one under a condition is executed only if what it watches has not changed; while leaders
are killed with -9, at nodes that lead and nodes that follow."""

import os
import random
import threading
import time

import pytest
import redis

from cluster import wait_until
from resp import Connection, ReplyError

KILLS = int(os.environ.get("SYNOD_KILLS", 3))
ACCOUNTS, START, CLIENTS = 4, 1000, 4


def client_of(cluster, number, **more):
    ports = cluster.client_ports()
    return redis.Redis(port=ports[number % len(ports)], socket_timeout=5, retry=None, **more)


class Teller(threading.Thread):
    """Moves money between accounts, each time as a transaction of one of two kinds; and reads all accounts."""

    def __init__(self, cluster, number):
        super().__init__()
        self.cluster, self.number, self.dice = cluster, number, random.Random(number)
        self.stop = threading.Event()
        self.moved = self.conflicts = self.failed = self.seen = 0
        self.wrong = []

    def run(self):
        while not self.stop.is_set():
            try:
                client = client_of(self.cluster, self.number, protocol=self.dice.choice([2, 3]))
                while not self.stop.is_set():
                    self.move(client)
                    self.look(client)
            except redis.RedisError:
                self.failed += 1
                self.number += 1
                time.sleep(0.02)

    def move(self, client):
        source, target = self.dice.sample(range(ACCOUNTS), 2)
        amount = self.dice.randrange(1, 50)
        with client.pipeline(transaction=True) as pipe:
            if self.dice.random() < 0.5:
                pipe.decrby(f"account{source}", amount).incrby(f"account{target}", amount)
            else:
                pipe.watch(f"account{source}", f"account{target}")
                left, there = int(pipe.get(f"account{source}")), int(pipe.get(f"account{target}"))
                pipe.multi()
                pipe.set(f"account{source}", left - amount).set(f"account{target}", there + amount)
            try:
                pipe.execute()
                self.moved += 1
            except redis.WatchError:
                self.conflicts += 1

    def look(self, client):
        values = client.mget([f"account{i}" for i in range(ACCOUNTS)])
        self.seen += 1
        if sum(map(int, values)) != ACCOUNTS * START:
            self.wrong.append(values)
            self.stop.set()


@pytest.mark.parametrize("kind", ["coordinator", "standalone", "native"])
def test_money_is_neither_made_nor_lost(make_cluster, kind):
    cluster = make_cluster("coordinator" if kind == "native" else kind, native=kind == "native")
    cluster.up()
    client_of(cluster, 0).mset({f"account{i}": START for i in range(ACCOUNTS)})
    tellers = [Teller(cluster, number) for number in range(CLIENTS)]
    for teller in tellers:
        teller.start()
    try:
        for _ in range(KILLS):
            before = sum(t.moved for t in tellers)
            wait_until(lambda: sum(t.moved for t in tellers) > before + 50, 30, "transactions that are executed")
            leader = cluster.wait_leader()
            cluster.kill(leader)
            cluster.wait_leader(timeout_s=15)
            cluster.start(leader)
        before = sum(t.moved for t in tellers)
        wait_until(lambda: sum(t.moved for t in tellers) > before + 50, 30, "transactions that are executed")
    finally:
        for teller in tellers:
            teller.stop.set()
        for teller in tellers:
            teller.join()
    assert not any(t.wrong for t in tellers), [t.wrong for t in tellers]
    assert all(t.seen for t in tellers) and sum(t.conflicts for t in tellers) > 0
    print(f"{sum(t.moved for t in tellers)} moved, {sum(t.conflicts for t in tellers)} conflicts, {sum(t.failed for t in tellers)} failed")
    cluster.wait_settled(30)
    cluster.stop()


def test_in_a_session_it_is_executed_once(make_cluster):
    """Sent again at another node and after a restart, it has the first reply."""
    cluster = make_cluster("coordinator")
    cluster.up()
    ports = cluster.client_ports()

    def transaction(port, session, number):
        with Connection(port) as connection:
            assert connection.command("MULTI") == "OK"
            assert connection.command("INCR", "a") == "QUEUED" and connection.command("MGET", "a", "b") == "QUEUED"
            return connection.command("SESSION", session, number, "EXEC")

    with Connection(ports[0]) as one:
        session = one.command("SESSION", "OPEN")
    first = transaction(ports[0], session, 1)
    assert first == [1, [b"1", None]]
    assert transaction(ports[1], session, 1) == first and transaction(ports[2], session, 2) == [2, [b"2", None]]
    leader = cluster.wait_leader()
    cluster.kill(leader)
    cluster.wait_leader(timeout_s=15)
    cluster.start(leader)
    wait_until(lambda: cluster.wait_settled(30) or True, 30, "all nodes")
    for port in ports:
        assert transaction(port, session, 1) == first
    cluster.stop()


def test_it_is_over_with_its_connection(make_cluster):
    cluster = make_cluster("coordinator", native=True)
    cluster.up()
    port = cluster.nodes[cluster.wait_leader()].client_port
    with Connection(port) as connection:
        assert connection.command("MULTI") == "OK" and connection.command("SET", "a", 1) == "QUEUED"
    with Connection(port) as connection:
        assert connection.command("GET", "a") is None
        assert isinstance(connection.command("EXEC"), ReplyError)
    cluster.stop()
