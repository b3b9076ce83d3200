"""Members of a running cluster: one is added, one loses its disk and gets another, one is removed, while clients write and read; the
history is linearizable. The commands are those of docs/operations.md."""

import shutil
import socket
import subprocess
import threading
import time

import pytest

from cluster import BAD_DATA, BAD_INPUT, OK, REMOVED, ROOT, SYNOD, TROUBLE, Node, Server, free_ports, run, wait_until
from history import Load
from resp import encode

SERVICE_S = 30  # until a node is in service again


def member(cluster, *words):
    return run("member", *words, "--config", cluster.config_file)


def done(process):
    assert process.returncode == OK, process.stderr
    return process.stdout


def members(cluster):
    """{node: [role, state, number of its disk, address, client address]}"""
    lines = done(member(cluster, "list")).splitlines()
    return {int(line.split()[0]): line.split()[1:] for line in lines[3:]}


def formed(cluster):
    wait_until(lambda: member(cluster, "list").returncode == OK, 20, lambda: f"formation: {member(cluster, 'list').stderr}")


def settled(cluster):
    wait_until(lambda: "still needed" not in done(member(cluster, "list")), 20, lambda: member(cluster, "list").stdout)


def full(cluster, node):
    """Waits until a node is a full member, and the configuration before is over."""
    wait_until(lambda: members(cluster)[node][1] == "full", SERVICE_S, lambda: f"{members(cluster)}; {cluster.describe()}")
    settled(cluster)


def joins(cluster, node):
    done(run("init", "--config", cluster.config_file, "--node", node, "--join"))
    cluster.server_of(node).start()


def add_to_file(cluster, node):
    """The file that all nodes start with: those that run do not read it again."""
    ports = free_ports(2)
    cluster.nodes[node] = Node(node, "coordinator", *ports)
    cluster.write_config()
    more = cluster.servers[0].arguments[4:]
    cluster.servers.append(Server(f"node {node}", [node], ["--config", str(cluster.config_file), "--node", str(node), *more],
                                  cluster.folder / f"node-{node}.log", cluster.servers[0].environment))


@pytest.mark.parametrize("kind", ["native", "components", "udp", "grpc"])
def test_members_change_under_load(make_cluster, kind):
    network = {"udp": {"network": "host-udp"}, "grpc": {"network": "grpc"}}.get(kind)
    cluster = make_cluster(native=kind != "components", choices=network)
    cluster.up()
    formed(cluster)
    assert [members(cluster)[node][1] for node in (1, 2, 3)] == ["full"] * 3
    with Load(cluster.client_ports()) as load:
        load.wait_answers(300)

        # a fourth node
        add_to_file(cluster, 4)
        assert "it would be done" in done(member(cluster, "add", 4, "--dry-run"))
        assert 4 not in members(cluster)
        assert "done" in done(member(cluster, "add", 4))
        joins(cluster, 4)
        full(cluster, 4)
        cluster.wait_caught_up(4)
        assert done(run("settings", "get", "phase1_quorum", "--config", cluster.config_file)) == "3\n"
        load.wait_answers(300)

        # a lost disk
        lost = next(node for node in (1, 2, 3) if node != cluster.leader())
        since = time.monotonic_ns()
        cluster.kill(lost)
        old = cluster.folder / "old"
        shutil.move(cluster.node_folder(lost), old)
        assert "done" in done(member(cluster, "replace", lost))
        joins(cluster, lost)
        settled(cluster)
        cluster.wait_caught_up(lost, SERVICE_S)
        assert members(cluster)[lost][2] == "2"  # 1 was what replaced it, 2 the folder that joined
        load.wait_answers(300, since=since)

        # one goes: also the one that leads
        leader = cluster.wait_leader(settled=True)
        assert "done" in done(member(cluster, "remove", leader))
        removed = cluster.server_of(leader)
        assert removed.wait(SERVICE_S) == REMOVED, removed.log_tail()
        assert f"node {leader} was removed in slot " in removed.log()
        del cluster.nodes[leader]
        cluster.servers.remove(removed)
        since = time.monotonic_ns()
        load.wait_answers(300, since=since)
        settled(cluster)
    cluster.wait_settled()
    load.read_back(cluster.nodes[cluster.leader()].client_port)
    load.judge()

    # the old disk of the replaced node comes back
    cluster.stop(lost)
    new = cluster.folder / "new"
    shutil.move(cluster.node_folder(lost), new)
    shutil.move(old, cluster.node_folder(lost))
    server = cluster.server_of(lost)
    server.start()
    assert server.wait(SERVICE_S) == REMOVED, server.log_tail()
    assert f"node {lost}'s disk was replaced in slot " in server.log()
    server.process = None
    shutil.rmtree(cluster.node_folder(lost))
    shutil.move(new, cluster.node_folder(lost))
    cluster.start(lost)
    cluster.wait_caught_up(lost)

    # and all of it after a restart of all
    cluster.stop()
    cluster.start()
    cluster.wait_leader(settled=True)
    cluster.wait_settled()
    assert set(members(cluster)) == set(cluster.nodes)


