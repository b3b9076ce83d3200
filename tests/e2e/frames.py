"""Frames between nodes and the messages in them, as docs/wire-format.md draws them; sound ones, and any others."""

import ctypes
import re
import socket
import struct

_xxhash = ctypes.CDLL("libxxhash.so.0")
_xxhash.XXH64.restype = ctypes.c_uint64
_xxhash.XXH64.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]

MAGIC, VERSION, MESSAGE_KINDS, ENTRY_KINDS = b"SYNF", 3, 26, 4


def xxh64(data, seed=0):
    return _xxhash.XXH64(data, len(data), seed)


def padded(data):
    return data + bytes(-len(data) % 8)


class Origin:
    """The sender: by default an unknown instance that tells no governed settings."""

    def __init__(self, cluster, sender, instance=b"\x5a" * 16, incarnation=1, nonce=0x5eed, governed=b""):
        self.cluster, self.sender, self.instance, self.incarnation, self.nonce = cluster, sender, instance, incarnation, nonce
        self.governed = governed

    def but(self, **changed):
        """The same, but for what is given."""
        return Origin(**(vars(self) | changed))

    @classmethod
    def of_folder(cls, cluster, folder):
        """The latest life of a node of the cluster, as its data folder and those of the others say."""
        text = (folder / "identity").read_text()
        value = {name: re.search(rf"^{name} (\S+)$", text, re.MULTILINE)[1] for name in ("node", "instance", "incarnation")}
        known = rf"^{value['node']} {value['instance']} {value['incarnation']} (\w+)$"
        found = [re.search(known, peers.read_text(), re.MULTILINE) for peers in folder.parent.glob("node-*/peers")]
        nonce = next((int(match[1], 16) for match in found if match), 0)
        governed = re.search(r"^segment \d+\n(.*)^checksum ", text, re.MULTILINE | re.DOTALL)[1]
        return cls(cluster, int(value["node"]), bytes.fromhex(value["instance"]), int(value["incarnation"]), nonce, governed.encode())


def frame(origin, body=b"", *, magic=MAGIC, version=VERSION, length=None, body_checksum=None, header_checksum=None):
    """A frame; what is given instead of what belongs there is put in before the header's checksum is made."""
    body = bytes(body)
    if body_checksum is None:
        body_checksum = xxh64(padded(body))
    rest = struct.pack("<QQ", body_checksum, xxh64(origin.cluster.encode())) + origin.instance
    rest += struct.pack("<IIII", len(body) if length is None else length, origin.sender, origin.incarnation, origin.nonce)
    checksum = xxh64(rest, VERSION) if header_checksum is None else header_checksum
    return magic + struct.pack("<IQ", version, checksum) + rest + padded(body)


def greeting(origin):
    """What a connection begins with."""
    return frame(origin, origin.governed)


def message(kind, flags=0, version=6, zero=0, entries=(), ballot=(0, 0, 0), start=0, end=0, floor=0, chosen=0, batch=(0, 0, 0), count=None):
    """A message body. An entry: (slot, ballot, kind, value)."""
    data = struct.pack("<BBBBI", kind, flags, version, zero, len(entries) if count is None else count)
    data += struct.pack("<QIIQQQQIIQ", *ballot, start, end, floor, chosen, *batch)
    for slot, entry_ballot, entry_kind, value in entries:
        data += struct.pack("<QQIIBBBBI", slot, *entry_ballot, entry_kind, 0, 0, 0, len(value)) + padded(value)
    return data


def any_message(dice):
    """A sound message body of any meaning: numbers that are likely to be in use, or at an end of their range."""

    def number():
        return dice.choice([0, 1, 2, 3, 4, 5, 8, 20, 50, 100, 200, 10**6, 2**63, 2**64 - 2, 2**64 - 1])

    def ballot():
        return dice.choice([0, 1, 1, 2, 3, 10**9, 2**64 - 1]), dice.choice([0, 1, 2, 3, 9, 63]), dice.choice([0, 1, 1, 2, 2**32 - 1])

    def value():
        if dice.random() < 0.5:
            return dice.randbytes(dice.randrange(200))
        seed = number(), number()
        answerer = dice.choice([0, 1, 2, 3, 63])
        stamp = number(), number(), *ballot()
        head = (b"SB03", dice.randrange(3), dice.randrange(4), 1, dice.randrange(300), answerer, 0, *stamp, *seed)
        return struct.pack("<4sIIIQIIQQQIIQQ", *head) + bytes(dice.randrange(5) for _ in range(dice.randrange(60)))

    entries = [(number(), ballot(), dice.randrange(ENTRY_KINDS), value()) for _ in range(dice.choice([0, 0, 1, 1, 2, 5]))]
    batch = (dice.choice([0, 1, 2, 3, 63]), dice.choice([0, 1, 2]), number())
    return message(
        dice.randrange(MESSAGE_KINDS), dice.randrange(128), entries=entries, ballot=ballot(), start=number(), end=number(),
        floor=number(), chosen=number(), batch=batch,
    )


def connect(port, timeout_s=5):
    return socket.create_connection(("127.0.0.1", port), timeout_s)


def wait_closed(connection):
    """Waits until the other side closes the connection; fails when it does not."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
