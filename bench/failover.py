#!/usr/bin/env python3
"""How long a cluster is silent after `kill -9` of its leader: from the signal to the next answer that any other node gives to a
command sent after it.

    make && build/tools/venv/bin/python bench/failover.py --kills 100

Clients, one for each proposer, send SET after SET; what is refused is sent again after a millisecond. After each kill the node is
started again, catches up and is connected again. Default settings. Prints a row of a table: median, 90th percentile and maximum, in
milliseconds.
"""
import argparse
import sys
import time
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "e2e"))

from cluster import Cluster, wait_until  # noqa: E402
from silence import Client, silence_s  # noqa: E402

def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--deployment", default="coordinator")
    options.add_argument("--network", default="host-tcp")
    options.add_argument("--native", action="store_true")
    options.add_argument("--pause", type=float, default=1.0, help="seconds between a start and the next kill")
    options = options.parse_args()
    choices = {} if options.network == "host-tcp" else {"network": options.network}
    cluster = Cluster(options.deployment, native=options.native, choices=choices)
    clients = {}
    try:
        cluster.up()
        clients = {node.id: Client(node.client_port) for node in cluster.nodes.values() if node.proposes}
        silences = []
        for i in range(options.kills):
            wait_until(lambda: all(time.monotonic() - client.answered_at < 0.2 for client in clients.values()), 30, "all answer")
            silence, leader = silence_s(cluster, clients)
            silences.append(silence * 1000)
            print(f"kill {i + 1}, node {leader}: {silence * 1000:.1f} ms", file=sys.stderr)
            cluster.start(leader)
            wait_until(lambda: cluster.info(leader), 10, f"an answer of node {leader}")
            time.sleep(options.pause)
        p90 = quantiles(silences, n=10)[-1]
        kind = "native" if options.native else "components"
        print(f"| {options.deployment}, {options.network}, {kind} | {median(silences):.0f} | {p90:.0f} | {max(silences):.0f} |")
        for client in clients.values():
            client.ended.set()
        cluster.stop()
    finally:
        cluster.close()


if __name__ == "__main__":
    main()
