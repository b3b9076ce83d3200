"""Concurrent histories, and the judge of them.

A `Load` is a number of clients, each a thread with one request outstanding, that set, get and increment keys and write down what
they asked, when, what was answered, and when. `check` says whether that history is *linearizable*: whether each operation can be
given one moment between its call and its return, such that a single store which executes them one at a time in the order of these
moments gives every answer that was given. That is what "no acknowledged write is lost, no reply is wrong" means.

Keys are independent, so each key's history is judged alone. The search is Wing and Gong's ("Testing and verifying concurrent
objects", 1993) with Lowe's memory ("Testing for linearizability", 2017): try each operation that may be the next one, which are those
that were called before any other one that is left returned; go on from the state it leaves; go back when no operation fits; and never
search twice from the same operations done and the same state. What became of an operation decides how it is judged:

    ok         answered: it happened between call and return, and gave this answer
    unknown    no answer, or -UNKNOWN: it may have happened at any time after its call, or never
    failed     -MOVED, -CLUSTERDOWN, -BUSY: it never happened, so it is left out

Two things keep the unknown ones from blowing up the search. A SET of unknown outcome whose value nobody saw is left out: where it
can be put in, it can also be left out (on a key that is never incremented). And of two unknown INCRs of a key the one called first
happens first, since they could change places."""

import bisect
import math
import random
import threading
import time
from collections import defaultdict
from dataclasses import dataclass

import resp
from cluster import wait_until

OK, FAILED, UNKNOWN, PENDING = "ok", "failed", "unknown", "pending"
NEVER_HAPPENED = ("MOVED", "CLUSTERDOWN", "BUSY")
RETRY_S = 0.005


@dataclass(slots=True)
class Operation:
    client: int
    kind: str  # SET, GET, INCR
    key: str
    value: bytes | None  # of a SET
    call: int  # nanoseconds, monotonic
    end: float = math.inf
    outcome: str = PENDING
    result: object = None

    def __str__(self):
        asked = f"{self.kind} {self.key}" + (f" {self.value.decode()}" if self.kind == "SET" else "")
        end = "" if self.end == math.inf else f"{self.end / 1e6:.3f}"
        return f"[{self.call / 1e6:.3f}, {end}] client {self.client}: {asked} -> {self.outcome} {self.result!r}"


# ---- The judge ----


def _step(state, operation):
    """The store with one key: (the answer fits, the state after)."""
    known = operation.outcome == OK
    if operation.kind == "SET":
        return True, operation.value
    if operation.kind == "GET":
        return operation.result == state, state
    try:
        number = int(state or b"0") + 1
    except ValueError:
        return False, state
    return not known or operation.result == number, str(number).encode()


def _relevant(operations):
    """(those with an answer, those of unknown outcome that matter), each in the order of their calls."""
    operations = sorted(operations, key=lambda operation: operation.call)
    known = [operation for operation in operations if operation.outcome == OK]
    seen = {operation.result for operation in known if operation.kind == "GET"}
    counts = any(operation.kind == "INCR" for operation in operations)
    unknown = [
        operation
        for operation in operations
        if operation.outcome in (UNKNOWN, PENDING)
        and (operation.kind == "INCR" or (operation.kind == "SET" and (counts or operation.value in seen)))
    ]
    return known, unknown


class _Search:
    def __init__(self, operations, initial):
        self.known, self.unknown = _relevant(operations)
        self.initial = initial
        self.deepest = (-1, 0, None)  # where it stood when it had placed most: number done, first not done, state
        self.before = {}  # an unknown INCR -> the one that must be placed earlier
        increments = [i for i, operation in enumerate(self.unknown) if operation.kind == "INCR"]
        self.before = dict(zip(increments[1:], increments))

    def choices(self, low, mask, unknown_mask):
        """What may be the next. Positions: known operations below `low` are done, and those of bits of `mask` from `low` on."""
        bound, choices, i = math.inf, [], low
        while i < len(self.known) and self.known[i].call <= bound:
            if not mask >> (i - low) & 1:
                bound = min(bound, self.known[i].end)
                choices.append(("known", i))
            i += 1
        for i, operation in enumerate(self.unknown):
            if operation.call > bound:
                break
            ready = i not in self.before or unknown_mask >> self.before[i] & 1
            if ready and not unknown_mask >> i & 1:
                choices.append(("unknown", i))
        return iter(choices)

    def run(self):
        position = (0, 0, 0, self.initial)
        visited = {position}
        stack = [(position, self.choices(*position[:3]))]
        while stack:
            (low, mask, unknown_mask, state), choices = stack[-1]
            if low == len(self.known):
                return True
            done = low + mask.bit_count()
            if done > self.deepest[0]:
                self.deepest = (done, low, state)
            for which, i in choices:
                fits, after = _step(state, (self.known if which == "known" else self.unknown)[i])
                if not fits:
                    continue
                if which == "known":
                    new_low, new_mask = low, mask | 1 << (i - low)
                    while new_mask & 1:
                        new_low, new_mask = new_low + 1, new_mask >> 1
                    position = (new_low, new_mask, unknown_mask, after)
                else:
                    position = (low, mask, unknown_mask | 1 << i, after)
                if position not in visited:
                    visited.add(position)
                    stack.append((position, self.choices(*position[:3])))
                    break
            else:
                stack.pop()
        return False

    def explain(self):
        done, low, state = self.deepest
        stuck = self.known[low]
        after = bisect.bisect_right(self.known, stuck.end, key=lambda operation: operation.call)
        around = self.known[max(0, low - 6) : after + 2][:24]
        lines = [f"key {stuck.key}: {done} of {len(self.known)} operations have a place, with the value {state!r} then; none for the next:"]
        lines += [("  > " if operation is stuck else "    ") + str(operation) for operation in around]
        lines += [f"    of unknown outcome: {operation}" for operation in self.unknown[:8]]
        return "\n".join(lines)


