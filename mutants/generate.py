#!/usr/bin/env python3
"""Puts planted bugs into copies of the sources, each behind a switch that is thrown at run time.

    mutants/generate.py FOLDER     writes FOLDER/<source> for each source that a mutant changes, FOLDER/switch.c,
                                   the variable that they look at, and FOLDER/table.c, the table for the simulator
    mutants/generate.py --check    only says whether each mutant still fits the sources
    mutants/generate.py --sources  prints the sources that mutants change
    mutants/generate.py --tests    prints the unit tests that must catch one

The mutants are in mutants/*.txt, whose format is in mutants/README.md. A mutant whose right line is not in the source any more, or is there
twice, is an error: the line was changed, and the mutant must say what breaks it now.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKS_HEADER = ROOT / "sim/checks.h"


class Wrong(Exception):
    """What is wrong with the table or with a source, and where."""


class Change:
    """One right line of a source, which may go over several lines of text, and what stands there instead."""

    def __init__(self, source, function, place):
        self.source, self.function, self.place = source, function, place
        self.right, self.wrong = "", ""


class Mutant:
    def __init__(self, name, place):
        self.name, self.place = name, place
        self.what = self.breaks = self.needs = self.test = ""
        self.checks, self.changes = [], []


def squeeze(text):
    return " ".join(text.split())


def read_table(path):
    """The mutants of one file of the table."""
    mutants = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        place = f"{path.relative_to(ROOT)}:{number}"
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" "):
            mutants.append(Mutant(line.strip(), place))
            continue
        if not mutants:
            raise Wrong(f"{place}: a mutant begins with its name")
        read_line(mutants[-1], line.strip(), place)
    return mutants


def read_line(mutant, line, place):
    key, colon, value = line.partition(": ")
    if line[0] in "-+":
        if not mutant.changes:
            raise Wrong(f"{place}: which source? `in: FILE` comes first")
        change, side = mutant.changes[-1], {"-": "right", "+": "wrong"}[line[0]]
        if side == "right" and change.wrong:  # another line of the same source
            mutant.changes.append(change := Change(change.source, change.function, place))
        setattr(change, side, squeeze(getattr(change, side) + " " + line[1:]))
    elif colon and key == "in":
        source, _, function = value.partition(" ")
        mutant.changes.append(Change(source, function, place))
    elif colon and key == "breaks":
        mutant.breaks = value
    elif colon and key == "check":
        mutant.checks = value.split()
    elif colon and key == "test":
        mutant.test = value
    elif colon and key == "needs":
        mutant.needs = value
    else:
        mutant.what = squeeze(mutant.what + " " + line)


def check_names():
    """The checks of the simulator: {"PromiseDurable": "CHECK_PROMISE_DURABLE"}; and its disk sweeps, and unit tests."""
    found = re.findall(r"^ {4}(CHECK_(\w+)),", CHECKS_HEADER.read_text(), re.M)
    names = {"".join(word.capitalize() for word in name.split("_")): constant for constant, name in found}
    return names | {"Sweep": "MUTANT_SWEEP", "Test": "MUTANT_TEST"}


def read_all():
    mutants = [m for path in sorted((ROOT / "mutants").glob("*.txt")) for m in read_table(path)]
    names = check_names()
    seen = set()
    for m in mutants:
        if not re.fullmatch(r"[a-z0-9-]+", m.name) or m.name in seen:
            raise Wrong(f"{m.place}: {m.name}: a name has small letters, digits and dashes, and is there once")
        seen.add(m.name)
        if not (m.what and m.breaks and m.checks and m.changes):
            raise Wrong(f"{m.place}: {m.name}: says what goes wrong, `breaks:`, `check:` and `in:`")
        for check in m.checks:
            if check not in names:
                raise Wrong(f"{m.place}: {m.name}: the simulator has no check {check}")
        if (m.checks == ["Test"]) != bool(m.test) or (m.test and not (ROOT / test_source(m)).is_file()):
            raise Wrong(f"{m.place}: {m.name}: `check: Test` goes with `test: NAME`, where there is a tests/unit/test_NAME.c")
        for change in m.changes:
            if not change.right or not change.wrong:
                raise Wrong(f"{change.place}: {m.name}: a right line (-) and a wrong one (+)")
    return mutants


def test_source(mutant):
    return f"tests/unit/test_{mutant.test}.c"


def find(change, lines):
    """Where the right line is: (first, end), indexes of lines."""
    low, high = 0, len(lines)
    if change.function:
        low = next((i for i, l in enumerate(lines) if re.match(rf"[a-z].*\b{re.escape(change.function)}\(", l)), None)
        if low is None:
            raise Wrong(f"{change.place}: {change.source} has no function {change.function}")
        high = next(i for i in range(low, len(lines)) if lines[i] == "}") + 1
    places = []
    for first in range(low, high):
        text = ""
        for end in range(first, min(first + 6, high)):
            text = squeeze(text + " " + re.sub(r"/\*.*?\*/", "", lines[end]))
            if not change.right.startswith(text) or not text:
                break
            if text == change.right:
                places.append((first, end + 1))
                break
    if len(places) != 1:
        count = "twice or more" if places else "not"
        where = f"{change.source}, {change.function}" if change.function else change.source
        raise Wrong(f"{change.place}: the right line is {count} in {where}: {change.right}")
    return places[0]


# Kinds of lines: what both have before and behind the expression that differs.
KINDS = [
    r"(?P<head>(?:\} )?(?:else )?(?:if|while) \()(?P<body>.*)(?P<tail>\)(?: \{)?)",
    r"(?P<head>for \([^;]*; )(?P<body>[^;]*)(?P<tail>; [^;]*\)(?: \{)?)",
    r"(?P<head>(?:[a-z].* \{ )?return )(?P<body>.*)(?P<tail>;(?: \})?)",
    r"(?P<head>[^=!<>]*[^=!<>] [-+*|&]?= )(?P<body>.*)(?P<tail>;)",
]


def switched(right, wrongs, place):
    """The line with switches: wrongs are pairs of a mutant's number and its line."""
    for kind in KINDS:
        base = re.fullmatch(kind, right)
        forms = [(number, re.fullmatch(kind, wrong)) for number, wrong in wrongs]
        same = base and all(f and f["head"] == base["head"] and f["tail"] == base["tail"] for _, f in forms)
        if same:
            if re.search(r", \w+ = ", base["body"]):
                raise Wrong(f"{place}: a line with two variables cannot be switched: {right}")
            declared = re.fullmatch(r"(struct \w+) \w+ = ", base["head"])  # its {...} is no expression without the type
            cast = f"({declared[1]})" if declared and base["body"].startswith("{") else ""
            choice = "".join(f"mutant_on == {number} ? {cast}({f['body']}) : " for number, f in forms)
            text = f"{base['head']}{choice}{cast}({base['body']}){base['tail']}"
            return text.replace(f"{cast}({{", f"({cast}{{") if cast else text
    label = re.match(r"case \w+: ", right)
    if label and all(wrong.startswith(label[0]) for _, wrong in wrongs):
        rest = [(number, wrong[label.end() :]) for number, wrong in wrongs]
        return label[0] + switched(right[label.end() :], rest, place)
    if right.endswith(";") and all(wrong.endswith(";") for _, wrong in wrongs):
        choice = "".join(f"if (mutant_on == {number}) {{ {wrong} }} else " for number, wrong in wrongs)
        return f"{{ {choice}{{ {right} }} }}"
    raise Wrong(f"{place}: both lines are of one kind: condition (of if, while or for), return, assignment to the same, or statement: {right}")


