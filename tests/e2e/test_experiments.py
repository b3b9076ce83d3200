"""The experiments of `synod-lab`, with counts so small that the figures mean nothing: tables, JSON and pictures are there."""

import json
import os
import signal
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from cluster import BAD_INPUT, CHECK_FAILED, OK, TROUBLE, program, run, wait_until

LAB = program("synod-lab")
SVG = "{http://www.w3.org/2000/svg}"

COMPOSITIONS = ["native", "host", "host-agents", "host-node", "host-serializer", "guest-storage", "guest-tcp", "guest-udp", "all-guest",
                "all-guest-node"]
LOOPS = [f"{network}, {way}" for network in ("host-tcp", "guest-tcp") for way in ("events", "every 1 ms", "every 100 us")]
BOUNDARIES = ["native function", "native function, copied bytes", "host to guest", "guest to host", "guest to guest, list<u8>",
              "guest to guest, list<u64>", "guest to guest, list of eight u64", "guest to host's serializer", "guest to WASI's clock",
              "turn of an idle node, native", "turn of an idle node, wasm"]
SMALL = ["--requests", 300, "--connections", 10, "--one-requests", 20, "--rounds", 1]

# Experiment: (arguments, names of the rows, JSON keys that every row has, bars, points).
EXPERIMENTS = {
    "overhead": (SMALL, COMPOSITIONS,
                 ["throughput", "mean_ms", "median_ms", "p99_ms", "cpu_us", "one_median_ms", "one_p99_ms", "throughput_ratio",
                  "cpu_ratio", "one_median_ratio"], 4 * 10, 0),
    "crossings": (["--rounds", 1, "--millis", 1], BOUNDARIES, ["bytes_0_ns", "fixed_ns"], 11, 8 * 5),
    "waiting": (["--requests", 20, "--idle-ms", 200, "--rounds", 1], LOOPS, ["idle_cpu_percent", "median_ms", "p99_ms"], 3 * 6, 0),
    "chain": (["--requests", 20, "--samples", 10, "--rounds", 1], ["native", "node", "parts"],
              ["sync_us", "trip_us", "floor_us", "median_us", "p99_us", "floor_ratio", "leader_turns", "leader_turn_us",
               "follower_turns", "follower_turn_us", "wait_us", "write_us", "told_us"], 3 * 3, 0),
    "deployments": (SMALL, ["standalone", "shared", "coordinator"],
                    ["processes", "throughput", "mean_ms", "median_ms", "p99_ms", "one_median_ms", "cpu_us", "resident_mb"], 5 * 3, 0),
    "journal": (["--rounds", 1, "--megabytes", 4], ["groups of 4 KiB", "groups of 64 KiB", "groups of 1 MiB"],
                ["once_mb_s", "twice_mb_s", "ratio"], 2 * 3, 0),
    "history": (["--requests", 500, "--mebibytes", 1], [str(500 << i) for i in range(4)] + [f"{1 << i} MiB of state" for i in range(4)],
                ["requests", "state_mb", "disk_mb", "restart_s"], 0, 4 * 4),
    "restarts": (["--keys", 200, "--restarts", 3, "--requests", 5], ["service interruption", "fault to node ready"],
                 ["count", "min_ms", "median_ms", "p95_ms", "p99_ms", "max_ms"], 0, 2 * 5),
}


@pytest.fixture
def bench(tmp_path):
    """Runs an experiment with its clusters below a folder of which nothing may be left."""
    clusters = tmp_path / "clusters"
    clusters.mkdir()

    def run_bench(*arguments, code=OK, environment=None):
        done = run(*arguments, command=LAB, timeout_s=300, env=os.environ | {"TMPDIR": str(clusters)} | (environment or {}))
        print(done.stdout, done.stderr)
        assert done.returncode == code
        assert list(clusters.iterdir()) == []
        return done

    run_bench.clusters = clusters
    return run_bench


def check_picture(file, bars, points):
    """Every bar and point of a picture is there, with a tooltip; all numbers in it are numbers."""
    root = ElementTree.parse(file).getroot()
    marks = {"bar": 0, "point": 0}
    for element in root.iter():
        if element.get("class") in marks:
            marks[element.get("class")] += 1
            assert element.find(f"{SVG}title").text
        for key in ("x", "y", "cx", "cy", "width", "height"):
            assert element.get(key) in (None, "100%") or float(element.get(key)) >= 0
    assert marks == {"bar": bars, "point": points}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_json_and_picture(bench, tmp_path, experiment):
    arguments, names, keys, bars, points = EXPERIMENTS[experiment]
    picture = tmp_path / "picture.svg"
    result = json.loads(bench(experiment, *arguments, "--quiet", "--json", "--plot", picture).stdout)
    assert result["experiment"] == experiment
    assert [row["name"] for row in result["rows"]] == names
    for row in result["rows"]:
        assert row["problem"] is None
        assert all(row[key] > 0 for key in keys), row
    check_picture(picture, bars, points)