def test_sandbox_hears_new_disks(make_cluster):
    """Nodes whose network, or whose storage, is in the sandbox hear the disk that takes the place of a lost one while they run: each is
    needed once for a quorum with it."""
    cluster = make_cluster(choices={1: {"network": "guest-tcp"}, 2: {"storage": "guest"}})
    cluster.up()
    formed(cluster)
    with Load(cluster.client_ports()) as load:
        load.wait_answers(100)
        cluster.kill(3)
        shutil.rmtree(cluster.node_folder(3))
        wait_until(lambda: cluster.leader(but=(3,)), 20, "another leader")
        load.wait_answers(100)
        assert "done" in done(member(cluster, "replace", 3))
        joins(cluster, 3)
        settled(cluster)
        cluster.wait_caught_up(3, SERVICE_S)
        for other in (2, 1):
            cluster.stop(other)
            since = time.monotonic_ns()
            load.wait_answers(100, since=since)
            cluster.start(other)
            cluster.wait_caught_up(other, SERVICE_S)
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    load.judge()


@pytest.mark.parametrize("network", ["host-tcp", "guest-tcp", "host-udp", "grpc"])
def test_all_others_are_replaced(make_cluster, network):
    """A node was down while each of the others got another disk: it knows none of these, and they are all that there is."""
    cluster = make_cluster(choices={5: {"network": network}} if network.startswith("guest") else {"network": network},
                           native=not network.startswith("guest"), size=5)
    cluster.up()
    formed(cluster)
    with Load(cluster.client_ports()) as load:
        load.wait_answers(100)
        cluster.kill(5)
        for lost in (1, 2, 3, 4):
            cluster.kill(lost)
            shutil.rmtree(cluster.node_folder(lost))
            wait_until(lambda: "done" in member(cluster, "replace", lost).stdout, 20, f"another disk for node {lost}")
            joins(cluster, lost)
            settled(cluster)
            cluster.wait_caught_up(lost, SERVICE_S)
        cluster.start(5)
        cluster.wait_caught_up(5, SERVICE_S)
        cluster.kill(1, 2)  # now it is needed
        since = time.monotonic_ns()
        load.wait_answers(100, since=since)
        cluster.start()
    cluster.wait_settled()
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    load.judge()
    assert "it is heard" in cluster.server_of(5).log()


def documented(heading):
    """The commands in a section of docs/operations.md, without comments."""
    text = (ROOT / "docs" / "operations.md").read_text()
    section = text.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    block = section.split("```sh\n", 1)[1].split("```", 1)[0]
    return [line.split("#")[0].split() for line in block.splitlines()]


def test_operations(make_cluster):
    """The commands of docs/operations.md, as they stand there, in a folder with such a file."""
    cluster = make_cluster(native=True)
    cluster.up()
    formed(cluster)

    def follow(heading):
        commands = documented(heading)
        for program, verb, *words in commands:
            assert program == "synod"
            if verb == "start":
                node = int(words[words.index("--node") + 1])
                assert words == ["--config", "cluster.yaml", "--node", str(node)]
                cluster.server_of(node).start()
            else:
                settled(cluster)  # a change is refused while the one before is under way
                done(run(verb, *words, cwd=cluster.folder))
        return commands

    assert follow("## Members")
    add_to_file(cluster, 4)
    assert follow("### Adding a node")
    full(cluster, 4)
    if cluster.leader() == 2:
        done(run("leader", "move", 1, "--config", cluster.config_file))
        settled(cluster)
    cluster.kill(2)
    shutil.rmtree(cluster.node_folder(2))
    assert follow("### A lost disk")
    settled(cluster)
    cluster.wait_caught_up(2)
    assert follow("### Removing a node")
    assert cluster.server_of(3).wait(SERVICE_S) == REMOVED
    cluster.server_of(3).process = None
    settled(cluster)
    assert follow("### Changing a setting")
    settled(cluster)
    assert done(run("settings", "get", "phase1_quorum", "--config", cluster.config_file)) == "3\n"


