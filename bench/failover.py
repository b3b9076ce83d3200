#!/usr/bin/env python3
"""How long a cluster is silent after `kill -9` of its leader: from the signal to the next answer that any other node gives to a
command sent after it.

    make && build/tools/venv/bin/python bench/failover.py --kills 100

Clients, one for each proposer, send SET after SET; what is refused is sent again after a millisecond. After each kill the node is
started again, catches up and is connected again. Default settings. Prints a row of a table: median, 90th percentile and maximum, in
milliseconds.
"""
import argparse
import signal
import sys
import threading
import time
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "e2e"))

from cluster import Cluster, wait_until  # noqa: E402
from resp import Connection, ReplyError  # noqa: E402

RETRY_S = 0.001


class Client(threading.Thread):
    """Asks one node for ever. `answered_at`: when it was answered last; `first_at`: when a command was answered first that was sent
    after `since`."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.ended = port, threading.Event()
        self.answered_at = self.since = 0.0
        self.first_at = None
        self.start()

    def run(self):
        while not self.ended.is_set():
            try:
                with Connection(self.port, timeout_s=10) as connection:
                    while not self.ended.is_set():
                        self.ask(connection)
            except OSError:
                time.sleep(RETRY_S)

    def ask(self, connection):
        sent = time.monotonic()
        if isinstance(connection.command("SET", "key", "value"), ReplyError):
            time.sleep(RETRY_S)
            return
        self.answered_at = time.monotonic()
        if self.first_at is None and sent > self.since:
            self.first_at = self.answered_at


def silence_s(cluster, clients):
    """Kills the leader. Returns how long it took until another node answered, and the node."""
    leader = cluster.wait_leader(settled=True)
    others = [client for node, client in clients.items() if node not in cluster.server_of(leader).nodes]
    cluster.server_of(leader).signal(signal.SIGKILL)
    killed_at = time.monotonic()
    for client in others:
        client.since, client.first_at = killed_at, None
    cluster.kill(leader)
    wait_until(lambda: all(client.first_at for client in others), 20, "answers of the others")
    return min(client.first_at for client in others) - killed_at, leader


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