def mutate(source, changes):
    """The source with switches; changes are pairs of a mutant's number and its change."""
    path = ROOT / source
    if not path.is_file():
        raise Wrong(f"{changes[0][1].place}: there is no file {source}")
    lines = path.read_text().splitlines()
    by_place = {}
    for number, change in changes:
        by_place.setdefault(find(change, lines), []).append((number, change))
    for (first, end), there in by_place.items():
        wrongs = [(number, change.wrong) for number, change in there]
        lines[first] = switched(there[0][1].right, wrongs, there[0][1].place)
        lines[first + 1 : end] = [""] * (end - first - 1)  # lines keep their numbers
    return f'extern unsigned mutant_on;\n#line 1 "{source}"\n' + "\n".join(lines) + "\n"


def table(mutants):
    names = check_names()
    text = f'#include "sim/mutants.h"\n\nextern const uint32_t mutant_kinds_count;\nconst uint32_t mutant_kinds_count = {len(mutants)};\n\n'
    text += f"extern const struct mutant_kind mutant_kinds[{len(mutants)}];\nconst struct mutant_kind mutant_kinds[] = {{\n"
    for m in mutants:
        bits = " | ".join(f"UINT64_C(1) << {names[c]}" for c in m.checks)
        text += f'    {{"{m.name}", "{m.what}", "{m.breaks}", {bits}, "{m.needs}", "{m.test}"}},\n'
    return text + "};\n"


def switch(mutants):
    """The variable; in programs other than the simulator, the environment names the mutant that is on."""
    names = ", ".join(f'"{m.name}"' for m in mutants)
    return f"""#include <stdlib.h>
#include <string.h>

extern unsigned mutant_on;
unsigned mutant_on; /* number of a mutant, from 1; 0: none */

__attribute__((constructor)) static void choose(void)
{{
    static const char *const names[] = {{{names}}};
    const char *name = getenv("SYNOD_MUTANT");
    for (unsigned i = 0; name != NULL && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            mutant_on = i + 1;
}}
"""


def write(path, text):
    """Only what differs, so that only that is compiled again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main(argument):
    mutants = read_all()
    by_source = {}
    for number, mutant in enumerate(mutants, 1):
        for change in mutant.changes:
            by_source.setdefault(change.source, []).append((number, change))
    if argument == "--tests":
        print("\n".join(sorted({m.test for m in mutants if m.test})))
        return
    if argument == "--sources":
        print("\n".join(sorted(by_source)))
        return
    texts = {source: mutate(source, changes) for source, changes in by_source.items()}
    if argument == "--check":
        return
    for source, text in texts.items():
        write(Path(argument) / source, text)
    write(Path(argument) / "switch.c", switch(mutants))
    write(Path(argument) / "table.c", table(mutants))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Wrong as wrong:
        sys.exit(f"mutants: {wrong}")
