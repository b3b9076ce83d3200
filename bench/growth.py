#!/usr/bin/env python3
"""How figures change with the number of nodes, keys, bytes of a value and connections, beside the peers of bench/peers.py.

    make && build/tools/venv/bin/python bench/growth.py                                # all four, which takes an hour or two
    build/tools/venv/bin/python bench/growth.py nodes keys --sides build/bin/synod:granularity=node redis:always
    build/tools/venv/bin/python bench/growth.py connections --pictures docs/pictures   # and growth-connections.svg there

SET, 64 bytes, 1,000 keys, 500 clients in 10 processes, three nodes, but for the one figure that grows; with large values as many
keys and clients as 64 MiB have room for. Each point is a system of its own, and the median of the rounds. Prints a table each:
requests a second, and server CPU in us a request.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import sides
import install  # of tests/clients, which bench/peers.py makes known

GROWS = {
    "nodes": [1, 3, 5, 7, 9],
    "keys": [1000, 10_000, 100_000, 1_000_000, 10_000_000],
    "bytes": [16, 256, 4096, 65_536, 1_000_000],
    "connections": [1, 10, 100, 1000, 10_000],
}
USUAL = {"nodes": 3, "keys": 1000, "bytes": 64, "connections": 500}
SIDES = ["build/bin/synod", "build/bin/synod:granularity=node", "build/bin/synod:native", "redis:always", "redis:replicas", "etcd"]
PROCESSES = 10
SENT_MAX, MEMORY = 512 << 20, 64 << 20  # bytes of values: that are sent, and that are kept or are on their way
ONE_AFTER_ANOTHER = 500  # requests of a connection, at most


def point(side, requests, nodes, keys, bytes, connections):
    if bytes > USUAL["bytes"]:
        keys, connections = min(keys, MEMORY // bytes), min(connections, MEMORY // bytes)
    requests = max(min(requests, SENT_MAX // bytes, ONE_AFTER_ANOTHER * connections), 2 * keys if keys > USUAL["keys"] else 1)
    load = ["--command", "set", "--connections", min(connections, requests), "--processes", min(PROCESSES, connections),
            "--keyspace", keys, "--value-size", bytes]
    said = sides.measured(side, {"SET": [requests, *load]}, size=nodes)["SET"]
    return said["throughput"], said["server_us"]


def table(grows, found):
    lines = [f"| {grows} | " + " | ".join(found) + " |", "|---|" + "---|" * len(found)]
    for i, value in enumerate(GROWS[grows]):
        lines.append(f"| {value:,} | " + " | ".join("{:,.0f}/s, {:,.1f} us".format(*points[i]) for points in found.values()) + " |")
    return "\n".join(lines)


def picture(folder, grows, found):
    requirements = Path(__file__).parent / "plot" / "requirements.txt"
    venv = install.installed("plot", [requirements], lambda folder: install.venv(folder, requirements))
    subprocess.run([venv / "venv/bin/python", requirements.with_name("plot.py"), folder / f"growth-{grows}.svg"], check=True, text=True,
                   input=json.dumps({"grows": grows, "values": GROWS[grows], "found": found}))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("grows", nargs="*", metavar="nodes keys bytes connections")
    options.add_argument("--sides", nargs="+", default=SIDES, metavar="SIDE", help="as of bench/pairs.py")
    options.add_argument("--requests", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--pictures", type=Path, help="a folder for pictures")
    options = options.parse_args()
    for grows in options.grows or GROWS:
        found = {side: [] for side in options.sides}
        for value in GROWS[grows]:
            rounds = [[point(side, options.requests, **USUAL | {grows: value}) for side in options.sides] for _ in range(options.rounds)]
            for side, points in zip(options.sides, zip(*rounds)):
                found[side].append([median(column) for column in zip(*points)])
            print(f"{grows} {value}: {[points[-1] for points in found.values()]}", file=sys.stderr, flush=True)
        print(table(grows, found) + "\n", flush=True)
        if options.pictures:
            picture(options.pictures, grows, found)


if __name__ == "__main__":
    main()
