"""A side of a comparison: a program of Synod's with nodes of some kind, PROGRAM[:KIND], or one of its peers.

It is measured in a process of its own, because the environment says which program a cluster of tests/e2e runs: so this is a program,
too, which gets its orders as JSON."""
import json
import os
import subprocess
import sys
from pathlib import Path

import shared
import peers

LIMIT_S = 3600


def measured(side, loads, deployment="coordinator", size=3, apart=False):
    """`loads`: by name, how many requests, and other arguments of `synod bench`. Returns what it said, with the processor time of
    shared.load; None for what the side cannot do."""
    orders = {"side": side, "loads": loads, "deployment": deployment, "size": size, "apart": apart}
    environment = {} if side in peers.KINDS else {"SYNOD": str(Path(side.partition(":")[0]).resolve())}
    done = subprocess.run([sys.executable, __file__, json.dumps(orders)], env=os.environ | environment, capture_output=True, text=True,
                          timeout=LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def main(side, loads, deployment, size, apart):
    system = peers.KINDS[side](size) if side in peers.KINDS else shared.Synod(side.partition(":")[2], deployment, size=size)
    try:
        system.up()
        if apart:
            shared.set_apart(system)
        figures = {name: system.load(*load) for name, load in loads.items()}
        system.stop()
    finally:
        system.close()
    print(json.dumps(figures))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
