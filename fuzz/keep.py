#!/usr/bin/env python3
"""Makes fuzz/corpus anew: of the inputs there and in BUILD/corpus, the few of each fuzzer that reach most.

    fuzz/keep.py BUILD

libFuzzer says what each input reaches (in the control file of its -merge); inputs are taken as long as they add something,
the one that adds most first, up to FILES_MAX and BYTES_MAX for each fuzzer.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

FILES_MAX = 7
BYTES_MAX = 20_000


def reached(fuzzer, folders):
    """The inputs of the folders, each with the set of places that it reaches."""
    with tempfile.TemporaryDirectory() as scratch:
        control = pathlib.Path(scratch, "control")
        merged = pathlib.Path(scratch, "merged")
        merged.mkdir()
        subprocess.run([fuzzer, "-set_cover_merge=1", "-use_counters=0", f"-max_len={BYTES_MAX}",
                        f"-merge_control_file={control}", merged, *folders],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lines = control.read_text().splitlines()
    files = lines[2:2 + int(lines[0])]
    places = {}
    for line in lines[2 + len(files):]:
        kind, index, *features = line.split()
        if kind == "FT":
            places[pathlib.Path(files[int(index)])] = set(features)
    return places


def choose(places):
    """The inputs to keep."""
    kept, known, size = [], set(), 0
    left = {file: new for file, new in places.items() if file.stat().st_size <= BYTES_MAX}
    while left and len(kept) < FILES_MAX:
        best = max(left, key=lambda file: (len(left[file] - known), -file.stat().st_size, file.name))
        new = left.pop(best) - known
        if not new:
            break
        if size + best.stat().st_size <= BYTES_MAX:
            kept.append(best)
            known |= new
            size += best.stat().st_size
    return kept, len(known), size


def main():
    build = pathlib.Path(sys.argv[1])
    corpus = pathlib.Path(__file__).parent / "corpus"
    for fuzzer in sorted(build.glob("bin/fuzz_*")):
        target, found = corpus / fuzzer.name, build / "corpus" / fuzzer.name
        found.mkdir(parents=True, exist_ok=True)
        target.mkdir(parents=True, exist_ok=True)
        for file in target.iterdir():  # what is dropped from the repository is still found
            shutil.copy(file, found)
        kept, known, size = choose(reached(fuzzer, [found]))
        shutil.rmtree(target)
        target.mkdir()
        for file in kept:
            shutil.copy(file, target)
        print(f"{fuzzer.name}: {len(kept)} inputs, {size} bytes, {known} places reached")


main()
