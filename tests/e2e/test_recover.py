"""`synod recover`: a majority of the disks is lost, and a new cluster begins with what is left. What it has is compared with what the
journals of all nodes of the old one say, read by a decoder of its own (journal.py)."""

import hashlib
import os
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass

import pytest

import journal
import resp
from cluster import BAD_DATA, BAD_INPUT, OK, ROOT, SYNOD, TROUBLE, run, wait_until
from history import Load

ALPHA = 64
# Journals are kept from their beginning, so that the test can read all of the log; snapshots are taken all the same.
KEPT = {"segment_bytes": "1 MiB", "journal_keep_slots": 10**9}
WHOLE = {"segment_bytes": "16 MiB", "journal_keep_slots": 10**9}  # acceptors remove segments below their floor
SNAPSHOTS = KEPT | {"storage_snapshot_slot_interval": 300}


# ---- what was chosen ----


def chosen_log(folders):
    """{slot: record} of what was chosen: of all acceptors the vote at the highest ballot, or what a learner has executed. With all
    folders there are, that is what phase 1 would find; slots at the end may be ones that were not chosen."""
    log = {}
    for folder in folders:
        for record in journal.records(folder):
            known = log.get(record.slot)
            if record.kind in (journal.ACCEPTED, journal.LEARNED) and (known is None or record.ballot > known.ballot):
                log[record.slot] = record
    return log


def executed(log, end):
    """The store after all slots below `end`."""
    store, last = {}, {}
    for slot in range(1, end):
        record = log.get(slot)
        if record is None or record.entry_kind != journal.COMMANDS:
            continue
        (origin, *number), commands = journal.commands_of(record.value)
        if number <= last.get(origin, [0, 0]):
            continue
        last[origin] = number
        for name, *arguments in commands:
            if name == b"SET":
                store[arguments[0]] = arguments[1]
            elif name == b"INCR":
                store[arguments[0]] = str(int(store.get(arguments[0], b"0")) + 1).encode()
            else:
                assert name == b"GET", name
    return store


def slots_of_sets(log):
    """{key: slot} of what was set once only."""
    slots = {}
    for slot in sorted(log):
        if log[slot].entry_kind == journal.COMMANDS:
            for name, *arguments in journal.commands_of(log[slot].value)[1]:
                if name == b"SET":
                    slots.setdefault(arguments[0], slot)
    return slots


def read_all(cluster, keys):
    """{key: value} of those that the cluster has."""
    found = {}
    with resp.Connection(cluster.nodes[cluster.wait_leader(settled=True)].client_port, timeout_s=20) as client:
        keys = sorted(keys)
        for i in range(0, len(keys), 500):
            part = keys[i : i + 500]
            client.send(b"".join(resp.encode("GET", key) for key in part))
            found |= {key: value for key in part if (value := client.receive()) is not None}
    return found


def digest(folder):
    """Of all files in a folder, with their names."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()


# ---- what recover says ----


@dataclass
class Said:
    text: str
    end: int | None  # where the log of the new cluster begins
    known: int  # the first slot that is not kept exactly
    missing: int | None  # from where on something may be missing; None: nothing


def read_words(text):
    number = lambda pattern, default: int(found[1]) if (found := re.search(pattern, text, re.MULTILINE)) else default
    kept = number(r"^kept exactly: slots? (?:\d+ to )?(\d+), ", 0)
    return Said(text, number(r"its log begins at slot (\d+)$", None), kept + 1,
                number(r"^MAY BE MISSING: what was chosen from slot (\d+) on", None))


def recover(new, survivors, *more):
    return run("recover", "--from-survivors", *survivors, "--config", new.config_file, *more)


def recovered(new, survivors, name="old"):
    """Makes the new cluster. Nothing in the survivors' folders changes."""
    before = [digest(folder) for folder in survivors]
    dry = recover(new, survivors, "--all", "--dry-run")
    assert dry.returncode == OK, dry.stderr
    assert dry.stdout.endswith("nothing was done (--dry-run)\n") and not new.data.exists()
    done = recover(new, survivors, "--all", "--yes-lose", name)
    assert done.returncode == OK, done.stderr
    assert [digest(folder) for folder in survivors] == before
    assert done.stdout.startswith(dry.stdout.removesuffix("nothing was done (--dry-run)\n"))
    return read_words(done.stdout)


# ---- the old cluster ----


