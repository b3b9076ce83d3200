"""`synod snapshot inspect` shows what is in the snapshots of a node, changes nothing, and says where damage begins."""

import re
import shutil

import pytest

import journal
import resp
from cluster import BAD_DATA, BAD_INPUT, OK, Cluster, run, wait_until

KEYS = 700


def snapshots(folder):
    return sorted((folder / "snapshots").glob("snapshot-*[0-9]"))


def contents(folder):
    return {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in sorted((folder / "snapshots").iterdir())}


@pytest.fixture(scope="module")
def folder():
    """The data folder of a node that has taken snapshots and was stopped in good order."""
    cluster = Cluster("coordinator", settings={"segment_bytes": "1 MiB", "snapshot_bytes": "256 KiB"})
    try:
        leader = cluster.up()
        with resp.Connection(cluster.nodes[leader].client_port) as client:
            for i in range(2 * KEYS):
                assert client.command("SET", f"k{i % KEYS}", "x" * 1000) == "OK"
            wait_until(lambda: len(snapshots(cluster.node_folder(leader))) == 2, 30, "two snapshots")
        cluster.wait_settled()
        running = run("snapshot", "inspect", cluster.node_folder(leader))
        assert running.returncode == OK, running.stderr
        cluster.stop()
        yield cluster.node_folder(leader)
    finally:
        cluster.close()


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "node-1")


def test_every_piece(folder):
    before = contents(folder)
    done = run("snapshot", "inspect", folder)
    assert (done.returncode, done.stderr) == (OK, "")
    assert re.match(r"node \d of cluster 'test', life 1\n", done.stdout)
    for file in snapshots(folder):
        slot, size = int(file.name.split("-")[1]), file.stat().st_size
        one = run("snapshot", "inspect", file)
        assert (one.returncode, one.stderr) == (OK, "") and one.stdout in done.stdout
        assert one.stdout.startswith(f"{file.name}: the state before slot {slot}\n  piece 0 at byte 40: what the learner remembers, ")
        executed = int(re.search(r"^    state hash [0-9a-f]{16}, (\d+) commands executed$", one.stdout, re.MULTILINE)[1])
        assert 0 < executed <= 2 * KEYS and re.search(r"^    last batch of node \d: number \d+ of life 1$", one.stdout, re.MULTILINE)
        pieces = [int(number) for number in re.findall(r"^  piece (\d+) at byte ", one.stdout, re.MULTILINE)]
        assert pieces == list(range(len(pieces))) and len(pieces) >= 3
        keys = sum(int(count) for count in re.findall(r"a chunk of the state, \d+ bytes: (\d+) keys|last chunk.*: (\d+) keys", one.stdout)
                   for count in count if count)  # fmt: skip
        assert keys == min(executed, KEYS)
        assert re.search(rf"^sound: {size} bytes, {len(pieces)} pieces, checksum [0-9a-f]{{16}}, {keys} keys\n\Z", one.stdout, re.MULTILINE)
    assert contents(folder) == before


def test_damage(copy):
    """In the newest one, and in the body of a piece: the other one is still shown, and so is what comes before."""
    older, newest = snapshots(copy)
    pieces = re.findall(r"piece \d+ at byte (\d+)", run("snapshot", "inspect", newest).stdout)
    journal.flip(newest, int(pieces[2]) + 40)
    before = contents(copy)
    said = f"{newest}: at byte {pieces[2]}: the body of a piece is damaged\n"
    for what in newest, copy:
        done = run("snapshot", "inspect", what)
        assert (done.returncode, done.stderr) == (BAD_DATA, said)
        assert f"sound up to there: {pieces[2]} bytes, 2 pieces" in done.stdout
        assert ("\nsound: " in done.stdout) == (what == copy)
    journal.flip(older, 32)
    done = run("snapshot", "inspect", copy)
    assert (done.returncode, done.stderr) == (BAD_DATA, f"{older}: at byte 0: the header is damaged\n" + said)
    assert contents(copy).keys() == before.keys()


def test_cut_and_exchanged(copy):
    older, newest = snapshots(copy)
    data = newest.read_bytes()
    newest.write_bytes(data[:-8])
    done = run("snapshot", "inspect", newest)
    assert done.returncode == BAD_DATA and f"it ends at byte {len(data) - 8}, before its end" in done.stderr
    newest.write_bytes(older.read_bytes())
    for what in newest, copy:
        done = run("snapshot", "inspect", what)
        assert (done.returncode, done.stderr) == (BAD_DATA, f"{newest}: at byte 0: the snapshot is of another slot\n")


def test_other_files(copy):
    """What does not count is named."""
    older, newest = snapshots(copy)
    newest.rename(newest.with_name(newest.name + ".damaged"))
    (older.parent / f"{older.name}.part").write_bytes(b"")
    done = run("snapshot", "inspect", copy)
    assert (done.returncode, done.stderr) == (OK, "")
    assert f"{newest.name}.damaged: was found damaged, and does not count\n" in done.stdout
    assert f"{older.name}.part: was being written, and does not count\n" in done.stdout
    shutil.rmtree(older.parent)
    assert run("snapshot", "inspect", copy).stdout.endswith("\nno snapshot\n")


@pytest.mark.parametrize("arguments, code, said", [
    (["inspect"], BAD_INPUT, "missing inspect FILE|FOLDER"),
    (["look", "/tmp"], BAD_INPUT, "it wants inspect FILE|FOLDER, save FOLDER FILE, or restore FILE"),
    (["inspect", "/"], BAD_DATA, "/: no data folder of a node: it has no identity"),
    (["inspect", "/nowhere"], BAD_DATA, "/nowhere: No such file or directory"),
    (["inspect", "/etc/passwd"], BAD_DATA, "/etc/passwd: at byte 0: not a snapshot"),
])  # fmt: skip
def test_bad_input(arguments, code, said):
    done = run("snapshot", *arguments)
    assert done.returncode == code and done.stdout == "" and said in done.stderr
