"""The same commands to Synod and to a Redis server, and the same bytes back: strings, bits, names of keys, and what is wrong with
commands."""

import random
import re
import shutil
import subprocess

import pytest

from cluster import Cluster, free_ports, wait_until
from resp import Connection, ReplyError, encode

COMMANDS = 4000
KEYS = [f"k{i}" for i in range(6)]
VALUES = ["", "0", "1", "-1", "10", "abc", "9223372036854775807", "-9223372036854775808", " 5", "3.0", b"\x00\xff", "x" * 100, b"\xff" * 9, b"\x00" * 17]
NUMBERS = ["0", "1", "-1", "2", "-3", "7", "9", "100", "-100", "9223372036854775807", "x", ""]
PLACES = ["0", "1", "5", "7", "8", "63", "200", "-1", "x", "4294967296"]
FRACTIONS = ["0", "1", "-1", "0.5", "-0.25", "3.125", "1e2", "2.5e-1", "-1.5E1", "5.0e3", "1024.75", "x", "", " 1", "0.1.1", "1e", "-", "."]


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory):
    server = shutil.which("redis-server")
    assert server, "the Debian package redis-server is missing"
    [port] = free_ports(1)
    log = open(tmp_path_factory.mktemp("redis") / "log", "wb")
    process = subprocess.Popen(
        [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], stdout=log, stderr=log, cwd="/"
    )

    def answers():
        try:
            with Connection(port) as connection:
                return connection.command("PING") == "PONG"
        except OSError:
            return False

    try:
        wait_until(answers, 10, "the Redis server")
        yield port
    finally:
        process.terminate()
        process.wait()
        log.close()


@pytest.fixture(scope="module")
def synod_port():
    cluster = Cluster("coordinator", native=True)
    try:
        cluster.up()
        yield cluster.nodes[cluster.wait_leader()].client_port
        cluster.stop()
    finally:
        cluster.close()


class Both:
    """A connection to each, in one version of the protocol, and replies as they come."""

    def __init__(self, ports, version):
        self.connections = [Connection(port) for port in ports]
        self.ask("HELLO", version)
        self.same("FLUSHALL")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.connections:
            connection.close()

    def ask(self, *words):
        """The raw replies, up to that of a PING after the command."""
        replies = []
        for connection in self.connections:
            connection.send(encode(*words) + encode("ECHO", "the end"))
            data = b""
            while not data.endswith(b"$7\r\nthe end\r\n"):
                data += connection.socket.recv(1 << 16)
            replies.append(data.removesuffix(b"$7\r\nthe end\r\n"))
        return replies

    def same(self, *words):
        mine, theirs = self.ask(*words)
        assert mine == theirs, f"{words}: {mine[:200]} here, {theirs[:200]} in Redis"


def commands_of_strings(dice):
    key, value, number = lambda: dice.choice(KEYS), lambda: dice.choice(VALUES), lambda: dice.choice(NUMBERS)
    return [
        lambda: ["GET", key()],
        lambda: ["SET", key(), value()] + dice.sample(["NX", "XX", "GET", "get"], dice.randint(0, 2)),
        lambda: ["SETNX", key(), value()],
        lambda: ["GETSET", key(), value()],
        lambda: ["GETDEL", key()],
        lambda: ["MGET"] + [key() for _ in range(dice.randint(1, 4))],
        lambda: ["MSET"] + [word for _ in range(dice.randint(1, 3)) for word in (key(), value())],
        lambda: ["MSETNX"] + [word for _ in range(dice.randint(1, 2)) for word in (key(), value())],
        lambda: ["APPEND", key(), value()],
        lambda: ["STRLEN", key()],
        lambda: [dice.choice(["INCR", "DECR"]), key()],
        lambda: [dice.choice(["INCRBY", "DECRBY"]), key(), number()],
        lambda: [dice.choice(["GETRANGE", "SUBSTR"]), key(), number(), number()],
        lambda: ["SETRANGE", key(), dice.choice(["0", "1", "5", "-1", "x", "20"]), value()],
        lambda: [dice.choice(["DEL", "UNLINK", "EXISTS", "TOUCH"]), key(), key()],
        lambda: [dice.choice(["TYPE", "DUMP_OF_NOTHING"]), key()],
        lambda: ["DBSIZE"],
    ]