def check_key(operations, initial=None):
    """None when the history of a key is linearizable, else why not."""
    search = _Search([operation for operation in operations if operation.outcome != FAILED], initial)
    return None if search.run() else search.explain()


def by_key(operations):
    keys = defaultdict(list)
    for operation in operations:
        keys[operation.key].append(operation)
    return keys


def check(operations):
    """Fails with an explanation unless the history is linearizable."""
    problems = [problem for history in by_key(operations).values() if (problem := check_key(history))]
    assert not problems, f"{len(problems)} keys have histories that are not linearizable:\n" + "\n".join(problems[:5])


# ---- The load ----


class Load:
    """Clients that mix SET, GET and INCR: on a few keys that all of them use, and SET and GET on keys that each has to itself, a new
    one for each value, of which none may be missing in the end. Every value is written once only."""

    def __init__(self, ports, clients=8, name="load", registers=4, counters=3, pace_s=0.002, timeout_s=6.0, seed=1, follow=True):
        self.lock = threading.Lock()
        self.ports, self.name, self.pace_s, self.timeout_s, self.seed = ports, name, pace_s, timeout_s, seed
        self.registers = [f"{name}:register:{i}" for i in range(registers)]
        self.counters = [f"{name}:counter:{i}" for i in range(counters)]
        self.follow = follow
        self.histories = [[] for _ in range(clients)]
        self.read_back_history = []
        self.wrong = []  # answers that are no possible ones, whatever the state
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._client, args=(i,), daemon=True) for i in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    # ---- looking at it while it runs ----

    @property
    def history(self):
        return [operation for history in self.histories for operation in list(history)] + self.read_back_history

    def called_after(self, moment):
        """What has ended of what was called after `moment` (time.monotonic_ns)."""
        found = []
        for history in self.histories:
            i = bisect.bisect_right(history, moment, key=lambda operation: operation.call)
            found += [operation for operation in history[i:] if operation.outcome != PENDING]
        return found

    def answered_after(self, moment):
        return [operation for operation in self.called_after(moment) if operation.outcome == OK]

    def acknowledged(self):
        return sum(operation.outcome == OK for history in self.histories for operation in list(history))

    def wait_answers(self, count=200, timeout_s=20, since=None):
        """Waits for so many answers to requests made from now on (or after `since`). Returns when, in seconds after then, the first
        of them came."""
        since = since or time.monotonic_ns()
        wait_until(
            lambda: len(self.answered_after(since)) >= count,
            timeout_s,
            lambda: f"{count} answers; there are {len(self.answered_after(since))}, and of others: {self.outcomes(since)}",
        )
        return (min(operation.end for operation in self.answered_after(since)) - since) / 1e9

    def outcomes(self, since=0):
        counts = defaultdict(int)
        for operation in self.called_after(since):
            counts[f"{operation.outcome} {operation.result if operation.outcome != OK else ''}".strip()[:60]] += 1
        return dict(counts)

    # ---- the end ----

    def read_back(self, port, chunk=500):
        """Reads all keys that were written, from the node that leads; the reads are part of the history. Call it after stop."""
        keys = sorted({operation.key for operation in self.history if operation.kind != "GET"})
        with resp.Connection(port, timeout_s=20) as connection:
            for i in range(0, len(keys), chunk):
                part = keys[i : i + chunk]
                call = time.monotonic_ns()
                connection.send(b"".join(resp.encode("GET", key) for key in part))
                replies = [connection.receive() for _ in part]
                end = time.monotonic_ns()
                for key, reply in zip(part, replies):
                    assert not isinstance(reply, resp.ReplyError), f"GET {key}: {reply}"
                    self.read_back_history.append(Operation(-1, "GET", key, None, call, end, OK, reply))

    def lost_writes(self):
        """SETs that were acknowledged on keys of their own and that the last read_back did not find."""
        last = {operation.key: operation.result for operation in self.read_back_history}
        return [
            operation
            for history in self.histories
            for operation in history
            if operation.kind == "SET" and operation.outcome == OK and ":own:" in operation.key and last[operation.key] != operation.value
        ]

    def judge(self):
        """After read_back: nothing is lost, no answer was impossible, and the history is linearizable."""
        assert not self.wrong, f"{len(self.wrong)} impossible answers: " + "; ".join(map(str, self.wrong[:5]))
        lost = self.lost_writes()
        assert not lost, f"{len(lost)} acknowledged writes are lost: " + "; ".join(map(str, lost[:5]))
        check(self.history)

    # ---- a client ----

    def _choose(self, dice, number, count, own):
        kind = dice.choices(("own", "set", "get", "incr", "counter", "get own"), (30, 15, 20, 15, 10, 10))[0]
        value = b"%s:%d:%d" % (self.name.encode(), number, count)
        if kind == "own" or (kind == "get own" and not own):
            own.append(f"{self.name}:own:{number}:{count}")
            return "SET", own[-1], value
        if kind == "set":
            return "SET", dice.choice(self.registers), value
        if kind == "get":
            return "GET", dice.choice(self.registers), None
        if kind == "get own":
            return "GET", dice.choice(own), None
        return ("INCR" if kind == "incr" else "GET"), dice.choice(self.counters), None

    def _client(self, number):
        dice = random.Random(f"{self.seed}/{number}")
        own, connection, target = [], None, number
        while not self.stopping.is_set():
            if connection is None:
                connection = self._connect(target, number)
                if connection is None:
                    target += 1
                    self.stopping.wait(RETRY_S)
                    continue
            kind, key, value = self._choose(dice, number, len(self.histories[number]), own)
            operation = Operation(number, kind, key, value, time.monotonic_ns())
            self.histories[number].append(operation)
            reply = self._ask(connection, operation)
            if operation.outcome == OK:
                self.stopping.wait(self.pace_s)
                continue
            if reply is None or reply.code in ("MOVED", "CLUSTERDOWN"):
                connection.close()
                connection = None
                target = self._target(int(reply.text.rsplit(":", 1)[1])) if reply and reply.code == "MOVED" else target + 1
            if reply is not None:
                self.stopping.wait(RETRY_S)
        if connection is not None:
            connection.close()

    def _target(self, port):
        """Where a client goes that is sent to this port, which may be that of a node that is new in the cluster."""
        with self.lock:
            if port not in self.ports:
                self.ports.append(port)
            return self.ports.index(port)

    def _connect(self, target, number):
        """Every other client asks about the cluster, and is sent to the leader with -MOVED. For the others, nodes pass commands on."""
        try:
            connection = resp.Connection(self.ports[target % len(self.ports)], timeout_s=self.timeout_s)
            if self.follow and number % 2 == 0:
                connection.command("CLUSTER", "MYID")
            return connection
        except (OSError, resp.ReplyError):
            return None

    def _ask(self, connection, operation):
        """Asks and notes what became of it. Returns the error reply, if one came."""
        arguments = [operation.kind, operation.key] + ([operation.value] if operation.kind == "SET" else [])
        try:
            result = connection.command(*arguments)
        except OSError as error:
            result = error
        outcome = UNKNOWN
        if isinstance(result, resp.ReplyError):
            operation.result = result.code
            if result.code in NEVER_HAPPENED:
                outcome = FAILED
            elif result.code != "UNKNOWN":
                self.wrong.append((operation.kind, operation.key, result.text))
        elif isinstance(result, OSError):
            operation.result = type(result).__name__
        else:
            operation.result, outcome = result, OK
            possible = {"SET": result == "OK", "GET": result is None or isinstance(result, bytes), "INCR": isinstance(result, int)}
            if not possible[operation.kind]:
                self.wrong.append((operation.kind, operation.key, result))
        operation.end = time.monotonic_ns()
        operation.outcome = outcome  # last: who looks on from another thread then sees the rest
        return result if isinstance(result, resp.ReplyError) else None
