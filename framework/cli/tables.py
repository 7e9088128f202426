"""Output of the listing verbs: aligned columns to read, or one JSON object per line for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

_EMPTY = "-"


def print_lines(lines: Iterable[str]) -> None:
    """Write each line, with its end, to standard output."""
    sys.stdout.writelines(f"{line}\n" for line in lines)


def print_json(rows: Iterable[Any]) -> None:
    """Write each row to standard output as one JSON object per line; structs become objects."""
    for row in rows:
        sys.stdout.write(msgspec.json.encode(row).decode() + "\n")


def table(columns: Sequence[str], rows: Sequence[Mapping[str, object]], *, right: Sequence[str] = ()) -> list[str]:
    """A heading and a line per row, in aligned columns; those named in `right` are aligned there, as numbers are.

    Every row has every column; an empty cell is shown as `-`.
    """
    cells = [[str(row[column]) or _EMPTY for column in columns] for row in rows]
    heading = [column.replace("_", " ") for column in columns]
    widths = [max(len(line[i]) for line in [heading, *cells]) for i in range(len(columns))]
    aligned = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, cell, width in zip(columns, line, widths, strict=True)
        )
        for line in [heading, *cells]
    ]
    return [line.rstrip() for line in aligned]


def time_text(time_ns: int) -> str:
    """A wall time in nanoseconds as ISO 8601 in UTC, cut to milliseconds; empty for 0, which means none."""
    if not time_ns:
        return ""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"


def sizes_line(part_bytes: Mapping[str, int]) -> str:
    """The sizes of the parts of a state directory, given in bytes, in one line of MB (10^6 bytes)."""
    return "on disk: " + ", ".join(f"{name} {count / 1e6:.1f} MB" for name, count in part_bytes.items())