def test_what_is_refused(make_cluster):
    cluster = make_cluster(native=True)
    cluster.init()
    cluster.start(1, 2)  # not all: the cluster serves, and has not formed
    wait_until(lambda: cluster.leader(), 20, "a leader")
    process = member(cluster, "remove", 3)
    assert process.returncode == TROUBLE and "has not formed yet" in process.stderr
    cluster.start()
    cluster.wait_leader(settled=True)
    formed(cluster)
    for words, code, text in (
        (("add", 2), TROUBLE, "this node is a member already"),
        (("add", 9), BAD_INPUT, "It is not in the configuration file"),
        (("remove", 9), TROUBLE, "there is no such member"),
        (("remove",), BAD_INPUT, "wants list, or one of add, remove and replace"),
        (("remove", 64), BAD_INPUT, "wants list, or one of add, remove and replace"),
    ):
        process = member(cluster, *words)
        assert (process.returncode, text in process.stderr) == (code, True), process.stderr
    process = run("init", "--config", cluster.config_file, "--node", 3, "--join")
    assert process.returncode == TROUBLE and "node 3 was started with its disk (number 0) already" in process.stderr
    process = run("settings", "set", "memory_bytes_max", "64 MiB", "--config", cluster.config_file)
    assert process.returncode == TROUBLE and "one that cannot be changed while a cluster runs" in process.stderr
    process = run("settings", "set", "phase1_quorum", "1", "--config", cluster.config_file)
    assert process.returncode == TROUBLE and "any two quorums must meet" in process.stderr
    process = run("init", "--config", cluster.config_file, "--node", 1, "--regovern")
    assert process.returncode != OK
    # With one of three dead, another one cannot go: a quorum would not be there.
    leader = cluster.leader()
    dead, alive = [node for node in (1, 2, 3) if node != leader]
    cluster.kill(dead)
    wait_until(lambda: "not safe now" in member(cluster, "remove", alive, "--dry-run").stderr, 20, "that it is not safe")
    assert "done" in done(member(cluster, "remove", dead))


def put(cluster, first, count, size=20000):
    """Sets so many keys, each with a value of this size; what was answered."""
    with cluster.connect(cluster.wait_leader(settled=True), timeout_s=20) as connection:
        connection.send(b"".join(encode("SET", f"filler:{i}", b"v" * size) for i in range(first, first + count)))
        replies = [connection.receive() for _ in range(count)]
    return {reply if isinstance(reply, str) else reply.code for reply in replies}


@pytest.mark.parametrize("kind", ["native", "components"])
def test_the_size_of_the_state_changes_under_load(make_cluster, kind):
    """All nodes take it from one slot on: their states stay equal, also that of one that was away, of one that joins with a snapshot,
    and of all after a restart with the old file."""
    cluster = make_cluster(native=kind == "native", settings={"snapshot_bytes": "256 KiB", "state_bytes_max": "1 MiB"})
    cluster.up()
    formed(cluster)
    config = ("--config", cluster.config_file)
    size = lambda *words: run("settings", "set", "state_bytes_max", *words, *config)
    assert put(cluster, 0, 40) == {"OK"}
    with Load(cluster.client_ports()) as load:
        load.wait_answers(300)
        assert put(cluster, 40, 20) == {"OK", "OOM"}
        assert "it would be done" in done(size("2MiB", "--dry-run"))
        assert "done" in done(size("2 MiB"))
        settled(cluster)
        assert put(cluster, 40, 20) == {"OK"}
        too_large = size("3GiB", "--dry-run")
        assert too_large.returncode == TROUBLE and "too little memory (memory_bytes_max) on node 1" in too_large.stderr

        away = next(node for node in (1, 2, 3) if node != cluster.leader())
        cluster.kill(away)
        assert "done" in done(size("256KiB"))
        cluster.start(away)
        settled(cluster)
        assert put(cluster, 60, 1) == {"OOM"}
        assert put(cluster, 0, 60) == {"OK"}  # these take the place of what is there
        cluster.wait_caught_up(away)

        add_to_file(cluster, 4)
        assert "done" in done(member(cluster, "add", 4))
        joins(cluster, 4)
        full(cluster, 4)
        cluster.wait_caught_up(4)
        load.wait_answers(300, since=time.monotonic_ns())
    cluster.wait_settled()
    load.read_back(cluster.nodes[cluster.leader()].client_port)
    load.wrong = [answer for answer in load.wrong if not str(answer[2]).startswith("OOM ")]
    load.judge()

    cluster.stop()
    cluster.start()
    assert put(cluster, 60, 1) == {"OOM"}
    assert done(run("settings", "get", "state_bytes_max", *config)) == "262144\n"
    cluster.wait_settled()

    # What a node has no memory for is refused at its next start.
    assert "done" in done(size("2 GiB", "--force"))
    settled(cluster)
    assert put(cluster, 60, 1) == {"OK"}
    cluster.stop(2)
    server = cluster.server_of(2)
    server.start()
    assert server.wait(SERVICE_S) == BAD_INPUT and "and memory_bytes_max has room for" in server.log()
    server.process = None
    cluster.settings["memory_bytes_max"] = "4 GiB"
    cluster.write_config()
    cluster.start(2)
    cluster.wait_caught_up(2)
    cluster.wait_settled()


