#!/usr/bin/env python3
"""What reads cost beside writes: SET, GET, and GET while others SET, in turn, on one cluster.

    make && build/tools/venv/bin/python bench/reads.py --rounds 5
    build/tools/venv/bin/python bench/reads.py --apart    # nodes on one half of the processors, the load on the other
    build/tools/venv/bin/python bench/reads.py --deployment standalone --at learners   # reads at the learners' client ports

Prints a table: medians of the rounds. GET / SET is the median of each round's own ratio. `journal` is what was
appended to all journals meanwhile, in bytes a request.
"""
import argparse
import subprocess
import sys
from statistics import median

from shared import MANY, Synod, set_apart
from cluster import SYNOD, wait_until

WRITES_BEFORE = 20000


def written(cluster):
    return sum(cluster.info(node)["journal_bytes"] for node in cluster.nodes)


def measure(cluster, to, command, requests):
    disk = written(cluster)
    figures = cluster.load(requests, "--command", command, "--keyspace", 1000, *MANY, to=to)
    names = ("throughput", "median_ms", "p99_ms", "server_user_us", "server_us")
    return [*(figures[name] for name in names), (written(cluster) - disk) / requests]


def beside_writes(cluster, to, leader, requests):
    """GET, while other clients keep the disks busy."""
    many = ["--requests", 10**9, "--command", "set", "--connections", 200, "--pipeline", 64, "--keyspace", 1000, "--json", "--quiet"]
    writers = subprocess.Popen([SYNOD, "bench", *map(str, leader), *map(str, many)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        first = commands_executed(cluster)
        wait_until(lambda: commands_executed(cluster) > first + WRITES_BEFORE, 30, "writes before the reads")
        before = commands_executed(cluster)
        figures = cluster.load(requests // 4, "--command", "get", "--connections", 50, "--keyspace", 1000, to=to)
        sets = (commands_executed(cluster) - before) / figures["seconds"]
    finally:
        writers.terminate()
        writers.wait()
    return [figures["throughput"], figures["median_ms"], figures["p99_ms"], sets]


def commands_executed(cluster):
    return max(int(cluster.info(node.id)["commands_executed"]) for node in cluster.nodes.values() if node.executes)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--requests", type=int, default=200000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--deployment", default="coordinator")
    options.add_argument("--at", choices=["leader", "learners"], default="leader")
    options.add_argument("--native", action="store_true")
    options.add_argument("--apart", action="store_true", help="nodes and load on processors of their own")
    options = options.parse_args()
    cluster = Synod("native" if options.native else "", options.deployment, {"segment_bytes": "64 MiB"})
    try:
        cluster.up()
        if options.apart:
            set_apart(cluster)
        leader = ["--config", cluster.config_file]
        learners = ",".join(f"127.0.0.1:{node.client_port}" for node in cluster.nodes.values() if node.role == "learner")
        to = leader if options.at == "leader" else ["--address", learners, "--readonly"]
        rows = {"SET": [], "GET": [], "GET beside SET": []}
        for i in range(options.rounds):
            rows["SET"].append(measure(cluster, leader, "set", options.requests))
            rows["GET"].append(measure(cluster, to, "get", options.requests))
            rows["GET beside SET"].append(beside_writes(cluster, to, leader, options.requests))
            print(f"round {i + 1}: {[rows[name][i] for name in rows]}", file=sys.stderr, flush=True)
        print("| | requests/s | median, ms | P99, ms | server CPU, us a request, user | all | journal, bytes a request |")
        print("|---|---|---|---|---|---|---|")
        for name in ("SET", "GET"):
            print(f"| {name} | " + " | ".join(f"{median(column):,.2f}" for column in zip(*rows[name])) + " |")
        print("GET / SET:", f"{median(g[0] / s[0] for g, s in zip(rows['GET'], rows['SET'])):.2f}")
        mixed = [median(column) for column in zip(*rows["GET beside SET"])]
        print("GET beside SET: {:,.0f} requests/s, median {:.2f} ms, P99 {:.2f} ms, beside {:,.0f} SET/s".format(*mixed))
        cluster.stop()
    finally:
        cluster.close()


if __name__ == "__main__":
    main()
