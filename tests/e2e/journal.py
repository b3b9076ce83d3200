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


# ---- Records: core/formats/record.h, and batches: core/formats/batch.h ----

ACCEPTED, LEARNED = 1, 2  # packet kinds
NOOP, COMMANDS, CONFIGURATION = 0, 1, 2  # kinds of entries


@dataclass
class Record:
    kind: int
    ballot: tuple
    slot: int
    to: int
    entry_kind: int
    value: bytes


def records(folder):
    """The records in the groups of a node's folder, in the order of their numbers."""
    for file in segments(folder):
        data = file.read_bytes()
        for group in groups_of(file):
            at, end = group.offset + GROUP_HEADER, group.offset + group.length
            while at < end:
                kind, length = struct.unpack_from("<II", data, at)
                number, node, life, slot, to, entry_kind, size = struct.unpack_from("<QIIQQB3xI", data, at + 8)
                yield Record(kind, (number, node, life), slot, to, entry_kind, data[at + 48 : at + 48 + size])
                at += 8 + -(-length // 8) * 8


def commands_of(batch):
    """((origin, life, number), commands) of a batch, each command a list of its arguments."""
    magic, count, origin, life, number = struct.unpack_from("<4sIIIQ", batch)
    assert magic in (b"SB02", b"SB03")  # the first is what version 0.1.0 wrote
    commands, at = [], 56 if magic == b"SB02" else 80
    for _ in range(count):
        (argc,) = struct.unpack_from("<I", batch, at)
        lengths = struct.unpack_from(f"<{argc}I", batch, at + 4)
        at += 4 + 4 * argc
        commands.append([])
        for length in lengths:
            commands[-1].append(batch[at : at + length])
            at += length
        at += -at % 4
    return (origin, life, number), commands
