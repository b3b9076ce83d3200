"""The choices that make a composition, and the fewest of them that have every pair of choices at least once."""

from itertools import combinations, product

CHOICES = {
    "deployment": ["coordinator", "standalone", "shared"],
    "network": ["host-tcp", "host-udp", "grpc", "guest-tcp", "guest-udp"],
    "storage": ["host", "guest"],
    "serializer": ["guest", "host"],
    "granularity": ["parts", "agents", "node"],
}


def makes_sense(row):
    """A whole node as one component has its serializer inside."""
    return (row["granularity"], row["serializer"]) != ("node", "host")


ALL = [row for values in product(*CHOICES.values()) if makes_sense(row := dict(zip(CHOICES, values)))]


def pairs(row):
    return set(combinations(row.items(), 2))


def covering():
    """Greedy: the row that has most of the pairs that are missing, until none is. The same rows each time."""
    missing = set().union(*map(pairs, ALL))
    rows = []
    while missing:
        rows.append(max(ALL, key=lambda row: len(pairs(row) & missing)))
        missing -= pairs(rows[-1])
    return rows


def label(row):
    return "-".join(f"{row[key]}{'' if key in ('deployment', 'network') else '_' + key}" for key in CHOICES)