def commands_of_names(dice):
    key = lambda: dice.choice(KEYS)
    return [
        lambda: [dice.choice(["RENAME", "RENAMENX"]), key(), key()],
        lambda: ["COPY", key(), key()] + dice.sample(["REPLACE", "replace"], dice.randint(0, 2)),
        lambda: ["COPY", key(), key(), dice.choice(["DB", "FOO", "REPLACE"]), dice.choice(["0", "x", "REPLACE"])],
        lambda: ["COPY", key(), key(), "DB"],
    ]


def commands_of_bits(dice):
    key, number, place = lambda: dice.choice(KEYS), lambda: dice.choice(NUMBERS), lambda: dice.choice(PLACES)
    unit = lambda: dice.choice(["BIT", "BYTE", "bit", "x"])
    return [
        lambda: ["SETBIT", key(), place(), dice.choice(["0", "1", "2", "x"])],
        lambda: ["GETBIT", key(), place()],
        lambda: ["BITCOUNT", key()] + [number() for _ in range(dice.randint(0, 2))],
        lambda: ["BITCOUNT", key(), number(), number(), unit()] + ["more"] * dice.choice([0, 0, 0, 1]),
        lambda: ["BITPOS", key(), dice.choice(["0", "1", "2", "x"])] + [number() for _ in range(dice.randint(0, 2))],
        lambda: ["BITPOS", key(), dice.choice(["0", "1"]), number(), number(), unit()] + ["more"] * dice.choice([0, 0, 0, 1]),
        lambda: ["BITOP", dice.choice(["AND", "or", "XOR", "NOT", "x"])] + [key() for _ in range(dice.randint(2, 4))],
    ]


def commands_of_texts(dice):
    key = lambda: dice.choice(KEYS)
    text = lambda: "".join(dice.choice("abc") for _ in range(dice.randint(0, 40)))
    return [
        lambda: ["SET", key(), text()],
        lambda: ["LCS", key(), key()] + dice.sample(["LEN", "len", "WITHMATCHLEN", "FOO"], dice.choice([0, 0, 1])),
        lambda: ["LCS", key(), key(), "MINMATCHLEN", dice.choice(["1", "x", "-1"])],
        lambda: ["LCS", key(), key(), "IDX"] + dice.sample(["WITHMATCHLEN", "idx", "FOO"], dice.choice([0, 0, 1])),
        lambda: ["LCS", key(), key(), "IDX", "WITHMATCHLEN", "MINMATCHLEN", dice.choice(["0", "1", "2", "3", "x", "-1"])],
        lambda: ["LCS", key(), key(), "LEN", "IDX"],
        lambda: ["DEL", key()],
    ]


def commands_of_fractions(dice):
    key = lambda: dice.choice(KEYS[:3])
    return [
        lambda: ["INCRBYFLOAT", key(), dice.choice(FRACTIONS)],
        lambda: ["SET", key(), dice.choice(FRACTIONS + ["abc", "12"])],
        lambda: ["GET", key()],
    ]


def commands_of_times(dice):
    """Times so far away, or so long ago, that a second more or less does not show in a reply."""
    key, value = lambda: dice.choice(KEYS), lambda: dice.choice(VALUES)
    number = lambda: dice.choice(["3000000", "4000000", "0", "-1", "x", "", "9223372036854775", "9223372036854776", "9223372036854775807", "-9223372036854775808"])
    date = lambda: dice.choice(["4000000000", "4000000001", "1", "0", "-1", "x", "9223372036854775807"])
    unit = lambda: dice.choice(["EX", "px", "EXAT", "PXAT", "KEEPTTL", "PERSIST", "NX", "XX", "GET", "FOO"])
    return [
        lambda: ["SET", key(), value(), dice.choice(["EX", "PX"]), number()],
        lambda: ["SET", key(), value(), dice.choice(["EXAT", "PXAT"]), date()],
        lambda: ["SET", key(), value(), unit(), number()] + [unit() for _ in range(dice.choice([0, 0, 1]))],
        lambda: ["SET", key(), value(), unit()],
        lambda: ["SET", key(), value(), "KEEPTTL"] + dice.sample(["NX", "XX", "GET"], dice.randint(0, 2)),
        lambda: [dice.choice(["SETEX", "PSETEX"]), key(), number(), value()],
        lambda: ["GETEX", key()] + [unit() for _ in range(dice.choice([0, 1]))],
        lambda: ["GETEX", key(), unit(), number()],
        lambda: ["GETEX", key(), dice.choice(["EXAT", "PXAT"]), date()],
        lambda: [dice.choice(["EXPIRE", "PEXPIRE"]), key(), number()],
        lambda: [dice.choice(["EXPIRE", "PEXPIRE"]), key(), number(), dice.choice(["NX", "xx", "FOO"])],
        lambda: [dice.choice(["EXPIREAT", "PEXPIREAT"]), key(), date()] + [dice.choice(["NX", "xx", "GT", "LT"]) for _ in range(2)],
        lambda: [dice.choice(["EXPIREAT", "PEXPIREAT"]), key(), date()] + dice.sample(["NX", "xx", "GT", "LT"], dice.choice([0, 0, 1])),
        lambda: ["EXPIREAT", key(), "4000000000"],
        lambda: [dice.choice(["EXPIRETIME", "PEXPIRETIME", "PERSIST"]), key()],
    ]


