#!/usr/bin/env python3
"""Runs applications and libraries that keep their data in Redis against a cluster, and against redis-server as the control:
apps/README.md.

    apps.py [--write] [APPLICATION...]

    --write       puts the table into docs/clients.md
    APPLICATION   only those whose names have this in them
"""

import argparse
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import install  # noqa: E402
import tables  # noqa: E402
import targets  # noqa: E402
from run import end, named  # noqa: E402

FIRST_S, AGAIN_S = 40, 30  # for one use; to be of use again after the leader's death
TOGETHER = 6

PYTHON = partial(install.python, part="apps/python")
NODE = partial(install.node, part="apps/node")
GO = partial(install.go, source=install.HERE / "apps" / "go")


@dataclass
class Application:
    name: str
    install: object
    program: str
    what: str
    works: bool = True  # is expected to


# What is expected not to work needs a command that is not there: EVAL and its kin, lists, sets.
APPLICATIONS = [
    Application("a lock by SET NX EX", PYTHON, "lock_by_set_nx", "taken, refused, given back"),
    Application("identifiers by INCR", PYTHON, "ids_by_incr", "INCR, INCRBY"),
    Application("feature flags by MGET", PYTHON, "flags_by_mget", "MSET, MGET"),
    Application("an update by WATCH", PYTHON, "optimistic_update", "redis-py's `transaction`"),
    Application("a counter of a window", PYTHON, "counter_of_a_window", "INCR and EXPIRE in MULTI"),
    Application("a bitmap of users", PYTHON, "bitmap_of_users", "SETBIT, BITCOUNT"),
    Application("django-redis", PYTHON, "django_redis", "cache: set, get_many, add, incr, touch, delete, get_or_set"),
    Application("Django's Redis cache", PYTHON, "django", "the same"),
    Application("Django's sessions", PYTHON, "django_sessions", "a session in the cache: written, read, deleted"),
    Application("aiohttp-session", PYTHON, "aiohttp_session", "a session over two requests"),
    Application("fastapi-cache2", PYTHON, "fastapi_cache", "set with a time, get with the time left"),
    Application("Flask-Session", PYTHON, "flask_session", "a session over two requests"),
    Application("Flask-Caching", PYTHON, "flask_caching", "memoize"),
    Application("cachelib", PYTHON, "cachelib", "set, get, has, delete; with a time"),
    Application("Beaker", PYTHON, "beaker", "cache with a maker"),
    Application("dogpile.cache", PYTHON, "dogpile", "get_or_create"),
    Application("aiocache", PYTHON, "aiocache", "set with a time, get, increment, delete"),
    Application("cashews", PYTHON, "cashews", "set with a time, get, exists"),
    Application("starsessions", PYTHON, "starsessions", "a session: written, read, removed"),
    Application("Celery, results", PYTHON, "celery_results", "a result stored and read"),
    Application("taskiq-redis, results", PYTHON, "taskiq_results", "a result stored and read"),
    Application("connect-redis, express-session", NODE, "connect-redis", "a session over two requests"),
    Application("Keyv", NODE, "@keyv/redis", "set with a time, get, delete"),
    Application("unstorage (Nitro, Nuxt)", NODE, "unstorage", "set with a time, get, keys"),
    Application("go-redis/cache", GO, "go-redis-cache", "set with a time, get"),
    Application("asynq", GO, "asynq", "a task enqueued", works=False),
    Application("redsync", GO, "redsync", "a lock taken and given back", works=False),
    Application("redis-py's Lock", PYTHON, "redis_py_lock", "a lock taken and given back", works=False),
    Application("python-redis-lock", PYTHON, "python_redis_lock", "a lock taken and given back", works=False),
    Application("redlock-py", PYTHON, "redlock_py", "a lock taken and given back", works=False),
    Application("pottery", PYTHON, "pottery", "NextID", works=False),
    Application("limits", PYTHON, "limits", "a fixed window", works=False),
    Application("Flask-Limiter", PYTHON, "flask_limiter", "a limit of a page", works=False),
    Application("pyrate-limiter", PYTHON, "pyrate_limiter", "a bucket", works=False),
    Application("rate-limiter-flexible", NODE, "rate-limiter-flexible", "a limit", works=False),
    Application("rate-limit-redis (express)", NODE, "rate-limit-redis", "a limit", works=False),
    Application("Bottleneck", NODE, "bottleneck", "a job", works=False),
    Application("BullMQ", NODE, "bullmq", "a job added", works=False),
    Application("Socket.IO's adapter", NODE, "@socket.io/redis-adapter", "its first subscription"),
    Application("Celery, broker", PYTHON, "celery_broker", "a task sent", works=False),
    Application("RQ", PYTHON, "rq", "a job enqueued and worked", works=False),
    Application("huey", PYTHON, "huey", "a task enqueued and executed", works=False),
    Application("dramatiq", PYTHON, "dramatiq", "a message enqueued", works=False),
    Application("dramatiq, results", PYTHON, "dramatiq_results", "a result stored and read", works=False),
]


HEAD = ["application", "version", "Synod", "after the leader's death", "redis-server"]
WHAT = 2  # the column of a row that the terminal does not show