def loses(cluster, survivors):
    """kill -9 of all, and only some disks are left, as given by `survivors` (a function of the leader). Returns those, and all."""
    leader = cluster.wait_leader(settled=True)
    kept = survivors(leader)
    cluster.kill_all()
    lost = cluster.folder / "lost"
    lost.mkdir()
    for node in cluster.nodes:
        if node not in kept:
            shutil.move(cluster.node_folder(node), lost / f"node-{node}")
    left = [cluster.node_folder(node) for node in kept]
    return left, left + sorted(lost.iterdir())


def followers(count):
    return lambda leader: [node for node in (1, 2, 3, 4, 5) if node != leader][:count]


def is_mute(cluster, node):
    """A survivor alone answers no command: it says that there is no leader."""
    cluster.start(node)
    wait_until(lambda: cluster.info(node), 20, f"node {node}")
    with cluster.connect(node, timeout_s=3.0) as client:
        for command in (("GET", "load:counter:0"), ("SET", "new", "x"), ("INCR", "load:counter:0")):
            until = time.monotonic() + 2
            while time.monotonic() < until:
                answer = client.command(*command)
                assert isinstance(answer, resp.ReplyError) and answer.code == "CLUSTERDOWN", (command, answer)
                time.sleep(0.2)
    cluster.stop(node)


def judge(said, log, load, new):
    """What the new cluster has is the old log before `said.end`, and nothing else; what was acknowledged beyond is within the bound."""
    assert said.missing is not None and said.missing >= said.end >= said.known
    expected = executed(log, said.end)
    keys = {operation.key.encode() for operation in load.history} | set(executed(log, max(log) + 1))
    assert read_all(new, keys) == expected
    acknowledged = [o for o in load.history if o.kind == "SET" and o.outcome == "ok" and ":own:" in o.key]
    slots = slots_of_sets(log)
    missing = [operation for operation in acknowledged if operation.key.encode() not in expected]
    assert all(said.end <= slots[operation.key.encode()] < said.missing + ALPHA for operation in missing)
    print(f"{len(acknowledged)} acknowledged, {len(missing)} of them missing; the log ends before slot {max(log) + 1}, kept exactly "
          f"before {said.known}, kept before {said.end}")


@pytest.mark.parametrize("size, left, settings, native, new_size", [
    (3, 1, KEPT, True, 3), (3, 1, SNAPSHOTS, True, 1), (5, 2, SNAPSHOTS, True, 5), (3, 1, SNAPSHOTS, False, 3)])
def test_disks_are_lost(make_cluster, size, left, settings, native, new_size):
    old = make_cluster(settings=settings, native=native, name="old", size=size)
    old.up()
    with Load(old.client_ports(), pace_s=0.0005) as load:
        load.wait_answers(1500)
        survivors, everything = loses(old, followers(left))
    is_mute(old, int(survivors[0].name.split("-")[1]))
    log = chosen_log(everything)
    new = make_cluster(settings=SNAPSHOTS, native=native, name="new", size=new_size)
    said = recovered(new, survivors)
    assert ("comes from the snapshot of node" in said.text) == (settings == SNAPSHOTS)
    assert f"members at the end: nodes {', '.join(map(str, range(1, size)))} and {size} (the configuration of slot " in said.text
    new.start()
    judge(said, log, load, new)
    new.wait_settled()
    # It goes on under load, is a cluster of its own, and comes back.
    with Load(new.client_ports(), name="later", pace_s=0.001) as later:
        later.wait_answers(300)
        new.kill_all()
        new.start()
        later.wait_answers(300, timeout_s=30)
    later.read_back(new.nodes[new.wait_leader(settled=True)].client_port)
    later.judge()
    new.wait_settled()
    wait_until(lambda: run("member", "list", "--config", new.config_file).returncode == OK, 20, "formation")
    new.stop()


@pytest.mark.parametrize("survivors", [(1, 4), (2,), (5,), (4, 5, 1)])
def test_standalone_nodes(make_cluster, survivors):
    """Learners are 1 to 3, acceptors 4 to 6: a learner and an acceptor, each alone, and all that a majority needs but learners."""
    old = make_cluster("standalone", settings=WHOLE, native=True, name="old")
    old.up()
    with Load(old.client_ports(), pace_s=0.0005) as load:
        load.wait_answers(800)
        left, everything = loses(old, lambda leader: list(survivors))
    log = chosen_log(everything)
    new = make_cluster(settings=SNAPSHOTS, native=True, name="new")
    said = recovered(new, left)
    new.start()
    if survivors == (4, 5, 1):
        assert said.missing is None and "nothing is missing that clients were told" in said.text
        said.missing = said.end
        load.read_back(new.nodes[new.wait_leader(settled=True)].client_port)
        load.judge()
    elif survivors == (5,):
        assert said.known == 1  # no learner is left that knows what was chosen
    judge(said, log, load, new)
    new.wait_settled()


