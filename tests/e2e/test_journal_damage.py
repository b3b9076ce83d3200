"""A journal whose last record is torn recovers and says so; one that is damaged anywhere else refuses to start, and names file and
offset. The other nodes go on meanwhile, and nothing is lost."""

import re

import pytest

import journal
from cluster import BAD_DATA, run, wait_until
from history import Load


@pytest.fixture
def damaged(make_cluster):
    """Gives (cluster, load, node): a follower was killed under load, the others go on and have all that it had. In the end, the node
    must come back, catch up, and nothing be lost."""
    cluster = make_cluster("coordinator", settings={"segment_bytes": "1 MiB"})
    leader = cluster.up()
    node = next(node for node in cluster.nodes if node != leader)
    with Load(cluster.client_ports()) as load:
        load.wait_answers(1000)
        cluster.kill(node)
        load.wait_answers(100)
        yield cluster, load, node
        load.wait_answers(100)
        wait_until(lambda: cluster.info(node), 10, f"an answer of node {node}")
        cluster.wait_caught_up(node)
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()
    cluster.stop()


def size_of(group):
    return -(-group.length // journal.PAGE) * journal.PAGE


def first_byte(group):
    """Of its records."""
    return group.file.read_bytes()[group.offset + journal.GROUP_HEADER]


TEARS = {
    "the end of its records is missing": lambda g: (g.offset + journal.GROUP_HEADER + 8, bytes(size_of(g) - journal.GROUP_HEADER - 8)),
    "its beginning is missing": lambda g: (g.offset, bytes(journal.GROUP_HEADER + 8)),
    "it is garbage": lambda g: (g.offset, b"\xa5" * size_of(g)),
    "one bit of its records is wrong": lambda g: (g.offset + journal.GROUP_HEADER, bytes([first_byte(g) ^ 1])),
}


@pytest.mark.parametrize("how", TEARS)
def test_torn_tail(damaged, how):
    cluster, _, node = damaged
    last = journal.groups(cluster.node_folder(node))[-1]
    assert last.records > 0
    journal.overwrite(last.file, *TEARS[how](last))
    cluster.start(node)
    wait_until(lambda: cluster.info(node), 10, f"an answer of node {node}")
    said = re.search(r"journal (\S+): offset (\d+): cut a torn tail of (\d+) bytes", cluster.log(node))
    assert said, "the log does not say that a tail was cut"
    assert (said[1], int(said[2])) == (str(last.file), last.offset)
    assert cluster.info(node)["journal_torn_tails"] == 1


def refuses(cluster, node, file, offset):
    """The node must not start, say once where the damage is, and leave the files as they were. `synod journal inspect` says the same."""
    before = {segment: segment.read_bytes() for segment in journal.segments(cluster.node_folder(node))}
    server = cluster.server_of(node)
    said_before = len(server.log())
    cluster.start(node)
    assert server.wait() == BAD_DATA
    errors = [line for line in server.log()[said_before:].splitlines() if '"error"' in line]
    assert len(errors) == 1 and f"journal {file}: offset {offset}: " in errors[0], errors
    looked = run("journal", "inspect", cluster.node_folder(node))
    assert looked.returncode == BAD_DATA and looked.stderr.startswith(f"journal {file}: offset {offset}: ")
    assert before == {segment: segment.read_bytes() for segment in journal.segments(cluster.node_folder(node))}


def middle(cluster, node):
    groups = [group for group in journal.groups(cluster.node_folder(node)) if group.records > 0]
    assert len(groups) > 20
    return groups[len(groups) // 2]


PLACES = {
    "its first byte": lambda g: 0,
    "the header": lambda g: 20,
    "a checksum": lambda g: 41,
    "the records": lambda g: (journal.GROUP_HEADER + g.length) // 2,
    "the last record": lambda g: g.length - 1,
    "the padding": lambda g: size_of(g) - 1,
}


@pytest.mark.parametrize("where", PLACES)
def test_flipped_byte(damaged, where):
    cluster, load, node = damaged
    group = middle(cluster, node)
    at = group.offset + PLACES[where](group)
    journal.flip(group.file, at)
    refuses(cluster, node, group.file, group.offset)
    load.wait_answers(50)
    journal.flip(group.file, at)
    cluster.start(node)


def test_flipped_byte_of_a_segment_header(damaged):
    cluster, _, node = damaged
    file = journal.segments(cluster.node_folder(node))[-1]
    journal.flip(file, 100)
    refuses(cluster, node, file, 0)
    journal.flip(file, 100)
    cluster.start(node)


def test_missing_segment(damaged, tmp_path):
    cluster, load, node = damaged
    cluster.start(node)
    wait_until(lambda: len(journal.segments(cluster.node_folder(node))) >= 3, 60, "three segments")
    cluster.kill(node)
    load.wait_answers(50)
    file, after = journal.segments(cluster.node_folder(node))[1:3]
    away = tmp_path / file.name
    file.rename(away)
    refuses(cluster, node, after, 0)
    away.rename(file)
    cluster.start(node)


def test_short_segment(damaged):
    cluster, _, node = damaged
    file = journal.segments(cluster.node_folder(node))[-1]
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) - journal.PAGE])
    refuses(cluster, node, file, 0)
    file.write_bytes(whole)
    cluster.start(node)
