"""mutants/generate.py: each mutant fits the sources, and one that fits no longer is named, with what is wrong."""
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def check(root):
    return subprocess.run([root / "mutants/generate.py", "--check"], capture_output=True, text=True, timeout=60)


@pytest.fixture
def copy(tmp_path):
    """The sources that mutants change, the tests that must catch some, the table, and the generator."""
    for folder in ("mutants", "core", "io", "tests/unit"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "sim").mkdir()
    shutil.copy(ROOT / "sim/checks.h", tmp_path / "sim")
    assert check(tmp_path).returncode == 0
    return tmp_path


def edit(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def refused(root, *words):
    done = check(root)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_a_right_line_that_changed_is_an_error(copy):
    edit(copy / "core/paxos/acceptor.c", "int order = ballot_compare(ballot, a->promised);", "int order = compare(ballot);")
    refused(copy, "mutants/acceptor.txt:", "core/paxos/acceptor.c", "int order = ballot_compare(ballot, a->promised);")


def test_a_right_line_that_is_there_twice_is_an_error(copy):
    line = "    p->phase2_quorum = configuration->phase2_quorum;\n"
    edit(copy / "core/paxos/proposer.c", line, line + line)
    refused(copy, "twice", "core/paxos/proposer.c")


@pytest.mark.parametrize(
    "before, after, word",
    [
        ("  check: PromiseDurable\n", "  check: NoSuchCheck\n", "NoSuchCheck"),
        ("  breaks: P2\n", "", "breaks:"),
        ("  in: core/runners/coordinator.c\n", "  in: core/runners/nothing.c\n", "core/runners/nothing.c"),
        ("own-vote-before-durable\n", "vote-before-durable\n", "vote-before-durable"),
    ],
)
def test_an_entry_that_says_too_little_is_an_error(copy, before, after, word):
    edit(copy / "mutants/acceptor.txt", before, after)
    refused(copy, "mutants/acceptor.txt:", word)


def test_the_copies_have_a_switch_for_each_mutant_and_the_same_lines(copy, tmp_path):
    made = tmp_path / "made"
    subprocess.run([copy / "mutants/generate.py", made], check=True, timeout=60)
    names = sum(len(re.findall(r"^[a-z0-9-]+$", p.read_text(), re.M)) for p in (copy / "mutants").glob("*.txt"))
    copies = [p for p in made.rglob("*.[ch]") if p.parent != made]
    numbers = {int(n) for p in copies for n in re.findall(r"mutant_on == (\d+)", p.read_text())}
    assert numbers == set(range(1, names + 1))
    for path in copies:
        source = copy / path.relative_to(made)
        assert len(path.read_text().splitlines()) == len(source.read_text().splitlines()) + 2
