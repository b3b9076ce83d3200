"""The client libraries that are used most, standalone and with clusters, while the leader is killed (tests/clients/README.md):
all at once, because each pause is one election. `make test-clients` runs all libraries, one after the other."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))

import run  # noqa: E402
import targets  # noqa: E402

SMALL = [library for library in run.LIBRARIES if library.small]


def test_libraries_go_on_after_the_leaders_death():
    with targets.Synod() as target:
        programs = run.run_together(target, SMALL)
    assert len(programs) == sum(len(library.modes) for library in SMALL)
    assert not [(one.library.name, one.mode, one.failure, one.errors[:3]) for one in programs if one.failure]