def date_of(both, key):
    """When a key ends, or that it does not: only those replies that do not tell the time of day."""
    mine, theirs = [int(reply[1:-2]) for reply in both.ask("PEXPIRETIME", key)]
    assert mine == theirs or (mine > 0 and abs(mine - theirs) < 10000), f"{key}: {mine} here, {theirs} in Redis"


def test_keys_that_expire(synod_port, redis_port):
    dice = random.Random("times")
    makers = commands_of_times(dice) * 3 + commands_of_names(dice) + commands_of_strings(dice)
    for version in (2, 3):
        with Both([synod_port, redis_port], version) as both:
            for _ in range(COMMANDS):
                words = dice.choice(makers)()
                if words[0] in ("EXPIRETIME", "PEXPIRETIME"):
                    date_of(both, words[1])
                elif words[0] != "DBSIZE":  # in Redis, it counts keys that have ended
                    both.same(*words)
            for key in KEYS:
                both.same("GET", key)
                date_of(both, key)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("kinds", ["strings", "names", "bits", "texts", "fractions"])
def test_random_commands(synod_port, redis_port, kinds, version):
    dice = random.Random(f"{kinds} {version}")
    alone = {"texts": commands_of_texts, "fractions": commands_of_fractions}
    among_others = {"strings": lambda _: [], "names": commands_of_names, "bits": commands_of_bits}
    makers = alone[kinds](dice) if kinds in alone else among_others[kinds](dice) * 3 + commands_of_strings(dice)
    with Both([synod_port, redis_port], version) as both:
        for _ in range(COMMANDS):
            both.same(*dice.choice(makers)())
        for key in KEYS:
            both.same("GET", key)


