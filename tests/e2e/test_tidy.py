"""scripts/tidy: the project keeps its habits, and a fault of each kind that it looks for is found."""
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tidy(root, *checks):
    return subprocess.run([root / "scripts/tidy", *checks], capture_output=True, text=True, timeout=120)


def listed(root):
    done = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines() if (root / name).is_file()]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    root = tmp_path_factory.mktemp("tidy")
    for name in listed(ROOT):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    subprocess.run(["git", "-C", root, "init", "-q"], check=True)
    return root


def test_the_project_keeps_its_habits():
    done = tidy(ROOT)
    assert done.returncode == 0, done.stdout


def test_a_check_that_does_not_exist_is_an_error():
    done = tidy(ROOT, "spelling")
    assert done.returncode == 1 and "spelling" in done.stderr


ACCEPTOR = "core/paxos/acceptor.h"

# check, file, text that is added at its end (or the whole file, where it is new), what is said
FAULTS = [
    ("format", "core/paxos/acceptor.c", "int  unformatted ;\n", "core/paxos/acceptor.c:"),
    ("columns", "core/base/arena.c", "/* " + "long " * 25 + "*/\n", "has 130 columns; 125 are the most"),
    ("columns", "docs/glossary.md", "\n" + "long " * 26 + "\n", "docs/glossary.md:"),
    ("words", "core/base/arena.c", "/* Freed by whoever holds it. */\n", "'whoever': name the thing"),
    ("words", "core/base/arena.c", "/* It is kept, for it is small. */\n", "'for it is': because"),
    ("words", "docs/glossary.md", "Nobody reads this twice.\n", "'Nobody': name the thing"),
    ("words", "docs/decisions/0001-one-flat-message-record.md", "Everybody reads this.\n", "'Everybody': name the thing"),
    ("words", "core/base/arena.c", "/* Freed at once, or else at the end. */\n", "'or else': otherwise"),
    ("words", "core/base/arena.c", "/* All else is freed. */\n", "'All else': the rest"),
    ("words", "core/base/arena.c", "/* Hence it is freed. */\n", "'Hence': so"),
    ("words", "core/base/arena.c", "/* An earlier life leads no more. */\n", "'leads no more': no longer"),
    ("arrows", "core/base/arena.c", '#include "host/engine.h"\n', "core/ includes host/engine.h"),
    ("arrows", "core/base/arena.c", f'#include "{ACCEPTOR}"\n', f"core/base includes {ACCEPTOR}"),
    ("circles", "core/base/arena.h", '#include "core/base/arena.h"\n', "includes itself"),
    ("rules", "core/base/arena.c", "/* P77 says so. */\n", "no rule P77"),
    ("rules", "core/base/arena.c", "/* See rule 2 of the design. */\n", "cite a rule by its name"),
    ("rules", "mutants/runner.txt", "\nnew-mutant\n", "new-mutant"),
    ("files", "core/base/arena.c", "/* As core/base/arenas.c has it. */\n", "there is no core/base/arenas.c"),
    ("files", "docs/glossary.md", "[there](nowhere.md)\n", "links to nowhere.md"),
    ("dead", "io/lonely.h", "/* Nothing. */\n", "io/lonely.h: is included nowhere"),
    ("dead", "docs/lonely.md", "# Nothing\n", "docs/lonely.md: no document links to it"),
    ("pictures", "docs/pictures/parts.dot", "// Another text.\n", "is not drawn from it"),
    ("pictures", "docs/pictures/parts.dot", '"flux-capacitor"\n', "flux-capacitor, which is no component"),
    ("pictures", "components/CMakeLists.txt", "\nsynod_part(flux-capacitor USES learner)\n", "flux-capacitor -> learner is not drawn"),
    ("versions", "VERSION", "1.0.0\n", "is not one line with a version"),
    ("versions", "CMakeLists.txt", "project(another VERSION 9.9.9)\n", "CMakeLists.txt:"),
    ("versions", "scripts/wasm-build/Cargo.toml", 'version = "9.9.9"\n', "has version 9.9.9: VERSION says"),
    ("versions", "host/wasmtime-typed/Cargo.lock", '\nname = "wasmtime-typed"\nversion = "9.9.9"\n', "has version 9.9.9: VERSION says"),
    ("versions", "CHANGELOG.md", "\n## [9.9.9]\n", "has 9.9.9 as the latest release"),
    ("versions", "core/base/arena.c", "/* In synod:paxos/runner@" + "9.9.9. */\n", "the contracts of wit/types.wit are of version"),
    ("pins", "scripts/python-packages.in", "iniconfig==9.9.9\n", "iniconfig==9.9.9 is not in python-packages.txt"),
    ("pins", "scripts/python-packages.in", "iniconfig>=2\n", "iniconfig>=2 asks for no version"),
    ("pins", "deploy/Containerfile", "FROM docker.io/library/debian:12\n", "docker.io/library/debian:12 is not named by a digest"),
    ("pins", ".github/workflows/ci.yml", "    image: debian:bookworm\n", "debian:bookworm is not named by a digest"),
    ("mutants", "mutants/runner.txt", "\nlost\n  it is\n  breaks: P2\n  check: Trap\n  in: core/base/arena.c\n  - gone();\n  + here();\n", "gone();"),
]


def test_what_has_to_be_long_may_be(copy):
    """Tables and code in documents, string literals."""
    path = copy / "docs/glossary.md"
    before = path.read_text()
    path.write_text(before + "| " + "long " * 26 + "|\n\n```\n" + "long " * 26 + "\n```\n")
    try:
        assert "docs/glossary.md" not in tidy(copy, "columns").stdout
    finally:
        path.write_text(before)


@pytest.mark.parametrize("check, name, text, said", FAULTS, ids=[f"{f[0]}-{i}" for i, f in enumerate(FAULTS)])
def test_a_planted_fault_is_found(copy, check, name, text, said):
    path = copy / name
    before = path.read_text() if path.exists() else None
    assert said not in tidy(copy, check).stdout
    path.write_text((before or "") + text)
    try:
        done = tidy(copy, check)
    finally:
        path.write_text(before) if before is not None else path.unlink()
    assert done.returncode == 1
    assert said in done.stdout