@pytest.mark.parametrize("kind", ["native", "components"])
def test_alpha_changes_under_load(make_cluster, kind):
    """Up and down, with a node that is away meanwhile, one that joins, and a restart with the old file."""
    cluster = make_cluster(native=kind == "native", settings={"alpha": 8, "segment_bytes": "1 MiB"})
    cluster.up()
    formed(cluster)
    config = ("--config", cluster.config_file)
    with Load(cluster.client_ports()) as load:
        load.wait_answers(300)
        away = next(node for node in (1, 2, 3) if node != cluster.leader())
        cluster.kill(away)
        for alpha in (1024, 1, 64):
            assert "it would be done" in done(run("settings", "set", "alpha", alpha, "--dry-run", *config))
            assert "done" in done(run("settings", "set", "alpha", alpha, *config))
            settled(cluster)
            load.wait_answers(200, since=time.monotonic_ns())
            assert "done" in done(run("settings", "set", "acceptors_send_learns", "false" if alpha == 1 else "true", *config))
            settled(cluster)
            if alpha == 1:
                cluster.start(away)
                cluster.wait_caught_up(away)
        add_to_file(cluster, 4)
        assert "done" in done(member(cluster, "add", 4))
        joins(cluster, 4)
        full(cluster, 4)
        cluster.wait_caught_up(4)
    cluster.wait_settled()
    load.read_back(cluster.nodes[cluster.leader()].client_port)
    load.judge()
    cluster.stop()
    cluster.start()
    assert put(cluster, 0, 100, 100) == {"OK"}
    assert done(run("settings", "get", "alpha", *config)) == "64\n"
    cluster.wait_settled()


def joins_elsewhere(cluster, node, name):
    """A folder of the node on another machine, which is not started: its path."""
    file = cluster.folder / f"{name}.yaml"
    data = cluster.folder / name
    file.write_text(f"data: {data}\n" + "".join(line for line in cluster.config_file.read_text().splitlines(True)
                                              if not line.startswith("data:")))
    done(run("init", "--config", file, "--node", node, "--join"))
    return data / f"node-{node}"


def instance_of(folder):
    return next(line.split()[1] for line in (folder / "identity").read_text().splitlines() if line.startswith("instance "))


def test_two_folders_join(make_cluster):
    """The second one joins before the first has been heard by anybody: they are two instances, and the first one is out."""
    cluster = make_cluster(native=True)
    cluster.up()
    formed(cluster)
    leader = cluster.leader()
    lost = next(node for node in (1, 2, 3) if node != leader)
    cluster.kill(lost)
    shutil.rmtree(cluster.node_folder(lost))
    assert "done" in done(member(cluster, "replace", lost))
    first = joins_elsewhere(cluster, lost, "first")
    second = joins_elsewhere(cluster, lost, "second")
    assert instance_of(first) != instance_of(second)
    assert members(cluster)[lost][2] == "3"
    shutil.move(first, cluster.node_folder(lost))
    server = cluster.server_of(lost)
    server.start()
    assert server.wait(SERVICE_S) == REMOVED, server.log_tail()
    server.process = None
    shutil.rmtree(cluster.node_folder(lost))
    shutil.move(second, cluster.node_folder(lost))
    cluster.start(lost)
    cluster.wait_caught_up(lost, SERVICE_S)


