"""What speaks to Redis speaks to Synod: redis-cli, redis-benchmark, and the Python client, in versions 2 and 3 of the protocol."""

import re
import subprocess

import pytest
import redis
from redis.crc import key_slot

from cluster import Cluster
from resp import ReplyError
from resp import Connection

VERSIONS = pytest.mark.parametrize("version", [2, 3])


@pytest.fixture(scope="module")
def cluster():
    cluster = Cluster("coordinator")
    try:
        cluster.up()
        yield cluster
        cluster.stop()
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def standalone():
    cluster = Cluster("standalone")
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.close()


def tool(*arguments, timeout_s=120, said=""):
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, timeout=timeout_s, input=said)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def redis_cli(port, *arguments, version=2):
    return tool("redis-cli", f"-{version}", "-c", "-p", port, *arguments).stdout.rstrip("\n")


# ---- redis-cli ----


@VERSIONS
@pytest.mark.parametrize("deployment", ["cluster", "standalone"])
def test_redis_cli_through_any_node(request, deployment, version):
    cluster = request.getfixturevalue(deployment)
    for writer in cluster.nodes.values():
        key, value = f"cli-{version}-{writer.id}", f"from-{writer.id}"
        assert redis_cli(writer.client_port, "set", key, value, version=version) == "OK"
        for reader in cluster.nodes.values():
            assert redis_cli(reader.client_port, "get", key, version=version) == value


def test_any_client_through_any_node(cluster):
    """One that has not asked about the cluster is served everywhere, and never hears of it."""
    for writer in cluster.nodes.values():
        assert tool("redis-cli", "-p", writer.client_port, "set", "from", writer.id).stdout.strip() == "OK"
        for reader in cluster.nodes.values():
            client = redis.Redis(port=reader.client_port)
            assert client.get("from") == str(writer.id).encode()
            client.close()


def test_who_asks_about_the_cluster_is_told_where_the_leader_is(cluster):
    leader = cluster.wait_leader()
    moved = f"MOVED {key_slot(b'where')} 127.0.0.1:{cluster.nodes[leader].client_port}"
    for node in cluster.nodes.values():
        with Connection(node.client_port) as connection:
            assert connection.command("SET", "where", "there") == "OK"
            assert connection.command("CLUSTER", "KEYSLOT", "where") == key_slot(b"where")
            said = connection.command("SET", "where", "there")
            assert said == "OK" if node.id == leader else said.text == moved


@pytest.mark.parametrize("deployment", ["cluster", "standalone"])
def test_what_is_no_command_is_said_by_every_node(request, deployment):
    for node in request.getfixturevalue(deployment).nodes.values():
        with Connection(node.client_port) as connection:
            assert connection.command("NOSUCH", "a").text == "ERR unknown command 'NOSUCH', with args beginning with: 'a' "
            assert connection.command("GET").text == "ERR wrong number of arguments for 'get' command"


def test_a_read_without_a_key_is_answered_where_it_is_asked(cluster):
    """Redis does so, too: libraries such as rueidis ask each node of a cluster, and do not follow -MOVED there."""
    leader = cluster.wait_leader()
    cluster.wait_settled()
    for node in cluster.nodes.values():
        with cluster.connect(node.id) as connection:
            connection.call("CLUSTER", "MYID")  # now it is one of a client that knows clusters
            assert connection.call("SCAN", "0")[0] is not None and connection.call("DBSIZE") >= 0
            if node.id != leader:
                for command in (["GET", "k"], ["SET", "k", "v"], ["FLUSHALL"]):
                    with pytest.raises(ReplyError, match="^MOVED "):
                        connection.call(*command)


def test_redis_cli_commands(cluster):
    port = cluster.nodes[cluster.wait_leader()].client_port

    def ask(*words):
        return redis_cli(port, *words)

    assert ask("ping") == "PONG"
    assert ask("echo", "hello") == "hello"
    assert ask("del", "c", "d") in ("0", "1", "2")
    assert ask("incr", "c") == "1" and ask("incrby", "c", "41") == "42" and ask("decr", "c") == "41"
    assert ask("append", "d", "abc") == "3" and ask("strlen", "d") == "3"
    assert ask("set", "d", "x", "nx") == "" and ask("set", "d", "x", "xx") == "OK"
    assert ask("getset", "d", "y") == "x" and ask("getdel", "d") == "y" and ask("get", "d") == ""
    assert ask("exists", "c", "d") == "1"
    assert ask("incr", "no") == "1" and ask("set", "no", "number") == "OK" and "not an integer" in ask("incr", "no")
    assert "wrong number of arguments" in ask("get")
    assert "unknown command" in ask("frobnicate", "x").lower()
    assert ask("cluster", "keyslot", "a{where}b") == str(key_slot(b"where"))


