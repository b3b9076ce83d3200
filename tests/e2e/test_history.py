"""The judge is judged: it accepts what can be explained and refuses what cannot."""

import random

import pytest

import history
from history import FAILED, OK, UNKNOWN, Operation


def parse(text, key="k"):
    """One operation a line: `call end operation`, such as `1 4 SET a`, `2 3 GET -> a`, `2 ? INCR` (unknown), `1 2 SET a !` (failed)."""
    operations = []
    for client, line in enumerate(filter(None, map(str.strip, text.splitlines()))):
        call, end, kind, *rest = line.split()
        operation = Operation(client, kind, key, None, int(call))
        if rest and rest[-1] == "!":
            rest.pop()
            operation.outcome = FAILED
        else:
            operation.outcome = UNKNOWN if end == "?" else OK
        if end != "?":
            operation.end = int(end)
        if kind == "SET":
            operation.value, operation.result = rest[0].encode(), "OK"
        elif operation.outcome == OK:
            result = rest[1]
            operation.result = int(result) if kind == "INCR" else None if result == "nil" else result.encode()
        operations.append(operation)
    return operations


GOOD = {
    "nothing at all": "",
    "one after the other": "1 2 SET a\n 3 4 GET -> a\n 5 6 SET b\n 7 8 GET -> b",
    "read of what was never set": "1 2 GET -> nil",
    "reads during a write see old or new": "1 2 SET a\n 3 10 SET b\n 4 5 GET -> a\n 6 7 GET -> b",
    "writes at the same time, either may be the last": "1 5 SET a\n 1 5 SET b\n 6 7 GET -> a",
    "the other one": "1 5 SET a\n 1 5 SET b\n 6 7 GET -> b",
    "touching at one moment counts as at the same time": "1 2 SET a\n 2 3 GET -> nil",
    "increments in some order": "1 9 INCR -> 2\n 1 9 INCR -> 1\n 1 9 INCR -> 3",
    "increment after set": "1 2 SET 41\n 3 4 INCR -> 42\n 5 6 GET -> 42",
    "an unknown write that nobody saw": "1 2 SET a\n 3 ? SET b\n 4 5 GET -> a\n 6 7 GET -> a",
    "an unknown write seen late": "1 2 SET a\n 3 ? SET b\n 4 5 GET -> a\n 6 7 GET -> b\n 8 9 GET -> b",
    "an unknown write seen, then overwritten": "1 ? SET a\n 2 3 GET -> a\n 4 5 SET b\n 6 7 GET -> b",
    "an unknown increment that happened": "1 2 INCR -> 1\n 3 ? INCR\n 4 5 INCR -> 3",
    "one that did not": "1 2 INCR -> 1\n 3 ? INCR\n 4 5 INCR -> 2",
    "one that happened after others": "1 2 INCR -> 1\n 3 ? INCR\n 4 5 INCR -> 2\n 6 7 GET -> 3",
    "two unknown, one happened": "1 ? INCR\n 1 ? INCR\n 4 5 INCR -> 2\n 6 7 INCR -> 3",
    "a failed write is not seen": "1 2 SET a\n 3 4 SET b !\n 5 6 GET -> a",
    "an unknown set between increments": "1 2 INCR -> 1\n 3 ? SET 7\n 5 6 INCR -> 8",
}
BAD = {
    "a lost write": "1 2 SET a\n 3 4 GET -> nil",
    "a stale read": "1 2 SET a\n 3 4 SET b\n 5 6 GET -> a",
    "a value that goes back": "1 2 SET a\n 3 20 SET b\n 4 5 GET -> b\n 6 7 GET -> a",
    "two readers that see two orders": "1 9 SET a\n 1 9 SET b\n 10 11 GET -> a\n 12 13 GET -> b",
    "a value from nowhere": "1 2 SET a\n 3 4 GET -> c",
    "a read before the write began": "1 2 GET -> a\n 3 4 SET a",
    "a failed write that is seen": "1 2 SET a\n 3 4 SET b !\n 5 6 GET -> b",
    "a lost increment": "1 2 INCR -> 1\n 3 4 INCR -> 1",
    "one result twice at the same time": "1 9 INCR -> 1\n 1 9 INCR -> 1",
    "a doubled increment": "1 2 INCR -> 1\n 3 4 INCR -> 3",
    "an increment that was acknowledged and is gone": "1 2 INCR -> 1\n 3 4 INCR -> 2\n 5 6 GET -> 1",
    "an unknown increment that happened twice": "1 2 INCR -> 1\n 3 ? INCR\n 4 5 INCR -> 4",
    "an unknown write that happened and then did not": "1 2 SET a\n 3 ? SET b\n 4 5 GET -> b\n 6 7 GET -> a",
    "an unknown write before its call": "1 2 GET -> a\n 3 ? SET a",
    "a failed increment that happened": "1 2 INCR -> 1\n 3 4 INCR !\n 5 6 INCR -> 3",
    "an acknowledged write undone by a read": "1 2 SET a\n 3 4 GET -> a\n 5 6 GET -> nil",
}


@pytest.mark.parametrize("name", GOOD)
def test_accepts(name):
    assert history.check_key(parse(GOOD[name])) is None


@pytest.mark.parametrize("name", BAD)
def test_refuses(name):
    assert "operations have a place" in history.check_key(parse(BAD[name]))


def simulate(seed, count, clients=8, unknown=0.0):
    """A history that is linearizable because one store made it: each operation happens at a moment of its own."""
    dice, state, free, operations = random.Random(seed), None, [0] * clients, []
    moments = []
    for number in range(count):
        client = dice.randrange(clients)
        call = free[client] + dice.randrange(1, 10)
        moment = call + dice.randrange(20)
        end = moment + dice.randrange(20)
        free[client] = end
        kind = dice.choice(["GET", "INCR"] if seed % 2 else ["SET", "GET", "GET"])
        operation = Operation(client, kind, "k", b"%d" % number if kind == "SET" else None, call, end, OK)
        if dice.random() < unknown:
            operation.outcome = UNKNOWN
            if dice.random() < 0.5:
                moment = None if dice.random() < 0.5 else call + dice.randrange(300)
        operations.append(operation)
        if moment is not None:
            moments.append((moment, number, operation))
    for _, _, operation in sorted(moments, key=lambda item: item[:2]):
        if operation.kind == "SET":
            state, operation.result = operation.value, "OK"
        elif operation.kind == "GET":
            operation.result = state
        else:
            operation.result = int(state or b"0") + 1
            state = str(operation.result).encode()
    return operations


@pytest.mark.parametrize("seed", range(6))
def test_long_histories(seed):
    """Thousands of operations with unknown outcomes among them are judged in little time, and a single wrong answer is found."""
    operations = simulate(seed, 800, unknown=0.005)
    assert history.check_key(operations) is None
    reads = [operation for operation in operations if operation.kind == "GET" and operation.outcome == OK and operation.result]
    dice = random.Random(seed)
    for _ in range(3):
        victim = dice.choice(reads[len(reads) // 4 :])
        right, victim.result = victim.result, reads[0].result
        if right != victim.result:
            assert history.check_key(operations) is not None
        victim.result = right


def test_keys_are_apart():
    operations = parse(GOOD["one after the other"], "a") + parse(GOOD["increments in some order"], "b")
    history.check(operations)
    with pytest.raises(AssertionError, match="1 keys have histories .*\n.*key c"):
        history.check(operations + parse(BAD["a stale read"], "c"))
