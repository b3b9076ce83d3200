#!/usr/bin/env python3
"""What a change costs: builds of synod in turn (A B A B ...), each round on a new cluster of its own.

    git worktree add ../before COMMIT && make -C ../before
    build/tools/venv/bin/python bench/pairs.py ../before/build/bin/synod build/bin/synod --rounds 5

Or one build with nodes of different kinds: after a colon, `native`, or keys of the configuration.

    build/tools/venv/bin/python bench/pairs.py build/bin/synod build/bin/synod:granularity=node build/bin/synod:native

Prints medians of the rounds, and the medians of each round's own ratios to A: a busy machine changes all of a round.
"""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from string import ascii_uppercase

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "e2e"))

LOADS = {
    "SET": ["--command", "set"],
    "SET, pipeline 16": ["--command", "set", "--pipeline", 16],
    "GET": ["--command", "get"],
    "INCR in sessions": ["--command", "incr", "--sessions"],
    "INCR in sessions, pipeline 16": ["--command", "incr", "--sessions", "--pipeline", 16],
    "one client": ["--command", "set", "--connections", 1, "--processes", 1],
}
MANY = ["--connections", 500, "--processes", 10, "--keyspace", 1000, "--json", "--quiet"]
SETTINGS = {"suspect_timeout_ms": 2000, "dead_timeout_ms": 4000}  # no elections while the processors are busy
REQUESTS_OF_ONE_CLIENT = 50  # as many times fewer requests
FIGURES = ("requests/s", "median, ms", "P99, ms", "server CPU, us a request")


def measure(options):
    """In a process of its own, because the environment says which program the cluster runs."""
    from cluster import Cluster, run

    def cpu_seconds():
        fields = [Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split() for server in cluster.servers]
        return sum(int(f[11]) + int(f[12]) for f in fields) / os.sysconf("SC_CLK_TCK")

    figures = {}
    native = options.kind == "native"
    choices = dict(choice.split("=") for choice in options.kind.split(",") if "=" in choice)
    cluster = Cluster(options.deployment, settings=SETTINGS, native=native, choices=choices)
    try:
        cluster.up()
        for name in options.loads:
            requests = options.requests // (REQUESTS_OF_ONE_CLIENT if name == "one client" else 1)
            before = cpu_seconds()
            done = run("bench", "--config", cluster.config_file, "--requests", requests, *MANY, *LOADS[name], timeout_s=600)
            assert done.returncode == 0, done.stdout + done.stderr
            said = json.loads(done.stdout)
            figures[name] = [said["throughput"], said["median_ms"], said["p99_ms"], (cpu_seconds() - before) * 1e6 / requests]
        cluster.stop()
    finally:
        cluster.close()
    return figures


def measured(side, arguments):
    program, _, kind = side.partition(":")
    done = subprocess.run([sys.executable, __file__, *arguments, "--measure", "--kind", kind],
                          env={**os.environ, "SYNOD": str(Path(program).resolve())}, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sides", nargs="*", metavar="PROGRAM[:KIND]", help="A, B, ...")
    options.add_argument("--requests", type=int, default=200000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--deployment", default="coordinator")
    options.add_argument("--loads", nargs="+", choices=list(LOADS), default=list(LOADS))
    options.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--kind", default="", help=argparse.SUPPRESS)
    options = options.parse_args()
    if options.measure:
        print(json.dumps(measure(options)))
        return
    arguments = ["--requests", str(options.requests), "--deployment", options.deployment, "--loads", *options.loads]
    rounds = []
    for i in range(options.rounds):
        rounds.append([measured(side, arguments) for side in options.sides])
        print(f"round {i + 1}: {rounds[-1]}", file=sys.stderr, flush=True)
    print("| | | " + " | ".join(FIGURES) + " |\n|---|---|" + "---|" * len(FIGURES))
    for load in options.loads:
        columns = [list(zip(*(sides[i][load] for sides in rounds))) for i in range(len(options.sides))]
        for name, column in zip(ascii_uppercase, columns):
            print(f"| {load} | {name} | " + " | ".join(f"{median(c):,.2f}" for c in column) + " |")
        for name, column in zip(ascii_uppercase[1:], columns[1:]):
            ratios = [median(b / a for a, b in zip(*both)) for both in zip(columns[0], column)]
            print(f"| {load} | {name} / A | " + " | ".join(f"{r:.2f}" for r in ratios) + " |")


if __name__ == "__main__":
    main()