def test_a_survivor_that_was_down(make_cluster):
    """It knows nothing of what the others chose without it, and says that no number bounds that."""
    old = make_cluster(settings=KEPT, native=True, name="old")
    leader = old.up()
    down = next(node for node in (1, 2, 3) if node != leader)
    with Load(old.client_ports(), pace_s=0.0005) as load:
        load.wait_answers(300)
        old.kill(down)
        load.wait_answers(1500, timeout_s=40)
        old.kill_all()
    log = chosen_log(old.node_folder(node) for node in old.nodes)
    new = make_cluster(settings=KEPT, native=True, name="new")
    said = recovered(new, [old.node_folder(down)])
    assert "it is all since then, and no number bounds it" in said.text and said.end + ALPHA < max(log)
    new.start()
    keys = set(executed(log, max(log) + 1))
    assert read_all(new, keys) == executed(log, said.end)


def test_the_state_was_set(make_cluster):
    """Nothing is missing, but the new cluster executes with one size of the state what the old one has executed with two."""
    old = make_cluster(settings=KEPT, native=True, name="old")
    old.up()
    with Load(old.client_ports(), pace_s=0.001) as load:
        load.wait_answers(200)
        assert run("settings", "set", "state_bytes_max", 100 << 20, "--config", old.config_file).returncode == OK
        load.wait_answers(500)
        old.kill_all()
    new = make_cluster(settings=KEPT | {"state_bytes_max": "100 MiB"}, native=True, name="new")
    said = recovered(new, [old.node_folder(node) for node in old.nodes])
    assert said.missing is None and "no slot is missing that was chosen: " in said.text
    assert "state_bytes_max was changed in them, or may have been" in said.text and "nothing is missing" not in said.text
    new.start()
    load.read_back(new.nodes[new.wait_leader(settled=True)].client_port)
    load.judge()


def commands(title):
    """The commands of a section of docs/operations.md, one a line."""
    text = (ROOT / "docs/operations.md").read_text()
    section = text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]