def test_redis_cli_looks_at_all_keys(cluster):
    port = cluster.nodes[cluster.wait_leader()].client_port
    with Connection(port) as connection:
        assert connection.command("FLUSHALL") == "OK"
        assert connection.command("MSET", "small", "1", "large", "x" * 20000, "middle", "y" * 500) == "OK"
        takes = connection.command("MEMORY", "USAGE", "large")
        assert takes > 20000 and connection.command("MEMORY", "USAGE", "none") is None
    for node in cluster.nodes.values():
        largest = tool("redis-cli", "-p", node.client_port, "--bigkeys").stdout
        assert "Sampled 3 keys" in largest and "Biggest string found '\"large\"' has 20000 bytes" in largest, largest
        heaviest = tool("redis-cli", "-p", node.client_port, "--memkeys").stdout
        assert f"Biggest string found '\"large\"' has {takes} bytes" in heaviest, heaviest


def test_redis_cli_stat(cluster):
    """A line a second: keys, memory, clients, blocked, requests (and how many since the line before), connections."""
    cluster.wait_settled()
    for node in cluster.nodes.values():
        with Connection(node.client_port) as connection:
            info = dict(line.split(":", 1) for line in connection.command("INFO").decode().splitlines() if ":" in line)
        keys = int(info["db0"].split(",")[0].removeprefix("keys="))
        process = subprocess.Popen(
            ["stdbuf", "-oL", "redis-cli", "-p", str(node.client_port), "--stat", "-i", "0.1"], stdout=subprocess.PIPE, text=True
        )
        try:
            lines = [process.stdout.readline() for _ in range(4)]
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        words = lines[-1].split()
        assert int(words[0]) == keys and words[1].endswith(("K", "M")) and int(words[2]) >= 1, lines


@VERSIONS
def test_redis_cli_sends_and_lists_much(cluster, version):
    """--pipe: replies are counted while it sends, and an ECHO marks the last one. --scan goes through all keys."""
    many = 5000
    for node in cluster.nodes.values():
        keys = [f"pipe-{version}-{node.id}-{number}" for number in range(many)]
        said = "".join(f"*3\r\n$3\r\nSET\r\n${len(key)}\r\n{key}\r\n$1\r\nx\r\n" for key in keys)
        done = tool("redis-cli", f"-{version}", "-p", node.client_port, "--pipe", said=said)
        assert f"errors: 0, replies: {many}" in done.stdout, done.stdout
        listed = tool("redis-cli", f"-{version}", "-p", node.client_port, "--scan", "--pattern", f"pipe-{version}-{node.id}-*").stdout
        assert sorted(listed.split()) == sorted(keys)


def test_redis_cli_latency(cluster):
    """Where its output is no terminal, it asks for a second: least, most, on average, how often."""
    for node in cluster.nodes.values():
        least, most, average, times = map(float, tool("redis-cli", "-p", node.client_port, "--latency").stdout.split()[:4])
        assert 0 <= least <= average <= most and times > 1


# ---- redis-benchmark ----


@pytest.mark.parametrize(
    "requests, more",
    [(100000, []), (100000, ["-P", "16"]), (10000, ["-3"]), (10000, ["--enable-tracking"]), (10000, ["--threads", "2"]), (1000, ["-k", "0"])],
    ids=["one outstanding", "pipelined", "version 3", "tracking", "threads", "a connection a request"],
)
def test_redis_benchmark(cluster, requests, more):
    leader = cluster.wait_leader()
    ballot = cluster.info(leader)["ballot"]
    executed = cluster.info(leader)["commands_executed"]
    done = tool("redis-benchmark", "-p", cluster.nodes[leader].client_port, "-t", "set,get,incr", "-c", 50, "-n", requests, "--csv", *more)
    assert "rror" not in done.stdout + done.stderr, done.stdout + done.stderr
    rates = dict(re.findall(r'^"(SET|GET|INCR)","([\d.]+)"', done.stdout, re.MULTILINE))
    print(rates)
    assert set(rates) == {"SET", "GET", "INCR"} and all(float(rate) > 0 for rate in rates.values())
    assert cluster.info(leader)["commands_executed"] - executed == 2 * requests, "reads take no slot"
    assert cluster.info(leader)["ballot"] == ballot, "the leader changed on the way"
    cluster.wait_settled()


# ---- the Python client ----


