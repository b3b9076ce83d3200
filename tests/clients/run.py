#!/usr/bin/env python3
"""Runs client libraries of Redis against a cluster whose leader is killed in the middle: README.md.

    run.py [--redis-cluster] [--write] [LIBRARY...]

    --redis-cluster   a real Redis Cluster of three masters and three replicas instead of Synod; in cluster mode only
    --write           puts the table into docs/clients.md
    LIBRARY           only those whose names have this in them
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import install  # noqa: E402
import targets  # noqa: E402
import tables  # noqa: E402

# What each step may take, at most.
USUAL_S, RECOVER_S, END_S, SAID_S = 60, 30, 15, 5
WRITES_BEFORE, WRITES_AFTER = 50, 50
BOTH, ONE = ("standalone", "cluster"), ("standalone",)


@dataclass
class Library:
    name: str
    install: object
    program: str
    modes: tuple = BOTH
    small: bool = False
    remark: str = ""


LIBRARIES = [
    Library("redis-py", install.python, "redis_py", small=True),
    Library("redis-py, asyncio", install.python, "redis_py_async"),
    Library("valkey-py", install.python, "valkey_py"),
    Library("coredis", install.python, "coredis_"),
    Library("GLIDE (Python)", install.python, "valkey_glide", small=True, remark="standalone: `NodeDiscoveryMode.STATIC`"),
    Library("ioredis", install.node, "ioredis", small=True),
    Library("iovalkey", install.node, "iovalkey"),
    Library("node-redis", install.node, "node_redis", small=True),
    Library("GLIDE (Node.js)", install.node, "valkey_glide", remark="standalone: `NodeDiscoveryMode.Static`"),
    Library("go-redis", install.go, "go-redis", remark="cluster: `ClusterStateReloadInterval` 1 s instead of 60 s"),
    Library("rueidis", install.go, "rueidis"),
    Library("valkey-go", install.go, "valkey-go"),
    Library("redigo", install.go, "redigo", ONE, remark="no cluster mode of its own"),
    Library("radix", install.go, "radix", remark="each command with a limit of 2 s; cluster: `SyncEvery` 250 ms instead of 5 s"),
    Library("hiredis", install.c, "hiredis", ONE, small=True, remark="no cluster mode of its own; the program dials again"),
    Library("Jedis", install.java, "Jedis"),
    Library("Lettuce", install.java, "Lettuce", remark="command timeout 2 s instead of 60 s; cluster: periodic refresh of the topology, each second"),
    Library("Redisson", install.java, "Redisson", remark="`expire()` and locks are scripts (EVAL); at its refusal 3.52 asks for ever"),
    Library("redis-rs", install.rust, "redis-rs", remark="the program dials again"),
    Library("fred", install.rust, "fred", remark="with a policy to connect again"),
    Library("phpredis", install.php, "phpredis", remark="the program dials again"),
    Library("Predis", install.php, "predis", remark="the program dials again"),
    Library("redis-rb", install.ruby, "redis_rb"),
    Library("Redis.pm (Perl)", install.perl, "redis_pm", ONE, remark="no cluster mode"),
]


HEAD = ["library", "version", "standalone", "cluster", "seconds", "seconds", "remarks"]


def end(process):
    """And what it has started: that may have its pipes."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # all have ended
    process.wait()


@dataclass
class Program:
    """A library's program that runs in one mode."""

    library: Library
    mode: str
    prefix: str
    version: str = "?"
    usual: bool = False
    failure: str = ""
    errors: list = field(default_factory=list)
    wrote: list = field(default_factory=list)  # (when, number)
    ended: bool = False

    def start(self, words, folder, addresses):
        words = [*map(str, words), self.mode, ",".join(addresses), self.prefix]
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *words], cwd=folder, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )
        self.complaints = []
        self.readers = [threading.Thread(target=read, daemon=True) for read in (self._read, self._read_complaints)]
        for reader in self.readers:
            reader.start()

    def _read(self):
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "wrote":
                self.wrote.append((time.monotonic(), int(rest)))
            elif word == "error":
                self.errors.append(rest)
            elif word == "failed":
                self.fail(rest)
            elif word == "version":
                self.version = rest
            elif word == "usual":
                self.usual = True
            elif word == "end":
                self.ended = True

    def _read_complaints(self):
        for line in self.process.stderr:
            self.complaints = [*self.complaints[-20:], line.rstrip()]

    @property
    def runs(self):
        return self.process.poll() is None

    def fail(self, why):
        self.failure = self.failure or why

    def writes_since(self, when):
        return sum(1 for wrote, _ in self.wrote if wrote > when)

    def heard_out(self):
        """It has ended: all that it has said is heard."""
        for reader in self.readers:
            reader.join(SAID_S)

    def close(self):
        end(self.process)
        self.heard_out()
        if not self.usual and not self.failure:
            self.fail("the usual commands: " + (" ".join(self.complaints[-3:]) or "no end"))

    def longest_pause_s(self, since):
        """Between two writes, of which the later came after `since`."""
        times = [when for when, _ in self.wrote]
        return max((b - a for a, b in zip(times, times[1:]) if b > since), default=float("inf"))


