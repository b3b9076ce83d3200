"""What the programs of Python libraries have in common (../README.md says what they do)."""

import os
import sys
import time
import traceback
from importlib.metadata import version

MODE, ADDRESSES, PREFIX = sys.argv[1:4]
ADDRESSES = [(host, int(port)) for host, port in (address.rsplit(":", 1) for address in ADDRESSES.split(","))]
PAUSE_S = 0.01


def say(*words):
    print(*words, flush=True)


def key(name):
    """All keys of a program have one slot, so that a cluster client takes them in one command."""
    return f"{{{PREFIX}}}:{name}"


def check(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got!r} instead of {wanted!r}")


def fail(error):
    at = traceback.extract_tb(error.__traceback__)
    line = next((one.line for one in at if one.name == "usual"), "")
    say("failed", type(error).__name__, " ".join(str(error).split())[:200], "at", line)
    os._exit(1)


def main(library, connect, usual):
    client = connect()
    say("version", version(library))
    try:
        usual(client)
    except Exception as error:
        fail(error)
    say("usual")
    number = 0
    while True:
        number += 1
        try:
            client.set(key(number), str(number))
            say("wrote", number)
            if client.get(key("stop")) is not None:
                break
        except Exception as error:
            say("error", type(error).__name__, str(error).replace("\n", " ")[:200])
        time.sleep(PAUSE_S)
    client.close()
    say("end")


async def main_async(library, connect, usual, close):
    import asyncio

    client = await connect()
    say("version", version(library))
    try:
        await usual(client)
    except Exception as error:
        fail(error)
    say("usual")
    number = 0
    while True:
        number += 1
        try:
            await client.set(key(number), str(number))
            say("wrote", number)
            if await client.get(key("stop")) is not None:
                break
        except Exception as error:
            say("error", type(error).__name__, str(error).replace("\n", " ")[:200])
        await asyncio.sleep(PAUSE_S)
    await close(client)
    say("end")
