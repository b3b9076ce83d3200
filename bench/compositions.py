#!/usr/bin/env python3
"""Measures every composition of a granularity once, in one run: a cluster of three (nine nodes where roles are apart), writes of 64 bytes.

    make setup-test build && build/tools/venv/bin/python bench/compositions.py [--granularity LEVEL] [--requests N]

Prints a row for each: requests a second at 50 connections and processor time a request of all nodes; median and P99 of one
connection alone. Loads are bounded; each cluster is removed when it is measured. The machine is not quiet enough for single
figures: read them as ratios to the first row."""

import argparse
from pathlib import Path

import shared
import compositions  # of tests/e2e, which `shared` makes known
from cluster import Cluster


def load(cluster, requests, connections):
    return shared.load(cluster, requests, "--connections", connections, "--processes", 1, "--value-size", 64,
                       to=["--config", cluster.config_file])


def measure(row, requests):
    choices = {key: value for key, value in row.items() if key != "deployment"}
    cluster = Cluster(row["deployment"], settings=shared.SETTINGS, choices=choices, leader_rule="sticky")
    try:
        cluster.up()
        load(cluster, requests // 10, 50)  # warm
        many = load(cluster, requests, 50)
        one = load(cluster, max(requests // 20, 200), 1)
        cluster.wait_settled()
        cluster.stop()
    finally:
        cluster.close()
    return {"throughput": many["throughput"], "p99_ms": many["p99_ms"], "cpu_us": many["server_us"],
            "one_median_ms": one["median_ms"], "one_p99_ms": one["p99_ms"]}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--requests", type=int, default=10000)
    options.add_argument("--granularity", choices=compositions.CHOICES["granularity"], default="parts")
    options.add_argument("--markdown", type=Path, help="where to write the table to")
    options = options.parse_args()
    lines = ["| deployment | network | storage | serializer | requests/s | of the first | CPU us/request | P99 of 50, ms | median of 1, ms | P99 of 1, ms |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    first = None
    for row in (row for row in compositions.ALL if row["granularity"] == options.granularity):
        found = measure(row, options.requests)
        first = first or found["throughput"]
        lines.append("| " + " | ".join(row[key] for key in compositions.CHOICES if key != "granularity") + f" | {found['throughput']:.0f} | "
                     f"{found['throughput'] / first:.2f} | {found['cpu_us']:.0f} | {found['p99_ms']:.2f} | "
                     f"{found['one_median_ms']:.2f} | {found['one_p99_ms']:.2f} |")
        print(lines[-1], flush=True)
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
