"""What Synod is compared with, as processes in folders of their own: one Redis that syncs each write, Redis with replicas, etcd,
and RedisRaft. What makes figures comparable, and where they are not:

- One load generator (`synod bench`), the same clients, values and closed loop for all; all data on the same disk. etcd does not
  speak Redis' protocol: bench/etcd puts the same load on it through its gRPC client, with a fifth of the requests.
- Synod, etcd and RedisRaft answer when a majority has synced. One Redis syncs and has no replica; replicas promise neither: what
  such a Redis answered can be lost. These two are the halves of what Synod does.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import shared
from cluster import STOP_TIMEOUT_S, free_ports, wait_until

sys.path.insert(0, str(shared.ROOT / "tests" / "clients"))

import install  # noqa: E402

START_S = 30
ETCD_SHARE, ETCD_CONNECTIONS = 5, 50


@dataclass
class Process:
    """As a server of a cluster, as far as it is measured."""

    process: subprocess.Popen


class Peer:
    """`size`: how many processes."""

    def __init__(self, size):
        self.folder = Path(tempfile.mkdtemp(prefix="synod-peer-"))
        self.ports = free_ports(size)
        self.servers = []

    def launch(self, name, *command):
        (self.folder / name).mkdir()
        with open(self.folder / f"{name}.log", "wb") as log:
            self.servers.append(Process(subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *map(str, command)], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                cwd=self.folder / name)))

    def to(self):
        return ["--address", f"127.0.0.1:{self.ports[0]}"]

    def load(self, requests, *arguments):
        return shared.load(self, requests, *arguments, to=self.to())

    def stop(self):
        for server in self.servers:
            server.process.send_signal(signal.SIGTERM)
        for server in self.servers:
            server.process.wait(STOP_TIMEOUT_S)

    def close(self):
        for server in self.servers:
            server.process.kill()
            server.process.wait()
        shutil.rmtree(self.folder)


def needed(program, package):
    found = shutil.which(program)
    assert found, f"no {program} on this machine: apt-get install {package}"
    return found


class Redis(Peer):
    """Syncs as it is told, and has replicas if there is more than one process."""

    def __init__(self, size, fsync):
        super().__init__(size)
        self.fsync = fsync

    def call(self, port, *command):
        return subprocess.run([needed("redis-cli", "redis-tools"), "-p", str(port), *command], capture_output=True, text=True).stdout

    def up(self):
        for number, port in enumerate(self.ports):
            follows = ["--replicaof", "127.0.0.1", str(self.ports[0])] if number > 0 else []
            self.launch(f"redis-{number}", needed("redis-server", "redis-server"), "--port", port, "--bind", "127.0.0.1", "--save", "",
                        "--appendonly", "yes", "--appendfsync", self.fsync, *follows)
            wait_until(lambda port=port: "PONG" in self.call(port, "ping"), START_S, f"a Redis at {port}")
        for port in self.ports[1:]:
            wait_until(lambda port=port: "master_link_status:up" in self.call(port, "info", "replication"), START_S, f"a replica at {port}")


class RedisRaft(Redis):
    """Built by hand: REDISRAFT_MODULE and REDISRAFT_REDIS name the module and the redis-server that it was built for."""

    def __init__(self, size):
        super().__init__(size, "no")  # it has a log of its own

    def up(self):
        module, program = (os.environ.get(name) for name in ("REDISRAFT_MODULE", "REDISRAFT_REDIS"))
        assert module and program, "redisraft needs REDISRAFT_MODULE=redisraft.so and REDISRAFT_REDIS=redis-server"
        for number, port in enumerate(self.ports):
            self.launch(f"raft-{number}", program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--loadmodule", module,
                        "--raft.addr", f"127.0.0.1:{port}", "--raft.log-fsync", "yes", "--raft.follower-proxy", "yes")
            wait_until(lambda port=port: "PONG" in self.call(port, "ping"), START_S, f"a RedisRaft at {port}")
            join = ["init"] if number == 0 else ["join", f"127.0.0.1:{self.ports[0]}"]
            wait_until(lambda port=port, join=join: "OK" in self.call(port, "raft.cluster", *join), START_S, f"a cluster at {port}")
        wait_until(lambda: "OK" in self.call(self.ports[0], "set", "ready", "yes"), START_S, "a leader of RedisRaft")


class Etcd(Peer):
    def __init__(self, size):
        super().__init__(size)
        self.peer_ports = [port for port in free_ports(2 * size) if port not in self.ports][:size]

    def ctl(self, *command):
        endpoints = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        done = subprocess.run([needed("etcdctl", "etcd-client"), "--endpoints", endpoints, *command], capture_output=True, text=True,
                              env={**os.environ, "ETCDCTL_API": "3"})
        return done.stdout if done.returncode == 0 else ""

    def up(self):
        urls = [f"http://127.0.0.1:{port}" for port in self.peer_ports]
        for number, (port, url) in enumerate(zip(self.ports, urls)):
            client = f"http://127.0.0.1:{port}"
            self.launch(f"etcd-{number}", needed("etcd", "etcd-server"), "--name", f"node{number}", "--data-dir", "data",
                        "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", url,
                        "--initial-advertise-peer-urls", url, "--initial-cluster-state", "new", "--logger", "zap", "--log-level", "error",
                        "--initial-cluster", ",".join(f"node{i}={peer}" for i, peer in enumerate(urls)))
        wait_until(lambda: len(self.leader()) == 1, START_S, "a leader of etcd")

    def leader(self):
        lines = (line.split(", ") for line in self.ctl("endpoint", "status", "-w", "simple").splitlines())
        return [fields[0] for fields in lines if fields[4] == "true"]

    def load(self, requests, *arguments):
        options = dict(zip(arguments[::2], arguments[1::2]))
        if options.get("--command") != "set" or "--pipeline" in options:
            return None
        clients = int(options["--connections"])
        words, _ = install.go("etcd-load", shared.ROOT / "bench" / "etcd")
        few = max(requests // ETCD_SHARE, 1)
        before = shared.cpu_us(self)
        done = subprocess.run([*map(str, words), self.leader()[0], str(clients), str(ETCD_CONNECTIONS), str(few),
                               str(options.get("--value-size", 64)), str(options["--keyspace"])], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) | {"server_us": (shared.cpu_us(self)[1] - before[1]) / few}


# By name, what makes one with so many nodes.
KINDS = {
    "redis:always": lambda size: Redis(1, "always"),  # alone, whatever the others are
    "redis:replicas": lambda size: Redis(size, "everysec"),
    "etcd": Etcd,
    "redisraft": RedisRaft,
}
