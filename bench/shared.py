"""What the benchmarks in Python have alike: a load that is measured, and what it costs the cluster's processes. They use the
cluster of tests/e2e, so `SYNOD` in the environment says which program it runs."""
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from cluster import Cluster, run  # noqa: E402

MANY = ["--connections", 500, "--processes", 10]
SETTINGS = {"suspect_timeout_ms": 2000, "dead_timeout_ms": 4000}  # no elections while the processors are busy


def cpu_us(system):
    """Of all its processes: in user mode, and in all."""
    fields = [Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split() for server in system.servers]
    user, kernel = (sum(int(f[place]) for f in fields) * 1e6 / os.sysconf("SC_CLK_TCK") for place in (11, 12))
    return user, user + kernel


def load(system, requests, *arguments, to):
    """The load generator's figures, and `server_us` and `server_user_us`: processor time a request of all nodes."""
    before = cpu_us(system)
    done = run("bench", *to, "--requests", requests, "--json", "--quiet", *arguments, timeout_s=600)
    assert done.returncode == 0, done.stdout + done.stderr
    user, both = ((now - then) / requests for now, then in zip(cpu_us(system), before))
    return {**json.loads(done.stdout), "server_user_us": user, "server_us": both}


class Synod(Cluster):
    """`kind`: `native`, or keys of the configuration, KEY=VALUE, with commas."""

    def __init__(self, kind="", deployment="coordinator", settings=None, size=3):
        words = [word for word in kind.split(",") if word]
        choices = dict(word.split("=") for word in words if "=" in word)
        super().__init__(deployment, settings=SETTINGS | (settings or {}), native="native" in words, size=size, choices=choices)

    def load(self, requests, *arguments, to=None):
        return load(self, requests, *arguments, to=to or ["--config", self.config_file])


def set_apart(system):
    """The system's processes get the first half of the processors; this process, and what it starts from now on, the rest.
    So the load takes nothing from what it measures."""
    processors = sorted(os.sched_getaffinity(0))
    assert len(processors) > 1, "one processor cannot be parted"
    half = len(processors) // 2
    for server in system.servers:
        for thread in Path(f"/proc/{server.process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), processors[:half])
    os.sched_setaffinity(0, processors[half:])
