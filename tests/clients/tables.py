"""Tables: on the terminal, and in docs/clients.md."""

from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clients.md"


def write(heading, rows):
    """Puts rows in the place of those of the first table under a heading. Its own head stays."""
    lines = PAGE.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.lstrip("# ") == heading and line.startswith("#"))
    first = next(number for number in range(start, len(lines)) if lines[number].startswith("|---")) + 1
    last = next((number for number in range(first, len(lines)) if not lines[number].startswith("|")), len(lines))
    lines[first:last] = ["| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    PAGE.write_text("\n".join(lines) + "\n")


WIDE = 40


def short(cell):
    return cell if len(cell) <= WIDE else cell[:WIDE - 3] + "..."


def show(head, rows):
    """On the terminal. The last column may be as long as it is."""
    lines = [[short(str(cell)) for cell in row[:-1]] + [str(row[-1])] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines)][:-1]
    for line in lines:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(line, widths)), line[-1]]).rstrip(), flush=True)
