"""The programs: each says what it does, and `synod` carries nothing of the others."""

import subprocess

import pytest

from cluster import BUILD, OK, SYNOD, program, run

BESIDE = ["synod-lab", "synod-sim"]  # what does not run where a cluster does


@pytest.mark.parametrize("name", BESIDE)
def test_help(name):
    done = run("--help", command=program(name))
    assert done.returncode == OK and done.stderr == ""
    assert done.stdout.startswith(name)
    assert "exit codes:" in done.stdout
    assert "(null)" not in done.stdout


def symbols(*arguments):
    """The functions and variables of that name which are defined there. Compilers add their own, with dots."""
    done = subprocess.run(["nm", "--defined-only", "--format=posix", *arguments], capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines() if len(line.split()) >= 2]
    return {name for name, kind, *_ in lines if kind in "TDBRtdbr" and "." not in name}


@pytest.mark.parametrize("library", ["libsynod_lab.a", "libsynod_sim.a"])
def test_the_command_carries_no_other_program(library):
    foreign = symbols("--extern-only", str(BUILD / "lib" / library))
    assert len(foreign) > 20
    assert not foreign & symbols(SYNOD)