def at_terminal(new, arguments, answer):
    """Runs the command at a terminal, and types `answer`. Returns (exit code, what was said)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([SYNOD, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, cwd=new.folder)
    os.close(theirs)
    said = ""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if not select.select([ours], [], [], 0.1)[0]:
            continue
        try:
            said += os.read(ours, 65536).decode()
        except OSError:
            break
        if answer is not None and said.endswith("type the name of the cluster that is lost: "):
            os.write(ours, answer.encode() + b"\n")
            answer = None
    os.close(ours)
    return process.wait(10), said.replace("\r\n", "\n")


def test_operations(make_cluster):
    """The commands of docs/operations.md, as they stand there; the name is typed by hand."""
    old = make_cluster(settings=KEPT, native=True, name="old")
    leader = old.up()
    if leader == 1:
        assert run("leader", "move", 2, "--config", old.config_file).returncode == OK
    with Load(old.client_ports(), pace_s=0.001) as load:
        load.wait_answers(300)
        old.kill_all()
    log = chosen_log(old.node_folder(node) for node in old.nodes)
    new = make_cluster(settings=KEPT, native=True, name="new")
    shutil.copytree(old.node_folder(1), new.folder / "survivors/node-1")
    new.config_file.rename(new.folder / "new.yaml")
    dry, do, start = commands("Losing a majority of the disks")[:3]
    first = run(*dry.split()[1:], cwd=new.folder)
    assert first.returncode == OK and "MAY BE MISSING" in first.stdout and not new.data.exists()
    code, said = at_terminal(new, do.split()[1:], "new")
    assert code == TROUBLE and said.endswith("that is not its name: nothing was done\n") and not new.data.exists()
    code, said = at_terminal(new, do.split()[1:], "old")
    assert code == OK, said
    assert start == "synod start --config new.yaml --node 1"
    (new.folder / "new.yaml").rename(new.config_file)
    new.start()
    judge(read_words(said), log, load, new)


def test_killed(make_cluster):
    """kill -9 at any moment leaves no folder that is half made: what has its name starts, and the others are left out."""
    dice = random.Random(7)
    old = make_cluster(settings=SNAPSHOTS, native=True, name="old")
    old.up()
    with Load(old.client_ports(), pace_s=0.0005) as load:
        load.wait_answers(1000)
        old.kill_all()
    new = make_cluster(settings=SNAPSHOTS, native=True, name="new")
    arguments = ["recover", "--from-survivors", old.node_folder(1), "--config", new.config_file, "--all", "--yes-lose", "old"]
    begin = time.monotonic()
    assert run(*arguments).returncode == OK
    whole = time.monotonic() - begin
    content = {node: digest(new.node_folder(node) / "snapshots") for node in new.nodes}
    cut, made = 0, 0
    for _ in range(int(os.environ.get("SYNOD_KILLS", 20))):
        shutil.rmtree(new.data)
        process = subprocess.Popen([SYNOD, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(0, whole))
        process.send_signal(signal.SIGKILL)
        cut += process.wait() == -signal.SIGKILL
        there = sorted(path.name for path in new.data.iterdir()) if new.data.exists() else []
        new.data.mkdir(exist_ok=True)
        for name in there:
            folder = new.data / name
            if name.endswith(".restoring"):
                if any(folder.iterdir()):
                    again = recover(new, [old.node_folder(1)], "--node", name[5], "--yes-lose", "old")
                    assert again.returncode == BAD_DATA and "is left of a restore that was cut short" in again.stderr, again
                continue
            made += 1
            assert digest(folder / "snapshots") == content[int(name.split("-")[1])]
            assert run("journal", "inspect", folder, "--count", 1).returncode == OK
        for node in new.nodes:
            if f"node-{node}" not in there:
                assert run("start", "--config", new.config_file, "--node", node, "--native").returncode == BAD_DATA
    print(f"{cut} cut short within {whole:.3f} s, {made} folders had their names")
    assert cut > 0


def test_what_is_refused(make_cluster, tmp_path):
    old = make_cluster(settings=KEPT, native=True, name="old")
    old.up()
    with Load(old.client_ports()) as load:
        load.wait_answers(100)
    new = make_cluster(settings=KEPT, native=True, name="new")
    node = old.node_folder(1)

    def refused(done, code, said):
        assert done.returncode == code and said in done.stderr and done.stderr.count("\n") == 1, done
        assert not new.data.exists()

    refused(recover(new, [node], "--all", "--dry-run"), BAD_DATA, f"{node} is in use by process {old.server_of(1).process.pid}")
    old.kill_all()
    refused(recover(new, [node], "--all"), BAD_INPUT, "there is no terminal to confirm it at")
    refused(recover(new, [node], "--all", "--yes-lose", "new"), BAD_INPUT, "--yes-lose says 'new', and the folders are of cluster 'old'")
    refused(recover(new, [node]), BAD_INPUT, "it wants one of --node and --all")
    refused(recover(new, [node], "--node", 9), BAD_INPUT, "there is no node 9")
    refused(run("recover", node, "--config", new.config_file, "--all"), BAD_INPUT, "missing --from-survivors")
    refused(recover(old, [node], "--all"), BAD_INPUT, "the new cluster must have another name than 'old'")
    refused(recover(new, [tmp_path], "--all"), BAD_DATA, "no data folder of a node")
    refused(recover(new, [node, node], "--all"), BAD_DATA, "is in use by process")
    new.settings["state_bytes_max"] = "100 MiB"
    new.write_config()
    refused(recover(new, [node], "--all"), BAD_INPUT, "state_bytes_max is 104857600")
    del new.settings["state_bytes_max"]
    new.write_config()
    damaged = tmp_path / "node-1"
    shutil.copytree(node, damaged)
    first = journal.groups(damaged)[3]
    journal.flip(damaged / first.file.name, first.offset + 60)
    refused(recover(new, [damaged], "--all"), BAD_DATA, f"{first.file.name}: offset {first.offset}: ")

    # Then it is done, once only; and the old nodes are strangers to the new ones.
    said = recovered(new, [node])
    assert said.end is not None
    again = recover(new, [node], "--all", "--yes-lose", "old")
    assert again.returncode == BAD_DATA and "node-1 is not empty: nothing is restored into it" in again.stderr


def test_folders_of_version_0_1_0(make_cluster):
    """What version 0.1.0 left is a survivor, too."""
    import tarfile

    old = make_cluster(settings=KEPT, native=True, name="old")
    with tarfile.open(ROOT / "tests/data/folders-0.1.0.tar.xz") as archive:
        archive.extractall(old.folder)
    new = make_cluster(settings=KEPT, native=True, name="new")
    said = recovered(new, [old.node_folder(2)])
    assert "(by their configuration file: the cluster had not formed)" in said.text
    new.start()
    assert read_all(new, [b"counter", b"key:1:48"]) == {b"counter": b"350", b"key:1:48": b"value 148 " * 4}
