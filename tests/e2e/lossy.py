"""The lossy disk (lossy.c): compiles it, puts it under processes, and takes their power away."""

import os
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("lossy.c")
SYNC_US = 2000  # long enough that an answer which does not wait for its sync is out before


def build(folder):
    library = Path(folder) / "lossy.so"
    flags = "-std=gnu11 -O2 -Wall -Wextra -Wshadow -Wconversion -Werror -shared -fPIC".split()
    subprocess.run(["gcc", *flags, "-o", library, SOURCE, "-ldl", "-lpthread"], check=True)
    return library


def environment(library, folder):
    """Variables for a process whose files below `folder` are to be lost when they are not synced."""
    return {"LD_PRELOAD": str(library), "SYNOD_LOSSY_DIR": str(folder), "SYNOD_LOSSY_SYNC_US": str(SYNC_US)}


def power_cut(folder):
    """After the processes were killed: undoes what happened to names since their folders were synced. (Data that was not synced
    went with the processes.) Returns what was undone."""
    undo = Path(f"{os.path.realpath(folder)}.undo")
    undone = []
    for log in sorted(undo.glob("*.log")):
        for line in reversed(log.read_text().splitlines()):
            what, where, old, name, kept, inode = line.split("\t")
            path = Path(where) / name
            if what == "made" and path.exists():
                path.unlink()
            elif what == "renamed" and path.exists() and path.stat().st_ino == int(inode):
                path.rename(Path(where) / old)
            if kept != "-" and not path.exists():
                os.link(undo / kept, path)
            undone.append(f"{what} {name}")
    shutil.rmtree(undo, ignore_errors=True)
    return undone