def test_text(bench):
    """A line a row, below two lines of columns; progress is not among them."""
    done = bench("overhead", *SMALL, "--compositions", "host,native")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["composition", "requests/s", "native", "host"]
    assert lines[2].split()[-3:] == ["1.00", "1.00", "1.00"]
    assert "round 1 of 1: native" in done.stderr


def test_crossings_follow_a_line(bench):
    """What takes longer with more bytes has a cost a byte, what is only lent has none."""
    rows = json.loads(bench("crossings", "--quiet", "--json").stdout)["rows"]
    rows = {row["name"]: row for row in rows}
    for name in ("host to guest", "guest to guest, list<u8>", "guest to guest, list<u64>"):
        predicted = rows[name]["fixed_ns"] + 262144 * rows[name]["byte_ns"]
        assert predicted == pytest.approx(rows[name]["bytes_262144_ns"], rel=0.9)
        assert rows[name]["byte_ns"] > 10 * abs(rows["native function"]["byte_ns"])
    lists = [rows[f"guest to guest, {of}"]["byte_ns"] for of in ("list<u8>", "list<u64>", "list of eight u64")]
    assert lists == sorted(lists, reverse=True)
    assert rows["turn of an idle node, wasm"]["byte_ns"] is None


def test_deployments_are_what_they_say(bench):
    arguments = EXPERIMENTS["deployments"][0]
    rows = json.loads(bench("deployments", *arguments, "--quiet", "--json").stdout)["rows"]
    assert [row["processes"] for row in rows] == [9, 3, 3]


@pytest.mark.parametrize("role, fault, part", [("any", "memory", "kv-store"), ("leader", "loop", "acceptor")])
def test_restarts_of_all_kinds(bench, role, fault, part):
    done = bench("restarts", "--keys", 100, "--restarts", 2, "--requests", 3, "--role", role, "--fault", fault, "--part", part)
    assert f"2 faults ({fault} in {part}); " in done.stdout and "all that was acknowledged is still there" in done.stdout


# ---- What cannot be measured ----


def test_a_composition_that_is_not_there_is_an_error(bench, tmp_path):
    nodes = tmp_path / "nodes"
    nodes.mkdir()
    environment = {"SYNOD_NODES": str(nodes)}
    done = bench("overhead", *SMALL, "--compositions", "native,guest-udp", "--json", "--quiet", code=CHECK_FAILED,
                 environment=environment)
    native, guest = json.loads(done.stdout)["rows"]
    assert native["problem"] is None and native["throughput"] > 0
    assert guest["throughput"] is None and "coordinator-node-guest-udp.wasm" in guest["problem"]
    assert "guest-udp: the process of node" in done.stderr
    done = bench("overhead", *SMALL, "--compositions", "guest-udp", code=CHECK_FAILED, environment=environment)
    assert "cannot be measured" in done.stdout
    done = bench("crossings", "--rounds", 1, "--millis", 1, "--json", code=BAD_INPUT, environment=environment)
    rows = json.loads(done.stdout)["rows"]
    assert [row["problem"] is None for row in rows] == [row["name"] in ("native function", "native function, copied bytes", "turn of an idle node, native") for row in rows]
    bench("restarts", "--restarts", 1, code=CHECK_FAILED, environment=environment)


@pytest.mark.parametrize("arguments, text", [
    (["nonsense"], "unknown verb 'nonsense'"),
    (["overhead", "--compositions", "native,quantum"], "'native,quantum' is not a list of"),
    (["overhead", "--rounds", 0], "--rounds"),
    (["waiting", "--role", "any"], "unknown option"),
    (["restarts", "--fault", "fire"], "'fire' is not one of"),
])
def test_wrong_command_lines(bench, arguments, text):
    done = bench(*arguments, code=BAD_INPUT)
    assert text in done.stderr and done.stdout == ""


def test_a_part_that_is_not_there(bench):
    done = bench("restarts", "--keys", 10, "--restarts", 1, "--part", "flux-capacitor", code=TROUBLE)
    assert "there is no part of that name" in done.stderr


def test_a_picture_that_cannot_be_written(bench):
    done = bench("crossings", "--rounds", 1, "--millis", 1, "--plot", "/nowhere/picture.svg", code=TROUBLE)
    assert "/nowhere/picture.svg" in done.stderr and "host to guest" in done.stdout


def test_an_interruption_leaves_nothing_behind(bench):
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", LAB, "overhead", "--rounds", "50"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                               env=os.environ | {"TMPDIR": str(bench.clusters)})
    wait_until(lambda: list(bench.clusters.glob("*/node-3.log")), 30, "a cluster that starts")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == TROUBLE and "interrupted" in errors
    assert list(bench.clusters.iterdir()) == []
