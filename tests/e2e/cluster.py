"""Clusters for tests: real processes of the `synod` command in a folder of their own, on free ports.

Conditions are waited for, with deadlines, never slept for. All processes are started from the main thread, ended by
their ids, and die with the test run whatever happens to it."""

import functools
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import resp

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD", ROOT / "build"))
SYNOD = os.environ.get("SYNOD", str(BUILD / "bin" / "synod"))

POLL_S = 0.01
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 20
LOG_TAIL_BYTES = 4000
FIRST_PORT, PORTS_OF_A_RUN = 10000, 1000

claim = socket.socket(socket.AF_UNIX)  # of a part of the ports

# Exit codes of the command (docs/configuration.md).
OK, TROUBLE, BAD_INPUT, BAD_DATA, SYNC_FAILED, CHECK_FAILED, DIVERGED, REMOVED = range(8)


def wait_until(condition, timeout_s, what):
    """Asks until the condition holds and returns what it gave. `what`: a text, or a function that gives one at the end."""
    deadline = time.monotonic() + timeout_s
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what() if callable(what) else what}")
        time.sleep(POLL_S)
    return result


def program(name):
    """The path of another program of this project, which lies beside the command."""
    return str(Path(SYNOD).parent / name)


def run(*arguments, command=SYNOD, timeout_s=60, **more):
    """Runs the command to its end, and returns what subprocess.run does."""
    return subprocess.run(
        [command, *map(str, arguments)], capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL, **more
    )


@functools.cache
def own_ports():
    """The ports that this process may use: below those that the system gives to outgoing connections, and no other run of tests
    on this machine has them. So a node that is killed finds its port free when it comes back."""
    first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    count = (first_outgoing - FIRST_PORT) // PORTS_OF_A_RUN
    for i in range(count):
        try:
            claim.bind(f"\0synod-tests-ports-{i}")  # a name without a file, which is free again when this process ends
        except OSError:
            continue
        return range(FIRST_PORT + i * PORTS_OF_A_RUN, FIRST_PORT + (i + 1) * PORTS_OF_A_RUN)
    raise AssertionError(f"{count} runs of tests have all ports")


def free_ports(count):
    """Ports that nobody uses now."""
    ports = set()
    while len(ports) < count:
        port = random.choice(own_ports())
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.add(port)
    return list(ports)


@dataclass
class Node:
    id: int
    role: str
    port: int
    client_port: int

    @property
    def proposes(self):
        return self.role in ("coordinator", "proposer")

    @property
    def executes(self):
        return self.role in ("coordinator", "learner")


