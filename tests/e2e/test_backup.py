"""`synod snapshot save` and `restore`: a snapshot is copied elsewhere while the cluster runs, and a new cluster of another size begins
with it. The commands are those of docs/operations.md."""

import re
import shlex
import shutil

import pytest

import journal
import resp
from cluster import BAD_DATA, BAD_INPUT, OK, ROOT, SYNOD, TROUBLE, Cluster, run, wait_until
from history import Load

SMALL = {"segment_bytes": "1 MiB", "snapshot_bytes": "256 KiB"}
KEYS, VALUE = 500, "x" * 1000


def commands(title):
    """The commands of a section of docs/operations.md, one a line."""
    text = (ROOT / "docs/operations.md").read_text()
    section = text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]


def perform(cluster, line, words):
    """One of them in the folder of a cluster; `words`: what stands for the example's names."""
    arguments = [words.get(word, word) for word in shlex.split(line)]
    assert arguments[0] == "synod"
    done = run(*arguments[1:], command=SYNOD, cwd=cluster.folder)
    assert (done.returncode, done.stderr) == (OK, ""), (line, done.stderr)
    return done.stdout


def snapshots(cluster, node):
    return sorted((cluster.node_folder(node) / "snapshots").glob("snapshot-*[0-9]"))


def write(cluster, keys=KEYS):
    """Writes and counts; returns when a snapshot has all of it."""
    leader = cluster.wait_leader(settled=True)
    learner = next(node.id for node in cluster.nodes.values() if node.executes)
    with resp.Connection(cluster.nodes[leader].client_port) as client:
        client.call("DEL", "count")
        for i in range(keys):
            assert client.command("SET", f"k{i}", f"{i} {VALUE}") == "OK"
            assert client.command("INCR", "count") == i + 1
        cluster.wait_settled()
        newest = snapshots(cluster, learner)[-1:]
        for i in range(10**4):
            client.command("SET", "other", VALUE)
            if snapshots(cluster, learner)[-1:] != newest:
                return
    raise AssertionError("no snapshot was taken")


def check(cluster, keys=KEYS):
    leader = cluster.wait_leader(settled=True)
    with resp.Connection(cluster.nodes[leader].client_port) as client:
        for i in range(keys):
            assert client.command("GET", f"k{i}") == f"{i} {VALUE}".encode()
        assert client.command("GET", "count") == str(keys).encode()
    return leader


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A snapshot of three nodes, saved under load as operations.md says."""
    cluster = Cluster("coordinator", settings=SMALL, native=True, name="old")
    file = tmp_path_factory.mktemp("saved") / "synod-monday"
    try:
        cluster.up()
        write(cluster)
        (save, inspect, _, _) = commands("Backup and restore")[:4]
        with Load(cluster.client_ports(), pace_s=0.001) as load:
            load.wait_answers(200)
            words = {"/backup/synod-monday": str(file)}
            said = perform(cluster, save, words)
            load.wait_answers(200)
        load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
        load.judge()
        slot = int(re.match(r"saved the state before slot (\d+) to \S+: \d+ bytes, checksum [0-9a-f]{16}\n\Z", said)[1])
        assert f"the state before slot {slot}\n" in perform(cluster, inspect, words)
        cluster.stop()
        again = run("snapshot", "save", cluster.node_folder(1), file.with_name("stopped"))  # a stopped node's
        assert again.returncode == OK, again.stderr
        yield file, slot
    finally:
        cluster.close()


@pytest.mark.parametrize("deployment, size, native", [("coordinator", 5, True), ("coordinator", 1, True), ("standalone", 3, True),
                                                       ("coordinator", 3, False)])
def test_a_new_cluster(saved, make_cluster, deployment, size, native):
    """All keys are there, it goes on under load, survives restarts, and takes snapshots of its own."""
    file, slot = saved
    cluster = make_cluster(deployment, settings=SMALL, native=native, name="new", size=size)
    (*_, restore, start) = commands("Backup and restore")[:4]
    perform(cluster, restore, {"/backup/synod-monday": str(file), "new.yaml": "cluster.yaml"})
    assert start == "synod start --config new.yaml --node 1"
    cluster.start()
    check(cluster)
    assert min(state["executed"] for state in cluster.states().values()) >= slot
    with Load(cluster.client_ports(), pace_s=0.001) as load:
        load.wait_answers(300)
        cluster.kill_all()
        cluster.start()
        load.wait_answers(300, timeout_s=30)
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    load.judge()
    check(cluster)
    write(cluster)
    cluster.kill_all()
    cluster.start()
    check(cluster)
    cluster.wait_settled()
    learners = [node.id for node in cluster.nodes.values() if node.executes]
    assert all(int(snapshots(cluster, node)[-1].name.split("-")[1]) > slot for node in learners)
    cluster.stop()


def test_a_node_without_its_snapshot_does_not_start(saved, make_cluster):
    """It would take the new cluster's log for one from its beginning."""
    file, _ = saved
    cluster = make_cluster(settings=SMALL, name="new")
    assert run("snapshot", "restore", file, "--config", cluster.config_file, "--all").returncode == OK
    for node in cluster.nodes:
        (snapshot,) = snapshots(cluster, node)
        snapshot.unlink()
        cluster.start(node)
        assert cluster.server_of(node).wait() == BAD_DATA
        assert "the record of its value is missing" in cluster.log(node)


