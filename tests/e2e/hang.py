"""System calls that hang (hang.c), as a library for LD_PRELOAD."""

import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("hang.c")


def build(folder):
    library = Path(folder) / "hang.so"
    flags = "-std=gnu11 -O2 -Wall -Wextra -Werror -shared -fPIC".split()
    subprocess.run(["gcc", *flags, "-o", library, SOURCE, "-ldl"], check=True)
    return library