WRONG = """
RENAME|RENAME a|RENAME a b c|RENAMENX a|COPY a|COPY|TOUCH|RANDOMKEY x|SETBIT a 1|GETBIT a|BITCOUNT|BITPOS a|BITOP AND d|INCRBYFLOAT a|SUBSTR a 1
RANDOMKEY|SET one x|RANDOMKEY|SET n nan|INCRBYFLOAT n 1|SET i 1|INCRBYFLOAT i inf|INCRBYFLOAT i -inf|INCRBYFLOAT i nan
CLIENT|CLIENT FOO|CLIENT GETNAME|CLIENT SETNAME x|CLIENT GETNAME|CLIENT SETNAME|CLIENT ID x|CLIENT REPLY x|CLIENT NO-EVICT on|CLIENT NO-EVICT foo
CLIENT KILL|CLIENT KILL ID|CLIENT KILL ID 0|CLIENT KILL ID x|CLIENT KILL ID 999999|CLIENT KILL FOO bar|CLIENT KILL TYPE x|CLIENT KILL USER x|CLIENT KILL 1.2.3.4:5
CLIENT KILL SKIPME maybe|CLIENT LIST FOO|CLIENT LIST TYPE x|CLIENT LIST TYPE pubsub|CLIENT LIST ID x|CLIENT LIST ID 0|CLIENT UNBLOCK 999999|CLIENT UNBLOCK x
CLIENT TRACKINGINFO|CLIENT GETREDIR|CLIENT CACHING yes|CLIENT INFO x|CLIENT TRACKING off|CLIENT TRACKING foo
CLIENT PAUSE|CLIENT PAUSE x|CLIENT PAUSE -1|CLIENT PAUSE 1 FOO|CLIENT PAUSE 1 ALL x|CLIENT PAUSE 0|CLIENT UNPAUSE|CLIENT UNPAUSE x
HELLO 4|HELLO abc|HELLO 2 FOO|HELLO 2 AUTH a|HELLO 2 AUTH a b|HELLO 2 SETNAME|AUTH x|AUTH a b|AUTH default x|AUTH a b c|AUTH
COMMAND FOO|COMMAND COUNT x|COMMAND INFO get nosuch mset del incr getrange rename copy bitop bitcount|COMMAND GETKEYS GET a|COMMAND GETKEYS MSET a 1 b 2
COMMAND GETKEYS|COMMAND GETKEYS NOSUCH a|COMMAND GETKEYS PING|COMMAND GETKEYS GET|COMMAND GETKEYS BITOP AND d a b|COMMAND GETKEYSANDFLAGS BITOP AND d a b
COMMAND GETKEYSANDFLAGS SET a b|COMMAND GETKEYSANDFLAGS SET a b GET|COMMAND LIST FILTERBY PATTERN latency?l*|COMMAND LIST FILTERBY PATTERN slowlog?len
COMMAND GETKEYSANDFLAGS GET a|COMMAND GETKEYSANDFLAGS RENAME a b|COMMAND LIST FILTERBY PATTERN xge*|COMMAND LIST FILTERBY MODULE x|COMMAND LIST FOO|COMMAND DOCS nosuch
CONFIG|CONFIG GET|CONFIG GET nosuch|CONFIG FOO|CONFIG RESETSTAT|CONFIG REWRITE|CONFIG SET x|INFO nosuch|OBJECT|OBJECT FOO|OBJECT ENCODING|OBJECT ENCODING nokey
OBJECT ENCODING one|OBJECT ENCODING i|OBJECT REFCOUNT one|OBJECT FREQ nokey|OBJECT FREQ one|MEMORY USAGE nokey|MEMORY USAGE nokey SAMPLES|MEMORY USAGE nokey SAMPLES x
MEMORY|MEMORY FOO|SLOWLOG LEN|SLOWLOG GET|SLOWLOG FOO|MODULE LIST|ACL WHOAMI|ACL USERS|ACL LIST|LATENCY LATEST|LATENCY RESET
SET a 1 EX|SET a 1 EX 1.5|SET a 1 EX 0|SET a 1 PX -1|SETEX a 0 1|SETEX a x 1|SETEX a 1|PSETEX a -1 1|GETEX nokey EX 0|GETEX a EX 0|GETEX|GETEX a FOO
EXPIRE a|EXPIRE a 1 FOO|EXPIRE nokey 1 NX XX|EXPIRE nokey 1 GT LT|EXPIRE nokey 9223372036854775807|TTL nokey|PTTL nokey|EXPIRETIME nokey|PERSIST nokey
TTL|TTL a b|TIME x|COMMAND INFO expire pexpire expireat pexpireat ttl pttl expiretime pexpiretime persist setex psetex time|COMMAND GETKEYS SETEX a 1 b
NOSUCH|NOSUCH a|nosuch a b c|GETT a|GET|GET a b|PING a b|ECHO|RESET x
""".strip()


@pytest.mark.parametrize("version", [2, 3])
def test_what_is_wrong_and_what_is_not(synod_port, redis_port, version):
    with Both([synod_port, redis_port], version) as both:
        for line in WRONG.splitlines():
            for command in line.split("|"):
                both.same(*command.split(" "))


def docs_of(connection, name):
    """What COMMAND DOCS says of a command, by its names; None: there is no such command."""
    reply = connection.command("COMMAND", "DOCS", name)
    return dict(zip(reply[1][::2], reply[1][1::2])) if reply else None


def test_arguments_of_commands(synod_port, redis_port):
    """Those of SET are more here."""
    with Connection(synod_port) as mine, Connection(redis_port) as theirs:
        compared = 0
        for name in mine.command("COMMAND", "LIST"):
            here, there = docs_of(mine, name), docs_of(theirs, name)
            if there is None or here[b"group"] in (b"connection", b"server") or name == b"set":
                continue
            assert here.get(b"arguments") == there.get(b"arguments"), name
            compared += 1
        assert compared > 45
        conditions = docs_of(mine, "set")[b"arguments"][2]
        assert b"IFEQ" in str(conditions).encode() and len(docs_of(mine, "set")[b"arguments"]) == 5


