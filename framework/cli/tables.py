"""Output of the listing verbs: aligned columns to read, or one JSON object per line for programs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

_EMPTY = "-"
_GAP = "  "
_INDENT = "    "


def print_lines(lines: Iterable[str]) -> None:
    """Write each line, with its end, to standard output."""
    sys.stdout.writelines(f"{line}\n" for line in lines)


def print_json(rows: Iterable[Any]) -> None:
    """Write each row to standard output as one JSON object per line; structs become objects."""
    for row in rows:
        sys.stdout.write(msgspec.json.encode(row).decode() + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Mapping[str, object]], *, right: Sequence[str] = ()) -> None:
    """Write a `table` to standard output, no wider than the terminal, where that is one."""
    width_max = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    print_lines(table(columns, rows, right=right, width_max=width_max))


def table(
    columns: Sequence[str], rows: Sequence[Mapping[str, object]], *, right: Sequence[str] = (), width_max: int = 0
) -> list[str]:
    """A heading and a line per row, in aligned columns; those named in `right` are aligned there, as numbers are.

    Every row has every column; an empty cell is shown as `-`. Where a line would be longer than `width_max` characters
    (0: there is no such limit), heading and rows go on in a second one, indented, and so on; what is empty there is
    left out. No column is cut, so one that is wider by itself still is.
    """
    cells = [[str(row[column]) or _EMPTY for column in columns] for row in rows]
    heading = [column.replace("_", " ") for column in columns]
    widths = [max(len(line[i]) for line in [heading, *cells]) for i in range(len(columns))]
    first, *others = _parts(widths, width_max)
    lines = []
    for line in [heading, *cells]:
        aligned = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, cell, width in zip(columns, line, widths, strict=True)
        ]
        lines.append(_GAP.join(aligned[first]).rstrip())
        lines += [_INDENT + _GAP.join(aligned[part]).rstrip() for part in others if set(line[part]) != {_EMPTY}]
    return lines


def _parts(widths: Sequence[int], width_max: int) -> list[slice]:
    """The columns that stand in one line, for each line of a row."""
    starts, end = [0], -len(_GAP)
    for i, width in enumerate(widths):
        end += len(_GAP) + width
        if i and 0 < width_max < end:
            starts.append(i)
            end = len(_INDENT) + width
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], len(widths)], strict=True)]


def time_text(time_ns: int) -> str:
    """A wall time in nanoseconds as ISO 8601 in UTC, cut to milliseconds; empty for 0, which means none."""
    if not time_ns:
        return ""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"


def sizes_line(part_bytes: Mapping[str, int]) -> str:
    """The sizes of the parts of a state directory, given in bytes, in one line of MB (10^6 bytes)."""
    return "on disk: " + ", ".join(f"{name} {count / 1e6:.1f} MB" for name, count in part_bytes.items())
