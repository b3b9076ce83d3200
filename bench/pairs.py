#!/usr/bin/env python3
"""What a change costs, or what another system does: two or more in turn (A B A B ...), each round in processes of its own.

    git worktree add ../before COMMIT && make -C ../before
    build/tools/venv/bin/python bench/pairs.py ../before/build/bin/synod build/bin/synod --rounds 5

Or one build with nodes of different kinds: after a colon, `native`, or keys of the configuration.

    build/tools/venv/bin/python bench/pairs.py build/bin/synod build/bin/synod:granularity=node build/bin/synod:native

Or beside its peers (bench/peers.py): redis:always, redis:replicas, etcd, redisraft.

    build/tools/venv/bin/python bench/pairs.py build/bin/synod build/bin/synod:granularity=node redis:always etcd

Prints medians of the rounds, and the medians of each round's own ratios to A: a busy machine changes all of a round. What a system
cannot do is left out.
"""
import argparse
import sys
from statistics import median
from string import ascii_uppercase

import sides
from shared import MANY

LOADS = {
    "SET": ["--command", "set"],
    "SET, pipeline 16": ["--command", "set", "--pipeline", 16],
    "GET": ["--command", "get"],
    "INCR in sessions": ["--command", "incr", "--sessions"],
    "INCR in sessions, pipeline 16": ["--command", "incr", "--sessions", "--pipeline", 16],
    "SET of 16 KiB": ["--command", "set", "--value-size", 16384, "--connections", 100],
    "one client": ["--command", "set", "--connections", 1, "--processes", 1],
}
USUAL = [name for name in LOADS if "sessions" not in name]
FEWER = {"SET of 16 KiB": 10, "one client": 50}  # as many times fewer requests
FIGURES = {"throughput": "requests/s", "median_ms": "median, ms", "p99_ms": "P99, ms", "p99_9_ms": "P99.9, ms",
           "server_us": "server CPU, us a request"}


def measured(side, options):
    loads = {name: [options.requests // FEWER.get(name, 1), *MANY, "--keyspace", 1000, *LOADS[name]] for name in options.loads}
    found = sides.measured(side, loads, options.deployment, apart=options.apart)
    return {name: said and [said[figure] for figure in FIGURES] for name, said in found.items()}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sides", nargs="+", metavar="PROGRAM[:KIND] or PEER", help="A, B, ...")
    options.add_argument("--requests", type=int, default=200000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--deployment", default="coordinator")
    options.add_argument("--loads", nargs="+", choices=list(LOADS), default=USUAL)
    options.add_argument("--apart", action="store_true", help="nodes and load on processors of their own")
    options = options.parse_args()
    rounds = []
    for i in range(options.rounds):
        rounds.append([measured(side, options) for side in options.sides])
        print(f"round {i + 1}: {rounds[-1]}", file=sys.stderr, flush=True)
    for letter, side in zip(ascii_uppercase, options.sides):
        print(f"{letter}: {side}")
    print("\n| | | " + " | ".join(FIGURES.values()) + " |\n|---|---|" + "---|" * len(FIGURES))
    for name in options.loads:
        columns = {letter: [one[i][name] for one in rounds] for i, letter in enumerate(ascii_uppercase[:len(options.sides)])}
        columns = {letter: list(zip(*column)) for letter, column in columns.items() if all(column)}
        for letter, column in columns.items():
            print(f"| {name} | {letter} | " + " | ".join(f"{median(c):,.2f}" for c in column) + " |")
        for letter, column in columns.items():
            if letter != "A" and "A" in columns:
                ratios = [median(b / a for a, b in zip(*both)) for both in zip(columns["A"], column)]
                print(f"| {name} | {letter} / A | " + " | ".join(f"{r:.2f}" for r in ratios) + " |")


if __name__ == "__main__":
    main()