# Each script begins with no keys; a command is of connection A or B.
TRANSACTIONS = """
A MULTI|A SET x 1|A INCR x|A GET x|A MGET x y|A EXEC|A GET x
A MULTI|A EXEC|A EXEC|A DISCARD|A UNWATCH|A MULTI|A DISCARD|A EXEC
A SET x abc|A MULTI|A INCR x|A SET y 1|A EXEC|A GET y
A MULTI|A SET x 1|A NOSUCH a|A SET y 1|A EXEC|A GET x|A GET y
A MULTI|A SET x|A EXEC|A MULTI|A GET x|A EXEC
A MULTI|A MULTI|A SET x 1|A EXEC
A MULTI|A WATCH x|A SET x 1|A EXEC
A MULTI x|A WATCH|A UNWATCH x|A EXEC x|A DISCARD x
A MULTI|A EXEC x|A EXEC|A MULTI|A DISCARD x|A EXEC
A SET x 1|A WATCH x|B SET x 2|A MULTI|A SET x 3|A EXEC|A GET x|A MULTI|A GET x|A EXEC
A SET x 1|A WATCH x|A MULTI|A SET x 3|A EXEC|A GET x
A SET x 1|A WATCH x|A SET x 2|A MULTI|A SET x 3|A EXEC|A GET x
A SET x 1|A WATCH x|B GET x|A MULTI|A SET x 3|A EXEC
A WATCH x|B SET x 1|B DEL x|A MULTI|A SET x 3|A EXEC
A WATCH x y z|B SET z 1|A MULTI|A SET x 3|A EXEC
A WATCH x|A WATCH y|A WATCH x|B SET y 1|A MULTI|A EXEC
A SET x 1|A WATCH x|B SET x 2|A UNWATCH|A MULTI|A SET x 3|A EXEC
A SET x 1|A WATCH x|B SET x 2|A MULTI|A DISCARD|A MULTI|A SET x 3|A EXEC
A SET x 1|A WATCH x|B SET x 2|A MULTI|A NOSUCH|A EXEC|A MULTI|A SET x 3|A EXEC
A SET x 1|A WATCH x|B FLUSHALL|A MULTI|A SET x 3|A EXEC
A SET y 1|A WATCH x|B FLUSHALL|A MULTI|A SET x 3|A EXEC
A SET x 1|A WATCH x y|B FLUSHDB|A MULTI|A SET x 3|A EXEC
A SET x 1|A WATCH x|B RENAME x y|A MULTI|A SET x 3|A EXEC
A SET y 1|A WATCH x|B RENAME y x|A MULTI|A SET x 3|A EXEC
A SET x 1|A WATCH x|B APPEND x 2|A MULTI|A SET x 3|A EXEC
A SET x 1|A WATCH x|B SETRANGE x 0 2|A MULTI|A SET x 3|A EXEC
A SET x 1|A WATCH x|B SETNX x 2|A MULTI|A SET x 3|A EXEC
A SET x 1|A WATCH x|B GETDEL x|A MULTI|A SET x 3|A EXEC
A SET x 1|A WATCH y|B SET x 2|A MULTI|A SET x 3|A EXEC
A WATCH x|A MULTI|A EXEC|A WATCH x|B SET x 1|A MULTI|A EXEC
A SET x 1|A WATCH x|A RESET|B SET x 2|A MULTI|A GET x|A EXEC
A MULTI|A SET x 1|A RESET|A GET x|A EXEC
A MULTI|A PING|A SET x 1|A ECHO b|A GET x|A PING a b|A SELECT 0|A CLIENT SETNAME me|A UNWATCH|A EXEC|A CLIENT GETNAME
A MULTI|A PING|A EXEC|A MULTI|A CLIENT FOO|A EXEC|A MULTI|A CLIENT|A EXEC|A MULTI|A ECHO|A EXEC|A MULTI|A CLIENT SETNAME|A EXEC
A WATCH x|B SET x 1|A MULTI|A CLIENT SETNAME me|A EXEC|A CLIENT GETNAME
A MULTI|A SET x 1|A SCAN 0|A DBSIZE|A EXISTS x|A TYPE x|A OBJECT ENCODING x|A GETRANGE x 0 0|A EXEC
""".strip()


