#!/usr/bin/env python3
"""What sessions cost: the same load without and with `--sessions`, in turn, on one cluster of three coordinators.

    make && build/tools/venv/bin/python bench/sessions.py --rounds 5

Prints a table: medians of the rounds, and ratios (with sessions / without) as the median of each round's own.
"""
import argparse
import sys
from statistics import median

from shared import MANY, Synod

LOADS = {
    "SET, a key each": [*MANY, "--keyspace", 0],
    "SET, 1,000 keys": [*MANY, "--keyspace", 1000],
    "INCR, 100 keys": [*MANY, "--keyspace", 100, "--command", "incr"],
    "INCR, 100 keys, `--pipeline 16`": [*MANY, "--keyspace", 100, "--command", "incr", "--pipeline", 16],
    "INCR, one client": ["--connections", 1, "--keyspace", 1, "--command", "incr"],
}
FIGURES = ["throughput", "p99_ms", "median_ms", "server_us", "client_us"]


def measure(cluster, arguments, requests):
    figures = cluster.load(requests, *arguments)
    figures["client_us"] = figures["generator_cpu_seconds"] * 1e6 / requests
    return [figures[name] for name in FIGURES]


def row(cluster, name, options):
    requests = options.requests // 20 if "one client" in name else options.requests
    rounds = []
    for i in range(options.rounds):
        cluster.connect(cluster.wait_leader()).call("FLUSHALL")
        plain = measure(cluster, LOADS[name], requests)
        cluster.connect(cluster.wait_leader()).call("FLUSHALL")
        rounds.append((plain, measure(cluster, [*LOADS[name], "--sessions"], requests)))
        print(f"round {i + 1}, {name}: {rounds[-1]}", file=sys.stderr)
    cells = []
    for i, digits in enumerate([0, 1, 2, 1, 1]):
        plain, sessions = (median(one[kind][i] for one in rounds) for kind in (0, 1))
        ratio = median(one[1][i] / one[0][i] for one in rounds)
        cells.append(f"{plain:,.{digits}f} -> {sessions:,.{digits}f} ({ratio:.2f})")
    return f"| {name} | {' | '.join(cells)} |"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--requests", type=int, default=200000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--native", action="store_true")
    options = options.parse_args()
    cluster = Synod("native" if options.native else "", settings={"segment_bytes": "64 MiB"})
    try:
        cluster.up()
        print("| load | requests/s | P99, ms | median, ms | server CPU, us a request | client CPU, us a request |")
        print("|---|---|---|---|---|---|")
        for name in LOADS:
            print(row(cluster, name, options), flush=True)
        cluster.stop()
    finally:
        cluster.close()


if __name__ == "__main__":
    main()
