"""`synod-sim` as a user runs it: seeds, both lives, failures, files; and what its clients were told, judged by somebody else.

The judge of the simulator is C (sim/linearizability.c). This one shares nothing with it but the file: for each key it tries the
operations that may come next (those called before any other one that is left returned), remembers where it has been, and goes back
when none fits. It has none of the other's shortcuts, so keys with many operations of unknown outcome are left to the other one."""

import json
import math
from collections import defaultdict

import pytest

from cluster import BAD_INPUT, OK, program, run

SIM = program("synod-sim")


def sim(*arguments):
    done = run(*arguments, command=SIM, timeout_s=300)
    assert done.returncode == OK, done.stdout + done.stderr
    return done.stdout


def trace_of(text):
    return next(line.split()[1].rstrip(",") for line in text.splitlines() if line.startswith("trace "))


# ---- The judge ----


JUDGED = {"GET", "SET", "INCR", "APPEND", "DEL", "GETSET"}  # not what is done with keys that end


def step(state, operation):
    """One key of a store: (what it answers, the state after). The state is None or a text."""
    kind, value = operation["kind"], operation["value"]
    if kind == "GET":
        return state, state
    if kind == "SET":
        return None, value
    if kind == "INCR":
        return int(state or 0) + 1, str(int(state or 0) + 1)
    if kind == "APPEND":
        return len(state or "") + len(value), (state or "") + value
    if kind == "DEL":
        return (0 if state is None else 1), None
    assert kind == "GETSET"
    return state, value


def is_linearizable(operations):
    operations = sorted((o for o in operations if o["outcome"] != "refused"), key=lambda o: o["call"])
    known = [i for i, o in enumerate(operations) if o["outcome"] == "ok"]
    ends = [o["return"] if o["outcome"] == "ok" else math.inf for o in operations]
    wanted = sum(1 << i for i in known)
    seen, stack = set(), [(0, None)]
    while stack:
        done, state = stack.pop()
        if done & wanted == wanted:
            return True
        if (done, state) in seen:
            continue
        seen.add((done, state))
        left = [i for i in range(len(operations)) if not done >> i & 1]
        bound = min(ends[i] for i in left)
        for i in reversed(left):
            o = operations[i]
            if o["call"] > bound or (o["outcome"] != "ok" and o["kind"] == "GET"):
                continue
            answer, after = step(state, o)
            if o["outcome"] != "ok" or o["kind"] == "SET" or answer == o["result"]:
                stack.append((done | 1 << i, after))
    return False


def keys_of(path):
    keys = defaultdict(list)
    for line in path.read_text().splitlines():
        operation = json.loads(line)
        if operation["kind"] != "OPEN":  # of a session, which is on no key
            keys[operation["key"]].append(operation)
    return {key: operations for key, operations in keys.items() if {o["kind"] for o in operations} <= JUDGED}


UNKNOWN_MAX = 4


def is_plain(operations):
    return sum(o["outcome"] == "unknown" for o in operations) <= UNKNOWN_MAX


# ---- The tests ----


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_an_independent_judge_agrees(tmp_path, seed):
    sim("--seed", seed, "--events", 8000, "--history", tmp_path / "history")
    keys = keys_of(tmp_path / "history")
    plain = {key: operations for key, operations in keys.items() if is_plain(operations)}
    assert len(plain) > 3 and len(plain) * 2 > len(keys)
    for key, operations in plain.items():
        assert is_linearizable(operations), f"{key}: {operations}"


def test_the_independent_judge_notices(tmp_path):
    sim("--seed", 2, "--events", 8000, "--history", tmp_path / "history")
    spoiled = 0
    for operations in keys_of(tmp_path / "history").values():
        reads = [o for o in operations if o["kind"] == "GET" and o["outcome"] == "ok"]
        if reads and is_plain(operations):
            reads[-1]["result"] = "never written"
            spoiled += 1
            assert not is_linearizable(operations)
    assert spoiled > 3


def test_a_seed_is_a_run():
    first, second, other = (sim("--seed", seed, "--events", 5000) for seed in (7, 7, 8))
    assert first == second
    assert trace_of(first) != trace_of(other)


@pytest.mark.parametrize("granularity", ["parts", "agents", "node"])
def test_both_lives_have_the_same_traces(granularity):
    assert "\n50 seeds" in sim("--seeds", 50, "--both", "--granularity", granularity, "--events", 3000)


@pytest.mark.parametrize("deployment", ["coordinator", "standalone", "shared"])
def test_deployments(deployment):
    assert deployment in sim("--deployment", deployment, "--events", 3000)


def test_the_trace_names_what_happens(tmp_path):
    sim("--seed", 4, "--events", 2000, "--trace", tmp_path / "trace")
    lines = (tmp_path / "trace").read_text().splitlines()
    assert any("sends PREPARE" in line for line in lines)
    assert any("all faults stop" in line for line in lines)


def test_bad_options():
    for arguments, error in [
        (["--only", "gremlins"], "'gremlins' is not a fault"),
        (["--seed", "x"], "--seed"),
        (["--deployment", "alone"], "alone"),
        (["--sweep", "--folder", "/nowhere"], "/nowhere: cannot be read"),
        (["--seeds", "2", "--trace", "trace"], "of one seed"),
        (["--mutants"], "no mutants in this build"),
        (["--trace", "/nowhere/at/all"], "cannot write /nowhere/at/all"),
    ]:
        done = run(*arguments, command=SIM)
        assert done.returncode == BAD_INPUT and error in done.stderr and done.stderr.count("\n") == 1, done.stderr