@VERSIONS
def test_python_client(cluster, version):
    client = redis.Redis(port=cluster.nodes[cluster.wait_leader()].client_port, protocol=version)
    client.flushall()
    assert client.set("a", "1") is True and client.get("a") == b"1" and client.get("nothing") is None
    assert client.incr("n") == 1 and client.incrby("n", 9) == 10 and client.decr("n") == 9
    assert client.mset({"x": 1, "y": 2}) is True and client.mget("x", "y", "z") == [b"1", b"2", None]
    assert client.set("x", 3, nx=True) is None and client.set("x", 3, get=True) == b"1"
    assert client.setnx("new", 1) and not client.setnx("new", 2)
    assert client.exists("x", "y", "z") == 2 and client.delete("x", "z") == 1
    assert client.append("y", "22") == 3 and client.strlen("y") == 3 and client.getdel("y") == b"222"
    assert client.dbsize() == 3 and set(client.keys("*")) == {b"a", b"n", b"new"} and set(client.scan_iter()) == {b"a", b"n", b"new"}
    assert client.ping() is True and client.echo("hi") == b"hi"
    assert client.info()["synod_cluster"] == "test"
    binary = bytes(range(256)) * 40
    assert client.set(binary, binary) and client.get(binary) == binary
    with pytest.raises(redis.ResponseError, match="not an integer"):
        client.set("text", "abc")
        client.incr("text")
    with pytest.raises(redis.ResponseError, match="unknown command"):
        client.execute_command("FROBNICATE")
    client.close()


@VERSIONS
def test_what_python_client_asks_of_a_server(cluster, version):
    """At connect: HELLO with a user and a name, CLIENT SETINFO. Later, what tools and monitors ask."""
    leader = cluster.wait_leader()
    for node in cluster.nodes.values():
        client = redis.Redis(port=node.client_port, protocol=version, username="default", password="any", client_name="me")
        assert client.ping() and client.client_getname() in ("me", b"me")
        leads = node.id == leader
        info = client.info()
        assert info["role"] == ("master" if leads else "slave") and info["connected_slaves"] == (2 if leads else 0)
        assert leads or (info["master_port"], info["master_link_status"]) == (cluster.nodes[leader].client_port, "up")
        assert info["maxmemory"] == 512 << 20 and info["loading"] == 0 and info["redis_mode"] == "cluster"
        assert list(client.info("replication")) and "uptime_in_seconds" not in client.info("replication")
        own = client.client_info()
        assert own["name"] == "me" and own["lib-name"] and [one for one in client.client_list() if str(one["id"]) == str(own["id"])]
        assert client.role()[0] in ("master", b"master") if leads else client.role()[0] in ("slave", b"slave")
        commands = [name for name in client.command_list() if b"|" not in name]  # the others are subcommands
        assert client.command_count() == len(client.command()) == len(commands)
        assert client.command_getkeys("MSET", "a", 1, "b", 2) in (["a", "b"], [b"a", b"b"])
        assert client.command()["get"]["arity"] == 2 and client.command()["mset"]["step_count"] == 2
        assert client.slowlog_len() == 0 and client.acl_whoami() in ("default", b"default")
        client.set("kept", "12")
        assert client.object("encoding", "kept") in ("int", b"int") and client.memory_usage("kept") > 0
        victim = redis.Redis(port=node.client_port, client_name="victim", retry=None)
        number = victim.client_id()
        assert client.client_kill_filter(_id=number) == 1
        assert victim.client_id() != number, "it has made another connection"
        victim.close()
        client.close()
        with pytest.raises(redis.AuthenticationError, match="invalid username-password pair"):
            redis.Redis(port=node.client_port, protocol=version, username="other", password="any", retry=None).ping()


@VERSIONS
def test_python_client_pipeline(cluster, version):
    client = redis.Redis(port=cluster.nodes[cluster.wait_leader()].client_port, protocol=version)
    client.delete("p")
    pipeline = client.pipeline(transaction=False)
    for _ in range(2000):
        pipeline.incr("p")
    assert pipeline.execute() == list(range(1, 2001))
    assert client.pipeline(transaction=True).incr("p").set("q", 1).mget("p", "q").execute() == [2001, True, [b"2001", b"1"]]
    client.delete("q")
    client.close()


@VERSIONS
@pytest.mark.parametrize("deployment", ["cluster", "standalone"])
def test_python_cluster_client(request, deployment, version):
    """It finds the leader by itself, whatever node it is given."""
    cluster = request.getfixturevalue(deployment)
    for node in cluster.nodes.values():
        client = redis.RedisCluster(host="127.0.0.1", port=node.client_port, protocol=version)
        assert client.set("from", node.id) is True and client.get("from") == str(node.id).encode()
        assert client.mset_nonatomic({"one": 1, "two": 2}) and client.mget_nonatomic("one", "two", "none") == [b"1", b"2", None]
        client.close()