def replies_of(port, version, script):
    """What each command of a script replies, as far as it has one."""
    connections = {name: Connection(port) for name in "AB"}
    try:
        for connection in connections.values():
            connection.command("HELLO", version)
        connections["A"].command("FLUSHALL")
        replies = []
        for command in script.split("|"):
            reply = connections[command[0]].command(*command.split(" ")[1:])
            replies.append(f"-{reply.text}" if isinstance(reply, ReplyError) else reply)
        return replies
    finally:
        for connection in connections.values():
            connection.close()


@pytest.mark.parametrize("version", [2, 3])
def test_transactions(synod_port, redis_port, version):
    for script in TRANSACTIONS.splitlines():
        mine, theirs = (replies_of(port, version, script) for port in (synod_port, redis_port))
        assert str(mine) == str(theirs), script


# Each script is one of connections A and B. What both have heard is compared after each command.
MESSAGES = """
A SUBSCRIBE a b a|B PUBLISH a x|B PUBLISH c x|A UNSUBSCRIBE a|B PUBLISH a x|B PUBLISH b x|A UNSUBSCRIBE|B PUBLISH b x|A GET x
A PSUBSCRIBE a* ?c c|B PUBLISH ab x|B PUBLISH c x|B PUBLISH bc x|A PUNSUBSCRIBE ?c d|B PUBLISH bc x|A PUNSUBSCRIBE c|A PUNSUBSCRIBE a*|A PUNSUBSCRIBE|A PUNSUBSCRIBE
A SSUBSCRIBE s t|B SPUBLISH s x|B PUBLISH s x|A SUBSCRIBE s|B PUBLISH s y|B SPUBLISH s y|A SUNSUBSCRIBE s|A SUNSUBSCRIBE|A SUNSUBSCRIBE|A UNSUBSCRIBE s
A UNSUBSCRIBE|A PUNSUBSCRIBE|A UNSUBSCRIBE x y|A PUNSUBSCRIBE x|A SUNSUBSCRIBE x|A SUBSCRIBE|A PSUBSCRIBE|A PUBLISH x|A PUBLISH x y z|A SPUBLISH x
A SUBSCRIBE a|A PING|A PING x|A PING x y|A SUBSCRIBE b|A RESET|A GET x|B PUBLISH a x
A SUBSCRIBE a|B PUBSUB CHANNELS|B PUBSUB NUMSUB|B PUBSUB NUMSUB a b a|B PUBSUB NUMPAT|A PSUBSCRIBE x* y*|B PUBSUB NUMPAT|A SUBSCRIBE c|B PUBSUB CHANNELS b*|B PUBSUB CHANNELS a*
A SSUBSCRIBE a|B PUBSUB SHARDCHANNELS|B PUBSUB SHARDNUMSUB a b|B PUBSUB SHARDCHANNELS x*|B PUBSUB|B PUBSUB FOO|B PUBSUB NUMPAT x|B PUBSUB CHANNELS a b
A SUBSCRIBE a|B SUBSCRIBE a|A PSUBSCRIBE a*|B PSUBSCRIBE a*|A UNSUBSCRIBE a|B UNSUBSCRIBE a
B COMMAND INFO publish spublish subscribe unsubscribe psubscribe punsubscribe|B COMMAND LIST FILTERBY ACLCAT pubsub x
""".strip()
LIMITED = """
A SUBSCRIBE a|A GET x|A GET|A NOSUCH|A CLIENT ID|A PUBLISH a x|A HELLO 3|A MULTI|A PUBSUB NUMPAT|A CONFIG GET x|A UNSUBSCRIBE a|A GET x
A PSUBSCRIBE a|A SET x 1|A PUNSUBSCRIBE|A SSUBSCRIBE a|A SET x 1|A SUNSUBSCRIBE|A GET x
""".strip()
IN_RESP_3 = """
A SUBSCRIBE a|A GET x|A PUBLISH a x|B PUBLISH a y|A SUBSCRIBE b|A UNSUBSCRIBE a|A PING|A RESET
""".strip()


