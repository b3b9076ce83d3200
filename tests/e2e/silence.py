"""How long a cluster is silent when its leader is killed: from the signal to the next answer that any other node gives to a command
sent after it."""

import signal
import threading
import time

from cluster import wait_until
from resp import Connection, ReplyError

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
