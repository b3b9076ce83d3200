"""`synod journal inspect` shows every record of a journal, changes nothing, and says of damage what a start would say."""

import re

import pytest

import journal
import resp
from cluster import BAD_DATA, BAD_INPUT, OK, Cluster, run


def contents(folder):
    return {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in sorted(folder.iterdir()) if file.is_file()}


def records_of(text):
    """{lsn: what the record says}"""
    return {int(lsn): said for lsn, said in re.findall(r"^ +(\d+)  (.+)  \(\d+ bytes\)$", text, re.MULTILINE)}


@pytest.fixture(scope="module")
def folder():
    """The data folder of a node that has written about 200 commands and was stopped in good order."""
    cluster = Cluster("coordinator", settings={"segment_bytes": "1 MiB"})
    try:
        leader = cluster.up()
        with resp.Connection(cluster.nodes[leader].client_port) as client:
            for i in range(200):
                assert client.command("SET", f"k{i}", "x" * 10_000) == "OK"
        cluster.wait_settled()
        running = run("journal", "inspect", cluster.node_folder(leader))
        assert running.returncode == OK, running.stderr
        cluster.stop()
        yield cluster.node_folder(leader)
    finally:
        cluster.close()


def test_every_record(folder):
    before = contents(folder)
    done = run("journal", "inspect", folder)
    assert (done.returncode, done.stderr) == (OK, "")
    groups, segments = journal.groups(folder), journal.segments(folder)
    assert len(segments) > 1
    records = records_of(done.stdout)
    assert list(records) == list(range(1, sum(group.records for group in groups) + 1))
    assert records[1].startswith("PROMISED 1.")
    said = "\n".join(records.values())
    assert re.search(r"^ACCEPTED \d+\.\d, slot \d+: batch \d+ of \d$", said, re.MULTILINE)
    assert re.search(r"^CHOSEN slots \[1, \d+\)$", said, re.MULTILINE)
    assert "does not know" not in said
    for file in segments:
        assert f"{file.name}  {file.stat().st_size} bytes\n" in done.stdout
    summary = f"sound: {len(records)} records in {len(groups)} groups of {len(segments)} segments\n"
    assert done.stdout.endswith(summary) and "torn" not in done.stdout
    assert contents(folder) == before


def test_a_part(folder):
    whole = records_of(run("journal", "inspect", folder).stdout)
    part = run("journal", "inspect", folder, "--from", 5, "--count", 7)
    assert records_of(part.stdout) == {lsn: whole[lsn] for lsn in range(5, 12)}
    assert f"sound: {len(whole)} records" in part.stdout
    assert records_of(run("journal", "inspect", folder, "--from", len(whole) + 1).stdout) == {}
    assert records_of(run("journal", "inspect", folder, "--from", len(whole)).stdout) == {len(whole): whole[len(whole)]}


def test_torn_tail(folder):
    last = [group for group in journal.groups(folder) if group.records > 0][-1]
    end = journal.groups(folder)[-1]
    at = end.offset + -(-end.length // journal.PAGE) * journal.PAGE
    journal.overwrite(end.file, at, b"\xa5" * 100)
    before = contents(folder)
    done = run("journal", "inspect", folder)
    assert done.returncode == OK and last.records > 0
    assert re.search(rf"at offset {at} of {end.file.name}\na torn tail of \d+ bytes follows", done.stdout), done.stdout[-500:]
    assert contents(folder) == before
    journal.overwrite(end.file, at, bytes(100))


def test_damage(folder):
    group = [group for group in journal.groups(folder) if group.records > 0][20]
    journal.flip(group.file, group.offset + journal.GROUP_HEADER)
    done = run("journal", "inspect", folder)
    journal.flip(group.file, group.offset + journal.GROUP_HEADER)
    assert done.returncode == BAD_DATA
    assert re.fullmatch(rf"journal {group.file}: offset {group.offset}: .* proves that it was once sound\n", done.stderr)
    assert f"offset {group.offset}:" not in done.stdout and "sound up to there:" in done.stdout
    assert len(records_of(done.stdout)) >= 20


def test_missing_segment(folder, tmp_path):
    newest = journal.segments(folder)[-1]
    away = tmp_path / newest.name
    away.write_bytes(newest.read_bytes())
    newest.unlink()
    done = run("journal", "inspect", folder)
    newest.write_bytes(away.read_bytes())
    assert done.returncode == BAD_DATA and f"{newest.name} is missing" in done.stderr


@pytest.mark.parametrize("arguments, code, said", [
    (["inspect"], BAD_INPUT, "missing inspect FOLDER"),
    (["look", "/tmp"], BAD_INPUT, "unknown command 'look'"),
    (["inspect", "/"], BAD_DATA, "/: no data folder of a node: it has no identity"),
    (["inspect", "/nowhere"], BAD_DATA, "/nowhere: no data folder of a node: it has no identity"),
])  # fmt: skip
def test_bad_input(arguments, code, said):
    done = run("journal", *arguments)
    assert done.returncode == code and done.stdout == "" and said in done.stderr