class Use:
    """A program that uses an application once at its start, and once more for each line that it is sent."""

    def __init__(self, application, address):
        words, folder = application.install("applications")
        self.application, self.version, self.said = application, "?", []
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *map(str, words), application.program, address], cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )
        self.complaints = ""
        self.readers = [threading.Thread(target=read) for read in (self._read, self._read_complaints)]
        for reader in self.readers:
            reader.start()

    def _read(self):
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "version":
                self.version = rest
            elif word in ("works", "failed"):
                self.said.append((word, rest))

    def _read_complaints(self):
        for line in self.process.stderr:
            self.complaints = (self.complaints + line)[-8000:]

    def first(self, deadline):
        while not self.said and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.said[0] if self.said else ("failed", "hangs" if self.process.poll() is None else self.complaints[-200:])

    def again(self, deadline):
        """Asks until it works; the last failure otherwise."""
        last = ("failed", "hangs")
        while time.monotonic() < deadline and last[0] != "works":
            said = len(self.said)
            try:
                self.process.stdin.write("\n")
                self.process.stdin.flush()
            except OSError:
                return ("failed", "it ended")
            while len(self.said) == said and self.process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            last = self.said[-1] if len(self.said) > said else ("failed", "hangs")
        return last

    def close(self):
        end(self.process)
        for reader in self.readers:
            reader.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                pipe.close()
            except OSError:
                pass


@dataclass
class Outcome:
    version: str
    first: tuple
    again: tuple

    @property
    def works(self):
        return self.first[0] == "works"

    def why(self, complaints=""):
        if self.works:
            return ""
        lacks = re.search(r"unknown command '?`?([A-Za-z]+)|(EVAL|LPUSH|BRPOP)", self.first[1] + complaints)
        error = re.split("[:(]", self.first[1].strip())[0]  # its name: what follows may be another text each time
        return f"lacks {(lacks[1] or lacks[2]).upper()}" if lacks else error


def use(target, applications):
    """{name: Outcome}: each is used, the leader is killed, and those that worked are used again."""
    uses = [Use(application, target.addresses("standalone")[0]) for application in applications]
    try:
        deadline = time.monotonic() + FIRST_S
        firsts = [one.first(deadline) for one in uses]
        worked = [one for one, first in zip(uses, firsts) if first[0] == "works"]
        again = {}
        if worked:
            target.kill_leader()
            deadline = time.monotonic() + AGAIN_S
            again = {id(one): one.again(deadline) for one in worked}
            target.mend()
    finally:
        for one in uses:
            one.close()
    outcomes = {}
    for one, first in zip(uses, firsts):
        if first[0] == "failed":
            first = ("failed", f"{first[1]} {' '.join(re.findall(r'unknown command .[A-Za-z]+', one.complaints)[:1])}")
        outcomes[one.application.name] = Outcome(one.version, first, again.get(id(one), ("-", "")))
    return outcomes


def use_all(target, applications):
    outcomes = {}
    for at in range(0, len(applications), TOGETHER):
        outcomes |= use(target, applications[at:at + TOGETHER])
    return outcomes


def row(application, synod, control):
    after = {"works": "works", "failed": "fails: " + synod.again[1][:100], "-": "-"}[synod.again[0]]
    return [application.name, synod.version, application.what, "works" if synod.works else synod.why(), after,
            "works" if control.works else f"fails: {control.first[1][:100]}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("applications", nargs="*")
    options = parser.parse_args()
    wanted = named(options.applications, APPLICATIONS)
    if not wanted:
        parser.error("no application has such a name")
    result = run_all(wanted)
    if options.write:
        tables.write("Applications", result.rows)
    return summary(result)


@dataclass
class Result:
    rows: list  # of the table
    works: int
    expected: int
    controls: int  # that work with redis-server
    wrong: list  # what is not as it is expected to be


def run_all(wanted):
    wanted, wrong = install_all(wanted)
    with targets.RedisServer() as target:
        controls = use_all(target, wanted)
    with targets.Synod() as target:
        outcomes = use_all(target, wanted)
    for one in wanted:
        outcome = outcomes[one.name]
        if one.works and outcome.again[0] != "works":
            wrong.append(f"{one.name}: is expected to work, before and after the leader's death")
        if not one.works and outcome.works:
            wrong.append(f"{one.name}: works, and is not expected to: change APPLICATIONS")
    rows = [row(one, outcomes[one.name], controls[one.name]) for one in wanted]
    works, controlled = (sum(outcome.works for outcome in all_of_them.values()) for all_of_them in (outcomes, controls))
    return Result(rows, works, sum(one.works for one in wanted), controlled, wrong)


def install_all(applications):
    """(those that can be used, what is wrong with the others)"""
    there, wrong = [], []
    for one in applications:
        try:
            one.install("applications")
            there.append(one)
        except install.Failed as error:
            print(f"{one.name}: not installed: {error}", flush=True)
            wrong.append(f"{one.name}: not installed")
    return there, wrong


def summary(result):
    print()
    tables.show(HEAD, [[cell for number, cell in enumerate(one) if number != WHAT] for one in result.rows])
    print(f"\n{result.works} of {len(result.rows)} applications work, {result.expected} are expected to; "
          f"{result.controls} work with redis-server", flush=True)
    for one in result.wrong:
        print(f"FAILED: {one}")
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