TRACKING = """
A CLIENT TRACKING ON|A GET x|A MGET y z|B SET x 1|B SET x 2|B SET other 1|A GET x|B DEL x|B INCR y|A CLIENT TRACKINGINFO|A CLIENT GETREDIR|A CLIENT TRACKING OFF|B SET z 1
A CLIENT TRACKING ON|A GET x|B MSET x 1 y 2|A GET x|A EXISTS y|B FLUSHALL|B SET x 1|A CLIENT TRACKING OFF
A CLIENT TRACKING ON OPTIN|A GET x|A CLIENT CACHING YES|A CLIENT TRACKINGINFO|A GET y|A GET z|B SET x 1|B SET y 1|B SET z 1|A CLIENT CACHING NO|A CLIENT TRACKINGINFO
A CLIENT TRACKING ON OPTOUT|A GET x|A CLIENT CACHING NO|A GET y|A GET z|B SET x 1|B SET y 1|B SET z 1|A CLIENT CACHING YES|A CLIENT TRACKING ON OPTIN
A CLIENT TRACKING ON BCAST PREFIX x PREFIX yy|A CLIENT TRACKINGINFO|B SET x 1|B SET xa 1|B SET y 1|B SET yya 1|A CLIENT TRACKING ON|A CLIENT TRACKING ON BCAST PREFIX xa|A CLIENT TRACKING ON BCAST PREFIX z|B SET z 1
A CLIENT TRACKING ON BCAST|A CLIENT TRACKINGINFO|B SET x 1|B FLUSHALL
A CLIENT TRACKING ON PREFIX x|A CLIENT TRACKING ON OPTIN OPTOUT|A CLIENT TRACKING ON BCAST OPTIN|A CLIENT TRACKING ON REDIRECT 99999|A CLIENT TRACKING ON REDIRECT x|A CLIENT TRACKING ON FOO|A CLIENT TRACKING MAYBE
A CLIENT TRACKING ON NOLOOP|A CLIENT TRACKINGINFO|A CLIENT CACHING YES|A CLIENT CACHING x|A CLIENT TRACKING OFF|A CLIENT CACHING NO|A CLIENT TRACKINGINFO
A CLIENT TRACKING ON|A GET x|A RESET|B SET x 1|A CLIENT TRACKINGINFO
A CLIENT TRACKING ON|A MULTI_GET|A GET x|B RENAME x y|B SET x 1|A GET x|B GETDEL x|A GET x|B APPEND x 1|A GET x|B EXPIRE x 100|A GET x|B PERSIST x
""".strip()


def heard_of(port, version, script):
    """What both connections hear, up to the reply to a PING after each command."""
    connections = {name: Connection(port) for name in "AB"}
    end = b"$7\r\nthe end\r\n"
    try:
        for connection in connections.values():
            connection.command("HELLO", version)
        connections["A"].command("FLUSHALL")
        heard = []
        for command in script.split("|"):
            connections[command[0]].send(encode(*command.split(" ")[1:]))
            for connection in [connections[command[0]], *(c for name, c in connections.items() if name != command[0])]:
                connection.send(encode("PING", "the end"))
                data = b""
                while not data.endswith(end):
                    data += connection.socket.recv(1 << 16)
                heard.append((command, data))
        return heard
    finally:
        for connection in connections.values():
            connection.close()


@pytest.mark.parametrize("version", [2, 3])
def test_tracking(synod_port, redis_port, version):
    for script in TRACKING.splitlines():
        mine, theirs = (heard_of(port, version, script) for port in (synod_port, redis_port))
        for one, other in zip(mine, theirs):
            assert one == other, script


def own_after_the_reply(heard):
    """Redis 7.0 tells a connection of its own message before the reply to its PUBLISH, later versions after it."""
    command, data = heard
    if " PUBLISH " not in command:
        return heard
    return command, re.sub(rb"\A((?:>[34]\r\n(?:\$\d+\r\n[^\r]*\r\n)+)+)(:\d+\r\n)", rb"\2\1", data)


@pytest.mark.parametrize("version", [2, 3])
def test_messages(synod_port, redis_port, version):
    for script in (MESSAGES + "\n" + (LIMITED if version == 2 else IN_RESP_3)).splitlines():
        mine, theirs = (heard_of(port, version, script) for port in (synod_port, redis_port))
        for one, other in zip(mine, theirs):
            assert one == own_after_the_reply(other), script
