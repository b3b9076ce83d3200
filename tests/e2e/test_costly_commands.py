"""Commands that cost much: a pattern times a long key, zeros without end, values of ever other sizes, replies that do not
fit. They are in the log, so every node executes them, and again after a restart: none may break on them, and the cluster
goes on serving."""

import resp

LARGE = 1_000_000
# On a machine that does much else, all may be late.
PATIENT = {"suspect_timeout_ms": 3000, "dead_timeout_ms": 6000, "request_timeout_ms": 60000}


def send_all(cluster, leader, commands, timeout_s=120):
    """The replies to a pipeline."""
    with cluster.connect(leader, timeout_s=timeout_s) as client:
        client.send(b"".join(resp.encode(*command) for command in commands))
        return [client.receive() for _ in commands]


def codes(replies):
    return {reply.code for reply in replies if isinstance(reply, resp.ReplyError)}


def check_unharmed(cluster):
    """No node has broken, and all come to the same state; then they all start again and execute the log once more."""
    cluster.check_alive()
    cluster.wait_settled(120)
    for node in cluster.nodes:
        assert cluster.info(node)["restarts"] == 0, cluster.log(node)[-2000:]
    cluster.kill_all()
    cluster.start()
    leader = cluster.wait_leader(timeout_s=120, settled=True)
    with cluster.connect(leader, timeout_s=60) as client:
        assert client.call("SET", "after", "1") == "OK"
    cluster.wait_settled(120)
    for node in cluster.nodes:
        assert cluster.info(node)["restarts"] == 0, cluster.log(node)[-2000:]


def test_patterns_and_zeros(make_cluster):
    cluster = make_cluster(settings=PATIENT)
    leader = cluster.up()
    key, pattern = "a" * 100_000, "*" + "a" * 50_000 + "b"
    assert send_all(cluster, leader, [("SET", key, "x")]) == ["OK"]
    replies = send_all(cluster, leader, [("SCAN", "0", "MATCH", pattern), ("KEYS", pattern)] * 20)
    assert len(replies) == 40 and codes(replies) == {"TOOCOSTLY"} and all(isinstance(r, resp.ReplyError) for r in replies)
    replies = send_all(cluster, leader, [("SETRANGE", "k", 8388607, "x"), ("DEL", "k")] * 500)
    assert replies == [8388608, 1] * 500
    check_unharmed(cluster)


def test_sizes_that_change(make_cluster):
    """Values of ever other lengths, most of them deleted each time, until no more fits: an agreed error, and DEL works."""
    cluster = make_cluster(settings=PATIENT | {"memory_bytes_max": "224 MiB", "state_bytes_max": "56 MiB", "batch_bytes": "1 MiB"})
    leader = cluster.up()
    live = 0
    refused = 0
    for phase, size in enumerate([4000, 32_000, 250_000, LARGE]):
        count = (52_000_000 - live) // (size + 400)
        names = [f"p{phase}:{i}" for i in range(count)]
        for at in range(0, count, 400):
            replies = send_all(cluster, leader, [("SET", name, b"v" * size) for name in names[at : at + 400]])
            assert codes(replies) <= {"OOM"}
            refused += sum(isinstance(reply, resp.ReplyError) for reply in replies)
        gone = [name for i, name in enumerate(names) if i % 8]
        for at in range(0, len(gone), 1000):
            assert not codes(send_all(cluster, leader, [("DEL", *gone[at : at + 1000])]))
        live += (count // 8 + 1) * (size + 400)
    replies = send_all(cluster, leader, [("SET", f"more{i}", b"v" * LARGE) for i in range(60)])
    assert codes(replies) == {"OOM"}
    assert send_all(cluster, leader, [("FLUSHALL",), ("SET", "k", b"v" * LARGE), ("DBSIZE",)]) == ["OK", "OK", 1]
    check_unharmed(cluster)


def test_what_is_not_answered_is_not_executed(make_cluster):
    """Values that are taken out at once, by many clients: each is delivered, or still there."""
    cluster = make_cluster(settings=PATIENT)
    leader = cluster.up()
    names = [f"k{i}" for i in range(64)]
    for name in names:
        assert send_all(cluster, leader, [("SET", name, name.encode() * (LARGE // len(name)))]) == ["OK"]
    clients = [cluster.connect(leader, timeout_s=60) for _ in names]
    for client, name in zip(clients, names):
        client.send(resp.encode("GETDEL", name))
    replies = [client.receive() for client in clients]
    for client in clients:
        client.close()
    for name, reply in zip(names, replies):
        there = send_all(cluster, leader, [("EXISTS", name)])[0]
        if isinstance(reply, resp.ReplyError):
            assert reply.code == "BUSY" and there == 1
        else:
            assert reply == name.encode() * (LARGE // len(name)) and there == 0
    assert sum(isinstance(reply, bytes) for reply in replies) >= 16
    check_unharmed(cluster)


def test_rewritten_while_snapshots_are_taken(make_cluster):
    """A state as large as may be, of which every value is replaced while a snapshot of it is taken, and all of it removed, again and
    again: memory_bytes_max has room for that, whatever the snapshot keeps aside."""
    cluster = make_cluster(settings=PATIENT | {"memory_bytes_max": "112 MiB", "snapshot_bytes": "256 KiB", "batch_bytes": "1 MiB"})
    leader = cluster.up()
    rounds = 6
    for number in range(rounds):
        names = [f"{i}" for i in range(10_000)]
        replies = send_all(cluster, leader, [("SET", name, bytes([number]) * 1300) for name in names])
        assert codes(replies) == {"OOM"}, "the state is full"
        replies = send_all(cluster, leader, [("APPEND", name, "x") for name in names[:3000]])
        assert codes(replies) <= {"OOM"}
        if number % 2 == 1:
            assert send_all(cluster, leader, [("FLUSHALL",)]) == ["OK"]
    for node in cluster.nodes:
        taken = [int(file.name.split("-")[1]) for file in (cluster.node_folder(node) / "snapshots").glob("snapshot-*[0-9]")]
        assert len(taken) == 2 and max(taken) > cluster.info(node)["executed"] // 2
    check_unharmed(cluster)
