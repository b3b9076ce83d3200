"""`synod demo`: load on a cluster of its own, statistics, checks, and 0 in the end."""

import os
import re
from pathlib import Path

import pytest

import cluster

REQUESTS = 50000
CHECKS = [
    "check: {requests} of {requests} requests answered",
    r"check: executed slot \d+ and state [0-9a-f]{{16}} are equal on all 3 nodes that execute",
    "all checks passed; the cluster is stopped",
]
READ_BACK = r"check: \d+ values read back"
KILLS = int(os.environ.get("SYNOD_KILLS", 4))
UNDISTURBED, KILLED = "check: no leader change on the way", "check: another ballot leads after the kill"
STATISTICS = ["Count", "Min", "Max", "Mean", "Median", "P95", "P99", "P99.9", "Throughput"]


def demo(*arguments, timeout_s=120, tmp_path):
    """Runs it with its folder in `tmp_path`, of which nothing may be left."""
    done = cluster.run("demo", *arguments, timeout_s=timeout_s, env=os.environ | {"TMPDIR": str(tmp_path)})
    print(done.stdout, done.stderr)
    return done


def check(done, *more, requests=REQUESTS):
    assert done.returncode == cluster.OK, done.stderr
    for pattern in (*(check.format(requests=requests) for check in CHECKS), *more):
        assert re.search(f"^{pattern}$", done.stdout, re.MULTILINE), f"'{pattern}' is missing in\n{done.stdout}"
    for name in STATISTICS:
        assert re.search(rf"^ *{re.escape(name)} +\d", done.stdout, re.MULTILINE), f"'{name}' is missing in\n{done.stdout}"
    assert "\r" not in done.stdout and "\x1b" not in done.stdout, "a progress line, though this is no terminal"


@pytest.mark.parametrize("deployment", ["coordinator", "standalone", "shared"])
def test_deployments(deployment, tmp_path):
    done = demo("--deployment", deployment, "--requests", REQUESTS, tmp_path=tmp_path)
    check(done, UNDISTURBED, READ_BACK)
    assert f"cluster: {deployment}, " in done.stdout and "WebAssembly" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("granularity, deployment, said", [
    ("parts", "coordinator", "for each part"),
    ("agents", "standalone", "for each agent with its parts"),
    ("node", "coordinator", "for each node"),
    ("node", "shared", "for each node"),
])
def test_granularities(granularity, deployment, said, tmp_path):
    done = demo("--deployment", deployment, "--granularity", granularity, "--requests", REQUESTS, "--kills", 2, tmp_path=tmp_path)
    check(done, KILLED, counters(REQUESTS, 2))
    assert f", a WebAssembly component {said}; folder " in done.stdout


def test_native_code_has_no_granularity(tmp_path):
    done = demo("--native", "--granularity", "node", tmp_path=tmp_path)
    assert done.returncode == cluster.BAD_INPUT and "with --native there are no components" in done.stderr


@pytest.mark.parametrize("deployment", ["coordinator", "standalone", "shared"])
def test_native(deployment, tmp_path):
    done = demo("--deployment", deployment, "--requests", REQUESTS, "--native", tmp_path=tmp_path)
    check(done, UNDISTURBED, READ_BACK)
    assert "WebAssembly" not in done.stdout


@pytest.mark.parametrize("deployment", ["coordinator", "standalone", "shared"])
def test_kill_leader(deployment, tmp_path):
    done = demo("--deployment", deployment, "--requests", REQUESTS, "--kill-leader-at", REQUESTS // 3, tmp_path=tmp_path)
    check(done, KILLED, counters(REQUESTS, 1))


def counters(requests, kills):
    return f"check: {requests} INCR requests in sessions over {kills} kills of the leader: the counters are at exactly {requests}"


@pytest.mark.parametrize("deployment, native", [("coordinator", False), ("standalone", False), ("shared", False), ("coordinator", True)],
                         ids=["coordinator", "standalone", "shared", "native"])
def test_kills(deployment, native, tmp_path):
    """Each request is executed once, whichever leaders die. The long form: SYNOD_KILLS=20, for a million requests."""
    requests = 50000 * KILLS
    done = demo("--deployment", deployment, "--requests", requests, "--kills", KILLS, *["--native"] * native, timeout_s=600,
                tmp_path=tmp_path)
    check(done, KILLED, counters(requests, KILLS), requests=requests)
    assert done.stdout.count("killed the leader, node ") == KILLS


@pytest.mark.parametrize("arguments, expected", [
    (["--kill-leader-at", "5,5"], "'5,5' is not a list"),
    (["--kill-leader-at", "0"], "'0' is not a list"),
    (["--kill-leader-at", "5,"], "'5,' is not a list"),
    (["--kill-leader-at", "x"], "'x' is not a list"),
    (["--kill-leader-at", "5", "--kills", 2], "give either --kills or --kill-leader-at"),
    (["--kills", 10, "--requests", 10], "--kills must be below --requests"),
])
def test_bad_kills(arguments, expected, tmp_path):
    done = demo(*arguments, tmp_path=tmp_path)
    assert done.returncode == cluster.BAD_INPUT and expected in done.stderr


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