def test_what_is_refused(saved, make_cluster, tmp_path):
    """By one line, and nothing has changed."""
    file, _ = saved
    cluster = make_cluster(settings=SMALL, native=True, name="new")
    restore = lambda what, *more: run("snapshot", "restore", what, "--config", cluster.config_file, *more)

    def refused(done, code, said):
        assert done.returncode == code and said in done.stderr and done.stderr.count("\n") == 1, done
        assert not cluster.data.exists()

    damaged = shutil.copy(file, tmp_path / "damaged")
    journal.flip(damaged, file.stat().st_size // 2)
    refused(restore(damaged, "--all"), BAD_DATA, f"{damaged}: at byte ")
    cut = tmp_path / "cut"
    cut.write_bytes(file.read_bytes()[:-100])
    refused(restore(cut, "--all"), BAD_DATA, "before its end")
    refused(restore("/etc/passwd", "--all"), BAD_DATA, "/etc/passwd: at byte 0: not a snapshot")
    refused(restore("/nowhere", "--all"), BAD_DATA, "/nowhere: No such file or directory")
    refused(restore(file), BAD_INPUT, "one of --node and --all")
    refused(restore(file, "--node", 4), BAD_INPUT, "there is no node 4")
    refused(run("snapshot", "save", tmp_path, tmp_path / "copy"), BAD_DATA, "no data folder of a node")

    assert restore(file, "--node", 2).returncode == OK
    assert [folder.name for folder in cluster.data.iterdir()] == ["node-2"]
    again = restore(file, "--all")
    assert again.returncode == BAD_DATA and "node-2 is not empty: nothing is restored into it" in again.stderr
    before = file.read_bytes()
    taken = run("snapshot", "save", cluster.node_folder(2), file)
    assert taken.returncode == BAD_INPUT and "which is not replaced" in taken.stderr and file.read_bytes() == before
    nowhere = run("snapshot", "save", cluster.node_folder(2), tmp_path / "none" / "copy")
    assert nowhere.returncode == TROUBLE and "No such file or directory" in nowhere.stderr
    (newest,) = snapshots(cluster, 2)
    journal.flip(newest, newest.stat().st_size // 2)
    none = run("snapshot", "save", cluster.node_folder(2), tmp_path / "copy")
    assert none.returncode == BAD_DATA and none.stderr.startswith(f"warning: {newest}: at byte ")
    assert none.stderr.endswith("snapshots: there is no sound snapshot\n") and not list(tmp_path.glob("copy*"))


def test_saved_beside_snapshots_that_come_and_go(make_cluster, tmp_path):
    """While the node replaces them all the time: each copy is sound, and later ones are newer."""
    cluster = make_cluster(settings=SMALL | {"storage_snapshot_slot_interval": 20}, native=True)
    leader = cluster.up()
    with Load(cluster.client_ports()) as load:
        wait_until(lambda: len(snapshots(cluster, leader)) == 2, 30, "two snapshots")
        said = []
        for number in range(20):
            copy = tmp_path / f"copy-{number}"
            done = run("snapshot", "save", cluster.node_folder(leader), copy)
            assert (done.returncode, done.stderr) == (OK, "")
            assert run("snapshot", "inspect", copy).returncode == OK
            said.append(int(re.search(r"before slot (\d+) ", done.stdout)[1]))
        load.wait_answers(10)
    assert said == sorted(said) and said[0] < said[-1]
    cluster.stop()
