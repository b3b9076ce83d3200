"""A well-behaved client in a process of its own, so that nothing but the cluster slows it down: one SET at a time, again and again,
until its standard input ends. Prints how long each took, in seconds, as JSON: {"latencies": [...], "errors": [...]}.

    probe.py PORT"""

import json
import select
import sys
import time

import resp

PAUSE_S = 0.002


def main(port):
    latencies, errors = [], []
    with resp.Connection(port, timeout_s=30) as client:
        while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
            begun = time.monotonic()
            reply = client.command("SET", "probe", len(latencies))
            latencies.append(time.monotonic() - begun)
            if reply != "OK":
                errors.append(str(reply))
    json.dump({"latencies": latencies, "errors": errors}, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]))
