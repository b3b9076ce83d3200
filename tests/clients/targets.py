"""What clients are run against: a cluster of Synod, a Redis Cluster, one redis-server."""

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import redis
from redis.crc import key_slot

from cluster import Cluster, free_ports, wait_until

BATCH = 500
WRITE_S = 30


def missing(client, wanted):
    """The keys that do not have the value that they should."""
    keys, gone = list(wanted), []
    for at in range(0, len(keys), BATCH):
        part = keys[at:at + BATCH]
        gone += [key for key, value in zip(part, client.mget(part)) if value != wanted[key]]
    return gone


def write(client, key, value):
    """There may be no leader yet."""

    def written():
        try:
            return client().set(key, value)
        except redis.RedisError:
            return False

    wait_until(written, WRITE_S, f"{key} written")


def answers(port):
    try:
        return redis.Redis(port=port, socket_timeout=2).ping()
    except redis.RedisError:
        return False


class Synod:
    """Three coordinators with their components, as shipped."""

    MODES = ("standalone", "cluster")
    KEEPS = True  # what was acknowledged

    def __enter__(self):
        self.cluster = Cluster("coordinator")
        self.leader = self.cluster.up()
        return self

    def __exit__(self, *_):
        self.cluster.close()

    def prefix(self, name):
        return name

    def addresses(self, mode):
        """The leader's first. A client that knows one address only has a follower's, which outlives the leader."""
        ports = [self.cluster.nodes[node].client_port for node in sorted(self.cluster.nodes, key=lambda node: node != self.leader)]
        return [f"127.0.0.1:{port}" for port in (ports[1:] if mode != "cluster" else ports)]

    def client(self):
        node = next(node for node in self.cluster.nodes.values() if self.cluster.server_of(node.id).runs)
        return redis.Redis(port=node.client_port, decode_responses=True, socket_timeout=20)

    def kill_leader(self):
        self.cluster.kill(self.leader)

    def mend(self):
        self.cluster.start()
        self.leader = self.cluster.wait_leader(settled=True)
        self.cluster.wait_settled()

    def write(self, key, value):
        write(self.client, key, value)

    def missing(self, wanted):
        return missing(self.client(), wanted)


class RedisServer:
    """One redis-server: the control. What fails here too is not Synod's fault."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="synod-redis-")
        self.port = free_ports(1)[0]
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "redis-server", "--port", str(self.port), "--dir", self.folder, "--save", ""],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )
        wait_until(lambda: answers(self.port), 10, "redis-server")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def addresses(self, mode):
        return [f"127.0.0.1:{self.port}"]

    def kill_leader(self):
        """There is none."""

    def mend(self):
        """Nothing is broken."""


class RedisCluster:
    """Three masters with a replica each. The first one is killed, and all keys are its."""

    MODES = ("cluster",)
    KEEPS = False  # replication is asynchronous
    NODE_TIMEOUT_MS = 2000  # 15,000 by default, which makes each failover take as much longer

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="synod-redis-cluster-"))
        self.ports = [port for port in free_ports(200) if port + 10000 < 65536][:6]
        self.processes = {}
        for port in self.ports:
            self.start(port)
        for port in self.ports:
            wait_until(lambda port=port: answers(port), 10, f"redis-server at {port}")
        nodes = [f"127.0.0.1:{port}" for port in self.ports]
        subprocess.run(["redis-cli", "--cluster", "create", *nodes, "--cluster-replicas", "1", "--cluster-yes"], check=True,
                       capture_output=True, timeout=60)
        self.wait_sound()
        return self

    def start(self, port):
        folder = self.folder / str(port)
        folder.mkdir(exist_ok=True)
        self.processes[port] = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "redis-server", "--port", str(port), "--cluster-enabled", "yes", "--dir", folder,
             "--cluster-node-timeout", str(self.NODE_TIMEOUT_MS), "--appendonly", "yes", "--save", ""],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )

    def __exit__(self, *_):
        for process in self.processes.values():
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def nodes(self):
        """{port: (master?, its port, slots?)} as a node that runs says."""
        port = next(port for port, process in self.processes.items() if process.poll() is None)
        return redis.Redis(port=port, decode_responses=True).cluster("NODES")

    def masters(self):
        return {int(address.rsplit(":", 1)[1]): node for address, node in self.nodes().items()
                if "master" in node["flags"] and "fail" not in node["flags"] and node["slots"]}

    def wait_sound(self):
        def sound():
            infos = [redis.Redis(port=port, decode_responses=True).cluster("INFO") for port in self.ports]
            replicas = [redis.Redis(port=port, decode_responses=True).info("replication") for port in self.ports]
            slaves = [info for info in replicas if info["role"] == "slave" and info["master_link_status"] == "up"]
            return all(info["cluster_state"] == "ok" for info in infos) and len(slaves) == 3 and len(self.masters()) == 3

        wait_until(sound, 60, "a sound Redis Cluster")

    def prefix(self, name):
        """One whose slot is the first master's."""
        self.victim, node = sorted(self.masters().items())[0]
        slots = [(int(one[0]), int(one[-1])) for one in node["slots"]]
        candidates = (f"{name}-{number}" for number in range(10000))
        return next(one for one in candidates if any(a <= key_slot(one.encode()) <= b for a, b in slots))

    def addresses(self, mode):
        return [f"127.0.0.1:{port}" for port in sorted(self.ports, key=lambda port: port != self.victim)]

    def kill_leader(self):
        self.processes[self.victim].send_signal(signal.SIGKILL)
        self.processes[self.victim].wait()

    def mend(self):
        for port, process in self.processes.items():
            if process.poll() is not None:
                self.start(port)
        time.sleep(1)
        wait_until(lambda: all(answers(port) for port in self.ports), 20, "all answer")
        self.wait_sound()

    def client(self):
        port = next(port for port, process in self.processes.items() if process.poll() is None)
        return redis.RedisCluster(host="127.0.0.1", port=port, decode_responses=True)

    def write(self, key, value):
        write(self.client, key, value)

    def missing(self, wanted):
        return missing(self.client(), wanted)
