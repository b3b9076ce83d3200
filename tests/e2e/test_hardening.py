"""What ships is hardened (SYNOD_HARDEN in CMakeLists.txt, SECURITY.md), and a program that is not is found out."""
import platform
import re
import subprocess
from pathlib import Path

import pytest
from cluster import program

PROGRAMS = [Path(program(name)) for name in ("synod", "synod-lab", "synod-sim")]
X86 = platform.machine() == "x86_64"


def says(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def first_instruction_of_main(program):
    lines = says("objdump", "--disassemble=main", "--no-show-raw-insn", program).splitlines()
    return next(line.split("\t")[1].split()[0] for line in lines if re.match(r"\s+[0-9a-f]+:\t", line))


# of each: whether a program has it
HARDENED = {
    "position-independent": lambda p: re.search(r"FLAGS_1.*\bPIE\b", says("readelf", "-dW", p)),
    "relocations read-only": lambda p: "GNU_RELRO" in says("readelf", "-lW", p),
    "bound at start": lambda p: re.search(r"\(FLAGS\).*BIND_NOW|\(FLAGS_1\).*\bNOW\b", says("readelf", "-dW", p)),
    "stack not executable": lambda p: re.search(r"GNU_STACK.* RW ", says("readelf", "-lW", p)),
    "stack protector": lambda p: "__stack_chk_fail" in says("readelf", "--dyn-syms", "-W", p),
    "fortified": lambda p: re.search(r"__(snprintf|vsnprintf|memcpy)_chk", says("readelf", "--dyn-syms", "-W", p)),
    "branch targets": lambda p: not X86 or first_instruction_of_main(p) == "endbr64",
}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
@pytest.mark.parametrize("what", HARDENED)
def test_programs_are_hardened(program, what):
    assert HARDENED[what](program), f"{program} is not hardened: {what}"


SOURCE = """
#include <stdio.h>
int main(int count, char **arguments)
{
    char text[64];
    snprintf(text, (size_t)count * 8, "%s", arguments[0]);
    return puts(text);
}
"""
ALL = ["-O2", "-w", "-fPIE", "-pie", "-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"]
ALL += ["-Wl,-z,relro,-z,now,-z,noexecstack"] + (["-fcf-protection"] if X86 else [])
# of each: the flags that take it away
WITHOUT = {
    "position-independent": ["-fno-pie", "-no-pie"],
    "relocations read-only": ["-Wl,-z,norelro"],
    "bound at start": ["-Wl,-z,lazy"],
    "stack not executable": ["-Wl,-z,execstack"],
    "stack protector": ["-fno-stack-protector"],
    "fortified": ["-U_FORTIFY_SOURCE"],
    "branch targets": ["-fcf-protection=none"],
}


def compiled(folder, *flags):
    (folder / "small.c").write_text(SOURCE)
    subprocess.run(["cc", folder / "small.c", "-o", folder / "small", *ALL, *flags], check=True, timeout=60)
    return folder / "small"


def test_a_small_program_can_be_hardened(tmp_path):
    program = compiled(tmp_path)
    assert [what for what, has in HARDENED.items() if not has(program)] == []


@pytest.mark.parametrize("what", WITHOUT)
def test_a_program_that_lacks_it_is_found(tmp_path, what):
    if what == "branch targets" and not X86:
        pytest.skip("there are none on this processor")
    assert not HARDENED[what](compiled(tmp_path, *WITHOUT[what]))


def test_all_are_looked_at():
    assert HARDENED.keys() == WITHOUT.keys()
