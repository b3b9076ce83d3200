"""Set-up in two steps: what the build needs, and what tests need beside it. The build must do without the second."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cluster import BUILD, ROOT

DEMOS = [f"demo-{deployment}-{granularity}" for deployment in ("coordinator", "standalone", "shared")
         for granularity in ("parts", "agents", "node")]


def packages():
    """The Debian packages of each step."""
    steps = {}
    for line in (ROOT / "scripts/debian-packages.txt").read_text().splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("=="):
            step = steps.setdefault(line.split()[1], [])
        elif line:
            step.append(line)
    return steps


def commands(target):
    done = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", target], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def programs(lines):
    """The programs that the lines call by a name or a path: the first words of their commands, and what `cmake -E env` starts."""
    found = set()
    for line in lines:
        for command in re.split(r"\s(?:&&|;|\|\|)\s", line):
            words = [word for word in command.split() if not re.match(r"[A-Z_]+=", word)]
            while words and (Path(words[0]).name in ("env", "ccache") or words[:3][1:] == ["-E", "env"]):
                words = words[3:] if words[:3][1:] == ["-E", "env"] else words[1:]
            if words and words[0] not in (":", "cd"):
                found.add(words[0])
    return found


def package_of(program):
    """Which Debian package it is from; None: it is from none."""
    file = shutil.which(program)
    if file is None:
        return None
    for path in (file, str(Path(file).resolve())):
        done = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.split(":")[0]
    return None


def test_the_steps_are_told_apart():
    steps = packages()
    assert set(steps) == {"build", "test", "clients"}
    assert sum(map(len, steps.values())) == len(set().union(*steps.values()))  # each package has one step
    for not_for_building in ("openssh-server", "redis-server", "etcd-server", "fuse3", "clang-tidy-19", "python3-venv"):
        assert not_for_building in steps["test"]


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="not Debian")
@pytest.mark.parametrize("demo", DEMOS)
def test_a_demo_is_built_without_what_tests_need(demo):
    lines = commands(demo)
    used = programs(lines)
    assert len(used) > 5, used
    from_tests = {name: package for name in used if (package := package_of(name)) in packages()["test"]}
    assert not from_tests
    assert not [line for line in lines if "tools/venv" in line or "tools/wasi-host" in line]


def test_a_demo_is_not_everything():
    """What one deployment runs: no tests, no faulty parts, no nodes of others."""
    everything = len(commands("all"))
    for demo in DEMOS:
        lines = commands(demo)
        assert len(lines) < everything / 2
        text = "\n".join(lines)
        assert "-faulty.wasm" not in text and "tests/unit" not in text and "guest-client" not in text
    composed = re.findall(r"compose\.sh (.*)", "\n".join(commands("demo-coordinator-parts")))
    assert [words.split()[0] for words in composed] == ["coordinator-node"]
    assert composed[0].split()[6] == "parts"


@pytest.mark.parametrize("granularity", ("parts", "agents", "node"))
@pytest.mark.parametrize("role", ("coordinator-node", "proposer-node", "acceptor-node", "learner-node"))
def test_a_composition_takes_what_it_lists(tmp_path, role, granularity):
    """In a folder without any other component, as a build of one target has it."""
    command = [ROOT / "compositions" / "compose.sh", role, "host-tcp", "host", "guest", "sticky", "synod", granularity]
    environment = os.environ | {"BUILD": str(tmp_path)}
    listed = subprocess.run(command, env=environment | {"PARTS": "list"}, capture_output=True, text=True, check=True).stdout.split()
    (tmp_path / "bin").symlink_to((BUILD / "bin").resolve())
    (tmp_path / "components").mkdir()
    for name in listed:
        (tmp_path / "components" / f"{name}.wasm").symlink_to((BUILD / "components" / f"{name}.wasm").resolve())
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_step_that_does_not_exist_is_refused():
    done = subprocess.run([ROOT / "scripts/setup.sh", "everything"], capture_output=True, text=True)
    assert done.returncode != 0 and "build | test" in done.stderr