class Server:
    """A process that hosts nodes."""

    def __init__(self, name, nodes, arguments, log, environment):
        self.name, self.nodes, self.arguments, self.log_file, self.environment = name, nodes, arguments, log, environment
        self.process = None

    def start(self, environment=None, stderr=None, prepare=None):
        """`stderr`: where the log goes instead of the log file. `prepare`: called in the new process before the command runs."""
        with open(self.log_file, "ab") as log:
            # setpriv: the child dies with us, however we end.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", SYNOD, "start", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log if stderr is None else stderr,
                env=os.environ | self.environment | (environment or {}),
                preexec_fn=prepare,
            )

    @property
    def runs(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.runs:
            self.process.send_signal(number)

    def wait(self, timeout_s=STOP_TIMEOUT_S):
        """Waits for its end. Returns the exit code."""
        return self.process.wait(timeout_s)

    def peak_bytes(self):
        """The most memory that its process has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def log_tail(self):
        return self.log()[-LOG_TAIL_BYTES:]


class Cluster:
    """A cluster of one of the deployments. Timings are the defaults unless `settings` says otherwise; journals are smaller, so that
    many clusters in a row do not keep the disk busy with zeros."""

    ROLES = {"coordinator": ["coordinator"], "standalone": ["learner", "acceptor", "proposer"]}
    ROLES["shared"] = ROLES["standalone"]
    MORE = {"coordinator": {}, "standalone": {"acceptors_send_learns": True}}
    MORE["shared"] = MORE["standalone"]
    not_closed = []

    def __init__(self, deployment="coordinator", settings=None, leader_rule=None, native=False, environment=None, name="test",
                 choices=None, size=3):
        """`size`: nodes of each role. `choices`: what the nodes' parts are, {"network": "guest-tcp", "storage": ..., "serializer": ...}; by node where a key is
        a node's id."""
        self.folder = Path(tempfile.mkdtemp(prefix="synod-e2e-"))
        self.config_file = self.folder / "cluster.yaml"
        self.data = self.folder / "data"
        self.deployment, self.name = deployment, name
        self.choices = choices or {}
        self.leader_rule = leader_rule or ("sticky" if deployment == "coordinator" else "highest")
        self.settings = {"segment_bytes": "4 MiB"} | self.MORE[deployment] | (settings or {})
        roles = [role for role in self.ROLES[deployment] for _ in range(size)]
        ports = free_ports(2 * len(roles))
        self.nodes = {i + 1: Node(i + 1, role, ports[2 * i], ports[2 * i + 1]) for i, role in enumerate(roles)}
        self.write_config()
        self.servers = self._plan(["--native"] if native else [], environment or {})
        self.not_closed.append(self)

    def _plan(self, more, environment):
        if self.deployment == "shared":
            groups = [("--group", number, [number, number + 3, number + 6]) for number in (1, 2, 3)]
        else:
            groups = [("--node", number, [number]) for number in self.nodes]
        return [
            Server(
                f"{option[2:]} {number}",
                nodes,
                ["--config", str(self.config_file), option, str(number), *more],
                self.folder / f"{option[2:]}-{number}.log",
                environment,
            )
            for option, number, nodes in groups
        ]

    # ---- configuration ----

    def yaml(self):
        lines = [f"cluster: {self.name}", f"leader_rule: {self.leader_rule}", "data: data"]
        lines += [f"{key}: {value}" for key, value in self.choices.items() if not isinstance(key, int)]
        lines.append("nodes:")
        for node in self.nodes.values():
            own = "".join(f", {key}: {value}" for key, value in self.choices.get(node.id, {}).items())
            lines.append(
                f'  - {{id: {node.id}, role: {node.role}, address: "127.0.0.1:{node.port}", client: "127.0.0.1:{node.client_port}"{own}}}'
            )
        if self.deployment == "shared":
            lines.append("groups: [[1, 4, 7], [2, 5, 8], [3, 6, 9]]")
        lines.append("settings:")
        for key, value in self.settings.items():
            lines.append(f"  {key}: {str(value).lower() if isinstance(value, bool) else value}")
        return "\n".join(lines) + "\n"

    def write_config(self):
        """Puts the whole file in place at once: a node that is being started may read it at any moment."""
        written = self.config_file.with_suffix(".new")
        written.write_text(self.yaml())
        written.replace(self.config_file)

    def node_folder(self, node):
        return self.data / f"node-{node}"

    # ---- processes ----

    def server_of(self, node):
        return next(server for server in self.servers if node in server.nodes)

    def init(self, environment=None):
        done = run("init", "--config", self.config_file, "--all", env=os.environ | (environment or {}))
        assert done.returncode == OK, done.stderr

    def start(self, *nodes, environment=None):
        """Starts the processes of these nodes, or all that do not run."""
        for server in self.servers:
            if not server.runs and (not nodes or any(node in server.nodes for node in nodes)):
                server.start(environment)

    def up(self):
        """Formats, starts, and waits for a leader that stays."""
        self.init()
        self.start()
        return self.wait_leader(settled=True)

    def kill(self, *nodes):
        """kill -9 of the processes of these nodes, all at once; returns when they are gone."""
        servers = {id(server): server for server in map(self.server_of, nodes)}.values()
        for server in servers:
            server.signal(signal.SIGKILL)
        for server in servers:
            if server.process is not None:
                server.wait()

    def kill_all(self):
        self.kill(*self.nodes)

    def stop(self, *nodes):
        """SIGTERM to the processes of these nodes, or to all; they must end with 0."""
        servers = [server for server in self.servers if server.runs and (not nodes or any(n in server.nodes for n in nodes))]
        for server in servers:
            server.signal(signal.SIGTERM)
        for server in servers:
            code = server.wait()
            assert code == OK, f"{server.name} ended with exit code {code} after SIGTERM:\n{server.log_tail()}"

    def close(self):
        self.not_closed.remove(self)
        self.kill_all()
        if os.environ.get("SYNOD_KEEP"):
            print(f"kept {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def check_alive(self, *nodes):
        """Fails when the process of one of these nodes, or any that was started, has ended."""
        for server in self.servers:
            if server.process is None or (nodes and not any(node in server.nodes for node in nodes)):
                continue
            code = server.process.poll()
            assert code is None, f"{server.name} ended with {code}; the end of its log:\n{server.log_tail()}"

    # ---- clients and state ----

    def connect(self, node, timeout_s=5.0):
        return resp.Connection(self.nodes[node].client_port, timeout_s=timeout_s)

    def client_ports(self):
        """Client ports of the nodes that take commands."""
        return [node.client_port for node in self.nodes.values() if node.proposes]

    def info(self, node):
        """What INFO says, without the prefix `synod_`; None when the node does not answer."""
        try:
            with self.connect(node, timeout_s=1.0) as connection:
                text = connection.call("INFO").decode()
        except (OSError, resp.ReplyError):
            return None
        pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
        return {key.removeprefix("synod_"): int(value) if value.isdecimal() and key != "synod_state_hash" else value
                for key, value in pairs}

    def leader(self, but=()):
        """The node that leads, as it says itself; the one with the highest ballot, should two think so. None: none."""
        found = []
        for node in self.nodes.values():
            if not node.proposes or node.id in but or not self.server_of(node.id).runs:
                continue
            info = self.info(node.id)
            if info and info["leader"] == node.id and info["proposer_state"] == "leading":
                found.append(([int(part) for part in info["ballot"].split(".")], node.id))
        return max(found)[1] if found else None

    def agreed_leader(self):
        """The leader that all nodes that run know, as their clients are told, and who is to lead by the rule; or None."""
        leader = self.leader()
        running = [node for node in self.nodes.values() if self.server_of(node.id).runs]
        if leader and self.leader_rule == "highest" and leader != max(node.id for node in running if node.proposes):
            return None
        infos = [self.info(node.id) for node in running] if leader else []
        return leader if all(info and info["leader"] == leader for info in infos) else None

    def wait_leader(self, timeout_s=START_TIMEOUT_S, settled=False):
        """The leader, as soon as there is one. `settled`: one on which all agree, several times in a row; while nodes start one after
        another, the first one may not be the last."""
        seen = []

        def condition():
            self.check_running()
            seen.append(self.agreed_leader() if settled else self.leader())
            return seen[-1] if len(set(seen[-5:])) == 1 and (not settled or len(seen) >= 5) else None

        return wait_until(condition, timeout_s, lambda: f"a leader; {self.describe()}")

    def check_running(self):
        """Fails when a process ended by itself (not by kill or stop)."""
        for server in self.servers:
            if server.process is not None and (code := server.process.poll()) is not None and code > 0:
                raise AssertionError(f"{server.name} ended with exit code {code}; the end of its log:\n{server.log_tail()}")

    def states(self):
        """{node: INFO} of all nodes that execute and run."""
        return {n.id: self.info(n.id) for n in self.nodes.values() if n.executes and self.server_of(n.id).runs}

    def wait_settled(self, timeout_s=30):
        """Waits until all that execute stand at the same slot, and none knows of anything chosen beyond; checks that they have the
        same state. Returns the slot."""

        def condition():
            self.check_running()
            infos = {n.id: self.info(n.id) for n in self.nodes.values() if self.server_of(n.id).runs}
            if not all(infos.values()):
                return None
            states = {node: info for node, info in infos.items() if self.nodes[node].executes}
            slots = {state["executed"] for state in states.values()}
            return states if len(slots) == 1 and max(info["chosen"] for info in infos.values()) <= min(slots) else None

        states = wait_until(condition, timeout_s, lambda: f"all at the same slot; {self.describe()}")
        hashes = {node: state["state_hash"] for node, state in states.items()}
        assert len(set(hashes.values())) == 1, f"states differ at slot {next(iter(states.values()))['executed']}: {hashes}"
        return next(iter(states.values()))["executed"]

    def wait_caught_up(self, node, timeout_s=30):
        """Waits until a node has executed all that any other had executed when this was called."""
        target = max(state["executed"] for state in self.states().values() if state)

        def condition():
            self.check_running()
            state = self.info(node)
            return state and state["executed"] >= target

        wait_until(condition, timeout_s, lambda: f"node {node} at slot {target}; {self.describe()}")

    def describe(self):
        parts = []
        for node in self.nodes.values():
            info = self.info(node.id) if self.server_of(node.id).runs else None
            keys = ("leader", "proposer_state", "ballot", "promised", "chosen", "executed", "held", "state_hash")
            parts.append(f"node {node.id} ({node.role}): " + (", ".join(f"{k} {info[k]}" for k in keys) if info else "no answer"))
        return "\n  ".join(["", *parts])

    def log(self, node):
        return self.server_of(node).log()