class Between:
    """A client port that passes on what is said. It keeps the first request that says `word` until it is `released`, or passes it
    on at once and loses the answer (`loses`)."""

    def __init__(self, port, word, loses):
        self.port, self.word, self.loses = port, word, loses
        self.met, self.released = threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client, socket.create_connection(("127.0.0.1", self.port)) as node:
                asked = client.recv(65536)
                meets = self.word in asked and not self.met.is_set()
                if meets:
                    self.met.set()
                if meets and not self.loses:
                    self.released.wait()
                node.sendall(asked)
                answer = node.recv(65536)
                if meets and self.loses:
                    continue
                while answer:
                    client.sendall(answer)
                    if len(answer) < 65536:
                        break
                    answer = node.recv(65536)
                client.recv(1)


def test_one_folder_joins_twice(make_cluster):
    """The second one finds the folder in use while the first one asks, so it does not replace the instance of that."""
    cluster = make_cluster(native=True)
    cluster.up()
    formed(cluster)
    leader = cluster.leader()
    lost, other = (node for node in (1, 2, 3) if node != leader)
    cluster.kill(lost)
    shutil.rmtree(cluster.node_folder(lost))
    assert "done" in done(member(cluster, "replace", lost))
    held = [Between(cluster.nodes[node].client_port, b"REPLACE", loses=False) for node in (leader, other)]
    text = cluster.config_file.read_text()
    for node, between in zip((leader, other), held):
        text = text.replace(f"127.0.0.1:{cluster.nodes[node].client_port}", between.address)
    file = cluster.folder / "held.yaml"
    file.write_text(text)
    command = [SYNOD, "init", "--config", str(file), "--node", str(lost), "--join"]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: any(between.met.is_set() for between in held), SERVICE_S, "that it asks")
        second = run("init", "--config", cluster.config_file, "--node", lost, "--join")
        assert second.returncode == BAD_DATA and f"is already in use by process {first.pid}" in second.stderr, second
    finally:
        for between in held:
            between.released.set()
        _, stderr = first.communicate(timeout=60)
    assert first.returncode == OK, stderr
    assert members(cluster)[lost][2] == "2"  # 1 was what replaced it, 2 the folder that joined
    cluster.start(lost)
    cluster.wait_caught_up(lost, SERVICE_S)


def test_lost_answers(make_cluster):
    cluster = make_cluster(native=True)
    cluster.up()
    formed(cluster)
    leader = cluster.leader()
    lost = next(node for node in (1, 2, 3) if node != leader)
    cluster.kill(lost)
    port = Between(cluster.nodes[leader].client_port, b"REPLACE", loses=True)
    out = done(run("member", "replace", lost, "--via", port.address))
    assert port.met.is_set() and "done: the configuration of slot " in out and "disk number 1" in out
    instance = out.splitlines()[0].split()[-1]
    settled(cluster)
    # Once more: with the same instance id it is done already; with the number of the lost disk nothing is to be done.
    out = done(member(cluster, "replace", lost, "--instance", instance))
    assert "done: the configuration of slot " in out
    shutil.rmtree(cluster.node_folder(lost))
    joins(cluster, lost)
    out = done(member(cluster, "replace", lost, "--disk", 0))
    assert "nothing was done: " in out and out.endswith("the node has disk number 2\n")
    assert members(cluster)[lost][2] == "2"
    cluster.wait_caught_up(lost, SERVICE_S)
    settled(cluster)

    # The operator's own word: for one folder, without another change.
    cluster.kill(lost)
    shutil.rmtree(cluster.node_folder(lost))
    instance = "0123456789abcdef0123456789abcdef"
    assert "done" in done(member(cluster, "replace", lost, "--disk", 2, "--instance", instance))
    process = run("init", "--config", cluster.config_file, "--node", lost, "--join", "--instance", "f" * 32)
    assert process.returncode == TROUBLE and "another instance than ffff" in process.stderr
    done(run("init", "--config", cluster.config_file, "--node", lost, "--join", "--instance", instance))
    assert instance_of(cluster.node_folder(lost)) == instance and members(cluster)[lost][2] == "3"
    cluster.start(lost)
    cluster.wait_caught_up(lost, SERVICE_S)
    for words in (("--instance", "12"), ("--disk", "x")):
        assert member(cluster, "replace", lost, *words).returncode == BAD_INPUT
