"""Reads journals as core/formats/journal.h draws them, as far as tests need it: where the groups lie."""

import struct
from dataclasses import dataclass
from pathlib import Path

PAGE = 4096
SEGMENT_MAGIC, GROUP_MAGIC = b"SYNODJNL", b"SJG1"
GROUP_HEADER = 48


@dataclass
class Group:
    file: Path
    offset: int
    length: int  # header and records, without the padding
    records: int


def segments(folder):
    """The segments of a node's folder, oldest first."""
    return sorted(Path(folder).glob("journal-*.log"))


def groups_of(file):
    data = file.read_bytes()
    assert data[:8] == SEGMENT_MAGIC
    at = -(-struct.unpack_from("<I", data, 12)[0] // PAGE) * PAGE
    groups = []
    while data[at : at + 4] == GROUP_MAGIC:
        length, _, records = struct.unpack_from("<IQI", data, at + 4)
        groups.append(Group(file, at, length, records))
        at += -(-length // PAGE) * PAGE
    return groups


def groups(folder):
    return [group for file in segments(folder) for group in groups_of(file)]


def overwrite(file, offset, data):
    with open(file, "r+b") as out:
        out.seek(offset)
        out.write(data)


def flip(file, offset):
    """Turns over all bits of a byte; again, and it is as it was."""
    with open(file, "r+b") as both:
        both.seek(offset)
        byte = both.read(1)[0]
        both.seek(offset)
        both.write(bytes([byte ^ 0xFF]))
