"""`synod demo`: load on a cluster of its own, statistics, checks, and 0 in the end."""

import os
import re
from pathlib import Path

import pytest

import cluster

REQUESTS = 50000
CHECKS = [
    f"check: {REQUESTS} of {REQUESTS} requests answered",
    r"check: executed slot \d+ and state [0-9a-f]{16} are equal on all 3 nodes that execute",
    r"check: \d+ values read back",
    "all checks passed; the cluster is stopped",
]
UNDISTURBED, KILLED = "check: no leader change on the way", "check: another ballot leads after the kill"
STATISTICS = ["Count", "Min", "Max", "Mean", "Median", "P95", "P99", "P99.9", "Throughput"]


def demo(*arguments, timeout_s=120, tmp_path):
    """Runs it with its folder in `tmp_path`, of which nothing may be left."""
    done = cluster.run("demo", *arguments, timeout_s=timeout_s, env=os.environ | {"TMPDIR": str(tmp_path)})
    print(done.stdout, done.stderr)
    return done


def check(done, *more):
    assert done.returncode == cluster.OK, done.stderr
    for pattern in (*CHECKS, *more):
        assert re.search(f"^{pattern}$", done.stdout, re.MULTILINE), f"'{pattern}' is missing in\n{done.stdout}"
    for name in STATISTICS:
        assert re.search(rf"^ *{re.escape(name)} +\d", done.stdout, re.MULTILINE), f"'{name}' is missing in\n{done.stdout}"
    assert "\r" not in done.stdout and "\x1b" not in done.stdout, "a progress line, though this is no terminal"


@pytest.mark.parametrize("deployment", ["coordinator", "standalone", "shared"])
def test_deployments(deployment, tmp_path):
    done = demo("--deployment", deployment, "--requests", REQUESTS, tmp_path=tmp_path)
    check(done, UNDISTURBED)
    assert f"cluster: {deployment}, " in done.stdout and "WebAssembly" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("deployment", ["coordinator", "standalone", "shared"])
def test_native(deployment, tmp_path):
    done = demo("--deployment", deployment, "--requests", REQUESTS, "--native", tmp_path=tmp_path)
    check(done, UNDISTURBED)
    assert "WebAssembly" not in done.stdout


@pytest.mark.parametrize("deployment", ["coordinator", "standalone", "shared"])
def test_kill_leader(deployment, tmp_path):
    done = demo("--deployment", deployment, "--requests", REQUESTS, "--kill-leader-at", REQUESTS // 3, tmp_path=tmp_path)
    check(done, KILLED)


def test_keep(tmp_path):
    done = demo("--requests", 1000, "--clients", 10, "--processes", 2, "--keep", tmp_path=tmp_path)
    assert done.returncode == cluster.OK
    kept = Path(re.search(r"^kept (\S+);", done.stdout, re.MULTILINE)[1])
    assert kept.parent == tmp_path and (kept / "cluster.yaml").exists() and len(list(kept.glob("data*/node-*"))) == 3
    assert done.stdout.count("start --config") == 3


@pytest.mark.parametrize("arguments, expected", [
    (["--nodes", 1, "--requests", 2000], "1 node"),
    (["--nodes", 5, "--requests", 2000], "5 nodes"),
    (["--requests", 2000, "--value-size", 10000, "--clients", 20], "2000 of 2000"),
    (["--requests", 1, "--clients", 1, "--processes", 1], "1 of 1"),
])
def test_other_sizes(arguments, expected, tmp_path):
    done = demo(*arguments, tmp_path=tmp_path)
    assert done.returncode == cluster.OK and expected in done.stdout
