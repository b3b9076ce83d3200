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

from shared import MANY, SETTINGS, load, set_apart
from cluster import Cluster

LOADS = {
    "SET": ["--command", "set"],
    "SET, pipeline 16": ["--command", "set", "--pipeline", 16],
    "GET": ["--command", "get"],
    "INCR in sessions": ["--command", "incr", "--sessions"],
    "INCR in sessions, pipeline 16": ["--command", "incr", "--sessions", "--pipeline", 16],
    "SET of 16 KiB": ["--command", "set", "--value-size", 16384, "--connections", 100],
    "one client": ["--command", "set", "--connections", 1, "--processes", 1],
}
FEWER = {"SET of 16 KiB": 10, "one client": 50}  # as many times fewer requests
FIGURES = {"throughput": "requests/s", "median_ms": "median, ms", "p99_ms": "P99, ms", "server_us": "server CPU, us a request"}


def measure(options):
    """In a process of its own, because the environment says which program the cluster runs."""
    figures = {}
    native = options.kind == "native"
    choices = dict(choice.split("=") for choice in options.kind.split(",") if "=" in choice)
    cluster = Cluster(options.deployment, settings=SETTINGS, native=native, choices=choices)
    try:
        cluster.up()
        if options.apart:
            set_apart(cluster)
        for name in options.loads:
            said = load(cluster, options.requests // FEWER.get(name, 1), *MANY, "--keyspace", 1000, *LOADS[name])
            figures[name] = [said[figure] for figure in FIGURES]
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
    options.add_argument("--apart", action="store_true", help="nodes and load on processors of their own")
    options.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--kind", default="", help=argparse.SUPPRESS)
    options = options.parse_args()
    if options.measure:
        print(json.dumps(measure(options)))
        return
    arguments = ["--requests", str(options.requests), "--deployment", options.deployment, "--loads", *options.loads]
    arguments += ["--apart"] * options.apart
    rounds = []
    for i in range(options.rounds):
        rounds.append([measured(side, arguments) for side in options.sides])
        print(f"round {i + 1}: {rounds[-1]}", file=sys.stderr, flush=True)
    print("| | | " + " | ".join(FIGURES.values()) + " |\n|---|---|" + "---|" * len(FIGURES))
    for name in options.loads:
        columns = [list(zip(*(sides[i][name] for sides in rounds))) for i in range(len(options.sides))]
        for side, column in zip(ascii_uppercase, columns):
            print(f"| {name} | {side} | " + " | ".join(f"{median(c):,.2f}" for c in column) + " |")
        for side, column in zip(ascii_uppercase[1:], columns[1:]):
            ratios = [median(b / a for a, b in zip(*both)) for both in zip(columns[0], column)]
            print(f"| {name} | {side} / A | " + " | ".join(f"{r:.2f}" for r in ratios) + " |")


if __name__ == "__main__":
    main()