def wait_for(programs, condition, limit_s, what):
    """Waits until each has got there, has ended, or has had its time."""
    deadline = time.monotonic() + limit_s
    waiting = [p for p in programs if not p.failure]
    while waiting and time.monotonic() < deadline:
        time.sleep(0.02)
        waiting = [p for p in waiting if not condition(p) and p.runs and not p.failure]
    for program in programs:
        if not program.runs:
            program.heard_out()
        if not program.failure and not condition(program):
            program.fail(f"{what}: not within {limit_s} s" if program.runs else f"{what}: it ended: {program.complaints[-3:]}")


def run_together(target, libraries):
    """Runs these programs at once, and kills the leader once."""
    programs = []
    try:
        for library in libraries:
            for mode in library.modes:
                if mode not in target.MODES:
                    continue
                program = Program(library, mode, target.prefix("-".join(["of", *re.findall("[a-z0-9]+", library.name.lower()), mode])))
                program.start(*library.install(library.program), target.addresses(mode))
                programs.append(program)
        wait_for(programs, lambda p: p.usual, USUAL_S, "the usual commands")
        wait_for(programs, lambda p: len(p.wrote) >= WRITES_BEFORE, USUAL_S, "writes")
        killed = time.monotonic()
        target.kill_leader()
        wait_for(programs, lambda p: p.writes_since(killed) >= WRITES_AFTER, RECOVER_S, "goes on after the leader's death")
        for program in programs:
            program.pause_s = program.longest_pause_s(killed)
            target.write(f"{{{program.prefix}}}:stop", "stop")
        wait_for(programs, lambda p: p.ended and not p.runs, END_S, "ends")
    finally:
        for program in programs:
            program.close()
    for program in programs:
        program.lost = target.missing({f"{{{program.prefix}}}:{number}": str(number) for _, number in program.wrote})
        if program.lost and target.KEEPS:
            program.fail(f"{len(program.lost)} acknowledged writes are lost, {program.lost[0]} first")
    return programs


def row(library, programs):
    by_mode = {program.mode: program for program in programs}

    def mode(name):
        program = by_mode.get(name)
        return "-" if program is None else "works" if program.usual else "fails"

    def pause(name):
        program = by_mode.get(name)
        return "-" if program is None else "fails" if program.failure else f"{program.pause_s:.1f}"

    lost = sum(len(program.lost) for program in programs)
    remarks = [library.remark] * bool(library.remark)
    remarks += [f"{p.mode}: {p.failure}"[:160] for p in programs if p.failure]
    if lost:
        remarks.append(f"{lost} acknowledged writes lost")
    version = next((p.version for p in programs), "?")
    return [library.name, version, mode("standalone"), mode("cluster"), pause("standalone"), pause("cluster"), "; ".join(remarks)]


def named(names, all_of_them):
    """Those whose names have one of these in them, whatever its case; all if there is none."""
    return [one for one in all_of_them if not names or any(name.lower() in one.name.lower() for name in names)]


def report(library, programs):
    print(" | ".join(row(library, programs)), flush=True)
    for program in programs:
        if program.errors:
            print(f"    {program.mode}: {len(program.errors)} errors, such as: {program.errors[0]}", flush=True)


def run_all(target, libraries):
    """One after the other: (rows of the table, names of those that failed)."""
    rows, failed = [], []
    for library in libraries:
        if not set(library.modes) & set(target.MODES):
            continue
        try:
            programs = run_together(target, [library])
        except install.Failed as error:
            print(f"{library.name}: not installed: {error}", flush=True)
            rows.append([library.name, "?", "-", "-", "-", "-", "not installed"])
            failed.append(library.name)
            continue
        report(library, programs)
        rows.append(row(library, programs))
        if any(program.failure for program in programs):
            failed.append(library.name)
        target.mend()
    return rows, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redis-cluster", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("libraries", nargs="*")
    options = parser.parse_args()
    wanted = named(options.libraries, LIBRARIES)
    if not wanted:
        parser.error("no library has such a name")
    with (targets.RedisCluster if options.redis_cluster else targets.Synod)() as target:
        rows, failed = run_all(target, wanted)
    if options.write:
        tables.write("Client libraries" if not options.redis_cluster else "With Redis Cluster", rows)
    return summary(rows, failed)


def summary(rows, failed):
    print()
    tables.show(HEAD, rows)
    print(f"\n{len(rows) - len(failed)} of {len(rows)} client libraries work", flush=True)
    for name in failed:
        print(f"FAILED: {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
