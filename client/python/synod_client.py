"""A client of Synod on top of redis-py, whose commands are executed exactly once, whatever becomes of connections and nodes.

    client = SynodClient([("10.0.0.1", 6379), ("10.0.0.2", 6379), ("10.0.0.3", 6379)])
    client.execute("INCR", "visits")

Each command has a number in a session (docs/sessions.md). When no answer comes, it is sent again with the same number, to the next
node, until there is one or `timeout_s` is over. One client is for one thread.

Copy this file into your project, or take it as an example: it needs redis-py (4.5 or newer) and nothing else.
"""

import random
import time

import redis

# What a node says of a command that it has not executed, or does not know about: it is sent again. For a node that takes none,
# redis-py has classes: the next node is asked.
AGAIN = ("BUSY", "NOROOM", "UNKNOWN")
ELSEWHERE = (redis.exceptions.ClusterDownError, redis.exceptions.MovedError)


class SessionLost(Exception):
    """The session was forgotten: it was idle while many others were used. Whether the command was executed is not known if it had
    been sent before; `sent_before` says so. The next command opens another session."""

    def __init__(self, message, sent_before):
        super().__init__(message)
        self.sent_before = sent_before


class SynodClient:
    def __init__(self, nodes, timeout_s=30.0, answer_s=2.0, window=1):
        """`nodes`: (host, port) of client ports, one at least. `timeout_s`: for a command with all its attempts. `answer_s`: for one
        attempt."""
        self._nodes = list(nodes)
        random.shuffle(self._nodes)
        self._timeout_s, self._answer_s, self._window = timeout_s, answer_s, window
        self._connection = None
        self._session = self._number = 0

    def execute(self, *command):
        """Executes a command once, and returns its reply as redis-py reads it (bytes, int, list, None). Raises redis.ResponseError if
        it was executed and its reply is an error; redis.TimeoutError if there was no answer in time: then it may have been executed, or
        may be later; and SessionLost."""
        until = time.monotonic() + self._timeout_s
        if self._session == 0:
            self._session, self._number = self._ask(("SESSION", "OPEN", self._window), until), 0
        self._number += 1
        return self._ask(("SESSION", self._session, self._number, *command), until)

    def close(self):
        """Forgets the session, if a node can be reached."""
        try:
            if self._session != 0:
                self._ask(("SESSION", "CLOSE", self._session), time.monotonic() + self._answer_s)
        except redis.RedisError:
            pass
        self._session = 0
        self._hang_up()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _hang_up(self):
        """Leaves the node; the next one is the next of the list."""
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None
            self._nodes.append(self._nodes.pop(0))

    def _ask(self, words, until):
        attempts = 0
        while True:
            why = None
            try:
                return self._ask_once(words)
            except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
                attempts, why = attempts + 1, error
                self._hang_up()
            except redis.ResponseError as error:
                text = str(error)
                if text.startswith("NOSESSION"):
                    self._session = 0
                    raise SessionLost(text, attempts > 0) from None
                if isinstance(error, ELSEWHERE):
                    self._hang_up()
                elif not text.startswith(AGAIN):
                    raise
                attempts, why = attempts + 1, error
            if time.monotonic() > until:
                raise redis.TimeoutError(f"no answer in {self._timeout_s} s; the last attempt: {why}")
            time.sleep(random.uniform(0.01, 0.05))

    def _ask_once(self, words):
        if self._connection is None:
            host, port = self._nodes[0]
            self._connection = redis.Connection(host=host, port=port, socket_timeout=self._answer_s,
                                                socket_connect_timeout=self._answer_s, retry_on_timeout=False)
        self._connection.send_command(*words)
        return self._connection.read_response()
